//! A transport that is a function, and recorded exchanges of Apple's client and service.

use bytes::Bytes;
use filter_client::{ClientOptions, Exchange, Transport, TransportError};
use pir_api::{Message, api};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use unix_clock::Timestamp;
use zeroize::Zeroizing;

pub(crate) type Outcome = Result<http::Response<Bytes>, TransportError>;

type Answer = dyn Fn(&http::Request<Bytes>) -> Outcome + Send + Sync;

/// Answers with a function and records the requests.
pub(crate) struct Function {
    answer: Box<Answer>,
    pub(crate) asked: Mutex<Vec<http::Request<Bytes>>>,
    /// The largest bodies that were allowed in responses, in order.
    pub(crate) max_bodies: Mutex<Vec<usize>>,
}

impl Function {
    pub(crate) fn new(
        answer: impl Fn(&http::Request<Bytes>) -> Outcome + Send + Sync + 'static,
    ) -> Arc<Self> {
        let answer = Box::new(answer);
        Arc::new(Self { answer, asked: Mutex::default(), max_bodies: Mutex::default() })
    }

    /// The paths of all requests, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| request.uri().path().to_owned()).collect()
    }
}

impl Transport for Function {
    fn send(&self, request: http::Request<Bytes>, max_body: usize) -> Exchange<'_> {
        let outcome = (self.answer)(&request);
        self.asked.lock().unwrap().push(request);
        self.max_bodies.lock().unwrap().push(max_body);
        let outcome = outcome.and_then(|response| match response.body().len() <= max_body {
            true => Ok(response),
            false => Err(TransportError::TooLong(max_body)),
        });
        Box::pin(std::future::ready(outcome))
    }
}

pub(crate) fn ok(body: impl Into<Bytes>) -> Outcome {
    Ok(http::Response::new(body.into()))
}

pub(crate) fn status(code: u16) -> Outcome {
    let body = r#"{"error":{"message":"said so"}}"#;
    Ok(http::Response::builder().status(code).body(Bytes::from(body)).unwrap())
}

/// Options that never wait, and keep the keys that they have.
pub(crate) fn without_waits() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.retry.initial_backoff = Duration::ZERO;
    options.retry.max_backoff = Duration::ZERO;
    options.outage_backoff = Duration::ZERO;
    // Recorded keys are old.
    options.key_lifetime = Duration::MAX;
    options
}

/// A recorded use case.
pub(crate) struct Case(interop_cases::pir::Case);

impl Case {
    pub(crate) fn new(name: &str) -> Self {
        Self(interop_cases::pir::Case::named(name))
    }

    /// The cases of this repository.
    pub(crate) fn carried() -> Vec<Self> {
        interop_cases::pir::Case::carried().into_iter().map(Self).collect()
    }

    /// The cases outside of this repository.
    pub(crate) fn shared() -> Vec<Self> {
        interop_cases::pir::Case::shared().into_iter().map(Self).collect()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.folder()
    }

    pub(crate) fn use_case(&self) -> String {
        self.0.use_case()
    }

    /// The number of shards.
    pub(crate) fn shard_count(&self) -> u32 {
        self.0.shards().len() as u32
    }

    /// Keywords in the order in which they were queried, with their values.
    pub(crate) fn expected(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let expected = self.0.expected().into_iter();
        expected.map(|(keyword, value)| (keyword, value.map(String::into_bytes))).collect()
    }

    /// The recorded bodies of a path, in order.
    pub(crate) fn record(&self, path: &str, ending: &str) -> Vec<Vec<u8>> {
        self.0.record(&format!("{}.{ending}.bin", path.replace('/', "_")))
    }

    pub(crate) fn config(&self) -> api::ConfigResponse {
        api::ConfigResponse::decode(&self.record("/config", "response")[0][..]).unwrap()
    }

    /// The recorded client's secret key, after the hash of its configuration and its time.
    pub(crate) fn secret(&self) -> (Vec<u8>, Timestamp, Zeroizing<Vec<u8>>) {
        let uploaded = self.0.uploaded_key();
        let timestamp = Timestamp::from_unix_seconds(uploaded.timestamp);
        (uploaded.config_hash, timestamp, Zeroizing::new(self.0.secret_key()))
    }

    /// The recorded configuration, with the state of a service that has the recorded key.
    pub(crate) fn config_with_key(&self) -> Vec<u8> {
        let mut config = self.config();
        config.key_info[0].timestamp = self.secret().1.unix_seconds();
        config.encode_to_vec()
    }
}
