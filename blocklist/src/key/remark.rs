//! What is said of an entry: why it was rewritten, or why it was left out.

use serde::{Serialize, Serializer};

/// Declares an enum whose variants have a name for files and a sentence for people.
macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal, $why:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant),* }

        impl $name {
            /// Every reason, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $why),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}

reasons! {
    /// Something that was done to an entry, or that its owner should know about it.
    Remark {
        /// Upper-case letters became lower case.
        LowerCased = "lower-cased", "devices compare in lower case";
        /// A host in Unicode became punycode.
        Punycoded = "punycoded", "devices write international hosts in punycode";
        /// The host was written in another way than devices write it.
        HostNormalised = "host-normalised", "trailing dot, escapes, or another notation of an IP address";
        /// Path, query or fragment were written in another way.
        PathNormalised = "path-normalised", "escapes, dot segments, backslashes or empty parts, as browsers resolve them";
        /// Slashes behind the path are gone.
        TrailingSlashRemoved = "trailing-slash-removed", "devices ask for the path with and without its slash";
        /// A data set of keywords had another value than `1`.
        ValueReplaced = "value-replaced", "the value in the data set of a URL filter is always 1";
        /// An Adblock option that does not change what is blocked.
        OptionDropped = "option-dropped", "the option does not change what is blocked";
        /// A leading `www.` is gone.
        WwwRemoved = "www-removed", "devices never ask for www., so the key covers the whole host";
        /// User name or password are gone.
        UserInfoRemoved = "user-info-removed", "devices drop user names and passwords";
        /// A scheme other than http and https is gone.
        SchemeWidened = "scheme-widened", "keys have no scheme, so the key covers http and https as well";
        /// `*.` or `.` in front of a host.
        SubdomainWildcard = "subdomain-wildcard", "a host covers its subdomains, and itself as well";
        /// The port is gone.
        PortRemoved = "port-removed", "devices on 26.0 never ask for ports, so the key covers all of them";
        /// The parsing configuration drops a part of the entry.
        ComponentDropped = "component-dropped", "the parsing configuration leaves a part of the URL out";
        /// An Adblock rule for documents only.
        DocumentOption = "document-option", "the rule covers documents only, the key covers every request";
        /// The scheme's default port is part of the key.
        DefaultPortKept = "default-port-kept", "the key matches only requests to this port, hence one scheme";
        /// The key has a fragment.
        FragmentKept = "fragment-kept", "the key matches only requests that carry the fragment";
        /// An Adblock path without an end.
        PathPrefix = "path-prefix", "the rule matches any longer path, the key only whole segments";
        /// The key is a public suffix.
        PublicSuffix = "public-suffix", "the key blocks every site under this registry suffix";
    }
}

/// What a remark means for the requests that are blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The same requests as the entry names, in the device's words.
    Changed,
    /// More requests than the entry names.
    Widened,
    /// Perhaps fewer requests than the owner thinks, or far more.
    Noted,
}

impl Remark {
    /// What the remark means.
    #[must_use]
    pub const fn effect(self) -> Effect {
        match self {
            Self::LowerCased
            | Self::Punycoded
            | Self::HostNormalised
            | Self::PathNormalised
            | Self::TrailingSlashRemoved
            | Self::ValueReplaced
            | Self::OptionDropped => Effect::Changed,
            Self::WwwRemoved
            | Self::UserInfoRemoved
            | Self::SchemeWidened
            | Self::SubdomainWildcard
            | Self::PortRemoved
            | Self::ComponentDropped
            | Self::DocumentOption => Effect::Widened,
            Self::DefaultPortKept | Self::FragmentKept | Self::PathPrefix | Self::PublicSuffix => {
                Effect::Noted
            }
        }
    }
}

/// A set of remarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remarks(u32);

impl Remarks {
    /// Adds one.
    pub fn add(&mut self, remark: Remark) {
        self.0 |= 1 << remark as u32;
    }

    /// Takes one out.
    pub fn remove(&mut self, remark: Remark) {
        self.0 &= !(1 << remark as u32);
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether the set has one.
    #[must_use]
    pub fn contains(self, remark: Remark) -> bool {
        self.0 >> remark as u32 & 1 == 1
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The remarks, in the order of [`Remark::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Remark> {
        Remark::ALL.iter().copied().filter(move |&remark| self.contains(remark))
    }
}

reasons! {
    /// Why an entry is not in the data set.
    #[derive(thiserror::Error)]
    Refusal {
        /// Bytes that are not UTF-8.
        NotUtf8 = "not-utf8", "the line is not UTF-8";
        /// A line or URL beyond the limit.
        TooLong = "too-long", "the entry is longer than 65536 bytes";
        /// Neither a URL nor a host.
        NotAUrl = "not-a-url", "browsers could not parse this as a URL";
        /// Not a host name.
        NotAHost = "not-a-host", "this is no host name or address";
        /// A URL without a host.
        NoHost = "no-host", "the URL names no host";
        /// A scheme that devices do not filter.
        Scheme = "unsupported-scheme", "only http, https, ftp, ws and wss URLs can become keys";
        /// One label: a bare top-level domain or a local name.
        SingleLabel = "single-label", "devices walk up to two labels, so a top-level domain or local name cannot be blocked";
        /// A name that hosts files define for the machine itself.
        LocalName = "local-name", "this entry sets up the machine itself and blocks nothing";
        /// A `*` that a key cannot express.
        Wildcard = "wildcard", "the data set knows no wildcards";
        /// A regular expression.
        RegularExpression = "regular-expression", "the data set knows no regular expressions";
        /// An element-hiding or scriptlet rule.
        ElementHiding = "element-hiding", "the rule hides or changes page content, it blocks no request";
        /// An exception.
        Exception = "exception", "the data set cannot express exceptions";
        /// An option that restricts the rule.
        RuleOption = "rule-option", "the option restricts the rule, the key could not";
        /// A rule that is not bound to a host.
        Pattern = "pattern", "the rule matches text anywhere in the URL";
        /// A directive of the list format.
        Directive = "directive", "the directive is for another program";
        /// An entry that resolves or forwards a name instead of blocking it.
        NotABlock = "not-a-block", "the entry resolves or forwards the name, it does not block it";
        /// A row without the named column.
        MissingColumn = "missing-column", "the row has no value in the named column";
        /// The regular expression of the rule does not match.
        NoMatch = "no-match", "the parsing expression gives no key for this URL";
        /// The rule is one that this version cannot make keys for.
        UnknownRule = "unknown-rule", "this version cannot make keys for the sub-URL rule";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_fit_their_set_and_names_are_distinct() {
        assert!(Remark::ALL.len() <= 32);
        let mut names: Vec<_> = Remark::ALL
            .iter()
            .map(|r| r.name())
            .chain(Refusal::ALL.iter().map(|r| r.name()))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
