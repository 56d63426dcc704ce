//! Raw bits (`bloom.bin`) with JSON metadata of the same name (`bloom.json`).
//!
//! A control-provider extension on a device is killed at a few megabytes of memory. It can pass this file of
//! bits on by its path, without parsing anything.

use super::bounded_read;
use super::description::Description;
use super::error::{ContentError, FileError};
use super::filter_bytes::FilterBytes;
use super::unverified::{FileFormat, Unverified};
use crate::bloom::Parameters;
use crate::parser_message::ParserMessage;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the metadata in a folder that a build was written to.
pub const METADATA_FILE: &str = "bloom.json";

/// Name of the bits in a folder that a build was written to.
pub const BITS_FILE: &str = "bloom.bin";

/// The largest metadata that is read, in bytes; usual metadata has a few hundred.
const MAX_METADATA: u64 = 1 << 20;

/// The largest file of bits that is read into memory, in bytes: that of 2^32 bits.
#[cfg_attr(feature = "mmap", allow(dead_code, reason = "mapped files take no memory"))]
const MAX_BITS: u64 = 1 << 29;

/// The content of `bloom.json`: what a filter of raw bits says of itself. Made by
/// [`Prefilter::metadata`](crate::Prefilter::metadata) or [`parse`](Self::parse).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Metadata {
    /// Number of bits, 1 to 2^32 - 1.
    pub bit_count: u32,
    /// Number of hashes per key, 1 to [`MAX_HASH_COUNT`](crate::bloom::MAX_HASH_COUNT).
    pub hash_count: u32,
    /// Seed of MurmurHash3.
    pub murmur_seed: u32,
    /// SHA-256 of the bits in hexadecimal, as [`tag`](super::tag()) makes it.
    pub tag: String,
    /// The optional fields.
    #[serde(flatten)]
    pub description: Description,
}

impl Metadata {
    /// The metadata of a filter with these parameters and this tag.
    #[must_use]
    pub fn new(parameters: Parameters, tag: String, description: Description) -> Self {
        Self {
            bit_count: parameters.bit_count(),
            hash_count: parameters.hash_count(),
            murmur_seed: parameters.murmur_seed(),
            tag,
            description,
        }
    }

    /// Reads metadata. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`ContentError::Json`].
    pub fn parse(content: &[u8]) -> Result<Self, ContentError> {
        serde_json::from_slice(content)
            .map_err(|error| ContentError::Json(ParserMessage::of(&error)))
    }

    /// The metadata as indented JSON with a line end.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it does not panic")]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self)
            .expect("numbers, texts and a rule can be written to memory");
        json.push(b'\n');
        json
    }

    /// Puts metadata and bits together. [`Prefilter::from_raw`](crate::Prefilter::from_raw) also verifies them.
    ///
    /// # Errors
    /// [`ContentError::Bloom`] if the sizes are impossible.
    pub fn with_bits<B>(self, bytes: B) -> Result<Unverified<B>, ContentError> {
        Ok(Unverified {
            format: FileFormat::Raw,
            parameters: Parameters::new(self.bit_count, self.hash_count, self.murmur_seed)?,
            bytes,
            description: self.description,
            byte_count: None,
            tag: Some(self.tag),
        })
    }
}

/// Reads a filter by the path of its metadata; the file of the bits has the same name with `.bin`.
pub(super) fn open_unverified(metadata: &Path) -> Result<Unverified, FileError> {
    let content = bounded_read::read(metadata, MAX_METADATA)?;
    let parsed = Metadata::parse(&content).map_err(FileError::content(metadata))?;
    let bits = open_bits(&metadata.with_extension("bin"))?;
    parsed.with_bits(bits).map_err(FileError::content(metadata))
}

#[cfg(feature = "mmap")]
fn open_bits(path: &Path) -> Result<FilterBytes, FileError> {
    use super::mapped::Mapping;
    let mapping = std::fs::File::open(path).and_then(|file| Mapping::new(&file));
    Ok(match mapping.map_err(FileError::io(path))? {
        Some(mapping) => FilterBytes::mapped(mapping),
        None => FilterBytes::from(Vec::new()),
    })
}

#[cfg(not(feature = "mmap"))]
fn open_bits(path: &Path) -> Result<FilterBytes, FileError> {
    bounded_read::read(path, MAX_BITS).map(FilterBytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Prefilter;
    use crate::file::tag;
    use crate::prefilter::tests::prefilters;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(prefilter in prefilters()) {
            let json = prefilter.metadata().to_json();
            let metadata = Metadata::parse(&json).unwrap();
            let back = Prefilter::from_raw(metadata, prefilter.filter().bytes()).unwrap();
            prop_assert_eq!(back.filter().parameters(), prefilter.filter().parameters());
            prop_assert_eq!(back.description(), prefilter.description());
        }

        #[test]
        fn any_flipped_bit_is_noticed(prefilter in prefilters(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let metadata = prefilter.metadata();
            let mut bits = prefilter.filter().bytes().to_vec();
            let at = at.index(bits.len());
            bits[at] ^= 1 << bit;
            prop_assert!(matches!(
                Prefilter::from_raw(metadata, bits),
                Err(ContentError::Tag | ContentError::Bloom(_))
            ));
        }
    }

    #[test]
    fn metadata_of_a_mebibyte_is_the_longest() {
        let bits = [0x3f, 0x02];
        let json =
            format!(r#"{{"bitCount":10,"hashCount":7,"murmurSeed":1,"tag":"{}"}}"#, tag(&bits));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METADATA_FILE);
        std::fs::write(folder.path().join(BITS_FILE), bits).unwrap();
        for (length, accepted) in
            [(MAX_METADATA - 1, true), (MAX_METADATA, true), (MAX_METADATA + 1, false)]
        {
            let padding = " ".repeat(length as usize - json.len());
            std::fs::write(&path, format!("{json}{padding}")).unwrap();
            match Prefilter::open(&path) {
                Ok(_) => assert!(accepted, "{length}"),
                Err(FileError::Content { source, .. }) => {
                    assert!(!accepted, "{length}");
                    assert_eq!(source, ContentError::TooLarge { max: MAX_METADATA });
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn the_smallest_metadata_is_enough() {
        let bits = [0x3f, 0x02];
        let json =
            format!(r#"{{"bitCount":10,"hashCount":7,"murmurSeed":1,"tag":"{}"}}"#, tag(&bits));
        let parsed = Metadata::parse(json.as_bytes()).unwrap();
        assert!(Prefilter::from_raw(parsed, bits).is_ok());
        assert!(Metadata::parse(json.replace("7", "-7").as_bytes()).is_err());
        let tolerance = json.replace("\"tag\"", "\"falsePositiveTolerance\":1,\"tag\"");
        let parsed = Metadata::parse(tolerance.as_bytes()).unwrap();
        assert!(matches!(Prefilter::from_raw(parsed, bits), Err(ContentError::Tolerance)));
    }
}
