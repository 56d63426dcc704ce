//! Spans of requests: where the time of a request went.
//!
//! A program that wants traces subscribes to the target `pir_server::traces`, as `pir-server` does for OpenTelemetry
//! (feature `otel`). Without a subscriber a span costs nothing. Spans have the endpoint, the status, sizes, counts and
//! times, and nothing that could tell one device or one query from another. The trace context of a request
//! (`traceparent`) is not read: it would tie the requests of one device together.

use crate::metrics::Endpoint;
use std::time::Duration;
use tracing::Span;
use tracing::field::Empty;

/// The span of a whole request.
pub(crate) fn request(endpoint: Endpoint) -> Span {
    tracing::info_span!(
        parent: None,
        "request",
        otel.name = endpoint.name(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.response.status_code = Empty,
        http.request.body.size = Empty,
        http.response.body.size = Empty,
    )
}

/// A number as collectors take it: theirs have a sign.
fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// Adds to the span of a request how it was answered; sizes are in bytes.
pub(crate) fn answered(request: &Span, status: u16, received: u64, sent: u64) {
    request.record("http.response.status_code", i64::from(status));
    request.record("http.request.body.size", number(received));
    request.record("http.response.body.size", number(sent));
    if status >= 500 {
        request.record("otel.status_code", "ERROR");
    }
}

/// The span of a stage of a request; `docs/service.md` lists the names. A name is a part of the program, so that nothing of a
/// request can be in it.
pub(crate) fn stage(name: &'static str) -> Span {
    tracing::info_span!("stage", otel.name = name)
}

/// The span of `tasks` tasks of a request in the worker pool, from queueing to the last result.
pub(crate) fn work(tasks: usize) -> Span {
    tracing::info_span!("work", tasks = number(tasks), queue_ms = Empty)
}

/// Adds to the span of work how long its tasks waited for a thread, at most.
pub(crate) fn waited(work: &Span, waited: Duration) {
    work.record("queue_ms", waited.as_secs_f64() * 1e3);
}
