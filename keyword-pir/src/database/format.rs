//! The native file format, version 1. Numbers are little endian.
//!
//! | bytes | content |
//! | --- | --- |
//! | 8 | `PIRSHARD` |
//! | u32 | version, 1 |
//! | u32 | bytes of the header, this one's padding included: where the data begins |
//! | u32, u32 | bits of a word (32 or 64), slots of a tile |
//! | u64 | bytes of the data |
//! | u64, u64 | polynomial degree, plaintext modulus |
//! | u32, u32 | coefficient moduli L + 1, security level (0 unchecked, 1 quantum-128) |
//! | u32, u32 | kind: 0 keyword, 1 index; hash functions, or whether lengths are stored |
//! | u32, u32 | sharding: 0 SHA-256, 1 double mod; the other shard count |
//! | u64, u64, u64 | entries of a table, bytes of an entry, batch size |
//! | u32, u32 | dimensions, whether a relinearization key is wanted |
//! | u32, u32 | Galois elements, bytes of the symmetric variant's public key |
//! | u64 each | coefficient moduli, then dimensions |
//! | u32 each | Galois elements |
//! | | the public key |
//! | | one bit for each plaintext, set if it is stored; least significant bit first |
//! | | zeros up to a multiple of 4096 |
//! | | data: for each table, chunk, ciphertext modulus and tile, for each stored plaintext in order, the tile's slots as words |
//! | 32 each | SHA-256 of each block of 65,536 bytes of data, the last may be shorter |
//! | 32 | SHA-256 of the header and the digests of the blocks |
//!
//! Plaintexts are ordered by table, chunk, column and row. Slots are those of the centred lift in
//! evaluation form, times 2^(bits of the word) modulo their modulus.

use crate::error::DatabaseError;
use crate::keyword::ShardingFunction;
use crate::parameters::{
    DatabaseKind, MAX_GALOIS_ELEMENTS, ShardDescription, ShardParameters, SymmetricParameters,
};
use crate::threads;
use bfv::{MAX_MODULI, Parameters, Security};
use sha2::{Digest as _, Sha256};

#[cfg(target_endian = "big")]
compile_error!("databases are mapped as little-endian words");

/// SHA-256 of all that a database says: equal digests mean equal files.
pub type Digest = [u8; 32];

/// The first bytes of a file.
pub const MAGIC: &[u8; 8] = b"PIRSHARD";
/// The version that is written.
pub const VERSION: u32 = 1;
/// Bytes of data that share a digest.
pub const BLOCK: usize = 1 << 16;
/// The data starts at a multiple of this many bytes.
const PAGE: usize = 4096;
/// Bytes of a digest.
const DIGEST: usize = 32;
/// Largest number of bytes of the symmetric variant's public key.
const MAX_KEY: usize = 1024;

/// A file whose every byte was checked.
pub(super) struct CheckedFile<'f> {
    pub(super) parameters: ShardParameters,
    pub(super) word_bits: u32,
    pub(super) presence: &'f [u8],
    pub(super) data_start: usize,
    pub(super) digest: Digest,
}

pub(super) fn header(
    parameters: &ShardParameters,
    word_bits: u32,
    tile: usize,
    present: impl ExactSizeIterator<Item = bool>,
) -> Vec<u8> {
    let description = parameters.description();
    let encryption = &description.encryption;
    let mut bits = vec![0_u8; present.len().div_ceil(8)];
    let mut count = 0;
    for (position, present) in present.enumerate() {
        bits[position / 8] |= u8::from(present) << (position % 8);
        count += u64::from(present);
    }
    let words = encryption.degree() as u64 * encryption.ciphertext_modulus_count() as u64;
    let data = count * words * u64::from(word_bits / 8);
    let (kind, variant, sharding, other, key) = match &description.kind {
        DatabaseKind::Keyword { hash_functions, sharding, symmetric } => {
            let (sharding, other) = match *sharding {
                ShardingFunction::Sha256 => (0, 0),
                ShardingFunction::DoubleMod { other_shard_count } => (1, other_shard_count),
            };
            let key = symmetric.as_ref().map_or(&[][..], |s| &s.server_public_key);
            (0, *hash_functions as u32, sharding, other, key)
        }
        DatabaseKind::Index { encodes_entry_size } => {
            (1, u32::from(*encodes_entry_size), 0, 0, &[][..])
        }
    };
    let mut out = MAGIC.to_vec();
    let u32s = |out: &mut Vec<u8>, values: &[u32]| {
        values.iter().for_each(|value| out.extend(value.to_le_bytes()));
    };
    let u64s = |out: &mut Vec<u8>, values: &[u64]| {
        values.iter().for_each(|value| out.extend(value.to_le_bytes()));
    };
    u32s(&mut out, &[VERSION, 0, word_bits, tile as u32]);
    u64s(&mut out, &[data, encryption.degree() as u64, encryption.plaintext_modulus()]);
    let security = u32::from(encryption.security() == Security::Quantum128);
    let moduli = encryption.coefficient_moduli();
    u32s(&mut out, &[moduli.len() as u32, security, kind, variant, sharding, other]);
    u64s(&mut out, &[description.entries, description.entry_size, description.batch_size]);
    let relinearization = u32::from(description.has_relinearization_key);
    let elements = &description.galois_elements;
    let counts = [description.dimensions.len(), elements.len(), key.len()].map(|n| n as u32);
    u32s(&mut out, &[counts[0], relinearization, counts[1], counts[2]]);
    u64s(&mut out, moduli);
    u64s(&mut out, &description.dimensions);
    u32s(&mut out, elements);
    out.extend(key);
    out.extend(bits);
    out.resize(out.len().next_multiple_of(PAGE), 0);
    let length = out.len() as u32;
    out[12..16].copy_from_slice(&length.to_le_bytes());
    out
}

pub(super) fn digest(header: &[u8], blocks: &[u8]) -> Digest {
    Sha256::new().chain_update(header).chain_update(blocks).finalize().into()
}

/// Reads numbers from the start of a header.
struct Fields<'f> {
    rest: &'f [u8],
}

impl<'f> Fields<'f> {
    fn bytes(&mut self, count: usize) -> Result<&'f [u8], DatabaseError> {
        let (now, rest) =
            self.rest.split_at_checked(count).ok_or(DatabaseError::Header("length"))?;
        self.rest = rest;
        Ok(now)
    }

    fn u32(&mut self) -> Result<u32, DatabaseError> {
        let mut word = [0; 4];
        word.copy_from_slice(self.bytes(4)?);
        Ok(u32::from_le_bytes(word))
    }

    fn u64(&mut self) -> Result<u64, DatabaseError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.bytes(8)?);
        Ok(u64::from_le_bytes(word))
    }

    fn u64s(&mut self, count: usize) -> Result<Vec<u64>, DatabaseError> {
        (0..count).map(|_| self.u64()).collect()
    }

    /// A number of at most `max`, so that a list of that length is safe to allocate.
    fn count(&mut self, what: &'static str, max: usize) -> Result<usize, DatabaseError> {
        let count = self.u32()? as usize;
        if count <= max { Ok(count) } else { Err(DatabaseError::Header(what)) }
    }

    fn flag(&mut self, what: &'static str) -> Result<bool, DatabaseError> {
        Ok(self.count(what, 1)? == 1)
    }
}

/// Checks every byte of a file. Of one with the digest `written`, which the caller has just computed, the data is not hashed
/// again.
pub(super) fn check<'f>(
    file: &'f [u8],
    written: Option<&Digest>,
) -> Result<CheckedFile<'f>, DatabaseError> {
    let mut fields = Fields { rest: file };
    if !file.starts_with(MAGIC) {
        return Err(DatabaseError::Magic);
    }
    fields.bytes(MAGIC.len())?;
    let version = fields.u32()?;
    if version != VERSION {
        return Err(DatabaseError::Version(version));
    }
    let data_start = fields.u32()? as usize;
    if data_start > file.len() || !data_start.is_multiple_of(PAGE) || data_start == 0 {
        let (expected, found) = (data_start as u64, file.len() as u64);
        return Err(DatabaseError::Length { what: "header", expected, found });
    }
    let word_bits = fields.u32()?;
    let tile = fields.u32()? as usize;
    let data_length = fields.u64()?;
    let blocks = data_length.div_ceil(BLOCK as u64);
    let expected = (data_start as u64)
        .saturating_add(data_length)
        .saturating_add(blocks.saturating_mul(DIGEST as u64))
        .saturating_add(DIGEST as u64);
    if expected != file.len() as u64 {
        return Err(DatabaseError::Length { what: "file", expected, found: file.len() as u64 });
    }
    let (header, rest) = file.split_at(data_start);
    let (data, rest) = rest.split_at(data_length as usize);
    let (digests, whole) = rest.split_at(rest.len() - DIGEST);
    let digest = digest(header, digests);
    if digest != *whole {
        return Err(DatabaseError::Digest("the header"));
    }
    fields.rest = &header[file.len() - fields.rest.len()..];
    let (parameters, presence) = read_header(&mut fields, word_bits, tile)?;
    let present: u64 = presence.iter().map(|byte| u64::from(byte.count_ones())).sum();
    let encryption = parameters.encryption();
    let words = encryption.degree() as u64 * encryption.ciphertext_modulus_count() as u64;
    let expected = present * words * u64::from(word_bits / 8);
    if expected != data_length {
        return Err(DatabaseError::Length { what: "data", expected, found: data_length });
    }
    let is_sound = |block: usize| {
        let bytes = &data[block * BLOCK..];
        let digest = Sha256::digest(&bytes[..bytes.len().min(BLOCK)]);
        digest[..] == digests[block * DIGEST..][..DIGEST]
    };
    if written != Some(&digest) && !threads::all(digests.len() / DIGEST, is_sound) {
        return Err(DatabaseError::Digest("the data"));
    }
    Ok(CheckedFile { parameters, word_bits, presence, data_start, digest })
}

fn read_header<'f>(
    fields: &mut Fields<'f>,
    word_bits: u32,
    tile: usize,
) -> Result<(ShardParameters, &'f [u8]), DatabaseError> {
    let degree = fields.u64()?;
    let plaintext_modulus = fields.u64()?;
    let moduli = fields.count("number of moduli", MAX_MODULI)?;
    let security = match fields.flag("security level")? {
        true => Security::Quantum128,
        false => Security::Unchecked,
    };
    let is_index = fields.flag("kind")?;
    let variant = fields.u32()?;
    let is_double_mod = fields.flag("sharding function")?;
    let other_shard_count = fields.u32()?;
    let entries = fields.u64()?;
    let entry_size = fields.u64()?;
    let batch_size = fields.u64()?;
    let dimensions = fields.count("number of dimensions", crate::shape::MAX_DIMENSIONS)?;
    let has_relinearization_key = fields.flag("relinearization key")?;
    let elements = fields.count("number of Galois elements", MAX_GALOIS_ELEMENTS)?;
    let key = fields.count("public key", MAX_KEY)?;
    let coefficient_moduli = fields.u64s(moduli)?;
    let dimensions = fields.u64s(dimensions)?;
    let galois_elements = (0..elements).map(|_| fields.u32()).collect::<Result<_, _>>()?;
    let key = fields.bytes(key)?;
    let encryption = Parameters::new(degree, plaintext_modulus, coefficient_moduli, security)
        .map_err(bfv::Error::from)?;
    if encryption.word_bits() != word_bits {
        return Err(DatabaseError::Header("word size"));
    }
    if encryption.degree() % tile.max(1) != 0 || tile != tile_of(encryption.degree()) {
        return Err(DatabaseError::Header("tile"));
    }
    let kind = if is_index {
        DatabaseKind::Index { encodes_entry_size: variant == 1 }
    } else {
        DatabaseKind::Keyword {
            hash_functions: variant as usize,
            sharding: match is_double_mod {
                true => ShardingFunction::DoubleMod { other_shard_count },
                false => ShardingFunction::Sha256,
            },
            symmetric: (!key.is_empty())
                .then(|| SymmetricParameters { server_public_key: key.to_vec() }),
        }
    };
    let parameters = ShardDescription {
        encryption,
        kind,
        entries,
        entry_size,
        dimensions,
        batch_size,
        galois_elements,
        has_relinearization_key,
    }
    .check()?;
    let plaintexts = parameters.plaintexts();
    let presence = fields.bytes(plaintexts.div_ceil(8))?;
    let spare = presence.last().map_or(0, |&last| {
        let used = plaintexts - (presence.len() - 1) * 8;
        if used == 8 { 0 } else { last >> used }
    });
    if spare != 0 || fields.rest.len() >= PAGE || fields.rest.iter().any(|&byte| byte != 0) {
        return Err(DatabaseError::Header("padding"));
    }
    Ok((parameters, presence))
}

/// Slots of a tile for polynomials of `degree`, as the arithmetic has them.
fn tile_of(degree: usize) -> usize {
    degree.min(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header that says nothing but how many Galois elements and bytes of a key follow.
    fn header(elements: usize, key: usize) -> Vec<u8> {
        let mut bytes = vec![0; 16 + 6 * 4 + 3 * 8 + 2 * 4];
        for count in [elements, key] {
            bytes.extend(u32::try_from(count).unwrap().to_le_bytes());
        }
        bytes.resize(bytes.len() + 4 * elements + key, 0);
        bytes
    }

    #[test]
    fn numbers_of_elements_and_lengths_of_keys_are_limited() {
        let refusal = |elements, key| {
            let bytes = header(elements, key);
            match read_header(&mut Fields { rest: &bytes }, 32, 32) {
                Err(DatabaseError::Header(what)) => Some(what),
                // What else is wrong with it is noticed later.
                _ => None,
            }
        };
        for (elements, expected) in [
            (MAX_GALOIS_ELEMENTS - 1, None),
            (MAX_GALOIS_ELEMENTS, None),
            (MAX_GALOIS_ELEMENTS + 1, Some("number of Galois elements")),
        ] {
            assert_eq!(refusal(elements, 0), expected, "{elements}");
        }
        for (key, expected) in
            [(MAX_KEY - 1, None), (MAX_KEY, None), (MAX_KEY + 1, Some("public key"))]
        {
            assert_eq!(refusal(0, key), expected, "{key}");
        }
    }
}
