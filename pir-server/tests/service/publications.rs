//! Releases in an object store, and nodes that follow them.

use crate::support::{Case, NOW, Running, Settings, UseCaseText, at, write_manifest};
use pir_api::{Message, api};
use pir_dataset::publication::{Current, Release, ReleaseStore, ReleasedFile, UseCaseStatus};
use pir_server::service::SubscriptionError;
use pir_server::{Configuration, Service, ServiceError};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use unix_clock::{ManualClock, SystemClock, Timestamp};

/// An error with its causes, as the command prints them.
fn chain(error: impl std::error::Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

const FIRST: &str = "synthetic_small_logt5";
const SECOND: &str = "synthetic_shards3_logt4";

fn use_case() -> String {
    Case::new(FIRST).use_case()
}

/// A folder that releases are published in.
struct Shelf {
    folder: TempDir,
    store: ReleaseStore,
}

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ReleaseStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        Self { folder, store }
    }

    /// One on which a release counts.
    async fn with_first() -> Self {
        let shelf = Self::new();
        shelf.put(FIRST, "1").await;
        shelf.set("1", Some(NOW), None).await;
        shelf
    }

    async fn put(&self, case: &str, id: &str) -> Release {
        put(&self.store, case, id).await
    }

    async fn set(&self, release: &str, activate_at: Option<u64>, before: Option<&str>) {
        set(&self.store, release, activate_at, before).await;
    }

    /// The object of a file of a release.
    fn object(&self, release: &Release, name: &str) -> PathBuf {
        let file = release.files.iter().find(|file| file.name == name).unwrap();
        self.folder.path().join("objects").join(&file.sha256)
    }
}

fn time(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

async fn put(store: &ReleaseStore, case: &str, id: &str) -> Release {
    let case = Case::new(case);
    let folder = tempfile::tempdir().unwrap();
    let UseCaseText { shards, .. } = case.install(folder.path(), "data");
    write_manifest(&folder.path().join("data"), shards, serde_json::json!({}));
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    fs::create_dir(folder.path().join("filter")).unwrap();
    for name in ["filter/bloom.bin", "filter/bloom_filter.plist"] {
        names.push(name.to_owned());
        fs::write(folder.path().join(name), id).unwrap();
    }
    names.sort();
    let mut files = Vec::new();
    for name in names {
        let path = folder.path().join(&name);
        let content = fs::read(&path).unwrap();
        let sha256 = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        let file = ReleasedFile::new(name, content.len() as u64, sha256).unwrap();
        store.put_object(&file, &path).await.unwrap();
        files.push(file);
    }
    let release =
        Release::new(id.to_owned(), use_case(), shards, String::new(), time(NOW), files).unwrap();
    store.put_release(&release).await.unwrap();
    release
}

async fn set(store: &ReleaseStore, release: &str, activate_at: Option<u64>, before: Option<&str>) {
    let release = store.release_by_id(release).await.unwrap().0;
    let before = match before {
        Some(before) => Some(store.release_by_id(before).await.unwrap().0),
        None => None,
    };
    let revision = store.current(None).await.unwrap().map(|(_, revision)| revision);
    let activate_at = activate_at.map(time);
    store
        .set_current(&Current::new(release, activate_at, before), revision.as_ref())
        .await
        .unwrap();
}

/// Settings of a node that follows an address.
fn follows(address: &str, folder: &Path) -> Settings {
    let use_case = serde_json::json!([{ "name": use_case(), "published": address }]);
    Settings::new(vec![UseCaseText {
        name: use_case_name(&use_case),
        stem: String::new(),
        shards: 0,
        versions: 2,
        superseded: 10,
    }])
    .with("usecases", use_case)
    .with("publications", serde_json::json!({ "directory": folder.join("releases") }))
}

fn use_case_name(use_cases: &serde_json::Value) -> String {
    use_cases[0]["name"].as_str().unwrap().to_owned()
}

async fn node(address: &str, clock: &Arc<ManualClock>) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let settings = follows(address, folder.path());
    Running::start_at(folder, settings, Arc::clone(clock)).await
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(at(NOW)))
}

impl Running {
    async fn status(&self) -> serde_json::Value {
        let response = self.http.get(format!("{}/releases", self.admin)).send().await.unwrap();
        let all: serde_json::Value =
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        all[0].clone()
    }

    /// Shards of what is served.
    fn shards(&self) -> usize {
        self.service.loaded().use_cases[0].shards
    }

    async fn is_ready(&self) -> bool {
        let response = self.http.get(format!("{}/readyz", self.url)).send().await.unwrap();
        response.status() == 200
    }

    /// A client finds what a case has, and nothing else.
    async fn answers(&self, case: &str) -> bool {
        let expected = Case::new(case).expected();
        let keywords: Vec<&[u8]> = expected.iter().map(|(keyword, _)| keyword.as_bytes()).collect();
        let found = self.client().lookup(&keywords).await.unwrap();
        let values = expected.iter().map(|(_, value)| value.as_deref().map(str::as_bytes));
        found.iter().map(Option::as_deref).eq(values)
    }

    /// Recorded queries of the first case are for data that is served.
    async fn serves_recorded(&self) -> bool {
        let case = Case::new(FIRST);
        self.post("/key", &case.first("/key").request).await;
        self.post("/queries", &case.first("/queries").request).await.status() == 200
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_switch_together() {
    let shelf = Shelf::with_first().await;
    let clock = clock();
    let address = shelf.folder.path().to_str().unwrap().to_owned();
    let nodes = [node(&address, &clock).await, node(&address, &clock).await];
    for node in &nodes {
        assert_eq!((node.shards(), node.status().await["active"].as_str()), (1, Some("1")));
        assert!(node.answers(FIRST).await);
    }
    // Announced, and nobody said when.
    shelf.put(SECOND, "2").await;
    shelf.set("2", None, Some("1")).await;
    for node in &nodes {
        node.service.poll_publications().await.unwrap();
        let status = node.status().await;
        assert_eq!((&status["active"], &status["ready"]), (&"1".into(), &"2".into()));
        assert_eq!(node.shards(), 1);
    }
    // Only one of them hears when, but neither is early.
    shelf.set("2", Some(NOW + 60), Some("1")).await;
    nodes[0].service.poll_publications().await.unwrap();
    clock.set(at(NOW + 59));
    nodes[0].service.poll_publications().await.unwrap();
    assert_eq!(nodes[0].shards(), 1);
    clock.set(at(NOW + 60));
    for node in &nodes {
        node.service.poll_publications().await.unwrap();
        assert_eq!(node.shards(), 3);
        let status = node.status().await;
        assert_eq!((&status["active"], &status["ready"]), (&"2".into(), &().into()));
        assert!(node.answers(SECOND).await);
        // Clients that have the configuration before it are served on.
        assert!(node.serves_recorded().await);
        // A reload opens what is served, not what was at the start.
        node.service.reload().await.unwrap();
        assert_eq!(node.shards(), 3);
        assert!(node.metrics().await.contains("pir_release_late{"));
    }
    // Files of the release before it are not kept.
    let releases = nodes[0].folder.path().join("releases").join(use_case()).join("releases");
    assert_eq!(fs::read_dir(releases).unwrap().count(), 1);
    // And back.
    shelf.set("1", Some(NOW + 60), Some("2")).await;
    for node in &nodes {
        node.service.poll_publications().await.unwrap();
        assert_eq!(node.shards(), 1);
        assert!(node.answers(FIRST).await);
    }
}

/// A store that no longer answers does not keep a node from serving what it has at the time that was announced.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_store_delays_no_release_that_is_ready() {
    let shelf = Shelf::with_first().await;
    let clock = clock();
    let node = node(shelf.folder.path().to_str().unwrap(), &clock).await;
    shelf.put(SECOND, "2").await;
    shelf.set("2", Some(NOW + 60), Some("1")).await;
    node.service.poll_publications().await.unwrap();
    assert_eq!((node.shards(), &node.status().await["ready"]), (1, &"2".into()));
    // Whoever opens a pipe waits until somebody writes to it.
    let current = shelf.folder.path().join("current.json");
    fs::remove_file(&current).unwrap();
    assert!(Command::new("mkfifo").arg(&current).status().unwrap().success());
    clock.set(at(NOW + 60));
    let silent = node.service.poll_publications().await.unwrap_err();
    assert!(chain(silent).contains("does not answer"));
    assert_eq!((node.shards(), &node.status().await["active"]), (3, &"2".into()));
    assert!(node.answers(SECOND).await);
    // The thread that waits ends.
    drop(fs::OpenOptions::new().write(true).open(&current).unwrap());
}

/// Nor does a prefilter of the release before it that cannot be fetched.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_prefilter_that_does_not_come_delays_no_release_that_is_ready() {
    let shelf = Shelf::new();
    let first = shelf.put(FIRST, "1").await;
    shelf.set("1", Some(NOW), None).await;
    shelf.store.set_filter(&first).await.unwrap();
    let prefilter = shelf.object(&first, "filter/bloom_filter.plist");
    fs::remove_file(&prefilter).unwrap();
    assert!(Command::new("mkfifo").arg(&prefilter).status().unwrap().success());
    let clock = clock();
    let node = node(shelf.folder.path().to_str().unwrap(), &clock).await;
    shelf.put(SECOND, "2").await;
    shelf.set("2", Some(NOW + 60), Some("1")).await;
    clock.set(at(NOW + 57));
    let time_comes = async {
        while node.status().await["ready"] != "2" {
            tokio::task::yield_now().await;
        }
        clock.set(at(NOW + 60));
    };
    let poll = node.service.poll_publications();
    let both = futures_util::future::join(poll, time_comes);
    tokio::time::timeout(Duration::from_secs(100), both).await.unwrap().0.unwrap();
    assert_eq!((node.shards(), &node.status().await["active"]), (3, &"2".into()));
    // The thread that waits for the pipe ends.
    drop(fs::OpenOptions::new().write(true).open(&prefilter).unwrap());
}

/// What a node cannot verify, it does not serve; and it takes no requests from nodes that can.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_releases_are_not_served() {
    let shelf = Shelf::with_first().await;
    let clock = clock();
    let node = node(shelf.folder.path().to_str().unwrap(), &clock).await;
    let second = shelf.put(SECOND, "2").await;
    let shard = shelf.object(&second, "data-1.bin");
    let good = fs::read(&shard).unwrap();
    shelf.set("2", Some(NOW + 60), Some("1")).await;

    let mut other = good.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&shard, &other).unwrap();
    let error = chain(node.service.poll_publications().await.unwrap_err());
    assert!(error.contains("its digest"), "{error}");
    fs::write(&shard, &good[1..]).unwrap();
    let error = chain(node.service.poll_publications().await.unwrap_err());
    assert!(error.contains("its length"), "{error}");
    fs::remove_file(&shard).unwrap();
    node.service.poll_publications().await.unwrap_err();
    assert!(node.is_ready().await);

    // Its time comes, and this node has it not.
    clock.set(at(NOW + 60));
    node.service.poll_publications().await.unwrap_err();
    assert!(node.answers(FIRST).await);
    assert!(!node.is_ready().await);
    assert_eq!(node.status().await["late"], true);
    let late = format!("pir_release_late{{usecase=\"{}\"}} 1\n", use_case());
    assert!(node.metrics().await.contains(&late));
    // After a while the old one from here is better than nothing from anywhere.
    clock.set(at(NOW + 60 + 120));
    assert!(node.is_ready().await);

    fs::write(&shard, good).unwrap();
    node.service.poll_publications().await.unwrap();
    assert_eq!((node.shards(), node.is_ready().await), (3, true));
    assert_eq!(node.status().await["late"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_words_change_nothing() {
    let shelf = Shelf::with_first().await;
    let node = node(shelf.folder.path().to_str().unwrap(), &clock()).await;
    let current = shelf.folder.path().join("current.json");
    let good = fs::read_to_string(&current).unwrap();
    for (bad, why) in [
        (String::new(), "form"),
        (good.replace("\"version\": 1", "\"version\": 9"), "version 9"),
        (good.replace("\"id\": \"1\"", "\"id\": \"../1\""), "not the name of a release"),
        (good.replace("\"id\": \"1\"", "\"id\": \"none\""), "none"),
        (good.replace("activateAt", "activate"), "form"),
    ] {
        assert_ne!(good, bad);
        fs::write(&current, bad).unwrap();
        let error = chain(node.service.poll_publications().await.unwrap_err());
        assert!(error.contains(why), "{error}");
        assert!(node.answers(FIRST).await);
    }
    // Of another use case.
    let path = shelf.folder.path().join("releases/1/release.json");
    let text = fs::read_to_string(&path).unwrap().replace(&use_case(), "other");
    fs::write(&path, &text).unwrap();
    let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut current_json: serde_json::Value = serde_json::from_str(&good).unwrap();
    current_json["release"]["sha256"] = digest.into();
    current_json["release"]["id"] = "1".into();
    fs::write(&current, current_json.to_string()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = follows(shelf.folder.path().to_str().unwrap(), folder.path());
    let path = folder.path().join("service-config.json");
    fs::write(&path, settings.text(folder.path())).unwrap();
    let configuration = Configuration::read(&path).unwrap();
    let opened = Service::open(&configuration, Arc::new(SystemClock)).await;
    let error = chain(opened.err().unwrap());
    assert!(error.contains("another use case"), "{error}");
}

/// A release in a folder inside of the shelf's, which can be moved away.
async fn published_apart() -> (Shelf, PathBuf, ReleaseStore) {
    let shelf = Shelf::new();
    let address = shelf.folder.path().join("shelf");
    let store = ReleaseStore::open(address.to_str().unwrap(), &BTreeMap::new()).unwrap();
    put(&store, FIRST, "1").await;
    set(&store, "1", Some(NOW), None).await;
    (shelf, address, store)
}

/// With the store away, a node starts from what it has.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_served_last_is_served_again() {
    let (shelf, address, store) = published_apart().await;
    let clock = clock();
    let running = node(address.to_str().unwrap(), &clock).await;
    let (folder, settings) = running.stop().await;
    let away = shelf.folder.path().join("away");
    fs::rename(&address, &away).unwrap();
    // Nothing published is one thing: a folder cannot tell it from a store that is away.
    fs::write(&address, "not a folder").unwrap();
    let running = Running::start_at(folder, settings, Arc::clone(&clock)).await;
    assert!(running.answers(FIRST).await);
    running.service.poll_publications().await.unwrap_err();
    // And follows again when it is back.
    fs::remove_file(&address).unwrap();
    fs::rename(&away, &address).unwrap();
    put(&store, SECOND, "2").await;
    set(&store, "2", Some(NOW), Some("1")).await;
    running.service.poll_publications().await.unwrap();
    assert_eq!(running.shards(), 3);

    // One whose files were changed here meanwhile is fetched again, or refused.
    let (folder, settings) = running.stop().await;
    let objects = folder.path().join("releases").join(use_case()).join("objects");
    for entry in fs::read_dir(&objects).unwrap() {
        let path = entry.unwrap().path();
        let mut content = fs::read(&path).unwrap();
        content[0] ^= 1;
        fs::write(path, content).unwrap();
    }
    let running = Running::start_at(folder, settings, Arc::clone(&clock)).await;
    assert!(running.answers(SECOND).await);
    let (folder, settings) = running.stop().await;
    fs::rename(&address, &away).unwrap();
    fs::write(&address, "not a folder").unwrap();
    for entry in fs::read_dir(&objects).unwrap() {
        fs::write(entry.unwrap().path(), "x").unwrap();
    }
    let path = folder.path().join("service-config.json");
    fs::write(&path, settings.text(folder.path())).unwrap();
    let configuration = Configuration::read(&path).unwrap();
    let opened = Service::open(&configuration, Arc::new(SystemClock)).await;
    assert!(matches!(
        opened.err(),
        Some(ServiceError::Subscription(SubscriptionError::Store { .. }))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_published_is_said() {
    let shelf = Shelf::new();
    let folder = tempfile::tempdir().unwrap();
    let settings = follows(shelf.folder.path().to_str().unwrap(), folder.path());
    let path = folder.path().join("service-config.json");
    fs::write(&path, settings.text(folder.path())).unwrap();
    let configuration = Configuration::read(&path).unwrap();
    let checked = Service::check(&configuration).await.unwrap();
    assert!(checked.releases[0].contains("nothing was published at"), "{:?}", checked.releases);
    shelf.put(FIRST, "1").await;
    shelf.set("1", Some(NOW), None).await;
    let checked = Service::check(&configuration).await.unwrap();
    assert_eq!(checked.releases.len(), 1);
    assert!(!folder.path().join("releases").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_waits_for_the_first_release() {
    let shelf = Shelf::new();
    let node = node(shelf.folder.path().to_str().unwrap(), &clock()).await;
    for _ in 0..2 {
        let ready = node.http.get(format!("{}/readyz", node.url)).send().await.unwrap();
        assert_eq!(ready.status(), 503);
        let text = ready.text().await.unwrap();
        assert!(text.starts_with("not ready: nothing was published yet"), "{text}");
        // Requests for the use case are told to come again, those for others are not.
        for (name, status) in [(use_case(), 503), ("other".to_owned(), 404)] {
            let request = api::ConfigRequest { usecases: vec![name], ..Default::default() };
            let response = node.post("/config", &request.encode_to_vec()).await;
            assert_eq!(response.status(), status);
        }
        let queries = Case::new(FIRST).first("/queries").request;
        assert_eq!(node.post("/queries", &queries).await.status(), 503);
        // Caches keep no answer that lacks the use case.
        let public = node.http.get(format!("{}/config", node.url)).send().await.unwrap();
        assert_eq!((public.status().as_u16(), public.headers().get("cache-control")), (503, None));
        node.service.poll_publications().await.unwrap();
        // A reload of the configuration has nothing else to serve either.
        node.service.reload().await.unwrap();
    }
    shelf.put(FIRST, "1").await;
    shelf.set("1", Some(NOW), None).await;
    node.service.poll_publications().await.unwrap();
    assert!(node.is_ready().await);
    assert!(node.answers(FIRST).await);
    node.service.reload().await.unwrap();
    assert!(node.answers(FIRST).await);
}

/// Whoever empties a store, or mounts another one, does not mean that nothing is blocked.
#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_publication_ends_nothing_and_is_told() {
    let (shelf, address, _) = published_apart().await;
    let clock = clock();
    let running = node(address.to_str().unwrap(), &clock).await;
    let status = async |running: &Running| {
        let status = running.http.get(format!("{}/status", running.admin)).send().await.unwrap();
        let status: serde_json::Value =
            serde_json::from_slice(&status.bytes().await.unwrap()).unwrap();
        (status["problems"].to_string(), status["releases"][0]["problem"].clone())
    };
    assert_eq!(status(&running).await, ("[]".to_owned(), serde_json::Value::Null));

    let (folder, settings) = running.stop().await;
    fs::rename(&address, shelf.folder.path().join("away")).unwrap();
    fs::create_dir(&address).unwrap();
    let running = Running::start_at(folder, settings, Arc::clone(&clock)).await;
    for _ in 0..2 {
        assert!(running.is_ready().await && running.answers(FIRST).await);
        let (problems, problem) = status(&running).await;
        assert_eq!(problem, "nothing is published there any more");
        assert!(problems.contains("its publication cannot be followed: nothing is"), "{problems}");
        running.service.poll_publications().await.unwrap();
    }
    // It is followed when it is back.
    fs::remove_dir_all(&address).unwrap();
    fs::rename(shelf.folder.path().join("away"), &address).unwrap();
    running.service.poll_publications().await.unwrap();
    assert_eq!(status(&running).await, ("[]".to_owned(), serde_json::Value::Null));
}

#[tokio::test]
async fn publishers_do_not_overwrite_each_other_and_leave_what_is_needed() {
    let shelf = Shelf::new();
    let first = shelf.put(FIRST, "1").await;
    shelf.put(SECOND, "2").await;
    let (name, _) = shelf.store.release_by_id("1").await.unwrap();
    let current = Current::new(name, Some(time(NOW)), None);
    shelf.store.set_current(&current, None).await.unwrap();
    let error = shelf.store.set_current(&current, None).await.unwrap_err();
    assert!(error.to_string().contains("another publisher"), "{error}");
    // What is young stays, whoever needs it.
    let kept = ["1".to_owned()];
    assert_eq!(shelf.store.retain(&kept, Timestamp::MIN).await.unwrap(), 0);
    assert_eq!(shelf.store.releases().await.unwrap(), kept);
    assert!(shelf.store.retain(&kept, Timestamp::MAX).await.unwrap() > 3);
    for file in &first.files {
        assert!(shelf.object(&first, &file.name).exists());
    }
    // Prefilters are given out by copies.
    assert!(!shelf.store.has_filter_by_content(&first).await.unwrap());
    shelf.store.set_filter(&first).await.unwrap();
    assert!(shelf.store.has_filter_by_content(&first).await.unwrap());
    assert_eq!(fs::read(shelf.folder.path().join("filter/bloom.bin")).unwrap(), b"1");
}

#[test]
fn statuses_have_a_stable_form() {
    let text = serde_json::to_value(UseCaseStatus::default()).unwrap();
    let expected = serde_json::json!({
        "useCase": "", "active": null, "ready": null, "published": null, "activateAt": null, "late": false,
    });
    assert_eq!(text, expected);
}

impl Running {
    /// Reloads with other use cases.
    async fn reload_with(&self, use_cases: serde_json::Value) {
        self.write_configuration(&self.settings.clone().with("usecases", use_cases));
        self.service.reload().await.unwrap();
    }
}

/// Whatever its publication does then, a use case that a reload has removed concerns nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_use_case_that_was_removed_is_not_followed() {
    let (shelf, empty) = (Shelf::with_first().await, Shelf::new());
    let (address, nothing) = (shelf.folder.path().to_str().unwrap(), empty.folder.path());
    let nothing = nothing.to_str().unwrap();
    let removed =
        serde_json::json!([{ "name": use_case(), "published": address, "versionCount": 0 }]);
    shelf.put(SECOND, "2").await;
    for use_cases in [removed, serde_json::json!([])] {
        let clock = clock();
        let (one, waiting) = (node(address, &clock).await, node(nothing, &clock).await);
        assert!(!waiting.is_ready().await);
        for node in [&one, &waiting] {
            node.reload_with(use_cases.clone()).await;
            assert!(node.is_ready().await);
        }
        shelf.set("2", Some(NOW), Some("1")).await;
        for node in [&one, &waiting] {
            let service = Arc::clone(&node.service);
            tokio::spawn(async move { service.poll_publications().await }).await.unwrap().unwrap();
            assert!(node.is_ready().await);
            assert_eq!(node.service.release_statuses(), []);
            let config = node.http.get(format!("{}/config", node.url)).send().await.unwrap();
            assert_eq!(config.status(), 200);
        }
        // It is followed when it is back.
        one.reload_with(serde_json::json!([{ "name": use_case(), "published": address }])).await;
        one.service.poll_publications().await.unwrap();
        assert!(one.answers(SECOND).await);
        shelf.set("1", Some(NOW), None).await;
    }
}
