//! Why a request is refused, and what its client is told.
//!
//! Each reason has one status, see [`Refusal::status`]. Bodies have the form that devices log,
//! `{"error":{"message":…}}`, and contain nothing that a request brought.

use crate::blocking::TaskFailed;
use crate::endpoints::body::BodyError;
use crate::key_cache::KeyMemoryExhausted;
use crate::metrics::TokenRefusal;
use crate::store::StoreError;
use crate::user_tokens::HookError;
use crate::work::{QueueFull, WorkError};
use axum::response::{IntoResponse, Response};
use error_reporter::Report;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use std::time::Duration;

/// Value of `Retry-After`, in seconds.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The user token is unknown.
    #[error("User token is unauthorized")]
    UserToken,
    /// There is no user token at all: a proxy may have removed it.
    #[error("no Authorization header with a user token")]
    NoUserToken,
    /// The program or address that decides about the user token does not answer. Logged where it is asked.
    #[error("user tokens cannot be checked at the moment")]
    UserTokenHook(#[from] HookError),
    /// The Privacy Pass token is not accepted.
    #[error("{}", token_message(*.0))]
    Token(TokenRefusal),
    /// The body is not a valid token request.
    #[error(transparent)]
    TokenRequest(privacy_pass::Error),
    /// The token request names a key that users of this tier may not have tokens of.
    #[error("the token request names a key that is not the tier's")]
    OtherTier,
    /// The user has had as many tokens as the limit allows. The next one is allowed after this time.
    #[error("no more tokens for this user at the moment")]
    TooManyTokens(Duration),
    /// The header of this name is missing, not text, or too long.
    #[error("missing or unusable '{0}' header")]
    Header(&'static str),
    /// The body cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is not valid, for this reason.
    #[error("{0}")]
    Invalid(String),
    /// The body has another media type than this one.
    #[error("the content must be {0}")]
    MediaType(&'static str),
    /// The request has more parts than this number.
    #[error("more than {0} in one request")]
    TooMany(usize),
    /// A configuration request names a use case that does not exist.
    #[error("one or more use cases are not known here")]
    NoUseCase,
    /// A query names a use case that does not exist.
    #[error("unknown use case")]
    QueryUseCase,
    /// Nothing was published yet of the use case.
    #[error("nothing was published yet, try again")]
    NotPublished,
    /// A query was made for a version of this use case that is no longer served.
    #[error("the configuration is not available any more; fetch it again")]
    Gone(String),
    /// The client's system cannot read the configuration.
    #[error("this system's version cannot use the sharding function of the use case")]
    OldSystem,
    /// The client has uploaded no evaluation key for a query.
    #[error("Evaluation key not found")]
    NoEvaluationKey,
    /// The request uses a part of the protocol that this service does not implement.
    #[error("{0}")]
    NotImplemented(&'static str),
    /// The queue of work is full, or the memory for evaluation keys.
    #[error("busy, try again")]
    Busy,
    /// The store failed. Nothing was accepted.
    #[error("temporarily not available, try again")]
    Store(#[from] StoreError),
    /// The request waited for so long that its client has given up. Its work was not done.
    #[error("waited for too long, try again")]
    Late,
    /// The request was not answered within its time limit.
    #[error("not finished in time, try again")]
    Timeout,
    /// The service failed.
    #[error("internal error")]
    Internal,
    /// The path does not exist.
    #[error("not found")]
    NotFound,
    /// The path exists for other methods.
    #[error("method not allowed")]
    Method,
}

fn token_message(reason: TokenRefusal) -> &'static str {
    match reason {
        TokenRefusal::Missing => "no private token",
        TokenRefusal::UnknownKey => "the token's key is not known, or not accepted any more",
        TokenRefusal::Spent => "the token was spent before",
        TokenRefusal::InUse => "another request with the token is in progress",
        _ => "the token did not pass verification",
    }
}

impl From<TaskFailed> for Refusal {
    fn from(_: TaskFailed) -> Self {
        Self::Internal
    }
}

impl From<QueueFull> for Refusal {
    fn from(QueueFull: QueueFull) -> Self {
        Self::Busy
    }
}

impl From<KeyMemoryExhausted> for Refusal {
    fn from(KeyMemoryExhausted: KeyMemoryExhausted) -> Self {
        Self::Busy
    }
}

impl From<WorkError> for Refusal {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Late => Self::Late,
            WorkError::Panicked | WorkError::NotReserved { .. } => Self::Internal,
        }
    }
}

impl Refusal {
    /// The status of the response.
    #[must_use]
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::UserToken | Self::NoUserToken | Self::Token(_) => StatusCode::UNAUTHORIZED,
            // RFC 9578, section 6.2.
            Self::TokenRequest(_) | Self::OtherTier => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Header(_)
            | Self::Invalid(_)
            | Self::TooMany(_)
            | Self::QueryUseCase
            | Self::NoEvaluationKey => StatusCode::BAD_REQUEST,
            Self::TooManyTokens(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyError::TooLong(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Slow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::Broken) => StatusCode::BAD_REQUEST,
            Self::Body(BodyError::NoRoom)
            | Self::UserTokenHook(_)
            | Self::Busy
            | Self::NotPublished
            | Self::Store(_)
            | Self::Late
            | Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoUseCase | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Gone(_) => StatusCode::GONE,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::OldSystem | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // Failures of the service are for the operator; the client is not told their causes.
        match &self {
            Self::Store(error) => tracing::error!(error = %Report::new(error), "the store failed"),
            Self::Internal => tracing::error!("a request failed with an internal error"),
            _ => {}
        }
        let status = self.status();
        let body = serde_json::json!({ "error": { "message": self.to_string() } });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        if let Self::TooManyTokens(after) = self {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        } else if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_SECONDS);
        }
        response
    }
}
