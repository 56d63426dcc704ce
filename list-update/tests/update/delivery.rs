//! Results are delivered once, and again where they are not what was delivered.

use super::{Answer, Place, Server};
use durable_file::Access;
use error_reporter::Report;
use list_update::UpdateError;
use pir_dataset::Manifest;
use release_signature::SecretKey;
use serde_json::{Value, json};
use std::fs;

/// What a service answers that serves the data set of a place.
fn served(place: &Place, name: &str) -> Value {
    let manifest = Manifest::read(&place.path("state/data/urls-manifest.json")).unwrap();
    let prefilter =
        filter_core::Prefilter::open(place.path("state/build/bloom_filter.plist")).unwrap();
    json!({
        "name": name,
        "shards": manifest.shard_count,
        "configId": manifest.config_id,
        "rows": manifest.rows,
        "keywordsSha256": manifest.keywords_sha256,
        "tag": prefilter.tag(),
    })
}

fn answer(use_cases: &[Value]) -> Answer {
    Answer::list(json!({ "useCases": use_cases }).to_string())
}

/// A place that publishes, with a list of one host.
fn publishing() -> Place {
    let mut place = Place::new(&[("a", "")]);
    place
        .text
        .push_str("[service]\nuse_case = \"com.example.url.filtering\"\npublish = \"releases\"\n");
    place.text.push_str("lead_seconds = 0\nfilter_delay_seconds = 0\n");
    place.server.set("/a", Answer::list("bad.example\n"));
    place
}

fn current(place: &Place) -> Value {
    let text = fs::read(place.path("releases/current.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn a_result_is_published_and_only_when_it_is_new() {
    let place = publishing();
    let first = place.update().unwrap();
    let release = first.delivered.unwrap().release.unwrap();
    assert_eq!(current(&place)["release"]["id"], json!(release));
    assert!(place.update().unwrap().is_unchanged());
}

#[test]
fn a_publication_that_is_gone_is_published_again() {
    let place = publishing();
    place.update().unwrap();
    fs::remove_dir_all(place.path("releases")).unwrap();
    let again = place.update().unwrap();
    assert!(!again.built && !again.processed);
    let release = again.delivered.unwrap().release.unwrap();
    assert_eq!(current(&place)["release"]["id"], json!(release));
    assert!(place.update().unwrap().is_unchanged());
}

#[test]
fn a_prefilter_that_is_gone_from_a_publication_is_published_again() {
    let place = publishing();
    place.update().unwrap();
    let file = place.path("releases/filter/bloom_filter.plist");
    let before = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(place.update().unwrap().delivered.is_some());
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(place.update().unwrap().is_unchanged());
    // Links of earlier versions go, and none is left by a release with the same prefilter.
    let left = place.path("releases/filter/bloom_filter.plist#0");
    let hours_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 3600);
    fs::File::create(&left).unwrap().set_modified(hours_ago).unwrap();
    fs::remove_file(&file).unwrap();
    place.update().unwrap();
    let names = fs::read_dir(place.path("releases/filter")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().contains('#')), "{names:?}");
}

#[test]
fn a_release_that_still_waits_for_nodes_is_replaced_and_one_of_somebody_else_stays() {
    let place = publishing();
    let release = place.update().unwrap().delivered.unwrap().release.unwrap();
    let path = place.path("releases/current.json");
    let mut other = current(&place);
    let (_, digest) = release.split_once('-').unwrap();
    other["release"]["id"] = json!(format!("1-{digest}"));
    fs::write(&path, other.to_string()).unwrap();
    let updated = place.update().unwrap();
    assert!(updated.is_unchanged());
    assert_eq!(updated.warnings.len(), 1);
    assert!(updated.warnings[0].contains(&format!("announces the release 1-{digest}, which")));

    // No time is announced: nodes were away, and the lists have gone back since.
    other["activateAt"] = Value::Null;
    fs::write(&path, other.to_string()).unwrap();
    let error = Report::new(&place.update().unwrap_err()).to_string();
    assert!(error.contains(&format!("1-{digest}/release.json")), "{error}");
}

#[test]
fn what_changes_in_the_settings_of_the_service_is_delivered() {
    let failure = |place: &Place, is_trusted: bool| {
        let updated = place.update_with(|update| update.trust_current(is_trusted));
        let error = updated.unwrap_err();
        assert!(matches!(error, UpdateError::Deliver { .. }), "{error}");
        Report::new(&error).to_string()
    };
    let mut place = publishing();
    place.update().unwrap();
    let content = SecretKey::generate().unwrap().to_file();
    durable_file::write(&place.path("key"), Access::Owner, content.as_bytes()).unwrap();
    let text = place.text.clone();
    // What is published is not signed, so that somebody must say that it is right. Nobody is there to have the signed release.
    place.text.push_str("sign = \"key\"\nnodes = [\"http://127.0.0.1:1\"]\n");
    place.text.push_str("node_timeout_seconds = 0\n");
    let error = failure(&place, false);
    assert!(error.contains("is not signed with this key"), "{error}");
    let error = failure(&place, true);
    assert!(error.contains("is announced, and nodes go on with the one before it"), "{error}");

    // Another use case at another address, without a key; then with one.
    let text = text.replace("com.example.url", "org.example.url").replace("\"releases\"", "\"r2\"");
    place.text = text.clone();
    assert!(place.update().unwrap().delivered.is_some());
    assert!(place.path("r2/current.json").is_file());
    place.text = text.replace("org.example.url", "net.example.url");
    let error = failure(&place, false);
    assert!(error.contains("has releases of another use case"), "{error}");
    // Nodes that are named now are asked.
    place.text = format!("{text}nodes = [\"http://127.0.0.1:1\"]\nnode_timeout_seconds = 0\n");
    let error = failure(&place, false);
    assert!(error.contains("the prefilter was not given out"), "{error}");
    place.text = text;
    assert!(place.update().unwrap().is_unchanged());
}

#[test]
fn a_key_that_cannot_sign_ends_an_update_before_anything_is_built() {
    let mut place = publishing();
    place.text.push_str("sign = \"key\"\n");
    let error = place.update().unwrap_err();
    assert!(matches!(error, UpdateError::SigningKey { .. }), "{error}");
    assert!(!place.path("state/build").exists());
    assert!(place.server.requests().is_empty());
}

#[test]
fn a_service_is_told_and_must_serve_this_data_set() {
    let mut place = Place::new(&[("a", "")]);
    let service = Server::start();
    let address = service.url("");
    place.text.push_str(&format!("[service]\nuse_case = \"u\"\nreload = \"{address}\"\n"));
    place.server.set("/a", Answer::list("bad.example\n"));
    service.set("/reload", Answer::Status(500));
    let error = Report::new(&place.update().unwrap_err()).to_string();
    assert!(error.contains("status 500"), "{error}");

    // Nothing is delivered until the service says that it serves the data set.
    let good = served(&place, "u");
    let with = |key: &str, value: Value| {
        let mut other = good.clone();
        other[key] = value;
        answer(&[other])
    };
    for (answer, expected) in [
        (Answer::list("{}"), "not the answer of a pir-server"),
        (answer(&[]), "does not serve the use case u"),
        (with("name", json!("v")), "does not serve the use case u"),
        (with("shards", json!(2)), "it has 2 shards there, and 1 here"),
        (with("configId", Value::Null), "update the service"),
        (with("configId", json!("00")), "its configuration there is 00"),
        (with("rows", json!(2)), "it has 2 rows there, and 1 here"),
        (with("keywordsSha256", json!("00")), "other keywords"),
        (with("keywordsSha256", Value::Null), "other keywords"),
        (with("tag", json!("00")), "its prefilter there has the tag 00"),
    ] {
        service.set("/reload", answer);
        let error = place.update().unwrap_err();
        let text = Report::new(&error).to_string();
        assert!(matches!(error, UpdateError::Deliver { .. }), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    // A service need not give a prefilter out.
    service.set("/reload", with("tag", Value::Null));
    let updated = place.update().unwrap();
    assert!(!updated.built && !updated.processed);
    assert_eq!(updated.delivered.unwrap().to, address);
    service.answered();
    assert!(place.update().unwrap().is_unchanged());
    // It is asked what it serves, which services of earlier versions do not say, and is told nothing.
    assert_eq!(service.answered(), [404]);

    // Another use case is told, too, and without one any may have the data set.
    place.text = place.text.replace("use_case = \"u\"", "use_case = \"v\"");
    service.set("/reload", with("name", json!("v")));
    assert!(place.update().unwrap().delivered.is_some());
    place.text = place.text.replace("use_case = \"v\"\n", "");
    service.set("/reload", with("rows", json!(7)));
    assert!(place.update().is_err());
    service.set("/reload", answer(std::slice::from_ref(&good)));
    assert!(place.update().unwrap().delivered.is_some());
}

#[test]
fn answers_of_a_service_are_read_up_to_their_limit() {
    const MAX: usize = 1 << 20;
    let mut place = Place::new(&[("a", "")]);
    let service = Server::start();
    let address = service.url("");
    place.text.push_str(&format!("[service]\nuse_case = \"u\"\nreload = \"{address}\"\n"));
    for length in [MAX - 1, MAX, MAX + 1] {
        place.server.set("/a", Answer::list(format!("host{length}.example\n")));
        service.set("/reload", Answer::Status(500));
        place.update().unwrap_err();
        let answer = json!({ "useCases": [served(&place, "u")] }).to_string();
        let padding = " ".repeat(length - answer.len());
        service.set("/reload", Answer::list(format!("{answer}{padding}")));
        assert_eq!(place.update().is_ok(), length <= MAX, "{length}");
    }
}
