//! Binary property lists of one flat dictionary.
//!
//! Objects of a binary property list refer to each other, so that a few hundred bytes can stand for a tree of any size.
//! This reader follows references from the dictionary to numbers, data and texts, and no further.

use super::error::ContentError;
use super::plist_fields::{Fields, Scalar, malformed};
use std::borrow::Cow;

/// What a binary property list starts with.
pub(super) const MAGIC: &[u8] = b"bplist00";
/// Length of what is at its end: where its objects are.
const TRAILER: usize = 32;

/// Where objects are.
struct Objects<'c> {
    /// All bytes before the trailer.
    content: &'c [u8],
    /// The place of the table of offsets.
    table: usize,
    /// Length of an offset, and of a reference to an object, in bytes.
    offset_bytes: usize,
    reference_bytes: usize,
    count: u64,
}

/// Reads the fields of a property list that begins with [`MAGIC`].
pub(super) fn read(content: &[u8]) -> Result<Fields<'_>, ContentError> {
    let (content, trailer) =
        content.split_last_chunk::<TRAILER>().ok_or_else(|| malformed("it is cut off"))?;
    let long = |at: usize| number(&trailer[at..at + 8]);
    let objects = Objects {
        content,
        table: usize::try_from(long(24)).map_err(|_| outside())?,
        offset_bytes: usize::from(trailer[6]),
        reference_bytes: usize::from(trailer[7]),
        count: long(8),
    };
    let sizes = 1..=8;
    if !sizes.contains(&objects.offset_bytes) || !sizes.contains(&objects.reference_bytes) {
        return Err(malformed("its offsets or references have no possible length"));
    }
    let mut fields = Fields::default();
    let (kind, pairs, at) = objects.head(long(16))?;
    if kind != 0xd {
        return Err(malformed("it is not a dictionary"));
    }
    // More than there are fields cannot all be fields: `expect` refuses the first that is none.
    let values_at =
        pairs.checked_mul(objects.reference_bytes).and_then(|keys| keys.checked_add(at));
    let values_at = values_at.ok_or_else(outside)?;
    for pair in 0..pairs {
        let name = objects.scalar(objects.reference(at, pair)?)?;
        let Scalar::Text(name) = name else { return Err(malformed("a key is not text")) };
        let index = fields.expect(&name)?;
        fields.put(index, objects.scalar(objects.reference(values_at, pair)?)?);
    }
    Ok(fields)
}

fn outside() -> ContentError {
    malformed("it refers to something outside of it")
}

/// A number of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

impl<'c> Objects<'c> {
    fn bytes(&self, at: usize, length: usize) -> Result<&'c [u8], ContentError> {
        let end = at.checked_add(length).ok_or_else(outside)?;
        self.content.get(at..end).ok_or_else(outside)
    }

    fn element(&self, start: usize, index: usize, length: usize) -> Result<u64, ContentError> {
        let at = index.checked_mul(length).and_then(|offset| offset.checked_add(start));
        self.bytes(at.ok_or_else(outside)?, length).map(number)
    }

    /// A reference of a dictionary: the number of an object.
    fn reference(&self, start: usize, index: usize) -> Result<u64, ContentError> {
        self.element(start, index, self.reference_bytes)
    }

    /// The kind of an object, its length, and the place of what follows.
    fn head(&self, object: u64) -> Result<(u8, usize, usize), ContentError> {
        if object >= self.count {
            return Err(outside());
        }
        let index = usize::try_from(object).map_err(|_| outside())?;
        let at = self.element(self.table, index, self.offset_bytes)?;
        let at = usize::try_from(at).map_err(|_| outside())?;
        let token = self.bytes(at, 1)?[0];
        let (kind, length, at) = (token >> 4, usize::from(token & 0xf), at + 1);
        // Lengths from 15 on are an integer behind the token. Numbers have none.
        if length < 0xf || !matches!(kind, 0x4..=0x6 | 0xd) {
            return Ok((kind, length, at));
        }
        let size = self.bytes(at, 1)?[0];
        if size >> 4 != 1 || size & 0xf > 3 {
            return Err(malformed("a length is not a number"));
        }
        let size = 1 << (size & 0xf);
        let length = number(self.bytes(at + 1, size)?);
        Ok((kind, usize::try_from(length).map_err(|_| outside())?, at + 1 + size))
    }

    /// A number, data or text.
    fn scalar(&self, object: u64) -> Result<Scalar<'c>, ContentError> {
        let (kind, length, at) = self.head(object)?;
        let negative = || malformed("a number is negative or has more than 64 bits");
        Ok(match (kind, length) {
            (0x1, 0..=2) => Scalar::Integer(number(self.bytes(at, 1 << length)?)),
            // Numbers of eight bytes have a sign, and those of sixteen are for what does not fit then.
            (0x1, 3) => {
                let value = number(self.bytes(at, 8)?);
                Scalar::Integer(Some(value).filter(|value| value >> 63 == 0).ok_or_else(negative)?)
            }
            (0x1, 4) => match number(self.bytes(at, 8)?) {
                0 => Scalar::Integer(number(self.bytes(at + 8, 8)?)),
                _ => return Err(negative()),
            },
            (0x2, 2) => Scalar::Real(f64::from(f32::from_bits(number(self.bytes(at, 4)?) as u32))),
            (0x2, 3) => Scalar::Real(f64::from_bits(number(self.bytes(at, 8)?))),
            (0x4, _) => Scalar::Data(Cow::Borrowed(self.bytes(at, length)?)),
            (0x5, _) => {
                let text = str::from_utf8(self.bytes(at, length)?);
                Scalar::Text(Cow::Borrowed(text.map_err(|_| malformed("a text is not UTF-8"))?))
            }
            (0x6, _) => {
                let bytes = self.bytes(at, length.checked_mul(2).ok_or_else(outside)?)?;
                let units = bytes.as_chunks().0.iter().map(|unit| u16::from_be_bytes(*unit));
                let text: Result<String, _> = char::decode_utf16(units).collect();
                Scalar::Text(Cow::Owned(text.map_err(|_| malformed("a text is not UTF-16"))?))
            }
            _ => return Err(malformed("a value is neither number, data nor text")),
        })
    }
}
