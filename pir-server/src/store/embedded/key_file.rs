//! Files of private keys: a JSON text, and a last line with its checksum.
//!
//! The checksum notices damage and careless changes. It does not protect against someone who can write the
//! file: such a person can read the keys, too.

use super::super::Damage;
use durable_file::{Access, FileError};
use sha2::{Digest, Sha256};
use std::path::Path;
use zeroize::Zeroizing;

/// Largest file of keys, in bytes.
pub(super) const MAX_KEY_FILE: u64 = 1 << 20;
/// What the last line begins with.
const LABEL: &[u8] = b"sha256 ";
/// Length of the last line: the label, 64 digits, a line end.
const LINE: usize = LABEL.len() + 64 + 1;

/// The text of a file.
pub(super) struct KeyText {
    pub(super) text: Zeroizing<Vec<u8>>,
    /// Earlier versions of the service wrote none.
    pub(super) has_checksum: bool,
}

fn line(text: &[u8]) -> Vec<u8> {
    let digest = hex::encode(Sha256::digest(text));
    [LABEL, digest.as_bytes(), b"\n"].concat()
}

/// A text without the checksum in its last line, if it has one.
fn check(mut text: Zeroizing<Vec<u8>>) -> Result<KeyText, Damage> {
    let start = text.len().saturating_sub(LINE);
    let has_checksum = text[start..].starts_with(LABEL);
    if has_checksum {
        if line(&text[..start]) != text[start..] {
            return Err(Damage::Checksum);
        }
        text.truncate(start);
    }
    Ok(KeyText { text, has_checksum })
}

/// Reads a file that only its owner may have access to; `None` if it does not exist.
///
/// # Errors
/// Inner: the file is damaged. Outer: it cannot be read, or other users have access to it.
pub(super) fn read(path: &Path) -> Result<Result<Option<KeyText>, Damage>, FileError> {
    match durable_file::read_private(path, MAX_KEY_FILE) {
        Ok(text) => Ok(check(Zeroizing::new(text)).map(Some)),
        Err(error) if error.is_not_found() => Ok(Ok(None)),
        Err(FileError::TooLong { .. }) => Ok(Err(Damage::TooLong)),
        Err(error) => Err(error),
    }
}

/// Writes a file with its checksum, for its owner alone.
pub(super) fn write(path: &Path, text: &[u8]) -> Result<(), FileError> {
    // Allocated once, so that no copy of a key stays in freed memory.
    let mut sealed = Zeroizing::new(Vec::with_capacity(text.len() + 1 + LINE));
    sealed.extend_from_slice(text);
    if !text.ends_with(b"\n") {
        sealed.push(b'\n');
    }
    let line = line(&sealed);
    sealed.extend_from_slice(&line);
    durable_file::write(path, Access::Owner, &sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_changed_bit_of_a_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let text = br#"{"version":1,"keys":[12,34]}"#;
        write(&path, text).unwrap();
        let good = fs::read(&path).unwrap();
        let is_json = |text: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
        let read_back = |content: &[u8]| {
            durable_file::write(&path, Access::Owner, content).unwrap();
            read(&path).unwrap().map(|read| read.unwrap())
        };
        let whole = read_back(&good).ok().unwrap();
        assert!(whole.has_checksum && whole.text.starts_with(text));
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                // In the last line, the change may hide the checksum. Then the text is no JSON.
                let noticed = match read_back(&bad) {
                    Err(damage) => damage == Damage::Checksum,
                    Ok(read) => !read.has_checksum && !is_json(&read.text),
                };
                assert!(noticed, "{at} {bit}");
            }
        }
        let old = read_back(text).ok().unwrap();
        assert!(!old.has_checksum && *old.text == text);
        fs::remove_file(&path).unwrap();
        assert!(matches!(read(&path), Ok(Ok(None))));
    }

    #[test]
    fn files_are_read_up_to_their_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        for (length, is_read) in
            [(MAX_KEY_FILE - 1, true), (MAX_KEY_FILE, true), (MAX_KEY_FILE + 1, false)]
        {
            let text = vec![b' '; usize::try_from(length).unwrap()];
            durable_file::write(&path, Access::Owner, &text).unwrap();
            let damage = read(&path).unwrap().err();
            assert_eq!(damage, (!is_read).then_some(Damage::TooLong), "{length}");
        }
    }
}
