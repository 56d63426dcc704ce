//! How servers are asked: within a time limit, with bodies of bounded size, and with a log of what was sent.

use crate::Deployment;
use crate::answer::{Asked, Exchanged, Outcome};
use crate::error::ExamineError;
use bytes::Bytes;
use filter_client::{Endpoint, Exchange, Transport, TransportError};
use http::{Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use reqwest::tls::TlsInfo;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest body that is read outside of lookups, in bytes: a configuration of many use cases fits.
pub(crate) const MAX_BODY: usize = 16 << 20;
/// Where an issuer has its directory (RFC 9578, section 4).
pub(crate) const DIRECTORY_PATH: &str =
    Endpoint::Directory.path().expect("a directory has a fixed path");
/// Longest file with an additional authority, in bytes.
const MAX_AUTHORITY: u64 = 1 << 20;

/// Sizes and time of one exchange of the client.
#[derive(Clone, Debug)]
pub(crate) struct LoggedExchange {
    pub(crate) path: String,
    /// Body of the request, in bytes.
    pub(crate) sent: u64,
    /// Body of the response, in bytes.
    pub(crate) received: u64,
    pub(crate) time: Duration,
}

/// Why there is no whole response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no answer")]
    NoAnswer(#[source] reqwest::Error),
    #[error("an answer of more than {0} bytes")]
    TooLong(usize),
    #[error("the connection broke")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

impl FetchError {
    /// Whether the time limit ended the exchange.
    pub(crate) fn is_timeout(&self) -> bool {
        match self {
            Self::NoAnswer(error) => error.is_timeout(),
            Self::TooLong(_) => false,
            Self::Broken(error) => {
                error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
            }
        }
    }
}

/// HTTP without redirections and retries, so that findings are about what the servers answer.
pub(crate) struct Network {
    http: reqwest::Client,
    timeout: Duration,
    /// Whether another authority than those of the platform was given.
    pub(crate) has_authority: bool,
    log: Mutex<Vec<LoggedExchange>>,
    last: Mutex<Option<Exchanged>>,
}

impl Network {
    pub(crate) fn new(deployment: &Deployment) -> Result<Self, ExamineError> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .tls_info(true)
            .user_agent(concat!("url-filter-doctor/", env!("CARGO_PKG_VERSION")))
            .timeout(deployment.timeout);
        if let Some(path) = &deployment.authority {
            let pem = durable_file::read(path, MAX_AUTHORITY).map_err(ExamineError::Authority)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| {
                ExamineError::Certificate { path: path.clone(), source: error.into() }
            })?;
            if certificates.is_empty() {
                let source = "it has none".into();
                return Err(ExamineError::Certificate { path: path.clone(), source });
            }
            builder = builder.tls_certs_merge(certificates);
        }
        // The content of a certificate is parsed here, not when its PEM form is.
        let http = builder.build().map_err(|error| match &deployment.authority {
            Some(path) => ExamineError::Certificate { path: path.clone(), source: error.into() },
            None => ExamineError::Tls(error.into()),
        })?;
        let (timeout, has_authority) = (deployment.timeout, deployment.authority.is_some());
        Ok(Self { http, timeout, has_authority, log: Mutex::default(), last: Mutex::default() })
    }

    /// The exchanges that went through this as a [`Transport`].
    pub(crate) fn log(&self) -> Vec<LoggedExchange> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last exchange that went through this as a [`Transport`].
    pub(crate) fn last(&self) -> Option<Exchanged> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn asked(&self, url: String, sent: u64, has_credentials: bool) -> Asked {
        Asked { url, sent, has_credentials, timeout: self.timeout }
    }

    /// The head of the answer to a GET, with what is known of its connection.
    pub(crate) async fn connect(&self, url: &str) -> Result<reqwest::Response, reqwest::Error> {
        self.http.get(url).send().await
    }

    /// The certificate, in DER form, of a server that TLS refused. Nothing is sent there but a GET without a token.
    pub(crate) async fn refused_certificate(&self, url: &str) -> Option<Vec<u8>> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_info(true)
            .tls_danger_accept_invalid_certs(true)
            .timeout(self.timeout)
            .build()
            .ok()?;
        let response = http.get(url).send().await.ok()?;
        let info = response.extensions().get::<TlsInfo>()?;
        info.peer_certificate().map(<[u8]>::to_vec)
    }

    pub(crate) async fn get(&self, url: &str) -> Exchanged {
        self.get_up_to(url, MAX_BODY).await
    }

    /// GET of an answer of at most `max` bytes.
    pub(crate) async fn get_up_to(&self, url: &str, max: usize) -> Exchanged {
        self.exchange(self.asked(url.to_owned(), 0, false), self.http.get(url), max).await
    }

    /// GET with a bearer token.
    pub(crate) async fn get_as(&self, url: &str, token: &str) -> Exchanged {
        let request = self.http.get(url).bearer_auth(token);
        self.exchange(self.asked(url.to_owned(), 0, true), request, MAX_BODY).await
    }

    /// POST with this `Authorization`.
    pub(crate) async fn post_with(
        &self,
        url: &str,
        authorization: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Exchanged {
        let asked = self.asked(url.to_owned(), body.len() as u64, true);
        let request = self.http.post(url).header(header::AUTHORIZATION, authorization);
        let request = request.header(header::CONTENT_TYPE, content_type).body(body);
        self.exchange(asked, request, MAX_BODY).await
    }

    async fn exchange(
        &self,
        asked: Asked,
        request: reqwest::RequestBuilder,
        max: usize,
    ) -> Exchanged {
        let whole = match request.send().await {
            Ok(response) => whole(response, max).await,
            Err(error) => Err(FetchError::NoAnswer(error.without_url())),
        };
        let outcome = match whole {
            Ok(response) => Outcome::Answer(response),
            Err(error) => Outcome::from(&error),
        };
        Exchanged { asked, outcome }
    }
}

/// Logs the sizes and the time of each exchange.
impl Transport for Network {
    fn send(&self, request: Request<Bytes>, max_body: usize) -> Exchange<'_> {
        Box::pin(async move {
            let (path, sent) = (request.uri().path().to_owned(), request.body().len() as u64);
            let has_credentials = request.headers().contains_key(header::AUTHORIZATION);
            let asked = self.asked(request.uri().to_string(), sent, has_credentials);
            let begun = Instant::now();
            let request = reqwest::Request::try_from(request)
                .map_err(|error| TransportError::Request(error.without_url().to_string()))?;
            let request = reqwest::RequestBuilder::from_parts(self.http.clone(), request);
            let exchanged = self.exchange(asked, request, max_body).await;
            let result = match &exchanged.outcome {
                Outcome::Answer(response) => {
                    let received = response.body().len() as u64;
                    let exchange = LoggedExchange { path, sent, received, time: begun.elapsed() };
                    self.log.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
                    Ok(response.clone())
                }
                Outcome::Timeout => Err(TransportError::Timeout),
                Outcome::Broken => Err(TransportError::Broken),
                Outcome::Unreachable => Err(TransportError::Unreachable),
                Outcome::TooLong => Err(TransportError::TooLong(max_body)),
            };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchanged);
            result
        })
    }
}

/// Keeps the last exchange of another transport.
pub(crate) struct Recorder<T> {
    inner: T,
    timeout: Duration,
    last: Mutex<Option<Exchanged>>,
}

impl<T: Transport> Recorder<T> {
    pub(crate) fn new(inner: T, timeout: Duration) -> Arc<Self> {
        Arc::new(Self { inner, timeout, last: Mutex::default() })
    }

    /// The last exchange, if it had an answer or its failure tells something.
    pub(crate) fn last(&self) -> Option<Exchanged> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T: Transport> Transport for Recorder<T> {
    fn send(&self, request: Request<Bytes>, max_body: usize) -> Exchange<'_> {
        Box::pin(async move {
            let asked = Asked {
                url: request.uri().to_string(),
                sent: request.body().len() as u64,
                has_credentials: request.headers().contains_key(header::AUTHORIZATION),
                timeout: self.timeout,
            };
            let result = self.inner.send(request, max_body).await;
            // What the relay or the gateway itself answers is known to the transport below.
            let outcome = result.as_ref().ok().cloned().map(Outcome::Answer);
            let last = outcome.map(|outcome| Exchanged { asked, outcome });
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
            result
        })
    }
}

/// Reads a response to its end.
async fn whole(response: reqwest::Response, max: usize) -> Result<Response<Bytes>, FetchError> {
    let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
    Ok(Response::from_parts(parts, bounded(body, max).await?))
}

/// Reads a body of at most `max` bytes.
async fn bounded<B>(body: B, max: usize) -> Result<Bytes, FetchError>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    match Limited::new(body, max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLong(max)),
        Err(error) => Err(FetchError::Broken(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    fn read(length: usize) -> Result<Bytes, FetchError> {
        let body = Full::new(Bytes::from(vec![0; length]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(bounded(body, MAX_BODY))
    }

    #[test]
    fn bodies_have_at_most_the_limit() {
        assert_eq!(read(MAX_BODY - 1).unwrap().len(), MAX_BODY - 1);
        assert_eq!(read(MAX_BODY).unwrap().len(), MAX_BODY);
        let error = read(MAX_BODY + 1).unwrap_err();
        assert!(matches!(error, FetchError::TooLong(MAX_BODY)), "{error}");
    }

    #[test]
    fn an_authority_has_at_most_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.pem");
        let deployment = Deployment::new("https://pir.example.com", "com.example.app", "AAAA");
        let deployment = deployment.authority(&path);
        for length in [MAX_AUTHORITY - 1, MAX_AUTHORITY, MAX_AUTHORITY + 1] {
            std::fs::write(&path, vec![b'\n'; length as usize]).unwrap();
            let is_too_long = matches!(
                Network::new(&deployment),
                Err(ExamineError::Authority(durable_file::FileError::TooLong { .. }))
            );
            assert_eq!(is_too_long, length > MAX_AUTHORITY, "{length}");
        }
    }
}
