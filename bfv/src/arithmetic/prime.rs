//! Prime moduli: primality, search, and the roots of unity that fix the order of evaluation form.

/// a·b mod m, exact.
pub(crate) fn mul_mod(a: u64, b: u64, m: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(m)) as u64
}

/// base^exponent mod m.
pub(crate) fn pow_mod(base: u64, mut exponent: u64, m: u64) -> u64 {
    let mut result = 1 % m;
    let mut square = base % m;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul_mod(result, square, m);
        }
        square = mul_mod(square, square, m);
        exponent >>= 1;
    }
    result
}

/// The inverse of `a` modulo a prime, or 0 if `a` is a multiple of it.
pub(crate) fn inverse_mod(a: u64, prime: u64) -> u64 {
    pow_mod(a % prime, prime - 2, prime)
}

/// Whether `n` is prime: Miller–Rabin with the bases that decide every 64-bit number
/// (Sorenson and Webster, "Strong pseudoprimes to twelve prime bases", 2015).
#[must_use]
pub fn is_prime(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 {
        return false;
    }
    if let Some(base) = BASES.iter().find(|&&base| n.is_multiple_of(base)) {
        return n == *base;
    }
    let twos = (n - 1).trailing_zeros();
    let odd = (n - 1) >> twos;
    BASES.iter().all(|&base| {
        let mut x = pow_mod(base, odd, n);
        if x == 1 || x == n - 1 {
            return true;
        }
        (1..twos).any(|_| {
            x = mul_mod(x, x, n);
            x == n - 1
        })
    })
}

/// The first `count` primes that are 1 modulo `step` and above 2^`bits`, ascending.
pub(crate) fn primes_above(bits: u32, step: u64, count: usize) -> Vec<u64> {
    // 2^bits is a multiple of the step, which is a power of two.
    ((1_u64 << bits) + 1..).step_by(step as usize).filter(|&n| is_prime(n)).take(count).collect()
}

/// The numerically smallest primitive root of unity of the given order (a power of two that
/// divides `prime` - 1), or `None` if there is none.
///
/// Which root is taken decides the order of slots in evaluation form, and so the meaning of every
/// serialized key.
pub(crate) fn smallest_root(order: u64, prime: u64) -> Option<u64> {
    if !(prime - 1).is_multiple_of(order) {
        return None;
    }
    let minus_one = prime - 1;
    let root = (2..prime)
        .map(|base| pow_mod(base, (prime - 1) / order, prime))
        .find(|&root| order < 2 || pow_mod(root, order / 2, prime) == minus_one)?;
    let square = mul_mod(root, root, prime);
    let mut current = root;
    let mut smallest = root;
    for _ in 1..order / 2 {
        current = mul_mod(current, square, prime);
        smallest = smallest.min(current);
    }
    Some(smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primality_of_small_and_special_numbers() {
        let primes: Vec<u64> = (0..60).filter(|&n| is_prime(n)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]);
        assert!(is_prime(268_369_921));
        assert!(is_prime(1_152_921_504_606_830_593));
        // Strong pseudoprimes to many small bases.
        assert!(!is_prime(3_215_031_751));
        assert!(!is_prime(3_825_123_056_546_413_051));
        assert!(!is_prime(u64::MAX));
    }

    #[test]
    fn smallest_roots_as_published() {
        let roots = [
            (4096, 134_176_769, 24_149),
            (4096, 268_369_921, 62_736),
            (4096, 268_361_729, 58_939),
            (4096, 40_961, 12),
            (8192, 36_028_797_018_652_673, 15_372_713_853_695),
            (8192, 1_152_921_504_606_748_673, 100_406_242_475_323),
        ];
        for (degree, prime, root) in roots {
            assert_eq!(smallest_root(2 * degree, prime), Some(root), "{prime}");
        }
        assert_eq!(smallest_root(8, 1_234_565_441), Some(249_725_733));
        assert_eq!(smallest_root(4, 29), Some(12));
        assert_eq!(smallest_root(8, 29), None);
    }

    #[test]
    fn auxiliary_primes_as_published() {
        assert_eq!(primes_above(28, 8192, 3), [268_460_033, 268_582_913, 268_640_257]);
        assert_eq!(
            primes_above(60, 16384, 3),
            [1_152_921_504_606_994_433, 1_152_921_504_607_191_041, 1_152_921_504_607_223_809]
        );
    }
}
