//! Random polynomials: uniform ones from seeds, and the secret ones.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::arithmetic::modulus::Modulus;
use crate::backend::kernels;
use crate::error::Error;
use crate::random::drbg::{CtrDrbg, Seed};
use crate::rings::ntt::NttTable;
use crate::rings::poly::{Coefficient, Evaluation, Poly};
use crate::word::Word;
use zeroize::Zeroizing;

/// Bits on each side of the centred binomial distribution of errors: ⌈2·3.2²⌉, which gives values
/// from -21 to 21 with a standard deviation of √(21/2) = 3.24.
pub const BINOMIAL_BITS: u32 = 21;

/// Where fresh seeds come from. Implement it over a cryptographic generator only: secret keys and
/// errors are drawn from these seeds.
pub trait RandomSource {
    /// 32 unpredictable bytes.
    ///
    /// # Errors
    /// [`Error::Randomness`] if the source fails.
    fn seed(&mut self) -> Result<Zeroizing<Seed>, Error>;
}

/// The operating system's random source.
#[cfg(feature = "os-random")]
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a name without fields")]
pub struct OsRandom;

#[cfg(feature = "os-random")]
impl RandomSource for OsRandom {
    fn seed(&mut self) -> Result<Zeroizing<Seed>, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut seed[..]).map_err(|_| Error::Randomness)?;
        Ok(seed)
    }
}

/// Expands a public seed to a uniform polynomial of N = `degree` coefficients with one row for each
/// table of `basis`, always in evaluation form: 16 bytes for each residue, little endian, reduced,
/// one modulus after another.
#[must_use]
pub fn expand_seed<W: Word>(
    seed: &Seed,
    degree: usize,
    basis: &[NttTable<W>],
) -> Poly<W, Evaluation> {
    let mut poly = Poly::any(degree, basis.len());
    expand_parts(seed, degree, basis, false, |row, start, part| {
        poly.row_mut(row)[start..][..part.len()].copy_from_slice(part);
    });
    poly
}

/// Residues whose numbers are one request to the generator.
const PART: usize = 256;

/// As [`expand_seed`], in Montgomery form if `montgomery`, part by part: `take` gets the index of the
/// row, that of the part's first residue, and the part, which has a power of two of residues.
pub(crate) fn expand_parts<W: Word>(
    seed: &Seed,
    degree: usize,
    basis: &[NttTable<W>],
    montgomery: bool,
    mut take: impl FnMut(usize, usize, &[W]),
) {
    let mut drbg = CtrDrbg::new(seed);
    let part = degree.min(PART);
    let mut words = AlignedBuffer::<W>::any(part * (128 / W::BITS as usize));
    let mut residues = AlignedBuffer::<W>::any(part);
    for (row, table) in basis.iter().enumerate() {
        let modulus = *table.modulus();
        let weights = modulus.word_weights(montgomery);
        for start in (0..degree).step_by(part) {
            drbg.fill(bytemuck::cast_slice_mut(&mut words));
            words.iter_mut().for_each(|word| *word = word.of_little_endian());
            kernels::reduce_numbers(table.backend(), &mut residues, &words, &weights, modulus);
            take(row, start, &residues);
        }
    }
}

/// The residue of a small signed number, without a branch.
#[inline]
fn residue<W: Word>(value: i32, modulus: &Modulus<W>) -> W {
    // The mask is all ones for negative numbers.
    let negative = (i64::from(value) >> 63) as u64;
    W::truncate((i64::from(value) as u64).wrapping_add(negative & modulus.to_u64()))
}

fn fill_rows<W: Word>(values: &[i32], basis: &[&Modulus<W>]) -> Poly<W, Coefficient> {
    let mut poly = Poly::zero(values.len(), basis.len());
    for (row, modulus) in poly.rows_mut().zip(basis) {
        for (out, &value) in row.iter_mut().zip(values) {
            *out = residue(value, modulus);
        }
    }
    poly
}

/// Coefficients uniform in {-1, 0, 1}: 12 bytes each, modulo 3.
pub(crate) fn ternary<W: Word>(
    drbg: &mut CtrDrbg,
    degree: usize,
    basis: &[&Modulus<W>],
) -> Poly<W, Coefficient> {
    let mut values = Zeroizing::new(vec![0; degree]);
    for value in values.iter_mut() {
        let high = Zeroizing::new(u64::from_le_bytes(drbg.bytes()));
        let low = u32::from_le_bytes(drbg.bytes());
        // 2^32 is 1 modulo 3, so the sum of digits has the remainder; division by a constant.
        let sum = (*high >> 32) + (*high & 0xffff_ffff) + u64::from(low);
        *value = (sum % 3) as i32 - 1;
    }
    fill_rows(&values, basis)
}

/// Coefficients from the centred binomial distribution of [`BINOMIAL_BITS`]: 16 bytes each.
pub(crate) fn binomial<W: Word>(
    drbg: &mut CtrDrbg,
    degree: usize,
    basis: &[&Modulus<W>],
) -> Poly<W, Coefficient> {
    let mask = (1_u64 << BINOMIAL_BITS) - 1;
    let mut values = Zeroizing::new(vec![0; degree]);
    let mut bytes = Zeroizing::new([0; 4096]);
    for part in values.chunks_mut(bytes.len() / 16) {
        let bytes = &mut bytes[..16 * part.len()];
        drbg.fill(bytes);
        for (value, pair) in part.iter_mut().zip(bytes.as_chunks::<16>().0) {
            let pair = u128::from_le_bytes(*pair);
            let plus = (pair as u64 & mask).count_ones() as i32;
            let minus = ((pair >> 64) as u64 & mask).count_ones() as i32;
            *value = plus - minus;
        }
    }
    fill_rows(&values, basis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Backend;

    type Draw = fn(&mut CtrDrbg, usize, &[&Modulus<u32>]) -> Poly<u32, Coefficient>;

    const SEED: &str = "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff";

    fn seed(text: &str) -> Seed {
        let mut seed = [0; 32];
        hex::decode_to_slice(text, &mut seed).unwrap();
        seed
    }

    fn published(draw: Draw, moduli: [u64; 2], expected: [[u32; 8]; 3]) {
        let moduli = moduli.map(|p| Modulus::<u32>::new(p).unwrap());
        let moduli = [&moduli[0], &moduli[1]];
        let mut drbg = CtrDrbg::new(&seed(SEED));
        for index in 0..2003 {
            let poly = draw(&mut drbg, 4, &moduli);
            let found: Vec<u32> = poly.rows().flatten().copied().collect();
            match index {
                0 => assert_eq!(found, expected[0]),
                1001 => assert_eq!(found, expected[1]),
                2002 => assert_eq!(found, expected[2]),
                _ => {}
            }
        }
    }

    #[test]
    fn published_ternary_polynomials() {
        published(
            ternary,
            [11, 13],
            [[0, 10, 10, 1, 0, 12, 12, 1], [1, 10, 1, 0, 1, 12, 1, 0], [1, 0, 0, 1, 1, 0, 0, 1]],
        );
    }

    #[test]
    fn published_binomial_polynomials() {
        published(
            binomial,
            [23, 29],
            [
                [22, 0, 0, 22, 28, 0, 0, 28],
                [2, 4, 22, 1, 2, 4, 28, 1],
                [3, 0, 22, 20, 3, 0, 28, 26],
            ],
        );
    }

    /// χ² against the exact distribution; the limit is passed by chance once in 10^9 seeds, and
    /// these seeds are fixed.
    fn fits(counts: &[u64], weights: &[f64], limit: f64) {
        let total: u64 = counts.iter().sum();
        let sum: f64 = weights.iter().sum();
        let chi: f64 = counts
            .iter()
            .zip(weights)
            .map(|(&count, weight)| {
                let expected = total as f64 * weight / sum;
                (count as f64 - expected).powi(2) / expected
            })
            .sum();
        assert!(chi < limit, "χ² = {chi} for {counts:?}");
    }

    #[test]
    fn samplers_have_their_distributions() {
        let modulus = Modulus::<u32>::new(97).unwrap();
        let mut drbg = CtrDrbg::new(&[3; 32]);
        let mut counts = [0; 3];
        for &value in ternary(&mut drbg, 1 << 17, &[&modulus]).row(0) {
            counts[((value + 1) % 97) as usize] += 1;
        }
        fits(&counts, &[1.0; 3], 42.0);

        // Values beyond ±12 are rarer than 1 in 5,000; they share the outer bins.
        let mut counts = [0; 25];
        let mut squares = 0;
        for &value in binomial(&mut drbg, 1 << 18, &[&modulus]).row(0) {
            let value = if value > 48 { value as i64 - 97 } else { value as i64 };
            assert!(value.abs() <= i64::from(BINOMIAL_BITS));
            squares += value * value;
            counts[(value.clamp(-12, 12) + 12) as usize] += 1;
        }
        let binomial_weight =
            |k: i32| (0..k).fold(1.0, |c, i| c * f64::from(42 - i) / f64::from(i + 1));
        let mut weights = [0.0; 25];
        for value in -21_i32..=21 {
            weights[(value.clamp(-12, 12) + 12) as usize] += binomial_weight(value + 21);
        }
        fits(&counts, &weights, 94.0);
        let variance = squares as f64 / f64::from(1 << 18);
        assert!((variance - 10.5).abs() < 0.2, "{variance}");

        let table = NttTable::<u32>::new(1 << 12, 40_961, Backend::portable()).unwrap();
        let uniform = expand_seed(&[5; 32], 1 << 12, &[table]);
        let mut counts = [0; 16];
        for &value in uniform.row(0) {
            counts[(u64::from(value) * 16 / 40_961) as usize] += 1;
        }
        fits(&counts, &[1.0; 16], 74.0);
    }

    #[cfg(feature = "os-random")]
    #[test]
    fn two_seeds_of_the_system_differ() {
        let mut random = OsRandom;
        assert_ne!(*random.seed().unwrap(), *random.seed().unwrap());
    }
}
