//! The bits of a filter in memory or in a mapped file.

#[cfg(feature = "mmap")]
use super::mapped::Mapping;

/// The bits of a filter: bytes in memory, or a file that is mapped read-only (feature `mmap`).
#[derive(Debug)]
pub struct FilterBytes(Storage);

#[derive(Debug)]
enum Storage {
    Owned(Vec<u8>),
    #[cfg(feature = "mmap")]
    Mapped(Mapping),
}

impl FilterBytes {
    /// Whether the bits are a mapped file, which takes no memory of its own.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        match self.0 {
            Storage::Owned(_) => false,
            #[cfg(feature = "mmap")]
            Storage::Mapped(_) => true,
        }
    }

    #[cfg(feature = "mmap")]
    pub(super) fn mapped(mapping: Mapping) -> Self {
        Self(Storage::Mapped(mapping))
    }
}

impl AsRef<[u8]> for FilterBytes {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Storage::Owned(bytes) => bytes,
            #[cfg(feature = "mmap")]
            Storage::Mapped(mapping) => mapping.as_ref(),
        }
    }
}

impl From<Vec<u8>> for FilterBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Storage::Owned(bytes))
    }
}
