//! The command as its users meet it: arguments, output, exit codes, and what lies on disk after.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "commands/lists.rs"]
mod lists;

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run(arguments: &[&str]) -> Output {
    run_with(arguments, b"")
}

fn run_with(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_urlfilter"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails early does not read its input.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A temporary folder.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.0.path().join(name), content).unwrap();
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn build(folder: &Folder, list: &str, more: &[&str]) -> String {
    let list = folder.file("list", list);
    let out = folder.path("dist");
    let output = run(&[&["build", &list, "--out", &out], more].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    out
}

const LIST: &str = "# list\nhttps://www.example.com/\nexample.org/path\n*.example.net\ncom\n";

#[test]
fn build_writes_all_files_and_a_summary() {
    let folder = Folder::new();
    let list = folder.file("list", LIST);
    let out = folder.path("dist");
    let output = run(&["build", &list, "--out", &out, "--json"]);
    assert_eq!(code(&output), 0);
    let summary = &json_lines(&output)[0];
    for (field, expected) in [
        ("linesRead", 5),
        ("entriesRead", 4),
        ("kept", 3),
        ("refused", 1),
        ("widened", 7),
        ("keys", 3),
    ] {
        assert_eq!(summary[field], expected, "{field}");
    }
    let mut names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "bloom.bin",
            "bloom.json",
            "bloom_filter.plist",
            "input.txtpb",
            "origins.bin",
            "report.json"
        ]
    );
    let rows = fs::read_to_string(format!("{out}/input.txtpb")).unwrap();
    assert_eq!(
        rows,
        "rows: {keyword: \"example.com\" value: \"1\"}\nrows: {keyword: \"example.org/path\" value: \"1\"}\n\
         rows: {keyword: \"example.net\" value: \"1\"}\n"
    );
    let report: Value =
        serde_json::from_slice(&fs::read(format!("{out}/report.json")).unwrap()).unwrap();
    assert_eq!(report["refused"][0]["reason"], "single-label");
    assert_eq!(report["refused"][0]["lines"][&list], "5");
    let human = stderr(&run(&["build", &list, "--out", &out]));
    for part in ["5 lines", "3 kept", "www-removed", "single-label", "3 keys", "false-positive"] {
        assert!(human.contains(part), "{part} in {human}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = Folder::new();
    let list = folder.file("list", LIST);
    let (one, two) = (folder.path("one"), folder.path("two"));
    for out in [&one, &two] {
        assert_eq!(code(&run(&["build", &list, "--out", out, "--onboarding-entry"])), 0);
    }
    for name in fs::read_dir(&one).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert_eq!(
            fs::read(format!("{one}/{name}")).unwrap(),
            fs::read(format!("{two}/{name}")).unwrap(),
            "{name}"
        );
    }
    let rows = fs::read_to_string(format!("{one}/input.txtpb")).unwrap();
    assert!(rows.starts_with("rows: {keyword: \"www.apple.com/url-filter-test\" value: \"1\"}\n"));
}

#[test]
fn standard_input_gzip_and_every_format() {
    let folder = Folder::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"||a.example^\n||b.example/x\n").unwrap();
    let out = folder.path("dist");
    let output = run_with(&["build", "-", "--out", &out], &gzip.finish().unwrap());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("standard input: 2 lines, read as adblock"));
    for (format, list, key) in [
        ("urls", "http://a.example/b", "a.example/b"),
        ("hosts", "0.0.0.0 a.example", "a.example"),
        ("adblock", "||a.example^", "a.example"),
        ("dnsmasq", "address=/a.example/", "a.example"),
        ("rpz", "a.example CNAME .", "a.example"),
        ("csv=link", "id,link\n1,a.example/b", "a.example/b"),
        ("txtpb", "rows: [{keyword: 'a.example' value: '1'}]", "a.example"),
    ] {
        let output = run_with(&["build", "-", "--out", &out, "--format", format], list.as_bytes());
        assert_eq!(code(&output), 0, "{format}: {}", stderr(&output));
        let rows = fs::read_to_string(format!("{out}/input.txtpb")).unwrap();
        assert_eq!(rows, format!("rows: {{keyword: \"{key}\" value: \"1\"}}\n"), "{format}");
    }
}

#[test]
fn invalid_input_is_explained_and_nothing_is_written() {
    let folder = Folder::new();
    let long = "a".repeat(1_000_000);
    for (name, content, expected) in [
        ("empty", &b""[..], "it has no entry (lines: 0)"),
        ("comments", b"# nothing\n", "it has no entry (lines: 1)"),
        ("binary", b"\x7fELF\0\x01\x02rubbish", "not a text file"),
        ("long", long.as_bytes(), "the format is not clear"),
        ("utf32", b"\xff\xfe\0\0a\0\0\0", "not a text file"),
        ("latin1", b"caf\xe9.example\nb\xfccher.example\n", "not-utf8"),
        ("hosts", b"not a host\nfoo bar\n-\n...\n", "the format is not clear"),
        ("columns.csv", b"id,url\n1,http://a.example\n", "csv=COLUMN"),
        ("rows.txtpb", b"rows: {keyword: \"a.example\"\n", "line 2"),
        ("cut.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b", "cut.gz"),
    ] {
        let list = folder.file(name, content);
        let before = folder.names();
        let output = run(&["build", &list, "--out", &folder.path("dist")]);
        assert_eq!(code(&output), 2, "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{name}: {}", stderr(&output));
        assert_eq!(folder.names(), before, "{name}");
    }
    let list = folder.file("good", "a.example\n");
    for arguments in [
        vec!["build", &list, "--out", "x", "--fpr", "0"],
        vec!["build", &list, "--out", "x", "--fpr", "1"],
        vec!["build", &list, "--out", "x", "--format", "excel"],
        vec!["build", "/nonexistent/list", "--out", "x"],
        vec!["build", folder.0.path().to_str().unwrap(), "--out", "x"],
        vec!["build", &list, "--out", &list],
        vec!["build", &list],
        vec!["frobnicate"],
    ] {
        let output = run(&arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(
            !stderr(&output).is_empty() && !stderr(&output).contains("panicked"),
            "{arguments:?}"
        );
    }
    assert!(!Path::new("x").exists());
}

#[test]
fn a_failed_build_keeps_the_previous_one() {
    let folder = Folder::new();
    let out = build(&folder, LIST, &[]);
    let before = fs::read(format!("{out}/bloom.bin")).unwrap();
    let strict = run(&["build", &folder.path("list"), "--out", &out, "--strict", "--fpr", "0.5"]);
    assert_eq!(code(&strict), 2);
    assert!(stderr(&strict).contains("--strict") && stderr(&strict).contains("single-label"));
    assert_eq!(fs::read(format!("{out}/bloom.bin")).unwrap(), before);
    assert_eq!(code(&run_with(&["build", "-", "--out", &out, "--strict"], b"Example.org\n")), 0);
}

#[test]
fn check_answers_each_url() {
    let folder = Folder::new();
    let out = build(&folder, LIST, &["--fpr", "0.000001"]);
    let no = run(&["check", &out, "https://other.test/"]);
    assert_eq!(code(&no), 0);
    let some = run(&[
        "check",
        &format!("{out}/bloom_filter.plist"),
        "--json",
        "https://a.example.com/x?y",
        "http://other.test",
    ]);
    assert_eq!(code(&some), 1);
    let lines = json_lines(&some);
    assert_eq!(
        lines[0],
        serde_json::json!({"url": "https://a.example.com/x?y", "mayMatch": true, "hits": ["example.com"]})
    );
    assert_eq!(
        lines[1],
        serde_json::json!({"url": "http://other.test", "mayMatch": false, "hits": []})
    );
    let refused = run(&["check", &out, "--json", "mailto:a@b.example", "example.org/path/deeper"]);
    assert_eq!(code(&refused), 2);
    assert!(json_lines(&refused)[0]["error"].is_string());
    assert_eq!(json_lines(&refused)[1]["hits"], serde_json::json!(["example.org/path"]));
    let input = run_with(&["check", &out, "-"], b"https://example.net/\n\nhttps://other.test/\n");
    assert_eq!(code(&input), 1);
    assert!(String::from_utf8(input.stdout).unwrap().contains("by example.net"));
}

#[test]
fn check_follows_the_rule_of_the_filter() {
    let folder = Folder::new();
    let config = folder.file("config.json", r#"{"path":{"excluded":true}}"#);
    let out = build(&folder, "example.com/a/b\n", &["--parsing", &config, "--fpr", "0.000001"]);
    let output = run(&["check", &out, "--json", "https://example.com/other"]);
    assert_eq!(json_lines(&output)[0]["hits"], serde_json::json!(["example.com/%*"]));
    let current = run(&["check", &out, "--profile", "current", "https://example.com/other"]);
    assert_eq!(code(&current), 0);
}

#[test]
fn damaged_filters_are_refused() {
    let folder = Folder::new();
    let out = build(&folder, LIST, &[]);
    for name in ["bloom.bin", "bloom_filter.plist"] {
        let path = format!("{out}/{name}");
        let sound = fs::read(&path).unwrap();
        let mut cut = sound.clone();
        cut.pop();
        cut.pop();
        let mut flipped = sound.clone();
        *flipped.last_mut().unwrap() ^= 0x80;
        for content in [&cut, &flipped, &Vec::new()] {
            fs::write(&path, content).unwrap();
            for command in ["inspect", "check"] {
                let arguments = [command, &path, "https://example.com/"];
                let output = run(&arguments[..if command == "check" { 3 } else { 2 }]);
                // A changed line end does not damage a property list.
                let harmless = name.ends_with("plist") && content.len() == sound.len();
                assert!(code(&output) == 2 || harmless, "{command} {name}: {output:?}");
            }
        }
        fs::write(&path, &sound).unwrap();
    }
    assert_eq!(code(&run(&["inspect", &format!("{out}/input.txtpb")])), 2);
    assert_eq!(code(&run(&["inspect", &folder.path("absent")])), 2);
}

#[test]
fn inspect_shows_metadata_and_statistics() {
    let folder = Folder::new();
    let out = build(&folder, LIST, &["--seed", "7", "--sizing", "ceil"]);
    let inspection = &json_lines(&run(&["inspect", &out, "--json"]))[0];
    assert_eq!(inspection["itemCount"], 3);
    assert_eq!(inspection["murmurSeed"], 7);
    assert_eq!(inspection["sizing"], "ceil");
    assert_eq!(inspection["profile"], "current");
    assert!(inspection["bitsSet"].as_u64().unwrap() > 0);
    assert!(inspection["estimatedFalsePositiveRate"].as_f64().unwrap() < 0.01);
    let plist = &json_lines(&run(&["inspect", &format!("{out}/bloom_filter.plist"), "--json"]))[0];
    assert_eq!(plist["tag"], inspection["tag"]);
}

#[test]
fn explain_lists_sorted_sub_urls() {
    let output = run(&["explain", "--json", "https://www.sub1.example.com/a/b/c?id=123#fragment"]);
    let sub_urls = json_lines(&output)[0]["subUrls"].as_array().unwrap().clone();
    assert_eq!(sub_urls.len(), 48);
    assert!(sub_urls.is_sorted_by_key(|value| value.as_str().unwrap().to_owned()));
    let older =
        run(&["explain", "--profile", "ios26.0", "https://www.example.com/a/b/c?id=123#fragment"]);
    assert_eq!(String::from_utf8(older.stdout).unwrap().lines().count(), 24);
    assert_eq!(code(&run(&["explain", "::"])), 2);
    let folder = Folder::new();
    let config = folder.file("config.json", r#"{"urlParsingRegularExpression":"x=(?<x>[0-9]+)"}"#);
    let matched = run(&["explain", "--parsing", &config, "https://example.com/?x=12"]);
    assert_eq!(matched.stdout, b"x=12\n");
    for bad in ["{", "[]", r#"{"path":{"depth":1}}"#, r#"{"urlParsingRegularExpression":"("}"#] {
        let config = folder.file("config.json", bad);
        let output = run(&["explain", "--parsing", &config, "https://example.com/"]);
        assert_eq!(code(&output), 2, "{bad}");
        assert!(stderr(&output).contains("config.json"), "{}", stderr(&output));
    }
}

#[test]
fn hash_prints_known_answers() {
    let output =
        run(&["hash", "--json", "--seed", "3919904948", "--bits", "144", "--hashes", "10", "abcd"]);
    let expected = serde_json::json!({
        "input": "abcd", "fnv1a32": 3_459_545_533_u32, "murmur3_32": 1_593_096_563,
        "indices": [109, 80, 19, 102, 73, 12, 127, 66, 5, 120],
    });
    assert_eq!(json_lines(&output)[0], expected);
    assert!(json_lines(&run(&["hash", "--json", "a"]))[0].get("indices").is_none());
    assert_eq!(code(&run(&["hash", "a", "--bits", "8"])), 2);
    assert_eq!(code(&run(&["hash", "a", "--bits", "0", "--hashes", "1"])), 2);
}

#[test]
fn diagnose_names_the_mistake() {
    let beta = repository().join("testvectors/prefilter/files/beta.plist");
    let folder = Folder::new();
    let mut keys: Vec<String> = vec!["example.com".into()];
    keys.extend((2..10).map(|i| format!("example{i}.com")));
    keys.push("example10.com/resource?query=bugs".into());
    let file = folder.file("keys", keys.join("\n"));
    let output = run(&["diagnose", beta.to_str().unwrap(), "--keys", &file, "--json"]);
    assert_eq!(code(&output), 1);
    let answer = &json_lines(&output)[0];
    assert_eq!(answer["verdict"], "explained");
    assert_eq!(answer["deviations"][0]["name"], "beta-fnv");
    assert_eq!((&answer["form"], &answer["reproducesFile"]), (&"beta-plist".into(), &true.into()));

    let out = build(&folder, LIST, &[]);
    let healthy = run(&["diagnose", &out, "--keys", &format!("{out}/input.txtpb")]);
    assert_eq!(code(&healthy), 0);
    let others =
        folder.file("others", (0..30).map(|i| format!("other{i}.test\n")).collect::<String>());
    let output = run(&["diagnose", &out, "--keys", &others, "--seed", "1", "--json"]);
    assert_eq!((code(&output), &json_lines(&output)[0]["verdict"]), (1, &"unexplained".into()));
    let empty = folder.file("none", "");
    assert_eq!(code(&run(&["diagnose", &out, "--keys", &empty])), 2);
}

#[test]
fn vectors_are_written_and_compared() {
    let folder = Folder::new();
    let out = folder.path("vectors");
    assert_eq!(code(&run(&["vectors", "--out", &out])), 0);
    assert_eq!(code(&run(&["vectors", "--check", &out])), 0);
    fs::write(format!("{out}/prefilter/hashes.json"), "[]").unwrap();
    let output = run(&["vectors", "--check", &out]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("prefilter/hashes.json differs"), "{}", stderr(&output));
    assert_eq!(code(&run(&["vectors"])), 2);
    assert_eq!(code(&run(&["vectors", "--out", &out, "--check", &out])), 2);
}

#[test]
fn doctor_says_what_it_needs() {
    let arguments =
        ["doctor", "--server", "https://pir.example.com", "--bundle-id", "com.example.app"];
    let output = run(&arguments);
    assert_eq!(code(&output), 2);
    let expected = match cfg!(feature = "doctor") {
        true => "--token-file",
        false => "--features doctor",
    };
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    let resolver = ["--token", "AAAA", "--resolver", "192.0.2.1:53", "--timeout", "1"];
    let output = run(&[&arguments[..], &resolver].concat());
    let lacks_dns = stderr(&output).contains("--features");
    assert_eq!(lacks_dns, !cfg!(feature = "dns"), "{}", stderr(&output));
}

#[test]
fn https_addresses_need_tls() {
    let query = ["query", "--server", "https://127.0.0.1:9", "--usecase", "u", "--keywords", "a"];
    let output = run(&query);
    assert_eq!(code(&output), 2);
    let lacks_tls = stderr(&output).contains("--features tls");
    assert_eq!(lacks_tls, !cfg!(feature = "tls"), "{}", stderr(&output));
}

#[test]
fn the_sample_of_the_readme_works() {
    let folder = Folder::new();
    let sample = repository().join("samples/blocklist.txt");
    let out = folder.path("dist");
    let output = run(&["build", sample.to_str().unwrap(), "--out", &out]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(code(&run(&["check", &out, "https://www.phish.example/login?session=1"])), 1);
}

/// Whatever is put in must be found.
#[test]
#[ignore = "needs the lists of ../shared/data"]
fn every_url_of_a_real_list_is_found_again() {
    let data = repository().join("../shared/data");
    let folder = Folder::new();
    for profile in ["current", "ios26.0"] {
        let list = data.join("phishing-urls.txt");
        let out = folder.path(profile);
        let output =
            run(&["build", list.to_str().unwrap(), "--out", &out, "--profile", profile, "--json"]);
        let summary = &json_lines(&output)[0];
        let text = fs::read_to_string(&list).unwrap();
        let number = |field: &str| summary[field].as_u64().unwrap();
        let is_entry = |line: &&str| !line.is_empty() && !line.starts_with(['#', '!', ';']);
        assert_eq!(number("linesRead"), text.lines().count() as u64);
        assert_eq!(
            number("entriesRead"),
            text.lines().map(str::trim).filter(is_entry).count() as u64
        );
        let outcomes = ["kept", "duplicate", "refused"].map(number);
        assert_eq!(outcomes.iter().sum::<u64>(), number("entriesRead"));
        let urls: Vec<&str> = text.lines().filter(|line| line.starts_with("http")).collect();
        let checked = run_with(&["check", &out, "-", "--json"], urls.join("\n").as_bytes());
        let verdicts = json_lines(&checked);
        assert_eq!(verdicts.len(), urls.len());
        assert!(verdicts.iter().all(|verdict| verdict["mayMatch"] == true));
    }
    for (name, format, lines) in
        [("phishing-domains.txt", "urls", 10_000), ("phishing-domains.adblock", "adblock", 20_000)]
    {
        let out = folder.path(name);
        let output = run(&["build", data.join(name).to_str().unwrap(), "--out", &out]);
        assert_eq!(code(&output), 0);
        assert!(stderr(&output).contains(&format!("{lines} lines, read as {format} (")));
    }
}
