//! The issuer: signs tokens without seeing them.

use crate::{Error, MODULUS_BYTES, PublicKey, TokenRequest, blind_rsa};
use crypto_bigint::BoxedUint;
use getrandom::SysRng;
use rsa::hazmat::rsa_decrypt_and_check;
#[cfg(feature = "aws-lc")]
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use zeroize::Zeroizing;

/// A private key: RSA, 2048 bits. It cannot be printed, and is wiped when it is dropped.
pub struct IssuerKey {
    private: rsa::PrivateKey,
    public: PublicKey,
    /// The same key for AWS-LC, unless AWS-LC refuses it.
    #[cfg(feature = "aws-lc")]
    fast: Option<crate::aws_lc::Key>,
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
        Ok(Self {
            #[cfg(feature = "aws-lc")]
            fast: {
                let der = private.to_pkcs1_der().map_err(|_| Error::Key)?;
                crate::aws_lc::Key::private(der.as_bytes())
            },
            private,
            public,
        })
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
    /// checked, so neither its time nor a fault in it reveals anything of the key. Takes milliseconds,
    /// or a third of that with the feature `aws-lc`.
    ///
    /// # Errors
    /// [`Error::OtherKey`] if the request names another key, [`Error::Range`], [`Error::Internal`].
    pub fn issue(&self, request: &TokenRequest) -> Result<[u8; MODULUS_BYTES], Error> {
        if request.truncated_key_id != self.public.truncated_id() {
            return Err(Error::OtherKey);
        }
        let blinded = blind_rsa::representative(&request.blinded, self.public.rsa())?;
        #[cfg(feature = "aws-lc")]
        if let Some(signature) = self.fast.as_ref().and_then(|key| key.sign_raw(&request.blinded)) {
            return Ok(signature);
        }
        // With AWS-LC, this is for the numbers 0, 1 and n - 1, which it refuses and no client sends.
        self.portable(&blinded)
    }

    /// The private operation by the `rsa` crate.
    fn portable(&self, blinded: &BoxedUint) -> Result<[u8; MODULUS_BYTES], Error> {
        let signature = rsa_decrypt_and_check(&self.private, Some(&mut SysRng), blinded);
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

    /// The modulus less a small number, as 256 bytes.
    #[cfg(feature = "aws-lc")]
    fn below_modulus(key: &IssuerKey, less: u8) -> [u8; MODULUS_BYTES] {
        use rsa::traits::PublicKeyParts;
        let mut bytes = blind_rsa::bytes(key.public.rsa().n().as_ref());
        let mut borrow = less;
        for byte in bytes.iter_mut().rev() {
            let (difference, borrows) = byte.overflowing_sub(borrow);
            (*byte, borrow) = (difference, u8::from(borrows));
        }
        bytes
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn both_private_operations_give_the_same_bytes() {
        let key = IssuerKey::generate().unwrap();
        let fast = key.fast.as_ref().expect("AWS-LC takes the key");
        let mut messages = vec![[0x5a; MODULUS_BYTES], below_modulus(&key, 2)];
        messages[0][0] = 0;
        for length in [1, 8, 128, 255] {
            let mut message = [0; MODULUS_BYTES];
            message[MODULUS_BYTES - length..].fill(0xa7);
            messages.push(message);
        }
        for message in messages {
            let number = blind_rsa::representative(&message, key.public.rsa()).unwrap();
            let expected = key.portable(&number).unwrap();
            assert_eq!(fast.sign_raw(&message), Some(expected));
            let request =
                TokenRequest { truncated_key_id: key.public.truncated_id(), blinded: message };
            assert_eq!(key.issue(&request).unwrap(), expected);
        }
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn numbers_that_one_library_refuses_are_signed_by_the_other() {
        let key = IssuerKey::generate().unwrap();
        let mut one = [0; MODULUS_BYTES];
        one[MODULUS_BYTES - 1] = 1;
        for blinded in [[0; MODULUS_BYTES], one, below_modulus(&key, 1)] {
            assert_eq!(key.fast.as_ref().unwrap().sign_raw(&blinded), None);
            let request = TokenRequest { truncated_key_id: key.public.truncated_id(), blinded };
            // An odd power of 0, 1 or -1 is the same number.
            assert_eq!(key.issue(&request).unwrap(), blinded);
        }
        for blinded in [below_modulus(&key, 0), [0xff; MODULUS_BYTES]] {
            assert_eq!(key.fast.as_ref().unwrap().sign_raw(&blinded), None);
            let request = TokenRequest { truncated_key_id: key.public.truncated_id(), blinded };
            assert_eq!(key.issue(&request), Err(Error::Range));
        }
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn several_threads_sign_with_one_key() {
        let key = IssuerKey::generate().unwrap();
        let request = TokenRequest {
            truncated_key_id: key.public.truncated_id(),
            blinded: below_modulus(&key, 77),
        };
        let expected = key.issue(&request).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..8).for_each(|_| assert_eq!(key.issue(&request).unwrap(), expected))
                });
            }
        });
    }
}
