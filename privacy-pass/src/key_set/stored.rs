//! The stored form of a key set: JSON with the private keys in PKCS #8.

use super::{Entry, KeySet, KeySetError, Rotation};
use crate::{Error, IssuerKey, secret_json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use unix_clock::Timestamp;
use zeroize::Zeroizing;

/// Largest number of keys in a stored set.
const MAX_KEYS: usize = 64;
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredSet {
    version: u32,
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredKey {
    not_before: Timestamp,
    pkcs8: Zeroizing<String>,
}

impl KeySet {
    /// Reads what [`KeySet::to_json`] wrote.
    ///
    /// # Errors
    /// A [`KeySetError`] that says what is wrong. It contains nothing of the text: the text holds
    /// private keys.
    pub fn from_json(text: &[u8], rotation: Rotation) -> Result<Self, KeySetError> {
        let stored: StoredSet = serde_json::from_slice(text)
            .map_err(|error| KeySetError::Json { line: error.line(), column: error.column() })?;
        if stored.version != VERSION {
            return Err(KeySetError::Version(stored.version));
        }
        if !(1..=MAX_KEYS).contains(&stored.keys.len()) {
            return Err(KeySetError::KeyCount { found: stored.keys.len(), max: MAX_KEYS });
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(stored.keys.len());
        for (index, stored) in stored.keys.into_iter().enumerate() {
            let der = STANDARD.decode(stored.pkcs8.as_bytes()).map(Zeroizing::new);
            let key = der.ok().and_then(|der| IssuerKey::from_pkcs8(&der).ok());
            let key = key.ok_or(KeySetError::Key { index })?;
            if entries.last().is_some_and(|last| last.not_before >= stored.not_before) {
                return Err(KeySetError::Order { index });
            }
            entries.push(Entry { key: Arc::new(key), not_before: stored.not_before });
        }
        Ok(Self { entries, rotation })
    }

    /// Writes the private keys as JSON. Store it where only the issuer can read it.
    ///
    /// # Errors
    /// [`Error::Internal`] if a key cannot be encoded.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let keys = self
            .entries
            .iter()
            .map(|entry| {
                let pkcs8 = Zeroizing::new(STANDARD.encode(&*entry.key.to_pkcs8()?));
                Ok(StoredKey { not_before: entry.not_before, pkcs8 })
            })
            .collect::<Result<_, Error>>()?;
        secret_json(&StoredSet { version: VERSION, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn set(keys: usize) -> String {
        let key = IssuerKey::generate().unwrap().to_pkcs8().unwrap();
        let key = STANDARD.encode(&*key);
        let keys: Vec<String> =
            (0..keys).map(|index| format!(r#"{{"notBefore":{index},"pkcs8":"{key}"}}"#)).collect();
        format!(r#"{{"version":1,"keys":[{}]}}"#, keys.join(","))
    }

    fn read(text: &str) -> Result<KeySet, KeySetError> {
        KeySet::from_json(text.as_bytes(), Rotation::default())
    }

    #[test]
    fn the_stored_form_is_read_back_byte_for_byte() {
        let text = set(2);
        let read = read(&text).unwrap();
        assert_eq!(read.to_json().unwrap().as_slice(), text.as_bytes());
        assert_eq!(read.entries[1].not_before, Timestamp::MIN + Duration::from_secs(1));
    }

    #[test]
    fn secrets_are_written_into_one_allocation() {
        let text = read(&set(2)).unwrap().to_json().unwrap();
        assert_eq!(text.capacity(), text.len());
    }

    #[test]
    fn the_number_of_keys_is_limited() {
        for count in [1, MAX_KEYS - 1, MAX_KEYS] {
            assert_eq!(read(&set(count)).unwrap().entries.len(), count);
        }
        for count in [0, MAX_KEYS + 1] {
            let error = read(&set(count)).err();
            assert_eq!(error, Some(KeySetError::KeyCount { found: count, max: MAX_KEYS }));
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let text = set(2);
        for (text, expected) in [
            (String::new(), KeySetError::Json { line: 1, column: 0 }),
            (
                text[..text.len() - 1].to_owned(),
                KeySetError::Json { line: 1, column: text.len() - 1 },
            ),
            (text.replace(r#""version":1"#, r#""version":2"#), KeySetError::Version(2)),
            (text.replace(r#""notBefore":1"#, r#""notBefore":0"#), KeySetError::Order { index: 1 }),
            (text.replacen("MII", "MIJ", 1), KeySetError::Key { index: 0 }),
        ] {
            assert_eq!(read(&text).err(), Some(expected));
        }
        let error = read(&text.replace(r#""version":1"#, r#""version":"secret""#)).err().unwrap();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
