//! The regular-expression mode of iOS, iPadOS and macOS 27.

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The expression does not compile, or takes more than 1 MiB of memory when compiled.
    ///
    /// Look-around and back references, which Apple's engine may know, are not supported: they would let a URL
    /// decide how long a match takes.
    #[error("the regular expression is not usable: {0}")]
    Syntax(crate::parser_message::ParserMessage),
    /// The expression has no named group, so it could never give a key.
    #[error("the regular expression needs at least one named group, such as (?<host>[^/]+)")]
    NoNamedGroup,
    /// The crate was built without the feature `regex`.
    #[error("the rule is a regular expression, which needs the feature `regex` of filter-core")]
    FeatureMissing,
}

pub use implementation::UrlPattern;

#[cfg(feature = "regex")]
mod implementation {
    use super::PatternError;
    use crate::parser_message::ParserMessage;
    use regex::{Regex, RegexBuilder};

    /// Memory that one compiled expression may take, in bytes.
    const SIZE_LIMIT: usize = 1 << 20;

    /// `urlParsingRegularExpression`: turns a URL into the single string `name1=value1 name2=value2 …`.
    ///
    /// ```
    /// use filter_core::sub_url::{SubUrlRule, UrlPattern};
    ///
    /// let pattern = UrlPattern::new("^https?://(?<host>[^/?#]+).*[?&]id=(?<id>[0-9]+)")?;
    /// let rule = SubUrlRule::RegularExpression(pattern);
    /// let url = rule.parse("https://Example.com/a?id=12")?;
    /// assert_eq!(url.sub_urls().expression_key(), Some("host=example.com id=12"));
    /// let url = rule.parse("https://example.com/a")?;
    /// assert_eq!(url.sub_urls().expression_key(), None);
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
        /// [`PatternError::Syntax`] or [`PatternError::NoNamedGroup`]; [`PatternError::FeatureMissing`] for every
        /// expression if the crate was built without the feature `regex`.
        pub fn new(expression: &str) -> Result<Self, PatternError> {
            let regex = RegexBuilder::new(expression)
                .case_insensitive(true)
                .size_limit(SIZE_LIMIT)
                .build()
                .map_err(|error| PatternError::Syntax(ParserMessage::of(&error)))?;
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

        /// The string for a serialised URL, or `None` where the expression does not match it. Groups come in the
        /// order of the expression; one that took no part is left out.
        pub(in crate::sub_url) fn key(&self, url: &str) -> Option<String> {
            let captures = self.regex.captures(url)?;
            let mut key = String::new();
            for name in self.regex.capture_names().flatten() {
                if let Some(value) = captures.name(name) {
                    if !key.is_empty() {
                        key.push(' ');
                    }
                    key.push_str(name);
                    key.push('=');
                    key.push_str(value.as_str());
                }
            }
            Some(key).filter(|key| !key.is_empty())
        }
    }
}

#[cfg(not(feature = "regex"))]
mod implementation {
    use super::PatternError;
    use std::convert::Infallible;

    /// `urlParsingRegularExpression`. There are no values of this type: the crate was built without the feature
    /// `regex`.
    #[derive(Clone, Debug)]
    pub struct UrlPattern {
        none: Infallible,
    }

    impl UrlPattern {
        /// Refuses every expression.
        ///
        /// # Errors
        /// [`PatternError::FeatureMissing`].
        pub fn new(_expression: &str) -> Result<Self, PatternError> {
            Err(PatternError::FeatureMissing)
        }

        /// The expression as given.
        #[must_use]
        pub fn as_str(&self) -> &str {
            match self.none {}
        }

        pub(in crate::sub_url) fn key(&self, _url: &str) -> Option<String> {
            match self.none {}
        }
    }
}

impl PartialEq for UrlPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for UrlPattern {}

#[cfg(all(test, feature = "regex"))]
mod tests {
    use super::*;
    use crate::sub_url::SubUrlRule;

    #[test]
    fn only_named_groups_count_and_keep_their_order() {
        let pattern =
            UrlPattern::new("(http)s?://(?<b>[^/]+)(/x)?/(?<a>[a-z]+)(?:/(?<c>z))?").unwrap();
        let rule = SubUrlRule::RegularExpression(pattern);
        let url = rule.parse("https://Example.COM/x/Path").unwrap();
        assert_eq!(url.sub_urls().expression_key(), Some("b=example.com a=path"));
    }

    #[test]
    fn unusable_expressions_are_explained() {
        assert_eq!(UrlPattern::new("(a)b"), Err(PatternError::NoNamedGroup));
        for bad in ["(", "(?<a>x)(?=y)", r"(?<a>.)\1", "(?<a>x{1000}{1000})"] {
            assert!(matches!(UrlPattern::new(bad), Err(PatternError::Syntax(_))), "{bad}");
        }
    }
}
