//! `POST /report`, or another path of the configuration: reports of keys that supervised devices matched.

use super::body::Incoming;
use super::{Refusal, Reply, admission, has_media_type, invalid};
use crate::configuration::DEFAULT_ENTRIES;
use crate::metrics::Outcome;
use crate::platform::Platform;
use crate::service::Service;
use axum::extract::State;
use axum::response::IntoResponse;
use http::HeaderMap;
use http::header::USER_AGENT;
use pir_api::bounded::{BoundedError, Counted};
use pir_api::report::UrlFilterReport;
use serde::Deserializer;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use std::fmt;
use std::sync::Arc;

/// Largest report, in bytes. What one user can write follows from it and from `limits.tokens`.
const MAX_BODY: usize = 128 << 10;
/// Longest key in a report, in bytes: as much of a URL as common servers and browsers take.
const MAX_KEY: usize = 8 << 10;
/// Memory that a key takes beside its text, in bytes: a list that grows has up to three times its elements for a moment, and an
/// allocator adds to each text.
const KEY_BYTES: usize = 4 * size_of::<String>() + 32;
/// Number of the field `urls` of `UrlFilterReport`.
const URLS_FIELD: u32 = 1;

pub(super) async fn report(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(&service, &headers).await?;
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("");
    let platform = Platform::from_user_agent(agent);
    let (bytes, mut held) = body.read(MAX_BODY).await?.into_parts();
    let length = bytes.len();
    let live = service.live();
    // Reports that nobody keeps are read as others are, and dropped.
    let entries = live.reports.as_ref().map_or(DEFAULT_ENTRIES, |log| log.settings().entries);
    // Until they are written, keys are in memory as they were decoded.
    held.grow(decoded_bytes(&headers, &bytes, entries))?;
    // The report is written once its token stays spent, so that it cannot be repeated.
    let urls = admission.spend(&service, async { decode(&headers, &bytes, entries) }).await?;
    drop(bytes);
    if let Some(log) = live.reports.clone() {
        let service = Arc::clone(&service);
        // The token is spent: the report is written, whether its client waits or not.
        let writing = tokio::spawn(async move {
            let written = Arc::clone(&log).add(urls, platform, service.now(), held).await;
            service.note_removed_reports(&log);
            let outcome = if written.is_ok() { Outcome::Success } else { Outcome::Failure };
            service.metrics().report(outcome);
            written.map_err(|error| {
                tracing::error!(%error, "a report cannot be written");
                Refusal::Internal
            })
        });
        writing.await.unwrap_or(Err(Refusal::Internal))?;
    }
    Ok(Reply::of(length, ().into_response()))
}

/// The memory that a report takes when it is decoded, at most.
fn decoded_bytes(headers: &HeaderMap, bytes: &[u8], max: usize) -> usize {
    let keys = if has_media_type(headers, "application/json") {
        bytes.iter().filter(|&&byte| byte == b',').count() + 1
    } else {
        // A message that cannot be counted is not decoded.
        let counted = Counted::<UrlFilterReport>::new(bytes, max);
        counted.map_or(0, |counted| counted.occurrences(URLS_FIELD))
    };
    // A text of JSON with escapes is made in a buffer first.
    bytes.len() * 2 + keys.min(max) * KEY_BYTES
}

/// Reads a list of strings, and keeps no more of them than a number.
struct AtMost(usize);

struct Elements {
    first: Vec<String>,
    /// Whether there were more, which were read and dropped.
    are_more: bool,
}

impl<'de> DeserializeSeed<'de> for AtMost {
    type Value = Elements;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Elements, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AtMost {
    type Value = Elements;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Elements, A::Error> {
        let mut elements = Elements { first: Vec::new(), are_more: false };
        while let Some(text) = sequence.next_element::<String>()? {
            match elements.first.len() < self.0 {
                true => elements.first.push(text),
                false => elements.are_more = true,
            }
        }
        Ok(elements)
    }
}

/// What cannot be a key of a URL is refused, so that it is neither stored nor counted.
fn decode(headers: &HeaderMap, bytes: &[u8], max: usize) -> Result<Vec<String>, Refusal> {
    let urls = decode_list(headers, bytes, max)?;
    if urls.iter().any(|url| url.len() > MAX_KEY) {
        return Err(Refusal::Invalid(format!("a key of more than {MAX_KEY} bytes")));
    }
    if urls.iter().any(|url| url.contains(char::is_control)) {
        return Err(Refusal::Invalid("a key with a control character".to_owned()));
    }
    Ok(urls)
}

fn decode_list(headers: &HeaderMap, bytes: &[u8], max: usize) -> Result<Vec<String>, Refusal> {
    if has_media_type(headers, "application/json") {
        let malformed =
            |_: serde_json::Error| Refusal::Invalid("not a JSON array of strings".to_owned());
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = AtMost(max).deserialize(&mut json);
        let Elements { first, are_more } = read.map_err(malformed)?;
        json.end().map_err(malformed)?;
        return if are_more { Err(Refusal::TooMany(max)) } else { Ok(first) };
    }
    let max = max.min(bytes.len());
    match Counted::<UrlFilterReport>::new(bytes, max).and_then(|counted| counted.decode()) {
        Ok(report) => Ok(report.urls),
        Err(BoundedError::TooMany(_)) => Err(Refusal::TooMany(max)),
        Err(error) => Err(invalid(error)),
    }
}
