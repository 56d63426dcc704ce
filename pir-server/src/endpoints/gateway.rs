//! The gateway's resource (RFC 9540): GET for key configurations, POST for encapsulated requests.

use super::body::UnauthenticatedBody;
use super::{Refusal, Reply, UncountedAnswer, has_media_type};
use crate::gateway::GatewayRefusal;
use crate::service::Service;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;

pub(super) const PATH: &str = "/.well-known/ohttp-gateway";
const REQUEST: &str = "message/ohttp-req";
const RESPONSE: HeaderValue = HeaderValue::from_static("message/ohttp-res");
const KEYS: HeaderValue = HeaderValue::from_static("application/ohttp-keys");
/// An answer is for one client.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Keys are accepted for days after they are no longer published.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The endpoints of this service, which answer requests for its own hosts.
#[derive(Clone)]
struct Local(Router);

/// The gateway; `local` answers requests for this service's own hosts.
pub(super) fn router(service: &Arc<Service>, local: Router) -> Router {
    Router::new()
        .route(PATH, get(keys).post(pass_on))
        .method_not_allowed_fallback(async || Refusal::Method)
        .layer(Extension(Local(local)))
        .with_state(Arc::clone(service))
}

async fn keys(State(service): State<Arc<Service>>) -> Result<Response, Refusal> {
    let gateway = service.gateway().ok_or(Refusal::NotFound)?;
    let keys = gateway.published(service.now()).ok_or(Refusal::Internal)?;
    Ok(([(CONTENT_TYPE, KEYS), (CACHE_CONTROL, CACHED)], keys).into_response())
}

/// The problem document for a request that cannot be opened (RFC 9458, section 5.3).
fn wrong_key() -> Response {
    let body = serde_json::json!({
        "type": "https://iana.org/assignments/http-problem-types#ohttp-key",
        "title": GatewayRefusal::Key.to_string(),
    });
    let problem = HeaderValue::from_static("application/problem+json");
    (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, problem)], body.to_string()).into_response()
}

async fn pass_on(
    State(service): State<Arc<Service>>,
    Extension(Local(local)): Extension<Local>,
    headers: HeaderMap,
    UnauthenticatedBody(body): UnauthenticatedBody,
) -> Result<Reply, Refusal> {
    let gateway = Arc::clone(service.gateway().ok_or(Refusal::NotFound)?);
    if !has_media_type(&headers, REQUEST) {
        return Err(Refusal::MediaType(REQUEST));
    }
    // The shares of the memory are held until the request is answered.
    let (bytes, held) = body.read(usize::MAX).await?.into_parts();
    let received = bytes.len();
    let opener = Arc::clone(&gateway);
    let (opened, capsule) = gateway.computing(held, move || opener.open_request(&bytes)).await?;
    let opened = match opened {
        Ok(opened) => opened,
        Err(refusal) => {
            service.metrics().gateway_refused(refusal);
            return Ok(Reply::of(received, wrong_key()));
        }
    };
    let answer = gateway.answer(opened.request(), &local).await;
    if let Some(refusal) = answer.refusal {
        service.metrics().gateway_refused(refusal);
    }
    let held = (capsule, answer.held);
    let seal = move || opened.seal(&answer.message);
    let (sealed, (_capsule, held)) = gateway.computing(held, seal).await?;
    let sealed = sealed.map_err(|_| Refusal::Internal)?;
    let headers = [(CONTENT_TYPE, RESPONSE), (CACHE_CONTROL, NO_STORE)];
    let mut response = (headers, sealed).into_response();
    match held {
        Some(held) => response.extensions_mut().insert(held).map(drop),
        // Nothing else counts the answer: it needed no token, or an origin gave it.
        None => response.extensions_mut().insert(UncountedAnswer).map(drop),
    };
    Ok(Reply::of(received, response))
}
