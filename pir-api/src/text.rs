//! The text form of parameter files: the protobuf text format.
//!
//! Every valid text is read. Texts are written like the files of Apple's tools: two spaces for each level,
//! lists of numbers in brackets, names of enumeration values, no default values, and empty messages on two
//! lines.
//!
//! ```
//! use pir_api::{he, text};
//!
//! let config: he::EvaluationKeyConfig = text::from_text(b"galois_elements: [3, 5]")?;
//! assert_eq!(config.galois_elements, [3, 5]);
//! assert_eq!(text::to_text(&config), "galois_elements: [3, 5]\n");
//! # Ok::<(), text::TextError>(())
//! ```

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use std::sync::OnceLock;

/// Largest text that is read, in bytes. Parameter files have a few hundred.
pub const MAX_TEXT: usize = 1 << 20;

/// A text that is not a valid message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The text has a mistake. The message tells where.
    #[error("{0}")]
    Syntax(String),
    /// The text is longer than any such file.
    #[error("{0} bytes; parameter files have at most {MAX_TEXT}")]
    TooLong(usize),
    /// The text is not UTF-8, so not the text form.
    #[error("not a text file")]
    NotText,
}

/// The schema of all messages.
pub(crate) fn descriptors() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");
    POOL.get_or_init(|| {
        DescriptorPool::decode(DESCRIPTORS).expect("the generated descriptors are valid")
    })
}

fn descriptor<M: Name>() -> MessageDescriptor {
    let descriptor = descriptors().get_message_by_name(&M::full_name());
    descriptor.expect("the message is in the project's own files")
}

/// Reads the text form of a message.
///
/// # Errors
/// [`TextError`].
pub fn from_text<M: Message + Name + Default>(text: &[u8]) -> Result<M, TextError> {
    if text.len() > MAX_TEXT {
        return Err(TextError::TooLong(text.len()));
    }
    let text = std::str::from_utf8(text).map_err(|_| TextError::NotText)?;
    let message = DynamicMessage::parse_text_format(descriptor::<M>(), text)
        .map_err(|error| TextError::Syntax(error.to_string()))?;
    message.transcode_to().map_err(|error| TextError::Syntax(error.to_string()))
}

/// Writes the text form of a message.
///
/// # Panics
/// Never: the message and its description are generated from the same schema.
#[must_use]
pub fn to_text<M: Message + Name + Default>(message: &M) -> String {
    let mut dynamic = DynamicMessage::new(descriptor::<M>());
    dynamic.transcode_from(message).expect("message and description have the same schema");
    let mut out = String::new();
    write_message(&mut out, &dynamic, 0);
    out
}

fn write_message(out: &mut String, message: &DynamicMessage, level: usize) {
    use prost_reflect::Value;
    use std::fmt::Write;
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|(field, _)| field.number());
    for (field, value) in fields {
        let indent = 2 * level;
        let name = field.name();
        // Writing to a string cannot fail.
        let _ = match value {
            Value::Message(inner) => {
                let _ = writeln!(out, "{:indent$}{name} {{", "");
                write_message(out, inner, level + 1);
                writeln!(out, "{:indent$}}}", "")
            }
            Value::List(values) if matches!(field.kind(), prost_reflect::Kind::Message(_)) => {
                for inner in values.iter().filter_map(Value::as_message) {
                    let _ = writeln!(out, "{:indent$}{name} {{", "");
                    write_message(out, inner, level + 1);
                    let _ = writeln!(out, "{:indent$}}}", "");
                }
                Ok(())
            }
            Value::List(values) => {
                let values: Vec<String> =
                    values.iter().map(|value| scalar(&field.kind(), value)).collect();
                writeln!(out, "{:indent$}{name}: [{}]", "", values.join(", "))
            }
            value => writeln!(out, "{:indent$}{name}: {}", "", scalar(&field.kind(), value)),
        };
    }
}

fn scalar(kind: &prost_reflect::Kind, value: &prost_reflect::Value) -> String {
    use prost_reflect::{Kind, Value};
    match (kind, value) {
        (Kind::Enum(names), Value::EnumNumber(number)) => names
            .get_value(*number)
            .map_or_else(|| number.to_string(), |value| value.name().to_owned()),
        (_, Value::Bytes(bytes)) => format!("\"{}\"", bytes.escape_ascii()),
        (_, Value::String(text)) => format!("\"{}\"", text.as_bytes().escape_ascii()),
        (_, Value::Bool(value)) => value.to_string(),
        (_, Value::U32(value)) => value.to_string(),
        (_, Value::U64(value)) => value.to_string(),
        (_, Value::I32(value)) => value.to_string(),
        (_, Value::I64(value)) => value.to_string(),
        (_, other) => other.to_string(),
    }
}
