//! Private URL filtering on any platform: verdicts as Apple's devices give them, as a library.
//!
//! A [`UrlFilter`] tests a URL and its parents against a Bloom filter on this machine. What hits the filter
//! is looked up at a service, encrypted, so that the service cannot tell which URL it was. A [`PirClient`]
//! makes these lookups: it fetches tokens that do not identify their user, the configuration and keys, sends
//! encrypted queries, and caches answers. [`blocking`] has both for callers without an asynchronous runtime.
//!
//! ```no_run
//! use filter_client::{FilterOptions, PirClient, PrefilterSource, UrlFilter, Verdict};
//!
//! # #[cfg(feature = "http")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = PirClient::builder("https://pir.example", "com.example.app.url.filtering")
//!     .user_token("AAAA")
//!     .build()?;
//! let source = PrefilterSource::File("dist".into());
//! let filter = UrlFilter::new(source, client, FilterOptions::default()).await?;
//!
//! let decision = filter.check("https://www.phish.example/login").await;
//! if let Verdict::Deny { matched } = &decision.verdict {
//!     eprintln!("blocked because of {matched}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What the service learns
//!
//! The number of keywords in a request and their shards, when requests come, the client's address and its
//! pseudonym: never a URL. `docs/privacy.md` has the details. Without Oblivious HTTP
//! (`ObliviousTransport`) the service sees the client's address.
//!
//! # Runtime
//!
//! Asynchronous functions must run on a Tokio runtime with time enabled (`enable_all`, or `enable_time` if
//! the transport needs no I/O of Tokio): they set timeouts and spawn tasks that fetch tokens and prefilters
//! in the background.
//!
//! # State
//!
//! A client has a secret key, tokens and a pseudonym. [`ClientBuilder::store_state`] takes a function that
//! stores them where the platform keeps secrets, before anything is sent that must not be repeated; give them
//! to the next client with [`ClientBuilder::state`].
//!
//! # Features
//!
//! | feature | default | adds |
//! | --- | --- | --- |
//! | `tokio` | yes | `PirClient` and `UrlFilter` on Tokio, and the blocking ones. Without it there is [`sans_io`], which needs no runtime and compiles for WebAssembly |
//! | `http` | yes | `HttpTransport` by reqwest. Without it, the application implements [`Transport`] on its own network stack, and links no reqwest |
//! | `tls` | yes | `https://` addresses in `HttpTransport`, by rustls. Without it, they are refused |
//! | `oblivious` | no | `ObliviousTransport`: requests through a relay (RFC 9458) |
//! | `symmetric` | no | use cases with encrypted values; URL filters do not need it |
//!
//! # Map
//!
//! | to | use |
//! | --- | --- |
//! | decide about URLs | [`UrlFilter`], [`FilterOptions`], [`Decision`] |
//! | load a prefilter | [`PrefilterSource`], [`MeasuredPrefilter`] |
//! | look keywords up | [`PirClient`], [`ClientBuilder`], [`ClientOptions`], [`Answer`] |
//! | store secrets between runs | [`ClientState`] |
//! | use another network stack | [`Transport`] |
//! | handle failures | [`Error`], [`Endpoint`], [`RetryPolicy`] |
//! | see what lookups cost | [`Costs`] |
#![forbid(unsafe_code)]
#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

#[cfg(feature = "tokio")]
mod background;
#[cfg(feature = "tokio")]
pub mod blocking;
mod check;
#[cfg(feature = "tokio")]
mod client;
mod costs;
mod endpoint;
mod error;
#[cfg(feature = "tokio")]
mod filter;
mod hit_count;
#[cfg(feature = "http")]
mod http_transport;
mod measured;
#[cfg(feature = "oblivious")]
mod oblivious;
mod options;
#[cfg(feature = "tokio")]
mod prefilter;
pub mod sans_io;
mod state;
mod transport;

pub use check::{Basis, Check, Decision, Failure, FilterOptions, OnFailure, Verdict};
#[cfg(feature = "tokio")]
pub use client::{ClientBuilder, PirClient};
pub use costs::Costs;
pub use endpoint::{AddressError, Endpoint, Party};
pub use error::{Error, ResponseError};
#[cfg(feature = "tokio")]
pub use filter::{MIN_REFRESH_INTERVAL, UrlFilter};
pub use hit_count::TooManyHits;
#[cfg(feature = "http")]
pub use http_transport::{HttpTransport, HttpTransportBuilder};
pub use measured::{ImplausiblePrefilter, MeasuredPrefilter};
#[cfg(feature = "oblivious")]
pub use oblivious::ObliviousTransport;
pub use options::ClientOptions;
#[cfg(feature = "signatures")]
pub use prefilter::PrefilterTrust;
#[cfg(feature = "tokio")]
pub use prefilter::{PrefilterError, PrefilterSource};
pub use sans_io::{
    Answer, AnswerPolicy, EmptyWallet, Keywords, RetryPolicy, ShardingError, ShardingPolicy,
    Source, WalletPolicy,
};
pub use state::{ClientState, MAX_STATE, StateError, StateField};
pub use transport::{Exchange, Transport, TransportError};

/// The examples of the README.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;
