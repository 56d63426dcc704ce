//! Keys over time, and everything that must be refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use privacy_pass::{
    Error, IssuerDirectory, IssuerKey, KeySet, PendingToken, PublicKey, Rotation, Token,
    TokenChallenge, TokenRequest,
};
use proptest::prelude::*;
use std::sync::LazyLock;
use std::time::Duration;
use unix_clock::Timestamp;

static KEY: LazyLock<IssuerKey> = LazyLock::new(|| IssuerKey::generate().unwrap());

fn token(key: &IssuerKey) -> Token {
    let challenge = TokenChallenge::for_issuer("issuer.example").unwrap();
    let pending = PendingToken::new(&challenge, key.public()).unwrap();
    let response = key.issue(&pending.request()).unwrap();
    pending.finalize(&response).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// Seconds instead of days.
fn rotation() -> Rotation {
    let mut rotation = Rotation::default();
    rotation.period = Duration::from_secs(100);
    rotation.published_ahead = Duration::from_secs(10);
    rotation.overlap = Duration::from_secs(20);
    rotation.token_lifetime = Duration::from_secs(15);
    rotation
}

/// After the clock was set back, tokens are issued at once, and the set does not fill up.
#[test]
fn the_clock_may_be_set_back() {
    let rotation = rotation();
    let mut set = KeySet::create(rotation, at(1000)).unwrap();
    let stays = token(set.signing_key(at(1000)).unwrap());
    assert!(!set.is_due(at(1000)));
    let mut drawn = 0;
    for now in (900..1000).rev().step_by(10).map(at) {
        assert!(set.signing_key(now).is_none() && set.is_due(now));
        let done = set.maintain(now).unwrap();
        assert_eq!(done.drawn.len(), 1);
        let fresh = token(set.signing_key(now).unwrap());
        set.verify(&fresh, now).unwrap();
        assert!(set.verify(&stays, now).is_err(), "its key is upcoming again");
        drawn += 1;
        // The set grows to eight keys and no further.
        assert_eq!(set.key_ids().count(), (1 + drawn).min(8));
        assert!(!set.is_due(now));
        let kept = KeySet::from_json(&set.to_json().unwrap(), rotation).unwrap();
        assert!(kept.signing_key(now).is_some());
    }
    // The clock is between two keys: one is retired, the other upcoming.
    let mut set = KeySet::create(rotation, at(1000)).unwrap();
    set.maintain(at(5000)).unwrap();
    assert!(set.signing_key(at(1000)).is_none() && set.signing_key(at(5000)).is_some());
    let mut set = KeySet::create(rotation, at(1000)).unwrap();
    set.maintain(at(1095)).unwrap();
    set.maintain(at(1300)).unwrap();
    for now in [1240, 1170, 1600, 1001, 900, 1400].map(at) {
        set.maintain(now).unwrap();
        assert!(set.signing_key(now).is_some(), "{now}");
        let kept = KeySet::from_json(&set.to_json().unwrap(), rotation);
        assert_eq!(kept.unwrap().key_ids().count(), set.key_ids().count());
    }
}

#[test]
fn keys_rotate_with_overlap() {
    let rotation = rotation();
    let mut set = KeySet::create(rotation, at(1000)).unwrap();
    let challenge = TokenChallenge::for_issuer("issuer.example").unwrap();
    let directory =
        |set: &KeySet, now: Timestamp| IssuerDirectory::new("/issue", set.directory_keys(now));
    let ask = |set: &KeySet, now: Timestamp| -> Token {
        let key = directory(set, now).key_at(now).unwrap();
        let pending = PendingToken::new(&challenge, &key).unwrap();
        let response = set.issue(&pending.request(), now).unwrap();
        pending.finalize(&response).unwrap()
    };
    assert!(!set.maintain(at(1089)).unwrap().is_change());
    let first = ask(&set, at(1089));
    set.verify(&first, at(1089)).unwrap();

    // Ten seconds before its time the next key is published. It neither signs nor verifies.
    let done = set.maintain(at(1090)).unwrap();
    assert_eq!(done.drawn.len(), 1);
    let listed = directory(&set, at(1090)).token_keys;
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].not_before, listed[1].not_before), (None, Some(at(1100))));
    let second_key = listed[1].public_key().unwrap();
    assert_ne!(
        second_key.truncated_id(),
        set.signing_key(at(1090)).unwrap().public().truncated_id()
    );
    let early = PendingToken::new(&challenge, &second_key).unwrap();
    assert_eq!(set.issue(&early.request(), at(1099)), Err(Error::OtherKey));
    assert!(set.issue(&early.request(), at(1100)).is_ok());

    // Clients that do not know it yet get tokens of the first key while such tokens expire before it.
    let first_key = listed[0].public_key().unwrap();
    let late = PendingToken::new(&challenge, &first_key).unwrap();
    assert!(set.issue(&late.request(), at(1104)).is_ok());
    assert_eq!(set.issue(&late.request(), at(1105)), Err(Error::OtherKey));

    // Then it signs, and tokens of the first key are accepted until the overlap ends.
    assert_eq!(*set.signing_key(at(1100)).unwrap().public(), second_key);
    let second = ask(&set, at(1100));
    assert_eq!(second.key_id(), *second_key.id());
    set.verify(&first, at(1119)).unwrap();
    assert_eq!(set.verify(&first, at(1120)), Err(Error::OtherKey));
    assert!(!set.maintain(at(1119)).unwrap().is_change());
    let done = set.maintain(at(1120)).unwrap();
    assert_eq!(done.retired, [first.key_id()]);
    set.verify(&second, at(1120)).unwrap();

    // After a short sleep of the process, the key signs until the new key's notice has passed.
    assert_eq!(set.remembered_until(second_key.id()), Some(at(1240)));
    assert!(set.is_due(at(1205)));
    let done = set.maintain(at(1205)).unwrap();
    assert_eq!((done.drawn.len(), done.retired.len()), (1, 0));
    assert!(!set.is_due(at(1205)));
    set.verify(&second, at(1205)).unwrap();
    assert_eq!(set.directory_keys(at(1205))[1].not_before, Some(at(1215)));
    assert_eq!(set.verify(&second, at(1235)), Err(Error::OtherKey));
    set.maintain(at(1235)).unwrap();

    // After a long sleep it is not accepted: its nonces may be forgotten already.
    let third = ask(&set, at(1240));
    assert_eq!(set.verify(&third, at(5000)), Err(Error::OtherKey));
    assert!(set.signing_key(at(5000)).is_none());
    let done = set.maintain(at(5000)).unwrap();
    assert_eq!((done.drawn.len(), done.retired.len()), (1, 1));
    let fourth = ask(&set, at(5000));
    set.verify(&fourth, at(5000)).unwrap();
}

#[test]
fn mismatches_are_refused() {
    let other = IssuerKey::generate().unwrap();
    let challenge = TokenChallenge::for_issuer("issuer.example").unwrap();
    // The response of another key does not make a token. The blinded number may be too large for that
    // key, so several are tried.
    let asked = (0..100).find_map(|_| {
        let pending = PendingToken::new(&challenge, KEY.public()).unwrap();
        let mut request = pending.request().to_bytes();
        request[2] = other.public().truncated_id();
        let answer = other.issue(&TokenRequest::from_bytes(&request).unwrap()).ok()?;
        Some((pending, request, answer))
    });
    let (pending, mut request, answer) = asked.unwrap();
    assert_eq!(pending.finalize(&answer).err(), Some(Error::Signature));
    // Numbers that are not below the modulus.
    request[3..].fill(0xff);
    let huge = TokenRequest::from_bytes(&request).unwrap();
    assert_eq!(other.issue(&huge), Err(Error::Range));
    request[2] ^= 1;
    let wrong = TokenRequest::from_bytes(&request).unwrap();
    assert_eq!(other.issue(&wrong), Err(Error::OtherKey));
    let pending = PendingToken::new(&challenge, KEY.public()).unwrap();
    assert_eq!(pending.finalize(&[0xff; 256]).err(), Some(Error::Signature));

    let token = token(&KEY);
    assert_eq!(other.public().verify(&token), Err(Error::OtherKey));
    let mut spki = KEY.public().spki().to_vec();
    spki.push(0);
    assert_eq!(PublicKey::from_spki(&spki), Err(Error::Key));
    spki.pop();
    // With a salt of 47 bytes it is another algorithm.
    let salt = spki.windows(3).position(|part| part == [0x02, 0x01, 0x30]).unwrap();
    spki[salt + 2] = 0x2f;
    assert_eq!(PublicKey::from_spki(&spki), Err(Error::Key));
    for header in
        ["", "PrivateToken", "Bearer token=AAAA", "PrivateToken token=!", "PrivateToken x=y"]
    {
        assert!(Token::from_authorization(header).is_err(), "{header}");
    }
    let long = format!("PrivateToken token={}", "A".repeat(10_000));
    assert_eq!(Token::from_authorization(&long).err(), Some(Error::Authorization));
    let quoted = token.to_authorization().replace("token=", "token=\"") + "\"";
    assert!(Token::from_authorization(&quoted).unwrap() == token);
    assert_eq!(Token::from_bytes(&[0, 1, 2]).err(), Some(Error::TokenType(1)));
}

proptest! {
    #[test]
    fn parsers_accept_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = PublicKey::from_spki(&bytes);
        let _ = Token::from_bytes(&bytes);
        let _ = TokenRequest::from_bytes(&bytes);
        if let Ok(challenge) = TokenChallenge::from_bytes(&bytes) {
            prop_assert_eq!(challenge.to_bytes(), bytes);
        }
    }

    #[test]
    fn challenges_are_read_back(
        issuer_name in "[a-z.]{1,40}",
        context in prop::option::of(any::<[u8; 32]>()),
        origin_info in "[a-z.,]{0,40}",
    ) {
        let challenge = TokenChallenge::new(issuer_name, context, origin_info).unwrap();
        let bytes = challenge.to_bytes();
        prop_assert_eq!(TokenChallenge::from_bytes(&bytes).unwrap(), challenge);
        prop_assert!(TokenChallenge::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn tokens_are_equal_if_their_bytes_are() {
    let bytes = token(&KEY).as_bytes().to_vec();
    let original = Token::from_bytes(&bytes).unwrap();
    assert!(original == Token::from_bytes(&bytes).unwrap());
    for index in [2, 33, 34, 97, 98, 353] {
        let mut other = bytes.clone();
        other[index] ^= 1;
        assert!(original != Token::from_bytes(&other).unwrap());
    }
}

#[test]
fn lengths_are_exact() {
    for (length, is_token) in [(353, false), (354, true), (355, false)] {
        let bytes = [&[0, 2][..], &vec![7; length - 2]].concat();
        assert_eq!(Token::from_bytes(&bytes).is_ok(), is_token, "{length}");
    }
    for (length, is_request) in [(258, false), (259, true), (260, false)] {
        let bytes = [&[0, 2][..], &vec![7; length - 2]].concat();
        assert_eq!(TokenRequest::from_bytes(&bytes).is_ok(), is_request, "{length}");
    }
    let mut bytes = vec![7; 354];
    bytes[..2].copy_from_slice(&[0, 2]);
    let header = Token::from_bytes(&bytes).unwrap().to_authorization();
    let (short, long) = (&header[..header.len() - 1], format!("{}A", &*header));
    assert!(Token::from_authorization(&header).is_ok());
    assert!(Token::from_authorization(short).is_err());
    assert_eq!(Token::from_authorization(&long).err(), Some(Error::Authorization));
    let error = Token::from_bytes(&[0, 2]).err().unwrap();
    assert_eq!(error.to_string(), "token: expected 354 bytes, found 2");
}

/// Clones of a set are independent.
#[test]
fn a_clone_can_be_maintained_while_the_original_serves() {
    let set = KeySet::create(rotation(), at(1000)).unwrap();
    let mut next = set.clone();
    assert_eq!(next.maintain(at(1090)).unwrap().drawn.len(), 1);
    assert_eq!((set.key_ids().count(), next.key_ids().count()), (1, 2));
}

#[test]
fn ids_of_other_sets_are_avoided() {
    // Half of them, so that the test draws few keys.
    let taken: Vec<u8> = (0..128).collect();
    let set = KeySet::create_avoiding(rotation(), at(1000), &taken).unwrap();
    assert!(set.truncated_ids().all(|id| id >= 128));
}
