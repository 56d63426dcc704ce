//! One version of a data set: its files opened, checked against each other, and ready for queries.

use crate::configuration::{UseCase, read_bounded};
use crate::digest::file_sha256;
use crate::platform::Platform;
use keyword_pir::database::Database;
use keyword_pir::symmetric::DatabaseKey;
use keyword_pir::{DatabaseError, DatabaseKind, Scheme, Server, ShardParameters, ShardingFunction};
use pir_api::convert::{self, ConvertError};
use pir_api::{api, he, pir, text};
use rayon::prelude::*;
use serde::Deserialize;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Largest parameter file and manifest.
const MAX_TEXT: u64 = 64 << 20;

/// A data set cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataSetError {
    /// A file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A parameter file says nothing that can be served.
    #[error("{path}: {source}")]
    Parameters {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ConvertError,
    },
    /// A database is damaged, or belongs to other parameters.
    #[error("{path}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DatabaseError,
    },
    /// Files of different runs are mixed.
    #[error("{path}: not of the same run as {other}: {difference}; copy all files of one run")]
    Mixed {
        /// The file.
        path: PathBuf,
        /// The one it disagrees with.
        other: PathBuf,
        /// In what.
        difference: &'static str,
    },
    /// The arithmetic refuses the parameters.
    #[error("{0}: {1}")]
    Scheme(String, keyword_pir::Error),
}

/// One version of a data set.
pub struct DataSet {
    scheme: Scheme,
    shards: Vec<Server>,
    config: api::pir::PirConfig,
    config_id: [u8; 32],
    keys: bfv::EvaluationKeyConfig,
    keys_message: he::EvaluationKeyConfig,
    keys_hash: [u8; 32],
    database_key: Option<DatabaseKey>,
}

/// What `urlfilter process` writes beside its shards, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    version: u32,
    shard_count: u32,
    shards: Vec<ShardRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShardRecord {
    shard: u32,
    database_sha256: String,
    parameters_sha256: String,
}

fn file_error(path: &Path, reason: impl ToString) -> DataSetError {
    DataSetError::File { path: path.to_owned(), reason: reason.to_string() }
}

/// The files of one shard.
struct Files {
    database: PathBuf,
    parameters: PathBuf,
}

impl Files {
    fn of(stem: &str, shard: u32) -> Self {
        Self {
            database: PathBuf::from(format!("{stem}-{shard}.bin")),
            parameters: PathBuf::from(format!("{stem}-{shard}.params.txtpb")),
        }
    }

    fn read_parameters(&self) -> Result<ShardParameters, DataSetError> {
        let path = &self.parameters;
        let bytes = read_bounded(path, MAX_TEXT).map_err(|error| match error {
            crate::configuration::ConfigurationError::Io { source, .. } => file_error(path, source),
            other => file_error(path, other),
        })?;
        let content = str::from_utf8(&bytes).map_err(|_| file_error(path, "not text"))?;
        let message: pir::PirParameters =
            text::from_text(content.as_bytes()).map_err(|error| file_error(path, error))?;
        convert::shard_parameters(&message)
            .map_err(|source| DataSetError::Parameters { path: path.clone(), source })
    }

    fn read_database(
        &self,
        scheme: &Scheme,
        parameters: ShardParameters,
    ) -> Result<Database, DataSetError> {
        let path = &self.database;
        let wrong = |source| DataSetError::Database { path: path.clone(), source };
        match Database::open(path) {
            Ok(database) if *database.parameters() == parameters => Ok(database),
            Ok(_) => Err(DataSetError::Mixed {
                path: path.clone(),
                other: self.parameters.clone(),
                difference: "the parameters",
            }),
            Err(DatabaseError::Magic) => {
                let file = File::open(path).map_err(|error| file_error(path, error))?;
                let input = BufReader::with_capacity(1 << 18, file);
                Database::read_apple(scheme, parameters, input).map_err(wrong)
            }
            Err(error) => Err(wrong(error)),
        }
    }
}

/// The manifest of the run that wrote the shards. Apple's tool writes none.
fn read_manifest(stem: &str) -> Result<Option<(PathBuf, Manifest)>, DataSetError> {
    let path = PathBuf::from(format!("{stem}-manifest.json"));
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_bounded(&path, MAX_TEXT).map_err(|error| file_error(&path, error))?;
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|error| file_error(&path, error))?;
    if manifest.version != 1 {
        return Err(file_error(&path, format!("version {} is not known", manifest.version)));
    }
    Ok(Some((path, manifest)))
}

impl DataSet {
    /// Opens the files of a use case and checks all of them: every byte of native databases by its
    /// digest, every shard against the others, and all against the manifest if there is one.
    pub fn open(use_case: &UseCase) -> Result<Self, DataSetError> {
        let stem = &use_case.file_stem;
        let files: Vec<Files> =
            (0..use_case.shard_count).map(|shard| Files::of(stem, shard)).collect();
        let parameters: Vec<ShardParameters> =
            files.par_iter().map(Files::read_parameters).collect::<Result<_, _>>()?;
        let first = parameters.first().ok_or_else(|| file_error(Path::new(stem), "no shards"))?;
        for (file, other) in files.iter().zip(&parameters) {
            let (a, b) = (first.description(), other.description());
            let difference = if a.encryption != b.encryption {
                "the encryption parameters"
            } else if a.kind != b.kind {
                "the keyword parameters"
            } else if a.batch_size != b.batch_size {
                "the batch size"
            } else {
                continue;
            };
            return Err(DataSetError::Mixed {
                path: file.parameters.clone(),
                other: files[0].parameters.clone(),
                difference,
            });
        }
        let scheme = Scheme::new(first.encryption().clone())
            .map_err(|error| DataSetError::Scheme(use_case.name.clone(), error))?;
        if let Some((path, manifest)) = read_manifest(stem)? {
            check_manifest(&path, &manifest, &files)?;
        }
        let shards = files
            .par_iter()
            .zip(&parameters)
            .map(|(file, parameters)| {
                let database = file.read_database(&scheme, parameters.clone())?;
                Server::new(scheme.clone(), database)
                    .map_err(|error| DataSetError::Scheme(use_case.name.clone(), error))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let unusable =
            |source| DataSetError::Parameters { path: files[0].parameters.clone(), source };
        let config = convert::config_message(&parameters).map_err(unusable)?;
        let keys = convert::union_key_config(&parameters).map_err(unusable)?;
        let keys_message = convert::key_config_message(&keys);
        let database_key = read_database_key(use_case, first)?;
        Ok(Self {
            config_id: convert::config_id(&config),
            keys_hash: convert::key_config_hash(&keys_message),
            scheme,
            shards,
            config,
            keys,
            keys_message,
            database_key,
        })
    }

    /// The parameter set's tables.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// A shard.
    pub fn shard(&self, index: u32) -> Option<&Server> {
        self.shards.get(usize::try_from(index).ok()?)
    }

    /// Number of shards.
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// What clients know this version by.
    pub fn config_id(&self) -> &[u8; 32] {
        &self.config_id
    }

    /// The keys that clients upload: what serves every shard.
    pub fn key_config(&self) -> &bfv::EvaluationKeyConfig {
        &self.keys
    }

    /// The same as a message.
    pub fn key_config_message(&self) -> &he::EvaluationKeyConfig {
        &self.keys_message
    }

    /// What clients' keys are stored under.
    pub fn key_config_hash(&self) -> &[u8; 32] {
        &self.keys_hash
    }

    /// The key of the symmetric variant.
    pub fn database_key(&self) -> Option<&DatabaseKey> {
        self.database_key.as_ref()
    }

    /// The configuration in a form that a system reads; none if there is no such form.
    pub fn config_for(&self, platform: Platform) -> Option<api::pir::PirConfig> {
        use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
        let mut config = self.config.clone();
        if platform.reads_compact_configurations() {
            return Some(config);
        }
        let kind = &self.shards.first()?.parameters().description().kind;
        if !matches!(
            kind,
            DatabaseKind::Keyword { sharding: ShardingFunction::Sha256, .. }
                | DatabaseKind::Index { .. }
        ) {
            return None;
        }
        let compact = config.pir_shard_configs.take().and_then(|configs| configs.shard_configs);
        if let Some(RepeatedShardConfig(fixed)) = compact {
            config.shard_configs = vec![fixed.shard_config?; fixed.shard_count as usize];
        }
        Some(config)
    }
}

fn read_database_key(
    use_case: &UseCase,
    parameters: &ShardParameters,
) -> Result<Option<DatabaseKey>, DataSetError> {
    let symmetric = match &parameters.description().kind {
        DatabaseKind::Keyword { symmetric, .. } => symmetric.as_ref(),
        DatabaseKind::Index { .. } => None,
    };
    let arguments = use_case.symmetric_pir_arguments.as_ref();
    let (symmetric, arguments) = match (symmetric, arguments) {
        (None, None) => return Ok(None),
        (Some(symmetric), Some(arguments)) => (symmetric, arguments),
        (Some(_), None) => {
            return Err(file_error(
                Path::new(&use_case.file_stem),
                "processed for the symmetric variant, and the configuration has no \
                 symmetricPirArguments",
            ));
        }
        (None, Some(_)) => {
            return Err(file_error(
                Path::new(&use_case.file_stem),
                "not processed for the symmetric variant, and the configuration has \
                 symmetricPirArguments",
            ));
        }
    };
    let path = &arguments.database_encryption_key_file_path;
    let bytes =
        zeroize::Zeroizing::new(read_bounded(path, 4096).map_err(|error| file_error(path, error))?);
    let key = DatabaseKey::from_hex(&bytes).map_err(|error| file_error(path, error))?;
    match key.public_key() == symmetric.server_public_key {
        true => Ok(Some(key)),
        false => Err(file_error(path, "not the key with which the database was processed")),
    }
}

fn check_manifest(path: &Path, manifest: &Manifest, files: &[Files]) -> Result<(), DataSetError> {
    if manifest.shard_count as usize != files.len() {
        let counts = format!(
            "the run made {} shards, and the configuration names {}",
            manifest.shard_count,
            files.len()
        );
        return Err(file_error(path, counts));
    }
    manifest.shards.par_iter().try_for_each(|record| {
        let files = files.get(record.shard as usize);
        let files = files.ok_or_else(|| file_error(path, "a shard out of range"))?;
        for (file, expected) in [
            (&files.parameters, &record.parameters_sha256),
            (&files.database, &record.database_sha256),
        ] {
            let found = file_sha256(file).map_err(|error| file_error(file, error))?;
            if found != *expected {
                return Err(DataSetError::Mixed {
                    path: file.clone(),
                    other: path.to_owned(),
                    difference: "the content",
                });
            }
        }
        Ok(())
    })
}
