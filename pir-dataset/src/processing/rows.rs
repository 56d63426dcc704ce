//! All rows of a database in memory, without an allocation for each.

use super::error::{ProcessError, RowConflict};
use super::unfinished::io_error;
use crate::configuration::{Configuration, DatabaseType};
use crate::files::is_text;
use crate::manifest::keywords_digest;
use crate::progress::{Phase, Progress, Running};
use durable_file::Operation;
use keyword_database::{Encoding, Reader, RowKind};
use keyword_pir::cuckoo::Row;
use keyword_pir::{KeywordHash, ShardingFunction};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Smallest allocation, in bytes.
const CHUNK: usize = 1 << 20;

/// Length of the values of `part` rows, in bytes, if `rows` rows with `bytes` bytes of values have values of equal length.
pub(crate) fn value_bytes_of(part: u64, rows: u64, bytes: u64) -> u64 {
    // Without rows there are no bytes.
    let share = u128::from(bytes) * u128::from(part) / u128::from(rows.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Where a text is.
#[derive(Clone, Copy)]
struct Span {
    chunk: u32,
    start: u32,
    length: u32,
}

/// Texts by number, close to each other.
#[derive(Default)]
struct Texts {
    chunks: Vec<Vec<u8>>,
    spans: Vec<Span>,
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        let fits = |chunk: &Vec<u8>| chunk.len() + text.len() <= chunk.capacity();
        if !self.chunks.last().is_some_and(fits) {
            self.chunks.push(Vec::with_capacity(CHUNK.max(text.len())));
        }
        let index = self.chunks.len() - 1;
        let chunk = &mut self.chunks[index];
        let (start, length) = (chunk.len() as u32, text.len() as u32);
        self.spans.push(Span { chunk: index as u32, start, length });
        chunk.extend_from_slice(text);
    }

    fn get(&self, number: u32) -> &[u8] {
        let Span { chunk, start, length } = self.spans[number as usize];
        &self.chunks[chunk as usize][start as usize..][..length as usize]
    }
}

/// Rows in the order of the input, counted from 0. Shards take them in the order of their hashes, so values, which are read
/// again and again, are apart from keywords: short ones stay in the caches of the processor.
#[derive(Default)]
pub(crate) struct RowStore {
    keywords: Texts,
    values: Texts,
    hashes: Vec<KeywordHash>,
    is_numbered: bool,
    /// The rows before they were encrypted, for messages and the digest of the keywords.
    plain: Option<Box<RowStore>>,
}

/// The rows of one shard, by number.
pub(crate) type ShardRows = Vec<u32>;

/// There are more rows than can be numbered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooManyRows;

/// Numbers of two rows that cannot both be stored.
enum Pair {
    SameKeyword(u32, u32),
    SameHash(u32, u32),
}

impl RowStore {
    pub(crate) fn push(&mut self, keyword: &[u8], value: &[u8]) -> Result<(), TooManyRows> {
        if self.len() >= u32::MAX as usize {
            return Err(TooManyRows);
        }
        self.keywords.push(keyword);
        self.values.push(value);
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.keywords.spans.len()
    }

    pub(crate) fn keyword(&self, row: u32) -> &[u8] {
        self.keywords.get(row)
    }

    pub(crate) fn value(&self, row: u32) -> &[u8] {
        self.values.get(row)
    }

    pub(crate) fn row(&self, row: u32) -> Row<'_> {
        Row { hash: self.hashes[row as usize], value: self.value(row) }
    }

    /// Length of the longest value, in bytes.
    pub(crate) fn longest_value(&self) -> usize {
        self.values.spans.iter().map(|span| span.length as usize).max().unwrap_or(0)
    }

    /// Length of all values together, in bytes.
    pub(crate) fn value_bytes(&self) -> u64 {
        self.values.spans.iter().map(|span| u64::from(span.length)).sum()
    }

    /// A row as messages name it.
    pub(super) fn name(&self, row: u32) -> String {
        let keyword = self.plain.as_deref().unwrap_or(self).keyword(row);
        let shown: String = String::from_utf8_lossy(keyword).chars().take(200).collect();
        format!("row {} ({shown:?})", u64::from(row) + 1)
    }

    /// The rows of a symmetric database: keywords and values as its key makes them.
    #[cfg(feature = "symmetric")]
    pub(super) fn encrypt(
        self,
        key: &keyword_pir::symmetric::DatabaseKey,
        advance: impl Fn(u64) + Sync,
    ) -> Result<Self, keyword_pir::symmetric::SymmetricError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = (0..self.len() as u32)
            .into_par_iter()
            .map(|row| {
                advance(1);
                let secret = key.evaluate(self.keyword(row))?;
                Ok((secret.keyword().to_vec(), secret.encrypt(self.value(row))?))
            })
            .collect::<Result<_, keyword_pir::symmetric::SymmetricError>>()?;
        let mut encrypted = Self::default();
        for (keyword, value) in &rows {
            encrypted.push(keyword, value).expect("as many rows as before");
        }
        encrypted.plain = Some(Box::new(self));
        Ok(encrypted)
    }

    /// Divides keyword rows among shards by their hashes.
    pub(crate) fn by_keyword(
        &mut self,
        function: ShardingFunction,
        shards: u32,
    ) -> Result<Vec<ShardRows>, RowConflict> {
        let mut hashes = std::mem::take(&mut self.hashes);
        let rows = (0..self.len() as u32).into_par_iter().with_min_len(1024);
        rows.map(|row| KeywordHash::of(self.keyword(row))).collect_into_vec(&mut hashes);
        self.hashes = hashes;
        let mut divided = vec![Vec::new(); shards as usize];
        for (row, &hash) in self.hashes.iter().enumerate() {
            divided[function.shard(hash, shards) as usize].push((hash, row as u32));
        }
        let sorted = divided.into_par_iter().map(|mut rows| {
            rows.sort_unstable();
            match rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                Some(&[(_, a), (_, b)]) if self.keyword(a) == self.keyword(b) => {
                    Err(Pair::SameKeyword(a, b))
                }
                Some(&[(_, a), (_, b)]) => Err(Pair::SameHash(a, b)),
                _ => Ok(rows.into_iter().map(|(_, row)| row).collect()),
            }
        });
        match sorted.collect::<Result<Vec<ShardRows>, Pair>>() {
            Ok(divided) => Ok(divided),
            Err(Pair::SameKeyword(a, b)) => {
                Err(RowConflict::Duplicate { first: self.name(a), second: self.name(b) })
            }
            Err(Pair::SameHash(a, b)) => {
                Err(RowConflict::Collision { first: self.name(a), second: self.name(b) })
            }
        }
    }

    /// The [digest](keywords_digest) of all keywords, before they were encrypted; `None` for rows by number.
    pub(super) fn keywords_digest(&self) -> Option<[u8; 32]> {
        let hashes = match &self.plain {
            None if self.is_numbered => return None,
            None => self.hashes.clone(),
            Some(plain) => {
                let rows = (0..plain.len() as u32).into_par_iter();
                rows.map(|row| KeywordHash::of(plain.keyword(row))).collect()
            }
        };
        Some(keywords_digest(hashes))
    }

    /// Deals rows out among shards by their numbers.
    pub(super) fn by_number(&mut self, shards: u32) -> Vec<ShardRows> {
        self.is_numbered = true;
        self.hashes = vec![KeywordHash::from_u64(0); self.len()];
        let rows = self.len() as u32;
        (0..shards).map(|shard| (shard..rows).step_by(shards as usize).collect()).collect()
    }

    /// SHA-256 of settings and of what is stored of some rows, in the given order: hashes and values.
    pub(super) fn digest(&self, settings: &[u8], rows: &[u32]) -> [u8; 32] {
        // Short pieces are gathered, because the digest works on blocks.
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

/// Reads the rows of a configuration.
pub(super) fn read(
    configuration: &Configuration,
    progress: &dyn Progress,
) -> Result<RowStore, ProcessError> {
    let kind = match configuration.database_type {
        DatabaseType::Keyword => RowKind::Keyword,
        DatabaseType::Index => RowKind::Index,
    };
    read_file(&configuration.input_database, kind, progress)
}

/// Reads the rows of a file: text if its name ends in `.txtpb`, otherwise serialized.
pub(crate) fn read_file(
    path: &Path,
    kind: RowKind,
    progress: &dyn Progress,
) -> Result<RowStore, ProcessError> {
    let failed = |error| ProcessError::from(io_error(Operation::Read, path)(error));
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(ProcessError::InputIsFolder { path: path.to_owned() });
    }
    let encoding = if is_text(path) { Encoding::Text } else { Encoding::Binary };
    let phase = Running::begin(progress, Phase::ReadingRows, about.len());
    let input = Counted { input: file, phase: &phase };
    let mut store = RowStore::default();
    let mut reader = Reader::new(encoding, input).with_kind(kind);
    loop {
        let row = reader
            .next_row()
            .map_err(|error| ProcessError::Rows { path: path.to_owned(), source: error.into() })?;
        let Some(row) = row else { return Ok(store) };
        store
            .push(row.keyword, row.value)
            .map_err(|TooManyRows| ProcessError::TooManyRows { path: path.to_owned() })?;
    }
}

/// Reports the bytes that are read.
struct Counted<'p, R> {
    input: R,
    phase: &'p Running<'p>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.phase.advance(read as u64);
        Ok(read)
    }
}
