//! Prefilters that are not of the data set that is served.

use crate::support::{Deployed, Plan, answers, build, process};
use crate::{BUNDLE, TOKEN};
use axum::response::IntoResponse;
use doctor::{Deployment, ExamineError, Severity};
use std::fs;
use std::sync::OnceLock;

/// The names of a prefilter's files.
const PREFILTER: [&str; 3] = ["bloom.bin", "bloom.json", "bloom_filter.plist"];

#[test]
fn a_prefilter_that_devices_cannot_use_is_told() {
    let deployed = Deployed::new(Plan::default());
    let examined = |name: &str| {
        deployed.examine(deployed.deployment().filter(deployed.path(name)).gateway(&deployed.url))
    };
    // The rows of a build beside the prefilter of another one.
    build("a.example\nnew.example\n", &deployed.path("other"), true);
    for (name, with) in [("mixed", "other"), ("cut", "dist")] {
        fs::create_dir(deployed.path(name)).unwrap();
        fs::copy(deployed.path("dist/input.txtpb"), deployed.path(name).join("input.txtpb"))
            .unwrap();
        for file in PREFILTER {
            fs::copy(deployed.path(with).join(file), deployed.path(name).join(file)).unwrap();
        }
    }
    let report = examined("mixed");
    report.is_only("sameBuild", Severity::Bad, "of 4 rows of input.txtpb are not found");
    report.has_cause("the files in this folder are of two builds");
    report.has_fix("urlfilter build");
    let bits = fs::File::options().write(true).open(deployed.path("cut/bloom.bin")).unwrap();
    bits.set_len(1).unwrap();
    let report = examined("cut");
    report.is_only("sameBuild", Severity::Bad, "is not a sound prefilter");
    report.has_cause("damaged");
    // A folder without a prefilter is an argument that cannot be used.
    let failed = |deployment: Deployment| {
        deployed.runtime.block_on(doctor::examine(&deployment)).unwrap_err()
    };
    let error = failed(deployed.deployment().filter(deployed.path("nowhere")));
    assert!(matches!(error, ExamineError::Prefilter { .. }), "{error}");
    let deployment = deployed.deployment().filter(deployed.path("dist"));
    let error = failed(deployment.data(deployed.path("nowhere/urls")));
    assert!(matches!(error, ExamineError::DataSet { .. }), "{error}");
}

#[test]
fn the_prefilter_that_the_service_gives_out_is_compared() {
    static PLIST: OnceLock<Vec<u8>> = OnceLock::new();
    let folder = tempfile::tempdir().unwrap();
    build("a.example\n", &folder.path().join("older"), true);
    PLIST.set(fs::read(folder.path().join("older/bloom_filter.plist")).unwrap()).unwrap();
    let older = |router| {
        answers("/filter/com.example.app.url.filtering", || {
            PLIST.get().unwrap().clone().into_response()
        })(router)
    };
    let deployed = Deployed::new(Plan { proxy: older, ..Plan::default() });
    let report = deployed.examine(deployed.deployment().filter(deployed.path("dist")));
    report.is_only("sameBuild", Severity::Bad, "the service gives out the prefilter");
    // The one that is given out may be that of the build.
    let report = deployed.examine(deployed.deployment().filter(folder.path().join("older")));
    report.says("sameBuild", Severity::Good, "2 keys");
    // A service that gives none out, behind a web site that answers all other paths, is in order.
    let page = |router| {
        answers("/filter/com.example.app.url.filtering", || {
            ([(http::header::CONTENT_TYPE, "text/html")], "<html>").into_response()
        })(router)
    };
    let deployed = Deployed::new(Plan { proxy: page, ..Plan::default() });
    let report = deployed.examine(deployed.deployment().filter(deployed.path("dist")));
    report.says("sameBuild", Severity::Good, "4 keys");
}

/// The last shard is missing, and the configuration names those that are there.
#[test]
fn a_data_set_that_is_served_in_part_has_one_cause() {
    let list: String = (0..80).map(|number| format!("host{number}.example\n")).collect();
    let whole = tempfile::tempdir().unwrap();
    let dist = whole.path().join("dist");
    build(&list, &dist, true);
    process(&dist, 5);
    let served = whole.path().join("served");
    fs::create_dir(&served).unwrap();
    for shard in 0..4 {
        for suffix in ["bin", "params.txtpb"] {
            let name = format!("urls-{shard}.{suffix}");
            fs::copy(dist.join(&name), served.join(&name)).unwrap();
        }
    }
    let more = serde_json::json!({ "usecases": [{
        "name": format!("{BUNDLE}.url.filtering"),
        "fileStem": served.join("urls"),
        "shardCount": 4,
    }] });
    let deployed = Deployed::new(Plan { more, ..Plan::default() });
    let deployment = || {
        let deployment = Deployment::new(&deployed.url, BUNDLE, TOKEN).gateway(&deployed.url);
        deployment.development(true).filter(&dist)
    };
    for deployment in [deployment(), deployment().data(dist.join("urls"))] {
        let report = deployed.examine(deployment);
        report.is_only("sameBuild", Severity::Bad, "just those that a data set of 5");
        report.has_fix("set shardCount");
    }
}
