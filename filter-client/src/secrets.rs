//! What a client must keep between runs, in a form that its caller can store.
//!
//! Whoever has it can read the client's replies and spend its tokens: keep it where the platform keeps
//! secrets.

use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use privacy_pass::Token;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const VERSION: u32 = 1;
/// Largest stored state.
const MAX_STATE: usize = 64 << 20;

/// A secret key, by the configuration of evaluation keys that it was made for.
#[derive(Clone)]
pub(crate) struct StoredSecret {
    pub(crate) key_config_hash: Vec<u8>,
    /// When it was made, in seconds since 1970; the service knows the evaluation key by it.
    pub(crate) timestamp: u64,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// A token and when it was fetched.
#[derive(Clone)]
pub(crate) struct HeldToken {
    pub(crate) token: Token,
    pub(crate) fetched_at: u64,
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

/// The pseudonym, secret keys, tokens and configuration of a client. It cannot be printed, and is
/// wiped when dropped.
#[derive(Clone)]
pub struct ClientState {
    pub(crate) user: String,
    pub(crate) secrets: Vec<StoredSecret>,
    pub(crate) tokens: Vec<HeldToken>,
    pub(crate) config: Option<StoredConfig>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    version: u32,
    user_identifier: String,
    secret_keys: Vec<StoredKeyText>,
    tokens: Vec<StoredTokenText>,
    configuration: Option<StoredConfigText>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredKeyText {
    key_config_hash: String,
    timestamp: u64,
    key: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredTokenText {
    fetched_at: u64,
    token: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredConfigText {
    id: String,
    config: String,
    key_config: String,
}

fn decode(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|_| Error::State("a field is not base64"))
}

impl ClientState {
    /// A client that nobody has seen before: a random pseudonym and nothing else.
    #[must_use]
    pub fn new() -> Self {
        Self::with_user_identifier(uuid::Uuid::new_v4().hyphenated().to_string().to_uppercase())
    }

    /// The same with a given pseudonym.
    #[must_use]
    pub fn with_user_identifier(user: String) -> Self {
        Self { user, secrets: Vec::new(), tokens: Vec::new(), config: None }
    }

    /// Adds a secret key (a serialized `SerializedSecretKey`'s bytes), the configuration of evaluation
    /// keys that it is for, by its hash, and the time by which the service knows the evaluation key.
    #[must_use]
    pub fn with_secret_key(
        mut self,
        key_config_hash: Vec<u8>,
        timestamp: u64,
        bytes: Zeroizing<Vec<u8>>,
    ) -> Self {
        self.secrets.push(StoredSecret { key_config_hash, timestamp, bytes });
        self
    }

    /// The pseudonym under which the service keeps the evaluation key.
    #[must_use]
    pub fn user_identifier(&self) -> &str {
        &self.user
    }

    /// How many tokens it holds, expired ones included.
    #[must_use]
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = |secret: &StoredSecret| StoredKeyText {
            key_config_hash: STANDARD.encode(&secret.key_config_hash),
            timestamp: secret.timestamp,
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
        let stored = Stored {
            version: VERSION,
            user_identifier: self.user.clone(),
            secret_keys: self.secrets.iter().map(key).collect(),
            tokens: self.tokens.iter().map(token).collect(),
            configuration: self.config.as_ref().map(config),
        };
        let text = serde_json::to_vec(&stored).map_err(|_| Error::State("it cannot be written"))?;
        Ok(Zeroizing::new(text))
    }

    /// Reads what [`ClientState::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_STATE {
            return Err(Error::State("too long"));
        }
        let stored: Stored =
            serde_json::from_slice(bytes).map_err(|_| Error::State("not JSON of that form"))?;
        if stored.version != VERSION {
            return Err(Error::State("another version"));
        }
        let secret = |text: StoredKeyText| {
            Ok(StoredSecret {
                key_config_hash: decode(&text.key_config_hash)?,
                timestamp: text.timestamp,
                bytes: Zeroizing::new(decode(&text.key)?),
            })
        };
        let token = |text: StoredTokenText| {
            let bytes = Zeroizing::new(decode(&text.token)?);
            let token = Token::from_bytes(&bytes).map_err(|_| Error::State("a token"))?;
            Ok(HeldToken { token, fetched_at: text.fetched_at })
        };
        let config = |text: StoredConfigText| -> Result<StoredConfig, Error> {
            Ok(StoredConfig {
                id: decode(&text.id)?,
                config: decode(&text.config)?,
                keys: decode(&text.key_config)?,
            })
        };
        Ok(Self {
            user: stored.user_identifier,
            secrets: stored.secret_keys.into_iter().map(secret).collect::<Result<_, Error>>()?,
            tokens: stored.tokens.into_iter().map(token).collect::<Result<_, Error>>()?,
            config: stored.configuration.map(config).transpose()?,
        })
    }
}

impl Default for ClientState {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let token = Token::from_bytes(&[&[0, 2][..], &[7; 352]].concat()).unwrap();
        let mut state = ClientState::new().with_secret_key(
            vec![1; 32],
            1_700_000_000,
            Zeroizing::new(vec![9; 100]),
        );
        state.tokens.push(HeldToken { token, fetched_at: 5 });
        state.config = Some(StoredConfig { id: vec![1], config: vec![2], keys: vec![3] });
        let bytes = state.to_bytes().unwrap();
        let back = ClientState::from_bytes(&bytes).unwrap();
        assert_eq!(back.to_bytes().unwrap(), bytes);
        assert_eq!(back.user_identifier(), state.user_identifier());
        assert_ne!(ClientState::new().user, ClientState::new().user);
        for broken in [&b""[..], b"{}", &bytes[1..]] {
            assert!(ClientState::from_bytes(broken).is_err());
        }
        let other =
            String::from_utf8(bytes.to_vec()).unwrap().replace("\"version\":1", "\"version\":2");
        assert!(matches!(
            ClientState::from_bytes(other.as_bytes()),
            Err(Error::State("another version"))
        ));
    }
}
