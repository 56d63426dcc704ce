//! Whether the record that proves the domain's owner is there.

use super::{Deployment, Findings, host_of};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use std::net::SocketAddr;

const CHECK: &str = "dnsRecord";

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
    builder.build().map_err(|error| error.to_string())
}

pub(super) async fn check(deployment: &Deployment, address: SocketAddr, findings: &mut Findings) {
    let host = host_of(&deployment.server);
    let wanted = format!("apple-url-filter={}", deployment.bundle_id);
    let records = match resolver(address, deployment) {
        Ok(resolver) => records(&resolver, &host).await,
        Err(error) => Err(error),
    };
    let seen = match &records {
        Ok(records) if records.contains(&wanted) => {
            findings.good(CHECK, format!("{host} has the TXT record {wanted}"));
            return;
        }
        Ok(records) => {
            let other = records.iter().find(|record| record.starts_with("apple-url-filter="));
            match other {
                Some(other) => format!("{host} has the TXT record {other}, and not {wanted}"),
                None => format!("{host} has no TXT record {wanted}"),
            }
        }
        Err(error) => format!("{host}: {error}"),
    };
    findings.bad(
        CHECK,
        seen,
        "Apple takes it as proof that the domain's owner means this app to be served",
        format!("add to the zone: {host}. TXT \"{wanted}\""),
    );
}

async fn records(resolver: &TokioResolver, host: &str) -> Result<Vec<String>, String> {
    // With the dot, so that no search list is tried.
    let found = match resolver.txt_lookup(format!("{host}.")).await {
        Ok(found) => found,
        Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let text = |data: &RData| match data {
        RData::TXT(text) => Some(
            text.txt_data.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect(),
        ),
        _ => None,
    };
    Ok(found.answers().iter().filter_map(|record| text(&record.data)).collect())
}
