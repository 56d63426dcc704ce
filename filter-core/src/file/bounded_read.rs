//! Reads of bounded size.

use super::error::{ContentError, FileError};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a whole file of at most `max` bytes; never holds more than one byte beyond that.
pub(super) fn read(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::io(path))?;
    let mut content = Vec::new();
    let read = file.take(max + 1).read_to_end(&mut content).map_err(FileError::io(path))?;
    if read as u64 > max {
        return Err(FileError::content(path)(ContentError::TooLarge { max }));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_of_the_largest_size_is_read_and_one_byte_more_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (size, accepted) in [(9, true), (10, true), (11, false)] {
            fs::write(&path, vec![7; size]).unwrap();
            match read(&path, 10) {
                Ok(content) => assert!(accepted && content.len() == size, "{size}"),
                Err(FileError::Content { source: ContentError::TooLarge { max: 10 }, .. }) => {
                    assert!(!accepted, "{size}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
