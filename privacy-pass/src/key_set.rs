//! Keys that rotate, kept on disk.
//!
//! A key is *upcoming* until its time comes, then *signing* until the next one's time comes, then
//! *accepted* for a while, so that tokens that clients hold stay good, and then gone. Clients that
//! have not seen the new key yet get tokens of the old one for the part of that while that is longer
//! than a token's life: no token outlives its key. Several live at
//! once; no two of them share the byte that requests name them by. A restart finds the same keys: a
//! file that cannot be read is an error, never a reason to draw new ones.

use crate::{DirectoryKey, Error, IssuerKey, PublicKey, Token, TokenRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Most keys that live at once.
const MAX_KEYS: usize = 64;
/// Largest key file.
const MAX_FILE: u64 = 1 << 20;
const VERSION: u32 = 1;

/// How long keys live, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// How long a key signs.
    pub period: u64,
    /// How long before its time a key is published, so that clients and caches know it.
    pub ahead: u64,
    /// How long tokens are accepted after their key has stopped signing.
    pub overlap: u64,
    /// How long clients keep tokens; less than `overlap`.
    pub lifetime: u64,
}

impl Default for Rotation {
    /// A month, published two days ahead, accepted eight days longer: devices keep tokens for a week
    /// (from iOS and macOS 27 on; for a day before).
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self { period: 30 * DAY, ahead: 2 * DAY, overlap: 8 * DAY, lifetime: 7 * DAY }
    }
}

/// A key set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Others may read the keys.
    #[error("{path}: readable by others than its owner; run `chmod 600` on it")]
    Permissions {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged. Nothing was changed.
    #[error(
        "{path}: not a key file ({reason}); restore it from a backup, or move it away to begin \
             with new keys, which makes all tokens invalid"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// A key or a token was refused.
    #[error(transparent)]
    Token(#[from] Error),
}

/// Keys of a set at most, when the clock was set back.
const MOST_AHEAD: usize = 8;

struct Entry {
    key: IssuerKey,
    not_before: u64,
}

/// The keys of one issuer, oldest first.
pub struct KeySet {
    entries: Vec<Entry>,
    rotation: Rotation,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredSet {
    version: u32,
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredKey {
    not_before: u64,
    pkcs8: Zeroizing<String>,
}

/// What [`KeySet::maintain`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Ids of keys that were drawn.
    pub drawn: Vec<[u8; 32]>,
    /// Ids of keys that are gone: nonces of their tokens may be forgotten.
    pub retired: Vec<[u8; 32]>,
}

impl Maintenance {
    /// Whether the set changed, and must be saved before it is used.
    pub fn is_change(&self) -> bool {
        !self.drawn.is_empty() || !self.retired.is_empty()
    }
}

impl KeySet {
    /// A set with one key, which signs from now on.
    pub fn create(rotation: Rotation, now: u64) -> Result<Self, Error> {
        Self::create_beside(rotation, now, &[])
    }

    /// The same beside other sets of one issuer, of whose short names ([`KeySet::truncated_ids`])
    /// it takes none.
    pub fn create_beside(rotation: Rotation, now: u64, taken: &[u8]) -> Result<Self, Error> {
        let mut set = Self { entries: Vec::new(), rotation };
        let key = set.draw(taken)?;
        set.entries.push(Entry { key, not_before: now });
        Ok(set)
    }

    /// The short names of all keys.
    pub fn truncated_ids(&self) -> impl Iterator<Item = u8> {
        self.entries.iter().map(|entry| entry.key.public().truncated_id())
    }

    /// The set of a file; where there is none, a new set, which is written there.
    pub fn open(path: &Path, rotation: Rotation, now: u64) -> Result<Self, KeySetError> {
        match fs::symlink_metadata(path) {
            Ok(_) => Self::load(path, rotation),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let set = Self::create(rotation, now)?;
                set.save(path)?;
                Ok(set)
            }
            Err(source) => Err(KeySetError::Io { path: path.to_owned(), source }),
        }
    }

    /// How its keys rotate.
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// Reads a file, which nobody but its owner may be able to read.
    pub fn load(path: &Path, rotation: Rotation) -> Result<Self, KeySetError> {
        let io = |source| KeySetError::Io { path: path.to_owned(), source };
        let damaged = |reason| KeySetError::Damaged { path: path.to_owned(), reason };
        let about = fs::metadata(path).map_err(io)?;
        #[cfg(unix)]
        if std::os::unix::fs::MetadataExt::mode(&about) & 0o077 != 0 {
            return Err(KeySetError::Permissions { path: path.to_owned() });
        }
        if about.len() > MAX_FILE {
            return Err(damaged("too long"));
        }
        let text = Zeroizing::new(fs::read(path).map_err(io)?);
        Self::from_json(&text, rotation).map_err(damaged)
    }

    /// Reads what [`KeySet::to_json`] wrote. The error says what is wrong.
    pub fn from_json(text: &[u8], rotation: Rotation) -> Result<Self, &'static str> {
        let stored: StoredSet = serde_json::from_slice(text).map_err(|_| "not JSON")?;
        if stored.version != VERSION {
            return Err("another version");
        }
        if stored.keys.is_empty() || stored.keys.len() > MAX_KEYS {
            return Err("the number of keys");
        }
        let mut entries = Vec::with_capacity(stored.keys.len());
        for stored in stored.keys {
            let der = STANDARD.decode(stored.pkcs8.as_bytes()).map_err(|_| "a key")?;
            let der = Zeroizing::new(der);
            let key = IssuerKey::from_pkcs8(&der).map_err(|_| "a key")?;
            entries.push(Entry { key, not_before: stored.not_before });
        }
        if !entries.is_sorted_by(|a, b| a.not_before < b.not_before) {
            return Err("the order of keys");
        }
        Ok(Self { entries, rotation })
    }

    /// The private keys as text, for a store that keeps them from others.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let keys = self
            .entries
            .iter()
            .map(|entry| {
                let pkcs8 = Zeroizing::new(STANDARD.encode(&*entry.key.to_pkcs8()?));
                Ok(StoredKey { not_before: entry.not_before, pkcs8 })
            })
            .collect::<Result<_, Error>>()?;
        let text = serde_json::to_vec(&StoredSet { version: VERSION, keys });
        Ok(Zeroizing::new(text.map_err(|_| Error::Internal)?))
    }

    /// Writes the file, whole or not at all, for its owner alone.
    pub fn save(&self, path: &Path) -> Result<(), KeySetError> {
        write(path, &self.to_json()?)
    }

    /// The last moment at which a key could be accepted, whatever becomes of its successor: nonces of
    /// its tokens need not be remembered for longer.
    fn latest(&self, index: usize) -> u64 {
        let Rotation { period, ahead, overlap, .. } = self.rotation;
        let late = ahead.saturating_mul(2).saturating_add(overlap);
        self.entries[index].not_before.saturating_add(period).saturating_add(late)
    }

    /// When a key stops being accepted: a while after its successor began to sign.
    fn retires(&self, index: usize) -> u64 {
        let next = self.entries.get(index + 1);
        let regular = next.map(|next| next.not_before.saturating_add(self.rotation.overlap));
        regular.unwrap_or(u64::MAX).min(self.latest(index))
    }

    /// Until when nonces of a key's tokens must be remembered, if it is one of these.
    pub fn remembered_until(&self, id: &[u8; 32]) -> Option<u64> {
        let index = self.entries.iter().position(|entry| entry.key.public().id() == id)?;
        Some(self.latest(index))
    }

    /// Whether [`KeySet::maintain`] has something to do.
    pub fn is_due(&self, now: u64) -> bool {
        let Rotation { period, ahead, .. } = self.rotation;
        let last = self.entries.last();
        let draws = last.is_some_and(|last| {
            last.not_before.saturating_add(period).saturating_sub(ahead) <= now
        });
        draws || self.retires_first(now) || self.is_stranded(now)
    }

    /// Whether the time of each key is over or has not come, since the clock was set back: nobody could
    /// be given a token.
    fn is_stranded(&self, now: u64) -> bool {
        self.signing_key(now).is_none()
    }

    /// Whether the oldest key is gone; never the only one.
    fn retires_first(&self, now: u64) -> bool {
        self.entries.len() > 1 && self.retires(0) <= now
    }

    /// Draws the next key when it is time to publish it, and drops those that are no longer accepted.
    /// If the clock was set back to where there is no key, one is drawn for the time being.
    /// Call it every few minutes, and save the set if it changed before anyone sees the new key.
    pub fn maintain(&mut self, now: u64) -> Result<Maintenance, Error> {
        self.maintain_beside(now, &[])
    }

    /// The same beside other sets of one issuer, see [`KeySet::create_beside`].
    pub fn maintain_beside(&mut self, now: u64, taken: &[u8]) -> Result<Maintenance, Error> {
        let mut done = Maintenance::default();
        let Rotation { period, ahead, .. } = self.rotation;
        if let Some(last) = self.entries.last() {
            let next = last.not_before.saturating_add(period);
            if next.saturating_sub(ahead) <= now {
                // After a sleep the time may have passed; clients still get their notice, unless it
                // was so long that the earlier key may be gone before.
                let notice = if now > next.saturating_add(ahead) { 0 } else { ahead };
                let not_before = next.max(now.saturating_add(notice)).max(last.not_before + 1);
                let key = self.draw(taken)?;
                done.drawn.push(*key.public().id());
                self.entries.push(Entry { key, not_before });
            }
        }
        if self.is_stranded(now) {
            let key = self.draw(taken)?;
            done.drawn.push(*key.public().id());
            let index = self.entries.partition_point(|entry| entry.not_before < now);
            self.entries.insert(index, Entry { key, not_before: now });
            // A clock that jumps again and again must not fill the set.
            for entry in self.entries.drain(self.entries.len().min(MOST_AHEAD)..) {
                done.retired.push(*entry.key.public().id());
            }
        }
        while self.retires_first(now) {
            done.retired.push(*self.entries.remove(0).key.public().id());
        }
        Ok(done)
    }

    /// Ids of all keys.
    pub fn key_ids(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.entries.iter().map(|entry| entry.key.public().id())
    }

    /// A key whose short name is free.
    fn draw(&self, taken: &[u8]) -> Result<IssuerKey, Error> {
        loop {
            let key = IssuerKey::generate()?;
            let name = key.public().truncated_id();
            if !taken.contains(&name) && self.truncated_ids().all(|id| id != name) {
                return Ok(key);
            }
        }
    }

    /// The key that signs.
    pub fn signing_key(&self, now: u64) -> Option<&IssuerKey> {
        let ready = |index: &usize| self.is_accepted(*index, now);
        (0..self.entries.len()).rev().find(ready).map(|index| &self.entries[index].key)
    }

    fn is_accepted(&self, index: usize, now: u64) -> bool {
        self.entries[index].not_before <= now && now < self.retires(index)
    }

    /// The keys whose tokens are accepted.
    pub fn accepted_keys(&self, now: u64) -> impl Iterator<Item = &PublicKey> {
        (0..self.entries.len())
            .filter(move |&index| self.is_accepted(index, now))
            .map(|index| self.entries[index].key.public())
    }

    /// Whether tokens of a key are still issued: not when they would outlive it.
    fn is_issued(&self, index: usize, now: u64) -> bool {
        let Some(next) = self.entries.get(index + 1) else { return true };
        let grace = self.rotation.overlap.saturating_sub(self.rotation.lifetime);
        now < next.not_before.saturating_add(grace)
    }

    /// Answers a request for a token of a key whose tokens are issued.
    pub fn issue(&self, request: &TokenRequest, now: u64) -> Result<Vec<u8>, Error> {
        let index = (0..self.entries.len()).rev().find(|&index| {
            self.entries[index].key.public().truncated_id() == request.truncated_key_id()
                && self.is_accepted(index, now)
                && self.is_issued(index, now)
        });
        Ok(self.entries[index.ok_or(Error::OtherKey)?].key.issue(request)?.to_vec())
    }

    /// Verifies a token of an accepted key. Whether its nonce was seen before is for the caller.
    pub fn verify(&self, token: &Token, now: u64) -> Result<(), Error> {
        self.accepted_key(&token.key_id(), now).ok_or(Error::OtherKey)?.verify(token)
    }

    /// The key of that id, if its tokens are accepted.
    pub fn accepted_key(&self, id: &[u8; 32], now: u64) -> Option<&PublicKey> {
        self.accepted_keys(now).find(|key| key.id() == id)
    }

    /// The entries of a directory: the signing key first, then those whose time has not come.
    pub fn directory_keys(&self, now: u64) -> Vec<DirectoryKey> {
        let signing = self.signing_key(now).map(|key| DirectoryKey::new(key.public(), None));
        let upcoming = self.entries.iter().filter(|entry| entry.not_before > now);
        let upcoming =
            upcoming.map(|entry| DirectoryKey::new(entry.key.public(), Some(entry.not_before)));
        signing.into_iter().chain(upcoming).collect()
    }
}

/// Writes what [`KeySet::to_json`] gave, whole or not at all, for the file's owner alone.
pub fn write(path: &Path, text: &[u8]) -> Result<(), KeySetError> {
    let io = |source| KeySetError::Io { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Temporary files are made for their owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(text).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    #[cfg(unix)]
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(())
}
