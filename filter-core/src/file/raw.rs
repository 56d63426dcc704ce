//! Raw bits with JSON metadata beside them.
//!
//! A control-provider extension is killed at a few megabytes of memory. It can hand this file of
//! bits over by its path, without parsing anything.

use super::{ContentError, Description, FileError, FilterBytes, Prefilter, Unverified};
use crate::bloom::Parameters;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::Path;

/// Name of the metadata in a folder that a build was written to.
pub const METADATA_FILE: &str = "bloom.json";

/// Name of the bits in a folder that a build was written to.
pub const BITS_FILE: &str = "bloom.bin";

/// Metadata is small; anything larger is something else.
const MAX_METADATA: u64 = 1 << 20;

/// The metadata of a filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Number of bits.
    pub bit_count: u32,
    /// Number of hashes.
    pub hash_count: u32,
    /// Seed of MurmurHash3.
    pub murmur_seed: u32,
    /// Lower-case hexadecimal SHA-256 of the bits.
    pub tag: String,
    /// The rest.
    #[serde(flatten)]
    pub description: Description,
}

impl Metadata {
    /// The metadata of a filter.
    #[must_use]
    pub fn of<B: AsRef<[u8]>>(prefilter: &Prefilter<B>) -> Self {
        let parameters = prefilter.filter.parameters();
        Self {
            bit_count: parameters.bit_count(),
            hash_count: parameters.hash_count(),
            murmur_seed: parameters.murmur_seed(),
            tag: prefilter.tag(),
            description: prefilter.description.clone(),
        }
    }

    /// Reads metadata.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn parse(content: &[u8]) -> Result<Self, ContentError> {
        Ok(serde_json::from_slice(content)?)
    }

    /// Puts metadata and bits together, after checking one against the other.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn with_bits<B: AsRef<[u8]>>(self, bits: B) -> Result<Prefilter<B>, ContentError> {
        self.unverified(bits)?.verify()
    }

    fn unverified<B>(self, bytes: B) -> Result<Unverified<B>, ContentError> {
        Ok(Unverified {
            parameters: Parameters::new(self.bit_count, self.hash_count, self.murmur_seed)?,
            bytes,
            description: self.description,
            byte_count: None,
            tag: Some(self.tag),
        })
    }

    /// The metadata as indented JSON with a line end.
    ///
    /// # Errors
    /// [`ContentError::Json`], which no value of this type gives.
    pub fn to_json(&self) -> Result<Vec<u8>, ContentError> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

/// Opens a filter by its metadata; the bits lie beside it under the same name with `.bin`.
pub(super) fn open_unverified(metadata: &Path) -> Result<Unverified, FileError> {
    let size = fs::metadata(metadata).map_err(FileError::io(metadata))?.len();
    if size > MAX_METADATA {
        return Err(FileError::content(metadata)(ContentError::TooLarge(size)));
    }
    let content = fs::read(metadata).map_err(FileError::io(metadata))?;
    let parsed = Metadata::parse(&content).map_err(FileError::content(metadata))?;
    let path = metadata.with_extension("bin");
    let bits =
        File::open(&path).and_then(|file| FilterBytes::map(&file)).map_err(FileError::io(&path))?;
    parsed.unverified(bits).map_err(FileError::content(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tag;
    use crate::file::tests::prefilters;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(prefilter in prefilters()) {
            let json = Metadata::of(&prefilter).to_json().unwrap();
            let back = Metadata::parse(&json).unwrap().with_bits(prefilter.filter.bytes()).unwrap();
            prop_assert_eq!(back.filter.parameters(), prefilter.filter.parameters());
            prop_assert_eq!(back.description, prefilter.description);
        }

        #[test]
        fn any_flipped_bit_is_noticed(prefilter in prefilters(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let metadata = Metadata::of(&prefilter);
            let mut bits = prefilter.filter.bytes().to_vec();
            let at = at.index(bits.len());
            bits[at] ^= 1 << bit;
            prop_assert!(matches!(
                metadata.with_bits(bits),
                Err(ContentError::Tag | ContentError::Bloom(_))
            ));
        }
    }

    #[test]
    fn the_smallest_metadata_is_enough() {
        let bits = [0x3f, 0x02];
        let json =
            format!(r#"{{"bitCount":10,"hashCount":7,"murmurSeed":1,"tag":"{}"}}"#, tag(&bits));
        assert!(Metadata::parse(json.as_bytes()).unwrap().with_bits(bits).is_ok());
        assert!(Metadata::parse(json.replace("7", "-7").as_bytes()).is_err());
        let tolerance = json.replace("\"tag\"", "\"falsePositiveTolerance\":1,\"tag\"");
        let parsed = Metadata::parse(tolerance.as_bytes()).unwrap();
        assert!(matches!(parsed.with_bits(bits), Err(ContentError::Tolerance)));
    }
}
