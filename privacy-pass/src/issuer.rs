//! The issuer: signs tokens without seeing them.

use crate::{Error, MODULUS_BYTES, PublicKey, TokenRequest, blind_rsa};
use getrandom::SysRng;
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use zeroize::Zeroizing;

/// A private key: RSA, 2048 bits. It cannot be printed, and is wiped when it is dropped.
pub struct IssuerKey {
    private: rsa::PrivateKey,
    public: PublicKey,
}

impl IssuerKey {
    /// Draws a key. Takes about a second.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate() -> Result<Self, Error> {
        Self::new(rsa::PrivateKey::new(&mut SysRng, 2048).map_err(|_| Error::Randomness)?)
    }

    fn new(private: rsa::PrivateKey) -> Result<Self, Error> {
        let public = PublicKey::new(private.to_public_key())?;
        Ok(Self { private, public })
    }

    /// Reads PKCS #8 in DER.
    ///
    /// # Errors
    /// [`Error::Key`] if it is not an RSA key of 2048 bits.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        Self::new(rsa::PrivateKey::from_pkcs8_der(der).map_err(|_| Error::Key)?)
    }

    /// Reads PKCS #8 in PEM.
    ///
    /// # Errors
    /// [`Error::Key`] if it is not an RSA key of 2048 bits.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, Error> {
        Self::new(rsa::PrivateKey::from_pkcs8_pem(pem).map_err(|_| Error::Key)?)
    }

    /// Writes PKCS #8 in DER.
    ///
    /// # Errors
    /// [`Error::Internal`] if the key cannot be encoded.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let document = self.private.to_pkcs8_der().map_err(|_| Error::Internal)?;
        Ok(Zeroizing::new(document.as_bytes().to_vec()))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a request blindly (RFC 9578, section 6.2). The computation is blinded and its result is
    /// checked, so neither its time nor a fault in it reveals anything of the key. Takes milliseconds.
    ///
    /// # Errors
    /// [`Error::OtherKey`] if the request names another key, [`Error::Range`], [`Error::Internal`].
    pub fn issue(&self, request: &TokenRequest) -> Result<[u8; MODULUS_BYTES], Error> {
        if request.truncated_key_id != self.public.truncated_id() {
            return Err(Error::OtherKey);
        }
        let blinded = blind_rsa::representative(&request.blinded, self.public.rsa())?;
        let signature = rsa_decrypt_and_check(&self.private, Some(&mut SysRng), &blinded);
        Ok(blind_rsa::bytes(&signature.map_err(|_| Error::Internal)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_exactly_2048_bits() {
        for (bits, is_accepted) in [(2040, false), (2048, true), (2056, false)] {
            let key = rsa::PrivateKey::new(&mut SysRng, bits).unwrap();
            let der = key.to_pkcs8_der().unwrap();
            let key = IssuerKey::from_pkcs8(der.as_bytes());
            assert_eq!(key.err(), (!is_accepted).then_some(Error::Key), "{bits}");
        }
    }
}
