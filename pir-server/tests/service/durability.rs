//! Nothing is answered before the nonce of the request's token is durable.

use crate::support::{AGENT, Case, Running, Settings, USER, message, pir_request};
use pir_api::{Message, api};
use pir_server::Configuration;
use pir_server::configuration::{IssuanceLimit, Tier};
use pir_server::store::{
    Durable, EmbeddedStore, Issuance, KeyId, Lease, Spending, Store, StoreError, StoreFuture,
    StoreStatistics, StoredKey,
};
use privacy_pass::{KeySet, Rotation};
use reqwest::Method;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use unix_clock::Timestamp;
use zeroize::Zeroizing;

/// Decides the outcome of one commit.
type Decide = oneshot::Sender<Result<(), StoreError>>;

/// A store whose commits of nonces end when the test says so, and as it says.
struct HeldStore {
    store: EmbeddedStore,
    /// Receives a message when the service begins to wait for a commit.
    commits: mpsc::UnboundedSender<Decide>,
}

impl Store for HeldStore {
    fn key_id(&self, user: &[u8], key_config_hash: &[u8; 32]) -> Result<KeyId, StoreError> {
        self.store.key_id(user, key_config_hash)
    }

    fn put_evaluation_key(&self, id: KeyId, key: StoredKey, now: Timestamp) -> StoreFuture<'_, ()> {
        self.store.put_evaluation_key(id, key, now)
    }

    fn evaluation_key(&self, id: KeyId) -> StoreFuture<'_, Option<StoredKey>> {
        self.store.evaluation_key(id)
    }

    fn evaluation_key_timestamp(&self, id: KeyId) -> StoreFuture<'_, Option<u64>> {
        self.store.evaluation_key_timestamp(id)
    }

    fn touch_evaluation_key(&self, id: KeyId, now: Timestamp) {
        self.store.touch_evaluation_key(id, now);
    }

    fn collect_garbage(&self, now: Timestamp) -> StoreFuture<'_, ()> {
        self.store.collect_garbage(now)
    }

    fn refresh(&self) -> StoreFuture<'_, ()> {
        self.store.refresh()
    }

    fn is_spent<'s>(&'s self, key_id: &'s [u8; 32], nonce: &'s [u8; 32]) -> StoreFuture<'s, bool> {
        self.store.is_spent(key_id, nonce)
    }

    fn spend<'s>(
        &'s self,
        key_id: &'s [u8; 32],
        nonce: &'s [u8; 32],
        until: Timestamp,
    ) -> StoreFuture<'s, Spending> {
        Box::pin(async move {
            let durable = match self.store.spend(key_id, nonce, until).await? {
                Spending::Fresh(durable) => durable,
                Spending::Spent => return Ok(Spending::Spent),
            };
            let commits = self.commits.clone();
            Ok(Spending::Fresh(Durable::when(async move {
                durable.wait().await?;
                let (decide, decided) = oneshot::channel();
                commits.send(decide).unwrap();
                decided.await.unwrap()
            })))
        })
    }

    fn count_issuance<'s>(
        &'s self,
        user_token: &'s [u8],
        limit: IssuanceLimit,
        now: Timestamp,
    ) -> StoreFuture<'s, Issuance> {
        self.store.count_issuance(user_token, limit, now)
    }

    fn retain_nonces(&self, key_ids: &[[u8; 32]]) -> StoreFuture<'_, ()> {
        self.store.retain_nonces(key_ids)
    }

    fn issuer_keys(&self, tier: Tier, rotation: Rotation) -> StoreFuture<'_, Option<KeySet>> {
        self.store.issuer_keys(tier, rotation)
    }

    fn lease(&self) -> StoreFuture<'_, Option<Lease>> {
        self.store.lease()
    }

    fn put_issuer_keys<'s>(
        &'s self,
        tier: Tier,
        keys: &'s KeySet,
        lease: &'s Lease,
    ) -> StoreFuture<'s, ()> {
        self.store.put_issuer_keys(tier, keys, lease)
    }

    fn gateway_keys(&self) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
        self.store.gateway_keys()
    }

    fn put_gateway_keys<'s>(&'s self, text: &'s [u8], lease: &'s Lease) -> StoreFuture<'s, ()> {
        self.store.put_gateway_keys(text, lease)
    }

    fn release(&self, lease: Lease) -> StoreFuture<'_, ()> {
        self.store.release(lease)
    }

    fn statistics(&self) -> StoreStatistics {
        self.store.statistics()
    }
}

/// A service on a [`HeldStore`].
struct Held {
    running: Running,
    commits: mpsc::UnboundedReceiver<Decide>,
}

impl Held {
    async fn start(case: &Case) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(vec![case.install(folder.path(), "data")])
            .with("reportDirectory", serde_json::json!(folder.path().join("reports")))
            .with("reports", serde_json::json!({ "entries": 2 }));
        let (sender, commits) = mpsc::unbounded_channel();
        let open = move |configuration: &Configuration| -> Arc<dyn Store> {
            let store = EmbeddedStore::open(&configuration.store).unwrap();
            Arc::new(HeldStore { store, commits: sender })
        };
        Self { running: Running::start_with(folder, settings, open).await, commits }
    }

    /// Sends a request, sees that it is not answered before the commit, and lets the commit end like this.
    async fn send(&mut self, path: &str, body: &[u8], commit: Result<(), StoreError>) -> Answer {
        let token = self.running.token().await.to_authorization();
        let headers =
            [("authorization", token.as_str()), ("user-identifier", USER), ("user-agent", AGENT)];
        let answer = self.running.send(Method::POST, path, &headers, body.to_vec());
        tokio::pin!(answer);
        let decide = tokio::select! {
            answer = &mut answer => panic!("{path}: {} before the nonce is durable", answer.status()),
            decide = self.commits.recv() => decide.unwrap(),
        };
        assert!(decide.send(commit).is_ok(), "{path}");
        let answer = answer.await;
        Answer { status: answer.status().as_u16(), response: answer }
    }

    async fn status(&mut self, path: &str, body: &[u8], commit: Result<(), StoreError>) -> u16 {
        self.send(path, body, commit).await.status
    }
}

struct Answer {
    status: u16,
    response: reqwest::Response,
}

fn config(name: &str, ids: usize) -> Vec<u8> {
    let usecases = vec![name.to_owned()];
    api::ConfigRequest { usecases, existing_config_ids: vec![Vec::new(); ids] }.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_waits_for_its_nonce() {
    let case = Case::new("synthetic_small_logt5");
    let mut held = Held::start(&case).await;
    let key = case.first("/key").request;
    let queries = case.first("/queries").request;
    let report = |urls: usize| {
        pir_api::report::UrlFilterReport { urls: vec!["a.example".to_owned(); urls] }
            .encode_to_vec()
    };
    let changed_key = |change: &dyn Fn(&mut api::shared::EvaluationKey)| {
        let mut keys = api::shared::EvaluationKeys::decode(&key[..]).unwrap();
        change(&mut keys.keys[0]);
        keys.encode_to_vec()
    };
    let changed_query = |change: &dyn Fn(&mut api::pir::PirRequest)| {
        let mut requests = api::Requests::decode(&queries[..]).unwrap();
        change(pir_request(&mut requests, 0));
        requests.encode_to_vec()
    };
    let mut no_use_case = api::Requests::decode(&queries[..]).unwrap();
    no_use_case.requests[0].usecase = "other".to_owned();
    let requests = [
        ("/config", config(&case.use_case(), 1), 200),
        ("/config", config("other", 1), 404),
        ("/config", config(&case.use_case(), 2), 400),
        ("/key", changed_key(&|key| key.metadata = None), 400),
        ("/key", changed_key(&|key| key.metadata.as_mut().unwrap().identifier[0] ^= 1), 400),
        ("/key", changed_key(&|key| key.evaluation_key.as_mut().unwrap().relin_key = None), 400),
        ("/queries", queries.clone(), 400),
        ("/key", key.clone(), 200),
        ("/queries", queries.clone(), 200),
        ("/queries", no_use_case.encode_to_vec(), 400),
        ("/queries", changed_query(&|query| query.configuration_hash[0] ^= 1), 410),
        ("/queries", changed_query(&|query| query.shard_index = 99), 400),
        ("/queries", changed_query(&|query| query.query = None), 400),
        ("/report", report(1), 200),
    ];
    for (path, body, status) in requests {
        assert_eq!(held.status(path, &body, Ok(())).await, status, "{path}");
        // Whatever the work found: a nonce that may be fresh again after a crash bought nothing.
        let failed = Err(StoreError::unavailable("the disk is full"));
        assert_eq!(held.status(path, &body, failed).await, 503, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_stores_nothing() {
    let case = Case::new("synthetic_small_logt5");
    let mut held = Held::start(&case).await;
    let failed = || Err(StoreError::unavailable("the disk is full"));
    assert_eq!(held.status("/key", &case.first("/key").request, failed()).await, 503);
    let report =
        pir_api::report::UrlFilterReport { urls: vec!["a.example".to_owned()] }.encode_to_vec();
    assert_eq!(held.status("/report", &report, failed()).await, 503);

    let config = config(&case.use_case(), 0);
    let answer = held.send("/config", &config, Ok(())).await;
    let config: api::ConfigResponse = message(answer.response).await;
    assert_eq!(config.key_info[0].timestamp, 0, "no key was stored");
    let queries = case.first("/queries").request;
    assert_eq!(held.status("/queries", &queries, Ok(())).await, 400);
    let written = |folder: &Path| std::fs::read(folder.join("reports/reports.jsonl")).unwrap();
    assert!(written(held.running.folder.path()).is_empty(), "no report was written");
}
