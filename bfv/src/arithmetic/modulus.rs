//! Arithmetic modulo one odd number, without branches or divisions that depend on values.

use super::prime;
use super::word::MachineWord;

/// An odd modulus p with the constants of its reductions.
///
/// R is 2^(bits of the word). Arguments and results are in `[0, p)` unless a method says otherwise;
/// `lazy` results are a little larger. Where an argument is out of its range the result is a wrong
/// number, never undefined behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modulus<W> {
    value: W,
    /// p^-1 mod R.
    inverse: W,
    /// R mod p.
    r: W,
    /// R^2 mod p.
    r_squared: W,
    /// ⌊R/p⌋, Shoup's quotient of 1.
    one_quotient: W,
}

/// A constant factor w with its precomputed quotient ⌊w·R/p⌋ (Shoup's method): a product costs two
/// low and one high multiplication. Made by [`Modulus::factor`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Factor<W> {
    /// The factor w, in `[0, p)`.
    pub value: W,
    /// ⌊w·R/p⌋.
    pub quotient: W,
}

impl<W: MachineWord> Modulus<W> {
    /// Prepares an odd modulus of at least 3 and below 2^`W::MODULUS_BITS`; `None` for others.
    #[must_use]
    pub fn new(value: u64) -> Option<Self> {
        if value < 3 || value.is_multiple_of(2) || value >> W::MODULUS_BITS != 0 {
            return None;
        }
        let p = W::truncate(value);
        // Newton: each step doubles the number of correct low bits; p is its own inverse mod 8.
        let two = W::ONE.wrapping_add(W::ONE);
        let mut inverse = p;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(two.wrapping_sub(p.wrapping_mul(inverse)));
        }
        let big = (1_u128 << W::BITS) % u128::from(value);
        Some(Self {
            value: p,
            inverse,
            r: W::truncate(big as u64),
            r_squared: W::truncate((big * big % u128::from(value)) as u64),
            one_quotient: W::truncate(((1_u128 << W::BITS) / u128::from(value)) as u64),
        })
    }

    /// The modulus p as a word.
    #[inline(always)]
    #[must_use]
    pub fn value(&self) -> W {
        self.value
    }

    /// The modulus p as a number.
    #[inline(always)]
    #[must_use]
    pub fn to_u64(&self) -> u64 {
        self.value.to_u64()
    }

    /// ⌈log2 p⌉, the bits of a packed residue.
    #[must_use]
    pub fn bits(&self) -> u32 {
        u64::BITS - (self.to_u64() - 1).leading_zeros()
    }

    /// x mod p, for x < 2p.
    #[inline(always)]
    #[must_use]
    pub fn correct(&self, x: W) -> W {
        // The difference wraps to a huge number exactly where x < p.
        x.min(x.wrapping_sub(self.value))
    }

    /// a + b mod p.
    #[inline(always)]
    #[must_use]
    pub fn add(&self, a: W, b: W) -> W {
        self.correct(a.wrapping_add(b))
    }

    /// a - b mod p.
    #[inline(always)]
    #[must_use]
    pub fn sub(&self, a: W, b: W) -> W {
        let difference = a.wrapping_sub(b);
        difference.min(difference.wrapping_add(self.value))
    }

    /// -a mod p.
    #[inline(always)]
    #[must_use]
    pub fn neg(&self, a: W) -> W {
        self.sub(W::ZERO, a)
    }

    /// x·R^-1 mod p, for x < p·R (Montgomery reduction).
    #[inline(always)]
    #[must_use]
    pub fn montgomery_reduce(&self, x: W::Wide) -> W {
        let m = W::low(x).wrapping_mul(self.inverse);
        let t = W::high(m.widening_mul(self.value));
        self.sub(W::high(x), t)
    }

    /// A number below p·R that is congruent to x, for any wide x.
    #[inline(always)]
    #[must_use]
    pub fn fold(&self, x: W::Wide) -> W::Wide {
        // (R-1)(p-1) + R-1 = (R-1)p.
        W::wide_add(W::high(x).widening_mul(self.r), W::low(x).wide())
    }

    /// x·R^-1 mod p, for any wide x.
    #[inline(always)]
    #[must_use]
    pub fn montgomery_reduce_any(&self, x: W::Wide) -> W {
        self.montgomery_reduce(self.fold(x))
    }

    /// x mod p, for any wide x.
    #[inline(always)]
    #[must_use]
    pub fn reduce_wide(&self, x: W::Wide) -> W {
        self.montgomery_reduce(self.montgomery_reduce_any(x).widening_mul(self.r_squared))
    }

    /// x mod p, for any 128-bit x.
    #[inline(always)]
    #[must_use]
    pub fn reduce_u128(&self, x: u128) -> W {
        if W::BITS == 64 {
            return self.reduce_wide(W::wide_from_u128(x));
        }
        let high = self.reduce_wide(W::wide_from_u128(x >> 64));
        let low = self.reduce_wide(W::wide_from_u128(x & u128::from(u64::MAX)));
        self.add(self.mul(high, self.r_squared), low)
    }

    /// What the words of a number of 128 bits, lowest first, are multiplied by, so that the sum over R
    /// is the number: R^(k+1) mod p for word k. In Montgomery form it is the number's Montgomery form.
    pub(crate) fn word_weights(&self, montgomery: bool) -> [W; 4] {
        let mut weight = if montgomery { self.r_squared } else { self.r };
        [(); 4].map(|()| {
            let now = weight;
            weight = self.to_montgomery(weight);
            now
        })
    }

    /// A number below 2p that is congruent to x, for any word x.
    #[inline(always)]
    #[must_use]
    pub fn reduce_lazy(&self, x: W) -> W {
        let q = W::high(x.widening_mul(self.one_quotient));
        x.wrapping_sub(q.wrapping_mul(self.value))
    }

    /// x mod p, for any word x.
    #[inline(always)]
    #[must_use]
    pub fn reduce(&self, x: W) -> W {
        self.correct(self.reduce_lazy(x))
    }

    /// a·b mod p.
    #[inline(always)]
    #[must_use]
    pub fn mul(&self, a: W, b: W) -> W {
        let product = self.montgomery_reduce(a.widening_mul(b));
        self.montgomery_reduce(product.widening_mul(self.r_squared))
    }

    /// a·R mod p, the Montgomery form of a.
    #[inline(always)]
    #[must_use]
    pub fn to_montgomery(&self, a: W) -> W {
        self.montgomery_reduce(a.widening_mul(self.r_squared))
    }

    /// Prepares a constant factor below p.
    #[must_use]
    pub fn factor(&self, value: W) -> Factor<W> {
        let quotient = (u128::from(value.to_u64()) << W::BITS) / u128::from(self.to_u64());
        Factor { value, quotient: W::truncate(quotient as u64) }
    }

    /// Prepares any constant factor, which is reduced first.
    #[must_use]
    pub fn factor_u64(&self, value: u64) -> Factor<W> {
        self.factor(W::truncate(value % self.to_u64()))
    }

    /// A number below 2p that is congruent to x·w, for any word x.
    #[inline(always)]
    #[must_use]
    pub fn mul_factor_lazy(&self, x: W, w: Factor<W>) -> W {
        let q = W::high(x.widening_mul(w.quotient));
        x.wrapping_mul(w.value).wrapping_sub(q.wrapping_mul(self.value))
    }

    /// x·w mod p, for any word x.
    #[inline(always)]
    #[must_use]
    pub fn mul_factor(&self, x: W, w: Factor<W>) -> W {
        self.correct(self.mul_factor_lazy(x, w))
    }

    /// ⌊x/p⌋, for x < p·R.
    #[inline(always)]
    #[must_use]
    pub fn divide(&self, x: W::Wide) -> W {
        // What is left after the remainder is a multiple of p, and the quotient fits a word.
        W::low(x).wrapping_sub(self.reduce_wide(x)).wrapping_mul(self.inverse)
    }

    /// The number of products (of a residue modulo p and a number below 2^`bits` each) that may be
    /// added to a [folded](Self::fold) sum before it must be folded again. At least 1, at most 2^20.
    #[must_use]
    pub fn lazy_products(&self, bits: u32) -> usize {
        let product = self.bits() + bits;
        // A folded sum is below p·R, at most 2^(bits of p + BITS), which is at most half of the wide
        // word's range: the other half holds 2^(2·BITS - 1 - product) products.
        let half = 2 * W::BITS - 1;
        1 << half.saturating_sub(product).min(20)
    }

    /// p^-1 mod R and R mod p, for Montgomery reductions with vectors.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(crate) fn reduction_constants(&self) -> (W, W) {
        (self.inverse, self.r)
    }

    /// Whether a sum of `count` products (of a residue modulo p and a number below `bound` each) is
    /// below p·R, so that it needs no folding.
    #[must_use]
    pub fn reduces_at_once(&self, count: usize, bound: u64) -> bool {
        (count as u128).saturating_mul(u128::from(bound)) <= 1 << W::BITS
    }

    /// x·R^-1 mod p, for x < p·R if `at_once`, else for any wide x.
    #[inline(always)]
    #[must_use]
    pub fn montgomery_reduce_if(&self, x: W::Wide, at_once: bool) -> W {
        if at_once { self.montgomery_reduce(x) } else { self.montgomery_reduce_any(x) }
    }

    /// a^-1 mod p, where p is a prime and a is not 0.
    #[must_use]
    pub fn invert(&self, a: W) -> W {
        W::truncate(prime::inverse_mod(a.to_u64(), self.to_u64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NARROW: [u64; 7] = [3, 11, 17, 40_961, 134_176_769, 268_640_257, (1 << 30) - 35];
    const WIDE: [u64; 5] = [3, 131_249, 36_028_797_018_652_673, (1 << 61) - 1, (1 << 62) - 57];

    fn holds<W: MachineWord>(p: u64, a: u64, b: u64, x: u128) {
        let m = Modulus::<W>::new(p).unwrap();
        let (a, b) = (a % p, b % p);
        let (wa, wb) = (W::truncate(a), W::truncate(b));
        assert_eq!(m.add(wa, wb).to_u64(), (a + b) % p);
        assert_eq!(m.sub(wa, wb).to_u64(), (a + p - b) % p);
        assert_eq!(m.neg(wa).to_u64(), (p - a) % p);
        assert_eq!(m.mul(wa, wb).to_u64(), prime::mul_mod(a, b, p));
        let any = W::truncate(x as u64);
        assert_eq!(m.reduce(any).to_u64(), any.to_u64() % p);
        assert!(m.reduce_lazy(any).to_u64() < 2 * p);
        assert_eq!(m.mul_factor(any, m.factor(wb)).to_u64(), prime::mul_mod(any.to_u64(), b, p));
        assert_eq!(m.reduce_u128(x).to_u64(), (x % u128::from(p)) as u64);
        let wide = W::wide_from_u128(x);
        let number = W::wide_to_u128(wide);
        assert_eq!(m.reduce_wide(wide).to_u64(), (number % u128::from(p)) as u64);
        let folded = W::wide_to_u128(m.fold(wide));
        assert!(folded < u128::from(p) << W::BITS);
        assert_eq!(folded % u128::from(p), number % u128::from(p));
    }

    proptest! {
        #[test]
        fn agrees_with_plain_arithmetic(a: u64, b: u64, x: u128) {
            NARROW.iter().for_each(|&p| holds::<u32>(p, a, b, x));
            WIDE.iter().for_each(|&p| holds::<u64>(p, a, b, x));
        }
    }

    #[test]
    fn edges() {
        for p in NARROW {
            for x in [0, 1, p - 1, p, u64::from(u32::MAX), u64::MAX] {
                holds::<u32>(p, x, p - 1, u128::from(x) << 64 | u128::from(x));
            }
        }
        assert!(Modulus::<u32>::new(1 << 30).is_none());
        assert!(Modulus::<u32>::new((1 << 30) + 3).is_none());
        assert!(Modulus::<u64>::new(4).is_none());
        assert!(Modulus::<u64>::new(1).is_none());
    }

    #[test]
    fn bits_of_a_residue() {
        assert_eq!(Modulus::<u32>::new(17).unwrap().bits(), 5);
        assert_eq!(Modulus::<u32>::new(134_176_769).unwrap().bits(), 27);
        assert_eq!(Modulus::<u64>::new((1 << 55) + 1).unwrap().bits(), 56);
    }
}
