//! Plaintexts, and how numbers become plaintexts.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::arithmetic::ntt_table::reverse_bits;
use crate::bytes::packing;
use crate::context::Context;
use crate::error::Error;
use crate::rings::poly::{Evaluation, Poly};
use crate::word::Word;
use zeroize::Zeroize;

/// A message: N coefficients modulo t. Wiped when dropped.
#[derive(Clone)]
pub struct Plaintext<W: Word>(AlignedBuffer<W>);

impl<W: Word> Drop for Plaintext<W> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<W: Word> Plaintext<W> {
    /// The N coefficients, that of X^0 first, each below t.
    #[must_use]
    pub fn coefficients(&self) -> &[W] {
        &self.0
    }

    /// The N coefficients as numbers.
    #[must_use]
    pub fn to_numbers(&self) -> Vec<u64> {
        self.0.iter().map(|value| value.to_u64()).collect()
    }

    pub(crate) fn from_buffer(buffer: AlignedBuffer<W>) -> Self {
        Self(buffer)
    }

    pub(crate) fn buffer_mut(&mut self) -> &mut [W] {
        &mut self.0
    }
}

/// A plaintext ready to multiply ciphertexts: its centred lift in evaluation form, one row for each
/// ciphertext modulus.
#[derive(Clone)]
pub struct EvaluationPlaintext<W: Word>(pub(crate) Poly<W, Evaluation>);

impl<W: Word> EvaluationPlaintext<W> {
    /// The polynomial: N residues for each modulus of its level.
    #[must_use]
    pub fn poly(&self) -> &Poly<W, Evaluation> {
        &self.0
    }

    /// Takes the polynomial.
    #[must_use]
    pub fn into_poly(self) -> Poly<W, Evaluation> {
        self.0
    }

    /// A plaintext of a polynomial that the caller knows to be a centred lift.
    #[must_use]
    pub fn from_poly(poly: Poly<W, Evaluation>) -> Self {
        Self(poly)
    }
}

impl<W: Word> Context<W> {
    fn zero_plaintext(&self) -> Plaintext<W> {
        Plaintext(AlignedBuffer::zeroed(self.degree()))
    }

    fn check_count(&self, found: usize) -> Result<(), Error> {
        if found <= self.degree() {
            return Ok(());
        }
        Err(Error::Shape { what: "plaintext values", expected: self.degree(), found })
    }

    /// Value i becomes the coefficient of X^i; the rest is zero.
    ///
    /// # Errors
    /// [`Error::Shape`] for more than N values, [`Error::PlaintextValue`] for one that is not below
    /// t.
    pub fn encode_coefficients(&self, values: &[u64]) -> Result<Plaintext<W>, Error> {
        self.check_count(values.len())?;
        let t = self.parameters().plaintext_modulus();
        let mut plaintext = self.zero_plaintext();
        for (out, &value) in plaintext.0.iter_mut().zip(values) {
            if value >= t {
                return Err(Error::PlaintextValue { modulus: t });
            }
            *out = W::truncate(value);
        }
        Ok(plaintext)
    }

    /// As [`Self::encode_coefficients`], for numbers from -⌊t/2⌋ to ⌊(t-1)/2⌋.
    ///
    /// # Errors
    /// [`Error::Shape`] for more than N values, [`Error::PlaintextValue`] for one out of range.
    pub fn encode_signed_coefficients(&self, values: &[i64]) -> Result<Plaintext<W>, Error> {
        self.encode_coefficients(&self.unsign(values)?)
    }

    fn unsign(&self, values: &[i64]) -> Result<Vec<u64>, Error> {
        let t = self.parameters().plaintext_modulus();
        let (lowest, highest) = (-((t / 2) as i64), ((t - 1) / 2) as i64);
        values
            .iter()
            .map(|&value| match value {
                _ if value < lowest || value > highest => Err(Error::PlaintextValue { modulus: t }),
                0.. => Ok(value as u64),
                _ => Ok((value + t as i64) as u64),
            })
            .collect()
    }

    /// Numbers below t as numbers from -⌊t/2⌋ to ⌊(t-1)/2⌋: the inverse of the signed encodings.
    #[must_use]
    pub fn sign(&self, values: &[u64]) -> Vec<i64> {
        let t = self.parameters().plaintext_modulus();
        let signed = |&value: &u64| {
            if value > (t - 1) / 2 { value as i64 - t as i64 } else { value as i64 }
        };
        values.iter().map(signed).collect()
    }

    /// Where SIMD slot i lies among the slots of the transform modulo t: two rows of N/2 slots that
    /// the automorphisms of powers of 3 rotate and that of 2N - 1 swaps.
    fn simd_positions(&self) -> impl Iterator<Item = usize> {
        let degree = self.degree();
        let bits = degree.trailing_zeros();
        let powers = move || {
            std::iter::successors(Some(1), move |power| Some(power * 3 % (2 * degree)))
                .take(degree / 2)
        };
        let first = powers().map(move |power| reverse_bits((power - 1) / 2, bits));
        let second = powers().map(move |power| reverse_bits((2 * degree - 1 - power) / 2, bits));
        first.chain(second)
    }

    /// Puts value i into SIMD slot i, so that sums and products of plaintexts are those of slots.
    ///
    /// # Errors
    /// [`Error::NoSlots`] unless t is 1 modulo 2N, and as [`Self::encode_coefficients`].
    pub fn encode_slots(&self, values: &[u64]) -> Result<Plaintext<W>, Error> {
        let t = self.parameters().plaintext_modulus();
        let table = self.plaintext_ntt().ok_or(Error::NoSlots(t))?;
        let values = self.encode_coefficients(values)?;
        let mut plaintext = self.zero_plaintext();
        for (position, &value) in self.simd_positions().zip(values.coefficients()) {
            plaintext.0[position] = value;
        }
        table.inverse(&mut plaintext.0);
        Ok(plaintext)
    }

    /// As [`Self::encode_slots`], for numbers from -⌊t/2⌋ to ⌊(t-1)/2⌋.
    ///
    /// # Errors
    /// As [`Self::encode_slots`], also for a number out of that range.
    pub fn encode_signed_slots(&self, values: &[i64]) -> Result<Plaintext<W>, Error> {
        self.encode_slots(&self.unsign(values)?)
    }

    /// The N SIMD slots of a plaintext.
    ///
    /// # Errors
    /// [`Error::NoSlots`] unless t is 1 modulo 2N.
    pub fn decode_slots(&self, plaintext: &Plaintext<W>) -> Result<Vec<u64>, Error> {
        let t = self.parameters().plaintext_modulus();
        let table = self.plaintext_ntt().ok_or(Error::NoSlots(t))?;
        let mut slots = plaintext.clone();
        table.forward(&mut slots.0);
        Ok(self.simd_positions().map(|position| slots.0[position].to_u64()).collect())
    }

    /// Packs up to [`payload_bytes`](crate::Parameters::payload_bytes) bytes, ⌊log2 t⌋ bits in each
    /// coefficient.
    ///
    /// # Errors
    /// [`Error::Shape`] for more bytes.
    pub fn encode_bytes(&self, bytes: &[u8]) -> Result<Plaintext<W>, Error> {
        let expected = self.parameters().payload_bytes();
        if bytes.len() > expected {
            return Err(Error::Shape { what: "payload bytes", expected, found: bytes.len() });
        }
        let mut plaintext = self.zero_plaintext();
        packing::bytes_to_coefficients(bytes, self.parameters().payload_bits(), &mut plaintext.0);
        Ok(plaintext)
    }

    /// The payload of a plaintext.
    ///
    /// # Errors
    /// [`Error::PlaintextValue`] if a coefficient has more than ⌊log2 t⌋ bits.
    pub fn decode_bytes(&self, plaintext: &Plaintext<W>) -> Result<Vec<u8>, Error> {
        let (bytes, is_payload) = self.decode_any_bytes(plaintext);
        match is_payload {
            true => Ok(bytes),
            false => Err(Error::PlaintextValue { modulus: self.parameters().plaintext_modulus() }),
        }
    }

    /// As [`Self::decode_bytes`], with the same work whatever the coefficients are, and whether they are those of a payload.
    /// If they are not, there are as many bytes, which mean nothing.
    #[must_use]
    pub fn decode_any_bytes(&self, plaintext: &Plaintext<W>) -> (Vec<u8>, bool) {
        let bits = self.parameters().payload_bits();
        let all = plaintext.0.iter().fold(0, |all, &value| all | value.to_u64());
        let mut bytes = packing::coefficients_to_bytes(&plaintext.0, bits);
        bytes.truncate(self.parameters().payload_bytes());
        (bytes, all >> bits == 0)
    }

    /// The centred lift of a plaintext to the first `moduli` ciphertext moduli, in evaluation form.
    ///
    /// # Errors
    /// [`Error::Shape`] unless 1 ≤ `moduli` ≤ L.
    pub fn lift_plaintext(
        &self,
        plaintext: &Plaintext<W>,
        moduli: usize,
    ) -> Result<EvaluationPlaintext<W>, Error> {
        self.check_moduli(moduli)?;
        let mut poly = Poly::<W, Evaluation>::zero(self.degree(), moduli);
        for (index, row) in poly.rows_mut().enumerate() {
            self.lift_plaintext_row(plaintext.coefficients(), index, row);
        }
        Ok(EvaluationPlaintext(poly))
    }

    /// One row of [`Self::lift_plaintext`], written to `row`.
    ///
    /// # Panics
    /// Unless both slices have N numbers, or if there is no modulus of that index.
    pub fn lift_plaintext_row(&self, coefficients: &[W], index: usize, row: &mut [W]) {
        let t = self.parameters().plaintext_modulus();
        let table = &self.basis()[index];
        let offset = W::truncate(table.modulus().to_u64() - t);
        let threshold = W::truncate(t.div_ceil(2));
        assert_eq!(row.len(), coefficients.len(), "a row has one residue per coefficient");
        for (out, &x) in row.iter_mut().zip(coefficients) {
            let upper = W::ONE.wrapping_sub(W::ONE.and(x.less_mask(threshold)));
            *out = x.wrapping_add(offset.wrapping_mul(upper));
        }
        table.forward(row);
    }

    /// The plaintext of a lifted one, from its first row.
    ///
    /// # Errors
    /// [`Error::PlaintextValue`] if a residue is no lift of a number below t.
    pub fn unlift_plaintext(&self, lifted: &EvaluationPlaintext<W>) -> Result<Plaintext<W>, Error> {
        self.check_moduli(lifted.0.moduli())?;
        let t = self.parameters().plaintext_modulus();
        let table = &self.basis()[0];
        let offset = table.modulus().to_u64() - t;
        let mut plaintext = self.zero_plaintext();
        plaintext.0.copy_from_slice(lifted.0.row(0));
        table.inverse(&mut plaintext.0);
        for value in plaintext.0.iter_mut() {
            let number = value.to_u64();
            let number = if number >= t.div_ceil(2) { number.wrapping_sub(offset) } else { number };
            if number >= t {
                return Err(Error::PlaintextValue { modulus: t });
            }
            *value = W::truncate(number);
        }
        Ok(plaintext)
    }
}
