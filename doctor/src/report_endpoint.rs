//! Whether the service takes reports at the path that the app has.

use crate::network::Network;
use crate::{Check, Deployment, Findings};
use privacy_pass::Token;

/// Sends a report of nothing, as a device may.
pub(crate) async fn check(
    deployment: &Deployment,
    network: &Network,
    token: &Token,
    findings: &mut Findings,
) {
    let Some(path) = &deployment.report_endpoint else { return };
    let check = Check::ReportEndpoint;
    let url = deployment.server_url(path);
    let (authorization, media) = (token.to_authorization(), "application/json");
    let exchanged = network.post_with(&url, &authorization, media, b"[]".to_vec()).await;
    let seen = exchanged.seen();
    if let Some(advice) = exchanged.advice() {
        return findings.bad_for(check, seen, advice);
    }
    let status = exchanged.status().expect("whatever is no answer has advice");
    match status {
        200..=299 => findings.good(check, format!("{url} takes reports")),
        404 | 405 => findings.bad(
            check,
            seen,
            "the service takes reports at another path than the app has as reportEndpoint",
            format!(
                "set reports.path to \"/{}\" in the service's configuration and restart it, or give the app the service's \
                 path; let the proxy in front pass it on",
                path.trim_start_matches('/')
            ),
        ),
        401 => findings.bad(
            check,
            seen,
            "the service does not accept tokens of this issuer for reports",
            "let service and issuer be one, or let their nodes share their state (store.redis)",
        ),
        _ => findings.bad(
            check,
            seen,
            "the service cannot take the report: its folder may not be writable",
            "look at the service's log and at reportDirectory",
        ),
    }
}
