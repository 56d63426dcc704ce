//! Requests and answers of those who have tokens that take more memory than their bodies: what `limits.bodiesInFlightBytes`
//! and `limits.keyCacheBytes` are for.

use crate::factor;
use crate::process::Process;
use crate::support::{Case, Device, Settings, USER, pir_request};
use futures_util::future::join_all;
use pir_api::{Message, api, he, pir, report};
use privacy_pass::Token;
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

/// Memory for bodies: so much that an allocator gives a part of that length back to the system at once, and keeps none for
/// later.
const BODIES: usize = 40 << 20;

/// A service with limits, and a client of it.
pub(crate) struct Target {
    pub(crate) case: Case,
    pub(crate) process: Process,
    pub(crate) device: Device,
    _folder: TempDir,
}

impl Target {
    fn new(limits: Value) -> Self {
        Self::with_all(&[("limits", limits)], 1)
    }

    /// With settings, and so many shards that are all the same.
    pub(crate) fn with_all(all: &[(&str, Value)], shards: u32) -> Self {
        let case = Case::new("synthetic_small_logt5");
        let folder = tempfile::tempdir().unwrap();
        let mut installed = case.install(folder.path(), "data");
        for (ending, shard) in
            (1..shards).flat_map(|shard| [("bin", shard), ("params.txtpb", shard)])
        {
            let name = |shard| folder.path().join(format!("data-{shard}.{ending}"));
            fs::hard_link(name(0), name(shard)).unwrap();
        }
        installed.shards = shards;
        let settings = Settings::new(vec![installed])
            .with("reportDirectory", json!(folder.path().join("reports")));
        let settings =
            all.iter().fold(settings, |settings, (key, value)| settings.with(key, value.clone()));
        let process = Process::start(folder.path(), &settings, &[]);
        let device = device(&process, reqwest::Client::new(), USER.to_owned());
        Self { case, process, device, _folder: folder }
    }

    pub(crate) async fn tokens(&self, count: usize) -> Vec<Token> {
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..count {
            tokens.push(self.device.token().await.unwrap());
        }
        tokens
    }

    /// The status of a request with a token of its own.
    async fn post(&self, path: &str, body: Vec<u8>) -> u16 {
        let token = self.device.token().await.unwrap();
        self.device.post(path, &token, body).await.unwrap().status().as_u16()
    }

    /// The most memory that the process has had, in megabytes.
    pub(crate) fn peak_megabytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kilobytes: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        kilobytes / 1000
    }
}

fn device(process: &Process, http: reqwest::Client, user: String) -> Device {
    Device { http, url: process.url.clone(), user }
}

/// A client that reads the heads of answers, and a byte of their bodies.
pub(crate) fn takes_nothing() -> reqwest::Client {
    let client = reqwest::Client::builder().http2_prior_knowledge();
    client.http2_initial_stream_window_size(1).build().unwrap()
}

/// A request of queries that have an evaluation key each, every one another. A prepared key takes several times the memory
/// of one in a request.
#[tokio::test(flavor = "multi_thread")]
async fn evaluation_keys_in_queries_take_no_more_memory_than_bodies_may() {
    let target = Target::new(json!({ "bodyBytes": BODIES, "bodiesInFlightBytes": BODIES }));
    let upload = target.case.first("/key").request;
    let uploaded = api::shared::EvaluationKeys::decode(&upload[..]).unwrap();
    let recorded = api::Requests::decode(&target.case.first("/queries").request[..]).unwrap();
    let body = |keys: u64| {
        let request = |number| {
            let mut key = uploaded.keys[0].clone();
            key.metadata.as_mut().unwrap().timestamp = number;
            let mut one = api::Requests { requests: vec![recorded.requests[0].clone()] };
            pir_request(&mut one, 0).evaluation_key = Some(key);
            one.requests.remove(0)
        };
        api::Requests { requests: (0..keys).map(request).collect() }.encode_to_vec()
    };
    let length = body(1).len();
    assert_eq!(target.post("/queries", body(2)).await, 200);
    let before = target.peak_megabytes();
    // As many as fit into a body by their own length, or a request may have.
    let many = (BODIES / length).min(128) as u64;
    assert!(many > 20, "{length}");
    for _ in 0..4 * factor() {
        assert_eq!(target.post("/queries", body(many)).await, 503);
    }
    let grown = target.peak_megabytes() - before;
    println!("{many} keys of {length} bytes: {grown} MB");
    assert!(grown < 3 * (BODIES / 1_000_000) as u64, "{grown} MB");
    // What was refused is given back.
    assert_eq!(target.post("/queries", body(2)).await, 200);
}

/// Uploads of many evaluation keys each, at once. Each key is decoded, encoded again for the store, and prepared.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_evaluation_keys_take_no_more_memory_than_bodies_may() {
    const KEYS: usize = 16;
    let limits = json!({ "bodiesInFlightBytes": BODIES, "keyCacheBytes": 1 << 20 });
    let target = Target::new(limits);
    let upload = target.case.first("/key").request;
    let mut keys = api::shared::EvaluationKeys::decode(&upload[..]).unwrap();
    keys.keys = vec![keys.keys[0].clone(); KEYS];
    let body = keys.encode_to_vec();
    assert_eq!(target.post("/key", body.clone()).await, 200);
    let tokens = target.tokens(40 * factor()).await;
    let before = target.peak_megabytes();
    let all = tokens.iter().map(|token| target.device.post("/key", token, body.clone()));
    let statuses: Vec<u16> =
        join_all(all).await.into_iter().map(|one| one.unwrap().status().as_u16()).collect();
    let refused = statuses.iter().filter(|&&status| status == 503).count();
    let grown = target.peak_megabytes() - before;
    println!("{} uploads, {refused} refused, of {} bytes: {grown} MB", tokens.len(), body.len());
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(grown < 3 * (BODIES / 1_000_000) as u64, "{grown} MB");
    assert_eq!(target.post("/key", body).await, 200);
}

/// Reports of many small keys, of text that takes twice its length when it is written, and of what is no key, at once.
#[tokio::test(flavor = "multi_thread")]
async fn reports_take_no_more_memory_than_bodies_may() {
    const LENGTH: usize = 128 << 10;
    let target = Target::new(json!({ "bodiesInFlightBytes": BODIES }));
    let encoded = |urls| report::UrlFilterReport { urls }.encode_to_vec();
    assert_eq!(target.post("/report", encoded(vec!["a.example".to_owned()])).await, 200);
    for (urls, expected) in [
        (vec!["\"".repeat((8 << 10) - 4); 16], 200),
        (vec!["a".repeat(100); 1000], 200),
        (vec!["\u{1}".repeat(LENGTH - 16)], 400),
    ] {
        let body = encoded(urls);
        assert!((LENGTH / 2..=LENGTH).contains(&body.len()), "{}", body.len());
        let tokens = target.tokens(400 * factor()).await;
        let before = target.peak_megabytes();
        let all = tokens.iter().map(|token| target.device.post("/report", token, body.clone()));
        let statuses: Vec<u16> =
            join_all(all).await.into_iter().map(|one| one.unwrap().status().as_u16()).collect();
        let grown = target.peak_megabytes() - before;
        println!("{} reports of {} bytes: {grown} MB", tokens.len(), body.len());
        assert!(statuses.iter().all(|status| [expected, 503].contains(status)), "{statuses:?}");
        assert!(grown < 3 * (BODIES / 1_000_000) as u64, "{grown} MB");
    }
    assert_eq!(target.post("/report", encoded(vec!["a.example".to_owned()])).await, 200);
}

/// Queries of many pseudonyms at once, of which each needs a key that is not in memory yet.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_queries_that_wait_take_no_more_memory_than_their_cache_may() {
    /// What keys may take beside the cache.
    const RESERVE: u64 = 64 << 20;
    let limits = json!({ "keyCacheBytes": 1 << 20, "bodiesInFlightBytes": BODIES });
    let target = Target::new(limits);
    let upload = target.case.first("/key").request;
    let queries = target.case.first("/queries").request;
    let mut owners = Vec::new();
    for number in 0..150 * factor() {
        let owner = device(&target.process, target.device.http.clone(), format!("user-{number}"));
        let token = owner.token().await.unwrap();
        let status = owner.post("/key", &token, upload.clone()).await.unwrap().status();
        assert_eq!(status, 200);
        owners.push(owner);
    }
    let tokens = target.tokens(owners.len()).await;
    let before = target.peak_megabytes();
    let questions = owners
        .iter()
        .zip(&tokens)
        .map(|(owner, token)| owner.post("/queries", token, queries.clone()));
    let statuses: Vec<u16> = join_all(questions)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().status().as_u16())
        .collect();
    let grown = target.peak_megabytes() - before;
    let answered = statuses.iter().filter(|&&status| status == 200).count();
    println!("{} owners, {answered} answered: {grown} MB", owners.len());
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(answered > 0);
    // Keys that were in use when the memory was full make room for others once they are not.
    for owner in &owners {
        let token = owner.token().await.unwrap();
        let answer = owner.post("/queries", &token, queries.clone()).await.unwrap();
        assert_eq!(answer.status(), 200, "{}", owner.user);
    }
    assert!(grown < (RESERVE + BODIES as u64) * 3 / 2 / 1_000_000, "{grown} MB");
    assert_eq!(target.post("/key", upload).await, 200);
    assert_eq!(target.post("/queries", queries).await, 200);
}

/// Answers that their clients do not take, each paid for with a token.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_taken_take_no_more_memory_than_bodies_may() {
    const BODIES: usize = 16 << 20;
    let limits = json!({ "bodiesInFlightBytes": BODIES, "answerSeconds": 3600 });
    let target = Target::new(limits);
    assert_eq!(target.post("/key", target.case.first("/key").request).await, 200);
    let recorded = api::Requests::decode(&target.case.first("/queries").request[..]).unwrap();
    let many = api::Requests { requests: vec![recorded.requests[0].clone(); 128] }.encode_to_vec();
    let token = target.device.token().await.unwrap();
    let answer = target.device.post("/queries", &token, many.clone()).await.unwrap();
    let length = answer.bytes().await.unwrap().len();
    let tokens = target.tokens(120 * factor()).await;
    let before = target.peak_megabytes();
    // What clients have not taken, of connections that are open as long as the service lets them be.
    let mut held = Vec::new();
    for tokens in tokens.chunks(10) {
        let http = takes_nothing();
        let deaf = device(&target.process, http, USER.to_owned());
        for token in tokens {
            held.extend(deaf.post("/queries", token, many.clone()).await);
        }
    }
    let grown = target.peak_megabytes() - before;
    println!("{} answers of {length} bytes: {grown} MB", held.len());
    assert!(held.len() > tokens.len() / 2, "{}", held.len());
    assert!(length * held.len() > 16 * BODIES, "{length}");
    // A connection that makes room has a second to end, and answers are encoded from their parts.
    assert!(grown < 8 * (BODIES / 1_000_000) as u64, "{grown} MB");
    // Others are answered.
    assert_eq!(target.post("/queries", many).await, 200);
    drop(held);
}

/// Two bytes a query: the most of what fits into a body, and what is nested into one query.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_empty_elements_take_no_memory() {
    let target = Target::new(json!({}));
    // What a usual request takes.
    assert_eq!(target.post("/key", target.case.first("/key").request).await, 200);
    let ciphertexts = |count| pir::EncryptedIndices {
        ciphertexts: vec![he::SerializedCiphertext::default(); count],
        num_pir_calls: 1,
    };
    let query = |count| {
        let query = api::pir::PirRequest { query: Some(ciphertexts(count)), ..Default::default() };
        let request = Some(api::request::Request::PirRequest(query));
        api::Requests { requests: vec![api::Request { request, usecase: String::new() }] }
    };
    let bodies = [
        ("/queries", [0x0a, 0].repeat(544_288)),
        ("/queries", query(1_000_000).encode_to_vec()),
        ("/key", [0x0a, 0].repeat(1_000_000)),
    ];
    let before = target.peak_megabytes();
    for _ in 0..4 * factor() {
        for (path, body) in &bodies {
            assert_eq!(target.post(path, body.clone()).await, 400, "{path}");
        }
    }
    // Bodies have 2 MB, and buffers are not given back to the system at once.
    let grown = target.peak_megabytes() - before;
    assert!(grown < 40, "{before} MB and {grown} MB more");
}
