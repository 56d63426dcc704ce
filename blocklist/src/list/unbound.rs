//! unbound configuration: local zones that are refused, and local data that lead nowhere.

use super::sinks::Sinks;
use super::{Emit, Entry, LineFormat, LineKind, ReadOptions, Scope};
use crate::key::{EntryKind, Refusal};

pub(super) struct Unbound {
    sinks: Sinks,
    /// The zone of the last line, if it answers with its local data, which the next line has.
    redirected: Option<String>,
}

impl Unbound {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self { sinks: Sinks::new(&options.sinks), redirected: None }
    }
}

/// Types of local zones that give no answer, or none of use.
const BLOCKS: [&str; 9] = [
    "always_deny",
    "always_nodata",
    "always_null",
    "always_nxdomain",
    "always_refuse",
    "deny",
    "inform_deny",
    "refuse",
    "static",
];

/// Types that answer with the local data of the zone, for every name in it.
const REDIRECTS: [&str; 2] = ["inform_redirect", "redirect"];

impl LineFormat for Unbound {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let mut content = without_comment(line).trim();
        if content.is_empty() {
            return if line.trim().is_empty() { LineKind::Blank } else { LineKind::Comment };
        }
        // A clause may be on the line of its first attribute.
        if let Some(rest) = content.strip_prefix("server:") {
            content = rest.trim_start();
        }
        if content.is_empty() {
            return LineKind::Structure;
        }
        let (attribute, value) = content.split_once(':').unwrap_or((content, ""));
        let value = value.trim();
        if attribute == "local-data"
            && let Some(record) = unquoted(value)
        {
            self.local_data(record, emit);
            return LineKind::Entry;
        }
        self.end(emit);
        match local_zone(value) {
            Some((zone, kind)) if attribute == "local-zone" => {
                if is_one_of(kind, &REDIRECTS) {
                    self.redirected = Some(zone.to_owned());
                    return LineKind::Structure;
                }
                emit(if is_one_of(kind, &BLOCKS) { block(zone) } else { not_a_block(zone) });
            }
            _ if value.is_empty() && content.ends_with(':') => return LineKind::Structure,
            _ => emit(Err((Refusal::Directive, content))),
        }
        LineKind::Entry
    }

    /// A zone without local data answers that there is no such name.
    fn end(&mut self, emit: &mut Emit<'_>) {
        if let Some(zone) = self.redirected.take() {
            emit(block(&zone));
        }
    }
}

impl Unbound {
    /// Takes a record: a name, perhaps a TTL and a class, a type and data.
    fn local_data(&mut self, record: &str, emit: &mut Emit<'_>) {
        let mut words = record.split_whitespace();
        let name = without_dot(words.next().unwrap_or_default());
        let mut words = words.skip_while(|word| {
            word.starts_with(|c: char| c.is_ascii_digit()) || word.eq_ignore_ascii_case("IN")
        });
        let (kind, data) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_zone = self.redirected.as_ref().is_some_and(|zone| zone.eq_ignore_ascii_case(name));
        if is_zone {
            self.redirected = None;
        } else {
            self.end(emit);
        }
        if !is_one_of(kind, &["A", "AAAA"]) {
            return emit(Err((Refusal::Directive, record)));
        }
        let scope = if is_zone { Scope::Site } else { Scope::Host };
        emit(if self.sinks.has_address(data) {
            Ok(Entry::new(name, EntryKind::Host).with_scope(scope))
        } else {
            not_a_block(name)
        });
    }
}

fn block(zone: &str) -> super::Outcome<'_> {
    Ok(Entry::new(zone, EntryKind::Host).with_scope(Scope::Site))
}

fn not_a_block(name: &str) -> super::Outcome<'_> {
    Err((Refusal::NotABlock, name))
}

/// The name and the type of a local zone.
fn local_zone(value: &str) -> Option<(&str, &str)> {
    let (zone, kind) = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split_once(quote)?,
        _ => value.split_once(char::is_whitespace)?,
    };
    let kind = unquoted(kind.trim()).filter(|kind| !kind.is_empty())?;
    Some((without_dot(zone.trim()), kind))
}

/// A value without the quotation marks around it; none if one of them is missing.
fn unquoted(value: &str) -> Option<&str> {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].strip_suffix(quote),
        _ => Some(value),
    }
}

/// A `#` outside of quotation marks begins a comment.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, character) in line.char_indices() {
        match (character, quote) {
            ('#', None) => return &line[..at],
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            _ => {}
        }
    }
    line
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::tests::details;
    use super::super::{Format, ReadOptions};

    #[test]
    fn zones_that_give_no_answer_are_entries() {
        let text = "server:\n  local-zone: \"a.example\" always_nxdomain\nlocal-zone: \"b.example.\" always_null # why\n\
                    local-zone: c.example refuse\nlocal-zone: 'd.example' static\nlocal-zone: \"e.example\" \"deny\"\n\
                    server: local-zone: \"f.example\" always_refuse\nlocal-zone:\"g.example\" inform_deny\n# x\n\n\
                    local-zone: \"h.example\" transparent\nlocal-zone: \"i.example\" inform\nlocal-zone: \"j.example\"\n\
                    do-ip6: no\nforward-zone:\n  name: \"k.example\"\ninclude: x.conf\n";
        assert_eq!(
            details(text, &Format::Unbound.into()),
            [
                "2 block site a.example",
                "3 block site b.example",
                "4 block site c.example",
                "5 block site d.example",
                "6 block site e.example",
                "7 block site f.example",
                "8 block site g.example",
                "11 -not-a-block",
                "12 -not-a-block",
                "13 -directive",
                "14 -directive",
                "16 -directive",
                "17 -directive",
            ]
        );
    }

    #[test]
    fn redirected_zones_are_blocked_unless_their_data_lead_somewhere() {
        let text = "local-zone: \"a.example\" redirect\nlocal-data: \"a.example A 0.0.0.0\"\n\
                    local-data: \"a.example. 60 IN AAAA ::\"\nlocal-zone: \"b.example\" redirect\n\
                    local-data: \"b.example A 192.0.2.1\"\nlocal-zone: \"c.example\" redirect\n\
                    local-zone: \"d.example\" redirect\n";
        assert_eq!(
            details(text, &Format::Unbound.into()),
            [
                "2 block site a.example",
                "3 block host a.example",
                "5 -not-a-block",
                "7 block site c.example",
                "7 block site d.example",
            ]
        );
        let options = ReadOptions::from(Format::Unbound).with_sinks(vec!["192.0.2.1".to_owned()]);
        assert_eq!(details(text, &options)[2], "5 block site b.example");
    }

    #[test]
    fn local_data_of_sinks_are_hosts() {
        let text = "local-data: \"a.example A 127.0.0.1\"\nlocal-data: 'b.example TXT x'\n\
                    local-data: \"c.example 3600 IN A 192.0.2.1\"\nlocal-data-ptr: \"192.0.2.1 d.example\"\n\
                    local-data: \"e.example A\n";
        assert_eq!(
            details(text, &Format::Unbound.into()),
            [
                "1 block host a.example",
                "2 -directive",
                "3 -not-a-block",
                "4 -directive",
                "5 -directive",
            ]
        );
    }
}
