//! `urlfilter reports`: counts of the files that a service wrote.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;

fn reports(folder: &Path, arguments: &[&str]) -> Output {
    command::urlfilter(folder, &[&["reports"], arguments].concat())
}

#[test]
fn reports_are_counted_by_day_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("reports")).unwrap();
    let line = |seconds: u64, keys: &[&str]| {
        json!({ "receivedAt": seconds, "platform": "iOS 27.0", "urls": keys }).to_string()
    };
    let finished = [line(86_399, &["a.example"]), line(86_400, &["a.example", "b.example/x"])];
    fs::write(path.join("reports/reports-000000086400-0000.jsonl"), finished.join("\n")).unwrap();
    fs::write(path.join("reports/reports.jsonl"), line(100_000, &["a.example"])).unwrap();
    let output = reports(path, &["reports"]);
    assert_eq!(output.status.code(), Some(0));
    let expected =
        "day,key,count\n1970-01-01,a.example,1\n1970-01-02,a.example,2\n1970-01-02,b.example/x,1\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let more = ["--from", "1970-01-02", "--min-count", "2", "--json"];
    let output = reports(path, &[&["reports"][..], &more].concat());
    let day: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = json!([{ "key": "a.example", "count": 2 }]);
    assert_eq!(day, json!({ "day": "1970-01-02", "keys": keys, "others": 1 }));
    for (arguments, expected) in
        [(&["nowhere"][..], "nowhere"), (&["reports", "--to", "1970-02-30"], "1970-02-30")]
    {
        let output = reports(path, arguments);
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected), "{error}");
    }
}
