//! Messages to the objects of the arithmetic, and back.
//!
//! Here only shapes are checked: residues, lengths and counts are checked where a context reads the
//! bytes.

use crate::{api, he, pir};
use bfv::serialize::{SerializedCiphertext, SerializedEvaluationKey, SerializedKeySwitchKey};
use bfv::{EvaluationKeyConfig, Parameters, Security};
use keyword_pir::{
    DatabaseKind, Reply, SerializedQuery, ShardDescription, ShardParameters, ShardingFunction,
    SymmetricParameters,
};
use prost::Message;
use sha2::{Digest, Sha256};

/// A message that lacks a part, or has one that means nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A part is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value is known to the schema, but cannot be used here.
    #[error("{what} is {found}; {expected} is needed")]
    Value {
        /// The field.
        what: &'static str,
        /// Its value.
        found: String,
        /// What is possible.
        expected: &'static str,
    },
    /// The parameter set is not valid.
    #[error(transparent)]
    Encryption(#[from] bfv::ParameterError),
    /// The shard's parameters are not valid.
    #[error(transparent)]
    Shard(#[from] keyword_pir::ParameterError),
}

fn value(what: &'static str, found: impl ToString, expected: &'static str) -> ConvertError {
    ConvertError::Value { what, found: found.to_string(), expected }
}

/// A parameter set.
pub fn encryption_parameters(
    message: &he::EncryptionParameters,
) -> Result<Parameters, ConvertError> {
    if message.he_scheme() != he::HeScheme::Bfv {
        return Err(value("he_scheme", message.he_scheme, "1 (BFV)"));
    }
    if message.error_std_dev != 0 {
        return Err(value("error_std_dev", message.error_std_dev, "0 (3.2)"));
    }
    let security = match message.security_level {
        0 => Security::Unchecked,
        1 => Security::Quantum128,
        level => return Err(value("security_level", level, "0 or 1")),
    };
    Ok(Parameters::new(
        message.polynomial_degree,
        message.plaintext_modulus,
        message.coefficient_moduli.clone(),
        security,
    )?)
}

/// The message of a parameter set.
pub fn encryption_message(parameters: &Parameters) -> he::EncryptionParameters {
    let security_level = match parameters.security() {
        Security::Quantum128 => he::SecurityLevel::Quantum128,
        Security::Unchecked => he::SecurityLevel::Unspecified,
    };
    he::EncryptionParameters {
        polynomial_degree: parameters.degree() as u64,
        plaintext_modulus: parameters.plaintext_modulus(),
        coefficient_moduli: parameters.coefficient_moduli().to_vec(),
        error_std_dev: he::ErrorStdDev::Stddev32.into(),
        security_level: security_level.into(),
        he_scheme: he::HeScheme::Bfv.into(),
    }
}

/// Which keys a server wants.
pub fn key_config(message: &he::EvaluationKeyConfig) -> Result<EvaluationKeyConfig, ConvertError> {
    let parameters = message.encryption_parameters.as_ref();
    Ok(EvaluationKeyConfig {
        parameters: encryption_parameters(
            parameters.ok_or(ConvertError::Missing("encryption_parameters"))?,
        )?,
        galois_elements: message.galois_elements.clone(),
        has_relinearization_key: message.has_relin_key,
    })
}

/// The message of which keys a server wants.
pub fn key_config_message(config: &EvaluationKeyConfig) -> he::EvaluationKeyConfig {
    he::EvaluationKeyConfig {
        encryption_parameters: Some(encryption_message(&config.parameters)),
        galois_elements: config.galois_elements.clone(),
        has_relin_key: config.has_relinearization_key,
    }
}

/// The hash by which evaluation keys for a configuration are stored: SHA-256 of its bytes.
pub fn key_config_hash(message: &he::EvaluationKeyConfig) -> [u8; 32] {
    Sha256::digest(message.encode_to_vec()).into()
}

/// The identifier of a configuration: SHA-256 of its bytes. Opaque to clients.
pub fn config_id(message: &api::pir::PirConfig) -> [u8; 32] {
    Sha256::digest(message.encode_to_vec()).into()
}

/// A ciphertext's bytes.
pub fn ciphertext(message: he::SerializedCiphertext) -> Result<SerializedCiphertext, ConvertError> {
    use he::serialized_ciphertext::SerializedCiphertextType::{Full, Seeded};
    match message.serialized_ciphertext_type {
        Some(Seeded(he::SerializedSeededCiphertext { poly0, seed })) => {
            Ok(SerializedCiphertext::Seeded { poly0, seed })
        }
        Some(Full(he::SerializedFullCiphertext { polys, skip_lsbs, correction_factor })) => {
            Ok(SerializedCiphertext::Full { polys, skip_lsbs, correction_factor })
        }
        None => Err(ConvertError::Missing("the content of a ciphertext")),
    }
}

/// The message of a ciphertext's bytes.
pub fn ciphertext_message(ciphertext: SerializedCiphertext) -> he::SerializedCiphertext {
    use he::serialized_ciphertext::SerializedCiphertextType::{Full, Seeded};
    let content = match ciphertext {
        SerializedCiphertext::Seeded { poly0, seed } => {
            Seeded(he::SerializedSeededCiphertext { poly0, seed })
        }
        SerializedCiphertext::Full { polys, skip_lsbs, correction_factor } => {
            Full(he::SerializedFullCiphertext { polys, skip_lsbs, correction_factor })
        }
    };
    he::SerializedCiphertext { serialized_ciphertext_type: Some(content) }
}

fn switch_key(
    message: Option<he::SerializedKeySwitchKey>,
) -> Result<SerializedKeySwitchKey, ConvertError> {
    let list = message.and_then(|message| message.key_switch_key);
    let list = list.ok_or(ConvertError::Missing("a key-switching key"))?;
    list.ciphertexts.into_iter().map(ciphertext).collect()
}

fn switch_key_message(key: SerializedKeySwitchKey) -> he::SerializedKeySwitchKey {
    let ciphertexts = key.into_iter().map(ciphertext_message).collect();
    he::SerializedKeySwitchKey { key_switch_key: Some(he::SerializedCiphertextVec { ciphertexts }) }
}

/// Evaluation keys' bytes.
pub fn evaluation_key(
    message: he::SerializedEvaluationKey,
) -> Result<SerializedEvaluationKey, ConvertError> {
    let galois = message.galois_key.unwrap_or_default().key_switch_keys;
    let galois = galois.into_iter().map(|(element, key)| Ok((element, switch_key(Some(key))?)));
    Ok(SerializedEvaluationKey {
        galois: galois.collect::<Result<_, ConvertError>>()?,
        relinearization: match message.relin_key {
            Some(he::SerializedRelinKey { relin_key: Some(key) }) => Some(switch_key(Some(key))?),
            _ => None,
        },
    })
}

/// The message of evaluation keys' bytes.
pub fn evaluation_key_message(key: SerializedEvaluationKey) -> he::SerializedEvaluationKey {
    let galois = key.galois.into_iter().map(|(element, key)| (element, switch_key_message(key)));
    he::SerializedEvaluationKey {
        galois_key: Some(he::SerializedGaloisKey { key_switch_keys: galois.collect() }),
        relin_key: key
            .relinearization
            .map(|key| he::SerializedRelinKey { relin_key: Some(switch_key_message(key)) }),
    }
}

/// A query's bytes.
pub fn query(message: pir::EncryptedIndices) -> Result<SerializedQuery, ConvertError> {
    let ciphertexts = message.ciphertexts.into_iter().map(ciphertext).collect::<Result<_, _>>()?;
    Ok(SerializedQuery { ciphertexts, calls: message.num_pir_calls })
}

/// The message of a query's bytes.
pub fn query_message(query: SerializedQuery) -> pir::EncryptedIndices {
    pir::EncryptedIndices {
        ciphertexts: query.ciphertexts.into_iter().map(ciphertext_message).collect(),
        num_pir_calls: query.calls,
    }
}

/// A reply's bytes.
pub fn reply(message: api::pir::PirResponse) -> Result<Reply, ConvertError> {
    let replies = message.replies.into_iter();
    replies.map(|list| list.ciphertexts.into_iter().map(ciphertext).collect()).collect()
}

/// The message of a reply's bytes.
pub fn reply_message(reply: Reply) -> api::pir::PirResponse {
    let list = |ciphertexts: Vec<SerializedCiphertext>| he::SerializedCiphertextVec {
        ciphertexts: ciphertexts.into_iter().map(ciphertext_message).collect(),
    };
    api::pir::PirResponse { replies: reply.into_iter().map(list).collect(), stash: None }
}

fn sharding_function(
    message: Option<&pir::PirShardingFunction>,
) -> Result<ShardingFunction, ConvertError> {
    use pir::pir_sharding_function::Function::{DoubleMod, Sha256};
    match message.and_then(|message| message.function) {
        None | Some(Sha256(_)) => Ok(ShardingFunction::Sha256),
        Some(DoubleMod(pir::PirShardingFunctionDoubleMod { other_shard_count })) => {
            Ok(ShardingFunction::DoubleMod { other_shard_count })
        }
    }
}

fn keyword_kind(message: &pir::KeywordPirParameters) -> Result<DatabaseKind, ConvertError> {
    let functions = message.num_hash_functions;
    let symmetric = message.symmetric_pir_client_config.as_ref();
    if let Some(config) = symmetric.filter(|config| config.config_type != 1) {
        return Err(value("config_type", config.config_type, "1 (OPRF_P384_AES_GCM_192)"));
    }
    Ok(DatabaseKind::Keyword {
        hash_functions: usize::try_from(functions)
            .map_err(|_| value("num_hash_functions", functions, "a small number"))?,
        sharding: sharding_function(message.sharding_function.as_ref())?,
        symmetric: symmetric.map(|config| SymmetricParameters {
            server_public_key: config.server_public_key.clone(),
        }),
    })
}

/// The keyword parameters of a database; `None` for one that is asked by number.
pub fn keyword_message(kind: &DatabaseKind) -> Option<pir::KeywordPirParameters> {
    use pir::pir_sharding_function::Function::{DoubleMod, Sha256};
    let DatabaseKind::Keyword { hash_functions, sharding, symmetric } = kind else { return None };
    let function = match *sharding {
        ShardingFunction::Sha256 => Sha256(pir::PirShardingFunctionSha256 {}),
        ShardingFunction::DoubleMod { other_shard_count } => {
            DoubleMod(pir::PirShardingFunctionDoubleMod { other_shard_count })
        }
    };
    Some(pir::KeywordPirParameters {
        num_hash_functions: *hash_functions as u64,
        symmetric_pir_client_config: symmetric.as_ref().map(|symmetric| {
            pir::SymmetricPirClientConfig {
                server_public_key: symmetric.server_public_key.clone(),
                config_type: pir::SymmetricPirConfigType::OprfP384AesGcm192Nonce96Tag128.into(),
            }
        }),
        sharding_function: Some(pir::PirShardingFunction { function: Some(function) }),
    })
}

fn check_algorithm(algorithm: i32) -> Result<(), ConvertError> {
    match algorithm {
        1 => Ok(()),
        other => Err(value("algorithm", other, "1 (MUL_PIR)")),
    }
}

/// A shard's parameters, from its parameter file.
pub fn shard_parameters(message: &pir::PirParameters) -> Result<ShardParameters, ConvertError> {
    check_algorithm(message.algorithm)?;
    let encryption = message.encryption_parameters.as_ref();
    let encryption =
        encryption_parameters(encryption.ok_or(ConvertError::Missing("encryption_parameters"))?)?;
    let keys = message.evaluation_key_config.as_ref();
    let keys = key_config(keys.ok_or(ConvertError::Missing("evaluation_key_config"))?)?;
    if keys.parameters != encryption {
        return Err(keyword_pir::ParameterError::KeyParameters.into());
    }
    let kind = match &message.keyword_pir_params {
        Some(keyword) => keyword_kind(keyword)?,
        None => DatabaseKind::Index { encodes_entry_size: message.encoding_entry_size },
    };
    let description = ShardDescription {
        encryption,
        kind,
        entries: message.num_entries,
        entry_size: message.entry_size,
        dimensions: message.dimensions.clone(),
        batch_size: message.batch_size,
        galois_elements: keys.galois_elements,
        has_relinearization_key: keys.has_relinearization_key,
    };
    Ok(description.check()?)
}

/// The content of a shard's parameter file.
pub fn shard_message(parameters: &ShardParameters) -> pir::PirParameters {
    let description = parameters.description();
    pir::PirParameters {
        encryption_parameters: Some(encryption_message(&description.encryption)),
        num_entries: description.entries,
        entry_size: description.entry_size,
        dimensions: description.dimensions.clone(),
        keyword_pir_params: keyword_message(&description.kind),
        algorithm: pir::PirAlgorithm::MulPir.into(),
        batch_size: description.batch_size,
        evaluation_key_config: Some(key_config_message(&parameters.evaluation_key_config())),
        // What the reference writes whatever was used; the elements say it.
        key_compression_strategy: 0,
        encoding_entry_size: matches!(
            description.kind,
            DatabaseKind::Index { encodes_entry_size: true }
        ),
    }
}

/// The keys that serve every one of some shards: the sorted union of their elements. Fails if they
/// have different parameter sets, or if there are none.
pub fn union_key_config<'s>(
    shards: impl IntoIterator<Item = &'s ShardParameters>,
) -> Result<EvaluationKeyConfig, ConvertError> {
    let mut shards = shards.into_iter();
    let first = shards.next().ok_or(ConvertError::Missing("a shard"))?;
    let mut union = first.evaluation_key_config();
    for shard in shards {
        let config = shard.evaluation_key_config();
        if config.parameters != union.parameters {
            return Err(keyword_pir::ParameterError::KeyParameters.into());
        }
        union.galois_elements.extend(config.galois_elements);
        union.has_relinearization_key |= config.has_relinearization_key;
    }
    union.galois_elements.sort_unstable();
    union.galois_elements.dedup();
    Ok(union)
}

/// The configuration of a use case: shards that are all alike once, others one by one. Equal in every
/// byte to what the example service sends, and so in its id: devices keep what they have when a
/// service moves from one to the other.
pub fn config_message(shards: &[ShardParameters]) -> Result<api::pir::PirConfig, ConvertError> {
    let keys = key_config_message(&union_key_config(shards)?);
    let first = shards.first().ok_or(ConvertError::Missing("a shard"))?.description();
    let shard = |parameters: &ShardParameters| {
        let description = parameters.description();
        api::pir::PirShardConfig {
            num_entries: description.entries,
            entry_size: description.entry_size,
            dimensions: description.dimensions.clone(),
            shard_id: Some(String::new()),
            compress_vectorized_pir_response: None,
            vectorized_pir_internal_batching_size: None,
        }
    };
    let alike = shards.len() > 1 && shards.windows(2).all(|pair| pair[0] == pair[1]);
    let fixed = alike.then(|| api::pir::PirFixedShardConfig {
        shard_config: Some(shard(&shards[0])),
        shard_count: shards.len() as u32,
    });
    use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
    Ok(api::pir::PirConfig {
        encryption_parameters: Some(encryption_message(&first.encryption)),
        shard_configs: if alike { Vec::new() } else { shards.iter().map(shard).collect() },
        keyword_pir_params: keyword_message(&first.kind),
        algorithm: pir::PirAlgorithm::MulPir.into(),
        batch_size: first.batch_size,
        evaluation_key_config_hash: key_config_hash(&keys).to_vec(),
        pir_shard_configs: fixed.map(|fixed| api::pir::PirShardConfigs {
            shard_configs: Some(RepeatedShardConfig(fixed)),
        }),
        encoding_entry_size: None,
        custom_config: None,
    })
}

/// Most shards of a configuration that are spelled out.
pub const MAX_SHARDS: u32 = 1 << 16;

/// The shards of a use case, as a client reads them from its configuration and the key
/// configuration that came with it.
pub fn config_shards(
    message: &api::pir::PirConfig,
    keys: &he::EvaluationKeyConfig,
) -> Result<Vec<ShardParameters>, ConvertError> {
    check_algorithm(message.algorithm)?;
    if message.evaluation_key_config_hash != key_config_hash(keys) {
        return Err(value(
            "evaluation_key_config_hash",
            "another",
            "that of the key configuration",
        ));
    }
    let encryption = message.encryption_parameters.as_ref();
    let encryption =
        encryption_parameters(encryption.ok_or(ConvertError::Missing("encryption_parameters"))?)?;
    let keys = key_config(keys)?;
    if keys.parameters != encryption {
        return Err(keyword_pir::ParameterError::KeyParameters.into());
    }
    let kind = match &message.keyword_pir_params {
        Some(keyword) => keyword_kind(keyword)?,
        None => {
            DatabaseKind::Index { encodes_entry_size: message.encoding_entry_size.unwrap_or(false) }
        }
    };
    let shard = |shard: &api::pir::PirShardConfig| -> Result<ShardParameters, ConvertError> {
        let description = ShardDescription {
            encryption: encryption.clone(),
            kind: kind.clone(),
            entries: shard.num_entries,
            entry_size: shard.entry_size,
            dimensions: shard.dimensions.clone(),
            batch_size: message.batch_size,
            galois_elements: keys.galois_elements.clone(),
            has_relinearization_key: keys.has_relinearization_key,
        };
        Ok(description.check()?)
    };
    use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
    let shards = message.pir_shard_configs.as_ref().and_then(|s| s.shard_configs.as_ref());
    let shards = match shards {
        Some(RepeatedShardConfig(fixed)) => {
            let config =
                fixed.shard_config.as_ref().ok_or(ConvertError::Missing("shard_config"))?;
            if !(1..=MAX_SHARDS).contains(&fixed.shard_count) {
                return Err(value("shard_count", fixed.shard_count, "1 to 65536"));
            }
            vec![shard(config)?; fixed.shard_count as usize]
        }
        None => message.shard_configs.iter().map(shard).collect::<Result<_, _>>()?,
    };
    if shards.is_empty() {
        return Err(ConvertError::Missing("shard_configs"));
    }
    Ok(shards)
}
