//! How rows are divided among shards.

use super::{ConfigurationError, MAX_SHARDS};
use serde::{Deserialize, Serialize};

/// A shard may cost this many times what was planned before the next larger power of two is taken: another
/// doubling tells whoever answers one more bit of each keyword's hash.
const MAX_OVER_PLANNED: f64 = 1.1;

/// How rows are divided among shards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sharding {
    shard_count: Option<u32>,
    entry_count_per_shard: Option<u64>,
    max_shard_count: Option<u32>,
    require_power_of_two_shard_count: Option<bool>,
}

impl Default for Sharding {
    fn default() -> Self {
        Self {
            shard_count: Some(1),
            entry_count_per_shard: None,
            max_shard_count: None,
            require_power_of_two_shard_count: None,
        }
    }
}

/// A number of shards, and what it means where it is not the number that was asked for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShardCount {
    /// The number of shards.
    pub count: u32,
    /// What rounding to a power of two costs; `None` if nothing was rounded.
    pub rounding: Option<Rounding>,
}

/// What rounding to a power of two costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rounding {
    /// The rows of a shard that were asked for (`entryCountPerShard`).
    pub planned_rows: u64,
    /// The rows of a shard that there are.
    pub rows_per_shard: u64,
    /// The cost of a lookup, of what one in a shard of `planned_rows` rows costs.
    pub cost: f64,
    /// The power of two on the other side.
    pub other_count: u32,
    /// The cost of a lookup with that number.
    pub other_cost: f64,
}

impl Sharding {
    pub(super) fn check(&self) -> Result<(), ConfigurationError> {
        let key = "sharding";
        let limit = |what: &str| format!("{what} from 1 to {MAX_SHARDS} is needed");
        let refuse = |found: &dyn ToString, expected| {
            Err(ConfigurationError::Value { key, found: found.to_string(), expected })
        };
        if self.max_shard_count == Some(0) {
            return refuse(&0, limit("a maxShardCount"));
        }
        match (self.shard_count, self.entry_count_per_shard) {
            (Some(count), None) => {
                if !(1..=MAX_SHARDS).contains(&count) {
                    return refuse(&count, limit("a shardCount"));
                }
                if let Some(max) = self.max_shard_count.filter(|&max| count > max) {
                    return refuse(&count, format!("maxShardCount allows {max}"));
                }
                if self.require_power_of_two_shard_count == Some(true) && !count.is_power_of_two() {
                    let expected = "requirePowerOfTwoShardCount wants a power of two".to_owned();
                    return refuse(&count, expected);
                }
                Ok(())
            }
            (None, Some(0)) => {
                refuse(&0, "an entryCountPerShard of at least 1 is needed".to_owned())
            }
            (None, Some(_)) => Ok(()),
            _ => Err(ConfigurationError::Conflict {
                key,
                why: "exactly one of shardCount and entryCountPerShard is needed",
            }),
        }
    }

    fn max(&self) -> u32 {
        self.max_shard_count.unwrap_or(MAX_SHARDS).min(MAX_SHARDS)
    }

    /// The number of shards for a number of rows, rounded down as the reference's tool does.
    #[must_use]
    pub fn count(&self, rows: u64) -> u32 {
        let Some(per_shard) = self.entry_count_per_shard else {
            return self.shard_count.unwrap_or(1);
        };
        let count = (rows / per_shard).clamp(1, u64::from(self.max())) as u32;
        match self.require_power_of_two_shard_count {
            Some(true) => 1 << count.ilog2(),
            _ => count,
        }
    }

    /// As [`count`](Self::count), but a power of two is rounded up where a lookup would otherwise cost more than
    /// 1.1 times what it costs with `entryCountPerShard` rows a shard. `cost` is the cost of a lookup in a shard of so
    /// many rows, in any unit.
    ///
    /// An `earlier` number of shards stays as long as it would be right for a number of rows within a quarter of
    /// this one, by either way of rounding: every client must fetch a new configuration when it changes.
    #[must_use]
    pub fn choose(&self, rows: u64, earlier: Option<u32>, cost: impl Fn(u64) -> f64) -> ShardCount {
        let quarter = rows / 4;
        let (fewer, more) = (rows - quarter, rows.saturating_add(quarter));
        let is_power = self.require_power_of_two_shard_count == Some(true);
        let per_shard = self.entry_count_per_shard.filter(|_| is_power);
        let pick = |rows: u64| {
            let down = self.count(rows);
            match per_shard {
                Some(per_shard) => self.rounded(rows, down, cost(per_shard), &cost),
                None => down,
            }
        };
        let stays = |&earlier: &u32| {
            let odd = is_power && !earlier.is_power_of_two();
            let near = |low: u32, high: u32| (low..=high).contains(&earlier);
            !odd && (near(self.count(fewer), self.count(more)) || near(pick(fewer), pick(more)))
        };
        let count = earlier.filter(stays).unwrap_or_else(|| pick(rows));
        let rounding = per_shard.and_then(|per_shard| self.rounding(rows, count, per_shard, &cost));
        ShardCount { count, rounding }
    }

    /// The power of two `down`, or the next one.
    fn rounded(&self, rows: u64, down: u32, planned: f64, cost: &impl Fn(u64) -> f64) -> u32 {
        let up = down.saturating_mul(2);
        let at = |count: u32| cost(rows.div_ceil(u64::from(count)));
        let is_dear = at(down) > MAX_OVER_PLANNED * planned;
        if up <= self.max() && is_dear && at(up) < at(down) { up } else { down }
    }

    fn rounding(
        &self,
        rows: u64,
        count: u32,
        planned_rows: u64,
        cost: &impl Fn(u64) -> f64,
    ) -> Option<Rounding> {
        let rows_per_shard = rows.div_ceil(u64::from(count));
        let other_count = match rows_per_shard.cmp(&planned_rows) {
            std::cmp::Ordering::Greater => count.saturating_mul(2),
            // A single shard has no fewer.
            std::cmp::Ordering::Less if count > 1 => count / 2,
            _ => return None,
        };
        let planned = cost(planned_rows);
        let relative = |count: u32| cost(rows.div_ceil(u64::from(count))) / planned;
        let is_possible = other_count <= self.max() && planned > 0.0 && planned.is_finite();
        is_possible.then(|| Rounding {
            planned_rows,
            rows_per_shard,
            cost: relative(count),
            other_count,
            other_cost: relative(other_count),
        })
    }
}
