//! What a run has made: a manifest of a finished data set, and the journal of one under way.

use anyhow::Context;
use keyword_pir::KeywordHash;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// One shard, finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ShardRecord {
    pub(crate) shard: u32,
    /// SHA-256 of the shard's rows and of the settings.
    pub(crate) input_sha256: String,
    /// SHA-256 of the layout that the rows were to get; empty in manifests of earlier versions.
    #[serde(default)]
    pub(crate) layout_sha256: String,
    /// SHA-256 of the database file.
    pub(crate) database_sha256: String,
    /// SHA-256 of the parameter file.
    pub(crate) parameters_sha256: String,
    pub(crate) rows: u64,
    pub(crate) entries_per_table: u64,
    pub(crate) entry_size: u64,
    pub(crate) dimensions: Vec<u64>,
    pub(crate) plaintexts: u64,
    pub(crate) database_bytes: u64,
}

/// SHA-256 of the hashes of all keywords in ascending order, 8 bytes each, little endian.
pub(crate) fn keywords_digest(mut hashes: Vec<KeywordHash>) -> [u8; 32] {
    hashes.par_sort_unstable();
    let mut digest = Sha256::new();
    for some in hashes.chunks(1024) {
        let bytes: Vec<u8> = some.iter().flat_map(|hash| hash.to_u64().to_le_bytes()).collect();
        digest.update(&bytes);
    }
    digest.finalize().into()
}

/// A finished data set. Equal inputs and settings give equal bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Manifest {
    /// 1.
    pub(crate) version: u32,
    /// The version of this program.
    pub(crate) tool: String,
    pub(crate) rlwe_parameters: String,
    pub(crate) shard_count: u32,
    pub(crate) rows: u64,
    /// SHA-256 of the serialized evaluation key configuration: what clients' keys are stored under.
    pub(crate) evaluation_key_config_sha256: String,
    /// SHA-256 of the configuration that the data set makes: what clients know it by.
    pub(crate) config_id: String,
    /// What a prefilter of the same build is recognised by, see [`keywords_digest`]. None for
    /// databases by number.
    #[serde(default)]
    pub(crate) keywords_sha256: Option<String>,
    pub(crate) shards: Vec<ShardRecord>,
}

impl Manifest {
    /// The finished data set at that place; none, or one that cannot be read, is no help and no
    /// harm.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (manifest.version == 1).then_some(manifest)
    }
}

/// Shards that are finished, but not yet at their places: one JSON object a line. A line that was
/// not written to its end counts as none. Runs of some shards have journals of their own, so that they
/// can share a folder.
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

/// The journals of a data set.
pub(crate) struct Journals {
    /// Without the ending.
    stem: PathBuf,
}

const ENDING: &str = "journal";

impl Journals {
    pub(crate) fn of(manifest: &Path) -> Self {
        Self { stem: manifest.with_extension("") }
    }

    fn path(&self, part: Option<&Range<u32>>) -> PathBuf {
        let mut name = self.stem.clone().into_os_string();
        if let Some(part) = part {
            name.push(format!(".{}-{}", part.start, part.end));
        }
        name.push(format!(".{ENDING}"));
        name.into()
    }

    /// All that are there.
    fn paths(&self) -> Vec<PathBuf> {
        let whole = self.path(None);
        let stem = self.stem.file_name().unwrap_or_default().as_encoded_bytes();
        let folder = match self.stem.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let is_part = |name: &std::ffi::OsStr| -> bool {
            let range = name
                .as_encoded_bytes()
                .strip_prefix(stem)
                .and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(b".journal"));
            range.is_some_and(|range| range.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-')))
        };
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| is_part(&entry.file_name()))
            .map(|entry| folder.join(entry.file_name()))
            .collect();
        paths.sort();
        paths.push(whole);
        paths
    }

    /// What earlier runs left.
    pub(crate) fn records(&self) -> Vec<ShardRecord> {
        let mut records = Vec::new();
        for file in self.paths().into_iter().flat_map(File::open) {
            for line in BufReader::new(file).lines() {
                let Ok(line) = line else { break };
                records.extend(serde_json::from_str::<ShardRecord>(&line));
            }
        }
        records
    }

    /// The journal of a run.
    pub(crate) fn open(&self, part: Option<&Range<u32>>) -> anyhow::Result<Journal> {
        let path = self.path(part);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{}: cannot keep a journal of the run", path.display()))?;
        // Whatever a torn line left must not run into the next one.
        file.write_all(b"\n").with_context(|| path.display().to_string())?;
        Ok(Journal { path, file: Mutex::new(file) })
    }

    /// The data set is finished.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        for path in self.paths() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Journal {
    pub(crate) fn add(&self, record: &ShardRecord) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let name = || self.path.display().to_string();
        file.write_all(&line).with_context(name)?;
        file.sync_data().with_context(name)
    }
}
