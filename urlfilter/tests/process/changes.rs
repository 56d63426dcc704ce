//! Rows that change: what stays as it was, and what is written again.

use super::command::{command, stderr, succeeds};
use super::{configuration, files, folder_with, process, report, rows};
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;

/// Clients keep their configuration and keys as long as rows fit where they were.
#[test]
fn changed_rows_get_the_layout_that_they_had() {
    let settings = json!({"layout": "reference", "trialsPerShard": 3});
    let folder = folder_with(settings.clone(), rows(0..3000));
    let put = |text: String| fs::write(folder.path().join("in.txtpb"), text).unwrap();
    let first = report(folder.path(), &[]);
    assert_eq!((&first["layouts"], &first["rowsBefore"]), (&json!("new"), &Value::Null));
    // A part of the rows is replaced, and a few are added: round after round.
    for round in 1..6 {
        put(rows(0..3000 - 100 * round) + &rows(5000..5000 + 101 * round));
        let next = report(folder.path(), &[]);
        assert_eq!(next["layouts"], "kept");
        assert_eq!(next["rows"], 3000 + round);
        assert_eq!(next["sameConfiguration"], true, "round {round}");
        assert_eq!(next["sameEvaluationKeys"], true);
        assert_eq!(next["configId"], first["configId"]);
    }
    // Rows as they were at first: the files may differ, the configuration does not.
    put(rows(0..3000));
    assert_eq!(report(folder.path(), &[])["configId"], first["configId"]);
    // What follows from the input alone.
    assert_eq!(report(folder.path(), &["--fresh"])["layouts"], "new");
    let whole = folder_with(settings, rows(0..3000));
    report(whole.path(), &[]);
    assert!(files(folder.path()) == files(whole.path()));

    // More than fit, a longer value, and far fewer rows: a new layout, which is kept from then on.
    let mut long = rows(0..4500);
    long.push_str(&format!("rows {{ keyword: \"long\" value: \"{}\" }}\n", "v".repeat(1900)));
    for (text, because) in
        [(rows(0..4500), "more rows"), (long, "longer than"), (rows(0..900), "far fewer rows")]
    {
        put(text);
        let next = report(folder.path(), &[]);
        assert_eq!(next["layouts"], "renewed", "{because}");
        let reason = next["renewedBecause"].as_str().unwrap();
        assert!(reason.contains(because), "{reason}");
        assert_eq!(next["sameConfiguration"], false);
        put(format!("{}rows {{ keyword: \"more\" value: \"1\" }}\n", rows(0..900)));
        if because != "far fewer rows" {
            continue;
        }
        let next = report(folder.path(), &[]);
        assert_eq!((&next["layouts"], &next["sameConfiguration"]), (&json!("kept"), &json!(true)));
    }
    // Other settings.
    let text = configuration(json!({"layout": "reference", "shardingFunction": {"doubleMod": 5}}));
    let text = text.to_string();
    fs::write(folder.path().join("process.json"), text).unwrap();
    assert_eq!(report(folder.path(), &[])["renewedBecause"], "other settings");
}

/// A number of shards stays as long as it is about right.
#[test]
fn the_number_of_shards_stays() {
    let sharding = json!({"sharding": {"entryCountPerShard": 100}});
    let folder = folder_with(sharding, rows(0..500));
    for (count, shards) in [(500, 5), (560, 5), (450, 5), (700, 5), (800, 8)] {
        fs::write(folder.path().join("in.txtpb"), rows(0..count)).unwrap();
        assert_eq!(report(folder.path(), &[])["shardCount"], shards);
    }
    fs::write(folder.path().join("in.txtpb"), rows(0..650)).unwrap();
    assert_eq!(report(folder.path(), &["--fresh"])["shardCount"], 6);
}

/// Several runs of some shards each, and one that takes them up, make what one run makes.
#[test]
fn shards_can_be_made_in_parts() {
    let sharding = json!({"sharding": {"shardCount": 12}});
    let whole = folder_with(sharding.clone(), rows(0..3000));
    succeeds(&process(whole.path(), &[]));
    let folder = folder_with(sharding, rows(0..3000));
    let parts = [("--shards", "0..4"), ("--part", "1/3"), ("--part", "2/3")].map(|(how, part)| {
        let mut command = command(folder.path());
        let command = command.args(["process", "process.json", how, part]);
        command.stderr(Stdio::null()).spawn().unwrap()
    });
    for mut part in parts {
        assert!(part.wait().unwrap().success());
    }
    let finished = |name: &&String| !name.ends_with(".unfinished") && !name.ends_with(".journal");
    assert_eq!(files(folder.path()).keys().filter(finished).count(), 0);
    let last = report(folder.path(), &[]);
    assert_eq!((&last["reusedShards"], &last["layouts"]), (&json!(12), &json!("new")));
    assert!(files(folder.path()) == files(whole.path()));

    // The same for an update, of which one part was forgotten.
    for folder in [&folder, &whole] {
        fs::write(folder.path().join("in.txtpb"), rows(20..3025)).unwrap();
    }
    assert_eq!(report(whole.path(), &[])["layouts"], "kept");
    for part in ["0..4", "8..12"] {
        let part = report(folder.path(), &["--shards", part]);
        assert_eq!(part["shards"].as_array().unwrap().len(), 4);
        assert_eq!((&part["shardCount"], &part["rows"]), (&json!(12), &json!(3005)));
    }
    assert_eq!(report(folder.path(), &[])["reusedShards"], 8);
    assert!(files(folder.path()) == files(whole.path()));
    // When the rows of other shards do not fit, a part knows.
    fs::write(folder.path().join("in.txtpb"), rows(0..9000)).unwrap();
    report(folder.path(), &["--shards", "0..6"]);
    let last = report(folder.path(), &[]);
    assert_eq!((&last["reusedShards"], &last["layouts"]), (&json!(6), &json!("renewed")));

    for (how, part, said) in [
        ("--shards", "0..13", "12 shards"),
        ("--shards", "3..3", "0..64"),
        ("--shards", "x", "0..64"),
        ("--part", "1/0", "0/8"),
        ("--part", "8/8", "0/8"),
        ("--part", "0/1000", "fewer than parts"),
    ] {
        let output = process(folder.path(), &[how, part]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

#[test]
fn shards_that_no_longer_exist_are_removed() {
    let folder = folder_with(json!({"sharding": {"shardCount": 5}}), rows(0..100));
    succeeds(&process(folder.path(), &[]));
    let fewer = folder_with(json!({"sharding": {"shardCount": 2}}), rows(0..100));
    succeeds(&process(fewer.path(), &[]));
    fs::copy(fewer.path().join("process.json"), folder.path().join("process.json")).unwrap();
    // Files that are not of the data set stay.
    fs::write(folder.path().join("urls-9.bin"), b"mine").unwrap();
    succeeds(&process(folder.path(), &[]));
    let mut left = files(folder.path());
    assert_eq!(left.remove("urls-9.bin").as_deref(), Some(&b"mine"[..]));
    assert!(left == files(fewer.path()));
    // The name of a single shard needs no number.
    let single = json!({"sharding": {"shardCount": 1}, "outputPirParameters": "params.txtpb"});
    let text = configuration(single).to_string();
    fs::write(folder.path().join("process.json"), text).unwrap();
    succeeds(&process(folder.path(), &[]));
    assert!(files(folder.path()).contains_key("params.txtpb"));
}

#[test]
fn a_changed_row_changes_its_shard_only() {
    let fixed = json!({"cuckooTableArguments": {
        "maxSerializedBucketSize": 1024, "bucketCount": {"fixedSize": {"bucketCount": 12}}}});
    let folder = folder_with(fixed, rows(0..500));
    succeeds(&process(folder.path(), &[]));
    let before = files(folder.path());
    fs::write(folder.path().join("in.txtpb"), rows(0..501)).unwrap();
    let output = process(folder.path(), &["--json"]);
    succeeds(&output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["reusedShards"], 2);
    assert_eq!(report["sameConfiguration"], true);
    assert_eq!(report["sameEvaluationKeys"], true);
    let after = files(folder.path());
    let changed = |name: &&String| before[*name] != after[*name];
    let changed: Vec<&String> = after.keys().filter(changed).collect();
    assert_eq!(changed.len(), 3, "{changed:?}");
    assert_eq!(*changed[1], format!("{}.plaintexts", changed[0]));
    assert_eq!(changed[2], "urls-manifest.json");
    // A damaged file is written again.
    fs::write(folder.path().join("urls-1.bin"), b"damaged").unwrap();
    succeeds(&process(folder.path(), &[]));
    assert!(files(folder.path()) == after);
}
