//! Whether addresses have the form that App Store apps need.

use crate::{Check, Deployment, Findings};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Why a service or an issuer cannot have an address in an App Store app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NotUrl,
    NotHttps,
    UserName,
    QueryOrFragment,
    TrailingSlash,
    Path,
    Port,
    LocalHost,
    IpAddress,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUrl => "it is not a URL",
            Self::NotHttps => "it does not begin with https://",
            Self::UserName => "it has a user name",
            Self::QueryOrFragment => "it has a query or a fragment",
            Self::TrailingSlash => "it ends with a slash",
            Self::Path => "it has a path",
            Self::Port => "it has a port",
            Self::LocalHost => "its host is not a public name",
            Self::IpAddress => "it has an IP address where a host name is expected",
        })
    }
}

fn check_origin(text: &str) -> Result<(), Fault> {
    let url = Url::parse(text).map_err(|_| Fault::NotUrl)?;
    // The parser ignores surrounding spaces, drops a default port and adds a slash: the text counts.
    let rest = match text.split_at_checked("https://".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https://") => rest,
        _ => return Err(Fault::NotHttps),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::UserName);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::QueryOrFragment);
    }
    match rest.split_once('/') {
        Some((_, "")) => return Err(Fault::TrailingSlash),
        Some(_) => return Err(Fault::Path),
        None => {}
    }
    match url.host() {
        Some(Host::Domain(name)) if !name.contains('.') => Err(Fault::LocalHost),
        Some(Host::Domain(_)) if rest.contains(':') => Err(Fault::Port),
        Some(Host::Domain(_)) => Ok(()),
        _ => Err(Fault::IpAddress),
    }
}

/// Whether requests can be sent to an address. If not, [`check`] has a finding about it.
pub(crate) fn can_be_asked(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Devices of 26 decode the token as base64, and use nothing if it is not.
fn check_user_token(deployment: &Deployment, findings: &mut Findings) {
    match STANDARD.decode(deployment.user_token.as_str()).map(Zeroizing::new) {
        Ok(_) => findings.good(Check::UserTokenForm, "the user token is standard base64"),
        Err(_) => findings.bad(
            Check::UserTokenForm,
            "the user token is not standard base64, with padding",
            "devices of 26 decode it as base64, and send an empty token if that fails: a JSON web token and base64url \
             text (with `.`, `-` or `_`) never work there",
            "set the base64 form of the token as pirAuthenticationToken in the app, and give the service the same text \
             (`users` of the configuration, the token file, or what the hook compares)",
        ),
    }
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
            format!("{gateway}: {}", Fault::NotHttps),
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
        match check_origin(address) {
            Ok(()) => findings.good(check, format!("{address} is an origin")),
            Err(_) if !can_be_asked(address) => without_scheme(check, address, findings),
            Err(_) if deployment.is_development => {
                findings.good(check, format!("{address}, for development only"));
            }
            Err(fault) => findings.bad(
                check,
                format!("{address}: {fault}"),
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

#[cfg(test)]
mod tests {
    use super::{Fault, check_origin};

    #[test]
    fn origins_are_told_from_other_addresses() {
        for good in ["https://pir.example.com", "HTTPS://a.b.c.example"] {
            assert_eq!(check_origin(good), Ok(()), "{good}");
        }
        for (bad, fault) in [
            ("pir.example.com", Fault::NotUrl),
            ("http://pir.example.com", Fault::NotHttps),
            (" https://pir.example.com", Fault::NotHttps),
            ("https://pir.example.com/", Fault::TrailingSlash),
            ("https://pir.example.com/lookup", Fault::Path),
            ("https://pir.example.com/lookup/", Fault::Path),
            ("https://pir.example.com//", Fault::Path),
            ("https://pir.example.com:443", Fault::Port),
            ("https://pir.example.com:8443", Fault::Port),
            ("https://pir.example.com?x", Fault::QueryOrFragment),
            ("https://pir.example.com#x", Fault::QueryOrFragment),
            ("https://me@pir.example.com", Fault::UserName),
            ("https://localhost", Fault::LocalHost),
            ("https://192.0.2.1", Fault::IpAddress),
            ("https://[2001:db8::1]", Fault::IpAddress),
        ] {
            assert_eq!(check_origin(bad), Err(fault), "{bad}");
        }
    }
}
