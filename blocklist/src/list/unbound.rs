//! unbound configuration: local zones that are refused or looked up as usual, and local data that lead nowhere.
//!
//! unbound reads all zones before all data, so that data may stand anywhere, and the data of a zone decide what it answers. What
//! depends on data is therefore said at the end of the list. The zones and names that this concerns are kept until then.

use super::adblock::RuleText;
use super::sinks::Sinks;
use super::{Action, Emit, EmitFrom, Entry, LineFormat, LineKind, ReadOptions, RuleOptions, Scope};
use crate::key::{EntryKind, MAX_NAME, Refusal};
use std::collections::{HashMap, HashSet};

pub(super) struct Unbound {
    sinks: Sinks,
    /// The number of the line that is read.
    line: u64,
    clause: Clause,
    /// The zones that answer with their own data, and the line that says so: that of the zone, or of data that are a sink.
    redirects: HashMap<String, u64>,
    /// The blocked zones in which local data prevail.
    blocked: HashSet<String>,
    /// The names whose data lead somewhere, with their lines.
    resolved: HashMap<String, u64>,
    /// The zone of the last line that has one, if local data for its own name prevail and names without local data are looked
    /// up as usual.
    transparent: Option<String>,
    /// The name of the last local data that lead nowhere.
    last_sink: String,
}

/// The part of the configuration that a line belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clause {
    /// What holds for all clients.
    Server,
    /// What holds for some clients.
    View,
    /// What says nothing of local zones.
    Other,
}

/// The names of clauses that have no local zones.
const OTHER_CLAUSES: [&str; 11] = [
    "auth-zone",
    "cachedb",
    "dnscrypt",
    "dnstap",
    "dynlib",
    "forward-zone",
    "ipset",
    "python",
    "remote-control",
    "rpz",
    "stub-zone",
];

impl Unbound {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self {
            sinks: Sinks::new(&options.sinks),
            line: 0,
            clause: Clause::Server,
            redirects: HashMap::new(),
            blocked: HashSet::new(),
            resolved: HashMap::new(),
            transparent: None,
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
        self.line += 1;
        let mut content = without_comment(line).trim();
        if content.is_empty() {
            return if line.trim().is_empty() { LineKind::Blank } else { LineKind::Comment };
        }
        // A clause may be on the line of its first attribute.
        if let Some((clause, rest)) = clause(content) {
            self.clause = clause;
            content = rest;
        }
        if content.is_empty() {
            return LineKind::Structure;
        }
        let (attribute, value) = content.split_once(':').unwrap_or((content, ""));
        let value = value.trim();
        if self.clause != Clause::Server {
            emit(0, self.elsewhere(content, attribute, value));
            return LineKind::Entry;
        }
        if attribute == "local-data"
            && let Some(record) = unquoted(value)
        {
            return self.local_data(record, emit);
        }
        match local_zone(value) {
            Some((zone, kind)) if attribute == "local-zone" => self.local_zone(zone, kind, emit),
            _ if value.is_empty() && content.ends_with(':') => LineKind::Structure,
            _ => {
                emit(0, Err((Refusal::Directive, content)));
                LineKind::Entry
            }
        }
    }

    fn skipped(&mut self) {
        self.line += 1;
    }

    fn end_from(&mut self, emit: &mut EmitFrom<'_>) {
        let mut said: Vec<(u64, String, Owed)> = Vec::new();
        for (name, line) in self.resolved.drain() {
            let owed = match self.redirects.remove(&name) {
                Some(_) => Owed::NotABlock,
                None if has_self_or_parent(&self.blocked, &name) => Owed::Exception,
                None => Owed::NotABlock,
            };
            said.push((line, name, owed));
        }
        // A zone without data answers that there is no such name.
        said.extend(self.redirects.drain().map(|(zone, line)| (line, zone, Owed::Block)));
        said.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (line, name, owed) in &said {
            let outcome = match owed {
                Owed::Block => block(name),
                Owed::Exception => exception(name),
                Owed::NotABlock => not_a_block(name),
            };
            emit(self.line - line, outcome);
        }
    }
}

/// What is said of a name at the end of the list.
#[derive(Clone, Copy)]
enum Owed {
    Block,
    Exception,
    NotABlock,
}

impl Unbound {
    /// Takes a zone.
    fn local_zone(&mut self, zone: &str, kind: &str, emit: &mut EmitFrom<'_>) -> LineKind {
        if is_one_of(kind, &REDIRECTS) {
            self.redirects.entry(zone.to_ascii_lowercase()).or_insert(self.line);
            return LineKind::Structure;
        }
        let is_exception = is_one_of(kind, &EXCEPTIONS);
        let has_data = is_one_of(kind, &EXCEPTIONS[1..]);
        if is_one_of(kind, &BLOCKS_WITHOUT_DATA) {
            self.blocked.insert(zone.to_ascii_lowercase());
        }
        self.transparent = has_data.then(|| zone.to_owned());
        // The data before prevail.
        let has_sink = has_data && self.last_sink.eq_ignore_ascii_case(zone);
        let outcome = match is_exception {
            true if has_sink => not_a_block(zone),
            true => exception(zone),
            false if is_one_of(kind, &BLOCKS) => block(zone),
            false => not_a_block(zone),
        };
        emit(0, outcome);
        LineKind::Entry
    }

    /// Takes a record: a name, perhaps a TTL and a class, a type and data.
    fn local_data(&mut self, record: &str, emit: &mut EmitFrom<'_>) -> LineKind {
        let mut words = record.split_whitespace();
        let name = without_dot(words.next().unwrap_or_default());
        let mut words = words.skip_while(|word| {
            word.starts_with(|c: char| c.is_ascii_digit()) || word.eq_ignore_ascii_case("IN")
        });
        let (kind, data) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_address = is_one_of(kind, &["A", "AAAA"]);
        // Data of other types do not change what is answered to those who ask for addresses.
        if !is_address && !is_one_of(kind, &["CNAME", "DNAME"]) {
            emit(0, Err((Refusal::Directive, record)));
            return LineKind::Entry;
        }
        let is_sink = match is_address {
            true => self.sinks.has_address(data),
            false => self.sinks.has_name(without_dot(data)),
        };
        if !is_sink {
            self.resolved.entry(name.to_ascii_lowercase()).or_insert(self.line);
            return LineKind::Entry;
        }
        if let Some(line) = self.redirects.get_mut(&name.to_ascii_lowercase()) {
            *line = self.line;
            return LineKind::Entry;
        }
        self.last_sink.clear();
        self.last_sink.push_str(name);
        let entry = Entry::new(name, EntryKind::Host).with_scope(Scope::Host);
        // The data prevail over their zone, which was an exception for the same name.
        let prevails =
            self.transparent.as_ref().is_some_and(|zone| zone.eq_ignore_ascii_case(name));
        emit(
            0,
            Ok(if prevails { Entry { options: RuleOptions::IMPORTANT, ..entry } } else { entry }),
        );
        LineKind::Entry
    }

    /// What a line of another clause says.
    fn elsewhere<'l>(
        &self,
        content: &'l str,
        attribute: &str,
        value: &'l str,
    ) -> super::Outcome<'l> {
        if self.clause == Clause::View && attribute == "local-data" {
            return Err((Refusal::RuleOption, content));
        }
        match local_zone(value) {
            Some((zone, kind)) if self.clause == Clause::View && attribute == "local-zone" => {
                if !is_one_of(kind, &EXCEPTIONS) {
                    return Err((Refusal::RuleOption, content));
                }
                // For the requests of some clients alone, so that it takes nothing back.
                let rule = RuleText::of_host(zone).with_option("view", true);
                exception(zone).map(|entry| Entry { rule: Some(rule), ..entry })
            }
            _ => Err((Refusal::Directive, content)),
        }
    }
}

/// The clause that a line begins, and what follows on the line.
fn clause(content: &str) -> Option<(Clause, &str)> {
    let (name, rest) = content.split_once(':')?;
    let clause = match name {
        "server" => Clause::Server,
        "view" => Clause::View,
        name if OTHER_CLAUSES.contains(&name) => Clause::Other,
        _ => return None,
    };
    Some((clause, rest.trim_start()))
}

/// Whether a name, or one that it lies below, is among `zones`.
fn has_self_or_parent(zones: &HashSet<String>, name: &str) -> bool {
    if name.len() > MAX_NAME {
        return false;
    }
    let mut name = Some(name);
    while let Some(of) = name {
        if zones.contains(of) {
            return true;
        }
        name = of.split_once('.').map(|(_, parent)| parent);
    }
    false
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
                "3 block site a.example",
                "5 -not-a-block",
                "6 block site c.example",
                "7 block site d.example",
            ]
        );
        let options = ReadOptions::from(Format::Unbound).with_sinks(vec!["192.0.2.1".to_owned()]);
        assert_eq!(details(text, &options)[1], "5 block site b.example");
    }

    #[test]
    fn a_zone_that_leads_to_another_name_is_not_blocked() {
        let text = "local-zone: \"www.a.example\" redirect\nlocal-data: \"www.a.example CNAME safe.a.example\"\n\
                    local-zone: \"b.example\" static\nlocal-data: \"b.example. 60 IN CNAME page.test.\"\n\
                    local-zone: \"c.example\" inform_redirect\nlocal-data: \"C.example. CNAME page.test.\"\n\
                    local-zone: \"d.example\" redirect\nlocal-data: \"d.example DNAME e.example\"\n\
                    local-data: \"f.example CNAME page.test.\"\n";
        assert_eq!(
            details(text, &Format::Unbound.into()),
            [
                "3 block site b.example",
                "2 -not-a-block",
                "4 allow host b.example",
                "6 -not-a-block",
                "8 -not-a-block",
                "9 -not-a-block",
            ]
        );
        let options = ReadOptions::from(Format::Unbound).with_sinks(vec!["page.test".to_owned()]);
        assert_eq!(
            details(text, &options),
            [
                "3 block site b.example",
                "4 block host b.example",
                "9 block host f.example",
                "2 -not-a-block",
                "6 block site c.example",
                "8 -not-a-block",
            ]
        );
    }

    #[test]
    fn data_decide_about_their_zone_wherever_they_stand() {
        let text = "local-data: \"e.example A 192.0.2.1\"\n\
                    local-zone: \"a.example\" redirect\nlocal-zone: \"b.example\" redirect\nlocal-zone: \"c.example\" redirect\n\
                    local-zone: \"d.example\" static\nlocal-zone: \"e.example\" redirect\n\
                    local-data: \"a.example A 192.0.2.1\"\nlocal-data: \"b.example A 0.0.0.0\"\n\
                    local-data: \"b.example AAAA 2001:db8::1\"\nlocal-data: \"www.d.example A 192.0.2.1\"\n";
        assert_eq!(
            details(text, &Format::Unbound.into()),
            [
                "5 block site d.example",
                "1 -not-a-block",
                "4 block site c.example",
                "7 -not-a-block",
                "9 -not-a-block",
                "10 allow host www.d.example",
            ]
        );
    }

    #[test]
    fn lines_that_are_too_long_count_for_the_numbers_of_what_is_said_at_the_end() {
        let text = format!(
            "local-zone: \"a.example\" redirect\n# {}\n\nlocal-zone: \"b.example\" redirect\n",
            "x".repeat(crate::list::MAX_LINE)
        );
        assert_eq!(
            details(&text, &Format::Unbound.into()),
            ["2 -too-long", "1 block site a.example", "4 block site b.example"]
        );
    }

    #[test]
    fn zones_of_a_view_are_for_some_clients_only() {
        let text = "server:\nlocal-zone: \"a.example\" always_nxdomain\nview:\nname: \"adults\"\n\
                    local-zone: \"a.example\" always_transparent\nlocal-zone: \"b.example\" always_nxdomain\n\
                    local-data: \"c.example A 0.0.0.0\"\nforward-zone:\nlocal-zone: \"d.example\" static\n\
                    server: local-zone: \"e.example\" always_null\nview: local-zone: \"f.example\" redirect\n";
        assert_eq!(
            details(text, &Format::Unbound.into()),
            [
                "2 block site a.example",
                "4 -directive",
                "5 allow host a.example",
                "6 -rule-option",
                "7 -rule-option",
                "9 -directive",
                "10 block site e.example",
                "11 -rule-option",
            ]
        );
        let built = crate::builder::Builder::new(crate::builder::Options::default());
        let built = built.add_list("list", text.as_bytes(), Some(&Format::Unbound)).unwrap();
        let built = built.finish().unwrap();
        assert!(built.keys.iter().eq([b"a.example".as_slice(), b"e.example"]));
        assert_eq!(built.report.still_covered[0].key, "a.example");
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
                "8 block site d.example",
                "11 -directive",
                "12 block host f.example",
                "13 -not-a-block",
                "14 block host g.example",
                "15 allow host g.example",
                "7 allow host c.example",
                "9 -not-a-block",
                "10 block site e.example",
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
                "4 -directive",
                "5 -directive",
                "3 -not-a-block",
            ]
        );
    }
}
