//! Rows of residues as packed bits.
//!
//! A row takes the top bits of each residue, most significant bit first, one residue after another;
//! the last byte of the row is filled with zeros.

use crate::error::Error;
use crate::word::Word;

/// Bytes of a row of `count` numbers of `bits` bits each.
#[must_use]
pub fn packed_length(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Appends numbers of `bits` bits without their `skip` low bits; `skip` is less than `bits`, which
/// is at most 64.
pub(crate) fn pack<W: Word>(out: &mut Vec<u8>, values: &[W], bits: u32, skip: u32) {
    let width = bits - skip;
    out.reserve(packed_length(values.len(), width));
    let mut accumulator = 0_u128;
    let mut held = 0;
    for value in values {
        accumulator = accumulator << width | u128::from(value.to_u64() >> skip);
        held += width;
        if held >= 64 {
            held -= 64;
            out.extend_from_slice(&((accumulator >> held) as u64).to_be_bytes());
        }
    }
    let rest = ((accumulator << (64 - held)) as u64).to_be_bytes();
    out.extend_from_slice(&rest[..held.div_ceil(8) as usize]);
}

/// Reads as many numbers of `bits` bits as `out` holds, `skip` low bits restored as zeros. Bytes
/// that are missing at the end count as zeros; lengths are the caller's to check.
pub(crate) fn unpack<W: Word>(bytes: &[u8], bits: u32, skip: u32, out: &mut [W]) {
    let width = bits - skip;
    let done = if width <= MAX_WINDOW_BITS { unpack_groups(bytes, width, skip, out) } else { 0 };
    let (_, out) = out.split_at_mut(8 * done);
    unpack_stream(&bytes[width as usize * done..], width, skip, out);
}

/// Widest numbers of which each lies within eight bytes, wherever its first bit is in its first byte.
const MAX_WINDOW_BITS: u32 = 57;

/// Reads groups of eight numbers, which fill whole bytes, each number from eight bytes of its own: no
/// number waits for the one before it. Stops where eight bytes for the last number of a group are
/// missing, and returns how many groups it has read.
fn unpack_groups<W: Word>(bytes: &[u8], width: u32, skip: u32, out: &mut [W]) -> usize {
    let mask = u64::MAX >> (64 - width);
    let places = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| {
        let bit = i * width;
        (bit as usize / 8, 64 - width - bit % 8)
    });
    let size = width as usize;
    let mut done = 0;
    for group in out.as_chunks_mut::<8>().0 {
        // The last number starts below byte 50.
        let Some(window) = bytes.get(size * done..).and_then(|rest| rest.first_chunk::<58>())
        else {
            break;
        };
        for (value, (at, shift)) in group.iter_mut().zip(places) {
            let number = window[at..].first_chunk().map_or(0, |word| u64::from_be_bytes(*word));
            *value = W::truncate(((number >> shift) & mask) << skip);
        }
        done += 1;
    }
    done
}

/// Reads numbers one after another.
fn unpack_stream<W: Word>(bytes: &[u8], width: u32, skip: u32, out: &mut [W]) {
    let mask = u64::MAX >> (64 - width);
    let (words, tail) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    let mut words = words.iter().chain([&last]);
    let mut accumulator = 0_u128;
    let mut held = 0;
    for value in out {
        if held < width {
            let next = words.next().map_or(0, |word| u64::from_be_bytes(*word));
            accumulator = accumulator << 64 | u128::from(next);
            held += 64;
        }
        held -= width;
        *value = W::truncate((((accumulator >> held) as u64) & mask) << skip);
    }
}

/// [`unpack`] of residues, each checked against the modulus.
pub(crate) fn unpack_residues<W: Word>(
    bytes: &[u8],
    modulus: u64,
    bits: u32,
    skip: u32,
    out: &mut [W],
) -> Result<(), Error> {
    unpack(bytes, bits, skip, out);
    // Every residue is read: one that is too large does not shorten the work.
    let largest = out.iter().fold(W::ZERO, |largest, &value| largest.max(value));
    if largest.to_u64() < modulus { Ok(()) } else { Err(Error::Residue { modulus }) }
}

/// Payload bytes as numbers of `bits` bits (1 to 62), most significant first; the last is filled up
/// with zeros at its low end. Gives ⌈8·bytes/bits⌉ numbers, or as many as `out` holds.
pub fn bytes_to_coefficients<W: Word>(bytes: &[u8], bits: u32, out: &mut [W]) {
    let count = (8 * bytes.len()).div_ceil(bits as usize).min(out.len());
    let (used, rest) = out.split_at_mut(count);
    unpack(bytes, bits, 0, used);
    rest.fill(W::ZERO);
}

/// Numbers of `bits` bits as payload bytes: the inverse of [`bytes_to_coefficients`], ⌈count·bits/8⌉
/// bytes.
#[must_use]
pub fn coefficients_to_bytes<W: Word>(values: &[W], bits: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(&mut bytes, values, bits, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_packings() {
        let mut out = [0_u32; 16];
        unpack(&[4, 69, 230, 164, 150, 0], 4, 1, &mut out);
        assert_eq!(out, [0, 2, 0, 8, 4, 14, 8, 12, 10, 2, 2, 2, 6, 0, 0, 0]);
        let mut out = [9_u32; 7];
        bytes_to_coefficients(&[3, 24, 95], 4, &mut out);
        assert_eq!(out, [0, 3, 1, 8, 5, 15, 0]);
    }

    proptest! {
        #[test]
        fn round_trip(values: Vec<u64>, bits in 1_u32..=62, skip in 0_u32..62) {
            let skip = skip.min(bits - 1);
            let values: Vec<u64> = values.iter().map(|v| v & (u64::MAX >> (64 - bits))).collect();
            let mut bytes = Vec::new();
            pack(&mut bytes, &values, bits, skip);
            prop_assert_eq!(bytes.len(), packed_length(values.len(), bits - skip));
            let mut back = vec![0; values.len()];
            unpack(&bytes, bits, skip, &mut back);
            let cut: Vec<u64> = values.iter().map(|v| v >> skip << skip).collect();
            prop_assert_eq!(back, cut);
        }

        /// Numbers in groups are those of one stream, also where bytes are missing at the end or follow.
        #[test]
        fn groups_are_read_as_the_stream(bytes: Vec<u8>, count in 0_usize..100, bits in 1_u32..=62) {
            let mut groups = vec![1_u64; count];
            unpack(&bytes, bits, 0, &mut groups);
            let mut stream = vec![2; count];
            unpack_stream(&bytes, bits, 0, &mut stream);
            prop_assert_eq!(groups, stream);
        }

        #[test]
        fn payload_round_trip(payload: Vec<u8>, bits in 2_u32..42) {
            let mut values = vec![0_u64; (8 * payload.len()).div_ceil(bits as usize)];
            bytes_to_coefficients(&payload, bits, &mut values);
            let back = coefficients_to_bytes(&values, bits);
            prop_assert_eq!(&back[..payload.len()], &payload[..]);
        }
    }

    #[test]
    fn residues_are_checked() {
        let mut out = [0_u32; 2];
        assert_eq!(unpack_residues(&[0x0f, 0x0f], 17, 8, 0, &mut out), Ok(()));
        assert_eq!(
            unpack_residues(&[0x0f, 0x11], 17, 8, 0, &mut out),
            Err(Error::Residue { modulus: 17 })
        );
    }
}
