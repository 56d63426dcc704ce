//! The client: asks for a token and makes it whole.

use crate::blind_rsa::{self, SALT, Unblinding};
use crate::{Error, MODULUS_BYTES, PublicKey, Token, TokenChallenge, TokenRequest, check_length};
use zeroize::Zeroizing;

/// A token that was asked for. Its secrets are wiped when it is dropped.
pub struct PendingToken {
    key: PublicKey,
    signed_part: [u8; 98],
    request: TokenRequest,
    unblinding: Unblinding,
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}

impl PendingToken {
    /// Draws a nonce and blinds the token.
    pub fn new(challenge: &TokenChallenge, key: &PublicKey) -> Result<Self, Error> {
        let factor = blind_rsa::blinding_factor(key.rsa())?;
        Self::with_randomness(&challenge.digest()?, key, &*random()?, &*random()?, &factor)
    }

    /// The same with given randomness, which must be used once: for known answers.
    pub fn with_randomness(
        challenge_digest: &[u8; 32],
        key: &PublicKey,
        nonce: &[u8; 32],
        salt: &[u8; SALT],
        factor: &[u8; MODULUS_BYTES],
    ) -> Result<Self, Error> {
        let signed_part = Token::unsigned(nonce, challenge_digest, key);
        let encoded = blind_rsa::encode(&signed_part, salt);
        let (blinded, unblinding) = blind_rsa::blind(&encoded, factor, key.rsa())?;
        let request = TokenRequest { truncated_key_id: key.truncated_id(), blinded };
        Ok(Self { key: key.clone(), signed_part, request, unblinding })
    }

    /// What the issuer is sent.
    pub fn request(&self) -> TokenRequest {
        self.request.clone()
    }

    /// Makes the token out of the issuer's answer, and verifies it.
    pub fn finalize(self, response: &[u8]) -> Result<Token, Error> {
        check_length("token response", MODULUS_BYTES, response)?;
        let mut signature = [0; MODULUS_BYTES];
        signature.copy_from_slice(response);
        let signature = blind_rsa::unblind(&signature, &self.unblinding, self.key.rsa())
            .map_err(|_| Error::Signature)?;
        let token = Token::signed(&self.signed_part, &signature);
        self.key.verify(&token)?;
        Ok(token)
    }
}
