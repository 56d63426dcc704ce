//! Hosts files: an address, then the names that resolve to it.

use super::{Emit, Entry, LineFormat, LineKind, Scope};
use crate::key::{EntryKind, Refusal};
use std::net::IpAddr;

pub(super) struct Hosts;

/// Names that a hosts file defines for the machine itself.
const LOCAL_NAMES: [&str; 12] = [
    "0.0.0.0",
    "broadcasthost",
    "ip6-allhosts",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-localhost",
    "ip6-localnet",
    "ip6-loopback",
    "ip6-mcastprefix",
    "local",
    "localhost",
    "localhost.localdomain",
];

impl LineFormat for Hosts {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let content = line.split_once('#').map_or(line, |(content, _)| content).trim();
        if content.is_empty() {
            return if line.trim().is_empty() { LineKind::Blank } else { LineKind::Comment };
        }
        names(content, emit);
        LineKind::Entry
    }
}

/// Emits the names of a line without its comment. A line without an address consists of names.
pub(super) fn names(content: &str, emit: &mut Emit<'_>) {
    let mut words = content.split_whitespace().peekable();
    let address = words.peek().and_then(|word| word.parse::<IpAddr>().ok());
    if address.is_some() {
        words.next();
    }
    if words.peek().is_none() {
        emit(Err((Refusal::NotAHost, content)));
    }
    for name in words {
        emit(if LOCAL_NAMES.contains(&name) {
            Err((Refusal::LocalName, name))
        } else if address.is_some_and(|address| !is_sink(address)) {
            Err((Refusal::NotABlock, name))
        } else {
            Ok(Entry::new(name, EntryKind::Host).with_scope(Scope::Host))
        });
    }
}

/// Whether lists use an address to block a name: unspecified (`0.0.0.0`, `::`) or loopback.
pub(super) fn is_sink(address: IpAddr) -> bool {
    address.is_unspecified() || address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::super::{Format, tests::events};

    #[test]
    fn names_of_sinks_are_entries() {
        let text = "127.0.0.1 localhost\n0.0.0.0 a.example b.example # two\n::1 c.example\n\
                    192.168.1.5 nas.example\nd.example\n# end\n\n0.0.0.0\n";
        assert_eq!(
            events(text, Format::Hosts),
            [
                "1 -local-name",
                "2 a.example",
                "2 b.example",
                "3 c.example",
                "4 -not-a-block",
                "5 d.example",
                "8 -not-a-host",
            ]
        );
    }
}
