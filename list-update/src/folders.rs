//! Where everything is in the folder of the state.

use std::path::{Path, PathBuf};

/// The folder that an update keeps everything in. It may be deleted: the next update makes it again.
///
/// ```text
/// <out>/state.json         what the last run has finished
/// <out>/lock               held while an update runs
/// <out>/sources/<SHA-256>  the last good copy of each list
/// <out>/build/…            the prefilter, its rows and the report, as `urlfilter build` writes them
/// <out>/levels/<level>/…   the prefilter of a level
/// <out>/data/urls-…        the data set, as `urlfilter process` writes it
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    out: PathBuf,
}

impl Folders {
    pub(crate) fn new(out: PathBuf) -> Self {
        Self { out }
    }

    /// The folder of everything.
    #[must_use]
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The prefilter and its rows.
    #[must_use]
    pub fn build(&self) -> PathBuf {
        self.out.join("build")
    }

    /// What the names of the data set's files begin with: the `fileStem` of a service.
    #[must_use]
    pub fn stem(&self) -> PathBuf {
        self.data().join("urls")
    }

    /// The prefilters of levels, a folder for each.
    #[must_use]
    pub fn levels(&self) -> PathBuf {
        self.out.join("levels")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.out.join("data")
    }

    pub(crate) fn sources(&self) -> PathBuf {
        self.out.join("sources")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.out.join("state.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.out.join("lock")
    }
}
