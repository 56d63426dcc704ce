//! Comma-separated values with a header row.

use super::{Entry, Event, LineCounts, ListError, MAX_LINE};
use crate::key::{EntryKind, Refusal};
use ::csv::{ByteRecord, ReaderBuilder, Terminator, Trim};
use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

/// The longest record in bytes, which leaves room for long columns next to the URL. It is checked per block
/// that is read, so a record may be longer by up to one block.
const MAX_RECORD: usize = 16 * MAX_LINE;

pub(super) fn read(
    input: impl BufRead,
    column: &str,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<LineCounts, ListError> {
    let lines = Rc::new(LineTally::default());
    let budget = Rc::new(Cell::new(MAX_RECORD));
    let source = Metered {
        input,
        budget: Rc::clone(&budget),
        lines: Rc::clone(&lines),
        at_line_start: true,
    };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        // By default a carriage return alone ends a record as well, which no line counter knows.
        .terminator(Terminator::Any(b'\n'))
        .comment(Some(b'#'))
        .buffer_capacity(1 << 16)
        .from_reader(source);
    let mut record = ByteRecord::new();
    let mut wanted = None;
    let mut counts = LineCounts::default();
    loop {
        budget.set(MAX_RECORD);
        let line = reader.position().line();
        let more = reader.read_byte_record(&mut record).map_err(|error| broken(error, line))?;
        if !more {
            break;
        }
        // A line with nothing but a carriage return.
        if record.len() == 1 && record.get(0).is_some_and(<[u8]>::is_empty) {
            continue;
        }
        // The record's own position may lie before blank lines and comments; its end does not.
        let inside = memchr::memchr_iter(b'\n', record.as_slice()).count() as u64;
        let line = reader.position().line().saturating_sub(1 + inside);
        let Some(column_index) = wanted else {
            counts.structure += 1;
            wanted = Some(find(&record, column)?);
            continue;
        };
        counts.entry += 1;
        match record.get(column_index).map(std::str::from_utf8) {
            Some(Ok(text)) if text.len() > MAX_LINE => {
                visit(Event::Refused { line, refusal: Refusal::TooLong, text: "" });
            }
            Some(Ok(text)) if !text.is_empty() => {
                visit(Event::Entry { line, entry: Entry::new(text, EntryKind::Url) });
            }
            Some(Err(_)) => visit(Event::Refused { line, refusal: Refusal::NotUtf8, text: "" }),
            _ => visit(Event::Refused { line, refusal: Refusal::MissingColumn, text: "" }),
        }
    }
    if wanted.is_none() {
        return Err(ListError::CsvColumnMissing {
            column: column.to_owned(),
            columns: String::new(),
        });
    }
    // The reader passes over blank lines and comments, and a record may take several lines.
    let total = lines.total();
    counts.comment = lines.comments.get().min(total.saturating_sub(counts.total()));
    counts.blank = lines.blank.get().min(total.saturating_sub(counts.total()));
    counts.structure += total.saturating_sub(counts.total());
    Ok(counts)
}

fn broken(error: ::csv::Error, line: u64) -> ListError {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            ListError::CsvRecordTooLong { line, max: MAX_RECORD }
        }
        ::csv::ErrorKind::Io(error) => ListError::Io(error),
        _ => ListError::CsvRecord { line },
    }
}

fn find(header: &ByteRecord, column: &str) -> Result<usize, ListError> {
    let name = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    header.iter().position(|field| field.eq_ignore_ascii_case(column.as_bytes())).ok_or_else(|| {
        ListError::CsvColumnMissing {
            column: column.to_owned(),
            columns: header.iter().map(name).collect::<Vec<_>>().join(", "),
        }
    })
}

/// Counts the lines that pass by, and which of them are blank or start with `#`.
#[derive(Default)]
struct LineTally {
    ended: Cell<u64>,
    blank: Cell<u64>,
    comments: Cell<u64>,
    /// The first byte of the line that has begun, if it has.
    first: Cell<Option<u8>>,
}

impl LineTally {
    fn pass(&self, bytes: &[u8]) {
        for &byte in bytes {
            match (byte, self.first.get()) {
                (b'\n', first) => {
                    self.ended.set(self.ended.get() + 1);
                    match first {
                        None | Some(b'\r') => self.blank.set(self.blank.get() + 1),
                        Some(b'#') => self.comments.set(self.comments.get() + 1),
                        Some(_) => {}
                    }
                    self.first.set(None);
                }
                (_, None) => self.first.set(Some(byte)),
                _ => {}
            }
        }
    }

    fn total(&self) -> u64 {
        if self.first.get() == Some(b'#') {
            self.comments.set(self.comments.get() + 1);
        }
        self.ended.get() + u64::from(self.first.take().is_some())
    }
}

/// Stops a record that never ends before it fills the memory, and ends the last line.
struct Metered<R> {
    input: R,
    budget: Rc<Cell<usize>>,
    lines: Rc<LineTally>,
    at_line_start: bool,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.budget.get();
        if left == 0 {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let count = self.input.read(buffer)?;
        self.budget.set(left.saturating_sub(count));
        self.lines.pass(&buffer[..count]);
        if let Some(&last) = buffer[..count].last() {
            self.at_line_start = last == b'\n';
        } else if let Some(first) = buffer.first_mut().filter(|_| !self.at_line_start) {
            *first = b'\n';
            self.at_line_start = true;
            return Ok(1);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, ListError, ReadOptions, read, tests::collect};
    use crate::key::Refusal;
    use crate::list::Event;

    fn url_column() -> Format {
        Format::Csv { column: "url".into() }
    }

    #[test]
    fn the_named_column_is_read() {
        let text = "# made today\nid, URL ,note\n1,https://example.com/a,\"two\nlines, one note\"\n\n2,\"b.example\",x\n3";
        let (events, summary) = collect(text.as_bytes(), Some(&url_column()));
        assert_eq!(events, ["3 https://example.com/a", "6 b.example", "7 -missing-column"]);
        let lines = summary.lines;
        assert_eq!(
            (lines.total(), lines.entry, lines.comment, lines.blank, lines.structure),
            (7, 3, 1, 1, 2)
        );
    }

    #[test]
    fn carriage_returns_end_no_line() {
        let text = "id,url\r\n1,\"a.example\"\r\n\r\n2,b\r.example\r\n";
        let (events, summary) = collect(text.as_bytes(), Some(&url_column()));
        assert_eq!(events, ["2 a.example", "4 b\r.example"]);
        assert_eq!((summary.lines.total(), summary.lines.entry, summary.lines.blank), (4, 2, 1));
    }

    #[test]
    fn mistakes_are_explained() {
        let message =
            |text: &[u8]| read(text, &url_column().into(), |_| {}).unwrap_err().to_string();
        assert!(message(b"id,link\n1,x\n").contains("must be the header, has: id, link"));
        assert!(message(b"").contains("url"));
        let endless = [b"url\n\"".to_vec(), vec![b'a'; 4 << 20]].concat();
        assert!(message(&endless).contains("quotation mark"));
        assert!(matches!(
            read(&b"id,url\n1,http://a.example\n"[..], &ReadOptions::default(), |_| {}),
            Err(ListError::CsvColumnNeeded { .. })
        ));
        let long = format!("url\n{}\n", "a".repeat(70_000));
        let mut refused = Vec::new();
        read(long.as_bytes(), &url_column().into(), |event| {
            if let Event::Refused { refusal, .. } = event {
                refused.push(refusal);
            }
        })
        .unwrap();
        assert_eq!(refused, [Refusal::TooLong]);
    }
}
