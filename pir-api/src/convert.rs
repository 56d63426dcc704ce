//! Conversions between messages and the types of `bfv` and `keyword-pir`.
//!
//! A message becomes a value with `TryFrom`, and a value a message with `From`. Conversions check the shape of
//! a message: that its parts are there and name something known. Residues, lengths and counts are checked when
//! a context reads the bytes.
//!
//! ```
//! use pir_api::he;
//!
//! let parameters = bfv::Parameters::predefined("n_4096_logq_27_28_28_logt_5").unwrap();
//! let message = he::EncryptionParameters::from(&parameters);
//! assert_eq!(message.polynomial_degree, 4096);
//! assert_eq!(bfv::Parameters::try_from(&message)?, parameters);
//! # Ok::<(), pir_api::convert::ConvertError>(())
//! ```

use crate::{api, he, pir};
use bfv::serialize::{SerializedCiphertext, SerializedEvaluationKey, SerializedKeySwitchKey};
use bfv::{EvaluationKeyConfig, Parameters, Security};
use keyword_pir::{
    DatabaseKind, Reply, SerializedQuery, ShardDescription, ShardParameters, ShardingFunction,
    SymmetricParameters,
};
use prost::Message;
use sha2::{Digest, Sha256};

/// A message lacks a part, or a part of it has no meaning here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A part is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value is possible in the schema, but cannot be used here.
    #[error("{what} is {found}; {expected} is needed")]
    Value {
        /// The name of the field in the schema.
        what: &'static str,
        /// The value that the message has.
        found: String,
        /// What is possible.
        expected: &'static str,
    },
    /// The encryption parameters are not valid.
    #[error(transparent)]
    Encryption(#[from] bfv::ParameterError),
    /// The shard's parameters are not valid.
    #[error(transparent)]
    Shard(#[from] keyword_pir::ParameterError),
}

fn value(what: &'static str, found: impl ToString, expected: &'static str) -> ConvertError {
    ConvertError::Value { what, found: found.to_string(), expected }
}

impl TryFrom<&he::EncryptionParameters> for Parameters {
    type Error = ConvertError;

    fn try_from(message: &he::EncryptionParameters) -> Result<Self, ConvertError> {
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
}

impl From<&Parameters> for he::EncryptionParameters {
    fn from(parameters: &Parameters) -> Self {
        let security_level = match parameters.security() {
            Security::Quantum128 => he::SecurityLevel::Quantum128,
            Security::Unchecked => he::SecurityLevel::Unspecified,
        };
        Self {
            polynomial_degree: parameters.degree() as u64,
            plaintext_modulus: parameters.plaintext_modulus(),
            coefficient_moduli: parameters.coefficient_moduli().to_vec(),
            error_std_dev: he::ErrorStdDev::Stddev32.into(),
            security_level: security_level.into(),
            he_scheme: he::HeScheme::Bfv.into(),
        }
    }
}

/// The encryption parameters of a message that must have some.
fn encryption_parameters(
    message: Option<&he::EncryptionParameters>,
) -> Result<Parameters, ConvertError> {
    message.ok_or(ConvertError::Missing("encryption_parameters"))?.try_into()
}

impl TryFrom<&he::EvaluationKeyConfig> for EvaluationKeyConfig {
    type Error = ConvertError;

    fn try_from(message: &he::EvaluationKeyConfig) -> Result<Self, ConvertError> {
        let count = message.galois_elements.len();
        if count > keyword_pir::MAX_GALOIS_ELEMENTS {
            return Err(value("the number of galois_elements", count, "at most 64"));
        }
        Ok(Self {
            parameters: encryption_parameters(message.encryption_parameters.as_ref())?,
            galois_elements: message.galois_elements.clone(),
            has_relinearization_key: message.has_relin_key,
        })
    }
}

impl From<&EvaluationKeyConfig> for he::EvaluationKeyConfig {
    fn from(config: &EvaluationKeyConfig) -> Self {
        Self {
            encryption_parameters: Some((&config.parameters).into()),
            galois_elements: config.galois_elements.clone(),
            has_relin_key: config.has_relinearization_key,
        }
    }
}

/// The hash under which evaluation keys for a configuration are stored: SHA-256 of its serialized message.
#[must_use]
pub fn key_config_hash(message: &he::EvaluationKeyConfig) -> [u8; 32] {
    Sha256::digest(message.encode_to_vec()).into()
}

/// The identifier of a configuration: SHA-256 of its serialized message. Opaque to clients.
#[must_use]
pub fn config_id(message: &api::pir::PirConfig) -> [u8; 32] {
    Sha256::digest(message.encode_to_vec()).into()
}

impl TryFrom<he::SerializedCiphertext> for SerializedCiphertext {
    type Error = ConvertError;

    fn try_from(message: he::SerializedCiphertext) -> Result<Self, ConvertError> {
        use he::serialized_ciphertext::SerializedCiphertextType::{Full, Seeded};
        match message.serialized_ciphertext_type {
            Some(Seeded(he::SerializedSeededCiphertext { poly0, seed })) => {
                Ok(Self::Seeded { poly0, seed })
            }
            Some(Full(he::SerializedFullCiphertext { polys, skip_lsbs, correction_factor })) => {
                Ok(Self::Full { polys, skip_lsbs, correction_factor })
            }
            None => Err(ConvertError::Missing("the content of a ciphertext")),
        }
    }
}

impl From<SerializedCiphertext> for he::SerializedCiphertext {
    fn from(ciphertext: SerializedCiphertext) -> Self {
        use he::serialized_ciphertext::SerializedCiphertextType::{Full, Seeded};
        let content = match ciphertext {
            SerializedCiphertext::Seeded { poly0, seed } => {
                Seeded(he::SerializedSeededCiphertext { poly0, seed })
            }
            SerializedCiphertext::Full { polys, skip_lsbs, correction_factor } => {
                Full(he::SerializedFullCiphertext { polys, skip_lsbs, correction_factor })
            }
        };
        Self { serialized_ciphertext_type: Some(content) }
    }
}

impl TryFrom<he::SerializedCiphertextVec> for Vec<SerializedCiphertext> {
    type Error = ConvertError;

    fn try_from(message: he::SerializedCiphertextVec) -> Result<Self, ConvertError> {
        message.ciphertexts.into_iter().map(SerializedCiphertext::try_from).collect()
    }
}

impl From<Vec<SerializedCiphertext>> for he::SerializedCiphertextVec {
    fn from(ciphertexts: Vec<SerializedCiphertext>) -> Self {
        Self { ciphertexts: ciphertexts.into_iter().map(Into::into).collect() }
    }
}

fn switch_key(
    message: Option<he::SerializedKeySwitchKey>,
) -> Result<SerializedKeySwitchKey, ConvertError> {
    let list = message.and_then(|message| message.key_switch_key);
    list.ok_or(ConvertError::Missing("a key-switching key"))?.try_into()
}

fn switch_key_message(key: SerializedKeySwitchKey) -> he::SerializedKeySwitchKey {
    he::SerializedKeySwitchKey { key_switch_key: Some(key.into()) }
}

impl TryFrom<he::SerializedEvaluationKey> for SerializedEvaluationKey {
    type Error = ConvertError;

    fn try_from(message: he::SerializedEvaluationKey) -> Result<Self, ConvertError> {
        let galois = message.galois_key.unwrap_or_default().key_switch_keys;
        let galois = galois.into_iter().map(|(element, key)| Ok((element, switch_key(Some(key))?)));
        Ok(Self {
            galois: galois.collect::<Result<_, ConvertError>>()?,
            relinearization: match message.relin_key {
                Some(he::SerializedRelinKey { relin_key: Some(key) }) => {
                    Some(switch_key(Some(key))?)
                }
                _ => None,
            },
        })
    }
}

impl From<SerializedEvaluationKey> for he::SerializedEvaluationKey {
    fn from(key: SerializedEvaluationKey) -> Self {
        let galois =
            key.galois.into_iter().map(|(element, key)| (element, switch_key_message(key)));
        Self {
            galois_key: Some(he::SerializedGaloisKey { key_switch_keys: galois.collect() }),
            relin_key: key
                .relinearization
                .map(|key| he::SerializedRelinKey { relin_key: Some(switch_key_message(key)) }),
        }
    }
}

impl TryFrom<pir::EncryptedIndices> for SerializedQuery {
    type Error = ConvertError;

    fn try_from(message: pir::EncryptedIndices) -> Result<Self, ConvertError> {
        let ciphertexts = message.ciphertexts.into_iter().map(SerializedCiphertext::try_from);
        Ok(Self {
            ciphertexts: ciphertexts.collect::<Result<_, _>>()?,
            calls: message.num_pir_calls,
        })
    }
}

impl From<SerializedQuery> for pir::EncryptedIndices {
    fn from(query: SerializedQuery) -> Self {
        Self {
            ciphertexts: query.ciphertexts.into_iter().map(Into::into).collect(),
            num_pir_calls: query.calls,
        }
    }
}

/// To a [`Reply`].
impl TryFrom<api::pir::PirResponse> for Vec<Vec<SerializedCiphertext>> {
    type Error = ConvertError;

    fn try_from(message: api::pir::PirResponse) -> Result<Self, ConvertError> {
        message.replies.into_iter().map(Vec::try_from).collect()
    }
}

impl From<Reply> for api::pir::PirResponse {
    fn from(reply: Reply) -> Self {
        Self { replies: reply.into_iter().map(Into::into).collect(), stash: None }
    }
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

/// The keyword parameters of a database; `None` for one that is looked up by number.
fn keyword_message(kind: &DatabaseKind) -> Option<pir::KeywordPirParameters> {
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

/// The content of a shard's parameter file.
impl TryFrom<&pir::PirParameters> for ShardParameters {
    type Error = ConvertError;

    fn try_from(message: &pir::PirParameters) -> Result<Self, ConvertError> {
        check_algorithm(message.algorithm)?;
        let encryption = encryption_parameters(message.encryption_parameters.as_ref())?;
        let keys = message.evaluation_key_config.as_ref();
        let keys: EvaluationKeyConfig =
            keys.ok_or(ConvertError::Missing("evaluation_key_config"))?.try_into()?;
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
}

/// The content of a shard's parameter file.
impl From<&ShardParameters> for pir::PirParameters {
    fn from(parameters: &ShardParameters) -> Self {
        let description = parameters.description();
        Self {
            encryption_parameters: Some((&description.encryption).into()),
            num_entries: description.entries,
            entry_size: description.entry_size,
            dimensions: description.dimensions.clone(),
            keyword_pir_params: keyword_message(&description.kind),
            algorithm: pir::PirAlgorithm::MulPir.into(),
            batch_size: description.batch_size,
            evaluation_key_config: Some((&parameters.evaluation_key_config()).into()),
            // The reference writes 0 whatever strategy was used; the Galois elements tell it.
            key_compression_strategy: 0,
            encoding_entry_size: matches!(
                description.kind,
                DatabaseKind::Index { encodes_entry_size: true }
            ),
        }
    }
}

/// The keys that serve all of some shards: the sorted union of their Galois elements.
///
/// # Errors
/// [`ConvertError::Missing`] if there are no shards, [`ConvertError::Shard`] if they have different encryption
/// parameters.
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

/// The configuration of a use case. Shards that are all equal are written once, with their number. The message
/// is equal to that of Apple's example service in every byte, and so is its identifier: devices keep their
/// configuration when a service moves from one to the other.
///
/// # Errors
/// As [`union_key_config`].
pub fn config_message(shards: &[ShardParameters]) -> Result<api::pir::PirConfig, ConvertError> {
    let keys = he::EvaluationKeyConfig::from(&union_key_config(shards)?);
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
        encryption_parameters: Some((&first.encryption).into()),
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

/// Largest number of shards of a configuration.
pub const MAX_SHARDS: u32 = 1 << 16;

/// The shards of a use case, as its configuration tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigShards {
    /// The parameters of each shard, or of all of them if there is one.
    pub parameters: Vec<ShardParameters>,
    /// The number of shards, from 1 to [`MAX_SHARDS`].
    pub count: u32,
}

/// The number of shards that a configuration tells, whatever else is in it.
#[must_use]
pub fn shard_count(message: &api::pir::PirConfig) -> u64 {
    match repeated_shard(message) {
        Some(fixed) => fixed.shard_count.into(),
        None => message.shard_configs.len() as u64,
    }
}

fn repeated_shard(message: &api::pir::PirConfig) -> Option<&api::pir::PirFixedShardConfig> {
    use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
    let configs = message.pir_shard_configs.as_ref()?;
    configs.shard_configs.as_ref().map(|RepeatedShardConfig(fixed)| fixed)
}

/// The shards of a use case, from its configuration and the key configuration that came with it.
///
/// # Errors
/// [`ConvertError`], for the same reasons as [`distinct_shards`].
pub fn config_shards(
    message: &api::pir::PirConfig,
    keys: &he::EvaluationKeyConfig,
) -> Result<Vec<ShardParameters>, ConvertError> {
    let ConfigShards { parameters, count } = distinct_shards(message, keys)?;
    Ok(match &parameters[..] {
        [one] => vec![one.clone(); count as usize],
        _ => parameters,
    })
}

/// The shards of a use case; parameters that all of them have are there once.
///
/// # Errors
/// [`ConvertError`], if a part is missing or cannot be used, if there are more than [`MAX_SHARDS`], or if the two do not
/// belong together.
pub fn distinct_shards(
    message: &api::pir::PirConfig,
    keys: &he::EvaluationKeyConfig,
) -> Result<ConfigShards, ConvertError> {
    check_algorithm(message.algorithm)?;
    let count = shard_count(message);
    let has_none = repeated_shard(message).is_none() && count == 0;
    if has_none {
        return Err(ConvertError::Missing("shard_configs"));
    }
    let count = u32::try_from(count).ok().filter(|count| (1..=MAX_SHARDS).contains(count));
    let count =
        count.ok_or_else(|| value("the number of shards", shard_count(message), "1 to 65536"))?;
    if message.evaluation_key_config_hash != key_config_hash(keys) {
        return Err(value(
            "evaluation_key_config_hash",
            "another",
            "that of the key configuration",
        ));
    }
    let encryption = encryption_parameters(message.encryption_parameters.as_ref())?;
    let keys = EvaluationKeyConfig::try_from(keys)?;
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
    let mut parameters = match repeated_shard(message) {
        Some(fixed) => {
            let config =
                fixed.shard_config.as_ref().ok_or(ConvertError::Missing("shard_config"))?;
            vec![shard(config)?]
        }
        None => message.shard_configs.iter().map(shard).collect::<Result<Vec<_>, _>>()?,
    };
    if parameters.windows(2).all(|pair| pair[0] == pair[1]) {
        parameters.truncate(1);
    }
    Ok(ConfigShards { parameters, count })
}

#[cfg(test)]
mod tests;
