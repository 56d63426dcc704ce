//! Use cases: which data set is served under which name.

use super::error::{ConfigurationError, Feature};
use pir_api::convert::MAX_SHARDS;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The only value of `symmetricPirArguments.configType`.
const SYMMETRIC_CONFIGURATION: &str = "OPRF_P384_AES_GCM_192_NONCE_96_TAG_128";
/// Longest name of a use case, in bytes.
const MAX_NAME: usize = 255;

/// Files of one version of a data set: `<stem>-<shard>.bin` and `<stem>-<shard>.params.txtpb` for each shard, and
/// possibly `<stem>-manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardFiles {
    /// What all paths begin with.
    pub(crate) stem: PathBuf,
    /// How many shards there are.
    pub(crate) count: ShardCount,
}

/// How many shards a data set has, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardCount {
    /// As many as its manifest has; without one, as the configuration says. A data set may have grown since the
    /// configuration was written.
    Manifest(Option<u32>),
    /// As many as its release says, and its manifest must say the same.
    Release(u32),
}

/// Where the data set of a use case comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UseCaseSource {
    /// Files on this machine.
    Files(ShardFiles),
    /// Releases in an object store or a folder.
    Published {
        /// `s3://bucket/path`, `gs://…`, `az://…`, or a folder.
        address: String,
    },
}

/// A use case: a data set and the name under which devices look it up.
#[derive(Clone, Debug)]
pub struct UseCase {
    pub(crate) name: String,
    pub(crate) source: UseCaseSource,
    /// Most versions that are served at the same time; 0 removes the use case.
    pub(crate) version_count: usize,
    /// How long a version is served after a newer one has taken its place.
    pub(crate) superseded_for: Duration,
    /// File with the key of a symmetric data set, hexadecimal.
    pub(crate) database_key: Option<PathBuf>,
    /// Folder of the prefilter that is given out, as `urlfilter build` wrote it.
    pub(crate) prefilter: Option<PathBuf>,
    /// Folder with a folder for the prefilter of each level, as an update of lists wrote them.
    pub(crate) levels: Option<PathBuf>,
    /// Whether its files may come into being, and be completed, while the service runs.
    pub(crate) awaits_files: bool,
}

impl UseCase {
    /// A use case whose data set is in files: `<stem>-<shard>.bin` and `<stem>-<shard>.params.txtpb` for each shard.
    /// A superseded version is served for twelve hours. `shards` counts only for a data set without a manifest,
    /// which must have exactly so many; it may be `None` for others.
    ///
    /// `name` is `<bundle id>.url.filtering` for a URL filter.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] for a name that is not 1 to 255 bytes without control characters,
    /// an empty stem, or a number of shards out of range.
    pub fn from_files(
        name: impl Into<String>,
        stem: impl Into<PathBuf>,
        shards: impl Into<Option<u32>>,
    ) -> Result<Self, ConfigurationError> {
        let shards = shards.into();
        let (name, stem) = (check_name(name.into())?, stem.into());
        if stem.as_os_str().is_empty() {
            return Err(ConfigurationError::value("fileStem", "it is missing"));
        }
        if shards.is_some_and(|shards| !(1..=MAX_SHARDS).contains(&shards)) {
            let reason = format!("a number from 1 to {MAX_SHARDS} is expected");
            return Err(ConfigurationError::value("shardCount", reason));
        }
        Ok(Self::new(
            name,
            UseCaseSource::Files(ShardFiles { stem, count: ShardCount::Manifest(shards) }),
        ))
    }

    /// A use case whose releases are published at an address: `s3://bucket/path`, `gs://…`, `az://…`
    /// (feature `cloud`), or a folder.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] for an empty address or a name that cannot be the name of a folder,
    /// and [`ConfigurationError::Feature`] for an address that needs a feature.
    pub fn from_publication(
        name: impl Into<String>,
        address: impl Into<String>,
    ) -> Result<Self, ConfigurationError> {
        let (name, address) = (check_name(name.into())?, address.into());
        if address.is_empty() {
            return Err(ConfigurationError::value("published", "an address is expected"));
        }
        if name.contains('/') || name.starts_with('.') {
            let reason = format!(
                "{name} cannot be the name of a folder, which a published use case needs: no `/`, and no \
                 `.` at the beginning"
            );
            return Err(ConfigurationError::value("name", reason));
        }
        let is_local = !address.contains("://") || address.starts_with("file://");
        if !is_local {
            ConfigurationError::unless_built("published", Feature::Cloud)?;
        }
        Ok(Self::new(name, UseCaseSource::Published { address }))
    }

    fn new(name: String, source: UseCaseSource) -> Self {
        let superseded_for = Duration::from_secs(60 * u64::from(DEFAULT_SUPERSEDED_MINUTES));
        Self {
            name,
            source,
            version_count: DEFAULT_VERSIONS,
            superseded_for,
            database_key: None,
            prefilter: None,
            levels: None,
            awaits_files: false,
        }
    }

    /// Sets the largest number of versions that are served at the same time; 0 removes the use case. Without it, as many as
    /// their time and `limits.supersededBytes` allow.
    #[must_use]
    pub fn with_version_count(mut self, count: usize) -> Self {
        self.version_count = count;
        self
    }

    /// Sets how long a version is served after a newer one has taken its place, to devices whose configuration may come
    /// from a cache. Others are told to fetch the new one after two minutes.
    #[must_use]
    pub fn with_superseded_for(mut self, span: Duration) -> Self {
        self.superseded_for = span;
        self
    }

    /// Sets the file with the key of a symmetric data set, hexadecimal.
    #[cfg(feature = "symmetric")]
    #[must_use]
    pub fn with_database_key(mut self, path: impl Into<PathBuf>) -> Self {
        self.database_key = Some(path.into());
        self
    }

    /// Gives out the prefilter in a folder that `urlfilter build` wrote. It must be of the same build as the data set.
    #[must_use]
    pub fn with_prefilter(mut self, folder: impl Into<PathBuf>) -> Self {
        self.prefilter = Some(folder.into());
        self
    }

    /// Gives out the prefilters of levels, in a folder that an update of lists wrote. They must be of the same build as the
    /// [prefilter](Self::with_prefilter).
    #[must_use]
    pub fn with_levels(mut self, folder: impl Into<PathBuf>) -> Self {
        self.levels = Some(folder.into());
        self
    }

    /// Files that this service makes itself.
    #[cfg(feature = "lists")]
    pub(super) fn awaiting_files(mut self) -> Self {
        self.awaits_files = true;
        self
    }

    /// The name under which devices look it up.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its data set comes from.
    #[must_use]
    pub fn source(&self) -> &UseCaseSource {
        &self.source
    }

    /// Whether any version is served.
    pub(crate) fn is_served(&self) -> bool {
        self.version_count > 0
    }

    /// The address of its publication; `None` for files.
    pub(crate) fn published(&self) -> Option<&str> {
        match &self.source {
            UseCaseSource::Files(_) => None,
            UseCaseSource::Published { address } => Some(address),
        }
    }
}

fn check_name(name: String) -> Result<String, ConfigurationError> {
    match (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control) {
        true => Ok(name),
        false => Err(ConfigurationError::value(
            "name",
            format!("a name of 1 to {MAX_NAME} bytes without control characters is expected"),
        )),
    }
}

/// As many as are in their time.
const DEFAULT_VERSIONS: usize = usize::MAX;
/// Caches of Apple's may give the superseded configuration out for hours; for how many is not documented.
const DEFAULT_SUPERSEDED_MINUTES: u32 = 720;

fn default_versions() -> usize {
    DEFAULT_VERSIONS
}

fn default_superseded_minutes() -> u32 {
    DEFAULT_SUPERSEDED_MINUTES
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSymmetricArguments {
    database_encryption_key_file_path: PathBuf,
    #[serde(default)]
    config_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawUseCase {
    name: String,
    #[serde(default)]
    file_stem: String,
    #[serde(default)]
    shard_count: Option<u32>,
    #[serde(default)]
    filter: Option<PathBuf>,
    #[serde(default)]
    filter_levels: Option<PathBuf>,
    #[serde(default)]
    published: Option<String>,
    #[serde(default = "default_versions")]
    version_count: usize,
    #[serde(default = "default_superseded_minutes")]
    superseded_minutes: u32,
    #[serde(default)]
    symmetric_pir_arguments: Option<RawSymmetricArguments>,
}

impl TryFrom<RawUseCase> for UseCase {
    type Error = ConfigurationError;

    fn try_from(raw: RawUseCase) -> Result<Self, ConfigurationError> {
        let has_files = !raw.file_stem.is_empty() || raw.shard_count.is_some();
        let use_case = match raw.published {
            Some(_) if has_files => {
                let reason = "an address is expected in place of fileStem and shardCount, not both";
                return Err(ConfigurationError::value("published", reason));
            }
            Some(address) => Self::from_publication(raw.name, address)?,
            None => Self::from_files(raw.name, raw.file_stem, raw.shard_count)?,
        };
        let mut use_case = use_case
            .with_version_count(raw.version_count)
            .with_superseded_for(Duration::from_secs(60 * u64::from(raw.superseded_minutes)));
        if raw.filter.is_some() && use_case.published().is_some() {
            let reason = "a folder is for use cases with fileStem; a publication has the prefilter itself, in filter/";
            return Err(ConfigurationError::value("filter", reason));
        }
        if raw.filter_levels.is_some() && raw.filter.is_none() {
            let reason = "it needs filter, the prefilter of the build that the levels are of";
            return Err(ConfigurationError::value("filterLevels", reason));
        }
        use_case.prefilter = raw.filter;
        use_case.levels = raw.filter_levels;
        if let Some(symmetric) = raw.symmetric_pir_arguments {
            ConfigurationError::unless_built("symmetricPirArguments", Feature::Symmetric)?;
            if symmetric.config_type.is_some_and(|kind| kind != SYMMETRIC_CONFIGURATION) {
                let reason = format!("{SYMMETRIC_CONFIGURATION} is expected");
                return Err(ConfigurationError::value("symmetricPirArguments.configType", reason));
            }
            use_case.database_key = Some(symmetric.database_encryption_key_file_path);
        }
        Ok(use_case)
    }
}
