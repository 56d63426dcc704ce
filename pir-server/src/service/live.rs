//! The part of the service that a reload replaces, all of it at once.

use super::error::{ServiceError, io_error};
use crate::catalog::{Catalog, ServedUseCase};
use crate::configuration::{Configuration, ShardCount, UseCase, UseCaseSource, read_users};
use crate::file_mark::FileMark;
use crate::prefilter::{Prefilters, ServedPrefilter};
use crate::reports::ReportLog;
use crate::subscriptions::Subscriptions;
use crate::user_tokens::{UserTable, UserTokens};
#[cfg(feature = "lists")]
use pir_dataset::files::DataSetFiles;
#[cfg(feature = "lists")]
use pir_dataset::level::{self, LevelFile};
#[cfg(feature = "lists")]
use pir_dataset::manifest::Manifest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unix_clock::Timestamp;

/// The warning about a service that admits nobody.
pub(crate) const NO_USER_TOKEN: &str = "there is no user token, neither in users nor in userTokens.file, and neither userTokens.command \
     nor userTokens.url decides about others: no client gets a token, and nobody can look anything up; put the token that the app has \
     into users, or into the file";

/// What a reload replaces.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) catalog: Catalog,
    /// Prefilters by use case and level; the level of the whole data set is empty.
    pub(super) prefilters: BTreeMap<(String, String), Prefilters>,
    /// Use cases as the configuration lists them.
    pub(super) use_cases: Vec<UseCase>,
    /// Tokens of the configuration and of its token file.
    pub(super) users: UserTable,
    /// Tokens of the configuration alone.
    configured_users: UserTable,
    /// The token file, and its state when it was read.
    pub(super) users_file: Option<(PathBuf, FileMark)>,
    pub(crate) issuer_request_uri: String,
    /// Whether users may be known elsewhere: to what `userTokens` asks, or to another issuer.
    has_users_elsewhere: bool,
    pub(crate) reports: Option<Arc<ReportLog>>,
}

/// What is served after a start or a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// The use cases, in the order of their names.
    pub use_cases: Vec<ServedUseCase>,
    /// Number of user tokens in the configuration and its token file.
    pub user_tokens: usize,
    /// Configuration keys that have changed and take effect at the next start only.
    pub after_restart: Vec<&'static str>,
    /// Whether no user can get a token, since there is no user token at all and nothing else that decides about them.
    pub admits_nobody: bool,
    /// Findings that do not prevent serving but need the operator's attention.
    pub warnings: Vec<String>,
}

impl Live {
    /// Reads everything a configuration names: files on this machine, and of publications the releases
    /// already downloaded. Blocks for as long as the data sets take to verify.
    pub(super) fn load(
        configuration: &Configuration,
        subscriptions: &Subscriptions,
        user_tokens: &UserTokens,
        earlier: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, ServiceError> {
        let none = Catalog::default();
        let earlier_catalog = earlier.map_or(&none, |live| &live.catalog);
        let use_cases = subscriptions.resolve(&configuration.use_cases);
        let memory = configuration.limits.memory();
        let catalog = Catalog::open(&use_cases, earlier_catalog, memory, now)
            .map_err(|(use_case, source)| ServiceError::DataSet { use_case, source })?;
        let configured_users = UserTable::new(user_tokens.hasher(), &configuration.users);
        let issuer_request_uri = configuration.issuer_request_uri.clone();
        let mut live = Self {
            prefilters: open_prefilters(configuration, earlier, now)?,
            catalog,
            use_cases: configuration.use_cases.clone(),
            users: configured_users.clone(),
            configured_users,
            users_file: None,
            has_users_elsewhere: user_tokens.has_hook()
                || issuer_request_uri.as_ref().is_some_and(|uri| uri.contains("://")),
            issuer_request_uri: issuer_request_uri.unwrap_or_else(|| "/issue".to_owned()),
            reports: open_reports(configuration, earlier)?,
        };
        if let Some(path) = &configuration.user_tokens.file {
            live.read_users_file(path, user_tokens)?;
        }
        Ok(live)
    }

    /// A use case that is served from its publication.
    pub(crate) fn followed(&self, use_case: &str) -> Option<&UseCase> {
        let is_followed = |known: &&UseCase| known.is_served() && known.published().is_some();
        self.use_cases.iter().filter(is_followed).find(|known| known.name() == use_case)
    }

    /// Whether a use case waits for files that this service makes.
    pub(crate) fn awaits_files(&self, use_case: &str) -> bool {
        let mut all = self.use_cases.iter();
        all.any(|known| {
            known.awaits_files
                && known.name() == use_case
                && self.catalog.newest(use_case).is_none()
        })
    }

    /// Whether any use case waits for files that this service makes.
    pub(crate) fn awaits_any_files(&self) -> bool {
        self.use_cases.iter().any(|use_case| self.awaits_files(use_case.name()))
    }

    /// Whether the use cases whose files this service makes are served as their files are now, with a prefilter of this tag
    /// if it is known. Reads manifests, and what says which build levels are of.
    #[cfg(feature = "lists")]
    pub(super) fn serves_files(&self, tag: Option<&str>) -> bool {
        let mut made_here = self.use_cases.iter().filter(|use_case| use_case.awaits_files);
        made_here.all(|use_case| {
            let UseCaseSource::Files(files) = use_case.source() else { return true };
            let manifest = Manifest::read(&DataSetFiles::new(&files.stem).manifest()).ok();
            let newest = self.catalog.newest(use_case.name());
            let of_level = |level: &str| {
                let key = (use_case.name().to_owned(), level.to_owned());
                self.prefilters.get(&key).map(Prefilters::newest_tag)
            };
            let has_levels = use_case.levels.as_ref().is_none_or(|folder| {
                let served = self.levels(use_case.name()).count();
                let found = level::folders(folder).unwrap_or_default();
                let has = |(name, path): &(String, PathBuf)| {
                    LevelFile::read(path).is_ok_and(|file| of_level(name) == Some(&file.tag))
                };
                served == found.len() && found.iter().all(has)
            });
            manifest.is_some()
                && newest.and_then(|newest| newest.manifest()) == manifest.as_ref()
                && tag.is_none_or(|tag| of_level("") == Some(tag))
                && has_levels
        })
    }

    /// The prefilter of a use case and a level, if it is one that is given out. The level of the whole data set is empty.
    pub(crate) fn prefilter(
        &self,
        use_case: &str,
        level: &str,
        now: Timestamp,
    ) -> Option<&Arc<ServedPrefilter>> {
        let prefilters = self.prefilters.get(&(use_case.to_owned(), level.to_owned()))?;
        Some(prefilters.given_out(self.catalog.is_switching(use_case, now)))
    }

    /// The levels of a use case.
    pub(crate) fn levels<'l>(&'l self, use_case: &'l str) -> impl Iterator<Item = &'l str> {
        let all = self.prefilters.keys().filter(move |(name, _)| name == use_case);
        all.map(|(_, level)| level.as_str()).filter(|level| !level.is_empty())
    }

    /// Replaces the tokens of the token file by its present content.
    pub(super) fn read_users_file(
        &mut self,
        path: &Path,
        tokens: &UserTokens,
    ) -> Result<(), ServiceError> {
        let action = || format!("read userTokens.file {}", path.display());
        // Marked before it is read: a change in between is found by the next comparison.
        let mark = FileMark::of(path).map_err(io_error(action()))?;
        let groups = read_users(path)?;
        self.users = self.configured_users.with(tokens.hasher(), &groups);
        self.users_file = Some((path.to_owned(), mark));
        Ok(())
    }

    pub(super) fn loaded(&self) -> Loaded {
        let mut use_cases = self.catalog.served();
        for use_case in &mut use_cases {
            let prefilters = self.prefilters.get(&(use_case.name.clone(), String::new()));
            use_case.tag = prefilters.map(|prefilters| prefilters.newest_tag().to_owned());
        }
        let odd = use_cases.iter().filter(|use_case| !use_case.shards.is_power_of_two());
        let other = self.use_cases.iter().filter_map(|use_case| {
            let UseCaseSource::Files(files) = use_case.source() else { return None };
            let ShardCount::Manifest(Some(configured)) = files.count else { return None };
            let served = self.catalog.newest(use_case.name())?.shard_count();
            (served != configured as usize).then(|| {
                format!(
                    "use case {}: shardCount is {configured}, and the manifest has {served} shards, which are served; \
                     leave shardCount out, so that the manifest decides",
                    use_case.name()
                )
            })
        });
        let warnings = odd.map(|ServedUseCase { name, shards, .. }| {
            format!(
                "use case {name}: {shards} shards; devices from iOS and macOS 27.3 on accept powers of \
                 two only (process with requirePowerOfTwoShardCount)"
            )
        });
        // A gateway for other servers has no use cases and needs no users.
        let admits_nobody =
            self.users.len() == 0 && !self.has_users_elsewhere && !self.use_cases.is_empty();
        let nobody = admits_nobody.then(|| NO_USER_TOKEN.to_owned());
        Loaded {
            warnings: nobody.into_iter().chain(warnings).chain(other).collect(),
            admits_nobody,
            user_tokens: self.users.len(),
            after_restart: Vec::new(),
            use_cases,
        }
    }
}

fn open_prefilters(
    configuration: &Configuration,
    earlier: Option<&Live>,
    now: Timestamp,
) -> Result<BTreeMap<(String, String), Prefilters>, ServiceError> {
    let mut all = BTreeMap::new();
    for use_case in configuration.use_cases.iter().filter(|use_case| use_case.is_served()) {
        let name = use_case.name();
        let UseCaseSource::Files(files) = use_case.source() else {
            // Fetched again when others are given out.
            let known = earlier.into_iter().flat_map(|live| &live.prefilters);
            let known = known.filter(|((use_case, _), _)| use_case == name);
            all.extend(known.map(|(key, known)| (key.clone(), known.clone())));
            continue;
        };
        let Some(folder) = &use_case.prefilter else { continue };
        let before =
            |level: &str| earlier.and_then(|live| live.prefilter(name, level, now)).cloned();
        let failed = |source| ServiceError::Prefilter { use_case: name.to_owned(), source };
        let newest = match ServedPrefilter::open(folder, &files.stem) {
            Ok(newest) => newest,
            // Made by this service together with the data set, which is not there yet either, or not complete.
            Err(_) if use_case.awaits_files && before("").is_none() => continue,
            Err(source) => return Err(failed(source)),
        };
        if let Some(folder) = &use_case.levels {
            let levels = ServedPrefilter::open_levels(folder, newest.tag()).map_err(failed)?;
            for (level, prefilter) in levels {
                let prefilters = Prefilters::new(prefilter, before(&level));
                all.insert((name.to_owned(), level), prefilters);
            }
        }
        let prefilters = Prefilters::new(newest, before(""));
        all.insert((name.to_owned(), String::new()), prefilters);
    }
    Ok(all)
}

fn open_reports(
    configuration: &Configuration,
    earlier: Option<&Live>,
) -> Result<Option<Arc<ReportLog>>, ServiceError> {
    let Some(directory) = &configuration.report_directory else { return Ok(None) };
    // Requests that began before a reload write to the log of before.
    if let Some(log) = earlier.and_then(|live| live.reports.as_ref())
        && log.directory() == directory
    {
        return Ok(Some(Arc::new(log.with_settings(&configuration.reports))));
    }
    let log = ReportLog::open(directory, &configuration.reports)
        .map_err(io_error(format!("open reportDirectory {}", directory.display())))?;
    Ok(Some(Arc::new(log)))
}
