//! Several nodes that share their state.

use crate::process::{Process, run};
use crate::redis_server::{self, Kind, RedisServer};
use crate::support::{Case, Device, Running, Settings, refusal};
use filter_client::{ClientOptions, ClientState, PirClient, RetryPolicy};
use futures_util::future::join_all;
use pir_api::{Message, api};
use pir_server::service::system_clock;
use privacy_pass::{IssuerDirectory, Token};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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
    /// They start at the same moment, on a store that nobody used before.
    fn start(server: &RedisServer, count: usize) -> Self {
        let case = Case::new("synthetic_small_logt5");
        let folder = tempfile::tempdir().unwrap();
        let settings = server.keeps(Settings::new(vec![case.install(folder.path(), "data")]));
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
        options.wallet.refill_below = 0;
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

/// What must hold however the store is set up.
async fn state_is_shared(kind: Kind) {
    if !redis_server::is_here() {
        return;
    }
    let server = RedisServer::start(kind);
    let nodes = Nodes::start(&server, 3);
    // One drew issuer keys, all have them.
    let directories = join_all((0..3).map(|node| nodes.directory(node))).await;
    assert_eq!(directories[0].token_keys.len(), 3);
    assert!(directories.iter().all(|directory| *directory == directories[0]));

    // A key that one node was given serves on the others.
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

    // A token is good on one node, once.
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

    // The whole way with the client, and another node in the middle of it.
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
async fn state_is_shared_through_one_server() {
    state_is_shared(Kind::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_shared_with_tls_and_a_password() {
    state_is_shared(Kind::Guarded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_shared_through_a_cluster() {
    state_is_shared(Kind::Cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_shared_through_a_master_that_sentinels_know() {
    state_is_shared(Kind::Sentinel).await;
}

/// A newer key counts on every node, also where the earlier one is in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_key_takes_the_place_of_the_earlier_everywhere() {
    if !redis_server::is_here() {
        return;
    }
    let server = RedisServer::start(Kind::Plain);
    let nodes = Nodes::start(&server, 2);
    let expected = nodes.case.expected();
    let (keyword, value) = &expected[0];
    let value = [value.as_ref().map(|value| value.as_bytes().to_vec())];
    let user = "the same user".to_owned();
    // Answers are right with the key in the client's hands only. The second client draws a key of its
    // own, at another time, and gives it to the other node.
    let start = SystemClock.now();
    let mut options = ClientOptions::default();
    options.outage_backoff = Duration::ZERO;
    let client = |node: usize, state: ClientState, seconds: u64| {
        PirClient::builder(&nodes.processes[node].url, nodes.case.use_case())
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

/// Devices that ask and ask, and what they were told.
#[derive(Default)]
struct Told {
    accepted: AtomicUsize,
    refused: AtomicUsize,
    over: AtomicBool,
}

/// Nothing is accepted while the store is away, and nothing twice after it is back.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_and_comes_back() {
    if !redis_server::is_here() {
        return;
    }
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
        // It goes while devices are asking.
        let told = Arc::new(Told::default());
        let tasks: Vec<_> = (0..3)
            .map(|node| {
                let (nodes, told, queries) =
                    (Arc::clone(&nodes), Arc::clone(&told), queries.clone());
                tokio::spawn(async move {
                    let device = nodes.device(node, "someone");
                    let (mut good, mut bad) = (Vec::new(), Vec::new());
                    while !told.over.load(Ordering::Relaxed) {
                        // Issuing needs no store.
                        let token = device.token().await.unwrap();
                        let response =
                            device.post("/queries", &token, queries.clone()).await.unwrap();
                        match response.status().as_u16() {
                            200 => {
                                good.push(token);
                                told.accepted.fetch_add(1, Ordering::Relaxed);
                            }
                            503 => {
                                bad.push(token);
                                told.refused.fetch_add(1, Ordering::Relaxed);
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
        until(&told.accepted, 5 + round).await;
        server.kill();
        until(&told.refused, 6).await;
        // What needs no store goes on.
        assert_eq!(nodes.directory(round).await.token_keys.len(), 3);
        server.restart();
        let before = told.accepted.load(Ordering::Relaxed);
        until(&told.accepted, before + 5).await;
        told.over.store(true, Ordering::Relaxed);
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
    // Whether those of refused requests are still good depends on the moment; twice they are not.
    for token in &unspent {
        let devices = (0..3).map(|node| nodes.device(node, "someone")).collect::<Vec<_>>();
        let answers =
            join_all(devices.iter().map(|device| device.post("/config", token, configs()))).await;
        let good = answers.into_iter().filter(|answer| answer.as_ref().unwrap().status() == 200);
        assert!(good.count() <= 1);
    }
    assert!(spent.len() >= 30 && unspent.len() >= 18);
}

/// A server that lost all that it had does not know which tokens were spent: none of them is good any
/// more. Nodes notice by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lost_its_memory_is_not_believed() {
    if !redis_server::is_here() {
        return;
    }
    let server = RedisServer::start(Kind::Plain);
    let case = Case::new("synthetic_small_logt5");
    let now = system_clock()();
    let clock = Arc::new(AtomicU64::new(now));
    let start = async || {
        let folder = tempfile::tempdir().unwrap();
        let settings = server.keeps(Settings::new(vec![case.install(folder.path(), "data")]));
        Running::start_at(folder, settings, Arc::clone(&clock)).await
    };
    let nodes = [start().await, start().await];
    let spent = nodes[0].token().await;
    let fresh = nodes[0].token().await;
    assert_eq!(nodes[0].post_with(&spent, "/config", &configs()).await.status(), 200);
    // Only nonces: until someone decides, nothing is accepted.
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
    // All of it: 503 until a node draws new keys, and earlier tokens are worth nothing from then on.
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

/// Nodes that look at the same moment draw one key, and all of them have it.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_rotates_for_all() {
    if !redis_server::is_here() {
        return;
    }
    let server = RedisServer::start(Kind::Plain);
    let case = Case::new("synthetic_small_logt5");
    let now = system_clock()();
    let clock = Arc::new(AtomicU64::new(now));
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let settings = server.keeps(Settings::new(vec![case.install(folder.path(), "data")]));
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
        clock.fetch_add(10 * day, Ordering::Relaxed);
        join_all(nodes.iter().map(|node| node.service.maintain())).await;
        // Whoever did not get the lease sees the result a round later.
        join_all(nodes.iter().map(|node| node.service.maintain())).await;
        let after = ids(&nodes[0]).await;
        for node in &nodes {
            assert_eq!(ids(node).await, after);
        }
        // Whatever the key's age is now, all nodes agree on it.
        let known = after.contains(&token.key_id());
        let response = nodes[1].post_with(&token, "/config", &configs()).await;
        assert_eq!(response.status(), if known { 200 } else { 401 });
    }
    seen.extend(ids(&nodes[0]).await);
    // Of three tiers each: fifty days are two rotations, and the third is published ahead or not.
    assert!(seen.len() == 6 || seen.len() == 9, "{}", seen.len());
}

type Change<'c> = &'c dyn Fn(&mut serde_json::Value);

/// What is wrong with a store is told at the start, without what it is reached with.
#[test]
fn stores_that_cannot_be_used_are_told_at_the_start() {
    if !redis_server::is_here() {
        return;
    }
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
            "not available: redis",
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
