//! Dropping moduli: smaller ciphertexts, less noise, the same plaintext.

use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::Error;
use crate::rings::poly::Coefficient;
use crate::word::Word;

impl<W: Word> Context<W> {
    /// Divides by the last modulus, with rounding, and drops it.
    ///
    /// # Errors
    /// [`Error::Shape`] if only one modulus is left, or the ciphertext does not belong to this
    /// context.
    pub fn mod_switch_down(
        &self,
        ciphertext: &mut Ciphertext<W, Coefficient>,
    ) -> Result<(), Error> {
        self.check_ciphertext(ciphertext)?;
        let last = ciphertext.moduli() - 1;
        if last == 0 {
            return Err(Error::Shape { what: "moduli to drop from", expected: 2, found: 1 });
        }
        ciphertext.seed = None;
        for poly in &mut ciphertext.polys {
            let mut shorter = poly.truncated(last);
            self.divide_rows(&mut shorter, poly.row(last), last);
            *poly = shorter;
        }
        Ok(())
    }

    /// Drops moduli until one is left.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext does not belong to this context.
    pub fn mod_switch_to_single(
        &self,
        ciphertext: &mut Ciphertext<W, Coefficient>,
    ) -> Result<(), Error> {
        while ciphertext.moduli() > 1 {
            self.mod_switch_down(ciphertext)?;
        }
        Ok(())
    }
}
