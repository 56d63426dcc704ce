//! Whether addresses have the form that App Store apps need.

use crate::{Check, Deployment, Findings};
use app_configuration::{Origin, OriginError, UserToken};
use url::Url;

/// Whether requests can be sent to an address. If not, [`check`] has a finding about it.
pub(crate) fn can_be_asked(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Devices of 26 decode the token as base64, and use nothing if it is not.
fn check_user_token(deployment: &Deployment, findings: &mut Findings) {
    let token = deployment.user_token.as_str();
    let scheme = token.trim_start().get(.."Bearer ".len());
    let (seen, cause, fix) = if UserToken::parse(token).is_ok() {
        return findings.good(Check::UserTokenForm, "the user token is standard base64");
    } else if token.trim().is_empty() {
        (
            "the user token is empty",
            "without a user token the issuer issues nothing",
            "give what the app sets as pirAuthenticationToken",
        )
    } else if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("Bearer ")) {
        (
            "the user token begins with `Bearer `",
            "devices add `Bearer ` themselves, so that it would be in the header twice",
            "remove `Bearer ` from the token, here and in pirAuthenticationToken of the app",
        )
    } else if token.contains(char::is_whitespace) {
        (
            "the user token has white space in it",
            "devices of 26 decode the token as base64, which has no white space, and send an empty one if that fails",
            "remove spaces and line ends from the token, here, in the app, and at the service",
        )
    } else {
        (
            "the user token is not standard base64, with padding",
            "devices of 26 decode it as base64, and send an empty token if that fails: a JSON web token and base64url \
             text (with `.`, `-` or `_`) never work there",
            "set the base64 form of the token as pirAuthenticationToken in the app, and give the service the same text \
             (`users` of the configuration, the token file, or what the hook compares)",
        )
    };
    findings.bad(Check::UserTokenForm, seen, cause, fix);
}

pub(crate) fn check(deployment: &Deployment, findings: &mut Findings) {
    check_origins(deployment, findings);
    check_user_token(deployment, findings);
    let Some(gateway) = &deployment.gateway else { return };
    let is_https = Url::parse(gateway).is_ok_and(|url| url.scheme() == "https");
    match is_https || deployment.is_development {
        _ if !can_be_asked(gateway) => without_scheme(Check::GatewayUrl, gateway, findings),
        true => findings.good(Check::GatewayUrl, gateway.clone()),
        false => findings.bad(
            Check::GatewayUrl,
            format!("{gateway}: {}", OriginError::NotHttps),
            "Apple's relay connects to gateways over TLS only",
            "give the gateway a certificate (`tls` in its configuration) or put it behind a load balancer that has one",
        ),
    }
}

fn without_scheme(check: Check, address: &str, findings: &mut Findings) {
    findings.bad(
        check,
        format!("{address}: it does not begin with http:// or https://, and a host"),
        "nothing can be requested at such an address",
        "write the whole address, such as https://pir.example.com; with --development, http:// and a port are allowed",
    );
}

fn check_origins(deployment: &Deployment, findings: &mut Findings) {
    let mut addresses = vec![(Check::ServerUrl, "PIRServerURL", &deployment.server)];
    if deployment.issuer != deployment.server {
        addresses.push((Check::IssuerUrl, "PrivacyPassIssuerURL", &deployment.issuer));
    }
    for (check, key, address) in addresses {
        match Origin::parse(address) {
            Ok(_) => findings.good(check, format!("{address} is an origin")),
            Err(_) if !can_be_asked(address) => without_scheme(check, address, findings),
            Err(_) if deployment.is_development => {
                findings.good(check, format!("{address}, for development only"));
            }
            Err(error) => findings.bad(
                check,
                format!("{address}: {error}"),
                "from an App Store app, devices accept only origins: https, a host name, no port, path or slash at \
                 the end. With any other address the filter ends with error 9, serverSetupIncomplete",
                format!(
                    "give the service a host of its own, such as https://pir.example.com, and use the same text in \
                     the app, in {key} of its Info.plist, and in the form. For an app that Xcode installed, use \
                     --development"
                ),
            ),
        }
    }
}
