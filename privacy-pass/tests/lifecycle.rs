//! Keys over time and on disk, and everything that must be refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use privacy_pass::key_set::{KeySet, KeySetError, Rotation};
use privacy_pass::{
    Error, IssuerDirectory, IssuerKey, PendingToken, PublicKey, Token, TokenChallenge, TokenRequest,
};
use proptest::prelude::*;
use std::fs;
use std::sync::LazyLock;

static KEY: LazyLock<IssuerKey> = LazyLock::new(|| IssuerKey::generate().unwrap());

fn token(key: &IssuerKey) -> Token {
    let challenge = TokenChallenge::for_issuer("issuer.example");
    let pending = PendingToken::new(&challenge, key.public()).unwrap();
    let response = key.issue(&pending.request()).unwrap();
    pending.finalize(&response).unwrap()
}

/// A clock that was ahead and is right again: tokens can be had at once, and the set does not fill.
#[test]
fn clocks_that_are_set_back() {
    let rotation = Rotation { period: 100, ahead: 10, overlap: 20, lifetime: 15 };
    let mut set = KeySet::create(rotation, 1000).unwrap();
    let stays = token(set.signing_key(1000).unwrap());
    assert!(!set.is_due(1000));
    for now in (900..1000).rev().step_by(10) {
        assert!(set.signing_key(now).is_none() && set.is_due(now));
        let done = set.maintain(now).unwrap();
        assert_eq!(done.drawn.len(), 1);
        let fresh = token(set.signing_key(now).unwrap());
        set.verify(&fresh, now).unwrap();
        assert!(set.verify(&stays, now).is_err(), "its time has not come again");
        assert!(!set.is_due(now) && set.key_ids().count() <= 8);
        let kept = KeySet::from_json(&set.to_json().unwrap(), rotation).unwrap();
        assert!(kept.signing_key(now).is_some());
    }
    // Between two keys, of which the time of one is over and that of the other has not come.
    let mut set = KeySet::create(rotation, 1000).unwrap();
    set.maintain(5000).unwrap();
    assert!(set.signing_key(1000).is_none() && set.signing_key(5000).is_some());
    let mut set = KeySet::create(rotation, 1000).unwrap();
    set.maintain(1095).unwrap();
    set.maintain(1300).unwrap();
    for now in [1240, 1170, 1600, 1001, 900, 1400] {
        set.maintain(now).unwrap();
        assert!(set.signing_key(now).is_some(), "{now}");
        let kept = KeySet::from_json(&set.to_json().unwrap(), rotation);
        assert_eq!(kept.unwrap().key_ids().count(), set.key_ids().count());
    }
}

#[test]
fn keys_rotate_with_overlap() {
    let rotation = Rotation { period: 100, ahead: 10, overlap: 20, lifetime: 15 };
    let mut set = KeySet::create(rotation, 1000).unwrap();
    let challenge = TokenChallenge::for_issuer("issuer.example");
    let directory = |set: &KeySet, now| {
        let issuer_request_uri = "/issue".to_owned();
        IssuerDirectory { issuer_request_uri, token_keys: set.directory_keys(now) }
    };
    let ask = |set: &KeySet, now| -> Token {
        let key = directory(set, now).key_at(now).unwrap();
        let pending = PendingToken::new(&challenge, &key).unwrap();
        let response = set.issue(&pending.request(), now).unwrap();
        pending.finalize(&response).unwrap()
    };
    assert!(!set.maintain(1089).unwrap().is_change());
    let first = ask(&set, 1089);
    set.verify(&first, 1089).unwrap();

    // Ten seconds ahead the next key is published, but does not sign or verify.
    let done = set.maintain(1090).unwrap();
    assert_eq!(done.drawn.len(), 1);
    let listed = directory(&set, 1090).token_keys;
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].not_before, listed[1].not_before), (None, Some(1100)));
    let second_key = listed[1].public_key().unwrap();
    assert_ne!(second_key.truncated_id(), set.signing_key(1090).unwrap().public().truncated_id());
    let early = PendingToken::new(&challenge, &second_key).unwrap();
    assert_eq!(set.issue(&early.request(), 1099), Err(Error::OtherKey));
    assert!(set.issue(&early.request(), 1100).is_ok());

    // Clients that do not know it yet get tokens of the first, as long as those live within its time.
    let first_key = listed[0].public_key().unwrap();
    let late = PendingToken::new(&challenge, &first_key).unwrap();
    assert!(set.issue(&late.request(), 1104).is_ok());
    assert_eq!(set.issue(&late.request(), 1105), Err(Error::OtherKey));

    // Then it signs, and the tokens of the first are accepted for a while.
    assert_eq!(*set.signing_key(1100).unwrap().public(), second_key);
    let second = ask(&set, 1100);
    assert_eq!(second.key_id(), *second_key.id());
    set.verify(&first, 1119).unwrap();
    assert_eq!(set.verify(&first, 1120), Err(Error::OtherKey));
    assert!(!set.maintain(1119).unwrap().is_change());
    let done = set.maintain(1120).unwrap();
    assert_eq!(done.retired, [first.key_id()]);
    set.verify(&second, 1120).unwrap();

    // After a short sleep the key goes on until a new one has had its notice.
    assert_eq!(set.remembered_until(second_key.id()), Some(1240));
    assert!(set.is_due(1205));
    let done = set.maintain(1205).unwrap();
    assert_eq!((done.drawn.len(), done.retired.len()), (1, 0));
    assert!(!set.is_due(1205));
    set.verify(&second, 1205).unwrap();
    assert_eq!(set.directory_keys(1205)[1].not_before, Some(1215));
    assert_eq!(set.verify(&second, 1235), Err(Error::OtherKey));
    set.maintain(1235).unwrap();

    // After a long one it is not accepted any more: its nonces may be forgotten by now.
    let third = ask(&set, 1240);
    assert_eq!(set.verify(&third, 5000), Err(Error::OtherKey));
    assert!(set.signing_key(5000).is_none());
    let done = set.maintain(5000).unwrap();
    assert_eq!((done.drawn.len(), done.retired.len()), (1, 1));
    let fourth = ask(&set, 5000);
    set.verify(&fourth, 5000).unwrap();
}

#[test]
fn keys_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let rotation = Rotation::default();
    let set = KeySet::open(&path, rotation, 7).unwrap();
    let again = KeySet::open(&path, rotation, 8).unwrap();
    let id = |set: &KeySet| *set.signing_key(8).unwrap().public().id();
    assert_eq!(id(&set), id(&again));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        mode(0o640);
        let outcome = KeySet::open(&path, rotation, 8);
        assert!(matches!(outcome, Err(KeySetError::Permissions { .. })));
        mode(0o600);
    }
    // A damaged file is never replaced.
    let good = fs::read(&path).unwrap();
    let version =
        String::from_utf8(good.clone()).unwrap().replace("\"version\":1", "\"version\":2");
    for damaged in [b"".to_vec(), good[..good.len() / 2].to_vec(), version.into_bytes()] {
        fs::write(&path, &damaged).unwrap();
        let outcome = KeySet::open(&path, rotation, 8);
        assert!(matches!(outcome, Err(KeySetError::Damaged { .. })));
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let other = IssuerKey::generate().unwrap();
    let challenge = TokenChallenge::for_issuer("issuer.example");
    // Another key's answer does not make a token. The request's number may be too large for that key,
    // and another one is not.
    let asked = (0..100).find_map(|_| {
        let pending = PendingToken::new(&challenge, KEY.public()).unwrap();
        let mut request = pending.request().to_bytes();
        request[2] = other.public().truncated_id();
        let answer = other.issue(&TokenRequest::from_bytes(&request).unwrap()).ok()?;
        Some((pending, request, answer))
    });
    let (pending, mut request, answer) = asked.unwrap();
    assert_eq!(pending.finalize(&answer).err(), Some(Error::Signature));
    // Numbers that are no representative.
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
    // A salt of 47 bytes is another algorithm.
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
    fn parsers_take_anything(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = PublicKey::from_spki(&bytes);
        let _ = Token::from_bytes(&bytes);
        let _ = TokenRequest::from_bytes(&bytes);
        if let Ok(challenge) = TokenChallenge::from_bytes(&bytes) {
            prop_assert_eq!(challenge.to_bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn challenges_are_read_back(
        issuer_name in "[a-z.]{1,40}",
        context in prop::option::of(any::<[u8; 32]>()),
        origin_info in "[a-z.,]{0,40}",
    ) {
        let challenge = TokenChallenge { issuer_name, redemption_context: context, origin_info };
        let bytes = challenge.to_bytes().unwrap();
        prop_assert_eq!(TokenChallenge::from_bytes(&bytes).unwrap(), challenge);
        prop_assert!(TokenChallenge::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}
