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

/// Where no user token is known, neither here nor elsewhere, and something is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_admits_nobody_says_so() {
    const SENTENCE: &str = "there is no user token, ";
    let case = Case::new("synthetic_small_logt5");
    let empty = json!([]);
    let address = json!({ "url": "http://127.0.0.1:9/users" });
    let elsewhere = json!("https://issuer.example/issue");
    for (users, key, value, is_told) in [
        (&empty, "userTokens", json!({}), true),
        (&json!([{ "tokens": [] }]), "userTokens", json!({}), true),
        (&json!([{ "tokens": ["AAAA"] }]), "userTokens", json!({}), false),
        (&empty, "userTokens", address, false),
        (&empty, "issuerRequestUri", elsewhere, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(vec![case.install(folder.path(), "data")])
            .with("users", users.clone())
            .with(key, value);
        let running = Running::start(folder, settings).await;
        let (page, status) = (admin(&running, "/").await, status(&running).await);
        for list in ["problems", "warnings"] {
            let mut sentences = status[list].as_array().unwrap().iter();
            let found = sentences.any(|one| one.as_str().unwrap().starts_with(SENTENCE));
            assert_eq!(found, is_told, "{users} {key} {list}");
        }
        assert_eq!(page.matches(SENTENCE).count(), usize::from(is_told), "{users} {key}");
    }
    // A gateway for other servers serves nothing itself.
    let gateway = json!({ "origins": { "pir.example.com": "http://127.0.0.1:9" } });
    let settings = Settings::new(Vec::new()).with("users", empty).with("gateway", gateway);
    let running = Running::start(tempfile::tempdir().unwrap(), settings).await;
    assert_eq!(status(&running).await["problems"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_user_tokens_that_is_emptied_is_told() {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.json");
    fs::write(&file, "[]").unwrap();
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("users", json!([]))
        .with("userTokens", json!({ "file": file }));
    let running = Running::start(folder, settings).await;
    let is_told = async || !status(&running).await["problems"].as_array().unwrap().is_empty();
    assert!(is_told().await);
    for (content, expected) in [(r#"[{"tokens": ["AAAA"]}]"#, false), (r#"[{"tokens": []}]"#, true)]
    {
        let next = file.with_extension("next");
        fs::write(&next, content).unwrap();
        fs::rename(&next, &file).unwrap();
        running.service.refresh_files().await;
        assert_eq!(is_told().await, expected, "{content}");
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
