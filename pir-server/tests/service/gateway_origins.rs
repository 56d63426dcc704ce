//! What the gateway passes on to other servers: what a device would send, and nothing else.

use crate::gateway::{HOST, Relay, get, status};
use crate::support::{Case, Running, Settings};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bhttp::Message;
use http::HeaderMap;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// What an origin was asked: method, path with query, fields.
type Asked = Arc<Mutex<Vec<(String, String, HeaderMap)>>>;

/// A server that remembers what it is asked.
async fn origin() -> (String, Asked) {
    let asked = Asked::default();
    let remember = Arc::clone(&asked);
    let answer = move |request: Request| {
        let (method, path) = (request.method().to_string(), request.uri().to_string());
        remember.lock().unwrap().push((method, path, request.headers().clone()));
        async {
            let fields = [("set-cookie", "a=b"), ("etag", "\"e\""), ("content-type", "text/plain")];
            let response: Response = (fields, "answer").into_response();
            response
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

async fn gateway(gateway: serde_json::Value) -> (Running, Relay, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings =
        Settings::new(vec![case.install(folder.path(), "data")]).with("gateway", gateway);
    let front = Running::start(folder, settings).await;
    let relay = Relay::to(&front);
    let keys = relay.keys().await;
    (front, relay, keys)
}

fn request(method: &str, path: &str) -> Message {
    let part = |text: &str| text.as_bytes().to_vec();
    Message::request(part(method), part("https"), part(HOST), part(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_requests_of_devices_reach_an_origin() {
    let (url, asked) = origin().await;
    let origins = json!({ HOST: format!("{url}/prefix") });
    let settings = json!({ "origins": origins, "requests": ["POST /token-request"] });
    let (front, relay, keys) = gateway(settings).await;
    let passed = [
        ("GET", "/.well-known/private-token-issuer-directory"),
        ("GET", "/token-key-for-user-token"),
        ("POST", "/issue"),
        ("GET", "/config"),
        ("POST", "/config"),
        ("POST", "/key"),
        ("POST", "/queries"),
        ("POST", "/report"),
        ("POST", "/token-request"),
    ];
    for (method, path) in passed {
        let answer = relay.send(&keys, &request(method, path)).await;
        assert_eq!((status(&answer), answer.content()), (200, &b"answer"[..]), "{method} {path}");
    }
    let refused = [
        // Methods.
        ("DELETE", "/config"),
        ("PUT", "/key"),
        ("HEAD", "/config"),
        ("OPTIONS", "/config"),
        ("CONNECT", "/config"),
        ("get", "/config"),
        ("GET", "/issue"),
        ("GET", "/token-request"),
        // Paths that a device does not ask for.
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("POST", "/reload"),
        ("GET", "/.well-known/ohttp-gateway"),
        ("POST", "/.well-known/ohttp-gateway"),
        ("GET", "/Config"),
        ("GET", "/config/"),
        ("GET", "//config"),
        ("GET", "/config?x=1"),
        ("GET", "/config?"),
        ("GET", "/config;x"),
        ("GET", "/config%00"),
        ("GET", "/confi%67"),
        // Paths that lead out of the prefix when a server or a library normalises them.
        ("GET", "/../metrics"),
        ("GET", "/%2e%2e/metrics"),
        ("GET", "/.%2E/config"),
        ("GET", "/./config"),
        ("GET", "/config/.."),
        ("GET", "/config/../../metrics"),
        ("GET", "/..%2fmetrics"),
        ("GET", "/\\..\\metrics"),
        ("GET", "/config\t"),
        ("GET", "/\u{2025}/config"),
    ];
    for (method, path) in refused {
        let answer = status(&relay.send(&keys, &request(method, path)).await);
        // Paths that are no paths of HTTP are malformed.
        assert!([400, 403].contains(&answer), "{method} {path}: {answer}");
    }
    let seen: Vec<(String, String)> = asked
        .lock()
        .unwrap()
        .iter()
        .map(|(method, path, _)| (method.clone(), path.clone()))
        .collect();
    let expected: Vec<(String, String)> = passed
        .iter()
        .map(|(method, path)| ((*method).to_owned(), format!("/prefix{path}")))
        .collect();
    assert_eq!(seen, expected);
    let metrics = front.metrics().await;
    assert!(metrics.contains("pir_gateway_refused_total{reason=\"request\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_fields_of_devices_pass_either_way() {
    let (url, asked) = origin().await;
    let (_front, relay, keys) = gateway(json!({ "origins": { HOST: url } })).await;
    let mut message = get(HOST, "/config");
    let sent = [
        ("authorization", "PrivateToken token=\"AAAA\""),
        ("user-identifier", "BCB4B850-E688-4AAF-A38D-779889FB388A"),
        ("user-agent", "agent"),
        ("accept", "*/*"),
        ("if-none-match", "\"e\""),
    ];
    for (name, value) in sent {
        message.put_header(name, value);
    }
    for name in [
        "cookie",
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "proxy-authorization",
        "transfer-encoding",
        "connection",
        "upgrade",
        "x-http-method-override",
        "x-original-url",
        "origin",
        "referer",
        "range",
        "expect",
    ] {
        message.put_header(name, "1");
    }
    let answer = relay.send(&keys, &message).await;
    assert_eq!(status(&answer), 200);
    let names = answer.header().iter().map(|field| field.name().to_vec());
    let mut names: Vec<String> = names.map(|name| String::from_utf8(name).unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "date", "etag"]);
    let asked = asked.lock().unwrap();
    let (_, _, fields) = &asked[0];
    for (name, value) in sent {
        assert_eq!(fields[name], value);
    }
    assert_eq!(fields["host"], HOST);
    let mut names: Vec<&str> = fields.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let mut expected: Vec<&str> = sent.iter().map(|(name, _)| *name).chain(["host"]).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

/// A redirection would be a way to ask a server that the configuration does not name.
#[tokio::test(flavor = "multi_thread")]
async fn redirections_of_origins_are_not_followed() {
    let (elsewhere, asked) = origin().await;
    let router = axum::Router::new()
        .fallback(move || async move { axum::response::Redirect::temporary(&elsewhere) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (_front, relay, keys) = gateway(json!({ "origins": { HOST: url } })).await;
    let answer = relay.send(&keys, &get(HOST, "/config")).await;
    assert_eq!(status(&answer), 307);
    assert!(asked.lock().unwrap().is_empty());
}
