//! The client: asks for a token and completes it.

use crate::blind_rsa::{self, SALT, Unblinding};
use crate::token::SIGNED_BYTES;
use crate::{
    Error, MODULUS_BYTES, MessageKind, PublicKey, Token, TokenChallenge, TokenRequest, check_length,
};
use zeroize::Zeroizing;

/// A token that is not signed yet. Its secrets are wiped when it is dropped.
#[must_use = "a token is complete only after `finalize`"]
pub struct PendingToken {
    key: PublicKey,
    signed_part: [u8; SIGNED_BYTES],
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
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn new(challenge: &TokenChallenge, key: &PublicKey) -> Result<Self, Error> {
        let factor = blind_rsa::blinding_factor(key.rsa())?;
        Self::with_known_randomness(&challenge.digest(), key, &*random()?, &*random()?, &factor)
    }

    /// As [`PendingToken::new`], with given random values, to compare with published vectors. Anything
    /// else must use [`PendingToken::new`]: a factor that the issuer knows, or that was used before,
    /// links the token to its request.
    ///
    /// # Errors
    /// [`Error::Range`] if `factor` is not below the modulus, [`Error::Randomness`] if it has no
    /// inverse.
    pub fn with_known_randomness(
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

    /// The request for the issuer. It may be sent again: the answer is the same.
    #[must_use]
    pub fn request(&self) -> TokenRequest {
        self.request.clone()
    }

    /// Completes the token with the issuer's response and verifies it.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Signature`].
    pub fn finalize(self, response: &[u8]) -> Result<Token, Error> {
        check_length(MessageKind::TokenResponse, MODULUS_BYTES, response)?;
        let mut signature = [0; MODULUS_BYTES];
        signature.copy_from_slice(response);
        let signature = blind_rsa::unblind(&signature, &self.unblinding, self.key.rsa())
            .map_err(|_| Error::Signature)?;
        let token = Token::signed(&self.signed_part, &signature);
        self.key.verify(&token)?;
        Ok(token)
    }
}
