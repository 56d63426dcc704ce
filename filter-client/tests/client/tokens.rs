//! How tokens are fetched, stored and spent.

use crate::support::{Case, Function, Outcome, ok, status, without_waits};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use filter_client::{ClientState, Endpoint, Error, PirClient, ResponseError, TransportError};
use privacy_pass::{DirectoryKey, IssuerDirectory, IssuerKey, Token, TokenRequest};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use unix_clock::Timestamp;

struct World {
    key: IssuerKey,
    listed: Vec<DirectoryKey>,
    request_uri: String,
    seen: Mutex<HashSet<[u8; 32]>>,
}

impl World {
    fn new() -> Self {
        let key = IssuerKey::generate().unwrap();
        let listed = vec![DirectoryKey::new(key.public(), None)];
        Self { key, listed, request_uri: "/issue".to_owned(), seen: Mutex::default() }
    }

    fn issue(&self, request: &http::Request<Bytes>) -> Option<Outcome> {
        let bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap());
        match request.uri().path() {
            "/.well-known/private-token-issuer-directory" => {
                let directory = IssuerDirectory::new(&self.request_uri, self.listed.clone());
                Some(ok(serde_json::to_vec(&directory).unwrap()))
            }
            "/issue" if bearer == Some("Bearer AAAA") => {
                let request = TokenRequest::from_bytes(request.body()).unwrap();
                Some(ok(self.key.issue(&request).unwrap().to_vec()))
            }
            "/issue" => Some(status(401)),
            _ => None,
        }
    }

    /// Whether the request has a valid token that is new.
    fn admit(&self, request: &http::Request<Bytes>) -> bool {
        let Some(header) = request.headers().get("authorization") else { return false };
        let Ok(token) = Token::from_authorization(header.to_str().unwrap()) else { return false };
        self.key.public().verify(&token).is_ok() && self.seen.lock().unwrap().insert(token.nonce())
    }
}

fn service(
    world: World,
    other: impl Fn(&str, usize) -> Option<Outcome> + Send + Sync + 'static,
) -> Arc<Function> {
    let case = Case::new("synthetic_small_logt5");
    let config = case.config_with_key();
    let reply = case.record("/queries", "response").remove(0);
    let count = Mutex::new(0);
    Function::new(move |request| {
        let path = request.uri().path();
        if let Some(issued) = world.issue(request) {
            return issued;
        }
        let number = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count
        };
        if let Some(outcome) = other(path, number) {
            if outcome.as_ref().map_or_else(TransportError::may_have_arrived, |_| true) {
                world.admit(request);
            }
            return outcome;
        }
        match (world.admit(request), path) {
            (false, _) => status(401),
            (true, "/config") => ok(config.clone()),
            (true, "/queries") => ok(reply.clone()),
            (true, _) => ok(""),
        }
    })
}

fn client(transport: &Arc<Function>, state: Option<ClientState>) -> PirClient {
    let case = Case::new("synthetic_small_logt5");
    let (hash, timestamp, key) = case.secret();
    let state = state.unwrap_or_else(|| ClientState::new().with_secret_key(hash, timestamp, key));
    let mut options = without_waits();
    options.wallet.refill_count = 0;
    options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
    options.wallet.spare = 3;
    PirClient::builder("https://pir.example", case.use_case())
        .issuer("https://issuer.example")
        .user_token("AAAA")
        .transport(transport.clone())
        .issuer_transport(transport.clone())
        .state(state)
        .options(options)
        .build()
        .unwrap()
}

async fn lookup(client: &PirClient) -> Result<(), Arc<Error>> {
    let expected = Case::new("synthetic_small_logt5").expected();
    let keywords: Vec<&[u8]> =
        expected.iter().take(3).map(|(keyword, _)| keyword.as_bytes()).collect();
    client.reset_answers();
    client.lookup(&keywords).await.map(drop)
}

#[tokio::test]
async fn each_request_carries_a_new_token() {
    let transport = service(World::new(), |_, _| None);
    let client = client(&transport, None);
    for _ in 0..6 {
        lookup(&client).await.unwrap();
    }
    // Seven requests, two batches of four tokens; each batch reads the directory.
    let paths = transport.paths();
    let count = |path: &str| paths.iter().filter(|asked| *asked == path).count();
    assert_eq!((count("/config"), count("/queries"), count("/issue")), (1, 6, 8));
    assert_eq!(count("/.well-known/private-token-issuer-directory"), 2);
    assert_eq!(client.token_count(), 1);
    // The issuer sees the user token and no pseudonym; the service sees the pseudonym and no user token.
    for request in transport.asked.lock().unwrap().iter() {
        let is_issuer = request.uri().host() == Some("issuer.example");
        assert_eq!(request.headers().contains_key("user-identifier"), !is_issuer);
        let bearer = request.headers().get("authorization").is_some_and(|value| {
            assert!(value.is_sensitive());
            value.as_bytes().starts_with(b"Bearer")
        });
        assert!(!bearer || is_issuer);
    }
}

#[tokio::test]
async fn a_token_that_may_have_arrived_is_not_shown_again() {
    for (failure, arrived) in [
        (TransportError::Timeout, true),
        (TransportError::Broken, true),
        (TransportError::Unreachable, false),
    ] {
        let broken = failure.clone();
        let transport = service(World::new(), move |path, number| {
            (path == "/queries" && number == 2).then(|| Err(broken.clone()))
        });
        let client = client(&transport, None);
        lookup(&client).await.unwrap();
        let asked = transport.asked.lock().unwrap();
        let shown: Vec<_> = asked
            .iter()
            .filter(|request| request.uri().path() == "/queries")
            .map(|request| request.headers()["authorization"].clone())
            .collect();
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[0] != shown[1], arrived, "{failure}");
    }
}

/// A state that has seen a key in the directories of the last two days.
fn having_seen(state: &ClientState, key: &IssuerKey) -> ClientState {
    let mut json: serde_json::Value = serde_json::from_slice(&state.to_bytes()).unwrap();
    let seen_at = json["refills"]["triedAt"].as_u64().unwrap() - 2 * 86_400;
    let digest = STANDARD.encode(Sha256::digest(key.public().spki()));
    json["issuerKey"]["others"] = serde_json::json!([{ "digest": digest, "seenAt": seen_at }]);
    ClientState::from_bytes(json.to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn tokens_of_a_retired_key_are_replaced() {
    let transport = service(World::new(), |_, _| None);
    let first = client(&transport, None);
    lookup(&first).await.unwrap();
    let state = first.state();
    assert_eq!(state.token_count(), 2);
    // The issuer has a new key, which the client has seen ahead.
    let world = World::new();
    let seen = having_seen(&state, &world.key);
    let transport = service(world, |_, _| None);
    let second = client(&transport, Some(seen));
    lookup(&second).await.unwrap();
    assert_eq!(second.costs().tokens_fetched, 4);
    assert_eq!(second.token_count(), 3);
    // A service that accepts no token is not asked endlessly.
    let transport = service(World::new(), |path, _| (path == "/queries").then(|| status(401)));
    let third = client(&transport, None);
    let error = lookup(&third).await.unwrap_err();
    assert!(matches!(*error, Error::Status { status: 401, .. }), "{error}");
    assert!(transport.paths().len() < 30);
}

/// Everyone uses the first valid key of the directory, as devices do.
#[tokio::test]
async fn the_first_valid_key_of_the_directory_is_used() {
    let other = |not_before| DirectoryKey::new(IssuerKey::generate().unwrap().public(), not_before);
    let mut world = World::new();
    let mut of_another_type = other(None);
    of_another_type.token_type = 1;
    world.listed.insert(0, other(Some(Timestamp::MAX)));
    world.listed.insert(0, of_another_type);
    world.listed.push(other(None));
    lookup(&client(&service(world, |_, _| None), None)).await.unwrap();
    // A user whose tokens are of another key is none of a crowd.
    let mut world = World::new();
    world.listed.insert(0, other(None));
    let transport = service(world, |_, _| None);
    assert!(lookup(&client(&transport, None)).await.is_err());
    assert!(!transport.paths().contains(&"/queries".to_owned()));
    // There is none.
    let keys = [vec![], vec![other(Some(Timestamp::MAX))]];
    for listed in keys {
        let transport = service(World { listed, ..World::new() }, |_, _| None);
        let error = lookup(&client(&transport, None)).await.unwrap_err();
        assert!(matches!(*error, Error::IssuerKey), "{error}");
        assert!(!transport.paths().contains(&"/issue".to_owned()));
    }
}

#[tokio::test]
async fn the_directory_says_where_tokens_are_requested() {
    for (uri, host, path) in [
        ("/issue", "issuer.example", "/issue"),
        ("issue", "issuer.example", "/issue"),
        ("https://other.example/issue", "other.example", "/issue"),
    ] {
        let world = World { request_uri: uri.to_owned(), ..World::new() };
        let transport = service(world, |_, _| None);
        lookup(&client(&transport, None)).await.unwrap();
        let asked = transport.asked.lock().unwrap();
        let issued = asked.iter().find(|request| request.uri().path() == path).unwrap();
        assert_eq!(issued.uri().host(), Some(host));
    }
    // Without TLS it is refused.
    let world = World { request_uri: "http://other.example/issue".to_owned(), ..World::new() };
    let transport = service(world, |_, _| None);
    assert!(lookup(&client(&transport, None)).await.is_err());
    assert!(!transport.paths().contains(&"/issue".to_owned()));
    // HTTP cannot carry it. Tokens used to be requested from `/`.
    let world = World { request_uri: format!("/{}", "a".repeat(70_000)), ..World::new() };
    let transport = service(world, |_, _| None);
    let error = lookup(&client(&transport, None)).await.unwrap_err();
    let Error::Response { endpoint: Endpoint::Directory, source } = &*error else {
        panic!("{error}");
    };
    assert!(matches!(source, ResponseError::IssuerRequestUri(_)), "{source}");
}

/// With a key for each user, an issuer could tell its users apart.
#[tokio::test]
async fn the_number_of_live_directory_keys_is_limited() {
    let other = DirectoryKey::new(IssuerKey::generate().unwrap().public(), None);
    let later = DirectoryKey::new(&other.public_key().unwrap(), Some(Timestamp::MAX));
    for (live, is_accepted) in [(15, true), (16, true), (17, false)] {
        let mut world = World::new();
        world.listed.extend(vec![other.clone(); live - 1]);
        // Keys that are not valid yet do not count.
        world.listed.extend(vec![later.clone(); 20]);
        let outcome = lookup(&client(&service(world, |_, _| None), None)).await;
        assert_eq!(outcome.is_ok(), is_accepted, "{live}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(matches!(*error, Error::IssuerKeys { found: 17, max: 16 }), "{error}");
        }
    }
}

#[tokio::test]
async fn the_length_of_each_response_is_limited() {
    let transport = service(World::new(), |_, _| None);
    lookup(&client(&transport, None)).await.unwrap();
    let fresh = client(&transport, Some(ClientState::new()));
    // It uploads a key of its own; the recorded reply is for another key.
    drop(lookup(&fresh).await);
    let limits = transport.max_bodies.lock().unwrap().clone();
    for (path, limit) in transport.paths().iter().zip(limits) {
        let expected = match path.as_str() {
            "/.well-known/private-token-issuer-directory" => 1 << 20,
            "/issue" => 256,
            "/config" => (64 << 10) + 512 * 64,
            "/key" => 64 << 10,
            // It follows from the parameters.
            "/queries" => limit.clamp(1 << 10, 1 << 20),
            _ => panic!("{path}"),
        };
        assert_eq!(limit, expected, "{path}");
    }
    assert!(transport.paths().contains(&"/key".to_owned()));
}
