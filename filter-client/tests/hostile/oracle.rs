//! What a client does must not depend on what replies decrypt to.

use crate::attempts;
use crate::service::{Transcript, World, absent, builder, case, options, start};
use bfv::{Ciphertext, Coefficient, Context, EvaluationKeyConfig, OsRandom, Poly, SecretKey};
use filter_client::ClientState;
use filter_client::sans_io::{Lookup, Now};
use keyword_pir::{KeywordHash, Reply, ShardParameters};
use pir_api::{Message, api, convert};
use std::time::Duration;
use unix_clock::Timestamp;

/// The number of keywords of a lookup: three batches.
const KEYWORDS: usize = 6;
const DAY: Duration = Duration::from_secs(86_400);

/// Makes replies of all kinds. It knows the secret key of its victim, as the test does, to say what a reply
/// decrypts to.
struct Attacker {
    context: Context<u32>,
    key: SecretKey<u32>,
    shard: ShardParameters,
    config: Vec<u8>,
    random: u64,
}

impl Attacker {
    fn new() -> Self {
        let case = case();
        let response = case.config();
        let keys = response.key_info[0].key_config.clone().unwrap();
        let Some(api::config::Config::PirConfig(config)) =
            response.configs[&case.use_case()].config.clone()
        else {
            panic!("a configuration")
        };
        let shard = convert::config_shards(&config, &keys).unwrap().remove(0);
        let parameters = EvaluationKeyConfig::try_from(&keys).unwrap().parameters;
        let context = Context::new(parameters).unwrap();
        let key = context.read_secret_key(&case.secret().2).unwrap();
        Self { context, key, shard, config: case.config_with_key(), random: 7 }
    }

    /// A random number below a bound, the same in every run.
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % bound
    }

    fn modulus(&self) -> u64 {
        self.context.basis()[0].modulus().to_u64()
    }

    /// A ciphertext of these polynomials, whatever it decrypts to.
    fn raw(&self, c0: &[(usize, u32)], c1: &[(usize, u32)]) -> Ciphertext<u32, Coefficient> {
        let poly = |terms: &[(usize, u32)]| {
            let mut poly = Poly::zero(self.context.degree(), 1);
            for &(index, value) in terms {
                poly.row_mut(0)[index] = value;
            }
            poly
        };
        Ciphertext::from_polys(vec![poly(c0), poly(c1)]).unwrap()
    }

    fn encrypt(&self, coefficients: &[u64]) -> Ciphertext<u32, Coefficient> {
        let plaintext = self.context.encode_coefficients(coefficients).unwrap();
        let mut ciphertext = self.context.encrypt(&plaintext, &self.key, &mut OsRandom).unwrap();
        self.context.mod_switch_to_single(&mut ciphertext).unwrap();
        ciphertext
    }

    /// Encrypts bytes as a bucket of the data set has them, at every place of the plaintext.
    fn encrypt_bucket(&self, bucket: &[u8]) -> Ciphertext<u32, Coefficient> {
        let size = self.shard.stored_entry_size();
        let mut entry = bucket.to_vec();
        entry.resize(size, 0);
        let bytes = entry.repeat(self.shard.entries_per_plaintext());
        let plaintext = self.context.encode_bytes(&bytes).unwrap();
        self.encrypt(&plaintext.to_numbers())
    }

    /// A reply whose ciphertexts are all the same.
    fn reply(&self, ciphertext: &Ciphertext<u32, Coefficient>) -> Reply {
        let written = self.context.write_ciphertext(ciphertext);
        vec![vec![written; self.shard.chunks()]; self.shard.calls()]
    }

    /// A crafted ciphertext: of the kinds that reveal secret keys to whoever sees how they are read.
    fn crafted(&mut self, number: usize) -> Ciphertext<u32, Coefficient> {
        let (degree, q) = (self.context.degree() as u64, self.modulus());
        let t = self.context.plaintext_modulus().to_u64();
        match number % 8 {
            // The coefficient of the secret key at a place decides whether a coefficient is 15, which a byte
            // has room for, or 16, which it has not: 16 if the former is 1 and 15 otherwise.
            0 => {
                let (small, place) = ((q / (8 * t)) as u32, (number / 8) % degree as usize);
                let between = 31 * q / (2 * t);
                self.raw(&[(place, between as u32 - small / 2)], &[(0, small)])
            }
            // The same, so that it is 15 if the coefficient is -1 and 16 otherwise.
            1 => {
                let (small, place) = ((q / (8 * t)) as u32, (number / 8) % degree as usize);
                let between = 31 * q / (2 * t);
                self.raw(&[(place, between as u32 + small / 2)], &[(0, small)])
            }
            // Zeros.
            2 => self.raw(&[], &[]),
            // Random polynomials.
            3 => {
                let random = |this: &mut Self| -> Vec<(usize, u32)> {
                    (0..degree as usize).map(|place| (place, this.below(q) as u32)).collect()
                };
                let (c0, c1) = (random(self), random(self));
                self.raw(&c0, &c1)
            }
            // Each class of coefficients: all that a plaintext can hold, and bytes that are none.
            4 => {
                let value = (number / 8) as u64 % t;
                self.encrypt(&vec![value; degree as usize])
            }
            5 => {
                let values: Vec<u64> = (0..degree).map(|_| self.below(t)).collect();
                self.encrypt(&values)
            }
            // A bucket with the hash of another keyword, and one that is cut short.
            6 => {
                let hash = self.below(u64::MAX);
                let mut bucket = vec![1];
                bucket.extend(hash.to_le_bytes());
                bucket.extend(1_u16.to_le_bytes());
                bucket.push(7);
                self.encrypt_bucket(&bucket)
            }
            _ => {
                let slots = 1 + self.below(255) as u8;
                let mut bucket = vec![slots];
                bucket.extend([0xff; 16]);
                self.encrypt_bucket(&bucket)
            }
        }
    }

    /// What the client does in two visits on a day and one on the next, if all its queries have this reply.
    fn transcript(&self, reply: &Reply, with_tokens: bool) -> (Transcript, Vec<Lookup>) {
        let answer = |path: &str, body: &[u8]| match path {
            "/config" => (200, self.config.clone()),
            "/queries" => {
                let queries = api::Requests::decode(body).unwrap().requests.len();
                let response = || api::Response {
                    response: Some(api::response::Response::PirResponse(reply.clone().into())),
                };
                let responses = (0..queries).map(|_| response()).collect();
                (200, api::Responses { responses }.encode_to_vec())
            }
            _ => (200, Vec::new()),
        };
        let mut builder = builder(options());
        if with_tokens {
            builder = builder.user_token("AAAA");
        }
        let mut world = World::new(builder, answer);
        let keywords = absent(KEYWORDS);
        let keywords: Vec<&str> = keywords.iter().map(String::as_str).collect();
        let mut lookups = vec![world.look_up(&keywords)];
        world.wait(Duration::from_secs(1));
        lookups.push(world.look_up(&keywords[..3]));
        world.wait(DAY);
        lookups.push(world.look_up(&keywords));
        // Tokens are fetched some time after the lookups.
        world.wait(Duration::from_secs(3600));
        (world.transcript, lookups)
    }

    fn absent_bucket(&self) -> Reply {
        self.reply(&self.encrypt_bucket(&[0]))
    }
}

#[test]
fn requests_do_not_depend_on_what_replies_decrypt_to() {
    let mut attacker = Attacker::new();
    let (honest, lookups) = attacker.transcript(&attacker.absent_bucket(), false);
    // One configuration, three batches, nothing at the second visit, a configuration and three batches.
    assert_eq!(honest.0.len(), 8, "{honest:#?}");
    let answers = lookups.iter().flat_map(Lookup::answers);
    assert!(answers.into_iter().all(|answer| answer.is_ok_and(|answer| answer.is_readable)));

    // How many replies of each kind could be read, and how many not.
    let mut outcomes = [[0; 2]; 8];
    for number in 0..attempts(240) {
        let ciphertext = attacker.crafted(number);
        let (transcript, lookups) = attacker.transcript(&attacker.reply(&ciphertext), false);
        assert_eq!(transcript, honest, "reply {number}");
        for answer in lookups.iter().flat_map(Lookup::answers) {
            let answer = answer.unwrap();
            assert_eq!(answer.value, None, "reply {number}");
            outcomes[number % 8][usize::from(answer.is_readable)] += 1;
        }
    }
    // The test would show nothing if the secret key did not decide which replies can be read.
    for kind in [0, 1] {
        assert!(outcomes[kind].iter().all(|&count| count > 0), "{outcomes:?}");
    }
}

/// A keyword that is there changes nothing either.
#[test]
fn requests_do_not_depend_on_whether_a_keyword_is_present() {
    let attacker = Attacker::new();
    let (absent, _) = attacker.transcript(&attacker.absent_bucket(), false);
    let hash = KeywordHash::of(b"absent-0.example/path");
    let mut bucket = vec![1];
    bucket.extend(hash.to_u64().to_le_bytes());
    bucket.extend(1_u16.to_le_bytes());
    bucket.push(b'1');
    let reply = attacker.reply(&attacker.encrypt_bucket(&bucket));
    let (present, lookups) = attacker.transcript(&reply, false);
    assert_eq!(lookups[0].answers()[0].as_ref().unwrap().value.as_deref(), Some(&b"1"[..]));
    assert_eq!(present, absent);
}

#[test]
fn tokens_are_fetched_at_the_same_times_whatever_replies_decrypt_to() {
    let mut attacker = Attacker::new();
    let (honest, _) = attacker.transcript(&attacker.absent_bucket(), true);
    assert!(honest.0.iter().any(|line| line.contains("/issue")), "{honest:#?}");
    for number in 0..attempts(16) {
        let ciphertext = attacker.crafted(number);
        let (transcript, _) = attacker.transcript(&attacker.reply(&ciphertext), true);
        assert_eq!(transcript, honest, "reply {number}");
    }
}

/// The number of ciphertexts is visible to anyone, and the rest of a lookup must not depend even on that.
#[test]
fn replies_of_a_wrong_shape_count_as_unreadable() {
    let attacker = Attacker::new();
    let (honest, _) = attacker.transcript(&attacker.absent_bucket(), false);
    let zero = attacker.context.write_ciphertext(&attacker.raw(&[], &[]));
    for reply in [
        vec![vec![zero.clone(); attacker.shard.chunks() + 1]; attacker.shard.calls()],
        vec![vec![zero.clone(); attacker.shard.chunks()]; attacker.shard.calls() + 1],
        vec![Vec::new(); attacker.shard.calls()],
    ] {
        let (transcript, lookups) = attacker.transcript(&reply, false);
        assert_eq!(transcript, honest);
        let answers = lookups.iter().flat_map(Lookup::answers);
        assert!(answers.map(Result::unwrap).all(|answer| !answer.is_readable));
    }
}

/// A service that says it has a key of the year 2100 must not make the client keep its next key until then.
#[test]
fn a_time_of_the_service_does_not_keep_a_secret_key() {
    let attacker = Attacker::new();
    let reply = attacker.absent_bucket();
    for claimed in [4_102_444_800, u64::MAX] {
        let mut config = api::ConfigResponse::decode(&attacker.config[..]).unwrap();
        config.key_info[0].timestamp = claimed;
        let config = std::cell::RefCell::new(config);
        let uploads = std::cell::Cell::new(0);
        let answer = |path: &str, body: &[u8]| match path {
            "/config" => (200, config.borrow().encode_to_vec()),
            "/key" => {
                uploads.set(uploads.get() + 1);
                let keys = api::shared::EvaluationKeys::decode(body).unwrap();
                let metadata = keys.keys[0].metadata.as_ref().unwrap();
                config.borrow_mut().key_info[0].timestamp = metadata.timestamp;
                (200, Vec::new())
            }
            _ => {
                let count = api::Requests::decode(body).unwrap().requests.len();
                let response = api::response::Response::PirResponse(reply.clone().into());
                let responses = vec![api::Response { response: Some(response) }; count];
                (200, api::Responses { responses }.encode_to_vec())
            }
        };
        let mut world = World::new(builder(options()), answer);
        for (days, uploaded) in [(0, 1), (5, 1), (1, 2), (6, 3)] {
            world.wait(days * DAY);
            assert!(world.look_up(&[&format!("{uploaded}-{days}.example")]).failure().is_none());
            assert_eq!(uploads.get(), uploaded, "{claimed}, {days} days later");
        }
    }
}

/// Keys of devices live for seven days, and are replaced on the sixth.
#[test]
fn secret_keys_are_replaced_on_schedule() {
    let attacker = Attacker::new();
    let reply = attacker.absent_bucket();
    for (days, is_replaced) in [(5, false), (6, true)] {
        let mut uploads = 0;
        {
            let answer = |path: &str, body: &[u8]| match path {
                "/config" => (200, attacker.config.clone()),
                "/queries" => {
                    let count = api::Requests::decode(body).unwrap().requests.len();
                    let response = api::response::Response::PirResponse(reply.clone().into());
                    let responses = vec![api::Response { response: Some(response) }; count];
                    (200, api::Responses { responses }.encode_to_vec())
                }
                _ => {
                    uploads += 1;
                    (200, Vec::new())
                }
            };
            let mut world = World::new(builder(options()), answer);
            assert!(world.look_up(&["a.example"]).failure().is_none());
            world.wait(days * DAY);
            assert!(world.look_up(&["b.example"]).failure().is_none());
        }
        assert_eq!(uploads, usize::from(is_replaced), "{days}");
    }
}

/// What a clock is wrong by stays the same under the next pseudonym.
#[test]
fn the_clock_of_a_client_does_not_tie_its_pseudonyms() {
    let attacker = Attacker::new();
    let hour = start().unix.unix_seconds() / 3600 * 3600;
    let upload_at = |seconds| {
        let mut uploaded = None;
        {
            let answer = |path: &str, body: &[u8]| match path {
                "/config" => (200, attacker.config.clone()),
                "/key" => {
                    let keys = api::shared::EvaluationKeys::decode(body).unwrap().keys;
                    uploaded = keys[0].metadata.as_ref().map(|metadata| metadata.timestamp);
                    (200, Vec::new())
                }
                _ => (503, Vec::new()),
            };
            // After the key that the service has, by hours.
            let now = Timestamp::from_unix_seconds(hour + 7200 + seconds);
            let builder = builder(options()).state(ClientState::new());
            let mut world = World::at(Now::new(now, Duration::ZERO), builder, answer);
            assert!(world.look_up(&["a.example"]).failure().is_some());
        }
        uploaded.unwrap() - hour
    };
    assert_eq!((upload_at(100), upload_at(140)), (7200, 7200));
}
