//! Prefilters that a trusted key has signed.

use super::{MAX_METADATA, PrefilterError};
use filter_core::Prefilter;
use filter_core::file::{ContentError, FileError, raw};
use release_signature::{SignedText, TrustedKeys};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Whose prefilters are used: those whose metadata one of these keys has signed for a use case, as
/// `urlfilter publish --sign` does.
///
/// A signature does not tell whether a prefilter is the newest one: whoever can replace the files of a
/// publication can put an earlier one back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefilterTrust {
    keys: TrustedKeys,
    use_case: String,
    level: Option<String>,
}

/// What is signed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Statement {
    use_case: String,
    #[serde(default)]
    level: Option<String>,
    metadata: raw::Metadata,
}

impl PrefilterTrust {
    /// Trusts these keys for a use case.
    #[must_use]
    pub fn new(keys: TrustedKeys, use_case: impl Into<String>) -> Self {
        Self { keys, use_case: use_case.into(), level: None }
    }

    /// Trusts them for a level of the use case alone: the signature of another level's prefilter, or of that of the whole
    /// data set, does not count.
    #[must_use]
    pub fn for_level(mut self, level: impl Into<String>) -> Self {
        self.level = Some(level.into());
        self
    }

    /// The metadata that was signed. Nothing else of the content is used.
    pub(super) fn metadata(&self, content: &[u8]) -> Result<raw::Metadata, PrefilterError> {
        raw::Metadata::parse(content)?;
        let signed: SignedText =
            serde_json::from_slice(content).map_err(|_| PrefilterError::Unsigned)?;
        let text = signed.verify(&self.keys)?;
        let statement: Statement =
            serde_json::from_str(text).map_err(|_| PrefilterError::OtherPrefilter)?;
        if statement.use_case != self.use_case {
            return Err(PrefilterError::UseCase { found: statement.use_case });
        }
        match statement.level == self.level {
            true => Ok(statement.metadata),
            false => Err(PrefilterError::Level { found: statement.level }),
        }
    }

    /// Checks a prefilter that was opened from a file, or from the folder of a build.
    pub(super) fn check_file(
        &self,
        path: &Path,
        prefilter: &Prefilter,
    ) -> Result<(), PrefilterError> {
        let path = match path.is_dir() {
            true => path.join(raw::METADATA_FILE),
            false => path.with_extension("json"),
        };
        let failed = |source| FileError::Io { path: path.clone(), source };
        let mut content = Vec::new();
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(PrefilterError::Unsigned);
            }
            file => file.map_err(failed)?,
        };
        file.take(MAX_METADATA as u64 + 1).read_to_end(&mut content).map_err(failed)?;
        if content.len() > MAX_METADATA {
            let source = ContentError::TooLarge { max: MAX_METADATA as u64 };
            return Err(FileError::Content { path, source }.into());
        }
        match self.metadata(&content)? == prefilter.metadata() {
            true => Ok(()),
            false => Err(PrefilterError::OtherPrefilter),
        }
    }
}
