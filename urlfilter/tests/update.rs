//! `urlfilter update`: from lists over HTTP to verdicts, and again when they change.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use pir_server::{Configuration, Listener, Service, admin, endpoints};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
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

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_urlfilter"));
    command.current_dir(folder).stdin(Stdio::null()).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn update(folder: &TempDir, code: i32) -> (Value, String) {
    let output = run(folder.path(), &["update", "lists.toml", "--allow-private", "--json"]);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), stderr(&output))
}

/// A service of the files of an update. Returns the addresses for devices and operators.
fn serve(runtime: &Runtime, folder: &Path) -> (String, String) {
    let configuration = json!({
        "users": [{ "tier": "tier1", "tokens": ["AAAA"] }],
        "usecases": [{ "name": USE_CASE, "fileStem": folder.join("state/data/urls"),
            "filter": folder.join("state/build") }],
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
    (start(endpoints::router(&service)), start(admin::router(&service)))
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
        text.contains("nothing was done; no copy is there of a: the answer has the status 500"),
        "{text}"
    );
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_urlfilter"));
        command.current_dir(folder.path()).args(["update", "lists.toml", "--allow-private"]);
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
