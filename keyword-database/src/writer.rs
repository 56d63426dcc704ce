//! Writing rows.

use crate::{Encoding, RowKind, varint};
use std::io::{self, Write};

/// Writes the rows of a database, each with one call of the output's `write_all`.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    encoding: Encoding,
    kind: RowKind,
    row: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes a keyword database as text, one line per row: `rows: {keyword: "…" value: "…"}`. Bytes
    /// other than printable ASCII become octal escapes.
    pub fn text(out: W) -> Self {
        Self::new(Encoding::Text, out)
    }

    /// Writes a keyword database as a serialised message.
    pub fn binary(out: W) -> Self {
        Self::new(Encoding::Binary, out)
    }

    /// Writes a keyword database in the given form.
    pub fn new(encoding: Encoding, out: W) -> Self {
        Self { out, encoding, kind: RowKind::Keyword, row: Vec::new() }
    }

    /// The same writer for a database of another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: RowKind) -> Self {
        self.kind = kind;
        self
    }

    /// Writes one row. Rows of an index database have an empty `keyword`.
    ///
    /// # Errors
    /// Whatever the output reports, and [`io::ErrorKind::InvalidInput`] for a row of an index database
    /// that has a keyword.
    pub fn write(&mut self, keyword: &[u8], value: &[u8]) -> io::Result<()> {
        let fields: &[Field<'_>] = match self.kind {
            RowKind::Keyword => &[
                Field { before: b"rows: {keyword: \"", bytes: keyword },
                Field { before: b"\" value: \"", bytes: value },
            ],
            RowKind::Index if keyword.is_empty() => {
                &[Field { before: b"rows: {value: \"", bytes: value }]
            }
            RowKind::Index => {
                let why = "a row of an index database has no keyword";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        };
        self.row.clear();
        match self.encoding {
            Encoding::Text => push_text(&mut self.row, fields),
            Encoding::Binary => push_binary(&mut self.row, fields),
        }
        self.out.write_all(&self.row)
    }

    /// Flushes and gives the output back.
    ///
    /// # Errors
    /// Whatever the output reports.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A field of a row.
struct Field<'f> {
    /// What stands before it in the text form.
    before: &'static [u8],
    bytes: &'f [u8],
}

fn push_text(row: &mut Vec<u8>, fields: &[Field<'_>]) {
    for Field { before, bytes } in fields {
        row.extend_from_slice(before);
        push_escaped(row, bytes);
    }
    row.extend_from_slice(b"\"}\n");
}

fn push_escaped(row: &mut Vec<u8>, bytes: &[u8]) {
    // Without branches for each byte, so that several are looked at together.
    let is_escaped =
        |&byte: &u8| (byte.wrapping_sub(b' ') > b'~' - b' ') | (byte == b'"') | (byte == b'\\');
    if !bytes.iter().fold(false, |any, byte| any | is_escaped(byte)) {
        return row.extend_from_slice(bytes);
    }
    for byte in bytes {
        match byte {
            b'"' | b'\\' => row.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => row.push(*byte),
            _ => {
                let digits = [byte >> 6, byte >> 3 & 7, byte & 7].map(|digit| b'0' + digit);
                row.push(b'\\');
                row.extend_from_slice(&digits);
            }
        }
    }
}

fn push_binary(row: &mut Vec<u8>, fields: &[Field<'_>]) {
    /// The tag of a field with content, wire type 2.
    const fn tag(number: u8) -> u8 {
        number << 3 | 2
    }
    let length = |bytes: &[u8]| 1 + varint::length(bytes.len()) + bytes.len();
    row.push(tag(1));
    varint::push(row, fields.iter().map(|field| length(field.bytes)).sum());
    for (number, Field { bytes, .. }) in (1..).zip(fields) {
        row.push(tag(number));
        varint::push(row, bytes.len());
        row.extend_from_slice(bytes);
    }
}
