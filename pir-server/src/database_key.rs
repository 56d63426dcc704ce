//! The key of a symmetric data set, which needs the feature `symmetric`.

use crate::configuration::UseCase;
use crate::data_set_error::{DataSetError, Mismatch, mismatch};
use keyword_pir::{DatabaseKind, ShardParameters};
use std::path::Path;

#[cfg(feature = "symmetric")]
pub(crate) use keyword_pir::symmetric::DatabaseKey;

/// A program without the feature has no such key.
#[cfg(not(feature = "symmetric"))]
pub(crate) enum DatabaseKey {}

#[cfg(not(feature = "symmetric"))]
impl DatabaseKey {
    pub(crate) fn answer(&self, _: &[u8]) -> Result<(Vec<u8>, Vec<u8>), std::convert::Infallible> {
        match *self {}
    }
}

/// Reads the key that the data set of a use case was processed with; `None` unless it is symmetric.
///
/// # Errors
/// [`DataSetError`] if the configuration names no key and the data set needs one, or the other way round, or it is
/// another key.
pub(crate) fn read(
    use_case: &UseCase,
    stem: &Path,
    parameters: &ShardParameters,
) -> Result<Option<DatabaseKey>, DataSetError> {
    let symmetric = match &parameters.description().kind {
        DatabaseKind::Keyword { symmetric, .. } => symmetric.as_ref(),
        DatabaseKind::Index { .. } => None,
    };
    match (symmetric, use_case.database_key.as_ref()) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(mismatch(stem, Mismatch::NotSymmetric)),
        #[cfg(not(feature = "symmetric"))]
        (Some(_), _) => Err(mismatch(stem, Mismatch::Feature)),
        #[cfg(feature = "symmetric")]
        (Some(_), None) => Err(mismatch(stem, Mismatch::NoKey)),
        #[cfg(feature = "symmetric")]
        (Some(symmetric), Some(path)) => read_file(path, &symmetric.server_public_key).map(Some),
    }
}

/// Largest file with the key of a symmetric data set, in bytes.
#[cfg(feature = "symmetric")]
const MAX_DATABASE_KEY: u64 = 4096;

#[cfg(feature = "symmetric")]
fn read_file(path: &Path, public_key: &[u8]) -> Result<DatabaseKey, DataSetError> {
    let bytes = zeroize::Zeroizing::new(durable_file::read(path, MAX_DATABASE_KEY)?);
    let key = DatabaseKey::from_hex(&bytes)
        .map_err(|source| DataSetError::DatabaseKey { path: path.to_owned(), source })?;
    match key.public_key() == public_key {
        true => Ok(key),
        false => Err(mismatch(path, Mismatch::OtherKey)),
    }
}

#[cfg(all(test, feature = "symmetric"))]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = DatabaseKey::generate().unwrap();
        for length in [MAX_DATABASE_KEY - 1, MAX_DATABASE_KEY, MAX_DATABASE_KEY + 1] {
            let mut text = key.to_hex().as_bytes().to_vec();
            text.resize(usize::try_from(length).unwrap(), b'\n');
            std::fs::write(&path, text).unwrap();
            // The text is no key: it is too long for one.
            let error = read_file(&path, &key.public_key()).err().unwrap();
            let is_read = matches!(error, DataSetError::DatabaseKey { .. });
            assert_eq!(is_read, length <= MAX_DATABASE_KEY, "{length}: {error}");
        }
    }
}
