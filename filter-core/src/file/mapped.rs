//! Files that are mapped instead of read. The only `unsafe` of this crate.

use memmap2::Mmap;
use std::fs::File;
use std::io;

/// A whole file, mapped read-only.
#[derive(Debug)]
pub(super) struct Mapping(Mmap);

impl Mapping {
    /// Maps a whole file; `None` for an empty one, which cannot be mapped.
    pub(super) fn new(file: &File) -> io::Result<Option<Self>> {
        if file.metadata()?.len() == 0 {
            return Ok(None);
        }
        // SAFETY: the mapping is read-only. Its bytes would change under us only if someone wrote
        // into the file in place; this project never does (files are replaced by renaming), and the
        // documentation of the format asks others to do the same. A byte that changes nevertheless
        // can only turn an answer of the filter: no length, index or pointer depends on the content.
        #[expect(unsafe_code, reason = "memory mapping, confined to this module")]
        let mapping = unsafe { Mmap::map(file) }?;
        Ok(Some(Self(mapping)))
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_mapping_has_the_bytes_of_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        assert!(Mapping::new(&file).unwrap().is_none());
        file.write_all(b"bits").unwrap();
        assert_eq!(Mapping::new(&file).unwrap().unwrap().as_ref(), b"bits");
    }
}
