//! Fetching tokens from an issuer.

use super::age::age_at;
use super::caller::HttpCaller;
use crate::endpoint::Party;
use crate::endpoint::{AddressError, DIRECTORY_PATH, Endpoint, endpoint_url};
use crate::error::{Error, ResponseError};
use crate::state::{OtherIssuerKey, SeenIssuerKey};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Uri};
use privacy_pass::{
    IssuerDirectory, MODULUS_BYTES, PendingToken, PublicKey, TOKEN_TYPE, Token, TokenChallenge,
};
use sha2::{Digest, Sha256};
use std::time::Duration;
use unix_clock::Timestamp;
use url::Url;
use zeroize::Zeroizing;

/// Longest directory, in bytes.
const MAX_DIRECTORY: usize = 1 << 20;
/// Largest number of keys in a directory that may be used at one time: an issuer has one for each tier of
/// its users, and during a rotation two. With a key for each user it could tell its users apart.
const MAX_LIVE_KEYS: usize = 16;

/// For how long a key must have been in every directory that was fetched before it is used: with a new key every minute, the
/// key of a token would name the minute in which it was issued. Issuers publish keys ahead, `pir-server` for two days.
const MIN_SEEN: Duration = Duration::from_secs(24 * 3600);
/// Shortest time between two changes of the key that are accepted: an issuer whose keys change each week is followed.
const MIN_KEY_INTERVAL: Duration = Duration::from_secs(6 * 24 * 3600);
/// Largest number of keys that may follow: those of three tiers, and one more.
const MAX_OTHER_KEYS: usize = 4;
/// After so long without any attempt to fetch tokens, a client begins with the key that there is, as at its first start. Nobody
/// but its user can bring that about.
const ABSENCE: Duration = Duration::from_secs(2 * 24 * 3600);

/// What an issuer's directory offers: the key that everyone uses, and where tokens are requested.
pub(crate) struct Offer {
    key: PublicKey,
    upcoming: Vec<[u8; 32]>,
    address: Uri,
}

impl Offer {
    pub(crate) fn shown(&self) -> Shown {
        Shown { key: digest(&self.key), upcoming: self.upcoming.clone() }
    }
}

/// The keys of a directory at one time, by their SHA-256.
pub(crate) struct Shown {
    /// The first that may be used.
    pub(super) key: [u8; 32],
    /// Those that may be used later.
    pub(super) upcoming: Vec<[u8; 32]>,
}

fn digest(key: &PublicKey) -> [u8; 32] {
    Sha256::digest(key.spki()).into()
}

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

    /// Fetches the directory, without the user token, and compares it with its mirror if there is one.
    ///
    /// The key is the first valid one, the one that devices use from iOS 27.3 on: an issuer cannot choose a
    /// key for one user. Compare it with what was seen before by [`compare`].
    pub(crate) async fn offer(&self, caller: &HttpCaller, now: Timestamp) -> Result<Offer, Error> {
        let directory = Self::directory(caller, Endpoint::Directory, &self.directory_url).await?;
        let key = one_key(&directory, now)?;
        if let Some(mirror) = &self.mirror {
            let other = Self::directory(caller, Endpoint::DirectoryMirror, mirror).await?;
            if one_key(&other, now)? != key {
                return Err(Error::IssuerKeyMirror);
            }
        }
        let address = self.issue_address(&directory).map_err(|e| e.at(Endpoint::Directory))?;
        Ok(Offer { key, upcoming: upcoming(&directory, now), address })
    }

    /// Fetches a number of tokens, all at the same time, and waits for them no longer than a span of time. Each is given to `keep`
    /// when it comes, so that whoever stops waiting loses none of those that came.
    ///
    /// # Errors
    /// If none could be fetched, [`Error::Deadline`] if none came in time.
    pub(crate) async fn fetch(
        &self,
        caller: &HttpCaller,
        offer: &Offer,
        count: usize,
        max_wait: Duration,
        keep: impl Fn(Token),
    ) -> Result<(), Error> {
        let requests = (0..count).map(|_| self.issue(caller, &offer.key, &offer.address));
        let (mut kept, mut failure) = (0, None);
        let collect = async {
            let mut requests: FuturesUnordered<_> = requests.collect();
            while let Some(outcome) = requests.next().await {
                match outcome {
                    Ok(token) => {
                        keep(token);
                        caller.counters.fetched_tokens(1);
                        kept += 1;
                    }
                    Err(error) => failure = Some(error),
                }
            }
        };
        let is_late = caller.io.timeout(max_wait, collect).await.is_none();
        match failure.or(is_late.then_some(Error::Deadline)) {
            Some(error) if kept == 0 => Err(error),
            _ => Ok(()),
        }
    }

    async fn directory(
        caller: &HttpCaller,
        endpoint: Endpoint,
        url: &Uri,
    ) -> Result<IssuerDirectory, Error> {
        let mut request = request(Method::GET, url, Bytes::new());
        let media = HeaderValue::from_static(IssuerDirectory::MEDIA_TYPE);
        request.headers_mut().insert(ACCEPT, media);
        let body = caller.send(endpoint, &request, MAX_DIRECTORY).await?;
        serde_json::from_slice(&body).map_err(|error| {
            ResponseError::Directory { line: error.line(), column: error.column() }.at(endpoint)
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

/// The keys that are published ahead. One that cannot be read is none.
fn upcoming(directory: &IssuerDirectory, now: Timestamp) -> Vec<[u8; 32]> {
    let keys = directory.token_keys.iter().filter(|key| !key.is_valid_at(now));
    keys.take(MAX_OTHER_KEYS).filter_map(|key| Some(digest(&key.public_key().ok()?))).collect()
}

/// Whether a client was away for so long that it begins anew with the key that there is.
pub(super) fn was_away(tried_at: Option<Timestamp>, now: Timestamp) -> bool {
    tried_at.and_then(|time| age_at(now, time)).is_some_and(|age| age >= ABSENCE)
}

/// Compares the keys of a directory with those that were seen before: what is to be remembered, and whether the first key is
/// used. An issuer that shows other keys at other times, or to other users, must not mark tokens by them; so a key is used once
/// it was in every directory for [`MIN_SEEN`].
///
/// # Errors
/// [`Error::IssuerKeyUnannounced`], [`Error::IssuerKeyChanged`].
pub(super) fn compare(
    shown: &Shown,
    seen: Option<&SeenIssuerKey>,
    was_away: bool,
    now: Timestamp,
) -> (SeenIssuerKey, Result<(), Error>) {
    let begin = || SeenIssuerKey { digest: shown.key, ..SeenIssuerKey::default() };
    let mut new = match seen {
        Some(seen) if seen.digest == shown.key || !was_away => seen.clone(),
        _ => begin(),
    };
    // One that was away for a while is noticed as new.
    let known = std::mem::take(&mut new.others);
    let keys = std::iter::once(&shown.key).chain(&shown.upcoming);
    for &digest in keys.filter(|key| **key != new.digest).take(MAX_OTHER_KEYS) {
        let earlier = known.iter().find(|other| other.digest == digest);
        let earlier = earlier.filter(|other| age_at(now, other.seen_at).is_some());
        new.others.push(earlier.copied().unwrap_or(OtherIssuerKey { digest, seen_at: now }));
    }
    if new.digest == shown.key {
        return (new, Ok(()));
    }
    let is_old = |time, least| age_at(now, time).is_some_and(|age| age >= least);
    let seen_at = new.others.iter().find(|other| other.digest == shown.key);
    if !seen_at.is_some_and(|other| is_old(other.seen_at, MIN_SEEN)) {
        return (new, Err(Error::IssuerKeyUnannounced));
    }
    if new.changed_at.is_some_and(|time| !is_old(time, MIN_KEY_INTERVAL)) {
        return (new, Err(Error::IssuerKeyChanged));
    }
    new.others.retain(|other| other.digest != shown.key);
    (SeenIssuerKey { digest: shown.key, changed_at: Some(now), others: new.others }, Ok(()))
}

fn unauthorized(error: Error) -> Error {
    match error {
        Error::Status { status: 401 | 403, .. } => Error::UserToken,
        other => other,
    }
}
