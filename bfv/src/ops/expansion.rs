//! The step of an oblivious expansion: a ciphertext of many values becomes two of half as many.
//!
//! It is an automorphism, a sum, and a difference times a monomial. Rows are written once, when all three
//! are done: a key switch leaves so many of them that they do not fit the second cache.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::backend::kernels::{self, Image};
use crate::context::Context;
use crate::error::Error;
use crate::keys::prepared_key::PreparedEvaluationKey;
use crate::ops::key_switch::{Accumulators, DualCiphertext};
use crate::rings::galois::GaloisElement;
use crate::rings::poly::{Coefficient, Evaluation, Poly};
use crate::word::Word;

/// X^-power in evaluation form, prepared for [`Context::split`].
pub struct InverseMonomial<W> {
    power: usize,
    /// In Montgomery form.
    rows: Poly<W, Evaluation>,
}

impl<W: Word> Context<W> {
    /// X^-power for [`Self::split`], with 0 < power < N.
    ///
    /// # Panics
    /// If the power is out of that range.
    #[must_use]
    pub fn inverse_monomial(&self, power: usize) -> InverseMonomial<W> {
        assert!(power > 0 && power < self.degree(), "the power is between 0 and N");
        let mut monomial = Poly::<W, Coefficient>::zero(self.degree(), self.ciphertext_moduli());
        for (row, table) in monomial.rows_mut().zip(self.basis()) {
            row[0] = table.modulus().to_montgomery(W::ONE);
        }
        self.shift_poly(&mut monomial, -(power as i64));
        InverseMonomial { power, rows: monomial.into_evaluation(self.basis()) }
    }

    /// (a + b, (a - b)·X^-power), where b is an automorphism of `source`: of a, or of an image of a where the
    /// automorphism is applied several times. The results have the coefficients of c1 if
    /// `with_coefficients`, for which a must have them.
    ///
    /// # Errors
    /// [`Error::MissingGaloisKey`] without a key for the element, [`Error::Shape`] if the coefficients of a are
    /// needed and missing.
    ///
    /// # Panics
    /// If a ciphertext does not have the degree and all ciphertext moduli of the context.
    pub fn split(
        &self,
        a: &DualCiphertext<W>,
        source: &DualCiphertext<W>,
        element: GaloisElement,
        keys: &PreparedEvaluationKey<W>,
        monomial: &InverseMonomial<W>,
        with_coefficients: bool,
    ) -> Result<[DualCiphertext<W>; 2], Error> {
        let (backend, degree) = (self.backend(), self.degree());
        let shape = |c: &DualCiphertext<W>| (c.slots[0].degree(), c.slots[0].moduli());
        let moduli = monomial.rows.moduli();
        for ciphertext in [a, source] {
            assert_eq!(
                shape(ciphertext),
                (degree, moduli),
                "a ciphertext has all moduli of the context"
            );
        }
        let key = keys.galois(element)?;
        let Accumulators { mut sums, special: mut rows } = self.switch_image(source, key)?;
        let special = self.key_modulus()?;
        let division = self.division(special);
        let pair = || [Poly::any(degree, moduli), Poly::any(degree, moduli)];
        let (mut plus, mut minus) = (pair(), pair());
        let mut rounded = AlignedBuffer::any(degree);
        for (c, (sum, special_row)) in sums.iter_mut().zip(&mut rows).enumerate() {
            self.basis()[special].inverse(special_row);
            for (i, sum) in sum.rows_mut().enumerate() {
                self.rounded_away(special_row, i, &mut rounded)?;
                let table = &self.basis()[i];
                let added = (source.slots[0].row(i), &key.automorphism.slots[..]);
                let image = Image {
                    sum,
                    rounded: &rounded,
                    bound: table.lazy_bound(),
                    inverse: division.inverse[i],
                    added: (c == 0).then_some(added),
                    keep: with_coefficients && c == 1,
                };
                let out = [plus[c].row_mut(i), minus[c].row_mut(i)];
                let (a, w) = (a.slots[c].row(i), monomial.rows.row(i));
                W::split_row(backend, out, image, a, w, *table.modulus());
            }
        }
        let [_, image] = sums;
        let coefficients = match with_coefficients {
            true => self.split_coefficients(a, image, monomial.power)?.map(Some),
            false => [None, None],
        };
        let [first, second] = coefficients;
        Ok([
            DualCiphertext { slots: plus, coefficients: first },
            DualCiphertext { slots: minus, coefficients: second },
        ])
    }

    /// [`Self::split`] of the coefficients of c1, for the image in evaluation form.
    fn split_coefficients(
        &self,
        a: &DualCiphertext<W>,
        image: Poly<W, Evaluation>,
        power: usize,
    ) -> Result<[Poly<W, Coefficient>; 2], Error> {
        let Some(a) = &a.coefficients else {
            return Err(Error::Shape {
                what: "rows of coefficients",
                expected: image.moduli(),
                found: 0,
            });
        };
        let image = image.into_coefficients(self.basis());
        let [mut plus, mut minus] = [(); 2].map(|()| Poly::any(self.degree(), image.moduli()));
        for (i, table) in self.prefix(image.moduli()).iter().enumerate() {
            let out = [plus.row_mut(i), minus.row_mut(i)];
            let m = *table.modulus();
            kernels::split_coefficients(self.backend(), out, a.row(i), image.row(i), power, m);
        }
        Ok([plus, minus])
    }

    /// a + a.
    #[must_use]
    pub fn double_dual(&self, a: &DualCiphertext<W>) -> DualCiphertext<W> {
        let mut result = a.clone();
        for (x, y) in result.slots.iter_mut().zip(&a.slots) {
            self.add_poly(x, y);
        }
        if let (Some(x), Some(y)) = (&mut result.coefficients, &a.coefficients) {
            self.add_poly(x, y);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Backend;
    use crate::random::sampling::OsRandom;
    use crate::{EvaluationKeyConfig, Parameters, SecretKey};

    /// A key for one automorphism alone.
    fn key<W: Word>(
        context: &Context<W>,
        element: GaloisElement,
        secret: &SecretKey<W>,
    ) -> PreparedEvaluationKey<W> {
        let config = EvaluationKeyConfig {
            parameters: context.parameters().clone(),
            galois_elements: vec![element.get()],
            has_relinearization_key: false,
        };
        let key = context.generate_evaluation_key(&config, secret, &mut OsRandom).unwrap();
        context.prepare_evaluation_key(&key)
    }

    /// Against the automorphism alone, with the sum and the difference made number by number.
    fn agrees<W: Word>(name: &str) {
        for backend in Backend::permitted().unwrap() {
            let parameters = Parameters::predefined(name).unwrap();
            let context = Context::<W>::with_backend(parameters, backend).unwrap();
            let degree = context.degree();
            let secret = context.generate_secret_key(&mut OsRandom).unwrap();
            let element = GaloisElement::new(degree as u64 / 2 + 1, degree).unwrap();
            let keys = key(&context, element, &secret);
            let message = context.encode_coefficients(&[1, 0, 1]).unwrap();
            let fresh = context.encrypt(&message, &secret, &mut OsRandom).unwrap();
            let a = context.to_dual(&fresh).unwrap();
            let again = context.apply_galois_dual(&a, element, &keys, true).unwrap();
            for (source, power, wanted) in
                [(&a, 1, true), (&again, 2, true), (&a, degree - 1, false)]
            {
                let monomial = context.inverse_monomial(power);
                let results = context.split(&a, source, element, &keys, &monomial, wanted).unwrap();
                let image = context.apply_galois_dual(source, element, &keys, false).unwrap();
                let image = context.dual_coefficients(&image);
                for (sign, result) in [1, -1].into_iter().zip(&results) {
                    assert_eq!(result.coefficients.is_some(), wanted);
                    // The slots of c1 say the same as its coefficients.
                    let slots = result.slots[1].to_coefficients(context.basis());
                    assert!(
                        result
                            .coefficients
                            .as_ref()
                            .is_none_or(|coefficients| *coefficients == slots)
                    );
                    let result = context.dual_coefficients(result);
                    for (c, poly) in result.polys.iter().enumerate() {
                        for (i, row) in poly.rows().enumerate() {
                            let p = i128::from(context.basis()[i].modulus().to_u64());
                            let (x, y) = (fresh.polys[c].row(i), image.polys[c].row(i));
                            for (at, &found) in row.iter().enumerate() {
                                let (from, wraps) = match sign {
                                    1 => (at, false),
                                    _ => ((at + power) % degree, at + power >= degree),
                                };
                                let number = i128::from(x[from].to_u64())
                                    + sign * i128::from(y[from].to_u64());
                                let expected = if wraps { -number } else { number }.rem_euclid(p);
                                assert_eq!(
                                    i128::from(found.to_u64()),
                                    expected,
                                    "{backend:?} {c} {i} {at}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "all moduli of the context")]
    fn a_source_of_fewer_moduli_is_refused() {
        let parameters = Parameters::predefined("insecure_n_8_logq_5x18_logt_5").unwrap();
        let context = Context::<u32>::with_backend(parameters, Backend::portable()).unwrap();
        let secret = context.generate_secret_key(&mut OsRandom).unwrap();
        let element = GaloisElement::new(3, context.degree()).unwrap();
        let keys = key(&context, element, &secret);
        let message = context.encode_coefficients(&[1]).unwrap();
        let mut fresh = context.encrypt(&message, &secret, &mut OsRandom).unwrap();
        let a = context.to_dual(&fresh).unwrap();
        context.mod_switch_to_single(&mut fresh).unwrap();
        let source = context.to_dual(&fresh).unwrap();
        let monomial = context.inverse_monomial(1);
        let split = context.split(&a, &source, element, &keys, &monomial, false);
        assert!(split.is_ok(), "it panics before");
    }

    #[test]
    fn agrees_with_its_parts() {
        agrees::<u32>("n_4096_logq_27_28_28_logt_5");
        agrees::<u32>("insecure_n_8_logq_5x18_logt_5");
        agrees::<u64>("n_8192_logq_3x55_logt_24");
    }
}
