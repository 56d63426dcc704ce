pub(crate) static MESSAGES: &[(&str, Fields)] = &[
    ("URLFilterReport", &[
        Field { number: 1, name: "urls", kind: Kind::Text, repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.OPRFRequest", &[
        Field { number: 1, name: "query_element", kind: Kind::Bytes, repeated: false, one_of: None },
        Field { number: 2, name: "config_id", kind: Kind::Bytes, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.OPRFResponse", &[
        Field { number: 1, name: "evaluated_element", kind: Kind::Bytes, repeated: false, one_of: None },
        Field { number: 2, name: "proof", kind: Kind::Bytes, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRConfig", &[
        Field { number: 1, name: "encryption_parameters", kind: Kind::Message(38), repeated: false, one_of: None },
        Field { number: 2, name: "shard_configs", kind: Kind::Message(7), repeated: true, one_of: None },
        Field { number: 3, name: "keyword_pir_params", kind: Kind::Message(32), repeated: false, one_of: None },
        Field { number: 4, name: "algorithm", kind: Kind::Enumeration(1), repeated: false, one_of: None },
        Field { number: 5, name: "batch_size", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 6, name: "evaluation_key_config_hash", kind: Kind::Bytes, repeated: false, one_of: None },
        Field { number: 10, name: "pir_shard_configs", kind: Kind::Message(8), repeated: false, one_of: None },
        Field { number: 11, name: "encoding_entry_size", kind: Kind::Bool, repeated: false, one_of: None },
        Field { number: 100, name: "custom_config", kind: Kind::Message(51), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRFixedShardConfig", &[
        Field { number: 1, name: "shard_config", kind: Kind::Message(7), repeated: false, one_of: None },
        Field { number: 2, name: "shard_count", kind: Kind::Uint32, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRRequest", &[
        Field { number: 1, name: "shard_index", kind: Kind::Uint32, repeated: false, one_of: None },
        Field { number: 2, name: "query", kind: Kind::Message(27), repeated: false, one_of: None },
        Field { number: 3, name: "evaluation_key_metadata", kind: Kind::Message(11), repeated: false, one_of: None },
        Field { number: 4, name: "configuration_hash", kind: Kind::Bytes, repeated: false, one_of: None },
        Field { number: 5, name: "shard_id", kind: Kind::Text, repeated: false, one_of: None },
        Field { number: 6, name: "evaluation_key", kind: Kind::Message(10), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRResponse", &[
        Field { number: 1, name: "replies", kind: Kind::Message(41), repeated: true, one_of: None },
        Field { number: 2, name: "stash", kind: Kind::Message(9), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRShardConfig", &[
        Field { number: 1, name: "num_entries", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 2, name: "entry_size", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 3, name: "dimensions", kind: Kind::Uint64, repeated: true, one_of: None },
        Field { number: 4, name: "shard_id", kind: Kind::Text, repeated: false, one_of: None },
        Field { number: 5, name: "compress_vectorized_pir_response", kind: Kind::Bool, repeated: false, one_of: None },
        Field { number: 6, name: "vectorized_pir_internal_batching_size", kind: Kind::Uint64, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRShardConfigs", &[
        Field { number: 1, name: "repeated_shard_config", kind: Kind::Message(4), repeated: false, one_of: Some(0) },
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.StashOfEntries", &[
        Field { number: 1, name: "hashed_keywords", kind: Kind::Uint64, repeated: true, one_of: None },
        Field { number: 2, name: "values", kind: Kind::Bytes, repeated: true, one_of: None },
        Field { number: 3, name: "removed_hashed_keywords", kind: Kind::Uint64, repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.shared.v1.EvaluationKey", &[
        Field { number: 1, name: "metadata", kind: Kind::Message(11), repeated: false, one_of: None },
        Field { number: 2, name: "evaluation_key", kind: Kind::Message(42), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.shared.v1.EvaluationKeyMetadata", &[
        Field { number: 1, name: "timestamp", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 2, name: "identifier", kind: Kind::Bytes, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.shared.v1.EvaluationKeys", &[
        Field { number: 1, name: "keys", kind: Kind::Message(10), repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.shared.v1.KeyStatus", &[
        Field { number: 1, name: "timestamp", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 2, name: "key_config", kind: Kind::Message(39), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Config", &[
        Field { number: 1, name: "pir_config", kind: Kind::Message(3), repeated: false, one_of: Some(0) },
        Field { number: 3, name: "config_id", kind: Kind::Bytes, repeated: false, one_of: None },
        Field { number: 4, name: "reuse_existing_config", kind: Kind::Bool, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.ConfigRequest", &[
        Field { number: 1, name: "usecases", kind: Kind::Text, repeated: true, one_of: None },
        Field { number: 2, name: "existing_config_ids", kind: Kind::Bytes, repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.ConfigResponse", &[
        Field { number: 1, name: "configs", kind: Kind::Message(17), repeated: true, one_of: None },
        Field { number: 2, name: "key_info", kind: Kind::Message(13), repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.ConfigResponse.ConfigsEntry", &[
        Field { number: 1, name: "key", kind: Kind::Text, repeated: false, one_of: None },
        Field { number: 2, name: "value", kind: Kind::Message(14), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error", &[
        Field { number: 1, name: "config_version_not_found", kind: Kind::Message(19), repeated: false, one_of: Some(0) },
        Field { number: 2, name: "evaluation_key_not_found", kind: Kind::Message(20), repeated: false, one_of: Some(0) },
        Field { number: 3, name: "invalid_request", kind: Kind::Message(22), repeated: false, one_of: Some(0) },
        Field { number: 4, name: "internal_error", kind: Kind::Message(21), repeated: false, one_of: Some(0) },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error.ConfigVersionNotFound", &[
        Field { number: 1, name: "config_response", kind: Kind::Message(16), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error.EvaluationKeyNotFound", &[
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error.InternalError", &[
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error.InvalidRequest", &[
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Request", &[
        Field { number: 1, name: "usecase", kind: Kind::Text, repeated: false, one_of: None },
        Field { number: 2, name: "pir_request", kind: Kind::Message(5), repeated: false, one_of: Some(0) },
        Field { number: 4, name: "oprf_request", kind: Kind::Message(1), repeated: false, one_of: Some(0) },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Requests", &[
        Field { number: 1, name: "requests", kind: Kind::Message(23), repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Response", &[
        Field { number: 1, name: "pir_response", kind: Kind::Message(6), repeated: false, one_of: Some(0) },
        Field { number: 3, name: "oprf_response", kind: Kind::Message(2), repeated: false, one_of: Some(0) },
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Responses", &[
        Field { number: 1, name: "responses", kind: Kind::Message(25), repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.EncryptedIndices", &[
        Field { number: 1, name: "ciphertexts", kind: Kind::Message(40), repeated: true, one_of: None },
        Field { number: 2, name: "num_pir_calls", kind: Kind::Uint64, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.IndexPirDatabase", &[
        Field { number: 1, name: "rows", kind: Kind::Message(29), repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.IndexPirDatabaseRow", &[
        Field { number: 1, name: "value", kind: Kind::Bytes, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.KeywordDatabase", &[
        Field { number: 1, name: "rows", kind: Kind::Message(31), repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.KeywordDatabaseRow", &[
        Field { number: 1, name: "keyword", kind: Kind::Bytes, repeated: false, one_of: None },
        Field { number: 2, name: "value", kind: Kind::Bytes, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.KeywordPirParameters", &[
        Field { number: 1, name: "num_hash_functions", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 3, name: "symmetric_pir_client_config", kind: Kind::Message(37), repeated: false, one_of: None },
        Field { number: 4, name: "sharding_function", kind: Kind::Message(33), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.PIRShardingFunction", &[
        Field { number: 1, name: "sha256", kind: Kind::Message(35), repeated: false, one_of: Some(0) },
        Field { number: 2, name: "double_mod", kind: Kind::Message(34), repeated: false, one_of: Some(0) },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.PIRShardingFunctionDoubleMod", &[
        Field { number: 1, name: "other_shard_count", kind: Kind::Uint32, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.PIRShardingFunctionSHA256", &[
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.PirParameters", &[
        Field { number: 1, name: "encryption_parameters", kind: Kind::Message(38), repeated: false, one_of: None },
        Field { number: 2, name: "num_entries", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 3, name: "entry_size", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 4, name: "dimensions", kind: Kind::Uint64, repeated: true, one_of: None },
        Field { number: 5, name: "keyword_pir_params", kind: Kind::Message(32), repeated: false, one_of: None },
        Field { number: 6, name: "algorithm", kind: Kind::Enumeration(1), repeated: false, one_of: None },
        Field { number: 7, name: "batch_size", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 8, name: "evaluation_key_config", kind: Kind::Message(39), repeated: false, one_of: None },
        Field { number: 9, name: "key_compression_strategy", kind: Kind::Enumeration(0), repeated: false, one_of: None },
        Field { number: 13, name: "encoding_entry_size", kind: Kind::Bool, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.SymmetricPirClientConfig", &[
        Field { number: 1, name: "server_public_key", kind: Kind::Bytes, repeated: false, one_of: None },
        Field { number: 2, name: "config_type", kind: Kind::Enumeration(2), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.EncryptionParameters", &[
        Field { number: 1, name: "polynomial_degree", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 2, name: "plaintext_modulus", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 3, name: "coefficient_moduli", kind: Kind::Uint64, repeated: true, one_of: None },
        Field { number: 4, name: "error_std_dev", kind: Kind::Enumeration(3), repeated: false, one_of: None },
        Field { number: 5, name: "security_level", kind: Kind::Enumeration(5), repeated: false, one_of: None },
        Field { number: 6, name: "he_scheme", kind: Kind::Enumeration(4), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.EvaluationKeyConfig", &[
        Field { number: 1, name: "encryption_parameters", kind: Kind::Message(38), repeated: false, one_of: None },
        Field { number: 2, name: "galois_elements", kind: Kind::Uint32, repeated: true, one_of: None },
        Field { number: 3, name: "has_relin_key", kind: Kind::Bool, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedCiphertext", &[
        Field { number: 1, name: "seeded", kind: Kind::Message(50), repeated: false, one_of: Some(0) },
        Field { number: 2, name: "full", kind: Kind::Message(43), repeated: false, one_of: Some(0) },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedCiphertextVec", &[
        Field { number: 1, name: "ciphertexts", kind: Kind::Message(40), repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedEvaluationKey", &[
        Field { number: 1, name: "galois_key", kind: Kind::Message(44), repeated: false, one_of: None },
        Field { number: 2, name: "relin_key", kind: Kind::Message(48), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedFullCiphertext", &[
        Field { number: 1, name: "polys", kind: Kind::Bytes, repeated: false, one_of: None },
        Field { number: 2, name: "skip_lsbs", kind: Kind::Uint32, repeated: true, one_of: None },
        Field { number: 3, name: "correction_factor", kind: Kind::Uint64, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedGaloisKey", &[
        Field { number: 1, name: "key_switch_keys", kind: Kind::Message(45), repeated: true, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedGaloisKey.KeySwitchKeysEntry", &[
        Field { number: 1, name: "key", kind: Kind::Uint64, repeated: false, one_of: None },
        Field { number: 2, name: "value", kind: Kind::Message(46), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedKeySwitchKey", &[
        Field { number: 1, name: "key_switch_key", kind: Kind::Message(41), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedPlaintext", &[
        Field { number: 1, name: "poly", kind: Kind::Bytes, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedRelinKey", &[
        Field { number: 1, name: "relin_key", kind: Kind::Message(46), repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedSecretKey", &[
        Field { number: 1, name: "polys", kind: Kind::Bytes, repeated: false, one_of: None },
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedSeededCiphertext", &[
        Field { number: 1, name: "poly0", kind: Kind::Bytes, repeated: false, one_of: None },
        Field { number: 2, name: "seed", kind: Kind::Bytes, repeated: false, one_of: None },
    ]),
    ("google.protobuf.Any", &[
        Field { number: 1, name: "type_url", kind: Kind::Text, repeated: false, one_of: None },
        Field { number: 2, name: "value", kind: Kind::Bytes, repeated: false, one_of: None },
    ]),
];

pub(crate) static ENUMERATIONS: &[&[(i32, &str)]] = &[
    // apple.swift_homomorphic_encryption.pir.v1.KeyCompressionStrategy
    &[(0, "KEY_COMPRESSION_STRATEGY_UNSPECIFIED"), (1, "KEY_COMPRESSION_STRATEGY_MAXIMUM_COMPRESSION"), (2, "KEY_COMPRESSION_STRATEGY_HYBRID_COMPRESSION")],
    // apple.swift_homomorphic_encryption.pir.v1.PirAlgorithm
    &[(0, "PIR_ALGORITHM_ACLS_PIR"), (1, "PIR_ALGORITHM_MUL_PIR")],
    // apple.swift_homomorphic_encryption.pir.v1.SymmetricPirConfigType
    &[(0, "SYMMETRIC_PIR_CONFIG_TYPE_UNSPECIFIED"), (1, "SYMMETRIC_PIR_CONFIG_TYPE_OPRF_P384_AES_GCM_192_NONCE_96_TAG_128")],
    // apple.swift_homomorphic_encryption.v1.ErrorStdDev
    &[(0, "ERROR_STD_DEV_STDDEV32")],
    // apple.swift_homomorphic_encryption.v1.HeScheme
    &[(0, "HE_SCHEME_UNSPECIFIED"), (1, "HE_SCHEME_BFV"), (2, "HE_SCHEME_BGV")],
    // apple.swift_homomorphic_encryption.v1.SecurityLevel
    &[(0, "SECURITY_LEVEL_UNSPECIFIED"), (1, "SECURITY_LEVEL_QUANTUM128")],
];
