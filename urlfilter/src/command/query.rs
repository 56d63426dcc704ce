//! `urlfilter query`: private lookups against a service.

use super::rule::RuleOptions;
use super::urls::with_standard_input;
use super::verdicts;
use crate::output::{DONE, NOTEWORTHY, Results, TROUBLE, note};
use anyhow::{Context, bail};
use clap::ValueEnum;
use filter_client::{
    ClientBuilder, ClientState, Costs, FilterOptions, OnFailure, PirClient, PrefilterSource,
    blocking,
};
use filter_core::sub_url::SubUrlRule;
use pir_server::causes::WithCauses;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Look URLs or keywords up at a PIR service, privately
///
/// With a prefilter, a URL is judged as on a device: nobody is asked unless a sub-URL hits. Without one, all
/// of its sub-URLs are asked for, which costs more. The service learns how many keywords were asked and of
/// which shard, and not which they are.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter query --server https://pir.example --usecase com.example.app.url.filtering \\
      --token-file token --filter dist https://www.example.com/login
  urlfilter query --server http://127.0.0.1:8080 --usecase com.example.app.url.filtering \\
      --token AAAA --keywords example.com/login www.apple.com/url-filter-test
  urlfilter query … --state client.state --json - < urls.txt

Exit codes: 0 all are allowed (or absent); 1 some are denied (or present); 2 trouble, or some are unknown.")]
pub(crate) struct Arguments {
    /// URLs; `-` takes them from standard input, one a line
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// Address of the service
    #[arg(long, value_name = "URL")]
    server: String,
    /// Where tokens are issued, if not by the service
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Name of the use case: the app's bundle id and `.url.filtering`
    #[arg(long, value_name = "NAME")]
    usecase: String,
    /// User token; others on this machine can read it among the arguments, so better --token-file or the
    /// variable
    #[arg(long, value_name = "TOKEN", env = "URLFILTER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// File with the user token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Prefilter, in any form that `inspect` reads, or the address of one
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    #[command(flatten)]
    rule: RuleOptions,
    /// Take the arguments as keywords of the data set, and print their values
    #[arg(long, conflicts_with_all = ["filter", "profile", "parsing", "on_failure"])]
    keywords: bool,
    /// What to do with URLs of which nothing is known
    #[arg(long, value_enum, value_name = "WHAT", default_value = "open")]
    on_failure: Fail,
    /// File for the client's keys and tokens: made if it is not there, for its owner alone. Without one, each
    /// run uploads a new key
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Seconds for a lookup
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Print one JSON object per URL or keyword
    #[arg(long)]
    json: bool,
    /// Say what was sent and how long it took
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fail {
    /// Let them through
    Open,
    /// Block them
    Closed,
}

#[derive(Serialize)]
struct KeywordLine<'k> {
    keyword: &'k str,
    found: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let begun = Instant::now();
    let asked = with_standard_input(&arguments.urls)?;
    let builder = builder(arguments)?;
    let (code, client) = if arguments.keywords {
        let client = blocking::Client::new(builder)?;
        (keywords(arguments, &client, &asked)?, client.inner().clone())
    } else if let Some(filter) = &arguments.filter {
        filtered(arguments, builder, filter, &asked)?
    } else {
        let client = blocking::Client::new(builder)?;
        (unfiltered(arguments, &client, &asked)?, client.inner().clone())
    };
    keep_state(arguments, &client)?;
    if arguments.verbose {
        let costs = client.costs();
        let Costs { tokens_fetched, keys_uploaded, .. } = costs;
        note(format_args!("{}", verdicts::describe(&costs)));
        note(format_args!(
            "{tokens_fetched} tokens fetched, {keys_uploaded} keys uploaded; {:.0} ms in all",
            begun.elapsed().as_secs_f64() * 1e3
        ));
    }
    Ok(code)
}

fn builder(arguments: &Arguments) -> anyhow::Result<ClientBuilder> {
    let mut builder = PirClient::builder(&arguments.server, &arguments.usecase);
    if let Some(issuer) = &arguments.issuer {
        builder = builder.issuer(issuer);
    }
    let from_file = arguments.token_file.as_ref().map(|path| {
        let text = fs::read_to_string(path).map(Zeroizing::new);
        text.with_context(|| path.display().to_string())
    });
    if let Some(token) = from_file.transpose()? {
        builder = builder.user_token(token.trim());
    } else if let Some(token) = &arguments.token {
        builder = builder.user_token(token.trim());
    }
    let timeout = Duration::from_secs(arguments.timeout);
    let mut options = filter_client::ClientOptions::default();
    options.lookup_timeout = timeout;
    options.request_timeout = timeout;
    builder = builder.options(options);
    if let Some(path) = &arguments.state {
        match fs::read(path).map(Zeroizing::new) {
            Ok(bytes) => {
                let state = ClientState::from_bytes(&bytes);
                builder = builder.state(state.with_context(|| path.display().to_string())?);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    Ok(builder)
}

/// Writes the client's secrets beside their place, and moves them there.
fn keep_state(arguments: &Arguments, client: &PirClient) -> anyhow::Result<()> {
    let Some(path) = &arguments.state else { return Ok(()) };
    let write = |path: &Path| -> anyhow::Result<()> {
        let bytes = client.state().to_bytes();
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let beside = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        Ok(fs::rename(&beside, path)?)
    };
    write(path).with_context(|| path.display().to_string())
}

fn filtered(
    arguments: &Arguments,
    builder: ClientBuilder,
    filter: &str,
    urls: &[String],
) -> anyhow::Result<(u8, PirClient)> {
    let is_address = filter.starts_with("https://") || filter.starts_with("http://");
    let source = match is_address {
        true => PrefilterSource::Url(filter.to_owned()),
        false => PrefilterSource::File(PathBuf::from(filter)),
    };
    let mut options = FilterOptions::default();
    options.on_failure = on_failure(arguments);
    options.rule = arguments.rule.given()?;
    options.refresh_every = None;
    let filter = blocking::UrlFilter::new(source, builder, options)?;
    // A URL without a scheme is taken as https, as by the other commands.
    let spelled: Vec<String> = urls.iter().map(|url| with_scheme(url)).collect();
    let borrowed: Vec<&str> = spelled.iter().map(String::as_str).collect();
    let mut results = Results::new();
    let mut code = DONE;
    for (url, decision) in urls.iter().zip(filter.check_all(&borrowed)) {
        code = code.max(verdicts::tell(&mut results, url, &decision, arguments.json)?);
    }
    results.finish()?;
    Ok((code, filter.inner().client().clone()))
}

fn with_scheme(url: &str) -> String {
    let url = url.trim();
    match SubUrlRule::default().parse_lenient(url) {
        Ok(_) if !url.contains("://") => format!("https://{url}"),
        _ => url.to_owned(),
    }
}

fn on_failure(arguments: &Arguments) -> OnFailure {
    match arguments.on_failure {
        Fail::Open => OnFailure::Open,
        Fail::Closed => OnFailure::Closed,
    }
}

/// Without a prefilter every sub-URL counts as a hit.
fn unfiltered(
    arguments: &Arguments,
    client: &blocking::Client,
    urls: &[String],
) -> anyhow::Result<u8> {
    const MOST: usize = 256;
    let rule = arguments.rule.given()?.unwrap_or_default();
    let mut results = Results::new();
    let mut code = DONE;
    for url in urls {
        let sub_urls =
            rule.parse_lenient(url.trim()).map_err(|error| error.to_string()).and_then(|parsed| {
                let sorted = parsed.sub_urls().sorted(MOST);
                sorted.map_err(|_| {
                    format!("more than {MOST} sub-URLs; give a prefilter with --filter")
                })
            });
        let outcome = sub_urls.and_then(|sub_urls| {
            let keywords: Vec<&[u8]> = sub_urls.iter().map(|text| text.as_bytes()).collect();
            let values =
                client.lookup(&keywords).map_err(|error| WithCauses(&*error).to_string())?;
            let found = sub_urls.iter().zip(&values).find(|(_, value)| value.is_some());
            Ok((found.map(|(sub_url, _)| sub_url.clone()), sub_urls.len()))
        });
        code = code.max(tell_unfiltered(&mut results, arguments, url, outcome)?);
    }
    results.finish()?;
    Ok(code)
}

fn tell_unfiltered(
    results: &mut Results,
    arguments: &Arguments,
    url: &str,
    outcome: Result<(Option<String>, usize), String>,
) -> anyhow::Result<u8> {
    let closed = matches!(arguments.on_failure, Fail::Closed);
    let (verdict, blocked, code) = match &outcome {
        Ok((None, _)) => ("allow", false, DONE),
        Ok((Some(_), _)) => ("deny", true, NOTEWORTHY),
        Err(_) => ("unknown", closed, TROUBLE),
    };
    if arguments.json {
        let mut line = serde_json::json!({ "url": url, "verdict": verdict, "blocked": blocked });
        match &outcome {
            Ok((matched, asked)) => {
                line["basis"] = "service".into();
                line["hits"] = (*asked).into();
                if let Some(matched) = matched {
                    line["matched"] = matched.as_str().into();
                }
            }
            Err(error) => {
                line["basis"] = if closed { "failedClosed" } else { "failedOpen" }.into();
                line["error"] = error.as_str().into();
            }
        }
        results.json(&line)?;
        return Ok(code);
    }
    results.line(format_args!("{verdict:8} {url}"))?;
    match outcome {
        Ok((None, asked)) => {
            results.line(format_args!("         none of {asked} sub-URLs is on the list"))?;
        }
        Ok((Some(matched), _)) => results.line(format_args!("         by {matched}"))?,
        Err(error) => {
            let then = if blocked { "blocked" } else { "let through" };
            results.line(format_args!("         {error}; {then}"))?;
        }
    }
    Ok(code)
}

fn keywords(
    arguments: &Arguments,
    client: &blocking::Client,
    asked: &[String],
) -> anyhow::Result<u8> {
    // Each once, so that a keyword given twice is not two questions.
    let distinct: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
    if distinct.contains("") {
        bail!("an empty keyword");
    }
    let bytes: Vec<&[u8]> = asked.iter().map(|keyword| keyword.as_bytes()).collect();
    let mut results = Results::new();
    let mut code = DONE;
    for (keyword, answer) in asked.iter().zip(client.answers(&bytes)) {
        let line = match answer {
            Ok(answer) => {
                let value = answer.value.map(|value| String::from_utf8_lossy(&value).into_owned());
                KeywordLine { keyword, found: value.is_some(), value, error: None }
            }
            Err(error) => {
                let error = WithCauses(&*error).to_string();
                KeywordLine { keyword, found: false, value: None, error: Some(error) }
            }
        };
        code = code.max(match &line {
            KeywordLine { error: Some(_), .. } => TROUBLE,
            KeywordLine { found: true, .. } => NOTEWORTHY,
            KeywordLine { .. } => DONE,
        });
        if arguments.json {
            results.json(&line)?;
        } else if let Some(error) = &line.error {
            results.line(format_args!("unknown  {keyword}"))?;
            results.line(format_args!("         {error}"))?;
        } else if let Some(value) = &line.value {
            results.line(format_args!("present  {keyword}"))?;
            results.line(format_args!("         value {value:?}"))?;
        } else {
            results.line(format_args!("absent   {keyword}"))?;
        }
    }
    results.finish()?;
    Ok(code)
}
