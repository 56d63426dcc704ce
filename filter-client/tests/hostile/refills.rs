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

/// When a client asks its issuer for tokens that gives none, and a lookup is begun every few minutes, or only the first one.
fn withheld(status: u16, is_set_up: bool, lookups: usize) -> Vec<u64> {
    let mut world = World::new(builder(options()).user_token("AAAA"), honest);
    world.withholding = Some(status);
    if is_set_up {
        assert!(!world.fetch_tokens(5));
        world.wait(Duration::from_secs(20));
    }
    for number in 0..400 {
        if number < lookups {
            let lookup = world.look_up(&["a.example"]);
            let is_first = number == 0 && !is_set_up;
            let is_without =
                matches!(lookup.failure().map(|error| &**error), Some(Error::NoTokens { .. }));
            assert_eq!(is_without, !is_first, "{number}");
        } else {
            world.wait(Duration::from_millis(1));
        }
        world.wait(Duration::from_secs(431));
    }
    let attempts = world.issuer.iter().filter(|(_, path)| path != "/issue");
    attempts.map(|(time, _)| *time).collect()
}

/// An issuer that gives no tokens does not make lookups fetch some: only the first does, and none if the application has asked
/// for tokens before.
#[test]
fn an_issuer_without_tokens_does_not_tie_lookups_to_users() {
    for status in [503, 429, 401, 200] {
        for is_set_up in [false, true] {
            let busy = withheld(status, is_set_up, 400);
            let quiet = withheld(status, is_set_up, usize::from(!is_set_up));
            assert_eq!(busy.len(), quiet.len(), "{status}: {busy:?} {quiet:?}");
            let close = busy.iter().zip(&quiet).all(|(one, other)| one.abs_diff(*other) < 10);
            assert!(close, "{status}: {busy:?} {quiet:?}");
            // The first attempt, those that follow it, and the slots of two days.
            assert!((12..=18).contains(&busy.len()), "{status}: {busy:?}");
        }
    }
}

/// A client that was set up while its issuer could not be asked has tokens soon after it can.
#[test]
fn tokens_come_soon_after_a_first_attempt_that_failed() {
    let mut world = World::new(builder(options()).user_token("AAAA"), honest);
    world.withholding = Some(503);
    assert!(world.look_up(&["a.example"]).failure().is_some());
    world.withholding = None;
    world.wait(Duration::from_secs(150));
    assert_eq!(world.client().token_count(), 2);
    assert!(world.look_up(&["a.example"]).failure().is_none());
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

/// Of the requests for tokens of a refill, of a first lookup, and of an application, one or all get no response.
#[test]
fn a_response_that_stays_away_loses_one_token() {
    const COUNT: usize = 10;
    let mut options = options();
    options.wallet.refill_count = COUNT;
    let issued =
        |world: &World<'_>| world.issuer.iter().filter(|(_, path)| path == "/issue").count();

    let tried_at = start().unix.unix_seconds();
    let state = with_refills(json!({ "triedAt": tried_at }), &state());
    for (unanswered, kept) in [(1, COUNT - 1), (COUNT, 0)] {
        let builder = builder(options.clone()).user_token("AAAA").state(state.clone());
        let mut world = World::new(builder, honest);
        world.unanswered = unanswered;
        // A slot is six hours, and a refill comes within two of them.
        for _ in 0..12 * 60 {
            if !world.issuer.is_empty() {
                break;
            }
            world.wait(Duration::from_secs(60));
        }
        world.wait(Duration::from_secs(120));
        assert_eq!((issued(&world), world.client().token_count()), (kept, kept));
        let failure = world.client().refill_failure();
        assert_eq!(matches!(failure.as_deref(), Some(Error::Deadline)), kept == 0);
        assert_eq!(failure.is_none(), kept > 0);
    }

    // The lookup has time left for its own requests.
    let mut world = World::new(builder(options.clone()).user_token("AAAA"), honest);
    world.unanswered = 1;
    assert!(world.look_up(&["a.example"]).failure().is_none());
    assert!(world.client().token_count() > 0);

    let mut world = World::new(builder(options).user_token("AAAA"), honest);
    world.unanswered = 1;
    assert!(world.fetch_tokens(COUNT));
    assert_eq!(world.client().token_count(), COUNT - 1);
}
