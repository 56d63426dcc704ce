//! State that several nodes share: Redis, Valkey, or what speaks as they do.
//!
//! | key | content | until |
//! | --- | --- | --- |
//! | `<prefix>key:<slot>` | timestamp, SHA-256 and bytes of an evaluation key | it was not used for long |
//! | `<prefix>{issuer}:<tier>` | issuer keys | |
//! | `<prefix>{issuer}:generation` | salt of slots, drawn with the first issuer keys | |
//! | `<prefix>{issuer}:lease` | the node that changes them | a minute |
//! | `<prefix>{nonces<bucket>}` | the generation once more | |
//! | `<prefix>{nonces<bucket>}:<key id>:<nonce>` | who spent it | a day after its key's end |
//!
//! Every node answers for itself: what it could not write, it has not accepted.
//!
//! A server that lost its memory would find every nonce fresh. So each bucket of nonces says which
//! generation it belongs to, and only a server without any issuer keys begins a new one: when nonces
//! are gone but keys are not, nothing is accepted; when all is gone, tokens of earlier keys are worth
//! nothing.

mod link;

use super::{
    Durable, KeySlot, Lease, Spending, Store, StoreError, StoreFuture, StoreStatistics, StoredKey,
};
use crate::configuration::{RedisSettings, Tier};
use crate::digest::hex;
use arc_swap::ArcSwap;
use link::Link;
use privacy_pass::{KeySet, Rotation};
use redis::{Cmd, Pipeline, cmd};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seconds of a lease: longer than drawing keys takes.
const LEASE_SECONDS: u64 = 60;
/// What holds a lease.
const LEASE: &str = "lease";
/// What holds the salt.
const GENERATION: &str = "generation";
/// Keys of the gateway: another kind, under the same lease.
const GATEWAY: &str = "gateway";
/// Bytes before an evaluation key: its timestamp and its digest.
const HEAD: usize = 8 + 32;
const DAY: u64 = 86_400;
/// Spends a nonce, and remembers it for a day longer than its token is good, as far as this clock goes.
const SPEND: &str = "if redis.call('get', KEYS[2]) ~= ARGV[4] then return -2 end \
    local holder = redis.call('get', KEYS[1]) \
    if holder then return holder == ARGV[1] and 1 or 0 end \
    if tonumber(redis.call('time')[1]) >= tonumber(ARGV[2]) then return -1 end \
    redis.call('set', KEYS[1], ARGV[1], 'exat', ARGV[3]) return 1";
/// Sets a value if the lease is still its holder's.
const SET_WITH_LEASE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] \
    then redis.call('set', KEYS[2], ARGV[2]) return 1 else return 0 end";
/// Gives a lease back if it is still its holder's.
const RELEASE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] \
    then return redis.call('del', KEYS[1]) else return 0 end";

/// Parts that nonces fall into, each on one node of a cluster.
const BUCKETS: u8 = 64;

/// What this node knows of the keys in use: the salt, and the issuer keys that came with it.
#[derive(Clone, Default)]
struct Generation {
    salt: Option<[u8; 32]>,
    key_ids: BTreeMap<Tier, Vec<[u8; 32]>>,
}

/// State in a server that several nodes share.
pub struct RedisStore {
    link: Arc<Link>,
    prefix: String,
    generation: ArcSwap<Generation>,
    key_seconds: u64,
    /// Replicas that must have a nonce before it counts as spent, and how long they may take.
    replicas: u32,
    replica_milliseconds: u64,
}

fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
    Ok(bytes)
}

impl RedisStore {
    /// Connects. `days` without use end an evaluation key.
    pub async fn open(settings: &RedisSettings, days: u32) -> Result<Self, StoreError> {
        let store = Self {
            link: Arc::new(Link::new(settings)?),
            prefix: settings.prefix.clone(),
            generation: ArcSwap::default(),
            key_seconds: u64::from(days.max(1)) * DAY,
            replicas: settings.replicas,
            // So that the answer is there in time.
            replica_milliseconds: settings.timeout_milliseconds / 2,
        };
        let _: String = store.link.command(&cmd("PING")).await?;
        store.warn_of_lost_writes().await;
        Ok(store)
    }

    /// Nonces that a server forgets when it crashes could be spent again.
    async fn warn_of_lost_writes(&self) {
        let setting = async |name: &str| -> Option<String> {
            let answer: Result<Vec<String>, _> =
                self.link.command(cmd("CONFIG").arg("GET").arg(name)).await;
            answer.ok()?.pop()
        };
        let (appends, syncs) = (setting("appendonly").await, setting("appendfsync").await);
        let evicts = setting("maxmemory-policy").await;
        if evicts.as_deref().is_some_and(|value| value != "noeviction") {
            tracing::warn!(
                "redis may drop nonces when its memory is full, and a token can be spent again then: \
                 set `maxmemory-policy noeviction`"
            );
        }
        if appends.as_deref().is_some_and(|value| value != "yes")
            || syncs.as_deref().is_some_and(|value| value != "always")
        {
            tracing::warn!(
                "redis may forget what it has answered: without `appendonly yes` and `appendfsync \
                 always`, a token can be spent again after it crashes"
            );
        }
    }

    fn key_name(&self, slot: KeySlot) -> String {
        format!("{}key:{}", self.prefix, hex(&slot.0))
    }

    /// The braces keep issuer keys and their lease on one node of a cluster.
    fn issuer_name(&self, name: &str) -> String {
        format!("{}{{issuer}}:{name}", self.prefix)
    }

    fn bucket_name(&self, bucket: u8) -> String {
        format!("{}{{nonces{bucket}}}", self.prefix)
    }

    /// Takes note of what is in use. Keys of another generation are not known any more.
    fn know(&self, salt: [u8; 32], tier: Tier, keys: &KeySet) {
        let key_ids: Vec<[u8; 32]> = keys.key_ids().copied().collect();
        self.generation.rcu(|known| {
            let mut next = match known.salt {
                Some(known_salt) if known_salt == salt => Generation::clone(known),
                _ => Generation { salt: Some(salt), ..Generation::default() },
            };
            next.key_ids.insert(tier, key_ids.clone());
            next
        });
    }

    async fn put(&self, slot: KeySlot, key: StoredKey) -> Result<(), StoreError> {
        let mut value = Vec::with_capacity(HEAD + key.bytes.len());
        value.extend(key.timestamp.to_le_bytes());
        value.extend(Sha256::digest(&key.bytes));
        value.extend(&key.bytes);
        let mut set = cmd("SET");
        set.arg(self.key_name(slot)).arg(value).arg("EX").arg(self.key_seconds);
        self.link.command(&set).await
    }

    async fn get(&self, slot: KeySlot) -> Result<Option<StoredKey>, StoreError> {
        let value: Option<Vec<u8>> = self.link.command(cmd("GET").arg(self.key_name(slot))).await?;
        Ok(value.and_then(|value| {
            let (head, bytes) = value.split_first_chunk::<HEAD>()?;
            let whole = Sha256::digest(bytes)[..] == head[8..];
            let timestamp = u64::from_le_bytes(*head.first_chunk()?);
            whole.then(|| StoredKey { timestamp, bytes: bytes.to_vec() })
        }))
    }

    async fn timestamp(&self, slot: KeySlot) -> Result<Option<u64>, StoreError> {
        let mut range = cmd("GETRANGE");
        range.arg(self.key_name(slot)).arg(0).arg(7);
        let head: Vec<u8> = self.link.command(&range).await?;
        Ok(head.try_into().ok().map(u64::from_le_bytes))
    }

    /// Of concurrent writers of one nonce, wherever they are, one finds it fresh. The value says who:
    /// a command that was sent twice, because its answer was lost, knows itself again.
    async fn spend_once(
        &self,
        key_id: &[u8; 32],
        nonce: &[u8; 32],
        until: u64,
    ) -> Result<Spending, StoreError> {
        let lost = || {
            let text = "redis does not know which nonces were spent: it lost its memory, or a part \
                of it. If issuer keys are left there, delete them too";
            StoreError::Unavailable(text.to_owned())
        };
        let generation = self.generation.load_full();
        let known = generation.key_ids.values().flatten().any(|id| id == key_id);
        let salt = generation.salt.filter(|_| known).ok_or_else(lost)?;
        let bucket = self.bucket_name(nonce[0] % BUCKETS);
        let mut script = cmd("EVAL");
        script.arg(SPEND).arg(2);
        script.arg(format!("{bucket}:{}:{}", hex(&key_id[..8]), hex(nonce))).arg(bucket);
        script.arg(&random::<16>()?).arg(until).arg(until.saturating_add(DAY)).arg(&salt);
        let outcome: i32 = match self.replicas {
            0 => self.link.command(&script).await?,
            replicas => self.with_replicas(script, replicas).await?,
        };
        match outcome {
            1 => Ok(Spending::Fresh(Durable::already())),
            0 => Ok(Spending::Spent),
            -2 => Err(lost()),
            _ => Err(StoreError::Unavailable(
                "redis would forget a nonce while its token is still good: the clock of redis is \
                 ahead of this node's"
                    .to_owned(),
            )),
        }
    }

    async fn with_replicas(&self, script: Cmd, replicas: u32) -> Result<i32, StoreError> {
        let mut both = Pipeline::new();
        both.add_command(script);
        both.cmd("WAIT").arg(replicas).arg(self.replica_milliseconds);
        let (outcome, reached): (i32, u32) = self.link.pipeline(&both).await?;
        if reached < replicas {
            return Err(StoreError::Unavailable(format!(
                "redis: a nonce reached {reached} of {replicas} replicas"
            )));
        }
        Ok(outcome)
    }

    async fn read_issuer_keys(
        &self,
        tier: Tier,
        rotation: Rotation,
    ) -> Result<Option<KeySet>, StoreError> {
        let name = self.issuer_name(tier.name());
        let mut both = cmd("MGET");
        both.arg(&name).arg(self.issuer_name(GENERATION));
        let (text, salt): (Option<Vec<u8>>, Option<Vec<u8>>) = self.link.command(&both).await?;
        let Some(text) = text.map(Zeroizing::new) else { return Ok(None) };
        let wrong = |key: String, reason: &str| StoreError::Settings {
            key,
            reason: format!(
                "{reason}. Restore it, or delete all of {}, which makes all tokens invalid",
                self.issuer_name("*")
            ),
        };
        let keys = KeySet::from_json(&text, rotation)
            .map_err(|reason| wrong(name, &format!("not issuer keys: {reason}")))?;
        let salt = salt.and_then(|salt| salt.try_into().ok());
        let salt = salt
            .ok_or_else(|| wrong(self.issuer_name(GENERATION), "not there, but issuer keys are"))?;
        self.know(salt, tier, &keys);
        Ok(Some(keys))
    }

    /// Begins a generation if there are no issuer keys: no token is good yet, so no nonce is missed.
    async fn begin(&self, lease: &str) -> Result<(), StoreError> {
        let mut exist = cmd("EXISTS");
        Tier::ALL.iter().for_each(|tier| {
            exist.arg(self.issuer_name(tier.name()));
        });
        let there: u32 = self.link.command(&exist).await?;
        if there > 0 {
            return Ok(());
        }
        let salt = random::<32>()?;
        for bucket in 0..BUCKETS {
            self.link.command::<()>(cmd("SET").arg(self.bucket_name(bucket)).arg(&salt)).await?;
        }
        // Last: a generation is whole, or another one is begun.
        self.set_with_lease(GENERATION, &salt, lease).await
    }

    async fn set_with_lease(
        &self,
        name: &str,
        value: &[u8],
        lease: &str,
    ) -> Result<(), StoreError> {
        let mut script = cmd("EVAL");
        script.arg(SET_WITH_LEASE).arg(2);
        script.arg(self.issuer_name(LEASE)).arg(self.issuer_name(name)).arg(lease).arg(value);
        let done: u32 = self.link.command(&script).await?;
        match done {
            1 => Ok(()),
            _ => Err(StoreError::Unavailable("the lease for issuer keys was lost".to_owned())),
        }
    }
}

impl Store for RedisStore {
    fn slot(&self, user: &[u8], key_config_hash: &[u8; 32]) -> KeySlot {
        // Without a generation, nothing is found in any slot.
        KeySlot::of(&self.generation.load().salt.unwrap_or_default(), user, key_config_hash)
    }

    fn put_evaluation_key(&self, slot: KeySlot, key: StoredKey, _: u64) -> StoreFuture<'_, ()> {
        Box::pin(self.put(slot, key))
    }

    fn evaluation_key(&self, slot: KeySlot) -> StoreFuture<'_, Option<StoredKey>> {
        Box::pin(self.get(slot))
    }

    fn evaluation_key_timestamp(&self, slot: KeySlot) -> StoreFuture<'_, Option<u64>> {
        Box::pin(self.timestamp(slot))
    }

    fn touch_evaluation_key(&self, slot: KeySlot, _: u64) {
        let (link, name, seconds) = (Arc::clone(&self.link), self.key_name(slot), self.key_seconds);
        tokio::spawn(async move {
            // If it cannot be noted, another day is as good.
            let _: Result<u32, _> = link.command(cmd("EXPIRE").arg(name).arg(seconds)).await;
        });
    }

    fn collect_garbage(&self, _: u64) -> StoreFuture<'_, ()> {
        // Keys expire by themselves.
        Box::pin(std::future::ready(Ok(())))
    }

    fn spend<'s>(
        &'s self,
        key_id: &'s [u8; 32],
        nonce: &'s [u8; 32],
        until: u64,
    ) -> StoreFuture<'s, Spending> {
        Box::pin(self.spend_once(key_id, nonce, until))
    }

    fn retain_nonces(&self, _: &[[u8; 32]]) -> StoreFuture<'_, ()> {
        // Nonces expire by themselves.
        Box::pin(std::future::ready(Ok(())))
    }

    fn issuer_keys(&self, tier: Tier, rotation: Rotation) -> StoreFuture<'_, Option<KeySet>> {
        Box::pin(self.read_issuer_keys(tier, rotation))
    }

    fn lease(&self) -> StoreFuture<'_, Option<Lease>> {
        Box::pin(async move {
            let holder = hex(&random::<16>()?);
            let mut set = cmd("SET");
            set.arg(self.issuer_name(LEASE)).arg(&holder).arg("NX").arg("EX").arg(LEASE_SECONDS);
            let set: Option<String> = self.link.command(&set).await?;
            if set.is_none() {
                return Ok(None);
            }
            self.begin(&holder).await?;
            Ok(Some(Lease::of(holder)))
        })
    }

    fn put_issuer_keys<'s>(
        &'s self,
        tier: Tier,
        keys: &'s KeySet,
        lease: &'s Lease,
    ) -> StoreFuture<'s, ()> {
        Box::pin(async move {
            let text = keys.to_json()?;
            self.set_with_lease(tier.name(), &text, lease.holder()).await?;
            // As it is there, with the generation that it is of.
            self.read_issuer_keys(tier, keys.rotation()).await?;
            Ok(())
        })
    }

    fn gateway_keys(&self) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
        Box::pin(async move {
            let text: Option<Vec<u8>> =
                self.link.command(cmd("GET").arg(self.issuer_name(GATEWAY))).await?;
            Ok(text.map(Zeroizing::new))
        })
    }

    fn put_gateway_keys<'s>(&'s self, text: &'s [u8], lease: &'s Lease) -> StoreFuture<'s, ()> {
        Box::pin(self.set_with_lease(GATEWAY, text, lease.holder()))
    }

    fn release(&self, lease: Lease) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let mut script = cmd("EVAL");
            script.arg(RELEASE).arg(1).arg(self.issuer_name(LEASE)).arg(lease.holder());
            let _: u32 = self.link.command(&script).await?;
            Ok(())
        })
    }

    fn statistics(&self) -> StoreStatistics {
        // The server has its own.
        StoreStatistics::default()
    }
}
