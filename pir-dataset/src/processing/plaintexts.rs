//! Plaintexts that a shard has in common with the data set before: they are copied instead of computed again.
//!
//! Beside each database there is a file with what its plaintexts were made of, `<database>.plaintexts`:
//!
//! | bytes | content |
//! | --- | --- |
//! | 32 | SHA-256 of the settings that files of a shard depend on |
//! | 32 | the last 32 bytes of the database, its digest |
//! | 32 each | SHA-256 of the payload of each plaintext, in the order of the database; zeros where there is none |
//!
//! The manifest has its SHA-256. So nothing is copied unless the file is the one of the run that made the database, and the
//! database is whole.

use super::context::Context;
use super::format::DatabaseFormat;
use crate::digest;
use crate::files::with_suffix;
use crate::manifest::ShardRecord;
use keyword_pir::database::{Database, Digest};
use keyword_pir::payload::Payloads;
use sha2::Digest as _;
use sha2::Sha256;
use std::path::{Path, PathBuf};

/// Bytes of a digest.
const DIGEST: usize = 32;

/// Where the file is for a database.
pub(super) fn path_of(database: &Path) -> PathBuf {
    with_suffix(database, ".plaintexts")
}

/// The digests of payloads, in their order.
fn digests(payloads: &Payloads) -> Vec<u8> {
    let digest = |payload: &Option<Box<[u8]>>| -> [u8; DIGEST] {
        payload.as_deref().map_or([0; DIGEST], |payload| Sha256::digest(payload).into())
    };
    payloads.plaintexts().iter().flat_map(digest).collect()
}

/// The content of the file.
pub(super) fn content(context: &Context<'_>, database: &Digest, payloads: &Payloads) -> Vec<u8> {
    let settings: [u8; DIGEST] = Sha256::digest(&context.settings).into();
    [&settings[..], &database[..], &digests(payloads)].concat()
}

/// The earlier database of a shard, and which of its plaintexts the shard has, too.
pub(super) struct Earlier {
    pub(super) database: Database,
    pub(super) is_same: Vec<bool>,
}

impl Earlier {
    /// The number of plaintexts that are copied. Where both have none, nothing is.
    pub(super) fn copied(&self) -> u64 {
        self.is_same.iter().filter(|&&is_same| is_same).count() as u64
    }
}

/// What of an earlier database can be copied; `None` if that is little, or not known, or if a file is not what it should be.
pub(super) fn earlier(
    context: &Context<'_>,
    record: Option<&ShardRecord>,
    payloads: &Payloads,
) -> Option<Earlier> {
    let record = record.filter(|record| !record.plaintexts_sha256.is_empty())?;
    if context.format != DatabaseFormat::Native {
        return None;
    }
    let path = context.configuration.output_database.of_shard(record.shard);
    let own = digests(payloads);
    let length = 2 * DIGEST + own.len();
    let content = durable_file::read(&path_of(&path), length as u64).ok()?;
    if content.len() != length || digest::sha256(&content) != record.plaintexts_sha256 {
        return None;
    }
    let (settings, rest) = content.split_at(DIGEST);
    let (of_database, earlier) = rest.split_at(DIGEST);
    if settings != Sha256::digest(&context.settings).as_slice() {
        return None;
    }
    let pairs = own.chunks_exact(DIGEST).zip(earlier.chunks_exact(DIGEST));
    let is_same: Vec<bool> =
        pairs.map(|(own, earlier)| own == earlier && own != [0; DIGEST]).collect();
    // Checking the database costs about a third of what it saves.
    let present = payloads.plaintexts().iter().flatten().count();
    if 2 * is_same.iter().filter(|&&is_same| is_same).count() < present {
        return None;
    }
    let database = Database::open(&path).ok()?;
    let is_usable = database.digest().is_some_and(|digest| digest[..] == *of_database)
        && database.parameters() == payloads.parameters();
    is_usable.then_some(Earlier { database, is_same })
}
