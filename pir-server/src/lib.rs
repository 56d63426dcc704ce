//! The service of private URL filters: configurations, keys, queries, tokens and reports over HTTP.
//!
//! [`Service`] holds what is served and what must outlive a restart; [`endpoints::router`] has the endpoints
//! of the device API, [`admin::router`] those of operators, and a [`Listener`] serves either. The
//! command `pir-server` puts them together; `docs/service.md` describes it for operators, and
//! `docs/privacy.md` who learns what.
//!
//! No user identifier, token, key, keyword or address of a client leaves this crate in a log line, a
//! metric or an error.
#![forbid(unsafe_code)]

pub mod admin;
mod blocking;
mod body_budget;
pub mod catalog;
mod causes;
pub mod configuration;
mod connections;
pub mod data_set;
pub mod endpoints;
mod file_mark;
pub mod gateway;
mod host;
pub mod issuer;
pub mod key_cache;
pub mod metrics;
mod minimum_rate;
pub mod platform;
pub mod reports;
pub mod service;
pub mod store;
pub mod subscriptions;
mod tier;
mod tls;
pub mod user_tokens;
pub mod work;

pub use configuration::Configuration;
pub use connections::Listener;
pub use service::{Service, ServiceError};
pub use tls::{Certificates, TlsError};
