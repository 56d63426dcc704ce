//! `urlfilter process`: what it writes, what it keeps, and what it says when it cannot.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "process/changes.rs"]
mod changes;
mod command;

use command::{command, stderr, succeeds};
use keyword_database::{Reader, Writer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn process(folder: &Path, more: &[&str]) -> Output {
    command(folder).args(["process", "process.json"]).args(more).output().unwrap()
}

/// Every file of a folder but the input.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("in.") && name != "process.json" {
            all.insert(name, fs::read(path).unwrap());
        }
    }
    all
}

fn configuration(changes: Value) -> Value {
    let mut configuration = json!({
        "rlweParameters": "n_4096_logq_27_28_28_logt_5",
        "inputDatabase": "in.txtpb",
        "outputDatabase": "urls-SHARD_ID.bin",
        "outputPirParameters": "urls-SHARD_ID.params.txtpb",
        "outputEvaluationKeyConfig": "keys.txtpb",
        "sharding": {"shardCount": 3},
    });
    for (key, value) in changes.as_object().unwrap() {
        configuration[key] = value.clone();
    }
    configuration
}

fn rows(numbers: impl Iterator<Item = usize>) -> String {
    numbers
        .map(|i| format!("rows {{ keyword: \"host{i}.example/path{i}\" value: \"{i}\" }}\n"))
        .collect()
}

/// A folder with a configuration and its input.
fn folder_with(changes: Value, input: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(changes).to_string();
    fs::write(folder.path().join("process.json"), text).unwrap();
    fs::write(folder.path().join("in.txtpb"), input).unwrap();
    folder
}

fn recorded_cases() -> Vec<PathBuf> {
    let mut folders = vec![repository().join("testvectors/interop/pir")];
    let recorded = match env::var_os("URLFILTER_VECTORS") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(repository().join("../shared/vectors")).filter(|folder| folder.exists()),
    };
    if let Some(folder) = recorded {
        folders.extend([folder.join("pir"), folder.join("synthetic/pir")]);
    }
    let mut cases = Vec::new();
    for folder in folders {
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let found: Vec<PathBuf> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        assert!(!found.is_empty(), "{}: no cases", folder.display());
        cases.extend(found);
    }
    cases
}

#[test]
fn parameters_agree_with_those_of_the_reference() {
    for case in recorded_cases() {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(case.join("input.txtpb"), folder.path().join("input.txtpb")).unwrap();
        // A configuration that names no layout gets that of this project's service.
        let recorded = fs::read(case.join("process-config.json")).unwrap();
        let mut json: Value = serde_json::from_slice(&recorded).unwrap();
        json["layout"] = json!("reference");
        fs::write(folder.path().join("process.json"), json.to_string()).unwrap();
        succeeds(&process(folder.path(), &[]));
        let mut lengths = BTreeSet::new();
        let input = fs::File::open(case.join("input.txtpb")).unwrap();
        let mut reader = Reader::text(input);
        while let Some(row) = reader.next_row().unwrap() {
            lengths.insert(row.value.len());
        }
        let lengths_differ = lengths.len() > 1;
        let mut compared = 0;
        for (name, content) in files(folder.path()) {
            if name.ends_with(".txtpb") && name != "input.txtpb" {
                let recorded = fs::read_to_string(case.join(&name)).unwrap();
                let mut ours = String::from_utf8(content).unwrap();
                if lengths_differ {
                    // The largest bucket depends on the order of insertion, which the reference
                    // leaves to its system.
                    let entry_size = |text: &str| {
                        let line = text.lines().find(|line| line.starts_with("entry_size"));
                        line.map(ToOwned::to_owned)
                    };
                    if let (Some(line), Some(theirs)) = (entry_size(&ours), entry_size(&recorded)) {
                        ours = ours.replace(&line, &theirs);
                    }
                }
                assert_eq!(ours, recorded, "{} {name}", case.display());
                compared += 1;
            }
        }
        assert!(compared >= 2, "{}", case.display());
    }
}

#[test]
fn the_same_rows_give_the_same_files() {
    let first = folder_with(json!({}), rows(0..500));
    succeeds(&process(first.path(), &["--jobs", "1"]));
    let expected = files(first.path());
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        [
            "keys.txtpb",
            "urls-0.bin",
            "urls-0.bin.plaintexts",
            "urls-0.params.txtpb",
            "urls-1.bin",
            "urls-1.bin.plaintexts",
            "urls-1.params.txtpb",
            "urls-2.bin",
            "urls-2.bin.plaintexts",
            "urls-2.params.txtpb",
            "urls-manifest.json",
        ]
    );
    let other_order = folder_with(json!({}), rows((0..500).rev()));
    succeeds(&process(other_order.path(), &["--jobs", "2"]));
    assert!(files(other_order.path()) == expected);
    // In the same folder again: nothing changes.
    let again = process(first.path(), &["--json"]);
    succeeds(&again);
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(report["reusedShards"], 3);
    assert_eq!(report["sameConfiguration"], true);
    assert!(files(first.path()) == expected);
}

fn report(folder: &Path, more: &[&str]) -> Value {
    let output = process(folder, &[&["--json"], more].concat());
    succeeds(&output);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_killed_run_leaves_nothing_that_looks_finished() {
    let whole = folder_with(json!({"sharding": {"shardCount": 12}}), rows(0..3000));
    succeeds(&process(whole.path(), &[]));
    let expected = files(whole.path());

    let folder = folder_with(json!({"sharding": {"shardCount": 12}}), rows(0..3000));
    let mut child = command(folder.path())
        .args(["process", "process.json", "--jobs", "1"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let journal = folder.path().join("urls-manifest.journal");
    let finished_shards = || {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        text.lines().filter(|line| line.ends_with('}')).count()
    };
    while finished_shards() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = finished_shards();
    if kept > 0 {
        for name in files(folder.path()).keys() {
            assert!(name.ends_with(".unfinished") || name.ends_with(".journal"), "{name}");
        }
    }
    // A line that was cut off, and a shard whose file was: neither counts.
    let mut text = fs::read(&journal).unwrap_or_default();
    text.extend(b"{\"shard\":11,\"inputSha");
    fs::write(&journal, text).unwrap();
    let output = process(folder.path(), &["--json"]);
    succeeds(&output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["reusedShards"], kept);
    assert!(files(folder.path()) == expected);
}

#[test]
fn serialized_input_and_output() {
    let text = folder_with(json!({}), rows(0..60));
    succeeds(&process(text.path(), &[]));
    let mut writer = Writer::binary(Vec::new());
    for i in 0..60 {
        let (keyword, value) = (format!("host{i}.example/path{i}"), i.to_string());
        writer.write(keyword.as_bytes(), value.as_bytes()).unwrap();
    }
    let database = writer.finish().unwrap();
    let changes =
        json!({"inputDatabase": "in.binpb", "outputPirParameters": "urls-SHARD_ID.binpb"});
    let folder = folder_with(changes, "");
    fs::write(folder.path().join("in.binpb"), database).unwrap();
    succeeds(&process(folder.path(), &[]));
    let (text, binary) = (files(text.path()), files(folder.path()));
    assert!(text["urls-1.bin"] == binary["urls-1.bin"]);
    use pir_api::Message;
    let parameters = pir_api::pir::PirParameters::decode(&binary["urls-1.binpb"][..]).unwrap();
    let written = pir_api::text::to_text(&parameters);
    assert_eq!(written.as_bytes(), text["urls-1.params.txtpb"]);
}

#[test]
fn databases_by_number() {
    let input: String =
        (0..100).map(|i| format!("rows {{ value: \"{}\" }}\n", "v".repeat(i % 7))).collect();
    for encoding in [false, true] {
        let changes =
            json!({"databaseType": "index", "encodingEntrySize": encoding, "trialsPerShard": 5});
        let folder = folder_with(changes, &input);
        let output = process(folder.path(), &["--json"]);
        succeeds(&output);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["shards"][0]["rows"], 34);
        assert_eq!(report["shards"][0]["entrySize"], 6);
        assert_eq!(report["shards"][0]["costs"]["queryCiphertexts"], 1);
    }
}

#[test]
fn the_report_says_what_a_query_costs() {
    let folder = folder_with(json!({"layout": "reference", "trialsPerShard": 2}), rows(0..300));
    let output = process(folder.path(), &["--json"]);
    succeeds(&output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows"], 300);
    assert_eq!(report["shardCount"], 3);
    let costs = &report["shards"][1]["costs"];
    assert_eq!(costs["runtimeMilliseconds"].as_array().unwrap().len(), 2);
    let of_a_core = costs["processorMilliseconds"].as_array().unwrap();
    assert_eq!(of_a_core.len(), if cfg!(unix) { 2 } else { 0 });
    assert!(costs["noiseBudget"].as_f64().unwrap() > 10.0);
    assert_eq!(costs["entryCountPerResponse"][0], report["shards"][1]["rows"]);
    let output = process(folder.path(), &[]);
    assert!(stderr(&output).contains("3 unchanged"), "{}", stderr(&output));
    // Another format makes another data set.
    let output = process(folder.path(), &["--database-format", "apple"]);
    succeeds(&output);
    assert!(stderr(&output).contains("noise budget"), "{}", stderr(&output));
    assert_eq!(fs::read(folder.path().join("urls-0.bin")).unwrap()[0], 1);
}

/// Runs a configuration that cannot be processed: it fails, prints each of `expected`, and writes no file.
#[track_caller]
fn refused(changes: Value, input: &str, expected: &[&str]) {
    let folder = folder_with(changes, input);
    let output = process(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    for expected in expected {
        assert!(stderr(&output).contains(expected), "{expected}: {}", stderr(&output));
    }
    let left = files(folder.path());
    assert!(left.keys().all(|name| name.ends_with(".journal") || name.ends_with(".unfinished")));
}

#[test]
fn failures_name_the_row_and_the_remedy() {
    let large = format!("rows {{ keyword: \"big\" value: \"{}\" }}", "x".repeat(3000));
    let small_buckets = json!({"cuckooTableArguments": {"maxSerializedBucketSize": 100}});
    refused(
        small_buckets,
        &format!("{}{large}", rows(0..9)),
        &["row 10 (\"big\")", "3011", "maxSerializedBucketSize", "shard"],
    );
    let few_buckets =
        json!({"cuckooTableArguments": {"bucketCount": {"fixedSize": {"bucketCount": 2}}}});
    refused(few_buckets, &rows(0..3000), &["row ", "bucketCount", "shardCount"]);
    refused(
        json!({}),
        &format!("{}{}", rows(0..5), rows(3..4)),
        &["row 6 (\"host3.example/path3\")", "row 4", "remove"],
    );
    refused(json!({}), "rows { keyword: \"a\" value: 1 }", &["in.txtpb", "line 1"]);
    refused(json!({"shardCount": 1}), "", &["shardCount", "process.json"]);
    refused(json!({"inputDatabase": "none.txtpb"}), "", &["none.txtpb"]);
    refused(json!({"inputDatabase": "."}), "", &["folder"]);
    refused(
        json!({"rlweParameters": "n_4096_logq_27_28_28_logt_17", "sharding": {"shardCount": 1}}),
        &rows(0..10_000),
        &["noise budget", "rlweParameters"],
    );
    let folder = folder_with(json!({}), "");
    fs::write(folder.path().join("process.json"), "").unwrap();
    assert!(stderr(&process(folder.path(), &[])).contains("empty"));
}

#[test]
fn files_of_another_tool_are_not_replaced() {
    for name in ["urls-1.bin", "urls-2.params.txtpb", "keys.txtpb"] {
        let folder = folder_with(json!({}), rows(0..100));
        let path = folder.path().join(name);
        fs::write(&path, "of another tool").unwrap();
        let output = process(folder.path(), &[]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        for part in [name, "another tool", "--force"] {
            assert!(stderr(&output).contains(part), "{}", stderr(&output));
        }
        assert_eq!(fs::read(&path).unwrap(), b"of another tool");
        succeeds(&process(folder.path(), &["--force"]));
        assert_ne!(fs::read(&path).unwrap(), b"of another tool");
        // Now they are files of this program.
        succeeds(&process(folder.path(), &["--fresh"]));
    }
    // A shard that the data set grows by.
    let folder = folder_with(json!({"sharding": {"shardCount": 1}}), rows(0..100));
    succeeds(&process(folder.path(), &[]));
    fs::write(folder.path().join("urls-1.bin"), "of another tool").unwrap();
    let text = configuration(json!({"sharding": {"shardCount": 2}})).to_string();
    fs::write(folder.path().join("process.json"), text).unwrap();
    let output = process(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("urls-1.bin"), "{}", stderr(&output));
}

/// Apple's service multiplies ciphertexts where this project's leaves a second dimension of 1 out.
#[test]
fn what_apples_service_cannot_answer_is_not_made_for_it() {
    for set in ["n_4096_logq_27_28_28_logt_13", "n_8192_logq_3x55_logt_42"] {
        let one = json!({"rlweParameters": set, "sharding": {"shardCount": 1}});
        let folder = folder_with(one, rows(0..20));
        succeeds(&process(folder.path(), &[]));
        let output = process(folder.path(), &["--database-format", "apple", "--fresh"]);
        assert_eq!(output.status.code(), Some(2), "{set}: {}", stderr(&output));
        assert!(stderr(&output).contains("noise budget"), "{set}: {}", stderr(&output));
    }
}

#[test]
fn the_noise_budget_that_must_be_left_can_be_chosen() {
    let folder = folder_with(json!({"sharding": {"shardCount": 1}}), rows(0..20));
    let output = process(folder.path(), &["--min-noise-budget", "30"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("below 30"), "{}", stderr(&output));
    succeeds(&process(folder.path(), &["--min-noise-budget", "0.5"]));
    for refused in ["0.4", "30.1", "NaN", "x"] {
        let output = process(folder.path(), &["--min-noise-budget", refused]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("from 0.5 to 30"), "{}", stderr(&output));
    }
}

#[test]
#[cfg_attr(not(feature = "symmetric"), ignore = "needs the feature symmetric")]
fn the_symmetric_variant() {
    let new = json!({"symmetricPirArguments": {"outputDatabaseEncryptionKeyFilePath": "in.key"}});
    let folder = folder_with(new, rows(0..40));
    succeeds(&process(folder.path(), &[]));
    let key = fs::read(folder.path().join("in.key")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join("in.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // An existing key is never replaced.
    let again = process(folder.path(), &[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("databaseEncryptionKeyFilePath"), "{}", stderr(&again));
    assert_eq!(fs::read(folder.path().join("in.key")).unwrap(), key);

    // The same key gives the same files.
    let changes = json!({"symmetricPirArguments": {
        "databaseEncryptionKeyFilePath": "in.key",
        "configType": "OPRF_P384_AES_GCM_192_NONCE_96_TAG_128"}});
    let other = folder_with(changes, rows(0..40));
    fs::write(other.path().join("in.key"), &key).unwrap();
    succeeds(&process(other.path(), &[]));
    assert!(files(other.path()) == files(folder.path()));

    let text = fs::read(folder.path().join("urls-0.params.txtpb")).unwrap();
    let message: pir_api::pir::PirParameters = pir_api::text::from_text(&text).unwrap();
    let keyword = message.keyword_pir_params.clone().unwrap();
    let client = keyword.symmetric_pir_client_config.unwrap();
    let key = keyword_pir::symmetric::DatabaseKey::from_hex(&key).unwrap();
    assert_eq!(client.server_public_key, key.public_key());
    assert_eq!(pir_api::text::to_text(&message).into_bytes(), text);
    refused(
        json!({"symmetricPirArguments": {"databaseEncryptionKeyFilePath": "none"}}),
        "",
        &["none"],
    );
    refused(
        json!({"symmetricPirArguments": {"databaseEncryptionKeyFilePath": "process.json"}}),
        "",
        &["process.json", "96 hexadecimal digits"],
    );
    // Errors name rows as the input has them.
    let twice = json!({"symmetricPirArguments": {"outputDatabaseEncryptionKeyFilePath": "in.key"}});
    refused(twice, &format!("{}{}", rows(0..3), rows(1..2)), &["host1.example/path1", "row 4"]);
}

#[test]
fn shards_without_rows_are_written() {
    let folder = folder_with(json!({"sharding": {"shardCount": 3}}), rows(0..1));
    let output = process(folder.path(), &["--json"]);
    succeeds(&output);
    assert_eq!(files(folder.path()).keys().filter(|name| name.ends_with(".bin")).count(), 3);
}

/// The way back to Apple's tool, which runs again under the names of files that were this one's.
#[test]
fn files_of_another_tool_under_names_of_this_one_are_not_replaced() {
    let folder = folder_with(json!({}), rows(0..100));
    succeeds(&process(folder.path(), &[]));
    let ours = files(folder.path());
    let apples = [&[1, 2, 0, 0, 0, 1][..], &[7; 100]].concat();
    fs::write(folder.path().join("urls-1.bin"), &apples).unwrap();
    // Also where the manifest is of another tool, or empty.
    for manifest in [None, Some("{}"), Some("")] {
        if let Some(text) = manifest {
            fs::write(folder.path().join("urls-manifest.json"), text).unwrap();
        }
        let refused = process(folder.path(), &[]);
        assert_eq!(refused.status.code(), Some(2), "{manifest:?}");
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(text.contains("urls-1.bin") && text.contains("--force"), "{manifest:?} {text}");
        assert_eq!(fs::read(folder.path().join("urls-1.bin")).unwrap(), apples);
    }
    succeeds(&process(folder.path(), &["--force"]));
    assert!(files(folder.path()) == ours);
}
