//! One URL or host a line.

use super::{Emit, Entry, LineFormat, LineKind};
use crate::key::EntryKind;
use filter_core::sub_url::parts::split_scheme;

pub(super) struct Urls;

impl LineFormat for Urls {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let line = line.trim();
        if line.is_empty() {
            return LineKind::Blank;
        }
        if line.starts_with(['#', '!', ';']) {
            return LineKind::Comment;
        }
        emit(Ok(Entry::new(without_comment(line), EntryKind::Url)));
        LineKind::Entry
    }
}

/// The entry without the comment behind a host. In a URL, ` #` is part of the URL.
fn without_comment(line: &str) -> &str {
    let Some(space) = memchr::memchr2(b' ', b'\t', line.as_bytes()) else { return line };
    match line.split_at_checked(space) {
        Some((entry, rest))
            if split_scheme(line).is_none() && rest.trim_start().starts_with('#') =>
        {
            entry
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, tests::events};

    #[test]
    fn urls_hosts_and_comments() {
        let text = "# list\n\nexample.com  # why\r\nhttps://example.com/a #b\n! x\n; y\n  example.org/c \n";
        assert_eq!(
            events(text, Format::Urls),
            ["3 example.com", "4 https://example.com/a #b", "7 example.org/c",]
        );
    }
}
