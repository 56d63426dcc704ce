//! The two machine words that residues are stored in.

use std::fmt::Debug;
use zeroize::DefaultIsZeroes;

mod sealed {
    pub trait Sealed {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
}

/// A residue's machine word: `u32` for moduli below 2^30, `u64` for moduli below 2^62.
///
/// The width is no part of any format. It chooses the speed, and the auxiliary constants of
/// ciphertext products, so that two implementations of equal width agree in every bit.
pub trait Word:
    sealed::Sealed
    + Copy
    + Debug
    + Default
    + Eq
    + Ord
    + Send
    + Sync
    + DefaultIsZeroes
    + bytemuck::Pod
    + crate::backend::Kernels
    + 'static
{
    /// Twice as wide, for products.
    type Wide: Copy + Send + Sync + Default + Eq + Ord + Debug + 'static;

    /// Width in bits.
    const BITS: u32;
    /// Moduli are below 2^`MODULUS_BITS`, which leaves two bits for lazy sums.
    const MODULUS_BITS: u32 = Self::BITS - 2;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// γ of the decryption, section 12 of the scheme's description in `docs/pir.md`.
    const GAMMA: u64;
    /// log2 of m̃, the Montgomery modulus of the lift of ciphertext products.
    const LIFT_BITS: u32;

    /// The low bits of `value`.
    fn truncate(value: u64) -> Self;
    /// Zero-extends.
    fn to_u64(self) -> u64;
    /// Sum modulo 2^`BITS`.
    fn wrapping_add(self, other: Self) -> Self;
    /// Difference modulo 2^`BITS`.
    fn wrapping_sub(self, other: Self) -> Self;
    /// Product modulo 2^`BITS`.
    fn wrapping_mul(self, other: Self) -> Self;
    /// Exact product.
    fn widening_mul(self, other: Self) -> Self::Wide;
    /// Bitwise and.
    fn and(self, other: Self) -> Self;
    /// Shift to the right by less than `BITS`.
    fn shift_right(self, bits: u32) -> Self;
    /// Shift to the left by less than `BITS`.
    fn shift_left(self, bits: u32) -> Self;
    /// All ones if `self` is less than `other`, else 0; no branch.
    fn less_mask(self, other: Self) -> Self;

    /// `self`, less `bound` if it is not below that; for `self` below twice `bound`, which is below
    /// 2^(`BITS` - 1). No branch, and no instruction that the oldest vector units lack.
    fn less_once(self, bound: Self) -> Self;

    /// Zero-extends.
    fn wide(self) -> Self::Wide;
    /// Low half.
    fn low(wide: Self::Wide) -> Self;
    /// High half.
    fn high(wide: Self::Wide) -> Self;
    /// Sum modulo 2^(2·`BITS`).
    fn wide_add(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// Widens a 128-bit number; the caller knows that it fits.
    fn wide_from_u128(value: u128) -> Self::Wide;
    /// The wide word as a number.
    fn wide_to_u128(wide: Self::Wide) -> u128;
}

macro_rules! word {
    ($word:ty, $wide:ty, gamma = $gamma:expr, lift_bits = $lift:expr) => {
        impl Word for $word {
            type Wide = $wide;

            const BITS: u32 = <$word>::BITS;
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const GAMMA: u64 = $gamma;
            const LIFT_BITS: u32 = $lift;

            #[inline(always)]
            fn truncate(value: u64) -> Self {
                value as $word
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                u64::from(self)
            }
            #[inline(always)]
            fn wrapping_add(self, other: Self) -> Self {
                <$word>::wrapping_add(self, other)
            }
            #[inline(always)]
            fn wrapping_sub(self, other: Self) -> Self {
                <$word>::wrapping_sub(self, other)
            }
            #[inline(always)]
            fn wrapping_mul(self, other: Self) -> Self {
                <$word>::wrapping_mul(self, other)
            }
            #[inline(always)]
            fn widening_mul(self, other: Self) -> $wide {
                <$wide>::from(self) * <$wide>::from(other)
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }
            #[inline(always)]
            fn shift_right(self, bits: u32) -> Self {
                self >> bits
            }
            #[inline(always)]
            fn shift_left(self, bits: u32) -> Self {
                self << bits
            }
            #[inline(always)]
            fn less_mask(self, other: Self) -> Self {
                // Both are below 2^(BITS-1), so the top bit of the difference is its sign.
                <$word>::wrapping_sub(0, <$word>::wrapping_sub(self, other) >> (<$word>::BITS - 1))
            }
            #[inline(always)]
            fn less_once(self, bound: Self) -> Self {
                let difference = <$word>::wrapping_sub(self, bound).cast_signed();
                let is_below = (difference >> (<$word>::BITS - 1)).cast_unsigned();
                <$word>::wrapping_add(difference.cast_unsigned(), bound & is_below)
            }
            #[inline(always)]
            fn wide(self) -> $wide {
                <$wide>::from(self)
            }
            #[inline(always)]
            fn low(wide: $wide) -> Self {
                wide as $word
            }
            #[inline(always)]
            fn high(wide: $wide) -> Self {
                (wide >> <$word>::BITS) as $word
            }
            #[inline(always)]
            fn wide_add(a: $wide, b: $wide) -> $wide {
                a.wrapping_add(b)
            }
            #[inline(always)]
            fn wide_from_u128(value: u128) -> $wide {
                value as $wide
            }
            #[inline(always)]
            fn wide_to_u128(wide: $wide) -> u128 {
                wide as u128
            }
        }
    };
}

word!(u32, u64, gamma = (1 << 30) - 20405, lift_bits = 16);
word!(u64, u128, gamma = (1 << 62) - 40797, lift_bits = 32);
