//! Ciphertext times ciphertext: the full-RNS method of Bajard, Eynard, Hasan and Zucca
//! (eprint 2016/510), with the constants of the reference, so that results agree in every bit.
//!
//! Operands are lifted to auxiliary primes, multiplied there and modulo Q, scaled by t/Q, and
//! brought back. Sums of products are scaled once.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::backend::kernels::{self, Correction};
use crate::backend::lift::{Lift, Source, Target};
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::Error;
use crate::rings::ntt::NttTable;
use crate::rings::poly::{Coefficient, Evaluation, Poly};
use crate::word::Word;

/// A two-polynomial ciphertext ready to be multiplied: in evaluation form modulo its own moduli and
/// modulo the auxiliary primes.
pub struct Operand<W> {
    own: [Poly<W, Evaluation>; 2],
    auxiliary: [Poly<W, Evaluation>; 2],
}

impl<W: Word> Operand<W> {
    fn row(&self, poly: usize, index: usize) -> &[W] {
        let own = &self.own[poly];
        match index.checked_sub(own.moduli()) {
            None => own.row(index),
            Some(index) => self.auxiliary[poly].row(index),
        }
    }

    fn moduli(&self) -> usize {
        self.own[0].moduli()
    }
}

impl<W: Word> Context<W> {
    /// The table of row `index` of an operand of ciphertexts of `moduli` moduli.
    fn extended_table(&self, moduli: usize, index: usize) -> &NttTable<W> {
        match index.checked_sub(moduli) {
            None => &self.basis()[index],
            Some(index) => &self.auxiliary()[index],
        }
    }

    /// The integer that a polynomial stands for, or one that differs by a small multiple of Q,
    /// modulo the auxiliary primes.
    fn lift(&self, poly: &Poly<W, Coefficient>) -> Poly<W, Evaluation> {
        let degree = self.degree();
        let moduli = poly.moduli();
        let constants = &self.level(moduli).product;
        let sources = self.prefix(moduli).iter().zip(&constants.lift_digits);
        let sources = sources.zip(&constants.lift_remainder);
        let sources = sources.map(|((table, &factor), &weight)| Source {
            modulus: *table.modulus(),
            factor,
            weight,
        });
        let targets = self.auxiliary().iter().zip(&constants.lift).zip(&constants.lift_correction);
        let targets = targets.map(|((table, constants), &(constant, over))| Target {
            modulus: *table.modulus(),
            constants,
            constant,
            over,
        });
        let lift = Lift {
            sources: sources.collect(),
            mask: constants.lift_mask,
            threshold: constants.lift_half,
            targets: targets.take(moduli + 1).collect(),
        };
        let mut lifted = Poly::<W, Coefficient>::any(degree, moduli + 1);
        let mut out: Vec<&mut [W]> = lifted.rows_mut().collect();
        let rows: Vec<&[W]> = poly.rows().collect();
        W::lift_rows(self.backend(), &mut out, &rows, &lift);
        lifted.into_evaluation(self.auxiliary())
    }

    /// Prepares a ciphertext for products.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext has three polynomials or does not belong to this context.
    pub fn operand(&self, ciphertext: &Ciphertext<W, Coefficient>) -> Result<Operand<W>, Error> {
        self.check_two(ciphertext)?;
        let own = [0, 1].map(|i| ciphertext.polys[i].clone().into_evaluation(self.basis()));
        self.operand_from(own, ciphertext)
    }

    /// Prepares a ciphertext of which `slots` is the evaluation form, which the caller has already.
    ///
    /// # Errors
    /// [`Error::Shape`] as [`Self::operand`], or if the two forms have different numbers of moduli.
    pub fn operand_from(
        &self,
        slots: [Poly<W, Evaluation>; 2],
        ciphertext: &Ciphertext<W, Coefficient>,
    ) -> Result<Operand<W>, Error> {
        self.check_two(ciphertext)?;
        let (expected, found) = (ciphertext.moduli(), slots[0].moduli());
        if expected != found || slots[1].moduli() != found {
            return Err(Error::Shape { what: "ciphertext moduli", expected, found });
        }
        let auxiliary = [0, 1].map(|i| self.lift(&ciphertext.polys[i]));
        Ok(Operand { own: slots, auxiliary })
    }

    /// a·b, with three polynomials: see [`Self::relinearize`].
    ///
    /// # Errors
    /// [`Error::Shape`] as [`Self::operand`], or if the numbers of moduli differ.
    pub fn multiply(
        &self,
        a: &Ciphertext<W, Coefficient>,
        b: &Ciphertext<W, Coefficient>,
    ) -> Result<Ciphertext<W, Coefficient>, Error> {
        self.inner_product(&[&self.operand(a)?], &[&self.operand(b)?])
    }

    /// Σ a_i·b_i, with three polynomials, scaled once: less noise and work than single products.
    ///
    /// # Errors
    /// [`Error::Shape`] for empty lists, lists of different lengths, or operands of different
    /// numbers of moduli.
    pub fn inner_product(
        &self,
        a: &[&Operand<W>],
        b: &[&Operand<W>],
    ) -> Result<Ciphertext<W, Coefficient>, Error> {
        let Some(first) = a.first().filter(|_| a.len() == b.len()) else {
            let (expected, found) = (a.len(), b.len());
            return Err(Error::Shape { what: "terms of an inner product", expected, found });
        };
        let moduli = first.moduli();
        if let Some(other) = a.iter().chain(b).find(|operand| operand.moduli() != moduli) {
            let found = other.moduli();
            return Err(Error::Shape { what: "ciphertext moduli", expected: moduli, found });
        }
        let degree = self.degree();
        let rows = 2 * moduli + 1;
        let mut sums = [0; 3].map(|_| Poly::<W, Coefficient>::any(degree, rows));
        for index in 0..rows {
            let x: Vec<[&[W]; 2]> = a.iter().map(|o| [o.row(0, index), o.row(1, index)]).collect();
            let y: Vec<[&[W]; 2]> = b.iter().map(|o| [o.row(0, index), o.row(1, index)]).collect();
            let table = self.extended_table(moduli, index);
            let [s0, s1, s2] = &mut sums;
            let out = [s0.row_mut(index), s1.row_mut(index), s2.row_mut(index)];
            W::product_row(self.backend(), out, &x, &y, *table.modulus());
            for sum in &mut sums {
                table.inverse(sum.row_mut(index));
            }
        }
        Ok(Ciphertext::new(sums.map(|sum| self.scale_product(sum, moduli)).into()))
    }

    /// ⌊t·x/Q⌋, up to a small error, modulo the first `moduli` moduli; x has rows modulo those and
    /// the auxiliary primes and lacks a factor R.
    fn scale_product(&self, mut x: Poly<W, Coefficient>, moduli: usize) -> Poly<W, Coefficient> {
        let backend = self.backend();
        let degree = self.degree();
        let constants = &self.level(moduli).product;
        for (i, &factor) in constants.floor_digits.iter().enumerate() {
            kernels::mul_factor(backend, x.row_mut(i), factor, *self.basis()[i].modulus());
        }
        let mut floored = Poly::<W, Coefficient>::any(degree, moduli + 1);
        let digits: Vec<&[W]> = x.rows().take(moduli).collect();
        for (i, row) in floored.rows_mut().enumerate() {
            row.copy_from_slice(x.row(moduli + i));
            let modulus = *self.auxiliary()[i].modulus();
            let (scale, to) = (constants.floor_scale[i], &constants.floor[i]);
            kernels::floor_row(backend, row, scale, &digits, to, modulus);
        }
        for (i, &factor) in constants.back_digits.iter().enumerate() {
            let modulus = *self.auxiliary()[i].modulus();
            kernels::mul_factor(backend, floored.row_mut(i), factor, modulus);
        }
        let mut alpha = AlignedBuffer::any(degree);
        alpha.copy_from_slice(floored.row(moduli));
        let digits: Vec<&[W]> = floored.rows().take(moduli).collect();
        kernels::floor_row(
            backend,
            &mut alpha,
            constants.back_alpha_scale,
            &digits,
            &constants.back_alpha,
            *self.auxiliary()[moduli].modulus(),
        );
        let mut result = Poly::any(degree, moduli);
        for (i, row) in result.rows_mut().enumerate() {
            let (constant, over) = constants.back_correction[i];
            W::convert_row(
                backend,
                row,
                &digits,
                &constants.back[i],
                &Correction { extra: &alpha, constant, threshold: constants.back_alpha_half, over },
                *self.basis()[i].modulus(),
            );
        }
        result
    }
}
