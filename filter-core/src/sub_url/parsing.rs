//! `NEURLFilterManager.ParsingConfiguration` of iOS, iPadOS and macOS 27.

use serde::{Deserialize, Serialize};

/// Which parts of a URL the device keeps and walks. Field names and defaults are Apple's; the
/// default value generates the same sub-URLs as the current rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ParsingConfiguration {
    /// Leaves the scheme out (default true); otherwise sub-URLs start with `scheme://`.
    pub exclude_scheme: bool,
    /// The host.
    pub domain: DomainOptions,
    /// The path.
    pub path: PathOptions,
    /// The query.
    pub query: QueryOptions,
    /// Puts the placeholder in place of the fragment.
    pub exclude_fragment: bool,
    /// Keeps only combinations with every component that the URL has.
    pub exclude_intermediates: bool,
    /// Keeps the case of letters.
    pub case_sensitive: bool,
}

impl Default for ParsingConfiguration {
    fn default() -> Self {
        Self {
            exclude_scheme: true,
            domain: DomainOptions::default(),
            path: PathOptions::default(),
            query: QueryOptions::default(),
            exclude_fragment: false,
            exclude_intermediates: false,
            case_sensitive: false,
        }
    }
}

/// What becomes of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DomainOptions {
    /// Puts the placeholder in place of host and port; the other options are then moot.
    pub excluded: bool,
    /// Removes a leading `www.` (default true).
    #[serde(rename = "stripWWW")]
    pub strip_www: bool,
    /// Keeps this many labels, counted from the right; 0 keeps all.
    pub levels: u32,
    /// Walks up to every parent of at least two labels (default true).
    pub enumerate_hierarchy: bool,
}

impl Default for DomainOptions {
    fn default() -> Self {
        Self { excluded: false, strip_www: true, levels: 0, enumerate_hierarchy: true }
    }
}

/// What becomes of the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PathOptions {
    /// Puts the placeholder in place of the path; the other options are then moot.
    pub excluded: bool,
    /// Keeps this many segments, counted from the left; 0 keeps all.
    pub segments: u32,
    /// Walks from the root to the full path (default true).
    pub enumerate_hierarchy: bool,
}

impl Default for PathOptions {
    fn default() -> Self {
        Self { excluded: false, segments: 0, enumerate_hierarchy: true }
    }
}

/// What becomes of the query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct QueryOptions {
    /// Puts the placeholder in place of the query; the other option is then moot.
    pub excluded: bool,
    /// Keeps only these items, in this order; absent keeps the query as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Vec<String>>,
}

impl QueryOptions {
    /// The items of `query` that `names` select, in the order of `names`. `query` and the result start with
    /// `?`; the result is empty if no item is selected.
    #[must_use]
    pub fn select(&self, query: &str, names: &[String]) -> String {
        let items =
            || query.get(1..).unwrap_or_default().split('&').filter(|item| !item.is_empty());
        let mut kept = String::new();
        for wanted in names {
            for item in items().filter(|item| {
                let name = item.split_once('=').map_or(*item, |(name, _)| name);
                name.eq_ignore_ascii_case(wanted)
            }) {
                kept.push(if kept.is_empty() { '?' } else { '&' });
                kept.push_str(item);
            }
        }
        kept
    }
}
