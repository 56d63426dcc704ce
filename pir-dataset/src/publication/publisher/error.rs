//! Why a release cannot be published.

use crate::publication::nodes::NodesError;
use crate::publication::release::FormatError;
use crate::publication::store::ReleaseStoreError;
use crate::publication::trust_error::TrustError;

/// A release cannot be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ReleaseStoreError),
    /// The files make no release.
    #[error("these files make no release")]
    Format(#[from] FormatError),
    /// The address has releases of another use case.
    #[error("{address}: has releases of another use case, {use_case}")]
    OtherUseCase {
        /// The address of the publication.
        address: String,
        /// The use case of its releases.
        use_case: String,
    },
    /// What is published now is not signed with the key of this publisher.
    #[error(
        "{name}: what is published now is not signed with this key; look at it, and if it is right, publish (or \
         update) once with --trust-current"
    )]
    NotSigned {
        /// Address and name.
        name: String,
        /// What is wrong with the signature, or that there is none.
        source: TrustError,
    },
    /// What is published now is signed, and this publisher has no key.
    #[error(
        "{name}: the publication is signed, and nodes with its public key refuse what is not; give the key (--sign, \
         service.sign of a list configuration, or URLFILTER_SIGNING_KEY), or publish with --trust-current"
    )]
    Signed {
        /// Address and name.
        name: String,
    },
    /// There is no release to go on with.
    #[error("{address}: nothing was published yet")]
    NothingPublished {
        /// The address of the publication.
        address: String,
    },
    /// There is no release that was announced with a time.
    #[error("{address}: nothing was published yet, or not to its end")]
    NotAnnounced {
        /// The address of the publication.
        address: String,
    },
    /// There is no release to go back to.
    #[error("{address}: there is no release before {id}")]
    NoEarlierRelease {
        /// The address of the publication.
        address: String,
        /// The current release.
        id: String,
    },
    /// The release before the current one is newer: the current one was gone back to already.
    #[error(
        "{address}: {id} was gone back to, and the release before, {before}, is newer; name the release to go back to \
         (--rollback RELEASE); there are {known}"
    )]
    Forward {
        /// The address of the publication.
        address: String,
        /// The current release.
        id: String,
        /// The release that was current before.
        before: String,
        /// The releases that exist.
        known: String,
    },
    /// The release to go back to is the current one.
    #[error("{address}: {id} is the release that counts already")]
    AlreadyCurrent {
        /// The address of the publication.
        address: String,
        /// The id of the release.
        id: String,
    },
    /// The release to go back to does not exist.
    #[error("{address}: there is no release {id:?}; there are {known}")]
    UnknownRelease {
        /// The address of the publication.
        address: String,
        /// The id of the release.
        id: String,
        /// The releases that exist.
        known: String,
    },
    /// The release to go back to has no signature, and this publisher signs.
    #[error(
        "{address}: the release {id} has no signature: it was published without one, or somebody removed it; nodes with a \
         public key follow only what is signed; publish its files again with this key (--data, --filter), which makes a new \
         release of them, or name one that this key has signed (--rollback RELEASE); {}",
        signed_releases(signed)
    )]
    UnsignedRelease {
        /// The address of the publication.
        address: String,
        /// The id of the release.
        id: String,
        /// The releases that exist and that the key has signed, apart from the current one.
        signed: Vec<String>,
    },
    /// Nodes did not get the release in time. It is not activated.
    #[error(
        "release {id} is announced, and nodes go on with the one before it; publish again when they can \
         follow"
    )]
    NodesNotReady {
        /// The id of the release.
        id: String,
        /// Which node, and why.
        source: NodesError,
    },
    /// Nodes did not activate the release in time. Its prefilter is not given out.
    #[error(
        "the prefilter was not given out: devices would ask for what a node does not have yet; run \
         `urlfilter publish --filter-only` when it does"
    )]
    NodesDoNotServe {
        /// Which node, and why.
        source: NodesError,
    },
    /// Another release was published before the prefilter was given out.
    #[error("another release was published meanwhile; its publisher gives its prefilter out")]
    Superseded,
}

fn signed_releases(ids: &[String]) -> String {
    match ids.is_empty() {
        true => "there is no other".to_owned(),
        false => format!("there are {}", ids.join(", ")),
    }
}
