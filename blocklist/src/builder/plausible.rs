//! What the text of an entry can mean, and what its key blocks beyond that.

use crate::key::names::{is_ipv4, split_host};
use crate::key::{EntryKind, Refusal, Remark, Remarks, Systems};
use crate::list::Scope;
use crate::list::adblock::{COSMETIC, options};
use filter_core::sub_url::{SubUrlRule, System};
use std::net::IpAddr;

/// White space and control characters.
const CONTROL: u8 = 1;
const NUMBER_SIGN: u8 = 2;
const DOLLAR: u8 = 4;
/// What stands inside of a range of addresses.
const RANGE: u8 = 8;
const NOT_ASCII: u8 = 16;

/// The mark of each byte. A table has no branches, which would be mispredicted for many entries.
const MARKS: [u8; 256] = {
    let mut marks = [0; 256];
    let mut byte = 0;
    while byte < marks.len() {
        marks[byte] = match byte as u8 {
            0..=b' ' | 0x7f => CONTROL,
            b'#' => NUMBER_SIGN,
            b'$' => DOLLAR,
            b'/' | b'-' => RANGE,
            0x80.. => NOT_ASCII,
            _ => 0,
        };
        byte += 1;
    }
    marks
};

/// Refuses a text that no list means as an entry, although a URL parser takes or repairs it.
///
/// # Errors
/// [`Refusal::ControlCharacter`], [`Refusal::WhiteSpace`], [`Refusal::AddressRange`], [`Refusal::ElementHiding`],
/// [`Refusal::RuleOption`] or [`Refusal::NotAHost`].
pub(crate) fn check_text(entry: &str, kind: EntryKind) -> Result<(), Refusal> {
    // Each check looks for its own mark, and most entries have none. Searching all of them took longer than the rest.
    let marks = entry.bytes().fold(0, |marks, byte| marks | MARKS[byte as usize]);
    let has = |mark: u8| marks & mark != 0;
    if has(CONTROL) {
        return Err(white_space_or_control(entry));
    }
    let (has_number_sign, has_dollar, is_ascii) = (has(NUMBER_SIGN), has(DOLLAR), !has(NOT_ASCII));
    let may_be_range = has(RANGE);
    if !is_ascii && entry.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(white_space_or_control(entry));
    }
    if !is_ascii && has_invisible(entry) {
        return Err(Refusal::ControlCharacter);
    }
    if has_glued_sink(entry) {
        return Err(Refusal::GluedSink);
    }
    // An address begins with a digit, or has a colon.
    let may_be_range =
        may_be_range && (entry.starts_with(|c: char| c.is_ascii_digit()) || entry.contains(':'));
    if may_be_range && is_address_range(entry) {
        return Err(Refusal::AddressRange);
    }
    if kind != EntryKind::Url {
        return Ok(());
    }
    if has_number_sign && COSMETIC.iter().any(|mark| entry.contains(mark)) {
        return Err(Refusal::ElementHiding);
    }
    if has_dollar && options::end(entry) {
        return Err(Refusal::RuleOption);
    }
    if is_host_before_backslash(entry) {
        return Err(Refusal::NotAHost);
    }
    Ok(())
}

/// The same for a text that is a key as it is ([`is_key`](crate::key::is_key)). Of all that [`check_text`] refuses it can only be
/// this.
pub(super) fn check_key(entry: &str) -> Result<(), Refusal> {
    if has_glued_sink(entry) { Err(Refusal::GluedSink) } else { Ok(()) }
}

fn white_space_or_control(entry: &str) -> Refusal {
    match entry.chars().any(char::is_control) {
        true => Refusal::ControlCharacter,
        false => Refusal::WhiteSpace,
    }
}

/// Whether the host has a character that is not seen, and that URL parsers leave out (UTS 46, mapped to nothing).
fn has_invisible(entry: &str) -> bool {
    let host = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let host = &host[..host.find(['/', '?', '#']).unwrap_or(host.len())];
    host.contains(|c| {
        matches!(c, '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{200b}'
            | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
    })
}

/// `0.0.0.0a.example`, `127.0.0.1a.example`. Names do have labels such as `1a`, but not behind an address of the machine.
fn has_glued_sink(entry: &str) -> bool {
    const SINKS: [&str; 2] = ["0.0.0.0", "127.0.0.1"];
    matches!(entry.as_bytes().first(), Some(b'0' | b'1'))
        && SINKS
            .iter()
            .filter_map(|sink| entry.strip_prefix(sink))
            .any(|rest| rest.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '*')))
}

/// `a.example\`. In a list of names the backslash continues the line or is damage, and a URL parser takes it for a slash.
fn is_host_before_backslash(entry: &str) -> bool {
    let host = entry.trim_end_matches('\\');
    host.len() < entry.len() && !host.contains(['/', '\\', '?', '#'])
}

/// `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.1-192.0.2.9`.
fn is_address_range(entry: &str) -> bool {
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

/// Adds what a key of a host and what stands behind it blocks beyond the requests that its entry names.
pub(super) fn coverage(scope: Scope, host: &str, rest: &str, remarks: &mut Remarks) {
    if scope == Scope::Site {
        return;
    }
    let has_subdomains = !(host.starts_with('[') || is_ipv4(host));
    match scope {
        Scope::Host | Scope::Page if has_subdomains => remarks.add(Remark::CoversSubdomains),
        Scope::Subdomains => remarks.add(Remark::CoversAnotherHost),
        Scope::Site | Scope::Host | Scope::Page => {}
    }
    if scope == Scope::Page {
        // Nothing, or a port.
        let is_host = memchr::memchr3(b'/', b'?', b'#', rest.as_bytes()).is_none();
        if is_host {
            remarks.add(Remark::CoversWholeHost);
        } else if memchr::memchr(b'#', rest.as_bytes()).is_none() {
            remarks.add(Remark::CoversPaths);
        }
    }
}

/// Says of an entry that names the hosts below another on which systems its key does not cover them. The readers of formats
/// have said it of every rule with a path.
pub(super) fn hosts_below(scope: Scope, key: &str, systems: Systems, remarks: &mut Remarks) {
    let is_unconfigured = systems.contains(System::V27Unconfigured);
    if !remarks.contains(Remark::HostOnlyOn26) && !is_unconfigured {
        return;
    }
    let (host, rest) = split_host(key);
    let is_name = !(host.starts_with('[') || is_ipv4(host));
    let is_exact = remarks.contains(Remark::NotOn26) || remarks.contains(Remark::ExactOn26);
    if !is_name || rest.is_empty() || is_exact || !systems.contains(System::V26) {
        remarks.remove(Remark::HostOnlyOn26);
    }
    let names_hosts_below = matches!(scope, Scope::Site | Scope::Subdomains);
    if is_name && names_hosts_below && is_unconfigured {
        remarks.add(Remark::HostOnlyUnconfigured);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("a\u{200b}.example", Refusal::ControlCharacter),
            ("https://a\u{ad}b.example/x", Refusal::ControlCharacter),
            ("0.0.0.0keep.example", Refusal::GluedSink),
            ("127.0.0.1keep.example/x", Refusal::GluedSink),
            ("0.0.0.0*.keep.example", Refusal::GluedSink),
            ("192.0.2.0/24", Refusal::AddressRange),
            ("2001:db8::/32", Refusal::AddressRange),
            ("[2001:db8::]/32", Refusal::AddressRange),
            ("192.0.2.1-192.0.2.9", Refusal::AddressRange),
            ("192.0.2.1-9", Refusal::AddressRange),
            ("1000logos.net/###ai_widget-4", Refusal::ElementHiding),
            ("fuse-cloud.com/$~xmlhttprequest", Refusal::RuleOption),
            ("a.example/x$third-party,domain=b.example", Refusal::RuleOption),
            ("a.example\\", Refusal::NotAHost),
            ("a.example:8080\\\\", Refusal::NotAHost),
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
            "https://a.example/\u{200b}",
            "\u{646}\u{627}\u{645}\u{647}\u{200c}\u{627}\u{6cc}.example",
            "127.0.0.1.a.example",
            "0.0.0.0-a.example",
            "1.2.3.4a.example",
            "10.0.0.0a.example",
        ] {
            assert_eq!(check_text(entry, EntryKind::Url), Ok(()), "{entry:?}");
        }
    }

    #[test]
    fn what_a_key_covers_beyond_its_entry() {
        let of = |scope, key: &str| {
            let mut remarks = Remarks::default();
            let (host, rest) = split_host(key);
            coverage(scope, host, rest, &mut remarks);
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
