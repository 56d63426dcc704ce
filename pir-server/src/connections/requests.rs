//! Requests of one connection: what is kept of their heads, and the memory that they and their answers take.
//!
//! A head may hold hundreds of fields in a few bytes each, and each field keeps the whole frame alive that it came in.
//! So the fields that endpoints read are copied, and all others are dropped, before anything waits.

use super::link::{Link, Open, Waiting};
use crate::endpoints::{AnswerBytes, Held, HeldAnswer, Refusal, SharedAnswer, UncountedAnswer};
use crate::fields::REQUEST_FIELDS;
use crate::metrics::{Closing, Endpoint};
use crate::peer_budget::{BodyEnd, Endable, PeerBudgetExhausted, PeerShare};
use crate::service::Service;
use axum::BoxError;
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::ORIGIN;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use hyper::body::{Frame, Incoming, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tower::ServiceExt;

/// Memory that a request takes besides its head and bodies: the library's state of it, and that of its handler.
const REQUEST_BYTES: usize = 8 << 10;
/// Memory of the first request of a connection that is not counted: the number of connections bounds it. So probes and
/// lookups are answered while others hold the whole budget.
const FIRST_REQUEST_BYTES: usize = 2 * REQUEST_BYTES;
/// Memory of an answer whose bytes are the same for all, such as a prefilter: what is copied of it to be encrypted.
const SHARED_ANSWER_BYTES: usize = 64 << 10;
/// Longest path, with its query.
const MAX_PATH_BYTES: usize = 1024;
/// Values of one field that are kept.
const MAX_VALUES: usize = 4;
/// Fields of a head. Devices send about ten, and balancers pass on a hundred at most.
const MAX_FIELDS: usize = 128;

/// Whether a head has more fields than any client sends. In HTTP/2 each may take a byte, and much more time to decode.
fn has_too_many_fields(headers: &HeaderMap) -> bool {
    headers.len() > MAX_FIELDS
}

/// Answers the requests of one connection.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) link: Arc<Link>,
    pub(super) service: Arc<Service>,
}

/// The fields that endpoints read, in memory of their own, and their length.
fn kept(headers: &HeaderMap) -> (HeaderMap, usize) {
    let (mut kept, mut bytes) = (HeaderMap::new(), 0);
    // No device sends an origin. Browsers do, which is why the endpoints for operators read it.
    for name in REQUEST_FIELDS.into_iter().chain([ORIGIN]) {
        for value in headers.get_all(&name).iter().take(MAX_VALUES) {
            let copy = HeaderValue::from_bytes(value.as_bytes()).expect("it is a value already");
            bytes += name.as_str().len() + copy.len();
            kept.append(name.clone(), copy);
        }
    }
    (kept, bytes)
}

/// The path and the query, in memory of their own. `None` if they are too long for any endpoint.
fn path(uri: &Uri) -> Option<Uri> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if path.len() > MAX_PATH_BYTES {
        return None;
    }
    Uri::from_maybe_shared(Bytes::copy_from_slice(path.as_bytes())).ok()
}

impl Requests {
    /// The request with its head reduced, and its share of the memory. A head of too many fields ends the connection.
    fn admit(&self, head: Parts, body: Incoming) -> Result<(Request<Body>, Admitted), Refusal> {
        if has_too_many_fields(&head.headers) {
            // What follows in the connection is not decoded.
            self.service.metrics().connection_ended(Closing::Fields);
            self.link.close();
            return Err(Refusal::Invalid(format!("more than {MAX_FIELDS} header fields")));
        }
        let (headers, head_bytes) = kept(&head.headers);
        let uri = path(&head.uri).ok_or(Refusal::NotFound)?;
        let share =
            Arc::new(self.service.unauthenticated_budget().share(Some(self.link.peer.key.into())));
        // This request is counted already.
        let is_first = self.link.open_requests() <= 1;
        let bytes = REQUEST_BYTES + head_bytes;
        let bytes = if is_first { bytes.saturating_sub(FIRST_REQUEST_BYTES) } else { bytes };
        share.grow(bytes).map_err(|_| Refusal::Busy)?;
        let is_over = hyper::body::Body::is_end_stream(&body);
        let body = match is_over {
            true => Body::empty(),
            false => Body::new(Upload::new(body, &self.link, &share)),
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = uri;
        *request.version_mut() = head.version;
        *request.headers_mut() = headers;
        request.extensions_mut().insert(Arc::clone(&share));
        Ok((request, Admitted { share, bytes }))
    }

    fn refuse(&self, refusal: Refusal) -> Response<Body> {
        if matches!(refusal, Refusal::Busy) {
            self.service.metrics().refused_busy(Endpoint::Other);
        }
        refusal.into_response()
    }
}

/// The share of a request, and what its head takes of it.
struct Admitted {
    share: Arc<PeerShare>,
    bytes: usize,
}

impl Admitted {
    /// The answer is ready, and `more` bytes of it are not counted.
    fn answered(&self, link: &Arc<Link>, more: usize) -> Result<(), PeerBudgetExhausted> {
        let end = Arc::<Link>::clone(link);
        if self.share.awaits_peer(self.bytes, end).is_err() {
            // Not even the refusal can be counted.
            link.end();
        }
        self.share.grow(more)
    }
}

/// Length of an answer.
fn bytes(response: &Response<Body>) -> usize {
    response.extensions().get().map_or(0, |AnswerBytes(bytes)| *bytes)
}

/// Bytes of an answer that are not counted with its request.
fn uncounted(response: &Response<Body>) -> usize {
    let bytes = bytes(response);
    let bytes = match response.extensions().get() {
        Some(SharedAnswer) => bytes.min(SHARED_ANSWER_BYTES),
        None => bytes,
    };
    bytes.saturating_sub(REQUEST_BYTES / 2)
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (handling, open) = self.link.begin();
        let (head, body) = request.into_parts();
        // An answer to anything else needs a token and counts with the body, is as short as a head, or says that it is not counted.
        let is_uncounted = head.method == Method::GET;
        let (request, admitted) = match self.admit(head, body) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let response = self.refuse(refusal);
                let answer = response.map(|body| Answer { body, share: None, _open: open });
                return Box::pin(std::future::ready(Ok(answer)));
            }
        };
        let answering = self.router.clone().oneshot(request);
        let this = self.clone();
        Box::pin(async move {
            // The requests of a pipeline are otherwise answered one after the other while all other connections wait.
            tokio::task::yield_now().await;
            let mut response = answering.await.unwrap_or_else(|never| match never {});
            drop(handling);
            let is_uncounted =
                is_uncounted || response.extensions().get::<UncountedAnswer>().is_some();
            let held = response.extensions_mut().remove().map(|HeldAnswer(held)| held);
            let more = if is_uncounted { uncounted(&response) } else { 0 };
            let counted = admitted.answered(&this.link, more).is_ok();
            let end: Arc<dyn Endable> = Arc::<Link>::clone(&this.link);
            let is_room =
                held.as_ref().is_none_or(|held| held.awaits_peer(bytes(&response), &end).is_ok());
            // The memory of what is not sent is given back at once.
            let held = held.filter(|_| counted && is_room);
            if !counted || !is_room {
                response = this.refuse(Refusal::Busy);
            }
            let share = Some(AnswerShare { request: admitted.share, held });
            Ok(response.map(|body| Answer { body, share, _open: open }))
        })
    }
}

/// The body of a request. The connection counts as working for it only while the body does not keep it waiting. It may
/// be ended for others: with [`PeerBudgetExhausted`], once. What comes after that can be read and discarded.
struct Upload {
    body: Incoming,
    waiting: Option<Waiting>,
    _open: Open,
    link: Arc<Link>,
    /// Not kept alive by what is read and discarded after the answer.
    share: Weak<PeerShare>,
    end: Arc<BodyEnd>,
    /// Whether it was told that it must end.
    has_ended: bool,
}

impl Upload {
    fn new(body: Incoming, link: &Arc<Link>, share: &Arc<PeerShare>) -> Self {
        let end = Arc::new(BodyEnd::default());
        share.awaits_body(Arc::<BodyEnd>::clone(&end));
        let (open, link, share) = (Open::new(link), Arc::clone(link), Arc::downgrade(share));
        Self { body, waiting: None, _open: open, link, share, end, has_ended: false }
    }

    fn has_arrived(&self) {
        if let Some(share) = self.share.upgrade() {
            share.body_arrived();
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.has_arrived();
    }
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if !this.has_ended && this.end.poll(context).is_ready() {
            this.has_ended = true;
            return Poll::Ready(Some(Err(PeerBudgetExhausted.into())));
        }
        let frame = Pin::new(&mut this.body).poll_frame(context);
        match &frame {
            Poll::Pending => {
                let link = &this.link;
                this.waiting.get_or_insert_with(|| Waiting::new(link));
            }
            Poll::Ready(frame) => {
                this.waiting = None;
                if frame.is_none() || this.body.is_end_stream() {
                    this.has_arrived();
                }
            }
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The shares of the memory that an answer holds: that of its request, and that of the body if a token was spent for it.
#[derive(Clone)]
struct AnswerShare {
    request: Arc<PeerShare>,
    held: Option<Arc<Held>>,
}

impl AnswerShare {
    /// A part of the answer has moved.
    fn moved(&self) {
        self.request.moved();
        if let Some(held) = &self.held {
            held.moved();
        }
    }
}

/// The body of an answer. Its shares of the memory are held until its last byte was sent.
pub(super) struct Answer {
    body: Body,
    share: Option<AnswerShare>,
    _open: Open,
}

/// Bytes that hold shares of the memory until they are dropped.
struct Charged {
    bytes: Bytes,
    _share: AnswerShare,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(context);
        let share = &this.share;
        if let (Some(share), Poll::Ready(_)) = (share, &frame) {
            share.moved();
        }
        frame.map_ok(|frame| {
            frame.map_data(|bytes| match share {
                Some(share) => Bytes::from_owner(Charged { bytes, _share: share.clone() }),
                None => bytes,
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_endpoints_read_are_kept() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer AAAA"),
            ("user-agent", "agent"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "192.0.2.1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        for _ in 0..MAX_VALUES + 1 {
            headers.append("accept", HeaderValue::from_static("*/*"));
        }
        let (kept, bytes) = kept(&headers);
        assert_eq!(kept.len(), 2 + MAX_VALUES);
        assert_eq!(kept["authorization"], "Bearer AAAA");
        assert_eq!(kept.get_all("accept").iter().count(), MAX_VALUES);
        let expected =
            "authorizationBearer AAAAuser-agentagent".len() + MAX_VALUES * "accept*/*".len();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn fields_of_a_head_are_limited() {
        for (count, are_too_many) in
            [(MAX_FIELDS - 1, false), (MAX_FIELDS, false), (MAX_FIELDS + 1, true)]
        {
            let mut headers = HeaderMap::new();
            for _ in 0..count {
                headers.append("a", HeaderValue::from_static(""));
            }
            assert_eq!(has_too_many_fields(&headers), are_too_many, "{count}");
        }
    }

    #[test]
    fn lengths_of_paths_are_limited() {
        for (length, fits) in
            [(MAX_PATH_BYTES - 1, true), (MAX_PATH_BYTES, true), (MAX_PATH_BYTES + 1, false)]
        {
            let uri: Uri = format!("https://a.example/{}", "p".repeat(length - 1)).parse().unwrap();
            assert_eq!(path(&uri).is_some(), fits, "{length}");
        }
        let uri: Uri = "https://a.example/config?x=1".parse().unwrap();
        assert_eq!(path(&uri).unwrap(), "/config?x=1");
        assert_eq!(path(&Uri::from_static("https://a.example")).unwrap(), "/");
        assert_eq!(path(&Uri::from_static("*")).unwrap(), "*");
    }
}
