//! What a client must keep between runs, in a form that its caller can store.

mod refills;

pub(crate) use refills::StoredRefills;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use privacy_pass::{Token, secret_json};
use serde::{Deserialize, Serialize};
use std::fmt;
use unix_clock::Timestamp;
use zeroize::Zeroizing;

const VERSION: u32 = 1;
/// Longest stored state that is read, in bytes. What a client stores is far shorter, whatever its service sends: some
/// megabytes for the longest configuration, three secret keys, and half a kilobyte for each token.
pub const MAX_STATE: usize = 16 << 20;
/// Longest user identifier, in bytes.
const MAX_USER_IDENTIFIER: usize = 256;

/// A field of the stored state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateField {
    /// An entry of `secretKeys`.
    SecretKey,
    /// An entry of `tokens`.
    Token,
    /// `configuration`.
    Configuration,
    /// `sharding`.
    Sharding,
    /// `issuerKey`.
    IssuerKey,
    /// `refills`.
    Refills,
}

impl fmt::Display for StateField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretKey => "secretKeys",
            Self::Token => "tokens",
            Self::Configuration => "configuration",
            Self::Sharding => "sharding",
            Self::IssuerKey => "issuerKey",
            Self::Refills => "refills",
        })
    }
}

/// Why a stored state cannot be used. The text contains nothing of the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It is longer than a state can be.
    #[error("{found} bytes; a state has at most {max}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
        /// The largest length in bytes.
        max: usize,
    },
    /// It is not JSON of the expected form.
    #[error("not the JSON of a client state (line {line}, column {column})")]
    Json {
        /// Line of the first mistake, from 1.
        line: usize,
        /// Column of the first mistake in bytes, from 1; 0 if the text ends there.
        column: usize,
    },
    /// It was written by another version of this crate.
    #[error("version {0} of the format; this release reads version 1")]
    Version(u32),
    /// A field is not base64, or not what it should hold.
    #[error("an invalid value in `{0}`")]
    Field(StateField),
    /// It is the state of a client of another service, which must not learn its pseudonym and tokens.
    #[error(
        "it belongs to the client of another service; use a state of its own for each, and a new one where the address of a \
         service has changed"
    )]
    OtherService,
    /// The user identifier cannot be sent as the value of a header.
    #[error(
        "the user identifier must have 1 to {MAX_USER_IDENTIFIER} bytes that a header can carry"
    )]
    UserIdentifier,
}

/// A secret key, by the configuration of evaluation keys that it was made for.
#[derive(Clone)]
pub(crate) struct StoredSecret {
    pub(crate) key_config_hash: Vec<u8>,
    /// The time by which the service identifies the evaluation key. It can be later than the time at which
    /// the key was made: the service says which times are taken.
    pub(crate) timestamp: Timestamp,
    /// When it was made, by the client's clock; states of earlier releases do not tell.
    pub(crate) made_at: Option<Timestamp>,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl StoredSecret {
    pub(crate) fn made_at(&self) -> Timestamp {
        self.made_at.unwrap_or(self.timestamp)
    }
}

/// The key of an issuer that is used, and those that may follow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeenIssuerKey {
    /// SHA-256 of the key.
    pub(crate) digest: [u8; 32],
    /// When it took the place of another; `None` if it is the first that was seen.
    pub(crate) changed_at: Option<Timestamp>,
    /// Other keys of the latest directory.
    pub(crate) others: Vec<OtherIssuerKey>,
}

/// A key of an issuer's directory that is not used yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OtherIssuerKey {
    /// SHA-256 of the key.
    pub(crate) digest: [u8; 32],
    /// Since when it was in every directory that was fetched.
    pub(crate) seen_at: Timestamp,
}

/// A token and when it was fetched.
#[derive(Clone)]
pub(crate) struct HeldToken {
    pub(crate) token: Token,
    pub(crate) fetched_at: Timestamp,
}

/// The sharding under which keywords were asked for with this user identifier: see
/// [`ShardingPolicy`](crate::ShardingPolicy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PinnedSharding {
    /// The number of shards; `None` for powers of two.
    pub(crate) fixed_count: Option<u32>,
    /// The number that the hash is first taken modulo of, if there is one and it is no power of two.
    pub(crate) other_count: Option<u32>,
    /// SHA-256 of the key that keywords are transformed with, in the symmetric variant.
    pub(crate) key_digest: Option<[u8; 32]>,
}

/// A configuration as the service sent it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredConfig {
    pub(crate) id: Vec<u8>,
    /// The serialized `PIRConfig`.
    pub(crate) config: Vec<u8>,
    /// The serialized `EvaluationKeyConfig`.
    pub(crate) keys: Vec<u8>,
}

/// The user identifier, secret keys, tokens and configuration of a client.
///
/// Whoever has it can read the client's replies and spend its tokens: store it where the platform keeps
/// secrets. It cannot be printed, and is wiped when it is dropped.
///
/// ```
/// use filter_client::{ClientState, StateError};
///
/// let state = ClientState::new();
/// let bytes = state.to_bytes();
/// let same = ClientState::from_bytes(&bytes)?;
/// assert_eq!(same.user_identifier(), state.user_identifier());
/// # Ok::<(), StateError>(())
/// ```
#[derive(Clone)]
pub struct ClientState {
    pub(crate) user_identifier: String,
    pub(crate) secrets: Vec<StoredSecret>,
    pub(crate) tokens: Vec<HeldToken>,
    pub(crate) config: Option<StoredConfig>,
    /// `None` if nothing was asked that needs it.
    pub(crate) sharding: Option<PinnedSharding>,
    /// Most bits of a keyword's hash that the index of its shard has told.
    pub(crate) told_bits: u32,
    /// `None` if no token was fetched.
    pub(crate) issuer_key: Option<SeenIssuerKey>,
    /// The address of the service; `None` in states of earlier releases, and before the first client.
    pub(crate) service: Option<String>,
    /// `None` in states of earlier releases, and before the first client.
    pub(crate) refills: Option<StoredRefills>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredState {
    version: u32,
    user_identifier: String,
    secret_keys: Vec<StoredSecretText>,
    tokens: Vec<StoredTokenText>,
    configuration: Option<StoredConfigText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sharding: Option<PinnedShardingText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told_bits: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer_key: Option<SeenIssuerKeyText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refills: Option<StoredRefillsText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredRefillsText {
    seed: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tried_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_zero")]
    first_attempts: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PinnedShardingText {
    /// Absent for powers of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fixed_count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    other_count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_digest: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SeenIssuerKeyText {
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<OtherIssuerKeyText>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OtherIssuerKeyText {
    digest: String,
    seen_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredSecretText {
    key_config_hash: String,
    timestamp: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_at: Option<Timestamp>,
    key: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredTokenText {
    fetched_at: Timestamp,
    token: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredConfigText {
    id: String,
    config: String,
    key_config: String,
}

fn decode(text: &str, field: StateField) -> Result<Vec<u8>, StateError> {
    STANDARD.decode(text).map_err(|_| StateError::Field(field))
}

impl ClientState {
    /// The state of a new client: a random user identifier and nothing else.
    #[must_use]
    pub fn new() -> Self {
        let user_identifier = uuid::Uuid::new_v4().hyphenated().to_string().to_uppercase();
        Self {
            user_identifier,
            secrets: Vec::new(),
            tokens: Vec::new(),
            config: None,
            sharding: None,
            told_bits: 0,
            issuer_key: None,
            service: None,
            refills: None,
        }
    }

    /// As [`ClientState::new`], with a given user identifier. The service stores evaluation keys under
    /// it and could link requests that share it, so it must not be derived from an account or a device.
    ///
    /// # Errors
    /// [`StateError::UserIdentifier`].
    pub fn with_user_identifier(user_identifier: impl Into<String>) -> Result<Self, StateError> {
        let user_identifier = user_identifier.into();
        let is_length_valid = (1..=MAX_USER_IDENTIFIER).contains(&user_identifier.len());
        if !is_length_valid || HeaderValue::from_str(&user_identifier).is_err() {
            return Err(StateError::UserIdentifier);
        }
        Ok(Self { user_identifier, ..Self::new() })
    }

    /// Adds a secret key: the bytes of a serialized `SerializedSecretKey`, the hash of the configuration
    /// of evaluation keys that it was made for, and the time under which the service knows its evaluation
    /// key.
    #[must_use]
    pub fn with_secret_key(
        mut self,
        key_config_hash: Vec<u8>,
        timestamp: Timestamp,
        bytes: Zeroizing<Vec<u8>>,
    ) -> Self {
        self.secrets.push(StoredSecret { key_config_hash, timestamp, made_at: None, bytes });
        self
    }

    /// The random identifier under which the service stores the evaluation key (`User-Identifier`).
    #[must_use]
    pub fn user_identifier(&self) -> &str {
        &self.user_identifier
    }

    /// The number of tokens, expired ones included.
    #[must_use]
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// The state as JSON. It contains secrets.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "text and numbers always have a JSON form")]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let secret = |secret: &StoredSecret| StoredSecretText {
            key_config_hash: STANDARD.encode(&secret.key_config_hash),
            timestamp: secret.timestamp,
            made_at: secret.made_at,
            key: Zeroizing::new(STANDARD.encode(&secret.bytes)),
        };
        let token = |held: &HeldToken| StoredTokenText {
            fetched_at: held.fetched_at,
            token: Zeroizing::new(STANDARD.encode(held.token.as_bytes())),
        };
        let config = |config: &StoredConfig| StoredConfigText {
            id: STANDARD.encode(&config.id),
            config: STANDARD.encode(&config.config),
            key_config: STANDARD.encode(&config.keys),
        };
        let other_key = |other: &OtherIssuerKey| OtherIssuerKeyText {
            digest: STANDARD.encode(other.digest),
            seen_at: other.seen_at,
        };
        let stored = StoredState {
            version: VERSION,
            user_identifier: self.user_identifier.clone(),
            secret_keys: self.secrets.iter().map(secret).collect(),
            tokens: self.tokens.iter().map(token).collect(),
            configuration: self.config.as_ref().map(config),
            sharding: self.sharding.map(|pinned| PinnedShardingText {
                fixed_count: pinned.fixed_count,
                other_count: pinned.other_count,
                key_digest: pinned.key_digest.map(|digest| STANDARD.encode(digest)),
            }),
            told_bits: Some(self.told_bits).filter(|&bits| bits > 0),
            issuer_key: self.issuer_key.as_ref().map(|seen| SeenIssuerKeyText {
                digest: STANDARD.encode(seen.digest),
                changed_at: seen.changed_at,
                others: seen.others.iter().map(other_key).collect(),
            }),
            refills: self.refills.as_ref().map(|refills| StoredRefillsText {
                seed: Zeroizing::new(STANDARD.encode(&refills.seed[..])),
                tried_at: refills.tried_at,
                first_attempts: refills.first_attempts,
            }),
            service: self.service.clone(),
        };
        secret_json(&stored).expect("text and numbers always have a JSON form")
    }

    /// Reads what [`ClientState::to_bytes`] wrote.
    ///
    /// # Errors
    /// A [`StateError`] that says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        if bytes.len() > MAX_STATE {
            return Err(StateError::TooLong { found: bytes.len(), max: MAX_STATE });
        }
        let stored: StoredState = serde_json::from_slice(bytes)
            .map_err(|error| StateError::Json { line: error.line(), column: error.column() })?;
        if stored.version != VERSION {
            return Err(StateError::Version(stored.version));
        }
        let secret = |text: StoredSecretText| {
            Ok(StoredSecret {
                key_config_hash: decode(&text.key_config_hash, StateField::SecretKey)?,
                timestamp: text.timestamp,
                made_at: text.made_at,
                bytes: Zeroizing::new(decode(&text.key, StateField::SecretKey)?),
            })
        };
        let token = |text: StoredTokenText| {
            let bytes = Zeroizing::new(decode(&text.token, StateField::Token)?);
            let token =
                Token::from_bytes(&bytes).map_err(|_| StateError::Field(StateField::Token))?;
            Ok(HeldToken { token, fetched_at: text.fetched_at })
        };
        let config = |text: StoredConfigText| -> Result<StoredConfig, StateError> {
            Ok(StoredConfig {
                id: decode(&text.id, StateField::Configuration)?,
                config: decode(&text.config, StateField::Configuration)?,
                keys: decode(&text.key_config, StateField::Configuration)?,
            })
        };
        let digest = |text: &str, field| {
            decode(text, field)?.try_into().map_err(|_| StateError::Field(field))
        };
        let sharding = |text: PinnedShardingText| {
            let key_digest = text.key_digest.map(|text| digest(&text, StateField::Sharding));
            Ok(PinnedSharding {
                fixed_count: text.fixed_count,
                other_count: text.other_count,
                key_digest: key_digest.transpose()?,
            })
        };
        let other_key = |text: &OtherIssuerKeyText| -> Result<_, StateError> {
            let digest = digest(&text.digest, StateField::IssuerKey)?;
            Ok(OtherIssuerKey { digest, seen_at: text.seen_at })
        };
        let issuer_key = |text: SeenIssuerKeyText| -> Result<_, StateError> {
            let others = text.others.iter().map(other_key).collect::<Result<_, _>>()?;
            let digest = digest(&text.digest, StateField::IssuerKey)?;
            Ok(SeenIssuerKey { digest, changed_at: text.changed_at, others })
        };
        let refills = |text: StoredRefillsText| {
            let seed = digest(&text.seed, StateField::Refills)?;
            let (tried_at, first_attempts) = (text.tried_at, text.first_attempts);
            Ok(StoredRefills { seed: Zeroizing::new(seed), tried_at, first_attempts })
        };
        Ok(Self {
            secrets: stored.secret_keys.into_iter().map(secret).collect::<Result<_, _>>()?,
            tokens: stored.tokens.into_iter().map(token).collect::<Result<_, _>>()?,
            config: stored.configuration.map(config).transpose()?,
            sharding: stored.sharding.map(sharding).transpose()?,
            told_bits: stored.told_bits.unwrap_or(0),
            issuer_key: stored.issuer_key.map(issuer_key).transpose()?,
            refills: stored.refills.map(refills).transpose()?,
            service: stored.service,
            ..Self::with_user_identifier(stored.user_identifier)?
        })
    }
}

/// As [`ClientState::new`].
impl Default for ClientState {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> ClientState {
        let token = Token::from_bytes(&[&[0, 2][..], &[7; 352]].concat()).unwrap();
        let mut state = ClientState::with_user_identifier("a \"user\"").unwrap().with_secret_key(
            vec![1; 32],
            Timestamp::from_unix_seconds(1_700_000_000),
            Zeroizing::new(vec![9; 100]),
        );
        state.tokens.push(HeldToken { token, fetched_at: Timestamp::from_unix_seconds(5) });
        state.config = Some(StoredConfig { id: vec![1], config: vec![2], keys: vec![3] });
        state.sharding = Some(PinnedSharding {
            fixed_count: Some(6),
            other_count: None,
            key_digest: Some([8; 32]),
        });
        state.told_bits = 9;
        let changed_at = Some(Timestamp::from_unix_seconds(7));
        let others =
            vec![OtherIssuerKey { digest: [6; 32], seen_at: Timestamp::from_unix_seconds(8) }];
        state.issuer_key = Some(SeenIssuerKey { digest: [5; 32], changed_at, others });
        state.service = Some("https://pir.example/".to_owned());
        let tried_at = Some(Timestamp::from_unix_seconds(11));
        let seed = Zeroizing::new([12; 32]);
        state.refills = Some(StoredRefills { seed, tried_at, first_attempts: 13 });
        state
    }

    #[test]
    fn a_state_is_read_back() {
        let state = full();
        let bytes = state.to_bytes();
        let back = ClientState::from_bytes(&bytes).unwrap();
        assert_eq!(back.to_bytes(), bytes);
        assert_eq!(back.user_identifier(), state.user_identifier());
        assert_ne!(ClientState::new().user_identifier, ClientState::new().user_identifier);
        for broken in [&b""[..], b"{}", &bytes[1..]] {
            let error = ClientState::from_bytes(broken).err();
            assert!(matches!(error, Some(StateError::Json { .. })));
        }
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let other = text.replace("\"version\":1", "\"version\":2");
        let error = ClientState::from_bytes(other.as_bytes()).err();
        assert_eq!(error, Some(StateError::Version(2)));
        for (value, field) in [
            ("AQ==", StateField::Configuration),
            ("AAIHB", StateField::Token),
            ("CQkJ", StateField::SecretKey),
            ("CAgI", StateField::Sharding),
            ("BQUF", StateField::IssuerKey),
            ("BgYG", StateField::IssuerKey),
            ("DAwM", StateField::Refills),
        ] {
            let broken = text.replacen(value, &format!("!{}", &value[1..]), 1);
            let error = ClientState::from_bytes(broken.as_bytes()).err();
            assert_eq!(error, Some(StateError::Field(field)));
        }
    }

    /// The stored form is fixed: callers have files of it.
    #[test]
    fn a_state_of_an_earlier_release_is_read() {
        let token = STANDARD.encode([&[0, 2][..], &[7; 352]].concat());
        let text = format!(
            r#"{{"version":1,"userIdentifier":"8A5B","secretKeys":[{{"keyConfigHash":"AQ==","timestamp":17,"key":"CQ=="}}],"tokens":[{{"fetchedAt":5,"token":"{token}"}}],"configuration":null}}"#
        );
        let state = ClientState::from_bytes(text.as_bytes()).unwrap();
        assert_eq!((state.user_identifier(), state.token_count()), ("8A5B", 1));
        assert_eq!(state.to_bytes().as_slice(), text.as_bytes());
    }

    #[test]
    fn secrets_are_written_into_one_allocation() {
        let bytes = full().to_bytes();
        assert_eq!(bytes.capacity(), bytes.len());
    }

    #[test]
    fn the_length_of_a_user_identifier_is_limited() {
        for length in [1, MAX_USER_IDENTIFIER - 1, MAX_USER_IDENTIFIER] {
            assert!(ClientState::with_user_identifier("a".repeat(length)).is_ok(), "{length}");
        }
        for wrong in [String::new(), "a".repeat(MAX_USER_IDENTIFIER + 1), "a\nb".to_owned()] {
            let error = ClientState::with_user_identifier(wrong).err();
            assert_eq!(error, Some(StateError::UserIdentifier));
        }
    }

    #[test]
    fn the_length_of_a_state_is_limited() {
        let bytes = full().to_bytes();
        let padded = |length: usize| {
            let mut text = bytes.to_vec();
            text.resize(length, b' ');
            ClientState::from_bytes(&text).map(drop)
        };
        assert_eq!(padded(MAX_STATE - 1), Ok(()));
        assert_eq!(padded(MAX_STATE), Ok(()));
        let found = MAX_STATE + 1;
        assert_eq!(padded(found), Err(StateError::TooLong { found, max: MAX_STATE }));
    }
}
