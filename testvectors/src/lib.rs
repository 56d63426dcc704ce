//! Known answers for whoever builds or reads prefilters of private URL filtering in any language.
//!
//! The vectors are made by [`filter_core`], which is tested itself against recordings of other implementations and
//! independent oracles. The same version always makes the same files; they are published in the folder
//! [`testvectors/`](https://docs.rs/crate/testvectors/latest/source/) and described by `schema.json` there.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let written = testvectors::write(folder.path())?;
//! assert!(testvectors::check(folder.path())?.is_empty());
//!
//! // Another program, or an older version, gives something else.
//! std::fs::write(folder.path().join("prefilter/hashes.json"), "[]")?;
//! let differences = testvectors::check(folder.path())?;
//! assert_eq!(differences[0].to_string(), "prefilter/hashes.json differs");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | vectors |
//! | --- | --- |
//! | `hashes` | `hashes.json`, `indices.json` |
//! | `filters` | `sizing.json`, `filters.json`, `beta_2025.json` |
//! | `sub_urls` | `sub_urls.json` |
//! | `keys` | `keys.json` |
//! | `systems` | `systems.json` |
//! | `files` | `files.json` and the files in `files/` |
//!
//! The crate has no features.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate)]

mod files;
mod filters;
mod hashes;
mod keys;
mod sub_urls;
mod systems;

use durable_file::{Access, FileError, FileSet};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The version of the vectors, in `manifest.json` and `systems.json`. It changes whenever an existing vector does;
/// `testvectors/README.md` says what changed.
pub const VERSION: u32 = 2;

/// One file of the vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VectorFile {
    /// Path relative to the folder of all vectors, such as `prefilter/hashes.json`.
    pub path: PathBuf,
    /// The bytes of the file.
    pub content: Vec<u8>,
}

/// Makes every file in memory, in a fixed order.
///
/// # Panics
/// If [`filter_core`] refuses one of the inputs, which are constants: that is a bug.
#[must_use]
pub fn all() -> Vec<VectorFile> {
    let values = [
        ("hashes.json", hashes::hashes()),
        ("indices.json", hashes::indices()),
        ("sizing.json", filters::sizing()),
        ("filters.json", filters::filters()),
        ("beta_2025.json", filters::beta()),
        ("sub_urls.json", sub_urls::sub_urls()),
        ("keys.json", keys::keys()),
        ("systems.json", systems::systems()),
    ];
    let mut all = vec![json_file("manifest.json", &manifest(&values))];
    all.extend(values.iter().map(|(name, value)| json_file(name, value)));
    all.extend(files::files());
    all
}

/// The version, and the number of vectors in each file that is a list.
fn manifest(values: &[(&str, Value)]) -> Value {
    let counts = values.iter().filter_map(|(name, value)| {
        value.as_array().map(|vectors| ((*name).to_owned(), Value::from(vectors.len())))
    });
    serde_json::json!({"version": VERSION, "vectors": counts.collect::<Value>()})
}

fn json_file(name: &str, value: &Value) -> VectorFile {
    let mut content = serde_json::to_vec_pretty(value).expect("a value is valid JSON");
    content.push(b'\n');
    VectorFile { path: Path::new("prefilter").join(name), content }
}

/// The vectors in their folders below the folder of all vectors.
fn by_folder(files: Vec<VectorFile>) -> BTreeMap<PathBuf, BTreeMap<String, Vec<u8>>> {
    let mut folders = BTreeMap::<PathBuf, BTreeMap<String, Vec<u8>>>::new();
    for VectorFile { path, content } in files {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let name = name.to_string_lossy().into_owned();
        folders.entry(folder.to_owned()).or_default().insert(name, content);
    }
    folders
}

/// Writes every file below `folder`, which is created if it does not exist. Returns the number of files.
///
/// # Errors
/// [`FileError::Io`] if a file cannot be written; files of each folder appear together or not at all.
///
/// # Panics
/// As [`all`].
pub fn write(folder: &Path) -> Result<usize, FileError> {
    let mut written = 0;
    for (inner, files) in by_folder(all()) {
        let mut set = FileSet::new(&folder.join(inner))?;
        written += files.len();
        for (name, content) in files {
            set.add(&name, Access::Everyone, |out| out.write_all(&content))?;
        }
        set.commit()?;
    }
    Ok(written)
}

/// One way in which a folder is not what [`write()`] makes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The file is not there.
    Missing(PathBuf),
    /// The file has other content.
    Content(PathBuf),
    /// This version does not make this file.
    Unexpected(PathBuf),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{} is missing", path.display()),
            Self::Content(path) => write!(f, "{} differs", path.display()),
            Self::Unexpected(path) => {
                write!(f, "{} is not a file of this version", path.display())
            }
        }
    }
}

/// A folder of vectors could not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A file could not be read.
    #[error("cannot compare a vector")]
    File(#[from] FileError),
    /// A folder could not be listed.
    #[error("cannot list {}", path.display())]
    Folder {
        /// The folder that was to be listed.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Compares the vectors below `folder` with those of this version. Nothing is returned for files that agree.
///
/// # Errors
/// [`CheckError`] if something below `folder` cannot be read. What is missing is no error.
///
/// # Panics
/// As [`all`].
pub fn check(folder: &Path) -> Result<Vec<Difference>, CheckError> {
    let mut differences = Vec::new();
    for (inner, files) in by_folder(all()) {
        for (name, content) in &files {
            let path = inner.join(name);
            match durable_file::read(&folder.join(&path), content.len() as u64) {
                Ok(found) if found == *content => {}
                Ok(_) | Err(FileError::TooLong { .. }) => {
                    differences.push(Difference::Content(path));
                }
                Err(error) if error.is_not_found() => differences.push(Difference::Missing(path)),
                Err(error) => return Err(error.into()),
            }
        }
        let others = file_names(&folder.join(&inner))?;
        let others = others.into_iter().filter(|name| !files.contains_key(name));
        differences.extend(others.map(|name| Difference::Unexpected(inner.join(name))));
    }
    Ok(differences)
}

/// Names of the files in a folder, sorted; none if there is no such folder.
fn file_names(folder: &Path) -> Result<BTreeSet<String>, CheckError> {
    let names = || -> io::Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                names.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    };
    match names() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        names => names.map_err(|source| CheckError::Folder { path: folder.to_owned(), source }),
    }
}
