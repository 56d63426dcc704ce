//! The client without I/O: requests and answers out, responses and the time in.
//!
//! [`Client`] opens no connection, runs on no runtime and reads no clock. Its caller sends the requests
//! that it makes, over whatever network stack there is, hands it the responses, and tells it the time.
//! [`PirClient`](crate::PirClient) does that with Tokio. A phone's or a browser's own network stack can do
//! it as well.
//!
//! ```
//! use bytes::Bytes;
//! use filter_client::sans_io::{Client, Now, Outcome, Output};
//! use std::time::Duration;
//! use unix_clock::Timestamp;
//!
//! let now = Now::new(Timestamp::from_unix_seconds(1_800_000_000), Duration::ZERO);
//! let mut client =
//!     Client::builder("https://pir.example", "com.example.app.url.filtering").build(now)?;
//! let lookup = client.start_lookup(vec![b"blocked.example".to_vec()], now);
//!
//! // Before anything is sent, the state is stored.
//! let Some(Output::Store) = client.next_output() else { panic!() };
//! let _stored = client.state().to_bytes();
//!
//! // Send what there is to send. This service knows no use case.
//! let Some(Output::Send(request)) = client.next_output() else { panic!() };
//! assert_eq!(request.request.uri().path(), "/config");
//! let mut response = http::Response::new(Bytes::new());
//! *response.status_mut() = http::StatusCode::NOT_FOUND;
//! client.handle_response(request.id, Ok(response), now);
//!
//! let Some(Output::Done(id, Outcome::Lookup(outcome))) = client.next_output() else { panic!() };
//! assert_eq!(id, lookup);
//! assert!(outcome.answers()[0].is_err());
//! # Ok::<(), filter_client::Error>(())
//! ```
//!
//! # What a caller does
//!
//! After each call, take all of [`Client::next_output`], and call [`Client::handle_time`] no later than
//! [`Client::next_timeout`] says. Requests to the issuer name the user, requests to the service name a
//! pseudonym: connections, TLS sessions and addresses that both travel over tie the two together, see
//! [`Request::party`].
//!
//! # What is stored before anything is sent
//!
//! Some things must not be done twice under one pseudonym, whenever a process ends: a token is sent once, a
//! keyword is asked for under numbers of shards that nest, the service gets the evaluation key of a secret
//! key that this client still has, and the issuer's key changes once in six days at most. Each request that matters
//! for this follows an [`Output::Store`]: a caller that keeps the state between runs writes
//! [`Client::state`] to durable storage before it takes the next output. A client that goes on from what was
//! stored last repeats nothing of this, wherever it was stopped.
//!
//! # What replies decrypt to
//!
//! What a client sends, and when, is a function of what anyone on the wire could compute from the replies:
//! their status, their size, and whether they are well formed. No request depends on what a reply decrypts
//! to. A reply is cached when it arrives and decrypted when [`Lookup::answers`] is called, outside of the
//! client. One that decrypts to nonsense counts as the answer that the keyword is absent.

mod age;
mod answer;
pub(crate) mod answers;
mod builder;
mod caller;
mod client;
mod config_limits;
mod exchange;
mod inner;
mod io;
mod issuance;
mod keywords;
mod lookup;
mod outage;
mod pinning;
mod posting;
mod refills;
pub(crate) mod retry;
mod session;
mod setup;
pub(crate) mod sharding;
pub(crate) mod wallet;

pub use answer::{Answer, Source};
pub use answers::AnswerPolicy;
#[cfg(feature = "tokio")]
pub(crate) use answers::Answers;
pub use builder::ClientBuilder;
pub use client::Client;
pub use exchange::{Lookup, Now, OperationId, Outcome, Output, Request, RequestId};
pub use keywords::Keywords;
pub use retry::RetryPolicy;
pub use sharding::{ShardingError, ShardingPolicy};
pub use wallet::{EmptyWallet, WalletPolicy};
