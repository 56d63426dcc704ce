//! The built-in transport against a server on the loopback interface.

use bytes::Bytes;
use filter_client::{HttpTransport, Transport, TransportError};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

/// Answers one request with these bytes and closes the connection. Returns its address.
fn serve_once(response: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        // The client may close the connection first.
        drop(stream.write_all(&response));
    });
    format!("http://{address}/")
}

async fn get(url: &str, max_body: usize) -> Result<http::Response<Bytes>, TransportError> {
    let transport = HttpTransport::new(Duration::from_secs(30)).unwrap();
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = url.parse().unwrap();
    transport.send(request, max_body).await
}

#[tokio::test]
async fn the_length_of_a_body_is_limited() {
    for (length, is_read) in [(9, true), (10, true), (11, false)] {
        let body = "a".repeat(length);
        let with_length = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let chunked = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
             5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            &body[..5],
            length - 5,
            &body[5..]
        );
        for response in [with_length, chunked] {
            let outcome = get(&serve_once(response.into_bytes()), 10).await;
            match is_read {
                true => assert_eq!(outcome.unwrap().body(), body.as_bytes()),
                false => assert_eq!(outcome.unwrap_err(), TransportError::TooLong(10)),
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_fails_is_told_with_its_address_and_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = get(&format!("{address}/path?key=secret"), 10).await.unwrap_err();
    let TransportError::NotConnected { address: found, reason } = &error else { panic!("{error}") };
    assert_eq!(found, &address);
    assert!(reason.contains("refused"), "{reason}");
    assert!(!error.may_have_arrived() && error.is_transient());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let response =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let response = get(&serve_once(response.as_bytes().to_vec()), 10).await.unwrap();
    assert_eq!(response.status(), 302);
}

#[tokio::test]
async fn failures_say_whether_the_request_was_sent() {
    let error = get("http://127.0.0.1:1/", 10).await.unwrap_err();
    assert!(matches!(error, TransportError::NotConnected { .. }), "{error}");
    assert!(!error.may_have_arrived());
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let error = get(&serve_once(half), 10).await.unwrap_err();
    assert_eq!(error, TransportError::Broken);
    assert!(error.may_have_arrived());
}

#[test]
fn certificates_to_trust_must_be_pem() {
    for text in [&b""[..], b"text", b"-----BEGIN CERTIFICATE-----\nx\n"] {
        assert!(HttpTransport::builder().trust_pem(text).is_err());
    }
}
