//! `POST /queries`: encrypted questions, answered in their order.

use super::body::Incoming;
use super::{Refusal, Reply, admission, config, invalid, protobuf};
use crate::catalog::Missing;
use crate::data_set::DataSet;
use crate::key_cache::{self, MAX_KEY_FIELDS, ReadyKey};
use crate::platform::Platform;
use crate::service::Service;
use crate::store::KeySlot;
use crate::work::Slot;
use api::request::Request as Kind;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use keyword_pir::{Execution, StageTimes};
use pir_api::{api, bounded, convert};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
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
    Inline(Arc<InlineKey>),
    /// It was uploaded before.
    Ready(Arc<ReadyKey>),
}

/// A key that came with questions: prepared once, by whoever needs it first.
struct InlineKey {
    message: api::shared::EvaluationKey,
    ready: OnceLock<Result<ReadyKey, String>>,
}

impl InlineKey {
    fn ready(&self, data: &DataSet) -> Result<&ReadyKey, Refusal> {
        let prepare = || {
            let key = self.message.evaluation_key.clone();
            let key = key.ok_or_else(|| "Evaluation key has unset fields".to_owned())?;
            key_cache::prepare(data, key, 0).map_err(|error| error.to_string())
        };
        self.ready.get_or_init(prepare).as_ref().map_err(|error| Refusal::Invalid(error.clone()))
    }
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
) -> Response {
    match answer_all(&service, &headers, body).await {
        Ok(reply) => reply.into_response(),
        Err(refusal) => refuse(&service, &headers, refusal).await,
    }
}

/// Refuses queries in the words that the sender's system understands.
async fn refuse(service: &Arc<Service>, headers: &HeaderMap, refusal: Refusal) -> Response {
    use api::error::ErrorType;
    let agent = admission::user_agent(headers).unwrap_or_default();
    let platform = Platform::from_user_agent(agent);
    let status = refusal.status();
    if !platform.reads_error_messages() {
        return refusal.into_response();
    }
    let reason = match &refusal {
        Refusal::Gone(name) => {
            let newest = service.live().catalog.newest(name).cloned();
            let user = admission::user_identifier(headers).ok();
            // With the new configuration at hand the device need not ask for it.
            let response = match newest {
                Some(data) => {
                    config::answer(service, user, platform, vec![(name, data, &[])]).await.ok()
                }
                None => None,
            };
            let gone = api::error::ConfigVersionNotFound { config_response: response };
            ErrorType::ConfigVersionNotFound(gone)
        }
        Refusal::NoEvaluationKey => {
            ErrorType::EvaluationKeyNotFound(api::error::EvaluationKeyNotFound {})
        }
        _ if status == StatusCode::BAD_REQUEST => {
            ErrorType::InvalidRequest(api::error::InvalidRequest {})
        }
        _ if status == StatusCode::INTERNAL_SERVER_ERROR => {
            ErrorType::InternalError(api::error::InternalError {})
        }
        _ => return refusal.into_response(),
    };
    let message = protobuf(&api::Error { error_type: Some(reason) });
    (status, message).into_response()
}

async fn answer_all(
    service: &Arc<Service>,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(service, headers)?;
    // A device that sends its keys along needs no place where they are kept.
    let user = admission::user_identifier(headers);
    admission::user_agent(headers)?;
    let limits = service.limits();
    let held = body.read(limits.body_bytes).await?;
    let most = limits.batch.saturating_mul(MAX_QUERY_FIELDS).saturating_add(MAX_KEY_FIELDS);
    let request: api::Requests = bounded::decode(&held.bytes, most).map_err(invalid)?;
    if request.requests.len() > limits.batch {
        return Err(Refusal::TooMany(limits.batch));
    }
    let room = service.pool().reserve(request.requests.len())?;
    let durable = admission.spend(service).await?;

    let mut finder = Finder { service, user: user.ok(), found: HashMap::new(), inline: Vec::new() };
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
    user: Option<&'f [u8]>,
    found: HashMap<(KeySlot, u64), Arc<ReadyKey>>,
    /// Keys that came along, with the version of the data set that each is for.
    inline: Vec<([u8; 32], Arc<InlineKey>)>,
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
                    Missing::Version => Refusal::Gone(name.clone()),
                })?);
                let key = match query.evaluation_key.take() {
                    Some(key) => KeyOf::Inline(self.inline(&data, key)),
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
                    Missing::Version => Refusal::Gone(name.clone()),
                })?);
                Question::Oprf { data, element: request.query_element }
            }
            None => return Err(Refusal::Invalid("Unknown request type".to_owned())),
        };
        Ok((name, question))
    }

    /// A key that came with a question; questions of one request mostly bring the same.
    fn inline(&mut self, data: &DataSet, message: api::shared::EvaluationKey) -> Arc<InlineKey> {
        let same = |(id, key): &&([u8; 32], Arc<InlineKey>)| {
            id == data.config_id() && key.message == message
        };
        if let Some((_, key)) = self.inline.iter().find(same) {
            return Arc::clone(key);
        }
        let key = Arc::new(InlineKey { message, ready: OnceLock::new() });
        self.inline.push((*data.config_id(), Arc::clone(&key)));
        key
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
        let user = self.user.ok_or(Refusal::Header("User-Identifier"))?;
        let slot = self.service.store().slot(user, data.key_config_hash());
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
            let key = match &key {
                KeyOf::Ready(key) => key.key(),
                KeyOf::Inline(key) => key.ready(&data)?.key(),
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
