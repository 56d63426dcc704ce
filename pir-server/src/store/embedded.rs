//! State in a folder: two databases (redb) and one file of issuer keys a tier.
//!
//! The parts stand alone, so that one that is damaged can be discarded without the others. Writes go
//! through one thread a database, which commits what has come together (one `fsync` for many).

mod database;
mod evaluation_keys;
mod nonces;
mod writer;

use super::{KeySlot, Lease, Spending, Store, StoreError, StoreFuture, StoreStatistics, StoredKey};
use crate::configuration::{StoreSettings, Tier};
use durable_file::{Access, FileError};
use evaluation_keys::EvaluationKeys;
use nonces::Nonces;
use privacy_pass::{KeySet, Rotation};
use std::fs;
use std::future::ready;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A part of the state that can be discarded when it is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Evaluation keys.
    EvaluationKeys,
    /// Spent nonces.
    Nonces,
    /// Issuer keys.
    IssuerKeys,
}

impl Part {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::EvaluationKeys => "evaluation-keys",
            Self::Nonces => "nonces",
            Self::IssuerKeys => "issuer-keys",
        }
    }

    /// What discarding it means.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::EvaluationKeys => "devices upload their keys again, and nothing else is lost",
            Self::Nonces | Self::IssuerKeys => {
                "new issuer keys are drawn, so that no token can be spent twice; devices fetch new \
                 tokens, and evaluation keys stay"
            }
        }
    }

    /// The part of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::EvaluationKeys, Self::Nonces, Self::IssuerKeys];
        all.into_iter().find(|part| part.name() == name)
    }

    fn files(self) -> Vec<String> {
        let issuer = Tier::ALL.into_iter().map(issuer_file);
        match self {
            Self::EvaluationKeys => vec![evaluation_keys::FILE.to_owned()],
            // Without the nonces, tokens of the keys could be spent again; without the keys, nonces
            // mean nothing.
            Self::Nonces | Self::IssuerKeys => issuer.chain([nonces::FILE.to_owned()]).collect(),
        }
    }
}

fn issuer_file(tier: Tier) -> String {
    format!("issuer-{}.json", tier.name())
}

/// Keys of the gateway. If they are lost, new ones are drawn, and relays fetch them.
const GATEWAY_FILE: &str = "gateway.json";

/// State in a folder.
pub struct EmbeddedStore {
    directory: PathBuf,
    evaluation_keys: EvaluationKeys,
    nonces: Nonces,
}

fn unavailable(path: &Path, error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Runs what may block for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let task = tokio::task::spawn_blocking(work);
    task.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
}

/// Longest file of issuer keys, in bytes.
const MAX_ISSUER_FILE: u64 = 1 << 20;

/// The keys of a file; `None` if it does not exist. A file that cannot be read is an error, never a reason
/// to draw new keys.
fn load_issuer_keys(path: &Path, rotation: Rotation) -> Result<Option<KeySet>, StoreError> {
    let damaged = |reason: String| StoreError::Damaged {
        path: path.to_owned(),
        reason,
        part: Part::IssuerKeys,
    };
    let text = match durable_file::read_private(path, MAX_ISSUER_FILE) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error @ FileError::TooLong { .. }) => return Err(damaged(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    KeySet::from_json(&text, rotation).map(Some).map_err(|error| damaged(error.to_string()))
}

fn create_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

impl EmbeddedStore {
    /// Opens a folder, or makes a new one. Every page of its databases is checked.
    pub fn open(settings: &StoreSettings) -> Result<Self, StoreError> {
        let directory = settings.directory.clone();
        create_private(&directory).map_err(|error| unavailable(&directory, error))?;
        let nonces = directory.join(nonces::FILE);
        let issues = Tier::ALL.into_iter().any(|tier| directory.join(issuer_file(tier)).exists());
        if issues && !nonces.exists() {
            // Every token would be good once more.
            let reason = "it is not there, but issuer keys are".to_owned();
            return Err(StoreError::Damaged { path: nonces, reason, part: Part::Nonces });
        }
        Ok(Self {
            evaluation_keys: EvaluationKeys::open(&directory, settings)?,
            nonces: Nonces::open(&directory)?,
            directory,
        })
    }

    /// Moves the files of a damaged part aside. Returns where they are now.
    pub fn discard(
        settings: &StoreSettings,
        part: Part,
        now: u64,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let mut moved = Vec::new();
        for name in part.files() {
            let path = settings.directory.join(&name);
            let aside = settings.directory.join(format!("{name}.discarded-{now}"));
            match fs::rename(&path, &aside) {
                Ok(()) => moved.push(aside),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unavailable(&path, error)),
            }
        }
        Ok(moved)
    }
}

impl Store for EmbeddedStore {
    fn slot(&self, user: &[u8], key_config_hash: &[u8; 32]) -> KeySlot {
        self.evaluation_keys.slot(user, key_config_hash)
    }

    fn put_evaluation_key(&self, slot: KeySlot, key: StoredKey, now: u64) -> StoreFuture<'_, ()> {
        Box::pin(self.evaluation_keys.put(slot, key, now))
    }

    fn evaluation_key(&self, slot: KeySlot) -> StoreFuture<'_, Option<StoredKey>> {
        Box::pin(self.evaluation_keys.get(slot))
    }

    fn evaluation_key_timestamp(&self, slot: KeySlot) -> StoreFuture<'_, Option<u64>> {
        Box::pin(self.evaluation_keys.timestamp(slot))
    }

    fn touch_evaluation_key(&self, slot: KeySlot, now: u64) {
        self.evaluation_keys.touch(slot, now);
    }

    fn collect_garbage(&self, now: u64) -> StoreFuture<'_, ()> {
        Box::pin(self.evaluation_keys.collect_garbage(now))
    }

    fn spend<'s>(
        &'s self,
        key_id: &'s [u8; 32],
        nonce: &'s [u8; 32],
        _: u64,
    ) -> StoreFuture<'s, Spending> {
        // Forgotten with their key, see `retain_nonces`.
        Box::pin(self.nonces.spend(key_id, nonce))
    }

    fn retain_nonces(&self, key_ids: &[[u8; 32]]) -> StoreFuture<'_, ()> {
        Box::pin(self.nonces.retain(key_ids))
    }

    fn issuer_keys(&self, tier: Tier, rotation: Rotation) -> StoreFuture<'_, Option<KeySet>> {
        let path = self.directory.join(issuer_file(tier));
        Box::pin(blocking(move || load_issuer_keys(&path, rotation)))
    }

    fn lease(&self) -> StoreFuture<'_, Option<Lease>> {
        // The databases are locked: there is no other node.
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
        Box::pin(blocking(move || Ok(durable_file::write(&path, Access::Owner, &text?)?)))
    }

    fn gateway_keys(&self) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
        let path = self.directory.join(GATEWAY_FILE);
        Box::pin(blocking(move || match fs::read(&path) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(&path, error)),
        }))
    }

    fn put_gateway_keys<'s>(&'s self, text: &'s [u8], _: &'s Lease) -> StoreFuture<'s, ()> {
        let path = self.directory.join(GATEWAY_FILE);
        let text = Zeroizing::new(text.to_vec());
        Box::pin(blocking(move || Ok(durable_file::write(&path, Access::Owner, &text)?)))
    }

    fn release(&self, _: Lease) -> StoreFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn statistics(&self) -> StoreStatistics {
        let (evaluation_keys, evaluation_key_bytes) = self.evaluation_keys.statistics();
        StoreStatistics { evaluation_keys, evaluation_key_bytes, nonces: self.nonces.count() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unix_clock::Timestamp;

    #[test]
    fn issuer_keys_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("issuer-default.json");
        let rotation = Rotation::default();
        assert!(load_issuer_keys(&path, rotation).unwrap().is_none());
        let keys = KeySet::create(rotation, Timestamp::MIN).unwrap();
        durable_file::write(&path, Access::Owner, &keys.to_json().unwrap()).unwrap();
        let loaded = load_issuer_keys(&path, rotation).unwrap().unwrap();
        assert!(loaded.key_ids().eq(keys.key_ids()));

        // A damaged file is reported and left as it is.
        let good = fs::read(&path).unwrap();
        let version =
            String::from_utf8(good.clone()).unwrap().replace("\"version\":1", "\"version\":2");
        for damaged in [b"".to_vec(), good[..good.len() / 2].to_vec(), version.into_bytes()] {
            fs::write(&path, &damaged).unwrap();
            let error = load_issuer_keys(&path, rotation).err().unwrap();
            assert!(matches!(error, StoreError::Damaged { part: Part::IssuerKeys, .. }));
            assert!(error.to_string().contains("Restore it from a backup"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }

    #[cfg(unix)]
    #[test]
    fn issuer_keys_that_others_can_read_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("issuer-default.json");
        let keys = KeySet::create(Rotation::default(), Timestamp::MIN).unwrap();
        durable_file::write(&path, Access::Owner, &keys.to_json().unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_issuer_keys(&path, Rotation::default()).err().unwrap();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
