//! A configuration of the service with the client's keys for it: makes queries and reads replies.

use super::config_limits;
use super::sharding::{Sharding, ShardingError};
use crate::endpoint::Endpoint;
use crate::error::{Error, ResponseError};
use crate::state::{StoredConfig, StoredSecret};
use bfv::{EvaluationKeyConfig, OsRandom, Security};
#[cfg(feature = "symmetric")]
use keyword_pir::symmetric::{BlindedKeyword, RowSecret};
use keyword_pir::{Client, DatabaseKind, KeywordHash, Reply, Scheme, SecretKey, ShardingFunction};
use pir_api::convert::{self, ConfigShards};
use pir_api::{Message, api, bounded, he};
use unix_clock::Timestamp;
use zeroize::Zeroizing;

/// What a reply decrypts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Present(Vec<u8>),
    Absent,
    /// The reply does not decrypt to entries of a table.
    Unreadable,
}

/// Bytes of a reply besides its ciphertexts, rounded up generously.
const OVERHEAD: usize = 4096;
/// Fields of a ciphertext in a response, rounded up generously.
const CIPHERTEXT_FIELDS: usize = 32;

/// What a service offers for a use case.
pub(crate) struct ServiceConfig {
    pub(crate) stored: StoredConfig,
    pub(crate) keys: bfv::EvaluationKeyConfig,
    pub(crate) key_config_hash: Vec<u8>,
    shards: Shards,
    function: ShardingFunction,
    /// The server's public key of the symmetric variant.
    #[cfg(feature = "symmetric")]
    public_key: Option<Vec<u8>>,
    pub(crate) scheme: Scheme,
}

/// The shards of a use case: one client for all, if all have the same parameters, or one for each.
struct Shards {
    clients: Vec<Client>,
    count: u32,
}

impl Shards {
    fn new(scheme: &Scheme, shards: ConfigShards) -> Result<Self, Error> {
        let ConfigShards { parameters, count, .. } = shards;
        let client = |parameters| Client::new(scheme.clone(), parameters);
        let clients = parameters.into_iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { clients, count })
    }
}

impl ServiceConfig {
    /// Reads a configuration of at most `max_shards` shards. Parameters that are not known to be secure are refused: a
    /// service must not be able to talk a client out of its privacy. So is what would take much memory or time.
    pub(crate) fn read(stored: StoredConfig, max_shards: u32) -> Result<Self, Error> {
        const CONFIG: Endpoint = Endpoint::Config;
        let limit = |error: ResponseError| error.at(CONFIG);
        config_limits::check_id(&stored.id).map_err(limit)?;
        let max_fields = config_limits::max_config_fields(max_shards);
        let config: api::pir::PirConfig =
            bounded::decode(&stored.config, max_fields).map_err(Error::message(CONFIG))?;
        let keys: he::EvaluationKeyConfig =
            bounded::decode(&stored.keys, max_fields).map_err(Error::message(CONFIG))?;
        let count = convert::shard_count(&config);
        if count > u64::from(max_shards) {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            return Err(ShardingError::TooMany { count, max: max_shards }.into());
        }
        let shards = convert::distinct_shards(&config, &keys).map_err(Error::content(CONFIG))?;
        let keys = EvaluationKeyConfig::try_from(&keys).map_err(Error::content(CONFIG))?;
        if keys.parameters.security() != Security::Quantum128 {
            return Err(Error::Insecure);
        }
        config_limits::check_encryption(&keys.parameters).map_err(limit)?;
        config_limits::check_shards(&shards.parameters).map_err(limit)?;
        config_limits::check_keys(&keys, &shards.parameters).map_err(limit)?;
        let kind = shards.parameters.first().map(|shard| shard.description().kind.clone());
        let Some(DatabaseKind::Keyword { sharding: function, symmetric, .. }) = kind else {
            return Err(ResponseError::NotByKeyword.at(CONFIG));
        };
        #[cfg(not(feature = "symmetric"))]
        if symmetric.is_some() {
            return Err(Error::SymmetricDisabled);
        }
        let scheme = Scheme::new(keys.parameters.clone())?;
        Ok(Self {
            key_config_hash: config.evaluation_key_config_hash,
            shards: Shards::new(&scheme, shards)?,
            #[cfg(feature = "symmetric")]
            public_key: symmetric.map(|symmetric| symmetric.server_public_key),
            function,
            stored,
            keys,
            scheme,
        })
    }

    /// What the index of a shard tells about a keyword.
    pub(crate) fn sharding(&self) -> Sharding {
        #[cfg(feature = "symmetric")]
        let key = self.public_key.as_deref();
        #[cfg(not(feature = "symmetric"))]
        let key = None;
        Sharding::new(self.function, self.shards.count, key)
    }

    /// Draws a secret key, and serializes the evaluation key that goes with it.
    pub(crate) fn draw_keys(
        &self,
        timestamp: Timestamp,
        made_at: Timestamp,
    ) -> Result<(StoredSecret, Vec<u8>), Error> {
        let secret = self.scheme.generate_secret_key(&mut OsRandom)?;
        let key = self.scheme.generate_evaluation_key(&self.keys, &secret, &mut OsRandom)?;
        let metadata = api::shared::EvaluationKeyMetadata {
            timestamp: timestamp.unix_seconds(),
            identifier: self.key_config_hash.clone(),
        };
        let message = api::shared::EvaluationKeys {
            keys: vec![api::shared::EvaluationKey {
                metadata: Some(metadata),
                evaluation_key: Some(key.into()),
            }],
        };
        let stored = StoredSecret {
            key_config_hash: self.key_config_hash.clone(),
            timestamp,
            made_at: Some(made_at),
            bytes: self.scheme.write_secret_key(&secret)?,
        };
        Ok((stored, message.encode_to_vec()))
    }
}

/// A use case that is ready for lookups.
pub(crate) struct Session {
    config: ServiceConfig,
    secret: SecretKey,
    /// The time by which the service knows the evaluation key.
    timestamp: Timestamp,
    made_at: Timestamp,
}

/// A keyword in the form in which it is queried.
pub(crate) enum PreparedKeyword {
    /// The keyword itself.
    Plain(Zeroizing<Vec<u8>>),
    /// What the symmetric variant made of it, with the key of its value.
    #[cfg(feature = "symmetric")]
    Oblivious(RowSecret),
}

impl PreparedKeyword {
    fn keyword(&self) -> &[u8] {
        match self {
            Self::Plain(keyword) => keyword,
            #[cfg(feature = "symmetric")]
            Self::Oblivious(secret) => secret.keyword(),
        }
    }

    /// The value for a stored one: decrypted, if it is encrypted.
    fn open(&self, stored: Vec<u8>) -> Result<Vec<u8>, Error> {
        match self {
            Self::Plain(_) => Ok(stored),
            #[cfg(feature = "symmetric")]
            Self::Oblivious(secret) => Ok(secret.decrypt(&stored)?),
        }
    }
}

impl Session {
    pub(crate) fn new(config: ServiceConfig, secret: &StoredSecret) -> Result<Self, Error> {
        let (timestamp, made_at) = (secret.timestamp, secret.made_at());
        let secret = config.scheme.read_secret_key(&secret.bytes)?;
        Ok(Self { config, secret, timestamp, made_at })
    }

    pub(crate) fn config_id(&self) -> &[u8] {
        &self.config.stored.id
    }

    pub(crate) fn stored_config(&self) -> &StoredConfig {
        &self.config.stored
    }

    /// The shard of a keyword, and the client of that shard.
    fn shard(&self, keyword: &[u8]) -> (u32, &Client) {
        let shards = &self.config.shards;
        let index = self.config.function.shard(KeywordHash::of(keyword), shards.count);
        let client = shards.clients.get(index as usize).unwrap_or(&shards.clients[0]);
        (index, client)
    }

    /// Encrypts a query for each keyword.
    pub(crate) fn requests(
        &self,
        use_case: &str,
        keywords: &[PreparedKeyword],
    ) -> Result<Vec<u8>, Error> {
        let request = |prepared: &PreparedKeyword| -> Result<api::Request, Error> {
            let (shard_index, client) = self.shard(prepared.keyword());
            let query = client.query_keyword(prepared.keyword(), &self.secret, &mut OsRandom)?;
            let request = api::pir::PirRequest {
                shard_index,
                query: Some(query.into()),
                evaluation_key_metadata: Some(api::shared::EvaluationKeyMetadata {
                    timestamp: self.timestamp.unix_seconds(),
                    identifier: self.config.key_config_hash.clone(),
                }),
                configuration_hash: self.config.stored.id.clone(),
                ..api::pir::PirRequest::default()
            };
            Ok(api::Request {
                usecase: use_case.to_owned(),
                request: Some(api::request::Request::PirRequest(request)),
            })
        };
        let requests = keywords.iter().map(request).collect::<Result<_, _>>()?;
        Ok(api::Requests { requests }.encode_to_vec())
    }

    /// Largest number of ciphertexts of a reply to one query.
    fn reply_ciphertexts(&self) -> usize {
        let ciphertexts =
            |client: &Client| client.parameters().calls() * client.parameters().chunks();
        let largest = self.config.shards.clients.iter().map(ciphertexts).max();
        largest.expect("a configuration without shards is refused")
    }

    /// Longest reply to one query, in bytes, as the parameters imply.
    fn reply_bytes(&self) -> usize {
        self.reply_ciphertexts() * (2 * 8 * self.config.keys.parameters.degree() + 64) + OVERHEAD
    }

    /// The number of queries that are sent together: at most `wanted`, and so many that the response has at most
    /// [`MAX_RESPONSE`](config_limits::MAX_RESPONSE) bytes.
    pub(crate) fn batch_size(&self, wanted: usize) -> usize {
        let max = (config_limits::MAX_RESPONSE - OVERHEAD) / self.reply_bytes();
        wanted.min(max).max(1)
    }

    /// Longest response to a number of queries, in bytes.
    pub(crate) fn max_response_bytes(&self, queries: usize) -> usize {
        self.reply_bytes().saturating_mul(queries).saturating_add(OVERHEAD)
    }

    /// Largest number of fields of a response to a number of queries.
    fn max_response_fields(&self, queries: usize) -> usize {
        (1 + self.reply_ciphertexts()).saturating_mul(2 * CIPHERTEXT_FIELDS).saturating_mul(queries)
    }

    /// When the secret key was made, by this client's clock.
    pub(crate) fn key_time(&self) -> Timestamp {
        self.made_at
    }

    /// # Errors
    /// [`ShardingError::Changed`] if keywords that were asked for with the `earlier` session must not be
    /// asked for with this one in the same lookup.
    pub(crate) fn check_unchanged_sharding(&self, earlier: &Self) -> Result<(), Error> {
        match self.config.sharding() == earlier.config.sharding() {
            true => Ok(()),
            false => Err(ShardingError::Changed.into()),
        }
    }

    pub(crate) fn sharding(&self) -> Sharding {
        self.config.sharding()
    }

    fn decode(&self, body: &[u8], queries: usize) -> Result<Vec<api::Response>, Error> {
        let responses: api::Responses = bounded::decode(body, self.max_response_fields(queries))
            .map_err(Error::message(Endpoint::Queries))?;
        let found = responses.responses.len();
        match found == queries {
            true => Ok(responses.responses),
            false => Err(ResponseError::Count { expected: queries, found }.at(Endpoint::Queries)),
        }
    }

    /// The replies in the response to [`Session::requests`]: one for each query. What is an error here is
    /// one without the secret key, too.
    pub(crate) fn replies(&self, queries: usize, body: &[u8]) -> Result<Vec<Reply>, Error> {
        let reply = |response: api::Response| {
            let Some(api::response::Response::PirResponse(reply)) = response.response else {
                return Err(ResponseError::OtherKind.at(Endpoint::Queries));
            };
            Reply::try_from(reply).map_err(Error::content(Endpoint::Queries))
        };
        self.decode(body, queries)?.into_iter().map(reply).collect()
    }

    /// What a reply to one of [`Session::requests`] decrypts to. Whatever fails here may depend on the secret
    /// key, so it is no error: nothing may be sent because of it.
    pub(crate) fn value(&self, prepared: &PreparedKeyword, reply: &Reply) -> Decoded {
        let (_, client) = self.shard(prepared.keyword());
        let value = client.decode_keyword(reply, prepared.keyword(), &self.secret);
        match value.map(|value| value.map(|stored| prepared.open(stored)).transpose()) {
            Ok(Ok(Some(value))) => Decoded::Present(value),
            Ok(Ok(None)) => Decoded::Absent,
            Ok(Err(_)) | Err(_) => Decoded::Unreadable,
        }
    }
}

/// The symmetric variant: the service first transforms keywords that it cannot read.
#[cfg(feature = "symmetric")]
impl Session {
    /// The key with which the service proves its transformation, if the use case has this variant.
    pub(crate) fn public_key(&self) -> Option<&[u8]> {
        self.config.public_key.as_deref()
    }

    /// Asks the service to transform blinded keywords.
    pub(crate) fn blinded_requests(&self, use_case: &str, blinded: &[BlindedKeyword]) -> Vec<u8> {
        let request = |blinded: &BlindedKeyword| api::Request {
            usecase: use_case.to_owned(),
            request: Some(api::request::Request::OprfRequest(api::pir::OprfRequest {
                query_element: blinded.element().to_vec(),
                config_id: self.config.stored.id.clone(),
            })),
        };
        api::Requests { requests: blinded.iter().map(request).collect() }.encode_to_vec()
    }

    /// Unblinds the response to [`Session::blinded_requests`].
    pub(crate) fn unblind(
        &self,
        blinded: &[BlindedKeyword],
        body: &[u8],
        public_key: &[u8],
    ) -> Result<Vec<PreparedKeyword>, Error> {
        let responses = self.decode(body, blinded.len())?;
        let unblind = |(blinded, response): (&BlindedKeyword, api::Response)| {
            let Some(api::response::Response::OprfResponse(answer)) = response.response else {
                return Err(ResponseError::OtherKind.at(Endpoint::Queries));
            };
            let secret = blinded.finalize(&answer.evaluated_element, &answer.proof, public_key)?;
            Ok(PreparedKeyword::Oblivious(secret))
        };
        blinded.iter().zip(responses).map(unblind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pir_api::bounded::BoundedError;

    #[test]
    fn the_number_of_fields_of_a_configuration_is_limited() {
        let refusal = |count: usize| {
            // Galois elements, each as a field of its own: two bytes that take four.
            let tag = he::EvaluationKeyConfig { galois_elements: vec![1], ..Default::default() };
            let number = tag.encode_to_vec()[0] & !7;
            let stored =
                StoredConfig { id: vec![1], config: Vec::new(), keys: [number, 1].repeat(count) };
            match ServiceConfig::read(stored, 512).err() {
                Some(Error::Response { source: ResponseError::Message(error), .. }) => Some(error),
                // It is no configuration, which is noticed later.
                _ => None,
            }
        };
        let max = config_limits::max_config_fields(512);
        for (count, expected) in
            [(max - 1, None), (max, None), (max + 1, Some(BoundedError::TooMany(max)))]
        {
            assert_eq!(refusal(count), expected, "{count}");
        }
    }
}
