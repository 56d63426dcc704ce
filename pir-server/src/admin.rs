//! The endpoints for operators: a page, status, health, metrics, releases and reloads. They must not be reachable from the open
//! network.

use crate::blocking::blocking;
use crate::endpoints::health;
use crate::reports::{self, CountOptions, Day};
use crate::service::{Loaded, Service, ServiceError};
use crate::status::{self, Status};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use error_reporter::Report;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, ORIGIN};
use http::{StatusCode, Uri};
use std::sync::Arc;

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, media)], service.metrics_text()).into_response()
}

/// Reloads; answers with what is served now, or with 409 and the reason why nothing has changed.
async fn reload(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    // A browser sends it with what a page of anyone makes it post. The page of this address posts nothing.
    if headers.contains_key(ORIGIN) {
        return (StatusCode::FORBIDDEN, "not from a page in a browser\n").into_response();
    }
    let (status, body) = match reload_and_log(&service).await {
        Ok(loaded) => {
            let use_cases = loaded.use_cases.iter().map(|use_case| {
                serde_json::json!({
                    "name": use_case.name,
                    "versions": use_case.versions,
                    "shards": use_case.shards,
                    "configId": use_case.config_id,
                    "rows": use_case.rows,
                    "keywordsSha256": use_case.keywords_sha256,
                    "tag": use_case.tag,
                })
            });
            let body = serde_json::json!({
                "useCases": use_cases.collect::<Vec<_>>(),
                "userTokens": loaded.user_tokens,
                "afterRestart": loaded.after_restart,
                "warnings": loaded.warnings,
            });
            (StatusCode::OK, body)
        }
        Err(error) => {
            let reason = Report::new(&error).to_string();
            let body = serde_json::json!({ "error": { "message": reason } });
            (StatusCode::CONFLICT, body)
        }
    };
    (status, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

/// What is served and whether it is well.
async fn status(State(service): State<Arc<Service>>) -> Response {
    axum::Json(Status::of(&service).await).into_response()
}

/// The same for people.
async fn page(State(service): State<Arc<Service>>) -> Response {
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, policy)];
    (headers, status::page(&Status::of(&service).await)).into_response()
}

/// How far this node is with the published releases.
async fn releases(State(service): State<Arc<Service>>) -> Response {
    axum::Json(service.release_statuses()).into_response()
}

/// How often keys were reported, by day: a table of comma-separated values. `from` and `to` choose days.
async fn report_counts(State(service): State<Arc<Service>>, uri: Uri) -> Response {
    let Some(log) = service.live().reports.clone() else {
        return (StatusCode::NOT_FOUND, "there is no reportDirectory\n").into_response();
    };
    let mut options = CountOptions { min_count: log.settings().min_count, ..Default::default() };
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        let day = match (&*name, value.parse::<Day>()) {
            ("from" | "to", Ok(day)) => Some(day),
            ("from" | "to", Err(error)) => {
                return (StatusCode::BAD_REQUEST, format!("{name}: {error}\n")).into_response();
            }
            _ => {
                let text = "expected from and to, days such as 2026-11-25\n";
                return (StatusCode::BAD_REQUEST, text).into_response();
            }
        };
        match &*name {
            "from" => options.from = day,
            _ => options.to = day,
        }
    }
    let counted = blocking(move || {
        let counted = reports::count(log.directory(), &options);
        counted.map_err(std::io::Error::other)
    });
    match counted.await {
        Ok(days) => {
            let media = [(CONTENT_TYPE, "text/csv; charset=utf-8")];
            (media, reports::to_csv(&days)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "reports cannot be counted");
            (StatusCode::INTERNAL_SERVER_ERROR, "reports cannot be counted; see the log\n")
                .into_response()
        }
    }
}

/// Calls [`Service::reload`] and logs the result. For a handler of SIGHUP.
///
/// # Errors
/// As [`Service::reload`]; what is served has not changed then.
pub async fn reload_and_log(service: &Arc<Service>) -> Result<Loaded, ServiceError> {
    match service.reload().await {
        Ok(loaded) => {
            let use_cases = loaded.use_cases.len();
            tracing::info!(use_cases, user_tokens = loaded.user_tokens, "reloaded");
            for warning in &loaded.warnings {
                tracing::warn!("{warning}");
            }
            for key in &loaded.after_restart {
                tracing::warn!(key, "changed in the configuration; takes effect at the next start");
            }
            Ok(loaded)
        }
        Err(error) => {
            let reason = Report::new(&error).to_string();
            tracing::error!(reason, "not reloaded; everything stays as it was");
            Err(error)
        }
    }
}

/// The router of the admin address: a page at `/`, `GET /status` (JSON), `GET /metrics` (OpenMetrics), `GET /releases` (JSON), `GET /reports.csv`, `POST /reload`,
/// `GET /healthz` and `GET /readyz`.
pub fn router(service: &Arc<Service>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/releases", get(releases))
        .route("/reports.csv", get(report_counts))
        .route("/reload", post(reload))
        .with_state(Arc::clone(service))
        .merge(health(service))
}
