//! Journals: finished shards of runs that are not finished, one JSON object a line.
//!
//! A line that was not written to its end is ignored. Each run of some shards has a journal of its own, so
//! that several can share a folder: `<manifest>.journal`, `<manifest>.<start>-<end>.journal`.

use super::unfinished::{io_error, remove};
use crate::files::with_suffix;
use crate::manifest::ShardRecord;
use durable_file::{FileError, Operation};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The journal that a run writes.
pub(super) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

/// All journals of a data set.
pub(super) struct Journals {
    /// Path of the manifest without its ending.
    stem: PathBuf,
}

impl Journals {
    /// The journals in the folder of a manifest.
    pub(super) fn beside(manifest: &Path) -> Self {
        Self { stem: manifest.with_extension("") }
    }

    /// The journal of a run of some shards, or of all.
    pub(super) fn path(&self, selection: Option<&Range<u32>>) -> PathBuf {
        let part = selection.map_or(String::new(), |s| format!(".{}-{}", s.start, s.end));
        with_suffix(&self.stem, &format!("{part}.journal"))
    }

    /// The journals that there are, and that of a run without a selection.
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

    /// What earlier runs left. A journal that cannot be read is as good as none: its shards are made again.
    pub(super) fn records(&self) -> Vec<ShardRecord> {
        let mut records = Vec::new();
        for file in self.paths().into_iter().flat_map(File::open) {
            for line in BufReader::new(file).lines() {
                let Ok(line) = line else { break };
                records.extend(serde_json::from_str::<ShardRecord>(&line));
            }
        }
        records
    }

    /// Opens the journal of a run, behind what earlier runs left in it.
    pub(super) fn open(&self, selection: Option<&Range<u32>>) -> Result<Journal, FileError> {
        let path = self.path(selection);
        let mut file = append(&path).map_err(io_error(Operation::Write, &path))?;
        // The next line must not continue one that was not written to its end.
        file.write_all(b"\n").map_err(io_error(Operation::Write, &path))?;
        Ok(Journal { path, file: Mutex::new(file) })
    }

    /// Removes all journals: the data set is finished.
    pub(super) fn remove(&self) -> Result<(), FileError> {
        self.paths().iter().try_for_each(|path| remove(path))
    }
}

/// Opens a regular file for appending, or creates it. Links are refused.
fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true);
    match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => return created,
    }
    let about = fs::symlink_metadata(path)?;
    let file = options.open(path)?;
    #[cfg(unix)]
    let is_same = {
        use std::os::unix::fs::MetadataExt;
        let opened = file.metadata()?;
        (opened.dev(), opened.ino()) == (about.dev(), about.ino())
    };
    #[cfg(not(unix))]
    let is_same = true;
    match about.is_file() && is_same {
        true => Ok(file),
        false => Err(io::Error::other("a journal must be a regular file, not a link; remove it")),
    }
}

impl Journal {
    /// Notes a finished shard, durably.
    pub(super) fn add(&self, record: &ShardRecord) -> Result<(), FileError> {
        let mut line = serde_json::to_vec(record).expect("plain data has a JSON text");
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        written.map_err(io_error(Operation::Write, &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(shard: u32) -> ShardRecord {
        ShardRecord { shard, ..ShardRecord::default() }
    }

    #[test]
    fn lines_that_were_cut_off_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::beside(&folder.path().join("urls-manifest.json"));
        journals.open(None).unwrap().add(&record(1)).unwrap();
        let path = folder.path().join("urls-manifest.journal");
        let mut text = fs::read(&path).unwrap();
        text.extend(b"{\"shard\":11,\"inputSha");
        fs::write(&path, text).unwrap();
        journals.open(None).unwrap().add(&record(2)).unwrap();
        journals.open(Some(&(3..4))).unwrap().add(&record(3)).unwrap();
        assert!(folder.path().join("urls-manifest.3-4.journal").exists());
        let mut shards: Vec<u32> = journals.records().iter().map(|record| record.shard).collect();
        shards.sort_unstable();
        assert_eq!(shards, [1, 2, 3]);
        journals.remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, b"kept").unwrap();
        let journals = Journals::beside(&folder.path().join("urls-manifest.json"));
        for target in [elsewhere.clone(), folder.path().join("nothing")] {
            let path = folder.path().join("urls-manifest.journal");
            std::os::unix::fs::symlink(&target, &path).unwrap();
            assert!(journals.open(None).is_err());
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
        assert!(!folder.path().join("nothing").exists());
    }
}
