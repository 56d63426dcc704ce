use super::*;
use crate::configuration::{Configuration, Layout};
use bfv::Parameters;
use keyword_database::Writer;

/// What would be recommended if each layout took as long as its counts say, whatever this machine does meanwhile.
fn best_by_counts(tuned: &Tuned, limits: &Limits, shard_count: Option<u32>) -> Candidate {
    let mut candidates = tuned.candidates.clone();
    for candidate in &mut candidates {
        let set = Parameters::predefined(candidate.settings.set()).unwrap();
        candidate.server_milliseconds = candidate.counts.work(&set);
    }
    let best = recommend(&candidates, limits, tuned.rows, shard_count).unwrap();
    candidates.swap_remove(best)
}

fn synthetic(rows: u64, value_bytes: usize) -> Tuning<'static> {
    Tuning::new(Rows::Synthetic { rows, value_bytes }).trials(1)
}

#[test]
fn the_configuration_that_is_written_makes_the_layout_that_was_tried() {
    for longest in [0, 1, 100, 5000] {
        for possible in search::possible(3000, 3000 * longest as u64, longest) {
            let settings = possible.settings;
            let json = settings.configuration("in.txtpb", "urls", 3000, 2);
            let configuration = Configuration::parse(json.as_bytes()).unwrap();
            assert_eq!(configuration.layout, Layout::Configured);
            assert_eq!(configuration.plan, settings.plan(), "{json}");
            assert_eq!(configuration.sharding.choose(3000, None, |rows| rows as f64).count, 2);
        }
    }
}

#[test]
fn only_sets_that_are_secure_are_compared() {
    for possible in search::possible(1000, 1000, 1) {
        assert!(possible.settings.set().starts_with("n_"), "{}", possible.settings.set());
    }
}

#[test]
fn limits_are_kept_by_what_is_recommended() {
    let mut limits = Limits { max_reply_bytes: Some(13_000), ..Limits::default() };
    let tuned = synthetic(4000, 1).limits(limits).finish().unwrap();
    let best = tuned.best().unwrap();
    assert!(best.reply_bytes <= 13_000 && best.keeps_limits && best.has_room_to_grow);
    assert!(best.noise_budget >= limits.min_noise_budget);
    assert!(tuned.candidates.iter().any(|candidate| candidate.settings.is_reference()));
    assert!(tuned.compared > tuned.candidates.len());
    // One bit is two shards.
    limits = Limits { max_bits: Some(1), ..Limits::default() };
    let tuned = synthetic(4000, 1).limits(limits).finish().unwrap();
    assert!(tuned.candidates.iter().all(|candidate| candidate.bits <= 1));
    assert_eq!(best_by_counts(&tuned, &limits, None).shard_count, 2);
    // No layout takes no time, and none leaves so much.
    for limits in [
        Limits { max_milliseconds: Some(0.000_001), ..Limits::default() },
        Limits { min_noise_budget: 60.0, ..Limits::default() },
    ] {
        let tuned = synthetic(1000, 1).limits(limits).finish().unwrap();
        assert!(tuned.best().is_none());
    }
}

#[test]
fn numbers_of_shards_keep_a_thousand_rows_in_each() {
    let none = Limits::default();
    assert_eq!(shard_counts(1, &none), [1]);
    assert_eq!(shard_counts(70_000, &none), [1, 2]);
    assert_eq!(shard_counts(70_001, &none), [1, 2, 4]);
    assert_eq!(shard_counts(1_000_000, &none), [8, 16, 32]);
    let fast = Limits { max_milliseconds: Some(1.0), ..none };
    assert_eq!(shard_counts(3_999, &fast), [1, 2]);
    assert_eq!(shard_counts(4_000, &fast), [1, 2, 4]);
    let few = Limits { max_bits: Some(5), ..none };
    assert_eq!(shard_counts(1_000_000, &few), [4, 8, 16, 32]);
    assert_eq!(shard_counts(u64::from(u32::MAX), &fast).last(), Some(&MAX_SHARDS));
}

#[test]
fn numbers_of_shards_and_rows_that_are_not_possible_are_refused() {
    for count in [0, 3, MAX_SHARDS - 1, MAX_SHARDS + 1, MAX_SHARDS * 2] {
        let refused = synthetic(1000, 1).shard_count(count).finish();
        assert!(matches!(refused, Err(TuneError::ShardCount { .. })), "{count}");
    }
    assert!(matches!(synthetic(0, 1).finish(), Err(TuneError::NoRows)));
    assert!(matches!(synthetic((1 << 32) + 1, 1).finish(), Err(TuneError::TooLarge)));
    assert!(matches!(synthetic(1, 65_536).finish(), Err(TuneError::TooLarge)));
}

#[test]
fn rows_of_a_file_are_tried() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.binpb");
    let mut writer = Writer::binary(Vec::new());
    for row in 0..300 {
        writer.write(format!("host{row}.example").as_bytes(), &[7; 1000]).unwrap();
    }
    std::fs::write(&path, writer.finish().unwrap()).unwrap();
    let tuned = Tuning::new(Rows::File(path)).trials(2).shard_count(2).finish().unwrap();
    assert_eq!((tuned.rows, tuned.longest_value), (300, 1000));
    let best = best_by_counts(&tuned, &Limits::default(), Some(2));
    // Values are long, so two hash functions cost less.
    assert_eq!(best.settings.hash_functions(), 2);
    assert!(best.rows_per_shard >= 150 && best.rows_per_shard < 300);
}
