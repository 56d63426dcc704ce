//! Exceptions that name every path that begins with theirs, also inside of a segment: `@@||host/x` names `/xy`.

use super::exception::Relation;
use crate::key::names::split_host;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Paths with what stands in front of them, by host.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenEnds(BTreeMap<String, BTreeSet<String>>);

impl OpenEnds {
    /// Adds a key.
    pub(super) fn add(&mut self, key: &str) {
        let (host, rest) = split_host(key);
        self.0.entry(host.to_owned()).or_default().insert(rest.to_owned());
    }

    /// Calls `visit` for each text that was added whose host is that of `key` or a parent of it, and whose path is a
    /// beginning of that of `key`.
    pub(super) fn each_prefix(&self, key: &str, mut visit: impl FnMut(&str, Relation)) {
        if self.0.is_empty() {
            return;
        }
        let (host, rest) = split_host(key);
        let mut relation = Relation::PageBelow;
        let mut parent = Some(host);
        while let Some(of) = parent {
            if let Some(paths) = self.0.get(of) {
                let mut end = rest;
                // The largest path up to the end is a beginning of it, or all beginnings are among what both have in common.
                while let Some(path) = up_to(paths, end) {
                    if !path.is_empty()
                        && path.len() < rest.len()
                        && rest.starts_with(path.as_str())
                    {
                        visit(&format!("{of}{path}"), relation);
                    }
                    end = before(end, path);
                    if end.is_empty() {
                        break;
                    }
                }
            }
            relation = Relation::HostBelow;
            parent = of.split_once('.').map(|(_, parent)| parent);
        }
    }
}

/// The last of some paths in their order that is not behind `end`.
fn up_to<'p>(paths: &'p BTreeSet<String>, end: &str) -> Option<&'p String> {
    paths.range::<str, _>((Bound::Unbounded, Bound::Included(end))).next_back()
}

/// What a text has in common with `path`, without its last character if that is all of `path`.
fn before<'t>(text: &'t str, path: &str) -> &'t str {
    let common = text.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
    let mut end = if common == path.len() { common.saturating_sub(1) } else { common };
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ends.add(key);
        }
        let found = |key: &str| {
            let mut found = Vec::new();
            ends.each_prefix(key, |text, relation| found.push(format!("{text} {relation:?}")));
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
