//! Processed databases, native and of the reference's tool.
#![no_main]

use bfv::Parameters;
use keyword_pir::database::{Database, FileBytes, format};
use keyword_pir::{DatabaseKind, Scheme, Server, ShardDescription, ShardParameters};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

static SCHEME: LazyLock<Scheme> = LazyLock::new(|| {
    Scheme::new(Parameters::predefined("insecure_n_8_logq_5x18_logt_5").unwrap()).unwrap()
});
static SHARD: LazyLock<ShardParameters> = LazyLock::new(|| {
    ShardDescription {
        encryption: SCHEME.parameters().clone(),
        kind: DatabaseKind::Index { encodes_entry_size: false },
        entries: 4,
        entry_size: 4,
        dimensions: vec![2, 2],
        batch_size: 1,
        galois_elements: vec![3, 5, 9],
        has_relinearization_key: true,
    }
    .check()
    .unwrap()
});

/// A file whose lengths and digests are right, so that what they protect is reached.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut file = data.to_vec();
    file.resize(file.len().max(32).next_multiple_of(4096), 0);
    let length = file.len() as u32;
    file[..8].copy_from_slice(format::MAGIC);
    file[8..12].copy_from_slice(&format::VERSION.to_le_bytes());
    file[12..16].copy_from_slice(&length.to_le_bytes());
    let size = u64::from(u16::from_le_bytes([file[24], file[25]]));
    file[24..32].copy_from_slice(&size.to_le_bytes());
    let header = file.clone();
    let words = vec![0_u8; size as usize];
    let digests: Vec<u8> = words.chunks(format::BLOCK).flat_map(Sha256::digest).collect();
    file.extend(&words);
    file.extend(&digests);
    file.extend(Sha256::new().chain_update(&header).chain_update(&digests).finalize());
    file
}

fuzz_target!(|data: &[u8]| {
    for file in [data.to_vec(), sealed(data)] {
        if let Ok(database) = Database::from_bytes(FileBytes::copy(&file)) {
            let _ = Server::new(SCHEME.clone(), database);
        }
    }
    if let Ok(database) = Database::read_apple(&SCHEME, SHARD.clone(), data) {
        assert!(database.present() <= SHARD.plaintexts());
    }
});
