//! Why a service cannot be opened or reloaded.

use crate::blocking::TaskFailed;
use crate::configuration::ConfigurationError;
use crate::data_set_error::DataSetError;
use crate::gateway::GatewayError;
use crate::issuer::IssuerError;
use crate::prefilter::PrefilterError;
use crate::store::StoreError;
use crate::subscriptions::SubscriptionError;
use crate::tls::TlsError;
use std::io;

/// The service cannot be opened or reloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The configuration is not usable.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The data set of a use case cannot be served.
    #[error("use case {use_case}: its data set cannot be served")]
    DataSet {
        /// Name of the use case.
        use_case: String,
        /// What is wrong with the data set, with the file.
        source: DataSetError,
    },
    /// The prefilter of a use case cannot be given out.
    #[error("use case {use_case}: its prefilter cannot be given out")]
    Prefilter {
        /// Name of the use case.
        use_case: String,
        /// What is wrong with the prefilter, with the file.
        source: PrefilterError,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Issuer keys cannot be read or generated.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The gateway cannot be opened.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A system call failed.
    #[error("cannot {action}")]
    Io {
        /// What was tried, with the file or key it was for.
        action: String,
        /// The system's error.
        source: io::Error,
    },
    /// A publication cannot be read, or has no release that can be served.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    /// Counts of reports cannot be made or sent.
    #[error("counts of reports")]
    Reports(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// [`Service::reload`](super::Service::reload) was called without
    /// [`Service::with_source`](super::Service::with_source).
    #[error("the service was not started from a configuration file")]
    NoSource,
    /// Reading files or opening a data set did not finish.
    #[error(transparent)]
    Task(#[from] TaskFailed),
}

/// Names what was tried when a system call fails.
pub(super) fn io_error(action: impl Into<String>) -> impl FnOnce(io::Error) -> ServiceError {
    let action = action.into();
    move |source| ServiceError::Io { action, source }
}
