//! Why a source is not used, and why an update fails.

use blocklist::BuildError;
use blocklist::builder::NotAReport;
use blocklist::list::ListOption;
use durable_file::FileError;
use error_reporter::Report;
use pir_dataset::Cause;
use pir_dataset::configuration::ConfigurationError as ProcessConfigurationError;
use pir_dataset::manifest::ManifestError;
use pir_dataset::processing::ProcessError;
use std::net::IpAddr;
use std::path::PathBuf;

/// A source cannot be read or fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The file cannot be read.
    #[error(transparent)]
    File(FileError),
    /// The source is larger than its configuration allows.
    #[error("it has more than {max} bytes; raise max_bytes if that is meant")]
    TooLong {
        /// `max_bytes` of the source, in bytes.
        max: u64,
    },
    /// The text is not an address.
    #[error("its url is not an address with a host")]
    Address,
    /// The host has an address that is not of the open internet.
    #[error(
        "{host} has the address {address}, which is not of the open internet (--allow-private)"
    )]
    Private {
        /// The host of the source, or of where it redirects to.
        host: String,
        /// The first address of the host that is refused.
        address: IpAddr,
    },
    /// It redirects to where no list is fetched from.
    #[error("it redirects to {to}: {reason}")]
    Redirect {
        /// Scheme and host of the address.
        to: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// The answer is no list.
    #[error("the answer has the status {status}")]
    Status {
        /// The status of the answer.
        status: u16,
    },
    /// The time is over.
    #[error("it was not there whole after {seconds} s; raise timeout_seconds if it is slow")]
    Timeout {
        /// `timeout_seconds` of the source, in seconds.
        seconds: u64,
    },
    /// The connection failed, or ended before its end.
    #[error("it cannot be fetched")]
    Http {
        /// What the HTTP client says.
        source: Cause,
    },
    /// What was fetched cannot be stored. This is no failure of the source.
    #[error(transparent)]
    Store(FileError),
}

/// Why what a source gives is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceProblem {
    /// It cannot be read or fetched.
    #[error(transparent)]
    Away(#[from] FetchError),
    /// It is no list, is damaged, or most of it makes no sense.
    #[error("{}", in_keys(.0))]
    Unusable(Box<BuildError>),
    /// It has fewer entries with a key than its configuration asks for.
    #[error("{found} of its entries have a key, and min_keys asks for {min}")]
    TooFewKeys {
        /// Entries with a key.
        found: u64,
        /// The fewest that are taken.
        min: u64,
    },
    /// It has far fewer entries with a key than before.
    #[error(
        "{now} of its entries have a key, and there were {before} before; more is lost than max_shrink allows \
         (--accept NAME takes it once)"
    )]
    Shrunk {
        /// Entries with a key now.
        now: u64,
        /// Entries with a key before.
        before: u64,
    },
    /// It is an allow list with fewer entries than its configuration asks for.
    #[error("{found} of its entries say what must not be blocked, and min_keys asks for {min}")]
    TooFewExceptions {
        /// Entries that take others back.
        found: u64,
        /// The fewest that are taken.
        min: u64,
    },
    /// It has far fewer entries that take others back than before.
    #[error(
        "{now} of its entries say what must not be blocked, and there were {before} before; more is lost than \
         max_shrink allows (--accept NAME takes it once)"
    )]
    ShrunkExceptions {
        /// Those of now.
        now: u64,
        /// Those of before.
        before: u64,
    },
    /// Its keys would not be exactly what it asks for, and `build.strict` asks for that.
    #[error(
        "entries of it cannot become keys, or their keys would cover more than they name ({}); build.tolerate lets a reason \
         pass",
        in_lines(reasons)
    )]
    Inexact {
        /// The names of the reasons, as reports have them, and the first line that each concerns.
        reasons: Vec<(&'static str, u64)>,
    },
    /// A setting of it has no effect on a list of its format, so that it would not be read as it is meant.
    #[error("{} is for {}, which it is not; leave it out", setting(*.0), .0.lists())]
    WithoutEffect(ListOption),
    /// The copy on this machine is not what was stored.
    #[error(
        "its copy on this machine is damaged, and what it gives now cannot be used; each update tries it again"
    )]
    Damaged,
}

/// What an option is called in the configuration.
const fn setting(option: ListOption) -> &'static str {
    match option {
        ListOption::Member => "member",
        ListOption::Origin => "origin",
        ListOption::Sinks => "sinks",
        ListOption::Defanged => "defanged",
        ListOption::WidenedRules => "widen_rules",
        _ => "an option",
    }
}

/// An error of a build with its causes, in which flags of `urlfilter build` have the names of keys.
fn in_keys(error: &BuildError) -> String {
    let text = Report::new(error).to_string();
    [("--format", "format"), ("--defanged", "defanged"), ("--where", "where")]
        .iter()
        .fold(text, |text, (flag, key)| text.replace(flag, &format!("`{key}`")))
}

/// Reasons with their first lines.
fn in_lines(reasons: &[(&'static str, u64)]) -> String {
    let each = reasons.iter().map(|(reason, line)| format!("{reason}, first in line {line}"));
    each.collect::<Vec<_>>().join("; ")
}

/// Sources that cannot be used and have no good copy, with their problems.
fn names(sources: &[(String, SourceProblem)]) -> String {
    let each = sources.iter().map(|(name, problem)| format!("{name}: {}", Report::new(problem)));
    each.collect::<Vec<_>>().join("; ")
}

/// An update that did not come to its end. What is served is as it was, unless the error is about telling a service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// Another update works in the same folder.
    #[error("{}: another update is running there", path.display())]
    Busy {
        /// The folder of the state.
        path: PathBuf,
    },
    /// A file of the folder cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record of the run before cannot be used.
    #[error("{}: not the record of an update; delete its folder to start anew", path.display())]
    State {
        /// `state.json` in the folder of the state.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// The report of the build before cannot be used.
    #[error("{}: delete its folder to start anew", path.display())]
    Report {
        /// `report.json` of the build before.
        path: PathBuf,
        /// What is wrong with it.
        source: NotAReport,
    },
    /// The HTTP client cannot be set up.
    #[error("cannot set up an HTTP client")]
    Client {
        /// What the system or the TLS library says.
        source: Cause,
    },
    /// Sources cannot be used, and there is no good copy of them.
    #[error("nothing was done; there is no copy that can be used of {}", names(sources))]
    Sources {
        /// Their names and problems.
        sources: Vec<(String, SourceProblem)>,
    },
    /// The name that was given to be accepted is that of no list.
    #[error("--accept {name}: no list of the configuration is called so")]
    UnknownName {
        /// The name as it was given.
        name: String,
    },
    /// The lists make no prefilter.
    #[error("nothing was done; the lists make no prefilter")]
    Build(#[from] BuildError),
    /// The whole build has far fewer keys than the one before.
    #[error(
        "nothing was done; the build has {now} keys, and the one before had {before}; more is lost than \
         build.max_shrink allows"
    )]
    Shrunk {
        /// Keys now.
        now: u64,
        /// Keys before.
        before: u64,
    },
    /// Keys block what exceptions name, and `build.strict` asks for exact keys.
    #[error(
        "nothing was done; keys block what exceptions name ({}), and build.strict asks for exact keys; build.tolerate lets a \
         reason pass{}",
        reasons.join(", "),
        first.as_deref().unwrap_or("")
    )]
    Inexact {
        /// The names of the reasons, as reports have them.
        reasons: Vec<&'static str>,
        /// The first exception, and the key that blocks what it names, as a clause; `None` if no exception is the reason.
        first: Option<String>,
    },
    /// A level has no key.
    #[error("nothing was done; no list of the level {level} gives a key")]
    EmptyLevel {
        /// The name of the level in the configuration.
        level: String,
    },
    /// The settings of `[process]` cannot be used.
    #[error("[process]")]
    ProcessSettings(#[from] ProcessConfigurationError),
    /// A path is not text in UTF-8.
    #[error("{}: a path in UTF-8 is expected", path.display())]
    Path {
        /// The path, with what is no UTF-8 replaced when it is shown.
        path: PathBuf,
    },
    /// The rows cannot be processed.
    #[error("the data set cannot be processed")]
    Process(#[from] ProcessError),
    /// The data set cannot be read again.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The key that signs cannot be used.
    #[error("nothing was done; the key that signs the publication cannot be used")]
    SigningKey {
        /// The file or variable with the key, and what is wrong with it.
        source: Cause,
    },
    /// The result cannot be published, or the service cannot be told. The next update tries again.
    #[error("the result is there and is not delivered to {to}; the next update tries again")]
    Deliver {
        /// The address of the publication or of the service.
        to: String,
        /// What of the delivery failed.
        source: Cause,
    },
}
