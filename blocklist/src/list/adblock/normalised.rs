//! Rules that match no URL, because they are written as no browser writes URLs (URL Standard), or a host that keys do not have.
//!
//! A URL parser would repair their texts, and the key would block what the rule never blocked.

use super::Anchor;
use crate::key::Refusal;
use crate::key::names::ends_with_dot;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Refuses a pattern with characters that no URL has in any part that rules are compared with.
pub(super) fn check_characters(pattern: &str) -> Result<(), Refusal> {
    let is_odd = |byte: u8| matches!(byte, 0..=b' ' | b'"' | b'<' | b'>' | 0x7f..);
    if !pattern.bytes().any(is_odd) {
        return Ok(());
    }
    if pattern.contains(char::is_control) {
        Err(Refusal::ControlCharacter)
    } else if pattern.contains(char::is_whitespace) {
        Err(Refusal::WhiteSpace)
    } else if pattern.contains(['"', '<', '>']) {
        Err(Refusal::NeverMatches)
    } else {
        // Blockers write international hosts in punycode, and escape the rest.
        Ok(())
    }
}

/// The parts of a rule that begins at a host.
pub(super) struct Parts<'r> {
    pub(super) anchor: Anchor,
    /// The scheme, if the rule has one.
    pub(super) scheme: Option<&'r str>,
    /// The host with its port.
    pub(super) host: &'r str,
    /// Path and query; empty, or from its slash on.
    pub(super) path: &'r str,
    /// Whether a separator or the end of the URL must follow.
    pub(super) is_ended: bool,
}

impl Parts<'_> {
    /// Refuses a rule that matches no URL, or those of another host than its key.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.has_other_host() || self.has_escaped_character() {
            return Err(Refusal::NeverMatches);
        }
        self.check_dot()?;
        self.check_segments()
    }

    /// Refuses a host with a dot at its end: browsers keep it (URL Standard, *host serializing*), so that the rule says nothing
    /// of the host without it. Of an address they leave it out.
    fn check_dot(&self) -> Result<(), Refusal> {
        let name = self.name_and_port().0;
        // Without an end, other labels may follow.
        let is_open = self.path.is_empty() && !self.is_ended;
        if is_open || !ends_with_dot(name) {
            return Ok(());
        }
        Err(if ends_in_number(name) { Refusal::NeverMatches } else { Refusal::AbsoluteHost })
    }

    fn name_and_port(&self) -> (&str, Option<&str>) {
        match self.host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, Some(port)),
            _ => (self.host, None),
        }
    }

    /// Whether browsers write the host or its port in another way.
    fn has_other_host(&self) -> bool {
        if self.host.contains(['%', '\\']) {
            return true;
        }
        let (name, port) = self.name_and_port();
        if let Some(port) = port {
            let default = match self.scheme.unwrap_or_default().to_ascii_lowercase().as_str() {
                "http" | "ws" => "80",
                "https" | "wss" => "443",
                "ftp" => "21",
                _ => "",
            };
            if port == default || port.is_empty() || (port.len() > 1 && port.starts_with('0')) {
                return true;
            }
        }
        if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            return address.parse::<Ipv6Addr>().is_ok_and(|parsed| {
                parsed.to_ipv4_mapped().is_none()
                    && !address.eq_ignore_ascii_case(&parsed.to_string())
            });
        }
        // In front of the last parts of an address there may be others.
        self.anchor == Anchor::Start && ends_in_number(name) && name.parse::<Ipv4Addr>().is_err()
    }

    /// Whether path or query have a character that browsers escape or replace there.
    fn has_escaped_character(&self) -> bool {
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        path.contains(['\\', '`', '{', '}']) || query.contains('\'')
    }

    /// Refuses segments of dots, which browsers resolve.
    fn check_segments(&self) -> Result<(), Refusal> {
        let (path, query) = match self.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.path, None),
        };
        let mut segments = path.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            if !is_dots(segment) {
                continue;
            }
            // A name such as `.x` may begin with it.
            let is_open = segments.peek().is_none() && query.is_none() && !self.is_ended;
            return Err(if is_open { Refusal::Pattern } else { Refusal::NeverMatches });
        }
        Ok(())
    }
}

/// Whether browsers take a name for an address.
fn ends_in_number(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    let digits = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_hexadecimal = digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    is_hexadecimal || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()))
}

/// `.`, `..`, and the same with escaped dots.
fn is_dots(segment: &str) -> bool {
    // Six characters are two escaped dots.
    segment.starts_with(['.', '%'])
        && segment.len() <= 6
        && matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use crate::list::tests::{details, events};
    use crate::list::{Format, ReadOptions};

    #[test]
    fn rules_that_match_no_url_are_refused() {
        for (rule, event) in [
            ("||a.example ^", "1 -white-space"),
            ("|| a.example^", "1 -white-space"),
            ("||a .example^", "1 -white-space"),
            ("||a.example/x y^", "1 -white-space"),
            ("||a.example\u{a0}^", "1 -white-space"),
            ("||a.example\t^", "1 -control-character"),
            ("||a.example ^$important", "1 -white-space"),
            ("||a.example^ $important", "1 -white-space"),
            ("|https://a.example /", "1 -white-space"),
            ("https://a.example/ x", "1 -white-space"),
            ("* .a.example^", "1 -white-space"),
            ("Please see the new page", "1 -white-space"),
            ("x<html>", "1 -never-matches"),
            ("||a.example/\"x\"", "1 -never-matches"),
            ("||a.example/a/../b", "1 -never-matches"),
            ("||a.example/./b", "1 -never-matches"),
            ("||a.example/a/%2E%2e/b", "1 -never-matches"),
            ("||a.example/a/.%2e?x", "1 -never-matches"),
            ("||a.example/a/..^", "1 -never-matches"),
            ("|https://a.example/..|", "1 -never-matches"),
            ("||a.example/a/.", "1 -pattern"),
            ("||a.example/a/..", "1 -pattern"),
            ("||a.example/\\b", "1 -never-matches"),
            ("||a.example\\b^", "1 -never-matches"),
            ("||a.example/{b}", "1 -never-matches"),
            ("||a.example/b?c='d'", "1 -never-matches"),
            ("||ex%61mple.com^", "1 -never-matches"),
            ("||a.example:^", "1 -never-matches"),
            ("||a.example:080^", "1 -never-matches"),
            ("|http://a.example:80/", "1 -never-matches"),
            ("|https://a.example:443/x", "1 -never-matches"),
            ("|http://127.1/x", "1 -never-matches"),
            ("|http://0x7f.0.0.1/x", "1 -never-matches"),
            ("||[2001:db8:0::1]^", "1 -never-matches"),
            // These match.
            ("||a.example/.well-known/x^", "1 a.example/.well-known/x host-only-on-26"),
            ("||a.example/a.../b^", "1 a.example/a.../b host-only-on-26"),
            ("||a.example/x?c=\\d`{e}^", "1 a.example/x?c=\\d`{e} host-only-on-26"),
            ("||a.example:80^", "1 a.example:80"),
            ("|https://a.example:80/", "1 https://a.example:80/"),
            ("||bücher.example/ü^", "1 bücher.example/ü host-only-on-26"),
            ("|http://192.0.2.1/x|", "1 http://192.0.2.1/x"),
            ("||[2001:DB8::1]^", "1 [2001:DB8::1]"),
        ] {
            assert_eq!(events(rule, Format::Adblock), [event], "{rule}");
        }
    }

    #[test]
    fn a_host_with_a_dot_at_its_end_is_another_host() {
        for (rule, event) in [
            ("||a.example.^", "1 -absolute-host"),
            ("||a.example.^|", "1 -absolute-host"),
            ("||a.example.|", "1 -absolute-host"),
            ("||a.example.^$important", "1 -absolute-host"),
            ("||a.example.^$badfilter", "1 -absolute-host"),
            ("||a.example./", "1 -absolute-host"),
            ("||a.example./x", "1 -absolute-host"),
            ("||*.a.example./x^", "1 -absolute-host"),
            ("||a.example.:8080^", "1 -absolute-host"),
            ("|https://a.example./", "1 -absolute-host"),
            ("|https://a.example./x|", "1 -absolute-host"),
            ("|http*://a.example.^", "1 -absolute-host"),
            ("https://a.example./x", "1 -absolute-host"),
            ("||a.example\u{3002}^", "1 -absolute-host"),
            ("||192.0.2.1.^", "1 -never-matches"),
            ("|http://192.0.2.1./x", "1 -never-matches"),
            // Other labels may follow.
            ("||a.example.", "1 -pattern"),
            ("|https://a.example.", "1 -pattern"),
            ("a.example.", "1 -pattern"),
            // An exception would allow the host without the dot.
            ("@@||a.example.^", "1 -exception"),
            ("@@|https://a.example./x|", "1 -exception"),
            // Of a hosts file.
            ("0.0.0.0 a.example.", "1 a.example."),
        ] {
            assert_eq!(events(rule, Format::Adblock), [event], "{rule}");
        }
    }

    #[test]
    fn an_exception_that_matches_no_url_allows_nothing() {
        for rule in ["@@||a.example ^", "@@||a.example/a/../b", "@@|http://a.example:80/|"] {
            assert_eq!(events(rule, Format::Adblock), ["1 -exception"], "{rule}");
        }
        let options = ReadOptions::from(Format::Adblock).with_widened_rules(true);
        assert_eq!(details("||a.example/./b$script", &options), ["1 -never-matches"]);
    }
}
