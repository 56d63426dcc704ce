//! A configuration of the service with the client's keys for it: makes queries and reads replies.

use super::sharding::{Sharding, ShardingError};
use crate::endpoint::Endpoint;
use crate::error::{Error, ResponseError};
use crate::state::{StoredConfig, StoredSecret};
use bfv::{EvaluationKeyConfig, OsRandom, Security};
#[cfg(feature = "symmetric")]
use keyword_pir::symmetric::{BlindedKeyword, RowSecret};
use keyword_pir::{
    Client, DatabaseKind, KeywordHash, Reply, Scheme, SecretKey, ShardParameters, ShardingFunction,
};
use pir_api::{Message, api, bounded, convert, he};
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

/// Largest number of fields in a configuration: a few for each of 65,536 shards.
pub(crate) const MAX_CONFIG_FIELDS: usize = 1 << 20;
/// Bytes of a reply besides its ciphertexts, rounded up generously.
const OVERHEAD: usize = 4096;

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

impl ServiceConfig {
    /// Reads a configuration. Parameters that are not known to be secure are refused: a service must
    /// not be able to talk a client out of its privacy.
    pub(crate) fn read(stored: StoredConfig) -> Result<Self, Error> {
        const CONFIG: Endpoint = Endpoint::Config;
        let config: api::pir::PirConfig =
            bounded::decode(&stored.config, MAX_CONFIG_FIELDS).map_err(Error::message(CONFIG))?;
        let keys: he::EvaluationKeyConfig =
            bounded::decode(&stored.keys, MAX_CONFIG_FIELDS).map_err(Error::message(CONFIG))?;
        let shards = convert::config_shards(&config, &keys).map_err(Error::content(CONFIG))?;
        let keys = EvaluationKeyConfig::try_from(&keys).map_err(Error::content(CONFIG))?;
        if keys.parameters.security() != Security::Quantum128 {
            return Err(Error::Insecure);
        }
        let kind = shards.first().map(|shard| shard.description().kind.clone());
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

    /// Longest response to a number of queries, in bytes, as the parameters imply.
    pub(crate) fn max_response_bytes(&self, queries: usize) -> usize {
        let bytes = |client: &Client| {
            let parameters = client.parameters();
            let ciphertexts = parameters.calls() * parameters.chunks();
            ciphertexts * (2 * 8 * parameters.encryption().degree() + 64) + OVERHEAD
        };
        let largest = self.config.shards.clients.iter().map(bytes).max().unwrap_or(OVERHEAD);
        largest.saturating_mul(queries).saturating_add(OVERHEAD)
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
        // Each field takes at least a byte.
        let responses: api::Responses =
            bounded::decode(body, body.len()).map_err(Error::message(Endpoint::Queries))?;
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
            match ServiceConfig::read(stored).err() {
                Some(Error::Response { source: ResponseError::Message(error), .. }) => Some(error),
                // It is no configuration, which is noticed later.
                _ => None,
            }
        };
        for (count, expected) in [
            (MAX_CONFIG_FIELDS - 1, None),
            (MAX_CONFIG_FIELDS, None),
            (MAX_CONFIG_FIELDS + 1, Some(BoundedError::TooMany(MAX_CONFIG_FIELDS))),
        ] {
            assert_eq!(refusal(count), expected, "{count}");
        }
    }
}
