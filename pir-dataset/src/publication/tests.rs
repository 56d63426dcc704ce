//! A publisher and nodes that follow it, with files whose content does not matter.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;
use crate::digest::sha256;
use crate::progress::{Notice, Progress};
use release_signature::{SecretKey, TrustedKeys};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;
use unix_clock::{Clock, ManualClock, Timestamp};

const USE_CASE: &str = "use.case";
const START: u64 = 1_790_000_000;
/// Longer than the shortest file that has a delta, and no multiple of what is compared at once.
const LENGTH: usize = 300_001;

/// Content that no two versions share, but for what they have in common with another.
fn content(length: usize, start: u8) -> Vec<u8> {
    (0..length).map(|i| (i * i / 7) as u8 ^ start).collect()
}

fn changed(content: &[u8], at: &[usize]) -> Vec<u8> {
    let mut changed = content.to_vec();
    at.iter().for_each(|&at| changed[at] ^= 0x55);
    changed
}

/// An address that releases are published at.
struct Shelf {
    folder: TempDir,
    clock: ManualClock,
    key: Option<SecretKey>,
    trusts_current: bool,
    notices: Notices,
}

#[derive(Default)]
struct Notices(Mutex<Vec<Notice>>);

impl Progress for Notices {
    fn notice(&self, notice: Notice) {
        self.0.lock().unwrap().push(notice);
    }
}

impl Shelf {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: ManualClock::new(Timestamp::from_unix_seconds(START)),
            key: None,
            trusts_current: false,
            notices: Notices::default(),
        }
    }

    fn store(&self) -> ReleaseStore {
        ReleaseStore::open(self.folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap()
    }

    async fn publisher(&self) -> Publisher<'_> {
        let nodes = Nodes::new(&[], USE_CASE).unwrap();
        let schedule = Schedule::new(&nodes);
        let publisher = Publisher::open(self.store(), USE_CASE, nodes, schedule).await.unwrap();
        let publisher = publisher.with_clock(&self.clock).with_progress(&self.notices);
        let publisher = publisher.with_trust_in_current(self.trusts_current);
        match &self.key {
            Some(key) => publisher.with_key(key),
            None => publisher,
        }
    }

    /// Publishes a data set of some shards, an hour after what was published before.
    async fn publish(&self, shards: &[Vec<u8>]) -> Published {
        self.clock.advance(Duration::from_secs(3600));
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        let mut add = |name: String, content: &[u8]| {
            let path = folder.path().join(&name);
            fs::write(&path, content).unwrap();
            let file = ReleasedFile::new(name, content.len() as u64, sha256(content)).unwrap();
            files.push((file, path));
        };
        for (shard, content) in shards.iter().enumerate() {
            add(format!("data-{shard}.bin"), content);
            add(format!("data-{shard}.params.txtpb"), b"parameters");
        }
        add("data-manifest.json".to_owned(), b"{}");
        let gathered = Gathered {
            files,
            config_id: "00".to_owned(),
            shard_count: shards.len() as u32,
            rows: 1,
            levels: Vec::new(),
        };
        self.publisher().await.publish(&gathered).await.unwrap()
    }

    fn object(&self, content: &[u8]) -> PathBuf {
        self.folder.path().join("objects").join(sha256(content))
    }

    fn list(&self, published: &Published) -> PathBuf {
        let release = self.folder.path().join("releases").join(&published.announced.release.id);
        release.join("deltas.json")
    }

    fn deltas(&self, published: &Published) -> Vec<Delta> {
        Deltas::parse(&fs::read(self.list(published)).unwrap()).unwrap().deltas
    }

    fn set_deltas(&self, published: &Published, deltas: Vec<Delta>) {
        let text = serde_json::to_vec(&Deltas::new(deltas)).unwrap();
        fs::write(self.list(published), text).unwrap();
    }

    /// Puts an object there, and returns its digest.
    fn put(&self, content: &[u8]) -> String {
        fs::write(self.object(content), content).unwrap();
        sha256(content)
    }
}

/// A node that follows an address.
struct Node {
    folder: TempDir,
    replica: Replica,
}

impl Node {
    fn new(shelf: &Shelf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::new(shelf.store(), USE_CASE.to_owned(), folder.path().to_owned());
        let keys = shelf.key.as_ref().map(|key| TrustedKeys::new(vec![key.public()]).unwrap());
        Self { folder, replica: replica.with_keys(keys) }
    }

    /// One that serves what is published.
    async fn serving(shelf: &Shelf) -> Self {
        let mut node = Self::new(shelf);
        node.replica.poll().await.unwrap();
        let release = node.replica.fetch_effective(shelf.clock.now()).await.unwrap().unwrap();
        node.replica.record_active(release).await.unwrap();
        node
    }

    /// Fetches what was published meanwhile.
    async fn follow(&mut self) -> Result<(), ReleaseStoreError> {
        self.replica.poll().await?;
        self.replica.prepare().await.map(drop)
    }

    /// The content of the shards that are ready.
    fn ready(&self) -> Vec<Vec<u8>> {
        let release = self.replica.ready().unwrap();
        let files = self.replica.files(release);
        (0..release.shard_count).map(|shard| fs::read(files.database(shard)).unwrap()).collect()
    }

    fn objects(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("objects")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_node_makes_changed_files_from_those_that_it_has() {
    let shelf = Shelf::new();
    let first = [content(LENGTH, 1), content(LENGTH, 2), content(LENGTH, 3)];
    assert_eq!(shelf.publish(&first).await.deltas, 0);
    let mut node = Node::serving(&shelf).await;
    let parts = 3 * "parameters".len() + "{}".len();
    assert_eq!((node.replica.fetched().whole, node.replica.fetched().by_delta), (7, 0));
    // One shard has changes here and there, one is as it was, and one is another.
    let second =
        [changed(&first[0], &[0, 70_000, LENGTH - 1]), first[1].clone(), content(LENGTH, 9)];
    let published = shelf.publish(&second).await;
    assert_eq!((published.deltas, published.uploaded_objects), (1, 2));
    // It could not be fetched as a whole.
    let object = shelf.object(&second[0]);
    fs::rename(&object, object.with_extension("aside")).unwrap();
    node.follow().await.unwrap();
    assert_eq!(node.ready(), second);
    let fetched = node.replica.fetched();
    assert_eq!((fetched.whole, fetched.by_delta), (8, 1));
    let delta = &shelf.deltas(&published)[0];
    assert_eq!(delta.bytes, 16 + 3 * 8 + 32 + 32 + 1);
    assert_eq!(fetched.bytes as usize, 3 * LENGTH + parts + LENGTH + delta.bytes as usize);
    assert!(node.replica.take_unusable_delta().is_none());
    assert!(node.objects().iter().all(|name| !name.ends_with(".delta")), "{:?}", node.objects());
    // A node that has nothing needs the whole file, and so did nodes of versions before deltas.
    assert!(Node::new(&shelf).follow().await.unwrap_err().is_not_found());
    fs::rename(object.with_extension("aside"), &object).unwrap();
    let mut other = Node::new(&shelf);
    other.follow().await.unwrap();
    assert_eq!((other.ready(), other.replica.fetched().by_delta), (second.to_vec(), 0));
}

/// What is wrong, whether it is told, and how it is done.
type Case<'c> = (&'c str, bool, &'c dyn Fn());

/// Each of them is a node that serves the first release, and finds something wrong on the way to the second.
#[tokio::test]
async fn whole_files_are_fetched_where_deltas_are_of_no_use() {
    let shelf = Shelf::new();
    let (first, other) = (content(LENGTH, 1), content(LENGTH, 2));
    shelf.publish(&[first.clone(), other.clone()]).await;
    let mut nodes = Vec::new();
    for _ in 0..13 {
        nodes.push(Node::serving(&shelf).await);
    }
    let second = changed(&first, &[1000]);
    let published = shelf.publish(&[second.clone(), other.clone()]).await;
    let list = fs::read(shelf.list(&published)).unwrap();
    let good = shelf.deltas(&published).remove(0);
    let path = shelf.folder.path().join("objects").join(&good.sha256);
    let bytes = fs::read(&path).unwrap();
    let with = |change: &dyn Fn(&mut Delta)| {
        let mut delta = good.clone();
        change(&mut delta);
        shelf.set_deltas(&published, vec![delta]);
    };
    let with_object = |content: &[u8]| {
        let sha256 = shelf.put(content);
        with(&|delta| (delta.sha256, delta.bytes) = (sha256.clone(), content.len() as u64));
    };
    let end = bytes.len() - 1;
    let cases: [Case<'_>; 13] = [
        ("the list is missing", false, &|| fs::remove_file(shelf.list(&published)).unwrap()),
        ("the list is no list", true, &|| fs::write(shelf.list(&published), "{").unwrap()),
        ("the list is of a later version", true, &|| {
            fs::write(shelf.list(&published), r#"{"version":2}"#).unwrap();
        }),
        ("the list leads elsewhere", true, &|| {
            let text = String::from_utf8(list.clone()).unwrap().replace(&good.from, "../objects");
            fs::write(shelf.list(&published), text).unwrap();
        }),
        ("the delta is for a file that is not here", false, &|| {
            with(&|delta| delta.from = sha256(b"nothing"));
        }),
        ("the delta is for another file", true, &|| with(&|delta| delta.from = sha256(&other))),
        ("the delta is large", false, &|| with(&|delta| delta.bytes = LENGTH as u64 / 4 + 1)),
        ("the delta is longer than its list says", true, &|| with(&|delta| delta.bytes -= 1)),
        ("the delta is missing", true, &|| fs::remove_file(&path).unwrap()),
        ("the delta is damaged", true, &|| fs::write(&path, changed(&bytes, &[end])).unwrap()),
        ("the delta gives another file", true, &|| with_object(&changed(&bytes, &[end]))),
        ("the delta ends early", true, &|| with_object(&bytes[..end])),
        ("the delta is an object that is served", true, &|| {
            with(&|delta| (delta.sha256, delta.bytes) = (sha256(b"parameters"), 10));
        }),
    ];
    for ((what, is_told, damage), node) in cases.into_iter().zip(&mut nodes) {
        fs::write(shelf.list(&published), &list).unwrap();
        fs::write(&path, &bytes).unwrap();
        damage();
        node.follow().await.unwrap();
        assert_eq!(node.ready(), [second.clone(), other.clone()], "{what}");
        assert_eq!(node.replica.fetched().by_delta, 0, "{what}");
        let told = node.replica.take_unusable_delta();
        assert_eq!(told.is_some(), is_told, "{what}: {told:?}");
        // What it serves is still there.
        let active = node.replica.active().unwrap().clone();
        assert_eq!(fs::read(node.replica.files(&active).database(0)).unwrap(), first, "{what}");
        assert!(node.replica.load_last_active().await.unwrap().is_some(), "{what}");
        assert!(node.objects().iter().all(|name| !name.ends_with(".delta")), "{what}");
    }
}

/// Whoever can write to the store can offer deltas, and no file but the one that was signed.
#[tokio::test]
async fn a_signature_holds_for_what_deltas_make() {
    let shelf = Shelf { key: Some(SecretKey::generate().unwrap()), ..Shelf::new() };
    let first = content(LENGTH, 1);
    shelf.publish(std::slice::from_ref(&first)).await;
    let (mut node, mut deceived) = (Node::serving(&shelf).await, Node::serving(&shelf).await);
    let second = changed(&first, &[1000]);
    let published = shelf.publish(std::slice::from_ref(&second)).await;
    node.follow().await.unwrap();
    assert_eq!((node.ready(), node.replica.fetched().by_delta), (vec![second.clone()], 1));

    let forged = changed(&first, &[2000]);
    let mut delta = shelf.deltas(&published).remove(0);
    let path = shelf.folder.path().join("objects").join(&delta.sha256);
    let mut bytes = fs::read(path).unwrap();
    bytes[16..20].copy_from_slice(&(2000_u32 / 32 * 32).to_le_bytes());
    bytes[24..].copy_from_slice(&forged[2000 / 32 * 32..][..32]);
    delta.sha256 = shelf.put(&bytes);
    shelf.set_deltas(&published, vec![delta]);
    deceived.follow().await.unwrap();
    assert_eq!((deceived.ready(), deceived.replica.fetched().by_delta), (vec![second], 0));
    let told = deceived.replica.take_unusable_delta();
    assert!(matches!(told, Some(ReleaseStoreError::Damaged { damage: Damage::Delta, .. })));
}

/// Nodes with a public key would refuse it, and --sign was given already.
#[tokio::test]
async fn a_release_without_a_signature_is_not_gone_back_to_by_one_who_signs() {
    let mut shelf = Shelf::new();
    let unsigned = shelf.publish(&[content(100, 1)]).await.announced.release.id;
    shelf.key = Some(SecretKey::generate().unwrap());
    shelf.trusts_current = true;
    let first = shelf.publish(&[content(100, 2)]).await.announced.release.id;
    shelf.trusts_current = false;
    let refused = async |id: Option<&str>| {
        shelf.publisher().await.roll_back(id).await.unwrap_err().to_string()
    };
    // Without an id it would be the one before.
    for id in [None, Some(unsigned.as_str())] {
        let error = refused(id).await;
        for part in [
            &format!("the release {unsigned} has no signature: it was published without one"),
            "publish its files again with this key (--data, --filter)",
            "there is no other",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
    let second = shelf.publish(&[content(100, 3)]).await.announced.release.id;
    let error = refused(Some(&unsigned)).await;
    assert!(error.ends_with(&format!("there are {first}")), "{error}");
    // Releases of other keys are no better.
    let own = shelf.key.replace(SecretKey::generate().unwrap());
    shelf.trusts_current = true;
    shelf.publish(&[content(100, 4)]).await;
    let error = shelf.publisher().await.roll_back(Some(&unsigned)).await.unwrap_err().to_string();
    assert!(error.ends_with("there is no other"), "{error}");
    shelf.key = own;
    let back = shelf.publisher().await.roll_back(Some(&second)).await.unwrap();
    assert_eq!(back.release.id, second);
}

#[tokio::test]
async fn files_from_a_length_on_have_deltas() {
    for (length, expected) in [(65_535, 0), (65_536, 1), (65_537, 1)] {
        let shelf = Shelf::new();
        let first = content(length, 1);
        shelf.publish(std::slice::from_ref(&first)).await;
        let published = shelf.publish(&[changed(&first, &[3])]).await;
        assert_eq!(published.deltas, expected, "{length}");
        assert_eq!(shelf.list(&published).exists(), expected > 0);
        // None for another length.
        let other = content(length + 1, 1);
        assert_eq!(shelf.publish(&[other]).await.deltas, 0);
    }
}

#[tokio::test]
async fn deltas_live_as_long_as_the_release_that_names_them() {
    let shelf = Shelf::new();
    let mut shard = content(LENGTH, 1);
    let mut published = vec![shelf.publish(std::slice::from_ref(&shard)).await];
    for at in 1..5 {
        shard = changed(&shard, &[at * 1000]);
        published.push(shelf.publish(std::slice::from_ref(&shard)).await);
    }
    let objects: Vec<PathBuf> = published[1..]
        .iter()
        .map(|published| {
            shelf.folder.path().join("objects").join(&shelf.deltas(published)[0].sha256)
        })
        .collect();
    // A list that cannot be read keeps nothing, and nothing from being removed.
    fs::write(shelf.list(&published[3]), "{").unwrap();
    // The objects are old by then.
    shelf.clock.set(Timestamp::from_unix_seconds(u64::from(u32::MAX)));
    shelf.publisher().await.prune(3).await.unwrap();
    let lists = published[1..].iter().map(|published| shelf.list(published).exists());
    assert_eq!(lists.collect::<Vec<_>>(), [false, true, true, true]);
    let kept = objects.iter().map(|path| path.exists());
    assert_eq!(kept.collect::<Vec<_>>(), [false, true, false, true]);
    assert!(shelf.object(&shard).exists());
}

/// Nobody is waited for, and nothing fails, because of what was published before.
#[tokio::test]
async fn a_release_without_deltas_is_published_all_the_same() {
    let damages: [&dyn Fn(&Path); 3] = [
        &|object| fs::remove_file(object).unwrap(),
        &|object| fs::write(object, content(LENGTH, 7)).unwrap(),
        &|object| fs::write(object, "short").unwrap(),
    ];
    for damage in damages {
        let shelf = Shelf::new();
        let first = content(LENGTH, 1);
        shelf.publish(std::slice::from_ref(&first)).await;
        let mut node = Node::serving(&shelf).await;
        damage(&shelf.object(&first));
        let second = changed(&first, &[3]);
        assert_eq!(shelf.publish(std::slice::from_ref(&second)).await.deltas, 0);
        node.follow().await.unwrap();
        assert_eq!(node.ready(), [second]);
    }
    // What is not as it was is told; what is too different for a delta is not.
    let shelf = Shelf::new();
    let first = content(LENGTH, 1);
    shelf.publish(std::slice::from_ref(&first)).await;
    fs::write(shelf.object(&first), changed(&first, &[3])).unwrap();
    shelf.publish(&[changed(&first, &[4])]).await;
    let notices = std::mem::take(&mut *shelf.notices.0.lock().unwrap());
    let is_told =
        |notice: &Notice| matches!(notice, Notice::NoDelta { name, .. } if name == "data-0.bin");
    assert!(notices.iter().any(is_told), "{notices:?}");
    shelf.publish(&[content(LENGTH, 7)]).await;
    assert!(!shelf.notices.0.lock().unwrap().iter().any(is_told));
}

/// The clock of the publisher was ahead for a while.
#[tokio::test]
async fn a_release_is_never_older_than_the_one_before_it() {
    let mut shelf = Shelf::new();
    shelf.key = Some(SecretKey::generate().unwrap());
    let (first, second) = ([content(LENGTH, 1)], [content(LENGTH, 2)]);
    let begin = shelf.clock.now();
    shelf.clock.set(begin + Duration::from_secs(400 * 86_400));
    shelf.publish(&first).await;
    let mut node = Node::serving(&shelf).await;
    // Each has another time than the one before, and so another name.
    for content in [&second, &first, &second] {
        shelf.clock.set(begin);
        shelf.publish(content).await;
        node.follow().await.unwrap();
        assert_eq!(node.ready(), content);
        let release = node.replica.ready().unwrap().clone();
        node.replica.record_active(release).await.unwrap();
    }
}

#[tokio::test]
async fn a_data_set_that_is_too_large_is_not_fetched() {
    let shelf = Shelf::new();
    shelf.publish(&[content(LENGTH, 1), content(LENGTH, 2)]).await;
    let bytes = (2 * LENGTH + 2 * "parameters".len() + "{}".len()) as u64;
    for (max_bytes, is_fetched) in [(bytes - 1, false), (bytes, true), (bytes + 1, true)] {
        let mut node = Node::new(&shelf);
        node.replica = node.replica.with_max_bytes(max_bytes);
        match node.follow().await {
            Ok(()) => assert!(is_fetched),
            Err(ReleaseStoreError::TooLarge { bytes: found, max, .. }) => {
                assert!(!is_fetched && (found, max) == (bytes, max_bytes));
                assert!(!node.folder.path().join("objects").exists());
            }
            Err(error) => panic!("{error}"),
        }
    }
}
