use super::plain::{PlainEntry, plain_entry};
use super::rewrite::rewrite;
use super::*;
use filter_core::sub_url::parts::split_scheme;
use filter_core::sub_url::{MAX_URL_LENGTH, System};
use proptest::prelude::*;

/// The documented rule alone.
fn documented() -> KeyRules {
    SubUrlRule::default().into()
}

fn all_systems() -> KeyRules {
    filter_core::sub_url::System::ALL.iter().copied().collect::<Systems>().into()
}

fn current(entry: &str) -> Result<(String, Vec<Remark>), Refusal> {
    canonicalise(entry, EntryKind::Url, &documented())
        .map(|key| (key.text.into_owned(), key.remarks.iter().collect()))
}

#[test]
fn entries_become_keys_with_remarks() {
    use Remark::*;
    for (entry, key, remarks) in [
        ("example.com", "example.com", vec![]),
        ("example.com/", "example.com", vec![]),
        ("http://example.com/a/b?x=1", "example.com/a/b?x=1", vec![]),
        ("https://example.com/?q=1", "example.com/?q=1", vec![]),
        ("https://example.com?q=1", "example.com/?q=1", vec![]),
        ("example.com/a/", "example.com/a", vec![TrailingSlashRemoved]),
        ("EXAMPLE.com", "example.com", vec![LowerCased]),
        ("https://example.com/Path?Q", "example.com/path?q", vec![LowerCased]),
        ("www.example.com", "example.com", vec![WwwRemoved]),
        ("https://www.www.example.com/x", "example.com/x", vec![WwwRemoved]),
        ("https://user:pw@example.com/", "example.com", vec![UserInfoRemoved]),
        ("example.com.", "example.com", vec![HostNormalised]),
        ("https://example.com./", "example.com", vec![HostNormalised, CoversAnotherHost]),
        (
            "https://u@example.com.",
            "example.com",
            vec![HostNormalised, UserInfoRemoved, CoversAnotherHost],
        ),
        ("https://example.com%2E/x", "example.com/x", vec![HostNormalised, CoversAnotherHost]),
        ("example.com./x", "example.com/x", vec![HostNormalised, CoversAnotherHost]),
        ("example.com.:8080", "example.com:8080", vec![HostNormalised, CoversAnotherHost]),
        ("http://192.0.2.7./x", "192.0.2.7/x", vec![HostNormalised]),
        (
            "https://bücher.example/ü",
            "xn--bcher-kva.example/%c3%bc",
            vec![Punycoded, PathNormalised],
        ),
        ("https://example.com/a/../b", "example.com/b", vec![PathNormalised]),
        ("https://example.com:443/x", "example.com:443/x", vec![DefaultPortKept]),
        ("example.com:80", "example.com:80", vec![DefaultPortKept]),
        ("example.com:8443/x", "example.com:8443/x", vec![]),
        ("https://example.com/a#b", "example.com/a#b", vec![FragmentKept]),
        ("https://example.com/a?#", "example.com/a", vec![PathNormalised]),
        ("ftp://192.0.2.7/x", "192.0.2.7/x", vec![SchemeWidened]),
        ("http://0x7f.1/", "127.0.0.1", vec![HostNormalised]),
        ("*.example.com", "example.com", vec![SubdomainWildcard]),
        (".example.com", "example.com", vec![SubdomainWildcard]),
        ("http://example.com/jp/*", "example.com/jp", vec![EndStarRemoved]),
        ("example.com/*", "example.com", vec![EndStarRemoved]),
        ("*.example.com/*", "example.com", vec![SubdomainWildcard, EndStarRemoved]),
        ("https://example.com/*/**", "example.com", vec![EndStarRemoved]),
        ("example.com:8443/*", "example.com:8443", vec![EndStarRemoved]),
        ("https://example.com/a/*/b", "example.com/a/*/b", vec![StarKept]),
        ("https://example.com/a#*", "example.com/a#*", vec![FragmentKept, StarKept]),
        ("wss://example.com:443/x", "example.com/x", vec![SchemeWidened]),
        ("ws://example.com:80/x", "example.com/x", vec![SchemeWidened]),
        ("ws://example.com:443/x", "example.com:443/x", vec![SchemeWidened, DefaultPortKept]),
        ("//example.com/x", "example.com/x", vec![]),
        (r"https:\\evil.example\x", "evil.example/x", vec![PathNormalised]),
        (r"https:\\evil.example", "evil.example", vec![PathNormalised]),
        ("https:/evil.example/x", "evil.example/x", vec![PathNormalised]),
        ("http:evil.example", "evil.example", vec![PathNormalised]),
        ("https://e.example/a^b", "e.example/a%5eb", vec![PathNormalised]),
        ("co.uk", "co.uk", vec![]),
        ("[2001:DB8::1]:8080/a", "[2001:db8::1]:8080/a", vec![LowerCased]),
        ("2001:db8::1", "[2001:db8::1]", vec![HostNormalised]),
    ] {
        let mut remarks = remarks;
        remarks.sort_unstable();
        assert_eq!(current(entry), Ok((key.to_owned(), remarks)), "{entry}");
    }
}

#[test]
fn entries_without_a_key_are_refused() {
    for (entry, refusal) in [
        ("com", Refusal::SingleLabel),
        ("123", Refusal::NotAHost),
        ("1.5", Refusal::NotAHost),
        ("1.2.3", Refusal::NotAHost),
        ("12:30", Refusal::NotAHost),
        ("abuse@example.com", Refusal::NotAHost),
        ("http://localhost/x", Refusal::SingleLabel),
        ("www.com", Refusal::SingleLabel),
        ("not a host", Refusal::NotAUrl),
        ("a..example", Refusal::NotAHost),
        ("exa$mple.com", Refusal::NotAHost),
        ("999.999.999.999", Refusal::NotAUrl),
        ("ads*.example.com", Refusal::Wildcard),
        ("http://*", Refusal::Wildcard),
        ("mailto:a@example.com", Refusal::NoHost),
        ("javascript:alert(1)", Refusal::NoHost),
        ("hxxp://example.com/", Refusal::Scheme),
        ("http:80", Refusal::SingleLabel),
        ("ws:80/x", Refusal::SingleLabel),
        ("", Refusal::NotAUrl),
    ] {
        assert_eq!(current(entry).err(), Some(refusal), "{entry}");
    }
    let label = format!("{}.example", "a".repeat(64));
    assert_eq!(current(&label).err(), Some(Refusal::NotAHost));
    let long = format!("example.com/{}", "a".repeat(70_000));
    assert_eq!(current(&long).err(), Some(Refusal::TooLong));
    let host = |entry| canonicalise(entry, EntryKind::Host, &documented()).err();
    assert_eq!(host("example.com/x"), Some(Refusal::NotAHost));
    assert_eq!(host("example.com:80"), Some(Refusal::NotAHost));
}

#[test]
fn the_older_rule_keeps_the_www_form_and_no_port() {
    let rules = SubUrlRule::Profile(Profile::Ios26_0).into();
    let key = canonicalise("www.example.com:8443/x", EntryKind::Url, &rules).unwrap();
    assert_eq!(
        (&*key.text, &*key.others),
        ("example.com/x", &["www.example.com/x".to_owned()][..])
    );
    assert!(key.remarks.contains(Remark::PortRemoved) && key.remarks.contains(Remark::WwwRemoved));
}

#[test]
fn configurations_shape_the_keys() {
    let key = |entry, json| {
        let rules = SubUrlRule::from_json(json).unwrap().into();
        let key = canonicalise(entry, EntryKind::Url, &rules).unwrap();
        let dropped = key.remarks.contains(Remark::ComponentDropped);
        (key.text.into_owned(), key.others.first().cloned(), dropped)
    };
    let entry = "www.a.example.com/x/y?b=1&a=2#f";
    assert_eq!(
        key(entry, r#"{"domain":{"levels":2},"path":{"segments":1}}"#),
        ("example.com/x?b=1&a=2#f".into(), None, true)
    );
    assert_eq!(
        key(
            entry,
            r#"{"path":{"excluded":true},"query":{"parameters":["a"]},"excludeFragment":true}"#
        ),
        ("a.example.com/%*?a=2#%*".into(), None, true)
    );
    assert_eq!(
        key("example.com/X", r#"{"excludeScheme":false,"caseSensitive":true}"#),
        ("http://example.com/X".into(), Some("https://example.com/X".into()), false)
    );
    let rule = r#"{"urlParsingRegularExpression":"id=(?<id>[0-9]+)"}"#;
    assert_eq!(key("example.com/?id=7", rule).0, "id=7");
    let none =
        canonicalise("example.com", EntryKind::Url, &SubUrlRule::from_json(rule).unwrap().into());
    assert_eq!(none.err(), Some(Refusal::NoMatch));
}

/// A host of `length` bytes in labels of at most 63.
fn host(length: usize) -> String {
    let mut host = "a.example".to_owned();
    while host.len() < length {
        let label = (length - host.len() - 1).min(MAX_LABEL);
        // A label cannot be empty, so the last but one may have to be shorter.
        let label = if length - host.len() - 1 == label + 1 { label - 1 } else { label };
        host = format!("{}.{host}", "b".repeat(label));
    }
    assert_eq!(host.len(), length);
    host
}

/// Ways of writing an entry for a host: one is a key already, the others are rewritten.
fn spellings(host: &str) -> [String; 4] {
    [host.to_owned(), format!("{host}/path"), host.to_uppercase(), format!("https://{host}/")]
}

#[test]
fn the_limit_of_a_name_is_exact() {
    for length in [MAX_NAME - 1, MAX_NAME] {
        for entry in spellings(&host(length)) {
            assert!(current(&entry).is_ok(), "{length}: {entry}");
        }
    }
    for length in [MAX_NAME + 1, MAX_NAME + 5, MAX_NAME + 9] {
        for entry in spellings(&host(length)) {
            assert_eq!(current(&entry), Err(Refusal::NotAHost), "{length}: {entry}");
        }
    }
}

#[test]
fn the_limit_of_a_label_is_exact() {
    for (length, is_valid) in [(MAX_LABEL - 1, true), (MAX_LABEL, true), (MAX_LABEL + 1, false)] {
        for place in ["{}.example", "www2.{}.example", "a.{}"] {
            let host = place.replace("{}", &"c".repeat(length));
            for entry in spellings(&host) {
                let expected = if is_valid { None } else { Some(Refusal::NotAHost) };
                assert_eq!(current(&entry).err(), expected, "{length}: {entry}");
            }
        }
    }
}

#[test]
fn the_limit_of_a_url_is_exact() {
    for (length, is_valid) in
        [(MAX_URL_LENGTH - 1, true), (MAX_URL_LENGTH, true), (MAX_URL_LENGTH + 1, false)]
    {
        let path = "p".repeat(length - "example.com/".len());
        let expected = if is_valid { None } else { Some(Refusal::TooLong) };
        assert_eq!(current(&format!("example.com/{path}")).err(), expected, "{length}");
    }
}

const ENTRY: &str = "(https?://|ftp://|//|\\*\\.)?(u:p@)?(www\\.){0,2}([a-cA-C0-9é-]{1,3}\\.){0,3}[a-z0-9]{1,3}\\.?(:80|:443|:8443|:)?(/[a-cA-C.%é *]{0,3}){0,4}(\\?[a-d=&#é]{0,6})?(#[a-c]{0,2})?";

fn rules() -> impl Strategy<Value = SubUrlRule> {
    prop::sample::select(vec![
        r#"{"profile":"current"}"#,
        r#"{"profile":"ios26.0"}"#,
        r#"{"path":{"segments":1},"caseSensitive":true}"#,
        r#"{"path":{"excluded":true},"domain":{"stripWWW":false,"levels":3}}"#,
        r#"{"query":{"parameters":["a","b"]},"excludeFragment":true}"#,
        r#"{"excludeScheme":false,"query":{"excluded":true},"excludeIntermediates":true}"#,
    ])
    .prop_map(|json| SubUrlRule::from_json(json).unwrap())
}

#[test]
fn a_star_at_the_end_stands_for_whatever_follows() {
    for (entry, text, others) in [
        ("https://c.example/login*", "c.example/login*", &["c.example/login"][..]),
        (
            "c.example/Login*",
            "c.example/login*",
            &["c.example/Login*", "c.example/login", "c.example/Login"],
        ),
        ("c.example/Login/*", "c.example/login", &["c.example/Login"]),
        ("https://www.c.example/x/*", "c.example/x", &[]),
        ("https://www.c.example/X/*", "c.example/x", &["c.example/X"]),
        ("c.example/x?q=*", "c.example/x?q=*", &["c.example/x?q="]),
        ("c.example/x/*/", "c.example/x", &[]),
        ("c.example/x*/*", "c.example/x*", &["c.example/x"]),
    ] {
        let key = canonicalise(entry, EntryKind::Url, &KeyRules::default()).unwrap();
        assert_eq!(
            (&*key.text, key.others.as_slice()),
            (text, &*others.iter().map(|of| (*of).to_owned()).collect::<Vec<_>>()),
            "{entry}"
        );
        assert!(key.remarks.contains(Remark::EndStarRemoved), "{entry}");
    }
}

/// Each star was a call inside of the one before.
#[test]
fn entries_may_have_thousands_of_stars() {
    for (entry, text) in [
        (format!("https://c.example{}", "/*".repeat(30_000)), "c.example"),
        (format!("https://c.example/x{}/", "/**".repeat(20_000)), "c.example/x"),
        (format!("c.example/{}a*", "*/".repeat(30_000)), "c.example/"),
        (format!("c.example/?{}", "*".repeat(60_000)), "c.example/?"),
    ] {
        let key = canonicalise(&entry, EntryKind::Url, &KeyRules::default()).unwrap();
        assert!(key.text.starts_with(text), "{}", &key.text[..20]);
    }
}

#[test]
fn hosts_with_www_twice_have_a_key_for_each_spelling() {
    let key = canonicalise("https://www.www.a.example/x", EntryKind::Url, &all_systems()).unwrap();
    assert_eq!(key.text, "a.example/x");
    for other in ["www.a.example/x", "www.www.a.example/x"] {
        assert!(key.others.iter().any(|key| key == other), "{other}: {:?}", key.others);
    }
}

#[test]
fn a_decoded_spelling_that_is_another_page_is_told() {
    for (entry, is_told) in [
        ("https://s.example/a%3Fb=1", true),
        ("https://s.example/x%23y", true),
        ("https://s.example/a%252Fb", true),
        ("https://s.example/a%2Fb", true),
        ("https://s.example/a%6Cb", false),
        ("https://s.example/a%20b", false),
        ("https://s.example/x?a=%3F", false),
    ] {
        let key = canonicalise(entry, EntryKind::Url, &KeyRules::default()).unwrap();
        assert_eq!(key.remarks.contains(Remark::CoversAnotherPage), is_told, "{entry}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn a_key_is_a_sub_url_of_its_own_url_and_its_own_key(entry in ENTRY, rule in rules()) {
        let rules = KeyRules::from(rule.clone());
        let Ok(key) = canonicalise(&entry, EntryKind::Url, &rules) else { return Ok(()) };
        let absolute = match split_scheme(&entry) {
            Some((scheme, rest)) => format!("{scheme}://{}", rest.strip_prefix("*.").unwrap_or(rest)),
            None => {
                let rest = entry.strip_prefix("//").unwrap_or(&entry);
                format!("http://{}", rest.strip_prefix("*.").unwrap_or(rest))
            }
        };
        let url = rule.parse(&absolute).unwrap();
        let sub_urls = url.sub_urls().sorted(100_000).unwrap();
        prop_assert!(sub_urls.iter().any(|s| *s == key.text), "{} not in {:?}", key.text, sub_urls);
        let again = canonicalise(&key.text, EntryKind::Url, &rules).unwrap();
        // A configuration can leave out what stands behind a star, which is at the end then.
        let is_star_left = key.remarks.contains(Remark::StarKept) && !matches!(rule, SubUrlRule::Profile(_));
        prop_assert!(again.text == key.text || is_star_left, "{} {}", again.text, key.text);
        // What stands before a star at the end is a page of its own.
        if key.remarks.contains(Remark::EndStarRemoved) {
            return Ok(());
        }
        if let (Some(second), SubUrlRule::Profile(_)) = (key.others.first(), &rule) {
            prop_assert!(sub_urls.contains(second));
            let again = canonicalise(second, EntryKind::Url, &rules).unwrap();
            prop_assert_eq!((&again.text, &again.others), (&key.text, &key.others));
        }
    }

    /// On all systems, which spell hosts and paths in several ways.
    #[test]
    fn a_star_behind_a_slash_changes_no_key(
        entry in "(https?://)?(www\\.){0,2}([a-zA-Z0-9-]{1,4}\\.){1,2}[a-z]{2,3}(:[0-9]{2,4})?(/[a-zA-Z0-9%_=-]{1,6}){0,2}"
    ) {
        for rules in [KeyRules::default(), all_systems()] {
            let Ok(key) = canonicalise(&entry, EntryKind::Url, &rules) else { return Ok(()) };
            let starred = format!("{entry}/*");
            let starred = canonicalise(&starred, EntryKind::Url, &rules).unwrap();
            prop_assert_eq!(&starred.text, &key.text);
            let has = |others: &[String], one: &String| others.contains(one);
            prop_assert!(key.others.iter().all(|one| has(&starred.others, one)), "{:?}", starred);
            // With a port, 26 asks for the whole URL alone, so that hosts with and without `www.` are told apart.
            let has_port = entry.trim_start_matches("http://").trim_start_matches("https://").contains(':');
            let is_same = starred.others.iter().all(|one| has(&key.others, one));
            prop_assert!(has_port || is_same, "{:?}", starred);
        }
    }

    #[test]
    fn rewriting_does_not_change_plain_entries(entry in "([a-z0-9-]{1,4}\\.|www\\.){0,3}[a-z0-9-]{1,3}(/[a-z.%/_=-]{0,6}){0,2}") {
        if let Some(shape) = plain_entry(&entry) {
            for rules in [documented(), KeyRules::default(), all_systems()] {
                let key = rewrite(&entry, EntryKind::Url, &rules).unwrap();
                prop_assert_eq!(&key.text, &entry);
                prop_assert!(key.remarks.is_empty() && key.others.is_empty(), "{:?}", key);
            }
            prop_assert_eq!(shape == PlainEntry::Host, !entry.contains('/'));
        }
    }

    #[test]
    fn rewriting_agrees_with_the_fast_path_on_long_hosts(
        length in 240_usize..270,
        label in 50_usize..70,
        path in "(/[a-z]{1,3})?",
    ) {
        let mut host = "a.example".to_owned();
        while host.len() + 1 < length {
            let label = label.min(length - host.len() - 1);
            host = format!("{}.{host}", "b".repeat(label));
        }
        let entry = host + &path;
        let rewritten = rewrite(&entry, EntryKind::Url, &documented());
        match plain_entry(&entry) {
            Some(_) => prop_assert_eq!(&rewritten.unwrap().text, &entry),
            None => prop_assert!(rewritten.is_err(), "{} of {} bytes", entry, entry.len()),
        }
    }

    #[test]
    fn no_entry_panics(entry in "\\PC{0,40}", host in any::<bool>(), rule in rules()) {
        let kind = if host { EntryKind::Host } else { EntryKind::Url };
        let _ = canonicalise(&entry, kind, &rule.into());
        let _ = canonicalise(&entry, kind, &all_systems());
        let _ = canonicalise(&entry, EntryKind::Key, &all_systems());
    }
}

/// What stands behind the star's place is resolved away by URL parsers, so that the rest would be another page or the host.
#[test]
fn a_star_behind_a_dot_segment_stays() {
    let rules = KeyRules::default();
    for entry in [
        "https://a.example/.*",
        "https://a.example/%2e*",
        "https://a.example/d/..*",
        "https://a.example/d/.%2E*",
        "https://a.example/d/..*?",
        "ws://a.example/%2e*/.",
    ] {
        let key = canonicalise(entry, EntryKind::Url, &rules).unwrap();
        assert!(key.remarks.contains(Remark::StarKept), "{entry}: {key:?}");
        let texts = [&*key.text].into_iter().chain(key.others.iter().map(String::as_str));
        assert!(texts.into_iter().all(|text| text.ends_with('*')), "{entry}: {key:?}");
    }
    let only_26 = KeyRules::from(Systems::NONE.with(System::V26));
    let key = canonicalise("https://a.example/.%2a", EntryKind::Url, &only_26).unwrap();
    assert!(key.remarks.contains(Remark::StarKept), "{key:?}");
}

#[test]
fn stars_at_the_end_mean_the_same_under_a_parsing_configuration() {
    for rule in [
        r#"{"urlParsingConfiguration": {}}"#,
        r#"{"urlParsingConfiguration": {"path": {"excluded": true}}}"#,
    ] {
        let rules = KeyRules::from(SubUrlRule::from_json(rule).unwrap());
        let of = |entry| canonicalise(entry, EntryKind::Url, &rules).unwrap();
        let (host, star) = (of("https://mine.example"), of("https://mine.example/*"));
        assert_eq!((&star.text, &star.others), (&host.text, &host.others));
        assert!(star.remarks.contains(Remark::EndStarRemoved));
        let prefix = of("https://mine.example/p*");
        let page = of("https://mine.example/p").text.into_owned();
        assert!(prefix.text == page || prefix.others.contains(&page), "{prefix:?}");
        assert!(of("https://mine.example/*/x").remarks.contains(Remark::StarKept));
        assert!(!of("*.mine.example").remarks.contains(Remark::StarKept));
    }
}

#[test]
fn an_entry_without_a_scheme_has_the_keys_of_both_under_an_expression() {
    let of = |expression: &str, entry: &str| {
        let rule = format!(r#"{{"urlParsingRegularExpression": "{expression}"}}"#);
        let rules = KeyRules::from(SubUrlRule::from_json(&rule).unwrap());
        let key = canonicalise(entry, EntryKind::Url, &rules).ok()?;
        Some([key.text.into_owned()].into_iter().chain(key.others).collect::<Vec<_>>())
    };
    let origin = "^(?<origin>[a-z]+://[^/]+)";
    assert_eq!(
        of(origin, "bad.example").unwrap(),
        ["origin=http://bad.example", "origin=https://bad.example"]
    );
    assert_eq!(of(origin, "https://bad.example/").unwrap(), ["origin=https://bad.example"]);
    assert_eq!(of("^https://(?<host>[^/]+)", "bad.example").unwrap(), ["host=bad.example"]);
    assert_eq!(of("^ftp://(?<host>[^/]+)", "bad.example"), None);
}

/// Each mark was taken off in a call of its own: 30,000 of them overflowed the stack.
#[test]
fn stars_and_question_marks_by_turns_are_characters() {
    let rules = KeyRules::default();
    for (entry, host) in [
        ("https://a.example/?*", true),
        ("https://a.example/*?", true),
        ("https://a.example/*#", true),
    ] {
        let key = canonicalise(entry, EntryKind::Url, &rules).unwrap();
        let has_host = key.text == "a.example" || key.others.iter().any(|one| one == "a.example");
        assert_eq!(has_host, host, "{entry}: {key:?}");
    }
    for entry in [
        "https://a.example/?*?",
        "https://a.example/?*?*",
        "https://a.example/*??",
        "https://a.example/*##",
    ] {
        let key = canonicalise(entry, EntryKind::Url, &rules).unwrap();
        let has_host = key.text == "a.example" || key.others.iter().any(|one| one == "a.example");
        assert!(!has_host, "{entry}: {key:?}");
    }
    let many = format!("https://a.example/{}", "?*".repeat(30_000));
    let key = canonicalise(&many, EntryKind::Url, &rules).unwrap();
    assert!(key.others.len() < 10);
    drop(canonicalise(
        &format!("https://a.example/{}", "*?".repeat(30_000)),
        EntryKind::Url,
        &rules,
    ));
}

#[test]
fn empty_segments_at_the_end_of_a_path_name_another_page() {
    for rules in [documented(), KeyRules::default()] {
        for (entry, is_another) in [
            ("https://a.example/x/", false),
            ("https://a.example/x//", true),
            ("https://a.example/x///?q", true),
            ("https://a.example/x?q//", false),
        ] {
            let key = canonicalise(entry, EntryKind::Url, &rules).unwrap();
            let has = key.remarks.contains(Remark::CoversAnotherPage);
            assert_eq!(has, is_another, "{entry}: {key:?}");
        }
    }
}
