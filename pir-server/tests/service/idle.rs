//! Connections between requests: they live for `limits.idleSeconds`, with each version of HTTP, with TLS and without.

use crate::frames::{
    ACK, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, SETTINGS, frame, head, opening, read,
    stay_alive,
};
use crate::support::{Case, Running, Settings};
use pir_server::{Listener, endpoints};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Limits that tests can wait for.
const HEADER: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(4);
/// Longer than a head may take, and shorter than a connection may be idle.
const BETWEEN: Duration = Duration::from_secs(2);
/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A certificate for `localhost`, and a client that trusts it.
pub(crate) struct Certified {
    pub(crate) chain: String,
    pub(crate) key: String,
    config: rustls::ClientConfig,
}

impl Certified {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let chain = made.cert.pem();
        let mut roots = rustls::RootCertStore::empty();
        let certificate = rustls::pki_types::CertificateDer::from_pem_slice(chain.as_bytes());
        roots.add(certificate.unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { chain, key: made.signing_key.serialize_pem(), config }
    }

    /// Does the handshake, with one version of HTTP to choose from.
    pub(crate) async fn connect(&self, stream: TcpStream, http2: bool) -> Box<dyn Stream> {
        let mut config = self.config.clone();
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        Box::new(connector.connect(name, stream).await.unwrap())
    }
}

/// A service, and a listener of it with TLS.
struct Both {
    running: Running,
    tls_port: u16,
    certified: Certified,
}

impl Both {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certified = Certified::new();
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        std::fs::write(&chain, &certified.chain).unwrap();
        std::fs::write(&key, &certified.key).unwrap();
        let limits = json!({
            "headerSeconds": HEADER.as_secs(), "idleSeconds": IDLE.as_secs(), "answerSeconds": 2,
        });
        let case = Case::new("synthetic_small_logt5");
        let settings = Settings::new(vec![case.install(folder.path(), "data")])
            .with("limits", limits)
            .with("tls", json!({ "certificate": chain, "privateKey": key }));
        let running = Running::start(folder, settings).await;
        let service = Arc::clone(&running.service);
        let any = ["127.0.0.1:0".parse().unwrap()];
        let listener = Listener::bind(&any, endpoints::router(&service)).await.unwrap();
        let listener = listener.with_tls(service.tls().unwrap());
        let tls_port = listener.addresses().unwrap()[0].port();
        tokio::spawn(async move { listener.serve(&service, std::future::pending()).await });
        Self { running, tls_port, certified }
    }

    async fn connect(&self, tls: bool, http2: bool) -> Box<dyn Stream> {
        if !tls {
            let address = self.running.url.strip_prefix("http://").unwrap();
            return Box::new(TcpStream::connect(address).await.unwrap());
        }
        let stream = TcpStream::connect(("127.0.0.1", self.tls_port)).await.unwrap();
        self.certified.connect(stream, http2).await
    }
}

/// Sends a request and reads its answer; `id` is the number of the request on this connection.
pub(crate) async fn ask(stream: &mut Box<dyn Stream>, http2: bool, id: u32) {
    if http2 {
        let request =
            frame(HEADERS, END_HEADERS | END_STREAM, 2 * id + 1, &head("GET", "/healthz"));
        stream.write_all(&request).await.unwrap();
        loop {
            let (kind, flags, of, payload) = read(stream).await.expect("an answer");
            match kind {
                SETTINGS if flags & ACK == 0 => {
                    stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await.unwrap();
                }
                PING if flags & ACK == 0 => {
                    stream.write_all(&frame(PING, ACK, 0, &payload)).await.unwrap();
                }
                GOAWAY => panic!("the connection ends"),
                _ if of == 2 * id + 1 && flags & END_STREAM != 0 => return,
                _ => {}
            }
        }
    }
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\nok\n") {
        text.push(stream.read_u8().await.expect("an answer"));
    }
}

/// Waits for the end of the connection, and does what keeps one of HTTP/2 alive. Returns whether the peer was told that
/// the connection ends.
async fn ended(stream: &mut Box<dyn Stream>, http2: bool) -> bool {
    if !http2 {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        return true;
    }
    let mut told = false;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let (acks, mut to_send) = tokio::sync::mpsc::unbounded_channel();
    let pinging = async {
        loop {
            let next = tokio::select! {
                Some(ack) = to_send.recv() => ack,
                // Pings of the peer's own are no requests.
                () = sleep(Duration::from_millis(200)) => frame(PING, 0, 0, &[7; 8]),
            };
            if writing.write_all(&next).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let reading = async {
        while let Some((kind, flags, _, payload)) = read(&mut reading).await {
            told |= kind == GOAWAY;
            if kind == PING && flags & ACK == 0 {
                let _ = acks.send(frame(PING, ACK, 0, &payload));
            }
        }
    };
    tokio::select! {
        () = pinging => {}
        () = reading => {}
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_live_for_idle_seconds() {
    let both = Arc::new(Both::start().await);
    let mut cases = tokio::task::JoinSet::new();
    for (tls, http2) in [(false, false), (false, true), (true, false), (true, true)] {
        let both = Arc::clone(&both);
        cases.spawn(async move {
            let mut stream = both.connect(tls, http2).await;
            if http2 {
                stream.write_all(&opening(None)).await.unwrap();
            }
            ask(&mut stream, http2, 0).await;
            sleep(BETWEEN).await;
            ask(&mut stream, http2, 1).await;
            let idle_since = Instant::now();
            let told = timeout(PATIENCE, ended(&mut stream, http2)).await.expect("it ends");
            assert!(told, "tls {tls}, http2 {http2}");
            let lived = idle_since.elapsed();
            assert!(
                lived > IDLE - Duration::from_millis(500),
                "tls {tls}, http2 {http2}: {lived:?}"
            );
        });
    }
    while let Some(outcome) = cases.join_next().await {
        outcome.unwrap();
    }
    let metrics = both.running.metrics().await;
    assert!(metrics.contains("pir_connections_ended_total{reason=\"idle\"} 4\n"), "{metrics}");
}

/// Beginning something does not make a connection live longer.
#[tokio::test(flavor = "multi_thread")]
async fn what_begins_must_be_completed_in_time() {
    let both = Arc::new(Both::start().await);
    let healthz = head("GET", "/healthz");
    let directory = head("GET", "/.well-known/private-token-issuer-directory");
    let whole = frame(HEADERS, END_HEADERS | END_STREAM, 1, &healthz);
    let stalled = frame(HEADERS, END_HEADERS | END_STREAM, 1, &directory);
    let mut cases = tokio::task::JoinSet::new();
    for (name, http2, bytes) in [
        ("nothing", false, Vec::new()),
        ("half a preface", false, opening(None)[..10].to_vec()),
        ("half a head", false, b"GET / HTTP/1.1\r\n".to_vec()),
        ("half a second head", false, b"GET / HT".to_vec()),
        ("half a frame", true, [opening(None), whole[..20].to_vec()].concat()),
        ("a head without its end", true, [opening(None), frame(HEADERS, 0, 1, &healthz)].concat()),
        ("an answer without a window", true, [opening(Some(0)), stalled].concat()),
    ] {
        let both = Arc::clone(&both);
        cases.spawn(async move {
            let mut stream = both.connect(false, false).await;
            if name == "half a second head" {
                ask(&mut stream, false, 0).await;
            }
            stream.write_all(&bytes).await.unwrap();
            if http2 {
                // Settings and pings are answered, and nothing else is done.
                timeout(PATIENCE, stay_alive(&mut stream)).await.expect(name);
            } else {
                let mut rest = Vec::new();
                let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect(name);
            }
        });
    }
    while let Some(outcome) = cases.join_next().await {
        outcome.unwrap();
    }
    let metrics = both.running.metrics().await;
    assert!(!metrics.contains("reason=\"idle\""), "{metrics}");
    assert!(metrics.contains("pir_connections_ended_total{reason=\"slow\"}"), "{metrics}");
}

/// A body that is still read after its refusal does not count as the next head.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_refused_body_may_take_longer_than_a_head() {
    let both = Both::start().await;
    let mut stream = both.connect(false, false).await;
    let head = "POST /queries HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for byte in b"abcdef" {
        sleep(HEADER / 4).await;
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}
