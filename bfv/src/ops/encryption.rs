//! Encryption and decryption.
//!
//! Nothing here branches on a secret or uses one as an index. Where a value must be corrected by a
//! modulus, it is by a minimum or a mask.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::arithmetic::modulus::Modulus;
use crate::backend::kernels::{self, Correction};
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::Error;
use crate::keys::secret_key::SecretKey;
use crate::plaintext::Plaintext;
use crate::random::drbg::{CtrDrbg, Seed};
use crate::random::sampling::{self, RandomSource};
use crate::rings::poly::{Coefficient, Evaluation, Form, Poly};
use crate::word::Word;
use zeroize::{Zeroize, Zeroizing};

/// What hides a message: an encryption of zero in parts.
struct Mask<W> {
    /// Where a came from; it is sent.
    seed: Seed,
    a: Poly<W, Evaluation>,
    /// a·s.
    product: Poly<W, Evaluation>,
    error: Poly<W, Coefficient>,
}

impl<W: Word> Context<W> {
    pub(crate) fn moduli_refs(&self, moduli: usize) -> Vec<&Modulus<W>> {
        self.prefix(moduli).iter().map(|table| table.modulus()).collect()
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
        for ((x, y), table) in product.rows_mut().zip(key.poly().rows()).zip(self.basis()) {
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

    /// Encrypts a plaintext: over all ciphertext moduli, in coefficient form, with a fresh seed.
    ///
    /// # Errors
    /// [`Error::Randomness`] if the source fails.
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
    pub(crate) fn phase(
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
            for ((x, s), table) in sum.rows_mut().zip(key.poly().rows()).zip(self.basis()) {
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

    /// Decrypts. The result is right while the [noise budget](Self::noise_budget) is positive; that
    /// it is wrong cannot be seen.
    ///
    /// # Errors
    /// [`Error::Shape`] if the ciphertext does not belong to this context.
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
}
