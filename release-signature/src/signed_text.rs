//! A text and its signature.

use crate::{Signature, SignatureError, TrustedKeys};
use serde::{Deserialize, Serialize};

/// A text and the signature of its bytes, as two fields of a JSON object. The text is kept as it was signed:
/// nobody has to write it again in the same way to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignedText {
    /// The text. Nothing in it may be used before it is verified.
    signed: String,
    /// The content of a `.minisig` file.
    signature: String,
}

impl SignedText {
    /// Signs a text, with a comment that says what it is.
    #[cfg(feature = "sign")]
    #[must_use]
    pub fn new(text: String, comment: &str, key: &crate::SecretKey) -> Self {
        let signature = key.sign(text.as_bytes(), comment).to_string();
        Self { signed: text, signature }
    }

    /// The text, if a trusted key has signed it.
    ///
    /// # Errors
    /// [`SignatureError`], if the signature cannot be read, is of another key, or is not valid.
    pub fn verify(&self, keys: &TrustedKeys) -> Result<&str, SignatureError> {
        Signature::parse(&self.signature)?.verify(self.signed.as_bytes(), keys)?;
        Ok(&self.signed)
    }

    /// The text, whoever wrote it: for those that trust no key.
    #[must_use]
    pub fn unverified(&self) -> &str {
        &self.signed
    }
}
