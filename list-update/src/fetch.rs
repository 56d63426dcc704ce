//! Sources with addresses: conditional requests, within limits of time and size, to the open internet alone.

#[cfg(test)]
mod tests;

use crate::address::is_public;
use crate::configuration::List;
use crate::copies::PendingCopy;
use crate::error::{FetchError, UpdateError};
use crate::folders::Folders;
use crate::state::SourceCopy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    DATE, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use unix_clock::Timestamp;
use url::{Host, Url};

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most redirects in a row.
const MAX_REDIRECTS: usize = 5;
/// How much older than its answer content must be for its time to tell it from later content.
const MIN_AGE: Duration = Duration::from_secs(1);
/// Longest validator that is kept, in bytes.
const MAX_VALIDATOR: usize = 1024;

/// Which addresses may be fetched from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// Those of the open internet.
    Public,
    /// All addresses, also private ones.
    Any,
    /// Those of the open internet, and one more.
    #[cfg(test)]
    PublicAnd(IpAddr),
}

impl Reach {
    fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Any => true,
            #[cfg(test)]
            Self::PublicAnd(other) => is_public(address) || address == other,
        }
    }
}

/// An address that must not be reached, as a cause inside of the client's error.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {address}")]
struct NotReachable {
    host: String,
    address: IpAddr,
}

/// A redirect that is not followed, as a cause inside of the client's error.
#[derive(Debug, thiserror::Error)]
#[error("{to}: {reason}")]
struct NotFollowed {
    to: String,
    reason: &'static str,
}

/// Resolves names to addresses that may be reached. A name that has any other is refused.
struct Resolver(Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, host) = (self.0, name.as_str().to_owned());
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            match found.iter().find(|address| !reach.has(address.ip())) {
                Some(address) => Err(NotReachable { host, address: address.ip() }.into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// Names are checked when they are resolved; addresses in URLs are not resolved.
fn check_host(url: &Url, reach: Reach) -> Result<(), NotReachable> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        _ => return Ok(()),
    };
    match reach.has(address) {
        true => Ok(()),
        false => Err(NotReachable { host: url.host_str().unwrap_or_default().to_owned(), address }),
    }
}

fn follow(attempt: Attempt<'_>, reach: Reach) -> reqwest::redirect::Action {
    let refuse = |reason| {
        let url = attempt.url();
        let to = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        Err(NotFollowed { to, reason })
    };
    let was_secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    let checked = if attempt.previous().len() > MAX_REDIRECTS {
        refuse("there are more than 5 redirects in a row")
    } else if !matches!(attempt.url().scheme(), "http" | "https") {
        refuse("its scheme is neither https nor http")
    } else if was_secure && attempt.url().scheme() == "http" {
        refuse("it would leave https")
    } else {
        Ok(())
    };
    if let Err(error) = checked {
        return attempt.error(error);
    }
    match check_host(attempt.url(), reach) {
        Ok(()) => attempt.follow(),
        Err(error) => attempt.error(error),
    }
}

/// What a request gave.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// The copy is current.
    Unchanged,
    /// A new copy.
    New(SourceCopy),
}

/// Fetches sources.
pub(crate) struct Fetcher {
    client: Client,
    reach: Reach,
}

impl Fetcher {
    pub(crate) fn new(reach: Reach) -> Result<Self, UpdateError> {
        let client = Client::builder()
            .user_agent(concat!("urlfilter/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::custom(move |attempt| follow(attempt, reach)))
            .dns_resolver(Arc::new(Resolver(reach)))
            // A proxy would resolve names itself.
            .no_proxy()
            .build()
            .map_err(|error| UpdateError::Client { source: error.into() })?;
        Ok(Self { client, reach })
    }

    /// Fetches a list, unless the copy that is known is current and has the content that was stored.
    pub(crate) async fn fetch(
        &self,
        list: &List,
        address: &str,
        known: Option<&SourceCopy>,
        folders: &Folders,
        now: Timestamp,
    ) -> Result<Fetched, FetchError> {
        let fetched = self.fetch_untimed(list, address, known, folders, now);
        let seconds = list.timeout.as_secs();
        let timed = tokio::time::timeout(list.timeout, fetched).await;
        timed.map_err(|_| FetchError::Timeout { seconds })?
    }

    async fn fetch_untimed(
        &self,
        list: &List,
        address: &str,
        known: Option<&SourceCopy>,
        folders: &Folders,
        now: Timestamp,
    ) -> Result<Fetched, FetchError> {
        let url = Url::parse(address).map_err(|_| FetchError::Address)?;
        check_host(&url, self.reach).map_err(private)?;
        let mut response = self.request(url.clone(), known).await?;
        if let Some(known) = known.filter(|_| response.status() == StatusCode::NOT_MODIFIED) {
            if is_good(known, folders).await {
                return Ok(Fetched::Unchanged);
            }
            // The server has the content that this machine has lost.
            response = self.request(url, None).await?;
        }
        match response.status() {
            StatusCode::OK => {}
            status => return Err(FetchError::Status { status: status.as_u16() }),
        }
        copy(response, list, address, folders, now).await
    }

    /// Asks for a list; with a copy that is known, on the condition that it is not current.
    async fn request(&self, url: Url, known: Option<&SourceCopy>) -> Result<Response, FetchError> {
        let mut request = self.client.get(url);
        if let Some(known) = known {
            for (name, value) in
                [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)]
            {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
        }
        request.send().await.map_err(http)
    }
}

/// Whether the file of a copy has the content that was stored. Reads it beside other requests, not between them.
pub(crate) async fn is_good(copy: &SourceCopy, folders: &Folders) -> bool {
    let (copy, folders) = (copy.clone(), folders.clone());
    let read = tokio::task::spawn_blocking(move || copy.is_good(&folders));
    read.await.unwrap_or(false)
}

async fn copy(
    mut response: Response,
    list: &List,
    address: &str,
    folders: &Folders,
    now: Timestamp,
) -> Result<Fetched, FetchError> {
    if response.content_length().is_some_and(|length| length > list.max_bytes) {
        return Err(FetchError::TooLong { max: list.max_bytes });
    }
    let etag = validator(response.headers(), &ETAG);
    let last_modified = last_modified(response.headers());
    let mut copy = PendingCopy::create(folders, list.max_bytes)?;
    while let Some(bytes) = response.chunk().await.map_err(http)? {
        copy.write(&bytes)?;
    }
    let copy = copy.finish(address, now)?;
    Ok(Fetched::New(SourceCopy { etag, last_modified, ..copy }))
}

fn validator(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= MAX_VALIDATOR).then(|| value.to_owned())
}

/// `Last-Modified`, if no later content can have the same: a file that is written again within its second keeps the time (RFC
/// 9110, section 8.8.2.2).
fn last_modified(headers: &HeaderMap) -> Option<String> {
    let time = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let age = time(DATE)?.duration_since(time(LAST_MODIFIED)?).ok()?;
    validator(headers, &LAST_MODIFIED).filter(|_| age >= MIN_AGE)
}

fn private(error: NotReachable) -> FetchError {
    FetchError::Private { host: error.host, address: error.address }
}

/// The client's error, or the cause of ours in it. Addresses stay out: they may hold a key.
fn http(error: reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(found) = cause {
        if let Some(NotReachable { host, address }) = found.downcast_ref() {
            return FetchError::Private { host: host.clone(), address: *address };
        }
        if let Some(NotFollowed { to, reason }) = found.downcast_ref() {
            return FetchError::Redirect { to: to.clone(), reason };
        }
        cause = found.source();
    }
    FetchError::Http { source: error.without_url().into() }
}
