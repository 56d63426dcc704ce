//! The state after a crash.

use crate::balanced::client_of;
use crate::process::{Process, run};
use crate::support::{Case, Device, Settings, for_key};
use filter_client::{ClientOptions, ClientState, Error, RetryPolicy};
use futures_util::future::join_all;
use pir_api::{Message, api};
use privacy_pass::Token;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use unix_clock::{Clock, ManualClock, SystemClock};

/// What the service has promised to devices before the crash.
#[derive(Default)]
struct Promises {
    /// Users whose upload was answered with 200, and the timestamp of their key.
    keys: Mutex<Vec<(String, u64)>>,
    /// Tokens whose request was answered with 200.
    spent: Mutex<Vec<Token>>,
    done: AtomicUsize,
    over: AtomicBool,
}

impl Device {
    /// Uploads keys and queries until the service is gone.
    async fn keep_asking(&self, promises: &Promises, case: &Case) {
        let upload = api::shared::EvaluationKeys::decode(&case.first("/key").request[..]).unwrap();
        let queries = case.first("/queries").request;
        for timestamp in 1_800_000_000.. {
            if promises.over.load(Ordering::Relaxed) {
                return;
            }
            let mut upload = upload.clone();
            upload.keys[0].metadata.as_mut().unwrap().timestamp = timestamp;
            let queries = for_key(&queries, timestamp);
            for (path, body) in [("/key", upload.encode_to_vec()), ("/queries", queries)] {
                let Some(token) = self.token().await else { return };
                let Some(response) = self.post(path, &token, body).await else { return };
                assert_eq!(response.status(), 200, "{path}");
                promises.spent.lock().unwrap().push(token);
                if path == "/key" {
                    promises.keys.lock().unwrap().push((self.user.clone(), timestamp));
                }
                promises.done.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promises_hold_after_kill_9() {
    let case = Arc::new(Case::new("synthetic_small_logt5"));
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    for round in 0..4 {
        let process = Process::start(folder.path(), &settings, &[]);
        let promises = Arc::new(Promises::default());
        let devices: Vec<_> = (0..4)
            .map(|number| {
                let user = format!("user-{round}-{number}");
                let device =
                    Device { http: reqwest::Client::new(), url: process.url.clone(), user };
                let (promises, case) = (Arc::clone(&promises), Arc::clone(&case));
                tokio::spawn(async move { device.keep_asking(&promises, &case).await })
            })
            .collect();
        // The crash comes while all devices are asking.
        while promises.done.load(Ordering::Relaxed) < 9 + 4 * round {
            assert!(!devices.iter().all(tokio::task::JoinHandle::is_finished));
            tokio::task::yield_now().await;
        }
        process.kill();
        promises.over.store(true, Ordering::Relaxed);
        for device in devices {
            device.await.unwrap();
        }

        let process = Process::start(folder.path(), &settings, &[]);
        let (http, url) = (reqwest::Client::new(), process.url.clone());
        let mut newest = std::collections::BTreeMap::new();
        for (user, timestamp) in promises.keys.lock().unwrap().drain(..) {
            newest.insert(user, timestamp);
        }
        for (user, timestamp) in newest {
            let device = Device { http: http.clone(), url: url.clone(), user };
            let token = device.token().await.unwrap();
            let body = api::ConfigRequest::default().encode_to_vec();
            let response = device.post("/config", &token, body).await.unwrap();
            let response = api::ConfigResponse::decode(response.bytes().await.unwrap()).unwrap();
            // A later upload may have been stored without its answer.
            assert!(response.key_info[0].timestamp >= timestamp);
        }
        let device = Device { http, url, user: "anyone".to_owned() };
        let spent: Vec<Token> = promises.spent.lock().unwrap().drain(..).collect();
        assert!(spent.len() >= 9);
        let again = spent.iter().map(|token| {
            device.post("/config", token, api::ConfigRequest::default().encode_to_vec())
        });
        for response in join_all(again).await {
            assert_eq!(response.unwrap().status(), 401);
        }
        process.kill();
    }
}

/// A damaged file is reported at the start, and only that file is lost.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_state_is_reported_and_can_be_discarded() {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    let config = folder.path().join("service-config.json");
    let config = config.to_str().unwrap();
    let state = folder.path().join("state");
    let mut options = ClientOptions::default();
    options.retry = RetryPolicy::never();
    options.wallet.refill_count = 0;
    options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
    options.outage_backoff = Duration::ZERO;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let client = |url: &str, state: ClientState| {
        client_of(url, case.use_case())
            .user_token("AAAA")
            .options(options.clone())
            .clock(Arc::clone(&clock))
            .state(state)
            .build()
            .unwrap()
    };
    let mut kept = ClientState::new();
    // Uploads of keys at first, and after each file was damaged and discarded; and how many days pass before tokens are fetched
    // under the key of the issuer that there is then.
    for (file, part, uploads, days) in [
        ("", "", 1, 0),
        ("evaluation-keys.redb", "evaluation-keys", 1, 0),
        ("nonces.redb", "nonces", 0, 1),
        ("issuer-tier1.json", "issuer-keys", 1, 6),
    ] {
        if !file.is_empty() {
            let path = state.join(file);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            let end = bytes.len().min(middle + 4096);
            bytes[..64].fill(0x55);
            bytes[middle..end].fill(0x55);
            fs::write(&path, bytes).unwrap();
            let (code, _, error) = run(&["--config", config]);
            assert_eq!(code, 2, "{file}");
            assert!(
                error.contains(file) && error.contains(&format!("--discard {part}")),
                "{error}"
            );
            // The start fails again: it changed nothing.
            assert_eq!(run(&["--config", config]).0, 2);
        }
        let arguments: &[&str] = if part.is_empty() { &[] } else { &["--discard", part] };
        let process = Process::start(folder.path(), &settings, arguments);
        let client = client(&process.url, kept);
        let expected = case.expected();
        let keywords = [expected[0].0.as_bytes()];
        for _ in 0..days {
            let refused = client.lookup(&keywords).await.unwrap_err();
            assert!(
                matches!(*refused, Error::IssuerKeyUnannounced | Error::IssuerKeyChanged),
                "{part}: {refused}"
            );
            clock.advance(Duration::from_secs(86_400));
        }
        let found = client.lookup(&keywords).await.unwrap();
        assert!(found[0].is_some());
        assert_eq!(client.costs().keys_uploaded, uploads, "{part}");
        kept = client.state();
        assert!(process.terminate().0.success());
    }
    // The keys of one tier in place of another's: its tokens would be those of the other tier.
    let (first, second) = (state.join("issuer-tier1.json"), state.join("issuer-tier2.json"));
    let own = fs::read(&second).unwrap();
    fs::copy(&first, &second).unwrap();
    let (code, _, error) = run(&["--config", config]);
    assert!(code == 2 && error.contains("tier1 and tier2 have the same issuer key"), "{error}");
    fs::write(&second, own).unwrap();
    // The nonces are missing but issuer keys are not: every spent token would be accepted again.
    fs::remove_file(state.join("nonces.redb")).unwrap();
    let (code, _, error) = run(&["--config", config]);
    assert!(code == 2 && error.contains("--discard nonces"), "{error}");
    let names: Vec<String> = fs::read_dir(&state)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".discarded-"))
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    let (code, _, error) = run(&["--config", config, "--discard", "everything"]);
    assert_eq!(code, 2);
    assert!(error.contains("evaluation-keys"), "{error}");
}
