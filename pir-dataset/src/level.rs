//! Levels: several prefilters over one data set, told apart by name.
//!
//! A level has some of the keys of a build, and each of them has a row. The service answers for all rows, whatever level a
//! client has: a URL that only other levels list is blocked under a level if it hits that level's prefilter by chance.

use durable_file::{FileError, Operation};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Longest name of a level, in bytes.
pub const MAX_NAME: usize = 40;
/// Name of the file that says which build a level is of, beside the files of its prefilter.
pub const LEVEL_FILE: &str = "level.json";
/// Longest file of that name, in bytes.
const MAX_LEVEL_FILE: u64 = 1 << 16;
/// Share of all loads that are of URLs on a list: 20 of a million (`docs/scale.md`).
pub const LISTED_LOADS: f64 = 20e-6;
/// The largest rate of false positives of a level's prefilter. What a level does not list is then blocked under it in at most
/// one of five million loads.
pub const MAX_TOLERANCE: f64 = 0.01;

/// Whether a text is the name of a level: 1 to [`MAX_NAME`] of `a` to `z`, digits and `-`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_part)
}

/// The share of all loads that are blocked under a level although only other levels list their URL, if its prefilter has this
/// rate of false positives.
#[must_use]
pub fn blocked_by_chance(tolerance: f64) -> f64 {
    LISTED_LOADS * tolerance
}

/// `level.json`: which build a level is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LevelFile {
    /// The tag of the prefilter of the whole build.
    pub of: String,
    /// Number of keys of the level that have a row.
    pub keys: u64,
    /// The tag of the level's prefilter.
    pub tag: String,
}

/// The folder of a level, or its `level.json`, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LevelFileError {
    /// The file or folder cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder among the levels has not the name of one.
    #[error("{}: not the name of a level, which has 1 to {MAX_NAME} of a-z, 0-9 and -", path.display())]
    Name {
        /// The file or folder whose name is not that of a level.
        path: PathBuf,
    },
    /// `level.json` is not of the expected form.
    #[error("{}: not what says which build a level is of; update the lists again", path.display())]
    Json {
        /// The `level.json` that is of another form.
        path: PathBuf,
        /// The mistake and its place.
        source: crate::Cause,
    },
}

/// The folders of the prefilters of levels in a folder, as an update of lists writes them, in the order of their names.
///
/// # Errors
/// [`LevelFileError::File`] if the folder cannot be read, [`LevelFileError::Name`] if something else is in it.
pub fn folders(levels: &Path) -> Result<Vec<(String, PathBuf)>, LevelFileError> {
    let failed =
        |source| FileError::Io { operation: Operation::Read, path: levels.to_owned(), source };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(levels).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        match name.filter(|name| is_name(name)).map(str::to_owned) {
            Some(name) => folders.push((name, path)),
            None => return Err(LevelFileError::Name { path }),
        }
    }
    folders.sort();
    Ok(folders)
}

impl LevelFile {
    /// A level of the build whose prefilter has the tag `of`.
    #[must_use]
    pub fn new(of: String, keys: u64, tag: String) -> Self {
        Self { of, keys, tag }
    }

    /// Reads the file in the folder of a level.
    ///
    /// # Errors
    /// [`LevelFileError`].
    pub fn read(folder: &Path) -> Result<Self, LevelFileError> {
        let path = folder.join(LEVEL_FILE);
        let text = durable_file::read(&path, MAX_LEVEL_FILE)?;
        serde_json::from_slice(&text)
            .map_err(|source| LevelFileError::Json { path, source: source.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_name_is_limited() {
        for length in [0, 1, MAX_NAME - 1, MAX_NAME, MAX_NAME + 1] {
            assert_eq!(is_name(&"l".repeat(length)), (1..=MAX_NAME).contains(&length), "{length}");
        }
        for (text, is_level) in
            [("family-2", true), ("Family", false), ("a.b", false), ("a/b", false)]
        {
            assert_eq!(is_name(text), is_level, "{text}");
        }
    }

    #[test]
    fn folders_of_levels_are_named_as_levels_are() {
        let folder = tempfile::tempdir().unwrap();
        let levels = folder.path();
        for name in ["b", "a-1"] {
            std::fs::create_dir(levels.join(name)).unwrap();
        }
        let found = folders(levels).unwrap();
        let expected = ["a-1", "b"].map(|name| (name.to_owned(), levels.join(name)));
        assert_eq!(found, expected);
        std::fs::create_dir(levels.join("B")).unwrap();
        assert!(
            matches!(folders(levels), Err(LevelFileError::Name { path }) if path.ends_with("B"))
        );
        let absent = folders(&levels.join("nowhere"));
        assert!(matches!(absent, Err(LevelFileError::File(error)) if error.is_not_found()));
    }

    #[test]
    fn what_names_the_build_of_a_level_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let level = LevelFile::new("a".repeat(64), 7, "b".repeat(64));
        for length in [MAX_LEVEL_FILE - 1, MAX_LEVEL_FILE, MAX_LEVEL_FILE + 1] {
            let mut text = serde_json::to_vec(&level).unwrap();
            text.resize(usize::try_from(length).unwrap(), b' ');
            std::fs::write(folder.path().join(LEVEL_FILE), text).unwrap();
            match LevelFile::read(folder.path()) {
                Ok(read) => assert!(read == level && length <= MAX_LEVEL_FILE, "{length}"),
                Err(error) => assert!(
                    matches!(error, LevelFileError::File(FileError::TooLong { .. }))
                        && length > MAX_LEVEL_FILE,
                    "{length}: {error}"
                ),
            }
        }
    }

    #[test]
    fn what_a_level_does_not_list_is_blocked_in_less_than_one_of_a_million_loads() {
        assert!(blocked_by_chance(MAX_TOLERANCE) < 1e-6);
    }
}
