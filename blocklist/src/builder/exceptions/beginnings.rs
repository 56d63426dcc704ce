//! The texts of an ordered map that are beginnings of another text.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

/// Calls `visit` for each text of `map` that `text` begins with and that is longer than `least` bytes, the longest first, until it
/// breaks.
pub(super) fn each_beginning<'m, T>(
    map: &'m BTreeMap<String, T>,
    text: &str,
    least: usize,
    mut visit: impl FnMut(&'m str, &'m T) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut end = text;
    // The largest text up to the end is a beginning of it, or all beginnings are among what both have in common.
    while end.len() > least
        && let Some((found, value)) =
            map.range::<str, _>((Bound::Unbounded, Bound::Included(end))).next_back()
    {
        if found.len() > least && text.starts_with(found.as_str()) {
            visit(found, value)?;
        }
        end = before(end, found);
    }
    ControlFlow::Continue(())
}

/// What a text has in common with `found`, without its last character if that is all of `found`.
fn before<'t>(text: &'t str, found: &str) -> &'t str {
    let common = text.bytes().zip(found.bytes()).take_while(|(a, b)| a == b).count();
    let mut end = if common == found.len() { common.saturating_sub(1) } else { common };
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_beginnings_are_found(texts in prop::collection::btree_set("[ab\u{fc}\u{fd}]{0,4}", 0..20), text in "[ab\u{fc}\u{fd}]{0,6}", least in 0..4usize) {
            let map = texts.iter().map(|text| (text.clone(), ())).collect();
            let mut found = Vec::new();
            let all = each_beginning(&map, &text, least, |one, ()| {
                found.push(one.to_owned());
                ControlFlow::Continue(())
            });
            prop_assert!(all.is_continue());
            found.reverse();
            let expected = texts.into_iter().filter(|one| one.len() > least && text.starts_with(one.as_str()));
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }
}
