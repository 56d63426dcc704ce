//! Peers: the addresses by which connections are counted.
//!
//! Addresses are kept only while a connection of theirs is open. They are never logged.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bits of an IPv6 address that name a network: one customer usually has all addresses of it.
const NETWORK_BITS: u32 = 64;

/// What connections are counted by: an IPv4 address, or a network of 64 bits of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PeerKey(IpAddr);

impl From<IpAddr> for PeerKey {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let mask = u128::MAX << (128 - NETWORK_BITS);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
            address => address,
        })
    }
}

/// What all connections of one peer hold together.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// `None` if connections are not counted by peer.
    pub(crate) key: Option<PeerKey>,
    /// Its open connections; changed under the lock of the table.
    pub(crate) connections: AtomicUsize,
}

impl Peer {
    pub(crate) fn new(key: Option<PeerKey>) -> Self {
        Self { key, ..Self::default() }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> PeerKey {
        PeerKey::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_peer_is_an_address_or_a_network() {
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::2"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
    }
}
