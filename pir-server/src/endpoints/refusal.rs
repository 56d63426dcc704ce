//! Why a request is not answered as it wished, and what its sender is told.
//!
//! Each reason has one status here. Bodies have the form that devices log, `{"error":{"message":…}}`,
//! and never anything that a request brought.

use crate::causes::WithCauses;
use crate::endpoints::body::BodyError;
use crate::metrics::TokenRefusal;
use crate::store::StoreError;
use crate::user_tokens::HookError;
use crate::work::{Full, WorkError};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

/// Seconds after which it is worth trying again.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No user token, or one that nobody knows.
    #[error("User token is unauthorized")]
    UserToken,
    /// Nobody can be asked about the user token.
    #[error("user tokens cannot be checked at the moment")]
    UserTokenHook(#[from] HookError),
    /// The Privacy Pass token is not good.
    #[error("{}", token_message(*.0))]
    Token(TokenRefusal),
    /// A token request that is not one.
    #[error(transparent)]
    TokenRequest(privacy_pass::Error),
    /// A token of a key that the user token's tier does not have.
    #[error("the token request names a key that is not the tier's")]
    OtherTier,
    /// A header is missing, or is no text, or too long.
    #[error("missing or unusable '{0}' header")]
    Header(&'static str),
    /// The body could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body means nothing.
    #[error("{0}")]
    Invalid(String),
    /// The body is of another kind.
    #[error("the content must be {0}")]
    MediaType(&'static str),
    /// Too many parts in one request.
    #[error("more than {0} in one request")]
    TooMany(usize),
    /// A configuration was asked for and there is none of that name.
    #[error("one or more use cases are not known here")]
    NoUseCase,
    /// A query names a use case that is not known.
    #[error("unknown use case")]
    QueryUseCase,
    /// A query was made for a configuration of that use case that is gone.
    #[error("the configuration is not available any more; fetch it again")]
    Gone(String),
    /// A system cannot read the configuration.
    #[error("this system's version cannot use the sharding function of the use case")]
    OldSystem,
    /// There is no evaluation key for a query.
    #[error("Evaluation key not found")]
    NoEvaluationKey,
    /// A part of the protocol that this service does not have.
    #[error("{0}")]
    NotImplemented(&'static str),
    /// Every core has enough to do.
    #[error("busy, try again")]
    Busy,
    /// The state cannot be read or written. Nothing was accepted.
    #[error("temporarily not available, try again")]
    Store(#[from] StoreError),
    /// The answer did not come in time.
    #[error("not finished in time, try again")]
    Timeout,
    /// The service is broken.
    #[error("internal error")]
    Internal,
    /// No such path.
    #[error("not found")]
    NotFound,
    /// The path has other methods.
    #[error("method not allowed")]
    Method,
}

fn token_message(reason: TokenRefusal) -> &'static str {
    match reason {
        TokenRefusal::Missing => "no private token",
        TokenRefusal::UnknownKey => "the token's key is not known, or not accepted any more",
        TokenRefusal::Spent => "the token was spent before",
        _ => "the token did not pass verification",
    }
}

impl From<Full> for Refusal {
    fn from(Full: Full) -> Self {
        Self::Busy
    }
}

impl From<WorkError> for Refusal {
    fn from(_: WorkError) -> Self {
        Self::Internal
    }
}

impl Refusal {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UserToken | Self::Token(_) => StatusCode::UNAUTHORIZED,
            // RFC 9578, section 6.2.
            Self::TokenRequest(_) | Self::OtherTier => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Header(_)
            | Self::Invalid(_)
            | Self::TooMany(_)
            | Self::QueryUseCase
            | Self::NoEvaluationKey => StatusCode::BAD_REQUEST,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyError::TooLong(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Slow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::Broken) => StatusCode::BAD_REQUEST,
            Self::Body(BodyError::NoRoom)
            | Self::UserTokenHook(_)
            | Self::Busy
            | Self::Store(_)
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
        // What failed here is for the operator to know, and is not told outside.
        match &self {
            Self::Store(error) => tracing::error!(error = %WithCauses(error), "the store failed"),
            Self::UserTokenHook(error) => tracing::error!(%error, "user tokens cannot be checked"),
            Self::Internal => tracing::error!("a request failed inside"),
            _ => {}
        }
        let status = self.status();
        let body = serde_json::json!({ "error": { "message": self.to_string() } });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_SECONDS);
        }
        response
    }
}
