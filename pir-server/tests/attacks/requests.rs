//! Requests that cost more than they should.

use crate::support::{Case, Running, USER, refusal};
use futures_util::future::join_all;
use pir_api::{Message, api};
use serde_json::json;

async fn small() -> Running {
    Running::of(&Case::new("synthetic_small_logt5")).await
}

/// What was decoded was paid for, whatever it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_decoded_has_spent_its_token() {
    let running = small().await;
    // Well-formed on the wire, but text that is not UTF-8, or without its fields.
    let broken = [0x0a, 0x03, 0x0a, 0x01, 0xff];
    let malformed = "not a well-formed message";
    let protobuf = "application/x-protobuf";
    let many = format!("[{}0]", "\"\",".repeat(30_000));
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

/// Reports have a limit also where nobody keeps them.
#[tokio::test(flavor = "multi_thread")]
async fn reports_that_nobody_keeps_are_limited() {
    let running = small().await;
    for (count, expected) in [(999, 200), (1000, 200), (1001, 400)] {
        let body = serde_json::to_vec(&vec![""; count]).unwrap();
        let token = running.token().await.to_authorization();
        let headers = [
            ("authorization", token.as_str()),
            ("user-agent", crate::support::AGENT),
            ("content-type", "application/json"),
        ];
        let answer = running.send(reqwest::Method::POST, "/report", &headers, body).await;
        assert_eq!(answer.status(), expected, "{count}");
    }
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
