//! The files of a prefilter: read only after complete checks.
//!
//! | format | content |
//! | --- | --- |
//! | property list, current | `bloom_filter.plist` as Apple's released sample reads it |
//! | property list, beta | the field names of the first 2025 beta; read only |
//! | [raw] | `bloom.bin` with just the bits, and its metadata in `bloom.json` |
//!
//! [`Prefilter::open`](crate::Prefilter::open) finds out which format a path has. Property lists need the feature
//! `plist`; without it they are [`FileError::PlistFeatureMissing`].

mod bounded_read;
mod description;
mod error;
mod filter_bytes;
#[cfg(feature = "mmap")]
mod mapped;
mod open;
mod plist;
#[cfg(feature = "plist")]
mod plist_binary;
#[cfg(feature = "plist")]
pub(crate) mod plist_content;
#[cfg(feature = "plist")]
mod plist_fields;
#[cfg(feature = "plist")]
mod plist_xml;
pub mod raw;
mod tag;
mod unverified;

pub use description::Description;
pub use error::{ContentError, FileError, RequiredField, WriteError};
pub use filter_bytes::FilterBytes;
pub use open::open_unverified;
pub use tag::tag;
pub use unverified::{FileFormat, Unverified};
