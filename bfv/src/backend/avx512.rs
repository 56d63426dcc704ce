//! Vectors of 512 bits: 16 residues of 32 bits, or 8 of 64.

use super::lanes::{self, Lanes, NarrowLanes};
use crate::ntt::NttTable;
use std::arch::x86_64::*;

/// Sixteen 32-bit residues.
#[derive(Clone, Copy)]
pub(crate) struct U32x16(__m512i);

// SAFETY: used only by the entry points below, which carry the features.
unsafe impl Lanes<u32> for U32x16 {
    const COUNT: usize = 16;
    const RADIX: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: u32) -> Self {
        unsafe { Self(_mm512_set1_epi32(value as i32)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        unsafe { Self(_mm512_loadu_si512(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm512_add_epi32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Self(_mm512_sub_epi32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { Self(_mm512_min_epu32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        unsafe {
            // High halves of 32 × 32 products: even lanes, then odd ones brought to even places.
            let even = _mm512_mul_epu32(self.0, quotient.0);
            let odd = _mm512_mul_epu32(
                _mm512_srli_epi64::<32>(self.0),
                _mm512_srli_epi64::<32>(quotient.0),
            );
            let high = _mm512_mask_shuffle_epi32::<0b11_11_01_01>(odd, 0x5555, even);
            let product = _mm512_mullo_epi32(self.0, value.0);
            Self(_mm512_sub_epi32(product, _mm512_mullo_epi32(high, p.0)))
        }
    }
    #[inline(always)]
    unsafe fn permute(self, index: *const u32) -> Self {
        unsafe { Self(_mm512_permutexvar_epi32(_mm512_loadu_si512(index.cast()), self.0)) }
    }
    #[inline(always)]
    unsafe fn transpose(rows: *mut Self) {
        unsafe {
            let v = &mut *rows.cast::<[__m512i; 16]>();
            let mut t = [_mm512_setzero_si512(); 16];
            // Within 128-bit parts: pairs of rows, then quadruples.
            for k in 0..8 {
                t[2 * k] = _mm512_unpacklo_epi32(v[2 * k], v[2 * k + 1]);
                t[2 * k + 1] = _mm512_unpackhi_epi32(v[2 * k], v[2 * k + 1]);
            }
            let mut u = [_mm512_setzero_si512(); 16];
            for k in 0..4 {
                u[4 * k] = _mm512_unpacklo_epi64(t[4 * k], t[4 * k + 2]);
                u[4 * k + 1] = _mm512_unpackhi_epi64(t[4 * k], t[4 * k + 2]);
                u[4 * k + 2] = _mm512_unpacklo_epi64(t[4 * k + 1], t[4 * k + 3]);
                u[4 * k + 3] = _mm512_unpackhi_epi64(t[4 * k + 1], t[4 * k + 3]);
            }
            // u[4a + c] part b holds column 4b + c of rows 4a .. 4a + 3: transpose the parts.
            for c in 0..4 {
                let x = _mm512_shuffle_i32x4::<0b01_00_01_00>(u[c], u[4 + c]);
                let y = _mm512_shuffle_i32x4::<0b11_10_11_10>(u[c], u[4 + c]);
                let z = _mm512_shuffle_i32x4::<0b01_00_01_00>(u[8 + c], u[12 + c]);
                let w = _mm512_shuffle_i32x4::<0b11_10_11_10>(u[8 + c], u[12 + c]);
                v[c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(x, z);
                v[4 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(x, z);
                v[8 + c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(y, w);
                v[12 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(y, w);
            }
        }
    }
}

// SAFETY: as above.
unsafe impl NarrowLanes for U32x16 {
    #[inline(always)]
    unsafe fn prefetch(from: *const u32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self(_mm512_setzero_si512()) }
    }
    #[inline(always)]
    unsafe fn odd(self) -> Self {
        unsafe { Self(_mm512_srli_epi64::<32>(self.0)) }
    }
    #[inline(always)]
    unsafe fn low_halves(self) -> Self {
        unsafe { Self(_mm512_maskz_mov_epi32(0x5555, self.0)) }
    }
    #[inline(always)]
    unsafe fn mul_even(self, other: Self) -> Self {
        unsafe { Self(_mm512_mul_epu32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn add_wide(self, other: Self) -> Self {
        unsafe { Self(_mm512_add_epi64(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn high_halves(even: Self, odd: Self) -> Self {
        unsafe { Self(_mm512_mask_shuffle_epi32::<0b11_11_01_01>(odd.0, 0x5555, even.0)) }
    }
    #[inline(always)]
    unsafe fn unless_below(self, value: Self, threshold: Self) -> Self {
        unsafe {
            Self(_mm512_maskz_mov_epi32(_mm512_cmpge_epu32_mask(value.0, threshold.0), self.0))
        }
    }
}

/// Eight 64-bit residues.
#[derive(Clone, Copy)]
pub(crate) struct U64x8(__m512i);

// SAFETY: used only by the entry points below, which carry the features.
unsafe impl Lanes<u64> for U64x8 {
    const COUNT: usize = 8;
    const RADIX: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: u64) -> Self {
        unsafe { Self(_mm512_set1_epi64(value as i64)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        unsafe { Self(_mm512_loadu_si512(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm512_add_epi64(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Self(_mm512_sub_epi64(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { Self(_mm512_min_epu64(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        unsafe {
            // The high half of 64 × 64 from four products of halves, exact.
            let low_mask = _mm512_set1_epi64(0xffff_ffff);
            let x_high = _mm512_srli_epi64::<32>(self.0);
            let q_high = _mm512_srli_epi64::<32>(quotient.0);
            let low_low = _mm512_mul_epu32(self.0, quotient.0);
            let high_low = _mm512_mul_epu32(x_high, quotient.0);
            let low_high = _mm512_mul_epu32(self.0, q_high);
            let high_high = _mm512_mul_epu32(x_high, q_high);
            let middle = _mm512_add_epi64(high_low, _mm512_srli_epi64::<32>(low_low));
            let carry = _mm512_add_epi64(low_high, _mm512_and_si512(middle, low_mask));
            let high = _mm512_add_epi64(
                _mm512_add_epi64(high_high, _mm512_srli_epi64::<32>(middle)),
                _mm512_srli_epi64::<32>(carry),
            );
            let product = _mm512_mullo_epi64(self.0, value.0);
            Self(_mm512_sub_epi64(product, _mm512_mullo_epi64(high, p.0)))
        }
    }
    #[inline(always)]
    unsafe fn permute(self, index: *const u32) -> Self {
        unsafe {
            let index = _mm512_cvtepu32_epi64(_mm256_loadu_si256(index.cast()));
            Self(_mm512_permutexvar_epi64(index, self.0))
        }
    }
    #[inline(always)]
    unsafe fn transpose(rows: *mut Self) {
        unsafe {
            let v = &mut *rows.cast::<[__m512i; 8]>();
            let mut t = [_mm512_setzero_si512(); 8];
            for k in 0..4 {
                t[2 * k] = _mm512_unpacklo_epi64(v[2 * k], v[2 * k + 1]);
                t[2 * k + 1] = _mm512_unpackhi_epi64(v[2 * k], v[2 * k + 1]);
            }
            // t[2a + c] part b holds column 2b + c of rows 2a and 2a + 1.
            for c in 0..2 {
                let x = _mm512_shuffle_i64x2::<0b01_00_01_00>(t[c], t[2 + c]);
                let y = _mm512_shuffle_i64x2::<0b11_10_11_10>(t[c], t[2 + c]);
                let z = _mm512_shuffle_i64x2::<0b01_00_01_00>(t[4 + c], t[6 + c]);
                let w = _mm512_shuffle_i64x2::<0b11_10_11_10>(t[4 + c], t[6 + c]);
                v[c] = _mm512_shuffle_i64x2::<0b10_00_10_00>(x, z);
                v[2 + c] = _mm512_shuffle_i64x2::<0b11_01_11_01>(x, z);
                v[4 + c] = _mm512_shuffle_i64x2::<0b10_00_10_00>(y, w);
                v[6 + c] = _mm512_shuffle_i64x2::<0b11_01_11_01>(y, w);
            }
        }
    }
}

/// Eight 64-bit residues modulo a prime below 2^56: 64p fits a word, so that products need not be
/// exact and forward stages need no reduction. 15 stages of 4p each leave less than 64p.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct RoomyU64x8(U64x8);

impl RoomyU64x8 {
    /// Bits of the primes that it serves.
    pub(crate) const MODULUS_BITS: u32 = 56;
}

// SAFETY: used only by the entry points below, which carry the features.
unsafe impl Lanes<u64> for RoomyU64x8 {
    const COUNT: usize = 8;
    const RADIX: usize = 16;
    const SLACK: u32 = 4;

    #[inline(always)]
    unsafe fn splat(value: u64) -> Self {
        unsafe { Self(U64x8::splat(value)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        unsafe { Self(U64x8::load(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        unsafe { self.0.store(to) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(self.0.add(other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Self(self.0.sub(other.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { Self(self.0.min(other.0)) }
    }
    #[inline(always)]
    unsafe fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        unsafe {
            // The high half of 64 × 64 without the carries from below: at most 2 too small.
            let (x, q) = (self.0.0, quotient.0.0);
            let x_high = _mm512_srli_epi64::<32>(x);
            let q_high = _mm512_srli_epi64::<32>(q);
            let high_low = _mm512_srli_epi64::<32>(_mm512_mul_epu32(x_high, q));
            let low_high = _mm512_srli_epi64::<32>(_mm512_mul_epu32(x, q_high));
            let high_high = _mm512_mul_epu32(x_high, q_high);
            let high = _mm512_add_epi64(_mm512_add_epi64(high_high, high_low), low_high);
            let product = _mm512_mullo_epi64(x, value.0.0);
            Self(U64x8(_mm512_sub_epi64(product, _mm512_mullo_epi64(high, p.0.0))))
        }
    }
    #[inline(always)]
    unsafe fn before_forward(self, _: Self) -> Self {
        self
    }
    #[inline(always)]
    unsafe fn after_forward(self, p: Self) -> Self {
        unsafe {
            let x = self.0.0;
            let reduce = |x, bound| _mm512_min_epu64(x, _mm512_sub_epi64(x, bound));
            let x = reduce(x, _mm512_slli_epi64::<5>(p.0.0));
            let x = reduce(x, _mm512_slli_epi64::<4>(p.0.0));
            let x = reduce(x, _mm512_slli_epi64::<3>(p.0.0));
            let x = reduce(x, _mm512_slli_epi64::<2>(p.0.0));
            let x = reduce(x, _mm512_slli_epi64::<1>(p.0.0));
            Self(U64x8(reduce(x, p.0.0)))
        }
    }
    #[inline(always)]
    unsafe fn after_inverse(self, p: Self) -> Self {
        unsafe {
            let x = self.min(self.sub(p.add(p)));
            x.min(x.sub(p))
        }
    }
    #[inline(always)]
    unsafe fn permute(self, index: *const u32) -> Self {
        unsafe { Self(self.0.permute(index)) }
    }
    #[inline(always)]
    unsafe fn transpose(rows: *mut Self) {
        // SAFETY: the wrapper has the layout of what it wraps.
        unsafe { U64x8::transpose(rows.cast()) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi2")]
pub(crate) fn forward_u32(table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
    // SAFETY: this function has the features; the callee checks lengths.
    unsafe { lanes::forward::<u32, U32x16, 16>(table, from, row) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi2")]
pub(crate) fn inverse_u32(table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
    // SAFETY: this function has the features; the callee checks lengths.
    unsafe { lanes::inverse::<u32, U32x16, 16>(table, from, row) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi2")]
pub(crate) fn forward_u64(table: &NttTable<u64>, from: Option<&[u64]>, row: &mut [u64]) {
    // SAFETY: this function has the features; the callee checks lengths.
    unsafe {
        if table.modulus().bits() <= RoomyU64x8::MODULUS_BITS {
            lanes::forward::<u64, RoomyU64x8, 8>(table, from, row);
        } else {
            lanes::forward::<u64, U64x8, 8>(table, from, row);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi2")]
pub(crate) fn inverse_u64(table: &NttTable<u64>, from: Option<&[u64]>, row: &mut [u64]) {
    // SAFETY: this function has the features; the callee checks lengths.
    unsafe {
        if table.modulus().bits() <= RoomyU64x8::MODULUS_BITS {
            lanes::inverse::<u64, RoomyU64x8, 8>(table, from, row);
        } else {
            lanes::inverse::<u64, U64x8, 8>(table, from, row);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi2")]
pub(crate) fn permute_u32(out: &mut [u32], from: &[u32], index: &[u32]) {
    // SAFETY: this function has the features; the callee checks lengths.
    unsafe { lanes::permute::<u32, U32x16>(out, from, index) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi2")]
pub(crate) fn permute_u64(out: &mut [u64], from: &[u64], index: &[u32]) {
    // SAFETY: this function has the features; the callee checks lengths.
    unsafe { lanes::permute::<u64, U64x8>(out, from, index) }
}

lanes::narrow_entry_points!(U32x16, "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi2");
