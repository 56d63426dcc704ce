//! `/filter/<use case>` and `/filter/<use case>/<level>`: prefilters, for apps that fetch them from the service. They need no
//! token, and are the same for everyone.

use super::{Refusal, Reply};
use crate::service::Service;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;

/// The paths, as the router has them.
pub(super) const PATH: &str = "/filter/{use_case}";
pub(super) const LEVEL_PATH: &str = "/filter/{use_case}/{level}";
/// How long caches may keep a prefilter before they ask again.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=60");
const PLIST: HeaderValue = HeaderValue::from_static("application/x-plist");

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
            let mut response = prefilter.plist().clone().into_response();
            response.headers_mut().insert(CONTENT_TYPE, PLIST);
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
}
