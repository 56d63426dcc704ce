//! Known answers: the project's own `testvectors/`, and recordings of other implementations where
//! they are at hand (`../shared/vectors`, or the folder that `URLFILTER_VECTORS` names).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blocklist::diagnose::{Deviation, diagnose};
use blocklist::key::{EntryKind, canonicalise};
use filter_core::bloom::Parameters;
use filter_core::file::Description;
use filter_core::sub_url::SubUrlRule;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Folders with the files that every set of vectors has.
fn folders() -> Vec<PathBuf> {
    let mut folders = vec![repository().join("testvectors/prefilter")];
    let recorded = match env::var_os("URLFILTER_VECTORS") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(repository().join("../shared/vectors")).filter(|folder| folder.exists()),
    };
    folders.extend(recorded.map(|folder| folder.join("prefilter")));
    folders
}

/// Reads one file; a folder that lacks it is a failure.
fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Vec<T> {
    let path = folder.join(name);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let vectors: Vec<T> =
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(!vectors.is_empty(), "{}: no vectors", path.display());
    vectors
}

#[test]
fn the_beta_file_is_recognised() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Beta {
        keys: Vec<String>,
        bit_count: u32,
        hash_count: u32,
        murmur_seed: u32,
        data: String,
    }
    for folder in folders() {
        let path = folder.join("beta_2025.json");
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let beta: Beta = serde_json::from_slice(&text).unwrap();
        let parameters =
            Parameters::new(beta.bit_count, beta.hash_count, beta.murmur_seed).unwrap();
        let bytes = STANDARD.decode(beta.data).unwrap();
        let diagnosis = diagnose(parameters, &bytes, &Description::default(), &beta.keys, &[]);
        assert!(!diagnosis.is_healthy());
        let explanation = diagnosis.explanation.unwrap();
        assert_eq!(explanation.deviations, [Deviation::BetaFnv]);
        assert!(explanation.reproduces);
    }
}

#[test]
fn keys() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        entry: String,
        rule: SubUrlRule,
        key: Option<String>,
        also_key: Option<String>,
        #[serde(default)]
        remarks: Vec<String>,
        refused: Option<String>,
    }
    let folder = repository().join("testvectors/prefilter");
    for vector in read::<Vector>(&folder, "keys.json") {
        match canonicalise(&vector.entry, EntryKind::Url, &vector.rule.clone().into()) {
            Ok(key) => {
                assert_eq!(Some(&*key.text), vector.key.as_deref(), "{}", vector.entry);
                assert_eq!(key.others.first(), vector.also_key.as_ref(), "{}", vector.entry);
                let remarks: Vec<String> =
                    key.remarks.iter().map(|remark| remark.name().to_owned()).collect();
                assert_eq!(remarks, vector.remarks, "{}", vector.entry);
            }
            Err(refusal) => {
                assert_eq!(Some(refusal.name()), vector.refused.as_deref(), "{}", vector.entry)
            }
        }
    }
}
