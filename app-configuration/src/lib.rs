//! What an app, or a management server in its place, tells devices about a private URL filter.
//!
//! | | |
//! | --- | --- |
//! | [`Origin`], [`UserToken`] | addresses and user tokens in the form that devices take |
//! | [`url_filter_use_case`] | the name of the use case that devices look up |
//! | [`FilterConfiguration`] | the configuration profile and the declaration of a managed device |
//!
//! Keys and limits are those of Apple's documentation of Device Management (`WebContentFilter`,
//! `WebContentFilterPlugin`), as of autumn 2026.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate)]

mod managed;
mod origin;
mod use_case;
mod user_token;

pub use managed::{ConfigurationError, FilterConfiguration, MIN_FETCH_SECONDS};
pub use origin::{Origin, OriginError};
pub use use_case::{is_url_filter_use_case, url_filter_use_case};
pub use user_token::{NotBase64, UserToken};

/// The example of the README is a test of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
