//! The prefilter's files: read only after complete checks, written whole or not at all.
//!
//! | form | content |
//! | --- | --- |
//! | [plist], current | `bloom_filter.plist` as Apple's released sample reads it |
//! | [plist], beta | the field names of the first 2025 beta; read only |
//! | [raw] | `bloom.bin` with just the bits, and its metadata in `bloom.json` |
//!
//! [`open`] finds out which of them a path is.

mod mapped;
pub mod plist;
pub mod raw;

pub use mapped::FilterBytes;

use crate::bloom::{BloomError, BloomFilter, Parameters, Sizing};
use crate::sub_url::{PatternError, RuleFields, SubUrlRule};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// Why a filter file cannot be trusted or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Reading or writing failed.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The file is none of the forms of a filter.
    #[error("{}: neither a property list nor a .json or .bin of a prefilter", .0.display())]
    UnknownForm(PathBuf),
    /// The content is malformed or contradicts itself.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: ContentError,
    },
}

impl FileError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    fn content(path: &Path) -> impl FnOnce(ContentError) -> Self {
        move |problem| Self::Content { path: path.to_owned(), problem }
    }
}

/// What is wrong with the content of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The bits contradict the parameters.
    #[error(transparent)]
    Bloom(#[from] BloomError),
    /// Not a property list of a filter.
    #[error("not the property list of a prefilter: {0}")]
    Plist(String),
    /// Not the metadata of a filter.
    #[error("not the metadata of a prefilter: {0}")]
    Json(#[from] serde_json::Error),
    /// `byteCount` contradicts `bitCount`.
    #[error("byteCount is {stated}, but bitCount asks for {expected} bytes")]
    ByteCount {
        /// What the file says.
        stated: u64,
        /// What the bits take.
        expected: usize,
    },
    /// The bits are not the ones that the metadata describes.
    #[error("the tag does not match the bits: the file is damaged, or belongs to another build")]
    Tag,
    /// The tolerance is no probability.
    #[error("falsePositiveTolerance must lie strictly between 0 and 1")]
    Tolerance,
    /// The file is larger than any filter.
    #[error("the file has {0} bytes, more than any prefilter can have")]
    TooLarge(u64),
}

/// What is known of a filter beside its bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DescriptionFields", into = "DescriptionFields")]
pub struct Description {
    /// Number of distinct keys, if the file says.
    pub item_count: Option<u64>,
    /// The tolerance that the filter was sized for, if the file says.
    pub false_positive_tolerance: Option<f64>,
    /// The rule that sized it, if the file says.
    pub sizing: Option<Sizing>,
    /// The sub-URL rule that its keys were made for, if the file says.
    pub rule: Option<SubUrlRule>,
    /// Version of the tool that made it, if the file says.
    pub tool_version: Option<String>,
}

/// [`Description`] as it stands in JSON, with the fields of the rule among the others.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescriptionFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item_count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    false_positive_tolerance: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sizing: Option<Sizing>,
    #[serde(flatten)]
    rule: RuleFields,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool_version: Option<String>,
}

impl TryFrom<DescriptionFields> for Description {
    type Error = PatternError;

    fn try_from(fields: DescriptionFields) -> Result<Self, PatternError> {
        Ok(Self {
            item_count: fields.item_count,
            false_positive_tolerance: fields.false_positive_tolerance,
            sizing: fields.sizing,
            rule: fields.rule.into_rule()?,
            tool_version: fields.tool_version,
        })
    }
}

impl From<Description> for DescriptionFields {
    fn from(description: Description) -> Self {
        Self {
            item_count: description.item_count,
            false_positive_tolerance: description.false_positive_tolerance,
            sizing: description.sizing,
            rule: description.rule.map(RuleFields::from).unwrap_or_default(),
            tool_version: description.tool_version,
        }
    }
}

/// Which form a filter was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The property list of the released sample.
    Plist,
    /// The property list of the 2025 beta.
    BetaPlist,
    /// Raw bits with JSON metadata.
    Raw,
}

/// A filter with what is known of it.
#[derive(Debug)]
pub struct Prefilter<B = FilterBytes> {
    /// The bits.
    pub filter: BloomFilter<B>,
    /// What is known of them.
    pub description: Description,
}

impl<B: AsRef<[u8]>> Prefilter<B> {
    /// The tag of the bits: lower-case hexadecimal SHA-256. A device that holds a filter with this
    /// tag need not fetch it again.
    #[must_use]
    pub fn tag(&self) -> String {
        tag(self.filter.bytes())
    }
}

/// A filter as a file states it, before its parts are held against each other.
#[derive(Debug)]
pub struct Unverified<B = FilterBytes> {
    /// Size and hashing.
    pub parameters: Parameters,
    /// The bits, of whatever length.
    pub bytes: B,
    /// What else the file says.
    pub description: Description,
    byte_count: Option<u64>,
    tag: Option<String>,
}

impl<B: AsRef<[u8]>> Unverified<B> {
    /// Checks `byteCount`, length, unused bits, tolerance and tag.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn verify(self) -> Result<Prefilter<B>, ContentError> {
        let expected = self.parameters.byte_count();
        if let Some(stated) = self.byte_count.filter(|&stated| stated != expected as u64) {
            return Err(ContentError::ByteCount { stated, expected });
        }
        if self.description.false_positive_tolerance.is_some_and(|p| !(p > 0.0 && p < 1.0)) {
            return Err(ContentError::Tolerance);
        }
        let filter = BloomFilter::from_bytes(self.parameters, self.bytes)?;
        if self.tag.is_some_and(|stated| !stated.eq_ignore_ascii_case(&tag(filter.bytes()))) {
            return Err(ContentError::Tag);
        }
        Ok(Prefilter { filter, description: self.description })
    }
}

/// The tag of some bits, as for [`Prefilter::tag`].
#[must_use]
pub fn tag(bits: &[u8]) -> String {
    hex::encode(Sha256::digest(bits))
}

/// Opens a filter, whatever its form: a property list, the `.json` or `.bin` of a raw one, or a
/// folder that [`raw`] was written to. The bits of a raw filter are mapped, not read.
///
/// # Errors
/// [`FileError`]. Everything is [verified](Unverified::verify) before this returns.
pub fn open(path: &Path) -> Result<(Prefilter, Form), FileError> {
    let (unverified, form) = open_unverified(path)?;
    Ok((unverified.verify().map_err(FileError::content(path))?, form))
}

/// As [`open`], for a file that is to be examined although it may be wrong.
///
/// # Errors
/// [`FileError`], if the file cannot be read as any form at all.
pub fn open_unverified(path: &Path) -> Result<(Unverified, Form), FileError> {
    if path.is_dir() {
        return Ok((raw::open_unverified(&path.join(raw::METADATA_FILE))?, Form::Raw));
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Ok((raw::open_unverified(path)?, Form::Raw)),
        Some("bin") => Ok((raw::open_unverified(&path.with_extension("json"))?, Form::Raw)),
        _ => plist::open_unverified(path),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn prefilters() -> impl Strategy<Value = Prefilter<Vec<u8>>> {
        let known = (any::<u32>(), 1e-9f64..0.999, any::<bool>());
        (1u32..300, 1u32..20, any::<u32>(), known, prop::collection::vec("[a-z]{0,9}", 0..20))
            .prop_map(|(bits, hashes, seed, (items, tolerance, ceil), keys)| {
                let mut filter = BloomFilter::empty(Parameters::new(bits, hashes, seed).unwrap());
                filter.insert_all(keys.iter().map(String::as_bytes));
                let description = Description {
                    item_count: Some(items.into()),
                    false_positive_tolerance: Some(tolerance),
                    sizing: Some(if ceil { Sizing::Ceil } else { Sizing::Round }),
                    rule: Some(SubUrlRule::default()),
                    tool_version: Some("1.2.3".into()),
                };
                Prefilter { filter, description }
            })
    }

    #[test]
    fn the_tag_is_sha_256() {
        assert_eq!(tag(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
