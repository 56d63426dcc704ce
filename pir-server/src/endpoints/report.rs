//! `POST /report`, or another path of the configuration: reports of keys that supervised devices matched.

use super::body::Incoming;
use super::{Refusal, Reply, admission, has_media_type, invalid};
use crate::blocking::blocking;
use crate::configuration::DEFAULT_ENTRIES;
use crate::metrics::Outcome;
use crate::platform::Platform;
use crate::service::Service;
use axum::extract::State;
use axum::response::IntoResponse;
use http::HeaderMap;
use http::header::USER_AGENT;
use pir_api::{bounded, report};
use serde::Deserializer;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use std::fmt;
use std::sync::Arc;

/// Largest report, in bytes.
const MAX_BODY: usize = 1 << 20;

pub(super) async fn report(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(&service, &headers).await?;
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("");
    let platform = Platform::from_user_agent(agent);
    let held = body.read(MAX_BODY).await?;
    let live = service.live();
    // Reports that nobody keeps are read as others are, and dropped.
    let entries = live.reports.as_ref().map_or(DEFAULT_ENTRIES, |log| log.settings().entries);
    // The report is written once its token stays spent, so that it cannot be repeated.
    let urls = admission.spend(&service, async { decode(&headers, &held.bytes, entries) }).await?;
    if let Some(log) = live.reports.clone() {
        let now = service.now();
        let written = blocking(move || log.add(&urls, platform, now)).await;
        if let Err(error) = written {
            service.metrics().report(Outcome::Failure);
            tracing::error!(%error, "a report cannot be written");
            return Err(Refusal::Internal);
        }
        service.metrics().report(Outcome::Success);
    }
    Ok(Reply::of(held.bytes.len(), ().into_response()))
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

fn decode(headers: &HeaderMap, bytes: &[u8], max: usize) -> Result<Vec<String>, Refusal> {
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
    match bounded::decode::<report::UrlFilterReport>(bytes, max) {
        Ok(report) => Ok(report.urls),
        Err(bounded::BoundedError::TooMany(_)) => Err(Refusal::TooMany(max)),
        Err(error) => Err(invalid(error)),
    }
}
