//! Recordings of other implementations, for tests. See the README for where they are.
//!
//! Everything here panics where a recording is missing or cannot be read: a test cannot go on.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot read its recording fails"
)]

pub mod bfv;
mod messages;
mod parameter_file;
pub mod pir;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of recordings outside of the repository, whether or not it exists:
/// `../shared/vectors`, or what `URLFILTER_VECTORS` names.
pub fn shared_folder() -> PathBuf {
    match env::var_os("URLFILTER_VECTORS") {
        Some(folder) => PathBuf::from(folder),
        None => repository().join("../shared/vectors"),
    }
}

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is in a folder, in the order of names.
pub(crate) fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// A parameter set, not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionParameters {
    /// The degree N of the polynomials.
    pub degree: u64,
    /// The plaintext modulus t.
    pub plaintext_modulus: u64,
    /// The coefficient moduli, that of key switching last.
    pub coefficient_moduli: Vec<u64>,
    /// Whether the set claims 128 bits of security.
    pub is_secure: bool,
}

/// Which evaluation keys a server asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationKeyConfig {
    /// The parameter set.
    pub parameters: EncryptionParameters,
    /// Galois elements.
    pub galois_elements: Vec<u32>,
    /// Whether a relinearization key is wanted.
    pub has_relinearization_key: bool,
}

/// A serialized ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub enum Ciphertext {
    /// The second polynomial comes from a seed.
    Seeded {
        /// The packed first polynomial.
        poly0: Vec<u8>,
        /// 32 bytes.
        seed: Vec<u8>,
    },
    /// All polynomials.
    Full {
        /// Their number, two bytes little endian, and the packed polynomials.
        polys: Vec<u8>,
        /// Low bits left out of each polynomial.
        skip_lsbs: Vec<u32>,
        /// 1.
        correction_factor: u64,
    },
}

/// Serialized evaluation keys.
#[derive(Clone)]
pub struct EvaluationKey {
    /// The ciphertexts of each key, by Galois element.
    pub galois: BTreeMap<u64, Vec<Ciphertext>>,
    /// The ciphertexts of the relinearization key.
    pub relinearization: Option<Vec<Ciphertext>>,
}
