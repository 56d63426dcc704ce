//! All rows of a database in memory, without an allocation for each.

use super::manifest::keywords_digest;
use indicatif::ProgressBar;
use keyword_pir::cuckoo::Row;
use keyword_pir::symmetric::{DatabaseKey, SymmetricError};
use keyword_pir::{KeywordHash, ShardingFunction};
use pir_api::rows::RowBytes;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

const CHUNK: usize = 1 << 20;

/// Where a row's bytes are: keyword, then value.
#[derive(Clone, Copy)]
struct Place {
    chunk: u32,
    start: u32,
    keyword: u32,
    value: u32,
}

/// Rows in the order of the input, counted from 0.
#[derive(Default)]
pub(crate) struct RowStore {
    chunks: Vec<Vec<u8>>,
    places: Vec<Place>,
    hashes: Vec<KeywordHash>,
    is_numbered: bool,
    /// The rows as they were before they were encrypted, for messages.
    plain: Option<Box<RowStore>>,
}

/// The rows of one shard, by number.
pub(crate) type ShardRows = Vec<u32>;

/// Two rows that cannot both be stored.
pub(crate) enum Twins {
    /// The same keyword.
    Duplicate(u32, u32),
    /// Two keywords of one hash.
    Collision(u32, u32),
}

impl RowStore {
    pub(crate) fn push(&mut self, row: RowBytes<'_>) -> anyhow::Result<()> {
        anyhow::ensure!(self.places.len() < u32::MAX as usize, "more than 4294967295 rows");
        let size = row.keyword.len() + row.value.len();
        let fits = self.chunks.last().is_some_and(|chunk| chunk.len() + size <= chunk.capacity());
        if !fits {
            self.chunks.push(Vec::with_capacity(CHUNK.max(size)));
        }
        let index = self.chunks.len() - 1;
        let chunk = &mut self.chunks[index];
        self.places.push(Place {
            chunk: index as u32,
            start: chunk.len() as u32,
            keyword: row.keyword.len() as u32,
            value: row.value.len() as u32,
        });
        chunk.extend_from_slice(row.keyword);
        chunk.extend_from_slice(row.value);
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    fn bytes(&self, row: u32) -> (&[u8], &[u8]) {
        let place = self.places[row as usize];
        let size = place.keyword + place.value;
        let bytes = &self.chunks[place.chunk as usize][place.start as usize..][..size as usize];
        bytes.split_at(place.keyword as usize)
    }

    pub(crate) fn keyword(&self, row: u32) -> &[u8] {
        self.bytes(row).0
    }

    pub(crate) fn value(&self, row: u32) -> &[u8] {
        self.bytes(row).1
    }

    pub(crate) fn row(&self, row: u32) -> Row<'_> {
        Row { hash: self.hashes[row as usize], value: self.value(row) }
    }

    /// A row as messages name it.
    pub(crate) fn name(&self, row: u32) -> String {
        let keyword = self.plain.as_deref().unwrap_or(self).keyword(row);
        let shown: String = String::from_utf8_lossy(keyword).chars().take(200).collect();
        format!("row {} ({shown:?})", u64::from(row) + 1)
    }

    /// The rows of the symmetric variant: keywords and values as the key makes them.
    pub(crate) fn encrypt(self, key: &DatabaseKey) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(self.len() as u64).with_message("encrypting");
        let rows: Vec<(Vec<u8>, Vec<u8>)> = (0..self.len() as u32)
            .into_par_iter()
            .map(|row| {
                bar.inc(1);
                let secret = key.evaluate(self.keyword(row))?;
                Ok((secret.keyword().to_vec(), secret.encrypt(self.value(row))?))
            })
            .collect::<Result<_, SymmetricError>>()?;
        bar.finish_and_clear();
        let mut encrypted = Self::default();
        for (keyword, value) in &rows {
            encrypted.push(RowBytes { keyword, value })?;
        }
        encrypted.plain = Some(Box::new(self));
        Ok(encrypted)
    }

    /// Divides keyword rows by their hashes.
    pub(crate) fn by_keyword(
        &mut self,
        function: ShardingFunction,
        shards: u32,
    ) -> Result<Vec<ShardRows>, Twins> {
        let mut hashes = std::mem::take(&mut self.hashes);
        let rows = (0..self.places.len() as u32).into_par_iter().with_min_len(1024);
        rows.map(|row| KeywordHash::of(self.keyword(row))).collect_into_vec(&mut hashes);
        self.hashes = hashes;
        let mut divided = vec![ShardRows::new(); shards as usize];
        for (row, &hash) in self.hashes.iter().enumerate() {
            divided[function.shard(hash, shards) as usize].push(row as u32);
        }
        divided.par_iter_mut().try_for_each(|rows| {
            rows.sort_unstable_by_key(|&row| (self.hashes[row as usize], row));
            let twins = rows
                .windows(2)
                .find(|pair| self.hashes[pair[0] as usize] == self.hashes[pair[1] as usize]);
            match twins {
                None => Ok(()),
                Some(&[a, b]) if self.keyword(a) == self.keyword(b) => Err(Twins::Duplicate(a, b)),
                Some(&[a, b]) => Err(Twins::Collision(a, b)),
                Some(_) => Ok(()),
            }
        })?;
        Ok(divided)
    }

    /// A digest of all keywords, whatever their order; of those that were encrypted as they were before.
    pub(crate) fn keywords_digest(&self) -> Option<[u8; 32]> {
        let hashes = match &self.plain {
            None if self.is_numbered => return None,
            None => self.hashes.clone(),
            Some(plain) => {
                let rows = (0..plain.places.len() as u32).into_par_iter();
                rows.map(|row| KeywordHash::of(plain.keyword(row))).collect()
            }
        };
        Some(keywords_digest(hashes))
    }

    /// Deals rows by number.
    pub(crate) fn by_number(&mut self, shards: u32) -> Vec<ShardRows> {
        self.is_numbered = true;
        self.hashes = vec![KeywordHash::from_u64(0); self.places.len()];
        let rows = self.places.len() as u32;
        (0..shards).map(|shard| (shard..rows).step_by(shards as usize).collect()).collect()
    }

    /// SHA-256 of what is stored of the rows of a shard, in the order that they are given in: hashes
    /// and values.
    pub(crate) fn digest(&self, settings: &[u8], rows: &[u32]) -> [u8; 32] {
        // Short pieces are gathered: the digest is made of blocks.
        const BLOCK: usize = 8192;
        let mut digest = Sha256::new().chain_update(settings);
        let mut block = Vec::with_capacity(2 * BLOCK);
        for &row in rows {
            let value = self.value(row);
            block.extend(self.hashes[row as usize].to_u64().to_le_bytes());
            block.extend((value.len() as u32).to_le_bytes());
            block.extend(value);
            if block.len() >= BLOCK {
                digest.update(&block);
                block.clear();
            }
        }
        digest.chain_update(&block).finalize().into()
    }
}
