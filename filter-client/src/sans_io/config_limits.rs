//! What the configuration of a service may make a client do: how much it computes, sends and takes in.
//!
//! Whatever Apple's service sends is far below these limits. They are checked before anything is allocated or computed:
//! the longest of what they allow, drawing keys, takes some tens of milliseconds.

use crate::error::ResponseError;
use bfv::EvaluationKeyConfig;
use keyword_pir::ShardParameters;

/// Longest id of a configuration, in bytes: it is stored, and sent with every query. Services send a digest of 32.
pub(crate) const MAX_CONFIG_ID: usize = 64;
/// Largest number of residues of a polynomial: its degree times the number of moduli.
const MAX_RESIDUES: u64 = 1 << 16;
/// Longest evaluation key, in bytes, as it is uploaded.
const MAX_KEY_BYTES: u64 = 8 << 20;
/// Largest number of ciphertexts of a query.
const MAX_QUERY_CIPHERTEXTS: u64 = 4;
/// Largest number of ciphertexts of a reply to one query: of all hash functions together.
const MAX_REPLY_CIPHERTEXTS: u64 = 64;
/// Longest response to queries, in bytes. Fewer queries are sent together if more would not fit.
pub(crate) const MAX_RESPONSE: usize = 32 << 20;

/// Length of a configuration without its shards, in bytes.
const MAX_CONFIG: usize = 64 << 10;
/// Length of a shard that is spelled out, in bytes.
const MAX_SHARD_BYTES: usize = 64;
/// Fields of a configuration without its shards.
const MAX_CONFIG_FIELDS: usize = 4096;
/// Fields of a shard that is spelled out.
const MAX_SHARD_FIELDS: usize = 16;

/// Longest response to a request for the configuration, in bytes, if so many shards are accepted.
pub(crate) fn max_config_bytes(max_shards: u32) -> usize {
    MAX_CONFIG + MAX_SHARD_BYTES * shards(max_shards)
}

/// Largest number of fields of a configuration, if so many shards are accepted.
pub(crate) fn max_config_fields(max_shards: u32) -> usize {
    MAX_CONFIG_FIELDS + MAX_SHARD_FIELDS * shards(max_shards)
}

fn shards(max: u32) -> usize {
    max.min(pir_api::convert::MAX_SHARDS) as usize
}

fn within(what: &'static str, found: u64, max: u64) -> Result<(), ResponseError> {
    match found <= max {
        true => Ok(()),
        false => Err(ResponseError::TooLarge { what, found, max }),
    }
}

pub(crate) fn check_id(id: &[u8]) -> Result<(), ResponseError> {
    within("bytes of the configuration's id", id.len() as u64, MAX_CONFIG_ID as u64)
}

/// The parameter set: tables are made for it.
pub(crate) fn check_encryption(encryption: &bfv::Parameters) -> Result<(), ResponseError> {
    let moduli = encryption.coefficient_moduli().len() as u64;
    within("residues of a polynomial", encryption.degree() as u64 * moduli, MAX_RESIDUES)
}

/// What the parameters of shards make a client compute and take in.
pub(crate) fn check_shards(shards: &[ShardParameters]) -> Result<(), ResponseError> {
    for shard in shards {
        let query = shard.query_ciphertexts(shard.calls()) as u64;
        within("ciphertexts of a query", query, MAX_QUERY_CIPHERTEXTS)?;
        let reply = (shard.calls() as u64).saturating_mul(shard.chunks() as u64);
        within("ciphertexts of a reply", reply, MAX_REPLY_CIPHERTEXTS)?;
    }
    Ok(())
}

/// The evaluation key: it has the Galois elements that the expansion of queries needs, each once, and no others. Each is a
/// key that is computed and uploaded.
pub(crate) fn check_keys(
    keys: &EvaluationKeyConfig,
    shards: &[ShardParameters],
) -> Result<(), ResponseError> {
    let parameters = &keys.parameters;
    let degree = parameters.degree() as u64;
    let expanded = shards.iter().map(|shard| shard.expanded(shard.calls()) as u64);
    let steps = expanded.max().unwrap_or(1).min(degree).next_power_of_two().ilog2();
    let smallest = (1 << (degree.ilog2() + 1 - steps)) + 1;
    let is_needed = |element: u64| {
        steps > 0 && (smallest..=degree + 1).contains(&element) && (element - 1).is_power_of_two()
    };
    let elements = &keys.galois_elements;
    let is_ascending = elements.windows(2).all(|pair| pair[0] < pair[1]);
    if !is_ascending || !elements.iter().all(|&element| is_needed(element.into())) {
        return Err(ResponseError::GaloisElements);
    }
    let moduli = parameters.coefficient_moduli();
    let bits: u64 = moduli.iter().map(|modulus| u64::from(modulus.ilog2()) + 1).sum();
    let switches = elements.len() as u64 + u64::from(keys.has_relinearization_key);
    let ciphertexts = switches * parameters.ciphertext_modulus_count() as u64;
    within("bytes of an evaluation key", ciphertexts * degree * bits / 8, MAX_KEY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bfv::{Parameters, Security};
    use keyword_pir::shape::{KeyCompression, galois_elements};
    use keyword_pir::{DatabaseKind, ShardDescription, ShardingFunction};

    fn usual() -> Parameters {
        Parameters::predefined("n_4096_logq_27_28_28_logt_5").unwrap()
    }

    fn description(hash_functions: usize) -> ShardDescription {
        let sharding = ShardingFunction::Sha256;
        let kind = DatabaseKind::Keyword { hash_functions, sharding, symmetric: None };
        let mut description = ShardDescription::new(usual(), kind);
        description.galois_elements = galois_elements(4096, 4096, KeyCompression::None);
        description
    }

    fn shard(change: impl Fn(&mut ShardDescription)) -> ShardParameters {
        let mut changed = description(2);
        change(&mut changed);
        changed.check().unwrap()
    }

    fn refused(outcome: Result<(), ResponseError>) -> Option<(u64, u64)> {
        match outcome {
            Ok(()) => None,
            Err(ResponseError::TooLarge { found, max, .. }) => Some((found, max)),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_length_of_an_id_is_limited() {
        for (length, expected) in [(63, None), (64, None), (65, Some((65, 64)))] {
            assert_eq!(refused(check_id(&vec![7; length])), expected);
        }
    }

    #[test]
    fn what_a_configuration_may_hold_grows_with_the_shards_that_are_accepted() {
        assert_eq!((max_config_bytes(0), max_config_fields(0)), (65_536, 4096));
        assert_eq!((max_config_bytes(512), max_config_fields(512)), (98_304, 12_288));
        for most in [65_536, 65_537, u32::MAX] {
            let expected = ((64 << 10) + (4 << 20), 4096 + (1 << 20));
            assert_eq!((max_config_bytes(most), max_config_fields(most)), expected);
        }
    }

    #[test]
    fn replies_and_queries_have_few_ciphertexts() {
        // Two hash functions, and 2 KiB in each ciphertext.
        for (chunks, expected) in [(31, None), (32, None), (33, Some((66, 64)))] {
            let large = shard(|d| d.entry_size = 2048 * chunks);
            assert_eq!(refused(check_shards(&[large])), expected, "{chunks}");
        }
        for (functions, expected) in [(31, None), (32, None)] {
            let shard = description(functions).check().unwrap();
            assert_eq!(refused(check_shards(&[shard])), expected, "{functions}");
        }
        for (rows, expected) in [(8191, None), (8192, None), (8193, Some((5, 4)))] {
            let long = shard(|d| d.dimensions = vec![rows]);
            assert_eq!(refused(check_shards(&[shard(|_| ()), long])), expected, "{rows}");
        }
    }

    #[test]
    fn polynomials_are_limited() {
        let modulus = |bits: u32, skip: usize| {
            let is_prime =
                |&q: &u64| Parameters::new(32_768, 17, vec![q], Security::Unchecked).is_ok();
            let down = (1..).map(|k| (1 << bits) - k * (1 << 16) + 1);
            down.filter(is_prime).nth(skip).unwrap()
        };
        for (moduli, expected) in [(1, None), (2, None), (3, Some((98_304, 65_536)))] {
            let moduli = (0..moduli).map(|place| modulus(40, place)).collect();
            let set = Parameters::new(32_768, 17, moduli, Security::Unchecked).unwrap();
            assert_eq!(refused(check_encryption(&set)), expected);
        }
    }

    #[test]
    fn an_evaluation_key_has_what_the_expansion_needs_and_nothing_else() {
        let shard = shard(|d| d.dimensions = vec![25, 6]);
        let check = |elements: &[u32]| {
            let keys = EvaluationKeyConfig {
                parameters: usual(),
                galois_elements: elements.to_vec(),
                has_relinearization_key: true,
            };
            check_keys(&keys, std::slice::from_ref(&shard)).is_ok()
        };
        for compression in [KeyCompression::None, KeyCompression::Maximum, KeyCompression::Hybrid] {
            assert!(check(&galois_elements(4096, 62, compression)), "{compression:?}");
        }
        // One that is smaller than any step, one above the degree, one of another form, one twice, and out of order.
        assert!(check(&[129]) && check(&[129, 4097]));
        for elements in [&[65, 129][..], &[129, 8193], &[129, 131], &[129, 129], &[4097, 129]] {
            assert!(!check(elements), "{elements:?}");
        }
    }

    #[test]
    fn the_length_of_an_evaluation_key_is_limited() {
        // Of 3 moduli of 55 bits: 675,840 bytes for two ciphertexts at twice the degree of the set.
        let set = Parameters::predefined("n_8192_logq_3x55_logt_24").unwrap();
        let kind = description(2).kind;
        let mut description = ShardDescription::new(set.clone(), kind);
        description.galois_elements = galois_elements(8192, 8192, KeyCompression::None);
        description.dimensions = vec![4096];
        let shard = description.check().unwrap();
        let keys = EvaluationKeyConfig {
            parameters: set,
            galois_elements: galois_elements(8192, 8192, KeyCompression::None),
            has_relinearization_key: true,
        };
        // The largest key of the largest set that there is.
        assert!(check_keys(&keys, &[shard]).is_ok());
        for (found, expected) in [
            (MAX_KEY_BYTES - 1, None),
            (MAX_KEY_BYTES, None),
            (MAX_KEY_BYTES + 1, Some((MAX_KEY_BYTES + 1, MAX_KEY_BYTES))),
        ] {
            assert_eq!(
                refused(within("bytes of an evaluation key", found, MAX_KEY_BYTES)),
                expected
            );
        }
    }
}
