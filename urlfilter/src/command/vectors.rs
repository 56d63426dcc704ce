//! `urlfilter vectors`: the test vectors that this project publishes.

use crate::output::{Exit, note};
use std::path::PathBuf;

/// Write the published test vectors, or compare a folder with them
///
/// The same version always writes the same files.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter vectors --out testvectors
  urlfilter vectors --check testvectors

Exit codes:
  0  the files are written, or agree
  1  some files differ (--check)
  2  failure")]
#[group(required = true, multiple = false)]
pub(crate) struct Arguments {
    /// Folder to write to; the vectors of prefilters go to its folder `prefilter`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder to compare; differences are reported on standard error
    #[arg(long, value_name = "DIR")]
    check: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(folder) = &arguments.out {
        let count = testvectors::write(folder)?;
        note(format_args!("{count} files written to {}", folder.display()));
    }
    let Some(folder) = &arguments.check else { return Ok(Exit::Success) };
    let differences = testvectors::check(folder)?;
    for difference in &differences {
        note(format_args!("{}: {difference}", folder.display()));
    }
    Ok(if differences.is_empty() { Exit::Success } else { Exit::Attention })
}
