//! Sums of products of 32-bit residues with vectors: what dominates the work of a server.
//!
//! A sum has 64 bits: products of the first lanes (even, or the lower half) in one vector, those of
//! the second ones in another. Bounds: a product of residues below p and below 2^b takes less than p·2^b; after
//! [`Modulus::lazy_products`] of them a sum is folded to below p·2^32, so that 64 bits never
//! overflow. Where all products together stay below p·2^32 ([`Modulus::reduces_at_once`]), nothing
//! is folded.

#![allow(
    unsafe_code,
    reason = "loads from rows and tiles, whose lengths are checked before the loops"
)]

use super::{NarrowLanes, permuted, store};
use crate::arithmetic::modulus::Modulus;
use crate::arithmetic::word::MachineWord;
use crate::backend::kernels::{Correction, Image, TILE};

/// Sums of products of the first lanes and of the second ones, wide.
#[derive(Clone, Copy)]
pub(super) struct Sums<V> {
    first: V,
    second: V,
}

/// A modulus p and its constants, in all lanes.
#[derive(Clone, Copy)]
pub(super) struct Reduction<V> {
    p: V,
    /// p^-1 mod 2^32.
    inverse: V,
    /// 2^32 mod p.
    r: V,
    /// Whether sums are below p·2^32, so that they need no folding.
    at_once: bool,
}

impl<V: NarrowLanes> Reduction<V> {
    #[inline(always)]
    pub(super) fn new(cpu: V::Cpu, m: Modulus<u32>, at_once: bool) -> Self {
        let (inverse, r) = m.reduction_constants();
        Self {
            p: V::splat(cpu, m.value()),
            inverse: V::splat(cpu, inverse),
            r: V::splat(cpu, r),
            at_once,
        }
    }

    /// As [`Modulus::fold`], of one half of the lanes: from any 64 bits to below p·2^32.
    #[inline(always)]
    fn fold(&self, x: V) -> V {
        x.wide_high().mul_wide(self.r).add_wide(x.wide_low())
    }

    /// As [`Modulus::montgomery_reduce_if`]: below p.
    #[inline(always)]
    pub(super) fn reduce(&self, sums: Sums<V>) -> V {
        let Sums { mut first, mut second } = sums;
        if !self.at_once {
            (first, second) = (self.fold(first), self.fold(second));
        }
        // Only the low half of the first product counts, and the second product reads only that.
        let t_first = first.mul_wide(self.inverse).mul_wide(self.p);
        let t_second = second.mul_wide(self.inverse).mul_wide(self.p);
        // Both halves are below p, so the difference needs p added at most once.
        let difference = V::high_halves(first, second).sub(V::high_halves(t_first, t_second));
        difference.min(difference.add(self.p))
    }
}

impl<V: NarrowLanes> Sums<V> {
    #[inline(always)]
    pub(super) fn zero(cpu: V::Cpu) -> Self {
        Self { first: V::zero(cpu), second: V::zero(cpu) }
    }

    /// Adds x·y. Each factor is a vector and its second lanes, see [`both_at`], since the second lanes of
    /// one factor serve several products.
    #[inline(always)]
    pub(super) fn add_product(&mut self, x: (V, V), y: (V, V)) {
        self.first = self.first.add_wide(x.0.mul_first(y.0));
        self.second = self.second.add_wide(x.1.mul_first(y.1));
    }

    /// Adds the words of a vector.
    #[inline(always)]
    pub(super) fn add_words(&mut self, x: V) {
        self.first = self.first.add_wide(x.widen_first());
        self.second = self.second.add_wide(x.widen_second());
    }

    #[inline(always)]
    fn folded(self, reduction: &Reduction<V>) -> Self {
        Self { first: reduction.fold(self.first), second: reduction.fold(self.second) }
    }
}

/// Sums of the products of two vectors with both polynomials of something. They are passed by value:
/// a loop whose sums have addresses would store them each time.
type FourSums<V> = [Sums<V>; 4];

/// Adds the products of the two vectors at a place of `x` with those at a place of `y`, and with those at a place
/// of `z`.
///
/// # Safety
/// Each slice has 2·`COUNT` words or more from its place on.
#[inline(always)]
unsafe fn add_pairs<V: NarrowLanes>(
    cpu: V::Cpu,
    [mut a0, mut a1, mut b0, mut b1]: FourSums<V>,
    (x, at): (&[u32], usize),
    [(y, y_at), (z, z_at)]: [(&[u32], usize); 2],
) -> FourSums<V> {
    // SAFETY: the caller knows that the slices reach so far.
    unsafe {
        let v = both_at::<V>(cpu, x, at);
        a0.add_product(v, both_at(cpu, y, y_at));
        a1.add_product(v, both_at(cpu, z, z_at));
        let v = both_at::<V>(cpu, x, at + V::COUNT);
        b0.add_product(v, both_at(cpu, y, y_at + V::COUNT));
        b1.add_product(v, both_at(cpu, z, z_at + V::COUNT));
    }
    [a0, a1, b0, b1]
}

/// Reduces four sums and stores them.
#[inline(always)]
fn store_pairs<V: NarrowLanes>(
    reduction: &Reduction<V>,
    [a0, a1, b0, b1]: FourSums<V>,
    [o0, o1]: [&mut [u32]; 2],
) {
    store(reduction.reduce(a0), o0);
    store(reduction.reduce(a1), o1);
    store(reduction.reduce(b0), &mut o0[V::COUNT..]);
    store(reduction.reduce(b1), &mut o1[V::COUNT..]);
}

/// The vector at a place of a slice whose length was checked, and its second lanes.
///
/// # Safety
/// The slice has `at` + `COUNT` words or more.
#[inline(always)]
unsafe fn both_at<V: NarrowLanes>(cpu: V::Cpu, from: &[u32], at: usize) -> (V, V) {
    debug_assert!(at + V::COUNT <= from.len());
    // SAFETY: the caller knows that the slice reaches so far.
    let x = unsafe { V::load(cpu, from.as_ptr().add(at)) };
    (x, x.second())
}

/// Tiles of the matrix that are prefetched ahead: it comes from memory, once.
const MATRIX_AHEAD: usize = 64;

/// Tiles of a key that are prefetched ahead, across pages, where a processor's own prefetching ends: it comes
/// from the third cache.
const KEY_AHEAD: usize = 80;

/// Vectors of operands of a product that are prefetched ahead: there are more rows than streams that a
/// processor follows.
const PRODUCT_AHEAD: usize = 8;

/// Asks for the two vectors at a place behind the start of a slice, which need not have them.
#[inline(always)]
fn prefetch_pair<V: NarrowLanes>(cpu: V::Cpu, from: &[u32], at: usize) {
    V::prefetch(cpu, from.as_ptr().wrapping_add(at));
    // Otherwise both are in one cache line.
    if V::COUNT == 16 {
        V::prefetch(cpu, from.as_ptr().wrapping_add(at + V::COUNT));
    }
}

/// `kernels::matrix_products` with vectors.
///
/// While the first column is summed, the next tile of each ciphertext is prefetched: there are more of them
/// than streams that a processor follows, and the other columns read the same tiles again.
///
/// # Panics
/// If a row of `items` or `out` is shorter than the matrix has tiles, a column has a row without an item or no
/// rows of `out`, or the matrix has other tiles than all columns have.
#[inline(always)]
pub(crate) fn matrix_products<V: NarrowLanes>(
    cpu: V::Cpu,
    out: &mut [[&mut [u32]; 2]],
    items: &[[&[u32]; 2]],
    matrix: &[u32],
    columns: &[Vec<u32>],
    m: Modulus<u32>,
) {
    const { assert!(TILE.is_multiple_of(2 * V::COUNT)) };
    let limit = m.lazy_products(m.bits());
    let present: usize = columns.iter().map(Vec::len).sum();
    let mut words = matrix.as_chunks::<TILE>().0;
    let tiles = words.len() / present.max(1);
    assert!(out.len() == columns.len() && words.len() == tiles * present);
    assert!(items.iter().flatten().all(|item| item.len() >= tiles * TILE));
    for at in (0..tiles).map(|tile| tile * TILE) {
        for (index, (column, [o0, o1])) in columns.iter().zip(out.iter_mut()).enumerate() {
            let (column_words, rest) = words.split_at(column.len());
            words = rest;
            let reduction =
                Reduction::<V>::new(cpu, m, m.reduces_at_once(column.len(), m.to_u64()));
            // Two vectors at a time: with both polynomials that is eight sums, which any register file
            // holds.
            for start in (0..TILE).step_by(2 * V::COUNT) {
                let mut sums = [Sums::<V>::zero(cpu); 4];
                let (mut rows, mut words) = (&column[..], column_words);
                while !rows.is_empty() {
                    let count = limit.min(rows.len());
                    for (&row, plaintext) in rows[..count].iter().zip(&words[..count]) {
                        prefetch_pair::<V>(cpu, plaintext, start + MATRIX_AHEAD * TILE);
                        let pair = items[row as usize];
                        if index == 0 {
                            for item in pair {
                                prefetch_pair::<V>(cpu, item, at + start + TILE);
                            }
                        }
                        // SAFETY: start is a multiple of two vectors below TILE, which is one; the items
                        // have all tiles of the matrix.
                        sums = unsafe {
                            add_pairs(cpu, sums, (plaintext, start), pair.map(|x| (x, at + start)))
                        };
                    }
                    (rows, words) = (&rows[count..], &words[count..]);
                    if !rows.is_empty() {
                        sums = sums.map(|sum| sum.folded(&reduction));
                    }
                }
                store_pairs(&reduction, sums, [&mut o0[at + start..], &mut o1[at + start..]]);
            }
        }
    }
}

/// `kernels::switch_row` with vectors.
///
/// # Panics
/// If a digit is shorter than the rows.
#[inline(always)]
pub(crate) fn switch_row<V: NarrowLanes>(
    cpu: V::Cpu,
    out: [&mut [u32]; 2],
    (digits, below): (&[&[u32]], u32),
    key: &[u32],
    count: usize,
    m: Modulus<u32>,
) {
    const { assert!(TILE.is_multiple_of(2 * V::COUNT)) };
    let [out0, out1] = out;
    assert!(digits.iter().all(|digit| digit.len() >= out0.len()));
    // Digits come from a transform, maybe a lazy one: they are below 2^MODULUS_BITS.
    let limit = m.lazy_products(u32::MODULUS_BITS);
    let reduction = Reduction::<V>::new(cpu, m, m.reduces_at_once(digits.len(), below.into()));
    let tiles = out0.as_chunks_mut::<TILE>().0.iter_mut().zip(out1.as_chunks_mut::<TILE>().0);
    let keys = key.as_chunks::<{ 2 * TILE }>().0.chunks_exact(count);
    for (tile, ((o0, o1), keys)) in tiles.zip(keys).enumerate() {
        // Two vectors at a time, as in the matrix.
        for start in (0..TILE).step_by(2 * V::COUNT) {
            let mut sums = [Sums::<V>::zero(cpu); 4];
            let (mut digits, mut keys) = (digits, keys);
            while !digits.is_empty() && !keys.is_empty() {
                let count = limit.min(digits.len()).min(keys.len());
                for (digit, key) in digits[..count].iter().zip(&keys[..count]) {
                    for polynomial in key.as_chunks::<TILE>().0 {
                        prefetch_pair::<V>(cpu, polynomial, start + KEY_AHEAD * TILE);
                    }
                    // SAFETY: start is a multiple of two vectors below TILE, which is one; the digit
                    // has all tiles of the rows.
                    sums = unsafe {
                        let pair = [(&key[..], start), (&key[..], TILE + start)];
                        add_pairs(cpu, sums, (digit, tile * TILE + start), pair)
                    };
                }
                (digits, keys) = (&digits[count..], &keys[count..]);
                if !digits.is_empty() {
                    sums = sums.map(|sum| sum.folded(&reduction));
                }
            }
            store_pairs(&reduction, sums, [&mut o0[start..], &mut o1[start..]]);
        }
    }
}

/// Vectors of the rows of [`split_row`] that are prefetched ahead.
const SPLIT_AHEAD: usize = 16;

/// `kernels::split_row` with vectors, for rows of whole vectors.
///
/// # Panics
/// If rows have different lengths, or are not whole vectors.
#[inline(always)]
pub(crate) fn split_row<V: NarrowLanes>(
    cpu: V::Cpu,
    out: [&mut [u32]; 2],
    image: Image<'_, u32>,
    a: &[u32],
    w: &[u32],
    m: Modulus<u32>,
) {
    let Image { sum, rounded, bound, inverse, added, keep } = image;
    let [plus, minus] = out;
    let length = a.len();
    assert!(length.is_multiple_of(V::COUNT) && sum.len() == length && rounded.len() == length);
    assert!(plus.len() == length && minus.len() == length && w.len() == length);
    assert!(added.is_none_or(|(from, index)| from.len() == length && index.len() == length));
    let reduction = Reduction::<V>::new(cpu, m, true);
    let p = reduction.p;
    let bound = V::splat(cpu, bound);
    let (factor, quotient) = (V::splat(cpu, inverse.value), V::splat(cpu, inverse.quotient));
    let less_p = |x: V| x.min(x.sub(p));
    for at in (0..length).step_by(V::COUNT) {
        for row in [&*sum, rounded, a, w, &*plus, &*minus] {
            V::prefetch(cpu, row.as_ptr().wrapping_add(at + SPLIT_AHEAD * V::COUNT));
        }
        // SAFETY: `at` + COUNT is at most the length of all rows.
        unsafe {
            let x = V::load(cpu, sum.as_ptr().add(at));
            let y = V::load(cpu, rounded.as_ptr().add(at));
            let mut b = less_p(bound.sub(y).add(x).mul_lazy(factor, quotient, p));
            if let Some((from, index)) = added {
                b = less_p(b.add(permuted::<u32, V>(cpu, from, &index[at..at + V::COUNT])));
            }
            if keep {
                b.store(sum.as_mut_ptr().add(at));
            }
            let (a, w) = (V::load(cpu, a.as_ptr().add(at)), both_at::<V>(cpu, w, at));
            let difference = a.sub(b);
            let difference = difference.min(difference.add(p));
            let mut product = Sums::zero(cpu);
            product.add_product((difference, difference.second()), w);
            less_p(a.add(b)).store(plus.as_mut_ptr().add(at));
            reduction.reduce(product).store(minus.as_mut_ptr().add(at));
        }
    }
}

/// `kernels::convert_row` with vectors, for rows of whole vectors.
///
/// # Panics
/// If a row is shorter than that of the results.
#[inline(always)]
pub(crate) fn convert_row<V: NarrowLanes>(
    cpu: V::Cpu,
    out: &mut [u32],
    ys: &[&[u32]],
    constants: &[u32],
    correction: &Correction<'_, u32>,
    m: Modulus<u32>,
) {
    assert!(ys.iter().all(|y| y.len() >= out.len()) && correction.extra.len() >= out.len());
    // One product less, and two more to reduce at once, for the correction that is added at the end.
    let limit = m.lazy_products(u32::MODULUS_BITS) - 1;
    let at_once = m.reduces_at_once(ys.len() + 2, 1 << u32::MODULUS_BITS);
    let reduction = Reduction::<V>::new(cpu, m, at_once);
    let constant = V::splat(cpu, correction.constant);
    let threshold = V::splat(cpu, correction.threshold);
    let over = V::splat(cpu, correction.over);
    for (vector, out) in out.chunks_exact_mut(V::COUNT).enumerate() {
        let at = vector * V::COUNT;
        let mut sums = Sums::<V>::zero(cpu);
        let mut left = limit;
        for (y, &c) in ys.iter().zip(constants) {
            let c = V::splat(cpu, c);
            // SAFETY: `at` + COUNT is at most the length of `out`, and each row is as long.
            sums.add_product(unsafe { both_at(cpu, y, at) }, (c, c));
            left -= 1;
            if left == 0 {
                sums = sums.folded(&reduction);
                left = limit;
            }
        }
        if !at_once {
            sums = sums.folded(&reduction);
        }
        // SAFETY: as above.
        let e = unsafe { both_at::<V>(cpu, correction.extra, at) };
        sums.add_product(e, (constant, constant));
        sums.add_words(over.unless_below(e.0, threshold));
        store(reduction.reduce(sums), out);
    }
}

/// `kernels::product_row` with vectors, for rows of whole vectors.
///
/// # Panics
/// If a row is shorter than those of the results, or the results are not whole vectors.
#[inline(always)]
pub(crate) fn product_row<V: NarrowLanes>(
    cpu: V::Cpu,
    out: [&mut [u32]; 3],
    a: &[[&[u32]; 2]],
    b: &[[&[u32]; 2]],
    m: Modulus<u32>,
) {
    // The middle sum gets two products at a time.
    let limit = (m.lazy_products(m.bits()) / 2).max(1);
    let [out0, out1, out2] = out;
    let reduction = Reduction::<V>::new(cpu, m, m.reduces_at_once(2 * a.len(), m.to_u64()));
    let rows = a.iter().chain(b).flatten();
    assert!(rows.into_iter().all(|row| row.len() >= out0.len()));
    assert!(out0.len().is_multiple_of(V::COUNT));
    for at in (0..out0.len()).step_by(V::COUNT) {
        let [mut sum0, mut sum1, mut sum2] = [Sums::<V>::zero(cpu); 3];
        let mut left = limit;
        for ([a0, a1], [b0, b1]) in a.iter().zip(b) {
            for row in [a0, a1, b0, b1] {
                V::prefetch(cpu, row.as_ptr().wrapping_add(at + PRODUCT_AHEAD * V::COUNT));
            }
            // SAFETY: `at` + COUNT is at most the length of `out0`, and each row is as long.
            let (a0, a1, b0, b1) = unsafe {
                (
                    both_at::<V>(cpu, a0, at),
                    both_at(cpu, a1, at),
                    both_at(cpu, b0, at),
                    both_at(cpu, b1, at),
                )
            };
            sum0.add_product(a0, b0);
            sum1.add_product(a0, b1);
            sum1.add_product(a1, b0);
            sum2.add_product(a1, b1);
            left -= 1;
            if left == 0 {
                [sum0, sum1, sum2] = [sum0, sum1, sum2].map(|sum| sum.folded(&reduction));
                left = limit;
            }
        }
        store(reduction.reduce(sum0), &mut out0[at..]);
        store(reduction.reduce(sum1), &mut out1[at..]);
        store(reduction.reduce(sum2), &mut out2[at..]);
    }
}
