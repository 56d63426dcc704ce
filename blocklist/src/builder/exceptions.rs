//! Entries that take other entries back: exceptions of lists, allow lists, `$badfilter`.

use super::key_set::KeySet;
use super::report::{MAX_EXAMPLE_TEXT, Report, RevokedException, StillCovered};
use super::uses::Origin;
use crate::key::names::split_host;
use crate::key::parents::{Reach, any_cover};
use crate::list::{Action, Entry, RuleOptions, Scope};
use hashbrown::DefaultHashBuilder;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

/// What a build must not block.
#[derive(Clone, Debug, Default)]
pub(super) struct Exceptions {
    by_key: BTreeMap<Vec<u8>, OfKey>,
    /// Rules that are not written as their keys: a hash of key and options, and one of the text.
    rewritten: Vec<(u64, u32)>,
    hasher: DefaultHashBuilder,
    /// Whether an exception takes back more than one key.
    any_wide: bool,
}

/// Who says what must not be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// A list that blocks.
    BlockList,
    /// A list of what must not be blocked, which no other list revokes.
    AllowList,
}

/// What the lists say of one key, beside blocking it.
#[derive(Clone, Debug, Default)]
struct OfKey {
    exceptions: Vec<Exception>,
    retractions: Vec<Retraction>,
}

/// An entry that must not be blocked.
#[derive(Clone, Debug)]
struct Exception {
    origin: Origin,
    text: String,
    speaker: Speaker,
    options: RuleOptions,
    scope: Scope,
    /// Option sets of the entries that are taken back, one bit each.
    allowed: u64,
}

/// `$badfilter`.
#[derive(Clone, Debug)]
struct Retraction {
    origin: Origin,
    text: String,
    options: RuleOptions,
    /// Whether an exception is revoked, and not a rule that blocks.
    of_exception: bool,
}

impl Exception {
    fn is_www(&self) -> bool {
        self.options.contains(RuleOptions::WWW)
    }

    /// Whether the key itself is meant, and not only what lies below it.
    fn includes_key(&self) -> bool {
        self.scope != Scope::Subdomains
    }

    /// Whether the pages below are meant, too.
    fn includes_pages_below(&self) -> bool {
        !matches!(self.scope, Scope::Subdomains | Scope::Page)
    }

    /// Whether the keys of hosts below are meant, too.
    fn includes_subdomains(&self) -> bool {
        matches!(self.scope, Scope::Site | Scope::Subdomains) && !self.is_www()
    }
}

/// The option sets for which `holds`, one bit each.
fn sets(holds: impl Fn(RuleOptions) -> bool) -> u64 {
    (0..RuleOptions::SETS)
        .filter(|&number| holds(RuleOptions::from_number(number)))
        .fold(0, |all, number| all | 1 << number)
}

impl Exceptions {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Adds an entry that takes keys back. `key` is its own key.
    pub(super) fn add(&mut self, key: &[u8], entry: &Entry<'_>, origin: Origin, speaker: Speaker) {
        let Entry { options, scope, .. } = *entry;
        let text = entry.text.chars().take(MAX_EXAMPLE_TEXT).collect();
        let of_exception = entry.action == Action::RetractException;
        if of_exception || entry.action == Action::Retract {
            // Which options were dropped is not known, so that no rule can be told to be the same.
            if !options.contains(RuleOptions::DROPPED) {
                let retraction = Retraction { origin, text, options, of_exception };
                self.by_key.entry(key.to_vec()).or_default().retractions.push(retraction);
            }
            return;
        }
        let is_important = options.contains(RuleOptions::IMPORTANT);
        let is_www = options.contains(RuleOptions::WWW);
        let allowed = sets(|blocked| {
            (is_important || !blocked.contains(RuleOptions::IMPORTANT))
                && (!is_www || blocked.contains(RuleOptions::WWW))
        });
        let exception = Exception { origin, text, speaker, options, scope, allowed };
        self.any_wide |= exception.includes_pages_below() || exception.includes_subdomains();
        let of_key = self.by_key.entry(key.to_vec()).or_default();
        let is_known = of_key.exceptions.iter().any(|known| {
            (known.speaker, known.options, known.scope) == (speaker, options, scope)
                && known.text == exception.text
        });
        if !is_known {
            of_key.exceptions.push(exception);
        }
    }

    /// Takes note of how a rule is written that blocks, of which the options alone do not tell. `key` is one of its keys.
    pub(super) fn note_rule(&mut self, key: &[u8], entry: &Entry<'_>) {
        if entry.options.contains(RuleOptions::REWRITTEN) {
            let text = self.hasher.hash_one(entry.text) as u32;
            self.rewritten.push((self.hasher.hash_one((key, entry.options)), text));
        }
    }

    /// Leaves out the `$badfilter` of which no rule has the text, where several texts have one key.
    fn retract_by_text(&mut self) {
        let is_meant = |retraction: &Retraction| {
            !retraction.of_exception && retraction.options.contains(RuleOptions::REWRITTEN)
        };
        // Whether a rule is there, and each has the same text.
        let mut same: HashMap<u64, Option<bool>> = HashMap::new();
        let mut texts: HashMap<u64, u32> = HashMap::new();
        for (key, of_key) in &self.by_key {
            for retraction in of_key.retractions.iter().filter(|retraction| is_meant(retraction)) {
                let place = self.hasher.hash_one((key.as_slice(), retraction.options));
                texts.insert(place, self.hasher.hash_one(&retraction.text) as u32);
                same.insert(place, None);
            }
        }
        if same.is_empty() {
            return;
        }
        for (place, text) in &self.rewritten {
            if let Some(all_same) = same.get_mut(place) {
                *all_same = Some(all_same.unwrap_or(true) && texts.get(place) == Some(text));
            }
        }
        for (key, of_key) in &mut self.by_key {
            of_key.retractions.retain(|retraction| {
                let place = self.hasher.hash_one((key.as_slice(), retraction.options));
                !is_meant(retraction) || same.get(&place) == Some(&Some(true))
            });
        }
    }

    /// Leaves out the exceptions that are revoked themselves, and the rules that revoke none.
    pub(super) fn settle(&mut self, report: &mut Report) {
        self.retract_by_text();
        for of_key in self.by_key.values_mut() {
            for retraction in of_key.retractions.iter().filter(|of| of.of_exception) {
                of_key.exceptions.retain(|exception| {
                    let is_same = exception.speaker == Speaker::BlockList
                        && exception.options == retraction.options
                        && exception.text == retraction.text;
                    if is_same {
                        report.revoked_exceptions.push(RevokedException {
                            origin: retraction.origin,
                            entry: retraction.text.clone(),
                            exception: exception.origin,
                        });
                    }
                    !is_same
                });
            }
        }
        report
            .revoked_exceptions
            .sort_unstable_by_key(|revoked| (revoked.origin, revoked.exception));
        report.revoked_exceptions.dedup();
    }

    /// The option sets that are left of those of a key.
    fn left(&self, key: &str, sets: u64, report: &mut Report) -> u64 {
        let mut left = sets;
        let mut take = |origin: Origin, text: &str, taken: u64, left: &mut u64| {
            let before = *left;
            *left &= !taken;
            if *left == 0 && before != 0 {
                report.count_revoked(origin, text, key);
            }
        };
        if let Some(of_key) = self.by_key.get(key.as_bytes()) {
            for retraction in of_key.retractions.iter().filter(|of| !of.of_exception) {
                let taken = 1 << retraction.options.number();
                take(retraction.origin, &retraction.text, taken, &mut left);
            }
            for exception in of_key.exceptions.iter().filter(|exception| exception.includes_key()) {
                take(exception.origin, &exception.text, exception.allowed, &mut left);
            }
        }
        if left != 0 && self.any_wide {
            let (host, _) = split_host(key);
            let reach = Reach { parents: true, parents_with_paths: true, ports: true };
            any_cover(key, reach, |cover| {
                let is_same_host = split_host(cover).0 == host;
                let exceptions = self
                    .by_key
                    .get(cover.as_bytes())
                    .map_or(&[][..], |of_key| of_key.exceptions.as_slice());
                for exception in exceptions {
                    let is_meant = match is_same_host {
                        true => exception.includes_pages_below(),
                        false => exception.includes_subdomains(),
                    };
                    if is_meant {
                        take(exception.origin, &exception.text, exception.allowed, &mut left);
                    }
                }
                left == 0
            });
        }
        left
    }

    /// The numbers of the keys that are taken back, as one flag for each key. `keep` is never taken back.
    pub(super) fn revoked(
        &self,
        keys: &KeySet,
        keep: Option<usize>,
        report: &mut Report,
    ) -> Vec<bool> {
        let mut revoked = vec![false; keys.numbers()];
        for (number, key) in keys.numbered().filter(|&(number, _)| keep != Some(number)) {
            let Ok(text) = std::str::from_utf8(key) else { continue };
            revoked[number] = self.left(text, keys.uses().option_sets(number), report) == 0;
        }
        revoked
    }

    /// Reports each exception whose requests are still blocked by a key that covers them.
    pub(super) fn report_still_covered(&self, keys: &KeySet, report: &mut Report) {
        // On some system at least: a parent with a path counts.
        let reach = Reach { parents: true, parents_with_paths: true, ports: true };
        for (key, of_key) in &self.by_key {
            // Of several that mean the same, the first speaks for all.
            let Some(exception) = of_key.exceptions.first() else { continue };
            let Ok(text) = std::str::from_utf8(key) else { continue };
            let mut cover = None;
            let mut look = |text: &str| {
                cover = keys.number_of(text.as_bytes());
                cover.is_some()
            };
            if !look(text) {
                any_cover(text, reach, look);
            }
            if let Some(number) = cover {
                let key = String::from_utf8_lossy(keys.get(number)).into_owned();
                let blocked_by = keys.uses().first(number);
                let entry = exception.text.clone();
                report.still_covered.push(StillCovered {
                    origin: exception.origin,
                    entry,
                    key,
                    blocked_by,
                });
            }
        }
    }
}
