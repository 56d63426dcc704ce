//! The bytes of database files, in memory or mapped. The only `unsafe` of this crate.

#[cfg(feature = "mmap")]
use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::io::Read;

/// The bytes of a database file, aligned for the words in it.
pub struct FileBytes(Inner);

enum Inner {
    Owned {
        /// As words, so that they are aligned.
        words: Vec<u64>,
        /// The number of bytes.
        length: usize,
    },
    #[cfg(feature = "mmap")]
    Mapped(Mmap),
}

impl FileBytes {
    /// A whole file: mapped, read-only, with the feature `mmap`, else read.
    ///
    /// A mapped file must not be changed in place while it is in use. Replace it by renaming another
    /// file over it.
    ///
    /// # Errors
    /// If the file system fails.
    #[cfg(feature = "mmap")]
    pub fn open(file: &File) -> io::Result<Self> {
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
        Ok(Self(Inner::Mapped(mapping)))
    }

    /// A whole file: mapped, read-only, with the feature `mmap`, else read.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    #[cfg(not(feature = "mmap"))]
    pub fn open(file: &File) -> io::Result<Self> {
        Self::read(file)
    }

    /// A whole file, read into memory.
    ///
    /// # Errors
    /// If the file system fails, or the file does not fit the memory.
    pub fn read(mut file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len())
            .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut words = vec![0_u64; length.div_ceil(8)];
        file.read_exact(&mut bytemuck::cast_slice_mut(&mut words)[..length])?;
        Ok(Self(Inner::Owned { words, length }))
    }

    /// A copy of bytes that are in memory.
    #[must_use]
    pub fn copy(bytes: &[u8]) -> Self {
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self(Inner::Owned { words, length: bytes.len() })
    }
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Inner::Owned { words, length } => &bytemuck::cast_slice(words)[..*length],
            #[cfg(feature = "mmap")]
            Inner::Mapped(mapping) => mapping,
        }
    }
}
