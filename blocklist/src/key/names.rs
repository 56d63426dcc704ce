//! Which names may become keys: those that a list can mean, and that must not be blocked by accident.

mod apple;

use super::{EntryKind, KeyRules, Refusal, Remark, canonicalise};
use apple::PROTECTED;
use filter_core::sub_url::parts::last_labels;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Top-level names that no registry has and that software still treats as names: the registry of special-use domain
/// names (RFC 6761, with `local` of RFC 6762, `onion` of RFC 7686, `alt` of RFC 9476), and `internal`, which ICANN
/// reserved in 2024.
const SPECIAL_USE: [&str; 9] =
    ["alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion", "test"];

/// Which names may become keys. The default refuses what no list of hosts can mean: registry suffixes, names under no
/// top-level domain, and the hosts that Apple's devices need.
///
/// ```
/// use blocklist::key::{NameRules, Refusal};
///
/// let rules = NameRules::default().with_allowed_suffix("lan")?.with_protected("bank.example")?;
/// assert_eq!(rules.check("printer.lan"), Ok(None));
/// assert_eq!(rules.check("photo.jpg"), Err(Refusal::UnknownSuffix));
/// assert_eq!(rules.check("co.uk"), Err(Refusal::PublicSuffix));
/// assert_eq!(rules.check("apple.com"), Err(Refusal::Protected));
/// assert_eq!(rules.check("bank.example"), Err(Refusal::Protected));
/// assert_eq!(rules.check("ads.bank.example"), Ok(None));
/// # Ok::<(), blocklist::key::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRules {
    allowed_suffixes: BTreeSet<String>,
    any_suffix: bool,
    /// Protected hosts and their parents of two labels or more.
    protected: BTreeSet<Cow<'static, str>>,
    /// Names below which all hosts are protected.
    protected_below: BTreeSet<Cow<'static, str>>,
    /// The hosts of [`with_protected`](Self::with_protected).
    added: BTreeSet<String>,
    /// The hosts of [`without_protected`](Self::without_protected).
    removed: BTreeSet<String>,
}

/// A text that is no name of a host or suffix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no name of a host: {}", .refusal.explanation())]
#[non_exhaustive]
pub struct InvalidName {
    /// The text as it was given.
    pub name: String,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// A name that was given to [`NameRules`] and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdleName {
    /// A suffix that is allowed anyway, or that cannot be a key whatever is allowed.
    Suffix(String),
    /// A host that was not protected.
    Unprotected(String),
}

impl fmt::Display for IdleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suffix(name) => write!(
                f,
                "to allow the suffix {name} has no effect: names below it are taken anyway, and it is no registry suffix \
                 of two labels or more"
            ),
            Self::Unprotected(name) => {
                write!(f, "to unprotect {name} has no effect: it is not protected")
            }
        }
    }
}

impl Default for NameRules {
    fn default() -> Self {
        let mut rules = Self {
            allowed_suffixes: BTreeSet::new(),
            any_suffix: false,
            protected: BTreeSet::new(),
            protected_below: BTreeSet::new(),
            added: BTreeSet::new(),
            removed: BTreeSet::new(),
        };
        for host in PROTECTED {
            let name = host.strip_prefix("*.").unwrap_or(host);
            rules.protected.extend(parents(name).map(Cow::Borrowed));
            if name != *host {
                rules.protected_below.insert(Cow::Borrowed(name));
            }
        }
        rules
    }
}

/// A host as keys have it, and whether all hosts below it are meant (`*.host`).
fn host_name(text: &str) -> Result<(String, bool), InvalidName> {
    let invalid = |refusal| InvalidName { name: text.to_owned(), refusal };
    let name = text.trim().trim_start_matches('.');
    if name.contains(char::is_whitespace) {
        return Err(invalid(Refusal::WhiteSpace));
    }
    let key = canonicalise(name, EntryKind::Host, &KeyRules::default()).map_err(invalid)?;
    Ok((key.text.into_owned(), name.starts_with("*.")))
}

impl NameRules {
    /// The same rules, under which `suffix` is taken as a top-level domain or a name of one's own network, or as a name
    /// that may be blocked with all sites below it. `*` allows every suffix.
    ///
    /// # Errors
    /// [`InvalidName`] if it is no name.
    pub fn with_allowed_suffix(mut self, suffix: &str) -> Result<Self, InvalidName> {
        let name = suffix.trim();
        if name == "*" {
            self.any_suffix = true;
            return Ok(self);
        }
        let name = name.strip_prefix("*.").unwrap_or(name).trim_matches('.');
        // A suffix may have one label, which a host has not.
        let below = format!("x.{name}");
        let (host, _) = host_name(&below)
            .map_err(|error| InvalidName { name: suffix.to_owned(), refusal: error.refusal })?;
        self.allowed_suffixes.insert(host.strip_prefix("x.").unwrap_or(&host).to_owned());
        Ok(self)
    }

    /// The same rules with another host that no key may be, or be a parent of. `*.host` protects all hosts below as well.
    ///
    /// # Errors
    /// [`InvalidName`] if it is no host.
    pub fn with_protected(mut self, host: &str) -> Result<Self, InvalidName> {
        let (name, is_below) = host_name(host)?;
        self.protected.extend(parents(&name).map(|parent| Cow::Owned(parent.to_owned())));
        let written = if is_below { format!("*.{name}") } else { name.clone() };
        self.removed.remove(&name);
        self.removed.remove(&written);
        self.added.insert(written);
        if is_below {
            self.protected_below.insert(Cow::Owned(name));
        }
        Ok(self)
    }

    /// The same rules without the protection of `host`, which may become a key. `*.host` ends that of all hosts below it.
    ///
    /// # Errors
    /// [`InvalidName`] if it is no host.
    pub fn without_protected(mut self, host: &str) -> Result<Self, InvalidName> {
        let (name, is_below) = host_name(host)?;
        let written = if is_below { format!("*.{name}") } else { name.clone() };
        self.added.remove(&written);
        self.removed.insert(written);
        Ok(self)
    }

    /// The names that change nothing, which the user should know.
    pub fn idle_names(&self) -> impl Iterator<Item = IdleName> {
        let suffixes = self.allowed_suffixes.iter().filter(|suffix| {
            let is_known = has_known_suffix(suffix);
            let is_registry_suffix = psl::suffix(suffix.as_bytes())
                .is_some_and(|known| known == suffix.as_str() && suffix.contains('.'));
            is_known && !is_registry_suffix
        });
        let suffixes = suffixes.map(|suffix| IdleName::Suffix(suffix.clone()));
        let unprotected = self.removed.iter().filter(|name| match name.strip_prefix("*.") {
            Some(name) => !self.protected_below.contains(name),
            None => !self.is_named_protected(name, |_| true),
        });
        suffixes.chain(unprotected.cloned().map(IdleName::Unprotected))
    }

    fn is_protected(&self, host: &str) -> bool {
        let is_left = |parent: &str| !self.removed.contains(&format!("*.{parent}"));
        !self.removed.contains(host) && self.is_named_protected(host, is_left)
    }

    /// Whether a host is among the protected ones, or below a name that protects all hosts below it and for which `counts`.
    fn is_named_protected(&self, host: &str, counts: impl Fn(&str) -> bool) -> bool {
        let above = || parents(host).skip(1);
        self.protected.contains(host)
            || above().any(|parent| self.protected_below.contains(parent) && counts(parent))
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
        self.check_parts(host, rest)
    }

    /// Checks a key of a host and what stands behind it.
    pub(crate) fn check_parts(&self, host: &str, rest: &str) -> Result<Option<Remark>, Refusal> {
        // Requests to the default port are all that most sites have.
        let is_whole_host =
            rest.is_empty() || rest.starts_with(':') && !rest.contains(['/', '?', '#']);
        if is_whole_host && self.is_protected(host) {
            return Err(Refusal::Protected);
        }
        if host.starts_with('[') || is_ipv4(host) {
            return if is_sink_address(host) { Err(Refusal::SinkAddress) } else { Ok(None) };
        }
        let last = &host[memchr::memrchr(b'.', host.as_bytes()).map_or(0, |dot| dot + 1)..];
        // Of a part of a host, it matters only whether the top-level domain is known.
        if !is_whole_host && SPECIAL_USE.contains(&last) {
            return Ok(None);
        }
        let suffix = psl::suffix(host.as_bytes());
        let is_known = suffix.is_some_and(|suffix| suffix.is_known())
            || SPECIAL_USE.contains(&last)
            || self.any_suffix
            || self.is_below_allowed_suffix(host);
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

    fn is_below_allowed_suffix(&self, host: &str) -> bool {
        let mut suffixes =
            std::iter::successors(Some(host), |rest| rest.split_once('.').map(|(_, rest)| rest));
        !self.allowed_suffixes.is_empty()
            && suffixes.any(|suffix| self.allowed_suffixes.contains(suffix))
    }
}

/// A host and its parents of at least two labels. An address has none.
pub(crate) fn parents(host: &str) -> impl Iterator<Item = &str> {
    let is_name = !(host.starts_with('[') || is_ipv4(host));
    let mut rest = Some(host);
    std::iter::from_fn(move || {
        let host = rest.filter(|host| host.contains('.') || !is_name)?;
        rest = host.split_once('.').map(|(_, parent)| parent).filter(|_| is_name);
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

/// The host of a key without a scheme, its port with the colon, and its path, query and fragment.
pub(crate) fn split_place(key: &str) -> (&str, &str, &str) {
    let (host, rest) = split_host(key);
    let (port, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    (host, port, path)
}

pub(crate) fn is_ipv4(host: &str) -> bool {
    host.bytes().last().is_some_and(|b| b.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_ok()
}

/// Whether a host as it is written has a dot at its end: `.`, escaped, or one of those that UTS 46 maps to it.
pub(crate) fn ends_with_dot(host: &str) -> bool {
    host.ends_with(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'])
        || host.ends_with("%2e")
        || host.ends_with("%2E")
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
            assert_eq!(
                rules.clone().with_allowed_suffix(suffix).unwrap().check("printer.lan"),
                Ok(None)
            );
        }
    }

    #[test]
    fn registry_suffixes_are_keys_only_if_allowed() {
        let rules = NameRules::default();
        for suffix in ["co.uk", "github.io", "k12.ca.us", "s3.us-east-1.amazonaws.com"] {
            assert_eq!(rules.check(suffix), Err(Refusal::PublicSuffix), "{suffix}");
            let with_port = format!("{suffix}:443");
            assert_eq!(rules.check(&with_port), Err(Refusal::PublicSuffix), "{with_port}");
            let allowed = rules.clone().with_allowed_suffix(suffix).unwrap();
            assert_eq!(allowed.check(suffix), Ok(Some(Remark::AllowedSuffix)));
            for key in [format!("{suffix}/x"), format!("{suffix}:80/x"), format!("a.{suffix}")] {
                assert_eq!(rules.check(&key), Ok(None), "{key}");
            }
        }
        let any = rules.with_allowed_suffix("*").unwrap();
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
        let rules = NameRules::default().with_protected("www.Portal.school.example.").unwrap();
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
        for key in [
            "apple.com/url-filter-test",
            "ads.apple.com",
            "notapple.com",
            "xpush.apple.com",
            "metrics.icloud.com",
            "1-courier.push.apple.com/x",
        ] {
            assert_eq!(rules.check(key), Ok(None), "{key}");
        }
        assert_eq!(rules.without_protected("apple.com").unwrap().check("apple.com"), Ok(None));
    }

    #[test]
    fn addresses_can_be_protected() {
        let rules = NameRules::default().with_protected("203.0.113.7").unwrap();
        let rules = rules.with_protected("2001:DB8::1").unwrap().with_protected("::2").unwrap();
        for key in ["203.0.113.7", "203.0.113.7:8443", "[2001:db8::1]", "[2001:db8::1]:80", "[::2]"]
        {
            assert_eq!(rules.check(key), Err(Refusal::Protected), "{key}");
        }
        for key in ["203.0.113.7/x", "203.0.113.8", "[2001:db8::2]", "113.7.example"] {
            assert_eq!(rules.check(key), Ok(None), "{key}");
        }
    }

    #[test]
    fn hosts_that_devices_need_are_protected() {
        let rules = NameRules::default();
        for key in [
            "mesu.apple.com",
            "updates.cdn-apple.com",
            "appldnld.apple.com",
            "ppq.apple.com",
            "iprofiles.apple.com",
            "courier.push.apple.com",
            "1-courier.push.apple.com",
            "42-courier.push.apple.com:443",
            "ocsp2.apple.com",
            "mask.icloud.com",
            "mask-h2.icloud.com",
            "gg.apple.com",
            "crl4.digicert.com",
            "digicert.com",
            "cdn-apple.com",
        ] {
            assert_eq!(rules.check(key), Err(Refusal::Protected), "{key}");
        }
        for host in PROTECTED {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let (written, is_below) = host_name(host).unwrap();
            assert_eq!(
                (written.as_str(), is_below),
                (name.trim_start_matches("www."), name != *host)
            );
        }
    }

    #[test]
    fn protection_of_hosts_below_a_name_can_be_added_and_ended() {
        let rules = NameRules::default().with_protected("*.b\u{e4}nk.example").unwrap();
        for key in ["xn--bnk-qla.example", "1.xn--bnk-qla.example", "a.b.xn--bnk-qla.example"] {
            assert_eq!(rules.check(key), Err(Refusal::Protected), "{key}");
        }
        let one = rules.clone().without_protected("1.xn--bnk-qla.example").unwrap();
        assert_eq!(one.check("1.xn--bnk-qla.example"), Ok(None));
        assert_eq!(one.check("2.xn--bnk-qla.example"), Err(Refusal::Protected));
        let none = rules.without_protected("*.xn--bnk-qla.example").unwrap();
        assert_eq!(none.check("2.xn--bnk-qla.example"), Ok(None));
        assert_eq!(none.check("xn--bnk-qla.example"), Err(Refusal::Protected));
        assert_eq!((one.idle_names().count(), none.idle_names().count()), (0, 0));
    }

    #[test]
    fn names_that_are_none_are_errors_and_names_without_effect_are_told() {
        let rules = NameRules::default();
        for text in
            ["nonsense!!", "", "a b", "https://a.example", "a.example/x", "a.example:80", "1"]
        {
            assert!(rules.clone().with_allowed_suffix(text).is_err(), "{text}");
            assert!(rules.clone().with_protected(text).is_err(), "{text}");
            assert!(rules.clone().without_protected(text).is_err(), "{text}");
        }
        let idle =
            |rules: &NameRules| rules.idle_names().map(|idle| idle.to_string()).collect::<Vec<_>>();
        for suffix in ["com", "local", "a.com"] {
            let told = idle(&rules.clone().with_allowed_suffix(suffix).unwrap());
            assert!(
                told.len() == 1 && told[0].contains(&format!("{suffix} has no effect")),
                "{told:?}"
            );
        }
        for suffix in ["*", "lan", "corp.lan", "*.lan", "co.uk", ".CO.UK."] {
            assert!(
                idle(&rules.clone().with_allowed_suffix(suffix).unwrap()).is_empty(),
                "{suffix}"
            );
        }
        let corp = rules.clone().with_allowed_suffix("corp.lan").unwrap();
        assert_eq!(corp.check("a.corp.lan"), Ok(None));
        assert_eq!(corp.check("a.lan"), Err(Refusal::UnknownSuffix));
        for host in ["zzz.com", "*.zzz.com", "*.apple.com"] {
            let told = idle(&rules.clone().without_protected(host).unwrap());
            assert!(told.len() == 1 && told[0].contains(host), "{told:?}");
        }
        assert!(idle(&rules.without_protected("www.Apple.com.").unwrap()).is_empty());
    }
}
