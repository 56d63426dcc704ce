//! Public keys.

use crate::{KeyNumber, MAX_TEXT, SignatureError, decode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use std::fmt;

/// What a key of minisign begins with.
pub(crate) const ALGORITHM: [u8; 2] = *b"Ed";

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(crate) number: KeyNumber,
    pub(crate) key: VerifyingKey,
}

impl PublicKey {
    /// Reads a key: its line of base64, or the content of a `.pub` file with the comment before it.
    ///
    /// # Errors
    /// [`SignatureError::PublicKey`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let wrong = SignatureError::PublicKey;
        if text.len() > MAX_TEXT {
            return Err(wrong);
        }
        let mut lines = text.lines().filter(|line| !line.starts_with("untrusted comment:"));
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(wrong) };
        let bytes: [u8; 42] = decode(line).ok_or(SignatureError::PublicKey)?;
        let (algorithm, rest) = bytes.split_at(2);
        let (number, key) = rest.split_at(8);
        if algorithm != ALGORITHM {
            return Err(wrong);
        }
        let number = KeyNumber(number.try_into().map_err(|_| SignatureError::PublicKey)?);
        let key: [u8; 32] = key.try_into().map_err(|_| SignatureError::PublicKey)?;
        match VerifyingKey::from_bytes(&key) {
            // A weak key would accept signatures that nobody made.
            Ok(key) if !key.is_weak() => Ok(Self { number, key }),
            _ => Err(wrong),
        }
    }

    /// The content of a `.pub` file: a comment, and the key.
    #[must_use]
    pub fn to_file(&self) -> String {
        format!("untrusted comment: minisign public key {}\n{self}\n", self.number)
    }

    /// The number of the key, as minisign prints it.
    #[must_use]
    pub fn number(&self) -> String {
        self.number.to_string()
    }
}

/// The line of base64.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&ALGORITHM[..], &self.number.0, self.key.as_bytes()].concat();
        f.write_str(&STANDARD.encode(bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// Keys of which any may have signed. There is at least one, so that no check can pass for want of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKeys(Vec<PublicKey>);

impl TrustedKeys {
    /// Trusts these keys.
    ///
    /// # Errors
    /// [`SignatureError::NoKeys`].
    pub fn new(keys: Vec<PublicKey>) -> Result<Self, SignatureError> {
        if keys.is_empty() { Err(SignatureError::NoKeys) } else { Ok(Self(keys)) }
    }

    /// Trusts keys that are given as text.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`PublicKey::parse`].
    pub fn parse(keys: &[impl AsRef<str>]) -> Result<Self, SignatureError> {
        Self::new(keys.iter().map(|key| PublicKey::parse(key.as_ref())).collect::<Result<_, _>>()?)
    }

    /// The keys, each of which is trusted alone.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }
}
