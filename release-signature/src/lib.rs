//! Signatures of what a publisher releases: Ed25519, in the format of minisign.
//!
//! | type | what it is |
//! | --- | --- |
//! | [`PublicKey`] | one key, as `minisign -G` prints it |
//! | [`TrustedKeys`] | the keys of which any may have signed |
//! | [`SignedText`] | a text and its signature, as two JSON fields |
//! | [`Signature`] | the content of a `.minisig` file |
//! | `SecretKey` | signs (feature `sign`) |
//!
//! ```
//! use release_signature::{SignedText, TrustedKeys};
//!
//! let keys = TrustedKeys::parse(&["RWSDNrEMEKy3cFf+Zz+uaFcQeJsrLHfQo+lm1VBGjuX9C1a6JEO//Hyz"])?;
//! let signed: SignedText = serde_json::from_str(r#"{
//!     "signed": "a text\n",
//!     "signature": "untrusted comment: an untrusted comment\nRUSDNrEMEKy3cI0TT95COkn7IbRfTiRYnRt6YvGdC3Qy+5/PhC0aLGnCwz48SR+McpvuNn1ok9w4XdoimUuo146D6WU9DcWobws=\ntrusted comment: a trusted comment\nhLTk9LFW+6vQtcDVIWKKJDgskP/3WgZlAF96YuY/seZk1+zLxEKb3jrBs8UVthT/qkF8gTJ/PfUdSA14cbPjBQ==\n"
//! }"#).expect("it is JSON");
//! assert_eq!(signed.verify(&keys)?, "a text\n");
//! # Ok::<(), release_signature::SignatureError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs, clippy::missing_errors_doc)]

mod error;
mod keys;
#[cfg(feature = "sign")]
mod secret_key;
mod signature;
mod signed_text;

pub use error::SignatureError;
pub use keys::{PublicKey, TrustedKeys};
#[cfg(feature = "sign")]
pub use secret_key::SecretKey;
pub use signature::Signature;
pub use signed_text::SignedText;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest signature and key that is read, in bytes. Those of minisign have a few hundred.
pub const MAX_TEXT: usize = 4096;

/// What distinguishes keys, 8 random bytes. Minisign prints them as a number in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
struct KeyNumber([u8; 8]);

impl std::fmt::Display for KeyNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

/// Decodes a line of base64 that has exactly this many bytes.
fn decode<const LENGTH: usize>(line: &str) -> Option<[u8; LENGTH]> {
    // Slightly more room than is needed: the decoder wants whole groups.
    let mut bytes = zeroize::Zeroizing::new([0; 256]);
    let length = STANDARD.decode_slice(line.trim(), &mut *bytes).ok()?;
    bytes[..length].try_into().ok()
}
