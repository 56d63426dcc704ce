//! Who is served: user tokens entitle to Privacy Pass tokens, and these to everything else.

use super::Refusal;
use crate::configuration::Tier;
use crate::fields::USER_IDENTIFIER;
use crate::metrics::TokenRefusal;
use crate::nonces_in_use::NonceInUse;
use crate::service::Service;
use crate::store::Spending;
use crate::traces;
use http::HeaderMap;
use http::header::{AUTHORIZATION, USER_AGENT};
use privacy_pass::{Error, Token};
use tracing::Instrument;
use unix_clock::Timestamp;

/// Largest length of a pseudonym, in bytes; devices send a UUID.
const MAX_USER_IDENTIFIER: usize = 256;

/// A user, who may be issued tokens.
pub(crate) struct User<'h> {
    /// The user token.
    pub(crate) token: &'h str,
    pub(crate) tier: Tier,
}

/// The user whose token is in the `Authorization` header.
pub(crate) async fn user<'h>(
    service: &Service,
    headers: &'h HeaderMap,
) -> Result<User<'h>, Refusal> {
    let user = match bearer(headers) {
        Some(token) => {
            let tier = service.user_tier(token).instrument(traces::stage("user token")).await;
            let tier = tier.inspect_err(|_| {
                service.metrics().token_refused(TokenRefusal::Hook);
            });
            tier?.map(|tier| User { token, tier })
        }
        None => None,
    };
    user.ok_or_else(|| {
        service.metrics().token_refused(TokenRefusal::User);
        match headers.contains_key(AUTHORIZATION) {
            true => Refusal::UserToken,
            false => Refusal::NoUserToken,
        }
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// A verified token that is not spent yet, as far as is known, and that no other request in progress has.
#[must_use = "a request without a spent token must not be answered"]
pub(crate) struct Admission {
    tier: Tier,
    key_id: [u8; 32],
    nonce: NonceInUse,
    /// When the nonce may be forgotten, in Unix seconds.
    until: Timestamp,
}

/// Verifies the token in the `Authorization` header. One that was spent before, or that another request has shown and
/// not spent yet, is refused here, before the body of the request takes memory or anything is reserved for it.
pub(crate) async fn private_token(
    service: &Service,
    headers: &HeaderMap,
) -> Result<Admission, Refusal> {
    let admission = verified(service, headers).map_err(|reason| refused(service, reason))?;
    let is_spent = service.store().is_spent(&admission.key_id, admission.nonce.nonce());
    match is_spent.instrument(traces::stage("look up token")).await? {
        true => Err(refused(service, TokenRefusal::Spent)),
        false => Ok(admission),
    }
}

fn verified(service: &Service, headers: &HeaderMap) -> Result<Admission, TokenRefusal> {
    let header = headers.get(AUTHORIZATION).ok_or(TokenRefusal::Missing)?;
    let header = header.to_str().map_err(|_| TokenRefusal::Malformed)?;
    let token = Token::from_authorization(header).map_err(|error| match error {
        Error::Authorization => TokenRefusal::Missing,
        _ => TokenRefusal::Malformed,
    })?;
    let verified = service.issuer().verify(&token, service.now());
    let (tier, until) = verified.map_err(|error| match error {
        Error::OtherKey => TokenRefusal::UnknownKey,
        _ => TokenRefusal::Signature,
    })?;
    let nonce = service.nonces_in_use().begin(token.nonce()).ok_or(TokenRefusal::InUse)?;
    Ok(Admission { tier, key_id: token.key_id(), nonce, until })
}

fn refused(service: &Service, reason: TokenRefusal) -> Refusal {
    service.metrics().token_refused(reason);
    Refusal::Token(reason)
}

impl Admission {
    /// The random part of the token: the owner of work for a request without a pseudonym.
    pub(crate) fn nonce(&self) -> &[u8] {
        self.nonce.nonce()
    }

    /// Spends the token, and runs `work` while its nonce is written.
    ///
    /// This is the only way to spend a token. It returns the outcome of the work, a refusal included, only when
    /// the nonce is durable, so that nothing that depends on the request can be answered before. If the nonce
    /// cannot be made durable, the outcome is dropped and the request refused with [`Refusal::Store`]. If it was
    /// spent before, `work` does not run. What the caller does after this returns, such as storing a key, happens
    /// for a token that stays spent.
    ///
    /// The time limit of a request does not wait: it drops this future, and its refusal tells nothing of the work.
    pub(crate) async fn spend<T>(
        self,
        service: &Service,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let spending = service.store().spend(&self.key_id, self.nonce.nonce(), self.until);
        let durable = match spending.instrument(traces::stage("spend token")).await? {
            Spending::Fresh(durable) => durable,
            Spending::Spent => return Err(refused(service, TokenRefusal::Spent)),
        };
        service.metrics().token_accepted(self.tier);
        let outcome = work.await;
        durable.wait().instrument(traces::stage("nonce durable")).await?;
        outcome
    }
}

/// Value of `User-Identifier`, 1 to 256 bytes: the client's random pseudonym, under which its evaluation keys are
/// stored.
pub(crate) fn user_identifier(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let value = headers.get(USER_IDENTIFIER).map(|value| value.as_bytes());
    value
        .filter(|value| (1..=MAX_USER_IDENTIFIER).contains(&value.len()))
        .ok_or(Refusal::Header("User-Identifier"))
}

/// Value of `User-Agent`. Unknown clients are served. A missing header is refused with 400, as the protocol
/// requires.
pub(crate) fn user_agent(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = headers.get(USER_AGENT).ok_or(Refusal::Header("User-Agent"))?;
    // A value that is not text is that of an unknown client.
    Ok(value.to_str().unwrap_or(""))
}
