//! What one client without a token could do to all others that come through the gateway, or that fetch a prefilter: hold
//! the memory for requests that nobody is entitled to yet.

use crate::floods::{
    DIRECTORY, ELSEWHERE, FromAddress, GATEWAY, Target, deaf, requests, send_and_stay,
};
use crate::frames::{END_STREAM, connect, field, head, opening};
use crate::support::write_manifest;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

const USE_CASE_PATH: &str = "/filter/";
/// Longest request through the gateway here. It counts twice.
const CAPSULE: usize = 1 << 20;
/// The memory for all of them here.
const BUDGET: usize = 4 * CAPSULE;
/// Longer than what one peer may hold.
const PREFILTER: usize = 3 << 20;
/// SHA-256 of two bytes without a bit: the tag of a prefilter of 16 bits.
const NO_BITS_TAG: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
/// SHA-256 of nothing: the digest of the keywords of an empty data set.
const NO_KEYWORDS: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Puts a prefilter of [`PREFILTER`] bytes next to the data set.
fn with_prefilter(folder: &Path) -> serde_json::Value {
    let filter = folder.join("filter");
    std::fs::create_dir(&filter).unwrap();
    let metadata = json!({ "bitCount": 16, "hashCount": 1, "murmurSeed": 0, "tag": NO_BITS_TAG });
    let bits = "AAAA".repeat(PREFILTER / 4);
    let bytes = bits.len() / 4 * 3;
    let plist = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>
        <key>bitCount</key><integer>{}</integer><key>byteCount</key><integer>{bytes}</integer>
        <key>data</key><data>{bits}</data>
        <key>falsePositiveTolerance</key><real>0.001</real>
        <key>hashCount</key><integer>1</integer><key>itemCount</key><integer>1</integer>
        <key>murmurSeed</key><integer>0</integer></dict></plist>"#,
        8 * bytes,
    );
    write_manifest(&folder.join("data"), 1, json!({ "keywordsSha256": NO_KEYWORDS }));
    for (name, content) in [
        ("bloom.bin", "\0\0".to_owned()),
        ("bloom.json", metadata.to_string()),
        ("input.txtpb", String::new()),
        ("bloom_filter.plist", plist),
    ] {
        std::fs::write(filter.join(name), content).unwrap();
    }
    json!({ "filter": filter })
}

async fn target(peers: serde_json::Value, address: [u8; 4]) -> Target {
    let limits = json!({ "bodyBytes": CAPSULE, "unauthenticatedBytes": BUDGET });
    Target::start_with(peers, limits, address, with_prefilter).await
}

fn prefilter_url(target: &Target) -> String {
    format!("{}{USE_CASE_PATH}{}", target.process.url, target.use_case)
}

/// A request for the gateway of which the last byte stays away.
async fn stalled_body(address: SocketAddr, length: usize) {
    let Ok(mut stream) = connect(address).await else { return };
    let head = format!(
        "POST {GATEWAY} HTTP/1.1\r\nHost: a\r\nContent-Type: message/ohttp-req\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    let bytes = [head.into_bytes(), vec![b'y'; length - 1]].concat();
    if stream.write_all(&bytes).await.is_ok() {
        drop(stream.read_u8().await);
        // An answer is no reason to go.
        std::future::pending::<()>().await;
    }
}

/// A prefilter that is asked for and not taken.
async fn unread_prefilter(address: SocketAddr, path: String) {
    let Ok(mut stream) = deaf(address).await else { return };
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Holds as much as can be held, in each way, again and again; honest lookups and fetches go on.
async fn hold_everything(target: &Target, client: &FromAddress) {
    let url = prefilter_url(target);
    let path = url.strip_prefix(&target.process.url).unwrap().to_owned();
    let address = target.address;
    let block = [head("POST", GATEWAY), field("content-type", "message/ohttp-req")].concat();
    let unbegun = [opening(None), requests(128, 0, &block)].concat();
    let unread = [opening(Some(0)), requests(128, END_STREAM, &head("GET", DIRECTORY))].concat();
    let mut held = JoinSet::new();
    for round in 0..12 {
        for _ in 0..8 {
            match round % 4 {
                0 => {
                    for length in [CAPSULE, CAPSULE / 8, CAPSULE / 64, CAPSULE / 1024] {
                        held.spawn(stalled_body(address, length));
                    }
                    continue;
                }
                1 => held.spawn(unread_prefilter(address, path.clone())),
                2 => held.spawn(send_and_stay(address, unbegun.clone())),
                _ => held.spawn(send_and_stay(address, unread.clone())),
            };
        }
        for _ in 0..3 {
            target.lookup().await;
            let answer = client.0.get(&url).send().await.unwrap();
            assert_eq!(answer.status(), 200, "round {round}");
            assert!(answer.bytes().await.unwrap().len() > PREFILTER);
        }
    }
}

/// As behind a balancer that speaks HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn holding_memory_does_not_close_the_gateway_without_addresses() {
    let target = target(json!({ "address": "none" }), ELSEWHERE).await;
    hold_everything(&target, &FromAddress::new(ELSEWHERE)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holding_memory_does_not_close_the_gateway_to_other_addresses() {
    let target = target(json!({}), ELSEWHERE).await;
    hold_everything(&target, &FromAddress::new(ELSEWHERE)).await;
}

/// All users of a relay have its address.
#[tokio::test(flavor = "multi_thread")]
async fn holding_memory_does_not_close_the_gateway_to_others_at_the_same_address() {
    let own = [127, 0, 0, 1];
    let target = target(json!({}), own).await;
    hold_everything(&target, &FromAddress::new(own)).await;
}
