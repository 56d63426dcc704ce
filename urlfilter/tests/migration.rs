//! A deployment of Apple's example service moves over, and back: every key of its list stays blocked.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;
mod serving;

use command::{stderr, succeeds, urlfilter};
use filter_client::{
    ClientBuilder, ClientOptions, EmptyWallet, FilterOptions, PirClient, PrefilterSource,
    UrlFilter, Verdict,
};
use filter_core::Prefilter;
use filter_core::sub_url::SubUrlRule;
use interop_cases::pir::{Case, Row};
use pir_api::{Message, api};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Keywords that are looked up together.
const BATCH: usize = 200;

/// The folder of a recorded deployment, with the names that its service and its tool have in their configurations.
struct Deployment {
    case: Case,
    folder: tempfile::TempDir,
    shards: usize,
    rows: Vec<Row>,
}

impl Deployment {
    fn of(case: Case) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (shards, rows) = (case.databases(), case.rows());
        let write =
            |name: String, content: Vec<u8>| fs::write(folder.path().join(name), content).unwrap();
        for shard in 0..shards {
            write(format!("url-{shard}.bin"), case.read(&format!("db-{shard}.bin")));
            write(format!("url-{shard}.params.txtpb"), case.read(&format!("params-{shard}.txtpb")));
        }
        write("input.txtpb".to_owned(), case.read("input.txtpb"));
        let deployment = Self { case, folder, shards, rows };
        deployment.configure("url-config.json", "url");
        deployment
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the configuration of the tool that processes, with names that begin with `stem`.
    fn configure(&self, name: &str, stem: &str) {
        let mut process: Value =
            serde_json::from_slice(&self.case.read("process-config.json")).unwrap();
        // As docs/migration.md says: devices keep the configuration only with the layout that they know.
        process["layout"] = "reference".into();
        process["outputDatabase"] = format!("{stem}-SHARD_ID.bin").into();
        process["outputPirParameters"] = format!("{stem}-SHARD_ID.params.txtpb").into();
        process["outputEvaluationKeyConfig"] = format!("{stem}-evaluation-key-config.txtpb").into();
        fs::write(self.path().join(name), process.to_string()).unwrap();
    }

    /// Every file whose name begins so.
    fn files(&self, stem: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with(&format!("{stem}-")) && name != "url-config.json" {
                files.insert(name, fs::read(path).unwrap());
            }
        }
        files
    }

    /// Serves files with a configuration that Apple's service reads as well, and one more key: the folder for state.
    async fn serve(&self, stem: &str) -> Served {
        let state = tempfile::tempdir_in(self.path()).unwrap().keep();
        let configuration = json!({
            "users": [{ "tier": "tier1", "tokens": ["AAAA"] }],
            "usecases": [{
                "name": self.case.use_case(), "fileStem": self.path().join(stem), "shardCount": self.shards,
                "versionCount": 2,
            }],
            "store": { "directory": state },
            "limits": { "waitMilliseconds": 60_000 },
        });
        let url = serving::serve(&configuration).await;
        Served { url, use_case: self.case.use_case(), shards: self.shards }
    }

    /// Looks every key of the list up.
    async fn has_every_key(&self, served: &Served) {
        let client = served.client().build().unwrap();
        for rows in self.rows.chunks(BATCH) {
            let keywords: Vec<&[u8]> = rows.iter().map(|row| row.keyword.as_bytes()).collect();
            let values = client.lookup(&keywords).await.unwrap();
            for (row, value) in rows.iter().zip(values) {
                let place = self.case.folder().display();
                assert_eq!(
                    value.as_deref(),
                    Some(row.value.as_bytes()),
                    "{place}: {}",
                    row.keyword
                );
            }
        }
    }

    fn blocks_urls(&self) -> bool {
        self.rows.iter().all(|row| row.value == "1")
    }
}

struct Served {
    url: String,
    use_case: String,
    shards: usize,
}

impl Served {
    fn client(&self) -> ClientBuilder {
        let mut options = ClientOptions::default();
        options.wallet.when_empty = EmptyWallet::Fetch;
        options.sharding.min_rows_per_shard = 0;
        // Recorded deployments have any number of shards.
        options.sharding.fixed_count = Some(u32::try_from(self.shards).unwrap().max(2));
        // A batch has the keys of many URLs.
        options.sharding.max_bits_per_url = u32::MAX;
        options.lookup_timeout *= 10;
        PirClient::builder(&self.url, &self.use_case).user_token("AAAA").options(options)
    }

    /// The id of the configuration, which devices have.
    async fn config_id(&self) -> Vec<u8> {
        let response = reqwest::get(format!("{}/config", self.url)).await.unwrap();
        let all = api::ConfigResponse::decode(response.bytes().await.unwrap()).unwrap();
        all.configs[&self.use_case].config_id.clone()
    }
}

/// The id that the recorded service told its client.
fn recorded_config_id(case: &Case) -> Vec<u8> {
    let recorded = case.recorded();
    let exchange = recorded.iter().find(|exchange| exchange.path == "/config").unwrap();
    let all = api::ConfigResponse::decode(exchange.response.as_slice()).unwrap();
    all.configs[&case.use_case()].config_id.clone()
}

/// Whether a device asks for a key when it is given the URL that the key names.
fn is_asked_for(keyword: &str) -> bool {
    let rule = SubUrlRule::default();
    let Ok(url) = rule.parse_lenient(&format!("https://{keyword}")) else { return false };
    url.sub_urls().sorted(100_000).unwrap().iter().any(|sub_url| sub_url.as_str() == keyword)
}

/// The first day: files as they are, and a prefilter from the data set.
async fn moves_over(deployment: &Deployment) {
    let served = deployment.serve("url").await;
    assert_eq!(served.config_id().await, recorded_config_id(&deployment.case));
    succeeds(&urlfilter(
        deployment.path(),
        &["build", "input.txtpb", "--out", "dist", "--fpr", "1e-9"],
    ));
    let prefilter = Prefilter::open(deployment.path().join("dist")).unwrap();
    let is_missing = |row: &&Row| !prefilter.filter().contains(row.keyword.as_bytes());
    let missing: Vec<&Row> = deployment.rows.iter().filter(is_missing).collect();
    // Rows that no device asks for are left out, and nothing else is.
    for row in &missing {
        assert!(!is_asked_for(&row.keyword), "{}", row.keyword);
    }
    let report = fs::read(deployment.path().join("dist/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["entries"]["refused"], json!(missing.len()));
    deployment.has_every_key(&served).await;
}

/// A key of a list blocks the URL that it names.
async fn blocks_every_url(deployment: &Deployment) {
    let served = deployment.serve("url").await;
    let mut options = FilterOptions::default();
    options.refresh_every = None;
    // Nothing but what is listed is checked here.
    options.max_hit_share = 1.0;
    let source = PrefilterSource::File(deployment.path().join("dist"));
    let client = served.client().build().unwrap();
    let filter = UrlFilter::new(source, client, options).await.unwrap();
    for rows in deployment.rows.chunks(BATCH) {
        let urls: Vec<String> = rows.iter().map(|row| format!("https://{}", row.keyword)).collect();
        let texts: Vec<&str> = urls.iter().map(String::as_str).collect();
        for (row, decision) in rows.iter().zip(filter.check_all(&texts).await) {
            assert_eq!(decision.verdict, Verdict::Deny { matched: row.keyword.clone() });
        }
    }
}

/// The same list, processed here, under the recorded settings.
async fn is_processed_again(deployment: &Deployment) {
    let before = deployment.files("url");
    let refused = urlfilter(deployment.path(), &["process", "url-config.json"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("another tool"), "{}", stderr(&refused));
    deployment.configure("own-config.json", "own");
    succeeds(&urlfilter(deployment.path(), &["process", "own-config.json"]));
    // What the other service goes on with is as it was.
    assert!(deployment.files("url") == before);
    let served = deployment.serve("own").await;
    if deployment.blocks_urls() {
        assert_eq!(served.config_id().await, recorded_config_id(&deployment.case));
    }
    deployment.has_every_key(&served).await;
}

/// Files for the other service: its parameters byte by byte, and databases of its form.
async fn moves_back(deployment: &Deployment) {
    deployment.configure("back-config.json", "back");
    let arguments = ["process", "back-config.json", "--database-format", "apple"];
    succeeds(&urlfilter(deployment.path(), &arguments));
    let files = deployment.files("back");
    for shard in 0..deployment.shards {
        let parameters = &files[&format!("back-{shard}.params.txtpb")];
        let database = &files[&format!("back-{shard}.bin")];
        // Sizes of entries with values of different lengths depend on the order of rows, which the other tool draws.
        if deployment.blocks_urls() {
            let recorded = deployment.case.read(&format!("params-{shard}.txtpb"));
            assert_eq!(parameters, &recorded, "{}", deployment.case.folder().display());
            let recorded = deployment.case.read(&format!("db-{shard}.bin"));
            assert_eq!(
                header(database),
                header(&recorded),
                "{}",
                deployment.case.folder().display()
            );
        }
        assert!(!database.starts_with(b"PIRSHARD"));
    }
    // The reader of recorded files reads them.
    let served = deployment.serve("back").await;
    deployment.has_every_key(&served).await;
}

/// What a database of Apple's tool begins with: its version (one byte) and the number of its plaintexts (four).
fn header(database: &[u8]) -> &[u8] {
    &database[..5]
}

async fn moves_over_and_back(case: Case) {
    let deployment = Deployment::of(case);
    moves_over(&deployment).await;
    is_processed_again(&deployment).await;
    moves_back(&deployment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_deployments_move_over_and_back_with_every_key() {
    for case in Case::carried() {
        moves_over_and_back(case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_url_of_a_recorded_deployment_stays_blocked() {
    let deployment = Deployment::of(Case::named("synthetic_ios26_fixed4_logt5"));
    moves_over(&deployment).await;
    blocks_every_url(&deployment).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the recordings of ../shared/vectors, and takes minutes"]
async fn larger_recorded_deployments_move_over_and_back_with_every_key() {
    let cases: Vec<Case> = Case::shared().into_iter().filter(|case| case.databases() > 0).collect();
    assert!(!cases.is_empty());
    for case in cases {
        moves_over_and_back(case).await;
    }
}
