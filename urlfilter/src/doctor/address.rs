//! Whether addresses have the form that distributed apps need.

use super::{Deployment, Findings};
use url::{Host, Url};

/// What is wrong with the address of a service or an issuer, if anything is.
fn not_an_origin(text: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else { return Some("it is no URL") };
    if url.scheme() != "https" {
        return Some("it does not begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("it has a user name");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some("it has a query or a fragment");
    }
    // The parser drops a default port and adds a slash: what counts is the text.
    let rest = text.get("https://".len()..).unwrap_or_default();
    if rest.ends_with('/') && !rest[..rest.len() - 1].contains('/') {
        return Some("it has a slash at its end");
    }
    if rest.contains('/') {
        return Some("it has a path");
    }
    match url.host() {
        Some(Host::Domain(name)) if !name.contains('.') => Some("its host is not of the Internet"),
        Some(Host::Domain(_)) if rest.contains(':') => Some("it has a port"),
        Some(Host::Domain(_)) => None,
        _ => Some("it has the number of a host in place of its name"),
    }
}

pub(super) fn check(deployment: &Deployment, findings: &mut Findings) {
    let mut addresses = vec![("serverUrl", "PIRServerURL", &deployment.server)];
    if deployment.issuer != deployment.server {
        addresses.push(("issuerUrl", "PrivacyPassIssuerURL", &deployment.issuer));
    }
    for (check, key, address) in addresses {
        match not_an_origin(address) {
            None => findings.good(check, format!("{address} is an origin")),
            Some(_) if deployment.development => {
                findings.good(check, format!("{address}, for development only"));
            }
            Some(reason) => findings.bad(
                check,
                format!("{address}: {reason}"),
                "devices take origins only from an app that came from the App Store: https, a host's name, \
                 no port, path or slash at the end. Otherwise the filter ends with error 9, \
                 serverSetupIncomplete",
                format!(
                    "give the service a host of its own, such as https://pir.example.com, and use the same \
                     text in the app, in {key} of its Info.plist, and in the form. For an app from Xcode, \
                     --development passes over this"
                ),
            ),
        }
    }
    if let Some(gateway) = &deployment.gateway {
        let is_good = Url::parse(gateway).is_ok_and(|url| url.scheme() == "https");
        match is_good || deployment.development {
            true => findings.good("gatewayUrl", gateway.clone()),
            false => findings.bad(
                "gatewayUrl",
                format!("{gateway}: it does not begin with https://"),
                "Apple's relay speaks to gateways over TLS only",
                "give the gateway a certificate (tls of its configuration) or put it behind a load balancer \
                 that has one",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::not_an_origin;

    #[test]
    fn origins_are_told_from_other_addresses() {
        for good in ["https://pir.example.com", "https://a.b.c.example"] {
            assert_eq!(not_an_origin(good), None, "{good}");
        }
        for (bad, why) in [
            ("pir.example.com", "it is no URL"),
            ("http://pir.example.com", "it does not begin with https://"),
            ("https://pir.example.com/", "it has a slash at its end"),
            ("https://pir.example.com/lookup", "it has a path"),
            ("https://pir.example.com/lookup/", "it has a path"),
            ("https://pir.example.com//", "it has a path"),
            ("https://pir.example.com:443", "it has a port"),
            ("https://pir.example.com:8443", "it has a port"),
            ("https://pir.example.com?x", "it has a query or a fragment"),
            ("https://pir.example.com#x", "it has a query or a fragment"),
            ("https://me@pir.example.com", "it has a user name"),
            ("https://localhost", "its host is not of the Internet"),
            ("https://192.0.2.1", "it has the number of a host in place of its name"),
            ("https://[2001:db8::1]", "it has the number of a host in place of its name"),
        ] {
            assert_eq!(not_an_origin(bad), Some(why), "{bad}");
        }
    }
}
