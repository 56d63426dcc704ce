//! XML property lists of one flat dictionary.

use super::error::ContentError;
use super::plist_fields::{Fields, Scalar, malformed};
use crate::parser_message::ParserMessage;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use std::borrow::Cow;

/// Reads the fields of a property list in XML.
pub(super) fn read(content: &[u8]) -> Result<Fields<'_>, ContentError> {
    // What follows the dictionary is not read; a file that is cut off there is damaged all the same.
    if !content.trim_ascii_end().ends_with(b"</plist>") {
        return Err(malformed("it does not end with </plist>; it may be cut off"));
    }
    let mut parser = Parser(Reader::from_reader(content));
    parser.0.config_mut().expand_empty_elements = true;
    let has = |name: Option<String>, expected| name.as_deref() == Some(expected);
    if !has(parser.element()?, "plist") || !has(parser.element()?, "dict") {
        return Err(malformed("it is not a dictionary"));
    }
    let mut fields = Fields::default();
    while let Some(element) = parser.element()? {
        if !matches!(&*element, "key" | "string") {
            return Err(malformed("a key is not text"));
        }
        let index = fields.expect(&parser.text(false)?)?;
        let kind = parser.element()?.ok_or_else(|| malformed("a key has no value"))?;
        let value = match &*kind {
            "integer" => Scalar::Integer(integer(&parser.text(false)?)?),
            "real" => {
                let number = parser.text(false)?.parse();
                Scalar::Real(number.map_err(|_| malformed("a real number cannot be read"))?)
            }
            "data" => {
                let data = STANDARD.decode(parser.text(true)?);
                Scalar::Data(Cow::Owned(data.map_err(|_| malformed("the data is not base64"))?))
            }
            "string" => Scalar::Text(Cow::Owned(parser.text(false)?)),
            _ => return Err(malformed("a value is neither number, data nor text")),
        };
        fields.put(index, value);
    }
    Ok(fields)
}

fn integer(text: &str) -> Result<u64, ContentError> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| malformed("an integer is negative, has more than 64 bits or is none"))
}

struct Parser<'c>(Reader<&'c [u8]>);

impl<'c> Parser<'c> {
    fn event(&mut self) -> Result<Event<'c>, ContentError> {
        self.0.read_event().map_err(|error| ContentError::Plist(ParserMessage::of(&error)))
    }

    /// The name of the next element; `None` at the end of the enclosing one.
    fn element(&mut self) -> Result<Option<String>, ContentError> {
        loop {
            match self.event()? {
                Event::Start(start) => {
                    return match start.local_name().as_ref() {
                        name if name.len() > LONGEST_ELEMENT => {
                            Err(malformed("an element is none of a property list"))
                        }
                        name => Ok(Some(name.to_owned())),
                    };
                }
                Event::End(_) => return Ok(None),
                Event::Text(text) if text.trim_ascii().is_empty() => {}
                Event::Comment(_) | Event::Decl(_) | Event::DocType(_) | Event::PI(_) => {}
                Event::Eof => return Err(malformed("it is cut off")),
                _ => return Err(malformed("there is text between its elements")),
            }
        }
    }

    /// The text of the element that has begun, which has no other elements in it.
    fn text(&mut self, leaves_out_space: bool) -> Result<String, ContentError> {
        let mut all = String::new();
        loop {
            match self.event()? {
                Event::Text(text) if leaves_out_space => {
                    all.reserve_exact(text.len());
                    text.split_ascii_whitespace().for_each(|part| all.push_str(part));
                }
                Event::Text(text) => all.push_str(&text),
                Event::GeneralRef(name) => {
                    let syntax = |error| ContentError::Plist(ParserMessage::of(&error));
                    match name.resolve_char_ref().map_err(syntax)? {
                        Some(character) => all.push(character),
                        None => all.push_str(
                            resolve_xml_entity(&name)
                                .ok_or_else(|| malformed("an entity is unknown"))?,
                        ),
                    }
                }
                Event::End(_) => return Ok(all),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => return Err(malformed("it is cut off")),
                _ => return Err(malformed("a text has other elements in it")),
            }
        }
    }
}

/// Length of the longest name of an element of property lists, in bytes.
const LONGEST_ELEMENT: usize = 7;
