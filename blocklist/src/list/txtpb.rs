//! The text form of a keyword database, which other tools write as the data set of a URL filter. Its rows are served as
//! they are, so they are keys as they are.

use super::{Entry, Event, LineCounts, ListError, MAX_LINE};
use crate::key::{EntryKind, Refusal, Remark};
use keyword_database::{Limits, Position, Reader};
use std::io::Read;

/// The longest value in bytes: the limit of the processed PIR format.
const MAX_VALUE: usize = 65_535;

pub(super) fn read(
    input: impl Read,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<LineCounts, ListError> {
    let limits = Limits::default().with_max_keyword(MAX_LINE).with_max_value(MAX_VALUE);
    let mut reader = Reader::text(input).with_limits(limits);
    while let Some(row) = reader.next_row()? {
        let (Position::Line(line) | Position::Byte(line)) = row.position;
        visit(match std::str::from_utf8(row.keyword) {
            Ok(text) => {
                let mut entry = Entry::new(text, EntryKind::Key);
                if row.value != b"1" {
                    entry.remarks.add(Remark::ValueReplaced);
                }
                Event::Entry { line, entry }
            }
            Err(_) => Event::Refused { line, refusal: Refusal::NotUtf8, text: "" },
        });
    }
    let lines = reader.line_counts();
    Ok(LineCounts {
        blank: lines.blank,
        comment: lines.comment,
        structure: lines.structure,
        entry: lines.row,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Format, ListError, read, tests::events};
    use keyword_database::{Mistake, Position, ReadError};

    #[test]
    fn rows_are_entries() {
        let text = "# a database\nrows: {keyword: \"a.example\" value: \"1\"}\nrows { keyword: 'b.example', value: '1' };\n\
                    rows: [{keyword: \"c\" \".example\" value: \"1\"}, <value: \"2\" keyword: \"d\\x2eexample\">]\n\nrows: []\n\
                    rows {\n  keyword: \"\\303\\251.example\"\n  value: \"1\"\n}\nrows {keyword: '\\377' value: '1'}";
        assert_eq!(
            events(text, Format::Txtpb),
            [
                "2 a.example",
                "3 b.example",
                "4 c.example",
                "4 d.example value-replaced",
                "7 é.example",
                "11 -not-utf8",
            ]
        );
    }

    fn refused(text: &str) -> (Position, Mistake) {
        match read(text.as_bytes(), Some(&Format::Txtpb), |_| {}) {
            Err(ListError::Rows(ReadError::Malformed { position, mistake, .. })) => {
                (position, mistake)
            }
            other => panic!("expected a mistake, found {other:?}"),
        }
    }

    #[test]
    fn mistakes_name_their_line() {
        assert_eq!(refused("\nrow: {}"), (Position::Line(2), Mistake::NoRowsField));
        assert_eq!(refused("rows: {keyword: 'a'\n"), (Position::Line(2), Mistake::EndsInsideRow));
    }

    #[test]
    fn limits_of_keyword_and_value_are_exact() {
        let row = |keyword: usize, value: usize| {
            let (keyword, value) = ("k".repeat(keyword), "v".repeat(value));
            format!("rows: {{keyword: '{keyword}' value: '{value}'}}\n")
        };
        for (keyword, value) in [(65_535, 65_534), (65_536, 65_535)] {
            assert_eq!(events(&row(keyword, value), Format::Txtpb).len(), 1);
        }
        let message = |text: &str| refused(text).1.to_string();
        assert_eq!(message(&row(65_537, 1)), "a keyword of more than 65536 bytes");
        assert_eq!(message(&row(1, 65_536)), "a value of more than 65535 bytes");
    }
}
