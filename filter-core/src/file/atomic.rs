//! Files that appear whole or not at all.

use super::FileError;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Several files of one folder that replace their predecessors together.
///
/// Each is written beside its destination under a temporary name and synchronised; [`commit`](Self::commit)
/// then renames them in the order in which they were added. Dropping the set instead
/// leaves the folder as it was.
#[derive(Debug)]
pub struct FileSet {
    folder: PathBuf,
    files: Vec<(NamedTempFile, PathBuf)>,
}

impl FileSet {
    /// Starts a set in `folder`, which is created if need be.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn new(folder: &Path) -> Result<Self, FileError> {
        fs::create_dir_all(folder).map_err(FileError::io(folder))?;
        Ok(Self { folder: folder.to_owned(), files: Vec::new() })
    }

    /// Writes one file of the set.
    ///
    /// # Errors
    /// [`FileError::Io`], whether from the file system or from `write`.
    pub fn add(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let path = self.folder.join(name);
        let file = self.temporary(write).map_err(FileError::io(&path))?;
        self.files.push((file, path));
        Ok(())
    }

    fn temporary(
        &self,
        write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
    ) -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".urlfilter-").suffix(".tmp");
        // Readable like any other output, not only by its owner.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = builder.tempfile_in(&self.folder)?;
        let mut out = BufWriter::with_capacity(1 << 17, file.as_file_mut());
        write(&mut out)?;
        out.flush()?;
        drop(out);
        file.as_file().sync_all()?;
        Ok(file)
    }

    /// Moves all files to their places.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn commit(self) -> Result<(), FileError> {
        for (file, path) in self.files {
            file.persist(&path).map_err(|error| FileError::Io { path, source: error.error })?;
        }
        // The names are only durable with their folder.
        #[cfg(unix)]
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(FileError::io(&self.folder))?;
        Ok(())
    }
}

/// Writes one file whole or not at all.
///
/// # Errors
/// [`FileError::Io`].
pub fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| FileError::Io {
        path: path.to_owned(),
        source: io::Error::from(io::ErrorKind::InvalidFilename),
    })?;
    let mut files = FileSet::new(folder)?;
    files.add(name, |out| out.write_all(content))?;
    files.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_set_that_fails_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("a"), b"old").unwrap();
        let mut files = FileSet::new(folder.path()).unwrap();
        files.add("a", |out| out.write_all(b"new")).unwrap();
        assert!(files.add("b", |_| Err(io::Error::other("disk full"))).is_err());
        drop(files);
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"old");
    }

    #[test]
    fn a_set_appears_together() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("new/folder");
        let mut files = FileSet::new(&inner).unwrap();
        files.add("a", |out| out.write_all(b"1")).unwrap();
        files.add("b", |out| out.write_all(b"2")).unwrap();
        assert!(names(&inner).iter().all(|name| name.starts_with(".urlfilter-")));
        files.commit().unwrap();
        assert_eq!(names(&inner), ["a", "b"]);
    }
}
