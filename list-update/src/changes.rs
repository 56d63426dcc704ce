//! Keys that came and went from one build to the next, by source.

use crate::folders::Folders;
use blocklist::builder::{Built, DATA_SET_FILE, KeyOrigins, ORIGINS_FILE};
use keyword_database::Reader;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor};

/// Largest file of origins that is held in memory, in bytes.
const MAX_ORIGINS: u64 = 2 << 30;

/// Keys that came and went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) keys_in: u64,
    pub(crate) keys_out: u64,
    /// Of each list: keys in and out that it has or had. A key of several lists counts for each.
    pub(crate) by_source: BTreeMap<String, (u64, u64)>,
}

/// The keys of the build before, in the order of its rows: a part of the digest of each.
pub(crate) struct Before {
    /// Sorted, with the rows.
    keys: Vec<(u64, u32)>,
    origins: Option<KeyOrigins<Cursor<Vec<u8>>>>,
}

/// Eight bytes tell the keys of a list apart well enough for a count.
fn short_digest(key: &[u8]) -> u64 {
    let digest = Sha256::digest(key);
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

fn sorted<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Vec<(u64, u32)> {
    let mut all: Vec<_> = keys.zip(0u32..).map(|(key, row)| (short_digest(key), row)).collect();
    all.sort_unstable();
    all
}

impl Before {
    /// Reads the build that is about to be replaced; `None` if there is none that can be read.
    pub(crate) fn read(folders: &Folders, tag: &str) -> Option<Self> {
        let file = File::open(folders.build().join(DATA_SET_FILE)).ok()?;
        let mut rows = Reader::text(BufReader::with_capacity(1 << 17, file));
        let mut keys = Vec::new();
        let mut row = 0;
        while let Some(next) = rows.next_row().ok()? {
            keys.push((short_digest(next.keyword), row));
            row += 1;
        }
        keys.sort_unstable();
        Some(Self { keys, origins: origins(folders, tag) })
    }

    /// Compares with the build that has replaced it.
    pub(crate) fn compare(mut self, built: &Built, folders: &Folders) -> Changes {
        let now = sorted(built.keys.iter());
        let (rows_out, rows_in) = difference(&self.keys, &now);
        let mut changes = Changes {
            keys_in: rows_in.len() as u64,
            keys_out: rows_out.len() as u64,
            by_source: BTreeMap::new(),
        };
        let mut after = origins(folders, &built.prefilter.tag());
        let sides = [(&mut after, rows_in, true), (&mut self.origins, rows_out, false)];
        for (origins, rows, is_in) in sides {
            let Some(origins) = origins else { continue };
            for row in rows {
                let Ok(lists) = origins.of(row.into()) else { continue };
                for name in lists.into_iter().filter_map(|origin| origin.list) {
                    let counts = changes.by_source.entry(name).or_default();
                    *(if is_in { &mut counts.0 } else { &mut counts.1 }) += 1;
                }
            }
        }
        changes
    }
}

fn origins(folders: &Folders, tag: &str) -> Option<KeyOrigins<Cursor<Vec<u8>>>> {
    let content = durable_file::read(&folders.build().join(ORIGINS_FILE), MAX_ORIGINS).ok()?;
    KeyOrigins::open(Cursor::new(content), tag).ok()
}

/// The rows that only the first has, and those that only the second has. Both are sorted.
fn difference(first: &[(u64, u32)], second: &[(u64, u32)]) -> (Vec<u32>, Vec<u32>) {
    let (mut only_first, mut only_second) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    loop {
        match (first.get(i), second.get(j)) {
            (Some(a), Some(b)) if a.0 == b.0 => {
                i += 1;
                j += 1;
            }
            (Some(a), Some(b)) if a.0 > b.0 => {
                only_second.push(b.1);
                j += 1;
            }
            (Some(a), _) => {
                only_first.push(a.1);
                i += 1;
            }
            (None, Some(b)) => {
                only_second.push(b.1);
                j += 1;
            }
            (None, None) => return (only_first, only_second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_the_rows_of_one_side() {
        let side = |digests: &[u64]| -> Vec<_> { digests.iter().copied().zip(0..).collect() };
        for (first, second, only_first, only_second) in [
            (&[][..], &[][..], &[][..], &[][..]),
            (&[1, 2, 3], &[1, 2, 3], &[], &[]),
            (&[1, 2, 3], &[2, 4], &[0, 2], &[1]),
            (&[5], &[1, 9], &[0], &[0, 1]),
        ] {
            let found = difference(&side(first), &side(second));
            assert_eq!(found, (only_first.to_vec(), only_second.to_vec()));
        }
    }
}
