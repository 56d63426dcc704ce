//! Verdicts on standard output, for `query` and `demo`.

use crate::output::{Exit, Results, chain};
use filter_client::{Basis, Costs, Decision, Verdict};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Judged<'j> {
    url: &'j str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<&'j str>,
    blocked: bool,
    basis: &'static str,
    hits: usize,
    #[serde(skip_serializing_if = "is_zero")]
    unreadable: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

pub(super) fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Prefilter => "prefilter",
        Basis::Service => "service",
        Basis::Cache => "memory",
        Basis::StaleCache => "stale",
        Basis::FailedOpen => "failedOpen",
        Basis::FailedClosed => "failedClosed",
        _ => "other",
    }
}

/// Prints a verdict, and returns what the command should exit with if it is the only one.
pub(super) fn print(
    results: &mut Results,
    url: &str,
    decision: &Decision,
    json: bool,
) -> anyhow::Result<Exit> {
    let (verdict, matched, exit) = match &decision.verdict {
        Verdict::Allow => ("allow", None, Exit::Success),
        Verdict::Deny { matched } => ("deny", Some(matched.as_str()), Exit::Attention),
        _ => ("unknown", None, Exit::Failure),
    };
    let error = decision.failure.as_ref().map(|failure| chain(failure));
    if json {
        results.json(&Judged {
            url,
            verdict,
            matched,
            blocked: decision.blocked,
            basis: basis_name(decision.basis),
            hits: decision.hits,
            unreadable: decision.unreadable,
            error,
        })?;
        return Ok(exit);
    }
    let reason = match (decision.basis, matched, error) {
        (_, Some(matched), _) => format!("by {matched}"),
        (Basis::Prefilter, ..) => {
            "no sub-URL hits the prefilter; the service was not asked".to_owned()
        }
        (_, _, Some(error)) => {
            let then = if decision.blocked { "blocked" } else { "let through" };
            format!("{error}; {then}")
        }
        (basis, ..) => {
            let plural = if decision.hits == 1 { "" } else { "s" };
            let stale = if basis == Basis::StaleCache { ", by an expired answer" } else { "" };
            format!("{} hit{plural} by chance, not on the list{stale}", decision.hits)
        }
    };
    results.line(format_args!("{verdict:8} {url}"))?;
    results.line(format_args!("         {reason}"))?;
    Ok(exit)
}

/// Costs on one line.
pub(super) fn describe(costs: &Costs) -> String {
    let kilobytes = |bytes: u64| bytes as f64 / 1024.0;
    format!(
        "{} keywords in {} requests, {:.1} KB sent, {:.1} KB received, {:.1} ms computing, \
         {:.1} ms waiting",
        costs.keywords_asked,
        costs.requests,
        kilobytes(costs.bytes_sent),
        kilobytes(costs.bytes_received),
        costs.computing.as_secs_f64() * 1e3,
        costs.waiting.as_secs_f64() * 1e3,
    )
}
