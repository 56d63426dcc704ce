//! What can be wrong with a configuration.

use durable_file::FileError;
use std::path::{Path, PathBuf};

/// A list configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] FileError),
    /// The file is not text.
    #[error("a list configuration is text in UTF-8")]
    NotUtf8,
    /// The text is not TOML.
    #[error("{}not valid TOML: {reason}{}", prefix(file.as_deref()), at(*line))]
    Toml {
        /// The file, if the text is from one.
        file: Option<PathBuf>,
        /// What the parser expected.
        reason: String,
        /// Line, from 1.
        line: Option<usize>,
    },
    /// A key is unknown or missing, or its value cannot be used.
    #[error("{}{key}: {reason}{}", prefix(file.as_deref()), at(*line))]
    Value {
        /// The file, if the text is from one.
        file: Option<PathBuf>,
        /// The key with those above it, such as `source[0].max_shrink`.
        key: String,
        /// What is expected.
        reason: String,
        /// Line, from 1, where it is known.
        line: Option<usize>,
    },
    /// A key needs a part of the program that was not built.
    #[error(
        "{}{key}: needs the feature `{feature}`, which this program was built without",
        prefix(file.as_deref())
    )]
    Feature {
        /// The file, if the text is from one.
        file: Option<PathBuf>,
        /// The key with those above it.
        key: String,
        /// The feature of this crate that the key needs.
        feature: &'static str,
    },
}

fn prefix(file: Option<&Path>) -> String {
    file.map(|file| format!("{}: ", file.display())).unwrap_or_default()
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}

impl ConfigurationError {
    pub(super) fn value(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value { file: None, key: key.into(), reason: reason.into(), line: None }
    }

    pub(super) fn feature(key: impl Into<String>, feature: &'static str) -> Self {
        Self::Feature { file: None, key: key.into(), feature }
    }

    /// The same error with the key of the part that it is in.
    pub(super) fn within(mut self, parent: &str) -> Self {
        if let Self::Value { key, .. } | Self::Feature { key, .. } = &mut self {
            *key = format!("{parent}.{key}");
        }
        self
    }

    /// The same error with the file that the text is from.
    pub(super) fn in_file(mut self, path: &Path) -> Self {
        if let Self::Toml { file, .. } | Self::Value { file, .. } | Self::Feature { file, .. } =
            &mut self
        {
            *file = Some(path.to_owned());
        }
        self
    }
}
