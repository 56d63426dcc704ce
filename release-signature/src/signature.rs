//! Signatures.

use crate::{KeyNumber, MAX_TEXT, SignatureError, TrustedKeys, decode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest};
use ed25519_dalek::Signature as Ed25519;
use std::fmt;

/// A signature of the BLAKE2b-512 hash of a message.
const HASHED: [u8; 2] = *b"ED";
/// A signature of the message itself.
const LEGACY: [u8; 2] = *b"Ed";

/// A signature with its comments: the content of a `.minisig` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    untrusted_comment: String,
    number: KeyNumberBytes,
    signature: [u8; 64],
    trusted_comment: String,
    /// Of the signature and the trusted comment.
    global: [u8; 64],
}

type KeyNumberBytes = [u8; 8];

/// What is signed of a message.
fn hash(message: &[u8]) -> Vec<u8> {
    Blake2b512::digest(message).to_vec()
}

fn comment_message(signature: &[u8; 64], comment: &str) -> Vec<u8> {
    [&signature[..], comment.as_bytes()].concat()
}

impl Signature {
    /// Reads the four lines of a `.minisig` file.
    ///
    /// # Errors
    /// [`SignatureError::Form`] or [`SignatureError::Legacy`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        if text.len() > MAX_TEXT {
            return Err(SignatureError::Form);
        }
        let lines: Vec<&str> = text.lines().collect();
        let &[untrusted, signature, trusted, global] = &lines[..] else {
            return Err(SignatureError::Form);
        };
        let comment = |line: &str, label: &str| {
            line.strip_prefix(label).map(str::to_owned).ok_or(SignatureError::Form)
        };
        let bytes: [u8; 74] = decode(signature).ok_or(SignatureError::Form)?;
        let (algorithm, rest) = bytes.split_at(2);
        if algorithm == LEGACY {
            return Err(SignatureError::Legacy);
        }
        if algorithm != HASHED {
            return Err(SignatureError::Form);
        }
        let (number, signature) = rest.split_at(8);
        Ok(Self {
            untrusted_comment: comment(untrusted, "untrusted comment: ")?,
            number: number.try_into().map_err(|_| SignatureError::Form)?,
            signature: signature.try_into().map_err(|_| SignatureError::Form)?,
            trusted_comment: comment(trusted, "trusted comment: ")?,
            global: decode(global).ok_or(SignatureError::Form)?,
        })
    }

    /// Checks that a trusted key has signed a message, and the comment that belongs to the signature.
    ///
    /// # Errors
    /// [`SignatureError::UnknownKey`] or [`SignatureError::Invalid`].
    pub fn verify(&self, message: &[u8], keys: &TrustedKeys) -> Result<(), SignatureError> {
        let number = KeyNumber(self.number);
        let mut same = keys.keys().iter().filter(|key| key.number == number).peekable();
        if same.peek().is_none() {
            return Err(SignatureError::UnknownKey(number.to_string()));
        }
        let hash = hash(message);
        let comment = comment_message(&self.signature, &self.trusted_comment);
        let is_valid = same.any(|key| {
            let signs = |message: &[u8], signature: &[u8; 64]| {
                key.key.verify_strict(message, &Ed25519::from_bytes(signature)).is_ok()
            };
            signs(&hash, &self.signature) && signs(&comment, &self.global)
        });
        if is_valid { Ok(()) } else { Err(SignatureError::Invalid(number.to_string())) }
    }

    /// The comment that is signed.
    #[must_use]
    pub fn trusted_comment(&self) -> &str {
        &self.trusted_comment
    }
}

/// The four lines of a `.minisig` file.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = [&HASHED[..], &self.number, &self.signature].concat();
        writeln!(f, "untrusted comment: {}", self.untrusted_comment)?;
        writeln!(f, "{}", STANDARD.encode(signature))?;
        writeln!(f, "trusted comment: {}", self.trusted_comment)?;
        writeln!(f, "{}", STANDARD.encode(self.global))
    }
}

#[cfg(feature = "sign")]
mod signing {
    use super::{Signature, comment_message, hash};
    use crate::SecretKey;
    use ed25519_dalek::Signer;

    impl SecretKey {
        /// Signs a message, and a comment that says what it is. Equal messages and comments give equal
        /// signatures. Line ends in the comment become spaces.
        #[must_use]
        pub fn sign(&self, message: &[u8], comment: &str) -> Signature {
            let trusted_comment = comment.replace(['\n', '\r'], " ");
            let signature = self.key.sign(&hash(message)).to_bytes();
            let global = self.key.sign(&comment_message(&signature, &trusted_comment)).to_bytes();
            Signature {
                untrusted_comment: format!("signature by the key {}", self.number),
                number: self.number.0,
                signature,
                trusted_comment,
                global,
            }
        }
    }
}
