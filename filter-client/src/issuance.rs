//! Fetching tokens from an issuer.

use crate::calls::{Calls, below};
use crate::error::Error;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use privacy_pass::{
    IssuerDirectory, MODULUS_BYTES, PendingToken, PublicKey, Token, TokenChallenge,
};
use std::sync::atomic::Ordering;
use std::time::Instant;
use unix_clock::Timestamp;
use url::Url;
use zeroize::Zeroizing;

const DIRECTORY: &str = "the issuer directory";
const TOKEN_KEY: &str = "the token key";
const ISSUE: &str = "a token";
/// Longest directory and key.
const MAX_BODY: usize = 1 << 20;
/// Entries of a directory that are looked at.
const MAX_KEYS: usize = 1000;

/// An issuer and who asks it.
pub(crate) struct Issuer {
    url: Url,
    authorization: HeaderValue,
    challenge: TokenChallenge,
}

fn request(method: Method, uri: http::Uri, body: Bytes) -> http::Request<Bytes> {
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request
}

impl Issuer {
    /// The challenge is the one that devices make: the issuer's name and nothing else.
    pub(crate) fn new(url: Url, user_token: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Address { what: "the issuer", reason: reason.to_owned() };
        let host = url.host_str().ok_or_else(|| wrong("it names no host"))?;
        let challenge = TokenChallenge::for_issuer(host)?;
        let header = Zeroizing::new(format!("Bearer {user_token}"));
        let mut authorization = HeaderValue::from_str(&header).map_err(|_| Error::UserToken)?;
        authorization.set_sensitive(true);
        Ok(Self { url, authorization, challenge })
    }

    /// Fetches some tokens, at once.
    pub(crate) async fn fetch(
        &self,
        calls: &Calls,
        count: usize,
        now: u64,
    ) -> Result<Vec<Token>, Error> {
        let directory = self.directory(calls).await?;
        let key = match self.key(calls).await? {
            Some(key) => key,
            None => directory.key_at(Timestamp::from_unix_seconds(now))?,
        };
        let listed = directory.token_keys.iter().take(MAX_KEYS).any(|entry| {
            entry.is_valid_at(Timestamp::from_unix_seconds(now))
                && entry.public_key().is_ok_and(|listed| listed == key)
        });
        if !listed {
            return Err(Error::IssuerKey);
        }
        let address = self.issue_address(&directory)?;
        let tokens = (0..count).map(|_| self.issue(calls, &key, &address));
        let tokens = try_join_all(tokens).await?;
        calls.counters.tokens_fetched.fetch_add(tokens.len() as u64, Ordering::Relaxed);
        Ok(tokens)
    }

    async fn directory(&self, calls: &Calls) -> Result<IssuerDirectory, Error> {
        let uri = below(&self.url, "/.well-known/private-token-issuer-directory");
        let mut request = request(Method::GET, uri, Bytes::new());
        let media = HeaderValue::from_static(IssuerDirectory::MEDIA_TYPE);
        request.headers_mut().insert(ACCEPT, media);
        let body = calls.call(DIRECTORY, &request, MAX_BODY).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Error::Response { endpoint: DIRECTORY, reason: error.to_string() })
    }

    /// The key for this user; none if the issuer has one for all, the first of its directory.
    async fn key(&self, calls: &Calls) -> Result<Option<PublicKey>, Error> {
        let uri = below(&self.url, "/token-key-for-user-token");
        let mut request = request(Method::GET, uri, Bytes::new());
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        match calls.call(TOKEN_KEY, &request, MAX_BODY).await {
            Ok(body) => Ok(Some(PublicKey::from_spki(&body)?)),
            Err(Error::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(unauthorized(error)),
        }
    }

    /// Where tokens are asked for: relative to the directory, or absolute. Never without TLS if the
    /// issuer has it.
    fn issue_address(&self, directory: &IssuerDirectory) -> Result<http::Uri, Error> {
        let wrong =
            |reason: &str| Error::Response { endpoint: DIRECTORY, reason: reason.to_owned() };
        let relative = &directory.issuer_request_uri;
        let address = match relative.starts_with('/') {
            true => return Ok(below(&self.url, relative)),
            false => self.url.join(relative).map_err(|_| wrong("issuer-request-uri is no URL"))?,
        };
        if address.scheme() != "https" && self.url.scheme() == "https" {
            return Err(wrong("issuer-request-uri has no TLS, and the issuer has"));
        }
        address.as_str().parse().map_err(|_| wrong("issuer-request-uri is no URL"))
    }

    async fn issue(
        &self,
        calls: &Calls,
        key: &PublicKey,
        address: &http::Uri,
    ) -> Result<Token, Error> {
        let begun = Instant::now();
        let pending = PendingToken::new(&self.challenge, key)?;
        calls.counters.computed(begun.elapsed());
        let body = Bytes::from(pending.request().to_bytes());
        let mut request = request(Method::POST, address.clone(), body);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        let media = HeaderValue::from_static("application/private-token-request");
        headers.insert(CONTENT_TYPE, media);
        // The same request again asks for the same token again.
        let body = calls.call(ISSUE, &request, MODULUS_BYTES).await.map_err(unauthorized)?;
        let begun = Instant::now();
        let token = pending.finalize(&body)?;
        calls.counters.computed(begun.elapsed());
        Ok(token)
    }
}

fn unauthorized(error: Error) -> Error {
    match error {
        Error::Status { status: 401 | 403, .. } => Error::UserToken,
        other => other,
    }
}
