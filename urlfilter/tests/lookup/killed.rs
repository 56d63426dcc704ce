//! Runs of `urlfilter query` that are killed in the middle of a conversation.

use super::{Served, USE_CASE, command, lines, serve, stderr, succeeds};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// A way to a service that reads along, and kills the client when it has sent a number of requests.
struct Wiretap {
    url: String,
    watch: Arc<Mutex<Watch>>,
}

/// What the wiretap has seen.
#[derive(Default)]
struct Watch {
    state: PathBuf,
    client: Option<Child>,
    /// Requests until the client is killed.
    left: usize,
    tokens: BTreeSet<String>,
    problems: Vec<String>,
    paths: Vec<String>,
}

impl Watch {
    /// Looks at a request before anyone answers it.
    fn see(&mut self, path: &str, head: &str) {
        self.paths.push(path.to_owned());
        let state: Value = match fs::read(&self.state) {
            Ok(bytes) => serde_json::from_slice(&bytes).expect("the file is whole"),
            Err(_) => return self.problems.push(format!("{path}: nothing is stored")),
        };
        if let Some(token) = head.lines().find_map(|line| line.split_once("PrivateToken token=")) {
            let token = token.1.trim_matches('"').trim_end_matches('=').to_owned();
            let text = state["tokens"].to_string().replace('+', "-").replace('/', "_");
            if text.contains(&token) {
                self.problems.push(format!("{path}: a token is sent that is still stored"));
            }
            if !self.tokens.insert(token) {
                self.problems.push(format!("{path}: a token came twice"));
            }
        }
        let must_be_stored = match path {
            "/key" => !state["secretKeys"].as_array().unwrap().is_empty(),
            "/queries" => state["sharding"].is_object(),
            "/issue" => state["issuerKey"].is_object(),
            _ => true,
        };
        if !must_be_stored {
            self.problems.push(format!("{path}: what it depends on is not stored"));
        }
        self.left = self.left.saturating_sub(1);
        if let (0, Some(client)) = (self.left, &mut self.client) {
            client.kill().unwrap();
            client.wait().unwrap();
            self.client = None;
        }
    }
}

/// Reads a message of HTTP/1.1 with a length; `None` if the connection ends before it begins.
fn read_message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut next = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut next).ok()?;
        bytes.push(next[0]);
    }
    let head = String::from_utf8(bytes.clone()).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let at = bytes.len();
    bytes.resize(at + length.unwrap_or(0), 0);
    stream.read_exact(&mut bytes[at..]).ok()?;
    Some((head, bytes))
}

impl Wiretap {
    fn before(service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let watch: Arc<Mutex<Watch>> = Arc::default();
        let service = service.trim_start_matches("http://").to_owned();
        let seen = Arc::clone(&watch);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (service, seen) = (service.clone(), Arc::clone(&seen));
                thread::spawn(move || carry(client.unwrap(), &service, &seen));
            }
        });
        Self { url, watch }
    }

    /// Runs a query that is killed when it has sent a number of requests. Returns whether it ended before.
    fn run(&self, served: &Served, keyword: &str, left: usize) -> bool {
        let mut query = command(served.folder.path());
        query.args(["query", "--server", &self.url, "--usecase", USE_CASE, "--token", "AAAA"]);
        query.args(["--state", "client.state", "--keywords", keyword]);
        let mut watch = self.watch.lock().unwrap();
        let mut client = query.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = client.stdout.take().unwrap();
        watch.state = served.folder.path().join("client.state");
        watch.left = left;
        watch.client = Some(client);
        drop(watch);
        // It ends with the process.
        stdout.read_to_end(&mut Vec::new()).unwrap();
        let ended = self.watch.lock().unwrap().client.take();
        ended.map(|mut client| client.wait().unwrap()).is_some()
    }
}

/// Carries requests and responses of one connection.
fn carry(mut client: TcpStream, service: &str, seen: &Mutex<Watch>) {
    let mut service = TcpStream::connect(service).unwrap();
    while let Some((head, bytes)) = read_message(&mut client) {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        seen.lock().unwrap().see(&path, &head);
        if service.write_all(&bytes).is_err() {
            return;
        }
        let Some((_, response)) = read_message(&mut service) else { return };
        if client.write_all(&response).is_err() {
            return;
        }
    }
}

#[test]
fn a_run_that_is_killed_at_any_request_repeats_nothing() {
    let served = serve("bad.example\n", json!({}), json!({}));
    let mut requests = 1;
    loop {
        let tap = Wiretap::before(&served.url);
        let state = served.folder.path().join("client.state");
        drop(fs::remove_file(&state));
        let is_done = tap.run(&served, "bad.example", requests);
        // Killed again, and then to its end.
        for left in [requests, usize::MAX] {
            tap.run(&served, "absent.example", left);
        }
        let watch = tap.watch.lock().unwrap();
        assert_eq!(watch.problems, Vec::<String>::new(), "{requests}: {:?}", watch.paths);
        assert_eq!(watch.paths.last().unwrap(), "/queries");
        if is_done {
            break;
        }
        requests += 1;
    }
    // Directory, tokens, configuration, key, query.
    assert!(requests > 13, "{requests}");
}

#[test]
fn a_state_that_another_run_uses_is_refused() {
    let served = serve("bad.example\n", json!({}), json!({}));
    let lock = fs::File::create(served.folder.path().join("client.state.lock")).unwrap();
    lock.lock().unwrap();
    let arguments = ["--token", "AAAA", "--state", "client.state", "--keywords", "--json"];
    let ask = || served.query(&[&arguments[..], &["absent.example"]].concat());
    let output = ask();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("another process uses it"), "{}", stderr(&output));
    drop(lock);
    let output = ask();
    succeeds(&output);
    assert_eq!(lines(&output)[0]["found"], json!(false));
}
