//! Fetching tokens from an issuer.

use crate::caller::HttpCaller;
use crate::endpoint::{AddressError, Endpoint, endpoint_url};
use crate::error::{Error, Party, ResponseError};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Uri};
use privacy_pass::{
    IssuerDirectory, MODULUS_BYTES, PendingToken, PublicKey, Token, TokenChallenge,
};
use std::time::Instant;
use unix_clock::Timestamp;
use url::Url;
use zeroize::Zeroizing;

/// Longest directory and longest token key, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Largest number of directory entries that are compared with the user's key.
const MAX_KEYS: usize = 1000;

/// An issuer, and the user token that it is asked with.
pub(crate) struct Issuer {
    url: Url,
    directory_url: Uri,
    token_key_url: Uri,
    authorization: HeaderValue,
    challenge: TokenChallenge,
}

fn request(method: Method, uri: &Uri, body: Bytes) -> http::Request<Bytes> {
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri.clone();
    request
}

impl Issuer {
    /// The challenge is the one that devices make: the issuer's name and nothing else.
    pub(crate) fn new(url: Url, user_token: &str) -> Result<Self, Error> {
        let wrong = |source| Error::Address { party: Party::Issuer, source };
        let host = url.host_str().ok_or_else(|| wrong(AddressError::Scheme))?;
        let challenge = TokenChallenge::for_issuer(host)?;
        let endpoint =
            |endpoint: Endpoint| endpoint_url(&url, endpoint.path().unwrap_or("")).map_err(wrong);
        let (directory_url, token_key_url) =
            (endpoint(Endpoint::Directory)?, endpoint(Endpoint::TokenKey)?);
        let header = Zeroizing::new(format!("Bearer {user_token}"));
        let mut authorization = HeaderValue::from_str(&header).map_err(|_| Error::UserToken)?;
        authorization.set_sensitive(true);
        Ok(Self { url, directory_url, token_key_url, authorization, challenge })
    }

    /// Fetches a number of tokens, all at the same time.
    pub(crate) async fn fetch(
        &self,
        caller: &HttpCaller,
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<Token>, Error> {
        let directory = self.directory(caller).await?;
        let key = match self.key(caller).await? {
            Some(key) => key,
            None => directory.key_at(now)?,
        };
        let is_listed = directory.token_keys.iter().take(MAX_KEYS).any(|entry| {
            entry.is_valid_at(now) && entry.public_key().is_ok_and(|listed| listed == key)
        });
        if !is_listed {
            return Err(Error::IssuerKey);
        }
        let address = self.issue_address(&directory).map_err(|e| e.at(Endpoint::Directory))?;
        let tokens = (0..count).map(|_| self.issue(caller, &key, &address));
        let tokens = try_join_all(tokens).await?;
        caller.counters.fetched_tokens(tokens.len());
        Ok(tokens)
    }

    async fn directory(&self, caller: &HttpCaller) -> Result<IssuerDirectory, Error> {
        let mut request = request(Method::GET, &self.directory_url, Bytes::new());
        let media = HeaderValue::from_static(IssuerDirectory::MEDIA_TYPE);
        request.headers_mut().insert(ACCEPT, media);
        let body = caller.send(Endpoint::Directory, &request, MAX_BODY).await?;
        serde_json::from_slice(&body).map_err(|error| {
            ResponseError::Directory { line: error.line(), column: error.column() }
                .at(Endpoint::Directory)
        })
    }

    /// The key for this user; `None` if the issuer has one key for all, the first of its directory.
    async fn key(&self, caller: &HttpCaller) -> Result<Option<PublicKey>, Error> {
        let mut request = request(Method::GET, &self.token_key_url, Bytes::new());
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        match caller.send(Endpoint::TokenKey, &request, MAX_BODY).await {
            Ok(body) => Ok(Some(PublicKey::from_spki(&body)?)),
            Err(Error::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(unauthorized(error)),
        }
    }

    /// Where tokens are requested: an absolute URL, or one relative to the directory. If the issuer has
    /// TLS, so must this address.
    fn issue_address(&self, directory: &IssuerDirectory) -> Result<Uri, ResponseError> {
        let relative = &directory.issuer_request_uri;
        if relative.starts_with('/') {
            return endpoint_url(&self.url, relative).map_err(ResponseError::IssuerRequestUri);
        }
        let address = self.url.join(relative).map_err(AddressError::Syntax);
        let address = address.map_err(ResponseError::IssuerRequestUri)?;
        if address.scheme() != "https" && self.url.scheme() == "https" {
            return Err(ResponseError::IssuerRequestUriWithoutTls);
        }
        let uri = address.as_str().parse();
        uri.map_err(|_| ResponseError::IssuerRequestUri(AddressError::Uri))
    }

    async fn issue(
        &self,
        caller: &HttpCaller,
        key: &PublicKey,
        address: &Uri,
    ) -> Result<Token, Error> {
        let start = Instant::now();
        let pending = PendingToken::new(&self.challenge, key)?;
        caller.counters.computed(start.elapsed());
        let body = Bytes::from(pending.request().to_bytes());
        let mut request = request(Method::POST, address, body);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        let media = HeaderValue::from_static("application/private-token-request");
        headers.insert(CONTENT_TYPE, media);
        // Repeating the request is safe: it asks for the same token.
        let body = caller.send(Endpoint::Issue, &request, MODULUS_BYTES).await;
        let body = body.map_err(unauthorized)?;
        let start = Instant::now();
        let token = pending.finalize(&body)?;
        caller.counters.computed(start.elapsed());
        Ok(token)
    }
}

fn unauthorized(error: Error) -> Error {
    match error {
        Error::Status { status: 401 | 403, .. } => Error::UserToken,
        other => other,
    }
}
