//! Why an examination cannot be made.

use durable_file::FileError;
use error_reporter::Report;
use std::error::Error;
use std::path::PathBuf;

/// The doctor itself could not work. Whatever is wrong with a deployment is a [`Finding`](crate::Finding) instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// The bundle id is that of a use case.
    #[error(
        "the bundle id {0} ends with `.url.filtering`, which only the use case has; give the app's bundle id, \
         without `.url.filtering`"
    )]
    BundleId(String),
    /// The bundle id of the extension is that of a use case.
    #[error(
        "the bundle id {0} ends with `.block` or `.identity`, which only the use cases have; give the extension's bundle \
         id without it"
    )]
    ExtensionId(String),
    /// The file with the additional authority cannot be read.
    #[error("cannot read the additional authority")]
    Authority(#[source] FileError),
    /// The file with the additional authority holds no certificate.
    #[error("{}: expected a certificate in PEM form", path.display())]
    Certificate {
        /// The file with the additional authority.
        path: PathBuf,
        /// What its reader says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    /// The keys of the local prefilter cannot be read.
    #[error("{}: the keys of the prefilter cannot be read", path.display())]
    Keys {
        /// The data set with the keys, `input.txtpb`.
        path: PathBuf,
        /// What the system or the reader of rows says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The prefilter on this machine cannot be read.
    #[error("{}: the prefilter cannot be read; --filter is the folder that `urlfilter build` wrote", path.display())]
    Prefilter {
        /// The folder that was given as the prefilter.
        path: PathBuf,
        /// The file that is damaged, absent or of another build, and what is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The data set on this machine cannot be read.
    #[error("{}: the data set cannot be read", path.display())]
    DataSet {
        /// First part of the names of its files.
        path: PathBuf,
        /// The file, and why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The app's Info.plist cannot be read.
    #[error("{}: the Info.plist cannot be read", path.display())]
    InfoPlist {
        /// The file that was given as the Info.plist.
        path: PathBuf,
        /// What the system or the reader of property lists says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The levels on this machine cannot be read.
    #[error("{}: the levels cannot be read", path.display())]
    Levels {
        /// The folder with a folder for each level.
        path: PathBuf,
        /// The folder or file of a level, and what is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    Report::new(error).to_string()
}
