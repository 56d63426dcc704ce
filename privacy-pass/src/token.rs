//! Tokens and requests for them (RFC 9577, section 2.2; RFC 9578, section 6).

use crate::{
    Error, MODULUS_BYTES, MessageKind, PublicKey, REQUEST_BYTES, TOKEN_BYTES, TOKEN_TYPE,
    check_length, check_type,
};
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Number of bytes of a token that its signature covers: all before the signature.
pub(crate) const SIGNED_BYTES: usize = TOKEN_BYTES - MODULUS_BYTES;

/// A signed token. Whoever has it can spend it, so it cannot be printed, is compared in constant time and
/// is wiped when it is dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<Vec<u8>>);

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Token {}

impl Token {
    pub(crate) fn unsigned(
        nonce: &[u8; 32],
        challenge_digest: &[u8; 32],
        key: &PublicKey,
    ) -> [u8; SIGNED_BYTES] {
        let mut bytes = [0; SIGNED_BYTES];
        bytes[..2].copy_from_slice(&TOKEN_TYPE.to_be_bytes());
        bytes[2..34].copy_from_slice(nonce);
        bytes[34..66].copy_from_slice(challenge_digest);
        bytes[66..].copy_from_slice(key.id());
        bytes
    }

    pub(crate) fn signed(part: &[u8; SIGNED_BYTES], authenticator: &[u8; MODULUS_BYTES]) -> Self {
        Self(Zeroizing::new([&part[..], authenticator].concat()))
    }

    /// Reads a token. Its signature is not checked: see [`PublicKey::verify`].
    ///
    /// # Errors
    /// [`Error::TokenType`], [`Error::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        check_type(bytes)?;
        check_length(MessageKind::Token, TOKEN_BYTES, bytes)?;
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The serialized token: [`TOKEN_BYTES`] bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn part(&self, start: usize) -> [u8; 32] {
        let mut part = [0; 32];
        part.copy_from_slice(&self.0[start..start + 32]);
        part
    }

    /// The client's random number. A verifier accepts each nonce once per key.
    #[must_use]
    pub fn nonce(&self) -> [u8; 32] {
        self.part(2)
    }

    /// SHA-256 of the challenge that the token was made for, see
    /// [`TokenChallenge::digest`](crate::TokenChallenge::digest).
    #[must_use]
    pub fn challenge_digest(&self) -> [u8; 32] {
        self.part(34)
    }

    /// The id of the key that signed the token.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        self.part(66)
    }

    pub(crate) fn signed_part(&self) -> [u8; SIGNED_BYTES] {
        let mut part = [0; SIGNED_BYTES];
        part.copy_from_slice(&self.0[..SIGNED_BYTES]);
        part
    }

    pub(crate) fn authenticator(&self) -> &[u8] {
        &self.0[SIGNED_BYTES..]
    }

    /// The value of an `Authorization` header (RFC 9577, section 2.2.2).
    #[must_use]
    pub fn to_authorization(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("PrivateToken token={}", URL_SAFE.encode(&*self.0)))
    }

    /// Reads the value of an `Authorization` header, with or without quotes and padding.
    ///
    /// # Errors
    /// [`Error::Authorization`] if it holds no token in base64url; otherwise as [`Token::from_bytes`].
    pub fn from_authorization(value: &str) -> Result<Self, Error> {
        const SCHEME: &str = "PrivateToken";
        let (scheme, rest) = value.trim().split_once(' ').ok_or(Error::Authorization)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(Error::Authorization);
        }
        let parameter = rest.split(',').map(str::trim).find_map(|part| part.strip_prefix("token="));
        let text = parameter.ok_or(Error::Authorization)?.trim_matches('"').trim_end_matches('=');
        if text.len() > TOKEN_BYTES.div_ceil(3) * 4 {
            return Err(Error::Authorization);
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::Authorization)?);
        Self::from_bytes(&bytes)
    }
}

/// A request for a token (RFC 9578, section 6.1). It reveals nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    pub(crate) truncated_key_id: u8,
    pub(crate) blinded: [u8; MODULUS_BYTES],
}

impl TokenRequest {
    /// Reads the serialized form.
    ///
    /// # Errors
    /// [`Error::TokenType`], [`Error::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        check_type(bytes)?;
        check_length(MessageKind::TokenRequest, REQUEST_BYTES, bytes)?;
        let mut blinded = [0; MODULUS_BYTES];
        blinded.copy_from_slice(&bytes[3..]);
        Ok(Self { truncated_key_id: bytes[2], blinded })
    }

    /// The serialized form: [`REQUEST_BYTES`] bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = TOKEN_TYPE.to_be_bytes().to_vec();
        out.push(self.truncated_key_id);
        out.extend(self.blinded);
        out
    }

    /// The last byte of the id of the key that shall sign.
    #[must_use]
    pub fn truncated_key_id(&self) -> u8 {
        self.truncated_key_id
    }
}
