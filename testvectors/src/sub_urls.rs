//! URLs to their sub-URLs.

use filter_core::sub_url::SubUrlRule;
use serde_json::{Value, json};

const CURRENT: &str = r#"{"profile":"current"}"#;
const OLDER: &str = r#"{"profile":"ios26.0"}"#;

/// Examples of the documentation first, then one for each rule that it leaves open.
const CASES: &[(&str, &str)] = &[
    (CURRENT, "https://www.sub1.example.com/a/b/c?id=123#fragment"),
    (CURRENT, "http://example.com"),
    (CURRENT, "https://example.com/?q=1"),
    (CURRENT, "https://example.com:8443/x/"),
    (CURRENT, "http://example.com:443/x"),
    (CURRENT, "https://a.b.c.d.example.co.uk/p"),
    (CURRENT, "https://192.0.2.7/login.php?u=1"),
    (CURRENT, "https://[2001:db8::1]/a"),
    (CURRENT, "https://user:pw@Example.COM/PaTh"),
    (CURRENT, "https://example.com/a#frag"),
    (CURRENT, "https://example.com/#frag"),
    (CURRENT, "https://example.com/a?#"),
    (CURRENT, "https://example.com/a//b"),
    (CURRENT, "https://example.com//"),
    (CURRENT, "https://example.com/a/b///?q"),
    (CURRENT, "https://example.com./a"),
    (CURRENT, "https://www.com/"),
    (CURRENT, "https://www.www.example.com/"),
    (CURRENT, "https://localhost/a"),
    (CURRENT, "https://bücher.example/ü?ä=ö"),
    (CURRENT, "https://example.com/a/../b/%2e/c"),
    (CURRENT, "custom://Example.com/a"),
    (OLDER, "https://www.example.com/a/b/c?id=123#fragment"),
    (OLDER, "https://www.sub.example.com:8443/"),
    (OLDER, "https://example.com/?q=1"),
    (
        r#"{"urlParsingConfiguration":{"path":{"excluded":true}}}"#,
        "https://www.example.com/a/b/c?id=123#fragment",
    ),
    (
        r#"{"urlParsingConfiguration":{"domain":{"excluded":true},"query":{"excluded":true},"excludeFragment":true}}"#,
        "https://www.example.com/a/b?id=123#fragment",
    ),
    (r#"{"urlParsingConfiguration":{"domain":{"levels":2}}}"#, "https://www.sub.example.com/a"),
    (
        r#"{"urlParsingConfiguration":{"domain":{"stripWWW":false,"enumerateHierarchy":false},"path":{"segments":2}}}"#,
        "https://www.example.com/a/b/c/d",
    ),
    (
        r#"{"urlParsingConfiguration":{"path":{"enumerateHierarchy":false}}}"#,
        "https://example.com/a/b/c?q",
    ),
    (
        r#"{"urlParsingConfiguration":{"excludeScheme":false,"query":{"parameters":["id","external"]}}}"#,
        "http://example.com/a/b/c?external&id=123&type=abc",
    ),
    (
        r#"{"urlParsingConfiguration":{"excludeIntermediates":true}}"#,
        "https://www.example.com/a/b?id=1#f",
    ),
    (r#"{"urlParsingConfiguration":{"caseSensitive":true}}"#, "https://Example.com/Path?Q"),
    (
        r#"{"urlParsingRegularExpression":"//(?<host>[^/:?#]+)(?:/(?<first>[^/?#]+))?"}"#,
        "https://www.Example.com/Shop/item",
    ),
    (r#"{"urlParsingRegularExpression":"[?&]id=(?<id>[0-9]+)"}"#, "https://example.com/none"),
];

pub(super) fn sub_urls() -> Value {
    let case = |&(rule, url): &(&str, &str)| {
        let parsed_rule = SubUrlRule::from_json(rule).expect("rules above are valid");
        let parsed = parsed_rule.parse(url).expect("URLs above are valid");
        let sub_urls = parsed.sub_urls().sorted(10_000);
        let sub_urls = sub_urls.expect("URLs above have few sub-URLs");
        let rule: Value = serde_json::from_str(rule).expect("rules above are JSON");
        json!({"url": url, "rule": rule, "subUrls": sub_urls})
    };
    CASES.iter().map(case).collect()
}
