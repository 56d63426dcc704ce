//! Files that are gone or damaged are made again.

use super::{Answer, Place, states};
use list_update::SourceState;
use pir_dataset::Manifest;
use pir_dataset::files::DataSetFiles;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn place() -> Place {
    let place = Place::new(&[("a", "levels = [\"family\"]"), ("b", "")]);
    place.server.set("/a", Answer::list("bad.example\nworse.example\n"));
    place.server.set("/b", Answer::list("other.example\n"));
    place
}

fn change_a_byte(path: &Path) -> io::Result<()> {
    let mut content = fs::read(path)?;
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(path, content)
}

fn cut(path: &Path) -> io::Result<()> {
    let content = fs::read(path)?;
    fs::write(path, &content[..content.len() / 2])
}

type Harm = fn(&Path) -> io::Result<()>;

const HARMS: [(&str, Harm); 3] =
    [("gone", |path| fs::remove_file(path)), ("changed", change_a_byte), ("cut", cut)];

#[test]
fn a_file_that_is_gone_or_damaged_is_made_again() {
    let place = place();
    place.update().unwrap();
    assert!(place.update().unwrap().is_unchanged());
    let sound: Vec<_> =
        place.files().into_iter().map(|(path, (content, _))| (path, content)).collect();
    let is_of_data =
        |path: &Path| path.starts_with(place.path("state/data")) || path.ends_with("state.json");
    for (harm, harmed) in HARMS {
        for name in [
            "build/bloom.bin",
            "build/bloom.json",
            "build/bloom_filter.plist",
            "build/input.txtpb",
            "build/origins.bin",
            "build/report.json",
            "levels/family/bloom_filter.plist",
            "levels/family/level.json",
            "data/urls-0.bin",
            "data/urls-0.params.txtpb",
            "data/urls-manifest.json",
        ] {
            harmed(&place.path("state").join(name)).unwrap();
            let updated = place.update().unwrap();
            assert!(!updated.is_unchanged(), "{name} {harm}");
            for (path, content) in sound.iter().filter(|(path, _)| !is_of_data(path)) {
                assert!(fs::read(path).unwrap() == *content, "{name} {harm}: {path:?}");
            }
            // Shards may get another layout.
            let files = DataSetFiles::new(place.path("state/data/urls"));
            let manifest = Manifest::read(&files.manifest()).unwrap();
            assert_eq!(manifest.rows, 3, "{name} {harm}");
            for (path, sha256) in [
                (files.database(0), &manifest.shards[0].database_sha256),
                (files.parameters(0), &manifest.shards[0].parameters_sha256),
            ] {
                assert_eq!(pir_dataset::file_sha256(&path).unwrap(), *sha256, "{name} {harm}");
            }
            assert!(place.update().unwrap().is_unchanged(), "{name} {harm}");
        }
    }
}

#[test]
fn a_refresh_compares_the_contents_of_files_whose_time_is_as_it_was() {
    let place = place();
    place.update().unwrap();
    let path = place.path("state/data/urls-0.bin");
    let sound = fs::read(&path).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    change_a_byte(&path).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert!(place.update().unwrap().is_unchanged());
    assert!(place.update_with(|update| update.refresh(true)).unwrap().processed);
    assert_eq!(fs::read(&path).unwrap(), sound);
}

#[test]
fn a_folder_that_was_copied_without_times_is_as_it_was() {
    let place = place();
    place.update().unwrap();
    for path in place.files().into_keys() {
        let content = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
    }
    assert!(place.update().unwrap().is_unchanged());
}

#[test]
fn a_folder_of_an_earlier_version_is_brought_up_to_date_once() {
    let place = place();
    let first = place.update().unwrap();
    let path = place.path("state/state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for key in ["buildFiles", "dataFiles"] {
        assert!(state.as_object_mut().unwrap().remove(key).is_some(), "{key}");
    }
    fs::write(&path, state.to_string()).unwrap();
    let second = place.update().unwrap();
    assert!(second.built && second.processed);
    assert_eq!((second.keys_in, second.keys_out), (Some(0), Some(0)));
    assert_eq!((&second.tag, &second.config_id), (&first.tag, &first.config_id));
    assert!(place.update().unwrap().is_unchanged());
}

/// The file of the only copy.
fn copy_of_a_list(place: &Place) -> PathBuf {
    let mut copies = fs::read_dir(place.path("state/sources")).unwrap();
    let path = copies.next().unwrap().unwrap().path();
    assert!(copies.next().is_none());
    path
}

fn known_by(content: &str, etag: &'static str) -> Answer {
    Answer::List { content: content.to_owned(), etag: Some(etag), last_modified: None }
}

/// A copy that is not there is asked for without conditions at once; one of the right length is compared at the 304.
#[test]
fn a_copy_that_is_damaged_is_fetched_again_although_the_list_has_not_changed() {
    for (harm, harmed) in HARMS {
        let place = Place::new(&[("a", "")]);
        place.server.set("/a", known_by("bad.example\nworse.example\n", "\"1\""));
        let first = place.update().unwrap();
        let (path, sound) = (copy_of_a_list(&place), place.files());
        place.server.answered();
        place.server.requests();
        harmed(&path).unwrap();
        let updated = place.update().unwrap();
        let expected: &[u16] = if harm == "changed" { &[304, 200] } else { &[200] };
        assert_eq!(place.server.answered(), expected, "{harm}");
        let last = place.server.requests().pop().unwrap();
        assert!(!last.headers.contains_key("if-none-match"), "{harm}");
        assert_eq!(fs::read(&path).unwrap(), sound[&path].0, "{harm}");
        assert_eq!(updated.tag, first.tag, "{harm}");
        // It can be built from again.
        place.server.set("/a", Answer::Status(500));
        fs::remove_file(place.path("state/build/report.json")).unwrap();
        assert!(place.update().unwrap().built, "{harm}");
    }
}

#[test]
fn a_copy_that_is_damaged_is_fetched_again_before_its_list_expires() {
    let place = Place::new(&[("a", "")]);
    place.server.set("/a", known_by("! Expires: 2 days\n||bad.example^\n", "\"1\""));
    place.update().unwrap();
    assert_eq!(states(&place.update().unwrap()), [SourceState::NotDue]);
    let path = copy_of_a_list(&place);
    let sound = fs::read(&path).unwrap();
    change_a_byte(&path).unwrap();
    assert_eq!(states(&place.update().unwrap()), [SourceState::Unchanged]);
    assert_eq!(fs::read(&path).unwrap(), sound);
    assert_eq!(states(&place.update().unwrap()), [SourceState::NotDue]);
}

/// The second request has the limits of the first, and one time limit is for both.
#[test]
fn what_takes_the_place_of_a_damaged_copy_keeps_to_the_limits() {
    let content = "bad.example\nworse.example\n";
    for (max, is_taken) in [(25, false), (26, true), (27, true)] {
        let mut place = Place::new(&[("a", "max_bytes = 1000\ntimeout_seconds = 2")]);
        place.server.set("/a", known_by(content, "\"1\""));
        place.update().unwrap();
        change_a_byte(&copy_of_a_list(&place)).unwrap();
        place.text = place.text.replace("max_bytes = 1000", &format!("max_bytes = {max}"));
        let updated = place.update().unwrap();
        let is_old = states(&updated) == [SourceState::Old];
        assert_eq!(is_old, !is_taken, "{max}");
    }
    let place = Place::new(&[("a", "timeout_seconds = 1")]);
    place.server.set("/a", known_by(content, "\"1\""));
    place.update().unwrap();
    change_a_byte(&copy_of_a_list(&place)).unwrap();
    place.server.set("/a", Answer::NotModifiedThenStalled);
    let updated = place.update().unwrap();
    let problem = updated.sources[0].problem.as_deref().unwrap();
    assert!(problem.starts_with("it was not there whole after 1 s"), "{problem}");
    assert_eq!(place.server.answered().last(), Some(&200));
}

#[cfg(unix)]
#[test]
fn addresses_of_lists_are_kept_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    place.update().unwrap();
    let mode = fs::metadata(place.path("state/state.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}
