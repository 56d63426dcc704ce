//! Services on free ports, and requests of their clients.

use bytes::Bytes;
use filter_client::{ClientOptions, PirClient};
use futures_util::future::join_all;
use pir_api::{Message, api};
use pir_dataset::DataSetFiles;
use pir_dataset::files::{database_suffix, parameters_suffix};
use pir_server::store::Store;
use pir_server::{Configuration, Listener, Service, admin, endpoints};
use privacy_pass::{PendingToken, PublicKey, Token, TokenChallenge};
use reqwest::{Method, Response};
use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use unix_clock::{Clock, ManualClock, Timestamp};

/// The time at which services of tests start, in 2026.
pub(crate) const NOW: u64 = 1_795_000_000;

/// A time in Unix seconds.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

pub(crate) const USER: &str = "BCB4B850-E688-4AAF-A38D-779889FB388A";
pub(crate) const AGENT: &str = "com.apple.ciphermld/1.0 iOS/26.0 ...";

/// A recorded case that the repository carries.
pub(crate) struct Case(pub(crate) interop_cases::pir::Case);

impl Case {
    pub(crate) fn new(name: &str) -> Self {
        Self(interop_cases::pir::Case::named(name))
    }

    /// The cases of the repository.
    pub(crate) fn all() -> Vec<Self> {
        Self::with_databases(interop_cases::pir::Case::carried())
    }

    /// The cases outside of the repository.
    pub(crate) fn all_shared() -> Vec<Self> {
        Self::with_databases(interop_cases::pir::Case::shared())
    }

    /// The databases of some cases were too large to keep.
    fn with_databases(cases: Vec<interop_cases::pir::Case>) -> Vec<Self> {
        let cases: Vec<Self> =
            cases.into_iter().filter(|case| case.databases() > 0).map(Self).collect();
        assert!(!cases.is_empty());
        cases
    }

    /// Copies the files to the names under which a service finds them.
    pub(crate) fn install(&self, folder: &Path, stem: &str) -> UseCaseText {
        let shards = self.databases();
        for shard in 0..shards {
            for (from, to) in [("db", "bin"), ("params", "params.txtpb")] {
                let ending = if from == "db" { "bin" } else { "txtpb" };
                let content = self.read(&format!("{from}-{shard}.{ending}"));
                fs::write(folder.join(format!("{stem}-{shard}.{to}")), content).unwrap();
            }
        }
        // What a larger data set left, whose shards would not belong to this one.
        let mut further = shards;
        while fs::remove_file(folder.join(format!("{stem}-{further}.bin"))).is_ok() {
            further += 1;
        }
        UseCaseText {
            name: self.use_case(),
            stem: folder.join(stem).to_str().unwrap().to_owned(),
            shards: shards as u32,
            versions: 2,
            superseded: 10,
        }
    }
}

/// Writes the manifest of a data set, with further fields.
pub(crate) fn write_manifest(stem: &Path, shards: u32, more: serde_json::Value) {
    let files = DataSetFiles::new(stem);
    let digest = |suffix: String| pir_dataset::file_sha256(&files.with_suffix(&suffix)).unwrap();
    let record = |shard| {
        serde_json::json!({
            "shard": shard,
            "databaseSha256": digest(database_suffix(shard)),
            "parametersSha256": digest(parameters_suffix(shard)),
        })
    };
    let records: Vec<_> = (0..shards).map(record).collect();
    let mut manifest = serde_json::json!({ "version": 1, "shardCount": shards, "shards": records });
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fs::write(files.manifest(), manifest.to_string()).unwrap();
}

impl Deref for Case {
    type Target = interop_cases::pir::Case;

    fn deref(&self) -> &interop_cases::pir::Case {
        &self.0
    }
}

/// A use case of a configuration.
#[derive(Clone)]
pub(crate) struct UseCaseText {
    pub(crate) name: String,
    pub(crate) stem: String,
    pub(crate) shards: u32,
    pub(crate) versions: u32,
    pub(crate) superseded: u32,
}

/// A configuration that tests change.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) use_cases: Vec<UseCaseText>,
    pub(crate) more: serde_json::Value,
}

impl Settings {
    pub(crate) fn new(use_cases: Vec<UseCaseText>) -> Self {
        Self { use_cases, more: serde_json::json!({}) }
    }

    pub(crate) fn with(mut self, key: &str, value: serde_json::Value) -> Self {
        self.more[key] = value;
        self
    }

    pub(crate) fn text(&self, folder: &Path) -> String {
        let use_case = |text: &UseCaseText| {
            serde_json::json!({
                "name": text.name, "fileStem": text.stem, "shardCount": text.shards,
                "versionCount": text.versions,
                "supersededMinutes": text.superseded,
            })
        };
        let mut all = serde_json::json!({
            "users": [
                { "tier": "tier1", "tokens": ["AAAA"] },
                { "tier": "tier2", "tokens": ["BBBB", "CCCC"] },
            ],
            "usecases": self.use_cases.iter().map(use_case).collect::<Vec<_>>(),
            "store": { "directory": folder.join("state") },
            "workers": 2,
        });
        for (key, value) in self.more.as_object().unwrap() {
            all[key] = value.clone();
        }
        // Tests run on slow machines, and are issued more tokens than devices, unless they say otherwise.
        if all["limits"]["waitMilliseconds"].is_null() {
            all["limits"]["waitMilliseconds"] = 60_000.into();
        }
        if all["limits"]["tokens"].is_null() {
            for tier in ["tier1", "tier2", "tier3"] {
                let many = serde_json::json!({ "perHour": 1_000_000, "perDay": 1_000_000 });
                all["limits"]["tokens"][tier] = many;
            }
        }
        serde_json::to_string_pretty(&all).unwrap()
    }
}

/// A service in this process.
pub(crate) struct Running {
    pub(crate) folder: TempDir,
    pub(crate) settings: Settings,
    pub(crate) service: Arc<Service>,
    pub(crate) url: String,
    pub(crate) admin: String,
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<ManualClock>,
    stop: Option<oneshot::Sender<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// A service of one recorded case.
    pub(crate) async fn of(case: &Case) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(vec![case.install(folder.path(), "data")]);
        Self::start(folder, settings).await
    }

    pub(crate) async fn start(folder: TempDir, settings: Settings) -> Self {
        Self::start_at(folder, settings, Arc::new(ManualClock::new(at(NOW)))).await
    }

    /// With a clock that is shared with others.
    pub(crate) async fn start_at(
        folder: TempDir,
        settings: Settings,
        clock: Arc<ManualClock>,
    ) -> Self {
        let open = async |configuration: &Configuration, clock| {
            Service::open(configuration, clock).await.unwrap()
        };
        Self::open(folder, settings, clock, open).await
    }

    /// With a store of the test's own.
    pub(crate) async fn start_with(
        folder: TempDir,
        settings: Settings,
        store: impl FnOnce(&Configuration) -> Arc<dyn Store>,
    ) -> Self {
        let open = async |configuration: &Configuration, clock| {
            let store = store(configuration);
            Service::with_store(configuration, store, clock).await.unwrap()
        };
        Self::open(folder, settings, Arc::new(ManualClock::new(at(NOW))), open).await
    }

    async fn open(
        folder: TempDir,
        settings: Settings,
        clock: Arc<ManualClock>,
        open: impl AsyncFnOnce(&Configuration, Arc<dyn Clock>) -> Service,
    ) -> Self {
        let path = folder.path().join("service-config.json");
        fs::write(&path, settings.text(folder.path())).unwrap();
        let configuration = Configuration::read(&path).unwrap();
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let service = open(&configuration, shared).await;
        let service = service.with_source(Arc::new(move || Configuration::read(&path)));
        let service = Arc::new(service);
        let any = ["127.0.0.1:0".parse().unwrap()];
        let devices = Listener::bind(&any, endpoints::router(&service)).await.unwrap();
        let operators = Listener::bind(&any, admin::router(&service)).await.unwrap();
        let url = |listener: &Listener| format!("http://{}", listener.addresses().unwrap()[0]);
        let (url, admin) = (url(&devices), url(&operators));
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = futures_util::FutureExt::shared(stopped);
        let mut tasks = Vec::new();
        for listener in [devices, operators] {
            let (service, stopped) = (Arc::clone(&service), stopped.clone());
            tasks.push(tokio::spawn(async move {
                listener.serve(&service, async { drop(stopped.await) }).await;
            }));
        }
        let http = reqwest::Client::new();
        Self { folder, settings, service, url, admin, http, clock, stop: Some(stop), tasks }
    }

    /// Stops the service, waits for its requests, and returns its folder.
    pub(crate) async fn stop(mut self) -> (TempDir, Settings) {
        drop(self.stop.take());
        join_all(self.tasks).await;
        drop(self.service);
        (self.folder, self.settings)
    }

    pub(crate) fn write_configuration(&self, settings: &Settings) {
        let path = self.folder.path().join("service-config.json");
        fs::write(path, settings.text(self.folder.path())).unwrap();
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Posts as a device does: with a token, its pseudonym and its system.
    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Response {
        let token = self.token().await;
        self.post_with(&token, path, body).await
    }

    pub(crate) async fn post_with(&self, token: &Token, path: &str, body: &[u8]) -> Response {
        let token = token.to_authorization();
        let headers =
            [("authorization", token.as_str()), ("user-identifier", USER), ("user-agent", AGENT)];
        self.send(Method::POST, path, &headers, body.to_vec()).await
    }

    pub(crate) async fn token(&self) -> Token {
        self.token_of("AAAA").await
    }

    pub(crate) async fn token_of(&self, user: &str) -> Token {
        let bearer = format!("Bearer {user}");
        let headers = [("authorization", bearer.as_str())];
        let key = self.send(Method::GET, "/token-key-for-user-token", &headers, "").await;
        assert_eq!(key.status(), 200);
        let key = PublicKey::from_spki(&key.bytes().await.unwrap()).unwrap();
        let challenge = TokenChallenge::for_issuer("127.0.0.1").unwrap();
        let pending = PendingToken::new(&challenge, &key).unwrap();
        let body = pending.request().to_bytes();
        let signed = self.send(Method::POST, "/issue", &headers, body).await;
        assert_eq!(signed.status(), 200);
        assert_eq!(signed.headers()["content-type"], "application/private-token-response");
        pending.finalize(&signed.bytes().await.unwrap()).unwrap()
    }

    pub(crate) async fn metrics(&self) -> String {
        let response = self.http.get(format!("{}/metrics", self.admin)).send().await.unwrap();
        response.text().await.unwrap()
    }

    pub(crate) fn client(&self) -> PirClient {
        self.client_with(ClientOptions::default())
    }

    pub(crate) fn client_with(&self, mut options: ClientOptions) -> PirClient {
        // Some recorded cases have three shards, or two of another function than the hash. The settings do
        // not know the number of a data set that is published.
        let shards = self.settings.use_cases[0].shards;
        options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
        options.wallet.spare = options.wallet.spare.min(9);
        options.sharding.fixed_count = Some(if shards == 2 { 2 } else { 3 });
        // What tests look up together has nothing to do with each other.
        options.sharding.max_bits_per_url = u32::MAX;
        PirClient::builder(&self.url, self.settings.use_cases[0].name.clone())
            .user_token("AAAA")
            .options(options)
            .build()
            .unwrap()
    }
}

/// A device. Its methods return `None` when the service is gone.
pub(crate) struct Device {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) user: String,
}

impl Device {
    pub(crate) async fn token(&self) -> Option<Token> {
        let get = self.http.get(format!("{}/token-key-for-user-token", self.url));
        let key = get.bearer_auth("AAAA").send().await.ok()?.bytes().await.ok()?;
        let key = PublicKey::from_spki(&key).ok()?;
        let pending = PendingToken::new(&TokenChallenge::for_issuer("i").unwrap(), &key).unwrap();
        let post = self.http.post(format!("{}/issue", self.url)).bearer_auth("AAAA");
        let response = post.body(pending.request().to_bytes()).send().await.ok()?;
        pending.finalize(&response.bytes().await.ok()?).ok()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        token: &Token,
        body: Vec<u8>,
    ) -> Option<reqwest::Response> {
        let request = self.http.post(format!("{}{path}", self.url)).body(body);
        let authorization = token.to_authorization();
        let request = request
            .header("authorization", authorization.as_str())
            .header("user-identifier", &self.user)
            .header("user-agent", AGENT);
        request.send().await.ok()
    }
}

/// The message of a refusal.
pub(crate) async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (status, body["error"]["message"].as_str().unwrap().to_owned())
}

pub(crate) async fn message<M: Message + Default>(response: Response) -> M {
    let status = response.status();
    let body: Bytes = response.bytes().await.unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    M::decode(body).unwrap()
}

/// The same queries, for the evaluation key with this timestamp.
pub(crate) fn for_key(queries: &[u8], timestamp: u64) -> Vec<u8> {
    let mut requests = api::Requests::decode(queries).unwrap();
    for index in 0..requests.requests.len() {
        let query = pir_request(&mut requests, index);
        query.evaluation_key_metadata.as_mut().unwrap().timestamp = timestamp;
    }
    requests.encode_to_vec()
}

pub(crate) fn pir_request(requests: &mut api::Requests, index: usize) -> &mut api::pir::PirRequest {
    match requests.requests[index].request.as_mut().unwrap() {
        api::request::Request::PirRequest(request) => request,
        api::request::Request::OprfRequest(_) => panic!(),
    }
}
