//! Bits that are mapped instead of read. The only `unsafe` of this crate.

use memmap2::Mmap;
use std::fs::File;
use std::io;

/// The bits of a filter, in memory or mapped from a file.
#[derive(Debug)]
pub enum FilterBytes {
    /// In memory.
    Owned(Vec<u8>),
    /// Mapped, read-only.
    Mapped(Mmap),
}

impl FilterBytes {
    /// Maps a whole file. An empty one is an empty vector: there is nothing to map.
    pub(super) fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::Owned(Vec::new()));
        }
        // SAFETY: the mapping is read-only. Its bytes would change under us only if someone wrote
        // into the file in place; this project never does (files are replaced by renaming), and the
        // documentation of the format asks others to do the same. A byte that changes nevertheless
        // can only turn an answer of the filter: no length, index or pointer depends on the content.
        #[expect(unsafe_code, reason = "memory mapping, confined to this module")]
        let mapping = unsafe { Mmap::map(file) }?;
        Ok(Self::Mapped(mapping))
    }
}

impl AsRef<[u8]> for FilterBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(mapping) => mapping,
        }
    }
}

impl From<Vec<u8>> for FilterBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn mapped_and_owned_bytes_are_the_same() {
        let mut file = tempfile::tempfile().unwrap();
        assert_eq!(FilterBytes::map(&file).unwrap().as_ref(), b"");
        file.write_all(b"bits").unwrap();
        let mapped = FilterBytes::map(&file).unwrap();
        assert!(matches!(mapped, FilterBytes::Mapped(_)));
        assert_eq!(mapped.as_ref(), FilterBytes::from(b"bits".to_vec()).as_ref());
    }
}
