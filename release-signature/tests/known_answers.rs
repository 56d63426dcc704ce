//! Keys and signatures of minisign 0.11, and the same made here.

#![cfg(feature = "sign")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use release_signature::{
    MAX_TEXT, PublicKey, SecretKey, Signature, SignatureError, SignedText, TrustedKeys,
};

/// `minisign -G -W -p key.pub -s key`.
const PUBLIC: &str = "\
untrusted comment: minisign public key 70B7AC100CB13683
RWSDNrEMEKy3cFf+Zz+uaFcQeJsrLHfQo+lm1VBGjuX9C1a6JEO//Hyz
";
/// The key of tests: it signs nothing else.
const SECRET: &str = "\
untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgzaxDBCst3DlPqRUDoUsIEU+fKGQzq/4K/TufKzQOJIGgxWTUYQnFFf+Zz+uaFcQeJsrLHfQo+lm1VBGjuX9C1a6JEO//HyzAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
";
const MESSAGE: &[u8] = b"a text\n";
/// `minisign -S -s key -m message -t 'a trusted comment' -c 'an untrusted comment'`.
const SIGNATURE: &str = "\
untrusted comment: an untrusted comment
RUSDNrEMEKy3cI0TT95COkn7IbRfTiRYnRt6YvGdC3Qy+5/PhC0aLGnCwz48SR+McpvuNn1ok9w4XdoimUuo146D6WU9DcWobws=
trusted comment: a trusted comment
hLTk9LFW+6vQtcDVIWKKJDgskP/3WgZlAF96YuY/seZk1+zLxEKb3jrBs8UVthT/qkF8gTJ/PfUdSA14cbPjBQ==
";
/// `minisign -S -l …`.
const LEGACY: &str = "\
untrusted comment: signature from minisign secret key
RWSDNrEMEKy3cD6LmT4z7lJRspAmrg4VwcasCSgv43UwCSWxuz2MgJkhlZvqgEtYeIfeaJS5MWOHG9XSYnvZWXA3YccMvSzB8QY=
trusted comment: old
88Q7kQzmie2ZFiyZuogDaDJtPLjOUKpVie98xA0Uuyq2N6xb8ZHmWF5OkJ9xmlfrmRgrN1I2pWrHSObgADzUDA==
";

fn trusted() -> TrustedKeys {
    TrustedKeys::parse(&[PUBLIC]).unwrap()
}

#[test]
fn keys_of_minisign_are_read_and_written() {
    let public = PublicKey::parse(PUBLIC).unwrap();
    assert_eq!(public.to_file(), PUBLIC);
    assert_eq!(public.number(), "70B7AC100CB13683");
    assert_eq!(PublicKey::parse(&public.to_string()).unwrap(), public);
    let secret = SecretKey::parse(SECRET).unwrap();
    assert_eq!(*secret.to_file(), SECRET);
    assert_eq!(secret.public(), public);
    assert!(!format!("{secret:?}").contains("RWQ"));
}

#[test]
fn signatures_of_minisign_are_checked_and_made() {
    let signature = Signature::parse(SIGNATURE).unwrap();
    signature.verify(MESSAGE, &trusted()).unwrap();
    assert_eq!(signature.to_string(), SIGNATURE);
    assert_eq!(signature.trusted_comment(), "a trusted comment");
    let ours = SecretKey::parse(SECRET).unwrap().sign(MESSAGE, "a trusted comment").to_string();
    // All but the comment that is not signed.
    assert!(ours.lines().skip(1).eq(SIGNATURE.lines().skip(1)), "{ours}");
    assert_eq!(Signature::parse(LEGACY), Err(SignatureError::Legacy));
}

#[test]
fn every_changed_character_is_noticed() {
    let keys = trusted();
    assert!(Signature::parse(SIGNATURE).unwrap().verify(b"a text", &keys).is_err());
    let start = SIGNATURE.find('\n').unwrap() + 1;
    for at in start..SIGNATURE.len() {
        let mut bad = SIGNATURE.as_bytes().to_vec();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        let bad = String::from_utf8(bad).unwrap();
        // The very last line end may be absent.
        let verified = Signature::parse(&bad).and_then(|bad| bad.verify(MESSAGE, &keys));
        assert!(verified.is_err(), "{at}");
    }
}

#[test]
fn only_trusted_keys_count() {
    let key = SecretKey::generate().unwrap();
    let signature = key.sign(MESSAGE, "a comment\nof two lines");
    let keys = |keys: &[&str]| TrustedKeys::parse(keys).unwrap();
    let own = key.public().to_string();
    signature.verify(MESSAGE, &keys(&[PUBLIC, &own])).unwrap();
    let unknown = signature.verify(MESSAGE, &trusted());
    assert_eq!(unknown, Err(SignatureError::UnknownKey(key.public().number())));
    // A key that only has the number of a trusted one.
    let forged = own.clone().into_bytes();
    let mut forged = base64_of(&forged);
    forged[2..10].copy_from_slice(&base64_of(PUBLIC.lines().nth(1).unwrap().as_bytes())[2..10]);
    let signed = signature.verify(MESSAGE, &keys(&[&text_of(&forged)]));
    assert!(matches!(signed, Err(SignatureError::UnknownKey(_))));
    assert_eq!(TrustedKeys::parse(&[] as &[&str]), Err(SignatureError::NoKeys));
    let read_back = SecretKey::parse(&key.to_file()).unwrap();
    assert_eq!(read_back.public(), key.public());
}

fn base64_of(text: &[u8]) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn text_of(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn texts_that_are_no_keys_or_signatures() {
    let long = " ".repeat(5000);
    for text in
        ["", "RW", "untrusted comment: x\n", &SECRET[..100], &long, &PUBLIC.replace("RWS", "RWT")]
    {
        assert!(PublicKey::parse(text).is_err() || text.contains("RWT"), "{text}");
        assert!(SecretKey::parse(text).is_err(), "{text}");
        assert!(Signature::parse(text).is_err(), "{text}");
    }
    // With a password, and with a public key that is not its own.
    let mut stored = base64_of(SECRET.lines().nth(1).unwrap().as_bytes());
    stored[100] ^= 1;
    assert_eq!(SecretKey::parse(&text_of(&stored)).err(), Some(SignatureError::SecretKey));
    stored[2..4].copy_from_slice(b"Sc");
    assert_eq!(SecretKey::parse(&text_of(&stored)).err(), Some(SignatureError::Password));
    // The key of which every signature is valid.
    let mut weak = base64_of(PUBLIC.lines().nth(1).unwrap().as_bytes());
    weak[10..].fill(0);
    weak[10] = 1;
    assert_eq!(PublicKey::parse(&text_of(&weak)), Err(SignatureError::PublicKey));
}

#[test]
fn a_signed_text_is_used_only_if_it_is_verified() {
    let key = SecretKey::parse(SECRET).unwrap();
    let signed = SignedText::new("{\"a\":1}".to_owned(), "what it is", &key);
    let json = serde_json::to_string(&signed).unwrap();
    let back: SignedText = serde_json::from_str(&json).unwrap();
    assert_eq!(back.verify(&trusted()), Ok("{\"a\":1}"));
    let changed: SignedText = serde_json::from_str(&json.replace(":1}", ":2}")).unwrap();
    assert!(matches!(changed.verify(&trusted()), Err(SignatureError::Invalid(_))));
    assert_eq!(changed.unverified(), "{\"a\":2}");
}

#[test]
fn texts_are_read_up_to_their_limit() {
    // A comment that nobody signs makes each text as long as it should be.
    let of_length = |text: &str, length: usize| {
        let (_, rest) = text.split_once('\n').unwrap();
        let comment = "untrusted comment: ";
        format!("{comment}{}\n{rest}", "c".repeat(length - comment.len() - 1 - rest.len()))
    };
    for (length, is_read) in [(MAX_TEXT - 1, true), (MAX_TEXT, true), (MAX_TEXT + 1, false)] {
        let (public, secret) = (of_length(PUBLIC, length), of_length(SECRET, length));
        assert_eq!(public.len(), length);
        assert_eq!(PublicKey::parse(&public).is_ok(), is_read, "{length}");
        assert_eq!(SecretKey::parse(&secret).is_ok(), is_read, "{length}");
        assert_eq!(Signature::parse(&of_length(SIGNATURE, length)).is_ok(), is_read, "{length}");
    }
}
