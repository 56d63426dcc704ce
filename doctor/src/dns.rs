//! The TXT record by which the owner of the service's domain agrees to serve the app.

use crate::deployment::host_of;
use crate::error::chain;
use crate::{Check, Deployment, Findings};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use std::net::SocketAddr;

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
    let name = deployment.record_name();
    let wanted = format!("{name}{}", deployment.bundle_id);
    let records = match resolver(address, deployment) {
        Ok(resolver) => records(&resolver, &host).await,
        Err(error) => Err(error),
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
        Err(error) => format!("{host}: {error}"),
    };
    findings.bad(
        Check::DnsRecord,
        seen,
        "Apple takes the record as proof that the domain's owner agrees to serve this app",
        format!("add to the zone: {host}. TXT \"{wanted}\""),
    );
}

async fn records(resolver: &TokioResolver, host: &str) -> Result<Vec<String>, String> {
    // The final dot keeps the resolver from trying search domains.
    let found = match resolver.txt_lookup(format!("{host}.")).await {
        Ok(found) => found,
        Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
        Err(error) => return Err(chain(&error)),
    };
    let text = |data: &RData| match data {
        RData::TXT(text) => Some(
            text.txt_data.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect(),
        ),
        _ => None,
    };
    Ok(found.answers().iter().filter_map(|record| text(&record.data)).collect())
}
