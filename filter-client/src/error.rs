//! What can go wrong.

use crate::transport::TransportError;
use pir_api::bounded::BoundedError;
use pir_api::convert::ConvertError;

/// A lookup, or something that it needs, failed. Nothing secret is in the text, and no keyword.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no response.
    #[error("{endpoint}: {source}")]
    Transport {
        /// What was asked for.
        endpoint: &'static str,
        /// Why.
        source: TransportError,
    },
    /// The service refused.
    #[error("{endpoint}: status {status}{}", detail(.message))]
    Status {
        /// What was asked for.
        endpoint: &'static str,
        /// The status of the response.
        status: u16,
        /// What the service says about it.
        message: String,
    },
    /// The issuer does not know the user token.
    #[error("the issuer does not accept the user token")]
    UserToken,
    /// An address cannot be used.
    #[error("{what}: {reason}")]
    Address {
        /// Which one.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The service has no such use case.
    #[error(
        "the service has no use case of that name; for a URL filter it is the app's bundle id and \
         `.url.filtering`"
    )]
    UseCase,
    /// A response is not what the protocol says.
    #[error("{endpoint}: {reason}")]
    Response {
        /// What was asked for.
        endpoint: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The issuer's keys are not in order.
    #[error(
        "the key for this user token is not in the issuer's directory, or not valid at this time: \
         the issuer could tell its users apart by such a key"
    )]
    IssuerKey,
    /// A token or a key was refused here.
    #[error(transparent)]
    Token(#[from] privacy_pass::Error),
    /// The encryption parameters of the service would not protect what is asked.
    #[error(
        "the service's encryption parameters are not known to be secure; nothing was encrypted \
         with them"
    )]
    Insecure,
    /// A query cannot be made, or a reply cannot be read.
    #[error(transparent)]
    Lookup(#[from] keyword_pir::Error),
    /// The symmetric variant failed.
    #[error(transparent)]
    Symmetric(#[from] keyword_pir::symmetric::SymmetricError),
    /// More keywords than one lookup may have.
    #[error("{0} keywords; a lookup may have {1}")]
    TooManyKeywords(usize, usize),
    /// The service could not be reached a moment ago, and is not tried again yet.
    #[error("the service could not be reached a moment ago")]
    Paused,
    /// The whole lookup took too long.
    #[error("the lookup was not finished in time")]
    Deadline,
    /// A stored state cannot be read.
    #[error("not a stored state: {0}")]
    State(&'static str),
    /// The operating system gave no randomness.
    #[error("the operating system's random source failed")]
    Randomness,
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

impl Error {
    pub(crate) fn response(endpoint: &'static str) -> impl Fn(BoundedError) -> Self {
        move |error| Self::Response { endpoint, reason: error.to_string() }
    }

    pub(crate) fn convert(endpoint: &'static str) -> impl Fn(ConvertError) -> Self {
        move |error| Self::Response { endpoint, reason: error.to_string() }
    }

    /// Whether it lies with the network or with a service that has too much to do, and may be better
    /// soon.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport { source, .. } => source.is_passing(),
            Self::Status { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            Self::Paused | Self::Deadline => true,
            _ => false,
        }
    }
}
