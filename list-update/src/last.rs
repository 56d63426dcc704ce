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
        let numbers = build::previous(folders, false)?.map(|build| build.sources);
        let numbers = numbers.unwrap_or_default();
        let source = |list: &crate::configuration::List| {
            let copy = state.sources.get(&list.name)?;
            let numbers = numbers.get(&list.name).cloned().unwrap_or_default();
            Some(SourceReport::new(&list.name, SourceState::Unchanged, copy, numbers))
        };
        let updated = Self {
            built: false,
            processed: false,
            delivered: None,
            sources: configuration.lists.iter().filter_map(source).collect(),
            removed: Vec::new(),
            warnings: Vec::new(),
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
