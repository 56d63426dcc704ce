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
    let compose = fs::read_to_string(deploy("compose/service-config.json")).unwrap();
    let yaml = fs::read_to_string(deploy("kubernetes/configuration.yaml")).unwrap();
    let (_, rest) = yaml.split_once("service-config.json: |\n").unwrap();
    let (json, _) = rest.split_once("\n---").unwrap();
    Configuration::parse(json.as_bytes()).unwrap();
    // Nodes follow what is signed and nothing else.
    for text in [&compose[..], json] {
        let configuration: serde_json::Value = serde_json::from_str(text).unwrap();
        let keys = configuration["publications"]["publicKeys"].as_array().unwrap();
        assert_eq!(keys.len(), 1);
        assert!(keys[0].as_str().unwrap().starts_with("RWQCHANGETHIS"));
    }
    // What the publisher signs with is a secret that nodes do not have.
    let secret = "name: publication-key\n";
    assert!(yaml.contains(secret));
    let read = |name: &str| fs::read_to_string(deploy(&format!("kubernetes/{name}"))).unwrap();
    assert!(read("publish.yaml").contains("name: URLFILTER_SIGNING_KEY"));
    assert!(read("publish.yaml").contains(secret));
    assert!(!read("deployment.yaml").contains("publication-key"));
}
