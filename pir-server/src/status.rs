//! What a service serves and whether it is well, for people: `GET /status` as JSON, and the page at `/`.

mod chart;
mod doctor;
mod page;
mod problems;

use doctor::DoctorReport;
pub(crate) use page::page;

use crate::blocking::{TaskFailed, blocking};
use crate::metrics::resident_bytes;
#[cfg(feature = "lists")]
use crate::service::ListsStatus;
use crate::service::{RefreshedFile, Service};
use crate::traffic::Minute;
use pir_dataset::publication::UseCaseStatus;
use serde::Serialize;
use std::sync::Arc;
use unix_clock::Timestamp;

/// The answer to `GET /status`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    version: &'static str,
    now: Timestamp,
    ready: bool,
    /// The sentence of `/readyz`.
    readiness: String,
    /// What is old, late or not served.
    problems: Vec<String>,
    /// Why the last reload failed, if it did.
    #[serde(skip)]
    reload_failure: Option<String>,
    /// Files that changed and could not be read again, and why.
    #[serde(skip)]
    refresh_failures: Vec<(RefreshedFile, String)>,
    #[serde(skip)]
    admits_nobody: bool,
    warnings: Vec<String>,
    use_cases: Vec<UseCaseReport>,
    #[cfg(feature = "lists")]
    lists: Option<ListsStatus>,
    releases: Vec<UseCaseStatus>,
    certificate_ends_at: Option<Timestamp>,
    queue_depth: usize,
    threads: usize,
    memory_bytes: Option<u64>,
    store: StoreReport,
    user_tokens: usize,
    /// The last hour by minutes, the current one last.
    minutes: Vec<Minute>,
    /// The last findings of the doctor, if the configuration says where they are.
    doctor: Option<DoctorReport>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UseCaseReport {
    name: String,
    shards: usize,
    versions: usize,
    rows: Option<u64>,
    written_at: Option<Timestamp>,
    config_id: String,
    /// SHA-256 of the keywords, hexadecimal.
    keywords_sha256: Option<String>,
    /// The tag of the prefilter that is given out.
    prefilter_tag: Option<String>,
    levels: Vec<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreReport {
    evaluation_keys: u64,
    evaluation_key_bytes: u64,
    nonces: u64,
    used_bytes: u64,
    capacity_bytes: u64,
}

impl Status {
    /// The status of a service. Reads the findings of the doctor from their file.
    pub(crate) async fn of(service: &Arc<Service>) -> Self {
        let doctor = match service.doctor_report() {
            None => None,
            Some(path) => {
                let path = path.to_owned();
                let read = blocking(move || Ok::<_, TaskFailed>(DoctorReport::read(&path))).await;
                Some(read.unwrap_or_else(|failed| DoctorReport::Unusable {
                    problem: failed.to_string(),
                }))
            }
        };

        let (loaded, readiness, live) = (service.loaded(), service.readiness(), service.live());
        let use_cases = loaded.use_cases.into_iter().map(|served| UseCaseReport {
            prefilter_tag: live
                .prefilter(&served.name, "", service.now())
                .map(|filter| filter.tag().to_owned()),
            levels: live.levels(&served.name).map(str::to_owned).collect(),
            name: served.name,
            shards: served.shards,
            versions: served.versions,
            rows: served.rows,
            written_at: served.written_at,
            config_id: served.config_id,
            keywords_sha256: served.keywords_sha256,
        });
        let store = service.store().statistics();
        let mut status = Self {
            version: env!("CARGO_PKG_VERSION"),
            now: service.now(),
            ready: readiness.is_ready(),
            readiness: readiness.to_string(),
            problems: Vec::new(),
            reload_failure: service.reload_failure(),
            refresh_failures: service.refresh_failures(),
            admits_nobody: loaded.admits_nobody,
            warnings: loaded.warnings,
            use_cases: use_cases.collect(),
            #[cfg(feature = "lists")]
            lists: service.lists_status(),
            releases: service.release_statuses(),
            certificate_ends_at: service.certificate_end(),
            queue_depth: service.pool().depth(),
            threads: service.pool().threads(),
            memory_bytes: resident_bytes(),
            store: StoreReport {
                evaluation_keys: store.evaluation_keys,
                evaluation_key_bytes: store.evaluation_key_bytes,
                nonces: store.nonces,
                used_bytes: store.used_bytes,
                capacity_bytes: store.capacity_bytes,
            },
            user_tokens: loaded.user_tokens,
            minutes: service.traffic().minutes(service.now()),
            doctor,
        };
        status.problems = problems::problems(&status);
        status
    }
}
