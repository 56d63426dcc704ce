//! Copies of sources on this machine, named by their content.

use crate::configuration::List;
use crate::error::{FetchError, UpdateError};
use crate::expiry;
use crate::folders::Folders;
use crate::state::{SourceCopy, State};
use durable_file::{Access, FileError, Operation, PendingFile};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use unix_clock::Timestamp;

/// Bytes that are copied at a time.
const BUFFER: usize = 1 << 17;

pub(crate) fn file_error(
    operation: Operation,
    path: &Path,
) -> impl Fn(io::Error) -> FileError + use<> {
    let path = path.to_owned();
    move |source| FileError::Io { operation, path: path.clone(), source }
}

/// A copy that is being written.
pub(crate) struct PendingCopy {
    file: PendingFile,
    folder: PathBuf,
    digest: Sha256,
    start: Vec<u8>,
    bytes: u64,
    max: u64,
}

impl PendingCopy {
    pub(crate) fn create(folders: &Folders, max: u64) -> Result<Self, FetchError> {
        let folder = folders.sources();
        let file = PendingFile::create(&folder.join("copy"), Access::Everyone)
            .map_err(FetchError::Store)?;
        Ok(Self { file, folder, digest: Sha256::new(), start: Vec::new(), bytes: 0, max })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.max {
            return Err(FetchError::TooLong { max: self.max });
        }
        self.digest.update(bytes);
        let missing = expiry::SEARCHED.saturating_sub(self.start.len());
        self.start.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        let path = self.file.path().to_owned();
        let failed = |error| FetchError::Store(file_error(Operation::Write, &path)(error));
        self.file.file_mut().write_all(bytes).map_err(failed)
    }

    /// Gives the copy its name. If it has the content of a copy that is there already, nothing is written.
    pub(crate) fn finish(self, location: &str, now: Timestamp) -> Result<SourceCopy, FetchError> {
        let copy = SourceCopy {
            location: location.to_owned(),
            sha256: hex::encode(self.digest.finalize()),
            bytes: self.bytes,
            etag: None,
            last_modified: None,
            fetched_at: now,
            expires_seconds: expiry::of(&self.start).map(|span| span.as_secs()),
        };
        let destination = self.folder.join(&copy.sha256);
        // What is there may have been damaged since.
        if is_there(&destination, copy.bytes) && has_digest(&destination, &copy.sha256) {
            return Ok(copy);
        }
        self.file.commit_as(&destination).map_err(FetchError::Store)?;
        Ok(copy)
    }
}

/// Whether a copy is there, by its length.
fn is_there(path: &Path, bytes: u64) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_file() && about.len() == bytes)
}

fn has_digest(path: &Path, sha256: &str) -> bool {
    pir_dataset::file_sha256(path).is_ok_and(|found| found == sha256)
}

impl SourceCopy {
    pub(crate) fn path(&self, folders: &Folders) -> PathBuf {
        folders.sources().join(&self.sha256)
    }

    /// Whether its file is there. The content is only compared when the copy is read.
    pub(crate) fn is_there(&self, folders: &Folders) -> bool {
        let is_digest =
            self.sha256.len() == 64 && self.sha256.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest && is_there(&self.path(folders), self.bytes)
    }

    /// Whether its file is there and has the content that was stored.
    pub(crate) fn is_good(&self, folders: &Folders) -> bool {
        self.is_there(folders) && self.is_intact(folders)
    }

    /// Whether its file has the content that was stored.
    pub(crate) fn is_intact(&self, folders: &Folders) -> bool {
        has_digest(&self.path(folders), &self.sha256)
    }
}

/// The copy that the last build used of a list, which it had under one of these names, if it is of the same place and still there.
pub(crate) fn last_good(
    list: &List,
    names_before: &[String],
    state: &State,
    folders: &Folders,
) -> Option<SourceCopy> {
    let location = list.location.to_string();
    let mut copies = names_before.iter().filter_map(|name| state.sources.get(name));
    copies.find(|copy| copy.location == location && copy.is_there(folders)).cloned()
}

/// Copies a file, unless it has the content of a copy that is there.
pub(crate) fn of_file(
    list: &List,
    path: &Path,
    known: Option<&SourceCopy>,
    folders: &Folders,
    now: Timestamp,
) -> Result<SourceCopy, FetchError> {
    let failed = |error| FetchError::File(file_error(Operation::Read, path)(error));
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(failed(io::Error::other("expected a file")));
    }
    if about.len() > list.max_bytes {
        return Err(FetchError::TooLong { max: list.max_bytes });
    }
    if let Some(known) = known.filter(|known| known.bytes == about.len())
        && pir_dataset::file_sha256(path).map_err(failed)? == known.sha256
        && known.is_good(folders)
    {
        return Ok(known.clone());
    }
    let mut input = File::open(path).map_err(failed)?;
    let mut copy = PendingCopy::create(folders, list.max_bytes)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = input.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        copy.write(&buffer[..read])?;
    }
    let mut copy = copy.finish(&list.location.to_string(), now)?;
    // A file of this machine is read at each update.
    copy.expires_seconds = None;
    Ok(copy)
}

/// Removes what runs left that were killed.
pub(crate) fn remove_unfinished(folders: &Folders) -> Result<(), UpdateError> {
    for folder in [folders.out().to_owned(), folders.sources(), folders.build(), folders.data()] {
        each_file(&folder, |path, name| {
            match name.starts_with(".urlfilter-") && name.ends_with(".tmp") {
                true => fs::remove_file(path).map_err(file_error(Operation::Write, path)),
                false => Ok(()),
            }
        })?;
    }
    Ok(())
}

/// Removes the copies that nothing names.
pub(crate) fn remove_unused(state: &State, folders: &Folders) -> Result<(), UpdateError> {
    let used: BTreeSet<&str> = state.sources.values().map(|copy| copy.sha256.as_str()).collect();
    each_file(&folders.sources(), |path, name| match used.contains(name) {
        true => Ok(()),
        false => fs::remove_file(path).map_err(file_error(Operation::Write, path)),
    })
}

fn each_file(
    folder: &Path,
    visit: impl Fn(&Path, &str) -> Result<(), FileError>,
) -> Result<(), UpdateError> {
    let failed = file_error(Operation::Read, folder);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(&failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(&failed)?;
        if let Some(name) = entry.file_name().to_str()
            && entry.file_type().map_err(&failed)?.is_file()
        {
            visit(&entry.path(), name)?;
        }
    }
    Ok(())
}
