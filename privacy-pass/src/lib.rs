//! Privacy Pass tokens of type 0x0002: publicly verifiable, by blind RSA of 2048 bits (RFC 9577, RFC
//! 9578; RFC 9474, variant RSABSSA-SHA384-PSS-Deterministic).
//!
//! A client asks an [`IssuerKey`] to sign a token blindly and can show it later; nobody can tell
//! which request a token came from. A verifier needs the [`PublicKey`] alone. That each token is
//! accepted once is the business of whoever verifies: it must remember [`Token::nonce`] as long as the
//! key is accepted.
//!
//! ```
//! use privacy_pass::{IssuerKey, TokenChallenge, PendingToken, Token};
//!
//! let issuer = IssuerKey::generate()?;
//! let challenge = TokenChallenge::for_issuer("issuer.example");
//!
//! let pending = PendingToken::new(&challenge, issuer.public())?;
//! let response = issuer.issue(&pending.request())?;
//! let token = pending.finalize(&response)?;
//!
//! let shown = token.to_authorization();
//! let token = Token::from_authorization(&shown)?;
//! issuer.public().verify(&token)?;
//! # Ok::<(), privacy_pass::Error>(())
//! ```

mod blind_rsa;
mod challenge;
mod client;
mod directory;
mod issuer;
pub mod key_set;
mod public_key;
mod token;

pub use challenge::TokenChallenge;
pub use client::PendingToken;
pub use directory::{DirectoryKey, IssuerDirectory};
pub use issuer::IssuerKey;
pub use public_key::PublicKey;
pub use token::{Token, TokenRequest};

/// The token type: blind RSA, 2048 bits.
pub const TOKEN_TYPE: u16 = 0x0002;
/// Nk: bytes of a modulus, of a blinded message, of a signature.
pub const MODULUS_BYTES: usize = 256;
/// Bytes of a token.
pub const TOKEN_BYTES: usize = 2 + 3 * 32 + MODULUS_BYTES;
/// Bytes of a token request.
pub const REQUEST_BYTES: usize = 3 + MODULUS_BYTES;

/// A message, a key or a token was refused. Nothing of it is in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes do not have the length of what they should be.
    #[error("{what}: expected {expected} bytes, found {found}")]
    Length {
        /// What they should be.
        what: &'static str,
        /// Its length.
        expected: usize,
        /// The length that was given.
        found: usize,
    },
    /// The token type is another one.
    #[error("token type {0}; only 2 (blind RSA, 2048 bits) is known")]
    TokenType(u16),
    /// An `Authorization` header has no token in it.
    #[error("not `PrivateToken token=` and a token")]
    Authorization,
    /// A challenge is not well-formed.
    #[error("not a token challenge")]
    Challenge,
    /// A key is not an RSASSA-PSS key as tokens need it.
    #[error("not a 2048-bit RSASSA-PSS key with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes")]
    Key,
    /// A request, or a token, is for another key.
    #[error("the key is not the one that this is for")]
    OtherKey,
    /// A number is not below the modulus.
    #[error("a blinded message that is not below the modulus")]
    Range,
    /// A signature does not hold.
    #[error("the signature is not valid")]
    Signature,
    /// The operating system gave no randomness.
    #[error("the operating system's random source failed")]
    Randomness,
    /// The private operation failed its own check.
    #[error("the private operation failed")]
    Internal,
}

fn check_length(what: &'static str, expected: usize, bytes: &[u8]) -> Result<(), Error> {
    match bytes.len() == expected {
        true => Ok(()),
        false => Err(Error::Length { what, expected, found: bytes.len() }),
    }
}

/// Checks the type that bytes begin with, if there are enough.
fn check_type(bytes: &[u8]) -> Result<(), Error> {
    match bytes.first_chunk().map(|&start| u16::from_be_bytes(start)) {
        Some(token_type) if token_type != TOKEN_TYPE => Err(Error::TokenType(token_type)),
        _ => Ok(()),
    }
}
