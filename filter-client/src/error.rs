//! What can go wrong.
//!
//! The text of an error never repeats its cause: print the chain of
//! [`source`](std::error::Error::source), too.

use crate::endpoint::{AddressError, Endpoint, Party};
use crate::sans_io::sharding::ShardingError;
use crate::state::StateError;
use crate::transport::TransportError;
use pir_api::bounded::BoundedError;
use pir_api::convert::ConvertError;
use std::sync::Arc;
use std::time::Duration;

/// A lookup, or a step that it needs, failed. The text contains no keyword and nothing secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request got no response.
    #[error("{endpoint}: no response")]
    Transport {
        /// The endpoint that was called.
        endpoint: Endpoint,
        /// Why there is no response.
        source: TransportError,
    },
    /// The built-in transport cannot be set up.
    #[error("the HTTP transport cannot be set up")]
    TransportSetup(#[source] TransportError),
    /// The client has no transport.
    #[error(
        "no transport: give one to `ClientBuilder::transport`, or enable the feature `http` of \
         filter-client"
    )]
    NoTransport,
    /// The client has a transport for the service and none for the issuer.
    #[error(
        "no transport for the issuer: give one to `ClientBuilder::issuer_transport` that shares no \
         connection with the service's, because the user token travels over it"
    )]
    NoIssuerTransport,
    /// The client has a transport for the issuer and none for the mirror of its directory.
    #[error(
        "no transport for the mirror of the directory: give one to `ClientBuilder::mirror_transport` that \
         does not pass through what the issuer runs"
    )]
    NoMirrorTransport,
    /// The service or the issuer answered with an error status.
    #[error("{endpoint}: status {status}{}", in_parentheses(.message))]
    Status {
        /// The endpoint that was called.
        endpoint: Endpoint,
        /// The status of the response.
        status: u16,
        /// The reason in the response, at most 200 characters; empty if it gives none.
        message: String,
    },
    /// The issuer does not know the user token, or the user token cannot be sent in a header.
    #[error("the issuer does not accept the user token")]
    UserToken,
    /// An address cannot be used.
    #[error("the address of the {party} cannot be used")]
    Address {
        /// Whose address it is.
        party: Party,
        /// What is wrong with it.
        source: AddressError,
    },
    /// The service has no such use case.
    #[error(
        "the service has no use case of that name, or the address is not that of a service (status 404); for a URL filter \
         the name is the app's bundle id and `.url.filtering`"
    )]
    UseCase,
    /// A response does not follow the protocol.
    #[error("{endpoint}: the response cannot be used")]
    Response {
        /// The endpoint that was called.
        endpoint: Endpoint,
        /// What is wrong with the response.
        source: ResponseError,
    },
    /// The issuer's directory has no key that is valid at this time.
    #[error("the issuer's directory has no token key that is valid at this time")]
    IssuerKey,
    /// The issuer's directory has so many keys that each could belong to one user.
    #[error(
        "the issuer's directory has {found} token keys that are valid at this time; with more than \
         {max} the issuer could tell its users apart by their keys"
    )]
    IssuerKeys {
        /// Number of keys that are valid.
        found: usize,
        /// Largest number that is accepted.
        max: usize,
    },
    /// The mirror of the issuer's directory has another key than the directory.
    #[error(
        "the issuer's directory and its mirror have different token keys: either the mirror is out \
         of date, or the issuer shows this user a key of its own"
    )]
    IssuerKeyMirror,
    /// The issuer's directory begins with a key that was not in it for long.
    #[error(
        "the issuer's directory begins with a token key that was not in it a day ago: by such keys it could tell when, and to \
         whom, a token was issued; the key is used once it was there for a day, as keys are that are published ahead"
    )]
    IssuerKeyUnannounced,
    /// The issuer's first key changed a short time after an earlier change.
    #[error(
        "the first key of the issuer's directory changed twice within six days: such keys could tell when \
         a token was issued; tokens are fetched again six days after the earlier change"
    )]
    IssuerKeyChanged,
    /// There is no token, and none is fetched now, because that would tie the user token to the lookup.
    #[error(
        "no token is left; new ones are fetched some hours later, so that their time does not tell \
         which lookup needed them"
    )]
    NoTokens {
        /// Why the latest refill brought none, if it failed.
        #[source]
        refill: Option<Arc<Error>>,
    },
    /// The number of shards tells too much about lookups.
    #[error(transparent)]
    Sharding(#[from] ShardingError),
    /// A token or a token key was refused by this client.
    #[error(transparent)]
    Token(#[from] privacy_pass::Error),
    /// The service's encryption parameters are not known to be secure. Nothing was encrypted with them.
    #[error(
        "the service's encryption parameters are not known to be secure; nothing was encrypted \
         with them"
    )]
    Insecure,
    /// A query cannot be made.
    #[error(transparent)]
    Lookup(#[from] keyword_pir::Error),
    /// A step of the symmetric variant failed.
    #[cfg(feature = "symmetric")]
    #[error(transparent)]
    Symmetric(#[from] keyword_pir::symmetric::SymmetricError),
    /// The use case needs the symmetric variant, and this client was built without it.
    #[error(
        "the use case has symmetric encryption of values; enable the feature `symmetric` of \
         filter-client"
    )]
    SymmetricDisabled,
    /// A lookup has more keywords than
    /// [`ClientOptions::max_keywords`](crate::ClientOptions::max_keywords).
    #[error("{found} keywords; a lookup may have {max}")]
    TooManyKeywords {
        /// Number of keywords that are not cached.
        found: usize,
        /// Largest number allowed.
        max: usize,
    },
    /// The service failed shortly before, so this lookup was not tried.
    #[error("the service failed shortly before; the next attempt is in {} ms", retry_in.as_millis())]
    Outage {
        /// Time until lookups are tried again.
        retry_in: Duration,
    },
    /// The lookup took longer than
    /// [`ClientOptions::lookup_timeout`](crate::ClientOptions::lookup_timeout).
    #[error("the lookup was not finished in time")]
    Deadline,
    /// A stored state cannot be used.
    #[error("the stored state of the client cannot be used")]
    State(#[from] StateError),
    /// A reply decrypts to nonsense. Do not send anything because of this: no report, no repetition, no new key.
    #[error("a reply cannot be decrypted")]
    Unreadable,
    /// The operating system gave no random numbers.
    #[error("the operating system's random source failed")]
    Randomness,
}

/// How a response breaks the protocol.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// It is not a message of the expected kind, or has too many parts.
    #[error("not a valid message")]
    Message(#[source] BoundedError),
    /// A part of the message has a value that this client cannot use.
    #[error("a part of the message cannot be used")]
    Content(#[source] ConvertError),
    /// It is not an issuer directory in JSON.
    #[error("not an issuer directory (line {line}, column {column})")]
    Directory {
        /// Line of the first mistake, from 1.
        line: usize,
        /// Column of the first mistake in bytes, from 1.
        column: usize,
    },
    /// The directory names an address for token requests that cannot be used.
    #[error("issuer-request-uri cannot be used")]
    IssuerRequestUri(#[source] AddressError),
    /// The directory names an address without TLS, and the issuer has TLS.
    #[error("issuer-request-uri has no TLS, and the issuer has")]
    IssuerRequestUriWithoutTls,
    /// The use case was asked for and is not in the response.
    #[error("the use case is missing")]
    UseCaseMissing,
    /// The state of the evaluation key is missing.
    #[error("key_info is missing")]
    KeyInfoMissing,
    /// The configuration of evaluation keys is missing.
    #[error("key_config is missing")]
    KeyConfigMissing,
    /// There is neither a configuration nor the statement that the known one is current.
    #[error("neither a configuration nor a statement that the known one is current")]
    ConfigMissing,
    /// The use case is not a keyword database.
    #[error("the use case is not a keyword database")]
    NotByKeyword,
    /// The configuration asks for more than a client does for it.
    #[error(
        "{what}: {found}, and at most {max} are accepted; lookups as Apple's service configures them need far less"
    )]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// The largest that is accepted.
        max: u64,
    },
    /// The Galois elements of the evaluation key are not those that the expansion of queries needs, each once, ascending.
    #[error(
        "galois_elements: not those that the expansion of queries needs, each once and ascending"
    )]
    GaloisElements,
    /// The number of answers differs from the number of queries.
    #[error("{found} responses to {expected} queries")]
    Count {
        /// Number of queries.
        expected: usize,
        /// Number of responses.
        found: usize,
    },
    /// An answer is of another kind than its query.
    #[error("a response of another kind than its query")]
    OtherKind,
}

fn in_parentheses(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

impl ResponseError {
    pub(crate) fn at(self, endpoint: Endpoint) -> Error {
        Error::Response { endpoint, source: self }
    }
}

impl Error {
    pub(crate) fn message(endpoint: Endpoint) -> impl Fn(BoundedError) -> Self {
        move |error| ResponseError::Message(error).at(endpoint)
    }

    pub(crate) fn content(endpoint: Endpoint) -> impl Fn(ConvertError) -> Self {
        move |error| ResponseError::Content(error).at(endpoint)
    }

    /// Whether the cause is the network or an overloaded service, so that a later attempt may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { source, .. } => source.is_transient(),
            Self::Status { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            Self::Outage { .. } | Self::Deadline => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefilter::PrefilterError;

    /// Whoever prints a chain of causes must not print any of them twice.
    #[test]
    fn messages_leave_their_causes_to_source() {
        let uri = || AddressError::Uri;
        let errors: Vec<Box<dyn std::error::Error>> = vec![
            Box::new(Error::Transport {
                endpoint: Endpoint::Queries,
                source: TransportError::Timeout,
            }),
            Box::new(Error::TransportSetup(TransportError::Request("no TLS".to_owned()))),
            Box::new(Error::Address { party: Party::Issuer, source: uri() }),
            Box::new(ResponseError::Count { expected: 2, found: 1 }.at(Endpoint::Queries)),
            Box::new(ResponseError::IssuerRequestUri(uri()).at(Endpoint::Directory)),
            Box::new(Error::State(StateError::Version(2))),
            Box::new(PrefilterError::Address(uri())),
            Box::new(PrefilterError::Transport(TransportError::Broken)),
        ];
        for error in errors {
            let cause = error.source().map(ToString::to_string).unwrap();
            assert!(!error.to_string().contains(&cause), "{error}: {cause}");
        }
    }
}
