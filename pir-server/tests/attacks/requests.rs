//! Requests that cost more than they should.

use crate::factor;
use crate::process::Process;
use crate::support::{Case, Device, Running, Settings, USER, pir_request, refusal};
use futures_util::future::join_all;
use pir_api::{Message, api, he, pir};
use serde_json::json;
use std::fs;

async fn small() -> Running {
    Running::of(&Case::new("synthetic_small_logt5")).await
}

/// A request of queries that have an evaluation key each, every one another. A prepared key takes several times the memory
/// of one in a request.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn evaluation_keys_in_queries_take_no_more_memory_than_bodies_may() {
    // So long that an allocator gives them back to the system at once, and keeps none for later.
    const BODIES: usize = 40 << 20;
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let limits = json!({ "bodyBytes": BODIES, "bodiesInFlightBytes": BODIES });
    let settings = Settings::new(vec![case.install(folder.path(), "data")]).with("limits", limits);
    let process = Process::start(folder.path(), &settings, &[]);
    let device =
        Device { http: reqwest::Client::new(), url: process.url.clone(), user: USER.to_owned() };
    let uploaded = api::shared::EvaluationKeys::decode(&case.first("/key").request[..]).unwrap();
    let recorded = api::Requests::decode(&case.first("/queries").request[..]).unwrap();
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
    let post = async |keys| {
        let token = device.token().await.unwrap();
        device.post("/queries", &token, body(keys)).await.unwrap().status().as_u16()
    };
    assert_eq!(post(2).await, 200);
    let before = peak_megabytes(&process);
    // As many as fit into a body by their own length, or a request may have.
    let many = (BODIES / length).min(128) as u64;
    assert!(many > 20, "{length}");
    for _ in 0..4 * factor() {
        assert_eq!(post(many).await, 503);
    }
    let grown = peak_megabytes(&process) - before;
    println!("{many} keys of {length} bytes: {grown} MB");
    assert!(grown < 3 * (BODIES / 1_000_000) as u64, "{grown} MB");
    // What was refused is given back.
    assert_eq!(post(2).await, 200);
}

/// The most memory that a process has had, in megabytes.
fn peak_megabytes(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kilobytes / 1000
}

/// Two bytes a query: the most of what fits into a body, and what is nested into one query.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_empty_elements_take_no_memory() {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    let process = Process::start(folder.path(), &settings, &[]);
    let device =
        Device { http: reqwest::Client::new(), url: process.url.clone(), user: USER.to_owned() };
    // What a usual request takes.
    let token = device.token().await.unwrap();
    let upload = case.first("/key").request;
    assert_eq!(device.post("/key", &token, upload).await.unwrap().status(), 200);
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
    let before = peak_megabytes(&process);
    for _ in 0..4 * factor() {
        for (path, body) in &bodies {
            let token = device.token().await.unwrap();
            let response = device.post(path, &token, body.clone()).await.unwrap();
            assert_eq!(response.status(), 400, "{path}");
        }
    }
    // Bodies have 2 MB, and buffers are not given back to the system at once.
    let grown = peak_megabytes(&process) - before;
    assert!(grown < 40, "{before} MB and {grown} MB more");
}

/// What was decoded was paid for, whatever it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_decoded_has_spent_its_token() {
    let running = small().await;
    // Well-formed on the wire, but text that is not UTF-8, or without its fields.
    let broken = [0x0a, 0x03, 0x0a, 0x01, 0xff];
    let malformed = "not a well-formed message";
    let protobuf = "application/x-protobuf";
    let many = format!("[{}0]", "\"\",".repeat(100_000));
    for (path, media, body, expected) in [
        ("/queries", protobuf, &broken[..], malformed),
        ("/config", protobuf, &broken[2..], malformed),
        ("/key", protobuf, &[0x0a, 0][..], "Evaluation key has unset fields"),
        ("/report", protobuf, &broken[2..], malformed),
        ("/report", "application/json", b"[0]", "not a JSON array of strings"),
        ("/report", "application/json", b"[\"\"] 0", "not a JSON array of strings"),
        ("/report", "application/json", many.as_bytes(), "not a JSON array of strings"),
    ] {
        let token = running.token().await;
        let authorization = token.to_authorization();
        let headers = [
            ("authorization", authorization.as_str()),
            ("user-identifier", USER),
            ("user-agent", crate::support::AGENT),
            ("content-type", media),
        ];
        let post =
            async || running.send(reqwest::Method::POST, path, &headers, body.to_vec()).await;
        let (status, text) = refusal(post().await).await;
        assert_eq!((status, text.as_str()), (400, expected), "{path}");
        let (status, text) = refusal(post().await).await;
        assert_eq!((status, text.as_str()), (401, "the token was spent before"), "{path}");
    }
    // Every path that takes a token is above.
    let endpoints = include_str!("../../src/endpoints.rs");
    let with_tokens = endpoints.matches("post(").count();
    assert_eq!(with_tokens, ["/issue", "/queries", "/config", "/key", "/report"].len());
}

fn stored_bytes(metrics: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("pir_stored_key_bytes "));
    line.unwrap().parse().unwrap()
}

/// Galois keys that the configuration does not ask for take no room in the store.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_evaluation_keys_that_nobody_asked_for_are_not_stored() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let upload = case.first("/key").request;
    assert_eq!(running.post("/key", &upload).await.status(), 200);
    let plain = stored_bytes(&running.metrics().await);
    let mut keys = api::shared::EvaluationKeys::decode(&upload[..]).unwrap();
    let key = keys.keys[0].evaluation_key.as_mut().unwrap();
    let parts = &mut key.galois_key.as_mut().unwrap().key_switch_keys;
    let (_, part) = parts.iter().next().map(|(element, part)| (*element, part.clone())).unwrap();
    let mut more = 0;
    for element in (1..)
        .step_by(2)
        .filter(|element| !parts.contains_key(element))
        .take(20)
        .collect::<Vec<u64>>()
    {
        parts.insert(element, part.clone());
        more += 1;
    }
    assert_eq!(more, 20);
    let large = keys.encode_to_vec();
    assert!(large.len() > 2 * upload.len());
    assert_eq!(running.post("/key", &large).await.status(), 200);
    assert_eq!(stored_bytes(&running.metrics().await), plain);
    let queries = case.first("/queries").request;
    assert_eq!(running.post("/queries", &queries).await.status(), 200);
    // What is stored serves queries after a restart, too.
    let (folder, settings) = running.stop().await;
    let running = Running::start(folder, settings).await;
    assert_eq!(running.post("/queries", &queries).await.status(), 200);
}

/// Someone who knows a pseudonym replaces its evaluation key: the owner is told so, instead of getting answers that were
/// computed under a key of someone else.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_never_answered_under_another_key_than_it_names() {
    let case = Case::new("synthetic_small_logt5");
    let mut running = Running::of(&case).await;
    let upload = case.first("/key").request;
    let queries = case.first("/queries").request;
    let mut foreign = api::shared::EvaluationKeys::decode(&upload[..]).unwrap();
    let timestamp = &mut foreign.keys[0].metadata.as_mut().unwrap().timestamp;
    let own = *timestamp;
    for (replaced, restart) in [(own + 1, false), (own - 1, false), (own + 1, true)] {
        foreign.keys[0].metadata.as_mut().unwrap().timestamp = replaced;
        assert_eq!(running.post("/key", &upload).await.status(), 200);
        let answer = running.post("/queries", &queries).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(running.post("/key", &foreign.encode_to_vec()).await.status(), 200);
        if restart {
            let (folder, settings) = running.stop().await;
            running = Running::start(folder, settings).await;
        }
        for _ in 0..3 {
            let (status, text) = refusal(running.post("/queries", &queries).await).await;
            assert_eq!((status, text.as_str()), (400, "Evaluation key not found"));
        }
    }
    // The owner uploads again, as devices do.
    assert_eq!(running.post("/key", &upload).await.status(), 200);
    assert_eq!(running.post("/queries", &queries).await.status(), 200);
}

/// Questions that waited for longer than a device does are not worked on, and are counted.
#[tokio::test(flavor = "multi_thread")]
async fn questions_whose_clients_have_given_up_are_dropped() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    assert_eq!(running.post("/key", &case.first("/key").request).await.status(), 200);
    let mut tokens = Vec::new();
    for _ in 0..16 {
        tokens.push(running.token().await);
    }
    let (folder, settings) = running.stop().await;
    let settings =
        settings.with("limits", json!({ "waitMilliseconds": 1 })).with("workers", json!(1));
    let running = Running::start(folder, settings).await;
    let queries = case.first("/queries").request;
    let ask = |token| running.post_with(token, "/queries", &queries);
    let responses = join_all(tokens.iter().map(ask)).await;
    let mut dropped = 0;
    for response in responses {
        if response.status() == 503 {
            assert_eq!(response.headers()["retry-after"], "1");
            let (_, text) = refusal(response).await;
            assert_eq!(text, "waited for too long, try again");
            dropped += 1;
        } else {
            assert_eq!(response.status(), 200);
        }
    }
    assert!(dropped > 0);
    let metrics = running.metrics().await;
    let counted = metrics.lines().find_map(|line| line.strip_prefix("pir_dropped_total "));
    assert!(counted.unwrap().parse::<u64>().unwrap() >= dropped, "{metrics}");
}
