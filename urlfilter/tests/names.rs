//! Options of `build` about names and pages, and `diagnose` of what they leave out: the whole commands.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use command::{json, stderr, urlfilter};
use std::fs;
use std::path::Path;
use std::process::Output;

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"))
}

/// A folder with a list.
fn with_list(list: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("list"), list).unwrap();
    folder
}

/// Builds the list `list` into `dist`.
fn build(folder: &Path, more: &[&str]) -> Output {
    urlfilter(folder, &[&["build", "list", "--out", "dist", "--max-refused", "1"], more].concat())
}

#[test]
fn protected_hosts_are_read_however_they_are_written_or_refused_by_line() {
    let folder = with_list("bank.com\nxn--bnk-qla.com\nx.example\n");
    let folder = folder.path();
    let rows = || fs::read_to_string(folder.join("dist/input.txtpb")).unwrap().lines().count();
    let protect = |file: &str| {
        fs::write(folder.join("protect"), file).unwrap();
        build(folder, &["--protect", "protect"])
    };
    for (file, left) in [
        ("\u{feff}bank.com", 2),
        ("https://bank.com", 2),
        ("||bank.com^", 2),
        ("0.0.0.0 bank.com", 2),
        ("bank.com:443", 2),
        ("b\u{e4}nk.com", 2),
        ("\u{feff}https://bank.com\n||b\u{e4}nk.com^\n", 1),
    ] {
        let output = protect(file);
        assert_eq!((code(&output), rows()), (0, left), "{file}: {}", stderr(&output));
    }
    let output = protect("# ours\nbank.com\nhttps://bank.com/login\n");
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--protect protect: line 3"), "{}", stderr(&output));
    assert!(stderr(&protect("# nothing\n")).contains("adds no host"));
}

#[test]
fn names_that_are_none_are_refused_and_names_without_effect_are_told() {
    let folder = with_list("x.example\n");
    for option in ["--allow-suffix", "--unprotect"] {
        let output = build(folder.path(), &[option, "nonsense!!"]);
        assert_eq!(code(&output), 2);
        assert!(stderr(&output).contains("nonsense!!"), "{}", stderr(&output));
        let output = build(folder.path(), &[option, "zzz.com"]);
        assert_eq!(code(&output), 0);
        assert!(stderr(&output).contains("zzz.com has no effect"), "{}", stderr(&output));
    }
}

#[test]
fn urls_without_a_scheme_are_pages_for_strict_builds() {
    for (list, format) in
        [("a.com/x\n", "urls"), ("id,url\n1,a.com/x\n", "csv=url"), ("[\"a.com/x\"]", "json")]
    {
        let folder = with_list(list);
        let output = build(folder.path(), &["--format", format, "--strict"]);
        assert_eq!(code(&output), 2, "{list}");
        let told = stderr(&output);
        assert!(told.contains("covers-subdomains") && told.contains("covers-paths"), "{told}");
    }
    assert_eq!(code(&build(with_list("a.com\n").path(), &["--strict"])), 0);
}

#[test]
fn keys_that_build_refuses_are_no_fault_of_a_filter() {
    let folder = with_list("a.com\nco.uk\nphoto.jpg\nb.com\nc.com\n");
    assert_eq!(code(&build(folder.path(), &[])), 0);
    let diagnose = |folder: &Path| {
        let output = urlfilter(folder, &["diagnose", "dist", "--keys", "list", "--json"]);
        let answer = json(&output);
        (code(&output), answer["present"].as_u64(), answer["refused"].as_u64())
    };
    assert_eq!(diagnose(folder.path()), (0, Some(3), Some(2)));
    let rows = ["com", "a.com"].map(|key| format!("rows: {{keyword: \"{key}\" value: \"1\"}}\n"));
    let folder = with_list(&rows.concat());
    assert_eq!(code(&build(folder.path(), &[])), 0);
    assert_eq!(diagnose(folder.path()), (0, Some(2), Some(0)));
}
