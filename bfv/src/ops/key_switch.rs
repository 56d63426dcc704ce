//! Key switching and what is made of it: automorphisms and relinearization.
//!
//! The digit of modulus q_j is the row of residues modulo q_j itself, as integers, brought to every
//! other modulus; the key-switching modulus P, which stands in row j of ciphertext j of the key, is
//! the whole gadget. Products with the key are summed exactly and divided by P with rounding.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::backend::kernels::{self, TILE};
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::Error;
use crate::keys::prepared_key::{PreparedEvaluationKey, PreparedGaloisKey, PreparedSwitchKey};
use crate::rings::galois::GaloisElement;
use crate::rings::poly::{Coefficient, Evaluation, Poly};
use crate::word::Word;

/// Sums of products with a key over the moduli of a ciphertext, and modulo P apart.
pub(crate) struct Accumulators<W> {
    pub(crate) sums: [Poly<W, Evaluation>; 2],
    pub(crate) special: [AlignedBuffer<W>; 2],
}

/// A two-polynomial ciphertext in evaluation form that also has the coefficients of c1, where they
/// are needed. Chains of automorphisms work on it: in each digit the row of its own modulus needs no
/// transform, and neither does the result.
pub struct DualCiphertext<W> {
    /// c0 and c1.
    pub(crate) slots: [Poly<W, Evaluation>; 2],
    /// c1.
    pub(crate) coefficients: Option<Poly<W, Coefficient>>,
}

impl<W: Word> Clone for DualCiphertext<W> {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone(), coefficients: self.coefficients.clone() }
    }
}

impl<W: Word> DualCiphertext<W> {
    /// c0 and c1 in evaluation form.
    #[must_use]
    pub fn slots(&self) -> &[Poly<W, Evaluation>; 2] {
        &self.slots
    }

    /// Takes c0 and c1 in evaluation form.
    #[must_use]
    pub fn into_slots(self) -> [Poly<W, Evaluation>; 2] {
        self.slots
    }

    /// The ciphertext in evaluation form.
    #[must_use]
    pub fn into_evaluation(self) -> Ciphertext<W, Evaluation> {
        Ciphertext::new(self.slots.into())
    }
}

impl<W: Word> Context<W> {
    /// Σ_j digit_j ∘ key_j for `d` in coefficient form; `slots`, if at hand, is `d` in evaluation
    /// form and saves the transforms of the digits' own rows.
    fn multiply_digits(
        &self,
        d: &Poly<W, Coefficient>,
        slots: Option<&Poly<W, Evaluation>>,
        key: &PreparedSwitchKey<W>,
    ) -> Result<Accumulators<W>, Error> {
        let backend = self.backend();
        let degree = self.degree();
        let moduli = d.moduli();
        let special = self.key_modulus()?;
        if key.count < moduli {
            let what = "ciphertexts of a key-switching key";
            return Err(Error::Shape { what, expected: moduli, found: key.count });
        }
        let sum = || Poly::any(degree, moduli);
        let row = || AlignedBuffer::any(degree);
        let mut result = Accumulators { sums: [sum(), sum()], special: [row(), row()] };
        let mut scratch = AlignedBuffer::<W>::any(degree * moduli);
        for target in (0..moduli).chain([special]) {
            let table = &self.basis()[target];
            let modulus = *table.modulus();
            for (j, digit) in scratch.chunks_exact_mut(degree).enumerate() {
                if j == target && slots.is_some() {
                    continue;
                }
                // The transform takes values below four times its modulus.
                if self.basis()[j].modulus().to_u64() <= 4 * modulus.to_u64() {
                    table.forward_lazily_from(d.row(j), digit);
                } else {
                    kernels::reduce_lazy(backend, digit, d.row(j), modulus);
                    table.forward_lazily(digit);
                }
            }
            let digits: Vec<&[W]> = scratch
                .chunks_exact(degree)
                .enumerate()
                .map(|(j, digit)| match slots {
                    Some(slots) if j == target => slots.row(j),
                    _ => digit,
                })
                .collect();
            let [sum0, sum1] = &mut result.sums;
            let [special0, special1] = &mut result.special;
            let out: [&mut [W]; 2] = if target == special {
                [special0, special1]
            } else {
                [sum0.row_mut(target), sum1.row_mut(target)]
            };
            let key_row = &key.rows[target];
            if degree.is_multiple_of(TILE) {
                let digits = (&digits[..], table.lazy_bound());
                W::switch_row(backend, out, digits, key_row, key.count, modulus);
            } else {
                kernels::switch_row_short(backend, out, &digits, key_row, modulus);
            }
        }
        Ok(result)
    }

    /// What division by P rounds away in a row of sums modulo P, `special` in coefficient form: modulo the
    /// modulus of index `i`, in evaluation form, below the table's `lazy_bound`.
    pub(crate) fn rounded_away(&self, special: &[W], i: usize, out: &mut [W]) -> Result<(), Error> {
        let by = self.key_modulus()?;
        let division = self.division(by);
        let (last, target) = (*self.basis()[by].modulus(), &self.basis()[i]);
        let (half, minus_half) = (division.half, division.minus_half[i]);
        let backend = self.backend();
        kernels::centre_row(backend, out, special, last, half, minus_half, *target.modulus());
        target.forward_lazily(out);
        Ok(())
    }

    /// Divides by P, rounding, stays in evaluation form, and adds `c0` to the first polynomial.
    fn divide_by_special(
        &self,
        accumulators: Accumulators<W>,
        c0: &Poly<W, Evaluation>,
    ) -> Result<[Poly<W, Evaluation>; 2], Error> {
        let backend = self.backend();
        let special = self.key_modulus()?;
        let division = self.division(special);
        let mut b = AlignedBuffer::any(self.degree());
        let Accumulators { mut sums, special: mut rows } = accumulators;
        for ((sum, special_row), added) in sums.iter_mut().zip(&mut rows).zip([Some(c0), None]) {
            self.basis()[special].inverse(special_row);
            for (i, row) in sum.rows_mut().enumerate() {
                self.rounded_away(special_row, i, &mut b)?;
                let target = &self.basis()[i];
                let (inverse, m) = (division.inverse[i], *target.modulus());
                let bound = target.lazy_bound();
                match added {
                    Some(c) => {
                        kernels::sub_mul_factor_add(backend, row, &b, bound, inverse, c.row(i), m);
                    }
                    None => kernels::sub_mul_factor(backend, row, &b, bound, inverse, m),
                }
            }
        }
        Ok(sums)
    }

    /// Divides by P, rounding, in coefficient form.
    fn divide_by_special_in_coefficients(
        &self,
        accumulators: Accumulators<W>,
    ) -> Result<[Poly<W, Coefficient>; 2], Error> {
        let special = self.key_modulus()?;
        let Accumulators { sums, special: mut rows } = accumulators;
        let mut index = 0;
        Ok(sums.map(|sum| {
            let mut sum = sum.into_coefficients(self.basis());
            self.basis()[special].inverse(&mut rows[index]);
            self.divide_rows(&mut sum, &rows[index], special);
            index += 1;
            sum
        }))
    }

    /// (x - [x]_m)/m for every row, where `last` is x modulo the modulus m of index `by`.
    pub(crate) fn divide_rows(&self, poly: &mut Poly<W, Coefficient>, last: &[W], by: usize) {
        let backend = self.backend();
        let division = self.division(by);
        let divisor = *self.basis()[by].modulus();
        let mut scratch = AlignedBuffer::any(self.degree());
        for (i, row) in poly.rows_mut().enumerate() {
            let modulus = *self.basis()[i].modulus();
            let minus_half = division.minus_half[i];
            kernels::centre_row(
                backend,
                &mut scratch,
                last,
                divisor,
                division.half,
                minus_half,
                modulus,
            );
            kernels::reduce(backend, &mut scratch, modulus);
            let (bound, inverse) = (modulus.value(), division.inverse[i]);
            kernels::sub_mul_factor(backend, row, &scratch, bound, inverse, modulus);
        }
    }

    /// Applies f(X) → f(X^g) to the plaintext.
    ///
    /// # Errors
    /// [`Error::MissingGaloisKey`] without a key for the element, [`Error::Shape`] if the ciphertext
    /// has three polynomials or does not belong to this context.
    pub fn apply_galois(
        &self,
        ciphertext: &Ciphertext<W, Coefficient>,
        element: GaloisElement,
        keys: &PreparedEvaluationKey<W>,
    ) -> Result<Ciphertext<W, Coefficient>, Error> {
        self.check_two(ciphertext)?;
        let key = keys.galois(element)?;
        let [c0, c1] = [0, 1].map(|i| self.permute_coefficients(&ciphertext.polys[i], key));
        let accumulators = self.multiply_digits(&c1, None, &key.key)?;
        let [mut u0, u1] = self.divide_by_special_in_coefficients(accumulators)?;
        self.add_poly(&mut u0, &c0);
        Ok(Ciphertext::new(vec![u0, u1]))
    }

    fn permute_coefficients(
        &self,
        poly: &Poly<W, Coefficient>,
        key: &PreparedGaloisKey<W>,
    ) -> Poly<W, Coefficient> {
        let automorphism = &*key.automorphism;
        let element = automorphism.element.get();
        let mut image = Poly::any(self.degree(), poly.moduli());
        for ((out, row), table) in image.rows_mut().zip(poly.rows()).zip(self.basis()) {
            let m = *table.modulus();
            W::permute_signed(self.backend(), out, row, &automorphism.coefficients, element, m);
        }
        image
    }

    fn permute_slots(
        &self,
        poly: &Poly<W, Evaluation>,
        key: &PreparedGaloisKey<W>,
    ) -> Poly<W, Evaluation> {
        let mut image = Poly::any(self.degree(), poly.moduli());
        for (out, row) in image.rows_mut().zip(poly.rows()) {
            W::permute_slots(self.backend(), out, row, &key.automorphism.slots);
        }
        image
    }

    /// Makes a ciphertext of three polynomials one of two with the same plaintext.
    ///
    /// # Errors
    /// [`Error::MissingRelinearizationKey`] without that key, [`Error::Shape`] if the ciphertext has
    /// two polynomials or does not belong to this context.
    pub fn relinearize(
        &self,
        ciphertext: &Ciphertext<W, Coefficient>,
        keys: &PreparedEvaluationKey<W>,
    ) -> Result<Ciphertext<W, Coefficient>, Error> {
        self.check_ciphertext(ciphertext)?;
        let [c0, c1, c2] = &ciphertext.polys[..] else {
            let found = ciphertext.polys.len();
            return Err(Error::Shape { what: "polynomials of a product", expected: 3, found });
        };
        let accumulators = self.multiply_digits(c2, None, keys.relinearization()?)?;
        let [mut u0, mut u1] = self.divide_by_special_in_coefficients(accumulators)?;
        self.add_poly(&mut u0, c0);
        self.add_poly(&mut u1, c1);
        Ok(Ciphertext::new(vec![u0, u1]))
    }

    /// Brings a ciphertext to the form that chains of automorphisms work on.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext has three polynomials or does not belong to this context.
    pub fn to_dual(
        &self,
        ciphertext: &Ciphertext<W, Coefficient>,
    ) -> Result<DualCiphertext<W>, Error> {
        self.check_two(ciphertext)?;
        let slots = [0, 1].map(|i| ciphertext.polys[i].clone().into_evaluation(self.basis()));
        Ok(DualCiphertext { slots, coefficients: Some(ciphertext.polys[1].clone()) })
    }

    /// The coefficient form of a dual ciphertext.
    #[must_use]
    pub fn dual_coefficients(&self, dual: &DualCiphertext<W>) -> Ciphertext<W, Coefficient> {
        let [c0, c1] = &dual.slots;
        let c1 = match &dual.coefficients {
            Some(coefficients) => coefficients.clone(),
            None => c1.to_coefficients(self.basis()),
        };
        Ciphertext::new(vec![c0.to_coefficients(self.basis()), c1])
    }

    /// The sums of products with a Galois key of the automorphism's image of c1.
    pub(crate) fn switch_image(
        &self,
        dual: &DualCiphertext<W>,
        key: &PreparedGaloisKey<W>,
    ) -> Result<Accumulators<W>, Error> {
        let c1 = self.permute_slots(&dual.slots[1], key);
        let d = match &dual.coefficients {
            Some(coefficients) => self.permute_coefficients(coefficients, key),
            None => c1.to_coefficients(self.basis()),
        };
        self.multiply_digits(&d, Some(&c1), &key.key)
    }

    /// As [`Self::apply_galois`], with the same bits, between dual ciphertexts. The result has no
    /// coefficients unless `with_coefficients`.
    ///
    /// # Errors
    /// [`Error::MissingGaloisKey`] without a key for the element.
    pub fn apply_galois_dual(
        &self,
        dual: &DualCiphertext<W>,
        element: GaloisElement,
        keys: &PreparedEvaluationKey<W>,
        with_coefficients: bool,
    ) -> Result<DualCiphertext<W>, Error> {
        let key = keys.galois(element)?;
        let accumulators = self.switch_image(dual, key)?;
        let c0 = self.permute_slots(&dual.slots[0], key);
        let [u0, u1] = self.divide_by_special(accumulators, &c0)?;
        let coefficients = with_coefficients.then(|| u1.to_coefficients(self.basis()));
        Ok(DualCiphertext { slots: [u0, u1], coefficients })
    }
}
