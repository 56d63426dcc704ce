//! `urlfilter build`: block lists to a prefilter and its data set.

mod inputs;
mod summary;

use super::rule::RuleOptions;
use crate::output::{BYTES, Exit, bar_style, note};
use anyhow::{Context, anyhow, bail};
use blocklist::builder::{
    BuildError, Builder, DEFAULT_MAX_REFUSED, DEFAULT_SEED, DEFAULT_TOLERANCE, Guards, MaxShrink,
    Options, PreviousBuild, REPORT_FILE, Report, protect, reason_named,
};
use blocklist::key::{NameRules, Systems};
use blocklist::list::{Format, ListOption, ReadOptions, RowFilter};
use clap::ValueEnum;
use filter_core::bloom::Sizing;
use indicatif::ProgressBar;
use inputs::{Input, Inputs, STANDARD_INPUT};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The largest file of protected hosts, in bytes.
const MAX_PROTECTED: u64 = 1 << 26;

/// The largest `report.json` of a build before that is read, in bytes.
const MAX_REPORT: u64 = 1 << 30;

/// Turn block lists into a prefilter and the PIR data set of the same keys
///
/// Writes bloom_filter.plist, bloom.bin with bloom.json, input.txtpb, origins.bin and report.json: all of them, or
/// none if something fails. Lists can be compressed. Entries that cannot become keys are left out and reported with
/// their lines; a list that is empty, or most of whose entries make no sense, ends the build.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter build blocklist.txt --out dist
  urlfilter build hosts.txt.gz easylist.txt --allow ours.txt --compress --out dist --fpr 0.00001
  urlfilter build --format csv=url feed.csv --format auto pihole.hosts adguard.txt --out dist
  zcat feed.csv.gz | urlfilter build - --format csv=url --out dist
  urlfilter build hosts.txt --strict --tolerate covers-subdomains --out dist

Exit codes:
  0  built
  2  failure; no file was written or changed")]
pub(crate) struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
    /// Folder to write to; created if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// False-positive tolerance: the share of unlisted keys that may hit the filter, above 0 and below 1. Ten times less makes
    /// the filter of a million keys 0.6 MB larger and saves nine in ten queries; more of the rest are about listed URLs
    /// (docs/scale.md)
    #[arg(long, default_value_t = DEFAULT_TOLERANCE)]
    fpr: f64,
    /// Seed of MurmurHash3
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u32,
    /// How the sizes are rounded; `ceil` gives the same bytes as Apple's tool
    #[arg(long, value_enum, default_value_t = SizingName::Round)]
    sizing: SizingName,
    #[command(flatten)]
    rule: RuleOptions,
    /// Add the entry that Apple's onboarding looks up, www.apple.com/url-filter-test
    #[arg(long)]
    onboarding_entry: bool,
    /// Leave out keys that another key covers; no verdict changes
    #[arg(long)]
    compress: bool,
    /// Take only rows of CSV and JSON in which a column has a value, or has not; can be repeated
    #[arg(
        long = "where",
        value_name = "COLUMN=VALUE|COLUMN!=VALUE",
        help_heading = "Reading lists"
    )]
    rows: Vec<RowFilter>,
    /// File in an archive that is the list, if the archive has several
    #[arg(long, value_name = "NAME", help_heading = "Reading lists")]
    member: Option<String>,
    /// Name of response policy zones that do not say it themselves
    #[arg(long, value_name = "ZONE", help_heading = "Reading lists")]
    origin: Option<String>,
    /// Name or address to which a list sends what it blocks, beside 0.0.0.0 and the like; can be repeated
    #[arg(long, value_name = "TARGET", help_heading = "Reading lists")]
    sink: Vec<String>,
    /// Read entries that are written so that they are no links, such as hxxp://bad[.]example
    #[arg(long, help_heading = "Reading lists")]
    defanged: bool,
    /// Take Adblock rules for third-party requests, pop-ups or types of resources; their keys block every request
    #[arg(long, help_heading = "Reading lists")]
    widen_rules: bool,
    /// Systems that the keys must serve: 26, 27 and 27-unconfigured, separated by commas
    #[arg(
        long,
        value_name = "SYSTEMS",
        default_value_t = Systems::default(),
        conflicts_with_all = ["profile", "parsing"],
        help_heading = "Names"
    )]
    systems: Systems,
    /// Take a name with this last part, or block all sites below it; `*` for every suffix; can be repeated
    #[arg(long, value_name = "SUFFIX", help_heading = "Names")]
    allow_suffix: Vec<String>,
    /// File of hosts that no key may block, beside those that Apple's devices need: one a line (`*.host` for all hosts below),
    /// or a list; a line that names no host is an error
    #[arg(long, value_name = "FILE", help_heading = "Names")]
    protect: Vec<PathBuf>,
    /// Host that may be blocked although it is protected, or `*.host` for all below; can be repeated
    #[arg(long, value_name = "HOST", help_heading = "Names")]
    unprotect: Vec<String>,
    /// Fail if an entry that asks to block would be left out, if its key would cover more than it names, or if a key blocks
    /// what an exception names (still-covered)
    #[arg(long, help_heading = "Limits")]
    strict: bool,
    /// Reasons that --strict lets pass, as reports name them, separated by commas
    #[arg(
        long,
        value_name = "REASON",
        value_delimiter = ',',
        value_parser = parse_reason,
        requires = "strict",
        help_heading = "Limits"
    )]
    tolerate: Vec<String>,
    /// Fail if this share of the entries of a list, or more, makes no sense, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = DEFAULT_MAX_REFUSED, value_parser = parse_share, help_heading = "Limits")]
    max_refused: f64,
    /// Fail if there are fewer keys
    #[arg(long, value_name = "KEYS", default_value_t = 1, help_heading = "Limits")]
    min_keys: u64,
    /// Fail if a list, or the whole build, has lost more than this share since the last build in DIR, from 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = parse_share, help_heading = "Limits")]
    max_shrink: Option<f64>,
    /// List for which no limit holds, as it stands on the command line, also if it is a web page or a message in JSON, which
    /// gives no entry; or DIR, whose build may shrink; can be repeated
    #[arg(long, value_name = "FILE|DIR", help_heading = "Limits")]
    accept: Vec<String>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a number from 0 to 1 is expected".to_owned()),
    }
}

fn parse_reason(name: &str) -> Result<String, String> {
    let reason = reason_named(name).map(str::to_owned);
    reason.ok_or_else(|| {
        "no reason is called so; the summary and report.json have their names".to_owned()
    })
}

#[derive(Clone, Copy, ValueEnum)]
enum SizingName {
    /// To the nearest integer
    Round,
    /// Up
    Ceil,
}

impl From<SizingName> for Sizing {
    fn from(name: SizingName) -> Self {
        match name {
            SizingName::Round => Self::Round,
            SizingName::Ceil => Self::Ceil,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let options = options(arguments)?;
    // Checked before the lists are read, which can take minutes.
    options.check().context("--fpr")?;
    if !arguments.rows.is_empty() && !arguments.inputs.0.iter().any(takes_rows) {
        bail!(
            "--where is for rows: name the format of their list with --format csv=COLUMN, tsv=COLUMN or json=FIELD"
        );
    }

    let mut builder = Builder::new(options);
    for input in &arguments.inputs.0 {
        builder = add(builder, input, arguments)?;
    }
    check_effects(&builder)?;
    // What exceptions are left with is known only at the end.
    check_strict(builder.report(), arguments)?;
    let spinner = ProgressBar::new_spinner().with_message("filling and writing the filter");
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    let built = builder.finish().map_err(|error| match error {
        BuildError::Shrunk { .. } => {
            anyhow!("{error}; --accept {} builds all the same", arguments.out.display())
        }
        error => error.into(),
    })?;
    check_strict(&built.report, arguments)?;
    built.write(&arguments.out)?;
    spinner.finish_and_clear();
    summary::print(&built, &arguments.out, arguments.json, start.elapsed().as_secs_f64())
}

/// Fails for --strict if the keys are not exactly what the lists ask for.
fn check_strict(report: &Report, arguments: &Arguments) -> anyhow::Result<()> {
    let is_tolerated = |name: &str| arguments.tolerate.iter().any(|known| known == name);
    let reasons: Vec<_> = report.inexact(is_tolerated).collect();
    if !arguments.strict || reasons.is_empty() {
        return Ok(());
    }
    summary::describe_reasons(report);
    summary::describe_exceptions(report);
    bail!(
        "--strict: some entries cannot become keys, or keys would cover more than the lists name ({}); nothing was \
         written; --tolerate REASON lets a reason pass",
        reasons.join(", ")
    );
}

/// Fails for an option that has no effect on any list.
fn check_effects(builder: &Builder) -> anyhow::Result<()> {
    let sources = &builder.report().sources;
    for option in ListOption::ALL {
        if sources.iter().all(|source| source.without_effect.contains(&option)) {
            let flag = match option {
                ListOption::Member => "--member",
                ListOption::Origin => "--origin",
                ListOption::Sinks => "--sink",
                ListOption::Defanged => "--defanged",
                ListOption::WidenedRules => "--widen-rules",
                _ => continue,
            };
            bail!("{flag} is for {}, and no list is one of them; leave it out", option.lists());
        }
    }
    Ok(())
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let names = names(arguments)?;
    let mut guards =
        Guards::default().with_max_refused(arguments.max_refused).with_min_keys(arguments.min_keys);
    let lists: Vec<String> = arguments.inputs.0.iter().map(Input::name).collect();
    if lists.iter().filter(|list| *list == STANDARD_INPUT).count() > 1 {
        bail!("-: standard input can be read once, and more than one list is to come from it");
    }
    for accepted in &arguments.accept {
        if Path::new(accepted) == arguments.out {
            guards = guards.with_accepted_shrink();
            continue;
        }
        let accepted = if accepted == "-" { STANDARD_INPUT } else { accepted };
        if !lists.iter().any(|list| list == accepted) {
            bail!(
                "--accept {accepted}: no list of the command line is called so, and --out is {}",
                arguments.out.display()
            );
        }
        guards = guards.with_accepted(accepted);
    }
    if let Some(share) = arguments.max_shrink {
        guards = guards
            .with_max_shrink(previous(&arguments.out)?.map(|build| MaxShrink::new(share, build)));
    }
    Ok(Options::default()
        .with_tolerance(arguments.fpr)
        .with_murmur_seed(arguments.seed)
        .with_sizing(arguments.sizing.into())
        .with_rule(arguments.rule.chosen()?.unwrap_or_default())
        .with_systems(arguments.systems)
        .with_onboarding_entry(arguments.onboarding_entry)
        .with_compression(arguments.compress)
        .with_names(names)
        .with_guards(guards))
}

/// Which names may become keys.
fn names(arguments: &Arguments) -> anyhow::Result<NameRules> {
    let mut names = NameRules::default();
    for suffix in &arguments.allow_suffix {
        names = names.with_allowed_suffix(suffix).context("--allow-suffix")?;
    }
    for path in &arguments.protect {
        let file = durable_file::read(path, MAX_PROTECTED)?;
        let count = names.protected().count();
        names = protect(names, &file).with_context(|| format!("--protect {}", path.display()))?;
        if names.protected().count() == count {
            note(format_args!("--protect {}: it adds no host", path.display()));
        }
    }
    for host in &arguments.unprotect {
        names = names.without_protected(host).context("--unprotect")?;
    }
    for idle in names.idle_names() {
        note(format_args!("{idle}"));
    }
    Ok(names)
}

/// The build before in the output folder, if there is one.
fn previous(out: &Path) -> anyhow::Result<Option<PreviousBuild>> {
    let path = out.join(REPORT_FILE);
    if !path.try_exists().with_context(|| path.display().to_string())? {
        note(format_args!(
            "{}: there is no build before, so --max-shrink compares with nothing",
            path.display()
        ));
        return Ok(None);
    }
    let json = durable_file::read(&path, MAX_REPORT)?;
    Ok(Some(PreviousBuild::from_report(&json).with_context(|| path.display().to_string())?))
}

/// Whether conditions on rows are for this list.
fn takes_rows(list: &Input) -> bool {
    matches!(list.format, Some(Format::Csv { .. } | Format::Tsv { .. } | Format::Json { .. }))
}

fn add(builder: Builder, list: &Input, arguments: &Arguments) -> anyhow::Result<Builder> {
    let path = &list.path;
    let name = list.name();
    let (input, size): (Box<dyn Read>, Option<u64>) = if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            note(format_args!("reading a list from the terminal; press Ctrl-D at its end"));
        }
        (Box::new(io::stdin().lock()), None)
    } else {
        let file = File::open(path).with_context(|| name.clone())?;
        let about = file.metadata().with_context(|| name.clone())?;
        if about.is_dir() {
            bail!("{name}: expected a file, found a folder; give the lists in it");
        }
        (Box::new(file), Some(about.len()))
    };
    // indicatif draws nothing unless standard error is a terminal.
    let bar = match size {
        Some(size) => ProgressBar::new(size).with_style(bar_style(BYTES)),
        None => ProgressBar::new_spinner(),
    };
    bar.set_message(name.clone());
    let options = ReadOptions::default()
        .with_format(list.format.clone())
        .with_origin(arguments.origin.clone())
        .with_sinks(arguments.sink.clone())
        .with_defanged(arguments.defanged)
        .with_widened_rules(arguments.widen_rules)
        .with_member(arguments.member.clone())
        .with_rows(if takes_rows(list) { arguments.rows.clone() } else { Vec::new() });
    let input = bar.wrap_read(input);
    let outcome = if list.is_allow_list {
        builder.add_allow_list(&name, input, &options)
    } else {
        builder.add_source(&name, input, &options)
    };
    bar.finish_and_clear();
    outcome.map_err(|error| match error {
        BuildError::Source { .. } => {
            anyhow!("{error}; --accept {} builds with it all the same", path.display())
        }
        BuildError::List { ref source, .. } if source.is_page() => {
            anyhow!("{error}: {source}; --accept {} builds without it", path.display())
        }
        BuildError::List { ref source, .. } => match arguments.inputs.advice(list, source) {
            Some(advice) => anyhow!("{error}: {source}; {advice}"),
            None => error.into(),
        },
        error => error.into(),
    })
}
