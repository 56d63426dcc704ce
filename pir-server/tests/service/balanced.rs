//! Clients that know a service by one address, whichever of its nodes answers.
//!
//! The state of a client belongs to the address of one service, and services of tests listen on a new port with each start.

use bytes::Bytes;
use filter_client::{ClientBuilder, Exchange, HttpTransport, PirClient, Transport};
use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use std::sync::Arc;

/// The address by which clients know the service.
const ADDRESS: &str = "https://pir.example";

/// Sends what is meant for [`ADDRESS`] to a node, as a load balancer does.
struct Balanced {
    node: Authority,
    http: HttpTransport,
}

impl Transport for Balanced {
    fn send(&self, request: Request<Bytes>, max_body: usize) -> Exchange<'_> {
        let (mut head, body) = request.into_parts();
        let mut parts = head.uri.into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.node.clone());
        head.uri = Uri::from_parts(parts).unwrap();
        self.http.send(Request::from_parts(head, body), max_body)
    }
}

impl Balanced {
    fn to(node: &str) -> Arc<Self> {
        let node: Uri = node.parse().unwrap();
        let http = HttpTransport::builder().build().unwrap();
        Arc::new(Self { node: node.authority().unwrap().clone(), http })
    }
}

/// A client of the service, which the node at an address answers.
pub(crate) fn client_of(node: &str, use_case: impl Into<String>) -> ClientBuilder {
    PirClient::builder(ADDRESS, use_case)
        .transport(Balanced::to(node))
        .issuer_transport(Balanced::to(node))
}
