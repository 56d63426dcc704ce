//! Objects of Apple's library and what its operations made of them, one recording for each
//! parameter set.

use crate::messages::{
    self, Bytes, CiphertextMessage, EvaluationKeyMessage, KeyConfig, Parameters,
};
use crate::{Ciphertext, EncryptionParameters, EvaluationKey, EvaluationKeyConfig};
use crate::{read, repository, shared_folder, sorted};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// One row of residues.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The modulus of the row.
    pub modulus: u64,
    /// The first eight residues.
    pub first8: Vec<u64>,
    /// SHA-256, in hexadecimal, over all residues as little-endian 64-bit numbers.
    #[serde(rename = "sha256OfU64le")]
    pub sha256: String,
}

/// The result of an operation.
#[derive(Clone)]
pub struct Outcome {
    /// The serialized ciphertext.
    pub ciphertext: Ciphertext,
    /// The first coefficients of its plaintext.
    pub decrypted: Vec<u64>,
    /// SHA-256, in hexadecimal, over all coefficients as little-endian 64-bit numbers.
    pub decrypted_sha256: String,
    /// Its noise budget in bits.
    pub noise_budget: f64,
    /// The number of its polynomials.
    pub polys: usize,
}

/// What was recorded for one parameter set.
pub struct Recording {
    /// The file of the recording.
    pub path: PathBuf,
    /// The parameter set.
    pub parameters: EncryptionParameters,
    /// Width of the words that Apple's library used, 32 or 64.
    pub word_bits: u32,
    /// A number that differs between recordings and goes into inputs.
    pub salt: u64,
    /// The transform of i² + 7·salt, i from 0, modulo each modulus.
    pub ntt_output: Vec<Row>,
    /// A seed of the generator of random numbers.
    pub seed: [u8; 32],
    /// What the generator gives first for the seed.
    pub seed_bytes: [u8; 64],
    /// The polynomial that the seed expands to, in evaluation form.
    pub seed_expanded: Vec<Row>,
    /// Which keys were made.
    pub key_config: EvaluationKeyConfig,
    /// The serialized secret key.
    pub secret_key: Vec<u8>,
    /// The serialized evaluation keys.
    pub evaluation_key: EvaluationKey,
    /// The serialized plaintext 1, with coefficients 31·i + salt modulo t.
    pub plaintext1: Vec<u8>,
    /// Encryptions of plaintexts 1 and 2, seeded.
    pub fresh_seeded: [Ciphertext; 2],
    /// The same ciphertexts in full.
    pub fresh: [Outcome; 2],
    /// The element of `fresh_galois`.
    pub galois_element: u64,
    /// The automorphism of the first ciphertext.
    pub fresh_galois: Outcome,
    /// The first ciphertext times plaintext 2.
    pub times_plaintext: Outcome,
    /// The product of both ciphertexts, three polynomials.
    pub product: Outcome,
    /// The product, relinearized.
    pub relinearized: Outcome,
    /// The relinearized product, switched to one modulus.
    pub switched: Outcome,
    /// The switched product without the bits that decryption does not need.
    pub for_decryption: Ciphertext,
    /// The same for its coefficients 0 to 7 only.
    pub for_decryption_of_8: Ciphertext,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeText {
    decrypted: Vec<u64>,
    decrypted_sha256: String,
    noise_budget: f64,
    polys: usize,
    proto: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    scalar_bits: u32,
    encryption_parameters_proto: String,
    evaluation_key_config_proto: String,
    evaluation_key_proto: String,
    secret_key_proto: String,
    galois_element: u64,
    ntt_input_rule: String,
    ntt_output: Vec<Row>,
    seed: String,
    seed_first64_bytes: String,
    seed_expanded_eval: Vec<Row>,
    plaintext1_proto: String,
    fresh_seeded1: String,
    fresh_seeded2: String,
    fresh1: OutcomeText,
    fresh2: OutcomeText,
    fresh1_galois: OutcomeText,
    fresh1_times_plaintext2: OutcomeText,
    fresh1_times_fresh2_no_relin: OutcomeText,
    fresh1_times_fresh2_relin: OutcomeText,
    relin_mod_switched_to_single: OutcomeText,
    relin_mod_switched_for_decryption: String,
    relin_mod_switched_indices0to7: String,
}

fn bytes(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).expect("base64")
}

fn ciphertext(base64: &str) -> Ciphertext {
    messages::decode::<CiphertextMessage>(&bytes(base64)).into_case()
}

impl From<OutcomeText> for Outcome {
    fn from(text: OutcomeText) -> Self {
        Self {
            ciphertext: ciphertext(&text.proto),
            decrypted: text.decrypted,
            decrypted_sha256: text.decrypted_sha256,
            noise_budget: text.noise_budget,
            polys: text.polys,
        }
    }
}

impl Recording {
    fn open(path: PathBuf) -> Self {
        let text: Text = serde_json::from_slice(&read(&path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let salt = text.ntt_input_rule.split_once("salt=").expect("a salt").1;
        let first = |base64: &str| messages::decode::<Bytes>(&bytes(base64)).bytes;
        let parameters = bytes(&text.encryption_parameters_proto);
        let key_config = bytes(&text.evaluation_key_config_proto);
        let evaluation_key = bytes(&text.evaluation_key_proto);
        Self {
            path,
            parameters: messages::decode::<Parameters>(&parameters).into_case(),
            word_bits: text.scalar_bits,
            salt: salt.parse().expect("a number"),
            ntt_output: text.ntt_output,
            seed: bytes(&text.seed).try_into().expect("32 bytes"),
            seed_bytes: bytes(&text.seed_first64_bytes).try_into().expect("64 bytes"),
            seed_expanded: text.seed_expanded_eval,
            key_config: messages::decode::<KeyConfig>(&key_config).into_case(),
            secret_key: first(&text.secret_key_proto),
            evaluation_key: messages::decode::<EvaluationKeyMessage>(&evaluation_key).into_case(),
            plaintext1: first(&text.plaintext1_proto),
            fresh_seeded: [ciphertext(&text.fresh_seeded1), ciphertext(&text.fresh_seeded2)],
            fresh: [text.fresh1.into(), text.fresh2.into()],
            galois_element: text.galois_element,
            fresh_galois: text.fresh1_galois.into(),
            times_plaintext: text.fresh1_times_plaintext2.into(),
            product: text.fresh1_times_fresh2_no_relin.into(),
            relinearized: text.fresh1_times_fresh2_relin.into(),
            switched: text.relin_mod_switched_to_single.into(),
            for_decryption: ciphertext(&text.relin_mod_switched_for_decryption),
            for_decryption_of_8: ciphertext(&text.relin_mod_switched_indices0to7),
        }
    }

    fn all_in(folder: &Path) -> Vec<Self> {
        let mut paths = sorted(folder);
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        assert!(!paths.is_empty(), "{}: no recordings", folder.display());
        paths.into_iter().map(Self::open).collect()
    }

    /// The recordings that the repository carries.
    pub fn carried() -> Vec<Self> {
        Self::all_in(&repository().join("testvectors/interop/bfv"))
    }

    /// The recordings of [`shared_folder`].
    ///
    /// # Panics
    /// If the folder is not there.
    pub fn shared() -> Vec<Self> {
        Self::all_in(&shared_folder().join("bfv"))
    }
}
