//! An Oblivious HTTP gateway (RFC 9458): it opens requests that a relay forwards, and has them answered by this
//! service or by configured origins. The relay knows who asked, the gateway what was asked.
//!
//! Needs the feature `gateway`.
//!
//! Keys rotate: all nodes have a new key for a while before it is published, and the earlier one is accepted for a
//! while after.

#[cfg(not(feature = "gateway"))]
mod absent;
#[cfg(feature = "gateway")]
mod encapsulated;
#[cfg(feature = "gateway")]
mod keys;
#[cfg(feature = "gateway")]
mod message;

#[cfg(not(feature = "gateway"))]
pub(crate) use absent::Gateway;
#[cfg(feature = "gateway")]
pub(crate) use encapsulated::Gateway;
#[cfg(feature = "gateway")]
pub use message::{MAX_FIELDS, MessageError, parse_request};

use crate::configuration::Feature;
use crate::endpoints::HeldAnswer;
use crate::store::{StateFile, StoreError};

/// The gateway cannot be opened, or its keys cannot rotate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key cannot be created or used.
    #[error("gateway keys cannot be used")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The stored keys are not what a service wrote. Drawing others would make all requests fail that relays have keys for.
    #[error(
        "the stored gateway keys are damaged. Restore gateway.json of the state folder from a backup, or start once with \
         `--discard {}`: {}. In redis, restore their key or delete it", StateFile::GatewayKeys.name(),
        StateFile::GatewayKeys.consequence()
    )]
    Damaged,
    /// The client for requests to `gateway.origins` cannot be created.
    #[error("gateway.origins: the HTTP client cannot be created")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The program was built without the gateway.
    #[error(
        "gateway: needs the feature `{0}`, which this program was built without; build it with \
         `--features {0}`"
    )]
    Feature(Feature),
}

/// The answer to an encapsulated request. A refusal is one, too.
pub(crate) struct GatewayAnswer {
    /// In Binary HTTP.
    pub(crate) message: Vec<u8>,
    /// Why the request was refused, for the metrics.
    pub(crate) refusal: Option<GatewayRefusal>,
    /// Where the memory of this service's own answer counts. `None` if it needed no token.
    pub(crate) held: Option<HeldAnswer>,
}

/// An answer cannot be sealed.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot be sealed")]
pub(crate) struct SealError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Why the gateway refuses an encapsulated request.
#[cfg_attr(
    not(feature = "gateway"),
    expect(dead_code, reason = "metrics have the same names in every program")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum GatewayRefusal {
    /// Its key is unknown or no longer accepted, or the request was altered on its way.
    #[error("the request cannot be opened; fetch the key configuration again")]
    Key,
    /// Its content is not a valid request in Binary HTTP.
    #[error("the request in it is not one")]
    Message,
    /// Its host is neither this service's nor a configured origin's.
    #[error("this gateway does not pass requests on to that host")]
    Target,
    /// Its method and path are none that a device sends to an issuer or a service.
    #[error("this gateway passes on requests of devices only")]
    Request,
    /// Its origin did not answer, or with something that cannot be passed on.
    #[error("the origin does not answer")]
    Origin,
}
