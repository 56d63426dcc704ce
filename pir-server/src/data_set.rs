//! One version of a data set: its files are open, checked against each other, and ready for queries.

use crate::configuration::{ShardCount, ShardFiles, UseCase};
use crate::data_set_error::{DataSetError, Difference, Mismatch, mismatch};
use crate::database_key::{self, DatabaseKey};
use crate::platform::Platform;
use durable_file::{FileError, Operation};
use error_reporter::Report;
use keyword_pir::database::{Database, Residence};
use keyword_pir::{DatabaseError, DatabaseKind, Scheme, Server, ShardParameters, ShardingFunction};
use pir_api::convert::{self, MAX_SHARDS};
use pir_api::{api, he};
use pir_dataset::files::{DataSetFiles, read_parameters};
use pir_dataset::manifest::{Manifest, ManifestError};
use rayon::prelude::*;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use unix_clock::Timestamp;

/// Memory of a shard in a configuration that lists each shard, in an answer and in what it is made of, at most.
const LISTED_SHARD_BYTES: usize = 256;

/// One version of a data set, ready for queries.
pub(crate) struct DataSet {
    scheme: Scheme,
    shards: Vec<Shard>,
    config: api::pir::PirConfig,
    config_id: [u8; 32],
    keys: bfv::EvaluationKeyConfig,
    keys_message: he::EvaluationKeyConfig,
    keys_hash: [u8; 32],
    database_key: Option<DatabaseKey>,
    /// Bytes of files that are kept in memory.
    memory_bytes: u64,
    /// The manifest of the run that wrote the shards, if there is one.
    manifest: Option<Manifest>,
    /// When the manifest was written, or the first database without one.
    written_at: Option<Timestamp>,
}

/// A shard, ready for queries.
pub(crate) struct Shard {
    server: Server,
    /// The file of its database.
    path: PathBuf,
    /// Whether the log says that it cannot be read.
    is_reported: AtomicBool,
}

impl Shard {
    /// What answers queries.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Logs that the file of the database went bad, once until it can be read again.
    pub(crate) fn unreadable(&self, error: &DatabaseError) {
        if !self.is_reported.swap(true, Ordering::Relaxed) {
            tracing::error!(
                path = %self.path.display(), error = %Report::new(error),
                "the file of a shard cannot be read any more, and queries of the shard fail; restore the file \
                 by renaming, and reload"
            );
        }
    }
}

fn read_database(
    files: &DataSetFiles,
    shard: u32,
    scheme: &Scheme,
    parameters: ShardParameters,
    residence: Residence,
) -> Result<Database, DataSetError> {
    let path = files.database(shard);
    match Database::read(&path, residence) {
        Ok(database) if *database.parameters() == parameters => Ok(database),
        Ok(_) => Err(DataSetError::Mixed {
            path,
            other: files.parameters(shard),
            difference: Difference::Parameters,
        }),
        Err(DatabaseError::Magic) => {
            let file = File::open(&path).map_err(|source| FileError::Io {
                operation: Operation::Read,
                path: path.clone(),
                source,
            })?;
            let input = BufReader::with_capacity(1 << 18, file);
            Database::read_apple(scheme, parameters, input)
                .map_err(|source| DataSetError::Database { path, source })
        }
        Err(source) => Err(DataSetError::Database { path, source }),
    }
}

/// The manifest of the run that wrote the shards. Apple's tool writes none.
fn read_manifest(files: &DataSetFiles) -> Result<Option<Manifest>, ManifestError> {
    match Manifest::read(&files.manifest()) {
        Err(error) if error.is_not_found() => Ok(None),
        manifest => Ok(Some(manifest?)),
    }
}

/// When the file that is written last was written.
fn written_at(files: &DataSetFiles, has_manifest: bool) -> Option<Timestamp> {
    let path = if has_manifest { files.manifest() } else { files.database(0) };
    Some(std::fs::metadata(path).ok()?.modified().ok()?.into())
}

/// How many shards are served. A manifest knows it, and its digests say whether all files are there. Without one, the
/// files must be as many as the configuration says: clients would find nothing in those that are left out.
fn shard_count(
    files: &DataSetFiles,
    count: ShardCount,
    manifest: Option<&Manifest>,
) -> Result<u32, DataSetError> {
    match (count, manifest) {
        (ShardCount::Release(shards), _) => Ok(shards),
        (ShardCount::Manifest(_), Some(manifest)) if manifest.shard_count > MAX_SHARDS => {
            Err(mismatch(&files.manifest(), Mismatch::TooManyShards))
        }
        (ShardCount::Manifest(_), Some(manifest)) => Ok(manifest.shard_count),
        (ShardCount::Manifest(None), None) => {
            Err(mismatch(files.stem(), Mismatch::UnknownShardCount))
        }
        (ShardCount::Manifest(Some(shards)), None) => {
            let further = files.database(shards);
            match further.exists() {
                true => Err(mismatch(&further, Mismatch::FurtherShard { shards })),
                false => Ok(shards),
            }
        }
    }
}

impl DataSet {
    /// Opens the files of a use case and checks all of them: every byte of native databases by its
    /// digest, every shard against the others, and all against the manifest if there is one. Databases of up to
    /// `max_memory` bytes together are kept in memory; the words of larger ones stay in their files.
    ///
    /// # Errors
    /// [`DataSetError`] for the first file that cannot be read or does not match the others.
    pub(crate) fn open(
        use_case: &UseCase,
        files: &ShardFiles,
        max_memory: u64,
    ) -> Result<Self, DataSetError> {
        let count = files.count;
        let files = DataSetFiles::new(&files.stem);
        let manifest = read_manifest(&files)?;
        let shard_count = shard_count(&files, count, manifest.as_ref())?;
        let numbers = 0..shard_count;
        let parameters: Vec<ShardParameters> = numbers
            .clone()
            .into_par_iter()
            .map(|shard| read_parameters(&files.parameters(shard)))
            .collect::<Result<_, _>>()?;
        let first = parameters.first().ok_or_else(|| mismatch(files.stem(), Mismatch::NoShards))?;
        for (shard, other) in numbers.clone().zip(&parameters) {
            let (a, b) = (first.description(), other.description());
            let difference = if a.encryption != b.encryption {
                Difference::Encryption
            } else if a.kind != b.kind {
                Difference::Kind
            } else if a.batch_size != b.batch_size {
                Difference::BatchSize
            } else {
                continue;
            };
            return Err(DataSetError::Mixed {
                path: files.parameters(shard),
                other: files.parameters(0),
                difference,
            });
        }
        let unusable_scheme =
            |source| DataSetError::Scheme { use_case: use_case.name.clone(), source };
        let scheme = Scheme::new(first.encryption().clone()).map_err(unusable_scheme)?;
        if let Some(manifest) = &manifest {
            manifest.check_files(&files, shard_count)?;
        }
        // A file that cannot be looked at cannot be read either, and the error of that names it.
        let length =
            |shard| std::fs::metadata(files.database(shard)).map_or(0, |about| about.len());
        let bytes = numbers.clone().map(length).sum::<u64>();
        let residence = match bytes <= max_memory {
            true => Residence::Memory,
            false => Residence::File,
        };
        let shards = numbers
            .into_par_iter()
            .zip(&parameters)
            .map(|(shard, parameters)| {
                let database =
                    read_database(&files, shard, &scheme, parameters.clone(), residence)?;
                let server = Server::new(scheme.clone(), database).map_err(unusable_scheme)?;
                let (path, is_reported) = (files.database(shard), AtomicBool::new(false));
                Ok(Shard { server, path, is_reported })
            })
            .collect::<Result<Vec<_>, DataSetError>>()?;
        let unusable = |source| DataSetError::Parameters { path: files.parameters(0), source };
        let config = convert::config_message(&parameters).map_err(unusable)?;
        let keys = convert::union_key_config(&parameters).map_err(unusable)?;
        let keys_message = he::EvaluationKeyConfig::from(&keys);
        let database_key = database_key::read(use_case, files.stem(), first)?;
        Ok(Self {
            config_id: convert::config_id(&config),
            keys_hash: convert::key_config_hash(&keys_message),
            scheme,
            shards,
            config,
            keys,
            keys_message,
            database_key,
            memory_bytes: if residence == Residence::Memory { bytes } else { 0 },
            written_at: written_at(&files, manifest.is_some()),
            manifest,
        })
    }

    /// The encryption scheme with its precomputed tables.
    pub(crate) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The shard with this index; `None` if there are fewer.
    pub(crate) fn shard(&self, index: u32) -> Option<&Shard> {
        self.shards.get(usize::try_from(index).ok()?)
    }

    /// Number of shards.
    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// Bytes of its files that are kept in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Rows of all shards; `None` if no manifest says so.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.manifest.as_ref().map(|manifest| manifest.rows).filter(|&rows| rows > 0)
    }

    /// The manifest that it was opened with.
    #[cfg(feature = "lists")]
    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// SHA-256 of all keywords, hexadecimal, if the manifest has it.
    pub(crate) fn keywords_sha256(&self) -> Option<&str> {
        self.manifest.as_ref()?.keywords_sha256.as_deref()
    }

    /// When its files were written on this machine.
    pub(crate) fn written_at(&self) -> Option<Timestamp> {
        self.written_at
    }

    /// The configuration id, by which clients name this version.
    pub(crate) fn config_id(&self) -> &[u8; 32] {
        &self.config_id
    }

    /// Which evaluation keys clients upload: all that any shard needs.
    pub(crate) fn key_config(&self) -> &bfv::EvaluationKeyConfig {
        &self.keys
    }

    /// [`DataSet::key_config`] as a protobuf message.
    pub(crate) fn key_config_message(&self) -> &he::EvaluationKeyConfig {
        &self.keys_message
    }

    /// Hash of the key configuration. Clients name it when they upload keys, and ids of stored keys depend on it.
    pub(crate) fn key_config_hash(&self) -> &[u8; 32] {
        &self.keys_hash
    }

    /// The key of the database; `None` unless it was processed for the symmetric variant.
    pub(crate) fn database_key(&self) -> Option<&DatabaseKey> {
        self.database_key.as_ref()
    }

    /// Memory that the configuration takes while an answer with it is made, in bytes, at most.
    pub(crate) fn config_bytes_for(&self, platform: Platform) -> usize {
        match platform.reads_compact_configurations() {
            true => 0,
            false => self.shards.len().saturating_mul(LISTED_SHARD_BYTES),
        }
    }

    /// The configuration in a form that the client's system can read; `None` if there is no such form.
    pub(crate) fn config_for(&self, platform: Platform) -> Option<api::pir::PirConfig> {
        use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
        let mut config = self.config.clone();
        if platform.reads_compact_configurations() {
            return Some(config);
        }
        let kind = &self.shards.first()?.server.parameters().description().kind;
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
