//! Absolute http and https URLs mean what the WHATWG URL Standard says, however they are written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use filter_core::sub_url::parts::split_special_scheme;
use filter_core::sub_url::{SubUrlRule, UrlError};
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};

/// Letters keep their case, so that every part can be compared as it is.
fn rule() -> SubUrlRule {
    SubUrlRule::from_json(r#"{"caseSensitive":true}"#).unwrap()
}

/// Host, path, query and fragment; the path with its slashes at the end.
fn parts(text: &str) -> Result<[String; 5], UrlError> {
    let rule = rule();
    let url = rule.parse_lenient(text)?;
    // Both functions agree on every absolute URL.
    assert_eq!(rule.parse(text)?, url, "{text:?}");
    let serialised = url.serialised();
    let tail = serialised.len() - url.query().len() - url.fragment().len();
    let head = format!("{}://{}", url.scheme(), url.host());
    let head = head.len() + url.port().map_or(0, |port| format!(":{port}").len());
    Ok([
        url.host().to_owned(),
        url.port().map_or_else(String::new, |port| port.to_string()),
        serialised[head..tail].to_owned(),
        url.query().to_owned(),
        url.fragment().to_owned(),
    ])
}

#[test]
fn repaired_spellings_are_the_url_that_browsers_request() {
    for (text, expected) in [
        (r"https:\\www.a.example\login", "https://www.a.example/login"),
        ("https:/a.example/x", "https://a.example/x"),
        ("https:a.example/x", "https://a.example/x"),
        ("HTTP:a.example", "http://a.example/"),
        ("ht\ttps://a.example/x", "https://a.example/x"),
        (" \u{1}https://a.exa\nmple/x\r", "https://a.example/x"),
        ("http:@a.example", "http://a.example/"),
        ("http::b@a.example/", "http://a.example/"),
        ("https:////a.example//x", "https://a.example//x"),
        ("https://a.example/a^b?c^d#e^f", "https://a.example/a%5Eb?c^d#e^f"),
        ("https://a.example/\u{a0}", "https://a.example/%C2%A0"),
        ("http://./", "http://./"),
        ("http://%61.example/%41", "http://a.example/%41"),
        ("ws:a.example", "ws://a.example/"),
    ] {
        let rule = rule();
        assert_eq!(rule.parse_lenient(text).unwrap().serialised(), expected, "{text:?}");
        assert_eq!(rule.parse(text).unwrap().serialised(), expected, "{text:?}");
        assert!(split_special_scheme(text).is_some(), "{text:?}");
    }
    let lower = SubUrlRule::default();
    let url = lower.parse("https://a.example/a^b").unwrap();
    assert_eq!(url.path(), "/a%5eb");
}

#[test]
fn texts_without_a_scheme_are_hosts_with_or_without_more() {
    for (text, expected) in [
        ("a.example:8443/x", "https://a.example:8443/x"),
        ("a.example/?next=http://b.example/", "https://a.example/?next=http://b.example/"),
        ("//a.example", "https://a.example/"),
        ("https.example/x", "https://https.example/x"),
        ("\ta.example \n", "https://a.example/"),
    ] {
        assert_eq!(rule().parse_lenient(text).unwrap().serialised(), expected, "{text:?}");
        assert!(split_special_scheme(text).is_none(), "{text:?}");
    }
    for text in ["https:", "https://", "http:///", "https:?x", "ht tps://a.example", "http:a b"] {
        assert!(matches!(rule().parse_lenient(text), Err(UrlError::Syntax(_))), "{text:?}");
    }
    for text in ["mailto:a@a.example", "javascript:alert(1)", "about:blank"] {
        assert_eq!(rule().parse_lenient(text), Err(UrlError::NoHost), "{text:?}");
    }
}

fn url_test_data() -> PathBuf {
    let folder = env::var_os("URLFILTER_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    folder.join("url/urltestdata.json")
}

#[test]
#[ignore = "needs ../shared/vectors"]
fn absolute_urls_of_the_web_platform_tests_agree() {
    let path = url_test_data();
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    let mut differences = Vec::new();
    for case in cases.iter().filter(|case| case.is_object()) {
        let input = case["input"].as_str().unwrap();
        let base = case["base"].as_str().unwrap_or("about:blank");
        let is_http = matches!(split_special_scheme(input), Some(("http" | "https", _)));
        // With a base of the same scheme, `http:x` is relative; a device has no base.
        if !is_http || base != "about:blank" {
            continue;
        }
        let found = parts(input);
        if case["failure"] == true {
            invalid += 1;
            if !matches!(found, Err(UrlError::Syntax(_))) {
                differences.push(format!("{input:?} is invalid, and gives {found:?}"));
            }
            continue;
        }
        valid += 1;
        let part = |name: &str| case[name].as_str().unwrap().to_owned();
        let host = part("hostname");
        let host = match host.strip_suffix('.') {
            Some(shorter) if !shorter.is_empty() => shorter.to_owned(),
            _ => host,
        };
        // An empty query or fragment is `?` or `#` in the serialised URL, and nothing in its parts.
        let expected = [host, part("port"), part("pathname"), part("search"), part("hash")];
        if found.as_ref() != Ok(&expected) {
            differences.push(format!("{input:?} is {expected:?}, and gives {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(valid >= 100 && invalid >= 100, "{valid} valid and {invalid} invalid inputs");
}
