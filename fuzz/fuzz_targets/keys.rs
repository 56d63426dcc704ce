//! Canonicalisation: a key stays as it is when canonicalised again, and devices generate it.
#![no_main]

use blocklist::key::{EntryKind, KeyRules, Remark, canonicalise};
use filter_core::sub_url::SubUrlRule;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static RULES: LazyLock<Vec<KeyRules>> = LazyLock::new(|| {
    [
        r#"{"profile":"current"}"#,
        r#"{"profile":"ios26.0"}"#,
        r#"{"path":{"segments":1},"caseSensitive":true}"#,
    ]
    .iter()
    .map(|json| SubUrlRule::from_json(json).unwrap().into())
    .chain([KeyRules::default()])
    .collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let Ok(entry) = std::str::from_utf8(text) else { return };
    let rule = &RULES[usize::from(choice) % RULES.len()];
    let kind = if choice & 0x80 == 0 { EntryKind::Url } else { EntryKind::Host };
    // A row of a data set stays as it is, or is refused.
    if let Ok(key) = canonicalise(entry, EntryKind::Key, rule) {
        assert_eq!((&*key.text, key.others.len()), (entry, 0));
    }
    let Ok(key) = canonicalise(entry, kind, rule) else { return };
    let again = canonicalise(&key.text, EntryKind::Url, rule).unwrap();
    // A configuration can leave out what stands behind a star, which is at the end then.
    let is_star_left =
        key.remarks.contains(Remark::StarKept) && !matches!(rule.rule(), SubUrlRule::Profile(_));
    assert!(again.text == key.text || is_star_left, "{} {}", again.text, key.text);
    // The key names a URL that leads back to it.
    let url = rule.rule().parse_lenient(&key.text).unwrap();
    if let Ok(all) = url.sub_urls().sorted(5_000) {
        assert!(
            all.iter().any(|sub_url| *sub_url == key.text),
            "{} is not among its own sub-URLs",
            key.text
        );
    }
});
