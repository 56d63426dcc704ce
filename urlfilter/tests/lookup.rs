//! `urlfilter query` and `urlfilter demo`: lookups against a service on a free port.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use command::{command, stderr, stdout, succeeds, urlfilter as run};
use pir_server::{Configuration, Listener, Service, endpoints};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[cfg(feature = "tls")]
#[path = "lookup/authority.rs"]
mod authority;
#[cfg(unix)]
#[path = "lookup/killed.rs"]
mod killed;

const USE_CASE: &str = "com.example.app.url.filtering";

/// A list, built, processed and served.
struct Served {
    folder: TempDir,
    url: String,
    _runtime: Runtime,
}

fn serve(lines: &str, more: Value, arguments: Value) -> Served {
    serve_in(tempfile::tempdir().unwrap(), lines, more, arguments, json!({}))
}

/// As `serve`, in a folder with the files that `service` names: keys of the service's configuration.
fn serve_in(folder: TempDir, lines: &str, more: Value, arguments: Value, service: Value) -> Served {
    let path = folder.path();
    fs::write(path.join("list.txt"), lines).unwrap();
    // With this tolerance no URL of the tests hits by chance.
    succeeds(&run(path, &["build", "list.txt", "--out", "dist", "--fpr", "1e-9"]));
    let mut process = json!({
        "rlweParameters": "n_4096_logq_27_28_28_logt_5",
        "inputDatabase": "dist/input.txtpb",
        "outputDatabase": "dist/urls-SHARD_ID.bin",
        "outputPirParameters": "dist/urls-SHARD_ID.params.txtpb",
        "sharding": { "shardCount": 2 },
    });
    for (key, value) in more.as_object().unwrap() {
        process[key] = value.clone();
    }
    fs::write(path.join("process.json"), process.to_string()).unwrap();
    succeeds(&run(path, &["process", "process.json"]));
    let mut use_case = json!({
        "name": USE_CASE, "fileStem": path.join("dist/urls"), "shardCount": 2,
    });
    for (key, value) in arguments.as_object().unwrap() {
        use_case[key] = value.clone();
    }
    let mut configuration = json!({
        "users": [{ "tier": "tier1", "tokens": ["AAAA"] }],
        "usecases": [use_case],
        "store": { "directory": path.join("state") },
    });
    for (key, value) in service.as_object().unwrap() {
        configuration[key] = value.clone();
    }
    let configuration = Configuration::parse(configuration.to_string().as_bytes()).unwrap();
    let runtime = Runtime::new().unwrap();
    let opened = runtime.block_on(Service::open(&configuration, Arc::new(unix_clock::SystemClock)));
    let service = Arc::new(opened.unwrap());
    let any = ["127.0.0.1:0".parse().unwrap()];
    let listener = runtime.block_on(Listener::bind(&any, endpoints::router(&service))).unwrap();
    let tls = service.tls().unwrap();
    let address = listener.addresses().unwrap()[0];
    let url = match tls {
        Some(_) => format!("https://localhost:{}", address.port()),
        None => format!("http://{address}"),
    };
    let listener = listener.with_tls(tls);
    runtime.spawn(async move { listener.serve(&service, std::future::pending()).await });
    Served { folder, url, _runtime: runtime }
}

impl Served {
    fn query(&self, arguments: &[&str]) -> Output {
        // The lists of these tests are short.
        self.query_as_by_default(&[&["--min-rows-per-shard", "0"], arguments].concat())
    }

    fn query_as_by_default(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["query", "--server", &self.url, "--usecase", USE_CASE];
        all.extend(arguments);
        run(self.folder.path(), &all)
    }
}

fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn urls_get_verdicts() {
    let served = serve("https://www.phish.example/login\nbad.example\n", json!({}), json!({}));
    let urls = [
        "https://www.phish.example/login?session=1",
        "https://good.example/",
        "deep.bad.example/x",
    ];
    let mut arguments = vec!["--token", "AAAA", "--filter", "dist", "--json"];
    arguments.extend(urls);
    let output = served.query(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let expected = [
        json!({ "url": urls[0], "verdict": "deny", "matched": "phish.example/login",
            "blocked": true, "basis": "service", "hits": 1 }),
        json!({ "url": urls[1], "verdict": "allow", "blocked": false, "basis": "prefilter",
            "hits": 0 }),
        json!({ "url": urls[2], "verdict": "deny", "matched": "bad.example", "blocked": true,
            "basis": "service", "hits": 1 }),
    ];
    assert_eq!(lines(&output), expected);
    // For people, without a prefilter, with costs.
    let output = served.query(&["--token", "AAAA", "-v", "phish.example/login", "good.example"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("deny     phish.example/login\n         by phish.example/login\n"),
        "{text}"
    );
    assert!(text.contains("allow    good.example\n"), "{text}");
    assert!(stderr(&output).contains("keywords in"), "{}", stderr(&output));
    // No URL is denied.
    let output = served.query(&["--token", "AAAA", "--filter", "dist", "good.example"]);
    succeeds(&output);
}

/// Somebody replaced the client's evaluation key at the service; here its secret key is replaced.
#[test]
fn replies_that_cannot_be_read_make_verdicts_unknown() {
    let served = serve("bad.example\n", json!({}), json!({}));
    let state = |name: &str| served.folder.path().join(name);
    let read = |name| -> Value { serde_json::from_slice(&fs::read(state(name)).unwrap()).unwrap() };
    for name in ["one.state", "other.state"] {
        let output = served.query(&["--token", "AAAA", "--state", name, "bad.example"]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    }
    let mut changed = read("one.state");
    changed["secretKeys"][0]["key"] = read("other.state")["secretKeys"][0]["key"].take();
    fs::write(state("one.state"), changed.to_string()).unwrap();
    let common = ["--token", "AAAA", "--state", "one.state", "bad.example"];
    for more in [&[][..], &["--filter", "dist"]] {
        for (mode, blocked) in [("open", false), ("closed", true)] {
            let output =
                served.query(&[&common[..], &["--json", "--on-failure", mode], more].concat());
            assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
            let line = lines(&output).remove(0);
            assert_eq!((&line["verdict"], &line["blocked"]), (&json!("unknown"), &json!(blocked)));
            assert!(line["error"].as_str().unwrap().contains("cannot be decrypted"), "{line}");
        }
    }
}

/// An issuer that shows this user a key of its own differs from its mirror.
#[test]
fn the_directory_of_the_issuer_is_compared_with_its_mirror() {
    let (served, other) = (
        serve("bad.example\n", json!({}), json!({})),
        serve("bad.example\n", json!({}), json!({})),
    );
    for (mirror, code) in [(&served, 1), (&other, 2)] {
        let mirror = format!("{}/.well-known/private-token-issuer-directory", mirror.url);
        let output =
            served.query(&["--token", "AAAA", "--directory-mirror", &mirror, "bad.example"]);
        assert_eq!(output.status.code(), Some(code), "{}", stdout(&output));
        assert_eq!(stdout(&output).contains("its mirror"), code == 2, "{}", stdout(&output));
    }
}

/// A state is for one service.
#[test]
fn a_state_is_not_used_at_another_service() {
    let served = serve("bad.example\n", json!({}), json!({}));
    let arguments = ["--token", "AAAA", "--state", "one.state", "bad.example"];
    assert_eq!(served.query(&arguments).status.code(), Some(1));
    let other = ["query", "--server", "http://127.0.0.1:1", "--usecase", USE_CASE];
    let output = run(served.folder.path(), &[&other[..], &arguments].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("another service"), "{}", stderr(&output));
}

/// Two shards tell one bit of the hash, which says much about a keyword of a short list.
#[test]
fn shards_with_few_rows_are_refused() {
    let served = serve("bad.example\n", json!({}), json!({}));
    let arguments = ["--token", "AAAA", "--filter", "dist", "--json", "bad.example"];
    let output = served.query_as_by_default(&arguments);
    assert_eq!(output.status.code(), Some(2));
    let line = &lines(&output)[0];
    assert_eq!(line["verdict"], "unknown");
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("2 shards for 1 rows: fewer than 1000 rows a shard"), "{error}");
}

#[test]
fn keywords_get_values_and_the_state_is_kept() {
    let served = serve("bad.example\n", json!({}), json!({}));
    let path = served.folder.path();
    fs::write(path.join("token"), "AAAA\n").unwrap();
    let arguments =
        ["--token-file", "token", "--state", "state.json", "--keywords", "--json", "-v"];
    let ask = |keywords: &[&str]| served.query(&[&arguments[..], keywords].concat());
    let output = ask(&["bad.example", "absent.example", "bad.example"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(
        lines(&output),
        [
            json!({ "keyword": "bad.example", "found": true, "value": "1" }),
            json!({ "keyword": "absent.example", "found": false }),
            json!({ "keyword": "bad.example", "found": true, "value": "1" }),
        ]
    );
    assert!(stderr(&output).contains("2 keywords in"), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 evaluation keys uploaded"), "{}", stderr(&output));
    #[cfg(unix)]
    {
        let about = fs::metadata(path.join("state.json")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&about) & 0o777, 0o600);
    }
    let output = ask(&["absent.example"]);
    succeeds(&output);
    assert!(stderr(&output).contains("0 evaluation keys uploaded"), "{}", stderr(&output));
    #[cfg(unix)]
    {
        let mode = |mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(path.join("state.json"), mode).unwrap();
        };
        mode(0o644);
        let output = ask(&["absent.example"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("chmod 600"), "{}", stderr(&output));
        mode(0o600);
    }
    fs::write(path.join("state.json"), "nonsense").unwrap();
    let output = ask(&["absent.example"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("state.json"), "{}", stderr(&output));
}

#[test]
fn failures_are_reported() {
    let served = serve("bad.example\n", json!({}), json!({}));
    let filter = ["--filter", "dist", "--json"];
    for (arguments, needle) in [
        (&["--token", "WRONG"][..], "user token"),
        (&[], "401"),
        (&["--token", "AAAA", "--usecase", "other"], "use case"),
        (
            &["--token", "AAAA", "--server", "http://127.0.0.1:1"],
            "no connection to http://127.0.0.1:1: ",
        ),
    ] {
        // The arguments replace those of the same name.
        let mut all = vec!["query", "--server", &served.url, "--usecase", USE_CASE];
        for pair in arguments.chunks(2) {
            if let Some(at) = all.iter().position(|known| *known == pair[0]) {
                all[at + 1] = pair[1];
            } else {
                all.extend(pair);
            }
        }
        all.extend(filter);
        let output = run(served.folder.path(), &[&all[..], &["bad.example"]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let line = &lines(&output)[0];
        assert_eq!((&line["verdict"], &line["blocked"]), (&json!("unknown"), &json!(false)));
        assert!(line["error"].as_str().unwrap().contains(needle), "{line}");
        let closed = [&all[..], &["--on-failure", "closed", "bad.example"]].concat();
        let output = run(served.folder.path(), &closed);
        let line = &lines(&output)[0];
        assert_eq!((&line["basis"], &line["blocked"]), (&json!("failedClosed"), &json!(true)));
    }
    for (arguments, needle) in [
        (&["--filter", "nowhere", "x.example"][..], "nowhere"),
        (&["--token-file", "nowhere", "x.example"], "nowhere"),
        (&["--server", "pir.example", "x.example"], "cannot be used multiple times"),
        (&["--keywords", ""], "empty keyword"),
    ] {
        let output = served.query(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(needle), "{}", stderr(&output));
    }
    // The token from the environment.
    let mut command = command(served.folder.path());
    command.env("URLFILTER_TOKEN", "AAAA").args(["query", "--server", &served.url]);
    command.args(["--usecase", USE_CASE, "--keywords", "absent.example"]);
    succeeds(&command.output().unwrap());
}

/// The variant in which a client can read only the row that it looks up.
#[test]
#[cfg_attr(not(feature = "symmetric"), ignore = "needs the feature symmetric")]
fn the_symmetric_variant_is_served_and_asked() {
    let key = tempfile::tempdir().unwrap();
    let key = key.path().join("key.hex");
    let symmetric = json!({
        "symmetricPirArguments": { "outputDatabaseEncryptionKeyFilePath": key },
    });
    let service = json!({
        "symmetricPirArguments": { "databaseEncryptionKeyFilePath": key },
    });
    let served = serve("bad.example\nworse.example/x\n", symmetric, service);
    let output = served.query(&[
        "--token",
        "AAAA",
        "--keywords",
        "--json",
        "bad.example",
        "absent.example",
        "worse.example/x",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}{}", stdout(&output), stderr(&output));
    let found: Vec<_> = lines(&output).iter().map(|line| line["found"].clone()).collect();
    assert_eq!(found, [true, false, true]);
}

/// Runs the demo and returns verdict and basis of each URL.
fn demo(list: Option<&Path>) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.env("TMPDIR", folder.path()).args(["demo", "--json"]);
    command.args(["--url", "https://harmless.example/"]).args(list);
    let output = command.output().unwrap();
    succeeds(&output);
    for step in ["built", "processed", "served", "prepared", "looked up"] {
        assert!(stderr(&output).contains(step), "{}", stderr(&output));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    lines(&output).iter().map(|line| (text(line, "verdict"), text(line, "basis"))).collect()
}

fn assert_every_kind_of_verdict(verdicts: &[(String, String)]) {
    let count = |verdict: &str, basis: &str| {
        verdicts.iter().filter(|pair| **pair == (verdict.into(), basis.into())).count()
    };
    assert_eq!(count("deny", "service"), 3, "{verdicts:?}");
    assert!(count("allow", "service") >= 1, "{verdicts:?}");
    assert!(count("allow", "prefilter") >= 1, "{verdicts:?}");
}

#[test]
fn the_demo_shows_every_kind_of_verdict_and_removes_its_files() {
    assert_every_kind_of_verdict(&demo(None));
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["demo", "nowhere.txt"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nowhere.txt"), "{}", stderr(&output));
}

#[test]
#[ignore = "needs the lists of ../shared/data"]
fn the_demo_takes_a_real_list() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/phishing-urls.txt");
    assert_every_kind_of_verdict(&demo(Some(&list)));
}

#[test]
fn a_token_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let query = ["query", "--server", "http://127.0.0.1:9", "--usecase", "u", "--token-file"];
    let output =
        run(folder.path(), &[&query[..], &["missing-token", "https://example.com/"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("missing-token"), "{}", stderr(&output));
}
