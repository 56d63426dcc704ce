//! What separates the fields of a list of rows, and what its columns are called.

use super::quotes::Quotes;
use super::{Column, ListError, RowFilter, tabular};
use ::csv::{ByteRecord, ReaderBuilder, Terminator, Trim};
use std::io::{self, Read};

/// What may separate fields. Of equally good ones the earlier is taken.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Separates nothing: in a list of one column, the separators are parts of the values.
const NOTHING: u8 = 0x1f;

/// Bytes at the beginning that show what the columns are.
const SAMPLE: usize = 1 << 16;

/// The longest beginning without a row.
const MAX_COMMENTS: usize = 1 << 20;

/// Rows that show what separates the fields.
const MAX_ROWS: usize = 50;

/// How rows are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) separator: u8,
    /// Whether the first row is a header.
    pub(super) header_row: bool,
    /// The index of the column that is read.
    pub(super) column: usize,
    /// The indices of the columns of the filters.
    pub(super) filters: Vec<usize>,
    /// The number of columns.
    pub(super) width: usize,
    /// Whether spaces stand before the quotation marks of fields.
    pub(super) spaced: bool,
}

/// The beginning of a list.
struct Sample {
    comments: Vec<String>,
    rows: Vec<u8>,
}

/// Reads so much of a list that it holds a row and shows its columns.
pub(super) fn beginning(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    loop {
        let count = input.by_ref().take(SAMPLE as u64).read_to_end(&mut start)?;
        if count < SAMPLE || start.len() >= MAX_COMMENTS || has_row(&start) {
            return Ok(start);
        }
    }
}

fn has_row(start: &[u8]) -> bool {
    start.split_inclusive(|&byte| byte == b'\n').any(|line| {
        line.ends_with(b"\n") && !line.starts_with(b"#") && !line.trim_ascii().is_empty()
    })
}

impl Sample {
    fn new(start: &[u8]) -> Self {
        let mut comments = Vec::new();
        let mut rest = start;
        loop {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest[..end].trim_ascii();
            if rest.is_empty() || !(line.is_empty() || rest.starts_with(b"#")) {
                break;
            }
            comments.push(String::from_utf8_lossy(line).trim_start_matches('#').trim().to_owned());
            rest = &rest[end..];
        }
        // A row that the sample cuts off is not complete.
        let end = memchr::memrchr(b'\n', rest).filter(|_| start.len() >= SAMPLE);
        let rows = rest[..end.map_or(rest.len(), |end| end + 1)].to_vec();
        Self { comments, rows }
    }

    fn rows(&self, separator: u8) -> Vec<Vec<String>> {
        records(&self.rows, separator)
    }

    /// The last comment that has as many fields as the rows.
    fn header<'s>(
        &'s self,
        separator: u8,
        width: usize,
        mut fits: impl FnMut(&[String]) -> bool + 's,
    ) -> Option<Vec<String>> {
        self.comments.iter().rev().find_map(|comment| {
            let fields = records(comment.as_bytes(), separator).into_iter().next()?;
            (fields.len() == width && fits(&fields)).then_some(fields)
        })
    }
}

fn records(text: &[u8], separator: u8) -> Vec<Vec<String>> {
    let spaced = has_spaces_before_quotes(text, separator);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .terminator(Terminator::Any(b'\n'))
        .comment(Some(b'#'))
        .delimiter(separator)
        .from_reader(Quotes::new(text, separator, spaced));
    let mut record = ByteRecord::new();
    let mut records = Vec::new();
    while records.len() < MAX_ROWS && reader.read_byte_record(&mut record).unwrap_or(false) {
        let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
        if !(record.len() == 1 && record[0].is_empty()) {
            records.push(record.iter().map(text).collect());
        }
    }
    records
}

/// Whether fields have a space before their quotation mark, which CSV readers take for a part of the field.
fn has_spaces_before_quotes(text: &[u8], separator: u8) -> bool {
    separator != b'\t' && memchr::memmem::find(text, &[separator, b' ', b'"']).is_some()
}

fn index_of(fields: &[String], column: &Column) -> Option<usize> {
    match column {
        Column::Name(name) => fields.iter().position(|field| field.eq_ignore_ascii_case(name)),
        Column::Number(number) => Some(number.get() - 1).filter(|&index| index < fields.len()),
    }
}

/// Whether a field can be a URL or a host, and not the name of a column.
fn is_value(field: &str) -> bool {
    !field.contains(char::is_whitespace) && (field.contains('.') || field.contains(':'))
}

impl Table {
    /// Whether a row of several lines holds others, so that a quotation mark that was not closed must have taken them in: a
    /// further line of a value has a URL or host in the column, and as many fields as there are columns. The last line of
    /// the value has its remaining fields behind the mark.
    pub(super) fn has_rows_inside(&self, record: &ByteRecord) -> bool {
        record.iter().any(|value| {
            let mut lines = value.split(|&byte| byte == b'\n').skip(1).peekable();
            std::iter::from_fn(|| Some((lines.next()?, lines.peek().is_none()))).any(
                |(line, is_last)| {
                    let fields: Vec<&[u8]> = line.split(|&byte| byte == self.separator).collect();
                    let is_row = if is_last { 2..=self.width } else { self.width..=self.width };
                    let is_text = |field: &&&[u8]| is_value(String::from_utf8_lossy(field).trim());
                    self.width > 1
                        && is_row.contains(&fields.len())
                        && fields.get(self.column).as_ref().is_some_and(is_text)
                },
            )
        })
    }

    /// Finds out how a list is read from its beginning.
    pub(super) fn of(
        start: &[u8],
        column: &Column,
        separator: Option<u8>,
        filters: &[RowFilter],
    ) -> Result<Self, ListError> {
        let sample = Sample::new(start);
        let separator_is_found = separator.is_none();
        let separators = match separator {
            Some(separator) => vec![separator],
            None => sample.separators(column),
        };
        let mut failure = None;
        for separator in separators {
            match sample.table(separator, column, filters) {
                Ok(mut table) => {
                    if separator_is_found && table.width == 1 {
                        table.separator = NOTHING;
                    }
                    table.spaced = has_spaces_before_quotes(start, table.separator);
                    return Ok(table);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.expect("there is a separator"))
    }
}

impl Sample {
    /// The separators, the likeliest first: those that give all rows the same number of fields above one, and
    /// values where values are meant to be, and more fields.
    fn separators(&self, column: &Column) -> Vec<u8> {
        let likelihood = |separator: u8| {
            let rows = self.rows(separator);
            let width = rows.first().map_or(0, Vec::len);
            let regular = width > 1 && rows.iter().all(|row| row.len() == width);
            let values = match column {
                Column::Number(number) => rows
                    .iter()
                    .filter(|row| row.get(number.get() - 1).is_some_and(|field| is_value(field)))
                    .count(),
                Column::Name(_) => 0,
            };
            (regular, values, width)
        };
        let mut separators: Vec<_> =
            SEPARATORS.iter().map(|&separator| (likelihood(separator), separator)).collect();
        let width = separators.iter().map(|&((_, _, width), _)| width).max().unwrap_or(0);
        let regular = separators.iter().any(|&((regular, _, _), _)| regular);
        // Stable: of equal ones the earlier stays first.
        separators.sort_by_key(|&(likelihood, _)| std::cmp::Reverse(likelihood));
        let mut separators: Vec<_> =
            separators.into_iter().map(|(_, separator)| separator).collect();
        // Some rows of a table may have other numbers of fields.
        let table = match (regular, column) {
            (false, Column::Number(_)) => tabular::find(&String::from_utf8_lossy(&self.rows)),
            _ => None,
        };
        if let Some(table) = table {
            separators.sort_by_key(|&separator| char::from(separator) != table.separator);
            return separators;
        }
        let single =
            width <= 1 || (!regular && matches!(column, Column::Number(one) if one.get() == 1));
        if single {
            separators = vec![NOTHING];
        } else {
            separators.push(NOTHING);
        }
        separators
    }

    fn table(
        &self,
        separator: u8,
        column: &Column,
        filters: &[RowFilter],
    ) -> Result<Table, ListError> {
        let rows = self.rows(separator);
        let first = rows.into_iter().next().unwrap_or_default();
        let wanted = || filters.iter().map(|filter| &filter.column).chain([column]);
        let has_all = |fields: &[String]| wanted().all(|wanted| index_of(fields, wanted).is_some());
        let named = wanted().any(|wanted| matches!(wanted, Column::Name(_)));
        let value_in_first = index_of(&first, column).is_some_and(|index| is_value(&first[index]));
        let comment = self.header(separator, first.len(), has_all);
        let (header, header_row) = match comment {
            // A row of values may have the word `url` for its kind.
            Some(comment) if !names_columns(&first) => (comment, false),
            _ if has_all(&first) && (named || !value_in_first) => (first, true),
            Some(comment) => (comment, false),
            None if !named && has_all(&first) => (first, false),
            None => {
                // What the list has instead.
                let columns = if value_in_first || !names_columns(&first) {
                    self.header(separator, first.len(), names_columns).unwrap_or(first)
                } else {
                    first
                };
                let missing = wanted().find(|wanted| index_of(&columns, wanted).is_none());
                return Err(ListError::CsvColumnMissing {
                    column: missing.unwrap_or(column).to_string(),
                    columns: columns.join(", "),
                });
            }
        };
        let is_name_of = |wanted: &Column, field: &String| matches!(wanted, Column::Name(name) if name.eq_ignore_ascii_case(field));
        let is_twice =
            |wanted: &&Column| header.iter().filter(|field| is_name_of(wanted, field)).count() > 1;
        if let Some(column) = wanted().find(is_twice) {
            return Err(ListError::CsvColumnTwice {
                column: column.to_string(),
                columns: header.join(", "),
            });
        }
        let index = |column: &Column| {
            index_of(&header, column).expect("the header was chosen because it has all columns")
        };
        Ok(Table {
            separator,
            header_row,
            column: index(column),
            filters: filters.iter().map(|filter| index(&filter.column)).collect(),
            width: header.len(),
            spaced: false,
        })
    }
}

/// Whether fields can be the names of columns.
fn names_columns(fields: &[String]) -> bool {
    fields.iter().all(|field| !is_value(field)) && fields.iter().any(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_without_rows_are_read_up_to_their_limit() {
        for length in [MAX_COMMENTS - 1, MAX_COMMENTS, MAX_COMMENTS + 1] {
            let mut text = vec![b'#'; length];
            text.extend(b"\nurl\n");
            let found = beginning(&mut &text[..]).unwrap();
            assert_eq!(found.len(), MAX_COMMENTS, "{length}");
            let found = beginning(&mut &text[..length]).unwrap();
            assert_eq!(found.len(), length.min(MAX_COMMENTS));
        }
    }

    #[test]
    fn the_first_rows_show_the_separator() {
        for count in [MAX_ROWS - 1, MAX_ROWS, MAX_ROWS + 1] {
            let found = records("a,b\n".repeat(count).as_bytes(), b',');
            assert_eq!(found.len(), count.min(MAX_ROWS));
        }
    }
}
