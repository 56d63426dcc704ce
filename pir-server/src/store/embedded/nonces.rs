//! Nonces of tokens that were spent.

use super::super::{Durable, Spending, StoreError};
use super::Part;
use super::database::File;
use super::writer::Writer;
use redb::{ReadableTableMetadata, TableDefinition};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

pub(super) const FILE: &str = "nonces.redb";
/// Eight bytes of the key's id, which keep the nonces of a key together, and the nonce.
type Entry = [u8; 40];
const SPENT: TableDefinition<'_, Entry, ()> = TableDefinition::new("spent");
const CACHE: usize = 64 << 20;
/// Nonces in one commit.
const BATCH: usize = 1024;
/// Nonces that wait for a commit.
const WAITING: usize = 16 << 10;

enum Job {
    Spend {
        entry: Entry,
        fresh: oneshot::Sender<bool>,
        durable: oneshot::Sender<Result<(), StoreError>>,
    },
    Retain {
        /// Ascending, each once.
        prefixes: Vec<[u8; 8]>,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Look whether it is time to end.
    Wake,
}

pub(super) struct Nonces {
    jobs: mpsc::Sender<Job>,
    count: Arc<AtomicU64>,
    _writer: Writer,
}

fn prefix(key_id: &[u8; 32]) -> [u8; 8] {
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&key_id[..8]);
    prefix
}

fn closed() -> StoreError {
    StoreError::Unavailable("it could not write".to_owned())
}

impl Nonces {
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let file = File::open(directory.join(FILE), Part::Nonces, CACHE)?;
        let length = file.write(|transaction| Ok(transaction.open_table(SPENT)?.len()?))?;
        let count = Arc::new(AtomicU64::new(length));
        let (jobs, receiver) = mpsc::channel(WAITING);
        let counter = Arc::clone(&count);
        let waker = jobs.clone();
        let writer = Writer::start(
            "nonces",
            move || drop(waker.try_send(Job::Wake)),
            move |closing| write_all(&file, receiver, &counter, closing),
        )?;
        Ok(Self { jobs, count, _writer: writer })
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn spend(
        &self,
        key_id: &[u8; 32],
        nonce: &[u8; 32],
    ) -> impl Future<Output = Result<Spending, StoreError>> + Send + use<> {
        let mut entry = [0; 40];
        entry[..8].copy_from_slice(&prefix(key_id));
        entry[8..].copy_from_slice(nonce);
        let (fresh, is_fresh) = oneshot::channel();
        let (durable, is_durable) = oneshot::channel();
        let sent = self.jobs.try_send(Job::Spend { entry, fresh, durable });
        async move {
            sent.map_err(|_| StoreError::Unavailable("too many tokens at once".to_owned()))?;
            match is_fresh.await {
                Ok(true) => Ok(Spending::Fresh(Durable::when(is_durable))),
                Ok(false) => Ok(Spending::Spent),
                Err(_) => Err(closed()),
            }
        }
    }

    pub(super) fn retain(
        &self,
        key_ids: &[[u8; 32]],
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (done, is_done) = oneshot::channel();
        let jobs = self.jobs.clone();
        let mut prefixes: Vec<[u8; 8]> = key_ids.iter().map(prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        async move {
            jobs.send(Job::Retain { prefixes, done }).await.map_err(|_| closed())?;
            is_done.await.map_err(|_| closed())?
        }
    }
}

/// The ranges of entries whose prefix is none of those.
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

/// Takes what waits, writes it in one transaction, and tells. Whether a nonce is fresh is told before
/// the commit, so that work can begin meanwhile.
fn write_all(file: &File, mut jobs: mpsc::Receiver<Job>, count: &AtomicU64, closing: &AtomicBool) {
    let mut batch = Vec::with_capacity(BATCH);
    while !closing.load(Ordering::Acquire) && jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
        let mut durable = Vec::with_capacity(batch.len());
        let (mut added, mut removed) = (0, 0);
        let outcome = file.write(|transaction| {
            let mut table = transaction.open_table(SPENT)?;
            for job in batch.drain(..) {
                match job {
                    Job::Spend { entry, fresh, durable: told } => {
                        let is_fresh = table.insert(entry, ())?.is_none();
                        let _ = fresh.send(is_fresh);
                        if is_fresh {
                            added += 1;
                            durable.push(told);
                        }
                    }
                    Job::Wake => {}
                    Job::Retain { prefixes, done } => {
                        let before = table.len()?;
                        for gap in gaps(&prefixes) {
                            table.retain_in(gap, |_, ()| false)?;
                        }
                        removed += before - table.len()?;
                        durable.push(done);
                    }
                }
            }
            Ok(())
        });
        // Senders of an unfinished batch are dropped, which their receivers see.
        batch.clear();
        let failed = outcome.err().map(|error| error.to_string());
        if failed.is_none() {
            count.fetch_add(added, Ordering::Relaxed);
            count.fetch_sub(removed, Ordering::Relaxed);
        }
        for told in durable {
            let result = match &failed {
                None => Ok(()),
                Some(reason) => Err(StoreError::Unavailable(reason.clone())),
            };
            let _ = told.send(result);
        }
    }
}
