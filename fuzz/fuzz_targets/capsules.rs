//! What a relay passes on: requests in Binary HTTP, and key configurations.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pir_server::gateway::{MAX_FIELDS, parse_request};

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
    let _ = ohttp::ClientRequest::from_encoded_config_list(data);
});
