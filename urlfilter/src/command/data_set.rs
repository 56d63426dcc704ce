//! Looking keys up in the data set of a build, without a service.

use anyhow::Context;
use keyword_database::Reader;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Which of `wanted` are rows of a data set in text form, and their places, counted from 0. Reads the data set once, and
/// holds one row at a time.
pub(super) fn rows(path: &Path, wanted: &HashSet<String>) -> anyhow::Result<HashMap<String, u64>> {
    let name = || path.display().to_string();
    let file = File::open(path).with_context(name)?;
    let mut reader = Reader::text(BufReader::with_capacity(1 << 17, file));
    let mut found = HashMap::new();
    for place in 0.. {
        if found.len() == wanted.len() {
            break;
        }
        let Some(row) = reader.next_row().with_context(name)? else { break };
        if let Ok(text) = std::str::from_utf8(row.keyword)
            && wanted.contains(text)
        {
            found.entry(text.to_owned()).or_insert(place);
        }
    }
    Ok(found)
}
