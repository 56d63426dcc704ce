//! What one token, or a few, can take from others before they are spent, and after.

use crate::factor;
use crate::support::{AGENT, Case, Running, Settings, USER, refusal};
use pir_api::{Message, api};
use privacy_pass::Token;
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATHS: [&str; 4] = ["/queries", "/config", "/key", "/report"];

async fn service(more: &[(&str, serde_json::Value)]) -> (Case, Running) {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(vec![case.install(folder.path(), "data")]);
    for (key, value) in more {
        settings = settings.with(key, value.clone());
    }
    (case, Running::start(folder, settings).await)
}

/// A request whose body is announced and does not come yet. It is asked for when the service begins to read it.
struct Upload(TcpStream);

impl Upload {
    async fn begin(running: &Running, path: &str, authorization: &str, length: usize) -> Self {
        Self::begin_at(&running.url, path, authorization, length).await
    }

    async fn begin_at(url: &str, path: &str, authorization: &str, length: usize) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nUser-Identifier: x\r\n\
             Authorization: {authorization}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// The status of the next answer. 100 if the body is read.
    async fn status(&mut self) -> u16 {
        let mut status = [0; 12];
        self.0.read_exact(&mut status).await.unwrap();
        let mut end = Vec::new();
        while !end.ends_with(b"\r\n\r\n") {
            end.push(self.0.read_u8().await.unwrap());
        }
        std::str::from_utf8(&status[9..]).unwrap().parse().unwrap()
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }
}

/// Otherwise one token holds memory for as many bodies as its owner likes, for days.
#[tokio::test(flavor = "multi_thread")]
async fn a_spent_token_is_refused_before_its_body_is_read() {
    let (_, running) = service(&[]).await;
    let token = running.token().await;
    let configs = api::ConfigRequest::default().encode_to_vec();
    assert_eq!(running.post_with(&token, "/config", &configs).await.status(), 200);
    for path in PATHS {
        let authorization = token.to_authorization();
        let mut upload = Upload::begin(&running, path, authorization.as_str(), 100 << 10).await;
        assert_eq!(upload.status().await, 401, "{path}");
        // A good one is asked for its body.
        let authorization = running.token().await.to_authorization();
        let mut upload = Upload::begin(&running, path, authorization.as_str(), 100 << 10).await;
        assert_eq!(upload.status().await, 100, "{path}");
    }
    // After a restart, too.
    let (folder, settings) = running.stop().await;
    let running = Running::start(folder, settings).await;
    let authorization = token.to_authorization();
    let mut upload = Upload::begin(&running, "/queries", authorization.as_str(), 100 << 10).await;
    assert_eq!(upload.status().await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_one_request_at_a_time() {
    let (_, running) = service(&[]).await;
    let configs = api::ConfigRequest { usecases: Vec::new(), existing_config_ids: vec![] };
    assert_eq!(configs.encode_to_vec(), [0; 0]);
    for path in PATHS {
        let token = running.token().await;
        let authorization = token.to_authorization();
        let mut first = Upload::begin(&running, "/config", authorization.as_str(), 2).await;
        assert_eq!(first.status().await, 100, "{path}");
        let (status, text) = refusal(running.post_with(&token, path, &[]).await).await;
        let expected = (401, "another request with the token is in progress");
        assert_eq!((status, text.as_str()), expected, "{path}");
        // Another token of the same client is served meanwhile, as devices need it.
        assert_eq!(running.post("/config", &[]).await.status(), 200);
        // The first one was not harmed. An unknown field is no error.
        first.send(&[0x78, 0]).await;
        assert_eq!(first.status().await, 200, "{path}");
        let (status, text) = refusal(running.post_with(&token, path, &[]).await).await;
        assert_eq!((status, text.as_str()), (401, "the token was spent before"), "{path}");
    }
    // A request that was given up does not keep its token.
    let token = running.token().await;
    let authorization = token.to_authorization();
    let mut first = Upload::begin(&running, "/config", authorization.as_str(), 2).await;
    assert_eq!(first.status().await, 100);
    drop(first);
    while running.post_with(&token, "/config", &[]).await.status() != 200 {
        tokio::task::yield_now().await;
    }
    let metrics = running.metrics().await;
    assert!(metrics.contains("pir_tokens_refused_total{reason=\"in_use\"}"), "{metrics}");
}

/// Bodies that stay away fill the memory for bodies, with a token each, and with one user token for all.
async fn unfinished_bodies(peers: serde_json::Value) {
    const BODY: usize = 1 << 20;
    let limits = json!({ "bodyBytes": BODY, "bodiesInFlightBytes": 4 * BODY, "bodySeconds": 600 });
    let (case, running) = service(&[("limits", limits), ("peers", peers)]).await;
    let (upload, queries) = (case.first("/key").request, case.first("/queries").request);
    let blob = vec![0; BODY];
    let mut held = Vec::new();
    for round in 0..3 * factor() {
        for _ in 0..6 {
            let authorization = running.token().await.to_authorization();
            let mut body = Upload::begin(&running, "/queries", authorization.as_str(), BODY).await;
            assert_eq!(body.status().await, 100);
            body.send(&blob[1..]).await;
            held.push(body);
        }
        for _ in 0..200 {
            let mut body = Upload::begin(&running, "/issue", "Bearer AAAA", 4096).await;
            assert_eq!(body.status().await, 100);
            body.send(&blob[..4095]).await;
            held.push(body);
        }
        // None of these is tried again.
        let token = running.token_of("BBBB").await;
        assert_eq!(running.post_with(&token, "/key", &upload).await.status(), 200, "{round}");
        let token = running.token_of("BBBB").await;
        assert_eq!(running.post_with(&token, "/queries", &queries).await.status(), 200, "{round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_bodies_make_room_for_others() {
    unfinished_bodies(json!({})).await;
}

/// As behind a balancer: all connections come from it.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_bodies_make_room_for_others_without_addresses() {
    unfinished_bodies(json!({ "address": "none" })).await;
}

/// A request takes its places in the queue before its token is spent. With a spent one it must take none.
#[tokio::test(flavor = "multi_thread")]
async fn a_spent_token_reserves_no_work() {
    let limits = json!({ "queue": 4, "batch": 4 });
    let (case, running) = service(&[("limits", limits), ("workers", json!(1))]).await;
    let running = Arc::new(running);
    assert_eq!(running.post("/key", &case.first("/key").request).await.status(), 200);
    let queries = case.first("/queries").request;
    let token = Arc::new(running.token().await);
    assert_eq!(running.post_with(&token, "/queries", &queries).await.status(), 200);
    let stop = Arc::new(AtomicBool::new(false));
    let attack = |number: usize| {
        let (running, token, stop) = (Arc::clone(&running), Arc::clone(&token), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                count += 1;
                assert_eq!(ask_nothing(&running, &token, number, count).await, 401);
            }
            count
        })
    };
    let attacks: Vec<_> = (0..20).map(attack).collect();
    for _ in 0..30 * factor() {
        assert_eq!(running.post("/queries", &queries).await.status(), 200);
    }
    stop.store(true, Ordering::Relaxed);
    let mut count = 0;
    for attack in attacks {
        count += attack.await.unwrap();
    }
    println!("{count} requests with a spent token");
}

/// Empty queries, as many as one request may have, under a pseudonym of its own.
async fn ask_nothing(running: &Running, token: &Token, number: usize, count: usize) -> u16 {
    let (token, user) = (token.to_authorization(), format!("{USER} {number} {count}"));
    let headers = [
        ("authorization", token.as_str()),
        ("user-identifier", user.as_str()),
        ("user-agent", AGENT),
    ];
    let body = [0x0a, 0].repeat(4);
    running.send(Method::POST, "/queries", &headers, body).await.status().as_u16()
}

/// On another node than the one that spent it.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_token_that_another_node_has_spent_is_refused_before_its_body_is_read() {
    use crate::redis_server::{Kind, RedisServer};
    use unix_clock::{Clock, ManualClock, SystemClock};
    for kind in [Kind::Plain, Kind::Cluster] {
        let server = RedisServer::start(kind);
        let case = Case::new("synthetic_small_logt5");
        let start = async || {
            let folder = tempfile::tempdir().unwrap();
            let settings =
                server.configure(Settings::new(vec![case.install(folder.path(), "data")]));
            let clock = Arc::new(ManualClock::new(SystemClock.now()));
            Running::start_at(folder, settings, clock).await
        };
        let nodes = [start().await, start().await];
        for path in PATHS {
            let token = nodes[0].token().await;
            let authorization = token.to_authorization();
            let fresh = Upload::begin(&nodes[1], path, authorization.as_str(), 100 << 10);
            assert_eq!(fresh.await.status().await, 100, "{path}");
            assert_eq!(nodes[0].post_with(&token, "/config", &[]).await.status(), 200);
            let begun = Upload::begin(&nodes[1], path, authorization.as_str(), 100 << 10);
            assert_eq!(begun.await.status().await, 401, "{path}");
        }
    }
}
