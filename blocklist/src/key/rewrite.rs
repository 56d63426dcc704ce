//! Entries that are not written as devices write URLs.

use super::compose::{configured_keys, profile_keys};
use super::names::ends_with_dot;
use super::system_keys::system_keys;
use super::{CanonicalKey, EntryKind, KeyRules, MAX_LABEL, MAX_NAME, Refusal, Remark, Remarks};
use filter_core::sub_url::parts::{authority, is_hostless, split_scheme, split_special_scheme};
use filter_core::sub_url::{Case, DeviceUrl, HostKind, SubUrlRule, UrlError};
use std::borrow::Cow;

/// Takes an entry apart and puts its key together. Stars at the end of a path or query are left out, as browser policies and
/// match patterns mean them.
pub(super) fn rewrite<'e>(
    entry: &'e str,
    kind: EntryKind,
    rules: &KeyRules,
) -> Result<CanonicalKey<'e>, Refusal> {
    let mut key = rewrite_as_written(entry, kind, rules)?;
    let has_star = match rules.rule() {
        // Keys may have placeholders with stars, or leave out where the star stands.
        SubUrlRule::Parsing(_) => behind_scheme(entry).trim_start_matches("*.").contains('*'),
        _ => key.text.contains('*'),
    };
    if !has_star {
        return Ok(key);
    }
    // A key stands for what follows it where devices ask for the beginnings of a path as well.
    let open = match (written_without_end_star(entry), rules.rule()) {
        (Some(open), SubUrlRule::Profile(_)) => vec![open.to_owned()],
        (None, SubUrlRule::Profile(_)) => opened(entry, &key),
        (Some(open), SubUrlRule::Parsing(configuration))
            if configuration.path.enumerate_hierarchy && !configuration.exclude_intermediates =>
        {
            vec![open.to_owned()]
        }
        _ => Vec::new(),
    };
    let Some(first) = open.first() else {
        key.remarks.add(Remark::StarKept);
        return Ok(key);
    };
    let is_segment = match rules.rule() {
        SubUrlRule::Profile(_) => {
            without_end_star(&key.text).is_some_and(|open| key.text[open.len()..].starts_with('/'))
        }
        _ => entry[first.len()..].starts_with('/'),
    };
    // As it is written, it keeps what systems spell in different ways. Each is shorter than the entry, so that this ends.
    let (mut meant, mut meant_remarks) = (Vec::new(), Remarks::default());
    for open in &open {
        let CanonicalKey { text, others, remarks } = rewrite(open, kind, rules)?;
        meant_remarks.extend(remarks);
        for one in [text.into_owned()].into_iter().chain(others) {
            if !meant.contains(&one) {
                meant.push(one);
            }
        }
    }
    key.remarks.extend(meant_remarks);
    key.remarks.add(Remark::EndStarRemoved);
    if is_segment {
        let text = Cow::Owned(meant.remove(0));
        return Ok(CanonicalKey { text, others: meant, remarks: key.remarks });
    }
    // The rule of Adblock syntax. A URL may have the star as it is, too.
    key.remarks.add(Remark::PathPrefix);
    for one in meant {
        if one != key.text && !key.others.contains(&one) {
            key.others.push(one);
        }
    }
    Ok(key)
}

fn behind_scheme(entry: &str) -> &str {
    let rest = split_special_scheme(entry).map_or(entry, |(_, rest)| rest);
    rest.trim_start_matches(['/', '\\'])
}

/// An entry without stars at the end of its path or query, if that is how it is written.
fn written_without_end_star(entry: &str) -> Option<&str> {
    let entry = entry.trim_end();
    // An empty fragment, and an empty query in front of it, are no part of a key. A second mark is a character of the first part.
    let entry = entry.strip_suffix('#').filter(|rest| !rest.contains('#')).unwrap_or(entry);
    let entry = entry.strip_suffix('?').filter(|rest| !rest.contains(['?', '#'])).unwrap_or(entry);
    let entry = if entry.contains('?') { entry } else { entry.strip_suffix('/').unwrap_or(entry) };
    // White space at the end would be lost, and dot segments name another path.
    without_end_star(entry)
        .filter(|open| !open.ends_with(|last: char| last <= ' ') && !ends_in_dot_segment(open))
}

/// The spellings of a key that differ in `www.` and the case of letters alone, as entries without the stars at the end.
fn opened(entry: &str, key: &CanonicalKey<'_>) -> Vec<String> {
    let scheme =
        split_special_scheme(entry).map_or_else(String::new, |(scheme, _)| format!("{scheme}://"));
    let wildcard = if key.remarks.contains(Remark::SubdomainWildcard) { "*." } else { "" };
    let plain = without_www(&key.text);
    let others = key.others.iter().map(String::as_str);
    let same = others.filter(|other| without_www(other).eq_ignore_ascii_case(plain));
    let spellings = [&*key.text].into_iter().chain(same).filter_map(without_end_star);
    let spellings = spellings.filter(|spelling| !ends_in_dot_segment(spelling));
    spellings.map(|spelling| [&scheme, wildcard, spelling].concat()).collect()
}

fn without_www(mut key: &str) -> &str {
    while let Some(rest) = key.strip_prefix("www.") {
        key = rest;
    }
    key
}

/// Whether the last segment of a path is `.` or `..`, escaped or not.
fn ends_in_dot_segment(open: &str) -> bool {
    let last = &open[open.rfind(['/', '\\']).map_or(0, |at| at + 1)..];
    let dots = last.to_ascii_lowercase().replace("%2e", ".");
    !open.contains('?') && matches!(dots.as_str(), "." | "..")
}

/// A key without the stars at the end of its path or query, and without the segments at the end that are stars alone; `None` if
/// it has none there.
fn without_end_star(key: &str) -> Option<&str> {
    let open = key.trim_end_matches('*');
    if open.len() == key.len() || open.contains('#') {
        return None;
    }
    if open.contains('?') {
        return Some(open);
    }
    let Some(mut open) = open.strip_suffix('/') else { return Some(open) };
    // All at once: an entry may have thousands.
    while let Some(before) = open.strip_suffix('*').map(|rest| rest.trim_end_matches('*'))
        && let Some(before) = before.strip_suffix('/')
    {
        open = before;
    }
    Some(open)
}

/// Takes an entry apart in which a star is a character.
fn rewrite_as_written<'e>(
    entry: &'e str,
    kind: EntryKind,
    rules: &KeyRules,
) -> Result<CanonicalKey<'e>, Refusal> {
    let rule = rules.rule();
    let mut remarks = Remarks::default();
    let (scheme, written) = match kind {
        EntryKind::Host
            if entry.contains(['/', '?', '#', '@', ':', '\\']) && !is_bare_ipv6(entry) =>
        {
            return Err(Refusal::NotAHost);
        }
        EntryKind::Host => (None, entry),
        // The same cuts as `SubUrlRule::parse_lenient` makes.
        EntryKind::Url | EntryKind::Key => match split_special_scheme(entry) {
            // A local name and its port: the parser reads the port as an address.
            Some((_, rest)) if is_number(authority_as_written(rest)) => {
                return Err(Refusal::SingleLabel);
            }
            Some((scheme, rest)) => {
                let written = rest.strip_prefix("//").unwrap_or_else(|| {
                    remarks.add(Remark::PathNormalised);
                    rest.trim_start_matches(['/', '\\'])
                });
                (Some(scheme), written)
            }
            None => match split_scheme(entry) {
                Some(_) => return Err(Refusal::Scheme),
                None if is_hostless(entry) => return Err(Refusal::NoHost),
                // An address of mail, not a user at a host.
                None if authority_as_written(entry).contains('@') => {
                    return Err(Refusal::NotAHost);
                }
                None => (None, entry.strip_prefix("//").unwrap_or(entry)),
            },
        },
    };
    if matches!(scheme, Some("ftp" | "ws" | "wss")) {
        remarks.add(Remark::SchemeWidened);
    }
    let (written, wildcard) = match written.strip_prefix("*.").or_else(|| written.strip_prefix('.'))
    {
        Some(host) => (host, true),
        None => (written, false),
    };
    if wildcard {
        remarks.add(Remark::SubdomainWildcard);
    }
    let url = parse(entry, written, scheme, wildcard, rule).map_err(|error| match error {
        UrlError::TooLong(_) => Refusal::TooLong,
        UrlError::NoHost => Refusal::NoHost,
        _ if authority(written).contains('*') => Refusal::Wildcard,
        _ if kind == EntryKind::Host => Refusal::NotAHost,
        _ => Refusal::NotAUrl,
    })?;
    check_host(&url)?;
    if scheme.is_none() && is_number_as_address(written, &url) {
        return Err(Refusal::NotAHost);
    }
    let host = without_every_www(&url);
    if url.host_kind() == HostKind::Name && !host.contains('.') {
        return Err(Refusal::SingleLabel);
    }
    remark_differences(written, &url, rule.case(), &mut remarks);
    if kind != EntryKind::Host && names_absolute_host(scheme, written, &url) {
        remarks.add(Remark::CoversAnotherHost);
    }
    let (text, others) = match rule {
        SubUrlRule::Profile(_) if !rules.systems().is_empty() => {
            let parse = |rule: &'static SubUrlRule| parse(entry, written, scheme, wildcard, rule);
            system_keys(&url, host, scheme.is_some(), rules, &parse, &mut remarks)?
        }
        SubUrlRule::Profile(profile) => {
            let (text, second) = profile_keys(&url, host, *profile, &mut remarks);
            (text, second.into_iter().collect())
        }
        SubUrlRule::Parsing(configuration) => {
            let (text, second) =
                configured_keys(&url, host, scheme.is_some(), configuration, &mut remarks);
            (text, second.into_iter().collect())
        }
        SubUrlRule::RegularExpression(_) => {
            let of = |url: &DeviceUrl<'_>| url.sub_urls().expression_key().map(str::to_owned);
            let mut keys: Vec<String> = of(&url).into_iter().collect();
            // An entry without a scheme means both, and the expression may keep it.
            if scheme.is_none()
                && let Ok(url) = parse(entry, written, Some("https"), true, rule)
            {
                keys.extend(of(&url).filter(|key| !keys.contains(key)));
            }
            if keys.is_empty() {
                return Err(Refusal::NoMatch);
            }
            (keys.remove(0), keys)
        }
        _ => return Err(Refusal::UnknownRule),
    };
    Ok(CanonicalKey { text: Cow::Owned(text), others, remarks })
}

/// Parses what an entry names. `written` is the entry without `scheme` and without the wildcard in front.
fn parse<'r>(
    entry: &str,
    written: &str,
    scheme: Option<&str>,
    wildcard: bool,
    rule: &'r SubUrlRule,
) -> Result<DeviceUrl<'r>, UrlError> {
    match scheme {
        // The parser is given the entry itself, so that it may strip and repair as browsers do.
        Some(_) if !wildcard => rule.parse(entry),
        Some(scheme) if is_bare_ipv6(written) => rule.parse(&format!("{scheme}://[{written}]")),
        Some(scheme) => rule.parse(&format!("{scheme}://{written}")),
        None if is_bare_ipv6(written) => rule.parse_schemeless(&format!("[{written}]")),
        None => rule.parse_schemeless(written),
    }
}

/// What stands in front of the first slash, query or fragment.
fn authority_as_written(rest: &str) -> &str {
    &rest[..rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len())]
}

/// Whether the parser took a number, a version or a time of day for an IPv4 address, as it may only in a URL.
fn is_number_as_address(written: &str, url: &DeviceUrl<'_>) -> bool {
    let authority = authority_as_written(written);
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    url.host_kind() == HostKind::Address
        && !url.host().starts_with('[')
        && host.trim_end_matches('.').parse::<std::net::Ipv4Addr>().is_err()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Eight groups of hexadecimal digits without brackets, as hosts files write IPv6.
fn is_bare_ipv6(entry: &str) -> bool {
    entry.contains(':') && entry.parse::<std::net::Ipv6Addr>().is_ok()
}

/// Refuses hosts that DNS could not resolve but the URL parser accepts.
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

/// Whether an entry is a URL whose host ends with a dot. That is another host for browsers (URL Standard), and the same for
/// devices, as far as is known. A name alone is one of the DNS, where the dot has no meaning.
fn names_absolute_host(scheme: Option<&str>, written: &str, url: &DeviceUrl<'_>) -> bool {
    let (host, rest) = split_authority(written);
    url.host_kind() == HostKind::Name
        && ends_with_dot(host)
        && (scheme.is_some() || !rest.is_empty())
}

/// The host as it is written, without user name and password, and what stands behind it.
fn split_authority(written: &str) -> (&str, &str) {
    let written = written.trim_start_matches(['/', '\\']);
    let place = &written[..authority(written).len()];
    let start = place.rfind('@').map_or(0, |at| at + 1);
    let length = place[start..].find(':').unwrap_or(place.len() - start);
    written[start..].split_at(length)
}

/// The host without any leading `www.`. Devices strip one. A key without the others is still generated, as
/// a parent, and canonicalising it again does not change it.
fn without_every_www<'u>(url: &'u DeviceUrl<'_>) -> &'u str {
    let mut host = url.host();
    if url.host_kind() == HostKind::Name {
        while let Some(rest) = host.strip_prefix("www.").filter(|rest| !rest.is_empty()) {
            host = rest;
        }
    }
    host
}

/// Adds remarks on the differences between the entry as written and the parsed URL.
fn remark_differences(written: &str, url: &DeviceUrl<'_>, case: Case, remarks: &mut Remarks) {
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
            // An empty segment at the end names another page, which has the same key.
            if serialised[..serialised.find(['?', '#']).unwrap_or(serialised.len())].ends_with("//")
            {
                remarks.add(Remark::CoversAnotherPage);
            }
        }
    }
}
