//! Evaluation keys: half a megabyte each, in pieces that fill the pages of the database.

use super::super::{KeySlot, StoreError, StoredKey};
use super::Part;
use super::database::File;
use super::writer::Writer;
use crate::configuration::StoreSettings;
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

pub(super) const FILE: &str = "evaluation-keys.redb";
/// What is known of a key.
#[derive(Clone, Copy)]
struct About {
    timestamp: u64,
    length: u64,
    used_day: u32,
    digest: [u8; 32],
}

/// Timestamp, length, day of last use, SHA-256.
type AboutRow = (u64, u64, u32, [u8; 32]);
const ABOUT: TableDefinition<'_, [u8; 32], AboutRow> = TableDefinition::new("about");
const PIECES: TableDefinition<'_, ([u8; 32], u32), &[u8]> = TableDefinition::new("pieces");
/// Day of last use, then the slot: what goes first comes first.
const BY_USE: TableDefinition<'_, (u32, [u8; 32]), ()> = TableDefinition::new("by use");
const SETTINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("settings");
const SALT: &str = "salt";
/// A piece and its row take a page of 64 KiB; redb rounds pages up to powers of two.
const PIECE: usize = (64 << 10) - 256;
const CACHE: usize = 64 << 20;
/// Keys in one commit.
const BATCH: usize = 32;
/// Uploads that wait for a commit.
const WAITING: usize = 256;
const DAY: u64 = 86_400;

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
        slot: KeySlot,
        key: StoredKey,
        day: u32,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    Touch {
        slot: KeySlot,
        day: u32,
    },
    Collect {
        day: u32,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Look whether it is time to end.
    Wake,
}

#[derive(Default)]
struct Totals {
    keys: AtomicU64,
    bytes: AtomicU64,
}

/// Changes of the totals within a transaction.
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

fn day(now: u64) -> u32 {
    u32::try_from(now / DAY).unwrap_or(u32::MAX)
}

fn closed() -> StoreError {
    StoreError::Unavailable("it could not write".to_owned())
}

impl EvaluationKeys {
    pub(super) fn open(directory: &Path, settings: &StoreSettings) -> Result<Self, StoreError> {
        let file = Arc::new(File::open(directory.join(FILE), Part::EvaluationKeys, CACHE)?);
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh)
            .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
        let (salt, keys, bytes) = file.write(|transaction| {
            let mut settings = transaction.open_table(SETTINGS)?;
            let stored: Option<[u8; 32]> =
                settings.get(SALT)?.and_then(|salt| salt.value().try_into().ok());
            let salt = match stored {
                Some(salt) => salt,
                None => {
                    settings.insert(SALT, &fresh[..])?;
                    fresh
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
        let totals = Arc::new(Totals { keys: keys.into(), bytes: bytes.into() });
        let (jobs, receiver) = mpsc::channel(WAITING);
        let work = WriteKeys {
            file: Arc::clone(&file),
            totals: Arc::clone(&totals),
            most_bytes: settings.evaluation_key_bytes,
            days: settings.evaluation_key_days,
        };
        let waker = jobs.clone();
        let writer = Writer::start(
            "evaluation-keys",
            move || drop(waker.try_send(Job::Wake)),
            move |closing| work.write_all(receiver, closing),
        )?;
        Ok(Self { file, jobs, totals, salt, _writer: writer })
    }

    pub(super) fn slot(&self, user: &[u8], key_config_hash: &[u8; 32]) -> KeySlot {
        KeySlot::of(&self.salt, user, key_config_hash)
    }

    pub(super) fn statistics(&self) -> (u64, u64) {
        (self.totals.keys.load(Ordering::Relaxed), self.totals.bytes.load(Ordering::Relaxed))
    }

    pub(super) fn put(
        &self,
        slot: KeySlot,
        key: StoredKey,
        now: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (jobs, (done, is_done)) = (self.jobs.clone(), oneshot::channel());
        async move {
            let job = Job::Put { slot, key, day: day(now), done };
            jobs.send(job).await.map_err(|_| closed())?;
            is_done.await.map_err(|_| closed())?
        }
    }

    pub(super) fn touch(&self, slot: KeySlot, now: u64) {
        // If many wait, the note of another day is as good.
        let _ = self.jobs.try_send(Job::Touch { slot, day: day(now) });
    }

    pub(super) fn collect_garbage(
        &self,
        now: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (jobs, (done, is_done)) = (self.jobs.clone(), oneshot::channel());
        async move {
            jobs.send(Job::Collect { day: day(now), done }).await.map_err(|_| closed())?;
            is_done.await.map_err(|_| closed())?
        }
    }

    /// Runs a read where it may block.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || work(&file)).await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) async fn timestamp(&self, slot: KeySlot) -> Result<Option<u64>, StoreError> {
        self.read(move |file| {
            file.read(|transaction| {
                let about = transaction.open_table(ABOUT)?.get(slot.0)?;
                Ok(about.map(|about| About::from(about.value()).timestamp))
            })
        })
        .await
    }

    pub(super) async fn get(&self, slot: KeySlot) -> Result<Option<StoredKey>, StoreError> {
        let found = self.read(move |file| file.read(|transaction| read(transaction, slot))).await?;
        Ok(found)
    }
}

fn read(
    transaction: &redb::ReadTransaction,
    slot: KeySlot,
) -> Result<Option<StoredKey>, redb::Error> {
    let Some(about) = transaction.open_table(ABOUT)?.get(slot.0)? else { return Ok(None) };
    let about = About::from(about.value());
    let mut bytes = Vec::new();
    for piece in transaction.open_table(PIECES)?.range((slot.0, 0)..=(slot.0, u32::MAX))? {
        bytes.extend_from_slice(piece?.1.value());
    }
    let whole = Sha256::digest(&bytes)[..] == about.digest;
    Ok(whole.then_some(StoredKey { timestamp: about.timestamp, bytes }))
}

struct WriteKeys {
    file: Arc<File>,
    totals: Arc<Totals>,
    most_bytes: u64,
    days: u32,
}

impl WriteKeys {
    fn write_all(&self, mut jobs: mpsc::Receiver<Job>, closing: &AtomicBool) {
        let mut batch = Vec::with_capacity(BATCH);
        while !closing.load(Ordering::Acquire) && jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
            let mut told = Vec::new();
            let mut change = Change::default();
            let outcome = self.file.write(|transaction| {
                for job in batch.drain(..) {
                    match job {
                        Job::Put { slot, key, day, done } => {
                            told.push(done);
                            change = change + remove(transaction, slot)?;
                            self.make_room(transaction, key.bytes.len() as u64, &mut change)?;
                            change = change + insert(transaction, slot, &key, day)?;
                        }
                        Job::Touch { slot, day } => touch(transaction, slot, day)?,
                        Job::Wake => {}
                        Job::Collect { day, done } => {
                            told.push(done);
                            let oldest = day.saturating_sub(self.days);
                            while let Some((used, slot)) = first_by_use(transaction)? {
                                if used >= oldest {
                                    break;
                                }
                                change = change + remove(transaction, slot)?;
                            }
                        }
                    }
                }
                Ok(())
            });
            batch.clear();
            let failed = outcome.err().map(|error| error.to_string());
            if failed.is_none() {
                let apply = |total: &AtomicU64, change: i64| {
                    total.store(
                        total.load(Ordering::Relaxed).saturating_add_signed(change),
                        Ordering::Relaxed,
                    );
                };
                apply(&self.totals.keys, change.keys);
                apply(&self.totals.bytes, change.bytes);
            }
            for done in told {
                let _ = done.send(match &failed {
                    None => Ok(()),
                    Some(reason) => Err(StoreError::Unavailable(reason.clone())),
                });
            }
        }
    }

    /// Drops the least recently used keys until there is room.
    fn make_room(
        &self,
        transaction: &WriteTransaction,
        bytes: u64,
        change: &mut Change,
    ) -> Result<(), redb::Error> {
        let total = self.totals.bytes.load(Ordering::Relaxed);
        while total.saturating_add_signed(change.bytes) + bytes > self.most_bytes {
            let Some((_, slot)) = first_by_use(transaction)? else { break };
            *change = *change + remove(transaction, slot)?;
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

fn first_by_use(transaction: &WriteTransaction) -> Result<Option<(u32, KeySlot)>, redb::Error> {
    let table = transaction.open_table(BY_USE)?;
    let first = table.first()?.map(|(key, _)| key.value());
    Ok(first.map(|(day, slot)| (day, KeySlot(slot))))
}

fn insert(
    transaction: &WriteTransaction,
    slot: KeySlot,
    key: &StoredKey,
    day: u32,
) -> Result<Change, redb::Error> {
    let about = About {
        timestamp: key.timestamp,
        length: key.bytes.len() as u64,
        used_day: day,
        digest: Sha256::digest(&key.bytes).into(),
    };
    transaction.open_table(ABOUT)?.insert(slot.0, about.row())?;
    transaction.open_table(BY_USE)?.insert((day, slot.0), ())?;
    let mut pieces = transaction.open_table(PIECES)?;
    for (number, piece) in (0..).zip(key.bytes.chunks(PIECE)) {
        pieces.insert((slot.0, number), piece)?;
    }
    Ok(Change { keys: 1, bytes: key.bytes.len() as i64 })
}

fn remove(transaction: &WriteTransaction, slot: KeySlot) -> Result<Change, redb::Error> {
    let mut table = transaction.open_table(ABOUT)?;
    let Some(about) = table.remove(slot.0)?.map(|about| About::from(about.value())) else {
        return Ok(Change::default());
    };
    transaction.open_table(BY_USE)?.remove((about.used_day, slot.0))?;
    let mut pieces = transaction.open_table(PIECES)?;
    for number in 0..about.length.div_ceil(PIECE as u64) {
        pieces.remove((slot.0, number as u32))?;
    }
    Ok(Change { keys: -1, bytes: -(about.length as i64) })
}

fn touch(transaction: &WriteTransaction, slot: KeySlot, day: u32) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(ABOUT)?;
    let about = table.get(slot.0)?.map(|about| About::from(about.value()));
    let Some(about) = about.filter(|about| about.used_day < day) else { return Ok(()) };
    let mut by_use = transaction.open_table(BY_USE)?;
    by_use.remove((about.used_day, slot.0))?;
    by_use.insert((day, slot.0), ())?;
    table.insert(slot.0, About { used_day: day, ..about }.row())?;
    Ok(())
}
