//! The service of private URL filters: configurations, keys, queries, tokens and reports over HTTP.

pub mod configuration;
pub mod data_set;
pub mod issuer;
pub mod key_cache;
pub mod metrics;
pub mod platform;
pub mod reports;
pub mod store;
pub mod user_tokens;
pub mod work;
