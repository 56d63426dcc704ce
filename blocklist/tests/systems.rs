//! Keys that serve several systems, and rows of data sets that are keys as they are.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use blocklist::key::{
    EntryKind, KeyRules, ONBOARDING_ENTRY, Refusal, Remark, Systems, canonicalise,
};
use filter_core::sub_url::{SubUrlRule, System};
use proptest::prelude::*;

/// All keys, and the remarks on systems.
fn keys(entry: &str, rules: &KeyRules) -> Result<(Vec<String>, Vec<&'static str>), Refusal> {
    let key = canonicalise(entry, EntryKind::Url, rules)?;
    let mut all = vec![key.text.into_owned()];
    all.extend(key.others);
    let on_systems = [
        Remark::SecondSpelling,
        Remark::NotOn26,
        Remark::NotOn27,
        Remark::ExactOn26,
        Remark::HostOnlyOn26,
        Remark::HostOnlyUnconfigured,
    ];
    let remarks = key.remarks.iter().filter(|remark| on_systems.contains(remark));
    Ok((all, remarks.map(Remark::name).collect()))
}

#[test]
fn each_spelling_that_26_and_27_need_is_a_key() {
    let rules = KeyRules::default();
    let none: [&str; 0] = [];
    for (entry, expected, remarks) in [
        ("example.com", &["example.com"][..], &none[..]),
        ("https://www.example.com/a/b?x=1#f", &["example.com/a/b?x=1#f"], &none),
        (
            "https://example.com/Path",
            &["example.com/path", "example.com/Path"],
            &["second-spelling"],
        ),
        (
            "https://example.com/%61//%C3%BC",
            &["example.com/%61//%c3%bc", "example.com/%61/%c3%bc", "example.com/a/ü"],
            &["second-spelling"],
        ),
        (
            "https://example.com/?Q",
            &["example.com/?q", "example.com/?Q", "example.com?q", "example.com?Q"],
            &["second-spelling"],
        ),
        (
            "https://example.com:8443/",
            &["example.com:8443", "example.com:8443/"],
            &["second-spelling", "exact-on-26"],
        ),
        ("http://example.com:8443/x", &["example.com:8443/x"], &["exact-on-26"]),
        ("https://example.com:443/x", &["example.com:443/x"], &["not-on-26"]),
        ("example.com:443/x", &["example.com:443/x"], &["not-on-26"]),
        ("*.example.com/x", &["example.com/x"], &["host-only-on-26"]),
        ("*.example.com", &["example.com"], &none),
        (
            "a.www.example.com/x",
            &["a.www.example.com/x", "www.a.www.example.com/x"],
            &["second-spelling"],
        ),
        ("a.www.example.com", &["a.www.example.com"], &none),
        ("http://192.0.2.7/X", &["192.0.2.7/x", "192.0.2.7/X"], &["second-spelling"]),
    ] {
        let (found, said) = keys(entry, &rules).unwrap();
        assert_eq!(found, expected, "{entry}");
        assert_eq!(said, remarks, "{entry}");
    }
}

#[test]
fn keys_for_one_system_are_those_of_that_system() {
    let only = |names: &str| KeyRules::from(names.parse::<Systems>().unwrap());
    let of = |names, entry| keys(entry, &only(names));
    assert_eq!(of("27", "example.com/Path").unwrap().0, ["example.com/path"]);
    assert_eq!(of("26", "example.com/%61").unwrap().0, ["example.com/a"]);
    assert_eq!(of("26", "https://example.com:443/x"), Err(Refusal::NeverAsked));
    let unconfigured = of("27-unconfigured", "*.www.example.com").unwrap();
    assert_eq!(unconfigured.0, ["example.com", "www.example.com"]);
    assert_eq!(unconfigured.1, ["second-spelling", "host-only-on-27-unconfigured"]);
    assert_eq!(KeyRules::from(SubUrlRule::System(System::V26)), only("26"));
    assert!("26,28".parse::<Systems>().is_err() && "".parse::<Systems>().is_err());
}

#[test]
fn rows_of_a_data_set_stay_as_they_are() {
    let row = |text, rules: &KeyRules| {
        canonicalise(text, EntryKind::Key, rules).map(|key| {
            assert!(key.others.is_empty());
            (key.text.into_owned(), key.remarks.iter().map(Remark::name).collect::<Vec<_>>())
        })
    };
    let rules = KeyRules::default();
    for (text, remarks) in [
        ("example.com/a/", &[][..]),
        ("example.com/", &[]),
        (ONBOARDING_ENTRY, &[]),
        ("example.com/a?b", &[]),
        ("www.example.com/a", &["not-on-27"]),
        ("example.com/Path", &["not-on-27"]),
        ("example.com/a ü", &["not-on-27"]),
        ("example.com:80/a", &[]),
        ("example.com:81/a/", &[]),
        ("example.com/a/?b", &[]),
        ("example.com/a/?b#c", &[]),
        ("example.com:81/a/b/?c", &[]),
        ("com", &[]),
    ] {
        let expected = (text.to_owned(), remarks.to_vec());
        assert_eq!(row(text, &rules), Ok(expected), "{text}");
    }
    for text in [
        "https://example.com/",
        "Example.com",
        "example.com.",
        " example.com",
        "bücher.example",
        "u@example.com",
        "exa mple.com",
        "",
    ] {
        assert_eq!(row(text, &rules), Err(Refusal::NeverAsked), "{text:?}");
    }
    let older = SubUrlRule::from_json(r#"{"profile":"ios26.0"}"#).unwrap().into();
    assert!(row("example.com/a?b/", &older).is_ok());
    assert_eq!(row("example.com:443/a", &older), Err(Refusal::NeverAsked));
    // The keys of a configuration cannot be told from others.
    let configured = SubUrlRule::from_json(r#"{"path":{"excluded":true}}"#).unwrap().into();
    assert!(row("example.com/%*", &configured).is_ok());
}

const ENTRY: &str = "(https?://)?(www\\.){0,2}([a-c]{1,2}\\.|www\\.|xwww\\.){0,3}[a-z]{2}(:80|:443|:8443)?(/[a-cA-C]{0,2}(%41|%2F|%ff)?){0,4}(\\?[a-dA=&]{1,6})?(#[a-cB]{1,2})?";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]
    #[test]
    fn an_entry_is_looked_up_on_each_chosen_system_unless_a_remark_says_otherwise(entry in ENTRY) {
        let systems: Systems = System::ALL.iter().copied().collect();
        let rules = KeyRules::from(systems);
        let Ok(key) = canonicalise(&entry, EntryKind::Url, &rules) else { return Ok(()) };
        let mut keys = vec![key.text.clone().into_owned()];
        keys.extend(key.others.iter().cloned());
        let absolute = if entry.starts_with("http") { entry.clone() } else { format!("http://{entry}") };
        let mut asked = Vec::new();
        for system in systems.iter() {
            let rule = SubUrlRule::System(system);
            let url = rule.parse(&absolute).unwrap();
            let all = url.sub_urls().sorted(100_000).unwrap();
            let is_found = keys.iter().any(|key| all.contains(key));
            let is_excused = system == System::V26 && key.remarks.contains(Remark::NotOn26);
            prop_assert!(is_found || is_excused, "{entry} on {system}: {keys:?} not in {all:?}");
            asked.extend(all);
        }
        let current = SubUrlRule::default();
        asked.extend(current.parse(&absolute).unwrap().sub_urls().sorted(100_000).unwrap());
        for key in &keys {
            prop_assert!(asked.contains(key), "{entry}: nobody asks for {key}");
        }
    }

    #[test]
    fn a_row_that_is_kept_is_asked_for(row in "(www\\.)?([a-cA]{1,2}\\.){0,2}[a-c]{1,2}(:80|:81)?(/[a-cA %]{0,2}){0,3}(\\?[a-c]{0,2}/?)?(#[a-c]{0,2})?") {
        let rules = KeyRules::default();
        let Ok(key) = canonicalise(&row, EntryKind::Key, &rules) else { return Ok(()) };
        prop_assert_eq!(&key.text, &row);
        let is_asked = rules.systems().iter().any(|system| {
            ["http", "https"].iter().any(|scheme| {
                let rule = SubUrlRule::System(system);
                let url = rule.parse(&format!("{scheme}://{row}"));
                url.is_ok_and(|url| url.sub_urls().sorted(100_000).unwrap().contains(&row))
            })
        });
        prop_assert!(is_asked);
    }
}
