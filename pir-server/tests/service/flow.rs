//! Lookups with the project's own client.

use crate::balanced::client_of;
use crate::support::{Case, NOW, Running, Settings, at};
use filter_client::{ClientOptions, ClientState, PirClient, RetryPolicy};
use futures_util::future::join_all;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

fn keywords(expected: &[(String, Option<String>)]) -> Vec<&[u8]> {
    expected.iter().map(|(keyword, _)| keyword.as_bytes()).collect()
}

fn values(expected: &[(String, Option<String>)]) -> Vec<Option<Vec<u8>>> {
    expected.iter().map(|(_, value)| value.clone().map(String::into_bytes)).collect()
}

/// Options without waiting, retries and background work, so that failures are seen.
fn without_retries() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.wallet.refill_count = 0;
    options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
    options.retry = RetryPolicy::never();
    options.outage_backoff = Duration::ZERO;
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_find_present_keywords_and_no_others() {
    look_up_recorded_keywords(Case::all()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ../shared/vectors"]
async fn clients_find_present_keywords_of_more_cases() {
    look_up_recorded_keywords(Case::all_shared()).await;
}

async fn look_up_recorded_keywords(cases: Vec<Case>) {
    for case in cases {
        let running = Running::of(&case).await;
        let expected = case.expected();
        let client = running.client();
        let found = client.lookup(&keywords(&expected)).await.unwrap();
        assert_eq!(found, values(&expected), "{}", case.folder().display());
        let costs = client.costs();
        assert_eq!(costs.keys_uploaded, 1);
        assert_eq!(costs.keywords_asked as usize, expected.len());
        // Cached: nothing is asked again.
        assert_eq!(client.lookup(&keywords(&expected)).await.unwrap(), found);
        assert_eq!(client.costs().keywords_asked, costs.keywords_asked);
        client.reset_answers();
        assert_eq!(client.lookup(&keywords(&expected)).await.unwrap(), found);
        assert_eq!(client.costs().keywords_asked, 2 * costs.keywords_asked);
        assert_eq!(client.costs().keys_uploaded, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_are_answered_at_once() {
    let case = Case::new("synthetic_shards3_logt4");
    let running = Running::of(&case).await;
    let expected = case.expected();
    let users = (0..12).map(|_| async {
        let client = running.client();
        for _ in 0..3 {
            client.reset_answers();
            let found = client.lookup(&keywords(&expected)).await.unwrap();
            assert_eq!(found, values(&expected));
        }
    });
    join_all(users).await;
    let metrics = running.metrics().await;
    assert!(metrics.contains("pir_stored_keys 12\n"), "{metrics}");
    assert!(metrics.contains("pir_queue_depth 0\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_resumes_from_its_state() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let expected = case.expected();
    let client = client_of(&running.url, case.use_case())
        .user_token("AAAA")
        .options(without_retries())
        .build()
        .unwrap();
    client.lookup(&keywords(&expected)).await.unwrap();
    assert!(client.revision() > 0);
    let state = client.state().to_bytes();
    drop(client);
    // The service restarts meanwhile.
    let (folder, settings) = running.stop().await;
    let running = Running::start(folder, settings).await;
    let client = client_of(&running.url, case.use_case())
        .user_token("AAAA")
        .state(ClientState::from_bytes(&state).unwrap())
        .options(without_retries())
        .build()
        .unwrap();
    let found = client.lookup(&keywords(&expected)).await.unwrap();
    assert_eq!(found, values(&expected));
    let costs = client.costs();
    assert_eq!((costs.keys_uploaded, costs.requests), (0, 1), "only the query");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_keys_are_uploaded_again() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let expected = case.expected();
    let client = client_of(&running.url, case.use_case())
        .user_token("AAAA")
        .options(without_retries())
        .build()
        .unwrap();
    client.lookup(&keywords(&expected)).await.unwrap();
    let state = client.state();
    let (folder, settings) = running.stop().await;
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    let running = Running::start(folder, settings).await;
    let clock = Arc::clone(&running.clock);
    let client = client_of(&running.url, case.use_case())
        .user_token("AAAA")
        .state(state)
        .clock(Arc::clone(&clock))
        .options(without_retries())
        .build()
        .unwrap();
    // Neither its tokens nor its key are valid any more, and the issuer's key was not announced before.
    let refused = client.lookup(&keywords(&expected)).await.unwrap_err();
    assert!(matches!(*refused, filter_client::Error::IssuerKeyUnannounced), "{refused}");
    clock.advance(Duration::from_secs(86_400));
    let found = client.lookup(&keywords(&expected)).await.unwrap();
    assert_eq!(found, values(&expected));
    assert_eq!(client.costs().keys_uploaded, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_uploaded_elsewhere_replaces_the_cached_one() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let expected = case.expected();
    let user = "0C5E1B54-ADF5-41E2-AF9C-5C4F7A7B2D2E";
    let client = |state: ClientState| {
        PirClient::builder(&running.url, case.use_case())
            .user_token("AAAA")
            .state(state)
            .options(without_retries())
            .build()
            .unwrap()
    };
    let first = client(ClientState::with_user_identifier(user).unwrap());
    first.lookup(&keywords(&expected)).await.unwrap();
    // Another device with the same pseudonym and a key of its own: their timestamps differ.
    let second = client(ClientState::with_user_identifier(user).unwrap());
    let found = second.lookup(&keywords(&expected)).await.unwrap();
    assert_eq!(found, values(&expected));
    // The first device notices when it refreshes the configuration.
    first.reset_answers();
    first.refresh().await.unwrap();
    assert_eq!(first.lookup(&keywords(&expected)).await.unwrap(), values(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_are_filled_in_the_background() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let mut options = ClientOptions::default();
    options.wallet.capacity = 10;
    options.wallet.refill_count = 10;
    // A refill within each two seconds.
    options.wallet.refill_interval = std::time::Duration::from_secs(1);
    options.wallet.spare = 3;
    let client = running.client_with(options);
    let expected = case.expected();
    client.lookup(&keywords(&expected)).await.unwrap();
    while client.token_count() < 10 {
        tokio::task::yield_now().await;
    }
    client.reset_answers();
    client.lookup(&keywords(&expected)).await.unwrap();
    assert!((9..=10).contains(&client.token_count()));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_cases_users_and_issuers_are_reported() {
    let case = Case::new("synthetic_small_logt5");
    let running = Running::of(&case).await;
    let build = |use_case: &str, token: &str| {
        PirClient::builder(&running.url, use_case)
            .user_token(token)
            .options(without_retries())
            .build()
            .unwrap()
    };
    let error = build("other", "AAAA").lookup(&[b"x"]).await.unwrap_err();
    assert!(matches!(*error, filter_client::Error::UseCase), "{error}");
    let error = build(&case.use_case(), "nobody").lookup(&[b"x"]).await.unwrap_err();
    assert!(matches!(*error, filter_client::Error::UserToken), "{error}");
    // Tokens of another issuer are refused.
    let other = Running::of(&case).await;
    let client = PirClient::builder(&running.url, case.use_case())
        .issuer(&other.url)
        .user_token("AAAA")
        .options(without_retries())
        .build()
        .unwrap();
    let error = client.lookup(&[b"x"]).await.unwrap_err();
    assert!(matches!(*error, filter_client::Error::Status { status: 401, .. }), "{error}");
}

/// Replies for present and absent keywords have the same length, so that nobody can tell them apart by counting bytes.
#[tokio::test(flavor = "multi_thread")]
async fn replies_have_one_size() {
    let case = Case::new("synthetic_ios26_fixed4_logt5");
    let running = Running::of(&case).await;
    let client = running.client();
    let expected = case.expected();
    client.prepare().await.unwrap();
    let mut sizes = std::collections::BTreeSet::new();
    for (keyword, _) in &expected {
        if client.token_count() < 5 {
            client.fetch_tokens(20).await.unwrap();
        }
        let before = client.costs();
        client.lookup(&[keyword.as_bytes()]).await.unwrap();
        let after = client.costs();
        if after.requests == before.requests + 1 {
            sizes.insert(after.bytes_received - before.bytes_received);
        }
    }
    assert_eq!(sizes.len(), 1, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluation_keys_expire_and_are_bounded() {
    const DAY: u64 = 86_400;
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let store = serde_json::json!({
        "directory": state, "evaluationKeyBytes": 1 << 20, "evaluationKeyDays": 10,
    });
    let settings = Settings::new(vec![case.install(folder.path(), "data")]).with("store", store);
    let running = Running::start(folder, settings).await;
    let stored = async || {
        let metrics = running.metrics().await;
        let line = metrics.lines().find(|line| line.starts_with("pir_stored_keys ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    for _ in 0..6 {
        running.client().lookup(&[b"x"]).await.unwrap();
    }
    let uploaded = case.first("/key").request.len();
    let kept = stored().await;
    assert_eq!(kept as usize, (1 << 20) / uploaded);
    assert!(kept < 6);
    running.service.maintain().await.unwrap();
    assert_eq!(stored().await, kept);
    running.clock.set(at(NOW + 8 * DAY));
    let used = running.client();
    used.lookup(&[b"x"]).await.unwrap();
    running.clock.set(at(NOW + 12 * DAY));
    running.service.maintain().await.unwrap();
    assert_eq!(stored().await, 1);
    used.reset_answers();
    used.lookup(&[b"x"]).await.unwrap();
    assert_eq!(used.costs().keys_uploaded, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluation_keys_expire_after_the_clock_was_ahead() {
    const DAY: u64 = 86_400;
    const HOUR: u64 = 3600;
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let store = serde_json::json!({
        "directory": folder.path().join("state"), "evaluationKeyDays": 10,
    });
    let settings = Settings::new(vec![case.install(folder.path(), "data")]).with("store", store);
    let running = Running::start(folder, settings).await;
    let stored_at = async |time: u64| {
        running.clock.set(at(time));
        running.service.maintain().await.unwrap();
        let metrics = running.metrics().await;
        let line = metrics.lines().find(|line| line.starts_with("pir_stored_keys ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(stored_at(NOW + 400 * DAY).await, 0);
    running.client().lookup(&[b"x"]).await.unwrap();
    // From the second hour on, the key counts as used then. The clock was behind for a moment before.
    for (time, stored) in [
        (NOW - DAY, 1),
        (NOW + 400 * DAY, 1),
        (NOW, 1),
        (NOW + HOUR, 1),
        (NOW + HOUR + 10 * DAY, 1),
        (NOW + HOUR + 11 * DAY, 0),
    ] {
        assert_eq!(stored_at(time).await, stored, "{time}");
    }
}
