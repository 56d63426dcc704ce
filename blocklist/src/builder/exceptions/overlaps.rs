//! Exceptions and keys of which neither covers the other, and which have requests in common: `@@||sub.host^` and the key
//! `host/path`, or `@@||host/path^` and the key `sub.host`.

use super::Exception;
use super::beginnings::each_beginning;
use super::exception::{Ending, Relation};
use crate::key::names::{parents, split_place};
use hashbrown::HashSet;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Stands for every port.
const ANY_PORT: &str = ":*";

/// Exceptions by the hosts whose keys may overlap with them.
#[derive(Default)]
pub(super) struct Overlaps<'e> {
    exceptions: Vec<&'e Exception>,
    /// Exceptions at their hosts and the parents of these: a key there blocks the hosts below as well.
    above: Places,
    /// Those of a port or a path that name the hosts below theirs, at their hosts.
    below: Places,
}

/// Numbers of exceptions of one place, by the [`Ending`] of each at its index: a key whose path goes on in another way passes over
/// all of them at once.
type ByEnding = [Vec<u32>; Ending::ALL.len()];

/// Numbers of exceptions by host, port and path.
#[derive(Default)]
struct Places {
    /// The hosts of all.
    hosts: HashSet<String>,
    /// By host, port, NUL and path. Those with a port are at [`ANY_PORT`] as well.
    numbers: BTreeMap<String, ByEnding>,
}

impl<'e> Overlaps<'e> {
    /// Adds the exceptions of a key.
    pub(super) fn add(&mut self, key: &str, exceptions: &'e [Exception]) {
        let (host, port, path) = split_place(key);
        let is_whole = port.is_empty() && path.is_empty();
        for exception in exceptions.iter().filter(|exception| !exception.is_one_page()) {
            let number = self.exceptions.len() as u32;
            self.exceptions.push(exception);
            for above in parents(host) {
                // It takes back, or is named with, all keys of its own host.
                let is_at_host = above.len() == host.len();
                if !(is_whole && is_at_host && exception.names(Relation::PageBelow)) {
                    self.above.add(above, port, path, number, exception.ending());
                }
            }
            if !is_whole && exception.names(Relation::HostBelow) {
                self.below.add(host, port, path, number, exception.ending());
            }
        }
    }

    /// Calls `visit` for each exception that a key overlaps with. An exception for which it returns `true` is not visited again,
    /// also not for other keys. Some that the key covers, or that name all that it blocks, are among them.
    pub(super) fn each(&mut self, key: &str, mut visit: impl FnMut(&'e Exception) -> bool) {
        let Self { exceptions, above, below } = self;
        let (host, port, path) = split_place(key);
        // The whole URL of a root page, which nothing below asks for.
        if path == "/" {
            return;
        }
        let shared_ports = ["", if port.is_empty() { ANY_PORT } else { port }];
        let is_whole = port.is_empty() && path.is_empty();
        let mut is_done = |number: u32| visit(exceptions[number as usize]);
        if !is_whole && above.hosts.contains(host) {
            for port in shared_ports {
                above.each_shorter(host, port, path, &mut is_done);
            }
            if !port.is_empty() {
                above.each_longer(host, "", path, &mut is_done);
            }
        }
        if below.hosts.is_empty() {
            return;
        }
        for parent in parents(host).skip(1) {
            if !below.hosts.contains(parent) {
                continue;
            }
            if port.is_empty() {
                below.each_shorter(parent, ANY_PORT, path, &mut is_done);
            }
            for port in shared_ports {
                below.each_longer(parent, port, path, &mut is_done);
            }
        }
    }
}

impl Places {
    fn add(&mut self, host: &str, port: &str, path: &str, number: u32, ending: Ending) {
        self.hosts.get_or_insert_with(host, str::to_owned);
        let any_port = (!port.is_empty()).then_some(ANY_PORT);
        for port in [port].into_iter().chain(any_port) {
            let numbers = self.numbers.entry(place(host, port, path)).or_default();
            numbers[ending.index()].push(number);
        }
    }

    /// Visits the exceptions whose path is a beginning of `path`, or all of it, if they name `path`, and forgets those for which
    /// `is_done` holds.
    fn each_shorter(
        &mut self,
        host: &str,
        port: &str,
        path: &str,
        mut is_done: impl FnMut(u32) -> bool,
    ) {
        let text = place(host, port, path);
        let least = text.len() - path.len() - 1;
        let mut places = Vec::new();
        // All are visited, so that it never ends early.
        let _ = each_beginning(&self.numbers, &text, least, |place, _| {
            places.push(place.len());
            ControlFlow::Continue(())
        });
        for end in places {
            self.forget(&text[..end], &text[end..], &mut is_done);
        }
    }

    /// Visits the exceptions whose path is `path`, or lies below it, and forgets those for which `is_done` holds.
    fn each_longer(
        &mut self,
        host: &str,
        port: &str,
        path: &str,
        mut is_done: impl FnMut(u32) -> bool,
    ) {
        let same = place(host, port, path);
        self.forget(&same, "", &mut is_done);
        for mark in ["/", "?", "#"] {
            let start = [&same, mark].concat();
            let mut from = start.clone();
            // A place is looked at again only if an exception is left there.
            while let Some((found, _)) = self.numbers.range(from..).next()
                && found.starts_with(&start)
            {
                let found = found.clone();
                self.forget(&found, "", &mut is_done);
                from = found + "\0";
            }
        }
    }

    /// Forgets the numbers at a place for which `is_done` holds, of the exceptions that name what goes on with `behind`.
    fn forget(&mut self, place: &str, behind: &str, mut is_done: impl FnMut(u32) -> bool) {
        let Some(numbers) = self.numbers.get_mut(place) else { return };
        for (ending, numbers) in Ending::ALL.into_iter().zip(numbers.iter_mut()) {
            if ending.reaches(behind) {
                numbers.retain(|&number| !is_done(number));
            }
        }
        if numbers.iter().all(Vec::is_empty) {
            self.numbers.remove(place);
        }
    }
}

/// No host, port or path has a NUL.
fn place(host: &str, port: &str, path: &str) -> String {
    [host, port, "\0", path].concat()
}
