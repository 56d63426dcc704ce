//! Several nodes that share their state in Redis.

use crate::balanced::client_of;
use crate::process::{Process, run};
use crate::redis_server::{self, Kind, RedisServer};
use crate::support::{Case, Device, Running, Settings, refusal};
use filter_client::{ClientOptions, ClientState, PirClient, RetryPolicy};
use futures_util::future::join_all;
use pir_api::{Message, api};
use privacy_pass::{IssuerDirectory, Token};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use unix_clock::{Clock, ManualClock, SystemClock};

/// Nodes that serve one case.
struct Nodes {
    case: Case,
    /// Holds the data set.
    _folder: TempDir,
    processes: Vec<Process>,
}

impl Nodes {
    /// They start at the same time, on an empty store.
    fn start(server: &RedisServer, count: usize) -> Self {
        let case = Case::new("synthetic_small_logt5");
        let folder = tempfile::tempdir().unwrap();
        let settings = server.configure(Settings::new(vec![case.install(folder.path(), "data")]));
        let folders: Vec<PathBuf> = (0..count)
            .map(|node| {
                let folder = folder.path().join(node.to_string());
                fs::create_dir(&folder).unwrap();
                folder
            })
            .collect();
        let processes = std::thread::scope(|scope| {
            let starts: Vec<_> = folders
                .iter()
                .map(|folder| scope.spawn(|| Process::start(folder, &settings, &[])))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        Self { case, _folder: folder, processes }
    }

    fn device(&self, node: usize, user: &str) -> Device {
        Device {
            http: reqwest::Client::new(),
            url: self.processes[node].url.clone(),
            user: user.to_owned(),
        }
    }

    fn client(&self, node: usize) -> PirClient {
        let mut options = ClientOptions::default();
        options.retry = RetryPolicy::never();
        options.wallet.refill_count = 0;
        options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
        options.outage_backoff = Duration::ZERO;
        PirClient::builder(&self.processes[node].url, self.case.use_case())
            .user_token("AAAA")
            .options(options)
            .build()
            .unwrap()
    }

    async fn directory(&self, node: usize) -> IssuerDirectory {
        let url =
            format!("{}/.well-known/private-token-issuer-directory", self.processes[node].url);
        let response = reqwest::get(url).await.unwrap();
        assert_eq!(response.status(), 200);
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }
}

fn configs() -> Vec<u8> {
    api::ConfigRequest::default().encode_to_vec()
}

/// Holds for every kind of server.
async fn nodes_share_state(kind: Kind) {
    let server = RedisServer::start(kind);
    let nodes = Nodes::start(&server, 3);
    // One node created the issuer keys, all nodes use them.
    let directories = join_all((0..3).map(|node| nodes.directory(node))).await;
    assert_eq!(directories[0].token_keys.len(), 3);
    assert!(directories.iter().all(|directory| *directory == directories[0]));

    // A key that was uploaded to one node is used by the others.
    let upload = nodes.case.first("/key").request;
    let queries = nodes.case.first("/queries").request;
    let devices: Vec<Device> = (0..3).map(|node| nodes.device(node, "someone")).collect();
    let token = devices[1].token().await.unwrap();
    assert_eq!(devices[0].post("/key", &token, upload).await.unwrap().status(), 200);
    let mut replies = BTreeSet::new();
    for device in &devices {
        let token = devices[2].token().await.unwrap();
        let response = device.post("/queries", &token, queries.clone()).await.unwrap();
        assert_eq!(response.status(), 200);
        replies.insert(response.bytes().await.unwrap());
    }
    assert_eq!(replies.len(), 1, "the same answer everywhere");

    // A token is accepted once, by one node.
    for _ in 0..20 {
        let token = devices[0].token().await.unwrap();
        let tries = devices.iter().chain(&devices);
        let answers = join_all(tries.map(|device| device.post("/config", &token, configs()))).await;
        let statuses: Vec<u16> =
            answers.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
        let good = statuses.iter().filter(|&&status| status == 200).count();
        assert_eq!(good, 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|&&status| status == 401).count(), 5, "{statuses:?}");
    }

    // Lookups with the client, on each node.
    let expected = nodes.case.expected();
    for node in 0..3 {
        let client = nodes.client(node);
        let keywords: Vec<&[u8]> = expected.iter().map(|(keyword, _)| keyword.as_bytes()).collect();
        let found = client.lookup(&keywords).await.unwrap();
        for (found, (keyword, value)) in found.iter().zip(&expected) {
            assert_eq!(found.as_deref(), value.as_ref().map(String::as_bytes), "{keyword}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nodes_share_state_in_one_server() {
    nodes_share_state(Kind::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nodes_share_state_over_tls_with_a_password() {
    nodes_share_state(Kind::Guarded).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nodes_share_state_in_a_cluster() {
    nodes_share_state(Kind::Cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nodes_share_state_in_the_master_of_a_sentinel() {
    nodes_share_state(Kind::Sentinel).await;
}

/// A newer key replaces the earlier one on every node, even if the earlier one is cached there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_newer_key_replaces_cached_keys_on_all_nodes() {
    let server = RedisServer::start(Kind::Plain);
    let nodes = Nodes::start(&server, 2);
    let expected = nodes.case.expected();
    let (keyword, value) = &expected[0];
    let value = [value.as_ref().map(|value| value.as_bytes().to_vec())];
    let user = "the same user".to_owned();
    // Only answers with the client's own key decrypt to the value. Each round, a new client uploads a new key to the
    // other node.
    let start = SystemClock.now();
    let mut options = ClientOptions::default();
    options.outage_backoff = Duration::ZERO;
    let client = |node: usize, state: ClientState, seconds: u64| {
        client_of(&nodes.processes[node].url, nodes.case.use_case())
            .user_token("AAAA")
            .options(options.clone())
            .clock(ManualClock::new(start + Duration::from_secs(seconds)))
            .state(state)
            .build()
            .unwrap()
    };
    for round in 0..4 {
        let (node, other) = (round % 2, (round + 1) % 2);
        let state = ClientState::with_user_identifier(user.clone()).unwrap();
        let first = client(node, state, round as u64);
        assert_eq!(first.lookup(&[keyword.as_bytes()]).await.unwrap(), value);
        assert_eq!(first.costs().keys_uploaded, 1);
        let second = client(other, first.state(), round as u64);
        assert_eq!(second.lookup(&[keyword.as_bytes()]).await.unwrap(), value);
        assert_eq!(second.costs().keys_uploaded, 0);
    }
}

/// Counts of answers to devices that keep asking.
#[derive(Default)]
struct Answers {
    accepted: AtomicUsize,
    refused: AtomicUsize,
    over: AtomicBool,
}

/// While the store is away nothing is accepted, and after it is back no token is accepted twice.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nothing_is_accepted_while_the_store_is_away() {
    let mut server = RedisServer::start(Kind::Plain);
    let nodes = Arc::new(Nodes::start(&server, 3));
    let device = nodes.device(0, "someone");
    let upload = nodes.case.first("/key").request;
    let queries = nodes.case.first("/queries").request;
    let token = device.token().await.unwrap();
    assert_eq!(device.post("/key", &token, upload).await.unwrap().status(), 200);
    let mut spent: Vec<Token> = vec![token];
    let mut unspent: Vec<Token> = Vec::new();
    for round in 0..3 {
        // It is killed while devices are asking.
        let answers = Arc::new(Answers::default());
        let tasks: Vec<_> = (0..3)
            .map(|node| {
                let (nodes, answers, queries) =
                    (Arc::clone(&nodes), Arc::clone(&answers), queries.clone());
                tokio::spawn(async move {
                    let device = nodes.device(node, "someone");
                    let (mut good, mut bad) = (Vec::new(), Vec::new());
                    while !answers.over.load(Ordering::Relaxed) {
                        // Issuing needs no store.
                        let token = device.token().await.unwrap();
                        let response =
                            device.post("/queries", &token, queries.clone()).await.unwrap();
                        match response.status().as_u16() {
                            200 => {
                                good.push(token);
                                answers.accepted.fetch_add(1, Ordering::Relaxed);
                            }
                            503 => {
                                bad.push(token);
                                answers.refused.fetch_add(1, Ordering::Relaxed);
                            }
                            other => panic!("{other}"),
                        }
                    }
                    (good, bad)
                })
            })
            .collect();
        let until = async |counter: &AtomicUsize, count: usize| {
            while counter.load(Ordering::Relaxed) < count {
                assert!(!tasks.iter().any(tokio::task::JoinHandle::is_finished));
                tokio::task::yield_now().await;
            }
        };
        until(&answers.accepted, 5 + round).await;
        server.kill();
        until(&answers.refused, 6).await;
        // Requests that need no store are answered.
        assert_eq!(nodes.directory(round).await.token_keys.len(), 3);
        server.restart();
        let before = answers.accepted.load(Ordering::Relaxed);
        until(&answers.accepted, before + 5).await;
        answers.over.store(true, Ordering::Relaxed);
        for task in tasks {
            let (good, bad) = task.await.unwrap();
            spent.extend(good);
            unspent.extend(bad);
        }
    }
    for token in &spent {
        for node in 0..3 {
            let device = nodes.device(node, "someone");
            let response = device.post("/config", token, configs()).await.unwrap();
            assert_eq!(response.status(), 401);
        }
    }
    // Tokens of refused requests may or may not be spent, but none is accepted twice.
    for token in &unspent {
        let devices = (0..3).map(|node| nodes.device(node, "someone")).collect::<Vec<_>>();
        let answers =
            join_all(devices.iter().map(|device| device.post("/config", token, configs()))).await;
        let good = answers.into_iter().filter(|answer| answer.as_ref().unwrap().status() == 200);
        assert!(good.count() <= 1);
    }
    assert!(spent.len() >= 30 && unspent.len() >= 18);
}

/// A server that lost its memory does not know which tokens were spent: none of them is accepted. Nodes notice by
/// themselves.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn tokens_are_refused_when_the_store_lost_its_memory() {
    let server = RedisServer::start(Kind::Plain);
    let case = Case::new("synthetic_small_logt5");
    let now = SystemClock.now();
    let clock = Arc::new(ManualClock::new(now));
    let start = async || {
        let folder = tempfile::tempdir().unwrap();
        let settings = server.configure(Settings::new(vec![case.install(folder.path(), "data")]));
        Running::start_at(folder, settings, Arc::clone(&clock)).await
    };
    let nodes = [start().await, start().await];
    let spent = nodes[0].token().await;
    let fresh = nodes[0].token().await;
    assert_eq!(nodes[0].post_with(&spent, "/config", &configs()).await.status(), 200);
    // Only nonces are lost: nothing is accepted until an operator decides.
    let issuer: Vec<String> = ["tier1", "tier2", "tier3", "generation"]
        .iter()
        .map(|name| format!("pir:{{issuer}}:{name}"))
        .collect();
    let kept: Vec<String> = issuer
        .iter()
        .map(|name| {
            server.command(&["copy", name, &format!("kept:{name}")]);
            format!("kept:{name}")
        })
        .collect();
    server.command(&[
        "eval",
        "for _, k in ipairs(redis.call('keys', 'pir:*')) do redis.call('del', k) end",
        "0",
    ]);
    for (from, to) in kept.iter().zip(&issuer) {
        server.command(&["copy", from, to]);
    }
    for node in &nodes {
        node.service.maintain().await.unwrap();
        for token in [&spent, &fresh] {
            let (status, _) = refusal(node.post_with(token, "/config", &configs()).await).await;
            assert_eq!(status, 503);
        }
    }
    // Everything is lost: 503 until a node creates new keys, and earlier tokens are refused from then on.
    server.command(&["flushall"]);
    for node in &nodes {
        assert_eq!(node.post_with(&spent, "/config", &configs()).await.status(), 503);
    }
    nodes[1].service.maintain().await.unwrap();
    assert_eq!(nodes[1].post_with(&spent, "/config", &configs()).await.status(), 401);
    assert_eq!(nodes[0].post_with(&spent, "/config", &configs()).await.status(), 503);
    nodes[0].service.maintain().await.unwrap();
    for node in &nodes {
        for token in [&spent, &fresh] {
            assert_eq!(node.post_with(token, "/config", &configs()).await.status(), 401);
        }
        assert_eq!(node.post("/config", &configs()).await.status(), 200);
    }
}

/// Nodes that rotate at the same time create one key, and all of them use it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn one_node_rotates_for_all() {
    let server = RedisServer::start(Kind::Plain);
    let case = Case::new("synthetic_small_logt5");
    let now = SystemClock.now();
    let clock = Arc::new(ManualClock::new(now));
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let settings = server.configure(Settings::new(vec![case.install(folder.path(), "data")]));
        nodes.push(Running::start_at(folder, settings, Arc::clone(&clock)).await);
    }
    let ids = async |node: &Running| -> BTreeSet<[u8; 32]> {
        let path = "/.well-known/private-token-issuer-directory";
        let response = node.send(reqwest::Method::GET, path, &[], "").await;
        let directory: IssuerDirectory =
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        directory.token_keys.iter().map(|entry| *entry.public_key().unwrap().id()).collect()
    };
    let day = 86_400;
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let token = nodes[0].token().await;
        seen.extend(ids(&nodes[0]).await);
        clock.advance(Duration::from_secs(10 * day));
        join_all(nodes.iter().map(|node| node.service.maintain())).await;
        // Nodes that did not get the lease read the result a round later.
        join_all(nodes.iter().map(|node| node.service.maintain())).await;
        let after = ids(&nodes[0]).await;
        for node in &nodes {
            assert_eq!(ids(node).await, after);
        }
        // Whether or not the key is still accepted, all nodes agree.
        let known = after.contains(&token.key_id());
        let response = nodes[1].post_with(&token, "/config", &configs()).await;
        assert_eq!(response.status(), if known { 200 } else { 401 });
    }
    seen.extend(ids(&nodes[0]).await);
    // Three tiers; fifty days are two rotations, and the third may be published ahead.
    assert!(seen.len() == 6 || seen.len() == 9, "{}", seen.len());
}

type Change<'c> = &'c dyn Fn(&mut serde_json::Value);

/// The service does not start with a store that cannot be used, and its error has no password.
#[test]
#[ignore = "needs redis-server"]
fn a_store_that_cannot_be_used_is_reported_at_the_start() {
    let server = RedisServer::start(Kind::Guarded);
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let use_case = case.install(folder.path(), "data");
    let refusal = |change: Change<'_>| {
        let mut redis = server.settings();
        change(&mut redis);
        let settings = Settings::new(vec![use_case.clone()])
            .with("store", serde_json::json!({ "redis": redis }));
        let path = folder.path().join("service-config.json");
        fs::write(&path, settings.text(folder.path())).unwrap();
        let any = "127.0.0.1:0";
        let arguments = ["--config", path.to_str().unwrap(), "--listen", any, "--admin", any];
        let (code, out, error) = run(&arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{error}");
        assert!(!error.contains(redis_server::PASSWORD) && !error.contains("secret"), "{error}");
        error
    };
    let wrong = folder.path().join("wrong");
    fs::write(&wrong, "a secret").unwrap();
    let cases: [(Change, &str); 7] = [
        (&|redis| redis["passwordFile"] = serde_json::json!(wrong), "AuthenticationFailed"),
        (&|redis| redis["passwordFile"] = serde_json::json!("/not/there"), "passwordFile"),
        (&|redis| redis["urls"] = serde_json::json!(["localhost:secret"]), "store.redis.urls"),
        (
            &|redis| redis["urls"] = serde_json::json!(["rediss://localhost:1"]),
            "not available: the connection to redis failed",
        ),
        (&|redis| redis["authorities"] = redis["privateKey"].clone(), "no certificate"),
        (&|redis| redis["certificate"] = serde_json::Value::Null, "store.redis.certificate"),
        (&|redis| redis["urls"] = serde_json::json!([]), "at least one address"),
    ];
    for (change, expected) in cases {
        let error = refusal(change);
        assert!(error.contains(expected), "{error}");
    }
}
