&[
    ("URLFilterReport", &[
        (1, FieldKind::Opaque),
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.OPRFRequest", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Opaque),
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.OPRFResponse", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Opaque),
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRConfig", &[
        (1, FieldKind::Message(38)),
        (2, FieldKind::Message(7)),
        (3, FieldKind::Message(32)),
        (4, FieldKind::Scalar),
        (5, FieldKind::Scalar),
        (6, FieldKind::Opaque),
        (10, FieldKind::Message(8)),
        (11, FieldKind::Scalar),
        (100, FieldKind::Message(51)),
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRFixedShardConfig", &[
        (1, FieldKind::Message(7)),
        (2, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRRequest", &[
        (1, FieldKind::Scalar),
        (2, FieldKind::Message(27)),
        (3, FieldKind::Message(11)),
        (4, FieldKind::Opaque),
        (5, FieldKind::Opaque),
        (6, FieldKind::Message(10)),
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRResponse", &[
        (1, FieldKind::Message(41)),
        (2, FieldKind::Message(9)),
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRShardConfig", &[
        (1, FieldKind::Scalar),
        (2, FieldKind::Scalar),
        (3, FieldKind::Scalar),
        (4, FieldKind::Opaque),
        (5, FieldKind::Scalar),
        (6, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.PIRShardConfigs", &[
        (1, FieldKind::Message(4)),
    ]),
    ("apple.swift_homomorphic_encryption.api.pir.v1.StashOfEntries", &[
        (1, FieldKind::Scalar),
        (2, FieldKind::Opaque),
        (3, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.api.shared.v1.EvaluationKey", &[
        (1, FieldKind::Message(11)),
        (2, FieldKind::Message(42)),
    ]),
    ("apple.swift_homomorphic_encryption.api.shared.v1.EvaluationKeyMetadata", &[
        (1, FieldKind::Scalar),
        (2, FieldKind::Opaque),
    ]),
    ("apple.swift_homomorphic_encryption.api.shared.v1.EvaluationKeys", &[
        (1, FieldKind::Message(10)),
    ]),
    ("apple.swift_homomorphic_encryption.api.shared.v1.KeyStatus", &[
        (1, FieldKind::Scalar),
        (2, FieldKind::Message(39)),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Config", &[
        (1, FieldKind::Message(3)),
        (3, FieldKind::Opaque),
        (4, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.ConfigRequest", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Opaque),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.ConfigResponse", &[
        (1, FieldKind::Message(17)),
        (2, FieldKind::Message(13)),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.ConfigResponse.ConfigsEntry", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Message(14)),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error", &[
        (1, FieldKind::Message(19)),
        (2, FieldKind::Message(20)),
        (3, FieldKind::Message(22)),
        (4, FieldKind::Message(21)),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error.ConfigVersionNotFound", &[
        (1, FieldKind::Message(16)),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error.EvaluationKeyNotFound", &[
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error.InternalError", &[
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Error.InvalidRequest", &[
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Request", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Message(5)),
        (4, FieldKind::Message(1)),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Requests", &[
        (1, FieldKind::Message(23)),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Response", &[
        (1, FieldKind::Message(6)),
        (3, FieldKind::Message(2)),
    ]),
    ("apple.swift_homomorphic_encryption.api.v1.Responses", &[
        (1, FieldKind::Message(25)),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.EncryptedIndices", &[
        (1, FieldKind::Message(40)),
        (2, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.IndexPirDatabase", &[
        (1, FieldKind::Message(29)),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.IndexPirDatabaseRow", &[
        (1, FieldKind::Opaque),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.KeywordDatabase", &[
        (1, FieldKind::Message(31)),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.KeywordDatabaseRow", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Opaque),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.KeywordPirParameters", &[
        (1, FieldKind::Scalar),
        (3, FieldKind::Message(37)),
        (4, FieldKind::Message(33)),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.PIRShardingFunction", &[
        (1, FieldKind::Message(35)),
        (2, FieldKind::Message(34)),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.PIRShardingFunctionDoubleMod", &[
        (1, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.PIRShardingFunctionSHA256", &[
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.PirParameters", &[
        (1, FieldKind::Message(38)),
        (2, FieldKind::Scalar),
        (3, FieldKind::Scalar),
        (4, FieldKind::Scalar),
        (5, FieldKind::Message(32)),
        (6, FieldKind::Scalar),
        (7, FieldKind::Scalar),
        (8, FieldKind::Message(39)),
        (9, FieldKind::Scalar),
        (13, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.pir.v1.SymmetricPirClientConfig", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.v1.EncryptionParameters", &[
        (1, FieldKind::Scalar),
        (2, FieldKind::Scalar),
        (3, FieldKind::Scalar),
        (4, FieldKind::Scalar),
        (5, FieldKind::Scalar),
        (6, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.v1.EvaluationKeyConfig", &[
        (1, FieldKind::Message(38)),
        (2, FieldKind::Scalar),
        (3, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedCiphertext", &[
        (1, FieldKind::Message(50)),
        (2, FieldKind::Message(43)),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedCiphertextVec", &[
        (1, FieldKind::Message(40)),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedEvaluationKey", &[
        (1, FieldKind::Message(44)),
        (2, FieldKind::Message(48)),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedFullCiphertext", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Scalar),
        (3, FieldKind::Scalar),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedGaloisKey", &[
        (1, FieldKind::Message(45)),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedGaloisKey.KeySwitchKeysEntry", &[
        (1, FieldKind::Scalar),
        (2, FieldKind::Message(46)),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedKeySwitchKey", &[
        (1, FieldKind::Message(41)),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedPlaintext", &[
        (1, FieldKind::Opaque),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedRelinKey", &[
        (1, FieldKind::Message(46)),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedSecretKey", &[
        (1, FieldKind::Opaque),
    ]),
    ("apple.swift_homomorphic_encryption.v1.SerializedSeededCiphertext", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Opaque),
    ]),
    ("google.protobuf.Any", &[
        (1, FieldKind::Opaque),
        (2, FieldKind::Opaque),
    ]),
]