//! Which files another tool made.

use super::Maker;
use crate::configuration::Configuration;
use crate::file_sha256;
use crate::manifest::ShardRecord;
use crate::processing::error::ProcessError;
use crate::processing::format::DatabaseFormat;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

impl Maker<'_> {
    /// Refuses to replace a file that another tool made: one that neither the manifest nor a journal has, or a database of Apple's
    /// format that is not the one that they have. Where this run writes that format itself, such a file may be a damaged one of
    /// its own, and is made again.
    pub(super) fn refuse_foreign(
        &self,
        configuration: &Configuration,
        format: DatabaseFormat,
        shard_count: u32,
    ) -> Result<(), ProcessError> {
        let mut records: BTreeMap<u32, Vec<&ShardRecord>> = BTreeMap::new();
        let journaled = self.journals.records();
        let existing = self.existing.iter().flat_map(|existing| &existing.shards);
        for record in existing.chain(&journaled) {
            records.entry(record.shard).or_default().push(record);
        }
        // One that is damaged, or of another tool, does not say who made the shards.
        let has_unread_manifest =
            self.existing.is_none() && self.manifest_path.symlink_metadata().is_ok();
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let is_apples = |path: &Path| format == DatabaseFormat::Native && begins_as_apples(path);
        let foreign_of = |shard: u32| {
            let database = configuration.output_database.of_shard(shard);
            let parameters = configuration.output_parameters.of_shard(shard);
            match records.get(&shard) {
                Some(records) => {
                    let is_recorded = || {
                        file_sha256(&database).is_ok_and(|sha256| {
                            records.iter().any(|record| record.database_sha256 == sha256)
                        })
                    };
                    // What is damaged is made again.
                    (is_apples(&database) && !is_recorded()).then_some(database)
                }
                None if has_unread_manifest => is_apples(&database).then_some(database),
                None => [database, parameters].into_iter().find(|path| is_there(path)),
            }
        };
        let keys = configuration.output_evaluation_key_config.clone();
        let keys = keys.filter(|path| records.is_empty() && !has_unread_manifest && is_there(path));
        match keys.or_else(|| (0..shard_count).find_map(foreign_of)) {
            Some(path) => {
                Err(ProcessError::ForeignFile { path, manifest: self.manifest_path.clone() })
            }
            None => Ok(()),
        }
    }
}

/// Whether a file begins as the databases of Apple's tool do: a byte 1, the number of plaintexts, and whether the first one is
/// there.
fn begins_as_apples(path: &Path) -> bool {
    let mut first = [0; 6];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
    let [version, count @ .., tag] = first;
    read.is_ok() && version == 1 && u32::from_le_bytes(count) > 0 && tag <= 1
}
