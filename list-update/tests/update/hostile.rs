//! Sources that are away, broken or hostile.

use super::{Answer, Place, states};
use list_update::{SourceState, UpdateError};
use std::fs;

fn good() -> Answer {
    Answer::list("one.example\ntwo.example\nthree.example\nfour.example\n")
}

#[test]
fn a_source_that_is_away_or_broken_keeps_its_last_good_copy() {
    let page = "<!DOCTYPE html><html><body>Service Unavailable</body></html>";
    for (answer, problem) in [
        (Answer::Status(500), "the answer has the status 500"),
        (Answer::Status(404), "the answer has the status 404"),
        (Answer::Status(206), "the answer has the status 206"),
        (Answer::Truncated("one.example\n".to_owned()), "it cannot be fetched"),
        (Answer::Endless, "it has more than 5000 bytes"),
        (Answer::list("x".repeat(5001)), "it has more than 5000 bytes"),
        (Answer::Stalled, "it was not there whole after 1 s"),
        (Answer::Redirect("ftp://elsewhere.example/".to_owned()), "scheme"),
        (Answer::Redirect("/a".to_owned()), "more than 5 redirects"),
        (Answer::list(page), "web page"),
        (Answer::list(""), "it has no entry"),
        (Answer::list("!!!\n???\n***\n"), "a: "),
        (Answer::list("\0\u{1}\u{2}\0\0\0"), "a: "),
        (Answer::list("one.example\n"), "1 of its entries have a key, and there were 4 before"),
    ] {
        let place = Place::new(&[("a", "max_bytes = 5000\ntimeout_seconds = 1"), ("b", "")]);
        place.server.set("/a", good());
        place.server.set("/b", Answer::list("b.example\n"));
        place.update().unwrap();

        place.server.set("/a", answer.clone());
        let updated = place.update().unwrap();
        let old: Vec<_> = updated.old_sources().collect();
        assert_eq!(old.len(), 1, "{problem}");
        let found = old[0].problem.clone().unwrap();
        assert!(found.contains(problem), "{problem}: {found}");
        assert!(updated.is_unchanged(), "{problem}");

        // The others go on.
        place.server.set("/b", Answer::list("b.example\nc.example\n"));
        let updated = place.update().unwrap();
        assert_eq!(states(&updated), [SourceState::Old, SourceState::Changed], "{problem}");
        assert_eq!(place.rows().len(), 6, "{problem}");

        // Without a copy nothing is done, and nothing is left.
        fs::remove_dir_all(place.path("state")).unwrap();
        if problem.contains("there were 4 before") {
            continue;
        }
        let error = place.update().unwrap_err();
        assert!(matches!(error, UpdateError::Sources { .. }), "{error}");
        assert!(error.to_string().contains("there is no copy that can be used of a: "), "{error}");
        assert!(!place.path("state/build").exists());
        assert!(!place.path("state/state.json").exists());
    }
}

#[test]
fn a_list_that_shrank_is_taken_when_it_is_accepted() {
    let place = Place::new(&[("a", "max_shrink = 0.5")]);
    place.server.set("/a", good());
    place.update().unwrap();
    // Two of four are half.
    place.server.set("/a", Answer::list("one.example\ntwo.example\n"));
    assert_eq!(states(&place.update().unwrap()), [SourceState::Changed]);
    place.server.set("/a", good());
    place.update().unwrap();

    place.server.set("/a", Answer::list("one.example\n"));
    assert_eq!(states(&place.update().unwrap()), [SourceState::Old]);
    assert_eq!(place.rows().len(), 4);
    let updated = place.update_with(|update| update.accept("a")).unwrap();
    assert_eq!(states(&updated), [SourceState::Changed]);
    assert_eq!(place.rows().len(), 1);
    // It is the good copy from now on.
    assert_eq!(states(&place.update().unwrap()), [SourceState::Unchanged]);
    let error = place.update_with(|update| update.accept("b")).unwrap_err().to_string();
    assert_eq!(error, "--accept b: no list of the configuration is called so");
}

fn hosts(count: usize) -> Answer {
    Answer::list((0..count).map(|number| format!("h{number}.example\n")).collect::<String>())
}

/// At one below the limit, at it, and one above.
#[test]
fn a_list_under_a_new_name_is_compared_with_what_it_was_at_its_address() {
    for (count, is_taken) in [(4, false), (5, true), (6, true)] {
        let mut place = Place::new(&[("a", "max_shrink = 0.5"), ("b", "")]);
        place.server.set("/a", hosts(10));
        place.server.set("/b", Answer::list("b.example\n"));
        place.update().unwrap();
        place.text = place.text.replace("name = \"a\"", "name = \"renamed\"");
        place.server.set("/a", hosts(count));
        let updated = place.update().unwrap();
        let expected = if is_taken { SourceState::Changed } else { SourceState::Old };
        assert_eq!(states(&updated), [expected, SourceState::Unchanged], "{count}");
        assert_eq!(updated.keys, 1 + if is_taken { count as u64 } else { 10 }, "{count}");
        assert_eq!(updated.removed, ["a"], "{count}");
        if !is_taken {
            let problem = updated.sources[0].problem.clone().unwrap();
            assert!(problem.contains("there were 10 before"), "{problem}");
            // It has the new name from now on.
            assert_eq!(states(&place.update().unwrap())[0], SourceState::Old);
            let accepted = place.update_with(|update| update.accept("renamed")).unwrap();
            assert_eq!(accepted.keys, 1 + count as u64);
        }
    }
}

#[test]
fn a_list_that_is_renamed_is_not_fetched_again() {
    let mut place = Place::new(&[("a", "")]);
    let content = "x.example\n".to_owned();
    place.server.set("/a", Answer::List { content, etag: Some("\"1\""), last_modified: None });
    place.update().unwrap();
    place.server.answered();
    place.text = place.text.replace("name = \"a\"", "name = \"renamed\"");
    assert_eq!(states(&place.update().unwrap()), [SourceState::Unchanged]);
    assert_eq!(place.server.answered(), [304]);
}

/// A list that takes over the address of another that is still there, and a new list at a new address, are new.
#[test]
fn a_new_list_is_compared_with_none() {
    let mut place = Place::new(&[("a", "max_shrink = 0.5")]);
    place.server.set("/a", hosts(10));
    place.update().unwrap();
    let url = place.server.url("/a");
    let rows = "format = \"hosts\"\nmax_shrink = 0.0\n";
    place.text.push_str(&format!("[[source]]\nname = \"b\"\nurl = \"{url}\"\n{rows}"));
    place.server.set("/a", Answer::list("0.0.0.0 h1.example\n".repeat(6)));
    let updated = place.update_with(|update| update.accept("a")).unwrap();
    assert_eq!(states(&updated)[1], SourceState::Changed);

    let mut place = Place::new(&[("a", "max_shrink = 0.5")]);
    place.server.set("/a", hosts(10));
    place.update().unwrap();
    place.text = place.text.replace("name = \"a\"", "name = \"b\"").replace("/a\"", "/b\"");
    place.server.set("/b", hosts(1));
    assert_eq!(states(&place.update().unwrap()), [SourceState::Changed]);
}

/// Two lists at one address, as two files of an archive are, under new names: each may be either.
#[test]
fn lists_at_one_address_under_new_names_are_compared_with_each() {
    for (count, is_taken) in [(1, false), (2, true), (3, true)] {
        let mut place = Place::new(&[("a", "max_shrink = 0.5")]);
        let url = place.server.url("/a");
        place.text.push_str(&format!(
            "[[source]]\nname = \"b\"\nurl = \"{url}\"\nformat = \"csv=url\"\nwhere = \"x=y\"\nmax_shrink = 0.5\n"
        ));
        let table = |count: usize| {
            let rows = (0..count).map(|number| format!("h{number}.example,y\n"));
            Answer::list(format!("url,x\n{}", rows.collect::<String>()))
        };
        place.text =
            place.text.replacen("max_shrink = 0.5", "format = \"csv=url\"\nmax_shrink = 0.5", 1);
        place.server.set("/a", table(4));
        place.update().unwrap();
        for (from, to) in [("\"a\"", "\"c\""), ("\"b\"", "\"d\"")] {
            place.text = place.text.replace(&format!("name = {from}"), &format!("name = {to}"));
        }
        place.server.set("/a", table(count));
        let expected = if is_taken { SourceState::Changed } else { SourceState::Old };
        assert_eq!(states(&place.update().unwrap()), [expected; 2], "{count}");
    }
}

#[test]
fn the_fewest_keys_of_a_list_are_counted() {
    for (min, is_taken) in [(3, true), (4, true), (5, false)] {
        let place = Place::new(&[("a", &format!("min_keys = {min}"))]);
        place.server.set("/a", good());
        assert_eq!(place.update().is_ok(), is_taken, "{min}");
    }
}

#[test]
fn a_list_with_a_setting_for_other_formats_is_not_taken() {
    for (setting, is_taken) in [
        ("defanged = true", true),
        ("origin = \"rpz.example\"", false),
        ("sinks = [\"192.0.2.1\"]", false),
        ("member = \"list.txt\"", false),
        ("widen_rules = true", false),
    ] {
        let place = Place::new(&[("a", setting)]);
        place.server.set("/a", good());
        let outcome = place.update();
        assert_eq!(outcome.is_ok(), is_taken, "{setting}");
        if let Err(error) = outcome {
            let (name, _) = setting.split_once(' ').unwrap();
            assert!(error.to_string().contains(&format!("{name} is for ")), "{error}");
        }
    }
}

#[test]
fn a_whole_build_that_shrank_does_nothing() {
    let mut place = Place::new(&[("a", "max_shrink = 1.0")]);
    place.text.push_str("[build]\nmax_shrink = 0.5\n");
    place.server.set("/a", good());
    let before = place.update().unwrap();
    place.server.set("/a", Answer::list("one.example\n"));
    let error = place.update().unwrap_err();
    assert!(matches!(error, UpdateError::Shrunk { now: 1, before: 4 }), "{error}");
    place.server.set("/a", good());
    assert_eq!(place.update().unwrap().tag, before.tag);
}

#[test]
fn a_list_that_would_not_be_exact_is_not_used_if_that_is_asked_for() {
    let exact = "||one.example^\n||two.example^\n";
    let inexact = "||one.example^\n||two.example^$third-party\n||three.example^\n";
    for (settings, is_taken) in [
        ("", true),
        ("strict = true", false),
        ("strict = true\ntolerate = [\"wildcard\"]", false),
        ("strict = true\ntolerate = [\"rule-option\"]", true),
    ] {
        let mut place = Place::new(&[("a", ""), ("b", "")]);
        place.text.push_str(&format!("[build]\n{settings}\n"));
        place.server.set("/a", Answer::list(exact));
        place.server.set("/b", Answer::list("||b.example^\n"));
        place.update().unwrap();

        place.server.set("/a", Answer::list(inexact));
        let updated = place.update().unwrap();
        let expected = if is_taken { SourceState::Changed } else { SourceState::Old };
        assert_eq!(states(&updated)[0], expected, "{settings}");
        if !is_taken {
            let problem = updated.sources[0].problem.clone().unwrap();
            assert!(
                problem.contains("(rule-option, first in line 2); build.tolerate"),
                "{problem}"
            );
            // The list that comes after is not blamed for it.
            let accepted = place.update_with(|update| update.accept("a")).unwrap();
            assert_eq!(states(&accepted)[0], SourceState::Changed, "{settings}");
        }
        assert!(place.rows().contains(&"three.example".to_owned()), "{settings}");
    }
}

/// Turning it on is reason enough to build, although no list has changed.
#[test]
fn exact_keys_can_be_asked_for_later() {
    let mut place = Place::new(&[("a", "")]);
    place.server.set("/a", Answer::list("||one.example^\n||two.example^$third-party\n"));
    place.update().unwrap();
    place.text.push_str("[build]\nstrict = true\n");
    let error = place.update().unwrap_err();
    assert!(error.to_string().contains("rule-option"), "{error}");
}

#[test]
fn keys_that_block_what_exceptions_name_are_not_exact() {
    let mut place = Place::new(&[("a", "")]);
    place.text.push_str("[build]\nstrict = true\n");
    place.server.set("/a", Answer::list("||one.example^\n@@||www2.one.example^\n"));
    let error = place.update().unwrap_err();
    assert!(
        matches!(&error, UpdateError::Inexact { reasons, .. } if reasons == &["still-covered"]),
        "{error}"
    );
    let first = "first: one.example blocks www2.one.example, an exception in a:2";
    assert!(error.to_string().contains(first), "{error}");
    place.text =
        place.text.replace("strict = true", "strict = true\ntolerate = [\"still-covered\"]");
    place.update().unwrap();
}

#[test]
fn a_copy_that_was_damaged_is_not_built_from() {
    let place = Place::new(&[("a", ""), ("b", "")]);
    place.server.set("/a", good());
    place.server.set("/b", Answer::list("b.example\n"));
    place.update().unwrap();
    for entry in fs::read_dir(place.path("state/sources")).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read_to_string(&path).unwrap();
        fs::write(&path, content.replace("one", "two")).unwrap();
    }
    place.server.set("/a", Answer::Status(500));
    place.server.set("/b", Answer::list("c.example\n"));
    let error = place.update().unwrap_err().to_string();
    let expected = ["a: its copy on this machine is damaged", "a: the answer has the status 500"];
    assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    // Once the list can be fetched again, it takes the place of what is damaged.
    place.server.set("/a", good());
    assert!(place.update().unwrap().built);
    for entry in fs::read_dir(place.path("state/sources")).unwrap() {
        let path = entry.unwrap().path();
        let sha256 = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(pir_dataset::file_sha256(&path).unwrap(), sha256);
    }
}

#[test]
fn loopback_is_refused_without_leave() {
    let place = Place::new(&[("a", "")]);
    place.server.set("/a", good());
    let error = place.update_with(|update| update.allow_private(false)).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1, which is not of the open internet"), "{error}");
    assert!(place.server.requests().is_empty());

    let mut place = place;
    place.text = place.text.replace("127.0.0.1", "localhost");
    let error = place.update_with(|update| update.allow_private(false)).unwrap_err().to_string();
    assert!(error.contains("localhost has the address "), "{error}");
    assert!(place.server.requests().is_empty());
}

#[test]
fn redirects_are_followed_up_to_their_limit() {
    for count in [4, 5, 6] {
        let place = Place::new(&[("0", "")]);
        for step in 0..count {
            place.server.set(&format!("/{step}"), Answer::Redirect(format!("/{}", step + 1)));
        }
        place.server.set(&format!("/{count}"), good());
        assert_eq!(place.update().is_ok(), count <= 5, "{count}");
    }
}
