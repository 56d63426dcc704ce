//! Which entries gave a key: where they stand, and how they ask for it.

use super::manner::Manner;
use std::collections::HashMap;

/// A line of a list of a build, in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(u64);

/// The bits of the line's number.
const LINE_BITS: u32 = 48;

impl Origin {
    /// Of a key that an option added, and no list.
    pub(super) const OPTION: Self = Self(u64::MAX);

    /// The largest number of lists of a build.
    pub(super) const MAX_SOURCES: usize = u16::MAX as usize;

    /// A line of the list with this number. Lines from 2^48 on count as the last before.
    pub(super) fn new(source: usize, line: u64) -> Self {
        debug_assert!(source < Self::MAX_SOURCES);
        Self((source as u64) << LINE_BITS | line.min((1 << LINE_BITS) - 1))
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// The number of the list in [`Report::sources`](super::Report::sources), counted from 0; `None` if an option
    /// of the build added the key.
    #[must_use]
    pub fn source(self) -> Option<usize> {
        (self != Self::OPTION).then_some((self.0 >> LINE_BITS) as usize)
    }

    /// The line, counted from 1.
    #[must_use]
    pub fn line(self) -> u64 {
        self.0 & ((1 << LINE_BITS) - 1)
    }
}

/// For each key, where it was found first in each list that has it, and the manners of its entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    /// Where each key was found first.
    first: Vec<Origin>,
    /// The upper half of the last origin that was kept for each key.
    last_source: Vec<u16>,
    /// The manner of the first entry of each key.
    manner: Vec<Manner>,
    /// For each key whose entries have several manners, one bit for each of them.
    manners: HashMap<u32, u64>,
    /// Where keys were found in further lists, in the order of the lists.
    more: Vec<(u32, Origin)>,
}

impl Uses {
    /// Notes that an entry at `origin` gave the key of a number. New keys have the next free number.
    pub(super) fn note(&mut self, number: usize, origin: Origin, manner: Manner) {
        let source = (origin.0 >> LINE_BITS) as u16;
        if number == self.first.len() {
            self.first.push(origin);
            self.last_source.push(source);
            self.manner.push(manner);
            return;
        }
        let first = self.manner[number];
        if first != manner {
            *self.manners.entry(number as u32).or_insert(first.bit()) |= manner.bit();
        }
        if self.last_source[number] != source {
            self.last_source[number] = source;
            self.more.push((number as u32, origin));
        }
    }

    /// The manners in which a key was asked for, one bit each.
    pub(super) fn manners(&self, number: usize) -> u64 {
        let several = self.manners.get(&(number as u32));
        several.copied().unwrap_or_else(|| self.manner[number].bit())
    }

    /// Where a key was found first.
    pub(super) fn first(&self, number: usize) -> Origin {
        self.first[number]
    }

    /// Where each key was found first, in the order of keys.
    #[cfg(test)]
    fn firsts(&self) -> &[Origin] {
        &self.first
    }

    /// Where keys were found in further lists, by the number of the key.
    pub(super) fn more(&self) -> Vec<(u32, Origin)> {
        let mut more = self.more.clone();
        more.sort_unstable();
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_each_list_is_kept() {
        let mut uses = Uses::default();
        for (number, source, line) in
            [(0, 0, 3), (1, 0, 4), (0, 0, 9), (0, 1, 5), (0, 1, 6), (1, 2, 7)]
        {
            uses.note(number, Origin::new(source, line), Manner::PLAIN);
        }
        assert_eq!(uses.firsts(), [Origin::new(0, 3), Origin::new(0, 4)]);
        assert_eq!(uses.more(), [(0, Origin::new(1, 5)), (1, Origin::new(2, 7))]);
    }

    #[test]
    fn all_manners_of_a_key_are_kept() {
        let (plain, noted) = (Manner::PLAIN, Manner::PLAIN.noted());
        let mut uses = Uses::default();
        for (number, manner) in
            [(0, plain), (1, noted), (0, plain), (2, plain), (2, noted), (2, plain)]
        {
            uses.note(number, Origin::new(0, 1), manner);
        }
        let manners = |number| Manner::of_bits(uses.manners(number)).collect::<Vec<_>>();
        assert_eq!(manners(0), [plain]);
        assert_eq!(manners(1), [noted]);
        assert_eq!(manners(2), [plain, noted]);
    }

    #[test]
    fn an_origin_is_a_list_and_a_line() {
        for (source, line) in [(0, 1), (7, (1 << LINE_BITS) - 1), (Origin::MAX_SOURCES - 1, 5)] {
            let origin = Origin::new(source, line);
            assert_eq!((origin.source(), origin.line()), (Some(source), line));
            assert_eq!(Origin::from_bits(origin.bits()), origin);
        }
        assert_eq!(Origin::new(1, u64::MAX).line(), (1 << LINE_BITS) - 1);
        assert_eq!(Origin::OPTION.source(), None);
    }
}
