//! Whole lookups with random databases and settings, and everything that must be refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bfv::serialize::SerializedCiphertext;
use bfv::{OsRandom, Parameters, Security, is_prime};
use keyword_pir::cuckoo::{BucketCount, CuckooTables, Row};
use keyword_pir::database::{self, Database, FileBytes};
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::shape::KeyCompression;
use keyword_pir::{
    Client, DatabaseError, Error, EvaluationKey, Execution, KeywordHash, Scheme, SecretKey, Server,
    ShardParameters,
};
use proptest::prelude::*;
use std::sync::atomic::AtomicBool;

/// A client with its keys, and a server that knows them.
struct World {
    scheme: Scheme,
    server: Server,
    client: Client,
    secret: SecretKey,
    key: EvaluationKey,
}

impl World {
    fn new(scheme: Scheme, payloads: &Payloads) -> Self {
        let mut bytes = Vec::new();
        database::write(&scheme, payloads, &mut bytes).unwrap();
        let database = Database::from_bytes(FileBytes::copy(&bytes)).unwrap();
        assert_eq!(database.parameters(), payloads.parameters());
        assert_eq!(database.present(), payloads.plaintexts().iter().flatten().count());
        let server = Server::new(scheme.clone(), database).unwrap();
        let client = Client::new(scheme.clone(), payloads.parameters().clone()).unwrap();
        let secret = scheme.generate_secret_key(&mut OsRandom).unwrap();
        let config = payloads.parameters().evaluation_key_config();
        let uploaded = scheme.generate_evaluation_key(&config, &secret, &mut OsRandom).unwrap();
        let key = scheme.prepare_evaluation_key(&config, &uploaded).unwrap();
        Self { scheme, server, client, secret, key }
    }

    fn value(&self, keyword: &[u8], execution: Execution<'_>) -> Option<Vec<u8>> {
        let query = self.client.query_keyword(keyword, &self.secret, &mut OsRandom).unwrap();
        let query = self.server.read_query(&query).unwrap();
        let (reply, _) = self.server.answer(&query, &self.key, execution).unwrap();
        self.client.decode_keyword(&reply, keyword, &self.secret).unwrap()
    }
}

fn small_set(degree: u64, bits: u32) -> Parameters {
    let step = 2 * degree;
    let start = (1_u64 << bits) / step * step + 1;
    let moduli = (1..).map(|k| start - k * step).filter(|&p| is_prime(p)).take(4).collect();
    Parameters::new(degree, 17, moduli, Security::Unchecked).unwrap()
}

fn keyword_payloads(plan: &Plan, rows: &[(Vec<u8>, Vec<u8>)]) -> Payloads {
    let longest = rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
    let rows: Vec<Row<'_>> =
        rows.iter().map(|(keyword, value)| Row { hash: KeywordHash::of(keyword), value }).collect();
    let tables = CuckooTables::build(&plan.cuckoo(longest), &rows).unwrap();
    Payloads::of_tables(plan.keyword_shard(&tables).unwrap(), &tables).unwrap()
}

fn numbered_rows(count: usize, length: impl Fn(usize) -> usize) -> Rows {
    let value = |i: usize| (0..length(i)).map(|j| (i * 7 + j * 3 + 1) as u8).collect();
    (0..count).map(|i| (format!("keyword {i}").into_bytes(), value(i))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_keyword_has_its_value(
        log_degree in 5_u32..9,
        wide: bool,
        count in 0_usize..120,
        longest in 0_usize..60,
        functions in 1_usize..4,
        compression in 0_u8..3,
        uneven: bool,
        use_max: bool,
    ) {
        let parameters = small_set(1 << log_degree, if wide { 57 } else { 29 });
        let scheme = Scheme::new(parameters.clone()).unwrap();
        let mut plan = Plan::new(parameters);
        plan.hash_functions = functions;
        plan.compression =
            [KeyCompression::None, KeyCompression::Maximum, KeyCompression::Hybrid][usize::from(compression)];
        plan.uneven_dimensions = uneven;
        plan.use_max_bucket_size = use_max;
        let rows = numbered_rows(count, |i| (i * 31) % (longest + 1));
        let payloads = keyword_payloads(&plan, &rows);
        let world = World::new(scheme, &payloads);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for (number, (keyword, value)) in rows.iter().enumerate().step_by(17) {
            let mut execution = Execution::new();
            if number % 2 == 0 {
                execution = execution.parallel();
            }
            if number % 3 == 0 {
                execution = execution.identical_to_reference();
            }
            let found = pool.install(|| world.value(keyword, execution));
            prop_assert_eq!(found, Some(value.clone()));
        }
        prop_assert_eq!(world.value(b"no such keyword", Execution::new()), None);
    }

    #[test]
    fn every_entry_is_found_by_number(
        count in 1_usize..200,
        longest in 1_usize..90,
        encodes_entry_size: bool,
    ) {
        let parameters = small_set(64, 29);
        let scheme = Scheme::new(parameters.clone()).unwrap();
        let rows = numbered_rows(count, |i| if encodes_entry_size { (i * 13) % (longest + 1) } else { longest });
        let entries: Vec<&[u8]> = rows.iter().map(|row| &row.1[..]).collect();
        let size = entries.iter().map(|entry| entry.len()).max().unwrap();
        let shard = Plan::new(parameters)
            .index_shard(count as u64, size as u64, encodes_entry_size)
            .unwrap();
        let payloads = Payloads::of_entries(shard, &entries).unwrap();
        let world = World::new(scheme, &payloads);
        for index in (0..count).step_by(37) {
            let asked = [index as u64];
            let query = world.client.query_entries(&asked, &world.secret, &mut OsRandom).unwrap();
            let query = world.server.read_query(&query).unwrap();
            let (reply, _) = world.server.answer(&query, &world.key, Execution::new()).unwrap();
            let found = world.client.decode_entries(&reply, &asked, &world.secret).unwrap();
            prop_assert_eq!(&found[0][..size.min(found[0].len())], entries[index]);
        }
        let outside = [count as u64];
        prop_assert!(world.client.query_entries(&outside, &world.secret, &mut OsRandom).is_err());
        prop_assert!(world.client.query_keyword(b"k", &world.secret, &mut OsRandom).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Entries that are all zero have no plaintext, in one database or in both.
    #[test]
    fn plaintexts_that_are_copied_are_those_that_would_be_computed(
        wide: bool,
        size in 1_usize..400,
        contents in prop::collection::vec((0_u8..3, 0_u8..3), 1..60),
    ) {
        let parameters = small_set(64, if wide { 57 } else { 29 });
        let scheme = Scheme::new(parameters.clone()).unwrap();
        let shard = Plan::new(parameters).index_shard(contents.len() as u64, size as u64, false).unwrap();
        let payloads = |content: fn(&(u8, u8)) -> u8| {
            let entries: Vec<Vec<u8>> = contents.iter().map(|both| vec![content(both); size]).collect();
            let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
            Payloads::of_entries(shard.clone(), &entries).unwrap()
        };
        let (earlier, later) = (payloads(|both| both.0), payloads(|both| both.1));
        let written = |payloads: &Payloads| {
            let mut bytes = Vec::new();
            database::write(&scheme, payloads, &mut bytes).unwrap();
            bytes
        };
        let database = Database::from_bytes(FileBytes::copy(&written(&earlier))).unwrap();
        let pairs = earlier.plaintexts().iter().zip(later.plaintexts());
        let is_same: Vec<bool> = pairs.map(|(earlier, later)| earlier == later).collect();
        let mut copied = Vec::new();
        let digest =
            database::write_reusing(&scheme, &later, &database, &is_same, &mut copied).unwrap();
        prop_assert!(copied == written(&later));
        prop_assert_eq!(&digest[..], &copied[copied.len() - 32..]);
    }
}

#[test]
fn plaintexts_are_copied_between_databases_of_one_shape() {
    let (world, _) = usual();
    let parameters = small_set(64, 29);
    let other = keyword_payloads(&Plan::new(parameters), &numbered_rows(150, |i| i % 40));
    let refused = |is_same: &[bool]| {
        let database = world.server.database();
        database::write_reusing(&world.scheme, &other, database, is_same, &mut Vec::new())
    };
    let count = other.plaintexts().len();
    for length in [0, count - 1, count + 1] {
        let refused = refused(&vec![false; length]);
        assert!(matches!(refused, Err(DatabaseError::Plaintexts { .. })), "{length}");
    }
    assert!(matches!(refused(&vec![false; count]), Err(DatabaseError::OtherParameters)));
}

/// Keywords and values.
type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn usual() -> (World, Rows) {
    let parameters = small_set(64, 29);
    let plan = Plan::new(parameters.clone());
    let rows = numbered_rows(150, |i| i % 9);
    let payloads = keyword_payloads(&plan, &rows);
    (World::new(Scheme::new(parameters).unwrap(), &payloads), rows)
}

#[test]
fn two_keywords_of_one_hash_give_the_first_slot() {
    let parameters = small_set(64, 29);
    let plan = Plan::new(parameters.clone());
    let hash = KeywordHash::of(b"twin");
    let rows = [Row { hash, value: b"first" }, Row { hash, value: b"second" }];
    let tables = CuckooTables::build(&plan.cuckoo(6), &rows).unwrap();
    let payloads = Payloads::of_tables(plan.keyword_shard(&tables).unwrap(), &tables).unwrap();
    let world = World::new(Scheme::new(parameters).unwrap(), &payloads);
    assert_eq!(world.value(b"twin", Execution::new()).as_deref(), Some(&b"first"[..]));
}

#[test]
fn parameters_outlive_an_update() {
    let parameters = small_set(64, 29);
    let mut plan = Plan::new(parameters.clone());
    plan.buckets = BucketCount::Fixed(400);
    plan.max_bucket_size = Some(24);
    let before = keyword_payloads(&plan, &numbered_rows(150, |i| i % 9));
    let after = keyword_payloads(&plan, &numbered_rows(170, |i| (i + 3) % 11));
    assert_eq!(before.parameters(), after.parameters());
    let of_parameters = Plan::of_parameters(before.parameters()).unwrap();
    let same = keyword_payloads(&of_parameters, &numbered_rows(150, |i| i % 9));
    assert_eq!(same.parameters(), before.parameters());
    assert_eq!(same.plaintexts(), before.plaintexts());
}

#[test]
fn work_stops_when_it_is_cancelled() {
    let (world, rows) = usual();
    let query = world.client.query_keyword(&rows[0].0, &world.secret, &mut OsRandom).unwrap();
    let query = world.server.read_query(&query).unwrap();
    let cancelled = AtomicBool::new(true);
    let execution = Execution::new().cancelled_by(&cancelled);
    let outcome = world.server.answer(&query, &world.key, execution);
    assert!(matches!(outcome, Err(Error::Cancelled)));
}

#[test]
fn malformed_queries_are_refused() {
    let (world, rows) = usual();
    let query = world.client.query_keyword(&rows[0].0, &world.secret, &mut OsRandom).unwrap();
    let refused = |change: &dyn Fn(&mut keyword_pir::SerializedQuery)| {
        let mut changed = query.clone();
        change(&mut changed);
        assert!(world.server.read_query(&changed).is_err());
    };
    assert!(world.server.read_query(&query).is_ok());
    refused(&|q| q.calls = 0);
    refused(&|q| q.calls = 1_000_000);
    refused(&|q| q.calls = u64::MAX);
    refused(&|q| q.ciphertexts.clear());
    refused(&|q| q.ciphertexts.push(q.ciphertexts[0].clone()));
    refused(&|q| {
        let SerializedCiphertext::Seeded { seed, .. } = &mut q.ciphertexts[0] else { panic!() };
        seed.pop();
    });
    refused(&|q| {
        let SerializedCiphertext::Seeded { poly0, .. } = &mut q.ciphertexts[0] else { panic!() };
        poly0.fill(0xff);
    });
    refused(&|q| {
        let polys = vec![3, 0];
        q.ciphertexts[0] =
            SerializedCiphertext::Full { polys, skip_lsbs: vec![], correction_factor: 1 };
    });
}

#[test]
fn keys_are_checked_against_the_configuration() {
    let (world, _) = usual();
    let config = world.server.parameters().evaluation_key_config();
    let (scheme, secret) = (&world.scheme, &world.secret);
    let keys = scheme.generate_evaluation_key(&config, secret, &mut OsRandom).unwrap();
    let mut fewer = keys.clone();
    fewer.galois.pop_first();
    assert!(scheme.prepare_evaluation_key(&config, &fewer).is_err());
    let mut fewer = keys.clone();
    fewer.relinearization = None;
    assert!(scheme.prepare_evaluation_key(&config, &fewer).is_err());
    let mut fewer = keys.clone();
    fewer.galois.values_mut().for_each(|key| {
        key.pop();
    });
    assert!(scheme.prepare_evaluation_key(&config, &fewer).is_err());
    let other = Scheme::new(small_set(32, 29)).unwrap();
    assert!(other.prepare_evaluation_key(&config, &keys).is_err());
    // More than asked for is fine, and left out.
    let mut more = config.clone();
    more.galois_elements = (1..=6).map(|power| (1 << power) + 1).collect();
    let keys = scheme.generate_evaluation_key(&more, secret, &mut OsRandom).unwrap();
    let key = scheme.prepare_evaluation_key(&config, &keys).unwrap();
    assert_eq!(key.memory(), world.key.memory());
    assert_eq!(key.memory(), Scheme::evaluation_key_memory(&config));
}

#[test]
fn altered_files_are_refused() {
    let (world, rows) = usual();
    let plan = Plan::new(world.scheme.parameters().clone());
    let payloads = keyword_payloads(&plan, &rows);
    let mut file = Vec::new();
    database::write(&world.scheme, &payloads, &mut file).unwrap();
    let open = |bytes: &[u8]| Database::from_bytes(FileBytes::copy(bytes)).map(|_| ());
    assert!(open(&file).is_ok());
    for at in (0..file.len()).step_by(7).chain(file.len() - 70..file.len()) {
        let mut altered = file.clone();
        altered[at] ^= 1 << (at % 8);
        assert!(open(&altered).is_err(), "byte {at}");
    }
    for length in (0..file.len()).step_by(61) {
        assert!(open(&file[..length]).is_err(), "{length} bytes");
    }
    file.push(0);
    assert!(matches!(open(&file), Err(DatabaseError::Length { .. })));
    assert!(matches!(open(b"PIRSHARD\x02\0\0\0"), Err(DatabaseError::Version(2))));
    assert!(matches!(open(b"something else"), Err(DatabaseError::Magic)));
}

/// The data of a file that was just written is not hashed again; whatever else of it differs is noticed.
#[test]
fn a_file_of_another_digest_than_was_written_is_checked_as_any() {
    let (world, rows) = usual();
    let plan = Plan::new(world.scheme.parameters().clone());
    let payloads = keyword_payloads(&plan, &rows);
    let mut file = Vec::new();
    let written = database::write(&world.scheme, &payloads, &mut file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("written.bin");
    let open = |bytes: &[u8], digest| {
        std::fs::write(&path, bytes).unwrap();
        Database::open_written(&path, digest).map(|database| database.digest().copied())
    };
    assert_eq!(open(&file, &written).unwrap(), Some(written));
    assert_eq!(open(&file, &[0; 32]).unwrap(), Some(written));
    let start = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    let digests = file.len() - 64;
    let changed = |at: usize| {
        let mut changed = file.clone();
        changed[at] ^= 1;
        changed
    };
    for at in [9, start - 1, digests, file.len() - 1] {
        assert!(open(&changed(at), &written).is_err(), "{at}");
    }
    assert!(open(&changed(start), &[0; 32]).is_err());
    assert!(open(&changed(start), &written).is_ok());
}

#[test]
fn files_of_the_reference_are_checked() {
    let (world, rows) = usual();
    let plan = Plan::new(world.scheme.parameters().clone());
    let payloads = keyword_payloads(&plan, &rows);
    let parameters: ShardParameters = payloads.parameters().clone();
    let mut file = Vec::new();
    database::write_apple(&world.scheme, &payloads, &mut file).unwrap();
    let read = |bytes: &[u8], parameters: &ShardParameters| {
        Database::read_apple(&world.scheme, parameters.clone(), bytes).map(|_| ())
    };
    assert!(read(&file, &parameters).is_ok());
    for length in (0..file.len()).step_by(37) {
        assert!(read(&file[..length], &parameters).is_err(), "{length} bytes");
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(matches!(read(&longer, &parameters), Err(DatabaseError::Length { .. })));
    let mut altered = file.clone();
    altered[5] = 2;
    assert!(matches!(
        read(&altered, &parameters),
        Err(DatabaseError::Tag { plaintext: 0, tag: 2 })
    ));
    altered = file.clone();
    altered[0] = 2;
    assert!(matches!(read(&altered, &parameters), Err(DatabaseError::Magic)));
    altered = file;
    altered[1] ^= 1;
    assert!(matches!(read(&altered, &parameters), Err(DatabaseError::Plaintexts { .. })));
}

/// Minimum noise budget of replies in bits, with a product of ciphertexts and without; `None` where
/// it is too small to rely on. `docs/pir.md` has the figures of usual shards and what they mean.
const BUDGETS: [(&str, Option<f64>, Option<f64>); 16] = [
    ("insecure_n_8_logq_5x18_logt_5", Some(9.0), Some(9.0)),
    ("insecure_n_512_logq_4x60_logt_20", Some(30.0), Some(30.0)),
    ("n_4096_logq_16_33_33_logt_4", Some(3.0), Some(3.0)),
    ("n_4096_logq_27_28_28_logt_4", Some(13.0), Some(14.0)),
    ("n_4096_logq_27_28_28_logt_5", Some(13.0), Some(14.0)),
    ("n_4096_logq_27_28_28_logt_6", Some(9.5), Some(12.0)),
    ("n_4096_logq_27_28_28_logt_13", None, Some(6.0)),
    ("n_4096_logq_27_28_28_logt_16", None, Some(2.5)),
    ("n_4096_logq_27_28_28_logt_17", None, Some(2.0)),
    ("n_8192_logq_28_60_60_logt_20", Some(0.5), Some(0.5)),
    ("n_8192_logq_29_60_60_logt_15", Some(5.0), Some(5.0)),
    ("n_8192_logq_40_60_60_logt_26", None, Some(5.0)),
    ("n_8192_logq_3x55_logt_24", Some(13.0), Some(21.0)),
    ("n_8192_logq_3x55_logt_29", None, Some(16.0)),
    ("n_8192_logq_3x55_logt_30", None, Some(15.0)),
    ("n_8192_logq_3x55_logt_42", None, Some(3.0)),
];

#[test]
fn noise_of_every_set() {
    let with_keys = |name: &&str| Parameters::predefined(name).unwrap().has_key_switching();
    let names: Vec<&str> = Parameters::predefined_names().filter(with_keys).collect();
    assert_eq!(names, BUDGETS.map(|(name, ..)| name));
    for (name, product, none) in BUDGETS {
        let parameters = Parameters::predefined(name).unwrap();
        let scheme = Scheme::new(parameters.clone()).unwrap();
        let rows = numbered_rows(500, |_| 1);
        let payloads = keyword_payloads(&Plan::new(parameters), &rows);
        let world = World::new(scheme, &payloads);
        let query = world.client.query_keyword(&rows[3].0, &world.secret, &mut OsRandom).unwrap();
        let query = world.server.read_query(&query).unwrap();
        let (identical, fast) = (Execution::new().identical_to_reference(), Execution::new());
        for (execution, min) in [(identical, product), (fast, none)] {
            let full = execution.keep_low_bits();
            let (reply, times) = world.server.answer(&query, &world.key, full).unwrap();
            assert!(times.expansion > std::time::Duration::ZERO);
            let both = world.server.answer_with_low_bits(&query, &world.key, execution).unwrap();
            let (short, _) = world.server.answer(&query, &world.key, execution).unwrap();
            assert!((&both.0, &both.1) == (&short, &reply), "{name}");
            let budget = world.client.noise_budget(&reply, &world.secret).unwrap();
            println!("{name} {:?} {budget:.1}", payloads.parameters().description().dimensions);
            match min {
                None => assert!(budget < 2.0, "{name} {budget}"),
                Some(min) => {
                    assert!(budget >= min, "{name} {budget}");
                    let value = world.value(&rows[3].0, execution);
                    assert_eq!(value.as_ref(), Some(&rows[3].1), "{name}");
                }
            }
        }
    }
}

/// Every polynomial and seed of a query.
fn parts(query: &keyword_pir::SerializedQuery) -> Vec<Vec<u8>> {
    let parts = query.ciphertexts.iter().flat_map(|ciphertext| match ciphertext.clone() {
        SerializedCiphertext::Seeded { poly0, seed } => vec![poly0, seed],
        SerializedCiphertext::Full { .. } => panic!("queries have seeds"),
    });
    parts.collect()
}

#[test]
fn queries_look_alike_and_never_repeat() {
    let (world, rows) = usual();
    let keywords = [&rows[0].0[..], &rows[0].0, &rows[1].0, b"not there", b"", &[7; 5_000]];
    let mut seen = std::collections::HashSet::new();
    let mut sizes = std::collections::HashSet::new();
    for keyword in keywords {
        let query = world.client.query_keyword(keyword, &world.secret, &mut OsRandom).unwrap();
        let parts = parts(&query);
        sizes.insert((query.calls, parts.iter().map(Vec::len).collect::<Vec<_>>()));
        assert!(parts.into_iter().all(|part| seen.insert(part)), "a part of a query repeats");
    }
    assert_eq!(sizes.len(), 1, "{sizes:?}");
}

#[test]
fn another_key_reads_neither_query_nor_reply() {
    let (world, rows) = usual();
    let other = world.scheme.generate_secret_key(&mut OsRandom).unwrap();
    for (keyword, value) in &rows {
        let query = world.client.query_keyword(keyword, &world.secret, &mut OsRandom).unwrap();
        let query = world.server.read_query(&query).unwrap();
        let (reply, _) = world.server.answer(&query, &world.key, Execution::new()).unwrap();
        let read = world.client.decode_keyword(&reply, keyword, &world.secret).unwrap();
        assert_eq!(read.as_ref(), Some(value));
        // An error or nothing: 64 bits of the keyword's hash do not come out by chance.
        assert_eq!(world.client.decode_keyword(&reply, keyword, &other).ok().flatten(), None);
    }
}
