//! Limits by peer: by the address of a connection, by the header of a balancer, or not at all.

use crate::support::{Case, Running, Settings};
use pir_server::{Configuration, Listener, endpoints};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// The order of movements is told apart by time, and what has moved within a second makes no room for its own peer.
const APART: Duration = Duration::from_millis(1100);
/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service with a listener that counts peers as `peers` says.
struct Counting {
    running: Running,
    address: SocketAddr,
}

impl Counting {
    async fn start(peers: serde_json::Value, limits: serde_json::Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let case = Case::new("synthetic_small_logt5");
        let settings = Settings::new(vec![case.install(folder.path(), "data")])
            .with("limits", limits)
            .with("peers", peers);
        let text = settings.text(folder.path());
        let configuration = Configuration::parse(text.as_bytes()).unwrap();
        let running = Running::start(folder, settings).await;
        let service = Arc::clone(&running.service);
        let any = ["127.0.0.1:0".parse().unwrap()];
        let listener = Listener::bind(&any, endpoints::router(&service)).await.unwrap();
        let listener = listener.with_peers(configuration.peers);
        let address = listener.addresses().unwrap()[0];
        tokio::spawn(async move { listener.serve(&service, std::future::pending()).await });
        Self { running, address }
    }

    async fn connect(&self, from: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }
}

/// Whether the service answers a request on this connection.
async fn answers(stream: &mut TcpStream) -> bool {
    let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    if stream.write_all(request).await.is_err() {
        return false;
    }
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\nok\n") {
        match timeout(PATIENCE, stream.read_u8()).await.expect("an answer, or the end") {
            Ok(byte) => text.push(byte),
            Err(_) => return false,
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_at_its_limit_loses_its_longest_idle_connection() {
    let limits = json!({ "connections": 10, "connectionsPerPeer": 2 });
    let service = Counting::start(json!({}), limits).await;
    let mut first = service.connect([127, 0, 0, 1]).await;
    let mut second = service.connect([127, 0, 0, 1]).await;
    assert!(answers(&mut second).await);
    sleep(APART).await;
    assert!(answers(&mut first).await);
    let mut other = service.connect([127, 0, 0, 2]).await;
    assert!(answers(&mut other).await);
    sleep(APART).await;
    let mut third = service.connect([127, 0, 0, 1]).await;
    assert!(answers(&mut third).await);
    assert!(!answers(&mut second).await);
    assert!(answers(&mut first).await && answers(&mut other).await);
    let metrics = service.running.metrics().await;
    assert!(metrics.contains("pir_connections_ended_total{reason=\"replaced\"} 1\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_service_takes_from_the_peer_with_the_most() {
    let limits = json!({ "connections": 3, "connectionsPerPeer": 3 });
    let service = Counting::start(json!({}), limits).await;
    let mut many = Vec::new();
    for _ in 0..3 {
        let mut stream = service.connect([127, 0, 0, 1]).await;
        assert!(answers(&mut stream).await);
        sleep(APART).await;
        many.push(stream);
    }
    let mut other = service.connect([127, 0, 0, 2]).await;
    assert!(answers(&mut other).await);
    assert!(!answers(&mut many[0]).await);
    for stream in &mut many[1..] {
        assert!(answers(stream).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_balancers_name_the_peer() {
    let peers = json!({ "address": "proxyProtocol", "proxies": ["127.0.0.1"] });
    let limits = json!({ "connections": 10, "connectionsPerPeer": 1, "headerSeconds": 2 });
    let service = Counting::start(peers, limits).await;
    let connect = async |header: &[u8]| {
        let mut stream = service.connect([127, 0, 0, 1]).await;
        stream.write_all(header).await.unwrap();
        stream
    };
    let one = b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n";
    let two = b"PROXY TCP4 192.0.2.2 10.0.0.1 1 2\r\n";
    let mut first = connect(one).await;
    let mut second = connect(two).await;
    // Connections of the balancer itself are not counted by peer.
    let mut third = connect(b"PROXY UNKNOWN\r\n").await;
    let mut fourth = connect(b"PROXY UNKNOWN\r\n").await;
    for stream in [&mut first, &mut second, &mut third, &mut fourth] {
        assert!(answers(stream).await);
    }
    sleep(APART).await;
    let mut again = connect(one).await;
    assert!(answers(&mut again).await);
    assert!(!answers(&mut first).await);
    assert!(answers(&mut second).await);
    // Without a header, with half of one, and from elsewhere.
    assert!(!answers(&mut connect(b"").await).await);
    assert!(!answers(&mut connect(b"PROXY TCP4 192.0.2.1 ").await).await);
    let mut stranger = service.connect([127, 0, 0, 2]).await;
    let _ = stranger.write_all(two).await;
    assert!(!answers(&mut stranger).await);
    let mut silent = service.connect([127, 0, 0, 1]).await;
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, silent.read_to_end(&mut rest)).await.expect("it ends");
    let metrics = service.running.metrics().await;
    assert!(metrics.contains("pir_connections_ended_total{reason=\"protocol\"} 2\n"), "{metrics}");
    assert!(metrics.contains("pir_connections_ended_total{reason=\"stranger\"} 1\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_addresses_the_longest_idle_connection_makes_room() {
    let limits = json!({ "connections": 2, "connectionsPerPeer": 1 });
    let service = Counting::start(json!({ "address": "none" }), limits).await;
    let mut first = service.connect([127, 0, 0, 1]).await;
    let mut second = service.connect([127, 0, 0, 1]).await;
    assert!(answers(&mut first).await);
    sleep(APART).await;
    assert!(answers(&mut second).await);
    let mut third = service.connect([127, 0, 0, 1]).await;
    assert!(answers(&mut third).await && answers(&mut second).await);
    assert!(!answers(&mut first).await);
}
