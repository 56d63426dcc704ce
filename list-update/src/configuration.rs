//! `lists.toml`: which lists, how they are built, and what is done with the result.
//!
//! Unknown keys are refused, because a misspelt limit must not be ignored in silence. `docs/lists.md` of the
//! repository describes every key, and `docs/lists.schema.json` is the JSON schema.

mod error;
mod raw;
mod service;

pub use error::ConfigurationError;

use crate::folders::Folders;
use blocklist::builder::reason_named;
use blocklist::key::{EntryKind, InvalidName, KeyRules, NameRules, Refusal, Systems, canonicalise};
use blocklist::list::{Format, RowFilter};
use pir_dataset::level;
use raw::{RawConfiguration, RawList};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest configuration, in bytes.
pub const MAX_CONFIGURATION: u64 = 1 << 20;
/// The default of [`BuildSettings::tolerance`].
pub const DEFAULT_TOLERANCE: f64 = blocklist::builder::DEFAULT_TOLERANCE;
/// The default of [`List::max_shrink`].
pub const DEFAULT_MAX_SHRINK: f64 = 0.5;
/// The default of [`List::max_bytes`]: 256 MiB.
pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;
/// The default of [`List::timeout`].
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// The default of [`ProcessSettings::rows_per_shard`].
pub const DEFAULT_ROWS_PER_SHARD: u64 = 50_000;
/// Longest name of a source, in characters.
const MAX_NAME: usize = 100;
/// Most sources and allow lists together.
const MAX_LISTS: usize = 1000;
/// The default of [`Configuration::interval`].
const DEFAULT_INTERVAL: Duration = Duration::from_secs(3600);
/// The longest time of any key: a year.
const MAX_TIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A file of this machine.
    Path(PathBuf),
    /// An address that begins with `http://` or `https://`.
    Url(String),
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// A list: where it is, how it is read, and what must hold of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct List {
    /// Its name in reports.
    pub name: String,
    /// Where it is.
    pub location: Location,
    /// Whether it says what must not be blocked.
    pub is_allow_list: bool,
    /// Its format; detected if it is `None`.
    pub format: Option<Format>,
    /// The rows of a table that are read.
    pub rows: Vec<RowFilter>,
    /// The file in an archive that is the list.
    pub member: Option<String>,
    /// The name of a response policy zone that does not say it itself.
    pub origin: Option<String>,
    /// Names and addresses to which the list sends what it blocks.
    pub sinks: Vec<String>,
    /// Whether entries may be written so that they are no links.
    pub is_defanged: bool,
    /// Whether Adblock rules for some requests become keys, which block every request.
    pub is_widening_rules: bool,
    /// The fewest entries with a key, of an allow list the fewest entries. Default: 1; 0 for allow lists.
    pub min_keys: u64,
    /// The largest share of its entries with a key, and of those that say what must not be blocked, that it may lose from one
    /// update to the next, from 0 to 1;
    /// [`DEFAULT_MAX_SHRINK`] unless the configuration says otherwise.
    pub max_shrink: f64,
    /// The levels whose prefilters have its keys; empty for all levels.
    pub levels: Vec<String>,
    /// The most bytes that are read or fetched. Default: [`DEFAULT_MAX_BYTES`].
    pub max_bytes: u64,
    /// How long fetching it may take. Default: [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
}

/// How keys and prefilter are made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BuildSettings {
    /// The false-positive tolerance. Default: [`DEFAULT_TOLERANCE`].
    pub tolerance: f64,
    /// Whether keys are left out that others cover. Default: no.
    pub is_compressed: bool,
    /// Whether the entry of Apple's onboarding is added. Default: no.
    pub onboarding_entry: bool,
    /// The systems that the keys must serve.
    pub systems: Systems,
    /// The fewest keys of the whole build. Default: 1.
    pub min_keys: u64,
    /// The largest share of its keys that the whole build may lose. Default: 1, no limit.
    pub max_shrink: f64,
    /// The largest share of the entries of a list that may make no sense. Default: 0.5.
    pub max_refused: f64,
    /// The reasons for which keys may differ from what lists ask for, as reports name them; `None` if all reasons may.
    pub tolerated: Option<BTreeSet<&'static str>>,
    /// Which names may become keys: those of `allow_suffixes`, `protect` and `unprotect`.
    pub names: NameRules,
    /// Keys of hosts that are in the prefilter and have no row: devices ask about them, so that a row that is added later
    /// blocks before they fetch another prefilter.
    pub watched: Vec<String>,
}

/// How rows become shards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessSettings {
    /// The name of a predefined set of encryption parameters.
    pub rlwe_parameters: String,
    /// Rows of a shard. Default: [`DEFAULT_ROWS_PER_SHARD`].
    pub rows_per_shard: u64,
    /// Test queries for each shard. Default: 1.
    pub trials_per_shard: u32,
}

/// What is done with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The files stay where they are.
    None,
    /// A running service is told to reload.
    Reload {
        /// The admin address of the service.
        address: String,
    },
    /// The result is published as a release.
    Publish {
        /// The address of the publication.
        address: String,
        /// Admin addresses of nodes that are waited for.
        nodes: Vec<String>,
        /// Admin address whose host has the addresses of all nodes, in place of `nodes`.
        nodes_name: Option<String>,
        /// The file of the key that signs.
        key: Option<PathBuf>,
        /// Seconds until nodes switch; `None` for the default.
        lead: Option<Duration>,
        /// Time until the prefilter is given out after a new configuration.
        filter_delay: Duration,
        /// How long nodes are waited for.
        node_timeout: Duration,
        /// How many releases are kept; 0 keeps all.
        keep: usize,
    },
}

/// A list configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Configuration {
    /// Where everything is kept.
    pub folders: Folders,
    /// How keys and prefilter are made.
    pub build: BuildSettings,
    /// How rows become shards.
    pub process: ProcessSettings,
    /// The lists in their order, allow lists behind all others.
    pub lists: Vec<List>,
    /// The use case that the result is for, if there is one.
    pub use_case: Option<String>,
    /// What is done with a result.
    pub delivery: Delivery,
    /// How often a service updates by itself.
    pub interval: Duration,
}

impl Configuration {
    /// Reads a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigurationError`], which names the file and the key.
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let content = durable_file::read(path, MAX_CONFIGURATION)?;
        let text = String::from_utf8(content).map_err(|_| ConfigurationError::NotUtf8)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder).map_err(|error| error.in_file(path))
    }

    /// Reads a text whose paths are relative to `folder`.
    ///
    /// # Errors
    /// [`ConfigurationError`], which names the key.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigurationError> {
        let raw = raw::parse(text)?;
        Self::check(raw, folder)
    }

    fn check(raw: RawConfiguration, folder: &Path) -> Result<Self, ConfigurationError> {
        if raw.out.as_os_str().is_empty() {
            return Err(ConfigurationError::value("out", "a folder is expected"));
        }
        if raw.source.is_empty() {
            let reason = "at least one [[source]] is expected";
            return Err(ConfigurationError::value("source", reason));
        }
        if raw.source.len() + raw.allow.len() > MAX_LISTS {
            let reason = format!("at most {MAX_LISTS} lists are possible");
            return Err(ConfigurationError::value("source", reason));
        }
        let mut lists = Vec::with_capacity(raw.source.len() + raw.allow.len());
        let mut names = BTreeSet::new();
        for (part, all, is_allow_list) in
            [("source", raw.source, false), ("allow", raw.allow, true)]
        {
            for (index, list) in all.into_iter().enumerate() {
                let list = check_list(list, is_allow_list, folder)
                    .map_err(|error| error.within(&format!("{part}[{index}]")))?;
                if !names.insert(list.name.clone()) {
                    let reason = format!("another list is called `{}` already", list.name);
                    return Err(ConfigurationError::value(format!("{part}[{index}].name"), reason));
                }
                lists.push(list);
            }
        }
        let build = check_build(raw.build).map_err(|error| error.within("build"))?;
        let process = check_process(raw.process).map_err(|error| error.within("process"))?;
        let service = raw.service.unwrap_or_default();
        let interval = time("service.every_minutes", service.every_minutes, 60, 1)?;
        let interval = interval.unwrap_or(DEFAULT_INTERVAL);
        let use_case = service.use_case.clone();
        let delivery = service::check(service, folder).map_err(|error| error.within("service"))?;
        let folders = Folders::new(folder.join(raw.out));
        let configuration = Self { folders, build, process, lists, use_case, delivery, interval };
        check_with_levels(&configuration.levels(), &configuration.build)?;
        Ok(configuration)
    }

    /// The names of all levels.
    #[must_use]
    pub fn levels(&self) -> BTreeSet<String> {
        self.lists.iter().flat_map(|list| &list.levels).cloned().collect()
    }

    /// The list of a name.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<&List> {
        self.lists.iter().find(|list| list.name == name)
    }
}

/// A time in units of so many seconds, at least `min` of them and at most a year.
fn time(
    key: &str,
    count: Option<u64>,
    unit_seconds: u64,
    min: u64,
) -> Result<Option<Duration>, ConfigurationError> {
    let max = MAX_TIME.as_secs() / unit_seconds;
    match count {
        None => Ok(None),
        Some(count) if (min..=max).contains(&count) => {
            Ok(Some(Duration::from_secs(count * unit_seconds)))
        }
        Some(_) => {
            let reason = format!("a number from {min} to {max} is expected, a year at most");
            Err(ConfigurationError::value(key, reason))
        }
    }
}

fn share(key: &str, share: Option<f64>, default: f64) -> Result<f64, ConfigurationError> {
    let share = share.unwrap_or(default);
    match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(ConfigurationError::value(key, "a number from 0 to 1 is expected")),
    }
}

fn check_list(
    raw: RawList,
    is_allow_list: bool,
    folder: &Path,
) -> Result<List, ConfigurationError> {
    let location = match (raw.path, raw.url) {
        (Some(path), None) => Location::Path(folder.join(path)),
        (None, Some(url)) => {
            let has = |scheme: &str| {
                url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            };
            if has("https://") && !cfg!(feature = "tls") {
                return Err(ConfigurationError::feature("url", "tls"));
            }
            if !has("https://") && !has("http://") {
                let reason = "an address that begins with https:// or http:// is expected";
                return Err(ConfigurationError::value("url", reason));
            }
            if !cfg!(feature = "http") {
                return Err(ConfigurationError::feature("url", "http"));
            }
            Location::Url(url)
        }
        _ => return Err(ConfigurationError::value("path", "either path or url is expected")),
    };
    let name = match (raw.name, &location) {
        (Some(name), _) => name,
        (None, Location::Path(path)) if is_allow_list => {
            path.file_name().unwrap_or_default().to_string_lossy().into_owned()
        }
        (None, _) if is_allow_list => {
            let reason = "it is missing; only an allow list with a path has a name by itself";
            return Err(ConfigurationError::value("name", reason));
        }
        (None, _) => return Err(ConfigurationError::value("name", "it is missing")),
    };
    if !(1..=MAX_NAME).contains(&name.chars().count()) || name.contains(char::is_control) {
        let reason = format!("1 to {MAX_NAME} characters are expected, without control characters");
        return Err(ConfigurationError::value("name", reason));
    }
    let format =
        match raw.format.as_deref() {
            None | Some("auto") => None,
            Some(name) => Some(name.parse::<Format>().map_err(|error| {
                ConfigurationError::value("format", format!("{error}, or auto"))
            })?),
        };
    let mut rows = Vec::new();
    for (index, text) in raw.rows.into_iter().flat_map(raw::OneOrMore::into_vec).enumerate() {
        rows.push(text.parse::<RowFilter>().map_err(|error| {
            ConfigurationError::value(format!("where[{index}]"), error.to_string())
        })?);
    }
    let has_rows =
        matches!(format, Some(Format::Csv { .. } | Format::Tsv { .. } | Format::Json { .. }));
    if !rows.is_empty() && !has_rows {
        let reason = "rows are chosen of a table: format = \"csv=COLUMN\", \"tsv=COLUMN\" or \
                      \"json=FIELD\" is expected beside it";
        return Err(ConfigurationError::value("where", reason));
    }
    let max_bytes = raw.max_bytes.unwrap_or(DEFAULT_MAX_BYTES);
    if max_bytes == 0 {
        return Err(ConfigurationError::value("max_bytes", "at least 1 is expected"));
    }
    let timeout = time("timeout_seconds", raw.timeout_seconds, 1, 1)?.unwrap_or(DEFAULT_TIMEOUT);
    Ok(List {
        name,
        location,
        is_allow_list,
        format,
        rows,
        member: raw.member,
        origin: raw.origin,
        sinks: raw.sinks,
        is_defanged: raw.defanged,
        is_widening_rules: raw.widen_rules,
        min_keys: raw.min_keys.unwrap_or(u64::from(!is_allow_list)),
        max_shrink: share("max_shrink", raw.max_shrink, DEFAULT_MAX_SHRINK)?,
        levels: check_levels(raw.levels, is_allow_list)?,
        max_bytes,
        timeout,
    })
}

fn check_build(raw: raw::RawBuild) -> Result<BuildSettings, ConfigurationError> {
    let tolerance = raw.fpr.unwrap_or(DEFAULT_TOLERANCE);
    if !(tolerance > 0.0 && tolerance < 1.0) {
        return Err(ConfigurationError::value("fpr", "a number above 0 and below 1 is expected"));
    }
    let systems = match raw.systems {
        None => Systems::default(),
        Some(names) if names.is_empty() => {
            return Err(ConfigurationError::value("systems", "at least one system is expected"));
        }
        Some(names) => {
            for (index, name) in names.iter().enumerate() {
                if name.contains(',') {
                    let reason = "one system is expected; others stand beside it in the list";
                    return Err(ConfigurationError::value(format!("systems[{index}]"), reason));
                }
            }
            names
                .join(",")
                .parse::<Systems>()
                .map_err(|error| ConfigurationError::value("systems", error.to_string()))?
        }
    };
    let names = names(&raw.allow_suffixes, &raw.protect, &raw.unprotect)?;
    let watched = watched_keys(&raw.watch, systems)?;
    let tolerated = tolerated(raw.strict, &raw.tolerate)?;
    Ok(BuildSettings {
        watched,
        tolerance,
        is_compressed: raw.compress,
        onboarding_entry: raw.onboarding_entry,
        systems,
        min_keys: raw.min_keys.unwrap_or(1),
        max_shrink: share("max_shrink", raw.max_shrink, 1.0)?,
        max_refused: share(
            "max_refused",
            raw.max_refused,
            blocklist::builder::DEFAULT_MAX_REFUSED,
        )?,
        tolerated,
        names,
    })
}

fn tolerated(
    is_strict: bool,
    names: &[String],
) -> Result<Option<BTreeSet<&'static str>>, ConfigurationError> {
    let mut tolerated = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let reason = reason_named(name).ok_or_else(|| {
            let reason = format!("{name:?} is no reason; report.json has their names");
            ConfigurationError::value(format!("tolerate[{index}]"), reason)
        })?;
        tolerated.insert(reason);
    }
    if !is_strict && !names.is_empty() {
        return Err(ConfigurationError::value(
            "tolerate",
            "it has no effect without strict = true",
        ));
    }
    Ok(is_strict.then_some(tolerated))
}

fn names(
    allowed: &[String],
    protected: &[String],
    unprotected: &[String],
) -> Result<NameRules, ConfigurationError> {
    type With = fn(NameRules, &str) -> Result<NameRules, InvalidName>;
    let groups: [(&str, &[String], With); 3] = [
        ("allow_suffixes", allowed, NameRules::with_allowed_suffix),
        ("protect", protected, NameRules::with_protected),
        ("unprotect", unprotected, NameRules::without_protected),
    ];
    let mut rules = NameRules::default();
    for (key, texts, with) in groups {
        for (index, text) in texts.iter().enumerate() {
            rules = with(rules, text).map_err(|error| {
                ConfigurationError::value(format!("{key}[{index}]"), error.to_string())
            })?;
        }
    }
    Ok(rules)
}

/// Largest number of levels that all sources together may name.
const MAX_LEVELS: usize = 64;

fn check_levels(
    levels: Vec<String>,
    is_allow_list: bool,
) -> Result<Vec<String>, ConfigurationError> {
    if is_allow_list && !levels.is_empty() {
        let reason = "an allow list holds for all levels";
        return Err(ConfigurationError::value("levels", reason));
    }
    for (index, level) in levels.iter().enumerate() {
        if !level::is_name(level) {
            let reason = format!("1 to {} of a-z, 0-9 and - are expected", level::MAX_NAME);
            return Err(ConfigurationError::value(format!("levels[{index}]"), reason));
        }
    }
    Ok(levels)
}

/// What does not go with levels.
fn check_with_levels(
    levels: &BTreeSet<String>,
    build: &BuildSettings,
) -> Result<(), ConfigurationError> {
    let refuse = |key: &str, reason: &str| Err(ConfigurationError::value(key, reason));
    if levels.is_empty() {
        return Ok(());
    }
    if levels.len() > MAX_LEVELS {
        return refuse("source", &format!("at most {MAX_LEVELS} levels are possible"));
    }
    if build.is_compressed {
        let reason = "not with levels: a key that another list covers would be missing under a level without that list";
        return refuse("build.compress", reason);
    }
    if build.tolerance > level::MAX_TOLERANCE {
        let reason = "at most 0.01 with levels, so that what a level does not list is blocked under it in less than one of a \
                      million loads";
        return refuse("build.fpr", reason);
    }
    Ok(())
}

/// The keys of hosts that are watched.
fn watched_keys(hosts: &[String], systems: Systems) -> Result<Vec<String>, ConfigurationError> {
    let (rules, names) = (KeyRules::from(systems), NameRules::default());
    let mut keys = Vec::with_capacity(hosts.len());
    for (index, host) in hosts.iter().enumerate() {
        let refused = |refusal: Refusal| {
            let reason = format!("`{host}` cannot be watched: {}", refusal.explanation());
            ConfigurationError::value(format!("watch[{index}]"), reason)
        };
        let key = canonicalise(host, EntryKind::Host, &rules).map_err(refused)?;
        names.check(&key.text).map_err(refused)?;
        keys.push(key.text.into_owned());
        keys.extend(key.others);
    }
    Ok(keys)
}

fn check_process(raw: raw::RawProcess) -> Result<ProcessSettings, ConfigurationError> {
    let rows_per_shard = raw.rows_per_shard.unwrap_or(DEFAULT_ROWS_PER_SHARD);
    if rows_per_shard == 0 {
        return Err(ConfigurationError::value("rows_per_shard", "at least 1 is expected"));
    }
    let rlwe_parameters =
        raw.rlwe_parameters.unwrap_or_else(|| "n_4096_logq_27_28_28_logt_5".to_owned());
    pir_dataset::configuration::check_parameter_set(&rlwe_parameters)
        .map_err(|error| ConfigurationError::value("rlwe_parameters", error.without_key()))?;
    Ok(ProcessSettings {
        rlwe_parameters,
        rows_per_shard,
        trials_per_shard: raw.trials_per_shard.unwrap_or(1),
    })
}

#[cfg(test)]
mod tests;
