//! Public keys in the form in which issuers publish them.

use crate::blind_rsa::SALT;
use crate::{Error, MODULUS_BYTES, Token};
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use rsa::pkcs1::{DecodeRsaPublicKey, EncodeRsaPublicKey};
use rsa::pss::{Signature, VerifyingKey};
use rsa::signature::Verifier;
use rsa::traits::PublicKeyParts;
use sha2::{Digest, Sha256, Sha384};
use std::fmt;
use subtle::ConstantTimeEq;

/// id-RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes, as DER (RFC 4055).
const ALGORITHM: [u8; 63] = [
    0x30, 0x3d, // SEQUENCE
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, // id-RSASSA-PSS
    0x30, 0x30, // parameters
    0xa0, 0x0d, 0x30, 0x0b, // hash
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, // SHA-384
    0xa1, 0x1a, 0x30, 0x18, // mask generation
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, // MGF1
    0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, // SHA-384
    0xa2, 0x03, 0x02, 0x01, 0x30, // salt length
];

/// The public key of an issuer: verifies tokens, and blinds requests. Two keys are equal if their published
/// forms are.
#[derive(Clone)]
pub struct PublicKey {
    key: VerifyingKey<Sha384>,
    spki: Vec<u8>,
    id: [u8; 32],
    /// The same key for AWS-LC, unless AWS-LC refuses it. Clones share it.
    #[cfg(feature = "aws-lc")]
    fast: Option<std::sync::Arc<crate::aws_lc::Key>>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.to_base64()).finish()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

/// A DER element with a content of 128 to 65,535 bytes.
fn long_element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let length: usize = content.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(length) => out.extend([0x81, length]),
        Err(_) => {
            out.push(0x82);
            out.extend((length as u16).to_be_bytes());
        }
    }
    content.iter().for_each(|part| out.extend_from_slice(part));
    out
}

impl PublicKey {
    pub(crate) fn new(key: rsa::PublicKey) -> Result<Self, Error> {
        if key.size() != MODULUS_BYTES || key.n().bit_width() != 2048 {
            return Err(Error::Key);
        }
        let inner = key.to_pkcs1_der().map_err(|_| Error::Key)?;
        let bits = long_element(0x03, &[&[0], inner.as_bytes()]);
        let spki = long_element(0x30, &[&ALGORITHM, &bits]);
        let id = Sha256::digest(&spki).into();
        let key = VerifyingKey::new_with_salt_len(key, SALT);
        #[cfg(feature = "aws-lc")]
        let fast = crate::aws_lc::Key::public(inner.as_bytes()).map(std::sync::Arc::new);
        Ok(Self {
            key,
            spki,
            id,
            #[cfg(feature = "aws-lc")]
            fast,
        })
    }

    /// Reads a `SubjectPublicKeyInfo` in DER. Only the form that RFC 9578, section 8.2.1, publishes is
    /// accepted: hash, mask generation and salt length are part of the key's meaning.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn from_spki(der: &[u8]) -> Result<Self, Error> {
        let at = der.windows(ALGORITHM.len()).position(|part| part == ALGORITHM);
        let start = at.ok_or(Error::Key)? + ALGORITHM.len();
        // Header of the bit string, then the number of unused bits.
        let inner = der.get(start + 5..).ok_or(Error::Key)?;
        let key = rsa::PublicKey::from_pkcs1_der(inner).map_err(|_| Error::Key)?;
        let key = Self::new(key)?;
        // Encoded again, it must be what was read: this checks the parts that were skipped.
        if key.spki == der { Ok(key) } else { Err(Error::Key) }
    }

    /// Reads the base64url text of a directory, with or without padding.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let der = URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text));
        Self::from_spki(&der.map_err(|_| Error::Key)?)
    }

    /// The `SubjectPublicKeyInfo`, DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The base64url text of a directory, without padding.
    #[must_use]
    pub fn to_base64(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.spki)
    }

    /// The key's id: SHA-256 of the `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// The last byte of the id, by which requests name the key.
    #[must_use]
    pub fn truncated_id(&self) -> u8 {
        self.id[31]
    }

    pub(crate) fn rsa(&self) -> &rsa::PublicKey {
        self.key.as_ref()
    }

    /// Verifies the signature of a token of this key. The challenge is not checked, nor whether the token
    /// was shown before: see [`Token::challenge_digest`] and [`Token::nonce`].
    ///
    /// # Errors
    /// [`Error::OtherKey`], [`Error::Signature`].
    pub fn verify(&self, token: &Token) -> Result<(), Error> {
        if !bool::from(token.key_id().ct_eq(&self.id)) {
            return Err(Error::OtherKey);
        }
        self.verify_signature(&token.signed_part(), token.authenticator())
    }

    pub(crate) fn verify_signature(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        #[cfg(feature = "aws-lc")]
        if let Some(key) = &self.fast {
            let digest = Sha384::digest(message).into();
            return if key.verifies(&digest, signature) { Ok(()) } else { Err(Error::Signature) };
        }
        self.verify_portably(message, signature)
    }

    /// The verification by the `rsa` crate.
    fn verify_portably(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let signature = Signature::try_from(signature).map_err(|_| Error::Signature)?;
        self.key.verify(message, &signature).map_err(|_| Error::Signature)
    }
}

#[cfg(feature = "aws-lc")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IssuerKey, PendingToken, TokenChallenge};

    #[test]
    fn both_verifications_agree() {
        let issuer = IssuerKey::generate().unwrap();
        let challenge = TokenChallenge::for_issuer("issuer.example").unwrap();
        let pending = PendingToken::new(&challenge, issuer.public()).unwrap();
        let response = issuer.issue(&pending.request()).unwrap();
        let token = pending.finalize(&response).unwrap();
        let key = issuer.public();
        assert!(key.fast.is_some());
        let (message, valid) = (token.signed_part(), token.authenticator().to_vec());
        let mut cases = vec![
            (message.to_vec(), valid.clone()),
            (message[1..].to_vec(), valid.clone()),
            (message.to_vec(), valid[1..].to_vec()),
            (message.to_vec(), [&valid[..], &[0]].concat()),
            (message.to_vec(), Vec::new()),
            (message.to_vec(), vec![0; MODULUS_BYTES]),
            (message.to_vec(), vec![0xff; MODULUS_BYTES]),
        ];
        for at in [0, 1, 100, 255] {
            let mut wrong = valid.clone();
            wrong[at] ^= 1;
            cases.push((message.to_vec(), wrong));
        }
        for (index, (message, signature)) in cases.iter().enumerate() {
            let answer = key.verify_signature(message, signature);
            assert_eq!(answer, key.verify_portably(message, signature), "case {index}");
            assert_eq!(answer.is_ok(), index == 0, "case {index}");
        }
        let other = IssuerKey::generate().unwrap();
        assert!(other.public().verify_signature(&message, &valid).is_err());
    }
}
