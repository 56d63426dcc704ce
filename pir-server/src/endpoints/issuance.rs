//! Privacy Pass tokens: the directory of issuer keys, the key of a user's tier, and issuing.

use super::admission::{self, User};
use super::body::Incoming;
use super::{Refusal, Reply};
use crate::metrics::TokenRefusal;
use crate::service::Service;
use crate::store::Issuance;
use crate::traces;
use crate::work::WorkKind;
use axum::extract::State;
use axum::response::IntoResponse;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use privacy_pass::{Error, IssuerDirectory, TokenRequest};
use std::sync::Arc;
use tracing::Instrument;

/// Largest body, in bytes. A token request is shorter; longer bodies up to this are refused as malformed requests.
const MAX_BODY: usize = 4096;

/// `GET /.well-known/private-token-issuer-directory`
///
/// The media type is that of RFC 9578, section 4, for clients that accept it by name, and otherwise that of Apple's
/// example service.
pub(super) async fn directory(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
) -> Result<Reply, Refusal> {
    let text = service.issuer().directory(&service.live().issuer_request_uri, service.now());
    let text = text.map_err(|_| Refusal::Internal)?;
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let by_name = accept.into_iter().any(|value| value.contains(IssuerDirectory::MEDIA_TYPE));
    let media =
        if by_name { IssuerDirectory::MEDIA_TYPE } else { "application/json; charset=utf-8" };
    let headers = [(CONTENT_TYPE, media), (CACHE_CONTROL, "max-age=600"), (VARY, "accept")];
    Ok(Reply::of(0, (headers, text).into_response()))
}

/// `GET /token-key-for-user-token`
pub(super) async fn token_key(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
) -> Result<Reply, Refusal> {
    let user = admission::user(&service, &headers).await?;
    let key = service.issuer().token_key(user.tier, service.now()).ok_or(Refusal::Internal)?;
    let headers = [(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, "no-store")];
    Ok(Reply::of(0, (headers, key).into_response()))
}

/// `POST /issue`
pub(super) async fn issue(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let User { token, tier } = admission::user(&service, &headers).await?;
    let held = body.read(MAX_BODY).await?;
    let refused = |refusal: Refusal| {
        service.metrics().token_refused(TokenRefusal::Request);
        refusal
    };
    let request = TokenRequest::from_bytes(&held.bytes)
        .map_err(|error| refused(Refusal::TokenRequest(error)))?;
    let pool = service.pool();
    let reservation = pool.reserve(WorkKind::Issuing, pool.owner(token.as_bytes()), 1)?;
    let (limit, now) = (service.limits().tokens.of(tier), service.now());
    let issuance = service.store().count_issuance(token.as_bytes(), limit, now);
    match issuance.instrument(traces::stage("count tokens")).await? {
        Issuance::Allowed => {}
        Issuance::Exhausted { retry_after } => {
            service.metrics().token_refused(TokenRefusal::Limit);
            return Err(Refusal::TooManyTokens(retry_after));
        }
    }
    // The work holds the issuer, not the service: the service must not be dropped on a thread of its own pool.
    let issuer = Arc::clone(service.issuer());
    let signed = reservation.run_one(move |_| issuer.issue(tier, &request, now));
    let signed = signed.instrument(traces::work(1)).await?;
    let signed = signed.map_err(|error| match error {
        Error::OtherKey => refused(Refusal::OtherTier),
        Error::Range => refused(Refusal::TokenRequest(error)),
        _ => Refusal::Internal,
    })?;
    service.metrics().token_issued(tier);
    let headers =
        [(CONTENT_TYPE, "application/private-token-response"), (CACHE_CONTROL, "no-store")];
    Ok(Reply::of(held.bytes.len(), (headers, signed).into_response()))
}
