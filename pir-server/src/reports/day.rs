//! Days of the calendar.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use unix_clock::Timestamp;

const SECONDS: u64 = 86_400;
/// Days from 1 March of the year 0 to 1970-01-01.
const BEFORE_EPOCH: u64 = 719_468;
/// Days of 400 years.
const ERA: u64 = 146_097;
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

    /// Year, month and day of the month. Years begin in March here, so that a leap day is the last one.
    fn parts(self) -> (u64, u64, u64) {
        let days = self.0 + BEFORE_EPOCH;
        let (era, day) = (days / ERA, days % ERA);
        let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        (era * 400 + year + later, month, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let failed = || DayError(text.chars().take(20).collect());
        let number = |part: &str| {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u64>().ok().filter(|_| is_number)
        };
        let mut parts = text.split('-').map(number);
        let mut next = || parts.next().flatten().ok_or_else(failed);
        let (year, month, day) = (next()?, next()?, next()?);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
        {
            return Err(failed());
        }
        let (march_year, march_month) =
            if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * march_year + march_year / 4 - march_year / 100
            + march_year / 400
            + (153 * march_month + 2) / 5
            + day
            - 1;
        let found = Self(days - BEFORE_EPOCH);
        // The thirty-first of a short month would be a day of the next.
        match found.to_string() == text {
            true => Ok(found),
            false => Err(failed()),
        }
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
