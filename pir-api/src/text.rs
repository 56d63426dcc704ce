//! The text form of parameter files: the protobuf text format.
//!
//! Every valid text is read, but for extensions and `Any` in brackets, which no parameter file has. Texts are written like
//! the files of Apple's tools: two spaces for each level, lists of numbers in brackets, names of enumeration values, no
//! default values, and empty messages on two lines.
//!
//! ```
//! use pir_api::{he, text};
//!
//! let config: he::EvaluationKeyConfig = text::from_text(b"galois_elements: [3, 5]")?;
//! assert_eq!(config.galois_elements, [3, 5]);
//! assert_eq!(text::to_text(&config), "galois_elements: [3, 5]\n");
//! # Ok::<(), text::TextError>(())
//! ```

mod parser;

use crate::schema::{self, ENUMERATIONS, Field, Fields, Kind, MESSAGES};
use crate::wire::{Malformed, Reader};
use prost::{Message, Name};
use std::fmt::Write;

/// Largest text that is read, in bytes. Parameter files have a few hundred.
pub const MAX_TEXT: usize = 1 << 20;

/// A text that is not a valid message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The text has a mistake.
    #[error("line {line}, column {column}: {problem}")]
    #[non_exhaustive]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Where in the line, in characters, from 1.
        column: usize,
        /// What was expected.
        problem: String,
    },
    /// The text is longer than any such file.
    #[error("{0} bytes; parameter files have at most {MAX_TEXT}")]
    TooLong(usize),
    /// The text is not UTF-8, so not the text form.
    #[error("not a text file")]
    NotText,
}

fn fields_of<M: Name>() -> Fields {
    schema::fields_of(&M::full_name()).expect("the message is in the project's own files")
}

/// Reads the text form of a message.
///
/// # Errors
/// [`TextError`].
///
/// # Panics
/// Never: what the text is turned into follows the schema of the message.
pub fn from_text<M: Message + Name + Default>(text: &[u8]) -> Result<M, TextError> {
    if text.len() > MAX_TEXT {
        return Err(TextError::TooLong(text.len()));
    }
    let text = std::str::from_utf8(text).map_err(|_| TextError::NotText)?;
    let wire = parser::to_wire(text, fields_of::<M>())?;
    Ok(M::decode(wire.as_slice()).expect("the bytes were made after the schema of the message"))
}

/// Writes the text form of a message.
///
/// # Panics
/// Never: the message and its description are generated from the same schema.
#[must_use]
pub fn to_text<M: Message + Name + Default>(message: &M) -> String {
    let mut out = String::new();
    write_message(&mut out, &message.encode_to_vec(), fields_of::<M>(), 0)
        .expect("message and description have the same schema");
    out
}

/// A value on the wire.
enum Value<'w> {
    Number(u64),
    Content(&'w [u8]),
}

fn write_message(
    out: &mut String,
    wire: &[u8],
    fields: Fields,
    level: usize,
) -> Result<(), Malformed> {
    let mut found: Vec<(&Field, Value<'_>)> = Vec::new();
    let mut reader = Reader(wire);
    while !reader.0.is_empty() {
        let tag = reader.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
        let value = match tag & 7 {
            0 => Value::Number(reader.varint()?),
            2 => {
                let length = reader.varint()?;
                Value::Content(reader.take(length)?)
            }
            _ => return Err(Malformed),
        };
        found.push((schema::field(fields, number).ok_or(Malformed)?, value));
    }
    // A member of a `oneof` may stand elsewhere on the wire.
    found.sort_by_key(|(field, _)| field.number);
    let indent = 2 * level;
    // Writing to a string cannot fail.
    for same in found.chunk_by(|(a, _), (b, _)| a.number == b.number && !b.is_line()) {
        let (field, value) = &same[0];
        let name = field.name;
        if let (Kind::Message(inner), Value::Content(content)) = (field.kind, value) {
            let _ = writeln!(out, "{:indent$}{name} {{", "");
            write_message(out, content, MESSAGES[inner].1, level + 1)?;
            let _ = writeln!(out, "{:indent$}}}", "");
            continue;
        }
        let mut texts = Vec::new();
        for (_, value) in same {
            match *value {
                Value::Content(content) if matches!(field.kind, Kind::Bytes | Kind::Text) => {
                    texts.push(format!("\"{}\"", content.escape_ascii()));
                }
                Value::Content(packed) => {
                    let mut numbers = Reader(packed);
                    while !numbers.0.is_empty() {
                        texts.push(number(field.kind, numbers.varint()?));
                    }
                }
                Value::Number(value) => texts.push(number(field.kind, value)),
            }
        }
        let _ = match field.repeated {
            true => writeln!(out, "{:indent$}{name}: [{}]", "", texts.join(", ")),
            false => writeln!(out, "{:indent$}{name}: {}", "", texts.join(" ")),
        };
    }
    Ok(())
}

impl Field {
    /// Each value has a line of its own, or several.
    fn is_line(&self) -> bool {
        !self.repeated || matches!(self.kind, Kind::Message(_))
    }
}

fn number(kind: Kind, value: u64) -> String {
    match kind {
        Kind::Bool => (value != 0).to_string(),
        Kind::Enumeration(index) => {
            // Negative values are extended to 64 bits on the wire.
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                reason = "as protobuf decodes them"
            )]
            let value = value as i32;
            let known = ENUMERATIONS[index].iter().find(|(number, _)| *number == value);
            known.map_or_else(|| value.to_string(), |(_, name)| (*name).to_owned())
        }
        _ => value.to_string(),
    }
}
