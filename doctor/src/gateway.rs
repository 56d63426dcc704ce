//! Whether lookups through the Oblivious HTTP gateway succeed.

use crate::deployment::host_of;
use crate::error::chain;
use crate::network::{DIRECTORY_PATH, Network};
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

pub(crate) async fn check(
    deployment: &Deployment,
    gateway: &str,
    network: &Arc<Network>,
    has_tokens: bool,
    findings: &mut Findings,
) {
    let resource = resource(gateway);
    let transport = match fetch_keys(&resource, network).await {
        Ok(transport) => {
            findings.good(Check::GatewayKeys, format!("{resource} has a key configuration"));
            Arc::new(transport)
        }
        Err(reason) => {
            findings.bad(
                Check::GatewayKeys,
                format!("{resource}: {reason}"),
                "the relay fetches the gateway's key configuration (application/ohttp-keys) there",
                "set `gateway` in pir-server's configuration; give the whole address of the resource if it is not \
                 at /.well-known/ohttp-gateway",
            );
            return;
        }
    };
    let host = host_of(&deployment.server);
    if !forwards(&resource, &host, &*transport, findings).await || !has_tokens {
        return;
    }
    // Devices ask for https addresses, wherever the gateway finds the service.
    let (server, issuer) =
        (format!("https://{host}"), format!("https://{}", host_of(&deployment.issuer)));
    let use_case = deployment.use_cases().swap_remove(0);
    let outcome = match service::client(deployment, &use_case, &server, &issuer, transport, None) {
        Ok(client) => client
            .lookup(&[deployment.onboarding_keyword().as_bytes()])
            .await
            .map_err(|error| chain(error.as_ref())),
        Err(error) => Err(chain(&error)),
    };
    match outcome {
        Ok(_) => findings.good(
            Check::GatewayLookup,
            "tokens, configuration, evaluation key and a lookup go through the gateway",
        ),
        Err(reason) => findings.bad(
            Check::GatewayLookup,
            format!("{resource}: {reason}"),
            "the gateway passes some requests on, but not all that a lookup needs",
            "let the gateway pass requests for the issuer's host on, too, and bodies of 10 MB",
        ),
    }
}

/// Whether the gateway passes a request for the service on.
async fn forwards(
    resource: &str,
    host: &str,
    transport: &dyn Transport,
    findings: &mut Findings,
) -> bool {
    let directory = format!("https://{host}{DIRECTORY_PATH}");
    let response = match directory.parse::<Uri>() {
        Ok(uri) => {
            let mut request = Request::new(Bytes::new());
            *request.method_mut() = Method::GET;
            *request.uri_mut() = uri;
            transport.send(request, MAX_DIRECTORY).await.map_err(|error| chain(&error))
        }
        Err(error) => Err(format!("{directory}: {error}")),
    };
    let (seen, cause, fix) = match response {
        Ok(response) if response.status() == StatusCode::OK => return true,
        Ok(response) if response.status() == StatusCode::FORBIDDEN => (
            format!("{resource}: status 403: it does not pass requests for {host} on"),
            "the gateway has a list of hosts, and the service is not on it",
            format!("add {host:?} to gateway.hosts, or to gateway.origins with its address"),
        ),
        Ok(response) => (
            format!("{resource}: status {} for {directory}", response.status().as_u16()),
            "the gateway does not reach the service, or reaches another server",
            "check gateway.origins, and that the gateway's machine reaches the service".to_owned(),
        ),
        Err(reason) => (
            format!("{resource}: {reason}"),
            "the gateway does not answer an encapsulated request",
            "look at its log and pir_gateway_refused_total".to_owned(),
        ),
    };
    findings.bad(Check::GatewayLookup, seen, cause, fix);
    false
}

/// Fetches the key configuration. The error says what was found instead.
async fn fetch_keys(resource: &str, network: &Arc<Network>) -> Result<ObliviousTransport, String> {
    let response = network.get(resource).await.map_err(|error| chain(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("status {}", response.status().as_u16()));
    }
    let content_type = response.headers().get(header::CONTENT_TYPE);
    match content_type.map(|value| String::from_utf8_lossy(value.as_bytes())) {
        Some(content_type) if content_type == KEYS_TYPE => {}
        Some(content_type) => {
            return Err(format!("its content is {content_type}, expected {KEYS_TYPE}"));
        }
        None => return Err(format!("no Content-Type, expected {KEYS_TYPE}")),
    }
    let address = resource.parse().map_err(|_| "not a URL".to_owned())?;
    let inner: Arc<dyn Transport> = network.clone();
    ObliviousTransport::new(inner, address, response.into_body().to_vec())
        .map_err(|error| format!("no usable key configuration: {}", chain(&error)))
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
