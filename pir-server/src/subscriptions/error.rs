//! Why a publication cannot be followed.

use pir_dataset::publication::ReleaseStoreError;
use std::error::Error;

/// A publication cannot be read, or has no release that can be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// The publication cannot be read, or its files cannot be stored.
    #[error("use case {use_case}: cannot follow its publication")]
    Store {
        /// Name of the use case.
        use_case: String,
        /// What the store of the publication says.
        source: Box<ReleaseStoreError>,
    },
    /// The publication does not answer.
    #[error("use case {use_case}: its publication does not answer")]
    Silent {
        /// Name of the use case.
        use_case: String,
    },
    /// The prefilter of a release cannot be given out.
    #[error("use case {use_case}: the prefilter of its release cannot be given out")]
    Prefilter {
        /// Name of the use case.
        use_case: String,
        /// What is wrong with the prefilter, or with its file.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The configuration no longer has the use case.
    #[error("use case {use_case}: the configuration no longer has it")]
    Removed {
        /// Name of the use case.
        use_case: String,
    },
    /// The data set of a release cannot be served.
    #[error("use case {use_case}: its release cannot be served")]
    DataSet {
        /// Name of the use case.
        use_case: String,
        /// What is wrong with the data set.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SubscriptionError {
    /// Whether the store of the publication did not answer.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Silent { .. } => true,
            Self::Store { source, .. } => matches!(**source, ReleaseStoreError::Silent { .. }),
            _ => false,
        }
    }
}

/// The error of a use case whose publication cannot be read.
pub(super) fn store_error(use_case: &str) -> impl Fn(ReleaseStoreError) -> SubscriptionError {
    move |error| SubscriptionError::Store { use_case: use_case.to_owned(), source: Box::new(error) }
}
