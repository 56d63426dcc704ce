//! How requests reach a service: [`HttpTransport`], or whatever an application has instead.
//!
//! An application with a network stack of its own, Oblivious HTTP, or a test implements [`Transport`].

use bytes::{Bytes, BytesMut};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nobody could be reached; nothing was sent.
    #[error("the service cannot be reached")]
    Unreachable,
    /// The response did not come in time. The request may have been received.
    #[error("no response in time")]
    Timeout,
    /// The connection broke. The request may have been received.
    #[error("the connection broke")]
    Broken,
    /// The response is longer than it may be.
    #[error("a response of more than {0} bytes")]
    TooLong(usize),
    /// The request cannot be sent at all.
    #[error("the request cannot be sent: {0}")]
    Request(String),
}

impl TransportError {
    /// Whether the request may have reached the service, so that a token in it counts as spent.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        !matches!(self, Self::Unreachable | Self::Request(_))
    }

    /// Whether another try may go better.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::Broken)
    }
}

/// The future of an exchange.
pub type Exchange<'t> =
    Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, TransportError>> + Send + 't>>;

/// Carries requests.
///
/// Authorization headers hold secrets: an implementation must not log them. It must not repeat a
/// request by itself, since tokens are good for one.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request with an absolute URI, and gives the whole response, whose body has at most
    /// `most` bytes.
    fn send(&self, request: http::Request<Bytes>, most: usize) -> Exchange<'_>;
}

/// HTTP/2 and HTTP/1.1 over TLS by rustls, with the root certificates of the platform.
pub struct HttpTransport(reqwest::Client);

impl HttpTransport {
    /// A transport with a limit of time for a whole exchange.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(timeout: Duration) -> Result<Self, TransportError> {
        Self::with_builder(reqwest::Client::builder().timeout(timeout))
    }

    /// A transport whose roots of trust, proxy and the like the caller has chosen. Redirections are
    /// not followed: a service has no reason to send them.
    ///
    /// # Errors
    /// If the choice cannot be set up.
    pub fn with_builder(builder: reqwest::ClientBuilder) -> Result<Self, TransportError> {
        let builder = builder
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("url-filter-client/", env!("CARGO_PKG_VERSION")));
        builder.build().map(Self).map_err(|error| TransportError::Request(error.to_string()))
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: http::Request<Bytes>, most: usize) -> Exchange<'_> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request)
                .map_err(|error| TransportError::Request(error.without_url().to_string()))?;
            let mut answer = self.0.execute(request).await.map_err(|error| failure(&error))?;
            let mut response = http::Response::new(Bytes::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            if answer.content_length().is_some_and(|length| length > most as u64) {
                return Err(TransportError::TooLong(most));
            }
            let mut body = BytesMut::new();
            while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error))? {
                if chunk.len() > most - body.len() {
                    return Err(TransportError::TooLong(most));
                }
                body.extend_from_slice(&chunk);
            }
            *response.body_mut() = body.freeze();
            Ok(response)
        })
    }
}

fn failure(error: &reqwest::Error) -> TransportError {
    if error.is_builder() {
        return TransportError::Request("not a valid request".to_owned());
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => TransportError::Unreachable,
        (false, true) => TransportError::Timeout,
        (false, false) => TransportError::Broken,
    }
}
