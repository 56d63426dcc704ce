//! Vectors of 256 bits: 8 residues of 32 bits.
//!
//! The proof [`Avx2`] is needed to make a vector, and vectors come from nowhere else. So wherever a
//! proof or a vector is at hand, the CPU has the instructions.
#![allow(unsafe_code, reason = "intrinsics of CPU features")]

use super::kernels::{Correction, Image};
use super::lanes::{self, Lanes, NarrowLanes, automorphism, narrow, transform};
use super::lift::Lift;
use crate::arithmetic::modulus::Modulus;
use crate::arithmetic::ntt_table::NttTable;
use crate::cpu::{Avx2, with_cpu_features};
use std::arch::x86_64::*;

/// An expression of intrinsics that take and give registers.
macro_rules! avx2 {
    ($expression:expr) => {
        // SAFETY: a proof or a vector is at hand, so that the CPU has AVX2; no memory is touched.
        unsafe { $expression }
    };
}

/// Eight 32-bit residues.
#[derive(Clone, Copy)]
struct U32x8(__m256i);

impl Lanes<u32> for U32x8 {
    type Cpu = Avx2;

    const COUNT: usize = 8;
    const RADIX: usize = 8;

    #[inline(always)]
    fn splat(_: Avx2, value: u32) -> Self {
        Self(avx2!(_mm256_set1_epi32(value.cast_signed())))
    }
    #[inline(always)]
    unsafe fn load(_: Avx2, from: *const u32) -> Self {
        // SAFETY: the proof is at hand, and the caller knows that 8 words can be read; they need
        // not be aligned.
        unsafe { Self(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: a vector is at hand, and the caller knows that 8 words can be written; they need
        // not be aligned.
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(avx2!(_mm256_add_epi32(self.0, other.0)))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(avx2!(_mm256_sub_epi32(self.0, other.0)))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(avx2!(_mm256_min_epu32(self.0, other.0)))
    }
    #[inline(always)]
    fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        let high =
            Self::high_halves(self.mul_first(quotient), self.second().mul_first(quotient.second()));
        let product = avx2!(_mm256_mullo_epi32(self.0, value.0));
        Self(avx2!(_mm256_sub_epi32(product, _mm256_mullo_epi32(high.0, p.0))))
    }
    #[inline(always)]
    fn permute(self, index: &[u32]) -> Self {
        assert!(index.len() >= Self::COUNT);
        // SAFETY: a vector is at hand, and there are at least 8 indices.
        let index = unsafe { _mm256_loadu_si256(index.as_ptr().cast()) };
        Self(avx2!(_mm256_permutevar8x32_epi32(self.0, index)))
    }
    #[inline(always)]
    fn transpose(rows: &mut [Self]) {
        let v: &mut [Self; 8] = rows.try_into().expect("8 rows of 8 residues");
        let mut t = [v[0].0; 8];
        for k in 0..4 {
            t[2 * k] = avx2!(_mm256_unpacklo_epi32(v[2 * k].0, v[2 * k + 1].0));
            t[2 * k + 1] = avx2!(_mm256_unpackhi_epi32(v[2 * k].0, v[2 * k + 1].0));
        }
        let mut u = t;
        for k in 0..2 {
            u[4 * k] = avx2!(_mm256_unpacklo_epi64(t[4 * k], t[4 * k + 2]));
            u[4 * k + 1] = avx2!(_mm256_unpackhi_epi64(t[4 * k], t[4 * k + 2]));
            u[4 * k + 2] = avx2!(_mm256_unpacklo_epi64(t[4 * k + 1], t[4 * k + 3]));
            u[4 * k + 3] = avx2!(_mm256_unpackhi_epi64(t[4 * k + 1], t[4 * k + 3]));
        }
        for c in 0..4 {
            v[c] = Self(avx2!(_mm256_permute2x128_si256::<0x20>(u[c], u[4 + c])));
            v[4 + c] = Self(avx2!(_mm256_permute2x128_si256::<0x31>(u[c], u[4 + c])));
        }
    }
}

impl NarrowLanes for U32x8 {
    #[inline(always)]
    fn prefetch(_: Avx2, from: *const u32) {
        // SAFETY: prefetching is a hint, for which an address need not be valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    fn zero(_: Avx2) -> Self {
        Self(avx2!(_mm256_setzero_si256()))
    }
    #[inline(always)]
    fn wide_high(self) -> Self {
        Self(avx2!(_mm256_srli_epi64::<32>(self.0)))
    }
    #[inline(always)]
    fn wide_low(self) -> Self {
        Self(avx2!(_mm256_blend_epi32::<0b1010_1010>(self.0, _mm256_setzero_si256())))
    }
    #[inline(always)]
    fn mul_first(self, other: Self) -> Self {
        Self(avx2!(_mm256_mul_epu32(self.0, other.0)))
    }
    #[inline(always)]
    fn add_wide(self, other: Self) -> Self {
        Self(avx2!(_mm256_add_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn high_halves(first: Self, second: Self) -> Self {
        Self(avx2!(_mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(first.0), second.0)))
    }
    #[inline(always)]
    fn unless_below(self, value: Self, threshold: Self) -> Self {
        let reached = avx2!(_mm256_cmpeq_epi32(_mm256_max_epu32(value.0, threshold.0), value.0));
        Self(avx2!(_mm256_and_si256(self.0, reached)))
    }
    #[inline(always)]
    fn select(mask: Self, a: Self, b: Self) -> Self {
        Self(avx2!(_mm256_blendv_epi8(b.0, a.0, mask.0)))
    }
}

with_cpu_features! {
    Avx2, "avx2,bmi2";

    fn forward(cpu, table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32], lazy: bool) {
        transform::forward::<u32, U32x8, 8>(cpu, table, from, row, lazy);
    }

    fn inverse(cpu, table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
        transform::inverse::<u32, U32x8, 8>(cpu, table, from, row);
    }

    fn permute(cpu, out: &mut [u32], from: &[u32], index: &[u32]) {
        lanes::permute::<u32, U32x8>(cpu, out, from, index);
    }

    fn permute_signed(cpu, out: &mut [u32], from: &[u32], rows: usize, m: Modulus<u32>) {
        automorphism::permute_rows::<U32x8>(cpu, out, from, rows, m);
    }

    fn matrix_products(
        cpu, out: &mut [[&mut [u32]; 2]], items: &[[&[u32]; 2]], matrix: &[u32],
        columns: &[Vec<u32>], m: Modulus<u32>,
    ) {
        narrow::matrix_products::<U32x8>(cpu, out, items, matrix, columns, m);
    }

    fn switch_row(
        cpu, out: [&mut [u32]; 2], digits: (&[&[u32]], u32), key: &[u32], count: usize,
        m: Modulus<u32>,
    ) {
        narrow::switch_row::<U32x8>(cpu, out, digits, key, count, m);
    }

    fn split_row(
        cpu, out: [&mut [u32]; 2], image: Image<'_, u32>, a: &[u32], w: &[u32], m: Modulus<u32>,
    ) {
        narrow::split_row::<U32x8>(cpu, out, image, a, w, m);
    }

    fn lift_rows(
        cpu, out: &mut [&mut [u32]], rows: &[&[u32]], constants: &Lift<'_, u32>,
    ) {
        lanes::lift::lift_rows::<U32x8>(cpu, out, rows, constants);
    }

    fn convert_row(
        cpu, out: &mut [u32], ys: &[&[u32]], constants: &[u32], correction: &Correction<'_, u32>,
        m: Modulus<u32>,
    ) {
        narrow::convert_row::<U32x8>(cpu, out, ys, constants, correction, m);
    }

    fn product_row(
        cpu, out: [&mut [u32]; 3], a: &[[&[u32]; 2]], b: &[[&[u32]; 2]], m: Modulus<u32>,
    ) {
        narrow::product_row::<U32x8>(cpu, out, a, b, m);
    }
}
