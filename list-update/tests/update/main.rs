//! Whole updates, from lists over HTTP to a data set.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod delivery;
mod exceptions;
mod hostile;
mod interrupted;
mod repair;
mod schema;
mod server;
mod unchanged;

use list_update::{Configuration, SourceState, Update, UpdateError, Updated};
use server::{Answer, Server};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::TempDir;
use unix_clock::{ManualClock, Timestamp};

/// A folder with a list configuration, and a server for its lists.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) server: Server,
    pub(crate) clock: ManualClock,
    pub(crate) text: String,
}

impl Place {
    /// A place with these sources: name, path at the server, and further keys.
    pub(crate) fn new(sources: &[(&str, &str)]) -> Self {
        let server = Server::start();
        let mut text = "out = \"state\"\n[process]\ntrials_per_shard = 0\n".to_owned();
        for (name, more) in sources {
            let url = server.url(&format!("/{name}"));
            text.push_str(&format!("[[source]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n"));
        }
        let clock = ManualClock::new(Timestamp::from_unix_seconds(1_795_000_000));
        Self { folder: tempfile::tempdir().unwrap(), server, clock, text }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn configuration(&self) -> Configuration {
        Configuration::parse(&self.text, self.folder.path()).unwrap()
    }

    pub(crate) fn update(&self) -> Result<Updated, UpdateError> {
        self.update_with(|update| update)
    }

    pub(crate) fn update_with(
        &self,
        with: impl for<'u> FnOnce(Update<'u>) -> Update<'u>,
    ) -> Result<Updated, UpdateError> {
        let configuration = self.configuration();
        with(Update::new(&configuration).clock(&self.clock).allow_private(true)).run()
    }

    /// The keywords of the build.
    pub(crate) fn rows(&self) -> Vec<String> {
        let rows = fs::read_to_string(self.path("state/build/input.txtpb")).unwrap();
        let keyword = |row: &str| row.split('"').nth(1).unwrap_or_default().to_owned();
        rows.lines().filter(|row| row.contains('"')).map(keyword).collect()
    }

    /// All files of the state with their contents and times.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
        let mut files = BTreeMap::new();
        collect(&self.path("state"), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, (Vec<u8>, SystemTime)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let modified = entry.metadata().unwrap().modified().unwrap();
            files.insert(path.clone(), (fs::read(path).unwrap(), modified));
        }
    }
}

/// The state of each source.
pub(crate) fn states(updated: &Updated) -> Vec<SourceState> {
    updated.sources.iter().map(|source| source.state).collect()
}

#[test]
fn lists_by_address_become_a_data_set_and_a_prefilter() {
    let place = Place::new(&[
        ("hosts", ""),
        ("feed", "format = \"csv=url\"\nwhere = \"url_status=online\""),
    ]);
    place.server.set("/hosts", Answer::list("0.0.0.0 ads.example\n0.0.0.0 tracker.example\n"));
    let feed = "url,url_status\nhttp://phish.example/a,online\nhttp://old.example/b,offline\n";
    place.server.set("/feed", Answer::list(feed));
    let updated = place.update().unwrap();
    assert!(updated.built && updated.processed);
    assert_eq!((updated.keys, updated.rows, updated.shard_count), (3, 3, 1));
    assert_eq!(place.rows(), ["ads.example", "tracker.example", "phish.example/a"]);
    assert_eq!(states(&updated), [SourceState::Changed; 2]);
    let entries: Vec<_> = updated.sources.iter().map(|source| source.entries).collect();
    assert_eq!(entries, [2, 1]);
    let prefilter =
        filter_core::Prefilter::open(place.path("state/build/bloom_filter.plist")).unwrap();
    assert_eq!(prefilter.tag(), updated.tag);
    assert!(place.path("state/data/urls-0.bin").is_file());
}

#[test]
fn keys_that_come_and_go_are_counted_by_source() {
    let place = Place::new(&[("a", ""), ("b", "")]);
    place.server.set("/a", Answer::list("one.example\ntwo.example\nboth.example\n"));
    place.server.set("/b", Answer::list("three.example\nboth.example\n"));
    let first = place.update().unwrap();
    assert_eq!((first.keys_in, first.keys_out), (None, None));

    place.server.set("/a", Answer::list("one.example\nfour.example\nfive.example\n"));
    let second = place.update().unwrap();
    assert_eq!((second.keys_in, second.keys_out), (Some(2), Some(1)));
    let by_source: Vec<_> =
        second.sources.iter().map(|source| (source.keys_in, source.keys_out)).collect();
    assert_eq!(by_source, [(Some(2), Some(1)), (Some(0), Some(0))]);
}

#[test]
fn allow_lists_take_keys_back_and_may_be_files() {
    let mut place = Place::new(&[("a", "")]);
    place.text.push_str("[[allow]]\npath = \"allow.txt\"\n");
    place.server.set("/a", Answer::list("bad.example\ngood.example\n"));
    fs::write(place.path("allow.txt"), "good.example\n").unwrap();
    place.update().unwrap();
    assert_eq!(place.rows(), ["bad.example"]);

    fs::write(place.path("allow.txt"), "").unwrap();
    place.update_with(|update| update.accept("allow.txt")).unwrap();
    assert_eq!(place.rows(), ["bad.example", "good.example"]);
}

#[test]
fn a_build_setting_that_changes_builds_again() {
    let mut place = Place::new(&[("a", "")]);
    place.server.set("/a", Answer::list("bad.example\n"));
    let first = place.update().unwrap();
    place.text.push_str("[build]\nfpr = 0.01\n");
    let second = place.update().unwrap();
    assert!(second.built);
    assert_ne!(first.tag, second.tag);
}

#[test]
fn watched_hosts_are_in_the_prefilter_until_a_list_has_them() {
    let mut place = Place::new(&[("a", "")]);
    place.text.push_str("[build]\nwatch = [\"www.Soon.example\", \"bad.example\"]\n");
    place.server.set("/a", Answer::list("bad.example\n"));
    let first = place.update().unwrap();
    assert_eq!((first.keys, first.rows), (1, 1));
    let prefilter = || {
        let path = place.path("state/build/bloom_filter.plist");
        filter_core::Prefilter::open(path).unwrap()
    };
    for (key, is_in) in [("soon.example", true), ("bad.example", true), ("good.example", false)] {
        assert_eq!(prefilter().filter().contains(key.as_bytes()), is_in, "{key}");
    }
    // The row comes, and devices need no other prefilter for it.
    place.server.set("/a", Answer::list("bad.example\nsoon.example\n"));
    let second = place.update().unwrap();
    assert_eq!((second.rows, second.tag), (2, first.tag));

    let text = place.text.replace("bad.example", "com");
    let error = Configuration::parse(&text, Path::new("")).unwrap_err().to_string();
    assert!(error.starts_with("build.watch[1]: `com` cannot be watched: "), "{error}");
}

#[test]
fn levels_have_the_keys_of_their_lists_over_one_data_set() {
    let mut place = Place::new(&[
        ("family", "levels = [\"family\"]"),
        ("both", "levels = [\"family\", \"essential\"]"),
        ("all", ""),
    ]);
    place.text.push_str(
        "[[allow]]\npath = \"allow.txt\"\n[build]\nfpr = 1e-6\nonboarding_entry = true\n",
    );
    fs::write(place.path("allow.txt"), "good.example\n").unwrap();
    place.server.set("/family", Answer::list("games.example\ngood.example\nshared.example\n"));
    place.server.set("/both", Answer::list("phish.example\n"));
    place.server.set("/all", Answer::list("bad.example\nshared.example\n"));
    let updated = place.update().unwrap();
    let levels: Vec<_> =
        updated.levels.iter().map(|level| (level.name.as_str(), level.keys)).collect();
    assert_eq!(levels, [("essential", 4), ("family", 5)]);
    assert_eq!(updated.rows, 5);
    let open = |folder: &str| filter_core::Prefilter::open(place.path(folder)).unwrap();
    let (family, essential, all) =
        (open("state/levels/family"), open("state/levels/essential"), open("state/build"));
    for (key, expected) in [
        ("games.example", [true, false, true]),
        ("phish.example", [true, true, true]),
        ("bad.example", [true, true, true]),
        ("shared.example", [true, true, true]),
        ("good.example", [false, false, false]),
        ("www.apple.com/url-filter-test", [true, true, true]),
    ] {
        let found =
            [&family, &essential, &all].map(|filter| filter.filter().contains(key.as_bytes()));
        assert_eq!(found, expected, "{key}");
    }
    // A level that is no more goes.
    place.text = place.text.replace("\"family\", \"essential\"", "\"family\"");
    place.update().unwrap();
    assert!(!place.path("state/levels/essential").exists());
    assert!(place.path("state/levels/family").exists());

    for (from, to, expected) in [
        ("fpr = 1e-6", "compress = true", "build.compress: not with levels"),
        ("fpr = 1e-6", "fpr = 0.02", "build.fpr: at most 0.01"),
        ("\"family\"]", "\"../x\"]", "source[0].levels[0]: "),
    ] {
        let text = place.text.replacen(from, to, 1);
        let error = Configuration::parse(&text, Path::new("")).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_folder_may_be_deleted() {
    let place = Place::new(&[("a", "")]);
    place.server.set("/a", Answer::list("bad.example\n"));
    let first = place.update().unwrap();
    fs::remove_dir_all(place.path("state")).unwrap();
    let second = place.update().unwrap();
    assert!(second.built && second.processed);
    assert_eq!(first.tag, second.tag);
}
