//! Keys that the holder of the secret key gives away, so that others can apply automorphisms and
//! relinearize.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::backend::kernels;
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::Error;
use crate::keys::secret_key::SecretKey;
use crate::parameters::Parameters;
use crate::random::sampling::RandomSource;
use crate::rings::galois::GaloisElement;
use crate::rings::poly::{Evaluation, Poly};
use crate::word::Word;
use std::collections::BTreeMap;
use zeroize::Zeroize;

/// Which evaluation keys a server asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a message of the protocol, whose fields are fixed")]
pub struct EvaluationKeyConfig {
    /// The parameter set of the keys.
    pub parameters: Parameters,
    /// Galois elements, each odd, above 1 and below 2N.
    pub galois_elements: Vec<u32>,
    /// Whether a relinearization key is wanted.
    pub has_relinearization_key: bool,
}

/// A key-switching key as it travels: one ciphertext for each ciphertext modulus, in evaluation form
/// over all moduli.
#[derive(Clone)]
pub struct KeySwitchKey<W: Word>(pub(crate) Vec<Ciphertext<W, Evaluation>>);

impl<W: Word> KeySwitchKey<W> {
    /// The ciphertexts, one for each ciphertext modulus.
    #[must_use]
    pub fn ciphertexts(&self) -> &[Ciphertext<W, Evaluation>] {
        &self.0
    }
}

/// Evaluation keys as they travel. They are public: whoever has them can compute on ciphertexts, but
/// not decrypt them.
#[derive(Clone)]
pub struct EvaluationKey<W: Word> {
    pub(crate) galois: BTreeMap<GaloisElement, KeySwitchKey<W>>,
    pub(crate) relinearization: Option<KeySwitchKey<W>>,
}

impl<W: Word> EvaluationKey<W> {
    /// The Galois elements that it has keys for, ascending.
    pub fn galois_elements(&self) -> impl Iterator<Item = GaloisElement> {
        self.galois.keys().copied()
    }

    /// Whether it has a relinearization key.
    #[must_use]
    pub fn has_relinearization_key(&self) -> bool {
        self.relinearization.is_some()
    }

    /// Drops all Galois keys but those of `elements`, and the relinearization key unless
    /// `relinearization`.
    pub fn retain(&mut self, elements: &[GaloisElement], relinearization: bool) {
        self.galois.retain(|element, _| elements.contains(element));
        self.relinearization.take_if(|_| !relinearization);
    }

    /// The key of one element.
    #[must_use]
    pub fn galois_key(&self, element: GaloisElement) -> Option<&KeySwitchKey<W>> {
        self.galois.get(&element)
    }

    /// The relinearization key.
    #[must_use]
    pub fn relinearization_key(&self) -> Option<&KeySwitchKey<W>> {
        self.relinearization.as_ref()
    }
}

impl<W: Word> Context<W> {
    /// A key that switches from `source` (evaluation form, all moduli) to `key`.
    fn switch_key(
        &self,
        source: &Poly<W, Evaluation>,
        key: &SecretKey<W>,
        random: &mut impl RandomSource,
    ) -> Result<KeySwitchKey<W>, Error> {
        let special = self.key_modulus()?;
        let p = self.basis()[special].modulus().to_u64();
        let mut ciphertexts = Vec::with_capacity(special);
        for row in 0..special {
            let mut zero = self.encrypt_zero_for_key(key, random)?;
            let modulus = *self.basis()[row].modulus();
            let mut gadget = AlignedBuffer::zeroed(self.degree());
            let factor = modulus.factor_u64(p);
            kernels::mul_factor_into(self.backend(), &mut gadget, source.row(row), factor, modulus);
            kernels::add(self.backend(), zero.polys[0].row_mut(row), &gadget, modulus);
            gadget.zeroize();
            ciphertexts.push(zero);
        }
        Ok(KeySwitchKey(ciphertexts))
    }

    /// Draws the keys that a configuration asks for.
    ///
    /// # Errors
    /// [`Error::GaloisElement`] for an element that is none of this ring, [`Error::NoKeySwitching`]
    /// for parameters with a single modulus, and [`Error::Randomness`] if the source fails.
    pub fn generate_evaluation_key(
        &self,
        config: &EvaluationKeyConfig,
        key: &SecretKey<W>,
        random: &mut impl RandomSource,
    ) -> Result<EvaluationKey<W>, Error> {
        let mut galois = BTreeMap::new();
        for &element in &config.galois_elements {
            let element = GaloisElement::new(u64::from(element), self.degree())?;
            let table = element.slot_table(self.degree());
            let mut image = Poly::zero(self.degree(), self.basis().len());
            for (out, row) in image.rows_mut().zip(key.poly().rows()) {
                kernels::permute(self.backend(), out, row, &table);
            }
            galois.insert(element, self.switch_key(&image, key, random)?);
            image.zeroize();
        }
        let relinearization = match config.has_relinearization_key {
            true => {
                let mut square = key.poly().clone();
                for ((x, y), table) in square.rows_mut().zip(key.poly().rows()).zip(self.basis()) {
                    kernels::mul(self.backend(), x, y, *table.modulus());
                }
                let switch = self.switch_key(&square, key, random)?;
                square.zeroize();
                Some(switch)
            }
            false => None,
        };
        Ok(EvaluationKey { galois, relinearization })
    }
}
