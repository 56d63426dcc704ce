//! `urlfilter tune`: its output, its exit codes, and the configuration that it writes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use command::{stderr, urlfilter};
use serde_json::Value;
use std::fs;
use std::process::Output;

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn what_is_recommended_is_what_process_makes_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..2500)
        .map(|i| format!("rows {{ keyword: \"host{i}.example\" value: \"1\" }}\n"))
        .collect();
    fs::create_dir(folder.path().join("dist")).unwrap();
    fs::write(folder.path().join("dist/input.txtpb"), rows).unwrap();
    let tune =
        ["tune", "dist/input.txtpb", "--max-bits", "1", "--trials", "1", "--out", "process.json"];
    let output = urlfilter(folder.path(), &[&tune, &["--json"][..]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let tuned: Value = serde_json::from_slice(&output.stdout).unwrap();
    let position = usize::try_from(tuned["recommended"].as_u64().unwrap()).unwrap();
    let best = &tuned["candidates"][position];
    // Which of both numbers of shards is faster is up to the machine.
    let bits = best["bits"].as_u64().unwrap();
    assert!(bits <= 1);
    assert_eq!(best["shardCount"], 1_u64 << bits);
    assert!(best["serverMilliseconds"].as_f64().unwrap() > 0.0);

    let output = urlfilter(folder.path(), &["process", "process.json", "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["shardCount"], &report["layout"]),
        (&best["shardCount"], &"configured".into())
    );
    let shards = report["shards"].as_array().unwrap();
    let largest = shards.iter().max_by_key(|shard| shard["rows"].as_u64()).unwrap();
    assert_eq!(largest["rows"], best["rowsPerShard"]);
    assert_eq!(largest["dimensions"], best["dimensions"]);
    assert_eq!(largest["costs"]["responseBytes"], best["replyBytes"]);

    // An existing file is not replaced.
    let again = urlfilter(folder.path(), &tune);
    assert_eq!(code(&again), 2);
    assert!(stderr(&again).contains("exists"), "{}", stderr(&again));
}

#[test]
fn limits_that_no_layout_keeps_are_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let limited = ["tune", "--rows", "1000", "--trials", "1", "--max-reply-bytes", "1000"];
    let output = urlfilter(folder.path(), &[&limited, &["--out", "process.json"][..]].concat());
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("no layout"), "{}", stderr(&output));
    assert!(!folder.path().join("process.json").exists());
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("shards") && table.contains("(limits)"), "{table}");
    for (arguments, said) in [
        (&["tune"][..], "ROWS"),
        (&["tune", "none.txtpb"], "none.txtpb"),
        (&["tune", "--rows", "0"], "--rows"),
        (&["tune", "--rows", "10", "--shards", "3"], "power of two"),
        (&["tune", "--rows", "10", "--max-ms", "0"], "above 0"),
        (&["tune", "--rows", "10", "--value-bytes", "65536"], "65535"),
    ] {
        let output = urlfilter(folder.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
}
