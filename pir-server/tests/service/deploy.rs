//! The configurations of `deploy/` are accepted.

use pir_server::Configuration;
use std::fs;
use std::path::{Path, PathBuf};

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

#[test]
fn configurations_are_accepted() {
    Configuration::read(&deploy("compose/service-config.json")).unwrap();
    let yaml = fs::read_to_string(deploy("kubernetes/configuration.yaml")).unwrap();
    let (_, rest) = yaml.split_once("service-config.json: |\n").unwrap();
    let (json, _) = rest.split_once("\n---").unwrap();
    Configuration::parse(json.as_bytes()).unwrap();
}
