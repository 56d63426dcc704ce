//! Configurations that would make a client compute, send, take in or store much.

use crate::attempts;
use crate::service::{World, absent, builder, case, options};
use filter_client::sans_io::Lookup;
use filter_client::{ClientOptions, Endpoint, Error, MAX_STATE, ResponseError, ShardingError};
use pir_api::{Message, api, convert, he};

/// The parts of a configuration.
struct Parts {
    id: Vec<u8>,
    config: api::pir::PirConfig,
    keys: he::EvaluationKeyConfig,
}

/// The recorded configuration with a change, whose digests agree.
fn changed(change: impl Fn(&mut Parts)) -> Vec<u8> {
    let case = case();
    let mut response = api::ConfigResponse::decode(&case.config_with_key()[..]).unwrap();
    let keys = response.key_info[0].key_config.clone().unwrap();
    let outer = response.configs.get_mut(&case.use_case()).unwrap();
    let Some(api::config::Config::PirConfig(config)) = outer.config.take() else { panic!() };
    let mut parts = Parts { id: outer.config_id.clone(), config, keys };
    change(&mut parts);
    let Parts { id, mut config, keys } = parts;
    config.evaluation_key_config_hash = convert::key_config_hash(&keys).to_vec();
    outer.config_id = id;
    outer.config = Some(api::config::Config::PirConfig(config));
    response.key_info[0].key_config = Some(keys);
    response.key_info[0].timestamp = 0;
    response.encode_to_vec()
}

fn shard(parts: &Parts) -> api::pir::PirShardConfig {
    use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
    let repeated = parts.config.pir_shard_configs.as_ref();
    match repeated.and_then(|configs| configs.shard_configs.as_ref()) {
        Some(RepeatedShardConfig(fixed)) => fixed.shard_config.clone().unwrap(),
        None => parts.config.shard_configs[0].clone(),
    }
}

fn spell_out(parts: &mut Parts, shards: Vec<api::pir::PirShardConfig>) {
    parts.config.pir_shard_configs = None;
    parts.config.shard_configs = shards;
}

fn repeat(parts: &mut Parts, shard_count: u32) {
    use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
    let shard_config = Some(shard(parts));
    parts.config.shard_configs.clear();
    let repeated = api::pir::PirFixedShardConfig { shard_config, shard_count };
    let configs = api::pir::PirShardConfigs { shard_configs: Some(RepeatedShardConfig(repeated)) };
    parts.config.pir_shard_configs = Some(configs);
}

/// Changes the one shard that there is then.
fn change_shard(parts: &mut Parts, change: impl Fn(&mut api::pir::PirShardConfig)) {
    let mut shard = shard(parts);
    change(&mut shard);
    spell_out(parts, vec![shard]);
}

fn hash_functions(parts: &mut Parts, count: u64) {
    parts.config.batch_size = count;
    parts.config.keyword_pir_params.as_mut().unwrap().num_hash_functions = count;
}

/// What a lookup at a service with this configuration asked for: paths, the longest response that was allowed to each, and
/// the number of bytes that the state takes.
struct Asked {
    lookup: Lookup,
    paths: Vec<String>,
    max_bodies: Vec<usize>,
    state: usize,
}

fn look_up(config: &[u8], options: ClientOptions, keywords: usize) -> Asked {
    let answer = |path: &str, _: &[u8]| match path {
        "/config" => (200, config.to_vec()),
        "/queries" => (503, Vec::new()),
        _ => (200, Vec::new()),
    };
    let mut world = World::new(builder(options), answer);
    let keywords = absent(keywords);
    let keywords: Vec<&str> = keywords.iter().map(String::as_str).collect();
    let lookup = world.look_up(&keywords);
    let paths = world.paths().into_iter().map(str::to_owned).collect();
    let state = world.client().state().to_bytes().len();
    Asked { lookup, paths, max_bodies: world.max_bodies.clone(), state }
}

fn once() -> ClientOptions {
    let mut options = options();
    options.retry.max_attempts = 1;
    options
}

#[test]
fn configurations_that_ask_for_much_are_refused_before_anything_is_computed() {
    type Change = fn(&mut Parts);
    let changes: [(&str, Change); 13] = [
        ("duplicates", |parts| parts.keys.galois_elements.extend(std::iter::repeat_n(3, 400_000))),
        ("some duplicates", |parts| parts.keys.galois_elements.extend([4097; 50])),
        ("duplicates in many shards", |parts| {
            parts.keys.galois_elements.extend(std::iter::repeat_n(3, 400_000));
            repeat(parts, 65_536);
        }),
        ("all elements", |parts| parts.keys.galois_elements = (3..8192).step_by(2).collect()),
        ("one that is not needed", |parts| parts.keys.galois_elements.insert(0, 3)),
        ("descending", |parts| parts.keys.galois_elements.reverse()),
        ("large entries", |parts| {
            parts.keys.galois_elements = (1..=12).map(|exponent| (1 << exponent) + 1).collect();
            hash_functions(parts, 32);
            change_shard(parts, |shard| {
                shard.entry_size = 16 << 20;
                shard.num_entries = 1;
                shard.dimensions = vec![1, 1];
            });
        }),
        ("long queries", |parts| {
            parts.keys.galois_elements = (1..=12).map(|exponent| (1 << exponent) + 1).collect();
            change_shard(parts, |shard| shard.dimensions = vec![32_000, 2]);
        }),
        ("many shards", |parts| repeat(parts, 65_536)),
        ("too many shards", |parts| repeat(parts, u32::MAX)),
        ("many shards that are spelled out", |parts| {
            let shard = shard(parts);
            spell_out(parts, vec![shard; 513]);
        }),
        ("a long id", |parts| parts.id = vec![7; 65]),
        ("a very long id", |parts| parts.id = vec![7; 13 << 20]),
    ];
    for (name, change) in changes {
        let asked = look_up(&changed(change), once(), 3);
        assert_eq!(asked.paths, ["/config"], "{name}");
        let error = asked.lookup.failure().unwrap();
        let is_refused = matches!(
            &**error,
            Error::Response { endpoint: Endpoint::Config, .. }
                | Error::Sharding(ShardingError::TooMany { .. })
                | Error::Transport { endpoint: Endpoint::Config, .. }
        );
        assert!(is_refused, "{name}: {error}");
        assert!(asked.state < 1 << 17, "{name}: {} bytes", asked.state);
    }
}

fn refused_for(asked: &Asked) -> Option<&'static str> {
    match asked.lookup.failure().map(|error| &**error) {
        Some(Error::Response {
            endpoint: Endpoint::Config,
            source: ResponseError::TooLarge { what, .. },
        }) => Some(what),
        Some(Error::Status { endpoint: Endpoint::Queries, .. }) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_of_a_configuration_are_exact() {
    for (length, refused) in [(63, None), (64, None), (65, Some("bytes of the configuration's id"))]
    {
        let asked = look_up(&changed(|parts| parts.id = vec![7; length]), once(), 1);
        assert_eq!(refused_for(&asked), refused, "{length}");
    }
    for (chunks, refused) in [(31, None), (32, None), (33, Some("ciphertexts of a reply"))] {
        let config = changed(|parts| {
            hash_functions(parts, 2);
            change_shard(parts, |shard| {
                shard.entry_size = 2048 * chunks;
                shard.num_entries = 1;
            });
        });
        assert_eq!(refused_for(&look_up(&config, once(), 1)), refused, "{chunks}");
    }
}

/// Whatever a configuration says, a response has an absolute limit: fewer keywords are asked for together.
#[test]
fn the_longest_response_to_queries_is_absolute() {
    let config = changed(|parts| {
        hash_functions(parts, 2);
        change_shard(parts, |shard| {
            shard.entry_size = 2048 * 32;
            shard.num_entries = 1;
        });
    });
    let mut options = once();
    options.batch_size = 256;
    let asked = look_up(&config, options, 200);
    assert_eq!(asked.paths.last().unwrap(), "/queries");
    let longest = asked.max_bodies.iter().max().unwrap();
    assert!((16 << 20..=32 << 20).contains(longest), "{longest}");
}

/// A body of short fields would take many times its length as messages.
#[test]
fn a_response_of_many_fields_is_refused() {
    let config = case().config_with_key();
    let answer = |path: &str, _: &[u8]| match path {
        "/config" => (200, config.clone()),
        // Empty responses.
        _ => (200, [0x0a, 0x00].repeat(60_000)),
    };
    let mut world = World::new(builder(once()), answer);
    let lookup = world.look_up(&["a.example"]);
    let Some(Error::Response { source: ResponseError::Message(error), .. }) =
        lookup.failure().map(|error| &**error)
    else {
        panic!("{:?}", lookup.failure())
    };
    assert!(error.to_string().starts_with("a message of more than"), "{error}");
}

/// What a service sends does not make a state that the next run cannot read, also where most shards are accepted.
#[test]
fn the_longest_configuration_fits_into_a_state() {
    let config = changed(|parts| {
        let first = shard(parts);
        let shards = (0..65_536).map(|number| api::pir::PirShardConfig {
            num_entries: first.num_entries - number % 2,
            shard_id: Some("x".repeat(24)),
            ..first.clone()
        });
        let shards = shards.collect();
        spell_out(parts, shards);
    });
    assert!(config.len() > 2 << 20, "{}", config.len());
    let mut options = once();
    options.sharding.max_count = 65_536;
    options.sharding.max_bits_per_url = 16;
    let asked = look_up(&config, options, 1);
    assert_eq!(asked.paths.last().unwrap(), "/queries");
    assert!((2 << 20..MAX_STATE / 2).contains(&asked.state), "{}", asked.state);
}

/// Bytes that are almost a configuration are refused or used, and end no client.
#[test]
fn damaged_configurations_end_lookups_alone() {
    let honest = changed(|_| {});
    for number in 0..attempts(100) {
        let mut bytes = honest.clone();
        let place = number * 31 % bytes.len();
        bytes[place] ^= 1 << (number % 8);
        if number % 7 == 0 {
            bytes.truncate(place);
        }
        let asked = look_up(&bytes, once(), 1);
        assert!(asked.lookup.failure().is_some());
        assert!(asked.paths.len() <= 3 && asked.state < 1 << 20);
    }
}
