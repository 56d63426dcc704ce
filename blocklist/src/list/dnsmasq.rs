//! dnsmasq configuration: lines that give a domain no address, or an address that leads nowhere, and lines that have a
//! domain looked up as usual.

use super::sinks::Sinks;
use super::{Action, Emit, Entry, LineFormat, LineKind, ReadOptions, Scope};
use crate::key::{EntryKind, Refusal};

pub(super) struct Dnsmasq {
    sinks: Sinks,
}

impl Dnsmasq {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self { sinks: Sinks::new(&options.sinks) }
    }

    /// What an option says of its domains; nothing if it sends them or their queries somewhere.
    fn action(&self, option: &str, target: &str) -> Option<Action> {
        match (option, target) {
            (_, "") | ("address", "#") => Some(Action::Block),
            ("address", addresses) => addresses
                .split(',')
                .all(|address| self.sinks.has_address(address.trim()))
                .then_some(Action::Block),
            // The usual servers, in spite of lines for the domains above.
            (_, "#") => Some(Action::Allow),
            _ => None,
        }
    }
}

impl LineFormat for Dnsmasq {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let content = without_comment(line).trim();
        if content.is_empty() {
            return if line.trim().is_empty() { LineKind::Blank } else { LineKind::Comment };
        }
        let Some((option, domains, target)) = domains_of(content) else {
            emit(Err((Refusal::Directive, content)));
            return LineKind::Entry;
        };
        let action = self.action(option, target);
        for domain in domains.split('/') {
            let domain = domain.trim();
            let domain = domain.strip_prefix('.').unwrap_or(domain);
            let is_wildcard = domain.starts_with("*.");
            let entry = |scope| {
                let scope = if is_wildcard { Scope::Subdomains } else { scope };
                Ok(Entry::new(domain, EntryKind::Host).with_scope(scope))
            };
            emit(match (domain, action) {
                ("" | "#", Some(Action::Block)) => Err((Refusal::Wildcard, domain)),
                ("" | "#", _) | (_, None) => Err((Refusal::NotABlock, domain)),
                (_, Some(Action::Block)) => entry(Scope::Site),
                // Lines for the domains below prevail, so that they stay blocked where they are.
                (_, Some(action)) => {
                    entry(Scope::Host).map(|entry: Entry<'_>| entry.with_action(action))
                }
            });
        }
        LineKind::Entry
    }
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
                "8 -not-a-block",
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
                "1 -not-a-block",
                "2 -not-a-block",
                "3 -directive",
                "4 -directive",
                "5 -directive",
                "6 -directive",
                "7 -not-a-block",
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
                "1 allow host a.example",
                "1 allow host b.example",
                "2 allow host c.example",
                "3 block site d.example",
                "4 -not-a-block",
                "5 -not-a-block",
                "6 -not-a-block",
                "7 -not-a-block",
                "8 block site g.example",
                "9 block site h.example",
                "10 block site i.example",
                "10 block site j.example",
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
