//! unbound configuration: local zones that are refused or looked up as usual, and local data that lead nowhere.
//!
//! unbound reads all zones before all data, so that data may stand anywhere, and the data of a zone decide what it answers. Tags,
//! which also stand anywhere, say that a zone is for some clients. What zones and data say is therefore said at the end of the
//! list, and their names are kept until then.

mod said;

use super::domain_hash::{DomainHash, DomainHasher};
use super::sinks::Sinks;
use super::{Action, Emit, EmitFrom, Entry, LineFormat, LineKind, ReadOptions, RuleOptions, Scope};
use crate::key::{EntryKind, MAX_NAME, Refusal};
use said::{Of, Owed, Said};
use std::collections::{HashMap, HashSet};

pub(super) struct Unbound {
    sinks: Sinks,
    /// The number of the line that is read.
    line: u64,
    clause: Clause,
    /// What is said at the end, but of the names in `redirects` and `resolved`.
    said: Said,
    /// The zones with tags: they hold for clients with one of these.
    tagged: HashSet<String>,
    /// The zones that answer with their own data, and the line that says so: that of the zone, or of data that are a sink.
    redirects: HashMap<String, u64>,
    /// The blocked zones in which local data prevail.
    blocked: HashSet<String>,
    /// What the first zone of each name does.
    zones: HashMap<DomainHash, Effect>,
    hasher: DomainHasher,
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

/// What a zone does with the requests for its names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It answers with its own data alone.
    Redirect,
    /// It has them looked up as usual.
    Allow,
    /// It gives no answer, or none of use.
    Block,
    /// Its type is none of those that this reader knows.
    Other,
}

impl Effect {
    /// The effect of a type of zones.
    fn of(kind: &str) -> Self {
        if is_one_of(kind, &REDIRECTS) {
            Self::Redirect
        } else if is_one_of(kind, &EXCEPTIONS) {
            Self::Allow
        } else if is_one_of(kind, &BLOCKS) {
            Self::Block
        } else {
            Self::Other
        }
    }
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
            said: Said::default(),
            tagged: HashSet::new(),
            redirects: HashMap::new(),
            blocked: HashSet::new(),
            zones: HashMap::new(),
            hasher: DomainHasher::new(),
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
            Some((zone, kind)) if attribute == "local-zone" => self.local_zone(zone, kind),
            Some((zone, rest)) if attribute == "local-zone-override" => {
                emit(0, for_netblock(content, zone, rest));
                LineKind::Entry
            }
            Some((zone, _)) if attribute == "local-zone-tag" => {
                self.tagged.insert(zone.to_ascii_lowercase());
                emit(0, Err((Refusal::Directive, content)));
                LineKind::Entry
            }
            _ if attribute == "local-data-ptr" => {
                emit(0, not_a_block(value));
                LineKind::Entry
            }
            // No attribute of the server is without a value, so that this begins a clause of a later version.
            _ if value.is_empty() && content.ends_with(':') => {
                self.clause = Clause::Other;
                LineKind::Structure
            }
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
        let mut said = std::mem::take(&mut self.said);
        for (name, line) in self.resolved.drain() {
            let (of, owed) = match self.redirects.remove(&name) {
                Some(_) => (Of::Zone, Owed::NotABlock),
                None if has_self_or_parent(&self.blocked, &name) => (Of::Data, Owed::Exception),
                None => (Of::Data, Owed::NotABlock),
            };
            said.add(line, &name, of, owed);
        }
        // A zone without data answers that there is no such name.
        for (zone, line) in self.redirects.drain() {
            said.add(line, &zone, Of::Zone, Owed::Block);
        }
        said.each(&self.tagged, &mut |line, name, owed| {
            let outcome = match owed {
                Owed::Block => Ok(block(name)),
                Owed::Host => Ok(host(name)),
                Owed::HostInSpiteOfZone => {
                    Ok(Entry { options: RuleOptions::IMPORTANT, ..host(name) })
                }
                Owed::Exception => Ok(exception(name)),
                Owed::BlockForSome => Err((Refusal::RuleOption, name)),
                Owed::ExceptionForSome => Ok(exception(name).for_some()),
                Owed::NotABlock => not_a_block(name),
            };
            emit(self.line - line, outcome);
        });
    }
}

impl Unbound {
    /// Takes a zone.
    fn local_zone(&mut self, zone: &str, kind: &str) -> LineKind {
        let effect = Effect::of(kind);
        let hash = self.hasher.hash(zone);
        let is_first = !self.zones.contains_key(&hash);
        if *self.zones.entry(hash).or_insert(effect) != effect {
            // unbound keeps the first zone of a name.
            self.said.add(self.line, zone, Of::Zone, Owed::NotABlock);
            return LineKind::Entry;
        }
        if effect == Effect::Redirect {
            self.redirects.entry(zone.to_ascii_lowercase()).or_insert(self.line);
            return LineKind::Structure;
        }
        let has_data = is_one_of(kind, &EXCEPTIONS[1..]);
        // The type of the first zone says whether its data prevail.
        if is_first && is_one_of(kind, &BLOCKS_WITHOUT_DATA) {
            self.blocked.insert(zone.to_ascii_lowercase());
        }
        if is_first {
            self.transparent = has_data.then(|| zone.to_owned());
        }
        // The data before prevail.
        let has_sink = has_data && self.last_sink.eq_ignore_ascii_case(zone);
        let owed = match effect {
            Effect::Allow if !has_sink => Owed::Exception,
            Effect::Block => Owed::Block,
            _ => Owed::NotABlock,
        };
        self.said.add(self.line, zone, Of::Zone, owed);
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
        // The data prevail over their zone, which was an exception for the same name.
        let prevails =
            self.transparent.as_ref().is_some_and(|zone| zone.eq_ignore_ascii_case(name));
        let owed = if prevails { Owed::HostInSpiteOfZone } else { Owed::Host };
        self.said.add(self.line, name, Of::Data, owed);
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
                Ok(exception(zone).for_some())
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

/// What a zone says for the clients of one network, in place of what it says for all: the network and a type.
fn for_netblock<'l>(content: &'l str, zone: &'l str, rest: &str) -> super::Outcome<'l> {
    let Some(kind) = rest.split_whitespace().next_back() else { return not_a_block(content) };
    let kind = kind.trim_matches(['"', '\'']);
    match Effect::of(kind) {
        Effect::Allow => Ok(exception(zone).for_some()),
        Effect::Block | Effect::Redirect => Err((Refusal::RuleOption, content)),
        Effect::Other => not_a_block(content),
    }
}

/// Zones below have rules of their own, so that they stay blocked where they are.
fn exception(zone: &str) -> Entry<'_> {
    Entry::new(zone, EntryKind::Host).with_scope(Scope::Host).with_action(Action::Allow)
}

fn block(zone: &str) -> Entry<'_> {
    Entry::new(zone, EntryKind::Host).with_scope(Scope::Site)
}

fn host(name: &str) -> Entry<'_> {
    Entry::new(name, EntryKind::Host).with_scope(Scope::Host)
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
mod tests;
