//! Words that stay in their file and are read for each answer.
//!
//! A mapping would be faster, but a file that shrinks, or a sector that cannot be read, would end the process by
//! a signal, and a byte that changes would change an answer. A read fails instead, and a checksum notices the
//! byte.

use crate::error::DatabaseError;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Words in a file, and what they were when the whole file was checked.
pub(super) struct StoredWords {
    reader: Reader,
    /// Where the words begin in the file, in bytes.
    start: u64,
    /// Drawn for each database. The checksums are for damage; whoever can choose the content of the file and
    /// knows this number could deceive them.
    seed: u64,
    /// Of the words of each table and chunk, in their order.
    checksums: Vec<u64>,
}

#[cfg(unix)]
struct Reader(File);

#[cfg(unix)]
impl Reader {
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, buffer, at)
    }
}

/// Where a read cannot say its place, one reads after the other.
#[cfg(not(unix))]
struct Reader(std::sync::Mutex<File>);

#[cfg(not(unix))]
impl Reader {
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(buffer)
    }
}

impl StoredWords {
    /// Leaves words in a file. `parts` are the words of each table and chunk, as they were checked.
    pub(super) fn new<'p>(file: File, start: usize, parts: impl Iterator<Item = &'p [u8]>) -> Self {
        let seed = RandomState::new().hash_one(0);
        #[cfg(unix)]
        let reader = Reader(file);
        #[cfg(not(unix))]
        let reader = Reader(file.into());
        let checksums = parts.map(|part| xxh3_64_with_seed(part, seed)).collect();
        Self { reader, start: start as u64, seed, checksums }
    }

    /// Reads the words of one table and chunk to the beginning of a buffer.
    pub(super) fn read<'b>(
        &self,
        part: usize,
        offset: usize,
        length: usize,
        buffer: &'b mut Vec<u64>,
    ) -> Result<&'b [u8], DatabaseError> {
        let words = length.div_ceil(8);
        if buffer.len() < words {
            buffer.resize(words, 0);
        }
        let bytes = &mut bytemuck::cast_slice_mut(&mut buffer[..])[..length];
        self.reader.read(bytes, self.start + offset as u64)?;
        match self.checksums.get(part) {
            Some(&checksum) if xxh3_64_with_seed(bytes, self.seed) == checksum => Ok(bytes),
            _ => Err(DatabaseError::Digest("the data")),
        }
    }
}
