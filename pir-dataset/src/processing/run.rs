//! A run: the order of its steps.

mod foreign;

use super::context::Context;
use super::error::{ProcessError, ShardError};
use super::fingerprint;
use super::format::DatabaseFormat;
use super::journal::Journals;
use super::layout::{self, Circumstances};
use super::names;
use super::outcome::{Layouts, Outcome, PartSummary, ShardSummary, Summary};
use super::plaintexts;
use super::reuse::ReusedLayout;
use super::rows::{self, RowStore, ShardRows};
use super::selection::ShardSelection;
use super::shard::{self, Finished};
use super::trial::{KeyRing, MIN_NOISE_BUDGET};
use super::unfinished::{create_folder_of, io_error, is_regular, remove, unfinished};
use crate::configuration::{Configuration, DatabaseType, ShardCount, SymmetricPir};
use crate::files::{self, is_text};
use crate::manifest::{self, Manifest, ShardRecord};
use crate::progress::{Notice, Phase, Progress, Running, Silent};
use durable_file::{Access, FileError, Operation, PendingFile};
use keyword_pir::plan::Plan;
use keyword_pir::{Scheme, ShardParameters};
use pir_api::{Message, convert, he, text};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Processes a configuration: rows to the files of a data set.
#[must_use = "nothing happens before `finish`"]
pub struct Run<'r> {
    configuration: &'r Configuration,
    format: DatabaseFormat,
    jobs: Option<NonZero<usize>>,
    selection: Option<ShardSelection>,
    fresh: bool,
    replace_foreign: bool,
    min_noise_budget: f64,
    progress: &'r dyn Progress,
}

impl<'r> Run<'r> {
    /// A run of all shards, with a thread for each core, in the native format.
    pub fn new(configuration: &'r Configuration) -> Self {
        Self {
            configuration,
            format: DatabaseFormat::default(),
            jobs: None,
            selection: None,
            fresh: false,
            replace_foreign: false,
            min_noise_budget: MIN_NOISE_BUDGET,
            progress: &Silent,
        }
    }

    /// How the databases are written.
    pub fn format(mut self, format: DatabaseFormat) -> Self {
        self.format = format;
        self
    }

    /// Number of threads; by default one for each core.
    pub fn jobs(mut self, jobs: NonZero<usize>) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// Makes some shards only. A later run without a selection finishes the data set.
    pub fn selection(mut self, selection: ShardSelection) -> Self {
        self.selection = Some(selection);
        self
    }

    /// Whether the layout of the previous data set is ignored: then equal inputs and configurations give
    /// equal bytes, whatever was there before.
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Whether files are replaced that no run of this program has made. Default: no, so that the files of another tool are
    /// there for the way back.
    pub fn replace_foreign(mut self, replace_foreign: bool) -> Self {
        self.replace_foreign = replace_foreign;
        self
    }

    /// Noise budget, in bits, that each test query must leave. Default: 2, with which no lookup fails. With less,
    /// some may (section 10 of `docs/pir.md`).
    pub fn min_noise_budget(mut self, bits: f64) -> Self {
        self.min_noise_budget = bits;
        self
    }

    /// Who is told how far the run is.
    pub fn progress(mut self, progress: &'r dyn Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// [`ProcessError`]. The previous data set is as it was unless the error is about renaming a file.
    pub fn finish(self) -> Result<Outcome, ProcessError> {
        let start = Instant::now();
        names::check(self.configuration)?;
        let mut builder = rayon::ThreadPoolBuilder::new();
        if let Some(jobs) = self.jobs {
            builder = builder.num_threads(jobs.get());
        }
        let pool =
            builder.build().map_err(|error| ProcessError::Threads { source: error.into() })?;
        let rows = rows::read(self.configuration, self.progress)?;
        pool.install(|| self.process(rows, start))
    }

    fn process(&self, rows: RowStore, start: Instant) -> Result<Outcome, ProcessError> {
        let configuration = self.configuration;
        let mut plan = configuration.plan.clone();
        let mut rows = match &configuration.symmetric {
            Some(symmetric) => self.encrypt(symmetric, rows, &mut plan)?,
            None => rows,
        };
        if rows.len() == 0 {
            self.progress.notice(Notice::NoRows);
        }
        let row_count = rows.len() as u64;
        let manifest_path = configuration.manifest_path();
        let existing = existing_manifest(&manifest_path);
        let previous = existing.as_ref().filter(|_| !self.fresh);
        let journals = Journals::beside(&manifest_path);
        let journaled = journals.records();
        let circumstances = Circumstances {
            format: self.format,
            longest_value: rows.longest_value(),
            previous,
            journaled: &journaled,
        };
        let chosen = layout::choose(configuration, plan, &circumstances);
        let plan = chosen.plan;
        let cost = layout::lookup_cost(configuration, &plan, &rows);
        let earlier = previous.map(|previous| previous.shard_count);
        let ShardCount { count: shard_count, rounding } =
            configuration.sharding.choose(row_count, earlier, &cost);
        if shard_count > 1 && !configuration.output_database.has_shard_id() {
            return Err(ProcessError::ShardIdMissing { shard_count });
        }
        let selection = self.selection.as_ref();
        let selected = selection.map(|selection| selection.range(shard_count)).transpose()?;
        let divided = match configuration.database_type {
            DatabaseType::Keyword => rows.by_keyword(plan.sharding, shard_count)?,
            DatabaseType::Index => rows.by_number(shard_count),
        };
        let scheme = Scheme::new(plan.encryption.clone())
            .map_err(|source| ProcessError::Scheme { source })?;
        let reused = previous
            .map(|previous| ReusedLayout::read(configuration, &plan, previous, shard_count));
        let (reused, mut renewed_because) = match reused {
            None => (None, None),
            Some(Ok(reused)) => (reused, None),
            Some(Err(reason)) => (None, Some(reason.to_string())),
        };
        let settings = fingerprint::settings(
            &plan,
            self.format,
            configuration.database_type,
            configuration.encoding_entry_size,
        );
        let mut context = Context {
            configuration,
            plan: &plan,
            format: self.format,
            min_noise_budget: self.min_noise_budget,
            longest_value: circumstances.longest_value,
            rows: &rows,
            scheme: &scheme,
            settings,
            reused: reused.as_ref(),
        };
        let maker =
            Maker { journals, manifest_path, existing: existing.as_ref(), progress: self.progress };
        if !self.replace_foreign {
            maker.refuse_foreign(configuration, self.format, shard_count)?;
        }
        let mut made = maker.make_shards(&context, &divided, selected.as_ref());
        if let Err(error) = &made
            && let Some(full) = error.layout_full()
        {
            // Clients must fetch a new configuration anyway, so every shard gets room to grow.
            renewed_because = Some(full.to_string());
            context.reused = None;
            made = maker.make_shards(&context, &divided, selected.as_ref());
        }
        let made = made?;
        if let Some(selected) = selected {
            return Ok(Outcome::Part(PartSummary {
                rows: row_count,
                shard_count,
                first_shard: selected.start,
                end_shard: selected.end,
                reused_shards: reused_shards(&made),
                seconds: start.elapsed().as_secs_f64(),
                shards: made.into_iter().map(Made::summary).collect(),
            }));
        }
        let layouts = match (&renewed_because, context.reused) {
            (Some(_), _) => Layouts::Renewed,
            (None, Some(_)) => Layouts::Kept,
            (None, None) => Layouts::New,
        };
        let manifest = maker.finish(&context, &made)?;
        let cheaper_layout = chosen.cheaper.map(|cheaper| {
            let shard_rows = row_count.div_ceil(u64::from(shard_count));
            layout::lookup_cost(configuration, &cheaper, &rows)(shard_rows) / cost(shard_rows)
        });
        let existing = existing.as_ref();
        Ok(Outcome::Whole(Summary {
            rows: row_count,
            shard_count,
            reused_shards: reused_shards(&made),
            rows_before: existing.map(|existing| existing.rows),
            layout: chosen.name,
            cheaper_layout: cheaper_layout.filter(|ratio| *ratio < 1.0),
            rounding,
            layouts,
            renewed_because,
            same_configuration: existing.map(|existing| existing.config_id == manifest.config_id),
            same_evaluation_keys: existing.map(|existing| {
                existing.evaluation_key_config_sha256 == manifest.evaluation_key_config_sha256
            }),
            config_id: manifest.config_id,
            evaluation_key_config_sha256: manifest.evaluation_key_config_sha256,
            manifest: maker.manifest_path.display().to_string(),
            seconds: start.elapsed().as_secs_f64(),
            shards: made.into_iter().map(Made::summary).collect(),
        }))
    }

    #[cfg(not(feature = "symmetric"))]
    fn encrypt(
        &self,
        _: &SymmetricPir,
        _: RowStore,
        _: &mut Plan,
    ) -> Result<RowStore, ProcessError> {
        Err(ProcessError::SymmetricNotSupported)
    }

    #[cfg(feature = "symmetric")]
    fn encrypt(
        &self,
        symmetric: &SymmetricPir,
        rows: RowStore,
        plan: &mut Plan,
    ) -> Result<RowStore, ProcessError> {
        if self.selection.is_some() && symmetric.database_encryption_key_file_path.is_none() {
            return Err(ProcessError::SharedDatabaseKey);
        }
        let key = super::database_key::read_or_create(symmetric)?;
        let phase = Running::begin(self.progress, Phase::EncryptingRows, rows.len() as u64);
        let rows = rows
            .encrypt(&key, |rows| phase.advance(rows))
            .map_err(|error| ProcessError::Encryption { source: error.into() })?;
        plan.symmetric =
            Some(keyword_pir::SymmetricParameters { server_public_key: key.public_key() });
        Ok(rows)
    }
}

/// The manifest of the data set that is there. One that is missing or damaged only means that nothing is
/// reused.
fn existing_manifest(path: &Path) -> Option<Manifest> {
    Manifest::read(path).ok().filter(Manifest::is_complete)
}

/// Where the files of a shard come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This run made them.
    New,
    /// A run made them that was interrupted, or one of some shards. They have their unfinished names.
    Unfinished,
    /// They are files of the existing data set.
    InPlace,
}

struct Made {
    finished: Finished,
    origin: Origin,
}

impl Made {
    fn summary(self) -> ShardSummary {
        ShardSummary {
            record: self.finished.record,
            costs: self.finished.costs,
            table: self.finished.table,
            reused: self.origin != Origin::New,
            copied_plaintexts: self.finished.copied,
        }
    }
}

fn reused_shards(made: &[Made]) -> u32 {
    made.iter().filter(|made| made.origin != Origin::New).count() as u32
}

type Records = BTreeMap<u32, Vec<ShardRecord>>;

fn by_shard(records: impl IntoIterator<Item = ShardRecord>) -> Records {
    let mut all = Records::new();
    for record in records {
        all.entry(record.shard).or_default().push(record);
    }
    all
}

/// Makes the shards of a run and moves them to their destinations.
struct Maker<'r> {
    manifest_path: PathBuf,
    journals: Journals,
    existing: Option<&'r Manifest>,
    progress: &'r dyn Progress,
}

impl Maker<'_> {
    /// Makes the selected shards, as far as no earlier run has made them.
    fn make_shards(
        &self,
        context: &Context<'_>,
        divided: &[ShardRows],
        selected: Option<&Range<u32>>,
    ) -> Result<Vec<Made>, ProcessError> {
        create_folder_of(&self.manifest_path)?;
        let in_place =
            by_shard(self.existing.iter().flat_map(|existing| existing.shards.iter().cloned()));
        let unfinished = by_shard(self.journals.records());
        let journal = self.journals.open(selected)?;
        let all = 0..divided.len() as u32;
        let wanted = selected.cloned().unwrap_or(all.clone());
        if selected.is_some() && context.reused.is_some() {
            // Runs of other shards must come to the same decision about the layouts.
            all.into_par_iter().filter(|shard| !wanted.contains(shard)).try_for_each(|shard| {
                let tables = shard::tables(context, shard, &divided[shard as usize]);
                tables.map(drop).map_err(|source| ProcessError::Shard { shard, source })
            })?;
        }
        let ring = KeyRing::default();
        let phase = Running::begin(self.progress, Phase::MakingShards, wanted.len() as u64);
        let make = |shard: u32| -> Result<Made, ShardError> {
            let rows = &divided[shard as usize];
            let input_sha256 = context.input_sha256(rows);
            let layout_sha256 = context.layout_sha256(shard);
            let matches = |record: &ShardRecord| record.layout_sha256 == layout_sha256;
            let candidates = [
                // What is in place has the layout that is to be kept, whatever it was chosen for.
                (Origin::InPlace, &in_place, context.reused.is_some()),
                (Origin::Unfinished, &unfinished, false),
            ];
            for (origin, records, any_layout) in candidates {
                let usable = |record: &ShardRecord| {
                    record.input_sha256 == input_sha256 && (any_layout || matches(record))
                };
                let record = records.get(&shard).and_then(|all| all.iter().rfind(|r| usable(r)));
                if let Some(record) = record
                    && let Some(finished) = reuse_shard(context, record, origin)?
                {
                    phase.advance(1);
                    return Ok(Made { finished, origin });
                }
            }
            let earlier = in_place.get(&shard).and_then(|records| records.last());
            let finished = shard::make(context, &ring, shard, rows, input_sha256, earlier)?;
            journal.add(&finished.record)?;
            phase.advance(1);
            Ok(Made { finished, origin: Origin::New })
        };
        wanted
            .into_par_iter()
            .map(|shard| make(shard).map_err(|source| ProcessError::Shard { shard, source }))
            .collect()
    }

    /// Renames all files to their destinations, the manifest last, and removes what is left over.
    fn finish(&self, context: &Context<'_>, made: &[Made]) -> Result<Manifest, ProcessError> {
        let configuration = context.configuration;
        let existing = self.existing.iter().flat_map(|existing| &existing.shards);
        let journaled = self.journals.records();
        let last = existing.chain(&journaled).map(|record| record.shard).max();
        let (manifest, keys) = self.manifest(context, made)?;

        // All content is written before the first rename.
        let mut pending = Vec::new();
        if let Some(path) = &configuration.output_evaluation_key_config {
            pending.push(pending_file(path, &keys)?);
        }
        pending.push(pending_file(&self.manifest_path, &manifest.to_json())?);
        let mut renamed = Vec::new();
        for made in made.iter().filter(|made| made.origin != Origin::InPlace) {
            let shard = made.finished.record.shard;
            let database = configuration.output_database.of_shard(shard);
            let of_plaintexts = plaintexts::path_of(&database);
            match made.finished.record.plaintexts_sha256.is_empty() {
                true => remove(&of_plaintexts)?,
                false => renamed.push(of_plaintexts),
            }
            renamed.push(database);
            renamed.push(configuration.output_parameters.of_shard(shard));
        }
        for path in &renamed {
            fs::rename(unfinished(path), path).map_err(io_error(Operation::Replace, path))?;
        }
        synchronise_folders(&renamed)?;
        for file in pending {
            file.commit()?;
        }
        self.journals.remove()?;
        let shard_count = made.len() as u32;
        remove_stale(configuration, shard_count..last.map_or(0, |last| last.saturating_add(1)))?;
        Ok(manifest)
    }

    /// The manifest, and the content of the evaluation key configuration's file.
    fn manifest(
        &self,
        context: &Context<'_>,
        made: &[Made],
    ) -> Result<(Manifest, Vec<u8>), ProcessError> {
        let failed = |source| ProcessError::Configuration { source };
        let parameters: Vec<ShardParameters> =
            made.iter().map(|made| made.finished.parameters.clone()).collect();
        let keys = convert::union_key_config(&parameters).map_err(failed)?;
        let keys = he::EvaluationKeyConfig::from(&keys);
        let config = convert::config_message(&parameters).map_err(failed)?;
        let path = context.configuration.output_evaluation_key_config.as_deref();
        let content = match path.is_some_and(is_text) {
            true => text::to_text(&keys).into_bytes(),
            false => keys.encode_to_vec(),
        };
        let manifest = Manifest {
            version: manifest::VERSION,
            tool: format!("urlfilter {}", env!("CARGO_PKG_VERSION")),
            rlwe_parameters: context
                .plan
                .encryption
                .name()
                .expect("a configuration names a predefined set")
                .to_owned(),
            shard_count: made.len() as u32,
            rows: context.rows.len() as u64,
            evaluation_key_config_sha256: hex::encode(convert::key_config_hash(&keys)),
            config_id: hex::encode(convert::config_id(&config)),
            keywords_sha256: context.rows.keywords_digest().map(hex::encode),
            shards: made.iter().map(|made| made.finished.record.clone()).collect(),
        };
        Ok((manifest, content))
    }
}

/// The shard of an earlier run, if its files still are what its record says.
fn reuse_shard(
    context: &Context<'_>,
    record: &ShardRecord,
    origin: Origin,
) -> Result<Option<Finished>, ShardError> {
    let location = |path: PathBuf| match origin {
        Origin::Unfinished => unfinished(&path),
        Origin::New | Origin::InPlace => path,
    };
    let destination = context.configuration.output_parameters.of_shard(record.shard);
    let is_text = is_text(&destination);
    let parameters = location(destination);
    let database = context.configuration.output_database.of_shard(record.shard);
    let of_plaintexts = location(plaintexts::path_of(&database));
    let database = location(database);
    let files = [
        (&parameters, &record.parameters_sha256),
        (&database, &record.database_sha256),
        (&of_plaintexts, &record.plaintexts_sha256),
    ];
    // In its place, what plaintexts were made of may be missing: it is verified before it is used. It is renamed with the others.
    let needs_all = origin == Origin::Unfinished && !record.plaintexts_sha256.is_empty();
    for (path, sha256) in files.into_iter().take(if needs_all { 3 } else { 2 }) {
        // A link would become part of the data set when it is renamed.
        let is_link = origin == Origin::Unfinished && !is_regular(path);
        // A file that cannot be read is made again.
        if is_link || crate::file_sha256(path).ok().as_ref() != Some(sha256) {
            return Ok(None);
        }
    }
    let parameters = files::read_parameters_as(&parameters, is_text)?;
    Ok(Some(Finished { record: record.clone(), parameters, costs: None, table: None, copied: 0 }))
}

fn pending_file(path: &Path, content: &[u8]) -> Result<PendingFile, FileError> {
    create_folder_of(path)?;
    let mut file = PendingFile::create(path, Access::Everyone)?;
    file.file_mut().write_all(content).map_err(io_error(Operation::Write, path))?;
    Ok(file)
}

/// Makes new names durable.
fn synchronise_folders(paths: &[PathBuf]) -> Result<(), FileError> {
    let folders: BTreeSet<&Path> = paths
        .iter()
        .filter_map(|path| path.parent())
        .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .collect();
    folders.into_iter().try_for_each(|folder| {
        let synchronised = File::open(folder).and_then(|folder| folder.sync_all());
        synchronised.map_err(io_error(Operation::Write, folder))
    })
}

/// Removes the files of shards that the data set no longer has: they would look finished to whoever counts
/// files.
fn remove_stale(configuration: &Configuration, shards: Range<u32>) -> Result<(), FileError> {
    let templates = [&configuration.output_database, &configuration.output_parameters];
    // A file without the shard's number in its name is that of the only shard.
    for template in templates.into_iter().filter(|template| template.has_shard_id()) {
        for path in shards.clone().map(|shard| template.of_shard(shard)) {
            for path in [&path, &plaintexts::path_of(&path)] {
                remove(path)?;
                remove(&unfinished(path))?;
            }
        }
    }
    Ok(())
}
