//! Files that are mapped instead of read. The only `unsafe` of this crate.

use memmap2::Mmap;
use std::fs::File;
use std::io;

/// The bytes of a database file, in memory or mapped.
pub enum FileBytes {
    /// In memory, as words so that they are aligned; and the number of bytes.
    Owned(Vec<u64>, usize),
    /// Mapped, read-only.
    Mapped(Mmap),
}

impl FileBytes {
    /// Maps a whole file.
    pub fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::copy(&[]));
        }
        // SAFETY: the mapping is read-only. Its bytes would change under us only if someone wrote
        // into the file in place, which this project never does: files are replaced by renaming,
        // and the documentation of the format asks others to do the same. A byte that changes
        // nevertheless changes a residue, and so an answer: lengths and offsets were copied out of
        // the header before.
        #[expect(unsafe_code, reason = "memory mapping, confined to this module")]
        let mapping = unsafe { Mmap::map(file) }?;
        Ok(Self::Mapped(mapping))
    }

    /// Copies bytes.
    pub fn copy(bytes: &[u8]) -> Self {
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self::Owned(words, bytes.len())
    }
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(words, length) => &bytemuck::cast_slice(words)[..*length],
            Self::Mapped(mapping) => mapping,
        }
    }
}
