//! Examinations of deployments that are in order, and of ones that are broken in one way each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod balancers;
mod builds;
mod caller;
mod certificates;
mod reports;
mod support;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use doctor::{Deployment, ExamineError, Severity};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Deployed, Plan, Tls, answers, build, name_server, process};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

const BUNDLE: &str = "com.example.app";
const TOKEN: &str = "AAAA";

#[test]
fn a_deployment_in_order_is_ready() {
    let deployed = Deployed::new(Plan::default());
    let deployment = deployed.deployment().gateway(&deployed.url);
    let deployment = deployment.filter(deployed.path("dist")).data(deployed.path("dist/urls"));
    let report = deployed.examine(deployment);
    let checks: Vec<&str> = report.findings.iter().map(|finding| finding.check.name()).collect();
    assert_eq!(
        checks,
        [
            "serverUrl",
            "userTokenForm",
            "gatewayUrl",
            "serverConnection",
            "serverClock",
            "directory",
            "userToken",
            "tierKey",
            "issuance",
            "config",
            "shardCount",
            "keyUpload",
            "onboardingEntry",
            "absentKey",
            "sameBuild",
            "costs",
            "gatewayKeys",
            "gatewayLookup",
        ]
    );
    assert_eq!(report.findings.count(Severity::Good), checks.len(), "{:#?}", report.findings);
    assert!(report.findings.is_ready());
}

#[test]
fn addresses_that_app_store_apps_cannot_have() {
    let deployed = Deployed::new(Plan::default());
    let report = deployed.examine(deployed.deployment().development(false));
    report.is_only("serverUrl", Severity::Bad, "does not begin with https://");
    let deployment = deployed.deployment().development(false).gateway(&deployed.url);
    let report = deployed.examine(deployment.issuer(format!("{}/", deployed.url)));
    report.says("issuerUrl", Severity::Bad, "does not begin with https://");
    report.says("gatewayUrl", Severity::Bad, "does not begin with https://");
}

#[test]
fn connections_that_devices_cannot_make() {
    let closed = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", socket.local_addr().unwrap())
    };
    // A certificate that nobody signed.
    let deployed = Deployed::new(Plan { tls: Some(Tls::default()), ..Plan::default() });
    let report = deployed.examine(Deployment::new(closed, BUNDLE, TOKEN).development(true));
    report.is_only("serverConnection", Severity::Bad, "refused");
    report.has_cause("nothing listens at this port");
    let report = deployed.examined();
    report.is_only("serverConnection", Severity::Bad, "certificate");
    report.has_cause("self-signed");
    // The same, as the usual command makes it.
    let tls = Tls { is_authority: true, ..Tls::default() };
    let authority = Deployed::new(Plan { tls: Some(tls), ..Plan::default() });
    let report = authority.examined();
    report.is_only("serverConnection", Severity::Bad, "certificate");
    report.has_cause("self-signed");
    let authority = deployed.path("authority.pem");
    let report = deployed.examine(deployed.deployment().authority(&authority));
    assert!(report.findings.is_ready(), "{:#?}", report.findings);
    report.says("serverConnection", Severity::Good, "over TLS with HTTP/2");
    // A certificate of another host.
    let other = deployed.url.replace("localhost", "127.0.0.1");
    let deployment = Deployment::new(other, BUNDLE, TOKEN).development(true).authority(authority);
    let report = deployed.examine(deployment);
    report.is_only("serverConnection", Severity::Bad, "certificate");
    report.has_cause("the certificate is for another host");
    // TLS and none, each where the other is.
    let plain = Deployed::new(Plan::default());
    let address = plain.url.replace("http://", "https://");
    let report = plain.examine(Deployment::new(address, BUNDLE, TOKEN).development(true));
    report.is_only("serverConnection", Severity::Bad, "");
    report.has_cause("does not speak TLS");
    let address = deployed.url.replace("https://", "http://");
    let report = deployed.examine(Deployment::new(address, BUNDLE, TOKEN).development(true));
    report.is_only("serverConnection", Severity::Bad, "");
    report.has_cause("does not speak HTTP as it is asked");
    let report = plain
        .examine(Deployment::new("http://no-such-host.invalid", BUNDLE, TOKEN).development(true));
    report.is_only("serverConnection", Severity::Bad, "");
    report.has_cause("the host's name has no address");

    let tls = Tls { http2: false, ..Tls::default() };
    let old = Deployed::new(Plan { tls: Some(tls), ..Plan::default() });
    let deployment = || old.deployment().authority(old.path("authority.pem"));
    let report = old.examine(deployment());
    report.is_only("serverConnection", Severity::Warning, "HTTP/1.1 only");
    // Apple's relay does not accept such a gateway.
    let report = old.examine(deployment().gateway(&old.url));
    report.is_only("gatewayConnection", Severity::Bad, "HTTP/1.1 only");
}

#[test]
fn certificates_that_ended_or_end_soon() {
    let examined = |days| {
        let tls = Tls { days, ..Tls::default() };
        let deployed = Deployed::new(Plan { tls: Some(tls), ..Plan::default() });
        deployed.examine(deployed.deployment().authority(deployed.path("authority.pem")))
    };
    examined(15).says("serverCertificate", Severity::Good, "14 days left");
    let report = examined(13);
    report.is_only("serverCertificate", Severity::Warning, "12 days left");
    report.has_cause("ends soon");
    let report = examined(-1);
    report.is_only("serverConnection", Severity::Bad, "expired");
    report.has_cause("the certificate has expired");
}

#[test]
fn addresses_of_something_else() {
    let deployed = Deployed::new(Plan::default());
    let examined =
        |address: &str| deployed.examine(Deployment::new(address, BUNDLE, TOKEN).development(true));
    let without_scheme = deployed.url.trim_start_matches("http://").to_owned();
    for address in [without_scheme.as_str(), "localhost", "", "ftp://a.example"] {
        let report = examined(address);
        report.is_only("serverUrl", Severity::Bad, "does not begin with http:// or https://");
    }
    let report = examined(&format!("{}/lookup", deployed.url));
    report.is_only("serverConnection", Severity::Bad, &format!("{} answers", deployed.url));
    report.has_cause("the address has a path");
    // The same in front of the admin address.
    let admin = deployed.runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = pir_server::admin::router(&deployed.service);
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    });
    let report = examined(&admin);
    report.is_only("serverConnection", Severity::Bad, "metrics at /metrics");
    report.has_cause("the admin address");
}

#[test]
fn user_tokens_that_devices_of_26_cannot_decode() {
    for token in ["eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "ab-_", "AAA", "AAAAA==="] {
        let more = json!({ "users": [{ "tier": "tier1", "tokens": [token] }] });
        let deployed = Deployed::new(Plan { more, ..Plan::default() });
        let report = deployed.examine(with_token(&deployed, token));
        report.is_only("userTokenForm", Severity::Bad, "not standard base64");
        let printed = format!("{:?}", report.findings);
        assert!(!printed.contains(token), "{printed}");
    }
}

/// One finding, about the text, whatever the issuer says of it.
#[test]
fn user_tokens_that_are_not_what_the_app_sets() {
    let deployed = Deployed::new(Plan::default());
    for (token, seen) in [
        ("Bearer AAAA", "begins with `Bearer `"),
        (" bearer AAAA", "begins with `Bearer `"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("AA AA", "has white space"),
        ("AAAA\n", "has white space"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "not standard base64"),
    ] {
        let report = deployed.examine(with_token(&deployed, token));
        report.is_only("userTokenForm", Severity::Bad, seen);
    }
}

#[test]
fn clocks_that_differ() {
    let late = |router: Router| {
        router.layer(middleware::map_response(async |mut response: Response| {
            let date = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
            let date = httpdate::fmt_http_date(date).parse().unwrap();
            response.headers_mut().insert(http::header::DATE, date);
            response
        }))
    };
    let deployed = Deployed::new(Plan { proxy: late, ..Plan::default() });
    deployed.examined().is_only("serverClock", Severity::Bad, "ahead of this machine's");
}

fn with_token(deployed: &Deployed, token: &str) -> Deployment {
    Deployment::new(&deployed.url, BUNDLE, token).development(true)
}

#[test]
fn issuers_that_do_not_issue() {
    let missing = |router| {
        answers("/.well-known/private-token-issuer-directory", || {
            http::StatusCode::NOT_FOUND.into_response()
        })(router)
    };
    let deployed = Deployed::new(Plan { proxy: missing, ..Plan::default() });
    deployed.examined().says("directory", Severity::Bad, "status 404");
    let empty = |router| {
        answers("/.well-known/private-token-issuer-directory", || {
            axum::Json(json!({ "issuer-request-uri": "/issue", "token-keys": [] })).into_response()
        })(router)
    };
    let deployed = Deployed::new(Plan { proxy: empty, ..Plan::default() });
    deployed.examined().says("directory", Severity::Bad, "none of its 0 keys");
    let page = |router| {
        answers("/.well-known/private-token-issuer-directory", || "hello".into_response())(router)
    };
    let deployed = Deployed::new(Plan { proxy: page, ..Plan::default() });
    deployed.examined().says("directory", Severity::Bad, "not an issuer directory");
    let no_key = |router| {
        answers("/token-key-for-user-token", || http::StatusCode::NOT_FOUND.into_response())(router)
    };
    let deployed = Deployed::new(Plan { proxy: no_key, ..Plan::default() });
    deployed.examined().is_only("userToken", Severity::Bad, "status 404, without a valid key");
    // A key that is given out before its time.
    let early = |router: Router| {
        router.layer(middleware::from_fn(|request: Request, next: Next| async move {
            if request.uri().path() != "/.well-known/private-token-issuer-directory" {
                return next.run(request).await;
            }
            let body = next.run(request).await.into_body();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let mut directory: Value = serde_json::from_slice(&body).unwrap();
            directory["token-keys"][1]["not-before"] = 9_999_999_999_u64.into();
            axum::Json(directory).into_response()
        }))
    };
    let deployed = Deployed::new(Plan { proxy: early, ..Plan::default() });
    let report = deployed.examine(with_token(&deployed, "BBBB"));
    report.says("tierKey", Severity::Bad, "not valid yet");
    let refuses =
        |router| answers("/issue", || http::StatusCode::BAD_GATEWAY.into_response())(router);
    let deployed = Deployed::new(Plan { proxy: refuses, ..Plan::default() });
    deployed.examined().says("issuance", Severity::Bad, "status 502");

    let deployed = Deployed::new(Plan::default());
    deployed.examine(with_token(&deployed, "CCCC")).is_only(
        "userToken",
        Severity::Bad,
        "status 401",
    );
    // The address of an earlier deployment.
    let more = json!({ "issuerRequestUri": "http://127.0.0.1:1/issue" });
    let stale = Deployed::new(Plan { more, ..Plan::default() });
    let report = stale.examined();
    report.is_only("issuance", Severity::Bad, "http://127.0.0.1:1/issue");
    report.has_cause("issuer-request-uri");
    // Other keys than those of the directory.
    let other = Deployed::new(Plan::default());
    let foreign = other.runtime.block_on(async {
        let url = format!("{}/token-key-for-user-token", other.url);
        let request = reqwest::Client::new().get(url).bearer_auth("AAAA");
        request.send().await.unwrap().bytes().await.unwrap()
    });
    static FOREIGN: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FOREIGN.set(foreign.to_vec()).unwrap();
    let strange = |router| {
        answers("/token-key-for-user-token", || FOREIGN.get().unwrap().clone().into_response())(
            router,
        )
    };
    let deployed = Deployed::new(Plan { proxy: strange, ..Plan::default() });
    deployed.examined().says("tierKey", Severity::Bad, "not in the directory");
    // Tiers that are kept apart.
    let more = json!({ "issuer": { "strictTiers": true } });
    let deployed = Deployed::new(Plan { more, ..Plan::default() });
    let report = deployed.examine(with_token(&deployed, "BBBB"));
    report.is_only("firstKeyIssuance", Severity::Warning, "status 422");
}

#[test]
fn services_that_do_not_answer_as_they_should() {
    // Another app.
    let deployed = Deployed::new(Plan::default());
    let other = Deployment::new(&deployed.url, "com.example.other", TOKEN).development(true);
    let seen = format!("the service has {BUNDLE}.url.filtering");
    deployed.examine(other).is_only("config", Severity::Bad, &seen);
    let broken =
        |router| answers("/config", || http::StatusCode::BAD_GATEWAY.into_response())(router);
    let deployed = Deployed::new(Plan { proxy: broken, ..Plan::default() });
    deployed.examined().is_only("config", Severity::Bad, "502");
    // Bodies that do not pass.
    let long =
        |router| answers("/key", || http::StatusCode::PAYLOAD_TOO_LARGE.into_response())(router);
    let deployed = Deployed::new(Plan { proxy: long, ..Plan::default() });
    deployed.examined().is_only("keyUpload", Severity::Bad, "413");
    let broken =
        |router| answers("/queries", || http::StatusCode::BAD_GATEWAY.into_response())(router);
    let deployed = Deployed::new(Plan { proxy: broken, ..Plan::default() });
    deployed.examined().is_only("onboardingEntry", Severity::Bad, "502");
    // Tokens of an issuer that the service does not know.
    let (service, issuer) = (Deployed::new(Plan::default()), Deployed::new(Plan::default()));
    let report = service.examine(service.deployment().issuer(&issuer.url));
    report.is_only("config", Severity::Bad, "401");
    // A proxy that knows POST only.
    let no_get = |router: Router| {
        router.layer(middleware::from_fn(|request: Request, next: Next| async move {
            match request.uri().path() == "/config" && request.method() == "GET" {
                true => http::StatusCode::METHOD_NOT_ALLOWED.into_response(),
                false => next.run(request).await,
            }
        }))
    };
    let deployed = Deployed::new(Plan { proxy: no_get, ..Plan::default() });
    deployed.examined().is_only("shardCount", Severity::Warning, "GET /config");
}

#[test]
fn data_sets_that_devices_do_not_take() {
    let deployed = Deployed::new(Plan { shards: 3, ..Plan::default() });
    deployed.examined().is_only("shardCount", Severity::Warning, "shards: 3");
    let deployed = Deployed::new(Plan { onboarding: false, ..Plan::default() });
    // An app from Xcode needs no entry for Apple.
    deployed.examined().is_only("onboardingEntry", Severity::Warning, "is not found");
    let other = |rows: String| {
        let entry = "www.apple.com/url-filter-test\" value: \"";
        assert!(rows.contains(entry), "{rows}");
        rows.replace(&format!("{entry}1"), &format!("{entry}2"))
    };
    let deployed = Deployed::new(Plan { rows: other, ..Plan::default() });
    deployed.examined().is_only("onboardingEntry", Severity::Bad, "its value is not 1");
    // The key that nobody has is another one each second: this one has all of the next hour.
    let everything = |mut rows: String| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        for second in now..now + 3600 {
            let key = second.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            rows += &format!("rows {{ keyword: \"{key:016x}.invalid\" value: \"1\" }}\n");
        }
        rows
    };
    let deployed = Deployed::new(Plan { rows: everything, ..Plan::default() });
    deployed.examined().is_only("absentKey", Severity::Bad, "on no list is found");
    // Three shards, of which the configuration names two.
    let plan = Plan { recorded: Some("synthetic_shards3_logt4"), ..Plan::default() };
    let deployed = Deployed::new(plan);
    let report = deployed.examine(deployed.deployment().filter(deployed.path("dist")));
    report.says("sameBuild", Severity::Bad, "just those that a data set of 3 or 6 shards has");
    report.has_cause("another number of shards");
    // A newer list, which the service does not have yet.
    let deployed = Deployed::new(Plan::default());
    let newer = deployed.path("newer");
    build("a.example\nnew.example\n", &newer, true);
    let report = deployed.examine(deployed.deployment().filter(&newer));
    report.is_only(
        "sameBuild",
        Severity::Bad,
        "1 of 3 keys of the prefilter are not at the service",
    );
    let deployment = deployed.deployment().filter(&newer).data(deployed.path("dist/urls"));
    deployed.examine(deployment).is_only("sameBuild", Severity::Bad, "not of one build");
    // A newer data set, which the service does not have yet.
    process(&newer, 4);
    let deployment = deployed.deployment().filter(&newer).data(newer.join("urls"));
    deployed.examine(deployment).is_only(
        "sameBuild",
        Severity::Bad,
        "the service has configuration",
    );
}

/// One of two nodes works.
#[test]
fn services_of_which_only_some_requests_are_answered() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let some = |router: Router| {
        router.layer(middleware::from_fn(|request: Request, next: Next| async move {
            let is_query = request.uri().path() == "/queries";
            match is_query && ASKED.fetch_add(1, Ordering::Relaxed) > 0 {
                true => http::StatusCode::BAD_GATEWAY.into_response(),
                false => next.run(request).await,
            }
        }))
    };
    let deployed = Deployed::new(Plan { proxy: some, ..Plan::default() });
    let report = deployed.examined();
    report.says("onboardingEntry", Severity::Good, "is found");
    report.is_only("absentKey", Severity::Bad, "502");
    assert!(deployed.service.is_ready());
}

#[test]
fn gateways_that_do_not_pass_on() {
    let more = json!({ "gateway": null });
    let none = Deployed::new(Plan { more, ..Plan::default() });
    none.examine(none.deployment().gateway(&none.url)).is_only(
        "gatewayKeys",
        Severity::Bad,
        "status 404",
    );
    let more = json!({ "gateway": { "hosts": ["pir.example.com"] } });
    let other = Deployed::new(Plan { more, ..Plan::default() });
    let report = other.examine(other.deployment().gateway(&other.url));
    report.is_only("gatewayLookup", Severity::Bad, "does not pass requests for 127.0.0.1 on");
    let more = json!({ "gateway": { "origins": { "127.0.0.1": "http://127.0.0.1:1" } } });
    let away = Deployed::new(Plan { more, ..Plan::default() });
    let report = away.examine(away.deployment().gateway(&away.url));
    report.is_only("gatewayLookup", Severity::Bad, "status 502");
    // The issuer has a name of its own, which the gateway does not know.
    let more = json!({ "gateway": { "hosts": ["127.0.0.1"] } });
    let half = Deployed::new(Plan { more, ..Plan::default() });
    let issuer = half.url.replace("127.0.0.1", "localhost");
    let report = half.examine(half.deployment().gateway(&half.url).issuer(issuer));
    report.is_only("gatewayLookup", Severity::Bad, "403");
    let strange = |router| {
        answers("/.well-known/ohttp-gateway", || {
            ([(http::header::CONTENT_TYPE, "application/ohttp-keys")], "nonsense").into_response()
        })(router)
    };
    let deployed = Deployed::new(Plan { proxy: strange, ..Plan::default() });
    let report = deployed.examine(deployed.deployment().gateway(&deployed.url));
    report.is_only("gatewayKeys", Severity::Bad, "no usable key configuration");
    let page = |router| answers("/.well-known/ohttp-gateway", || "hello".into_response())(router);
    let deployed = Deployed::new(Plan { proxy: page, ..Plan::default() });
    let whole = format!("{}/.well-known/ohttp-gateway", deployed.url);
    deployed.examine(deployed.deployment().gateway(whole)).is_only(
        "gatewayKeys",
        Severity::Bad,
        "text/plain",
    );
    // Keys of yesterday.
    let broken = |router: Router| {
        router.layer(middleware::from_fn(|request: Request, next: Next| async move {
            match request.uri().path() == "/.well-known/ohttp-gateway" && request.method() == "POST"
            {
                true => http::StatusCode::BAD_REQUEST.into_response(),
                false => next.run(request).await,
            }
        }))
    };
    let deployed = Deployed::new(Plan { proxy: broken, ..Plan::default() });
    let report = deployed.examine(deployed.deployment().gateway(&deployed.url));
    report.is_only("gatewayLookup", Severity::Bad, "status 400");
}

#[test]
fn domains_without_their_record() {
    let deployed = Deployed::new(Plan::default());
    let asking =
        |resolver| deployed.deployment().resolver(resolver).timeout(Duration::from_secs(5));
    let examined = |text: Option<String>| {
        let resolver = deployed.runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            tokio::spawn(name_server(socket, text));
            address
        });
        deployed.examine(asking(resolver))
    };
    let good = examined(Some(format!("apple-url-filter={BUNDLE}")));
    assert!(good.findings.is_ready(), "{:#?}", good.findings);
    good.says("dnsRecord", Severity::Good, "apple-url-filter=");
    examined(None).is_only("dnsRecord", Severity::Bad, "has no TXT record");
    examined(Some("v=spf1 -all".to_owned())).is_only(
        "dnsRecord",
        Severity::Bad,
        "has no TXT record",
    );
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let report = deployed.examine(asking(silent.local_addr().unwrap()));
    report.is_only("dnsRecord", Severity::Bad, "no answer of the name server 127.0.0.1:");
    report.has_cause("--resolver");
    let other = examined(Some("apple-url-filter=com.example.other".to_owned()));
    other.is_only("dnsRecord", Severity::Bad, "com.example.other, expected");
}

#[test]
fn apps_that_say_something_else() {
    let deployed = Deployed::new(Plan::default());
    let path: PathBuf = deployed.folder.path().join("Info.plist");
    let examined = |content: &str| {
        let plist = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><dict>{content}</dict></plist>"
        );
        fs::write(&path, plist).unwrap();
        deployed.examine(deployed.deployment().info_plist(&path))
    };
    let with = |server: &str, issuer: &str| {
        let entry = |key: &str, value: &str| match value {
            "" => String::new(),
            value => format!("<key>{key}</key><string>{value}</string>"),
        };
        let (server, issuer) =
            (entry("PIRServerURL", server), entry("PrivacyPassIssuerURL", issuer));
        format!("<key>NSPIRConfiguration</key><dict>{server}{issuer}</dict>")
    };
    let url = deployed.url.clone();
    examined(&with(&url, &url)).says("infoPlist", Severity::Good, "has the app's addresses");
    // The issuer is the service unless the file says otherwise.
    examined(&with(&url, "")).says("infoPlist", Severity::Good, "has the app's addresses");
    let bad =
        |content: &str, seen: &str| examined(content).is_only("infoPlist", Severity::Bad, seen);
    bad("", "no dictionary NSPIRConfiguration");
    bad("<key>NSPIRConfiguration</key><string>x</string>", "no dictionary NSPIRConfiguration");
    bad(&with("https://old.example.com", &url), "PIRServerURL is \"https://old.example.com\"");
    bad(&with("", &url), "has no PIRServerURL");
    let issuer = deployed.url.replace("127.0.0.1", "localhost");
    examined(&with(&url, ""));
    deployed.examine(deployed.deployment().issuer(issuer).info_plist(&path)).is_only(
        "infoPlist",
        Severity::Bad,
        "has no PrivacyPassIssuerURL",
    );
    // What was right for an earlier deployment is not added once more.
    let report = examined(&with(&url, "https://old.example.com"));
    report.is_only("infoPlist", Severity::Bad, "PrivacyPassIssuerURL is");
    report.has_fix("remove PrivacyPassIssuerURL from NSPIRConfiguration, or change it to");
    let id = |id: &str| {
        let id = format!("<key>CFBundleIdentifier</key><string>{id}</string>");
        examined(&format!("{id}{}", with(&url, "")))
    };
    id(BUNDLE).says("infoPlist", Severity::Good, "has the app's addresses");
    let report = id("com.example.other");
    report.is_only("infoPlist", Severity::Bad, "CFBundleIdentifier is \"com.example.other\"");
    report.has_cause("the file of another app");
    // A file that cannot be read is no finding about the app.
    let cannot = |path: &std::path::Path| {
        let deployment = deployed.deployment().info_plist(path);
        let error = deployed.runtime.block_on(doctor::examine(&deployment)).unwrap_err();
        assert!(matches!(error, ExamineError::InfoPlist { .. }), "{error}");
    };
    fs::write(&path, "nonsense").unwrap();
    cannot(&path);
    cannot(&deployed.path("nowhere.plist"));
}

#[test]
fn answers_that_take_long() {
    let deployed = Deployed::new(Plan::default());
    // Whatever it takes is more than nothing.
    deployed.examine(deployed.deployment().max_latency(Duration::ZERO)).is_only(
        "costs",
        Severity::Warning,
        "a lookup takes",
    );
    deployed.examine(deployed.deployment().max_reply_bytes(10)).is_only(
        "costs",
        Severity::Warning,
        "a lookup takes",
    );
    let silent = |router: Router| {
        router.layer(middleware::from_fn(|_: Request, _: Next| async {
            std::future::pending::<Response>().await
        }))
    };
    let deployed = Deployed::new(Plan { proxy: silent, ..Plan::default() });
    let report = deployed.examine(deployed.deployment().timeout(Duration::from_secs(1)));
    report.says("serverConnection", Severity::Bad, "timed out");
}

#[test]
fn examinations_that_cannot_be_made() {
    let runtime = Runtime::new().unwrap();
    let examine = |deployment| runtime.block_on(doctor::examine(&deployment)).unwrap_err();
    let server = "https://pir.example.com";
    let error = examine(Deployment::new(server, "com.example.app.url.filtering", TOKEN));
    assert!(matches!(error, ExamineError::BundleId(_)), "{error}");
    assert!(error.to_string().contains("without `.url.filtering`"), "{error}");
    let deployment = || Deployment::new(server, BUNDLE, TOKEN);
    let error = examine(deployment().authority("/nonexistent/authority.pem"));
    assert!(matches!(error, ExamineError::Authority(_)), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("authority.pem");
    fs::write(&pem, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n").unwrap();
    let error = examine(deployment().authority(&pem));
    assert!(matches!(error, ExamineError::Certificate { .. }), "{error}");
}
