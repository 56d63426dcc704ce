//! One URL or host a line.

use super::lines::trim;
use super::{Emit, Entry, LineFormat, LineKind, ReadOptions, defang::refang};
use crate::key::{EntryKind, Refusal};
use filter_core::sub_url::parts::split_scheme;
use std::borrow::Cow;

pub(super) struct Urls {
    is_defanged: bool,
}

impl Urls {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self { is_defanged: options.is_defanged }
    }
}

impl LineFormat for Urls {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let line = trim(line);
        if line.is_empty() {
            return LineKind::Blank;
        }
        if line.starts_with(['#', '!', ';']) {
            return LineKind::Comment;
        }
        // Other lists have comments like this, and one without white space would be taken for a host without a scheme.
        if let Some(rest) = line.strip_prefix("//") {
            if rest.is_empty() || rest.starts_with(char::is_whitespace) {
                return LineKind::Comment;
            }
            emit(Err((Refusal::Scheme, line)));
            return LineKind::Entry;
        }
        let line = if self.is_defanged { refang(line) } else { Cow::Borrowed(line) };
        emit(Ok(Entry::new(without_comment(&line), EntryKind::Url)));
        LineKind::Entry
    }

    fn is_of_names(&self) -> bool {
        true
    }
}

/// The entry without the comment behind it: what follows white space with `#` or `;` behind a host, and with `#` and more
/// white space behind a URL, where ` #x` could be a fragment.
pub(super) fn without_comment(line: &str) -> &str {
    let Some(space) = memchr::memchr2(b' ', b'\t', line.as_bytes()) else { return line };
    let (entry, rest) = line.split_at(space);
    let rest = rest.trim_start();
    let is_comment = if split_scheme(line).is_some() {
        rest.strip_prefix('#').is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    } else {
        rest.starts_with(['#', ';'])
    };
    if is_comment { entry } else { line }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{details, events};
    use super::super::{Format, ReadOptions};

    #[test]
    fn urls_hosts_and_comments() {
        let text = "# list\n\nexample.com  # why\r\nhttps://example.com/a #b\n! x\n; y\n  example.org/c \n\
                    example.net\t; why\nhttps://example.com/d # why\nexample.com;x\nhttps://example.com/e ; f\n";
        assert_eq!(
            events(text, Format::Urls),
            [
                "3 example.com",
                "4 https://example.com/a #b",
                "7 example.org/c",
                "8 example.net",
                "9 https://example.com/d",
                "10 example.com;x",
                "11 https://example.com/e ; f",
            ]
        );
    }

    #[test]
    fn slashes_begin_comments_and_never_entries() {
        let text = "// My list\n//good.example\n//\n//\tx\na.example\nhttps://a.example//x\n";
        assert_eq!(
            events(text, Format::Urls),
            ["2 -unsupported-scheme", "5 a.example", "6 https://a.example//x"]
        );
    }

    #[test]
    fn defanged_text_is_read_on_request_only() {
        let text = "hxxps://a[.]example/x\nb(.)example # c[.]example\n";
        let options = ReadOptions::from(Format::Urls);
        assert_eq!(
            details(text, &options),
            ["1 block page hxxps://a[.]example/x", "2 block site b(.)example"]
        );
        assert_eq!(
            details(text, &options.with_defanged(true)),
            ["1 block page https://a.example/x", "2 block site b.example"]
        );
    }
}
