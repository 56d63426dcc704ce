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
    /// x·w below 2p for any x, with Shoup's quotient of w.
    unsafe fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self;
    /// Lane i becomes lane `index[i]` mod L; `index` points at L numbers.
    unsafe fn permute(self, index: *const u32) -> Self;
    /// Transposes the L × L matrix whose rows start at `rows`.
    unsafe fn transpose(rows: *mut Self);
}

/// The modulus, splat.
#[derive(Clone, Copy)]
struct Bounds<V> {
    p: V,
    two_p: V,
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
        let u = x.min(x.sub(b.two_p));
        let v = y.mul_lazy(value, quotient, b.p);
        *x = u.add(v);
        *y = u.sub(v).add(b.two_p);
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
        let difference = x.sub(*y).add(b.two_p);
        *x = sum.min(sum.sub(b.two_p));
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
        let p = V::splat(table.modulus().value());
        let b = Bounds { p, two_p: p.add(p) };
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
                let y = x.min(x.sub(b.two_p));
                *x = y.min(y.sub(b.p));
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
        let p = V::splat(table.modulus().value());
        let b = Bounds { p, two_p: p.add(p) };
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
                *x = x.mul_lazy(scale_value, scale_quotient, p);
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
            x.min(x.sub(p)).store(data.add(at));
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
