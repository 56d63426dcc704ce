//! The parameter files that Apple's tool writes for each shard: protobuf text of the plain kind,
//! `name: value` and `name { … }`.

use crate::EncryptionParameters;

/// How keywords are spread over shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharding {
    /// By the hash alone.
    Sha256,
    /// By the hash modulo another number first.
    DoubleMod {
        /// The other number.
        other_shard_count: u32,
    },
}

/// The parameters of a shard, from its parameter file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The parameter set.
    pub encryption: EncryptionParameters,
    /// Buckets of a table.
    pub entries: u64,
    /// Bytes of a bucket.
    pub entry_size: u64,
    /// Length of each dimension.
    pub dimensions: Vec<u64>,
    /// Lookups of one query.
    pub batch_size: u64,
    /// Hash functions, and so tables.
    pub hash_functions: u64,
    /// How keywords are spread over shards.
    pub sharding: Sharding,
    /// Galois elements of the wanted evaluation key, ascending.
    pub galois_elements: Vec<u32>,
    /// Whether a relinearization key is wanted.
    pub has_relinearization_key: bool,
}

/// A message as text: its fields in order.
#[derive(Default)]
struct Block(Vec<(String, Value)>);

enum Value {
    /// The words after the colon, without brackets and commas.
    Words(Vec<String>),
    Block(Block),
}

impl Block {
    /// Reads fields up to a closing brace or the end.
    fn read<'t>(lines: &mut impl Iterator<Item = &'t str>) -> Self {
        let mut block = Self::default();
        while let Some(line) = lines.next() {
            let line = line.trim();
            if line == "}" {
                break;
            }
            if let Some(name) = line.strip_suffix('{') {
                block.0.push((name.trim().to_owned(), Value::Block(Self::read(lines))));
            } else if let Some((name, value)) = line.split_once(':') {
                let words = value.split(|c: char| "[], ".contains(c));
                let words = words.filter(|word| !word.is_empty()).map(ToOwned::to_owned);
                block.0.push((name.to_owned(), Value::Words(words.collect())));
            }
        }
        block
    }

    fn block(&self, name: &str) -> Option<&Self> {
        self.0.iter().find_map(|(field, value)| match value {
            Value::Block(block) if field == name => Some(block),
            _ => None,
        })
    }

    fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter_map(move |(field, value)| match value {
                Value::Words(words) if field == name => Some(words),
                _ => None,
            })
            .flatten()
            .map(String::as_str)
    }

    fn numbers(&self, name: &str) -> Vec<u64> {
        self.words(name).map(|word| word.parse().expect("a number")).collect()
    }

    fn number(&self, name: &str) -> u64 {
        self.numbers(name).first().copied().unwrap_or(0)
    }
}

fn encryption(block: &Block) -> EncryptionParameters {
    EncryptionParameters {
        degree: block.number("polynomial_degree"),
        plaintext_modulus: block.number("plaintext_modulus"),
        coefficient_moduli: block.numbers("coefficient_moduli"),
        is_secure: block.words("security_level").any(|word| word == "SECURITY_LEVEL_QUANTUM128"),
    }
}

pub(crate) fn parse(text: &str) -> Shard {
    let file = Block::read(&mut text.lines());
    let keyword = file.block("keyword_pir_params").expect("a keyword database");
    let sharding = keyword.block("sharding_function");
    let double_mod = sharding.and_then(|function| function.block("double_mod"));
    let keys = file.block("evaluation_key_config").expect("a key configuration");
    Shard {
        encryption: encryption(file.block("encryption_parameters").expect("parameters")),
        entries: file.number("num_entries"),
        entry_size: file.number("entry_size"),
        dimensions: file.numbers("dimensions"),
        batch_size: file.number("batch_size"),
        hash_functions: keyword.number("num_hash_functions"),
        sharding: match double_mod {
            Some(block) => Sharding::DoubleMod {
                other_shard_count: u32::try_from(block.number("other_shard_count")).unwrap(),
            },
            None => Sharding::Sha256,
        },
        galois_elements: keys
            .numbers("galois_elements")
            .into_iter()
            .map(|element| u32::try_from(element).unwrap())
            .collect(),
        has_relinearization_key: keys.words("has_relin_key").any(|word| word == "true"),
    }
}
