//! Someone who writes to the store of a publication, or puts an earlier state of it back.

use crate::support::{Case, NOW, Running, Settings, UseCaseText, at, write_manifest};
use pir_dataset::publication::{Current, Release, ReleaseStore, ReleasedFile};
use pir_server::{Configuration, Service};
use release_signature::{SecretKey, TrustedKeys};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;
use unix_clock::ManualClock;

const FIRST: &str = "synthetic_small_logt5";
const SECOND: &str = "synthetic_shards3_logt4";
const PREFILTER: &str = "filter/bloom_filter.plist";

/// A publication with two releases: `old` has one shard, `new` has three.
struct Publication {
    folder: TempDir,
    store: ReleaseStore,
    key: SecretKey,
}

impl Publication {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ReleaseStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        let publication = Self { folder, store, key: SecretKey::generate().unwrap() };
        publication.put(FIRST, "old", NOW).await;
        publication.put(SECOND, "new", NOW + 100).await;
        publication
    }

    fn use_case() -> String {
        Case::new(FIRST).use_case()
    }

    async fn put(&self, case: &str, id: &str, published_at: u64) {
        self.put_with(case, id, published_at, None).await;
    }

    /// With a prefilter, which is given out.
    async fn put_with(&self, case: &str, id: &str, published_at: u64, prefilter: Option<&[u8]>) {
        let source = tempfile::tempdir().unwrap();
        let shards = Case::new(case).install(source.path(), "data").shards;
        write_manifest(&source.path().join("data"), shards, json!({}));
        let mut files = Vec::new();
        for entry in fs::read_dir(source.path()).unwrap() {
            let path = entry.unwrap().path();
            let content = fs::read(&path).unwrap();
            let sha256 =
                Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let file = ReleasedFile::new(name, content.len() as u64, sha256).unwrap();
            self.store.put_object(&file, &path).await.unwrap();
            files.push(file);
        }
        if let Some(prefilter) = prefilter {
            let path = self.folder.path().join(PREFILTER);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, prefilter).unwrap();
            let sha256 =
                Sha256::digest(prefilter).iter().map(|byte| format!("{byte:02x}")).collect();
            let file = ReleasedFile::new(PREFILTER.to_owned(), prefilter.len() as u64, sha256);
            let file = file.unwrap();
            self.store.put_object(&file, &path).await.unwrap();
            files.push(file);
        }
        let (use_case, config) = (Self::use_case(), String::new());
        let release =
            Release::new(id.to_owned(), use_case, shards, config, at(published_at), files);
        self.store.put_release(&release.unwrap()).await.unwrap();
    }

    /// What announces a release at once.
    async fn current(&self, id: &str) -> Current {
        let (name, _) = self.store.release_by_id(id).await.unwrap();
        Current::new(name, Some(at(NOW)), None)
    }

    async fn signed(&self, id: &str, sequence: u64, rollback: bool) -> Current {
        self.current(id).await.sign(&Self::use_case(), sequence, rollback, &self.key)
    }

    fn write(&self, current: &Current) {
        let text = serde_json::to_string_pretty(current).unwrap();
        // Whoever writes to the store need not compare revisions.
        fs::write(self.folder.path().join("current.json"), text).unwrap();
    }

    fn settings(&self, folder: &TempDir, with_keys: bool) -> Settings {
        let (name, address) = (Self::use_case(), self.folder.path());
        let mut publications = json!({ "directory": folder.path().join("releases") });
        if with_keys {
            publications["publicKeys"] = json!([self.key.public().to_string()]);
        }
        let (stem, shards, versions, superseded) = (String::new(), 0, 2, 10);
        Settings::new(vec![UseCaseText { name: name.clone(), stem, shards, versions, superseded }])
            .with("usecases", json!([{ "name": name, "published": address }]))
            .with("publications", publications)
    }

    async fn node(&self, with_keys: bool) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let settings = self.settings(&folder, with_keys);
        Running::start(folder, settings).await
    }
}

fn shards(node: &Running) -> usize {
    node.service.loaded().use_cases[0].shards
}

/// The node refuses what is published for this reason, and serves what it served.
async fn refuses(node: &Running, why: &str) {
    let before = shards(node);
    let error = node.service.poll_publications().await.unwrap_err();
    let error = format!("{:#}", anyhow::Error::from(error));
    assert!(error.contains(why), "{error}");
    assert_eq!(shards(node), before);
}

async fn follows(node: &Running, expected: usize) {
    node.service.poll_publications().await.unwrap();
    assert_eq!(shards(node), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_keys_follow_nothing_that_is_not_signed() {
    let publication = Publication::new().await;
    publication.write(&publication.signed("old", 1, false).await);
    let node = publication.node(true).await;
    assert_eq!(shards(&node), 1);

    publication.write(&publication.current("new").await);
    refuses(&node, "it is not signed").await;
    let use_case = Publication::use_case();
    let thief = SecretKey::generate().unwrap();
    let current = publication.current("new").await;
    publication.write(&current.clone().sign(&use_case, 2, false, &thief));
    refuses(&node, "not among the trusted ones").await;
    publication.write(&current.clone().sign("com.example.other", 2, false, &publication.key));
    refuses(&node, "signed for the use case com.example.other").await;
    // A signature of another text.
    let text = serde_json::to_string(&publication.signed("old", 2, false).await).unwrap();
    let old = publication.store.release_by_id("old").await.unwrap().0;
    let new = publication.store.release_by_id("new").await.unwrap().0;
    let forged = text.replace("\\\"old\\\"", "\\\"new\\\"").replace(&old.sha256, &new.sha256);
    assert_ne!(text, forged);
    fs::write(publication.folder.path().join("current.json"), forged).unwrap();
    refuses(&node, "is not valid").await;
    // A release that was replaced after it was signed.
    publication.write(&publication.signed("new", 2, false).await);
    let release = publication.folder.path().join("releases/new/release.json");
    let good = fs::read(&release).unwrap();
    let text = String::from_utf8(good.clone()).unwrap().replace("\"useCase\"", " \"useCase\"");
    fs::write(&release, text).unwrap();
    refuses(&node, "its digest differs").await;
    fs::write(&release, good).unwrap();
    follows(&node, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_state_of_the_store_is_refused() {
    let publication = Publication::new().await;
    let old = publication.signed("old", 1, false).await;
    publication.write(&old);
    let node = publication.node(true).await;
    publication.write(&publication.signed("new", 5, false).await);
    follows(&node, 3).await;
    publication.write(&old);
    refuses(&node, "an earlier state of the store was put back").await;
    // The same number, and another text.
    publication.write(&publication.signed("old", 5, true).await);
    refuses(&node, "the number of another announcement").await;
    // After a restart as well: what is served is what was served last.
    publication.write(&old);
    let (folder, settings) = node.stop().await;
    let node = Running::start(folder, settings).await;
    assert_eq!(shards(&node), 3);
    refuses(&node, "an earlier state of the store was put back").await;
    // A newer announcement of an older release goes back only if it says so.
    publication.write(&publication.signed("old", 6, false).await);
    refuses(&node, "is not announced as a rollback").await;
    publication.write(&publication.signed("old", 7, true).await);
    follows(&node, 1).await;
    // And the rollback cannot be repeated later.
    let rollback = publication.signed("old", 7, true).await;
    publication.write(&publication.signed("new", 8, false).await);
    follows(&node, 3).await;
    publication.write(&rollback);
    refuses(&node, "an earlier state of the store was put back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_keys_follow_what_is_signed_and_what_is_not() {
    let publication = Publication::new().await;
    publication.write(&publication.signed("old", 9, false).await);
    let node = publication.node(false).await;
    publication.write(&publication.current("new").await);
    follows(&node, 3).await;
    publication.write(&publication.signed("old", 1, false).await);
    follows(&node, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_the_configuration_checks_signatures() {
    let publication = Publication::new().await;
    let folder = tempfile::tempdir().unwrap();
    let text = publication.settings(&folder, true).text(folder.path());
    let configuration = Configuration::parse(text.as_bytes()).unwrap();
    publication.write(&publication.signed("old", 1, false).await);
    Service::check(&configuration).await.unwrap();
    publication.write(&publication.current("old").await);
    let error =
        format!("{:#}", anyhow::Error::from(Service::check(&configuration).await.unwrap_err()));
    assert!(error.contains("it is not signed"), "{error}");
    // A node that never served anything does not start.
    let clock = Arc::new(ManualClock::new(at(NOW)));
    assert!(Service::open(&configuration, clock).await.is_err());
    let keys = TrustedKeys::new(vec![publication.key.public()]).unwrap();
    assert!(publication.current("old").await.verify("any", &keys).is_err());
}

/// A binary property list of a few hundred bytes: arrays of arrays, each of which refers sixty times to the one before.
fn references() -> Vec<u8> {
    const WIDTH: u8 = 60;
    const DEPTH: u8 = 5;
    let (mut list, mut offsets) = (b"bplist00".to_vec(), Vec::new());
    let mut object = |list: &mut Vec<u8>, bytes: &[u8]| {
        offsets.push(u16::try_from(list.len()).unwrap());
        list.extend_from_slice(bytes);
    };
    for of in 1..=DEPTH {
        object(&mut list, &[&[0xaf, 0x10, WIDTH][..], &vec![of; WIDTH.into()]].concat());
    }
    object(&mut list, &[0x09]);
    let table = list.len() as u64;
    offsets.iter().for_each(|offset| list.extend_from_slice(&offset.to_be_bytes()));
    list.extend_from_slice(&[0, 0, 0, 0, 0, 0, 2, 1]);
    for number in [u64::from(DEPTH) + 1, 0, table] {
        list.extend_from_slice(&number.to_be_bytes());
    }
    list
}

/// Whoever writes to a store that is not signed decides what is blocked, and no more: the data set is served, the prefilter
/// is not, and the node goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_prefilter_does_not_end_a_node() {
    let depth = 200_000 * crate::factor().min(10);
    let nested = format!(
        "<?xml version=\"1.0\"?><plist version=\"1.0\">{}{}</plist>",
        "<array>".repeat(depth),
        "</array>".repeat(depth)
    );
    let many = format!(
        "<?xml version=\"1.0\"?><plist version=\"1.0\"><array>{}</array></plist>",
        "<true/>".repeat(depth)
    );
    for prefilter in [nested.into_bytes(), many.into_bytes(), references(), vec![0; 1 << 20]] {
        let publication = Publication::new().await;
        publication.write(&publication.current("old").await);
        let node = publication.node(false).await;
        publication.put_with(SECOND, "hostile", NOW + 200, Some(&prefilter)).await;
        publication.write(&publication.current("hostile").await);
        let error = node.service.poll_publications().await.unwrap_err();
        let error = format!("{:#}", anyhow::Error::from(error));
        assert!(error.contains("not a prefilter"), "{error}");
        assert_eq!(shards(&node), 3);
        // It is not read again at each poll, and the next start is no other.
        node.service.poll_publications().await.unwrap();
        let (folder, settings) = node.stop().await;
        let node = Running::start(folder, settings).await;
        assert!(node.service.poll_publications().await.is_err());
        assert_eq!(shards(&node), 3);
        let path = format!("/filter/{}", Publication::use_case());
        assert_eq!(node.send(reqwest::Method::GET, &path, &[], "").await.status(), 404);
    }
}
