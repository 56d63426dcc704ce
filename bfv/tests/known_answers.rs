//! Known answers recorded from Apple's library, for each back end that the process may use.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test fails by panicking")]

use bfv::ntt::NttTable;
use bfv::sampling::expand_seed;
use bfv::serialize::{SerializedCiphertext, SerializedEvaluationKey};
use bfv::{
    Backend, Ciphertext, Coefficient, Context, CtrDrbg, GaloisElement, Parameters, SecretKey,
    Security, Word,
};
use interop_cases::bfv::{Outcome, Recording, Row};
use sha2::{Digest, Sha256};

fn digest(values: impl IntoIterator<Item = u64>) -> String {
    let bytes: Vec<u8> = values.into_iter().flat_map(u64::to_le_bytes).collect();
    hex::encode(Sha256::digest(bytes))
}

fn check_rows<W: Word>(expected: &[Row], rows: &[&[W]]) {
    assert_eq!(expected.len(), rows.len());
    for (expected, row) in expected.iter().zip(rows) {
        let numbers: Vec<u64> = row.iter().map(|value| value.to_u64()).collect();
        assert_eq!(numbers[..8], expected.first8);
        assert_eq!(digest(numbers), expected.sha256);
    }
}

fn serialized(recorded: &interop_cases::Ciphertext) -> SerializedCiphertext {
    match recorded.clone() {
        interop_cases::Ciphertext::Seeded { poly0, seed } => {
            SerializedCiphertext::Seeded { poly0, seed }
        }
        interop_cases::Ciphertext::Full { polys, skip_lsbs, correction_factor } => {
            SerializedCiphertext::Full { polys, skip_lsbs, correction_factor }
        }
    }
}

fn serialized_keys(recorded: &interop_cases::EvaluationKey) -> SerializedEvaluationKey {
    let key = |ciphertexts: &Vec<_>| ciphertexts.iter().map(serialized).collect();
    SerializedEvaluationKey {
        galois: recorded.galois.iter().map(|(&element, c)| (element, key(c))).collect(),
        relinearization: recorded.relinearization.as_ref().map(key),
    }
}

/// One recording and what is needed to read it.
struct Case<'r, W: Word> {
    recording: &'r Recording,
    context: Context<W>,
    key: SecretKey<W>,
}

impl<W: Word> Case<'_, W> {
    fn read(
        &self,
        recorded: &interop_cases::Ciphertext,
        moduli: usize,
    ) -> Ciphertext<W, Coefficient> {
        let serialized = serialized(recorded);
        let ciphertext = self.context.read_ciphertext(&serialized, moduli).unwrap();
        // What was read is written as the same bytes, unless low bits are gone.
        let is_whole = match &serialized {
            SerializedCiphertext::Full { skip_lsbs, .. } => skip_lsbs.iter().all(|&skip| skip == 0),
            SerializedCiphertext::Seeded { .. } => true,
        };
        if is_whole {
            self.same_bytes(recorded, self.context.write_ciphertext(&ciphertext));
        }
        ciphertext
    }

    fn same_bytes(&self, recorded: &interop_cases::Ciphertext, ours: SerializedCiphertext) {
        assert!(serialized(recorded) == ours, "serialized bytes differ");
    }

    /// A result of ours agrees with the recorded one in every coefficient.
    fn check(&self, expected: &Outcome, ours: Ciphertext<W, Coefficient>) {
        assert_eq!(ours.polys().len(), expected.polys);
        self.check_plaintext(expected, &ours);
        let recorded = self.read(&expected.ciphertext, ours.moduli());
        assert!(ours.polys() == recorded.polys(), "coefficients differ");
    }

    fn check_plaintext(&self, expected: &Outcome, ours: &Ciphertext<W, Coefficient>) {
        let decrypted = self.context.decrypt(ours, &self.key).unwrap().to_numbers();
        assert_eq!(decrypted[..expected.decrypted.len()], expected.decrypted);
        assert_eq!(digest(decrypted), expected.decrypted_sha256);
        let budget = self.context.noise_budget(ours, &self.key).unwrap();
        assert!((budget - expected.noise_budget).abs() < 1e-6, "{budget}");
    }

    fn transforms(&self) {
        for expected in &self.recording.ntt_output {
            let q = expected.modulus;
            let degree = self.context.degree();
            let table = NttTable::<W>::new(degree, q, self.context.backend()).unwrap();
            let input: Vec<W> = (0..degree as u64)
                .map(|i| W::truncate((i * i + 7 * self.recording.salt) % q))
                .collect();
            let mut row = input.clone();
            table.forward(&mut row);
            check_rows(std::slice::from_ref(expected), &[&row]);
            table.inverse(&mut row);
            assert!(row == input);
        }
    }

    fn seeds(&self) {
        let recording = self.recording;
        let mut bytes = [0; 64];
        CtrDrbg::new(&recording.seed).fill(&mut bytes);
        assert_eq!(bytes, recording.seed_bytes);
        let basis = &self.context.basis()[..recording.seed_expanded.len()];
        let expanded = expand_seed(&recording.seed, self.context.degree(), basis);
        check_rows(&recording.seed_expanded, &expanded.rows().collect::<Vec<_>>());
    }

    fn keys(&self) {
        assert!(*self.context.write_secret_key(&self.key) == self.recording.secret_key);
        let recorded = serialized_keys(&self.recording.evaluation_key);
        let parsed = self.context.read_evaluation_key(&recorded).unwrap();
        assert!(self.context.write_evaluation_key(&parsed) == recorded);
        let config = &self.recording.key_config;
        let mut wanted = config.galois_elements.clone();
        wanted.sort_unstable();
        let elements: Vec<u32> = parsed.galois_elements().map(GaloisElement::get).collect();
        assert_eq!(elements, wanted);
        assert_eq!(parsed.has_relinearization_key(), config.has_relinearization_key);
    }

    fn plaintexts(&self) {
        let parameters = &self.recording.parameters;
        let t = parameters.plaintext_modulus;
        let values: Vec<u64> =
            (0..parameters.degree).map(|i| (31 * i + self.recording.salt) % t).collect();
        let plaintext = self.context.encode_coefficients(&values).unwrap();
        assert!(self.context.write_plaintext(&plaintext) == self.recording.plaintext1);
        let read = self.context.read_plaintext(&self.recording.plaintext1).unwrap();
        assert_eq!(read.to_numbers(), values);
    }

    fn operations(&self) {
        let (r, context) = (self.recording, &self.context);
        let all = context.ciphertext_moduli();
        let keys = context.read_evaluation_key(&serialized_keys(&r.evaluation_key)).unwrap();
        let keys = context.prepare_evaluation_key(&keys);
        let [fresh1, fresh2] = [0, 1].map(|i| {
            let fresh = self.read(&r.fresh[i].ciphertext, all);
            assert!(self.read(&r.fresh_seeded[i], all).polys() == fresh.polys());
            self.check(&r.fresh[i], fresh.clone());
            fresh
        });

        let element = GaloisElement::new(r.galois_element, context.degree()).unwrap();
        let image = context.apply_galois(&fresh1, element, &keys).unwrap();
        self.check(&r.fresh_galois, image.clone());
        let dual = context.to_dual(&fresh1).unwrap();
        for with_coefficients in [false, true] {
            let image2 = context.apply_galois_dual(&dual, element, &keys, with_coefficients);
            let image2 = context.dual_coefficients(&image2.unwrap());
            assert!(image2.polys() == image.polys(), "the two forms differ");
        }

        let t = r.parameters.plaintext_modulus;
        let plaintext2 = context.encode_coefficients(&[1 % t, 2 % t, 3 % t, 4 % t]).unwrap();
        let lifted = context.lift_plaintext(&plaintext2, all).unwrap();
        let mut product = context.to_evaluation(fresh1.clone());
        context.mul_plaintext(&mut product, &lifted).unwrap();
        self.check_either_form(&r.times_plaintext, product);

        let product = context.multiply(&fresh1, &fresh2).unwrap();
        self.check(&r.product, product.clone());
        let mut relinearized = context.relinearize(&product, &keys).unwrap();
        self.check(&r.relinearized, relinearized.clone());
        context.mod_switch_to_single(&mut relinearized).unwrap();
        self.check(&r.switched, relinearized.clone());
        self.same_bytes(&r.for_decryption, context.write_for_decryption(&relinearized));
        let wanted: Vec<usize> = (0..8).collect();
        let sparse = context.write_for_decryption_of(&relinearized, &wanted);
        self.same_bytes(&r.for_decryption_of_8, sparse);
        // What was left out does not matter to decryption.
        let read = self.read(&r.for_decryption, 1);
        let decrypted = context.decrypt(&read, &self.key).unwrap().to_numbers();
        assert_eq!(digest(decrypted), r.switched.decrypted_sha256);
        let read = self.read(&r.for_decryption_of_8, 1);
        let decrypted = context.decrypt(&read, &self.key).unwrap().to_numbers();
        assert_eq!(decrypted[..8], r.switched.decrypted[..8]);
    }

    /// Products with plaintexts were recorded in evaluation form.
    fn check_either_form(&self, expected: &Outcome, ours: Ciphertext<W, bfv::Evaluation>) {
        let recorded = serialized(&expected.ciphertext);
        let same = self.context.write_ciphertext(&ours) == recorded;
        let ours = self.context.to_coefficients(ours);
        assert!(same || self.context.write_ciphertext(&ours) == recorded, "coefficients differ");
        self.check_plaintext(expected, &ours);
    }
}

fn run<W: Word>(recording: &Recording, backend: Backend) {
    let recorded = &recording.parameters;
    let security = if recorded.is_secure { Security::Quantum128 } else { Security::Unchecked };
    let parameters = Parameters::new(
        recorded.degree,
        recorded.plaintext_modulus,
        recorded.coefficient_moduli.clone(),
        security,
    )
    .unwrap();
    assert_eq!(parameters.word_bits(), recording.word_bits);
    let context = Context::<W>::with_backend(parameters, backend).unwrap();
    let key = context.read_secret_key(&recording.secret_key).unwrap();
    let case = Case { recording, context, key };
    case.transforms();
    case.seeds();
    case.keys();
    case.plaintexts();
    case.operations();
}

fn run_all(recordings: Vec<Recording>) {
    for recording in recordings {
        for backend in Backend::permitted().unwrap() {
            println!("{} {backend:?}", recording.path.display());
            match recording.word_bits {
                32 => run::<u32>(&recording, backend),
                _ => run::<u64>(&recording, backend),
            }
        }
    }
}

#[test]
fn recordings_of_the_repository() {
    run_all(Recording::carried());
}

#[test]
#[ignore = "needs ../shared/vectors"]
fn more_recordings() {
    run_all(Recording::shared());
}
