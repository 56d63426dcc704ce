//! An Oblivious HTTP gateway (RFC 9458): opens what a relay passes on, and has it answered here or by
//! configured origins. Who asked stays with the relay, what was asked stays here.
//!
//! Keys rotate: a new one is known to all nodes for a while before it is published, and an earlier one
//! is accepted for a while after.

mod keys;
mod message;

pub(crate) use message::is_host;

pub use message::{MAX_FIELDS, MessageError, parse_request};

use crate::configuration::GatewaySettings;
use crate::store::{Lease, Store, StoreError, leased};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use keys::{GatewayKeys, KeyRotation, Ring};
use message::host_name;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tower::ServiceExt;

/// The gateway cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be drawn.
    #[error("gateway keys: {0}")]
    Keys(String),
    /// Origins cannot be asked.
    #[error("gateway.origins: {0}")]
    Origins(String),
}

/// Why an encapsulated request was not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GatewayRefusal {
    /// It is for a key that is not known here, or not any more, or was changed on its way.
    #[error("the request cannot be opened; fetch the key configuration again")]
    Key,
    /// What is in it is no request.
    #[error("the request in it is not one")]
    Message,
    /// It is for someone else.
    #[error("this gateway does not pass requests on to that host")]
    Target,
    /// Its origin does not answer.
    #[error("the origin does not answer")]
    Origin,
}

/// Someone else's answers, by the host that requests name.
struct Origin {
    host: String,
    base: String,
}

/// The gateway.
pub struct Gateway {
    store: Arc<dyn Store>,
    rotation: KeyRotation,
    ring: ArcSwap<Ring>,
    /// One rotation at a time.
    rotating: Mutex<()>,
    hosts: Vec<String>,
    origins: Vec<Origin>,
    http: reqwest::Client,
    /// Longest answer of an origin.
    most: usize,
}

/// A request that was opened, and how its answer is closed.
pub struct Opened {
    request: Vec<u8>,
    response: ohttp::ServerResponse,
}

/// Pause between looks for keys that another node draws, and how many.
const PAUSE: Duration = Duration::from_millis(100);
const LOOKS: u32 = 100;

impl Gateway {
    /// Takes the keys of a store, and draws those that are not there, or that it is time for.
    pub async fn open(
        store: Arc<dyn Store>,
        settings: &GatewaySettings,
        most: usize,
        patience: Duration,
        now: u64,
    ) -> Result<Self, GatewayError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(patience)
            .build()
            .map_err(|error| GatewayError::Origins(error.to_string()))?;
        // Settings that were checked have names of hosts only.
        let name =
            |host: &String| host.parse().map_or_else(|_| host.clone(), |host| host_name(&host));
        let origin = |(host, base): (&String, &String)| Origin {
            host: name(host),
            base: base.trim_end_matches('/').to_owned(),
        };
        let gateway = Self {
            store,
            rotation: KeyRotation {
                seconds: u64::from(settings.rotation_days) * 86_400,
                overlap: u64::from(settings.overlap_days) * 86_400,
            },
            ring: ArcSwap::default(),
            rotating: Mutex::default(),
            hosts: settings.hosts.iter().map(name).collect(),
            origins: settings.origins.iter().map(origin).collect(),
            http,
            most,
        };
        for _ in 0..LOOKS {
            gateway.maintain(now).await?;
            if !gateway.ring.load().is_empty() {
                return Ok(gateway);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(GatewayError::Keys(
            "another node has begun to draw them and does not finish".to_owned(),
        ))
    }

    async fn stored(&self) -> Result<GatewayKeys, GatewayError> {
        let text = self.store.gateway_keys().await?;
        Ok(match text.map(|text| GatewayKeys::from_json(&text)) {
            None => GatewayKeys::default(),
            Some(Some(keys)) => keys,
            Some(None) => {
                tracing::error!("gateway keys cannot be read; new ones are drawn");
                GatewayKeys::default()
            }
        })
    }

    /// Takes over what other nodes did, and draws and retires keys as time goes by.
    pub async fn maintain(&self, now: u64) -> Result<(), GatewayError> {
        let _one = self.rotating.lock().await;
        let mut keys = self.stored().await?;
        if keys.is_due(self.rotation, now)
            && let Some(rotated) =
                leased(&*self.store, async |lease| self.rotate(now, lease).await).await?
        {
            keys = rotated;
        }
        let ring = keys.ring().map_err(GatewayError::Keys)?;
        self.ring.store(Arc::new(ring));
        Ok(())
    }

    /// Draws and retires keys, and keeps them before anyone sees them.
    async fn rotate(&self, now: u64, lease: &Lease) -> Result<GatewayKeys, GatewayError> {
        // Once more: the lease may have been another's a moment ago.
        let mut keys = self.stored().await?;
        keys.rotate(self.rotation, now).map_err(GatewayError::Keys)?;
        self.store.put_gateway_keys(&keys.to_json(), lease).await?;
        Ok(keys)
    }

    /// The key configurations that are published, `application/ohttp-keys`.
    pub fn published(&self, now: u64) -> Option<Vec<u8>> {
        self.ring.load().published(now)
    }

    /// Opens a request. Takes a fraction of a millisecond, and a millisecond a megabyte.
    ///
    /// # Errors
    /// [`GatewayRefusal::Key`], which is told in the open.
    pub fn open_request(&self, encapsulated: &[u8]) -> Result<Opened, GatewayRefusal> {
        let ring = self.ring.load();
        let (request, response) = ring.decapsulate(encapsulated).ok_or(GatewayRefusal::Key)?;
        Ok(Opened { request, response })
    }

    /// Has a request answered, and gives the answer as it stands in the capsule. What is refused is
    /// refused in it, too.
    pub async fn answer(
        &self,
        request: &[u8],
        local: &Router,
    ) -> (Vec<u8>, Option<GatewayRefusal>) {
        let (response, refused) = match self.pass_on(request, local).await {
            Ok(response) => (response, None),
            Err(refusal) => (refusal_response(refusal), Some(refusal)),
        };
        (message::write_response(&response), refused)
    }

    async fn pass_on(
        &self,
        request: &[u8],
        local: &Router,
    ) -> Result<Response<Bytes>, GatewayRefusal> {
        let request = parse_request(request).map_err(|_| GatewayRefusal::Message)?;
        let host = request.uri().authority().map(host_name).unwrap_or_default();
        if self.hosts.contains(&host) {
            let request = request.map(Body::from);
            // The router has no errors of its own.
            let response =
                local.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
            let (head, body) = response.into_parts();
            // Answers of this service are as long as they are.
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
        let asked = self.http.request(head.method, format!("{}{path}", origin.base));
        let mut headers = head.headers;
        // The origin knows itself by the name that devices know.
        if let Ok(host) = http::HeaderValue::from_str(&origin.host) {
            headers.insert(http::header::HOST, host);
        }
        let answer = asked.headers(headers).body(body).send().await;
        let answer: Response<reqwest::Body> = answer.map_err(|_| GatewayRefusal::Origin)?.into();
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.most).collect().await;
        let body = body.map_err(|_| GatewayRefusal::Origin)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

impl Opened {
    /// The request in it, in Binary HTTP.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Closes its answer.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn close(self, response: &[u8]) -> Result<Vec<u8>, ohttp::Error> {
        self.response.encapsulate(response)
    }
}

fn refusal_response(refusal: GatewayRefusal) -> Response<Bytes> {
    let status = match refusal {
        GatewayRefusal::Key | GatewayRefusal::Message => StatusCode::BAD_REQUEST,
        GatewayRefusal::Target => StatusCode::FORBIDDEN,
        GatewayRefusal::Origin => StatusCode::BAD_GATEWAY,
    };
    let body = serde_json::json!({ "error": { "message": refusal.to_string() } }).to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
