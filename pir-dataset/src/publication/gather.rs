//! The files of a release on this machine, checked before anything is uploaded.

use super::release::{FILTER, FormatError, KINDS, ReleasedFile, STEM, level_file};
use crate::Cause;
use crate::files::{DataSetFiles, MANIFEST_SUFFIX, database_suffix, parameters_suffix};
use crate::level::{self, LevelFile, LevelFileError};
use crate::manifest::{Manifest, ManifestError, keywords_digest};
use durable_file::{FileError, Operation};
use filter_core::file::raw::{BITS_FILE, METADATA_FILE};
use keyword_database::Reader;
use keyword_pir::KeywordHash;
use rayon::prelude::*;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The rows of a prefilter's build, as `urlfilter build` names them.
const DATA_SET_FILE: &str = "input.txtpb";
/// The form of a prefilter for apps, as `urlfilter build` names it.
const PLIST_FILE: &str = "bloom_filter.plist";

/// A data set and its prefilter, ready to be uploaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Gathered {
    /// The files of the release, with their paths on this machine.
    pub files: Vec<(ReleasedFile, PathBuf)>,
    /// SHA-256 of the data set's configuration, hexadecimal.
    pub config_id: String,
    /// Number of shards.
    pub shard_count: u32,
    /// Number of rows.
    pub rows: u64,
    /// The levels, by name.
    pub levels: Vec<GatheredLevel>,
}

/// A level of a release.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GatheredLevel {
    /// Its name, as [`level::is_name`] allows.
    pub name: String,
    /// Its keys that have a row.
    pub keys: u64,
    /// The tag of its prefilter.
    pub tag: String,
    /// The rate of false positives of its prefilter, from 0 to 1.
    pub tolerance: f64,
}

impl GatheredLevel {
    /// The share of all loads that are blocked under it although only other levels list their URL.
    #[must_use]
    pub fn blocked_by_chance(&self) -> f64 {
        level::blocked_by_chance(self.tolerance)
    }
}

/// A data set and a prefilter cannot be released together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// There is no data set.
    #[error(
        "{}: there is no such file; --data is what the names of a data set's files begin with, such as \
         dist/urls, and `urlfilter process` writes it",
        path.display()
    )]
    NoManifest {
        /// The manifest that was looked for.
        path: PathBuf,
    },
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file's name cannot be that of a released file.
    #[error(transparent)]
    Name(#[from] FormatError),
    /// A file is not the one that the manifest describes.
    #[error(
        "{}: not what the manifest of the data set says; run `urlfilter process` again",
        path.display()
    )]
    OtherContent {
        /// The file whose content differs.
        path: PathBuf,
    },
    /// The prefilter is not a folder.
    #[error("{}: not the folder of a prefilter", path.display())]
    NoPrefilter {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The prefilter cannot be opened.
    #[error("{}: not a prefilter that can be used", path.display())]
    Prefilter {
        /// The folder of the prefilter.
        path: PathBuf,
        /// What is wrong with it, or what the system says.
        source: Cause,
    },
    /// The rows of the prefilter's build cannot be read.
    #[error("{}: cannot read the rows", path.display())]
    Rows {
        /// The file of the rows.
        path: PathBuf,
        /// The mistake and its place.
        source: Cause,
    },
    /// The prefilter does not contain its own rows.
    #[error(
        "{}: {lost} of {rows} rows are not found in the prefilter of this folder; run `urlfilter build` \
         again",
        path.display()
    )]
    NotInPrefilter {
        /// The file of the rows.
        path: PathBuf,
        /// Rows that are not found.
        lost: u64,
        /// All rows.
        rows: u64,
    },
    /// The manifest has no digest of the keywords.
    #[error(
        "{}: does not say what keywords it has (it was made by an earlier version, or has rows by \
         number); run `urlfilter process` again",
        path.display()
    )]
    NoKeywords {
        /// The manifest of the data set.
        path: PathBuf,
    },
    /// The folder of a level, or what says which build it is of, cannot be used.
    #[error(transparent)]
    LevelFile(#[from] LevelFileError),
    /// The level is of another build than the prefilter.
    #[error("{}: a level of another build than the prefilter; update the lists again", path.display())]
    OtherLevel {
        /// The folder of the level.
        path: PathBuf,
    },
    /// The rate of false positives of a level is too large, or not known.
    #[error(
        "{}: its rate of false positives must be at most {max}, so that what the level does not list is blocked under it in \
         less than one of a million loads; build with a smaller one",
        path.display(), max = level::MAX_TOLERANCE
    )]
    LevelRate {
        /// The folder of the level.
        path: PathBuf,
    },
    /// Data set and prefilter have different keywords.
    #[error(
        "{} and {}: the data set and the prefilter are not of one build: their keywords differ; run \
         `urlfilter process` on that folder's {DATA_SET_FILE}",
        manifest.display(), prefilter.display()
    )]
    OtherKeywords {
        /// The manifest of the data set.
        manifest: PathBuf,
        /// The folder of the prefilter.
        prefilter: PathBuf,
    },
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Io { operation: Operation::Read, path: path.to_owned(), source }
}

/// A file with the digest of its content, which must be the expected one if there is one.
fn released(
    name: String,
    path: PathBuf,
    expected: Option<&str>,
) -> Result<(ReleasedFile, PathBuf), GatherError> {
    let bytes = fs::metadata(&path).map_err(unreadable(&path))?.len();
    let sha256 = crate::file_sha256(&path).map_err(unreadable(&path))?;
    if expected.is_some_and(|expected| expected != sha256) {
        return Err(GatherError::OtherContent { path });
    }
    Ok((ReleasedFile::new(name, bytes, sha256)?, path))
}

/// Calls `visit` for the keyword of each row of a file.
fn for_each_keyword(path: &Path, mut visit: impl FnMut(&[u8])) -> Result<(), GatherError> {
    let failed = |error: keyword_database::ReadError| GatherError::Rows {
        path: path.to_owned(),
        source: error.into(),
    };
    let mut reader = Reader::text(File::open(path).map_err(unreadable(path))?);
    while let Some(row) = reader.next_row().map_err(failed)? {
        visit(row.keyword);
    }
    Ok(())
}

/// Reads the keywords of a prefilter's build, checks that the prefilter contains all of them, and returns
/// their digest.
fn prefilter_keywords(folder: &Path) -> Result<String, GatherError> {
    let prefilter = open_prefilter(folder)?;
    let path = folder.join(DATA_SET_FILE);
    let mut hashes = Vec::new();
    let mut lost = 0_u64;
    for_each_keyword(&path, |keyword| {
        hashes.push(KeywordHash::of(keyword));
        lost += u64::from(!prefilter.filter().contains(keyword));
    })?;
    if lost > 0 {
        return Err(GatherError::NotInPrefilter { path, lost, rows: hashes.len() as u64 });
    }
    Ok(hex::encode(keywords_digest(hashes)))
}

/// Checks that a data set and the prefilter in a folder are of one build: the prefilter has its own rows, and they are
/// those of the data set. `path` is that of the manifest, for errors.
///
/// # Errors
/// [`GatherError`], if a file cannot be read or they are not of one build.
pub fn check_prefilter(
    path: &Path,
    manifest: &Manifest,
    prefilter: &Path,
) -> Result<(), GatherError> {
    if !prefilter.is_dir() {
        return Err(GatherError::NoPrefilter { path: prefilter.to_owned() });
    }
    let keywords = prefilter_keywords(prefilter)?;
    match &manifest.keywords_sha256 {
        None => Err(GatherError::NoKeywords { path: path.to_owned() }),
        Some(of_data) if *of_data != keywords => Err(GatherError::OtherKeywords {
            manifest: path.to_owned(),
            prefilter: prefilter.to_owned(),
        }),
        Some(_) => Ok(()),
    }
}

/// Gathers the files of a data set, whose names begin with `stem`, and of the prefilter in a folder. Reads
/// and verifies all of them.
///
/// # Errors
/// [`GatherError`], if a file is missing or not what the manifest says, or if data set and prefilter are not
/// of one build.
pub fn gather(stem: &Path, prefilter: &Path) -> Result<Gathered, GatherError> {
    let data = DataSetFiles::new(stem);
    let path = data.manifest();
    let manifest = match Manifest::read(&path) {
        Err(error) if error.is_not_found() => return Err(GatherError::NoManifest { path }),
        manifest => manifest?,
    };
    check_prefilter(&path, &manifest, prefilter)?;
    let shards: Vec<[(ReleasedFile, PathBuf); 2]> = manifest
        .shards
        .par_iter()
        .map(|record| {
            let file = |suffix: &str, sha256: &str| {
                released(format!("{STEM}{suffix}"), data.with_suffix(suffix), Some(sha256))
            };
            Ok([
                file(&database_suffix(record.shard), &record.database_sha256)?,
                file(&parameters_suffix(record.shard), &record.parameters_sha256)?,
            ])
        })
        .collect::<Result<_, GatherError>>()?;
    let mut files: Vec<_> = shards.into_iter().flatten().collect();
    files.push(released(format!("{STEM}{MANIFEST_SUFFIX}"), path, None)?);
    for name in [PLIST_FILE, BITS_FILE, METADATA_FILE] {
        let path = prefilter.join(name);
        if path.exists() {
            files.push(released(format!("{FILTER}{name}"), path, None)?);
        }
    }
    Ok(Gathered {
        files,
        config_id: manifest.config_id,
        shard_count: manifest.shard_count,
        rows: manifest.rows,
        levels: Vec::new(),
    })
}

/// Gathers as [`gather`] does, and the prefilters of levels: each folder in `levels` is one, as an update of lists writes
/// them.
///
/// # Errors
/// [`GatherError`], also if a level is of another build than the prefilter, lacks keys, or has a rate of false positives with
/// which too much would be blocked that it does not list.
pub fn gather_with_levels(
    stem: &Path,
    prefilter: &Path,
    levels: &Path,
) -> Result<Gathered, GatherError> {
    let mut gathered = gather(stem, prefilter)?;
    let of = open_prefilter(prefilter)?.tag();
    for (name, path) in level::folders(levels)? {
        let about = LevelFile::read(&path)?;
        let opened = open_prefilter(&path)?;
        if about.of != of || about.tag != opened.tag() {
            return Err(GatherError::OtherLevel { path });
        }
        let tolerance = opened.description().false_positive_tolerance;
        let Some(tolerance) = tolerance.filter(|&rate| rate <= level::MAX_TOLERANCE) else {
            return Err(GatherError::LevelRate { path });
        };
        check_keys(&path, &prefilter.join(DATA_SET_FILE), &opened, about.keys)?;
        for (kind, file) in KINDS.into_iter().zip([PLIST_FILE, METADATA_FILE, BITS_FILE]) {
            gathered.files.push(released(level_file(&name, kind), path.join(file), None)?);
        }
        let (keys, tag) = (about.keys, about.tag);
        gathered.levels.push(GatheredLevel { name, keys, tag, tolerance });
    }
    Ok(gathered)
}

fn open_prefilter(folder: &Path) -> Result<filter_core::Prefilter, GatherError> {
    filter_core::Prefilter::open(folder)
        .map_err(|error| GatherError::Prefilter { path: folder.to_owned(), source: error.into() })
}

/// Checks that at least as many rows are found in the prefilter of a level as it has keys: each key has a row.
fn check_keys(
    folder: &Path,
    rows: &Path,
    level: &filter_core::Prefilter,
    keys: u64,
) -> Result<(), GatherError> {
    let mut found = 0_u64;
    for_each_keyword(rows, |keyword| found += u64::from(level.filter().contains(keyword)))?;
    match found < keys {
        true => Err(GatherError::OtherLevel { path: folder.to_owned() }),
        false => Ok(()),
    }
}
