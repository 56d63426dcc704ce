//! Files that a service is configured with, releases that it follows with their signatures and deltas, and a client's state.
#![no_main]

use filter_client::ClientState;
use libfuzzer_sys::fuzz_target;
use pir_dataset::publication::{Current, Deltas, Release, apply_delta};
use pir_server::Configuration;
use release_signature::{PublicKey, Signature};

fuzz_target!(|data: &[u8]| {
    let _ = Configuration::parse(data).map_err(|error| error.to_string());
    if let Ok(current) = Current::parse(data) {
        let text = serde_json::to_vec(&current).unwrap();
        assert_eq!(Current::parse(&text).unwrap(), current);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(signature) = Signature::parse(text) {
            assert_eq!(Signature::parse(&signature.to_string()).unwrap(), signature);
        }
        if let Ok(key) = PublicKey::parse(text) {
            assert_eq!(PublicKey::parse(&key.to_file()).unwrap(), key);
        }
    }
    if let Ok(release) = Release::parse(data) {
        for file in &release.files {
            let name = file.name.strip_prefix("filter/").unwrap_or(&file.name);
            assert!(!name.contains('/') && !name.starts_with('.'));
        }
        let text = serde_json::to_vec(&release).unwrap();
        assert_eq!(Release::parse(&text).unwrap(), release);
    }
    if let Ok(deltas) = Deltas::parse(data) {
        for delta in &deltas.deltas {
            for digest in [&delta.from, &delta.to, &delta.sha256] {
                assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
        }
        let text = serde_json::to_vec(&deltas).unwrap();
        assert_eq!(Deltas::parse(&text).unwrap(), deltas);
    }
    let (before, mut after) = ([7; 512], Vec::new());
    if apply_delta(&mut &data[..], &mut &before[..], before.len() as u64, &mut after).is_ok() {
        assert_eq!(after.len(), before.len());
    }
    if let Ok(state) = ClientState::from_bytes(data) {
        let again = state.to_bytes();
        assert!(ClientState::from_bytes(&again).is_ok());
    }
});
