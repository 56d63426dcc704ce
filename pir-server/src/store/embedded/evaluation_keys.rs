//! The database of evaluation keys: half a megabyte each, in pieces that fill the pages of the database.

use super::super::{Damage, KeyId, StoreError, StoredKey, issuance};
use super::StateFile;
use super::database::File;
use super::writer::{Writer, not_committed};
use crate::blocking::blocking;
use crate::configuration::StoreSettings;
use error_reporter::Report;
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};
use unix_clock::Timestamp;

pub(super) const FILE: &str = "evaluation-keys.redb";

/// A key's row in the table `about`.
#[derive(Clone, Copy)]
struct About {
    timestamp: u64,
    length: u64,
    used_day: u32,
    digest: [u8; 32],
}

/// Timestamp in Unix seconds, length in bytes, day of last use (since 1970), SHA-256 of the key.
type AboutRow = (u64, u64, u32, [u8; 32]);
const ABOUT: TableDefinition<'_, [u8; 32], AboutRow> = TableDefinition::new("about");
const PIECES: TableDefinition<'_, ([u8; 32], u32), &[u8]> = TableDefinition::new("pieces");
/// Day of last use, then the key's id: in the order in which keys are removed.
const BY_USE: TableDefinition<'_, (u32, [u8; 32]), ()> = TableDefinition::new("by use");
const SETTINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("settings");
const SALT: &str = "salt";
/// Length of a piece, in bytes. With its row it takes a page of 64 KiB; redb rounds pages up to powers of two.
const PIECE: usize = (64 << 10) - 256;
/// Page cache of the database, in bytes.
const CACHE_BYTES: usize = 64 << 20;
/// Largest number of keys in one commit.
const MAX_BATCH: usize = 32;
/// Largest number of uploads that wait for a commit.
const MAX_WAITING: usize = 256;
const DAY_SECONDS: u64 = 86_400;

impl From<AboutRow> for About {
    fn from((timestamp, length, used_day, digest): AboutRow) -> Self {
        Self { timestamp, length, used_day, digest }
    }
}

impl About {
    fn row(self) -> AboutRow {
        (self.timestamp, self.length, self.used_day, self.digest)
    }
}

enum Job {
    Put {
        id: KeyId,
        key: StoredKey,
        day: u32,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    Touch {
        id: KeyId,
        day: u32,
    },
    Collect {
        day: u32,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Wakes the thread so that it finds that it must end.
    Wake,
}

#[derive(Default)]
struct Totals {
    keys: AtomicU64,
    bytes: AtomicU64,
}

impl Totals {
    /// Adds the changes of a committed transaction. The writing thread is the only caller.
    fn apply(&self, change: Change) {
        let add = |total: &AtomicU64, change: i64| {
            total.store(
                total.load(Ordering::Relaxed).saturating_add_signed(change),
                Ordering::Relaxed,
            );
        };
        add(&self.keys, change.keys);
        add(&self.bytes, change.bytes);
    }
}

/// How a transaction changes the totals.
#[derive(Clone, Copy, Default)]
struct Change {
    keys: i64,
    bytes: i64,
}

pub(super) struct EvaluationKeys {
    file: Arc<File>,
    jobs: mpsc::Sender<Job>,
    totals: Arc<Totals>,
    salt: [u8; 32],
    _writer: Writer,
}

fn day(now: Timestamp) -> u32 {
    u32::try_from(now.unix_seconds() / DAY_SECONDS).unwrap_or(u32::MAX)
}

impl EvaluationKeys {
    pub(super) fn open(directory: &Path, settings: &StoreSettings) -> Result<Self, StoreError> {
        let file =
            Arc::new(File::open(directory.join(FILE), StateFile::EvaluationKeys, CACHE_BYTES)?);
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(StoreError::unavailable)?;
        let (salt, keys, bytes) = file.write(|transaction| {
            let mut settings = transaction.open_table(SETTINGS)?;
            let stored = settings.get(SALT)?.map(|salt| salt.value().to_vec());
            let salt = match stored {
                Some(salt) => salt,
                None => {
                    settings.insert(SALT, &fresh[..])?;
                    fresh.to_vec()
                }
            };
            let (mut keys, mut bytes) = (0, 0);
            for row in transaction.open_table(ABOUT)?.iter()? {
                keys += 1;
                bytes += About::from(row?.1.value()).length;
            }
            transaction.open_table(PIECES)?;
            transaction.open_table(BY_USE)?;
            Ok((salt, keys, bytes))
        })?;
        // Another salt would hide every stored key.
        let salt: [u8; 32] = salt.try_into().map_err(|_| file.damaged(Damage::Content))?;
        let totals = Arc::new(Totals { keys: keys.into(), bytes: bytes.into() });
        let (jobs, receiver) = mpsc::channel(MAX_WAITING);
        let work = WriteKeys {
            file: Arc::clone(&file),
            totals: Arc::clone(&totals),
            max_bytes: settings.evaluation_key_bytes,
            days: u32::try_from(settings.evaluation_key_lifetime.as_secs() / DAY_SECONDS)
                .unwrap_or(u32::MAX),
        };
        let waker = jobs.clone();
        let writer = Writer::start(
            "evaluation-keys",
            move || drop(waker.try_send(Job::Wake)),
            move |closing| work.write_all(receiver, closing),
        )?;
        Ok(Self { file, jobs, totals, salt, _writer: writer })
    }

    pub(super) fn key_id(&self, user: &[u8], key_config_hash: &[u8; 32]) -> KeyId {
        KeyId::of(&self.salt, user, key_config_hash)
    }

    /// The name under which the tokens of a user are counted.
    pub(super) fn user(&self, user_token: &[u8]) -> [u8; 32] {
        issuance::user(&self.salt, user_token)
    }

    pub(super) fn statistics(&self) -> (u64, u64) {
        (self.totals.keys.load(Ordering::Relaxed), self.totals.bytes.load(Ordering::Relaxed))
    }

    pub(super) fn put(
        &self,
        id: KeyId,
        key: StoredKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (jobs, (done, is_done)) = (self.jobs.clone(), oneshot::channel());
        async move {
            let job = Job::Put { id, key, day: day(now), done };
            jobs.send(job).await.map_err(|_| not_committed())?;
            is_done.await.map_err(|_| not_committed())?
        }
    }

    pub(super) fn touch(&self, id: KeyId, now: Timestamp) {
        // When the queue is full, the record is dropped: the use of another day is as good.
        drop(self.jobs.try_send(Job::Touch { id, day: day(now) }));
    }

    pub(super) fn collect_garbage(
        &self,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (jobs, (done, is_done)) = (self.jobs.clone(), oneshot::channel());
        async move {
            jobs.send(Job::Collect { day: day(now), done }).await.map_err(|_| not_committed())?;
            is_done.await.map_err(|_| not_committed())?
        }
    }

    /// Runs a read on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = Arc::clone(&self.file);
        blocking(move || work(&file)).await
    }

    pub(super) async fn timestamp(&self, id: KeyId) -> Result<Option<u64>, StoreError> {
        self.read(move |file| {
            file.read(|transaction| {
                let about = transaction.open_table(ABOUT)?.get(id.as_bytes())?;
                Ok(about.map(|about| About::from(about.value()).timestamp))
            })
        })
        .await
    }

    pub(super) async fn get(&self, id: KeyId) -> Result<Option<StoredKey>, StoreError> {
        self.read(move |file| file.read(|transaction| read(transaction, id))).await
    }
}

fn read(transaction: &redb::ReadTransaction, id: KeyId) -> Result<Option<StoredKey>, redb::Error> {
    let Some(about) = transaction.open_table(ABOUT)?.get(id.as_bytes())? else { return Ok(None) };
    let about = About::from(about.value());
    let mut bytes = Vec::new();
    for piece in
        transaction.open_table(PIECES)?.range((*id.as_bytes(), 0)..=(*id.as_bytes(), u32::MAX))?
    {
        bytes.extend_from_slice(piece?.1.value());
    }
    let whole = Sha256::digest(&bytes)[..] == about.digest;
    Ok(whole.then_some(StoredKey { timestamp: about.timestamp, bytes }))
}

struct WriteKeys {
    file: Arc<File>,
    totals: Arc<Totals>,
    max_bytes: u64,
    days: u32,
}

impl WriteKeys {
    fn write_all(&self, mut jobs: mpsc::Receiver<Job>, closing: &AtomicBool) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut was_ahead = false;
        while !closing.load(Ordering::Acquire) && jobs.blocking_recv_many(&mut batch, MAX_BATCH) > 0
        {
            let mut waiting = Vec::new();
            let mut change = Change::default();
            let outcome = self.file.write(|transaction| {
                for job in batch.drain(..) {
                    match job {
                        Job::Put { id, key, day, done } => {
                            waiting.push(done);
                            change = change + remove(transaction, id)?;
                            self.evict(transaction, key.bytes.len() as u64, &mut change)?;
                            change = change + insert(transaction, id, &key, day)?;
                        }
                        Job::Touch { id, day } => touch(transaction, id, day)?,
                        Job::Wake => {}
                        Job::Collect { day, done } => {
                            waiting.push(done);
                            let oldest = day.saturating_sub(self.days);
                            while let Some((used, id)) = first_by_use(transaction)? {
                                if used >= oldest {
                                    break;
                                }
                                change = change + remove(transaction, id)?;
                            }
                            was_ahead = correct_days_to_come(transaction, day, was_ahead)?;
                        }
                    }
                }
                Ok(())
            });
            batch.clear();
            match &outcome {
                Ok(()) => self.totals.apply(change),
                Err(error) => {
                    tracing::error!(error = %Report::new(error), "evaluation keys cannot be written");
                }
            }
            for done in waiting {
                drop(done.send(outcome.clone()));
            }
        }
    }

    /// Removes the least recently used keys until `bytes` more fit.
    fn evict(
        &self,
        transaction: &WriteTransaction,
        bytes: u64,
        change: &mut Change,
    ) -> Result<(), redb::Error> {
        let total = self.totals.bytes.load(Ordering::Relaxed);
        while total.saturating_add_signed(change.bytes) + bytes > self.max_bytes {
            let Some((_, id)) = first_by_use(transaction)? else { break };
            *change = *change + remove(transaction, id)?;
        }
        Ok(())
    }
}

impl std::ops::Add for Change {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { keys: self.keys + other.keys, bytes: self.bytes + other.bytes }
    }
}

fn first_by_use(transaction: &WriteTransaction) -> Result<Option<(u32, KeyId)>, redb::Error> {
    let table = transaction.open_table(BY_USE)?;
    let first = table.first()?.map(|(key, _)| key.value());
    Ok(first.map(|(day, id)| (day, KeyId::new(id))))
}

/// Keys that were used later than on a day after this one were used while the clock was ahead. If there were some at the last
/// collection already, they count as used on this day from now on. At the first one after a start it may be this day that is
/// wrong, on a machine that has not asked for the time yet. Returns whether there are some.
fn correct_days_to_come(
    transaction: &WriteTransaction,
    day: u32,
    was_ahead: bool,
) -> Result<bool, redb::Error> {
    let from = (day.saturating_add(2), [0; 32]);
    let mut ahead = Vec::new();
    for row in transaction.open_table(BY_USE)?.range(from..)? {
        ahead.push(row?.0.value());
        if !was_ahead {
            return Ok(true);
        }
    }
    let mut table = transaction.open_table(ABOUT)?;
    let mut by_use = transaction.open_table(BY_USE)?;
    for &(used, id) in &ahead {
        let about = table.get(id)?.map(|about| About::from(about.value()));
        by_use.remove((used, id))?;
        if let Some(about) = about {
            by_use.insert((day, id), ())?;
            table.insert(id, About { used_day: day, ..about }.row())?;
        }
    }
    Ok(!ahead.is_empty())
}

fn insert(
    transaction: &WriteTransaction,
    id: KeyId,
    key: &StoredKey,
    day: u32,
) -> Result<Change, redb::Error> {
    let about = About {
        timestamp: key.timestamp,
        length: key.bytes.len() as u64,
        used_day: day,
        digest: Sha256::digest(&key.bytes).into(),
    };
    transaction.open_table(ABOUT)?.insert(*id.as_bytes(), about.row())?;
    transaction.open_table(BY_USE)?.insert((day, *id.as_bytes()), ())?;
    let mut pieces = transaction.open_table(PIECES)?;
    for (number, piece) in (0..).zip(key.bytes.chunks(PIECE)) {
        pieces.insert((*id.as_bytes(), number), piece)?;
    }
    Ok(Change { keys: 1, bytes: key.bytes.len() as i64 })
}

fn remove(transaction: &WriteTransaction, id: KeyId) -> Result<Change, redb::Error> {
    let mut table = transaction.open_table(ABOUT)?;
    let Some(about) = table.remove(id.as_bytes())?.map(|about| About::from(about.value())) else {
        return Ok(Change::default());
    };
    transaction.open_table(BY_USE)?.remove((about.used_day, *id.as_bytes()))?;
    let mut pieces = transaction.open_table(PIECES)?;
    for number in 0..about.length.div_ceil(PIECE as u64) {
        pieces.remove((*id.as_bytes(), number as u32))?;
    }
    Ok(Change { keys: -1, bytes: -(about.length as i64) })
}

fn touch(transaction: &WriteTransaction, id: KeyId, day: u32) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(ABOUT)?;
    let about = table.get(id.as_bytes())?.map(|about| About::from(about.value()));
    let Some(about) = about.filter(|about| about.used_day < day) else { return Ok(()) };
    let mut by_use = transaction.open_table(BY_USE)?;
    by_use.remove((about.used_day, *id.as_bytes()))?;
    by_use.insert((day, *id.as_bytes()), ())?;
    table.insert(*id.as_bytes(), About { used_day: day, ..about }.row())?;
    Ok(())
}
