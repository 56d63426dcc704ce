//! Entries that take other entries back: exceptions of lists, allow lists, `$badfilter`.

mod beginnings;
mod exception;
mod open_ends;
mod overlaps;

use super::key_set::KeySet;
use super::manner::Manner;
use super::report::{MAX_EXAMPLE_TEXT, MAX_KEYS, Report, RevokedException, StillCovered};
use super::uses::{Origin, Uses};
use crate::key::names::{split_host, split_place};
use crate::key::parents::{Lengths, Reach, any_cover};
use crate::list::{Action, Entry, RuleText};
pub(super) use exception::Exception;
use exception::{Relation, Use};
use filter_core::sub_url::parts::last_labels;
use hashbrown::DefaultHashBuilder;
use open_ends::OpenEnds;
use overlaps::Overlaps;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::ops::ControlFlow;

/// Keys are covered by others on some system at least: a parent with a path counts.
const REACH: Reach = Reach { parents: true, parents_with_paths: true, ports: true };

/// The exceptions for some requests that are kept for one key. They take nothing back, and those that are kept are named in the
/// report; without a bound, a list of such exceptions for one host would take time with the square of its length.
const MAX_PARTIAL: usize = 100;

/// What a build must not block.
#[derive(Clone, Debug, Default)]
pub(super) struct Exceptions {
    by_key: BTreeMap<Vec<u8>, Vec<Exception>>,
    /// The lengths of their keys.
    lengths: Lengths,
    /// Hashes of keys with what their exceptions say, each with the place of the first one that has it.
    said: HashMap<u64, usize>,
    /// Numbers of exceptions for some requests, by key, where there are some.
    partial: HashMap<Vec<u8>, usize>,
    /// `$badfilter` of rules that block, and of exceptions, by what they have in common with these.
    retractions: HashMap<(u64, u32), Retraction>,
    exception_retractions: HashMap<(u64, u32), Retraction>,
    /// Rules that are not `||key^`, by a hash of their key once they are sorted.
    notes: Vec<Note>,
    hasher: DefaultHashBuilder,
    /// Whether an exception is about more than one key.
    any_wide: bool,
    /// Where exceptions end inside of a segment.
    open_ends: OpenEnds,
    /// Where keys were found in further lists, by their numbers; empty unless an exception yields to other names of its list.
    in_further_lists: Vec<(u32, Origin)>,
    /// Whether there is such an exception.
    any_yielding: bool,
    /// The numbers of the keys that block requests that exceptions name, and are not taken back.
    weakened: Vec<u32>,
}

/// Who says what must not be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Speaker {
    /// A list that blocks.
    BlockList,
    /// A list of what must not be blocked, which no other list revokes.
    AllowList,
}

#[derive(Clone, Debug)]
struct Retraction {
    origin: Origin,
    text: String,
}

/// A rule that blocks, of which its manner alone does not tell enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    key: u64,
    manner: Manner,
    rule: RuleText,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyState {
    /// No exception names what it blocks.
    Kept,
    /// It stays, although exceptions name some of what it blocks.
    Weakened,
    /// Nothing is left of what asked for it.
    Revoked,
}

/// The first characters of a text, as many as reports have.
fn beginning(text: &str) -> String {
    text.chars().take(MAX_EXAMPLE_TEXT).collect()
}

impl Exceptions {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.retractions.is_empty()
    }

    /// Adds an exception under each of its keys.
    pub(super) fn add<'k>(&mut self, keys: impl Iterator<Item = &'k str>, exception: Exception) {
        keys.for_each(|key| self.insert(key, exception.clone()));
    }

    fn insert(&mut self, key: &str, exception: Exception) {
        let hash = self.hasher.hash_one((key.as_bytes(), exception.said()));
        self.lengths.add(key.len());
        let all = self.by_key.entry(key.as_bytes().to_vec()).or_default();
        let place = *self.said.entry(hash).or_insert(all.len());
        if all.get(place).is_some_and(|known| known.said() == exception.said()) {
            return;
        }
        if exception.is_partial() {
            let kept = self.partial.entry(key.as_bytes().to_vec()).or_default();
            if *kept == MAX_PARTIAL {
                return;
            }
            *kept += 1;
        }
        self.any_wide |= exception.is_wide();
        self.any_yielding |= exception.yields_below();
        all.push(exception);
    }

    /// Adds a rule with `$badfilter`, which takes back the rule of the same text; `text` is reported.
    pub(super) fn retract(&mut self, entry: &Entry<'_>, origin: Origin, text: &str) {
        let Some(rule) = entry.rule else { return };
        let retractions = match entry.action {
            Action::RetractException => &mut self.exception_retractions,
            _ => &mut self.retractions,
        };
        retractions
            .entry(rule.identity())
            .or_insert_with(|| Retraction { origin, text: beginning(text) });
    }

    /// Takes note of a rule that blocks, unless its keys and their manner tell all of it. Returns the manner of each key.
    pub(super) fn note_rule<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k str>,
        rule: RuleText,
        manner: Manner,
    ) -> Manner {
        let mut keys = keys.peekable();
        let is_plain = manner == Manner::PLAIN
            && keys.peek().is_some_and(|key| RuleText::of_host(key) == rule);
        if is_plain {
            return manner;
        }
        for key in keys {
            let key = self.hasher.hash_one(key.as_bytes());
            self.notes.push(Note { key, manner, rule });
        }
        manner.noted()
    }

    /// Leaves out the exceptions that are revoked themselves, and makes ready to ask for keys.
    pub(super) fn settle(&mut self, report: &mut Report) {
        let retractions = &self.exception_retractions;
        for exceptions in self.by_key.values_mut() {
            exceptions.retain(|exception| {
                let Some(by) = exception.identity().and_then(|rule| retractions.get(&rule)) else {
                    return true;
                };
                report.revoked_exceptions.push(RevokedException {
                    origin: by.origin,
                    entry: by.text.clone(),
                    exception: exception.origin,
                });
                false
            });
        }
        self.by_key.retain(|_, exceptions| !exceptions.is_empty());
        report
            .revoked_exceptions
            .sort_unstable_by_key(|revoked| (revoked.origin, revoked.exception));
        report.revoked_exceptions.dedup();
        // Rules that say the same of a key count once: there may be one for each way of writing it.
        self.notes.sort_unstable();
        self.notes.dedup();
        for (key, exceptions) in &self.by_key {
            let open: Vec<_> = exceptions.iter().filter(|one| one.is_open()).cloned().collect();
            if !open.is_empty()
                && let Ok(key) = std::str::from_utf8(key)
            {
                self.open_ends.add(key, open);
            }
        }
    }

    /// The entries that asked for a key.
    fn uses(&self, key: &str, manners: u64) -> Vec<Use> {
        let (noted, plain): (Vec<_>, Vec<_>) =
            Manner::of_bits(manners).partition(|of| of.is_noted());
        let mut uses: Vec<Use> = plain.into_iter().map(|manner| Use::new(manner, None)).collect();
        if !noted.is_empty() {
            let hash = self.hasher.hash_one(key.as_bytes());
            let first = self.notes.partition_point(|note| note.key < hash);
            let notes = self.notes[first..].iter().take_while(|note| note.key == hash);
            uses.extend(notes.map(|note| Use::new(note.manner, Some(note.rule))));
        }
        uses
    }

    /// Calls `visit` for each exception that names requests that a key blocks, until it breaks. Adblock patterns ignore the case
    /// of letters, and keys of 26 keep it.
    fn each_related<'e>(
        &'e self,
        key: &str,
        mut visit: impl FnMut(&'e Exception, Relation<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let lower = key.bytes().any(|b| b.is_ascii_uppercase()).then(|| key.to_ascii_lowercase());
        for key in [Some(key), lower.as_deref()].into_iter().flatten() {
            self.of(key).iter().try_for_each(|exception| visit(exception, Relation::Same))?;
            let (host, port, path) = split_place(key);
            if !self.any_wide && port.is_empty() {
                continue;
            }
            let mut visit_cover = |cover: &str| {
                let exceptions = self.of(cover);
                if exceptions.is_empty() {
                    return ControlFlow::Continue(());
                }
                let (cover_host, cover_rest) = split_host(cover);
                let relation = match cover_host == host {
                    true if cover_rest == path => Relation::AtPort(port),
                    true => Relation::PageBelow,
                    false => Relation::HostBelow,
                };
                let rest = &key[host.len()..];
                let is_behind_slash = rest
                    .strip_prefix(cover_rest)
                    .is_none_or(|behind| behind.is_empty() || behind.starts_with('/'));
                let names = |exception: &&Exception| {
                    exception.names(relation) && (is_behind_slash || !exception.has_slash())
                };
                exceptions.iter().filter(names).try_for_each(|exception| visit(exception, relation))
            };
            if any_cover(key, REACH, &self.lengths, |cover| visit_cover(cover).is_break()) {
                return ControlFlow::Break(());
            }
            // Keys have two labels or more, exceptions may name a top-level domain.
            let last = last_labels(host, 1);
            if last.len() < host.len() {
                visit_cover(last)?;
            }
            self.open_ends.each_prefix(key, |exceptions, relation| {
                let mut named = exceptions.iter().filter(|one| one.names(relation));
                named.try_for_each(|exception| visit(exception, relation))
            })?;
        }
        ControlFlow::Continue(())
    }

    fn of(&self, key: &str) -> &[Exception] {
        self.by_key.get(key.as_bytes()).map_or(&[], Vec::as_slice)
    }

    /// Whether an exception yields to a key below it, which its own list asks for.
    fn yields_to(
        &self,
        exception: &Exception,
        relation: Relation<'_>,
        uses: &Uses,
        number: usize,
    ) -> bool {
        if relation != Relation::HostBelow || !exception.yields_below() {
            return false;
        }
        let source = exception.origin.source();
        let first = self.in_further_lists.partition_point(|&(of, _)| (of as usize) < number);
        let further = self.in_further_lists[first..].iter();
        let mut further = further.take_while(|&&(of, _)| of as usize == number);
        uses.first(number).source() == source
            || further.any(|(_, origin)| origin.source() == source)
    }

    /// What becomes of a key.
    fn state_of(&self, keys: &KeySet, number: usize, key: &str, report: &mut Report) -> KeyState {
        let mut uses = self.uses(key, keys.uses().manners(number));
        let mut is_weakened = false;
        let mut is_done = false;
        let mut take = |uses: &mut [Use], origin, text: &str, take: &dyn Fn(&mut Use)| {
            uses.iter_mut().for_each(take);
            if !is_done && uses.iter().all(Use::is_gone) {
                is_done = true;
                report.count_revoked(origin, text, key);
            }
        };
        if !self.retractions.is_empty() {
            for number in 0..uses.len() {
                let identity = uses[number].identity(key);
                if let Some(by) = identity.and_then(|identity| self.retractions.get(&identity)) {
                    take(&mut uses[number..=number], by.origin, &by.text, &Use::retract);
                }
            }
        }
        // Nothing more can be taken from what is gone. The uses themselves say whether it ended early.
        let is_gone = |uses: &[Use]| uses.iter().all(Use::is_gone);
        let _ = self.each_related(key, |exception, relation| {
            if self.yields_to(exception, relation, keys.uses(), number) {
                return ControlFlow::Continue(());
            }
            is_weakened = true;
            take(&mut uses, exception.origin, &exception.text, &|of| exception.take(of, relation));
            if is_gone(&uses) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match is_gone(&uses) {
            true => KeyState::Revoked,
            false if is_weakened => KeyState::Weakened,
            false => KeyState::Kept,
        }
    }

    /// The numbers of the keys that are taken back, as one flag for each key. `keep` is never taken back.
    pub(super) fn revoked(
        &mut self,
        keys: &KeySet,
        keep: Option<usize>,
        report: &mut Report,
    ) -> Vec<bool> {
        if self.any_yielding {
            self.in_further_lists = keys.uses().more();
        }
        let mut revoked = vec![false; keys.numbers()];
        for (number, key) in keys.numbered().filter(|&(number, _)| keep != Some(number)) {
            let Ok(text) = std::str::from_utf8(key) else { continue };
            match self.state_of(keys, number, text, report) {
                KeyState::Revoked => revoked[number] = true,
                // A set has fewer keys than 2^32.
                KeyState::Weakened => self.weakened.push(number as u32),
                KeyState::Kept => {}
            }
        }
        revoked
    }

    /// Reports each exception with the keys that still block requests that it names: those that cover it, those below it, and those
    /// that block a part of it.
    pub(super) fn report_still_covered(&self, keys: &KeySet, report: &mut Report) {
        if self.by_key.is_empty() {
            return;
        }
        let mut naming = Naming { keys, report, named: BTreeMap::new() };
        let lengths = Lengths::of(keys.iter());
        let lengths_with_port = Lengths::of(keys.iter().filter(|key| key.contains(&b':')));
        let mut overlaps = Overlaps::default();
        for (key, exceptions) in &self.by_key {
            let Ok(text) = std::str::from_utf8(key) else { continue };
            naming.name_covers(exceptions, text, &lengths);
            overlaps.add(text, exceptions);
            let (host, port, path) = split_place(text);
            for exception in exceptions.iter().filter(|_| port.is_empty()) {
                for port in exception.ports_of_page() {
                    let text = [host, port, path].concat();
                    naming.name_covers(std::slice::from_ref(exception), &text, &lengths_with_port);
                }
            }
        }
        for &number in &self.weakened {
            let key = keys.get(number as usize);
            if let (Some(number), Ok(text)) = (keys.number_of(key), std::str::from_utf8(key)) {
                // All are named, so that it never ends early.
                let _ = self.each_related(text, |exception, relation| {
                    if !self.yields_to(exception, relation, keys.uses(), number) {
                        naming.name(exception, number);
                    }
                    ControlFlow::Continue(())
                });
            }
        }
        for (number, key) in keys.numbered() {
            if let Ok(text) = std::str::from_utf8(key) {
                overlaps.each(text, |exception| naming.name(exception, number));
            }
        }
        report.still_covered.sort_by_key(|covered| covered.origin);
    }
}

/// Names the first keys that block what an exception names.
struct Naming<'n> {
    keys: &'n KeySet,
    report: &'n mut Report,
    named: BTreeMap<Origin, Vec<usize>>,
}

impl Naming<'_> {
    /// Names the keys that block all of what the exceptions of a text name: the text, and those that cover it.
    fn name_covers(&mut self, exceptions: &[Exception], text: &str, lengths: &Lengths) {
        let mut look = |text: &str| {
            if let Some(number) = self.keys.number_of(text.as_bytes()) {
                for exception in exceptions {
                    self.name(exception, number);
                }
            }
            false
        };
        look(text);
        any_cover(text, REACH, lengths, look);
    }

    /// Names a key for an exception, unless it is named already or there are enough. Returns whether there are enough now.
    fn name(&mut self, exception: &Exception, number: usize) -> bool {
        let numbers = self.named.entry(exception.origin).or_default();
        if numbers.len() < MAX_KEYS && !numbers.contains(&number) {
            numbers.push(number);
            self.report.still_covered.push(StillCovered {
                origin: exception.origin,
                entry: exception.text.clone(),
                key: String::from_utf8_lossy(self.keys.get(number)).into_owned(),
                blocked_by: self.keys.uses().first(number),
            });
        }
        numbers.len() == MAX_KEYS
    }
}
