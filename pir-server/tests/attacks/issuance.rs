//! One user asks for more tokens than anyone needs.

#[cfg(feature = "redis")]
use crate::redis_server::{Kind, RedisServer};
use crate::support::{Case, NOW, Running, Settings, at, refusal};
use futures_util::future::join_all;
use privacy_pass::{PendingToken, PublicKey, TokenChallenge};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use unix_clock::{Clock, ManualClock, SystemClock};

async fn running(settings: impl FnOnce(Settings) -> Settings, clock: Arc<ManualClock>) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let use_cases = vec![case.install(folder.path(), "data")];
    Running::start_at(folder, settings(Settings::new(use_cases)), clock).await
}

/// A token request for the key of a user's tier.
async fn token_request(running: &Running, user: &str) -> Vec<u8> {
    let bearer = format!("Bearer {user}");
    let headers = [("authorization", bearer.as_str())];
    let key = running.send(Method::GET, "/token-key-for-user-token", &headers, "").await;
    let key = PublicKey::from_spki(&key.bytes().await.unwrap()).unwrap();
    let challenge = TokenChallenge::for_issuer("127.0.0.1").unwrap();
    PendingToken::new(&challenge, &key).unwrap().request().to_bytes()
}

async fn issue(running: &Running, user: &str, request: &[u8]) -> Response {
    let bearer = format!("Bearer {user}");
    let headers = [("authorization", bearer.as_str())];
    running.send(Method::POST, "/issue", &headers, request.to_vec()).await
}

async fn status(running: &Running, user: &str, request: &[u8]) -> u16 {
    issue(running, user, request).await.status().as_u16()
}

fn limits(tier1: Value) -> Value {
    json!({ "tokens": { "tier1": tier1 } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_issued_no_more_tokens_than_the_limits_of_the_tier() {
    let tokens = limits(json!({ "perHour": 3, "perDay": 5 }));
    let clock = Arc::new(ManualClock::new(at(NOW)));
    let running = running(|settings| settings.with("limits", tokens), Arc::clone(&clock)).await;
    let request = token_request(&running, "AAAA").await;
    for _ in 0..3 {
        assert_eq!(status(&running, "AAAA", &request).await, 200);
    }
    // Refused requests do not count.
    for _ in 0..3 {
        let response = issue(&running, "AAAA", &request).await;
        assert_eq!(response.headers()["retry-after"], "3600");
        let (status, text) = refusal(response).await;
        assert_eq!((status, text.as_str()), (429, "no more tokens for this user at the moment"));
    }
    // The key of the tier may still be asked for, and other users have limits of their own.
    let other = token_request(&running, "BBBB").await;
    assert_eq!(token_request(&running, "AAAA").await.len(), other.len());
    for _ in 0..6 {
        assert_eq!(status(&running, "BBBB", &other).await, 200);
        assert_eq!(status(&running, "CCCC", &other).await, 200);
    }
    clock.set(at(NOW + 3600));
    assert_eq!(status(&running, "AAAA", &request).await, 200);
    assert_eq!(status(&running, "AAAA", &request).await, 200);
    let response = issue(&running, "AAAA", &request).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], (86_400 - 3600).to_string());
    clock.set(at(NOW + 86_400));
    assert_eq!(status(&running, "AAAA", &request).await, 200);
    let metrics = running.metrics().await;
    assert!(metrics.contains(r#"pir_tokens_refused_total{reason="limit"} 4"#), "{metrics}");
}

/// What is not a token request is refused without being counted.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_token_requests_use_up_nothing() {
    let tokens = limits(json!({ "perHour": 1, "perDay": 1 }));
    let clock = Arc::new(ManualClock::new(at(NOW)));
    let running = running(|settings| settings.with("limits", tokens), clock).await;
    let request = token_request(&running, "AAAA").await;
    for _ in 0..5 {
        assert_eq!(status(&running, "AAAA", &request[1..]).await, 422);
    }
    assert_eq!(status(&running, "AAAA", &request).await, 200);
    assert_eq!(status(&running, "AAAA", &request).await, 429);
}

/// A device asks for up to 512 tokens at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_default_limits_fit_a_burst_of_a_device() {
    let clock = Arc::new(ManualClock::new(at(NOW)));
    let defaults = json!({ "tokens": {} });
    let running = running(|settings| settings.with("limits", defaults), clock).await;
    let request = token_request(&running, "AAAA").await;
    let burst = (0..512).map(|_| status(&running, "AAAA", &request));
    let statuses = join_all(burst).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

/// Counts are the nodes' together.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nodes_share_the_counts_of_issued_tokens() {
    let mut server = RedisServer::start(Kind::Plain);
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let tokens = limits(json!({ "perHour": 4, "perDay": 9 }));
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let settings = |settings| server.configure(settings).with("limits", tokens.clone());
        nodes.push(running(settings, Arc::clone(&clock)).await);
    }
    let request = token_request(&nodes[0], "AAAA").await;
    for node in nodes.iter().chain(&nodes) {
        assert_eq!(status(node, "AAAA", &request).await, 200);
    }
    for node in &nodes {
        let response = issue(node, "AAAA", &request).await;
        assert_eq!(response.status(), 429);
        let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&seconds), "{seconds}");
    }
    let names = server.command(&["keys", "pir:{issued:*"]);
    assert_eq!(names.lines().count(), 2, "{names}");
    assert!(!names.contains("AAAA"), "{names}");
    for name in names.lines() {
        let seconds: u64 = server.command(&["ttl", name]).trim().parse().unwrap();
        assert!((3500..=86_400).contains(&seconds), "{name} {seconds}");
    }
    // While the store is away, tokens are issued, and each node counts by itself.
    server.kill();
    for node in &nodes {
        for _ in 0..4 {
            assert_eq!(status(node, "AAAA", &request).await, 200);
        }
        assert_eq!(status(node, "AAAA", &request).await, 429);
    }
}
