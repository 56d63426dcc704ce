//! Services that try to learn from what a client does.
//!
//! `URLFILTER_ATTACKS=10` makes ten times as many attempts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod configuration;
mod connections;
mod issuer;
mod oracle;
mod prefilter;
mod refills;
mod refresh;
mod service;
mod sharding;
mod stopped;
#[path = "../client/support.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod support;

/// How often an attack is tried.
fn attempts(default: usize) -> usize {
    let factor = std::env::var("URLFILTER_ATTACKS").ok();
    let factor = factor.map(|text| text.parse::<usize>().expect("URLFILTER_ATTACKS is a number"));
    default * factor.unwrap_or(1)
}
