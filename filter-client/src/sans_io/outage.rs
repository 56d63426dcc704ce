//! A service that fails is not asked again for a while.

use crate::error::Error;
use std::time::Duration;

/// Longest time for which lookups fail at once.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Transient failures in a row.
#[derive(Default)]
pub(super) struct Outage {
    failures: u32,
    /// A time of [`Now::elapsed`](super::exchange::Now::elapsed).
    until: Option<Duration>,
}

impl Outage {
    /// # Errors
    /// [`Error::Outage`] while lookups must not be tried.
    pub(super) fn check(&self, now: Duration) -> Result<(), Error> {
        match self.until {
            Some(until) if now < until => Err(Error::Outage { retry_in: until - now }),
            _ => Ok(()),
        }
    }

    /// Notes the outcome of a lookup.
    pub(super) fn note<T>(&mut self, outcome: &Result<T, Error>, backoff: Duration, now: Duration) {
        match outcome {
            Err(error) if error.is_transient() => {
                let backoff = backoff.saturating_mul(1 << self.failures.min(10));
                self.failures = self.failures.saturating_add(1);
                self.until = Some(now.saturating_add(backoff.min(MAX_BACKOFF)));
            }
            _ => *self = Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_a_minute() {
        let (mut outage, start) = (Outage::default(), Duration::from_secs(7));
        assert!(outage.check(start).is_ok());
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            outage.note::<()>(&Err(Error::Deadline), Duration::from_secs(2), start);
            let backoff = Duration::from_secs(seconds);
            let refused = outage.check(start).err();
            assert!(matches!(refused, Some(Error::Outage { retry_in }) if retry_in == backoff));
            assert!(outage.check(start + backoff - Duration::from_nanos(1)).is_err());
            assert!(outage.check(start + backoff).is_ok());
        }
        // Whatever is not the network's fault ends the outage.
        outage.note::<()>(&Err(Error::UseCase), Duration::from_secs(2), start);
        assert!(outage.check(start).is_ok());
    }
}
