use super::*;
use zeroize::Zeroizing;

#[path = "refills_tests/key_linkage.rs"]
mod key_linkage;
#[path = "refills_tests/linkage.rs"]
mod linkage;

fn stored(seed: u8) -> StoredRefills {
    StoredRefills { seed: Zeroizing::new([seed; 32]), tried_at: None, first_attempts: 0 }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// All slots within a span of time.
fn slots(stored: &StoredRefills, policy: &WalletPolicy, from: u64, until: u64) -> Vec<u64> {
    let refills = Refills::new(stored, policy).unwrap();
    let mut slots = Vec::new();
    let mut now = from;
    loop {
        let slot = refills.next(at(now)).unix_seconds();
        assert!(slot >= now);
        if slot >= until {
            return slots;
        }
        slots.push(slot);
        now = slot + 1;
    }
}

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

#[test]
fn each_interval_has_one_slot() {
    let policy = WalletPolicy::default();
    let interval = policy.refill_interval.as_secs();
    for seed in 0..20 {
        let slots = slots(&stored(seed), &policy, NOW, NOW + 100 * DAY);
        // Of the first and the last interval there is a part.
        assert!((399..=401).contains(&slots.len()), "{}", slots.len());
        assert!(slots.windows(2).all(|pair| pair[1] - pair[0] < 2 * interval));
        // They are no clockwork.
        let gaps: Vec<u64> = slots.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().any(|gap| *gap < interval / 2));
        assert!(gaps.iter().any(|gap| *gap > interval * 3 / 2));
    }
}

#[test]
fn slots_are_the_same_from_wherever_they_are_looked_for() {
    let policy = WalletPolicy::default();
    let all = slots(&stored(1), &policy, NOW, NOW + 10 * DAY);
    for start in (NOW..NOW + 9 * DAY).step_by(1000) {
        let later = slots(&stored(1), &policy, start, NOW + 10 * DAY);
        assert!(all.ends_with(&later), "{start}");
    }
}

#[test]
fn two_states_have_other_slots() {
    let policy = WalletPolicy::default();
    let some = |seed| slots(&stored(seed), &policy, NOW, NOW + 10 * DAY);
    let common = some(1).iter().filter(|slot| some(2).contains(slot)).count();
    assert!(common < 3, "{common}");
}

#[test]
fn a_policy_without_refills_has_no_slots() {
    for (count, seconds, has_slots) in [(0, 10, false), (1, 10, true), (1, 0, false), (1, 1, true)]
    {
        let policy = WalletPolicy {
            refill_count: count,
            refill_interval: Duration::from_secs(seconds),
            ..WalletPolicy::default()
        };
        assert_eq!(Refills::new(&stored(1), &policy).is_some(), has_slots, "{count} {seconds}");
    }
    // The end of time is no reason to panic.
    let policy = WalletPolicy { refill_interval: Duration::MAX, ..WalletPolicy::default() };
    let _ = Refills::new(&stored(1), &policy).unwrap().next(Timestamp::MAX);
}

/// Before any tokens were given, slots follow the attempts, further and further apart.
#[test]
fn a_first_attempt_that_fails_is_followed_by_a_few_more() {
    let policy = WalletPolicy::default();
    let mut stored = stored(1);
    let regular = slots(&stored, &policy, NOW, NOW + DAY);
    let mut early = Vec::new();
    for attempt in 1..=FIRST_SLOTS + 2 {
        let now = NOW + u64::from(attempt);
        assert_eq!(stored.begin(at(now)).is_none(), attempt == 1);
        let max = if attempt <= FIRST_SLOTS { MAX_FIRST_SLEEP } else { MAX_SLEEP };
        assert_eq!(max_sleep(&stored), max, "{attempt}");
        let refills = Refills::new(&stored, &policy).unwrap();
        let slot = refills.after_first().map(|slot| slot.unix_seconds() - now);
        match slot {
            Some(pause) => {
                let least = FIRST_PAUSE << (attempt - 1);
                assert!((least..2 * least).contains(&pause), "{attempt}: {pause}");
                let next = refills.next(at(now + 1)).unix_seconds();
                assert_eq!(next, (now + pause).min(regular[0]), "{attempt}");
                // One that has passed is left out.
                assert!(regular.contains(&refills.next(at(now + pause + 1)).unix_seconds()));
                early.push(pause);
            }
            None => assert!(attempt > FIRST_SLOTS, "{attempt}"),
        }
    }
    assert_eq!(early.len(), FIRST_SLOTS as usize);
    stored.succeed(at(NOW));
    assert_eq!((stored.first_attempts, max_sleep(&stored)), (0, MAX_SLEEP));
    // From then on an attempt that fails is followed by regular slots alone.
    assert_eq!(stored.begin(at(NOW + 5)), Some(at(NOW)));
    assert_eq!(Refills::new(&stored, &policy).unwrap().after_first(), None);
}

#[test]
fn a_lookup_may_fetch_tokens_when_none_were_asked_for_as_long_as_a_token_lives() {
    let mut policy = WalletPolicy::default();
    let lifetime = policy.lifetime.as_secs();
    for (when_empty, tried_at, expected) in [
        (EmptyWallet::FetchOnce, None, true),
        (EmptyWallet::FetchOnce, Some(NOW - lifetime - 1), true),
        (EmptyWallet::FetchOnce, Some(NOW - lifetime), true),
        (EmptyWallet::FetchOnce, Some(NOW - lifetime + 1), false),
        (EmptyWallet::FetchOnce, Some(NOW), false),
        // The clock was wrong then, or is now.
        (EmptyWallet::FetchOnce, Some(NOW + DAY), true),
        (EmptyWallet::Fetch, Some(NOW), true),
        (EmptyWallet::Fail, None, false),
    ] {
        policy.when_empty = when_empty;
        let stored = StoredRefills { tried_at: tried_at.map(at), ..stored(1) };
        assert_eq!(may_fetch_at_once(&stored, &policy, at(NOW)), expected, "{tried_at:?}");
    }
}
