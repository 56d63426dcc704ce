//! Secret keys: ternary polynomials in evaluation form, drawn from a seed and wiped when dropped.

use crate::context::Context;
use crate::error::Error;
use crate::random::drbg::CtrDrbg;
use crate::random::sampling::{self, RandomSource};
use crate::rings::poly::{Evaluation, Poly};
use crate::word::Word;
use zeroize::Zeroize;

/// A secret key: a polynomial with coefficients -1, 0 and 1, in evaluation form over all moduli.
/// Wiped when dropped.
pub struct SecretKey<W: Word>(Poly<W, Evaluation>);

impl<W: Word> Drop for SecretKey<W> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<W: Word> SecretKey<W> {
    pub(crate) fn poly(&self) -> &Poly<W, Evaluation> {
        &self.0
    }

    pub(crate) fn from_poly(poly: Poly<W, Evaluation>) -> Self {
        Self(poly)
    }
}

impl<W: Word> Context<W> {
    /// Draws a secret key.
    ///
    /// # Errors
    /// [`Error::Randomness`] if the source fails.
    pub fn generate_secret_key(
        &self,
        random: &mut impl RandomSource,
    ) -> Result<SecretKey<W>, Error> {
        let mut drbg = CtrDrbg::new(&*random.seed()?);
        let moduli = self.moduli_refs(self.basis().len());
        let key = sampling::ternary(&mut drbg, self.degree(), &moduli);
        Ok(SecretKey(key.into_evaluation(self.basis())))
    }
}
