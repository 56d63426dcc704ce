//! Points in time in whole seconds, and the clock that tells them.
//!
//! Keys, tokens, releases and configurations live for hours to months, and their times travel between
//! machines as Unix seconds. [`Timestamp`] is such a time, [`Duration`] the span between two, and a
//! [`Clock`] is handed to whatever needs the present, so that tests decide what time it is.
//!
//! ```
//! use std::time::Duration;
//! use unix_clock::{Clock, ManualClock, Timestamp};
//!
//! let clock = ManualClock::new(Timestamp::from_unix_seconds(1_000));
//! let expiry = clock.now() + Duration::from_secs(60);
//! clock.advance(Duration::from_secs(61));
//! assert!(clock.now() > expiry);
//! assert_eq!(clock.now().since(expiry), Duration::from_secs(1));
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: whole seconds since 1970-01-01 00:00 UTC, leap seconds not counted.
///
/// Serialises as that number. Sums and differences stop at the ends of the range instead of wrapping.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The earliest time: the epoch.
    pub const MIN: Self = Self(0);
    /// The latest time: later than any that is ever reached.
    pub const MAX: Self = Self(u64::MAX);

    /// The time `seconds` after the epoch.
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0
    }

    /// The span from `earlier` to this time; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// Later by the whole seconds of a span.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }
}

/// Earlier by the whole seconds of a span.
impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_secs()))
    }
}

/// Unix seconds in decimal.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Rounded down to a second; the epoch for times before it.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

/// Tells the present.
pub trait Clock: Send + Sync {
    /// The present time. It may jump, in both directions, whenever the machine's clock is set.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "its name is its only value")]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that stands still until it is moved: for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.0))
    }

    /// Shows another time, earlier or later.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves forward by the whole seconds of a span.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(span.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Timestamp::MAX + hour, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - hour, Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(
            Timestamp::from_unix_seconds(10).since(Timestamp::from_unix_seconds(3)).as_secs(),
            7
        );
    }

    #[test]
    fn it_serialises_as_its_number() {
        let time = Timestamp::from_unix_seconds(1_790_000_000);
        assert_eq!(serde_json::to_string(&time).unwrap(), "1790000000");
        assert_eq!(serde_json::from_str::<Timestamp>("1790000000").unwrap(), time);
    }

    #[test]
    fn times_before_the_epoch_are_the_epoch() {
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(1)), Timestamp::MIN);
        assert_eq!(Timestamp::from(UNIX_EPOCH + Duration::from_millis(1999)).unix_seconds(), 1);
    }
}
