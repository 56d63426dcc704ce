//! The text of a configuration as plain structures.

use super::ConfigurationError;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfiguration {
    pub(super) out: PathBuf,
    #[serde(default)]
    pub(super) build: RawBuild,
    #[serde(default)]
    pub(super) process: RawProcess,
    #[serde(default)]
    pub(super) source: Vec<RawList>,
    #[serde(default)]
    pub(super) allow: Vec<RawList>,
    pub(super) service: Option<RawService>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBuild {
    pub(super) fpr: Option<f64>,
    pub(super) compress: bool,
    pub(super) onboarding_entry: bool,
    pub(super) systems: Option<Vec<String>>,
    pub(super) min_keys: Option<u64>,
    pub(super) max_shrink: Option<f64>,
    pub(super) max_refused: Option<f64>,
    pub(super) strict: bool,
    pub(super) tolerate: Vec<String>,
    pub(super) allow_suffixes: Vec<String>,
    pub(super) protect: Vec<String>,
    pub(super) unprotect: Vec<String>,
    pub(super) watch: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawProcess {
    pub(super) rlwe_parameters: Option<String>,
    pub(super) rows_per_shard: Option<u64>,
    pub(super) trials_per_shard: Option<u32>,
}

/// A text, or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts is expected")]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawList {
    pub(super) name: Option<String>,
    pub(super) path: Option<PathBuf>,
    pub(super) url: Option<String>,
    pub(super) format: Option<String>,
    #[serde(rename = "where")]
    pub(super) rows: Option<OneOrMore>,
    pub(super) member: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) sinks: Vec<String>,
    pub(super) defanged: bool,
    pub(super) widen_rules: bool,
    pub(super) min_keys: Option<u64>,
    pub(super) max_shrink: Option<f64>,
    pub(super) levels: Vec<String>,
    pub(super) max_bytes: Option<u64>,
    pub(super) timeout_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawService {
    pub(super) use_case: Option<String>,
    pub(super) publish: Option<String>,
    pub(super) reload: Option<String>,
    pub(super) nodes: Vec<String>,
    pub(super) nodes_name: Option<String>,
    pub(super) sign: Option<PathBuf>,
    pub(super) lead_seconds: Option<u64>,
    pub(super) filter_delay_seconds: Option<u64>,
    pub(super) node_timeout_seconds: Option<u64>,
    pub(super) keep: Option<usize>,
    pub(super) every_minutes: Option<u64>,
}

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<RawConfiguration, ConfigurationError> {
    let line_of = |error: &toml::de::Error| {
        let start = error.span()?.start;
        Some(text.get(..start)?.matches('\n').count() + 1)
    };
    let deserializer =
        toml::Deserializer::parse(text).map_err(|error| ConfigurationError::Toml {
            file: None,
            reason: error.message().to_owned(),
            line: line_of(&error),
        })?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let (key, reason) = describe(&path, error.message());
        ConfigurationError::Value { file: None, key, reason, line: line_of(&error) }
    })
}

/// Key and reason of what the parser says of a value.
fn describe(path: &str, message: &str) -> (String, String) {
    let child = |key: &str| match path {
        "." | "" => key.to_owned(),
        // The parser names an unknown key as the last part of the path itself, or not.
        path if path == key || path.ends_with(&format!(".{key}")) => path.to_owned(),
        path => format!("{path}.{key}"),
    };
    let quoted = message.split('`').nth(1).unwrap_or_default();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let known = match rest.split_once(", expected ") {
            Some((_, known)) => format!("; known here: {}", known.trim_start_matches("one of ")),
            None => String::new(),
        };
        return (child(quoted), format!("there is no such key, check its spelling{known}"));
    }
    if message.starts_with("missing field ") {
        return (child(quoted), "it is missing".to_owned());
    }
    let key = if path == "." { "the whole text" } else { path };
    (key.to_owned(), pir_dataset::configuration::value_reason(message))
}
