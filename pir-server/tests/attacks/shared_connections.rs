//! What one client could do to others whose requests a balancer sends over the same connection.

use crate::floods::{DIRECTORY, ELSEWHERE, Target};
use crate::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, SETTINGS, connect, field, frame,
    head, opening, read,
};
use serde_json::json;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn an_answer_that_is_not_taken_does_not_end_other_requests() {
    let limits = json!({ "answerSeconds": 1 });
    let target =
        Target::start_with(json!({ "address": "none" }), limits, ELSEWHERE, |_| json!({})).await;
    let mut stream = connect(target.address).await.unwrap();
    let not_taken = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("GET", DIRECTORY));
    let upload = [head("POST", "/issue"), field("authorization", "Bearer AAAA")].concat();
    let upload =
        [frame(HEADERS, END_HEADERS, 3, &upload), frame(DATA, 0, 3, b"the first part of a body")];
    let opened = [opening(Some(0)), not_taken, upload.concat()].concat();
    stream.write_all(&opened).await.unwrap();

    let mut events = Vec::new();
    // Nothing but the end of the connection ends this.
    while let Some((kind, flags, id, payload)) = read(&mut stream).await {
        let answer = match (kind, flags & ACK) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
            (PING, 0) => frame(PING, ACK, 0, &payload),
            (GOAWAY, _) if !events.contains(&(GOAWAY, 0)) => frame(DATA, END_STREAM, 3, b"its end"),
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
    assert_eq!(events, [(HEADERS, 1), (GOAWAY, 0), (HEADERS, 3)]);
}
