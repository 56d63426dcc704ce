//! Configurations of data sets in a folder, and runs of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use pir_dataset::configuration::Configuration;
use pir_dataset::processing::{Outcome, Run, Summary};
use serde_json::{Value, json};
use std::path::Path;

/// The configuration of `in.txtpb` in a folder with some keys changed. The files of the data set begin with `stem` there.
pub(crate) fn configuration(folder: &Path, stem: &str, changes: &[&Value]) -> Configuration {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut json = json!({
        "rlweParameters": "n_4096_logq_27_28_28_logt_5",
        "inputDatabase": path("in.txtpb"),
        "outputDatabase": path(&format!("{stem}-SHARD_ID.bin")),
        "outputPirParameters": path(&format!("{stem}-SHARD_ID.params.txtpb")),
    });
    for (key, value) in changes.iter().flat_map(|changes| changes.as_object().unwrap()) {
        json[key] = value.clone();
    }
    Configuration::parse(json.to_string().as_bytes()).unwrap()
}

/// Finishes a run of all shards.
pub(crate) fn whole(run: Run<'_>) -> Summary {
    match run.finish().unwrap() {
        Outcome::Whole(summary) => summary,
        Outcome::Part(_) => panic!("a part"),
    }
}
