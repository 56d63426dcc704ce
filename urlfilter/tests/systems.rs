//! What systems do with URLs, and data sets whose rows are served as they are: the whole commands.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use command::{json, stdout, succeeds, urlfilter as run};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// A folder with a build of a list in `dist`.
fn built(list: &str, name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), list).unwrap();
    succeeds(&run(folder.path(), &["build", name, "--out", "dist", "--fpr", "0.0000001"]));
    folder
}

#[test]
fn check_says_for_each_system_whether_a_url_is_blocked() {
    // Small filters have many hits by chance.
    let others: String = (0..300).map(|i| format!("filler{i}.example\n")).collect();
    let folder = built(&format!("phish.example/login\n{others}"), "list.txt");
    let verdicts = |url: &str| {
        let output = run(folder.path(), &["check", "dist", "--system", "all", "--json", url]);
        let answer = json(&output);
        let of = |on: &Value| (on["system"].clone(), on["lookedUp"].clone(), on["blocked"].clone());
        let systems = answer["systems"].as_array().unwrap().iter().map(of).collect::<Vec<_>>();
        (output.status.code().unwrap(), systems)
    };
    let row = |system: &str, known: &str| (system.into(), known.into(), known.into());
    assert_eq!(
        verdicts("https://phish.example/login?x"),
        (1, vec![row("26", "yes"), row("27", "yes"), row("27-unconfigured", "yes")])
    );
    // A path below a parent host, and the host with `www.` on a system of which little is known.
    assert_eq!(
        verdicts("https://a.phish.example/login"),
        (1, vec![row("26", "no"), row("27", "yes"), row("27-unconfigured", "no")])
    );
    assert_eq!(
        verdicts("www.phish.example/login"),
        (1, vec![row("26", "yes"), row("27", "yes"), row("27-unconfigured", "uncertain")])
    );
    assert_eq!(verdicts("https://phish.example/LOGIN").1[0], row("26", "uncertain"));
    // Both readings block.
    let folder_of_both = built("both.example/Page\n", "list.txt");
    let arguments = ["check", "dist", "--system", "26", "--json", "https://both.example/Page"];
    let answer = json(&run(folder_of_both.path(), &arguments));
    assert_eq!(answer["systems"][0]["blocked"], "yes");
    assert_eq!(
        verdicts("https://other.example/"),
        (0, vec![row("26", "no"), row("27", "no"), row("27-unconfigured", "no")])
    );
}

#[test]
fn without_a_data_set_a_hit_is_not_yet_a_block() {
    let folder = built("phish.example\n", "list.txt");
    fs::rename(folder.path().join("dist/input.txtpb"), folder.path().join("rows.txtpb")).unwrap();
    let output = run(folder.path(), &["check", "dist", "--system", "27", "phish.example"]);
    assert!(
        stdout(&output).contains("27               doc   yes        if listed  phish.example"),
        "{output:?}"
    );
    fs::write(folder.path().join("none.txtpb"), "rows: {keyword: 'x.example' value: '1'}\n")
        .unwrap();
    for (rows, expected) in [("rows.txtpb", "yes"), ("none.txtpb", "no")] {
        let arguments =
            ["check", "dist", "--system", "27", "--data-set", rows, "--json", "phish.example"];
        let answer = json(&run(folder.path(), &arguments));
        assert_eq!(answer["systems"][0]["blocked"], expected);
    }
}

#[test]
fn explain_lists_which_systems_ask_for_a_sub_url() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["explain", "--system", "all", "https://www.example.com/A"]);
    succeeds(&output);
    let text = stdout(&output);
    let row = |sub_url: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(sub_url));
        line.unwrap_or_else(|| panic!("no {sub_url} in {text}"))
            .split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(row("example.com"), "yes yes uncertain");
    assert_eq!(row("com"), "yes no no");
    assert_eq!(row("example.com/A"), "uncertain no no");
    assert_eq!(row("example.com/a"), "uncertain yes uncertain");
    assert_eq!(row("www.example.com"), "yes no uncertain");
    let wrong = run(folder.path(), &["explain", "--system", "28", "https://example.com"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("or all"));
}

#[test]
fn repaired_spellings_of_a_url_have_the_same_verdict() {
    let folder = built("phish.example/login\n", "list.txt");
    for url in [
        "https://www.phish.example/login",
        r"https:\\www.phish.example\login",
        "https:/www.phish.example/login",
        "https:@www.phish.example/login",
        "ht\ttps://www.phish.example/login",
        "www.phish.example/login",
    ] {
        let output = run(folder.path(), &["check", "dist", url]);
        assert_eq!(output.status.code(), Some(1), "{url:?}: {output:?}");
        assert!(stdout(&output).contains("by phish.example/login"), "{url:?}: {output:?}");
    }
}

#[test]
fn rows_of_a_data_set_are_served_as_they_are() {
    let rows = [
        "www.apple.com/url-filter-test",
        "example.com/a/",
        "example.com/Path",
        "www.x.example/y",
        "plain.example",
    ];
    let data_set: String =
        rows.iter().map(|row| format!("rows: {{keyword: \"{row}\" value: \"1\"}}\n")).collect();
    let refused = "rows: {keyword: \"https://example.org/\" value: \"1\"}\n";
    let folder = built(&(data_set.clone() + refused), "input.txtpb");
    let written = fs::read_to_string(folder.path().join("dist/input.txtpb")).unwrap();
    assert_eq!(written, data_set);
    let report: Value =
        serde_json::from_slice(&fs::read(folder.path().join("dist/report.json")).unwrap()).unwrap();
    assert_eq!(report["options"]["systems"], serde_json::json!(["26", "27"]));
    assert_eq!(report["refused"][0]["reason"], "never-asked");
    assert_eq!(report["refused"][0]["examples"][0]["entry"], "https://example.org/");
    // A second build changes nothing.
    let again = ["build", "dist/input.txtpb", "--out", "again", "--fpr", "0.0000001"];
    succeeds(&run(folder.path(), &again));
    let again = fs::read(folder.path().join("again/bloom.bin")).unwrap();
    assert_eq!(again, fs::read(folder.path().join("dist/bloom.bin")).unwrap());
    let diagnosis = run(folder.path(), &["diagnose", "dist", "--keys", "dist/input.txtpb"]);
    succeeds(&diagnosis);
    assert!(stdout(&diagnosis).contains("5 of 5 keys"), "{diagnosis:?}");
}

#[test]
fn diagnose_takes_what_build_made_and_names_what_build_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let list = "phish.example/login\nexample.org/Page\ncom\n";
    fs::write(folder.path().join("list.txt"), list).unwrap();
    let build = ["build", "list.txt", "--out", "dist", "--onboarding-entry"];
    succeeds(&run(folder.path(), &build));
    for keys in ["dist/input.txtpb", "list.txt"] {
        succeeds(&run(folder.path(), &["diagnose", "dist/bloom_filter.plist", "--keys", keys]));
    }
    let output = run(folder.path(), &["diagnose", "dist", "--keys", "list.txt", "--json"]);
    let answer = json(&output);
    assert_eq!((&answer["verdict"], &answer["keys"]), (&"matches".into(), &2.into()));
    assert_eq!(
        answer["refusedExamples"],
        serde_json::json!([{"key": "com", "reason": "single-label"}])
    );
    fs::write(folder.path().join("refused.txt"), "com\n").unwrap();
    let output = run(folder.path(), &["diagnose", "dist", "--keys", "refused.txt"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let script = format!(
        "{} explain https://example.com/a/b/c/d/e | head -n 1",
        env!("CARGO_BIN_EXE_urlfilter")
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.stdout, b"example.com\n");
    assert!(output.stderr.is_empty());
}
