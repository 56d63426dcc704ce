//! The seven fields of a prefilter's property list, taken one after the other. Anything else is refused as soon as it is
//! seen: whoever reads a property list builds no tree of it.

use super::description::Description;
use super::error::ContentError;
use super::filter_bytes::FilterBytes;
use super::unverified::{FileFormat, Unverified};
use crate::bloom::Parameters;
use crate::parser_message::ParserMessage;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// A value that a field can have.
pub(super) enum Scalar<'c> {
    Integer(u64),
    Real(f64),
    Data(Cow<'c, [u8]>),
    Text(Cow<'c, str>),
}

/// The names of a field: in the released sample, and in the first beta sample.
struct Field {
    released: &'static str,
    beta: &'static str,
}

const FIELDS: [Field; 7] = [
    Field { released: "bitCount", beta: "numberOfBits" },
    Field { released: "byteCount", beta: "numberOfBytes" },
    Field { released: "data", beta: "bitVectorData" },
    Field { released: "falsePositiveTolerance", beta: "falsePositiveTolerance" },
    Field { released: "hashCount", beta: "numberOfHashes" },
    Field { released: "itemCount", beta: "numberOfItems" },
    Field { released: "murmurSeed", beta: "murmurSeed" },
];

/// How much of an unknown name an error repeats, in characters.
const SHOWN_NAME: usize = 40;

/// The fields that were read so far.
#[derive(Default)]
pub(super) struct Fields<'c> {
    values: [Option<Scalar<'c>>; FIELDS.len()],
    format: Option<FileFormat>,
}

pub(super) fn malformed(what: &str) -> ContentError {
    ContentError::Plist(ParserMessage::from_text(what))
}

impl<'c> Fields<'c> {
    /// Whether a field of this name may follow. The value of one that may not is not read.
    ///
    /// # Errors
    /// If the name is unknown, was there before, or is of the other form.
    pub(super) fn expect(&mut self, name: &str) -> Result<usize, ContentError> {
        let index = FIELDS.iter().position(|field| name == field.released || name == field.beta);
        let index = index.ok_or_else(|| unknown(name))?;
        if self.values[index].is_some() {
            return Err(malformed(&format!("`{name}` is there twice")));
        }
        let Field { released, beta } = FIELDS[index];
        if released != beta {
            let form = if name == beta { FileFormat::BetaPlist } else { FileFormat::Plist };
            if *self.format.get_or_insert(form) != form {
                return Err(unknown(name));
            }
        }
        Ok(index)
    }

    /// Takes the value of the field that [`expect`](Self::expect) returned.
    pub(super) fn put(&mut self, index: usize, value: Scalar<'c>) {
        self.values[index] = Some(value);
    }

    /// The prefilter that the fields describe.
    ///
    /// # Errors
    /// If a field is missing or has a value of another kind.
    pub(super) fn finish(mut self) -> Result<Unverified, ContentError> {
        let format = self.format.unwrap_or(FileFormat::Plist);
        let name = |index: usize| match format {
            FileFormat::BetaPlist => FIELDS[index].beta,
            _ => FIELDS[index].released,
        };
        let mut take = |index: usize| {
            let value = self.values[index].take();
            value.ok_or_else(|| malformed(&format!("it has no `{}`", name(index))))
        };
        let other = |index| malformed(&format!("`{}` has a value of another kind", name(index)));
        let mut number = |index| match take(index)? {
            Scalar::Integer(number) => Ok(number),
            _ => Err(other(index)),
        };
        let (bit_count, byte_count, hash_count) = (number(0)?, number(1)?, number(4)?);
        let (item_count, murmur_seed) = (number(5)?, number(6)?);
        let short = |number: u64, index| {
            let text = || malformed(&format!("`{}` has more than 32 bits", name(index)));
            u32::try_from(number).map_err(|_| text())
        };
        let parameters =
            Parameters::new(short(bit_count, 0)?, short(hash_count, 4)?, short(murmur_seed, 6)?)?;
        let tolerance = match take(3)? {
            Scalar::Real(number) => number,
            Scalar::Integer(number) => number as f64,
            _ => return Err(other(3)),
        };
        let bytes = match take(2)? {
            Scalar::Data(data) => data.into_owned(),
            // Some tools store base64 text in the place of data.
            Scalar::Text(text) => {
                let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                STANDARD.decode(text).map_err(|_| malformed("the data is not base64"))?
            }
            _ => return Err(other(2)),
        };
        Ok(Unverified {
            format,
            parameters,
            bytes: FilterBytes::from(bytes),
            description: Description {
                item_count: Some(item_count),
                false_positive_tolerance: Some(tolerance),
                ..Description::default()
            },
            byte_count: Some(byte_count),
            tag: None,
        })
    }
}

fn unknown(name: &str) -> ContentError {
    let shown: String = name.chars().take(SHOWN_NAME).collect();
    malformed(&format!("`{shown}` is no field of a prefilter"))
}
