//! Whether the service is reached through the gateway.

use super::network::Network;
use super::{Deployment, Findings, host_of, service};
use crate::answer::body;
use blocklist::key::ONBOARDING_ENTRY;
use bytes::Bytes;
use filter_client::{ObliviousTransport, Transport};
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use pir_server::causes::WithCauses;
use std::sync::Arc;
use url::Url;

const CHECK_KEYS: &str = "gatewayKeys";
const CHECK_LOOKUP: &str = "gatewayLookup";
/// Of RFC 9540.
const WELL_KNOWN: &str = "/.well-known/ohttp-gateway";

/// The gateway's resource: the address itself if it has a path, or the one that is known by itself.
fn resource(gateway: &str) -> String {
    match Url::parse(gateway) {
        Ok(url) if url.path() == "/" => format!("{}{WELL_KNOWN}", gateway.trim_end_matches('/')),
        _ => gateway.to_owned(),
    }
}

pub(super) async fn check(
    deployment: &Deployment,
    gateway: &str,
    network: &Network,
    findings: &mut Findings,
) {
    let resource = resource(gateway);
    let Some(transport) = open(&resource, network, findings).await else { return };
    let host = host_of(&deployment.server);
    // What devices ask for is always https; where the service itself is does not matter here.
    let inside = format!("https://{host}");
    let directory = format!("{inside}/.well-known/private-token-issuer-directory");
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = directory.parse().unwrap_or_default();
    match transport.send(request, 1 << 20).await {
        Ok(response) if response.status() == 403 => {
            findings.bad(
                CHECK_LOOKUP,
                format!("{resource}: it does not pass requests for {host} on"),
                "the gateway has a list of hosts, and the service is not on it",
                format!("add {host:?} to gateway.hosts, or to gateway.origins with its address"),
            );
            return;
        }
        Ok(response) if response.status() == 200 => {}
        Ok(response) => {
            findings.bad(
                CHECK_LOOKUP,
                format!("{resource}: status {} for {directory}", response.status().as_u16()),
                "the gateway does not reach the service, or reaches something else",
                "check gateway.origins, and that the gateway's machine reaches the service",
            );
            return;
        }
        Err(error) => {
            findings.bad(
                CHECK_LOOKUP,
                format!("{resource}: {error}"),
                "the gateway does not answer an encapsulated request",
                "look at its log and pir_gateway_refused_total",
            );
            return;
        }
    }
    let issuer = format!("https://{}", host_of(&deployment.issuer));
    let outcome = match service::client(deployment, &inside, &issuer, transport) {
        Ok(client) => {
            let found = client.lookup(&[ONBOARDING_ENTRY.as_bytes()]).await;
            found.map_err(|error| WithCauses(&*error).to_string())
        }
        Err(error) => Err(WithCauses(&error).to_string()),
    };
    match outcome {
        Ok(_) => findings.good(CHECK_LOOKUP, "tokens, configuration, key and a lookup go through"),
        Err(error) => findings.bad(
            CHECK_LOOKUP,
            format!("{resource}: {error}"),
            "some requests go through the gateway, and not all that a lookup needs",
            "let the gateway pass requests for the issuer's host on, too, and bodies of 10 MB",
        ),
    }
}

async fn open(
    resource: &str,
    network: &Network,
    findings: &mut Findings,
) -> Option<Arc<ObliviousTransport>> {
    let mut bad = |seen: String| {
        findings.bad(
            CHECK_KEYS,
            seen,
            "the relay fetches the gateway's key configuration (application/ohttp-keys) there",
            "set gateway in pir-server's configuration; give the resource's whole address if it is not at \
             /.well-known/ohttp-gateway",
        );
        None
    };
    let response = match network.http.get(resource).send().await {
        Ok(response) => response,
        Err(_) => return bad(format!("{resource}: no answer")),
    };
    let status = response.status().as_u16();
    if status != 200 {
        return bad(format!("{resource}: status {status}"));
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    let keys = match body(response).await {
        Ok(keys) => keys,
        Err(error) => return bad(format!("{resource}: {}", WithCauses(error.as_ref()))),
    };
    if kind != "application/ohttp-keys" {
        return bad(format!("{resource}: its content is {kind:?}"));
    }
    let Ok(address) = resource.parse() else { return bad(format!("{resource}: no URL")) };
    let inner: Arc<dyn Transport> = network.transport.clone();
    match ObliviousTransport::new(inner, address, keys) {
        Ok(transport) => {
            findings.good(CHECK_KEYS, format!("{resource} has a key configuration"));
            Some(Arc::new(transport))
        }
        Err(_) => bad(format!("{resource}: no key configuration that can be used")),
    }
}
