//! The published files are those of this version, and follow their schema.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use testvectors::Difference;

fn published() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn published_files_are_those_of_this_version() {
    let differences = testvectors::check(published()).unwrap();
    assert!(
        differences.is_empty(),
        "{differences:?}; regenerate with `cargo run --bin urlfilter -- vectors --out testvectors`"
    );
}

#[test]
fn every_kind_of_difference_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let files = testvectors::all();
    let differences = testvectors::check(folder.path()).unwrap();
    assert_eq!(differences.len(), files.len());
    assert!(differences.iter().all(|difference| matches!(difference, Difference::Missing(_))));

    assert_eq!(testvectors::write(folder.path()).unwrap(), files.len());
    let inner = folder.path().join("prefilter");
    let mut content = fs::read(inner.join("keys.json")).unwrap();
    content.push(b'\n');
    fs::write(inner.join("keys.json"), content).unwrap();
    fs::remove_file(inner.join("files/raw.bin")).unwrap();
    fs::write(inner.join("files/extra.json"), "{}").unwrap();
    let differences = testvectors::check(folder.path()).unwrap();
    assert_eq!(
        differences,
        [
            Difference::Content("prefilter/keys.json".into()),
            Difference::Missing("prefilter/files/raw.bin".into()),
            Difference::Unexpected("prefilter/files/extra.json".into()),
        ]
    );
}

#[test]
fn published_files_follow_their_schema() {
    let schema: Value =
        serde_json::from_slice(&fs::read(published().join("schema.json")).unwrap()).unwrap();
    let files = schema["properties"].as_object().unwrap();
    assert!(files.len() >= 8);
    for (name, part) in files {
        let mut part = part.clone();
        part["$defs"] = schema["$defs"].clone();
        let validator = jsonschema::validator_for(&part).unwrap();
        let vectors: Value =
            serde_json::from_slice(&fs::read(published().join("prefilter").join(name)).unwrap())
                .unwrap();
        let errors: Vec<_> =
            validator.iter_errors(&vectors).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}
