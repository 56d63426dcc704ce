//! The generator behind seeds: NIST SP 800-90A CTR_DRBG with AES-128, without derivation function,
//! personalization or additional input.
//!
//! The consumer sees one string of bytes made of 4096-byte requests to the generator. Both halves,
//! the generator and the size of its requests, must match bit for bit, because the second polynomial
//! of a seeded ciphertext is never sent.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of one request to the generator, as the reference makes them.
const REQUEST: usize = 4096;
const BLOCK: usize = 16;

/// 32 bytes that a polynomial is expanded from, or that secrets are drawn from.
pub type Seed = [u8; 32];

/// The generator, read as one continuous string of bytes. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct CtrDrbg {
    key: [u8; BLOCK],
    counter: u128,
    buffer: Box<[u8; REQUEST]>,
    used: usize,
}

impl CtrDrbg {
    /// Starts the generator from a seed.
    #[must_use]
    pub fn new(seed: &Seed) -> Self {
        let mut drbg =
            Self { key: [0; BLOCK], counter: 0, buffer: Box::new([0; REQUEST]), used: REQUEST };
        drbg.update(seed);
        drbg
    }

    /// AES of the counters after `counter`.
    fn stream(key: &[u8; BLOCK], counter: u128, out: &mut [u8]) {
        let cipher = Aes128::new(&Array(*key));
        let mut counter = counter;
        let mut next = || {
            counter = counter.wrapping_add(1);
            counter.to_be_bytes()
        };
        let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
        blocks.iter_mut().for_each(|block| *block = next());
        // All blocks at once: the cipher works on as many side by side as the processor can.
        cipher.encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        if !rest.is_empty() {
            let mut last = Array(next());
            cipher.encrypt_block(&mut last);
            rest.copy_from_slice(&last[..rest.len()]);
            last.zeroize();
        }
    }

    fn update(&mut self, data: &[u8; 32]) {
        let mut next = [0; 32];
        Self::stream(&self.key, self.counter, &mut next);
        for (x, y) in next.iter_mut().zip(data) {
            *x ^= y;
        }
        self.key.copy_from_slice(&next[..BLOCK]);
        let mut counter = [0; BLOCK];
        counter.copy_from_slice(&next[BLOCK..]);
        self.counter = u128::from_be_bytes(counter);
        next.zeroize();
    }

    /// What follows a request of that many bytes.
    fn advance(&mut self, bytes: usize) {
        self.counter = self.counter.wrapping_add(bytes.div_ceil(BLOCK) as u128);
        self.update(&[0; 32]);
    }

    /// One request to the generator.
    fn generate(&mut self, out: &mut [u8]) {
        Self::stream(&self.key, self.counter, out);
        self.advance(out.len());
    }

    /// Fills `out` with the next bytes of the string.
    pub fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.used == REQUEST && out.len() >= REQUEST {
                // A whole request needs no buffer.
                let (request, rest) = out.split_at_mut(REQUEST);
                self.generate(request);
                out = rest;
                continue;
            }
            if self.used == REQUEST {
                Self::stream(&self.key, self.counter, &mut self.buffer[..]);
                self.advance(REQUEST);
                self.used = 0;
            }
            let count = out.len().min(REQUEST - self.used);
            let (now, rest) = out.split_at_mut(count);
            now.copy_from_slice(&self.buffer[self.used..][..count]);
            self.used += count;
            out = rest;
        }
    }

    /// The next N bytes of the string.
    #[must_use]
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nist_vector_with_its_inner_state() {
        // CAVP, CTR_DRBG, AES-128 no df, no reseed, COUNT = 0.
        let seed = "69a09f6bf5dda15cd4af29e14cf5e0cddd7d07ac39bba587f8bc331104f9c448";
        let mut bytes = [0; 32];
        hex::decode_to_slice(seed, &mut bytes).unwrap();
        let mut drbg = CtrDrbg::new(&bytes);
        assert_eq!(hex::encode(drbg.key), "314263a50fa3913de2d034b6e812a597");
        assert_eq!(hex::encode(drbg.counter.to_be_bytes()), "def5dd62590d06150b94f1a8754b3a30");
        let mut out = [0; 64];
        drbg.generate(&mut out);
        drbg.generate(&mut out);
        assert!(hex::encode(out).starts_with("f78a4919a6ec899f7b6c69381febbbe083315f3d"));
    }

    #[test]
    fn reads_of_any_size_give_one_string() {
        let mut whole = vec![0; 3 * REQUEST];
        CtrDrbg::new(&[7; 32]).fill(&mut whole);
        let mut drbg = CtrDrbg::new(&[7; 32]);
        let mut parts = Vec::new();
        for size in [1, 15, 4096, 0, 5000, 3176] {
            let mut part = vec![0; size];
            drbg.fill(&mut part);
            parts.extend(part);
        }
        assert_eq!(parts, whole);
    }
}
