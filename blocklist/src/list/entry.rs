//! What a list says on a line.

use super::adblock::RuleText;
use crate::key::{EntryKind, Remarks};
use filter_core::sub_url::parts::{split_scheme, split_special_scheme};

/// An entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'l> {
    /// The URL or host, without the syntax of the format around it.
    pub text: &'l str,
    /// Whether the format allows URLs here or only hosts.
    pub kind: EntryKind,
    /// What the format says about it, such as [`Remark::PathPrefix`](crate::key::Remark::PathPrefix).
    pub remarks: Remarks,
    /// What it asks for.
    pub action: Action,
    /// Which requests it names.
    pub scope: Scope,
    /// The options of an Adblock rule.
    pub options: RuleOptions,
    /// Its text, if it is a rule of Adblock syntax, which `$badfilter` can take back.
    pub(crate) rule: Option<RuleText>,
}

impl<'l> Entry<'l> {
    /// An entry to block, with the usual scope of its text.
    pub(crate) fn new(text: &'l str, kind: EntryKind) -> Self {
        Self {
            text,
            kind,
            remarks: Remarks::default(),
            action: Action::Block,
            scope: Scope::of(text),
            options: RuleOptions::NONE,
            rule: None,
        }
    }

    pub(super) fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The same entry, for some requests or some clients only, so that it takes nothing back and is named with what it weakens.
    pub(super) fn for_some(mut self) -> Self {
        self.rule = Some(RuleText::of_host(self.text).with_option("view", true));
        self
    }

    pub(super) fn with_action(mut self, action: Action) -> Self {
        self.action = action;
        self
    }
}

/// What an entry asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Block the requests that it names.
    #[default]
    Block,
    /// Do not block them, whatever other entries of any list say: `@@` of Adblock syntax, `rpz-passthru`.
    Allow,
    /// Ignore the rule of the same text and options, which another list may have: `$badfilter`. The case of letters and the
    /// order of options do not matter.
    Retract,
    /// Ignore the exception of the same text and options, which another list may have: `@@…$badfilter`.
    RetractException,
}

/// Which requests an entry names, by the meaning of its format. A key may cover more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// The host with everything below it, and all paths that begin with the given one: `||example.com^`, a domain of a
    /// list of domains.
    Site,
    /// The host alone, with all its paths: a line of a hosts file, an owner of a response policy zone, `|https://x/`.
    Host,
    /// Everything below the host, but not the host itself: `*.example.com` of a zone.
    Subdomains,
    /// One page of one host: a URL of a feed.
    Page,
}

impl Scope {
    /// The scope of an entry of a list of URLs and domains: a page if it has a scheme, or something behind its host, else a
    /// site.
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        if bytes.starts_with(b"*.") || names_hosts_below(text) {
            return Self::Subdomains;
        }
        // A star at the end stands for whatever follows.
        if bytes.ends_with(b"*") && text.contains('/') && !text.contains(['?', '#']) {
            return Self::Host;
        }
        let has_scheme = || {
            memchr::memchr(b':', bytes).is_some()
                && (split_special_scheme(text).is_some() || split_scheme(text).is_some())
        };
        let is_page = memchr::memchr3(b'/', b'?', b'#', bytes).is_some()
            || memchr::memchr(b'\\', bytes).is_some();
        match is_page || has_scheme() {
            true => Self::Page,
            false => Self::Site,
        }
    }
}

/// Whether a text is a URL whose host begins with a star, as browser policies write them.
fn names_hosts_below(text: &str) -> bool {
    memchr::memchr(b'*', text.as_bytes()).is_some()
        && split_special_scheme(text)
            .is_some_and(|(_, rest)| rest.trim_start_matches(['/', '\\']).starts_with("*."))
}

/// The options of an Adblock rule that do not restrict what it blocks, and whether it had others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleOptions(u8);

impl RuleOptions {
    /// The rule has none of these options.
    pub const NONE: Self = Self(0);
    /// `$important`: exceptions do not take the rule back, unless they have the option, too.
    pub const IMPORTANT: Self = Self(1);
    /// `$all`.
    pub const ALL: Self = Self(2);
    /// `$document`, `$doc`.
    pub const DOCUMENT: Self = Self(4);
    /// Options that restrict the rule and were dropped, whichever they are
    /// ([`is_widening_rules`](super::ReadOptions::is_widening_rules)).
    pub const DROPPED: Self = Self(8);

    /// These options and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all options of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_page_with_or_without_a_scheme() {
        for text in [
            "https://a.example",
            "https:a.example",
            "a.example/x",
            "a.example/",
            "a.example?x",
            "a.example#x",
            "a.example\\x",
            "//a.example/x",
            "a.example:8080/x",
            "[2001:db8::1]/x",
        ] {
            assert_eq!(Scope::of(text), Scope::Page, "{text}");
        }
        for text in ["a.example/*", "https://a.example/*", "https://a.example/x*"] {
            assert_eq!(Scope::of(text), Scope::Host, "{text}");
        }
        for text in ["a.example", "a.example.", ".a.example", "a.example:8080", "2001:db8::1"] {
            assert_eq!(Scope::of(text), Scope::Site, "{text}");
        }
        for text in [
            "*.a.example",
            "*.a.example/x",
            "https://*.a.example/",
            "HTTP:\\\\*.a.example/x",
            "https://*.a.example/*",
        ] {
            assert_eq!(Scope::of(text), Scope::Subdomains, "{text}");
        }
    }
}
