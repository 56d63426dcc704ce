//! The lift of a polynomial to the auxiliary primes of a product, row by row.

use super::Kernels;
use super::kernels::{self, Correction};
use crate::arithmetic::buffer::AlignedBuffer;
use crate::arithmetic::modulus::{Factor, Modulus};
use crate::cpu::Backend;

/// The constants of a lift: digit i is x_i·factor_i modulo the source's modulus; the extra number e is
/// Σ_i digit_i·weight_i modulo a power of two; each target is a base conversion of the digits that e corrects.
pub struct Lift<'c, W> {
    /// One for each row.
    pub(crate) sources: Vec<Source<W>>,
    /// The power of two, less 1.
    pub(crate) mask: W,
    /// The first e that stands for a negative number.
    pub(crate) threshold: W,
    /// One for each row of the result.
    pub(crate) targets: Vec<Target<'c, W>>,
}

/// A row that is lifted.
#[derive(Clone, Copy)]
pub(crate) struct Source<W> {
    pub(crate) modulus: Modulus<W>,
    pub(crate) factor: Factor<W>,
    pub(crate) weight: W,
}

/// A row of the result: (Σ_i digit_i·constants_i + e·constant + [e ≥ threshold]·over) / R.
#[derive(Clone, Copy)]
pub(crate) struct Target<'c, W> {
    pub(crate) modulus: Modulus<W>,
    pub(crate) constants: &'c [W],
    pub(crate) constant: W,
    pub(crate) over: W,
}

/// The lift of rows of equal lengths, as many as there are sources, to as many as there are targets, in passes
/// over all of a row.
pub(super) fn lift_rows<W: Kernels>(
    backend: Backend,
    out: &mut [&mut [W]],
    rows: &[&[W]],
    lift: &Lift<'_, W>,
) {
    let length = rows[0].len();
    let mut digits = AlignedBuffer::any(length * rows.len());
    for ((digit, row), source) in digits.chunks_exact_mut(length).zip(rows).zip(&lift.sources) {
        kernels::mul_factor_into(backend, digit, row, source.factor, source.modulus);
    }
    let digits: Vec<&[W]> = digits.chunks_exact(length).collect();
    let weights: Vec<W> = lift.sources.iter().map(|source| source.weight).collect();
    let mut extra = AlignedBuffer::any(length);
    kernels::dot_power_of_two(backend, &mut extra, &digits, &weights, lift.mask);
    for (out, target) in out.iter_mut().zip(&lift.targets) {
        let Target { modulus, constants, constant, over } = *target;
        let correction = Correction { extra: &extra, constant, threshold: lift.threshold, over };
        W::convert_row(backend, out, &digits, constants, &correction, modulus);
    }
}
