//! Entries of lists to keys.

use blocklist::key::{EntryKind, canonicalise};
use filter_core::sub_url::SubUrlRule;
use serde_json::{Value, json};

pub(super) fn keys() -> Value {
    const CURRENT: &str = r#"{"profile":"current"}"#;
    const OLDER: &str = r#"{"profile":"ios26.0"}"#;
    const SHORT: &str = r#"{"urlParsingConfiguration":{"domain":{"levels":2},"path":{"segments":1},"query":{"excluded":true}}}"#;
    const PATTERN: &str =
        r#"{"urlParsingRegularExpression":"//(?<host>[^/:?#]+).*[?&]id=(?<id>[0-9]+)"}"#;
    let entries = [
        (CURRENT, "example.com"),
        (CURRENT, "https://example.com/"),
        (CURRENT, "HTTPS://Example.COM/Login/"),
        (CURRENT, "http://www.example.com/a?b=c"),
        (CURRENT, "www.www.example.com"),
        (CURRENT, "https://user:password@example.com/x"),
        (CURRENT, "https://bücher.example/straße?q=ü"),
        (CURRENT, "xn--bcher-kva.example"),
        (CURRENT, "https://example.com:443/x"),
        (CURRENT, "http://example.com:443/x"),
        (CURRENT, "example.com:8443/x"),
        (CURRENT, "https://example.com/a/./b/../c//"),
        (CURRENT, "https://example.com/a//b"),
        (CURRENT, "https://example.com\\a b"),
        (CURRENT, "https://example.com/?q=1"),
        (CURRENT, "https://example.com?q=1"),
        (CURRENT, "https://example.com/a?"),
        (CURRENT, "https://example.com/a#top"),
        (CURRENT, "example.com."),
        (CURRENT, "*.example.com"),
        (CURRENT, "http://0x7f.1/"),
        (CURRENT, "http://[2001:DB8::1]/"),
        (CURRENT, "ftp://example.com/file"),
        (CURRENT, "co.uk"),
        (CURRENT, "com"),
        (CURRENT, "www.com"),
        (CURRENT, "localhost"),
        (CURRENT, "ads*.example.com"),
        (CURRENT, "not a host"),
        (CURRENT, "a..example"),
        (CURRENT, "999.1.1.1"),
        (CURRENT, "mailto:someone@example.com"),
        (CURRENT, "hxxp://example.com/"),
        (OLDER, "https://www.example.com/a"),
        (OLDER, "https://www.example.com:8443/a"),
        (SHORT, "https://www.a.example.com/x/y?b=c"),
        (PATTERN, "https://Example.com/item?id=42"),
        (PATTERN, "https://example.com/item"),
    ];
    let mut all = Vec::new();
    for (rule, entry) in entries {
        let parsed = SubUrlRule::from_json(rule).expect("rules above are valid");
        let mut vector = json!({"entry": entry, "rule": serde_json::from_str::<Value>(rule).expect("rules above are JSON")});
        match canonicalise(entry, EntryKind::Url, &parsed.into()) {
            Ok(key) => {
                vector["key"] = json!(key.text);
                if let Some(also) = key.others.first() {
                    vector["alsoKey"] = json!(also);
                }
                vector["remarks"] = key.remarks.iter().map(|remark| json!(remark)).collect();
            }
            Err(refusal) => vector["refused"] = json!(refusal),
        }
        all.push(vector);
    }
    all.into()
}
