//! What is said of names at the end of a list, in the order of its lines.

use crate::key::MAX_NAME;
use std::collections::HashSet;

/// Names, each with its line and what is said of it. Lists have millions of names, so that all are in one text.
#[derive(Default)]
pub(super) struct Said {
    names: String,
    items: Vec<Item>,
}

struct Item {
    line: u64,
    /// Where the name ends in the names.
    end: usize,
    of: Of,
    owed: Owed,
}

/// What a name is the name of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A local zone.
    Zone,
    /// Local data. They belong to the closest zone above them.
    Data,
}

/// What is said of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    /// It is blocked with all names below.
    Block,
    /// It is blocked without the names below.
    Host,
    /// The same, although its zone is an exception.
    HostInSpiteOfZone,
    Exception,
    NotABlock,
    /// It is blocked for some clients.
    BlockForSome,
    /// It is an exception for some clients.
    ExceptionForSome,
}

impl Owed {
    /// The same for clients with a tag.
    fn for_some(self) -> Self {
        match self {
            Self::Block | Self::Host | Self::HostInSpiteOfZone => Self::BlockForSome,
            Self::Exception => Self::ExceptionForSome,
            owed => owed,
        }
    }
}

impl Said {
    pub(super) fn add(&mut self, line: u64, name: &str, of: Of, owed: Owed) {
        self.names.push_str(name);
        self.items.push(Item { line, end: self.names.len(), of, owed });
    }

    /// Visits the line, the name and what is said of it, by lines. `tagged` has the zones that are for some clients, in lower
    /// case.
    pub(super) fn each(&self, tagged: &HashSet<String>, visit: &mut dyn FnMut(u64, &str, Owed)) {
        let mut start = 0;
        let items = self.items.iter().map(|item| {
            let name = &self.names[std::mem::replace(&mut start, item.end)..item.end];
            (item.line, name, item.of, item.owed)
        });
        let mut items: Vec<_> = items.collect();
        items.sort_by_key(|&(line, name, ..)| (line, name));
        let zones: HashSet<String> = match tagged.is_empty() {
            true => HashSet::new(),
            false => {
                let zones = items.iter().filter(|(_, _, of, _)| *of == Of::Zone);
                zones.map(|(_, zone, ..)| zone.to_ascii_lowercase()).collect()
            }
        };
        let is_tagged = |name: &str, of| {
            if tagged.is_empty() || name.len() > MAX_NAME {
                return false;
            }
            let name = name.to_ascii_lowercase();
            if of == Of::Zone {
                return tagged.contains(&name);
            }
            let mut names = std::iter::successors(Some(&*name), |name| {
                name.split_once('.').map(|(_, parent)| parent)
            });
            names.find(|name| zones.contains(*name)).is_some_and(|zone| tagged.contains(zone))
        };
        for (line, name, of, owed) in items {
            visit(line, name, if is_tagged(name, of) { owed.for_some() } else { owed });
        }
    }
}
