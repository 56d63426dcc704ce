//! From a requested URL to the sub-URLs that a device tests.
//!
//! A device never tests a URL alone: it also tests every parent of it, in host and path. [`SubUrlRule`] says which
//! set of strings that is, [`SubUrlRule::parse`] makes the [`DeviceUrl`] that fits the rule, and [`SubUrls`] is the
//! product of both. Its strings share almost all of their bytes, so that [`SubUrls::hits_in`] tests them in one
//! walk, without making one string per sub-URL.
//!
//! ```
//! use filter_core::sub_url::SubUrlRule;
//!
//! let rule = SubUrlRule::default();
//! let url = rule.parse("https://www.sub1.example.com/a/b/c?id=123#fragment")?;
//! let list = url.sub_urls().sorted(1_000)?;
//! assert_eq!(list.len(), 48);
//! assert_eq!(list[0], "example.com");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Which rule comes from where is written down in `docs/device-rules.md` of the repository.

mod device_url;
mod expansion;
mod lookup;
mod parsing_configuration;
pub mod parts;
mod pattern;
mod respelled;
mod rule;
mod serialised;
mod sub_urls;
mod system;
mod system_products;
mod url_parts;
#[cfg(feature = "url")]
mod whatwg;

pub use device_url::DeviceUrl;
pub use parsing_configuration::{
    DomainOptions, PLACEHOLDER, ParsingConfiguration, PathOptions, QueryOptions,
};
pub use pattern::{PatternError, UrlPattern};
pub(crate) use rule::RuleFields;
pub use rule::{Profile, RuleError, SubUrlRule};
pub use sub_urls::{MAX_HITS, SubUrls, TooManyHits, TooManySubUrls};
pub use system::{Certainty, Grade, System, UnknownSystem};
pub use url_parts::{Case, HostKind, MAX_URL_LENGTH, UrlError};
