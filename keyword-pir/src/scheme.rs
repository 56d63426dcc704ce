//! A parameter set's arithmetic, in words of the width that it needs.

use crate::error::Error;
use bfv::serialize::SerializedEvaluationKey;
use bfv::{
    Backend, Context, EvaluationKeyConfig, GaloisElement, InverseMonomial, Parameters,
    PreparedEvaluationKey, RandomSource, Word,
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A value for 32-bit words, or one for 64-bit words.
pub(crate) enum ByWord<N, W> {
    Narrow(N),
    Wide(W),
}

/// Runs the same code for either width.
macro_rules! by_word {
    ($value:expr, $bound:pat => $body:expr) => {
        match $value {
            $crate::scheme::ByWord::Narrow($bound) => $crate::scheme::ByWord::Narrow($body),
            $crate::scheme::ByWord::Wide($bound) => $crate::scheme::ByWord::Wide($body),
        }
    };
}
pub(crate) use by_word;

/// Runs the same code for either width, to one type.
macro_rules! any_word {
    ($value:expr, $bound:pat => $body:expr) => {
        match $value {
            $crate::scheme::ByWord::Narrow($bound) => $body,
            $crate::scheme::ByWord::Wide($bound) => $body,
        }
    };
}
pub(crate) use any_word;

/// Runs the same code for a pair of equal width; anything else is a mismatch.
macro_rules! both_words {
    ($a:expr, $b:expr, $what:expr, ($x:pat, $y:pat) => $body:expr) => {
        match ($a, $b) {
            ($crate::scheme::ByWord::Narrow($x), $crate::scheme::ByWord::Narrow($y)) => $body,
            ($crate::scheme::ByWord::Wide($x), $crate::scheme::ByWord::Wide($y)) => $body,
            _ => Err($crate::error::Error::Mismatch($what)),
        }
    };
}
pub(crate) use both_words;

pub(crate) struct Tables<W: Word> {
    pub(crate) context: Context<W>,
    /// Entry s - 1 is X^-(2^(s-1)), for step s of expansions.
    pub(crate) monomials: Vec<InverseMonomial<W>>,
}

impl<W: Word> Tables<W> {
    fn new(parameters: Parameters, backend: Backend) -> Result<Self, bfv::Error> {
        let steps = parameters.degree().ilog2();
        let context = Context::with_backend(parameters, backend)?;
        let monomials = (0..steps).map(|step| context.inverse_monomial(1 << step)).collect();
        Ok(Self { context, monomials })
    }
}

/// A parameter set with its tables: build it once for all shards, queries and clients that use the
/// set; clones share them.
pub struct Scheme(pub(crate) ByWord<Arc<Tables<u32>>, Arc<Tables<u64>>>);

impl Clone for Scheme {
    fn clone(&self) -> Self {
        Self(by_word!(&self.0, tables => Arc::clone(tables)))
    }
}

/// A client's secret key. Wiped when dropped.
pub struct SecretKey(pub(crate) ByWord<bfv::SecretKey<u32>, bfv::SecretKey<u64>>);

/// A client's evaluation key, parsed and ready for use by a server.
pub struct EvaluationKey {
    pub(crate) keys: ByWord<PreparedEvaluationKey<u32>, PreparedEvaluationKey<u64>>,
    parameters: Parameters,
}

impl EvaluationKey {
    /// Memory that it takes, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        any_word!(&self.keys, keys => keys.memory())
    }
}

impl Scheme {
    /// Builds the tables for the back end in use, see [`Backend::detect`].
    ///
    /// # Errors
    /// [`Error::Scheme`] if the environment names a back end that this machine lacks.
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        Self::with_backend(parameters, Backend::detect().map_err(bfv::Error::from)?)
    }

    /// Builds the tables for a given back end.
    ///
    /// # Errors
    /// [`Error::Scheme`] if the tables cannot be built, which valid parameters do not cause.
    pub fn with_backend(parameters: Parameters, backend: Backend) -> Result<Self, Error> {
        Ok(Self(match parameters.word_bits() {
            32 => ByWord::Narrow(Arc::new(Tables::new(parameters, backend)?)),
            _ => ByWord::Wide(Arc::new(Tables::new(parameters, backend)?)),
        }))
    }

    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        any_word!(&self.0, tables => tables.context.parameters())
    }

    /// The back end in use.
    #[must_use]
    pub fn backend(&self) -> Backend {
        any_word!(&self.0, tables => tables.context.backend())
    }

    /// Draws a secret key.
    ///
    /// # Errors
    /// [`Error::Scheme`] if the random source fails.
    pub fn generate_secret_key(&self, random: &mut impl RandomSource) -> Result<SecretKey, Error> {
        let key = by_word!(&self.0, tables => tables.context.generate_secret_key(random)?);
        Ok(SecretKey(key))
    }

    /// Reads a stored secret key.
    ///
    /// # Errors
    /// [`Error::Scheme`] if the bytes are no key of this parameter set.
    pub fn read_secret_key(&self, bytes: &[u8]) -> Result<SecretKey, Error> {
        Ok(SecretKey(by_word!(&self.0, tables => tables.context.read_secret_key(bytes)?)))
    }

    /// A secret key as bytes, for the client's own storage.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the key is of another parameter set.
    pub fn write_secret_key(&self, key: &SecretKey) -> Result<Zeroizing<Vec<u8>>, Error> {
        both_words!(&self.0, &key.0, "the secret key", (tables, key) => {
            Ok(tables.context.write_secret_key(key))
        })
    }

    /// Draws the evaluation key that a server asks for.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the configuration or the secret key is of another parameter set,
    /// [`Error::Scheme`] for elements that are none of the ring or if the random source fails.
    pub fn generate_evaluation_key(
        &self,
        config: &EvaluationKeyConfig,
        key: &SecretKey,
        random: &mut impl RandomSource,
    ) -> Result<SerializedEvaluationKey, Error> {
        if config.parameters != *self.parameters() {
            return Err(Error::Mismatch("the evaluation key configuration"));
        }
        both_words!(&self.0, &key.0, "the secret key", (tables, key) => {
            let keys = tables.context.generate_evaluation_key(config, key, random)?;
            Ok(tables.context.write_evaluation_key(&keys))
        })
    }

    /// Memory that an evaluation key of a configuration takes once it is prepared, in bytes: the
    /// [`EvaluationKey::memory`] of every such key.
    #[must_use]
    pub fn evaluation_key_memory(config: &EvaluationKeyConfig) -> usize {
        let parameters = &config.parameters;
        let count = config.galois_elements.len() + usize::from(config.has_relinearization_key);
        let ciphertexts = parameters.ciphertext_modulus_count();
        let word = parameters.word_bits() as usize / 8;
        let polys = 2 * ciphertexts * parameters.coefficient_moduli().len();
        count.saturating_mul(polys * parameters.degree() * word)
    }

    /// Reads an evaluation key, which must hold every key of `config`, and prepares those. Others
    /// are checked and left out.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the configuration is of another parameter set, [`Error::Scheme`] if a
    /// key is missing or not valid.
    pub fn prepare_evaluation_key(
        &self,
        config: &EvaluationKeyConfig,
        serialized: &SerializedEvaluationKey,
    ) -> Result<EvaluationKey, Error> {
        if config.parameters != *self.parameters() {
            return Err(Error::Mismatch("the evaluation key configuration"));
        }
        let keys = by_word!(&self.0, tables => {
            let wanted = config
                .galois_elements
                .iter()
                .map(|&element| GaloisElement::new(u64::from(element), tables.context.degree()))
                .collect::<Result<Vec<_>, _>>()?;
            let relinearization = config.has_relinearization_key;
            tables.context.read_prepared_evaluation_key(serialized, &wanted, relinearization)?
        });
        Ok(EvaluationKey { keys, parameters: config.parameters.clone() })
    }

    pub(crate) fn check_key(&self, key: &EvaluationKey) -> Result<(), Error> {
        if key.parameters == *self.parameters() {
            return Ok(());
        }
        Err(Error::Mismatch("the evaluation key"))
    }
}
