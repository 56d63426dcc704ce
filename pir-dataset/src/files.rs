//! Names of the files of a data set, and parameter files.

use durable_file::FileError;
use keyword_pir::ShardParameters;
use pir_api::convert::ConvertError;
use pir_api::text::{self, TextError};
use pir_api::{Message, pir};
use std::path::{Path, PathBuf};

/// Largest parameter file that is read, in bytes.
pub const MAX_PARAMETERS: u64 = text::MAX_TEXT as u64;

/// What the name of a manifest adds to the stem of its data set.
pub const MANIFEST_SUFFIX: &str = "-manifest.json";

/// What the name of a shard's database adds to the stem of its data set.
#[must_use]
pub fn database_suffix(shard: u32) -> String {
    format!("-{shard}.bin")
}

/// What the name of a shard's parameter file adds to the stem of its data set.
#[must_use]
pub fn parameters_suffix(shard: u32) -> String {
    format!("-{shard}.params.txtpb")
}

/// Where the files of a data set are: all names begin with one stem, such as `dist/urls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSetFiles {
    stem: PathBuf,
}

impl DataSetFiles {
    /// The files whose names begin with a stem.
    pub fn new(stem: impl Into<PathBuf>) -> Self {
        Self { stem: stem.into() }
    }

    /// What all names begin with.
    #[must_use]
    pub fn stem(&self) -> &Path {
        &self.stem
    }

    /// The stem with a suffix.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> PathBuf {
        with_suffix(&self.stem, suffix)
    }

    /// The manifest, `<stem>-manifest.json`.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.with_suffix(MANIFEST_SUFFIX)
    }

    /// The processed database of a shard, `<stem>-<shard>.bin`.
    #[must_use]
    pub fn database(&self, shard: u32) -> PathBuf {
        self.with_suffix(&database_suffix(shard))
    }

    /// The parameters of a shard, `<stem>-<shard>.params.txtpb`.
    #[must_use]
    pub fn parameters(&self, shard: u32) -> PathBuf {
        self.with_suffix(&parameters_suffix(shard))
    }
}

/// A path with a suffix to the name of its file.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// A parameter file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not the text form of parameters.
    #[error("{}: not the text form of PIR parameters", path.display())]
    Text {
        /// The file of the parameters.
        path: PathBuf,
        /// The mistake and its line.
        source: TextError,
    },
    /// The file is not a serialized message.
    #[error("{}: not a serialized PirParameters message", path.display())]
    Serialized {
        /// The file of the parameters.
        path: PathBuf,
    },
    /// The parameters cannot be used.
    #[error("{}: these parameters cannot be served", path.display())]
    Parameters {
        /// The file of the parameters.
        path: PathBuf,
        /// What is missing or out of range.
        source: ConvertError,
    },
}

/// Whether a file of this name has the protobuf text format (`.txtpb`) or serialized messages (any other).
pub(crate) fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "txtpb")
}

/// Reads the parameters of a shard: text if the name ends in `.txtpb`, otherwise a serialized message.
///
/// # Errors
/// [`ParametersError`], with the file's name.
pub fn read_parameters(path: &Path) -> Result<ShardParameters, ParametersError> {
    read_parameters_as(path, is_text(path))
}

/// As [`read_parameters`], of a file whose name does not tell its form.
pub(crate) fn read_parameters_as(
    path: &Path,
    is_text: bool,
) -> Result<ShardParameters, ParametersError> {
    let bytes = durable_file::read(path, MAX_PARAMETERS)?;
    let message: pir::PirParameters = if is_text {
        text::from_text(&bytes)
            .map_err(|source| ParametersError::Text { path: path.to_owned(), source })?
    } else {
        Message::decode(&bytes[..])
            .map_err(|_| ParametersError::Serialized { path: path.to_owned() })?
    };
    ShardParameters::try_from(&message)
        .map_err(|source| ParametersError::Parameters { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        let files = DataSetFiles::new("dist/urls");
        assert_eq!(files.database(12), Path::new("dist/urls-12.bin"));
        assert_eq!(files.parameters(0), Path::new("dist/urls-0.params.txtpb"));
        assert_eq!(files.manifest(), Path::new("dist/urls-manifest.json"));
    }

    #[test]
    fn errors_of_parameter_files_name_the_file_and_keep_their_cause() {
        use std::error::Error;
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("a.txtpb");
        std::fs::write(&text, "dimensions: [").unwrap();
        let error = read_parameters(&text).unwrap_err();
        assert!(matches!(error, ParametersError::Text { .. }), "{error:?}");
        assert!(error.to_string().contains("a.txtpb"));
        assert!(!error.to_string().contains(&error.source().unwrap().to_string()));
        std::fs::write(&text, "batch_size: 1").unwrap();
        assert!(matches!(read_parameters(&text), Err(ParametersError::Parameters { .. })));
        let serialized = folder.path().join("a.binpb");
        std::fs::write(&serialized, [0x0b]).unwrap();
        assert!(matches!(read_parameters(&serialized), Err(ParametersError::Serialized { .. })));
        let missing = read_parameters(&folder.path().join("b.txtpb"));
        assert!(matches!(missing, Err(ParametersError::File(error)) if error.is_not_found()));
    }

    #[test]
    fn the_length_of_parameter_files_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txtpb");
        for (length, is_read) in
            [(MAX_PARAMETERS - 1, true), (MAX_PARAMETERS, true), (MAX_PARAMETERS + 1, false)]
        {
            std::fs::write(&path, vec![b'#'; length as usize]).unwrap();
            // A comment alone is an empty message, which lacks everything.
            match read_parameters(&path) {
                Err(ParametersError::Parameters { .. }) => assert!(is_read),
                Err(ParametersError::File(FileError::TooLong { .. })) => assert!(!is_read),
                other => panic!("{other:?}"),
            }
        }
    }
}
