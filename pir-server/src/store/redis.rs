//! State that several nodes share, in Redis, Valkey, or another server with the same protocol.
//!
//! | key | content | expires |
//! | --- | --- | --- |
//! | `<prefix>{keys<part>}:<key id>` | an evaluation key, see `evaluation_keys` | after the configured days without use |
//! | `<prefix>{keys<part>}:used`, `:bytes` | when each was used, how long each is | never |
//! | `<prefix>{issuer}:<tier>` | issuer keys | never |
//! | `<prefix>{issuer}:gateway` | gateway keys | never |
//! | `<prefix>{issuer}:generation` | salt of key ids, created with the first issuer keys | never |
//! | `<prefix>{issuer}:lease` | the node that may change keys | after a minute |
//! | `<prefix>{nonces<bucket>}` | a copy of the generation | never |
//! | `<prefix>{nonces<bucket>}:<issuer key id>:<nonce>` | which request spent the nonce | a day after its issuer key |
//! | `<prefix>{issued:<user>}:hour`, `:day` | how many tokens a user was issued | after an hour, a day |
//!
//! A node accepts only what it has written.
//!
//! A server that lost its memory would find every nonce fresh. So each bucket of nonces has a copy of the
//! generation, and a new generation begins only while there are no issuer keys. When nonces are lost but issuer
//! keys are not, no token is accepted; when everything is lost, tokens of the earlier issuer keys are refused.

mod evaluation_keys;
mod link;

use super::issuance::{self, IssuanceCounts};
use super::{
    Damage, Durable, Issuance, KeyId, Lease, Spending, Store, StoreError, StoreFuture,
    StoreStatistics, StoredKey,
};
use crate::configuration::{IssuanceLimit, RedisSettings, RedisTopology, StoreSettings, Tier};
use arc_swap::ArcSwap;
use evaluation_keys::{CLUSTER_PARTS, EvaluationKeys};
use link::Link;
use privacy_pass::{KeySet, Rotation};
use redis::{Cmd, Pipeline, cmd};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use unix_clock::Timestamp;
use zeroize::Zeroizing;

/// Time after which a lease ends by itself, in seconds: longer than creating keys takes.
const LEASE_SECONDS: u64 = 60;
/// Name of the key that holds the lease.
const LEASE: &str = "lease";
/// Name of the key that holds the salt.
const GENERATION: &str = "generation";
/// Name of the key that holds the gateway keys.
const GATEWAY: &str = "gateway";
const DAY_SECONDS: u64 = 86_400;
/// Spends the nonce `KEYS[1]` of the bucket `KEYS[2]` for the request `ARGV[1]`, if the bucket is of the
/// generation `ARGV[4]`. It fails if the server's clock is past `ARGV[2]`, when the nonce may be forgotten, and
/// keeps the nonce until `ARGV[3]`.
const SPEND: &str = "if redis.call('get', KEYS[2]) ~= ARGV[4] then return -2 end \
    local holder = redis.call('get', KEYS[1]) \
    if holder then return holder == ARGV[1] and 1 or 0 end \
    if tonumber(redis.call('time')[1]) >= tonumber(ARGV[2]) then return -1 end \
    redis.call('set', KEYS[1], ARGV[1], 'exat', ARGV[3]) return 1";
/// Counts a token of the user with the counts `KEYS`, of an hour and of a day, unless one of them has reached its limit
/// in `ARGV`. Returns 0, or the seconds after which the next one is allowed.
const COUNT_ISSUANCE: &str = "local wait = 0 \
    for i = 1, 2 do \
        if tonumber(redis.call('get', KEYS[i]) or 0) >= tonumber(ARGV[i]) then \
            wait = math.max(wait, redis.call('ttl', KEYS[i]), 1) \
        end \
    end \
    if wait > 0 then return wait end \
    for i = 1, 2 do \
        if redis.call('incr', KEYS[i]) == 1 then redis.call('expire', KEYS[i], ARGV[i + 2]) end \
    end \
    return 0";
/// Sets a value if the caller still holds the lease.
const SET_WITH_LEASE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] \
    then redis.call('set', KEYS[2], ARGV[2]) return 1 else return 0 end";
/// Deletes the lease if the caller still holds it.
const RELEASE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] \
    then return redis.call('del', KEYS[1]) else return 0 end";

/// Number of buckets of nonces; a cluster keeps each bucket on one of its servers.
const BUCKETS: u8 = 64;

/// The salt, and the ids of the issuer keys that were stored with it.
#[derive(Clone, Default)]
struct Generation {
    salt: Option<[u8; 32]>,
    key_ids: BTreeMap<Tier, Vec<[u8; 32]>>,
}

impl Generation {
    /// Fails without a salt: an id that anyone can compute would tell whose it is.
    fn key_id(&self, user: &[u8], key_config_hash: &[u8; 32]) -> Result<KeyId, Refused> {
        Ok(KeyId::of(&self.salt.ok_or(Refused::NoSalt)?, user, key_config_hash))
    }
}

/// State that several nodes share.
pub struct RedisStore {
    link: Arc<Link>,
    prefix: String,
    /// As this node last read it.
    generation: ArcSwap<Generation>,
    evaluation_keys: EvaluationKeys,
    /// Counts of this node, while the servers cannot be reached.
    issuance: IssuanceCounts,
    /// Salt of the users in [`Self::issuance`].
    node_salt: [u8; 32],
    /// Number of replicas that must have a nonce before it counts as spent.
    replicas: u32,
    /// How long the replicas may take.
    replica_milliseconds: u64,
}

/// The servers answer, but what they say rules out that a nonce is spent once.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(
        "redis does not know which nonces were spent: it lost its memory, or a part of it. If issuer keys are \
         left there, delete them too"
    )]
    NoncesLost,
    #[error(
        "redis has no issuer keys, or this node has not read them yet, so it has no salt for the ids of keys"
    )]
    NoSalt,
    #[error("redis: a nonce reached {reached} of {required} replicas")]
    Replicas { reached: u32, required: u32 },
    #[error(
        "redis would forget a nonce while its token is still good: the clock of redis is ahead of this node's"
    )]
    ClockAhead,
    #[error("the lease for keys has ended")]
    LeaseEnded,
    #[error(
        "redis has no memory for an evaluation key. What is left is for nonces; give it more memory, or let \
         `evaluationKeyBytes` and limits of tokens be smaller"
    )]
    NoRoom,
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> Self {
        Self::unavailable(refused)
    }
}

fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(StoreError::unavailable)?;
    Ok(bytes)
}

impl RedisStore {
    /// Checks the addresses and files of the settings. Connects to nothing.
    ///
    /// # Errors
    /// [`StoreError::Setting`] if a setting cannot be used.
    pub(crate) fn check(redis: &RedisSettings) -> Result<(), StoreError> {
        Link::new(redis).map(drop)
    }

    /// Connects to the servers of `redis`. Evaluation keys have the bounds of `settings`.
    ///
    /// # Errors
    /// [`StoreError::Setting`] if a setting cannot be used; [`StoreError::Unavailable`] if the servers cannot be
    /// reached.
    pub async fn open(redis: &RedisSettings, settings: &StoreSettings) -> Result<Self, StoreError> {
        let link = Arc::new(Link::new(redis)?);
        let parts = match redis.topology {
            RedisTopology::Cluster { .. } => CLUSTER_PARTS,
            RedisTopology::Single { .. } | RedisTopology::Sentinel { .. } => 1,
        };
        let evaluation_keys = EvaluationKeys::new(
            Arc::clone(&link),
            redis.prefix.clone(),
            parts,
            settings.evaluation_key_bytes,
            settings.evaluation_key_lifetime.as_secs().max(DAY_SECONDS),
        );
        let store = Self {
            link,
            prefix: redis.prefix.clone(),
            generation: ArcSwap::default(),
            evaluation_keys,
            issuance: IssuanceCounts::default(),
            node_salt: random()?,
            replicas: redis.topology.replicas(),
            // So that the answer arrives within the timeout of the command.
            replica_milliseconds: u64::try_from(redis.timeout.as_millis() / 2).unwrap_or(u64::MAX),
        };
        let _: String = store.link.command(&cmd("PING")).await?;
        store.warn_of_settings().await;
        Ok(store)
    }

    /// Warns of settings with which a server forgets nonces when it crashes or when its memory is full, or takes all
    /// memory of its machine.
    async fn warn_of_settings(&self) {
        let setting = async |name: &str| -> Option<String> {
            let answer: Result<Vec<String>, _> =
                self.link.command(cmd("CONFIG").arg("GET").arg(name)).await;
            answer.ok()?.pop()
        };
        let (appends, syncs) = (setting("appendonly").await, setting("appendfsync").await);
        let evicts = setting("maxmemory-policy").await;
        if setting("maxmemory").await.as_deref() == Some("0") {
            tracing::warn!(
                "redis may take all memory of its machine, and the system may end it then: set `maxmemory`"
            );
        }
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

    /// A cluster keeps keys with the same text in braces on one server: issuer keys and their lease.
    fn issuer_name(&self, name: &str) -> String {
        format!("{}{{issuer}}:{name}", self.prefix)
    }

    fn bucket_name(&self, bucket: u8) -> String {
        format!("{}{{nonces{bucket}}}", self.prefix)
    }

    fn nonce_name(&self, key_id: &[u8; 32], nonce: &[u8; 32]) -> String {
        let bucket = self.bucket_name(nonce[0] % BUCKETS);
        format!("{bucket}:{}:{}", hex::encode(&key_id[..8]), hex::encode(nonce))
    }

    /// Records the ids of issuer keys that were read. Those of another generation are forgotten.
    fn record(&self, salt: [u8; 32], tier: Tier, keys: &KeySet) {
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

    /// Of concurrent calls with one nonce, on any node, one finds it fresh. The stored value is a random
    /// number of the call: a command that is sent again because its answer was lost recognizes its own value.
    async fn spend_once(
        &self,
        key_id: &[u8; 32],
        nonce: &[u8; 32],
        until: Timestamp,
    ) -> Result<Spending, StoreError> {
        let generation = self.generation.load_full();
        let known = generation.key_ids.values().flatten().any(|id| id == key_id);
        let salt = generation.salt.filter(|_| known).ok_or(Refused::NoncesLost)?;
        let mut script = cmd("EVAL");
        script.arg(SPEND).arg(2);
        script.arg(self.nonce_name(key_id, nonce)).arg(self.bucket_name(nonce[0] % BUCKETS));
        script
            .arg(&random::<16>()?)
            .arg(until.unix_seconds())
            .arg((until + Duration::from_secs(DAY_SECONDS)).unix_seconds())
            .arg(&salt);
        let outcome: i32 = match self.replicas {
            0 => self.link.command(&script).await?,
            replicas => self.with_replicas(script, replicas).await?,
        };
        match outcome {
            1 => Ok(Spending::Fresh(Durable::already())),
            0 => Ok(Spending::Spent),
            -2 => Err(Refused::NoncesLost.into()),
            _ => Err(Refused::ClockAhead.into()),
        }
    }

    async fn with_replicas(&self, script: Cmd, replicas: u32) -> Result<i32, StoreError> {
        let mut both = Pipeline::new();
        both.add_command(script);
        both.cmd("WAIT").arg(replicas).arg(self.replica_milliseconds);
        let (outcome, reached): (i32, u32) = self.link.pipeline(&both).await?;
        if reached < replicas {
            return Err(Refused::Replicas { reached, required: replicas }.into());
        }
        Ok(outcome)
    }

    /// Counts a token of a user for all nodes.
    async fn count(&self, user_token: &[u8], limit: IssuanceLimit) -> Result<Issuance, StoreError> {
        let salt = self.generation.load().salt.ok_or(Refused::NoSalt)?;
        let user = hex::encode(issuance::user(&salt, user_token));
        let name = format!("{}{{issued:{user}}}", self.prefix);
        let mut script = cmd("EVAL");
        script.arg(COUNT_ISSUANCE).arg(2).arg(format!("{name}:hour")).arg(format!("{name}:day"));
        script.arg(limit.per_hour.get()).arg(limit.per_day.get());
        script.arg(issuance::HOUR.as_secs()).arg(issuance::DAY.as_secs());
        Ok(match self.link.command(&script).await? {
            0 => Issuance::Allowed,
            seconds => Issuance::Exhausted { retry_after: Duration::from_secs(seconds) },
        })
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
        let damaged = |key, damage, source: Option<Box<dyn Error + Send + Sync>>| {
            let all = self.issuer_name("*");
            StoreError::DamagedShared { key, damage, all, source: source.map(Arc::from) }
        };
        let keys = KeySet::from_json(&text, rotation)
            .map_err(|error| damaged(name, Damage::Content, Some(error.into())))?;
        let generation = self.issuer_name(GENERATION);
        let salt = match salt.map(<[u8; 32]>::try_from) {
            Some(Ok(salt)) => salt,
            Some(Err(_)) => return Err(damaged(generation, Damage::Content, None)),
            None => return Err(damaged(generation, Damage::Missing, None)),
        };
        self.record(salt, tier, &keys);
        Ok(Some(keys))
    }

    /// Begins a generation if there are no issuer keys: no token can be verified yet, so no spent nonce is lost.
    async fn begin(&self, lease: &str) -> Result<(), StoreError> {
        let mut exist = cmd("EXISTS");
        Tier::ALL.iter().for_each(|tier| {
            exist.arg(self.issuer_name(tier.name()));
        });
        let existing: u32 = self.link.command(&exist).await?;
        if existing > 0 {
            return Ok(());
        }
        let salt = random::<32>()?;
        for bucket in 0..BUCKETS {
            self.link.command::<()>(cmd("SET").arg(self.bucket_name(bucket)).arg(&salt)).await?;
        }
        // Last: if this fails, the next attempt begins another generation.
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
            _ => Err(Refused::LeaseEnded.into()),
        }
    }
}

impl Store for RedisStore {
    fn key_id(&self, user: &[u8], key_config_hash: &[u8; 32]) -> Result<KeyId, StoreError> {
        Ok(self.generation.load().key_id(user, key_config_hash)?)
    }

    fn put_evaluation_key(&self, id: KeyId, key: StoredKey, _: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(self.evaluation_keys.put(id, key))
    }

    fn evaluation_key(&self, id: KeyId) -> StoreFuture<'_, Option<StoredKey>> {
        Box::pin(self.evaluation_keys.get(id))
    }

    fn evaluation_key_timestamp(&self, id: KeyId) -> StoreFuture<'_, Option<u64>> {
        Box::pin(self.evaluation_keys.timestamp(id))
    }

    fn touch_evaluation_key(&self, id: KeyId, _: Timestamp) {
        let keys = self.evaluation_keys.clone();
        tokio::spawn(async move {
            // If this fails, the use of another day is as good.
            let _ = keys.touch(id).await;
        });
    }

    fn collect_garbage(&self, _: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(self.evaluation_keys.tend(true))
    }

    fn refresh(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.evaluation_keys.tend(false))
    }

    fn is_spent<'s>(&'s self, key_id: &'s [u8; 32], nonce: &'s [u8; 32]) -> StoreFuture<'s, bool> {
        Box::pin(async move {
            let name = self.nonce_name(key_id, nonce);
            self.link.command(cmd("EXISTS").arg(name)).await
        })
    }

    fn spend<'s>(
        &'s self,
        key_id: &'s [u8; 32],
        nonce: &'s [u8; 32],
        until: Timestamp,
    ) -> StoreFuture<'s, Spending> {
        Box::pin(self.spend_once(key_id, nonce, until))
    }

    fn retain_nonces(&self, _: &[[u8; 32]]) -> StoreFuture<'_, ()> {
        // The server removes expired nonces.
        Box::pin(std::future::ready(Ok(())))
    }

    fn count_issuance<'s>(
        &'s self,
        user_token: &'s [u8],
        limit: IssuanceLimit,
        now: Timestamp,
    ) -> StoreFuture<'s, Issuance> {
        Box::pin(async move {
            // Tokens are issued while the servers are away, and none can be spent.
            let counted = self.count(user_token, limit).await;
            Ok(counted.unwrap_or_else(|_| {
                let user = issuance::user(&self.node_salt, user_token);
                self.issuance.count(user, limit, now)
            }))
        })
    }

    fn issuer_keys(&self, tier: Tier, rotation: Rotation) -> StoreFuture<'_, Option<KeySet>> {
        Box::pin(self.read_issuer_keys(tier, rotation))
    }

    fn lease(&self) -> StoreFuture<'_, Option<Lease>> {
        Box::pin(async move {
            let holder = hex::encode(random::<16>()?);
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
            // Read back together with the generation that it belongs to.
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
        self.evaluation_keys.statistics()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_key_id_without_a_salt() {
        let mut generation = Generation::default();
        assert!(matches!(generation.key_id(b"user", &[1; 32]), Err(Refused::NoSalt)));
        generation.salt = Some([7; 32]);
        let id = generation.key_id(b"user", &[1; 32]).unwrap();
        assert_eq!(id, KeyId::of(&[7; 32], b"user", &[1; 32]));
    }
}
