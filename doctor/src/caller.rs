//! Whether phone numbers are found as Live Caller ID Lookup expects.

use crate::network::Network;
use crate::service::{NO_ANSWER, NO_SECOND_ANSWER, look_up};
use crate::{Check, Deployment, Findings};
use caller_id::{Identity, ONBOARDING_NAME, ONBOARDING_NUMBER, block_value};
use filter_client::PirClient;
use unix_clock::{Clock, SystemClock};

const FIX: &str = "build the rows with `urlfilter caller-id --onboarding-entry`, process both data sets, and publish";

/// Looks the number up that Apple looks up, and one that nobody has. Returns whether both were answered.
pub(crate) async fn lookups(
    deployment: &Deployment,
    use_case: &str,
    network: &Network,
    client: &PirClient,
    findings: &mut Findings,
) -> bool {
    let check = Check::OnboardingNumber;
    let value = match look_up(network, client, ONBOARDING_NUMBER.as_bytes()).await {
        Ok(value) => value,
        Err(failure) => {
            let [cause, fix] = NO_ANSWER;
            failure.in_use_case(use_case).report(check, cause, fix, findings);
            return false;
        }
    };
    match use_case.ends_with(".block") {
        true => blocked(value.as_deref(), findings),
        false => named(deployment, value.as_deref(), findings),
    }
    // Country codes that begin with 99 are not assigned (ITU-T E.164, annex to the list of assigned codes).
    let number = format!("+999{:012}", SystemClock.now().unix_seconds() % 1_000_000_000_000);
    match look_up(network, client, number.as_bytes()).await {
        Ok(None) => {
            let seen = format!("{use_case}: a number that nobody has is not found");
            findings.good(Check::AbsentKey, seen);
        }
        Ok(Some(_)) => findings.bad(
            Check::AbsentKey,
            format!("{use_case}: a number that nobody has is found"),
            "the data set has values for keys that were never listed",
            "process the data set with --fresh and publish it; please report this with the processing configuration",
        ),
        Err(failure) => {
            let [cause, fix] = NO_SECOND_ANSWER;
            failure.in_use_case(use_case).report(Check::AbsentKey, cause, fix, findings);
            return false;
        }
    }
    true
}

fn blocked(value: Option<&[u8]>, findings: &mut Findings) {
    let check = Check::OnboardingNumber;
    match value {
        None => findings.good(check, format!("{ONBOARDING_NUMBER} is not blocked")),
        Some(value) if value == block_value(false) => {
            findings.good(check, format!("{ONBOARDING_NUMBER} is not blocked"));
        }
        Some(value) if value == block_value(true) => findings.bad(
            check,
            format!("{ONBOARDING_NUMBER} is blocked"),
            "Apple looks the number up, and expects the identity of a caller",
            "do not block it in the list",
        ),
        Some(value) => findings.bad(
            check,
            format!("the value of {ONBOARDING_NUMBER} has {} bytes", value.len()),
            "devices expect one byte, 0 or 1; the text \"1\" is another one",
            FIX,
        ),
    }
}

fn named(deployment: &Deployment, value: Option<&[u8]>, findings: &mut Findings) {
    let check = Check::OnboardingNumber;
    let identity = value.map(Identity::from_bytes);
    match identity {
        Some(Ok(identity)) if identity.name() == ONBOARDING_NAME => {
            findings.good(check, format!("{ONBOARDING_NUMBER} is found as {ONBOARDING_NAME}"));
        }
        Some(Ok(_)) => findings.bad(
            check,
            format!("{ONBOARDING_NUMBER} is found with another name than {ONBOARDING_NAME}"),
            "Apple looks the number up, and expects this name",
            FIX,
        ),
        Some(Err(error)) => findings.bad(
            check,
            format!("the value of {ONBOARDING_NUMBER} cannot be read: {error}"),
            "devices show nothing of a value that is not the message CallIdentity",
            FIX,
        ),
        None => {
            let seen = format!("{ONBOARDING_NUMBER} is not found");
            let cause = "Apple looks it up before it approves a distribution";
            match deployment.is_development {
                true => findings.warning(check, seen, cause, FIX),
                false => findings.bad(check, seen, cause, FIX),
            }
        }
    }
}
