//! The index of a shard travels in the clear: what a service could learn by changing the number of shards.

use crate::service::{Answer, World, absent, builder, case, options};
use crate::support::{Function, ok, status};
use filter_client::sans_io::Lookup;
use filter_client::{
    ClientState, Error, Failure, FilterOptions, PirClient, PrefilterSource, ShardingError,
    ShardingPolicy, UrlFilter, Verdict,
};
use filter_core::Prefilter;
use filter_core::bloom::{BloomFilter, Sizing};
use filter_core::file::Description;
use pir_api::{Message, api};
use std::cell::Cell;

/// The recorded configuration with another number of shards, and another id.
pub(crate) fn config(shards: u32) -> Vec<u8> {
    let case = case();
    let mut response = api::ConfigResponse::decode(&case.config_with_key()[..]).unwrap();
    let config = response.configs.get_mut(&case.use_case()).unwrap();
    config.config_id = shards.to_le_bytes().repeat(8);
    let Some(api::config::Config::PirConfig(pir)) = &mut config.config else { panic!() };
    use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
    let configs = pir.pir_shard_configs.take();
    let shard = match configs.and_then(|configs| configs.shard_configs) {
        Some(RepeatedShardConfig(repeated)) => repeated.shard_config,
        None => pir.shard_configs.first().cloned(),
    };
    pir.shard_configs.clear();
    let repeated = api::pir::PirFixedShardConfig { shard_count: shards, shard_config: shard };
    pir.pir_shard_configs =
        Some(api::pir::PirShardConfigs { shard_configs: Some(RepeatedShardConfig(repeated)) });
    response.encode_to_vec()
}

/// An answer to queries that fits them: each gets the first reply that was recorded.
pub(crate) fn replies(body: &[u8]) -> Answer {
    let queries = api::Requests::decode(body).unwrap().requests.len();
    let reply = case().record("/queries", "response").remove(0);
    let reply = api::Responses::decode(&reply[..]).unwrap().responses.remove(0);
    (200, api::Responses { responses: vec![reply; queries] }.encode_to_vec())
}

/// A service with a number of shards that does what it should.
pub(crate) fn honest(shards: u32, path: &str, body: &[u8]) -> Answer {
    match path {
        "/config" => (200, config(shards)),
        "/queries" => replies(body),
        _ => (200, Vec::new()),
    }
}

/// Looks some keywords up at a service with a number of shards for each visit, and returns what the lookups
/// said and the paths that were asked.
fn visits(policy: ShardingPolicy, counts: &[u32]) -> (Vec<Lookup>, Vec<String>) {
    let count = Cell::new(0);
    let replies = case().record("/queries", "response").remove(0);
    let answer = |path: &str, _: &[u8]| match path {
        "/config" => (200, config(count.get())),
        "/queries" => (200, replies.clone()),
        _ => (200, Vec::new()),
    };
    let mut options = options();
    options.batch_size = 3;
    options.sharding = policy;
    options.answers = filter_client::AnswerPolicy::disabled();
    // Each visit compares the configuration.
    options.config_lifetime = std::time::Duration::ZERO;
    let mut world = World::new(builder(options), answer);
    let keywords = absent(3);
    let keywords: Vec<&str> = keywords.iter().map(String::as_str).collect();
    let mut lookups = Vec::new();
    for &shards in counts {
        count.set(shards);
        lookups.push(world.look_up(&keywords));
    }
    let paths = world.paths().into_iter().map(str::to_owned).collect();
    (lookups, paths)
}

fn refusal(lookup: &Lookup) -> Option<ShardingError> {
    match lookup.failure().map(|error| &**error) {
        Some(Error::Sharding(error)) => Some(error.clone()),
        Some(other) => panic!("{other}"),
        None => None,
    }
}

/// Two counts without a common divisor would tell the sum of their bits.
#[test]
fn counts_that_are_no_powers_of_two_are_refused_before_anything_is_asked() {
    let counts = [509, 503, 3];
    let (lookups, paths) = visits(ShardingPolicy::default(), &counts);
    for (lookup, count) in lookups.iter().zip(counts) {
        assert_eq!(refusal(lookup), Some(ShardingError::NotPowerOfTwo { count }));
    }
    assert_eq!(paths, ["/config"; 3]);
}

#[test]
fn powers_of_two_may_change_between_lookups() {
    let (lookups, paths) = visits(ShardingPolicy::default(), &[4, 8, 1, 2]);
    assert!(lookups.iter().all(|lookup| refusal(lookup).is_none()));
    assert_eq!(paths, ["/config", "/queries"].repeat(4));
}

/// Keywords that did not fit below the limit of bits must not be asked for once each tells less: the first ones have told theirs.
#[test]
fn fewer_shards_make_no_room_for_more_keywords_of_a_url() {
    let count = Cell::new(8);
    let answer = |path: &str, body: &[u8]| honest(count.get(), path, body);
    let mut options = options();
    options.batch_size = 32;
    options.answers = filter_client::AnswerPolicy::disabled();
    options.config_lifetime = std::time::Duration::ZERO;
    let texts: Vec<String> = (0..12).map(|part| format!("a.example/{part}")).collect();
    let keywords: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut world = World::new(builder(options.clone()), answer);
    let asked = |world: &mut World<'_>, shards| {
        count.set(shards);
        world.look_up(&keywords).answers().iter().filter(|answer| answer.is_ok()).count()
    };
    // Six times three bits; then no more than these, also from a state that was stored.
    assert_eq!(asked(&mut world, 8), 6);
    assert_eq!(asked(&mut world, 2), 6);
    let state = ClientState::from_bytes(&world.client().state().to_bytes()).unwrap();
    let mut later = World::new(builder(options).state(state), answer);
    assert_eq!(asked(&mut later, 2), 6);
    // More shards leave fewer, and fewer again leave that. One tells nothing.
    assert_eq!(asked(&mut later, 512), 2);
    assert_eq!(asked(&mut later, 8), 2);
    assert_eq!(asked(&mut later, 1), 12);
}

#[test]
fn a_fixed_count_is_pinned() {
    let mut policy = ShardingPolicy::default();
    policy.fixed_count = Some(3);
    let (lookups, _) = visits(policy, &[3, 3, 4, 1, 3]);
    let refusals: Vec<_> = lookups.iter().map(refusal).collect();
    let pinned = ShardingError::Pinned { count: 4, pinned: Some(3) };
    assert_eq!(refusals, [None, None, Some(pinned), None, None]);
    // Whoever has asked under a power of two does not ask under the fixed count.
    let (lookups, paths) = visits(policy, &[4, 3, 4]);
    let refusals: Vec<_> = lookups.iter().map(refusal).collect();
    assert_eq!(refusals, [None, Some(ShardingError::Pinned { count: 3, pinned: None }), None]);
    assert_eq!(paths, ["/config", "/queries", "/config", "/config", "/queries"]);
}

/// What is pinned outlives the process.
#[test]
fn the_state_keeps_what_is_pinned() {
    let replies = case().record("/queries", "response").remove(0);
    let service = |shards: u32| {
        let replies = replies.clone();
        move |path: &str, _: &[u8]| match path {
            "/config" => (200, config(shards)),
            "/queries" => (200, replies.clone()),
            _ => (200, Vec::new()),
        }
    };
    let mut options = options();
    options.batch_size = 3;
    let keywords = absent(3);
    let keywords: Vec<&str> = keywords.iter().map(String::as_str).collect();
    let mut first = World::new(builder(options.clone()), service(4));
    assert!(refusal(&first.look_up(&keywords)).is_none());
    let stored = first.client().state().to_bytes();

    options.sharding.fixed_count = Some(3);
    options.config_lifetime = std::time::Duration::ZERO;
    let state = ClientState::from_bytes(&stored).unwrap();
    let mut second = World::new(builder(options).state(state), service(3));
    let refused = refusal(&second.look_up(&keywords));
    assert_eq!(refused, Some(ShardingError::Pinned { count: 3, pinned: None }));
    assert_eq!(second.paths(), ["/config"]);
}

/// A service that says "410" and names another count must not be asked for the same keywords at once.
#[test]
fn a_change_of_count_during_a_lookup_ends_it() {
    for (first, then, is_ended) in [(4, 4, false), (4, 8, true), (8, 4, true), (1, 4, true)] {
        for code in [410, 400] {
            let asked = Cell::new(0);
            let replies = case().record("/queries", "response").remove(0);
            let answer = |path: &str, _: &[u8]| match path {
                "/config" => (200, config(if asked.get() == 0 { first } else { then })),
                "/queries" => {
                    asked.set(asked.get() + 1);
                    if asked.get() == 1 { (code, Vec::new()) } else { (200, replies.clone()) }
                }
                _ => (200, Vec::new()),
            };
            let mut options = options();
            options.batch_size = 3;
            let mut world = World::new(builder(options), answer);
            let keywords = absent(3);
            let keywords: Vec<&str> = keywords.iter().map(String::as_str).collect();
            let lookup = world.look_up(&keywords);
            let expected = is_ended.then_some(ShardingError::Changed);
            assert_eq!(refusal(&lookup), expected, "{first} {then} {code}");
            let paths = world.paths().iter().filter(|path| **path == "/queries").count();
            assert_eq!(paths, if is_ended { 1 } else { 2 });
        }
    }
}

/// A URL filter knows from its prefilter how many rows there are.
#[tokio::test]
async fn shards_with_few_rows_are_refused() {
    for (min, is_accepted) in [(1_000, false), (400, true)] {
        let replies = case().record("/queries", "response").remove(0);
        let transport = Function::new(move |request| match request.uri().path() {
            "/config" => ok(config(4)),
            "/queries" => {
                let body = api::Requests::decode(&request.body()[..]).unwrap();
                let mut responses = api::Responses::decode(&replies[..]).unwrap();
                responses.responses.truncate(body.requests.len());
                ok(responses.encode_to_vec())
            }
            _ => status(404),
        });
        let parameters = Sizing::Round.parameters(2_000, 1e-6, 1).unwrap();
        let mut filter = BloomFilter::empty(parameters);
        (0..2_000).for_each(|key| filter.insert(format!("{key}.example").as_bytes()));
        let prefilter = Prefilter::new(filter, Description::default()).unwrap();
        let source = PrefilterSource::Raw {
            metadata: prefilter.metadata().to_json(),
            bits: prefilter.filter().bytes().to_vec(),
        };
        let mut options = crate::support::without_waits();
        options.sharding.min_rows_per_shard = min;
        let client = PirClient::builder("https://pir.example", case().use_case())
            .transport(transport.clone())
            .state(crate::service::state())
            .options(options)
            .build()
            .unwrap();
        let filter = UrlFilter::new(source, client, FilterOptions::default()).await.unwrap();
        let decision = filter.check("https://7.example/").await;
        let paths = transport.paths();
        if is_accepted {
            assert_eq!(decision.verdict, Verdict::Allow);
            assert_eq!(paths, ["/config", "/queries"]);
            continue;
        }
        assert_eq!(decision.verdict, Verdict::Unknown);
        let Some(Failure::Lookup(error)) = decision.failure else { panic!() };
        let Error::Sharding(ShardingError::TooFewRows { count: 4, rows, min: 1_000 }) = *error
        else {
            panic!("{error}")
        };
        assert!((1_900..2_100).contains(&rows), "{rows}");
        assert_eq!(paths, ["/config"]);
    }
}
