//! How an answer is computed, and what it cost.

use crate::error::Error;
use crate::threads;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the work on a query cost, as time on cores, by stage. All zero on targets without a clock
/// (`wasm32-unknown-unknown`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageTimes {
    /// From the query to one ciphertext for each row and column.
    pub expansion: Duration,
    /// Products with the database.
    pub first_dimension: Duration,
    /// Products of ciphertexts.
    pub second_dimension: Duration,
    /// Relinearization, mod switching and serialization.
    pub reply: Duration,
}

/// How an answer is computed: on which threads, and until when. The default computes it on the
/// calling thread and does not stop.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Execution<'e> {
    cancelled: Option<&'e AtomicBool>,
    pub(super) parallel: bool,
    pub(super) identical: bool,
    pub(super) keep_low_bits: bool,
}

impl<'e> Execution<'e> {
    /// Computes on the calling thread, without a flag to stop: the default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the work with [`Error::Cancelled`] soon after the flag is set: within one
    /// automorphism or one column of the database.
    pub fn cancelled_by(self, flag: &'e AtomicBool) -> Self {
        Self { cancelled: Some(flag), ..self }
    }

    /// Shares the work out over rayon's current thread pool: the one in whose `install` the call is
    /// made, else the global one. The reply is the same.
    #[cfg(feature = "parallel")]
    pub fn parallel(self) -> Self {
        Self { parallel: true, ..self }
    }

    /// Makes every byte of the reply that of the reference's server, for comparisons with its
    /// recordings. Without it a second dimension of length 1, which changes nothing but noise, is
    /// skipped: less work, and a reply with more noise budget.
    pub fn identical_to_reference(self) -> Self {
        Self { identical: true, ..self }
    }

    /// Writes the low bits, too, that decryption cannot see. The reply is larger; measurements of
    /// noise, [`Client::noise_budget`](crate::Client::noise_budget), need it.
    pub fn keep_low_bits(self) -> Self {
        Self { keep_low_bits: true, ..self }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        match self.cancelled {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    /// Does the work on each item, on all threads if there are several, and keeps their order.
    pub(super) fn map<I: Send, T: Send>(
        &self,
        items: Vec<I>,
        work: impl Fn(I) -> Result<T, Error> + Sync + Send,
    ) -> Result<Vec<T>, Error> {
        threads::map(self.parallel, items, |item| {
            self.check()?;
            work(item)
        })
    }
}

/// Adds up the times of stages, which run on several threads.
#[derive(Default)]
pub(super) struct StageTimer(Mutex<StageTimes>);

impl StageTimer {
    pub(super) fn time<T>(
        &self,
        stage: impl FnOnce(&mut StageTimes) -> &mut Duration,
        work: impl FnOnce() -> T,
    ) -> T {
        // `Instant::now` panics there.
        if cfg!(all(target_family = "wasm", target_os = "unknown")) {
            return work();
        }
        let start = Instant::now();
        let result = work();
        let elapsed = start.elapsed();
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *stage(&mut times) += elapsed;
        result
    }

    pub(super) fn finish(self) -> StageTimes {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
