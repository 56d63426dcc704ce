//! `urlfilter caller-id`: a list of phone numbers to the rows of Live Caller ID Lookup.

use crate::output::{Exit, Results, note};
use anyhow::{Context, bail};
use caller_id::{CallerRows, Icons};
use clap::ValueEnum;
use durable_file::{Access, PendingFile};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Name of the file with the rows that say whether a number is blocked.
const BLOCK_FILE: &str = "block.binpb";
/// Name of the file with the rows that say who calls.
const IDENTITY_FILE: &str = "identity.binpb";

/// Make the two data sets of Live Caller ID Lookup from a list of phone numbers
///
/// The list is a table of comma-separated values or a JSON list. A table's first line names its columns: `number`, such as
/// +14085551212, and any of `name`, `block` (true or false), `category` (person or business), `icon` (a HEIC file) and
/// `cacheMinutes`; the objects of a JSON list have the same fields. Each number has one entry, which blocks it, names
/// it, or both. Anything that devices could not look up or show is a mistake, named by its line, and nothing is written.
///
/// Writes block.binpb and identity.binpb, which `urlfilter process` takes as `inputDatabase`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter caller-id callers.csv --out dist --onboarding-entry
  urlfilter caller-id callers.json --icons icons --out dist

Exit codes:
  0  written
  2  failure, for example a number without its country code")]
pub(crate) struct Arguments {
    /// The list
    #[arg(value_name = "LIST")]
    list: PathBuf,
    /// Folder for the data sets; it is created if necessary
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Format of the list; by default that of its ending
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Folder with a file NUMBER.heic for each number with an icon, such as +14085551212.heic. Icons that the list names
    /// are relative to the list
    #[arg(long, value_name = "DIR")]
    icons: Option<PathBuf>,
    /// Add the number that Apple looks up before it approves a distribution, +14085551212 with its name
    #[arg(long)]
    onboarding_entry: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Comma-separated values, the names of columns first
    Csv,
    /// A list of objects
    Json,
}

fn format(arguments: &Arguments) -> anyhow::Result<Format> {
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    match arguments.list.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("json") => Ok(Format::Json),
        _ => bail!(
            "{}: give its format with --format csv or --format json",
            arguments.list.display()
        ),
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let format = format(arguments)?;
    let list = &arguments.list;
    let input = File::open(list).with_context(|| format!("cannot read {}", list.display()))?;
    let mut icons = Icons::none().relative_to(list.parent().unwrap_or(Path::new("")));
    if let Some(folder) = &arguments.icons {
        // Without it, every icon would be missing in silence.
        if !folder.is_dir() {
            bail!("{}: expected a folder of icons", folder.display());
        }
        icons = icons.by_number(folder);
    }
    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut block = PendingFile::create(&out.join(BLOCK_FILE), Access::Everyone)?;
    let mut identity = PendingFile::create(&out.join(IDENTITY_FILE), Access::Everyone)?;
    let writer = |file: &mut PendingFile| file.file_mut().try_clone().map(BufWriter::new);
    let mut rows = CallerRows::new(writer(&mut block)?, writer(&mut identity)?);
    let read = match format {
        Format::Csv => rows.add_csv(input, &icons),
        Format::Json => rows.add_json(input, &icons),
    };
    read.with_context(|| list.display().to_string())?;
    if arguments.onboarding_entry {
        rows.add_onboarding_entry()?;
    }
    let counts = rows.finish()?.counts;
    if counts.identities == 0 {
        bail!(
            "{}: nobody has a name, and devices need both data sets; name a caller, or add --onboarding-entry",
            list.display()
        );
    }
    block.commit()?;
    identity.commit()?;
    let mut results = Results::new();
    if arguments.json {
        results.json(&counts)?;
    } else {
        results.line(format_args!(
            "{} numbers, {} of them blocked; {} with a name, {} of them with an icon; the longest identity has {} bytes",
            counts.numbers, counts.blocked, counts.identities, counts.icons, counts.longest_identity
        ))?;
        note(format_args!(
            "wrote {} and {}",
            out.join(BLOCK_FILE).display(),
            out.join(IDENTITY_FILE).display()
        ));
    }
    results.finish()?;
    Ok(Exit::Success)
}
