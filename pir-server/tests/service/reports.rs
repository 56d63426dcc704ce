//! Reports: where they are taken, how they are counted, and where the counts go.

use crate::support::{Case, NOW, Running, Settings, at};
use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const DAY: u64 = 86_400;
/// The day on which services of tests start.
const FIRST: &str = "2026-11-18";
const SECOND: &str = "2026-11-19";

async fn start(reports: Value) -> Running {
    let folder = tempfile::tempdir().unwrap();
    start_in(folder, reports).await
}

async fn start_in(folder: TempDir, reports: Value) -> Running {
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("reportDirectory", json!(folder.path().join("reports")))
        .with("reports", reports);
    Running::start(folder, settings).await
}

async fn report(running: &Running, path: &str, keys: &[&str]) -> u16 {
    let token = running.token().await.to_authorization();
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let body = serde_json::to_vec(keys).unwrap();
    running.send(Method::POST, path, &headers, body).await.status().as_u16()
}

async fn counts(running: &Running, query: &str) -> (u16, String) {
    let url = format!("{}/reports.csv{query}", running.admin);
    let response = running.http.get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_taken_where_the_configuration_says() {
    for (reports, taken, other) in [
        (json!({}), "/report", "/reports"),
        (json!({ "path": "reports" }), "/reports", "/report"),
        (json!({ "path": "/v1/seen" }), "/v1/seen", "/report"),
    ] {
        let running = start(reports).await;
        assert_eq!(report(&running, taken, &["a.example"]).await, 200);
        assert_eq!(report(&running, other, &["a.example"]).await, 404);
        let metrics = running.metrics().await;
        assert!(
            metrics.contains("pir_requests_total{endpoint=\"report\",status=\"200\"} 1\n"),
            "{metrics}"
        );
        // Another path needs a restart, which is said.
        let settings = running.settings.clone().with("reports", json!({ "path": "/elsewhere" }));
        running.write_configuration(&settings);
        assert_eq!(running.service.reload().await.unwrap().after_restart, ["reports.path"]);
        assert_eq!(report(&running, taken, &["a.example"]).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_address_has_counts_by_day_and_key() {
    let running = start(json!({ "minCount": 2 })).await;
    report(&running, "/report", &["a.example", "b.example/x"]).await;
    report(&running, "/report", &["a.example"]).await;
    running.clock.advance(Duration::from_secs(DAY));
    // A device that met a key often is one device.
    report(&running, "/report", &["a.example", "a.example", "b.example", "b.example"]).await;
    report(&running, "/report", &["a.example"]).await;
    let all = format!(
        "day,key,count\n{FIRST},a.example,2\n{FIRST},,1\n{SECOND},a.example,2\n{SECOND},,1\n"
    );
    assert_eq!(counts(&running, "").await, (200, all));
    let second = format!("day,key,count\n{SECOND},a.example,2\n{SECOND},,1\n");
    assert_eq!(counts(&running, &format!("?from={SECOND}")).await, (200, second));
    assert_eq!(counts(&running, "?to=2026-11-17").await, (200, "day,key,count\n".to_owned()));
    for query in ["?from=yesterday", "?to=", "?key=a.example"] {
        assert_eq!(counts(&running, query).await.0, 400, "{query}");
    }
    // Devices cannot read them.
    assert_eq!(running.send(Method::GET, "/reports.csv", &[], "").await.status(), 404);
    // Nothing about a device leaves the service.
    let text = counts(&running, "").await.1;
    assert!(!text.contains("iOS") && !text.contains(&NOW.to_string()), "{text}");

    let without = Running::of(&Case::new("synthetic_small_logt5")).await;
    assert_eq!(counts(&without, "").await.0, 404);
}

/// An address that counts are sent to.
struct Receiver {
    url: String,
    received: Arc<Mutex<Vec<Value>>>,
    is_away: Arc<AtomicBool>,
}

impl Receiver {
    async fn start() -> Self {
        let (received, is_away) =
            (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (messages, away) = (Arc::clone(&received), Arc::clone(&is_away));
        let take = move |body: Bytes| async move {
            if away.load(Ordering::Relaxed) {
                return StatusCode::BAD_GATEWAY;
            }
            messages.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            StatusCode::NO_CONTENT
        };
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/counts", socket.local_addr().unwrap());
        let router = Router::new().route("/counts", post(take));
        tokio::spawn(async move { axum::serve(socket, router).await });
        Self { url, received, is_away }
    }

    fn days(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().map(|message| message["day"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_finished_days_are_sent_once() {
    let receiver = Receiver::start().await;
    let reports = json!({ "webhook": receiver.url, "minCount": 2 });
    let running = start(reports.clone()).await;
    let to_midnight = DAY - NOW % DAY;
    report(&running, "/report", &["a.example", "b.example"]).await;
    report(&running, "/report", &["a.example"]).await;
    // A day is finished five minutes after its end.
    assert_eq!(running.service.send_reports().await.unwrap(), 0);
    running.clock.advance(Duration::from_secs(to_midnight + 299));
    assert_eq!(running.service.send_reports().await.unwrap(), 0);
    running.clock.advance(Duration::from_secs(1));
    receiver.is_away.store(true, Ordering::Relaxed);
    running.service.send_reports().await.unwrap_err();
    assert!(
        running.metrics().await.contains("pir_report_counts_sent_total{outcome=\"failed\"} 1\n")
    );
    receiver.is_away.store(false, Ordering::Relaxed);
    assert_eq!(running.service.send_reports().await.unwrap(), 1);
    assert_eq!(running.service.send_reports().await.unwrap(), 0);
    let first = receiver.received.lock().unwrap()[0].clone();
    let source = first["source"].as_str().unwrap().to_owned();
    assert_eq!(source.len(), 32);
    let expected = json!({
        "source": source, "day": FIRST, "keys": [{ "key": "a.example", "count": 2 }], "others": 1,
    });
    assert_eq!(first, expected);
    // A day without reports is not sent, and one after a restart is.
    running.clock.advance(Duration::from_secs(2 * DAY));
    assert_eq!(running.service.send_reports().await.unwrap(), 0);
    report(&running, "/report", &["c.example"]).await;
    let clock = Arc::clone(&running.clock);
    let (folder, settings) = running.stop().await;
    clock.advance(Duration::from_secs(DAY));
    let running = Running::start_at(folder, settings, clock).await;
    assert_eq!(running.service.send_reports().await.unwrap(), 1);
    assert_eq!(receiver.days(), [FIRST, "2026-11-21"]);
    assert_eq!(receiver.received.lock().unwrap()[1]["source"], json!(source));
    // A record that is damaged is not taken for a new one.
    let state = running.folder.path().join("reports/webhook.json");
    fs::write(&state, "{").unwrap();
    let error = running.service.send_reports().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("webhook.json"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_kept_for_their_days() {
    let running = start(json!({ "days": 2, "fileHours": 24 })).await;
    report(&running, "/report", &["a.example"]).await;
    for (days, is_kept) in [(0, true), (1, true), (1, true), (1, false)] {
        running.clock.advance(Duration::from_secs(days * DAY));
        running.service.maintain().await.unwrap();
        let text = counts(&running, "").await.1;
        assert_eq!(text.contains("a.example"), is_kept, "{text}");
    }
}

/// The clock was ahead for a round, and was corrected. A restart changes nothing about it.
#[tokio::test(flavor = "multi_thread")]
async fn counts_are_sent_after_the_clock_was_ahead() {
    let receiver = Receiver::start().await;
    let running = start(json!({ "webhook": receiver.url })).await;
    report(&running, "/report", &["a.example"]).await;
    running.clock.set(at(NOW + 400 * DAY));
    assert_eq!(running.service.send_reports().await.unwrap(), 1);
    running.clock.set(at(NOW));
    assert_eq!(running.service.send_reports().await.unwrap(), 0);
    report(&running, "/report", &["a.example"]).await;
    let clock = Arc::clone(&running.clock);
    let (folder, settings) = running.stop().await;
    let running = Running::start_at(folder, settings, clock).await;
    running.clock.advance(Duration::from_secs(DAY));
    assert_eq!(running.service.send_reports().await.unwrap(), 1);
    assert_eq!(running.service.send_reports().await.unwrap(), 0);
    // The later message of a day replaces the earlier one.
    assert_eq!(receiver.days(), [FIRST, FIRST]);
    let count = |number: usize| {
        let received = receiver.received.lock().unwrap();
        received[number]["keys"][0]["count"].clone()
    };
    assert_eq!((count(0), count(1)), (json!(1), json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_behind_sends_nothing_again() {
    let receiver = Receiver::start().await;
    let running = start(json!({ "webhook": receiver.url })).await;
    report(&running, "/report", &["a.example"]).await;
    for (time, sent) in [(NOW + DAY, 1), (NOW - 400 * DAY, 0), (NOW + DAY, 0)] {
        running.clock.set(at(time));
        assert_eq!(running.service.send_reports().await.unwrap(), sent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_kept_for_their_days_after_the_clock_was_ahead() {
    let running = start(json!({ "days": 2, "fileHours": 24 })).await;
    running.clock.set(at(NOW + 400 * DAY));
    running.service.maintain().await.unwrap();
    running.clock.set(at(NOW));
    running.service.maintain().await.unwrap();
    report(&running, "/report", &["a.example"]).await;
    for (days, is_kept) in [(0, true), (1, true), (2, true), (3, false)] {
        running.clock.set(at(NOW + days * DAY));
        running.service.maintain().await.unwrap();
        let text = counts(&running, "").await.1;
        assert_eq!(text.contains("a.example"), is_kept, "{days}: {text}");
    }
}

/// Reports are lost when there are too many files, which is told.
#[tokio::test(flavor = "multi_thread")]
async fn reports_that_are_removed_early_are_counted() {
    let running = start(json!({ "fileBytes": 1, "files": 2 })).await;
    let lost = |metrics: &str| {
        let mut lines = metrics.lines();
        let value = lines.find_map(|l| l.strip_prefix("pir_report_files_removed_early_total "));
        value.unwrap().parse::<u64>().unwrap()
    };
    for (reports, expected) in [(3, 0), (1, 1), (2, 3)] {
        for _ in 0..reports {
            assert_eq!(report(&running, "/report", &["a.example"]).await, 200);
        }
        assert_eq!(lost(&running.metrics().await), expected);
    }
}
