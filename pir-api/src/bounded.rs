//! Decoding messages from anywhere.
//!
//! Two bytes on the wire can be an element of a list that takes a hundred in memory. So the elements
//! are counted with the help of the schema before anything is allocated for them.

use crate::text::descriptors;
use prost::{Message, Name};
use prost_reflect::{Kind, MessageDescriptor};

/// A message that is not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundedError {
    /// The bytes are not such a message.
    #[error("not a well-formed message")]
    Malformed,
    /// The message has more elements than are reasonable.
    #[error("a message of more than {0} fields")]
    TooMany(usize),
}

/// Deepest nesting that is followed; the schema's own is 8.
const DEPTH: usize = 16;

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Counts fields of a message and of those in it, down to what is left of `budget`.
fn count(
    bytes: &[u8],
    descriptor: &MessageDescriptor,
    budget: &mut usize,
    depth: usize,
) -> Result<(), Option<()>> {
    // `Err(None)`: malformed; `Err(Some(()))`: too many.
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        *budget = budget.checked_sub(1).ok_or(Some(()))?;
        let tag = reader.varint().and_then(|tag| u32::try_from(tag).ok()).ok_or(None)?;
        let field = descriptor.get_field(tag >> 3);
        match tag & 7 {
            0 => drop(reader.varint().ok_or(None)?),
            1 => drop(reader.take(8).ok_or(None)?),
            5 => drop(reader.take(4).ok_or(None)?),
            2 => {
                let length = reader.varint().ok_or(None)?;
                let content = reader.take(length).ok_or(None)?;
                match field.map(|field| (field.kind(), field.is_list())) {
                    Some((Kind::Message(inner), _)) if depth < DEPTH => {
                        count(content, &inner, budget, depth + 1)?;
                    }
                    Some((Kind::Message(_), _)) => return Err(None),
                    Some((Kind::Bytes | Kind::String, _)) | None => {}
                    // A packed list: at most one element a byte.
                    Some(_) => *budget = budget.checked_sub(content.len()).ok_or(Some(()))?,
                }
            }
            // Groups are not in the schema.
            _ => return Err(None),
        }
    }
    Ok(())
}

/// Decodes a message of at most `most` fields, those of messages in it counted.
pub fn decode<M: Message + Name + Default>(bytes: &[u8], most: usize) -> Result<M, BoundedError> {
    let descriptor = descriptors().get_message_by_name(&M::full_name());
    let descriptor = descriptor.ok_or(BoundedError::Malformed)?;
    let mut budget = most;
    count(bytes, &descriptor, &mut budget, 0).map_err(|too_many| match too_many {
        Some(()) => BoundedError::TooMany(most),
        None => BoundedError::Malformed,
    })?;
    M::decode(bytes).map_err(|_| BoundedError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api, he, pir, report};

    #[test]
    fn elements_are_counted_before_they_are_made() {
        // A million empty ciphertexts.
        let list = [0x0a, 0x00].repeat(1_000_000);
        assert_eq!(
            decode::<he::SerializedCiphertextVec>(&list, 1000),
            Err(BoundedError::TooMany(1000))
        );
        assert_eq!(
            decode::<he::SerializedCiphertextVec>(&list[..2000], 1000).unwrap().ciphertexts.len(),
            1000
        );
        // The same inside a request, in a map, and as a packed list.
        let query = pir::EncryptedIndices {
            ciphertexts: vec![he::SerializedCiphertext::default(); 5000],
            num_pir_calls: 1,
        };
        let request = api::pir::PirRequest { query: Some(query), ..Default::default() };
        let request = api::Request {
            request: Some(api::request::Request::PirRequest(request)),
            ..Default::default()
        };
        let bytes = api::Requests { requests: vec![request] }.encode_to_vec();
        assert!(matches!(decode::<api::Requests>(&bytes, 1000), Err(BoundedError::TooMany(_))));
        assert!(decode::<api::Requests>(&bytes, 10_000).is_ok());
        let elements =
            he::EvaluationKeyConfig { galois_elements: vec![1; 5000], ..Default::default() };
        let bytes = elements.encode_to_vec();
        assert!(matches!(
            decode::<he::EvaluationKeyConfig>(&bytes, 1000),
            Err(BoundedError::TooMany(_))
        ));
        // Bytes are not elements.
        let text = report::UrlFilterReport { urls: vec!["x".repeat(100_000)] };
        assert_eq!(decode(&text.encode_to_vec(), 10), Ok(text));
    }

    #[test]
    fn whatever_is_not_a_message_is_refused() {
        for bytes in [
            &b"\x0a\x05abc"[..],
            b"\x0b",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x00",
            b"\x0a\xff\xff\xff\xff\x0f",
        ] {
            assert_eq!(
                decode::<api::Requests>(bytes, 100),
                Err(BoundedError::Malformed),
                "{bytes:?}"
            );
        }
        assert_eq!(decode::<api::Requests>(b"", 100), Ok(api::Requests::default()));
    }
}
