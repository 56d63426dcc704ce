//! The issuer directory (RFC 9578, section 4): where clients find keys.

use crate::{Error, PublicKey, TOKEN_TYPE};
use serde::{Deserialize, Serialize};

/// What an issuer publishes, JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IssuerDirectory {
    /// Where tokens are asked for; absolute, or relative to the directory.
    pub issuer_request_uri: String,
    /// Keys, the preferred one first.
    pub token_keys: Vec<DirectoryKey>,
}

/// One key of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DirectoryKey {
    /// The token type.
    pub token_type: u16,
    /// The `SubjectPublicKeyInfo`, base64url.
    pub token_key: String,
    /// When it may be used from, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<u64>,
}

impl DirectoryKey {
    /// The entry of a key.
    pub fn new(key: &PublicKey, not_before: Option<u64>) -> Self {
        Self { token_type: TOKEN_TYPE, token_key: key.to_base64(), not_before }
    }

    /// The key.
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        match self.token_type {
            TOKEN_TYPE => PublicKey::from_base64(&self.token_key),
            other => Err(Error::TokenType(other)),
        }
    }
}

impl IssuerDirectory {
    /// The media type of the document.
    pub const MEDIA_TYPE: &str = "application/private-token-issuer-directory";

    /// The key to ask for tokens of at that time: the first of a known type that may be used. Keys of
    /// other types are passed over.
    pub fn key_at(&self, now: u64) -> Result<PublicKey, Error> {
        self.token_keys
            .iter()
            .filter(|key| key.token_type == TOKEN_TYPE)
            .find(|key| key.not_before.is_none_or(|time| time <= now))
            .ok_or(Error::Key)?
            .public_key()
    }
}
