//! Evaluation keys in the shared store, within a budget of bytes and of the server's memory.
//!
//! Keys are in parts, so that a cluster can spread them; each part is on one server, with a record of what it holds:
//!
//! | key | content |
//! | --- | --- |
//! | `<prefix>{keys<part>}:<key id>` | timestamp, SHA-256 and bytes of an evaluation key |
//! | `<prefix>{keys<part>}:used` | sorted set: key ids by the time of their last use |
//! | `<prefix>{keys<part>}:bytes` | hash: length of each key, and `total` |
//!
//! The server evicts nothing by itself, because it could evict nonces. So the scripts here remove the least recently
//! used evaluation keys: when a part is above its share of `store.evaluationKeyBytes`, and when everything that the
//! server holds takes more than [`MAX_FILL_PERCENT`] of its memory. What is above that is left to nonces, issuer keys and
//! counters. If evaluation keys cannot make room, no further one is stored.

use super::super::{KeyId, StoreError, StoreStatistics, StoredKey};
use super::Refused;
use super::link::Link;
use redis::cmd;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes before an evaluation key: its timestamp (little-endian) and its SHA-256.
const HEAD_BYTES: usize = 8 + 32;
/// Number of parts in a cluster, which keeps each part on one of its servers.
pub(super) const CLUSTER_PARTS: u8 = 16;
/// Percentage of a server's memory above which evaluation keys are removed and no further ones are stored.
const MAX_FILL_PERCENT: u32 = 80;

/// What both scripts begin with. `KEYS`: times of last use, lengths. `ARGV`: what names of evaluation keys begin with,
/// percentage of the memory. `room` is how much more the server may hold; `nil` if it does not say.
///
/// A server that is full refuses to count down, but not to delete: the total is then too high until it is counted again.
const COMMON: &str = "local function forget(id) \
        local bytes = tonumber(redis.call('hget', KEYS[2], id) or 0) \
        local deleted = redis.call('del', ARGV[1] .. id) \
        redis.call('zrem', KEYS[1], id) \
        redis.call('hdel', KEYS[2], id) \
        redis.pcall('hincrby', KEYS[2], 'total', -bytes) \
        return bytes, deleted * bytes \
    end \
    local time = redis.call('time') \
    local now = time[1] + time[2] / 1000000 \
    local room, used, max = nil, 0, 0 \
    local info = redis.pcall('info', 'memory') \
    if type(info) == 'string' then \
        max = tonumber(string.match(info, 'maxmemory:(%d+)') or 0) \
        if max == 0 then max = tonumber(string.match(info, 'total_system_memory:(%d+)') or 0) end \
        used = tonumber(string.match(info, 'used_memory:(%d+)') or 0) \
        if max > 0 then room = math.floor(max / 100 * ARGV[2]) - used end \
    end ";

/// Stores an evaluation key under the id `ARGV[3]` with the value `ARGV[4]` for `ARGV[5]` seconds, after removing as many as the budget
/// of `ARGV[6]` bytes and the memory demand. 0 if there is no room for it.
const PUT: &str = "local id, length = ARGV[3], #ARGV[4] \
    local _, freed = forget(id) \
    local total = tonumber(redis.call('hget', KEYS[2], 'total') or 0) \
    while total + length > tonumber(ARGV[6]) or (room and room + freed < length) do \
        local first = redis.call('zrange', KEYS[1], 0, 0)[1] \
        if not first then break end \
        local bytes, more = forget(first) \
        total, freed = total - bytes, freed + more \
    end \
    if room and room + freed < length then return 0 end \
    local done = redis.pcall('set', ARGV[1] .. id, ARGV[4], 'ex', ARGV[5]) \
    if type(done) == 'table' and done.err then return 0 end \
    redis.call('zadd', KEYS[1], now, id) \
    redis.call('hset', KEYS[2], id, length) \
    redis.call('hincrby', KEYS[2], 'total', length) \
    return 1";

/// Removes evaluation keys that were not used for `ARGV[3]` seconds, and as many as the memory demands, up to `ARGV[4]` in one
/// call. Counts the total again if `ARGV[5]` is 1. Returns how many keys there are, their bytes, and the memory that the
/// server uses and has.
const TEND: &str = "local left = tonumber(ARGV[4]) \
    for _, id in ipairs(redis.call('zrangebyscore', KEYS[1], '-inf', now - ARGV[3], 'limit', 0, left)) do \
        forget(id) \
        left = left - 1 \
    end \
    while room and room < 0 and left > 0 do \
        local first = redis.call('zrange', KEYS[1], 0, 0)[1] \
        if not first then break end \
        local _, more = forget(first) \
        room, used, left = room + more, used - more, left - 1 \
    end \
    if ARGV[5] == '1' then \
        redis.call('hdel', KEYS[2], 'total') \
        local total = 0 \
        for _, bytes in ipairs(redis.call('hvals', KEYS[2])) do total = total + bytes end \
        redis.pcall('hset', KEYS[2], 'total', total) \
    end \
    local total = tonumber(redis.call('hget', KEYS[2], 'total') or 0) \
    return { redis.call('zcard', KEYS[1]), total, used, max }";

/// Records a use of the evaluation key `KEYS[1]` with the id `ARGV[1]`, which then expires in `ARGV[2]` seconds.
const TOUCH: &str = "if redis.call('expire', KEYS[1], ARGV[2]) == 1 then \
        local time = redis.call('time') \
        redis.call('zadd', KEYS[2], 'XX', time[1] + time[2] / 1000000, ARGV[1]) \
    end \
    return 1";

/// Largest number of keys that one call of [`TEND`] removes: the server answers nobody else meanwhile.
const MAX_REMOVED: u32 = 1000;

/// The evaluation keys of a shared store.
#[derive(Clone)]
pub(super) struct EvaluationKeys {
    link: Arc<Link>,
    prefix: String,
    parts: u8,
    /// Bytes of the keys of one part.
    part_bytes: u64,
    /// How long a key is kept without use.
    seconds: u64,
    /// As this node last read them.
    statistics: Arc<Mutex<StoreStatistics>>,
}

/// The names of a part.
struct Part {
    values: String,
    used: String,
    bytes: String,
}

impl EvaluationKeys {
    pub(super) fn new(
        link: Arc<Link>,
        prefix: String,
        parts: u8,
        max_bytes: u64,
        seconds: u64,
    ) -> Self {
        let part_bytes = max_bytes / u64::from(parts);
        Self { link, prefix, parts, part_bytes, seconds, statistics: Arc::default() }
    }

    fn part(&self, number: u8) -> Part {
        let values = format!("{}{{keys{number}}}:", self.prefix);
        Part { used: format!("{values}used"), bytes: format!("{values}bytes"), values }
    }

    fn part_of(&self, id: KeyId) -> Part {
        self.part(id.as_bytes()[0] % self.parts)
    }

    fn name(&self, id: KeyId) -> String {
        self.part_of(id).values + &hex::encode(id.as_bytes())
    }

    fn script(text: &str, part: &Part) -> redis::Cmd {
        let mut script = cmd("EVAL");
        script.arg(format!("{COMMON}{text}")).arg(2).arg(&part.used).arg(&part.bytes);
        script.arg(&part.values).arg(MAX_FILL_PERCENT);
        script
    }

    pub(super) async fn put(&self, id: KeyId, key: StoredKey) -> Result<(), StoreError> {
        let mut value = Vec::with_capacity(HEAD_BYTES + key.bytes.len());
        value.extend(key.timestamp.to_le_bytes());
        value.extend(Sha256::digest(&key.bytes));
        value.extend(&key.bytes);
        let mut script = Self::script(PUT, &self.part_of(id));
        script.arg(hex::encode(id.as_bytes())).arg(value).arg(self.seconds).arg(self.part_bytes);
        // A server that was full when the script began refuses to store, although the script has made room.
        for _ in 0..2 {
            if self.link.command::<u32>(&script).await? == 1 {
                return Ok(());
            }
        }
        Err(Refused::NoRoom.into())
    }

    pub(super) async fn get(&self, id: KeyId) -> Result<Option<StoredKey>, StoreError> {
        let value: Option<Vec<u8>> = self.link.command(cmd("GET").arg(self.name(id))).await?;
        Ok(value.and_then(|value| {
            let (head, bytes) = value.split_first_chunk::<HEAD_BYTES>()?;
            let whole = Sha256::digest(bytes)[..] == head[8..];
            let timestamp = u64::from_le_bytes(*head.first_chunk()?);
            whole.then(|| StoredKey { timestamp, bytes: bytes.to_vec() })
        }))
    }

    pub(super) async fn timestamp(&self, id: KeyId) -> Result<Option<u64>, StoreError> {
        let mut range = cmd("GETRANGE");
        range.arg(self.name(id)).arg(0).arg(7);
        let head: Vec<u8> = self.link.command(&range).await?;
        Ok(head.try_into().ok().map(u64::from_le_bytes))
    }

    pub(super) async fn touch(&self, id: KeyId) -> Result<(), StoreError> {
        let mut script = cmd("EVAL");
        script.arg(TOUCH).arg(2).arg(self.name(id)).arg(self.part_of(id).used);
        script.arg(hex::encode(id.as_bytes())).arg(self.seconds);
        self.link.command::<u32>(&script).await.map(drop)
    }

    /// Removes keys that were not used for long, or that the server has no memory for, and reads the statistics. With
    /// `recount`, the bytes of all keys are counted again.
    pub(super) async fn tend(&self, recount: bool) -> Result<(), StoreError> {
        let mut all = StoreStatistics::default();
        for number in 0..self.parts {
            let mut script = Self::script(TEND, &self.part(number));
            script.arg(self.seconds).arg(MAX_REMOVED).arg(u8::from(recount));
            let (keys, bytes, used, max): (u64, u64, u64, u64) = self.link.command(&script).await?;
            all.evaluation_keys += keys;
            all.evaluation_key_bytes += bytes;
            // Of several servers, the fullest.
            let fuller = u128::from(used) * u128::from(all.capacity_bytes)
                >= u128::from(all.used_bytes) * u128::from(max);
            if max > 0 && fuller {
                (all.used_bytes, all.capacity_bytes) = (used, max);
            }
        }
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    pub(super) fn statistics(&self) -> StoreStatistics {
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
