//! Sums of products of 32-bit residues with vectors: what dominates the work of a server.
//!
//! A sum has 64 bits: products of the first lanes (even, or the lower half) in one vector, those of
//! the second ones in another. Bounds: a product of residues below p and below 2^b takes less than p·2^b; after
//! [`Modulus::lazy_products`] of them a sum is folded to below p·2^32, so that 64 bits never
//! overflow. Where all products together stay below p·2^32 ([`Modulus::reduces_at_once`]), nothing
//! is folded.

use super::{NarrowLanes, load, store};
use crate::arithmetic::modulus::Modulus;
use crate::arithmetic::word::MachineWord;
use crate::backend::kernels::{Correction, TILE};

/// Sums of products of the first lanes and of the second ones, wide.
#[derive(Clone, Copy)]
struct Sums<V> {
    first: V,
    second: V,
}

/// A modulus p and its constants, in all lanes.
#[derive(Clone, Copy)]
struct Reduction<V> {
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
    fn new(cpu: V::Cpu, m: Modulus<u32>, at_once: bool) -> Self {
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
    fn reduce(&self, sums: Sums<V>) -> V {
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
    fn zero(cpu: V::Cpu) -> Self {
        Self { first: V::zero(cpu), second: V::zero(cpu) }
    }

    /// Adds x·y. Each factor is a vector and its second lanes, see [`both`], since the second lanes of
    /// one factor serve several products.
    #[inline(always)]
    fn add_product(&mut self, x: (V, V), y: (V, V)) {
        self.first = self.first.add_wide(x.0.mul_first(y.0));
        self.second = self.second.add_wide(x.1.mul_first(y.1));
    }

    #[inline(always)]
    fn fold(&mut self, reduction: &Reduction<V>) {
        self.first = reduction.fold(self.first);
        self.second = reduction.fold(self.second);
    }
}

/// The vector at the start of a slice, and its second lanes.
#[inline(always)]
fn both<V: NarrowLanes>(cpu: V::Cpu, from: &[u32]) -> (V, V) {
    let x: V = load(cpu, from);
    (x, x.second())
}

/// Tiles of the matrix that are prefetched ahead: it comes from memory, once.
const AHEAD: usize = 16;

/// `kernels::matrix_tile` with vectors.
#[inline(always)]
pub(crate) fn matrix_tile<V: NarrowLanes>(
    cpu: V::Cpu,
    out: &mut [u32],
    items: &[u32],
    matrix: &[u32],
    columns: &[Vec<u32>],
    m: Modulus<u32>,
) {
    let limit = m.lazy_products(m.bits());
    let mut words = matrix;
    for (column, out) in columns.iter().zip(out.chunks_exact_mut(2 * TILE)) {
        let (column_words, rest) = words.split_at(column.len() * TILE);
        words = rest;
        let (out0, out1) = out.split_at_mut(TILE);
        let reduction = Reduction::<V>::new(cpu, m, m.reduces_at_once(column.len(), m.to_u64()));
        // Two vectors at a time: with both polynomials that is eight sums, which any register file
        // holds.
        for start in (0..TILE).step_by(2 * V::COUNT) {
            let mut sums = [[Sums::<V>::zero(cpu); 2]; 2];
            let mut left = limit;
            for (&row, plaintext) in column.iter().zip(column_words.chunks_exact(TILE)) {
                V::prefetch(cpu, plaintext.as_ptr().wrapping_add(AHEAD * TILE + start));
                let item = &items[row as usize * 2 * TILE..][..2 * TILE];
                for (part, sums) in sums.iter_mut().enumerate() {
                    let at = start + part * V::COUNT;
                    let x = both::<V>(cpu, &plaintext[at..]);
                    sums[0].add_product(x, both(cpu, &item[at..]));
                    sums[1].add_product(x, both(cpu, &item[TILE + at..]));
                }
                left -= 1;
                if left == 0 {
                    sums.iter_mut().flatten().for_each(|sum| sum.fold(&reduction));
                    left = limit;
                }
            }
            for (part, sums) in sums.iter().enumerate() {
                let at = start + part * V::COUNT;
                store(reduction.reduce(sums[0]), &mut out0[at..]);
                store(reduction.reduce(sums[1]), &mut out1[at..]);
            }
        }
    }
}

/// `kernels::switch_row` with vectors.
#[inline(always)]
pub(crate) fn switch_row<V: NarrowLanes>(
    cpu: V::Cpu,
    out: [&mut [u32]; 2],
    digits: &[&[u32]],
    key: &[u32],
    count: usize,
    m: Modulus<u32>,
) {
    let [out0, out1] = out;
    // Digits come from a transform modulo p, so they are below p and 2^MODULUS_BITS.
    let limit = m.lazy_products(u32::MODULUS_BITS);
    let tiles = out0.chunks_exact_mut(TILE).zip(out1.chunks_exact_mut(TILE));
    let reduction = Reduction::<V>::new(cpu, m, m.reduces_at_once(digits.len(), m.to_u64()));
    for (tile, ((o0, o1), keys)) in tiles.zip(key.chunks_exact(2 * TILE * count)).enumerate() {
        for start in (0..TILE).step_by(V::COUNT) {
            let mut sums = [Sums::<V>::zero(cpu); 2];
            let mut left = limit;
            for (digit, key) in digits.iter().zip(keys.chunks_exact(2 * TILE)) {
                let x = both::<V>(cpu, &digit[tile * TILE + start..]);
                sums[0].add_product(x, both(cpu, &key[start..]));
                sums[1].add_product(x, both(cpu, &key[TILE + start..]));
                left -= 1;
                if left == 0 {
                    sums.iter_mut().for_each(|sum| sum.fold(&reduction));
                    left = limit;
                }
            }
            store(reduction.reduce(sums[0]), &mut o0[start..]);
            store(reduction.reduce(sums[1]), &mut o1[start..]);
        }
    }
}

/// `kernels::convert_row` with vectors, for rows of whole vectors.
#[inline(always)]
pub(crate) fn convert_row<V: NarrowLanes>(
    cpu: V::Cpu,
    out: &mut [u32],
    ys: &[&[u32]],
    constants: &[u32],
    correction: &Correction<'_, u32>,
    m: Modulus<u32>,
) {
    // One product less, and two more to reduce at once, for the correction that is added at the end.
    let limit = m.lazy_products(u32::MODULUS_BITS) - 1;
    let at_once = m.reduces_at_once(ys.len() + 2, 1 << u32::MODULUS_BITS);
    let reduction = Reduction::<V>::new(cpu, m, at_once);
    let constant = V::splat(cpu, correction.constant);
    let threshold = V::splat(cpu, correction.threshold);
    let over = V::splat(cpu, correction.over);
    let vectors = out.chunks_exact_mut(V::COUNT).zip(correction.extra.chunks_exact(V::COUNT));
    for (vector, (out, extra)) in vectors.enumerate() {
        let mut sums = Sums::<V>::zero(cpu);
        let mut left = limit;
        for (y, &c) in ys.iter().zip(constants) {
            let c = V::splat(cpu, c);
            sums.add_product(both(cpu, &y[vector * V::COUNT..]), (c, c));
            left -= 1;
            if left == 0 {
                sums.fold(&reduction);
                left = limit;
            }
        }
        if !at_once {
            sums.fold(&reduction);
        }
        let e = both::<V>(cpu, extra);
        sums.add_product(e, (constant, constant));
        let over = over.unless_below(e.0, threshold);
        sums.first = sums.first.add_wide(over.widen_first());
        sums.second = sums.second.add_wide(over.widen_second());
        store(reduction.reduce(sums), out);
    }
}

/// `kernels::product_row` with vectors, for rows of whole vectors.
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
    for at in (0..out0.len()).step_by(V::COUNT) {
        let mut sums = [Sums::<V>::zero(cpu); 3];
        let mut left = limit;
        for ([a0, a1], [b0, b1]) in a.iter().zip(b) {
            let (a0, a1) = (both::<V>(cpu, &a0[at..]), both::<V>(cpu, &a1[at..]));
            let (b0, b1) = (both::<V>(cpu, &b0[at..]), both::<V>(cpu, &b1[at..]));
            sums[0].add_product(a0, b0);
            sums[1].add_product(a0, b1);
            sums[1].add_product(a1, b0);
            sums[2].add_product(a1, b1);
            left -= 1;
            if left == 0 {
                sums.iter_mut().for_each(|sum| sum.fold(&reduction));
                left = limit;
            }
        }
        store(reduction.reduce(sums[0]), &mut out0[at..]);
        store(reduction.reduce(sums[1]), &mut out1[at..]);
        store(reduction.reduce(sums[2]), &mut out2[at..]);
    }
}
