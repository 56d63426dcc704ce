//! What can be wrong with a database.

use std::fmt;
use std::io;

/// A database that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The input failed; `source()` says how.
    #[error("cannot read the database")]
    Io(#[from] io::Error),
    /// The database is malformed, or has a row above the [`Limits`](crate::Limits).
    #[error("{position}: {mistake}")]
    #[non_exhaustive]
    Malformed {
        /// Where the mistake is.
        position: Position,
        /// What the mistake is.
        mistake: Mistake,
    },
}

/// A place in a database. Displays as `line 3` or `byte 17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one for each encoding")]
pub enum Position {
    /// A line of a text, counted from 1.
    Line(u64),
    /// A byte of a serialised message, counted from 0.
    Byte(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Byte(offset) => write!(f, "byte {offset}"),
        }
    }
}

/// A mistake in a database. Displays as a phrase that fits after the [`Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// Text: the name of a field other than `rows` outside of rows, or no name.
    #[error("expected the field `rows`")]
    NoRowsField,
    /// Text: `rows`, `rows:` or a comma of a list is not followed by a row.
    #[error("expected `{{` at the start of a row")]
    NoRow,
    /// Text: a row of a list is followed by something else than a comma or the end of the list.
    #[error("expected `,` or `]` after a row")]
    NoCommaOrListEnd,
    /// Text: the name of an unknown field in a row of a keyword database, or no name.
    #[error("expected `keyword` or `value`")]
    NoKeywordOrValueField,
    /// Text: the name of an unknown field in a row of an index database, or no name.
    #[error("expected `value`")]
    NoValueField,
    /// Text: a field name without a colon.
    #[error("expected `:` after the field name")]
    NoColon,
    /// Text: a field whose value is not a string.
    #[error("expected a string in quotes")]
    NoString,
    /// Text: a string that does not end on its line.
    #[error("a string without its closing quote")]
    UnterminatedString,
    /// Text: a backslash followed by something that is not an escape sequence, or by a number that is
    /// neither a byte nor a Unicode character.
    #[error("an escape sequence that the text format does not know")]
    UnknownEscape,
    /// Text: an escape sequence of hexadecimal digits with too few of them.
    #[error("an escape sequence without its digits")]
    IncompleteEscape,
    /// Text: a row that has the same field twice.
    #[error("a row has this field twice")]
    RepeatedField,
    /// A row of a keyword database has no keyword.
    #[error("a row without `keyword`")]
    NoKeyword,
    /// A keyword above [`Limits::max_keyword`](crate::Limits::max_keyword).
    #[error("a keyword of more than {max} bytes")]
    #[non_exhaustive]
    KeywordTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// A value above [`Limits::max_value`](crate::Limits::max_value).
    #[error("a value of more than {max} bytes")]
    #[non_exhaustive]
    ValueTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// A row, or an unknown field of a serialised message, above
    /// [`Limits::max_row`](crate::Limits::max_row).
    #[error("a row of more than {max} bytes")]
    #[non_exhaustive]
    RowTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// The input ends inside a row.
    #[error("the file ends inside a row")]
    EndsInsideRow,
    /// Text: the input ends inside a list of rows.
    #[error("the file ends inside a list")]
    EndsInsideList,
    /// Binary: a base-128 number of more than ten bytes.
    #[error("a number of more than ten bytes")]
    NumberTooLong,
    /// Binary: a field of a wire type that databases do not use.
    #[error("not a serialized database")]
    UnknownWireType,
    /// Binary: the fields of a row take more bytes than the row.
    #[error("a row whose fields are longer than itself")]
    FieldLongerThanRow,
}
