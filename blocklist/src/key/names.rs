//! Which entries and names are plausible: what a list can mean, and what must not be blocked by accident.

use super::{EntryKind, Refusal, Remark, Remarks};
use filter_core::sub_url::SubUrlRule;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Top-level names that no registry has and that software still treats as names: the registry of special-use domain
/// names (RFC 6761, with `local` of RFC 6762, `onion` of RFC 7686, `alt` of RFC 9476), and `internal`, which ICANN
/// reserved in 2024.
const SPECIAL_USE: [&str; 9] =
    ["alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion", "test"];

/// Top-level domains of most entries, so that the whole list of suffixes need not be searched for them.
const FREQUENT: [&str; 16] = [
    "com", "net", "org", "info", "io", "co", "de", "ru", "uk", "cn", "xyz", "top", "app", "dev",
    "example", "test",
];

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
}

impl Default for NameRules {
    fn default() -> Self {
        let mut protected = BTreeSet::new();
        for host in PROTECTED {
            protected.extend(parents(host).map(Cow::Borrowed));
        }
        Self { allowed_suffixes: BTreeSet::new(), any_suffix: false, protected }
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
        self
    }

    /// The same rules without the protection of `host`, which may become a key.
    #[must_use]
    pub fn without_protected(mut self, host: &str) -> Self {
        let host = host.trim_matches('.').to_ascii_lowercase();
        self.protected.remove(host.as_str());
        self
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
        let last = host.rsplit('.').next().unwrap_or(host);
        if !is_whole_host && FREQUENT.contains(&last) {
            return Ok(None);
        }
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

fn is_ipv4(host: &str) -> bool {
    host.bytes().last().is_some_and(|b| b.is_ascii_digit())
        && host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Whether lists use the address of a key as the target of blocked names: unspecified, loopback or broadcast.
fn is_sink_address(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => {
            address.is_unspecified() || address.is_loopback() || address.is_broadcast()
        }
        Ok(std::net::IpAddr::V6(address)) => {
            let mapped = address.to_ipv4_mapped();
            address.is_unspecified()
                || address.is_loopback()
                || mapped.is_some_and(|v4| v4.is_unspecified() || v4.is_loopback())
        }
        Err(_) => false,
    }
}

/// Refuses a text that no list means as an entry, although a URL parser takes or repairs it.
///
/// # Errors
/// [`Refusal::ControlCharacter`], [`Refusal::WhiteSpace`], [`Refusal::AddressRange`], [`Refusal::ElementHiding`] or
/// [`Refusal::RuleOption`].
pub(crate) fn check_text(entry: &str, kind: EntryKind) -> Result<(), Refusal> {
    let mut marks = false;
    let first_is_digit = entry.bytes().next().is_some_and(|b| b.is_ascii_digit());
    for byte in entry.bytes() {
        match byte {
            b' ' => return Err(white_space_or_control(entry)),
            0..=0x1f | 0x7f => return Err(white_space_or_control(entry)),
            b'#' | b'$' | b'/' | 0x80.. => marks = true,
            b'-' => marks |= first_is_digit,
            _ => {}
        }
    }
    if !marks {
        return Ok(());
    }
    if entry.chars().any(|c| !c.is_ascii() && (c.is_whitespace() || c.is_control())) {
        return Err(white_space_or_control(entry));
    }
    if is_address_range(entry) {
        return Err(Refusal::AddressRange);
    }
    if kind == EntryKind::Url
        && ["##", "#@#", "#?#", "#$#", "#%#"].iter().any(|m| entry.contains(m))
    {
        return Err(Refusal::ElementHiding);
    }
    if kind == EntryKind::Url && has_rule_options(entry) {
        return Err(Refusal::RuleOption);
    }
    Ok(())
}

fn white_space_or_control(entry: &str) -> Refusal {
    let is_space = |c: char| c != '\t' && !c.is_control() && c.is_whitespace();
    if entry.chars().any(|c| c.is_control()) {
        Refusal::ControlCharacter
    } else {
        debug_assert!(entry.chars().any(is_space));
        Refusal::WhiteSpace
    }
}

/// `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.1-192.0.2.9`.
fn is_address_range(entry: &str) -> bool {
    use std::net::IpAddr;
    let is_address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    if let Some((address, bits)) = entry.split_once('/')
        && let Some(address) = is_address(address)
    {
        let max = if address.is_ipv4() { 32 } else { 128 };
        return (1..=3).contains(&bits.len())
            && bits.bytes().all(|b| b.is_ascii_digit())
            && bits.parse::<u32>().is_ok_and(|bits| bits <= max);
    }
    entry.split_once('-').is_some_and(|(first, last)| {
        is_address(first).is_some()
            && (is_address(last).is_some() || last.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// Whether a text ends like an Adblock rule with options: `$third-party`, `$~script,domain=a.example`.
pub(crate) fn has_rule_options(entry: &str) -> bool {
    /// Options that are no plausible end of a URL. Those with `=` have a value.
    const OPTIONS: [&str; 24] = [
        "3p",
        "all",
        "badfilter",
        "csp=",
        "denyallow=",
        "document",
        "domain=",
        "font",
        "image",
        "important",
        "match-case",
        "media",
        "object",
        "other",
        "ping",
        "popup",
        "redirect=",
        "removeparam",
        "script",
        "stylesheet",
        "subdocument",
        "third-party",
        "websocket",
        "xmlhttprequest",
    ];
    let Some((_, options)) = entry.rsplit_once('$') else { return false };
    !options.is_empty()
        && options.split(',').all(|option| {
            let option = option.strip_prefix('~').unwrap_or(option);
            OPTIONS.iter().any(|known| match known.strip_suffix('=') {
                Some(name) => option.strip_prefix(name).is_some_and(|value| value.starts_with('=')),
                None => option == *known,
            })
        })
}

/// The part of a key that begins with its host; `None` if the rule gives keys without one.
pub(crate) fn without_scheme<'k>(key: &'k str, rule: &SubUrlRule) -> Option<&'k str> {
    match rule {
        SubUrlRule::Profile(_) => Some(key),
        SubUrlRule::Parsing(configuration) if !configuration.domain.excluded => {
            Some(key.split_once("://").map_or(key, |(_, rest)| rest))
        }
        _ => None,
    }
}

/// Adds what a key blocks beyond the requests that its entry names.
pub(crate) fn coverage(scope: crate::list::Scope, key: &str, remarks: &mut Remarks) {
    use crate::list::Scope;
    let (host, rest) = split_host(key);
    let has_subdomains = !(host.starts_with('[') || is_ipv4(host));
    match scope {
        Scope::Site => {}
        Scope::Host | Scope::Page if has_subdomains => remarks.add(Remark::CoversSubdomains),
        Scope::Subdomains => remarks.add(Remark::CoversAnotherHost),
        Scope::Host | Scope::Page => {}
    }
    if scope == Scope::Page {
        let is_host = !rest.contains(['/', '?', '#']);
        if is_host {
            remarks.add(Remark::CoversWholeHost);
        } else if !rest.contains('#') {
            remarks.add(Remark::CoversPaths);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Scope;

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
        for last in FREQUENT {
            assert_eq!(rules.check(&format!("a.{last}")), Ok(None), "{last}");
            assert_eq!(rules.check(&format!("a.{last}/x")), Ok(None), "{last}");
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

    #[test]
    fn texts_that_only_a_url_parser_accepts_are_refused() {
        for (entry, refusal) in [
            ("1\tbad.example\t2026-01-01", Refusal::ControlCharacter),
            ("a.example\rb.example", Refusal::ControlCharacter),
            ("https://a.example/\u{7f}", Refusal::ControlCharacter),
            ("a.example b.example", Refusal::WhiteSpace),
            ("https://a.example/a b", Refusal::WhiteSpace),
            ("a.example\u{a0}b", Refusal::WhiteSpace),
            ("a\u{2028}.example", Refusal::WhiteSpace),
            ("192.0.2.0/24", Refusal::AddressRange),
            ("2001:db8::/32", Refusal::AddressRange),
            ("[2001:db8::]/32", Refusal::AddressRange),
            ("192.0.2.1-192.0.2.9", Refusal::AddressRange),
            ("192.0.2.1-9", Refusal::AddressRange),
            ("1000logos.net/###ai_widget-4", Refusal::ElementHiding),
            ("fuse-cloud.com/$~xmlhttprequest", Refusal::RuleOption),
            ("a.example/x$third-party,domain=b.example", Refusal::RuleOption),
        ] {
            assert_eq!(check_text(entry, EntryKind::Url), Err(refusal), "{entry:?}");
        }
        for entry in [
            "a.example",
            "https://a.example/x#y",
            "192.0.2.0/24x",
            "192.0.2.0/033x",
            "192.0.2.7/1234",
            "a.example/?a=$b",
            "a.example/$1,99",
            "a-1.example",
            "bücher.example/ü",
            "192.0.2.1/",
        ] {
            assert_eq!(check_text(entry, EntryKind::Url), Ok(()), "{entry:?}");
        }
    }

    #[test]
    fn what_a_key_covers_beyond_its_entry() {
        let of = |scope, key: &str| {
            let mut remarks = Remarks::default();
            coverage(scope, key, &mut remarks);
            remarks.iter().collect::<Vec<_>>()
        };
        assert_eq!(of(Scope::Site, "a.example"), []);
        assert_eq!(of(Scope::Host, "a.example"), [Remark::CoversSubdomains]);
        assert_eq!(of(Scope::Host, "192.0.2.1"), []);
        assert_eq!(of(Scope::Subdomains, "a.example"), [Remark::CoversAnotherHost]);
        assert_eq!(
            of(Scope::Page, "a.example"),
            [Remark::CoversSubdomains, Remark::CoversWholeHost]
        );
        assert_eq!(of(Scope::Page, "a.example/b"), [Remark::CoversSubdomains, Remark::CoversPaths]);
        assert_eq!(of(Scope::Page, "[2001:db8::1]:80/a?b#c"), []);
    }
}
