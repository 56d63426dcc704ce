//! Whole queries recorded between Apple's client and Apple's service, for each back end that the
//! process may use: Apple's replies decode, our replies are Apple's byte for byte, and our databases
//! and queries give the same values.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use bfv::serialize::{SerializedCiphertext, SerializedEvaluationKey};
use bfv::{Backend, EvaluationKeyConfig, OsRandom, Parameters, Security};
use interop_cases::pir::{Case, Exchange, Shard, Sharding};
use keyword_pir::cuckoo::{CuckooTables, Row};
use keyword_pir::database::{self, Database, FileBytes};
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::{
    Client, DatabaseKind, EvaluationKey, Execution, KeywordHash, Reply, Scheme, SecretKey,
    SerializedQuery, Server, ShardDescription, ShardParameters, ShardingFunction,
};
use std::collections::BTreeMap;
use std::fs::File;

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

fn parameters(shard: &Shard) -> ShardParameters {
    let recorded = &shard.encryption;
    let security = if recorded.is_secure { Security::Quantum128 } else { Security::Unchecked };
    let encryption = Parameters::new(
        recorded.degree,
        recorded.plaintext_modulus,
        recorded.coefficient_moduli.clone(),
        security,
    );
    let kind = DatabaseKind::Keyword {
        hash_functions: shard.hash_functions as usize,
        sharding: match shard.sharding {
            Sharding::Sha256 => ShardingFunction::Sha256,
            Sharding::DoubleMod { other_shard_count } => {
                ShardingFunction::DoubleMod { other_shard_count }
            }
        },
        symmetric: None,
    };
    let mut description = ShardDescription::new(encryption.unwrap(), kind);
    description.entries = shard.entries;
    description.entry_size = shard.entry_size;
    description.dimensions = shard.dimensions.clone();
    description.batch_size = shard.batch_size;
    description.galois_elements = shard.galois_elements.clone();
    description.has_relinearization_key = shard.has_relinearization_key;
    description.check().unwrap()
}

/// The keys that serve every shard.
fn union(shards: &[ShardParameters]) -> EvaluationKeyConfig {
    let mut union = shards[0].evaluation_key_config();
    for shard in shards {
        let config = shard.evaluation_key_config();
        union.galois_elements.extend(config.galois_elements);
        union.has_relinearization_key |= config.has_relinearization_key;
    }
    union.galois_elements.sort_unstable();
    union.galois_elements.dedup();
    union
}

struct World<'c> {
    case: &'c Case,
    shards: Vec<ShardParameters>,
    scheme: Scheme,
    keys: EvaluationKeyConfig,
    key: EvaluationKey,
    secret: SecretKey,
    expected: BTreeMap<String, Option<String>>,
    exchanges: Vec<Exchange>,
}

impl<'c> World<'c> {
    fn new(case: &'c Case, backend: Backend) -> Self {
        let shards: Vec<ShardParameters> = case.shards().iter().map(parameters).collect();
        let keys = union(&shards);
        let scheme = Scheme::with_backend(keys.parameters.clone(), backend).unwrap();
        let uploaded = serialized_keys(&case.uploaded_key().key);
        let key = scheme.prepare_evaluation_key(&keys, &uploaded).unwrap();
        let secret = scheme.read_secret_key(&case.secret_key()).unwrap();
        let expected = case.expected().into_iter().collect();
        Self { case, shards, scheme, keys, key, secret, expected, exchanges: case.exchanges() }
    }

    fn shard_of(&self, keyword: &[u8]) -> usize {
        let DatabaseKind::Keyword { sharding, .. } = self.shards[0].description().kind else {
            panic!("these are keyword databases")
        };
        sharding.shard(KeywordHash::of(keyword), self.shards.len() as u32) as usize
    }

    fn client(&self, shard: usize) -> Client {
        Client::new(self.scheme.clone(), self.shards[shard].clone()).unwrap()
    }

    fn check(&self, keyword: &str, shard: usize, reply: &Reply) {
        let value =
            self.client(shard).decode_keyword(reply, keyword.as_bytes(), &self.secret).unwrap();
        let value = value.map(|value| String::from_utf8(value).unwrap());
        assert_eq!(value, self.expected[keyword], "{keyword}");
    }

    fn answer(&self, server: &Server, exchange: &Exchange, execution: Execution<'_>) -> Reply {
        let ciphertexts = exchange.query.iter().map(serialized).collect();
        let query = SerializedQuery { ciphertexts, calls: exchange.lookups };
        let query = server.read_query(&query).unwrap();
        server.answer(&query, &self.key, execution).unwrap().0
    }

    /// The recorded queries of one shard.
    fn exchanges(&self, shard: usize) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(move |exchange| {
            let place = self.shard_of(exchange.keyword.as_bytes());
            assert_eq!(exchange.shard, place, "{}", exchange.keyword);
            place == shard
        })
    }

    /// Apple's replies, our client.
    fn recorded_replies(&self, shard: usize) {
        for exchange in self.exchanges(shard) {
            self.check(&exchange.keyword, shard, &recorded_reply(exchange));
        }
    }

    /// Apple's database, Apple's queries, our replies: the same bytes.
    fn recorded_database(&self, shard: usize) {
        let Ok(file) = File::open(self.case.database_path(shard)) else { return };
        let database =
            Database::read_apple(&self.scheme, self.shards[shard].clone(), file).unwrap();
        let server = Server::new(self.scheme.clone(), database).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for (number, exchange) in self.exchanges(shard).enumerate() {
            // Shared out over threads or not, the work is the same.
            let execution = match number % 2 {
                0 => Execution::new().parallel(),
                _ => Execution::new(),
            };
            let answer = |execution: Execution<'static>| {
                pool.install(|| self.answer(&server, exchange, execution))
            };
            let reply = answer(execution.identical_to_reference());
            assert!(reply == recorded_reply(exchange), "the reply's bytes differ");
            self.check(&exchange.keyword, shard, &answer(execution));
            // Skipping a second dimension of length 1 costs no noise budget.
            let budget = |execution: Execution<'static>| {
                let reply = answer(execution.keep_low_bits());
                self.client(shard).noise_budget(&reply, &self.secret).unwrap()
            };
            let fast = budget(Execution::new());
            let identical = budget(Execution::new().identical_to_reference());
            assert!(fast >= identical - 0.5, "{fast} {identical}");
        }
    }

    /// Our database with the recorded parameters; Apple's queries, then ours.
    fn own_database(&self, shard: usize) {
        let parameters = self.shards[shard].clone();
        let all = self.case.rows();
        let rows: Vec<Row<'_>> = all
            .iter()
            .filter(|row| self.shard_of(row.keyword.as_bytes()) == shard)
            .map(|row| Row {
                hash: KeywordHash::of(row.keyword.as_bytes()),
                value: row.value.as_bytes(),
            })
            .collect();
        let plan = Plan::of_parameters(&parameters).unwrap();
        let tables = CuckooTables::build(&plan.cuckoo(0), &rows).unwrap();
        assert_eq!(tables.rows(), rows.len());
        let payloads = Payloads::of_tables(parameters.clone(), &tables).unwrap();
        let mut native = Vec::new();
        let digest = database::write(&self.scheme, &payloads, &mut native).unwrap();
        let database = Database::from_bytes(FileBytes::copy(&native)).unwrap();
        assert_eq!(database.digest(), Some(&digest));
        assert_eq!(*database.parameters(), parameters);
        let mut apple = Vec::new();
        database::write_apple(&self.scheme, &payloads, &mut apple).unwrap();
        let moved = Database::read_apple(&self.scheme, parameters, &apple[..]).unwrap();

        let server = Server::new(self.scheme.clone(), database).unwrap();
        let moved = Server::new(self.scheme.clone(), moved).unwrap();
        for exchange in self.exchanges(shard) {
            let reply = self.answer(&server, exchange, Execution::new());
            self.check(&exchange.keyword, shard, &reply);
            assert!(self.answer(&moved, exchange, Execution::new()) == reply);
        }
        self.own_queries(&server, shard);
    }

    fn own_queries(&self, server: &Server, shard: usize) {
        let client = self.client(shard);
        let secret = self.scheme.generate_secret_key(&mut OsRandom).unwrap();
        let uploaded =
            self.scheme.generate_evaluation_key(&self.keys, &secret, &mut OsRandom).unwrap();
        let key = self.scheme.prepare_evaluation_key(&self.keys, &uploaded).unwrap();
        for keyword in self.expected.keys() {
            if self.shard_of(keyword.as_bytes()) != shard {
                continue;
            }
            let query = client.query_keyword(keyword.as_bytes(), &secret, &mut OsRandom).unwrap();
            assert!(matches!(query.ciphertexts[0], SerializedCiphertext::Seeded { .. }));
            let query = server.read_query(&query).unwrap();
            for execution in [Execution::new(), Execution::new().identical_to_reference()] {
                let (reply, _) = server.answer(&query, &key, execution).unwrap();
                let value = client.decode_keyword(&reply, keyword.as_bytes(), &secret).unwrap();
                let value = value.map(|value| String::from_utf8(value).unwrap());
                assert_eq!(value, self.expected[keyword], "{keyword}");
            }
        }
    }
}

fn recorded_reply(exchange: &Exchange) -> Reply {
    exchange.reply.iter().map(|chunks| chunks.iter().map(serialized).collect()).collect()
}

fn run_all(cases: Vec<Case>) {
    for backend in Backend::permitted().unwrap().into_iter().rev() {
        for case in &cases {
            println!("{} {backend:?}", case.folder().display());
            let world = World::new(case, backend);
            for shard in 0..world.shards.len() {
                world.recorded_replies(shard);
                world.recorded_database(shard);
                world.own_database(shard);
            }
        }
    }
}

#[test]
fn recordings_of_the_repository() {
    run_all(Case::carried());
}

#[test]
#[ignore = "needs ../shared/vectors"]
fn more_recordings() {
    run_all(Case::shared());
}
