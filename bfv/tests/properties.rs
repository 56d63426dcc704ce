//! The operations on random parameters and data, beside plain arithmetic in the ring.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bfv::serialize::{SerializedCiphertext, SerializedEvaluationKey};
use bfv::{
    Backend, Ciphertext, Coefficient, Context, Error, EvaluationKeyConfig, GaloisElement, OsRandom,
    Parameters, PreparedEvaluationKey, SecretKey, Security, Word, is_prime,
};
use proptest::prelude::*;

/// Distinct primes of that many bits, 1 modulo twice the degree.
fn primes(bits: u32, degree: u64, count: usize) -> Vec<u64> {
    let step = 2 * degree;
    let start = (1_u64 << bits) / step * step + 1;
    (1..).map(|k| start - k * step).filter(|&p| is_prime(p)).take(count).collect()
}

/// Polynomials modulo X^N + 1 and t.
struct Ring {
    degree: usize,
    t: u64,
}

impl Ring {
    fn mul(&self, a: &[u64], b: &[u64]) -> Vec<u64> {
        let mut out = vec![0_u64; self.degree];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                let product = (u128::from(x) * u128::from(y) % u128::from(self.t)) as u64;
                let at = (i + j) % self.degree;
                let product =
                    if i + j < self.degree { product } else { (self.t - product) % self.t };
                out[at] = (out[at] + product) % self.t;
            }
        }
        out
    }

    fn zip(&self, a: &[u64], b: &[u64], f: impl Fn(u64, u64) -> u64) -> Vec<u64> {
        a.iter().zip(b).map(|(&x, &y)| f(x, y) % self.t).collect()
    }

    fn automorphism(&self, a: &[u64], element: u64) -> Vec<u64> {
        let mut out = vec![0; self.degree];
        for (i, &x) in a.iter().enumerate() {
            let at = i as u64 * element % (2 * self.degree as u64);
            let (at, x) = match at.checked_sub(self.degree as u64) {
                None => (at, x),
                Some(at) => (at, (self.t - x) % self.t),
            };
            out[at as usize] = x;
        }
        out
    }
}

struct World<W: Word> {
    context: Context<W>,
    key: SecretKey<W>,
    keys: PreparedEvaluationKey<W>,
    serialized: SerializedEvaluationKey,
    ring: Ring,
}

impl<W: Word> World<W> {
    fn new(degree: usize, t: u64, moduli: Vec<u64>, backend: Backend) -> Self {
        let parameters = Parameters::new(degree as u64, t, moduli, Security::Unchecked).unwrap();
        let context = Context::<W>::with_backend(parameters.clone(), backend).unwrap();
        let key = context.generate_secret_key(&mut OsRandom).unwrap();
        let config = EvaluationKeyConfig {
            parameters,
            galois_elements: vec![3, degree as u32 + 1, 2 * degree as u32 - 1],
            has_relinearization_key: true,
        };
        let keys = context.generate_evaluation_key(&config, &key, &mut OsRandom).unwrap();
        let serialized = context.write_evaluation_key(&keys);
        let keys = context.read_evaluation_key(&serialized).unwrap();
        let keys = context.prepare_evaluation_key(&keys);
        Self { context, key, keys, serialized, ring: Ring { degree, t } }
    }

    fn encrypt(&self, values: &[u64]) -> Ciphertext<W, Coefficient> {
        let plaintext = self.context.encode_coefficients(values).unwrap();
        self.context.encrypt(&plaintext, &self.key, &mut OsRandom).unwrap()
    }

    fn decrypt(&self, ciphertext: &Ciphertext<W, Coefficient>) -> Vec<u64> {
        assert!(self.context.noise_budget(ciphertext, &self.key).unwrap() > 0.0);
        self.context.decrypt(ciphertext, &self.key).unwrap().to_numbers()
    }

    fn sums(&self, a: &[u64], b: &[u64]) {
        let (context, ring, t) = (&self.context, &self.ring, self.ring.t);
        assert_eq!(self.decrypt(&self.encrypt(a)), a);
        let mut sum = self.encrypt(a);
        context.add(&mut sum, &self.encrypt(b)).unwrap();
        assert_eq!(self.decrypt(&sum), ring.zip(a, b, |x, y| x + y));
        let mut difference = self.encrypt(a);
        context.sub(&mut difference, &self.encrypt(b)).unwrap();
        assert_eq!(self.decrypt(&difference), ring.zip(a, b, |x, y| x + t - y));
        let mut negated = self.encrypt(a);
        context.negate(&mut negated).unwrap();
        assert_eq!(self.decrypt(&negated), ring.zip(a, a, |x, _| t - x));
        let plaintext = context.encode_coefficients(b).unwrap();
        let mut sum = self.encrypt(a);
        context.add_plaintext(&mut sum, &plaintext).unwrap();
        // A plaintext changes the first polynomial only.
        assert!(matches!(context.write_ciphertext(&sum), SerializedCiphertext::Seeded { .. }));
        assert_eq!(self.decrypt(&sum), ring.zip(a, b, |x, y| x + y));
        context.sub_plaintext(&mut sum, &plaintext).unwrap();
        assert_eq!(self.decrypt(&sum), a);
    }

    fn products(&self, a: &[u64], b: &[u64]) {
        let (context, ring) = (&self.context, &self.ring);
        let expected = ring.mul(a, b);
        let plaintext = context.encode_coefficients(b).unwrap();
        let lifted = context.lift_plaintext(&plaintext, context.ciphertext_moduli()).unwrap();
        assert_eq!(context.unlift_plaintext(&lifted).unwrap().to_numbers(), b);
        let mut product = context.to_evaluation(self.encrypt(a));
        context.mul_plaintext(&mut product, &lifted).unwrap();
        let mut product = context.to_coefficients(product);
        assert_eq!(self.decrypt(&product), expected);
        context.mod_switch_to_single(&mut product).unwrap();
        assert_eq!(product.moduli(), 1);
        assert_eq!(self.decrypt(&product), expected);

        let product = context.multiply(&self.encrypt(a), &self.encrypt(b)).unwrap();
        assert_eq!(self.decrypt(&product), expected);
        let product = context.relinearize(&product, &self.keys).unwrap();
        assert_eq!(product.polys().len(), 2);
        assert_eq!(self.decrypt(&product), expected);

        // A sum of products, scaled once.
        let operands: Vec<_> =
            [a, b].iter().map(|x| context.operand(&self.encrypt(x)).unwrap()).collect();
        let sum = context
            .inner_product(&[&operands[0], &operands[1]], &[&operands[1], &operands[1]])
            .unwrap();
        let expected = ring.zip(&expected, &ring.mul(b, b), |x, y| x + y);
        assert_eq!(self.decrypt(&sum), expected);
    }

    fn automorphisms(&self, a: &[u64], power: i64) {
        let context = &self.context;
        for element in self.keys.galois_elements() {
            let expected = self.ring.automorphism(a, u64::from(element.get()));
            let image = context.apply_galois(&self.encrypt(a), element, &self.keys).unwrap();
            assert_eq!(self.decrypt(&image), expected);
        }
        let missing = GaloisElement::new(5, self.ring.degree).unwrap();
        let outcome = context.apply_galois(&self.encrypt(a), missing, &self.keys);
        assert!(matches!(outcome, Err(Error::MissingGaloisKey(5))));
        let mut shifted = self.encrypt(a);
        context.mul_power_of_x(&mut shifted, power).unwrap();
        let degree = self.ring.degree as i64;
        let turn = power.rem_euclid(2 * degree);
        let mut monomial = vec![0; self.ring.degree];
        monomial[(turn % degree) as usize] = if turn < degree { 1 } else { self.ring.t - 1 };
        assert_eq!(self.decrypt(&shifted), self.ring.mul(a, &monomial));
    }

    fn bytes(&self, a: &[u64]) {
        let context = &self.context;
        let fresh = self.encrypt(a);
        let serialized = context.write_ciphertext(&fresh);
        let read = context.read_ciphertext(&serialized, context.ciphertext_moduli()).unwrap();
        assert!(read.polys() == fresh.polys());
        assert_eq!(context.write_ciphertext(&read), serialized);
        let mut single = fresh;
        context.mod_switch_to_single(&mut single).unwrap();
        let short = context.write_for_decryption(&single);
        let read = context.read_ciphertext(&short, 1).unwrap();
        assert_eq!(context.decrypt(&read, &self.key).unwrap().to_numbers(), a);
        let key = context.write_secret_key(&self.key);
        let again = context.read_secret_key(&key).unwrap();
        assert_eq!(context.decrypt(&read, &again).unwrap().to_numbers(), a);
        let keys = context.read_evaluation_key(&self.serialized).unwrap();
        assert!(context.write_evaluation_key(&keys) == self.serialized);
        let plaintext = context.encode_coefficients(a).unwrap();
        let bytes = context.write_plaintext(&plaintext);
        assert_eq!(context.read_plaintext(&bytes).unwrap().to_numbers(), a);
        let payload: Vec<u8> = (0..context.parameters().payload_bytes()).map(|i| i as u8).collect();
        let packed = context.encode_bytes(&payload).unwrap();
        assert_eq!(context.decode_bytes(&packed).unwrap(), payload);
        // Coefficients that no payload has are decoded as others are, and named.
        let (bytes, is_payload) = context.decode_any_bytes(&plaintext);
        let bits = context.parameters().payload_bits();
        assert_eq!(bytes.len(), context.parameters().payload_bytes());
        assert_eq!(is_payload, a.iter().all(|&value| value >> bits == 0));
        assert_eq!(context.decode_bytes(&plaintext).ok(), is_payload.then_some(bytes));
        if let Ok(slots) = context.encode_slots(a) {
            assert_eq!(context.decode_slots(&slots).unwrap(), a);
        }
    }

    /// Whatever arrives, a parser says no or gives something valid.
    fn garbage(&self, noise: &[u8]) {
        let context = &self.context;
        let all = context.ciphertext_moduli();
        let mut some: Vec<Vec<u8>> = vec![noise.to_vec(), Vec::new()];
        if let SerializedCiphertext::Seeded { poly0, .. } =
            context.write_ciphertext(&self.encrypt(&[]))
        {
            let mut long = poly0.clone();
            long.push(0);
            let mut high = poly0;
            high.fill(0xff);
            some.extend([long, high]);
        }
        for bytes in &some {
            let seeded =
                SerializedCiphertext::Seeded { poly0: bytes.clone(), seed: noise.to_vec() };
            assert!(context.read_ciphertext(&seeded, all).is_err());
            for skip_lsbs in [vec![], vec![1], vec![40, 40], vec![0, 0]] {
                let mut polys = vec![2, 0];
                polys.extend(bytes);
                let full = SerializedCiphertext::Full { polys, skip_lsbs, correction_factor: 1 };
                assert!(context.read_ciphertext(&full, all).is_err());
            }
            // Some bytes of the right length are a plaintext: then of exactly these bytes.
            let more = [&bytes[..], &[1]].concat();
            if let Ok(plaintext) = context.read_plaintext(&more) {
                assert!(plaintext.to_numbers().iter().all(|&x| x < self.ring.t));
                assert_eq!(context.write_plaintext(&plaintext), more);
            }
            assert!(context.read_secret_key(bytes).is_err());
        }
        let mut plaintext = context.write_plaintext(&context.encode_coefficients(&[]).unwrap());
        plaintext.push(0);
        assert!(matches!(context.read_plaintext(&plaintext), Err(Error::Length { .. })));
        plaintext.truncate(plaintext.len() - 2);
        assert!(matches!(context.read_plaintext(&plaintext), Err(Error::Length { .. })));
        plaintext.push(0);
        plaintext.fill(0xff);
        assert!(matches!(context.read_plaintext(&plaintext), Err(Error::Residue { .. })));
        assert!(
            context.read_ciphertext(&context.write_ciphertext(&self.encrypt(&[])), 99).is_err()
        );
        let mut keys = self.serialized.clone();
        keys.galois.insert(4, Vec::new());
        assert!(context.read_evaluation_key(&keys).is_err());
        let mut keys = self.serialized.clone();
        keys.relinearization.as_mut().unwrap().pop();
        assert!(context.read_evaluation_key(&keys).is_err());
    }

    fn everything(&self, a: &[u64], b: &[u64], power: i64, noise: &[u8]) {
        self.sums(a, b);
        self.products(a, b);
        self.automorphisms(a, power);
        self.bytes(a);
        self.garbage(noise);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn operations_agree_with_plain_arithmetic(
        log_degree in 3_u32..8,
        t_index in 0_usize..4,
        moduli in 3_usize..6,
        seed: u64,
        power in -1000_i64..1000,
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let degree = 1_usize << log_degree;
        let t = [11, 17, 257, 12_289][t_index];
        let mut state = seed;
        let mut values = || -> Vec<u64> {
            (0..degree)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(12_345);
                    (state >> 33) % t
                })
                .collect()
        };
        let (a, b) = (values(), values());
        for backend in Backend::permitted().unwrap() {
            // Enough moduli that the largest plaintext modulus leaves room for a product.
            let narrow = primes(29, degree as u64, moduli + 1);
            World::<u32>::new(degree, t, narrow.clone(), backend).everything(&a, &b, power, &noise);
            World::<u64>::new(degree, t, narrow, backend).everything(&a, &b, power, &noise);
            let wide = primes(57, degree as u64, moduli);
            World::<u64>::new(degree, t, wide, backend).everything(&a, &b, power, &noise);
        }
    }
}
