//! Where lists send the names that they block.

use crate::key::names::is_sink;
use std::net::{IpAddr, Ipv4Addr};

/// The names and addresses that mean "blocked": unspecified and loopback addresses, and those of the caller.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    addresses: Vec<IpAddr>,
    names: Vec<String>,
}

impl Sinks {
    pub(super) fn new(texts: &[String]) -> Self {
        let mut sinks = Self::default();
        for text in texts {
            match address(text) {
                Some(address) => sinks.addresses.push(address.to_canonical()),
                None => sinks.names.push(text.trim_end_matches('.').to_owned()),
            }
        }
        sinks
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        is_sink(address) || self.addresses.contains(&address.to_canonical())
    }

    /// Whether a text is the address of a sink.
    pub(super) fn has_address(&self, text: &str) -> bool {
        address(text).is_some_and(|address| self.has(address))
    }

    /// Whether a name, without its last dot, is one of a sink.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|sink| sink.eq_ignore_ascii_case(name))
    }
}

/// Reads an address as hosts files have it: with a zone (`fe80::1%lo0`), or as `inet_aton` reads it, with fewer than four
/// parts and in other bases (`0`, `127.1`, `0x7f.1`).
pub(super) fn address(text: &str) -> Option<IpAddr> {
    // Most words are names, and most of these begin with a letter that no address has.
    if !text.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':') {
        return None;
    }
    let without_zone = text.split_once('%').map_or(text, |(address, _)| address);
    match without_zone.parse() {
        Ok(address) => Some(address),
        Err(_) if without_zone.len() == text.len() => short_address(text).map(IpAddr::V4),
        Err(_) => None,
    }
}

/// One to four numbers, the last of which fills the bytes that remain.
fn short_address(text: &str) -> Option<Ipv4Addr> {
    let mut parts = text.split('.');
    let mut value = 0;
    let mut shift = 32;
    let mut part = parts.next();
    while let Some(number) = part {
        let number = number_in_c(number)?;
        part = parts.next();
        if part.is_none() {
            return (u64::from(number) < 1 << shift).then(|| Ipv4Addr::from_bits(value | number));
        }
        if number > 255 || shift == 8 {
            return None;
        }
        shift -= 8;
        value |= number << shift;
    }
    None
}

/// A number as C writes it: `0x7f`, `0177`, `127`.
fn number_in_c(text: &str) -> Option<u32> {
    let (digits, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    let is_number = digits.starts_with(|c: char| c.is_ascii_hexdigit());
    is_number.then(|| u32::from_str_radix(digits, base).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_inet_aton_does() {
        for (text, expected) in [
            ("0", Some("0.0.0.0")),
            ("127.1", Some("127.0.0.1")),
            ("0x7f.1", Some("127.0.0.1")),
            ("0X7F000001", Some("127.0.0.1")),
            ("0177.0.1", Some("127.0.0.1")),
            ("000.000.000.000", Some("0.0.0.0")),
            ("127.000.000.001", Some("127.0.0.1")),
            ("1.2.3.4", Some("1.2.3.4")),
            ("1.65535", Some("1.0.255.255")),
            ("1.16777215", Some("1.255.255.255")),
            ("1.16777216", None),
            ("4294967295", Some("255.255.255.255")),
            ("4294967296", None),
            ("1.2.3.256", None),
            ("1.2.3.4.5", None),
            ("08", None),
            ("0x", None),
            ("1..2", None),
            ("1.", None),
            ("+1", None),
            ("::", Some("::")),
            ("fe80::1%lo0", Some("fe80::1")),
            ("1%lo0", None),
            ("abc.example", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(address(text), expected.map(|text| text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn sinks_are_unspecified_loopback_or_named() {
        let sinks = Sinks::new(&["192.0.2.1".to_owned(), "Sink.example.".to_owned()]);
        for text in ["0.0.0.0", "::", "127.8.9.1", "::1", "::ffff:127.0.0.1", "192.0.2.1"] {
            assert!(sinks.has_address(text), "{text}");
        }
        for text in ["192.0.2.2", "128.0.0.1", "fe80::1", "sink.example"] {
            assert!(!sinks.has_address(text), "{text}");
        }
        assert!(sinks.has_name("sink.example") && !sinks.has_name("a.sink.example"));
    }
}
