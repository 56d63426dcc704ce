//! What has not changed is not fetched, not built and not written.

use super::{Answer, Place, states};
use list_update::SourceState;
use std::time::Duration;

#[test]
fn nothing_is_touched_when_nothing_has_changed() {
    let place = Place::new(&[("etag", ""), ("date", ""), ("plain", "")]);
    let date = "Mon, 02 Nov 2026 10:00:00 GMT";
    let list = |etag, last_modified| Answer::List {
        content: "x.example\n".to_owned(),
        etag,
        last_modified,
    };
    place.server.set("/etag", list(Some("\"1\""), None));
    place.server.set("/date", list(None, Some(date)));
    place.server.set("/plain", list(None, None));
    place.update().unwrap();
    assert_eq!(place.server.answered(), [200, 200, 200]);
    let files = place.files();

    place.clock.advance(Duration::from_secs(3600));
    let updated = place.update().unwrap();
    assert!(updated.is_unchanged());
    assert_eq!(states(&updated), [SourceState::Unchanged; 3]);
    let mut answered = place.server.answered();
    answered.sort_unstable();
    assert_eq!(answered, [200, 304, 304]);
    assert!(place.files() == files);
}

#[test]
fn content_that_has_another_validator_now_is_asked_for_by_that() {
    let place = Place::new(&[("a", "")]);
    for etag in ["\"1\"", "\"2\""] {
        let content = "x.example\n".to_owned();
        place.server.set("/a", Answer::List { content, etag: Some(etag), last_modified: None });
        place.update().unwrap();
        assert_eq!(place.server.answered(), [200], "{etag}");
        assert!(place.update().unwrap().is_unchanged());
        assert_eq!(place.server.answered(), [304], "{etag}");
    }
}

#[test]
fn a_refresh_asks_without_conditions() {
    let place = Place::new(&[("a", "")]);
    let content = "! Expires: 1 day\n||x.example^\n".to_owned();
    place.server.set("/a", Answer::List { content, etag: Some("\"1\""), last_modified: None });
    place.update().unwrap();
    place.server.requests();
    let updated = place.update_with(|update| update.refresh(true)).unwrap();
    assert!(updated.is_unchanged());
    let requests = place.server.requests();
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].headers.contains_key("if-none-match"));
}

#[test]
fn a_list_that_has_not_expired_is_not_asked_for() {
    let place = Place::new(&[("a", "")]);
    let content = "! Expires: 2 hours\n||x.example^\n".to_owned();
    place.server.set("/a", Answer::List { content, etag: Some("\"1\""), last_modified: None });
    place.update().unwrap();
    assert_eq!(place.server.requests().len(), 1);

    place.clock.advance(Duration::from_secs(7199));
    let updated = place.update().unwrap();
    assert_eq!(states(&updated), [SourceState::NotDue]);
    assert!(updated.is_unchanged());
    assert!(place.server.requests().is_empty());

    place.clock.advance(Duration::from_secs(1));
    let updated = place.update().unwrap();
    assert_eq!(states(&updated), [SourceState::Unchanged]);
    assert_eq!(place.server.requests()[0].headers["if-none-match"], "\"1\"");

    // It is current for two hours again.
    place.clock.advance(Duration::from_secs(3600));
    assert_eq!(states(&place.update().unwrap()), [SourceState::NotDue]);
}

#[test]
fn a_copy_that_is_gone_is_fetched_whole() {
    let place = Place::new(&[("a", "")]);
    let content = "x.example\n".to_owned();
    place.server.set("/a", Answer::List { content, etag: Some("\"1\""), last_modified: None });
    place.update().unwrap();
    std::fs::remove_dir_all(place.path("state/sources")).unwrap();
    place.server.answered();
    place.update().unwrap();
    assert_eq!(place.server.answered(), [200]);
}

#[test]
fn another_address_is_another_list() {
    let mut place = Place::new(&[("a", "")]);
    let content = "x.example\n".to_owned();
    place.server.set("/a", Answer::List { content, etag: Some("\"1\""), last_modified: None });
    place.update().unwrap();
    place.text = place.text.replace("/a\"", "/b\"");
    // The copy of the other address is no copy of this one.
    place.server.set("/b", Answer::Status(500));
    let error = place.update().unwrap_err().to_string();
    assert!(
        error.starts_with("nothing was done; there is no copy that can be used of a: "),
        "{error}"
    );
    place.server.requests();
    let content = "y.example\n".to_owned();
    place.server.set("/b", Answer::List { content, etag: Some("\"1\""), last_modified: None });
    place.update().unwrap();
    assert!(!place.server.requests()[0].headers.contains_key("if-none-match"));
    assert_eq!(place.rows(), ["y.example"]);
}
