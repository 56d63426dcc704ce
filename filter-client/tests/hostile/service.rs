//! A service that answers as it likes, and the record of what a client does.

use crate::support::Case;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use filter_client::sans_io::{Client, ClientBuilder, Lookup, Now, Outcome, Output};
use filter_client::{ClientOptions, ClientState, Party};
use pir_api::{Message, api};
use privacy_pass::{DirectoryKey, IssuerDirectory, IssuerKey, TokenRequest};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

/// Time from a request to its response.
const DELAY: Duration = Duration::from_millis(40);

pub(crate) static ISSUER_KEY: LazyLock<IssuerKey> =
    LazyLock::new(|| IssuerKey::generate().unwrap());

/// A response: a status and a body.
pub(crate) type Answer = (u16, Vec<u8>);

/// The recorded use case, whose secret key the test knows.
pub(crate) fn case() -> Case {
    Case::new("synthetic_small_logt5")
}

/// Options without random times.
pub(crate) fn options() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.batch_size = 2;
    options.retry.initial_backoff = Duration::ZERO;
    options.wallet.spare = 9;
    options.wallet.capacity = 12;
    options.wallet.refill_count = 2;
    options
}

/// The state of a client whose evaluation key the service has.
pub(crate) fn state() -> ClientState {
    let (hash, timestamp, key) = case().secret();
    let state = ClientState::with_user_identifier("PSEUDONYM").unwrap();
    with_refills(serde_json::json!({}), &state.with_secret_key(hash, timestamp, key))
}

/// A state whose refills come at times that are known, with what else is stored of them.
pub(crate) fn with_refills(mut refills: serde_json::Value, state: &ClientState) -> ClientState {
    let mut text: serde_json::Value = serde_json::from_slice(&state.to_bytes()).unwrap();
    refills["seed"] = STANDARD.encode([7; 32]).into();
    text["refills"] = refills;
    ClientState::from_bytes(text.to_string().as_bytes()).unwrap()
}

pub(crate) fn builder(options: ClientOptions) -> ClientBuilder {
    Client::builder("https://pir.example", case().use_case()).state(state()).options(options)
}

/// When the client starts: one minute after its key was made.
pub(crate) fn start() -> Now {
    Now::new(case().secret().1 + Duration::from_secs(60), Duration::ZERO)
}

/// Answers a path and a body.
type Service<'s> = Box<dyn FnMut(&str, &[u8]) -> Answer + 's>;

/// What a client did, line by line: what an observer of the network sees of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transcript(pub(crate) Vec<String>);

/// A client and the service that it talks to.
pub(crate) struct World<'s> {
    client: Client,
    now: Now,
    service: Service<'s>,
    pub(crate) transcript: Transcript,
    /// The largest bodies that were allowed in responses, in order.
    pub(crate) max_bodies: Vec<usize>,
    /// The paths of requests to the issuer, with the time of day in Unix seconds.
    pub(crate) issuer: Vec<(u64, String)>,
    /// The status with which the issuer refuses all tokens.
    pub(crate) withholding: Option<u16>,
    /// How many requests for tokens get no response.
    pub(crate) unanswered: usize,
}

impl<'s> World<'s> {
    /// `service` answers requests to the service, by their path and body.
    pub(crate) fn new(
        builder: ClientBuilder,
        service: impl FnMut(&str, &[u8]) -> Answer + 's,
    ) -> Self {
        Self::at(start(), builder, service)
    }

    /// The same at another time.
    pub(crate) fn at(
        now: Now,
        builder: ClientBuilder,
        service: impl FnMut(&str, &[u8]) -> Answer + 's,
    ) -> Self {
        let client = builder.build(now).unwrap();
        Self {
            client,
            now,
            service: Box::new(service),
            transcript: Transcript::default(),
            max_bodies: Vec::new(),
            issuer: Vec::new(),
            withholding: None,
            unanswered: 0,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    fn later(&mut self, span: Duration) {
        let seconds = (self.now.elapsed + span).as_secs() - self.now.elapsed.as_secs();
        self.now.unix = self.now.unix + Duration::from_secs(seconds);
        self.now.elapsed += span;
    }

    /// Looks keywords up, and goes on until the lookup ends.
    pub(crate) fn look_up(&mut self, keywords: &[&str]) -> Lookup {
        let keywords: Vec<Vec<u8>> = keywords.iter().map(|&keyword| keyword.into()).collect();
        let wanted = self.client.start_lookup(keywords, self.now);
        loop {
            if let Some((id, outcome)) = self.step() {
                assert_eq!(id, wanted);
                match outcome {
                    Outcome::Lookup(lookup) => return lookup,
                    _ => panic!("a lookup ends as one"),
                }
            }
        }
    }

    /// Fetches tokens, as an application asks for it.
    pub(crate) fn fetch_tokens(&mut self, count: usize) -> bool {
        let wanted = self.client.start_fetching_tokens(count, self.now);
        loop {
            match self.step() {
                Some((id, Outcome::Other(outcome))) if id == wanted => return outcome.is_ok(),
                Some(_) => panic!("another operation ended"),
                None => {}
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, span: Duration) {
        let end = self.now.elapsed + span;
        while self.client.next_timeout().is_some_and(|at| at <= end) {
            assert!(self.step().is_none());
        }
        self.later(end - self.now.elapsed);
        self.client.handle_time(self.now);
    }

    /// The machine sleeps: its clock goes on, and its timers do not.
    pub(crate) fn sleep(&mut self, span: Duration) {
        self.now.unix = self.now.unix + span;
        self.client.handle_time(self.now);
    }

    /// Does one thing that the client has, or lets the time pass that it waits for.
    fn step(&mut self) -> Option<(filter_client::sans_io::OperationId, Outcome)> {
        match self.client.next_output() {
            Some(Output::Send(request)) => {
                self.record(request.party, &request.request);
                self.max_bodies.push(request.max_body);
                self.later(DELAY);
                let path = request.request.uri().path();
                if path == "/issue" && self.unanswered > 0 {
                    self.unanswered -= 1;
                    return None;
                }
                let (status, body) = match request.party {
                    Party::Issuer => {
                        self.issuer.push((self.now.unix.unix_seconds(), path.to_owned()));
                        match self.withholding.filter(|_| path == "/issue") {
                            Some(status) => (status, Vec::new()),
                            None => issue(path, request.request.body()),
                        }
                    }
                    _ => (self.service)(path, request.request.body()),
                };
                let mut response = http::Response::new(Bytes::from(body));
                *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                self.client.handle_response(request.id, Ok(response), self.now);
                None
            }
            Some(Output::Store) => None,
            Some(Output::Cancel(_)) => {
                self.transcript.0.push(format!("{:?} cancel", self.now.elapsed));
                None
            }
            Some(Output::Done(id, outcome)) => Some((id, outcome)),
            Some(_) => panic!("an output that this test does not know"),
            None => {
                let at = self.client.next_timeout().expect("the client waits for something");
                self.later(at - self.now.elapsed);
                self.client.handle_time(self.now);
                None
            }
        }
    }

    fn record(&mut self, party: Party, request: &http::Request<Bytes>) {
        let mut line = format!(
            "{:?} {party} {} {} {} bytes",
            self.now.elapsed,
            request.method(),
            request.uri(),
            request.body().len()
        );
        let headers: BTreeSet<String> = request
            .headers()
            .iter()
            .map(|(name, value)| match name.as_str() {
                // The values are random.
                "authorization" => format!("{name}: {} bytes", value.len()),
                _ => format!("{name}: {value:?}"),
            })
            .collect();
        write!(line, " {headers:?}").unwrap();
        if request.uri().path() == "/queries" {
            let requests = api::Requests::decode(&request.body()[..]).unwrap();
            let shards = requests.requests.into_iter().map(|request| match request.request {
                Some(api::request::Request::PirRequest(request)) => request.shard_index,
                _ => panic!("a query"),
            });
            write!(line, " shards {:?}", shards.collect::<Vec<_>>()).unwrap();
        }
        self.transcript.0.push(line);
    }

    /// The paths of all requests, in order.
    pub(crate) fn paths(&self) -> Vec<&str> {
        let path = |line: &'_ String| -> Option<usize> { line.find("https://pir.example") };
        self.transcript
            .0
            .iter()
            .filter_map(|line| {
                let rest = &line[path(line)? + "https://pir.example".len()..];
                rest.split(' ').next()
            })
            .collect()
    }
}

/// An issuer that gives tokens to everyone.
pub(crate) fn issue(path: &str, body: &[u8]) -> Answer {
    match path {
        "/issue" => {
            let request = TokenRequest::from_bytes(body).unwrap();
            (200, ISSUER_KEY.issue(&request).unwrap().to_vec())
        }
        _ => {
            let keys = vec![DirectoryKey::new(ISSUER_KEY.public(), None)];
            (200, serde_json::to_vec(&IssuerDirectory::new("/issue", keys)).unwrap())
        }
    }
}

/// Names of keywords that no data set has.
pub(crate) fn absent(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("absent-{index}.example/path")).collect()
}
