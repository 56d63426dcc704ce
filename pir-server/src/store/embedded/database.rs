//! A redb file that is checked when it is opened, and opened again after the disk failed.

use super::super::{Damage, StoreError};
use super::{StateFile, file_error};
use durable_file::Operation;
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError, WriteTransaction,
};
use std::error::Error;
use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// A redb file.
pub(super) struct File {
    path: PathBuf,
    part: StateFile,
    cache_bytes: usize,
    /// `None` after an error, until the next call opens the file again.
    database: RwLock<Option<Arc<Database>>>,
}

/// A database that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot read or write the database {}", path.display())]
struct DatabaseFailure {
    path: PathBuf,
    source: Box<dyn Error + Send + Sync>,
}

fn unavailable(path: &Path, error: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::unavailable(DatabaseFailure { path: path.to_owned(), source: error.into() })
}

impl File {
    pub(super) fn open(
        path: PathBuf,
        part: StateFile,
        cache_bytes: usize,
    ) -> Result<Self, StoreError> {
        create_private(&path)?;
        let database = open(&path, part, cache_bytes, Opening::First)?;
        Ok(Self { path, part, cache_bytes, database: RwLock::new(Some(Arc::new(database))) })
    }

    /// The error for content of the file that is not what the service wrote.
    pub(super) fn damaged(&self, damage: Damage) -> StoreError {
        damaged(&self.path, self.part, damage, None)
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        let current = self.database.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(database) = current {
            return Ok(database);
        }
        let mut current = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &*current {
            return Ok(Arc::clone(database));
        }
        let database = Arc::new(open(&self.path, self.part, self.cache_bytes, Opening::Again)?);
        *current = Some(Arc::clone(&database));
        Ok(database)
    }

    /// After an error of the disk, redb refuses all further use of an open database: the next call opens the
    /// file again.
    fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Runs `work` in a read transaction.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = self.database()?;
        let outcome = database
            .begin_read()
            .map_err(redb::Error::from)
            .and_then(|transaction| work(&transaction));
        self.close_on_error(outcome)
    }

    /// Runs `work` in a write transaction and commits it. It is durable when this returns.
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
        self.close_on_error(outcome)
    }

    fn close_on_error<T>(&self, outcome: Result<T, redb::Error>) -> Result<T, StoreError> {
        outcome.map_err(|error| {
            self.close();
            unavailable(&self.path, error)
        })
    }
}

fn damaged(
    path: &Path,
    file: StateFile,
    damage: Damage,
    source: Option<DatabaseError>,
) -> StoreError {
    let source = source.map(|error| Arc::new(error) as Arc<dyn Error + Send + Sync>);
    StoreError::Damaged { path: path.to_owned(), damage, file, source }
}

/// Creates an empty file for its owner alone, unless it exists, and takes access to it away from others.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(file_error(Operation::Write, path))?;
    durable_file::restrict(path)?;
    Ok(())
}

/// When a file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// At the start: it is checked, and an empty file becomes a database.
    First,
    /// After an error of the disk: the database must be there.
    Again,
}

/// Opens a file. redb may panic on damage that it does not expect; such a panic counts as damage.
fn open(
    path: &Path,
    part: StateFile,
    cache_bytes: usize,
    opening: Opening,
) -> Result<Database, StoreError> {
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes).set_check_integrity_on_open(opening == Opening::First);
        match opening {
            Opening::First => builder.create(path),
            Opening::Again => builder.open(path),
        }
    }));
    let Ok(outcome) = attempt else { return Err(damaged(path, part, Damage::Content, None)) };
    outcome.map_err(|error| match &error {
        DatabaseError::UpgradeRequired(version) => {
            damaged(path, part, Damage::Format(*version), None)
        }
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
        DatabaseError::Storage(StorageError::Corrupted(_)) => {
            damaged(path, part, Damage::Content, Some(error))
        }
        DatabaseError::Storage(StorageError::Io(io))
            if matches!(
                io.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
            ) =>
        {
            damaged(path, part, Damage::Content, Some(error))
        }
        _ => unavailable(path, error),
    })
}
