//! Requests through a relay, with a client of the crates `ohttp` and `bhttp`.

use crate::support::{Case, NOW, Running, Settings, at};
use bhttp::{Message, Mode};
use bytes::Bytes;
use filter_client::{Exchange, PirClient, Transport};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use ohttp::ClientRequest;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use unix_clock::SystemClock;

const PATH: &str = "/.well-known/ohttp-gateway";
pub(crate) const HOST: &str = "pir.example.com";

async fn gateway() -> Running {
    // The same host in another spelling.
    gateway_of("PIR.example.com:443").await
}

async fn gateway_of(host: &str) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    let settings = settings.with("gateway", serde_json::json!({ "hosts": [host] }));
    Running::start(folder, settings).await
}

/// A relay, which knows only where the gateway is.
#[derive(Clone)]
pub(crate) struct Relay {
    http: reqwest::Client,
    url: String,
    passed: Arc<AtomicUsize>,
}

impl Relay {
    pub(crate) fn to(running: &Running) -> Self {
        Self::at(&running.url)
    }

    /// To the gateway of the service at an address.
    pub(crate) fn at(service: &str) -> Self {
        let url = format!("{service}{PATH}");
        Self { http: reqwest::Client::new(), url, passed: Arc::default() }
    }

    pub(crate) async fn keys(&self) -> Vec<u8> {
        let response = self.http.get(&self.url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/ohttp-keys");
        response.bytes().await.unwrap().to_vec()
    }

    async fn post(&self, kind: &str, body: Vec<u8>) -> reqwest::Response {
        self.passed.fetch_add(1, Ordering::Relaxed);
        let request = self.http.post(&self.url).header("content-type", kind).body(body);
        request.send().await.unwrap()
    }

    /// Sends a message through the gateway; returns the answer in the capsule.
    pub(crate) async fn send(&self, keys: &[u8], message: &Message) -> Message {
        let mut bytes = Vec::new();
        message.write_bhttp(Mode::KnownLength, &mut bytes).unwrap();
        self.send_bytes(keys, &bytes).await
    }

    async fn send_bytes(&self, keys: &[u8], bytes: &[u8]) -> Message {
        let client = ClientRequest::from_encoded_config_list(keys).unwrap();
        let (request, opener) = client.encapsulate(bytes).unwrap();
        let response = self.post("message/ohttp-req", request).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "message/ohttp-res");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let opened = opener.decapsulate(&response.bytes().await.unwrap()).unwrap();
        Message::read_bhttp(&mut Cursor::new(&opened[..])).unwrap()
    }
}

pub(crate) fn get(host: &str, path: &str) -> Message {
    let part = |text: &str| text.as_bytes().to_vec();
    Message::request(part("GET"), part("https"), part(host), part(path))
}

pub(crate) fn status(message: &Message) -> u16 {
    message.control().status().unwrap().code()
}

/// A transport that sends every request through the relay.
struct Oblivious {
    relay: Relay,
    keys: Vec<u8>,
}

impl Transport for Oblivious {
    fn send(&self, request: Request<Bytes>, _: usize) -> Exchange<'_> {
        Box::pin(async move {
            let part = |text: &str| text.as_bytes().to_vec();
            let uri = request.uri();
            let mut message = Message::request(
                part(request.method().as_str()),
                part("https"),
                part(uri.host().unwrap()),
                part(uri.path_and_query().unwrap().as_str()),
            );
            for (name, value) in request.headers() {
                message.put_header(name.as_str(), value.as_bytes());
            }
            message.write_content(request.body());
            let answer = self.relay.send(&self.keys, &message).await;
            let mut response = Response::new(Bytes::copy_from_slice(answer.content()));
            *response.status_mut() = StatusCode::from_u16(status(&answer)).unwrap();
            let mut headers = HeaderMap::new();
            for field in answer.header().iter() {
                let name = http::HeaderName::from_bytes(field.name()).unwrap();
                headers.append(name, HeaderValue::from_bytes(field.value()).unwrap());
            }
            *response.headers_mut() = headers;
            Ok(response)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_works_through_the_gateway() {
    let running = gateway().await;
    let relay = Relay::to(&running);
    let keys = relay.keys().await;
    let transport = || Arc::new(Oblivious { relay: relay.clone(), keys: keys.clone() });
    let client =
        PirClient::builder(format!("https://{HOST}"), running.settings.use_cases[0].name.clone())
            .user_token("AAAA")
            .transport(transport())
            .issuer_transport(transport())
            .build()
            .unwrap();
    let expected = Case::new("synthetic_small_logt5").expected();
    let keywords: Vec<&[u8]> = expected.iter().map(|(keyword, _)| keyword.as_bytes()).collect();
    let found = client.lookup(&keywords).await.unwrap();
    let values = expected.iter().map(|(_, value)| value.as_deref().map(str::as_bytes));
    assert!(found.iter().map(Option::as_deref).eq(values));
    // Directory, tokens, configuration, key and queries took this way.
    assert!(relay.passed.load(Ordering::Relaxed) >= 5);
    let metrics = running.metrics().await;
    assert!(
        metrics.contains("pir_requests_total{endpoint=\"queries\",status=\"200\"}"),
        "{metrics}"
    );
    assert!(
        metrics.contains("pir_requests_total{endpoint=\"gateway\",status=\"200\"}"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_hosts_are_asked() {
    let running = gateway().await;
    let relay = Relay::to(&running);
    let keys = relay.keys().await;
    let directory = "/.well-known/private-token-issuer-directory";
    for (host, path, expected) in [
        (HOST, directory, 200),
        ("PIR.example.com:443", directory, 200),
        (HOST, "/nothing", 404),
        // Neither the gateway itself nor endpoints that are not for devices.
        (HOST, PATH, 404),
        (HOST, "/healthz", 404),
        (HOST, "/metrics", 404),
        ("127.0.0.1", directory, 403),
        ("localhost", directory, 403),
        ("pir.example.com:8443", directory, 403),
        ("evil.example", directory, 403),
        ("pir.example.com.evil.example", directory, 403),
        ("pir.example.com@evil.example", directory, 400),
    ] {
        let answer = relay.send(&keys, &get(host, path)).await;
        assert_eq!(status(&answer), expected, "{host} {path}");
    }
    let metrics = running.metrics().await;
    assert!(metrics.contains("pir_gateway_refused_total{reason=\"target\"} 5\n"), "{metrics}");
    // Content that is not a request is refused in the capsule.
    for bytes in [&b""[..], b"\x01\x40\xc8", b"\x00\x03GET", &[0xff; 100]] {
        assert_eq!(status(&relay.send_bytes(&keys, bytes).await), 400);
    }
    let mut long = get(HOST, directory);
    long.put_header("x", vec![b'a'; 64 << 10]);
    assert_eq!(status(&relay.send(&keys, &long).await), 400);
}

/// With the default port, without a port, and with another one, in the configuration and in requests.
#[tokio::test(flavor = "multi_thread")]
async fn ports_of_hosts_are_compared_as_those_of_origins() {
    const PORTS: [(&str, u16); 4] = [("", 443), (":443", 443), (":8443", 8443), (":80", 80)];
    let directory = "/.well-known/private-token-issuer-directory";
    for (configured, port) in PORTS {
        let running = gateway_of(&format!("{HOST}{configured}")).await;
        let relay = Relay::to(&running);
        let keys = relay.keys().await;
        for (asked, asked_port) in PORTS {
            let answer = relay.send(&keys, &get(&format!("{HOST}{asked}"), directory)).await;
            let expected = if asked_port == port { 200 } else { 403 };
            assert_eq!(status(&answer), expected, "{configured:?} {asked:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_opened_are_refused_without_a_capsule() {
    let running = gateway().await;
    let relay = Relay::to(&running);
    let keys = relay.keys().await;
    let client = || ClientRequest::from_encoded_config_list(&keys).unwrap();
    let (good, _) = client().encapsulate(b"x").unwrap();
    let mut other_key = good.clone();
    other_key[0] ^= 1;
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bad in [other_key, changed, good[..10].to_vec(), Vec::new()] {
        let response = relay.post("message/ohttp-req", bad).await;
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body: serde_json::Value =
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body["type"], "https://iana.org/assignments/http-problem-types#ohttp-key");
    }
    assert_eq!(relay.post("text/plain", good).await.status(), 415);
    // What is longer than twice the limit may be cut off before the answer is read.
    let long = relay.post("message/ohttp-req", vec![0; 3 << 20]).await;
    assert_eq!(long.status(), 413);
    assert_eq!(running.send(Method::PUT, PATH, &[], "").await.status(), 405);
    // A service without a gateway has no such resource.
    let plain = Running::of(&Case::new("synthetic_small_logt5")).await;
    assert_eq!(plain.send(Method::GET, PATH, &[], "").await.status(), 404);
    assert_eq!(plain.send(Method::POST, PATH, &[], "").await.status(), 404);
}

/// At one below the limit, at, and one above.
#[tokio::test(flavor = "multi_thread")]
async fn the_length_of_capsules_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let limits = serde_json::json!({ "capsuleBytes": 1000 });
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("limits", limits)
        .with("gateway", serde_json::json!({ "hosts": [HOST] }));
    let running = Running::start(folder, settings).await;
    let relay = Relay::to(&running);
    // It cannot be opened, or is too long.
    for (length, expected) in [(999, 400), (1000, 400), (1001, 413)] {
        let answer = relay.post("message/ohttp-req", vec![b'x'; length]).await;
        assert_eq!(answer.status(), expected, "{length}");
    }
}

/// Keys survive restarts, rotate, and are accepted for a while after that.
#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_with_overlap() {
    const DAY: u64 = 86_400;
    let running = gateway().await;
    let first = Relay::to(&running).keys().await;
    let (folder, settings) = running.stop().await;
    let running = Running::start(folder, settings).await;
    let relay = Relay::to(&running);
    assert_eq!(relay.keys().await, first);
    let directory = get(HOST, "/.well-known/private-token-issuer-directory");
    running.clock.set(at(NOW + 30 * DAY));
    running.service.maintain().await.unwrap();
    // Other nodes have time to read the new key.
    assert_eq!(relay.keys().await, first);
    running.clock.advance(Duration::from_secs(300));
    let second = relay.keys().await;
    assert_ne!(second, first);
    for keys in [&first, &second] {
        assert_eq!(status(&relay.send(keys, &directory).await), 200);
    }
    running.clock.advance(Duration::from_secs(7 * DAY));
    running.service.maintain().await.unwrap();
    assert_eq!(status(&relay.send(&second, &directory).await), 200);
    let late = ClientRequest::from_encoded_config_list(&first).unwrap();
    let (request, _) = late.encapsulate(b"x").unwrap();
    assert_eq!(relay.post("message/ohttp-req", request).await.status(), 400);
}

/// One service is the gateway of another.
#[tokio::test(flavor = "multi_thread")]
async fn configured_origins_are_asked() {
    let behind = Running::of(&Case::new("synthetic_small_logt5")).await;
    let nobody = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", socket.local_addr().unwrap())
    };
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_shards3_logt4");
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    let origins = serde_json::json!({ HOST: behind.url, "away.example": nobody });
    let settings = settings.with("gateway", serde_json::json!({ "origins": origins }));
    let front = Running::start(folder, settings).await;
    let relay = Relay::to(&front);
    let keys = relay.keys().await;
    let expected = Case::new("synthetic_small_logt5").expected();
    let client =
        PirClient::builder(format!("https://{HOST}"), behind.settings.use_cases[0].name.clone())
            .user_token("AAAA")
            .transport(Arc::new(Oblivious { relay: relay.clone(), keys: keys.clone() }))
            .issuer_transport(Arc::new(Oblivious { relay: relay.clone(), keys: keys.clone() }))
            .build()
            .unwrap();
    let found = client.lookup(&[expected[0].0.as_bytes()]).await.unwrap();
    assert_eq!(found[0].as_deref(), expected[0].1.as_deref().map(str::as_bytes));
    assert_eq!(status(&relay.send(&keys, &get("away.example", "/config")).await), 502);
    assert_eq!(status(&relay.send(&keys, &get("other.example", "/")).await), 403);
}

/// Statuses that HTTP libraries accept but Binary HTTP has not are no answers, and neither are interim ones.
#[tokio::test(flavor = "multi_thread")]
async fn odd_statuses_of_origins_become_502() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", socket.local_addr().unwrap());
    // Answers with the status that the path names.
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = socket.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let status = str::from_utf8(&head[5..8]).unwrap();
            let answer = format!("HTTP/1.1 {status} Odd\r\nContent-Length: 2\r\n\r\nok");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let requests = ["200", "404", "599", "600", "999", "101", "099", "000"];
    let requests = requests.map(|status| format!("GET /{status}"));
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("gateway", serde_json::json!({ "origins": { HOST: origin }, "requests": requests }));
    let front = Running::start(folder, settings).await;
    let relay = Relay::to(&front);
    let keys = relay.keys().await;
    for (named, expected) in [
        ("200", 200),
        ("404", 404),
        ("599", 599),
        ("600", 502),
        ("999", 502),
        ("101", 502),
        ("099", 502),
        ("000", 502),
    ] {
        let answer = relay.send(&keys, &get(HOST, &format!("/{named}"))).await;
        assert_eq!(status(&answer), expected, "{named}");
        assert_eq!(answer.content() == b"ok", expected < 500 || expected == 599, "{named}");
    }
    let metrics = front.metrics().await;
    assert!(metrics.contains("pir_gateway_refused_total{reason=\"origin\"} 5\n"), "{metrics}");
    serving.abort();
}

/// A relay may use TLS and either version of HTTP.
#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread")]
async fn tls_and_both_versions() {
    use pir_server::{Configuration, Listener, Service, endpoints};
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    std::fs::write(&chain, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("gateway", serde_json::json!({ "hosts": [HOST] }))
        .with("tls", serde_json::json!({ "certificate": chain, "privateKey": key }));
    let path = folder.path().join("service-config.json");
    std::fs::write(&path, settings.text(folder.path())).unwrap();
    let configuration = Configuration::read(&path).unwrap();
    let service = Arc::new(Service::open(&configuration, Arc::new(SystemClock)).await.unwrap());
    let any = ["127.0.0.1:0".parse().unwrap()];
    let listener = Listener::bind(&any, endpoints::router(&service)).await.unwrap();
    let listener = listener.with_tls(service.tls().unwrap());
    let port = listener.addresses().unwrap()[0].port();
    let serving = Arc::clone(&service);
    let task = tokio::spawn(async move { listener.serve(&serving, std::future::pending()).await });
    let root = reqwest::Certificate::from_pem(certified.cert.pem().as_bytes()).unwrap();
    for (http1, version) in [(true, http::Version::HTTP_11), (false, http::Version::HTTP_2)] {
        let builder = reqwest::Client::builder().tls_certs_only([root.clone()]);
        let builder = if http1 { builder.http1_only() } else { builder };
        let http = builder.build().unwrap();
        let url = format!("https://localhost:{port}{PATH}");
        assert_eq!(http.get(&url).send().await.unwrap().version(), version);
        let relay = Relay { http, url, passed: Arc::default() };
        let keys = relay.keys().await;
        let directory = get(HOST, "/.well-known/private-token-issuer-directory");
        assert_eq!(status(&relay.send(&keys, &directory).await), 200);
    }
    task.abort();
}
