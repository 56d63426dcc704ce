//! Why an operation or a parser refuses its input.

use crate::cpu::BackendError;
use crate::parameters::ParameterError;

/// An operation or a parser refused its input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The parameters do not form a valid set.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// The parameters need a wider word than the context has.
    #[error("a modulus does not fit {word_bits}-bit words; build the context with 64-bit words")]
    WordTooNarrow {
        /// The width that was asked for.
        word_bits: u32,
    },
    /// The environment names a back end that this machine cannot use.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Two operands, or an operand and the context, have different shapes.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What was counted, for the message.
        what: &'static str,
        /// The number that fits.
        expected: usize,
        /// The number that was given.
        found: usize,
    },
    /// A number of bytes is not what the parameters make it.
    #[error("{what}: expected {expected} bytes, found {found}")]
    Length {
        /// What the bytes are of, such as a ciphertext, for the message.
        what: &'static str,
        /// Its size under these parameters.
        expected: usize,
        /// The size that was given.
        found: usize,
    },
    /// A residue is not below its modulus.
    #[error("a residue is not below its modulus {modulus}")]
    Residue {
        /// The modulus of the residue's row.
        modulus: u64,
    },
    /// A plaintext coefficient is not in the range of its encoding.
    #[error("a value is outside the range of plaintext modulus {modulus}")]
    PlaintextValue {
        /// The plaintext modulus t.
        modulus: u64,
    },
    /// A serialized ciphertext leaves out as many bits as a residue has, or more.
    #[error("{skipped} low bits cannot be left out of residues of {bits} bits")]
    SkippedBits {
        /// The number of bits to leave out.
        skipped: u64,
        /// Bits of the smallest residue.
        bits: u32,
    },
    /// A ciphertext's correction factor is not 1, the only one of BFV.
    #[error("the correction factor is {0}; it is always 1 in BFV and must be written")]
    CorrectionFactor(u64),
    /// A number is not a Galois element of the ring.
    #[error("{element} is not a Galois element: expected an odd number above 1 and below {bound}")]
    GaloisElement {
        /// The number that was given.
        element: u64,
        /// 2N, for polynomials of degree N.
        bound: u64,
    },
    /// The evaluation key lacks the key of a Galois element.
    #[error("the evaluation key has no key for Galois element {0}")]
    MissingGaloisKey(u32),
    /// The evaluation key lacks the relinearization key.
    #[error("the evaluation key has no relinearization key")]
    MissingRelinearizationKey,
    /// The parameters have a single coefficient modulus, so that there is no key switching.
    #[error("parameters with a single coefficient modulus have no evaluation keys")]
    NoKeySwitching,
    /// The plaintext modulus is not 1 modulo 2N, so that plaintexts have no SIMD slots.
    #[error("plaintext modulus {0} has no slots: it is not 1 modulo twice the degree")]
    NoSlots(u64),
    /// The random source gave no seed.
    #[error("the random source failed")]
    Randomness,
}
