//! From an answer that is not what was asked for to its cause: one function for all checks.
//!
//! What stands in front of a service (load balancer, firewall, sign-in, web site) answers in its own way. Which of them did
//! is told by the status, the headers and the body; a check has a text of its own only for what the service itself says.

use crate::Advice;
use crate::network::FetchError;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// Longest body in which a reason is looked for, in bytes.
const MAX_REASON_BODY: usize = 4096;
/// Longest text of a server that a finding repeats, in characters.
const MAX_QUOTED: usize = 200;

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The address with scheme, path and query.
    pub(crate) url: String,
    /// Length of the body, in bytes.
    pub(crate) sent: u64,
    /// Whether the request had an `Authorization` header.
    pub(crate) has_credentials: bool,
    /// How long an answer was waited for.
    pub(crate) timeout: Duration,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Answer(Response<Bytes>),
    /// Nothing, or not all of it, within the time limit.
    Timeout,
    /// The connection ended before the answer did.
    Broken,
    /// No connection came about: refused, no such host, or a failed TLS handshake.
    Unreachable,
    /// The answer is longer than any that is expected.
    TooLong,
}

impl From<&FetchError> for Outcome {
    fn from(error: &FetchError) -> Self {
        match error {
            FetchError::TooLong(_) => Self::TooLong,
            _ if error.is_timeout() => Self::Timeout,
            FetchError::NoAnswer(error) if error.is_connect() => Self::Unreachable,
            FetchError::NoAnswer(_) | FetchError::Broken(_) => Self::Broken,
        }
    }
}

/// An exchange that did not bring what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Exchanged {
    pub(crate) asked: Asked,
    pub(crate) outcome: Outcome,
}

impl Exchanged {
    /// What was seen, in a few words.
    pub(crate) fn seen(&self) -> String {
        let url = &self.asked.url;
        match &self.outcome {
            Outcome::Answer(response) => {
                let mut seen = format!("{url}: status {}", response.status().as_u16());
                // A server may repeat what it was sent, which is a secret here.
                let reason = reason(response.body()).filter(|_| !self.asked.has_credentials);
                if let Some(reason) = reason {
                    seen += &format!(" ({reason})");
                }
                if let Some(server) = field(response.headers(), header::SERVER) {
                    seen += &format!(", from {server}");
                }
                seen
            }
            Outcome::Timeout => {
                format!("{url}: no whole answer within {} s", self.asked.timeout.as_secs())
            }
            Outcome::Broken => format!("{url}: the connection ended before the answer did"),
            Outcome::Unreachable => format!("{url}: no connection"),
            Outcome::TooLong => format!("{url}: an answer that is longer than any of the protocol"),
        }
    }

    /// Cause and fix, if the answer tells them. `None` where it depends on what was asked for.
    pub(crate) fn advice(&self) -> Option<Advice> {
        match &self.outcome {
            Outcome::Answer(answer) => {
                of_answer(&self.asked, answer.status(), answer.headers(), answer.body())
            }
            Outcome::Timeout => advice(
                "the connection stands, and the answer does not come: a node that is overloaded or hangs, or a proxy that \
                 waits for one",
                "look at the log of what ends TLS for this path, at /readyz and at pir_queue_depth of the nodes",
            ),
            Outcome::Broken => advice(
                "the connection ends in the middle: what is in front of the service limits the length or the time of a \
                 request or of its answer, or the service ended",
                "raise these limits there to 10 MB and 60 s; check that the service did not restart",
            ),
            Outcome::Unreachable => advice(
                "the server answered before, and takes no connection now",
                "check that the service did not restart, and the limits for connections in front of it",
            ),
            Outcome::TooLong => advice(
                "what answers there is not the service",
                "let what is in front of the service pass this path on to it",
            ),
        }
    }

    /// Cause and fix: what the answer tells, or else what the check says.
    pub(crate) fn advice_or(&self, cause: impl Into<String>, fix: impl Into<String>) -> Advice {
        self.advice().unwrap_or_else(|| Advice { cause: cause.into(), fix: fix.into() })
    }

    /// The answer, if it is whole.
    pub(crate) fn answer(&self) -> Option<&Response<Bytes>> {
        match &self.outcome {
            Outcome::Answer(response) => Some(response),
            _ => None,
        }
    }

    /// The body of an answer with status 200.
    pub(crate) fn body(&self) -> Option<&Bytes> {
        self.answer().filter(|answer| answer.status() == StatusCode::OK).map(Response::body)
    }

    /// The reason that the service gives for its refusal.
    pub(crate) fn reason(&self) -> Option<String> {
        self.answer().and_then(|answer| reason(answer.body()))
    }

    /// The status, if there is a whole answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status().as_u16())
    }
}

/// Cause and fix of an answer, if status, headers and body tell them.
pub(crate) fn of_answer(
    asked: &Asked,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Advice> {
    let reason = reason(body);
    let path = path_of(&asked.url);
    match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => redirection(asked, headers),
        400 if says_that_tls_is_expected(body) => advice(
            "this port has TLS, and the address has none",
            "write https:// in the address, in the app and here",
        ),
        401 | 407 if let Some(scheme) = sign_in(headers) => advice(
            format!(
                "what is in front of the service asks for a sign-in ({scheme}), which devices do not have"
            ),
            format!("let {path} pass there without a sign-in; the service checks tokens itself"),
        ),
        401 if reason.is_none() && !asked.has_credentials => advice(
            "what is in front of the service asks for a sign-in, which devices do not have",
            format!("let {path} pass there without a sign-in; the service checks tokens itself"),
        ),
        403 if reason.is_none() => advice(
            "what is in front of the service refuses the request: a firewall, or a rule about addresses, methods or programs",
            format!("let {path} pass there for everyone; the service's log has nothing about it"),
        ),
        404 | 405 if is_page(headers, body) => advice(
            format!("a web site answers {path}, not the service"),
            format!("let what is in front of the service pass {path} on to it, with all methods"),
        ),
        413 if reason.is_none() => advice(
            format!(
                "what is in front of the service does not let a body of {:.0} kB pass",
                asked.sent as f64 / 1e3
            ),
            "let bodies of 10 MB pass there (client_max_body_size or the like)",
        ),
        429 => too_many(headers, reason.is_some()),
        500 => match reason {
            Some(_) => {
                advice("the service failed", "look at the service's log, which has the error")
            }
            None => advice(
                "what is in front of the service failed, or what answers is not the service",
                "look at the log of what ends TLS for this path",
            ),
        },
        502 | 504 | 520..=526 => no_node(),
        503 => match reason {
            Some(reason) => unavailable(&reason),
            None => no_node(),
        },
        507 => advice("the disk of the service is full", "make room on the disk of its store"),
        200..=299 if is_page(headers, body) => advice(
            format!("a web page (text/html) answers {path}, not the service"),
            format!(
                "let what is in front of the service pass {path} on to it, instead of a web site or a page for signing in"
            ),
        ),
        _ => None,
    }
}

fn advice(cause: impl Into<String>, fix: impl Into<String>) -> Option<Advice> {
    Some(Advice { cause: cause.into(), fix: fix.into() })
}

fn no_node() -> Option<Advice> {
    advice(
        "what is in front of the service has no node that answers",
        "start the service; check that its nodes are ready (/readyz of the admin address says what they wait for), and that the \
         address and port of the nodes are right in the load balancer",
    )
}

fn redirection(asked: &Asked, headers: &HeaderMap) -> Option<Advice> {
    let here = Url::parse(&asked.url).ok();
    let target = field(headers, header::LOCATION)
        .and_then(|location| here.as_ref().and_then(|here| here.join(&location).ok()));
    let (Some(here), Some(mut target)) = (here, target) else {
        return advice(
            "what is in front of the service redirects, and does not say where to",
            "let it answer this path itself, or pass it on to the service",
        );
    };
    // What follows may hold secrets of a sign-in.
    target.set_query(None);
    target.set_fragment(None);
    let cause = format!(
        "what is in front of the service redirects to {target}; a device and Apple's relay get that in place of the answer"
    );
    let is_same_path = target.path().trim_end_matches('/') == here.path().trim_end_matches('/');
    match is_same_path && target.origin() != here.origin() {
        true => {
            let origin = target.origin().ascii_serialization();
            advice(
                cause,
                format!(
                    "use {origin} as the address, in the app and here, or answer at this one without a redirection"
                ),
            )
        }
        false => advice(
            cause,
            format!("let {} pass there to the service, without a redirection", here.path()),
        ),
    }
}

fn too_many(headers: &HeaderMap, is_of_service: bool) -> Option<Advice> {
    let after = field(headers, header::RETRY_AFTER)
        .map(|after| format!("; it says to try again after {after} s"))
        .unwrap_or_default();
    match is_of_service {
        true => advice(
            format!(
                "the user of this token has had as many tokens as the service's limit allows{after}"
            ),
            "wait, or raise limits.tokens in the service's configuration",
        ),
        false => advice(
            format!("what is in front of the service limits the rate of requests{after}"),
            "raise the limit there: behind Apple's relay, all devices come from few addresses",
        ),
    }
}

/// The service says itself that it cannot answer now.
fn unavailable(reason: &str) -> Option<Advice> {
    let says = |part: &str| reason.contains(part);
    if says("nothing was published yet") {
        return advice(
            "the node waits for its first release, or for its first lists",
            "publish with `urlfilter publish`, or wait until the lists are processed; /readyz of the admin address says what it \
             waits for",
        );
    }
    if says("user tokens cannot be checked") {
        return advice(
            "the program or address that the service asks about user tokens does not answer",
            "look at userTokens in the service's configuration, and at its log",
        );
    }
    if says("temporarily not available") {
        return advice(
            "the store of the service fails",
            "look at the service's log and pir_store_failures_total: the disk may be full, or Redis away",
        );
    }
    advice(
        "the service is overloaded",
        "look at pir_queue_depth and pir_busy_total: add cores or nodes, or make shards smaller",
    )
}

/// The reason in the body of a service's refusal, as devices log it.
fn reason(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body.get(..MAX_REASON_BODY).unwrap_or(body)).ok()?;
    let text = value["error"]["message"].as_str()?;
    Some(quoted(text))
}

fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_QUOTED).collect()
}

fn field(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(quoted(value))
}

/// The way of signing in that is asked for, if it is none of a service for devices.
fn sign_in(headers: &HeaderMap) -> Option<String> {
    let challenge = field(headers, header::WWW_AUTHENTICATE)
        .or_else(|| field(headers, header::PROXY_AUTHENTICATE))?;
    let scheme = challenge.split_whitespace().next()?.to_owned();
    let is_of_devices = ["PrivateToken", "Bearer"].iter().any(|of| scheme.eq_ignore_ascii_case(of));
    (!is_of_devices).then_some(scheme)
}

fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let media = field(headers, header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let begin = body.trim_ascii_start();
    let begins =
        |with: &[u8]| begin.get(..with.len()).is_some_and(|b| b.eq_ignore_ascii_case(with));
    media.starts_with("text/html") || begins(b"<!doctype html") || begins(b"<html")
}

/// Web servers say so in a text of their own.
fn says_that_tls_is_expected(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body.get(..MAX_REASON_BODY).unwrap_or(body));
    ["plain HTTP request was sent to HTTPS port", "HTTP request to an HTTPS server"]
        .iter()
        .any(|known| text.contains(known))
}

fn path_of(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.path().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(url: &str, has_credentials: bool) -> Asked {
        let (sent, timeout) = (254_600, Duration::from_secs(20));
        Asked { url: url.to_owned(), sent, has_credentials, timeout }
    }

    const URL: &str = "https://pir.example.com/key";
    const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");

    fn of(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Option<(String, String)> {
        let named = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let status = StatusCode::from_u16(status).unwrap();
        let advice = of_answer(&asked(URL, false), status, &named.collect(), body.as_bytes());
        advice.map(|advice| (advice.cause, advice.fix))
    }

    #[test]
    fn a_status_names_who_refuses_and_what_to_change() {
        let json = |reason: &str| format!("{{\"error\":{{\"message\":\"{reason}\"}}}}");
        let (published, busy) =
            (json("nothing was published yet, try again"), json("busy, try again"));
        let (hook, store) = (
            json("user tokens cannot be checked at the moment"),
            json("temporarily not available, try again"),
        );
        let (tokens, failed) =
            (json("no more tokens for this user at the moment"), json("internal error"));
        let tls = "<html>400 The plain HTTP request was sent to HTTPS port</html>";
        for (status, headers, body, cause, fix) in [
            (
                301,
                &[("location", "https://www.example.com/key")][..],
                "",
                "redirects to https://www.example.com/key",
                "use https://www.example.com as the address",
            ),
            (
                308,
                &[("location", "/key/")],
                "",
                "redirects to https://pir.example.com/key/",
                "let /key pass",
            ),
            (
                302,
                &[("location", "https://sso.example.com/in?state=s3cret")],
                "",
                "redirects to https://sso.example.com/in;",
                "let /key pass",
            ),
            (307, &[], "", "does not say where to", "pass it on"),
            (400, &[HTML], tls, "this port has TLS", "write https://"),
            (
                401,
                &[("www-authenticate", "Basic realm=\"x\"")],
                "",
                "sign-in (Basic)",
                "let /key pass",
            ),
            (401, &[], "", "asks for a sign-in", "let /key pass"),
            (403, &[HTML], "<html>", "a firewall", "let /key pass"),
            (404, &[HTML], "<html>", "a web site answers /key", "pass /key on"),
            (413, &[], "", "a body of 255 kB", "client_max_body_size"),
            (
                429,
                &[("retry-after", "7")],
                "",
                "limits the rate of requests; it says to try again after 7 s",
                "raise the limit there",
            ),
            (429, &[("retry-after", "60")], &tokens, "as many tokens", "limits.tokens"),
            (500, &[], "", "in front", "look at the log of what ends TLS"),
            (500, &[], &failed, "the service failed", "the service's log"),
            (502, &[], "", "no node that answers", "/readyz"),
            (503, &[HTML], "<html>", "no node that answers", "/readyz"),
            (503, &[], &published, "waits for its first release", "urlfilter publish"),
            (503, &[], &busy, "overloaded", "pir_queue_depth"),
            (503, &[], &hook, "asks about user tokens", "userTokens"),
            (503, &[], &store, "the store", "pir_store_failures_total"),
            (504, &[], "", "no node that answers", "/readyz"),
            (507, &[], "", "disk", "make room"),
            (522, &[], "", "no node that answers", "/readyz"),
            (200, &[HTML], "hello", "a web page (text/html) answers /key", "pass /key on"),
            (200, &[], "\n<!DOCTYPE html><p>", "a web page", "pass /key on"),
        ] {
            let (its_cause, its_fix) = of(status, headers, body).unwrap();
            assert!(its_cause.contains(cause), "{status}: {its_cause}");
            assert!(its_fix.contains(fix), "{status}: {its_fix}");
            assert!(!its_cause.contains("s3cret"), "{its_cause}");
        }
    }

    #[test]
    fn what_the_service_says_itself_is_left_to_the_check() {
        let refused = "{\"error\":{\"message\":\"User token is unauthorized\"}}";
        for (status, headers, body) in [
            (200, &[("content-type", "application/json")][..], "{}"),
            (400, &[], refused),
            (401, &[], refused),
            (401, &[("www-authenticate", "PrivateToken challenge=\"x\"")], refused),
            (403, &[], refused),
            (404, &[], refused),
            (404, &[], ""),
            (405, &[], ""),
            (413, &[], refused),
            (422, &[], refused),
        ] {
            assert_eq!(of(status, headers, body), None, "{status}");
        }
        // An issuer of another make refuses a user token without a body.
        let status = StatusCode::UNAUTHORIZED;
        assert_eq!(of_answer(&asked(URL, true), status, &HeaderMap::new(), b""), None);
    }

    #[test]
    fn what_a_server_says_is_repeated_up_to_a_limit() {
        for (length, kept) in [
            (MAX_QUOTED - 1, MAX_QUOTED - 1),
            (MAX_QUOTED, MAX_QUOTED),
            (MAX_QUOTED + 1, MAX_QUOTED),
        ] {
            let body = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "ä".repeat(length));
            assert_eq!(reason(body.as_bytes()).unwrap().chars().count(), kept);
        }
        let frame = "{\"error\":{\"message\":\"x\"}}".len();
        for (length, is_read) in
            [(MAX_REASON_BODY - 1, true), (MAX_REASON_BODY, true), (MAX_REASON_BODY + 1, false)]
        {
            let padded =
                format!("{}{{\"error\":{{\"message\":\"x\"}}}}", " ".repeat(length - frame));
            assert_eq!(reason(padded.as_bytes()).is_some(), is_read, "{length}");
        }
    }

    #[test]
    fn texts_of_a_server_that_had_a_secret_are_not_repeated() {
        let answer = Response::builder()
            .status(500)
            .header("server", "nginx\u{7}")
            .body(Bytes::from_static(b"{\"error\":{\"message\":\"AAAA\"}}"));
        let answer = answer.unwrap_or_else(|_| {
            Response::builder()
                .status(500)
                .body(Bytes::from_static(b"{\"error\":{\"message\":\"AAAA\"}}"))
                .unwrap()
        });
        for (has_credentials, is_repeated) in [(true, false), (false, true)] {
            let outcome = Outcome::Answer(answer.clone());
            let seen = Exchanged { asked: asked(URL, has_credentials), outcome }.seen();
            assert_eq!(seen.contains("AAAA"), is_repeated, "{seen}");
        }
    }
}
