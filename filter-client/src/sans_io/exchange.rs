//! What a client and its caller hand to each other.

use super::answer::{Answer, Source};
#[cfg(feature = "tokio")]
use super::answers::Answers;
use super::answers::Reply;
#[cfg(feature = "tokio")]
use super::keywords::Keywords;
use crate::endpoint::Party;
use crate::error::Error;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use unix_clock::Timestamp;

/// The present time, as the caller's clocks tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Now {
    /// The time of day. It may jump in both directions.
    pub unix: Timestamp,
    /// The time since a fixed moment, such as the start of the process. It never goes back.
    pub elapsed: Duration,
}

impl Now {
    /// The present time by both clocks.
    #[must_use]
    pub const fn new(unix: Timestamp, elapsed: Duration) -> Self {
        Self { unix, elapsed }
    }
}

/// Identifies a request of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub(super) u64);

/// Identifies a lookup, or another operation, of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationId(pub(super) u64);

/// A request that the caller sends. It cannot be printed: its headers hold secrets.
#[non_exhaustive]
pub struct Request {
    /// Names the request when its response is handed over.
    pub id: RequestId,
    /// Who receives it. Requests to the issuer carry the user token, requests to the service a pseudonym:
    /// they must share no connection and no TLS session.
    pub party: Party,
    /// The request, with an absolute address. It is sent once: the token in it is good once.
    pub request: http::Request<Bytes>,
    /// Largest length of the response's body, in bytes. A longer one is [`TransportError::TooLong`](crate::TransportError::TooLong).
    pub max_body: usize,
}

/// What a client has for its caller.
#[non_exhaustive]
pub enum Output {
    /// [`Client::state`](super::Client::state) has changed. Whoever keeps it between runs stores it durably before taking the
    /// next output: what follows depends on it, see the [module](super). If it cannot be stored, nothing
    /// may be sent: hand [`TransportError::NotStored`](crate::TransportError::NotStored) over as the response to each request that
    /// follows, until it could be stored. The first output of a client is this one.
    Store,
    /// A request to send.
    Send(Box<Request>),
    /// The response to a request is not waited for any more: its connection may be given up.
    Cancel(RequestId),
    /// An operation has ended.
    Done(OperationId, Outcome),
}

/// How an operation ended.
#[non_exhaustive]
pub enum Outcome {
    /// Of [`Client::start_lookup`](super::Client::start_lookup).
    Lookup(Lookup),
    /// Of an operation that only prepares, refreshes or fetches tokens; the error says what failed.
    Other(Result<(), Box<Error>>),
}

/// The reply to a keyword and where it came from, or why there is none.
pub(super) type FoundReply = Result<(Arc<Reply>, Source), Arc<Error>>;

/// The outcome of a lookup. It cannot be printed: it holds keywords and keys.
#[must_use]
pub struct Lookup {
    pub(super) replies: Vec<FoundReply>,
    pub(super) failure: Option<Arc<Error>>,
}

impl Lookup {
    /// The answer to each keyword, in the order in which they were given. Decrypts the replies, which takes
    /// about a millisecond each: do it where nothing waits that sends or receives, so that the time shows
    /// nowhere.
    #[must_use]
    pub fn answers(&self) -> Vec<Result<Answer, Arc<Error>>> {
        let answer = |found: &FoundReply| match found {
            Ok((reply, source)) => Ok(reply.answer(*source)),
            Err(error) => Err(Arc::clone(error)),
        };
        self.replies.iter().map(answer).collect()
    }

    /// Why the service could not be asked for all keywords; some answers may be cached nevertheless.
    #[must_use]
    pub fn failure(&self) -> Option<&Arc<Error>> {
        self.failure.as_ref()
    }

    /// The answers to keywords that are all cached and fresh.
    #[cfg(feature = "tokio")]
    pub(crate) fn of_cached(
        keywords: &Keywords,
        answers: &Answers,
        now: Timestamp,
    ) -> Option<Self> {
        let keywords = keywords.as_slice();
        let reply = |keyword: &Vec<u8>| Some(Ok((answers.fresh(keyword, now)?, Source::Cache)));
        let replies = keywords.iter().map(reply).collect::<Option<_>>()?;
        Some(Self { replies, failure: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sans_io::{Client, Keywords};
    use crate::state::ClientState;
    use pir_api::{Message, api};
    use zeroize::Zeroizing;

    /// How long decryption takes depends on the secret key, so nothing is decrypted before the caller says so.
    #[test]
    fn a_lookup_leaves_its_replies_encrypted() {
        let case = interop_cases::pir::Case::named("synthetic_small_logt5");
        let key = case.uploaded_key();
        let made_at = Timestamp::from_unix_seconds(key.timestamp);
        let secret = Zeroizing::new(case.secret_key());
        let state = ClientState::new().with_secret_key(key.config_hash, made_at, secret);
        let now = Now::new(made_at + Duration::from_secs(60), Duration::ZERO);
        let builder = Client::builder("https://pir.example", case.use_case()).state(state);
        let mut client = builder.build(now).unwrap();
        let mut config =
            api::ConfigResponse::decode(&case.record("_config.response.bin")[0][..]).unwrap();
        config.key_info[0].timestamp = key.timestamp;
        let replies = case.record("_queries.response.bin").remove(0);
        let expected = case.expected();
        let keywords = expected[..3].iter().map(|(keyword, _)| keyword.clone().into());
        client.start_lookup(Keywords::unrelated(keywords.collect()), now);
        let lookup = loop {
            match client.next_output().unwrap() {
                Output::Send(request) => {
                    let body = match request.request.uri().path() {
                        "/config" => config.encode_to_vec(),
                        _ => replies.clone(),
                    };
                    let response = http::Response::new(Bytes::from(body));
                    client.handle_response(request.id, Ok(response), now);
                }
                Output::Done(_, Outcome::Lookup(lookup)) => break lookup,
                _ => {}
            }
        };
        let are_encrypted = || -> Vec<bool> {
            let replies = lookup.replies.iter();
            replies
                .map(|found| found.as_ref().is_ok_and(|(reply, _)| reply.is_encrypted()))
                .collect()
        };
        assert_eq!(are_encrypted(), [true; 3]);
        assert!(lookup.answers().iter().all(Result::is_ok));
        assert_eq!(are_encrypted(), [false; 3]);
    }
}
