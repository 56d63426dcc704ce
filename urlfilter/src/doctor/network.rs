//! Whether servers are reached, and what was sent and received.

use super::{Deployment, Findings};
use anyhow::Context;
use bytes::Bytes;
use filter_client::{Exchange, HttpTransport, Transport};
use http::{Request, Version};
use pir_server::causes::WithCauses;
use std::error::Error;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Clocks that differ by more than this make tokens and keys look too young or too old.
const MOST_SKEW: Duration = Duration::from_secs(60);

/// One exchange with the service.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) path: String,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) time: Duration,
}

/// The ways to the servers.
pub(super) struct Network {
    pub(super) http: reqwest::Client,
    pub(super) transport: Arc<Recorder>,
}

/// Notes sizes and times of exchanges that a client makes.
pub(super) struct Recorder {
    inner: HttpTransport,
    log: Mutex<Vec<Sent>>,
}

impl Recorder {
    pub(super) fn log(&self) -> Vec<Sent> {
        self.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl Transport for Recorder {
    fn send(&self, request: Request<Bytes>, max_body: usize) -> Exchange<'_> {
        Box::pin(async move {
            let (path, sent) = (request.uri().path().to_owned(), request.body().len() as u64);
            let begun = Instant::now();
            let response = self.inner.send(request, max_body).await?;
            let received = response.body().len() as u64;
            let sent = Sent { path, sent, received, time: begun.elapsed() };
            self.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(sent);
            Ok(response)
        })
    }
}

fn builder(deployment: &Deployment) -> anyhow::Result<reqwest::ClientBuilder> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(deployment.timeout);
    if let Some(path) = &deployment.authority {
        let name = || path.display().to_string();
        let pem = fs::read(path).with_context(name)?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).with_context(name)?;
        builder = builder.tls_certs_merge(certificates);
    }
    Ok(builder)
}

/// The last of the reasons, which is the one that says it.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Whether the TLS library did not like what it was shown.
fn is_about_certificates(error: &reqwest::Error) -> bool {
    let said = WithCauses(error).to_string();
    said.contains("certificate") || said.contains("UnknownIssuer")
}

impl Network {
    pub(super) fn new(deployment: &Deployment) -> anyhow::Result<Self> {
        let http = builder(deployment)?.build()?;
        let mut transport = HttpTransport::builder().timeout(deployment.timeout);
        if let Some(path) = &deployment.authority {
            let name = || path.display().to_string();
            let pem = fs::read(path).with_context(name)?;
            transport = transport.trust_pem(&pem).with_context(name)?;
        }
        let inner = transport.build()?;
        Ok(Self { http, transport: Arc::new(Recorder { inner, log: Mutex::default() }) })
    }

    /// Connects, and looks at TLS, the version of HTTP and the clock. Tells whether anyone answers.
    pub(super) async fn reach(&self, address: &str, what: &str, findings: &mut Findings) -> bool {
        let response = match self.http.get(address).send().await {
            Ok(response) => response,
            Err(error) => {
                unreachable(&error, address, what, findings);
                return false;
            }
        };
        let check = format!("{what}Connection");
        if !address.starts_with("https://") {
            findings.good(&check, format!("{address} answers, without TLS"));
        } else if response.version() == Version::HTTP_2 {
            findings.good(&check, format!("{address} answers over TLS with HTTP/2"));
        } else {
            let seen = format!("{address} answers with {:?} only", response.version());
            let cause = "its TLS does not offer h2 (ALPN)";
            let fix = "switch HTTP/2 on where TLS ends: pir-server has it by itself, a load balancer may \
                       need a setting";
            match what {
                "gateway" => findings.bad(
                    &check,
                    seen,
                    format!("{cause}, and Apple's relay needs it of gateways"),
                    fix,
                ),
                _ => findings.warning(
                    &check,
                    seen,
                    format!("{cause}; each request of a device waits for the one before it"),
                    fix,
                ),
            }
        }
        let date = response.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        clock(date, address, what, findings);
        true
    }
}

fn unreachable(error: &reqwest::Error, address: &str, what: &str, findings: &mut Findings) {
    let check = format!("{what}Connection");
    let seen = format!("{address}: {}", root_cause(error));
    if error.is_timeout() {
        findings.bad(
            &check,
            seen,
            "nobody answered in time",
            "check that the service runs (`pir-server` prints `listening`), the firewall, and that the load \
             balancer has a node that is ready (/readyz)",
        );
    } else if is_about_certificates(error) {
        findings.bad(
            &check,
            seen,
            "the certificate is not good for this host, has expired, lacks an intermediate one, or is of an \
             authority that devices do not know",
            "get a certificate of a public authority for this host and configure the whole chain; \
             --authority FILE accepts another authority here, as devices with a profile would",
        );
    } else {
        findings.bad(
            &check,
            seen,
            "the host's name has no address, or nobody listens there",
            "check the DNS entry of the host, the port that is listened on (443), and that the service runs",
        );
    }
}

fn clock(date: Option<&str>, address: &str, what: &str, findings: &mut Findings) {
    let check = format!("{what}Clock");
    let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
    let now = SystemTime::now();
    let skew = now.duration_since(date).unwrap_or_else(|early| early.duration());
    // The header has whole seconds.
    if skew <= MOST_SKEW {
        findings.good(&check, format!("{address}: within {} s of this one", skew.as_secs().max(1)));
        return;
    }
    let direction = if date > now { "ahead of" } else { "behind" };
    findings.bad(
        &check,
        format!("{address}: {} s {direction} this machine's", skew.as_secs()),
        "one of the two clocks is wrong. Keys of tokens would be published or retired at the wrong time, and \
         devices would refuse certificates and tokens",
        "run an NTP client on the service's machine (and on this one)",
    );
}
