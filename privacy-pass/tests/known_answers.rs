//! The vectors of the RFCs, and the tokens of recorded traffic. What is not in this repository is in the
//! folder that `URLFILTER_VECTORS` names, or in `../shared/vectors`: tests that need it are ignored unless
//! asked for (`-- --include-ignored`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use interop_cases::pir::Case;
use privacy_pass::{
    Error, IssuerDirectory, IssuerKey, PendingToken, PublicKey, Token, TokenChallenge, TokenRequest,
};
use serde_json::Value;
use std::fs;
use unix_clock::Timestamp;

fn vectors(name: &str) -> Vec<Value> {
    let path = interop_cases::shared_folder().join("privacy-pass").join(name);
    let vectors: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert!(!vectors.is_empty());
    vectors
}

fn hex(text: &Value) -> Vec<u8> {
    hex::decode(text.as_str().unwrap()).unwrap()
}

#[test]
#[ignore = "needs ../shared/vectors"]
fn public_tokens_of_rfc_9578() {
    for vector in vectors("PrivacyPassPublicTokens.json") {
        let private = String::from_utf8(hex(&vector["skS"])).unwrap();
        let issuer = IssuerKey::from_pkcs8_pem(&private).unwrap();
        let spki = hex(&vector["pkS"]);
        assert_eq!(issuer.public().spki(), spki);
        let public = PublicKey::from_spki(&spki).unwrap();
        assert_eq!(PublicKey::from_base64(&public.to_base64()).unwrap(), public);

        let bytes = hex(&vector["token_challenge"]);
        let challenge = TokenChallenge::from_bytes(&bytes).unwrap();
        assert_eq!(challenge.to_bytes(), bytes);
        let pending = PendingToken::with_known_randomness(
            &challenge.digest(),
            &public,
            &hex(&vector["nonce"]).try_into().unwrap(),
            &hex(&vector["salt"]).try_into().unwrap(),
            &hex(&vector["blind"]).try_into().unwrap(),
        )
        .unwrap();
        let request = hex(&vector["token_request"]);
        assert_eq!(pending.request().to_bytes(), request);
        let request = TokenRequest::from_bytes(&request).unwrap();
        assert_eq!(request, pending.request());
        let response = issuer.issue(&request).unwrap();
        assert_eq!(response[..], hex(&vector["token_response"]));
        let token = pending.finalize(&response).unwrap();
        assert_eq!(token.as_bytes(), hex(&vector["token"]));
        let same = Token::from_authorization(&token.to_authorization()).unwrap();
        assert!(same == token);
        public.verify(&same).unwrap();
    }
}

#[test]
#[ignore = "needs ../shared/vectors"]
fn challenges_of_rfc_9577() {
    for vector in vectors("PrivacyPassChallengeAndRedemptionStructure.json") {
        if vector["token_type"] != "0002" {
            continue;
        }
        let text = |name: &str| String::from_utf8(hex(&vector[name])).unwrap();
        let context = hex(&vector["redemption_context"]);
        let context = (!context.is_empty()).then(|| context.try_into().unwrap());
        let challenge =
            TokenChallenge::new(text("issuer_name"), context, text("origin_info")).unwrap();
        let input = hex(&vector["token_authenticator_input"]);
        assert_eq!(input[34..66], challenge.digest());
        let bytes = challenge.to_bytes();
        assert_eq!(TokenChallenge::from_bytes(&bytes).unwrap(), challenge);
        let token = Token::from_bytes(&[&input[..], &[0; 256]].concat()).unwrap();
        assert_eq!(token.nonce()[..], hex(&vector["nonce"]));
        assert_eq!(token.key_id()[..], hex(&vector["token_key_id"]));
        assert_eq!(token.challenge_digest(), challenge.digest());
    }
}

/// Tokens of Apple's client verify under the key that the recorded service published.
#[test]
fn recorded_tokens_verify() {
    assert!(verify_recorded_tokens(&Case::carried()) > 0);
}

#[test]
#[ignore = "needs ../shared/vectors"]
fn more_recorded_tokens_verify() {
    assert!(verify_recorded_tokens(&Case::shared()) > 0);
}

/// The number of tokens in the recordings, all of which verify.
fn verify_recorded_tokens(cases: &[Case]) -> usize {
    let mut verified = 0;
    for case in cases {
        let mut keys = Vec::new();
        for body in case.record("token-issuer-directory.response.bin") {
            let directory: IssuerDirectory = serde_json::from_slice(&body).unwrap();
            assert_eq!(directory.issuer_request_uri, "/issue");
            keys.extend(directory.token_keys.iter().map(|key| key.public_key().unwrap()));
            assert_eq!(directory.key_at(Timestamp::MIN).unwrap(), keys[0]);
        }
        for body in case.record("token-key-for-user-token.response.bin") {
            assert!(keys.contains(&PublicKey::from_spki(&body).unwrap()));
        }
        for bytes in case.record("issue.request.bin") {
            let request = TokenRequest::from_bytes(&bytes).unwrap();
            assert_eq!(request.to_bytes(), bytes);
            assert!(keys.iter().any(|key| key.truncated_id() == request.truncated_key_id()));
        }
        for text in case.record(".txt") {
            let text = String::from_utf8(text).unwrap();
            let header = text.lines().find_map(|line| line.strip_prefix("> Authorization: "));
            let Some(header) = header.filter(|header| header.starts_with("PrivateToken")) else {
                continue;
            };
            let token = Token::from_authorization(header).unwrap();
            let key = keys.iter().find(|key| *key.id() == token.key_id()).unwrap();
            key.verify(&token).unwrap();
            let mut altered = token.as_bytes().to_vec();
            altered[5] ^= 1;
            let altered = Token::from_bytes(&altered).unwrap();
            assert_eq!(key.verify(&altered), Err(Error::Signature));
            verified += 1;
        }
    }
    verified
}
