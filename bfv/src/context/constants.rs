//! Constants of decryption, of ciphertext products and of divisions by a modulus, in the notation of
//! `docs/pir.md`.

use crate::arithmetic::modulus::{Factor, Modulus};
use crate::arithmetic::ntt_table::NttTable;
use crate::arithmetic::prime::{inverse_mod, mul_mod};
use crate::arithmetic::word::MachineWord;

/// Constants for ciphertexts of one number of moduli, in the notation of `docs/pir.md`: Q is their
/// product, constants of sums are in Montgomery form.
pub(crate) struct Level<W> {
    /// Q mod t.
    pub(crate) q_mod_t: W,
    /// ⌊Q/t⌋ mod q_i.
    pub(crate) delta: Vec<Factor<W>>,
    pub(crate) decryption: Decryption<W>,
    pub(crate) product: Product<W>,
}

/// v → round(t·v/Q) mod t.
pub(crate) struct Decryption<W> {
    /// γ·t·(Q/q_i)^-1 mod q_i.
    pub(crate) digits: Vec<Factor<W>>,
    /// (Q/q_i)·(-Q^-1) mod γ.
    pub(crate) to_gamma: Vec<W>,
    /// (Q/q_i)·(-Q^-1)·γ^-1 mod t.
    pub(crate) to_plaintext: Vec<W>,
    /// -γ^-1 mod t.
    pub(crate) gamma_correction: W,
    /// 1 mod t.
    pub(crate) gamma_overflow: W,
    /// The first residue of the upper half of γ.
    pub(crate) gamma_half: W,
}

/// Lift to the auxiliary primes, division by Q/t, and the way back (BEHZ, eprint 2016/510).
pub(crate) struct Product<W> {
    /// m̃·(Q/q_i)^-1 mod q_i.
    pub(crate) lift_digits: Vec<Factor<W>>,
    /// (Q/q_i)·(-Q^-1) mod m̃, plain.
    pub(crate) lift_remainder: Vec<W>,
    /// For each auxiliary prime b: (Q/q_i)·m̃^-1 mod b.
    pub(crate) lift: Vec<Vec<W>>,
    /// For each b: Q·m̃^-1 mod b, and -Q mod b.
    pub(crate) lift_correction: Vec<(W, W)>,
    /// m̃ - 1, m̃/2.
    pub(crate) lift_mask: W,
    pub(crate) lift_half: W,
    /// t·R·(Q/q_i)^-1 mod q_i.
    pub(crate) floor_digits: Vec<Factor<W>>,
    /// For each b: t·R·Q^-1 mod b.
    pub(crate) floor_scale: Vec<Factor<W>>,
    /// For each b: (Q/q_i)·Q^-1 mod b.
    pub(crate) floor: Vec<Vec<W>>,
    /// For each b but the last, whose product is B: (B/b)^-1 mod b.
    pub(crate) back_digits: Vec<Factor<W>>,
    /// -(B/b)·B^-1 mod the last b.
    pub(crate) back_alpha: Vec<W>,
    /// -B^-1 mod the last b.
    pub(crate) back_alpha_scale: Factor<W>,
    /// The first α that stands for a negative number.
    pub(crate) back_alpha_half: W,
    /// For each q_i: B/b mod q_i.
    pub(crate) back: Vec<Vec<W>>,
    /// For each q_i: -B mod q_i, and (last b)·B mod q_i.
    pub(crate) back_correction: Vec<(W, W)>,
}

/// Division by a modulus m, with rounding.
pub(crate) struct Division<W> {
    /// ⌊m/2⌋.
    pub(crate) half: W,
    /// For each other modulus q_i: m^-1.
    pub(crate) inverse: Vec<Factor<W>>,
    /// For each other modulus q_i: -⌊m/2⌋ mod q_i.
    pub(crate) minus_half: Vec<W>,
}

/// Residues of products of several moduli modulo one number.
struct Products<'a>(&'a [u64]);

impl Products<'_> {
    /// The product modulo `m`.
    fn all(&self, m: u64) -> u64 {
        self.0.iter().fold(1 % m, |product, &q| mul_mod(product, q % m, m))
    }

    /// The product without the modulus of that index, modulo `m`.
    fn without(&self, index: usize, m: u64) -> u64 {
        let others = self.0.iter().enumerate().filter(|(i, _)| *i != index);
        others.fold(1 % m, |product, (_, &q)| mul_mod(product, q % m, m))
    }
}

/// The inverse of an odd number modulo a power of two of at most 63 bits.
fn inverse_mod_power_of_two(a: u64, bits: u32) -> u64 {
    let inverse = (0..6).fold(a, |x, _| x.wrapping_mul(2_u64.wrapping_sub(a.wrapping_mul(x))));
    inverse & ((1 << bits) - 1)
}

fn negate(a: u64, m: u64) -> u64 {
    if a == 0 { 0 } else { m - a }
}

impl<W: MachineWord> Level<W> {
    pub(super) fn new(
        q: &[u64],
        b: &[u64],
        t: u64,
        basis: &[NttTable<W>],
        auxiliary: &[NttTable<W>],
        plain: &Modulus<W>,
        gamma: &Modulus<W>,
    ) -> Self {
        let big_q = Products(q);
        let q_mod_t = big_q.all(t);
        let modulus = |i: usize| basis[i].modulus();
        let delta = q
            .iter()
            .enumerate()
            // t·⌊Q/t⌋ = Q - (Q mod t), and Q vanishes modulo q_i.
            .map(|(i, &p)| modulus(i).factor_u64(mul_mod(negate(q_mod_t, p), inverse_mod(t, p), p)))
            .collect();
        Self {
            q_mod_t: W::truncate(q_mod_t),
            delta,
            decryption: Decryption::new(q, t, basis, plain, gamma),
            product: Product::new(q, b, t, basis, auxiliary),
        }
    }
}

impl<W: MachineWord> Decryption<W> {
    fn new(
        q: &[u64],
        t: u64,
        basis: &[NttTable<W>],
        plain: &Modulus<W>,
        gamma: &Modulus<W>,
    ) -> Self {
        let big_q = Products(q);
        let g = W::GAMMA;
        let montgomery = |value: u64, m: &Modulus<W>| m.to_montgomery(W::truncate(value));
        let digits = q
            .iter()
            .enumerate()
            .map(|(i, &p)| {
                let scale = mul_mod(g % p, t % p, p);
                let factor = mul_mod(scale, inverse_mod(big_q.without(i, p), p), p);
                basis[i].modulus().factor_u64(factor)
            })
            .collect();
        let minus_inverse = |m: u64| negate(inverse_mod(big_q.all(m), m), m);
        let gamma_inverse = inverse_mod(g % t, t);
        let to = |i: usize, m: u64| mul_mod(big_q.without(i, m), minus_inverse(m), m);
        Self {
            digits,
            to_gamma: (0..q.len()).map(|i| montgomery(to(i, g), gamma)).collect(),
            to_plaintext: (0..q.len())
                .map(|i| montgomery(mul_mod(to(i, t), gamma_inverse, t), plain))
                .collect(),
            gamma_correction: montgomery(negate(gamma_inverse, t), plain),
            gamma_overflow: montgomery(1 % t, plain),
            gamma_half: W::truncate(g / 2 + 1),
        }
    }
}

impl<W: MachineWord> Product<W> {
    fn new(q: &[u64], b: &[u64], t: u64, basis: &[NttTable<W>], auxiliary: &[NttTable<W>]) -> Self {
        let big_q = Products(q);
        let (last, others) = b.split_last().expect("a level has at least two auxiliary primes");
        let big_b = Products(others);
        let lift = 1_u64 << W::LIFT_BITS;
        let mask = lift - 1;
        let at =
            |table: &NttTable<W>, value: u64| table.modulus().to_montgomery(W::truncate(value));
        let r = |m: u64| ((1_u128 << W::BITS) % u128::from(m)) as u64;
        let q_low = q.iter().fold(1_u64, |product, &p| product.wrapping_mul(p)) & mask;
        let minus_q_inverse = inverse_mod_power_of_two(q_low, W::LIFT_BITS).wrapping_neg() & mask;
        let without_low = |index: usize| {
            let others = q.iter().enumerate().filter(|(i, _)| *i != index);
            others.fold(1_u64, |product, (_, &p)| product.wrapping_mul(p)) & mask
        };
        let lift_inverse = |m: u64| inverse_mod(lift % m, m);
        let last_table = &auxiliary[others.len()];
        Self {
            lift_digits: q
                .iter()
                .enumerate()
                .map(|(i, &p)| {
                    let inverse = inverse_mod(big_q.without(i, p), p);
                    basis[i].modulus().factor_u64(mul_mod(lift % p, inverse, p))
                })
                .collect(),
            lift_remainder: (0..q.len())
                .map(|i| W::truncate(without_low(i).wrapping_mul(minus_q_inverse) & mask))
                .collect(),
            lift: b
                .iter()
                .zip(auxiliary)
                .map(|(&p, table)| {
                    (0..q.len())
                        .map(|i| at(table, mul_mod(big_q.without(i, p), lift_inverse(p), p)))
                        .collect()
                })
                .collect(),
            lift_correction: b
                .iter()
                .zip(auxiliary)
                .map(|(&p, table)| {
                    let q = big_q.all(p);
                    (at(table, mul_mod(q, lift_inverse(p), p)), at(table, negate(q, p)))
                })
                .collect(),
            lift_mask: W::truncate(mask),
            lift_half: W::truncate(lift / 2),
            floor_digits: q
                .iter()
                .enumerate()
                .map(|(i, &p)| {
                    let scale = mul_mod(t % p, r(p), p);
                    let inverse = inverse_mod(big_q.without(i, p), p);
                    basis[i].modulus().factor_u64(mul_mod(scale, inverse, p))
                })
                .collect(),
            floor_scale: b
                .iter()
                .zip(auxiliary)
                .map(|(&p, table)| {
                    let scale = mul_mod(t % p, r(p), p);
                    table.modulus().factor_u64(mul_mod(scale, inverse_mod(big_q.all(p), p), p))
                })
                .collect(),
            floor: b
                .iter()
                .zip(auxiliary)
                .map(|(&p, table)| {
                    let inverse = inverse_mod(big_q.all(p), p);
                    (0..q.len())
                        .map(|i| at(table, mul_mod(big_q.without(i, p), inverse, p)))
                        .collect()
                })
                .collect(),
            back_digits: others
                .iter()
                .enumerate()
                .map(|(i, &p)| {
                    auxiliary[i].modulus().factor_u64(inverse_mod(big_b.without(i, p), p))
                })
                .collect(),
            back_alpha: (0..others.len())
                .map(|i| {
                    let inverse = inverse_mod(big_b.all(*last), *last);
                    let value = mul_mod(big_b.without(i, *last), inverse, *last);
                    at(last_table, negate(value, *last))
                })
                .collect(),
            back_alpha_scale: last_table
                .modulus()
                .factor_u64(negate(inverse_mod(big_b.all(*last), *last), *last)),
            back_alpha_half: W::truncate(last / 2 + 1),
            back: q
                .iter()
                .zip(basis)
                .map(|(&p, table)| {
                    (0..others.len()).map(|i| at(table, big_b.without(i, p))).collect()
                })
                .collect(),
            back_correction: q
                .iter()
                .zip(basis)
                .map(|(&p, table)| {
                    let b = big_b.all(p);
                    (at(table, negate(b, p)), at(table, mul_mod(b, last % p, p)))
                })
                .collect(),
        }
    }
}

impl<W: MachineWord> Division<W> {
    /// Division by the modulus of `divisor`, for residues modulo those of `basis`.
    pub(super) fn new(divisor: &NttTable<W>, basis: &[NttTable<W>]) -> Self {
        let m = divisor.modulus().to_u64();
        // The residue modulo the divisor itself is dropped: its inverse, 0 here, is not used.
        let inverse = |p: u64| inverse_mod(m, p);
        let minus_half = |p: u64| negate(m / 2 % p, p);
        Self {
            half: W::truncate(m / 2),
            inverse: basis
                .iter()
                .map(|q| q.modulus().factor_u64(inverse(q.modulus().to_u64())))
                .collect(),
            minus_half: basis
                .iter()
                .map(|q| W::truncate(minus_half(q.modulus().to_u64())))
                .collect(),
        }
    }
}
