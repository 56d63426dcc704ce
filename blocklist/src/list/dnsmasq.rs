//! dnsmasq configuration: lines that give a domain no address, or an address that leads nowhere.

use super::{Emit, Entry, LineFormat, LineKind, hosts};
use crate::key::{EntryKind, Refusal};

pub(super) struct Dnsmasq;

impl LineFormat for Dnsmasq {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let line = line.trim();
        if line.is_empty() {
            return LineKind::Blank;
        }
        if line.starts_with('#') {
            return LineKind::Comment;
        }
        let content = line.split_once(" #").map_or(line, |(content, _)| content).trim();
        let rest = content.split_once('=').and_then(|(option, rest)| {
            let known = matches!(option.trim(), "address" | "server" | "local");
            known.then_some((option.trim(), rest.trim().strip_prefix('/')?))
        });
        let Some((option, rest)) = rest else {
            emit(Err((Refusal::Directive, content)));
            return LineKind::Entry;
        };
        let (domains, target) = rest.rsplit_once('/').unwrap_or((rest, ""));
        let blocks = match (option, target) {
            (_, "") => true,
            ("address", "#") => true,
            ("address", address) => address.parse().is_ok_and(hosts::is_sink),
            _ => false,
        };
        for domain in domains.split('/') {
            emit(match domain.strip_prefix('.').unwrap_or(domain) {
                "" | "#" => Err((Refusal::Wildcard, content)),
                _ if !blocks => Err((Refusal::NotABlock, domain)),
                domain => Ok(Entry::new(domain, EntryKind::Host)),
            });
        }
        LineKind::Entry
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, tests::events};

    #[test]
    fn lines() {
        let text = "# x\naddress=/a.example/0.0.0.0\naddress=/b.example/c.example/\nserver=/d.example/\n\
                    local=/.e.example/\naddress=/f.example/::\naddress=/g.example/#\n\
                    server=/h.example/192.0.2.1\naddress=/i.example/192.0.2.1\naddress=/#/0.0.0.0\ndomain-needed\n";
        assert_eq!(
            events(text, Format::Dnsmasq),
            [
                "2 a.example",
                "3 b.example",
                "3 c.example",
                "4 d.example",
                "5 e.example",
                "6 f.example",
                "7 g.example",
                "8 -not-a-block",
                "9 -not-a-block",
                "10 -wildcard",
                "11 -directive",
            ]
        );
    }
}
