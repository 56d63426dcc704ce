//! The TXT record by which the owner of the service's domain agrees to serve the app.

use crate::deployment::host_of;
use crate::error::chain;
use crate::{Check, Deployment, Findings};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use std::net::{IpAddr, SocketAddr};

fn resolver(address: SocketAddr, deployment: &Deployment) -> Result<TokioResolver, String> {
    let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = deployment.timeout;
    options.attempts = 1;
    builder.build().map_err(|error| chain(&error))
}

pub(crate) async fn check(deployment: &Deployment, address: SocketAddr, findings: &mut Findings) {
    let host = host_of(&deployment.server);
    // An address has no records. Only for development it may be one, and another finding says so otherwise.
    if host.parse::<IpAddr>().is_ok() && !deployment.is_development {
        return;
    }
    let name = deployment.record_name();
    let wanted = format!("{name}{}", deployment.bundle_id);
    let records = match resolver(address, deployment) {
        Ok(resolver) => records(&resolver, &host).await,
        Err(error) => Err(NoAnswer::Resolver(error)),
    };
    let seen = match &records {
        Ok(records) if records.contains(&wanted) => {
            findings.good(Check::DnsRecord, format!("{host} has the TXT record {wanted}"));
            return;
        }
        Ok(records) => {
            let other = records.iter().find(|record| record.starts_with(name));
            match other {
                Some(other) => format!("{host} has the TXT record {other}, expected {wanted}"),
                None => format!("{host} has no TXT record {wanted}"),
            }
        }
        Err(NoAnswer::Zone(error)) => {
            return findings.bad(
                Check::DnsRecord,
                format!("{host}: the name server {address} says: {error}"),
                "the zone of the host cannot be looked up, whatever records it has",
                "check the delegation of the zone, its name servers, and its signatures (DNSSEC)",
            );
        }
        Err(NoAnswer::Resolver(error)) => {
            return findings.bad(
                Check::DnsRecord,
                format!("{host}: no answer of the name server {address}: {error}"),
                "the name server that --resolver names does not answer this machine; nothing is known of the record",
                "name another one with --resolver, such as 9.9.9.9, or let DNS (UDP and TCP, port 53) pass to it",
            );
        }
    };
    findings.bad(
        Check::DnsRecord,
        seen,
        "Apple takes the record as proof that the domain's owner agrees to serve this app",
        format!("add to the zone: {host}. TXT \"{wanted}\""),
    );
}

/// Why it is not known which records a host has.
enum NoAnswer {
    /// The name server did not answer.
    Resolver(String),
    /// The name server answered with an error.
    Zone(String),
}

async fn records(resolver: &TokioResolver, host: &str) -> Result<Vec<String>, NoAnswer> {
    // The final dot keeps the resolver from trying search domains.
    let found = match resolver.txt_lookup(format!("{host}.")).await {
        Ok(found) => found,
        Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
        Err(error @ NetError::Dns(_)) => return Err(NoAnswer::Zone(chain(&error))),
        Err(error) => return Err(NoAnswer::Resolver(chain(&error))),
    };
    let text = |data: &RData| match data {
        RData::TXT(text) => Some(
            text.txt_data.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect(),
        ),
        _ => None,
    };
    Ok(found.answers().iter().filter_map(|record| text(&record.data)).collect())
}
