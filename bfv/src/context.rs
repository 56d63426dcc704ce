//! Everything that is computed once for a parameter set.

pub(crate) mod constants;

use crate::arithmetic::modulus::Modulus;
use crate::arithmetic::prime::primes_above;
use crate::cpu::Backend;
use crate::error::Error;
use crate::parameters::{ParameterError, Parameters};
use crate::rings::galois::Automorphisms;
use crate::rings::ntt::NttTable;
use crate::word::Word;
use constants::{Division, Level};

/// A parameter set with its tables, for words of one width. Build it once and share it: it takes
/// milliseconds and, for N = 4096, about a megabyte.
pub struct Context<W: Word> {
    parameters: Parameters,
    backend: Backend,
    /// Every coefficient modulus, that of key switching last.
    basis: Vec<NttTable<W>>,
    /// The auxiliary primes of ciphertext products: one more than ciphertext moduli.
    auxiliary: Vec<NttTable<W>>,
    plaintext: Modulus<W>,
    plaintext_ntt: Option<NttTable<W>>,
    gamma: Modulus<W>,
    /// Entry k - 1 serves ciphertexts of k moduli.
    levels: Vec<Level<W>>,
    /// Entry m divides by the modulus of index m.
    divisions: Vec<Division<W>>,
    automorphisms: Automorphisms,
}

impl<W: Word> Context<W> {
    /// Builds the tables for the back end in use, see [`Backend::detect`].
    ///
    /// # Errors
    /// [`Error::Backend`] if the environment names a back end that this machine lacks, and as
    /// [`Self::with_backend`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        Self::with_backend(parameters, Backend::detect()?)
    }

    /// Builds the tables for a given back end.
    ///
    /// # Errors
    /// [`Error::WordTooNarrow`] if a modulus does not fit the word: see [`Parameters::word_bits`].
    pub fn with_backend(parameters: Parameters, backend: Backend) -> Result<Self, Error> {
        if W::BITS < parameters.word_bits() {
            return Err(Error::WordTooNarrow { word_bits: W::BITS });
        }
        let degree = parameters.degree();
        let t = parameters.plaintext_modulus();
        let table = |modulus: u64| {
            NttTable::new(degree, modulus, backend)
                .ok_or(Error::Parameters(ParameterError::NotTransformable(modulus)))
        };
        let moduli = parameters.coefficient_moduli();
        let basis = moduli.iter().map(|&q| table(q)).collect::<Result<Vec<_>, _>>()?;
        let count = parameters.ciphertext_modulus_count();
        let primes = primes_above(W::BITS - 4, 2 * degree as u64, count + 1);
        let auxiliary = primes.iter().map(|&b| table(b)).collect::<Result<Vec<_>, _>>()?;
        let plaintext =
            Modulus::new(t).ok_or(Error::Parameters(ParameterError::PlaintextModulus(t)))?;
        let gamma = Modulus::new(W::GAMMA)
            .ok_or(Error::Parameters(ParameterError::PlaintextModulus(W::GAMMA)))?;
        let levels = (1..=count)
            .map(|k| {
                Level::new(&moduli[..k], &primes[..=k], t, &basis, &auxiliary, &plaintext, &gamma)
            })
            .collect();
        let divisions = basis.iter().map(|divisor| Division::new(divisor, &basis)).collect();
        Ok(Self {
            backend,
            plaintext_ntt: NttTable::new(degree, t, backend),
            basis,
            auxiliary,
            plaintext,
            gamma,
            levels,
            divisions,
            automorphisms: Automorphisms::default(),
            parameters,
        })
    }

    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The back end in use.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The degree N of the polynomials.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.parameters.degree()
    }

    /// L, the number of moduli of fresh ciphertexts.
    #[must_use]
    pub fn ciphertext_moduli(&self) -> usize {
        self.levels.len()
    }

    /// The tables of every coefficient modulus, that of key switching last.
    #[must_use]
    pub fn basis(&self) -> &[NttTable<W>] {
        &self.basis
    }

    /// The tables of the first `moduli` ciphertext moduli.
    pub(crate) fn prefix(&self, moduli: usize) -> &[NttTable<W>] {
        &self.basis[..moduli]
    }

    pub(crate) fn auxiliary(&self) -> &[NttTable<W>] {
        &self.auxiliary
    }

    /// The plaintext modulus t.
    #[must_use]
    pub fn plaintext_modulus(&self) -> &Modulus<W> {
        &self.plaintext
    }

    pub(crate) fn plaintext_ntt(&self) -> Option<&NttTable<W>> {
        self.plaintext_ntt.as_ref()
    }

    pub(crate) fn gamma(&self) -> &Modulus<W> {
        &self.gamma
    }

    pub(crate) fn level(&self, moduli: usize) -> &Level<W> {
        &self.levels[moduli - 1]
    }

    pub(crate) fn division(&self, by: usize) -> &Division<W> {
        &self.divisions[by]
    }

    pub(crate) fn automorphisms(&self) -> &Automorphisms {
        &self.automorphisms
    }

    /// Fails unless a number of moduli is one that ciphertexts can have.
    pub(crate) fn check_moduli(&self, moduli: usize) -> Result<(), Error> {
        let expected = self.ciphertext_moduli();
        if (1..=expected).contains(&moduli) {
            return Ok(());
        }
        Err(Error::Shape { what: "ciphertext moduli", expected, found: moduli })
    }

    /// The index of the key-switching modulus.
    pub(crate) fn key_modulus(&self) -> Result<usize, Error> {
        if self.parameters.has_key_switching() {
            Ok(self.basis.len() - 1)
        } else {
            Err(Error::NoKeySwitching)
        }
    }
}
