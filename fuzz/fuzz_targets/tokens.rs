//! Tokens, requests for them, keys and challenges.
#![no_main]

use libfuzzer_sys::fuzz_target;
use privacy_pass::{IssuerDirectory, PublicKey, Token, TokenChallenge, TokenRequest};

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = PublicKey::from_spki(data) {
        assert_eq!(key.spki(), data);
    }
    if let Ok(token) = Token::from_bytes(data) {
        let again = Token::from_authorization(&token.to_authorization()).unwrap();
        assert!(again == token);
    }
    if let Ok(request) = TokenRequest::from_bytes(data) {
        assert_eq!(request.to_bytes(), data);
    }
    if let Ok(challenge) = TokenChallenge::from_bytes(data) {
        assert_eq!(challenge.to_bytes(), data);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Token::from_authorization(text);
        if let Ok(directory) = serde_json::from_str::<IssuerDirectory>(text) {
            let _ = directory.key_at(unix_clock::Timestamp::MIN);
        }
    }
});
