//! Parameters of a shard, checked once, and the layout that follows from them.

use crate::bucket::EMPTY_BUCKET;
use crate::keyword::{MAX_HASH_FUNCTIONS, ShardingFunction};
use crate::shape::MAX_DIMENSIONS;
use bfv::{EvaluationKeyConfig, GaloisElement};

/// Most plaintexts of a database.
pub const MAX_PLAINTEXTS: u64 = 1 << 32;
/// Most values that a query expands to.
pub const MAX_EXPANDED: u64 = 1 << 16;
/// Largest entry, in bytes.
pub const MAX_ENTRY_SIZE: u64 = 1 << 24;
/// Most lookups of one query.
pub const MAX_CALLS: usize = 256;

/// Why parameters are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// A number is out of range.
    #[error("{what} is {found}; {least} to {most} are possible")]
    Range {
        /// The number's name.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The smallest possible value.
        least: u64,
        /// The largest possible value.
        most: u64,
    },
    /// The dimensions hold fewer plaintexts than the entries need.
    #[error("dimensions {dimensions:?} hold fewer than the {plaintexts} plaintexts of the entries")]
    TooSmall {
        /// The shape.
        dimensions: Vec<u64>,
        /// What it must hold.
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
pub enum DatabaseKind {
    /// Values of keywords, in as many tables as there are hash functions.
    Keyword {
        /// The number of hash functions, f.
        hash_functions: usize,
        /// How shards are chosen.
        sharding: ShardingFunction,
        /// Public key and kind of the symmetric variant, in which values are encrypted.
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
pub struct SymmetricParameters {
    /// The OPRF's public key, a compressed point of P-384.
    pub server_public_key: Vec<u8>,
}

/// What a shard's parameters are made of, before they are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardDescription {
    /// The parameter set.
    pub encryption: bfv::Parameters,
    /// What it is asked for.
    pub kind: DatabaseKind,
    /// Entries (buckets) of one table.
    pub entries: u64,
    /// Bytes of an entry.
    pub entry_size: u64,
    /// d0, or d0 and d1.
    pub dimensions: Vec<u64>,
    /// Most lookups of one query: the number of hash functions.
    pub batch_size: u64,
    /// Galois elements of the wanted evaluation key, ascending.
    pub galois_elements: Vec<u32>,
    /// Whether a relinearization key is wanted.
    pub has_relinearization_key: bool,
}

/// One step of the expansion: the automorphism 2^(log2 N - step + 1) + 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpansionStep {
    /// The element there is a key for.
    pub(crate) element: GaloisElement,
    /// How often it is applied.
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

fn within(what: &'static str, found: u64, least: u64, most: u64) -> Result<(), ParameterError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(ParameterError::Range { what, found, least, most })
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
    pub fn check(self) -> Result<ShardParameters, ParameterError> {
        within("the number of entries", self.entries, 1, MAX_PLAINTEXTS)?;
        within("the entry size", self.entry_size, 1, MAX_ENTRY_SIZE)?;
        let dimensions = self.dimensions.len() as u64;
        within("the number of dimensions", dimensions, 1, MAX_DIMENSIONS as u64)?;
        for &dimension in &self.dimensions {
            within("a dimension", dimension, 1, MAX_EXPANDED)?;
        }
        within("the batch size", self.batch_size, 1, MAX_CALLS as u64)?;
        if let DatabaseKind::Keyword { hash_functions, sharding, .. } = self.kind {
            let hash_functions = hash_functions as u64;
            let most = MAX_HASH_FUNCTIONS as u64;
            within("the number of hash functions", hash_functions, 1, most)?;
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
                let most = u64::from(u32::MAX);
                within("the other shard count", u64::from(other_shard_count), 1, most)?;
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
        within("the number of plaintexts", held * tables * chunks as u64, 1, MAX_PLAINTEXTS)?;
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
    /// What they were made of.
    pub fn description(&self) -> &ShardDescription {
        &self.description
    }

    /// The parameter set.
    pub fn encryption(&self) -> &bfv::Parameters {
        &self.description.encryption
    }

    /// The evaluation key that a server of this shard wants.
    pub fn evaluation_key_config(&self) -> EvaluationKeyConfig {
        EvaluationKeyConfig {
            parameters: self.description.encryption.clone(),
            galois_elements: self.description.galois_elements.clone(),
            has_relinearization_key: self.description.has_relinearization_key,
        }
    }

    /// Bytes of an entry with its length, where that is stored.
    pub fn stored_entry_size(&self) -> usize {
        self.stored_entry_size
    }

    /// Entries that share a plaintext.
    pub fn entries_per_plaintext(&self) -> usize {
        self.entries_per_plaintext
    }

    /// Plaintexts that an entry goes over: ciphertexts of a reply to one lookup.
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// Plaintexts that the entries of one table need, for each chunk.
    pub fn plaintexts_per_chunk(&self) -> usize {
        self.plaintexts_per_chunk
    }

    /// d0.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// d1, 1 where there is one dimension.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether replies go through a second dimension.
    pub fn has_second_dimension(&self) -> bool {
        self.description.dimensions.len() > 1
    }

    /// Most lookups of one query.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Tables of the database.
    pub fn tables(&self) -> usize {
        match self.description.kind {
            DatabaseKind::Keyword { hash_functions, .. } => hash_functions,
            DatabaseKind::Index { .. } => 1,
        }
    }

    /// Plaintexts of the database, empty ones included.
    pub fn plaintexts(&self) -> usize {
        self.tables() * self.chunks * self.rows * self.columns
    }

    /// Where a plaintext stands in the database: plaintext p of a chunk lies in row p / d1 and
    /// column p mod d1, and columns are stored one after the other.
    pub fn position(&self, table: usize, chunk: usize, plaintext: usize) -> usize {
        let (row, column) = (plaintext / self.columns, plaintext % self.columns);
        ((table * self.chunks + chunk) * self.columns + column) * self.rows + row
    }

    /// Values that a query of that many lookups expands to.
    pub fn expanded(&self, calls: usize) -> usize {
        self.description.expanded(calls as u64) as usize
    }

    /// Ciphertexts of a query of that many lookups.
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
