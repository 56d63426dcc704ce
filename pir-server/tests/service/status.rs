//! The page of the admin address: traffic, and what the doctor found.

use crate::support::{Case, NOW, Running, Settings, at};
use serde_json::json;
use std::fs;
use std::time::{Duration, SystemTime};

async fn admin(running: &Running, path: &str) -> String {
    let response = running.http.get(format!("{}{path}", running.admin)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

async fn status(running: &Running) -> serde_json::Value {
    serde_json::from_str(&admin(running, "/status").await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_in_their_minute_and_drawn() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    running.post("/key", &case.first("/key").request).await;
    assert_eq!(running.post("/queries", &case.first("/queries").request).await.status(), 200);
    assert_eq!(running.post("/queries", b"nonsense").await.status(), 400);
    let minutes = status(&running).await["minutes"].as_array().unwrap().clone();
    assert_eq!(minutes.len(), 60);
    let current = &minutes[59];
    assert_eq!((&current["queries"], &current["refused"]), (&json!(1), &json!(1)));
    // One token for each of the three requests.
    assert_eq!((&current["tokens"], &current["failed"]), (&json!(3), &json!(0)));
    assert_eq!(minutes[58]["queries"], json!(0));
    let page = admin(&running, "/").await;
    assert_eq!(page.matches("<svg ").count(), 6);
    assert!(page.contains("queries: now 1, most 1") && !page.contains("Doctor"), "{page}");
    for text in ["<script", "src=", "http://", "https://"] {
        assert!(!page.contains(text), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_findings_of_the_doctor_are_shown() {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let findings = folder.path().join("doctor.json");
    let use_case = case.install(folder.path(), "data");
    let settings = Settings::new(vec![use_case]).with("doctorReport", json!(findings));
    let running = Running::start(folder, settings).await;
    assert!(admin(&running, "/").await.contains("doctor.json"), "the file is missing");
    assert!(status(&running).await["doctor"]["problem"].is_string());

    let finding = json!({
        "check": "directory", "state": "bad", "seen": "<b>404</b>", "cause": "no issuer", "fix": "set <x>",
    });
    let good = json!({ "check": "config", "state": "good", "seen": "one shard" });
    let report = json!({ "ready": false, "findings": [good, finding] });
    fs::write(&findings, report.to_string()).unwrap();
    let page = admin(&running, "/").await;
    assert!(page.contains("Devices cannot use this deployment.") && page.contains("no issuer"));
    assert!(page.contains("&lt;b&gt;404") && !page.contains("<b>404"), "{page}");
    assert!(!page.contains("one shard"), "what is good needs no line");
    assert_eq!(status(&running).await["doctor"]["findings"][1], finding);

    fs::write(&findings, json!({ "ready": true, "findings": [good] }).to_string()).unwrap();
    let day = Duration::from_secs(24 * 3600);
    let second = Duration::from_secs(1);
    for (age, is_old) in [
        (Duration::ZERO, false),
        (2 * day - second, false),
        (2 * day, false),
        (2 * day + second, true),
    ] {
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW) - age;
        fs::File::options().write(true).open(&findings).unwrap().set_modified(written).unwrap();
        let page = admin(&running, "/").await;
        assert_eq!(page.contains("nothing is to be done"), !is_old, "{age:?}");
        assert_eq!(page.contains("run the doctor again"), is_old, "{age:?}");
    }
}

/// A publisher that stops is nothing that a node notices but by the age of what it serves.
#[tokio::test(flavor = "multi_thread")]
async fn data_sets_that_are_old_are_told() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let day = Duration::from_secs(24 * 3600);
    let told = async || {
        let problems = status(&running).await["problems"].clone();
        let page = admin(&running, "/").await;
        let is_told = page.contains("look at the log of what builds and publishes it");
        assert_eq!(is_told, !problems.as_array().unwrap().is_empty(), "{problems}");
        is_told
    };
    let written_at = status(&running).await["useCases"][0]["writtenAt"].as_u64().unwrap();
    for (age, expected) in
        [(day, false), (3 * day, false), (3 * day + Duration::from_secs(1), true)]
    {
        running.clock.set(at(written_at) + age);
        assert_eq!(told().await, expected, "{age:?}");
    }
}
