//! `urlfilter doctor` at deployments that are sound, and at ones that are broken in one way each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use pir_server::{Configuration, Listener, Service, endpoints, service};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

const BUNDLE: &str = "com.example.app";

/// How a deployment differs from a sound one.
struct Plan {
    list: &'static str,
    onboarding: bool,
    shards: u32,
    more: Value,
    /// Changes the rows that are processed.
    rows: fn(String) -> String,
    /// Stands before the service.
    before: fn(Router) -> Router,
    tls: Option<Tls>,
}

impl Default for Plan {
    fn default() -> Self {
        let list = "a.example\nb.example/path\nc.example\n";
        Self {
            list,
            rows: |rows| rows,
            onboarding: true,
            shards: 2,
            more: json!({}),
            before: |router| router,
            tls: None,
        }
    }
}

/// A certificate, and the versions of HTTP that are offered with it.
struct Tls {
    http2: bool,
}

struct Deployed {
    folder: TempDir,
    url: String,
    runtime: Runtime,
    service: Arc<Service>,
}

fn command(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_urlfilter"));
    command.current_dir(folder).stdin(Stdio::null()).env_remove("URLFILTER_TOKEN").args(arguments);
    command.output().unwrap()
}

#[track_caller]
fn succeeds(output: &Output) {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{talk}");
}

fn build(folder: &Path, list: &str, out: &str, onboarding: bool) {
    fs::write(folder.join("list.txt"), list).unwrap();
    let mut arguments = vec!["build", "list.txt", "--out", out];
    arguments.extend(onboarding.then_some("--onboarding-entry"));
    succeeds(&command(folder, &arguments));
}

impl Deployed {
    fn new(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), plan.list, "dist", plan.onboarding);
        let input = folder.path().join("dist/input.txtpb");
        let rows = fs::read_to_string(&input).unwrap();
        fs::write(&input, (plan.rows)(rows)).unwrap();
        let process = json!({
            "rlweParameters": "n_4096_logq_27_28_28_logt_5",
            "inputDatabase": "dist/input.txtpb",
            "outputDatabase": "dist/urls-SHARD_ID.bin",
            "outputPirParameters": "dist/urls-SHARD_ID.params.txtpb",
            "sharding": { "shardCount": plan.shards },
        });
        fs::write(folder.path().join("process.json"), process.to_string()).unwrap();
        succeeds(&command(folder.path(), &["process", "process.json"]));
        let mut text = json!({
            "users": [
                { "tier": "tier1", "tokens": ["AAAA"] },
                { "tier": "tier2", "tokens": ["BBBB"] },
            ],
            "usecases": [{
                "name": format!("{BUNDLE}.url.filtering"),
                "fileStem": folder.path().join("dist/urls"),
                "shardCount": plan.shards,
            }],
            "store": { "directory": folder.path().join("state") },
            "gateway": { "hosts": ["127.0.0.1", "localhost"] },
        });
        for (key, value) in plan.more.as_object().unwrap() {
            text[key] = value.clone();
        }
        let configuration = Configuration::parse(text.to_string().as_bytes()).unwrap();
        let runtime = Runtime::new().unwrap();
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("authority.pem"), certified.cert.pem()).unwrap();
        let tls = plan.tls.map(|tls| {
            let key =
                rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
            let mut config = rustls::ServerConfig::builder()
                .with_no_client_auth()
                .with_single_cert(vec![certified.cert.der().clone()], key.into())
                .unwrap();
            let versions: &[&[u8]] = if tls.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
            config.alpn_protocols = versions.iter().map(|version| version.to_vec()).collect();
            Arc::new(config)
        });
        let scheme = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let (service, url) = runtime.block_on(async {
            let service = Service::open(&configuration, service::system_clock()).await.unwrap();
            let service = Arc::new(service);
            let any = ["127.0.0.1:0".parse().unwrap()];
            let router = (plan.before)(endpoints::router(&service));
            let listener = Listener::bind(&any, router).await.unwrap().with_tls(tls);
            let url = format!("{scheme}:{}", listener.addresses().unwrap()[0].port());
            let serving = Arc::clone(&service);
            tokio::spawn(async move { listener.serve(&serving, std::future::pending()).await });
            (service, url)
        });
        Self { folder, url, runtime, service }
    }

    fn doctor(&self, more: &[&str]) -> Report {
        let first = ["doctor", "--server", &self.url, "--bundle-id", BUNDLE, "--json"];
        let token = ["--token", "AAAA"];
        let token = if more.contains(&"--token") { &[][..] } else { &token[..] };
        // Tests share the machine with each other: what is slow here is no finding.
        let patient = ["--latency", "600000"];
        let patient = if more.contains(&"--latency") { &[][..] } else { &patient[..] };
        Report::of(&command(self.folder.path(), &[&first, token, patient, more].concat()))
    }

    /// What a deployment for development is told.
    fn examined(&self, more: &[&str]) -> Report {
        self.doctor(&[&["--development"], more].concat())
    }
}

struct Report {
    code: i32,
    findings: Vec<Value>,
}

impl Report {
    fn of(output: &Output) -> Self {
        let code = output.status.code().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {code} {talk}"));
        assert_eq!(report["ready"], code == 0);
        let findings = report["findings"].as_array().unwrap().clone();
        for finding in &findings {
            // Whatever is not good has a cause and a fix; no token is ever shown.
            let is_good = finding["state"] == "good";
            assert_eq!(finding["cause"].is_null(), is_good, "{finding}");
            assert_eq!(finding["fix"].is_null(), is_good, "{finding}");
            assert!(!finding.to_string().contains("AAAA"), "{finding}");
        }
        Self { code, findings }
    }

    fn states(&self) -> Vec<(&str, &str)> {
        self.findings
            .iter()
            .map(|f| (f["check"].as_str().unwrap(), f["state"].as_str().unwrap()))
            .collect()
    }

    /// All is good but this, which says so.
    #[track_caller]
    fn is_only(&self, check: &str, state: &str, seen: &str) {
        let others: Vec<_> =
            self.states().into_iter().filter(|(_, state)| *state != "good").collect();
        assert_eq!(others, [(check, state)], "{:#?}", self.findings);
        self.says(check, state, seen);
        assert_eq!(self.code, i32::from(state == "bad"));
    }

    #[track_caller]
    fn says(&self, check: &str, state: &str, seen: &str) {
        let is_it = |finding: &&Value| {
            finding["check"] == check
                && finding["state"] == state
                && finding["seen"].as_str().unwrap().contains(seen)
        };
        assert!(self.findings.iter().any(|finding| is_it(&finding)), "{:#?}", self.findings);
    }
}

/// A deployment before which one path does something else.
fn answers(path: &'static str, with: fn() -> Response) -> impl Fn(Router) -> Router {
    move |router| {
        router.layer(middleware::from_fn(move |request: Request, next: Next| async move {
            match request.uri().path() == path && request.method() != "OPTIONS" {
                true => with(),
                false => next.run(request).await,
            }
        }))
    }
}

#[test]
fn a_sound_deployment_is_ready() {
    let deployed = Deployed::new(Plan::default());
    let report =
        deployed.examined(&["--gateway", &deployed.url, "--filter", "dist", "--data", "dist/urls"]);
    assert!(report.states().iter().all(|(_, state)| *state == "good"), "{:#?}", report.findings);
    assert_eq!(report.code, 0);
    let checks: Vec<&str> = report.states().into_iter().map(|(check, _)| check).collect();
    for check in [
        "serverUrl",
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
        "gatewayUrl",
        "gatewayConnection",
        "gatewayKeys",
        "gatewayLookup",
    ] {
        assert!(checks.contains(&check), "{check} {checks:?}");
    }
    // For people: lines, and the same codes.
    let arguments = ["doctor", "--server", &deployed.url, "--bundle-id", BUNDLE, "--token", "AAAA"];
    let output = command(deployed.folder.path(), &arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("WRONG    serverUrl") && text.contains("error 9"), "{text}");
    assert!(text.contains("not ready: 1 of "), "{text}");
}

#[test]
fn addresses_that_apps_from_the_store_cannot_have() {
    let deployed = Deployed::new(Plan::default());
    deployed.doctor(&[]).is_only("serverUrl", "bad", "does not begin with https://");
    let issuer = format!("{}/", deployed.url);
    let report = deployed.doctor(&["--issuer", &issuer, "--gateway", &deployed.url]);
    report.says("issuerUrl", "bad", "does not begin with https://");
    report.says("gatewayUrl", "bad", "does not begin with https://");
}

#[test]
fn connections_that_devices_cannot_make() {
    let nobody = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", socket.local_addr().unwrap())
    };
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["doctor", "--development", "--server", &nobody, "--bundle-id", BUNDLE];
    let more = ["--token", "AAAA", "--json"];
    let report = Report::of(&command(folder.path(), &[&arguments[..], &more].concat()));
    report.is_only("serverConnection", "bad", "refused");

    // A certificate of an authority that nobody knows.
    let deployed = Deployed::new(Plan { tls: Some(Tls { http2: true }), ..Plan::default() });
    deployed.examined(&[]).is_only("serverConnection", "bad", "certificate");
    let known = ["--authority", "authority.pem"];
    let report = deployed.examined(&known);
    assert_eq!(report.code, 0, "{:#?}", report.findings);
    report.says("serverConnection", "good", "over TLS with HTTP/2");
    // Another host's.
    let other = deployed.url.replace("localhost", "127.0.0.1");
    let arguments = ["doctor", "--development", "--server", &other, "--bundle-id", BUNDLE];
    let report = command(deployed.folder.path(), &[&arguments[..], &more, &known].concat());
    Report::of(&report).is_only("serverConnection", "bad", "certificate");

    let old = Deployed::new(Plan { tls: Some(Tls { http2: false }), ..Plan::default() });
    old.examined(&known).is_only("serverConnection", "warning", "HTTP/1.1 only");
    // Apple's relay does not come to such a gateway.
    let report = old.examined(&[&known[..], &["--gateway", &old.url]].concat());
    report.says("gatewayConnection", "bad", "HTTP/1.1 only");
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
    let deployed = Deployed::new(Plan { before: late, ..Plan::default() });
    deployed.examined(&[]).is_only("serverClock", "bad", "ahead of this machine's");
}

#[test]
fn issuers_that_do_not_issue() {
    let missing = |router| {
        answers("/.well-known/private-token-issuer-directory", || {
            http::StatusCode::NOT_FOUND.into_response()
        })(router)
    };
    let deployed = Deployed::new(Plan { before: missing, ..Plan::default() });
    deployed.examined(&[]).says("directory", "bad", "status 404");
    let empty = |router| {
        answers("/.well-known/private-token-issuer-directory", || {
            axum::Json(json!({ "issuer-request-uri": "/issue", "token-keys": [] })).into_response()
        })(router)
    };
    let deployed = Deployed::new(Plan { before: empty, ..Plan::default() });
    deployed.examined(&[]).says("directory", "bad", "none of its 0 keys");
    let page = |router| {
        answers("/.well-known/private-token-issuer-directory", || "hello".into_response())(router)
    };
    let deployed = Deployed::new(Plan { before: page, ..Plan::default() });
    deployed.examined(&[]).says("directory", "bad", "not an issuer directory");
    let no_key = |router| {
        answers("/token-key-for-user-token", || http::StatusCode::NOT_FOUND.into_response())(router)
    };
    let deployed = Deployed::new(Plan { before: no_key, ..Plan::default() });
    deployed.examined(&[]).is_only("userToken", "bad", "status 404, and no key");
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
    let deployed = Deployed::new(Plan { before: early, ..Plan::default() });
    let report = deployed.examined(&["--token", "BBBB"]);
    report.says("tierKey", "bad", "its time has not come");
    let refuses =
        |router| answers("/issue", || http::StatusCode::BAD_GATEWAY.into_response())(router);
    let deployed = Deployed::new(Plan { before: refuses, ..Plan::default() });
    deployed.examined(&[]).says("issuance", "bad", "status 502");

    let deployed = Deployed::new(Plan::default());
    let report = deployed.examined(&["--token", "nobody's"]);
    report.says("userToken", "bad", "status 401");
    report.says("config", "bad", "does not accept the user token");
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
    let deployed = Deployed::new(Plan { before: strange, ..Plan::default() });
    deployed.examined(&[]).says("tierKey", "bad", "not in the directory");
    // Tiers that are kept apart.
    let more = json!({ "issuer": { "strictTiers": true } });
    let deployed = Deployed::new(Plan { more, ..Plan::default() });
    let report = deployed.examined(&["--token", "BBBB"]);
    report.is_only("firstKeyIssuance", "warning", "status 422");
}

#[test]
fn services_that_do_not_answer_as_they_should() {
    // Another app.
    let deployed = Deployed::new(Plan::default());
    let arguments = ["doctor", "--development", "--server", &deployed.url, "--token", "AAAA"];
    let other = ["--bundle-id", "com.example.other", "--json"];
    let output = command(deployed.folder.path(), &[&arguments[..], &other].concat());
    let seen = format!("the service has {BUNDLE}.url.filtering");
    Report::of(&output).is_only("config", "bad", &seen);
    let broken =
        |router| answers("/config", || http::StatusCode::BAD_GATEWAY.into_response())(router);
    let deployed = Deployed::new(Plan { before: broken, ..Plan::default() });
    deployed.examined(&[]).is_only("config", "bad", "502");
    // Bodies that do not pass.
    let long =
        |router| answers("/key", || http::StatusCode::PAYLOAD_TOO_LARGE.into_response())(router);
    let deployed = Deployed::new(Plan { before: long, ..Plan::default() });
    deployed.examined(&[]).is_only("keyUpload", "bad", "413");
    let broken =
        |router| answers("/queries", || http::StatusCode::BAD_GATEWAY.into_response())(router);
    let deployed = Deployed::new(Plan { before: broken, ..Plan::default() });
    deployed.examined(&[]).is_only("onboardingEntry", "bad", "502");
    // Tokens of an issuer that the service does not know.
    let (service, issuer) = (Deployed::new(Plan::default()), Deployed::new(Plan::default()));
    let report = service.examined(&["--issuer", &issuer.url]);
    report.is_only("config", "bad", "401");
    // A proxy that knows POST only.
    let no_get = |router: Router| {
        router.layer(middleware::from_fn(|request: Request, next: Next| async move {
            match request.uri().path() == "/config" && request.method() == "GET" {
                true => http::StatusCode::METHOD_NOT_ALLOWED.into_response(),
                false => next.run(request).await,
            }
        }))
    };
    let deployed = Deployed::new(Plan { before: no_get, ..Plan::default() });
    deployed.examined(&[]).is_only("shardCount", "warning", "GET /config");
}

#[test]
fn data_sets_that_devices_do_not_take() {
    let deployed = Deployed::new(Plan { shards: 3, ..Plan::default() });
    deployed.examined(&[]).is_only("shardCount", "warning", "shards: 3");
    let deployed = Deployed::new(Plan { onboarding: false, ..Plan::default() });
    deployed.examined(&[]).is_only("onboardingEntry", "bad", "is not found");
    let other = |rows: String| {
        let entry = "www.apple.com/url-filter-test\" value: \"";
        assert!(rows.contains(entry), "{rows}");
        rows.replace(&format!("{entry}1"), &format!("{entry}2"))
    };
    let deployed = Deployed::new(Plan { rows: other, ..Plan::default() });
    deployed.examined(&[]).is_only("onboardingEntry", "bad", "its value is not 1");
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
    deployed.examined(&[]).is_only("absentKey", "bad", "on no list is found");
    // The list went on, and the service did not.
    let deployed = Deployed::new(Plan::default());
    build(deployed.folder.path(), "a.example\nnew.example\n", "newer", true);
    let report = deployed.examined(&["--filter", "newer"]);
    report.is_only("sameBuild", "bad", "1 of 3 keys of the prefilter are not at the service");
    let report = deployed.examined(&["--filter", "newer", "--data", "dist/urls"]);
    report.is_only("sameBuild", "bad", "not of one build");
    // The data set went on, and the service did not.
    let process = fs::read_to_string(deployed.folder.path().join("process.json")).unwrap();
    let process =
        process.replace("\"shardCount\":2", "\"shardCount\":4").replace("dist/", "newer/");
    fs::write(deployed.folder.path().join("process.json"), process).unwrap();
    succeeds(&command(deployed.folder.path(), &["process", "process.json"]));
    let report = deployed.examined(&["--filter", "newer", "--data", "newer/urls"]);
    report.is_only("sameBuild", "bad", "the service has configuration");
}

/// One node of two does its work.
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
    let deployed = Deployed::new(Plan { before: some, ..Plan::default() });
    let report = deployed.examined(&[]);
    report.says("onboardingEntry", "good", "is found");
    report.is_only("absentKey", "bad", "502");
    assert!(deployed.service.is_ready());
}

#[test]
fn gateways_that_do_not_pass_on() {
    let more = json!({ "gateway": null });
    let none = Deployed::new(Plan { more, ..Plan::default() });
    none.examined(&["--gateway", &none.url]).is_only("gatewayKeys", "bad", "status 404");
    let more = json!({ "gateway": { "hosts": ["pir.example.com"] } });
    let other = Deployed::new(Plan { more, ..Plan::default() });
    let report = other.examined(&["--gateway", &other.url]);
    report.is_only("gatewayLookup", "bad", "does not pass requests for 127.0.0.1 on");
    let more = json!({ "gateway": { "origins": { "127.0.0.1": "http://127.0.0.1:1" } } });
    let away = Deployed::new(Plan { more, ..Plan::default() });
    let report = away.examined(&["--gateway", &away.url]);
    report.is_only("gatewayLookup", "bad", "status 502");
    // The issuer has a name of its own, which the gateway does not know.
    let more = json!({ "gateway": { "hosts": ["127.0.0.1"] } });
    let half = Deployed::new(Plan { more, ..Plan::default() });
    let issuer = half.url.replace("127.0.0.1", "localhost");
    let report = half.examined(&["--gateway", &half.url, "--issuer", &issuer]);
    report.is_only("gatewayLookup", "bad", "403");
    let strange = |router| {
        answers("/.well-known/ohttp-gateway", || {
            ([(http::header::CONTENT_TYPE, "application/ohttp-keys")], "nonsense").into_response()
        })(router)
    };
    let deployed = Deployed::new(Plan { before: strange, ..Plan::default() });
    let report = deployed.examined(&["--gateway", &deployed.url]);
    report.is_only("gatewayKeys", "bad", "no key configuration that can be used");
    let page = |router| answers("/.well-known/ohttp-gateway", || "hello".into_response())(router);
    let deployed = Deployed::new(Plan { before: page, ..Plan::default() });
    let whole = format!("{}/.well-known/ohttp-gateway", deployed.url);
    deployed.examined(&["--gateway", &whole]).is_only("gatewayKeys", "bad", "text/plain");
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
    let deployed = Deployed::new(Plan { before: broken, ..Plan::default() });
    let report = deployed.examined(&["--gateway", &deployed.url]);
    report.is_only("gatewayLookup", "bad", "status 400");
}

/// Answers each question with one TXT record, or with none.
async fn name_server(socket: UdpSocket, text: Option<String>) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet).await {
        // The question ends with the root, a type and a class.
        let question = &packet[12..length];
        let name = question.iter().position(|&byte| byte == 0).unwrap();
        let mut answer = packet[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(text.is_some()), 0, 0, 0, 0]);
        answer.extend(&question[..name + 5]);
        if let Some(text) = &text {
            answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
            answer.extend((text.len() as u16 + 1).to_be_bytes());
            answer.push(text.len() as u8);
            answer.extend(text.as_bytes());
        }
        socket.send_to(&answer, from).await.unwrap();
    }
}

#[test]
fn domains_without_their_record() {
    let deployed = Deployed::new(Plan::default());
    let examined = |text: Option<String>| {
        let resolver = deployed.runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap().to_string();
            tokio::spawn(name_server(socket, text));
            address
        });
        deployed.examined(&["--resolver", &resolver, "--timeout", "5"])
    };
    let good = examined(Some(format!("apple-url-filter={BUNDLE}")));
    assert_eq!(good.code, 0, "{:#?}", good.findings);
    good.says("dnsRecord", "good", "apple-url-filter=");
    examined(None).is_only("dnsRecord", "bad", "has no TXT record");
    examined(Some("v=spf1 -all".to_owned())).is_only("dnsRecord", "bad", "has no TXT record");
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let report = deployed.examined(&["--resolver", &silent, "--timeout", "5"]);
    report.is_only("dnsRecord", "bad", "127.0.0.1: ");
    let other = examined(Some("apple-url-filter=com.example.other".to_owned()));
    other.is_only("dnsRecord", "bad", "com.example.other, and not");
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
        deployed.examined(&["--info-plist", "Info.plist"])
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
    examined(&with(&url, &url)).says("infoPlist", "good", "says both addresses");
    let bad = |content: &str, seen: &str| examined(content).is_only("infoPlist", "bad", seen);
    bad("", "no dictionary NSPIRConfiguration");
    bad("<key>NSPIRConfiguration</key><string>x</string>", "no dictionary NSPIRConfiguration");
    bad(&with("https://old.example.com", &url), "PIRServerURL is \"https://old.example.com\"");
    bad(&with(&url, ""), "has no PrivacyPassIssuerURL");
    fs::write(&path, "nonsense").unwrap();
    deployed.examined(&["--info-plist", "Info.plist"]).says("infoPlist", "bad", "Info.plist");
}

#[test]
fn answers_that_take_long() {
    let deployed = Deployed::new(Plan::default());
    // Whatever it takes is more than nothing.
    deployed.examined(&["--latency", "0"]).is_only("costs", "warning", "a lookup takes");
    deployed.examined(&["--reply-bytes", "10"]).is_only("costs", "warning", "a lookup takes");
    let silent = |router: Router| {
        router.layer(middleware::from_fn(|_: Request, _: Next| async {
            std::future::pending::<Response>().await
        }))
    };
    let deployed = Deployed::new(Plan { before: silent, ..Plan::default() });
    let report = deployed.examined(&["--timeout", "1"]);
    report.says("serverConnection", "bad", "timed out");
}

#[test]
fn questions_that_cannot_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["doctor", "--server", "https://pir.example.com", "--bundle-id"];
    for (more, why) in [
        (&["com.example.app"][..], "a user token is needed"),
        (&["com.example.app.url.filtering", "--token", "AAAA"], "without `.url.filtering`"),
        (&["com.example.app", "--token-file", "nothing"], "nothing"),
        (&["com.example.app", "--token", "AAAA", "--authority", "nothing"], "nothing"),
    ] {
        let output = command(folder.path(), &[&arguments[..], more].concat());
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{talk}");
        assert!(talk.contains(why), "{talk}");
    }
}
