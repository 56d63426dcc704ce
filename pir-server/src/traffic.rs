//! Traffic of the last hour by minutes, for the page of the admin address. Numbers alone: nothing of a request is kept.

use crate::metrics::Endpoint;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use unix_clock::Timestamp;

/// The number of minutes that are kept, the current one included.
pub(crate) const MINUTES: usize = 60;

/// What was answered in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Minute {
    /// Requests with queries that were answered.
    pub(crate) queries: u64,
    /// Requests for tokens that were answered.
    pub(crate) tokens: u64,
    /// All other requests that were answered.
    pub(crate) others: u64,
    /// Requests that were refused for their own fault (status 400 to 499).
    pub(crate) refused: u64,
    /// Requests that failed or found the service busy (status 500 and above).
    pub(crate) failed: u64,
    /// The longest time from the first byte of a request with queries to its answer, in milliseconds.
    pub(crate) slowest_milliseconds: u64,
}

/// The last minutes.
pub(crate) struct Traffic {
    /// Each minute of Unix time at the remainder of its number.
    minutes: Mutex<[(u64, Minute); MINUTES]>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { minutes: Mutex::new([(0, Minute::default()); MINUTES]) }
    }
}

impl Traffic {
    /// A request was answered.
    pub(crate) fn count(&self, now: Timestamp, endpoint: Endpoint, status: u16, time: Duration) {
        let number = now.unix_seconds() / 60;
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, minute) = &mut minutes[number as usize % MINUTES];
        if *held != number {
            (*held, *minute) = (number, Minute::default());
        }
        match (status, endpoint) {
            (500.., _) => minute.failed += 1,
            (400.., _) => minute.refused += 1,
            (_, Endpoint::Queries) => minute.queries += 1,
            (_, Endpoint::Issue) => minute.tokens += 1,
            _ => minute.others += 1,
        }
        if endpoint == Endpoint::Queries {
            let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            minute.slowest_milliseconds = minute.slowest_milliseconds.max(milliseconds);
        }
    }

    /// The last [`MINUTES`] minutes, the current one last.
    pub(crate) fn minutes(&self, now: Timestamp) -> Vec<Minute> {
        let current = now.unix_seconds() / 60;
        let minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |number: u64| match minutes[number as usize % MINUTES] {
            (held, minute) if held == number => minute,
            _ => Minute::default(),
        };
        (0..MINUTES as u64).rev().map(|back| of(current.saturating_sub(back))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + 60 * minute)
    }

    #[test]
    fn a_request_counts_once_in_its_minute() {
        let traffic = Traffic::default();
        let time = Duration::from_millis(7);
        for (endpoint, status) in [
            (Endpoint::Queries, 200),
            (Endpoint::Queries, 399),
            (Endpoint::Queries, 400),
            (Endpoint::Queries, 499),
            (Endpoint::Queries, 500),
            (Endpoint::Issue, 200),
            (Endpoint::Key, 204),
            (Endpoint::Other, 404),
            (Endpoint::Gateway, 503),
        ] {
            traffic.count(at(0), endpoint, status, time);
        }
        traffic.count(at(1), Endpoint::Config, 200, Duration::from_secs(100));
        let minutes = traffic.minutes(at(1));
        assert_eq!(minutes.len(), MINUTES);
        let expected = Minute {
            queries: 2,
            tokens: 1,
            others: 1,
            refused: 3,
            failed: 2,
            slowest_milliseconds: 7,
        };
        assert_eq!(minutes[MINUTES - 2], expected);
        assert_eq!(minutes[MINUTES - 1], Minute { others: 1, ..Minute::default() });
        assert!(minutes[..MINUTES - 2].iter().all(|minute| *minute == Minute::default()));
    }

    #[test]
    fn minutes_are_kept_for_an_hour() {
        let traffic = Traffic::default();
        traffic.count(at(0), Endpoint::Queries, 200, Duration::ZERO);
        let seen = |minute| traffic.minutes(at(minute)).iter().map(|m| m.queries).sum::<u64>();
        assert_eq!([seen(0), seen(58), seen(59), seen(60), seen(61)], [1, 1, 1, 0, 0]);
        // The place of the minute is taken by one an hour later.
        traffic.count(at(60), Endpoint::Queries, 200, Duration::ZERO);
        assert_eq!((seen(60), seen(119), seen(120)), (1, 1, 0));
        assert_eq!(Traffic::default().minutes(Timestamp::from_unix_seconds(0)).len(), MINUTES);
    }
}
