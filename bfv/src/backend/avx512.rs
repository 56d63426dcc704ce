//! Vectors of 512 bits: 16 residues of 32 bits, or 8 of 64.
//!
//! The proof [`Avx512`] is needed to make a vector, and vectors come from nowhere else. So wherever a
//! proof or a vector is at hand, the CPU has the instructions.
#![allow(unsafe_code, reason = "intrinsics of CPU features")]

use super::kernels::{Correction, Image};
use super::lanes::{self, Lanes, NarrowLanes, automorphism, narrow, transform};
use super::lift::Lift;
use crate::arithmetic::modulus::Modulus;
use crate::arithmetic::ntt_table::NttTable;
use crate::cpu::{Avx512, with_cpu_features};
use std::arch::x86_64::*;

/// An expression of intrinsics that take and give registers.
macro_rules! avx512 {
    ($expression:expr) => {
        // SAFETY: a proof or a vector is at hand, so that the CPU has AVX-512; no memory is touched.
        unsafe { $expression }
    };
}

/// Sixteen 32-bit residues.
#[derive(Clone, Copy)]
struct U32x16(__m512i);

impl Lanes<u32> for U32x16 {
    type Cpu = Avx512;

    const COUNT: usize = 16;
    const RADIX: usize = 16;

    #[inline(always)]
    fn splat(_: Avx512, value: u32) -> Self {
        Self(avx512!(_mm512_set1_epi32(value.cast_signed())))
    }
    #[inline(always)]
    unsafe fn load(_: Avx512, from: *const u32) -> Self {
        // SAFETY: the proof is at hand, and the caller knows that 16 words can be read; they need
        // not be aligned.
        unsafe { Self(_mm512_loadu_si512(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: a vector is at hand, and the caller knows that 16 words can be written; they need
        // not be aligned.
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(avx512!(_mm512_add_epi32(self.0, other.0)))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(avx512!(_mm512_sub_epi32(self.0, other.0)))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(avx512!(_mm512_min_epu32(self.0, other.0)))
    }
    #[inline(always)]
    fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        // High halves of 32 × 32 products: even lanes, then odd ones brought to even places.
        let high =
            Self::high_halves(self.mul_first(quotient), self.second().mul_first(quotient.second()));
        let product = avx512!(_mm512_mullo_epi32(self.0, value.0));
        Self(avx512!(_mm512_sub_epi32(product, _mm512_mullo_epi32(high.0, p.0))))
    }
    #[inline(always)]
    fn permute(self, index: &[u32]) -> Self {
        assert!(index.len() >= Self::COUNT);
        // SAFETY: a vector is at hand, and there are at least 16 indices.
        let index = unsafe { _mm512_loadu_si512(index.as_ptr().cast()) };
        Self(avx512!(_mm512_permutexvar_epi32(index, self.0)))
    }
    #[inline(always)]
    fn transpose(rows: &mut [Self]) {
        let v: &mut [Self; 16] = rows.try_into().expect("16 rows of 16 residues");
        let mut t = [v[0].0; 16];
        // Within 128-bit parts: pairs of rows, then quadruples.
        for k in 0..8 {
            t[2 * k] = avx512!(_mm512_unpacklo_epi32(v[2 * k].0, v[2 * k + 1].0));
            t[2 * k + 1] = avx512!(_mm512_unpackhi_epi32(v[2 * k].0, v[2 * k + 1].0));
        }
        let mut u = t;
        for k in 0..4 {
            u[4 * k] = avx512!(_mm512_unpacklo_epi64(t[4 * k], t[4 * k + 2]));
            u[4 * k + 1] = avx512!(_mm512_unpackhi_epi64(t[4 * k], t[4 * k + 2]));
            u[4 * k + 2] = avx512!(_mm512_unpacklo_epi64(t[4 * k + 1], t[4 * k + 3]));
            u[4 * k + 3] = avx512!(_mm512_unpackhi_epi64(t[4 * k + 1], t[4 * k + 3]));
        }
        // u[4a + c] part b holds column 4b + c of rows 4a .. 4a + 3: transpose the parts.
        for c in 0..4 {
            let x = avx512!(_mm512_shuffle_i32x4::<0b01_00_01_00>(u[c], u[4 + c]));
            let y = avx512!(_mm512_shuffle_i32x4::<0b11_10_11_10>(u[c], u[4 + c]));
            let z = avx512!(_mm512_shuffle_i32x4::<0b01_00_01_00>(u[8 + c], u[12 + c]));
            let w = avx512!(_mm512_shuffle_i32x4::<0b11_10_11_10>(u[8 + c], u[12 + c]));
            v[c] = Self(avx512!(_mm512_shuffle_i32x4::<0b10_00_10_00>(x, z)));
            v[4 + c] = Self(avx512!(_mm512_shuffle_i32x4::<0b11_01_11_01>(x, z)));
            v[8 + c] = Self(avx512!(_mm512_shuffle_i32x4::<0b10_00_10_00>(y, w)));
            v[12 + c] = Self(avx512!(_mm512_shuffle_i32x4::<0b11_01_11_01>(y, w)));
        }
    }
}

impl NarrowLanes for U32x16 {
    #[inline(always)]
    fn prefetch(_: Avx512, from: *const u32) {
        // SAFETY: prefetching is a hint, for which an address need not be valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    fn zero(_: Avx512) -> Self {
        Self(avx512!(_mm512_setzero_si512()))
    }
    #[inline(always)]
    fn second(self) -> Self {
        // On Zen 4 a shuffle within 128 bits takes half as long as a shift of wide lanes.
        Self(avx512!(_mm512_shuffle_epi32::<0b11_11_01_01>(self.0)))
    }
    #[inline(always)]
    fn wide_high(self) -> Self {
        Self(avx512!(_mm512_srli_epi64::<32>(self.0)))
    }
    #[inline(always)]
    fn wide_low(self) -> Self {
        Self(avx512!(_mm512_maskz_mov_epi32(0x5555, self.0)))
    }
    #[inline(always)]
    fn mul_first(self, other: Self) -> Self {
        Self(avx512!(_mm512_mul_epu32(self.0, other.0)))
    }
    #[inline(always)]
    fn add_wide(self, other: Self) -> Self {
        Self(avx512!(_mm512_add_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn high_halves(first: Self, second: Self) -> Self {
        Self(avx512!(_mm512_mask_shuffle_epi32::<0b11_11_01_01>(second.0, even_lanes(), first.0)))
    }
    #[inline(always)]
    fn unless_below(self, value: Self, threshold: Self) -> Self {
        let reached = avx512!(_mm512_cmpge_epu32_mask(value.0, threshold.0));
        Self(avx512!(_mm512_maskz_mov_epi32(reached, self.0)))
    }
    #[inline(always)]
    fn select(mask: Self, a: Self, b: Self) -> Self {
        // The table of a function of three bits: the second where the first is 1, else the third.
        Self(avx512!(_mm512_ternarylogic_epi32::<0b1100_1010>(mask.0, a.0, b.0)))
    }
}

/// The mask of even lanes, hidden from the compiler.
///
/// If the compiler knows the mask, it replaces a shuffle under it by a shuffle of two vectors, which takes twice as
/// long on Zen 4: forward transforms take a tenth longer then.
#[inline(always)]
fn even_lanes() -> __mmask16 {
    const EVEN: u32 = 0x5555;
    #[cfg(not(miri))]
    {
        let mask: u32;
        // SAFETY: an instruction that writes a constant to a register, and does nothing else.
        unsafe {
            std::arch::asm!(
                "mov {mask:e}, {even}",
                mask = out(reg) mask,
                even = const EVEN,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        mask as __mmask16
    }
    // Miri runs no assembler.
    #[cfg(miri)]
    {
        EVEN as __mmask16
    }
}

/// Eight 64-bit residues.
#[derive(Clone, Copy)]
struct U64x8(__m512i);

impl Lanes<u64> for U64x8 {
    type Cpu = Avx512;

    const COUNT: usize = 8;
    const RADIX: usize = 16;

    #[inline(always)]
    fn splat(_: Avx512, value: u64) -> Self {
        Self(avx512!(_mm512_set1_epi64(value.cast_signed())))
    }
    #[inline(always)]
    unsafe fn load(_: Avx512, from: *const u64) -> Self {
        // SAFETY: the proof is at hand, and the caller knows that 8 words can be read; they need
        // not be aligned.
        unsafe { Self(_mm512_loadu_si512(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        // SAFETY: a vector is at hand, and the caller knows that 8 words can be written; they need
        // not be aligned.
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(avx512!(_mm512_add_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(avx512!(_mm512_sub_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(avx512!(_mm512_min_epu64(self.0, other.0)))
    }
    #[inline(always)]
    fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        avx512!({
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
        })
    }
    #[inline(always)]
    fn permute(self, index: &[u32]) -> Self {
        assert!(index.len() >= Self::COUNT);
        // SAFETY: a vector is at hand, and there are at least 8 indices.
        let index = unsafe { _mm256_loadu_si256(index.as_ptr().cast()) };
        Self(avx512!(_mm512_permutexvar_epi64(_mm512_cvtepu32_epi64(index), self.0)))
    }
    #[inline(always)]
    fn transpose(rows: &mut [Self]) {
        let v: &mut [Self; 8] = rows.try_into().expect("8 rows of 8 residues");
        let mut t = [v[0].0; 8];
        for k in 0..4 {
            t[2 * k] = avx512!(_mm512_unpacklo_epi64(v[2 * k].0, v[2 * k + 1].0));
            t[2 * k + 1] = avx512!(_mm512_unpackhi_epi64(v[2 * k].0, v[2 * k + 1].0));
        }
        // t[2a + c] part b holds column 2b + c of rows 2a and 2a + 1.
        for c in 0..2 {
            let x = avx512!(_mm512_shuffle_i64x2::<0b01_00_01_00>(t[c], t[2 + c]));
            let y = avx512!(_mm512_shuffle_i64x2::<0b11_10_11_10>(t[c], t[2 + c]));
            let z = avx512!(_mm512_shuffle_i64x2::<0b01_00_01_00>(t[4 + c], t[6 + c]));
            let w = avx512!(_mm512_shuffle_i64x2::<0b11_10_11_10>(t[4 + c], t[6 + c]));
            v[c] = Self(avx512!(_mm512_shuffle_i64x2::<0b10_00_10_00>(x, z)));
            v[2 + c] = Self(avx512!(_mm512_shuffle_i64x2::<0b11_01_11_01>(x, z)));
            v[4 + c] = Self(avx512!(_mm512_shuffle_i64x2::<0b10_00_10_00>(y, w)));
            v[6 + c] = Self(avx512!(_mm512_shuffle_i64x2::<0b11_01_11_01>(y, w)));
        }
    }
}

/// Eight 64-bit residues modulo a prime below 2^56: 64p fits a word, so that products need not be
/// exact and forward stages need no reduction.
///
/// Bounds: products are below 4p (`SLACK`), a forward stage adds at most 4p to its inputs, inputs of
/// the transform are below 4p, and a transform of at most 2^15 points has at most 15 stages: results
/// are below 64p.
#[derive(Clone, Copy)]
struct RoomyU64x8(U64x8);

impl RoomyU64x8 {
    /// Largest number of bits of the primes that it serves.
    const MODULUS_BITS: u32 = 56;

    /// x, less `bound` where x is not below that; for x below twice the bound.
    #[inline(always)]
    fn less_once(self, bound: __m512i) -> Self {
        // The difference wraps to a huge number exactly where x is below the bound.
        Self(self.0.min(self.0.sub(U64x8(bound))))
    }
}

impl Lanes<u64> for RoomyU64x8 {
    type Cpu = Avx512;

    const COUNT: usize = 8;
    const RADIX: usize = 16;
    const SLACK: u32 = 4;

    #[inline(always)]
    fn splat(cpu: Avx512, value: u64) -> Self {
        Self(U64x8::splat(cpu, value))
    }
    #[inline(always)]
    unsafe fn load(cpu: Avx512, from: *const u64) -> Self {
        // SAFETY: the caller knows that 8 words can be read.
        unsafe { Self(U64x8::load(cpu, from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        // SAFETY: the caller knows that 8 words can be written.
        unsafe { self.0.store(to) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.add(other.0))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(self.0.sub(other.0))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
    #[inline(always)]
    fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        avx512!({
            // The high half of 64 × 64 without the carries from below: at most 2 too small, so that
            // a product is at most 2p larger than the exact one, which is below 2p.
            let (x, q) = (self.0.0, quotient.0.0);
            let x_high = _mm512_srli_epi64::<32>(x);
            let q_high = _mm512_srli_epi64::<32>(q);
            let high_low = _mm512_srli_epi64::<32>(_mm512_mul_epu32(x_high, q));
            let low_high = _mm512_srli_epi64::<32>(_mm512_mul_epu32(x, q_high));
            let high_high = _mm512_mul_epu32(x_high, q_high);
            let high = _mm512_add_epi64(_mm512_add_epi64(high_high, high_low), low_high);
            let product = _mm512_mullo_epi64(x, value.0.0);
            Self(U64x8(_mm512_sub_epi64(product, _mm512_mullo_epi64(high, p.0.0))))
        })
    }
    #[inline(always)]
    fn before_forward(self, _: Self) -> Self {
        self
    }
    #[inline(always)]
    fn after_forward(self, p: Self) -> Self {
        // From below 64p: each step halves the bound.
        let p = p.0.0;
        self.less_once(avx512!(_mm512_slli_epi64::<5>(p)))
            .less_once(avx512!(_mm512_slli_epi64::<4>(p)))
            .less_once(avx512!(_mm512_slli_epi64::<3>(p)))
            .less_once(avx512!(_mm512_slli_epi64::<2>(p)))
            .less_once(avx512!(_mm512_slli_epi64::<1>(p)))
            .less_once(p)
    }
    #[inline(always)]
    fn after_inverse(self, p: Self) -> Self {
        // From below 4p.
        self.less_once(p.add(p).0.0).less_once(p.0.0)
    }
    #[inline(always)]
    fn permute(self, index: &[u32]) -> Self {
        Self(self.0.permute(index))
    }
    #[inline(always)]
    fn transpose(rows: &mut [Self]) {
        let rows: &mut [Self; 8] = rows.try_into().expect("8 rows of 8 residues");
        let mut inner = [rows[0].0; 8];
        for (inner, row) in inner.iter_mut().zip(&*rows) {
            *inner = row.0;
        }
        U64x8::transpose(&mut inner);
        for (row, inner) in rows.iter_mut().zip(inner) {
            row.0 = inner;
        }
    }
}

with_cpu_features! {
    Avx512, "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi2";

    fn forward_u32(cpu, table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32], lazy: bool) {
        transform::forward::<u32, U32x16, 16>(cpu, table, from, row, lazy);
    }

    fn inverse_u32(cpu, table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
        transform::inverse::<u32, U32x16, 16>(cpu, table, from, row);
    }

    fn forward_u64(cpu, table: &NttTable<u64>, from: Option<&[u64]>, row: &mut [u64]) {
        if table.modulus().bits() <= RoomyU64x8::MODULUS_BITS {
            transform::forward::<u64, RoomyU64x8, 8>(cpu, table, from, row, false);
        } else {
            transform::forward::<u64, U64x8, 8>(cpu, table, from, row, false);
        }
    }

    fn inverse_u64(cpu, table: &NttTable<u64>, from: Option<&[u64]>, row: &mut [u64]) {
        if table.modulus().bits() <= RoomyU64x8::MODULUS_BITS {
            transform::inverse::<u64, RoomyU64x8, 8>(cpu, table, from, row);
        } else {
            transform::inverse::<u64, U64x8, 8>(cpu, table, from, row);
        }
    }

    fn permute_u32(cpu, out: &mut [u32], from: &[u32], index: &[u32]) {
        lanes::permute::<u32, U32x16>(cpu, out, from, index);
    }

    fn permute_u64(cpu, out: &mut [u64], from: &[u64], index: &[u32]) {
        lanes::permute::<u64, U64x8>(cpu, out, from, index);
    }

    fn permute_signed(cpu, out: &mut [u32], from: &[u32], rows: usize, m: Modulus<u32>) {
        automorphism::permute_rows::<U32x16>(cpu, out, from, rows, m);
    }

    fn matrix_products(
        cpu, out: &mut [[&mut [u32]; 2]], items: &[[&[u32]; 2]], matrix: &[u32],
        columns: &[Vec<u32>], m: Modulus<u32>,
    ) {
        narrow::matrix_products::<U32x16>(cpu, out, items, matrix, columns, m);
    }

    fn switch_row(
        cpu, out: [&mut [u32]; 2], digits: (&[&[u32]], u32), key: &[u32], count: usize,
        m: Modulus<u32>,
    ) {
        narrow::switch_row::<U32x16>(cpu, out, digits, key, count, m);
    }

    fn split_row(
        cpu, out: [&mut [u32]; 2], image: Image<'_, u32>, a: &[u32], w: &[u32], m: Modulus<u32>,
    ) {
        narrow::split_row::<U32x16>(cpu, out, image, a, w, m);
    }

    fn lift_rows(
        cpu, out: &mut [&mut [u32]], rows: &[&[u32]], constants: &Lift<'_, u32>,
    ) {
        lanes::lift::lift_rows::<U32x16>(cpu, out, rows, constants);
    }

    fn convert_row(
        cpu, out: &mut [u32], ys: &[&[u32]], constants: &[u32], correction: &Correction<'_, u32>,
        m: Modulus<u32>,
    ) {
        narrow::convert_row::<U32x16>(cpu, out, ys, constants, correction, m);
    }

    fn product_row(
        cpu, out: [&mut [u32]; 3], a: &[[&[u32]; 2]], b: &[[&[u32]; 2]], m: Modulus<u32>,
    ) {
        narrow::product_row::<U32x16>(cpu, out, a, b, m);
    }
}
