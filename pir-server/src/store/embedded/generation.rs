//! The generation of the nonces: the same random mark in their database and in a file beside it.
//!
//! An empty, older or exchanged database would make spent tokens good again, and no check of its content would
//! show that. So the mark changes while nonces are written: at each start, every minute, and at the end. The
//! database is committed first. It keeps the mark that the file had until then, so that a crash between the two
//! writes leaves a pair that belongs together.

use super::super::{Damage, StoreError};
use super::StateFile;
use super::database::File;
use durable_file::{Access, FileError};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file beside the database.
pub(super) const FILE: &str = "generation.json";
/// Largest length of that file, in bytes.
const MAX_FILE: u64 = 4096;
const VERSION: u32 = 1;
/// How long a mark is kept while nonces are written.
const MAX_AGE: Duration = Duration::from_secs(60);

const MARKS: TableDefinition<'_, &str, Mark> = TableDefinition::new("generation");
const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";

/// 16 random bytes.
type Mark = [u8; 16];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    version: u32,
    /// The mark of the file of nonces, 16 bytes in hexadecimal digits.
    nonces: String,
}

/// The marks of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stored {
    current: Option<Mark>,
    /// What the file had when `current` was committed.
    previous: Option<Mark>,
}

impl Stored {
    fn of(table: &impl ReadableTable<&'static str, Mark>) -> Result<Self, redb::Error> {
        let mark = |name| Ok::<_, redb::Error>(table.get(name)?.map(|mark| mark.value()));
        Ok(Self { current: mark(CURRENT)?, previous: mark(PREVIOUS)? })
    }

    /// Reads the marks, and changes nothing.
    fn read(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        match transaction.open_table(MARKS) {
            Ok(table) => Self::of(&table),
            Err(TableError::TableDoesNotExist(_)) => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn write(self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(MARKS)?;
        for (name, mark) in [(CURRENT, self.current), (PREVIOUS, self.previous)] {
            match mark {
                Some(mark) => drop(table.insert(name, mark)?),
                None => drop(table.remove(name)?),
            }
        }
        Ok(())
    }

    /// Whether the database is the one whose mark was recorded last. Earlier versions of the service wrote no
    /// marks.
    fn belongs_to(self, recorded: Option<Mark>) -> bool {
        match (self.current, recorded) {
            (None, None) => true,
            (None, Some(_)) => false,
            // A crash before the first mark was recorded.
            (Some(_), None) => self.previous.is_none(),
            (Some(current), Some(recorded)) => {
                current == recorded || self.previous == Some(recorded)
            }
        }
    }
}

/// Keeps the marks of a database and of the file beside it together.
pub(super) struct Generation {
    path: PathBuf,
    recorded: Option<Mark>,
    /// Committed to the database; whether the file has it is not known.
    pending: Option<Mark>,
    since: Instant,
    /// Whether nonces were written since the mark changed.
    has_changes: bool,
}

impl Generation {
    /// Checks that the database is the one that its folder had last, if `is_needed`, and gives both a new mark.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not, or if the file cannot be used; otherwise if either cannot be
    /// written.
    pub(super) fn open(directory: &Path, file: &File, is_needed: bool) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let stored = file.read(Stored::read)?;
        let recorded = match read(&path) {
            // Without issuer keys no token is accepted, so nothing was spent that counts.
            Err(StoreError::Damaged { .. }) if !is_needed => None,
            read => read?,
        };
        if is_needed && !stored.belongs_to(recorded) {
            return Err(file.damaged(Damage::Generation));
        }
        let mut generation = Self {
            path,
            recorded: recorded.filter(|_| stored.belongs_to(recorded)),
            pending: None,
            since: Instant::now(),
            has_changes: false,
        };
        generation.advance(file)?;
        Ok(generation)
    }

    /// Fails if another database is open than the one that was opened first.
    pub(super) fn check(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let stored = Stored::of(&transaction.open_table(MARKS)?)?;
        let is_same = [stored.current, stored.previous].contains(&self.recorded);
        match self.recorded.is_some() && is_same {
            true => Ok(()),
            false => Err(redb::Error::Corrupted(
                "the file was exchanged while the service had it open; stop the service".to_owned(),
            )),
        }
    }

    /// Notes that nonces were written, and changes the mark when it is old.
    pub(super) fn written(&mut self, file: &File) -> Result<(), StoreError> {
        self.has_changes = true;
        if self.since.elapsed() >= MAX_AGE { self.advance(file) } else { Ok(()) }
    }

    /// Changes the mark for the last time.
    pub(super) fn close(&mut self, file: &File) -> Result<(), StoreError> {
        if self.has_changes { self.advance(file) } else { Ok(()) }
    }

    fn advance(&mut self, file: &File) -> Result<(), StoreError> {
        self.since = Instant::now();
        // Otherwise the file could have a mark that the database no longer has.
        let mark = match self.pending {
            Some(mark) => mark,
            None => {
                let mut mark = Mark::default();
                getrandom::fill(&mut mark).map_err(StoreError::unavailable)?;
                let stored = Stored { current: Some(mark), previous: self.recorded };
                file.write(|transaction| stored.write(transaction))?;
                *self.pending.insert(mark)
            }
        };
        record(&self.path, mark)?;
        (self.recorded, self.pending) = (Some(mark), None);
        self.has_changes = false;
        Ok(())
    }
}

fn record(path: &Path, mark: Mark) -> Result<(), FileError> {
    let recorded = Recorded { version: VERSION, nonces: hex::encode(mark) };
    let text = serde_json::to_vec(&recorded).expect("plain data has a JSON text");
    durable_file::write(path, Access::Owner, &text)
}

fn read(path: &Path) -> Result<Option<Mark>, StoreError> {
    let damaged = |damage| StoreError::Damaged {
        path: path.to_owned(),
        damage,
        file: StateFile::Nonces,
        source: None,
    };
    let text = match durable_file::read(path, MAX_FILE) {
        Err(error) if error.is_not_found() => return Ok(None),
        Err(FileError::TooLong { .. }) => return Err(damaged(Damage::TooLong)),
        text => text?,
    };
    let recorded: Recorded = serde_json::from_slice(&text).map_err(|_| damaged(Damage::Content))?;
    let mut mark = Mark::default();
    match recorded.version == VERSION && hex::decode_to_slice(recorded.nonces, &mut mark).is_ok() {
        true => Ok(Some(mark)),
        false => Err(damaged(Damage::Content)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(current: u8, previous: u8) -> Stored {
        let mark = |byte| (byte > 0).then_some([byte; 16]);
        Stored { current: mark(current), previous: mark(previous) }
    }

    #[test]
    fn a_database_belongs_to_the_mark_that_was_recorded_last() {
        for (current, previous, recorded, belongs) in [
            (0, 0, 0, true),
            (1, 0, 0, true),
            (1, 0, 1, true),
            (2, 1, 1, true),
            (2, 1, 2, true),
            (0, 0, 1, false),
            (2, 1, 0, false),
            (2, 1, 3, false),
            (1, 0, 2, false),
        ] {
            let mark = (recorded > 0).then_some([recorded; 16]);
            let found = stored(current, previous).belongs_to(mark);
            assert_eq!(found, belongs, "{current} {previous} {recorded}");
        }
    }

    fn database(folder: &Path) -> File {
        File::open(folder.join("nonces.redb"), StateFile::Nonces, 1 << 20).unwrap()
    }

    #[test]
    fn the_recorded_mark_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        record(&path, [7; 16]).unwrap();
        let mut text = std::fs::read(&path).unwrap();
        for (length, is_read) in [(MAX_FILE - 1, true), (MAX_FILE, true), (MAX_FILE + 1, false)] {
            text.resize(usize::try_from(length).unwrap(), b' ');
            std::fs::write(&path, &text).unwrap();
            let mark = read(&path);
            let is_too_long =
                matches!(mark, Err(StoreError::Damaged { damage: Damage::TooLong, .. }));
            assert_eq!(mark.is_ok(), is_read, "{length}");
            assert_eq!(is_too_long, !is_read, "{length}");
        }
    }

    /// A crash may come before or after each of the two writes of a change.
    #[test]
    fn a_crash_between_the_writes_leaves_a_pair_that_belongs_together() {
        let folder = tempfile::tempdir().unwrap();
        let file = database(folder.path());
        let path = folder.path().join(FILE);
        let mut before = None;
        for _ in 0..3 {
            drop(Generation::open(folder.path(), &file, true).unwrap());
            let after = std::fs::read(&path).unwrap();
            match &before {
                Some(before) => std::fs::write(&path, before).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            assert!(file.read(Stored::read).unwrap().belongs_to(read(&path).unwrap()));
            std::fs::write(&path, &after).unwrap();
            before = Some(after);
        }
        std::fs::write(&path, "{}").unwrap();
        assert!(Generation::open(folder.path(), &file, true).is_err());
        assert!(Generation::open(folder.path(), &file, false).is_ok());
    }

    #[test]
    fn a_mark_that_could_not_be_recorded_is_recorded_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = database(folder.path());
        let mut generation = Generation::open(folder.path(), &file, true).unwrap();
        let path = folder.path().join(FILE);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        for _ in 0..2 {
            assert!(generation.advance(&file).is_err());
            file.write(|transaction| generation.check(transaction)).unwrap();
        }
        std::fs::remove_dir(&path).unwrap();
        generation.advance(&file).unwrap();
        file.write(|transaction| generation.check(transaction)).unwrap();
        assert!(file.read(Stored::read).unwrap().belongs_to(read(&path).unwrap()));
    }

    #[test]
    fn another_database_is_noticed_while_it_is_open() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let files = [database(folders[0].path()), database(folders[1].path())];
        let generation = Generation::open(folders[0].path(), &files[0], true).unwrap();
        files[0].write(|transaction| generation.check(transaction)).unwrap();
        assert!(files[1].write(|transaction| generation.check(transaction)).is_err());
    }
}
