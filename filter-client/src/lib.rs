//! Private URL filtering on any platform: what Apple's devices do, as a library.
//!
//! A [`UrlFilter`] tests a URL and its parents against a Bloom filter that it holds; only what hits is
//! asked of a service, encrypted, so that the service cannot tell which URL it was. A [`PirClient`]
//! does the asking: tokens that say nothing of who asks, configuration, keys, queries, and answers
//! that are remembered. [`blocking`] has both for callers without an asynchronous runtime.
//!
//! ```no_run
//! use filter_client::{FilterOptions, PirClient, PrefilterSource, UrlFilter, Verdict};
//!
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
//! What the service and the network learn, and what not, is in `docs/privacy.md`: whoever uses this
//! crate without Oblivious HTTP (`ObliviousTransport`, feature `oblivious`) shows the service its address.
#![forbid(unsafe_code)]

mod answers;
pub mod blocking;
mod calls;
mod client;
mod error;
mod filter;
mod issuance;
#[cfg(feature = "oblivious")]
mod oblivious;
mod prefilter;
mod retry;
mod secrets;
mod session;
mod transport;
mod wallet;

pub use answers::AnswerPolicy;
pub use calls::Costs;
pub use client::{Answer, ClientBuilder, ClientOptions, Clock, PirClient, Source};
pub use error::Error;
pub use filter::{
    Basis, Decision, Failure, FilterOptions, LEAST_REFRESH, OnFailure, UrlFilter, Verdict,
};
#[cfg(feature = "oblivious")]
pub use oblivious::ObliviousTransport;
pub use prefilter::{PrefilterError, PrefilterSource};
pub use retry::RetryPolicy;
pub use secrets::ClientState;
pub use transport::{Exchange, HttpTransport, Transport, TransportError};
pub use wallet::WalletPolicy;
