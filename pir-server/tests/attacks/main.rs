//! Attacks on running services, and on their files: what each attacker of `docs/threat-model.md` may not do.
//!
//! Each test is one attack that once succeeded, or that would if a limit were missing. By default all take seconds;
//! `URLFILTER_ATTACKS` multiplies their attempts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the counts are the result")]
#![allow(dead_code, reason = "helpers are shared with the tests of the service")]

#[cfg(all(target_os = "linux", feature = "gateway"))]
mod answers;
mod claims;
mod files;
#[cfg(feature = "gateway")]
mod floods;
mod frames;
#[cfg(feature = "gateway")]
mod gateway;
mod integrity;
mod issuance;
#[cfg(target_os = "linux")]
mod memory;
#[path = "../service/process.rs"]
mod process;
#[cfg(feature = "redis")]
#[path = "../service/redis_server.rs"]
mod redis_server;
mod requests;
#[cfg(feature = "gateway")]
mod shared_connections;
#[cfg(feature = "redis")]
mod shared_store;
mod signatures;
mod spent_tokens;
#[path = "../service/support.rs"]
mod support;

/// What the number of attempts is multiplied by.
fn factor() -> usize {
    let factor = std::env::var("URLFILTER_ATTACKS").map_or(1, |text| text.parse().unwrap());
    assert!(factor > 0, "URLFILTER_ATTACKS: expected at least 1");
    factor
}
