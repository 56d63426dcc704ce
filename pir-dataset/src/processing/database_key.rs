//! The key of a symmetric database.

use super::error::ProcessError;
use crate::configuration::SymmetricPir;
use keyword_pir::symmetric::DatabaseKey;
use std::fs::OpenOptions;
use std::io::Write;
use zeroize::Zeroizing;

/// Largest key file, in bytes.
const MAX_KEY_FILE: u64 = 4096;

/// Reads the configured key, or draws one and writes it for its owner alone.
pub(super) fn read_or_create(symmetric: &SymmetricPir) -> Result<DatabaseKey, ProcessError> {
    if let Some(path) = &symmetric.database_encryption_key_file_path {
        let text = Zeroizing::new(durable_file::read(path, MAX_KEY_FILE)?);
        return DatabaseKey::from_hex(&text).map_err(|error| ProcessError::DatabaseKey {
            path: path.clone(),
            source: error.into(),
        });
    }
    let key = DatabaseKey::generate()
        .map_err(|error| ProcessError::Encryption { source: error.into() })?;
    let path = symmetric
        .output_database_encryption_key_file_path
        .as_deref()
        .expect("a valid configuration has exactly one of the two paths");
    // An existing key is never replaced: databases could not be read without it.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(key.to_hex().as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| ProcessError::NewDatabaseKey { path: path.to_owned(), source })?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let symmetric = SymmetricPir {
            database_encryption_key_file_path: Some(path.clone()),
            output_database_encryption_key_file_path: None,
            config_type: None,
        };
        let key = DatabaseKey::generate().unwrap();
        for length in [MAX_KEY_FILE - 1, MAX_KEY_FILE, MAX_KEY_FILE + 1] {
            let mut text = key.to_hex().as_bytes().to_vec();
            text.resize(usize::try_from(length).unwrap(), b'\n');
            std::fs::write(&path, text).unwrap();
            // The text is no key: it is too long for one.
            let error = read_or_create(&symmetric).err().unwrap();
            let is_read = matches!(error, ProcessError::DatabaseKey { .. });
            assert_eq!(is_read, length <= MAX_KEY_FILE, "{length}: {error}");
        }
    }
}
