//! `POST /report`, or another path of the configuration: reports of keys that supervised devices matched.

use super::body::Incoming;
use super::{Refusal, Reply, admission, has_media_type, invalid};
use crate::blocking::blocking;
use crate::metrics::Outcome;
use crate::platform::Platform;
use crate::service::Service;
use axum::extract::State;
use axum::response::IntoResponse;
use http::HeaderMap;
use http::header::USER_AGENT;
use pir_api::{bounded, report};
use std::sync::Arc;

/// Largest report, in bytes.
const MAX_BODY: usize = 1 << 20;

pub(super) async fn report(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(&service, &headers)?;
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("");
    let platform = Platform::from_user_agent(agent);
    let held = body.read(MAX_BODY).await?;
    let live = service.live();
    let entries = live.reports.as_ref().map_or(usize::MAX, |log| log.settings().entries);
    let urls = decode(&headers, &held.bytes, entries)?;
    // The report is written once its token stays spent, so that it cannot be repeated.
    admission.spend(&service, async { Ok(()) }).await?;
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

fn decode(headers: &HeaderMap, bytes: &[u8], max: usize) -> Result<Vec<String>, Refusal> {
    if has_media_type(headers, "application/json") {
        // The strings take at most 24 times the memory of their text, whose length is bounded.
        let urls: Vec<String> = serde_json::from_slice(bytes)
            .map_err(|_| Refusal::Invalid("not a JSON array of strings".to_owned()))?;
        return match urls.len() > max {
            true => Err(Refusal::TooMany(max)),
            false => Ok(urls),
        };
    }
    let max = max.min(bytes.len());
    match bounded::decode::<report::UrlFilterReport>(bytes, max) {
        Ok(report) => Ok(report.urls),
        Err(bounded::BoundedError::TooMany(_)) => Err(Refusal::TooMany(max)),
        Err(error) => Err(invalid(error)),
    }
}
