//! The transform over vectors of residues, for any register type.
//!
//! With L residues a vector, a transform of N points is done in passes over memory. *Outer* passes
//! hold R vectors at equal distance and do log2 R stages on them; roots are the same for a whole
//! vector. The *tail* holds L vectors of L adjacent residues: log2 L stages between vectors, a
//! transposition, log2 L stages with one root per lane, and the transposition back. For N = 4096 and
//! L = 16 that is one outer pass of 16 vectors and the tail: the data is read twice.
//!
//! Bounds: forward, both inputs of a butterfly are below 4p, the first is brought below 2p, the
//! product with a root is below 2p, so outputs are below 4p again, which is at most R for p < R/4.
//! Inverse, everything is below 2p between stages.
//!
//! Where p is so small that 64p fits a word, products may be a little larger, below 4p, and nothing
//! is reduced between forward stages.

use super::Correction;
use super::kernels::TILE;
use crate::modulus::Modulus;
use crate::ntt::{NttTable, VectorRoots};
use crate::word::Word;

/// A vector of residues.
///
/// # Safety
/// Implementors may use CPU features: every method may be called only where the CPU has those of
/// the back end that the type belongs to. All callers are the generic functions below, which are
/// inlined into entry points that carry the features.
pub(crate) unsafe trait Lanes<W: Word>: Copy {
    /// L, residues a vector.
    const COUNT: usize;
    /// Most vectors of an outer pass, what fits the registers.
    const RADIX: usize;

    /// All lanes the same.
    unsafe fn splat(value: W) -> Self;
    /// Reads `COUNT` words.
    unsafe fn load(from: *const W) -> Self;
    /// Writes `COUNT` words.
    unsafe fn store(self, to: *mut W);
    /// Lane-wise wrapping sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane-wise wrapping difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Lane-wise unsigned minimum.
    unsafe fn min(self, other: Self) -> Self;
    /// Products are below `SLACK`·p.
    const SLACK: u32 = 2;
    /// x·w below `SLACK`·p for any x, with Shoup's quotient of w.
    unsafe fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self;
    /// What a forward butterfly does to its first input, to keep it below 4p.
    #[inline(always)]
    unsafe fn before_forward(self, slack_p: Self) -> Self {
        unsafe { self.min(self.sub(slack_p)) }
    }
    /// The results of a forward transform, below p.
    #[inline(always)]
    unsafe fn after_forward(self, p: Self) -> Self {
        unsafe {
            let x = self.min(self.sub(p.add(p)));
            x.min(x.sub(p))
        }
    }
    /// The results of an inverse transform, below p.
    #[inline(always)]
    unsafe fn after_inverse(self, p: Self) -> Self {
        unsafe { self.min(self.sub(p)) }
    }
    /// Lane i becomes lane `index[i]` mod L; `index` points at L numbers.
    unsafe fn permute(self, index: *const u32) -> Self;
    /// Transposes the L × L matrix whose rows start at `rows`.
    unsafe fn transpose(rows: *mut Self);
}

/// 32-bit residues, whose products are sums of 64 bits: those of even lanes apart from those of odd
/// ones.
///
/// # Safety
/// As for [`Lanes`].
pub(crate) unsafe trait NarrowLanes: Lanes<u32> {
    /// Asks for the cache line at an address, which need not be valid.
    unsafe fn prefetch(from: *const u32);
    /// Zeros.
    unsafe fn zero() -> Self;
    /// Odd lanes in the place of even ones.
    unsafe fn odd(self) -> Self;
    /// The low halves of 64-bit lanes, zero-extended.
    unsafe fn low_halves(self) -> Self;
    /// Products of even lanes, 64 bits each.
    unsafe fn mul_even(self, other: Self) -> Self;
    /// Sums of 64-bit lanes.
    unsafe fn add_wide(self, other: Self) -> Self;
    /// The high halves of 64-bit lanes, in even and odd places.
    unsafe fn high_halves(even: Self, odd: Self) -> Self;
    /// Lanes of `self` where the value has reached the threshold, else 0.
    unsafe fn unless_below(self, value: Self, threshold: Self) -> Self;
}

/// Defines functions that carry CPU features around the generic ones over 32-bit residues.
macro_rules! narrow_entry_points {
    ($vector:ty, $features:literal) => {
        #[target_feature(enable = $features)]
        pub(crate) fn matrix_tile(
            out: &mut [u32],
            items: &[u32],
            matrix: &[u32],
            columns: &[Vec<u32>],
            m: $crate::modulus::Modulus<u32>,
        ) {
            // SAFETY: this function has the features; the callee checks lengths.
            unsafe {
                $crate::backend::lanes::matrix_tile::<$vector>(out, items, matrix, columns, m)
            }
        }

        #[target_feature(enable = $features)]
        pub(crate) fn switch_row(
            out: [&mut [u32]; 2],
            digits: &[&[u32]],
            key: &[u32],
            count: usize,
            m: $crate::modulus::Modulus<u32>,
        ) {
            // SAFETY: as above.
            unsafe { $crate::backend::lanes::switch_row::<$vector>(out, digits, key, count, m) }
        }

        #[target_feature(enable = $features)]
        pub(crate) fn convert_row(
            out: &mut [u32],
            ys: &[&[u32]],
            constants: &[u32],
            correction: &$crate::backend::Correction<'_, u32>,
            m: $crate::modulus::Modulus<u32>,
        ) {
            // SAFETY: as above.
            unsafe {
                $crate::backend::lanes::convert_row::<$vector>(out, ys, constants, correction, m);
            }
        }

        #[target_feature(enable = $features)]
        pub(crate) fn product_row(
            out: [&mut [u32]; 3],
            a: &[[&[u32]; 2]],
            b: &[[&[u32]; 2]],
            m: $crate::modulus::Modulus<u32>,
        ) {
            // SAFETY: as above.
            unsafe { $crate::backend::lanes::product_row::<$vector>(out, a, b, m) }
        }
    };
}
pub(crate) use narrow_entry_points;

/// Sums of products of the even lanes and of the odd ones.
#[derive(Clone, Copy)]
struct Sums<V> {
    even: V,
    odd: V,
}

/// A modulus and its constants, splat.
#[derive(Clone, Copy)]
struct Reduction<V> {
    p: V,
    inverse: V,
    r: V,
    at_once: bool,
}

impl<V: NarrowLanes> Reduction<V> {
    /// `at_once` if sums are below p·R.
    #[inline(always)]
    unsafe fn new(m: Modulus<u32>, at_once: bool) -> Self {
        let (inverse, r) = m.reduction_constants();
        unsafe {
            Self { p: V::splat(m.value()), inverse: V::splat(inverse), r: V::splat(r), at_once }
        }
    }

    /// As [`Modulus::fold`], of one half of the lanes.
    #[inline(always)]
    unsafe fn fold(&self, x: V) -> V {
        unsafe { x.odd().mul_even(self.r).add_wide(x.low_halves()) }
    }

    /// As [`Modulus::montgomery_reduce_if`].
    #[inline(always)]
    unsafe fn reduce(&self, sums: Sums<V>) -> V {
        unsafe {
            let Sums { mut even, mut odd } = sums;
            if !self.at_once {
                (even, odd) = (self.fold(even), self.fold(odd));
            }
            // Only the low half of the first product counts, and the second reads only that.
            let t_even = even.mul_even(self.inverse).mul_even(self.p);
            let t_odd = odd.mul_even(self.inverse).mul_even(self.p);
            let difference = V::high_halves(even, odd).sub(V::high_halves(t_even, t_odd));
            difference.min(difference.add(self.p))
        }
    }
}

impl<V: NarrowLanes> Sums<V> {
    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self { even: V::zero(), odd: V::zero() } }
    }

    /// Adds x·y; the odd lanes come apart, since they serve several products.
    #[inline(always)]
    unsafe fn add_product(&mut self, x: (V, V), y: (V, V)) {
        unsafe {
            self.even = self.even.add_wide(x.0.mul_even(y.0));
            self.odd = self.odd.add_wide(x.1.mul_even(y.1));
        }
    }

    #[inline(always)]
    unsafe fn fold(&mut self, reduction: &Reduction<V>) {
        unsafe {
            self.even = reduction.fold(self.even);
            self.odd = reduction.fold(self.odd);
        }
    }
}

/// A vector at the start of a slice, and its odd lanes.
#[inline(always)]
unsafe fn both<V: NarrowLanes>(from: &[u32]) -> (V, V) {
    assert!(from.len() >= V::COUNT);
    unsafe {
        let x = V::load(from.as_ptr());
        (x, x.odd())
    }
}

#[inline(always)]
unsafe fn put<V: NarrowLanes>(to: &mut [u32], value: V) {
    assert!(to.len() >= V::COUNT);
    unsafe { value.store(to.as_mut_ptr()) }
}

/// Tiles of the matrix that are asked for ahead: it comes from memory, once.
const AHEAD: usize = 16;

/// [`super::kernels::matrix_tile`] with vectors.
///
/// # Safety
/// The CPU has the features of `V`.
#[inline(always)]
pub(crate) unsafe fn matrix_tile<V: NarrowLanes>(
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
        unsafe {
            let reduction = Reduction::<V>::new(m, m.reduces_at_once(column.len(), m.to_u64()));
            // Two vectors at a time: with both polynomials that is eight sums, which any register
            // file holds.
            for start in (0..TILE).step_by(2 * V::COUNT) {
                let mut sums = [[Sums::<V>::zero(); 2]; 2];
                let mut left = limit;
                for (&row, plaintext) in column.iter().zip(column_words.chunks_exact(TILE)) {
                    V::prefetch(plaintext.as_ptr().wrapping_add(AHEAD * TILE + start));
                    let item = &items[row as usize * 2 * TILE..][..2 * TILE];
                    for (part, sums) in sums.iter_mut().enumerate() {
                        let at = start + part * V::COUNT;
                        let x = both::<V>(&plaintext[at..]);
                        sums[0].add_product(x, both(&item[at..]));
                        sums[1].add_product(x, both(&item[TILE + at..]));
                    }
                    left -= 1;
                    if left == 0 {
                        sums.iter_mut().flatten().for_each(|sum| sum.fold(&reduction));
                        left = limit;
                    }
                }
                for (part, sums) in sums.iter().enumerate() {
                    let at = start + part * V::COUNT;
                    put(&mut out0[at..], reduction.reduce(sums[0]));
                    put(&mut out1[at..], reduction.reduce(sums[1]));
                }
            }
        }
    }
}

/// [`super::kernels::switch_row`] with vectors.
///
/// # Safety
/// The CPU has the features of `V`.
#[inline(always)]
pub(crate) unsafe fn switch_row<V: NarrowLanes>(
    out: [&mut [u32]; 2],
    digits: &[&[u32]],
    key: &[u32],
    count: usize,
    m: Modulus<u32>,
) {
    let [out0, out1] = out;
    let limit = m.lazy_products(u32::MODULUS_BITS);
    let tiles = out0.chunks_exact_mut(TILE).zip(out1.chunks_exact_mut(TILE));
    unsafe {
        let reduction = Reduction::<V>::new(m, m.reduces_at_once(digits.len(), m.to_u64()));
        for (tile, ((o0, o1), keys)) in tiles.zip(key.chunks_exact(2 * TILE * count)).enumerate() {
            for start in (0..TILE).step_by(V::COUNT) {
                let mut sums = [Sums::<V>::zero(); 2];
                let mut left = limit;
                for (digit, key) in digits.iter().zip(keys.chunks_exact(2 * TILE)) {
                    let x = both::<V>(&digit[tile * TILE + start..]);
                    sums[0].add_product(x, both(&key[start..]));
                    sums[1].add_product(x, both(&key[TILE + start..]));
                    left -= 1;
                    if left == 0 {
                        sums.iter_mut().for_each(|sum| sum.fold(&reduction));
                        left = limit;
                    }
                }
                put(&mut o0[start..], reduction.reduce(sums[0]));
                put(&mut o1[start..], reduction.reduce(sums[1]));
            }
        }
    }
}

/// [`super::kernels::convert_row`] with vectors, for rows of whole vectors.
///
/// # Safety
/// The CPU has the features of `V`.
#[inline(always)]
pub(crate) unsafe fn convert_row<V: NarrowLanes>(
    out: &mut [u32],
    ys: &[&[u32]],
    constants: &[u32],
    correction: &Correction<'_, u32>,
    m: Modulus<u32>,
) {
    let limit = m.lazy_products(u32::MODULUS_BITS) - 1;
    let at_once = m.reduces_at_once(ys.len() + 2, 1 << u32::MODULUS_BITS);
    unsafe {
        let reduction = Reduction::<V>::new(m, at_once);
        let (constant, threshold, over) = (
            V::splat(correction.constant),
            V::splat(correction.threshold),
            V::splat(correction.over),
        );
        let vectors = out.chunks_exact_mut(V::COUNT).zip(correction.extra.chunks_exact(V::COUNT));
        for (vector, (out, extra)) in vectors.enumerate() {
            let mut sums = Sums::<V>::zero();
            let mut left = limit;
            for (y, &c) in ys.iter().zip(constants) {
                let c = V::splat(c);
                sums.add_product(both(&y[vector * V::COUNT..]), (c, c));
                left -= 1;
                if left == 0 {
                    sums.fold(&reduction);
                    left = limit;
                }
            }
            if !at_once {
                sums.fold(&reduction);
            }
            let e = both::<V>(extra);
            sums.add_product(e, (constant, constant));
            let over = over.unless_below(e.0, threshold);
            sums.even = sums.even.add_wide(over.low_halves());
            sums.odd = sums.odd.add_wide(over.odd());
            put(out, reduction.reduce(sums));
        }
    }
}

/// [`super::kernels::product_row`] with vectors, for rows of whole vectors.
///
/// # Safety
/// The CPU has the features of `V`.
#[inline(always)]
pub(crate) unsafe fn product_row<V: NarrowLanes>(
    out: [&mut [u32]; 3],
    a: &[[&[u32]; 2]],
    b: &[[&[u32]; 2]],
    m: Modulus<u32>,
) {
    let limit = (m.lazy_products(m.bits()) / 2).max(1);
    let [out0, out1, out2] = out;
    unsafe {
        let reduction = Reduction::<V>::new(m, m.reduces_at_once(2 * a.len(), m.to_u64()));
        for at in (0..out0.len()).step_by(V::COUNT) {
            let mut sums = [Sums::<V>::zero(); 3];
            let mut left = limit;
            for ([a0, a1], [b0, b1]) in a.iter().zip(b) {
                let (a0, a1) = (both::<V>(&a0[at..]), both::<V>(&a1[at..]));
                let (b0, b1) = (both::<V>(&b0[at..]), both::<V>(&b1[at..]));
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
            put(&mut out0[at..], reduction.reduce(sums[0]));
            put(&mut out1[at..], reduction.reduce(sums[1]));
            put(&mut out2[at..], reduction.reduce(sums[2]));
        }
    }
}

/// The modulus, splat.
#[derive(Clone, Copy)]
struct Bounds<V> {
    p: V,
    /// `SLACK`·p.
    slack_p: V,
}

impl<V> Bounds<V> {
    #[inline(always)]
    unsafe fn new<W: Word>(p: W) -> Self
    where
        V: Lanes<W>,
    {
        let slack_p = (1..V::SLACK).fold(p, |sum, _| sum.wrapping_add(p));
        unsafe { Self { p: V::splat(p), slack_p: V::splat(slack_p) } }
    }
}

#[inline(always)]
unsafe fn forward_butterfly<W: Word, V: Lanes<W>>(
    x: &mut V,
    y: &mut V,
    value: V,
    quotient: V,
    b: Bounds<V>,
) {
    unsafe {
        let u = x.before_forward(b.slack_p);
        let v = y.mul_lazy(value, quotient, b.p);
        *x = u.add(v);
        *y = u.sub(v).add(b.slack_p);
    }
}

#[inline(always)]
unsafe fn inverse_butterfly<W: Word, V: Lanes<W>>(
    x: &mut V,
    y: &mut V,
    value: V,
    quotient: V,
    b: Bounds<V>,
) {
    unsafe {
        let sum = x.add(*y);
        let difference = x.sub(*y).add(b.slack_p);
        *x = sum.min(sum.sub(b.slack_p));
        *y = difference.mul_lazy(value, quotient, b.p);
    }
}

/// Stage S of R vectors, one root for whole vectors: root `at` + g for butterfly row g.
#[inline(always)]
unsafe fn forward_stage<W: Word, V: Lanes<W>, const R: usize, const S: usize>(
    v: &mut [V; R],
    values: *const W,
    quotients: *const W,
    b: Bounds<V>,
) {
    let half = R >> (S + 1);
    let mut row = 0;
    while row < 1 << S {
        unsafe {
            let value = V::splat(*values.add(row));
            let quotient = V::splat(*quotients.add(row));
            let mut k = 0;
            while k < half {
                let (low, high) = v.split_at_mut(2 * half * row + half + k);
                forward_butterfly(&mut low[2 * half * row + k], &mut high[0], value, quotient, b);
                k += 1;
            }
        }
        row += 1;
    }
}

#[inline(always)]
unsafe fn inverse_stage<W: Word, V: Lanes<W>, const R: usize, const S: usize>(
    v: &mut [V; R],
    values: *const W,
    quotients: *const W,
    b: Bounds<V>,
) {
    let half = R >> (S + 1);
    let mut row = 0;
    while row < 1 << S {
        unsafe {
            let value = V::splat(*values.add(row));
            let quotient = V::splat(*quotients.add(row));
            let mut k = 0;
            while k < half {
                let (low, high) = v.split_at_mut(2 * half * row + half + k);
                inverse_butterfly(&mut low[2 * half * row + k], &mut high[0], value, quotient, b);
                k += 1;
            }
        }
        row += 1;
    }
}

/// Stage S of L transposed vectors: a vector of roots for each butterfly row.
#[inline(always)]
unsafe fn forward_tail_stage<W: Word, V: Lanes<W>, const R: usize, const S: usize>(
    v: &mut [V; R],
    values: *const W,
    quotients: *const W,
    b: Bounds<V>,
) {
    let half = R >> (S + 1);
    let mut row = 0;
    while row < 1 << S {
        unsafe {
            let at = ((1 << S) - 1 + row) * V::COUNT;
            let value = V::load(values.add(at));
            let quotient = V::load(quotients.add(at));
            let mut k = 0;
            while k < half {
                let (low, high) = v.split_at_mut(2 * half * row + half + k);
                forward_butterfly(&mut low[2 * half * row + k], &mut high[0], value, quotient, b);
                k += 1;
            }
        }
        row += 1;
    }
}

#[inline(always)]
unsafe fn inverse_tail_stage<W: Word, V: Lanes<W>, const R: usize, const S: usize>(
    v: &mut [V; R],
    values: *const W,
    quotients: *const W,
    b: Bounds<V>,
) {
    let half = R >> (S + 1);
    let mut row = 0;
    while row < 1 << S {
        unsafe {
            let at = ((1 << S) - 1 + row) * V::COUNT;
            let value = V::load(values.add(at));
            let quotient = V::load(quotients.add(at));
            let mut k = 0;
            while k < half {
                let (low, high) = v.split_at_mut(2 * half * row + half + k);
                inverse_butterfly(&mut low[2 * half * row + k], &mut high[0], value, quotient, b);
                k += 1;
            }
        }
        row += 1;
    }
}

/// log2 R stages on R vectors `stride` apart, for each of `blocks` blocks of R·stride residues.
#[inline(always)]
unsafe fn forward_pass<W: Word, V: Lanes<W>, const R: usize>(
    from: *const W,
    row: *mut W,
    blocks: usize,
    stride: usize,
    roots: &VectorRoots<W>,
    b: Bounds<V>,
) {
    let values = roots.values.as_ptr();
    let quotients = roots.quotients.as_ptr();
    for block in 0..blocks {
        let mut offset = 0;
        while offset < stride {
            unsafe {
                let at = block * R * stride + offset;
                let (source, base) = (from.add(at), row.add(at));
                let mut v: [V; R] = std::array::from_fn(|k| V::load(source.add(k * stride)));
                let at = |s: usize| (blocks + block) << s;
                macro_rules! stage {
                    ($s:literal) => {
                        if R > 1 << $s {
                            forward_stage::<W, V, R, $s>(
                                &mut v,
                                values.add(at($s)),
                                quotients.add(at($s)),
                                b,
                            );
                        }
                    };
                }
                stage!(0);
                stage!(1);
                stage!(2);
                stage!(3);
                for (k, vector) in v.iter().enumerate() {
                    vector.store(base.add(k * stride));
                }
            }
            offset += V::COUNT;
        }
    }
}

#[inline(always)]
unsafe fn inverse_pass<W: Word, V: Lanes<W>, const R: usize>(
    row: *mut W,
    blocks: usize,
    stride: usize,
    roots: &VectorRoots<W>,
    b: Bounds<V>,
) {
    let values = roots.values.as_ptr();
    let quotients = roots.quotients.as_ptr();
    for block in 0..blocks {
        let mut offset = 0;
        while offset < stride {
            unsafe {
                let base = row.add(block * R * stride + offset);
                let mut v: [V; R] = std::array::from_fn(|k| V::load(base.add(k * stride)));
                let at = |s: usize| (blocks + block) << s;
                macro_rules! stage {
                    ($s:literal) => {
                        if R > 1 << $s {
                            inverse_stage::<W, V, R, $s>(
                                &mut v,
                                values.add(at($s)),
                                quotients.add(at($s)),
                                b,
                            );
                        }
                    };
                }
                stage!(3);
                stage!(2);
                stage!(1);
                stage!(0);
                for (k, vector) in v.iter().enumerate() {
                    vector.store(base.add(k * stride));
                }
            }
            offset += V::COUNT;
        }
    }
}

/// Stages of each outer pass, first pass first: as even as the radix allows.
#[inline(always)]
fn outer_passes(stages: u32, radix: usize) -> impl DoubleEndedIterator<Item = (u32, u32)> {
    let most = radix.trailing_zeros();
    let passes = stages.div_ceil(most);
    (0..passes).map(move |pass| {
        let start = stages * pass / passes;
        let end = stages * (pass + 1) / passes;
        (start, end - start)
    })
}

/// Forward transform of a row of N ≥ L² residues; `R` = L.
///
/// # Safety
/// The CPU has the features of `V`; `row` has the table's N residues, and the table was built for
/// vectors of L lanes.
#[inline(always)]
pub(crate) unsafe fn forward<W: Word, V: Lanes<W>, const R: usize>(
    table: &NttTable<W>,
    from: Option<&[W]>,
    row: &mut [W],
) {
    const { assert!(R == V::COUNT) };
    let Some((roots, _)) = table.vector_roots() else { return };
    assert!(row.len() == table.degree() && roots.values.len() == row.len());
    assert!(from.is_none_or(|from| from.len() == row.len()));
    assert!(roots.tail_values.len() == row.len() / R * (R - 1));
    let degree = row.len();
    let lane_bits = R.trailing_zeros();
    let data = row.as_mut_ptr();
    // The first pass reads the source, the others what it wrote.
    let mut source = from.map_or(data.cast_const(), <[W]>::as_ptr);
    unsafe {
        let b = Bounds::<V>::new(table.modulus().value());
        for (start, stages) in outer_passes(degree.trailing_zeros() - 2 * lane_bits, V::RADIX) {
            let blocks = 1 << start;
            let stride = degree >> (start + stages);
            match stages {
                1 => forward_pass::<W, V, 2>(source, data, blocks, stride, roots, b),
                2 => forward_pass::<W, V, 4>(source, data, blocks, stride, roots, b),
                3 => forward_pass::<W, V, 8>(source, data, blocks, stride, roots, b),
                _ => forward_pass::<W, V, 16>(source, data, blocks, stride, roots, b),
            }
            source = data;
        }
        let groups = degree / (R * R);
        let values = roots.values.as_ptr();
        let quotients = roots.quotients.as_ptr();
        for group in 0..groups {
            let base = data.add(group * R * R);
            let first = source.add(group * R * R);
            let mut v: [V; R] = std::array::from_fn(|k| V::load(first.add(k * R)));
            let at = |s: usize| (groups + group) << s;
            let tail_values = roots.tail_values.as_ptr().add(group * R * (R - 1));
            let tail_quotients = roots.tail_quotients.as_ptr().add(group * R * (R - 1));
            macro_rules! stage {
                ($s:literal) => {
                    if R > 1 << $s {
                        forward_stage::<W, V, R, $s>(
                            &mut v,
                            values.add(at($s)),
                            quotients.add(at($s)),
                            b,
                        );
                    }
                };
            }
            macro_rules! tail_stage {
                ($s:literal) => {
                    if R > 1 << $s {
                        forward_tail_stage::<W, V, R, $s>(&mut v, tail_values, tail_quotients, b);
                    }
                };
            }
            stage!(0);
            stage!(1);
            stage!(2);
            stage!(3);
            V::transpose(v.as_mut_ptr());
            tail_stage!(0);
            tail_stage!(1);
            tail_stage!(2);
            tail_stage!(3);
            for x in &mut v {
                *x = x.after_forward(b.p);
            }
            V::transpose(v.as_mut_ptr());
            for (k, vector) in v.iter().enumerate() {
                vector.store(base.add(k * R));
            }
        }
    }
}

/// Inverse transform of a row of N ≥ L² residues, divided by N; `R` = L.
///
/// # Safety
/// As for [`forward`].
#[inline(always)]
pub(crate) unsafe fn inverse<W: Word, V: Lanes<W>, const R: usize>(
    table: &NttTable<W>,
    from: Option<&[W]>,
    row: &mut [W],
) {
    const { assert!(R == V::COUNT) };
    let Some((_, roots)) = table.vector_roots() else { return };
    assert!(row.len() == table.degree() && roots.values.len() == row.len());
    assert!(from.is_none_or(|from| from.len() == row.len()));
    assert!(roots.tail_values.len() == row.len() / R * (R - 1));
    let degree = row.len();
    let lane_bits = R.trailing_zeros();
    let data = row.as_mut_ptr();
    // The first pass reads the source, the others what it wrote.
    let source = from.map_or(data.cast_const(), <[W]>::as_ptr);
    unsafe {
        let b = Bounds::<V>::new(table.modulus().value());
        let scale = table.degree_inverse();
        let (scale_value, scale_quotient) = (V::splat(scale.value), V::splat(scale.quotient));
        let groups = degree / (R * R);
        let values = roots.values.as_ptr();
        let quotients = roots.quotients.as_ptr();
        for group in 0..groups {
            let base = data.add(group * R * R);
            let first = source.add(group * R * R);
            let mut v: [V; R] = std::array::from_fn(|k| V::load(first.add(k * R)));
            let at = |s: usize| (groups + group) << s;
            let tail_values = roots.tail_values.as_ptr().add(group * R * (R - 1));
            let tail_quotients = roots.tail_quotients.as_ptr().add(group * R * (R - 1));
            macro_rules! stage {
                ($s:literal) => {
                    if R > 1 << $s {
                        inverse_stage::<W, V, R, $s>(
                            &mut v,
                            values.add(at($s)),
                            quotients.add(at($s)),
                            b,
                        );
                    }
                };
            }
            macro_rules! tail_stage {
                ($s:literal) => {
                    if R > 1 << $s {
                        inverse_tail_stage::<W, V, R, $s>(&mut v, tail_values, tail_quotients, b);
                    }
                };
            }
            V::transpose(v.as_mut_ptr());
            tail_stage!(3);
            tail_stage!(2);
            tail_stage!(1);
            tail_stage!(0);
            V::transpose(v.as_mut_ptr());
            stage!(3);
            stage!(2);
            stage!(1);
            stage!(0);
            for x in &mut v {
                // N^-1 here, where the vectors are at hand: the remaining stages are linear.
                *x = x.mul_lazy(scale_value, scale_quotient, b.p);
            }
            for (k, vector) in v.iter().enumerate() {
                vector.store(base.add(k * R));
            }
        }
        let outer = outer_passes(degree.trailing_zeros() - 2 * lane_bits, V::RADIX);
        for (start, stages) in outer.rev() {
            let blocks = 1 << start;
            let stride = degree >> (start + stages);
            match stages {
                1 => inverse_pass::<W, V, 2>(data, blocks, stride, roots, b),
                2 => inverse_pass::<W, V, 4>(data, blocks, stride, roots, b),
                3 => inverse_pass::<W, V, 8>(data, blocks, stride, roots, b),
                _ => inverse_pass::<W, V, 16>(data, blocks, stride, roots, b),
            }
        }
        let mut at = 0;
        while at < degree {
            let x = V::load(data.add(at));
            x.after_inverse(b.p).store(data.add(at));
            at += V::COUNT;
        }
    }
}

/// An automorphism of slots. An odd multiple of an exponent has low bits that depend on the
/// exponent's low bits alone, and slots are in bit-reversed order: so aligned blocks of slots go to
/// aligned blocks, and a vector comes from one vector.
///
/// # Safety
/// The CPU has the features of `V`.
#[inline(always)]
pub(crate) unsafe fn permute<W: Word, V: Lanes<W>>(out: &mut [W], from: &[W], index: &[u32]) {
    assert!(out.len() == from.len() && index.len() == from.len());
    assert!(from.len().is_multiple_of(V::COUNT));
    let mask = from.len() - 1;
    for (out, index) in out.chunks_exact_mut(V::COUNT).zip(index.chunks_exact(V::COUNT)) {
        let block = (index[0] as usize & mask) / V::COUNT * V::COUNT;
        let source = &from[block..][..V::COUNT];
        // SAFETY: source, index and out have COUNT words.
        unsafe { V::load(source.as_ptr()).permute(index.as_ptr()).store(out.as_mut_ptr()) };
    }
}
