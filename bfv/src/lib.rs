//! The BFV scheme over residue number systems, compatible bit for bit with the keys and ciphertexts
//! that Apple's devices exchange with a PIR service.
//!
//! Start with [`Parameters`] and a [`Context`]; its methods are the operations. What form a
//! polynomial is in ([`Coefficient`] or [`Evaluation`]) is part of its type; how many moduli it has
//! left is part of its value and checked. Objects become bytes and back in [`serialize`].
//!
//! ```
//! # #[cfg(feature = "os-random")] {
//! use bfv::{Context, OsRandom, Parameters};
//!
//! let parameters = Parameters::predefined("n_4096_logq_27_28_28_logt_5").unwrap();
//! let context = Context::<u32>::new(parameters)?;
//! let key = context.generate_secret_key(&mut OsRandom)?;
//! let message = context.encode_coefficients(&[3, 1, 4])?;
//! let mut ciphertext = context.encrypt(&message, &key, &mut OsRandom)?;
//! context.add_plaintext(&mut ciphertext, &message)?;
//! let decrypted = context.decrypt(&ciphertext, &key)?;
//! assert_eq!(decrypted.to_numbers()[..4], [6, 2, 8, 0]);
//! # }
//! # Ok::<(), bfv::Error>(())
//! ```
//!
//! # Map
//! Each folder stands on those above it.
//!
//! | folder | what is in it |
//! | --- | --- |
//! | `arithmetic` | the two machine words, arithmetic modulo one prime ([`modulus`]), the constants of the transform |
//! | `cpu`, `backend` | which instructions there are ([`Backend`]), and the loops for each of them |
//! | `rings` | polynomials ([`Poly`]), their transform ([`ntt`]), their automorphisms ([`GaloisElement`]) |
//! | `random` | seeds to polynomials ([`CtrDrbg`], [`sampling`]) |
//! | `parameters`, `context` | which parameter sets are valid, and what is computed once for a set |
//! | `plaintext`, `ciphertext`, `keys` | the objects: [`Plaintext`], [`Ciphertext`], [`SecretKey`], [`EvaluationKey`] |
//! | `ops` | the operations: encryption, sums, products, key switching, mod switching, the matrix product of PIR |
//! | `bytes` | [`packing`] of residues into bits, and the formats of objects ([`serialize`]) |
//!
//! Symbols are those of `docs/pir.md`: N is the degree of the polynomials, t the plaintext modulus,
//! q_i the coefficient moduli, L the number of moduli of a fresh ciphertext, Q their product.
//!
//! # Secrets and time
//! Key generation, encryption and decryption neither branch on secrets nor index with them, and
//! secret keys, plaintexts and errors are wiped when dropped. Everything a server does with
//! ciphertexts and evaluation keys is on data that the server may see, and takes time that depends
//! on shapes only. Variable-time operations are [`Context::noise_budget`] (secret; diagnosis only),
//! comparison of polynomials, and the parsers, whose input came over the network.
//!
//! # Speed
//! Loops are compiled for several instruction sets and chosen when the program runs, see [`Backend`].
//! Use `Context<u32>` where [`Parameters::word_bits`] is 32: it is several times faster.
//!
//! # Features
//! - `os-random` (default): `OsRandom`, seeds from the operating system.
//! - `wasm-js`: `OsRandom` in browsers and Node.js, for `wasm32-unknown-unknown`.
//!
//! The crate compiles for every target with `std`; vectors are written for x86-64 and 64-bit ARM.

#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::undocumented_unsafe_blocks
)]

mod arithmetic;
mod backend;
mod bytes;
mod ciphertext;
mod context;
mod cpu;
mod error;
mod keys;
mod ops;
mod parameters;
mod plaintext;
mod random;
mod rings;
mod word;

pub use arithmetic::modulus;
pub use arithmetic::prime::is_prime;
pub use arithmetic::word::MachineWord;
pub use bytes::{packing, serialize};
pub use ciphertext::Ciphertext;
pub use context::Context;
pub use cpu::{BACKEND_VARIABLE, Backend, BackendError};
pub use error::Error;
pub use keys::evaluation_key::{EvaluationKey, EvaluationKeyConfig, KeySwitchKey};
pub use keys::prepared_key::PreparedEvaluationKey;
pub use keys::secret_key::SecretKey;
pub use ops::expansion::InverseMonomial;
pub use ops::key_switch::DualCiphertext;
pub use ops::matrix::{CiphertextVector, PlaintextMatrix};
pub use ops::multiply::Operand;
pub use parameters::{MAX_DEGREE, MAX_MODULI, Millibits, ParameterError, Parameters, Security};
pub use plaintext::{EvaluationPlaintext, Plaintext};
pub use random::drbg::{CtrDrbg, Seed};
#[cfg(feature = "os-random")]
pub use random::sampling::OsRandom;
pub use random::sampling::{self, RandomSource};
pub use rings::galois::GaloisElement;
pub use rings::ntt;
pub use rings::poly::{Coefficient, Evaluation, Form, Poly};
pub use word::Word;
