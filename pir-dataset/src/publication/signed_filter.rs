//! The metadata of a prefilter with a signature in it.

use super::gather::Gathered;
use super::release::{FILTER, FormatError, ReleasedFile};
use super::store::{ReleaseStoreError, file_error};
use crate::digest::sha256;
use durable_file::Operation;
use filter_core::file::raw::METADATA_FILE;
use release_signature::{SecretKey, SignedText};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;
use tempfile::NamedTempFile;

/// Largest metadata, in bytes.
const MAX_METADATA: u64 = 1 << 20;
const SIGNED: &str = "signed";
const SIGNATURE: &str = "signature";

/// The files of a release, the metadata of the prefilter signed among them.
pub(super) struct SignedFiles {
    pub(super) files: Vec<(ReleasedFile, PathBuf)>,
    /// Removed when it is dropped.
    _metadata: Option<NamedTempFile>,
}

impl SignedFiles {
    /// The files as they are.
    pub(super) fn unsigned(gathered: &Gathered) -> Self {
        Self { files: gathered.files.clone(), _metadata: None }
    }

    /// Adds a signature to the metadata. Its other fields stay, for readers that look for no signature. Equal
    /// metadata gives equal bytes.
    pub(super) fn sign(
        gathered: &Gathered,
        use_case: &str,
        key: &SecretKey,
    ) -> Result<Self, ReleaseStoreError> {
        let mut files = gathered.files.clone();
        let name = format!("{FILTER}{METADATA_FILE}");
        let Some((file, path)) = files.iter_mut().find(|(file, _)| file.name == name) else {
            return Ok(Self { files, _metadata: None });
        };
        let text = durable_file::read(path, MAX_METADATA)?;
        if sha256(&text) != file.sha256 {
            return Err(ReleaseStoreError::FileChanged { path: path.clone() });
        }
        let wrong = |error: serde_json::Error| ReleaseStoreError::Format {
            name: path.display().to_string(),
            source: FormatError::Json { source: error.into() },
        };
        let mut metadata: Map<String, Value> = serde_json::from_slice(&text).map_err(wrong)?;
        metadata.remove(SIGNED);
        metadata.remove(SIGNATURE);
        let signed = json!({ "useCase": use_case, "metadata": metadata }).to_string();
        let signed = SignedText::new(signed, "prefilter of a url-filter publication", key);
        let Value::Object(fields) = serde_json::to_value(signed).map_err(wrong)? else {
            unreachable!("a signed text is an object");
        };
        metadata.extend(fields);
        let mut text = serde_json::to_vec_pretty(&metadata).map_err(wrong)?;
        text.push(b'\n');
        let mut copy = NamedTempFile::new().map_err(file_error(Operation::Write, path))?;
        copy.write_all(&text).map_err(file_error(Operation::Write, path))?;
        (file.bytes, file.sha256) = (text.len() as u64, sha256(&text));
        *path = copy.path().to_owned();
        Ok(Self { files, _metadata: Some(copy) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use durable_file::FileError;

    #[test]
    fn metadata_are_signed_up_to_their_limit() {
        let key = SecretKey::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METADATA_FILE);
        let max = usize::try_from(MAX_METADATA).unwrap();
        for length in [max - 1, max, max + 1] {
            let mut text = b"{}".to_vec();
            text.resize(length, b' ');
            std::fs::write(&path, &text).unwrap();
            let file = ReleasedFile {
                name: format!("{FILTER}{METADATA_FILE}"),
                bytes: text.len() as u64,
                sha256: sha256(&text),
            };
            let gathered = Gathered {
                files: vec![(file, path.clone())],
                config_id: String::new(),
                shard_count: 1,
                rows: 1,
            };
            let outcome = SignedFiles::sign(&gathered, "use", &key);
            match length > max {
                true => assert!(matches!(
                    outcome.err(),
                    Some(ReleaseStoreError::File(FileError::TooLong { .. }))
                )),
                false => assert!(outcome.is_ok(), "{length}"),
            }
        }
    }
}
