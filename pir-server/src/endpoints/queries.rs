//! `POST /queries`: encrypted questions, answered in their order.

use super::body::Incoming;
use super::{Refusal, Reply, admission, invalid, protobuf};
use crate::data_set::{DataSet, Missing};
use crate::key_cache::{self, MAX_KEY_FIELDS, ReadyKey};
use crate::service::Service;
use crate::store::KeySlot;
use crate::work::Slot;
use api::request::Request as Kind;
use axum::extract::State;
use http::HeaderMap;
use keyword_pir::{Execution, StageTimes};
use pir_api::{api, bounded, convert};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Fields of one query without a key in it: a few for each of its ciphertexts.
const MAX_QUERY_FIELDS: usize = 4096;

/// A question that found its data set.
enum Question {
    Pir { data: Arc<DataSet>, query: Box<api::pir::PirRequest>, key: KeyOf },
    Oprf { data: Arc<DataSet>, element: Vec<u8> },
}

/// The evaluation key of a question.
enum KeyOf {
    /// It came with it.
    Inline(Box<api::shared::EvaluationKey>),
    /// It was uploaded before.
    Ready(Arc<ReadyKey>),
}

/// What a question cost.
struct Cost {
    use_case: String,
    waited: Duration,
    times: StageTimes,
}

pub(super) async fn queries(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(&service, &headers)?;
    let user = admission::user_identifier(&headers)?;
    admission::user_agent(&headers)?;
    let limits = service.limits();
    let held = body.read(limits.body_bytes).await?;
    let most = limits.batch.saturating_mul(MAX_QUERY_FIELDS).saturating_add(MAX_KEY_FIELDS);
    let request: api::Requests = bounded::decode(&held.bytes, most).map_err(invalid)?;
    if request.requests.len() > limits.batch {
        return Err(Refusal::TooMany(limits.batch));
    }
    let room = service.pool().reserve(request.requests.len())?;
    let durable = admission.spend(&service).await?;

    let mut finder = Finder { service: &service, user, found: HashMap::new() };
    let mut pieces = Vec::with_capacity(request.requests.len());
    for request in request.requests {
        let (use_case, question) = finder.find(request).await?;
        pieces.push(move |slot: Slot<'_>| answer(question, use_case, &slot));
    }
    let answers = room.run(pieces).await?;
    let mut responses = Vec::with_capacity(answers.len());
    for answer in answers {
        let (response, cost) = answer?;
        if let Some(Cost { use_case, waited, times }) = cost {
            service.metrics().query(&use_case, waited, &times);
        }
        responses.push(response);
    }
    // The answer is ready, and must not leave before its token stays spent whatever happens.
    durable.wait().await?;
    Ok(Reply::of(held.bytes.len(), protobuf(&api::Responses { responses })))
}

/// Finds data sets and keys for the questions of one request.
struct Finder<'f> {
    service: &'f Arc<Service>,
    user: &'f [u8],
    found: HashMap<(KeySlot, u64), Arc<ReadyKey>>,
}

impl Finder<'_> {
    async fn find(&mut self, request: api::Request) -> Result<(String, Question), Refusal> {
        let live = self.service.live();
        let name = request.usecase;
        let question = match request.request {
            Some(Kind::PirRequest(mut query)) => {
                if query.shard_id.is_some() {
                    let text = "shards are named by shard_index, not by shard_id";
                    return Err(Refusal::NotImplemented(text));
                }
                let version = live.catalog.version(&name, &query.configuration_hash);
                let data = Arc::clone(version.map_err(|missing| match missing {
                    Missing::UseCase => Refusal::QueryUseCase,
                    Missing::Version => Refusal::Gone,
                })?);
                let key = match query.evaluation_key.take() {
                    Some(key) => KeyOf::Inline(Box::new(key)),
                    None => KeyOf::Ready(self.stored(&data, &query).await?),
                };
                Question::Pir { data, query: Box::new(query), key }
            }
            Some(Kind::OprfRequest(request)) => {
                let data = match request.config_id.is_empty() {
                    true => live.catalog.newest(&name).ok_or(Missing::UseCase),
                    false => live.catalog.version(&name, &request.config_id),
                };
                let data = Arc::clone(data.map_err(|missing| match missing {
                    Missing::UseCase => Refusal::QueryUseCase,
                    Missing::Version => Refusal::Gone,
                })?);
                Question::Oprf { data, element: request.query_element }
            }
            None => return Err(Refusal::Invalid("Unknown request type".to_owned())),
        };
        Ok((name, question))
    }

    /// The key that a client uploaded. A client that names another time than that of the key in
    /// memory may have uploaded a newer one elsewhere.
    async fn stored(
        &mut self,
        data: &Arc<DataSet>,
        query: &api::pir::PirRequest,
    ) -> Result<Arc<ReadyKey>, Refusal> {
        let metadata = query.evaluation_key_metadata.clone().unwrap_or_default();
        if metadata.identifier != data.key_config_hash() {
            return Err(Refusal::NoEvaluationKey);
        }
        let slot = self.service.store().slot(self.user, data.key_config_hash());
        if let Some(key) = self.found.get(&(slot, metadata.timestamp)) {
            return Ok(Arc::clone(key));
        }
        let key = self.look_up(data, slot, metadata.timestamp).await?;
        self.found.insert((slot, metadata.timestamp), Arc::clone(&key));
        Ok(key)
    }

    async fn look_up(
        &self,
        data: &Arc<DataSet>,
        slot: KeySlot,
        timestamp: u64,
    ) -> Result<Arc<ReadyKey>, Refusal> {
        let (service, store) = (self.service, self.service.store());
        if let Some(key) = service.keys().get(&slot, store, service.now()) {
            let same = key.timestamp() == timestamp
                || store.evaluation_key_timestamp(slot).await? == Some(key.timestamp());
            if same {
                service.metrics().key_cache(true);
                return Ok(key);
            }
            service.keys().remove(&slot);
        }
        service.metrics().key_cache(false);
        let read = async {
            let stored = store.evaluation_key(slot).await?.ok_or(Refusal::NoEvaluationKey)?;
            let room = service.pool().reserve(1)?;
            let data = Arc::clone(data);
            let ready = room.run_one(move |_| key_cache::prepare_stored(&data, &stored)).await?;
            // It was checked when it came; one that does not pass now is as good as none.
            ready.map(Arc::new).map_err(|_| Refusal::NoEvaluationKey)
        };
        let key = service.keys().get_or(&slot, read).await?;
        store.touch_evaluation_key(slot, service.now());
        Ok(key)
    }
}

/// Answers one question, on a thread of the pool.
fn answer(
    question: Question,
    use_case: String,
    slot: &Slot<'_>,
) -> Result<(api::Response, Option<Cost>), Refusal> {
    let (response, cost) = match question {
        Question::Oprf { data, element } => {
            let key = data.database_key().ok_or_else(|| {
                Refusal::Invalid("the use case is not of the symmetric variant".to_owned())
            })?;
            let (evaluated_element, proof) = key.answer(&element).map_err(invalid)?;
            let response = api::pir::OprfResponse { evaluated_element, proof };
            (api::response::Response::OprfResponse(response), None)
        }
        Question::Pir { data, query, key } => {
            let ready;
            let key = match &key {
                KeyOf::Ready(key) => key.key(),
                KeyOf::Inline(key) => {
                    let message = key.evaluation_key.clone();
                    let message = message.ok_or_else(|| {
                        Refusal::Invalid("Evaluation key has unset fields".to_owned())
                    })?;
                    ready = key_cache::prepare(&data, message, 0).map_err(invalid)?;
                    ready.key()
                }
            };
            let shard = data.shard(query.shard_index).ok_or_else(|| {
                let count = data.shard_count();
                Refusal::Invalid(format!("shard_index is out of range: there are {count} shards"))
            })?;
            let missing = || Refusal::Invalid("query is missing".to_owned());
            let query = convert::query(query.query.ok_or_else(missing)?).map_err(invalid)?;
            let query = shard.read_query(&query).map_err(invalid)?;
            let execution = Execution {
                pool: slot.pool,
                cancelled: Some(slot.cancelled),
                ..Execution::default()
            };
            let (reply, times) =
                shard.answer(&query, key, execution).map_err(|error| match error {
                    // Nobody waits for it.
                    keyword_pir::Error::Cancelled => Refusal::Timeout,
                    other => invalid(other),
                })?;
            let cost = Cost { use_case, waited: slot.waited, times };
            (api::response::Response::PirResponse(convert::reply_message(reply)), Some(cost))
        }
    };
    Ok((api::Response { response: Some(response) }, cost))
}
