//! `urlfilter query`: private lookups at a service.

mod authority;
mod state;

use super::rule::RuleOptions;
use super::token::TokenOptions;
use super::urls::with_standard_input;
use super::verdict;
use crate::output::{Exit, Results, chain, check_address, note};
use anyhow::bail;
use authority::Authority;
use clap::ValueEnum;
use filter_client::{
    Answer, ClientBuilder, ClientOptions, Costs, EmptyWallet, FilterOptions, Keywords, OnFailure,
    PirClient, PrefilterSource, PrefilterTrust, blocking, sans_io::Lookup,
};
use filter_core::sub_url::SubUrlRule;
use release_signature::{PublicKey, TrustedKeys};
use serde::Serialize;
use state::StateFile;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Largest number of sub-URLs that are looked up for one URL without a prefilter.
const MAX_SUB_URLS: usize = 256;
/// Limit for fetching a prefilter: long enough for a large one.
const FILTER_TIMEOUT: Duration = Duration::from_secs(60);

/// Look URLs or keywords up at a PIR service, privately
///
/// With a prefilter, each URL is judged as on a device: the service is asked only if a sub-URL hits. Without one, all
/// sub-URLs are looked up, which costs more. The service learns how many keywords are looked up, and in which shards,
/// but not which keywords they are.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter query --server https://pir.example --usecase com.example.app.url.filtering \\
      --token-file token --filter dist https://www.example.com/login
  urlfilter query --server http://127.0.0.1:8080 --usecase com.example.app.url.filtering \\
      --token AAAA --keywords example.com/login www.apple.com/url-filter-test
  urlfilter query … --state client.state --json - < urls.txt

Exit codes:
  0  all URLs are allowed (keywords: absent)
  1  some are denied (keywords: present)
  2  failure, or some are unknown")]
pub(crate) struct Arguments {
    /// URLs; `-` reads them from standard input, one a line
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// Address of the service
    #[arg(long, value_name = "URL")]
    server: String,
    /// Address of the issuer, if tokens are not issued by the service
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Address of a copy of the issuer's directory of token keys, at somebody else's: tokens are fetched only if both begin with
    /// the same key, so that the issuer cannot give this user a key of its own
    #[arg(long, value_name = "URL")]
    directory_mirror: Option<String>,
    /// Name of the use case: the app's bundle id followed by `.url.filtering`
    #[arg(long, value_name = "NAME")]
    usecase: String,
    /// PEM file of an authority to trust in addition to the system's
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    #[command(flatten)]
    token: TokenOptions,
    /// Prefilter, in any form that `inspect` reads, or its http or https address
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Level whose prefilter is used, as the service gives it out; with --filter and --public-key, the level for which that
    /// prefilter must be signed
    #[arg(long, value_name = "NAME", value_parser = level)]
    level: Option<String>,
    /// Public key, as `signing-key` prints it, that must have signed the prefilter: bloom.json of a publication; can be
    /// repeated
    #[arg(long, value_name = "KEY", requires = "filter", value_parser = PublicKey::parse)]
    public_key: Vec<PublicKey>,
    #[command(flatten)]
    rule: RuleOptions,
    /// Look the arguments up as keywords of the data set, and print their values
    #[arg(long, conflicts_with_all = ["filter", "level", "profile", "parsing", "on_failure"])]
    keywords: bool,
    /// Verdict for URLs when the service cannot answer
    #[arg(long, value_enum, value_name = "WHAT", default_value = "open")]
    on_failure: FailureMode,
    /// File for the client's keys and tokens. It is created with access for its owner only, and refused if other
    /// users can read it or another process uses it. It is written before each request, so that a run that is killed
    /// repeats nothing. Without this option, each run uploads a new evaluation key
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Number of shards to accept although it is no power of two
    #[arg(long, value_name = "N")]
    shard_count: Option<u32>,
    /// Smallest number of rows a shard that a service may have, by the size of the prefilter: its index tells the
    /// service that the keyword is one of so many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    min_rows_per_shard: u64,
    /// Largest number of shards that a service may have
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_shards: u32,
    /// Largest number of bits that the shards of all sub-URLs of one URL may tell the service together; sub-URLs beyond
    /// that are not asked for
    #[arg(long, value_name = "N", default_value_t = 18)]
    max_bits_per_url: u32,
    /// Largest false-positive rate of a prefilter that is used, as measured: what hits is what the service learns of
    #[arg(long, value_name = "RATE", default_value_t = 0.02, value_parser = rate)]
    max_fpr: f64,
    /// Limit for one lookup, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Print one JSON object for each URL or keyword
    #[arg(long)]
    json: bool,
    /// Report on standard error what was sent and how long it took
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum FailureMode {
    /// Allow them
    Open,
    /// Block them
    Closed,
}

impl From<FailureMode> for OnFailure {
    fn from(mode: FailureMode) -> Self {
        match mode {
            FailureMode::Open => Self::Open,
            FailureMode::Closed => Self::Closed,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let asked = with_standard_input(&arguments.urls)?;
    let state = arguments.state.as_deref().map(StateFile::lock).transpose()?.map(Arc::new);
    let authority = Authority::read(arguments.authority.as_deref())?;
    let builder = builder(arguments, &authority, state.as_ref())?;
    let (exit, client) = if arguments.keywords {
        let client = blocking::Client::new(builder)?;
        (keywords(arguments, &client, &asked)?, client.inner().clone())
    } else if let Some(source) = prefilter(arguments)? {
        filtered(arguments, &authority, builder, source, &asked)?
    } else {
        let client = blocking::Client::new(builder)?;
        (unfiltered(arguments, &client, &asked)?, client.inner().clone())
    };
    if let Some(file) = &state {
        file.write(&client.state())?;
    }
    if arguments.verbose {
        let costs = client.costs();
        let Costs { tokens_fetched, keys_uploaded, .. } = costs;
        note(format_args!("{}", verdict::describe(&costs)));
        note(format_args!(
            "{tokens_fetched} tokens fetched, {keys_uploaded} evaluation keys uploaded; {:.0} ms in total",
            begun.elapsed().as_secs_f64() * 1e3
        ));
    }
    Ok(exit)
}

fn builder(
    arguments: &Arguments,
    authority: &Authority,
    file: Option<&Arc<StateFile>>,
) -> anyhow::Result<ClientBuilder> {
    for address in [
        Some(&arguments.server),
        arguments.issuer.as_ref(),
        arguments.directory_mirror.as_ref(),
        arguments.filter.as_ref(),
    ] {
        address.map_or(Ok(()), |address| check_address(address))?;
    }
    let timeout = Duration::from_secs(arguments.timeout);
    let mut options = ClientOptions::default();
    options.lookup_timeout = timeout;
    options.request_timeout = timeout;
    // This process ends before tokens could be fetched at another time.
    options.wallet.when_empty = EmptyWallet::Fetch;
    options.wallet.refill_count = 0;
    options.wallet.spare = 9;
    options.sharding.fixed_count = arguments.shard_count;
    options.sharding.min_rows_per_shard = arguments.min_rows_per_shard;
    options.sharding.max_count = arguments.max_shards;
    options.sharding.max_bits_per_url = arguments.max_bits_per_url;
    // The user token and queries share no connection, so each way has a transport of its own.
    let mut builder = PirClient::builder(&arguments.server, &arguments.usecase)
        .options(options)
        .transport(authority.transport(timeout)?)
        .issuer_transport(authority.transport(timeout)?);
    if let Some(issuer) = &arguments.issuer {
        builder = builder.issuer(issuer);
    }
    if let Some(mirror) = &arguments.directory_mirror {
        builder = builder.directory_mirror(mirror).mirror_transport(authority.transport(timeout)?);
    }
    if let Some(token) = arguments.token.read()? {
        builder = builder.user_token(token.as_str());
    }
    if let Some(file) = file {
        let state = file.read()?.unwrap_or_default();
        // Whether it can be written shows before anything is asked.
        file.write(&state)?;
        let file = Arc::clone(file);
        builder = builder.state(state).store_state(move |state| {
            file.write(state).map_err(|error| io::Error::other(format!("{error:#}")))
        });
    }
    Ok(builder)
}

/// Whose prefilters are used, if not everyone's.
fn trust(arguments: &Arguments) -> anyhow::Result<Option<PrefilterTrust>> {
    if arguments.public_key.is_empty() {
        return Ok(None);
    }
    let keys = TrustedKeys::new(arguments.public_key.clone())?;
    let trust = PrefilterTrust::new(keys, &arguments.usecase);
    Ok(Some(match &arguments.level {
        Some(level) => trust.for_level(level),
        None => trust,
    }))
}

fn level(text: &str) -> Result<String, String> {
    match pir_dataset::level::is_name(text) {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("1 to {} of a-z, 0-9 and - are expected", pir_dataset::level::MAX_NAME))
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("a number from 0 to 1 is expected".to_owned()),
    }
}

/// The prefilter by which URLs are judged, if there is one.
fn prefilter(arguments: &Arguments) -> anyhow::Result<Option<PrefilterSource>> {
    let (level, trust) = (arguments.level.as_deref(), trust(arguments)?);
    Ok(Some(match (&arguments.filter, trust, level) {
        (Some(_), None, Some(_)) => anyhow::bail!(
            "--level with --filter needs --public-key: a prefilter that is not signed does not say of which level it is"
        ),
        (None, _, Some(_)) => {
            PrefilterSource::of_service(&arguments.server, &arguments.usecase, level)?
        }
        (None, _, None) => return Ok(None),
        (Some(filter), trust, _) => {
            let is_address = filter.starts_with("https://") || filter.starts_with("http://");
            match (is_address, trust) {
                (true, None) => PrefilterSource::Url(filter.clone()),
                (false, None) => PrefilterSource::File(PathBuf::from(filter)),
                (true, Some(trust)) => PrefilterSource::SignedUrl { url: filter.clone(), trust },
                (false, Some(trust)) => {
                    PrefilterSource::SignedFile { path: PathBuf::from(filter), trust }
                }
            }
        }
    }))
}

fn filtered(
    arguments: &Arguments,
    authority: &Authority,
    builder: ClientBuilder,
    source: PrefilterSource,
    urls: &[String],
) -> anyhow::Result<(Exit, PirClient)> {
    let mut options = FilterOptions::default();
    options.on_failure = arguments.on_failure.into();
    options.rule = arguments.rule.chosen()?;
    options.refresh_every = None;
    options.max_false_positive_rate = arguments.max_fpr;
    // Whoever tries a list asks for little but what is listed.
    options.max_hit_share = 1.0;
    let transport = authority.transport(FILTER_TIMEOUT)?;
    let filter = blocking::UrlFilter::with_transport(source, builder, options, transport)?;
    let texts: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut results = Results::new();
    let mut exit = Exit::Success;
    for (url, decision) in urls.iter().zip(filter.check_all(&texts)) {
        exit = exit.max(verdict::print(&mut results, url, &decision, arguments.json)?);
    }
    results.finish()?;
    Ok((exit, filter.inner().client().clone()))
}

/// Looks all sub-URLs of each URL up. Everything is sent before the first reply is decrypted: how long that takes depends
/// on what the reply holds, and would show in the time of the next request.
fn unfiltered(
    arguments: &Arguments,
    client: &blocking::Client,
    urls: &[String],
) -> anyhow::Result<Exit> {
    let rule = arguments.rule.chosen()?.unwrap_or_default();
    let asked: Vec<_> = urls.iter().map(|url| Asked::send(client, &rule, url)).collect();
    let mut results = Results::new();
    let mut exit = Exit::Success;
    for (url, asked) in urls.iter().zip(asked) {
        let outcome = asked.and_then(Asked::read);
        exit = exit.max(print_unfiltered(&mut results, arguments, url, outcome)?);
    }
    results.finish()?;
    Ok(exit)
}

/// The sub-URLs of one URL, and the replies to them.
struct Asked {
    sub_urls: Vec<String>,
    lookup: Lookup,
}

/// What the service knows of the sub-URLs of one URL.
struct Matched {
    /// A sub-URL that is in the data set, if any is.
    sub_url: Option<String>,
    /// How many were looked up.
    asked: usize,
}

impl Asked {
    fn send(client: &blocking::Client, rule: &SubUrlRule, url: &str) -> anyhow::Result<Self> {
        let parsed = rule.parse_lenient(url)?;
        let sub_urls = parsed.sub_urls().sorted(MAX_SUB_URLS).map_err(|_| {
            anyhow::anyhow!("more than {MAX_SUB_URLS} sub-URLs; give a prefilter with --filter")
        })?;
        let mut keywords = Keywords::default();
        keywords.add_url(sub_urls.iter().map(String::as_str));
        Ok(Self { sub_urls, lookup: client.fetch(&keywords) })
    }

    /// A sub-URL on the list decides; without one, every sub-URL needs a fresh answer.
    fn read(self) -> anyhow::Result<Matched> {
        let answers = self.lookup.answers();
        let asked = self.sub_urls.len();
        let is_present = |answer: &Result<Answer, _>| {
            answer.as_ref().is_ok_and(|answer: &Answer| answer.value.is_some())
        };
        let found = self.sub_urls.into_iter().zip(&answers).find(|(_, answer)| is_present(answer));
        if let Some((sub_url, _)) = found {
            return Ok(Matched { sub_url: Some(sub_url), asked });
        }
        let is_unreadable = |answer: &Result<Answer, _>| {
            answer.as_ref().is_ok_and(|answer: &Answer| !answer.is_readable)
        };
        match self.lookup.failure() {
            Some(error) => Err(Arc::clone(error).into()),
            None if answers.iter().any(is_unreadable) => Err(anyhow::anyhow!(UNREADABLE)),
            None => Ok(Matched { sub_url: None, asked }),
        }
    }
}

fn print_unfiltered(
    results: &mut Results,
    arguments: &Arguments,
    url: &str,
    outcome: anyhow::Result<Matched>,
) -> anyhow::Result<Exit> {
    let is_closed = matches!(arguments.on_failure, FailureMode::Closed);
    let (verdict, blocked, exit) = match &outcome {
        Ok(Matched { sub_url: None, .. }) => ("allow", false, Exit::Success),
        Ok(Matched { sub_url: Some(_), .. }) => ("deny", true, Exit::Attention),
        Err(_) => ("unknown", is_closed, Exit::Failure),
    };
    if arguments.json {
        let mut line = serde_json::json!({ "url": url, "verdict": verdict, "blocked": blocked });
        match outcome {
            Ok(Matched { sub_url, asked }) => {
                line["basis"] = "service".into();
                line["hits"] = asked.into();
                if let Some(sub_url) = sub_url {
                    line["matched"] = sub_url.into();
                }
            }
            Err(error) => {
                line["basis"] = if is_closed { "failedClosed" } else { "failedOpen" }.into();
                line["error"] = format!("{error:#}").into();
            }
        }
        results.json(&line)?;
        return Ok(exit);
    }
    results.line(format_args!("{verdict:8} {url}"))?;
    match outcome {
        Ok(Matched { sub_url: None, asked }) => {
            results.line(format_args!("         none of {asked} sub-URLs is on the list"))?;
        }
        Ok(Matched { sub_url: Some(sub_url), .. }) => {
            results.line(format_args!("         by {sub_url}"))?;
        }
        Err(error) => {
            let then = if blocked { "blocked" } else { "let through" };
            results.line(format_args!("         {error:#}; {then}"))?;
        }
    }
    Ok(exit)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why there is no answer although the service gave one.
const UNREADABLE: &str = "the reply cannot be decrypted";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeywordAnswer<'k> {
    keyword: &'k str,
    found: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// A value that is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn keywords(
    arguments: &Arguments,
    client: &blocking::Client,
    asked: &[String],
) -> anyhow::Result<Exit> {
    if asked.iter().any(String::is_empty) {
        bail!("an empty keyword; expected at least one byte");
    }
    let keywords =
        Keywords::unrelated(asked.iter().map(|keyword| keyword.clone().into()).collect());
    let mut results = Results::new();
    let mut exit = Exit::Success;
    for (keyword, answer) in asked.iter().zip(client.answers_to(&keywords)) {
        let (value, error) = match answer {
            Ok(answer) if !answer.is_readable => (None, Some(UNREADABLE.to_owned())),
            Ok(answer) => (answer.value, None),
            Err(error) => (None, Some(chain(error.as_ref()))),
        };
        exit = exit.max(match (&value, &error) {
            (_, Some(_)) => Exit::Failure,
            (Some(_), None) => Exit::Attention,
            (None, None) => Exit::Success,
        });
        let found = value.is_some();
        let (value, value_hex) = match value.map(String::from_utf8) {
            Some(Ok(text)) => (Some(text), None),
            Some(Err(error)) => (None, Some(hex(error.as_bytes()))),
            None => (None, None),
        };
        if arguments.json {
            results.json(&KeywordAnswer { keyword, found, value, value_hex, error })?;
        } else if let Some(error) = error {
            results.line(format_args!("unknown  {keyword}\n         {error}"))?;
        } else if let Some(value) = value {
            results.line(format_args!("present  {keyword}\n         value {value:?}"))?;
        } else if let Some(value) = value_hex {
            results
                .line(format_args!("present  {keyword}\n         value in hexadecimal {value}"))?;
        } else {
            results.line(format_args!("absent   {keyword}"))?;
        }
    }
    results.finish()?;
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_sub_urls_without_a_prefilter_is_limited() {
        let rule = SubUrlRule::default();
        // A name without parents and a scheme without a port: two sub-URLs for the root and for each segment. Every number
        // of sub-URLs is even, because each comes with and without a slash at its end.
        let url = |count: usize| format!("foo://a.example/{}", "a/".repeat(count / 2 - 1));
        // Nobody listens there.
        let builder = PirClient::builder("http://127.0.0.1:9", "use");
        let client = blocking::Client::new(builder).unwrap();
        for count in [MAX_SUB_URLS - 2, MAX_SUB_URLS, MAX_SUB_URLS + 2] {
            let url = url(count);
            let parsed = rule.parse_lenient(&url).unwrap();
            assert_eq!(parsed.sub_urls().sorted(2 * MAX_SUB_URLS).unwrap().len(), count);
            let outcome = Asked::send(&client, &rule, &url).and_then(Asked::read);
            let error = outcome.err().unwrap().to_string();
            assert_eq!(
                error.contains("give a prefilter"),
                count > MAX_SUB_URLS,
                "{count}: {error}"
            );
        }
    }
}
