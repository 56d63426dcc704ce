//! The client against services that a test makes up, or that were recorded.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod failures;
mod filter;
mod recorded;
mod support;
mod tokens;
