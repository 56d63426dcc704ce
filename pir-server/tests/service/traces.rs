//! Traces, as a collector of OpenTelemetry on loopback receives them from the command.

use crate::process::{PROGRAM, Process, run_command};
use crate::support::{Case, Device, Settings, for_key};
use axum::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use pir_api::{Message, api};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Takes the bodies of all requests to `/v1/traces`.
pub(crate) struct Collector {
    pub(crate) url: String,
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&bodies);
        let take = async move |body: Bytes| taken.lock().unwrap().push(body);
        let router = axum::Router::new().route("/v1/traces", axum::routing::post(take));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, bodies }
    }

    /// The service's command, told to send traces here.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.url);
        command
    }

    /// All that came, as text where it is text.
    pub(crate) fn text(&self) -> String {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect()
    }

    fn messages(&self) -> Vec<ExportTraceServiceRequest> {
        let bodies = self.bodies.lock().unwrap();
        let decode = |body: &Bytes| ExportTraceServiceRequest::decode(body.clone()).unwrap();
        bodies.iter().map(decode).collect()
    }
}

/// The trace that a client claims to be part of.
const FOREIGN_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn names<'s>(spans: impl IntoIterator<Item = &'s Span>) -> Vec<&'s str> {
    let mut names: Vec<&str> = spans.into_iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_have_the_stages_of_requests_and_nothing_of_clients() {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start().await;
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    let process = Process::start_by(collector.command(), folder.path(), &settings, &[]);
    let mut headers = reqwest::header::HeaderMap::new();
    let parent = format!("00-{FOREIGN_TRACE}-00f067aa0ba902b7-01");
    headers.insert("traceparent", parent.parse().unwrap());
    let http = reqwest::Client::builder().default_headers(headers).build().unwrap();
    let device = Device { http, url: process.url.clone(), user: "someone".to_owned() };
    let upload = case.first("/key").request;
    let keys = api::shared::EvaluationKeys::decode(&upload[..]).unwrap();
    let timestamp = keys.keys[0].metadata.as_ref().unwrap().timestamp;
    let queries = for_key(&case.first("/queries").request, timestamp);
    for (path, body) in
        [("/config", Vec::new()), ("/key", upload), ("/queries", queries), ("/queries", vec![8])]
    {
        let token = device.token().await.unwrap();
        let status = device.post(path, &token, body.clone()).await.unwrap().status().as_u16();
        assert_eq!(status, if body == [8] { 400 } else { 200 }, "{path}");
    }
    let (status, log) = process.terminate();
    assert!(status.success(), "{log}");
    // Spans are no log lines.
    assert!(!log.contains("spend token"), "{log}");

    let messages = collector.messages();
    let resources = messages.iter().flat_map(|message| &message.resource_spans);
    let mut spans: Vec<&Span> = Vec::new();
    for resource in resources {
        let described = &resource.resource.as_ref().unwrap().attributes;
        let name = described.iter().find(|attribute| attribute.key == "service.name").unwrap();
        let name = name.value.as_ref().unwrap().value.clone();
        assert_eq!(name, Some(Value::StringValue("pir-server".to_owned())));
        spans.extend(resource.scope_spans.iter().flat_map(|scope| &scope.spans));
    }
    let (requests, stages): (Vec<&Span>, Vec<&Span>) =
        spans.iter().partition(|span| span.parent_span_id.is_empty());
    let mut expected = vec!["config", "key", "queries", "queries"];
    expected.extend(["issue", "token_key"].repeat(4));
    expected.sort_unstable();
    assert_eq!(names(requests.iter().copied()), expected);
    let mut stages_of: BTreeMap<&[u8], Vec<&Span>> = BTreeMap::new();
    for stage in stages {
        stages_of.entry(&stage.trace_id).or_default().push(stage);
    }
    let mut traces = BTreeSet::new();
    for request in &requests {
        assert!(traces.insert(&request.trace_id), "each request has a trace of its own");
        assert_ne!(hex::encode(&request.trace_id), FOREIGN_TRACE);
        let of_request = stages_of.remove(&request.trace_id[..]).unwrap_or_default();
        let stages = names(of_request.iter().copied());
        let expected: &[&str] = match (request.name.as_str(), stages.len()) {
            ("token_key", _) => &["user token"],
            ("issue", _) => &["body", "count tokens", "user token", "work"],
            ("config", _) => &["body", "look up token", "nonce durable", "spend token"],
            ("key", _) => {
                &["body", "look up token", "nonce durable", "spend token", "store key", "work"]
            }
            // A request that is refused before its token is spent.
            ("queries", 2) => &["body", "look up token"],
            _ => &["body", "find keys", "look up token", "nonce durable", "spend token", "work"],
        };
        assert_eq!(stages, expected, "{}", request.name);
    }
    assert!(stages_of.is_empty(), "stages without a request");

    // The names and texts that may be in a span; whatever is new is to be thought about here.
    let known = BTreeSet::from([
        "busy_ns",
        "http.request.body.size",
        "http.response.body.size",
        "http.response.status_code",
        "idle_ns",
        "queue_ms",
        "tasks",
    ]);
    for span in &spans {
        assert!(span.events.is_empty() && span.links.is_empty() && span.trace_state.is_empty());
        for attribute in &span.attributes {
            assert!(known.contains(attribute.key.as_str()), "{attribute:?}");
            let value = attribute.value.as_ref().unwrap().value.as_ref().unwrap();
            assert!(matches!(value, Value::IntValue(_) | Value::DoubleValue(_)), "{attribute:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_changes_nothing_for_devices() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")]);
    let mut command = Command::new(PROGRAM);
    // The port of a listener that is closed before it is used.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://127.0.0.1:{port}/traces"));
    let process = Process::start_by(command, folder.path(), &settings, &[]);
    let url = process.url.clone();
    let device = Device { http: reqwest::Client::new(), url, user: "someone".to_owned() };
    let token = device.token().await.unwrap();
    assert_eq!(device.post("/config", &token, Vec::new()).await.unwrap().status(), 200);
    let (status, log) = process.terminate();
    assert!(status.success(), "{log}");
    assert!(
        log.contains("the last traces were not sent") || log.contains("opentelemetry"),
        "{log}"
    );
}

#[test]
fn variables_that_cannot_be_followed_are_named() {
    let cases = [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: http/protobuf is expected",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "collector",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "ftp://collector",
            "http or https is expected, not ftp",
        ),
    ];
    for (name, value, expected) in cases {
        let mut command = Command::new(PROGRAM);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").env(name, value);
        let (code, out, errors) = run_command(command.args(["--config", "absent.json"]));
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(errors.contains(expected), "{errors}");
    }
    // Switched off, the same variables change nothing: it gets to the missing configuration.
    let mut command = Command::new(PROGRAM);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector").env("OTEL_SDK_DISABLED", "true");
    let (_, _, errors) = run_command(command.args(["--config", "absent.json"]));
    assert!(errors.contains("absent.json"), "{errors}");
}
