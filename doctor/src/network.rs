//! How servers are reached: within a time limit, with bodies of bounded size, and with a log of what was sent.

use crate::certificate::{self, Refusal};
use crate::error::{ExamineError, chain};
use crate::role::Role;
use crate::{Deployment, Findings};
use bytes::Bytes;
use filter_client::{Endpoint, Exchange, Transport, TransportError};
use http::{Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use reqwest::tls::TlsInfo;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use url::Url;

/// Largest difference of clocks that is accepted: beyond it, tokens and keys look too young or too old.
const MAX_SKEW: Duration = Duration::from_secs(60);
/// Longest body that is read outside of lookups, in bytes: a configuration of many use cases fits.
pub(crate) const MAX_BODY: usize = 16 << 20;
/// Where an issuer has its directory (RFC 9578, section 4).
pub(crate) const DIRECTORY_PATH: &str =
    Endpoint::Directory.path().expect("a directory has a fixed path");
/// Where a service has its configurations.
const CONFIG_PATH: &str = Endpoint::Config.path().expect("configurations have a fixed path");
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

/// HTTP without redirections and retries, so that findings are about what the servers answer.
pub(crate) struct Network {
    http: reqwest::Client,
    log: Mutex<Vec<LoggedExchange>>,
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
            builder = builder.tls_certs_merge(certificates);
        }
        // The content of a certificate is parsed here, not when its PEM form is.
        let http = builder.build().map_err(|error| match &deployment.authority {
            Some(path) => ExamineError::Certificate { path: path.clone(), source: error.into() },
            None => ExamineError::Tls(error.into()),
        })?;
        Ok(Self { http, log: Mutex::default() })
    }

    /// The exchanges that went through this as a [`Transport`].
    pub(crate) fn log(&self) -> Vec<LoggedExchange> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn get(&self, url: &str) -> Result<Response<Bytes>, FetchError> {
        self.fetch(self.http.get(url)).await
    }

    /// GET of an answer of at most `max` bytes.
    pub(crate) async fn get_up_to(
        &self,
        url: &str,
        max: usize,
    ) -> Result<Response<Bytes>, FetchError> {
        let response = self.http.get(url).send().await;
        let response = response.map_err(|error| FetchError::NoAnswer(error.without_url()))?;
        whole(response, max).await
    }

    /// GET with a bearer token.
    pub(crate) async fn get_as(
        &self,
        url: &str,
        token: &str,
    ) -> Result<Response<Bytes>, FetchError> {
        self.fetch(self.http.get(url).bearer_auth(token)).await
    }

    /// POST with a bearer token.
    pub(crate) async fn post_as(
        &self,
        url: &str,
        token: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Response<Bytes>, FetchError> {
        let request = self.http.post(url).bearer_auth(token);
        self.fetch(request.header(header::CONTENT_TYPE, content_type).body(body)).await
    }

    /// POST with this `Authorization`.
    pub(crate) async fn post_with(
        &self,
        url: &str,
        authorization: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Response<Bytes>, FetchError> {
        let request = self.http.post(url).header(header::AUTHORIZATION, authorization);
        self.fetch(request.header(header::CONTENT_TYPE, content_type).body(body)).await
    }

    async fn fetch(&self, request: reqwest::RequestBuilder) -> Result<Response<Bytes>, FetchError> {
        let response = request.send().await;
        let response = response.map_err(|error| FetchError::NoAnswer(error.without_url()))?;
        whole(response, MAX_BODY).await
    }

    /// Connects to a server and checks TLS, the version of HTTP and the clock. Returns whether it answers.
    pub(crate) async fn reach(&self, address: &str, role: Role, findings: &mut Findings) -> bool {
        let response = match self.http.get(address).send().await {
            Ok(response) => response,
            Err(error) => {
                unreachable(&error, address, role, findings);
                return false;
            }
        };
        let check = role.connection();
        if role != Role::Gateway
            && let Some(place) = self.other_place(address).await
        {
            findings.bad(check, place.seen, place.cause, place.fix);
            return false;
        }
        if !address.starts_with("https://") {
            findings.good(check, format!("{address} answers, without TLS"));
        } else if response.version() == Version::HTTP_2 {
            findings.good(check, format!("{address} answers over TLS with HTTP/2"));
        } else {
            let seen = format!("{address} answers with {:?} only", response.version());
            let cause = "its TLS does not offer HTTP/2 (ALPN h2)";
            let fix = "switch HTTP/2 on where TLS ends: pir-server always offers it, a load balancer may need a \
                       setting";
            match role {
                Role::Gateway => findings.bad(
                    check,
                    seen,
                    format!("{cause}, and Apple's relay accepts only gateways with HTTP/2"),
                    fix,
                ),
                Role::Server | Role::Issuer => findings.warning(
                    check,
                    seen,
                    format!("{cause}; each request of a device waits for the previous one"),
                    fix,
                ),
            }
        }
        let certificate = response.extensions().get::<TlsInfo>();
        if let Some(certificate) = certificate.and_then(TlsInfo::peer_certificate) {
            certificate::check_validity(certificate, SystemTime::now(), address, role, findings);
        }
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) {
            compare_clocks(date, SystemTime::now(), address, role, findings);
        }
        true
    }
}

/// What answers at an address, if it is not what the address is for.
struct OtherPlace {
    seen: String,
    cause: &'static str,
    fix: String,
}

impl Network {
    /// Whether an address has nothing that devices ask for, and another one of the same server is meant.
    async fn other_place(&self, address: &str) -> Option<OtherPlace> {
        let base = address.trim_end_matches('/');
        if self.answers_devices(base).await {
            return None;
        }
        let origin = Url::parse(address).ok()?.origin().ascii_serialization();
        if origin != base && self.answers_devices(&origin).await {
            return Some(OtherPlace {
                seen: format!("{address}: status 404 for what devices ask; {origin} answers"),
                cause: "the address has a path, and the service answers at the root of its host",
                fix: format!("use {origin} as the address, in the app and here"),
            });
        }
        let metrics = self.get(&format!("{origin}/metrics")).await.ok()?;
        let is_admin = metrics.status().is_success()
            && metrics.body().windows(4).any(|window| window == b"pir_");
        is_admin.then(|| OtherPlace {
            seen: format!("{address}: status 404 for what devices ask, and metrics at /metrics"),
            cause: "this is the admin address of the service",
            fix: "use the address that the service listens on (`--listen`, `listen`), not that of `--admin`".to_owned(),
        })
    }

    /// Whether anything but 404 answers a path that devices ask for.
    async fn answers_devices(&self, base: &str) -> bool {
        for path in [DIRECTORY_PATH, CONFIG_PATH] {
            match self.get(&format!("{base}{path}")).await {
                Ok(response) if response.status() == StatusCode::NOT_FOUND => {}
                _ => return true,
            }
        }
        false
    }
}

/// Logs the sizes and the time of each exchange.
impl Transport for Network {
    fn send(&self, request: Request<Bytes>, max_body: usize) -> Exchange<'_> {
        Box::pin(async move {
            let (path, sent) = (request.uri().path().to_owned(), request.body().len() as u64);
            let begun = Instant::now();
            let request = reqwest::Request::try_from(request)
                .map_err(|error| TransportError::Request(error.without_url().to_string()))?;
            let response = self.http.execute(request).await.map_err(|error| failure(&error))?;
            let response = whole(response, max_body).await.map_err(|error| match error {
                FetchError::TooLong(max) => TransportError::TooLong(max),
                FetchError::NoAnswer(error) => failure(&error),
                FetchError::Broken(_) => TransportError::Broken,
            })?;
            let received = response.body().len() as u64;
            let exchange = LoggedExchange { path, sent, received, time: begun.elapsed() };
            self.log.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
            Ok(response)
        })
    }
}

fn failure(error: &reqwest::Error) -> TransportError {
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => TransportError::Unreachable,
        (false, true) => TransportError::Timeout,
        (false, false) => TransportError::Broken,
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

/// The innermost cause, which names the problem.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Whether the address of a host was looked up in vain. The libraries below tell it by their text only.
fn is_about_names(error: &reqwest::Error) -> bool {
    chain(error).contains("dns error")
}

/// Why a server does not answer, and what to do about it.
fn refusal(error: &reqwest::Error, address: &str) -> Refusal {
    if error.is_timeout() {
        return Refusal {
            cause: "the server did not answer in time",
            fix: "check that the service runs (`pir-server` prints `listening`), that the firewall lets requests through, \
                  and that the load balancer has a node that is ready (/readyz)",
        };
    }
    if let Some(refusal) = certificate::tls_error(error).and_then(certificate::refusal) {
        return refusal;
    }
    if is_about_names(error) {
        return Refusal {
            cause: "the host's name has no address",
            fix: "check the name, and its address records in the DNS",
        };
    }
    if error.is_connect() {
        return Refusal {
            cause: "nothing listens at this port of the host, or a firewall refuses the connection",
            fix: "check the port that the service listens on (443 for https), and that it runs",
        };
    }
    Refusal {
        cause: "something listens there, and does not speak HTTP as it is asked",
        fix: match address.starts_with("https://") {
            true => "check what listens at this port",
            false => {
                "if the port has TLS, write https:// in the address; otherwise check what listens at this port"
            }
        },
    }
}

fn unreachable(error: &reqwest::Error, address: &str, role: Role, findings: &mut Findings) {
    let seen = format!("{address}: {}", root_cause(error));
    let Refusal { cause, fix } = refusal(error, address);
    findings.bad(role.connection(), seen, cause, fix);
}

fn compare_clocks(
    date: SystemTime,
    now: SystemTime,
    address: &str,
    role: Role,
    findings: &mut Findings,
) {
    let skew = now.duration_since(date).unwrap_or_else(|early| early.duration());
    // The header has whole seconds.
    if skew <= MAX_SKEW {
        let seen = format!("{address}: within {} s of this machine's", skew.as_secs().max(1));
        findings.good(role.clock(), seen);
        return;
    }
    let direction = if date > now { "ahead of" } else { "behind" };
    findings.bad(
        role.clock(),
        format!("{address}: {} s {direction} this machine's", skew.as_secs()),
        "one of the two clocks is wrong. Token keys would be published or retired at the wrong time, and devices \
         would refuse certificates and tokens",
        "run an NTP client on the service's machine (and on this one)",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
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
    fn clocks_may_differ_by_the_limit() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let second = Duration::from_secs(1);
        for (skew, expected) in [
            (MAX_SKEW - second, Severity::Good),
            (MAX_SKEW, Severity::Good),
            (MAX_SKEW + second, Severity::Bad),
        ] {
            for date in [now - skew, now + skew] {
                let mut findings = Findings::default();
                compare_clocks(date, now, "https://pir.example.com", Role::Server, &mut findings);
                assert_eq!(findings.count(expected), 1, "{findings:?}");
            }
        }
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
