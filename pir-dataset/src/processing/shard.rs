//! One shard: from its rows to its files.

use super::context::Context;
use super::error::{LayoutFull, LayoutFullReason, ShardError};
use super::format::DatabaseFormat;
use super::outcome::TableFacts;
use super::plaintexts::{self, Earlier};
use super::rows::RowStore;
use super::trial::{self, Costs, KeyRing, Question};
use super::unfinished::{self, io_error, unfinished};
use crate::configuration::DatabaseType;
use crate::files::is_text;
use crate::manifest::ShardRecord;
use durable_file::Operation;
use keyword_pir::bucket::MAX_VALUE;
use keyword_pir::cuckoo::{BucketCount, CuckooError, CuckooTables, Row};
use keyword_pir::database::{self, Database, Digest};
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::{DatabaseError, Execution, ParameterError, Server, ShardParameters};
use pir_api::{Message, pir, text};
use std::fs::File;
use std::path::Path;

/// Below this load, a reused layout may have more than twice the size of a new one.
const MIN_LOAD: f64 = 0.45;

/// A finished shard, whose files have their unfinished names.
pub(super) struct Finished {
    pub(super) record: ShardRecord,
    pub(super) parameters: ShardParameters,
    pub(super) costs: Option<Costs>,
    pub(super) table: Option<TableFacts>,
    /// Plaintexts that were copied from the earlier database.
    pub(super) copied: u64,
}

fn parameters_error(source: ParameterError) -> ShardError {
    ShardError::Parameters { source }
}

fn arithmetic(source: keyword_pir::Error) -> ShardError {
    ShardError::Arithmetic { source }
}

fn database_error(path: &Path) -> impl FnOnce(DatabaseError) -> ShardError {
    move |source| ShardError::Database { path: path.to_owned(), source }
}

/// Says which row does not fit, and which setting would help.
fn explain(error: CuckooError, plan: &Plan, store: &RowStore, rows: &[u32]) -> ShardError {
    match error {
        CuckooError::TooLarge { row, length, .. } if length > MAX_VALUE => {
            ShardError::ValueTooLong { row: store.name(rows[row]), length, max: MAX_VALUE }
        }
        CuckooError::TooLarge { row, length, needed, limit } => {
            ShardError::BucketTooSmall { row: store.name(rows[row]), length, needed, limit }
        }
        CuckooError::Full { row, rows: count, buckets } => {
            let mut growing = plan.clone();
            growing.buckets =
                BucketCount::Expandable { expansion_factor: 1.1, target_load_factor: 0.9 };
            let all: Vec<Row<'_>> = rows.iter().map(|&row| store.row(row)).collect();
            let enough = CuckooTables::build(&growing.cuckoo(0), &all)
                .map_or(2 * buckets, |tables| {
                    (tables.buckets_per_table() * tables.tables()) as u64
                });
            ShardError::NoRoom { row: store.name(rows[row]), rows: count, buckets, enough }
        }
        source => ShardError::Tables { source },
    }
}

/// Size of a table, in bytes.
fn table_bytes(parameters: &ShardParameters) -> u64 {
    let description = parameters.description();
    description.entries * description.entry_size
}

/// The tables of a keyword shard, and its parameters.
///
/// # Errors
/// [`ShardError::LayoutFull`] if the shard is to keep a layout that the rows do not fit.
pub(super) fn tables<'r>(
    context: &Context<'r>,
    shard: u32,
    rows: &[u32],
) -> Result<(CuckooTables<'r>, ShardParameters), ShardError> {
    let plan = context.plan_of(shard);
    let all: Vec<Row<'_>> = rows.iter().map(|&row| context.rows.row(row)).collect();
    let built = CuckooTables::build(&plan.cuckoo(context.longest_value), &all);
    let Some(reused) = context.reused_parameters(shard) else {
        let tables = built.map_err(|error| explain(error, &plan, context.rows, rows))?;
        let parameters = plan.keyword_shard(&tables).map_err(parameters_error)?;
        return Ok((tables, parameters));
    };
    let full = |reason| ShardError::LayoutFull(LayoutFull { shard, reason });
    let tables = built.map_err(|error| match error {
        CuckooError::Full { .. } => full(LayoutFullReason::MoreRows),
        CuckooError::TooLarge { .. } => full(LayoutFullReason::LongerValue),
        source => ShardError::Tables { source },
    })?;
    if tables.load(reused.stored_entry_size()) < MIN_LOAD {
        // With few rows any layout is mostly empty, so a new one is the measure.
        let new = CuckooTables::build(&context.plan.cuckoo(context.longest_value), &all)
            .map_err(|source| ShardError::Tables { source })?;
        let new = context.plan.keyword_shard(&new).map_err(parameters_error)?;
        if 2 * table_bytes(&new) < table_bytes(reused) {
            return Err(full(LayoutFullReason::FewerRows));
        }
    }
    let parameters = plan.keyword_shard(&tables).map_err(parameters_error)?;
    match parameters == *reused {
        true => Ok((tables, parameters)),
        false => Err(full(LayoutFullReason::OtherLayout)),
    }
}

fn lay_out(
    context: &Context<'_>,
    shard: u32,
    rows: &[u32],
) -> Result<(Payloads, Option<TableFacts>), ShardError> {
    match context.configuration.database_type {
        DatabaseType::Keyword => {
            let (tables, parameters) = tables(context, shard, rows)?;
            let facts = TableFacts {
                load: tables.load(parameters.stored_entry_size()),
                max_slots: tables.max_slots(),
                evictions: tables.evictions(),
                expansions: tables.expansions(),
            };
            let payloads = Payloads::of_tables(parameters, &tables).map_err(arithmetic)?;
            Ok((payloads, Some(facts)))
        }
        DatabaseType::Index => {
            let entries: Vec<&[u8]> = rows.iter().map(|&row| context.rows.value(row)).collect();
            let Some(longest) = entries.iter().map(|entry| entry.len()).max() else {
                return Err(ShardError::NoRows);
            };
            let parameters = context
                .plan
                .index_shard(
                    entries.len() as u64,
                    longest as u64,
                    context.configuration.encoding_entry_size,
                )
                .map_err(parameters_error)?;
            Ok((Payloads::of_entries(parameters, &entries).map_err(arithmetic)?, None))
        }
    }
}

/// Makes the files of a shard under their unfinished names, and tries them with test queries. `earlier` is what the shard was.
pub(super) fn make(
    context: &Context<'_>,
    ring: &KeyRing,
    shard: u32,
    rows: &[u32],
    input_sha256: String,
    earlier: Option<&ShardRecord>,
) -> Result<Finished, ShardError> {
    let configuration = context.configuration;
    let (payloads, table) = lay_out(context, shard, rows)?;
    let parameters = payloads.parameters().clone();
    let path = configuration.output_database.of_shard(shard);
    let earlier = plaintexts::earlier(context, earlier, &payloads);
    let mut digest = None;
    let (database_sha256, database_bytes) = unfinished::write(&path, |path, mut out| {
        let (scheme, out) = (context.scheme, &mut out);
        match (context.format, &earlier) {
            (DatabaseFormat::Apple, _) => database::write_apple(scheme, &payloads, out),
            (DatabaseFormat::Native, None) => {
                database::write(scheme, &payloads, out).map(|written| digest = Some(written))
            }
            (DatabaseFormat::Native, Some(Earlier { database, is_same })) => {
                database::write_reusing(scheme, &payloads, database, is_same, out)
                    .map(|written| digest = Some(written))
            }
        }
        .map_err(database_error(path))
    })?;
    let copied = earlier.as_ref().map_or(0, Earlier::copied);
    drop(earlier);
    let plaintexts_sha256 = match digest {
        Some(digest) => {
            let content = plaintexts::content(context, &digest, &payloads);
            write_bytes(&plaintexts::path_of(&path), &content)?.0
        }
        None => String::new(),
    };
    let plaintexts = payloads.plaintexts().iter().flatten().count() as u64;
    drop(payloads);
    let costs =
        test_queries(context, ring, rows, &unfinished(&path), &parameters, digest.as_ref())?;
    let parameters_path = configuration.output_parameters.of_shard(shard);
    let (parameters_sha256, _) = write_parameters(&parameters_path, &parameters)?;
    let description = parameters.description();
    let record = ShardRecord {
        shard,
        input_sha256,
        layout_sha256: context.layout_sha256(shard),
        database_sha256,
        parameters_sha256,
        rows: rows.len() as u64,
        entries_per_table: description.entries,
        entry_size: description.entry_size,
        dimensions: description.dimensions.clone(),
        plaintexts,
        database_bytes,
        plaintexts_sha256,
    };
    Ok(Finished { record, parameters, costs, table, copied })
}

/// Tries the database that was written to `path`, with the digest of its content if it has one.
fn test_queries(
    context: &Context<'_>,
    ring: &KeyRing,
    rows: &[u32],
    path: &Path,
    parameters: &ShardParameters,
    written: Option<&Digest>,
) -> Result<Option<Costs>, ShardError> {
    let trials = context.configuration.trials_per_shard as usize;
    if trials == 0 || rows.is_empty() {
        return Ok(None);
    }
    let database = read_database(context, path, parameters, written)?;
    let server = Server::new(context.scheme.clone(), database).map_err(arithmetic)?;
    let step = (rows.len() / trials).max(1);
    let questions: Vec<Question<'_>> = (0..trials)
        .map(|trial| {
            let number = trial * step % rows.len();
            let row = rows[number];
            let value = context.rows.value(row);
            match context.configuration.database_type {
                DatabaseType::Keyword => {
                    Question::Keyword { keyword: context.rows.keyword(row), value }
                }
                DatabaseType::Index => Question::Entry { index: number as u64, value },
            }
        })
        .collect();
    // Apple's service multiplies by a second dimension of 1, too, which costs noise budget.
    let execution = match context.format {
        DatabaseFormat::Native => Execution::new(),
        DatabaseFormat::Apple => Execution::new().identical_to_reference(),
    };
    let min = context.min_noise_budget;
    Ok(Some(trial::run(ring, context.scheme, &server, &questions, execution, min)?))
}

fn read_database(
    context: &Context<'_>,
    path: &Path,
    parameters: &ShardParameters,
    written: Option<&Digest>,
) -> Result<Database, ShardError> {
    match (context.format, written) {
        (DatabaseFormat::Native, Some(written)) => {
            Database::open_written(path, written).map_err(database_error(path))
        }
        (DatabaseFormat::Native, None) => Database::open(path).map_err(database_error(path)),
        (DatabaseFormat::Apple, _) => {
            let file = File::open(path).map_err(io_error(Operation::Read, path))?;
            Database::read_apple(context.scheme, parameters.clone(), file)
                .map_err(database_error(path))
        }
    }
}

fn write_parameters(
    path: &Path,
    parameters: &ShardParameters,
) -> Result<(String, u64), ShardError> {
    let message = pir::PirParameters::from(parameters);
    let bytes = match is_text(path) {
        true => text::to_text(&message).into_bytes(),
        false => message.encode_to_vec(),
    };
    write_bytes(path, &bytes)
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(String, u64), ShardError> {
    unfinished::write(path, |path, out| {
        out.write_all(bytes).map_err(|error| io_error(Operation::Write, path)(error).into())
    })
}
