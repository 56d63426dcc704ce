//! The published schema knows the keys that the parser knows, and the published examples follow it.

use list_update::Configuration;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn schema() -> Value {
    serde_json::from_slice(&fs::read(repository("docs/lists.schema.json")).unwrap()).unwrap()
}

/// The examples of the documentation and the sample.
fn examples() -> Vec<String> {
    let page = fs::read_to_string(repository("docs/lists.md")).unwrap();
    let mut examples: Vec<String> = page
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect();
    assert!(!examples.is_empty());
    examples.push(fs::read_to_string(repository("samples/lists.toml")).unwrap());
    examples
}

#[test]
fn published_examples_are_read_and_follow_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for text in examples() {
        let value: Value = toml::from_str(&text).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{text}");
        if cfg!(feature = "tls") && cfg!(feature = "cloud") {
            Configuration::parse(&text, Path::new("")).unwrap();
        }
    }
}

#[test]
fn schema_and_parser_know_the_same_keys() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], Value::Bool(false));
    let list = &schema["$defs"]["list"];
    for (path, text, part) in [
        ("", "unknown_key = 1\n", &schema),
        ("build.", "out = \"o\"\n[build]\nunknown_key = 1\n", &schema["properties"]["build"]),
        ("process.", "out = \"o\"\n[process]\nunknown_key = 1\n", &schema["properties"]["process"]),
        ("source[0].", "out = \"o\"\n[[source]]\nunknown_key = 1\n", list),
        ("service.", "out = \"o\"\n[service]\nunknown_key = 1\n", &schema["properties"]["service"]),
    ] {
        assert_eq!(part["additionalProperties"], Value::Bool(false), "{path}");
        let error = Configuration::parse(text, Path::new("")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{path}unknown_key: ")), "{error}");
        let known = error.split("known here: ").nth(1).unwrap();
        let mut known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        known.sort_unstable();
        let mut described: Vec<&str> =
            part["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        described.sort_unstable();
        assert_eq!(known, described, "{path}");
    }
}
