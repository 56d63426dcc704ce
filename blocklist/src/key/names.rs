//! Which names may become keys: those that a list can mean, and that must not be blocked by accident.

use super::{Refusal, Remark};
use filter_core::sub_url::parts::last_labels;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// Top-level names that no registry has and that software still treats as names: the registry of special-use domain
/// names (RFC 6761, with `local` of RFC 6762, `onion` of RFC 7686, `alt` of RFC 9476), and `internal`, which ICANN
/// reserved in 2024.
const SPECIAL_USE: [&str; 9] =
    ["alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion", "test"];

/// Hosts without which devices cannot be set up, checked, updated or reached, or the filter itself cannot be switched
/// on. A key must neither be one of them nor a parent of one. From Apple's lists of hosts that networks must leave
/// open (support article 101555), and of onboarding, which looks up a page of `www.apple.com`.
const PROTECTED: [&str; 14] = [
    "albert.apple.com",
    "captive.apple.com",
    "deviceenrollment.apple.com",
    "deviceservices-external.apple.com",
    "gateway.icloud.com",
    "gdmf.apple.com",
    "gs.apple.com",
    "identity.apple.com",
    "mdmenrollment.apple.com",
    "ocsp.apple.com",
    "push.apple.com",
    "setup.icloud.com",
    "valid.apple.com",
    "www.apple.com",
];

/// Which names may become keys. The default refuses what no list of hosts can mean: registry suffixes, names under no
/// top-level domain, and the hosts that Apple's devices need.
///
/// ```
/// use blocklist::key::{NameRules, Refusal};
///
/// let rules = NameRules::default().with_allowed_suffix("lan").with_protected("bank.example");
/// assert_eq!(rules.check("printer.lan"), Ok(None));
/// assert_eq!(rules.check("photo.jpg"), Err(Refusal::UnknownSuffix));
/// assert_eq!(rules.check("co.uk"), Err(Refusal::PublicSuffix));
/// assert_eq!(rules.check("apple.com"), Err(Refusal::Protected));
/// assert_eq!(rules.check("bank.example"), Err(Refusal::Protected));
/// assert_eq!(rules.check("ads.bank.example"), Ok(None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRules {
    allowed_suffixes: BTreeSet<String>,
    any_suffix: bool,
    /// Protected hosts and their parents of two labels or more.
    protected: BTreeSet<Cow<'static, str>>,
    /// The hosts of [`with_protected`](Self::with_protected).
    added: BTreeSet<String>,
    /// The hosts of [`without_protected`](Self::without_protected).
    removed: BTreeSet<String>,
}

impl Default for NameRules {
    fn default() -> Self {
        let mut protected = BTreeSet::new();
        for host in PROTECTED {
            protected.extend(parents(host).map(Cow::Borrowed));
        }
        Self {
            allowed_suffixes: BTreeSet::new(),
            any_suffix: false,
            protected,
            added: BTreeSet::new(),
            removed: BTreeSet::new(),
        }
    }
}

impl NameRules {
    /// The same rules, under which `suffix` is taken as a top-level domain, or as a name that may be blocked with all
    /// sites below it. `*` allows every suffix.
    #[must_use]
    pub fn with_allowed_suffix(mut self, suffix: &str) -> Self {
        let suffix = suffix.trim_matches('.').to_ascii_lowercase();
        if suffix == "*" {
            self.any_suffix = true;
        } else {
            self.allowed_suffixes.insert(suffix);
        }
        self
    }

    /// The same rules with another host that no key may be, or be a parent of.
    #[must_use]
    pub fn with_protected(mut self, host: &str) -> Self {
        let host = host.trim_matches('.').to_ascii_lowercase();
        let host = host.strip_prefix("www.").unwrap_or(&host);
        self.protected.extend(parents(host).map(|parent| Cow::Owned(parent.to_owned())));
        self.removed.remove(host);
        self.added.insert(host.to_owned());
        self
    }

    /// The same rules without the protection of `host`, which may become a key.
    #[must_use]
    pub fn without_protected(mut self, host: &str) -> Self {
        let host = host.trim_matches('.').to_ascii_lowercase();
        self.protected.remove(host.as_str());
        self.added.remove(&host);
        self.removed.insert(host);
        self
    }

    /// The suffixes of [`with_allowed_suffix`](Self::with_allowed_suffix); `*` if every suffix is allowed.
    pub fn allowed_suffixes(&self) -> impl Iterator<Item = &str> {
        let any = self.any_suffix.then_some("*");
        any.into_iter().chain(self.allowed_suffixes.iter().map(String::as_str))
    }

    /// The hosts that are protected beside those of the default.
    pub fn protected(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(String::as_str)
    }

    /// The hosts that are not protected, or not any more.
    pub fn unprotected(&self) -> impl Iterator<Item = &str> {
        self.removed.iter().map(String::as_str)
    }

    /// Checks a key that has no scheme. A key that only an option allows gets a remark.
    ///
    /// # Errors
    /// [`Refusal::SinkAddress`], [`Refusal::UnknownSuffix`], [`Refusal::PublicSuffix`] or [`Refusal::Protected`].
    pub fn check(&self, key: &str) -> Result<Option<Remark>, Refusal> {
        let (host, rest) = split_host(key);
        if host.starts_with('[') || is_ipv4(host) {
            return if is_sink_address(host) { Err(Refusal::SinkAddress) } else { Ok(None) };
        }
        // Requests to the default port are all that most sites have.
        let is_whole_host =
            rest.is_empty() || rest.starts_with(':') && !rest.contains(['/', '?', '#']);
        if is_whole_host && self.protected.contains(host) {
            return Err(Refusal::Protected);
        }
        let last = last_labels(host, 1);
        let suffix = psl::suffix(host.as_bytes());
        let is_known = suffix.is_some_and(|suffix| suffix.is_known())
            || SPECIAL_USE.contains(&last)
            || self.any_suffix
            || self.allowed_suffixes.contains(last);
        if !is_known {
            return Err(Refusal::UnknownSuffix);
        }
        // A path limits the key to less than the suffix.
        if !is_whole_host || suffix.is_none_or(|suffix| !suffix.is_known() || suffix != host) {
            return Ok(None);
        }
        if self.any_suffix || self.allowed_suffixes.contains(host) {
            return Ok(Some(Remark::AllowedSuffix));
        }
        Err(Refusal::PublicSuffix)
    }
}

/// A host and its parents of at least two labels.
fn parents(host: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(host);
    std::iter::from_fn(move || {
        let host = rest.filter(|host| host.contains('.'))?;
        rest = host.split_once('.').map(|(_, parent)| parent);
        Some(host)
    })
}

/// The host of a key without a scheme, and what stands behind it.
pub(crate) fn split_host(key: &str) -> (&str, &str) {
    let end = match key.strip_prefix('[') {
        Some(rest) => rest.find(']').map_or(key.len(), |end| end + 2),
        None => {
            key.bytes().position(|b| matches!(b, b'/' | b':' | b'?' | b'#')).unwrap_or(key.len())
        }
    };
    key.split_at(end)
}

pub(crate) fn is_ipv4(host: &str) -> bool {
    host.bytes().last().is_some_and(|b| b.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_ok()
}

/// Whether every list means "blocked" by an address: unspecified or loopback.
pub(crate) fn is_sink(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_unspecified() || address.is_loopback()
}

/// Whether an address stands for the machine itself, for none, or for all.
fn is_sink_address(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    address.is_ok_and(|address| is_sink(address) || address == Ipv4Addr::BROADCAST)
}

/// Whether the last label of a host in lower case is a top-level domain, registered or special.
pub(crate) fn has_known_suffix(host: &str) -> bool {
    SPECIAL_USE.contains(&last_labels(host, 1))
        || psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_under_no_top_level_domain_are_refused() {
        let rules = NameRules::default();
        for key in ["photo.jpg", "ad.cgi", "-geoip.js", "fuse.local1", "a.b.c1/path", "a.js:80"] {
            assert_eq!(rules.check(key), Err(Refusal::UnknownSuffix), "{key}");
        }
        let known = [
            "a.example",
            "a.test",
            "a.com",
            "a.co.uk",
            "a.xn--p1ai",
            "a.local",
            "a.internal",
            "x.onion",
            "a.museum",
            "photo.zip",
            "a.github.io",
            "b.a.ck/x",
        ];
        for key in known {
            assert_eq!(rules.check(key), Ok(None), "{key}");
        }
        for suffix in ["lan", "*", ".LAN"] {
            assert_eq!(rules.clone().with_allowed_suffix(suffix).check("printer.lan"), Ok(None));
        }
    }

    #[test]
    fn registry_suffixes_are_keys_only_if_allowed() {
        let rules = NameRules::default();
        for suffix in ["co.uk", "github.io", "k12.ca.us", "s3.us-east-1.amazonaws.com"] {
            assert_eq!(rules.check(suffix), Err(Refusal::PublicSuffix), "{suffix}");
            let with_port = format!("{suffix}:443");
            assert_eq!(rules.check(&with_port), Err(Refusal::PublicSuffix), "{with_port}");
            let allowed = rules.clone().with_allowed_suffix(suffix);
            assert_eq!(allowed.check(suffix), Ok(Some(Remark::AllowedSuffix)));
            for key in [format!("{suffix}/x"), format!("{suffix}:80/x"), format!("a.{suffix}")] {
                assert_eq!(rules.check(&key), Ok(None), "{key}");
            }
        }
        let any = rules.with_allowed_suffix("*");
        assert_eq!(any.check("co.uk"), Ok(Some(Remark::AllowedSuffix)));
    }

    #[test]
    fn sink_addresses_are_no_keys() {
        let rules = NameRules::default();
        for key in ["0.0.0.0", "127.0.0.1", "127.9.8.7/x", "[::1]", "[::]:80", "255.255.255.255"] {
            assert_eq!(rules.check(key), Err(Refusal::SinkAddress), "{key}");
        }
        for key in ["192.0.2.1", "10.0.0.1/x", "[2001:db8::1]:8080/a"] {
            assert_eq!(rules.check(key), Ok(None), "{key}");
        }
    }

    #[test]
    fn keys_that_block_a_protected_host_are_refused() {
        let rules = NameRules::default().with_protected("www.Portal.school.example.");
        for key in [
            "apple.com",
            "www.apple.com:443",
            "icloud.com:80",
            "icloud.com",
            "push.apple.com",
            "portal.school.example",
            "school.example",
        ] {
            assert_eq!(rules.check(key), Err(Refusal::Protected), "{key}");
        }
        for key in
            ["apple.com/url-filter-test", "ads.apple.com", "x.push.apple.com", "notapple.com"]
        {
            assert_eq!(rules.check(key), Ok(None), "{key}");
        }
        assert_eq!(rules.without_protected("apple.com").check("apple.com"), Ok(None));
    }
}
