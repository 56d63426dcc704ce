//! An update: the order of its steps.

use crate::build::{self, BuildFailure};
use crate::changes::{Before, Changes};
use crate::configuration::Configuration;
use crate::copies;
use crate::deliver::{self, Delivering, Found};
use crate::error::UpdateError;
use crate::files;
use crate::levels;
use crate::obtain::{Obtained, Sources};
use crate::outcome::{Delivered, LevelReport, SourceReport, SourceState, Updated};
use crate::state::{BuiltState, DeliveredState, State};
use blocklist::builder::PreviousSource;
use durable_file::Operation;
use error_reporter::Report;
use pir_dataset::Manifest;
use pir_dataset::files::DataSetFiles;
use pir_dataset::processing::Run;
use pir_dataset::progress::{Progress, Silent};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::num::NonZero;
use std::path::Path;
use std::time::Instant;
use unix_clock::{Clock, SystemClock};

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
    trust_current: bool,
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
            trust_current: false,
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

    /// Whether a publication goes on from what is published now, whoever signed it: for the first signed release, and for
    /// another key.
    pub fn trust_current(mut self, is_trusted: bool) -> Self {
        self.trust_current = is_trusted;
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

        let delivering = Delivering::new(configuration, self.trust_current)?;

        (self.on_stage)(Stage::Fetching);
        let sources = Sources {
            configuration,
            now: self.clock.now(),
            allows_private: self.allow_private,
            refreshes: self.refresh,
        };
        let mut obtained = sources.obtain_all(&state)?;
        let names_before: Vec<String> = state.sources.keys().cloned().collect();
        let (is_built, changes, levels) = self.build(&mut state, &mut obtained)?;
        self.confirm(&mut state, &obtained)?;
        let built = state.built.clone().expect("a build was there or was made");
        let (is_processed, manifest) = self.process(&mut state, &built)?;
        let is_new = is_built || is_processed;
        let (delivered, warnings) =
            self.deliver(&mut state, &delivering, &built, &manifest, is_new)?;
        copies::remove_unused(&state, folders)?;

        let numbers =
            build::previous(folders, true)?.map(|build| build.sources).unwrap_or_default();
        let sources = obtained.iter().map(|source| report(source, &numbers, changes.as_ref()));
        let is_removed = |name: &String| configuration.list(name).is_none();
        Ok(Updated {
            built: is_built,
            processed: is_processed,
            delivered,
            sources: sources.collect(),
            removed: names_before.into_iter().filter(is_removed).collect(),
            warnings,
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

    /// Builds, unless the build that is there is of the same lists. Sources that turn out to be broken are replaced by
    /// their last good copies.
    fn build(
        &self,
        state: &mut State,
        obtained: &mut [Obtained<'u>],
    ) -> Result<(bool, Option<Changes>, Vec<LevelReport>), UpdateError> {
        let configuration = self.configuration;
        let folders = &configuration.folders;
        let is_intact = files::are_intact(&state.build_files, folders, self.refresh);
        let previous = build::previous(folders, is_intact)?;
        let mut is_told = false;
        let (inputs, built) = loop {
            let inputs: Vec<_> = obtained.iter().map(|source| source.input.clone()).collect();
            let digest = build::inputs_digest(configuration, &inputs);
            let is_there = is_intact
                && previous.is_some()
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
                        // Also why a copy had to be used.
                        let problems = [Some(problem), source.problem.take()].into_iter().flatten();
                        let name = &source.input.list.name;
                        let sources = problems.map(|problem| (name.clone(), problem)).collect();
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
        state.build_files = files::of_build(folders, &configuration.levels())?;
        state.built = Some(BuiltState {
            inputs,
            tag: built.prefilter.tag(),
            keys: built.report.keys,
            built_at: self.clock.now(),
        });
        state.write(folders)?;
        Ok((true, changes, levels))
    }

    /// Remembers that copies which had expired are current, so that their sources are left alone for as long again; and by what
    /// their sources know the content now.
    fn confirm(&self, state: &mut State, obtained: &[Obtained<'_>]) -> Result<(), UpdateError> {
        let now = self.clock.now();
        let mut is_changed = false;
        for source in obtained.iter().filter(|source| source.state == SourceState::Unchanged) {
            let Some(copy) = state.sources.get_mut(&source.input.list.name) else { continue };
            if copy.expires_seconds.is_some() && copy.fetched_at != now {
                copy.fetched_at = now;
                is_changed = true;
            }
            let given = &source.input.copy;
            if (&copy.etag, &copy.last_modified) != (&given.etag, &given.last_modified) {
                copy.etag.clone_from(&given.etag);
                copy.last_modified.clone_from(&given.last_modified);
                is_changed = true;
            }
        }
        if is_changed { state.write(&self.configuration.folders) } else { Ok(()) }
    }

    /// Processes the rows of a build, unless the data set has them.
    fn process(
        &self,
        state: &mut State,
        built: &BuiltState,
    ) -> Result<(bool, Manifest), UpdateError> {
        let folders = &self.configuration.folders;
        let path = DataSetFiles::new(folders.stem()).manifest();
        let is_there = state.processed.as_ref() == Some(&built.inputs)
            && files::are_intact(&state.data_files, folders, self.refresh);
        if is_there {
            return Ok((false, Manifest::read(&path)?));
        }
        (self.on_stage)(Stage::Processing);
        let text = process_configuration(self.configuration)?;
        let configuration = pir_dataset::configuration::Configuration::parse(text.as_bytes())?;
        // Whatever has these names was made here: files of a run whose manifest is gone are replaced.
        let mut run = Run::new(&configuration).replace_foreign(true).progress(self.progress);
        if let Some(jobs) = self.jobs {
            run = run.jobs(jobs);
        }
        run.finish()?;
        let manifest = Manifest::read(&path)?;
        state.processed = Some(built.inputs.clone());
        state.data_files = files::of_data(folders, &manifest)?;
        state.write(folders)?;
        Ok((true, manifest))
    }

    /// Delivers the result, unless it was. Also returns what deserves a look.
    fn deliver(
        &self,
        state: &mut State,
        delivering: &Delivering<'_>,
        built: &BuiltState,
        manifest: &Manifest,
        is_new: bool,
    ) -> Result<(Option<Delivered>, Vec<String>), UpdateError> {
        let configuration = self.configuration;
        let Some(to) = deliver::destination(&configuration.delivery) else {
            return Ok((None, Vec::new()));
        };
        let settings = delivering.digest();
        let before = state.delivered.as_ref().filter(|delivered| {
            !is_new
                && delivered.inputs == built.inputs
                && delivered.to == to
                && delivered.settings.as_ref() == Some(&settings)
        });
        if let Some(before) = before {
            match delivering.look(before.release.as_deref(), built, manifest) {
                Found::AsDelivered => return Ok((None, Vec::new())),
                Found::Unlike(warning) => return Ok((None, vec![warning])),
                Found::Missing => {
                    // If this delivery fails, the next run delivers, whatever it can see.
                    state.delivered = None;
                    state.write(&configuration.folders)?;
                }
            }
        }
        (self.on_stage)(Stage::Delivering);
        let delivered = delivering.deliver(built, manifest, self.progress)?;
        state.delivered = delivered.as_ref().map(|delivered| DeliveredState {
            inputs: built.inputs.clone(),
            to: delivered.to.clone(),
            settings: Some(settings),
            release: delivered.release.clone(),
            delivered_at: self.clock.now(),
        });
        state.write(&configuration.folders)?;
        Ok((delivered, Vec::new()))
    }
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
    numbers: &BTreeMap<String, PreviousSource>,
    changes: Option<&Changes>,
) -> SourceReport {
    let name = &source.input.list.name;
    let moved = changes.map(|changes| changes.by_source.get(name).copied().unwrap_or_default());
    let numbers = numbers.get(name).cloned().unwrap_or_default();
    SourceReport {
        problem: source.problem.as_ref().map(|problem| Report::new(problem).to_string()),
        keys_in: moved.map(|(keys, _)| keys),
        keys_out: moved.map(|(_, keys)| keys),
        ..SourceReport::new(name, source.state, &source.input.copy, numbers)
    }
}
