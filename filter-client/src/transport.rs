//! How requests reach a service: `HttpTransport`, or the application's own implementation.

use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;

/// Why a request got no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection could be made; nothing was sent.
    #[error("the service cannot be reached")]
    Unreachable,
    /// No connection could be made, for the reason given; nothing was sent.
    #[error("no connection to {address}: {reason}")]
    NotConnected {
        /// Scheme, host and port of the server.
        address: String,
        /// What the system or TLS says.
        reason: String,
    },
    /// The certificate of the server is not accepted; nothing was sent.
    #[error(
        "the certificate of {address} is not accepted: {reason}; if a private authority issued it, trust that as well \
         (`--authority`, `HttpTransportBuilder::trust_pem`)"
    )]
    Certificate {
        /// Scheme, host and port of the server.
        address: String,
        /// What TLS says.
        reason: String,
    },
    /// The response did not arrive in time. The request may have been received.
    #[error("no response in time")]
    Timeout,
    /// The connection broke. The request may have been received.
    #[error("the connection broke")]
    Broken,
    /// The relay or the gateway of Oblivious HTTP refused the request with this status. The service may not
    /// have received it.
    #[error("the relay or the gateway answered with status {0}")]
    Relay(u16),
    /// The body of the response is longer than allowed.
    #[error("a response of more than {0} bytes")]
    TooLong(usize),
    /// The request cannot be sent, for the reason given. Nothing was sent.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// The client's state cannot be stored, for the reason given. Nothing was sent: the next run could
    /// repeat what this request says.
    #[error("the client's state cannot be stored, so that nothing is sent: {0}")]
    NotStored(String),
}

impl TransportError {
    /// Whether the request may have reached the service, so that its token counts as spent.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        !matches!(
            self,
            Self::Unreachable
                | Self::NotConnected { .. }
                | Self::Certificate { .. }
                | Self::Request(_)
                | Self::NotStored(_)
        )
    }

    /// Whether a later attempt may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable | Self::NotConnected { .. } | Self::Timeout | Self::Broken => true,
            Self::Relay(status) => matches!(status, 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}

/// A pending response.
pub type Exchange<'t> =
    Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, TransportError>> + Send + 't>>;

/// Carries requests to a service.
///
/// An implementation must not log the `Authorization` header: it holds secrets. It must not repeat a
/// request by itself: the token in a request is good once.
///
/// ```
/// use bytes::Bytes;
/// use filter_client::{Exchange, Transport, TransportError};
///
/// /// A network that is down.
/// struct Offline;
///
/// impl Transport for Offline {
///     fn send(&self, _: http::Request<Bytes>, _max_body: usize) -> Exchange<'_> {
///         Box::pin(async { Err(TransportError::Unreachable) })
///     }
/// }
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends a request, whose URI is absolute, and returns the whole response. A response whose body has
    /// more than `max_body` bytes is [`TransportError::TooLong`].
    fn send(&self, request: http::Request<Bytes>, max_body: usize) -> Exchange<'_>;
}
