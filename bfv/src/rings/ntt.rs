//! The negacyclic number-theoretic transform, in the order of slots that keys travel in.
//!
//! Slot j of a row modulo q holds f(ψ^(2·brv(j)+1)), where ψ is the *numerically smallest* primitive
//! 2N-th root of unity modulo q and brv reverses the bits of an index. Forward butterflies are those
//! of Cooley and Tukey, inverse ones those of Gentleman and Sande, with the lazy reductions of Harvey
//! ("Faster arithmetic for number-theoretic transforms", 2014).

use crate::backend::portable;
use crate::cpu::Backend;
use crate::word::Word;
use std::cell::Cell;

pub use crate::arithmetic::ntt_table::NttTable;

thread_local! {
    static TRANSFORMS: Cell<Transforms> = const { Cell::new(Transforms { forward: 0, inverse: 0 }) };
}

/// How many transforms a thread has done, for measurements: transforms are most of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transforms {
    /// Number of rows of N residues that went from coefficients to evaluations.
    pub forward: u64,
    /// Number of rows of N residues that went from evaluations to coefficients.
    pub inverse: u64,
}

impl Transforms {
    /// The transforms of the calling thread since it started.
    #[must_use]
    pub fn of_this_thread() -> Self {
        TRANSFORMS.get()
    }

    fn count(forward: u64, inverse: u64) {
        let Self { forward: f, inverse: i } = TRANSFORMS.get();
        TRANSFORMS.set(Self { forward: f + forward, inverse: i + inverse });
    }
}

impl<W: Word> NttTable<W> {
    /// Tables for polynomials of `degree` (a power of two) modulo the prime `modulus`; `None` if
    /// the modulus is not 1 modulo 2·`degree`, or too large for the word.
    #[must_use]
    pub fn new(degree: usize, modulus: u64, backend: Backend) -> Option<Self> {
        let (lanes, signed) = (W::lanes(backend), W::has_signed_products(backend));
        Self::with_lanes(degree, modulus, backend, lanes, signed)
    }

    fn check(&self, lengths: &[usize]) {
        let fits = lengths.iter().all(|&length| length == self.degree());
        assert!(fits, "a row has one residue per coefficient");
    }

    /// Coefficients to slots, in place. Inputs are below 4q, outputs below q.
    ///
    /// # Panics
    /// Unless the row has N residues.
    pub fn forward(&self, row: &mut [W]) {
        self.forward_in_place(row, false);
    }

    /// [`Self::forward`] with outputs below [`Self::lazy_bound`], for what reduces them anyway.
    pub(crate) fn forward_lazily(&self, row: &mut [W]) {
        self.forward_in_place(row, true);
    }

    fn forward_in_place(&self, row: &mut [W], lazy: bool) {
        self.check(&[row.len()]);
        Transforms::count(1, 0);
        match self.vector_roots() {
            Some(_) => W::vector_forward(self, None, row, lazy),
            None => portable::forward(self, row),
        }
    }

    /// [`Self::forward`] from one row to another.
    ///
    /// # Panics
    /// Unless both rows have N residues.
    pub fn forward_from(&self, from: &[W], to: &mut [W]) {
        self.forward_between(from, to, false);
    }

    /// [`Self::forward_from`] with outputs below [`Self::lazy_bound`].
    pub(crate) fn forward_lazily_from(&self, from: &[W], to: &mut [W]) {
        self.forward_between(from, to, true);
    }

    fn forward_between(&self, from: &[W], to: &mut [W], lazy: bool) {
        self.check(&[from.len(), to.len()]);
        Transforms::count(1, 0);
        match self.vector_roots() {
            Some(_) => W::vector_forward(self, Some(from), to, lazy),
            None => {
                to.copy_from_slice(from);
                portable::forward(self, to);
            }
        }
    }

    /// Slots to coefficients, in place. Inputs are below 2q, outputs below q.
    ///
    /// # Panics
    /// Unless the row has N residues.
    pub fn inverse(&self, row: &mut [W]) {
        self.check(&[row.len()]);
        Transforms::count(0, 1);
        match self.vector_roots() {
            Some(_) => W::vector_inverse(self, None, row),
            None => portable::inverse(self, row),
        }
    }

    /// [`Self::inverse`] from one row to another.
    ///
    /// # Panics
    /// Unless both rows have N residues.
    pub fn inverse_from(&self, from: &[W], to: &mut [W]) {
        self.check(&[from.len(), to.len()]);
        Transforms::count(0, 1);
        match self.vector_roots() {
            Some(_) => W::vector_inverse(self, Some(from), to),
            None => {
                to.copy_from_slice(from);
                portable::inverse(self, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::ntt_table::reverse_bits;
    use crate::arithmetic::prime;
    use proptest::prelude::*;

    fn transform(values: &[u64], modulus: u64) -> Vec<u64> {
        let table = NttTable::<u64>::new(values.len(), modulus, Backend::portable()).unwrap();
        let mut row = values.to_vec();
        table.forward(&mut row);
        row
    }

    #[test]
    fn published_small_transforms() {
        assert_eq!(transform(&[1, 2, 3, 4], 97), [30, 7, 64, 0]);
        assert_eq!(transform(&[5, 6, 7, 8], 113), [108, 31, 103, 4]);
        assert_eq!(
            transform(&[1, 2, 3, 4, 5, 6, 7, 8], 4_194_353),
            [3_372_683, 765_982, 387_853, 2_657_954, 2_013_665, 1_280_882, 2_457_874, 3_840_527]
        );
    }

    #[test]
    fn a_slot_is_the_value_at_its_root() {
        let (degree, modulus) = (16_u64, 12_289_u64);
        let values: Vec<u64> = (0..degree).map(|i| i * i * 31 % modulus).collect();
        let slots = transform(&values, modulus);
        let root = prime::smallest_root(2 * degree, modulus).unwrap();
        for (slot, value) in slots.iter().enumerate() {
            let point = prime::pow_mod(root, 2 * reverse_bits(slot, 4) as u64 + 1, modulus);
            let expected = values.iter().enumerate().fold(0, |sum, (i, &c)| {
                (sum + prime::mul_mod(c, prime::pow_mod(point, i as u64, modulus), modulus))
                    % modulus
            });
            assert_eq!(*value, expected);
        }
    }

    /// Small enough for Miri (`.ci/steps/miri`).
    #[test]
    fn backends_agree_on_small_rings() {
        #[cfg(all(miri, target_feature = "avx2"))]
        assert!(Backend::avx2().is_some());
        for degree in [8_usize, 32] {
            let prime = |bits| prime::primes_above(bits, 2 * degree as u64, 1)[0];
            same_on_every_backend::<u32>(degree, prime(20), 1);
            same_on_every_backend::<u64>(degree, prime(30), 1);
        }
    }

    /// Every back end gives the bits of the portable one, in both directions, for lazy inputs too.
    fn same_on_every_backend<W: Word>(degree: usize, modulus: u64, seed: u64) {
        let portable = NttTable::<W>::new(degree, modulus, Backend::portable()).unwrap();
        let mut state = seed;
        let mut random = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed | 1);
            W::truncate(((u128::from(state) * u128::from(bound)) >> 64) as u64)
        };
        let start: Vec<W> = (0..degree).map(|_| random(4 * modulus)).collect();
        let reduced: Vec<W> = start.iter().map(|&x| portable.modulus().reduce(x)).collect();
        let mut expected = start.clone();
        portable.forward(&mut expected);
        assert!(expected.iter().all(|x| x.to_u64() < modulus));
        let mut back = expected.clone();
        portable.inverse(&mut back);
        assert_eq!(back, reduced);
        for backend in Backend::permitted().unwrap() {
            let table = NttTable::<W>::new(degree, modulus, backend).unwrap();
            let mut row = start.clone();
            table.forward(&mut row);
            assert_eq!(row, expected, "{backend:?} forward {degree} {modulus}");
            let mut other = vec![W::ZERO; degree];
            table.forward_from(&start, &mut other);
            assert_eq!(other, expected, "{backend:?} forward from {degree} {modulus}");
            table.forward_lazily_from(&start, &mut other);
            assert!(other.iter().all(|&x| x < table.lazy_bound()));
            let lazy: Vec<W> = other.iter().map(|&x| table.modulus().reduce(x)).collect();
            assert_eq!(lazy, expected, "{backend:?} lazy forward {degree} {modulus}");
            let mut lazy = start.clone();
            table.forward_lazily(&mut lazy);
            assert_eq!(lazy, other, "{backend:?} lazy forward in place {degree} {modulus}");
            // Lazy inputs of the inverse: some slots hold p more.
            for slot in row.iter_mut().step_by(3) {
                *slot = slot.wrapping_add(W::truncate(modulus));
            }
            table.inverse_from(&row, &mut other);
            assert_eq!(other, reduced, "{backend:?} inverse from {degree} {modulus}");
            table.inverse(&mut row);
            assert_eq!(row, reduced, "{backend:?} inverse {degree} {modulus}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn backends_agree(seed: u64) {
            for log in 3..=14 {
                let degree = 1_usize << log;
                for bits in [20, 27, 28, 29] {
                    let prime = prime::primes_above(bits, 2 * degree as u64, 1)[0];
                    same_on_every_backend::<u32>(degree, prime, seed);
                }
                for bits in [30, 40, 55, 57, 61] {
                    let prime = prime::primes_above(bits, 2 * degree as u64, 1)[0];
                    same_on_every_backend::<u64>(degree, prime, seed);
                }
            }
        }
    }
}
