//! What stands in front of a service and misbehaves: each in one way, and each with one finding. The gateway is at the same
//! address, and the prefilter, reports and lookups are examined as well, so that a second finding would show.

use crate::support::{Deployed, Plan, Tls};
use crate::{BUNDLE, TOKEN};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use doctor::{Deployment, Severity};
use http::{Method, StatusCode, header};
use serde_json::json;
use std::sync::Mutex;
use std::time::Duration;

/// What a balancer does with a request.
enum Does {
    Passes(Request),
    Answers(Response),
    /// The answer begins and ends too early.
    Cuts,
    /// There is no answer.
    Hangs,
}

use Does::{Answers, Cuts, Hangs, Passes};

type Rule = fn(Request) -> Does;

/// What the balancer of the test does now.
static RULE: Mutex<Rule> = Mutex::new(Passes);

async fn balance(request: Request, next: Next) -> Response {
    let rule = *RULE.lock().unwrap();
    match rule(request) {
        Passes(request) => next.run(request).await,
        Answers(response) => response,
        Cuts => {
            let pieces = [Ok(Bytes::from_static(b"x")), Err(std::io::Error::other("cut"))];
            let length = [(header::CONTENT_LENGTH, "1000")];
            (length, Body::new(Pieces(pieces.into_iter()))).into_response()
        }
        Hangs => std::future::pending().await,
    }
}

/// A body in pieces, which may end with an error.
struct Pieces(std::array::IntoIter<Result<Bytes, std::io::Error>, 2>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(self.0.next().map(|piece| piece.map(http_body::Frame::data)))
    }
}

fn status(status: u16) -> Does {
    Answers(StatusCode::from_u16(status).unwrap().into_response())
}

fn page(status: u16) -> Does {
    let status = StatusCode::from_u16(status).unwrap();
    let html = [(header::CONTENT_TYPE, "text/html")];
    Answers((status, html, "<!doctype html><title>Welcome</title>").into_response())
}

fn refusal(status: u16, message: &str) -> Does {
    let status = StatusCode::from_u16(status).unwrap();
    Answers((status, axum::Json(json!({ "error": { "message": message } }))).into_response())
}

fn redirects(status: u16, location: String) -> Does {
    let status = StatusCode::from_u16(status).unwrap();
    Answers((status, [(header::LOCATION, location)]).into_response())
}

/// The rule for one path, and every other request passes.
fn at(request: Request, path: &str, does: fn() -> Does) -> Does {
    if request.uri().path() == path && request.method() != Method::OPTIONS {
        return does();
    }
    Passes(request)
}

fn posted(request: Request, path: &str, does: fn() -> Does) -> Does {
    if request.method() == Method::POST { at(request, path, does) } else { Passes(request) }
}

fn without_authorization(mut request: Request, paths: &[&str]) -> Does {
    if paths.is_empty() || paths.contains(&request.uri().path()) {
        request.headers_mut().remove(header::AUTHORIZATION);
    }
    Passes(request)
}

const DIRECTORY: &str = "/.well-known/private-token-issuer-directory";
const GATEWAY: &str = "/.well-known/ohttp-gateway";

/// A rule, and the check, what was seen, the cause and the fix of the one finding.
type Case = (Rule, &'static str, &'static str, &'static str, &'static str);

const EVERYTHING: &[Case] = &[
    (|_| status(502), "directory", "status 502", "no node that answers", "/readyz"),
    (|_| status(503), "directory", "status 503", "no node that answers", "/readyz"),
    (|_| status(504), "directory", "status 504", "no node that answers", "/readyz"),
    (|_| page(503), "directory", "status 503", "no node that answers", "/readyz"),
    (
        |request| redirects(301, format!("https://www.example.com{}", request.uri().path())),
        "directory",
        "status 301",
        "redirects to https://www.example.com/",
        "use https://www.example.com as the address",
    ),
    (
        |_| redirects(302, "https://sso.example.com/in?state=1".to_owned()),
        "directory",
        "status 302",
        "redirects to https://sso.example.com/in;",
        "without a redirection",
    ),
    (|_| page(403), "directory", "status 403", "a firewall", "pass there for everyone"),
    (
        |_| {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"staging\"")];
            Answers((StatusCode::UNAUTHORIZED, challenge).into_response())
        },
        "directory",
        "status 401",
        "a sign-in (Basic)",
        "without a sign-in",
    ),
    (|_| status(429), "directory", "status 429", "limits the rate", "raise the limit there"),
    (|_| page(200), "directory", "status 200", "a web page (text/html)", "pass /.well-known/"),
];

const TOKENS: &[Case] = &[
    (|r| at(r, DIRECTORY, || Cuts), "directory", "ended before", "ends in the middle", "10 MB"),
    (|r| at(r, "/issue", || page(403)), "issuance", "status 403", "a firewall", "/issue"),
    (
        |r| at(r, "/issue", || refusal(429, "no more tokens for this user at the moment")),
        "issuance",
        "status 429",
        "as many tokens as the service's limit",
        "limits.tokens",
    ),
    (
        |r| without_authorization(r, &[]),
        "userToken",
        "status 401",
        "without its Authorization header",
        "pass the Authorization header on",
    ),
    (
        |r| at(r, "/token-key-for-user-token", || page(403)),
        "userToken",
        "status 403",
        "a firewall",
        "/token-key-for-user-token",
    ),
    (
        |r| at(r, "/token-key-for-user-token", || status(502)),
        "userToken",
        "status 502",
        "no node that answers",
        "/readyz",
    ),
];

const SERVICE: &[Case] = &[
    (|r| posted(r, "/config", || status(502)), "config", "status 502", "no node", "/readyz"),
    (|r| posted(r, "/config", || page(404)), "config", "status 404", "a web site", "/config"),
    (|r| posted(r, "/config", || page(200)), "config", "status 200", "a web page", "/config"),
    (
        |r| posted(r, "/config", || refusal(503, "nothing was published yet, try again")),
        "config",
        "status 503",
        "waits for its first release",
        "urlfilter publish",
    ),
    (
        |r| without_authorization(r, &["/config", "/key", "/queries"]),
        "config",
        "status 401",
        "without its Authorization header",
        "pass the Authorization header on",
    ),
    (|r| at(r, "/key", || status(413)), "keyUpload", "413", "a body of 2", "client_max_body_size"),
    (|r| at(r, "/key", || status(502)), "keyUpload", "502", "no node that answers", "/readyz"),
    (|r| at(r, "/key", || status(507)), "keyUpload", "507", "the disk of the service", "make room"),
    (
        |r| at(r, "/key", || refusal(503, "temporarily not available, try again")),
        "keyUpload",
        "503",
        "the store of the service fails",
        "pir_store_failures_total",
    ),
    (|r| at(r, "/queries", || status(413)), "onboardingEntry", "413", "let a body", "10 MB"),
    (|r| at(r, "/queries", || status(502)), "onboardingEntry", "502", "no node", "/readyz"),
    (|r| at(r, "/queries", || page(403)), "onboardingEntry", "403", "a firewall", "/queries"),
    (|r| at(r, "/queries", || page(200)), "onboardingEntry", "200", "a web page", "/queries"),
    (|r| at(r, "/queries", || Cuts), "onboardingEntry", "ended before", "in the middle", "10 MB"),
    (
        |r| at(r, "/queries", || redirects(307, "/queries/".to_owned())),
        "onboardingEntry",
        "307",
        "redirects to",
        "let /queries pass",
    ),
    (
        |r| at(r, "/queries", || refusal(503, "busy, try again")),
        "onboardingEntry",
        "503",
        "the service is overloaded",
        "pir_queue_depth",
    ),
    (|r| at(r, "/reports", || status(502)), "reportEndpoint", "502", "no node", "/readyz"),
    (|r| at(r, GATEWAY, || page(403)), "gatewayKeys", "403", "a firewall", GATEWAY),
    (|r| posted(r, GATEWAY, || status(502)), "gatewayLookup", "502", "no node", "/readyz"),
    (
        |r| {
            let is_long = http_body::Body::size_hint(r.body()).lower() > 100_000;
            match is_long && r.uri().path() == GATEWAY {
                true => status(413),
                false => Passes(r),
            }
        },
        "gatewayLookup",
        "413",
        "does not let a body",
        "client_max_body_size",
    ),
];

#[test]
fn each_misbehaving_balancer_has_one_finding_with_its_cause() {
    let proxy = |router: Router| router.layer(middleware::from_fn(balance));
    let more = json!({ "reports": { "path": "/reports" } });
    let deployed = Deployed::new(Plan { proxy, more, ..Plan::default() });
    let deployment = || {
        let deployment = deployed.deployment().gateway(&deployed.url).report_endpoint("reports");
        deployment.filter(deployed.path("dist"))
    };
    let report = deployed.examine(deployment());
    assert_eq!(report.findings.count(Severity::Good), report.findings.len());
    for (rule, check, seen, cause, fix) in [EVERYTHING, TOKENS, SERVICE].concat() {
        *RULE.lock().unwrap() = rule;
        let report = deployed.examine(deployment());
        report.is_only(check, Severity::Bad, seen);
        report.has_cause(cause);
        report.has_fix(fix);
    }
    // Time limits are short only where nothing has to be computed before.
    *RULE.lock().unwrap() = |r| at(r, DIRECTORY, || Hangs);
    let report = deployed.examine(deployment().timeout(Duration::from_secs(1)));
    report.is_only("directory", Severity::Bad, "no whole answer within 1 s");
    report.has_cause("the answer does not come");
    *RULE.lock().unwrap() = |r| at(r, "/queries", || Hangs);
    let report = deployed.examine(deployment().timeout(Duration::from_secs(10)));
    report.is_only("onboardingEntry", Severity::Bad, "no whole answer within 10 s");
    report.has_cause("the answer does not come");
}

/// The layout that `docs/onboarding.md` recommends has service, issuer and gateway at one address.
#[test]
fn a_server_with_several_roles_is_examined_once() {
    let examined = |tls: Tls, is_trusted: bool| {
        let deployed = Deployed::new(Plan { tls: Some(tls), ..Plan::default() });
        let deployment = deployed.deployment().gateway(&deployed.url);
        let authority = deployed.path("authority.pem");
        deployed.examine(if is_trusted { deployment.authority(authority) } else { deployment })
    };
    let days = |days| Tls { days, ..Tls::default() };
    examined(days(-1), true).is_only("serverConnection", Severity::Bad, "expired");
    examined(days(13), true).is_only("serverCertificate", Severity::Warning, "12 days left");
    examined(days(365), false).is_only("serverConnection", Severity::Bad, "certificate");
    let late = |router: Router| {
        router.layer(middleware::map_response(async |mut response: Response| {
            let date = std::time::SystemTime::now() + Duration::from_secs(3600);
            let date = httpdate::fmt_http_date(date).parse().unwrap();
            response.headers_mut().insert(header::DATE, date);
            response
        }))
    };
    let deployed = Deployed::new(Plan { proxy: late, ..Plan::default() });
    let report = deployed.examine(deployed.deployment().gateway(&deployed.url));
    report.is_only("serverClock", Severity::Bad, "ahead of this machine's");
    // Nothing listens there.
    let closed = "http://127.0.0.1:1";
    let nowhere = Deployment::new(closed, BUNDLE, TOKEN).development(true).gateway(closed);
    deployed.examine(nowhere.issuer("http://127.0.0.1:1/issuer")).is_only(
        "serverConnection",
        Severity::Bad,
        "refused",
    );
}

#[test]
fn a_cause_of_the_service_is_not_blamed_on_the_gateway() {
    let deployed = Deployed::new(Plan::default());
    let other = Deployment::new(&deployed.url, "com.example.other", TOKEN).development(true);
    let report = deployed.examine(other.gateway(&deployed.url));
    report.is_only("config", Severity::Bad, "no use case");
}

#[test]
fn an_address_that_is_wrong_in_one_way_has_one_finding() {
    let deployed = Deployed::new(Plan { tls: Some(Tls::default()), ..Plan::default() });
    let examined = |address: String| {
        let deployment = Deployment::new(address, BUNDLE, TOKEN);
        deployed.examine(deployment.authority(deployed.path("authority.pem")))
    };
    let report = examined(format!("{}/lookup", deployed.url));
    report.is_only("serverConnection", Severity::Bad, "answers");
    report.has_fix(&format!("use {} as the address", deployed.url));
    let report = examined(deployed.url.replace("https://", "http://"));
    report.is_only("serverConnection", Severity::Bad, "");
    report.has_fix("write https://");
    // Nothing listens at an address that must be another one anyway.
    examined("http://127.0.0.1:1".to_owned()).is_only("serverUrl", Severity::Bad, "https://");
}
