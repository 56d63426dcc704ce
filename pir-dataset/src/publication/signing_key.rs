//! The key that signs what is published: in a file, or in a variable where secrets come in variables.

use crate::Cause;
use durable_file::FileError;
use release_signature::{PublicKey, SecretKey};
use std::env::VarError;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The variable that holds the content of a key file.
pub const SIGNING_KEY_VARIABLE: &str = "URLFILTER_SIGNING_KEY";
/// Longest file of a key that is read, in bytes.
const MAX_KEY: u64 = 1 << 16;

/// A key cannot sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The file cannot be read, or others than its owner have access to it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds no key.
    #[error("{}: cannot sign with it", path.display())]
    Key {
        /// The file that was named for the key.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// The variable holds no key.
    #[error("{SIGNING_KEY_VARIABLE}: cannot sign with it")]
    Variable {
        /// What is wrong with it.
        source: Cause,
    },
}

/// The secret key in a file or, if none is named, in the variable; `None` if there is neither.
///
/// # Errors
/// [`SigningKeyError`], if there is one that cannot be used.
pub fn signing_key(file: Option<&Path>) -> Result<Option<SecretKey>, SigningKeyError> {
    match file {
        Some(path) => read(path).map(Some),
        None => of_variable(std::env::var(SIGNING_KEY_VARIABLE).map(Zeroizing::new)),
    }
}

fn read(path: &Path) -> Result<SecretKey, SigningKeyError> {
    let unusable = |source: Cause| SigningKeyError::Key { path: path.to_owned(), source };
    let text = match durable_file::read_private(path, MAX_KEY) {
        // Public keys are open to all users, and nothing would be won by closing them.
        Err(FileError::Exposed { .. }) if is_public_key(path) => {
            return Err(unusable(
                "it is a public key; sign with the secret key of the pair".into(),
            ));
        }
        text => Zeroizing::new(text?),
    };
    let text = std::str::from_utf8(&text).map_err(|error| unusable(error.into()))?;
    SecretKey::parse(text).map_err(|error| unusable(error.into()))
}

fn is_public_key(path: &Path) -> bool {
    let text = durable_file::read(path, MAX_KEY).ok().map(String::from_utf8);
    matches!(text, Some(Ok(text)) if PublicKey::parse(&text).is_ok())
}

fn of_variable(
    value: Result<Zeroizing<String>, VarError>,
) -> Result<Option<SecretKey>, SigningKeyError> {
    let unusable = |source: Cause| SigningKeyError::Variable { source };
    match value {
        Ok(text) => SecretKey::parse(&text).map(Some).map_err(|error| unusable(error.into())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(unusable("expected text in UTF-8".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_a_file_or_in_a_variable() {
        let key = SecretKey::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        durable_file::write(&path, durable_file::Access::Owner, key.to_file().as_bytes()).unwrap();
        let public = key.public().to_string();
        let read = signing_key(Some(&path)).unwrap().unwrap();
        assert_eq!(read.public().to_string(), public);
        let text = Zeroizing::new(key.to_file().to_string());
        let read = of_variable(Ok(text)).unwrap().unwrap();
        assert_eq!(read.public().to_string(), public);
        assert!(of_variable(Err(VarError::NotPresent)).unwrap().is_none());

        let empty = of_variable(Ok(Zeroizing::new(String::new()))).unwrap_err().to_string();
        assert_eq!(empty, "URLFILTER_SIGNING_KEY: cannot sign with it");
        durable_file::write(&path, durable_file::Access::Owner, b"no key").unwrap();
        let error = signing_key(Some(&path)).unwrap_err().to_string();
        assert!(error.ends_with("key: cannot sign with it"), "{error}");
        // Closing a public key to other users would not help.
        let public = folder.path().join("key.pub");
        std::fs::write(&public, key.public().to_string()).unwrap();
        let error = signing_key(Some(&public)).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("it is a public key"), "{cause}");
        let missing = signing_key(Some(&folder.path().join("missing"))).unwrap_err();
        assert!(matches!(missing, SigningKeyError::File(error) if error.is_not_found()));
    }
}
