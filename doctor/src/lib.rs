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
//! prefilter, `levels` for those of levels, `caller` for phone numbers, and `costs`), `report_endpoint`, `gateway`, `dns`,
//! `info_plist`. `reach` connects to the servers, with `certificate`; `network` is how they are asked; `answer` has cause and
//! fix of an answer that is not what was asked for, whatever it was; `check` and `finding` are what is reported.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate)]

mod address;
mod answer;
mod caller;
mod certificate;
mod check;
mod costs;
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
mod reach;
mod report_endpoint;
mod role;
mod same_build;
mod service;

pub use check::Check;
pub use deployment::Deployment;
pub use error::ExamineError;
pub use finding::{Advice, Finding, Findings, Severity};

use app_configuration::is_url_filter_use_case;
use deployment::Feature;
use gateway::Direct;
use issuer::Tokens;
use network::Network;
use std::sync::Arc;

/// Makes all checks that can be made. Servers that cannot be reached are not examined further.
///
/// # Errors
/// [`ExamineError`] if the examination cannot be made: the bundle id is not one, or a local file cannot be read.
/// Whatever is wrong with the deployment is a finding.
pub async fn examine(deployment: &Deployment) -> Result<Findings, ExamineError> {
    let bundle_id = &deployment.bundle_id;
    match deployment.feature {
        Feature::UrlFilter if is_url_filter_use_case(bundle_id) => {
            return Err(ExamineError::BundleId(bundle_id.clone()));
        }
        Feature::CallerId if [".block", ".identity"].iter().any(|end| bundle_id.ends_with(end)) => {
            return Err(ExamineError::ExtensionId(bundle_id.clone()));
        }
        _ => {}
    }
    let network = Arc::new(Network::new(deployment)?);
    let info_plist = match &deployment.info_plist {
        Some(path) if deployment.feature == Feature::UrlFilter => {
            Some((path, info_plist::read(path)?))
        }
        _ => None,
    };
    let mut findings = Findings::default();
    address::check(deployment, &mut findings);
    let reached = reach::all(deployment, &network, &mut findings).await;
    // What follows from a finding is no finding of its own: without a token, and after a lookup that failed, nothing is
    // asked that needs one.
    let tokens = match reached.issuer {
        true => issuer::check(deployment, &network, &mut findings).await,
        false => Tokens::Failed,
    };
    let build = same_build::local(deployment, &mut findings)?;
    let mut direct = Direct {
        issuer_answers: reached.server && !matches!(tokens, Tokens::Failed),
        has_lookups: false,
    };
    if let Tokens::Issued(token) = &tokens
        && reached.server
    {
        direct.has_lookups =
            service::check(deployment, &network, build.as_ref(), &mut findings).await?;
        if direct.has_lookups {
            report_endpoint::check(deployment, &network, token, &mut findings).await;
        }
    }
    if let Some(gateway) = &deployment.gateway
        && reached.gateway
    {
        gateway::check(deployment, gateway, &network, direct, &mut findings).await;
    }
    #[cfg(feature = "dns")]
    if let Some(resolver) = deployment.resolver {
        dns::check(deployment, resolver, &mut findings).await;
    }
    if let Some((path, content)) = &info_plist {
        info_plist::check(deployment, path, content, &mut findings);
    }
    Ok(findings)
}
