//! A filter as a file states it.

use super::description::Description;
use super::filter_bytes::FilterBytes;
use crate::bloom::Parameters;
use serde::Serialize;

/// The format that a filter was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileFormat {
    /// The property list of Apple's released sample.
    Plist,
    /// The property list of the 2025 beta.
    BetaPlist,
    /// Raw bits with JSON metadata.
    Raw,
}

/// A filter as a file states it, before its parts are compared with each other.
/// [`Prefilter::try_from`](crate::Prefilter) does that.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unverified<B = FilterBytes> {
    /// The format of the file.
    pub format: FileFormat,
    /// Size and hashing.
    pub parameters: Parameters,
    /// The bits, of any length.
    pub bytes: B,
    /// What else the file says.
    pub description: Description,
    /// The number of bytes that the file states, if it does.
    pub byte_count: Option<u64>,
    /// The tag that the file states, if it does.
    pub tag: Option<String>,
}
