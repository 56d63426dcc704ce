//! One redb file that is opened checked, and opened again after the disk failed.

use super::super::StoreError;
use super::{Part, unavailable};
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError, WriteTransaction,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// A redb file.
pub(super) struct File {
    path: PathBuf,
    part: Part,
    cache: usize,
    database: RwLock<Option<Arc<Database>>>,
}

impl File {
    pub(super) fn open(path: PathBuf, part: Part, cache: usize) -> Result<Self, StoreError> {
        let database = open(&path, part, cache, true)?;
        Ok(Self { path, part, cache, database: RwLock::new(Some(Arc::new(database))) })
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        let current = self.database.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(database) = current {
            return Ok(database);
        }
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &*place {
            return Ok(Arc::clone(database));
        }
        let database = Arc::new(open(&self.path, self.part, self.cache, false)?);
        *place = Some(Arc::clone(&database));
        Ok(database)
    }

    /// After an error of the disk redb refuses to go on with what it has in memory: the next call
    /// opens the file again.
    fn give_up(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Does a piece of reading.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = self.database()?;
        let outcome = database
            .begin_read()
            .map_err(redb::Error::from)
            .and_then(|transaction| work(&transaction));
        self.settle(outcome)
    }

    /// Does a piece of writing, and commits it.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = self.database()?;
        let outcome = database.begin_write().map_err(redb::Error::from).and_then(|transaction| {
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        self.settle(outcome)
    }

    fn settle<T>(&self, outcome: Result<T, redb::Error>) -> Result<T, StoreError> {
        outcome.map_err(|error| {
            self.give_up();
            unavailable(&self.path, error)
        })
    }
}

/// Opens a file; a new one is for its owner alone, as its folder is. redb may panic on damage that it
/// does not expect, which counts as damage here.
fn open(path: &Path, part: Part, cache: usize, check: bool) -> Result<Database, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason, part };
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        Database::builder().set_cache_size(cache).set_check_integrity_on_open(check).create(path)
    }));
    match attempt {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(DatabaseError::Storage(StorageError::Corrupted(reason)))) => Err(damaged(reason)),
        Ok(Err(DatabaseError::Storage(StorageError::Io(error))))
            if error.kind() == std::io::ErrorKind::InvalidData
                || error.kind() == std::io::ErrorKind::UnexpectedEof =>
        {
            Err(damaged(error.to_string()))
        }
        Ok(Err(DatabaseError::UpgradeRequired(version))) => {
            Err(damaged(format!("file format {version}")))
        }
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => {
            Err(unavailable(path, "in use by another process; is the service running already?"))
        }
        Ok(Err(error)) => Err(unavailable(path, error)),
        Err(_) => Err(damaged("it cannot be read at all".to_owned())),
    }
}
