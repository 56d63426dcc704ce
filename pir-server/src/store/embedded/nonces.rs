//! The database of spent nonces.

use super::super::{Damage, Durable, Spending, StoreError};
use super::StateFile;
use super::database::File;
use super::generation::Generation;
use super::writer::{Writer, not_committed};
use crate::blocking::blocking;
use error_reporter::Report;
use redb::{ReadableTableMetadata, TableDefinition};
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

pub(super) const FILE: &str = "nonces.redb";
/// The first eight bytes of the issuer key's id, which keep the nonces of a key together, then the nonce.
type Entry = [u8; 40];
const SPENT: TableDefinition<'_, Entry, ()> = TableDefinition::new("spent");
/// Page cache of the database, in bytes.
const CACHE_BYTES: usize = 64 << 20;
/// Largest number of nonces in one commit.
const MAX_BATCH: usize = 1024;
/// Largest number of nonces that wait for a commit.
const MAX_WAITING: usize = 16 << 10;

/// Reports the outcome of the commit that a job was part of.
type Committed = oneshot::Sender<Result<(), StoreError>>;

enum Job {
    Spend {
        entry: Entry,
        fresh: oneshot::Sender<bool>,
        committed: Committed,
    },
    Retain {
        /// Ascending and distinct.
        prefixes: Vec<[u8; 8]>,
        committed: Committed,
    },
    /// Wakes the thread so that it finds that it must end.
    Wake,
}

pub(super) struct Nonces {
    file: Arc<File>,
    jobs: mpsc::Sender<Job>,
    count: Arc<AtomicU64>,
    _writer: Writer,
}

fn prefix(key_id: &[u8; 32]) -> [u8; 8] {
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&key_id[..8]);
    prefix
}

fn entry(key_id: &[u8; 32], nonce: &[u8; 32]) -> Entry {
    let mut entry = [0; 40];
    entry[..8].copy_from_slice(&prefix(key_id));
    entry[8..].copy_from_slice(nonce);
    entry
}

/// More tokens arrive than the disk can commit.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_WAITING} nonces wait to be written")]
struct Overloaded;

async fn outcome(committed: oneshot::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
    committed.await.unwrap_or_else(|_| Err(not_committed()))
}

impl Nonces {
    /// Opens the database of a state folder. If the folder has issuer keys, it must be the one that the folder
    /// had last.
    pub(super) fn open(directory: &Path, has_issuer_keys: bool) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        if has_issuer_keys {
            let damage = match fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Damage::Missing),
                Ok(about) if about.len() == 0 => Some(Damage::Empty),
                _ => None,
            };
            if let Some(damage) = damage {
                let file = StateFile::Nonces;
                return Err(StoreError::Damaged { path, damage, file, source: None });
            }
        }
        let file = Arc::new(File::open(path, StateFile::Nonces, CACHE_BYTES)?);
        let generation = Generation::open(directory, &file, has_issuer_keys)?;
        let length = file.write(|transaction| Ok(transaction.open_table(SPENT)?.len()?))?;
        let count = Arc::new(AtomicU64::new(length));
        let (jobs, receiver) = mpsc::channel(MAX_WAITING);
        let counter = Arc::clone(&count);
        let waker = jobs.clone();
        let written = Arc::clone(&file);
        let writer = Writer::start(
            "nonces",
            move || drop(waker.try_send(Job::Wake)),
            move |closing| write_all(&written, generation, receiver, &counter, closing),
        )?;
        Ok(Self { file, jobs, count, _writer: writer })
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether a nonce was committed.
    pub(super) fn is_spent(
        &self,
        key_id: &[u8; 32],
        nonce: &[u8; 32],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send + use<> {
        let (file, entry) = (Arc::clone(&self.file), entry(key_id, nonce));
        blocking(move || {
            file.read(|transaction| Ok(transaction.open_table(SPENT)?.get(entry)?.is_some()))
        })
    }

    pub(super) fn spend(
        &self,
        key_id: &[u8; 32],
        nonce: &[u8; 32],
    ) -> impl Future<Output = Result<Spending, StoreError>> + Send + use<> {
        let entry = entry(key_id, nonce);
        let (fresh, is_fresh) = oneshot::channel();
        let (committed, is_committed) = oneshot::channel();
        let sent = self.jobs.try_send(Job::Spend { entry, fresh, committed });
        async move {
            sent.map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::unavailable(Overloaded),
                mpsc::error::TrySendError::Closed(_) => not_committed(),
            })?;
            match is_fresh.await {
                Ok(true) => Ok(Spending::Fresh(Durable::when(outcome(is_committed)))),
                Ok(false) => Ok(Spending::Spent),
                Err(_) => Err(not_committed()),
            }
        }
    }

    pub(super) fn retain(
        &self,
        key_ids: &[[u8; 32]],
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (committed, is_committed) = oneshot::channel();
        let jobs = self.jobs.clone();
        let mut prefixes: Vec<[u8; 8]> = key_ids.iter().map(prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        async move {
            let job = Job::Retain { prefixes, committed };
            jobs.send(job).await.map_err(|_| not_committed())?;
            outcome(is_committed).await
        }
    }
}

/// The ranges of entries with none of these prefixes.
fn gaps(prefixes: &[[u8; 8]]) -> Vec<(Bound<Entry>, Bound<Entry>)> {
    let end = |prefix: &[u8; 8], rest: u8| {
        let mut entry = [rest; 40];
        entry[..8].copy_from_slice(prefix);
        entry
    };
    let starts = prefixes.iter().map(|prefix| Bound::Excluded(end(prefix, 0xff)));
    let ends = prefixes.iter().map(|prefix| Bound::Excluded(end(prefix, 0)));
    let starts = std::iter::once(Bound::Unbounded).chain(starts);
    let ends = ends.chain(std::iter::once(Bound::Unbounded));
    starts.zip(ends).collect()
}

/// Takes all waiting jobs, writes them in one transaction, and reports its outcome. Whether a nonce is fresh
/// is reported before the commit, so that work can begin meanwhile.
fn write_all(
    file: &File,
    mut generation: Generation,
    mut jobs: mpsc::Receiver<Job>,
    count: &AtomicU64,
    closing: &AtomicBool,
) {
    let note = |marked: Result<(), StoreError>| {
        if let Err(error) = marked {
            tracing::warn!(error = %Report::new(&error), "the generation of the nonces stays as it was");
        }
    };
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while !closing.load(Ordering::Acquire) && jobs.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        let mut waiting = Vec::with_capacity(batch.len());
        let (mut added, mut removed) = (0, 0);
        let outcome = file.write(|transaction| {
            generation.check(transaction)?;
            let mut table = transaction.open_table(SPENT)?;
            for job in batch.drain(..) {
                match job {
                    Job::Spend { entry, fresh, committed } => {
                        let is_fresh = table.insert(entry, ())?.is_none();
                        // A request whose client has disconnected still spends its token.
                        let _ = fresh.send(is_fresh);
                        if is_fresh {
                            added += 1;
                            waiting.push(committed);
                        }
                    }
                    Job::Wake => {}
                    Job::Retain { prefixes, committed } => {
                        let before = table.len()?;
                        for gap in gaps(&prefixes) {
                            table.retain_in(gap, |_, ()| false)?;
                        }
                        removed += before - table.len()?;
                        waiting.push(committed);
                    }
                }
            }
            Ok(())
        });
        // Jobs that a failed transaction did not reach: their receivers see that the sender is gone.
        batch.clear();
        match &outcome {
            Ok(()) => {
                count.fetch_add(added, Ordering::Relaxed);
                count.fetch_sub(removed, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::error!(error = %Report::new(error), "nonces cannot be written");
            }
        }
        for committed in waiting {
            drop(committed.send(outcome.clone()));
        }
        if outcome.is_ok() && added + removed > 0 {
            note(generation.written(file));
        }
    }
    note(generation.close(file));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a thread that writes, everything waits.
    #[tokio::test]
    async fn the_number_of_waiting_nonces_is_limited() {
        let (jobs, receiver) = mpsc::channel(MAX_WAITING);
        let writer = Writer::start("none", || (), |_| ()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = File::open(folder.path().join(FILE), StateFile::Nonces, 1 << 20).unwrap();
        let nonces = Nonces { file: Arc::new(file), jobs, count: Arc::default(), _writer: writer };
        let mut waiting = Vec::new();
        for number in 0..MAX_WAITING as u64 {
            let mut nonce = [0; 32];
            nonce[..8].copy_from_slice(&number.to_le_bytes());
            let mut spending = Box::pin(nonces.spend(&[0; 32], &nonce));
            assert!(futures_util::poll!(&mut spending).is_pending(), "{number}");
            waiting.push(spending);
        }
        let error = nonces.spend(&[0; 32], &[1; 32]).await.unwrap_err();
        assert!(Report::new(&error).to_string().contains("16384"), "{error}");
        drop(receiver);
    }

    #[test]
    fn gaps_leave_out_the_prefixes() {
        let inside = |entry: Entry| {
            gaps(&[[1; 8], [3; 8]]).iter().any(|gap| std::ops::RangeBounds::contains(gap, &entry))
        };
        for byte in 0..5 {
            for rest in [0, 0x7f, 0xff] {
                let mut entry = [rest; 40];
                entry[..8].fill(byte);
                assert_eq!(inside(entry), byte != 1 && byte != 3, "{byte} {rest}");
            }
        }
    }
}
