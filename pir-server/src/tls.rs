//! Certificates for TLS.

use crate::configuration::TlsSettings;
use crate::file_mark::FileMark;
use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is not what it should be.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The certificate and the key do not belong together, or the library refuses them.
    #[error("tls: the certificate and its key cannot be used")]
    Rustls(#[from] rustls::Error),
}

/// A certificate that can be replaced while connections use it.
#[derive(Debug)]
pub struct Certificates {
    current: ArcSwap<CertifiedKey>,
    source: Mutex<Source>,
}

/// Where a certificate came from.
#[derive(Debug)]
struct Source {
    settings: TlsSettings,
    marks: [Option<FileMark>; 2],
}

impl Source {
    fn of(settings: &TlsSettings) -> Self {
        let marks =
            [&settings.certificate, &settings.private_key].map(|path| FileMark::of(path).ok());
        Self { settings: settings.clone(), marks }
    }
}

fn read(settings: &TlsSettings) -> Result<CertifiedKey, TlsError> {
    let wrong = |path: &PathBuf, reason: String| TlsError::File { path: path.clone(), reason };
    let chain = CertificateDer::pem_file_iter(&settings.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&settings.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(&settings.certificate, "no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&settings.private_key)
        .map_err(|error| wrong(&settings.private_key, error.to_string()))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(CertifiedKey::from_der(chain, key, &provider)?)
}

impl Certificates {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// If they cannot be read, or do not belong together.
    pub fn open(settings: &TlsSettings) -> Result<Arc<Self>, TlsError> {
        // Looked at before they are read: a change in between is seen the next time.
        let source = Mutex::new(Source::of(settings));
        Ok(Arc::new(Self { current: ArcSwap::from_pointee(read(settings)?), source }))
    }

    /// Reads the files again. If anything is wrong, the earlier certificate stays.
    ///
    /// # Errors
    /// As [`Certificates::open`].
    pub fn reload(&self, settings: &TlsSettings) -> Result<(), TlsError> {
        let source = Source::of(settings);
        self.current.store(Arc::new(read(settings)?));
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = source;
        Ok(())
    }

    /// Reads the files again if they changed, and tells whether they did.
    ///
    /// # Errors
    /// As [`Certificates::open`]. While one of two files is replaced, they do not belong together:
    /// the earlier certificate stays, and the next call finds both.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let settings = {
            let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            if Source::of(&source.settings).marks == source.marks {
                return Ok(false);
            }
            source.settings.clone()
        };
        self.reload(&settings).map(|()| true)
    }

    /// What connections are accepted with: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// If the library has no such versions.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}
