//! How verdicts are told: `query` and `demo`.

use crate::output::{DONE, NOTEWORTHY, Results, TROUBLE};
use filter_client::{Basis, Costs, Decision, Verdict};
use serde::Serialize;

/// A verdict as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'l> {
    url: &'l str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<&'l str>,
    blocked: bool,
    basis: &'static str,
    hits: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Prefilter => "prefilter",
        Basis::Service => "service",
        Basis::Memory => "memory",
        Basis::Stale => "stale",
        Basis::FailedOpen => "failedOpen",
        Basis::FailedClosed => "failedClosed",
    }
}

/// Writes a verdict, and gives the exit code that it calls for.
pub(super) fn tell(
    results: &mut Results,
    url: &str,
    decision: &Decision,
    json: bool,
) -> anyhow::Result<u8> {
    let (verdict, matched, code) = match &decision.verdict {
        Verdict::Allow => ("allow", None, DONE),
        Verdict::Deny { matched } => ("deny", Some(matched.as_str()), NOTEWORTHY),
        Verdict::Unknown => ("unknown", None, TROUBLE),
    };
    let error = decision.failure.as_ref().map(ToString::to_string);
    if json {
        results.json(&Line {
            url,
            verdict,
            matched,
            blocked: decision.blocked,
            basis: basis_name(decision.basis),
            hits: decision.hits,
            error,
        })?;
        return Ok(code);
    }
    let reason = match (decision.basis, matched, error) {
        (_, Some(matched), _) => format!("by {matched}"),
        (Basis::Prefilter, ..) => "no sub-URL hits the prefilter, nobody was asked".to_owned(),
        (_, _, Some(error)) => {
            let then = if decision.blocked { "blocked" } else { "let through" };
            format!("{error}; {then}")
        }
        (basis, ..) => {
            let plural = if decision.hits == 1 { "" } else { "s" };
            let stale = if basis == Basis::Stale { ", by an answer that is old" } else { "" };
            format!("{} hit{plural} by chance, not on the list{stale}", decision.hits)
        }
    };
    results.line(format_args!("{verdict:8} {url}"))?;
    results.line(format_args!("         {reason}"))?;
    Ok(code)
}

/// What was spent between two looks.
pub(super) fn spent(before: &Costs, after: &Costs) -> Costs {
    Costs {
        requests: after.requests - before.requests,
        bytes_sent: after.bytes_sent - before.bytes_sent,
        bytes_received: after.bytes_received - before.bytes_received,
        tokens_fetched: after.tokens_fetched - before.tokens_fetched,
        keys_uploaded: after.keys_uploaded - before.keys_uploaded,
        keywords_asked: after.keywords_asked - before.keywords_asked,
        computing_micros: after.computing_micros - before.computing_micros,
        waiting_micros: after.waiting_micros - before.waiting_micros,
    }
}

/// Costs in a line.
pub(super) fn describe(costs: &Costs) -> String {
    let kilobytes = |bytes: u64| bytes as f64 / 1024.0;
    let milliseconds = |micros: u64| micros as f64 / 1000.0;
    format!(
        "{} keywords in {} requests, {:.1} KB sent, {:.1} KB received, {:.1} ms computing, \
         {:.1} ms waiting",
        costs.keywords_asked,
        costs.requests,
        kilobytes(costs.bytes_sent),
        kilobytes(costs.bytes_received),
        milliseconds(costs.computing_micros),
        milliseconds(costs.waiting_micros),
    )
}
