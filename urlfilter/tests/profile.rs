//! `urlfilter profile`: what it writes, for whom, and what it refuses.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use command::{command, stderr};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

fn profile(token: &Path, server: &str, more: &[&str]) -> Output {
    command(Path::new("."))
        .args([
            "profile",
            "--bundle-id",
            "com.example.app",
            "--provider-id",
            "com.example.app.control",
        ])
        .arg("--token-file")
        .arg(token)
        .args(["--server", server])
        .args(more)
        .output()
        .unwrap()
}

const SERVER: &str = "https://pir.example.com";

#[test]
fn a_profile_is_written_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (token, out) = (folder.path().join("token"), folder.path().join("filter.mobileconfig"));
    fs::write(&token, "QUJDRA==\n").unwrap();
    let output = profile(&token, SERVER, &["--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty() && !stderr(&output).contains("QUJDRA"));
    let written = fs::read_to_string(&out).unwrap();
    assert!(written.contains("<string>QUJDRA==</string>"), "{written}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let output = profile(&token, SERVER, &[]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), written);
    let output = profile(&token, SERVER, &["--declaration"]);
    let declarations: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(declarations[1]["Type"], "com.apple.configuration.webcontent-filter.plugin");
}

#[test]
fn what_devices_do_not_take_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("token"), folder.path().join("jwt"));
    fs::write(&good, "QUJDRA==").unwrap();
    fs::write(&bad, "eyJh.eyJz.c2ln").unwrap();
    for (token, server, more, expected) in [
        (&good, "https://pir.example.com/", &[][..], "it ends with a slash"),
        (&good, "http://pir.example.com", &[], "it does not begin with https://"),
        (&good, SERVER, &["--issuer", "https://192.0.2.1"], "an IP address"),
        (&good, SERVER, &["--fetch-seconds", "2699"], "at least 2700"),
        (&bad, SERVER, &[], "not standard base64"),
    ] {
        let output = profile(token, server, more);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(output.stdout.is_empty() && !stderr(&output).contains("eyJ"));
    }
}
