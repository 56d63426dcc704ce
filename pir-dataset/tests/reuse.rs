//! Small updates: what is copied from the data set before, and that it makes no difference.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod configured;

use pir_dataset::DataSetFiles;
use pir_dataset::configuration::Configuration;
use pir_dataset::processing::{Layouts, Run, Summary};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

fn text(rows: impl Iterator<Item = (usize, usize)>) -> String {
    rows.map(|(host, value)| {
        format!("rows {{ keyword: \"host{host}.example\" value: \"{}\" }}\n", value % 10)
    })
    .collect()
}

struct Place {
    folder: TempDir,
    configuration: Configuration,
}

impl Place {
    fn new(changes: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let defaults = json!({"sharding": {"shardCount": 2}, "trialsPerShard": 0});
        let configuration =
            configured::configuration(folder.path(), "out/urls", &[&defaults, changes]);
        Self { folder, configuration }
    }

    fn run(&self, input: &str) -> Summary {
        fs::write(self.folder.path().join("in.txtpb"), input).unwrap();
        configured::whole(Run::new(&self.configuration))
    }

    fn database(&self, shard: u32) -> PathBuf {
        DataSetFiles::new(self.folder.path().join("out/urls")).database(shard)
    }

    /// The file that says what the plaintexts of a shard were made of.
    fn plaintexts(&self, shard: u32) -> PathBuf {
        self.folder.path().join(format!("out/urls-{shard}.bin.plaintexts"))
    }

    /// All files by name.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.folder.path().join("out")).unwrap();
        let read = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        };
        entries.map(read).collect()
    }
}

fn copied(summary: &Summary) -> u64 {
    summary.shards.iter().map(|shard| shard.copied_plaintexts).sum()
}

/// Plaintexts of the shards that were made.
fn written(summary: &Summary) -> u64 {
    let made = summary.shards.iter().filter(|shard| !shard.reused);
    made.map(|shard| shard.record.plaintexts).sum()
}

#[test]
fn unchanged_plaintexts_are_copied() {
    let place = Place::new(&json!({}));
    let first = place.run(&text((0..8000).map(|row| (row, 1))));
    assert_eq!(copied(&first), 0);
    let second = place.run(&text((0..8000).map(|row| (row, if row < 3 { 2 } else { 1 }))));
    assert_eq!(second.layouts, Layouts::Kept);
    // Each row is in one bucket, and each bucket in one plaintext.
    let changed = written(&second) - copied(&second);
    assert!((1..=3).contains(&changed), "{changed} of {}", written(&second));
    // Nothing is copied of what has another layout.
    let third = place.run(&text((0..16_000).map(|row| (row, 1))));
    assert_eq!((third.layouts, copied(&third)), (Layouts::Renewed, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// What is copied is what would have been computed, in every layout and over several updates.
    #[test]
    fn an_update_writes_what_a_run_without_the_earlier_plaintexts_writes(
        layout in prop::sample::select(vec!["cheap", "reference"]),
        count in 500_usize..3000,
        updates in prop::collection::vec(
            prop::collection::vec((any::<prop::sample::Index>(), 0_usize..3, 0_usize..10), 0..6),
            1..4,
        ),
    ) {
        let settings = json!({"layout": layout});
        let (place, full) = (Place::new(&settings), Place::new(&settings));
        let mut rows: BTreeMap<usize, usize> = (0..count).map(|row| (row, 1)).collect();
        let input = |rows: &BTreeMap<usize, usize>| text(rows.iter().map(|(&row, &value)| (row, value)));
        place.run(&input(&rows));
        full.run(&input(&rows));
        for update in updates {
            for (at, kind, value) in update {
                let row = at.index(count);
                match kind {
                    0 => rows.remove(&row),
                    1 => rows.insert(row, value),
                    _ => rows.insert(count + row, value),
                };
            }
            place.run(&input(&rows));
            // A shard without changes does not get its file again.
            for shard in 0..2 {
                let _ = fs::remove_file(full.plaintexts(shard));
            }
            prop_assert_eq!(copied(&full.run(&input(&rows))), 0);
            let mut files = place.files();
            let expected = full.files();
            files.retain(|name, _| !name.ends_with(".plaintexts") || expected.contains_key(name));
            prop_assert!(files == expected);
        }
    }
}

/// What is wrong, and how it is done.
type Damage<'d> = (&'d str, &'d dyn Fn(&Place));

#[test]
fn nothing_is_copied_from_files_that_are_not_what_they_were() {
    let input = |value| text((0..8000).map(|row| (row, if row < 8 { value } else { 1 })));
    let flip = |path: PathBuf, at: usize| {
        let mut content = fs::read(&path).unwrap();
        let length = content.len();
        content[at % length] ^= 1;
        fs::write(path, content).unwrap();
    };
    let damages: [Damage<'_>; 8] = [
        ("no file of plaintexts", &|place| fs::remove_file(place.plaintexts(0)).unwrap()),
        ("a digest of the plaintexts is changed", &|place| flip(place.plaintexts(0), 100)),
        ("it is cut short", &|place| fs::write(place.plaintexts(0), "short").unwrap()),
        ("it is longer", &|place| {
            let content = fs::read(place.plaintexts(0)).unwrap();
            fs::write(place.plaintexts(0), [&content[..], b"x"].concat()).unwrap();
        }),
        ("it is that of another shard", &|place| {
            fs::copy(place.plaintexts(1), place.plaintexts(0)).unwrap();
        }),
        ("a byte of the database is changed", &|place| flip(place.database(0), 1_000_000)),
        ("the database is that of another shard", &|place| {
            fs::copy(place.database(1), place.database(0)).unwrap();
        }),
        ("there is no database", &|place| fs::remove_file(place.database(0)).unwrap()),
    ];
    let good = Place::new(&json!({}));
    good.run(&input(1));
    assert!(good.run(&input(2)).shards.iter().all(|shard| shard.copied_plaintexts > 0));
    for (what, damage) in damages {
        let place = Place::new(&json!({}));
        place.run(&input(1));
        damage(&place);
        let summary = place.run(&input(2));
        assert_eq!(summary.shards[0].copied_plaintexts, 0, "{what}");
        assert!(summary.shards[1].copied_plaintexts > 0, "{what}");
        assert!(place.files() == good.files(), "{what}");
    }
}

#[test]
fn files_of_plaintexts_come_and_go_with_their_shards() {
    let mut place = Place::new(&json!({"sharding": {"shardCount": 3}}));
    place.run(&text((0..100).map(|row| (row, 1))));
    let exist = |place: &Place| [0, 1, 2].map(|shard| place.plaintexts(shard).exists());
    assert_eq!(exist(&place), [true; 3]);
    place.configuration.sharding = Place::new(&json!({})).configuration.sharding;
    place.run(&text((0..100).map(|row| (row, 1))));
    assert_eq!(exist(&place), [true, true, false]);
    assert!(place.files().keys().all(|name| !name.ends_with(".unfinished")));
}
