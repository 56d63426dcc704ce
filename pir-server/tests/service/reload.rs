//! Reloads: new versions of data sets are served next to earlier ones.

use crate::process::{Process, run};
use crate::support::{self, Case, Running, Settings, USER, message};
use filter_client::{ClientOptions, PirClient};
use pir_api::{Message, api};
use pir_server::{Configuration, Service};
use reqwest::Method;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Installs a case as the next version of the use case that is served.
fn replace(running: &Running, case: &Case) -> Settings {
    let name = running.settings.use_cases[0].name.clone();
    let mut text = case.install(running.folder.path(), "data");
    text.name = name;
    let settings = Settings { use_cases: vec![text], more: running.settings.more.clone() };
    running.write_configuration(&settings);
    settings
}

async fn current_id(running: &Running) -> Vec<u8> {
    let response = running.post("/config", &api::ConfigRequest::default().encode_to_vec()).await;
    let response: api::ConfigResponse = message(response).await;
    response.configs.into_values().next().unwrap().config_id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_versions_are_served() {
    let cases = [
        Case::new("synthetic_small_logt5"),
        Case::new("synthetic_shards3_logt4"),
        Case::new("synthetic_varied_logt6"),
    ];
    let running = Running::of(&cases[0]).await;
    let first = current_id(&running).await;
    running.post("/key", &cases[0].first("/key").request).await;
    let queries = cases[0].first("/queries").request;
    assert_eq!(running.post("/queries", &queries).await.status(), 200);
    // The second version is served next to the first.
    replace(&running, &cases[1]);
    let loaded = running.service.reload().await.unwrap();
    assert_eq!(loaded.use_cases[0].versions, 2);
    assert_ne!(current_id(&running).await, first);
    assert_eq!(running.post("/queries", &queries).await.status(), 200);
    // The third version replaces the first.
    replace(&running, &cases[2]);
    running.service.reload().await.unwrap();
    assert_eq!(running.post("/queries", &queries).await.status(), 410);
    // The same data set again is not another version.
    let loaded = running.service.reload().await.unwrap();
    assert_eq!(loaded.use_cases[0].versions, 2);
    let metrics = running.metrics().await;
    let name = &running.settings.use_cases[0].name;
    assert!(metrics.contains(&format!("pir_versions{{usecase=\"{name}\"}} 2\n")), "{metrics}");
    // versionCount 0 removes the use case.
    let mut settings = running.settings.clone();
    settings.use_cases[0].versions = 0;
    running.write_configuration(&settings);
    running.service.reload().await.unwrap();
    assert_eq!(running.post("/queries", &queries).await.status(), 400);
}

fn write_manifest(stem: &str, shards: u32) {
    support::write_manifest(stem.as_ref(), shards, serde_json::json!({}));
}

/// A data set grew, and the configuration has not changed: with another number of shards, and without any.
#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_says_how_many_shards_there_are() {
    let (small, large) = (Case::new("synthetic_small_logt5"), Case::new("synthetic_shards3_logt4"));
    for configured in [serde_json::json!(1), serde_json::Value::Null] {
        let folder = tempfile::tempdir().unwrap();
        let text = small.install(folder.path(), "data");
        write_manifest(&text.stem, text.shards);
        let mut use_case = serde_json::json!({ "name": text.name, "fileStem": text.stem });
        if !configured.is_null() {
            use_case["shardCount"] = configured.clone();
        }
        let stem = text.stem.clone();
        let settings = Settings::new(vec![text]).with("usecases", serde_json::json!([use_case]));
        let running = Running::start(folder, settings).await;
        assert_eq!(running.service.loaded().use_cases[0].shards, 1);
        assert!(running.service.loaded().warnings.is_empty());

        write_manifest(&stem, large.install(running.folder.path(), "data").shards);
        let loaded = running.service.reload().await.unwrap();
        assert_eq!(loaded.use_cases[0].shards, 3);
        let (folder, settings) = running.stop().await;
        let running = Running::start(folder, settings).await;
        let loaded = running.service.loaded();
        assert_eq!(loaded.use_cases[0].shards, 3);
        let is_told = loaded.warnings.iter().any(|text| text.contains("shardCount is 1, and the"));
        assert_eq!(is_told, !configured.is_null(), "{:?}", loaded.warnings);
    }
}

/// Files that were made elsewhere have no manifest, so the configuration must know all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_number_of_shards_without_a_manifest_is_refused_by_name() {
    let case = Case::new("synthetic_shards3_logt4");
    for (shards, expected) in [
        (serde_json::json!(2), Some("data-2.bin: the file of a further shard")),
        (serde_json::json!(3), None),
        (serde_json::json!(4), Some("data-3.params.txtpb")),
        (serde_json::Value::Null, Some("data: there is no manifest beside the shards")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = case.install(folder.path(), "data");
        let mut use_case = serde_json::json!({ "name": text.name, "fileStem": text.stem });
        if !shards.is_null() {
            use_case["shardCount"] = shards.clone();
        }
        let settings = Settings::new(vec![text]).with("usecases", serde_json::json!([use_case]));
        let text = settings.text(folder.path());
        let configuration = Configuration::parse(text.as_bytes()).unwrap();
        let checked = Service::check(&configuration).await;
        match (checked, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                let mut text = error.to_string();
                assert_eq!(
                    text,
                    format!("use case {}: its data set cannot be served", case.use_case())
                );
                let mut cause = std::error::Error::source(&error);
                while let Some(found) = cause {
                    text.push_str(&format!(": {found}"));
                    cause = found.source();
                }
                assert!(text.contains(expected), "{shards}: {text}");
            }
            (checked, _) => panic!("{shards}: {:?}", checked.map(|checked| checked.loaded).err()),
        }
    }
}

/// The status of queries on a system.
async fn queries_from(running: &Running, agent: &str, queries: &[u8]) -> u16 {
    let token = running.token().await.to_authorization();
    let headers =
        [("authorization", token.as_str()), ("user-identifier", USER), ("user-agent", agent)];
    running.send(Method::POST, "/queries", &headers, queries.to_vec()).await.status().as_u16()
}

/// A system whose configuration may come from a cache, and one that fetches it from the service.
const CACHED: &str = "com.apple.ciphermld/1.0 iOS/27.3 ...";
const DIRECT: &str = "com.apple.ciphermld/1.0 iOS/27.2 ...";

/// Superseded versions are served for `supersededMinutes`, and for two minutes to clients that have the new
/// configuration as soon as they fetch it.
#[tokio::test(flavor = "multi_thread")]
async fn superseded_versions_expire() {
    let cases = [Case::new("synthetic_small_logt5"), Case::new("synthetic_shards3_logt4")];
    let running = Running::of(&cases[0]).await;
    running.post("/key", &cases[0].first("/key").request).await;
    let queries = cases[0].first("/queries").request;
    let mut settings = replace(&running, &cases[1]);
    settings.use_cases[0].superseded = 3;
    running.write_configuration(&settings);
    running.service.reload().await.unwrap();
    for (seconds, cached, direct) in
        [(0, 200, 200), (119, 200, 200), (1, 200, 410), (59, 200, 410), (1, 410, 410)]
    {
        running.clock.advance(Duration::from_secs(seconds));
        running.service.maintain().await.unwrap();
        assert_eq!(queries_from(&running, CACHED, &queries).await, cached, "{seconds}");
        assert_eq!(queries_from(&running, DIRECT, &queries).await, direct, "{seconds}");
        assert_eq!(queries_from(&running, "url-filter-client/0.1.0", &queries).await, direct);
        assert_eq!(queries_from(&running, "unknown", &queries).await, cached);
    }
    let name = &running.settings.use_cases[0].name;
    assert!(running.metrics().await.contains(&format!("pir_versions{{usecase=\"{name}\"}} 1\n")));
    // It may come back, and its time starts again.
    let mut settings = replace(&running, &cases[0]);
    settings.use_cases[0].superseded = 0;
    running.write_configuration(&settings);
    running.service.reload().await.unwrap();
    assert_eq!(running.post("/queries", &queries).await.status(), 200);
    running.service.maintain().await.unwrap();
    assert_eq!(running.service.loaded().use_cases[0].versions, 1);
}

/// Without `versionCount`, versions are served for their time, which is hours by default.
#[tokio::test(flavor = "multi_thread")]
async fn superseded_versions_are_served_for_hours() {
    let cases = [
        Case::new("synthetic_small_logt5"),
        Case::new("synthetic_shards3_logt4"),
        Case::new("synthetic_varied_logt6"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let text = cases[0].install(folder.path(), "data");
    let (name, stem) = (text.name.clone(), text.stem.clone());
    let use_case =
        |shards: u32| serde_json::json!([{ "name": name, "fileStem": stem, "shardCount": shards }]);
    let settings = Settings::new(vec![text]).with("usecases", use_case(1));
    let running = Running::start(folder, settings).await;
    running.post("/key", &cases[0].first("/key").request).await;
    let queries = cases[0].first("/queries").request;
    for case in &cases[1..] {
        let shards = case.install(running.folder.path(), "data").shards;
        running.write_configuration(&Settings::new(Vec::new()).with("usecases", use_case(shards)));
        running.service.reload().await.unwrap();
        running.clock.advance(Duration::from_secs(3600));
    }
    assert_eq!(running.service.loaded().use_cases[0].versions, 3);
    for (seconds, versions, status) in
        [(0, 3, 200), (10 * 3600 - 1, 3, 200), (1, 2, 410), (3599, 2, 410), (1, 1, 410)]
    {
        running.clock.advance(Duration::from_secs(seconds));
        running.service.maintain().await.unwrap();
        assert_eq!(running.service.loaded().use_cases[0].versions, versions, "{seconds}");
        assert_eq!(queries_from(&running, CACHED, &queries).await, status, "{seconds}");
    }
}

/// The oldest versions make room when there is not memory enough; the latest is served in any case.
#[tokio::test(flavor = "multi_thread")]
async fn superseded_versions_take_limited_memory() {
    let cases = [
        Case::new("synthetic_small_logt5"),
        Case::new("synthetic_shards3_logt4"),
        Case::new("synthetic_varied_logt6"),
    ];
    let bytes = cases[0].read("db-0.bin").len() as u64;
    for (limit, versions) in [(0, 2), (bytes - 1, 2), (bytes, 3), (bytes + 1, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let limits = serde_json::json!({ "supersededBytes": limit });
        let mut settings = Settings::new(vec![cases[0].install(folder.path(), "data")]);
        settings.use_cases[0].versions = 9;
        let running = Running::start(folder, settings.with("limits", limits)).await;
        for case in &cases[1..] {
            let mut settings = replace(&running, case);
            settings.use_cases[0].versions = 9;
            running.write_configuration(&settings);
            running.service.reload().await.unwrap();
        }
        assert_eq!(running.service.loaded().use_cases[0].versions, versions, "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_reload_changes_nothing() {
    let case = Case::new("synthetic_shards3_logt4");
    let running = Running::of(&case).await;
    let id = current_id(&running).await;
    let folder = running.folder.path();
    let good = running.settings.clone();
    let refuse = async |what: &str| {
        let response = running.http.post(format!("{}/reload", running.admin)).send().await.unwrap();
        assert_eq!(response.status(), 409, "{what}");
        let text = response.text().await.unwrap();
        assert!(text.contains(what), "{text}");
        assert_eq!(current_id(&running).await, id);
        let status = running.http.get(format!("{}/status", running.admin)).send().await.unwrap();
        let status = status.text().await.unwrap();
        assert!(status.contains("the last reload failed"), "{status}");
    };
    // From a page in a browser, even of the same address.
    let posted = running.http.post(format!("{}/reload", running.admin));
    let response = posted.header("origin", &running.admin).send().await.unwrap();
    assert_eq!(response.status(), 403);
    let config = folder.join("service-config.json");
    fs::write(&config, "{").unwrap();
    refuse("service-config.json").await;
    fs::write(&config, good.text(folder).replace("\"users\"", "\"user\"")).unwrap();
    refuse("user").await;
    fs::remove_file(&config).unwrap();
    refuse("service-config.json").await;
    // A file is missing, cut, not readable, or of another data set.
    let shard = folder.join("data-1.bin");
    let parameters = folder.join("data-1.params.txtpb");
    let (bytes, text) = (fs::read(&shard).unwrap(), fs::read(&parameters).unwrap());
    running.write_configuration(&good);
    fs::remove_file(&shard).unwrap();
    refuse("data-1.bin").await;
    fs::write(&shard, &bytes[..bytes.len() - 1]).unwrap();
    refuse("data-1.bin").await;
    fs::write(&shard, &bytes).unwrap();
    fs::write(&parameters, "nonsense").unwrap();
    refuse("data-1.params.txtpb").await;
    let other = Case::new("synthetic_small_logt5").read("params-0.txtpb");
    fs::write(&parameters, other).unwrap();
    refuse("data-1.params.txtpb").await;
    fs::write(&parameters, &text).unwrap();
    // More shards than exist.
    let mut more = good.clone();
    more.use_cases[0].shards = 4;
    running.write_configuration(&more);
    refuse("data-3").await;
    running.write_configuration(&good);
    running.service.reload().await.unwrap();
    assert!(running.metrics().await.contains("pir_reloads_total{outcome=\"failed\"} 8\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_succeed_during_reloads() {
    let cases = [Case::new("synthetic_small_logt5"), Case::new("synthetic_shards3_logt4")];
    let running = Arc::new(Running::of(&cases[0]).await);
    // Neither data set has this keyword.
    let absent = b"absent0.example/x";
    let done = Arc::new(AtomicBool::new(false));
    let lookups = Arc::new(AtomicUsize::new(0));
    let users: Vec<_> = (0..4)
        .map(|_| {
            let (running, done) = (Arc::clone(&running), Arc::clone(&done));
            let lookups = Arc::clone(&lookups);
            tokio::spawn(async move {
                let client = running.client();
                while !done.load(Ordering::Relaxed) {
                    client.reset_answers();
                    let found = client.lookup(&[absent]).await.unwrap();
                    assert_eq!(found, [None]);
                    lookups.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let progress = async |min: usize| {
        let start = lookups.load(Ordering::Relaxed);
        while lookups.load(Ordering::Relaxed) < start + min {
            tokio::task::yield_now().await;
        }
    };
    for round in 0..8 {
        progress(8).await;
        replace(&running, &cases[(round + 1) % 2]);
        running.service.reload().await.unwrap();
    }
    progress(8).await;
    done.store(true, Ordering::Relaxed);
    for user in users {
        user.await.unwrap();
    }
    let metrics = running.metrics().await;
    for status in [500, 503] {
        assert!(!metrics.contains(&format!("status=\"{status}\"")), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reload_and_drain() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    let process = Process::start(folder.path(), &settings, &["--log-format", "json"]);
    let client = PirClient::builder(&process.url, case.use_case()).user_token("AAAA");
    let client = client.build().unwrap();
    client.prepare().await.unwrap();
    let mut other = Case::new("synthetic_ios26_fixed4_logt5").install(folder.path(), "data");
    other.name = case.use_case();
    let path = folder.path().join("service-config.json");
    fs::write(path, Settings::new(vec![other]).text(folder.path())).unwrap();
    process.signal("-HUP");
    let http = reqwest::Client::new();
    let metrics = async || {
        let response = http.get(format!("{}/metrics", process.admin)).send().await.unwrap();
        response.text().await.unwrap()
    };
    while !metrics().await.contains("pir_reloads_total{outcome=\"done\"} 2\n") {
        tokio::task::yield_now().await;
    }
    client.refresh().await.unwrap();
    assert_eq!(client.lookup(&[b"absent0.example/x"]).await.unwrap(), [None]);
    for (path, text) in [("healthz", "ok\n"), ("readyz", "ready\n")] {
        for base in [&process.url, &process.admin] {
            let response = http.get(format!("{base}/{path}")).send().await.unwrap();
            assert_eq!(response.text().await.unwrap(), text);
        }
    }
    let (status, log) = process.terminate();
    assert!(status.success());
    let messages: Vec<String> = log
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["message"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        messages,
        ["reloaded", "stopping: requests that have begun are finished", "stopped"]
    );
}

#[test]
fn a_check_tells_what_is_probably_not_meant() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let users = serde_json::json!([
        { "tier": "tier1", "tokens": ["AAAA", "eyJh.eyJz.c2ln"] },
        { "tier": "tier2", "tokens": ["AAAA", "Bearer BBBB"] },
    ]);
    let mut settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("users", users)
        .with("issuerRequestUri", serde_json::json!("https://issuer.example/issue"));
    let path = folder.path().join("service-config.json");
    let check = |settings: &Settings, more: &[&str]| {
        fs::write(&path, settings.text(folder.path())).unwrap();
        run(&[&["--config", path.to_str().unwrap(), "--check-config"], more].concat())
    };
    let (code, out, told) = check(&settings, &[]);
    assert_eq!(code, 0, "{told}");
    assert!(out.ends_with("the configuration is good\n"), "{out}");
    for sentence in [
        "users[0].tokens[1]: it is not standard base64",
        "users[1].tokens[0]: users[0].tokens[0] is the same token, with tier1; the last one counts, tier2",
        "users[1].tokens[1]: it has white space",
        "issuerRequestUri: devices send token requests to issuer.example;",
    ] {
        assert!(told.contains(&format!("pir-server: {sentence}")), "{sentence}: {told}");
    }
    assert_eq!(told.lines().count(), 4, "{told}");
    assert!(!told.contains("AAAA") && !told.contains("BBBB"), "{told}");
    // Addresses that are there twice, from the file and from arguments.
    let twice = "127.0.0.1:8080 is there twice, in listen or as admin";
    let (code, _, error) = check(&settings, &["--admin", "127.0.0.1:8080"]);
    assert!(code == 2 && error.contains(twice), "{code} {error}");
    settings = settings
        .with("listen", serde_json::json!(["127.0.0.1:8081", "127.0.0.1:8080"]))
        .with("admin", serde_json::json!("127.0.0.1:8080"));
    let (code, _, error) = check(&settings, &[]);
    assert!(code == 2 && error.contains(twice), "{code} {error}");
    let (code, _, error) = check(&settings, &["--admin", "127.0.0.1:8082"]);
    assert_eq!(code, 0, "{error}");
}

#[test]
fn that_nobody_is_admitted_is_told_by_a_check_and_at_the_start() {
    const SENTENCE: &str = "there is no user token, neither in users nor in userTokens.file";
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let of_users =
        |users| Settings::new(vec![case.install(folder.path(), "data")]).with("users", users);
    for (users, is_told) in
        [(serde_json::json!([]), true), (serde_json::json!([{ "tokens": ["AAAA"] }]), false)]
    {
        let (_, log) = Process::start(folder.path(), &of_users(users), &[]).terminate();
        assert_eq!(log.contains(SENTENCE), is_told, "{log}");
        let path = folder.path().join("service-config.json");
        let (code, out, told) = run(&["--config", path.to_str().unwrap(), "--check-config"]);
        assert!(code == 0 && out.ends_with("the configuration is good\n"), "{code} {out}");
        assert_eq!(told.contains(&format!("pir-server: {SENTENCE}")), is_told, "{told}");
    }
}

#[test]
fn configurations_are_checked_before_they_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_ios26_fixed4_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    let path = folder.path().join("service-config.json");
    fs::write(&path, settings.text(folder.path())).unwrap();
    let path = path.to_str().unwrap();
    let (code, out, error) = run(&["--config", path, "--check-config"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.contains(": 4 shards") && out.ends_with("the configuration is good\n"), "{out}");
    assert!(!folder.path().join("state").exists(), "checking changes nothing");
    fs::remove_file(folder.path().join("data-2.bin")).unwrap();
    let (code, _, error) = run(&["--config", path, "--check-config"]);
    assert_eq!(code, 2);
    assert!(error.contains("data-2.bin"), "{error}");
    let (code, _, error) = run(&["--config", path]);
    assert_eq!(code, 2);
    assert!(error.contains("data-2.bin"), "{error}");
    let (code, _, error) = run(&["--config", "/no/such/file"]);
    assert_eq!(code, 2);
    assert!(error.contains("/no/such/file"), "{error}");
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, 0);
    assert!(out.contains("Examples:") && out.contains("Exit codes:"));
}

/// After SIGTERM, requests that have started are answered and no others are accepted.
#[tokio::test(flavor = "multi_thread")]
async fn started_requests_are_answered_after_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    let process = Process::start(folder.path(), &settings, &[]);
    // No tokens are fetched in the background: the queue has only queries.
    let mut options = ClientOptions::default();
    options.batch_size = 120;
    options.wallet.refill_count = 0;
    options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
    let client = PirClient::builder(&process.url, case.use_case()).user_token("AAAA");
    let client = client.options(options).build().unwrap();
    client.prepare().await.unwrap();
    let asking = tokio::spawn(async move {
        let keywords: Vec<String> = (0..120).map(|n| format!("absent{n}.example")).collect();
        let keywords: Vec<&[u8]> = keywords.iter().map(|text| text.as_bytes()).collect();
        client.lookup(&keywords).await
    });
    let http = reqwest::Client::new();
    let busy = async || {
        let response = http.get(format!("{}/metrics", process.admin)).send().await.unwrap();
        !response.text().await.unwrap().contains("pir_queue_depth 0\n")
    };
    while !busy().await {
        assert!(!asking.is_finished());
        tokio::task::yield_now().await;
    }
    process.signal("-TERM");
    let url = process.url.clone();
    // Blocks until the process has ended.
    let (status, _) = tokio::task::spawn_blocking(move || process.terminate()).await.unwrap();
    assert!(status.success());
    assert_eq!(asking.await.unwrap().unwrap(), vec![None; 120]);
    assert!(http.get(format!("{url}/healthz")).send().await.is_err());
}

#[test]
fn a_name_as_an_address_to_listen_on_is_explained() {
    for (flag, value) in
        [("--listen", "localhost:8080"), ("--listen", ":8080"), ("--admin", "9090")]
    {
        let (code, _, error) = run(&["--config", "service.json", flag, value]);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains("expected an IP address and a port"), "{error}");
    }
}
