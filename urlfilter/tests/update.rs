//! `urlfilter update`: from lists over HTTP to verdicts, and again when they change.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use command::{command, stderr, urlfilter as run};
use pir_server::{Configuration, Listener, Service, admin, endpoints};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const USE_CASE: &str = "com.example.app.url.filtering";

/// What a web server answers: a status and a list.
type Answer = Arc<Mutex<(u16, String)>>;

/// A web server with one list. Returns its address, and what it answers from now on.
fn list_server() -> (String, Answer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/list.txt", listener.local_addr().unwrap());
    let answer = Answer::new(Mutex::new((200, String::new())));
    let shared = Arc::clone(&answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let (status, list) = shared.lock().unwrap().clone();
            let length = list.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{list}"
            );
        }
    });
    (url, answer)
}

#[track_caller]
fn update(folder: &TempDir, code: i32) -> (Value, String) {
    let output = run(folder.path(), &["update", "lists.toml", "--allow-private", "--json"]);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), stderr(&output))
}

/// A service of the files of an update. Returns the addresses for devices and operators.
fn serve(runtime: &Runtime, folder: &Path) -> (String, String) {
    let use_case = json!({ "name": USE_CASE, "fileStem": folder.join("state/data/urls"),
        "filter": folder.join("state/build") });
    let (_, devices, operators) = serve_one(runtime, folder, &use_case);
    (devices, operators)
}

/// A service of a use case, with its addresses for devices and operators.
fn serve_one(runtime: &Runtime, folder: &Path, use_case: &Value) -> (Arc<Service>, String, String) {
    let configuration = json!({
        "users": [{ "tier": "tier1", "tokens": ["AAAA"] }],
        "usecases": [use_case],
        "publications": { "directory": folder.join("replica"), "pollSeconds": 1 },
        "store": { "directory": folder.join("service") },
    });
    let configuration = Configuration::parse(configuration.to_string().as_bytes()).unwrap();
    let opened = runtime.block_on(Service::open(&configuration, Arc::new(unix_clock::SystemClock)));
    let source = Arc::new(move || Ok(configuration.clone()));
    let service = Arc::new(opened.unwrap().with_source(source));
    let any = ["127.0.0.1:0".parse().unwrap()];
    let start = |router| {
        let listener = runtime.block_on(Listener::bind(&any, router)).unwrap();
        let url = format!("http://{}", listener.addresses().unwrap()[0]);
        let service = Arc::clone(&service);
        runtime.spawn(async move { listener.serve(&service, std::future::pending()).await });
        url
    };
    let (devices, operators) = (start(endpoints::router(&service)), start(admin::router(&service)));
    (service, devices, operators)
}

fn verdict(folder: &Path, url: &str, asked: &str) -> String {
    let output = run(
        folder,
        &[
            "query",
            "--server",
            url,
            "--usecase",
            USE_CASE,
            "--token",
            "AAAA",
            "--filter",
            "state/build",
            "--min-rows-per-shard",
            "0",
            "--json",
            asked,
        ],
    );
    let line: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{}", stderr(&output));
    });
    line["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn lists_by_address_become_verdicts_and_follow_their_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (list, answer) = list_server();
    answer.lock().unwrap().1 = "bad.example\nworse.example/login\n".to_owned();
    let lists = |service: &str| {
        let text = format!(
            "out = \"state\"\n[build]\nfpr = 1e-9\n[[source]]\nname = \"a\"\nurl = \"{list}\"\n{service}"
        );
        fs::write(path.join("lists.toml"), text).unwrap();
    };
    lists("");
    let (first, _) = update(&folder, 0);
    assert_eq!((&first["keys"], &first["sources"][0]["state"]), (&json!(2), &json!("changed")));
    let runtime = Runtime::new().unwrap();
    let (devices, operators) = serve(&runtime, path);
    assert_eq!(verdict(path, &devices, "https://bad.example/"), "deny");
    assert_eq!(verdict(path, &devices, "https://new.example/"), "allow");

    // From now on the service is told.
    lists(&format!("[service]\nuse_case = \"{USE_CASE}\"\nreload = \"{operators}\"\n"));
    answer.lock().unwrap().1 = "bad.example\nnew.example\n".to_owned();
    let (second, _) = update(&folder, 0);
    assert_eq!((&second["keysIn"], &second["keysOut"]), (&json!(1), &json!(1)));
    assert_eq!(second["delivered"]["to"], json!(operators));
    assert_eq!(verdict(path, &devices, "https://new.example/"), "deny");
    assert_eq!(verdict(path, &devices, "https://worse.example/login"), "allow");

    let (third, _) = update(&folder, 0);
    assert_eq!((&third["built"], third.get("delivered")), (&json!(false), None));
    let told = run(path, &["update", "lists.toml", "--allow-private"]);
    assert!(stderr(&told).contains("nothing to do: 2 keys"), "{}", stderr(&told));

    // A list that is away, and one that is not there at all.
    answer.lock().unwrap().0 = 500;
    let (old, text) = update(&folder, 1);
    assert_eq!(old["sources"][0]["state"], json!("old"));
    assert!(
        text.contains("a: an old copy is used (2 entries): the answer has the status 500"),
        "{text}"
    );
    assert_eq!(verdict(path, &devices, "https://new.example/"), "deny");
    fs::remove_dir_all(path.join("state")).unwrap();
    let (_, text) = update(&folder, 2);
    assert!(
        text.contains("nothing was done; there is no copy that can be used of a: the answer has the status 500"),
        "{text}"
    );
}

#[test]
fn a_service_of_other_files_is_not_believed() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (list, answer) = list_server();
    answer.lock().unwrap().1 = "bad.example\n".to_owned();
    let lists = |folder: &TempDir, service: &str| {
        let text =
            format!("out = \"state\"\n[[source]]\nname = \"a\"\nurl = \"{list}\"\n{service}");
        fs::write(folder.path().join("lists.toml"), text).unwrap();
    };
    lists(&other, "");
    update(&other, 0);
    let runtime = Runtime::new().unwrap();
    let (_, operators) = serve(&runtime, other.path());
    // As many shards and rows, and another host.
    answer.lock().unwrap().1 = "worse.example\n".to_owned();
    lists(&folder, &format!("[service]\nuse_case = \"{USE_CASE}\"\nreload = \"{operators}\"\n"));
    for _ in 0..2 {
        let (_, text) = update(&folder, 2);
        assert!(text.contains("its fileStem names other files"), "{text}");
    }
}

#[test]
fn the_key_that_signs_may_be_in_a_variable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("a.txt"), "bad.example\n").unwrap();
    let text = format!(
        "out = \"state\"\n[[source]]\nname = \"a\"\npath = \"a.txt\"\n[service]\nuse_case = \"{USE_CASE}\"\npublish = \"p\"\n"
    );
    fs::write(path.join("lists.toml"), text).unwrap();
    let made = run(path, &["signing-key", "a.key"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let with = |key: &str| {
        let mut command = command(path);
        command.args(["update", "lists.toml"]).env("URLFILTER_SIGNING_KEY", key).output().unwrap()
    };
    let wrong = with("no key");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("URLFILTER_SIGNING_KEY: cannot sign with it"));
    assert!(!path.join("state/build").exists());
    let signed = with(&fs::read_to_string(path.join("a.key")).unwrap());
    assert!(signed.status.success(), "{}", stderr(&signed));
    let current = fs::read_to_string(path.join("p/current.json")).unwrap();
    assert!(current.contains("signature"), "{current}");
}

/// The prefilter as an app fetches it: status, tag and content.
fn prefilter(
    runtime: &Runtime,
    devices: &str,
    use_case: &str,
    known: &str,
) -> (u16, String, Vec<u8>) {
    runtime.block_on(async {
        let request = reqwest::Client::new().get(format!("{devices}/filter/{use_case}"));
        let response = request.header("If-None-Match", known).send().await.unwrap();
        let tag = response.headers().get("etag").map_or("", |tag| tag.to_str().unwrap()).to_owned();
        (response.status().as_u16(), tag, response.bytes().await.unwrap().to_vec())
    })
}

#[test]
fn the_service_gives_the_prefilter_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (list, answer) = list_server();
    answer.lock().unwrap().1 = "bad.example\n".to_owned();
    let runtime = Runtime::new().unwrap();
    let text = format!("out = \"state\"\n[[source]]\nname = \"a\"\nurl = \"{list}\"\n");
    fs::write(path.join("lists.toml"), &text).unwrap();
    let (first, _) = update(&folder, 0);
    let (devices, operators) = serve(&runtime, path);
    let (status, tag, content) = prefilter(&runtime, &devices, USE_CASE, "");
    assert_eq!((status, tag.as_str()), (200, format!("{}", first["tag"]).as_str()));
    assert_eq!(content, fs::read(path.join("state/build/bloom_filter.plist")).unwrap());
    let again = prefilter(&runtime, &devices, USE_CASE, &tag);
    assert_eq!((again.0, again.2.len()), (304, 0));
    assert_eq!(prefilter(&runtime, &devices, "other", "").0, 404);

    // With the next data set there is the next prefilter.
    let service = format!("[service]\nuse_case = \"{USE_CASE}\"\nreload = \"{operators}\"\n");
    fs::write(path.join("lists.toml"), text + &service).unwrap();
    answer.lock().unwrap().1 = "bad.example\nnew.example\n".to_owned();
    let (second, _) = update(&folder, 0);
    let (status, next, _) = prefilter(&runtime, &devices, USE_CASE, &tag);
    assert_eq!((status, next.as_str()), (200, format!("{}", second["tag"]).as_str()));

    // A prefilter of another build is refused, and the one that belongs to the data set stays.
    fs::write(path.join("other.txt"), "other.example\n").unwrap();
    let other = run(path, &["build", "other.txt", "--out", "state/build"]);
    assert_eq!(other.status.code(), Some(0), "{}", stderr(&other));
    let reloaded = runtime.block_on(async {
        let response =
            reqwest::Client::new().post(format!("{operators}/reload")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    });
    assert_eq!(reloaded.0, 409);
    assert!(reloaded.1.contains("prefilter does not belong to the data set"), "{}", reloaded.1);
    assert_eq!(prefilter(&runtime, &devices, USE_CASE, "").1, next);
}

#[test]
fn a_service_that_serves_something_else_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let (operators, says) = list_server();
    let operators = operators.strip_suffix("/list.txt").unwrap();
    let text = format!(
        "out = \"state\"\n[[source]]\nname = \"a\"\npath = \"a.txt\"\n[service]\nuse_case = \"{USE_CASE}\"\n"
    );
    fs::write(folder.path().join("a.txt"), "bad.example\n").unwrap();
    fs::write(folder.path().join("lists.toml"), &text).unwrap();
    let (built, _) = update(&folder, 0);
    let manifest = fs::read(folder.path().join("state/data/urls-manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let serve = |rows: u64| {
        let served = json!({ "name": USE_CASE, "shards": built["shardCount"], "configId": built["configId"], "rows": rows,
            "keywordsSha256": manifest["keywordsSha256"], "prefilterTag": built["tag"] });
        // Apple's files have no digest of their keywords.
        let other = json!({ "name": "other", "shards": 1, "keywordsSha256": null });
        says.lock().unwrap().1 = json!({ "useCases": [other, served] }).to_string();
    };
    serve(1);
    fs::write(folder.path().join("lists.toml"), format!("{text}reload = \"{operators}\"\n"))
        .unwrap();
    let (told, _) = update(&folder, 0);
    assert_eq!(told["delivered"]["to"], operators);
    let (again, _) = update(&folder, 0);
    assert_eq!((&again["delivered"], &again["warnings"]), (&Value::Null, &Value::Null));

    // It was started with the data set of before: it is told, and this one goes on with the old one.
    serve(2);
    let (failed, said) = update(&folder, 2);
    assert!(said.contains("it has 2 rows there, and 1 here"), "{said}");
    // Scripts that read the JSON get the reason there.
    let reason = failed["error"].as_str().unwrap();
    assert!(said.contains(reason) && failed.as_object().unwrap().len() == 1, "{failed} {said}");
    // Earlier versions do not say what they serve.
    says.lock().unwrap().0 = 404;
    let (unknown, _) = update(&folder, 2);
    assert!(unknown["error"].as_str().unwrap().contains("status 404"), "{unknown}");
    says.lock().unwrap().0 = 200;
    serve(1);
    let (told, _) = update(&folder, 0);
    assert_eq!(told["delivered"]["to"], operators);
    says.lock().unwrap().0 = 404;
    assert_eq!(update(&folder, 0).0["warnings"], Value::Null);
    // A service that is away is no failure: it reads the data set when it starts.
    says.lock().unwrap().0 = 0;
    let (away, _) = update(&folder, 1);
    assert!(
        away["warnings"][0].as_str().unwrap().contains("cannot be asked what it serves"),
        "{away}"
    );
}

#[test]
fn a_run_that_is_killed_at_any_moment_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let (list, answer) = list_server();
    let text = format!("out = \"state\"\n[[source]]\nname = \"a\"\nurl = \"{list}\"\n");
    fs::write(folder.path().join("lists.toml"), text).unwrap();
    let whole = std::time::Instant::now();
    answer.lock().unwrap().1 = (0..2000).map(|i| format!("host{i}.example\n")).collect();
    update(&folder, 0);
    let whole = whole.elapsed();
    for part in 1..=8_u32 {
        let rows = 2000 + u64::from(part);
        answer.lock().unwrap().1 = (0..rows).map(|i| format!("host{i}.example\n")).collect();
        let mut command = command(folder.path());
        command.args(["update", "lists.toml", "--allow-private"]);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        // Any moment will do; which one it is depends on the machine.
        thread::sleep(whole * part / 8);
        child.kill().unwrap();
        child.wait().unwrap();
        let (updated, _) = update(&folder, 0);
        assert_eq!((&updated["keys"], &updated["rows"]), (&json!(rows), &json!(rows)));
        let (again, _) = update(&folder, 0);
        assert_eq!((&again["built"], &again["processed"]), (&json!(false), &json!(false)));
        let output = run(folder.path(), &["check", "state/build", "https://host7.example/"]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    }
}

/// What `urlfilter` prints as JSON with an exit code.
#[track_caller]
fn json_of(folder: &Path, code: i32, arguments: &[&str]) -> Value {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[test]
fn levels_are_published_and_chosen_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let key = run(path, &["signing-key", "publication.key"]);
    let key = String::from_utf8(key.stdout).unwrap().trim().to_owned();
    fs::write(path.join("games.txt"), "games.example\n").unwrap();
    fs::write(path.join("phish.txt"), "phish.example\n").unwrap();
    let text = format!(
        "out = \"state\"\n[build]\nfpr = 1e-6\nonboarding_entry = true\n\
         [[source]]\nname = \"games\"\npath = \"games.txt\"\nlevels = [\"family\"]\n\
         [[source]]\nname = \"phish\"\npath = \"phish.txt\"\nlevels = [\"family\", \"essential\"]\n\
         [service]\nuse_case = \"{USE_CASE}\"\npublish = \"releases\"\nsign = \"publication.key\"\n\
         lead_seconds = 0\nfilter_delay_seconds = 0\n"
    );
    fs::write(path.join("lists.toml"), &text).unwrap();
    let (updated, _) = update(&folder, 0);
    assert_eq!(updated["levels"][0]["name"], "essential");
    assert_eq!(updated["levels"][1]["keys"], 3);
    // 20 of a million loads are of listed URLs, and one of a million of these hits by chance.
    let rate = updated["levels"][1]["blockedByChance"].as_f64().unwrap();
    assert!((rate - 2e-11).abs() < 1e-15, "{rate}");

    let runtime = Runtime::new().unwrap();
    let published = json!({ "name": USE_CASE, "published": path.join("releases") });
    let (service, devices, operators) = serve_one(&runtime, path, &published);
    runtime.block_on(service.poll_publications()).unwrap();
    for level in ["family", "essential"] {
        let (status, _, content) =
            prefilter(&runtime, &devices, &format!("{USE_CASE}/{level}"), "");
        let built = fs::read(path.join(format!("state/levels/{level}/bloom_filter.plist")));
        assert_eq!((status, content), (200, built.unwrap()), "{level}");
    }
    assert_eq!(prefilter(&runtime, &devices, USE_CASE, "").0, 200);
    assert_eq!(prefilter(&runtime, &devices, &format!("{USE_CASE}/other"), "").0, 404);
    let status = runtime.block_on(async {
        reqwest::get(format!("{operators}/status")).await.unwrap().text().await.unwrap()
    });
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["useCases"][0]["levels"], json!(["essential", "family"]));

    // A client takes the prefilter of its level: from the service, or signed from the publication.
    let query = |more: &[&str], url: &str| {
        let first = ["query", "--server", &devices, "--usecase", USE_CASE, "--token", "AAAA"];
        let last = ["--min-rows-per-shard", "0", "--json", url];
        run(path, &[&first, more, &last].concat())
    };
    let verdict = |more: &[&str], url: &str| {
        let output = query(more, url);
        let line: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", stderr(&output)));
        line["verdict"].as_str().unwrap().to_owned()
    };
    let signed = |level: &str| format!("releases/filter/level-{level}.json");
    for (level, url, expected) in [
        ("family", "https://games.example/", "deny"),
        ("family", "https://phish.example/", "deny"),
        ("essential", "https://games.example/", "allow"),
        ("essential", "https://phish.example/", "deny"),
    ] {
        assert_eq!(verdict(&["--level", level], url), expected, "{level} {url}");
        let file = signed(level);
        let more = ["--filter", &file, "--public-key", &key, "--level", level];
        assert_eq!(verdict(&more, url), expected, "{level} {url}");
    }
    for (file, level) in
        [(signed("essential"), "family"), ("releases/filter/bloom.json".to_owned(), "family")]
    {
        let more = ["--filter", &file, "--public-key", &key, "--level", level];
        let output = query(&more, "https://games.example/");
        assert!(stderr(&output).contains("the prefilter is signed for"), "{}", stderr(&output));
    }

    // The doctor looks at each.
    let doctor = |code: i32, more: &[&str]| {
        let first = ["doctor", "--server", &devices, "--token", "AAAA"];
        let last = ["--bundle-id", "com.example.app", "--development", "--json"];
        let report = json_of(path, code, &[&first, more, &last].concat());
        let findings = report["findings"].as_array().unwrap().clone();
        let levels = findings.iter().filter(|finding| finding["check"] == "level");
        levels.map(|finding| finding["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(doctor(0, &["--levels", "state/levels", "--level", "family"]), ["good", "good"]);
    assert_eq!(doctor(1, &["--level", "other", "--level", "family"]), ["good", "bad"]);

    // By the other command: the same files are the same release.
    let publish = |levels: &str| {
        let first =
            ["publish", "--to", "releases", "--usecase", USE_CASE, "--sign", "publication.key"];
        let data = ["--data", "state/data/urls", "--filter", "state/build", "--levels", levels];
        run(path, &[&first[..], &data, &["--lead", "0", "--filter-delay", "0", "--json"]].concat())
    };
    let again: Value = serde_json::from_slice(&publish("state/levels").stdout).unwrap();
    assert_eq!(again["unchanged"], true);
    assert_eq!(again["release"], updated["delivered"]["release"]);
    assert_eq!(again["levels"][1]["name"], "family");
    assert_eq!(again["levels"][1]["blockedByChance"], updated["levels"][1]["blockedByChance"]);
    // Levels of another build are refused, and those under which too much would be blocked that they do not list.
    fs::write(path.join("few.txt"), "games.example\n").unwrap();
    let tag = updated["tag"].as_str().unwrap();
    for (folder, fpr, of, expected) in [
        ("other", "0.001", "0".repeat(64), "a level of another build than the prefilter"),
        ("often", "0.0101", tag.to_owned(), "its rate of false positives must be at most 0.01"),
        ("Names", "0.001", tag.to_owned(), "not the name of a level"),
    ] {
        let level = if folder == "Names" { "Family" } else { "family" };
        let out = format!("{folder}/{level}");
        let built = json_of(path, 0, &["build", "few.txt", "--out", &out, "--fpr", fpr, "--json"]);
        let about = json!({ "of": of, "keys": 1, "tag": built["tag"] });
        fs::write(path.join(&out).join("level.json"), about.to_string()).unwrap();
        let refused = publish(folder);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains(expected), "{}", stderr(&refused));
    }

    // A level that is no more is given out no more.
    fs::write(path.join("lists.toml"), text.replace(", \"essential\"", "")).unwrap();
    update(&folder, 0);
    runtime.block_on(async {
        // Prepared, and activated; then its prefilters are there.
        for _ in 0..2 {
            service.poll_publications().await.unwrap();
        }
    });
    assert_eq!(prefilter(&runtime, &devices, &format!("{USE_CASE}/essential"), "").0, 404);
    assert_eq!(prefilter(&runtime, &devices, &format!("{USE_CASE}/family"), "").0, 200);
    assert!(!path.join(signed("essential")).exists() && path.join(signed("family")).exists());
}
