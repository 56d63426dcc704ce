//! unbound configuration: local zones that are refused or looked up as usual, and local data that lead nowhere.

use super::sinks::Sinks;
use super::{Action, Emit, EmitFrom, Entry, LineFormat, LineKind, ReadOptions, RuleOptions, Scope};
use crate::key::{EntryKind, Refusal};

pub(super) struct Unbound {
    sinks: Sinks,
    /// The zone of the last line, if it answers with its local data, which the next line has.
    redirected: Option<String>,
    /// The lines since that zone.
    lines_since: u64,
    /// The zone of the last line that has one, if local data for its own name prevail, and whether names without local
    /// data are looked up as usual.
    with_data: Option<(String, bool)>,
    /// The name of the last local data that lead nowhere.
    last_sink: String,
}

impl Unbound {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self {
            sinks: Sinks::new(&options.sinks),
            redirected: None,
            lines_since: 0,
            with_data: None,
            last_sink: String::new(),
        }
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

/// Types among these that answer with the local data of a name first.
const BLOCKS_WITHOUT_DATA: [&str; 4] = ["deny", "inform_deny", "refuse", "static"];

/// Types that have names looked up as usual, in spite of zones above. All but the first answer with local data of the name
/// first.
const EXCEPTIONS: [&str; 4] = ["always_transparent", "inform", "transparent", "typetransparent"];

/// Types that answer with the local data of the zone, for every name in it.
const REDIRECTS: [&str; 2] = ["inform_redirect", "redirect"];

impl LineFormat for Unbound {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        self.line_from(line, &mut |_, outcome| emit(outcome))
    }

    fn line_from(&mut self, line: &str, emit: &mut EmitFrom<'_>) -> LineKind {
        self.lines_since += 1;
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
        self.end_redirect(emit);
        match local_zone(value) {
            Some((zone, kind)) if attribute == "local-zone" => {
                if is_one_of(kind, &REDIRECTS) {
                    self.redirected = Some(zone.to_owned());
                    self.lines_since = 0;
                    return LineKind::Structure;
                }
                let has_data =
                    is_one_of(kind, &BLOCKS_WITHOUT_DATA) || is_one_of(kind, &EXCEPTIONS[1..]);
                let is_exception = is_one_of(kind, &EXCEPTIONS);
                self.with_data = has_data.then(|| (zone.to_owned(), is_exception));
                // The data before prevail.
                let has_sink = has_data && self.last_sink.eq_ignore_ascii_case(zone);
                let outcome = match is_exception {
                    true if has_sink => not_a_block(zone),
                    true => exception(zone),
                    false if is_one_of(kind, &BLOCKS) => block(zone),
                    false => not_a_block(zone),
                };
                emit(0, outcome);
            }
            _ if value.is_empty() && content.ends_with(':') => return LineKind::Structure,
            _ => emit(0, Err((Refusal::Directive, content))),
        }
        LineKind::Entry
    }

    fn end_from(&mut self, emit: &mut EmitFrom<'_>) {
        self.end_redirect(emit);
    }
}

impl Unbound {
    /// A zone without local data answers that there is no such name.
    fn end_redirect(&mut self, emit: &mut EmitFrom<'_>) {
        if let Some(zone) = self.redirected.take() {
            emit(self.lines_since, block(&zone));
        }
    }

    /// Takes a record: a name, perhaps a TTL and a class, a type and data.
    fn local_data(&mut self, record: &str, emit: &mut EmitFrom<'_>) {
        let mut words = record.split_whitespace();
        let name = without_dot(words.next().unwrap_or_default());
        let mut words = words.skip_while(|word| {
            word.starts_with(|c: char| c.is_ascii_digit()) || word.eq_ignore_ascii_case("IN")
        });
        let (kind, data) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_zone = self.redirected.as_ref().is_some_and(|zone| zone.eq_ignore_ascii_case(name));
        if !is_zone {
            self.end_redirect(emit);
        }
        // Data of other types do not change what a zone without addresses answers.
        if !is_one_of(kind, &["A", "AAAA"]) {
            return emit(0, Err((Refusal::Directive, record)));
        }
        if is_zone {
            self.redirected = None;
        }
        let zone_is_exception = self
            .with_data
            .as_ref()
            .filter(|(zone, _)| zone.eq_ignore_ascii_case(name))
            .map(|(_, is_exception)| *is_exception);
        let scope = if is_zone { Scope::Site } else { Scope::Host };
        let is_sink = self.sinks.has_address(data);
        if is_sink {
            self.last_sink.clear();
            self.last_sink.push_str(name);
        }
        let outcome = match (is_sink, zone_is_exception) {
            // The data prevail over their zone, which was an exception for the same name.
            (true, Some(true)) => Ok(Entry {
                options: RuleOptions::IMPORTANT,
                ..Entry::new(name, EntryKind::Host).with_scope(scope)
            }),
            (true, _) => Ok(Entry::new(name, EntryKind::Host).with_scope(scope)),
            // The data prevail over their zone, which was blocked.
            (false, Some(false)) => exception(name),
            (false, _) => not_a_block(name),
        };
        emit(0, outcome);
    }
}

/// Zones below have rules of their own, so that they stay blocked where they are.
fn exception(zone: &str) -> super::Outcome<'_> {
    let entry = Entry::new(zone, EntryKind::Host);
    Ok(entry.with_scope(Scope::Host).with_action(Action::Allow))
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
                    local-zone: l.example block_a\ndo-ip6: no\nforward-zone:\n  name: \"k.example\"\ninclude: x.conf\n";
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
                "11 allow host h.example",
                "12 allow host i.example",
                "13 -directive",
                "14 -not-a-block",
                "15 -directive",
                "17 -directive",
                "18 -directive",
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
                "6 block site c.example",
                "7 block site d.example",
            ]
        );
        let options = ReadOptions::from(Format::Unbound).with_sinks(vec!["192.0.2.1".to_owned()]);
        assert_eq!(details(text, &options)[2], "5 block site b.example");
    }

    #[test]
    fn transparent_zones_are_exceptions() {
        let text = "local-zone: \"a.example\" always_transparent\nlocal-zone: b.example. typetransparent\n\
                    local-zone: 'c.example' \"TRANSPARENT\"\nserver: local-zone: d.example inform # x\n\
                    local-zone: e.example nodefault\n";
        assert_eq!(
            details(text, &Format::Unbound.into()),
            [
                "1 allow host a.example",
                "2 allow host b.example",
                "3 allow host c.example",
                "4 allow host d.example",
                "5 -not-a-block",
            ]
        );
    }

    #[test]
    fn data_of_a_name_prevail_over_its_zone() {
        let text = "local-zone: a.example transparent\nlocal-data: \"a.example A 0.0.0.0\"\n\
                    local-zone: b.example always_transparent\nlocal-data: \"b.example A 0.0.0.0\"\n\
                    local-zone: c.example static\nlocal-data: \"c.example TXT x\"\nlocal-data: \"c.example. A 192.0.2.1\"\n\
                    local-zone: d.example always_nxdomain\nlocal-data: \"d.example A 192.0.2.1\"\n\
                    local-zone: e.example redirect\nlocal-data: \"e.example TXT x\"\n\
                    local-data: \"f.example A 0.0.0.0\"\nlocal-zone: f.example transparent\n\
                    local-data: \"g.example A 0.0.0.0\"\nlocal-zone: g.example always_transparent\n";
        assert_eq!(
            details(text, &Format::Unbound.into()),
            [
                "1 allow host a.example",
                "2 block host a.example +important",
                "3 allow host b.example",
                "4 block host b.example",
                "5 block site c.example",
                "6 -directive",
                "7 allow host c.example",
                "8 block site d.example",
                "9 -not-a-block",
                "11 -directive",
                "10 block site e.example",
                "12 block host f.example",
                "13 -not-a-block",
                "14 block host g.example",
                "15 allow host g.example",
            ]
        );
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
