//! Processing a database: rows to shards, with the configuration of the reference's tool.
//!
//! A run writes every file beside its place, notes each shard that is finished in a journal, and
//! moves the files when all of them are there, the manifest last. A run that was killed therefore
//! leaves the previous data set as it was, and the next run takes up what the journal lists. Runs of some
//! shards only (`--shards`) stop before the moving; a run of all takes up what they made.

mod kept;
mod manifest;
mod shard;
mod store;
mod trial;

use crate::output::{bar_style, note};
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kept::Kept;
use keyword_pir::plan::Plan;
use keyword_pir::symmetric::DatabaseKey;
use keyword_pir::{Scheme, ShardParameters, SymmetricParameters};
use manifest::{Journals, ShardRecord};
pub(crate) use manifest::{Manifest, keywords_digest};
use pir_api::convert;
use pir_api::processing::{Configuration, DatabaseType, SymmetricPir};
use pir_api::rows::{self, Encoding, RowKind, RowsError};
use pir_api::{Message, text};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};
use shard::{Finished, TableFacts, unfinished, write_unfinished};
pub(crate) use shard::{file_digest, hex};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;
use store::{RowStore, ShardRows, Twins};
use trial::{Costs, KeyRing};
use zeroize::Zeroizing;

/// Some of the shards.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// By their numbers.
    Shards(Range<u32>),
    /// One of several parts that are as equal as can be, counted from 0.
    Share { index: u32, of: u32 },
}

impl Part {
    fn range(&self, count: u32) -> anyhow::Result<Range<u32>> {
        let range = match self {
            Self::Shards(range) => range.clone(),
            Self::Share { index, of } => {
                let start =
                    |index: u32| (u64::from(count) * u64::from(index) / u64::from(*of)) as u32;
                start(*index)..start(index + 1)
            }
        };
        if range.end > count {
            bail!("--shards: there are {count} shards, numbered from 0");
        }
        if range.is_empty() {
            bail!("--part: there are {count} shards, fewer than parts");
        }
        Ok(range)
    }
}

/// How the processed databases are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DatabaseFormat {
    /// Mapped by pir-server as it is
    #[default]
    Native,
    /// What Apple's service reads
    Apple,
}

/// How a configuration is run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) format: DatabaseFormat,
    /// Threads; by default one a core.
    pub(crate) jobs: Option<usize>,
    /// Only these shards, for a run of all to take up.
    pub(crate) part: Option<Part>,
    /// Without regard to an earlier data set.
    pub(crate) anew: bool,
}

/// What the shards of a run have in common.
pub(crate) struct Run<'r> {
    configuration: &'r Configuration,
    format: DatabaseFormat,
    store: &'r RowStore,
    scheme: &'r Scheme,
    longest_value: usize,
    settings: Vec<u8>,
    /// The data set that is there.
    before: Option<&'r Manifest>,
    /// Its layouts, if rows are to be put into them.
    kept: Option<&'r Kept>,
}

impl Run<'_> {
    fn input_digest(&self, rows: &[u32]) -> String {
        hex(&self.store.digest(&self.settings, rows))
    }

    fn kept_shard(&self, shard: u32) -> Option<&ShardParameters> {
        self.kept?.shard(shard)
    }

    fn plan(&self, shard: u32) -> Plan {
        let plan = &self.configuration.plan;
        match self.kept_shard(shard) {
            Some(parameters) => kept::plan_of(plan, parameters),
            None => plan.clone(),
        }
    }

    fn layout_digest(&self, shard: u32) -> String {
        let plan = self.plan(shard);
        // Only buckets of no given size depend on it.
        let longest = plan.max_bucket_size.map_or(self.longest_value, |_| 0);
        hex(&Sha256::digest(format!("{plan:?} {longest}")))
    }
}

/// What became of the layouts of the data set that was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Layouts {
    /// There was none, or it was not to be regarded.
    New,
    /// The rows were put into them.
    Kept,
    /// They could not be kept.
    Renewed,
}

/// What a run tells its caller.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) rows: u64,
    pub(crate) shard_count: u32,
    /// Shards that an earlier run had finished from the same rows and settings.
    pub(crate) reused_shards: u32,
    pub(crate) config_id: String,
    pub(crate) evaluation_key_config_sha256: String,
    /// Rows of the data set that was there.
    pub(crate) rows_before: Option<u64>,
    pub(crate) layouts: Layouts,
    /// Why they were not kept.
    pub(crate) renewed_because: Option<String>,
    /// Whether devices keep their configuration; none if there was no data set before.
    pub(crate) same_configuration: Option<bool>,
    /// Whether devices keep their evaluation keys.
    pub(crate) same_evaluation_keys: Option<bool>,
    pub(crate) manifest: String,
    pub(crate) seconds: f64,
    pub(crate) shards: Vec<ShardSummary>,
}

/// What a run of some shards tells its caller.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartSummary {
    /// Of all shards.
    pub(crate) rows: u64,
    /// Of the whole data set.
    pub(crate) shard_count: u32,
    pub(crate) first_shard: u32,
    /// The one after the last.
    pub(crate) end_shard: u32,
    pub(crate) reused_shards: u32,
    pub(crate) seconds: f64,
    pub(crate) shards: Vec<ShardSummary>,
}

/// What came of a run.
pub(crate) enum Outcome {
    Whole(Summary),
    Part(PartSummary),
}

/// One shard in the summary.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShardSummary {
    #[serde(flatten)]
    pub(crate) record: ShardRecord,
    /// Whether an earlier run had made it.
    pub(crate) reused: bool,
    pub(crate) table: Option<TableFacts>,
    pub(crate) costs: Option<Costs>,
}

fn read_rows(configuration: &Configuration) -> anyhow::Result<RowStore> {
    let path = &configuration.input_database;
    let name = || path.display().to_string();
    let file = File::open(path).with_context(name)?;
    let about = file.metadata().with_context(name)?;
    if about.is_dir() {
        bail!("{}: this is a folder, and inputDatabase names a file", name());
    }
    let encoding = if shard::is_text(path) { Encoding::Text } else { Encoding::Binary };
    let kind = match configuration.database_type {
        DatabaseType::Keyword => RowKind::Keyword,
        DatabaseType::Index => RowKind::Index,
    };
    let bar = ProgressBar::new(about.len()).with_message("reading").with_style(style());
    let mut store = RowStore::default();
    enum Stop {
        Rows(RowsError),
        Store(anyhow::Error),
    }
    impl From<RowsError> for Stop {
        fn from(error: RowsError) -> Self {
            Self::Rows(error)
        }
    }
    let outcome =
        rows::read(bar.wrap_read(file), encoding, kind, |row| store.push(row).map_err(Stop::Store));
    bar.finish_and_clear();
    match outcome {
        Ok(_) => Ok(store),
        Err(Stop::Rows(error)) => Err(error).with_context(name),
        Err(Stop::Store(error)) => Err(error.context(name())),
    }
}

/// Reads the key of the symmetric variant, or draws one and writes it for its owner alone.
fn database_key(symmetric: &SymmetricPir) -> anyhow::Result<DatabaseKey> {
    if let Some(path) = &symmetric.database_encryption_key_file_path {
        let name = || path.display().to_string();
        let text = Zeroizing::new(fs::read(path).with_context(name)?);
        return DatabaseKey::from_hex(&text).with_context(name);
    }
    let key = DatabaseKey::generate()?;
    let path = symmetric.output_database_encryption_key_file_path.as_deref();
    let path = path.context("symmetricPirArguments: no path for the key")?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(key.to_hex().as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| {
        format!(
            "{}: cannot write the new key; to use one that is there, name it as \
             databaseEncryptionKeyFilePath",
            path.display()
        )
    })?;
    Ok(key)
}

fn style() -> ProgressStyle {
    bar_style("{msg} {bar:30} {percent}% {eta}")
}

fn with_rows(
    configuration: &Configuration,
    store: &mut RowStore,
    count: u32,
) -> anyhow::Result<Vec<ShardRows>> {
    if configuration.database_type == DatabaseType::Index {
        return Ok(store.by_number(count));
    }
    store.by_keyword(configuration.plan.sharding, count).map_err(|twins| match twins {
        Twins::Duplicate(a, b) => anyhow::anyhow!(
            "{}: the keyword of {} again; remove one of them",
            store.name(b),
            store.name(a)
        ),
        Twins::Collision(a, b) => anyhow::anyhow!(
            "{} and {} have the same hash, so that only one could be found; remove one",
            store.name(a),
            store.name(b)
        ),
    })
}

/// Runs a configuration.
pub(crate) fn run(configuration: &Configuration, options: &Options) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let mut builder = rayon::ThreadPoolBuilder::new();
    if let Some(jobs) = options.jobs {
        builder = builder.num_threads(jobs);
    }
    let pool = builder.build()?;
    let mut store = read_rows(configuration)?;
    let mut configuration = configuration.clone();
    if let Some(symmetric) = &configuration.symmetric {
        if options.part.is_some() && symmetric.database_encryption_key_file_path.is_none() {
            bail!("--shards: all runs need the same key: name it as databaseEncryptionKeyFilePath");
        }
        let key = database_key(symmetric)?;
        store = pool.install(|| store.encrypt(&key))?;
        configuration.plan.symmetric =
            Some(SymmetricParameters { server_public_key: key.public_key() });
    }
    let configuration = &configuration;
    if store.len() == 0 {
        note(format_args!("the input has no rows: every lookup will find nothing"));
    }
    let before = Manifest::read(&manifest_path(configuration));
    let regarded = before.as_ref().filter(|_| !options.anew);
    let rows = store.len() as u64;
    let count = regarded.map_or_else(
        || configuration.sharding.count(rows),
        |before| configuration.sharding.count_near(rows, before.shard_count),
    );
    if count > 1 && !configuration.output_database.has_shard_id() {
        bail!("outputDatabase: the path must contain SHARD_ID: there are {count} shards");
    }
    let part = options.part.as_ref().map(|part| part.range(count)).transpose()?;
    let divided = pool.install(|| with_rows(configuration, &mut store, count))?;
    let longest_value =
        (0..store.len() as u32).map(|row| store.value(row).len()).max().unwrap_or(0);
    let scheme = Scheme::new(configuration.plan.encryption.clone())?;
    let format = options.format;
    let settings = format!(
        "{} {format:?} {:?} {:?} {}",
        env!("CARGO_PKG_VERSION"),
        configuration.plan,
        configuration.database_type,
        configuration.encoding_entry_size,
    );
    let (kept, mut renewed) =
        match regarded.map(|before| pool.install(|| Kept::read(configuration, before, count))) {
            None => (None, None),
            Some(Ok(kept)) => (kept, None),
            Some(Err(reason)) => (None, Some(reason.to_owned())),
        };
    let mut run = Run {
        configuration,
        format,
        store: &store,
        scheme: &scheme,
        longest_value,
        settings: settings.into_bytes(),
        before: before.as_ref(),
        kept: kept.as_ref(),
    };
    let part = part.as_ref();
    let mut made = pool.install(|| make_shards(&run, &divided, part));
    if let Err(error) = &made
        && let Some(outgrown) = error.downcast_ref::<shard::Outgrown>()
    {
        // Clients must fetch a new configuration anyway, so every shard gets room to grow.
        renewed = Some(outgrown.to_string());
        run.kept = None;
        made = pool.install(|| make_shards(&run, &divided, part));
    }
    let made = made?;
    match part {
        Some(part) => Ok(Outcome::Part(PartSummary {
            rows,
            shard_count: count,
            first_shard: part.start,
            end_shard: part.end,
            reused_shards: reused(&made),
            seconds: start.elapsed().as_secs_f64(),
            shards: made.into_iter().map(Made::summary).collect(),
        })),
        None => {
            let layouts = match (&renewed, run.kept) {
                (Some(_), _) => Layouts::Renewed,
                (None, Some(_)) => Layouts::Kept,
                (None, None) => Layouts::New,
            };
            let mut summary = finish(&run, made)?;
            summary.layouts = layouts;
            summary.renewed_because = renewed;
            summary.seconds = start.elapsed().as_secs_f64();
            Ok(Outcome::Whole(summary))
        }
    }
}

/// Where a data set's manifest is: in the name of the shard numbers.
fn manifest_path(configuration: &Configuration) -> PathBuf {
    let path = configuration.output_database.with("manifest");
    match configuration.output_database.has_shard_id() {
        true => path.with_extension("json"),
        false => path.with_extension("manifest.json"),
    }
}

/// The earlier record of a shard, if its files still are what it says.
fn reusable<'r>(
    run: &Run<'_>,
    records: &'r BTreeMap<u32, Vec<ShardRecord>>,
    shard: u32,
    input: &str,
    place: impl Fn(&Path) -> PathBuf,
    is_laid_out: impl Fn(&ShardRecord) -> bool,
) -> Option<&'r ShardRecord> {
    let records = records.get(&shard)?;
    let configuration = run.configuration;
    let same = |record: &&ShardRecord| record.input_sha256 == input && is_laid_out(record);
    let record = records.iter().rfind(same)?;
    let unchanged = file_digest(&place(&configuration.output_parameters.of_shard(shard)))
        .as_deref()
        == Some(&record.parameters_sha256)
        && file_digest(&place(&configuration.output_database.of_shard(shard))).as_deref()
            == Some(&record.database_sha256);
    unchanged.then_some(record)
}

/// Where a shard's files come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This run.
    New,
    /// A run that did not come to its end, or one of some shards.
    Earlier,
    /// They are in their place since an earlier run.
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
        }
    }
}

fn reused(made: &[Made]) -> u32 {
    made.iter().filter(|made| made.origin != Origin::New).count() as u32
}

fn by_shard(records: impl IntoIterator<Item = ShardRecord>) -> BTreeMap<u32, Vec<ShardRecord>> {
    let mut all: BTreeMap<u32, Vec<ShardRecord>> = BTreeMap::new();
    for record in records {
        all.entry(record.shard).or_default().push(record);
    }
    all
}

/// Makes the shards that no earlier run has made.
fn make_shards(
    run: &Run<'_>,
    divided: &[ShardRows],
    part: Option<&Range<u32>>,
) -> anyhow::Result<Vec<Made>> {
    let configuration = run.configuration;
    let manifest_path = manifest_path(configuration);
    if let Some(folder) = manifest_path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let in_place = by_shard(run.before.iter().flat_map(|before| before.shards.clone()));
    let journals = Journals::of(&manifest_path);
    let beside = by_shard(journals.records());
    let journal = journals.open(part)?;
    let wanted = part.cloned().unwrap_or(0..divided.len() as u32);
    if part.is_some() && run.kept.is_some() {
        // What another run makes of the other shards must be of the same mind.
        (0..divided.len() as u32)
            .into_par_iter()
            .filter(|shard| !wanted.contains(shard))
            .try_for_each(|shard| shard::tables(run, shard, &divided[shard as usize]).map(drop))?;
    }
    let ring = KeyRing::default();
    let bar = ProgressBar::new(wanted.len() as u64).with_message("shards").with_style(style());
    let make = |shard: u32| {
        let rows = &divided[shard as usize];
        let known = |record: &ShardRecord, place: &dyn Fn(&Path) -> PathBuf| {
            let path = configuration.output_parameters.of_shard(shard);
            let parameters = shard::read_parameters(&path, &place(&path))?;
            Ok::<_, anyhow::Error>(Finished {
                record: record.clone(),
                parameters,
                costs: None,
                table: None,
            })
        };
        let here = |path: &Path| path.to_owned();
        let (input, layout) = (run.input_digest(rows), run.layout_digest(shard));
        let as_wanted = |record: &ShardRecord| record.layout_sha256 == layout;
        // What is in place has the layout that is to be kept, whatever it was chosen for.
        let as_it_is = |record: &ShardRecord| run.kept.is_some() || as_wanted(record);
        let made = if let Some(record) = reusable(run, &in_place, shard, &input, here, as_it_is) {
            Made { finished: known(record, &here)?, origin: Origin::InPlace }
        } else if let Some(record) = reusable(run, &beside, shard, &input, unfinished, as_wanted) {
            Made { finished: known(record, &unfinished)?, origin: Origin::Earlier }
        } else {
            let finished = shard::make(run, &ring, shard, rows, input)
                .with_context(|| format!("shard {shard}"))?;
            journal.add(&finished.record)?;
            Made { finished, origin: Origin::New }
        };
        bar.inc(1);
        Ok(made)
    };
    let made = wanted.into_par_iter().map(make).collect::<anyhow::Result<_>>();
    bar.finish_and_clear();
    made
}

/// Removes the files of shards that the data set no longer has, up to `left_over`: they would look
/// finished to whoever counts files.
fn remove_stale(configuration: &Configuration, count: u32, left_over: u32) -> anyhow::Result<()> {
    let templates = [&configuration.output_database, &configuration.output_parameters];
    // Without the number in its name a file is that of the only shard.
    for template in templates.into_iter().filter(|template| template.has_shard_id()) {
        let paths = (count..left_over).map(|shard| template.of_shard(shard));
        for path in paths.flat_map(|path| [path.clone(), unfinished(&path)]) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Moves everything to its place, the manifest last.
fn finish(run: &Run<'_>, made: Vec<Made>) -> anyhow::Result<Summary> {
    let configuration = run.configuration;
    let (before, manifest_path) = (run.before, manifest_path(configuration));
    let journals = Journals::of(&manifest_path);
    let earlier = before.iter().flat_map(|before| &before.shards).map(|record| record.shard);
    let left_over = earlier.chain(journals.records().iter().map(|record| record.shard)).max();
    let parameters: Vec<ShardParameters> =
        made.iter().map(|made| made.finished.parameters.clone()).collect();
    let keys = convert::key_config_message(&convert::union_key_config(&parameters)?);
    let config_id = hex(&convert::config_id(&convert::config_message(&parameters)?));
    let keys_sha256 = hex(&convert::key_config_hash(&keys));
    let manifest = Manifest {
        version: 1,
        tool: format!("urlfilter {}", env!("CARGO_PKG_VERSION")),
        rlwe_parameters: configuration.plan.encryption.name().unwrap_or_default().to_owned(),
        shard_count: made.len() as u32,
        rows: run.store.len() as u64,
        evaluation_key_config_sha256: keys_sha256.clone(),
        config_id: config_id.clone(),
        keywords_sha256: run.store.keywords_digest().map(|digest| hex(&digest)),
        shards: made.iter().map(|made| made.finished.record.clone()).collect(),
    };
    let mut moves = Vec::new();
    for made in made.iter().filter(|made| made.origin != Origin::InPlace) {
        let shard = made.finished.record.shard;
        moves.push(configuration.output_database.of_shard(shard));
        moves.push(configuration.output_parameters.of_shard(shard));
    }
    if let Some(path) = &configuration.output_evaluation_key_config {
        let bytes = match shard::is_text(path) {
            true => text::to_text(&keys).into_bytes(),
            false => keys.encode_to_vec(),
        };
        write_unfinished(path, |out| Ok(out.write_all(&bytes)?))?;
        moves.push(path.clone());
    }
    write_unfinished(&manifest_path, |out| {
        serde_json::to_writer_pretty(&mut *out, &manifest)?;
        Ok(out.write_all(b"\n")?)
    })?;
    moves.push(manifest_path.clone());
    for path in &moves {
        fs::rename(unfinished(path), path).with_context(|| path.display().to_string())?;
    }
    // The names are only durable with their folders.
    let folders: std::collections::BTreeSet<&Path> = moves
        .iter()
        .filter_map(|path| path.parent())
        .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .collect();
    for folder in folders {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .with_context(|| folder.display().to_string())?;
    }
    journals.remove()?;
    remove_stale(configuration, made.len() as u32, left_over.map_or(0, |last| last + 1))?;
    Ok(Summary {
        rows: run.store.len() as u64,
        rows_before: before.map(|before| before.rows),
        layouts: Layouts::New,
        renewed_because: None,
        shard_count: made.len() as u32,
        reused_shards: reused(&made),
        same_configuration: before.map(|before| before.config_id == config_id),
        same_evaluation_keys: before
            .map(|before| before.evaluation_key_config_sha256 == keys_sha256),
        config_id,
        evaluation_key_config_sha256: keys_sha256,
        manifest: manifest_path.display().to_string(),
        seconds: 0.0,
        shards: made.into_iter().map(Made::summary).collect(),
    })
}
