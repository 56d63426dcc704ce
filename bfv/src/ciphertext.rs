//! Ciphertexts and the operations that keep their size.

use crate::backend::kernels;
use crate::context::Context;
use crate::drbg::Seed;
use crate::error::Error;
use crate::plaintext::{EvaluationPlaintext, Plaintext};
use crate::poly::{Coefficient, Evaluation, Form, Poly};
use crate::word::Word;
use zeroize::Zeroize;

/// Two polynomials (three after a product) that decrypt with the powers of the secret key.
///
/// The seed that the second polynomial came from stays attached until an operation changes it.
pub struct Ciphertext<W, F> {
    pub(crate) polys: Vec<Poly<W, F>>,
    pub(crate) seed: Option<Seed>,
}

impl<W: Word, F: Form> Clone for Ciphertext<W, F> {
    fn clone(&self) -> Self {
        Self { polys: self.polys.clone(), seed: self.seed }
    }
}

impl<W: Word, F: Form> Ciphertext<W, F> {
    /// From polynomials of equal shape; fails if there are fewer than two, more than three, or
    /// their shapes differ.
    pub fn from_polys(polys: Vec<Poly<W, F>>) -> Result<Self, Error> {
        if !(2..=3).contains(&polys.len()) {
            let found = polys.len();
            return Err(Error::Shape { what: "polynomials of a ciphertext", expected: 2, found });
        }
        for poly in &polys[1..] {
            let (expected, found) = (polys[0].moduli(), poly.moduli());
            if expected != found || polys[0].degree() != poly.degree() {
                return Err(Error::Shape { what: "moduli of a polynomial", expected, found });
            }
        }
        Ok(Self { polys, seed: None })
    }

    pub(crate) fn new(polys: Vec<Poly<W, F>>) -> Self {
        Self { polys, seed: None }
    }

    /// The encryption of zero that everyone can read: polynomials that are zero.
    pub fn transparent_zero(degree: usize, moduli: usize) -> Self {
        Self::new(vec![Poly::zero(degree, moduli); 2])
    }

    /// The polynomials, c0 first.
    pub fn polys(&self) -> &[Poly<W, F>] {
        &self.polys
    }

    /// The polynomials, c0 first; the ciphertext is not seeded any longer.
    pub fn polys_mut(&mut self) -> &mut [Poly<W, F>] {
        self.seed = None;
        &mut self.polys
    }

    /// The two polynomials; fails if there are three.
    pub fn into_polys(self) -> Result<[Poly<W, F>; 2], Error> {
        let found = self.polys.len();
        let what = "polynomials of a ciphertext";
        self.polys.try_into().map_err(|_| Error::Shape { what, expected: 2, found })
    }

    /// The seed of the second polynomial, if it is still that.
    pub fn seed(&self) -> Option<&Seed> {
        self.seed.as_ref()
    }

    /// How many moduli it has left.
    pub fn moduli(&self) -> usize {
        self.polys[0].moduli()
    }
}

impl<W: Word> Context<W> {
    pub(crate) fn check_ciphertext<F: Form>(
        &self,
        ciphertext: &Ciphertext<W, F>,
    ) -> Result<(), Error> {
        let (expected, found) = (self.degree(), ciphertext.polys[0].degree());
        if expected != found {
            return Err(Error::Shape { what: "polynomial degree", expected, found });
        }
        self.check_moduli(ciphertext.moduli())
    }

    pub(crate) fn check_two<F: Form>(&self, ciphertext: &Ciphertext<W, F>) -> Result<(), Error> {
        self.check_ciphertext(ciphertext)?;
        let found = ciphertext.polys.len();
        if found == 2 {
            return Ok(());
        }
        Err(Error::Shape { what: "polynomials of a ciphertext", expected: 2, found })
    }

    fn check_pair<F: Form>(&self, a: &Ciphertext<W, F>, b: &Ciphertext<W, F>) -> Result<(), Error> {
        self.check_ciphertext(a)?;
        self.check_ciphertext(b)?;
        let (expected, found) = (a.moduli(), b.moduli());
        if expected != found {
            return Err(Error::Shape { what: "ciphertext moduli", expected, found });
        }
        Ok(())
    }

    /// Combines polynomials one by one; those that one side lacks count as zero.
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

    /// a += b. The plaintexts add modulo t.
    pub fn add<F: Form>(
        &self,
        a: &mut Ciphertext<W, F>,
        b: &Ciphertext<W, F>,
    ) -> Result<(), Error> {
        self.combine(a, b, false)
    }

    /// a -= b.
    pub fn sub<F: Form>(
        &self,
        a: &mut Ciphertext<W, F>,
        b: &Ciphertext<W, F>,
    ) -> Result<(), Error> {
        self.combine(a, b, true)
    }

    /// a = -a.
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

    /// Adds a plaintext; the second polynomial and its seed stay.
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

    /// Subtracts a plaintext; the second polynomial and its seed stay.
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

    /// Multiplies by a plaintext. The plaintexts multiply in the ring modulo t.
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

    /// Σ ciphertext_i · plaintext_i; absent plaintexts count as zero. Fails for lists of different
    /// lengths or shapes, and for empty lists.
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

    /// Multiplies by X^power; negative powers are those of the inverse. X^N is -1.
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
            // X^N = -1: a whole turn negates all, the rest what is carried over the end.
            row.rotate_right(shift % degree);
            let carried = shift % degree;
            let (negated, kept) = row.split_at_mut(carried);
            let wrapped = if shift < degree { negated } else { kept };
            kernels::neg(self.backend(), wrapped, *table.modulus());
        }
    }

    /// To evaluation form. The seed stays attached.
    pub fn to_evaluation(
        &self,
        ciphertext: Ciphertext<W, Coefficient>,
    ) -> Ciphertext<W, Evaluation> {
        let polys = ciphertext.polys.into_iter().map(|poly| poly.into_evaluation(self.basis()));
        Ciphertext { polys: polys.collect(), seed: ciphertext.seed }
    }

    /// A copy in coefficient form.
    pub fn coefficients_of(
        &self,
        ciphertext: &Ciphertext<W, Evaluation>,
    ) -> Ciphertext<W, Coefficient> {
        let polys = ciphertext.polys.iter().map(|poly| poly.to_coefficients(self.basis()));
        Ciphertext { polys: polys.collect(), seed: ciphertext.seed }
    }

    /// To coefficient form. The seed stays attached.
    pub fn to_coefficients(
        &self,
        ciphertext: Ciphertext<W, Evaluation>,
    ) -> Ciphertext<W, Coefficient> {
        let polys = ciphertext.polys.into_iter().map(|poly| poly.into_coefficients(self.basis()));
        Ciphertext { polys: polys.collect(), seed: ciphertext.seed }
    }
}
