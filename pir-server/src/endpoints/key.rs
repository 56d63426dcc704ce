//! `POST /key`: uploads of evaluation keys. All keys of a request are checked before any is stored.

use super::body::Incoming;
use super::{Refusal, Reply, admission, invalid};
use crate::key_cache::{self, MAX_KEY_FIELDS};
use crate::service::Service;
use crate::store::StoredKey;
use crate::traces;
use crate::work::{TaskContext, WorkKind};
use axum::extract::State;
use axum::response::IntoResponse;
use http::HeaderMap;
use pir_api::bounded::Counted;
use pir_api::{Message, api};
use std::sync::Arc;
use tracing::Instrument;

/// Largest number of keys in one request; one for each use case is usual.
const MAX_KEYS: usize = 16;
/// Number of the field `keys` of `EvaluationKeys`.
const KEYS_FIELD: u32 = 1;

pub(super) async fn key(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(&service, &headers).await?;
    let user = admission::user_identifier(&headers)?;
    admission::user_agent(&headers)?;
    let limits = service.limits();
    let (bytes, mut held) = body.read(limits.body_bytes).await?.into_parts();
    let counted = Counted::<api::shared::EvaluationKeys>::new(&bytes, MAX_KEYS * MAX_KEY_FIELDS);
    let counted = counted.map_err(invalid)?;
    let count = counted.occurrences(KEYS_FIELD);
    if count > MAX_KEYS {
        return Err(Refusal::TooMany(MAX_KEYS));
    }
    let pool = service.pool();
    let reservation = pool.reserve(WorkKind::Keys, pool.owner(user), count)?;
    let live = service.live();
    // Until they are stored, keys are in memory as they were decoded, as they will be stored, and prepared.
    let prepared = count.saturating_mul(live.catalog.max_key_bytes());
    held.grow(bytes.len().saturating_mul(2).saturating_add(prepared))?;
    // Tasks of a client that has disconnected hold it as well, until they end.
    let held = Arc::new(held);
    let work = async {
        let request = counted.decode().map_err(invalid)?;
        let mut ids = Vec::with_capacity(request.keys.len());
        let mut tasks = Vec::with_capacity(request.keys.len());
        for uploaded in request.keys {
            let (Some(metadata), Some(mut key)) = (uploaded.metadata, uploaded.evaluation_key)
            else {
                return Err(Refusal::Invalid("Evaluation key has unset fields".to_owned()));
            };
            let data = live.catalog.with_keys(&metadata.identifier).ok_or_else(|| {
                let text = "the evaluation key is for no configuration that is served here";
                Refusal::Invalid(text.to_owned())
            })?;
            let data = Arc::clone(data);
            ids.push(service.store().key_id(user, data.key_config_hash())?);
            let held = Arc::clone(&held);
            tasks.push(move |_: TaskContext<'_>| {
                let _held = held;
                key_cache::keep_requested(&data, &mut key);
                let bytes = key.encode_to_vec();
                let ready = key_cache::prepare(&data, key, metadata.timestamp)?;
                Ok((StoredKey { timestamp: metadata.timestamp, bytes }, ready))
            });
        }
        let checked: Vec<Result<_, key_cache::KeyError>> =
            reservation.run(tasks).instrument(traces::work(count)).await?;
        let checked = checked.into_iter().collect::<Result<Vec<_>, _>>().map_err(invalid)?;
        Ok(ids.into_iter().zip(checked))
    };
    for (id, (stored, ready)) in admission.spend(&service, work).await? {
        let stored = service.store().put_evaluation_key(id, stored, service.now());
        stored.instrument(traces::stage("store key")).await?;
        service.keys().insert(id, ready);
    }
    Ok(Reply::of(bytes.len(), ().into_response()).holding(held))
}
