//! Examines a deployment of a private URL filter as devices and Apple's onboarding see it.
//!
//! [`examine`] asks the servers what a device asks (tokens, configuration, evaluation key, lookups, directly and
//! through the gateway) and returns [`Findings`]: for each [`Check`] how it came out, what was seen, and, unless it is
//! good, the cause and the fix. Nothing is printed.
//!
//! ```
//! use doctor::{Check, Deployment, Severity};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), doctor::ExamineError> {
//! // Nothing listens on the discard port of this machine.
//! let deployment = Deployment::new("http://127.0.0.1:9", "com.example.app", "AAAA")
//!     .development(true)
//!     .timeout(Duration::from_secs(5));
//! let findings = doctor::examine(&deployment).await?;
//! assert!(!findings.is_ready());
//! for finding in findings.iter().filter(|finding| finding.severity == Severity::Bad) {
//!     assert_eq!(finding.check, Check::ServerConnection);
//!     let advice = finding.advice.as_ref().expect("bad findings have advice");
//!     println!("{}: {}\ncause: {}\nfix: {}", finding.check, finding.seen, advice.cause, advice.fix);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`examine`] needs a Tokio runtime with I/O and time enabled.
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `dns` | [`Deployment::resolver`]: the TXT record of the service's host |
//!
//! # Modules
//!
//! One file for each server or document that is examined: `address`, `issuer`, `service` (with `same_build` for the
//! prefilter, `levels` for those of levels, and `caller` for phone numbers), `report_endpoint`, `gateway`, `dns`, `info_plist`. `network` is how they are reached, with `certificate`; `check` and `finding` what is
//! reported.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate)]

mod address;
mod caller;
mod certificate;
mod check;
mod deployment;
#[cfg(feature = "dns")]
mod dns;
mod error;
mod finding;
mod gateway;
mod info_plist;
mod issuer;
mod levels;
mod network;
mod report_endpoint;
mod role;
mod same_build;
mod service;

pub use check::Check;
pub use deployment::Deployment;
pub use error::ExamineError;
pub use finding::{Advice, Finding, Findings, Severity};

use deployment::Feature;
use network::Network;
use role::Role;
use std::sync::Arc;

/// Makes all checks that can be made. Servers that cannot be reached are not examined further.
///
/// # Errors
/// [`ExamineError`] if the examination cannot be made: the bundle id is not one, or a local file cannot be read.
/// Whatever is wrong with the deployment is a finding.
pub async fn examine(deployment: &Deployment) -> Result<Findings, ExamineError> {
    let bundle_id = &deployment.bundle_id;
    match deployment.feature {
        Feature::UrlFilter if bundle_id.ends_with(".url.filtering") => {
            return Err(ExamineError::BundleId(bundle_id.clone()));
        }
        Feature::CallerId if [".block", ".identity"].iter().any(|end| bundle_id.ends_with(end)) => {
            return Err(ExamineError::ExtensionId(bundle_id.clone()));
        }
        _ => {}
    }
    let network = Arc::new(Network::new(deployment)?);
    let mut findings = Findings::default();
    address::check(deployment, &mut findings);
    let server = address::can_be_asked(&deployment.server)
        && network.reach(&deployment.server, Role::Server, &mut findings).await;
    let issuer = match deployment.issuer == deployment.server {
        true => server,
        false => {
            address::can_be_asked(&deployment.issuer)
                && network.reach(&deployment.issuer, Role::Issuer, &mut findings).await
        }
    };
    // Without a token nothing can be asked: what follows from that is no finding of its own.
    let token = match issuer {
        true => issuer::check(deployment, &network, &mut findings).await,
        false => None,
    };
    let has_tokens = token.is_some();
    if let Some(token) = token.filter(|_| server) {
        service::check(deployment, &network, &mut findings).await?;
        report_endpoint::check(deployment, &network, &token, &mut findings).await;
    }
    if let Some(gateway) = &deployment.gateway
        && address::can_be_asked(gateway)
        && network.reach(gateway, Role::Gateway, &mut findings).await
    {
        gateway::check(deployment, gateway, &network, has_tokens, &mut findings).await;
    }
    #[cfg(feature = "dns")]
    if let Some(resolver) = deployment.resolver {
        dns::check(deployment, resolver, &mut findings).await;
    }
    if let Some(path) = &deployment.info_plist
        && deployment.feature == Feature::UrlFilter
    {
        info_plist::check(deployment, path, &mut findings);
    }
    Ok(findings)
}
