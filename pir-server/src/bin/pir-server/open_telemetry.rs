//! Traces for a collector of OpenTelemetry, by the variables that its specification names.

use crate::logging::COLLECTOR;
use anyhow::{Context, bail};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// The only protocol that this program has.
const PROTOCOL: &str = "http/protobuf";

/// What sends traces, on a thread of its own.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends the traces that have not been sent.
    pub(crate) fn finish(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// The value of the first of these variables that is set and not empty.
fn first(names: [&'static str; 2]) -> anyhow::Result<Option<(&'static str, String)>> {
    for name in names {
        match std::env::var(name) {
            Ok(value) if !value.is_empty() => return Ok(Some((name, value))),
            Ok(_) | Err(std::env::VarError::NotPresent) => {}
            Err(error) => return Err(error).context(name),
        }
    }
    Ok(None)
}

fn is(name: &str, expected: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case(expected))
}

/// The layer that takes the spans of requests, if a collector is named.
///
/// # Errors
/// A collector is named, and cannot be used: another protocol, or an address that is none.
pub(crate) fn from_environment<S>()
-> anyhow::Result<Option<(OpenTelemetryLayer<S, SdkTracer>, Traces)>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let Some((name, endpoint)) = first(COLLECTOR)? else { return Ok(None) };
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    if let Some((name, value)) = first(PROTOCOLS)?.filter(|(_, value)| value != PROTOCOL) {
        bail!("{name}={value}: {PROTOCOL} is expected; collectors have it on port 4318");
    }
    let url = reqwest::Url::parse(&endpoint).with_context(|| format!("{name}={endpoint}"))?;
    match url.scheme() {
        "http" => {}
        "https" if cfg!(feature = "tls") => {}
        "https" => {
            bail!("{name}: https needs the feature `tls`, which this program was built without")
        }
        scheme => bail!("{name}: http or https is expected, not {scheme}"),
    }
    let exporter = SpanExporter::builder().with_http().build().context(name)?;
    // The service's name and the sampler may be set by variables, too, and the sizes of batches.
    let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => Resource::builder(),
        None => Resource::builder().with_service_name("pir-server"),
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    // Spans have what `pir_server` puts into them, and nothing about code or threads.
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("pir-server"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false);
    Ok(Some((layer, Traces(provider))))
}
