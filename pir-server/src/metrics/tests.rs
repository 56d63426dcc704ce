//! Dashboards, alerts and documentation name existing metrics, and each metric is documented.

use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    fs::read_to_string(folder.join(path)).unwrap()
}

/// Names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c)).filter(|word| word.starts_with("pir_")).map(str::to_owned).collect()
}

/// Each metric once: a metric without observations is not in the text.
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
    metrics.report(Outcome::Success);
    metrics.report_counts_sent(Outcome::Success);
    metrics.report_files_removed_early(1);
    metrics.connection_ended(Closing::Idle);
    metrics.polled("use case", Outcome::Success, false);
    metrics.load_failed();
    let served = ServedUseCase {
        name: "use case".to_owned(),
        versions: 1,
        shards: 1,
        rows: Some(1),
        written_at: Some(Timestamp::MIN),
        config_id: String::new(),
        keywords_sha256: None,
        tag: None,
    };
    metrics.loaded(&[served], Timestamp::MIN);
    let lists = vec![ListLevel { name: "list".to_owned(), ..ListLevel::default() }];
    metrics.text(&Levels { lists, ..Levels::default() })
}

#[test]
fn dashboards_alerts_and_docs_name_existing_metrics() {
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
    let documented = read("../docs/service.md");
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
