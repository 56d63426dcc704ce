//! The sub-URLs of released systems.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use filter_core::bloom::{BloomFilter, Sizing};
use filter_core::sub_url::{Certainty, SubUrlRule, System};
use proptest::prelude::*;
use std::ops::ControlFlow;

/// The sub-URLs in byte order; those that are uncertain have a `?` in front.
fn graded(system: System, url: &str) -> Vec<String> {
    let rule = SubUrlRule::System(system);
    let url = rule.parse(url).unwrap();
    let mut all = Vec::new();
    let outcome = url.sub_urls().for_each_graded(|text, certainty| {
        let mark = if certainty.is_certain() { "" } else { "?" };
        all.push((text.to_owned(), format!("{mark}{text}")));
        ControlFlow::<()>::Continue(())
    });
    assert!(outcome.is_continue());
    all.sort();
    all.into_iter().map(|(_, marked)| marked).collect()
}

#[test]
fn system_26_asks_for_parents_without_a_path() {
    assert_eq!(
        graded(System::V26, "https://a.example.com:443/x?q#f"),
        [
            "a.example.com",
            "a.example.com/",
            "a.example.com/x",
            "a.example.com/x/",
            "a.example.com/x?q",
            "a.example.com/x?q#f",
            "a.example.com/x?q#f/",
            "a.example.com/x?q/",
            "com",
            "com/",
            "example.com",
            "example.com/",
            "www.a.example.com",
            "www.a.example.com/",
            "www.a.example.com/x",
            "www.a.example.com/x/",
            "www.a.example.com/x?q",
            "www.a.example.com/x?q#f",
            "www.a.example.com/x?q#f/",
            "www.a.example.com/x?q/",
        ]
    );
    let with_www = graded(System::V26, "https://www.a.example.com/x?q#f");
    assert_eq!(with_www, graded(System::V26, "https://a.example.com/x?q#f"));
}

#[test]
fn system_26_has_the_24_of_the_first_documentation() {
    let older = SubUrlRule::from_json(r#"{"profile":"ios26.0"}"#).unwrap();
    let url = "https://www.example.com/a/b/c?id=123#fragment";
    let mut expected = older.parse(url).unwrap().sub_urls().sorted(100).unwrap();
    expected.extend(["com".to_owned(), "com/".to_owned()]);
    expected.sort();
    assert_eq!(graded(System::V26, url), expected);
}

#[test]
fn system_26_takes_each_www_out_of_the_host() {
    let all = graded(System::V26, "https://a.www.example.com/x");
    for sub_url in
        ["a.example.com/x", "www.a.www.example.com/x", "a.www.example.com", "www.example.com"]
    {
        assert!(all.contains(&sub_url.to_owned()), "{sub_url} is not in {all:?}");
    }
    // What stands behind `://` is asked for as it is.
    assert!(all.contains(&"a.www.example.com/x".to_owned()));
    assert!(!all.contains(&"a.www.example.com/x/".to_owned()));
}

#[test]
fn system_26_decodes_components_and_leaves_empty_ones_out() {
    assert_eq!(
        graded(System::V26, "https://192.0.2.7/%61//b%c3%bc/%ff/"),
        [
            "192.0.2.7",
            "192.0.2.7/",
            "192.0.2.7/%61//b%c3%bc/%ff/",
            "192.0.2.7/a",
            "192.0.2.7/a/",
            "192.0.2.7/a/b\u{fc}",
            "192.0.2.7/a/b\u{fc}/",
            "192.0.2.7/a/b\u{fc}/%ff",
            "192.0.2.7/a/b\u{fc}/%ff/",
        ]
    );
}

#[test]
fn system_26_asks_for_ports_only_in_the_verbatim_text() {
    let all = graded(System::V26, "https://u:p@www.example.com:8443/a/");
    let with_port: Vec<&String> = all.iter().filter(|text| text.contains(':')).collect();
    assert_eq!(with_port, ["u:p@www.example.com:8443/a/"]);
    assert!(all.contains(&"example.com/a".to_owned()));
}

#[test]
fn system_26_keeps_an_empty_query_and_fragment_in_the_verbatim_text() {
    for (url, verbatim, absent) in [
        ("http://a.example:8080/p?", "a.example:8080/p?", "a.example:8080/p"),
        ("http://a.example:8080/p/?", "a.example:8080/p/?", "a.example:8080/p/"),
        ("http://a.example:8080/p#", "a.example:8080/p#", "a.example:8080/p"),
        ("http://a.example:8080/p?#", "a.example:8080/p?#", "a.example:8080/p?"),
        ("http://a.example:8080/p?q#", "a.example:8080/p?q#", "a.example:8080/p?q"),
        ("http://a.example:8080?", "a.example:8080/?", "a.example:8080/"),
        ("http://a.example:8080/p?#f", "a.example:8080/p?#f", "a.example:8080/p#f"),
        ("http://a.example/p?", "a.example/p?", "a.example:80/p"),
        ("http://u@a.example/./p/?#", "u@a.example/p/?#", "a.example/p/#"),
    ] {
        let all = graded(System::V26, url);
        assert!(all.contains(&verbatim.to_owned()), "{url}: {all:?}");
        assert!(!all.iter().any(|text| text.trim_start_matches('?') == absent), "{url}: {all:?}");
        for system in [System::V27, System::V27Unconfigured] {
            assert!(!graded(system, url).iter().any(|text| text.ends_with(['?', '#'])), "{url}");
        }
    }
}

#[test]
fn letters_are_asked_for_as_written_and_in_lower_case_on_26_and_it_is_said_that_this_is_uncertain()
{
    assert_eq!(
        graded(System::V26, "https://192.0.2.7/a/B?c"),
        [
            "192.0.2.7",
            "192.0.2.7/",
            "192.0.2.7/a",
            "192.0.2.7/a/",
            "?192.0.2.7/a/B",
            "?192.0.2.7/a/B/",
            "?192.0.2.7/a/B?c",
            "?192.0.2.7/a/B?c/",
            "?192.0.2.7/a/b",
            "?192.0.2.7/a/b/",
            "?192.0.2.7/a/b?c",
            "?192.0.2.7/a/b?c/",
        ]
    );
}

#[test]
fn the_slash_between_a_root_and_its_query_is_certain_on_26_only_as_written() {
    let all = graded(System::V26, "https://192.0.2.7/?q");
    assert_eq!(
        all,
        [
            "192.0.2.7",
            "192.0.2.7/",
            "192.0.2.7/?q",
            "?192.0.2.7/?q/",
            "?192.0.2.7?q",
            "?192.0.2.7?q/"
        ]
    );
}

#[test]
fn readings_that_all_hit_are_certain_together() {
    let together = |system, url: &str, keys: &[&str]| {
        let mut filter = BloomFilter::empty(Sizing::Round.parameters(10, 1e-9, 5).unwrap());
        filter.insert_all(keys.iter().map(|key| key.as_bytes()));
        let rule = SubUrlRule::System(system);
        let hits = rule.parse(url).unwrap().sub_urls().graded_hits_within(&filter, 100).unwrap();
        assert_eq!(hits.len(), keys.len(), "{hits:?}");
        hits.iter().fold(Certainty::NEVER, |all, (_, certainty)| all.or(*certainty)).is_certain()
    };
    let page = "https://a.example/Page";
    assert!(together(System::V26, page, &["a.example/Page", "a.example/page"]));
    assert!(!together(System::V26, page, &["a.example/Page", "www.a.example/Page"]));
    let root = "https://a.example/?Q#f";
    let four = ["a.example/?Q", "a.example/?q", "a.example?Q", "a.example?q"];
    assert!(together(System::V26, root, &four));
    for missing in 0..4 {
        let three: Vec<&str> = four.iter().copied().filter(|key| *key != four[missing]).collect();
        assert!(!together(System::V26, root, &three));
    }
    let www = "https://www.a.example/x";
    assert!(together(System::V27Unconfigured, www, &["a.example", "www.a.example/x"]));
    assert!(!together(System::V27Unconfigured, www, &["a.example", "a.example/x"]));
}

#[test]
fn system_27_is_the_documented_rule_without_empty_segments() {
    let current = SubUrlRule::default();
    let documented = "https://www.sub1.example.com/a/b/c?id=123#fragment";
    let expected = current.parse(documented).unwrap().sub_urls().sorted(100).unwrap();
    assert_eq!(expected.len(), 48);
    assert_eq!(graded(System::V27, documented), expected);
    let doubled = "https://www.sub1.example.com//a/b///c?id=123#fragment";
    assert_eq!(graded(System::V27, doubled), expected);
}

#[test]
fn system_27_knows_the_ports_of_six_schemes() {
    for (scheme, port) in [
        ("http", Some(80)),
        ("https", Some(443)),
        ("ftp", Some(21)),
        ("ftps", Some(990)),
        ("ssh", Some(22)),
        ("telnet", Some(23)),
        ("ws", None),
        ("wss", None),
    ] {
        let all = graded(System::V27, &format!("{scheme}://example.com/a"));
        let with_port = all.iter().find(|text| text.ends_with("/a") && text.contains(':'));
        assert_eq!(
            with_port,
            port.map(|port| format!("example.com:{port}/a")).as_ref(),
            "{scheme}"
        );
    }
}

#[test]
fn system_27_without_a_configuration_asks_for_the_host_alone() {
    assert_eq!(
        graded(System::V27Unconfigured, "https://a.example.com/"),
        ["a.example.com", "a.example.com/", "a.example.com:443", "a.example.com:443/"]
    );
    // Whether `www.` is removed is not known.
    let with_www = graded(System::V27Unconfigured, "https://www.example.com/");
    assert!(with_www.contains(&"?example.com".to_owned()));
    assert!(with_www.contains(&"?www.example.com".to_owned()));
    assert!(!with_www.iter().any(|text| text.ends_with("com/") && !text.contains("example")));
}

#[test]
fn names_of_systems_are_read_back() {
    for &system in System::ALL {
        assert_eq!(system.name().parse(), Ok(system));
        let json = format!(r#"{{"system":"{system}"}}"#);
        assert_eq!(SubUrlRule::from_json(&json), Ok(SubUrlRule::System(system)));
    }
    let message = "28".parse::<System>().unwrap_err().to_string();
    assert!(message.contains("28") && message.contains("27-unconfigured"), "{message}");
}

const URL: &str = "https?://(u@)?(www\\.)?([a-c]{1,2}\\.|www\\.){0,4}[a-z]{2,4}(:80|:8443)?(/[a-cA-C]{0,2}(%41|%2F|%ff)?){0,5}(\\?[a-dA=&]{1,6})?(#[a-cB]{1,2})?";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]
    #[test]
    fn sub_urls_of_systems_are_distinct_and_found(url in URL, system in prop::sample::select(System::ALL), fill in any::<u64>()) {
        let rule = SubUrlRule::System(system);
        let url = rule.parse(&url).unwrap();
        let sub_urls = url.sub_urls();
        let all = sub_urls.sorted(10_000).unwrap();
        let mut distinct = all.clone();
        distinct.dedup();
        prop_assert_eq!(&distinct, &all);
        let mut filter = BloomFilter::empty(Sizing::Round.parameters(200, 0.3, 5).unwrap());
        for i in 0..200 {
            filter.insert(&(fill ^ i).to_le_bytes());
        }
        let expected: Vec<String> =
            all.iter().filter(|text| filter.contains(text.as_bytes())).cloned().collect();
        prop_assert_eq!(sub_urls.may_hit(&filter), !expected.is_empty());
        prop_assert_eq!(sub_urls.hits_in(&filter), expected);
        filter.insert_all(all.iter().map(String::as_bytes));
        prop_assert_eq!(sub_urls.hits_in(&filter), all);
    }
}
