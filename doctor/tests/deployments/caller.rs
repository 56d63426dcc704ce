//! Deployments for Live Caller ID Lookup.

use crate::support::{Deployed, Plan, Report, name_server};
use crate::{BUNDLE, TOKEN};
use caller_id::{CallerRows, Icons};
use doctor::{Deployment, ExamineError, Severity};
use pir_dataset::configuration::Configuration as ProcessConfiguration;
use pir_dataset::processing::Run;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UdpSocket;

/// Processes a data set; returns its use case.
fn process(folder: &Path, name: &str, rows: &[u8]) -> Value {
    let path = |name: String| folder.join(name).display().to_string();
    fs::write(path(format!("{name}.binpb")), rows).unwrap();
    let configuration = json!({
        "rlweParameters": "n_4096_logq_27_28_28_logt_5",
        "inputDatabase": path(format!("{name}.binpb")),
        "outputDatabase": path(format!("{name}-SHARD_ID.bin")),
        "outputPirParameters": path(format!("{name}-SHARD_ID.params.txtpb")),
        "sharding": { "shardCount": 1 },
    });
    let configuration = ProcessConfiguration::parse(configuration.to_string().as_bytes()).unwrap();
    Run::new(&configuration).finish().unwrap();
    json!({ "name": format!("{BUNDLE}.{name}"), "fileStem": path(name.to_owned()) })
}

/// A service with the callers of a table, and perhaps Apple's.
fn deployed(table: &str, onboarding: bool, change: fn(Vec<u8>) -> Vec<u8>) -> (Deployed, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = CallerRows::new(Vec::new(), Vec::new());
    rows.add_csv(table.as_bytes(), &Icons::none()).unwrap();
    if onboarding {
        rows.add_onboarding_entry().unwrap();
    }
    let made = rows.finish().unwrap();
    let block = process(folder.path(), "block", &change(made.block));
    let identity = process(folder.path(), "identity", &change(made.identity));
    let more = json!({ "usecases": [block, identity] });
    (Deployed::new(Plan { more, ..Plan::default() }), folder)
}

fn examined(deployed: &Deployed) -> Report {
    deployed.examine(deployed.deployment().caller_id())
}

const TABLE: &str = "number,name,block\n+442079460123,A,false\n";

#[test]
fn a_deployment_for_calls_in_order_is_ready() {
    let (deployed, _folder) = deployed(TABLE, true, |rows| rows);
    let examined = |record: Option<String>| {
        let resolver = deployed.runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            tokio::spawn(name_server(socket, record));
            address
        });
        let deployment = deployed.deployment().caller_id().timeout(Duration::from_secs(20));
        deployed.examine(deployment.gateway(&deployed.url).resolver(resolver))
    };
    let report = examined(Some(format!("apple-live-caller-id-lookup={BUNDLE}")));
    assert_eq!(
        report.findings.count(Severity::Good),
        report.findings.len(),
        "{:#?}",
        report.findings
    );
    report.says("config", Severity::Good, &format!("{BUNDLE}.block"));
    report.says("config", Severity::Good, &format!("{BUNDLE}.identity"));
    report.says("onboardingNumber", Severity::Good, "is not blocked");
    report.says("onboardingNumber", Severity::Good, "Johnny Appleseed");
    report.says("dnsRecord", Severity::Good, "apple-live-caller-id-lookup=");
    report.says("gatewayLookup", Severity::Good, "go through the gateway");
    // The record of a URL filter is another one.
    let other = examined(Some(format!("apple-url-filter={BUNDLE}")));
    other.is_only("dnsRecord", Severity::Bad, "has no TXT record apple-live-caller-id-lookup=");
}

#[test]
fn numbers_that_apple_does_not_find() {
    let check = "onboardingNumber";
    let (without, _folder) = deployed(TABLE, false, |rows| rows);
    examined(&without).is_only(check, Severity::Warning, "is not found");
    let own = "number,name,block\n+14085551212,Somebody Else,false\n";
    let (other_name, _folder) = deployed(own, false, |rows| rows);
    examined(&other_name).is_only(check, Severity::Bad, "with another name");
    let own = "number,name,block\n+14085551212,Johnny Appleseed,true\n";
    let (blocked, _folder) = deployed(own, false, |rows| rows);
    examined(&blocked).is_only(check, Severity::Bad, "is blocked");
}

/// Rows that another tool made, with text where devices expect a byte and a message.
#[test]
fn values_that_devices_cannot_read() {
    let as_text = |_: Vec<u8>| {
        let mut rows = keyword_database::Writer::binary(Vec::new());
        rows.write(b"+14085551212", b"11").unwrap();
        rows.finish().unwrap()
    };
    let (deployed, _folder) = deployed(TABLE, false, as_text);
    let report = examined(&deployed);
    report.says("onboardingNumber", Severity::Bad, "has 2 bytes");
    report.says("onboardingNumber", Severity::Bad, "cannot be read");
    assert!(!report.findings.is_ready());
}

#[test]
fn use_cases_of_the_extension_that_are_missing() {
    let deployed = Deployed::new(Plan::default());
    let report = examined(&deployed);
    report.is_only("config", Severity::Bad, &format!("no use case {BUNDLE}.block"));
    report.has_cause("the bundle id of the extension (not of the app)");
    for ending in ["block", "identity"] {
        let id = format!("{BUNDLE}.{ending}");
        let deployment = Deployment::new(&deployed.url, &id, TOKEN).caller_id();
        let error = deployed.runtime.block_on(doctor::examine(&deployment)).unwrap_err();
        assert!(matches!(error, ExamineError::ExtensionId(_)), "{error}");
    }
}
