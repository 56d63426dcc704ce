//! Which layout a data set should get: what lookups would cost in each of many layouts.
//!
//! A [`Tuning`] goes through parameter sets, numbers of hash functions, sizes of buckets, dimensions and numbers of
//! shards that Apple's client code accepts. Counts of the work ([`keyword_pir::cost`]) leave the best few of each
//! number of shards; these are made in memory from the rows, and asked a few test queries. Nothing is written.
//!
//! ```
//! use pir_dataset::tuning::{Rows, Tuning};
//!
//! let tuned = Tuning::new(Rows::Synthetic { rows: 1500, value_bytes: 1 }).trials(1).finish()?;
//! let best = tuned.best().expect("no limits were set");
//! assert_eq!(best.shard_count, 1);
//! assert!(best.has_room_to_grow && best.noise_budget >= 3.0);
//! # Ok::<(), pir_dataset::tuning::TuneError>(())
//! ```

mod error;
mod search;
mod settings;

use crate::processing::rows::{self, RowStore};
use crate::processing::trial::{self, KeyRing, Question};
use crate::progress::{Phase, Progress, Running, Silent};
use keyword_database::RowKind;
use keyword_pir::cost::LookupCounts;
use keyword_pir::cuckoo::{CuckooTables, Row};
use keyword_pir::database::Database;
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::{Execution, Scheme, Server, ShardingFunction};
use search::Possible;
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;

pub use error::TuneError;
pub use settings::Settings;

/// Fewest rows of a shard: this project's client asks in none that has fewer (`docs/privacy.md`).
pub const MIN_ROWS_PER_SHARD: u64 = 1000;
/// Rows of a shard that lookups are planned for where no limit says otherwise.
pub const USUAL_ROWS_PER_SHARD: u64 = 50_000;
/// Largest number of shards, a power of two: systems before 27.3 were seen to take 10,000.
pub const MAX_SHARDS: u32 = 8192;
/// Most rows of a shard that is tried.
const MAX_ROWS_PER_SHARD: u64 = 1 << 20;
/// Most rows of a synthetic data set, and most bytes of its values.
const MAX_SYNTHETIC: (u64, usize) = (1 << 32, 65_535);
/// Layouts of each number of shards that are tried, besides the reference's.
const TRIED: usize = 3;
/// A layout that is expected to take more than this many times the limit is not tried.
const EXPECTED_OVER_LIMIT: f64 = 1.3;

/// The rows that layouts are compared for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rows {
    /// A keyword database: text if the name ends in `.txtpb`, otherwise serialized.
    File(PathBuf),
    /// Rows that are made up.
    Synthetic {
        /// Number of rows, from 1 to 2^32.
        rows: u64,
        /// Length of each value, in bytes.
        value_bytes: usize,
    },
}

/// What a layout must keep to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest time of a core for a lookup, in milliseconds. Default: none.
    pub max_milliseconds: Option<f64>,
    /// Most bits of a keyword's hash that the number of its shard tells. Default: none.
    pub max_bits: Option<u32>,
    /// Largest reply, in bytes. Default: none.
    pub max_reply_bytes: Option<usize>,
    /// Smallest noise budget that test queries leave, in bits. Default 3: one more than `process` asks for, because
    /// queries differ by about one.
    pub min_noise_budget: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_milliseconds: None,
            max_bits: None,
            max_reply_bytes: None,
            min_noise_budget: 3.0,
        }
    }
}

/// A layout that was tried.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Candidate {
    /// What a configuration of `process` has for it.
    pub settings: Settings,
    /// Number of shards.
    pub shard_count: u32,
    /// Bits of a keyword's hash that the number of its shard tells whoever answers.
    pub bits: u32,
    /// Rows of the shard that was tried: the largest one.
    pub rows_per_shard: u64,
    /// Lengths of the dimensions.
    pub dimensions: Vec<u64>,
    /// The counts of the work on a lookup.
    #[serde(skip)]
    pub counts: LookupCounts,
    /// Time of a core for a lookup whose evaluation key is ready: the shortest of the trials, in milliseconds.
    pub server_milliseconds: f64,
    /// Size of a query, in bytes.
    pub query_bytes: usize,
    /// Size of a reply, in bytes.
    pub reply_bytes: usize,
    /// Size of the evaluation key that a client uploads, in bytes.
    pub evaluation_key_bytes: usize,
    /// Rows that a reply shows to a client, mean of the trials.
    pub rows_shown: f64,
    /// The smallest noise budget that a test query left, in bits.
    pub noise_budget: f64,
    /// Whether a tenth more rows fit before clients need another configuration.
    pub has_room_to_grow: bool,
    /// Whether all limits are kept.
    pub keeps_limits: bool,
}

/// What a tuning found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Tuned {
    /// Number of rows.
    pub rows: u64,
    /// Length of the longest value, in bytes.
    pub longest_value: usize,
    /// Layouts that were compared by their counts.
    pub compared: usize,
    /// Those that were tried, by the number of shards and then by time.
    pub candidates: Vec<Candidate>,
    /// Position of the recommended one among them.
    pub recommended: Option<usize>,
}

impl Tuned {
    /// The recommended layout: of those that keep the limits and have room to grow, the one with the fewest bits if
    /// times are limited, and otherwise the fastest one. `None` if no layout does.
    #[must_use]
    pub fn best(&self) -> Option<&Candidate> {
        self.candidates.get(self.recommended?)
    }
}

/// Compares layouts for some rows; [`finish`](Self::finish) does the work.
#[must_use = "nothing happens before `finish`"]
pub struct Tuning<'t> {
    rows: Rows,
    limits: Limits,
    shard_count: Option<u32>,
    trials: usize,
    progress: &'t dyn Progress,
}

impl<'t> Tuning<'t> {
    /// Layouts for some rows, without limits, with five test queries each.
    pub fn new(rows: Rows) -> Self {
        Self { rows, limits: Limits::default(), shard_count: None, trials: 5, progress: &Silent }
    }

    /// What layouts must keep to. Those that do not are still listed.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Compares layouts of this number of shards only, a power of two.
    pub fn shard_count(mut self, count: u32) -> Self {
        self.shard_count = Some(count);
        self
    }

    /// Number of test queries for each layout, at least 1.
    pub fn trials(mut self, trials: usize) -> Self {
        self.trials = trials.max(1);
        self
    }

    /// Who is told how far it is.
    pub fn progress(mut self, progress: &'t dyn Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Compares and tries layouts.
    ///
    /// # Errors
    /// [`TuneError`].
    pub fn finish(self) -> Result<Tuned, TuneError> {
        if let Some(count) = self.shard_count
            && !(count.is_power_of_two() && count <= MAX_SHARDS)
        {
            return Err(TuneError::ShardCount { count });
        }
        let mut shards = Shards::read(&self.rows, self.progress)?;
        let counts = match self.shard_count {
            Some(count) => vec![count],
            None => shard_counts(shards.rows, &self.limits),
        };
        let mut compared = 0;
        let mut chosen: Vec<Possible> = Vec::new();
        for &count in &counts {
            let rows = shards.rows.div_ceil(u64::from(count));
            let value_bytes = rows::value_bytes_of(rows, shards.rows, shards.value_bytes);
            let possible = search::possible(rows, value_bytes, shards.longest_value);
            compared += possible.len();
            let max = self.limits.max_reply_bytes;
            chosen.extend(search::ranked(possible, count, max));
        }
        // The cheapest first, so that what would take too long is known to before it is tried.
        chosen.sort_by(|a, b| a.work.total_cmp(&b.work));
        let candidates = self.try_all(&chosen, &mut shards)?;
        let recommended = recommend(&candidates, &self.limits, shards.rows, self.shard_count);
        Ok(Tuned {
            rows: shards.rows,
            longest_value: shards.longest_value,
            compared,
            candidates,
            recommended,
        })
    }

    fn try_all(
        &self,
        chosen: &[Possible],
        shards: &mut Shards,
    ) -> Result<Vec<Candidate>, TuneError> {
        let mut workshop = Workshop::default();
        let mut milliseconds_a_work = f64::INFINITY;
        let mut candidates = Vec::new();
        let phase = Running::begin(self.progress, Phase::TryingLayouts, chosen.len() as u64);
        // Of each number of shards and kind, those that left enough noise budget: counts know nothing of noise.
        let mut found: BTreeMap<(u32, Kind), usize> = BTreeMap::new();
        for possible in chosen {
            let kind = Kind::of(&possible.settings);
            let found = found.entry((possible.shard_count, kind)).or_default();
            if *found >= kind.wanted() {
                phase.advance(1);
                continue;
            }
            let expected = possible.work * milliseconds_a_work;
            let is_hopeless = self
                .limits
                .max_milliseconds
                .is_some_and(|max| expected.is_finite() && expected > EXPECTED_OVER_LIMIT * max);
            let tried = match is_hopeless {
                true => None,
                false => workshop.attempt(possible, shards, self.trials)?,
            };
            if let Some(mut candidate) = tried {
                let share = candidate.server_milliseconds / possible.work;
                milliseconds_a_work = milliseconds_a_work.min(share);
                candidate.keeps_limits = keeps(&candidate, &self.limits);
                if candidate.noise_budget >= self.limits.min_noise_budget {
                    *found += 1;
                    candidates.push(candidate);
                }
            }
            phase.advance(1);
        }
        candidates.sort_by(|a, b| {
            let time = a.server_milliseconds.total_cmp(&b.server_milliseconds);
            a.shard_count.cmp(&b.shard_count).then(time)
        });
        Ok(candidates)
    }
}

/// What a layout is tried for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Reference,
    WithRoom,
    WithoutRoom,
}

impl Kind {
    fn of(settings: &Settings) -> Self {
        match (settings.is_reference(), settings.has_room_to_grow()) {
            (true, _) => Self::Reference,
            (false, true) => Self::WithRoom,
            (false, false) => Self::WithoutRoom,
        }
    }

    /// How many are listed.
    fn wanted(self) -> usize {
        match self {
            Self::WithRoom => TRIED,
            Self::Reference | Self::WithoutRoom => 1,
        }
    }
}

fn keeps(candidate: &Candidate, limits: &Limits) -> bool {
    limits.max_milliseconds.is_none_or(|max| candidate.server_milliseconds <= max)
        && limits.max_bits.is_none_or(|max| candidate.bits <= max)
        && limits.max_reply_bytes.is_none_or(|max| candidate.reply_bytes <= max)
        && candidate.noise_budget >= limits.min_noise_budget
}

fn recommend(
    candidates: &[Candidate],
    limits: &Limits,
    rows: u64,
    shard_count: Option<u32>,
) -> Option<usize> {
    // Without a limit that decides about the number of shards, the usual one.
    let usual = match (shard_count, limits.max_milliseconds, limits.max_bits) {
        (None, None, None) => Some(usual_count(rows)),
        _ => None,
    };
    let numbered = candidates.iter().enumerate().filter(|(_, candidate)| {
        candidate.keeps_limits
            && candidate.has_room_to_grow
            && usual.is_none_or(|count| candidate.shard_count == count)
    });
    let best = numbered.min_by(|(_, a), (_, b)| {
        let time = a.server_milliseconds.total_cmp(&b.server_milliseconds);
        match limits.max_milliseconds {
            Some(_) => a.bits.cmp(&b.bits).then(time),
            None => time,
        }
    });
    best.map(|(number, _)| number)
}

/// The power of two that is nearest to shards of the usual size.
fn usual_count(rows: u64) -> u32 {
    let mut count = 1;
    // Between a count and its double, the geometric mean decides.
    while count < MAX_SHARDS
        && rows.saturating_mul(10) > u64::from(count) * USUAL_ROWS_PER_SHARD * 14
    {
        count *= 2;
    }
    count
}

/// The numbers of shards that are compared.
fn shard_counts(rows: u64, limits: &Limits) -> Vec<u32> {
    let usual = usual_count(rows);
    let possible = |count: &u32| {
        let rows = rows / u64::from(*count);
        *count == 1 || (MIN_ROWS_PER_SHARD..=MAX_ROWS_PER_SHARD).contains(&rows)
    };
    let powers = (0..=MAX_SHARDS.ilog2()).map(|bits| 1_u32 << bits).filter(possible);
    let mut counts: Vec<u32> = match (limits.max_milliseconds, limits.max_bits) {
        (None, None) => powers.filter(|count| (usual / 2..=usual * 2).contains(count)).collect(),
        (_, Some(bits)) => powers.filter(|count| count.ilog2() <= bits).collect(),
        (Some(_), None) => powers.collect(),
    };
    if limits.max_milliseconds.is_none() {
        // More shards are always faster, so the largest numbers are what counts.
        counts.drain(..counts.len().saturating_sub(4));
    }
    counts
}

/// Rows, and the shards that they make.
struct Shards {
    store: RowStore,
    rows: u64,
    value_bytes: u64,
    longest_value: usize,
    /// Of synthetic rows, which are made as one shard needs them, the length of values.
    synthetic: Option<usize>,
    /// The largest shard of the number of shards that was asked for last.
    current: (u32, Vec<u32>),
}

impl Shards {
    fn read(rows: &Rows, progress: &dyn Progress) -> Result<Self, TuneError> {
        let shards = match rows {
            Rows::File(path) => {
                let store = rows::read_file(path, RowKind::Keyword, progress)?;
                let (rows, value_bytes) = (store.len() as u64, store.value_bytes());
                let longest_value = store.longest_value();
                let current = (0, Vec::new());
                Self { store, rows, value_bytes, longest_value, synthetic: None, current }
            }
            &Rows::Synthetic { rows, value_bytes: length } => {
                if rows > MAX_SYNTHETIC.0 || length > MAX_SYNTHETIC.1 {
                    return Err(TuneError::TooLarge);
                }
                Self {
                    store: RowStore::default(),
                    rows,
                    value_bytes: rows * length as u64,
                    longest_value: length,
                    synthetic: Some(length),
                    current: (0, Vec::new()),
                }
            }
        };
        if shards.rows == 0 {
            return Err(TuneError::NoRows);
        }
        Ok(shards)
    }

    /// The rows of the largest shard, by number.
    fn largest(&mut self, count: u32) -> Result<&[u32], TuneError> {
        if self.current.0 != count {
            let function = ShardingFunction::Sha256;
            let shards = match self.synthetic {
                Some(length) => {
                    let mut store = RowStore::default();
                    let value = vec![b'1'; length];
                    for row in 0..self.rows.div_ceil(u64::from(count)) {
                        let keyword = format!("host{row}.example/path{row}");
                        store.push(keyword.as_bytes(), &value).map_err(|_| TuneError::TooLarge)?;
                    }
                    self.store = store;
                    self.store.by_keyword(function, 1)
                }
                None => self.store.by_keyword(function, count),
            };
            let shards = shards.map_err(crate::processing::ProcessError::from)?;
            let largest = shards.into_iter().max_by_key(Vec::len).expect("there is a shard");
            self.current = (count, largest);
        }
        Ok(&self.current.1)
    }
}

/// What trials share: tables and test keys of each parameter set.
#[derive(Default)]
struct Workshop(BTreeMap<&'static str, (Scheme, KeyRing)>);

impl Workshop {
    /// Makes a shard in memory and asks it test queries; `None` if the rows do not fit, or a lookup fails.
    fn attempt(
        &mut self,
        possible: &Possible,
        shards: &mut Shards,
        trials: usize,
    ) -> Result<Option<Candidate>, TuneError> {
        let settings = &possible.settings;
        let plan: Plan = settings.plan();
        let (scheme, ring) = match self.0.entry(settings.set()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let scheme = Scheme::new(plan.encryption.clone())?;
                entry.insert((scheme, KeyRing::default()))
            }
        };
        let longest = shards.longest_value;
        shards.largest(possible.shard_count)?;
        let (store, numbers) = (&shards.store, &shards.current.1);
        let rows: Vec<Row<'_>> = numbers.iter().map(|&row| store.row(row)).collect();
        let Ok(tables) = CuckooTables::build(&plan.cuckoo(longest), &rows) else { return Ok(None) };
        let Ok(parameters) = plan.keyword_shard(&tables) else { return Ok(None) };
        let counts = LookupCounts::of(&parameters).map_err(TuneError::Parameters)?;
        let payloads = Payloads::of_tables(parameters.clone(), &tables)?;
        let database = Database::of_payloads(scheme, &payloads)?;
        drop(payloads);
        let server = Server::new(scheme.clone(), database)?;
        let step = NonZero::new(numbers.len() / trials).map_or(1, NonZero::get);
        let questions: Vec<Question<'_>> = (0..trials)
            .filter_map(|trial| numbers.get(trial * step % numbers.len().max(1)))
            .map(|&row| Question::Keyword { keyword: store.keyword(row), value: store.value(row) })
            .collect();
        let min = f64::NEG_INFINITY;
        let Ok(costs) = trial::run(ring, scheme, &server, &questions, Execution::new(), min) else {
            return Ok(None);
        };
        let times = match &costs.processor_milliseconds[..] {
            [] => &costs.runtime_milliseconds,
            times => times,
        };
        let shown: usize = costs.entry_count_per_response.iter().sum();
        Ok(Some(Candidate {
            settings: settings.clone(),
            shard_count: possible.shard_count,
            bits: possible.shard_count.ilog2(),
            rows_per_shard: numbers.len() as u64,
            dimensions: parameters.description().dimensions.clone(),
            counts,
            server_milliseconds: times.iter().copied().fold(f64::INFINITY, f64::min),
            query_bytes: costs.query_bytes,
            reply_bytes: costs.response_bytes,
            evaluation_key_bytes: costs.evaluation_key_bytes,
            rows_shown: shown as f64 / questions.len().max(1) as f64,
            noise_budget: costs.noise_budget,
            has_room_to_grow: settings.has_room_to_grow(),
            keeps_limits: true,
        }))
    }
}

#[cfg(test)]
mod tests;
