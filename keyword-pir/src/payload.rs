//! From entries to the payloads of plaintexts.

use crate::cuckoo::CuckooTables;
use crate::error::Error;
use crate::parameters::{DatabaseKind, ShardParameters};

/// The payloads of a shard's plaintexts, in the order of the database. Payloads that are all zero are
/// absent.
#[derive(Clone, Debug)]
pub struct Payloads {
    parameters: ShardParameters,
    plaintexts: Vec<Option<Box<[u8]>>>,
}

/// Fills payloads from the entries of tables.
fn collect(
    parameters: &ShardParameters,
    mut write_entry: impl FnMut(usize, usize, &mut Vec<u8>),
) -> Vec<Option<Box<[u8]>>> {
    let payload = parameters.encryption().payload_bytes();
    let entries = parameters.description().entries as usize;
    let (together, size) = (parameters.entries_per_plaintext(), parameters.stored_entry_size());
    let mut plaintexts = vec![None; parameters.plaintexts()];
    let mut entry = Vec::new();
    for table in 0..parameters.tables() {
        for plaintext in 0..parameters.plaintexts_per_chunk() {
            // All entries of a plaintext, or all chunks of an entry.
            let mut bytes = vec![0; together * size];
            let first = plaintext * together;
            for (index, out) in (first..entries).zip(bytes.chunks_exact_mut(size)) {
                entry.clear();
                write_entry(table, index, &mut entry);
                out[..entry.len()].copy_from_slice(&entry);
            }
            for (chunk, bytes) in bytes.chunks(payload).enumerate() {
                if bytes.iter().any(|&byte| byte != 0) {
                    plaintexts[parameters.position(table, chunk, plaintext)] = Some(bytes.into());
                }
            }
        }
    }
    plaintexts
}

impl Payloads {
    /// The payloads of filled tables.
    ///
    /// # Errors
    /// [`Error::Kind`] unless the shard is a keyword database, [`Error::Count`] unless the tables have
    /// the shape of the parameters.
    pub fn of_tables(
        parameters: ShardParameters,
        tables: &CuckooTables<'_>,
    ) -> Result<Self, Error> {
        if !matches!(parameters.description().kind, DatabaseKind::Keyword { .. }) {
            return Err(Error::Kind);
        }
        let check = |what, expected, found| match expected == found {
            true => Ok(()),
            false => Err(Error::Count { what, expected, found }),
        };
        let entries = parameters.description().entries as usize;
        check("tables", parameters.tables(), tables.tables())?;
        check("buckets of a table", entries, tables.buckets_per_table())?;
        let size = parameters.stored_entry_size();
        check("bytes of a bucket", size, tables.largest_bucket().max(size))?;
        let plaintexts = collect(&parameters, |table, index, out| {
            tables.write_bucket(table, index, out);
        });
        Ok(Self { parameters, plaintexts })
    }

    /// The payloads of numbered entries.
    ///
    /// # Errors
    /// [`Error::Kind`] unless the shard is a database of numbered entries, [`Error::Count`] for
    /// another number of them than the parameters say, or an entry that is too long.
    pub fn of_entries(parameters: ShardParameters, entries: &[&[u8]]) -> Result<Self, Error> {
        let DatabaseKind::Index { encodes_entry_size } = parameters.description().kind else {
            return Err(Error::Kind);
        };
        let (expected, found) = (parameters.description().entries as usize, entries.len());
        if expected != found {
            return Err(Error::Count { what: "entries", expected, found });
        }
        let size = parameters.description().entry_size as usize;
        if let Some(entry) = entries.iter().find(|entry| entry.len() > size) {
            let found = entry.len();
            return Err(Error::Count { what: "bytes of an entry", expected: size, found });
        }
        let prefix = parameters.stored_entry_size() - size;
        let plaintexts = collect(&parameters, |_, index, out| {
            if encodes_entry_size {
                out.extend(&(entries[index].len() as u64).to_le_bytes()[..prefix]);
            }
            out.extend(entries[index]);
        });
        Ok(Self { parameters, plaintexts })
    }

    /// The shard's parameters.
    #[must_use]
    pub fn parameters(&self) -> &ShardParameters {
        &self.parameters
    }

    /// One payload for each plaintext, in the order of the database; `None` where all is zero.
    #[must_use]
    pub fn plaintexts(&self) -> &[Option<Box<[u8]>>] {
        &self.plaintexts
    }
}
