//! `urlfilter demo --page`: what a browser gets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A demo that ends with the test.
struct Demo(Child, String);

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(list: &std::path::Path) -> Demo {
    let mut child = Command::new(env!("CARGO_BIN_EXE_urlfilter"))
        .arg("demo")
        .arg(list)
        .arg("--page")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("page ").unwrap().to_owned();
    Demo(child, address)
}

async fn ask(address: &str, url: &str) -> String {
    let body =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("url", url).finish();
    let request = reqwest::Client::new().post(address).body(body);
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_was_asked_and_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    std::fs::write(&list, "phish.example/login\ntracker.example\nmalware.example\n").unwrap();
    let demo = start(&list);
    let response = reqwest::get(&demo.1).await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = response.text().await.unwrap();
    for other in ["<script", "<link", "<img", "src=", "@import", "url("] {
        assert!(!page.contains(other), "{other}");
    }
    let page = ask(&demo.1, "https://www.phish.example/login?session=1").await;
    assert!(
        page.contains("<h2>Blocked</h2>") && page.contains("phish.example/login</code> is on"),
        "{page}"
    );
    assert!(
        page.contains("<code>POST /queries</code>") && page.contains("user-identifier"),
        "{page}"
    );
    assert!(page.contains("<li class=hit><code>phish.example/login</code>"), "{page}");
    let page = ask(&demo.1, "https://harmless.example/").await;
    assert!(page.contains("<h2>Allowed</h2>") && page.contains("it was not asked"), "{page}");
    // What is typed is text.
    let page = ask(&demo.1, "\"><script>alert(1)</script>").await;
    assert!(page.contains("No verdict") && !page.contains("<script"), "{page}");
    let page = ask(&demo.1, "").await;
    assert!(page.contains("<form") && !page.contains("No verdict"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_read_up_to_their_limit() {
    const MAX: usize = 32 << 10;
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    std::fs::write(&list, "phish.example/login\n").unwrap();
    let demo = start(&list);
    for (length, status) in [(MAX - 1, 200), (MAX, 200), (MAX + 1, 413)] {
        let request = reqwest::Client::new().post(&demo.1).body("x".repeat(length));
        assert_eq!(request.send().await.unwrap().status(), status, "{length}");
    }
}
