//! Secret keys, in the form of `minisign -G -W`: without a password.

use crate::keys::ALGORITHM;
use crate::{KeyNumber, MAX_TEXT, PublicKey, SignatureError, decode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

/// Bytes of a stored key: algorithms (2 each, of the signature, of the password, of the checksum), salt (32),
/// limits (8 each), number (8), secret and public key (32 each), checksum (32).
const STORED: usize = 158;
const NUMBER: usize = 54;
const NO_PASSWORD: [u8; 2] = [0; 2];
const CHECKSUM: [u8; 2] = *b"B2";

/// A key that signs. It is wiped when dropped.
pub struct SecretKey {
    pub(crate) number: KeyNumber,
    pub(crate) key: SigningKey,
}

impl SecretKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`SignatureError::Random`].
    pub fn generate() -> Result<Self, SignatureError> {
        let mut random = Zeroizing::new([0; 40]);
        getrandom::fill(&mut *random).map_err(|_| SignatureError::Random)?;
        let (mut number, mut secret) = ([0; 8], Zeroizing::new([0; 32]));
        number.copy_from_slice(&random[..8]);
        secret.copy_from_slice(&random[8..]);
        Ok(Self { number: KeyNumber(number), key: SigningKey::from_bytes(&secret) })
    }

    /// Reads the content of a file with a secret key.
    ///
    /// # Errors
    /// [`SignatureError::SecretKey`], or [`SignatureError::Password`] if it has one.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let wrong = SignatureError::SecretKey;
        if text.len() > MAX_TEXT {
            return Err(wrong);
        }
        let mut lines = text.lines().filter(|line| !line.starts_with("untrusted comment:"));
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(wrong) };
        let bytes: Zeroizing<[u8; STORED]> =
            Zeroizing::new(decode(line).ok_or(SignatureError::SecretKey)?);
        if bytes[..2] != ALGORITHM || bytes[4..6] != CHECKSUM {
            return Err(wrong);
        }
        if bytes[2..4] != NO_PASSWORD {
            return Err(SignatureError::Password);
        }
        let (mut number, mut secret) = ([0; 8], Zeroizing::new([0; 32]));
        number.copy_from_slice(&bytes[NUMBER..][..8]);
        secret.copy_from_slice(&bytes[NUMBER + 8..][..32]);
        let key = SigningKey::from_bytes(&secret);
        // The stored public key is what notices a damaged file.
        match key.verifying_key().as_bytes()[..] == bytes[NUMBER + 40..][..32] {
            true => Ok(Self { number: KeyNumber(number), key }),
            false => Err(wrong),
        }
    }

    /// The content of a file with this key. Whoever can read it can sign.
    #[must_use]
    pub fn to_file(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; STORED]);
        bytes[..2].copy_from_slice(&ALGORITHM);
        bytes[4..6].copy_from_slice(&CHECKSUM);
        bytes[NUMBER..][..8].copy_from_slice(&self.number.0);
        bytes[NUMBER + 8..][..32].copy_from_slice(self.key.as_bytes());
        bytes[NUMBER + 40..][..32].copy_from_slice(self.key.verifying_key().as_bytes());
        let comment = "untrusted comment: minisign encrypted secret key\n";
        // Allocated once, so that no copy of the key stays in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(comment.len() + 2 * STORED));
        text.push_str(comment);
        STANDARD.encode_string(&bytes[..], &mut text);
        text.push('\n');
        text
    }

    /// The public key of this key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey { number: self.number, key: self.key.verifying_key() }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", self.number)
    }
}
