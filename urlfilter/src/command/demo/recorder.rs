//! What the service sees of a client.

use bytes::Bytes;
use filter_client::{Exchange, HttpTransport, Transport};
use std::sync::{Mutex, PoisonError};

/// One request as the service sees it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    /// Names of the header fields that say something about the client.
    pub(super) headers: Vec<&'static str>,
    /// Length of the request's body, in bytes.
    pub(super) sent: usize,
    /// Length of the answer's body, in bytes; `None` if there was no answer.
    pub(super) received: Option<usize>,
}

/// Sends requests on, and keeps what is visible of them.
pub(super) struct Recorder {
    inner: HttpTransport,
    seen: Mutex<Vec<Seen>>,
}

/// Header fields that tell clients apart, or let them in.
const TELLING: [&str; 3] = ["authorization", "user-identifier", "user-agent"];

impl Recorder {
    pub(super) fn new(inner: HttpTransport) -> Self {
        Self { inner, seen: Mutex::default() }
    }

    /// What was seen since the last call.
    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Transport for Recorder {
    fn send(&self, request: http::Request<Bytes>, max_body: usize) -> Exchange<'_> {
        Box::pin(async move {
            let headers = TELLING.into_iter().filter(|name| request.headers().contains_key(*name));
            let mut seen = Seen {
                method: request.method().to_string(),
                path: request.uri().path().to_owned(),
                headers: headers.collect(),
                sent: request.body().len(),
                received: None,
            };
            let response = self.inner.send(request, max_body).await;
            seen.received = response.as_ref().ok().map(|response| response.body().len());
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            response
        })
    }
}
