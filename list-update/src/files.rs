//! What a run wrote into the folder of the state, and whether it is still there.
//!
//! A file counts as it was if its size and its time are those of the record; otherwise its content decides.

use crate::copies::file_error;
use crate::folders::Folders;
use blocklist::builder::{DATA_SET_FILE, ORIGINS_FILE, PLIST_FILE, REPORT_FILE};
use durable_file::{FileError, Operation};
use filter_core::file::raw::{BITS_FILE, METADATA_FILE};
use pir_dataset::Manifest;
use pir_dataset::files::DataSetFiles;
use pir_dataset::level::LEVEL_FILE;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What `Built::write` writes.
const OF_BUILD: [&str; 6] =
    [DATA_SET_FILE, PLIST_FILE, BITS_FILE, METADATA_FILE, ORIGINS_FILE, REPORT_FILE];
/// What each level has.
const OF_LEVEL: [&str; 4] = [PLIST_FILE, BITS_FILE, METADATA_FILE, LEVEL_FILE];

/// A file as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileRecord {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: u64,
    /// SHA-256 of its content, hexadecimal.
    sha256: String,
}

/// Files by their paths in the folder of the state.
pub(crate) type FileRecords = BTreeMap<String, FileRecord>;

/// Length in bytes of a regular file, and the nanoseconds from 1970 to when it was written.
fn size_and_time(path: &Path) -> io::Result<(u64, u64)> {
    let about = fs::symlink_metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("expected a file"));
    }
    let since = about.modified()?.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let modified = u64::try_from(since.as_nanos()).map_err(io::Error::other)?;
    Ok((about.len(), modified))
}

/// Records the files of a build and of its levels.
pub(crate) fn of_build(
    folders: &Folders,
    levels: &BTreeSet<String>,
) -> Result<FileRecords, FileError> {
    let build = OF_BUILD.iter().map(|name| folders.build().join(name));
    let levels = levels.iter().flat_map(|level| {
        let folder = folders.levels().join(level);
        OF_LEVEL.iter().map(move |name| folder.join(name))
    });
    record(folders, build.chain(levels).map(|path| (path, None)))
}

/// Records the files of a data set that a service needs. The manifest has the digests of all others.
pub(crate) fn of_data(folders: &Folders, manifest: &Manifest) -> Result<FileRecords, FileError> {
    let files = DataSetFiles::new(folders.stem());
    let shards = manifest.shards.iter().flat_map(|record| {
        [
            (files.database(record.shard), Some(record.database_sha256.clone())),
            (files.parameters(record.shard), Some(record.parameters_sha256.clone())),
        ]
    });
    record(folders, [(files.manifest(), None)].into_iter().chain(shards))
}

fn record(
    folders: &Folders,
    files: impl Iterator<Item = (PathBuf, Option<String>)>,
) -> Result<FileRecords, FileError> {
    let mut records = FileRecords::new();
    for (path, sha256) in files {
        let failed = file_error(Operation::Read, &path);
        let (bytes, modified) = size_and_time(&path).map_err(&failed)?;
        let sha256 = match sha256 {
            Some(sha256) => sha256,
            None => pir_dataset::file_sha256(&path).map_err(&failed)?,
        };
        let name = path.strip_prefix(folders.out()).expect("all that a run writes is below it");
        records.insert(name.to_string_lossy().into_owned(), FileRecord { bytes, modified, sha256 });
    }
    Ok(records)
}

/// Whether files are recorded and all of them are as they were written. With `reads_all` their contents are compared even
/// where size and time are as they were.
pub(crate) fn are_intact(records: &FileRecords, folders: &Folders, reads_all: bool) -> bool {
    let is_intact = |(name, record): (&String, &FileRecord)| {
        let path = folders.out().join(name);
        let Ok((bytes, modified)) = size_and_time(&path) else { return false };
        let is_like_before = modified == record.modified && !reads_all;
        bytes == record.bytes
            && (is_like_before
                || pir_dataset::file_sha256(&path).is_ok_and(|sha256| sha256 == record.sha256))
    };
    !records.is_empty() && records.iter().all(is_intact)
}
