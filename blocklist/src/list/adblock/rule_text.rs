//! What makes two Adblock rules the same rule.

use fnv::FnvHasher;
use std::hash::Hasher;

/// Hashes of the text of a rule. Two rules are the same if patterns and options are, but for the case of letters, stars at
/// the end of the pattern and the order of options: so does uBlock Origin compare a rule with its `$badfilter`. AdGuard
/// compares patterns letter by letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RuleText {
    /// Of the pattern with its anchors.
    pub(crate) pattern: u64,
    /// Of the set of options without `badfilter`.
    pub(crate) options: u32,
    /// Of the set of options that restrict the rule and were dropped; 0 if there are none.
    pub(crate) dropped: u32,
    /// The one scheme that the rule is for.
    pub(crate) scheme: Option<RuleScheme>,
}

/// The scheme that a rule begins with, as `|https://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RuleScheme {
    Http,
    Https,
    Other,
}

impl RuleText {
    /// A rule of a pattern without options.
    pub(crate) fn of(pattern: &str) -> Self {
        let pattern = match pattern.trim_end_matches('*') {
            "" => pattern,
            without_stars => without_stars,
        };
        let start = pattern.strip_prefix('|').unwrap_or(pattern);
        let scheme = start.split_once("://").and_then(|(scheme, _)| match scheme {
            "https" => Some(RuleScheme::Https),
            "http" => Some(RuleScheme::Http),
            _ if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => Some(RuleScheme::Other),
            _ => None,
        });
        Self { pattern: hash([pattern]), options: 0, dropped: 0, scheme }
    }

    /// The rule `||host^` of a host.
    pub(crate) fn of_host(host: &str) -> Self {
        Self { pattern: hash(["||", host, "^"]), options: 0, dropped: 0, scheme: None }
    }

    /// The same rule with one more option, which was dropped or not.
    pub(crate) fn with_option(mut self, option: &str, is_dropped: bool) -> Self {
        // A sum does not depend on the order.
        let hash = hash([normal(option)]) as u32 | 1;
        self.options = self.options.wrapping_add(hash);
        if is_dropped {
            self.dropped = self.dropped.wrapping_add(hash).max(1);
        }
        self
    }

    /// What two texts of the same rule have in common.
    pub(crate) fn identity(self) -> (u64, u32) {
        (self.pattern, self.options)
    }
}

/// One name for an option that has several, in lower case.
fn normal(option: &str) -> &str {
    match option {
        "doc" => "document",
        "3p" | "~1p" | "~first-party" => "third-party",
        "1p" | "~3p" | "~third-party" => "first-party",
        "xhr" => "xmlhttprequest",
        "css" => "stylesheet",
        "frame" => "subdocument",
        option => option,
    }
}

/// FNV-1a of 64 bits over the bytes of texts in lower case: the same in every process, and quick for short texts.
fn hash<const N: usize>(texts: [&str; N]) -> u64 {
    let mut hasher = FnvHasher::default();
    for byte in texts.into_iter().flat_map(str::bytes) {
        hasher.write(&[byte.to_ascii_lowercase()]);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_the_same_whatever_their_case_order_and_stars() {
        let with = |pattern, options: &[&str]| {
            options
                .iter()
                .fold(RuleText::of(pattern), |rule, option| rule.with_option(option, true))
        };
        assert_eq!(RuleText::of("||C.example^*"), RuleText::of_host("c.example"));
        assert_eq!(with("||a/x", &["script", "3p"]), with("||A/X", &["third-party", "script"]));
        for other in ["||a/x^", "||a/x/", "||a/x|", "|https://a/x", "a/x", "||*.a/x"] {
            assert_ne!(RuleText::of("||a/x").identity(), RuleText::of(other).identity(), "{other}");
        }
        assert_ne!(with("||a^", &["script"]).identity(), with("||a^", &["image"]).identity());
        assert_ne!(with("||a^", &["script"]).identity(), RuleText::of("||a^").identity());
        assert_eq!(RuleText::of("|https://a/").scheme, Some(RuleScheme::Https));
        assert_eq!(RuleText::of("||a/?u=http://b").scheme, None);
    }
}
