//! Decoding of untrusted messages with a bound on what is allocated.
//!
//! Two bytes of input can be an element of a list that takes a hundred bytes of memory. So the elements are
//! counted with the help of the schema before anything is allocated for them.
//!
//! ```
//! use pir_api::bounded::{BoundedError, decode};
//! use pir_api::{Message, report::UrlFilterReport};
//!
//! let report = UrlFilterReport { urls: vec!["https://a.example".to_owned(); 3] };
//! let bytes = report.encode_to_vec();
//! assert_eq!(decode::<UrlFilterReport>(&bytes, 3)?, report);
//! assert_eq!(decode::<UrlFilterReport>(&bytes, 2), Err(BoundedError::TooMany(2)));
//! # Ok::<(), BoundedError>(())
//! ```

use crate::schema::{self, Fields, Kind, MESSAGES};
use crate::wire::{MAX_DEPTH, Malformed, Reader};
use prost::{Message, Name};
use std::marker::PhantomData;

/// A message was not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundedError {
    /// The bytes are not such a message.
    #[error("not a well-formed message")]
    Malformed,
    /// The message has more fields and elements than this bound.
    #[error("a message of more than {0} fields")]
    TooMany(usize),
}

impl From<Malformed> for BoundedError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// What may still be counted.
struct Budget {
    left: usize,
    max: usize,
}

impl Budget {
    fn spend(&mut self, count: usize) -> Result<(), BoundedError> {
        self.left = self.left.checked_sub(count).ok_or(BoundedError::TooMany(self.max))?;
        Ok(())
    }
}

/// Counts the fields of a message and of the messages in it.
fn count(
    bytes: &[u8],
    fields: Fields,
    budget: &mut Budget,
    depth: usize,
) -> Result<(), BoundedError> {
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        budget.spend(1)?;
        let tag = u32::try_from(reader.varint()?).map_err(|_| BoundedError::Malformed)?;
        match tag & 7 {
            0 => drop(reader.varint()?),
            1 => drop(reader.take(8)?),
            5 => drop(reader.take(4)?),
            2 => {
                let length = reader.varint()?;
                let content = reader.take(length)?;
                match schema::field(fields, tag >> 3).map(|field| field.kind) {
                    Some(Kind::Message(_)) if depth >= MAX_DEPTH => {
                        return Err(BoundedError::Malformed);
                    }
                    Some(Kind::Message(inner)) => {
                        count(content, MESSAGES[inner].1, budget, depth + 1)?;
                    }
                    Some(Kind::Bytes | Kind::Text) | None => {}
                    // A packed list has at most one element for each byte.
                    Some(Kind::Bool | Kind::Enumeration(_) | Kind::Uint32 | Kind::Uint64) => {
                        budget.spend(content.len())?;
                    }
                }
            }
            // The schema has no groups.
            _ => return Err(BoundedError::Malformed),
        }
    }
    Ok(())
}

/// The bytes of a message whose fields were counted, and for which nothing is allocated yet.
///
/// What costs memory, such as [`decode`](Self::decode), can wait until it was paid for.
///
/// ```
/// use pir_api::bounded::Counted;
/// use pir_api::{Message, report::UrlFilterReport};
///
/// let bytes = UrlFilterReport { urls: vec!["https://a.example".to_owned(); 3] }.encode_to_vec();
/// let counted = Counted::<UrlFilterReport>::new(&bytes, 3)?;
/// assert_eq!(counted.occurrences(1), 3);
/// assert_eq!(counted.decode()?.urls.len(), 3);
/// # Ok::<(), pir_api::bounded::BoundedError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Counted<'b, M> {
    bytes: &'b [u8],
    message: PhantomData<M>,
}

impl<'b, M: Message + Name + Default> Counted<'b, M> {
    /// Counts the fields of a message, with those of the messages in it. Each element of a list counts as a field, and
    /// each byte of a packed list. Nothing is allocated.
    ///
    /// # Errors
    /// [`BoundedError::TooMany`] if there are more than `max`; [`BoundedError::Malformed`] if the bytes are not such a
    /// message.
    pub fn new(bytes: &'b [u8], max: usize) -> Result<Self, BoundedError> {
        let fields = schema::fields_of(&M::full_name()).ok_or(BoundedError::Malformed)?;
        count(bytes, fields, &mut Budget { left: max, max }, 0)?;
        Ok(Self { bytes, message: PhantomData })
    }

    /// How often the field with this number occurs in the message itself; of a list that is not packed, the number of
    /// elements.
    #[must_use]
    pub fn occurrences(&self, number: u32) -> usize {
        let mut reader = Reader(self.bytes);
        let mut found = 0;
        while let Some(tag) = reader.skip_field() {
            found += usize::from(tag >> 3 == u64::from(number));
        }
        found
    }

    /// Decodes the message.
    ///
    /// # Errors
    /// [`BoundedError::Malformed`] if the bytes are not such a message.
    pub fn decode(&self) -> Result<M, BoundedError> {
        M::decode(self.bytes).map_err(|_| BoundedError::Malformed)
    }
}

/// Decodes a message that has at most `max` fields, counted as [`Counted::new`] does.
///
/// # Errors
/// [`BoundedError::TooMany`] if it has more, before anything is allocated; [`BoundedError::Malformed`] if the
/// bytes are not such a message.
pub fn decode<M: Message + Name + Default>(bytes: &[u8], max: usize) -> Result<M, BoundedError> {
    Counted::new(bytes, max)?.decode()
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
    fn elements_are_counted_at_the_top_alone() {
        let query = pir::EncryptedIndices {
            ciphertexts: vec![he::SerializedCiphertext::default(); 5],
            num_pir_calls: 1,
        };
        let request = api::pir::PirRequest { query: Some(query), ..Default::default() };
        let request = api::Request {
            request: Some(api::request::Request::PirRequest(request)),
            usecase: "name".to_owned(),
        };
        for count in 0..3 {
            let bytes = api::Requests { requests: vec![request.clone(); count] }.encode_to_vec();
            let counted = Counted::<api::Requests>::new(&bytes, 100).unwrap();
            assert_eq!((counted.occurrences(1), counted.occurrences(2)), (count, 0));
            assert_eq!(counted.decode().unwrap().requests.len(), count);
        }
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

    #[test]
    fn nesting_is_bounded() {
        let index = MESSAGES.iter().position(|(_, fields)| {
            fields
                .first()
                .is_some_and(|field| field.number == 1 && matches!(field.kind, Kind::Message(_)))
        });
        let outer = MESSAGES[index.unwrap()].1;
        let counted = |depth| count(b"\x0a\x00", outer, &mut Budget { left: 9, max: 9 }, depth);
        assert_eq!(counted(MAX_DEPTH - 1), Ok(()));
        assert_eq!(counted(MAX_DEPTH), Err(BoundedError::Malformed));
        assert_eq!(counted(MAX_DEPTH + 1), Err(BoundedError::Malformed));
    }

    #[test]
    fn the_bound_is_exact() {
        let report = report::UrlFilterReport { urls: vec![String::new(); 3] };
        let bytes = report.encode_to_vec();
        for max in [2, 3, 4] {
            assert_eq!(decode::<report::UrlFilterReport>(&bytes, max).is_ok(), max >= 3, "{max}");
        }
    }
}
