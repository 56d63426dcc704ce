//! Secret keys, encryption and decryption.
//!
//! Nothing here branches on a secret or uses one as an index. Where a value must be corrected by a
//! modulus, it is by a minimum or a mask. The exceptions are [`Context::noise_budget`] and the
//! final range check of a serialized key, which say so.

use crate::backend::aligned::AlignedBuffer;
use crate::backend::{Correction, kernels};
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::drbg::{CtrDrbg, Seed};
use crate::error::Error;
use crate::modulus::Modulus;
use crate::plaintext::Plaintext;
use crate::poly::{Coefficient, Evaluation, Form, Poly};
use crate::prime::{inverse_mod, mul_mod};
use crate::sampling::{self, RandomSource};
use crate::word::Word;
use zeroize::{Zeroize, Zeroizing};

/// A ternary secret, in evaluation form over all moduli. Wiped when dropped.
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

/// What hides a message.
struct Mask<W> {
    /// Where a came from; it is sent.
    seed: Seed,
    a: Poly<W, Evaluation>,
    /// a·s.
    product: Poly<W, Evaluation>,
    error: Poly<W, Coefficient>,
}

impl<W: Word> Context<W> {
    fn moduli_refs(&self, moduli: usize) -> Vec<&Modulus<W>> {
        self.prefix(moduli).iter().map(|table| table.modulus()).collect()
    }

    /// Draws a secret key.
    pub fn generate_secret_key(
        &self,
        random: &mut impl RandomSource,
    ) -> Result<SecretKey<W>, Error> {
        let mut drbg = CtrDrbg::new(&*random.seed()?);
        let moduli = self.moduli_refs(self.basis().len());
        let key = sampling::ternary(&mut drbg, self.degree(), &moduli);
        Ok(SecretKey(key.into_evaluation(self.basis())))
    }

    /// A fresh encryption of zero over the first `moduli` of all moduli, without its message: a·s
    /// and the error, which the caller adds up in the form it needs.
    fn mask_and_error(
        &self,
        key: &SecretKey<W>,
        moduli: usize,
        random: &mut impl RandomSource,
    ) -> Result<Mask<W>, Error> {
        // Two seeds: the first is sent, so the error may not come from it.
        let seed = *random.seed()?;
        let a = sampling::expand_seed(&seed, self.degree(), self.prefix(moduli));
        let mut product = a.clone();
        for ((x, y), table) in product.rows_mut().zip(key.0.rows()).zip(self.basis()) {
            kernels::mul(self.backend(), x, y, *table.modulus());
        }
        let mut drbg = CtrDrbg::new(&*random.seed()?);
        let error = sampling::binomial(&mut drbg, self.degree(), &self.moduli_refs(moduli));
        Ok(Mask { seed, a, product, error })
    }

    fn negate_poly<F: Form>(&self, poly: &mut Poly<W, F>) {
        for (row, table) in poly.rows_mut().zip(self.basis()) {
            kernels::neg(self.backend(), row, *table.modulus());
        }
    }

    /// An encryption of zero in evaluation form over all moduli: what key-switching keys are made
    /// of.
    pub(crate) fn encrypt_zero_for_key(
        &self,
        key: &SecretKey<W>,
        random: &mut impl RandomSource,
    ) -> Result<Ciphertext<W, Evaluation>, Error> {
        let all = self.basis().len();
        let Mask { seed, a, product: mut c0, error } = self.mask_and_error(key, all, random)?;
        let mut error = error.into_evaluation(self.basis());
        self.add_poly(&mut c0, &error);
        error.zeroize();
        self.negate_poly(&mut c0);
        Ok(Ciphertext { polys: vec![c0, a], seed: Some(seed) })
    }

    /// Encrypts a plaintext: over all ciphertext moduli, in coefficient form, seeded.
    pub fn encrypt(
        &self,
        plaintext: &Plaintext<W>,
        key: &SecretKey<W>,
        random: &mut impl RandomSource,
    ) -> Result<Ciphertext<W, Coefficient>, Error> {
        let moduli = self.ciphertext_moduli();
        let Mask { seed, a, product, mut error } = self.mask_and_error(key, moduli, random)?;
        let mut c0 = product.into_coefficients(self.basis());
        self.add_poly(&mut c0, &error);
        error.zeroize();
        self.negate_poly(&mut c0);
        let mut scaled = self.scale_plaintext(plaintext, moduli);
        self.add_poly(&mut c0, &scaled);
        scaled.zeroize();
        let c1 = a.into_coefficients(self.basis());
        Ok(Ciphertext { polys: vec![c0, c1], seed: Some(seed) })
    }

    /// round(Q·m/t) for the product Q of the first `moduli` moduli.
    pub(crate) fn scale_plaintext(
        &self,
        plaintext: &Plaintext<W>,
        moduli: usize,
    ) -> Poly<W, Coefficient> {
        let level = self.level(moduli);
        let t = *self.plaintext_modulus();
        let half = W::truncate(t.to_u64().div_ceil(2)).wide();
        // ⌊((Q mod t)·m + ⌊(t+1)/2⌋)/t⌋, the part that ⌊Q/t⌋·m lacks.
        let mut rounding = Zeroizing::new(vec![0_u64; self.degree()]);
        for (out, &m) in rounding.iter_mut().zip(plaintext.coefficients()) {
            let x = W::wide_add(level.q_mod_t.widening_mul(m), half);
            *out = t.divide(x).to_u64();
        }
        let mut poly = Poly::zero(self.degree(), moduli);
        for ((row, table), &delta) in poly.rows_mut().zip(self.basis()).zip(&level.delta) {
            let modulus = table.modulus();
            for ((out, &m), &rounding) in
                row.iter_mut().zip(plaintext.coefficients()).zip(rounding.iter())
            {
                *out = modulus.add(modulus.mul_factor(m, delta), W::truncate(rounding));
            }
        }
        poly
    }

    /// c0 + c1·s + c2·s².
    fn phase(
        &self,
        ciphertext: &Ciphertext<W, Coefficient>,
        key: &SecretKey<W>,
    ) -> Result<Poly<W, Coefficient>, Error> {
        self.check_ciphertext(ciphertext)?;
        let backend = self.backend();
        let moduli = ciphertext.moduli();
        // Horner: ((c2·s) + c1)·s + c0.
        let (last, others) = ciphertext.polys.split_last().expect("at least two polynomials");
        let mut sum = last.clone().into_evaluation(self.basis());
        for (index, poly) in others.iter().enumerate().rev() {
            for ((x, s), table) in sum.rows_mut().zip(key.0.rows()).zip(self.basis()) {
                kernels::mul(backend, x, s, *table.modulus());
            }
            if index > 0 {
                self.add_poly(&mut sum, &poly.clone().into_evaluation(self.prefix(moduli)));
            }
        }
        let mut phase = sum.into_coefficients(self.basis());
        self.add_poly(&mut phase, &others[0]);
        Ok(phase)
    }

    /// Decrypts. The result is right as long as the noise budget is positive; nothing can tell.
    pub fn decrypt(
        &self,
        ciphertext: &Ciphertext<W, Coefficient>,
        key: &SecretKey<W>,
    ) -> Result<Plaintext<W>, Error> {
        let mut phase = self.phase(ciphertext, key)?;
        let backend = self.backend();
        let constants = &self.level(ciphertext.moduli()).decryption;
        for ((row, table), &digit) in phase.rows_mut().zip(self.basis()).zip(&constants.digits) {
            kernels::mul_factor(backend, row, digit, *table.modulus());
        }
        let mut gamma = AlignedBuffer::zeroed(self.degree());
        let mut out = AlignedBuffer::zeroed(self.degree());
        {
            let rows: Vec<&[W]> = phase.rows().collect();
            kernels::dot_constants(backend, &mut gamma, &rows, &constants.to_gamma, *self.gamma());
            W::convert_row(
                backend,
                &mut out,
                &rows,
                &constants.to_plaintext,
                &Correction {
                    extra: &gamma,
                    constant: constants.gamma_correction,
                    threshold: constants.gamma_half,
                    over: constants.gamma_overflow,
                },
                *self.plaintext_modulus(),
            );
        }
        phase.zeroize();
        gamma.zeroize();
        Ok(Plaintext::from_buffer(out))
    }

    /// Bits of noise that the ciphertext can still take: log2(Q/2) - log2(max |t·phase mod Q|).
    /// Infinite for ciphertexts without noise; below zero decryption may fail.
    ///
    /// Takes time that depends on the secret key and the noise, and its result must never leave the
    /// holder of the key: it is an oracle for it. For diagnosis only.
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
