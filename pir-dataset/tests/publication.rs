//! Publications and replicas of earlier versions are read, and what is written has the same form.

#![cfg(feature = "publication")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use pir_dataset::file_sha256;
use pir_dataset::publication::{Current, Release, ReleaseStore, ReleaseStoreError, Replica};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use unix_clock::Timestamp;

/// As the version of 2026-11 wrote it.
const CURRENT: &str = r#"{
  "version": 1,
  "release": {
    "id": "1790000000-aabbccdd",
    "sha256": "2fb97d867fba55840317fc6ad5276337cc6cf8623290c3fa3da46d2f0ccf23b2"
  },
  "activateAt": 1790000120,
  "before": null
}
"#;
/// As the version of 2026-11 wrote it.
const RELEASE: &str = r#"{
  "version": 1,
  "id": "1790000000-aabbccdd",
  "useCase": "use.case",
  "shardCount": 1,
  "configId": "00",
  "publishedAt": 1790000000,
  "files": [
    {
      "name": "data-0.bin",
      "bytes": 4,
      "sha256": "e5e59d10f196504b6e08ac7785f84430a61e1558fd6246075a9566edaab2e814"
    },
    {
      "name": "data-0.params.txtpb",
      "bytes": 10,
      "sha256": "f528212a496dc7a0e9a57c129b561aa4609364d70f886c09d668e00797521eb5"
    },
    {
      "name": "data-manifest.json",
      "bytes": 2,
      "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    },
    {
      "name": "filter/bloom.bin",
      "bytes": 6,
      "sha256": "dfc3376b8266c66e8c24736645128a5f93ccf1df6f381286ffbda654fec8f21c"
    }
  ]
}
"#;
/// The files of that release.
const FILES: [(&str, &str); 4] = [
    ("data-0.bin", "bits"),
    ("data-0.params.txtpb", "parameters"),
    ("data-manifest.json", "{}"),
    ("filter/bloom.bin", "filter"),
];

/// A publication as an earlier version left it.
fn publish(folder: &Path) -> ReleaseStore {
    let release = folder.join("releases/1790000000-aabbccdd");
    fs::create_dir_all(&release).unwrap();
    fs::create_dir_all(folder.join("objects")).unwrap();
    fs::write(folder.join("current.json"), CURRENT).unwrap();
    fs::write(release.join("release.json"), RELEASE).unwrap();
    let parsed = Release::parse(RELEASE.as_bytes()).unwrap();
    for (file, (name, content)) in parsed.files.iter().zip(FILES) {
        assert_eq!(file.name, name);
        fs::write(folder.join("objects").join(&file.sha256), content).unwrap();
    }
    ReleaseStore::open(folder.to_str().unwrap(), &BTreeMap::new()).unwrap()
}

#[test]
fn texts_are_written_as_they_were() {
    let current = Current::parse(CURRENT.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string_pretty(&current).unwrap() + "\n", CURRENT);
    let release = Release::parse(RELEASE.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string_pretty(&release).unwrap() + "\n", RELEASE);
}

#[tokio::test]
async fn a_replica_fetches_and_remembers() {
    let (shelf, node) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = publish(shelf.path());
    let folder = node.path().join("use.case");
    let replica = || Replica::new(store.clone(), "use.case".to_owned(), folder.clone());
    assert!(replica().load_last_active().await.unwrap().is_none());

    let mut first = replica();
    first.poll().await.unwrap();
    let now = Timestamp::from_unix_seconds(1_790_000_000);
    let release = first.fetch_effective(now).await.unwrap().unwrap();
    let files = first.files(&release);
    assert_eq!(fs::read(files.database(0)).unwrap(), b"bits");
    first.record_active(release.clone()).await.unwrap();
    assert_eq!(first.status().active.as_deref(), Some("1790000000-aabbccdd"));
    first.clean().await.unwrap();

    // The record of an earlier version has the same form.
    let active = format!("{{\"release\": {RELEASE}}}");
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("active.json")).unwrap()).unwrap();
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(&active).unwrap());
    fs::write(folder.join("active.json"), active).unwrap();
    assert_eq!(replica().load_last_active().await.unwrap(), Some(release.clone()));

    // A file of the release that is damaged, and a record that is: neither is served.
    fs::write(folder.join("active.json"), "{").unwrap();
    let damaged = replica().load_last_active().await;
    assert!(matches!(damaged, Err(ReleaseStoreError::Format { .. })));
    let object = folder.join("objects").join(file_sha256(&files.database(0)).unwrap());
    fs::write(&object, "bitt").unwrap();
    fs::write(folder.join("active.json"), format!("{{\"release\": {RELEASE}}}")).unwrap();
    assert!(replica().load_last_active().await.unwrap().is_none());
    // It is fetched again.
    let mut again = replica();
    again.poll().await.unwrap();
    again.fetch_effective(now).await.unwrap().unwrap();
    assert_eq!(fs::read(files.database(0)).unwrap(), b"bits");
    let left: Vec<_> = fs::read_dir(folder.join("objects")).unwrap().collect();
    assert_eq!(left.len(), 3, "no temporary files stay");
}

#[cfg(unix)]
#[tokio::test]
async fn links_in_place_of_files_are_replaced() {
    let (shelf, node) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = publish(shelf.path());
    let folder = node.path().join("use.case");
    let release = folder.join("releases/1790000000-aabbccdd");
    fs::create_dir_all(&release).unwrap();
    let elsewhere = node.path().join("elsewhere");
    fs::write(&elsewhere, "kept").unwrap();
    for name in ["active.json", "releases/1790000000-aabbccdd/data-0.bin"] {
        std::os::unix::fs::symlink(&elsewhere, folder.join(name)).unwrap();
    }
    let mut replica = Replica::new(store, "use.case".to_owned(), folder.clone());
    replica.poll().await.unwrap();
    let release = replica.fetch_effective(Timestamp::MAX).await.unwrap().unwrap();
    replica.record_active(release).await.unwrap();
    assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
    for name in ["active.json", "releases/1790000000-aabbccdd/data-0.bin"] {
        assert!(fs::symlink_metadata(folder.join(name)).unwrap().is_file(), "{name}");
    }
}
