//! Known answers recorded from Apple's library: `testvectors/interop`, and more of the same kind
//! where they are at hand (`../shared/vectors`, or the folder that `URLFILTER_VECTORS` names).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bfv::ntt::NttTable;
use bfv::sampling::expand_seed;
use bfv::serialize::SerializedCiphertext;
use bfv::{
    Backend, Ciphertext, Coefficient, Context, CtrDrbg, GaloisElement, Parameters, SecretKey,
    Security, Word,
};
use pir_api::{Message, convert, he};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    first8: Vec<u64>,
    modulus: u64,
    #[serde(rename = "sha256OfU64le")]
    sha256: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Result {
    decrypted: Vec<u64>,
    decrypted_sha256: String,
    noise_budget: f64,
    polys: usize,
    proto: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    degree: u64,
    plaintext_modulus: u64,
    coefficient_moduli: Vec<u64>,
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
    plaintext1_rule: String,
    fresh_seeded1: String,
    fresh_seeded2: String,
    fresh1: Result,
    fresh2: Result,
    fresh1_galois: Result,
    fresh1_times_plaintext2: Result,
    fresh1_times_fresh2_no_relin: Result,
    fresh1_times_fresh2_relin: Result,
    relin_mod_switched_to_single: Result,
    relin_mod_switched_for_decryption: String,
    relin_mod_switched_indices0to7: String,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every recording at hand.
fn vectors() -> Vec<(PathBuf, Vector)> {
    let mut folders = vec![repository().join("testvectors/interop/bfv")];
    let recorded = match env::var_os("URLFILTER_VECTORS") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(repository().join("../shared/vectors")).filter(|folder| folder.exists()),
    };
    if let Some(folder) = recorded {
        folders.extend([folder.join("bfv"), folder.join("synthetic/bfv")]);
    }
    let mut all = Vec::new();
    for folder in folders {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        assert!(!paths.is_empty(), "{}: no vectors", folder.display());
        paths.sort();
        for path in paths {
            let text = fs::read(&path).unwrap();
            let vector = serde_json::from_slice(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            all.push((path, vector));
        }
    }
    all
}

fn message<M: Message + Default>(base64: &str) -> M {
    M::decode(&STANDARD.decode(base64).unwrap()[..]).unwrap()
}

fn digest(values: impl IntoIterator<Item = u64>) -> String {
    let bytes: Vec<u8> = values.into_iter().flat_map(u64::to_le_bytes).collect();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn salt(rule: &str) -> u64 {
    rule.split_once("salt=").unwrap().1.parse().unwrap()
}

fn check_rows<W: Word>(expected: &[Row], rows: &[&[W]]) {
    assert_eq!(expected.len(), rows.len());
    for (expected, row) in expected.iter().zip(rows) {
        let numbers: Vec<u64> = row.iter().map(|value| value.to_u64()).collect();
        assert_eq!(numbers[..8], expected.first8);
        assert_eq!(digest(numbers), expected.sha256);
    }
}

/// One recording and what is needed to read it.
struct Case<'v, W: Word> {
    vector: &'v Vector,
    context: Context<W>,
    key: SecretKey<W>,
}

impl<W: Word> Case<'_, W> {
    fn read(&self, base64: &str, moduli: usize) -> Ciphertext<W, Coefficient> {
        let serialized = convert::ciphertext(message(base64)).unwrap();
        let ciphertext = self.context.read_ciphertext(&serialized, moduli).unwrap();
        // What was read is written as the same bytes, unless low bits are gone.
        if !matches!(&serialized, SerializedCiphertext::Full { skip_lsbs, .. } if skip_lsbs.iter().any(|&s| s > 0))
        {
            let again = self.context.write_ciphertext(&ciphertext);
            self.same_bytes(base64, again);
        }
        ciphertext
    }

    fn same_bytes(&self, base64: &str, ciphertext: SerializedCiphertext) {
        let bytes = convert::ciphertext_message(ciphertext).encode_to_vec();
        assert!(STANDARD.encode(bytes) == base64, "serialized bytes differ");
    }

    /// A result of ours, in every coefficient what was recorded.
    fn check(&self, expected: &Result, ours: Ciphertext<W, Coefficient>) {
        assert_eq!(ours.polys().len(), expected.polys);
        let decrypted = self.context.decrypt(&ours, &self.key).unwrap().to_numbers();
        assert_eq!(decrypted[..expected.decrypted.len()], expected.decrypted);
        assert_eq!(digest(decrypted), expected.decrypted_sha256);
        let budget = self.context.noise_budget(&ours, &self.key).unwrap();
        assert!((budget - expected.noise_budget).abs() < 1e-6, "{budget}");
        let recorded = self.read(&expected.proto, ours.moduli());
        assert!(ours.polys() == recorded.polys(), "coefficients differ");
    }

    fn transforms(&self) {
        let salt = salt(&self.vector.ntt_input_rule);
        for expected in &self.vector.ntt_output {
            let q = expected.modulus;
            let degree = self.context.degree();
            let table = NttTable::<W>::new(degree, q, self.context.backend()).unwrap();
            let input: Vec<W> =
                (0..degree as u64).map(|i| W::truncate((i * i + 7 * salt) % q)).collect();
            let mut row = input.clone();
            table.forward(&mut row);
            check_rows(std::slice::from_ref(expected), &[&row]);
            table.inverse(&mut row);
            assert!(row == input);
        }
    }

    fn seeds(&self) {
        let seed: [u8; 32] = STANDARD.decode(&self.vector.seed).unwrap().try_into().unwrap();
        let mut bytes = [0; 64];
        CtrDrbg::new(&seed).fill(&mut bytes);
        assert_eq!(STANDARD.encode(bytes), self.vector.seed_first64_bytes);
        let moduli = self.vector.seed_expanded_eval.len();
        let expanded = expand_seed(&seed, self.context.degree(), &self.context.basis()[..moduli]);
        check_rows(&self.vector.seed_expanded_eval, &expanded.rows().collect::<Vec<_>>());
    }

    fn keys(&self) {
        let v = self.vector;
        let parameters: he::EncryptionParameters = message(&v.encryption_parameters_proto);
        let again =
            convert::encryption_message(&convert::encryption_parameters(&parameters).unwrap());
        assert_eq!(STANDARD.encode(again.encode_to_vec()), v.encryption_parameters_proto);
        assert_eq!(
            convert::encryption_parameters(&parameters).unwrap(),
            *self.context.parameters()
        );
        let config: he::EvaluationKeyConfig = message(&v.evaluation_key_config_proto);
        let again = convert::key_config_message(&convert::key_config(&config).unwrap());
        assert_eq!(STANDARD.encode(again.encode_to_vec()), v.evaluation_key_config_proto);

        let secret: he::SerializedSecretKey = message(&v.secret_key_proto);
        assert!(*self.context.write_secret_key(&self.key) == secret.polys);
        // Maps travel in any order, so messages are compared, not bytes.
        let keys: he::SerializedEvaluationKey = message(&v.evaluation_key_proto);
        let parsed = convert::evaluation_key(keys.clone()).unwrap();
        let parsed = self.context.read_evaluation_key(&parsed).unwrap();
        let again = self.context.write_evaluation_key(&parsed);
        assert!(convert::evaluation_key_message(again) == keys);
    }

    fn plaintexts(&self) {
        let v = self.vector;
        let t = v.plaintext_modulus;
        let salt = v.plaintext1_rule.split_once("salt").map(|_| salt(&v.ntt_input_rule)).unwrap();
        let values: Vec<u64> = (0..v.degree).map(|i| (31 * i + salt) % t).collect();
        let plaintext = self.context.encode_coefficients(&values).unwrap();
        let recorded: he::SerializedPlaintext = message(&v.plaintext1_proto);
        assert!(self.context.write_plaintext(&plaintext) == recorded.poly);
        let read = self.context.read_plaintext(&recorded.poly).unwrap();
        assert_eq!(read.to_numbers(), values);
    }

    fn operations(&self) {
        let (v, context) = (self.vector, &self.context);
        let all = context.ciphertext_moduli();
        let keys = convert::evaluation_key(message(&v.evaluation_key_proto)).unwrap();
        let keys = context.prepare_evaluation_key(&context.read_evaluation_key(&keys).unwrap());
        let fresh1 = self.read(&v.fresh1.proto, all);
        let fresh2 = self.read(&v.fresh2.proto, all);
        assert!(self.read(&v.fresh_seeded1, all).polys() == fresh1.polys());
        assert!(self.read(&v.fresh_seeded2, all).polys() == fresh2.polys());
        self.check(&v.fresh1, fresh1.clone());
        self.check(&v.fresh2, fresh2.clone());

        let element = GaloisElement::new(v.galois_element, context.degree()).unwrap();
        let image = context.apply_galois(&fresh1, element, &keys).unwrap();
        self.check(&v.fresh1_galois, image.clone());
        let dual = context.to_dual(&fresh1).unwrap();
        for with_coefficients in [false, true] {
            let image2 = context.apply_galois_dual(&dual, element, &keys, with_coefficients);
            let image2 = context.dual_coefficients(&image2.unwrap());
            assert!(image2.polys() == image.polys(), "the two forms differ");
        }

        let t = v.plaintext_modulus;
        let plaintext2 = context.encode_coefficients(&[1 % t, 2 % t, 3 % t, 4 % t]).unwrap();
        let lifted = context.lift_plaintext(&plaintext2, all).unwrap();
        let mut product = context.to_evaluation(fresh1.clone());
        context.mul_plaintext(&mut product, &lifted).unwrap();
        self.check_form(&v.fresh1_times_plaintext2, product);

        let product = context.multiply(&fresh1, &fresh2).unwrap();
        self.check(&v.fresh1_times_fresh2_no_relin, product.clone());
        let mut relinearized = context.relinearize(&product, &keys).unwrap();
        self.check(&v.fresh1_times_fresh2_relin, relinearized.clone());
        context.mod_switch_to_single(&mut relinearized).unwrap();
        self.check(&v.relin_mod_switched_to_single, relinearized.clone());
        let short = context.write_for_decryption(&relinearized);
        self.same_bytes(&v.relin_mod_switched_for_decryption, short);
        let wanted: Vec<usize> = (0..8).collect();
        let sparse = context.write_for_decryption_of(&relinearized, &wanted);
        self.same_bytes(&v.relin_mod_switched_indices0to7, sparse);
        // What was left out does not matter to decryption.
        let read = self.read(&v.relin_mod_switched_for_decryption, 1);
        let decrypted = context.decrypt(&read, &self.key).unwrap().to_numbers();
        assert_eq!(digest(decrypted), v.relin_mod_switched_to_single.decrypted_sha256);
        let read = self.read(&v.relin_mod_switched_indices0to7, 1);
        let decrypted = context.decrypt(&read, &self.key).unwrap().to_numbers();
        assert_eq!(decrypted[..8], v.relin_mod_switched_to_single.decrypted[..8]);
    }

    /// Products with plaintexts were recorded in evaluation form.
    fn check_form(&self, expected: &Result, ours: Ciphertext<W, bfv::Evaluation>) {
        let recorded = convert::ciphertext(message(&expected.proto)).unwrap();
        let same = self.context.write_ciphertext(&ours) == recorded;
        let ours = self.context.to_coefficients(ours);
        assert!(same || self.context.write_ciphertext(&ours) == recorded, "coefficients differ");
        let decrypted = self.context.decrypt(&ours, &self.key).unwrap().to_numbers();
        assert_eq!(digest(decrypted), expected.decrypted_sha256);
        let budget = self.context.noise_budget(&ours, &self.key).unwrap();
        assert!((budget - expected.noise_budget).abs() < 1e-6, "{budget}");
    }
}

fn run<W: Word>(vector: &Vector, backend: Backend) {
    let parameters: he::EncryptionParameters = message(&vector.encryption_parameters_proto);
    let security = match parameters.security_level {
        0 => Security::Unchecked,
        _ => Security::Quantum128,
    };
    let parameters = Parameters::new(
        vector.degree,
        vector.plaintext_modulus,
        vector.coefficient_moduli.clone(),
        security,
    )
    .unwrap();
    assert_eq!(parameters.word_bits(), vector.scalar_bits);
    let context = Context::<W>::with_backend(parameters, backend).unwrap();
    let secret: he::SerializedSecretKey = message(&vector.secret_key_proto);
    let key = context.read_secret_key(&secret.polys).unwrap();
    let case = Case { vector, context, key };
    case.transforms();
    case.seeds();
    case.keys();
    case.plaintexts();
    case.operations();
}

#[test]
fn recordings() {
    for (path, vector) in vectors() {
        for backend in Backend::available() {
            println!("{} {backend:?}", path.display());
            match vector.scalar_bits {
                32 => run::<u32>(&vector, backend),
                _ => run::<u64>(&vector, backend),
            }
        }
    }
}
