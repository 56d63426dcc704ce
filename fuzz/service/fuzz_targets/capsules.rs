//! What a relay passes on: requests in Binary HTTP, and key configurations.
#![no_main]

use filter_client::{Exchange, ObliviousTransport, Transport, TransportError};
use libfuzzer_sys::fuzz_target;
use pir_server::gateway::{MAX_FIELDS, parse_request};
use std::sync::Arc;

struct Nobody;

impl Transport for Nobody {
    fn send(&self, _: http::Request<bytes::Bytes>, _: usize) -> Exchange<'_> {
        Box::pin(std::future::ready(Err(TransportError::Unreachable)))
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = parse_request(data) {
        assert_eq!(request.uri().scheme_str(), Some("https"));
        assert!(request.uri().path().starts_with('/'));
        assert!(!request.uri().host().unwrap().is_empty());
        assert!(!request.headers().contains_key("connection"));
        let head: usize =
            request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        assert!(head <= MAX_FIELDS);
        assert!(request.body().len() <= data.len());
    }
    let relay = http::Uri::from_static("http://relay.example");
    let _ = ObliviousTransport::new(Arc::new(Nobody), relay, data.to_vec());
});
