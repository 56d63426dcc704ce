//! What a run has made: a manifest of a finished data set, and the journal of one under way.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// One shard, finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ShardRecord {
    pub(crate) shard: u32,
    /// SHA-256 of the shard's rows and of the settings.
    pub(crate) input_sha256: String,
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
/// not written to its end counts as none.
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal, with what an earlier run left in it.
    pub(crate) fn open(path: PathBuf) -> anyhow::Result<(Self, Vec<ShardRecord>)> {
        let mut records = Vec::new();
        if let Ok(file) = File::open(&path) {
            for line in BufReader::new(file).lines() {
                let Ok(line) = line else { break };
                records.extend(serde_json::from_str::<ShardRecord>(&line));
            }
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{}: cannot keep a journal of the run", path.display()))?;
        // Whatever a torn line left must not run into the next one.
        file.write_all(b"\n").with_context(|| path.display().to_string())?;
        Ok((Self { path, file: Mutex::new(file) }, records))
    }

    pub(crate) fn add(&self, record: &ShardRecord) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        file.write_all(&line).with_context(|| self.path.display().to_string())
    }

    pub(crate) fn remove(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| self.path.display().to_string())
    }
}
