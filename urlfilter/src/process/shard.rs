//! One shard: from its rows to its files.

use super::manifest::ShardRecord;
use super::store::RowStore;
use super::trial::{self, Costs, KeyRing, Question};
use crate::process::Run;
use anyhow::{Context, bail};
use keyword_pir::cuckoo::{BucketCount, CuckooError, CuckooTables, Row};
use keyword_pir::database::{self, Database};
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::{Server, ShardParameters};
use pir_api::processing::DatabaseType;
use pir_api::{Message, convert, text};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The file of a shard before it is moved to its place.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Passes bytes on and keeps their digest and number.
struct Digesting<F> {
    file: F,
    digest: Sha256,
    length: u64,
}

impl<F> Digesting<F> {
    fn of(file: F) -> Self {
        Self { file, digest: Sha256::new(), length: 0 }
    }

    /// The digest of what was passed on.
    fn hex(self) -> String {
        hex(&self.digest.finalize())
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The digest of a file, if it can be read.
pub(crate) fn file_digest(path: &Path) -> Option<String> {
    let mut out = Digesting::of(io::sink());
    io::copy(&mut BufReader::with_capacity(1 << 18, File::open(path).ok()?), &mut out).ok()?;
    Some(out.hex())
}

/// Writes a file beside its place; returns its digest and length.
pub(crate) fn write_unfinished(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<(String, u64)> {
    let path = unfinished(path);
    let name = || path.display().to_string();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(name)?;
    }
    let file = File::create(&path).with_context(name)?;
    let mut out = Digesting::of(BufWriter::with_capacity(1 << 18, file));
    write(&mut out).with_context(name)?;
    let Digesting { file, digest, length } = out;
    let file = file.into_inner().map_err(|error| error.into_error()).with_context(name)?;
    file.sync_data().with_context(name)?;
    Ok((hex(&digest.finalize()), length))
}

/// A finished shard.
pub(crate) struct Finished {
    pub(crate) record: ShardRecord,
    pub(crate) parameters: ShardParameters,
    pub(crate) costs: Option<Costs>,
    pub(crate) table: Option<TableFacts>,
}

/// How the tables were filled.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TableFacts {
    pub(crate) load: f64,
    pub(crate) most_slots: usize,
    pub(crate) evictions: u64,
    pub(crate) expansions: u32,
}

/// What to do about a table that cannot be filled.
fn remedy(error: CuckooError, plan: &Plan, store: &RowStore, rows: &[u32]) -> anyhow::Error {
    match error {
        CuckooError::TooLarge { row, length, needed, limit } => {
            let name = store.name(rows[row]);
            if length > keyword_pir::bucket::MAX_VALUE {
                return anyhow::anyhow!(
                    "{name}: a value of {length} bytes; the format has room for 65535"
                );
            }
            anyhow::anyhow!(
                "{name}: a value of {length} bytes needs a bucket of {needed} bytes, and \
                 cuckooTableArguments.maxSerializedBucketSize is {limit}: raise it to at least \
                 {needed}, or shorten the value"
            )
        }
        CuckooError::Full { row, rows: count, buckets } => {
            let name = store.name(rows[row]);
            let mut growing = plan.clone();
            growing.buckets =
                BucketCount::Expandable { expansion_factor: 1.1, target_load_factor: 0.9 };
            let all: Vec<Row<'_>> = rows.iter().map(|&row| store.row(row)).collect();
            let enough = CuckooTables::build(&growing.cuckoo(0), &all)
                .map_or(2 * buckets, |tables| {
                    (tables.buckets_per_table() * tables.tables()) as u64
                });
            anyhow::anyhow!(
                "{name}: no room; {count} rows do not fit {buckets} buckets: raise \
                 cuckooTableArguments.bucketCount.fixedSize.bucketCount (these rows fit {enough}), \
                 or sharding.shardCount"
            )
        }
        other => other.into(),
    }
}

/// Rows do not fit the layout that their shard had, or are too few for it.
#[derive(Debug, thiserror::Error)]
#[error("shard {shard}: {reason}")]
pub(crate) struct Outgrown {
    shard: u32,
    reason: &'static str,
}

/// Below this load, a kept layout may cost twice what a new one would.
const LEAST_LOAD: f64 = 0.45;

fn size(parameters: &ShardParameters) -> u64 {
    let description = parameters.description();
    description.entries * description.entry_size
}

/// The tables of a keyword shard, and its parameters.
pub(crate) fn tables<'s>(
    run: &Run<'s>,
    shard: u32,
    rows: &[u32],
) -> anyhow::Result<(CuckooTables<'s>, ShardParameters)> {
    let (store, kept) = (run.store, run.kept_shard(shard));
    let plan = run.plan(shard);
    let all: Vec<Row<'_>> = rows.iter().map(|&row| store.row(row)).collect();
    let built = CuckooTables::build(&plan.cuckoo(run.longest_value), &all);
    let Some(kept) = kept else {
        let tables = built.map_err(|error| remedy(error, &plan, store, rows))?;
        let parameters = plan.keyword_shard(&tables)?;
        return Ok((tables, parameters));
    };
    let outgrown = |reason| Outgrown { shard, reason };
    let tables = match built {
        Ok(tables) => tables,
        Err(CuckooError::Full { .. }) => {
            return Err(outgrown("more rows than there is room for").into());
        }
        Err(CuckooError::TooLarge { .. }) => {
            return Err(outgrown("a value that is longer than there is room for").into());
        }
        Err(error) => return Err(error.into()),
    };
    if tables.load(kept.stored_entry_size()) < LEAST_LOAD {
        // Of few rows any layout is mostly empty.
        let plan = &run.configuration.plan;
        let new = CuckooTables::build(&plan.cuckoo(run.longest_value), &all)?;
        if 2 * size(&plan.keyword_shard(&new)?) < size(kept) {
            return Err(outgrown("far fewer rows than there is room for").into());
        }
    }
    let parameters = plan.keyword_shard(&tables)?;
    match parameters == *kept {
        true => Ok((tables, parameters)),
        false => Err(outgrown("another layout").into()),
    }
}

fn layout(
    run: &Run<'_>,
    shard: u32,
    rows: &[u32],
) -> anyhow::Result<(Payloads, Option<TableFacts>)> {
    let (configuration, store) = (run.configuration, run.store);
    match configuration.database_type {
        DatabaseType::Keyword => {
            let (tables, parameters) = tables(run, shard, rows)?;
            let facts = TableFacts {
                load: tables.load(parameters.stored_entry_size()),
                most_slots: tables.most_slots(),
                evictions: tables.evictions(),
                expansions: tables.expansions(),
            };
            Ok((Payloads::of_tables(parameters, &tables)?, Some(facts)))
        }
        DatabaseType::Index => {
            let entries: Vec<&[u8]> = rows.iter().map(|&row| store.value(row)).collect();
            if entries.is_empty() {
                bail!("a shard without rows; choose a smaller sharding.shardCount");
            }
            let longest = entries.iter().map(|entry| entry.len()).max().unwrap_or(0);
            let parameters = configuration.plan.index_shard(
                entries.len() as u64,
                longest as u64,
                configuration.encoding_entry_size,
            )?;
            Ok((Payloads::of_entries(parameters, &entries)?, None))
        }
    }
}

/// Makes the files of a shard, and tries them. The digest is that of its rows.
pub(crate) fn make(
    run: &Run<'_>,
    ring: &KeyRing,
    shard: u32,
    rows: &[u32],
    input_sha256: String,
) -> anyhow::Result<Finished> {
    let configuration = run.configuration;
    let (payloads, table) = layout(run, shard, rows)?;
    let parameters = payloads.parameters().clone();
    let path = configuration.output_database.of_shard(shard);
    let (database_sha256, database_bytes) = write_unfinished(&path, |mut out| {
        match run.format {
            super::DatabaseFormat::Native => {
                database::write(run.scheme, &payloads, &mut out)?;
            }
            super::DatabaseFormat::Apple => {
                database::write_apple(run.scheme, &payloads, &mut out)?;
            }
        }
        Ok(())
    })?;
    let plaintexts = payloads.plaintexts().iter().flatten().count() as u64;
    drop(payloads);
    let costs = match configuration.trials_per_shard {
        0 => None,
        _ if rows.is_empty() => None,
        trials => {
            let database = read(run, &unfinished(&path), &parameters)?;
            let server = Server::new(run.scheme.clone(), database)?;
            let step = (rows.len() / trials as usize).max(1);
            let questions: Vec<Question<'_>> = (0..trials as usize)
                .map(|trial| {
                    let number = trial * step % rows.len();
                    let row = rows[number];
                    let value = run.store.value(row);
                    match configuration.database_type {
                        DatabaseType::Keyword => {
                            Question::Keyword { keyword: run.store.keyword(row), value }
                        }
                        DatabaseType::Index => Question::Entry { index: number as u64, value },
                    }
                })
                .collect();
            Some(trial::run(ring, run.scheme, &server, &questions)?)
        }
    };
    let (parameters_sha256, _) =
        write_parameters(&configuration.output_parameters.of_shard(shard), &parameters)?;
    let description = parameters.description();
    let record = ShardRecord {
        shard,
        input_sha256,
        layout_sha256: run.layout_digest(shard),
        database_sha256,
        parameters_sha256,
        rows: rows.len() as u64,
        entries_per_table: description.entries,
        entry_size: description.entry_size,
        dimensions: description.dimensions.clone(),
        plaintexts,
        database_bytes,
    };
    Ok(Finished { record, parameters, costs, table })
}

fn read(run: &Run<'_>, path: &Path, parameters: &ShardParameters) -> anyhow::Result<Database> {
    let name = || path.display().to_string();
    match run.format {
        super::DatabaseFormat::Native => Database::open(path).with_context(name),
        super::DatabaseFormat::Apple => {
            let file = File::open(path).with_context(name)?;
            Database::read_apple(run.scheme, parameters.clone(), file).with_context(name)
        }
    }
}

pub(crate) fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "txtpb")
}

fn write_parameters(path: &Path, parameters: &ShardParameters) -> anyhow::Result<(String, u64)> {
    let message = convert::shard_message(parameters);
    let bytes = match is_text(path) {
        true => text::to_text(&message).into_bytes(),
        false => message.encode_to_vec(),
    };
    write_unfinished(path, |out| Ok(out.write_all(&bytes)?))
}

/// The parameters of a finished shard, of which the file may not be at its place yet.
pub(crate) fn read_parameters(place: &Path, path: &Path) -> anyhow::Result<ShardParameters> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let message = match is_text(place) {
        true => text::from_text(&bytes)?,
        false => Message::decode(&bytes[..])?,
    };
    Ok(convert::shard_parameters(&message)?)
}
