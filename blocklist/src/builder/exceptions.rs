//! Entries that take other entries back: exceptions of lists, allow lists, `$badfilter`.

use super::key_set::KeySet;
use super::report::{MAX_EXAMPLE_TEXT, Report, StillCovered};
use super::uses::Origin;
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
    /// Whether keys of rules without `$important` are taken back.
    allows: bool,
    /// Whether keys of rules with `$important` are taken back as well.
    allows_important: bool,
    /// Whether the key itself is meant, and not only what lies below it.
    includes_key: bool,
    /// Whether the keys of hosts below are meant, too.
    subdomains: bool,
    /// Option sets of rules that `$badfilter` takes back, one bit each.
    retracted: u16,
}

/// One bit for each set of options with `$important`.
fn important_sets() -> u16 {
    (0..RuleOptions::SETS)
        .filter(|&number| RuleOptions::from_number(number).contains(RuleOptions::IMPORTANT))
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
            allows_important: false,
            includes_key: false,
            subdomains: false,
            retracted: 0,
        });
        if entry.action == Action::Retract {
            exception.retracted |= 1 << entry.options.number();
            return;
        }
        exception.allows = true;
        exception.allows_important |= entry.options.contains(RuleOptions::IMPORTANT);
        exception.includes_key |= entry.scope != Scope::Subdomains;
        exception.subdomains |= matches!(entry.scope, Scope::Site | Scope::Subdomains);
        self.any_wide = true;
    }

    /// The option sets that are left of those of a key.
    fn left(&self, key: &str, sets: u16, report: &mut Report) -> u16 {
        let mut left = sets;
        let apply = |exception: &Exception, left: &mut u16, report: &mut Report| {
            let before = *left;
            if exception.allows_important {
                *left = 0;
            } else {
                *left &= important_sets();
            }
            if *left == 0 && before != 0 {
                report.count_revoked(exception.origin, &exception.text, key);
            }
        };
        if let Some(exception) = self.by_key.get(key.as_bytes()) {
            left &= !exception.retracted;
            if left == 0 && sets != 0 {
                report.count_revoked(exception.origin, &exception.text, key);
            }
            if exception.allows && exception.includes_key {
                apply(exception, &mut left, report);
            }
        }
        if left != 0 && self.any_wide {
            let (host, _) = crate::key::names::split_host(key);
            let reach = Reach { parents: true, parents_with_paths: true, ports: true };
            any_cover(key, reach, |cover| {
                let is_same_host = crate::key::names::split_host(cover).0 == host;
                if let Some(exception) = self.by_key.get(cover.as_bytes())
                    && exception.allows
                    && if is_same_host { exception.includes_key } else { exception.subdomains }
                {
                    apply(exception, &mut left, report);
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
            if !(exception.includes_key && look(text)) {
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
