//! An update: the order of its steps.

use crate::build::{self, BuildFailure, Input};
use crate::changes::{Before, Changes};
use crate::configuration::{Configuration, List, Location};
use crate::copies;
use crate::deliver;
use crate::error::{FetchError, SourceProblem, UpdateError, describe};
#[cfg(feature = "http")]
use crate::fetch::{Fetched, Fetcher, Reach};
use crate::levels;
use crate::outcome::{Delivered, LevelReport, SourceReport, SourceState, Updated};
use crate::state::{BuiltState, DeliveredState, SourceCopy, State};
use durable_file::Operation;
use pir_dataset::Manifest;
use pir_dataset::files::DataSetFiles;
use pir_dataset::processing::Run;
use pir_dataset::progress::{Progress, Silent};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::num::NonZero;
use std::path::Path;
use std::time::{Duration, Instant};
use unix_clock::{Clock, SystemClock, Timestamp};

/// Sources that are fetched at the same time.
#[cfg(feature = "http")]
const CONCURRENT_FETCHES: usize = 8;

/// What an update is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Sources are read and fetched.
    Fetching,
    /// Lists become keys and a prefilter.
    Building,
    /// Rows become shards.
    Processing,
    /// The result is published, or a service is told.
    Delivering,
}

/// Brings everything that is made of lists up to date.
#[must_use = "nothing happens before `run`"]
pub struct Update<'u> {
    configuration: &'u Configuration,
    clock: &'u dyn Clock,
    progress: &'u dyn Progress,
    on_stage: &'u (dyn Fn(Stage) + Sync),
    accepted: BTreeSet<String>,
    jobs: Option<NonZero<usize>>,
    allow_private: bool,
    refresh: bool,
}

/// A source with what was got of it.
struct Obtained<'c> {
    input: Input<'c>,
    state: SourceState,
    problem: Option<SourceProblem>,
    /// The copy that is used if this one cannot be.
    fallback: Option<SourceCopy>,
}

/// An answer of a source.
enum Got {
    Copy(SourceCopy),
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "only servers say so"))]
    Current,
    NotDue,
}

impl<'u> Update<'u> {
    /// An update as a configuration has it, from addresses of the open internet only.
    pub fn new(configuration: &'u Configuration) -> Self {
        Self {
            configuration,
            clock: &SystemClock,
            progress: &Silent,
            on_stage: &|_| {},
            accepted: BTreeSet::new(),
            jobs: None,
            allow_private: false,
            refresh: false,
        }
    }

    /// Whether sources may have private and loopback addresses.
    pub fn allow_private(mut self, is_allowed: bool) -> Self {
        self.allow_private = is_allowed;
        self
    }

    /// Whether all sources are fetched whole, even if they say that they have not changed.
    pub fn refresh(mut self, is_refreshed: bool) -> Self {
        self.refresh = is_refreshed;
        self
    }

    /// Takes the list of a name whatever it has, this time.
    pub fn accept(mut self, name: impl Into<String>) -> Self {
        self.accepted.insert(name.into());
        self
    }

    /// Largest number of threads that build and process; by default one for each core.
    pub fn jobs(mut self, jobs: NonZero<usize>) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// Who is told how far processing and publishing are.
    pub fn progress(mut self, progress: &'u dyn Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Who is told what comes next.
    pub fn on_stage(mut self, told: &'u (dyn Fn(Stage) + Sync)) -> Self {
        self.on_stage = told;
        self
    }

    /// The clock that decides which sources are due; by default the machine's.
    pub fn clock(mut self, clock: &'u dyn Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Runs all steps that are due. Blocks; must not be called on a thread that drives asynchronous tasks.
    ///
    /// # Errors
    /// [`UpdateError`]. What was made before is as it was, or whole and not delivered ([`UpdateError::Deliver`]); the next
    /// run goes on.
    #[expect(clippy::missing_panics_doc, reason = "no panic is possible")]
    pub fn run(self) -> Result<Updated, UpdateError> {
        let start = Instant::now();
        let configuration = self.configuration;
        if let Some(name) = self.accepted.iter().find(|name| configuration.list(name).is_none()) {
            return Err(UpdateError::UnknownName { name: name.clone() });
        }
        let folders = &configuration.folders;
        for folder in [folders.sources(), folders.data()] {
            let failed = copies::file_error(Operation::Write, &folder);
            fs::create_dir_all(&folder).map_err(failed)?;
        }
        let _lock = lock(&folders.lock(), folders.out())?;
        let mut state = State::read(folders)?;
        copies::remove_unfinished(folders)?;

        (self.on_stage)(Stage::Fetching);
        let mut obtained = self.obtain_all(&state)?;
        let (is_built, changes, levels) = self.build(&mut state, &mut obtained)?;
        self.confirm(&mut state, &obtained)?;
        let built = state.built.clone().expect("a build was there or was made");
        let is_processed = self.process(&mut state, &built)?;
        let manifest = Manifest::read(&DataSetFiles::new(folders.stem()).manifest())?;
        let delivered = self.deliver(&mut state, &built, &manifest)?;
        copies::remove_unused(&state, folders)?;

        let taken = build::previous(folders)?.map(|build| build.taken).unwrap_or_default();
        let sources = obtained.iter().map(|source| report(source, &taken, changes.as_ref()));
        Ok(Updated {
            built: is_built,
            processed: is_processed,
            delivered,
            sources: sources.collect(),
            levels,
            keys: built.keys,
            keys_in: changes.as_ref().map(|changes| changes.keys_in),
            keys_out: changes.as_ref().map(|changes| changes.keys_out),
            tag: built.tag,
            built_at: built.built_at,
            rows: manifest.rows,
            shard_count: manifest.shard_count,
            config_id: manifest.config_id,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Gets all sources. One that cannot be had is replaced by its last good copy.
    fn obtain_all(&self, state: &State) -> Result<Vec<Obtained<'u>>, UpdateError> {
        let configuration = self.configuration;
        let folders = &configuration.folders;
        let now = self.clock.now();
        let known: Vec<Option<SourceCopy>> = configuration
            .lists
            .iter()
            .map(|list| copies::last_good(list, state, folders))
            .collect();
        let answers = self.ask_all(&known, now)?;
        let (mut obtained, mut missing) = (Vec::new(), Vec::new());
        for ((list, known), answer) in configuration.lists.iter().zip(known).zip(answers) {
            let same = |copy: SourceCopy, state| Obtained {
                input: Input { list, copy },
                state,
                problem: None,
                fallback: None,
            };
            match (answer, known) {
                (Err(FetchError::Store(error)), _) => return Err(error.into()),
                (Ok(Got::Copy(copy)), known) => {
                    let is_same = known.as_ref().is_some_and(|known| known.sha256 == copy.sha256);
                    obtained.push(match known {
                        Some(known) if is_same => same(known, SourceState::Unchanged),
                        fallback => Obtained { fallback, ..same(copy, SourceState::Changed) },
                    });
                }
                (Ok(Got::Current), Some(known)) => {
                    obtained.push(same(known, SourceState::Unchanged));
                }
                (Ok(Got::NotDue), Some(known)) => obtained.push(same(known, SourceState::NotDue)),
                (Ok(Got::Current | Got::NotDue), None) => {
                    let status = FetchError::Status { status: 304 };
                    missing.push((list.name.clone(), status.into()));
                }
                (Err(error), Some(known)) => obtained.push(Obtained {
                    problem: Some(error.into()),
                    ..same(known, SourceState::Old)
                }),
                (Err(error), None) => missing.push((list.name.clone(), error.into())),
            }
        }
        match missing.is_empty() {
            true => Ok(obtained),
            false => Err(UpdateError::Sources { sources: missing }),
        }
    }

    /// Whether a source asks to be left alone.
    fn is_due(&self, known: Option<&SourceCopy>, now: Timestamp) -> bool {
        let expiry = known.and_then(|known| {
            let span = Duration::from_secs(known.expires_seconds?);
            Some((known.fetched_at, known.fetched_at + span))
        });
        // A copy from the future is of a clock that was wrong.
        self.refresh || expiry.is_none_or(|(from, to)| now < from || now >= to)
    }

    #[cfg(feature = "http")]
    fn ask_all(
        &self,
        known: &[Option<SourceCopy>],
        now: Timestamp,
    ) -> Result<Vec<Result<Got, FetchError>>, UpdateError> {
        use futures_util::StreamExt;
        use futures_util::stream;

        let folders = &self.configuration.folders;
        let reach = if self.allow_private { Reach::Any } else { Reach::Public };
        let fetcher = Fetcher::new(reach)?;
        let ask = async |(list, known): (&List, &Option<SourceCopy>)| {
            let known = known.as_ref();
            match &list.location {
                Location::Path(path) => of_file(list, path, known, self.configuration, now),
                Location::Url(_) if !self.is_due(known, now) => Ok(Got::NotDue),
                Location::Url(address) => {
                    let known = known.filter(|_| !self.refresh);
                    match fetcher.fetch(list, address, known, folders, now).await? {
                        Fetched::Unchanged => Ok(Got::Current),
                        Fetched::New(copy) => Ok(Got::Copy(copy)),
                    }
                }
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| UpdateError::Client { source: error.into() })?;
        let all = self.configuration.lists.iter().zip(known);
        Ok(runtime.block_on(stream::iter(all).map(ask).buffered(CONCURRENT_FETCHES).collect()))
    }

    #[cfg(not(feature = "http"))]
    fn ask_all(
        &self,
        known: &[Option<SourceCopy>],
        now: Timestamp,
    ) -> Result<Vec<Result<Got, FetchError>>, UpdateError> {
        let all = self.configuration.lists.iter().zip(known);
        let ask = |(list, known): (&List, &Option<SourceCopy>)| match &list.location {
            Location::Path(path) => of_file(list, path, known.as_ref(), self.configuration, now),
            Location::Url(_) if !self.is_due(known.as_ref(), now) => Ok(Got::NotDue),
            Location::Url(_) => Err(FetchError::Address),
        };
        Ok(all.map(ask).collect())
    }

    /// Builds, unless the build that is there is of the same lists. Sources that turn out to be broken are replaced by
    /// their last good copies.
    fn build(
        &self,
        state: &mut State,
        obtained: &mut [Obtained<'u>],
    ) -> Result<(bool, Option<Changes>, Vec<LevelReport>), UpdateError> {
        let configuration = self.configuration;
        let folders = &configuration.folders;
        let previous = build::previous(folders)?;
        let mut is_told = false;
        let (inputs, built) = loop {
            let inputs: Vec<_> = obtained.iter().map(|source| source.input.clone()).collect();
            let digest = build::inputs_digest(configuration, &inputs);
            let is_there = previous.is_some()
                && state.built.as_ref().is_some_and(|built| built.inputs == digest);
            if is_there {
                return Ok((false, None, Vec::new()));
            }
            if !is_told {
                (self.on_stage)(Stage::Building);
                is_told = true;
            }
            let built = build::build(
                &configuration.build,
                &inputs,
                folders,
                previous.as_ref(),
                &self.accepted,
                self.jobs,
            );
            match built {
                Ok(built) => break (digest, built),
                Err(BuildFailure::Other(error)) => return Err(error),
                Err(BuildFailure::Source(index, problem)) => {
                    let source = &mut obtained[index];
                    let Some(fallback) = source.fallback.take() else {
                        let sources = vec![(source.input.list.name.clone(), problem)];
                        return Err(UpdateError::Sources { sources });
                    };
                    source.input.copy = fallback;
                    source.state = SourceState::Old;
                    source.problem = Some(problem);
                }
            }
        };
        let before = state.built.as_ref().filter(|_| previous.is_some());
        let before = before.and_then(|before| Before::read(folders, &before.tag));
        built.write(&folders.build())?;
        let changes = before.map(|before| before.compare(&built, folders));
        let levels = levels::write(configuration, &built)?;
        let copies = obtained
            .iter()
            .map(|source| (source.input.list.name.clone(), source.input.copy.clone()));
        state.sources = copies.collect();
        state.built = Some(BuiltState {
            inputs,
            tag: built.prefilter.tag(),
            keys: built.report.keys,
            built_at: self.clock.now(),
        });
        state.write(folders)?;
        Ok((true, changes, levels))
    }

    /// Remembers that copies which had expired are current, so that their sources are left alone for as long again.
    fn confirm(&self, state: &mut State, obtained: &[Obtained<'_>]) -> Result<(), UpdateError> {
        let now = self.clock.now();
        let mut is_changed = false;
        for source in obtained.iter().filter(|source| source.state == SourceState::Unchanged) {
            if let Some(copy) = state.sources.get_mut(&source.input.list.name)
                && copy.expires_seconds.is_some()
                && copy.fetched_at != now
            {
                copy.fetched_at = now;
                is_changed = true;
            }
        }
        if is_changed { state.write(&self.configuration.folders) } else { Ok(()) }
    }

    /// Processes the rows of a build, unless the data set has them.
    fn process(&self, state: &mut State, built: &BuiltState) -> Result<bool, UpdateError> {
        let folders = &self.configuration.folders;
        let manifest = DataSetFiles::new(folders.stem()).manifest();
        if state.processed.as_ref() == Some(&built.inputs) && manifest.is_file() {
            return Ok(false);
        }
        (self.on_stage)(Stage::Processing);
        let text = process_configuration(self.configuration)?;
        let configuration = pir_dataset::configuration::Configuration::parse(text.as_bytes())?;
        let mut run = Run::new(&configuration).progress(self.progress);
        if let Some(jobs) = self.jobs {
            run = run.jobs(jobs);
        }
        run.finish()?;
        state.processed = Some(built.inputs.clone());
        state.write(folders)?;
        Ok(true)
    }

    /// Delivers the result, unless it was.
    fn deliver(
        &self,
        state: &mut State,
        built: &BuiltState,
        manifest: &Manifest,
    ) -> Result<Option<Delivered>, UpdateError> {
        let configuration = self.configuration;
        let Some(to) = deliver::destination(&configuration.delivery) else { return Ok(None) };
        let is_delivered = state
            .delivered
            .as_ref()
            .is_some_and(|delivered| delivered.inputs == built.inputs && delivered.to == to);
        if is_delivered {
            return Ok(None);
        }
        (self.on_stage)(Stage::Delivering);
        let delivered = deliver::deliver(configuration, manifest.shard_count, self.progress)?;
        state.delivered = delivered.as_ref().map(|delivered| DeliveredState {
            inputs: built.inputs.clone(),
            to: delivered.to.clone(),
            release: delivered.release.clone(),
            delivered_at: self.clock.now(),
        });
        state.write(&configuration.folders)?;
        Ok(delivered)
    }
}

fn of_file(
    list: &List,
    path: &Path,
    known: Option<&SourceCopy>,
    configuration: &Configuration,
    now: Timestamp,
) -> Result<Got, FetchError> {
    copies::of_file(list, path, known, &configuration.folders, now).map(Got::Copy)
}

/// Holds the lock of the folder until it is dropped. The system releases it when the process ends.
fn lock(path: &Path, folder: &Path) -> Result<File, UpdateError> {
    let failed = copies::file_error(Operation::Write, path);
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(&failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(UpdateError::Busy { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error).into()),
    }
}

/// The configuration of the processing, as `urlfilter process` reads it.
fn process_configuration(configuration: &Configuration) -> Result<String, UpdateError> {
    let folders = &configuration.folders;
    let text = |path: &Path, suffix: &str| match path.to_str() {
        Some(path) => Ok(format!("{path}{suffix}")),
        None => Err(UpdateError::Path { path: path.to_owned() }),
    };
    let rows = folders.build().join(blocklist::builder::DATA_SET_FILE);
    let stem = folders.stem();
    let process = &configuration.process;
    let json = serde_json::json!({
        "rlweParameters": process.rlwe_parameters,
        "inputDatabase": text(&rows, "")?,
        "outputDatabase": text(&stem, "-SHARD_ID.bin")?,
        "outputPirParameters": text(&stem, "-SHARD_ID.params.txtpb")?,
        "sharding": {
            "entryCountPerShard": process.rows_per_shard,
            "requirePowerOfTwoShardCount": true,
        },
        "trialsPerShard": process.trials_per_shard,
    });
    Ok(json.to_string())
}

fn report(
    source: &Obtained<'_>,
    taken: &BTreeMap<String, u64>,
    changes: Option<&Changes>,
) -> SourceReport {
    let name = &source.input.list.name;
    let moved = changes.map(|changes| changes.by_source.get(name).copied().unwrap_or_default());
    SourceReport {
        name: name.clone(),
        state: source.state,
        problem: source.problem.as_ref().map(|problem| describe(problem)),
        fetched_at: source.input.copy.fetched_at,
        bytes: source.input.copy.bytes,
        entries: taken.get(name).copied().unwrap_or(0),
        keys_in: moved.map(|(keys, _)| keys),
        keys_out: moved.map(|(_, keys)| keys),
    }
}
