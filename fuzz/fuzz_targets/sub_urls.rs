//! Sub-URL enumeration under every rule: distinct strings, and the one-pass lookup finds exactly what
//! testing them one by one finds.
#![no_main]

use filter_core::bloom::{BloomFilter, Parameters};
use filter_core::sub_url::SubUrlRule;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static RULES: LazyLock<Vec<SubUrlRule>> = LazyLock::new(|| {
    [
        r#"{"profile":"current"}"#,
        r#"{"profile":"ios26.0"}"#,
        r#"{"system":"26"}"#,
        r#"{"system":"27"}"#,
        r#"{"system":"27-unconfigured"}"#,
        r#"{"excludeScheme":false,"path":{"segments":2},"caseSensitive":true}"#,
        r#"{"path":{"excluded":true},"domain":{"levels":2,"stripWWW":false}}"#,
        r#"{"path":{"enumerateHierarchy":false},"query":{"parameters":["a","b"]}}"#,
        r#"{"domain":{"excluded":true},"excludeIntermediates":true,"excludeFragment":true}"#,
        r#"{"urlParsingRegularExpression":"//(?<host>[^/]+)/(?<first>[a-z]+)"}"#,
    ]
    .iter()
    .map(|json| SubUrlRule::from_json(json).unwrap())
    .collect()
});

static FILTER: LazyLock<BloomFilter<Vec<u8>>> = LazyLock::new(|| {
    let bits: Vec<u8> = (0..64u32).map(|i| (i * 89 + 29) as u8).collect();
    BloomFilter::from_bytes(Parameters::new(512, 3, 5).unwrap(), bits).unwrap()
});

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let rule = &RULES[usize::from(choice) % RULES.len()];
    let Ok(url) = rule.parse_lenient(text) else { return };
    let sub_urls = url.sub_urls();
    let may_match = sub_urls.may_hit(&FILTER);
    let Ok(mut all) = sub_urls.sorted(2_000) else { return };
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count, "two sub-URLs are equal");
    all.retain(|sub_url| FILTER.contains(sub_url.as_bytes()));
    assert_eq!(sub_urls.hits_in(&FILTER), all);
    assert_eq!(may_match, !all.is_empty());
});
