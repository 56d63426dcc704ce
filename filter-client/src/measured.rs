//! How often a prefilter says yes, measured before it decides what is asked.
//!
//! The prefilter comes from whoever runs the service. One that says yes to everything would make a client ask for
//! everything that is visited.

use crate::error::Error;
use crate::hit_count::HitCount;
use filter_core::Prefilter;
use filter_core::file::FilterBytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Number of keys that are tried.
const SAMPLES: u32 = 1 << 16;
/// Smallest filter, in bits, whose keys are tried. The probes of a smaller one often repeat, so that it hits more often
/// than it was built for; it claims too few rows for a second shard, whose index could tell anything.
const MIN_SAMPLED_BITS: u32 = 1024;
/// By how much the tried keys of a filter that keys have made may hit more often than its bits tell.
const SAMPLING_ERROR: f64 = 0.005;

/// A prefilter that says yes to more keys than are accepted. Nothing that hits it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "the prefilter says yes to {:.2} % of all keys, and up to {:.2} % are accepted: it would have most of what is \
     visited asked for; use one with more bits, or set `FilterOptions::max_false_positive_rate`",
    100.0 * .rate, 100.0 * .max
)]
pub struct ImplausiblePrefilter {
    /// The share of keys that hit it, 0 to 1.
    pub rate: f64,
    /// The largest share that is accepted.
    pub max: f64,
}

/// A prefilter, how often it says yes, and how many of the URLs hit it that were checked with it.
///
/// ```
/// use filter_client::MeasuredPrefilter;
/// use filter_core::Prefilter;
/// use filter_core::bloom::{BloomFilter, Parameters};
/// use filter_core::file::Description;
///
/// // A filter that says yes to everything.
/// let filter = BloomFilter::from_bytes(Parameters::new(16, 1, 0)?, vec![0xff, 0xff])?;
/// let prefilter = MeasuredPrefilter::new(Prefilter::new(filter, Description::default())?)?;
/// assert_eq!(prefilter.false_positive_rate(), 1.0);
/// assert_eq!(prefilter.rows(0.02), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MeasuredPrefilter<B = FilterBytes> {
    prefilter: Prefilter<B>,
    rate: f64,
    hits: Arc<Mutex<HitCount>>,
}

impl<B: AsRef<[u8]>> MeasuredPrefilter<B> {
    /// Measures a prefilter: reads all its bits, and tries 65,536 keys that are drawn now.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn new(prefilter: Prefilter<B>) -> Result<Self, Error> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|_| Error::Randomness)?;
        Ok(Self::with_seed(prefilter, u64::from_le_bytes(seed)))
    }

    /// As [`new`](Self::new), with keys that follow from a seed. Draw it from a good source, each time: whoever knows it
    /// can make a prefilter that says yes to a quarter of all keys and to none of these.
    #[must_use]
    pub fn with_seed(prefilter: Prefilter<B>, seed: u64) -> Self {
        let filter = prefilter.filter();
        let estimated = filter.statistics().estimated_false_positive_rate;
        let sampled = match filter.parameters().bit_count() >= MIN_SAMPLED_BITS {
            true => filter.sampled_hit_rate(SAMPLES, seed) - SAMPLING_ERROR,
            false => 0.0,
        };
        Self { rate: estimated.max(sampled), prefilter, hits: Arc::default() }
    }

    /// Goes on with the count of hits of the prefilter that this one takes the place of: a new one must not begin anew, and have
    /// other URLs asked for.
    #[must_use]
    pub fn replacing<C>(mut self, earlier: &MeasuredPrefilter<C>) -> Self {
        self.hits = Arc::clone(&earlier.hits);
        self
    }

    pub(crate) fn hits(&self) -> MutexGuard<'_, HitCount> {
        self.hits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The prefilter that was measured, whatever its rate is.
    #[must_use]
    pub fn prefilter(&self) -> &Prefilter<B> {
        &self.prefilter
    }

    /// The share of keys that hit it although they were never inserted, 0 to 1: as its bits tell, or more if keys that
    /// were tried hit more often.
    #[must_use]
    pub fn false_positive_rate(&self) -> f64 {
        self.rate
    }

    /// Compares the rate with the largest that is accepted.
    ///
    /// # Errors
    /// [`ImplausiblePrefilter`] if it is above `max`.
    pub fn check(&self, max: f64) -> Result<(), ImplausiblePrefilter> {
        // Not a number is no limit that anything keeps.
        match self.rate <= max {
            true => Ok(()),
            false => Err(ImplausiblePrefilter { rate: self.rate, max }),
        }
    }

    /// The number of rows that it stands for; 0 if it says yes to more than `max`, because its bits tell nothing then.
    #[must_use]
    pub fn rows(&self, max: f64) -> u64 {
        self.check(max).map_or(0, |()| self.prefilter.filter().estimated_key_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use filter_core::bloom::{BloomFilter, Parameters};
    use filter_core::file::Description;

    fn measured(bit_count: u32, hash_count: u32, byte: u8) -> MeasuredPrefilter<Vec<u8>> {
        let parameters = Parameters::new(bit_count, hash_count, 0).unwrap();
        let filter = BloomFilter::from_bytes(parameters, vec![byte; parameters.byte_count()]);
        let prefilter = Prefilter::new(filter.unwrap(), Description::default());
        MeasuredPrefilter::with_seed(prefilter.unwrap(), 5)
    }

    #[test]
    fn the_limit_of_the_rate_is_inclusive() {
        // Half of the bits, and one hash.
        let prefilter = measured(512, 1, 0x0f);
        assert_eq!(prefilter.false_positive_rate(), 0.5);
        assert!(prefilter.check(0.5).is_ok() && prefilter.check(1.0).is_ok());
        let refused = prefilter.check(0.499);
        assert_eq!(refused, Err(ImplausiblePrefilter { rate: 0.5, max: 0.499 }));
        assert!(prefilter.check(f64::NAN).is_err());
        assert_eq!((prefilter.rows(0.5), prefilter.rows(0.499)), (355, 0));
    }

    /// Below the limit a filter claims so few rows that one shard alone is accepted.
    #[test]
    fn keys_are_tried_from_a_size_on() {
        let rate = |bits| measured(bits, 30, 0xaa).false_positive_rate();
        assert!(rate(MIN_SAMPLED_BITS - 8) < 0.01);
        for bits in [MIN_SAMPLED_BITS, MIN_SAMPLED_BITS + 8] {
            assert!((0.23..0.26).contains(&rate(bits)), "{bits}");
        }
    }
}
