//! Days of the Gregorian calendar by their number.

use time::{Date, Month};

/// The Julian day number of 1970-01-01.
const EPOCH: i32 = 2_440_588;

/// Days from 1970-01-01 to a day, negative for earlier ones; `None` if there is no such day.
pub(crate) fn days_since_1970(year: u64, month: u64, day: u64) -> Option<i32> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?);
    Some(date.ok()?.to_julian_day() - EPOCH)
}

/// Year, month and day of the month of a day since 1970-01-01; `None` for one after the year 9999.
pub(crate) fn date(days_since_1970: u64) -> Option<(i32, u8, u8)> {
    let day = EPOCH.checked_add(i32::try_from(days_since_1970).ok()?)?;
    let date = Date::from_julian_day(day).ok()?;
    Some((date.year(), date.month().into(), date.day()))
}
