//! The metadata of a prefilter with a signature in it.

use super::gather::Gathered;
use super::release::{FILTER, FormatError, ReleasedFile, level_of};
use super::store::{ReleaseStoreError, file_error};
use crate::digest::sha256;
use durable_file::Operation;
use filter_core::file::raw::METADATA_FILE;
use release_signature::{SecretKey, SignedText};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Largest metadata, in bytes.
const MAX_METADATA: u64 = 1 << 20;
const SIGNED: &str = "signed";
const SIGNATURE: &str = "signature";

/// The files of a release, the metadata of the prefilter signed among them.
pub(super) struct SignedFiles {
    pub(super) files: Vec<(ReleasedFile, PathBuf)>,
    /// Removed when they are dropped.
    _metadata: Vec<NamedTempFile>,
}

impl SignedFiles {
    /// The files as they are.
    pub(super) fn unsigned(gathered: &Gathered) -> Self {
        Self { files: gathered.files.clone(), _metadata: Vec::new() }
    }

    /// Adds a signature to the metadata of the prefilter and of those of levels. Their other fields stay, for readers that
    /// look for no signature. Equal metadata gives equal bytes.
    pub(super) fn sign(
        gathered: &Gathered,
        use_case: &str,
        key: &SecretKey,
    ) -> Result<Self, ReleaseStoreError> {
        let mut files = gathered.files.clone();
        let mut copies = Vec::new();
        for (file, path) in &mut files {
            let level = match level_of(&file.name) {
                Some((level, "json")) => Some(level),
                _ if file.name == format!("{FILTER}{METADATA_FILE}") => None,
                _ => continue,
            };
            let text = signed_metadata(file, path, use_case, level, key)?;
            let mut copy = NamedTempFile::new().map_err(file_error(Operation::Write, path))?;
            copy.write_all(&text).map_err(file_error(Operation::Write, path))?;
            (file.bytes, file.sha256) = (text.len() as u64, sha256(&text));
            *path = copy.path().to_owned();
            copies.push(copy);
        }
        Ok(Self { files, _metadata: copies })
    }
}

/// The text of a metadata file with a signature, which names the use case, and the level if it is one of a level: so no level
/// can be put in the place of another.
fn signed_metadata(
    file: &ReleasedFile,
    path: &Path,
    use_case: &str,
    level: Option<&str>,
    key: &SecretKey,
) -> Result<Vec<u8>, ReleaseStoreError> {
    let text = durable_file::read(path, MAX_METADATA)?;
    if sha256(&text) != file.sha256 {
        return Err(ReleaseStoreError::FileChanged { path: path.to_owned() });
    }
    let wrong = |error: serde_json::Error| ReleaseStoreError::Format {
        name: path.display().to_string(),
        source: FormatError::Json { source: error.into() },
    };
    let mut metadata: Map<String, Value> = serde_json::from_slice(&text).map_err(wrong)?;
    metadata.remove(SIGNED);
    metadata.remove(SIGNATURE);
    let mut statement = json!({ "useCase": use_case, "metadata": metadata });
    if let (Some(level), Value::Object(fields)) = (level, &mut statement) {
        fields.insert("level".to_owned(), level.into());
    }
    let comment = "prefilter of a url-filter publication";
    let signed = SignedText::new(statement.to_string(), comment, key);
    let Value::Object(fields) = serde_json::to_value(signed).map_err(wrong)? else {
        unreachable!("a signed text is an object");
    };
    metadata.extend(fields);
    let mut text = serde_json::to_vec_pretty(&metadata).map_err(wrong)?;
    text.push(b'\n');
    Ok(text)
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
                levels: Vec::new(),
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
