//! What the last run has finished: one file, which is replaced whole after each step.

use crate::configuration::{Configuration, List};
use crate::error::UpdateError;
use crate::files::FileRecords;
use crate::folders::Folders;
use durable_file::Access;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use unix_clock::Timestamp;

/// The version of the format.
const VERSION: u32 = 1;
/// Largest record that is read, in bytes.
const MAX_STATE: u64 = 16 << 20;

/// A copy of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceCopy {
    /// Where it is from, as the configuration says.
    pub(crate) location: String,
    /// SHA-256 of its content, hexadecimal: the name of its file.
    pub(crate) sha256: String,
    /// Length of its content, in bytes.
    pub(crate) bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) last_modified: Option<String>,
    /// When it was fetched, or found to be current after it had expired.
    pub(crate) fetched_at: Timestamp,
    /// How long the list asks not to be fetched again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) expires_seconds: Option<u64>,
}

/// A finished build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BuiltState {
    /// SHA-256 of the settings and of all lists, hexadecimal.
    pub(crate) inputs: String,
    /// The tag of the prefilter.
    pub(crate) tag: String,
    pub(crate) keys: u64,
    pub(crate) built_at: Timestamp,
}

/// A result that was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveredState {
    pub(crate) inputs: String,
    pub(crate) to: String,
    /// SHA-256 of everything else that decides what is delivered and how, hexadecimal. Records of earlier versions have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) settings: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) release: Option<String>,
    pub(crate) delivered_at: Timestamp,
}

/// What an update leaves for the next one: `state.json` in the folder of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    version: u32,
    /// The copies that the build was made of, by the names of their lists.
    pub(crate) sources: BTreeMap<String, SourceCopy>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) built: Option<BuiltState>,
    /// The inputs of the build whose rows the data set has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) processed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) delivered: Option<DeliveredState>,
    /// The files of the build and of its levels. Records of earlier versions have none: their files are made again.
    #[serde(skip_serializing_if = "FileRecords::is_empty", default)]
    pub(crate) build_files: FileRecords,
    /// The files of the data set.
    #[serde(skip_serializing_if = "FileRecords::is_empty", default)]
    pub(crate) data_files: FileRecords,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            sources: BTreeMap::new(),
            built: None,
            processed: None,
            delivered: None,
            build_files: FileRecords::new(),
            data_files: FileRecords::new(),
        }
    }
}

impl State {
    /// The names under which the build before had a list: its own, else those of lists at the same place whose names the
    /// configuration does not have any more, so that the list may be one of them under a new name.
    pub(crate) fn names_before(&self, list: &List, configuration: &Configuration) -> Vec<String> {
        if self.sources.contains_key(&list.name) {
            return vec![list.name.clone()];
        }
        let location = list.location.to_string();
        let at_its_place = self
            .sources
            .iter()
            .filter(|(name, copy)| copy.location == location && configuration.list(name).is_none());
        at_its_place.map(|(name, _)| name.clone()).collect()
    }

    /// Reads the record; an empty one if there is none.
    pub(crate) fn read(folders: &Folders) -> Result<Self, UpdateError> {
        let path = folders.state();
        let content = match durable_file::read(&path, MAX_STATE) {
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            content => content?,
        };
        let unusable =
            |source: pir_dataset::Cause| UpdateError::State { path: path.clone(), source };
        let state: Self =
            serde_json::from_slice(&content).map_err(|error| unusable(error.into()))?;
        match state.version {
            VERSION => Ok(state),
            other => Err(unusable(format!("version {other} of the format is not known").into())),
        }
    }

    pub(crate) fn write(&self, folders: &Folders) -> Result<(), UpdateError> {
        let mut json = serde_json::to_vec_pretty(self).expect("a record is JSON");
        json.push(b'\n');
        // Addresses of lists may hold a key.
        Ok(durable_file::write(&folders.state(), Access::Owner, &json)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders::new(folder.path().to_owned());
        let path = folders.state();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        State::default().write(&folders).unwrap();
        let record = std::fs::read(&path).unwrap();
        for length in [MAX_STATE - 1, MAX_STATE, MAX_STATE + 1] {
            let mut padded = record.clone();
            padded.resize(usize::try_from(length).unwrap(), b'\n');
            std::fs::write(&path, padded).unwrap();
            assert_eq!(State::read(&folders).is_ok(), length <= MAX_STATE, "{length}");
        }
    }
}
