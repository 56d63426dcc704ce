//! An issuer that tries to tell its users apart.

use crate::service::case;
use crate::support::{Function, ok, status, without_waits};
use filter_client::{ClientState, Error, PirClient};
use privacy_pass::{DirectoryKey, IssuerDirectory, IssuerKey};
use std::sync::Arc;

fn client(issuer: &Arc<Function>, mirror: bool) -> PirClient {
    let service = Function::new(|_| status(404));
    let mut builder = PirClient::builder("https://pir.example", case().use_case())
        .issuer("https://issuer.example")
        .user_token("AAAA")
        .transport(service)
        .issuer_transport(Arc::clone(issuer) as Arc<dyn filter_client::Transport>)
        .options(without_waits())
        .state(ClientState::new());
    if mirror {
        builder = builder
            .directory_mirror("https://mirror.example/directory")
            .mirror_transport(Arc::clone(issuer) as Arc<dyn filter_client::Transport>);
    }
    builder.build().unwrap()
}

fn directory(keys: &[&IssuerKey]) -> Vec<u8> {
    let keys = keys.iter().map(|key| DirectoryKey::new(key.public(), None)).collect();
    serde_json::to_vec(&IssuerDirectory::new("/issue", keys)).unwrap()
}

/// The issuer of the attack had one directory for everyone with a key for each user, and told each user's
/// own by another endpoint.
#[tokio::test]
async fn a_directory_of_many_keys_is_refused() {
    let keys: Vec<IssuerKey> = (0..2).map(|_| IssuerKey::generate().unwrap()).collect();
    let many: Vec<&IssuerKey> = keys.iter().cycle().take(40).collect();
    let body = directory(&many);
    let own = keys[1].public().spki().to_vec();
    let issuer = Function::new(move |request| match request.uri().path() {
        "/token-key-for-user-token" => ok(own.clone()),
        "/issue" => status(500),
        _ => ok(body.clone()),
    });
    let error = client(&issuer, false).fetch_tokens(1).await.unwrap_err();
    assert!(matches!(error, Error::IssuerKeys { found: 40, max: 16 }), "{error}");
    // The directory is fetched without the user token, and the user's own key is not asked for.
    let asked = issuer.asked.lock().unwrap();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers().contains_key("authorization"));
}

#[tokio::test]
async fn a_directory_for_one_user_differs_from_its_mirror() {
    let keys: Vec<IssuerKey> = (0..2).map(|_| IssuerKey::generate().unwrap()).collect();
    let everyones = directory(&[&keys[0]]);
    for (shown, is_refused) in
        [(directory(&[&keys[1], &keys[0]]), true), (everyones.clone(), false)]
    {
        let everyones = everyones.clone();
        let issuer = Function::new(move |request| match request.uri().host() {
            Some("mirror.example") => ok(everyones.clone()),
            _ if request.uri().path() == "/issue" => status(403),
            _ => ok(shown.clone()),
        });
        let error = client(&issuer, true).fetch_tokens(1).await.unwrap_err();
        match is_refused {
            true => assert!(matches!(error, Error::IssuerKeyMirror), "{error}"),
            // The next step is refused here: the key was accepted.
            false => assert!(matches!(error, Error::UserToken), "{error}"),
        }
        let asked = issuer.asked.lock().unwrap();
        let mirrored =
            asked.iter().filter(|request| request.uri().host() == Some("mirror.example"));
        assert!(mirrored.clone().count() == 1);
        assert!(
            mirrored.into_iter().all(|request| !request.headers().contains_key("authorization"))
        );
    }
}

/// With a key for each minute, the key of a token would tell when it was issued.
#[tokio::test]
async fn an_issuer_may_change_its_key_once_a_day() {
    let keys: Vec<IssuerKey> = (0..3).map(|_| IssuerKey::generate().unwrap()).collect();
    let keys = Arc::new(keys);
    let current = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (shown, all) = (Arc::clone(&current), Arc::clone(&keys));
    let issuer = Function::new(move |request| {
        let key = &all[shown.load(std::sync::atomic::Ordering::Relaxed)];
        match request.uri().path() {
            "/issue" => {
                let request = privacy_pass::TokenRequest::from_bytes(request.body()).unwrap();
                ok(key.issue(&request).unwrap().to_vec())
            }
            _ => ok(directory(&[key])),
        }
    });
    let start = unix_clock::Timestamp::from_unix_seconds(1_800_000_000);
    let clock = Arc::new(unix_clock::ManualClock::new(start));
    let build = |state: ClientState| {
        PirClient::builder("https://pir.example", case().use_case())
            .issuer("https://issuer.example")
            .user_token("AAAA")
            .transport(Function::new(|_| status(404)))
            .issuer_transport(Arc::clone(&issuer) as Arc<dyn filter_client::Transport>)
            .options(without_waits())
            .clock(Arc::clone(&clock))
            .state(state)
            .build()
            .unwrap()
    };
    let mut client = build(ClientState::new());
    const HOUR: u64 = 3600;
    for (seconds, key, is_accepted) in [
        (0, 0, true),
        (HOUR, 1, true),
        (HOUR, 0, false),
        (HOUR, 1, true),
        // A change is accepted 20 hours after the last one: at that time, one second before, and one after.
        (18 * HOUR, 2, true),
        (20 * HOUR - 1, 0, false),
        (1, 0, true),
        (20 * HOUR + 1, 1, true),
    ] {
        clock.advance(std::time::Duration::from_secs(seconds));
        current.store(key, std::sync::atomic::Ordering::Relaxed);
        let outcome = client.fetch_tokens(1).await;
        assert_eq!(outcome.is_ok(), is_accepted, "key {key}: {outcome:?}");
        assert!(is_accepted || matches!(outcome, Err(Error::IssuerKeyChanged)));
        // It is remembered.
        client = build(ClientState::from_bytes(&client.state().to_bytes()).unwrap());
    }
}
