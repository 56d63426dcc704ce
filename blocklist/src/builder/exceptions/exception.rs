//! One exception, and what it takes back.

use super::{Speaker, beginning};
use crate::builder::manner::Manner;
use crate::builder::uses::Origin;
use crate::key::Remark;
use crate::list::{Entry, RuleOptions, RuleText, Scope};
use filter_core::sub_url::parts::split_special_scheme;
use std::hash::Hash;

/// An entry that must not be blocked.
#[derive(Clone, Debug)]
pub(in crate::builder) struct Exception {
    pub(super) origin: Origin,
    /// The first characters of what it names.
    pub(super) text: String,
    speaker: Speaker,
    manner: Manner,
    rule: Option<RuleText>,
    options: RuleOptions,
    /// Whether it names every longer path, and not only what lies below.
    is_open: bool,
    /// Whether it is for some requests only, so that it takes nothing back.
    is_partial: bool,
    /// The ports of its requests if its text names none, each as a key has it.
    default_ports: &'static [&'static str],
}

/// Where a key lies, seen from the key of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation<'k> {
    /// It is the same, but for the case of letters.
    Same,
    /// It is the same at one port, where the exception names none.
    AtPort(&'k str),
    /// On the same host, with a longer path.
    PageBelow,
    /// On a host below, with any path below that of the exception.
    HostBelow,
}

/// The host, or the page, that an entry names.
const ITSELF: u8 = 1;
/// What lies below.
const BELOW: u8 = 2;

/// An entry that asked for a key, and which parts of what it names are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    manner: Manner,
    rule: Option<RuleText>,
    left: u8,
}

impl Use {
    pub(super) fn new(manner: Manner, rule: Option<RuleText>) -> Self {
        let left = match manner.scope() {
            Scope::Site => ITSELF | BELOW,
            Scope::Subdomains => BELOW,
            Scope::Host | Scope::Page => ITSELF,
        };
        Self { manner, rule, left }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.left == 0
    }

    pub(super) fn retract(&mut self) {
        self.left = 0;
    }

    /// What the rule has in common with its `$badfilter`, if it is a rule. An entry of a list of domains counts as one.
    pub(super) fn identity(&self, key: &str) -> Option<(u64, u32)> {
        let plain = || (self.manner == Manner::PLAIN).then(|| RuleText::of_host(key));
        self.rule.or_else(plain).map(RuleText::identity)
    }
}

impl Exception {
    /// An exception for the requests that an entry names; `text` is reported.
    pub(in crate::builder) fn new(
        entry: &Entry<'_>,
        manner: Manner,
        origin: Origin,
        speaker: Speaker,
        text: &str,
    ) -> Self {
        let is_open = entry.remarks.contains(Remark::PathPrefix);
        let Entry { rule, options, .. } = *entry;
        let default_ports = default_ports(entry.text);
        let text = beginning(text);
        let is_partial = false;
        Self { origin, text, speaker, manner, rule, options, is_open, is_partial, default_ports }
    }

    /// The same exception, for some of these requests only. It takes nothing back.
    pub(in crate::builder) fn partial(mut self) -> Self {
        self.is_partial = true;
        self
    }

    /// What two exceptions for the same key have in common, if one of them is enough. Texts that differ, as in the case of
    /// letters, say the same unless only the report has them.
    pub(super) fn said(&self) -> impl Eq + Hash {
        let text = self.is_partial.then_some(self.text.as_str());
        (self.speaker, self.manner, self.rule, self.options, self.is_open, self.default_ports, text)
    }

    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// What it has in common with the line that revokes it. Nothing revokes what an allow list has.
    pub(super) fn identity(&self) -> Option<(u64, u32)> {
        self.rule.filter(|_| self.speaker == Speaker::BlockList).map(RuleText::identity)
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open && self.manner.scope() != Scope::Page
    }

    /// Whether it names what lies below a path alone, and not the path itself.
    pub(super) fn has_slash(&self) -> bool {
        self.manner.has_slash() && self.speaker == Speaker::BlockList
    }

    /// Whether it names one page, and nothing below it.
    pub(super) fn is_one_page(&self) -> bool {
        self.manner.scope() == Scope::Page
    }

    /// What it names of the paths that begin with its own.
    pub(super) fn ending(&self) -> Ending {
        Ending { has_slash: self.has_slash(), is_open: self.is_open() }
    }

    /// The ports of its requests if its text names none, each as a key has it; nothing if it is for more than one page, so that
    /// it names every port.
    pub(super) fn ports_of_page(&self) -> &'static [&'static str] {
        if self.is_one_page() { self.default_ports } else { &[] }
    }

    /// Whether it is about more than its own key, with a port or without.
    pub(super) fn is_wide(&self) -> bool {
        self.names(Relation::PageBelow) || self.names(Relation::HostBelow)
    }

    /// Whether it names requests that a key of this relation blocks.
    pub(super) fn names(&self, relation: Relation<'_>) -> bool {
        match relation {
            Relation::Same => true,
            Relation::AtPort(port) => !self.is_one_page() || self.default_ports.contains(&port),
            Relation::PageBelow => matches!(self.manner.scope(), Scope::Site | Scope::Host),
            Relation::HostBelow => {
                matches!(self.manner.scope(), Scope::Site | Scope::Subdomains)
                    && !self.manner.is_www()
            }
        }
    }

    /// Whether names of the same list that lie below prevail: a wildcard of a zone (RFC 4592) or of the configuration of a resolver.
    pub(super) fn yields_below(&self) -> bool {
        self.rule.is_none()
            && self.speaker == Speaker::BlockList
            && self.manner.scope() == Scope::Subdomains
    }

    /// Takes from an entry what it names as well.
    pub(super) fn take(&self, of: &mut Use, relation: Relation<'_>) {
        let is_important = self.options.contains(RuleOptions::IMPORTANT);
        let is_meant = !self.is_partial
            && (is_important || !of.manner.is_important())
            && (!self.manner.is_www() || of.manner.is_www())
            && self.is_for_the_requests_of(of);
        if is_meant {
            of.left &= !self.parts_of(of, relation);
        }
    }

    /// Whether all requests that a rule is for are among those that the exception is for, as far as options and schemes tell.
    fn is_for_the_requests_of(&self, of: &Use) -> bool {
        let Some(rule) = self.rule else { return true };
        let of_rule = of.rule.as_ref();
        let is_scheme_meant = match (rule.scheme, of_rule) {
            (None, _) => true,
            (scheme, Some(of)) => scheme == of.scheme,
            // A URL of a list: its key tells no scheme.
            (Some(_), None) => {
                self.speaker == Speaker::AllowList || of.manner.scope() == Scope::Page
            }
        };
        (rule.dropped == 0 || of_rule.is_some_and(|of| of.dropped == rule.dropped))
            && is_scheme_meant
    }

    /// Which parts of an entry it names.
    fn parts_of(&self, of: &Use, relation: Relation<'_>) -> u8 {
        let all = ITSELF | BELOW;
        let (scope, of_scope) = (self.manner.scope(), of.manner.scope());
        let has_scheme = self.rule.is_some_and(|rule| rule.scheme.is_some());
        // `|https://host/` names one host.
        let is_narrow = has_scheme
            && self.speaker == Speaker::BlockList
            && !matches!(of_scope, Scope::Host | Scope::Page);
        match relation {
            Relation::Same | Relation::AtPort(_) => {
                let is_same_pattern = self.rule.zip(of.rule);
                if is_same_pattern.is_some_and(|(one, other)| one.pattern == other.pattern) {
                    return all;
                }
                if self.has_slash() && !of.manner.has_slash() {
                    return 0;
                }
                match scope {
                    Scope::Site => all,
                    Scope::Subdomains => BELOW,
                    // Another list says of the host that it is not blocked, and the resolver that reads it asks for names below.
                    Scope::Host if of_scope == Scope::Subdomains || is_narrow => ITSELF,
                    Scope::Host => all,
                    Scope::Page if of_scope == Scope::Page => all,
                    // It takes back its own key, whoever asked for it.
                    Scope::Page
                        if relation == Relation::Same && self.speaker == Speaker::AllowList =>
                    {
                        all
                    }
                    Scope::Page => 0,
                }
            }
            Relation::PageBelow if is_narrow => 0,
            Relation::PageBelow | Relation::HostBelow => all,
        }
    }
}

/// What an exception names of the paths that begin with its own.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    /// Whether it ends with a slash, and names no query of the page without it.
    has_slash: bool,
    /// Whether it may end inside of a segment.
    is_open: bool,
}

impl Ending {
    /// All that there are; each is at its [`index`](Self::index).
    pub(super) const ALL: [Self; 4] = [
        Self { has_slash: false, is_open: false },
        Self { has_slash: true, is_open: false },
        Self { has_slash: false, is_open: true },
        Self { has_slash: true, is_open: true },
    ];

    pub(super) fn index(self) -> usize {
        usize::from(self.has_slash) | usize::from(self.is_open) << 1
    }

    /// Whether paths are named in which `behind` follows the path of the exception.
    pub(super) fn reaches(self, behind: &str) -> bool {
        match behind.as_bytes().first() {
            None | Some(b'/') => true,
            Some(b'?' | b'#') => !self.has_slash,
            Some(_) => self.is_open,
        }
    }
}

/// The ports of the requests that a text names without saying so, each as a key has it: that of its scheme, or those of http and
/// https. What browsers request has no default port (URL Standard), and devices ask for it all the same.
fn default_ports(text: &str) -> &'static [&'static str] {
    match split_special_scheme(text) {
        Some(("https" | "wss", _)) => &[":443"],
        Some(("http" | "ws", _)) => &[":80"],
        Some(("ftp", _)) => &[":21"],
        _ => &[":80", ":443"],
    }
}
