//! Vectors of 128 bits on 64-bit ARM: 4 residues of 32 bits.
//!
//! Products are those of the lower half of the lanes and of the upper half, not of even lanes and odd
//! ones, since that is what the instructions multiply. NEON is part of every 64-bit ARM processor
//! that the standard library runs on; the proof [`Neon`] is needed to make a vector all the same, and
//! vectors come from nowhere else.
#![allow(unsafe_code, reason = "intrinsics of CPU features")]

use super::kernels::{Correction, Image};
use super::lanes::transform::signed::{self, SignedLanes};
use super::lanes::{self, Lanes, NarrowLanes, automorphism, narrow};
use super::lift::Lift;
use crate::arithmetic::modulus::Modulus;
use crate::arithmetic::ntt_table::NttTable;
use crate::cpu::{Neon, with_cpu_features};
use std::arch::aarch64::*;

/// An expression of intrinsics that take and give registers.
macro_rules! neon {
    ($expression:expr) => {
        // SAFETY: a proof or a vector is at hand, so that the CPU has NEON; no memory is touched.
        unsafe { $expression }
    };
}

/// Four 32-bit residues.
#[derive(Clone, Copy)]
struct U32x4(uint32x4_t);

impl U32x4 {
    /// Two 64-bit lanes.
    #[inline(always)]
    fn wide(self) -> uint64x2_t {
        neon!(vreinterpretq_u64_u32(self.0))
    }

    #[inline(always)]
    fn of_wide(wide: uint64x2_t) -> Self {
        Self(neon!(vreinterpretq_u32_u64(wide)))
    }
}

impl Lanes<u32> for U32x4 {
    type Cpu = Neon;

    const COUNT: usize = 4;
    const RADIX: usize = 16;

    #[inline(always)]
    fn splat(_: Neon, value: u32) -> Self {
        Self(neon!(vdupq_n_u32(value)))
    }
    #[inline(always)]
    unsafe fn splat_one_of(cpu: Neon, from: *const u32, index: usize, count: usize) -> Self {
        if count < Self::COUNT {
            // SAFETY: the caller knows that there is a word at `index`.
            return Self::splat(cpu, unsafe { *from.add(index) });
        }
        // Instructions multiply by a lane as well as by a vector, so that one load serves four products.
        // SAFETY: `count` is a multiple of 4 above `index`.
        let four = unsafe { vld1q_u32(from.add(index / 4 * 4)) };
        Self(match index % 4 {
            0 => neon!(vdupq_laneq_u32::<0>(four)),
            1 => neon!(vdupq_laneq_u32::<1>(four)),
            2 => neon!(vdupq_laneq_u32::<2>(four)),
            _ => neon!(vdupq_laneq_u32::<3>(four)),
        })
    }
    #[inline(always)]
    unsafe fn load(_: Neon, from: *const u32) -> Self {
        // SAFETY: the proof is at hand, and the caller knows that 4 words can be read.
        unsafe { Self(vld1q_u32(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: a vector is at hand, and the caller knows that 4 words can be written.
        unsafe { vst1q_u32(to, self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(neon!(vaddq_u32(self.0, other.0)))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(neon!(vsubq_u32(self.0, other.0)))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(neon!(vminq_u32(self.0, other.0)))
    }
    #[inline(always)]
    fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        let low = neon!(vmull_u32(vget_low_u32(self.0), vget_low_u32(quotient.0)));
        let high = neon!(vmull_high_u32(self.0, quotient.0));
        let high = Self::high_halves(Self::of_wide(low), Self::of_wide(high));
        Self(neon!(vmlsq_u32(vmulq_u32(self.0, value.0), high.0, p.0)))
    }
    #[inline(always)]
    fn permute(self, index: &[u32]) -> Self {
        assert!(index.len() >= Self::COUNT);
        // SAFETY: a vector is at hand, and there are at least 4 indices.
        let index = unsafe { vld1q_u32(index.as_ptr()) };
        neon!({
            // Lane i is the bytes 4i to 4i + 3.
            let first = vmulq_n_u32(vandq_u32(index, vdupq_n_u32(3)), 0x0404_0404);
            let bytes = vaddq_u32(first, vdupq_n_u32(0x0302_0100));
            let all = vreinterpretq_u8_u32(self.0);
            Self(vreinterpretq_u32_u8(vqtbl1q_u8(all, vreinterpretq_u8_u32(bytes))))
        })
    }
    #[inline(always)]
    fn transpose(rows: &mut [Self]) {
        let v: &mut [Self; 4] = rows.try_into().expect("4 rows of 4 residues");
        // Even columns, then odd ones, of rows 0 and 1, then of rows 2 and 3.
        let even = [neon!(vtrn1q_u32(v[0].0, v[1].0)), neon!(vtrn1q_u32(v[2].0, v[3].0))];
        let odd = [neon!(vtrn2q_u32(v[0].0, v[1].0)), neon!(vtrn2q_u32(v[2].0, v[3].0))];
        let [even, odd] = [even, odd].map(|pair| pair.map(|x| Self(x).wide()));
        v[0] = Self::of_wide(neon!(vtrn1q_u64(even[0], even[1])));
        v[1] = Self::of_wide(neon!(vtrn1q_u64(odd[0], odd[1])));
        v[2] = Self::of_wide(neon!(vtrn2q_u64(even[0], even[1])));
        v[3] = Self::of_wide(neon!(vtrn2q_u64(odd[0], odd[1])));
    }
}

impl SignedLanes for U32x4 {
    #[inline(always)]
    fn mul_signed(self, value: Self, quotient: Self, p: Self) -> Self {
        neon!({
            let signed = vreinterpretq_s32_u32;
            let high = vqrdmulhq_s32(signed(self.0), signed(quotient.0));
            let high = vreinterpretq_u32_s32(high);
            // The quotient has the other sign: compilers negate the product when it is subtracted.
            Self(vmlaq_u32(vmulq_u32(self.0, value.0), high, p.0))
        })
    }
}

impl NarrowLanes for U32x4 {
    #[inline(always)]
    fn prefetch(_: Neon, _: *const u32) {
        // Stable Rust has no intrinsic for it here.
    }
    #[inline(always)]
    fn zero(_: Neon) -> Self {
        Self(neon!(vdupq_n_u32(0)))
    }
    #[inline(always)]
    fn second(self) -> Self {
        Self(neon!(vextq_u32::<2>(self.0, self.0)))
    }
    #[inline(always)]
    fn mul_first(self, other: Self) -> Self {
        Self::of_wide(neon!(vmull_u32(vget_low_u32(self.0), vget_low_u32(other.0))))
    }
    #[inline(always)]
    fn widen_first(self) -> Self {
        Self::of_wide(neon!(vmovl_u32(vget_low_u32(self.0))))
    }
    #[inline(always)]
    fn widen_second(self) -> Self {
        Self::of_wide(neon!(vmovl_high_u32(self.0)))
    }
    #[inline(always)]
    fn wide_low(self) -> Self {
        Self::of_wide(neon!(vandq_u64(self.wide(), vdupq_n_u64(0xffff_ffff))))
    }
    #[inline(always)]
    fn wide_high(self) -> Self {
        Self::of_wide(neon!(vshrq_n_u64::<32>(self.wide())))
    }
    #[inline(always)]
    fn mul_wide(self, constant: Self) -> Self {
        Self::of_wide(neon!(vmull_u32(vmovn_u64(self.wide()), vget_low_u32(constant.0))))
    }
    #[inline(always)]
    fn add_wide(self, other: Self) -> Self {
        Self::of_wide(neon!(vaddq_u64(self.wide(), other.wide())))
    }
    #[inline(always)]
    fn high_halves(first: Self, second: Self) -> Self {
        Self(neon!(vuzp2q_u32(first.0, second.0)))
    }
    #[inline(always)]
    fn unless_below(self, value: Self, threshold: Self) -> Self {
        Self(neon!(vandq_u32(self.0, vcgeq_u32(value.0, threshold.0))))
    }
    #[inline(always)]
    fn select(mask: Self, a: Self, b: Self) -> Self {
        Self(neon!(vbslq_u32(mask.0, a.0, b.0)))
    }
}

with_cpu_features! {
    Neon, "neon";

    fn forward(cpu, table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32], lazy: bool) {
        signed::forward::<U32x4, 4>(cpu, table, from, row, lazy);
    }

    fn inverse(cpu, table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
        signed::inverse::<U32x4, 4>(cpu, table, from, row);
    }

    fn permute(cpu, out: &mut [u32], from: &[u32], index: &[u32]) {
        lanes::permute::<u32, U32x4>(cpu, out, from, index);
    }

    fn permute_signed(cpu, out: &mut [u32], from: &[u32], rows: usize, m: Modulus<u32>) {
        automorphism::permute_rows::<U32x4>(cpu, out, from, rows, m);
    }

    fn matrix_products(
        cpu, out: &mut [[&mut [u32]; 2]], items: &[[&[u32]; 2]], matrix: &[u32],
        columns: &[Vec<u32>], m: Modulus<u32>,
    ) {
        narrow::matrix_products::<U32x4>(cpu, out, items, matrix, columns, m);
    }

    fn switch_row(
        cpu, out: [&mut [u32]; 2], digits: (&[&[u32]], u32), key: &[u32], count: usize,
        m: Modulus<u32>,
    ) {
        narrow::switch_row::<U32x4>(cpu, out, digits, key, count, m);
    }

    fn split_row(
        cpu, out: [&mut [u32]; 2], image: Image<'_, u32>, a: &[u32], w: &[u32], m: Modulus<u32>,
    ) {
        narrow::split_row::<U32x4>(cpu, out, image, a, w, m);
    }

    fn lift_rows(
        cpu, out: &mut [&mut [u32]], rows: &[&[u32]], constants: &Lift<'_, u32>,
    ) {
        lanes::lift::lift_rows::<U32x4>(cpu, out, rows, constants);
    }

    fn convert_row(
        cpu, out: &mut [u32], ys: &[&[u32]], constants: &[u32], correction: &Correction<'_, u32>,
        m: Modulus<u32>,
    ) {
        narrow::convert_row::<U32x4>(cpu, out, ys, constants, correction, m);
    }

    fn product_row(
        cpu, out: [&mut [u32]; 3], a: &[[&[u32]; 2]], b: &[[&[u32]; 2]], m: Modulus<u32>,
    ) {
        narrow::product_row::<U32x4>(cpu, out, a, b, m);
    }
}
