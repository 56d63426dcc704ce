//! One client fills the store that all nodes share.

use crate::factor;
use crate::redis_server::{Kind, RedisServer};
use crate::support::{Case, NOW, Running, Settings, USER, at};
use pir_api::{Message, api};
use pir_server::Configuration;
use pir_server::store::{KeyId, RedisStore, Spending, Store, StoredKey};
use privacy_pass::{KeySet, Rotation};
use serde_json::json;
use std::time::Duration;
use unix_clock::{Clock, SystemClock};

/// About the length of a device's evaluation key, in bytes.
const KEY_BYTES: usize = 250_000;
const MEGABYTE: usize = 1_000_000;

async fn store(server: &RedisServer, budget: usize) -> RedisStore {
    let configuration = json!({
        "users": [], "usecases": [],
        "store": { "redis": server.settings(), "evaluationKeyBytes": budget },
    });
    let configuration = Configuration::parse(configuration.to_string().as_bytes()).unwrap();
    RedisStore::open(configuration.store.redis().unwrap(), &configuration.store).await.unwrap()
}

fn id(number: usize) -> KeyId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    KeyId::new(bytes)
}

async fn put(store: &RedisStore, number: usize) -> bool {
    let key = StoredKey { timestamp: number as u64, bytes: vec![number as u8; KEY_BYTES] };
    store.put_evaluation_key(id(number), key, at(NOW)).await.is_ok()
}

async fn holds(store: &RedisStore, number: usize) -> bool {
    let key = store.evaluation_key(id(number)).await.unwrap();
    let timestamp = store.evaluation_key_timestamp(id(number)).await.unwrap();
    assert_eq!(key.as_ref().map(|key| key.timestamp), timestamp);
    key.is_some_and(|key| key.bytes == vec![number as u8; KEY_BYTES])
}

/// Creates an issuer key, and returns its id.
async fn issuer_key(store: &RedisStore) -> [u8; 32] {
    let keys = KeySet::create(Rotation::default(), SystemClock.now()).unwrap();
    let lease = store.lease().await.unwrap().unwrap();
    store.put_issuer_keys(pir_server::configuration::Tier::Tier1, &keys, &lease).await.unwrap();
    store.release(lease).await.unwrap();
    *keys.key_ids().next().unwrap()
}

async fn spends(store: &RedisStore, issuer_key: &[u8; 32], number: usize) -> bool {
    let until = SystemClock.now() + Duration::from_secs(86_400);
    let spending = store.spend(issuer_key, id(number).as_bytes(), until).await;
    matches!(spending, Ok(Spending::Fresh(_)))
}

async fn the_budget_of_evaluation_keys_is_kept(kind: Kind, parts: usize) {
    let server = RedisServer::start(kind);
    let budget = 4 * MEGABYTE * parts;
    let store = store(&server, budget).await;
    let uploads = 3 * budget / KEY_BYTES * factor();
    for number in 0..uploads {
        assert!(put(&store, number).await, "{number}");
    }
    store.refresh().await.unwrap();
    let statistics = store.statistics();
    assert!(statistics.evaluation_key_bytes <= budget as u64, "{statistics:?}");
    assert!(statistics.evaluation_key_bytes > budget as u64 / 2, "{statistics:?}");
    let mut held = 0;
    for number in 0..uploads {
        held += u64::from(holds(&store, number).await);
    }
    assert_eq!(held, statistics.evaluation_keys);
    assert!(holds(&store, uploads - 1).await && !holds(&store, 0).await);
    // Counting again finds the same.
    store.collect_garbage(at(NOW)).await.unwrap();
    assert_eq!(store.statistics().evaluation_key_bytes, statistics.evaluation_key_bytes);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn uploads_stay_within_the_budget_of_a_shared_store() {
    the_budget_of_evaluation_keys_is_kept(Kind::Plain, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn uploads_stay_within_the_budget_of_a_cluster() {
    the_budget_of_evaluation_keys_is_kept(Kind::Cluster, 16).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn the_least_recently_used_evaluation_key_of_a_shared_store_goes_first() {
    let server = RedisServer::start(Kind::Plain);
    // Three keys fit, with 40 bytes before each.
    let store = store(&server, 3 * (KEY_BYTES + 40)).await;
    for number in 0..3 {
        assert!(put(&store, number).await);
    }
    store.touch_evaluation_key(id(0), at(NOW));
    // The use is recorded when the order of the three has changed.
    while server.command(&["zrank", "pir:{keys0}:used", &hex::encode(id(0).as_bytes())]).trim()
        != "2"
    {
        tokio::task::yield_now().await;
    }
    assert!(put(&store, 3).await);
    assert!(holds(&store, 0).await && !holds(&store, 1).await && holds(&store, 2).await);
    // A key that replaces another takes its place.
    assert!(put(&store, 2).await);
    assert!(holds(&store, 0).await && holds(&store, 2).await && holds(&store, 3).await);
}

/// A budget above the memory of the server: memory decides.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn evaluation_keys_leave_memory_for_nonces() {
    let server = RedisServer::start(Kind::Plain);
    server.command(&["config", "set", "maxmemory", "40mb"]);
    let store = store(&server, 1000 * MEGABYTE).await;
    let issuer_key = issuer_key(&store).await;
    let uploads = 400 * factor();
    for number in 0..uploads {
        assert!(put(&store, number).await, "{number}");
        assert!(spends(&store, &issuer_key, number).await, "{number}");
    }
    store.refresh().await.unwrap();
    let percent = store.statistics().fill_percent().unwrap();
    assert!((40..=80).contains(&percent), "{percent}");
    assert!(holds(&store, uploads - 1).await);
    // Something else takes the memory: evaluation keys give way without an upload.
    server.command(&[
        "eval",
        "redis.call('set', 'other', string.rep('x', 30000000)) return 1",
        "0",
    ]);
    let before = store.statistics().evaluation_keys;
    store.refresh().await.unwrap();
    assert!(store.statistics().evaluation_keys < before);
    assert!(spends(&store, &issuer_key, uploads).await);
    // All evaluation keys together cannot make room: nonces have what is left.
    server.command(&["eval", "redis.call('set', 'more', string.rep('x', 5000000)) return 1", "0"]);
    assert!(!put(&store, uploads).await);
    assert!(spends(&store, &issuer_key, uploads + 1).await);
}

/// A server that refuses every write that needs memory accepts nonces again when it is tended.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_full_store_makes_room_by_evaluation_keys() {
    let server = RedisServer::start(Kind::Plain);
    let store = store(&server, 1000 * MEGABYTE).await;
    let issuer_key = issuer_key(&store).await;
    for number in 0..120 {
        assert!(put(&store, number).await);
    }
    server.command(&["config", "set", "maxmemory", "20mb"]);
    assert!(!spends(&store, &issuer_key, 0).await);
    store.refresh().await.unwrap();
    assert!(spends(&store, &issuer_key, 0).await);
    assert!(put(&store, 120).await && holds(&store, 120).await);
    // What a full server could not count down is counted again.
    store.collect_garbage(at(NOW)).await.unwrap();
    let statistics = store.statistics();
    assert_eq!(
        statistics.evaluation_key_bytes,
        statistics.evaluation_keys * (KEY_BYTES as u64 + 40)
    );
}

/// `/readyz` and the metrics tell before the store is full, and `/readyz` is 503 when it is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_store_that_fills_is_reported() {
    let server = RedisServer::start(Kind::Plain);
    server.command(&["config", "set", "maxmemory", "64mb"]);
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let settings = server.configure(Settings::new(vec![case.install(folder.path(), "data")]));
    let running = Running::start_at(folder, settings, clock()).await;
    let readyz = async || {
        running.service.maintain().await.unwrap();
        let response = running.http.get(format!("{}/readyz", running.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(readyz().await, (200, "ready\n".to_owned()));
    let configs = api::ConfigRequest::default().encode_to_vec();
    assert_eq!(running.post("/config", &configs).await.status(), 200);
    for (percent, status, text) in [(92, 200, "percent full"), (100, 503, "the store is full")] {
        let fill = format!(
            "local number = redis.call('dbsize') \
             repeat number = number + 1 redis.call('set', 'other' .. number, string.rep('x', 50000)) \
             until tonumber(string.match(redis.call('info', 'memory'), 'used_memory:(%d+)')) \
                 >= string.match(redis.call('info', 'memory'), 'maxmemory:(%d+)') * {percent} / 100 \
             return 1"
        );
        assert_eq!(server.command(&["eval", &fill, "0"]).trim(), "1");
        let (found, body) = readyz().await;
        assert_eq!(found, status, "{body}");
        assert!(body.contains(text), "{body}");
    }
    let metrics = running.metrics().await;
    assert!(metrics.contains("pir_store_capacity_bytes 67108864"), "{metrics}");
    assert!(!metrics.contains("pir_store_used_bytes 0"), "{metrics}");
    let empty =
        "for _, name in ipairs(redis.call('keys', 'other*')) do redis.call('del', name) end";
    server.command(&["eval", empty, "0"]);
    assert_eq!(readyz().await, (200, "ready\n".to_owned()));
}

/// Through the service: pseudonyms are free, and each may have a key of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn one_user_with_many_pseudonyms_does_not_stop_others() {
    let server = RedisServer::start(Kind::Plain);
    server.command(&["config", "set", "maxmemory", "24mb"]);
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let settings = server.configure(Settings::new(vec![case.install(folder.path(), "data")]));
    let running = Running::start_at(folder, settings, clock()).await;
    let upload = case.first("/key").request;
    let count = 2 * 24 * MEGABYTE / upload.len() * factor();
    for number in 0..count {
        let token = running.token_of("AAAA").await.to_authorization();
        let user = format!("pseudonym {number}");
        let headers = [
            ("authorization", token.as_str()),
            ("user-identifier", user.as_str()),
            ("user-agent", crate::support::AGENT),
        ];
        let response = running.send(reqwest::Method::POST, "/key", &headers, upload.clone()).await;
        assert_eq!(response.status(), 200, "{number}");
    }
    let token = running.token_of("BBBB").await;
    assert_eq!(running.post_with(&token, "/key", &upload).await.status(), 200, "{USER}");
    let token = running.token_of("BBBB").await;
    let queries = case.first("/queries").request;
    assert_eq!(running.post_with(&token, "/queries", &queries).await.status(), 200);
}

/// The clock of the machine, which that of the server agrees with.
fn clock() -> std::sync::Arc<unix_clock::ManualClock> {
    std::sync::Arc::new(unix_clock::ManualClock::new(SystemClock.now()))
}
