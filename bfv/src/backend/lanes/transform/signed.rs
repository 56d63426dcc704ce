//! The transform of residues with a sign.
//!
//! Products (Becker, Hwang, Kannwischer, Yang and Yang, "Neon NTT", 2022, section 3). Let w' be -w·2^31/p, rounded, and t be
//! y·w'/2^31, rounded. Then y·w + t·p is p times the fraction that t lacks, at most 1/2, and the error of w', at most
//! |y|·1/2 / 2^31. For |y| < 2^31 that is between -p and p. The low halves of y·w and t·p suffice.
//!
//! The product with 1 is a reduction: it needs no multiplication by w.
//!
//! All numbers are between -8p and 8p, where 8p ≤ 2^31.

use super::butterfly::{Butterflies, InverseButterflies, Scale};
use super::{forward_with, inverse_with};
use crate::arithmetic::modulus::Modulus;
use crate::arithmetic::ntt_table::{NttTable, Products};
use crate::backend::lanes::Lanes;

/// 32-bit residues with a sign, for moduli p below 2^28.
pub(crate) trait SignedLanes: Lanes<u32> {
    /// x·w modulo p, above -p and below p, for 0 ≤ w < p and any x above -2^31, where `quotient` is -w·2^31/p, rounded.
    fn mul_signed(self, value: Self, quotient: Self, p: Self) -> Self;
}

/// A modulus p in all lanes, and the quotient of 1.
#[derive(Clone, Copy)]
struct Bounds<V> {
    p: V,
    one: V,
    quotient_of_one: V,
}

impl<V: SignedLanes> Bounds<V> {
    #[inline(always)]
    fn new(cpu: V::Cpu, modulus: &Modulus<u32>) -> Self {
        let quotient = Products::Signed.inverse_quotient(modulus.factor(1));
        Self {
            p: V::splat(cpu, modulus.value()),
            one: V::splat(cpu, 1),
            quotient_of_one: V::splat(cpu, quotient),
        }
    }

    /// Between -p and p.
    #[inline(always)]
    fn reduce(self, x: V) -> V {
        x.mul_signed(self.one, self.quotient_of_one, self.p)
    }

    /// From between -p and p to below p.
    #[inline(always)]
    fn without_sign(self, x: V) -> V {
        // A negative number is a huge one without its sign, and x + p is smaller.
        x.min(x.add(self.p))
    }
}

/// Forward: x + w·y and x - w·y.
///
/// Bounds: a pass brings the numbers that it does not multiply first between -p and p. Each of its stages, four at most, widens
/// that by p at both ends.
#[derive(Clone, Copy)]
struct Forward<V>(Bounds<V>);

impl<V: SignedLanes> Butterflies<u32, V> for Forward<V> {
    #[inline(always)]
    fn enter(self, x: V) -> V {
        self.0.reduce(x)
    }
    #[inline(always)]
    fn butterfly(self, x: &mut V, y: &mut V, (value, quotient): (V, V), _: usize) {
        let (u, v) = (*x, y.mul_signed(value, quotient, self.0.p));
        *x = u.add(v);
        *y = u.sub(v);
    }
    #[inline(always)]
    fn leave(self, x: V) -> V {
        self.0.without_sign(self.0.reduce(x))
    }
    #[inline(always)]
    fn leave_lazily(self, x: V) -> V {
        self.0.reduce(x).add(self.0.p)
    }
}

/// Inverse: x + y and w·(x - y).
///
/// Bounds: numbers are below 2p when a transform begins, and sums are twice as large after each stage. Stages of even number
/// bring them between -p and p, the last one of each pass among them: so no sum is of numbers above 4p.
#[derive(Clone, Copy)]
struct Inverse<V>(Bounds<V>);

impl<V: SignedLanes> Butterflies<u32, V> for Inverse<V> {
    #[inline(always)]
    fn butterfly(self, x: &mut V, y: &mut V, (value, quotient): (V, V), stage: usize) {
        let (sum, difference) = (x.add(*y), x.sub(*y));
        *x = if stage.is_multiple_of(2) { self.0.reduce(sum) } else { sum };
        *y = difference.mul_signed(value, quotient, self.0.p);
    }
    #[inline(always)]
    fn leave(self, x: V) -> V {
        self.0.without_sign(x)
    }
}

impl<V: SignedLanes> InverseButterflies<u32, V> for Inverse<V> {
    #[inline(always)]
    fn last(self, x: &mut V, y: &mut V, scale: Scale<V>) {
        let Scale { sum: (s, s_quotient), difference: (d, d_quotient) } = scale;
        let (sum, difference) = (x.add(*y), x.sub(*y));
        *x = self.leave(sum.mul_signed(s, s_quotient, self.0.p));
        *y = self.leave(difference.mul_signed(d, d_quotient, self.0.p));
    }
}

/// As [`forward`](super::forward), for vectors of residues with a sign.
///
/// # Panics
/// If the rows have not the table's N residues, or the table was built for vectors of other sizes.
#[inline(always)]
pub(crate) fn forward<V: SignedLanes, const R: usize>(
    cpu: V::Cpu,
    table: &NttTable<u32>,
    from: Option<&[u32]>,
    row: &mut [u32],
    lazy: bool,
) {
    match table.products() {
        Products::Signed => {
            let b = Forward(Bounds::new(cpu, table.modulus()));
            forward_with::<u32, V, R>(cpu, table, from, row, b, lazy);
        }
        Products::Lazy | Products::Centred => {
            super::forward::<u32, V, R>(cpu, table, from, row, lazy)
        }
    }
}

/// As [`inverse`](super::inverse), for vectors of residues with a sign.
///
/// # Panics
/// If the rows have not the table's N residues, or the table was built for vectors of other sizes.
#[inline(always)]
pub(crate) fn inverse<V: SignedLanes, const R: usize>(
    cpu: V::Cpu,
    table: &NttTable<u32>,
    from: Option<&[u32]>,
    row: &mut [u32],
) {
    match table.products() {
        Products::Signed => {
            let b = Inverse(Bounds::new(cpu, table.modulus()));
            inverse_with::<u32, V, R>(cpu, table, from, row, b);
        }
        Products::Lazy | Products::Centred => super::inverse::<u32, V, R>(cpu, table, from, row),
    }
}
