//! Whether servers can be reached. Each origin is asked once, whatever it is for.

use crate::answer::Outcome;
use crate::certificate::{self, Refusal};
use crate::error::chain;
use crate::network::{DIRECTORY_PATH, Network};
use crate::role::Role;
use crate::{Deployment, Findings, address};
use app_configuration::{Origin, OriginError};
use filter_client::Endpoint;
use http::{StatusCode, Version, header};
use reqwest::tls::TlsInfo;
use std::error::Error;
use std::time::{Duration, SystemTime};
use url::Url;

/// Largest difference of clocks that is accepted: beyond it, tokens and keys look too young or too old.
const MAX_SKEW: Duration = Duration::from_secs(60);
/// Where a service has its configurations.
const CONFIG_PATH: &str = Endpoint::Config.path().expect("configurations have a fixed path");

/// Which servers answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    pub(crate) server: bool,
    pub(crate) issuer: bool,
    pub(crate) gateway: bool,
}

impl Reached {
    fn set(&mut self, role: Role) {
        match role {
            Role::Server => self.server = true,
            Role::Issuer => self.issuer = true,
            Role::Gateway => self.gateway = true,
        }
    }
}

/// An address and what it is for.
type Place<'d> = (Role, &'d str);

/// The places of each origin; the first one stands for the others in findings.
fn places(deployment: &Deployment) -> Vec<Vec<Place<'_>>> {
    let mut all = vec![(Role::Server, deployment.server.as_str())];
    if deployment.issuer != deployment.server {
        all.push((Role::Issuer, deployment.issuer.as_str()));
    }
    all.extend(deployment.gateway.as_deref().map(|gateway| (Role::Gateway, gateway)));
    let mut origins: Vec<Vec<Place<'_>>> = Vec::new();
    for place in all.into_iter().filter(|(_, address)| address::can_be_asked(address)) {
        match origins.iter_mut().find(|origin| is_same_origin(origin[0].1, place.1)) {
            Some(origin) => origin.push(place),
            None => origins.push(vec![place]),
        }
    }
    origins
}

/// Whether two addresses are of one server.
pub(crate) fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |text: &str| Url::parse(text).map(|url| url.origin());
    matches!((origin(one), origin(other)), (Ok(one), Ok(other)) if one == other)
}

/// Connects to each server and checks TLS, the version of HTTP and the clock.
pub(crate) async fn all(
    deployment: &Deployment,
    network: &Network,
    findings: &mut Findings,
) -> Reached {
    let mut reached = Reached::default();
    for origin in places(deployment) {
        let response = match network.connect(origin[0].1).await {
            Ok(response) => response,
            Err(error) => {
                unreachable(&error, network, &origin, findings).await;
                continue;
            }
        };
        let mut is_elsewhere = false;
        for &(role, address) in &origin {
            let other = match role {
                Role::Gateway => None,
                Role::Server | Role::Issuer => other_place(network, address).await,
            };
            match other {
                Some(place) => {
                    is_elsewhere = true;
                    // It says the same, and where to.
                    if matches!(Origin::parse(address), Err(OriginError::Path)) {
                        findings.withdraw(role.form());
                    }
                    findings.bad(role.connection(), place.seen, place.cause, place.fix);
                }
                None => reached.set(role),
            }
        }
        if !is_elsewhere {
            describe(&response, &origin, findings);
        }
    }
    if deployment.issuer == deployment.server {
        reached.issuer = reached.server;
    }
    reached
}

/// What a connection tells: TLS, the version of HTTP, the certificate, the clock.
fn describe(response: &reqwest::Response, origin: &[Place<'_>], findings: &mut Findings) {
    let (role, address) = origin[0];
    let check = role.connection();
    let needs_http2 = origin.iter().any(|(role, _)| *role == Role::Gateway);
    if !address.starts_with("https://") {
        findings.good(check, format!("{address} answers, without TLS"));
    } else if response.version() == Version::HTTP_2 {
        findings.good(check, format!("{address} answers over TLS with HTTP/2"));
    } else {
        let seen = format!("{address} answers with {:?} only", response.version());
        let cause = "its TLS does not offer HTTP/2 (ALPN h2)";
        let fix = "switch HTTP/2 on where TLS ends: pir-server always offers it, a load balancer may need a setting";
        match needs_http2 {
            true => findings.bad(
                Role::Gateway.connection(),
                seen,
                format!("{cause}, and Apple's relay accepts only gateways with HTTP/2"),
                fix,
            ),
            false => findings.warning(
                check,
                seen,
                format!("{cause}; each request of a device waits for the previous one"),
                fix,
            ),
        }
    }
    let certificate = response.extensions().get::<TlsInfo>();
    if let Some(certificate) = certificate.and_then(TlsInfo::peer_certificate) {
        certificate::check_validity(certificate, SystemTime::now(), address, role, findings);
    }
    let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    if let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) {
        compare_clocks(date, SystemTime::now(), address, role, findings);
    }
}

/// What answers at an address, if it is not what the address is for.
struct OtherPlace {
    seen: String,
    cause: &'static str,
    fix: String,
}

/// Whether an address has nothing that devices ask for, and another one of the same server is meant.
async fn other_place(network: &Network, address: &str) -> Option<OtherPlace> {
    let base = address.trim_end_matches('/');
    if answers_devices(network, base).await {
        return None;
    }
    let origin = Url::parse(address).ok()?.origin().ascii_serialization();
    if origin != base && answers_devices(network, &origin).await {
        return Some(OtherPlace {
            seen: format!("{address}: status 404 for what devices ask; {origin} answers"),
            cause: "the address has a path, and the service answers at the root of its host",
            fix: format!("use {origin} as the address, in the app and here"),
        });
    }
    let metrics = network.get(&format!("{origin}/metrics")).await;
    let metrics = metrics.answer()?;
    let is_admin =
        metrics.status().is_success() && metrics.body().windows(4).any(|window| window == b"pir_");
    is_admin.then(|| OtherPlace {
        seen: format!("{address}: status 404 for what devices ask, and metrics at /metrics"),
        cause: "this is the admin address of the service",
        fix: "use the address that the service listens on (`--listen`, `listen`), not that of `--admin`".to_owned(),
    })
}

/// Whether anything but 404 answers a path that devices ask for.
async fn answers_devices(network: &Network, base: &str) -> bool {
    for path in [DIRECTORY_PATH, CONFIG_PATH] {
        let exchanged = network.get(&format!("{base}{path}")).await;
        match exchanged.outcome {
            Outcome::Answer(response) if response.status() == StatusCode::NOT_FOUND => {}
            _ => return true,
        }
    }
    false
}

/// The innermost cause, which names the problem.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Whether the address of a host was looked up in vain. The libraries below tell it by their text only.
fn is_about_names(error: &reqwest::Error) -> bool {
    chain(error).contains("dns error")
}

/// Why TLS refused a certificate, as far as the certificate itself tells it.
async fn refused_certificate(
    error: &reqwest::Error,
    network: &Network,
    address: &str,
) -> Option<Refusal> {
    let error = certificate::tls_error(error)?;
    if certificate::is_about_signer(error) {
        let certificate = network.refused_certificate(address).await?;
        return certificate::unknown_signer(&certificate, network.has_authority);
    }
    if certificate::is_about_time_or_names(error) {
        let certificate = network.refused_certificate(address).await?;
        return certificate::refusal_of(error, &certificate, SystemTime::now());
    }
    None
}

/// Why a server does not answer, and what to do about it. `None` if it does not speak HTTP.
fn refusal(error: &reqwest::Error) -> Option<Refusal> {
    if error.is_timeout() {
        return Some(Refusal {
            cause: "the server did not answer in time",
            fix: "check that the service runs (`pir-server` prints `listening`), that the firewall lets requests through, \
                  and that the load balancer has a node that is ready (/readyz)",
        });
    }
    if let Some(refusal) = certificate::tls_error(error).and_then(certificate::refusal) {
        return Some(refusal);
    }
    if is_about_names(error) {
        return Some(Refusal {
            cause: "the host's name has no address",
            fix: "check the name, and its address records in the DNS",
        });
    }
    error.is_connect().then_some(Refusal {
        cause: "nothing listens at this port of the host, or a firewall refuses the connection",
        fix: "check the port that the service listens on (443 for https), and that it runs",
    })
}

/// Whether the port of an address without TLS has TLS.
async fn has_tls(network: &Network, address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    match network.connect(&format!("https://{host}:{port}/")).await {
        Ok(_) => true,
        Err(error) => matches!(
            certificate::tls_error(&error),
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))
        ),
    }
}

async fn unreachable(
    error: &reqwest::Error,
    network: &Network,
    origin: &[Place<'_>],
    findings: &mut Findings,
) {
    let (role, address) = origin[0];
    let seen = format!("{address}: {}", root_cause(error));
    let is_plain = address.starts_with("http://");
    let refusal = match refused_certificate(error, network, address).await {
        Some(refusal) => Some(refusal),
        None => refusal(error),
    };
    if let Some(Refusal { cause, fix }) = refusal {
        // A finding about the address has said that it must begin with https://.
        if !(is_plain && findings.is_bad(role.form())) {
            findings.bad(role.connection(), seen, cause, fix);
        }
    } else if is_plain && has_tls(network, address).await {
        for (role, _) in origin {
            findings.withdraw(role.form());
        }
        let cause = "the port has TLS, and the address has none: what listens there does not speak HTTP as it is asked";
        findings.bad(
            role.connection(),
            seen,
            cause,
            "write https:// in the address, in the app and here",
        );
    } else {
        let cause = "something listens there, and does not speak HTTP as it is asked";
        findings.bad(role.connection(), seen, cause, "check what listens at this port");
    }
}

fn compare_clocks(
    date: SystemTime,
    now: SystemTime,
    address: &str,
    role: Role,
    findings: &mut Findings,
) {
    let skew = now.duration_since(date).unwrap_or_else(|early| early.duration());
    // The header has whole seconds.
    if skew <= MAX_SKEW {
        let seen = format!("{address}: within {} s of this machine's", skew.as_secs().max(1));
        findings.good(role.clock(), seen);
        return;
    }
    let direction = if date > now { "ahead of" } else { "behind" };
    findings.bad(
        role.clock(),
        format!("{address}: {} s {direction} this machine's", skew.as_secs()),
        "one of the two clocks is wrong. Token keys would be published or retired at the wrong time, and devices \
         would refuse certificates and tokens",
        "run an NTP client on the service's machine (and on this one)",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    #[test]
    fn clocks_may_differ_by_the_limit() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let second = Duration::from_secs(1);
        for (skew, expected) in [
            (MAX_SKEW - second, Severity::Good),
            (MAX_SKEW, Severity::Good),
            (MAX_SKEW + second, Severity::Bad),
        ] {
            for date in [now - skew, now + skew] {
                let mut findings = Findings::default();
                compare_clocks(date, now, "https://pir.example.com", Role::Server, &mut findings);
                assert_eq!(findings.count(expected), 1, "{findings:?}");
            }
        }
    }

    #[test]
    fn each_origin_is_one_place_to_ask() {
        let deployment = Deployment::new("https://a.example", "com.example.app", "AAAA")
            .issuer("https://a.example:443/")
            .gateway("https://b.example/ohttp");
        let roles: Vec<Vec<Role>> = places(&deployment)
            .iter()
            .map(|origin| origin.iter().map(|(role, _)| *role).collect())
            .collect();
        assert_eq!(roles, [vec![Role::Server, Role::Issuer], vec![Role::Gateway]]);
        let one = Deployment::new("https://a.example", "com.example.app", "AAAA");
        let one = one.gateway("https://a.example/.well-known/ohttp-gateway");
        assert_eq!(places(&one).len(), 1);
        assert!(places(&Deployment::new("a.example", "com.example.app", "AAAA")).is_empty());
    }
}
