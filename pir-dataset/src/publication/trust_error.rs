//! Why a publication is not believed.

use release_signature::SignatureError;

/// A publication is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// It is not signed.
    #[error("it is not signed, and public keys are configured; publish with --sign")]
    Unsigned,
    /// Its signature cannot be used.
    #[error("its signature is not accepted")]
    Signature(#[from] SignatureError),
    /// It is signed for another use case.
    #[error("it is signed for the use case {found}")]
    UseCase {
        /// The use case.
        found: String,
    },
    /// It is signed as another release than the one that it is stored as.
    #[error("it is signed as the release {found}")]
    OtherRelease {
        /// The id of the release that the signature names.
        found: String,
    },
    /// A newer announcement was seen before.
    #[error(
        "it is older (number {found}) than what was published before (number {accepted}): an earlier state \
         of the store was put back, or a cache is stale"
    )]
    Older {
        /// The number of the newest announcement.
        accepted: u64,
        /// The number of this one.
        found: u64,
    },
    /// Two announcements have the same number.
    #[error("it has the number of another announcement ({sequence}); publish again")]
    Ambiguous {
        /// The sequence number of both.
        sequence: u64,
    },
    /// The release is older than the one that is served, and the publisher did not go back on purpose.
    #[error(
        "the release {found} is older than {served}, which is served, and it is not announced as a rollback; \
         use --rollback to go back"
    )]
    OlderRelease {
        /// The release that is served.
        served: String,
        /// The release that was announced.
        found: String,
    },
}
