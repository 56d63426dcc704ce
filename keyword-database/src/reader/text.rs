//! The text format: tokens, rows and lists of rows.

use super::{Limits, Part, RowParts, Stop};
use crate::line_counts::{LineKind, LineTally};
use crate::{Mistake, RowKind};

/// What is known between two rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextState {
    pub(super) lines: LineTally,
    place: Place,
    /// Whether the window begins inside a comment.
    in_comment: bool,
}

/// Where in the grammar the next token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    TopLevel,
    ListStart,
    ListAfterRow,
    ListAfterComma,
}

impl TextState {
    pub(super) fn new() -> Self {
        Self { lines: LineTally::new(), place: Place::TopLevel, in_comment: false }
    }
}

/// Reads tokens of the window.
///
/// A row is read in one go: if the window ends inside of it, reading starts again at its beginning. What
/// lies between rows is settled at once.
pub(super) struct Scanner<'w> {
    bytes: &'w [u8],
    at: usize,
    is_last: bool,
    /// Where the last white space ended. What was read since then are tokens.
    space_end: usize,
    state: TextState,
    /// The bytes that need not be looked at again, and the state behind them.
    pub(super) settled_at: usize,
    settled: &'w mut TextState,
}

impl<'w> Scanner<'w> {
    pub(super) fn new(bytes: &'w [u8], is_last: bool, settled: &'w mut TextState) -> Self {
        Self { bytes, at: 0, is_last, space_end: 0, state: *settled, settled_at: 0, settled }
    }

    /// The line that was reached.
    pub(super) fn line(&self) -> u64 {
        self.state.lines.line
    }

    fn settle(&mut self) {
        self.note_tokens();
        self.settled_at = self.at;
        *self.settled = self.state;
    }

    fn mistake<T>(&self, mistake: Mistake) -> Result<T, Stop> {
        Err(Stop::Mistake(self.at, mistake))
    }

    /// The next byte; stops at the end of the window.
    fn next(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::Incomplete)
    }

    /// Tells the line that tokens were read, if they were. Tokens lie on one line each.
    fn note_tokens(&mut self) {
        if self.at != self.space_end {
            self.state.lines.see(LineKind::Structure);
            self.space_end = self.at;
        }
    }

    /// Skips white space and comments up to the next token or the end of the window.
    #[inline]
    fn skip_space(&mut self) {
        let next = self.bytes.get(self.at);
        let is_token = next.is_some_and(|&byte| byte > b' ' && byte != b'#');
        if !is_token || self.state.in_comment {
            self.skip_some_space();
        }
    }

    fn skip_some_space(&mut self) {
        self.note_tokens();
        if self.state.in_comment {
            self.skip_comment();
        }
        let mut at = self.at;
        loop {
            match self.bytes.get(at) {
                Some(b' ' | b'\t' | b'\r' | 0x0b | 0x0c) => at += 1,
                Some(b'\n') => {
                    self.state.lines.end_line();
                    at += 1;
                }
                Some(b'#') => {
                    self.state.lines.see(LineKind::Comment);
                    self.at = at;
                    self.skip_comment();
                    at = self.at;
                }
                _ => break,
            }
        }
        self.at = at;
        self.space_end = at;
    }

    /// Skips a comment up to the end of its line or of the window.
    fn skip_comment(&mut self) {
        let rest = &self.bytes[self.at..];
        let end = memchr::memchr(b'\n', rest);
        self.at += end.unwrap_or(rest.len());
        self.state.in_comment = end.is_none();
    }

    /// Takes `byte` if it is the next token.
    fn optional(&mut self, byte: u8) -> Result<bool, Stop> {
        self.skip_space();
        let found = self.next()? == byte;
        self.at += usize::from(found);
        Ok(found)
    }

    /// Takes `name` if it is the next token.
    fn optional_name(&mut self, name: &[u8]) -> Result<bool, Stop> {
        let rest = &self.bytes[self.at..];
        let Some((start, end)) = rest.split_at_checked(name.len()) else {
            let may_go_on = !self.is_last && name.starts_with(rest);
            return if may_go_on { Err(Stop::Incomplete) } else { Ok(false) };
        };
        if start != name {
            return Ok(false);
        }
        match end.first() {
            Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'_' => return Ok(false),
            None if !self.is_last => return Err(Stop::Incomplete),
            _ => {}
        }
        self.at += name.len();
        Ok(true)
    }

    /// Reads up to the end of the next row and returns its line; `None` at the end of the database.
    pub(super) fn row(
        &mut self,
        kind: RowKind,
        limits: &Limits,
        row: &mut RowParts,
    ) -> Result<Option<u64>, Stop> {
        loop {
            self.skip_space();
            self.settle();
            let Some(&byte) = self.bytes.get(self.at) else {
                return match self.state.place {
                    _ if !self.is_last => Err(Stop::Incomplete),
                    Place::TopLevel => Ok(None),
                    _ => self.mistake(Mistake::EndsInsideList),
                };
            };
            match (self.state.place, byte) {
                (Place::TopLevel, b',' | b';') => self.at += 1,
                (Place::TopLevel, _) => {
                    if !self.optional_name(b"rows")? {
                        return self.mistake(Mistake::NoRowsField);
                    }
                    self.optional(b':')?;
                    if !self.optional(b'[')? {
                        return self.fields(kind, limits, row, Place::TopLevel).map(Some);
                    }
                    self.state.place = Place::ListStart;
                }
                (Place::ListStart | Place::ListAfterRow, b']') => {
                    self.at += 1;
                    self.state.place = Place::TopLevel;
                }
                (Place::ListAfterRow, b',') => {
                    self.at += 1;
                    self.state.place = Place::ListAfterComma;
                }
                (Place::ListAfterRow, _) => return self.mistake(Mistake::NoCommaOrListEnd),
                (Place::ListStart | Place::ListAfterComma, _) => {
                    return self.fields(kind, limits, row, Place::ListAfterRow).map(Some);
                }
            }
        }
    }

    /// Reads the fields of a row with their brackets, and returns the line of the opening one.
    fn fields(
        &mut self,
        kind: RowKind,
        limits: &Limits,
        row: &mut RowParts,
        place_after: Place,
    ) -> Result<u64, Stop> {
        let close = match self.next()? {
            b'{' => b'}',
            b'<' => b'>',
            _ => return self.mistake(Mistake::NoRow),
        };
        self.at += 1;
        self.state.lines.see(LineKind::Row);
        let line = self.state.lines.line;
        row.clear();
        let mut seen = [false; 2];
        loop {
            self.skip_space();
            match self.next()? {
                b',' | b';' => self.at += 1,
                byte if byte == close => break,
                _ => {
                    let is_keyword = kind == RowKind::Keyword && self.optional_name(b"keyword")?;
                    if !is_keyword && !self.optional_name(b"value")? {
                        return self.mistake(match kind {
                            RowKind::Keyword => Mistake::NoKeywordOrValueField,
                            RowKind::Index => Mistake::NoValueField,
                        });
                    }
                    if !self.optional(b':')? {
                        return self.mistake(Mistake::NoColon);
                    }
                    if std::mem::replace(&mut seen[usize::from(is_keyword)], true) {
                        return self.mistake(Mistake::RepeatedField);
                    }
                    let checked = if is_keyword {
                        self.string(&mut row.keyword)?;
                        limits.check_keyword(row.keyword.len())
                    } else {
                        self.string(&mut row.value)?;
                        limits.check_value(row.value.len())
                    };
                    if let Err(mistake) = checked {
                        return self.mistake(mistake);
                    }
                }
            }
        }
        self.at += 1;
        if kind == RowKind::Keyword && !seen[1] {
            return self.mistake(Mistake::NoKeyword);
        }
        if self.at - self.settled_at > limits.max_row {
            return self.mistake(Mistake::RowTooLong { max: limits.max_row });
        }
        self.state.place = place_after;
        self.settle();
        Ok(line)
    }

    /// Reads one or more adjacent string literals.
    fn string(&mut self, part: &mut Part) -> Result<(), Stop> {
        let mut literals = 0;
        loop {
            self.skip_space();
            let quote = match self.next()? {
                quote @ (b'"' | b'\'') => quote,
                _ if literals == 0 => return self.mistake(Mistake::NoString),
                _ => return Ok(()),
            };
            self.at += 1;
            if let Some((start, end)) = part.range.take() {
                part.joined.extend_from_slice(&self.bytes[start..end]);
            }
            self.literal(quote, literals == 0, part)?;
            literals += 1;
        }
    }

    /// Reads a string literal up to and with its closing quote.
    fn literal(&mut self, quote: u8, is_first: bool, part: &mut Part) -> Result<(), Stop> {
        let start = self.at;
        let mut plain = start;
        loop {
            let rest = &self.bytes[self.at..];
            let found = memchr::memchr3(quote, b'\\', b'\n', rest).ok_or(Stop::Incomplete)?;
            self.at += found;
            match self.bytes[self.at] {
                b'\n' => return self.mistake(Mistake::UnterminatedString),
                b'\\' => {
                    part.joined.extend_from_slice(&self.bytes[plain..self.at]);
                    self.at += 1;
                    self.escape(&mut part.joined)?;
                    plain = self.at;
                }
                _ => {
                    // A single literal without escapes stays where it is.
                    if is_first && plain == start {
                        part.range = Some((start, self.at));
                    } else {
                        part.joined.extend_from_slice(&self.bytes[plain..self.at]);
                    }
                    self.at += 1;
                    return Ok(());
                }
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
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
            b'0'..=b'7' => {
                let Ok(code) = u8::try_from(self.number(8, 1, 3)?) else {
                    return self.mistake(Mistake::UnknownEscape);
                };
                out.push(code);
                return Ok(());
            }
            b'x' | b'X' => {
                self.at += 1;
                out.push(self.number(16, 1, 2)? as u8);
                return Ok(());
            }
            b'u' | b'U' => {
                self.at += 1;
                let digits = if byte == b'u' { 4 } else { 8 };
                let Some(character) = char::from_u32(self.number(16, digits, digits)?) else {
                    return self.mistake(Mistake::UnknownEscape);
                };
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return self.mistake(Mistake::UnknownEscape),
        };
        self.at += 1;
        out.push(simple);
        Ok(())
    }

    /// Reads `min` to `max` digits.
    fn number(&mut self, radix: u32, min: usize, max: usize) -> Result<u32, Stop> {
        let (mut value, mut digits) = (0_u32, 0);
        while digits < max {
            let Some(digit) = char::from(self.next()?).to_digit(radix) else { break };
            value = value.wrapping_mul(radix).wrapping_add(digit);
            digits += 1;
            self.at += 1;
        }
        if digits < min { self.mistake(Mistake::IncompleteEscape) } else { Ok(value) }
    }
}
