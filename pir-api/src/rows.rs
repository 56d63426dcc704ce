//! Databases before processing, as streams of rows: any size in the memory of one row.
//!
//! Text is that of the protobuf text format (`rows { keyword: "…" value: "…" }`, lists, comments,
//! all escapes); binary is a serialized `KeywordDatabase` or `IndexPirDatabase`.

use std::io::{self, Read, Write};

/// Most bytes of one row as it stands in the file.
pub const MAX_ROW: usize = 1 << 20;
const WINDOW: usize = 1 << 18;

/// What the rows of a database have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// A keyword and a value.
    Keyword,
    /// A value.
    Index,
}

/// How a database is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Text.
    Text,
    /// Serialized.
    Binary,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowBytes<'r> {
    /// The keyword; empty for index databases.
    pub keyword: &'r [u8],
    /// The value; empty if the row has none.
    pub value: &'r [u8],
}

/// A database that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// The input failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The text has a mistake.
    #[error("line {line}: {what}")]
    Text {
        /// Where, counted from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The serialized message has a mistake.
    #[error("byte {offset}: {what}")]
    Binary {
        /// Where, counted from 0.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// Why a row cannot be read from what is at hand.
enum Stop {
    /// It does not end in the window.
    Incomplete,
    /// A mistake, at an offset in the window.
    Mistake(usize, &'static str),
}

/// A part of the input that slides along.
struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    is_last: bool,
    offset: u64,
    line: u64,
}

impl<R: Read> Window<R> {
    fn new(input: R) -> Self {
        let buffer = vec![0; WINDOW];
        Self { input, buffer, start: 0, end: 0, is_last: false, offset: 0, line: 1 }
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn consume(&mut self, count: usize, lines: bool) {
        if lines {
            let passed = &self.buffer[self.start..self.start + count];
            self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        }
        self.offset += count as u64;
        self.start += count;
    }

    /// Makes the window longer; whether it could.
    fn extend(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            if self.buffer.len() > MAX_ROW {
                return Ok(false);
            }
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        while self.end < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.is_last = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Strings of a row; what has escapes or pieces is put together here.
#[derive(Default)]
struct Row {
    keyword: Text,
    value: Text,
}

/// A string in the window, or put together.
#[derive(Default)]
struct Text {
    /// Where it stands, unless `joined` has it.
    place: Option<(usize, usize)>,
    joined: Vec<u8>,
}

impl Text {
    fn clear(&mut self) {
        self.place = None;
        self.joined.clear();
    }

    fn bytes<'b>(&'b self, window: &'b [u8]) -> &'b [u8] {
        match self.place {
            Some((start, end)) => &window[start..end],
            None => &self.joined,
        }
    }
}

/// Reads a database and hands out its rows in order. Returns their number.
///
/// # Errors
/// [`RowsError`] as `E`, or what `visit` returns.
pub fn read<E: From<RowsError>>(
    input: impl Read,
    encoding: Encoding,
    kind: RowKind,
    mut visit: impl FnMut(RowBytes<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let mut window = Window::new(input);
    let mut row = Row::default();
    let mut in_list = false;
    let mut count = 0;
    loop {
        let bytes = window.bytes();
        let outcome = match encoding {
            Encoding::Text => {
                Scanner { bytes, at: 0, is_last: window.is_last }.row(kind, &mut row, &mut in_list)
            }
            Encoding::Binary => binary_row(bytes, window.is_last, kind, &mut row),
        };
        match outcome {
            Ok((true, used)) => {
                let (keyword, value) = (row.keyword.bytes(bytes), row.value.bytes(bytes));
                visit(RowBytes { keyword, value })?;
                count += 1;
                window.consume(used, encoding == Encoding::Text);
            }
            Ok((false, used)) => {
                window.consume(used, encoding == Encoding::Text);
                if window.bytes().is_empty() && window.is_last {
                    return match in_list {
                        true => {
                            Err(mistake(&window, encoding, 0, "the file ends inside a list").into())
                        }
                        false => Ok(count),
                    };
                }
                if used == 0 && !window.extend().map_err(RowsError::from)? {
                    return Err(mistake(&window, encoding, 0, "a row of more than 1 MiB").into());
                }
            }
            Err(Stop::Incomplete) if window.is_last => {
                let end = window.bytes().len();
                return Err(mistake(&window, encoding, end, "the file ends inside a row").into());
            }
            Err(Stop::Incomplete) => {
                if !window.extend().map_err(RowsError::from)? {
                    return Err(mistake(&window, encoding, 0, "a row of more than 1 MiB").into());
                }
            }
            Err(Stop::Mistake(at, what)) => return Err(mistake(&window, encoding, at, what).into()),
        }
    }
}

fn mistake<R: Read>(
    window: &Window<R>,
    encoding: Encoding,
    at: usize,
    what: &'static str,
) -> RowsError {
    match encoding {
        Encoding::Text => {
            let passed = &window.bytes()[..at];
            let line = window.line + memchr::memchr_iter(b'\n', passed).count() as u64;
            RowsError::Text { line, what }
        }
        Encoding::Binary => RowsError::Binary { offset: window.offset + at as u64, what },
    }
}

/// Tokens of the text format.
struct Scanner<'w> {
    bytes: &'w [u8],
    at: usize,
    is_last: bool,
}

impl Scanner<'_> {
    fn error<T>(&self, what: &'static str) -> Result<T, Stop> {
        Err(Stop::Mistake(self.at, what))
    }

    /// The next byte; an error at the end of the window.
    fn next(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::Incomplete)
    }

    /// Skips space and comments. A comment may go on past the window, which then is not at its end.
    fn skip_space(&mut self) -> Result<(), Stop> {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'#' => match memchr::memchr(b'\n', &self.bytes[self.at..]) {
                    Some(end) => self.at += end + 1,
                    None if self.is_last => self.at = self.bytes.len(),
                    None => return Err(Stop::Incomplete),
                },
                _ => break,
            }
        }
        Ok(())
    }

    fn optional(&mut self, byte: u8) -> Result<bool, Stop> {
        self.skip_space()?;
        let found = self.next()? == byte;
        self.at += usize::from(found);
        Ok(found)
    }

    fn name(&mut self) -> Result<&[u8], Stop> {
        let start = self.at;
        while self.next()?.is_ascii_alphanumeric() || self.next()? == b'_' {
            self.at += 1;
        }
        Ok(&self.bytes[start..self.at])
    }

    /// Reads up to the end of a row: whether there was one, and the bytes that it took.
    fn row(
        &mut self,
        kind: RowKind,
        row: &mut Row,
        in_list: &mut bool,
    ) -> Result<(bool, usize), Stop> {
        loop {
            self.skip_space()?;
            let Some(&byte) = self.bytes.get(self.at) else { return Ok((false, self.at)) };
            match byte {
                b',' => self.at += 1,
                b';' if !*in_list => self.at += 1,
                b']' if *in_list => {
                    self.at += 1;
                    *in_list = false;
                    return Ok((false, self.at));
                }
                b'{' | b'<' if *in_list => break,
                _ if *in_list => return self.error("expected a row or `]`"),
                _ => {
                    let start = self.at;
                    if self.name()? != b"rows" {
                        self.at = start;
                        return self.error("expected the field `rows`");
                    }
                    self.optional(b':')?;
                    if self.optional(b'[')? {
                        *in_list = true;
                        return Ok((false, self.at));
                    }
                    break;
                }
            }
        }
        self.skip_space()?;
        let close = match self.next()? {
            b'{' => b'}',
            b'<' => b'>',
            _ => return self.error("expected `{` at the start of a row"),
        };
        self.at += 1;
        row.keyword.clear();
        row.value.clear();
        let mut seen = [false; 2];
        loop {
            self.skip_space()?;
            match self.next()? {
                b',' | b';' => self.at += 1,
                byte if byte == close => {
                    self.at += 1;
                    if kind == RowKind::Keyword && !seen[0] {
                        return self.error("a row without `keyword`");
                    }
                    return Ok((true, self.at));
                }
                _ => {
                    let start = self.at;
                    let field = match (self.name()?, kind) {
                        (b"keyword", RowKind::Keyword) => 0,
                        (b"value", _) => 1,
                        _ => {
                            self.at = start;
                            return self.error(match kind {
                                RowKind::Keyword => "expected `keyword` or `value`",
                                RowKind::Index => "expected `value`",
                            });
                        }
                    };
                    if !self.optional(b':')? {
                        return self.error("expected `:` after the field name");
                    }
                    if std::mem::replace(&mut seen[field], true) {
                        return self.error("a row has this field twice");
                    }
                    self.string(if field == 0 { &mut row.keyword } else { &mut row.value })?;
                }
            }
        }
    }

    /// One or more adjacent string literals.
    fn string(&mut self, text: &mut Text) -> Result<(), Stop> {
        let mut literals = 0;
        loop {
            self.skip_space()?;
            let quote = match self.next()? {
                quote @ (b'"' | b'\'') => quote,
                _ if literals == 0 => return self.error("expected a string in quotes"),
                _ => return Ok(()),
            };
            self.at += 1;
            let start = self.at;
            if literals == 1
                && let Some((first, end)) = text.place.take()
            {
                text.joined.extend_from_slice(&self.bytes[first..end]);
            }
            literals += 1;
            let mut plain = start;
            loop {
                let rest = &self.bytes[self.at..];
                let found = memchr::memchr3(quote, b'\\', b'\n', rest).ok_or(Stop::Incomplete)?;
                self.at += found;
                match self.bytes[self.at] {
                    b'\n' => return self.error("a string without its closing quote"),
                    b'\\' => {
                        text.joined.extend_from_slice(&self.bytes[plain..self.at]);
                        self.at += 1;
                        self.escape(&mut text.joined)?;
                        plain = self.at;
                    }
                    _ => {
                        // A single literal without escapes stays where it is.
                        if literals == 1 && plain == start {
                            text.place = Some((start, self.at));
                        } else {
                            text.joined.extend_from_slice(&self.bytes[plain..self.at]);
                        }
                        self.at += 1;
                        break;
                    }
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        const UNKNOWN: &str = "an escape sequence that the text format does not know";
        let byte = self.next()?;
        let simple = match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'?' => byte,
            b'0'..=b'7' => match u8::try_from(self.number(8, 1, 3)?) {
                Ok(code) => {
                    out.push(code);
                    return Ok(());
                }
                Err(_) => return self.error(UNKNOWN),
            },
            b'x' | b'X' => {
                self.at += 1;
                out.push(self.number(16, 1, 2)? as u8);
                return Ok(());
            }
            b'u' | b'U' => {
                self.at += 1;
                let digits = if byte == b'u' { 4 } else { 8 };
                let Some(character) = char::from_u32(self.number(16, digits, digits)?) else {
                    return self.error(UNKNOWN);
                };
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return self.error(UNKNOWN),
        };
        self.at += 1;
        out.push(simple);
        Ok(())
    }

    /// Reads `least` to `most` digits.
    fn number(&mut self, radix: u32, least: usize, most: usize) -> Result<u32, Stop> {
        let (mut value, mut digits) = (0_u32, 0);
        while digits < most {
            let Some(digit) = char::from(self.next()?).to_digit(radix) else { break };
            value = value.wrapping_mul(radix).wrapping_add(digit);
            digits += 1;
            self.at += 1;
        }
        if digits < least { self.error("an escape sequence without its digits") } else { Ok(value) }
    }
}

/// A base-128 number at `at`.
fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, Stop> {
    let start = *at;
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(Stop::Incomplete)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Stop::Mistake(start, "a number of more than ten bytes"))
}

/// One field: its number and where its content stands, which is empty for numbers.
fn field(bytes: &[u8], at: &mut usize) -> Result<(u64, (usize, usize)), Stop> {
    let start = *at;
    let tag = varint(bytes, at)?;
    let length = match tag & 7 {
        0 => {
            varint(bytes, at)?;
            0
        }
        1 => 8,
        5 => 4,
        2 => varint(bytes, at)?,
        _ => return Err(Stop::Mistake(start, "not a serialized database")),
    };
    if length > MAX_ROW as u64 {
        return Err(Stop::Mistake(start, "a row of more than 1 MiB"));
    }
    let place = (*at, *at + length as usize);
    if place.1 > bytes.len() {
        return Err(Stop::Incomplete);
    }
    *at = place.1;
    // Only fields with content are known; others are passed over, as unknown ones are.
    Ok((if tag & 7 == 2 { tag >> 3 } else { 0 }, place))
}

/// Reads one field of the database: whether it was a row, and the bytes that it took.
fn binary_row(
    bytes: &[u8],
    is_last: bool,
    kind: RowKind,
    row: &mut Row,
) -> Result<(bool, usize), Stop> {
    if bytes.is_empty() {
        return if is_last { Ok((false, 0)) } else { Err(Stop::Incomplete) };
    }
    let mut used = 0;
    let (number, (start, end)) = field(bytes, &mut used)?;
    if number != 1 {
        return Ok((false, used));
    }
    row.keyword.clear();
    row.value.clear();
    let mut at = start;
    while at < end {
        let inner = field(&bytes[..end], &mut at).map_err(|stop| match stop {
            // The row is here as a whole, so what is short is its content.
            Stop::Incomplete => Stop::Mistake(start, "a row whose fields are longer than itself"),
            mistake => mistake,
        })?;
        match (inner.0, kind) {
            (1, RowKind::Keyword) => row.keyword.place = Some(inner.1),
            (2, RowKind::Keyword) | (1, RowKind::Index) => row.value.place = Some(inner.1),
            _ => {}
        }
    }
    if kind == RowKind::Keyword && row.keyword.place.is_none() {
        return Err(Stop::Mistake(start, "a row without `keyword`"));
    }
    Ok((true, used))
}

fn write_string(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(b"\"")?;
    for &byte in bytes {
        match byte {
            b'"' => out.write_all(b"\\\"")?,
            b'\\' => out.write_all(b"\\\\")?,
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            b'\t' => out.write_all(b"\\t")?,
            b' '..=b'~' => out.write_all(&[byte])?,
            _ => write!(out, "\\{byte:03o}")?,
        }
    }
    out.write_all(b"\"")
}

fn write_varint(out: &mut impl Write, mut value: u64) -> io::Result<()> {
    while value >= 0x80 {
        out.write_all(&[value as u8 | 0x80])?;
        value >>= 7;
    }
    out.write_all(&[value as u8])
}

fn varint_length(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Writes one row; a database is its rows one after the other. Empty values are left out.
///
/// # Errors
/// Whatever the writer reports.
pub fn write(
    out: &mut impl Write,
    encoding: Encoding,
    kind: RowKind,
    row: RowBytes<'_>,
) -> io::Result<()> {
    let fields = match kind {
        RowKind::Keyword => &[("keyword", row.keyword), ("value", row.value)][..],
        RowKind::Index => &[("value", row.value)][..],
    };
    match encoding {
        Encoding::Text => {
            out.write_all(b"rows {\n")?;
            for (name, bytes) in fields {
                write!(out, "  {name}: ")?;
                write_string(out, bytes)?;
                out.write_all(b"\n")?;
            }
            out.write_all(b"}\n")
        }
        Encoding::Binary => {
            let length = |bytes: &[u8]| 1 + varint_length(bytes.len()) + bytes.len();
            out.write_all(&[0x0a])?;
            write_varint(out, fields.iter().map(|(_, bytes)| length(bytes)).sum::<usize>() as u64)?;
            for (number, (_, bytes)) in (1_u8..).zip(fields) {
                out.write_all(&[number << 3 | 2])?;
                write_varint(out, bytes.len() as u64)?;
                out.write_all(bytes)?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::pir::{KeywordDatabase, KeywordDatabaseRow};
    use proptest::prelude::*;

    type Rows = Vec<(Vec<u8>, Vec<u8>)>;

    /// A reader that gives a few bytes at a time.
    struct Drip<'b>(&'b [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn rows(input: impl Read, encoding: Encoding) -> Result<Rows, RowsError> {
        let mut all = Vec::new();
        read(input, encoding, RowKind::Keyword, |row| {
            all.push((row.keyword.to_vec(), row.value.to_vec()));
            Ok::<(), RowsError>(())
        })?;
        Ok(all)
    }

    #[test]
    fn every_form_of_the_text_format() {
        let text = "# a database\nrows: {keyword: \"a\" value: \"1\"}\nrows { keyword: 'b', value: '' };\n\
                    rows: [{keyword: \"c\" \"\\x2e\" 'd' value: \"2\"}, <value: \"3\" keyword: \"e\">]\n\nrows: [] # none\n\
                    rows {\n  keyword: \"\\303\\251\\u00e9\"\n  value: \"\\n\\\"\"\n}\nrows { keyword: \"f\" }";
        let expected: Rows =
            [("a", "1"), ("b", ""), ("c.d", "2"), ("e", "3"), ("éé", "\n\""), ("f", "")]
                .map(|(k, v)| (k.into(), v.into()))
                .into();
        assert_eq!(rows(text.as_bytes(), Encoding::Text).unwrap(), expected);
        assert_eq!(rows(Drip(text.as_bytes(), 1), Encoding::Text).unwrap(), expected);
        assert_eq!(rows(&b""[..], Encoding::Text).unwrap(), []);
        assert_eq!(rows(&b"\n# nothing"[..], Encoding::Text).unwrap(), []);
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line) in [
            ("rows: {keyword: \"a\"\n", 2),
            ("\nrow: {}", 2),
            ("rows {}", 1),
            ("rows {value: \"1\"}", 1),
            ("rows {keyword: \"a\" keyword: \"b\"}", 1),
            ("rows {keyword: \"a\nb\"}", 1),
            ("rows {keyword: \"\\q\"}", 1),
            ("rows {keyword: \"\\777\"}", 1),
            ("\n\nrows {key: \"a\"}", 3),
            ("rows [{keyword: \"a\"}", 1),
            ("rows {keyword: 7}", 1),
            ("rows {keyword \"a\"}", 1),
            ("rows", 1),
            ("garbage", 1),
        ] {
            let error = rows(text.as_bytes(), Encoding::Text).unwrap_err();
            assert!(
                matches!(error, RowsError::Text { line: at, .. } if at == line),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn binary_mistakes() {
        for bytes in [&b"\x0a"[..], b"\x0a\x05\x0a", b"\x0a\x02\x0a\x05", b"\x0b", b"\x0a\x00"] {
            assert!(rows(bytes, Encoding::Binary).is_err(), "{bytes:?}");
        }
        assert!(rows(&b"\xff".repeat(20)[..], Encoding::Binary).is_err());
        // Unknown fields are passed over.
        let known = b"\x0a\x05\x0a\x01a\x18\x07\x18\x07";
        assert_eq!(rows(&known[..], Encoding::Binary).unwrap(), [(b"a".to_vec(), Vec::new())]);
    }

    #[test]
    fn long_rows_and_too_long_ones() {
        let value = vec![b'v'; 65_535];
        let mut text = Vec::new();
        for encoding in [Encoding::Text, Encoding::Binary] {
            text.clear();
            for _ in 0..20 {
                let row = RowBytes { keyword: b"k", value: &value };
                write(&mut text, encoding, RowKind::Keyword, row).unwrap();
            }
            assert_eq!(rows(&text[..], encoding).unwrap().len(), 20);
        }
        let long = format!("rows {{ keyword: \"{}\" }}", "a".repeat(3 * MAX_ROW));
        assert!(rows(long.as_bytes(), Encoding::Text).is_err());
    }

    proptest! {
        #[test]
        fn rows_are_read_back(
            all in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..20)), 0..20),
            drip in 1_usize..9,
        ) {
            let message = KeywordDatabase {
                rows: all.iter().map(|(keyword, value)| KeywordDatabaseRow {
                    keyword: keyword.clone(), value: value.clone(),
                }).collect(),
            };
            for encoding in [Encoding::Text, Encoding::Binary] {
                let mut bytes = Vec::new();
                for (keyword, value) in &all {
                    let row = RowBytes { keyword, value };
                    write(&mut bytes, encoding, RowKind::Keyword, row).unwrap();
                }
                prop_assert_eq!(&rows(Drip(&bytes, drip), encoding).unwrap(), &all);
                let oracle = match encoding {
                    Encoding::Text => crate::text::from_text(&bytes).unwrap(),
                    Encoding::Binary => KeywordDatabase::decode(&bytes[..]).unwrap(),
                };
                prop_assert_eq!(oracle, message.clone());
            }
        }
    }
}
