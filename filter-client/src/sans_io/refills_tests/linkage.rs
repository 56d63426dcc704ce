//! What an operator of issuer and service learns from times: a simulation. `docs/privacy.md` has its numbers.
//!
//! A thousand users look something up eight times a day. The operator sees when each user fetches tokens, and when each
//! pseudonym looks something up, and names for each user the pseudonym that fits best. He uses each of a number of rules,
//! and is given the best one afterwards, which is more than he has.

use super::*;

const USERS: usize = 1000;
const TARGETS: usize = 100;
const LOOKUPS_PER_DAY: f64 = 8.0;

/// SplitMix64: the numbers are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }
}

/// When a user's client runs.
#[derive(Clone, Copy)]
enum Running {
    Always,
    /// Eight hours a day, from about the same time on, which each user has.
    Part,
}

/// What the operator sees of a user: times in seconds, ascending.
struct User {
    lookups: Vec<f64>,
    fetches: Vec<f64>,
}

/// The wallet as it was: a refill some minutes after the lookup that left few new tokens.
fn refills_after_lookups(lookups: &[f64], random: &mut Random) -> Vec<f64> {
    let (mut wallet, mut fetches, mut due): (Vec<f64>, Vec<f64>, Option<f64>) = Default::default();
    let is_new = |fetched: &&f64, now: f64| now - **fetched < 43_200.0;
    for &now in lookups {
        if let Some(time) = due.filter(|time| *time <= now) {
            due = None;
            wallet.retain(|fetched| time - fetched < 86_400.0);
            let new = wallet.iter().filter(|fetched| is_new(fetched, time)).count();
            if new < 40 {
                fetches.push(time);
                wallet.resize(wallet.len() + 60 - new, time);
            }
        }
        wallet.retain(|fetched| now - fetched < 86_400.0);
        if !wallet.is_empty() {
            wallet.remove(0);
        }
        if due.is_none() && wallet.iter().filter(|fetched| is_new(fetched, now)).count() < 40 {
            due = Some(now + random.between(60.0, 600.0));
        }
    }
    fetches
}

fn user(random: &mut Random, running: Running, days: u64, with_slots: bool) -> User {
    let begin = random.between(0.0, 86_400.0);
    let hours: Vec<(f64, f64)> = (0..days)
        .map(|day| {
            let day = (day * DAY) as f64;
            match running {
                Running::Always => (day, day + 86_400.0),
                Running::Part => {
                    let from = day + begin + random.between(-3600.0, 3600.0);
                    (from, from + 28_800.0)
                }
            }
        })
        .collect();
    let mut lookups = Vec::new();
    for (from, until) in &hours {
        let mean = (until - from) / LOOKUPS_PER_DAY;
        let mut time = from - mean * random.share().ln();
        while time < *until {
            lookups.push(time);
            time -= mean * random.share().ln();
        }
    }
    let fetches = match with_slots {
        false => refills_after_lookups(&lookups, random),
        true => {
            let mut seed = Zeroizing::new([0; 32]);
            seed.chunks_mut(8).for_each(|part| part.copy_from_slice(&random.next().to_le_bytes()));
            let stored = StoredRefills { seed, tried_at: None, first_attempts: 0 };
            // The simulation begins in the middle of an interval.
            let offset = DAY * 1000;
            let all = slots(&stored, &WalletPolicy::default(), offset, offset + days * DAY);
            let all = all.into_iter().map(|slot| (slot - offset) as f64);
            all.filter(|slot| hours.iter().any(|(from, until)| (*from..*until).contains(slot)))
                .collect()
        }
    };
    User { lookups, fetches }
}

/// How the operator compares the fetches of a user with the lookups of a pseudonym.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// A lookup came so many seconds before, at least and at most.
    Before(f64, f64),
    /// Lookups are near on both sides: the weight of the nearest falls with this time.
    Near(f64),
    /// The hours of the day are those of lookups.
    Hours,
}

fn score(rule: Rule, user: &User, pseudonym: &User) -> f64 {
    let lookups = &pseudonym.lookups;
    let mut by_hour = [1.0; 24];
    let hour = |time: f64| (time.rem_euclid(86_400.0) / 3600.0) as usize % 24;
    lookups.iter().for_each(|time| by_hour[hour(*time)] += 1.0);
    let total: f64 = by_hour.iter().sum();
    let one = |time: &f64| {
        let after = lookups.partition_point(|lookup| lookup <= time);
        let before = after.checked_sub(1).map_or(f64::INFINITY, |index| time - lookups[index]);
        let next = lookups.get(after).map_or(f64::INFINITY, |lookup| lookup - time);
        match rule {
            Rule::Before(least, most) => {
                let first = lookups.partition_point(|lookup| *lookup < time - most);
                f64::from(u8::from(
                    lookups.get(first).is_some_and(|lookup| *lookup <= time - least),
                ))
            }
            Rule::Near(scale) => {
                let weight = |distance: f64| (-distance / scale).exp();
                (weight(before) + weight(next) + 1e-3).ln()
            }
            Rule::Hours => (by_hour[hour(*time)] / total).ln(),
        }
    };
    user.fetches.iter().map(one).sum()
}

/// How many of [`TARGETS`] users the best rule names the pseudonym of.
fn linked(running: Running, days: u64, with_slots: bool) -> (usize, Rule) {
    let mut random = Random(7);
    let users: Vec<User> =
        (0..USERS).map(|_| user(&mut random, running, days, with_slots)).collect();
    let rules = [
        Rule::Before(60.0, 600.0),
        Rule::Before(0.0, 60.0),
        Rule::Near(600.0),
        Rule::Near(3600.0),
        Rule::Near(4.0 * 3600.0),
        Rule::Hours,
    ];
    let count = |rule: Rule| {
        let is_named = |target: &usize| {
            let own = score(rule, &users[*target], &users[*target]);
            let others = users.iter().enumerate().filter(|(index, _)| index != target);
            others.map(|(_, other)| score(rule, &users[*target], other)).all(|other| other < own)
        };
        (0..TARGETS).filter(is_named).count()
    };
    rules.into_iter().map(|rule| (count(rule), rule)).max_by_key(|(count, _)| *count).unwrap()
}

#[test]
fn times_of_refills_do_not_tell_whose_pseudonym_looks_something_up() {
    let (before, rule) = linked(Running::Always, 3, false);
    println!("refills after lookups, 3 days: {before} of {TARGETS}, {rule:?}");
    // The operator of this simulation knows what he does.
    assert!(before >= 90, "{before}");
    // The numbers of docs/privacy.md. One of a thousand is right by chance, and the best of six rules is counted.
    for (days, most) in [(6, 0), (30, 1)] {
        let (always, rule) = linked(Running::Always, days, true);
        println!("slots, {days} days: {always} of {TARGETS}, {rule:?}");
        assert!(always <= most, "{always}");
    }
    for (days, most) in [(6, 3), (30, 8)] {
        let (part, rule) = linked(Running::Part, days, true);
        println!(
            "slots, clients that run for 8 hours a day, {days} days: {part} of {TARGETS}, {rule:?}"
        );
        let (before, rule) = linked(Running::Part, days, false);
        println!("refills after lookups, the same: {before} of {TARGETS}, {rule:?}");
        assert!(part <= most, "{part}");
        assert!(before >= 10 * most, "{before}");
    }
}
