//! The lift of a polynomial to the auxiliary primes of a product, with vectors: in one pass, so that digits
//! stay in registers. `backend::lift` has its scalar twin and the formulas.
#![allow(unsafe_code, reason = "loads from rows, whose lengths are checked before the loop")]

use super::narrow::{Reduction, Sums};
use super::{NarrowLanes, store};
use crate::arithmetic::word::MachineWord;
use crate::backend::lift::{Lift, Target};

/// Vectors of the rows that are prefetched ahead.
const AHEAD: usize = 16;

/// Largest number of rows that [`lift_rows`] serves: what registers hold.
pub(crate) const MAX_ROWS: usize = 4;

/// [`lift_rows`] for `D` rows.
///
/// Bounds: digits and constants are below primes of at most 30 bits, so that 4 products, that of the correction
/// and what is added at last stay below 2^63. Sums are folded before they are reduced, where there are so many.
///
/// # Panics
/// If there are not `D` rows and sources, or not as many results as targets, or rows have different lengths.
#[inline(always)]
fn lift<V: NarrowLanes, const D: usize>(
    cpu: V::Cpu,
    out: &mut [&mut [u32]],
    rows: &[&[u32]],
    constants: &Lift<'_, u32>,
) {
    let Lift { sources, mask, threshold, targets } = constants;
    let rows: &[&[u32]; D] = rows.try_into().expect("as many rows as the caller says");
    let length = rows[0].len();
    assert!(length.is_multiple_of(V::COUNT) && rows.iter().all(|row| row.len() == length));
    assert!(out.len() == targets.len() && out.iter().all(|row| row.len() == length));
    assert!(sources.len() == D && targets.iter().all(|t| t.constants.len() == D));
    let at_once = |t: &Target<'_, u32>| t.modulus.reduces_at_once(D + 2, 1 << u32::MODULUS_BITS);
    const { assert!(D <= MAX_ROWS) };
    let [mask, threshold] = [*mask, *threshold].map(|x| V::splat(cpu, x));
    for at in (0..length).step_by(V::COUNT) {
        let zero = V::zero(cpu);
        let mut digits = [(zero, zero); D];
        let mut extra = zero;
        for ((digit, row), source) in digits.iter_mut().zip(rows).zip(sources) {
            V::prefetch(cpu, row.as_ptr().wrapping_add(at + AHEAD * V::COUNT));
            let [p, value, quotient] =
                [source.modulus.value(), source.factor.value, source.factor.quotient]
                    .map(|x| V::splat(cpu, x));
            // SAFETY: `at` + COUNT is at most the length of every row.
            let x = unsafe { V::load(cpu, row.as_ptr().add(at)) }.mul_lazy(value, quotient, p);
            let x = x.min(x.sub(p));
            *digit = (x, x.second());
            // The low half of a product: nothing is taken from it.
            extra = extra.add(x.mul_lazy(V::splat(cpu, source.weight), zero, zero));
        }
        let extra = V::select(mask, extra, zero);
        let extra = (extra, extra.second());
        for (out, target) in out.iter_mut().zip(targets) {
            let reduction = Reduction::<V>::new(cpu, target.modulus, at_once(target));
            let mut sums = Sums::<V>::zero(cpu);
            for (&digit, &c) in digits.iter().zip(target.constants) {
                let c = V::splat(cpu, c);
                sums.add_product(digit, (c, c));
            }
            let constant = V::splat(cpu, target.constant);
            sums.add_product(extra, (constant, constant));
            sums.add_words(V::splat(cpu, target.over).unless_below(extra.0, threshold));
            store(reduction.reduce(sums), &mut out[at..]);
        }
    }
}

/// `lift::lift_rows` for rows of whole vectors.
///
/// # Panics
/// If there are no rows or more than [`MAX_ROWS`], not as many rows as sources, not as many results as
/// targets, or rows have different lengths.
#[inline(always)]
pub(crate) fn lift_rows<V: NarrowLanes>(
    cpu: V::Cpu,
    out: &mut [&mut [u32]],
    rows: &[&[u32]],
    constants: &Lift<'_, u32>,
) {
    match rows.len() {
        1 => lift::<V, 1>(cpu, out, rows, constants),
        2 => lift::<V, 2>(cpu, out, rows, constants),
        3 => lift::<V, 3>(cpu, out, rows, constants),
        MAX_ROWS => lift::<V, MAX_ROWS>(cpu, out, rows, constants),
        _ => unreachable!("the caller counts rows"),
    }
}
