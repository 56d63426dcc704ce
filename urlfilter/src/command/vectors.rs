//! `urlfilter vectors`: the test vectors that this project publishes.

use crate::output::{DONE, note};
use crate::vectors;
use anyhow::Context;
use std::fs;
use std::path::PathBuf;

/// Write the published test vectors
///
/// The same version always writes the same files.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  urlfilter vectors --out testvectors

Exit codes: 0 written; 2 trouble.")]
pub(crate) struct Arguments {
    /// Folder to write to; the vectors of the prefilter go to `prefilter` in it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let files = vectors::all()?;
    for file in &files {
        let path = arguments.out.join(&file.path);
        let folder = path.parent().context("a vector without a folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        durable_file::write(&path, durable_file::Access::Everyone, &file.content)?;
    }
    note(format_args!("{} files written to {}", files.len(), arguments.out.display()));
    Ok(DONE)
}
