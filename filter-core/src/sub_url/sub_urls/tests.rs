use super::*;
use crate::bloom::{Parameters, Sizing};
use crate::sub_url::UrlError;
use proptest::prelude::*;

fn list(url: &str, rule: &str) -> Vec<String> {
    let rule = SubUrlRule::from_json(rule).unwrap();
    rule.parse(url).unwrap().sub_urls().sorted(10_000).unwrap()
}

const EXAMPLE: &str = "https://www.example.com/a/b/c?id=123#fragment";

#[test]
fn the_older_rule_lists_24() {
    let mut expected: Vec<String> = ["example.com", "www.example.com"]
        .iter()
        .flat_map(|host| {
            [
                "",
                "/",
                "/a",
                "/a/",
                "/a/b",
                "/a/b/",
                "/a/b/c",
                "/a/b/c/",
                "/a/b/c?id=123",
                "/a/b/c?id=123/",
                "/a/b/c?id=123#fragment",
                "/a/b/c?id=123#fragment/",
            ]
            .map(|form| format!("{host}{form}"))
        })
        .collect();
    expected.sort();
    assert_eq!(list(EXAMPLE, r#"{"profile":"ios26.0"}"#), expected);
    let deep = list("https://www.sub.example.com:8443/", r#"{"profile":"ios26.0"}"#);
    assert_eq!(
        deep,
        [
            "example.com",
            "example.com/",
            "sub.example.com",
            "sub.example.com/",
            "www.sub.example.com",
            "www.sub.example.com/",
        ]
    );
}

#[cfg(feature = "url")]
#[test]
fn the_default_configuration_is_the_current_rule() {
    for url in [EXAMPLE, "http://a.b.c.d/", "https://192.0.2.7:80/x//y/?q", "https://localhost/#f"]
    {
        assert_eq!(list(url, "{}"), list(url, r#"{"profile":"current"}"#), "{url}");
    }
}

#[test]
fn excluded_components_leave_a_placeholder() {
    let forms = list(
        EXAMPLE,
        r#"{"path":{"excluded":true,"segments":1},"domain":{"enumerateHierarchy":false}}"#,
    );
    let without_port: Vec<&String> = forms.iter().filter(|f| !f.contains(':')).collect();
    assert_eq!(
        without_port,
        [
            "example.com",
            "example.com/",
            "example.com/%*",
            "example.com/%*?id=123",
            "example.com/%*?id=123#fragment",
        ]
    );
    assert_eq!(
        list(
            EXAMPLE,
            r#"{"domain":{"excluded":true},"path":{"enumerateHierarchy":false},"query":{"excluded":true},"excludeFragment":true,"excludeIntermediates":true}"#
        ),
        ["%*/a/b/c/?%*#%*", "%*/a/b/c?%*#%*"]
    );
    // Nothing stands for a component that the URL lacks.
    let all = r#"{"path":{"excluded":true},"query":{"excluded":true},"excludeFragment":true}"#;
    assert!(list("https://example.com/", all).iter().all(|s| !s.contains('%')));
}

#[test]
fn levels_segments_parameters_scheme_and_case() {
    let levels = list("https://www.sub.example.com/", r#"{"domain":{"levels":2}}"#);
    assert_eq!(levels, ["example.com", "example.com/", "example.com:443", "example.com:443/"]);
    let kept = list(
        "http://example.com/a/b/c/d?external&id=123&type=abc",
        r#"{"excludeScheme":false,"path":{"segments":2},"query":{"parameters":["id","external"]},"excludeIntermediates":true}"#,
    );
    assert_eq!(
        kept,
        [
            "http://example.com/a/b/?id=123&external",
            "http://example.com/a/b?id=123&external",
            "http://example.com:80/a/b/?id=123&external",
            "http://example.com:80/a/b?id=123&external",
        ]
    );
    let none = list(
        "https://example.com/a?x=1",
        r#"{"query":{"parameters":[]},"excludeIntermediates":true}"#,
    );
    assert_eq!(
        none,
        ["example.com/a", "example.com/a/", "example.com:443/a", "example.com:443/a/"]
    );
    assert!(
        list("https://Example.com/Ab", r#"{"caseSensitive":true}"#)
            .contains(&"example.com/Ab".into())
    );
    let www = list(
        "https://www.example.com/",
        r#"{"domain":{"stripWWW":false,"enumerateHierarchy":false}}"#,
    );
    assert!(www.iter().all(|s| s.starts_with("www.example.com")));
}

#[cfg(feature = "regex")]
#[test]
fn an_expression_gives_one_string_or_none() {
    let rule = r#"{"urlParsingRegularExpression":"//(?<host>[^/]+)/(?<first>[a-z]+)"}"#;
    assert_eq!(list("https://www.Example.com/Abc/d", rule), ["host=www.example.com first=abc"]);
    assert!(list("https://example.com/1", rule).is_empty());
}

#[test]
fn the_limits_of_number_and_text_are_inclusive() {
    let rule = SubUrlRule::default();
    let url = rule.parse(EXAMPLE).unwrap();
    let sub_urls = url.sub_urls();
    let all = sub_urls.sorted(1_000).unwrap();
    let text: usize = all.iter().map(String::len).sum();
    for (limit, accepted) in [(all.len() - 1, false), (all.len(), true), (all.len() + 1, true)] {
        let expected = if accepted { Ok(all.clone()) } else { Err(TooManySubUrls { limit }) };
        assert_eq!(sub_urls.sorted(limit), expected);
    }
    for (max_text, accepted) in [(text - 1, false), (text, true), (text + 1, true)] {
        assert_eq!(sub_urls.sorted_within(1_000, max_text).is_ok(), accepted, "{max_text}");
    }
}

#[test]
fn a_url_with_too_many_sub_urls_is_refused_in_bounded_memory() {
    let url = format!("https://{}example.com{}", "a.".repeat(100), "/b".repeat(20_000));
    let rule = SubUrlRule::default();
    let url = rule.parse(&url).unwrap();
    let sub_urls = url.sub_urls();
    assert_eq!(sub_urls.sorted(1_000), Err(TooManySubUrls { limit: 1_000 }));
    assert!(sub_urls.sorted(usize::MAX).is_err());
}

fn rules() -> impl Strategy<Value = SubUrlRule> {
    let mut rules = vec![
        r#"{"profile":"current"}"#,
        r#"{"profile":"ios26.0"}"#,
        r#"{"excludeScheme":false,"path":{"segments":1}}"#,
        r#"{"path":{"excluded":true},"domain":{"levels":2}}"#,
        r#"{"path":{"enumerateHierarchy":false},"query":{"parameters":["a","b"]},"caseSensitive":true}"#,
        r#"{"excludeIntermediates":true,"excludeFragment":true}"#,
    ];
    if cfg!(feature = "regex") {
        rules.push(r#"{"urlParsingRegularExpression":"//(?<host>[^/]+)/(?<first>[a-z]+)"}"#);
    }
    prop::sample::select(rules).prop_map(|json| SubUrlRule::from_json(json).unwrap())
}

#[test]
fn the_hits_of_one_url_are_bounded_in_number_and_text() {
    let mut filter = BloomFilter::empty(Parameters::new(64, 1, 1).unwrap());
    (0..10_000_u32).for_each(|number| filter.insert(&number.to_le_bytes()));
    let rule = SubUrlRule::default();
    let url = rule.parse("https://a.b.example/x/y").unwrap();
    let sub_urls = url.sub_urls();
    let all = sub_urls.hits_in(&filter);
    assert!(all == sub_urls.sorted(1_000).unwrap(), "every bit of the filter is set");
    for (limit, is_held) in [(all.len() - 1, false), (all.len(), true), (all.len() + 1, true)] {
        let held = sub_urls.hits_within(&filter, limit);
        assert_eq!(held.is_ok(), is_held, "{limit}");
        assert_eq!(sub_urls.graded_hits_within(&filter, limit).is_ok(), is_held, "{limit}");
    }
    let text = all.iter().map(String::len).sum::<usize>();
    for (max, is_held) in [(text - 1, false), (text, true), (text + 1, true)] {
        assert_eq!(sub_urls.collect_hits(&filter, 1_000, max, |_, _| ()).is_ok(), is_held, "{max}");
    }
}

/// More than are tested together, in paths and in hosts, with and without a branch of the walk.
#[test]
fn every_one_of_hundreds_of_sub_urls_is_tested() {
    let full = BloomFilter::from_bytes(Parameters::new(8, 7, 1).unwrap(), vec![0xff]).unwrap();
    let names = ["current", "ios26.0"].map(|name| format!(r#"{{"profile":"{name}"}}"#));
    let systems = System::ALL.iter().map(|system| format!(r#"{{"system":"{system}"}}"#));
    for rule in names.into_iter().chain(systems) {
        for segments in [1, 3, 7, 8, 15, 16, 17, 40] {
            let path = "/Abcde".repeat(segments);
            let url = format!("https://www.a.b.c.d.e.f.example.com{path}?q=1#f");
            let rule = SubUrlRule::from_json(&rule).unwrap();
            let url = rule.parse(&url).unwrap();
            let all = url.sub_urls().sorted(10_000).unwrap();
            assert_eq!(url.sub_urls().hits_in(&full), all, "{rule:?}, {segments}");
            let last = all.last().unwrap();
            let mut one = BloomFilter::empty(Parameters::new(1 << 22, 7, 1).unwrap());
            one.insert(last.as_bytes());
            assert_eq!(url.sub_urls().hits_in(&one), [last.as_str()], "{rule:?}, {segments}");
        }
    }
}

#[test]
fn a_url_with_millions_of_hits_is_refused() {
    let mut filter = BloomFilter::empty(Parameters::new(64, 1, 1).unwrap());
    (0..10_000_u32).for_each(|number| filter.insert(&number.to_le_bytes()));
    let prefilter = crate::Prefilter::new(filter, crate::file::Description::default()).unwrap();
    let url = format!("https://{}example/{}", "a.".repeat(100), "a/".repeat(30_000));
    assert!(matches!(prefilter.hits(&url), Err(UrlError::TooManyHits(_))));
}

const URL: &str = "https?://(www\\.)?([a-c]{1,2}\\.){0,5}[a-z]{2}(:80|:8443)?(/[a-cA-C]{0,2}){0,6}(\\?[a-d=&]{0,6})?(#[a-c]{0,2})?";

proptest! {
    #[test]
    fn one_pass_finds_what_one_by_one_finds(url in URL, rule in rules(), bits in 8u32..400, fill in any::<u64>(), seed in any::<u32>()) {
        let parameters = Parameters::new(bits, 4, seed).unwrap();
        let mut filter = BloomFilter::empty(parameters);
        for i in 0..bits / 5 {
            filter.insert(&(fill ^ u64::from(i)).to_le_bytes());
        }
        let url = rule.parse(&url).unwrap();
        let sub_urls = url.sub_urls();
        let mut expected = sub_urls.sorted(100_000).unwrap();
        let before = expected.len();
        expected.dedup();
        prop_assert_eq!(before, expected.len(), "sub-URLs must be distinct");
        expected.retain(|sub_url| filter.contains(sub_url.as_bytes()));
        prop_assert_eq!(sub_urls.may_hit(&filter), !expected.is_empty());
        prop_assert_eq!(sub_urls.hits_in(&filter), expected);
    }

    #[test]
    fn every_sub_url_that_was_inserted_is_found(url in URL, rule in rules()) {
        let url = rule.parse(&url).unwrap();
        let sub_urls = url.sub_urls();
        let all = sub_urls.sorted(100_000).unwrap();
        let mut filter = BloomFilter::empty(Sizing::Round.parameters(all.len().max(1) as u64, 0.01, 5).unwrap());
        filter.insert_all(all.iter().map(String::as_bytes));
        prop_assert_eq!(sub_urls.hits_in(&filter), all);
    }
}
