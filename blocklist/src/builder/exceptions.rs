//! Entries that take other entries back: exceptions of lists, allow lists, `$badfilter`.

use super::key_set::KeySet;
use super::report::{MAX_EXAMPLE_TEXT, Report, StillCovered};
use super::uses::Origin;
use crate::key::names::split_host;
use crate::key::parents::{Reach, any_cover};
use crate::list::{Action, Entry, RuleOptions, Scope};
use std::collections::BTreeMap;

/// What a build must not block.
#[derive(Clone, Debug, Default)]
pub(super) struct Exceptions {
    by_key: BTreeMap<Vec<u8>, Exception>,
    /// Whether an exception takes back more than one key.
    any_wide: bool,
}

/// What the lists say of one key, beside blocking it.
#[derive(Clone, Debug)]
struct Exception {
    origin: Origin,
    text: String,
    /// Whether it is an exception, and not `$badfilter` alone.
    allows: bool,
    /// Option sets of the entries that are taken back, one bit each.
    allowed: u64,
    /// Whether the key itself is meant, and not only what lies below it.
    includes_key: bool,
    /// Whether the pages below are meant, too.
    pages_below: bool,
    /// Whether the keys of hosts below are meant, too.
    subdomains: bool,
    /// Option sets of rules that `$badfilter` takes back, one bit each.
    retracted: u64,
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
    pub(super) fn add(&mut self, key: &[u8], entry: &Entry<'_>, origin: Origin) {
        let exception = self.by_key.entry(key.to_vec()).or_insert_with(|| Exception {
            origin,
            text: entry.text.chars().take(MAX_EXAMPLE_TEXT).collect(),
            allows: false,
            allowed: 0,
            includes_key: false,
            pages_below: false,
            subdomains: false,
            retracted: 0,
        });
        let options = entry.options;
        if entry.action == Action::Retract {
            // Which options were dropped is not known, so that no rule can be told to be the same.
            if !options.contains(RuleOptions::DROPPED) {
                exception.retracted |= 1 << options.number();
            }
            return;
        }
        let is_important = options.contains(RuleOptions::IMPORTANT);
        let is_www = options.contains(RuleOptions::WWW);
        exception.allows = true;
        exception.allowed |= sets(|blocked| {
            (is_important || !blocked.contains(RuleOptions::IMPORTANT))
                && (!is_www || blocked.contains(RuleOptions::WWW))
        });
        exception.includes_key |= entry.scope != Scope::Subdomains;
        exception.pages_below |= !matches!(entry.scope, Scope::Subdomains | Scope::Page);
        let names_hosts_below = matches!(entry.scope, Scope::Site | Scope::Subdomains);
        exception.subdomains |= names_hosts_below && !is_www;
        self.any_wide |= exception.pages_below || exception.subdomains;
    }

    /// The option sets that are left of those of a key.
    fn left(&self, key: &str, sets: u64, report: &mut Report) -> u64 {
        let mut left = sets;
        let mut take = |exception: &Exception, taken: u64, left: &mut u64| {
            let before = *left;
            *left &= !taken;
            if *left == 0 && before != 0 {
                report.count_revoked(exception.origin, &exception.text, key);
            }
        };
        if let Some(exception) = self.by_key.get(key.as_bytes()) {
            take(exception, exception.retracted, &mut left);
            if exception.includes_key {
                take(exception, exception.allowed, &mut left);
            }
        }
        if left != 0 && self.any_wide {
            let (host, _) = split_host(key);
            let reach = Reach { parents: true, parents_with_paths: true, ports: true };
            any_cover(key, reach, |cover| {
                let is_same_host = split_host(cover).0 == host;
                if let Some(exception) = self.by_key.get(cover.as_bytes())
                    && if is_same_host { exception.pages_below } else { exception.subdomains }
                {
                    take(exception, exception.allowed, &mut left);
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
        for (key, exception) in self.by_key.iter().filter(|(_, exception)| exception.allows) {
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
