//! Keys of the gateway: created, stored as seeds, published, and accepted for a while after that.

use ohttp::hpke::{Aead, Kdf, Kem};
use ohttp::{KeyConfig, Server, ServerResponse, SymmetricSuite};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use unix_clock::Timestamp;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// When keys rotate.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRotation {
    /// How long a key is published.
    pub(super) period: Duration,
    /// How long it is accepted after that.
    pub(super) overlap: Duration,
}

/// How long before a key is published all nodes have it.
pub(super) const AHEAD: Duration = Duration::from_secs(300);

/// A key cannot be created or used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error("the system has no random numbers")]
    Random(#[from] getrandom::Error),
    #[error("the key cannot be derived from its seed")]
    Derive(#[from] ohttp::Error),
}

/// A key, as the seed that it is derived from.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Seed {
    id: u8,
    seed: [u8; 32],
    /// When it is published.
    #[zeroize(skip)]
    from: Timestamp,
}

/// All keys that are accepted, the newest last.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewayKeys {
    keys: Vec<Seed>,
}

impl GatewayKeys {
    /// `None` if it is not what [`GatewayKeys::to_json`] wrote.
    pub(super) fn from_json(text: &[u8]) -> Option<Self> {
        let keys: Self = serde_json::from_slice(text).ok()?;
        let in_order = keys.keys.windows(2).all(|pair| pair[0].from <= pair[1].from);
        in_order.then_some(keys)
    }

    /// The seeds as JSON. The buffer never grows, so no copy of a seed stays in freed memory.
    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        privacy_pass::secret_json(self).expect("numbers have a JSON form")
    }

    /// Until when a key is accepted: until its successor has been published for the overlap. The newest key
    /// has no end.
    fn until(&self, index: usize, rotation: KeyRotation) -> Option<Timestamp> {
        let next = self.keys.get(index + 1)?;
        Some(next.from + rotation.overlap)
    }

    fn wants_key(&self, rotation: KeyRotation, now: Timestamp) -> bool {
        let last = self.keys.last();
        last.is_none_or(|last| now + AHEAD >= last.from + rotation.period)
    }

    /// Whether the newest key was drawn while the clock was ahead, or it is behind now: its time is still far.
    pub(super) fn is_ahead(&self, now: Timestamp) -> bool {
        self.keys.last().is_some_and(|last| last.from > now + 2 * AHEAD)
    }

    /// Publishes keys that were drawn while the clock was ahead as soon as others.
    pub(super) fn publish_soon(&mut self, now: Timestamp) {
        for key in &mut self.keys {
            key.from = key.from.min(now + AHEAD);
        }
    }

    fn is_over(&self, index: usize, rotation: KeyRotation, now: Timestamp) -> bool {
        self.until(index, rotation).is_some_and(|until| until <= now)
    }

    pub(super) fn is_due(&self, rotation: KeyRotation, now: Timestamp) -> bool {
        self.wants_key(rotation, now) || self.is_over(0, rotation, now)
    }

    /// Creates the next key if it is due, and removes those that are no longer accepted.
    pub(super) fn rotate(&mut self, rotation: KeyRotation, now: Timestamp) -> Result<(), KeyError> {
        if self.wants_key(rotation, now) {
            let mut drawn = Zeroizing::new([0; 33]);
            getrandom::fill(&mut *drawn)?;
            let (id, from) = match self.keys.last() {
                // After a loss of all keys, a random id keeps a lost key from being mistaken for the new one.
                None => (drawn[32], now),
                Some(last) => (last.id.wrapping_add(1), now + AHEAD),
            };
            let mut seed = Seed { id, seed: [0; 32], from };
            seed.seed.copy_from_slice(&drawn[..32]);
            self.keys.push(seed);
        }
        while self.is_over(0, rotation, now) {
            self.keys.remove(0);
        }
        Ok(())
    }

    /// The keys, ready for use.
    pub(super) fn ring(&self) -> Result<Ring, KeyError> {
        let server = |key: &Seed| {
            let suites = [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305]
                .map(|aead| SymmetricSuite::new(Kdf::HkdfSha256, aead));
            let config = KeyConfig::derive(key.id, Kem::X25519Sha256, suites.to_vec(), &key.seed)?;
            Ok((key.id, key.from, Server::new(config)?))
        };
        Ok(Ring { keys: self.keys.iter().map(server).collect::<Result<_, KeyError>>()? })
    }
}

/// Keys that are ready for use.
#[derive(Default)]
pub(super) struct Ring {
    /// Id, time of publication in Unix seconds, key; the newest last.
    keys: Vec<(u8, Timestamp, Server)>,
}

impl Ring {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The list with the newest key that is published at `now`, encoded (RFC 9458, section 3.2). If none is yet,
    /// the list has the oldest key.
    pub(super) fn published(&self, now: Timestamp) -> Option<Vec<u8>> {
        let (_, _, server) =
            self.keys.iter().rfind(|(_, from, _)| *from <= now).or(self.keys.first())?;
        KeyConfig::encode_list(&[server.config()]).ok()
    }

    /// Opens a request; `None` if its key is unknown or it was altered.
    pub(super) fn decapsulate(&self, encapsulated: &[u8]) -> Option<(Vec<u8>, ServerResponse)> {
        let id = *encapsulated.first()?;
        let (_, _, server) = self.keys.iter().rfind(|(other, _, _)| *other == id)?;
        server.decapsulate(encapsulated).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ohttp::ClientRequest;

    const ROTATION: KeyRotation =
        KeyRotation { period: Duration::from_secs(10_000), overlap: Duration::from_secs(2_000) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn opens(ring: &Ring, published: &[u8]) -> bool {
        let client = ClientRequest::from_encoded_config_list(published).unwrap();
        let (request, _) = client.encapsulate(b"hello").unwrap();
        ring.decapsulate(&request).is_some_and(|(opened, _)| opened == b"hello")
    }

    #[test]
    fn keys_overlap() {
        let mut keys = GatewayKeys::default();
        assert!(keys.is_due(ROTATION, at(1000)));
        keys.rotate(ROTATION, at(1000)).unwrap();
        let first = keys.ring().unwrap().published(at(1000)).unwrap();
        assert!(!keys.is_due(ROTATION, at(10_699)));
        assert!(keys.is_due(ROTATION, at(10_700)));
        // The next one is there before it is published.
        keys.rotate(ROTATION, at(10_700)).unwrap();
        let kept = GatewayKeys::from_json(&keys.to_json()).unwrap();
        let ring = kept.ring().unwrap();
        assert_eq!(ring.published(at(10_999)).unwrap(), first);
        let second = ring.published(at(11_000)).unwrap();
        assert_ne!(second, first);
        assert!(opens(&ring, &first) && opens(&ring, &second));
        // The first is dropped once clients had time to fetch the second.
        assert!(!keys.is_due(ROTATION, at(12_999)));
        assert!(keys.is_due(ROTATION, at(13_000)));
        keys.rotate(ROTATION, at(13_000)).unwrap();
        let ring = keys.ring().unwrap();
        assert!(!opens(&ring, &first) && opens(&ring, &second));
        assert!(!keys.is_due(ROTATION, at(13_000)));
        assert!(GatewayKeys::from_json(b"{}").is_none());
        assert!(ring.decapsulate(&[]).is_none());
    }

    #[test]
    fn a_key_of_a_clock_that_was_ahead_is_published_soon() {
        let mut keys = GatewayKeys::default();
        keys.rotate(ROTATION, at(1000)).unwrap();
        let first = keys.ring().unwrap().published(at(1000)).unwrap();
        keys.rotate(ROTATION, at(1_000_000)).unwrap();
        assert_eq!(keys.keys.len(), 2);
        // Clocks of nodes may differ a little.
        let drawn = keys.keys[1].from;
        let near = at(drawn.unix_seconds() - 2 * AHEAD.as_secs());
        assert!(!keys.is_ahead(near));
        assert!(keys.is_ahead(at(near.unix_seconds() - 1)) && keys.is_ahead(at(2000)));
        keys.publish_soon(at(2000));
        assert!(!keys.is_ahead(at(2000)) && !keys.is_due(ROTATION, at(2000)));
        let ring = keys.ring().unwrap();
        assert_eq!(ring.published(at(2299)).unwrap(), first);
        let second = ring.published(at(2300)).unwrap();
        assert!(second != first && opens(&ring, &first) && opens(&ring, &second));
        // Rotation goes on as usual.
        assert!(!keys.is_due(ROTATION, at(4299)) && keys.is_due(ROTATION, at(4300)));
        keys.rotate(ROTATION, at(4300)).unwrap();
        assert_eq!(keys.keys.len(), 1);
        assert!(!keys.is_due(ROTATION, at(11_999)) && keys.is_due(ROTATION, at(12_000)));
    }

    #[test]
    fn the_buffer_of_the_json_form_does_not_grow() {
        // 33 numbers of up to 3 digits and one of up to 20, with names and commas.
        const MAX_SEED_TEXT: usize = 256;
        let seed = || Seed { id: u8::MAX, seed: [u8::MAX; 32], from: Timestamp::MAX };
        for count in 0..10 {
            let keys = GatewayKeys { keys: (0..count).map(|_| seed()).collect() };
            assert!(keys.to_json().len() <= MAX_SEED_TEXT * (count + 1));
            assert_eq!(*keys.to_json(), serde_json::to_vec(&keys).unwrap());
        }
    }
}
