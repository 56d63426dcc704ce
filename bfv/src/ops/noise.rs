//! How much noise a ciphertext has: for diagnosis only, in variable time.

use crate::arithmetic::prime::{inverse_mod, mul_mod};
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::Error;
use crate::keys::secret_key::SecretKey;
use crate::rings::poly::Coefficient;
use crate::word::Word;
use zeroize::Zeroize;

impl<W: Word> Context<W> {
    /// The noise budget in bits: log2(Q/2) - log2(max |t·phase mod Q|). Infinite for ciphertexts
    /// without noise; at zero and below, decryption may give a wrong result.
    ///
    /// For diagnosis only. It takes time that depends on the secret key and the noise, and its result
    /// must never leave the holder of the key: whoever learns budgets of ciphertexts of their choice
    /// learns the key.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext does not belong to this context.
    pub fn noise_budget(
        &self,
        ciphertext: &Ciphertext<W, Coefficient>,
        key: &SecretKey<W>,
    ) -> Result<f64, Error> {
        let mut phase = self.phase(ciphertext, key)?;
        let moduli: Vec<u64> =
            self.prefix(ciphertext.moduli()).iter().map(|table| table.modulus().to_u64()).collect();
        let t = self.parameters().plaintext_modulus();
        // Mixed-radix digits, most significant last; the larger number has the larger reverse.
        let digits = |residues: &[u64]| -> Vec<u64> {
            let mut digits: Vec<u64> = Vec::with_capacity(moduli.len());
            for (i, &p) in moduli.iter().enumerate() {
                let (mut value, mut weight) = (0, 1);
                for (&digit, &q) in digits.iter().zip(&moduli) {
                    value = (value + mul_mod(digit % p, weight, p)) % p;
                    weight = mul_mod(weight, q % p, p);
                }
                let difference = (residues[i] + p - value) % p;
                digits.push(mul_mod(difference, inverse_mod(weight, p), p));
            }
            digits
        };
        let mut largest = vec![0; moduli.len()];
        let mut residues = vec![0; moduli.len()];
        for coefficient in 0..self.degree() {
            for (i, &p) in moduli.iter().enumerate() {
                residues[i] = mul_mod(phase.row(i)[coefficient].to_u64(), t % p, p);
            }
            let positive = digits(&residues);
            for (residue, &p) in residues.iter_mut().zip(&moduli) {
                *residue = (p - *residue) % p;
            }
            let negative = digits(&residues);
            let magnitude =
                if positive.iter().rev().lt(negative.iter().rev()) { positive } else { negative };
            if largest.iter().rev().lt(magnitude.iter().rev()) {
                largest = magnitude;
            }
        }
        phase.zeroize();
        let Some(top) = largest.iter().rposition(|&digit| digit != 0) else {
            return Ok(f64::INFINITY);
        };
        let mut value = 0.0;
        for (digit, &q) in largest[..top].iter().zip(&moduli) {
            value = (value + *digit as f64) / q as f64;
        }
        value += largest[top] as f64;
        let log_above: f64 = moduli[top..].iter().map(|&q| (q as f64).log2()).sum();
        Ok(log_above - 1.0 - value.log2())
    }
}
