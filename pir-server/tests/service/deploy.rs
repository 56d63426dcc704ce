//! Files of `deploy/`: configurations are accepted, and dashboards and alerts use metrics that exist.

use pir_server::Configuration;
use pir_server::configuration::Tier;
use pir_server::gateway::GatewayRefusal;
use pir_server::metrics::{Endpoint, Levels, Metrics, Outcome, TokenRefusal};
use pir_server::service::Loaded;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(deploy(path)).unwrap()
}

#[test]
fn configurations_are_accepted() {
    Configuration::read(&deploy("compose/service-config.json")).unwrap();
    let yaml = read("kubernetes/configuration.yaml");
    let (_, rest) = yaml.split_once("service-config.json: |\n").unwrap();
    let (json, _) = rest.split_once("\n---").unwrap();
    Configuration::parse(json.as_bytes()).unwrap();
}

/// Names of metrics in the text.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c)).filter(|word| word.starts_with("pir_")).map(str::to_owned).collect()
}

/// The text of all metrics. Each event is counted once: metrics of events that never happened are left out.
fn all_metrics() -> String {
    let metrics = Metrics::default();
    let second = Duration::from_secs(1);
    metrics.answered(Endpoint::Queries, 200, second, 1, 1);
    metrics.query("use case", second, &keyword_pir::StageTimes::default());
    metrics.refused_busy(Endpoint::Queries);
    metrics.token_issued(Tier::Tier1);
    metrics.token_accepted(Tier::Tier1);
    metrics.token_refused(TokenRefusal::Spent);
    metrics.gateway_refused(GatewayRefusal::Key);
    metrics.report(Outcome::Done);
    metrics.polled("use case", Outcome::Done, false);
    metrics.load_failed();
    let use_cases = vec![("use case".to_owned(), 1, 1)];
    let loaded =
        Loaded { use_cases, user_tokens: 0, after_restart: Vec::new(), warnings: Vec::new() };
    metrics.loaded(&loaded, 0);
    metrics.text(&Levels::default())
}

#[test]
fn dashboards_and_alerts_use_metrics_that_exist() {
    let metrics = all_metrics();
    let mut known = BTreeSet::new();
    for line in metrics.lines() {
        let mut words = line.split(' ');
        if (words.next(), words.next()) != (Some("#"), Some("TYPE")) {
            continue;
        }
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        match kind {
            "counter" => known.insert(format!("{name}_total")),
            "histogram" => {
                known.extend(["_sum", "_count", "_bucket"].map(|end| format!("{name}{end}")));
                known.insert(name.to_owned())
            }
            _ => known.insert(name.to_owned()),
        };
    }
    assert!(known.len() > 30, "{known:?}");
    let documented = fs::read_to_string(deploy("../docs/service.md")).unwrap();
    for (file, text) in [
        ("alerts", read("prometheus/alerts.yaml")),
        ("alerts test", read("prometheus/alerts.test.yaml")),
        ("dashboard", read("grafana/pir-server.json")),
        ("autoscaler", read("kubernetes/autoscaler.yaml")),
        ("docs/service.md", documented.clone()),
    ] {
        for name in named(&text) {
            assert!(known.contains(&name) || name == "pir_server", "{file}: {name}");
        }
    }
    // Each metric is documented.
    for name in known.iter().filter(|name| !name.ends_with("_sum") && !name.ends_with("_count")) {
        let stem = name.strip_suffix("_bucket").unwrap_or(name);
        assert!(documented.contains(stem), "docs/service.md lacks {name}");
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("grafana/pir-server.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}
