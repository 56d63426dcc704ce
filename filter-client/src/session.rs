//! A configuration with the keys for it: what queries are made with.

use crate::error::Error;
use crate::secrets::{StoredConfig, StoredSecret};
use bfv::{OsRandom, Security};
use keyword_pir::symmetric::{BlindedKeyword, RowSecret};
use keyword_pir::{
    Client, DatabaseKind, KeywordHash, Scheme, SecretKey, ShardParameters, ShardingFunction,
};
use pir_api::{Message, api, bounded, convert, he};
use zeroize::Zeroizing;

const CONFIG: &str = "/config";
const QUERIES: &str = "/queries";
/// Fields of a configuration: a few for each of its shards.
pub(crate) const MAX_CONFIG_FIELDS: usize = 1 << 20;
/// Bytes of a reply besides its ciphertexts, more than enough.
const OVERHEAD: usize = 4096;

/// What a service offers for a use case.
pub(crate) struct Offer {
    pub(crate) stored: StoredConfig,
    pub(crate) keys: bfv::EvaluationKeyConfig,
    pub(crate) key_config_hash: Vec<u8>,
    shards: Shards,
    sharding: ShardingFunction,
    public_key: Option<Vec<u8>>,
    pub(crate) scheme: Scheme,
}

/// The shards of a use case: mostly many of one kind.
struct Shards {
    clients: Vec<Client>,
    count: u32,
}

impl Shards {
    fn new(scheme: &Scheme, mut parameters: Vec<ShardParameters>) -> Result<Self, Error> {
        let count = u32::try_from(parameters.len()).unwrap_or(u32::MAX);
        if parameters.windows(2).all(|pair| pair[0] == pair[1]) {
            parameters.truncate(1);
        }
        let client = |parameters| Client::new(scheme.clone(), parameters);
        let clients = parameters.into_iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { clients, count })
    }
}

impl Offer {
    /// Reads a configuration. Parameters that are not known to be secure are refused: a service must
    /// not be able to talk a client out of its privacy.
    pub(crate) fn read(stored: StoredConfig) -> Result<Self, Error> {
        let config: api::pir::PirConfig =
            bounded::decode(&stored.config, MAX_CONFIG_FIELDS).map_err(Error::response(CONFIG))?;
        let keys: he::EvaluationKeyConfig =
            bounded::decode(&stored.keys, MAX_CONFIG_FIELDS).map_err(Error::response(CONFIG))?;
        let shards = convert::config_shards(&config, &keys).map_err(Error::convert(CONFIG))?;
        let keys = convert::key_config(&keys).map_err(Error::convert(CONFIG))?;
        if keys.parameters.security() != Security::Quantum128 {
            return Err(Error::Insecure);
        }
        let kind = shards.first().map(|shard| shard.description().kind.clone());
        let Some(DatabaseKind::Keyword { sharding, symmetric, .. }) = kind else {
            return Err(Error::Response {
                endpoint: CONFIG,
                reason: "the use case is not asked by keyword".to_owned(),
            });
        };
        let scheme = Scheme::new(keys.parameters.clone())?;
        Ok(Self {
            key_config_hash: config.evaluation_key_config_hash,
            shards: Shards::new(&scheme, shards)?,
            public_key: symmetric.map(|symmetric| symmetric.server_public_key),
            sharding,
            stored,
            keys,
            scheme,
        })
    }

    /// Draws a secret key, and the evaluation key that goes with it, as a message.
    pub(crate) fn draw_keys(&self, now: u64) -> Result<(StoredSecret, Vec<u8>), Error> {
        let secret = self.scheme.generate_secret_key(&mut OsRandom)?;
        let key = self.scheme.generate_evaluation_key(&self.keys, &secret, &mut OsRandom)?;
        let metadata = api::shared::EvaluationKeyMetadata {
            timestamp: now,
            identifier: self.key_config_hash.clone(),
        };
        let message = api::shared::EvaluationKeys {
            keys: vec![api::shared::EvaluationKey {
                metadata: Some(metadata),
                evaluation_key: Some(convert::evaluation_key_message(key)),
            }],
        };
        let stored = StoredSecret {
            key_config_hash: self.key_config_hash.clone(),
            timestamp: now,
            bytes: self.scheme.write_secret_key(&secret)?,
        };
        Ok((stored, message.encode_to_vec()))
    }
}

/// A use case, ready for lookups.
pub(crate) struct Session {
    offer: Offer,
    secret: SecretKey,
    timestamp: u64,
}

/// A keyword on its way: as it is, or as the symmetric variant has it.
pub(crate) enum Asked {
    Plain(Zeroizing<Vec<u8>>),
    Oblivious(RowSecret),
}

impl Asked {
    fn keyword(&self) -> &[u8] {
        match self {
            Self::Plain(keyword) => keyword,
            Self::Oblivious(secret) => secret.keyword(),
        }
    }
}

impl Session {
    pub(crate) fn new(offer: Offer, secret: &StoredSecret) -> Result<Self, Error> {
        let timestamp = secret.timestamp;
        let secret = offer.scheme.read_secret_key(&secret.bytes)?;
        Ok(Self { offer, secret, timestamp })
    }

    pub(crate) fn config_id(&self) -> &[u8] {
        &self.offer.stored.id
    }

    pub(crate) fn stored_config(&self) -> &StoredConfig {
        &self.offer.stored
    }

    /// The key with which answers of the symmetric variant are checked.
    pub(crate) fn public_key(&self) -> Option<&[u8]> {
        self.offer.public_key.as_deref()
    }

    /// The shard of a keyword, and its client.
    fn shard(&self, keyword: &[u8]) -> (u32, &Client) {
        let shards = &self.offer.shards;
        let index = self.offer.sharding.shard(KeywordHash::of(keyword), shards.count);
        let client = shards.clients.get(index as usize).unwrap_or(&shards.clients[0]);
        (index, client)
    }

    /// Encrypts a question for each keyword.
    pub(crate) fn requests(&self, use_case: &str, asked: &[Asked]) -> Result<Vec<u8>, Error> {
        let request = |asked: &Asked| -> Result<api::Request, Error> {
            let (shard_index, client) = self.shard(asked.keyword());
            let query = client.query_keyword(asked.keyword(), &self.secret, &mut OsRandom)?;
            let request = api::pir::PirRequest {
                shard_index,
                query: Some(convert::query_message(query)),
                evaluation_key_metadata: Some(api::shared::EvaluationKeyMetadata {
                    timestamp: self.timestamp,
                    identifier: self.offer.key_config_hash.clone(),
                }),
                configuration_hash: self.offer.stored.id.clone(),
                ..api::pir::PirRequest::default()
            };
            Ok(api::Request {
                usecase: use_case.to_owned(),
                request: Some(api::request::Request::PirRequest(request)),
            })
        };
        let requests = asked.iter().map(request).collect::<Result<_, _>>()?;
        Ok(api::Requests { requests }.encode_to_vec())
    }

    /// The first half of the symmetric variant: blinded keywords.
    pub(crate) fn blinded_requests(&self, use_case: &str, blinded: &[BlindedKeyword]) -> Vec<u8> {
        let request = |blinded: &BlindedKeyword| api::Request {
            usecase: use_case.to_owned(),
            request: Some(api::request::Request::OprfRequest(api::pir::OprfRequest {
                query_element: blinded.element().to_vec(),
                config_id: self.offer.stored.id.clone(),
            })),
        };
        api::Requests { requests: blinded.iter().map(request).collect() }.encode_to_vec()
    }

    /// Longest response to so many questions, by the parameters.
    pub(crate) fn response_bytes(&self, questions: usize) -> usize {
        let bytes = |client: &Client| {
            let parameters = client.parameters();
            let ciphertexts = parameters.calls() * parameters.chunks();
            ciphertexts * (2 * 8 * parameters.encryption().degree() + 64) + OVERHEAD
        };
        let largest = self.offer.shards.clients.iter().map(bytes).max().unwrap_or(OVERHEAD);
        largest.saturating_mul(questions).saturating_add(OVERHEAD)
    }

    fn decode(&self, body: &[u8], questions: usize) -> Result<Vec<api::Response>, Error> {
        // At least a byte for each field.
        let responses: api::Responses =
            bounded::decode(body, body.len()).map_err(Error::response(QUERIES))?;
        match responses.responses.len() == questions {
            true => Ok(responses.responses),
            false => Err(Error::Response {
                endpoint: QUERIES,
                reason: format!("{} responses to {questions} questions", responses.responses.len()),
            }),
        }
    }

    /// The values of keywords, from the response to [`Session::requests`].
    pub(crate) fn values(
        &self,
        asked: &[Asked],
        body: &[u8],
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let responses = self.decode(body, asked.len())?;
        let value = |(asked, response): (&Asked, api::Response)| {
            let Some(api::response::Response::PirResponse(reply)) = response.response else {
                return Err(other_kind());
            };
            let reply = convert::reply(reply).map_err(Error::convert(QUERIES))?;
            let (_, client) = self.shard(asked.keyword());
            let value = client.decode_keyword(&reply, asked.keyword(), &self.secret)?;
            match (asked, value) {
                (Asked::Oblivious(secret), Some(stored)) => Ok(Some(secret.decrypt(&stored)?)),
                (_, value) => Ok(value),
            }
        };
        asked.iter().zip(responses).map(value).collect()
    }

    /// What the symmetric variant makes of keywords, from the response to
    /// [`Session::blinded_requests`].
    pub(crate) fn secrets(
        &self,
        blinded: &[BlindedKeyword],
        body: &[u8],
        public_key: &[u8],
    ) -> Result<Vec<Asked>, Error> {
        let responses = self.decode(body, blinded.len())?;
        let secret = |(blinded, response): (&BlindedKeyword, api::Response)| {
            let Some(api::response::Response::OprfResponse(answer)) = response.response else {
                return Err(other_kind());
            };
            let secret = blinded.finalize(&answer.evaluated_element, &answer.proof, public_key)?;
            Ok(Asked::Oblivious(secret))
        };
        blinded.iter().zip(responses).map(secret).collect()
    }
}

fn other_kind() -> Error {
    Error::Response { endpoint: QUERIES, reason: "a response of another kind".to_owned() }
}
