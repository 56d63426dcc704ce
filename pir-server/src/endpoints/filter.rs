//! `/filter/<use case>` and `/filter/<use case>/<level>`: prefilters, for apps that fetch them from the service. They need no
//! token, and are the same for everyone.

use super::{Refusal, Reply, SharedAnswer};
use crate::prefilter::ServedPrefilter;
use crate::service::Service;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The paths, as the router has them.
pub(super) const PATH: &str = "/filter/{use_case}";
pub(super) const LEVEL_PATH: &str = "/filter/{use_case}/{level}";
/// How long caches may keep a prefilter before they ask again.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=60");
const PLIST: HeaderValue = HeaderValue::from_static("application/x-plist");
/// Length of the pieces in which prefilters are sent, in bytes.
const PIECE: usize = 64 << 10;
/// How long an answer keeps a prefilter in memory that is not given out any more.
const MAX_SUPERSEDED: Duration = Duration::from_secs(600);

/// A prefilter was replaced while it was sent.
#[derive(Debug, thiserror::Error)]
#[error("the prefilter was replaced while it was sent")]
struct Superseded;

/// A prefilter as the body of an answer. It is sent in pieces of the bytes that all answers share. Peers that take it slowly
/// would otherwise keep every prefilter in memory that was ever given out.
struct Pieces {
    prefilter: Weak<ServedPrefilter>,
    kept: Option<Arc<ServedPrefilter>>,
    keep_until: Instant,
    sent: usize,
    length: usize,
}

impl Pieces {
    fn new(prefilter: &Arc<ServedPrefilter>) -> Self {
        Self {
            prefilter: Arc::downgrade(prefilter),
            kept: Some(Arc::clone(prefilter)),
            keep_until: Instant::now() + MAX_SUPERSEDED,
            sent: 0,
            length: prefilter.plist().len(),
        }
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Superseded;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Superseded>>> {
        let this = self.get_mut();
        if this.sent == this.length {
            return Poll::Ready(None);
        }
        if Instant::now() >= this.keep_until {
            this.kept = None;
        }
        let Some(prefilter) = this.prefilter.upgrade() else {
            return Poll::Ready(Some(Err(Superseded)));
        };
        let end = this.length.min(this.sent + PIECE);
        let piece = prefilter.plist().slice(this.sent..end);
        this.sent = end;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.length - self.sent) as u64)
    }
}

/// Whether a conditional request has this tag. Caches may have weakened it.
fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

pub(super) async fn filter(
    State(service): State<Arc<Service>>,
    Path(use_case): Path<String>,
    headers: HeaderMap,
) -> Result<Reply, Refusal> {
    answer(&service, &use_case, "", &headers)
}

pub(super) async fn level(
    State(service): State<Arc<Service>>,
    Path((use_case, level)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Reply, Refusal> {
    answer(&service, &use_case, &level, &headers)
}

fn answer(
    service: &Service,
    use_case: &str,
    level: &str,
    headers: &HeaderMap,
) -> Result<Reply, Refusal> {
    let live = service.live();
    let prefilter = live.prefilter(use_case, level, service.now()).ok_or_else(|| match service
        .waits_for(use_case)
    {
        true => Refusal::NotPublished,
        false => Refusal::NotFound,
    })?;
    let tag = format!("\"{}\"", prefilter.tag());
    let mut response = match has_tag(headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            let mut response = Body::new(Pieces::new(prefilter)).into_response();
            response.headers_mut().insert(CONTENT_TYPE, PLIST);
            response.extensions_mut().insert(SharedAnswer);
            response
        }
    };
    let fields = response.headers_mut();
    fields.insert(CACHE_CONTROL, CACHED);
    fields.insert(ETAG, HeaderValue::from_str(&tag).map_err(|_| Refusal::Internal)?);
    Ok(Reply::of(0, response))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use hyper::body::Body as _;

    #[test]
    fn tags_are_compared_as_caches_send_them() {
        for (value, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("a", false),
            ("\"b\"", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]);
            assert_eq!(has_tag(&headers, "\"a\""), expected, "{value}");
        }
        assert!(!has_tag(&HeaderMap::new(), "\"a\""));
    }

    fn served(length: usize) -> Arc<ServedPrefilter> {
        Arc::new(ServedPrefilter::of_plist(vec![b'a'; length].into()))
    }

    #[tokio::test(start_paused = true)]
    async fn answers_do_not_keep_prefilters_that_were_replaced() {
        let length = 4 * PIECE + 1;
        let prefilter = served(length);
        // Whoever takes it in time gets all of it, although it was replaced.
        let (weak, mut fast) = (Arc::downgrade(&prefilter), Pieces::new(&prefilter));
        let mut slow = Pieces::new(&prefilter);
        drop(prefilter);
        assert_eq!(slow.size_hint().exact(), Some(length as u64));
        tokio::time::advance(MAX_SUPERSEDED - Duration::from_millis(1)).await;
        assert_eq!(fast.frame().await.unwrap().unwrap().into_data().unwrap().len(), PIECE);
        assert_eq!(fast.collect().await.unwrap().to_bytes().len(), length - PIECE);
        assert!(slow.frame().await.unwrap().is_ok());
        assert!(weak.upgrade().is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(slow.frame().await.unwrap().is_err());
        assert!(weak.upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_goes_on_for_as_long_as_its_prefilter_is_given_out() {
        let prefilter = served(4 * PIECE);
        let slow = Pieces::new(&prefilter);
        tokio::time::advance(100 * MAX_SUPERSEDED).await;
        assert_eq!(slow.collect().await.unwrap().to_bytes(), prefilter.plist());
    }
}
