//! The reference's byte formats of keys, ciphertexts and plaintexts.
//!
//! Neither the form nor the number of moduli is in the bytes; the reader's context tells. Parsers
//! here check every length, every residue against its modulus, and every count before they allocate
//! for it, so that bytes from anywhere are safe to read.

use crate::bytes::packing::{self, packed_length};
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::Error;
use crate::keys::evaluation_key::{EvaluationKey, KeySwitchKey};
use crate::keys::secret_key::SecretKey;
use crate::plaintext::{EvaluationPlaintext, Plaintext};
use crate::random::drbg::Seed;
use crate::random::sampling::expand_seed;
use crate::rings::galois::GaloisElement;
use crate::rings::ntt::NttTable;
use crate::rings::poly::{Coefficient, Evaluation, Form, Poly};
use crate::word::Word;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A ciphertext as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a message of the protocol, whose forms are fixed")]
pub enum SerializedCiphertext {
    /// The second polynomial is expanded from a seed.
    Seeded {
        /// The packed rows of the first polynomial.
        poly0: Vec<u8>,
        /// The seed, 32 bytes.
        seed: Vec<u8>,
    },
    /// All polynomials.
    Full {
        /// The number of polynomials, 2 or 3, in two bytes little endian; then the packed rows of
        /// each.
        polys: Vec<u8>,
        /// For each polynomial, the number of low bits left out of its residues; empty means none.
        skip_lsbs: Vec<u32>,
        /// Always 1 in BFV.
        correction_factor: u64,
    },
}

/// A key-switching key as bytes: its ciphertexts.
pub type SerializedKeySwitchKey = Vec<SerializedCiphertext>;

/// Evaluation keys as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a message of the protocol, whose fields are fixed")]
pub struct SerializedEvaluationKey {
    /// Keys by Galois element.
    pub galois: BTreeMap<u64, SerializedKeySwitchKey>,
    /// The relinearization key.
    pub relinearization: Option<SerializedKeySwitchKey>,
}

/// How much of a polynomial is written.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    skip: u32,
}

pub(super) fn poly_length<W: Word>(degree: usize, basis: &[NttTable<W>], skip: u32) -> usize {
    let row = |table: &NttTable<W>| packed_length(degree, table.modulus().bits() - skip);
    basis.iter().map(row).sum()
}

fn write_poly<W: Word, F: Form>(
    out: &mut Vec<u8>,
    poly: &Poly<W, F>,
    basis: &[NttTable<W>],
    cut: Cut,
) {
    for (row, table) in poly.rows().zip(basis) {
        packing::pack(out, row, table.modulus().bits(), cut.skip);
    }
}

/// Reads the rows of one polynomial; `bytes` has exactly [`poly_length`] bytes.
fn read_poly<W: Word, F: Form>(
    mut bytes: &[u8],
    degree: usize,
    basis: &[NttTable<W>],
    cut: Cut,
) -> Result<Poly<W, F>, Error> {
    let mut poly = Poly::any(degree, basis.len());
    for (row, table) in poly.rows_mut().zip(basis) {
        let bits = table.modulus().bits();
        let (now, rest) = bytes.split_at(packed_length(degree, bits - cut.skip));
        packing::unpack_residues(now, table.modulus().to_u64(), bits, cut.skip, row)?;
        bytes = rest;
    }
    Ok(poly)
}

pub(super) fn check_length(what: &'static str, expected: usize, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() == expected {
        return Ok(());
    }
    Err(Error::Length { what, expected, found: bytes.len() })
}

pub(super) fn read_seed(seed: &[u8]) -> Result<Seed, Error> {
    seed.try_into().map_err(|_| Error::Length { what: "seed", expected: 32, found: seed.len() })
}

impl<W: Word> Context<W> {
    fn read_full<F: Form>(
        &self,
        basis: &[NttTable<W>],
        polys: &[u8],
        skip_lsbs: &[u32],
        correction_factor: u64,
    ) -> Result<Vec<Poly<W, F>>, Error> {
        if correction_factor != 1 {
            return Err(Error::CorrectionFactor(correction_factor));
        }
        let what = "polynomials of a ciphertext";
        let Some((count, mut rest)) = polys.split_first_chunk::<2>() else {
            return Err(Error::Length { what, expected: 2, found: polys.len() });
        };
        let count = usize::from(u16::from_le_bytes(*count));
        if !(2..=3).contains(&count) {
            return Err(Error::Shape { what, expected: 2, found: count });
        }
        if !skip_lsbs.is_empty() && skip_lsbs.len() != count {
            let what = "skipped bits of a ciphertext";
            return Err(Error::Shape { what, expected: count, found: skip_lsbs.len() });
        }
        let bits = basis.iter().map(|table| table.modulus().bits()).min().unwrap_or(0);
        let cuts: Vec<Cut> = (0..count)
            .map(|index| Cut { skip: skip_lsbs.get(index).copied().unwrap_or(0) })
            .collect();
        if let Some(cut) = cuts.iter().find(|cut| cut.skip >= bits) {
            return Err(Error::SkippedBits { skipped: u64::from(cut.skip), bits });
        }
        let length = |cut: &Cut| poly_length(self.degree(), basis, cut.skip);
        check_length(what, cuts.iter().map(length).sum(), rest)?;
        let mut result = Vec::with_capacity(count);
        for cut in cuts {
            let (now, later) = rest.split_at(length(&cut));
            result.push(read_poly(now, self.degree(), basis, cut)?);
            rest = later;
        }
        Ok(result)
    }

    fn read_evaluation_ciphertext(
        &self,
        serialized: &SerializedCiphertext,
        basis: &[NttTable<W>],
    ) -> Result<Ciphertext<W, Evaluation>, Error> {
        match serialized {
            SerializedCiphertext::Seeded { poly0, seed } => {
                let seed = read_seed(seed)?;
                check_length("first polynomial", poly_length(self.degree(), basis, 0), poly0)?;
                let c0 = read_poly(poly0, self.degree(), basis, Cut::default())?;
                let c1 = expand_seed(&seed, self.degree(), basis);
                Ok(Ciphertext { polys: vec![c0, c1], seed: Some(seed) })
            }
            SerializedCiphertext::Full { polys, skip_lsbs, correction_factor } => {
                Ok(Ciphertext::new(self.read_full(basis, polys, skip_lsbs, *correction_factor)?))
            }
        }
    }

    /// Reads a ciphertext of the first `moduli` ciphertext moduli in coefficient form.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Shape`], [`Error::Residue`], [`Error::SkippedBits`] or
    /// [`Error::CorrectionFactor`] if the bytes are not what the context makes of a ciphertext.
    pub fn read_ciphertext(
        &self,
        serialized: &SerializedCiphertext,
        moduli: usize,
    ) -> Result<Ciphertext<W, Coefficient>, Error> {
        self.check_moduli(moduli)?;
        let basis = self.prefix(moduli);
        match serialized {
            SerializedCiphertext::Seeded { poly0, seed } => {
                let seed = read_seed(seed)?;
                check_length("first polynomial", poly_length(self.degree(), basis, 0), poly0)?;
                let c0 = read_poly(poly0, self.degree(), basis, Cut::default())?;
                // Seeds expand in evaluation form whatever the ciphertext's form is.
                let c1 = expand_seed(&seed, self.degree(), basis).into_coefficients(basis);
                Ok(Ciphertext { polys: vec![c0, c1], seed: Some(seed) })
            }
            SerializedCiphertext::Full { polys, skip_lsbs, correction_factor } => {
                Ok(Ciphertext::new(self.read_full(basis, polys, skip_lsbs, *correction_factor)?))
            }
        }
    }

    /// Writes a ciphertext: seeded while its seed is attached, else in full.
    #[must_use]
    pub fn write_ciphertext<F: Form>(&self, ciphertext: &Ciphertext<W, F>) -> SerializedCiphertext {
        match (&ciphertext.seed, &ciphertext.polys[..]) {
            (Some(seed), [c0, _]) => {
                let mut poly0 = Vec::new();
                write_poly(&mut poly0, c0, self.basis(), Cut::default());
                SerializedCiphertext::Seeded { poly0, seed: seed.to_vec() }
            }
            _ => self.write_full(ciphertext, &vec![0; ciphertext.polys.len()]),
        }
    }

    fn write_full<F: Form>(
        &self,
        ciphertext: &Ciphertext<W, F>,
        skips: &[u32],
    ) -> SerializedCiphertext {
        let mut polys = (ciphertext.polys.len() as u16).to_le_bytes().to_vec();
        for (poly, &skip) in ciphertext.polys.iter().zip(skips) {
            write_poly(&mut polys, poly, self.basis(), Cut { skip });
        }
        SerializedCiphertext::Full { polys, skip_lsbs: skips.to_vec(), correction_factor: 1 }
    }

    /// Writes a ciphertext of one modulus without the low bits that decryption cannot see, see
    /// [`decryption_skip_bits`](crate::Parameters::decryption_skip_bits). Ciphertexts of more moduli,
    /// or more polynomials, are written in full.
    #[must_use]
    pub fn write_for_decryption(
        &self,
        ciphertext: &Ciphertext<W, Coefficient>,
    ) -> SerializedCiphertext {
        let skips = match (ciphertext.moduli(), ciphertext.polys.len()) {
            (1, 2) => self.parameters().decryption_skip_bits().to_vec(),
            (_, count) => vec![0; count],
        };
        self.write_full(ciphertext, &skips)
    }

    /// As [`Self::write_for_decryption`], with all coefficients of c0 zero but those of these
    /// indices: the same size, but it compresses.
    #[must_use]
    pub fn write_for_decryption_of(
        &self,
        ciphertext: &Ciphertext<W, Coefficient>,
        coefficients: &[usize],
    ) -> SerializedCiphertext {
        let mut sparse = ciphertext.clone();
        sparse.seed = None;
        for (row, from) in sparse.polys[0].rows_mut().zip(ciphertext.polys[0].rows()) {
            row.fill(W::ZERO);
            for &index in coefficients.iter().filter(|&&index| index < from.len()) {
                row[index] = from[index];
            }
        }
        self.write_for_decryption(&sparse)
    }

    /// Reads a plaintext of N coefficients, ⌈log2 t⌉ bits each.
    ///
    /// # Errors
    /// [`Error::Length`], or [`Error::Residue`] for a coefficient that is not below t.
    pub fn read_plaintext(&self, bytes: &[u8]) -> Result<Plaintext<W>, Error> {
        let t = self.plaintext_modulus();
        check_length("plaintext", packed_length(self.degree(), t.bits()), bytes)?;
        let mut plaintext = self.encode_coefficients(&[])?;
        packing::unpack_residues(bytes, t.to_u64(), t.bits(), 0, plaintext.buffer_mut())?;
        Ok(plaintext)
    }

    /// Writes a plaintext as N coefficients of ⌈log2 t⌉ bits.
    #[must_use]
    pub fn write_plaintext(&self, plaintext: &Plaintext<W>) -> Vec<u8> {
        let mut bytes = Vec::new();
        packing::pack(&mut bytes, plaintext.coefficients(), self.plaintext_modulus().bits(), 0);
        bytes
    }

    /// Bytes of an evaluation plaintext over all ciphertext moduli.
    #[must_use]
    pub fn evaluation_plaintext_length(&self) -> usize {
        poly_length(self.degree(), self.prefix(self.ciphertext_moduli()), 0)
    }

    /// Reads an evaluation plaintext over all ciphertext moduli: rows only.
    ///
    /// # Errors
    /// [`Error::Length`], or [`Error::Residue`] for a residue that is not below its modulus.
    pub fn read_evaluation_plaintext(&self, bytes: &[u8]) -> Result<EvaluationPlaintext<W>, Error> {
        check_length("evaluation plaintext", self.evaluation_plaintext_length(), bytes)?;
        let basis = self.prefix(self.ciphertext_moduli());
        Ok(EvaluationPlaintext(read_poly(bytes, self.degree(), basis, Cut::default())?))
    }

    /// Writes an evaluation plaintext: rows only.
    #[must_use]
    pub fn write_evaluation_plaintext(&self, plaintext: &EvaluationPlaintext<W>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_poly(&mut bytes, &plaintext.0, self.basis(), Cut::default());
        bytes
    }

    /// Reads a secret key: a list of one polynomial in evaluation form over all moduli. Only whether
    /// some residue is too large can show in the time that this takes.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Shape`] or [`Error::Residue`] if the bytes are no key of these
    /// parameters.
    pub fn read_secret_key(&self, bytes: &[u8]) -> Result<SecretKey<W>, Error> {
        let expected = 2 + poly_length(self.degree(), self.basis(), 0);
        check_length("secret key", expected, bytes)?;
        let (count, rows) = bytes.split_at(2);
        if count != [1, 0] {
            let found = usize::from(u16::from_le_bytes([count[0], count[1]]));
            return Err(Error::Shape { what: "polynomials of a secret key", expected: 1, found });
        }
        let poly = read_poly(rows, self.degree(), self.basis(), Cut::default())?;
        Ok(SecretKey::from_poly(poly))
    }

    /// Writes a secret key, for the client's own storage.
    #[must_use]
    pub fn write_secret_key(&self, key: &SecretKey<W>) -> Zeroizing<Vec<u8>> {
        // The capacity is final, so that no copy stays behind in freed memory.
        let capacity = 2 + poly_length(self.degree(), self.basis(), 0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        bytes.extend([1, 0]);
        write_poly(&mut bytes, key.poly(), self.basis(), Cut::default());
        bytes
    }

    pub(super) fn read_switch_key(
        &self,
        serialized: &[SerializedCiphertext],
    ) -> Result<KeySwitchKey<W>, Error> {
        let (expected, found) = (self.key_modulus()?, serialized.len());
        if expected != found {
            let what = "ciphertexts of a key-switching key";
            return Err(Error::Shape { what, expected, found });
        }
        let read = |ciphertext| self.read_key_ciphertext(ciphertext);
        Ok(KeySwitchKey(serialized.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Reads a ciphertext of a key-switching key, which has two polynomials.
    pub(super) fn read_key_ciphertext(
        &self,
        serialized: &SerializedCiphertext,
    ) -> Result<Ciphertext<W, Evaluation>, Error> {
        let ciphertext = self.read_evaluation_ciphertext(serialized, self.basis())?;
        match ciphertext.polys.len() {
            2 => Ok(ciphertext),
            found => {
                let what = "polynomials of a key-switching key";
                Err(Error::Shape { what, expected: 2, found })
            }
        }
    }

    /// Reads evaluation keys. Every key has one ciphertext for each ciphertext modulus.
    ///
    /// # Errors
    /// [`Error::GaloisElement`], [`Error::NoKeySwitching`], and as [`Self::read_ciphertext`] if the
    /// bytes are no keys of these parameters.
    pub fn read_evaluation_key(
        &self,
        serialized: &SerializedEvaluationKey,
    ) -> Result<EvaluationKey<W>, Error> {
        let mut galois = BTreeMap::new();
        for (&element, key) in &serialized.galois {
            let element = GaloisElement::new(element, self.degree())?;
            galois.insert(element, self.read_switch_key(key)?);
        }
        let relinearization =
            serialized.relinearization.as_deref().map(|key| self.read_switch_key(key));
        Ok(EvaluationKey { galois, relinearization: relinearization.transpose()? })
    }

    /// Writes evaluation keys, seeded where they have their seeds.
    #[must_use]
    pub fn write_evaluation_key(&self, key: &EvaluationKey<W>) -> SerializedEvaluationKey {
        let write = |key: &KeySwitchKey<W>| -> SerializedKeySwitchKey {
            key.0.iter().map(|ciphertext| self.write_ciphertext(ciphertext)).collect()
        };
        let galois = key.galois.iter().map(|(element, key)| (u64::from(element.get()), write(key)));
        SerializedEvaluationKey {
            galois: galois.collect(),
            relinearization: key.relinearization.as_ref().map(write),
        }
    }
}
