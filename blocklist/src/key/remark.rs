//! What a report says about an entry that has a key.

use super::reason::reasons;
use serde::Serialize;

reasons! {
    /// How an entry was rewritten, or what its owner should know about its key.
    Remark {
        /// Upper-case letters became lower case.
        LowerCased = "lower-cased", "devices compare in lower case";
        /// The host was written in Unicode and became punycode (RFC 3492).
        Punycoded = "punycoded", "devices write international hosts in punycode";
        /// The host was written in another way than devices write it: a trailing dot, escapes, another notation of
        /// an IP address.
        HostNormalised = "host-normalised", "trailing dot, escapes, or another notation of an IP address";
        /// Path, query or fragment were written in another way than devices write them.
        PathNormalised = "path-normalised", "escapes, dot segments, backslashes or empty parts, as browsers resolve them";
        /// Slashes at the end of the path were removed.
        TrailingSlashRemoved = "trailing-slash-removed", "devices ask for the path with and without its slash";
        /// The entry is a row of a keyword database whose value is not `1`.
        ValueReplaced = "value-replaced", "the value in the data set of a URL filter is always 1";
        /// The Adblock rule had an option that does not change what is blocked.
        OptionDropped = "option-dropped", "the option does not change what is blocked";
        /// A leading `www.` was removed.
        WwwRemoved = "www-removed", "devices leave www. out, or ask for the host without it as well, so the key covers the whole host";
        /// User name and password were removed.
        UserInfoRemoved = "user-info-removed", "devices drop user names and passwords";
        /// A scheme other than http and https was removed.
        SchemeWidened = "scheme-widened", "keys have no scheme, so the key covers http and https as well";
        /// A `*.` or `.` before the host was removed.
        SubdomainWildcard = "subdomain-wildcard", "a host covers its subdomains, and itself as well";
        /// The port was removed.
        PortRemoved = "port-removed", "devices on 26.0 never ask for ports, so the key covers all of them";
        /// The parsing configuration leaves a part of the entry out.
        ComponentDropped = "component-dropped", "the parsing configuration leaves a part of the URL out";
        /// The Adblock rule is for documents only.
        DocumentOption = "document-option", "the rule covers documents only, the key covers every request";
        /// The key contains the default port of http or https.
        DefaultPortKept = "default-port-kept", "the key matches only requests to this port, hence one scheme";
        /// The key contains a fragment.
        FragmentKept = "fragment-kept", "the key matches only requests that carry the fragment";
        /// The Adblock rule has a path without an end.
        PathPrefix = "path-prefix", "the rule matches any longer path, the key only whole segments";
        /// A star at the end was removed, which stands for whatever follows.
        EndStarRemoved = "end-star-removed", "the star at the end means whatever follows, the key covers whole segments";
        /// The key contains a star.
        StarKept = "star-kept", "devices take the star for a character, so the key matches only URLs that have it";
        /// The key is a public suffix, such as `co.uk`.
        AllowedSuffix = "allowed-suffix", "the key blocks every site under this registry suffix, as an option allows";
        /// The entry names a host alone, and the key blocks the hosts below it as well.
        CoversSubdomains = "covers-subdomains", "the entry names one host, the key blocks the hosts below it as well";
        /// The entry names one page, and the key blocks every longer path and query as well.
        CoversPaths = "covers-paths", "the entry names one page, the key blocks every page below it as well";
        /// The entry names the root page of a host, and the key blocks all pages of the host.
        CoversWholeHost = "covers-whole-host", "the entry names the first page of a host, the key blocks all of them";
        /// The entry names what lies below a host, or a URL has a dot at the end of its host, which is another host for
        /// browsers. The key blocks the host itself as well.
        CoversAnotherHost = "covers-another-host", "the entry names the hosts below, or the host with a dot at its end; the key blocks the host itself as well";
        /// The chosen systems spell the URL in different ways, and each spelling has a key.
        SecondSpelling = "second-spelling", "the chosen systems spell this URL in different ways, so it has a key for each";
        /// The spelling of a system is that of another page.
        CoversAnotherPage = "covers-another-page", "a system decodes escapes of this path or leaves out its empty segments, which is the spelling of another page";
        /// The key has no effect on 26.
        NotOn26 = "not-on-26", "devices on 26 never ask for this key";
        /// The key has no effect on 27.
        NotOn27 = "not-on-27", "devices on 27 never ask for this key";
        /// On 26 a key with a port matches only the URL as written.
        ExactOn26 = "exact-on-26", "devices on 26 ask for a port only in the whole URL, so pages below are not covered there";
        /// The entry names the hosts below a host with a path, and 26 asks for them without one.
        HostOnlyOn26 = "host-only-on-26", "devices on 26 ask for a path at the host itself, so hosts below it are not covered there";
        /// The entry names the hosts below a host, and 27 without a configuration does not ask for parents.
        HostOnlyUnconfigured = "host-only-on-27-unconfigured", "27 without a parsing configuration asks for the host itself, so hosts below it are not covered there";
        /// The rule had an option that restricts it, and the option was dropped as the caller asked.
        RuleOptionDropped = "rule-option-dropped", "the rule is for some requests only, the key covers every request";
    }
}

/// What a remark means for the blocked requests. Reports list remarks by effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Effect {
    /// The key blocks the same requests as the entry; only the spelling changed.
    Changed,
    /// The key blocks more requests than the entry names.
    Widened,
    /// The key does what the entry says, which may be less or far more than its owner meant.
    Noted,
}

impl Remark {
    /// What the remark means for the blocked requests.
    #[must_use]
    pub const fn effect(self) -> Effect {
        match self {
            Self::LowerCased
            | Self::Punycoded
            | Self::HostNormalised
            | Self::PathNormalised
            | Self::TrailingSlashRemoved
            | Self::ValueReplaced
            | Self::OptionDropped
            | Self::SecondSpelling => Effect::Changed,
            Self::WwwRemoved
            | Self::UserInfoRemoved
            | Self::SchemeWidened
            | Self::SubdomainWildcard
            | Self::PortRemoved
            | Self::ComponentDropped
            | Self::DocumentOption
            | Self::RuleOptionDropped
            | Self::CoversSubdomains
            | Self::CoversPaths
            | Self::CoversWholeHost
            | Self::CoversAnotherHost
            | Self::CoversAnotherPage => Effect::Widened,
            Self::DefaultPortKept
            | Self::FragmentKept
            | Self::PathPrefix
            | Self::EndStarRemoved
            | Self::StarKept
            | Self::AllowedSuffix
            | Self::NotOn26
            | Self::NotOn27
            | Self::ExactOn26
            | Self::HostOnlyOn26
            | Self::HostOnlyUnconfigured => Effect::Noted,
        }
    }
}

/// A set of remarks, one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remarks(u32);

impl Remarks {
    /// Adds a remark.
    pub fn add(&mut self, remark: Remark) {
        self.0 |= 1 << remark as u32;
    }

    /// Removes a remark.
    pub fn remove(&mut self, remark: Remark) {
        self.0 &= !(1 << remark as u32);
    }

    /// Adds all remarks of another set.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether the set has this remark.
    #[must_use]
    pub fn contains(self, remark: Remark) -> bool {
        self.0 >> remark as u32 & 1 == 1
    }

    /// Whether the set has no remark.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The remarks, in the order of [`Remark::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Remark> {
        // Each step leaves out the lowest bit that is set. Most sets have one or two of them.
        let left = std::iter::successors(Some(self.0), |bits| Some(bits & bits.wrapping_sub(1)));
        left.take_while(|&bits| bits != 0).map(|bits| Remark::ALL[bits.trailing_zeros() as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Refusal;

    #[test]
    fn remarks_fit_their_set_and_names_are_distinct() {
        assert!(Remark::ALL.len() <= 32);
        let remarks = Remark::ALL.iter().map(|remark| remark.name());
        let mut names: Vec<_> =
            remarks.chain(Refusal::ALL.iter().map(|refusal| refusal.name())).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_set_holds_what_was_added_and_not_removed() {
        for &remark in Remark::ALL {
            let mut set = Remarks::default();
            assert!(set.is_empty());
            set.add(remark);
            assert!(set.iter().eq([remark]) && !set.is_empty());
            let mut others = Remarks::default();
            Remark::ALL.iter().for_each(|&other| others.add(other));
            others.remove(remark);
            assert!(!others.contains(remark));
            others.extend(set);
            assert!(others.iter().eq(Remark::ALL.iter().copied()));
        }
    }
}
