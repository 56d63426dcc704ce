//! One module for each command.

pub(crate) mod build;
pub(crate) mod caller_id;
pub(crate) mod check;
mod data_set;
pub(crate) mod demo;
pub(crate) mod diagnose;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod hash;
pub(crate) mod inspect;
pub(crate) mod process;
pub(crate) mod profile;
pub(crate) mod publish;
pub(crate) mod query;
pub(crate) mod reports;
mod rule;
pub(crate) mod signing_key;
mod system;
mod token;
pub(crate) mod tune;
pub(crate) mod update;
mod urls;
pub(crate) mod vectors;
mod verdict;
pub(crate) mod why;

use anyhow::Context;
use std::path::Path;

/// Longest configuration or token file that is read, in bytes.
const MAX_TEXT: u64 = 1 << 20;

/// Reads a small text file.
fn read_text(path: &Path) -> anyhow::Result<String> {
    let content = durable_file::read(path, MAX_TEXT)?;
    String::from_utf8(content)
        .map_err(|error| error.utf8_error())
        .with_context(|| format!("{}: expected text in UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_text_files_are_read_up_to_their_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for length in [MAX_TEXT - 1, MAX_TEXT, MAX_TEXT + 1] {
            std::fs::write(file.path(), vec![b'a'; usize::try_from(length).unwrap()]).unwrap();
            assert_eq!(read_text(file.path()).is_ok(), length <= MAX_TEXT, "{length}");
        }
    }
}
