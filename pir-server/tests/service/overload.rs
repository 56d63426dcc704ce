//! More work than fits into the queue.

use crate::support::{Case, Running, Settings, pir_request};
use futures_util::future::join_all;
use pir_api::{Message, api};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_spends_no_token() {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("limits", json!({ "queue": 4, "batch": 4 }))
        .with("workers", json!(1));
    let running = Running::start(folder, settings).await;
    assert_eq!(running.post("/key", &case.first("/key").request).await.status(), 200);
    let queries = case.first("/queries").request;
    let mut tokens = Vec::new();
    for _ in 0..24 {
        tokens.push(running.token().await);
    }
    let responses =
        join_all(tokens.iter().map(|token| running.post_with(token, "/queries", &queries))).await;
    let statuses: Vec<u16> = responses.iter().map(|response| response.status().as_u16()).collect();
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    for response in responses.iter().filter(|response| response.status() == 503) {
        assert_eq!(response.headers()["retry-after"], "1");
    }
    // Refused requests are repeated with the same token, one by one.
    for (token, status) in tokens.iter().zip(statuses) {
        let again = running.post_with(token, "/queries", &queries).await.status().as_u16();
        assert_eq!(again, if status == 200 { 401 } else { 200 });
    }
    let metrics = running.metrics().await;
    assert!(metrics.contains("pir_busy_total{endpoint=\"queries\"}"), "{metrics}");
}

/// Work on a request stops when its client disconnects.
#[tokio::test(flavor = "multi_thread")]
async fn work_stops_when_the_client_disconnects() {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("limits", json!({ "queue": 2000, "batch": 1000, "bodyBytes": 64 << 20 }))
        .with("workers", json!(1));
    let running = Running::start(folder, settings).await;
    assert_eq!(running.post("/key", &case.first("/key").request).await.status(), 200);
    let mut requests = api::Requests::decode(&case.first("/queries").request[..]).unwrap();
    requests.requests = vec![requests.requests[0].clone(); 1000];
    pir_request(&mut requests, 0);
    let body = requests.encode_to_vec();
    let token = running.token().await;
    let value = |metrics: &str, name: &str| -> u64 {
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    {
        let asking = running.post_with(&token, "/queries", &body);
        tokio::pin!(asking);
        let started = async {
            while value(&running.metrics().await, "pir_queue_depth ") == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut asking => panic!("a thousand queries were answered before one started"),
            () = started => {}
        }
        // The request is dropped here, and its connection with it.
    }
    let mut metrics = running.metrics().await;
    while value(&metrics, "pir_queue_depth ") > 0 {
        tokio::task::yield_now().await;
        metrics = running.metrics().await;
    }
    let queries = value(&metrics, "pir_queries_total");
    assert_eq!(queries, 0, "the client has disconnected");
    // The thread is free again.
    let token = running.token().await;
    let one = case.first("/queries").request;
    assert_eq!(running.post_with(&token, "/queries", &one).await.status(), 200);
}
