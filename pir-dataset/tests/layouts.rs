//! Which layout a data set gets, and how long it keeps it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod configured;

use keyword_pir::DatabaseKind;
use pir_dataset::configuration::Configuration;
use pir_dataset::processing::{DatabaseFormat, LayoutName, Layouts, Run, ShardSelection, Summary};
use pir_dataset::{DataSetFiles, files};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

/// Rows with values of so many bytes.
fn rows(numbers: impl Iterator<Item = usize>, value: usize) -> String {
    let value = "1".repeat(value);
    numbers
        .map(|i| format!("rows {{ keyword: \"host{i}.example/path{i}\" value: \"{value}\" }}\n"))
        .collect()
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn configuration(&self, changes: &Value) -> Configuration {
        configured::configuration(self.0.path(), "urls", &[changes])
    }

    fn run(&self, changes: &Value, input: &str) -> Summary {
        self.run_with(changes, input, |run| run)
    }

    fn run_with(
        &self,
        changes: &Value,
        input: &str,
        with: impl for<'r> FnOnce(Run<'r>) -> Run<'r>,
    ) -> Summary {
        fs::write(self.path("in.txtpb"), input).unwrap();
        configured::whole(with(Run::new(&self.configuration(changes))))
    }

    fn hash_functions(&self) -> usize {
        let path = DataSetFiles::new(self.path("urls")).parameters(0);
        let parameters = files::read_parameters(&path).unwrap();
        match parameters.description().kind {
            DatabaseKind::Keyword { hash_functions, .. } => hash_functions,
            DatabaseKind::Index { .. } => panic!("a database by number"),
        }
    }
}

#[test]
fn a_new_data_set_gets_the_cheap_layout_unless_one_is_named() {
    let reference = json!({"layout": "reference"});
    let parts = json!({"cuckooTableArguments": {"maxEvictionCount": 50}});
    let dimensions = json!({"dimensions": "cheapest"});
    let numbers = json!({"dimensions": [40, 2]});
    for (changes, name, functions) in [
        (json!({}), LayoutName::Cheap, 1),
        (json!({"layout": "cheap"}), LayoutName::Cheap, 1),
        (reference, LayoutName::Configured, 2),
        (parts, LayoutName::Configured, 2),
        (dimensions, LayoutName::Configured, 2),
        (numbers, LayoutName::Configured, 2),
    ] {
        let place = Place::new();
        let summary = place.run(&changes, &rows(0..3000, 1));
        assert_eq!((summary.layout, place.hash_functions()), (name, functions), "{changes}");
        assert_eq!(summary.cheaper_layout, None);
        if changes == json!({"dimensions": [40, 2]}) {
            assert_eq!(summary.shards[0].record.dimensions, [40, 2]);
        }
        let costs = summary.shards[0].costs.as_ref().unwrap();
        assert!(costs.noise_budget > 8.0, "{changes}: {}", costs.noise_budget);
    }
}

#[test]
fn a_data_set_keeps_the_layout_that_it_has() {
    let (open, three) = (json!({"sharding": {"shardCount": 3}}), json!({"shardCount": 3}));
    // One that a version made which knew no other layout, or that named it.
    let place = Place::new();
    let first = place.run(&json!({"layout": "reference", "sharding": three}), &rows(0..3000, 1));
    let second = place.run(&open, &rows(0..3000, 1));
    assert_eq!((second.reused_shards, &second.config_id), (3, &first.config_id));
    assert_eq!(second.layout, LayoutName::Reference);
    assert!(second.cheaper_layout.unwrap() < 0.9);
    let third = place.run(&open, &rows(20..3030, 1));
    assert_eq!((third.layouts, third.same_configuration), (Layouts::Kept, Some(true)));
    // Also when all shards get new tables, and another number of shards.
    assert_eq!(place.run(&open, &rows(0..9000, 1)).layouts, Layouts::Renewed);
    assert_eq!(place.hash_functions(), 2);
    place.run(&json!({"sharding": {"shardCount": 2}}), &rows(0..9000, 1));
    assert_eq!(place.hash_functions(), 2);
    // Until it is told otherwise.
    let fresh = place.run_with(&open, &rows(0..3000, 1), |run| run.fresh(true));
    assert_eq!((fresh.layout, fresh.same_configuration), (LayoutName::Cheap, Some(false)));
    // And the cheap one, even if the parameters of this version would have other dimensions.
    let kept = place.run(&open, &rows(0..3000, 1));
    assert_eq!((kept.layout, kept.same_configuration), (LayoutName::Cheap, Some(true)));
    let asked = place.run(&json!({"layout": "reference", "sharding": three}), &rows(0..3000, 1));
    assert_eq!(asked.renewed_because.as_deref(), Some("other settings"));
    assert_eq!(place.hash_functions(), 2);
}

/// A file of the data set is lost or damaged, and made again.
#[test]
fn a_data_set_without_its_parameters_keeps_its_layout() {
    for layout in ["cheap", "reference"] {
        for damage in [None, Some("nonsense")] {
            let place = Place::new();
            place.run(&json!({"layout": layout}), &rows(0..900, 1));
            let functions = place.hash_functions();
            let parameters = DataSetFiles::new(place.path("urls")).parameters(0);
            match damage {
                None => fs::remove_file(parameters).unwrap(),
                Some(text) => fs::write(parameters, text).unwrap(),
            }
            place.run(&json!({}), &rows(0..900, 1));
            assert_eq!(place.hash_functions(), functions, "{layout} {damage:?}");
        }
    }
}

#[test]
fn an_unfinished_data_set_keeps_the_layout_that_it_was_begun_with() {
    let place = Place::new();
    let sharding = json!({"shardCount": 3});
    fs::write(place.path("in.txtpb"), rows(0..900, 1)).unwrap();
    let begun = place.configuration(&json!({"layout": "reference", "sharding": sharding}));
    Run::new(&begun).selection(ShardSelection::Range(0..2)).finish().unwrap();
    let summary = place.run(&json!({"sharding": sharding}), &rows(0..900, 1));
    assert_eq!((summary.layout, summary.reused_shards), (LayoutName::Reference, 2));
    assert_eq!(place.hash_functions(), 2);

    let place = Place::new();
    fs::write(place.path("in.txtpb"), rows(0..900, 1)).unwrap();
    let open = json!({"sharding": sharding});
    let begun = place.configuration(&open);
    Run::new(&begun).selection(ShardSelection::Range(0..2)).finish().unwrap();
    let summary = place.run(&open, &rows(0..900, 1));
    assert_eq!((summary.layout, summary.reused_shards), (LayoutName::Cheap, 2));
}

/// Devices keep their configuration while a tenth of the rows is added, and while rows are replaced.
#[test]
fn the_cheap_layout_has_room_for_a_tenth_more_rows() {
    let open = json!({"sharding": {"shardCount": 2}, "trialsPerShard": 2});
    let place = Place::new();
    let first = place.run(&open, &rows(0..20_000, 1));
    assert_eq!(first.layout, LayoutName::Cheap);
    for (numbers, count) in [(0..20_500, 20_500), (600..21_600, 21_000), (9_000..31_000, 22_000)] {
        let next = place.run(&open, &rows(numbers, 1));
        assert_eq!(next.rows, count);
        assert_eq!((next.layouts, next.same_configuration), (Layouts::Kept, Some(true)), "{count}");
        assert_eq!(next.config_id, first.config_id);
    }
    let grown = place.run(&open, &rows(0..40_000, 1));
    assert_eq!((grown.layouts, grown.layout), (Layouts::Renewed, LayoutName::Cheap));
    assert!(grown.renewed_because.unwrap().contains("more rows"));
    let fewer = place.run(&open, &rows(0..8_000, 1));
    assert_eq!(fewer.layouts, Layouts::Renewed);
    assert!(fewer.renewed_because.unwrap().contains("far fewer rows"));
    // A value that is a little longer has the same buckets; one that is much longer has not.
    let longer = rows(0..8_000, 1) + &rows(8_000..8_001, 8);
    let longer = place.run(&open, &longer);
    assert_eq!((longer.layouts, longer.same_configuration), (Layouts::Kept, Some(true)));
    let longer = place.run(&open, &(rows(0..8_000, 1) + &rows(8_000..8_001, 1900)));
    assert_eq!((longer.layouts, longer.layout), (Layouts::Renewed, LayoutName::Reference));
    assert!(longer.renewed_because.unwrap().contains("too long for the cheap layout"));
}

/// A bucket of 2,048 bytes holds 40 rows of 51 bytes, and 39 of 52.
#[test]
fn rows_of_long_values_get_two_hash_functions() {
    for (value, functions) in [(40, 1), (41, 1), (42, 2), (3000, 2)] {
        let place = Place::new();
        let summary = place.run(&json!({}), &rows(0..200, value));
        assert_eq!(place.hash_functions(), functions, "{value}");
        assert!(summary.shards[0].costs.as_ref().unwrap().noise_budget > 8.0);
    }
}

#[test]
fn files_for_apples_service_have_the_layout_of_its_tool() {
    let place = Place::new();
    fn with_apple(run: Run<'_>) -> Run<'_> {
        run.format(DatabaseFormat::Apple)
    }
    let summary = place.run_with(&json!({}), &rows(0..3000, 1), with_apple);
    assert_eq!((summary.layout, place.hash_functions()), (LayoutName::Reference, 2));
    // It can be asked for there, too.
    let place = Place::new();
    let summary = place.run_with(&json!({"layout": "cheap"}), &rows(0..3000, 1), with_apple);
    assert_eq!((summary.layout, place.hash_functions()), (LayoutName::Cheap, 1));
    assert!(summary.shards[0].costs.as_ref().unwrap().noise_budget > 8.0);
}

/// From one row on, around the sizes at which another bucket is needed.
#[test]
fn test_queries_succeed_at_every_size() {
    for count in [1, 2, 3, 10, 60, 120, 121, 122, 123, 185, 186, 187, 372, 1000, 2000, 5000, 12_000]
    {
        let place = Place::new();
        let open = json!({"trialsPerShard": 3});
        let summary = place.run(&open, &rows(0..count, 1));
        assert_eq!(summary.layout, LayoutName::Cheap, "{count}");
        let shard = &summary.shards[0];
        let costs = shard.costs.as_ref().unwrap();
        assert!(costs.noise_budget > 9.0, "{count}: {}", costs.noise_budget);
        assert_eq!(costs.response_ciphertexts, 1, "{count}");
        let [rows, columns] = shard.record.dimensions[..] else { panic!("two dimensions") };
        assert!(rows * columns >= shard.record.entries_per_table && rows >= columns, "{count}");
    }
}

#[test]
fn numbers_of_shards_are_rounded_to_what_costs_less() {
    let sharding = |rows: u64| {
        json!({"sharding": {"entryCountPerShard": rows, "requirePowerOfTwoShardCount": true},
            "trialsPerShard": 0})
    };
    let place = Place::new();
    let summary = place.run(&sharding(5000), &rows(0..17_000, 1));
    assert_eq!(summary.shard_count, 4);
    let rounding = summary.rounding.unwrap();
    assert_eq!((rounding.rows_per_shard, rounding.other_count), (4250, 2));
    assert!(rounding.cost < 1.0 && rounding.other_cost > 1.1);
    // What is there stays.
    let place = Place::new();
    let two = json!({"sharding": {"shardCount": 2}, "trialsPerShard": 0});
    place.run(&two, &rows(0..17_000, 1));
    let summary = place.run(&sharding(5000), &rows(0..17_000, 1));
    assert_eq!(summary.shard_count, 2);
    let rounding = summary.rounding.unwrap();
    assert!(rounding.cost > 1.1 && rounding.other_count == 4 && rounding.other_cost < 1.0);
}
