//! `urlfilter publish`: a data set and its prefilter to the store from which nodes and apps fetch them.

use crate::output::{Bars, Exit, Results, check_address, note};
use clap::builder::RangedU64ValueParser;
use pir_dataset::publication::{
    Nodes, Publisher, ReleaseStore, Schedule, gather, gather_with_levels, signing_key,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Publish a data set and its prefilter to an object store; all nodes switch to it together
///
/// The address is s3://bucket/path, gs://bucket/path, az://container/path, file:///folder or a folder. Credentials
/// are read from the variables that the tools of these services use (AWS_…, GOOGLE_…, AZURE_…). Nodes have the same
/// address in their configuration ("published").
///
/// First all files are uploaded, then the release is announced, and all nodes switch to it at the same time. Its
/// prefilter is published last, when all nodes serve the data set, so that devices never look up keys that the service
/// does not have yet. If devices must fetch a new configuration, the previous data set is served for two minutes
/// more to those that fetch it from the nodes, and the prefilter waits for that, too.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter publish --to s3://lists/urls --usecase com.example.app.url.filtering \\
      --data dist/urls --filter dist
  urlfilter publish … --node http://10.0.0.1:9090 --node http://10.0.0.2:9090
  urlfilter publish … --sign publication.key
  urlfilter publish --to s3://lists/urls --usecase com.example.app.url.filtering --rollback

Exit codes:
  0  published
  2  failure; until a release is announced, an interrupted run changes nothing that is served")]
pub(crate) struct Arguments {
    /// Address of the store
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// Name of the use case: the app's bundle id followed by `.url.filtering`
    #[arg(long, value_name = "NAME")]
    usecase: String,
    /// First part of the names of the data set's files, such as dist/urls
    #[arg(long, value_name = "STEM", required_unless_present_any = ["rollback", "filter_only"])]
    data: Option<PathBuf>,
    /// Folder that `build` wrote
    #[arg(long, value_name = "DIR", required_unless_present_any = ["rollback", "filter_only"])]
    filter: Option<PathBuf>,
    /// Folder with a folder for the prefilter of each level, as `update` writes it (state/levels). They are published with
    /// the data set, and a node gives each out at /filter/NAME/LEVEL
    #[arg(long, value_name = "DIR", requires = "filter")]
    levels: Option<PathBuf>,
    /// Go back to the previous release, or to the release with this id
    #[arg(long, value_name = "RELEASE", num_args = 0..=1, default_missing_value = "",
        conflicts_with_all = ["data", "filter"])]
    rollback: Option<String>,
    /// Only publish the prefilter of the current release
    #[arg(long, conflicts_with_all = ["data", "filter", "rollback", "detach"])]
    filter_only: bool,
    /// Admin address of a node, to wait until it has the release. Give all nodes, or none
    #[arg(long, value_name = "URL")]
    node: Vec<String>,
    /// Admin address whose host name has the addresses of all nodes, such as a headless service of Kubernetes
    #[arg(long, value_name = "URL", conflicts_with = "node")]
    nodes: Option<String>,
    /// Seconds until nodes switch to the release: after all nodes have it, or after now without --node, so that they
    /// have time to fetch it. Default: 15 with --node, 120 without
    #[arg(long, value_name = "SECONDS", value_parser = seconds())]
    lead: Option<u64>,
    /// Seconds until the prefilter is given out, after all nodes serve the release, if devices must fetch a new
    /// configuration: for two minutes nodes answer devices that fetch it from them from the previous data set
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = 120)]
    filter_delay: u64,
    /// Limit for waiting for nodes, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = 600, alias = "patience")]
    node_timeout: u64,
    /// Sign with the key in this file, which `urlfilter signing-key` wrote. Nodes that have the public key in their
    /// configuration follow nothing else. Without it, the variable URLFILTER_SIGNING_KEY may hold the content of such a
    /// file
    #[arg(long, value_name = "FILE")]
    sign: Option<PathBuf>,
    /// Go on from what is published now, whoever signed it: for the first signed release, and for another key
    #[arg(long)]
    trust_current: bool,
    /// Do not wait; publish the prefilter later with --filter-only
    #[arg(long)]
    detach: bool,
    /// Number of releases to keep for --rollback; 0 keeps all
    #[arg(long, value_name = "N", default_value_t = 5)]
    keep: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'r> {
    release: &'r str,
    config_id: &'r str,
    shard_count: u32,
    /// Whether the files are those of the current release.
    unchanged: bool,
    new_configuration: bool,
    uploaded_objects: usize,
    /// Files that nodes with the release before need not fetch as a whole.
    deltas: usize,
    removed_objects: usize,
    activate_at: u64,
    /// Whether apps can fetch the prefilter.
    filter_given_out: bool,
    /// The levels of the release.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    levels: Vec<LevelReport<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LevelReport<'r> {
    name: &'r str,
    /// What was found in its folder; nothing of a release that was published before.
    #[serde(flatten)]
    found: Option<LevelFound<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LevelFound<'r> {
    keys: u64,
    tag: &'r str,
    blocked_by_chance: f64,
}

/// Numbers of seconds up to a year.
fn seconds() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(..=365 * 24 * 3600)
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(publish(arguments))
}

async fn publish(arguments: &Arguments) -> anyhow::Result<Exit> {
    for address in arguments.node.iter().chain(&arguments.nodes) {
        check_address(address)?;
    }
    let gathered = match (&arguments.data, &arguments.filter, &arguments.levels) {
        (Some(data), Some(filter), None) => Some(gather(data, filter)?),
        (Some(data), Some(filter), Some(levels)) => Some(gather_with_levels(data, filter, levels)?),
        _ => None,
    };
    let key = signing_key(arguments.sign.as_deref())?;
    let nodes = match &arguments.nodes {
        Some(name) => Nodes::resolve(name, &arguments.usecase).await?,
        None => Nodes::new(&arguments.node, &arguments.usecase)?,
    };
    let store = ReleaseStore::open(&arguments.to, &BTreeMap::new())?;
    let mut schedule = Schedule::new(&nodes);
    if let Some(seconds) = arguments.lead {
        schedule.lead = Duration::from_secs(seconds);
    }
    schedule.filter_delay = Duration::from_secs(arguments.filter_delay);
    schedule.node_timeout = Duration::from_secs(arguments.node_timeout);
    let bars = Bars::default();
    let publisher = Publisher::open(store, &arguments.usecase, nodes, schedule).await?;
    let mut publisher =
        publisher.with_progress(&bars).with_trust_in_current(arguments.trust_current);
    if let Some(key) = &key {
        publisher = publisher.with_key(key);
    }
    let (mut uploaded_objects, mut deltas) = (0, 0);
    let mut unchanged = false;
    let announced = if let Some(gathered) = &gathered {
        let published = publisher.publish(gathered).await?;
        (uploaded_objects, unchanged) = (published.uploaded_objects, published.unchanged);
        deltas = published.deltas;
        let id = &published.announced.release.id;
        if unchanged {
            note(format_args!("release {id}: unchanged"));
        } else {
            note(format_args!(
                "release {id}: {} rows in {} shards; {uploaded_objects} of {} files were new, {deltas} of them have deltas",
                gathered.rows,
                gathered.shard_count,
                gathered.files.len()
            ));
        }
        for level in &gathered.levels {
            note(format_args!(
                "level {}: {} keys; of a billion loads, {:.0} are blocked under it that only other levels list",
                level.name,
                level.keys,
                level.blocked_by_chance() * 1e9
            ));
        }
        published.announced
    } else if let Some(id) = &arguments.rollback {
        let announced = publisher.roll_back(Some(id.as_str()).filter(|id| !id.is_empty())).await?;
        note(format_args!("going back to release {}", announced.release.id));
        announced
    } else {
        publisher.resume().await?
    };
    if announced.new_configuration {
        note(format_args!(
            "devices must fetch the configuration; those that get it from a cache may query the previous data set until \
             then, which lacks what was added (supersededMinutes)"
        ));
    }
    if !arguments.detach {
        publisher.finish(&announced).await?;
        note(format_args!(
            "its prefilter is published at {}/filter",
            arguments.to.trim_end_matches('/')
        ));
    }
    let removed_objects =
        if arguments.keep == 0 { 0 } else { publisher.prune(arguments.keep).await? };
    let level = |name| {
        let all = gathered.iter().flat_map(|gathered| &gathered.levels);
        let found = all.clone().find(|level| level.name == name).map(|level| LevelFound {
            keys: level.keys,
            tag: &level.tag,
            blocked_by_chance: level.blocked_by_chance(),
        });
        LevelReport { name, found }
    };
    let mut results = Results::new();
    if arguments.json {
        results.json(&Report {
            levels: announced.release.levels().map(level).collect(),
            release: &announced.release.id,
            config_id: &announced.release.config_id,
            shard_count: announced.release.shard_count,
            unchanged,
            new_configuration: announced.new_configuration,
            uploaded_objects,
            deltas,
            removed_objects,
            activate_at: announced.activate_at.unix_seconds(),
            filter_given_out: !arguments.detach,
        })?;
    } else {
        results.line(format_args!("{}", announced.release.id))?;
    }
    results.finish()?;
    Ok(Exit::Success)
}
