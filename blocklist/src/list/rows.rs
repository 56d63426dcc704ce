//! Choosing rows by another column.

use super::defang::refang;
use super::{Column, Entry, Event, LineCounts, MAX_LINE, ReadOptions};
use crate::key::{EntryKind, Refusal};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A condition on a column of CSV or a field of JSON, such as `url_status=online` or `verified!=no`. Displays as
/// the text that [`from_str`](FromStr::from_str) reads.
///
/// Values are compared letter by letter, without the white space around them. Of a JSON array, one element must
/// be equal. A row without the column, and `null`, have an empty value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowFilter {
    /// The column or field.
    pub column: Column,
    /// The value that it is compared with.
    pub value: String,
    /// Whether the rows are meant that have the value, or those that have not.
    pub equal: bool,
}

impl RowFilter {
    /// Whether a row with these values is meant.
    pub(super) fn holds<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>) -> bool {
        let mut values = values.into_iter().peekable();
        let equal = match values.peek() {
            Some(_) => values.any(|value| value.trim_ascii() == self.value.as_bytes()),
            None => self.value.is_empty(),
        };
        equal == self.equal
    }
}

impl fmt::Display for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, value, equal } = self;
        write!(f, "{column}{}{value}", if *equal { "=" } else { "!=" })
    }
}

/// A text that is no condition on a column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no condition on a column; write COLUMN=VALUE or COLUMN!=VALUE")]
#[non_exhaustive]
pub struct InvalidRowFilter {
    /// The text that was given.
    pub text: String,
}

impl FromStr for RowFilter {
    type Err = InvalidRowFilter;

    fn from_str(text: &str) -> Result<Self, InvalidRowFilter> {
        let invalid = || InvalidRowFilter { text: text.to_owned() };
        let (column, value) = text.split_once('=').ok_or_else(invalid)?;
        let (column, equal) = match column.strip_suffix('!') {
            Some(column) => (column, false),
            None => (column, true),
        };
        let column = column.parse().map_err(|_| invalid())?;
        Ok(Self { column, value: value.trim().to_owned(), equal })
    }
}

/// The most values that are kept of a column.
const MAX_VALUES: usize = 5;

/// The most characters that are kept of a value.
const MAX_VALUE_TEXT: usize = 40;

/// The filters of a list, and what the rows had that did not meet them.
pub(super) struct RowChoice<'o> {
    filters: &'o [RowFilter],
    seen: Vec<Seen>,
}

/// What the rows that met the filters before had in the column of a filter.
#[derive(Clone, Default)]
struct Seen {
    /// Whether one of them met the filter. Nothing is kept from then on.
    is_met: bool,
    values: Vec<String>,
    has_more: bool,
}

impl Seen {
    fn note(&mut self, value: &[u8]) {
        let text = String::from_utf8_lossy(value.trim_ascii());
        let text: String = text.chars().take(MAX_VALUE_TEXT).collect();
        if self.values.contains(&text) {
            return;
        }
        if self.values.len() < MAX_VALUES {
            self.values.push(text);
        } else {
            self.has_more = true;
        }
    }
}

impl<'o> RowChoice<'o> {
    pub(super) fn new(options: &'o ReadOptions) -> Self {
        let filters = &options.rows;
        Self { filters, seen: vec![Seen::default(); filters.len()] }
    }

    /// Whether a row is meant. `values` gives those of the column of a filter, by the filter's number.
    pub(super) fn takes<'v, V>(&mut self, values: impl Fn(usize) -> V) -> bool
    where
        V: IntoIterator<Item = &'v [u8]>,
    {
        for (number, (filter, seen)) in self.filters.iter().zip(&mut self.seen).enumerate() {
            if filter.holds(values(number)) {
                seen.is_met = true;
                continue;
            }
            if !seen.is_met && !seen.has_more {
                let mut values = values(number).into_iter().peekable();
                if values.peek().is_none() {
                    seen.note(b"");
                }
                values.for_each(|value| seen.note(value));
            }
            return false;
        }
        true
    }

    /// Why no row was meant, if there were rows.
    pub(super) fn left_out(self, counts: &LineCounts) -> Option<RowsLeftOut> {
        if counts.entry > 0 || counts.filtered == 0 {
            return None;
        }
        let mut all = self.filters.iter().zip(self.seen).enumerate();
        let (number, (filter, seen)) = all.find(|(_, (_, seen))| !seen.is_met)?;
        let Seen { values, has_more, .. } = seen;
        Some(RowsLeftOut { filter: filter.clone(), values, has_more, is_first: number == 0 })
    }
}

/// A filter that no row of a list met, of those that met the filters before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowsLeftOut {
    /// The filter that left out every row that reached it.
    pub filter: RowFilter,
    /// The first values that its column had: five at most, of which the first 40 characters.
    pub values: Vec<String>,
    /// Whether the column had more values.
    pub has_more: bool,
    /// Whether it is the first filter, which all rows reach.
    pub is_first: bool,
}

impl fmt::Display for RowsLeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { filter, values, has_more, is_first } = self;
        let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
        write!(
            f,
            "no row meets `{filter}`; the values of {}{} are {}",
            filter.column,
            if *is_first { "" } else { ", in rows that meet the conditions before it," },
            values.join(", ")
        )?;
        f.write_str(if *has_more { " and others" } else { "" })
    }
}

/// Visits the value of a row.
pub(super) fn visit_value(
    text: &str,
    line: u64,
    options: &ReadOptions,
    visit: &mut dyn FnMut(Event<'_>),
) {
    let text = text.trim();
    let text = &*if options.is_defanged { refang(text) } else { Cow::Borrowed(text) };
    visit(if text.len() > MAX_LINE {
        Event::Refused { line, refusal: Refusal::TooLong, text: "" }
    } else if text.is_empty() {
        missing(line)
    } else {
        Event::Entry { line, entry: Entry::new(text, EntryKind::Url) }
    });
}

/// A row without a value.
pub(super) fn missing(line: u64) -> Event<'static> {
    Event::Refused { line, refusal: Refusal::MissingColumn, text: "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_back_and_hold() {
        for (text, online, empty) in [
            ("url_status=online", true, false),
            ("2=online", true, false),
            ("url status!=online", false, true),
            ("a=b=c", false, false),
            ("a=", false, true),
            ("a!=", true, false),
        ] {
            let filter: RowFilter = text.parse().unwrap();
            assert_eq!(filter.to_string(), text);
            assert_eq!(filter.holds([&b" online "[..]]), online, "{text}");
            assert_eq!(filter.holds([&b""[..]]), empty, "{text}");
            assert_eq!(filter.holds([]), empty, "{text}");
        }
        for text in ["", "online", "=x", "!=x", "0=x"] {
            let error = text.parse::<RowFilter>().unwrap_err().to_string();
            assert!(error.contains("COLUMN=VALUE"), "{text}: {error}");
        }
    }

    #[test]
    fn few_and_short_values_are_kept() {
        for count in [MAX_VALUES - 1, MAX_VALUES, MAX_VALUES + 1] {
            let mut seen = Seen::default();
            (0..count).for_each(|number| seen.note(number.to_string().as_bytes()));
            assert_eq!(
                (seen.values.len(), seen.has_more),
                (count.min(MAX_VALUES), count > MAX_VALUES)
            );
        }
        for length in [MAX_VALUE_TEXT - 1, MAX_VALUE_TEXT, MAX_VALUE_TEXT + 1] {
            let mut seen = Seen::default();
            seen.note("é".repeat(length).as_bytes());
            assert_eq!(seen.values[0].chars().count(), length.min(MAX_VALUE_TEXT));
        }
    }
}
