//! Parameters of a shard, checked once, and the layout that follows from them.

use crate::bucket::EMPTY_BUCKET;
use crate::keyword::{MAX_HASH_FUNCTIONS, ShardingFunction};
use crate::shape::MAX_DIMENSIONS;
use bfv::{EvaluationKeyConfig, GaloisElement};

/// Largest number of plaintexts, and of entries, of a database.
pub const MAX_PLAINTEXTS: u64 = 1 << 32;
/// Largest number of values that a query expands to.
pub const MAX_EXPANDED: u64 = 1 << 16;
/// Largest size of an entry in bytes.
pub const MAX_ENTRY_SIZE: u64 = 1 << 24;
/// Largest number of lookups of one query.
pub const MAX_CALLS: usize = 256;

/// Largest number of Galois elements of an evaluation key: an expansion needs one for each of its steps, of which there are
/// at most as many as bits of the degree.
pub const MAX_GALOIS_ELEMENTS: usize = 64;

/// [`MAX_PLAINTEXTS`], as far as this machine can index them.
pub(crate) const MAX_ADDRESSABLE: u64 =
    if usize::BITS > 32 { MAX_PLAINTEXTS } else { usize::MAX as u64 };

/// Why parameters are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// A number is out of range.
    #[error("{what} is {found}; {min} to {max} are possible")]
    Range {
        /// The number's name, for the message.
        what: &'static str,
        /// The value that was given.
        found: u64,
        /// The smallest possible value.
        min: u64,
        /// The largest possible value.
        max: u64,
    },
    /// The dimensions hold fewer plaintexts than the entries need.
    #[error("dimensions {dimensions:?} hold fewer than the {plaintexts} plaintexts of the entries")]
    TooSmall {
        /// The length of each dimension.
        dimensions: Vec<u64>,
        /// The number of plaintexts that they must hold.
        plaintexts: u64,
    },
    /// The batch size of a keyword database is another number than that of its hash functions.
    #[error(
        "the batch size is {batch_size} and there are {hash_functions} hash functions; they must be equal"
    )]
    BatchSize {
        /// The batch size.
        batch_size: u64,
        /// The number of hash functions.
        hash_functions: u64,
    },
    /// The evaluation key configuration does not allow the expansion of queries.
    #[error(
        "no key of the evaluation key configuration gives Galois element {0}, which the expansion of queries needs"
    )]
    Element(u32),
    /// The evaluation key configuration has no relinearization key.
    #[error(
        "the evaluation key configuration lacks the relinearization key, which two dimensions need"
    )]
    Relinearization,
    /// The evaluation keys are of another parameter set.
    #[error("the evaluation key configuration is for other encryption parameters")]
    KeyParameters,
    /// A Galois element or the parameter set is not valid.
    #[error(transparent)]
    Scheme(#[from] bfv::Error),
}

/// What a database is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "formats must give every kind a number")]
pub enum DatabaseKind {
    /// Values of keywords, in as many tables as there are hash functions.
    Keyword {
        /// The number of hash functions; 1 to [`MAX_HASH_FUNCTIONS`].
        hash_functions: usize,
        /// How shards are chosen.
        sharding: ShardingFunction,
        /// What clients need of the symmetric variant, in which values are encrypted.
        symmetric: Option<SymmetricParameters>,
    },
    /// Entries by number.
    Index {
        /// Whether each entry begins with its length.
        encodes_entry_size: bool,
    },
}

/// What a client of the symmetric variant needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a message of the protocol, whose fields are fixed")]
pub struct SymmetricParameters {
    /// The OPRF's public key, a compressed point of P-384.
    pub server_public_key: Vec<u8>,
}

/// What a shard's parameters are made of, before they are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "formats must store every field")]
pub struct ShardDescription {
    /// The parameter set.
    pub encryption: bfv::Parameters,
    /// What it is asked for.
    pub kind: DatabaseKind,
    /// The number of entries (of a keyword database: buckets) of one table; 1 to
    /// [`MAX_PLAINTEXTS`].
    pub entries: u64,
    /// Bytes of an entry; 1 to [`MAX_ENTRY_SIZE`].
    pub entry_size: u64,
    /// The number of rows, or of rows and of columns, of the matrix of plaintexts.
    pub dimensions: Vec<u64>,
    /// Largest number of lookups of one query, 1 to [`MAX_CALLS`]; of a keyword database the number
    /// of hash functions.
    pub batch_size: u64,
    /// Galois elements of the wanted evaluation key, ascending.
    pub galois_elements: Vec<u32>,
    /// Whether a relinearization key is wanted.
    pub has_relinearization_key: bool,
}

/// One step of the expansion: the automorphism 2^(log2 N - step + 1) + 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpansionStep {
    /// The element for which there is a key.
    pub(crate) element: GaloisElement,
    /// The number of times that it is applied.
    pub(crate) repeats: u32,
}

/// Valid parameters of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardParameters {
    description: ShardDescription,
    stored_entry_size: usize,
    entries_per_plaintext: usize,
    chunks: usize,
    plaintexts_per_chunk: usize,
    rows: usize,
    columns: usize,
    calls: usize,
}

fn within(what: &'static str, found: u64, min: u64, max: u64) -> Result<(), ParameterError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(ParameterError::Range { what, found, min, max })
}

/// Bytes of the length in front of entries of up to `entry_size` bytes.
fn length_prefix(entry_size: u64) -> u64 {
    match entry_size {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// How many entries share a plaintext, over how many plaintexts an entry goes, and how many
/// plaintexts `entries` need for each of those.
pub(crate) fn packing(
    payload: usize,
    stored_entry_size: usize,
    entries: u64,
) -> (usize, usize, u64) {
    if stored_entry_size <= payload {
        let together = payload / stored_entry_size;
        (together, 1, entries.div_ceil(together as u64))
    } else {
        (1, stored_entry_size.div_ceil(payload), entries)
    }
}

/// The steps of an expansion of ciphertexts of up to `values` values, with the keys of `elements`:
/// for each step the largest that leads to the automorphism of the step.
pub(crate) fn expansion_steps(
    degree: usize,
    values: u64,
    elements: &[GaloisElement],
) -> Result<Vec<ExpansionStep>, ParameterError> {
    let steps = values.min(degree as u64).next_power_of_two().ilog2();
    let mask = 2 * degree as u64 - 1;
    (1..=steps)
        .map(|step| {
            let wanted = (1_u64 << (degree.ilog2() - step + 1)) + 1;
            let missing = ParameterError::Element(wanted as u32);
            let below = elements.iter().filter(|element| {
                let element = u64::from(element.get());
                element <= wanted && (element - 1).is_power_of_two()
            });
            let element = *below.max().ok_or(missing.clone())?;
            let repeats = (wanted - 1).ilog2() - (element.get() - 1).ilog2();
            // Squared as often, the element must become the wanted one.
            let power = (0..repeats).fold(u64::from(element.get()), |g, _| (g * g) & mask);
            if power != wanted {
                return Err(missing);
            }
            Ok(ExpansionStep { element, repeats: 1 << repeats })
        })
        .collect()
}

impl ShardDescription {
    /// A shard of one entry of one byte, in one dimension, with no Galois element and with a
    /// relinearization key; the batch size is the number of hash functions of a keyword database and
    /// otherwise 1. Set the fields, then [`check`](Self::check).
    #[must_use]
    pub fn new(encryption: bfv::Parameters, kind: DatabaseKind) -> Self {
        let batch_size = match kind {
            DatabaseKind::Keyword { hash_functions, .. } => hash_functions as u64,
            DatabaseKind::Index { .. } => 1,
        };
        Self {
            encryption,
            kind,
            entries: 1,
            entry_size: 1,
            dimensions: vec![1],
            batch_size,
            galois_elements: Vec::new(),
            has_relinearization_key: true,
        }
    }

    pub(crate) fn calls(&self) -> u64 {
        match self.kind {
            DatabaseKind::Keyword { hash_functions, .. } => hash_functions as u64,
            DatabaseKind::Index { .. } => self.batch_size,
        }
    }

    /// Bytes of an entry with its length, where that is stored.
    pub(crate) fn stored_entry_size(&self) -> u64 {
        match self.kind {
            DatabaseKind::Index { encodes_entry_size: true } => {
                self.entry_size + length_prefix(self.entry_size)
            }
            _ => self.entry_size,
        }
    }

    /// Values that a query of that many lookups expands to.
    pub(crate) fn expanded(&self, calls: u64) -> u64 {
        calls * self.dimensions.iter().sum::<u64>()
    }

    /// Checks everything.
    ///
    /// # Errors
    /// The rule that does not hold.
    pub fn check(self) -> Result<ShardParameters, ParameterError> {
        within("the number of entries", self.entries, 1, MAX_ADDRESSABLE)?;
        within("the entry size", self.entry_size, 1, MAX_ENTRY_SIZE)?;
        let dimensions = self.dimensions.len() as u64;
        within("the number of dimensions", dimensions, 1, MAX_DIMENSIONS as u64)?;
        for &dimension in &self.dimensions {
            within("a dimension", dimension, 1, MAX_EXPANDED)?;
        }
        within("the batch size", self.batch_size, 1, MAX_CALLS as u64)?;
        if let DatabaseKind::Keyword { hash_functions, sharding, .. } = self.kind {
            let hash_functions = hash_functions as u64;
            let max = MAX_HASH_FUNCTIONS as u64;
            within("the number of hash functions", hash_functions, 1, max)?;
            within(
                "the entry size of a bucket",
                self.entry_size,
                EMPTY_BUCKET as u64,
                MAX_ENTRY_SIZE,
            )?;
            if self.batch_size != hash_functions {
                let batch_size = self.batch_size;
                return Err(ParameterError::BatchSize { batch_size, hash_functions });
            }
            if let ShardingFunction::DoubleMod { other_shard_count } = sharding {
                let max = u64::from(u32::MAX);
                within("the other shard count", u64::from(other_shard_count), 1, max)?;
            }
        }
        let calls = self.calls();
        let expanded = self.expanded(calls);
        within("the length of an expanded query", expanded, 1, MAX_EXPANDED)?;
        let payload = self.encryption.payload_bytes();
        within("the payload of a plaintext", payload as u64, 1, u64::MAX)?;
        let stored_entry_size = self.stored_entry_size() as usize;
        let (entries_per_plaintext, chunks, plaintexts) =
            packing(payload, stored_entry_size, self.entries);
        let held = self.dimensions.iter().product::<u64>();
        if held < plaintexts {
            return Err(ParameterError::TooSmall { dimensions: self.dimensions, plaintexts });
        }
        let tables = match self.kind {
            DatabaseKind::Keyword { hash_functions, .. } => hash_functions as u64,
            DatabaseKind::Index { .. } => 1,
        };
        within("the number of plaintexts", held * tables * chunks as u64, 1, MAX_ADDRESSABLE)?;
        let count = self.galois_elements.len() as u64;
        within("the number of Galois elements", count, 0, MAX_GALOIS_ELEMENTS as u64)?;
        let degree = self.encryption.degree();
        let elements = self
            .galois_elements
            .iter()
            .map(|&element| GaloisElement::new(u64::from(element), degree))
            .collect::<Result<Vec<_>, _>>()?;
        expansion_steps(degree, expanded, &elements)?;
        if dimensions > 1 && !self.has_relinearization_key {
            return Err(ParameterError::Relinearization);
        }
        Ok(ShardParameters {
            stored_entry_size,
            entries_per_plaintext,
            chunks,
            plaintexts_per_chunk: plaintexts as usize,
            rows: self.dimensions[0] as usize,
            columns: self.dimensions.get(1).map_or(1, |&columns| columns as usize),
            calls: calls as usize,
            description: self,
        })
    }
}

impl ShardParameters {
    /// The description that was checked.
    #[must_use]
    pub fn description(&self) -> &ShardDescription {
        &self.description
    }

    /// The parameter set.
    #[must_use]
    pub fn encryption(&self) -> &bfv::Parameters {
        &self.description.encryption
    }

    /// The evaluation key that a server of this shard asks for.
    #[must_use]
    pub fn evaluation_key_config(&self) -> EvaluationKeyConfig {
        EvaluationKeyConfig {
            parameters: self.description.encryption.clone(),
            galois_elements: self.description.galois_elements.clone(),
            has_relinearization_key: self.description.has_relinearization_key,
        }
    }

    /// Bytes of an entry, including its length where that is stored.
    #[must_use]
    pub fn stored_entry_size(&self) -> usize {
        self.stored_entry_size
    }

    /// The number of entries that share a plaintext, at least 1.
    #[must_use]
    pub fn entries_per_plaintext(&self) -> usize {
        self.entries_per_plaintext
    }

    /// The number of plaintexts that an entry takes, at least 1: the number of ciphertexts of a reply
    /// to one lookup.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// The number of plaintexts that the entries of one table need, for each chunk.
    #[must_use]
    pub fn plaintexts_per_chunk(&self) -> usize {
        self.plaintexts_per_chunk
    }

    /// The number of rows of the matrix of plaintexts: the first dimension.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns of the matrix of plaintexts: the second dimension, or 1.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether there is a second dimension.
    #[must_use]
    pub fn has_second_dimension(&self) -> bool {
        self.description.dimensions.len() > 1
    }

    /// Largest number of lookups of one query.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// The number of tables of the database.
    #[must_use]
    pub fn tables(&self) -> usize {
        match self.description.kind {
            DatabaseKind::Keyword { hash_functions, .. } => hash_functions,
            DatabaseKind::Index { .. } => 1,
        }
    }

    /// The number of plaintexts of the database, empty ones included.
    #[must_use]
    pub fn plaintexts(&self) -> usize {
        self.tables() * self.chunks * self.rows * self.columns
    }

    /// The position of a plaintext in the database: plaintext p of a chunk lies in row p / columns and
    /// column p mod columns, and columns are stored one after the other.
    #[must_use]
    pub fn position(&self, table: usize, chunk: usize, plaintext: usize) -> usize {
        let (row, column) = (plaintext / self.columns, plaintext % self.columns);
        ((table * self.chunks + chunk) * self.columns + column) * self.rows + row
    }

    /// The number of values that a query of `calls` lookups expands to.
    #[must_use]
    pub fn expanded(&self, calls: usize) -> usize {
        self.description.expanded(calls as u64) as usize
    }

    /// The number of ciphertexts of a query of `calls` lookups.
    #[must_use]
    pub fn query_ciphertexts(&self, calls: usize) -> usize {
        self.expanded(calls).div_ceil(self.encryption().degree())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{KeyCompression, galois_elements};

    fn description() -> ShardDescription {
        let sharding = ShardingFunction::Sha256;
        ShardDescription {
            encryption: bfv::Parameters::predefined("n_4096_logq_27_28_28_logt_5").unwrap(),
            kind: DatabaseKind::Keyword { hash_functions: 2, sharding, symmetric: None },
            entries: 299,
            entry_size: 1024,
            dimensions: vec![25, 6],
            batch_size: 2,
            galois_elements: galois_elements(4096, 62, KeyCompression::Hybrid),
            has_relinearization_key: true,
        }
    }

    #[test]
    fn the_layout_of_a_usual_shard() {
        let parameters = description().check().unwrap();
        assert_eq!(parameters.entries_per_plaintext(), 2);
        assert_eq!(parameters.plaintexts_per_chunk(), 150);
        assert_eq!(parameters.plaintexts(), 300);
        assert_eq!(parameters.position(1, 0, 7), 150 + 25 + 1);
        assert_eq!(parameters.expanded(2), 62);
        let elements = [129, 1025].map(|element| GaloisElement::new(element, 4096).unwrap());
        let steps = expansion_steps(4096, 62, &elements).unwrap();
        let repeats: Vec<u32> = steps.iter().map(|step| step.repeats).collect();
        assert_eq!(repeats, [4, 2, 1, 4, 2, 1]);
    }

    /// One below, at, and one above each limit.
    #[test]
    fn limits() {
        let every_element = galois_elements(4096, 4096, KeyCompression::None);
        let index = |change: &dyn Fn(&mut ShardDescription)| {
            let kind = DatabaseKind::Index { encodes_entry_size: false };
            let mut changed = ShardDescription::new(description().encryption, kind);
            changed.galois_elements = every_element.clone();
            change(&mut changed);
            changed.check()
        };
        let range = |result: Result<ShardParameters, ParameterError>| match result {
            Ok(_) => None,
            Err(ParameterError::Range { what, .. }) => Some(what),
            Err(other) => panic!("{other}"),
        };
        let at = |limit: u64, check: &dyn Fn(u64) -> Result<ShardParameters, ParameterError>| {
            [limit - 1, limit, limit + 1].map(|value| range(check(value)))
        };
        let found = at(MAX_ENTRY_SIZE, &|size| index(&|d| d.entry_size = size));
        assert_eq!(found, [None, None, Some("the entry size")]);
        let found = at(MAX_CALLS as u64, &|calls| index(&|d| d.batch_size = calls));
        assert_eq!(found, [None, None, Some("the batch size")]);
        let found = at(MAX_EXPANDED, &|rows| index(&|d| d.dimensions = vec![rows]));
        assert_eq!(found, [None, None, Some("a dimension")]);
        let found = at(MAX_EXPANDED / 2, &|rows| index(&|d| d.dimensions = vec![1 << 15, rows]));
        assert_eq!(found, [None, None, Some("the length of an expanded query")]);
        let found = at(MAX_PLAINTEXTS, &|entries| {
            index(&|d| {
                d.dimensions = vec![2049, 1024];
                d.entries = entries;
            })
        });
        assert_eq!(found, [None, None, Some("the number of entries")]);
        let found =
            at(MAX_DIMENSIONS as u64, &|count| index(&|d| d.dimensions = vec![1; count as usize]));
        assert_eq!(found, [None, None, Some("the number of dimensions")]);
        // 2^16 rows and columns of 2^16 chunks each are too many plaintexts.
        let found = range(index(&|d| {
            d.dimensions = vec![1 << 15, 1 << 15];
            d.entry_size = 4 * 2048 + 1;
        }));
        assert_eq!(found, Some("the number of plaintexts"));
        let found = at(MAX_HASH_FUNCTIONS as u64, &|functions| {
            let sharding = ShardingFunction::Sha256;
            let hash_functions = functions as usize;
            let kind = DatabaseKind::Keyword { hash_functions, sharding, symmetric: None };
            let mut changed = ShardDescription::new(description().encryption, kind);
            changed.galois_elements = every_element.clone();
            changed.check()
        });
        assert_eq!(found, [None, None, Some("the number of hash functions")]);
    }

    #[test]
    fn refusals() {
        let with = |change: fn(&mut ShardDescription)| {
            let mut changed = description();
            change(&mut changed);
            changed.check()
        };
        assert!(with(|_| {}).is_ok());
        assert!(with(|d| d.entries = 301).is_err());
        assert!(with(|d| d.entries = 0).is_err());
        assert!(with(|d| d.entry_size = 0).is_err());
        assert!(with(|d| d.dimensions = vec![]).is_err());
        assert!(with(|d| d.dimensions = vec![25, 6, 1]).is_err());
        assert!(with(|d| d.dimensions = vec![0, 6]).is_err());
        assert!(with(|d| d.batch_size = 1).is_err());
        assert_eq!(with(|d| d.galois_elements = vec![1025]), Err(ParameterError::Element(513)));
        assert_eq!(with(|d| d.galois_elements = vec![]), Err(ParameterError::Element(4097)));
        assert!(with(|d| d.galois_elements = vec![129, 8193]).is_err());
        assert_eq!(
            with(|d| d.has_relinearization_key = false),
            Err(ParameterError::Relinearization)
        );
    }
}
