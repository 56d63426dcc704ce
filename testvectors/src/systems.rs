//! What released systems ask for, and the keys that serve them.

use blocklist::key::{EntryKind, KeyRules, Systems, canonicalise};
use filter_core::sub_url::{SubUrlRule, System};
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// One for each rule of `docs/device-rules.md`, section "By system".
const URLS: &[&str] = &[
    "https://www.sub1.example.com/a/b/c?id=123#fragment",
    "https://example.com/",
    "https://a.www.example.com/x",
    "https://awww.example.com/x",
    "https://example.com/?q=1",
    "https://example.com/a//b/",
    "https://example.com/%61/%c3%bc%2f/%ff",
    "https://example.com/Path?Query#Fragment",
    "https://example.com:8443/x/",
    "https://user:password@www.example.com/x",
    "https://192.0.2.7/a",
    "https://[2001:db8::1]:8080/a",
    "https://localhost/a",
    "ftps://example.com/a",
    "wss://example.com/a",
    "https://example.com/p?",
    "https://example.com/p#",
    "https://example.com:8080/p?#",
    "https://example.com/?",
];

const ENTRIES: &[&str] = &[
    "example.com",
    "https://www.example.com/a?b#c",
    "https://example.com/Path",
    "https://example.com/a//b",
    "https://example.com/%61/%C3%BC",
    "https://example.com/?Q",
    "https://example.com:8443/",
    "https://example.com:443/x",
    "*.example.com",
    "*.example.com/x",
    "a.www.example.com/x",
    "com",
    "https://example.com/p?",
    "https://example.com:8080/p?#",
];

pub(super) fn systems() -> Value {
    let each = System::ALL.iter().map(|&system| {
        json!({
            "system": system,
            "grade": system.grade(),
            "subUrls": URLS.iter().map(|url| sub_urls(system, url)).collect::<Value>(),
            "keys": keys(&Systems::NONE.with(system).into()),
        })
    });
    let default = Systems::default();
    json!({
        "version": super::VERSION,
        "systems": each.collect::<Value>(),
        "together": [{"systems": default, "keys": keys(&default.into())}],
    })
}

fn sub_urls(system: System, url: &str) -> Value {
    let rule = SubUrlRule::System(system);
    let parsed = rule.parse(url).expect("URLs above are valid");
    let (mut all, mut uncertain) = (Vec::new(), Vec::new());
    let visited = parsed.sub_urls().for_each_graded(|sub_url, certainty| {
        all.push(sub_url.to_owned());
        uncertain.extend((!certainty.is_certain()).then(|| sub_url.to_owned()));
        ControlFlow::<()>::Continue(())
    });
    debug_assert!(visited.is_continue(), "the visit never breaks");
    all.sort_unstable();
    uncertain.sort_unstable();
    json!({"url": url, "subUrls": all, "uncertain": uncertain})
}

fn keys(rules: &KeyRules) -> Value {
    let of = |&entry: &&str| match canonicalise(entry, EntryKind::Url, rules) {
        Ok(key) => {
            let mut keys = vec![key.text.into_owned()];
            keys.extend(key.others);
            let remarks: Value = key.remarks.iter().map(|remark| json!(remark)).collect();
            json!({"entry": entry, "keys": keys, "remarks": remarks})
        }
        Err(refusal) => json!({"entry": entry, "refused": refusal}),
    };
    ENTRIES.iter().map(of).collect()
}
