//! Why a filter does not match keys that should be in it.
//!
//! People build filters with tools of their own, and a device says nothing about what is wrong with
//! them. [`diagnose`] tries every plausible mistake, and every combination of them, against the bits. The
//! one with the fewest deviations under which all keys are present explains the file.
//!
//! ```
//! use blocklist::diagnose::diagnose;
//! use filter_core::bloom::{BloomFilter, Parameters};
//! use filter_core::file::Description;
//!
//! let mut filter = BloomFilter::empty(Parameters::new(500, 10, 1)?);
//! filter.insert_all(["https://example.com/a", "https://example.org/b"].map(str::as_bytes));
//! let keys = ["example.com/a", "example.org/b"];
//! let diagnosis = diagnose(filter.parameters(), filter.bytes(), &Description::default(), &keys, &[]);
//! let explanation = diagnosis.explanation.ok_or("nothing found")?;
//! assert_eq!(explanation.deviations[0].name(), "key-form");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod deviation;
mod hypothesis;
#[cfg(test)]
mod tests;

pub use deviation::{Deviation, KeyVariant};

use crate::builder::plausible;
use crate::key::verbatim::is_asked;
use crate::key::{EntryKind, KeyRules, NameRules, ONBOARDING_ENTRY, Refusal, canonicalise};
use filter_core::bloom::Parameters;
use filter_core::file::Description;
use filter_core::sub_url::SubUrlRule;
use hypothesis::{Hypothesis, hypotheses};
use std::collections::{HashMap, HashSet};

/// The number of keys that are tried under every hypothesis. The rest of a longer list is tried only under
/// those that fit the sample.
const MAX_SAMPLE: usize = 1_000;

/// The number of missing keys that a diagnosis names.
const MAX_MISSING: usize = 10;

/// The largest [`Explanation::chance`] of a conclusive explanation.
const MAX_CHANCE: f64 = 1e-3;

/// A way of building under which all keys are in the filter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// How it differs from what devices expect; empty if it does not.
    pub deviations: Vec<Deviation>,
    /// Whether the keys, inserted in this way, give exactly the bits of the file.
    pub reproduces: bool,
    /// The probability that one of the ways that were tried fits the keys by chance, from 0 to 1: the expected number of ways in
    /// which the filter would have, by chance, all of the keys that a device misses.
    pub chance: f64,
}

impl Explanation {
    /// Whether the explanation is hardly a coincidence: it reproduces the file, or its `chance` is below
    /// 0.001.
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        self.reproduces || self.chance < MAX_CHANCE
    }
}

/// Which keys a device would find in a filter, and why it would miss the others.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The number of distinct keys that were looked for, without the refused ones.
    pub keys: usize,
    /// The number of them that a device would find.
    pub present: usize,
    /// The first ten, at most, of those that it would not find.
    pub missing: Vec<String>,
    /// The number of distinct keys that a filter need not have: no device can look them up, or
    /// [`Builder`](crate::builder::Builder) leaves them out unless an option allows them, and the filter has them not.
    pub refused: usize,
    /// The first ten of them, at most, each with its reason.
    pub refused_examples: Vec<(String, Refusal)>,
    /// The way of building with the fewest deviations under which all keys are present, if one was found.
    pub explanation: Option<Explanation>,
}

impl Diagnosis {
    /// Whether there are keys and a device would find all of them.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.present == self.keys && self.keys > 0
    }
}

/// Looks for `keys` in the bits as a device would, and if some are missing, for the mistake that
/// explains it.
///
/// `stated` are the parameters in the file. `seeds` are further Murmur seeds that the builder may have
/// used. The bits need not be a valid filter: bits beyond their end count as not set.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "no panic is possible")]
pub fn diagnose(
    stated: Parameters,
    bytes: &[u8],
    description: &Description,
    keys: &[impl AsRef<str>],
    seeds: &[u32],
) -> Diagnosis {
    let rule = description.rule.clone().unwrap_or_default();
    let (mut all, mut refused) = candidates(keys, &rule);
    let ways = |keys: &[Candidate<'_>]| hypotheses(stated, description, keys.len() as u64, seeds);
    let mut hypotheses = ways(&all);
    let device =
        hypotheses.first().expect("devices' own way of building is the first hypothesis").clone();
    // A row of a data set is its own key, if a device asks for it as it stands.
    for key in &mut all {
        if key.key != key.given && device.finds(bytes, key.given) && is_own_key(key.given, &rule) {
            key.key = key.given.to_owned();
        }
    }
    let fits = |hypothesis: &Hypothesis, keys: &[Candidate<'_>]| {
        let sample = &keys[..keys.len().min(MAX_SAMPLE)];
        [sample, keys].iter().all(|keys| keys.iter().all(|key| hypothesis.holds(bytes, key)))
    };
    // What builds leave out tells nothing if it is missing, unless the likeliest mistake explains that as well.
    let is_needed = |key: &Candidate<'_>| key.left_out.is_none() || device.holds(bytes, key);
    if !all.iter().all(is_needed) {
        let deviations = |ways: &[Hypothesis], keys: &[Candidate<'_>]| {
            let way = ways.iter().find(|way| fits(way, keys));
            way.map_or(usize::MAX, |way| way.deviations(stated).len())
        };
        let deviations_of_all = deviations(&hypotheses, &all);
        let (needed, left_out): (Vec<_>, Vec<_>) = all.into_iter().partition(is_needed);
        let ways_of_needed = ways(&needed);
        let is_explained = deviations_of_all != usize::MAX
            && deviations_of_all <= deviations(&ways_of_needed, &needed);
        all = needed;
        if is_explained {
            all.extend(left_out);
        } else {
            let left_out = left_out.iter();
            refused.extend(left_out.filter_map(|key| Some((key.place, key.given, key.left_out?))));
            refused.sort_unstable_by_key(|&(place, ..)| place);
            hypotheses = ways_of_needed;
        }
    }
    let (present, missing): (Vec<_>, Vec<_>) = all.iter().partition(|key| device.holds(bytes, key));
    let mut diagnosis = Diagnosis {
        keys: all.len(),
        present: present.len(),
        missing: missing.iter().take(MAX_MISSING).map(|key| key.given.to_owned()).collect(),
        refused: refused.len(),
        refused_examples: refused
            .iter()
            .take(MAX_MISSING)
            .map(|&(_, given, refusal)| (given.to_owned(), refusal))
            .collect(),
        explanation: None,
    };
    if all.is_empty() {
        return diagnosis;
    }
    let fitting = hypotheses.iter().find(|hypothesis| fits(hypothesis, &all));
    diagnosis.explanation = fitting.map(|hypothesis| {
        // Keys that a device finds may be there for that reason alone, and tell nothing of another way of building.
        let decisive = if missing.is_empty() { all.len() } else { missing.len() };
        let complete = description.item_count.is_none_or(|count| count == all.len() as u64);
        Explanation {
            deviations: hypothesis.deviations(stated),
            reproduces: complete && hypothesis.rebuild(bytes.len(), &all) == bytes,
            chance: chance(&hypotheses, bytes, stated, decisive),
        }
    });
    diagnosis
}

/// The expected number of ways of building under which as many keys hit that were never inserted, 1 at most.
fn chance(hypotheses: &[Hypothesis], bytes: &[u8], stated: Parameters, keys: usize) -> f64 {
    let set: f64 = bytes.iter().map(|byte| f64::from(byte.count_ones())).sum();
    let fill = (set / f64::from(stated.bit_count())).min(1.0);
    let mut rates = HashMap::new();
    let expected: f64 = hypotheses
        .iter()
        .map(|way| {
            let shape = (way.bits, way.hashes, way.beta_fnv, way.msb_first, way.unwrapped);
            let rate = rates.entry(shape).or_insert_with(|| {
                // The bits of a key repeat in small filters, so that more of them hit than the share of set bits says.
                way.rate_of_hits(bytes).max(fill.powf(f64::from(way.hashes)))
            });
            rate.powf(keys as f64)
        })
        .sum();
    expected.min(1.0)
}

/// A key as it was given and as devices write it.
struct Candidate<'k> {
    /// Its place among the distinct keys that were given.
    place: usize,
    given: &'k str,
    key: String,
    /// Why a build has no key for it, unless an option allows it or it is the row of a data set.
    left_out: Option<Refusal>,
}

/// The place of a key that has none among the distinct ones that were given, the key, and why.
type Refused<'k> = (usize, &'k str, Refusal);

/// Whether a device asks for a key as it is given.
fn is_own_key(given: &str, rule: &SubUrlRule) -> bool {
    given == ONBOARDING_ENTRY
        || is_asked(given, rule)
        || KeyRules::default().systems().iter().any(|system| is_asked(given, &system.into()))
}

/// Why a build leaves a key out that a device can look up.
fn left_out(given: &str, key: &str, rule: &SubUrlRule, names: &NameRules) -> Option<Refusal> {
    plausible::check_text(given.trim(), EntryKind::Url)
        .err()
        .or_else(|| plausible::without_scheme(key, rule).and_then(|name| names.check(name).err()))
}

/// The keys that devices can look up, and those that no device can.
fn candidates<'k>(
    keys: &'k [impl AsRef<str>],
    rule: &SubUrlRule,
) -> (Vec<Candidate<'k>>, Vec<Refused<'k>>) {
    let (rules, names) = (KeyRules::from(rule.clone()), NameRules::default());
    let mut seen = HashSet::new();
    let mut refused = Vec::new();
    let distinct = keys
        .iter()
        .map(|key| key.as_ref())
        .filter(|given| !given.is_empty() && seen.insert(*given));
    let mut candidates = Vec::new();
    for (place, given) in distinct.enumerate() {
        match canonicalise(given, EntryKind::Url, &rules) {
            Ok(key) => {
                let key = key.text.into_owned();
                // Apple's onboarding asks for it, so that every build takes it.
                let left_out = match given == ONBOARDING_ENTRY {
                    true => None,
                    false => left_out(given, &key, rule, &names),
                };
                candidates.push(Candidate { place, given, key, left_out });
            }
            // As the row of a data set it is a key, such as a top-level domain on 26.
            Err(refusal) if is_own_key(given, rule) => {
                candidates.push(Candidate {
                    place,
                    given,
                    key: given.to_owned(),
                    left_out: Some(refusal),
                });
            }
            Err(refusal) => refused.push((place, given, refusal)),
        }
    }
    (candidates, refused)
}
