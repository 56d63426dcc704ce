//! The two hashes of the prefilter: FNV-1a 32 and MurmurHash3 x86 32.
//!
//! Both are small states that are copied and continued: a state that has seen `example.com` is finished for that
//! sub-URL, and continued for `example.com/a`. The input is always the UTF-8 bytes of the key, without terminator
//! or length prefix.
//!
//! The crates of the same names do not fit: `fnv` is the 64-bit function and cannot give these values; `murmur3`
//! reads from `impl Read`, is several times slower for keys of this length, and cannot be continued. The tests of
//! this module compare with it.
//!
//! ```
//! use filter_core::hash::{Fnv1a, Murmur3};
//!
//! let host = Fnv1a::new().update(b"example.com");
//! assert_eq!(host.finish(), 1_125_968_678);
//! assert_eq!(host.update(b"/a").finish(), Fnv1a::new().update(b"example.com/a").finish());
//! assert_eq!(Murmur3::hash(b"example.com", 0), 1_769_072_435);
//! ```

const FNV_OFFSET_BASIS: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// FNV-1a, 32 bit: for each byte, first xor, then multiply by 0x01000193 modulo 2^32 (draft-eastlake-fnv).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fnv1a(u32);

impl Fnv1a {
    /// The state before the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self(FNV_OFFSET_BASIS)
    }

    /// The hash of `bytes` in one call.
    #[must_use]
    pub fn hash(bytes: &[u8]) -> u32 {
        Self::new().update(bytes).finish()
    }

    /// The state after these further bytes.
    #[must_use]
    #[inline]
    pub fn update(mut self, bytes: &[u8]) -> Self {
        for &byte in bytes {
            self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(FNV_PRIME);
        }
        self
    }

    /// The hash of all bytes so far.
    #[must_use]
    #[inline]
    pub const fn finish(self) -> u32 {
        self.0
    }

    /// The hashes of several keys at once, whose chains of multiplications overlap as far as the shortest key goes.
    #[inline]
    pub(crate) fn hash_all<const LANES: usize>(keys: [&[u8]; LANES]) -> [u32; LANES] {
        const { assert!(LANES > 0) };
        let common = keys.iter().map(|key| key.len()).min().expect("there is a key");
        let starts = keys.map(|key| &key[..common]);
        let mut states = [Self::new(); LANES];
        for at in 0..common {
            for (state, start) in states.iter_mut().zip(starts) {
                state.0 = (state.0 ^ u32::from(start[at])).wrapping_mul(FNV_PRIME);
            }
        }
        std::array::from_fn(|lane| states[lane].update(&keys[lane][common..]).finish())
    }

    /// Feeds the same bytes to several states at once.
    ///
    /// Each state is a chain of multiplications that wait for each other; those of several states overlap.
    #[inline]
    pub(crate) fn update_all<const LANES: usize>(states: &mut [Self; LANES], bytes: &[u8]) {
        for &byte in bytes {
            for state in states.iter_mut() {
                state.0 = (state.0 ^ u32::from(byte)).wrapping_mul(FNV_PRIME);
            }
        }
    }
}

impl Default for Fnv1a {
    fn default() -> Self {
        Self::new()
    }
}

/// FNV-1, 32 bit: first multiply, then xor.
///
/// The sample of the first 2025 beta used this order. Released devices do not; this function only serves to
/// recognise filters of the beta.
#[must_use]
pub fn fnv1_beta(bytes: &[u8]) -> u32 {
    bytes.iter().fold(FNV_OFFSET_BASIS, |hash, &b| hash.wrapping_mul(FNV_PRIME) ^ u32::from(b))
}

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// MurmurHash3 x86 32 with a seed, over little-endian blocks of four bytes (Austin Appleby's `MurmurHash3.cpp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Murmur3 {
    state: u32,
    /// The bytes of the unfinished block, lowest first; higher bytes are zero.
    tail: u32,
    length: u32,
}

impl Murmur3 {
    /// The state before the first byte.
    #[must_use]
    pub const fn new(seed: u32) -> Self {
        Self { state: seed, tail: 0, length: 0 }
    }

    /// The hash of `bytes` in one call.
    #[must_use]
    #[inline]
    pub fn hash(bytes: &[u8], seed: u32) -> u32 {
        Self::new(seed).update(bytes).finish()
    }

    const fn scramble(block: u32) -> u32 {
        block.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
    }

    #[inline]
    const fn block(state: u32, block: u32) -> u32 {
        (state ^ Self::scramble(block)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    }

    /// The state after these further bytes.
    #[must_use]
    #[inline]
    pub fn update(mut self, bytes: &[u8]) -> Self {
        // The length is hashed modulo 2^32, as in the reference implementation.
        let pending = 8 * (self.length % 4);
        self.length = self.length.wrapping_add(bytes.len() as u32);
        let (blocks, rest) = bytes.as_chunks::<4>();
        if pending == 0 {
            for &block in blocks {
                self.state = Self::block(self.state, u32::from_le_bytes(block));
            }
        } else {
            // Every block of the stream straddles two blocks of the input.
            for &block in blocks {
                let block = u32::from_le_bytes(block);
                self.state = Self::block(self.state, self.tail | block << pending);
                self.tail = block >> (32 - pending);
            }
        }
        let mut pending = pending;
        for &byte in rest {
            self.tail |= u32::from(byte) << pending;
            pending += 8;
            if pending == 32 {
                self.state = Self::block(self.state, self.tail);
                self.tail = 0;
                pending = 0;
            }
        }
        self
    }

    /// The hash of all bytes so far.
    #[must_use]
    #[inline]
    pub const fn finish(self) -> u32 {
        let mut hash = self.state ^ Self::scramble(self.tail) ^ self.length;
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x85eb_ca6b);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xc2b2_ae35);
        hash ^ hash >> 16
    }
}

/// MurmurHash3 of growing prefixes of one text, continued after a beginning that is already hashed.
///
/// The text must have [`PADDING`](Self::PADDING) bytes in front and behind, so that a block, which starts where the
/// beginning ended, is always read in one piece.
pub(crate) struct Murmur3Prefixes<'t> {
    text: &'t [u8],
    /// Where the next block starts.
    at: usize,
    state: u32,
    /// Length of the hash's input minus position in the text.
    offset: u32,
}

impl<'t> Murmur3Prefixes<'t> {
    /// Bytes in front of the start of the text and behind its end.
    pub(crate) const PADDING: usize = 4;

    /// The text begins at `start` of the slice; the bytes in front of it are overwritten.
    pub(crate) fn new(beginning: Murmur3, text: &'t mut [u8], start: usize) -> Self {
        let pending = (beginning.length % 4) as usize;
        text[start - pending..start].copy_from_slice(&beginning.tail.to_le_bytes()[..pending]);
        let offset = beginning.length.wrapping_sub(start as u32);
        Self { text, at: start - pending, state: beginning.state, offset }
    }

    /// The hash of the beginning and the text up to `end`, which must not be smaller than in the call before.
    #[inline]
    pub(crate) fn hash_to(&mut self, end: usize) -> u32 {
        while self.at + 4 <= end {
            self.state = Murmur3::block(self.state, self.block_at(self.at));
            self.at += 4;
        }
        // Keeps as many bytes as lie before the end, none to three.
        let tail = self.block_at(self.at) & ((1u32 << (8 * (end - self.at))) - 1);
        Murmur3 { state: self.state, tail, length: self.offset.wrapping_add(end as u32) }.finish()
    }

    #[inline]
    fn block_at(&self, at: usize) -> u32 {
        self.text[at..].first_chunk().map_or(0, |block| u32::from_le_bytes(*block))
    }
}

/// Both hashes of one key: all that a Bloom filter needs of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "every position is computed from these two")]
pub struct KeyHash {
    /// FNV-1a 32 of the key: the index of probe 0 before the remainder.
    pub fnv1a: u32,
    /// MurmurHash3 x86 32 of the key: the step from one probe to the next.
    pub murmur3: u32,
}

impl KeyHash {
    /// Hashes `key` with the filter's Murmur seed.
    #[must_use]
    #[inline]
    pub fn new(key: &[u8], murmur_seed: u32) -> Self {
        Self { fnv1a: Fnv1a::hash(key), murmur3: Murmur3::hash(key, murmur_seed) }
    }

    /// Position `i` before the remainder: `fnv1a + i * murmur3`, wrapping at 32 bits.
    #[must_use]
    #[inline]
    pub const fn position(self, i: u32) -> u32 {
        self.fnv1a.wrapping_add(i.wrapping_mul(self.murmur3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn murmur3_in_pieces_equals_the_oracle(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..8),
            seed in any::<u32>(),
        ) {
            let whole = pieces.concat();
            let oracle = murmur3::murmur3_32(&mut &whole[..], seed).unwrap();
            let streamed = pieces.iter().fold(Murmur3::new(seed), |state, piece| state.update(piece));
            prop_assert_eq!(streamed.finish(), oracle);
            prop_assert_eq!(Murmur3::hash(&whole, seed), oracle);
        }

        #[test]
        fn murmur3_of_prefixes_equals_one_shot(
            beginning in prop::collection::vec(any::<u8>(), 0..9),
            text in prop::collection::vec(any::<u8>(), 0..30),
            mut ends in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            seed in any::<u32>(),
        ) {
            const PADDING: usize = Murmur3Prefixes::PADDING;
            let mut padded = [[9; PADDING].as_slice(), &text, &[7; PADDING]].concat();
            let mut prefixes = Murmur3Prefixes::new(Murmur3::new(seed).update(&beginning), &mut padded, PADDING);
            ends.sort_by_key(|end| end.index(text.len() + 1));
            for end in ends {
                let end = end.index(text.len() + 1);
                let whole = [beginning.as_slice(), &text[..end]].concat();
                prop_assert_eq!(prefixes.hash_to(PADDING + end), Murmur3::hash(&whole, seed));
            }
        }

        #[test]
        fn fnv_in_pieces_and_in_lanes_equals_one_shot(
            a in prop::collection::vec(any::<u8>(), 0..40),
            b in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let whole = [a.as_slice(), b.as_slice()].concat();
            let one_shot = Fnv1a::hash(&whole);
            prop_assert_eq!(Fnv1a::new().update(&a).update(&b).finish(), one_shot);
            let mut lanes = [Fnv1a::new().update(&a), Fnv1a::new()];
            Fnv1a::update_all(&mut lanes, &b);
            prop_assert_eq!(lanes, [Fnv1a::new().update(&whole), Fnv1a::new().update(&b)]);
            let hashes = [&a, &b, &whole].map(|key| Fnv1a::hash(key));
            prop_assert_eq!(Fnv1a::hash_all([a.as_slice(), &b, &whole]), hashes);
        }
    }

    #[test]
    fn published_fnv1_and_fnv1a_values() {
        // From the test suite of the FNV authors (draft-eastlake-fnv, appendix).
        assert_eq!(Fnv1a::hash(b"foobar"), 0xbf9c_f968);
        assert_eq!(fnv1_beta(b"foobar"), 0x31f0_b262);
    }
}
