//! Tokens are issued to users and accepted once.

use crate::support::{Case, NOW, Running, at, refusal};
use futures_util::future::join_all;
use pir_api::{Message, api};
use privacy_pass::{IssuerDirectory, IssuerKey, PendingToken, Token, TokenChallenge};
use reqwest::Method;
use std::sync::atomic::Ordering;
use unix_clock::Timestamp;

async fn small() -> Running {
    Running::of(&Case::new("synthetic_small_logt5")).await
}

fn all_configs() -> Vec<u8> {
    api::ConfigRequest::default().encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_lists_the_keys_of_all_tiers() {
    let running = small().await;
    let path = "/.well-known/private-token-issuer-directory";
    let response = running.send(Method::GET, path, &[], "").await;
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    let directory: IssuerDirectory =
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(directory.issuer_request_uri, "/issue");
    assert_eq!(directory.token_keys.len(), 3);
    let by_name =
        running.send(Method::GET, path, &[("accept", IssuerDirectory::MEDIA_TYPE)], "").await;
    assert_eq!(by_name.headers()["content-type"], IssuerDirectory::MEDIA_TYPE);
    for (user, other, status) in [("AAAA", "BBBB", 200), ("CCCC", "AAAA", 422)] {
        let headers = [("authorization", format!("Bearer {user}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let key = running.send(Method::GET, "/token-key-for-user-token", &headers, "").await;
        let key = privacy_pass::PublicKey::from_spki(&key.bytes().await.unwrap()).unwrap();
        assert!(directory.token_keys.iter().any(|entry| entry.public_key().unwrap() == key));
        // A request for this key by someone of another tier: newer devices take the first key of the
        // directory whatever their tier.
        let is_first = directory.token_keys[0].public_key().unwrap() == key;
        assert_eq!(is_first, user == "AAAA");
        let pending = PendingToken::new(&TokenChallenge::for_issuer("i").unwrap(), &key).unwrap();
        let body = pending.request().to_bytes();
        let other = format!("Bearer {other}");
        let headers = [("authorization", other.as_str())];
        let response = running.send(Method::POST, "/issue", &headers, body.clone()).await;
        assert_eq!(response.status(), status);
    }
    // Unless the configuration says that tiers are kept apart.
    let (folder, settings) = running.stop().await;
    let settings = settings.with("issuer", serde_json::json!({ "strictTiers": true }));
    let running = Running::start(folder, settings).await;
    let first = directory.token_keys[0].public_key().unwrap();
    let pending = PendingToken::new(&TokenChallenge::for_issuer("i").unwrap(), &first).unwrap();
    for (user, status) in [("Bearer AAAA", 200), ("Bearer BBBB", 422)] {
        let body = pending.request().to_bytes();
        let headers = [("authorization", user)];
        let response = running.send(Method::POST, "/issue", &headers, body).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_valid_requests_of_users_get_tokens() {
    let running = small().await;
    for path in ["/token-key-for-user-token", "/issue"] {
        let method = if path == "/issue" { Method::POST } else { Method::GET };
        for header in ["", "Bearer", "Bearer ", "Bearer AAAB", "Basic AAAA", "PrivateToken AAAA"] {
            let headers = [("authorization", header)];
            let response = running.send(method.clone(), path, &headers, "").await;
            let (status, text) = refusal(response).await;
            assert_eq!((status, text.as_str()), (401, "User token is unauthorized"), "{header}");
        }
        // What removes the header is told from an unknown token.
        let (status, text) = refusal(running.send(method, path, &[], "").await).await;
        assert_eq!((status, text.as_str()), (401, "no Authorization header with a user token"));
    }
    let issue = async |body: Vec<u8>| {
        let headers = [("authorization", "Bearer AAAA")];
        running.send(Method::POST, "/issue", &headers, body).await.status().as_u16()
    };
    let request = [&[0, 2, 0][..], &[0xff; 256]].concat();
    assert_eq!(issue(Vec::new()).await, 422);
    assert_eq!(issue(request[..258].to_vec()).await, 422);
    assert_eq!(issue([&request[..], &[0]].concat()).await, 422);
    assert_eq!(issue([&[0, 1][..], &request[2..]].concat()).await, 422);
    assert_eq!(issue(request).await, 422);
    assert_eq!(issue(vec![0; 5000]).await, 413);
    let metrics = running.metrics().await;
    assert!(metrics.contains(r#"pir_tokens_refused_total{reason="user_token"} 14"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_accepted_once() {
    let running = small().await;
    let token = running.token().await;
    let post = async |token: &Token| {
        let response = running.post_with(token, "/config", &all_configs()).await;
        response.status().as_u16()
    };
    assert_eq!(post(&token).await, 200);
    assert_eq!(post(&token).await, 401);
    // Twenty requests at once.
    let token = running.token_of("BBBB").await;
    let statuses = join_all((0..20).map(|_| post(&token))).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 19);
    // After a restart.
    let (folder, settings) = running.stop().await;
    let running = Running::start(folder, settings).await;
    let response = running.post_with(&token, "/config", &all_configs()).await;
    let (status, text) = refusal(response).await;
    assert_eq!((status, text.as_str()), (401, "the token was spent before"));
    // Unspent tokens are accepted after a restart.
    let token = running.token().await;
    let (folder, settings) = running.stop().await;
    let running = Running::start(folder, settings).await;
    let response = running.post_with(&token, "/config", &all_configs()).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_and_altered_tokens_are_refused() {
    let running = small().await;
    let good = running.token().await;
    let foreign = {
        let key = IssuerKey::generate().unwrap();
        let challenge = TokenChallenge::for_issuer("127.0.0.1").unwrap();
        let pending = PendingToken::new(&challenge, key.public()).unwrap();
        let signed = key.issue(&pending.request()).unwrap();
        pending.finalize(&signed).unwrap()
    };
    let altered = |at: usize| {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at] ^= 1;
        Token::from_bytes(&bytes).unwrap()
    };
    for token in [foreign, altered(2), altered(40), altered(70), altered(353)] {
        let response = running.post_with(&token, "/config", &all_configs()).await;
        assert_eq!(refusal(response).await.0, 401);
    }
    for header in ["PrivateToken", "PrivateToken token=", "PrivateToken token=AAA", "Bearer AAAA"] {
        let headers = [("authorization", header), ("user-identifier", "x"), ("user-agent", "x")];
        let response = running.send(Method::POST, "/config", &headers, all_configs()).await;
        assert_eq!(response.status(), 401, "{header}");
    }
    // None of this spent the good token.
    assert_eq!(running.post_with(&good, "/config", &all_configs()).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_with_an_overlap() {
    const DAY: u64 = 86_400;
    let running = small().await;
    let directory = async || -> IssuerDirectory {
        let path = "/.well-known/private-token-issuer-directory";
        let response = running.send(Method::GET, path, &[], "").await;
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    };
    let status = async |token: &Token| {
        running.post_with(token, "/config", &all_configs()).await.status().as_u16()
    };
    let spent = running.token().await;
    assert_eq!(status(&spent).await, 200);
    let (early, late) = (running.token().await, running.token().await);
    let week_old = running.token().await;
    // The next keys are published two days ahead.
    running.clock.set(at(NOW + 28 * DAY));
    running.service.maintain().await.unwrap();
    let published = directory().await;
    assert_eq!(published.token_keys.len(), 6);
    let times: Vec<_> = published.token_keys.iter().map(|key| key.not_before).collect();
    let next = Some(Timestamp::from_unix_seconds(NOW + 30 * DAY));
    assert_eq!(times, [None, None, None, next, next, next]);
    let before = published.key_at(Timestamp::from_unix_seconds(NOW + 29 * DAY)).unwrap();
    let after = published.token_keys[3].public_key().unwrap();
    assert_ne!(before, after);
    // Then they sign, and tokens of the earlier keys are accepted for eight more days.
    running.clock.set(at(NOW + 31 * DAY));
    running.service.maintain().await.unwrap();
    assert_eq!(directory().await.token_keys.len(), 3);
    assert_eq!(status(&early).await, 200);
    assert_eq!(status(&spent).await, 401);
    let new = running.token().await;
    assert_ne!(new.key_id(), early.key_id());
    assert_eq!(status(&new).await, 200);
    running.clock.set(at(NOW + 38 * DAY - 1));
    running.service.maintain().await.unwrap();
    assert_eq!(status(&week_old).await, 200);
    running.clock.set(at(NOW + 38 * DAY));
    running.service.maintain().await.unwrap();
    let response = running.post_with(&late, "/config", &all_configs()).await;
    let (code, text) = refusal(response).await;
    assert_eq!(
        (code, text.as_str()),
        (401, "the token's key is not known, or not accepted any more")
    );
    // Nonces of the earlier keys are forgotten, those of the new keys are not.
    assert!(running.metrics().await.contains("pir_stored_nonces 1\n"));
    assert_eq!(status(&new).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_user_tokens_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let file = folder.path().join("users.json");
    std::fs::write(&file, r#"[{"tier": "tier3", "tokens": ["FROM-FILE"]}]"#).unwrap();
    let settings = crate::support::Settings::new(vec![case.install(folder.path(), "data")])
        .with("userTokens", serde_json::json!({ "file": file }));
    let running = Running::start(folder, settings).await;
    let status = async |user: &str| {
        let bearer = format!("Bearer {user}");
        let headers = [("authorization", bearer.as_str())];
        let response = running.send(Method::GET, "/token-key-for-user-token", &headers, "").await;
        response.status().as_u16()
    };
    assert_eq!((status("AAAA").await, status("FROM-FILE").await), (200, 200));
    assert!(!running.service.refresh_users().await.unwrap());
    let next = running.folder.path().join("users.next");
    std::fs::write(&next, r#"[{"tier": "tier3", "tokens": ["ANOTHER"]}]"#).unwrap();
    std::fs::rename(&next, &file).unwrap();
    assert!(running.service.refresh_users().await.unwrap());
    assert_eq!((status("AAAA").await, status("FROM-FILE").await), (200, 401));
    assert_eq!(status("ANOTHER").await, 200);
    // A broken file changes nothing, and its error has no tokens in it.
    std::fs::write(&next, r#"[{"tier": "tier9", "tokens": ["SECRET"]}]"#).unwrap();
    std::fs::rename(&next, &file).unwrap();
    let error = running.service.refresh_users().await.unwrap_err().to_string();
    assert!(error.contains("users.json") && !error.contains("SECRET"), "{error}");
    assert_eq!(status("ANOTHER").await, 200);
    // The page says so until the file can be read.
    let problems = async || {
        running.service.refresh_files().await;
        let status = running.http.get(format!("{}/status", running.admin)).send().await.unwrap();
        let status = status.text().await.unwrap();
        serde_json::from_str::<serde_json::Value>(&status).unwrap()["problems"].clone()
    };
    let problem = problems().await[0].as_str().unwrap().to_owned();
    assert!(problem.contains("user tokens: cannot be read again"), "{problem}");
    assert!(problem.contains("users.json") && !problem.contains("SECRET"), "{problem}");
    std::fs::write(&next, r#"[{"tier": "tier3", "tokens": ["ANOTHER"]}]"#).unwrap();
    std::fs::rename(&next, &file).unwrap();
    assert_eq!(problems().await, serde_json::json!([]));
}

/// The operator's address is asked about user tokens, and its answers are cached.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_an_address_are_cached() {
    use axum::Json;
    use axum::http::StatusCode;
    use axum::routing::post;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let answer = move |Json(question): Json<Value>| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move {
            match question["token"].as_str() {
                Some("good") => (StatusCode::OK, Json(json!({ "tier": "tier2" }))),
                Some("odd") => (StatusCode::OK, Json(json!({ "tier": "gold" }))),
                Some("broken") => (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({}))),
                _ => (StatusCode::NOT_FOUND, Json(json!({}))),
            }
        }
    };
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/users", socket.local_addr().unwrap());
    let router = axum::Router::new().route("/users", post(answer));
    let hook = tokio::spawn(async move { axum::serve(socket, router).await });

    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = crate::support::Settings::new(vec![case.install(folder.path(), "data")])
        .with("userTokens", json!({ "url": url }));
    let running = Running::start(folder, settings).await;
    let status = async |user: &str| {
        let bearer = format!("Bearer {user}");
        let headers = [("authorization", bearer.as_str())];
        let response = running.send(Method::GET, "/token-key-for-user-token", &headers, "").await;
        response.status().as_u16()
    };
    for _ in 0..3 {
        assert_eq!((status("good").await, status("bad").await), (200, 401));
        // The configuration has this token.
        assert_eq!(status("AAAA").await, 200);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    // Failures are not refusals, and are not cached.
    assert_eq!((status("odd").await, status("broken").await), (503, 503));
    hook.abort();
    let _ = hook.await;
    assert_eq!((status("good").await, status("new").await), (200, 503));
}
