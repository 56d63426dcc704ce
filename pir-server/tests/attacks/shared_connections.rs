//! What one client could do to others whose requests a balancer sends over the same connection.

use crate::floods::{DIRECTORY, ELSEWHERE, Target, requests, send_and_stay};
use crate::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, SETTINGS, connect, field, frame,
    head, opening, read,
};
use serde_json::json;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What happens on a connection until it ends: kinds of frames and their streams, each once. `upload` ends its body when the end
/// of the connection is announced.
async fn events(mut stream: TcpStream, upload: u32) -> Vec<(u8, u32)> {
    let mut events = Vec::new();
    // Nothing but the end of the connection ends this.
    while let Some((kind, flags, id, payload)) = read(&mut stream).await {
        let answer = match (kind, flags & ACK) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
            (PING, 0) => frame(PING, ACK, 0, &payload),
            (GOAWAY, _) if !events.contains(&(GOAWAY, 0)) => {
                frame(DATA, END_STREAM, upload, b"its end")
            }
            _ => Vec::new(),
        };
        // The end of a connection is announced twice (RFC 9113, section 6.8).
        if matches!(kind, GOAWAY | HEADERS) && !events.contains(&(kind, id)) {
            events.push((kind, id));
        }
        if stream.write_all(&answer).await.is_err() {
            break;
        }
    }
    events
}

/// A connection with answers that are not taken, and then a body that has begun to arrive.
async fn shared_connection(address: SocketAddr, not_taken: u32) -> (TcpStream, u32) {
    let mut stream = connect(address).await.unwrap();
    let not_taken_heads = requests(not_taken, END_STREAM, &head("GET", DIRECTORY));
    let id = 2 * not_taken + 1;
    let upload = [head("POST", "/issue"), field("authorization", "Bearer AAAA")].concat();
    let upload =
        [frame(HEADERS, END_HEADERS, id, &upload), frame(DATA, 0, id, b"the first part of a body")];
    let opened = [opening(Some(0)), not_taken_heads, upload.concat()].concat();
    stream.write_all(&opened).await.unwrap();
    (stream, id)
}

#[tokio::test]
async fn an_answer_that_is_not_taken_does_not_end_other_requests() {
    let limits = json!({ "answerSeconds": 1 });
    let target =
        Target::start_with(json!({ "address": "none" }), limits, ELSEWHERE, |_| json!({})).await;
    let (stream, upload) = shared_connection(target.address, 1).await;
    assert_eq!(events(stream, upload).await, [(HEADERS, 1), (GOAWAY, 0), (HEADERS, upload)]);
}

/// Answers on a connection make room for others; what else is on it is answered first.
#[tokio::test]
async fn memory_for_others_does_not_end_other_requests() {
    let limits = json!({ "bodyBytes": 1 << 20, "unauthenticatedBytes": 4 << 20 });
    let target =
        Target::start_with(json!({ "address": "none" }), limits, ELSEWHERE, |_| json!({})).await;
    let (stream, upload) = shared_connection(target.address, 2).await;
    let events = tokio::spawn(events(stream, upload));
    // Each request takes 8 KiB at least.
    let unread = [opening(Some(0)), requests(100, END_STREAM, &head("GET", DIRECTORY))].concat();
    let mut held = JoinSet::new();
    for _ in 0..7 {
        held.spawn(send_and_stay(target.address, unread.clone()));
    }
    let events = events.await.unwrap();
    assert!(events.contains(&(GOAWAY, 0)), "{events:?}");
    assert!(events.contains(&(HEADERS, upload)), "{events:?}");
}
