//! Fetching tokens from an issuer.

use super::caller::HttpCaller;
use crate::endpoint::{AddressError, DIRECTORY_PATH, Endpoint, endpoint_url};
use crate::error::{Error, Party, ResponseError};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Uri};
use privacy_pass::{
    IssuerDirectory, MODULUS_BYTES, PendingToken, PublicKey, TOKEN_TYPE, Token, TokenChallenge,
};
use unix_clock::Timestamp;
use url::Url;
use zeroize::Zeroizing;

/// Longest directory, in bytes.
const MAX_DIRECTORY: usize = 1 << 20;
/// Largest number of keys in a directory that may be used at one time: an issuer has one for each tier of
/// its users, and during a rotation two. With a key for each user it could tell its users apart.
const MAX_LIVE_KEYS: usize = 16;

/// An issuer, and the user token that it is asked with.
pub(crate) struct Issuer {
    url: Url,
    directory_url: Uri,
    /// Another place that has the same directory.
    mirror: Option<Uri>,
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
    pub(crate) fn new(url: Url, mirror: Option<Uri>, user_token: &str) -> Result<Self, Error> {
        let wrong = |source| Error::Address { party: Party::Issuer, source };
        let host = url.host_str().ok_or_else(|| wrong(AddressError::Scheme))?;
        let challenge = TokenChallenge::for_issuer(host)?;
        let directory_url = endpoint_url(&url, DIRECTORY_PATH).map_err(wrong)?;
        let header = Zeroizing::new(format!("Bearer {user_token}"));
        let mut authorization = HeaderValue::from_str(&header).map_err(|_| Error::UserToken)?;
        authorization.set_sensitive(true);
        Ok(Self { url, directory_url, mirror, authorization, challenge })
    }

    /// Fetches a number of tokens, all at the same time.
    ///
    /// They are signed by the first valid key of the directory, the one that devices use from iOS 27.3 on:
    /// an issuer cannot choose a key for one user. The directory is fetched without the user token, and
    /// compared with its mirror if there is one.
    pub(crate) async fn fetch(
        &self,
        caller: &HttpCaller,
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<Token>, Error> {
        let directory = Self::directory(caller, &self.directory_url).await?;
        let key = one_key(&directory, now)?;
        if let Some(mirror) = &self.mirror {
            let other = Self::directory(caller, mirror).await?;
            if one_key(&other, now)? != key {
                return Err(Error::IssuerKeyMirror);
            }
        }
        let address = self.issue_address(&directory).map_err(|e| e.at(Endpoint::Directory))?;
        let tokens = (0..count).map(|_| self.issue(caller, &key, &address));
        let tokens = try_join_all(tokens).await?;
        caller.counters.fetched_tokens(tokens.len());
        Ok(tokens)
    }

    async fn directory(caller: &HttpCaller, url: &Uri) -> Result<IssuerDirectory, Error> {
        let mut request = request(Method::GET, url, Bytes::new());
        let media = HeaderValue::from_static(IssuerDirectory::MEDIA_TYPE);
        request.headers_mut().insert(ACCEPT, media);
        let body = caller.send(Endpoint::Directory, &request, MAX_DIRECTORY).await?;
        serde_json::from_slice(&body).map_err(|error| {
            ResponseError::Directory { line: error.line(), column: error.column() }
                .at(Endpoint::Directory)
        })
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
        let pending = PendingToken::new(&self.challenge, key)?;
        let body = Bytes::from(pending.request().to_bytes());
        let mut request = request(Method::POST, address, body);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        let media = HeaderValue::from_static("application/private-token-request");
        headers.insert(CONTENT_TYPE, media);
        // Repeating the request is safe: it asks for the same token.
        let body = caller.send(Endpoint::Issue, &request, MODULUS_BYTES).await;
        let body = body.map_err(unauthorized)?;
        Ok(pending.finalize(&body)?)
    }
}

/// The key that everyone uses.
///
/// # Errors
/// [`Error::IssuerKeys`] if there are so many that each could be one user's, [`Error::IssuerKey`] if there is
/// none.
fn one_key(directory: &IssuerDirectory, now: Timestamp) -> Result<PublicKey, Error> {
    let is_live =
        |key: &&privacy_pass::DirectoryKey| key.token_type == TOKEN_TYPE && key.is_valid_at(now);
    let found = directory.token_keys.iter().filter(is_live).count();
    match found {
        0 => Err(Error::IssuerKey),
        1..=MAX_LIVE_KEYS => Ok(directory.key_at(now)?),
        _ => Err(Error::IssuerKeys { found, max: MAX_LIVE_KEYS }),
    }
}

fn unauthorized(error: Error) -> Error {
    match error {
        Error::Status { status: 401 | 403, .. } => Error::UserToken,
        other => other,
    }
}
