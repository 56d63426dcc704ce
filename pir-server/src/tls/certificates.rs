//! TLS by rustls: the certificate is read at the start, and again when its files change.

use super::{ServerTls, TlsError, chain};
use crate::configuration::TlsSettings;
use crate::file_mark::FileMark;
use arc_swap::ArcSwap;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use unix_clock::Timestamp;

/// Accepts connections with a configuration of rustls.
#[derive(Clone)]
pub(crate) struct Acceptor(TlsAcceptor);

impl From<Arc<rustls::ServerConfig>> for Acceptor {
    fn from(config: Arc<rustls::ServerConfig>) -> Self {
        Self(config.into())
    }
}

impl Acceptor {
    /// The handshake. Returns the connection, and whether the peer wants HTTP/2.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, bool)> {
        let stream = self.0.accept(stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, is_http2))
    }
}

/// A certificate that can be replaced while connections use it.
#[derive(Debug)]
pub(crate) struct Certificates {
    current: ArcSwap<CertifiedKey>,
    source: Mutex<Source>,
}

/// The files of the current certificate, and their state when they were read.
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

fn refused(error: rustls::Error) -> TlsError {
    TlsError::Refused(error.into())
}

fn read(settings: &TlsSettings) -> Result<CertifiedKey, TlsError> {
    let unreadable = |path: &PathBuf, error: pem::Error| TlsError::File {
        path: path.clone(),
        source: error.into(),
    };
    let chain = CertificateDer::pem_file_iter(&settings.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&settings.certificate, error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: settings.certificate.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&settings.private_key)
        .map_err(|error| unreadable(&settings.private_key, error))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| TlsError::Pair {
        certificate: settings.certificate.clone(),
        private_key: settings.private_key.clone(),
        source: error.into(),
    })
}

impl Certificates {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// [`TlsError::File`] and [`TlsError::NoCertificate`] if a file cannot be used; [`TlsError::Pair`] if the
    /// certificate and the key do not match.
    pub(crate) fn open(settings: &TlsSettings) -> Result<Arc<Self>, TlsError> {
        // Marked before they are read: the next comparison finds a change in between.
        let source = Mutex::new(Source::of(settings));
        Ok(Arc::new(Self { current: ArcSwap::from_pointee(read(settings)?), source }))
    }

    /// Reads the files again. On an error the current certificate stays in use.
    ///
    /// # Errors
    /// As [`Certificates::open`].
    pub(crate) fn reload(&self, settings: &TlsSettings) -> Result<(), TlsError> {
        let source = Source::of(settings);
        self.current.store(Arc::new(read(settings)?));
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = source;
        Ok(())
    }

    /// Reads the files again if they have changed, and returns whether they had.
    ///
    /// # Errors
    /// As [`Certificates::open`]. Between the replacement of the one file and of the other they do not match:
    /// the current certificate stays in use, and a later call reads both new files.
    pub(crate) fn refresh(&self) -> Result<bool, TlsError> {
        let settings = {
            let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            if Source::of(&source.settings).marks == source.marks {
                return Ok(false);
            }
            source.settings.clone()
        };
        self.reload(&settings).map(|()| true)
    }

    /// When the first certificate of the chain ends; `None` if none of them says so in a form that is known.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        let current = self.current.load();
        let times = current.cert.iter().filter_map(|certificate| chain::validity(certificate));
        times.map(|(_, end)| end).min()
    }

    /// From when on the certificate, and all that are sent with it, are valid; `None` if that cannot be read.
    pub(crate) fn begin(&self) -> Option<Timestamp> {
        let current = self.current.load();
        let times = current.cert.iter().filter_map(|certificate| chain::validity(certificate));
        times.map(|(begin, _)| begin).max()
    }

    /// What is wrong with the order and the completeness of the chain.
    pub(crate) fn chain_problem(&self) -> Option<&'static str> {
        chain::problem(&self.current.load().cert)
    }

    /// How connections are accepted: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// [`TlsError::Refused`] if the TLS library was built without these versions.
    pub(crate) fn server_tls(self: &Arc<Self>) -> Result<ServerTls, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config).into())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn write_certificate(folder: &Path) {
        let names = vec!["localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn certificates_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        write_certificate(folder.path());
        let settings = |certificate: &str, key: &str| -> TlsSettings {
            let path = |name: &str| folder.path().join(name);
            let text =
                serde_json::json!({ "certificate": path(certificate), "privateKey": path(key) });
            serde_json::from_value(text).unwrap()
        };
        let certificates = Certificates::open(&settings("cert.pem", "key.pem")).unwrap();
        assert!(!certificates.refresh().unwrap());
        write_certificate(folder.path());
        assert!(certificates.refresh().unwrap());
        for (certificate, key) in [
            ("none.pem", "key.pem"),
            ("cert.pem", "none.pem"),
            ("key.pem", "key.pem"),
            ("cert.pem", "cert.pem"),
        ] {
            let bad = settings(certificate, key);
            assert!(Certificates::open(&bad).is_err(), "{certificate} {key}");
        }
    }
}
