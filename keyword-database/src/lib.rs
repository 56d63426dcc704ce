//! Rows of a keyword database: one streaming reader and writer for the text and the binary form.
//!
//! A keyword database is the input of keyword PIR: rows of a keyword and a value. An index database has
//! values only ([`RowKind`]). Both come in two forms ([`Encoding`]):
//!
//! - **Text**: the [protobuf text format], `rows: {keyword: "example.com" value: "1"}`, one `rows` field
//!   per row or a list of them (`rows: [{…}, {…}]`). All of its escapes, quotes, comments and separators
//!   are understood; unknown fields are mistakes.
//! - **Binary**: the serialised protobuf message. Field 1 of the database is a row. In a keyword
//!   database field 1 of a row is the keyword and field 2 the value; in an index database field 1 of a
//!   row is the value. Unknown fields are skipped.
//!
//! [`Reader`] holds one row in memory at a time and lends it out; [`Writer`] writes row by row.
//!
//! ```
//! use keyword_database::{Position, Reader};
//!
//! let text = "# two rows\nrows: {keyword: \"example.com\" value: \"1\"}\nrows { keyword: 'a' 'b' }\n";
//! let mut reader = Reader::text(text.as_bytes());
//! let mut rows = Vec::new();
//! while let Some(row) = reader.next_row()? {
//!     rows.push((row.position, row.keyword.to_vec(), row.value.to_vec()));
//! }
//! assert_eq!(rows[0], (Position::Line(2), b"example.com".to_vec(), b"1".to_vec()));
//! assert_eq!(rows[1], (Position::Line(3), b"ab".to_vec(), b"".to_vec()));
//! assert_eq!(reader.line_counts().comment, 1);
//!
//! let error = Reader::text(&b"rows: {keyword: 7}"[..]).next_row().unwrap_err();
//! assert_eq!(error.to_string(), "line 1: expected a string in quotes");
//! # Ok::<(), keyword_database::ReadError>(())
//! ```
//!
//! # Map
//!
//! | file | what it holds |
//! | --- | --- |
//! | `reader.rs` | [`Reader`], [`Row`], [`Limits`] |
//! | `reader/text.rs`, `reader/binary.rs` | the grammar of either form |
//! | `reader/window.rs` | the part of the input that is in memory |
//! | `line_counts.rs` | [`LineCounts`]: what the lines of a text are |
//! | `error.rs` | [`ReadError`], [`Mistake`], [`Position`] |
//! | `writer.rs` | [`Writer`] |
//! | `varint.rs` | base-128 numbers of the binary form |
//!
//! There are no features.
//!
//! [protobuf text format]: https://protobuf.dev/reference/protobuf/textformat-spec/
#![forbid(unsafe_code)]
#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

mod error;
mod line_counts;
mod reader;
mod varint;
mod writer;

pub use error::{Mistake, Position, ReadError};
pub use line_counts::LineCounts;
pub use reader::{Limits, MAX_ROW, Reader, Row};
pub use writer::Writer;

/// The form of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "protobuf has these two forms")]
pub enum Encoding {
    /// The protobuf text format.
    Text,
    /// The serialised protobuf message.
    Binary,
}

/// The fields of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "PIR databases are of these two kinds")]
pub enum RowKind {
    /// A keyword and a value (message `KeywordDatabase`).
    #[default]
    Keyword,
    /// A value only (message `IndexPirDatabase`).
    Index,
}

/// The example of the README is a test of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
