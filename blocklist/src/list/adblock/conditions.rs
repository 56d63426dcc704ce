//! The directives `!#if`, `!#else` and `!#endif`.

/// Which of the lines that follow count. Each name in a condition stands for a program, a platform or an ability, and none
/// of them is this one: all but `true` are false.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// Open conditions whose lines count.
    taken: u64,
    skipped: Option<Skipped>,
}

/// A condition whose lines do not count.
#[derive(Debug)]
struct Skipped {
    /// Open conditions inside.
    nested: u64,
    /// Whether the lines behind `!#else` count.
    counts_else: bool,
}

/// Parentheses and negations that may be open at once.
const MAX_DEPTH: u32 = 16;

impl Conditions {
    /// Whether the lines do not count.
    pub(super) fn is_skipping(&self) -> bool {
        self.skipped.is_some()
    }

    /// Takes a directive, without its `!#`. Others than conditions change nothing.
    pub(super) fn directive(&mut self, text: &str) {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (name, condition) = text.split_at(end);
        match (name, &mut self.skipped) {
            ("if", Some(skipped)) => skipped.nested += 1,
            ("if", None) => match evaluate(condition) {
                Some(true) => self.taken += 1,
                value => {
                    // Of a condition that cannot be read neither branch counts.
                    self.skipped = Some(Skipped { nested: 0, counts_else: value == Some(false) });
                }
            },
            ("else", Some(skipped)) if skipped.nested == 0 && skipped.counts_else => {
                self.skipped = None;
                self.taken += 1;
            }
            ("else", None) if self.taken > 0 => {
                self.taken -= 1;
                self.skipped = Some(Skipped { nested: 0, counts_else: false });
            }
            ("endif", Some(skipped)) if skipped.nested > 0 => skipped.nested -= 1,
            ("endif", Some(_)) => self.skipped = None,
            ("endif", None) => self.taken = self.taken.saturating_sub(1),
            _ => {}
        }
    }
}

/// The value of a condition; none if it is malformed.
fn evaluate(text: &str) -> Option<bool> {
    let mut rest = text;
    let value = any_of(&mut rest, MAX_DEPTH)?;
    rest.trim_start().is_empty().then_some(value)
}

fn any_of(rest: &mut &str, depth: u32) -> Option<bool> {
    let mut value = all_of(rest, depth)?;
    while skip(rest, "||") {
        value |= all_of(rest, depth)?;
    }
    Some(value)
}

fn all_of(rest: &mut &str, depth: u32) -> Option<bool> {
    let mut value = term(rest, depth)?;
    while skip(rest, "&&") {
        value &= term(rest, depth)?;
    }
    Some(value)
}

fn term(rest: &mut &str, depth: u32) -> Option<bool> {
    if skip(rest, "!") {
        return Some(!term(rest, depth.checked_sub(1)?)?);
    }
    if skip(rest, "(") {
        let value = any_of(rest, depth.checked_sub(1)?)?;
        return skip(rest, ")").then_some(value);
    }
    let text = rest.trim_start();
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let (name, after) = text.split_at(text.find(|c| !is_of_name(c)).unwrap_or(text.len()));
    *rest = after;
    (!name.is_empty()).then_some(name == "true")
}

fn skip(rest: &mut &str, mark: &str) -> bool {
    let found = rest.trim_start().strip_prefix(mark);
    if let Some(after) = found {
        *rest = after;
    }
    found.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_are_false() {
        for (text, expected) in [
            (" adguard", Some(false)),
            (" !adguard", Some(true)),
            (" true", Some(true)),
            (" (env_mobile || !ext_ublock) && !false", Some(true)),
            (" (adguard && !adguard_ext_safari)", Some(false)),
            (" !(a || b)", Some(true)),
            ("", None),
            (" a b", None),
            (" a &&", None),
            (" (a", None),
            (" a)", None),
        ] {
            assert_eq!(evaluate(text), expected, "{text}");
        }
    }

    #[test]
    fn conditions_nest_up_to_their_limit() {
        let max = MAX_DEPTH as usize;
        for (depth, is_read) in [(max - 1, true), (max, true), (max + 1, false)] {
            let negated = evaluate(&format!("{}true", "!".repeat(depth)));
            assert_eq!(negated, is_read.then_some(depth % 2 == 0), "{depth}");
            let enclosed = evaluate(&format!("{}true{}", "(".repeat(depth), ")".repeat(depth)));
            assert_eq!(enclosed, is_read.then_some(true), "{depth}");
        }
        assert_eq!(evaluate(&"(".repeat(100_000)), None);
    }

    #[test]
    fn branches_nest() {
        let mut conditions = Conditions::default();
        for (directive, is_skipping) in [
            ("if a", true),
            ("if true", true),
            ("else", true),
            ("endif", true),
            ("else", false),
            ("if !a", false),
            ("else", true),
            ("else", true),
            ("endif", false),
            ("include x", false),
            ("endif", false),
            ("endif", false),
            ("else", false),
            ("if (", true),
            ("else", true),
            ("endif", false),
        ] {
            conditions.directive(directive);
            assert_eq!(conditions.is_skipping(), is_skipping, "{directive}");
        }
    }
}
