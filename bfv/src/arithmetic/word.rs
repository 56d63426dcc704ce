//! The two machine words that residues are stored in, and their arithmetic.

use std::fmt::Debug;
use zeroize::DefaultIsZeroes;

mod sealed {
    pub trait Sealed {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
}

/// The arithmetic of a residue's machine word: `u32` for moduli below 2^30, `u64` for moduli below
/// 2^62. Code outside of this crate names [`Word`](crate::Word) instead, which includes it.
///
/// Both types implement it and no others can.
pub trait MachineWord:
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
    + 'static
{
    /// The word of twice the width, for products.
    type Wide: Copy + Send + Sync + Default + Eq + Ord + Debug + 'static;

    /// Width in bits, 32 or 64.
    const BITS: u32;
    /// Moduli are below 2^`MODULUS_BITS`, which leaves two bits for lazy sums.
    const MODULUS_BITS: u32 = Self::BITS - 2;
    /// The number 0.
    const ZERO: Self;
    /// The number 1.
    const ONE: Self;
    /// γ of decryption by rounding (Bajard, Eynard, Hasan and Zucca, eprint 2016/510): odd, coprime to
    /// every modulus, and a little below 2^`MODULUS_BITS`.
    const GAMMA: u64;
    /// log2 of m̃, the Montgomery modulus of the lift of ciphertext products.
    const LIFT_BITS: u32;

    /// The low `BITS` bits of `value`.
    #[must_use]
    fn truncate(value: u64) -> Self;
    /// The same number in 64 bits.
    fn to_u64(self) -> u64;
    /// The number whose bytes, as they lie in memory, are little endian.
    #[doc(hidden)]
    #[must_use]
    fn of_little_endian(self) -> Self;
    /// Sum modulo 2^`BITS`.
    #[must_use]
    fn wrapping_add(self, other: Self) -> Self;
    /// Difference modulo 2^`BITS`.
    #[must_use]
    fn wrapping_sub(self, other: Self) -> Self;
    /// Product modulo 2^`BITS`.
    #[must_use]
    fn wrapping_mul(self, other: Self) -> Self;
    /// Exact product, in twice the width.
    fn widening_mul(self, other: Self) -> Self::Wide;
    /// Keeps the bits that both words have.
    #[must_use]
    fn and(self, other: Self) -> Self;
    /// Shift to the right by less than `BITS`.
    #[must_use]
    fn shift_right(self, bits: u32) -> Self;
    /// Shift to the left by less than `BITS`.
    #[must_use]
    fn shift_left(self, bits: u32) -> Self;
    /// All ones if `self` is less than `other`, else 0, for numbers below 2^(`BITS` - 1). No branch.
    #[must_use]
    fn less_mask(self, other: Self) -> Self;

    /// `self` - `bound` if that is not negative, else `self`; for `self` below twice `bound`, and
    /// `bound` below 2^(`BITS` - 1). No branch, and only operations that every vector unit has.
    #[must_use]
    fn less_once(self, bound: Self) -> Self;

    /// The same number in twice the width.
    fn wide(self) -> Self::Wide;
    /// The low half of a wide word.
    #[must_use]
    fn low(wide: Self::Wide) -> Self;
    /// The high half of a wide word.
    #[must_use]
    fn high(wide: Self::Wide) -> Self;
    /// Sum modulo 2^(2·`BITS`).
    fn wide_add(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// The low 2·`BITS` bits of a number.
    fn wide_from_u128(value: u128) -> Self::Wide;
    /// The same number in 128 bits.
    fn wide_to_u128(wide: Self::Wide) -> u128;
}

macro_rules! word {
    ($word:ty, $wide:ty, gamma = $gamma:expr, lift_bits = $lift:expr) => {
        impl MachineWord for $word {
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
            fn of_little_endian(self) -> Self {
                <$word>::from_le(self)
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
