//! A transport that is a function, and recorded exchanges of Apple's client and service.

use bytes::Bytes;
use filter_client::{ClientOptions, Exchange, Transport, TransportError};
use pir_api::{Message, api};
use std::fs;
use std::path::{Path, PathBuf};
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

/// Options that never wait.
pub(crate) fn without_waits() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.retry.initial_backoff = Duration::ZERO;
    options.retry.max_backoff = Duration::ZERO;
    options.outage_backoff = Duration::ZERO;
    options
}

/// A recorded case.
pub(crate) struct Case(pub(crate) PathBuf);

impl Case {
    pub(crate) fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testvectors/interop/pir");
        Self(root.join(name))
    }

    /// The cases of this repository.
    pub(crate) fn all() -> Vec<Self> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Self::of(&repository.join("testvectors/interop/pir"))
    }

    /// The cases outside of this repository.
    pub(crate) fn all_shared() -> Vec<Self> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let shared = match std::env::var_os("URLFILTER_VECTORS") {
            Some(folder) => PathBuf::from(folder),
            None => repository.join("../shared/vectors"),
        };
        Self::of(&shared.join("pir"))
    }

    fn of(folder: &Path) -> Vec<Self> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let cases: Vec<_> = paths.filter(|path| path.join("record").exists()).map(Self).collect();
        assert!(!cases.is_empty());
        cases
    }

    pub(crate) fn use_case(&self) -> String {
        fs::read_to_string(self.0.join("usecase")).unwrap().trim().to_owned()
    }

    /// Keywords in the order in which they were queried, with their values.
    pub(crate) fn expected(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let asked = fs::read_to_string(self.0.join("asked.txt")).unwrap();
        let expected = fs::read(self.0.join("expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
        let value = |line: &str| expected[line].as_str().map(|text| text.as_bytes().to_vec());
        let lines = asked.lines().filter(|line| !line.is_empty());
        lines.map(|line| (line.to_owned(), value(line))).collect()
    }

    /// The recorded bodies of a path, in order.
    pub(crate) fn record(&self, path: &str, ending: &str) -> Vec<Vec<u8>> {
        let ending = format!("{}.{ending}.bin", path.replace('/', "_"));
        let mut paths: Vec<PathBuf> = fs::read_dir(self.0.join("record"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().ends_with(&ending))
            .collect();
        paths.sort();
        paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
    }

    pub(crate) fn config(&self) -> api::ConfigResponse {
        api::ConfigResponse::decode(&self.record("/config", "response")[0][..]).unwrap()
    }

    /// The recorded client's secret key, after the hash of its configuration and its time.
    pub(crate) fn secret(&self) -> (Vec<u8>, Timestamp, Zeroizing<Vec<u8>>) {
        let uploaded = &self.record("/key", "request")[0];
        let uploaded = api::shared::EvaluationKeys::decode(&uploaded[..]).unwrap();
        let metadata = uploaded.keys[0].metadata.clone().unwrap();
        let path = fs::read_dir(self.0.join("record"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_str().unwrap().contains("secret-key-"))
            .unwrap();
        let key = pir_api::he::SerializedSecretKey::decode(&fs::read(path).unwrap()[..]).unwrap();
        let timestamp = Timestamp::from_unix_seconds(metadata.timestamp);
        (metadata.identifier, timestamp, Zeroizing::new(key.polys))
    }

    /// The recorded configuration, with the state of a service that has the recorded key.
    pub(crate) fn config_with_key(&self) -> Vec<u8> {
        let mut config = self.config();
        config.key_info[0].timestamp = self.secret().1.unix_seconds();
        config.encode_to_vec()
    }
}
