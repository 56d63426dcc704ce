//! Why a list cannot be read at all.

use std::io;

/// A list that cannot be read. Lines that cannot become keys are no errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The input failed or its gzip stream is damaged; `source()` says how.
    #[error("reading or decompressing failed")]
    Io(#[from] io::Error),
    /// The list begins with something else than text.
    #[error("this is not a text file; lists are UTF-8 text, plain or gzip-compressed")]
    Binary,
    /// The list is a tracking protection list of Internet Explorer, and rules are not to be widened.
    #[error(
        "this is a tracking protection list of Internet Explorer, whose rules are for third-party requests only; a key covers every request, which has to be asked for by --widen-rules"
    )]
    TrackingProtectionList,
    /// No format is given and the list looks like CSV, which needs the name of a column.
    #[error(
        "this looks like CSV; name the column that holds the URLs with --format csv=COLUMN (columns: {columns})"
    )]
    #[non_exhaustive]
    CsvColumnNeeded {
        /// The columns of the header, separated by commas.
        columns: String,
    },
    /// The list looks like none of the formats, or like several.
    #[error(
        "the format is not clear: {seen}; name it with --format (urls, hosts, adblock, dnsmasq, unbound, rpz, csv=COLUMN, json=FIELD or txtpb)"
    )]
    #[non_exhaustive]
    Ambiguous {
        /// How many lines look like which format.
        seen: String,
    },
    /// The named column is not in the header.
    #[error(
        "no column is called `{column}`; the first row, which must be the header, has: {columns}"
    )]
    #[non_exhaustive]
    CsvColumnMissing {
        /// The column that was asked for.
        column: String,
        /// The columns of the header, separated by commas; empty if the list is.
        columns: String,
    },
    /// A CSV record is malformed.
    #[error("line {line}: malformed record")]
    #[non_exhaustive]
    CsvRecord {
        /// The line on which the record begins, counted from 1.
        line: u64,
    },
    /// A CSV record is too long, usually because a quotation mark is missing.
    #[error("line {line}: a record of more than {max} bytes; is a quotation mark missing?")]
    #[non_exhaustive]
    CsvRecordTooLong {
        /// The line on which the record begins, counted from 1.
        line: u64,
        /// The limit in bytes.
        max: usize,
    },
    /// The text of a keyword database is malformed, or a row is too long.
    #[error(transparent)]
    Rows(keyword_database::ReadError),
}

impl From<keyword_database::ReadError> for ListError {
    fn from(error: keyword_database::ReadError) -> Self {
        match error {
            keyword_database::ReadError::Io(error) => Self::Io(error),
            error => Self::Rows(error),
        }
    }
}
