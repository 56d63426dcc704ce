//! The service of private URL filters: configurations, keys, queries, tokens and reports over HTTP.
//!
//! [`Service`] holds what is served and the state that must outlive a restart. [`endpoints::router`] answers
//! devices, [`admin::router`] operators, and a [`Listener`] serves either. The command `pir-server` puts them
//! together; `docs/service.md` of the repository describes it for operators, and `docs/privacy.md` who learns
//! what.
//!
//! No user identifier, token, key, keyword or address of a client leaves this crate in a log line, a
//! metric or an error.
//!
//! # Example
//! A service on a free port. `cargo run -p pir-server --example serve` runs one with a data set.
//! ```no_run
//! use pir_server::{Configuration, Listener, Service, endpoints};
//! use std::path::Path;
//! use std::sync::Arc;
//! use unix_clock::SystemClock;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let configuration = Configuration::read(Path::new("service-config.json"))?;
//! let service = Arc::new(Service::open(&configuration, Arc::new(SystemClock)).await?);
//! let address = "127.0.0.1:0".parse()?;
//! let listener = Listener::bind(&[address], endpoints::router(&service)).await?;
//! println!("http://{}", listener.addresses()?[0]);
//! // Keys rotate and changed files are read only while this runs.
//! let maintenance = tokio::spawn(Arc::clone(&service).maintain_always());
//! let stop = async { drop(tokio::signal::ctrl_c().await) };
//! listener.serve(&service, stop).await;
//! maintenance.abort();
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//! | module | what it has |
//! | --- | --- |
//! | [`configuration`] | [`Configuration`]: `service-config.json`, checked while it is read |
//! | [`service`] | [`Service`]: opening, reloading, maintenance; what is loaded; errors |
//! | [`endpoints`] | the router for devices: tokens, configurations, keys, queries, reports |
//! | [`admin`] | the router for operators: a page, status, metrics, releases, reloads, health |
//! | [`store`] | [`Store`](store::Store): state that outlives a restart, and its engines |
//! | [`reports`] | [`count`](reports::count): how often keys were reported, by day |
//! | [`gateway`] | requests in Binary HTTP, as the Oblivious HTTP gateway reads them (feature `gateway`) |
//!
//! # Features
//! | feature | adds |
//! | --- | --- |
//! | `cloud` | published data sets from S3, Google Cloud Storage and Azure, in addition to folders |
//! | `gateway` | the Oblivious HTTP gateway |
//! | `lists` | lists that the service keeps up to date by itself |
//! | `otel` | traces of the command `pir-server` for OpenTelemetry |
//! | `redis` | `RedisStore`: state in Redis or Valkey, shared by several nodes; brings `tls` |
//! | `symmetric` | data sets of which clients learn no other value than those that they look up |
//! | `tls` | HTTPS of the service, and `https://` addresses in the configuration |
//!
//! None is on by default. A configuration that needs a missing feature is refused with
//! [`ConfigurationError::Feature`](configuration::ConfigurationError::Feature).
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs, clippy::missing_errors_doc)]

pub mod admin;
mod blocking;
mod body_budget;
mod calendar;
mod catalog;
pub mod configuration;
mod connections;
mod data_set;
mod data_set_error;
mod database_key;
pub mod endpoints;
mod fields;
mod file_mark;
pub mod gateway;
mod host;
mod issuer;
mod key_cache;
#[cfg(feature = "lists")]
mod lists;
#[cfg(feature = "lists")]
mod low_priority;
mod metrics;
mod minimum_rate;
mod nonces_in_use;
mod peer;
mod peer_budget;
mod platform;
mod prefilter;
pub mod reports;
pub mod service;
mod status;
pub mod store;
mod subscriptions;
mod tier;
mod tls;
mod traces;
mod traffic;
mod user_tokens;
mod work;

pub use configuration::Configuration;
pub use connections::Listener;
pub use service::{Service, ServiceError};
