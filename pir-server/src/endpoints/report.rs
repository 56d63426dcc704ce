//! `POST /report`: what supervised devices blocked.

use super::body::Incoming;
use super::{Refusal, Reply, admission, has_media_type, invalid};
use crate::metrics::Outcome;
use crate::platform::Platform;
use crate::service::Service;
use axum::extract::State;
use axum::response::IntoResponse;
use http::HeaderMap;
use http::header::USER_AGENT;
use pir_api::{bounded, report};
use std::sync::Arc;

/// Longest report.
const MAX_BODY: usize = 1 << 20;

pub(super) async fn report(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(&service, &headers)?;
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let platform = Platform::from_user_agent(agent);
    let held = body.read(MAX_BODY).await?;
    let live = service.live();
    let entries = live.reports.as_ref().map_or(usize::MAX, |log| log.settings().entries);
    let urls = decode(&headers, &held.bytes, entries)?;
    admission.spend(&service).await?.wait().await?;
    if let Some(log) = live.reports.clone() {
        let now = service.now();
        let written = tokio::task::spawn_blocking(move || log.add(&urls, platform, now)).await;
        match written {
            Ok(Ok(())) => service.metrics().report(Outcome::Done),
            failed => {
                service.metrics().report(Outcome::Failed);
                let reason = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => "the writer failed".to_owned(),
                };
                tracing::error!(reason, "a report cannot be written");
                return Err(Refusal::Internal);
            }
        }
    }
    Ok(Reply::of(held.bytes.len(), ().into_response()))
}

fn decode(headers: &HeaderMap, bytes: &[u8], most: usize) -> Result<Vec<String>, Refusal> {
    if has_media_type(headers, "application/json") {
        // A list of strings takes at most 24 times its text, and the text is bounded.
        let urls: Vec<String> = serde_json::from_slice(bytes)
            .map_err(|_| Refusal::Invalid("not a JSON array of strings".to_owned()))?;
        return match urls.len() > most {
            true => Err(Refusal::TooMany(most)),
            false => Ok(urls),
        };
    }
    let most = most.min(bytes.len());
    match bounded::decode::<report::UrlFilterReport>(bytes, most) {
        Ok(report) => Ok(report.urls),
        Err(bounded::BoundedError::TooMany(_)) => Err(Refusal::TooMany(most)),
        Err(error) => Err(invalid(error)),
    }
}
