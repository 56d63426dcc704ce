//! Which sub-URLs a device generates: by system version, parsing configuration or expression.

use super::parsing_configuration::ParsingConfiguration;
use super::pattern::{PatternError, UrlPattern};
use super::system::System;
use super::url_parts::Case;
use crate::parser_message::ParserMessage;
use serde::{Deserialize, Serialize};

/// A rule as it is documented, for filters without a parsing configuration. What systems were seen to do is a
/// [`System`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Profile {
    /// The rule that Apple documents now: no `www.`, parents, with and without the port.
    #[default]
    #[serde(rename = "current")]
    Current,
    /// The rule of the first documentation (26.0): hosts with and without `www.`, no ports, a slash also behind
    /// query and fragment.
    #[serde(rename = "ios26.0")]
    Ios26_0,
}

impl Profile {
    /// The profile's name in options and files: `current` or `ios26.0`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Ios26_0 => "ios26.0",
        }
    }
}

/// Why a rule cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The JSON is malformed, or has a field or value that no configuration has.
    #[error("the parsing configuration is not valid: {0}")]
    Json(ParserMessage),
    /// The JSON is not an object.
    #[error("the parsing configuration is not a JSON object")]
    NotAnObject,
    /// The regular expression is not usable.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl RuleError {
    fn json(error: serde_json::Error) -> Self {
        Self::Json(ParserMessage::of(&error))
    }
}

/// The rule by which a URL becomes sub-URLs.
///
/// As JSON it is an object with one of the fields `profile`, `system`, `urlParsingConfiguration` and
/// `urlParsingRegularExpression`; as on a device, the expression overrides the configuration.
///
/// [`parse`](Self::parse) makes the URL that fits the rule.
///
/// ```
/// use filter_core::sub_url::SubUrlRule;
///
/// let rule = SubUrlRule::from_json(r#"{"path": {"excluded": true}}"#)?;
/// assert!(matches!(rule, SubUrlRule::Parsing(ref c) if c.path.excluded && c.domain.strip_www));
/// let json = serde_json::to_string(&SubUrlRule::default())?;
/// assert_eq!(json, r#"{"profile":"current"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RuleFields", into = "RuleFields")]
#[non_exhaustive]
pub enum SubUrlRule {
    /// The rule of a documentation.
    Profile(Profile),
    /// What a system was seen to do.
    System(System),
    /// iOS 27 with `urlParsingConfiguration`.
    Parsing(ParsingConfiguration),
    /// iOS 27 with `urlParsingRegularExpression`.
    RegularExpression(UrlPattern),
}

impl Default for SubUrlRule {
    fn default() -> Self {
        Self::Profile(Profile::Current)
    }
}

impl From<System> for SubUrlRule {
    fn from(system: System) -> Self {
        Self::System(system)
    }
}

impl SubUrlRule {
    /// Whether sub-URLs keep the case of letters under this rule.
    #[must_use]
    pub fn case(&self) -> Case {
        match self {
            Self::Parsing(configuration) if configuration.case_sensitive => Case::Kept,
            // Whether letters are lowered is not known: both forms are sub-URLs.
            Self::System(System::V26) => Case::Kept,
            _ => Case::Ignored,
        }
    }

    /// Reads a rule from JSON: an object as above, or the bare fields of a [`ParsingConfiguration`].
    ///
    /// # Errors
    /// [`RuleError`], which names an unknown field or what is wrong with the expression.
    pub fn from_json(text: &str) -> Result<Self, RuleError> {
        const FIELDS: [&str; 4] =
            ["profile", "system", "urlParsingConfiguration", "urlParsingRegularExpression"];
        let value: serde_json::Value = serde_json::from_str(text).map_err(RuleError::json)?;
        let object = value.as_object().ok_or(RuleError::NotAnObject)?;
        if FIELDS.iter().any(|&field| object.contains_key(field)) {
            let fields: RuleFields = serde_json::from_value(value).map_err(RuleError::json)?;
            return Ok(fields.try_into()?);
        }
        serde_json::from_value(value).map(Self::Parsing).map_err(RuleError::json)
    }
}

/// The fields by which JSON names a rule, each optional.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<System>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url_parsing_configuration: Option<ParsingConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url_parsing_regular_expression: Option<String>,
}

impl RuleFields {
    /// The rule that the fields name; `None` if all are absent.
    pub(crate) fn into_rule(self) -> Result<Option<SubUrlRule>, PatternError> {
        Ok(match (self.url_parsing_regular_expression, self.url_parsing_configuration) {
            (Some(expression), _) => {
                Some(SubUrlRule::RegularExpression(UrlPattern::new(&expression)?))
            }
            (None, Some(configuration)) => Some(SubUrlRule::Parsing(configuration)),
            (None, None) => {
                let system = self.system.map(SubUrlRule::System);
                system.or(self.profile.map(SubUrlRule::Profile))
            }
        })
    }
}

impl TryFrom<RuleFields> for SubUrlRule {
    type Error = PatternError;

    fn try_from(fields: RuleFields) -> Result<Self, PatternError> {
        Ok(fields.into_rule()?.unwrap_or_default())
    }
}

impl From<SubUrlRule> for RuleFields {
    fn from(rule: SubUrlRule) -> Self {
        let mut fields = Self::default();
        match rule {
            SubUrlRule::Profile(profile) => fields.profile = Some(profile),
            SubUrlRule::System(system) => fields.system = Some(system),
            SubUrlRule::Parsing(configuration) => {
                fields.url_parsing_configuration = Some(configuration)
            }
            SubUrlRule::RegularExpression(pattern) => {
                fields.url_parsing_regular_expression = Some(pattern.as_str().to_owned());
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_and_read_as_json() {
        let expression = r#"{"urlParsingRegularExpression":"(?<a>x)"}"#;
        let configuration = r#"{"urlParsingConfiguration":{"excludeScheme":true,"domain":{"excluded":false,"stripWWW":true,"levels":2,"enumerateHierarchy":true},"path":{"excluded":false,"segments":0,"enumerateHierarchy":true},"query":{"excluded":false,"parameters":["id"]},"excludeFragment":false,"excludeIntermediates":false,"caseSensitive":false}}"#;
        let mut texts = vec![
            configuration,
            r#"{"profile":"ios26.0"}"#,
            r#"{"system":"26"}"#,
            r#"{"system":"27-unconfigured"}"#,
        ];
        texts.extend(cfg!(feature = "regex").then_some(expression));
        for text in texts {
            let rule = SubUrlRule::from_json(text).unwrap();
            assert_eq!(serde_json::to_string(&rule).unwrap(), text);
            assert_eq!(serde_json::from_str::<SubUrlRule>(text).unwrap(), rule);
        }
    }

    #[cfg(feature = "regex")]
    #[test]
    fn the_expression_overrides_the_configuration() {
        let both = r#"{"urlParsingConfiguration":{},"urlParsingRegularExpression":"(?<a>x)"}"#;
        assert!(matches!(SubUrlRule::from_json(both), Ok(SubUrlRule::RegularExpression(_))));
        let expression = SubUrlRule::from_json(r#"{"urlParsingRegularExpression":"x"}"#);
        assert_eq!(expression, Err(RuleError::Pattern(PatternError::NoNamedGroup)));
    }

    #[cfg(not(feature = "regex"))]
    #[test]
    fn without_the_feature_a_rule_with_an_expression_is_an_error() {
        let expression = SubUrlRule::from_json(r#"{"urlParsingRegularExpression":"(?<a>x)"}"#);
        assert_eq!(expression, Err(RuleError::Pattern(PatternError::FeatureMissing)));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text| SubUrlRule::from_json(text).unwrap_err().to_string();
        assert!(message(r#"{"domain":{"stripWww":true}}"#).contains("stripWww"));
        assert!(message("[]").contains("not a JSON object"));
        assert!(message(r#"{"profile":"ios25"}"#).contains("ios25"));
    }
}
