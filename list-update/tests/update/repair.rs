//! Files that are gone or damaged are made again.

use super::{Answer, Place};
use pir_dataset::Manifest;
use pir_dataset::files::DataSetFiles;
use std::fs;
use std::io;
use std::path::Path;

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

#[test]
fn a_file_that_is_gone_or_damaged_is_made_again() {
    let place = place();
    place.update().unwrap();
    assert!(place.update().unwrap().is_unchanged());
    let sound: Vec<_> =
        place.files().into_iter().map(|(path, (content, _))| (path, content)).collect();
    let is_of_data =
        |path: &Path| path.starts_with(place.path("state/data")) || path.ends_with("state.json");
    type Harm = fn(&Path) -> io::Result<()>;
    let harms: [(&str, Harm); 3] =
        [("gone", |path| fs::remove_file(path)), ("changed", change_a_byte), ("cut", cut)];
    for (harm, harmed) in harms {
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

#[cfg(unix)]
#[test]
fn addresses_of_lists_are_kept_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    place.update().unwrap();
    let mode = fs::metadata(place.path("state/state.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}
