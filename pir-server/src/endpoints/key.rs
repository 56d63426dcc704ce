//! `POST /key`: uploads of evaluation keys. All keys of a request are checked before any is stored.

use super::body::Incoming;
use super::{Refusal, Reply, admission, invalid};
use crate::key_cache::{self, MAX_KEY_FIELDS};
use crate::service::Service;
use crate::store::StoredKey;
use axum::extract::State;
use axum::response::IntoResponse;
use http::HeaderMap;
use pir_api::{Message, api, bounded};
use std::sync::Arc;

/// Largest number of keys in one request; one for each use case is usual.
const MAX_KEYS: usize = 16;

pub(super) async fn key(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(&service, &headers)?;
    let user = admission::user_identifier(&headers)?;
    admission::user_agent(&headers)?;
    let limits = service.limits();
    let held = body.read(limits.body_bytes).await?;
    let request: api::shared::EvaluationKeys =
        bounded::decode(&held.bytes, MAX_KEYS * MAX_KEY_FIELDS).map_err(invalid)?;
    if request.keys.len() > MAX_KEYS {
        return Err(Refusal::TooMany(MAX_KEYS));
    }
    let reservation = service.pool().reserve(request.keys.len())?;
    let work = async {
        let live = service.live();
        let mut ids = Vec::with_capacity(request.keys.len());
        let mut tasks = Vec::with_capacity(request.keys.len());
        for uploaded in request.keys {
            let (Some(metadata), Some(key)) = (uploaded.metadata, uploaded.evaluation_key) else {
                return Err(Refusal::Invalid("Evaluation key has unset fields".to_owned()));
            };
            let data = live.catalog.with_keys(&metadata.identifier).ok_or_else(|| {
                let text = "the evaluation key is for no configuration that is served here";
                Refusal::Invalid(text.to_owned())
            })?;
            let data = Arc::clone(data);
            ids.push(service.store().key_id(user, data.key_config_hash())?);
            tasks.push(move |_: crate::work::TaskContext<'_>| {
                let bytes = key.encode_to_vec();
                let ready = key_cache::prepare(&data, key, metadata.timestamp)?;
                Ok((StoredKey { timestamp: metadata.timestamp, bytes }, ready))
            });
        }
        let checked: Vec<Result<_, key_cache::KeyError>> = reservation.run(tasks).await?;
        let checked = checked.into_iter().collect::<Result<Vec<_>, _>>().map_err(invalid)?;
        Ok(ids.into_iter().zip(checked))
    };
    for (id, (stored, ready)) in admission.spend(&service, work).await? {
        service.store().put_evaluation_key(id, stored, service.now()).await?;
        service.keys().insert(id, Arc::new(ready));
    }
    Ok(Reply::of(held.bytes.len(), ().into_response()))
}
