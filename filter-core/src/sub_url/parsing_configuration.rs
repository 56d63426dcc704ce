//! `NEURLFilterManager.ParsingConfiguration` of iOS, iPadOS and macOS 27.

use serde::{Deserialize, Serialize};

/// What stands for a component that a parsing configuration excludes from a URL that has it.
pub const PLACEHOLDER: &str = "%*";

/// Which parts of a URL the device keeps, and which parents of it are tested. Field names and defaults are Apple's;
/// the default configuration gives the same sub-URLs as [`Profile::Current`](super::Profile::Current).
///
/// ```
/// use filter_core::sub_url::{ParsingConfiguration, SubUrlRule};
///
/// let mut configuration = ParsingConfiguration::default();
/// configuration.path.segments = 1;
/// let rule = SubUrlRule::Parsing(configuration);
/// let list = rule.parse("https://example.com/a/b")?.sub_urls().sorted(100)?;
/// assert!(list.contains(&"example.com/a".to_owned()));
/// assert!(!list.contains(&"example.com/a/b".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ParsingConfiguration {
    /// Sub-URLs start with the host (default true); otherwise with `scheme://`.
    pub exclude_scheme: bool,
    /// What becomes of host and port.
    pub domain: DomainOptions,
    /// What becomes of the path.
    pub path: PathOptions,
    /// What becomes of the query.
    pub query: QueryOptions,
    /// Replaces the fragment by [`PLACEHOLDER`] (default false).
    pub exclude_fragment: bool,
    /// Tests only combinations with every component that the URL has (default false).
    pub exclude_intermediates: bool,
    /// Path, query and fragment keep their case (default false).
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

/// What becomes of host and port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DomainOptions {
    /// Replaces host and port by [`PLACEHOLDER`] (default false); the other options then have no effect.
    pub excluded: bool,
    /// Removes a leading `www.` (default true).
    #[serde(rename = "stripWWW")]
    pub strip_www: bool,
    /// Number of labels that are kept, counted from the right; 0 (the default) keeps all.
    pub levels: u32,
    /// Tests every parent of at least two labels as well (default true).
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
#[non_exhaustive]
pub struct PathOptions {
    /// Replaces the path by [`PLACEHOLDER`] (default false); the other options then have no effect.
    pub excluded: bool,
    /// Number of segments that are kept, counted from the left; 0 (the default) keeps all.
    pub segments: u32,
    /// Tests every prefix of the path that ends at a segment as well (default true).
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
#[non_exhaustive]
pub struct QueryOptions {
    /// Replaces the query by [`PLACEHOLDER`] (default false); the other option then has no effect.
    pub excluded: bool,
    /// Names of the items that are kept, in this order; `None` (the default) keeps the query as it is. Names
    /// ignore case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Vec<String>>,
}

impl QueryOptions {
    /// The items of `query` that `names` select, in the order of `names`. `query` and the result start with
    /// `?`; the result is empty if no item is selected.
    #[must_use]
    pub fn select(&self, query: &str, names: &[String]) -> String {
        let query = query.strip_prefix('?').unwrap_or(query);
        let items = || query.split('&').filter(|item| !item.is_empty());
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
