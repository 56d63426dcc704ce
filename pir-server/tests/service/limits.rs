//! Limits of requests, at one below, at, and one above.

use crate::support::{AGENT, Case, Running, Settings, USER, refusal};
use pir_api::{Message, api};
use reqwest::Method;
use serde_json::json;

async fn running(limits: serde_json::Value) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")]).with("limits", limits);
    Running::start(folder, settings).await
}

/// The status of a refusal, and its message.
async fn refused(running: &Running, path: &str, body: &[u8]) -> (u16, String) {
    refusal(running.post(path, body).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_of_bodies() {
    let running = running(json!({ "bodyBytes": 2 << 20 })).await;
    // Bodies within the limit are read, and refused because they are not messages.
    for (path, max, malformed) in [
        ("/config", 512 << 10, 400),
        ("/key", 2 << 20, 400),
        ("/queries", 2 << 20, 400),
        ("/report", 128 << 10, 400),
    ] {
        for (length, expected) in [(max - 1, malformed), (max, malformed), (max + 1, 413)] {
            let (status, text) = refused(&running, path, &vec![0xff; length]).await;
            assert_eq!(status, expected, "{path} {length}: {text}");
        }
    }
    for (length, expected) in [(4095, 422), (4096, 422), (4097, 413)] {
        let headers = [("authorization", "Bearer AAAA")];
        let body = vec![0xff; length];
        let response = running.send(Method::POST, "/issue", &headers, body).await;
        assert_eq!(response.status(), expected, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_of_pseudonyms() {
    let running = running(json!({})).await;
    let body = api::ConfigRequest::default().encode_to_vec();
    for (length, expected) in [(0, 400), (1, 200), (255, 200), (256, 200), (257, 400)] {
        let user = "u".repeat(length);
        let token = running.token().await.to_authorization();
        let headers =
            [("authorization", token.as_str()), ("user-identifier", &user), ("user-agent", AGENT)];
        let response = running.send(Method::POST, "/config", &headers, body.clone()).await;
        assert_eq!(response.status(), expected, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_parts() {
    let case = Case::new("synthetic_small_logt5");
    let running = running(json!({ "batch": 3 })).await;
    // Names of use cases.
    for (count, status) in [(1999, 404), (2000, 404), (2001, 400)] {
        let usecases = (0..count).map(|number| format!("other {number}")).collect();
        let body = api::ConfigRequest { usecases, existing_config_ids: Vec::new() };
        assert_eq!(refused(&running, "/config", &body.encode_to_vec()).await.0, status, "{count}");
    }
    // Each has one configuration, whose length a request cannot multiply.
    for (count, status) in [(1, 200), (2, 400)] {
        let usecases = vec![case.use_case(); count];
        let body = api::ConfigRequest { usecases, existing_config_ids: Vec::new() }.encode_to_vec();
        assert_eq!(running.post("/config", &body).await.status(), status, "{count}");
    }
    // Evaluation keys.
    let key = api::shared::EvaluationKeys::decode(&case.first("/key").request[..]).unwrap();
    for (count, status) in [(15, 200), (16, 200), (17, 400)] {
        let keys = vec![key.keys[0].clone(); count];
        let body = api::shared::EvaluationKeys { keys }.encode_to_vec();
        assert_eq!(running.post("/key", &body).await.status(), status, "{count}");
    }
    // Queries.
    let queries = api::Requests::decode(&case.first("/queries").request[..]).unwrap();
    for (count, status) in [(2, 200), (3, 200), (4, 400)] {
        let requests = vec![queries.requests[0].clone(); count];
        let body = api::Requests { requests }.encode_to_vec();
        assert_eq!(running.post("/queries", &body).await.status(), status, "{count}");
    }
    // Fields, counted before anything is allocated for them: up to the limit, another reason is found.
    for (path, max, other) in [
        ("/key", 16 * 4096, "more than 16 in one request"),
        ("/queries", 3 * 512 + 4096, "more than 3 in one request"),
    ] {
        let fields = format!("a message of more than {max} fields");
        for (count, expected) in [(max - 1, other), (max, other), (max + 1, fields.as_str())] {
            let (status, text) = refused(&running, path, &[0x0a, 0].repeat(count)).await;
            assert_eq!((status, text.as_str()), (400, expected), "{path} {count}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_of_reported_urls() {
    let running = running(json!({})).await;
    for (length, status) in [(8191, 200), (8192, 200), (8193, 400)] {
        let urls = vec!["a.example".to_owned(), "a".repeat(length)];
        let json = serde_json::to_vec(&urls).unwrap();
        let body = pir_api::report::UrlFilterReport { urls }.encode_to_vec();
        assert_eq!(running.post("/report", &body).await.status(), status, "{length}");
        let token = running.token().await.to_authorization();
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let response = running.send(Method::POST, "/report", &headers, json).await;
        assert_eq!(response.status(), status, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_reported_urls() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("reportDirectory", json!(folder.path().join("reports")))
        .with("reports", json!({ "entries": 3 }));
    let running = Running::start(folder, settings).await;
    for (count, status) in [(2, 200), (3, 200), (4, 400)] {
        let urls = vec!["a.example".to_owned(); count];
        let body = pir_api::report::UrlFilterReport { urls: urls.clone() }.encode_to_vec();
        assert_eq!(running.post("/report", &body).await.status(), status, "{count}");
        let token = running.token().await.to_authorization();
        let headers = [
            ("authorization", token.as_str()),
            ("user-identifier", USER),
            ("content-type", "application/json"),
        ];
        let body = serde_json::to_vec(&urls).unwrap();
        let response = running.send(Method::POST, "/report", &headers, body).await;
        assert_eq!(response.status(), status, "{count}");
    }
}
