//! Buckets: the bytes that a reply decrypts to.
//!
//! One byte with the number of slots; a slot is the keyword's hash, eight bytes little endian, the
//! value's length, two bytes little endian, and the value. What follows the last slot is padding.

use crate::keyword::KeywordHash;

/// Bytes of a bucket without slots.
pub const EMPTY_BUCKET: usize = 1;
/// Bytes of a slot besides its value.
pub const SLOT_OVERHEAD: usize = 10;
/// Longest value in bytes.
pub const MAX_VALUE: usize = u16::MAX as usize;
/// Largest number of slots of a bucket.
pub const MAX_SLOTS: usize = u8::MAX as usize;

/// A bucket ends inside a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("a bucket of the reply is cut short: the parameters do not fit the data")]
pub struct TruncatedBucket;

/// The slots of a bucket, in order: the hash of a keyword, and its value. Stops after an error.
#[derive(Clone, Debug)]
pub struct Slots<'b> {
    rest: &'b [u8],
    left: u8,
}

impl<'b> Slots<'b> {
    /// Reads a bucket. Bytes after the last slot are ignored.
    ///
    /// # Errors
    /// If there is not even a number of slots.
    pub fn new(bucket: &'b [u8]) -> Result<Self, TruncatedBucket> {
        let (&left, rest) = bucket.split_first().ok_or(TruncatedBucket)?;
        Ok(Self { rest, left })
    }

    fn slot(&mut self) -> Option<(KeywordHash, &'b [u8])> {
        let (hash, rest) = self.rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        self.rest = rest;
        Some((KeywordHash::from_u64(u64::from_le_bytes(*hash)), value))
    }
}

impl<'b> Iterator for Slots<'b> {
    type Item = Result<(KeywordHash, &'b [u8]), TruncatedBucket>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let slot = self.slot();
        if slot.is_none() {
            self.left = 0;
        }
        Some(slot.ok_or(TruncatedBucket))
    }
}

/// The value of the first slot with that hash. All slots are read, whether or not it is found.
///
/// # Errors
/// If the bucket ends inside a slot.
pub fn find(bucket: &[u8], hash: KeywordHash) -> Result<Option<&[u8]>, TruncatedBucket> {
    let mut found = None;
    for slot in Slots::new(bucket)? {
        let (other, value) = slot?;
        if other == hash && found.is_none() {
            found = Some(value);
        }
    }
    Ok(found)
}

/// Appends a bucket of at most [`MAX_SLOTS`] slots with values of at most [`MAX_VALUE`] bytes.
pub(crate) fn write<'v>(
    out: &mut Vec<u8>,
    slots: impl ExactSizeIterator<Item = (KeywordHash, &'v [u8])>,
) {
    out.push(slots.len() as u8);
    for (hash, value) in slots {
        out.extend(hash.to_u64().to_le_bytes());
        out.extend((value.len() as u16).to_le_bytes());
        out.extend(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slots_are_read_back(
            slots in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..9)), 0..9),
            padding in 0_usize..5,
        ) {
            let mut bytes = Vec::new();
            let slots = slots.iter().map(|(hash, value)| (KeywordHash::from_u64(*hash), &value[..]));
            write(&mut bytes, slots.clone().collect::<Vec<_>>().into_iter());
            let end = bytes.len();
            bytes.resize(end + padding, 0);
            let back: Result<Vec<_>, _> = Slots::new(&bytes).unwrap().collect();
            prop_assert_eq!(back.unwrap(), slots.clone().collect::<Vec<_>>());
            for (hash, _) in slots.clone() {
                let first = slots.clone().find(|slot| slot.0 == hash).unwrap();
                prop_assert_eq!(find(&bytes, hash), Ok(Some(first.1)));
            }
            for cut in 0..end {
                prop_assert!(Slots::new(&bytes[..cut]).and_then(|mut s| s.try_for_each(|s| s.map(|_| ()))).is_err());
            }
        }
    }
}
