//! Hosts files: an address, then the names that resolve to it.

use super::sinks::{Sinks, address};
use super::{Emit, Entry, LineFormat, LineKind, ReadOptions, Scope};
use crate::key::{EntryKind, Refusal};

pub(super) struct Hosts {
    sinks: Sinks,
}

impl Hosts {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self { sinks: Sinks::new(&options.sinks) }
    }
}

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
        if content.is_empty() || is_comment(content) {
            return if line.trim().is_empty() { LineKind::Blank } else { LineKind::Comment };
        }
        names(content, &self.sinks, emit);
        LineKind::Entry
    }

    fn is_of_names(&self) -> bool {
        true
    }
}

/// Whether a line, or a word behind a name, begins a comment. Hosts files know `#` alone, lists in their form have these as well.
fn is_comment(text: &str) -> bool {
    text.starts_with([';', '!']) || text.starts_with("//")
}

/// Emits the names of a line without its comment. A line without an address is one name.
pub(super) fn names(content: &str, sinks: &Sinks, emit: &mut Emit<'_>) {
    let mut words = content.split_whitespace().take_while(|word| !is_comment(word)).peekable();
    let target = words.peek().and_then(|word| address(word));
    if target.is_some() {
        words.next();
    } else if words.clone().nth(1).is_some() {
        // Prose, not names.
        emit(Err((Refusal::WhiteSpace, content)));
        return;
    }
    if words.peek().is_none() {
        emit(Err((Refusal::NotAHost, content)));
    }
    let is_block = target.is_none_or(|target| sinks.has(target));
    for name in words {
        let without_dot = name.strip_suffix('.').unwrap_or(name);
        emit(if LOCAL_NAMES.iter().any(|local| local.eq_ignore_ascii_case(without_dot)) {
            Err((Refusal::LocalName, name))
        } else if address(name).is_some() {
            // Addresses are not looked up in hosts files.
            Err((Refusal::NotAHost, name))
        } else if is_block {
            Ok(Entry::new(name, EntryKind::Host).with_scope(Scope::Host))
        } else {
            Err((Refusal::NotABlock, name))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{details, events};
    use super::super::{Format, ReadOptions};

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

    #[test]
    fn comments_and_prose_are_no_names() {
        let text = "; not good.example\n// mirror: good.example\n! by good.example\n0.0.0.0 a.example ; by good.example\n\
                    0.0.0.0 b.example !by good.example\n0.0.0.0 c.example d.example // good.example\n\
                    write to good.example\ne.example ; good.example\n0.0.0.0 ; good.example\n0.0.0.0 f.example;good.example\n";
        assert_eq!(
            events(text, Format::Hosts),
            [
                "4 a.example",
                "5 b.example",
                "6 c.example",
                "6 d.example",
                "7 -white-space",
                "8 e.example",
                "9 -not-a-host",
                "10 f.example;good.example",
            ]
        );
    }

    #[test]
    fn short_addresses_are_addresses_and_not_names() {
        let text = "0 a.example\n127.1\tb.example\n0x7f.1 c.example\n000.000.000.000 d.example\n\
                    0.0.0.0 0.0.0.0\nfe80::1%lo0 Localhost.\n0.0.0.0 198.51.100.7 127.1 ::1\n1 e.example\n";
        assert_eq!(
            events(text, Format::Hosts),
            [
                "1 a.example",
                "2 b.example",
                "3 c.example",
                "4 d.example",
                "5 -local-name",
                "6 -local-name",
                "7 -not-a-host",
                "7 -not-a-host",
                "7 -not-a-host",
                "8 -not-a-block",
            ]
        );
    }

    #[test]
    fn a_name_is_one_host_and_sinks_can_be_named() {
        let options = ReadOptions::from(Format::Hosts).with_sinks(vec!["192.0.2.1".to_owned()]);
        let text = "192.0.2.1 a.example\n192.0.2.2 b.example\n0.0.0.0 c.example\n";
        assert_eq!(
            details(text, &options),
            ["1 block host a.example", "2 -not-a-block", "3 block host c.example"]
        );
    }
}
