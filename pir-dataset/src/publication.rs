//! Releases of data sets in a folder or an object store: what a publisher uploads, and how nodes follow it.
//!
//! ```text
//! <address>/current.json                    the effective release, and its activation time
//! <address>/releases/<id>/release.json      the files of a release, by name, length and SHA-256
//! <address>/releases/<id>/deltas.json       what makes its files from those of the release before
//! <address>/objects/<SHA-256>               the content of files, which releases share, and deltas
//! <address>/filter/bloom_filter.plist …     the prefilter of the release, for apps; changed last
//! ```
//!
//! Publishers may sign: then `current.json` has a signature, and `release.json.minisig` and the metadata of the
//! prefilter have one, too.
//!
//! Only `current.json` and `filter/` ever change. Each level names the digests of the next, so content that
//! was verified once is the same everywhere. A data set is served before its prefilter is given out.
//!
//! | type | role |
//! | --- | --- |
//! | [`ReleaseStore`] | reads and writes the files above |
//! | [`Replica`] | the releases of one use case on a node |
//! | `Publisher` | uploads a release, announces it, waits for nodes, gives the prefilter out (feature `publisher`) |

mod current;
mod delta;
#[cfg(feature = "publisher")]
mod gather;
#[cfg(feature = "publisher")]
mod nodes;
#[cfg(feature = "publisher")]
mod publisher;
mod release;
mod replica;
#[cfg(feature = "publisher")]
mod signed_filter;
#[cfg(feature = "publisher")]
mod signing_key;
mod store;
mod trust;
mod trust_error;

pub use current::{Announcement, Current};
pub use delta::{Delta, DeltaError, Deltas, apply_delta};
#[cfg(feature = "publisher")]
pub use gather::{
    GatherError, Gathered, GatheredLevel, check_prefilter, gather, gather_with_levels,
};
#[cfg(feature = "publisher")]
pub use nodes::{Goal, Nodes, NodesError};
#[cfg(feature = "publisher")]
pub use publisher::{Announced, PublishError, Published, Publisher, Schedule};
pub use release::{
    FILTER, FormatError, MAX_CURRENT, MAX_FILTER_FILE, MAX_FILTER_FILES, MAX_TEXT, Release,
    ReleaseName, ReleasedFile, STEM, level_file,
};
pub use replica::{Fetched, Replica, ReplicaStatus, UseCaseStatus};
#[cfg(feature = "publisher")]
pub use signing_key::{SIGNING_KEY_VARIABLE, SigningKeyError, signing_key};
pub use store::{Damage, ReleaseStore, ReleaseStoreError, Revision};
pub use trust_error::TrustError;

#[cfg(all(test, feature = "publisher"))]
mod tests;
