//! Processed databases: plaintexts in evaluation form, in the order in which a server reads them.
//!
//! A native file is mapped and usable at once; nothing of it is parsed but its header, whose layout
//! [`mod@format`] describes. Files of the reference's tool are read as well.

mod apple;
mod bytes;
pub mod format;
mod stored;

use crate::error::{DatabaseError, Error};
use crate::parameters::ShardParameters;
use crate::payload::Payloads;
use crate::scheme::{Scheme, any_word};
use crate::threads;
use bfv::{Context, Evaluation, PlaintextMatrix, Poly, Word};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use stored::StoredWords;

pub use apple::write_apple;
pub use bytes::FileBytes;
pub use format::Digest;

/// The words of the plaintexts, in the order of the file.
enum Words {
    File { bytes: FileBytes, start: usize },
    Stored(StoredWords),
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

/// Where the words of a database are while it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Residence {
    /// Read into memory when the database is opened.
    Memory,
    /// In the file. Each answer reads them, which takes longer, and notices if they changed.
    File,
}

/// A processed database: the plaintexts of one shard, ready for products.
pub struct Database {
    parameters: ShardParameters,
    /// For each table and chunk, for each column, the rows that have a plaintext, ascending.
    columns: Vec<Vec<Vec<u32>>>,
    /// For each table and chunk, the number of plaintexts before it.
    before: Vec<usize>,
    words: Words,
    word_bits: u32,
    digest: Option<Digest>,
}

/// Rows of each column that have a plaintext, for each table and chunk.
fn columns_of(parameters: &ShardParameters, present: impl Fn(usize) -> bool) -> Vec<Vec<Vec<u32>>> {
    let (rows, columns) = (parameters.rows(), parameters.columns());
    (0..parameters.tables() * parameters.chunks())
        .map(|block| {
            (0..columns)
                .map(|column| {
                    let start = (block * columns + column) * rows;
                    (0..rows as u32).filter(|&row| present(start + row as usize)).collect()
                })
                .collect()
        })
        .collect()
}

fn running_sum(columns: &[Vec<Vec<u32>>]) -> Vec<usize> {
    let mut before = 0;
    let sum = |block: &Vec<Vec<u32>>| {
        let start = before;
        before += block.iter().map(Vec::len).sum::<usize>();
        start
    };
    columns.iter().map(sum).collect()
}

/// Hands out the words of one table and chunk in file order: by modulus, tile, plaintext. `tile` gives those of a plaintext, of
/// a modulus and from a slot on.
fn write_block<'p, W: Word, P, E>(
    context: &Context<W>,
    plaintexts: &'p [P],
    tile: impl Fn(&'p P, usize, usize) -> &'p [W],
    mut write: impl FnMut(&[W]) -> Result<(), E>,
) -> Result<(), E> {
    for modulus in 0..context.ciphertext_moduli() {
        for start in (0..context.degree()).step_by(context.tile()) {
            for plaintext in plaintexts {
                write(tile(plaintext, modulus, start))?;
            }
        }
    }
    Ok(())
}

impl Database {
    /// Opens a native file, mapped with the feature `mmap`, and checks all of it.
    ///
    /// # Errors
    /// [`DatabaseError::Io`], and as [`Self::from_bytes`].
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Self::from_bytes(FileBytes::open(&File::open(path)?)?)
    }

    /// Opens a native file that this process has just written. `written` is what [`write()`] or [`write_reusing`] returned: if
    /// the file has this digest, its data is not hashed again; otherwise all of it is checked.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_written(path: &Path, written: &Digest) -> Result<Self, DatabaseError> {
        Self::checked(FileBytes::open(&File::open(path)?)?, Some(written))
    }

    /// Reads a native file and checks all of it, without mapping it: a file that shrinks, changes or goes bad
    /// later is an error of an answer, and not the end of the process. Even if the words stay in the file,
    /// all of it is in memory while it is checked.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn read(path: &Path, residence: Residence) -> Result<Self, DatabaseError> {
        let file = File::open(path)?;
        let mut database = Self::from_bytes(FileBytes::read(&file)?)?;
        if let (Residence::File, Words::File { bytes, start }) = (residence, &database.words) {
            let data = &bytes.as_ref()[*start..];
            let plaintext = database.plaintext_bytes();
            let counts = database.columns.iter().map(|block| block.iter().map(Vec::len).sum());
            let parts = database.before.iter().zip(counts).map(|(before, count): (_, usize)| {
                &data[before * plaintext..][..count * plaintext]
            });
            database.words = Words::Stored(StoredWords::new(file, *start, parts));
        }
        Ok(database)
    }

    /// Bytes of one stored plaintext.
    fn plaintext_bytes(&self) -> usize {
        let encryption = self.parameters.encryption();
        let words = encryption.degree() * encryption.ciphertext_modulus_count();
        words * (self.word_bits / 8) as usize
    }

    /// Checks the bytes of a native file and takes them as they are.
    ///
    /// # Errors
    /// [`DatabaseError::Magic`] or [`DatabaseError::Version`] for other files, and the error of the
    /// part that is damaged.
    pub fn from_bytes(bytes: FileBytes) -> Result<Self, DatabaseError> {
        Self::checked(bytes, None)
    }

    fn checked(bytes: FileBytes, written: Option<&Digest>) -> Result<Self, DatabaseError> {
        let file = format::check(bytes.as_ref(), written)?;
        let columns = columns_of(&file.parameters, |position| {
            file.presence[position / 8] >> (position % 8) & 1 == 1
        });
        let start = file.data_start;
        let (parameters, word_bits, digest) = (file.parameters, file.word_bits, file.digest);
        Ok(Self {
            before: running_sum(&columns),
            columns,
            parameters,
            words: Words::File { bytes, start },
            word_bits,
            digest: Some(digest),
        })
    }

    /// Reads a file of the reference's tool; `parameters` come from its parameter file.
    ///
    /// # Errors
    /// [`DatabaseError::Io`] if the input fails, and the error of the part that is damaged or does not
    /// fit the parameters.
    pub fn read_apple(
        scheme: &Scheme,
        parameters: ShardParameters,
        input: impl std::io::Read,
    ) -> Result<Self, DatabaseError> {
        any_word!(&scheme.0, tables => {
            let rows = apple::read(&tables.context, &parameters, input)?;
            Ok(Self::in_memory(&tables.context, parameters, &rows))
        })
    }

    /// A database in memory.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the payloads are of another parameter set than the scheme.
    pub fn of_payloads(scheme: &Scheme, payloads: &Payloads) -> Result<Self, Error> {
        if payloads.parameters().encryption() != scheme.parameters() {
            return Err(Error::Mismatch("the payloads"));
        }
        any_word!(&scheme.0, tables => {
            let rows = payloads
                .plaintexts()
                .iter()
                .map(|payload| payload.as_deref().map(|p| transform(&tables.context, p)).transpose())
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Self::in_memory(&tables.context, payloads.parameters().clone(), &rows))
        })
    }

    fn in_memory<W: Word>(
        context: &Context<W>,
        parameters: ShardParameters,
        rows: &[Option<Poly<W, Evaluation>>],
    ) -> Self {
        let columns = columns_of(&parameters, |position| rows[position].is_some());
        let mut words: Vec<W> = Vec::new();
        for block in rows.chunks(parameters.rows() * parameters.columns()) {
            let present: Vec<&Poly<W, Evaluation>> = block.iter().flatten().collect();
            let (tile, mut add) = (context.tile(), |tile: &[W]| {
                words.extend_from_slice(tile);
                Ok::<(), std::convert::Infallible>(())
            });
            let Ok(()) = write_block(
                context,
                &present,
                |poly, modulus, start| &poly.row(modulus)[start..][..tile],
                &mut add,
            );
        }
        let words = match W::BITS {
            32 => Words::Narrow(bytemuck::allocation::cast_vec(words)),
            _ => Words::Wide(bytemuck::allocation::cast_vec(words)),
        };
        let before = running_sum(&columns);
        Self { parameters, columns, before, words, word_bits: W::BITS, digest: None }
    }

    /// The shard's parameters.
    #[must_use]
    pub fn parameters(&self) -> &ShardParameters {
        &self.parameters
    }

    /// The digest of a native file; `None` for other databases.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The number of plaintexts that are not empty.
    #[must_use]
    pub fn present(&self) -> usize {
        self.columns.iter().flatten().map(Vec::len).sum()
    }

    fn all_words<W: Word>(&self) -> Result<&[W], Error> {
        let mismatch = |_| Error::Mismatch("the database");
        match &self.words {
            Words::File { bytes, start } => {
                let length = self.present() * self.plaintext_bytes();
                if W::BITS != self.word_bits {
                    return Err(Error::Mismatch("the database"));
                }
                bytemuck::try_cast_slice(&bytes.as_ref()[*start..][..length]).map_err(mismatch)
            }
            Words::Stored(_) => Err(Error::Mismatch("the database")),
            Words::Narrow(words) => bytemuck::try_cast_slice(words).map_err(mismatch),
            Words::Wide(words) => bytemuck::try_cast_slice(words).map_err(mismatch),
        }
    }

    /// The plaintexts of one chunk of one table. If they are in the file, they are read to `buffer`.
    pub(crate) fn matrix<'m, W: Word>(
        &'m self,
        context: &Context<W>,
        table: usize,
        chunk: usize,
        buffer: &'m mut Vec<u64>,
    ) -> Result<PlaintextMatrix<'m, W>, Error> {
        if W::BITS != self.word_bits {
            return Err(Error::Mismatch("the database"));
        }
        let block = table * self.parameters.chunks() + chunk;
        let columns = &self.columns[block];
        let count: usize = columns.iter().map(Vec::len).sum();
        if let Words::Stored(stored) = &self.words {
            let plaintext = self.plaintext_bytes();
            let (offset, length) = (self.before[block] * plaintext, count * plaintext);
            let words = bytemuck::try_cast_slice(stored.read(block, offset, length, buffer)?);
            let words = words.map_err(|_| Error::Mismatch("the database"))?;
            return Ok(PlaintextMatrix { words, columns });
        }
        let words = self.all_words()?;
        let start = self.before[block] * context.matrix_words();
        Ok(PlaintextMatrix { words: &words[start..][..count * context.matrix_words()], columns })
    }
}

/// One plaintext ready for products.
fn transform<W: Word>(
    context: &Context<W>,
    payload: &[u8],
) -> Result<Poly<W, Evaluation>, bfv::Error> {
    Ok(context.matrix_plaintext(&context.encode_bytes(payload)?))
}

/// Writes a native file. Its bytes depend on the payloads alone. With the feature `parallel` the work
/// is shared out over rayon's current thread pool.
///
/// # Errors
/// [`DatabaseError::Io`] if the output fails.
pub fn write(
    scheme: &Scheme,
    payloads: &Payloads,
    out: &mut impl Write,
) -> Result<Digest, DatabaseError> {
    any_word!(&scheme.0, tables => write_words(&tables.context, payloads, None, out))
}

/// Writes a native file as [`write()`] does, and copies plaintexts that an earlier native file has: those of which `is_same` says
/// that their payloads are equal. Whoever says so must know it, for nothing compares them here.
///
/// # Errors
/// [`DatabaseError::Plaintexts`] unless `is_same` is about as many plaintexts as the parameters make,
/// [`DatabaseError::OtherParameters`] if the earlier database has others, and [`DatabaseError::Io`] if the output fails.
pub fn write_reusing(
    scheme: &Scheme,
    payloads: &Payloads,
    earlier: &Database,
    is_same: &[bool],
    out: &mut impl Write,
) -> Result<Digest, DatabaseError> {
    let (expected, found) = (payloads.plaintexts().len() as u64, is_same.len() as u64);
    if expected != found {
        return Err(DatabaseError::Plaintexts { expected, found });
    }
    if earlier.parameters() != payloads.parameters() {
        return Err(DatabaseError::OtherParameters);
    }
    let earlier = Earlier { database: earlier, is_same };
    any_word!(&scheme.0, tables => write_words(&tables.context, payloads, Some(earlier), out))
}

/// A database of which some plaintexts are copied.
#[derive(Clone, Copy)]
struct Earlier<'d> {
    database: &'d Database,
    is_same: &'d [bool],
}

impl<'d> Earlier<'d> {
    /// The words of a table and chunk.
    fn words<W: Word>(&self, context: &Context<W>, block: usize) -> Result<&'d [W], DatabaseError> {
        let words = self.database.all_words().map_err(|_| DatabaseError::OtherParameters)?;
        Ok(&words[self.database.before[block] * context.matrix_words()..])
    }

    /// For each position of a table and chunk, which of its plaintexts in the file is to be copied.
    fn kept(&self, block: usize) -> Vec<Option<usize>> {
        let parameters = self.database.parameters();
        let (rows, columns) = (parameters.rows(), &self.database.columns[block]);
        let is_same = &self.is_same[block * rows * columns.len()..][..rows * columns.len()];
        let mut kept = vec![None; is_same.len()];
        let positions = columns.iter().enumerate().flat_map(|(column, present)| {
            present.iter().map(move |&row| column * rows + row as usize)
        });
        for (number, position) in positions.enumerate() {
            kept[position] = is_same[position].then_some(number);
        }
        kept
    }

    fn count(&self, block: usize) -> usize {
        self.database.columns[block].iter().map(Vec::len).sum()
    }
}

/// Where the words of a plaintext come from.
enum Source<W: Word> {
    New(Poly<W, Evaluation>),
    /// Its number among those of its table and chunk in the earlier file.
    Kept(usize),
}

fn write_words<W: Word>(
    context: &Context<W>,
    payloads: &Payloads,
    earlier: Option<Earlier<'_>>,
    out: &mut impl Write,
) -> Result<Digest, DatabaseError> {
    let parameters = payloads.parameters();
    let present = payloads.plaintexts().iter().map(Option::is_some);
    let header = format::header(parameters, W::BITS, context.tile(), present);
    out.write_all(&header)?;
    let mut blocks = Blocks { out, pending: Vec::new(), digests: Vec::new() };
    let (size, tile) = (parameters.rows() * parameters.columns(), context.tile());
    for (number, block) in payloads.plaintexts().chunks(size).enumerate() {
        let (kept, words, count) = match &earlier {
            Some(earlier) => {
                (earlier.kept(number), earlier.words(context, number)?, earlier.count(number))
            }
            None => (vec![None; block.len()], &[][..], 0),
        };
        let present: Vec<_> = block
            .iter()
            .zip(kept)
            .filter_map(|(payload, kept)| Some((payload.as_ref()?, kept)))
            .collect();
        let sources = threads::map(true, present, |(payload, kept)| match kept {
            Some(number) => Ok(Source::Kept(number)),
            None => transform(context, payload).map(Source::New),
        })?;
        write_block(
            context,
            &sources,
            |source, modulus, start| match source {
                Source::New(poly) => &poly.row(modulus)[start..][..tile],
                Source::Kept(number) => {
                    let tiles = (modulus * context.degree() + start) / tile;
                    &words[(tiles * count + number) * tile..][..tile]
                }
            },
            |tile| blocks.write(bytemuck::cast_slice(tile)),
        )?;
    }
    let digests = blocks.finish()?;
    out.write_all(&digests)?;
    let digest = format::digest(&header, &digests);
    out.write_all(&digest)?;
    Ok(digest)
}

/// Writes data and keeps the digests of its blocks.
struct Blocks<'o, O: Write> {
    out: &'o mut O,
    pending: Vec<u8>,
    digests: Vec<u8>,
}

impl<O: Write> Blocks<'_, O> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        // Tiles divide blocks, so no tile straddles two.
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= format::BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        for block in self.pending.chunks(format::BLOCK) {
            self.digests.extend(Sha256::digest(block));
        }
        self.out.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<Vec<u8>> {
        self.flush()?;
        Ok(self.digests)
    }
}
