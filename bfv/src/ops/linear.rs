//! Sums, products with plaintexts, products with powers of X, and the change of form: the operations
//! that need no keys.

use crate::backend::kernels;
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::Error;
use crate::plaintext::{EvaluationPlaintext, Plaintext};
use crate::rings::poly::{Coefficient, Evaluation, Form, Poly};
use crate::word::Word;
use zeroize::Zeroize;

impl<W: Word> Context<W> {
    /// a + b or a - b; a polynomial that one side lacks counts as zero.
    fn combine<F: Form>(
        &self,
        a: &mut Ciphertext<W, F>,
        b: &Ciphertext<W, F>,
        subtract: bool,
    ) -> Result<(), Error> {
        self.check_pair(a, b)?;
        a.seed = None;
        let zero = Poly::zero(self.degree(), b.moduli());
        a.polys.resize(a.polys.len().max(b.polys.len()), zero);
        for (x, y) in a.polys.iter_mut().zip(&b.polys) {
            if subtract { self.sub_poly(x, y) } else { self.add_poly(x, y) }
        }
        Ok(())
    }

    /// a += b. The plaintexts add modulo t; a polynomial that one side lacks counts as zero.
    ///
    /// # Errors
    /// [`Error::Shape`] if a ciphertext does not belong to this context, or their numbers of moduli
    /// differ.
    pub fn add<F: Form>(
        &self,
        a: &mut Ciphertext<W, F>,
        b: &Ciphertext<W, F>,
    ) -> Result<(), Error> {
        self.combine(a, b, false)
    }

    /// a -= b. The plaintexts subtract modulo t.
    ///
    /// # Errors
    /// [`Error::Shape`] if a ciphertext does not belong to this context, or their numbers of moduli
    /// differ.
    pub fn sub<F: Form>(
        &self,
        a: &mut Ciphertext<W, F>,
        b: &Ciphertext<W, F>,
    ) -> Result<(), Error> {
        self.combine(a, b, true)
    }

    /// a = -a.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext does not belong to this context.
    pub fn negate<F: Form>(&self, a: &mut Ciphertext<W, F>) -> Result<(), Error> {
        self.check_ciphertext(a)?;
        a.seed = None;
        for poly in &mut a.polys {
            for (row, table) in poly.rows_mut().zip(self.basis()) {
                kernels::neg(self.backend(), row, *table.modulus());
            }
        }
        Ok(())
    }

    pub(crate) fn add_poly<F: Form>(&self, a: &mut Poly<W, F>, b: &Poly<W, F>) {
        for ((x, y), table) in a.rows_mut().zip(b.rows()).zip(self.basis()) {
            kernels::add(self.backend(), x, y, *table.modulus());
        }
    }

    pub(crate) fn sub_poly<F: Form>(&self, a: &mut Poly<W, F>, b: &Poly<W, F>) {
        for ((x, y), table) in a.rows_mut().zip(b.rows()).zip(self.basis()) {
            kernels::sub(self.backend(), x, y, *table.modulus());
        }
    }

    /// Adds a plaintext. c1 and its seed stay.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext does not belong to this context.
    pub fn add_plaintext(
        &self,
        a: &mut Ciphertext<W, Coefficient>,
        plaintext: &Plaintext<W>,
    ) -> Result<(), Error> {
        self.check_ciphertext(a)?;
        let mut scaled = self.scale_plaintext(plaintext, a.moduli());
        self.add_poly(&mut a.polys[0], &scaled);
        scaled.zeroize();
        Ok(())
    }

    /// Subtracts a plaintext. c1 and its seed stay.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext does not belong to this context.
    pub fn sub_plaintext(
        &self,
        a: &mut Ciphertext<W, Coefficient>,
        plaintext: &Plaintext<W>,
    ) -> Result<(), Error> {
        self.check_ciphertext(a)?;
        let mut scaled = self.scale_plaintext(plaintext, a.moduli());
        self.sub_poly(&mut a.polys[0], &scaled);
        scaled.zeroize();
        Ok(())
    }

    /// Multiplies by a plaintext. The plaintexts multiply in the ring modulo X^N + 1 and t.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext does not belong to this context, or the plaintext was
    /// lifted to another number of moduli.
    pub fn mul_plaintext(
        &self,
        a: &mut Ciphertext<W, Evaluation>,
        plaintext: &EvaluationPlaintext<W>,
    ) -> Result<(), Error> {
        self.check_ciphertext(a)?;
        let (expected, found) = (a.moduli(), plaintext.0.moduli());
        if expected != found {
            return Err(Error::Shape { what: "moduli of a plaintext", expected, found });
        }
        a.seed = None;
        for poly in &mut a.polys {
            for ((x, y), table) in poly.rows_mut().zip(plaintext.0.rows()).zip(self.basis()) {
                kernels::mul(self.backend(), x, y, *table.modulus());
            }
        }
        Ok(())
    }

    /// Σ ciphertext_i · plaintext_i. Absent plaintexts count as zero.
    ///
    /// # Errors
    /// [`Error::Shape`] for empty lists, lists of different lengths, or terms of different shapes.
    pub fn inner_product_plaintexts(
        &self,
        ciphertexts: &[Ciphertext<W, Evaluation>],
        plaintexts: &[Option<EvaluationPlaintext<W>>],
    ) -> Result<Ciphertext<W, Evaluation>, Error> {
        let (expected, found) = (ciphertexts.len(), plaintexts.len());
        let Some(first) = ciphertexts.first().filter(|_| expected == found) else {
            return Err(Error::Shape { what: "terms of an inner product", expected, found });
        };
        self.check_ciphertext(first)?;
        let zero = Poly::zero(self.degree(), first.moduli());
        let mut sum = Ciphertext::new(vec![zero; first.polys.len()]);
        for (ciphertext, plaintext) in ciphertexts.iter().zip(plaintexts) {
            let Some(plaintext) = plaintext else { continue };
            let mut product = ciphertext.clone();
            self.mul_plaintext(&mut product, plaintext)?;
            self.add(&mut sum, &product)?;
        }
        Ok(sum)
    }

    /// Multiplies by X^power. X^N is -1, and negative powers are those of the inverse of X.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext does not belong to this context.
    pub fn mul_power_of_x(
        &self,
        a: &mut Ciphertext<W, Coefficient>,
        power: i64,
    ) -> Result<(), Error> {
        self.check_ciphertext(a)?;
        a.seed = None;
        for poly in &mut a.polys {
            self.shift_poly(poly, power);
        }
        Ok(())
    }

    pub(crate) fn shift_poly(&self, poly: &mut Poly<W, Coefficient>, power: i64) {
        let degree = self.degree();
        let shift = power.rem_euclid(2 * degree as i64) as usize;
        for (row, table) in poly.rows_mut().zip(self.basis()) {
            // X^N = -1: what is carried over the end is negated, and from X^N on everything else.
            row.rotate_right(shift % degree);
            let carried = shift % degree;
            let (negated, kept) = row.split_at_mut(carried);
            let wrapped = if shift < degree { negated } else { kept };
            kernels::neg(self.backend(), wrapped, *table.modulus());
        }
    }

    /// Changes to evaluation form. The seed stays attached.
    #[must_use]
    pub fn to_evaluation(
        &self,
        ciphertext: Ciphertext<W, Coefficient>,
    ) -> Ciphertext<W, Evaluation> {
        let polys = ciphertext.polys.into_iter().map(|poly| poly.into_evaluation(self.basis()));
        Ciphertext { polys: polys.collect(), seed: ciphertext.seed }
    }

    /// A copy in coefficient form. The seed stays attached.
    #[must_use]
    pub fn coefficients_of(
        &self,
        ciphertext: &Ciphertext<W, Evaluation>,
    ) -> Ciphertext<W, Coefficient> {
        let polys = ciphertext.polys.iter().map(|poly| poly.to_coefficients(self.basis()));
        Ciphertext { polys: polys.collect(), seed: ciphertext.seed }
    }

    /// Changes to coefficient form. The seed stays attached.
    #[must_use]
    pub fn to_coefficients(
        &self,
        ciphertext: Ciphertext<W, Evaluation>,
    ) -> Ciphertext<W, Coefficient> {
        let polys = ciphertext.polys.into_iter().map(|poly| poly.into_coefficients(self.basis()));
        Ciphertext { polys: polys.collect(), seed: ciphertext.seed }
    }
}
