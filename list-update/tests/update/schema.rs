//! The published schema knows the keys that the parser knows, and the published examples follow it.

use list_update::Configuration;
use serde_json::Value;
use std::collections::BTreeSet;
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

/// Documents that the schema and the program take, and documents that both refuse. What only one of them can know stays out:
/// whether names are unique, and which sets of parameters there are.
#[test]
fn schema_and_program_take_the_same_documents() {
    const SOURCE: &str = "out = \"state\"\n[[source]]\nname = \"a\"\npath = \"a.txt\"\n";
    const PUBLISH: &str = "[service]\nuse_case = \"u\"\npublish = \"p\"\n";
    if !(cfg!(feature = "tls") && cfg!(feature = "cloud")) {
        return;
    }
    let source = |more: &str| format!("{SOURCE}{more}\n");
    let named = |name: &str| SOURCE.replace("\"a\"", &format!("\"{name}\""));
    let build = |more: &str| format!("{SOURCE}[build]\n{more}\n");
    let process = |more: &str| format!("{SOURCE}[process]\n{more}\n");
    let allow = |more: &str| format!("{SOURCE}[[allow]]\n{more}\n");
    let service = |more: &str| format!("{SOURCE}[service]\n{more}\n");
    let publish = |more: &str| format!("{SOURCE}{PUBLISH}{more}\n");
    let taken = [
        source(""),
        source("format = \"auto\""),
        source("format = \"hosts\""),
        source("format = \"csv=my column\"\nwhere = \"a=b\""),
        source("format = \"tsv=3\"\nwhere = [\"a!=b\", \"2=\"]"),
        source("format = \"json=url\""),
        source("min_keys = 0\nmax_shrink = 1"),
        source("max_shrink = 0.0\nmax_bytes = 1\ntimeout_seconds = 31536000"),
        source("levels = [\"a-1\"]"),
        named(&"ü".repeat(100)),
        build("fpr = 0.5\nsystems = [\"26\"]"),
        build("systems = [\"27\", \"26\"]\nmin_keys = 3\nmax_refused = 1.0"),
        build("strict = true"),
        build("strict = true\ntolerate = [\"covers-subdomains\", \"wildcard\", \"still-covered\"]"),
        build("tolerate = []"),
        process("trials_per_shard = 0\nrows_per_shard = 1"),
        process("trials_per_shard = 4294967295"),
        allow("path = \"x.txt\""),
        allow("url = \"HTTPS://x.example/\"\nname = \"x\""),
        allow("path = \"x.txt\"\nlevels = []"),
        service(""),
        service("use_case = \"u\""),
        service("every_minutes = 525600"),
        service("reload = \"http://127.0.0.1:9090\"\nnodes = []"),
        service("reload = \"https://host.example/\""),
        publish(""),
        publish("nodes = [\"http://10.0.0.1:9090\"]\nsign = \"k\"\nkeep = 0"),
        publish("nodes = []\nnodes_name = \"http://nodes:9090\""),
        publish("lead_seconds = 0\nfilter_delay_seconds = 31536000\nnode_timeout_seconds = 0"),
    ];
    let refused = [
        "out = \"\"\n[[source]]\nname = \"a\"\npath = \"b\"\n".to_owned(),
        "out = \"state\"\n".to_owned(),
        "out = \"state\"\nsource = [\"a.txt\"]\n".to_owned(),
        source("url = \"http://x.example/\""),
        source("min_keys = -1"),
        source("min_keys = \"1\""),
        source("max_shrink = 1.1"),
        source("max_bytes = 0"),
        source("timeout_seconds = 0"),
        source("timeout_seconds = 31536001"),
        source("format = \"\""),
        source("format = \"URLS\""),
        source("format = \"csv\""),
        source("format = \"csv=\""),
        source("format = \"csv=0\""),
        source("format = \"json=\""),
        source("format = \"csv=a\"\nwhere = \"\""),
        source("format = \"csv=a\"\nwhere = \"a\""),
        source("format = \"csv=a\"\nwhere = [\"=b\"]"),
        source("format = \"csv=a\"\nwhere = 1"),
        source("levels = [\"A\"]"),
        source("levels = \"a\""),
        named(""),
        named("a\\tb"),
        named("a\\u0085b"),
        named(&"ü".repeat(101)),
        SOURCE.replace("name = \"a\"\n", ""),
        SOURCE.replace("path = \"a.txt\"", "url = \"ftp://x\""),
        SOURCE.replace("path = \"a.txt\"\n", ""),
        build("fpr = 0"),
        build("fpr = 1.0"),
        build("systems = []"),
        build("systems = [\"26,27\"]"),
        build("systems = [\"25\"]"),
        build("max_refused = -0.1"),
        build("strict = 1"),
        build("strict = true\ntolerate = \"wildcard\""),
        build("strict = true\ntolerate = [\"wildcards\"]"),
        build("tolerate = [\"wildcard\"]"),
        build("strict = false\ntolerate = [\"wildcard\"]"),
        process("rows_per_shard = 0"),
        process("trials_per_shard = 4294967296"),
        process("rlwe_parameters = \"insecure_n_8_logq_5x18_logt_5\""),
        allow("url = \"https://x.example/\""),
        allow("path = \"x.txt\"\nlevels = [\"a\"]"),
        service("use_case = \"\""),
        service("every_minutes = 0"),
        service("every_minutes = 525601"),
        service("every_minutes = 9223372036854775807"),
        service("reload = \"\""),
        service("reload = \"127.0.0.1:9090\""),
        service("reload = \"ftp://x\""),
        service("reload = \"http:///x\""),
        service("publish = \"p\""),
        service("use_case = \"u\"\npublish = \"\""),
        service("nodes = [\"http://x\"]"),
        service("nodes_name = \"http://x\""),
        service("sign = \"k\""),
        service("lead_seconds = 1"),
        service("filter_delay_seconds = 1"),
        service("node_timeout_seconds = 1"),
        service("keep = 1"),
        service("reload = \"http://x\"\nkeep = 1"),
        publish("reload = \"http://x\""),
        publish("nodes = [\"localhost:9\"]"),
        publish("nodes = \"http://x\""),
        publish("nodes = [\"http://x\"]\nnodes_name = \"http://x\""),
        publish("lead_seconds = 31536001"),
        publish("filter_delay_seconds = 31536001"),
        publish("node_timeout_seconds = 9223372036854775807"),
    ];
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let both =
        taken.iter().map(|text| (text, true)).chain(refused.iter().map(|text| (text, false)));
    let mut wrong = Vec::new();
    for (text, expected) in both {
        let value: Value = toml::from_str(text).unwrap();
        let of_schema = validator.is_valid(&value);
        let of_program = Configuration::parse(text, Path::new(""));
        if (of_schema, of_program.is_ok()) != (expected, expected) {
            let why = of_program.err().map(|error| error.to_string());
            wrong.push(format!("{text}\nschema: {of_schema}, program: {why:?}"));
        }
        if let Err(error) = Configuration::parse(text, Path::new("")) {
            let error = error.to_string();
            for of_rust in ["struct ", "u32", "u64", "f64", "i128", "sequence", "invalid type"] {
                assert!(!error.contains(of_rust), "{error}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_schema_has_the_names_of_all_reasons() {
    use blocklist::builder::{STILL_COVERED, reason_named};
    use blocklist::key::{Refusal, Remark};
    let schema = schema();
    let described = &schema["properties"]["build"]["properties"]["tolerate"]["items"]["enum"];
    let described: BTreeSet<&str> =
        described.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let refusals = Refusal::ALL.iter().map(|refusal| refusal.name());
    let remarks = Remark::ALL.iter().map(|remark| remark.name());
    let known: BTreeSet<&str> = refusals.chain(remarks).chain([STILL_COVERED]).collect();
    assert_eq!(described, known);
    assert!(known.iter().all(|name| reason_named(name) == Some(*name)));
    assert_eq!(reason_named("wildcards"), None);
}
