//! From a requested URL to the sub-URLs that a device tests.
//!
//! A device never asks about a URL alone: it also asks about every parent of it, in host and path.
//! [`SubUrlRule`] says which set of strings that is, [`DeviceUrl`] is the URL in the form the rules
//! work on, and [`SubUrls`] is the product of both. Its strings share almost all of their bytes, so
//! membership is tested along the way, without making one string per sub-URL.
//!
//! ```
//! use filter_core::sub_url::{DeviceUrl, SubUrlRule, SubUrls};
//!
//! let rule = SubUrlRule::default();
//! let url = DeviceUrl::parse("https://www.sub1.example.com/a/b/c?id=123#fragment", rule.case())?;
//! let list = SubUrls::new(&url, &rule).sorted(1_000)?;
//! assert_eq!(list.len(), 48);
//! assert_eq!(list[0], "example.com");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod device_url;
mod expansion;
mod lookup;
mod parsing;
pub mod parts;
mod pattern;
mod rule;

pub use device_url::{Case, DeviceUrl, HostKind, MAX_URL_LENGTH, UrlError};
pub use expansion::{SubUrls, TooManySubUrls};
pub use parsing::{DomainOptions, ParsingConfiguration, PathOptions, QueryOptions};
pub use pattern::{PatternError, UrlPattern};
pub(crate) use rule::RuleFields;
pub use rule::{Profile, RuleError, SubUrlRule};

/// What stands for a component that a parsing configuration excludes from a URL that has it.
pub const PLACEHOLDER: &str = "%*";
