//! An issuer that tries to tell its users apart.

use crate::service::case;
use crate::support::{Function, ok, status, without_waits};
use filter_client::{ClientState, Error, PirClient, TransportError};
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

const HOUR: u64 = 3600;

/// An issuer with some keys, of which it shows some at a time, and clients of it under a clock.
struct Issuer {
    keys: Arc<Vec<IssuerKey>>,
    /// The first key, and the one that is published ahead.
    shown: Arc<std::sync::Mutex<(usize, Option<usize>)>>,
    transport: Arc<Function>,
    clock: Arc<unix_clock::ManualClock>,
}

impl Issuer {
    fn new(count: usize) -> Self {
        let keys: Vec<_> = (0..count).map(|_| IssuerKey::generate().unwrap()).collect();
        let (keys, shown) = (Arc::new(keys), Arc::new(std::sync::Mutex::new((0, None))));
        let (all, current) = (Arc::clone(&keys), Arc::clone(&shown));
        let transport = Function::new(move |request| {
            let (first, next): (usize, Option<usize>) = *current.lock().unwrap();
            match request.uri().path() {
                "/issue" => {
                    let request = privacy_pass::TokenRequest::from_bytes(request.body()).unwrap();
                    ok(all[first].issue(&request).unwrap().to_vec())
                }
                _ => {
                    let later = unix_clock::Timestamp::MAX;
                    let next = next.map(|key| DirectoryKey::new(all[key].public(), Some(later)));
                    let first = DirectoryKey::new(all[first].public(), None);
                    let keys = [Some(first), next].into_iter().flatten().collect();
                    ok(serde_json::to_vec(&IssuerDirectory::new("/issue", keys)).unwrap())
                }
            }
        });
        let start = unix_clock::Timestamp::from_unix_seconds(1_800_000_000);
        Self { keys, shown, transport, clock: Arc::new(unix_clock::ManualClock::new(start)) }
    }

    fn client(&self, state: ClientState) -> PirClient {
        PirClient::builder("https://pir.example", case().use_case())
            .issuer("https://issuer.example")
            .user_token("AAAA")
            .transport(Function::new(|_| status(404)))
            .issuer_transport(Arc::clone(&self.transport) as Arc<dyn filter_client::Transport>)
            .options(without_waits())
            .clock(Arc::clone(&self.clock))
            .state(state)
            .build()
            .unwrap()
    }

    /// A client fetches tokens at these times after each other, in seconds, under these keys, and starts anew each time.
    async fn run(&self, steps: &[(u64, usize, Option<usize>, Expected)]) {
        let mut client = self.client(ClientState::new());
        for &(seconds, first, next, expected) in steps {
            self.clock.advance(std::time::Duration::from_secs(seconds));
            *self.shown.lock().unwrap() = (first, next);
            let outcome = client.fetch_tokens(1).await;
            let found = match outcome {
                Ok(()) => Expected::Used,
                Err(Error::IssuerKeyUnannounced) => Expected::Unannounced,
                Err(Error::IssuerKeyChanged) => Expected::Changed,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, expected, "{seconds} s, key {first} of {}", self.keys.len());
            client = self.client(ClientState::from_bytes(&client.state().to_bytes()).unwrap());
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Used,
    Unannounced,
    Changed,
}

use Expected::{Changed, Unannounced, Used};

/// As `pir-server` rotates them: two days ahead, each month or each week.
#[tokio::test]
async fn keys_that_are_published_ahead_are_used_when_they_come_first() {
    for days in [30, 7] {
        let mut steps = Vec::new();
        for key in 0..3 {
            steps.extend((0..days - 2).map(|_| (24 * HOUR, key, None, Used)));
            steps.extend((0..2).map(|_| (24 * HOUR, key, Some(key + 1), Used)));
        }
        steps.push((24 * HOUR, 3, None, Used));
        Issuer::new(4).run(&steps).await;
    }
}

/// With a key for each hour, the key of a token would tell when it was issued, and soon to whom.
#[tokio::test]
async fn a_key_is_used_once_it_was_in_each_directory_for_a_day() {
    let issuer = Issuer::new(3);
    issuer
        .run(&[
            (0, 0, None, Used),
            (HOUR, 1, None, Unannounced),
            (HOUR, 0, None, Used),
            // A directory without it was fetched in between: it begins anew.
            (HOUR, 1, None, Unannounced),
            (24 * HOUR - 1, 1, None, Unannounced),
            (1, 1, None, Used),
            (HOUR, 0, None, Unannounced),
        ])
        .await;
    // Published ahead, for one second too short, exactly, and for longer.
    for (seconds, expected) in
        [(24 * HOUR - 1, Unannounced), (24 * HOUR, Used), (24 * HOUR + 1, Used)]
    {
        issuer.run(&[(0, 0, Some(1), Used), (seconds, 1, None, expected)]).await;
    }
}

#[tokio::test]
async fn a_key_changes_once_in_six_days() {
    const DAY: u64 = 24 * HOUR;
    for (seconds, expected) in [(DAY - 1, Changed), (DAY, Used), (DAY + 1, Used)] {
        let change = [(0, 0, Some(1), Used), (DAY, 1, None, Used)];
        let wait = (0..5).map(|_| (DAY, 1, Some(2), Used));
        let steps: Vec<_> =
            change.into_iter().chain(wait).chain([(seconds, 2, None, expected)]).collect();
        Issuer::new(3).run(&steps).await;
    }
}

/// As at the first start. An issuer cannot bring it about by failures: attempts count that brought nothing.
#[tokio::test]
async fn a_client_that_was_away_for_two_days_begins_with_the_key_that_there_is() {
    const DAYS: u64 = 48 * HOUR;
    for (seconds, expected) in [(DAYS - 1, Unannounced), (DAYS, Used), (DAYS + 1, Used)] {
        Issuer::new(2).run(&[(0, 0, None, Used), (seconds, 1, None, expected)]).await;
    }
    // Directories that fail for three days, also for want of a connection: whoever runs the issuer can close its port, or let its
    // certificate expire.
    let (address, reason) = ("https://pir.example".to_owned(), "it says so".to_owned());
    let failures = [
        status(404),
        Err(TransportError::Unreachable),
        Err(TransportError::NotConnected { address: address.clone(), reason: reason.clone() }),
        Err(TransportError::Certificate { address, reason }),
    ];
    for failure in failures {
        let issuer = Issuer::new(2);
        let client = issuer.client(ClientState::new());
        client.fetch_tokens(1).await.unwrap();
        let name = format!("{failure:?}");
        let client = PirClient::builder("https://pir.example", case().use_case())
            .user_token("AAAA")
            .transport(Function::new(|_| status(404)))
            .issuer_transport(Function::new(move |_| failure.clone()))
            .options(without_waits())
            .clock(Arc::clone(&issuer.clock))
            .state(client.state())
            .build()
            .unwrap();
        for _ in 0..3 {
            issuer.clock.advance(std::time::Duration::from_secs(24 * HOUR));
            client.fetch_tokens(1).await.unwrap_err();
        }
        *issuer.shown.lock().unwrap() = (1, None);
        let client = issuer.client(client.state());
        let error = client.fetch_tokens(1).await.unwrap_err();
        assert!(matches!(error, Error::IssuerKeyUnannounced), "{name}: {error}");
    }
}
