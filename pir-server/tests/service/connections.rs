//! Slow peers, many peers, and TLS.

use crate::support::{Case, Running, Settings};
#[cfg(feature = "tls")]
use pir_server::{Listener, endpoints};
#[cfg(feature = "tls")]
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
#[cfg(feature = "tls")]
use std::{fs, path::Path, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn limited(limits: serde_json::Value) -> Running {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![case.install(folder.path(), "data")]).with("limits", limits);
    Running::start(folder, settings).await
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Everything that the peer receives until the connection is closed.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends it, too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_peers_are_disconnected() {
    let limits = json!({
        "headerSeconds": 1, "bodySeconds": 1, "idleSeconds": 2, "connections": 3,
    });
    let running = limited(limits).await;
    // One sends nothing, one half a head, one less of a body than it announced.
    let mut silent = connect(&running).await;
    let mut slow_head = connect(&running).await;
    slow_head.write_all(b"POST /config HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, "");
    let text = read_to_end(&mut slow_head).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    let mut slow_body = connect(&running).await;
    let token = running.token().await.to_authorization();
    let head = format!(
        "POST /config HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nUser-Identifier: x\r\n\
         Authorization: {}\r\nContent-Length: 100\r\n\r\nonly this",
        token.as_str()
    );
    slow_body.write_all(head.as_bytes()).await.unwrap();
    let text = read_to_end(&mut slow_body).await;
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    // None of them counts towards the limit of three connections any more.
    for _ in 0..5 {
        // On a connection of its own: one that was idle may be closed at this moment.
        let response = reqwest::get(format!("{}/healthz", running.url)).await.unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_for_bodies_is_bounded() {
    let limits = json!({
        "bodySeconds": 600, "bodyBytes": 1 << 20, "bodiesInFlightBytes": 1 << 20,
    });
    let running = limited(limits).await;
    let long = vec![0; (1 << 20) + 1];
    assert_eq!(running.post("/queries", &long).await.status(), 413);
    let token = running.token().await;
    let head = format!(
        "POST /queries HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nUser-Identifier: x\r\n\
         Expect: 100-continue\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n",
        token.to_authorization().as_str(),
        1 << 20
    );
    let other = running.token().await;
    let body = vec![0; 1 << 20];
    // Only one of both fits. The one that began first makes room, and its token is good.
    let mut holding = connect(&running).await;
    holding.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 25];
    holding.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    holding.write_all(&body[1..]).await.unwrap();
    let answered = tokio::spawn(async move {
        let mut status = [0; 12];
        holding.read_exact(&mut status).await.unwrap();
        status
    });
    while !answered.is_finished() {
        // Not a message: it is refused before its token is spent.
        assert_eq!(running.post_with(&other, "/queries", &body).await.status(), 400);
    }
    assert_eq!(&answered.await.unwrap(), b"HTTP/1.1 503");
    assert_eq!(running.post_with(&token, "/queries", &body).await.status(), 400);
}

#[cfg(feature = "tls")]
fn write_certificate(folder: &Path) -> String {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.pem()
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread")]
async fn tls_has_http_2_and_certificates_are_replaced() {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let first = write_certificate(folder.path());
    let tls = json!({
        "certificate": folder.path().join("cert.pem"), "privateKey": folder.path().join("key.pem"),
    });
    let settings = Settings::new(vec![case.install(folder.path(), "data")]).with("tls", tls);
    let running = Running::start(folder, settings).await;
    let service = Arc::clone(&running.service);
    let any = ["127.0.0.1:0".parse().unwrap()];
    let listener = Listener::bind(&any, endpoints::router(&service)).await.unwrap();
    let listener = listener.with_tls(service.tls().unwrap());
    let port = listener.addresses().unwrap()[0].port();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        listener.serve(&service, async { drop(stopped.await) }).await;
    });
    let status = async |certificate: &str, old: bool| {
        let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let builder = reqwest::Client::builder().tls_certs_only([root]);
        let builder = if old { builder.http1_only() } else { builder };
        let url = format!("https://localhost:{port}/healthz");
        let response = builder.build().unwrap().get(url).send().await;
        response.map(|response| (response.status().as_u16(), response.version()))
    };
    assert_eq!(status(&first, false).await.unwrap(), (200, reqwest::Version::HTTP_2));
    assert_eq!(status(&first, true).await.unwrap(), (200, reqwest::Version::HTTP_11));
    let second = write_certificate(running.folder.path());
    running.service.reload().await.unwrap();
    assert!(status(&first, false).await.is_err());
    assert_eq!(status(&second, false).await.unwrap().0, 200);
    // A certificate and a key that do not match change nothing.
    let other = tempfile::tempdir().unwrap();
    write_certificate(other.path());
    fs::copy(other.path().join("key.pem"), running.folder.path().join("key.pem")).unwrap();
    assert!(running.service.reload().await.is_err());
    assert_eq!(status(&second, false).await.unwrap().0, 200);
    drop(stop);
    server.await.unwrap();
}
