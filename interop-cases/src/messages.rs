//! The messages of the recordings, as far as tests need them. Declared here and not taken from
//! `pir-api`, which depends on crates whose tests read recordings.

use crate::{Ciphertext, EncryptionParameters, EvaluationKey, EvaluationKeyConfig};
use prost::{Message, Oneof};
use std::collections::BTreeMap;

/// Decodes a recorded message.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).expect("a recorded message decodes")
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Parameters {
    #[prost(uint64, tag = "1")]
    polynomial_degree: u64,
    #[prost(uint64, tag = "2")]
    plaintext_modulus: u64,
    #[prost(uint64, repeated, tag = "3")]
    coefficient_moduli: Vec<u64>,
    #[prost(int32, tag = "5")]
    security_level: i32,
}

impl Parameters {
    pub(crate) fn into_case(self) -> EncryptionParameters {
        EncryptionParameters {
            degree: self.polynomial_degree,
            plaintext_modulus: self.plaintext_modulus,
            coefficient_moduli: self.coefficient_moduli,
            is_secure: self.security_level == 1,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyConfig {
    #[prost(message, optional, tag = "1")]
    encryption_parameters: Option<Parameters>,
    #[prost(uint32, repeated, tag = "2")]
    galois_elements: Vec<u32>,
    #[prost(bool, tag = "3")]
    has_relin_key: bool,
}

impl KeyConfig {
    pub(crate) fn into_case(self) -> EvaluationKeyConfig {
        let parameters = self.encryption_parameters.expect("a key configuration has parameters");
        EvaluationKeyConfig {
            parameters: parameters.into_case(),
            galois_elements: self.galois_elements,
            has_relinearization_key: self.has_relin_key,
        }
    }
}

/// A message of which only the first field, bytes, is wanted: a secret key or a plaintext.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Bytes {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CiphertextMessage {
    #[prost(oneof = "CiphertextKind", tags = "1, 2")]
    kind: Option<CiphertextKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum CiphertextKind {
    #[prost(message, tag = "1")]
    Seeded(Seeded),
    #[prost(message, tag = "2")]
    Full(Full),
}

#[derive(Clone, PartialEq, Message)]
struct Seeded {
    #[prost(bytes = "vec", tag = "1")]
    poly0: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    seed: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Full {
    #[prost(bytes = "vec", tag = "1")]
    polys: Vec<u8>,
    #[prost(uint32, repeated, tag = "2")]
    skip_lsbs: Vec<u32>,
    #[prost(uint64, tag = "3")]
    correction_factor: u64,
}

impl CiphertextMessage {
    pub(crate) fn into_case(self) -> Ciphertext {
        match self.kind.expect("a ciphertext has content") {
            CiphertextKind::Seeded(Seeded { poly0, seed }) => Ciphertext::Seeded { poly0, seed },
            CiphertextKind::Full(Full { polys, skip_lsbs, correction_factor }) => {
                Ciphertext::Full { polys, skip_lsbs, correction_factor }
            }
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct CiphertextList {
    #[prost(message, repeated, tag = "1")]
    ciphertexts: Vec<CiphertextMessage>,
}

impl CiphertextList {
    fn into_case(self) -> Vec<Ciphertext> {
        self.ciphertexts.into_iter().map(CiphertextMessage::into_case).collect()
    }
}

#[derive(Clone, PartialEq, Message)]
struct SwitchKey {
    #[prost(message, optional, tag = "1")]
    key: Option<CiphertextList>,
}

impl SwitchKey {
    fn into_case(self) -> Vec<Ciphertext> {
        self.key.expect("a key-switching key has ciphertexts").into_case()
    }
}

#[derive(Clone, PartialEq, Message)]
struct GaloisKeys {
    #[prost(btree_map = "uint64, message", tag = "1")]
    keys: BTreeMap<u64, SwitchKey>,
}

#[derive(Clone, PartialEq, Message)]
struct RelinearizationKey {
    #[prost(message, optional, tag = "1")]
    key: Option<SwitchKey>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EvaluationKeyMessage {
    #[prost(message, optional, tag = "1")]
    galois: Option<GaloisKeys>,
    #[prost(message, optional, tag = "2")]
    relinearization: Option<RelinearizationKey>,
}

impl EvaluationKeyMessage {
    pub(crate) fn into_case(self) -> EvaluationKey {
        let galois = self.galois.expect("recorded keys have Galois keys").keys;
        EvaluationKey {
            galois: galois.into_iter().map(|(element, key)| (element, key.into_case())).collect(),
            relinearization: self
                .relinearization
                .and_then(|relinearization| relinearization.key)
                .map(SwitchKey::into_case),
        }
    }
}

/// An upload of evaluation keys.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Upload {
    #[prost(message, repeated, tag = "1")]
    pub(crate) keys: Vec<UploadedKey>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UploadedKey {
    #[prost(message, optional, tag = "1")]
    pub(crate) metadata: Option<KeyMetadata>,
    #[prost(message, optional, tag = "2")]
    pub(crate) key: Option<EvaluationKeyMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyMetadata {
    #[prost(uint64, tag = "1")]
    pub(crate) timestamp: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) identifier: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Requests {
    #[prost(message, repeated, tag = "1")]
    pub(crate) requests: Vec<Request>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(message, optional, tag = "2")]
    pub(crate) pir: Option<PirRequest>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PirRequest {
    #[prost(uint32, tag = "1")]
    pub(crate) shard_index: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) query: Option<QueryMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct QueryMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) ciphertexts: Vec<CiphertextMessage>,
    #[prost(uint64, tag = "2")]
    pub(crate) lookups: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Responses {
    #[prost(message, repeated, tag = "1")]
    pub(crate) responses: Vec<Response>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Response {
    #[prost(message, optional, tag = "1")]
    pub(crate) pir: Option<PirResponse>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PirResponse {
    #[prost(message, repeated, tag = "1")]
    replies: Vec<CiphertextList>,
}

impl PirResponse {
    pub(crate) fn into_case(self) -> Vec<Vec<Ciphertext>> {
        self.replies.into_iter().map(CiphertextList::into_case).collect()
    }
}
