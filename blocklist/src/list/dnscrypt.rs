//! Lists of names for dnscrypt-proxy: names with everything below, exact names, patterns.

use super::{Emit, Entry, LineFormat, LineKind, Scope};
use crate::key::{EntryKind, Refusal};

pub(super) struct Dnscrypt;

impl LineFormat for Dnscrypt {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let content = without_comment(line).trim();
        if content.is_empty() {
            return if line.trim().is_empty() { LineKind::Blank } else { LineKind::Comment };
        }
        emit(rule(content).map_err(|refusal| (refusal, content)));
        LineKind::Entry
    }

    fn is_of_names(&self) -> bool {
        true
    }
}

fn rule(content: &str) -> Result<Entry<'_>, Refusal> {
    // The name of a time span, in which alone the rule holds.
    if content.contains('@') {
        return Err(Refusal::RuleOption);
    }
    if let Some(name) = content.strip_prefix('=').filter(|name| !name.contains('*')) {
        return Ok(Entry::new(name, EntryKind::Host).with_scope(Scope::Host));
    }
    // With a star in front, the name itself is meant as well.
    let name = content.strip_prefix("*.").or_else(|| content.strip_prefix('.')).unwrap_or(content);
    if name.contains(['*', '?', '[', ']', '=']) {
        return Err(Refusal::Wildcard);
    }
    Ok(Entry::new(name, EntryKind::Host).with_scope(Scope::Site))
}

/// A `#` begins a comment at the beginning of the line and behind white space.
fn without_comment(line: &str) -> &str {
    let comment = memchr::memchr_iter(b'#', line.as_bytes())
        .find(|&at| at == 0 || line.as_bytes()[at - 1].is_ascii_whitespace());
    &line[..comment.unwrap_or(line.len())]
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::details;

    #[test]
    fn names_are_entries_and_patterns_are_not() {
        let text = "## list\n\na.example\n*.b.example # why\n.c.example\n=d.example\nads.*\n*sex*\nads[0-9].example\n\
                    e.example @work\nf?.example\n\t# x\n=*.g.example\n";
        assert_eq!(
            details(text, &Format::Dnscrypt.into()),
            [
                "3 block site a.example",
                "4 block site b.example",
                "5 block site c.example",
                "6 block host d.example",
                "7 -wildcard",
                "8 -wildcard",
                "9 -wildcard",
                "10 -rule-option",
                "11 -wildcard",
                "13 -wildcard",
            ]
        );
    }
}
