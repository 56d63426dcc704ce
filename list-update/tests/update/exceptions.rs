//! What must not be blocked is guarded and reported like what must be.

use super::{Answer, Place, states};
use list_update::SourceState;

fn hosts(name: &str, count: usize) -> String {
    (0..count).map(|number| format!("{name}{number}.example\n")).collect()
}

/// A place whose list names twenty hosts, of which the allow list takes some back.
fn place(more: &str, allowed: usize) -> Place {
    let mut place = Place::new(&[("block", "")]);
    let url = place.server.url("/allow");
    place.text.push_str(&format!("[[allow]]\nname = \"allow\"\nurl = \"{url}\"\n{more}\n"));
    place.server.set("/block", Answer::list(hosts("b", 20)));
    place.server.set("/allow", Answer::list(hosts("b", allowed)));
    place
}

#[test]
fn an_allow_list_that_is_emptied_or_shrinks_keeps_its_old_copy() {
    for (more, count, is_kept) in [
        ("", 0, true),
        ("", 4, true),
        ("", 5, false),
        ("", 6, false),
        ("max_shrink = 0.1", 8, true),
        ("max_shrink = 0.1", 9, false),
        ("max_shrink = 1.0", 0, false),
    ] {
        let place = place(more, 10);
        let first = place.update().unwrap();
        assert_eq!(first.keys, 10);
        let allow = &first.sources[1];
        assert_eq!((allow.entries, allow.exceptions, allow.refused), (10, 10, 0));
        place.server.set("/allow", Answer::list(hosts("b", count)));
        let updated = place.update().unwrap();
        let expected = if is_kept { SourceState::Old } else { SourceState::Changed };
        assert_eq!(states(&updated)[1], expected, "{more} {count}");
        let expected = if is_kept { 10 } else { 20 - count as u64 };
        assert_eq!(updated.keys, expected, "{more} {count}");
        if is_kept {
            let problem = updated.sources[1].problem.clone().unwrap();
            assert!(problem.contains("there were 10 before"), "{problem}");
            // A comment alone is as good as nothing.
            place.server.set("/allow", Answer::list("# emptied\n"));
            assert_eq!(place.update().unwrap().keys, 10);
            let accepted = place.update_with(|update| update.accept("allow")).unwrap();
            assert_eq!(accepted.keys, 20);
        }
    }
}

#[test]
fn an_allow_list_may_be_empty_from_the_beginning_and_has_a_fewest_number() {
    assert_eq!(place("", 0).update().unwrap().keys, 20);
    for (min, is_taken) in [(2, true), (3, true), (4, false)] {
        let outcome = place(&format!("min_keys = {min}"), 3).update();
        assert_eq!(outcome.is_ok(), is_taken, "{min}");
        if let Err(error) = outcome {
            let said = "3 of its entries say what must not be blocked, and min_keys asks for 4";
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}

#[test]
fn exceptions_without_full_effect_and_refused_entries_are_reported_at_each_update() {
    let place = Place::new(&[("block", "")]);
    place.server.set(
        "/block",
        Answer::list("||bank.example^\n||other.example^\n||third.example^\n@@||login.bank.example^\n||x.example^$domain=y.example\n"),
    );
    for _ in 0..2 {
        let updated = place.update().unwrap();
        let block = &updated.sources[0];
        assert_eq!((block.entries, block.exceptions, block.refused), (4, 1, 1));
        assert_eq!(block.still_covered, 1);
        let covered = &block.first_still_covered[0];
        assert_eq!(
            (covered.line, &*covered.entry, &*covered.key),
            (4, "login.bank.example", "bank.example")
        );
        let json = serde_json::to_value(&updated).unwrap();
        assert_eq!(json["sources"][0]["stillCovered"], 1);
        assert_eq!(json["sources"][0]["firstStillCovered"][0]["key"], "bank.example");
    }
}

#[test]
fn a_list_that_was_taken_out_is_named() {
    let mut place = Place::new(&[("a", ""), ("b", "")]);
    place.server.set("/a", Answer::list("a.example\n"));
    place.server.set("/b", Answer::list("b.example\n"));
    assert!(place.update().unwrap().removed.is_empty());
    place.text = place.text.replace("name = \"b\"", "name = \"c\"");
    assert_eq!(place.update().unwrap().removed, ["b"]);
    assert!(place.update().unwrap().removed.is_empty());
}
