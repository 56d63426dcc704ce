//! dnsmasq configuration: lines that give a domain no address, or an address that leads nowhere, and lines that have a
//! domain looked up as usual.

use super::domain_hash::{DomainHash, DomainHasher};
use super::sinks::Sinks;
use super::{Action, Emit, EmitFrom, Entry, LineFormat, LineKind, ReadOptions, Scope};
use crate::key::{EntryKind, Refusal};
use std::collections::HashSet;

pub(super) struct Dnsmasq {
    sinks: Sinks,
    /// The number of the line that is read.
    line: u64,
    /// The domains that have an address that leads nowhere.
    sunk: HashSet<DomainHash>,
    hasher: DomainHasher,
    /// The domains that the usual servers are asked for, with their lines. What has an address is known at the end of the list.
    looked_up: Vec<(u64, String)>,
}

/// What an option says of its domains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// They have an address that leads nowhere, which prevails over what other options say of the same domains.
    Sink,
    /// There is no such domain.
    NoDomain,
    /// The usual servers are asked, in spite of lines for the domains above.
    LookedUp,
    /// Another server is asked.
    AnotherServer,
    /// They have another address.
    AnotherAddress,
}

impl Dnsmasq {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self {
            sinks: Sinks::new(&options.sinks),
            line: 0,
            sunk: HashSet::new(),
            hasher: DomainHasher::new(),
            looked_up: Vec::new(),
        }
    }

    fn said(&self, option: &str, target: &str) -> Said {
        let is_sink = |addresses: &str| {
            addresses.split(',').all(|address| self.sinks.has_address(address.trim()))
        };
        match (option, target) {
            (_, "") => Said::NoDomain,
            ("address", "#") => Said::Sink,
            ("address", addresses) if is_sink(addresses) => Said::Sink,
            ("address", _) => Said::AnotherAddress,
            (_, "#") => Said::LookedUp,
            _ => Said::AnotherServer,
        }
    }

    /// Takes what is said of a domain. Exceptions are told at the end.
    fn domain(&mut self, domain: &str, said: Said, emit: &mut EmitFrom<'_>) {
        let refusal = match (domain, said) {
            ("" | "#", Said::Sink | Said::NoDomain) => Some(Refusal::Wildcard),
            ("" | "#", _) | (_, Said::AnotherAddress) => Some(Refusal::NotABlock),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return emit(0, Err((refusal, domain)));
        }
        match said {
            Said::Sink | Said::NoDomain => {
                if said == Said::Sink {
                    self.sunk.insert(self.hasher.hash(domain));
                }
                emit(0, Ok(entry(domain, Scope::Site)));
            }
            Said::LookedUp => self.looked_up.push((self.line, domain.to_owned())),
            // The server may not know the domain either.
            _ => emit(0, Ok(exception(domain).for_some())),
        }
    }
}

impl LineFormat for Dnsmasq {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        self.line_from(line, &mut |_, outcome| emit(outcome))
    }

    fn line_from(&mut self, line: &str, emit: &mut EmitFrom<'_>) -> LineKind {
        self.line += 1;
        let content = without_comment(line).trim();
        if content.is_empty() {
            return if line.trim().is_empty() { LineKind::Blank } else { LineKind::Comment };
        }
        let Some((option, domains, target)) = domains_of(content) else {
            emit(0, Err((Refusal::Directive, content)));
            return LineKind::Entry;
        };
        let said = self.said(option, target);
        for domain in domains.split('/') {
            let domain = domain.trim();
            self.domain(domain.strip_prefix('.').unwrap_or(domain), said, emit);
        }
        LineKind::Entry
    }

    fn skipped(&mut self) {
        self.line += 1;
    }

    fn end_from(&mut self, emit: &mut EmitFrom<'_>) {
        for (line, domain) in std::mem::take(&mut self.looked_up) {
            let exception = exception(&domain);
            let outcome = match self.sunk.contains(&self.hasher.hash(&domain)) {
                true => exception.for_some(),
                false => exception,
            };
            emit(self.line - line, Ok(outcome));
        }
    }
}

/// An entry for a domain, or for the domains below it if it begins with a star.
fn entry(domain: &str, scope: Scope) -> Entry<'_> {
    let scope = if domain.starts_with("*.") { Scope::Subdomains } else { scope };
    Entry::new(domain, EntryKind::Host).with_scope(scope)
}

/// Lines for the domains below prevail, so that they stay blocked where they are.
fn exception(domain: &str) -> Entry<'_> {
    entry(domain, Scope::Host).with_action(Action::Allow)
}

/// A `#` begins a comment at the beginning of the line and behind white space.
fn without_comment(line: &str) -> &str {
    let comment = memchr::memchr_iter(b'#', line.as_bytes())
        .find(|&at| at == 0 || line.as_bytes()[at - 1].is_ascii_whitespace());
    &line[..comment.unwrap_or(line.len())]
}

/// The option, the domains and what is behind the last slash of `address=/a/b/target` and options like it.
fn domains_of(content: &str) -> Option<(&str, &str, &str)> {
    let (option, value) = content.split_once('=')?;
    let option = option.strip_prefix("--").unwrap_or(option).trim();
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let (domains, target) = value.strip_prefix('/')?.rsplit_once('/')?;
    matches!(option, "address" | "server" | "local").then_some((option, domains, target.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{details, events};
    use super::super::{Format, ReadOptions};

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
                "8 h.example",
                "9 -not-a-block",
                "10 -wildcard",
                "11 -directive",
            ]
        );
    }

    #[test]
    fn comments_may_follow_any_white_space() {
        let text = "address=/a.example/0.0.0.0\t# why\naddress=/b.example/# # null\n\t# only\n \n\
                    address=/c.example/#\t#\n";
        assert_eq!(events(text, Format::Dnsmasq), ["1 a.example", "2 b.example", "5 c.example"]);
    }

    #[test]
    fn options_that_do_not_block_are_refused() {
        let text = "server=/a.example/192.0.2.1#53\naddress=/b.example/0.0.0.0,192.0.2.1\nipset=/c.example/set\n\
                    nftset=/d.example/4#inet#t#s\nserver=192.0.2.1\naddress=/e.example\nlocal=/f.example/192.0.2.1\n";
        assert_eq!(
            events(text, Format::Dnsmasq),
            [
                "1 a.example",
                "2 -not-a-block",
                "3 -directive",
                "4 -directive",
                "5 -directive",
                "6 -directive",
                "7 f.example",
            ]
        );
    }

    #[test]
    fn domains_of_the_usual_servers_are_exceptions() {
        let text = "server=/a.example/b.example/#\nlocal=/.c.example/# # why\n--server=/d.example/ #\n\
                    server=/#/#\nserver=//192.0.2.1\nserver=/e.example/192.0.2.1\nserver=/f.example/127.0.0.1#53\n\
                    address=/g.example/#\nlocal=/h.example/\naddress=/i.example/j.example/\n\
                    server=/*.k.example/#\n";
        assert_eq!(
            details(text, &Format::Dnsmasq.into()),
            [
                "3 block site d.example",
                "4 -not-a-block",
                "5 -not-a-block",
                "6 allow host e.example",
                "7 allow host f.example",
                "8 block site g.example",
                "9 block site h.example",
                "10 block site i.example",
                "10 block site j.example",
                "1 allow host a.example",
                "1 allow host b.example",
                "2 allow host c.example",
                "11 allow subdomains *.k.example",
            ]
        );
    }

    #[test]
    fn domains_cover_their_subdomains_and_sinks_can_be_named() {
        let options = ReadOptions::from(Format::Dnsmasq).with_sinks(vec!["192.0.2.1".to_owned()]);
        let text = "--address=/a.example/b.example/0.0.0.0,::\naddress=\"/c.example/192.0.2.1\"\n\
                    address = /*.d.example/\n";
        assert_eq!(
            details(text, &options),
            [
                "1 block site a.example",
                "1 block site b.example",
                "2 block site c.example",
                "3 block subdomains *.d.example",
            ]
        );
    }
}
