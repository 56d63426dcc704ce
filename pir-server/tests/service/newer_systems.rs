//! Requests of devices with iOS and macOS 27 and later.

use crate::process::run;
use crate::support::{Case, Running, Settings, USER, message, pir_request, refusal};
use pir_api::{Message, api, convert};
use reqwest::Method;
use std::fs;

const NEW: &str = "com.apple.ciphermld/1.0 iOS/27.2 ...";
const OLD: &str = "com.apple.ciphermld/1.0 iOS/26.4 ...";

async fn post(
    running: &Running,
    agent: &str,
    user: Option<&str>,
    path: &str,
    body: &[u8],
) -> reqwest::Response {
    let token = running.token().await.to_authorization();
    let mut headers = vec![("authorization", token.as_str()), ("user-agent", agent)];
    headers.extend(user.map(|user| ("user-identifier", user)));
    running.send(Method::POST, path, &headers, body.to_vec()).await
}

async fn error(response: reqwest::Response) -> (u16, api::error::ErrorType) {
    let status = response.status().as_u16();
    let message = api::Error::decode(response.bytes().await.unwrap()).unwrap();
    (status, message.error_type.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_messages_for_newer_systems() {
    use api::error::ErrorType;
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let queries = case.first("/queries").request;
    let (status, kind) = error(post(&running, NEW, Some(USER), "/queries", &queries).await).await;
    assert_eq!(status, 400);
    assert!(matches!(kind, ErrorType::EvaluationKeyNotFound(_)));
    let response = post(&running, OLD, Some(USER), "/queries", &queries).await;
    assert_eq!(refusal(response).await, (400, "Evaluation key not found".to_owned()));

    post(&running, NEW, Some(USER), "/key", &case.first("/key").request).await;
    let mut stale = api::Requests::decode(&queries[..]).unwrap();
    pir_request(&mut stale, 0).configuration_hash[0] ^= 1;
    let stale = stale.encode_to_vec();
    let (status, kind) = error(post(&running, NEW, Some(USER), "/queries", &stale).await).await;
    assert_eq!(status, 410);
    let ErrorType::ConfigVersionNotFound(gone) = kind else { panic!() };
    // The refusal has the configuration that the device would fetch next.
    let config = post(&running, NEW, Some(USER), "/config", &case.first("/config").request).await;
    assert_eq!(gone.config_response, Some(message(config).await));
    assert_eq!(post(&running, OLD, Some(USER), "/queries", &stale).await.status(), 410);

    let (status, kind) = error(post(&running, NEW, Some(USER), "/queries", b"x").await).await;
    assert_eq!(status, 400);
    assert!(matches!(kind, ErrorType::InvalidRequest(_)));
    // Other refusals are not messages.
    let headers = [("user-agent", NEW), ("user-identifier", USER)];
    let response = running.send(Method::POST, "/queries", &headers, queries).await;
    assert_eq!(refusal(response).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_are_public() {
    let case = Case::new("synthetic_ios26_fixed4_logt5");
    let running = Running::of(&case).await;
    let get = running.send(Method::GET, "/config", &[], "").await;
    assert_eq!(get.headers()["cache-control"], "public, max-age=300");
    let tag = get.headers()["etag"].to_str().unwrap().to_owned();
    let public: api::ConfigResponse = message(get).await;
    let request = api::ConfigRequest::default().encode_to_vec();
    let all = post(&running, NEW, Some(USER), "/config", &request);
    assert_eq!(public, message(all.await).await);
    assert_eq!(public.key_info[0].timestamp, 0);
    let again = running.send(Method::GET, "/config", &[("if-none-match", &tag)], "").await;
    assert_eq!(again.status(), 304);
    // The same for everyone, also for users with a stored key.
    post(&running, NEW, Some(USER), "/key", &case.first("/key").request).await;
    let headers = [("user-identifier", USER), ("user-agent", OLD)];
    let theirs = running.send(Method::GET, "/config", &headers, "").await;
    assert_eq!(public, message(theirs).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_with_their_key_need_no_pseudonym() {
    let case = Case::new("synthetic_shards3_logt4");
    let running = Running::of(&case).await;
    let keys = api::shared::EvaluationKeys::decode(&case.first("/key").request[..]).unwrap();
    let mut requests = api::Requests::decode(&case.first("/queries").request[..]).unwrap();
    let count = requests.requests.len();
    for index in 0..count {
        pir_request(&mut requests, index).evaluation_key = Some(keys.keys[0].clone());
    }
    let response = post(&running, NEW, None, "/queries", &requests.encode_to_vec()).await;
    let response: api::Responses = message(response).await;
    assert_eq!(response.responses.len(), count);
    assert!(running.metrics().await.contains("pir_stored_keys 0\n"));
    // A query without its key needs one.
    pir_request(&mut requests, 1).evaluation_key = None;
    let response = post(&running, OLD, None, "/queries", &requests.encode_to_vec()).await;
    assert_eq!(refusal(response).await.0, 400);
}

/// From 27.3 on the number of shards must be a power of two.
#[tokio::test(flavor = "multi_thread")]
async fn shard_counts_that_are_not_powers_of_two_are_warned_of() {
    for (name, odd) in [("synthetic_shards3_logt4", true), ("synthetic_ios26_fixed4_logt5", false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(vec![Case::new(name).install(folder.path(), "data")]);
        let path = folder.path().join("service-config.json");
        fs::write(&path, settings.text(folder.path())).unwrap();
        let (code, _, output) = run(&["--config", path.to_str().unwrap(), "--check-config"]);
        assert_eq!((code, output.contains("27.3")), (0, odd), "{output}");
        let running = Running::start(folder, settings).await;
        let reload = running.http.post(format!("{}/reload", running.admin)).send().await.unwrap();
        let reload: serde_json::Value =
            serde_json::from_slice(&reload.bytes().await.unwrap()).unwrap();
        assert_eq!(reload["warnings"].as_array().unwrap().len(), usize::from(odd));
    }
    // The id of the public configuration is its hash.
    let case = Case::new("synthetic_ios26_fixed4_logt5");
    let running = Running::of(&case).await;
    let get = running.send(Method::GET, "/config", &[], "").await;
    let public: api::ConfigResponse = message(get).await;
    let config = public.configs.into_values().next().unwrap();
    let Some(api::config::Config::PirConfig(message)) = config.config else { panic!() };
    assert_eq!(convert::config_id(&message)[..], config.config_id);
}
