//! Leaving out covered keys changes no verdict, on any system that the build serves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use blocklist::builder::{Builder, Guards, Options};
use blocklist::key::Systems;
use blocklist::list::Format;
use filter_core::sub_url::{Profile, SubUrlRule, System};
use proptest::prelude::*;
use std::collections::HashSet;

const HOST: &str = "(www\\.)?([ab]\\.){0,3}(c|d)\\.example";
const PATH: &str = "(/([xyA]|%41|%7e|){1}){0,3}(\\?[qr]=?[12]?)?(#f)?";

fn keys(list: &str, systems: Systems, is_compressed: bool) -> HashSet<String> {
    let options = Options::default()
        .with_guards(Guards::off())
        .with_systems(systems)
        .with_compression(is_compressed);
    // One entry that nothing covers, so that there is always a key.
    let list = format!("{list}\nother.test\n");
    let built = Builder::new(options).add_list("list", list.as_bytes(), Some(&Format::Urls));
    let built = built.unwrap().finish().unwrap();
    let keys = built.keys.iter().map(|key| String::from_utf8(key.to_vec()).unwrap());
    keys.collect()
}

fn is_blocked(url: &str, rule: &SubUrlRule, keys: &HashSet<String>) -> bool {
    let url = rule.parse(url).unwrap();
    url.sub_urls().sorted(100_000).unwrap().iter().any(|sub_url| keys.contains(sub_url))
}

fn systems() -> impl Strategy<Value = Systems> {
    prop::sample::select(vec!["26,27", "26", "27", "26,27,27-unconfigured", "27-unconfigured"])
        .prop_map(|names| names.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]
    #[test]
    fn no_verdict_changes(
        entries in prop::collection::vec((HOST, "(:8080|:443)?", PATH), 1..8),
        urls in prop::collection::vec((HOST, "(:8080)?", PATH), 1..12),
        systems in systems(),
    ) {
        let entry = |(host, port, path): &(String, String, String)| format!("{host}{port}{path}");
        let list: Vec<String> = entries.iter().map(entry).collect();
        let list = list.join("\n");
        let (all, fewer) = (keys(&list, systems, false), keys(&list, systems, true));
        prop_assert!(fewer.is_subset(&all));
        let mut rules: Vec<SubUrlRule> = systems.iter().map(SubUrlRule::System).collect();
        if systems.contains(System::V27) {
            rules.push(SubUrlRule::Profile(Profile::Current));
        }
        // Also the URLs of the entries themselves and of what lies below them.
        let below = entries.iter().map(|(host, port, path)| {
            let path = path.split(['?', '#']).next().unwrap();
            format!("https://z.{host}{port}{path}/z?q")
        });
        let own = entries.iter().chain(&urls).map(|parts| format!("https://{}", entry(parts)));
        for url in own.chain(below) {
            for rule in &rules {
                prop_assert_eq!(
                    is_blocked(&url, rule, &all),
                    is_blocked(&url, rule, &fewer),
                    "{} under {:?} with {:?}, {:?} left",
                    url, rule, all, fewer
                );
            }
        }
    }
}
