//! The regular-expression mode of iOS, iPadOS and macOS 27.

use super::DeviceUrl;
use regex::{Regex, RegexBuilder};
use std::fmt::Write;

/// Memory that one compiled expression may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The expression does not compile.
    ///
    /// Look-around and back references, which Apple's engine knows, are not supported here: they
    /// would let a URL decide how long a match takes.
    #[error("the regular expression is not usable: {0}")]
    Syntax(#[from] regex::Error),
    /// The expression has no named group, so it could never give a key.
    #[error("the regular expression needs at least one named group, such as (?<host>[^/]+)")]
    NoNamedGroup,
}

/// `urlParsingRegularExpression`: turns a URL into the single string `name1=value1 name2=value2 …`.
///
/// ```
/// use filter_core::sub_url::{Case, DeviceUrl, UrlPattern};
///
/// let pattern = UrlPattern::new("^https?://(?<host>[^/?#]+).*[?&]id=(?<id>[0-9]+)")?;
/// let key = |url| DeviceUrl::parse(url, Case::Ignored).map(|url| pattern.key(&url));
/// assert_eq!(key("https://Example.com/a?id=12")?.as_deref(), Some("host=example.com id=12"));
/// assert_eq!(key("https://example.com/a")?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct UrlPattern {
    regex: Regex,
}

impl UrlPattern {
    /// Compiles an expression; matching ignores case.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(expression: &str) -> Result<Self, PatternError> {
        let regex =
            RegexBuilder::new(expression).case_insensitive(true).size_limit(SIZE_LIMIT).build()?;
        if regex.capture_names().flatten().next().is_none() {
            return Err(PatternError::NoNamedGroup);
        }
        Ok(Self { regex })
    }

    /// The expression as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// The string for `url`, or `None` where the expression does not match it.
    ///
    /// The expression sees [`DeviceUrl::serialised`], lower case if the URL was parsed with
    /// [`Case::Ignored`](super::Case::Ignored). Groups come in the order of the expression; one
    /// that took no part is left out.
    #[must_use]
    pub fn key(&self, url: &DeviceUrl) -> Option<String> {
        let text = url.serialised();
        let captures = self.regex.captures(&text)?;
        let mut key = String::new();
        for name in self.regex.capture_names().flatten() {
            if let Some(value) = captures.name(name) {
                let space = if key.is_empty() { "" } else { " " };
                // Writing to a string cannot fail.
                let _ = write!(key, "{space}{name}={}", value.as_str());
            }
        }
        Some(key).filter(|key| !key.is_empty())
    }
}

impl PartialEq for UrlPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for UrlPattern {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sub_url::Case;

    #[test]
    fn only_named_groups_count_and_keep_their_order() {
        let pattern =
            UrlPattern::new("(http)s?://(?<b>[^/]+)(/x)?/(?<a>[a-z]+)(?:/(?<c>z))?").unwrap();
        let url = DeviceUrl::parse("HTTPS://user@Example.COM/x/Path", Case::Ignored).unwrap();
        let key = pattern.key(&url);
        assert_eq!(key.as_deref(), Some("b=example.com a=path"));
    }

    #[test]
    fn unusable_expressions_are_explained() {
        assert_eq!(UrlPattern::new("(a)b"), Err(PatternError::NoNamedGroup));
        for bad in ["(", "(?<a>x)(?=y)", r"(?<a>.)\1", "(?<a>x{1000}{1000})"] {
            assert!(matches!(UrlPattern::new(bad), Err(PatternError::Syntax(_))), "{bad}");
        }
    }
}
