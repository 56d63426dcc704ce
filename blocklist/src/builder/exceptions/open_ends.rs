//! Exceptions that name every path that begins with theirs, also inside of a segment: `@@||host/x` names `/xy`.

use super::beginnings::each_beginning;
use super::exception::{Exception, Relation};
use crate::key::names::split_host;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Paths with what stands in front of them, and their exceptions, by host.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenEnds(BTreeMap<String, BTreeMap<String, Vec<Exception>>>);

impl OpenEnds {
    /// Adds the exceptions of a key.
    pub(super) fn add(&mut self, key: &str, exceptions: Vec<Exception>) {
        let (host, rest) = split_host(key);
        self.0.entry(host.to_owned()).or_default().insert(rest.to_owned(), exceptions);
    }

    /// Calls `visit` with the exceptions of each text that was added whose host is that of `key` or a parent of it, and whose
    /// path is a beginning of that of `key`, until it breaks.
    pub(super) fn each_prefix<'e>(
        &'e self,
        key: &str,
        mut visit: impl FnMut(&'e [Exception], Relation<'static>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.0.is_empty() {
            return ControlFlow::Continue(());
        }
        let (host, rest) = split_host(key);
        let mut relation = Relation::PageBelow;
        let mut parent = Some(host);
        while let Some(of) = parent {
            if let Some(paths) = self.0.get(of) {
                each_beginning(paths, rest, 0, |path, exceptions| match path.len() < rest.len() {
                    true => visit(exceptions, relation),
                    false => ControlFlow::Continue(()),
                })?;
            }
            relation = Relation::HostBelow;
            parent = of.split_once('.').map(|(_, parent)| parent);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Speaker;
    use super::*;
    use crate::builder::manner::Manner;
    use crate::builder::uses::Origin;
    use crate::key::{EntryKind, Remarks};
    use crate::list::Entry;

    #[test]
    fn all_beginnings_of_a_path_are_found() {
        let mut ends = OpenEnds::default();
        for key in [
            "a.example/x",
            "a.example/xyz",
            "a.example/xyy",
            "a.example/xy\u{fc}",
            "b.a.example/x",
            "a.example/w",
            "a.example:81/x",
            "example/x",
        ] {
            let entry = Entry::new(key, EntryKind::Url);
            let manner = Manner::of(&entry, key, Remarks::default());
            let origin = Origin::new(0, 1);
            let exception = Exception::new(&entry, manner, origin, Speaker::BlockList, key);
            ends.add(key, vec![exception]);
        }
        let found = |key: &str| {
            let mut found = Vec::new();
            let all = ends.each_prefix(key, |exceptions, relation| {
                found.push(format!("{} {relation:?}", exceptions[0].text));
                ControlFlow::Continue(())
            });
            assert!(all.is_continue());
            found
        };
        assert_eq!(
            found("a.example/xyzz"),
            ["a.example/xyz PageBelow", "a.example/x PageBelow", "example/x HostBelow"]
        );
        assert_eq!(
            found("a.example/xy\u{fc}u?q")[..2],
            ["a.example/xy\u{fc} PageBelow", "a.example/x PageBelow"]
        );
        assert_eq!(
            found("b.a.example/xyy1"),
            [
                "b.a.example/x PageBelow",
                "a.example/xyy HostBelow",
                "a.example/x HostBelow",
                "example/x HostBelow"
            ]
        );
        assert_eq!(found("a.example:81/x1"), ["a.example:81/x PageBelow"]);
        for key in ["a.example/x", "a.example", "c.test/x", "a.example/y", "a.example/v"] {
            let without_parents: Vec<_> =
                found(key).into_iter().filter(|text| text.starts_with("a.")).collect();
            assert_eq!(without_parents, [""; 0], "{key}");
        }
    }
}
