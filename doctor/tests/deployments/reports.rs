//! Where the app sends reports, and where the service takes them.

use crate::support::{Deployed, Plan};
use doctor::Severity;
use serde_json::json;

#[test]
fn reports_go_where_the_service_takes_them() {
    let more = json!({ "reports": { "path": "/reports" } });
    let deployed = Deployed::new(Plan { more, ..Plan::default() });
    for (path, severity, seen) in [
        ("reports", Severity::Good, "/reports takes reports"),
        ("/reports", Severity::Good, "/reports takes reports"),
        ("report", Severity::Bad, "/report: status 404"),
        ("config", Severity::Bad, "/config: status 4"),
    ] {
        let report = deployed.examine(deployed.deployment().report_endpoint(path));
        match severity {
            Severity::Good => report.says("reportEndpoint", severity, seen),
            _ => report.is_only("reportEndpoint", severity, seen),
        }
    }
}
