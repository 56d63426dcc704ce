//! When tokens are fetched.

use crate::service::{Answer, World, absent, builder, options, start, state, with_refills};
use crate::sharding;
use filter_client::{EmptyWallet, Error};
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A service with eight shards that does what it should.
fn honest(path: &str, body: &[u8]) -> Answer {
    sharding::honest(8, path, body)
}

/// A client that fetched tokens a moment ago, and has none left.
fn without_tokens<'s>(answer: impl FnMut(&str, &[u8]) -> Answer + 's) -> World<'s> {
    let tried_at = start().unix.unix_seconds();
    let state = with_refills(json!({ "triedAt": tried_at }), &state());
    World::new(builder(options()).user_token("AAAA").state(state), answer)
}

/// When tokens are fetched within four days, and how many, by a client that looks something up so often each hour.
fn fetches(each_hour: usize, answer: impl FnMut(&str, &[u8]) -> Answer) -> Vec<(u64, usize)> {
    let mut world = without_tokens(answer);
    let keywords = absent(each_hour);
    for _ in 0..96 {
        for keyword in &keywords {
            drop(world.look_up(&[keyword]).answers());
            world.client().reset_answers();
        }
        world.wait(HOUR);
    }
    let mut fetches: Vec<(u64, usize)> = Vec::new();
    for (time, path) in &world.issuer {
        match path.as_str() {
            "/issue" => fetches.last_mut().unwrap().1 += 1,
            _ => fetches.push((*time, 0)),
        }
    }
    fetches
}

/// Neither by answers, nor by refusing tokens (401), nor by letting requests fail until there are none.
#[test]
fn a_service_does_not_decide_when_tokens_are_fetched() {
    let quiet = fetches(0, honest);
    // Four a day.
    assert!((15..=17).contains(&quiet.len()), "{quiet:?}");
    assert!(quiet.iter().all(|(_, count)| *count == 2), "{quiet:?}");
    let refuse = |status| move |_: &str, _: &[u8]| (status, Vec::new());
    let of_queries = |path: &str, body: &[u8]| match path {
        "/queries" => (401, Vec::new()),
        _ => honest(path, body),
    };
    for (name, busy) in [
        ("one lookup", fetches(1, honest)),
        ("five lookups", fetches(5, honest)),
        ("every token refused", fetches(1, refuse(401))),
        ("tokens of queries refused", fetches(1, of_queries)),
        ("failures", fetches(1, refuse(503))),
    ] {
        assert_eq!(busy.len(), quiet.len(), "{name}: {busy:?}");
        for ((time, count), (expected, _)) in busy.iter().zip(&quiet) {
            // A lookup that is under way takes some time.
            assert!(time.abs_diff(*expected) < 10, "{name}: {busy:?}");
            assert_eq!(*count, 2, "{name}: {busy:?}");
        }
    }
}

#[test]
fn a_slot_that_passes_while_the_machine_sleeps_is_left_out() {
    let all: Vec<u64> = fetches(0, honest).into_iter().map(|(time, _)| time).collect();
    let mut world = without_tokens(honest);
    for _ in 0..4 {
        world.wait(10 * HOUR);
        world.sleep(14 * HOUR);
    }
    let mut used: Vec<u64> = world.issuer.iter().map(|(time, _)| *time).collect();
    used.dedup();
    assert!((3..all.len()).contains(&used.len()), "{used:?}");
    for time in used {
        assert!(all.iter().any(|slot| time.abs_diff(*slot) <= 60), "{time}: {all:?}");
    }
}

/// After the first tokens, a lookup without one fails, until nothing was fetched for as long as a token lives.
#[test]
fn a_lookup_fetches_tokens_once() {
    let mut options = options();
    options.wallet.refill_count = 0;
    assert_eq!(options.wallet.when_empty, EmptyWallet::FetchOnce);
    let builder = builder(options.clone()).user_token("AAAA");
    let mut world = World::new(builder, |_: &str, _: &[u8]| (401, Vec::new()));
    let is_without_tokens = |world: &mut World<'_>| {
        let lookup = world.look_up(&["a.example"]);
        matches!(lookup.failure().map(|error| &**error), Some(Error::NoTokens { .. }))
    };
    let issued =
        |world: &World<'_>| world.issuer.iter().filter(|(_, path)| path == "/issue").count();
    assert!(!is_without_tokens(&mut world));
    assert_eq!(issued(&world), 10);
    let lifetime = options.wallet.lifetime;
    for span in [Duration::ZERO, HOUR, lifetime - 2 * HOUR] {
        world.wait(span);
        assert!(is_without_tokens(&mut world), "{span:?}");
        assert_eq!(issued(&world), 10, "{span:?}");
    }
    world.wait(2 * HOUR);
    assert!(!is_without_tokens(&mut world));
    assert_eq!(issued(&world), 20);
}
