//! The configuration of the processing tool, in the form of the reference's `PIRProcessDatabase`.
//!
//! The reference ignores keys that it does not know. Here they are errors, so that a misspelt key does not
//! silently change a data set. Commas before a closing bracket are allowed, because the reference's manual
//! has them.

mod kinds;
mod sharding;

use crate::Cause;
use keyword_pir::cuckoo::BucketCount;
use keyword_pir::plan::Plan;
use keyword_pir::shape::{DimensionRule, KeyCompression};
use keyword_pir::{MAX_HASH_FUNCTIONS, ShardingFunction};
use serde::Deserialize;
use std::path::PathBuf;

pub use kinds::value_reason;
pub use sharding::{Rounding, ShardCount, Sharding};

/// Largest configuration that is read, in bytes.
pub const MAX_CONFIGURATION: usize = 1 << 20;
/// The part of a path that is replaced by the number of a shard.
pub const SHARD_ID: &str = "SHARD_ID";
/// The only kind of encryption of symmetric databases.
pub const SYMMETRIC_CONFIG_TYPE: &str = "OPRF_P384_AES_GCM_192_NONCE_96_TAG_128";
/// Largest number of shards.
pub const MAX_SHARDS: u32 = 1 << 16;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The text is longer than [`MAX_CONFIGURATION`].
    #[error("{0} bytes; a configuration has at most {MAX_CONFIGURATION}")]
    TooLong(usize),
    /// The text is not JSON, has an unknown key, or a value of the wrong kind.
    #[error("{}", at(key))]
    Json {
        /// Path of the key, such as `sharding.shardCount`; `.` or `?` for the whole text.
        key: String,
        /// The mistake and its place.
        source: Cause,
    },
    /// No set of encryption parameters has this name.
    #[error("rlweParameters: there is no set `{name}`; known are {known}")]
    ParameterSet {
        /// The name as it was given.
        name: String,
        /// All names.
        known: String,
    },
    /// The set of encryption parameters is for tests.
    #[error(
        "rlweParameters: queries under {name} can be read by anybody; it is for tests of the arithmetic alone"
    )]
    Insecure {
        /// The name of the set, which begins with `insecure`.
        name: String,
    },
    /// A path needs the number of the shard.
    #[error("{key}: the path must contain SHARD_ID, which becomes the number of the shard")]
    ShardId {
        /// The key of the configuration with the path.
        key: &'static str,
    },
    /// A value is out of range.
    #[error("{key} is {found}; {expected}")]
    Value {
        /// The key of the configuration.
        key: &'static str,
        /// The value as it was given.
        found: String,
        /// What is possible.
        expected: String,
    },
    /// A key does not go with others.
    #[error("{key}: {why}")]
    Conflict {
        /// The key of the configuration that has to go.
        key: &'static str,
        /// With which other key it does not go, and what to do.
        why: &'static str,
    },
}

impl ConfigurationError {
    /// What is wrong with `rlweParameters`, for other files that have it under another name.
    #[must_use]
    pub fn without_key(&self) -> String {
        let text = self.to_string();
        text.strip_prefix("rlweParameters: ").map(str::to_owned).unwrap_or(text)
    }
}

/// Checks the name of a set of encryption parameters.
///
/// # Errors
/// [`ConfigurationError::ParameterSet`] if there is none of this name, [`ConfigurationError::Insecure`] if it protects nothing.
pub fn check_parameter_set(name: &str) -> Result<(), ConfigurationError> {
    parameter_set(name).map(drop)
}

fn parameter_set(name: &str) -> Result<bfv::Parameters, ConfigurationError> {
    let is_insecure = |name: &str| name.starts_with("insecure");
    let parameters = bfv::Parameters::predefined(name).ok_or_else(|| {
        let known = bfv::Parameters::predefined_names().filter(|name| !is_insecure(name));
        let known: Vec<_> = known.collect();
        ConfigurationError::ParameterSet { name: name.to_owned(), known: known.join(", ") }
    })?;
    match is_insecure(name) {
        true => Err(ConfigurationError::Insecure { name: name.to_owned() }),
        false => Ok(parameters),
    }
}

fn at(key: &str) -> String {
    match key {
        "." | "?" => "not a valid configuration".to_owned(),
        key => format!("{key}: not a valid value"),
    }
}

/// What rows are looked up by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum DatabaseType {
    /// Rows have a keyword and a value, and are looked up by keyword.
    #[default]
    Keyword,
    /// Rows have a value, and are looked up by their number.
    Index,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Algorithm {
    AclsPir,
    #[default]
    MulPir,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Compression {
    #[default]
    #[serde(rename = "noCompression")]
    None,
    #[serde(rename = "hybridCompression")]
    Hybrid,
    #[serde(rename = "maxCompression")]
    Maximum,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawShardingFunction {
    Sha256(Option<Empty>),
    DoubleMod(u32),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawBucketCount {
    AllowExpansion(Expansion),
    FixedSize(FixedSize),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expansion {
    #[serde(default = "default_expansion_factor")]
    expansion_factor: f64,
    #[serde(default = "default_target_load_factor")]
    target_load_factor: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FixedSize {
    bucket_count: u64,
}

/// The layout by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawLayout {
    Reference,
    Cheap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum NamedDimensions {
    Reference,
    Cheapest,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "\"reference\", \"cheapest\" or two numbers are expected")]
enum RawDimensions {
    Named(NamedDimensions),
    Fixed([u64; 2]),
}

/// Who chooses the layout of shards: hash functions, buckets and dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// No key names one. A data set keeps the layout that it has; a new one gets the cheap layout if it is for this
    /// project's service.
    Automatic,
    /// `"layout": "cheap"`: [`Plan::cheap`] where values are short enough, otherwise the settings of
    /// [`Configuration::plan`].
    Cheap,
    /// The settings of [`Configuration::plan`]: some of them are configured, or `"layout": "reference"`.
    Configured,
}

fn default_expansion_factor() -> f64 {
    1.1
}

fn default_target_load_factor() -> f64 {
    0.9
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CuckooArguments {
    hash_function_count: Option<usize>,
    max_eviction_count: Option<u32>,
    max_serialized_bucket_size: Option<usize>,
    slot_count: Option<usize>,
    bucket_count: Option<RawBucketCount>,
}

/// The key of a symmetric database. Exactly one of the two paths is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SymmetricPir {
    /// An existing key.
    pub database_encryption_key_file_path: Option<PathBuf>,
    /// Where to write a new key.
    pub output_database_encryption_key_file_path: Option<PathBuf>,
    /// The kind of encryption, [`SYMMETRIC_CONFIG_TYPE`] if it is there.
    pub config_type: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawConfiguration {
    rlwe_parameters: String,
    input_database: PathBuf,
    output_database: String,
    output_pir_parameters: String,
    #[serde(default)]
    database_type: DatabaseType,
    output_evaluation_key_config: Option<PathBuf>,
    #[serde(default)]
    sharding: Sharding,
    sharding_function: Option<RawShardingFunction>,
    layout: Option<RawLayout>,
    cuckoo_table_arguments: Option<CuckooArguments>,
    #[serde(default)]
    algorithm: Algorithm,
    #[serde(default)]
    key_compression: Compression,
    use_max_serialized_bucket_size: Option<bool>,
    symmetric_pir_arguments: Option<SymmetricPir>,
    #[serde(default = "default_trials_per_shard")]
    trials_per_shard: u32,
    #[serde(default)]
    encoding_entry_size: bool,
    uneven_dimensions: Option<bool>,
    dimensions: Option<RawDimensions>,
}

fn default_trials_per_shard() -> u32 {
    1
}

/// A path with the number of a shard in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPath(String);

impl ShardPath {
    /// The path of one shard.
    #[must_use]
    pub fn of_shard(&self, shard: u32) -> PathBuf {
        self.with(&shard.to_string())
    }

    /// The path with another text in place of the number.
    #[must_use]
    pub fn with(&self, name: &str) -> PathBuf {
        self.0.replace(SHARD_ID, name).into()
    }

    /// Whether the path contains [`SHARD_ID`], so that every shard has a file of its own.
    #[must_use]
    pub fn has_shard_id(&self) -> bool {
        self.0.contains(SHARD_ID)
    }
}

/// A valid configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Configuration {
    /// Who chooses the layout of shards.
    pub layout: Layout,
    /// The parameter set, and the layout of shards as far as it is configured; what is not is as the reference's tool
    /// has it.
    pub plan: Plan,
    /// What rows are looked up by.
    pub database_type: DatabaseType,
    /// The rows: text if the name ends in `.txtpb`, otherwise serialized.
    pub input_database: PathBuf,
    /// Processed databases, one for each shard.
    pub output_database: ShardPath,
    /// Parameter files, one for each shard.
    pub output_parameters: ShardPath,
    /// The evaluation key configuration of all shards.
    pub output_evaluation_key_config: Option<PathBuf>,
    /// How rows are divided among shards.
    pub sharding: Sharding,
    /// The key of a symmetric database; `None` for others.
    pub symmetric: Option<SymmetricPir>,
    /// Number of test queries for each shard.
    pub trials_per_shard: u32,
    /// Whether entries of a database by number begin with their length.
    pub encoding_entry_size: bool,
}

/// A mistake in the words of the file, with its place.
fn mistake(error: serde_json::Error) -> Cause {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    match text.starts_with("invalid ") {
        true => format!("{} (line {line}, column {column})", value_reason(text)).into(),
        false => error.into(),
    }
}

/// Blanks out commas before a closing bracket, so that offsets stay.
fn without_trailing_commas(json: &[u8]) -> Vec<u8> {
    let mut out = json.to_vec();
    let (mut in_string, mut escaped, mut comma) = (false, false, None);
    for (at, &byte) in json.iter().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => (in_string, comma) = (true, None),
            b',' => comma = Some(at),
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    out[comma] = b' ';
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
    }
    out
}

impl Configuration {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// [`ConfigurationError`], which names the key.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigurationError> {
        if json.len() > MAX_CONFIGURATION {
            return Err(ConfigurationError::TooLong(json.len()));
        }
        let json = without_trailing_commas(json);
        let mut deserializer = serde_json::Deserializer::from_slice(&json);
        let raw = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let key = error.path().to_string();
            ConfigurationError::Json { key, source: mistake(error.into_inner()) }
        })?;
        deserializer.end().map_err(|error| ConfigurationError::Json {
            key: ".".to_owned(),
            source: error.into(),
        })?;
        Self::check(raw)
    }

    /// Where the manifest of the data set is: the path of a database with `manifest` in place of the number.
    #[must_use]
    pub fn manifest_path(&self) -> PathBuf {
        let path = self.output_database.with("manifest");
        match self.output_database.has_shard_id() {
            true => path.with_extension("json"),
            false => path.with_extension("manifest.json"),
        }
    }

    fn check(raw: RawConfiguration) -> Result<Self, ConfigurationError> {
        let encryption = parameter_set(&raw.rlwe_parameters)?;
        if matches!(raw.algorithm, Algorithm::AclsPir) {
            let why = "aclsPir is known to the format, but only mulPir can be processed";
            return Err(ConfigurationError::Conflict { key: "algorithm", why });
        }
        raw.sharding.check()?;
        let is_single = raw.sharding == Sharding::default();
        let path = |key, path: String| match is_single || path.contains(SHARD_ID) {
            true => Ok(ShardPath(path)),
            false => Err(ConfigurationError::ShardId { key }),
        };
        let output_database = path("outputDatabase", raw.output_database)?;
        let output_parameters = path("outputPirParameters", raw.output_pir_parameters)?;
        let index = raw.database_type == DatabaseType::Index;
        if raw.encoding_entry_size && !index {
            let why = "only index databases can have it";
            return Err(ConfigurationError::Conflict { key: "encodingEntrySize", why });
        }
        if raw.symmetric_pir_arguments.is_some() && index {
            let why = "only keyword databases can have it";
            return Err(ConfigurationError::Conflict { key: "symmetricPirArguments", why });
        }
        if let Some(symmetric) = &raw.symmetric_pir_arguments
            && symmetric.database_encryption_key_file_path.is_some()
                == symmetric.output_database_encryption_key_file_path.is_some()
        {
            let why = "exactly one of databaseEncryptionKeyFilePath and \
                       outputDatabaseEncryptionKeyFilePath is needed";
            return Err(ConfigurationError::Conflict { key: "symmetricPirArguments", why });
        }
        if let Some(config_type) = raw
            .symmetric_pir_arguments
            .as_ref()
            .and_then(|symmetric| symmetric.config_type.as_ref())
            && config_type != SYMMETRIC_CONFIG_TYPE
        {
            return Err(ConfigurationError::Value {
                key: "symmetricPirArguments.configType",
                found: config_type.clone(),
                expected: format!("{SYMMETRIC_CONFIG_TYPE} is the only one"),
            });
        }
        let names_parts = raw.cuckoo_table_arguments.is_some()
            || raw.use_max_serialized_bucket_size.is_some()
            || raw.uneven_dimensions.is_some()
            || raw.dimensions.is_some();
        let layout = match raw.layout {
            None if names_parts => Layout::Configured,
            None => Layout::Automatic,
            Some(RawLayout::Reference) => Layout::Configured,
            Some(RawLayout::Cheap) if names_parts => {
                let why = "the cheap layout has its own cuckooTableArguments, useMaxSerializedBucketSize, \
                           unevenDimensions and dimensions; leave them out, or leave out layout";
                return Err(ConfigurationError::Conflict { key: "layout", why });
            }
            Some(RawLayout::Cheap) if index => {
                let why = "only keyword databases can have the cheap layout";
                return Err(ConfigurationError::Conflict { key: "layout", why });
            }
            Some(RawLayout::Cheap) => Layout::Cheap,
        };
        let cuckoo = raw.cuckoo_table_arguments.unwrap_or_default();
        let mut plan = Plan::new(encryption);
        plan.sharding = match raw.sharding_function {
            None | Some(RawShardingFunction::Sha256(None | Some(Empty {}))) => {
                ShardingFunction::Sha256
            }
            Some(RawShardingFunction::DoubleMod(0)) => {
                let expected = "the other shard count is at least 1".to_owned();
                let found = "doubleMod 0".to_owned();
                return Err(ConfigurationError::Value { key: "shardingFunction", found, expected });
            }
            Some(RawShardingFunction::DoubleMod(other_shard_count)) => {
                ShardingFunction::DoubleMod { other_shard_count }
            }
        };
        plan.hash_functions = cuckoo.hash_function_count.unwrap_or(plan.hash_functions);
        if !(1..=MAX_HASH_FUNCTIONS).contains(&plan.hash_functions) {
            return Err(ConfigurationError::Value {
                key: "hashFunctionCount",
                found: plan.hash_functions.to_string(),
                expected: format!("1 to {MAX_HASH_FUNCTIONS} are possible"),
            });
        }
        plan.max_evictions = cuckoo.max_eviction_count.unwrap_or(plan.max_evictions);
        plan.max_slots = cuckoo.slot_count.unwrap_or(plan.max_slots);
        plan.max_bucket_size = cuckoo.max_serialized_bucket_size;
        plan.buckets = match cuckoo.bucket_count {
            None => plan.buckets,
            Some(RawBucketCount::AllowExpansion(expansion)) => BucketCount::Expandable {
                expansion_factor: expansion.expansion_factor,
                target_load_factor: expansion.target_load_factor,
            },
            Some(RawBucketCount::FixedSize(fixed)) => BucketCount::Fixed(fixed.bucket_count),
        };
        plan.use_max_bucket_size = raw.use_max_serialized_bucket_size.unwrap_or(false);
        plan.uneven_dimensions = raw.uneven_dimensions.unwrap_or(true);
        plan.dimensions = match raw.dimensions {
            None | Some(RawDimensions::Named(NamedDimensions::Reference)) => {
                DimensionRule::Reference
            }
            Some(RawDimensions::Named(NamedDimensions::Cheapest)) => DimensionRule::Cheapest,
            Some(RawDimensions::Fixed(dimensions)) => DimensionRule::Fixed(dimensions),
        };
        plan.compression = match raw.key_compression {
            Compression::None => KeyCompression::None,
            Compression::Hybrid => KeyCompression::Hybrid,
            Compression::Maximum => KeyCompression::Maximum,
        };
        plan.cuckoo(0).check().map_err(|error| ConfigurationError::Value {
            key: "cuckooTableArguments",
            found: "not valid".to_owned(),
            expected: error.to_string(),
        })?;
        Ok(Self {
            layout,
            plan,
            database_type: raw.database_type,
            input_database: raw.input_database,
            output_database,
            output_parameters,
            output_evaluation_key_config: raw.output_evaluation_key_config,
            sharding: raw.sharding,
            symmetric: raw.symmetric_pir_arguments,
            trials_per_shard: raw.trials_per_shard,
            encoding_entry_size: raw.encoding_entry_size,
        })
    }
}

#[cfg(test)]
mod tests;
