//! Whole queries recorded between Apple's client and Apple's service: `testvectors/interop`, and
//! more of the same kind where they are at hand (`../shared/vectors`, or the folder that
//! `URLFILTER_VECTORS` names).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bfv::serialize::SerializedCiphertext;
use bfv::{Backend, EvaluationKeyConfig, OsRandom};
use keyword_pir::cuckoo::{CuckooTables, Row};
use keyword_pir::database::{self, Database, FileBytes};
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::{
    Client, DatabaseKind, EvaluationKey, Execution, KeywordHash, Reply, ReplyMode, Scheme,
    SecretKey, Server, ShardParameters, ShardingFunction,
};
use pir_api::rows::{Encoding, RowKind};
use pir_api::{Message, api, convert, he, pir, rows, text};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The folders of every case at hand.
fn cases() -> Vec<PathBuf> {
    let mut folders = vec![repository().join("testvectors/interop/pir")];
    let recorded = match env::var_os("URLFILTER_VECTORS") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(repository().join("../shared/vectors")).filter(|folder| folder.exists()),
    };
    if let Some(folder) = recorded {
        folders.extend([folder.join("pir"), folder.join("synthetic/pir")]);
    }
    let mut all = Vec::new();
    for folder in folders {
        let cases: Vec<_> = sorted(&folder).into_iter().filter(|path| path.is_dir()).collect();
        assert!(!cases.is_empty(), "{}: no cases", folder.display());
        all.extend(cases);
    }
    all
}

/// A request with what Apple's service answered.
struct Exchange {
    keyword: String,
    request: api::pir::PirRequest,
    response: api::pir::PirResponse,
}

struct Case {
    folder: PathBuf,
    shards: Vec<ShardParameters>,
    scheme: Scheme,
    keys: EvaluationKeyConfig,
    key: EvaluationKey,
    secret: SecretKey,
    expected: BTreeMap<String, Option<String>>,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    exchanges: Vec<Exchange>,
}

fn record(folder: &Path, ending: &str) -> Vec<Vec<u8>> {
    let paths = sorted(&folder.join("record"));
    let named = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().ends_with(ending);
    paths.iter().filter(named).map(|path| fs::read(path).unwrap()).collect()
}

fn load(folder: PathBuf, backend: Backend) -> Case {
    let mut shards = Vec::new();
    while let Ok(content) = fs::read(folder.join(format!("params-{}.txtpb", shards.len()))) {
        let message: pir::PirParameters = text::from_text(&content).unwrap();
        // What was read is written as the same text, and as the same text by way of our own types.
        assert_eq!(text::to_text(&message).into_bytes(), content);
        let parameters = convert::shard_parameters(&message).unwrap();
        assert_eq!(convert::shard_message(&parameters), message);
        shards.push(parameters);
    }
    let content = fs::read(folder.join("evaluation-key-config.txtpb")).unwrap();
    let config: he::EvaluationKeyConfig = text::from_text(&content).unwrap();
    assert_eq!(text::to_text(&config).into_bytes(), content);
    let keys = convert::key_config(&config).unwrap();
    assert_eq!(convert::union_key_config(&shards).unwrap(), keys);

    let scheme = Scheme::with_backend(keys.parameters.clone(), backend).unwrap();
    let uploaded = api::shared::EvaluationKeys::decode(&record(&folder, "_key.request.bin")[0][..]);
    let uploaded = uploaded.unwrap().keys.remove(0);
    let hash = convert::key_config_hash(&config);
    assert_eq!(uploaded.metadata.unwrap().identifier, hash);
    let serialized = convert::evaluation_key(uploaded.evaluation_key.unwrap()).unwrap();
    let key = scheme.prepare_evaluation_key(&keys, &serialized).unwrap();
    let name = hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let secret = record(&folder, &format!("secret-key-{name}.binpb")).remove(0);
    let secret = he::SerializedSecretKey::decode(&secret[..]).unwrap();
    let secret = scheme.read_secret_key(&secret.polys).unwrap();

    let expected =
        serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let mut all = Vec::new();
    let input = fs::File::open(folder.join("input.txtpb")).unwrap();
    rows::read(input, Encoding::Text, RowKind::Keyword, |row| {
        all.push((row.keyword.to_vec(), row.value.to_vec()));
        Ok::<(), rows::RowsError>(())
    })
    .unwrap();

    let asked = fs::read_to_string(folder.join("asked.txt")).unwrap();
    let asked: Vec<&str> = asked.lines().filter(|line| !line.is_empty()).collect();
    let requests = record(&folder, "_queries.request.bin");
    let responses = record(&folder, "_queries.response.bin");
    assert!(!requests.is_empty() && requests.len() == responses.len());
    let mut exchanges = Vec::new();
    for (request, response) in requests.iter().zip(&responses) {
        let requests = api::Requests::decode(&request[..]).unwrap().requests;
        let responses = api::Responses::decode(&response[..]).unwrap().responses;
        assert_eq!(requests.len(), responses.len());
        for (request, response) in requests.into_iter().zip(responses) {
            let Some(api::request::Request::PirRequest(request)) = request.request else {
                panic!()
            };
            let Some(api::response::Response::PirResponse(response)) = response.response else {
                panic!()
            };
            let keyword = asked[exchanges.len() % asked.len()].to_owned();
            exchanges.push(Exchange { keyword, request, response });
        }
    }
    let rows = all;
    Case { folder, shards, scheme, keys, key, secret, expected, rows, exchanges }
}

impl Case {
    fn sharding(&self) -> ShardingFunction {
        match self.shards[0].description().kind {
            DatabaseKind::Keyword { sharding, .. } => sharding,
            DatabaseKind::Index { .. } => panic!("these are keyword databases"),
        }
    }

    fn shard_of(&self, keyword: &[u8]) -> usize {
        self.sharding().shard(KeywordHash::of(keyword), self.shards.len() as u32) as usize
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

    /// Identifiers that the service published, computed from the parameter files.
    fn configurations(&self) {
        let response = record(&self.folder, "_config.response.bin").remove(0);
        let response = api::ConfigResponse::decode(&response[..]).unwrap();
        let config = response.configs.into_values().next().unwrap();
        let Some(api::config::Config::PirConfig(published)) = config.config else { panic!() };
        let ours = convert::config_message(&self.shards).unwrap();
        assert_eq!(convert::config_id(&ours)[..], config.config_id);
        let status = &response.key_info[0];
        let key_config = status.key_config.clone().unwrap();
        assert_eq!(published.evaluation_key_config_hash, convert::key_config_hash(&key_config));
        let shards = convert::config_shards(&published, &key_config).unwrap();
        assert_eq!(shards.len(), self.shards.len());
        for (shard, own) in shards.iter().zip(&self.shards) {
            let (a, b) = (shard.description(), own.description());
            assert_eq!(
                (a.entries, a.entry_size, &a.dimensions),
                (b.entries, b.entry_size, &b.dimensions)
            );
        }
        // The short form and the long one mean the same.
        let short = convert::config_shards(&ours, &key_config).unwrap();
        assert_eq!(short, shards);
        for exchange in &self.exchanges {
            assert_eq!(exchange.request.configuration_hash, config.config_id);
        }
    }

    fn answer(&self, server: &Server, exchange: &Exchange, execution: Execution<'_>) -> Reply {
        let query = exchange.request.query.clone().unwrap();
        let serialized = convert::query(query.clone()).unwrap();
        assert_eq!(convert::query_message(serialized.clone()), query);
        let query = server.read_query(&serialized).unwrap();
        server.answer(&query, &self.key, execution).unwrap().0
    }

    /// The queries of one shard, recorded replies first.
    fn exchanges(&self, shard: usize) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(move |exchange| {
            let place = self.shard_of(exchange.keyword.as_bytes());
            assert_eq!(exchange.request.shard_index as usize, place, "{}", exchange.keyword);
            place == shard
        })
    }

    /// Apple's replies, our client.
    fn recorded_replies(&self, shard: usize) {
        for exchange in self.exchanges(shard) {
            let reply = convert::reply(exchange.response.clone()).unwrap();
            assert_eq!(convert::reply_message(reply.clone()), exchange.response);
            self.check(&exchange.keyword, shard, &reply);
        }
    }

    /// Apple's database, Apple's queries, our replies: the same bytes.
    fn recorded_database(&self, shard: usize) {
        let Ok(file) = fs::File::open(self.folder.join(format!("db-{shard}.bin"))) else { return };
        let database =
            Database::read_apple(&self.scheme, self.shards[shard].clone(), file).unwrap();
        let server = Server::new(self.scheme.clone(), database).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for (number, exchange) in self.exchanges(shard).enumerate() {
            let mode = ReplyMode::Identical;
            // Shared out over threads or not, the work is the same.
            let pool = (number % 2 == 0).then_some(&pool);
            let reply =
                self.answer(&server, exchange, Execution { mode, pool, ..Default::default() });
            assert!(convert::reply_message(reply) == exchange.response, "the reply's bytes differ");
            let reply = self.answer(&server, exchange, Execution { pool, ..Default::default() });
            self.check(&exchange.keyword, shard, &reply);
            // Skipping a second dimension of length 1 costs no noise budget.
            let budget = |mode| {
                let execution = Execution { mode, keep_low_bits: true, ..Default::default() };
                let reply = self.answer(&server, exchange, execution);
                self.client(shard).noise_budget(&reply, &self.secret).unwrap()
            };
            let (fast, identical) = (budget(ReplyMode::Fast), budget(ReplyMode::Identical));
            assert!(fast >= identical - 0.5, "{fast} {identical}");
        }
    }

    /// Our database with the recorded parameters; Apple's queries, then ours.
    fn own_database(&self, shard: usize) {
        let parameters = self.shards[shard].clone();
        let of_shard = |row: &&(Vec<u8>, Vec<u8>)| self.shard_of(&row.0) == shard;
        let rows: Vec<Row<'_>> = self
            .rows
            .iter()
            .filter(of_shard)
            .map(|(keyword, value)| Row { hash: KeywordHash::of(keyword), value })
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
            let reply = self.answer(&server, exchange, Execution::default());
            self.check(&exchange.keyword, shard, &reply);
            assert!(self.answer(&moved, exchange, Execution::default()) == reply);
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
            for mode in [ReplyMode::Fast, ReplyMode::Identical] {
                let execution = Execution { mode, ..Default::default() };
                let (reply, _) = server.answer(&query, &key, execution).unwrap();
                let value = client.decode_keyword(&reply, keyword.as_bytes(), &secret).unwrap();
                let value = value.map(|value| String::from_utf8(value).unwrap());
                assert_eq!(value, self.expected[keyword], "{keyword}");
            }
        }
    }
}

#[test]
fn recordings() {
    for backend in Backend::available().into_iter().rev() {
        for folder in cases() {
            println!("{} {backend:?}", folder.display());
            let case = load(folder, backend);
            case.configurations();
            for shard in 0..case.shards.len() {
                case.recorded_replies(shard);
                case.recorded_database(shard);
                case.own_database(shard);
            }
        }
    }
}
