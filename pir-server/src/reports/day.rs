//! Days of the calendar.

use crate::calendar;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use unix_clock::Timestamp;

const SECONDS: u64 = 86_400;
/// The last day of the year 9999, since 1970-01-01.
const LAST: u64 = 2_932_896;

/// A day in UTC, from 1970-01-01 to 9999-12-31. It is displayed as `2026-11-25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(u64);

/// A text is no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no day; expected one such as 2026-11-25")]
#[non_exhaustive]
pub struct DayError(String);

impl Day {
    /// The day of a time.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self((time.unix_seconds() / SECONDS).min(LAST))
    }

    /// The day after.
    pub(super) fn next(self) -> Self {
        Self((self.0 + 1).min(LAST))
    }

    /// The day before.
    pub(super) fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = calendar::date(self.0).expect("the last day is a date");
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let number = |part: &str| part.parse().ok();
        let mut parts = text.split('-').map(number);
        let mut next = || parts.next().flatten();
        let days = (|| calendar::days_since_1970(next()?, next()?, next()?))();
        let day = days.and_then(|days| u64::try_from(days).ok()).map(Self);
        // No other spelling, such as a sign or a missing zero.
        let day = day.filter(|day| day.to_string() == text);
        day.ok_or_else(|| DayError(text.chars().take(20).collect()))
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = DayError;

    fn try_from(text: String) -> Result<Self, DayError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (SECONDS - 1, "1970-01-01"),
            (SECONDS, "1970-01-02"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (1_795_000_000, "2026-11-18"),
            (4_107_542_400, "2100-03-01"),
            (253_402_300_799, "9999-12-31"),
            (u64::MAX, "9999-12-31"),
        ] {
            let day = Day::of(Timestamp::from_unix_seconds(seconds));
            assert_eq!(day.to_string(), text);
            assert_eq!(text.parse(), Ok(day));
        }
    }

    #[test]
    fn texts_that_are_no_days_are_refused() {
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-11-25-1",
            "2026-13-01",
            "2026-00-01",
            "2026-02-29",
            "2100-02-29",
            "2026-11-31",
            "2026-1-1",
            "26-11-25",
            "1969-12-31",
            "10000-01-01",
            "2026-11-+5",
            "2026-11-25 ",
            "\u{662}026-11-25",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_day_is_read_as_it_is_displayed(number in 0..=LAST) {
            let day = Day(number);
            prop_assert_eq!(day.to_string().parse(), Ok(day));
        }
    }
}
