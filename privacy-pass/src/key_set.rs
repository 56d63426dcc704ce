//! Keys that rotate.
//!
//! A key passes through four states: *upcoming* (published, not yet used), *signing*, *accepted* (its
//! successor signs, but tokens that clients hold stay valid), and *retired*. Clients that have not seen
//! the successor yet get tokens of the old key during the first part of its accepted time, as long as
//! such a token still expires before its key. Several keys live at once; no two share the byte by which
//! requests name them.

mod stored;

use crate::{DirectoryKey, Error, IssuerKey, PublicKey, Token, TokenRequest};
use std::sync::Arc;
use std::time::Duration;
use unix_clock::Timestamp;

/// Largest number of keys in a set after the clock was set back: a clock that jumps again and again must
/// not fill the set.
const MAX_KEYS_AFTER_CLOCK_STEP: usize = 8;

/// How long keys live. Make one from [`Rotation::default`] and change its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// How long a key signs. Default: 30 days.
    pub period: Duration,
    /// How long before it signs a key is published, so that clients and caches learn of it. Default: 2
    /// days.
    pub published_ahead: Duration,
    /// How long tokens are accepted after their key has stopped signing. Default: 8 days.
    pub overlap: Duration,
    /// How long clients keep tokens. It should be less than `overlap`: the difference is the time during
    /// which a superseded key still issues, and there is none otherwise. Default: 7 days, as devices keep
    /// them from iOS and macOS 27 on (one day before that).
    pub token_lifetime: Duration,
}

impl Default for Rotation {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            period: 30 * DAY,
            published_ahead: 2 * DAY,
            overlap: 8 * DAY,
            token_lifetime: 7 * DAY,
        }
    }
}

/// The stored form of a key set cannot be read. Nothing of it is in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// It is not JSON of the expected form.
    #[error("not the JSON of a key set (line {line}, column {column})")]
    Json {
        /// Line of the first mistake, from 1.
        line: usize,
        /// Column of the first mistake in bytes, from 1; 0 if the text ends there.
        column: usize,
    },
    /// It was written by another version of this crate.
    #[error("version {0} of the format; this release reads version 1")]
    Version(u32),
    /// It has no keys, or more than a set can have.
    #[error("{found} keys; 1 to {max} are expected")]
    KeyCount {
        /// Number of keys that were found.
        found: usize,
        /// Largest number of keys.
        max: usize,
    },
    /// A key is not a 2048-bit RSA key in PKCS #8, base64.
    #[error("key {index} is not a 2048-bit RSA key in PKCS #8 and base64")]
    Key {
        /// Position of the key, from 0.
        index: usize,
    },
    /// A key does not begin later than the key before it.
    #[error("key {index} does not begin later than the key before it")]
    Order {
        /// Position of the key, from 0.
        index: usize,
    },
}

#[derive(Clone)]
struct Entry {
    key: Arc<IssuerKey>,
    not_before: Timestamp,
}

/// The keys of one issuer, oldest first. Clones share the keys themselves.
///
/// ```
/// use privacy_pass::{KeySet, PendingToken, Rotation, TokenChallenge};
/// use std::time::Duration;
/// use unix_clock::Timestamp;
///
/// let start = Timestamp::from_unix_seconds(1_800_000_000);
/// let mut keys = KeySet::create(Rotation::default(), start)?;
///
/// // Two days before the next key signs, it is published.
/// let later = start + Duration::from_secs(28 * 86_400);
/// assert!(keys.is_due(later));
/// keys.maintain(later)?;
/// assert_eq!(keys.directory_keys(later).len(), 2);
/// // Store the set before the new key is published.
/// let text = keys.to_json()?;
/// # assert!(KeySet::from_json(&text, Rotation::default()).is_ok());
/// # Ok::<(), privacy_pass::Error>(())
/// ```
#[derive(Clone)]
pub struct KeySet {
    entries: Vec<Entry>,
    rotation: Rotation,
}

/// What [`KeySet::maintain`] changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintenance {
    /// Ids of new keys.
    pub drawn: Vec<[u8; 32]>,
    /// Ids of keys that are gone: nonces of their tokens may be forgotten.
    pub retired: Vec<[u8; 32]>,
}

impl Maintenance {
    /// Whether the set changed. If it did, it must be stored before it is used.
    #[must_use]
    pub fn is_change(&self) -> bool {
        !self.drawn.is_empty() || !self.retired.is_empty()
    }
}

impl KeySet {
    /// Makes a set with one key, which signs from `now` on. Takes about a second.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn create(rotation: Rotation, now: Timestamp) -> Result<Self, Error> {
        Self::create_avoiding(rotation, now, &[])
    }

    /// As [`KeySet::create`], for an issuer with several sets: the new key has none of the truncated ids
    /// in `taken` (see [`KeySet::truncated_ids`]). Requests name keys by that byte alone.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn create_avoiding(
        rotation: Rotation,
        now: Timestamp,
        taken: &[u8],
    ) -> Result<Self, Error> {
        let mut set = Self { entries: Vec::new(), rotation };
        let key = set.draw(taken)?;
        set.entries.push(Entry { key, not_before: now });
        Ok(set)
    }

    /// The truncated ids of all keys.
    pub fn truncated_ids(&self) -> impl Iterator<Item = u8> {
        self.entries.iter().map(|entry| entry.key.public().truncated_id())
    }

    /// The rotation that the set was made or read with.
    #[must_use]
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// The last time at which tokens of a key may be accepted, whatever its successor does.
    fn last_accepted_at(&self, index: usize) -> Timestamp {
        let Rotation { period, published_ahead, overlap, .. } = self.rotation;
        self.entries[index].not_before + period + published_ahead + published_ahead + overlap
    }

    /// When a key stops being accepted: `overlap` after its successor began to sign.
    fn retired_at(&self, index: usize) -> Timestamp {
        let next = self.entries.get(index + 1);
        let regular = next.map_or(Timestamp::MAX, |next| next.not_before + self.rotation.overlap);
        regular.min(self.last_accepted_at(index))
    }

    /// Until when nonces of a key's tokens must be remembered; `None` if the key is not in the set.
    #[must_use]
    pub fn remembered_until(&self, id: &[u8; 32]) -> Option<Timestamp> {
        let index = self.entries.iter().position(|entry| entry.key.public().id() == id)?;
        Some(self.last_accepted_at(index))
    }

    /// Whether [`KeySet::maintain`] would change the set.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        let Rotation { period, published_ahead, .. } = self.rotation;
        let is_next_due = self
            .entries
            .last()
            .is_some_and(|last| last.not_before + period - published_ahead <= now);
        is_next_due || self.is_oldest_retired(now) || self.has_no_signing_key(now)
    }

    /// Whether every key is retired or upcoming, as after the clock was set back: no token could be
    /// issued.
    fn has_no_signing_key(&self, now: Timestamp) -> bool {
        self.signing_key(now).is_none()
    }

    /// Whether the oldest key is retired. The only key of a set never is.
    fn is_oldest_retired(&self, now: Timestamp) -> bool {
        self.entries.len() > 1 && self.retired_at(0) <= now
    }

    /// Draws the next key when it is time to publish it, and drops retired keys. If no key signs because
    /// the clock was set back, draws one that signs at once. Call it every few minutes, and store the set
    /// if it changed before anyone sees the new key. Drawing takes about a second.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn maintain(&mut self, now: Timestamp) -> Result<Maintenance, Error> {
        self.maintain_avoiding(now, &[])
    }

    /// As [`KeySet::maintain`], for an issuer with several sets: see [`KeySet::create_avoiding`].
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn maintain_avoiding(
        &mut self,
        now: Timestamp,
        taken: &[u8],
    ) -> Result<Maintenance, Error> {
        let mut done = Maintenance::default();
        let Rotation { period, published_ahead, .. } = self.rotation;
        if let Some(last) = self.entries.last() {
            let next = last.not_before + period;
            if next - published_ahead <= now {
                // If this process slept past the time, clients still get their notice, unless it slept
                // so long that the earlier key may be retired before the notice ends.
                let is_late = now > next + published_ahead;
                let notice = if is_late { Duration::ZERO } else { published_ahead };
                let after_last = last.not_before + Duration::from_secs(1);
                let not_before = next.max(now + notice).max(after_last);
                let key = self.draw(taken)?;
                done.drawn.push(*key.public().id());
                self.entries.push(Entry { key, not_before });
            }
        }
        if self.has_no_signing_key(now) {
            let key = self.draw(taken)?;
            done.drawn.push(*key.public().id());
            let index = self.entries.partition_point(|entry| entry.not_before < now);
            self.entries.insert(index, Entry { key, not_before: now });
            let kept = self.entries.len().min(MAX_KEYS_AFTER_CLOCK_STEP);
            done.retired.extend(self.entries.drain(kept..).map(|entry| *entry.key.public().id()));
        }
        while self.is_oldest_retired(now) {
            done.retired.push(*self.entries.remove(0).key.public().id());
        }
        Ok(done)
    }

    /// The ids of all keys.
    pub fn key_ids(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.entries.iter().map(|entry| entry.key.public().id())
    }

    /// Draws a key whose truncated id is free.
    fn draw(&self, taken: &[u8]) -> Result<Arc<IssuerKey>, Error> {
        loop {
            let key = IssuerKey::generate()?;
            let truncated_id = key.public().truncated_id();
            let is_free = self.truncated_ids().all(|id| id != truncated_id);
            if is_free && !taken.contains(&truncated_id) {
                return Ok(Arc::new(key));
            }
        }
    }

    /// The key that signs; `None` only between a step of the clock and the next
    /// [`KeySet::maintain`].
    #[must_use]
    pub fn signing_key(&self, now: Timestamp) -> Option<&IssuerKey> {
        let index = (0..self.entries.len()).rev().find(|&index| self.is_accepted(index, now))?;
        Some(&self.entries[index].key)
    }

    fn is_accepted(&self, index: usize, now: Timestamp) -> bool {
        self.entries[index].not_before <= now && now < self.retired_at(index)
    }

    /// The keys whose tokens are accepted, the signing key among them.
    pub fn accepted_keys(&self, now: Timestamp) -> impl Iterator<Item = &PublicKey> {
        (0..self.entries.len())
            .filter(move |&index| self.is_accepted(index, now))
            .map(|index| self.entries[index].key.public())
    }

    /// Whether tokens of a key are still issued: no token may outlive its key.
    fn is_issued(&self, index: usize, now: Timestamp) -> bool {
        let Some(next) = self.entries.get(index + 1) else { return true };
        let grace = self.rotation.overlap.saturating_sub(self.rotation.token_lifetime);
        now < next.not_before + grace
    }

    /// Signs a request blindly, with the key that it names. Takes milliseconds.
    ///
    /// # Errors
    /// [`Error::OtherKey`] if the set has no such key or does not issue its tokens at this time;
    /// otherwise as [`IssuerKey::issue`].
    pub fn issue(&self, request: &TokenRequest, now: Timestamp) -> Result<Vec<u8>, Error> {
        let index = (0..self.entries.len()).rev().find(|&index| {
            self.entries[index].key.public().truncated_id() == request.truncated_key_id()
                && self.is_accepted(index, now)
                && self.is_issued(index, now)
        });
        Ok(self.entries[index.ok_or(Error::OtherKey)?].key.issue(request)?.to_vec())
    }

    /// Verifies a token of an accepted key. The caller must check that its nonce is new.
    ///
    /// # Errors
    /// [`Error::OtherKey`] if its key is not accepted at this time, [`Error::Signature`].
    pub fn verify(&self, token: &Token, now: Timestamp) -> Result<(), Error> {
        self.accepted_key(&token.key_id(), now).ok_or(Error::OtherKey)?.verify(token)
    }

    /// The key with this id, if its tokens are accepted.
    #[must_use]
    pub fn accepted_key(&self, id: &[u8; 32], now: Timestamp) -> Option<&PublicKey> {
        self.accepted_keys(now).find(|key| key.id() == id)
    }

    /// The entries of a directory: the signing key, then upcoming keys with their times.
    #[must_use]
    pub fn directory_keys(&self, now: Timestamp) -> Vec<DirectoryKey> {
        let signing = self.signing_key(now).map(|key| DirectoryKey::new(key.public(), None));
        let upcoming = self.entries.iter().filter(|entry| entry.not_before > now);
        let upcoming =
            upcoming.map(|entry| DirectoryKey::new(entry.key.public(), Some(entry.not_before)));
        signing.into_iter().chain(upcoming).collect()
    }
}
