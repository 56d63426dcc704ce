//! Keys of the gateway: drawn, kept as seeds, published, accepted for a while longer.

use ohttp::hpke::{Aead, Kdf, Kem};
use ohttp::{KeyConfig, Server, ServerResponse, SymmetricSuite};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How keys come and go.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRotation {
    /// How long a key is published.
    pub(super) seconds: u64,
    /// How long it is accepted after that.
    pub(super) overlap: u64,
}

/// How long all nodes have a key before one of them publishes it.
pub(super) const AHEAD: u64 = 300;

/// A key, as a seed.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Seed {
    id: u8,
    seed: [u8; 32],
    /// From when on it is published, in seconds since 1970.
    from: u64,
}

/// All keys that are accepted, the newest last.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewayKeys {
    keys: Vec<Seed>,
}

impl GatewayKeys {
    /// None if it is not what [`GatewayKeys::to_json`] gave.
    pub(super) fn from_json(text: &[u8]) -> Option<Self> {
        let keys: Self = serde_json::from_slice(text).ok()?;
        let in_order = keys.keys.windows(2).all(|pair| pair[0].from <= pair[1].from);
        in_order.then_some(keys)
    }

    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // Such plain data always has a text.
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Until when a key is accepted: as long as the one after it is not published for long.
    fn until(&self, index: usize, rotation: KeyRotation) -> Option<u64> {
        let next = self.keys.get(index + 1)?;
        Some(next.from.saturating_add(rotation.overlap))
    }

    fn wants_key(&self, rotation: KeyRotation, now: u64) -> bool {
        let last = self.keys.last();
        last.is_none_or(|last| {
            now.saturating_add(AHEAD) >= last.from.saturating_add(rotation.seconds)
        })
    }

    fn is_over(&self, index: usize, rotation: KeyRotation, now: u64) -> bool {
        self.until(index, rotation).is_some_and(|until| until <= now)
    }

    pub(super) fn is_due(&self, rotation: KeyRotation, now: u64) -> bool {
        self.wants_key(rotation, now) || self.is_over(0, rotation, now)
    }

    /// Draws the next key and drops those that are over.
    pub(super) fn rotate(&mut self, rotation: KeyRotation, now: u64) -> Result<(), String> {
        if self.wants_key(rotation, now) {
            let mut drawn = Zeroizing::new([0; 33]);
            getrandom::fill(&mut *drawn).map_err(|error| error.to_string())?;
            let (id, from) = match self.keys.last() {
                // After a loss, the number of a key that is gone should not be taken for it.
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
    pub(super) fn ring(&self) -> Result<Ring, String> {
        let server = |key: &Seed| {
            let suites = [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305]
                .map(|aead| SymmetricSuite::new(Kdf::HkdfSha256, aead));
            let config = KeyConfig::derive(key.id, Kem::X25519Sha256, suites.to_vec(), &key.seed)
                .map_err(|error| error.to_string())?;
            let server = Server::new(config).map_err(|error| error.to_string())?;
            Ok((key.id, key.from, server))
        };
        Ok(Ring { keys: self.keys.iter().map(server).collect::<Result<_, String>>()? })
    }
}

/// Keys, ready for use.
#[derive(Default)]
pub(super) struct Ring {
    keys: Vec<(u8, u64, Server)>,
}

impl Ring {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The newest key whose time has come.
    pub(super) fn published(&self, now: u64) -> Option<Vec<u8>> {
        let (_, _, server) =
            self.keys.iter().rfind(|(_, from, _)| *from <= now).or(self.keys.first())?;
        KeyConfig::encode_list(&[server.config()]).ok()
    }

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

    const ROTATION: KeyRotation = KeyRotation { seconds: 10_000, overlap: 2_000 };

    fn opens(ring: &Ring, published: &[u8]) -> bool {
        let client = ClientRequest::from_encoded_config_list(published).unwrap();
        let (request, _) = client.encapsulate(b"hello").unwrap();
        ring.decapsulate(&request).is_some_and(|(opened, _)| opened == b"hello")
    }

    #[test]
    fn keys_overlap() {
        let mut keys = GatewayKeys::default();
        assert!(keys.is_due(ROTATION, 1000));
        keys.rotate(ROTATION, 1000).unwrap();
        let first = keys.ring().unwrap().published(1000).unwrap();
        assert!(!keys.is_due(ROTATION, 10_699));
        assert!(keys.is_due(ROTATION, 10_700));
        // The next one is there before it is published.
        keys.rotate(ROTATION, 10_700).unwrap();
        let kept = GatewayKeys::from_json(&keys.to_json()).unwrap();
        let ring = kept.ring().unwrap();
        assert_eq!(ring.published(10_999).unwrap(), first);
        let second = ring.published(11_000).unwrap();
        assert_ne!(second, first);
        assert!(opens(&ring, &first) && opens(&ring, &second));
        // The first goes when clients had time to see the second.
        assert!(!keys.is_due(ROTATION, 12_999));
        assert!(keys.is_due(ROTATION, 13_000));
        keys.rotate(ROTATION, 13_000).unwrap();
        let ring = keys.ring().unwrap();
        assert!(!opens(&ring, &first) && opens(&ring, &second));
        assert!(!keys.is_due(ROTATION, 13_000));
        assert!(GatewayKeys::from_json(b"{}").is_none());
        assert!(ring.decapsulate(&[]).is_none());
    }
}
