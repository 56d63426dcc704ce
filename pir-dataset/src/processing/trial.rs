//! Test queries: whole lookups against the file that was written.

use super::error::TrialError;
use bfv::OsRandom;
use keyword_pir::{Client, EvaluationKey, Execution, Scheme, SecretKey, Server, StageTimes};
use pir_api::{Message, api, he, pir};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Bits of noise budget that a reply must have left, so that lookups do not fail by chance: see
/// section 10 of `docs/pir.md`.
pub(crate) const MIN_NOISE_BUDGET: f64 = 2.0;

/// What the test queries of a shard cost.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Costs {
    /// Entries that each reply carried, the wanted one among them.
    pub entry_count_per_response: Vec<usize>,
    /// Size of the uploaded evaluation key, in bytes.
    pub evaluation_key_bytes: usize,
    /// Key-switching keys that it has.
    pub evaluation_key_count: usize,
    /// Size of a query, in bytes.
    pub query_bytes: usize,
    /// Ciphertexts of a query.
    pub query_ciphertexts: usize,
    /// Size of a reply, in bytes.
    pub response_bytes: usize,
    /// Ciphertexts of a reply.
    pub response_ciphertexts: usize,
    /// The smallest noise budget that a reply had left, in bits.
    pub noise_budget: f64,
    /// Time of the server for each query, by the clock on the wall.
    pub runtime_milliseconds: Vec<f64>,
    /// Time of a core for each query: what a busy machine does not change. Empty where the system does not tell it.
    pub processor_milliseconds: Vec<f64>,
    /// Computing time by stage, mean of all queries.
    pub stage_milliseconds: Stages,
}

/// Computing time by stage, in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stages {
    /// Expanding the query.
    pub expansion: f64,
    /// Products of the first dimension.
    pub first_dimension: f64,
    /// Products of the second dimension.
    pub second_dimension: f64,
    /// Making the reply.
    pub reply: f64,
}

impl Stages {
    fn add(&mut self, times: StageTimes, trials: usize) {
        let share = |time: std::time::Duration| time.as_secs_f64() * 1e3 / trials as f64;
        self.expansion += share(times.expansion);
        self.first_dimension += share(times.first_dimension);
        self.second_dimension += share(times.second_dimension);
        self.reply += share(times.reply);
    }
}

/// The keys of a test client; shards that ask for the same keys share them.
pub(super) struct TestKeys {
    secret: SecretKey,
    prepared: EvaluationKey,
    bytes: usize,
    count: usize,
}

/// Test keys by the Galois elements that a shard asks for.
#[derive(Default)]
pub(crate) struct KeyRing(Mutex<BTreeMap<Vec<u32>, Arc<TestKeys>>>);

impl KeyRing {
    fn keys(&self, scheme: &Scheme, server: &Server) -> Result<Arc<TestKeys>, TrialError> {
        let config = server.parameters().evaluation_key_config();
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = ring.get(&config.galois_elements) {
            return Ok(Arc::clone(keys));
        }
        let secret = scheme.generate_secret_key(&mut OsRandom)?;
        let uploaded = scheme.generate_evaluation_key(&config, &secret, &mut OsRandom)?;
        let prepared = scheme.prepare_evaluation_key(&config, &uploaded)?;
        let count = uploaded.galois.len() + usize::from(uploaded.relinearization.is_some());
        let bytes = he::SerializedEvaluationKey::from(uploaded).encoded_len();
        let keys = Arc::new(TestKeys { secret, prepared, bytes, count });
        ring.insert(config.galois_elements, Arc::clone(&keys));
        Ok(keys)
    }
}

/// Time that this thread has had of a core, in milliseconds. A trial computes on its own thread.
#[cfg(unix)]
fn processor_milliseconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6)
}

#[cfg(not(unix))]
fn processor_milliseconds() -> Option<f64> {
    None
}

/// What a trial asks for.
pub(crate) enum Question<'q> {
    Keyword { keyword: &'q [u8], value: &'q [u8] },
    Entry { index: u64, value: &'q [u8] },
}

/// Asks questions as the service that serves the files computes answers, and compares them.
pub(crate) fn run(
    ring: &KeyRing,
    scheme: &Scheme,
    server: &Server,
    questions: &[Question<'_>],
    execution: Execution<'_>,
    min_noise_budget: f64,
) -> Result<Costs, TrialError> {
    let keys = ring.keys(scheme, server)?;
    let client = Client::new(scheme.clone(), server.parameters().clone())?;
    let mut costs = Costs {
        evaluation_key_bytes: keys.bytes,
        evaluation_key_count: keys.count,
        noise_budget: f64::INFINITY,
        ..Costs::default()
    };
    for question in questions {
        let query = match question {
            Question::Keyword { keyword, .. } => {
                client.query_keyword(keyword, &keys.secret, &mut OsRandom)?
            }
            Question::Entry { index, .. } => {
                client.query_entries(&[*index], &keys.secret, &mut OsRandom)?
            }
        };
        costs.query_ciphertexts = query.ciphertexts.len();
        let parsed = server.read_query(&query)?;
        costs.query_bytes = pir::EncryptedIndices::from(query).encoded_len();
        let (start, processor_start) = (Instant::now(), processor_milliseconds());
        let (reply, full, times) =
            server.answer_with_low_bits(&parsed, &keys.prepared, execution)?;
        costs.runtime_milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        let processor_end = processor_milliseconds();
        costs
            .processor_milliseconds
            .extend(processor_end.zip(processor_start).map(|(end, start)| end - start));
        costs.stage_milliseconds.add(times, questions.len());
        costs.response_ciphertexts = reply.iter().map(Vec::len).sum();
        let budget = client.noise_budget(&full, &keys.secret)?;
        if budget < min_noise_budget {
            return Err(TrialError::NoiseBudget { budget, min: min_noise_budget });
        }
        costs.noise_budget = costs.noise_budget.min(budget);
        let (found, value) = match question {
            Question::Keyword { keyword, value } => {
                costs.entry_count_per_response.push(client.entries_in(&reply, &keys.secret)?);
                (client.decode_keyword(&reply, keyword, &keys.secret)?, value)
            }
            Question::Entry { index, value } => {
                costs.entry_count_per_response.push(1);
                (client.decode_entries(&reply, &[*index], &keys.secret)?.pop(), value)
            }
        };
        costs.response_bytes = api::pir::PirResponse::from(reply).encoded_len();
        // Entries without a stored length end in padding.
        let found = found.ok_or(TrialError::NotFound)?;
        let same = found == **value
            || (matches!(question, Question::Entry { .. })
                && found.starts_with(value)
                && found[value.len()..].iter().all(|&byte| byte == 0));
        if !same {
            return Err(TrialError::OtherValue);
        }
    }
    Ok(costs)
}
