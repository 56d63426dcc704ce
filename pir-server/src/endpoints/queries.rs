//! `POST /queries`: encrypted queries, answered in the order of the request.

use super::body::{BodyError, Held, Incoming};
use super::{Refusal, Reply, admission, config, invalid, protobuf};
use crate::body_budget::{BodyShare, BudgetExhausted};
use crate::catalog::Missing;
use crate::data_set::DataSet;
use crate::key_cache::{self, CachedKey, MAX_KEY_FIELDS, ReadyKey};
use crate::platform::Platform;
use crate::service::Service;
use crate::store::KeyId;
use crate::traces;
use crate::work::{Reservation, TaskContext, WorkKind};
use api::request::Request as Kind;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use keyword_pir::{Execution, SerializedQuery, StageTimes};
use pir_api::api;
use pir_api::bounded::Counted;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tracing::Instrument;

/// Largest number of protobuf fields in one query without its evaluation key: a few for each ciphertext. Those of devices
/// have about 20.
const MAX_QUERY_FIELDS: usize = 512;
/// Number of the field `requests` of `Requests`.
const REQUESTS_FIELD: u32 = 1;

/// A query, and the data set that answers it.
enum Question {
    Pir { data: Arc<DataSet>, query: Box<api::pir::PirRequest>, key: KeyOf },
    Oprf { data: Arc<DataSet>, element: Vec<u8> },
}

/// The evaluation key of a query.
enum KeyOf {
    /// The query has it.
    Inline(Arc<InlineKey>),
    /// The client uploaded it before.
    Ready(Arc<CachedKey>),
}

/// An evaluation key in a query. Queries with the same key prepare it once, and the last of them drops it.
struct InlineKey {
    /// What the client sent, until it is prepared.
    message: Mutex<Option<api::shared::EvaluationKey>>,
    ready: OnceLock<Result<ReadyKey, String>>,
    /// The memory of the prepared key.
    _room: BodyShare,
}

impl InlineKey {
    fn message(&self) -> MutexGuard<'_, Option<api::shared::EvaluationKey>> {
        self.message.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self, data: &DataSet) -> Result<&ReadyKey, Refusal> {
        let prepare = || {
            let key = self.message().take().and_then(|message| message.evaluation_key);
            let key = key.ok_or_else(|| "Evaluation key has unset fields".to_owned())?;
            key_cache::prepare(data, key, 0).map_err(|error| error.to_string())
        };
        self.ready.get_or_init(prepare).as_ref().map_err(|error| Refusal::Invalid(error.clone()))
    }
}

/// Time spent on a query, for the metrics.
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

/// The response for a refusal, in the form that the client's system reads.
async fn refuse(service: &Arc<Service>, headers: &HeaderMap, refusal: Refusal) -> Response {
    use api::error::ErrorType;
    let agent = admission::user_agent(headers).unwrap_or("");
    let platform = Platform::from_user_agent(agent);
    let status = refusal.status();
    if !platform.reads_error_messages() {
        return refusal.into_response();
    }
    let reason = match &refusal {
        Refusal::Gone(name) => {
            let newest = service.live().catalog.newest(name).cloned();
            let user = admission::user_identifier(headers).ok();
            // With the new configuration in the refusal, the device need not fetch it.
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
    let admission = admission::private_token(service, headers).await?;
    // `User-Identifier` is optional for queries with their evaluation key in them.
    let user = admission::user_identifier(headers);
    let platform = Platform::from_user_agent(admission::user_agent(headers)?);
    let limits = service.limits();
    let (bytes, mut held) = body.read(limits.body_bytes).await?.into_parts();
    let max_fields = limits.batch.saturating_mul(MAX_QUERY_FIELDS).saturating_add(MAX_KEY_FIELDS);
    let counted = Counted::<api::Requests>::new(&bytes, max_fields).map_err(invalid)?;
    let count = counted.occurrences(REQUESTS_FIELD);
    if count > limits.batch {
        return Err(Refusal::TooMany(limits.batch));
    }
    let pool = service.pool();
    let user = user.ok();
    // Without a pseudonym, each request is by itself.
    let owner = pool.owner(user.unwrap_or(admission.nonce()));
    let reservation = pool.reserve(WorkKind::Queries, owner, count)?;
    // The queries as they were decoded.
    held.grow(bytes.len())?;
    // Tasks of a client that has disconnected hold it as well, until they end.
    let held = Arc::new(held);
    let work = async {
        let request = counted.decode().map_err(invalid)?;
        let (found, inline) = (HashMap::new(), Vec::new());
        let mut finder = Finder { service, user, platform, reservation, found, inline };
        let mut tasks = Vec::with_capacity(request.requests.len());
        async {
            for request in request.requests {
                let (use_case, question) = finder.find(request).await?;
                let held = Arc::clone(&held);
                tasks.push(move |context: TaskContext<'_>| {
                    let _held: Arc<Held> = held;
                    answer(question, use_case, &context)
                });
            }
            Ok::<_, Refusal>(())
        }
        .instrument(traces::stage("find keys"))
        .await?;
        // From here on each key is held by its queries alone.
        let Finder { reservation, .. } = finder;
        let mut responses = Vec::with_capacity(tasks.len());
        let (span, mut longest) = (traces::work(tasks.len()), Duration::ZERO);
        for answer in reservation.run(tasks).instrument(span.clone()).await? {
            let (response, cost) = answer?;
            if let Some(Cost { use_case, waited, times }) = cost {
                longest = longest.max(waited);
                service.metrics().query(&use_case, waited, &times);
            }
            responses.push(response);
        }
        traces::waited(&span, longest);
        Ok(responses)
    };
    let responses = admission.spend(service, work).await?;
    Ok(Reply::of(bytes.len(), protobuf(&api::Responses { responses })).holding(held))
}

/// Finds the data sets and keys for the queries of one request.
struct Finder<'f> {
    service: &'f Arc<Service>,
    user: Option<&'f [u8]>,
    platform: Platform,
    /// The place of the queries. Keys are prepared in it, too.
    reservation: Reservation,
    /// Stored keys that were found, by id and timestamp.
    found: HashMap<(KeyId, u64), Arc<CachedKey>>,
    /// Keys of the request itself, with the id of the configuration that each is for.
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
                let version = live.catalog.version(
                    &name,
                    &query.configuration_hash,
                    self.platform,
                    self.service.now(),
                );
                let data = Arc::clone(version.map_err(|missing| self.refusal(missing, &name))?);
                let key = match query.evaluation_key.take() {
                    Some(key) => KeyOf::Inline(self.inline(&data, key)?),
                    None => KeyOf::Ready(self.stored(&data, &query).await?),
                };
                Question::Pir { data, query: Box::new(query), key }
            }
            Some(Kind::OprfRequest(request)) => {
                let data = match request.config_id.is_empty() {
                    true => live.catalog.newest(&name).ok_or(Missing::UseCase),
                    false => {
                        let now = self.service.now();
                        live.catalog.version(&name, &request.config_id, self.platform, now)
                    }
                };
                let data = Arc::clone(data.map_err(|missing| self.refusal(missing, &name))?);
                Question::Oprf { data, element: request.query_element }
            }
            None => return Err(Refusal::Invalid("Unknown request type".to_owned())),
        };
        Ok((name, question))
    }

    fn refusal(&self, missing: Missing, use_case: &str) -> Refusal {
        match missing {
            Missing::UseCase if self.service.waits_for(use_case) => Refusal::NotPublished,
            Missing::UseCase => Refusal::QueryUseCase,
            Missing::Version => Refusal::Gone(use_case.to_owned()),
        }
    }

    /// The key in a query; the queries of one request mostly have the same one. A request with many takes much more memory
    /// than its body, so each prepared one counts with the bodies, before any is prepared.
    fn inline(
        &mut self,
        data: &DataSet,
        message: api::shared::EvaluationKey,
    ) -> Result<Arc<InlineKey>, Refusal> {
        let same = |(id, key): &&([u8; 32], Arc<InlineKey>)| {
            id == data.config_id() && key.message().as_ref() == Some(&message)
        };
        if let Some((_, key)) = self.inline.iter().find(same) {
            return Ok(Arc::clone(key));
        }
        let room = self.service.body_budget().share(None);
        room.grow(key_cache::prepared_bytes(data)).map_err(|BudgetExhausted| BodyError::NoRoom)?;
        let message = Mutex::new(Some(message));
        let key = Arc::new(InlineKey { message, ready: OnceLock::new(), _room: room });
        self.inline.push((*data.config_id(), Arc::clone(&key)));
        Ok(key)
    }

    /// The key that the client uploaded, if its timestamp is the one that the query names. A query that names another
    /// one was made for a key that someone has replaced, and its answer would make no sense: the client is told to upload
    /// its key again.
    async fn stored(
        &mut self,
        data: &Arc<DataSet>,
        query: &api::pir::PirRequest,
    ) -> Result<Arc<CachedKey>, Refusal> {
        // Without metadata the identifier is empty, which is no configuration's hash.
        let metadata = query.evaluation_key_metadata.clone().unwrap_or_default();
        if metadata.identifier != data.key_config_hash() {
            return Err(Refusal::NoEvaluationKey);
        }
        let user = self.user.ok_or(Refusal::Header("User-Identifier"))?;
        let id = self.service.store().key_id(user, data.key_config_hash())?;
        if let Some(key) = self.found.get(&(id, metadata.timestamp)) {
            return Ok(Arc::clone(key));
        }
        let key = self.look_up(data, id, metadata.timestamp).await?;
        self.found.insert((id, metadata.timestamp), Arc::clone(&key));
        Ok(key)
    }

    async fn look_up(
        &mut self,
        data: &Arc<DataSet>,
        id: KeyId,
        timestamp: u64,
    ) -> Result<Arc<CachedKey>, Refusal> {
        let (service, store) = (self.service, self.service.store());
        if let Some(key) = service.keys().get(&id, store, service.now()) {
            if key.timestamp() == timestamp {
                service.metrics().key_cache(true);
                return Ok(key);
            }
            // The client may have uploaded a newer key to another node.
            if store.evaluation_key_timestamp(id).await? != Some(timestamp) {
                return Err(Refusal::NoEvaluationKey);
            }
            service.keys().remove(&id);
        }
        service.metrics().key_cache(false);
        let read = async {
            if store.evaluation_key_timestamp(id).await? != Some(timestamp) {
                return Err(Refusal::NoEvaluationKey);
            }
            let stored = store.evaluation_key(id).await?.ok_or(Refusal::NoEvaluationKey)?;
            let mut room = service.keys().room(stored.bytes.len())?;
            let data = Arc::clone(data);
            let prepare = move |_: TaskContext<'_>| {
                room.grow(key_cache::prepared_bytes(&data))?;
                // It was checked when it was uploaded; one that is not valid now counts as absent.
                let ready = key_cache::prepare_stored(&data, &stored);
                let ready = ready.map_err(|_| Refusal::NoEvaluationKey)?;
                Ok::<_, Refusal>(Arc::new(CachedKey::new(ready, room)))
            };
            self.reservation.run_before(prepare).await?
        };
        let key = service.keys().get_or(&id, read).await?;
        // Another request may have read it for another query, or it was replaced meanwhile.
        if key.timestamp() != timestamp {
            return Err(Refusal::NoEvaluationKey);
        }
        store.touch_evaluation_key(id, service.now());
        Ok(key)
    }
}

/// Answers one query, on a thread of the pool.
fn answer(
    question: Question,
    use_case: String,
    context: &TaskContext<'_>,
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
            let query =
                SerializedQuery::try_from(query.query.ok_or_else(missing)?).map_err(invalid)?;
            let server = shard.server();
            let query = server.read_query(&query).map_err(invalid)?;
            let execution = Execution::new().cancelled_by(context.cancelled);
            let answer = match context.idle_threads {
                Some(pool) => pool.install(|| server.answer(&query, key, execution.parallel())),
                None => server.answer(&query, key, execution),
            };
            let (reply, times) = answer.map_err(|error| match error {
                // The client has disconnected; the result is dropped.
                keyword_pir::Error::Cancelled => Refusal::Timeout,
                keyword_pir::Error::Database(error) => {
                    shard.unreadable(&error);
                    Refusal::Internal
                }
                other => invalid(other),
            })?;
            let cost = Cost { use_case, waited: context.waited, times };
            (api::response::Response::PirResponse(api::pir::PirResponse::from(reply)), Some(cost))
        }
    };
    Ok((api::Response { response: Some(response) }, cost))
}
