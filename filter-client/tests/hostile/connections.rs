//! What travels over which connection, seen on accepted sockets.

use crate::service::case;
use filter_client::{ClientOptions, PirClient};
use privacy_pass::{DirectoryKey, IssuerDirectory, IssuerKey, TokenRequest};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// For each accepted connection, what its requests carried.
type Seen = Arc<Mutex<Vec<Vec<&'static str>>>>;

/// Answers the requests of one connection, which stays open between them.
fn serve(stream: TcpStream, key: &IssuerKey, config: &[u8], seen: &Seen, number: usize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.split(' ').nth(1).unwrap_or("").to_owned();
        let (mut length, mut carries) = (0, "nothing");
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let header = header.trim();
            if header.is_empty() {
                break;
            }
            let lower = header.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if lower.starts_with("authorization: bearer") {
                carries = "user token";
            }
            if lower.starts_with("user-identifier") {
                carries = "pseudonym";
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        seen.lock().unwrap()[number].push(carries);
        let (status, body) = match path.as_str() {
            "/issue" => {
                let request = TokenRequest::from_bytes(&body).unwrap();
                ("200 OK", key.issue(&request).unwrap().to_vec())
            }
            "/config" => ("200 OK", config.to_vec()),
            "/key" => ("200 OK", Vec::new()),
            "/queries" => ("503 Service Unavailable", Vec::new()),
            _ => {
                let keys = vec![DirectoryKey::new(key.public(), None)];
                let directory = IssuerDirectory::new("/issue", keys);
                ("200 OK", serde_json::to_vec(&directory).unwrap())
            }
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

/// The issuer and the service are one server, which sees the connections of both.
#[tokio::test]
async fn the_user_token_and_queries_share_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (seen, key) = (Seen::default(), Arc::new(IssuerKey::generate().unwrap()));
    let config = Arc::new(case().config_with_key());
    let all = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let number = {
                let mut seen = all.lock().unwrap();
                seen.push(Vec::new());
                seen.len() - 1
            };
            let (key, config, all) = (Arc::clone(&key), Arc::clone(&config), Arc::clone(&all));
            std::thread::spawn(move || serve(stream, &key, &config, &all, number));
        }
    });
    let mut options = ClientOptions::default();
    options.retry = filter_client::RetryPolicy::never();
    options.outage_backoff = std::time::Duration::ZERO;
    options.wallet.spare = 1;
    options.wallet.refill_below = 0;
    options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
    let client = PirClient::builder(address, case().use_case())
        .user_token("AAAA")
        .options(options)
        .build()
        .unwrap();
    for keyword in [&b"a.example"[..], b"b.example", b"c.example"] {
        assert!(client.lookup(&[keyword]).await.is_err(), "the service answers no query");
    }
    let seen = seen.lock().unwrap();
    let carries = |wanted: &str| seen.iter().flatten().filter(|found| **found == wanted).count();
    assert!(carries("user token") >= 4 && carries("pseudonym") >= 5, "{seen:?}");
    for connection in seen.iter() {
        let has = |wanted: &str| connection.contains(&wanted);
        assert!(!(has("user token") && has("pseudonym")), "{seen:?}");
    }
    // Connections are reused all the same.
    assert!(seen.iter().any(|connection| connection.len() > 2), "{seen:?}");
}
