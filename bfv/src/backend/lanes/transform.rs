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
//! is reduced between forward stages: see `RoomyU64x8` in `avx512`. Where 16p fits a word of 32 bits,
//! forward stages reduce once in a pass: see [`Centred`]. Where the CPU has the high half of doubled products, residues
//! have a sign there: see `signed`.
#![allow(unsafe_code, reason = "pointers into rows and tables, whose lengths are checked once")]

mod butterfly;
#[cfg(any(test, target_arch = "aarch64"))]
pub(crate) mod signed;

use super::Lanes;
use crate::arithmetic::modulus::Factor;
use crate::arithmetic::ntt_table::{NttTable, Products, VectorRoots};
use crate::arithmetic::word::MachineWord;
use butterfly::{Bounds, Butterflies, Centred, Forward, Inverse, InverseButterflies, Scale};

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

    /// One root in all lanes, of `count`, a power of two.
    ///
    /// # Safety
    /// Both lists have `count` words from here, and `index` is below `count`.
    #[inline(always)]
    unsafe fn splat<V: Lanes<W>>(self, cpu: V::Cpu, index: usize, count: usize) -> (V, V) {
        // SAFETY: the caller knows that both lists have `count` words, one of them at `index`.
        unsafe {
            (
                V::splat_one_of(cpu, self.values, index, count),
                V::splat_one_of(cpu, self.quotients, index, count),
            )
        }
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

/// The butterflies of butterfly row `row` in stage `S` of `R` vectors.
macro_rules! butterflies {
    ($v:ident, $row:ident, $root:ident, $b:ident) => {
        let half = R >> (S + 1);
        let mut k = 0;
        while k < half {
            let (low, high) = $v.split_at_mut(2 * half * $row + half + k);
            $b.butterfly(&mut low[2 * half * $row + k], &mut high[0], $root, S);
            k += 1;
        }
    };
}

/// Prepares the first inputs of the butterflies of stage 0.
#[inline(always)]
fn enter<W: MachineWord, V: Lanes<W>, const R: usize>(v: &mut [V; R], b: impl Butterflies<W, V>) {
    let mut k = 0;
    while k < R / 2 {
        v[k] = b.enter(v[k]);
        k += 1;
    }
}

/// Defines a stage of the transform and all stages of R vectors.
macro_rules! stages {
    (
        $(#[$meta:meta])*
        $stage:ident, $stages:ident, $tail_stage:ident, $tail_stages:ident, [$($order:literal)*]
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
            b: impl Butterflies<W, V>,
        ) {
            let mut row = 0;
            while row < 1 << S {
                // SAFETY: `row` is below 2^S, the number of roots.
                let root = unsafe { roots.splat::<V>(cpu, row, 1 << S) };
                butterflies!(v, row, root, b);
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
            b: impl Butterflies<W, V>,
        ) {
            let mut row = 0;
            while row < 1 << S {
                // SAFETY: 2^S - 1 + row + 1 vectors of roots are at most 2^(S+1) - 1.
                let root = unsafe { roots.load::<V>(cpu, ((1 << S) - 1 + row) * V::COUNT) };
                butterflies!(v, row, root, b);
                row += 1;
            }
        }

        /// The stages of `R` vectors from stage `FIRST` on, log2 R with stage 0. The vectors are block
        /// `at` of as many as `at` says in stage 0.
        ///
        /// # Safety
        /// For each stage s there are roots `at`·2^s to `at`·2^s + 2^s - 1.
        #[inline(always)]
        unsafe fn $stages<W: MachineWord, V: Lanes<W>, const R: usize, const FIRST: usize>(
            cpu: V::Cpu,
            v: &mut [V; R],
            roots: RootPointers<W>,
            at: usize,
            b: impl Butterflies<W, V>,
        ) {
            enter(v, b);
            $(
                if R > 1 << $order && $order >= FIRST {
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
            b: impl Butterflies<W, V>,
        ) {
            enter(v, b);
            $(
                if R > 1 << $order {
                    // SAFETY: 2^(s+1) is at most L, so that the stage has its roots.
                    unsafe { $tail_stage::<W, V, R, $order>(cpu, v, roots, b) };
                }
            )*
        }
    };
}

stages!(forward_stage, forward_stages, forward_tail_stage, forward_tail_stages, [0 1 2 3]);
stages!(inverse_stage, inverse_stages, inverse_tail_stage, inverse_tail_stages, [3 2 1 0]);

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
    b: impl Butterflies<W, V>,
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
                forward_stages::<W, V, R, 0>(cpu, &mut v, roots, blocks + block, b);
                store_all(&v, row.add(base), stride);
            }
            offset += V::COUNT;
        }
    }
}

/// The last stage of the inverse transform, for the block of all residues: results times N^-1, below p.
#[inline(always)]
fn last_stage<W: MachineWord, V: Lanes<W>, const R: usize>(
    v: &mut [V; R],
    scale: Scale<V>,
    b: impl InverseButterflies<W, V>,
) {
    let (low, high) = v.split_at_mut(R / 2);
    for (x, y) in low.iter_mut().zip(high) {
        b.last(x, y, scale);
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
    scale: Scale<V>,
    b: impl InverseButterflies<W, V>,
) {
    for block in 0..blocks {
        let mut offset = 0;
        while offset < stride {
            let base = block * R * stride + offset;
            // SAFETY: as in the forward pass, `base` + (R - 1)·stride + COUNT is at most
            // (block + 1)·R·stride, and roots below blocks·R are read.
            unsafe {
                let mut v: [V; R] = load_all(cpu, row.cast_const().add(base), stride);
                if blocks == 1 {
                    inverse_stages::<W, V, R, 1>(cpu, &mut v, roots, 1, b);
                    last_stage(&mut v, scale, b);
                } else {
                    inverse_stages::<W, V, R, 0>(cpu, &mut v, roots, blocks + block, b);
                }
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

/// Forward transform of a row of N ≥ L² residues; `R` = L. Inputs below 4p, outputs below p, or below
/// [`NttTable::lazy_bound`] if `lazy`.
///
/// # Panics
/// If the rows have not the table's N residues, or the table was built for vectors of other sizes.
#[inline(always)]
pub(crate) fn forward<W: MachineWord, V: Lanes<W>, const R: usize>(
    cpu: V::Cpu,
    table: &NttTable<W>,
    from: Option<&[W]>,
    row: &mut [W],
    lazy: bool,
) {
    let p = table.modulus().value();
    match table.products() {
        Products::Lazy => {
            forward_with::<W, V, R>(cpu, table, from, row, Forward(Bounds::new(cpu, p)), lazy);
        }
        Products::Centred => {
            forward_with::<W, V, R>(cpu, table, from, row, Centred::new(cpu, p), lazy);
        }
        Products::Signed => unreachable!("tables are those of the back end's vectors"),
    }
}

/// [`forward`] with these butterflies, for which the roots were made.
#[inline(always)]
fn forward_with<W: MachineWord, V: Lanes<W>, const R: usize>(
    cpu: V::Cpu,
    table: &NttTable<W>,
    from: Option<&[W]>,
    row: &mut [W],
    b: impl Butterflies<W, V>,
    lazy: bool,
) {
    const { assert!(R == V::COUNT && V::RADIX <= 16) };
    let roots = &table.vector_roots().expect("the table is for vectors").forward;
    check_lengths(table, roots, from, row, R);
    let degree = row.len();
    let lane_bits = R.trailing_zeros();
    let data = row.as_mut_ptr();
    // The first pass reads the source, the others what it wrote.
    let mut source = from.map_or(data.cast_const(), <[W]>::as_ptr);
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
            forward_stages::<W, V, R, 0>(cpu, &mut v, main, groups + group, b);
            V::transpose(&mut v);
            forward_tail_stages(cpu, &mut v, tail.add(group * R * (R - 1)), b);
            for x in &mut v {
                *x = if lazy { b.leave_lazily(*x) } else { b.leave(*x) };
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
    assert!(table.products() != Products::Signed, "tables are those of the back end's vectors");
    let b = Inverse(Bounds::<V>::new(cpu, table.modulus().value()));
    inverse_with::<W, V, R>(cpu, table, from, row, b);
}

/// [`inverse`] with these butterflies, for which the roots were made.
#[inline(always)]
fn inverse_with<W: MachineWord, V: Lanes<W>, const R: usize>(
    cpu: V::Cpu,
    table: &NttTable<W>,
    from: Option<&[W]>,
    row: &mut [W],
    b: impl InverseButterflies<W, V>,
) {
    const { assert!(R == V::COUNT && V::RADIX <= 16) };
    let vector = table.vector_roots().expect("the table is for vectors");
    let roots = &vector.inverse;
    check_lengths(table, roots, from, row, R);
    let degree = row.len();
    let lane_bits = R.trailing_zeros();
    let data = row.as_mut_ptr();
    // The first pass reads the source, the others what it wrote.
    let source = from.map_or(data.cast_const(), <[W]>::as_ptr);
    let main = RootPointers::of(&roots.values, &roots.quotients);
    let tail = RootPointers::of(&roots.tail_values, &roots.tail_quotients);
    let all_lanes = |w: Factor<W>| {
        (V::splat(cpu, w.value), V::splat(cpu, table.products().inverse_quotient(w)))
    };
    let scale =
        Scale { sum: all_lanes(table.degree_inverse()), difference: all_lanes(vector.last_root) };
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
            if groups == 1 {
                inverse_stages::<W, V, R, 1>(cpu, &mut v, main, 1, b);
                last_stage(&mut v, scale, b);
            } else {
                inverse_stages::<W, V, R, 0>(cpu, &mut v, main, groups + group, b);
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
                1 => inverse_pass::<W, V, 2>(cpu, data, blocks, stride, main, scale, b),
                2 => inverse_pass::<W, V, 4>(cpu, data, blocks, stride, main, scale, b),
                3 => inverse_pass::<W, V, 8>(cpu, data, blocks, stride, main, scale, b),
                _ => inverse_pass::<W, V, 16>(cpu, data, blocks, stride, main, scale, b),
            }
        }
    }
}
