//! How published releases are fetched.

use super::error::ConfigurationError;
use release_signature::{PublicKey, TrustedKeys};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How published releases are fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicationSettings {
    /// Folder for downloaded releases.
    pub(crate) directory: PathBuf,
    /// How often publications are checked for a new release.
    pub(crate) poll_interval: Duration,
    /// How long a node that is late with a release reports itself as not ready.
    pub(crate) max_late: Duration,
    /// Largest data set of a release, in bytes.
    pub(crate) max_release_bytes: u64,
    /// Options of the object store, such as `aws_endpoint`. They take precedence over the environment,
    /// and may hold a secret.
    pub(crate) options: BTreeMap<String, String>,
    /// Keys of which one must have signed what is published; `None` believes what is not signed, too.
    pub(crate) keys: Option<TrustedKeys>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawPublications {
    directory: PathBuf,
    poll_seconds: u64,
    late_seconds: u64,
    release_bytes: u64,
    options: BTreeMap<String, String>,
    public_keys: Option<Vec<String>>,
}

impl Default for RawPublications {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("pir-server-data"),
            poll_seconds: 10,
            late_seconds: 120,
            release_bytes: 64 << 30,
            options: BTreeMap::new(),
            public_keys: None,
        }
    }
}

fn trusted_keys(texts: &[String]) -> Result<TrustedKeys, ConfigurationError> {
    let mut keys = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let key = PublicKey::parse(text).map_err(|error| {
            ConfigurationError::value(format!("publicKeys[{index}]"), error.to_string())
        })?;
        keys.push(key);
    }
    // An empty list could be meant as "trust nobody" or as "trust anybody".
    TrustedKeys::new(keys).map_err(|error| {
        ConfigurationError::value(
            "publicKeys",
            format!("{error}; leave the key out to check nothing"),
        )
    })
}

impl TryFrom<RawPublications> for PublicationSettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawPublications) -> Result<Self, ConfigurationError> {
        if !(1..=3600).contains(&raw.poll_seconds) {
            let reason = "a number of seconds from 1 to 3600 is expected";
            return Err(ConfigurationError::value("pollSeconds", reason));
        }
        Ok(Self {
            directory: raw.directory,
            poll_interval: Duration::from_secs(raw.poll_seconds),
            max_late: Duration::from_secs(raw.late_seconds),
            max_release_bytes: raw.release_bytes,
            options: raw.options,
            keys: raw.public_keys.as_deref().map(trusted_keys).transpose()?,
        })
    }
}

impl Default for PublicationSettings {
    fn default() -> Self {
        RawPublications::default().try_into().expect("the defaults are valid")
    }
}

/// Without the options, which may hold a secret.
impl std::fmt::Debug for PublicationSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicationSettings")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}
