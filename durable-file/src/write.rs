//! Writing aside, synchronising, renaming.

use crate::{Access, FileError, Operation};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Buffer of a file that is being written, in bytes.
const BUFFER: usize = 1 << 17;

/// A file that is written aside and replaces its destination when it is [committed](Self::commit).
/// It is removed when it is dropped before that.
#[derive(Debug)]
#[must_use = "a file that is not committed is removed"]
pub struct PendingFile {
    file: NamedTempFile,
    destination: PathBuf,
}

impl PendingFile {
    /// Creates an empty file beside `destination`, whose folder must exist.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn create(destination: &Path, access: Access) -> Result<Self, FileError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".urlfilter-").suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(match access {
            Access::Everyone => 0o644,
            Access::Owner => 0o600,
        }));
        #[cfg(not(unix))]
        let _ = access;
        let file = builder
            .tempfile_in(folder_of(destination))
            .map_err(FileError::io(Operation::Write, destination))?;
        Ok(Self { file, destination: destination.to_owned() })
    }

    /// The open file, to write to.
    pub fn file_mut(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Where the file is until it is committed: for readers of what was written so far.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Synchronises the content, moves the file to its destination and synchronises the folder.
    ///
    /// # Errors
    /// [`FileError::Io`]; the destination is as it was.
    pub fn commit(self) -> Result<(), FileError> {
        let destination = self.destination.clone();
        self.synchronise()?.replace()?;
        synchronise_folder(folder_of(&destination))
    }

    /// As [`commit`](Self::commit), at another place of the same file system: for a file whose name is known only when
    /// its content is.
    ///
    /// # Errors
    /// [`FileError::Io`]; the destination is as it was.
    pub fn commit_as(mut self, destination: &Path) -> Result<(), FileError> {
        self.destination = destination.to_owned();
        self.commit()
    }

    fn synchronise(self) -> Result<Self, FileError> {
        let error = FileError::io(Operation::Write, &self.destination);
        self.file.as_file().sync_all().map_err(error)?;
        Ok(self)
    }

    fn replace(self) -> Result<(), FileError> {
        self.file
            .persist(&self.destination)
            .map_err(|error| FileError::io(Operation::Replace, &self.destination)(error.error))?;
        Ok(())
    }
}

/// Several files of one folder that replace their predecessors together.
///
/// [`add`](Self::add) writes and synchronises each file under a temporary name; [`commit`](Self::commit)
/// renames them in the order in which they were added. Dropping the set instead leaves the folder as it
/// was. A crash during `commit` can leave the first files new and the others old, so add the file that
/// names the others last.
#[derive(Debug)]
#[must_use = "files that are not committed are removed"]
pub struct FileSet {
    folder: PathBuf,
    files: Vec<PendingFile>,
}

impl FileSet {
    /// Starts a set in `folder`, which is created with its parents if it does not exist.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn new(folder: &Path) -> Result<Self, FileError> {
        fs::create_dir_all(folder).map_err(FileError::io(Operation::Write, folder))?;
        Ok(Self { folder: folder.to_owned(), files: Vec::new() })
    }

    /// Writes one file of the set.
    ///
    /// # Errors
    /// [`FileError::Io`], whether the file system or `content` failed.
    pub fn add(
        &mut self,
        name: &str,
        access: Access,
        content: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let path = self.folder.join(name);
        let mut file = PendingFile::create(&path, access)?;
        let mut out = BufWriter::with_capacity(BUFFER, file.file_mut());
        content(&mut out)
            .and_then(|()| out.flush())
            .map_err(FileError::io(Operation::Write, &path))?;
        drop(out);
        self.files.push(file.synchronise()?);
        Ok(())
    }

    /// Moves all files to their destinations and synchronises the folder.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn commit(self) -> Result<(), FileError> {
        for file in self.files {
            file.replace()?;
        }
        synchronise_folder(&self.folder)
    }
}

/// Writes one file whole or not at all. Its folder must exist.
///
/// # Errors
/// [`FileError::Io`]; the destination is as it was.
pub fn write(path: &Path, access: Access, content: &[u8]) -> Result<(), FileError> {
    let mut file = PendingFile::create(path, access)?;
    file.file_mut().write_all(content).map_err(FileError::io(Operation::Write, path))?;
    file.commit()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name is only durable with its folder.
fn synchronise_folder(folder: &Path) -> Result<(), FileError> {
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(FileError::io(Operation::Write, folder))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_set_that_fails_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("a"), Access::Everyone, b"old").unwrap();
        let mut files = FileSet::new(folder.path()).unwrap();
        files.add("a", Access::Everyone, |out| out.write_all(b"new")).unwrap();
        let failure = |_: &mut BufWriter<&mut File>| Err(io::Error::other("disk full"));
        let error = files.add("b", Access::Everyone, failure).unwrap_err();
        assert_eq!(error.path(), folder.path().join("b"));
        drop(files);
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"old");
    }

    #[test]
    fn a_set_appears_together() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("new/folder");
        let mut files = FileSet::new(&inner).unwrap();
        files.add("a", Access::Everyone, |out| out.write_all(b"1")).unwrap();
        files.add("b", Access::Owner, |out| out.write_all(b"2")).unwrap();
        assert!(names(&inner).iter().all(|name| name.starts_with(".urlfilter-")));
        files.commit().unwrap();
        assert_eq!(names(&inner), ["a", "b"]);
    }

    #[test]
    fn a_file_that_is_not_committed_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = PendingFile::create(&folder.path().join("a"), Access::Owner).unwrap();
        file.file_mut().write_all(b"1").unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), b"1");
        drop(file);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_file_can_get_its_name_when_its_content_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = PendingFile::create(&folder.path().join("a"), Access::Everyone).unwrap();
        file.file_mut().write_all(b"1").unwrap();
        file.commit_as(&folder.path().join("b")).unwrap();
        assert_eq!(names(folder.path()), ["b"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_is_the_one_asked_for_whatever_was_there() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let elsewhere = folder.path().join("elsewhere");
        for access in [Access::Owner, Access::Everyone] {
            let mode = if access == Access::Owner { 0o600 } else { 0o644 };
            fs::write(&path, b"old").unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
            write(&path, access, b"new").unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
            fs::remove_file(&path).unwrap();

            // A link at the destination is replaced, not followed.
            fs::write(&elsewhere, b"kept").unwrap();
            symlink(&elsewhere, &path).unwrap();
            write(&path, access, b"new").unwrap();
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
            assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
        }
    }

    #[test]
    fn errors_name_the_file_and_keep_their_cause() {
        let missing = Path::new("/nonexistent/folder/state");
        let error = write(missing, Access::Owner, b"1").unwrap_err();
        assert_eq!(error.to_string(), "cannot write /nonexistent/folder/state");
        assert!(std::error::Error::source(&error).is_some());
    }
}
