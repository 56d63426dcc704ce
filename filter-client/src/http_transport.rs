//! The built-in transport (feature `http`): reqwest, with rustls (feature `tls`).

use crate::transport::{Exchange, Transport, TransportError};
use bytes::Bytes;
use http::uri::Scheme;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::error::Error;
use std::time::Duration;

/// HTTP/2 and HTTP/1.1, over TLS by rustls with the root certificates of the platform. Redirects are not
/// followed: a service has no reason to send them. Without the feature `tls`, `https://` addresses are
/// refused.
pub struct HttpTransport(reqwest::Client);

/// Chooses the settings of an [`HttpTransport`].
#[must_use = "a builder does nothing before `build`"]
pub struct HttpTransportBuilder {
    builder: reqwest::ClientBuilder,
}

impl HttpTransport {
    /// A transport with a timeout for each exchange: connection, request and response.
    ///
    /// # Errors
    /// [`TransportError::Request`] if TLS cannot be set up.
    pub fn new(timeout: Duration) -> Result<Self, TransportError> {
        Self::builder().timeout(timeout).build()
    }

    /// Starts to build a transport.
    pub fn builder() -> HttpTransportBuilder {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("url-filter-client/", env!("CARGO_PKG_VERSION")));
        HttpTransportBuilder { builder }
    }
}

impl HttpTransportBuilder {
    /// The timeout for each exchange: connection, request and response. Default: none.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { builder: self.builder.timeout(timeout) }
    }

    /// Trusts the certificates of a PEM file in addition to those of the platform (feature `tls`).
    ///
    /// # Errors
    /// [`TransportError::Request`] if the text contains no certificate in PEM.
    #[cfg(feature = "tls")]
    pub fn trust_pem(self, pem: &[u8]) -> Result<Self, TransportError> {
        let certificates = reqwest::Certificate::from_pem_bundle(pem).ok();
        let certificates = certificates.filter(|found| !found.is_empty()).ok_or_else(|| {
            TransportError::Request("the text to trust contains no certificate in PEM".to_owned())
        })?;
        Ok(Self { builder: self.builder.tls_certs_merge(certificates) })
    }

    /// A transport with these settings.
    ///
    /// # Errors
    /// [`TransportError::Request`] if TLS cannot be set up.
    pub fn build(self) -> Result<HttpTransport, TransportError> {
        let client = self.builder.build();
        client.map(HttpTransport).map_err(|error| TransportError::Request(error.to_string()))
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: http::Request<Bytes>, max_body: usize) -> Exchange<'_> {
        Box::pin(async move {
            if cfg!(not(feature = "tls")) && request.uri().scheme() == Some(&Scheme::HTTPS) {
                return Err(TransportError::Request(
                    "https:// addresses need the feature `tls` of filter-client".to_owned(),
                ));
            }
            let address = address(request.uri());
            let request = reqwest::Request::try_from(request)
                .map_err(|error| TransportError::Request(error.without_url().to_string()))?;
            let response =
                self.0.execute(request).await.map_err(|error| failure(&error, address.clone()))?;
            if response.content_length().is_some_and(|length| length > max_body as u64) {
                return Err(TransportError::TooLong(max_body));
            }
            let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
            let body = Limited::new(body, max_body).collect().await.map_err(|error| match error
                .downcast_ref()
            {
                _ if error.is::<LengthLimitError>() => TransportError::TooLong(max_body),
                Some(error) => failure(error, address.clone()),
                None => TransportError::Broken,
            })?;
            Ok(http::Response::from_parts(parts, body.to_bytes()))
        })
    }
}

/// Scheme, host and port of an address. The rest may hold a key.
fn address(uri: &http::Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}", uri.scheme_str().unwrap_or("http"))
}

fn failure(error: &reqwest::Error, address: String) -> TransportError {
    if error.is_builder() {
        return TransportError::Request("not a valid request".to_owned());
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => {
            let mut cause: &dyn Error = error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            let reason = cause.to_string();
            match reason.contains("certificate") {
                true => TransportError::Certificate { address, reason },
                false => TransportError::NotConnected { address, reason },
            }
        }
        (false, true) => TransportError::Timeout,
        (false, false) => TransportError::Broken,
    }
}
