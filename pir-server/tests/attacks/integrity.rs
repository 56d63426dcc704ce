//! Files of the state that are emptied, exchanged, taken from a backup, changed, or open to other users.

use crate::process::{Process, run};
use crate::support::{Case, Device, NOW, Settings, at};
use error_reporter::Report;
use pir_api::{Message, api};
use pir_server::configuration::{StoreSettings, Tier};
use pir_server::store::{Damage, EmbeddedStore, Spending, StateFile, Store, StoreError};
use pir_server::{Configuration, Service};
use privacy_pass::{KeySet, Rotation, Token};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use unix_clock::ManualClock;

const NONCES: &str = "nonces.redb";
const GENERATION: &str = "generation.json";

/// A state folder with issuer keys, and nonces that were spent.
struct State {
    folder: TempDir,
}

impl State {
    async fn new() -> Self {
        let state = Self { folder: tempfile::tempdir().unwrap() };
        let store = state.open().unwrap();
        let lease = store.lease().await.unwrap().unwrap();
        let keys = KeySet::create(Rotation::default(), at(NOW)).unwrap();
        store.put_issuer_keys(Tier::Tier1, &keys, &lease).await.unwrap();
        assert!(is_fresh(&store, 1).await);
        state
    }

    fn settings(&self) -> StoreSettings {
        StoreSettings::in_folder(self.folder.path())
    }

    fn open(&self) -> Result<EmbeddedStore, StoreError> {
        EmbeddedStore::open(&self.settings())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The nonces are refused for this reason, the message says what to do, and what it says helps.
    #[track_caller]
    fn is_refused(&self, expected: Damage) {
        for _ in 0..2 {
            let error = self.open().err().expect("the state was opened");
            let StoreError::Damaged { path, damage, file, .. } = &error else { panic!("{error}") };
            assert_eq!((*damage, *file), (expected, StateFile::Nonces));
            assert_eq!(*path, self.path(NONCES));
            assert!(error.to_string().contains("--discard nonces"), "{error}");
        }
        EmbeddedStore::discard(&self.settings(), StateFile::Nonces, at(NOW)).unwrap();
        assert!(!self.path("issuer-tier1.json").exists());
        drop(self.open().unwrap());
        drop(self.open().unwrap());
    }
}

/// Spends a nonce, and returns whether it was fresh.
async fn is_fresh(store: &EmbeddedStore, number: u8) -> bool {
    match store.spend(&[7; 32], &[number; 32], at(NOW)).await.unwrap() {
        Spending::Fresh(durable) => {
            durable.wait().await.unwrap();
            true
        }
        Spending::Spent => false,
    }
}

#[tokio::test]
async fn an_older_database_of_nonces_is_refused() {
    let state = State::new().await;
    let copy = fs::read(state.path(NONCES)).unwrap();
    let store = state.open().unwrap();
    assert!(!is_fresh(&store, 1).await);
    assert!(is_fresh(&store, 2).await);
    drop(store);
    fs::write(state.path(NONCES), copy).unwrap();
    state.is_refused(Damage::Generation);
}

/// The copy is of the same run: the mark changes at the end, too.
#[tokio::test]
async fn a_database_of_nonces_that_was_copied_while_it_was_open_is_refused() {
    let state = State::new().await;
    let store = state.open().unwrap();
    assert!(is_fresh(&store, 2).await);
    let copy = fs::read(state.path(NONCES)).unwrap();
    assert!(is_fresh(&store, 3).await);
    drop(store);
    fs::write(state.path(NONCES), copy).unwrap();
    state.is_refused(Damage::Generation);
}

#[tokio::test]
async fn another_folders_database_of_nonces_is_refused() {
    let (state, other) = (State::new().await, State::new().await);
    fs::copy(other.path(NONCES), state.path(NONCES)).unwrap();
    state.is_refused(Damage::Generation);
}

#[tokio::test]
async fn a_fresh_database_of_nonces_is_refused() {
    let (state, other) = (State::new().await, tempfile::tempdir().unwrap());
    drop(redb::Database::create(other.path().join(NONCES)).unwrap());
    fs::copy(other.path().join(NONCES), state.path(NONCES)).unwrap();
    state.is_refused(Damage::Generation);
}

#[tokio::test]
async fn nonces_without_their_generation_are_refused() {
    let state = State::new().await;
    // From the second mark on, the file must be there.
    drop(state.open().unwrap());
    fs::remove_file(state.path(GENERATION)).unwrap();
    state.is_refused(Damage::Generation);
}

#[tokio::test]
async fn missing_and_empty_databases_of_nonces_are_refused() {
    for (damage, with_generation) in [
        (Damage::Empty, true),
        (Damage::Empty, false),
        (Damage::Missing, true),
        (Damage::Missing, false),
    ] {
        let state = State::new().await;
        match damage {
            Damage::Empty => fs::write(state.path(NONCES), "").unwrap(),
            _ => fs::remove_file(state.path(NONCES)).unwrap(),
        }
        if !with_generation {
            fs::remove_file(state.path(GENERATION)).unwrap();
        }
        state.is_refused(damage);
    }
}

/// As the versions before the mark left it.
#[tokio::test]
async fn a_state_folder_without_a_mark_opens_and_gets_one() {
    let state = State::new().await;
    fs::remove_file(state.path(GENERATION)).unwrap();
    let database = redb::Database::open(state.path(NONCES)).unwrap();
    let transaction = database.begin_write().unwrap();
    let marks: redb::TableDefinition<'_, &str, [u8; 16]> = redb::TableDefinition::new("generation");
    assert!(transaction.delete_table(marks).unwrap());
    transaction.commit().unwrap();
    drop(database);
    let store = state.open().unwrap();
    assert!(!is_fresh(&store, 1).await);
    drop(store);
    assert!(state.path(GENERATION).exists());
    fs::write(state.path(NONCES), "").unwrap();
    state.is_refused(Damage::Empty);
}

/// Files of keys: any changed digit is noticed, and files of earlier versions get a checksum.
#[tokio::test]
async fn changed_key_files_are_refused() {
    let state = State::new().await;
    let store = state.open().unwrap();
    let lease = store.lease().await.unwrap().unwrap();
    store
        .put_gateway_keys(br#"{"keys":[{"id":7,"seed":[1,2,3],"from":1795000000}]}"#, &lease)
        .await
        .unwrap();
    for (name, file) in
        [("issuer-tier1.json", StateFile::IssuerKeys), ("gateway.json", StateFile::GatewayKeys)]
    {
        let read = async || match file {
            StateFile::IssuerKeys => {
                store.issuer_keys(Tier::Tier1, Rotation::default()).await.map(|keys| keys.is_some())
            }
            _ => store.gateway_keys().await.map(|keys| keys.is_some()),
        };
        let good = fs::read(state.path(name)).unwrap();
        let digits = (0..good.len()).filter(|&at| good[at].is_ascii_digit());
        for at in digits.step_by(1 + good.len() / 200) {
            let mut bad = good.clone();
            bad[at] = if bad[at] == b'1' { b'2' } else { b'1' };
            fs::write(state.path(name), &bad).unwrap();
            let error = read().await.unwrap_err();
            let StoreError::Damaged { file: of, damage, .. } = &error else { panic!("{error}") };
            // A change of the label hides the checksum, and the text is no JSON then.
            assert!(matches!(damage, Damage::Checksum | Damage::Content), "{name} {at}: {error}");
            assert_eq!(*of, file);
            assert!(error.to_string().contains(&format!("--discard {}", file.name())), "{error}");
        }
        // Without a checksum, as earlier versions wrote it.
        let text = String::from_utf8(good.clone()).unwrap();
        let (text, _) = text.split_once("sha256 ").unwrap();
        fs::write(state.path(name), text).unwrap();
        assert!(read().await.unwrap());
        assert_eq!(fs::read(state.path(name)).unwrap(), good, "{name}");
    }
}

/// Keys that relays have are not replaced because the text of them means nothing to this service.
#[cfg(feature = "gateway")]
#[tokio::test]
async fn gateway_keys_of_another_form_are_refused_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5").install(folder.path(), "data");
    let settings = Settings::new(vec![case]).with("gateway", json!({ "hosts": ["a.example"] }));
    let path = folder.path().join("service-config.json");
    fs::write(&path, settings.text(folder.path())).unwrap();
    let configuration = Configuration::read(&path).unwrap();
    let bytes = [5; 32];
    let seed = |from| json!({ "id": 1, "seed": bytes, "from": from });
    for text in [json!({ "keys": 1 }), json!({ "keys": [seed(2), seed(1)] })] {
        let state = State { folder: tempfile::tempdir().unwrap() };
        let store = Arc::new(state.open().unwrap());
        let lease = store.lease().await.unwrap().unwrap();
        let text = text.to_string();
        store.put_gateway_keys(text.as_bytes(), &lease).await.unwrap();
        let shared: Arc<dyn Store> = Arc::<EmbeddedStore>::clone(&store);
        let clock = Arc::new(ManualClock::new(at(NOW)));
        let error = Service::with_store(&configuration, shared, clock).await.err().unwrap();
        let error = Report::new(&error).to_string();
        assert!(error.contains("gateway keys are damaged"), "{error}");
        assert!(error.contains("--discard gateway-keys"), "{error}");
        let kept = store.gateway_keys().await.unwrap().unwrap();
        assert_eq!(kept.trim_ascii_end(), text.as_bytes());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn other_users_have_no_access_to_any_file_of_the_state() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let open_to_all =
        |path: &Path| fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let state = State { folder };
    let store = state.open().unwrap();
    let lease = store.lease().await.unwrap().unwrap();
    let keys = KeySet::create(Rotation::default(), at(NOW)).unwrap();
    store.put_issuer_keys(Tier::Tier1, &keys, &lease).await.unwrap();
    store.put_gateway_keys(b"{}", &lease).await.unwrap();
    drop(store);
    let files = || -> Vec<PathBuf> {
        let entries = fs::read_dir(state.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!(files().len(), 5);
    for path in files() {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    // Files that became readable: keys are refused, because others may know them; the rest is closed.
    fs::write(state.path("nonces.redb.discarded-1"), "").unwrap();
    files().iter().for_each(|path| open_to_all(path));
    let store = state.open().unwrap();
    for error in [
        store.issuer_keys(Tier::Tier1, Rotation::default()).await.err().unwrap(),
        store.gateway_keys().await.err().unwrap(),
    ] {
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    for path in files() {
        let is_key =
            path.extension().is_some_and(|ending| ending == "json") && !path.ends_with(GENERATION);
        assert_eq!(mode(&path), if is_key { 0o666 } else { 0o600 }, "{}", path.display());
    }
}

/// Over HTTP: the token that was accepted before is not accepted again.
#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_database_of_nonces_makes_no_spent_token_good_again() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        Settings::new(vec![Case::new("synthetic_small_logt5").install(folder.path(), "data")]);
    let status = async |process: &Process, token: &Token| {
        let device = device(process);
        let body = api::ConfigRequest::default().encode_to_vec();
        device.post("/config", token, body).await.unwrap().status().as_u16()
    };
    let process = Process::start(folder.path(), &settings, &[]);
    let token = device(&process).token().await.unwrap();
    assert_eq!(status(&process, &token).await, 200);
    assert_eq!(status(&process, &token).await, 401);
    assert!(process.terminate().0.success());
    fs::write(folder.path().join("state").join(NONCES), "").unwrap();
    let config = folder.path().join("service-config.json");
    assert!(Configuration::read(&config).is_ok());
    let (code, _, error) = run(&["--config", config.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(error.contains(NONCES) && error.contains("--discard nonces"), "{error}");
    let process = Process::start(folder.path(), &settings, &["--discard", "nonces"]);
    assert_eq!(status(&process, &token).await, 401);
    assert!(process.terminate().0.success());
}

fn device(process: &Process) -> Device {
    Device { http: reqwest::Client::new(), url: process.url.clone(), user: "anyone".to_owned() }
}
