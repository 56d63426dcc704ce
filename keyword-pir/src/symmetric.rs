//! The symmetric variant: clients can read the value that they ask for, and none of the others that
//! a reply contains.
//!
//! An oblivious pseudorandom function of the keyword replaces keyword and value of a row: its output (48 bytes, VOPRF of RFC 9497 with P384-SHA384) gives a new keyword (the first 16
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
/// Bytes of a secret key, a scalar of P-384.
pub const SECRET_KEY: usize = 48;
/// Bytes of a public key, and of the elements that travel: a compressed point.
pub const ELEMENT: usize = 49;
/// Bytes of a proof.
pub const PROOF: usize = 96;

/// The symmetric variant refused its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SymmetricError {
    /// A key file does not hold the 96 hexadecimal digits of a scalar.
    #[error("not a key: 96 hexadecimal digits without `0x` and without a line end are needed")]
    Key,
    /// An element or a proof has the wrong length, or is not valid.
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

/// A function, so that the type of the other crate is in no public signature.
fn refused(error: voprf_ng::Error) -> SymmetricError {
    match error {
        voprf_ng::Error::Input => SymmetricError::Keyword,
        voprf_ng::Error::ProofVerification => SymmetricError::Proof,
        voprf_ng::Error::Rng => SymmetricError::Randomness,
        _ => SymmetricError::Element,
    }
}

/// The function's output for a keyword. Wiped when dropped.
pub struct RowSecret(Zeroizing<Vec<u8>>);

impl RowSecret {
    /// The keyword under which the row is stored, 16 bytes.
    #[must_use]
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
    ///
    /// # Errors
    /// [`SymmetricError::Value`] for values of more than 2^36 bytes.
    pub fn encrypt(&self, value: &[u8]) -> Result<Vec<u8>, SymmetricError> {
        self.cipher()?.encrypt(&self.nonce()?, value).map_err(|_| SymmetricError::Value)
    }

    /// The value of a row from its stored form.
    ///
    /// # Errors
    /// [`SymmetricError::Value`] if this is another row's secret, or the stored form was altered.
    pub fn decrypt(&self, stored: &[u8]) -> Result<Vec<u8>, SymmetricError> {
        self.cipher()?.decrypt(&self.nonce()?, stored).map_err(|_| SymmetricError::Value)
    }
}

/// The service's key.
pub struct DatabaseKey(VoprfServer<NistP384>);

impl DatabaseKey {
    /// Draws a key.
    ///
    /// # Errors
    /// [`SymmetricError::Randomness`] if the operating system's random source fails.
    pub fn generate() -> Result<Self, SymmetricError> {
        Ok(Self(VoprfServer::new(&mut SysRng).map_err(refused)?))
    }

    /// Reads the hexadecimal form of a key file.
    ///
    /// # Errors
    /// [`SymmetricError::Key`] if the text is not exactly 96 hexadecimal digits of a valid scalar.
    pub fn from_hex(text: &[u8]) -> Result<Self, SymmetricError> {
        if text.len() != 2 * SECRET_KEY {
            return Err(SymmetricError::Key);
        }
        // In constant time, unlike other encoders.
        let mut key = Zeroizing::new(vec![0; SECRET_KEY]);
        base16ct::mixed::decode(text, &mut key).map_err(|_| SymmetricError::Key)?;
        VoprfServer::new_with_key(&key).map(Self).map_err(|_| SymmetricError::Key)
    }

    /// The hexadecimal form of a key file, 96 digits.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.0.serialize().to_vec());
        Zeroizing::new(base16ct::lower::encode_string(&bytes[..SECRET_KEY]))
    }

    /// The public key with which clients check proofs, [`ELEMENT`] bytes.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        NistP384::serialize_elem(self.0.get_public_key()).to_vec()
    }

    /// The secret of a row.
    ///
    /// # Errors
    /// [`SymmetricError::Keyword`] for a keyword of more than 65,535 bytes.
    pub fn evaluate(&self, keyword: &[u8]) -> Result<RowSecret, SymmetricError> {
        Ok(RowSecret(Zeroizing::new(self.0.evaluate(keyword).map_err(refused)?.to_vec())))
    }

    /// Evaluates a client's blinded keyword: the element, [`ELEMENT`] bytes, and the proof, [`PROOF`]
    /// bytes.
    ///
    /// # Errors
    /// [`SymmetricError::Element`] if the blinded keyword is not a valid element,
    /// [`SymmetricError::Randomness`] if the operating system's random source fails.
    pub fn answer(&self, element: &[u8]) -> Result<(Vec<u8>, Vec<u8>), SymmetricError> {
        if element.len() != ELEMENT {
            return Err(SymmetricError::Element);
        }
        let element = BlindedElement::<NistP384>::deserialize(element).map_err(refused)?;
        let result = self.0.blind_evaluate(&mut SysRng, &element).map_err(refused)?;
        Ok((result.message.serialize().to_vec(), result.proof.serialize().to_vec()))
    }
}

/// A client's keyword, blinded for evaluation by the service.
pub struct BlindedKeyword {
    state: VoprfClient<NistP384>,
    keyword: Zeroizing<Vec<u8>>,
    element: Vec<u8>,
}

impl BlindedKeyword {
    /// Blinds a keyword.
    ///
    /// # Errors
    /// [`SymmetricError::Keyword`] for a keyword of more than 65,535 bytes,
    /// [`SymmetricError::Randomness`] if the operating system's random source fails.
    pub fn new(keyword: &[u8]) -> Result<Self, SymmetricError> {
        let result = VoprfClient::<NistP384>::blind(keyword, &mut SysRng).map_err(refused)?;
        Ok(Self {
            state: result.state,
            keyword: Zeroizing::new(keyword.to_vec()),
            element: result.message.serialize().to_vec(),
        })
    }

    /// What is sent to the service: [`ELEMENT`] bytes from which the keyword cannot be learnt.
    #[must_use]
    pub fn element(&self) -> &[u8] {
        &self.element
    }

    /// The secret of the keyword's row, from the service's answer. The proof is checked with the
    /// published key.
    ///
    /// # Errors
    /// [`SymmetricError::Element`] if a part has the wrong length or is not valid,
    /// [`SymmetricError::Proof`] if another key evaluated the keyword.
    pub fn finalize(
        &self,
        evaluated: &[u8],
        proof: &[u8],
        public_key: &[u8],
    ) -> Result<RowSecret, SymmetricError> {
        if evaluated.len() != ELEMENT || proof.len() != PROOF || public_key.len() != ELEMENT {
            return Err(SymmetricError::Element);
        }
        let evaluated = EvaluationElement::<NistP384>::deserialize(evaluated).map_err(refused)?;
        let proof = Proof::<NistP384>::deserialize(proof).map_err(refused)?;
        let public_key = NistP384::deserialize_elem(public_key).map_err(refused)?;
        let output =
            self.state.finalize(&self.keyword, &evaluated, &proof, public_key).map_err(refused)?;
        Ok(RowSecret(Zeroizing::new(output.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "051646b9e6e7a71ae27c1e1d0b87b4381db6d3595eeeb1adb41579adbf992f42\
                       78f9016eafc944edaa2b43183581779d";

    /// RFC 9497, A.4.2.1.
    #[test]
    fn published_vector() {
        let key = DatabaseKey::from_hex(KEY.as_bytes()).unwrap();
        assert_eq!(*key.to_hex(), KEY);
        assert_eq!(
            hex::encode(key.public_key()),
            "031d689686c611991b55f1a1d8f4305ccd6cb719446f660a30db61b7aa87b46acf59b7c0d4a9077b3da21c25dd482229a0"
        );
        assert_eq!(
            hex::encode(&*key.evaluate(&[0]).unwrap().0),
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
