//! The certificate of the service.

use serde::Deserialize;
use std::path::PathBuf;

/// A certificate and its private key, PEM. Both files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsSettings {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

impl TlsSettings {
    /// A file with the certificate chain, the server's own certificate first, and a file with its key.
    #[must_use]
    pub fn new(certificate: impl Into<PathBuf>, private_key: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), private_key: private_key.into() }
    }
}
