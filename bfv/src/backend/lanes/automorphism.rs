//! The automorphism f(X) → f(X^g) of coefficients for g = 2^a + 1, as shifts of blocks.
//!
//! Coefficient i becomes coefficient i·g = i + 2^a·i. Cut a row into blocks of B = 2^a coefficients:
//! i = B·h + l with l < B goes to B·(h + l + B·h) + l. Where B·h is a multiple of 2·N/B, that is where
//! B² is a multiple of 2N, the exponent's block is h + l modulo 2·N/B: every coefficient keeps its
//! place within its block, and the coefficients of place l move down by l blocks, negated each time
//! they pass the end (X^N = -1).
//!
//! So the blocks are rows of a matrix whose column l rotates by l. A strip of L columns is a vector
//! for each row. The part of l that all lanes share moves whole vectors; for each of the log2 L other
//! bits of l, half of the lanes move by a power of two.
//!
//! Bounds: residues are below p, before and after.

use super::{NarrowLanes, load, store};
use crate::arithmetic::modulus::Modulus;

/// Largest number of rows of such a matrix: what registers and the nearest cache hold.
const MAX_ROWS: usize = 32;

/// Vectors of each block that are prefetched ahead.
const AHEAD: usize = 2;

/// N/B, if the automorphism of an element is one of shifts, for vectors of `lanes` residues.
pub(crate) fn rows(element: u32, degree: usize, lanes: usize) -> Option<usize> {
    let block = element as usize - 1;
    let shifts = block.is_power_of_two()
        && block >= lanes
        && (block * block).is_multiple_of(2 * degree)
        && degree.is_multiple_of(block)
        && degree / block <= MAX_ROWS;
    shifts.then(|| degree / block)
}

/// -x mod p, for x below p.
#[inline(always)]
fn negate<V: NarrowLanes>(cpu: V::Cpu, x: V, p: V) -> V {
    let difference = V::zero(cpu).sub(x);
    difference.min(difference.add(p))
}

/// Moves the lanes of `mask` down by `by` rows, a power of two, modulo 2R.
#[inline(always)]
fn shift<V: NarrowLanes, const R: usize>(cpu: V::Cpu, v: &mut [V; R], by: usize, mask: V, p: V) {
    if by > R {
        // A multiple of 2R.
        return;
    }
    if by == R {
        for x in v.iter_mut() {
            *x = V::select(mask, negate(cpu, *x, p), *x);
        }
        return;
    }
    // What passes the end. A strip has at most 16 lanes, so that `by` is at most 8.
    let mut carried = [V::zero(cpu); 8];
    for (carried, &x) in carried.iter_mut().zip(&v[R - by..]) {
        *carried = negate(cpu, x, p);
    }
    for h in (by..R).rev() {
        v[h] = V::select(mask, v[h - by], v[h]);
    }
    for (x, &carried) in v[..by].iter_mut().zip(&carried) {
        *x = V::select(mask, carried, *x);
    }
}

/// The automorphism of a row of `R` blocks, see [`rows`].
///
/// # Panics
/// Unless both rows have the same number of residues, in `R` blocks of whole vectors.
#[inline(always)]
pub(crate) fn permute<V: NarrowLanes, const R: usize>(
    cpu: V::Cpu,
    out: &mut [u32],
    from: &[u32],
    m: Modulus<u32>,
) {
    const { assert!(R <= MAX_ROWS && V::COUNT <= 16) };
    let block = from.len() / R;
    assert!(out.len() == from.len() && block * R == from.len());
    assert!(block.is_multiple_of(V::COUNT));
    let p = V::splat(cpu, m.value());
    for start in (0..block).step_by(V::COUNT) {
        // Not with `array::from_fn`: for many rows that becomes a call of a function without the CPU's features.
        let mut v = [V::zero(cpu); R];
        for (h, x) in v.iter_mut().enumerate() {
            let strip = &from[h * block + start..];
            *x = load(cpu, strip);
            V::prefetch(cpu, strip.as_ptr().wrapping_add(AHEAD * V::COUNT));
        }
        for bit in 0..V::COUNT.trailing_zeros() {
            shift(cpu, &mut v, 1 << bit, V::lanes_with_bit(cpu, bit), p);
        }
        for (h, &x) in v.iter().enumerate() {
            let target = (h + start) % (2 * R);
            let x = if target < R { x } else { negate(cpu, x, p) };
            store(x, &mut out[target % R * block + start..]);
        }
    }
}

/// [`permute`] for any number of rows that [`rows`] gives.
///
/// # Panics
/// As [`permute`], and for another number of rows.
#[inline(always)]
pub(crate) fn permute_rows<V: NarrowLanes>(
    cpu: V::Cpu,
    out: &mut [u32],
    from: &[u32],
    rows: usize,
    m: Modulus<u32>,
) {
    match rows {
        1 => permute::<V, 1>(cpu, out, from, m),
        2 => permute::<V, 2>(cpu, out, from, m),
        4 => permute::<V, 4>(cpu, out, from, m),
        8 => permute::<V, 8>(cpu, out, from, m),
        16 => permute::<V, 16>(cpu, out, from, m),
        32 => permute::<V, 32>(cpu, out, from, m),
        _ => unreachable!("at most 32 rows, a power of two"),
    }
}
