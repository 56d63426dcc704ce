//! Files of data sets are damaged, cut or missing when they are loaded.

use crate::support::{Case, Running, Settings};
use crate::{CASE, answers_are_right, budget, chance, client};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for minutes; URLFILTER_FAULTS sets how many"]
async fn files_are_damaged_cut_and_missing() {
    let rounds = budget();
    let mut chance = chance("files");
    let folder = tempfile::tempdir().unwrap();
    let text = Case::new(CASE).install(folder.path(), "data");
    // With a manifest as `urlfilter process` writes it: without one, damage is not noticed.
    let digest = |name: String| -> String {
        let content = fs::read(folder.path().join(name)).unwrap();
        Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let shards = (0..text.shards).map(|shard| {
        json!({
            "shard": shard,
            "databaseSha256": digest(format!("data-{shard}.bin")),
            "parametersSha256": digest(format!("data-{shard}.params.txtpb")),
        })
    });
    let shards: Vec<_> = shards.collect();
    let manifest = json!({ "version": 1, "shardCount": text.shards, "shards": shards });
    fs::write(folder.path().join("data-manifest.json"), manifest.to_string()).unwrap();
    let settings = Settings::new(vec![text]);
    let running = Running::start(folder, settings).await;
    let asking = client(&running.url, 1);
    let mut files: Vec<_> = fs::read_dir(running.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("data-"))
        .collect();
    files.sort();
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..rounds {
        let path = &files[chance.usize(..files.len())];
        let good = fs::read(path).unwrap();
        let mut bad = good.clone();
        let at = chance.usize(..bad.len());
        let bad = match chance.u64(..4) {
            0 => None,
            1 => {
                bad.truncate(at);
                Some(bad)
            }
            2 => {
                bad.splice(at..at, [0x55; 9]);
                Some(bad)
            }
            _ => {
                bad[at] ^= 1 << chance.u64(..8);
                Some(bad)
            }
        };
        // The file is replaced: writing into a mapped file would change what is served.
        let new_path = path.with_extension("new");
        match &bad {
            Some(bad) => {
                fs::write(&new_path, bad).unwrap();
                fs::rename(&new_path, path).unwrap();
            }
            None => fs::remove_file(path).unwrap(),
        }
        let outcome = running.service.reload().await;
        // A manifest may be missing, or say the same in other words: then the data set is the same. What it
        // names by its digest may not change.
        let is_manifest = path.extension().is_some_and(|extension| extension == "json");
        assert!(outcome.is_err() || is_manifest, "{}: {bad:?}", path.display());
        match outcome {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
        answers_are_right(&asking).await.unwrap();
        fs::write(&new_path, &good).unwrap();
        fs::rename(&new_path, path).unwrap();
        running.service.reload().await.unwrap();
        answers_are_right(&asking).await.unwrap();
    }
    println!(
        "files: {rounds} damaged, {refused} refused, {taken} without effect; every answer right"
    );
}
