//! The text form of a keyword database (`KeywordDatabase` of the PIR schema), read and written as a
//! stream: `rows: [{keyword: "example.com" value: "1"}]`, or one `rows` field per row.

use super::{Entry, Event, LineCounts, LineKind, ListError, MAX_LINE};
use crate::key::{EntryKind, Refusal, Remark};
use std::io::{BufRead, Write};

/// Bytes that one value may take: the PIR format's own limit.
const MAX_VALUE: usize = 65_535;

/// Writes one row for `keyword` with the value `1`, as `rows: {keyword: "…" value: "1"}`.
///
/// # Errors
/// Whatever the writer reports.
pub fn write_row(out: &mut impl Write, keyword: &[u8]) -> std::io::Result<()> {
    out.write_all(b"rows: {keyword: \"")?;
    if keyword.iter().all(|&b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        out.write_all(keyword)?;
    } else {
        for &byte in keyword {
            match byte {
                b'"' => out.write_all(b"\\\"")?,
                b'\\' => out.write_all(b"\\\\")?,
                b' '..=b'~' => out.write_all(&[byte])?,
                _ => write!(out, "\\{byte:03o}")?,
            }
        }
    }
    out.write_all(b"\" value: \"1\"}\n")
}

pub(super) fn read(
    input: impl BufRead,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<LineCounts, ListError> {
    let mut scanner = Scanner::new(input);
    let mut row = Row::default();
    loop {
        scanner.skip_space()?;
        match scanner.peek()? {
            None => break,
            Some(b';' | b',') => scanner.bump(),
            Some(_) => {
                scanner.identifier(&[b"rows"])?;
                scanner.optional(b":")?;
                if scanner.optional(b"[")? {
                    if scanner.optional(b"]")? {
                        continue;
                    }
                    loop {
                        row.read(&mut scanner, visit)?;
                        if !scanner.optional(b",")? {
                            break;
                        }
                    }
                    scanner.expect(b']', "expected `,` or `]` after a row")?;
                } else {
                    row.read(&mut scanner, visit)?;
                }
            }
        }
    }
    Ok(scanner.finish())
}

#[derive(Default)]
struct Row {
    keyword: Vec<u8>,
    value: Vec<u8>,
}

impl Row {
    fn read<R: BufRead>(
        &mut self,
        scanner: &mut Scanner<R>,
        visit: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), ListError> {
        self.keyword.clear();
        self.value.clear();
        scanner.skip_space()?;
        let line = scanner.line;
        let close = match scanner.peek()? {
            Some(b'{') => b'}',
            Some(b'<') => b'>',
            _ => return Err(scanner.error("expected `{` at the start of a row")),
        };
        scanner.mark_row();
        scanner.bump();
        let mut seen = [false; 2];
        loop {
            scanner.skip_space()?;
            match scanner.peek()? {
                Some(byte) if byte == close => {
                    scanner.bump();
                    break;
                }
                Some(b';' | b',') => scanner.bump(),
                Some(_) => {
                    let field = scanner.identifier(&[b"keyword", b"value"])?;
                    scanner.expect(b':', "expected `:` after the field name")?;
                    if std::mem::replace(&mut seen[field], true) {
                        return Err(scanner.error("a row has this field twice"));
                    }
                    let (text, limit) = match field {
                        0 => (&mut self.keyword, MAX_LINE),
                        _ => (&mut self.value, MAX_VALUE),
                    };
                    scanner.string(text, limit)?;
                }
                None => return Err(scanner.error("the file ends inside a row")),
            }
        }
        if !seen[0] {
            return Err(scanner.error("a row without `keyword`"));
        }
        match std::str::from_utf8(&self.keyword) {
            Ok(text) => {
                let mut entry = Entry::new(text, EntryKind::Url);
                if self.value != b"1" {
                    entry.remarks.add(Remark::ValueReplaced);
                }
                visit(Event::Entry { line, entry });
            }
            Err(_) => visit(Event::Refused { line, refusal: Refusal::NotUtf8, text: "" }),
        }
        Ok(())
    }
}

/// Tokens of the text format, with the kinds of lines that were passed.
struct Scanner<R> {
    input: R,
    line: u64,
    counts: LineCounts,
    kind: LineKind,
    /// Whether the last byte was something else than a line end.
    partial: bool,
}

impl<R: BufRead> Scanner<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            line: 1,
            counts: LineCounts::default(),
            kind: LineKind::Blank,
            partial: false,
        }
    }

    fn error(&self, what: &'static str) -> ListError {
        ListError::Txtpb { line: self.line, what }
    }

    fn peek(&mut self) -> Result<Option<u8>, ListError> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    /// Takes the byte that was peeked at, which is part of a token.
    fn bump(&mut self) {
        if matches!(self.kind, LineKind::Blank | LineKind::Comment) {
            self.kind = LineKind::Structure;
        }
        self.partial = true;
        self.input.consume(1);
    }

    fn mark_row(&mut self) {
        self.kind = LineKind::Entry;
    }

    fn end_line(&mut self) {
        self.counts.add(self.kind);
        self.kind = LineKind::Blank;
        self.partial = false;
        self.line += 1;
    }

    fn finish(mut self) -> LineCounts {
        if self.partial {
            self.counts.add(self.kind);
        }
        self.counts
    }

    fn skip_space(&mut self) -> Result<(), ListError> {
        let mut in_comment = false;
        while let Some(byte) = self.peek()? {
            match byte {
                b'\n' => {
                    self.end_line();
                    in_comment = false;
                }
                _ if in_comment => {}
                b'#' => {
                    in_comment = true;
                    self.partial = true;
                    if self.kind == LineKind::Blank {
                        self.kind = LineKind::Comment;
                    }
                }
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => self.partial = true,
                _ => break,
            }
            self.input.consume(1);
        }
        Ok(())
    }

    fn optional(&mut self, byte: &[u8; 1]) -> Result<bool, ListError> {
        self.skip_space()?;
        let found = self.peek()? == Some(byte[0]);
        if found {
            self.bump();
        }
        Ok(found)
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), ListError> {
        if self.optional(&[byte])? { Ok(()) } else { Err(self.error(what)) }
    }

    /// Takes one of the given names and returns which.
    fn identifier(&mut self, names: &[&[u8]]) -> Result<usize, ListError> {
        const LONGEST: usize = 16;
        let mut name = [0; LONGEST];
        let mut length = 0;
        while let Some(byte) = self.peek()?.filter(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            if length == LONGEST {
                break;
            }
            name[length] = byte;
            length += 1;
            self.bump();
        }
        names.iter().position(|known| *known == &name[..length]).ok_or_else(|| {
            self.error(match names.len() {
                1 => "expected the field `rows`",
                _ => "expected `keyword` or `value`",
            })
        })
    }

    /// Appends one or more adjacent string literals to `text`.
    fn string(&mut self, text: &mut Vec<u8>, limit: usize) -> Result<(), ListError> {
        self.skip_space()?;
        let mut literals = 0;
        while let Some(quote @ (b'"' | b'\'')) = self.peek()? {
            self.bump();
            literals += 1;
            loop {
                let byte = self.peek()?.filter(|&b| b != b'\n');
                let Some(byte) = byte else {
                    return Err(self.error("a string without its closing quote"));
                };
                self.bump();
                match byte {
                    b'\\' => self.escape(text)?,
                    _ if byte == quote => break,
                    _ => text.push(byte),
                }
                if text.len() > limit {
                    return Err(self.error(
                        "a keyword of more than 65536 or a value of more than 65535 bytes",
                    ));
                }
            }
            self.skip_space()?;
        }
        if literals == 0 { Err(self.error("expected a string in quotes")) } else { Ok(()) }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), ListError> {
        const BAD: &str = "an escape sequence that the text format does not know";
        let Some(byte) = self.peek()? else { return Err(self.error(BAD)) };
        let simple = match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'?' => byte,
            b'0'..=b'7' => {
                let code =
                    self.number(8, 1, 3).ok().flatten().and_then(|code| u8::try_from(code).ok());
                text.push(code.ok_or_else(|| self.error(BAD))?);
                return Ok(());
            }
            b'x' | b'X' => {
                self.bump();
                let code = self.number(16, 1, 2)?.ok_or_else(|| self.error(BAD))?;
                text.push(code as u8);
                return Ok(());
            }
            b'u' | b'U' => {
                self.bump();
                let digits = if byte == b'u' { 4 } else { 8 };
                let code = self.number(16, digits, digits)?;
                let character = code.and_then(char::from_u32).ok_or_else(|| self.error(BAD))?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.error(BAD)),
        };
        self.bump();
        text.push(simple);
        Ok(())
    }

    /// Reads `least` to `most` digits.
    fn number(&mut self, radix: u32, least: usize, most: usize) -> Result<Option<u32>, ListError> {
        let mut value = 0u32;
        let mut digits = 0;
        while digits < most {
            let Some(digit) = self.peek()?.and_then(|b| char::from(b).to_digit(radix)) else {
                break;
            };
            value = value.wrapping_mul(radix) + digit;
            digits += 1;
            self.bump();
        }
        Ok((digits >= least).then_some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, ListError, read, tests::events};
    use super::write_row;
    use crate::list::Event;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_the_text_format() {
        let text = "# a database\nrows: {keyword: \"a.example\" value: \"1\"}\nrows { keyword: 'b.example', value: '1' };\n\
                    rows: [{keyword: \"c\" \".example\" value: \"1\"}, <value: \"2\" keyword: \"d\\x2eexample\">]\n\nrows: []\n\
                    rows {\n  keyword: \"\\303\\251.example\"\n  value: \"1\"\n}\n";
        assert_eq!(
            events(text, Format::Txtpb),
            [
                "2 a.example",
                "3 b.example",
                "4 c.example",
                "4 d.example value-replaced",
                "7 é.example",
            ]
        );
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line) in [
            ("rows: {keyword: \"a\"\n", 2),
            ("\nrow: {}", 2),
            ("rows {}", 1),
            ("rows {keyword: \"a\" keyword: \"b\"}", 1),
            ("rows {keyword: \"a\nb\"}", 1),
            ("rows {keyword: \"\\q\"}", 1),
            ("rows {keyword: \"\\777\"}", 1),
            ("rows {key: \"a\"}", 1),
            ("rows [{keyword: \"a\"}", 1),
            ("rows {keyword: 7}", 1),
        ] {
            let error = read(text.as_bytes(), Some(&Format::Txtpb), |_| {}).unwrap_err();
            assert!(
                matches!(error, ListError::Txtpb { line: at, .. } if at == line),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn rows_are_read_back(keywords in prop::collection::vec("\\PC{0,20}|[\\x00-\\x7f]{0,8}", 0..8)) {
            let mut text = Vec::new();
            for keyword in &keywords {
                write_row(&mut text, keyword.as_bytes()).unwrap();
            }
            let mut back = Vec::new();
            read(&text[..], Some(&Format::Txtpb), |event| {
                if let Event::Entry { entry, .. } = event {
                    assert!(entry.remarks.is_empty());
                    back.push(entry.text.to_owned());
                }
            }).unwrap();
            prop_assert_eq!(back, keywords);
        }
    }
}
