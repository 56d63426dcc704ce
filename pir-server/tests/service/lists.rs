//! Lists that the service keeps up to date by itself.

use filter_client::{ClientOptions, EmptyWallet, PirClient};
use list_update::SourceState;
use pir_server::configuration::ListSettings;
use pir_server::service::ListsError;
use pir_server::{Configuration, Listener, Service, admin, endpoints};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use unix_clock::SystemClock;

const USE_CASE: &str = "com.example.app.url.filtering";

fn configuration(folder: &Path) -> Configuration {
    let text = json!({
        "users": [{ "tier": "tier1", "tokens": ["AAAA"] }],
        "usecases": [],
        "store": { "directory": folder.join("service") },
        "workers": 2,
    });
    let lists = ListSettings::new(folder.join("lists.toml"));
    let configuration = Configuration::parse(text.to_string().as_bytes()).unwrap();
    configuration.with_lists(Some(lists)).unwrap()
}

/// A folder with a list.
fn folder(list: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "out = \"state\"\n[[source]]\nname = \"a\"\npath = \"list.txt\"\n[service]\nuse_case = \"{USE_CASE}\"\n"
    );
    fs::write(folder.path().join("lists.toml"), text).unwrap();
    fs::write(folder.path().join("list.txt"), list).unwrap();
    folder
}

struct Running {
    service: Arc<Service>,
    url: String,
    admin: String,
}

impl Running {
    async fn start(folder: &TempDir) -> Self {
        Self::start_with(folder, Arc::default()).await
    }

    /// A service whose configuration cannot be read while `is_broken` says so.
    async fn start_with(folder: &TempDir, is_broken: Arc<AtomicBool>) -> Self {
        let path = folder.path().to_owned();
        let opened = Service::open(&configuration(&path), Arc::new(SystemClock)).await.unwrap();
        let source = Arc::new(move || match is_broken.load(Ordering::Relaxed) {
            true => Configuration::parse(b"{\"half\": "),
            false => Ok(configuration(&path)),
        });
        let service = Arc::new(opened.with_source(source));
        let any = ["127.0.0.1:0".parse().unwrap()];
        let mut urls = Vec::new();
        for router in [endpoints::router(&service), admin::router(&service)] {
            let listener = Listener::bind(&any, router).await.unwrap();
            urls.push(format!("http://{}", listener.addresses().unwrap()[0]));
            let serving = Arc::clone(&service);
            tokio::spawn(async move { listener.serve(&serving, std::future::pending()).await });
        }
        let [url, admin] = urls.try_into().unwrap();
        Self { service, url, admin }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        get(&self.url, path).await
    }

    /// The page, the status and the metrics.
    async fn seen(&self) -> (String, serde_json::Value, String) {
        let (page, status) = (get(&self.admin, "/").await, get(&self.admin, "/status").await);
        let metrics = get(&self.admin, "/metrics").await;
        assert_eq!((page.0, status.0, metrics.0), (200, 200, 200));
        (page.1, serde_json::from_str(&status.1).unwrap(), metrics.1)
    }

    fn client(&self) -> PirClient {
        let mut options = ClientOptions::default();
        options.wallet.when_empty = EmptyWallet::Fetch;
        let builder = PirClient::builder(&self.url, USE_CASE).user_token("AAAA");
        builder.options(options).build().unwrap()
    }

    async fn has(&self, keyword: &str) -> bool {
        self.client().lookup(&[keyword.as_bytes()]).await.unwrap()[0].is_some()
    }
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("{address}{path}")).await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn page_status_and_metrics_say_how_the_lists_are() {
    let folder = folder("bad.example\nworse.example\n");
    let running = Running::start(&folder).await;
    let (page, status, _) = running.seen().await;
    assert!(page.contains("Nothing is served yet."), "{page}");
    assert_eq!((&status["ready"], &status["useCases"]), (&json!(false), &json!([])));

    running.service.update_lists().await.unwrap();
    let (page, status, metrics) = running.seen().await;
    assert_eq!(status["ready"], json!(true));
    assert_eq!(status["useCases"][0]["rows"], json!(2));
    assert_eq!(status["lists"]["updated"]["sources"][0]["entries"], json!(2));
    assert!(status["useCases"][0]["prefilterTag"].is_string());
    assert!(page.contains(USE_CASE) && page.contains("the first build; 2 keys"), "{page}");
    for line in [
        "pir_rows{usecase=\"com.example.app.url.filtering\"} 2\n",
        "pir_list_entries{list=\"a\"} 2\n",
        "pir_list_old{list=\"a\"} 0\n",
        "pir_certificate_expiry_timestamp_seconds 0\n",
        "pir_build_info{version=",
        "process_resident_memory_bytes ",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));

    // A list that is broken is seen in all of them, and what it holds is no part of the page.
    fs::write(folder.path().join("list.txt"), "<script>alert(1)</script>\n").unwrap();
    running.service.update_lists().await.unwrap();
    let (page, status, metrics) = running.seen().await;
    assert_eq!(status["lists"]["updated"]["sources"][0]["state"], json!("old"));
    assert!(metrics.contains("pir_list_old{list=\"a\"} 1\n"), "{metrics}");
    assert!(page.contains("old copy: ") && !page.contains("<script>"), "{page}");

    fs::write(folder.path().join("lists.toml"), "out = 1").unwrap();
    running.service.update_lists().await.unwrap_err();
    let (page, status, _) = running.seen().await;
    assert!(page.contains("The last update failed: "), "{page}");
    assert!(status["lists"]["error"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_served_and_kept_up_to_date() {
    let folder = folder("bad.example\nworse.example\n");
    let running = Running::start(&folder).await;
    let (status, text) = running.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(text.starts_with("not ready: the lists are fetched and processed"), "{text}");
    assert_eq!(running.get(&format!("/filter/{USE_CASE}")).await.0, 503);

    let updated = running.service.update_lists().await.unwrap();
    assert_eq!(updated.keys, 2);
    assert_eq!(running.get("/readyz").await.0, 200);
    assert_eq!(running.get(&format!("/filter/{USE_CASE}")).await.0, 200);
    assert!(running.has("bad.example").await);
    assert!(!running.has("new.example").await);

    // Queries go on while the lists are updated.
    let stop = Arc::new(AtomicBool::new(false));
    let (client, stopped) = (running.client(), Arc::clone(&stop));
    let queries = tokio::spawn(async move {
        let mut count = 0;
        while !stopped.load(Ordering::Relaxed) {
            assert!(client.lookup(&[b"bad.example"]).await.unwrap()[0].is_some());
            count += 1;
        }
        count
    });
    fs::write(folder.path().join("list.txt"), "bad.example\nworse.example\nnew.example\n").unwrap();
    running.service.update_lists().await.unwrap();
    assert!(running.has("new.example").await);
    stop.store(true, Ordering::Relaxed);
    assert!(queries.await.unwrap() > 0);

    // A list that is broken keeps what it was, and the status says so.
    fs::write(folder.path().join("list.txt"), "").unwrap();
    let updated = running.service.update_lists().await.unwrap();
    assert_eq!(updated.sources[0].state, SourceState::Old);
    let status = running.service.lists_status().unwrap();
    assert!(status.error.is_none());
    assert_eq!(status.updated.unwrap().old_sources().count(), 1);
    assert_eq!(status.last_change.unwrap().keys, 3);
    assert!(running.has("new.example").await);

    // A configuration that is broken, too.
    fs::write(folder.path().join("lists.toml"), "out = 1").unwrap();
    let error = running.service.update_lists().await.unwrap_err();
    assert!(matches!(error, ListsError::Configuration(_)), "{error}");
    assert!(running.service.lists_status().unwrap().error.unwrap().contains("out: "));
    assert!(running.has("new.example").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_serves_at_once_and_repairs_what_was_killed() {
    let folder = folder("bad.example\n");
    let running = Running::start(&folder).await;
    running.service.update_lists().await.unwrap();
    drop(running);
    let copy = tempfile::tempdir().unwrap();
    for name in ["lists.toml", "list.txt"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let status = std::process::Command::new("cp")
        .args(["-r".as_ref(), folder.path().join("state").as_os_str(), copy.path().as_os_str()])
        .status();
    assert!(status.unwrap().success());
    let again = Running::start(&copy).await;
    assert_eq!(again.get("/readyz").await.0, 200);
    assert!(again.has("bad.example").await);
    assert!(again.service.update_lists().await.unwrap().is_unchanged());
    drop(again);

    // As after a kill between the renames of a data set: a shard of another run, and no record of this one.
    let record = copy.path().join("state/state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    state.as_object_mut().unwrap().remove("processed");
    fs::write(&record, state.to_string()).unwrap();
    fs::remove_dir_all(copy.path().join("service")).unwrap();
    fs::write(copy.path().join("state/data/urls-0.bin"), "another").unwrap();
    let killed = Running::start(&copy).await;
    assert_eq!(killed.get("/readyz").await.0, 503);
    killed.service.update_lists().await.unwrap();
    assert_eq!(killed.get("/readyz").await.0, 200);
    assert!(killed.has("bad.example").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_are_given_out_by_their_names() {
    let folder = folder("bad.example\nworse.example\n");
    let path = folder.path().join("lists.toml");
    let text = fs::read_to_string(&path).unwrap();
    let level = "levels = [\"family\"]\n[[source]]\nname = \"b\"\npath = \"b.txt\"\nlevels = [\"essential\"]\n[service]";
    fs::write(&path, text.replace("[service]", level)).unwrap();
    fs::write(folder.path().join("b.txt"), "phish.example\n").unwrap();
    let running = Running::start(&folder).await;
    running.service.update_lists().await.unwrap();
    let tag = async |level: &str| {
        let response =
            reqwest::get(format!("{}/filter/{USE_CASE}{level}", running.url)).await.unwrap();
        let status = response.status().as_u16();
        (status, response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned()))
    };
    let (all, family, essential) = (tag("").await, tag("/family").await, tag("/essential").await);
    assert_eq!([all.0, family.0, essential.0], [200; 3]);
    assert!(all.1 != family.1 && family.1 != essential.1 && all.1 != essential.1);
    assert_eq!(tag("/other").await.0, 404);
    let (page, status, _) = running.seen().await;
    assert_eq!(status["useCases"][0]["levels"], json!(["essential", "family"]));
    assert!(page.contains("essential, family"), "{page}");
}

#[test]
fn a_list_configuration_that_cannot_be_served_is_refused() {
    let folder = folder("bad.example\n");
    let text = json!({ "users": [], "usecases": [{ "name": USE_CASE, "fileStem": "x", "shardCount": 1 }] });
    let configuration = Configuration::parse(text.to_string().as_bytes()).unwrap();
    let lists = || Some(ListSettings::new(folder.path().join("lists.toml")));
    let error = configuration.clone().with_lists(lists()).err().unwrap().to_string();
    assert!(error.contains("a use case of usecases has the name"), "{error}");
    let path = folder.path().join("lists.toml");
    let whole = fs::read_to_string(&path).unwrap();
    for (from, to, expected) in [
        ("use_case", "#", "service.use_case is missing"),
        ("out", "uot", "uot: there is no such key"),
        (
            "[service]\n",
            "[service]\nreload = \"http://x\"\n",
            "service.reload is for other services",
        ),
    ] {
        fs::write(&path, whole.replacen(from, to, 1)).unwrap();
        let error = configuration.clone().with_lists(lists()).err().unwrap().to_string();
        assert!(error.starts_with("lists: ") && error.contains(expected), "{error}");
    }
}

/// What `urlfilter update` does in the folder of a service that runs.
async fn update_beside(folder: &TempDir, accepted: &str) {
    let path = folder.path().join("lists.toml");
    let accepted = accepted.to_owned();
    let run = move || {
        let configuration = list_update::Configuration::read(&path).unwrap();
        list_update::Update::new(&configuration).accept(accepted).run().unwrap()
    };
    assert!(!tokio::task::spawn_blocking(run).await.unwrap().is_unchanged());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_served_is_served_by_the_next_update() {
    let folder = folder("bad.example\n");
    let is_broken = Arc::new(AtomicBool::new(false));
    let running = Running::start_with(&folder, Arc::clone(&is_broken)).await;
    running.service.update_lists().await.unwrap();
    assert!(running.seen().await.2.contains("pir_lists_served 1\n"));

    fs::write(folder.path().join("list.txt"), "bad.example\nnew.example\n").unwrap();
    is_broken.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let error = running.service.update_lists().await.unwrap_err();
        assert!(matches!(error, ListsError::Service(_)), "{error}");
        let (page, status, metrics) = running.seen().await;
        assert!(page.contains("the updated lists cannot be served"), "{page}");
        assert_eq!(status["lists"]["isServed"], json!(false));
        assert!(page.contains("what was made of the lists last is not served"), "{page}");
        assert!(metrics.contains("pir_lists_served 0\n"), "{metrics}");
        assert!(!running.has("new.example").await);
    }
    is_broken.store(false, Ordering::Relaxed);
    assert!(running.service.update_lists().await.unwrap().is_unchanged());
    assert!(running.has("new.example").await);
    let (_, status, metrics) = running.seen().await;
    assert_eq!(status["lists"]["isServed"], json!(true));
    assert!(metrics.contains("pir_lists_served 1\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_run_has_made_is_served() {
    let folder = folder("bad.example\nworse.example\nworst.example\n");
    let running = Running::start(&folder).await;
    running.service.update_lists().await.unwrap();
    fs::write(folder.path().join("list.txt"), "bad.example\n").unwrap();
    let updated = running.service.update_lists().await.unwrap();
    assert_eq!(updated.sources[0].state, SourceState::Old);
    update_beside(&folder, "a").await;
    assert!(running.has("worse.example").await);
    assert!(running.service.update_lists().await.unwrap().is_unchanged());
    assert!(!running.has("worse.example").await && running.has("bad.example").await);

    // Keys that change while their number, and so the parameters of the data set, does not.
    fs::write(folder.path().join("list.txt"), "else.example\n").unwrap();
    update_beside(&folder, "a").await;
    assert!(running.service.update_lists().await.unwrap().is_unchanged());
    assert!(!running.has("bad.example").await && running.has("else.example").await);

    // Levels alone.
    let path = folder.path().join("lists.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[service]", "levels = [\"family\"]\n[service]")).unwrap();
    update_beside(&folder, "a").await;
    let level = format!("/filter/{USE_CASE}/family");
    assert_eq!(running.get(&level).await.0, 404);
    assert!(running.service.update_lists().await.unwrap().is_unchanged());
    assert_eq!(running.get(&level).await.0, 200);
}

/// A run beside the service makes a newer build, and the service's own update fails.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_fails_beside_a_newer_build_says_that_it_is_not_served() {
    let folder = folder("bad.example\n");
    let running = Running::start(&folder).await;
    running.service.update_lists().await.unwrap();
    // The list is gone and its copy, too, so that the update of the service fails.
    let list = folder.path().join("list.txt");
    let break_lists = || {
        fs::remove_file(&list).unwrap();
        fs::remove_dir_all(folder.path().join("state/sources")).unwrap();
    };
    break_lists();
    running.service.update_lists().await.unwrap_err();
    assert_eq!(running.seen().await.1["lists"]["isServed"], json!(true));

    fs::write(&list, "bad.example\nnew.example\n").unwrap();
    update_beside(&folder, "a").await;
    break_lists();
    let error = running.service.update_lists().await.unwrap_err();
    assert!(matches!(error, ListsError::Update(_)), "{error}");
    let (page, status, metrics) = running.seen().await;
    assert_eq!(status["lists"]["isServed"], json!(false));
    assert!(page.contains("what was made of the lists last is not served"), "{page}");
    assert!(metrics.contains("pir_lists_served 0\n"), "{metrics}");
    assert!(!running.has("new.example").await);

    fs::write(&list, "bad.example\nnew.example\n").unwrap();
    running.service.update_lists().await.unwrap();
    assert_eq!(running.seen().await.1["lists"]["isServed"], json!(true));
    assert!(running.has("new.example").await);
}

#[cfg(feature = "lists")]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_published_is_served_here() {
    let folder = folder("bad.example\n");
    let path = folder.path().join("lists.toml");
    let text = fs::read_to_string(&path).unwrap();
    let nodes =
        "publish = \"published\"\nnodes = [\"http://127.0.0.1:1\"]\nnode_timeout_seconds = 1\n";
    fs::write(&path, format!("{text}{nodes}")).unwrap();
    let running = Running::start(&folder).await;
    let error = running.service.update_lists().await.unwrap_err();
    assert!(matches!(error, ListsError::Update(_)), "{error}");
    assert_eq!(running.get("/readyz").await.0, 200);
    assert!(running.has("bad.example").await);
    let (page, status, _) = running.seen().await;
    assert!(page.contains("The last update failed: "), "{page}");
    assert_eq!(status["lists"]["isServed"], json!(true));
}

fn value(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_knows_when_lists_were_updated_last() {
    const UPDATED: &str = "pir_lists_updated_timestamp_seconds";
    let folder = folder("bad.example\nworse.example\n");
    let running = Running::start(&folder).await;
    // Since then they should have been updated.
    let started = value(&running.seen().await.2, UPDATED);
    assert!(started > 0);
    running.service.update_lists().await.unwrap();
    drop(running);
    // Its tasks may still have the files of the store open, which a copy leaves out.
    let copy = tempfile::tempdir().unwrap();
    for name in ["lists.toml", "list.txt", "state"] {
        let from = folder.path().join(name);
        let status = std::process::Command::new("cp").arg("-r").arg(from).arg(copy.path()).status();
        assert!(status.unwrap().success());
    }
    let folder = copy;
    let path = folder.path().join("lists.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n[build]\nmin_keys = 100\n")).unwrap();
    fs::write(folder.path().join("list.txt"), "bad.example\nother.example\n").unwrap();
    let record = folder.path().join("state/state.json");
    let days_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(5 * 86_400);
    fs::File::options().write(true).open(record).unwrap().set_modified(days_ago).unwrap();

    let again = Running::start(&folder).await;
    again.service.update_lists().await.unwrap_err();
    let (page, status, metrics) = again.seen().await;
    assert!(value(&metrics, UPDATED) < started - 4 * 86_400, "{metrics}");
    assert!(metrics.contains("pir_list_entries{list=\"a\"} 2\n"), "{metrics}");
    assert!(page.contains("last one without a failure 5 days ago"), "{page}");
    assert_eq!(status["lists"]["updated"]["keys"], json!(2));
    assert!(again.has("worse.example").await);
}
