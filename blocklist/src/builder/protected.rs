//! Files of hosts that no key may block.

use super::plausible::check_text;
use crate::key::names::split_host;
use crate::key::{EntryKind, InvalidName, KeyRules, NameRules, Refusal, canonicalise};
use crate::list::adblock::is_retraction;
use crate::list::{self, Action, Event, Format, ListError, ReadOptions};
use std::net::IpAddr;

/// A file of protected hosts that cannot be used as a whole, and so is not used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// It cannot be read as a list; `source()` says why.
    #[error("cannot be read as a list")]
    List(#[from] ListError),
    /// A line names no host.
    #[error("line {line}: {text:?} protects no host: {}", .refusal.explanation())]
    #[non_exhaustive]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What stands there.
        text: String,
        /// Why it names no host.
        refusal: Refusal,
    },
    /// A line names something smaller than a host, which no key of a host spares.
    #[error(
        "line {line}: {text:?} names a part of a host, and only whole hosts can be protected; --allow is for pages and rules"
    )]
    #[non_exhaustive]
    PartOfHost {
        /// The line, counted from 1.
        line: u64,
        /// What stands there.
        text: String,
    },
}

/// Adds the hosts of a file to those that no key may block. The file is a list of any format that needs no option, or has
/// one of these on each line, in any mixture: a host, `*.host`, `host:port`, the URL of a host, `||host^`, and an address with
/// names behind it. Exceptions (`@@||host^`) count as what they name.
///
/// # Errors
/// [`ProtectError`] names the first line that is none of these: a host that is left out would not be protected.
pub fn protect(names: NameRules, file: &[u8]) -> Result<NameRules, ProtectError> {
    let text = std::str::from_utf8(file);
    let hosts = match (listed(file, &ReadOptions::default()), text) {
        (Ok((Format::Urls | Format::Hosts | Format::Adblock, _)) | Err(_), Ok(text)) => {
            hosts_of_lines(text)?
        }
        (Ok((_, hosts)), _) => hosts?,
        (Err(error), Err(_)) => return Err(error.into()),
    };
    hosts.into_iter().try_fold(names, |names, (line, text)| {
        let refuse = |refusal| ProtectError::Line { line, text: text.clone(), refusal };
        let host = host_of(&text).map_err(refuse)?;
        let Some(host) = host else { return Err(ProtectError::PartOfHost { line, text }) };
        names.with_protected(&host).map_err(|InvalidName { refusal, .. }| refuse(refusal))
    })
}

/// What stands on which line.
type Named = Vec<(u64, String)>;

/// The format of a list, and what its entries name.
fn listed(
    list: &[u8],
    options: &ReadOptions,
) -> Result<(Format, Result<Named, ProtectError>), ListError> {
    let mut hosts = Ok(Vec::new());
    let summary = list::read(list, options, |event| match (event, &mut hosts) {
        // What stands for the machine itself is in every hosts file.
        (Event::Refused { refusal: Refusal::LocalName, .. }, _) | (_, Err(_)) => {}
        (Event::Entry { line, entry }, Ok(_))
            if matches!(entry.action, Action::Retract | Action::RetractException) =>
        {
            let (text, refusal) = (entry.text.to_owned(), Refusal::Retraction);
            hosts = Err(ProtectError::Line { line, text, refusal });
        }
        (Event::Entry { line, entry }, Ok(hosts)) => hosts.push((line, entry.text.to_owned())),
        (Event::Refused { line, refusal, text }, Ok(_)) => {
            hosts = Err(ProtectError::Line { line, text: text.to_owned(), refusal });
        }
    })?;
    Ok((summary.format, hosts))
}

/// What the lines of a file name, each by itself.
fn hosts_of_lines(text: &str) -> Result<Named, ProtectError> {
    let mut hosts = Vec::new();
    for (line, written) in (1..).zip(text.lines()) {
        let content = written.trim_start_matches('\u{feff}').trim();
        if content.starts_with(['#', '!', ';', '[']) {
            continue;
        }
        let mut words = content
            .split_whitespace()
            .take_while(|word| !word.starts_with(['#', '!', ';']))
            .peekable();
        let Some(first) = words.next() else { continue };
        if first.parse::<IpAddr>().is_ok() && words.peek().is_some() {
            // Whatever the address is, the names are meant.
            let options = ReadOptions::from(Format::Hosts).with_sinks(vec![first.to_owned()]);
            let (_, named) = listed(content.as_bytes(), &options)?;
            let named = named.map_err(|error| match error {
                ProtectError::Line { text, refusal, .. } => {
                    ProtectError::Line { line, text, refusal }
                }
                error => error,
            })?;
            hosts.extend(named.into_iter().map(|(_, host)| (line, host)));
            continue;
        }
        let text = || content.to_owned();
        if words.next().is_some() {
            return Err(ProtectError::Line { line, text: text(), refusal: Refusal::WhiteSpace });
        }
        let rule = first.strip_prefix("@@").unwrap_or(first);
        if is_retraction(rule) {
            return Err(ProtectError::Line { line, text: text(), refusal: Refusal::Retraction });
        }
        if rule.contains('$') {
            return Err(ProtectError::PartOfHost { line, text: text() });
        }
        let host = rule.strip_prefix("||").or_else(|| rule.strip_prefix('|')).unwrap_or(rule);
        hosts.push((line, host.trim_end_matches(['^', '|']).to_owned()));
    }
    Ok(hosts)
}

/// The host that an entry names, with `*.` in front if it names all hosts below; `None` if it names less than a host.
fn host_of(text: &str) -> Result<Option<String>, Refusal> {
    check_text(text.trim(), EntryKind::Url)?;
    let key = canonicalise(text, EntryKind::Url, &KeyRules::default())?;
    let (host, rest) = split_host(&key.text);
    if rest.contains(['/', '?', '#']) {
        return Ok(None);
    }
    let place = text.split_once("://").map_or(text, |(_, place)| place);
    Ok(Some(format!("{}{host}", if place.starts_with("*.") { "*." } else { "" })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(file: &str) -> Result<Vec<String>, String> {
        let names = protect(NameRules::default(), file.as_bytes());
        names.map(|names| names.protected().map(str::to_owned).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn hosts_are_read_however_they_are_written() {
        for line in [
            "bank.com",
            "\u{feff}bank.com",
            "www.Bank.com.",
            "https://bank.com",
            "https://bank.com/",
            "http://user@bank.com:8080",
            "||bank.com^",
            "||bank.com^|",
            "@@||bank.com^",
            "|https://bank.com^",
            "0.0.0.0 bank.com",
            "::1 bank.com # ours",
            "192.0.2.7\tbank.com",
            "bank.com:443",
            "bank.com # ours",
            "  bank.com  ",
            "address=/bank.com/#",
            "local-zone: \"bank.com\" always_nxdomain",
        ] {
            assert_eq!(protected(line).unwrap(), ["bank.com"], "{line}");
            assert_eq!(
                protected(&format!("# ours\r\n\r\n{line}\r\n")).unwrap(),
                ["bank.com"],
                "{line}"
            );
        }
        let mixture = "\u{feff}a.com\nhttps://b.com\n||c.com^\n0.0.0.0 d.com e.com\nf.com:443\nb\u{e4}nk.com\n\
                       *.g.com\n\u{feff}h.com\n! note\n; note\n127.0.0.1 localhost i.com\n";
        let expected = [
            "*.g.com",
            "a.com",
            "b.com",
            "c.com",
            "d.com",
            "e.com",
            "f.com",
            "h.com",
            "i.com",
            "xn--bnk-qla.com",
        ];
        assert_eq!(protected(mixture).unwrap(), expected);
        assert!(protected("# nothing\n\n").unwrap().is_empty());
        let utf16: Vec<u8> =
            "\u{feff}bank.com\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(protect(NameRules::default(), &utf16).unwrap().protected().count(), 1);
    }

    #[test]
    fn a_line_that_protects_no_host_is_named() {
        for (line, why) in [
            ("nonsense!!", "no host name"),
            ("com", "top-level"),
            ("mailto:a@bank.com", "no host"),
            ("a@bank.com", "no host name"),
            ("bank.com pay.com", "white space"),
            ("https://bank.com/login", "part of a host"),
            ("bank.com/login", "part of a host"),
            ("||bank.com^$third-party", "part of a host"),
            ("||bank.com^$badfilter", "badfilter"),
            ("@@||bank.com^$script,badfilter", "badfilter"),
            ("||ba*nk.com^", "wildcards"),
            ("/ads/", ""),
            ("ba\u{200b}nk.com", "control character"),
        ] {
            for file in [format!("good.com\n{line}\n"), format!("||good.com^\n{line}\nb.com\n")] {
                let error = protected(&file).unwrap_err();
                assert!(error.contains("line 2") && error.contains(why), "{line}: {error}");
            }
        }
    }
}
