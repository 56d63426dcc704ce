//! Malformed requests get the specified status, and the service goes on.

use crate::support::{AGENT, Case, Running, USER, message, pir_request, refusal};
use he::serialized_ciphertext::SerializedCiphertextType::{Full, Seeded};
use pir_api::{Message, api, he};
use reqwest::Method;

/// A service with the recorded key.
async fn with_key(case: &Case) -> Running {
    let running = Running::of(case).await;
    let response = running.post("/key", &case.first("/key").request).await;
    assert_eq!(response.status(), 200);
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_long_headers_are_refused() {
    let case = Case::new("synthetic_small_logt5");
    let running = with_key(&case).await;
    let queries = case.first("/queries").request;
    for (leave_out, status) in
        [("authorization", 401), ("user-identifier", 400), ("user-agent", 400), ("none", 200)]
    {
        let token = running.token().await.to_authorization();
        let headers =
            [("authorization", token.as_str()), ("user-identifier", USER), ("user-agent", AGENT)];
        let headers: Vec<_> = headers.into_iter().filter(|(name, _)| *name != leave_out).collect();
        for (path, body) in [("/queries", &queries)] {
            let response = running.send(Method::POST, path, &headers, body.clone()).await;
            assert_eq!(response.status(), status, "{path} without {leave_out}");
        }
    }
    let long = "x".repeat(300);
    let token = running.token().await.to_authorization();
    let headers =
        [("authorization", token.as_str()), ("user-identifier", &long), ("user-agent", AGENT)];
    let (status, text) =
        refusal(running.send(Method::POST, "/queries", &headers, queries).await).await;
    assert_eq!(status, 400);
    assert!(!text.contains("xxx"));
    // Paths and methods.
    assert_eq!(running.send(Method::GET, "/queries", &[], "").await.status(), 405);
    assert_eq!(running.send(Method::POST, "/nothing", &[], "").await.status(), 404);
    // A head that is too long.
    let huge = "y".repeat(100_000);
    let response = running.http.get(format!("{}/healthz", running.url)).header("x", huge);
    assert_eq!(response.send().await.unwrap().status(), 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_queries_are_refused() {
    let case = Case::new("synthetic_shards3_logt4");
    let running = with_key(&case).await;
    let good = case.first("/queries").request;
    let ask = async |change: &dyn Fn(&mut api::Requests)| {
        let mut requests = api::Requests::decode(&good[..]).unwrap();
        change(&mut requests);
        running.post("/queries", &requests.encode_to_vec()).await
    };
    assert_eq!(ask(&|_| {}).await.status(), 200);

    type Change = Box<dyn Fn(&mut api::Requests)>;
    let query = |change: fn(&mut api::pir::PirRequest)| -> Change {
        Box::new(move |requests| change(pir_request(requests, 1)))
    };
    let ciphertext = |change: fn(&mut he::SerializedCiphertext)| -> Change {
        Box::new(move |requests| {
            change(&mut pir_request(requests, 1).query.as_mut().unwrap().ciphertexts[0]);
        })
    };
    let changes: Vec<(u16, &str, Change)> = vec![
        (400, "unknown use case", Box::new(|r| r.requests[1].usecase = "other".to_owned())),
        (400, "no request", Box::new(|r| r.requests[1].request = None)),
        (410, "configuration", query(|q| q.configuration_hash[0] ^= 1)),
        (410, "no configuration", query(|q| q.configuration_hash.clear())),
        (400, "shard", query(|q| q.shard_index = 3)),
        (400, "shard", query(|q| q.shard_index = u32::MAX)),
        (501, "shard id", query(|q| q.shard_id = Some("0".to_owned()))),
        (400, "no query", query(|q| q.query = None)),
        (400, "no metadata", query(|q| q.evaluation_key_metadata = None)),
        (
            400,
            "other keys",
            query(|q| q.evaluation_key_metadata.as_mut().unwrap().identifier[0] ^= 1),
        ),
        (400, "empty inline key", query(|q| q.evaluation_key = Some(Default::default()))),
        (
            400,
            "inline key without content",
            query(|q| {
                q.evaluation_key = Some(api::shared::EvaluationKey {
                    evaluation_key: Some(Default::default()),
                    ..Default::default()
                });
            }),
        ),
        (400, "calls", query(|q| q.query.as_mut().unwrap().num_pir_calls = 0)),
        (400, "calls", query(|q| q.query.as_mut().unwrap().num_pir_calls = u64::MAX)),
        (400, "ciphertext count", query(|q| q.query.as_mut().unwrap().ciphertexts.clear())),
        (
            400,
            "ciphertext count",
            query(|q| {
                let query = q.query.as_mut().unwrap();
                query.ciphertexts = vec![query.ciphertexts[0].clone(); 100];
            }),
        ),
        (400, "no ciphertext", ciphertext(|c| c.serialized_ciphertext_type = None)),
        (
            400,
            "short",
            ciphertext(|c| match c.serialized_ciphertext_type.as_mut().unwrap() {
                Seeded(seeded) => drop(seeded.poly0.pop()),
                Full(_) => panic!(),
            }),
        ),
        (
            400,
            "of another degree",
            ciphertext(|c| match c.serialized_ciphertext_type.as_mut().unwrap() {
                Seeded(seeded) => seeded.poly0.extend_from_within(..),
                Full(_) => panic!(),
            }),
        ),
        (
            400,
            "residues above their modulus",
            ciphertext(|c| match c.serialized_ciphertext_type.as_mut().unwrap() {
                Seeded(seeded) => seeded.poly0.fill(0xff),
                Full(_) => panic!(),
            }),
        ),
        (
            400,
            "seed",
            ciphertext(|c| match c.serialized_ciphertext_type.as_mut().unwrap() {
                Seeded(seeded) => seeded.seed.clear(),
                Full(_) => panic!(),
            }),
        ),
        (
            400,
            "a full ciphertext of nothing",
            ciphertext(|c| {
                c.serialized_ciphertext_type = Some(Full(Default::default()));
            }),
        ),
        (400, "batch", Box::new(|r| r.requests = vec![r.requests[0].clone(); 129])),
        (
            400,
            "oprf",
            Box::new(|r| {
                r.requests[1].request =
                    Some(api::request::Request::OprfRequest(api::pir::OprfRequest {
                        query_element: vec![2; 49],
                        config_id: Vec::new(),
                    }));
            }),
        ),
    ];
    for (status, what, change) in &changes {
        let response = ask(&**change).await;
        assert_eq!(response.status().as_u16(), *status, "{what}");
        refusal(response).await;
    }
    // No key at all.
    let token = running.token().await.to_authorization();
    let headers = [
        ("authorization", token.as_str()),
        ("user-identifier", "somebody else"),
        ("user-agent", AGENT),
    ];
    let response = running.send(Method::POST, "/queries", &headers, good.clone()).await;
    assert_eq!(refusal(response).await, (400, "Evaluation key not found".to_owned()));
    // Bytes that are not a message.
    for cut in [1, good.len() / 2, good.len() - 1] {
        assert_eq!(running.post("/queries", &good[..cut]).await.status(), 400, "{cut}");
    }
    for body in [&[0xff; 100][..], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        assert_eq!(running.post("/queries", body).await.status(), 400);
    }
    // Two bytes for each request in the body, a hundred in memory.
    let many = [0x0a, 0x00].repeat(1 << 20);
    assert_eq!(running.post("/queries", &many).await.status(), 400);
    let long = vec![0; (10 << 20) + 1];
    assert_eq!(running.post("/queries", &long).await.status(), 413);
    // A request without queries is answered without responses.
    let empty: api::Responses = message(running.post("/queries", &[]).await).await;
    assert!(empty.responses.is_empty());
    // The service still answers.
    assert_eq!(ask(&|_| {}).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_stored_whole_or_not_at_all() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let good = case.first("/key").request;
    let queries = case.first("/queries").request;
    let upload = async |change: &dyn Fn(&mut api::shared::EvaluationKeys)| {
        let mut keys = api::shared::EvaluationKeys::decode(&good[..]).unwrap();
        change(&mut keys);
        let response = running.post("/key", &keys.encode_to_vec()).await;
        response.status().as_u16()
    };
    type Change = fn(&mut api::shared::EvaluationKeys);
    fn key(keys: &mut api::shared::EvaluationKeys) -> &mut he::SerializedEvaluationKey {
        keys.keys[0].evaluation_key.as_mut().unwrap()
    }
    let changes: [(&str, Change); 9] = [
        ("no metadata", |k| k.keys[0].metadata = None),
        ("no key", |k| k.keys[0].evaluation_key = None),
        ("for another configuration", |k| {
            k.keys[0].metadata.as_mut().unwrap().identifier[31] ^= 1;
        }),
        ("no relinearization key", |k| key(k).relin_key = None),
        ("no Galois keys", |k| key(k).galois_key = None),
        ("an element is missing", |k| {
            key(k).galois_key.as_mut().unwrap().key_switch_keys.pop_first();
        }),
        ("an element that is not odd", |k| {
            let keys = &mut key(k).galois_key.as_mut().unwrap().key_switch_keys;
            let (_, first) = keys.pop_first().unwrap();
            keys.insert(2, first);
        }),
        ("a ciphertext is missing", |k| {
            let keys = &mut key(k).galois_key.as_mut().unwrap().key_switch_keys;
            keys.values_mut().next().unwrap().key_switch_key.as_mut().unwrap().ciphertexts.pop();
        }),
        ("of two one is bad", |k| {
            let mut second = k.keys[0].clone();
            second.evaluation_key.as_mut().unwrap().relin_key = None;
            k.keys.push(second);
        }),
    ];
    for (what, change) in changes {
        assert_eq!(upload(&change).await, 400, "{what}");
    }
    assert_eq!(running.post("/key", &good[..good.len() - 7]).await.status(), 400);
    // None of them was stored.
    let response = running.post("/queries", &queries).await;
    assert_eq!(refusal(response).await, (400, "Evaluation key not found".to_owned()));
    assert_eq!(upload(&|_| {}).await, 200);
    assert_eq!(running.post("/queries", &queries).await.status(), 200);
    assert_eq!(upload(&|k| k.keys = vec![k.keys[0].clone(); 17]).await, 400);
    assert_eq!(upload(&|k| k.keys.clear()).await, 200);

    // The configuration has the timestamp of the stored key.
    let config: api::ConfigResponse =
        message(running.post("/config", &case.first("/config").request).await).await;
    let uploaded = api::shared::EvaluationKeys::decode(&good[..]).unwrap();
    assert_eq!(config.key_info[0].timestamp, uploaded.keys[0].metadata.as_ref().unwrap().timestamp);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inline_key_overrides_the_stored_one() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let keys = api::shared::EvaluationKeys::decode(&case.first("/key").request[..]).unwrap();
    let mut requests = api::Requests::decode(&case.first("/queries").request[..]).unwrap();
    requests.requests.truncate(2);
    for index in 0..2 {
        pir_request(&mut requests, index).evaluation_key = Some(keys.keys[0].clone());
    }
    let response: api::Responses =
        message(running.post("/queries", &requests.encode_to_vec()).await).await;
    assert_eq!(response.responses.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_checked_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let directory = folder.path().join("reports");
    let settings = crate::support::Settings::new(vec![case.install(folder.path(), "data")])
        .with("reportDirectory", serde_json::json!(directory))
        .with("reports", serde_json::json!({ "entries": 3 }));
    let running = Running::start(folder, settings).await;
    let send = async |media: &str, body: Vec<u8>| {
        let token = running.token().await.to_authorization();
        let headers = [("authorization", token.as_str()), ("content-type", media)];
        running.send(Method::POST, "/report", &headers, body).await.status().as_u16()
    };
    let urls = |count: usize| vec!["example.com/a".to_owned(); count];
    let report =
        |count: usize| pir_api::report::UrlFilterReport { urls: urls(count) }.encode_to_vec();
    let protobuf = "application/octet-stream";
    assert_eq!(send(protobuf, report(2)).await, 200);
    assert_eq!(send("application/json", br#"["example.com/b"]"#.to_vec()).await, 200);
    assert_eq!(send("application/json; charset=utf-8", b"[]".to_vec()).await, 200);
    assert_eq!(send("application/json", b"{}".to_vec()).await, 400);
    assert_eq!(send("application/json", b"[1]".to_vec()).await, 400);
    assert_eq!(send("application/json", b"[\"a".to_vec()).await, 400);
    assert_eq!(send(protobuf, b"\xff\xff".to_vec()).await, 400);
    assert_eq!(send(protobuf, report(4)).await, 400);
    assert_eq!(send("application/json", serde_json::to_vec(&urls(4)).unwrap()).await, 400);
    assert_eq!(send(protobuf, vec![0; 2 << 20]).await, 413);
    // What cannot be a key of a URL.
    for control in ["\0", "\u{1}", "\n", "\u{7f}", "\u{85}"] {
        let urls = vec![format!("example.com/{control}")];
        assert_eq!(send("application/json", serde_json::to_vec(&urls).unwrap()).await, 400);
        let report = pir_api::report::UrlFilterReport { urls };
        assert_eq!(send(protobuf, report.encode_to_vec()).await, 400);
    }
    assert_eq!(running.send(Method::POST, "/report", &[], report(1)).await.status(), 401);
    let text = std::fs::read_to_string(directory.join("reports.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["urls"], serde_json::json!(["example.com/a", "example.com/a"]));
    assert_eq!(lines[1]["urls"], serde_json::json!(["example.com/b"]));
}
