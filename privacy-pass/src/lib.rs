//! Privacy Pass tokens of type 0x0002: publicly verifiable, by blind RSA with 2048 bits ([RFC 9577],
//! [RFC 9578]; [RFC 9474], variant RSABSSA-SHA384-PSS-Deterministic).
//!
//! An issuer signs a token without seeing it, so no one can link a token to the request that
//! it was issued for. A
//! verifier needs only the [`PublicKey`]. The crate computes: it opens no file and no connection, and
//! takes the time from its caller.
//!
//! ```
//! use privacy_pass::{IssuerKey, PendingToken, Token, TokenChallenge};
//!
//! let issuer = IssuerKey::generate()?;
//!
//! // The client: blinds a token, has it signed and unblinds the signature.
//! let challenge = TokenChallenge::for_issuer("issuer.example")?;
//! let pending = PendingToken::new(&challenge, issuer.public())?;
//! let response = issuer.issue(&pending.request())?;
//! let token = pending.finalize(&response)?;
//! let header = token.to_authorization();
//!
//! // The verifier: reads the header of a request and checks the signature.
//! let token = Token::from_authorization(&header)?;
//! issuer.public().verify(&token)?;
//! # Ok::<(), privacy_pass::Error>(())
//! ```
//!
//! A valid signature is half of the check. A token is good for one request: the verifier must also
//! store [`Token::nonce`] durably, refuse a nonce that it has seen, and keep each nonce until
//! [`KeySet::remembered_until`]. The example `redeem` shows the order of these steps.
//!
//! # Map
//!
//! | to | use |
//! | --- | --- |
//! | sign tokens with one key | [`IssuerKey`] |
//! | rotate keys with overlap, and store them | [`KeySet`], [`Rotation`] |
//! | publish keys | [`IssuerDirectory`], [`PublicKey`] |
//! | ask for a token | [`TokenChallenge`], [`PendingToken`], [`TokenRequest`] |
//! | show and verify a token | [`Token`], [`PublicKey::verify`] |
//!
//! # Features
//!
//! - `aws-lc`: the private operation and the verification are those of AWS-LC, a library in C and
//!   assembly, several times faster. It needs a C compiler. Without it, and for whatever AWS-LC
//!   refuses, the `rsa` crate computes; both give the same bytes.
//!
//! Private keys, tokens and blinding factors are wiped when they are dropped
//! and cannot be printed. Two programs in `examples/` run without a network: `issue` and `redeem`.
//!
//! [RFC 9474]: https://www.rfc-editor.org/rfc/rfc9474
//! [RFC 9577]: https://www.rfc-editor.org/rfc/rfc9577
//! [RFC 9578]: https://www.rfc-editor.org/rfc/rfc9578
#![cfg_attr(not(feature = "aws-lc"), forbid(unsafe_code))]
#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod blind_rsa;
mod challenge;
mod client;
mod directory;
mod issuer;
mod key_set;
mod public_key;
mod secret_json;
mod token;

pub use challenge::TokenChallenge;
pub use client::PendingToken;
pub use directory::{DirectoryKey, IssuerDirectory};
pub use issuer::IssuerKey;
pub use key_set::{KeySet, KeySetError, Maintenance, Rotation};
pub use public_key::PublicKey;
pub use secret_json::secret_json;
pub use token::{Token, TokenRequest};

use std::fmt;

/// The token type: blind RSA with 2048 bits (RFC 9578, section 8.2.1).
pub const TOKEN_TYPE: u16 = 0x0002;
/// Length in bytes of a modulus, of a blinded message and of a signature (RFC 9578: `Nk`).
pub const MODULUS_BYTES: usize = 256;
/// Length in bytes of a token: type, nonce, challenge digest, key id, signature (RFC 9577, section 2.2).
pub const TOKEN_BYTES: usize = 2 + 3 * 32 + MODULUS_BYTES;
/// Length in bytes of a token request: type, truncated key id, blinded message (RFC 9578, section 6.1).
pub const REQUEST_BYTES: usize = 3 + MODULUS_BYTES;

/// A message whose length is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// A [`Token`].
    Token,
    /// A [`TokenRequest`].
    TokenRequest,
    /// An issuer's answer to a request: a blind signature.
    TokenResponse,
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::TokenRequest => "token request",
            Self::TokenResponse => "token response",
        })
    }
}

/// A message, a key or a token was refused. The text contains nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A message has the wrong length.
    #[error("{kind}: expected {expected} bytes, found {found}")]
    Length {
        /// Which message of the protocol it is.
        kind: MessageKind,
        /// Its length in bytes.
        expected: usize,
        /// The length that was found, in bytes.
        found: usize,
    },
    /// A message or a directory entry is of another token type.
    #[error("token type {0}; only type 2 (blind RSA, 2048 bits) is supported")]
    TokenType(u16),
    /// An `Authorization` header contains no token.
    #[error("expected `PrivateToken token=` followed by a token in base64url")]
    Authorization,
    /// A challenge is malformed, or a name in it is empty or longer than 65,535 bytes.
    #[error("not a valid token challenge")]
    Challenge,
    /// A key is not of the one form that RFC 9578 allows, or a directory has no key that can be used.
    #[error("not a 2048-bit RSASSA-PSS key with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes")]
    Key,
    /// A request or a token names another key.
    #[error("the request or token is for another key")]
    OtherKey,
    /// A blinded message is not below the modulus of the key.
    #[error("the blinded message is not below the modulus")]
    Range,
    /// A signature is not valid.
    #[error("the signature is not valid")]
    Signature,
    /// The operating system gave no random numbers.
    #[error("the operating system's random source failed")]
    Randomness,
    /// The result of a computation with the private key failed its check.
    #[error("the private operation failed")]
    Internal,
}

fn check_length(kind: MessageKind, expected: usize, bytes: &[u8]) -> Result<(), Error> {
    match bytes.len() == expected {
        true => Ok(()),
        false => Err(Error::Length { kind, expected, found: bytes.len() }),
    }
}

/// Checks the token type, if there are enough bytes for one.
fn check_type(bytes: &[u8]) -> Result<(), Error> {
    match bytes.first_chunk().map(|&start| u16::from_be_bytes(start)) {
        Some(token_type) if token_type != TOKEN_TYPE => Err(Error::TokenType(token_type)),
        _ => Ok(()),
    }
}

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
