//! Adblock syntax. Only network rules that begin at a host can become keys.

use super::{Emit, Entry, LineFormat, LineKind, Scope, hosts};
use crate::key::{EntryKind, Refusal, Remark, Remarks};
use std::net::IpAddr;

pub(super) struct Adblock;

/// Marks between the domains and the body of a cosmetic, scriptlet or HTML rule.
const COSMETIC: [&str; 8] = ["##", "#@#", "#?#", "#@?#", "#$#", "#@$#", "#%#", "$$"];

impl LineFormat for Adblock {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let line = line.trim();
        if line.is_empty() {
            return LineKind::Blank;
        }
        if line.starts_with("!#") {
            emit(Err((Refusal::Directive, line)));
            return LineKind::Entry;
        }
        if line.starts_with('!') || (line.starts_with("# ") || line == "#") {
            return LineKind::Comment;
        }
        if line.starts_with('[') && line.ends_with(']') {
            return LineKind::Structure;
        }
        if let Some((first, _)) = line.split_once(char::is_whitespace)
            && first.parse::<IpAddr>().is_ok()
        {
            let content = line.split_once('#').map_or(line, |(content, _)| content);
            hosts::names(content.trim(), emit);
            return LineKind::Entry;
        }
        match rule(line) {
            Ok((text, kind, remarks)) => {
                emit(Ok(Entry { remarks, scope: Scope::Site, ..Entry::new(text, kind) }));
            }
            Err(refusal) => emit(Err((refusal, line))),
        }
        LineKind::Entry
    }
}

fn rule(line: &str) -> Result<(&str, EntryKind, Remarks), Refusal> {
    if COSMETIC.iter().any(|mark| line.contains(mark)) {
        return Err(Refusal::ElementHiding);
    }
    if line.starts_with("@@") {
        return Err(Refusal::Exception);
    }
    if line.len() > 1 && line.starts_with('/') && (line.ends_with('/') || line.contains("/$")) {
        return Err(Refusal::RegularExpression);
    }
    let mut remarks = Remarks::default();
    let pattern = match line.rsplit_once('$') {
        Some((pattern, options)) if are_options(options) => {
            check_options(options, &mut remarks)?;
            pattern
        }
        _ => line,
    };
    // A star at the end has no meaning: rules match any continuation anyway.
    let open = pattern.trim_end_matches('*');
    let (anchored, kind) = match open.strip_prefix("||") {
        Some(rest) => (rest, EntryKind::Url),
        None => match open.strip_prefix('|').filter(|rest| rest.contains("://")) {
            Some(rest) => (rest, EntryKind::Url),
            // uBlock Origin takes a bare host as a rule for that host.
            None if is_host(pattern) => (pattern, EntryKind::Host),
            None => return Err(Refusal::Pattern),
        },
    };
    let ended = anchored.strip_suffix(['^', '|']);
    let anchored = ended.unwrap_or(anchored);
    if anchored.contains('*') {
        return Err(Refusal::Wildcard);
    }
    if anchored.contains(['^', '|']) {
        return Err(Refusal::Pattern);
    }
    let place = anchored.split_once("://").map_or(anchored, |(_, place)| place);
    match place.split_once(['/', '?', '#']) {
        Some((_, rest)) if !rest.is_empty() && ended.is_none() && !anchored.ends_with('/') => {
            remarks.add(Remark::PathPrefix);
        }
        // Without an end, `||exam` matches example.com as well.
        None if ended.is_none()
            && kind == EntryKind::Url
            && open.starts_with("||")
            && !is_host(place) =>
        {
            return Err(Refusal::Pattern);
        }
        _ => {}
    }
    Ok((anchored, kind, remarks))
}

/// A host of at least two labels.
fn is_host(text: &str) -> bool {
    text.contains('.')
        && !text.starts_with(['.', '-'])
        && !text.ends_with(['.', '-'])
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// Whether what follows a `$` reads as options and not as part of a URL.
fn are_options(text: &str) -> bool {
    !text.is_empty()
        && text.split(',').all(|option| {
            let name = option.split_once('=').map_or(option, |(name, _)| name);
            let name = name.strip_prefix('~').unwrap_or(name);
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        })
}

fn check_options(options: &str, remarks: &mut Remarks) -> Result<(), Refusal> {
    for option in options.split(',') {
        match option {
            "all" | "important" => remarks.add(Remark::OptionDropped),
            "document" | "doc" => remarks.add(Remark::DocumentOption),
            _ => return Err(Refusal::RuleOption),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Format, tests::events};

    #[test]
    fn rules() {
        for (rule, event) in [
            ("||example.com^", "1 example.com"),
            ("||example.com", "1 example.com"),
            ("||example.com/path", "1 example.com/path path-prefix"),
            ("||example.com/path^", "1 example.com/path"),
            ("||example.com/path/", "1 example.com/path/"),
            ("||example.com/path*", "1 example.com/path path-prefix"),
            ("||example.com/*", "1 example.com/"),
            ("||example.com^*", "1 example.com"),
            ("||example.com^$all", "1 example.com option-dropped"),
            ("||example.com^$document,important", "1 example.com option-dropped document-option"),
            ("||example.com^$third-party", "1 -rule-option"),
            ("||example.com/a?b=$c", "1 -rule-option"),
            ("||example.com/a?b=$C", "1 example.com/a?b=$C path-prefix"),
            ("|https://example.com/a|", "1 https://example.com/a"),
            ("|https://[2001:db8::1]", "1 https://[2001:db8::1]"),
            ("||[2001:db8::1]", "1 -pattern"),
            ("||[2001:db8::1]^", "1 [2001:db8::1]"),
            ("example.com", "1 example.com"),
            ("0.0.0.0 example.com", "1 example.com"),
            ("@@||example.com^", "1 -exception"),
            ("example.com##.ad", "1 -element-hiding"),
            ("##.ad", "1 -element-hiding"),
            ("/banner[0-9]+/", "1 -regular-expression"),
            ("/ads/banner", "1 -pattern"),
            ("||ads", "1 -pattern"),
            ("||ads*.example.com^", "1 -wildcard"),
            ("||example.com^path", "1 -pattern"),
            ("!#include other.txt", "1 -directive"),
        ] {
            assert_eq!(events(rule, Format::Adblock), [event], "{rule}");
        }
        assert!(events("[Adblock Plus 2.0]\n! Title: x\n\n# note", Format::Adblock).is_empty());
    }
}
