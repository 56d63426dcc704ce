//! Whether lookups through the Oblivious HTTP gateway succeed.

use crate::answer::Exchanged;
use crate::deployment::host_of;
use crate::error::chain;
use crate::network::{DIRECTORY_PATH, Network, Recorder};
use crate::reach::is_same_origin;
use crate::{Check, Deployment, Findings, service};
use bytes::Bytes;
use filter_client::{ObliviousTransport, Transport};
use http::{Method, Request, StatusCode, Uri, header};
use std::sync::Arc;
use url::Url;

/// Path of a gateway's resource by default (RFC 9540, section 3).
const WELL_KNOWN: &str = "/.well-known/ohttp-gateway";
/// Media type of key configurations (RFC 9458, section 3).
const KEYS_TYPE: &str = "application/ohttp-keys";
/// Longest directory of issuer keys that is read through the gateway, in bytes.
const MAX_DIRECTORY: usize = 1 << 20;

/// The gateway's resource: the address itself if it has a path, otherwise the well-known one.
fn resource(gateway: &str) -> String {
    match Url::parse(gateway) {
        Ok(url) if url.path() == "/" => format!("{}{WELL_KNOWN}", gateway.trim_end_matches('/')),
        _ => gateway.to_owned(),
    }
}

/// What is known of the service without the gateway, so that nothing of it is blamed on the gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direct {
    /// The issuer answers as it should, whether it knows the user token or not.
    pub(crate) issuer_answers: bool,
    /// A lookup without the gateway succeeded.
    pub(crate) has_lookups: bool,
}

pub(crate) async fn check(
    deployment: &Deployment,
    gateway: &str,
    network: &Arc<Network>,
    direct: Direct,
    findings: &mut Findings,
) {
    // What answers at this origin does not answer as it should, which another finding says.
    if !direct.issuer_answers && is_same_origin(gateway, &deployment.issuer) {
        return;
    }
    let resource = resource(gateway);
    let exchanged = network.get(&resource).await;
    let transport = match read_keys(&resource, &exchanged, network) {
        Ok(transport) => {
            findings.good(Check::GatewayKeys, format!("{resource} has a key configuration"));
            Recorder::new(transport, deployment.timeout)
        }
        Err(reason) => {
            let advice = exchanged.advice_or(
                "the relay fetches the gateway's key configuration (application/ohttp-keys) there",
                "set `gateway` in pir-server's configuration; give the whole address of the resource if it is not at \
                 /.well-known/ohttp-gateway",
            );
            findings.bad_for(Check::GatewayKeys, format!("{}{reason}", exchanged.seen()), advice);
            return;
        }
    };
    if !direct.issuer_answers {
        return;
    }
    let passing = Passing { resource: &resource, network, transport: &transport };
    if !passing.forwards(deployment, findings).await || !direct.has_lookups {
        return;
    }
    // Devices ask for https addresses, wherever the gateway finds the service.
    let server = format!("https://{}", host_of(&deployment.server));
    let issuer = format!("https://{}", host_of(&deployment.issuer));
    let use_case = deployment.use_cases().swap_remove(0);
    let keyword = deployment.onboarding_keyword().as_bytes();
    let client = service::client(deployment, &use_case, &server, &issuer, transport.clone(), None);
    let outcome = match client {
        Ok(client) => client.lookup(&[keyword]).await.map_err(|error| chain(error.as_ref())),
        Err(error) => Err(chain(&error)),
    };
    match outcome {
        Ok(_) => findings.good(
            Check::GatewayLookup,
            "tokens, configuration, evaluation key and a lookup go through the gateway",
        ),
        Err(reason) => passing.failed(
            &reason,
            "the gateway passes some requests on, but not all that a lookup needs",
            "let the gateway pass requests for the issuer's host on, too, and bodies of 10 MB",
            findings,
        ),
    }
}

/// What requests go through.
struct Passing<'a> {
    resource: &'a str,
    network: &'a Arc<Network>,
    transport: &'a Recorder<ObliviousTransport>,
}

impl Passing<'_> {
    /// Reports a request that failed on its way: cause and fix are those of the answer, if it tells them.
    fn failed(&self, reason: &str, cause: &str, fix: &str, findings: &mut Findings) {
        let seen = format!("{}: {reason}", self.resource);
        // Without an answer of the service, what stands in front of the gateway may have answered.
        let advice = match self.transport.last() {
            Some(_) => None,
            None => self.network.last().and_then(|exchanged| exchanged.advice()),
        };
        match advice {
            Some(advice) => findings.bad_for(Check::GatewayLookup, seen, advice),
            None => findings.bad(Check::GatewayLookup, seen, cause, fix),
        }
    }

    /// Whether the gateway passes a request for the service on.
    async fn forwards(&self, deployment: &Deployment, findings: &mut Findings) -> bool {
        let (resource, host) = (self.resource, host_of(&deployment.server));
        let directory = format!("https://{host}{DIRECTORY_PATH}");
        let response = match directory.parse::<Uri>() {
            Ok(uri) => {
                let mut request = Request::new(Bytes::new());
                *request.method_mut() = Method::GET;
                *request.uri_mut() = uri;
                self.transport.send(request, MAX_DIRECTORY).await.map_err(|error| chain(&error))
            }
            Err(error) => Err(format!("{directory}: {error}")),
        };
        let status = match response {
            Ok(response) => response.status(),
            Err(reason) => {
                self.failed(
                    &reason,
                    "the gateway does not answer an encapsulated request",
                    "look at its log and pir_gateway_refused_total",
                    findings,
                );
                return false;
            }
        };
        if status == StatusCode::OK {
            return true;
        }
        // A service that issues no tokens has no directory.
        let direct = self.network.get(&deployment.server_url(DIRECTORY_PATH)).await;
        if direct.status() == Some(status.as_u16()) {
            return true;
        }
        let (seen, cause, fix) = match status {
            StatusCode::FORBIDDEN => (
                format!("{resource}: status 403: it does not pass requests for {host} on"),
                "the gateway has a list of hosts, and the service is not on it",
                format!("add {host:?} to gateway.hosts, or to gateway.origins with its address"),
            ),
            status => (
                format!("{resource}: status {} for {directory}", status.as_u16()),
                "the gateway does not reach the service, or reaches another server",
                "check gateway.origins, and that the gateway's machine reaches the service"
                    .to_owned(),
            ),
        };
        findings.bad(Check::GatewayLookup, seen, cause, fix);
        false
    }
}

/// The key configuration in an answer. The error says what it has instead.
fn read_keys(
    resource: &str,
    exchanged: &Exchanged,
    network: &Arc<Network>,
) -> Result<ObliviousTransport, String> {
    let Some(response) = exchanged.answer().filter(|answer| answer.status() == StatusCode::OK)
    else {
        return Err(String::new());
    };
    let content_type = response.headers().get(header::CONTENT_TYPE);
    match content_type.map(|value| String::from_utf8_lossy(value.as_bytes())) {
        Some(content_type) if content_type == KEYS_TYPE => {}
        Some(content_type) => {
            return Err(format!(": its content is {content_type}, expected {KEYS_TYPE}"));
        }
        None => return Err(format!(": no Content-Type, expected {KEYS_TYPE}")),
    }
    let address = resource.parse().map_err(|_| ": not a URL".to_owned())?;
    let inner: Arc<dyn Transport> = network.clone();
    ObliviousTransport::new(inner, address, response.body().to_vec())
        .map_err(|error| format!(": no usable key configuration: {}", chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::resource;

    #[test]
    fn an_address_without_a_path_means_the_well_known_resource() {
        for (gateway, expected) in [
            ("https://g.example.com", "https://g.example.com/.well-known/ohttp-gateway"),
            ("https://g.example.com/", "https://g.example.com/.well-known/ohttp-gateway"),
            ("https://g.example.com/ohttp", "https://g.example.com/ohttp"),
        ] {
            assert_eq!(resource(gateway), expected);
        }
    }
}
