//! State in a folder of this machine: two databases (redb), one file of issuer keys for each tier, and the
//! gateway keys.
//!
//! The files are independent, so that a damaged one can be discarded without the others. Each database has one
//! writing thread, which commits everything that is waiting in one transaction (one `fsync` for many requests).

mod database;
mod evaluation_keys;
mod generation;
mod key_file;
mod nonces;
mod writer;

use super::issuance::IssuanceCounts;
use super::{
    Damage, Issuance, KeyId, Lease, Spending, Store, StoreError, StoreFuture, StoreStatistics,
    StoredKey,
};
use crate::blocking::blocking;
use crate::configuration::{IssuanceLimit, StoreSettings, Tier};
use durable_file::{FileError, Operation};
use error_reporter::Report;
use evaluation_keys::EvaluationKeys;
use key_file::KeyText;
use nonces::Nonces;
use privacy_pass::{KeySet, Rotation};
use serde::de::IgnoredAny;
use std::error::Error;
use std::fs;
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unix_clock::Timestamp;
use zeroize::Zeroizing;

/// A part of the state folder that can be discarded when it is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateFile {
    /// The database of evaluation keys.
    EvaluationKeys,
    /// The database of spent nonces.
    Nonces,
    /// The files of issuer keys, one for each tier.
    IssuerKeys,
    /// The file of gateway keys.
    GatewayKeys,
}

impl StateFile {
    /// All parts.
    pub const ALL: [Self; 4] =
        [Self::EvaluationKeys, Self::Nonces, Self::IssuerKeys, Self::GatewayKeys];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EvaluationKeys => "evaluation-keys",
            Self::Nonces => "nonces",
            Self::IssuerKeys => "issuer-keys",
            Self::GatewayKeys => "gateway-keys",
        }
    }

    /// What to do if it is damaged, up to the option that discards it. No backup of nonces knows what was spent since.
    #[must_use]
    pub(super) const fn repair(self) -> &'static str {
        match self {
            Self::Nonces => "Start once with, also if a backup is restored,",
            _ => "Restore it from a backup, or start once with",
        }
    }

    /// What happens when it is discarded, as a clause for operators.
    #[must_use]
    pub const fn consequence(self) -> &'static str {
        match self {
            Self::EvaluationKeys => "devices upload their keys again, and nothing else is lost",
            Self::Nonces | Self::IssuerKeys => {
                "new issuer keys are drawn, so that no token can be spent twice; devices fetch new \
                 tokens, and evaluation keys stay"
            }
            Self::GatewayKeys => "new gateway keys are created, and relays fetch them",
        }
    }

    /// The part with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name() == name)
    }

    /// Names of the files that are discarded with it.
    fn files(self) -> Vec<String> {
        let issuer = Tier::ALL.into_iter().map(issuer_file);
        match self {
            Self::EvaluationKeys => vec![evaluation_keys::FILE.to_owned()],
            // Without the nonces, spent tokens of the keys would be accepted again; without the keys, the
            // nonces are of no use.
            Self::Nonces | Self::IssuerKeys => {
                issuer.chain([nonces::FILE, generation::FILE].map(str::to_owned)).collect()
            }
            Self::GatewayKeys => vec![GATEWAY_FILE.to_owned()],
        }
    }
}

fn issuer_file(tier: Tier) -> String {
    format!("issuer-{}.json", tier.name())
}

/// The gateway keys. If they are lost, new ones are created, and relays fetch them.
const GATEWAY_FILE: &str = "gateway.json";

/// State in a folder of this machine.
pub struct EmbeddedStore {
    directory: PathBuf,
    evaluation_keys: EvaluationKeys,
    nonces: Nonces,
    /// In memory alone: they begin again with the process.
    issuance: IssuanceCounts,
}

fn create_private(directory: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    Ok(builder.create(directory).map_err(file_error(Operation::Write, directory))?)
}

fn file_error(operation: Operation, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { operation, path, source }
}

/// Reads a file of keys and parses its text. A file of an earlier version, without a checksum, gets one.
fn read_keys<T, E: Error + Send + Sync + 'static>(
    path: &Path,
    file: StateFile,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<Option<T>, StoreError> {
    let damaged = |damage, source| {
        let path = path.to_owned();
        StoreError::Damaged { path, damage, file, source }
    };
    let read = key_file::read(path)?.map_err(|damage| damaged(damage, None))?;
    let Some(KeyText { text, has_checksum }) = read else { return Ok(None) };
    let keys = parse(&text).map_err(|error| damaged(Damage::Content, Some(Arc::new(error))))?;
    if !has_checksum && let Err(error) = key_file::write(path, &text) {
        tracing::warn!(error = %Report::new(&error), "a file of keys stays without a checksum");
    }
    Ok(Some(keys))
}

/// Takes access to the files of the folder away from other users than the owner. Files of keys that others can
/// read are left as they are: reading them fails, because the keys may be known to others.
fn restrict_files(directory: &Path) -> Result<(), StoreError> {
    let keys: Vec<String> =
        Tier::ALL.into_iter().map(issuer_file).chain([GATEWAY_FILE.to_owned()]).collect();
    let unreadable = || file_error(Operation::Read, directory);
    for entry in fs::read_dir(directory).map_err(unreadable())? {
        let entry = entry.map_err(unreadable())?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || keys.iter().any(|key| entry.file_name().to_str() == Some(key)) {
            continue;
        }
        match durable_file::restrict(&entry.path()) {
            Ok(false) => {}
            Ok(true) => {
                tracing::warn!(
                    path = %entry.path().display(),
                    "other users had access to a file of the state; it is closed to them now"
                );
            }
            // Of another process that has removed it.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Warns if any user can replace the files of the folder.
fn warn_of_open_folder(directory: &Path) {
    #[cfg(unix)]
    if fs::metadata(directory)
        .is_ok_and(|about| std::os::unix::fs::MetadataExt::mode(&about) & 0o002 != 0)
    {
        tracing::warn!(
            path = %directory.display(),
            "every user of this machine can replace the state; run `chmod 700` on the folder"
        );
    }
    #[cfg(not(unix))]
    let _ = directory;
}

impl EmbeddedStore {
    /// Opens the state folder of `settings`, or creates it. Every page of its databases is checked, which
    /// blocks for seconds if they are large. Access to its files is taken away from other users.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a file is damaged, absent although others need it, or not the one that the
    /// folder had last;
    /// [`StoreError::InUse`] if another process has the folder open; [`StoreError::File`] and
    /// [`StoreError::Unavailable`] if the file system fails.
    pub fn open(settings: &StoreSettings) -> Result<Self, StoreError> {
        let directory = settings.directory.clone();
        create_private(&directory)?;
        warn_of_open_folder(&directory);
        restrict_files(&directory)?;
        let issues = Tier::ALL.into_iter().any(|tier| directory.join(issuer_file(tier)).exists());
        let nonces = Nonces::open(&directory, issues)?;
        let evaluation_keys = EvaluationKeys::open(&directory, settings)?;
        Ok(Self { directory, evaluation_keys, nonces, issuance: IssuanceCounts::default() })
    }

    /// Renames the files of a damaged part so that the next start creates them again. Returns their new
    /// paths: `<name>.discarded-<now>`, with `now` in Unix seconds.
    ///
    /// # Errors
    /// [`StoreError::File`] if a file cannot be renamed.
    pub fn discard(
        settings: &StoreSettings,
        file: StateFile,
        now: Timestamp,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let mut moved = Vec::new();
        for name in file.files() {
            let path = settings.directory.join(&name);
            let aside = settings.directory.join(format!("{name}.discarded-{now}"));
            match fs::rename(&path, &aside) {
                Ok(()) => moved.push(aside),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(file_error(Operation::Replace, &path)(error).into()),
            }
        }
        Ok(moved)
    }
}

impl Store for EmbeddedStore {
    fn key_id(&self, user: &[u8], key_config_hash: &[u8; 32]) -> Result<KeyId, StoreError> {
        Ok(self.evaluation_keys.key_id(user, key_config_hash))
    }

    fn put_evaluation_key(&self, id: KeyId, key: StoredKey, now: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(self.evaluation_keys.put(id, key, now))
    }

    fn evaluation_key(&self, id: KeyId) -> StoreFuture<'_, Option<StoredKey>> {
        Box::pin(self.evaluation_keys.get(id))
    }

    fn evaluation_key_timestamp(&self, id: KeyId) -> StoreFuture<'_, Option<u64>> {
        Box::pin(self.evaluation_keys.timestamp(id))
    }

    fn touch_evaluation_key(&self, id: KeyId, now: Timestamp) {
        self.evaluation_keys.touch(id, now);
    }

    fn collect_garbage(&self, now: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(self.evaluation_keys.collect_garbage(now))
    }

    fn refresh(&self) -> StoreFuture<'_, ()> {
        // Nonces have a file of their own.
        Box::pin(ready(Ok(())))
    }

    fn is_spent<'s>(&'s self, key_id: &'s [u8; 32], nonce: &'s [u8; 32]) -> StoreFuture<'s, bool> {
        Box::pin(self.nonces.is_spent(key_id, nonce))
    }

    fn spend<'s>(
        &'s self,
        key_id: &'s [u8; 32],
        nonce: &'s [u8; 32],
        _: Timestamp,
    ) -> StoreFuture<'s, Spending> {
        // Nonces are forgotten with their issuer key, see `retain_nonces`.
        Box::pin(self.nonces.spend(key_id, nonce))
    }

    fn retain_nonces(&self, key_ids: &[[u8; 32]]) -> StoreFuture<'_, ()> {
        Box::pin(self.nonces.retain(key_ids))
    }

    fn count_issuance<'s>(
        &'s self,
        user_token: &'s [u8],
        limit: IssuanceLimit,
        now: Timestamp,
    ) -> StoreFuture<'s, Issuance> {
        let user = self.evaluation_keys.user(user_token);
        Box::pin(ready(Ok(self.issuance.count(user, limit, now))))
    }

    fn issuer_keys(&self, tier: Tier, rotation: Rotation) -> StoreFuture<'_, Option<KeySet>> {
        let path = self.directory.join(issuer_file(tier));
        Box::pin(blocking(move || {
            let parse = |text: &[u8]| KeySet::from_json(text, rotation);
            read_keys(&path, StateFile::IssuerKeys, parse)
        }))
    }

    fn lease(&self) -> StoreFuture<'_, Option<Lease>> {
        // The databases are locked by this process: there is no other node.
        Box::pin(ready(Ok(Some(Lease::of(String::new())))))
    }

    fn put_issuer_keys<'s>(
        &'s self,
        tier: Tier,
        keys: &'s KeySet,
        _: &'s Lease,
    ) -> StoreFuture<'s, ()> {
        let path = self.directory.join(issuer_file(tier));
        let text = keys.to_json();
        Box::pin(blocking(move || Ok(key_file::write(&path, &text?)?)))
    }

    fn gateway_keys(&self) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
        let path = self.directory.join(GATEWAY_FILE);
        Box::pin(blocking(move || {
            // Who asks for the keys reads what the text means.
            let parse = |text: &[u8]| {
                serde_json::from_slice::<IgnoredAny>(text).map(|_| Zeroizing::new(text.to_vec()))
            };
            read_keys(&path, StateFile::GatewayKeys, parse)
        }))
    }

    fn put_gateway_keys<'s>(&'s self, text: &'s [u8], _: &'s Lease) -> StoreFuture<'s, ()> {
        let path = self.directory.join(GATEWAY_FILE);
        let text = Zeroizing::new(text.to_vec());
        Box::pin(blocking(move || Ok(key_file::write(&path, &text)?)))
    }

    fn release(&self, _: Lease) -> StoreFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn statistics(&self) -> StoreStatistics {
        let (evaluation_keys, evaluation_key_bytes) = self.evaluation_keys.statistics();
        StoreStatistics {
            evaluation_keys,
            evaluation_key_bytes,
            nonces: self.nonces.count(),
            ..StoreStatistics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::key_file::MAX_KEY_FILE;
    use super::*;
    use durable_file::Access;

    fn store() -> (tempfile::TempDir, EmbeddedStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&StoreSettings::in_folder(folder.path())).unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn issuer_keys_survive_a_restart() {
        let (folder, store) = store();
        let lease = store.lease().await.unwrap().unwrap();
        let rotation = Rotation::default();
        assert!(store.issuer_keys(Tier::Tier1, rotation).await.unwrap().is_none());
        let keys = KeySet::create(rotation, Timestamp::MIN).unwrap();
        store.put_issuer_keys(Tier::Tier1, &keys, &lease).await.unwrap();
        let loaded = store.issuer_keys(Tier::Tier1, rotation).await.unwrap().unwrap();
        assert!(loaded.key_ids().eq(keys.key_ids()));

        // A damaged file is reported and left as it is.
        let path = folder.path().join("issuer-tier1.json");
        let good = fs::read(&path).unwrap();
        let version =
            String::from_utf8(good.clone()).unwrap().replace("\"version\":1", "\"version\":2");
        for damaged in [b"".to_vec(), good[..good.len() / 2].to_vec(), version.into_bytes()] {
            fs::write(&path, &damaged).unwrap();
            let error = store.issuer_keys(Tier::Tier1, rotation).await.err().unwrap();
            assert!(matches!(error, StoreError::Damaged { file: StateFile::IssuerKeys, .. }));
            assert!(error.to_string().contains("Restore it from a backup"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }

    #[tokio::test]
    async fn the_length_of_key_files_is_limited() {
        let (folder, store) = store();
        let lease = store.lease().await.unwrap().unwrap();
        let keys = KeySet::create(Rotation::default(), Timestamp::MIN).unwrap();
        store.put_issuer_keys(Tier::Tier1, &keys, &lease).await.unwrap();
        let path = folder.path().join("issuer-tier1.json");
        let text = keys.to_json().unwrap();
        for (length, accepted) in
            [(MAX_KEY_FILE - 1, true), (MAX_KEY_FILE, true), (MAX_KEY_FILE + 1, false)]
        {
            let mut padded = text.to_vec();
            padded.resize(usize::try_from(length).unwrap(), b' ');
            durable_file::write(&path, Access::Owner, &padded).unwrap();
            let read = store.issuer_keys(Tier::Tier1, Rotation::default()).await;
            assert_eq!(read.is_ok(), accepted, "{length}");
            let Err(error) = read else { continue };
            assert!(
                matches!(error, StoreError::Damaged { damage: Damage::TooLong, .. }),
                "{error}"
            );
        }
    }

    /// Each part of the keys has its own error: a failure of gateway keys is not one of issuer keys.
    #[tokio::test]
    async fn errors_name_the_file() {
        let (folder, store) = store();
        let lease = store.lease().await.unwrap().unwrap();
        create_private(&folder.path().join(GATEWAY_FILE)).unwrap();
        for error in [
            store.gateway_keys().await.err().unwrap(),
            store.put_gateway_keys(b"{}", &lease).await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::File(_)), "{error}");
            assert!(error.to_string().contains(GATEWAY_FILE), "{error}");
            assert!(std::error::Error::source(&error).is_some());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn issuer_keys_that_others_can_read_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, store) = store();
        let path = folder.path().join("issuer-tier2.json");
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = store.issuer_keys(Tier::Tier2, Rotation::default()).await.err().unwrap();
        assert!(Report::new(&error).to_string().contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = store.issuer_keys(Tier::Tier2, Rotation::default()).await.err().unwrap();
        assert!(error.to_string().contains("--discard issuer-keys"), "{error}");
    }
}
