//! What keys block beyond their entries: names that no list means, whole hosts behind stars, and rules of which the text of a key
//! does not tell it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use blocklist::builder::{Builder, Built, Guards, Options};
use blocklist::key::{NameRules, Refusal, Remark};
use blocklist::list::Format;
use filter_core::sub_url::SubUrlRule;

fn builder(rule: Option<&str>) -> Builder {
    let names = NameRules::default().with_protected("bank.example").unwrap();
    let mut options = Options::default().with_guards(Guards::off()).with_names(names);
    if let Some(rule) = rule {
        options = options.with_rule(SubUrlRule::from_json(rule).unwrap());
    }
    Builder::new(options)
}

/// Builds a list, of which `kept.example` is left at least.
fn build(list: &str, rule: Option<&str>) -> Built {
    let builder = builder(rule);
    let builder = builder.add_list("kept", &b"https://kept.example/zz\n"[..], Some(&Format::Urls));
    builder
        .unwrap()
        .add_list("list", list.as_bytes(), Some(&Format::Urls))
        .unwrap()
        .finish()
        .unwrap()
}

fn keys(built: &Built) -> Vec<&str> {
    built.keys.iter().map(|key| std::str::from_utf8(key).unwrap()).collect()
}

fn refused(list: &str, rule: Option<&str>) -> Vec<Refusal> {
    build(list, rule).report.refused.keys().copied().collect()
}

fn remarks(entry: &str, rule: Option<&str>) -> Vec<Remark> {
    let built = builder(rule).add_list("list", entry.as_bytes(), Some(&Format::Urls)).unwrap();
    built.finish().unwrap().report.remarks.keys().copied().collect()
}

#[test]
fn a_star_behind_an_empty_query_is_no_way_around_protected_names() {
    for (entry, refusal) in [
        ("https://apple.com/?*", Refusal::Protected),
        ("https://bank.example/?*", Refusal::Protected),
        ("https://apple.com/%2e?*#", Refusal::Protected),
        ("https://co.uk/?*", Refusal::PublicSuffix),
        ("https://co.uk:8443/?*", Refusal::PublicSuffix),
    ] {
        assert_eq!(refused(entry, None), [refusal], "{entry}");
    }
    assert!(remarks("https://a.example/?*", None).contains(&Remark::CoversWholeHost));
    assert!(!remarks("https://a.example/p?*", None).contains(&Remark::CoversWholeHost));
}

#[test]
fn empty_segments_are_those_of_another_page() {
    for (entry, expected) in [("https://a.example//x", true), ("https://a.example/x", false)] {
        assert_eq!(remarks(entry, None).contains(&Remark::CoversAnotherPage), expected, "{entry}");
    }
}

#[test]
fn names_are_checked_under_every_rule() {
    let host = r#"{"urlParsingRegularExpression": "^[a-z]+://(?<host>[^/:]+)"}"#;
    let site =
        r#"{"urlParsingRegularExpression": "^[a-z]+://(?:[^/:]*\\.)?(?<site>[^/.:]+\\.[^/.:]+)"}"#;
    let no_path =
        r#"{"urlParsingConfiguration": {"path": {"excluded": true}, "query": {"excluded": true}}}"#;
    for (rule, entry, refusal) in [
        (host, "https://bank.example/a", Refusal::Protected),
        (host, "https://www.apple.com/some/page", Refusal::Protected),
        (host, "https://co.uk/", Refusal::PublicSuffix),
        (host, "https://co.uk/a", Refusal::PublicSuffix),
        (host, "127.0.0.1", Refusal::SinkAddress),
        (host, "file.js", Refusal::UnknownSuffix),
        (site, "https://ads.bank.example/", Refusal::Protected),
        (no_path, "https://bank.example/x", Refusal::Protected),
        (no_path, "https://apple.com/y?z", Refusal::Protected),
    ] {
        assert_eq!(refused(entry, Some(rule)), [refusal], "{rule} {entry}");
    }
    assert_eq!(
        keys(&build("https://q.example/", Some(host))),
        ["host=kept.example", "host=q.example"]
    );
}

#[test]
fn what_a_key_covers_is_said_under_every_rule() {
    let host = r#"{"urlParsingRegularExpression": "^[a-z]+://(?<host>[^/:]+)"}"#;
    let whole = r#"{"urlParsingRegularExpression": "^(?<url>.*)$"}"#;
    let site =
        r#"{"urlParsingRegularExpression": "^[a-z]+://(?:[^/:]*\\.)?(?<site>[^/.:]+\\.[^/.:]+)"}"#;
    for (rule, entry, covered) in [
        (host, "https://q.example/shared/user", &[Remark::CoversWholeHost][..]),
        (whole, "https://q.example/shared/user", &[]),
        (site, "https://q.q.example/", &[Remark::CoversSubdomains, Remark::CoversAnotherHost]),
    ] {
        let said = remarks(entry, Some(rule));
        let all = [
            Remark::CoversWholeHost,
            Remark::CoversPaths,
            Remark::CoversSubdomains,
            Remark::CoversAnotherHost,
        ];
        for remark in all {
            assert_eq!(
                said.contains(&remark),
                covered.contains(&remark),
                "{rule} {entry}: {said:?}"
            );
        }
    }
}

#[test]
fn a_key_of_every_url_is_refused() {
    let no_domain = r#"{"urlParsingConfiguration": {"domain": {"excluded": true}}}"#;
    let nothing = r#"{"urlParsingConfiguration": {"domain": {"excluded": true}, "path": {"excluded": true}}}"#;
    let scheme = r#"{"urlParsingRegularExpression": "^(?<scheme>[a-z]+):"}"#;
    assert_eq!(refused("mine.example", Some(no_domain)), [Refusal::EveryUrl]);
    for (rule, entry) in [(nothing, "https://mine.example/x"), (scheme, "https://mine.example/x")] {
        let built = builder(Some(rule)).add_list("list", entry.as_bytes(), Some(&Format::Urls));
        let error = built.unwrap().finish().unwrap_err();
        assert!(error.to_string().contains(Refusal::EveryUrl.name()), "{rule}: {error}");
    }
    // A path that the configuration keeps is one on all hosts.
    let said = remarks("https://mine.example/login.php", Some(no_domain));
    assert!(said.contains(&Remark::CoversAnotherHost), "{said:?}");
}
