//! The gateway: opens encapsulated requests, has them answered, and seals the answers.

use super::keys::{GatewayKeys, KeyError, KeyRotation, Ring};
use super::message::{parse_request, write_response};
use super::{GatewayAnswer, GatewayError, GatewayRefusal, SealError};
use crate::blocking::{TaskFailed, blocking};
use crate::configuration::{DeviceRequest, GatewaySettings, Origin};
use crate::host::host_name;
use crate::store::{Lease, Store, wait_for_keys, with_lease};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use std::num::NonZero;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tower::ServiceExt;
use unix_clock::Timestamp;

impl From<KeyError> for GatewayError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error.into())
    }
}

/// How long keys must have been ahead of the clock before they count as drawn by one that was ahead.
const MIN_AHEAD: Duration = Duration::from_secs(3600);

/// Opens encapsulated requests, has them answered, and seals the answers.
pub(crate) struct Gateway {
    store: Arc<dyn Store>,
    rotation: KeyRotation,
    ring: ArcSwap<Ring>,
    /// Held while keys rotate: one rotation at a time.
    rotating: Mutex<()>,
    /// Hosts that this service answers for.
    hosts: Vec<String>,
    origins: Vec<Origin>,
    /// What origins are asked.
    requests: Vec<DeviceRequest>,
    http: reqwest::Client,
    /// Largest body of an origin's answer.
    max_bytes: usize,
    /// Since when the newest key has been ahead of the clock.
    ahead_since: std::sync::Mutex<Option<Instant>>,
    /// For requests that are opened and answers that are sealed at a time, which anyone can ask for: as many as there are cores.
    permits: Arc<Semaphore>,
}

/// A request that was opened, and the context that seals its answer.
#[must_use = "its answer must be sealed and sent"]
pub(crate) struct OpenedRequest {
    request: Vec<u8>,
    response: ohttp::ServerResponse,
}

impl Gateway {
    /// Reads the keys of a store, and creates them if they are absent or due. While another node creates them, it
    /// waits. Answers of origins are limited to `max_bytes` and to `timeout`.
    ///
    /// # Errors
    /// [`GatewayError::Store`] if the store fails, or another node does not finish; [`GatewayError::Keys`] if no
    /// key can be created; [`GatewayError::Client`] if the TLS library refuses its settings.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        settings: &GatewaySettings,
        max_bytes: usize,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<Self, GatewayError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .build()
            .map_err(|error| GatewayError::Client(error.into()))?;
        let gateway = Self {
            store,
            rotation: KeyRotation { period: settings.rotation, overlap: settings.overlap },
            ring: ArcSwap::default(),
            rotating: Mutex::default(),
            hosts: settings.hosts.clone(),
            origins: settings.origins.clone(),
            requests: settings.requests.clone(),
            http,
            max_bytes,
            ahead_since: std::sync::Mutex::default(),
            permits: Arc::new(Semaphore::new(
                thread::available_parallelism().map_or(1, NonZero::get),
            )),
        };
        wait_for_keys(async || {
            gateway.maintain(now).await?;
            Ok::<_, GatewayError>(!gateway.ring.load().is_empty())
        })
        .await?;
        Ok(gateway)
    }

    async fn stored(&self) -> Result<GatewayKeys, GatewayError> {
        let text = self.store.gateway_keys().await?;
        match text {
            None => Ok(GatewayKeys::default()),
            Some(text) => GatewayKeys::from_json(&text).ok_or(GatewayError::Damaged),
        }
    }

    /// Takes over the keys that other nodes created, and creates and retires keys that are due at `now`, unless
    /// another node is doing so.
    ///
    /// # Errors
    /// As [`Gateway::open`]; the keys in use stay as they were.
    pub(crate) async fn maintain(&self, now: Timestamp) -> Result<(), GatewayError> {
        let _guard = self.rotating.lock().await;
        let mut keys = self.stored().await?;
        if (self.are_long_ahead(&keys, now) || keys.is_due(self.rotation, now))
            && let Some(rotated) =
                with_lease(&*self.store, async |lease| self.rotate(now, lease).await).await?
        {
            keys = rotated;
        }
        let ring = keys.ring()?;
        self.ring.store(Arc::new(ring));
        Ok(())
    }

    /// Whether keys have been ahead of the clock for so long that it is not the clock that is behind, as on a machine that has
    /// just started.
    fn are_long_ahead(&self, keys: &GatewayKeys, now: Timestamp) -> bool {
        let mut since = self.ahead_since.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.is_ahead(now) {
            *since = None;
            return false;
        }
        since.get_or_insert_with(Instant::now).elapsed() >= MIN_AHEAD
    }

    /// Creates and retires keys. They are stored before they are used or published.
    async fn rotate(&self, now: Timestamp, lease: &Lease) -> Result<GatewayKeys, GatewayError> {
        // Read again under the lease: another node may have changed them since.
        let mut keys = self.stored().await?;
        if self.are_long_ahead(&keys, now) {
            keys.publish_soon(now);
        }
        keys.rotate(self.rotation, now)?;
        self.store.put_gateway_keys(&keys.to_json(), lease).await?;
        Ok(keys)
    }

    /// The published key configurations, in the media type `application/ohttp-keys` (RFC 9458, section 3.2).
    #[must_use]
    pub(crate) fn published(&self, now: Timestamp) -> Option<Vec<u8>> {
        self.ring.load().published(now)
    }

    /// Runs work of a fraction of a millisecond, and a millisecond for each megabyte, on one of few threads for it. `held` is
    /// given back with the result, or when the work ends if nobody waits for it.
    pub(crate) async fn computing<T: Send + 'static, H: Send + 'static>(
        &self,
        held: H,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, H), TaskFailed> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.expect("the semaphore is never closed");
        blocking(move || {
            let result = work();
            drop(permit);
            Ok::<_, TaskFailed>((result, held))
        })
        .await
    }

    /// Opens an encapsulated request.
    ///
    /// # Errors
    /// [`GatewayRefusal::Key`]. It is the one refusal that is not sealed: there is no key for it.
    pub(crate) fn open_request(
        &self,
        encapsulated: &[u8],
    ) -> Result<OpenedRequest, GatewayRefusal> {
        let ring = self.ring.load();
        let (request, response) = ring.decapsulate(encapsulated).ok_or(GatewayRefusal::Key)?;
        Ok(OpenedRequest { request, response })
    }

    /// Has a request in Binary HTTP answered in Binary HTTP.
    pub(crate) async fn answer(&self, request: &[u8], local: &Router) -> GatewayAnswer {
        let request = parse_request(request).map_err(|_| GatewayRefusal::Message);
        let mut answer = match request {
            Ok(request) => self.pass_on(request, local).await,
            Err(refusal) => Err(refusal),
        };
        let held = answer.as_mut().ok().and_then(|answer| answer.extensions_mut().remove());
        let answer =
            answer.and_then(|response| write_response(&response).ok_or(GatewayRefusal::Origin));
        let (message, refusal) = match answer {
            Ok(message) => (message, None),
            Err(refusal) => {
                let message = write_response(&refusal_response(refusal));
                (message.expect("refusals have final statuses"), Some(refusal))
            }
        };
        GatewayAnswer { message, refusal, held }
    }

    async fn pass_on(
        &self,
        request: Request<Bytes>,
        local: &Router,
    ) -> Result<Response<Bytes>, GatewayRefusal> {
        let host = request.uri().authority().map(host_name).ok_or(GatewayRefusal::Message)?;
        if self.hosts.contains(&host) {
            let request = request.map(Body::from);
            let response =
                local.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
            let (head, body) = response.into_parts();
            // The length of this service's own answers is bounded by what it serves.
            let body = body.collect().await.map_err(|_| GatewayRefusal::Origin)?;
            return Ok(Response::from_parts(head, body.to_bytes()));
        }
        let origin = self.origins.iter().find(|origin| origin.host == host);
        let origin = origin.ok_or(GatewayRefusal::Target)?;
        self.ask(origin, request).await
    }

    async fn ask(
        &self,
        origin: &Origin,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, GatewayRefusal> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let wanted = self.requests.iter().find(|wanted| wanted.is(&head.method, path));
        // The path is the configured one from here on: nothing of the request becomes a part of an address.
        let wanted = wanted.ok_or(GatewayRefusal::Request)?;
        let asked = self.http.request(head.method, origin.at(wanted));
        let mut headers = head.headers;
        // The origin is addressed by the host that devices use.
        if let Ok(host) = http::HeaderValue::from_str(&origin.host) {
            headers.insert(http::header::HOST, host);
        }
        let answer = asked.headers(headers).body(body).send().await;
        let answer: Response<reqwest::Body> = answer.map_err(|_| GatewayRefusal::Origin)?.into();
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.max_bytes).collect().await;
        let body = body.map_err(|_| GatewayRefusal::Origin)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

impl OpenedRequest {
    /// The request in Binary HTTP.
    #[must_use]
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Encapsulates the answer.
    ///
    /// # Errors
    /// [`SealError`] if the library fails.
    pub(crate) fn seal(self, response: &[u8]) -> Result<Vec<u8>, SealError> {
        self.response.encapsulate(response).map_err(|error| SealError(error.into()))
    }
}

fn refusal_response(refusal: GatewayRefusal) -> Response<Bytes> {
    let status = match refusal {
        GatewayRefusal::Key | GatewayRefusal::Message => StatusCode::BAD_REQUEST,
        GatewayRefusal::Target | GatewayRefusal::Request => StatusCode::FORBIDDEN,
        GatewayRefusal::Origin => StatusCode::BAD_GATEWAY,
    };
    let body = serde_json::json!({ "error": { "message": refusal.to_string() } }).to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::StoreSettings;
    use crate::store::EmbeddedStore;

    #[tokio::test(start_paused = true)]
    async fn keys_of_a_clock_that_was_ahead_are_published_after_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&StoreSettings::in_folder(folder.path())).unwrap();
        let (begin, ahead) =
            (Timestamp::from_unix_seconds(1_000_000), Timestamp::from_unix_seconds(90_000_000));
        let settings = GatewaySettings {
            hosts: vec!["a.example".to_owned()],
            origins: Vec::new(),
            requests: Vec::new(),
            rotation: Duration::from_secs(1_000_000),
            overlap: Duration::from_secs(500_000),
        };
        let timeout = Duration::from_secs(1);
        let gateway = Gateway::open(Arc::new(store), &settings, 1, timeout, begin).await.unwrap();
        let first = gateway.published(begin).unwrap();
        gateway.maintain(ahead).await.unwrap();
        let second = gateway.published(ahead + Duration::from_secs(300)).unwrap();
        assert_ne!(first, second);
        // It may be the clock of now that is behind.
        let second_is_published =
            || gateway.published(begin + Duration::from_secs(300)).unwrap() == second;
        for (passed, is_published) in
            [(0, false), (MIN_AHEAD.as_secs() - 1, false), (1, true), (1, true)]
        {
            tokio::time::advance(Duration::from_secs(passed)).await;
            gateway.maintain(begin).await.unwrap();
            assert_eq!(second_is_published(), is_published, "{passed}");
        }
    }
}
