//! Evaluation keys from bytes straight to the form in which a server uses them.
//!
//! A user's key is most often used once after it was read, so this is part of the cost of a query.
//! Residues are unpacked or drawn, checked, brought to Montgomery form and put in their place a part
//! at a time, so that nothing but the result leaves the nearest cache.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::backend::kernels;
use crate::bytes::packing::{self, packed_length};
use crate::bytes::serialize::{
    SerializedCiphertext, SerializedEvaluationKey, check_length, poly_length, read_seed,
};
use crate::context::Context;
use crate::error::Error;
use crate::keys::prepared_key::{PreparedEvaluationKey, PreparedSwitchKey};
use crate::random::sampling::expand_parts;
use crate::rings::galois::GaloisElement;
use crate::word::Word;
use std::collections::BTreeMap;

/// Residues that are unpacked at a time. Eight of them fill whole bytes.
const PART: usize = 256;

impl<W: Word> Context<W> {
    /// Writes a packed polynomial of all moduli to a prepared key; `bytes` has exactly
    /// [`poly_length`] bytes.
    fn write_packed(
        &self,
        mut bytes: &[u8],
        place: [usize; 2],
        out: &mut PreparedSwitchKey<W>,
    ) -> Result<(), Error> {
        let degree = self.degree();
        let part = degree.min(PART);
        let mut residues = AlignedBuffer::<W>::any(part);
        for (row, table) in self.basis().iter().enumerate() {
            let modulus = *table.modulus();
            let bits = modulus.bits();
            for start in (0..degree).step_by(part) {
                // Rows, and with them parts, start with a byte. What follows a part is not read.
                let from = &bytes[start * bits as usize / 8..];
                packing::unpack_residues(from, modulus.to_u64(), bits, 0, &mut residues)?;
                kernels::to_montgomery(self.backend(), &mut residues, modulus);
                out.write(row, place, start, &residues);
            }
            bytes = &bytes[packed_length(degree, bits)..];
        }
        Ok(())
    }

    fn read_prepared_switch_key(
        &self,
        serialized: &[SerializedCiphertext],
    ) -> Result<PreparedSwitchKey<W>, Error> {
        let (expected, found) = (self.key_modulus()?, serialized.len());
        if expected != found {
            let what = "ciphertexts of a key-switching key";
            return Err(Error::Shape { what, expected, found });
        }
        let mut key = PreparedSwitchKey::any(self.degree(), self.basis().len(), expected);
        for (index, ciphertext) in serialized.iter().enumerate() {
            match ciphertext {
                SerializedCiphertext::Seeded { poly0, seed } => {
                    let seed = read_seed(seed)?;
                    let length = poly_length(self.degree(), self.basis(), 0);
                    check_length("first polynomial", length, poly0)?;
                    self.write_packed(poly0, [index, 0], &mut key)?;
                    expand_parts(&seed, self.degree(), self.basis(), true, |row, start, part| {
                        key.write(row, [index, 1], start, part);
                    });
                }
                SerializedCiphertext::Full { .. } => {
                    let mut parsed = self.read_key_ciphertext(ciphertext)?;
                    for (place, poly) in parsed.polys.iter_mut().enumerate() {
                        for (row, (out, table)) in poly.rows_mut().zip(self.basis()).enumerate() {
                            kernels::to_montgomery(self.backend(), out, *table.modulus());
                            key.write(row, [index, place], 0, out);
                        }
                    }
                }
            }
        }
        Ok(key)
    }

    /// Reads the keys of some Galois elements, and the relinearization key if it is wanted, ready for
    /// use. The others are checked and left out. Equal to
    /// [`prepare_evaluation_key`](Self::prepare_evaluation_key) of what
    /// [`read_evaluation_key`](Self::read_evaluation_key) gives, in a fraction of the time.
    ///
    /// # Errors
    /// As [`Self::read_evaluation_key`]; [`Error::MissingGaloisKey`] and
    /// [`Error::MissingRelinearizationKey`] if a wanted key is absent.
    pub fn read_prepared_evaluation_key(
        &self,
        serialized: &SerializedEvaluationKey,
        elements: &[GaloisElement],
        relinearization: bool,
    ) -> Result<PreparedEvaluationKey<W>, Error> {
        let mut galois = BTreeMap::new();
        for (&element, key) in &serialized.galois {
            let element = GaloisElement::new(element, self.degree())?;
            if elements.contains(&element) {
                let key = self.read_prepared_switch_key(key)?;
                galois.insert(element, self.prepared_galois_key(element, key));
            } else {
                self.read_switch_key(key)?;
            }
        }
        let found = serialized.relinearization.as_deref();
        let relinearization = match (found, relinearization) {
            (Some(key), true) => Some(self.read_prepared_switch_key(key)?),
            (Some(key), false) => {
                self.read_switch_key(key)?;
                None
            }
            (None, false) => None,
            (None, true) => return Err(Error::MissingRelinearizationKey),
        };
        if let Some(missing) = elements.iter().find(|element| !galois.contains_key(element)) {
            return Err(Error::MissingGaloisKey(missing.get()));
        }
        Ok(PreparedEvaluationKey { galois, relinearization })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Backend;
    use crate::keys::evaluation_key::EvaluationKeyConfig;
    use crate::parameters::Parameters;
    use crate::random::sampling::OsRandom;
    use std::sync::Arc;

    fn rows<W: Word>(key: &PreparedEvaluationKey<W>) -> Vec<&[W]> {
        let galois = key.galois.values().map(|galois| &galois.key);
        let keys = galois.chain(&key.relinearization);
        keys.flat_map(|key| key.rows.iter().map(|row| &row[..])).collect()
    }

    /// The same key with both polynomials of each ciphertext written out.
    fn without_seeds<W: Word>(
        context: &Context<W>,
        serialized: &SerializedEvaluationKey,
    ) -> SerializedEvaluationKey {
        let mut key = context.read_evaluation_key(serialized).unwrap();
        let keys = key.galois.values_mut().chain(&mut key.relinearization);
        keys.flat_map(|key| &mut key.0).for_each(|ciphertext| ciphertext.seed = None);
        context.write_evaluation_key(&key)
    }

    fn agrees<W: Word>(name: &str) {
        for backend in Backend::permitted().unwrap() {
            let parameters = Parameters::predefined(name).unwrap();
            let context = Context::<W>::with_backend(parameters.clone(), backend).unwrap();
            let secret = context.generate_secret_key(&mut OsRandom).unwrap();
            let config = EvaluationKeyConfig {
                parameters,
                galois_elements: vec![3, 5, 9],
                has_relinearization_key: true,
            };
            let key = context.generate_evaluation_key(&config, &secret, &mut OsRandom).unwrap();
            let seeded = context.write_evaluation_key(&key);
            let full = without_seeds(&context, &seeded);
            assert!(full != seeded);
            let all = [3, 5, 9].map(|g| GaloisElement::new(g, context.degree()).unwrap());
            let expected = context.prepare_evaluation_key(&key);
            for serialized in [&seeded, &full] {
                let read = context.read_prepared_evaluation_key(serialized, &all, true).unwrap();
                assert!(rows(&read) == rows(&expected), "{name} {backend:?}");
            }
            let some = context.read_prepared_evaluation_key(&seeded, &all[1..2], false).unwrap();
            assert!(some.galois_elements().eq([all[1]]) && !some.has_relinearization_key());
            assert_eq!(some.memory(), expected.memory() / 4);
            let tables = |key: &PreparedEvaluationKey<W>| {
                Arc::clone(&key.galois.get(&all[1]).unwrap().automorphism)
            };
            assert!(Arc::ptr_eq(&tables(&some), &tables(&expected)));
        }
    }

    #[test]
    fn a_key_from_bytes_is_the_prepared_key() {
        agrees::<u32>("n_4096_logq_27_28_28_logt_5");
        agrees::<u32>("insecure_n_8_logq_5x18_logt_5");
        agrees::<u64>("n_8192_logq_3x55_logt_24");
    }

    #[test]
    fn every_part_of_a_key_is_checked() {
        let parameters = Parameters::predefined("insecure_n_8_logq_5x18_logt_5").unwrap();
        let context = Context::<u32>::new(parameters.clone()).unwrap();
        let secret = context.generate_secret_key(&mut OsRandom).unwrap();
        let config = EvaluationKeyConfig {
            parameters,
            galois_elements: vec![3, 5],
            has_relinearization_key: true,
        };
        let key = context.generate_evaluation_key(&config, &secret, &mut OsRandom).unwrap();
        let valid = context.write_evaluation_key(&key);
        let element = |g| GaloisElement::new(g, 8).unwrap();
        let read = |serialized: &SerializedEvaluationKey, elements: &[GaloisElement], relin| {
            context.read_prepared_evaluation_key(serialized, elements, relin).err()
        };
        assert_eq!(read(&valid, &[element(3)], false), None);
        let missing = read(&valid, &[element(3), element(7)], true);
        assert_eq!(missing, Some(Error::MissingGaloisKey(7)));
        let mut without = valid.clone();
        without.relinearization = None;
        let missing = read(&without, &[element(3)], true);
        assert_eq!(missing, Some(Error::MissingRelinearizationKey));
        // A fault in a key is found whether the key is wanted or not.
        let faults: [fn(&mut SerializedCiphertext); 4] = [
            |ciphertext| {
                let SerializedCiphertext::Seeded { poly0, .. } = ciphertext else { return };
                poly0.fill(0xff);
            },
            |ciphertext| {
                let SerializedCiphertext::Seeded { poly0, .. } = ciphertext else { return };
                poly0.pop();
            },
            |ciphertext| {
                let SerializedCiphertext::Seeded { seed, .. } = ciphertext else { return };
                seed.push(0);
            },
            |ciphertext| {
                let polys = vec![3, 0];
                *ciphertext =
                    SerializedCiphertext::Full { polys, skip_lsbs: vec![], correction_factor: 1 };
            },
        ];
        for fault in faults {
            for wanted in [3, 5] {
                let mut wrong = valid.clone();
                fault(wrong.galois.get_mut(&3).unwrap().last_mut().unwrap());
                assert!(read(&wrong, &[element(wanted)], true).is_some());
            }
            for wanted in [false, true] {
                let mut wrong = valid.clone();
                fault(wrong.relinearization.as_mut().unwrap().first_mut().unwrap());
                assert!(read(&wrong, &[element(3)], wanted).is_some());
            }
        }
        let mut short = valid.clone();
        short.galois.get_mut(&3).unwrap().pop();
        assert!(read(&short, &[element(3)], true).is_some());
    }
}
