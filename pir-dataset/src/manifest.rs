//! The manifest of a data set: what a run of the processing made, and the digests of its files.

use crate::Cause;
use crate::files::{self, DataSetFiles};
use durable_file::FileError;
use keyword_pir::KeywordHash;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST: u64 = 64 << 20;
/// The version of the format.
pub const VERSION: u32 = 1;

/// One finished shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ShardRecord {
    /// Number of the shard, counted from 0.
    pub shard: u32,
    /// SHA-256 of the shard's rows and of the settings, hexadecimal.
    #[serde(default)]
    pub input_sha256: String,
    /// SHA-256 of the settings of the layout, hexadecimal; empty in manifests of earlier versions.
    #[serde(default)]
    pub layout_sha256: String,
    /// SHA-256 of the database file, hexadecimal.
    pub database_sha256: String,
    /// SHA-256 of the parameter file, hexadecimal.
    pub parameters_sha256: String,
    /// Number of rows.
    #[serde(default)]
    pub rows: u64,
    /// Entries of each cuckoo table; of all of them for databases by number.
    #[serde(default)]
    pub entries_per_table: u64,
    /// Size of an entry, in bytes.
    #[serde(default)]
    pub entry_size: u64,
    /// Lengths of the dimensions into which plaintexts are arranged.
    #[serde(default)]
    pub dimensions: Vec<u64>,
    /// Plaintexts that are not zero.
    #[serde(default)]
    pub plaintexts: u64,
    /// Size of the database file, in bytes.
    #[serde(default)]
    pub database_bytes: u64,
    /// SHA-256 of the file that says what its plaintexts were made of, hexadecimal; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plaintexts_sha256: String,
}

/// What a finished data set consists of. Equal inputs and settings give equal bytes.
///
/// Only version, shards and their digests are required to be there, so that manifests of other programs can
/// be served; `urlfilter process` writes all fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the format, [`VERSION`].
    pub version: u32,
    /// Name and version of the program that wrote the data set.
    #[serde(default)]
    pub tool: String,
    /// Name of the predefined set of encryption parameters.
    #[serde(default)]
    pub rlwe_parameters: String,
    /// Number of shards.
    pub shard_count: u32,
    /// Rows of all shards.
    #[serde(default)]
    pub rows: u64,
    /// SHA-256 of the serialized evaluation key configuration, hexadecimal: what clients' keys are stored
    /// under.
    #[serde(default)]
    pub evaluation_key_config_sha256: String,
    /// SHA-256 of the serialized configuration of the data set, hexadecimal: what clients know it by.
    #[serde(default)]
    pub config_id: String,
    /// The [digest](keywords_digest) of all keywords, hexadecimal; a prefilter of the same build has the same.
    /// `None` for databases by number.
    #[serde(default)]
    pub keywords_sha256: Option<String>,
    /// One record for each shard.
    pub shards: Vec<ShardRecord>,
}

/// A manifest cannot be used, or does not describe the files that it names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not the JSON of a manifest.
    #[error("{}: not the manifest of a data set", path.display())]
    Json {
        /// The file that was read as a manifest.
        path: PathBuf,
        /// The mistake and its place.
        source: Cause,
    },
    /// The format has another version.
    #[error("{}: version {found} of the format is not known, only {VERSION}; use a newer program", path.display())]
    Version {
        /// The file that was read as a manifest.
        path: PathBuf,
        /// The version that the file names.
        found: u32,
    },
    /// The data set has another number of shards.
    #[error("{}: the run made {found} shards, and the configuration names {expected}", path.display())]
    ShardCount {
        /// The manifest of the data set.
        path: PathBuf,
        /// Shards of the manifest.
        found: u32,
        /// Shards that are to be served.
        expected: u32,
    },
    /// A record has a number that no shard has.
    #[error("{}: it records shard {shard} of {shard_count} shards", path.display())]
    ShardNumber {
        /// The manifest of the data set.
        path: PathBuf,
        /// The number that the record has.
        shard: u32,
        /// Number of shards.
        shard_count: u32,
    },
    /// A shard has no record, or several.
    #[error(
        "{}: it records shard {shard} {count} times; process the data set again",
        path.display()
    )]
    ShardRecords {
        /// The manifest of the data set.
        path: PathBuf,
        /// Number of the shard.
        shard: u32,
        /// How often it is recorded.
        count: usize,
    },
    /// A file of the data set cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file that cannot be read.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file of the data set is not the one that the run wrote.
    #[error(
        "{}: not of the same run as {}: their digests differ; copy all files of one run",
        path.display(), manifest.display()
    )]
    Digest {
        /// The file that differs.
        path: PathBuf,
        /// The manifest of the data set.
        manifest: PathBuf,
    },
}

impl ManifestError {
    /// Whether there is no manifest.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::File(error) if error.is_not_found())
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError::File`], [`ManifestError::Json`] or [`ManifestError::Version`].
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = durable_file::read(path, MAX_MANIFEST)?;
        let manifest: Self = serde_json::from_slice(&text).map_err(|source| {
            ManifestError::Json { path: path.to_owned(), source: source.into() }
        })?;
        match manifest.version {
            VERSION => Ok(manifest),
            found => Err(ManifestError::Version { path: path.to_owned(), found }),
        }
    }

    /// The text of the file.
    ///
    /// # Panics
    /// Never: plain data always has a JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("plain data has a JSON text");
        text.push(b'\n');
        text
    }

    /// Whether the optional fields that later runs compare with are there.
    pub(crate) fn is_complete(&self) -> bool {
        !self.config_id.is_empty() && !self.evaluation_key_config_sha256.is_empty()
    }

    /// Checks that the files of a data set are those of this manifest: their number, and the digest of each.
    /// Reads all files.
    ///
    /// # Errors
    /// [`ManifestError::ShardCount`] if another number of shards is expected, [`ManifestError::Digest`] if a
    /// file is of another run, [`ManifestError::ShardNumber`], [`ManifestError::ShardRecords`] or [`ManifestError::Read`].
    pub fn check_files(
        &self,
        files: &DataSetFiles,
        expected_shards: u32,
    ) -> Result<(), ManifestError> {
        let path = files.manifest();
        if self.shard_count != expected_shards {
            let (found, expected) = (self.shard_count, expected_shards);
            return Err(ManifestError::ShardCount { path, found, expected });
        }
        self.check_records(&path)?;
        self.shards.par_iter().try_for_each(|record| {
            let shard = record.shard;
            for (suffix, expected) in [
                (files::parameters_suffix(shard), &record.parameters_sha256),
                (files::database_suffix(shard), &record.database_sha256),
            ] {
                let file = files.with_suffix(&suffix);
                match crate::file_sha256(&file) {
                    Ok(found) if found == *expected => {}
                    Ok(_) => {
                        return Err(ManifestError::Digest { path: file, manifest: path.clone() });
                    }
                    Err(source) => return Err(ManifestError::Read { path: file, source }),
                }
            }
            Ok(())
        })
    }

    /// Checks that each shard has one record.
    fn check_records(&self, path: &Path) -> Result<(), ManifestError> {
        let mut numbers: Vec<u32> = self.shards.iter().map(|record| record.shard).collect();
        numbers.sort_unstable();
        if let Some(&shard) = numbers.last().filter(|&&last| last >= self.shard_count) {
            let (path, shard_count) = (path.to_owned(), self.shard_count);
            return Err(ManifestError::ShardNumber { path, shard, shard_count });
        }
        let mut left = numbers.as_slice();
        for shard in 0..self.shard_count {
            let count = left.iter().take_while(|&&number| number == shard).count();
            if count != 1 {
                return Err(ManifestError::ShardRecords { path: path.to_owned(), shard, count });
            }
            left = &left[1..];
        }
        Ok(())
    }
}

/// SHA-256 of the hashes of all keywords in ascending order, 8 bytes each, little endian.
#[must_use]
pub fn keywords_digest(mut hashes: Vec<KeywordHash>) -> [u8; 32] {
    hashes.par_sort_unstable();
    let mut digest = Sha256::new();
    for some in hashes.chunks(1024) {
        let bytes: Vec<u8> = some.iter().flat_map(|hash| hash.to_u64().to_le_bytes()).collect();
        digest.update(&bytes);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest, ManifestError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-manifest.json");
        std::fs::write(&path, text).unwrap();
        Manifest::read(&path)
    }

    fn manifest() -> Manifest {
        Manifest {
            version: VERSION,
            tool: "tool 1".to_owned(),
            rlwe_parameters: "n".to_owned(),
            shard_count: 1,
            rows: 2,
            evaluation_key_config_sha256: "a".to_owned(),
            config_id: "b".to_owned(),
            keywords_sha256: None,
            shards: vec![ShardRecord { dimensions: vec![2, 1], ..ShardRecord::default() }],
        }
    }

    #[test]
    fn manifests_of_other_programs_are_read() {
        let manifest = read(
            r#"{"version": 1, "shardCount": 1, "more": 2, "shards": [
                {"shard": 0, "databaseSha256": "a", "parametersSha256": "b"}]}"#,
        )
        .unwrap();
        assert_eq!(manifest.shards[0].parameters_sha256, "b");
        assert!(!manifest.is_complete());
    }

    #[test]
    fn mistakes_are_told_apart() {
        let version = read(r#"{"version": 2, "shardCount": 1, "shards": []}"#);
        assert!(matches!(version, Err(ManifestError::Version { found: 2, .. })));
        assert!(matches!(read("{"), Err(ManifestError::Json { .. })));
        let missing = Manifest::read(Path::new("/nonexistent/manifest.json")).unwrap_err();
        assert!(missing.is_not_found());
    }

    /// Files that no record names could be of another run.
    #[test]
    fn each_shard_has_one_record() {
        let path = Path::new("a-manifest.json");
        for (numbers, shard_count, expected) in [
            (&[0, 1][..], 2, None),
            (&[1, 0], 2, None),
            (&[], 0, None),
            (&[], 1, Some("records shard 0 0 times")),
            (&[0], 2, Some("records shard 1 0 times")),
            (&[1], 2, Some("records shard 0 0 times")),
            (&[0, 0], 2, Some("records shard 0 2 times")),
            (&[0, 1, 1], 2, Some("records shard 1 2 times")),
            (&[0, 2], 2, Some("records shard 2 of 2 shards")),
            (&[0, u32::MAX], u32::MAX, Some("of 4294967295 shards")),
            (&[0, u32::MAX - 1], u32::MAX, Some("records shard 1 0 times")),
        ] {
            let record = |&shard: &u32| ShardRecord { shard, ..ShardRecord::default() };
            let shards = numbers.iter().map(record).collect();
            let manifest = Manifest { shard_count, shards, ..manifest() };
            let found = manifest.check_records(path).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(found, Ok(()), "{numbers:?}"),
                Some(text) => assert!(found.unwrap_err().contains(text), "{numbers:?}"),
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let manifest = manifest();
        let text = String::from_utf8(manifest.to_json()).unwrap();
        assert!(text.ends_with("}\n") && text.contains("\"keywordsSha256\": null"), "{text}");
        assert_eq!(read(&text).unwrap(), manifest);
    }

    #[test]
    fn manifests_are_read_up_to_their_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-manifest.json");
        let mut text = br#"{"version": 1, "shardCount": 1, "shards": []}"#.to_vec();
        for (length, is_read) in
            [(MAX_MANIFEST - 1, true), (MAX_MANIFEST, true), (MAX_MANIFEST + 1, false)]
        {
            text.resize(usize::try_from(length).unwrap(), b' ');
            std::fs::write(&path, &text).unwrap();
            assert_eq!(Manifest::read(&path).is_ok(), is_read, "{length}");
        }
    }
}
