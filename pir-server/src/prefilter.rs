//! Prefilters that the service gives out: those of the data sets that it serves.

use crate::blocking::TaskFailed;
use bytes::Bytes;
use durable_file::FileError;
use filter_core::Prefilter;
use filter_core::file::ContentError;
use pir_dataset::files::DataSetFiles;
use pir_dataset::level::{self, LevelFile, LevelFileError};
use pir_dataset::manifest::{Manifest, ManifestError};
use pir_dataset::publication::{GatherError, MAX_FILTER_FILE, check_prefilter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The prefilter as a property list, as `urlfilter build` names it.
const PLIST_FILE: &str = "bloom_filter.plist";

/// A prefilter cannot be given out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrefilterError {
    /// The file cannot be read, or is longer than clients take.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no prefilter.
    #[error("{}: not a prefilter", path.display())]
    Content {
        /// The file of the prefilter.
        path: PathBuf,
        /// What is wrong with it.
        source: ContentError,
    },
    /// The data set has no manifest that can be used, so that nobody knows whether they belong together.
    #[error("the prefilter needs the manifest of its data set")]
    Manifest(#[from] ManifestError),
    /// What says which build a level is of cannot be used.
    #[error(transparent)]
    Level(#[from] LevelFileError),
    /// The prefilter of a level is not of the build that is served.
    #[error("{}: not a level of the prefilter that is given out; update the lists again", path.display())]
    OtherLevel {
        /// The folder of the level.
        path: PathBuf,
    },
    /// Reading the file did not finish.
    #[error(transparent)]
    Task(#[from] TaskFailed),
    /// Prefilter and data set are not of one build.
    #[error("the prefilter does not belong to the data set")]
    OtherBuild(#[from] GatherError),
}

impl PrefilterError {
    /// Whether reading again may succeed: the file system or the reading failed, not what was read.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::File(FileError::Io { .. }) | Self::Task(_))
    }
}

/// A prefilter, held in memory.
#[derive(Debug)]
pub(crate) struct ServedPrefilter {
    tag: String,
    plist: Bytes,
}

impl ServedPrefilter {
    /// Reads the prefilter in a folder, and checks that it is of the same build as a data set.
    pub(crate) fn open(folder: &Path, stem: &Path) -> Result<Self, PrefilterError> {
        let path = DataSetFiles::new(stem).manifest();
        check_prefilter(&path, &Manifest::read(&path)?, folder)?;
        Self::read(&folder.join(PLIST_FILE))
    }

    /// Reads the prefilters of all levels in a folder, by their names. They must be of the build whose prefilter has the tag
    /// `of`, which has a row for each of their keys.
    pub(crate) fn open_levels(
        folder: &Path,
        of: &str,
    ) -> Result<Vec<(String, Self)>, PrefilterError> {
        let folders = match level::folders(folder) {
            // There are no levels.
            Err(LevelFileError::File(error)) if error.is_not_found() => return Ok(Vec::new()),
            folders => folders?,
        };
        let mut levels = Vec::new();
        for (name, path) in folders {
            let prefilter = Self::read(&path.join(PLIST_FILE))?;
            let level = LevelFile::read(&path)?;
            if level.of != of || level.tag != prefilter.tag {
                return Err(PrefilterError::OtherLevel { path });
            }
            levels.push((name, prefilter));
        }
        Ok(levels)
    }

    /// Reads a property list.
    pub(crate) fn read(path: &Path) -> Result<Self, PrefilterError> {
        let plist = durable_file::read(path, MAX_FILTER_FILE)?;
        let tag = match Prefilter::from_plist(&plist) {
            Ok(prefilter) => prefilter.tag(),
            Err(source) => {
                return Err(PrefilterError::Content { path: path.to_owned(), source });
            }
        };
        Ok(Self { tag, plist: plist.into() })
    }

    #[cfg(test)]
    pub(crate) fn of_plist(plist: Bytes) -> Self {
        Self { tag: String::new(), plist }
    }

    /// SHA-256 of its bits, hexadecimal.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// Its property list.
    pub(crate) fn plist(&self) -> &Bytes {
        &self.plist
    }
}

/// The prefilters of a use case.
#[derive(Clone, Debug)]
pub(crate) struct Prefilters {
    /// That of the newest data set.
    newest: Arc<ServedPrefilter>,
    /// That which was given out before.
    before: Option<Arc<ServedPrefilter>>,
}

impl Prefilters {
    /// Those after a data set has changed. `before` was given out until now.
    pub(crate) fn new(newest: ServedPrefilter, before: Option<Arc<ServedPrefilter>>) -> Self {
        let before = before.filter(|before| before.tag != newest.tag);
        Self { newest: Arc::new(newest), before }
    }

    /// That of a publication, whose publisher decides when it is given out.
    pub(crate) fn published(prefilter: ServedPrefilter) -> Self {
        Self { newest: Arc::new(prefilter), before: None }
    }

    /// The tag of the newest one, whether or not it is given out yet.
    pub(crate) fn newest_tag(&self) -> &str {
        &self.newest.tag
    }

    /// The one that is given out. While clients switch to the newest version, some query the one before, which does not
    /// have what was added since: they must not get the newest prefilter yet.
    pub(crate) fn given_out(&self, is_switching: bool) -> &Arc<ServedPrefilter> {
        match &self.before {
            Some(before) if is_switching => before,
            _ => &self.newest,
        }
    }
}
