//! Automorphisms f(X) → f(X^g), in both forms.

use crate::arithmetic::ntt_table::reverse_bits;
use crate::error::Error;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// An odd exponent g with 1 < g < 2N: the automorphism f(X) → f(X^g).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GaloisElement(u32);

impl GaloisElement {
    /// Checks an element for polynomials of N = `degree` coefficients.
    ///
    /// # Errors
    /// [`Error::GaloisElement`] unless the element is odd and 1 < element < 2N.
    pub fn new(element: u64, degree: usize) -> Result<Self, Error> {
        let bound = 2 * degree as u64;
        if element > 1 && element < bound && element % 2 == 1 {
            Ok(Self(element as u32))
        } else {
            Err(Error::GaloisElement { element, bound })
        }
    }

    /// The element 3^steps, which rotates each of the two rows of N/2 SIMD slots by `steps` to the
    /// left.
    ///
    /// # Errors
    /// [`Error::GaloisElement`] if that is 1: for multiples of N/2 steps.
    pub fn rotating_columns(steps: usize, degree: usize) -> Result<Self, Error> {
        let modulus = 2 * degree as u64;
        let steps = steps % (degree / 2).max(1);
        Self::new(crate::arithmetic::prime::pow_mod(3, steps as u64, modulus), degree)
    }

    /// The element 2N - 1, which swaps the two rows of SIMD slots.
    ///
    /// # Errors
    /// [`Error::GaloisElement`] for degree 1.
    pub fn swapping_rows(degree: usize) -> Result<Self, Error> {
        Self::new(2 * degree as u64 - 1, degree)
    }

    /// The exponent g.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Slot j of the image is slot `table[j]` of the argument.
    pub(crate) fn slot_table(self, degree: usize) -> Vec<u32> {
        let bits = degree.trailing_zeros();
        let source = |slot: usize| {
            let exponent = self.0 as usize * (2 * reverse_bits(slot, bits) + 1);
            reverse_bits((exponent >> 1) % degree, bits) as u32
        };
        (0..degree).map(source).collect()
    }

    /// Coefficient j of the image is coefficient `table[j]` of the argument, negated where the top
    /// bit is set.
    pub(crate) fn coefficient_table(self, degree: usize) -> Vec<u32> {
        let mut table = vec![0; degree];
        for source in 0..degree {
            let target = source * self.0 as usize % (2 * degree);
            let sign = u32::from(target >= degree) << 31;
            table[target % degree] = source as u32 | sign;
        }
        table
    }
}

/// An automorphism with its tables. They depend on the ring alone, so that all keys of a context
/// share them.
pub(crate) struct Automorphism {
    pub(crate) element: GaloisElement,
    /// Slot j of the image is this slot of the argument.
    pub(crate) slots: Vec<u32>,
    /// Coefficient j of the image is this coefficient of the argument, negated where the top bit is
    /// set.
    pub(crate) coefficients: Vec<u32>,
}

/// The automorphisms that keys were prepared for, each made once.
#[derive(Default)]
pub(crate) struct Automorphisms(RwLock<BTreeMap<GaloisElement, Arc<Automorphism>>>);

impl Automorphisms {
    /// The automorphism of an element, for polynomials of N = `degree` coefficients.
    pub(crate) fn get(&self, element: GaloisElement, degree: usize) -> Arc<Automorphism> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&element).cloned();
        known.unwrap_or_else(|| {
            let made = Arc::new(Automorphism {
                element,
                slots: element.slot_table(degree),
                coefficients: element.coefficient_table(degree),
            });
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(element).or_insert(made))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::modulus::Modulus;
    use crate::backend::{Kernels as _, kernels};
    use crate::cpu::Backend;
    use crate::rings::ntt::NttTable;
    use crate::word::Word;

    fn both_forms<W: Word>(degree: usize, modulus: u64, backend: Backend) {
        let table = NttTable::<W>::new(degree, modulus, backend).unwrap();
        let start: Vec<W> =
            (0..degree as u64).map(|i| W::truncate((i * i * 77 + 5) % modulus)).collect();
        let mut slots = start.clone();
        table.forward(&mut slots);
        for element in (3..2 * degree as u64).step_by(2) {
            let element = GaloisElement::new(element, degree).unwrap();
            let mut coefficients = vec![W::ZERO; degree];
            let index = element.coefficient_table(degree);
            let m = *table.modulus();
            kernels::permute_signed(Backend::portable(), &mut coefficients, &start, &index, m);
            let mut other = vec![W::ONE; degree];
            W::permute_signed(backend, &mut other, &start, &index, element.get(), m);
            assert!(other == coefficients, "{degree} {element:?} {backend:?}");
            table.forward(&mut coefficients);
            let mut permuted = vec![W::ZERO; degree];
            W::permute_slots(backend, &mut permuted, &slots, &element.slot_table(degree));
            assert!(permuted == coefficients, "{degree} {backend:?}");
        }
    }

    #[test]
    fn both_forms_agree() {
        for backend in Backend::permitted().unwrap() {
            for degree in [4, 8, 16, 32, 256] {
                both_forms::<u32>(degree, 12_289, backend);
                both_forms::<u64>(degree, 12_289, backend);
            }
        }
    }

    /// The elements of the usual keys, at the usual degrees.
    #[test]
    fn shifts_of_blocks_are_the_automorphism() {
        for backend in Backend::permitted().unwrap() {
            for degree in [1024_usize, 4096, 8192] {
                let modulus = 268_369_921;
                let m = Modulus::<u32>::new(modulus).unwrap();
                let mut row: Vec<u32> = (0..degree as u64)
                    .map(|i| ((i * i * 0x9e37_79b9 + 77) % modulus) as u32)
                    .collect();
                row[..3].copy_from_slice(&[0, 1, modulus as u32 - 1]);
                for power in 1..=degree.ilog2() {
                    let element = GaloisElement::new((1 << power) + 1, degree).unwrap();
                    let index = element.coefficient_table(degree);
                    let (mut expected, mut found) = (vec![1; degree], vec![2; degree]);
                    kernels::permute_signed(Backend::portable(), &mut expected, &row, &index, m);
                    u32::permute_signed(backend, &mut found, &row, &index, element.get(), m);
                    assert!(found == expected, "{degree} 2^{power} + 1 {backend:?}");
                }
            }
        }
    }

    #[test]
    fn elements_are_checked() {
        for element in [0, 1, 2, 64, 65, u64::MAX] {
            assert!(GaloisElement::new(element, 32).is_err(), "{element}");
        }
        assert_eq!(GaloisElement::rotating_columns(2, 32).unwrap().get(), 9);
        assert_eq!(GaloisElement::swapping_rows(32).unwrap().get(), 63);
    }
}
