//! From the text form to the binary form, after the schema.
//!
//! The grammar is that of the [text format's specification](https://protobuf.dev/reference/protobuf/textformat-spec/).

use super::TextError;
use crate::schema::{ENUMERATIONS, Field, Fields, Kind, MESSAGES};
use crate::wire::MAX_DEPTH;

/// The binary form of a text.
pub(super) fn to_wire(text: &str, fields: Fields) -> Result<Vec<u8>, TextError> {
    let mut parser = Parser { text, at: 0 };
    let mut wire = Vec::new();
    parser.message(fields, None, &mut wire, 0)?;
    Ok(wire)
}

struct Parser<'t> {
    text: &'t str,
    /// The next byte, at the start of a character.
    at: usize,
}

impl<'t> Parser<'t> {
    fn error(&self, problem: impl Into<String>) -> TextError {
        let before = &self.text[..self.at];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        TextError::Syntax {
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: problem.into(),
        }
    }

    /// Passes over white space and comments, and returns the next character.
    fn peek(&mut self) -> Option<char> {
        loop {
            let rest = &self.text[self.at..];
            let next = rest.chars().next()?;
            match next {
                '#' => self.at += rest.find('\n').unwrap_or(rest.len()),
                ' ' | '\n' | '\r' | '\t' | '\x0b' | '\x0c' => self.at += 1,
                other => return Some(other),
            }
        }
    }

    /// Passes over that character, if it is the next one.
    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// A name, or a number in whatever base: letters, digits, `_`, `.`.
    fn word(&mut self) -> &'t str {
        self.peek();
        let rest = &self.text[self.at..];
        let is_part =
            |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.');
        let end = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// The fields of a message up to the end of the text, or up to its closing bracket.
    fn message(
        &mut self,
        fields: Fields,
        close: Option<char>,
        wire: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), TextError> {
        // Fields and choices that may not be given again.
        let (mut given, mut chosen) = (Vec::new(), Vec::new());
        loop {
            match (self.peek(), close) {
                (None, None) => return Ok(()),
                (None, Some(close)) => {
                    return Err(self.error(format!("the message ends with {close}")));
                }
                (Some(next), Some(close)) if next == close => {
                    self.at += 1;
                    return Ok(());
                }
                (Some('['), _) => return Err(self.error("extensions and Any are not supported")),
                _ => {}
            }
            let start = self.at;
            let name = self.word();
            let field = fields.iter().find(|field| field.name == name);
            let Some(field) = field else {
                self.at = start;
                return Err(self.error(match name {
                    "" => "the name of a field is expected".to_owned(),
                    name => format!("the message has no field {name:?}"),
                }));
            };
            if !field.repeated {
                let again = given.contains(&field.number);
                let other = field.one_of.is_some_and(|choice| chosen.contains(&choice));
                if again || other {
                    self.at = start;
                    let problem = match again {
                        true => format!("{name} was given before"),
                        false => format!("{name} excludes a field that was given before"),
                    };
                    return Err(self.error(problem));
                }
                given.push(field.number);
                chosen.extend(field.one_of);
            }
            let colon = self.eat(':');
            if !colon && !matches!(field.kind, Kind::Message(_)) {
                return Err(self.error(format!("{name} is followed by a colon")));
            }
            self.values(field, wire, depth)?;
            // One separator, if any.
            let _ = self.eat(',') || self.eat(';');
        }
    }

    /// The value of a field, or a list of values in brackets.
    fn values(&mut self, field: &Field, wire: &mut Vec<u8>, depth: usize) -> Result<(), TextError> {
        if !field.repeated || !self.eat('[') {
            return self.value(field, wire, depth);
        }
        if self.eat(']') {
            return Ok(());
        }
        loop {
            self.value(field, wire, depth)?;
            if self.eat(']') {
                return Ok(());
            }
            if !self.eat(',') {
                return Err(self.error("a list goes on with a comma or ends with ]"));
            }
        }
    }

    fn value(&mut self, field: &Field, wire: &mut Vec<u8>, depth: usize) -> Result<(), TextError> {
        let tag = u64::from(field.number) << 3;
        let number = match field.kind {
            Kind::Message(inner) => {
                let close = match () {
                    () if self.eat('{') => '}',
                    () if self.eat('<') => '>',
                    () => return Err(self.error(format!("{} is a message in braces", field.name))),
                };
                if depth >= MAX_DEPTH {
                    return Err(
                        self.error(format!("more than {MAX_DEPTH} messages inside of each other"))
                    );
                }
                let mut content = Vec::new();
                self.message(MESSAGES[inner].1, Some(close), &mut content, depth + 1)?;
                put_content(wire, tag, &content);
                return Ok(());
            }
            Kind::Bytes | Kind::Text => {
                let start = self.at;
                let content = self.string()?;
                if matches!(field.kind, Kind::Text) && std::str::from_utf8(&content).is_err() {
                    self.at = start;
                    return Err(self.error(format!("{} is not UTF-8", field.name)));
                }
                put_content(wire, tag, &content);
                return Ok(());
            }
            Kind::Bool => self.boolean()?,
            Kind::Uint32 => self.unsigned(u64::from(u32::MAX))?,
            Kind::Uint64 => self.unsigned(u64::MAX)?,
            Kind::Enumeration(index) => self.enumeration(ENUMERATIONS[index])?,
        };
        put_varint(wire, tag);
        put_varint(wire, number);
        Ok(())
    }

    fn boolean(&mut self) -> Result<u64, TextError> {
        self.peek();
        let start = self.at;
        match self.word() {
            "true" | "True" | "t" => return Ok(1),
            "false" | "False" | "f" => return Ok(0),
            _ => self.at = start,
        }
        self.unsigned(1).map_err(|_| {
            self.at = start;
            self.error("true or false is expected")
        })
    }

    fn unsigned(&mut self, max: u64) -> Result<u64, TextError> {
        self.peek();
        let start = self.at;
        let word = self.word();
        let number = integer(word).filter(|number| *number <= max);
        number.ok_or_else(|| {
            self.at = start;
            self.error(format!("a whole number from 0 to {max} is expected"))
        })
    }

    /// The name of a value, or any number, which may be one of a newer version.
    fn enumeration(&mut self, values: &[(i32, &str)]) -> Result<u64, TextError> {
        self.peek();
        let start = self.at;
        let negative = self.eat('-');
        let word = self.word();
        let named = values.iter().find(|(_, name)| *name == word && !negative);
        let value = named.map(|(number, _)| i64::from(*number)).or_else(|| {
            let size = i64::try_from(integer(word)?).ok()?;
            Some(if negative { -size } else { size })
        });
        let value = value.and_then(|value| i32::try_from(value).ok()).ok_or_else(|| {
            self.at = start;
            let names: Vec<&str> = values.iter().map(|(_, name)| *name).collect();
            self.error(format!("one of {} is expected", names.join(", ")))
        })?;
        // Negative values are extended to 64 bits on the wire.
        Ok(i64::from(value).cast_unsigned())
    }

    /// One or several strings, which belong together.
    fn string(&mut self) -> Result<Vec<u8>, TextError> {
        let mut content = Vec::new();
        let mut any = false;
        while let Some(quote @ ('"' | '\'')) = self.peek() {
            any = true;
            self.at += 1;
            self.quoted(quote, &mut content)?;
        }
        match any {
            true => Ok(content),
            false => Err(self.error("text in quotation marks is expected")),
        }
    }

    /// What stands in quotation marks, up to and with the closing one.
    fn quoted(&mut self, quote: char, content: &mut Vec<u8>) -> Result<(), TextError> {
        loop {
            let Some(next) = self.text[self.at..].chars().next() else {
                return Err(self.error(format!("the text ends with {quote}")));
            };
            match next {
                '\n' | '\0' => {
                    return Err(self.error("text in quotation marks ends on the same line"));
                }
                '\\' => {
                    let escaped = self.escape(content);
                    escaped.ok_or_else(|| self.error("no such escape"))?;
                }
                next => {
                    self.at += next.len_utf8();
                    if next == quote {
                        return Ok(());
                    }
                    content.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
    }

    /// A backslash and what follows. `None` if it is no escape; then nothing is passed over.
    fn escape(&mut self, content: &mut Vec<u8>) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let digits = |rest: &[u8], radix, max| {
            rest.iter().take(max).take_while(|byte| char::from(**byte).is_digit(radix)).count()
        };
        let value = |from: usize, count: usize, radix| {
            let digits = rest.get(from..from + count)?;
            u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
        };
        let plain = |byte| (vec![byte], 1);
        let (bytes, length) = match rest.first()? {
            b'a' => plain(0x07),
            b'b' => plain(0x08),
            b'f' => plain(0x0c),
            b'n' => plain(b'\n'),
            b'r' => plain(b'\r'),
            b't' => plain(b'\t'),
            b'v' => plain(0x0b),
            b'?' => plain(b'?'),
            b'\\' => plain(b'\\'),
            b'\'' => plain(b'\''),
            b'"' => plain(b'"'),
            b'0'..=b'7' => {
                let count = digits(rest, 8, 3);
                (vec![u8::try_from(value(0, count, 8)?).ok()?], count)
            }
            b'x' | b'X' => {
                let count = digits(&rest[1..], 16, 2);
                (vec![u8::try_from(value(1, count, 16)?).ok()?], 1 + count)
            }
            kind @ (b'u' | b'U') => {
                let count = if *kind == b'u' { 4 } else { 8 };
                if digits(&rest[1..], 16, count) < count {
                    return None;
                }
                let character = char::from_u32(value(1, count, 16)?)?;
                (character.to_string().into_bytes(), 1 + count)
            }
            _ => return None,
        };
        content.extend(bytes);
        self.at += 1 + length;
        Some(())
    }
}

/// A whole number in base 10, 16 (`0x`) or 8 (`0`).
fn integer(word: &str) -> Option<u64> {
    if !word.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')),
        None if word.len() > 1 && word.starts_with('0') => u64::from_str_radix(word, 8).ok(),
        None => word.parse().ok(),
    }
}

fn put_varint(wire: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        wire.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    wire.push(value.to_le_bytes()[0]);
}

fn put_content(wire: &mut Vec<u8>, tag: u64, content: &[u8]) {
    put_varint(wire, tag | 2);
    put_varint(wire, content.len().try_into().expect("lengths fit 64 bits"));
    wire.extend_from_slice(content);
}
