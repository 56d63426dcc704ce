//! The service behind the balancer of `deploy/`.

use crate::support::{Case, Running, Settings};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// HAProxy with the configuration of `deploy/`, in front of one node.
struct Balancer {
    child: Child,
    address: String,
}

impl Balancer {
    fn start(folder: &Path, node: &str) -> Self {
        let deployed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/compose/haproxy.cfg");
        let address = {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap().to_string()
        };
        let text: String = fs::read_to_string(deployed)
            .unwrap()
            .replace("bind :8080", &format!("bind {address}"))
            .replace("node1:8080", node)
            .lines()
            .filter(|line| !line.contains("node2"))
            .map(|line| format!("{line}\n"))
            .collect();
        let path = folder.join("haproxy.cfg");
        fs::write(&path, text).unwrap();
        let child = Command::new("haproxy").arg("-db").arg("-f").arg(path).spawn().unwrap();
        Self { child, address }
    }

    async fn connect(&self) -> TcpStream {
        let connecting = async {
            loop {
                match TcpStream::connect(&self.address).await {
                    Ok(stream) => return stream,
                    Err(_) => sleep(Duration::from_millis(50)).await,
                }
            }
        };
        timeout(PATIENCE, connecting).await.unwrap()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\nok\n") {
        text.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().expect("an answer"));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs haproxy, and waits for 12 seconds"]
async fn idle_connections_outlive_the_time_for_a_head() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("peers", json!({ "address": "none" }));
    let running = Running::start(folder, settings).await;
    let node = running.url.strip_prefix("http://").unwrap();
    let balancer = Balancer::start(running.folder.path(), node);
    let mut stream = balancer.connect().await;
    ask(&mut stream).await;
    // A head may take 10 seconds, at the balancer and at the service.
    sleep(Duration::from_secs(12)).await;
    ask(&mut stream).await;
}
