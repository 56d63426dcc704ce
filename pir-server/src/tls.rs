//! HTTPS: the certificate of the service, and accepting connections with it. Needs the feature `tls`.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod chain;

#[cfg(not(feature = "tls"))]
pub(crate) use absent::{Acceptor, Certificates};
#[cfg(feature = "tls")]
pub(crate) use certificates::{Acceptor, Certificates};

use crate::configuration::Feature;
use std::error::Error;
use std::path::PathBuf;

/// The certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is not PEM with a certificate or a key.
    #[error("{}: cannot be read as PEM", path.display())]
    File {
        /// The file as the configuration names it.
        path: PathBuf,
        /// What the system or the reader of PEM says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The certificate file has no certificate.
    #[error("{}: expected at least one certificate in PEM form, found none", path.display())]
    NoCertificate {
        /// The file of the certificate.
        path: PathBuf,
    },
    /// The certificate and the key do not match, or the TLS library refuses them.
    #[error(
        "tls: the certificate {} and the private key {} cannot be used together",
        certificate.display(),
        private_key.display()
    )]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        private_key: PathBuf,
        /// What the TLS library says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The TLS library refuses its settings.
    #[error("tls: cannot be set up")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// The program was built without TLS.
    #[error(
        "tls: needs the feature `{0}`, which this program was built without; build it with \
         `--features {0}`"
    )]
    Feature(Feature),
}

/// How TLS connections are accepted. [`Service::tls`](crate::Service::tls) makes it from the certificate that the
/// configuration names.
#[derive(Clone)]
pub struct ServerTls(pub(crate) Acceptor);

/// A configuration of your own, such as one that asks for certificates of clients.
#[cfg(feature = "tls")]
impl From<std::sync::Arc<rustls::ServerConfig>> for ServerTls {
    fn from(config: std::sync::Arc<rustls::ServerConfig>) -> Self {
        Self(Acceptor::from(config))
    }
}
