//! Processes rows and reads the manifest back: `cargo run -p pir-dataset --example process`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use pir_dataset::configuration::Configuration;
use pir_dataset::processing::{Outcome, Run};
use pir_dataset::progress::{Phase, Progress};
use pir_dataset::{DataSetFiles, Manifest};
use std::error::Error;

/// Prints the phases of a run.
struct Phases;

impl Progress for Phases {
    fn begin(&self, phase: Phase, total: u64) {
        println!("{phase:?} ({total})");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let rows: String = (0..1_000)
        .map(|i| format!("rows {{ keyword: \"host{i}.example\" value: \"1\" }}\n"))
        .collect();
    std::fs::write(path("rows.txtpb"), rows)?;
    let json = serde_json::json!({
        "rlweParameters": "n_4096_logq_27_28_28_logt_5",
        "inputDatabase": path("rows.txtpb"),
        "outputDatabase": path("urls-SHARD_ID.bin"),
        "outputPirParameters": path("urls-SHARD_ID.params.txtpb"),
        "sharding": { "shardCount": 2 },
    });
    let configuration = Configuration::parse(json.to_string().as_bytes())?;
    match Run::new(&configuration).progress(&Phases).finish()? {
        Outcome::Whole(summary) => println!("{} rows: {}", summary.rows, summary.manifest),
        Outcome::Part(part) => println!("shards {} to {}", part.first_shard, part.end_shard),
    }

    // What a service does before it serves the files.
    let files = DataSetFiles::new(path("urls"));
    let manifest = Manifest::read(&files.manifest())?;
    manifest.check_files(&files, 2)?;
    for shard in &manifest.shards {
        println!("shard {}: {} rows, {} bytes", shard.shard, shard.rows, shard.database_bytes);
    }
    Ok(())
}
