//! Data sets of earlier versions: what decides about their reuse is as it was.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod configured;

use pir_dataset::Manifest;
use pir_dataset::configuration::Configuration;
use pir_dataset::processing::{DatabaseFormat, Layouts, Outcome, Run, ShardSelection, Summary};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn rows(numbers: impl Iterator<Item = usize>) -> String {
    numbers
        .map(|i| format!("rows {{ keyword: \"host{i}.example/path{i}\" value: \"{i}\" }}\n"))
        .collect()
}

struct Place {
    folder: TempDir,
    configuration: Configuration,
}

impl Place {
    fn new(changes: Value, input: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("in.txtpb"), input).unwrap();
        let defaults = json!({"sharding": {"shardCount": 3}, "trialsPerShard": 0});
        let configuration =
            configured::configuration(folder.path(), "urls", &[&defaults, &changes]);
        Self { folder, configuration }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self) -> Summary {
        configured::whole(Run::new(&self.configuration))
    }
}

/// Digests that the version of 2026-11 wrote. If they change, every deployment makes every shard anew.
#[test]
fn digests_of_manifests_are_those_of_earlier_versions() {
    let numbered: String =
        (0..100).map(|i| format!("rows {{ value: \"{}\" }}\n", "v".repeat(i % 7))).collect();
    let keywords = rows(0..500);
    let fixed = json!({"cuckooTableArguments": {
        "maxSerializedBucketSize": 1024, "bucketCount": {"fixedSize": {"bucketCount": 120}}}});
    let expanding = json!({
        "cuckooTableArguments": {
            "bucketCount": {"allowExpansion": {"expansionFactor": 2, "targetLoadFactor": 0.00005}},
            "hashFunctionCount": 3},
        "keyCompression": "hybridCompression"});
    let fewest_keys = json!({"keyCompression": "maxCompression",
        "useMaxSerializedBucketSize": true, "unevenDimensions": false});
    for (changes, input, layout, shard_input, database) in [
        (
            json!({"layout": "reference"}),
            &keywords,
            "65199b721dd5c04c82af7d6f713bf84ffd1c226a33d6e30fc45359a9adf9129f",
            "bc347d38a4fe0b90c9144db1bc5c28b60db9df70aaf644080a84dd52cb341349",
            "7df3e0fd059a9636",
        ),
        (
            json!({"layout": "reference", "shardingFunction": {"doubleMod": 5}}),
            &keywords,
            "876657e32122694629a82d8406839389f11007846afecb95a1e16d79a9dbe92a",
            "853fbad4ec2e44cc53614d561ecfcdb0286cd12a82502fac1771f245e9f3b4c3",
            "d82ae802cee22a69",
        ),
        (
            fixed,
            &keywords,
            "7d83f48addd124ddd2f23f531dc6aab33ccf5454e6c0f9b90d1c88d070f89e8b",
            "d2a735d7c7e1c9c642fdc656f24765f8891db83ca4e18fafc64cbb1ce47ddc51",
            "172808bf6063e63f",
        ),
        (
            expanding,
            &keywords,
            "dadffcb164898d91882608e86e3a2e823960532f6c0888ebcd483fb3180a50ac",
            "7b7d628b2057933ed71a257956ad0b4c469d42e3d4addf6d5b46b13e40d82374",
            "a242b2fb04773917",
        ),
        (
            fewest_keys,
            &keywords,
            "87c9147269782eafe53b99f745c7777169c733f97ea79abae1fb12e11df24949",
            "b8fa2b307b12454a7cdadc0f5a7d157c1213d635b8cf7aef587b95610f063b47",
            "7c980baad3e39f4a",
        ),
        (
            json!({"databaseType": "index", "encodingEntrySize": true}),
            &numbered,
            "fb87741a1c235cc82ecea6b75d838a0d9c8fe4013f6f72b2d22bbeca40da56b9",
            "06d20ffed02f1f1c9afc40058c009117e9052506cf7c8d17e354051fdde3e4e7",
            "360f96dd1e58d208",
        ),
    ] {
        let place = Place::new(changes.clone(), input);
        place.run();
        let manifest = Manifest::read(&place.path().join("urls-manifest.json")).unwrap();
        let shard = &manifest.shards[0];
        assert_eq!(shard.layout_sha256, layout, "{changes}");
        assert_eq!(shard.input_sha256, shard_input, "{changes}");
        assert!(shard.database_sha256.starts_with(database), "{changes}");
    }
}

/// With the key of a symmetric database the digests depend on its public key.
#[cfg(feature = "symmetric")]
#[test]
fn digests_of_symmetric_databases_are_those_of_earlier_versions() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(
        &key,
        "a957e027ab02676e1813816e20e0bfc45ef72e6acb2ea2781d8240ac2776bda1\
         978f0d33694cbda08f9170726cdeb995",
    )
    .unwrap();
    let changes = json!({"symmetricPirArguments": {"databaseEncryptionKeyFilePath": key}});
    let place = Place::new(changes, &rows(0..60));
    place.run();
    let manifest = Manifest::read(&place.path().join("urls-manifest.json")).unwrap();
    assert_eq!(
        manifest.shards[0].layout_sha256,
        "64f70aa7ba7c4e3f84ffc09eccc15dad743ffcdf98e0fe1e291baa66531350ac"
    );
    assert_eq!(
        manifest.shards[0].input_sha256,
        "353a9415082d52da1901272eba0c8a4267e23ea23627ba53b7a34631fa087691"
    );
}

#[cfg(not(feature = "symmetric"))]
#[test]
fn symmetric_databases_need_their_feature() {
    let changes = json!({"symmetricPirArguments": {"databaseEncryptionKeyFilePath": "key"}});
    let place = Place::new(changes, &rows(0..1));
    let error = Run::new(&place.configuration).finish().err().unwrap();
    assert!(error.to_string().contains("feature `symmetric`"), "{error}");
}

#[test]
fn parts_are_finished_by_a_run_of_all() {
    let place = Place::new(json!({}), &rows(0..300));
    for selection in [ShardSelection::Range(0..1), ShardSelection::Part { index: 2, of: 3 }] {
        let part = Run::new(&place.configuration).selection(selection).finish().unwrap();
        assert!(matches!(part, Outcome::Part(part) if part.shards.len() == 1));
    }
    assert!(!place.path().join("urls-0.bin").exists());
    assert_eq!(place.run().reused_shards, 2);
    // Other formats are other files.
    let apple = Run::new(&place.configuration).format(DatabaseFormat::Apple).finish().unwrap();
    assert!(matches!(apple, Outcome::Whole(summary) if summary.reused_shards == 0));
    for (selection, said) in [
        (ShardSelection::Range(0..4), "there are 3 shards"),
        (ShardSelection::Range(1..1), "fewer than parts"),
        (ShardSelection::Part { index: 0, of: 4 }, "fewer than parts"),
        (ShardSelection::Part { index: 4, of: 4 }, "there are 3 shards"),
    ] {
        let error = Run::new(&place.configuration).selection(selection).finish().err().unwrap();
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// A link in place of an unfinished file must not become a part of the data set.
#[cfg(unix)]
#[test]
fn links_to_unfinished_files_are_not_reused() {
    let place = Place::new(json!({"sharding": {"shardCount": 1}}), &rows(0..50));
    let selection = ShardSelection::Range(0..1);
    Run::new(&place.configuration).selection(selection).finish().unwrap();
    let unfinished = place.path().join("urls-0.bin.unfinished");
    let elsewhere = place.path().join("elsewhere");
    fs::rename(&unfinished, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &unfinished).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    assert_eq!(place.run().reused_shards, 0);
    assert!(fs::symlink_metadata(place.path().join("urls-0.bin")).unwrap().is_file());
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
}

/// A manifest that lacks fields is that of another program: nothing of it is reused.
#[test]
fn incomplete_manifests_are_ignored() {
    let place = Place::new(json!({}), &rows(0..50));
    let first = place.run();
    let path = place.path().join("urls-manifest.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("configId");
    fs::write(&path, json.to_string()).unwrap();
    let second = place.run();
    assert_eq!((second.rows_before, second.layouts), (None, Layouts::New));
    assert_eq!(second.config_id, first.config_id);
}

#[test]
fn causes_are_kept_out_of_messages() {
    let place = Place::new(json!({}), "rows { keyword: \"a\" value: 1 }");
    let error = Run::new(&place.configuration).finish().err().unwrap();
    let mut chain = vec![&error as &dyn std::error::Error];
    while let Some(cause) = chain.last().unwrap().source() {
        chain.push(cause);
    }
    assert!(chain.len() > 1);
    for pair in chain.windows(2) {
        assert!(!pair[0].to_string().contains(&pair[1].to_string()), "{error:?}");
    }
    assert!(chain.last().unwrap().to_string().contains("line 1"));
}

/// The configurations that Apple's tool processed for the recordings.
#[test]
fn configurations_of_the_recordings_are_read() {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testvectors/interop/pir");
    let mut read = 0;
    for entry in fs::read_dir(recordings).unwrap() {
        let path = entry.unwrap().path().join("process-config.json");
        if path.exists() {
            Configuration::parse(&fs::read(path).unwrap()).unwrap();
            read += 1;
        }
    }
    assert!(read > 2);
}

#[test]
fn names_that_coincide_end_the_run_before_anything_is_written() {
    let first = Place::new(json!({}), &rows(0..20));
    first.run();
    let files = || -> Vec<_> {
        let mut all: Vec<_> = fs::read_dir(first.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (fs::read(&path).unwrap(), path))
            .collect();
        all.sort();
        all
    };
    let before = files();
    let path = |name: &str| first.path().join(name).display().to_string();
    for (key, name) in [
        ("outputPirParameters", "urls-SHARD_ID.bin"),
        ("outputEvaluationKeyConfig", "urls-0.bin"),
        ("outputEvaluationKeyConfig", "urls-0.params.txtpb"),
        ("outputEvaluationKeyConfig", "urls-manifest.json"),
        ("outputDatabase", "in.txtpb"),
    ] {
        let mut json = json!({
            "rlweParameters": "n_4096_logq_27_28_28_logt_5",
            "inputDatabase": path("in.txtpb"),
            "outputDatabase": path("urls-SHARD_ID.bin"),
            "outputPirParameters": path("urls-SHARD_ID.params.txtpb"),
        });
        json[key] = json!(path(name));
        let configuration = Configuration::parse(json.to_string().as_bytes()).unwrap();
        let error = Run::new(&configuration).fresh(true).replace_foreign(true).finish();
        let error = error.unwrap_err().to_string();
        assert!(error.contains(key) && error.contains("are both"), "{error}");
        assert_eq!(files(), before, "{key} {name}");
    }
}
