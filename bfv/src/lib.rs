//! The BFV scheme over residue number systems, compatible bit for bit with the keys and ciphertexts
//! that Apple's devices exchange with a PIR service.
//!
//! Start with [`Parameters`] and a [`Context`]; its methods are the operations. What form a
//! polynomial is in ([`Coefficient`] or [`Evaluation`]) is part of its type, how many moduli it has
//! left is part of its value and checked. Objects become bytes and back in [`serialize`].
//!
//! ```
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
//! # Ok::<(), bfv::Error>(())
//! ```
//!
//! # Secrets and time
//! Key generation, encryption and decryption neither branch on secrets nor index with them, and
//! secret keys, plaintexts and errors are wiped when dropped. Everything a server does with
//! ciphertexts and evaluation keys is on data that the server may see, and takes time that depends
//! on shapes only. Variable-time operations are [`Context::noise_budget`] (secret; diagnosis only),
//! comparison of polynomials, and the parsers, whose input came over the network.
//!
//! # Speed
//! Loops are compiled for several instruction sets and chosen at run time, see [`Backend`]. Use
//! `Context<u32>` where [`Parameters::word_bits`] is 32, it is several times faster.

pub mod backend;
mod ciphertext;
mod context;
mod drbg;
mod error;
mod evaluation_key;
mod galois;
mod key_switch;
mod matrix;
mod mod_switch;
pub mod modulus;
mod multiply;
pub mod ntt;
pub mod packing;
mod parameters;
mod plaintext;
mod poly;
mod prime;
pub mod sampling;
mod secret_key;
pub mod serialize;
mod word;

pub use backend::Backend;
pub use ciphertext::Ciphertext;
pub use context::Context;
pub use drbg::{CtrDrbg, Seed};
pub use error::Error;
pub use evaluation_key::{EvaluationKey, EvaluationKeyConfig, KeySwitchKey, PreparedEvaluationKey};
pub use galois::GaloisElement;
pub use key_switch::{DualCiphertext, InverseMonomial};
pub use matrix::{CiphertextVector, PlaintextMatrix};
pub use multiply::Operand;
pub use parameters::{MAX_DEGREE, MAX_MODULI, Millibits, ParameterError, Parameters, Security};
pub use plaintext::{EvaluationPlaintext, Plaintext};
pub use poly::{Coefficient, Evaluation, Form, Poly};
pub use prime::is_prime;
pub use sampling::{OsRandom, RandomSource};
pub use secret_key::SecretKey;
pub use word::Word;
