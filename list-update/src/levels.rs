//! Levels: prefilters of some of the lists, over one data set.
//!
//! The keys of a level are those keys of the build that a list of the level gave. So each of them has a row, and an exception
//! of any list holds for all levels.

use crate::build;
use crate::configuration::Configuration;
use crate::copies::file_error;
use crate::error::UpdateError;
use crate::outcome::LevelReport;
use blocklist::builder::{Built, KeyOrigins, ORIGINS_FILE, PLIST_FILE};
use durable_file::{Access, FileSet, Operation};
use filter_core::file::raw::{BITS_FILE, METADATA_FILE};
use pir_dataset::level::{LEVEL_FILE, LevelFile, blocked_by_chance};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};

/// Makes the prefilters of all levels of a build that was written, and removes those of levels that are no more.
pub(crate) fn write(
    configuration: &Configuration,
    built: &Built,
) -> Result<Vec<LevelReport>, UpdateError> {
    let (folders, levels) = (&configuration.folders, configuration.levels());
    remove_others(configuration, &levels)?;
    if levels.is_empty() {
        return Ok(Vec::new());
    }
    let tag = built.prefilter.tag();
    let path = folders.build().join(ORIGINS_FILE);
    let unreadable = |error: io::Error| file_error(Operation::Read, &path)(error);
    let input = BufReader::new(File::open(&path).map_err(unreadable)?);
    let mut origins =
        KeyOrigins::open(input, &tag).map_err(|error| unreadable(io::Error::other(error)))?;
    // Of each key the levels that have it, as bits by the place of the level.
    let of_list = |name: Option<&str>| -> u64 {
        let list = name.and_then(|name| configuration.list(name));
        match list.map(|list| &list.levels) {
            None => u64::MAX,
            Some(all) if all.is_empty() => u64::MAX,
            Some(some) => {
                let bits = levels.iter().zip(0_u32..).filter(|(level, _)| some.contains(level));
                bits.fold(0, |bits, (_, place)| bits | 1 << place)
            }
        }
    };
    let mut members = Vec::with_capacity(built.keys.len());
    for row in 0..built.keys.len() as u64 {
        let origins = origins.of(row).map_err(|error| unreadable(io::Error::other(error)))?;
        let lists = origins.iter().map(|origin| of_list(origin.list.as_deref()));
        members.push(lists.fold(0, |bits, more| bits | more));
    }
    let mut reports = Vec::new();
    for (level, place) in levels.iter().zip(0_u32..) {
        let all = built.keys.iter().zip(&members);
        let has = all.filter(|(_, bits)| **bits >> place & 1 == 1);
        let keys: Vec<&[u8]> = has.map(|(key, _)| key).collect();
        let count = keys.len() as u64;
        if count == 0 {
            return Err(UpdateError::EmptyLevel { level: level.clone() });
        }
        let prefilter = build::prefilter(built, &configuration.build, &keys)?;
        let mut files = FileSet::new(&folders.levels().join(level))?;
        files.add(PLIST_FILE, Access::Everyone, |out| {
            prefilter.write_plist(out).map_err(io::Error::from)
        })?;
        files.add(BITS_FILE, Access::Everyone, |out| out.write_all(prefilter.filter().bytes()))?;
        files.add(METADATA_FILE, Access::Everyone, |out| {
            out.write_all(&prefilter.metadata().to_json())
        })?;
        files.add(LEVEL_FILE, Access::Everyone, |out| {
            let about = LevelFile::new(tag.clone(), count, prefilter.tag());
            writeln!(out, "{}", serde_json::to_string(&about)?)
        })?;
        files.commit()?;
        reports.push(LevelReport {
            name: level.clone(),
            keys: count,
            tag: prefilter.tag(),
            blocked_by_chance: blocked_by_chance(configuration.build.tolerance),
        });
    }
    Ok(reports)
}

fn remove_others(
    configuration: &Configuration,
    levels: &BTreeSet<String>,
) -> Result<(), UpdateError> {
    let folder = configuration.folders.levels();
    let failed = file_error(Operation::Write, &folder);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(&failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(&failed)?;
        let is_level = entry.file_name().to_str().is_some_and(|name| levels.contains(name));
        if !is_level && entry.file_type().map_err(&failed)?.is_dir() {
            fs::remove_dir_all(entry.path()).map_err(&failed)?;
        }
    }
    Ok(())
}
