//! What the runs before have made, without another run.

use crate::build;
use crate::configuration::Configuration;
use crate::error::UpdateError;
use crate::outcome::{SourceReport, SourceState, Updated};
use crate::state::State;
use pir_dataset::Manifest;
use pir_dataset::files::DataSetFiles;
use unix_clock::Timestamp;

impl Updated {
    /// What the runs before have made, and when the last of them finished a step. Nothing is fetched or written. `None` if no
    /// run came to a data set yet, or one is not finished.
    ///
    /// # Errors
    /// [`UpdateError`] for a record that cannot be read.
    pub fn last(configuration: &Configuration) -> Result<Option<(Self, Timestamp)>, UpdateError> {
        let folders = &configuration.folders;
        let state = State::read(folders)?;
        let Some(built) = state.built else { return Ok(None) };
        let manifest = match Manifest::read(&DataSetFiles::new(folders.stem()).manifest()) {
            Err(error) if error.is_not_found() => return Ok(None),
            manifest => manifest?,
        };
        if state.processed.as_ref() != Some(&built.inputs) {
            return Ok(None);
        }
        let written = std::fs::metadata(folders.state()).and_then(|about| about.modified());
        let written = written.map_or(built.built_at, Timestamp::from);
        let taken = build::previous(folders)?.map(|build| build.taken).unwrap_or_default();
        let source = |list: &crate::configuration::List| {
            let copy = state.sources.get(&list.name)?;
            Some(SourceReport {
                name: list.name.clone(),
                state: SourceState::Unchanged,
                problem: None,
                fetched_at: copy.fetched_at,
                bytes: copy.bytes,
                entries: taken.get(&list.name).copied().unwrap_or(0),
                keys_in: None,
                keys_out: None,
            })
        };
        let updated = Self {
            built: false,
            processed: false,
            delivered: None,
            sources: configuration.lists.iter().filter_map(source).collect(),
            levels: Vec::new(),
            keys: built.keys,
            keys_in: None,
            keys_out: None,
            tag: built.tag,
            built_at: built.built_at,
            rows: manifest.rows,
            shard_count: manifest.shard_count,
            config_id: manifest.config_id,
            seconds: 0.0,
        };
        Ok(Some((updated, written)))
    }
}
