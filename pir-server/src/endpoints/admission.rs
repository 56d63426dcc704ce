//! Who may come in: user tokens for those who want tokens, tokens for those who ask.

use super::Refusal;
use crate::configuration::Tier;
use crate::metrics::TokenRefusal;
use crate::service::Service;
use crate::store::{Durable, Spending};
use http::HeaderMap;
use http::header::{AUTHORIZATION, USER_AGENT};
use privacy_pass::{Error, Token};

/// The header with a device's pseudonym.
pub(crate) const USER_IDENTIFIER: &str = "user-identifier";
/// Longest pseudonym; devices send a UUID.
const MAX_USER_IDENTIFIER: usize = 256;

/// The tier of the bearer of a user token.
pub(crate) async fn user_tier(service: &Service, headers: &HeaderMap) -> Result<Tier, Refusal> {
    let tier = match bearer(headers) {
        Some(token) => service.user_tier(token).await?,
        None => None,
    };
    tier.ok_or_else(|| {
        service.metrics().token_refused(TokenRefusal::User);
        Refusal::UserToken
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// A token that is good, and not yet spent.
pub(crate) struct Admission {
    tier: Tier,
    key_id: [u8; 32],
    nonce: [u8; 32],
    /// When the nonce may be forgotten.
    until: u64,
}

/// Verifies the token of a request.
pub(crate) fn private_token(service: &Service, headers: &HeaderMap) -> Result<Admission, Refusal> {
    let verify = || {
        let header = headers.get(AUTHORIZATION).ok_or(TokenRefusal::Missing)?;
        let header = header.to_str().map_err(|_| TokenRefusal::Malformed)?;
        let token = Token::from_authorization(header).map_err(|error| match error {
            Error::Authorization => TokenRefusal::Missing,
            _ => TokenRefusal::Malformed,
        })?;
        let (tier, until) =
            service.issuer().verify(&token, service.now()).map_err(|error| match error {
                Error::OtherKey => TokenRefusal::UnknownKey,
                _ => TokenRefusal::Signature,
            })?;
        Ok(Admission { tier, key_id: token.key_id(), nonce: token.nonce(), until })
    };
    verify().map_err(|reason| refused(service, reason))
}

fn refused(service: &Service, reason: TokenRefusal) -> Refusal {
    service.metrics().token_refused(reason);
    Refusal::Token(reason)
}

impl Admission {
    /// Spends the token. Nothing may be answered before what this returns says that the token stays
    /// spent after a crash.
    pub(crate) async fn spend(self, service: &Service) -> Result<Durable, Refusal> {
        match service.store().spend(&self.key_id, &self.nonce, self.until).await? {
            Spending::Fresh(durable) => {
                service.metrics().token_accepted(self.tier);
                Ok(durable)
            }
            Spending::Spent => Err(refused(service, TokenRefusal::Spent)),
        }
    }
}

/// The pseudonym under which a device's keys are stored.
pub(crate) fn user_identifier(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let value = headers.get(USER_IDENTIFIER).map(|value| value.as_bytes());
    value
        .filter(|value| (1..=MAX_USER_IDENTIFIER).contains(&value.len()))
        .ok_or(Refusal::Header("User-Identifier"))
}

/// What a request says of its sender's system. One that says nothing that is known is served; one
/// that says nothing at all is not, as the protocol has it.
pub(crate) fn user_agent(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = headers.get(USER_AGENT).ok_or(Refusal::Header("User-Agent"))?;
    // Bytes that are no text are a system that is not known.
    Ok(value.to_str().unwrap_or_default())
}
