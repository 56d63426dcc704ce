//! Runs that were killed, and runs at the same time.

use super::{Answer, Place};
use list_update::UpdateError;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The files of a state but for times of runs.
fn contents(place: &Place) -> Vec<(String, Vec<u8>)> {
    let files = place.files().into_iter();
    let named = files.map(|(path, (content, _))| (path.display().to_string(), content));
    named.filter(|(path, _)| !path.ends_with("state.json")).collect()
}

#[test]
fn a_run_that_ends_before_any_step_is_continued() {
    for stage in
        [list_update::Stage::Fetching, list_update::Stage::Building, list_update::Stage::Processing]
    {
        let place = Place::new(&[("a", "")]);
        place.server.set("/a", Answer::list("one.example\n"));
        place.update().unwrap();
        place.server.set("/a", Answer::list("one.example\ntwo.example\n"));
        let stop = |reached| assert!(reached != stage, "stopped");
        let stopped = catch_unwind(AssertUnwindSafe(|| {
            let configuration = place.configuration();
            let update = list_update::Update::new(&configuration).allow_private(true);
            update.clock(&place.clock).on_stage(&stop).run()
        }));
        assert!(stopped.is_err(), "{stage:?}");
        // What a process leaves that was killed.
        for folder in ["state", "state/sources", "state/build", "state/data"] {
            fs::write(place.path(folder).join(".urlfilter-x.tmp"), "half").unwrap();
        }
        place.update().unwrap();

        let other = Place::new(&[("a", "")]);
        other.server.set("/a", Answer::list("one.example\n"));
        other.update().unwrap();
        other.server.set("/a", Answer::list("one.example\ntwo.example\n"));
        other.update().unwrap();
        let names = |place: &Place, all: Vec<(String, Vec<u8>)>| -> Vec<_> {
            let root = place.path("state").display().to_string();
            all.into_iter().map(|(path, content)| (path.replace(&root, ""), content)).collect()
        };
        assert_eq!(names(&place, contents(&place)), names(&other, contents(&other)), "{stage:?}");
        assert!(place.update().unwrap().is_unchanged());
    }
}

#[test]
fn files_that_were_renamed_without_a_record_are_made_again() {
    let place = Place::new(&[("a", "")]);
    place.server.set("/a", Answer::list("one.example\n"));
    place.update().unwrap();
    let record = fs::read(place.path("state/state.json")).unwrap();
    place.server.set("/a", Answer::list("one.example\ntwo.example\n"));
    place.update().unwrap();
    // Killed behind the last rename of a build or of a data set, and in front of the record.
    fs::write(place.path("state/state.json"), record).unwrap();
    let updated = place.update().unwrap();
    assert_eq!((updated.keys, updated.rows), (2, 2));
    assert!(place.update().unwrap().is_unchanged());
}

#[test]
fn two_updates_do_not_work_in_one_folder() {
    let place = Place::new(&[("a", "")]);
    place.server.set("/a", Answer::list("one.example\n"));
    let configuration = place.configuration();
    let inner = |stage| {
        if stage == list_update::Stage::Building {
            let error = place.update().unwrap_err();
            assert!(matches!(error, UpdateError::Busy { .. }), "{error}");
        }
    };
    let update = list_update::Update::new(&configuration).allow_private(true);
    update.on_stage(&inner).run().unwrap();
}

#[test]
fn a_record_that_is_damaged_is_named() {
    let place = Place::new(&[("a", "")]);
    place.server.set("/a", Answer::list("one.example\n"));
    place.update().unwrap();
    for content in ["", "{", "{\"version\": 2, \"sources\": {}}"] {
        fs::write(place.path("state/state.json"), content).unwrap();
        let error = place.update().unwrap_err().to_string();
        assert!(
            error.contains("state.json: not the record of an update; delete its folder"),
            "{error}"
        );
    }
}
