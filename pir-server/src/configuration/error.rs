//! What can be wrong with a configuration.

use durable_file::FileError;
use std::fmt;
use std::path::{Path, PathBuf};

/// An optional part of the program: a feature in `Cargo.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// State in Redis or Valkey, shared by several nodes.
    Redis,
    /// Publications in S3, Google Cloud Storage and Azure.
    Cloud,
    /// HTTPS of the service, and `https://` addresses of others.
    Tls,
    /// The Oblivious HTTP gateway.
    Gateway,
    /// Lists that the service keeps up to date by itself.
    Lists,
    /// Data sets of which clients learn no other value than those that they look up.
    Symmetric,
}

impl Feature {
    /// Its name in `Cargo.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Cloud => "cloud",
            Self::Tls => "tls",
            Self::Gateway => "gateway",
            Self::Lists => "lists",
            Self::Symmetric => "symmetric",
        }
    }

    /// Whether this program has it.
    #[must_use]
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::Redis => cfg!(feature = "redis"),
            Self::Cloud => cfg!(feature = "cloud"),
            Self::Tls => cfg!(feature = "tls"),
            Self::Gateway => cfg!(feature = "gateway"),
            Self::Lists => cfg!(feature = "lists"),
            Self::Symmetric => cfg!(feature = "symmetric"),
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A configuration cannot be used.
///
/// Messages name the file, the key and what is expected there. They never quote a value that may be a
/// token or a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read, or is longer than 64 MiB.
    #[error(transparent)]
    Read(#[from] FileError),
    /// The text is not JSON.
    #[error("{}not valid JSON: {reason} (line {line}, column {column})", prefix(file.as_deref()))]
    Json {
        /// The file, if the text is from one.
        file: Option<PathBuf>,
        /// What the parser expected.
        reason: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// A key is unknown or missing, or its value cannot be used.
    #[error("{}{key}: {reason}", prefix(file.as_deref()))]
    Value {
        /// The file, if the text is from one.
        file: Option<PathBuf>,
        /// The key with those above it, such as `usecases[0].shardCount`.
        key: String,
        /// What is expected, and for values of another kind what was found and where.
        reason: String,
    },
    /// A key needs a part of the program that was not built.
    #[error(
        "{}{key}: needs the feature `{feature}`, which this program was built without; install it \
         with `--features {feature}`", prefix(file.as_deref())
    )]
    Feature {
        /// The file, if the text is from one.
        file: Option<PathBuf>,
        /// The key with those above it.
        key: String,
        /// The feature that is not built in.
        feature: Feature,
    },
}

fn prefix(file: Option<&Path>) -> String {
    file.map(|file| format!("{}: ", file.display())).unwrap_or_default()
}

impl ConfigurationError {
    /// A value that cannot be used. `key` is relative to the part of the configuration that it is in.
    pub(super) fn value(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value { file: None, key: key.into(), reason: reason.into() }
    }

    /// Refuses a key whose feature is not built in.
    pub(super) fn unless_built(key: &str, feature: Feature) -> Result<(), Self> {
        match feature.is_built_in() {
            true => Ok(()),
            false => Err(Self::Feature { file: None, key: key.to_owned(), feature }),
        }
    }

    /// Refuses an address that begins with `https://` if TLS is not built in.
    pub(super) fn unless_reachable(key: &str, address: &str) -> Result<(), Self> {
        let is_https =
            address.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        if is_https { Self::unless_built(key, Feature::Tls) } else { Ok(()) }
    }

    /// The same error with the key of the part that it is in.
    pub(super) fn within(mut self, parent: impl fmt::Display) -> Self {
        if let Self::Value { key, .. } | Self::Feature { key, .. } = &mut self {
            *key = match key.as_str() {
                "" => parent.to_string(),
                key if key.starts_with('[') => format!("{parent}{key}"),
                key => format!("{parent}.{key}"),
            };
        }
        self
    }

    /// The same error with the file that the text is from.
    pub(super) fn in_file(mut self, path: &Path) -> Self {
        if let Self::Json { file, .. } | Self::Value { file, .. } | Self::Feature { file, .. } =
            &mut self
        {
            *file = Some(path.to_owned());
        }
        self
    }
}
