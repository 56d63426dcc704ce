//! Messages recorded between Apple's client and Apple's service, and files that Apple's tool wrote:
//! `testvectors/interop`, and more of the same kind where they are at hand (`../shared/vectors`, or
//! the folder that `URLFILTER_VECTORS` names).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use keyword_database::Reader;
use keyword_pir::ShardParameters;
use pir_api::convert;
use pir_api::{Message, api, he, pir, text};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn cases() -> Vec<PathBuf> {
    let mut folders = vec![repository().join("testvectors/interop/pir")];
    let recorded = match env::var_os("URLFILTER_VECTORS") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(repository().join("../shared/vectors")).filter(|folder| folder.exists()),
    };
    if let Some(folder) = recorded {
        folders.extend([folder.join("pir"), folder.join("synthetic/pir")]);
    }
    let cases: Vec<PathBuf> = folders.iter().flat_map(|folder| sorted(folder)).collect();
    assert!(!cases.is_empty());
    cases.into_iter().filter(|path| path.is_dir()).collect()
}

/// Recorded bodies whose file names have that ending.
fn bodies(case: &Path, ending: &str) -> Vec<Vec<u8>> {
    let paths = sorted(&case.join("record"));
    let named = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().ends_with(ending);
    let bodies: Vec<Vec<u8>> =
        paths.iter().filter(named).map(|path| fs::read(path).unwrap()).collect();
    assert!(!bodies.is_empty(), "{}: no {ending}", case.display());
    bodies
}

/// Reads a message and finds that it is written as the same bytes.
fn same_bytes<M: Message + Default>(body: &[u8]) -> M {
    let message = M::decode(body).unwrap();
    assert!(message.encode_to_vec() == body, "serialized bytes differ");
    message
}

#[test]
fn messages_are_written_as_they_were_read() {
    for case in cases() {
        for body in bodies(&case, "_config.request.bin") {
            same_bytes::<api::ConfigRequest>(&body);
        }
        for body in bodies(&case, "_config.response.bin") {
            let response = same_bytes::<api::ConfigResponse>(&body);
            let keys = response.key_info[0].key_config.clone().unwrap();
            for config in response.configs.into_values() {
                let Some(api::config::Config::PirConfig(published)) = config.config else {
                    panic!("{}: another kind of configuration", case.display())
                };
                assert_eq!(published.evaluation_key_config_hash, convert::key_config_hash(&keys));
                let shards = convert::config_shards(&published, &keys).unwrap();
                // Shards that are spelled out for old devices have the id of the short form.
                let short = convert::config_message(&shards).unwrap();
                assert_eq!(convert::config_id(&short)[..], config.config_id);
            }
        }
        for body in bodies(&case, "_queries.request.bin") {
            same_bytes::<api::Requests>(&body);
        }
        for body in bodies(&case, "_queries.response.bin") {
            same_bytes::<api::Responses>(&body);
        }
        for body in bodies(&case, "_key.request.bin") {
            // Its maps travel in any order.
            let keys = api::shared::EvaluationKeys::decode(&body[..]).unwrap();
            assert_eq!(keys.encoded_len(), body.len());
            assert!(
                api::shared::EvaluationKeys::decode(&keys.encode_to_vec()[..]).unwrap() == keys
            );
        }
        for body in bodies(&case, ".binpb") {
            same_bytes::<he::SerializedSecretKey>(&body);
        }
    }
}

#[test]
fn files_of_the_tool_are_read_and_written() {
    for case in cases() {
        let mut shards = Vec::new();
        while let Ok(content) = fs::read(case.join(format!("params-{}.txtpb", shards.len()))) {
            let message: pir::PirParameters = text::from_text(&content).unwrap();
            assert_eq!(text::to_text(&message).into_bytes(), content);
            shards.push(ShardParameters::try_from(&message).unwrap());
        }
        let content = fs::read(case.join("evaluation-key-config.txtpb")).unwrap();
        let message: he::EvaluationKeyConfig = text::from_text(&content).unwrap();
        assert_eq!(text::to_text(&message).into_bytes(), content);
        let union = convert::union_key_config(&shards).unwrap();
        assert_eq!(he::EvaluationKeyConfig::from(&union), message);

        // Our reader of rows agrees with a reader of the whole text format.
        let content = fs::read(case.join("input.txtpb")).unwrap();
        if content.len() <= text::MAX_TEXT {
            let whole: pir::KeywordDatabase = text::from_text(&content).unwrap();
            let mut reader = Reader::text(&content[..]);
            for expected in &whole.rows {
                let row = reader.next_row().unwrap().unwrap();
                assert_eq!((row.keyword, row.value), (&expected.keyword[..], &expected.value[..]));
            }
            assert!(reader.next_row().unwrap().is_none());
            let whole: pir::KeywordDatabase = text::from_text(&content).unwrap();
            let again = text::from_text::<pir::KeywordDatabase>(text::to_text(&whole).as_bytes());
            let too_long = |error: &text::TextError| matches!(error, text::TextError::TooLong(_));
            assert!(again.as_ref().map_or_else(too_long, |again| *again == whole));
        }
    }
}
