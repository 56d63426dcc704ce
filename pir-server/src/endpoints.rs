//! The endpoints of the device API.
//!
//! Each endpoint has a module; `refusal` has the statuses. What all requests have in common is here: paths, time
//! limits, metrics and logs. Metrics and logs have the endpoint, the status, times and sizes, and nothing that could
//! tell one device or one query from another.

mod admission;
mod body;
mod config;
mod filter;
mod gateway;
mod issuance;
mod key;
mod queries;
mod refusal;
mod report;

pub(crate) use body::Held;
pub(crate) use refusal::Refusal;

use crate::metrics::Endpoint;
use crate::service::Service;
use crate::traces;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use hyper::body::Body as _;
use pir_api::Message;
use std::sync::Arc;
use std::time::Instant;
use tower_http::compression::CompressionLayer;
use tracing::Instrument;

const DIRECTORY: &str = "/.well-known/private-token-issuer-directory";
const TOKEN_KEY: &str = "/token-key-for-user-token";

/// A response, and the number of bytes that were read for it.
pub(crate) struct Reply {
    received: usize,
    response: Response,
}

impl Reply {
    fn of(received: usize, response: Response) -> Self {
        Self { received, response }
    }

    /// The same response, which counts in the memory of its request's body until it was sent.
    fn holding(mut self, held: Arc<Held>) -> Self {
        self.response.extensions_mut().insert(HeldAnswer(held));
        self
    }
}

/// Where the memory of a response counts, as an extension of it.
#[derive(Clone)]
pub(crate) struct HeldAnswer(pub(crate) Arc<Held>);

/// Length of a request's body, as an extension of its response.
#[derive(Clone, Copy)]
struct Received(usize);

impl IntoResponse for Reply {
    fn into_response(mut self) -> Response {
        self.response.extensions_mut().insert(Received(self.received));
        self.response
    }
}

/// That nothing counts the memory of a response, although its request was no GET, as an extension of the response.
#[derive(Clone, Copy)]
pub(crate) struct UncountedAnswer;

/// Length of the body of a response before it is compressed, as an extension of the response.
#[derive(Clone, Copy)]
pub(crate) struct AnswerBytes(pub(crate) usize);

/// Marks a response whose bytes are in memory once for all requests, as an extension of the response.
#[derive(Clone, Copy)]
pub(crate) struct SharedAnswer;

/// Marks a response that is worth compressing. All others are ciphertexts, keys or tokens.
#[derive(Clone, Copy)]
struct Compressible;

/// A response with a protobuf message.
fn protobuf(message: &impl Message) -> Response {
    let mut response = message.encode_to_vec().into_response();
    let media = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}

/// The refusal for a body that a parser refused.
fn invalid(error: impl std::fmt::Display) -> Refusal {
    Refusal::Invalid(error.to_string())
}

/// Whether `Content-Type` has this media type, with any parameters.
fn has_media_type(headers: &HeaderMap, media: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case(media)
}

fn endpoint(request: &Request, reports: &str) -> Endpoint {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match path {
        DIRECTORY => Endpoint::Directory,
        TOKEN_KEY => Endpoint::TokenKey,
        "/issue" => Endpoint::Issue,
        "/config" => Endpoint::Config,
        "/key" => Endpoint::Key,
        "/queries" => Endpoint::Queries,
        path if path == reports => Endpoint::Report,
        filter::PATH | filter::LEVEL_PATH => Endpoint::Filter,
        gateway::PATH => Endpoint::Gateway,
        _ => Endpoint::Other,
    }
}

/// Limits the time of a request, measures it, and logs it.
async fn watch(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let endpoint = endpoint(&request, service.report_path());
    let span = traces::request(endpoint);
    let limit = service.limits().request_timeout;
    let answer = tokio::time::timeout(limit, next.run(request)).instrument(span.clone()).await;
    let mut response = answer.unwrap_or_else(|_| Refusal::Timeout.into_response());
    let (status, time) = (response.status().as_u16(), start.elapsed());
    let received = response.extensions().get().map_or(0, |Received(bytes)| *bytes);
    let sent = response.body().size_hint().exact().unwrap_or(0);
    response.extensions_mut().insert(AnswerBytes(usize::try_from(sent).unwrap_or(usize::MAX)));
    traces::answered(&span, status, received as u64, sent);
    service.metrics().answered(endpoint, status, time, received as u64, sent);
    service.traffic().count(service.now(), endpoint, status, time);
    if response.status() == http::StatusCode::SERVICE_UNAVAILABLE {
        service.metrics().refused_busy(endpoint);
    }
    let milliseconds = time.as_secs_f64() * 1e3;
    tracing::debug!(endpoint = endpoint.name(), status, milliseconds, received, sent, "answered");
    response
}

async fn alive() -> &'static str {
    "ok\n"
}

/// Whether a load balancer should send requests to this node.
pub(crate) async fn readiness(State(service): State<Arc<Service>>) -> Response {
    let readiness = service.readiness();
    let status = match readiness.is_ready() {
        true => http::StatusCode::OK,
        false => http::StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{readiness}\n")).into_response()
}

/// Health checks for load balancers. They are not counted in the metrics.
pub(crate) fn health(service: &Arc<Service>) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(readiness))
        .with_state(Arc::clone(service))
}

/// The router with all endpoints of the device API, the gateway and the health checks.
pub fn router(service: &Arc<Service>) -> Router {
    let compressible =
        |_: http::StatusCode, _: http::Version, _: &http::HeaderMap, marks: &http::Extensions| {
            marks.get::<Compressible>().is_some()
        };
    let devices = Router::new()
        .route(DIRECTORY, get(issuance::directory))
        .route(TOKEN_KEY, get(issuance::token_key))
        .route("/issue", post(issuance::issue))
        .route("/config", post(config::config).get(config::public))
        .route("/key", post(key::key))
        .route("/queries", post(queries::queries))
        .route(service.report_path(), post(report::report))
        .fallback(async || Refusal::NotFound)
        .method_not_allowed_fallback(async || Refusal::Method)
        .layer(middleware::from_fn_with_state(Arc::clone(service), watch))
        .layer(CompressionLayer::new().compress_when(compressible))
        .with_state(Arc::clone(service));
    // Requests through the gateway reach the endpoints of devices, and nothing else.
    let gateway = gateway::router(service, devices.clone())
        .layer(middleware::from_fn_with_state(Arc::clone(service), watch));
    let prefilters = Router::new()
        .route(filter::PATH, get(filter::filter))
        .route(filter::LEVEL_PATH, get(filter::level))
        .layer(middleware::from_fn_with_state(Arc::clone(service), watch))
        .with_state(Arc::clone(service));
    devices.merge(prefilters).merge(gateway).merge(health(service))
}
