//! Known answers: the project's own `testvectors/`, and recordings of other implementations where
//! they are at hand (`../shared/vectors`, or the folder that `URLFILTER_VECTORS` names).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use filter_core::Prefilter;
use filter_core::bloom::{BloomFilter, Parameters, Sizing};
use filter_core::file::tag;
use filter_core::hash::{Fnv1a, Murmur3};
use filter_core::sub_url::{SubUrlRule, System};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::ops::ControlFlow;
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

/// Runs a check over every vector of a file in every folder.
fn each<T: DeserializeOwned>(name: &str, check: impl Fn(T)) {
    for folder in folders() {
        read(&folder, name).into_iter().for_each(&check);
    }
}

#[test]
fn hashes() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        input: String,
        utf8_hex: String,
        fnv1a32: u32,
        #[serde(rename = "murmur3_32")]
        murmur3: BTreeMap<String, u32>,
    }
    each("hashes.json", |vector: Vector| {
        let bytes = vector.input.as_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, vector.utf8_hex);
        assert_eq!(Fnv1a::hash(bytes), vector.fnv1a32, "{}", vector.input);
        assert!(!vector.murmur3.is_empty());
        for (seed, expected) in vector.murmur3 {
            assert_eq!(
                Murmur3::hash(bytes, seed.parse().unwrap()),
                expected,
                "{} with {seed}",
                vector.input
            );
        }
    });
}

#[test]
fn indices() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        input: String,
        bit_count: u32,
        hash_count: u32,
        murmur_seed: u32,
        indices: Vec<u32>,
    }
    each("indices.json", |vector: Vector| {
        let parameters =
            Parameters::new(vector.bit_count, vector.hash_count, vector.murmur_seed).unwrap();
        let indices: Vec<u32> = parameters.indices(vector.input.as_bytes()).collect();
        assert_eq!(indices, vector.indices, "{} in {parameters:?}", vector.input);
    });
}

#[test]
fn sizing() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        n: u64,
        p: f64,
        rule: Sizing,
        bit_count: u32,
        hash_count: u32,
    }
    each("sizing.json", |vector: Vector| {
        let parameters = vector.rule.parameters(vector.n, vector.p, 0).unwrap();
        let sizes = (parameters.bit_count(), parameters.hash_count());
        assert_eq!(sizes, (vector.bit_count, vector.hash_count), "{vector:?}");
    });
}

#[test]
fn filters() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        keys: Vec<String>,
        false_positive_tolerance: f64,
        rule: Sizing,
        murmur_seed: u32,
        bit_count: u32,
        hash_count: u32,
        data: String,
        tag: String,
    }
    each("filters.json", |vector: Vector| {
        let count = vector.keys.len() as u64;
        let parameters = vector
            .rule
            .parameters(count, vector.false_positive_tolerance, vector.murmur_seed)
            .unwrap();
        assert_eq!(
            (parameters.bit_count(), parameters.hash_count()),
            (vector.bit_count, vector.hash_count)
        );
        let mut filter = BloomFilter::empty(parameters);
        filter.insert_all(vector.keys.iter().map(String::as_bytes));
        assert_eq!(STANDARD.encode(filter.bytes()), vector.data);
        assert_eq!(tag(filter.bytes()), vector.tag);
        assert!(vector.keys.iter().all(|key| filter.contains(key.as_bytes())));
    });
}

#[test]
fn sub_urls() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        url: String,
        #[serde(default)]
        rule: SubUrlRule,
        sub_urls: Vec<String>,
    }
    each("sub_urls.json", |mut vector: Vector| {
        let url = vector.rule.parse(&vector.url).unwrap();
        vector.sub_urls.sort();
        let sub_urls = url.sub_urls().sorted(10_000).unwrap();
        assert_eq!(sub_urls, vector.sub_urls, "{} under {:?}", vector.url, vector.rule);
    });
}

#[test]
fn systems() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        url: String,
        sub_urls: Vec<String>,
        uncertain: Vec<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OfSystem {
        system: System,
        sub_urls: Vec<Vector>,
    }
    #[derive(Deserialize)]
    struct Systems {
        systems: Vec<OfSystem>,
    }
    let path = repository().join("testvectors/prefilter/systems.json");
    let all: Systems = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(all.systems.len(), System::ALL.len());
    for OfSystem { system, sub_urls } in all.systems {
        let rule = SubUrlRule::System(system);
        for vector in sub_urls {
            let url = rule.parse(&vector.url).unwrap();
            let (mut found, mut uncertain) = (Vec::new(), Vec::new());
            let visited = url.sub_urls().for_each_graded(|sub_url, certainty| {
                found.push(sub_url.to_owned());
                if !certainty.is_certain() {
                    uncertain.push(sub_url.to_owned());
                }
                ControlFlow::<()>::Continue(())
            });
            assert!(visited.is_continue());
            found.sort();
            uncertain.sort();
            assert_eq!((found, uncertain), (vector.sub_urls, vector.uncertain), "{}", vector.url);
        }
    }
}

#[test]
fn files_to_take_and_to_refuse() {
    #[derive(Deserialize)]
    struct Vector {
        file: String,
        accepted: bool,
        why: String,
    }
    let folder = repository().join("testvectors/prefilter");
    let vectors: Vec<Vector> = read(&folder, "files.json");
    assert!(
        vectors.iter().any(|vector| vector.accepted)
            && vectors.iter().any(|vector| !vector.accepted)
    );
    for vector in vectors {
        let opened = Prefilter::open(folder.join(&vector.file));
        assert_eq!(
            opened.is_ok(),
            vector.accepted,
            "{} ({}): {:?}",
            vector.file,
            vector.why,
            opened.err()
        );
    }
}
