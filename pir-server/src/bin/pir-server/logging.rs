//! Log lines on standard error, and traces where they are asked for.

use clap::ValueEnum;
use std::io::{IsTerminal, stderr};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Variables with the address of a collector of traces, which are sent when one of them is set. The first counts.
pub(crate) const COLLECTOR: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Target of the spans of requests.
const TRACES: &str = "pir_server::traces";

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// What is to be finished before the program ends.
#[must_use]
pub(crate) struct Telemetry {
    #[cfg(feature = "otel")]
    traces: Option<crate::open_telemetry::Traces>,
}

impl Telemetry {
    /// Sends the traces that have not been sent.
    pub(crate) fn finish(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.finish();
        }
    }
}

/// Starts to log in this format, by default as text on a terminal and as JSON elsewhere.
///
/// # Errors
/// The variables for OpenTelemetry ask for what cannot be done.
pub(crate) fn start(format: Option<LogFormat>, level: LevelFilter) -> anyhow::Result<Telemetry> {
    let by_place = || if stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    // Libraries may log what they read, so that only their warnings are shown.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("pir_server", level)
        .with_target(TRACES, LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let lines = match format.unwrap_or_else(by_place) {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    #[cfg(feature = "otel")]
    let telemetry = {
        let (layer, traces) = crate::open_telemetry::from_environment()?.unzip();
        let spans = Targets::new().with_target(TRACES, LevelFilter::INFO);
        registry.with(layer.with_filter(spans)).init();
        Telemetry { traces }
    };
    #[cfg(not(feature = "otel"))]
    let telemetry = {
        registry.init();
        if COLLECTOR.into_iter().any(|name| std::env::var_os(name).is_some()) {
            tracing::warn!(
                "traces are not sent: this program was built without the feature `otel`"
            );
        }
        Telemetry {}
    };
    // The message of a panic may quote the data of a request; its location is enough to find the bug.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a bug: something panicked");
    }));
    Ok(telemetry)
}
