//! Ciphertexts: two or three polynomials of one level, in either form, and the seed of a fresh one.

use crate::context::Context;
use crate::error::Error;
use crate::random::drbg::Seed;
use crate::rings::poly::{Form, Poly};
use crate::word::Word;

/// A ciphertext: two polynomials, or three after a product of ciphertexts. It decrypts to
/// c0 + c1·s + c2·s² with the secret key s.
///
/// The seed that c1 was expanded from stays attached until an operation changes c1.
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
    /// Two or three polynomials of equal shape, c0 first.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of polynomials, or if their shapes differ.
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

    /// An encryption of zero without noise that everyone can read: two polynomials that are zero.
    #[must_use]
    pub fn transparent_zero(degree: usize, moduli: usize) -> Self {
        Self::new(vec![Poly::zero(degree, moduli); 2])
    }

    /// The polynomials, c0 first.
    #[must_use]
    pub fn polys(&self) -> &[Poly<W, F>] {
        &self.polys
    }

    /// The polynomials, c0 first, to change. Detaches the seed.
    pub fn polys_mut(&mut self) -> &mut [Poly<W, F>] {
        self.seed = None;
        &mut self.polys
    }

    /// The two polynomials, c0 first.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are three.
    pub fn into_polys(self) -> Result<[Poly<W, F>; 2], Error> {
        let found = self.polys.len();
        let what = "polynomials of a ciphertext";
        self.polys.try_into().map_err(|_| Error::Shape { what, expected: 2, found })
    }

    /// The seed of c1, while c1 is what the seed expands to.
    #[must_use]
    pub fn seed(&self) -> Option<&Seed> {
        self.seed.as_ref()
    }

    /// The number of moduli that it has left, from 1 to L.
    #[must_use]
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

    pub(crate) fn check_pair<F: Form>(
        &self,
        a: &Ciphertext<W, F>,
        b: &Ciphertext<W, F>,
    ) -> Result<(), Error> {
        self.check_ciphertext(a)?;
        self.check_ciphertext(b)?;
        let (expected, found) = (a.moduli(), b.moduli());
        if expected != found {
            return Err(Error::Shape { what: "ciphertext moduli", expected, found });
        }
        Ok(())
    }
}
