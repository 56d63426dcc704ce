//! Answers that take more memory than their requests, and are not taken, or not counted where they are made.

use crate::factor;
use crate::floods::GATEWAY;
use crate::memory::{Target, takes_nothing};
use crate::support::USER;
use bhttp::{Message as Binary, Mode};
use futures_util::future::join_all;
use pir_api::{Message, api};
use privacy_pass::Token;
use serde_json::json;

const HOST: &str = "pir.example.com";

/// A request of a user in a capsule.
fn capsule(keys: &[u8], path: &str, token: &Token, body: &[u8]) -> Vec<u8> {
    let part = |text: &str| text.as_bytes().to_vec();
    let mut message = Binary::request(part("POST"), part("https"), part(HOST), part(path));
    message.put_header("authorization", token.to_authorization().as_str());
    message.put_header("user-identifier", USER);
    message.put_header("user-agent", "networkd iOS/18.2");
    message.write_content(body);
    let mut bytes = Vec::new();
    message.write_bhttp(Mode::KnownLength, &mut bytes).unwrap();
    ohttp::ClientRequest::from_encoded_config_list(keys).unwrap().encapsulate(&bytes).unwrap().0
}

/// As `answers_that_are_not_taken_take_no_more_memory_than_bodies_may`, through the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn answers_through_the_gateway_that_are_not_taken_count_as_others_do() {
    const BODIES: usize = 8 << 20;
    let limits = json!({
        "bodiesInFlightBytes": BODIES, "unauthenticatedBytes": 32 << 20, "bodyBytes": 8 << 20,
        "capsuleBytes": 8 << 20, "answerSeconds": 3600,
    });
    let target =
        Target::with_all(&[("limits", limits), ("gateway", json!({ "hosts": [HOST] }))], 1);
    let key = target.device.token().await.unwrap();
    let upload = target.case.first("/key").request;
    assert_eq!(target.device.post("/key", &key, upload).await.unwrap().status(), 200);
    let recorded = api::Requests::decode(&target.case.first("/queries").request[..]).unwrap();
    let many = api::Requests { requests: vec![recorded.requests[0].clone(); 128] }.encode_to_vec();
    let gateway = format!("{}{GATEWAY}", target.process.url);
    let keys = reqwest::get(&gateway).await.unwrap().bytes().await.unwrap().to_vec();
    let token = target.device.token().await.unwrap();
    let post = async |http: &reqwest::Client, token: &Token| {
        let body = capsule(&keys, "/queries", token, &many);
        http.post(&gateway).header("content-type", "message/ohttp-req").body(body).send().await
    };
    let answer = post(&target.device.http, &token).await.unwrap();
    let length = answer.bytes().await.unwrap().len();
    let tokens = target.tokens(40 * factor()).await;
    let before = target.peak_megabytes();
    let mut held = Vec::new();
    for tokens in tokens.chunks(10) {
        let deaf = takes_nothing();
        for token in tokens {
            held.extend(post(&deaf, token).await);
        }
    }
    let grown = target.peak_megabytes() - before;
    println!("{} answers of {length} bytes: {grown} MB", held.len());
    assert!(length * held.len() > 8 * BODIES, "{length}, {}", held.len());
    // A connection that makes room has a second to end, and an answer is sealed from its parts.
    assert!(grown < 10 * (BODIES / 1_000_000) as u64, "{grown} MB");
    // Others are answered.
    let token = target.device.token().await.unwrap();
    assert_eq!(post(&target.device.http, &token).await.unwrap().status(), 200);
    drop(held);
}

/// Requests without a body, of systems that need each shard listed.
#[tokio::test(flavor = "multi_thread")]
async fn configurations_with_each_shard_take_no_more_memory_than_bodies_may() {
    const BODIES: usize = 8 << 20;
    let limits = json!({ "bodiesInFlightBytes": BODIES, "bodyBytes": 8 << 20, "dataSetBytes": 0 });
    let target = Target::with_all(&[("limits", limits)], 8192);
    let post = async |token: &Token| {
        let request = target.device.http.post(format!("{}/config", target.process.url));
        let request = request
            .header("authorization", token.to_authorization().as_str())
            .header("user-identifier", USER)
            .header("user-agent", "com.apple.ciphermld/1.0 iOS/18.0 ...");
        request.body(Vec::new()).send().await.unwrap()
    };
    let one = post(&target.device.token().await.unwrap()).await;
    assert_eq!(one.status(), 200);
    let one = api::ConfigResponse::decode(&one.bytes().await.unwrap()[..]).unwrap();
    let tokens = target.tokens(120 * factor()).await;
    let before = target.peak_megabytes();
    let statuses = join_all(tokens.iter().map(async |token| post(token).await.status())).await;
    let grown = target.peak_megabytes() - before;
    let count = |wanted| statuses.iter().filter(|&&status| status.as_u16() == wanted).count();
    println!("{} answered, {} refused: {grown} MB", count(200), count(503));
    assert_eq!(count(200) + count(503), statuses.len());
    assert!(count(200) > 0 && count(503) > 0, "{statuses:?}");
    assert!(grown < 4 * (BODIES / 1_000_000) as u64, "{grown} MB");
    let Some(api::config::Config::PirConfig(config)) = &one.configs.values().next().unwrap().config
    else {
        panic!("{one:?}");
    };
    assert_eq!(config.shard_configs.len(), 8192);
}
