//! The number-theoretic transform over vectors of residues.
//!
//! With L residues in a vector, a transform of N points is done in passes over memory. *Outer*
//! passes hold R vectors at equal distance and do log2 R stages on them; a root is the same for all
//! lanes of a vector. The *tail* holds L vectors of L adjacent residues: log2 L stages between
//! vectors, a transposition, log2 L stages with one root for each lane, and the transposition back.
//! For N = 4096 and L = 16 that is one outer pass of 16 vectors and the tail: the data is read twice.
//!
//! Bounds (Harvey, "Faster arithmetic for number-theoretic transforms", 2014). Forward: both inputs
//! of a butterfly are below 4p; the first is brought below 2p, the product with a root is below 2p,
//! so outputs are below 4p again, which fits a word because p is below a quarter of its range.
//! Inverse: everything is below 2p between stages.
//!
//! Where p is so small that 64p fits a word, products may be a little larger, below 4p, and nothing
//! is reduced between forward stages: see `RoomyU64x8` in `avx512`.
#![allow(unsafe_code, reason = "pointers into rows and tables, whose lengths are checked once")]

use super::Lanes;
use crate::arithmetic::ntt_table::{NttTable, VectorRoots};
use crate::arithmetic::word::MachineWord;

/// A modulus p in all lanes, and the bound of products.
#[derive(Clone, Copy)]
struct Bounds<V> {
    p: V,
    /// `SLACK`·p.
    slack_p: V,
}

impl<V> Bounds<V> {
    #[inline(always)]
    fn new<W: MachineWord>(cpu: V::Cpu, p: W) -> Self
    where
        V: Lanes<W>,
    {
        let slack_p = (1..V::SLACK).fold(p, |sum, _| sum.wrapping_add(p));
        Self { p: V::splat(cpu, p), slack_p: V::splat(cpu, slack_p) }
    }
}

/// Where roots, and their quotients, begin.
#[derive(Clone, Copy)]
struct RootPointers<W> {
    values: *const W,
    quotients: *const W,
}

impl<W: MachineWord> RootPointers<W> {
    fn of(values: &[W], quotients: &[W]) -> Self {
        Self { values: values.as_ptr(), quotients: quotients.as_ptr() }
    }

    /// # Safety
    /// Both lists have `count` words and more from here.
    #[inline(always)]
    unsafe fn add(self, count: usize) -> Self {
        // SAFETY: the caller knows that both lists reach so far.
        unsafe { Self { values: self.values.add(count), quotients: self.quotients.add(count) } }
    }

    /// One root in all lanes.
    ///
    /// # Safety
    /// Both lists have more than `index` words from here.
    #[inline(always)]
    unsafe fn splat<V: Lanes<W>>(self, cpu: V::Cpu, index: usize) -> (V, V) {
        // SAFETY: the caller knows that both lists have a word at `index`.
        let (value, quotient) = unsafe { (*self.values.add(index), *self.quotients.add(index)) };
        (V::splat(cpu, value), V::splat(cpu, quotient))
    }

    /// One root for each lane.
    ///
    /// # Safety
    /// Both lists have `index` + `COUNT` words or more from here.
    #[inline(always)]
    unsafe fn load<V: Lanes<W>>(self, cpu: V::Cpu, index: usize) -> (V, V) {
        // SAFETY: the caller knows that both lists have COUNT words at `index`.
        unsafe { (V::load(cpu, self.values.add(index)), V::load(cpu, self.quotients.add(index))) }
    }
}

/// x + w·y and x - w·y, both below 4p for x and y below 4p.
#[inline(always)]
fn forward_butterfly<W: MachineWord, V: Lanes<W>>(
    x: &mut V,
    y: &mut V,
    (value, quotient): (V, V),
    b: Bounds<V>,
) {
    let u = x.before_forward(b.slack_p);
    let v = y.mul_lazy(value, quotient, b.p);
    *x = u.add(v);
    *y = u.sub(v).add(b.slack_p);
}

/// x + y and w·(x - y), both below 2p for x and y below 2p.
#[inline(always)]
fn inverse_butterfly<W: MachineWord, V: Lanes<W>>(
    x: &mut V,
    y: &mut V,
    (value, quotient): (V, V),
    b: Bounds<V>,
) {
    let sum = x.add(*y);
    let difference = x.sub(*y).add(b.slack_p);
    *x = sum.min(sum.sub(b.slack_p));
    *y = difference.mul_lazy(value, quotient, b.p);
}

/// The butterflies of butterfly row `row` in stage `S` of `R` vectors.
macro_rules! butterflies {
    ($butterfly:ident, $v:ident, $row:ident, $root:ident, $b:ident) => {
        let half = R >> (S + 1);
        let mut k = 0;
        while k < half {
            let (low, high) = $v.split_at_mut(2 * half * $row + half + k);
            $butterfly(&mut low[2 * half * $row + k], &mut high[0], $root, $b);
            k += 1;
        }
    };
}

/// Defines a stage of the transform and all stages of R vectors.
macro_rules! stages {
    (
        $(#[$meta:meta])*
        $stage:ident, $stages:ident, $tail_stage:ident, $tail_stages:ident, $butterfly:ident,
        [$($order:literal)*]
    ) => {
        /// Stage `S` of `R` vectors: root `row` in all lanes for butterfly row `row`.
        ///
        /// # Safety
        /// There are 2^S roots.
        #[inline(always)]
        unsafe fn $stage<W: MachineWord, V: Lanes<W>, const R: usize, const S: usize>(
            cpu: V::Cpu,
            v: &mut [V; R],
            roots: RootPointers<W>,
            b: Bounds<V>,
        ) {
            let mut row = 0;
            while row < 1 << S {
                // SAFETY: `row` is below 2^S, the number of roots.
                let root = unsafe { roots.splat(cpu, row) };
                butterflies!($butterfly, v, row, root, b);
                row += 1;
            }
        }

        /// Stage `S` of `R` = L transposed vectors: a vector of roots for each butterfly row.
        ///
        /// # Safety
        /// There are (2^(S+1) - 1)·L roots, those of the stages before this one first.
        #[inline(always)]
        unsafe fn $tail_stage<W: MachineWord, V: Lanes<W>, const R: usize, const S: usize>(
            cpu: V::Cpu,
            v: &mut [V; R],
            roots: RootPointers<W>,
            b: Bounds<V>,
        ) {
            let mut row = 0;
            while row < 1 << S {
                // SAFETY: 2^S - 1 + row + 1 vectors of roots are at most 2^(S+1) - 1.
                let root = unsafe { roots.load(cpu, ((1 << S) - 1 + row) * V::COUNT) };
                butterflies!($butterfly, v, row, root, b);
                row += 1;
            }
        }

        /// The log2 R stages of `R` vectors that are block `at` of as many as `at` says in the
        /// first of them.
        ///
        /// # Safety
        /// For each stage s there are roots `at`·2^s to `at`·2^s + 2^s - 1.
        #[inline(always)]
        unsafe fn $stages<W: MachineWord, V: Lanes<W>, const R: usize>(
            cpu: V::Cpu,
            v: &mut [V; R],
            roots: RootPointers<W>,
            at: usize,
            b: Bounds<V>,
        ) {
            $(
                if R > 1 << $order {
                    // SAFETY: the caller knows that 2^s roots follow root `at`·2^s.
                    unsafe { $stage::<W, V, R, $order>(cpu, v, roots.add(at << $order), b) };
                }
            )*
        }

        /// The log2 L stages of `R` = L transposed vectors.
        ///
        /// # Safety
        /// There are (L - 1)·L roots.
        #[inline(always)]
        unsafe fn $tail_stages<W: MachineWord, V: Lanes<W>, const R: usize>(
            cpu: V::Cpu,
            v: &mut [V; R],
            roots: RootPointers<W>,
            b: Bounds<V>,
        ) {
            $(
                if R > 1 << $order {
                    // SAFETY: 2^(s+1) is at most L, so that the stage has its roots.
                    unsafe { $tail_stage::<W, V, R, $order>(cpu, v, roots, b) };
                }
            )*
        }
    };
}

stages!(
    forward_stage, forward_stages, forward_tail_stage, forward_tail_stages, forward_butterfly,
    [0 1 2 3]
);
stages!(
    inverse_stage, inverse_stages, inverse_tail_stage, inverse_tail_stages, inverse_butterfly,
    [3 2 1 0]
);

/// `R` vectors at a distance of `stride` words.
///
/// # Safety
/// `from` is valid for reads of COUNT words at each multiple of `stride` below R·`stride`.
#[inline(always)]
unsafe fn load_all<W: MachineWord, V: Lanes<W>, const R: usize>(
    cpu: V::Cpu,
    from: *const W,
    stride: usize,
) -> [V; R] {
    // Not with `array::from_fn`: where the compiler does not inline that, it is a function without the
    // features of the CPU, and so is each load.
    let mut v = [V::splat(cpu, W::ZERO); R];
    for (k, vector) in v.iter_mut().enumerate() {
        // SAFETY: the caller knows that each of the R vectors is readable.
        *vector = unsafe { V::load(cpu, from.add(k * stride)) };
    }
    v
}

/// # Safety
/// `to` is valid for writes of COUNT words at each multiple of `stride` below R·`stride`.
#[inline(always)]
unsafe fn store_all<W: MachineWord, V: Lanes<W>, const R: usize>(
    v: &[V; R],
    to: *mut W,
    stride: usize,
) {
    for (k, vector) in v.iter().enumerate() {
        // SAFETY: the caller knows that each of the R vectors is writable.
        unsafe { vector.store(to.add(k * stride)) };
    }
}

/// An outer pass: log2 R stages of a row of `blocks`·R·`stride` words.
///
/// # Safety
/// `source` is valid for reads and `row` for writes of `blocks`·R·`stride` words; `stride` is a
/// multiple of COUNT; there are `blocks`·R roots.
#[inline(always)]
unsafe fn forward_pass<W: MachineWord, V: Lanes<W>, const R: usize>(
    cpu: V::Cpu,
    source: *const W,
    row: *mut W,
    blocks: usize,
    stride: usize,
    roots: RootPointers<W>,
    b: Bounds<V>,
) {
    for block in 0..blocks {
        let mut offset = 0;
        while offset < stride {
            let base = block * R * stride + offset;
            // SAFETY: `base` + (R - 1)·stride + COUNT is at most (block + 1)·R·stride, since stride
            // and offset are multiples of COUNT. Stage s reads roots below (blocks + block + 1)·2^s,
            // at most 2·blocks·R/2.
            unsafe {
                let mut v: [V; R] = load_all(cpu, source.add(base), stride);
                forward_stages(cpu, &mut v, roots, blocks + block, b);
                store_all(&v, row.add(base), stride);
            }
            offset += V::COUNT;
        }
    }
}

/// The inverse of [`forward_pass`], in place.
///
/// # Safety
/// `row` is valid for reads and writes of `blocks`·R·`stride` words; `stride` is a multiple of
/// COUNT; there are `blocks`·R roots.
#[inline(always)]
unsafe fn inverse_pass<W: MachineWord, V: Lanes<W>, const R: usize>(
    cpu: V::Cpu,
    row: *mut W,
    blocks: usize,
    stride: usize,
    roots: RootPointers<W>,
    b: Bounds<V>,
) {
    for block in 0..blocks {
        let mut offset = 0;
        while offset < stride {
            let base = block * R * stride + offset;
            // SAFETY: as in the forward pass, `base` + (R - 1)·stride + COUNT is at most
            // (block + 1)·R·stride, and roots below blocks·R are read.
            unsafe {
                let mut v: [V; R] = load_all(cpu, row.cast_const().add(base), stride);
                inverse_stages(cpu, &mut v, roots, blocks + block, b);
                store_all(&v, row.add(base), stride);
            }
            offset += V::COUNT;
        }
    }
}

/// Stages of each outer pass, first pass first: as even as the radix allows.
#[inline(always)]
fn outer_passes(stages: u32, radix: usize) -> impl DoubleEndedIterator<Item = (u32, u32)> {
    let max_stages = radix.trailing_zeros();
    let passes = stages.div_ceil(max_stages);
    (0..passes).map(move |pass| {
        let start = stages * pass / passes;
        let end = stages * (pass + 1) / passes;
        (start, end - start)
    })
}

/// Checks that a row and its tables have the lengths that the transform relies on.
///
/// # Panics
/// If they do not.
#[inline(always)]
fn check_lengths<W: MachineWord>(
    table: &NttTable<W>,
    roots: &VectorRoots<W>,
    from: Option<&[W]>,
    row: &[W],
    lanes: usize,
) {
    let degree = table.degree();
    assert!(degree.is_power_of_two() && degree >= lanes * lanes);
    assert!(row.len() == degree && from.is_none_or(|from| from.len() == degree));
    assert!(roots.values.len() == degree && roots.quotients.len() == degree);
    let tail = degree / lanes * (lanes - 1);
    assert!(roots.tail_values.len() == tail && roots.tail_quotients.len() == tail);
}

/// Forward transform of a row of N ≥ L² residues; `R` = L. Inputs below 4p, outputs below p.
///
/// # Panics
/// If the rows have not the table's N residues, or the table was built for vectors of other sizes.
#[inline(always)]
pub(crate) fn forward<W: MachineWord, V: Lanes<W>, const R: usize>(
    cpu: V::Cpu,
    table: &NttTable<W>,
    from: Option<&[W]>,
    row: &mut [W],
) {
    const { assert!(R == V::COUNT && V::RADIX <= 16) };
    let (roots, _) = table.vector_roots().expect("the table is for vectors");
    check_lengths(table, roots, from, row, R);
    let degree = row.len();
    let lane_bits = R.trailing_zeros();
    let data = row.as_mut_ptr();
    // The first pass reads the source, the others what it wrote.
    let mut source = from.map_or(data.cast_const(), <[W]>::as_ptr);
    let b = Bounds::<V>::new(cpu, table.modulus().value());
    let main = RootPointers::of(&roots.values, &roots.quotients);
    let tail = RootPointers::of(&roots.tail_values, &roots.tail_quotients);
    for (start, stages) in outer_passes(degree.trailing_zeros() - 2 * lane_bits, V::RADIX) {
        let blocks = 1 << start;
        let stride = degree >> (start + stages);
        // SAFETY: blocks·2^stages·stride is N, the length of both rows and more than the roots
        // needed; after these stages at least L² residues are left to each block, so the stride is
        // a multiple of L.
        unsafe {
            match stages {
                1 => forward_pass::<W, V, 2>(cpu, source, data, blocks, stride, main, b),
                2 => forward_pass::<W, V, 4>(cpu, source, data, blocks, stride, main, b),
                3 => forward_pass::<W, V, 8>(cpu, source, data, blocks, stride, main, b),
                _ => forward_pass::<W, V, 16>(cpu, source, data, blocks, stride, main, b),
            }
        }
        source = data;
    }
    let groups = degree / (R * R);
    for group in 0..groups {
        let at = group * R * R;
        // SAFETY: the N residues are `groups` groups of R·R. Of the roots, stage s reads those below
        // (groups + group + 1)·2^s, at most 2·groups·R/2, which is below N; of the tail's, each
        // group has R·(R - 1).
        unsafe {
            let mut v: [V; R] = load_all(cpu, source.add(at), R);
            forward_stages(cpu, &mut v, main, groups + group, b);
            V::transpose(&mut v);
            forward_tail_stages(cpu, &mut v, tail.add(group * R * (R - 1)), b);
            for x in &mut v {
                *x = x.after_forward(b.p);
            }
            V::transpose(&mut v);
            store_all(&v, data.add(at), R);
        }
    }
}

/// Inverse transform of a row of N ≥ L² residues, divided by N; `R` = L. Inputs below 2p, outputs
/// below p.
///
/// # Panics
/// If the rows have not the table's N residues, or the table was built for vectors of other sizes.
#[inline(always)]
pub(crate) fn inverse<W: MachineWord, V: Lanes<W>, const R: usize>(
    cpu: V::Cpu,
    table: &NttTable<W>,
    from: Option<&[W]>,
    row: &mut [W],
) {
    const { assert!(R == V::COUNT && V::RADIX <= 16) };
    let (_, roots) = table.vector_roots().expect("the table is for vectors");
    check_lengths(table, roots, from, row, R);
    let degree = row.len();
    let lane_bits = R.trailing_zeros();
    let data = row.as_mut_ptr();
    // The first pass reads the source, the others what it wrote.
    let source = from.map_or(data.cast_const(), <[W]>::as_ptr);
    let b = Bounds::<V>::new(cpu, table.modulus().value());
    let main = RootPointers::of(&roots.values, &roots.quotients);
    let tail = RootPointers::of(&roots.tail_values, &roots.tail_quotients);
    let scale = table.degree_inverse();
    let (scale_value, scale_quotient) = (V::splat(cpu, scale.value), V::splat(cpu, scale.quotient));
    let groups = degree / (R * R);
    for group in 0..groups {
        let at = group * R * R;
        // SAFETY: as in the forward transform: `groups` groups of R·R residues, roots below N, and
        // R·(R - 1) roots of the tail for each group.
        unsafe {
            let mut v: [V; R] = load_all(cpu, source.add(at), R);
            V::transpose(&mut v);
            inverse_tail_stages(cpu, &mut v, tail.add(group * R * (R - 1)), b);
            V::transpose(&mut v);
            inverse_stages(cpu, &mut v, main, groups + group, b);
            for x in &mut v {
                // Times N^-1 here, while the vectors are in registers: the remaining stages are
                // linear.
                *x = x.mul_lazy(scale_value, scale_quotient, b.p);
            }
            store_all(&v, data.add(at), R);
        }
    }
    let outer = outer_passes(degree.trailing_zeros() - 2 * lane_bits, V::RADIX);
    for (start, stages) in outer.rev() {
        let blocks = 1 << start;
        let stride = degree >> (start + stages);
        // SAFETY: blocks·2^stages·stride is N, the row's length and more than the roots needed, and
        // the stride is a multiple of L, as in the forward transform.
        unsafe {
            match stages {
                1 => inverse_pass::<W, V, 2>(cpu, data, blocks, stride, main, b),
                2 => inverse_pass::<W, V, 4>(cpu, data, blocks, stride, main, b),
                3 => inverse_pass::<W, V, 8>(cpu, data, blocks, stride, main, b),
                _ => inverse_pass::<W, V, 16>(cpu, data, blocks, stride, main, b),
            }
        }
    }
    for vector in row.chunks_exact_mut(R) {
        super::store(super::load::<W, V>(cpu, vector).after_inverse(b.p), vector);
    }
}
