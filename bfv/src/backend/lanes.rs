//! Vectors of residues, for any register type. The algorithms over them are in `narrow` (sums of
//! products of 32-bit residues), `lift` (of operands of products), `automorphism` (of 32-bit coefficients)
//! and `transform` (the number-theoretic transform).
//!
//! `model` has vectors of any number of lanes for tests.
//!
//! A vector can be made only with a proof that the CPU has the instructions, so that everything that
//! a vector does without touching memory is safe.
#![allow(unsafe_code, reason = "loads and stores of vectors")]

pub(crate) mod automorphism;
pub(crate) mod lift;
#[cfg(test)]
pub(crate) mod model;
pub(crate) mod narrow;
pub(crate) mod transform;

use crate::arithmetic::word::MachineWord;

/// A vector of residues.
///
/// Implementors use CPU features in functions that do not carry them. All of them are inlined into
/// entry points that do, see [`with_cpu_features`](crate::cpu::with_cpu_features).
pub(crate) trait Lanes<W: MachineWord>: Copy {
    /// Proof that the CPU has the instructions. Without one no vector can be made.
    type Cpu: Copy;

    /// L, residues in a vector.
    const COUNT: usize;
    /// Largest number of vectors of an outer pass of the transform: what fits the registers.
    const RADIX: usize;
    /// Bound of lazy products, as a multiple of p.
    const SLACK: u32 = 2;

    /// A vector whose lanes all hold `value`.
    fn splat(cpu: Self::Cpu, value: W) -> Self;
    /// The word at `index` in all lanes, one of `count` words: a power of two.
    ///
    /// # Safety
    /// `from` is valid for reads of `count` words, and `index` is below `count`.
    #[inline(always)]
    unsafe fn splat_one_of(cpu: Self::Cpu, from: *const W, index: usize, _count: usize) -> Self {
        // SAFETY: the caller knows that there is a word at `index`.
        Self::splat(cpu, unsafe { *from.add(index) })
    }
    /// Reads `COUNT` words, which need not be aligned.
    ///
    /// # Safety
    /// `from` is valid for reads of `COUNT` words.
    unsafe fn load(cpu: Self::Cpu, from: *const W) -> Self;
    /// Writes `COUNT` words, which need not be aligned.
    ///
    /// # Safety
    /// `to` is valid for writes of `COUNT` words.
    unsafe fn store(self, to: *mut W);
    /// Lane-wise sum modulo 2^(bits of the word).
    fn add(self, other: Self) -> Self;
    /// Lane-wise difference modulo 2^(bits of the word).
    fn sub(self, other: Self) -> Self;
    /// Lane-wise unsigned minimum.
    fn min(self, other: Self) -> Self;
    /// x·w below `SLACK`·p for any x, where `quotient` is Shoup's quotient of w = `value`.
    fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self;
    /// What a forward butterfly does to its first input, to keep it below 4p: brings a value below
    /// 2·`slack_p` below `slack_p`.
    #[inline(always)]
    fn before_forward(self, slack_p: Self) -> Self {
        // The difference wraps to a huge number exactly where the value is below `slack_p`.
        self.min(self.sub(slack_p))
    }
    /// The results of a forward transform, from below 4p to below p.
    #[inline(always)]
    fn after_forward(self, p: Self) -> Self {
        let x = self.min(self.sub(p.add(p)));
        x.min(x.sub(p))
    }
    /// The results of an inverse transform, from below 2p to below p.
    #[inline(always)]
    fn after_inverse(self, p: Self) -> Self {
        self.min(self.sub(p))
    }
    /// Lane i becomes lane `index[i]` mod L.
    ///
    /// # Panics
    /// If there are fewer than L indices.
    fn permute(self, index: &[u32]) -> Self;
    /// Transposes the L × L matrix of these rows.
    ///
    /// # Panics
    /// Unless there are L rows.
    fn transpose(rows: &mut [Self]);
}

/// 32-bit residues, whose products have 64 bits: a vector of products has half as many lanes. The lanes
/// of a vector are halved as the instructions have it: the *first* ones are the even lanes or the lower
/// half, the *second* ones are the others. A *wide* vector has 64-bit lanes.
///
/// What is given is right for even and odd lanes, where a 64-bit lane lies over its pair.
pub(crate) trait NarrowLanes: Lanes<u32> {
    /// Asks for the cache line at an address, which need not be valid.
    fn prefetch(cpu: Self::Cpu, from: *const u32);
    /// A vector whose lanes are all 0.
    fn zero(cpu: Self::Cpu) -> Self;
    /// The second lanes in the place of the first ones.
    #[inline(always)]
    fn second(self) -> Self {
        self.wide_high()
    }
    /// Products of first lanes, wide.
    fn mul_first(self, other: Self) -> Self;
    /// First lanes, wide.
    #[inline(always)]
    fn widen_first(self) -> Self {
        self.wide_low()
    }
    /// Second lanes, wide.
    #[inline(always)]
    fn widen_second(self) -> Self {
        self.wide_high()
    }
    /// The low halves of wide lanes, zero-extended.
    fn wide_low(self) -> Self;
    /// The high halves of wide lanes, zero-extended.
    fn wide_high(self) -> Self;
    /// The low halves of wide lanes times a constant of all lanes, wide.
    #[inline(always)]
    fn mul_wide(self, constant: Self) -> Self {
        self.mul_first(constant)
    }
    /// Sums of wide lanes, modulo 2^64.
    fn add_wide(self, other: Self) -> Self;
    /// The high halves of wide lanes: those of `first` in first places, those of `second` in second
    /// ones.
    fn high_halves(first: Self, second: Self) -> Self;
    /// Lanes of `self` where `value` is at least `threshold`, else 0.
    fn unless_below(self, value: Self, threshold: Self) -> Self;
    /// Bits of `a` where `mask` has ones, bits of `b` where it has zeros. The lanes of a mask are all
    /// ones or all zeros.
    fn select(mask: Self, a: Self, b: Self) -> Self;

    /// The mask of the lanes whose number has this bit set.
    #[inline(always)]
    fn lanes_with_bit(cpu: Self::Cpu, bit: u32) -> Self {
        const MASKS: [[u32; 16]; 4] = [
            [0, !0, 0, !0, 0, !0, 0, !0, 0, !0, 0, !0, 0, !0, 0, !0],
            [0, 0, !0, !0, 0, 0, !0, !0, 0, 0, !0, !0, 0, 0, !0, !0],
            [0, 0, 0, 0, !0, !0, !0, !0, 0, 0, 0, 0, !0, !0, !0, !0],
            [0, 0, 0, 0, 0, 0, 0, 0, !0, !0, !0, !0, !0, !0, !0, !0],
        ];
        load(cpu, &MASKS[bit as usize])
    }
}

/// Reads a vector from the start of a slice.
///
/// # Panics
/// If the slice is shorter than a vector.
#[inline(always)]
pub(crate) fn load<W: MachineWord, V: Lanes<W>>(cpu: V::Cpu, from: &[W]) -> V {
    assert!(from.len() >= V::COUNT);
    // SAFETY: the slice has at least COUNT words.
    unsafe { V::load(cpu, from.as_ptr()) }
}

/// Writes a vector to the start of a slice.
///
/// # Panics
/// If the slice is shorter than a vector.
#[inline(always)]
pub(crate) fn store<W: MachineWord, V: Lanes<W>>(vector: V, to: &mut [W]) {
    assert!(to.len() >= V::COUNT);
    // SAFETY: the slice has at least COUNT words.
    unsafe { vector.store(to.as_mut_ptr()) }
}

/// An automorphism of slots. The low bits of an odd multiple of an exponent depend on the low bits
/// of the exponent alone, and slots are in bit-reversed order: so aligned blocks of slots go to
/// aligned blocks, and every vector of the result comes from one vector.
///
/// # Panics
/// Unless all slices have equal lengths of whole vectors.
#[inline(always)]
pub(crate) fn permute<W: MachineWord, V: Lanes<W>>(
    cpu: V::Cpu,
    out: &mut [W],
    from: &[W],
    index: &[u32],
) {
    assert!(out.len() == from.len() && index.len() == from.len());
    assert!(from.len().is_multiple_of(V::COUNT));
    for (out, index) in out.chunks_exact_mut(V::COUNT).zip(index.chunks_exact(V::COUNT)) {
        store(permuted::<W, V>(cpu, from, index), out);
    }
}

/// One vector of [`permute`], the one of these L indices.
///
/// # Panics
/// Unless `from` has whole vectors, a power of two of them, and there are L indices.
#[inline(always)]
pub(crate) fn permuted<W: MachineWord, V: Lanes<W>>(cpu: V::Cpu, from: &[W], index: &[u32]) -> V {
    let block = (index[0] as usize & (from.len() - 1)) / V::COUNT * V::COUNT;
    load::<W, V>(cpu, &from[block..]).permute(index)
}
