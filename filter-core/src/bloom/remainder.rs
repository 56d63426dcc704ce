//! Remainder by a fixed divisor with two multiplications.

/// `x mod divisor` for 32-bit values, after Lemire, Kaser and Kurz, "Faster remainder by direct
/// computation" (2019): with 64 fraction bits the result is exact for every 32-bit pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remainder {
    divisor: u32,
    /// `ceil(2^64 / divisor)`, modulo 2^64.
    reciprocal: u64,
}

impl Remainder {
    /// `divisor` must not be zero: `Parameters` guarantees it.
    pub(super) const fn new(divisor: u32) -> Self {
        Self { divisor, reciprocal: (u64::MAX / divisor as u64).wrapping_add(1) }
    }

    #[inline]
    pub(super) const fn of(self, x: u32) -> u32 {
        let fraction = self.reciprocal.wrapping_mul(x as u64);
        ((fraction as u128 * self.divisor as u128) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_division(divisor in 1u32.., x in any::<u32>()) {
            let remainder = Remainder::new(divisor);
            for x in [x, 0, 1, divisor - 1, divisor, divisor.wrapping_add(1), u32::MAX] {
                prop_assert_eq!(remainder.of(x), x % divisor);
            }
        }
    }

    #[test]
    fn small_and_extreme_divisors() {
        for divisor in (1..2000).chain([u32::MAX - 1, u32::MAX, 1 << 31]) {
            for x in [0, 1, 2, divisor - 1, divisor, u32::MAX - 1, u32::MAX] {
                assert_eq!(Remainder::new(divisor).of(x), x % divisor, "{x} mod {divisor}");
            }
        }
    }
}
