//! Lists of phone numbers as the two data sets of Live Caller ID Lookup.
//!
//! When a call comes in, a device looks the number up twice: in the use case `<bundle id of the extension>.block` for
//! whether it is blocked, and in `<bundle id>.identity` for what is shown. [`CallerRows`] writes the rows of both from
//! lists; they are processed and served as those of a URL filter are.
//!
//! | | |
//! | --- | --- |
//! | [`Number`] | a phone number as devices look it up: E.164 |
//! | [`Identity`] | what is shown of a caller, and its bytes |
//! | [`block_value`] | the value that says whether a number is blocked |
//! | [`CallerRows`], [`Icons`] | lists to rows |
//!
//! The form of keys and values is that of Apple's documentation of its example service ("Data format for Live Caller ID
//! Lookup", "Testing Live Caller ID Lookup"), as of autumn 2026. There are no features.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate)]

mod bounded;
mod identity;
mod list;
mod number;
mod rows;

pub use identity::{Category, Identity, IdentityError, MAX_IDENTITY};
pub use list::{Icons, ListError, Place, RowError};
pub use number::{MAX_DIGITS, MIN_DIGITS, Number, NumberError};
pub use rows::{CallerRows, Counts, Finished};

/// The number that Apple looks up before it approves a distribution.
pub const ONBOARDING_NUMBER: &str = "+14085551212";
/// The name that Apple expects for [`ONBOARDING_NUMBER`].
pub const ONBOARDING_NAME: &str = "Johnny Appleseed";

/// The value of a number in the data set for blocking: one byte, 1 if it is blocked.
#[must_use]
pub fn block_value(is_blocked: bool) -> [u8; 1] {
    [u8::from(is_blocked)]
}

/// The example of the README is a test of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
