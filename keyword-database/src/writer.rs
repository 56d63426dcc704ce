//! Writing rows.

use crate::{Encoding, RowKind, varint};
use std::io::{self, Write};

/// Writes the rows of a database.
///
/// A row is written with several small writes, so give it a buffered output.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    encoding: Encoding,
    kind: RowKind,
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
        Self { out, encoding, kind: RowKind::Keyword }
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
        let fields = match self.kind {
            RowKind::Keyword => &[("keyword", keyword), ("value", value)][..],
            RowKind::Index if keyword.is_empty() => &[("value", value)][..],
            RowKind::Index => {
                let why = "a row of an index database has no keyword";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        };
        match self.encoding {
            Encoding::Text => write_text(&mut self.out, fields),
            Encoding::Binary => write_binary(&mut self.out, fields),
        }
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

fn write_text(out: &mut impl Write, fields: &[(&str, &[u8])]) -> io::Result<()> {
    let mut before: &[u8] = b"rows: {";
    for (name, bytes) in fields {
        out.write_all(before)?;
        out.write_all(name.as_bytes())?;
        out.write_all(b": \"")?;
        write_escaped(out, bytes)?;
        before = b"\" ";
    }
    out.write_all(b"\"}\n")
}

fn write_escaped(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    if bytes.iter().all(|&byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        return out.write_all(bytes);
    }
    for &byte in bytes {
        match byte {
            b'"' => out.write_all(b"\\\"")?,
            b'\\' => out.write_all(b"\\\\")?,
            b' '..=b'~' => out.write_all(&[byte])?,
            _ => write!(out, "\\{byte:03o}")?,
        }
    }
    Ok(())
}

fn write_binary(out: &mut impl Write, fields: &[(&str, &[u8])]) -> io::Result<()> {
    /// The tag of a field with content, wire type 2.
    const fn tag(number: u8) -> u8 {
        number << 3 | 2
    }
    let length = |bytes: &[u8]| 1 + varint::length(bytes.len()) + bytes.len();
    out.write_all(&[tag(1)])?;
    varint::write(out, fields.iter().map(|(_, bytes)| length(bytes)).sum())?;
    for (number, (_, bytes)) in (1..).zip(fields) {
        out.write_all(&[tag(number)])?;
        varint::write(out, bytes.len())?;
        out.write_all(bytes)?;
    }
    Ok(())
}
