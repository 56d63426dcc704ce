//! Faults at random moments: crashes, full disks, stores that go away, damaged files, clocks that jump, reloads
//! without pause, slow peers, overload; and all at once for a time.
//!
//! The tests are slow and ignored unless they are asked for (`cargo test --test faults -- --include-ignored`).
//! `URLFILTER_FAULTS` is the number of crashes, 20 by default; the other faults are in proportion. `URLFILTER_SEED`
//! repeats a run. Each test prints its counts to standard output (`--nocapture`). Each checks that no verdict is wrong,
//! no key is lost, no token is accepted twice, memory is bounded, and the service works again by itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the counts are the result of a run")]
#![allow(dead_code, reason = "helpers are shared with the tests of the service")]

mod clock;
mod crash;
mod disk;
mod files;
mod load;
mod peers;
#[path = "../service/process.rs"]
mod process;
#[cfg(feature = "redis")]
#[path = "../service/redis_server.rs"]
mod redis_server;
#[cfg(feature = "lists")]
mod soak;
#[cfg(feature = "redis")]
mod store;
#[path = "../service/support.rs"]
mod support;

use crate::support::{Case, Device, for_key};
use filter_client::{AnswerPolicy, ClientOptions, EmptyWallet, PirClient};
use pir_api::{Message, api};
use privacy_pass::Token;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use unix_clock::{Clock, SystemClock};

/// Number of crashes; the other faults are in proportion.
fn budget() -> usize {
    let budget = std::env::var("URLFILTER_FAULTS").map_or(20, |text| text.parse().unwrap());
    assert!(budget > 0, "URLFILTER_FAULTS: expected at least 1");
    budget
}

/// Random numbers from `URLFILTER_SEED`, or from a seed that changes each day.
fn chance(what: &str) -> fastrand::Rng {
    let seed = std::env::var("URLFILTER_SEED")
        .map_or_else(|_| SystemClock.now().unix_seconds() / 86_400, |text| text.parse().unwrap());
    println!("{what}: URLFILTER_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

const CASE: &str = "synthetic_small_logt5";

fn device(url: &str, user: &str) -> Device {
    Device { http: reqwest::Client::new(), url: url.to_owned(), user: user.to_owned() }
}

fn all_configs() -> Vec<u8> {
    api::ConfigRequest::default().encode_to_vec()
}

fn client(url: &str, max_attempts: u32) -> PirClient {
    client_of(url, &Case::new(CASE).use_case(), max_attempts)
}

fn client_of(url: &str, use_case: &str, max_attempts: u32) -> PirClient {
    let mut options = ClientOptions::default();
    options.retry.max_attempts = max_attempts;
    options.answers = AnswerPolicy::disabled();
    options.outage_backoff = Duration::ZERO;
    // It looks more up within a minute than wallets are made for.
    options.wallet.when_empty = EmptyWallet::Fetch;
    PirClient::builder(url, use_case).user_token("AAAA").options(options).build().unwrap()
}

/// Looks up keywords that the data set has and some that it has not.
async fn answers_are_right(client: &PirClient) -> Result<(), String> {
    let expected = Case::new(CASE).expected();
    let keywords: Vec<&[u8]> = expected.iter().map(|(keyword, _)| keyword.as_bytes()).collect();
    let found = client.lookup(&keywords).await.map_err(|error| error.to_string())?;
    let values = expected.iter().map(|(_, value)| value.as_deref().map(str::as_bytes));
    assert!(found.iter().map(Option::as_deref).eq(values), "a wrong verdict");
    Ok(())
}

/// Timestamp of the next evaluation key.
static NEWEST: AtomicU64 = AtomicU64::new(1_800_000_000);

/// What the service has promised to devices.
#[derive(Default)]
struct Promises {
    /// Users whose key was stored, and its timestamp.
    keys: Mutex<std::collections::BTreeMap<String, u64>>,
    /// Tokens that were accepted and must not be accepted again.
    spent: Mutex<Vec<Token>>,
}

impl Promises {
    /// Uploads keys and queries until the service does not answer. Statuses other than 200 must be in `allowed`.
    async fn keep_asking(&self, device: &Device, allowed: &[u16], over: &AtomicBool) {
        let case = Case::new(CASE);
        let upload = api::shared::EvaluationKeys::decode(&case.first("/key").request[..]).unwrap();
        let queries = case.first("/queries").request;
        loop {
            // Later keys have later timestamps, also after a crash.
            let timestamp = NEWEST.fetch_add(1, Ordering::Relaxed);
            let mut upload = upload.clone();
            upload.keys[0].metadata.as_mut().unwrap().timestamp = timestamp;
            let queries = for_key(&queries, timestamp);
            for (path, body) in [("/key", upload.encode_to_vec()), ("/queries", queries)] {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let Some(token) = device.token().await else { return };
                let Some(response) = device.post(path, &token, body).await else { return };
                let status = response.status().as_u16();
                if status == 200 {
                    self.spent.lock().unwrap().push(token);
                    if path == "/key" {
                        self.keys.lock().unwrap().insert(device.user.clone(), timestamp);
                    }
                } else {
                    assert!(allowed.contains(&status), "{path}: {status}");
                    // Queries for a key that was not stored would be refused.
                    break;
                }
            }
        }
    }

    /// Checks the promises. Returns the numbers of keys and tokens that were checked.
    async fn check(&self, url: &str) -> (usize, usize) {
        let keys = self.keys.lock().unwrap().clone();
        for (user, &timestamp) in &keys {
            let device = device(url, user);
            let token = device.token().await.unwrap();
            let response = device.post("/config", &token, all_configs()).await.unwrap();
            assert_eq!(response.status(), 200);
            let response = api::ConfigResponse::decode(response.bytes().await.unwrap()).unwrap();
            // A later key may have been stored without its answer.
            assert!(response.key_info[0].timestamp >= timestamp, "a lost key");
            self.spent.lock().unwrap().push(token);
        }
        let spent = self.spent.lock().unwrap().clone();
        let device = device(url, "anyone");
        for token in &spent {
            let response = device.post("/config", token, all_configs()).await.unwrap();
            assert_eq!(response.status(), 401, "a token was accepted twice");
        }
        (keys.len(), spent.len())
    }
}

/// Resident memory of a process without mapped files, in bytes.
fn resident(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
