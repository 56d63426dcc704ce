//! From one entry of a block list to a key that a device can generate.
//!
//! The key of a URL is the URL without its scheme. An entry that is written in another way than
//! devices write their sub-URLs would never match; it is rewritten here, and every rewriting leaves
//! a [`Remark`]. An entry that no key can express is a [`Refusal`].
//!
//! ```
//! use blocklist::key::{EntryKind, Refusal, Remark, canonicalise};
//! use filter_core::sub_url::SubUrlRule;
//!
//! let rule = SubUrlRule::default();
//! let key = canonicalise("https://WWW.Example.com/Login/", EntryKind::Url, &rule)?;
//! assert_eq!(key.text, "example.com/login");
//! assert!(key.remarks.contains(Remark::WwwRemoved));
//! assert_eq!(canonicalise("com", EntryKind::Host, &rule).err(), Some(Refusal::SingleLabel));
//! # Ok::<(), Refusal>(())
//! ```

mod remark;

pub use remark::{Effect, Refusal, Remark, Remarks};

use filter_core::sub_url::parts::{
    authority, first_segments, is_hostless, is_plain_host, last_labels, split_scheme,
};
use filter_core::sub_url::{
    Case, DeviceUrl, HostKind, MAX_URL_LENGTH, PLACEHOLDER, ParsingConfiguration, Profile,
    SubUrlRule, UrlError,
};
use std::borrow::Cow;

/// The entry that Apple's onboarding asks for, to be in the data set as it stands, `www.` included.
pub const ONBOARDING_ENTRY: &str = "www.apple.com/url-filter-test";

/// What an entry of a list may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A URL, or a host with or without port, path, query and fragment.
    Url,
    /// A host alone.
    Host,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalKey<'e> {
    /// The key: the entry itself where nothing had to be done to it.
    pub text: Cow<'e, str>,
    /// A second key that the same entry needs: its `www.` form under the 26.0 rule, its `https` form
    /// where sub-URLs keep the scheme and the entry names none.
    pub also: Option<String>,
    /// What was done to the entry.
    pub remarks: Remarks,
}

/// Turns an entry into its key under `rule`. Surrounding white space does not count.
///
/// # Errors
/// [`Refusal`], if no key could make a device block what the entry names.
pub fn canonicalise<'e>(
    entry: &'e str,
    kind: EntryKind,
    rule: &SubUrlRule,
) -> Result<CanonicalKey<'e>, Refusal> {
    let entry = entry.trim();
    let plain = match *rule {
        SubUrlRule::Profile(Profile::Current) => plain_entry(entry),
        _ => None,
    };
    match plain {
        Some(shape) if kind == EntryKind::Url || shape == Plain::Host => {
            let mut remarks = Remarks::default();
            if shape == Plain::Host && is_public_suffix(entry) {
                remarks.add(Remark::PublicSuffix);
            }
            Ok(CanonicalKey { text: Cow::Borrowed(entry), also: None, remarks })
        }
        _ => rewrite(entry, kind, rule),
    }
}

/// What a [`plain_entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    Host,
    HostAndPath,
}

/// Recognises entries that are keys already, in one look at each byte: most entries of most lists.
///
/// Must only say yes where [`rewrite`] would give the entry itself and no remark but the one on
/// public suffixes; the tests hold both against each other.
fn plain_entry(entry: &str) -> Option<Plain> {
    let (host, path) =
        entry.as_bytes().split_at(memchr::memchr(b'/', entry.as_bytes()).unwrap_or(entry.len()));
    if host.starts_with(b"www.") || !is_plain_host(host) || host.len() > MAX_NAME {
        return None;
    }
    let (mut label, mut dots) = (0, 0);
    for &byte in host {
        match byte {
            b'.' => {
                dots += 1;
                label = 0;
            }
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' if label < MAX_LABEL => label += 1,
            _ => return None,
        }
    }
    if dots == 0 || label == 0 {
        return None;
    }
    if path.is_empty() {
        return Some(Plain::Host);
    }
    let mut before = 0;
    for &byte in path {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'/' | b'=' | b'&' | b'+' | b',' | b'~' => {}
            // Behind a slash these may begin a dot segment.
            b'.' | b'%' if before != b'/' => {}
            _ => return None,
        }
        before = byte;
    }
    (before != b'/' && entry.len() <= MAX_URL_LENGTH).then_some(Plain::HostAndPath)
}

/// Takes an entry apart and puts its key together.
fn rewrite<'e>(
    entry: &'e str,
    kind: EntryKind,
    rule: &SubUrlRule,
) -> Result<CanonicalKey<'e>, Refusal> {
    let mut remarks = Remarks::default();
    let (scheme, written) = match kind {
        EntryKind::Host
            if entry.contains(['/', '?', '#', '@', ':', '\\']) && !is_bare_ipv6(entry) =>
        {
            return Err(Refusal::NotAHost);
        }
        EntryKind::Host => (None, entry),
        EntryKind::Url => match split_scheme(entry) {
            Some((scheme, rest)) => (Some(scheme), rest),
            None if is_hostless(entry) => return Err(Refusal::NoHost),
            None => (None, entry.strip_prefix("//").unwrap_or(entry)),
        },
    };
    if let Some(scheme) = scheme {
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {}
            "ftp" | "ws" | "wss" => remarks.add(Remark::SchemeWidened),
            _ => return Err(Refusal::Scheme),
        }
    }
    let (written, wildcard) = match written.strip_prefix("*.").or_else(|| written.strip_prefix('.'))
    {
        Some(host) => (host, true),
        None => (written, false),
    };
    if wildcard {
        remarks.add(Remark::SubdomainWildcard);
    }
    let url = match scheme {
        // The parser is given the entry itself, so that it may strip and repair as browsers do.
        Some(_) if !wildcard => rule.parse(entry),
        Some(scheme) => rule.parse(&format!("{scheme}://{written}")),
        None if is_bare_ipv6(written) => rule.parse_schemeless(&format!("[{written}]")),
        None => rule.parse_schemeless(written),
    }
    .map_err(|error| match error {
        UrlError::TooLong(_) => Refusal::TooLong,
        UrlError::NoHost => Refusal::NoHost,
        _ if authority(written).contains('*') => Refusal::Wildcard,
        _ if kind == EntryKind::Host => Refusal::NotAHost,
        _ => Refusal::NotAUrl,
    })?;
    check_host(&url)?;
    let host = without_every_www(&url);
    if url.host_kind() == HostKind::Name && !host.contains('.') {
        return Err(Refusal::SingleLabel);
    }
    remark_rewriting(written, &url, rule.case(), &mut remarks);
    let (text, also) = match rule {
        SubUrlRule::Profile(profile) => profile_keys(&url, host, *profile, &mut remarks),
        SubUrlRule::Parsing(configuration) => {
            configured_keys(&url, host, scheme.is_some(), configuration, &mut remarks)
        }
        SubUrlRule::RegularExpression(_) => {
            let sub_urls = url.sub_urls();
            (sub_urls.expression_key().ok_or(Refusal::NoMatch)?.to_owned(), None)
        }
        _ => return Err(Refusal::UnknownRule),
    };
    if is_public_suffix(&text) {
        remarks.add(Remark::PublicSuffix);
    }
    Ok(CanonicalKey { text: Cow::Owned(text), also, remarks })
}

/// Eight groups of hexadecimal digits without brackets, as hosts files write IPv6.
fn is_bare_ipv6(entry: &str) -> bool {
    entry.contains(':') && entry.parse::<std::net::Ipv6Addr>().is_ok()
}

/// The longest label and the longest name, RFC 1035 section 2.3.4, without length bytes.
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;

/// Whether a host could be looked up: the URL parser lets more pass.
fn check_host(url: &DeviceUrl<'_>) -> Result<(), Refusal> {
    let host = url.host();
    if url.host_kind() == HostKind::Address {
        return Ok(());
    }
    if host.contains('*') {
        return Err(Refusal::Wildcard);
    }
    let valid = host.len() <= MAX_NAME
        && host.split('.').all(|label| {
            (1..=MAX_LABEL).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if valid { Ok(()) } else { Err(Refusal::NotAHost) }
}

/// The host without any leading `www.`. One is what devices strip; with the rest gone as well, the
/// key is still generated (as a parent) and stays as it is when canonicalised again.
fn without_every_www<'u>(url: &'u DeviceUrl<'_>) -> &'u str {
    let mut host = url.host();
    if url.host_kind() == HostKind::Name {
        while let Some(rest) = host.strip_prefix("www.").filter(|rest| !rest.is_empty()) {
            host = rest;
        }
    }
    host
}

/// Compares the entry as written with what the parser made of it.
fn remark_rewriting(written: &str, url: &DeviceUrl<'_>, case: Case, remarks: &mut Remarks) {
    let authority = authority(written);
    let tail = &written
        [written.len() - (written.trim_start_matches(['/', '\\']).len() - authority.len())..];
    let host_and_port = match authority.rsplit_once('@') {
        Some((_, rest)) => {
            remarks.add(Remark::UserInfoRemoved);
            rest
        }
        None => authority,
    };
    let name_start = host_and_port.rfind(']').unwrap_or(0);
    let host = match host_and_port[name_start..].find(':') {
        Some(colon) if !is_bare_ipv6(host_and_port) => &host_and_port[..name_start + colon],
        _ => host_and_port,
    };
    if host != url.host() {
        if !host.is_ascii() {
            remarks.add(Remark::Punycoded);
        } else if !host.eq_ignore_ascii_case(url.host()) {
            remarks.add(Remark::HostNormalised);
        } else {
            remarks.add(Remark::LowerCased);
        }
    }
    let parsed = [url.path(), url.query(), url.fragment()];
    if tail != parsed[0] || !parsed[1].is_empty() || !parsed[2].is_empty() {
        let serialised = url.serialised();
        let host_end = serialised.find("://").map_or(0, |at| at + 3);
        let start = serialised[host_end..]
            .find(['/', '?', '#'])
            .map_or(serialised.len(), |at| host_end + at);
        let serialised = &serialised[start..];
        // The parser gives the root its slash.
        let same = |tail: &str| {
            tail.eq_ignore_ascii_case(serialised)
                || serialised.strip_prefix('/').is_some_and(|rest| tail.eq_ignore_ascii_case(rest))
        };
        if !same(tail) {
            remarks.add(Remark::PathNormalised);
        }
        if case == Case::Ignored && tail.bytes().any(|b| b.is_ascii_uppercase()) {
            remarks.add(Remark::LowerCased);
        }
        if url.had_trailing_slash() {
            remarks.add(Remark::TrailingSlashRemoved);
        }
    }
}

/// `:port` as the key carries it, or nothing.
fn port_suffix(url: &DeviceUrl<'_>, remarks: &mut Remarks) -> String {
    let written =
        url.port().or_else(|| url.effective_port().filter(|_| url.default_port_written()));
    match written {
        Some(port) => {
            if matches!(port, 80 | 443) {
                remarks.add(Remark::DefaultPortKept);
            }
            format!(":{port}")
        }
        None => String::new(),
    }
}

fn profile_keys(
    url: &DeviceUrl<'_>,
    host: &str,
    profile: Profile,
    remarks: &mut Remarks,
) -> (String, Option<String>) {
    if !url.fragment().is_empty() {
        remarks.add(Remark::FragmentKept);
    }
    let mut port = port_suffix(url, remarks);
    if profile == Profile::Ios26_0 && !port.is_empty() {
        remarks.remove(Remark::DefaultPortKept);
        remarks.add(Remark::PortRemoved);
        port.clear();
    }
    let key = |host: &str| {
        let tail = [host, &port, url.path(), url.query(), url.fragment()];
        let mut text = String::with_capacity(tail.iter().map(|part| part.len()).sum::<usize>() + 1);
        for part in &tail[..3] {
            text.push_str(part);
        }
        // The root keeps its slash in front of a query: that is how the URL is serialised.
        if url.path().is_empty() && tail[3].len() + tail[4].len() > 0 {
            text.push('/');
        }
        text.push_str(tail[3]);
        text.push_str(tail[4]);
        text
    };
    let mut also = None;
    if host != url.host() {
        remarks.add(Remark::WwwRemoved);
        also = (profile == Profile::Ios26_0).then(|| key(url.host()));
    }
    (key(host), also)
}

/// The most specific string that a device generates for the entry under `configuration`.
fn configured_keys(
    url: &DeviceUrl<'_>,
    host: &str,
    scheme_written: bool,
    configuration: &ParsingConfiguration,
    remarks: &mut Remarks,
) -> (String, Option<String>) {
    let ParsingConfiguration { domain, path, query, .. } = configuration;
    let mut drop = |dropped: bool| {
        if dropped {
            remarks.add(Remark::ComponentDropped);
        }
    };
    let head = if domain.excluded {
        drop(true);
        PLACEHOLDER.to_owned()
    } else {
        let host = if domain.strip_www { host } else { url.host() };
        let kept = match url.host_kind() {
            HostKind::Name => last_labels(host, domain.levels),
            HostKind::Address => host,
        };
        drop(kept != host);
        let stripped = host != url.host();
        let port = port_suffix(url, remarks);
        if stripped {
            remarks.add(Remark::WwwRemoved);
        }
        format!("{kept}{port}")
    };
    let mut drop = |dropped: bool| {
        if dropped {
            remarks.add(Remark::ComponentDropped);
        }
    };
    let path = if path.excluded && !url.path().is_empty() {
        drop(url.path() != "/%*");
        Cow::Borrowed("/%*")
    } else {
        let kept = first_segments(url.path(), path.segments);
        drop(kept != url.path());
        Cow::Borrowed(kept)
    };
    let query = if query.excluded && !url.query().is_empty() {
        drop(url.query() != "?%*");
        Cow::Borrowed("?%*")
    } else if let Some(names) = &query.parameters {
        let kept = query.select(url.query(), names);
        drop(kept != url.query());
        Cow::Owned(kept)
    } else {
        Cow::Borrowed(url.query())
    };
    let fragment = if configuration.exclude_fragment && !url.fragment().is_empty() {
        drop(url.fragment() != "#%*");
        "#%*"
    } else {
        url.fragment()
    };
    if !fragment.is_empty() {
        remarks.add(Remark::FragmentKept);
    }
    let slash =
        if path.is_empty() && !(query.is_empty() && fragment.is_empty()) { "/" } else { "" };
    let key = format!("{head}{path}{slash}{query}{fragment}");
    if configuration.exclude_scheme {
        (key, None)
    } else if scheme_written {
        (format!("{}://{key}", url.scheme()), None)
    } else {
        (format!("http://{key}"), Some(format!("https://{key}")))
    }
}

/// Whether a key is a whole registry suffix such as `co.uk` or `github.io`.
fn is_public_suffix(key: &str) -> bool {
    let labels = key.bytes().filter(|&b| b == b'.').count() + 1;
    labels <= 4
        && !key.contains(['/', ':'])
        && psl::suffix(key.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn current(entry: &str) -> Result<(String, Vec<Remark>), Refusal> {
        canonicalise(entry, EntryKind::Url, &SubUrlRule::default())
            .map(|key| (key.text.into_owned(), key.remarks.iter().collect()))
    }

    #[test]
    fn entries_and_what_is_said_of_them() {
        use Remark::*;
        for (entry, key, remarks) in [
            ("example.com", "example.com", vec![]),
            ("example.com/", "example.com", vec![]),
            ("http://example.com/a/b?x=1", "example.com/a/b?x=1", vec![]),
            ("https://example.com/?q=1", "example.com/?q=1", vec![]),
            ("https://example.com?q=1", "example.com/?q=1", vec![]),
            ("example.com/a/", "example.com/a", vec![TrailingSlashRemoved]),
            ("EXAMPLE.com", "example.com", vec![LowerCased]),
            ("https://example.com/Path?Q", "example.com/path?q", vec![LowerCased]),
            ("www.example.com", "example.com", vec![WwwRemoved]),
            ("https://www.www.example.com/x", "example.com/x", vec![WwwRemoved]),
            ("https://user:pw@example.com/", "example.com", vec![UserInfoRemoved]),
            ("example.com.", "example.com", vec![HostNormalised]),
            (
                "https://bücher.example/ü",
                "xn--bcher-kva.example/%c3%bc",
                vec![Punycoded, PathNormalised],
            ),
            ("https://example.com/a/../b", "example.com/b", vec![PathNormalised]),
            ("https://example.com:443/x", "example.com:443/x", vec![DefaultPortKept]),
            ("example.com:80", "example.com:80", vec![DefaultPortKept]),
            ("example.com:8443/x", "example.com:8443/x", vec![]),
            ("https://example.com/a#b", "example.com/a#b", vec![FragmentKept]),
            ("https://example.com/a?#", "example.com/a", vec![PathNormalised]),
            ("ftp://192.0.2.7/x", "192.0.2.7/x", vec![SchemeWidened]),
            ("http://0x7f.1/", "127.0.0.1", vec![HostNormalised]),
            ("*.example.com", "example.com", vec![SubdomainWildcard]),
            (".example.com", "example.com", vec![SubdomainWildcard]),
            ("http://example.com/jp/*", "example.com/jp/*", vec![]),
            ("//example.com/x", "example.com/x", vec![]),
            ("co.uk", "co.uk", vec![PublicSuffix]),
            ("[2001:DB8::1]:8080/a", "[2001:db8::1]:8080/a", vec![LowerCased]),
            ("2001:db8::1", "[2001:db8::1]", vec![HostNormalised]),
        ] {
            let mut remarks = remarks;
            remarks.sort_unstable();
            assert_eq!(current(entry), Ok((key.to_owned(), remarks)), "{entry}");
        }
    }

    #[test]
    fn what_no_key_can_express_is_refused() {
        for (entry, refusal) in [
            ("com", Refusal::SingleLabel),
            ("http://localhost/x", Refusal::SingleLabel),
            ("www.com", Refusal::SingleLabel),
            ("not a host", Refusal::NotAUrl),
            ("a..example", Refusal::NotAHost),
            ("exa$mple.com", Refusal::NotAHost),
            ("999.999.999.999", Refusal::NotAUrl),
            ("ads*.example.com", Refusal::Wildcard),
            ("http://*", Refusal::Wildcard),
            ("mailto:a@example.com", Refusal::NoHost),
            ("javascript:alert(1)", Refusal::NoHost),
            ("hxxp://example.com/", Refusal::Scheme),
            ("", Refusal::NotAUrl),
        ] {
            assert_eq!(current(entry).err(), Some(refusal), "{entry}");
        }
        let label = format!("{}.example", "a".repeat(64));
        assert_eq!(current(&label).err(), Some(Refusal::NotAHost));
        let long = format!("example.com/{}", "a".repeat(70_000));
        assert_eq!(current(&long).err(), Some(Refusal::TooLong));
        let host = |entry| canonicalise(entry, EntryKind::Host, &SubUrlRule::default()).err();
        assert_eq!(host("example.com/x"), Some(Refusal::NotAHost));
        assert_eq!(host("example.com:80"), Some(Refusal::NotAHost));
    }

    #[test]
    fn the_older_rule_keeps_the_www_form_and_no_port() {
        let rule = SubUrlRule::Profile(Profile::Ios26_0);
        let key = canonicalise("www.example.com:8443/x", EntryKind::Url, &rule).unwrap();
        assert_eq!((&*key.text, key.also.as_deref()), ("example.com/x", Some("www.example.com/x")));
        assert!(
            key.remarks.contains(Remark::PortRemoved) && key.remarks.contains(Remark::WwwRemoved)
        );
    }

    #[test]
    fn configurations_shape_the_keys() {
        let key = |entry, json| {
            let key =
                canonicalise(entry, EntryKind::Url, &SubUrlRule::from_json(json).unwrap()).unwrap();
            let dropped = key.remarks.contains(Remark::ComponentDropped);
            (key.text.into_owned(), key.also, dropped)
        };
        let entry = "www.a.example.com/x/y?b=1&a=2#f";
        assert_eq!(
            key(entry, r#"{"domain":{"levels":2},"path":{"segments":1}}"#),
            ("example.com/x?b=1&a=2#f".into(), None, true)
        );
        assert_eq!(
            key(
                entry,
                r#"{"path":{"excluded":true},"query":{"parameters":["a"]},"excludeFragment":true}"#
            ),
            ("a.example.com/%*?a=2#%*".into(), None, true)
        );
        assert_eq!(
            key("example.com/X", r#"{"excludeScheme":false,"caseSensitive":true}"#),
            ("http://example.com/X".into(), Some("https://example.com/X".into()), false)
        );
        let rule = r#"{"urlParsingRegularExpression":"id=(?<id>[0-9]+)"}"#;
        assert_eq!(key("example.com/?id=7", rule).0, "id=7");
        let none =
            canonicalise("example.com", EntryKind::Url, &SubUrlRule::from_json(rule).unwrap());
        assert_eq!(none.err(), Some(Refusal::NoMatch));
    }

    const ENTRY: &str = "(https?://|ftp://|//|\\*\\.)?(u:p@)?(www\\.){0,2}([a-cA-C0-9é-]{1,3}\\.){0,3}[a-z0-9]{1,3}\\.?(:80|:443|:8443|:)?(/[a-cA-C.%é *]{0,3}){0,4}(\\?[a-d=&#é]{0,6})?(#[a-c]{0,2})?";

    fn rules() -> impl Strategy<Value = SubUrlRule> {
        prop::sample::select(vec![
            r#"{"profile":"current"}"#,
            r#"{"profile":"ios26.0"}"#,
            r#"{"path":{"segments":1},"caseSensitive":true}"#,
            r#"{"path":{"excluded":true},"domain":{"stripWWW":false,"levels":3}}"#,
            r#"{"query":{"parameters":["a","b"]},"excludeFragment":true}"#,
            r#"{"excludeScheme":false,"query":{"excluded":true},"excludeIntermediates":true}"#,
        ])
        .prop_map(|json| SubUrlRule::from_json(json).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]
        #[test]
        fn a_key_is_generated_for_its_own_url_and_stays_as_it_is(entry in ENTRY, rule in rules()) {
            let Ok(key) = canonicalise(&entry, EntryKind::Url, &rule) else { return Ok(()) };
            let absolute = match split_scheme(&entry) {
                Some((scheme, rest)) => format!("{scheme}://{}", rest.strip_prefix("*.").unwrap_or(rest)),
                None => {
                    let rest = entry.strip_prefix("//").unwrap_or(&entry);
                    format!("http://{}", rest.strip_prefix("*.").unwrap_or(rest))
                }
            };
            let url = rule.parse(&absolute).unwrap();
            let sub_urls = url.sub_urls().sorted(100_000).unwrap();
            prop_assert!(sub_urls.iter().any(|s| *s == key.text), "{} not in {:?}", key.text, sub_urls);
            let again = canonicalise(&key.text, EntryKind::Url, &rule).unwrap();
            prop_assert_eq!(&again.text, &key.text);
            if let (Some(also), SubUrlRule::Profile(_)) = (&key.also, &rule) {
                prop_assert!(sub_urls.contains(also));
                let again = canonicalise(also, EntryKind::Url, &rule).unwrap();
                prop_assert_eq!((&again.text, &again.also), (&key.text, &key.also));
            }
        }

        #[test]
        fn plain_entries_need_no_rewriting(entry in "([a-z0-9-]{1,4}\\.){0,3}[a-z0-9-]{1,3}(/[a-z.%/_=-]{0,6}){0,2}") {
            if let Some(shape) = plain_entry(&entry) {
                let mut key = rewrite(&entry, EntryKind::Url, &SubUrlRule::default()).unwrap();
                key.remarks.remove(Remark::PublicSuffix);
                prop_assert_eq!(&key.text, &entry);
                prop_assert!(key.remarks.is_empty() && key.also.is_none());
                prop_assert_eq!(shape == Plain::Host, !entry.contains('/'));
            }
        }

        #[test]
        fn no_entry_makes_it_panic(entry in "\\PC{0,40}", host in any::<bool>(), rule in rules()) {
            let kind = if host { EntryKind::Host } else { EntryKind::Url };
            let _ = canonicalise(&entry, kind, &rule);
        }
    }
}
