//! The client against recorded services and invented ones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod failures;
mod filter;
mod http_transport;
mod recorded;
#[cfg(feature = "signatures")]
mod signatures;
mod stored;
mod support;
mod tokens;
