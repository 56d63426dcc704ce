//! Why a filter does not match keys that should be in it.
//!
//! People build filters with tools of their own, and a device says nothing about what is wrong with
//! them. Here every plausible mistake, and every combination of them, is tried against the bits: the
//! one with the fewest deviations under which all keys are present explains the file.
//!
//! ```
//! use filter_core::bloom::{BloomFilter, Parameters};
//! use blocklist::diagnose::diagnose;
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

use crate::key::{EntryKind, canonicalise};
use filter_core::bloom::{Parameters, Sizing};
use filter_core::file::Description;
use filter_core::hash::{Fnv1a, Murmur3, fnv1_beta};
use filter_core::sub_url::SubUrlRule;
use std::borrow::Cow;
use std::collections::HashSet;

/// Keys that are tried under every combination; the rest of a longer list adds no evidence.
const SAMPLE: usize = 1_000;

/// How sure an explanation must be: the chance that any of the wrong ones fits the keys.
const CHANCE: f64 = 1e-3;

/// How a filter was built, where that differs from what devices do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deviation {
    /// FNV multiplies before it xors, as in the sample of the first 2025 beta.
    BetaFnv,
    /// Bits are counted from the most significant one of each byte.
    BitOrder,
    /// The sum of the double hashing is not cut to 32 bits before the remainder.
    UnwrappedArithmetic,
    /// Another seed than the file states.
    Seed(u32),
    /// Another number of bits than the file states.
    BitCount(u32),
    /// More hashes than keys were inserted with.
    HashCount(u32),
    /// Keys in another form than devices generate.
    KeyForm(KeyForm),
}

impl Deviation {
    /// The name in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BetaFnv => "beta-fnv",
            Self::BitOrder => "bit-order",
            Self::UnwrappedArithmetic => "unwrapped-arithmetic",
            Self::Seed(_) => "seed",
            Self::BitCount(_) => "bit-count",
            Self::HashCount(_) => "hash-count",
            Self::KeyForm(_) => "key-form",
        }
    }

    /// What happened, and what to do.
    #[must_use]
    pub fn explanation(&self) -> String {
        match self {
            Self::BetaFnv => "the keys are hashed with FNV-1 (multiply, then xor), as the sample of the first 2025 beta \
                did; released devices use FNV-1a (xor, then multiply). Rebuild the filter"
                .into(),
            Self::BitOrder => "the bits are counted from the most significant one of each byte; devices count from the \
                least significant one. Set bit i with `bytes[i / 8] |= 1 << (i % 8)`"
                .into(),
            Self::UnwrappedArithmetic => "the sum h1 + i * h2 is computed in more than 32 bits; devices wrap it at 2^32 \
                before they take the remainder. Use wrapping 32-bit arithmetic"
                .into(),
            Self::Seed(seed) => format!("the keys are hashed with the Murmur seed {seed}, which is not the one in the file"),
            Self::BitCount(bits) => format!(
                "the remainder was taken by {bits}, which is not the bitCount in the file; the two roundings of the size \
                 formula differ like this"
            ),
            Self::HashCount(hashes) => format!(
                "only {hashes} bits were set per key, fewer than the hashCount in the file; the two roundings of the \
                 size formula differ like this"
            ),
            Self::KeyForm(form) => form.explanation().into(),
        }
    }
}

/// The form in which keys were inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyForm {
    /// As in the list of keys, which is not how devices write them.
    AsGiven,
    /// With `https://` in front.
    Https,
    /// With `http://` in front.
    Http,
    /// With `www.` in front.
    Www,
    /// With `https://www.` in front.
    HttpsWww,
    /// With a slash behind.
    TrailingSlash,
    /// With `https://` in front and a slash behind.
    HttpsTrailingSlash,
    /// The host in Unicode instead of punycode.
    Unicode,
    /// With a line feed behind.
    LineFeed,
    /// With carriage return and line feed behind.
    CarriageReturnLineFeed,
    /// With a carriage return behind.
    CarriageReturn,
    /// With a zero byte behind.
    Terminated,
}

impl KeyForm {
    const ALL: [Self; 12] = [
        Self::AsGiven,
        Self::Https,
        Self::Http,
        Self::Www,
        Self::HttpsWww,
        Self::TrailingSlash,
        Self::HttpsTrailingSlash,
        Self::Unicode,
        Self::LineFeed,
        Self::CarriageReturn,
        Self::CarriageReturnLineFeed,
        Self::Terminated,
    ];

    const fn explanation(self) -> &'static str {
        match self {
            Self::AsGiven => {
                "the keys were inserted as they stand in the list, not as devices write them (lower case, punycode, no \
                 scheme, no www.). Build with `urlfilter build`, or normalise them as `urlfilter explain` shows"
            }
            Self::Https => {
                "the keys were inserted with https://; devices look them up without a scheme"
            }
            Self::Http => {
                "the keys were inserted with http://; devices look them up without a scheme"
            }
            Self::Www => "the keys were inserted with www.; devices remove it before they look",
            Self::HttpsWww => {
                "the keys were inserted with https://www.; devices look them up without either"
            }
            Self::TrailingSlash => {
                "the keys were inserted with a slash behind; devices ask for this form too, but PIR must hold the same keys"
            }
            Self::HttpsTrailingSlash => {
                "the keys were inserted with https:// in front and a slash behind; devices look them up without a scheme"
            }
            Self::Unicode => "the hosts were inserted in Unicode; devices write them in punycode",
            Self::LineFeed => {
                "the keys were inserted with their line feed; strip the ends of lines"
            }
            Self::CarriageReturn => {
                "the keys were inserted with a carriage return; strip the ends of lines"
            }
            Self::CarriageReturnLineFeed => {
                "the keys were inserted with their line ends; strip the ends of lines"
            }
            Self::Terminated => {
                "the keys were inserted with a terminating zero byte; hash the bytes of the key alone"
            }
        }
    }

    fn apply<'k>(self, given: &'k str, key: &'k str) -> Cow<'k, str> {
        let with = |text: String| Cow::Owned(text);
        match self {
            Self::AsGiven => Cow::Borrowed(given),
            Self::Https => with(format!("https://{key}")),
            Self::Http => with(format!("http://{key}")),
            Self::Www => with(format!("www.{key}")),
            Self::HttpsWww => with(format!("https://www.{key}")),
            Self::TrailingSlash => with(format!("{key}/")),
            Self::HttpsTrailingSlash => with(format!("https://{key}/")),
            Self::Unicode => {
                let (host, rest) =
                    key.split_at(key.find(['/', ':', '?', '#']).unwrap_or(key.len()));
                with(format!("{}{rest}", idna::domain_to_unicode(host).0))
            }
            Self::LineFeed => with(format!("{key}\n")),
            Self::CarriageReturn => with(format!("{key}\r")),
            Self::CarriageReturnLineFeed => with(format!("{key}\r\n")),
            Self::Terminated => with(format!("{key}\0")),
        }
    }
}

/// What explains a filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What was done in another way; empty if nothing was.
    pub deviations: Vec<Deviation>,
    /// Whether the keys, inserted like this, give exactly the bits of the file.
    pub reproduces: bool,
    /// The chance that some wrong explanation would have fitted the keys as well.
    pub chance: f64,
}

impl Explanation {
    /// Whether chance is unlikely to have played a part.
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        self.reproduces || self.chance < CHANCE
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Distinct keys that were looked for.
    pub keys: usize,
    /// How many of them a device would find.
    pub present: usize,
    /// Up to ten of those it would not find.
    pub missing: Vec<String>,
    /// The way of building with the fewest deviations under which all keys are present.
    pub explanation: Option<Explanation>,
}

impl Diagnosis {
    /// Whether a device would find every key.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.present == self.keys && self.keys > 0
    }
}

/// Looks for `keys` in the bits as a device would, and if some are missing, for the mistake that
/// explains it. `seeds` are seeds that the builder may have used beside the one in the file.
///
/// The bits need not be a valid filter: bits beyond their end count as not set.
#[must_use]
pub fn diagnose(
    stated: Parameters,
    bytes: &[u8],
    description: &Description,
    keys: &[impl AsRef<str>],
    seeds: &[u32],
) -> Diagnosis {
    let rule = description.rule.clone().unwrap_or_default();
    let all = candidates(keys, &rule);
    let hypotheses = hypotheses(stated, description, all.len() as u64, seeds);
    // The first hypothesis has no deviation: it is the device.
    let found = |key: &&Candidate<'_>| hypotheses.first().is_some_and(|h| h.holds(bytes, key));
    let (present, missing): (Vec<_>, Vec<_>) = all.iter().partition(found);
    let mut diagnosis = Diagnosis {
        keys: all.len(),
        present: present.len(),
        missing: missing.iter().take(10).map(|key| key.given.to_owned()).collect(),
        explanation: None,
    };
    if all.is_empty() {
        return diagnosis;
    }
    let fits = |hypothesis: &&Hypothesis, keys: &[Candidate<'_>]| {
        keys.iter().all(|key| hypothesis.holds(bytes, key))
    };
    let sample = &all[..all.len().min(SAMPLE)];
    let fitting = hypotheses.iter().find(|h| fits(h, sample) && fits(h, &all));
    diagnosis.explanation = fitting.map(|hypothesis| {
        let set: f64 = bytes.iter().map(|byte| f64::from(byte.count_ones())).sum();
        let fill = (set / f64::from(stated.bit_count())).min(1.0);
        let probes = f64::from(hypothesis.hashes) * all.len() as f64;
        let complete = description.item_count.is_none_or(|count| count == all.len() as u64);
        Explanation {
            deviations: hypothesis.deviations(stated),
            reproduces: complete && hypothesis.rebuild(bytes.len(), &all) == bytes,
            chance: (fill.powf(probes) * hypotheses.len() as f64).min(1.0),
        }
    });
    diagnosis
}

/// One key, as given and as devices write it.
struct Candidate<'k> {
    given: &'k str,
    key: String,
}

fn candidates<'k>(keys: &'k [impl AsRef<str>], rule: &SubUrlRule) -> Vec<Candidate<'k>> {
    let mut seen = HashSet::new();
    keys.iter()
        .map(|key| key.as_ref())
        .filter(|given| !given.is_empty() && seen.insert(*given))
        .map(|given| {
            let key = canonicalise(given, EntryKind::Url, rule)
                .map_or_else(|_| given.to_owned(), |key| key.text.into_owned());
            Candidate { given, key }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct Hypothesis {
    beta_fnv: bool,
    msb_first: bool,
    unwrapped: bool,
    seed: u32,
    bits: u32,
    hashes: u32,
    /// `None` for the form that devices use.
    form: Option<KeyForm>,
}

impl Hypothesis {
    fn indices(&self, key: &Candidate<'_>) -> impl Iterator<Item = usize> + use<> {
        let text = match self.form {
            None => Cow::Borrowed(key.key.as_str()),
            Some(form) => form.apply(key.given, &key.key),
        };
        let bytes = text.as_bytes();
        let h1 = if self.beta_fnv { fnv1_beta(bytes) } else { Fnv1a::hash(bytes) };
        let h2 = Murmur3::hash(bytes, self.seed);
        let (bits, unwrapped) = (u64::from(self.bits), self.unwrapped);
        let flip = if self.msb_first { 7 } else { 0 };
        (0..self.hashes).map(move |i| {
            let position = if unwrapped {
                u64::from(h1) + u64::from(i) * u64::from(h2)
            } else {
                u64::from(h1.wrapping_add(i.wrapping_mul(h2)))
            };
            (position % bits) as usize ^ flip
        })
    }

    fn holds(&self, data: &[u8], key: &Candidate<'_>) -> bool {
        self.indices(key)
            .all(|bit| data.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1))
    }

    fn rebuild(&self, length: usize, keys: &[Candidate<'_>]) -> Vec<u8> {
        let mut data = vec![0; length];
        for bit in keys.iter().flat_map(|key| self.indices(key)) {
            if let Some(byte) = data.get_mut(bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
        data
    }

    fn deviations(&self, stated: Parameters) -> Vec<Deviation> {
        let mut all = Vec::new();
        let mut add = |is: bool, deviation| {
            if is {
                all.push(deviation);
            }
        };
        add(self.beta_fnv, Deviation::BetaFnv);
        add(self.msb_first, Deviation::BitOrder);
        add(self.unwrapped, Deviation::UnwrappedArithmetic);
        add(self.seed != stated.murmur_seed(), Deviation::Seed(self.seed));
        add(self.bits != stated.bit_count(), Deviation::BitCount(self.bits));
        add(self.hashes != stated.hash_count(), Deviation::HashCount(self.hashes));
        if let Some(form) = self.form {
            add(true, Deviation::KeyForm(form));
        }
        all
    }
}

/// Every way of building that is tried, fewest deviations first.
fn hypotheses(
    stated: Parameters,
    description: &Description,
    keys: u64,
    seeds: &[u32],
) -> Vec<Hypothesis> {
    let mut sizes = vec![(stated.bit_count(), stated.hash_count())];
    let bytes = stated.byte_count() as u64 * 8;
    let mut add_size = |bits: u32, hashes: u32| {
        // Fewer hashes than stated are a mistake; with more the device still finds everything.
        let plausible =
            bits > 0 && u64::from(bits) <= bytes && (1..=stated.hash_count()).contains(&hashes);
        if plausible && !sizes.contains(&(bits, hashes)) {
            sizes.push((bits, hashes));
        }
    };
    for count in [description.item_count, Some(keys)].into_iter().flatten() {
        if let Some(tolerance) = description.false_positive_tolerance {
            for sizing in [Sizing::Round, Sizing::Ceil] {
                if let Ok(size) = sizing.parameters(count, tolerance, 0) {
                    add_size(size.bit_count(), stated.hash_count());
                    add_size(stated.bit_count(), size.hash_count());
                    add_size(size.bit_count(), size.hash_count());
                }
            }
        }
    }
    for bits in [u32::try_from(bytes).unwrap_or(u32::MAX), stated.bit_count() - 1] {
        add_size(bits, stated.hash_count());
    }
    add_size(stated.bit_count(), stated.hash_count() - 1);
    let mut seeds: Vec<u32> =
        [stated.murmur_seed()].into_iter().chain(seeds.iter().copied()).collect();
    let mut seen = HashSet::new();
    seeds.retain(|&seed| seen.insert(seed));

    let mut all = Vec::new();
    for form in [None].into_iter().chain(KeyForm::ALL.map(Some)) {
        for &(bits, hashes) in &sizes {
            for &seed in &seeds {
                for choice in 0..8u8 {
                    let [beta_fnv, msb_first, unwrapped] = [1, 2, 4].map(|bit| choice & bit != 0);
                    all.push(Hypothesis {
                        beta_fnv,
                        msb_first,
                        unwrapped,
                        seed,
                        bits,
                        hashes,
                        form,
                    });
                }
            }
        }
    }
    all.sort_by_key(|hypothesis| hypothesis.deviations(stated).len());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u32 = 99;

    fn keys() -> Vec<String> {
        let mut keys: Vec<String> = (0..44).map(|i| format!("host{i}.example/path{i}")).collect();
        keys.push("xn--bcher-kva.example".into());
        keys
    }

    fn known(keys: &[String]) -> Description {
        let mut description = Description::default();
        description.item_count = Some(keys.len() as u64);
        description.false_positive_tolerance = Some(0.003);
        description
    }

    fn stated(keys: &[String]) -> Parameters {
        Sizing::Ceil.parameters(keys.len() as u64, 0.003, SEED).unwrap()
    }

    /// Looks for `asked` in bits made from `keys` with a mistake that the file does not mention.
    fn diagnosed(
        mistake: &Hypothesis,
        keys: &[String],
        asked: &[String],
        seeds: &[u32],
    ) -> Diagnosis {
        let stated = stated(keys);
        let keys_as_written = candidates(keys, &SubUrlRule::default());
        let bytes = mistake.rebuild(stated.byte_count(), &keys_as_written);
        diagnose(stated, &bytes, &known(keys), asked, seeds)
    }

    fn right(keys: &[String]) -> Hypothesis {
        let stated = stated(keys);
        Hypothesis {
            beta_fnv: false,
            msb_first: false,
            unwrapped: false,
            seed: SEED,
            bits: stated.bit_count(),
            hashes: stated.hash_count(),
            form: None,
        }
    }

    #[test]
    fn each_mistake_is_named() {
        let keys = keys();
        let right = right(&keys);
        let rounded = Sizing::Round.parameters(keys.len() as u64, 0.003, SEED).unwrap();
        assert!(rounded.bit_count() < right.bits && rounded.hash_count() < right.hashes);
        for (mistake, expected) in [
            (right.clone(), vec![]),
            (Hypothesis { beta_fnv: true, ..right.clone() }, vec![Deviation::BetaFnv]),
            (Hypothesis { msb_first: true, ..right.clone() }, vec![Deviation::BitOrder]),
            (Hypothesis { unwrapped: true, ..right.clone() }, vec![Deviation::UnwrappedArithmetic]),
            (Hypothesis { seed: 7, ..right.clone() }, vec![Deviation::Seed(7)]),
            (
                Hypothesis { bits: rounded.bit_count(), ..right.clone() },
                vec![Deviation::BitCount(rounded.bit_count())],
            ),
            (
                Hypothesis { hashes: rounded.hash_count(), ..right.clone() },
                vec![Deviation::HashCount(rounded.hash_count())],
            ),
            (
                Hypothesis { form: Some(KeyForm::Https), unwrapped: true, ..right.clone() },
                vec![Deviation::UnwrappedArithmetic, Deviation::KeyForm(KeyForm::Https)],
            ),
            (
                Hypothesis { form: Some(KeyForm::LineFeed), ..right.clone() },
                vec![Deviation::KeyForm(KeyForm::LineFeed)],
            ),
        ] {
            let diagnosis = diagnosed(&mistake, &keys, &keys, &[7, 8]);
            let explanation = diagnosis.explanation.clone().unwrap();
            assert_eq!(explanation.deviations, expected);
            assert!(explanation.reproduces && explanation.is_conclusive());
            assert_eq!(diagnosis.is_healthy(), expected.is_empty());
        }
    }

    #[test]
    fn keys_that_were_never_inserted_are_not_explained() {
        let inserted = keys();
        let right = right(&inserted);
        let others: Vec<String> = (0..30).map(|i| format!("other{i}.test")).collect();
        let diagnosis = diagnosed(&right, &inserted, &others, &[1, 2, 3]);
        assert!(diagnosis.explanation.is_none() && diagnosis.present < 3);
        assert_eq!(diagnosis.missing.len(), 10);
        let half: Vec<String> = inserted.iter().take(20).chain(&others).cloned().collect();
        assert!(diagnosed(&right, &inserted, &half, &[]).explanation.is_none());
    }

    #[test]
    fn unnormalised_keys_are_recognised() {
        let given: Vec<String> =
            (0..40).map(|i| format!("https://WWW.Host{i}.example/Path")).collect();
        let mistake = Hypothesis { form: Some(KeyForm::AsGiven), ..right(&given) };
        let diagnosis = diagnosed(&mistake, &given, &given, &[]);
        assert_eq!(
            diagnosis.explanation.unwrap().deviations,
            [Deviation::KeyForm(KeyForm::AsGiven)]
        );
    }

    #[test]
    fn a_single_key_in_a_full_filter_proves_nothing() {
        let stated = Parameters::new(8, 1, 0).unwrap();
        let missing = (0..100)
            .map(|i| format!("a{i}.example"))
            .find(|key| stated.indices(key.as_bytes()).eq([7]))
            .unwrap();
        let diagnosis = diagnose(stated, &[0x7f], &Description::default(), &[missing], &[]);
        assert!(!diagnosis.is_healthy());
        assert!(!diagnosis.explanation.unwrap().is_conclusive());
    }
}
