//! Prefilters that the service gives out: those of the data sets that it serves.

use bytes::Bytes;
use durable_file::FileError;
use filter_core::Prefilter;
use filter_core::file::ContentError;
use pir_dataset::files::DataSetFiles;
use pir_dataset::manifest::{Manifest, ManifestError};
use pir_dataset::publication::{GatherError, check_prefilter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The prefilter as a property list, as `urlfilter build` names it.
const PLIST_FILE: &str = "bloom_filter.plist";
/// Longest prefilter that is given out, in bytes: as long as clients take.
const MAX_BYTES: u64 = 256 << 20;

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
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ContentError,
    },
    /// The data set has no manifest that can be used, so that nobody knows whether they belong together.
    #[error("the prefilter needs the manifest of its data set")]
    Manifest(#[from] ManifestError),
    /// Prefilter and data set are not of one build.
    #[error("the prefilter does not belong to the data set")]
    OtherBuild(#[from] GatherError),
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
        let path = folder.join(PLIST_FILE);
        let plist = durable_file::read(&path, MAX_BYTES)?;
        let tag = match Prefilter::from_plist(&plist) {
            Ok(prefilter) => prefilter.tag(),
            Err(source) => return Err(PrefilterError::Content { path, source }),
        };
        Ok(Self { tag, plist: plist.into() })
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

    /// The one that is given out. While a superseded version is served, some clients query it, and it does not have what
    /// was added since: they must not get the newest prefilter yet.
    pub(crate) fn given_out(&self, is_superseded_served: bool) -> &Arc<ServedPrefilter> {
        match &self.before {
            Some(before) if is_superseded_served => before,
            _ => &self.newest,
        }
    }
}
