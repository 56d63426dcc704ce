//! Vectors of 256 bits: 8 residues of 32 bits.

use super::lanes::{self, Lanes, NarrowLanes};
use crate::ntt::NttTable;
use std::arch::x86_64::*;

/// Eight 32-bit residues.
#[derive(Clone, Copy)]
pub(crate) struct U32x8(__m256i);

// SAFETY: used only by the entry points below, which carry the feature.
unsafe impl Lanes<u32> for U32x8 {
    const COUNT: usize = 8;
    const RADIX: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: u32) -> Self {
        unsafe { Self(_mm256_set1_epi32(value as i32)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        unsafe { Self(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_epi32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Self(_mm256_sub_epi32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { Self(_mm256_min_epu32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        unsafe {
            let even = _mm256_mul_epu32(self.0, quotient.0);
            let odd = _mm256_mul_epu32(
                _mm256_srli_epi64::<32>(self.0),
                _mm256_srli_epi64::<32>(quotient.0),
            );
            let high = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
            let product = _mm256_mullo_epi32(self.0, value.0);
            Self(_mm256_sub_epi32(product, _mm256_mullo_epi32(high, p.0)))
        }
    }
    #[inline(always)]
    unsafe fn permute(self, index: *const u32) -> Self {
        unsafe { Self(_mm256_permutevar8x32_epi32(self.0, _mm256_loadu_si256(index.cast()))) }
    }
    #[inline(always)]
    unsafe fn transpose(rows: *mut Self) {
        unsafe {
            let v = &mut *rows.cast::<[__m256i; 8]>();
            let mut t = [_mm256_setzero_si256(); 8];
            for k in 0..4 {
                t[2 * k] = _mm256_unpacklo_epi32(v[2 * k], v[2 * k + 1]);
                t[2 * k + 1] = _mm256_unpackhi_epi32(v[2 * k], v[2 * k + 1]);
            }
            let mut u = [_mm256_setzero_si256(); 8];
            for k in 0..2 {
                u[4 * k] = _mm256_unpacklo_epi64(t[4 * k], t[4 * k + 2]);
                u[4 * k + 1] = _mm256_unpackhi_epi64(t[4 * k], t[4 * k + 2]);
                u[4 * k + 2] = _mm256_unpacklo_epi64(t[4 * k + 1], t[4 * k + 3]);
                u[4 * k + 3] = _mm256_unpackhi_epi64(t[4 * k + 1], t[4 * k + 3]);
            }
            for c in 0..4 {
                v[c] = _mm256_permute2x128_si256::<0x20>(u[c], u[4 + c]);
                v[4 + c] = _mm256_permute2x128_si256::<0x31>(u[c], u[4 + c]);
            }
        }
    }
}

// SAFETY: as above.
unsafe impl NarrowLanes for U32x8 {
    #[inline(always)]
    unsafe fn prefetch(from: *const u32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self(_mm256_setzero_si256()) }
    }
    #[inline(always)]
    unsafe fn odd(self) -> Self {
        unsafe { Self(_mm256_srli_epi64::<32>(self.0)) }
    }
    #[inline(always)]
    unsafe fn low_halves(self) -> Self {
        unsafe { Self(_mm256_blend_epi32::<0b1010_1010>(self.0, _mm256_setzero_si256())) }
    }
    #[inline(always)]
    unsafe fn mul_even(self, other: Self) -> Self {
        unsafe { Self(_mm256_mul_epu32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn add_wide(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_epi64(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn high_halves(even: Self, odd: Self) -> Self {
        unsafe { Self(_mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even.0), odd.0)) }
    }
    #[inline(always)]
    unsafe fn unless_below(self, value: Self, threshold: Self) -> Self {
        unsafe {
            let reached = _mm256_cmpeq_epi32(_mm256_max_epu32(value.0, threshold.0), value.0);
            Self(_mm256_and_si256(self.0, reached))
        }
    }
}

#[target_feature(enable = "avx2,bmi2")]
pub(crate) fn forward(table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
    // SAFETY: this function has the feature; the callee checks lengths.
    unsafe { lanes::forward::<u32, U32x8, 8>(table, from, row) }
}

#[target_feature(enable = "avx2,bmi2")]
pub(crate) fn inverse(table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
    // SAFETY: this function has the feature; the callee checks lengths.
    unsafe { lanes::inverse::<u32, U32x8, 8>(table, from, row) }
}

#[target_feature(enable = "avx2,bmi2")]
pub(crate) fn permute(out: &mut [u32], from: &[u32], index: &[u32]) {
    // SAFETY: this function has the feature; the callee checks lengths.
    unsafe { lanes::permute::<u32, U32x8>(out, from, index) }
}

lanes::narrow_entry_points!(U32x8, "avx2,bmi2");
