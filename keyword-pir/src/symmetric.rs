//! The symmetric variant: clients can read the value that they ask for, and none of the others that
//! a reply shows them.
//!
//! Keyword and value of a row are replaced by what an oblivious pseudorandom function makes of them:
//! its output (48 bytes, VOPRF of RFC 9497 with P384-SHA384) gives a new keyword (the first 16
//! bytes), a nonce (the first 12) and a key (the last 24) with which the value is encrypted
//! (AES-192-GCM). A client first gets the function's value of its keyword from the service, blindly,
//! and then asks for the new keyword.

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::aes::Aes192;
use aes_gcm::aes::cipher::consts::U12;
use aes_gcm::{AesGcm, Nonce};
use getrandom::SysRng;
use p384::NistP384;
use voprf_ng::{BlindedElement, EvaluationElement, Group, Proof, VoprfClient, VoprfServer};
use zeroize::Zeroizing;

/// Bytes that encryption adds to a value.
pub const TAG: usize = 16;
/// Bytes of a secret key.
pub const SECRET_KEY: usize = 48;
/// Bytes of a public key, and of the elements that travel: a compressed point.
pub const ELEMENT: usize = 49;
/// Bytes of a proof.
pub const PROOF: usize = 96;

/// The symmetric variant refused its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SymmetricError {
    /// A key file is something else than 96 hexadecimal digits of a scalar.
    #[error("not a key: 96 hexadecimal digits without `0x` and without a line end are needed")]
    Key,
    /// An element or a proof has the wrong length, or is none.
    #[error("not a valid element or proof")]
    Element,
    /// The proof does not hold: another key evaluated the element.
    #[error("the proof does not fit the published key")]
    Proof,
    /// A keyword is too long to be hashed to the group.
    #[error("a keyword of more than 65535 bytes")]
    Keyword,
    /// A value does not decrypt.
    #[error("a value does not decrypt")]
    Value,
    /// The operating system gave no randomness.
    #[error("the operating system's random source failed")]
    Randomness,
}

impl From<voprf_ng::Error> for SymmetricError {
    fn from(error: voprf_ng::Error) -> Self {
        match error {
            voprf_ng::Error::Input => Self::Keyword,
            voprf_ng::Error::ProofVerification => Self::Proof,
            voprf_ng::Error::Rng => Self::Randomness,
            _ => Self::Element,
        }
    }
}

/// What the function makes of a keyword. Wiped when dropped.
pub struct RowSecret(Zeroizing<Vec<u8>>);

impl RowSecret {
    /// The keyword that the row is stored under.
    pub fn keyword(&self) -> &[u8] {
        &self.0[..16]
    }

    fn cipher(&self) -> Result<AesGcm<Aes192, U12>, SymmetricError> {
        AesGcm::new_from_slice(&self.0[24..]).map_err(|_| SymmetricError::Key)
    }

    fn nonce(&self) -> Result<Nonce<U12>, SymmetricError> {
        Nonce::try_from(&self.0[..12]).map_err(|_| SymmetricError::Key)
    }

    /// The stored form of the row's value, [`TAG`] bytes longer.
    pub fn encrypt(&self, value: &[u8]) -> Result<Vec<u8>, SymmetricError> {
        self.cipher()?.encrypt(&self.nonce()?, value).map_err(|_| SymmetricError::Value)
    }

    /// The value of a row from its stored form.
    pub fn decrypt(&self, stored: &[u8]) -> Result<Vec<u8>, SymmetricError> {
        self.cipher()?.decrypt(&self.nonce()?, stored).map_err(|_| SymmetricError::Value)
    }
}

/// The service's key.
pub struct DatabaseKey(VoprfServer<NistP384>);

impl DatabaseKey {
    /// Draws a key.
    pub fn generate() -> Result<Self, SymmetricError> {
        Ok(Self(VoprfServer::new(&mut SysRng)?))
    }

    /// Reads the hexadecimal form of a key file.
    pub fn from_hex(text: &[u8]) -> Result<Self, SymmetricError> {
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(SymmetricError::Key);
        if text.len() != 2 * SECRET_KEY {
            return Err(SymmetricError::Key);
        }
        let mut key = Zeroizing::new(Vec::with_capacity(SECRET_KEY));
        for pair in text.chunks_exact(2) {
            key.push((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
        }
        VoprfServer::new_with_key(&key).map(Self).map_err(|_| SymmetricError::Key)
    }

    /// The hexadecimal form of a key file.
    pub fn to_hex(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.0.serialize().to_vec());
        let mut text = Zeroizing::new(String::with_capacity(2 * SECRET_KEY));
        for byte in &bytes[..SECRET_KEY] {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        text
    }

    /// What clients check proofs with, [`ELEMENT`] bytes.
    pub fn public_key(&self) -> Vec<u8> {
        NistP384::serialize_elem(self.0.get_public_key()).to_vec()
    }

    /// The secret of a row.
    pub fn evaluate(&self, keyword: &[u8]) -> Result<RowSecret, SymmetricError> {
        Ok(RowSecret(Zeroizing::new(self.0.evaluate(keyword)?.to_vec())))
    }

    /// Evaluates a client's blinded keyword: the element and the proof.
    pub fn answer(&self, element: &[u8]) -> Result<(Vec<u8>, Vec<u8>), SymmetricError> {
        if element.len() != ELEMENT {
            return Err(SymmetricError::Element);
        }
        let element = BlindedElement::<NistP384>::deserialize(element)?;
        let result = self.0.blind_evaluate(&mut SysRng, &element)?;
        Ok((result.message.serialize().to_vec(), result.proof.serialize().to_vec()))
    }
}

/// A client's keyword on its way to being evaluated.
pub struct BlindedKeyword {
    state: VoprfClient<NistP384>,
    keyword: Zeroizing<Vec<u8>>,
    element: Vec<u8>,
}

impl BlindedKeyword {
    /// Blinds a keyword.
    pub fn new(keyword: &[u8]) -> Result<Self, SymmetricError> {
        let result = VoprfClient::<NistP384>::blind(keyword, &mut SysRng)?;
        Ok(Self {
            state: result.state,
            keyword: Zeroizing::new(keyword.to_vec()),
            element: result.message.serialize().to_vec(),
        })
    }

    /// What is sent to the service: [`ELEMENT`] bytes that say nothing of the keyword.
    pub fn element(&self) -> &[u8] {
        &self.element
    }

    /// The secret of the keyword's row, from the service's answer, of which the proof is checked
    /// with the published key.
    pub fn finalize(
        &self,
        evaluated: &[u8],
        proof: &[u8],
        public_key: &[u8],
    ) -> Result<RowSecret, SymmetricError> {
        if evaluated.len() != ELEMENT || proof.len() != PROOF || public_key.len() != ELEMENT {
            return Err(SymmetricError::Element);
        }
        let evaluated = EvaluationElement::<NistP384>::deserialize(evaluated)?;
        let proof = Proof::<NistP384>::deserialize(proof)?;
        let public_key = NistP384::deserialize_elem(public_key)?;
        let output = self.state.finalize(&self.keyword, &evaluated, &proof, public_key)?;
        Ok(RowSecret(Zeroizing::new(output.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "051646b9e6e7a71ae27c1e1d0b87b4381db6d3595eeeb1adb41579adbf992f42\
                       78f9016eafc944edaa2b43183581779d";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 9497, A.4.2.1.
    #[test]
    fn published_vector() {
        let key = DatabaseKey::from_hex(KEY.as_bytes()).unwrap();
        assert_eq!(*key.to_hex(), KEY);
        assert_eq!(
            hex(&key.public_key()),
            "031d689686c611991b55f1a1d8f4305ccd6cb719446f660a30db61b7aa87b46acf59b7c0d4a9077b3da21c25dd482229a0"
        );
        assert_eq!(
            hex(&key.evaluate(&[0]).unwrap().0),
            "3333230886b562ffb8329a8be08fea8025755372817ec969d114d1203d026b4a622beab60220bf19078bca35a529b35c"
        );
    }

    #[test]
    fn a_client_gets_the_secret_of_its_row_and_no_other() {
        let key = DatabaseKey::generate().unwrap();
        let row = key.evaluate(b"host.example").unwrap();
        let stored = row.encrypt(b"value").unwrap();
        assert_eq!(stored.len(), 5 + TAG);
        let blinded = BlindedKeyword::new(b"host.example").unwrap();
        let (evaluated, proof) = key.answer(blinded.element()).unwrap();
        let secret = blinded.finalize(&evaluated, &proof, &key.public_key()).unwrap();
        assert_eq!(secret.keyword(), row.keyword());
        assert_eq!(secret.decrypt(&stored).unwrap(), b"value");
        assert!(key.evaluate(b"other.example").unwrap().decrypt(&stored).is_err());
        // Two blindings of a keyword have nothing in common.
        assert_ne!(BlindedKeyword::new(b"host.example").unwrap().element(), blinded.element());

        let other = DatabaseKey::generate().unwrap();
        let outcome = blinded.finalize(&evaluated, &proof, &other.public_key());
        assert_eq!(outcome.err(), Some(SymmetricError::Proof));
        assert!(key.answer(&[0; ELEMENT]).is_err());
        assert!(key.answer(&[]).is_err());
        assert!(blinded.finalize(&evaluated[1..], &proof, &key.public_key()).is_err());
    }

    #[test]
    fn keys_are_checked() {
        for text in [&KEY[1..], &format!("{KEY}\n"), &KEY.replace('0', "g"), &"0".repeat(96)] {
            assert!(DatabaseKey::from_hex(text.as_bytes()).is_err(), "{text}");
        }
    }
}
