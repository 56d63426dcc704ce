//! A client that is stopped in the middle of a conversation and goes on from what it has stored.

use crate::service::{Answer, builder, issue, options, start};
use crate::sharding::{config, replies};
use bytes::Bytes;
use filter_client::sans_io::{Client, Lookup, Now, Outcome, Output};
use filter_client::{ClientOptions, ClientState, EmptyWallet, Error, Party, ShardingError};
use pir_api::{Message, api};
use privacy_pass::{DirectoryKey, IssuerDirectory, IssuerKey};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Requests of a lookup from nothing: directory, ten tokens, configuration, key, two batches.
const REQUESTS: usize = 15;

/// A service and an issuer that note what must not come twice.
struct Service {
    /// The number of shards.
    count: u32,
    /// The issuer's key, if it is another than everyone's.
    key: Option<IssuerKey>,
    /// Whether every token is refused.
    refuses_tokens: bool,
    uploaded_at: u64,
    tokens: BTreeSet<Vec<u8>>,
    /// The numbers of shards under which keywords were asked for.
    counts: BTreeSet<u32>,
    paths: Vec<String>,
}

impl Service {
    fn new() -> Self {
        Self {
            count: 8,
            key: None,
            refuses_tokens: false,
            uploaded_at: 0,
            tokens: BTreeSet::new(),
            counts: BTreeSet::new(),
            paths: Vec::new(),
        }
    }

    /// Answers a request, and checks what the client has stored before it was sent.
    fn answer(&mut self, party: Party, request: &http::Request<Bytes>, stored: &[u8]) -> Answer {
        let (path, body) = (request.uri().path(), &request.body()[..]);
        self.paths.push(path.to_owned());
        let stored: Value = serde_json::from_slice(stored).expect("a state was stored before");
        if party == Party::Issuer {
            return self.issuer(path, body, &stored);
        }
        let pseudonym = request.headers()["user-identifier"].to_str().unwrap();
        assert_eq!(stored["userIdentifier"], pseudonym);
        if let Some(token) = request.headers().get("authorization") {
            let text = token.to_str().unwrap().to_owned();
            for held in stored["tokens"].as_array().unwrap() {
                // The header has the same bytes in the alphabet for URLs.
                let held = held["token"].as_str().unwrap().replace('+', "-").replace('/', "_");
                assert!(!text.contains(held.trim_end_matches('=')), "{path}: a token is kept");
            }
            assert!(self.tokens.insert(text.into_bytes()), "{path}: a token came twice");
            if self.refuses_tokens {
                return (401, Vec::new());
            }
        }
        match path {
            "/config" => {
                let mut response = api::ConfigResponse::decode(&config(self.count)[..]).unwrap();
                response.key_info[0].timestamp = self.uploaded_at;
                (200, response.encode_to_vec())
            }
            "/key" => {
                let keys = api::shared::EvaluationKeys::decode(body).unwrap();
                self.uploaded_at = keys.keys[0].metadata.as_ref().unwrap().timestamp;
                let secrets = stored["secretKeys"].as_array().unwrap();
                assert!(secrets.iter().any(|secret| secret["timestamp"] == self.uploaded_at));
                (200, Vec::new())
            }
            _ => {
                assert!(stored["sharding"].is_object(), "the number of shards is stored before");
                self.counts.insert(self.count);
                replies(body)
            }
        }
    }

    fn issuer(&self, path: &str, body: &[u8], stored: &Value) -> Answer {
        if path == "/issue" {
            assert!(stored["issuerKey"].is_object(), "the issuer's key is stored before");
        }
        let Some(key) = &self.key else { return issue(path, body) };
        match path {
            "/issue" => (503, Vec::new()),
            _ => {
                let keys = vec![DirectoryKey::new(key.public(), None)];
                (200, serde_json::to_vec(&IssuerDirectory::new("/issue", keys)).unwrap())
            }
        }
    }

    /// Runs a client from what was stored, looks three keywords up, and stops it when it has sent a number of
    /// requests.
    fn run(&mut self, stored: &mut Vec<u8>, options: ClientOptions, stop: usize) -> Option<Lookup> {
        let mut now = start();
        let mut builder = builder(options).user_token("AAAA").state(ClientState::new());
        if !stored.is_empty() {
            builder = builder.state(ClientState::from_bytes(stored).unwrap());
        }
        let mut client = builder.build(now).unwrap();
        let keywords = ["a.example", "b.example", "c.example"];
        client.start_lookup(keywords.map(Vec::from).to_vec(), now);
        let mut sent = 0;
        while sent < stop {
            match client.next_output() {
                Some(Output::Store) => *stored = client.state().to_bytes().to_vec(),
                Some(Output::Send(request)) => {
                    sent += 1;
                    let (status, body) = self.answer(request.party, &request.request, stored);
                    let mut response = http::Response::new(Bytes::from(body));
                    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                    // The response to the last request does not arrive.
                    if sent < stop {
                        client.handle_response(request.id, Ok(response), now);
                    }
                }
                Some(Output::Done(_, Outcome::Lookup(lookup))) => return Some(lookup),
                Some(_) => {}
                None => {
                    now = later(&client, now);
                    client.handle_time(now);
                }
            }
        }
        None
    }
}

fn later(client: &Client, now: Now) -> Now {
    let at = client.next_timeout().expect("the client waits for something");
    Now::new(now.unix + Duration::from_secs((at - now.elapsed).as_secs()), at)
}

#[test]
fn the_state_is_stored_before_anything_is_sent() {
    let mut client = builder(options()).build(start()).unwrap();
    client.start_lookup(vec![b"a.example".to_vec()], start());
    assert!(matches!(client.next_output(), Some(Output::Store)));
    assert!(matches!(client.next_output(), Some(Output::Send(_))));
    assert!(client.next_output().is_none());
}

/// Options of a client that fetches tokens whenever it has none.
fn with_tokens_at_any_time() -> ClientOptions {
    let mut options = options();
    options.wallet.when_empty = EmptyWallet::Fetch;
    options
}

#[test]
fn a_client_that_is_stopped_anywhere_repeats_nothing() {
    let options = with_tokens_at_any_time;
    for stop in 1..=REQUESTS + 1 {
        let (mut service, mut stored) = (Service::new(), Vec::new());
        // Three times, and then to the end. A later run has less to send.
        let is_done = service.run(&mut stored, options(), stop).is_some();
        assert_eq!(is_done, stop > REQUESTS, "{stop}: {:?}", service.paths);
        for _ in 0..2 {
            drop(service.run(&mut stored, options(), stop));
        }
        let lookup = service.run(&mut stored, options(), usize::MAX).unwrap();
        assert!(lookup.failure().is_none(), "{stop}: {:?}", lookup.failure());
        assert_eq!(service.counts, BTreeSet::from([8]));
    }
}

/// What a service learns by another number of shards is the more the less the two have in common.
#[test]
fn a_client_that_is_stopped_after_its_first_query_asks_under_no_other_count() {
    for (first, second) in [(6, 8), (8, 6)] {
        let mut service = Service::new();
        let mut options = options();
        options.sharding.fixed_count = Some(6);
        options.batch_size = 3;
        // Each run compares the configuration.
        options.config_lifetime = Duration::ZERO;
        service.count = first;
        let mut stored = Vec::new();
        assert!(service.run(&mut stored, options.clone(), REQUESTS - 1).is_none());
        assert_eq!(service.paths.last().unwrap(), "/queries");
        service.count = second;
        let lookup = service.run(&mut stored, options, usize::MAX).unwrap();
        let refusal = lookup.failure().map(|error| &**error);
        assert!(
            matches!(refusal, Some(Error::Sharding(ShardingError::Pinned { .. }))),
            "{refusal:?}"
        );
        assert_eq!(service.counts, BTreeSet::from([first]));
    }
}

/// An issuer whose requests fail, or whose clients end, gets no other key accepted because of that.
#[test]
fn an_issuer_gets_no_second_key_accepted_by_stopping_clients() {
    let options = with_tokens_at_any_time;
    let (mut service, mut stored) = (Service::new(), Vec::new());
    assert!(service.run(&mut stored, options(), 2).is_none());
    assert_eq!(service.paths.last().unwrap(), "/issue");
    for _ in 0..2 {
        service.key = Some(IssuerKey::generate().unwrap());
        let lookup = service.run(&mut stored, options(), usize::MAX).unwrap();
        let refusal = lookup.failure().map(|error| &**error);
        assert!(matches!(refusal, Some(Error::IssuerKeyUnannounced)), "{refusal:?}");
        assert_ne!(service.paths.last().unwrap(), "/issue");
    }
}

/// Tokens that were refused are not shown again, however often the client starts anew.
#[test]
fn a_service_that_refuses_every_token_gets_each_once() {
    let (mut service, mut stored) = (Service::new(), Vec::new());
    service.refuses_tokens = true;
    for _ in 0..4 {
        let lookup = service.run(&mut stored, options(), usize::MAX).unwrap();
        assert!(lookup.failure().is_some());
    }
    // Another token was tried, in case the first was spent by another run.
    assert_eq!(service.tokens.len(), 2);
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["tokens"].as_array().unwrap().len(), 0);
}
