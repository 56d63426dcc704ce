//! The issuer directory (RFC 9578, section 4): where clients find keys.

use crate::{Error, PublicKey, TOKEN_TYPE};
use serde::{Deserialize, Serialize};
use unix_clock::Timestamp;

/// What an issuer publishes, as JSON, at `/.well-known/private-token-issuer-directory`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct IssuerDirectory {
    /// Where tokens are requested: an absolute URL, or one relative to the directory.
    pub issuer_request_uri: String,
    /// The keys, in order of preference.
    pub token_keys: Vec<DirectoryKey>,
}

/// One key of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct DirectoryKey {
    /// The token type; this crate reads keys of type [`TOKEN_TYPE`] only.
    pub token_type: u16,
    /// The `SubjectPublicKeyInfo`, base64url.
    pub token_key: String,
    /// From when on the key may be used; `None` for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

impl DirectoryKey {
    /// The entry of a key.
    #[must_use]
    pub fn new(key: &PublicKey, not_before: Option<Timestamp>) -> Self {
        Self { token_type: TOKEN_TYPE, token_key: key.to_base64(), not_before }
    }

    /// Reads the key.
    ///
    /// # Errors
    /// [`Error::TokenType`], [`Error::Key`].
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        match self.token_type {
            TOKEN_TYPE => PublicKey::from_base64(&self.token_key),
            other => Err(Error::TokenType(other)),
        }
    }

    /// Whether the key may be used at a time.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|time| time <= now)
    }
}

impl IssuerDirectory {
    /// The media type of the document.
    pub const MEDIA_TYPE: &str = "application/private-token-issuer-directory";

    /// A directory with this request URI and these keys, the one to use first in front.
    #[must_use]
    pub fn new(issuer_request_uri: impl Into<String>, token_keys: Vec<DirectoryKey>) -> Self {
        Self { issuer_request_uri: issuer_request_uri.into(), token_keys }
    }

    /// The key to request tokens of: the first of type [`TOKEN_TYPE`] that may be used at that time.
    /// Keys of other types are skipped.
    ///
    /// # Errors
    /// [`Error::Key`] if there is none, or it cannot be read.
    pub fn key_at(&self, now: Timestamp) -> Result<PublicKey, Error> {
        self.token_keys
            .iter()
            .find(|key| key.token_type == TOKEN_TYPE && key.is_valid_at(now))
            .ok_or(Error::Key)?
            .public_key()
    }
}
