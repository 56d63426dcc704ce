//! What a file says of a filter apart from its bits.

use crate::bloom::Sizing;
use crate::sub_url::{PatternError, RuleFields, SubUrlRule};
use serde::{Deserialize, Serialize};

/// What a file says of a filter apart from its bits. Every field may be absent.
///
/// ```
/// use filter_core::file::Description;
///
/// let mut description = Description::default();
/// description.item_count = Some(2);
/// assert_eq!(serde_json::to_string(&description)?, r#"{"itemCount":2}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DescriptionFields", into = "DescriptionFields")]
#[non_exhaustive]
pub struct Description {
    /// Number of distinct keys.
    pub item_count: Option<u64>,
    /// The false-positive rate that the filter was sized for, strictly between 0 and 1.
    pub false_positive_tolerance: Option<f64>,
    /// How the sizes were rounded.
    pub sizing: Option<Sizing>,
    /// The sub-URL rule that the keys were made for.
    pub rule: Option<SubUrlRule>,
    /// Version of the tool that made the filter.
    pub tool_version: Option<String>,
}

/// [`Description`] in JSON, with the fields of the rule among the others.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescriptionFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item_count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    false_positive_tolerance: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sizing: Option<Sizing>,
    #[serde(flatten)]
    rule: RuleFields,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool_version: Option<String>,
}

impl TryFrom<DescriptionFields> for Description {
    type Error = PatternError;

    fn try_from(fields: DescriptionFields) -> Result<Self, PatternError> {
        Ok(Self {
            item_count: fields.item_count,
            false_positive_tolerance: fields.false_positive_tolerance,
            sizing: fields.sizing,
            rule: fields.rule.into_rule()?,
            tool_version: fields.tool_version,
        })
    }
}

impl From<Description> for DescriptionFields {
    fn from(description: Description) -> Self {
        Self {
            item_count: description.item_count,
            false_positive_tolerance: description.false_positive_tolerance,
            sizing: description.sizing,
            rule: description.rule.map_or_else(RuleFields::default, RuleFields::from),
            tool_version: description.tool_version,
        }
    }
}
