//! What a node believes: announcements that a trusted key has signed, each newer than the one before.

use super::current::Current;
use super::store::{ReleaseStoreError, file_error};
use super::trust_error::TrustError;
use durable_file::{Access, Operation};
use release_signature::TrustedKeys;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// Name of the file that records the newest announcement.
const ACCEPTED: &str = "accepted.json";
/// Largest `accepted.json`, in bytes.
const MAX_ACCEPTED: u64 = 4096;
const VERSION: u32 = 1;

/// `accepted.json`: the newest announcement that this machine has accepted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Accepted {
    version: u32,
    sequence: u64,
    /// SHA-256 of the signed text.
    sha256: String,
}

/// Checks an announcement against the newest one that was accepted here, and records it if it is newer.
pub(super) fn accept(
    folder: &Path,
    current: &Current,
    use_case: &str,
    keys: &TrustedKeys,
    name: &str,
) -> Result<(), ReleaseStoreError> {
    let trust = |source| ReleaseStoreError::Trust { name: name.to_owned(), source };
    let announcement = current.verify(use_case, keys).map_err(trust)?;
    let new = Accepted {
        version: VERSION,
        sequence: announcement.sequence,
        sha256: announcement.sha256(),
    };
    let path = folder.join(ACCEPTED);
    let accepted: Option<Accepted> = match durable_file::read(&path, MAX_ACCEPTED) {
        Err(error) if error.is_not_found() => None,
        text => Some(serde_json::from_slice(&text?).map_err(|error| {
            let source = super::release::FormatError::Json { source: error.into() };
            ReleaseStoreError::Format { name: path.display().to_string(), source }
        })?),
    };
    match accepted {
        Some(accepted) if accepted.sequence > new.sequence => {
            let (accepted, found) = (accepted.sequence, new.sequence);
            Err(trust(TrustError::Older { accepted, found }))
        }
        Some(accepted) if accepted == new => Ok(()),
        Some(accepted) if accepted.sequence == new.sequence => {
            Err(trust(TrustError::Ambiguous { sequence: new.sequence }))
        }
        _ => {
            fs::create_dir_all(folder).map_err(file_error(Operation::Write, folder))?;
            let text = serde_json::to_vec_pretty(&new).expect("plain data has a JSON text");
            Ok(durable_file::write(&path, Access::Everyone, &text)?)
        }
    }
}

#[cfg(all(test, feature = "publisher"))]
mod tests {
    use super::*;
    use crate::publication::ReleaseName;
    use durable_file::FileError;

    #[test]
    fn the_record_of_the_newest_announcement_is_read_up_to_its_limit() {
        let key = release_signature::SecretKey::generate().unwrap();
        let keys = TrustedKeys::new(vec![key.public()]).unwrap();
        let name = ReleaseName::new("new".to_owned(), "0".repeat(64)).unwrap();
        let current = Current::new(name, None, None).sign("use", 7, false, &key);
        let folder = tempfile::tempdir().unwrap();
        accept(folder.path(), &current, "use", &keys, "current.json").unwrap();
        let path = folder.path().join(ACCEPTED);
        let text = fs::read(&path).unwrap();
        let max = usize::try_from(MAX_ACCEPTED).unwrap();
        for length in [max - 1, max, max + 1] {
            let mut padded = text.clone();
            padded.resize(length, b' ');
            fs::write(&path, padded).unwrap();
            let outcome = accept(folder.path(), &current, "use", &keys, "current.json");
            match length > max {
                true => assert!(matches!(
                    outcome,
                    Err(ReleaseStoreError::File(FileError::TooLong { .. }))
                )),
                false => assert!(outcome.is_ok(), "{length}: {outcome:?}"),
            }
        }
    }
}
