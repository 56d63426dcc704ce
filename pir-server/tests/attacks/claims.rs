//! The pages that make claims name tests that exist, and make none without a test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Names of tests, and the modules (files or folders) that each is in.
type Tests = BTreeMap<String, BTreeSet<String>>;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Adds the tests of a file, or of all files below a folder.
fn collect(path: &Path, tests: &mut Tests) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), tests);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let modules: BTreeSet<String> = path
            .iter()
            .map(|part| part.to_str().unwrap().trim_end_matches(".rs").to_owned())
            .collect();
        let text = fs::read_to_string(path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            let line = line.trim_start_matches("pub ").trim_start_matches("async ");
            if let Some((name, _)) = line.strip_prefix("fn ").and_then(|line| line.split_once('('))
                && std::mem::take(&mut is_test)
            {
                tests.entry(name.to_owned()).or_default().extend(modules.clone());
            }
        }
    }
}

fn tests() -> Tests {
    let mut tests = Tests::new();
    for member in fs::read_dir(workspace()).unwrap() {
        for folder in ["src", "tests"] {
            let path = member.as_ref().unwrap().path().join(folder);
            if path.is_dir() {
                collect(&path, &mut tests);
            }
        }
    }
    tests
}

/// The names in a text that look like those of tests.
fn named(text: &str) -> Vec<&str> {
    let is_name = |text: &&str| {
        let (module, name) = text.rsplit_once("::").unwrap_or(("", text));
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
        text.chars().all(is_plain) && (!module.is_empty() || name.matches('_').count() >= 2)
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

fn is_known(tests: &Tests, text: &str) -> bool {
    let mut parts = text.rsplit("::");
    let modules = parts.next().and_then(|name| tests.get(name));
    modules.is_some_and(|modules| parts.all(|part| modules.contains(part)))
}

fn page(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).unwrap()
}

#[test]
fn tests_that_pages_name_exist() {
    let tests = tests();
    for name in ["docs/threat-model.md", "docs/privacy.md", "SECURITY.md"] {
        let page = page(name);
        let named = named(&page);
        assert!(named.len() >= 10, "{name}: {named:?}");
        let unknown: Vec<_> = named.into_iter().filter(|text| !is_known(&tests, text)).collect();
        assert!(unknown.is_empty(), "{name} names tests that do not exist: {unknown:?}");
    }
    assert!(!is_known(&tests, "no_test_has_this_name"));
    assert!(!is_known(&tests, "oracle::tests_that_pages_name_exist"));
}

/// Parts of a page that each begin with a line that `is_beginning` knows.
fn parts(text: &str, is_beginning: impl Fn(&str) -> bool) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        match parts.last_mut() {
            _ if is_beginning(line) => parts.push(line.to_owned()),
            // An empty line ends a part.
            Some(part) if !line.is_empty() && !part.ends_with("\n\n") => {
                part.push('\n');
                part.push_str(line);
            }
            Some(part) => part.push_str("\n\n"),
            None => {}
        }
    }
    parts
}

#[test]
fn no_claim_stands_without_a_test() {
    let tests = tests();
    let has_test = |text: &str| named(text).iter().any(|name| is_known(&tests, name));
    // What a part guarantees.
    let security = page("SECURITY.md");
    let claims = parts(&security, |line| line.starts_with("- **"));
    assert!(claims.len() >= 13);
    for claim in claims {
        assert!(has_test(&claim) || claim.contains("No test shows it"), "SECURITY.md: {claim}");
    }
    // What a service cannot do, and the other attackers.
    let model = page("docs/threat-model.md");
    let (_, rest) = model.split_once("| it cannot | because |").unwrap();
    let (table, _) = rest.split_once("\n\n").unwrap();
    let rows: Vec<_> = table.lines().skip(2).collect();
    assert!(rows.len() >= 9);
    rows.iter().for_each(|row| assert!(has_test(row), "docs/threat-model.md: {row}"));
    for attacker in [
        "A malicious client",
        "A curious operator",
        "Someone who takes the state",
        "A bad disk",
        "Someone who writes to the object store",
    ] {
        let (_, rest) = model.split_once(&format!("**{attacker}")).unwrap();
        let text = rest.split("\n\n**").next().unwrap();
        assert!(has_test(text), "docs/threat-model.md: {attacker}");
    }
    // What a service could try.
    let privacy = page("docs/privacy.md");
    let claims = parts(&privacy, |line| line.starts_with("- *"));
    assert!(claims.len() >= 10);
    for claim in claims {
        let is_open = claim.contains("not prevented") || claim.contains("not\n  prevented");
        assert!(
            has_test(&claim) || claim.contains("all of `") || is_open,
            "docs/privacy.md: {claim}"
        );
    }
}
