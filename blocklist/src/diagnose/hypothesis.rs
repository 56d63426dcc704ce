//! The ways of building a filter that are tried.

use super::Candidate;
use super::deviation::{Deviation, KeyVariant};
use filter_core::bloom::{Parameters, Sizing};
use filter_core::file::Description;
use filter_core::hash::{Fnv1a, Murmur3, fnv1_beta};
use std::borrow::Cow;
use std::collections::HashSet;

/// The texts that are tried to see how often one hits that was never inserted.
const TRIALS: u32 = 4096;

/// One way of building a filter.
#[derive(Clone, Debug)]
pub(super) struct Hypothesis {
    pub(super) beta_fnv: bool,
    pub(super) msb_first: bool,
    pub(super) unwrapped: bool,
    pub(super) seed: u32,
    pub(super) bits: u32,
    pub(super) hashes: u32,
    /// `None` for the form that devices look up.
    pub(super) variant: Option<KeyVariant>,
}

impl Hypothesis {
    /// The bits of a key.
    fn indices(&self, key: &Candidate<'_>) -> impl Iterator<Item = usize> + use<> {
        let text = match self.variant {
            None => Cow::Borrowed(key.key.as_str()),
            Some(variant) => variant.apply(key.given, &key.key),
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

    /// Whether all bits of a text are set in `data`, as [`holds`](Self::holds).
    pub(super) fn finds(&self, data: &[u8], text: &str) -> bool {
        self.holds(data, &Candidate { place: 0, given: text, key: text.to_owned(), left_out: None })
    }

    /// Whether all bits of a key are set in `data`. Bits beyond its end are not.
    pub(super) fn holds(&self, data: &[u8], key: &Candidate<'_>) -> bool {
        self.indices(key)
            .all(|bit| data.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1))
    }

    /// The share of texts that nobody inserted whose bits are all set in `data`, from some thousands of them.
    pub(super) fn rate_of_hits(&self, data: &[u8]) -> f64 {
        let own = Self { variant: None, ..self.clone() };
        let hits = (0..TRIALS).filter(|number| own.finds(data, &format!("{number}.trial.invalid")));
        hits.count() as f64 / f64::from(TRIALS)
    }

    /// The `length` bytes of a filter of `keys`.
    pub(super) fn rebuild(&self, length: usize, keys: &[Candidate<'_>]) -> Vec<u8> {
        let mut data = vec![0; length];
        for bit in keys.iter().flat_map(|key| self.indices(key)) {
            if let Some(byte) = data.get_mut(bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
        data
    }

    /// How this differs from what devices do with a filter of these parameters.
    pub(super) fn deviations(&self, stated: Parameters) -> Vec<Deviation> {
        let mut all = Vec::new();
        let mut add = |differs: bool, deviation| {
            if differs {
                all.push(deviation);
            }
        };
        add(self.beta_fnv, Deviation::BetaFnv);
        add(self.msb_first, Deviation::BitOrder);
        add(self.unwrapped, Deviation::UnwrappedArithmetic);
        add(self.seed != stated.murmur_seed(), Deviation::Seed(self.seed));
        add(self.bits != stated.bit_count(), Deviation::BitCount(self.bits));
        add(self.hashes != stated.hash_count(), Deviation::HashCount(self.hashes));
        if let Some(variant) = self.variant {
            add(true, Deviation::KeyVariant(variant));
        }
        all
    }
}

/// Every way of building that is tried, fewest deviations first. The first has none: it is what devices do.
pub(super) fn hypotheses(
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
    for variant in [None].into_iter().chain(KeyVariant::ALL.map(Some)) {
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
                        variant,
                    });
                }
            }
        }
    }
    all.sort_by_key(|hypothesis| hypothesis.deviations(stated).len());
    all
}
