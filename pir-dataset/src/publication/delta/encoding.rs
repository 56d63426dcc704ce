//! The bytes of a delta. Numbers are little endian.
//!
//! | bytes | content |
//! | --- | --- |
//! | 8 | `PIRDELTA` |
//! | u32 | version, 1 |
//! | u32 | bytes of both files |
//! | u32, u32, bytes | a range that differs: where it begins, its length (at least 1), and what the later file has there |
//!
//! Ranges follow each other to the end of the delta. None begins before the one before it ends, and none ends behind the files.

use std::io::{self, Read, Write};

/// The first bytes of a delta.
pub(super) const MAGIC: &[u8; 8] = b"PIRDELTA";
/// The version of the bytes.
pub(super) const VERSION: u32 = 1;
/// The longest file that a delta is for, in bytes.
pub(super) const MAX_FILE: u64 = u32::MAX as u64;

/// A delta cannot be applied. Its file is to be fetched as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// These are no bytes of a delta.
    #[error("not a delta")]
    Magic,
    /// The delta has another version.
    #[error("a delta of version {0}, which is not known")]
    Version(u32),
    /// The delta is for files of another length.
    #[error("a delta for a file of {found} bytes, where one of {expected} bytes was expected")]
    Length {
        /// The length of the file that is to be made, in bytes.
        expected: u64,
        /// The length that the delta says.
        found: u64,
    },
    /// A range is empty, begins before the one before it ends, or ends behind the files.
    #[error("a range of {length} bytes at {start}, which cannot be there")]
    Range {
        /// Where it begins.
        start: u64,
        /// Its length, in bytes.
        length: u64,
    },
    /// The delta or the earlier file ends too early.
    #[error("{what} ends too early")]
    Cut {
        /// Which of them.
        what: &'static str,
    },
    /// The delta or the earlier file cannot be read, or the later one cannot be written.
    #[error("a file cannot be read or written")]
    Io(#[from] io::Error),
}

/// Copies exactly so many bytes.
fn copy(
    from: &mut impl Read,
    length: u64,
    to: &mut impl Write,
    what: &'static str,
) -> Result<(), DeltaError> {
    match io::copy(&mut from.take(length), to)? == length {
        true => Ok(()),
        false => Err(DeltaError::Cut { what }),
    }
}

fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().expect("the chunks have four bytes"));
    }
    words
}

/// Where the next range begins, and its length; `None` at the end of the delta.
fn next_range(delta: &mut impl Read) -> Result<Option<(u64, u64)>, DeltaError> {
    let mut bytes = Vec::with_capacity(8);
    delta.by_ref().take(8).read_to_end(&mut bytes)?;
    match bytes.len() {
        0 => Ok(None),
        8 => {
            let [start, length] = words(&bytes);
            Ok(Some((start.into(), length.into())))
        }
        _ => Err(DeltaError::Cut { what: "the delta" }),
    }
}

/// Makes a file of `length` bytes from an earlier one of the same length. Reads and writes piece by piece, so the inputs are
/// to be buffered. Whoever calls it must compare the digest of the result: a delta that is for another file gives another
/// result, and no error.
///
/// # Errors
/// [`DeltaError`]; then part of the file may be written.
pub fn apply_delta(
    delta: &mut impl Read,
    before: &mut impl Read,
    length: u64,
    out: &mut impl Write,
) -> Result<(), DeltaError> {
    const DELTA: &str = "the delta";
    const BEFORE: &str = "the earlier file";
    let mut head = Vec::with_capacity(16);
    delta.by_ref().take(16).read_to_end(&mut head)?;
    let Some(numbers) = head.strip_prefix(MAGIC) else { return Err(DeltaError::Magic) };
    if numbers.len() < 8 {
        return Err(DeltaError::Cut { what: DELTA });
    }
    let [version, found] = words(numbers);
    if version != VERSION {
        return Err(DeltaError::Version(version));
    }
    if u64::from(found) != length {
        return Err(DeltaError::Length { expected: length, found: found.into() });
    }
    let mut position = 0;
    while let Some((start, changed)) = next_range(delta)? {
        let end = start + changed;
        if changed == 0 || start < position || end > length {
            return Err(DeltaError::Range { start, length: changed });
        }
        copy(before, start - position, out, BEFORE)?;
        copy(before, changed, &mut io::sink(), BEFORE)?;
        copy(delta, changed, out, DELTA)?;
        position = end;
    }
    copy(before, length - position, out, BEFORE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEFORE: &[u8] = b"abcdefghij";

    fn delta(version: u32, length: u32, ranges: &[(u32, &[u8])]) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &version.to_le_bytes(), &length.to_le_bytes()].concat();
        for (start, content) in ranges {
            bytes.extend(start.to_le_bytes());
            bytes.extend((content.len() as u32).to_le_bytes());
            bytes.extend(*content);
        }
        bytes
    }

    fn applied(delta: &[u8], before: &[u8]) -> Result<Vec<u8>, DeltaError> {
        let mut out = Vec::new();
        apply_delta(&mut &*delta, &mut &*before, 10, &mut out).map(|()| out)
    }

    #[test]
    fn ranges_replace_what_was_there() {
        for (ranges, expected) in [
            (&[][..], &b"abcdefghij"[..]),
            (&[(0, &b"XY"[..])], b"XYcdefghij"),
            (&[(2, b"X"), (3, b"Y"), (9, b"Z")], b"abXYefghiZ"),
            (&[(0, b"0123456789")], b"0123456789"),
        ] {
            assert_eq!(applied(&delta(1, 10, ranges), BEFORE).unwrap(), expected);
        }
    }

    #[test]
    fn what_cannot_be_applied_is_refused() {
        let refused = |delta: &[u8]| applied(delta, BEFORE).unwrap_err();
        let good = delta(1, 10, &[(2, b"XY")]);
        assert!(matches!(refused(b""), DeltaError::Magic));
        assert!(matches!(refused(b"PIRSHARD........"), DeltaError::Magic));
        assert!(matches!(refused(&delta(2, 10, &[])), DeltaError::Version(2)));
        for length in [9, 11, 0, u32::MAX] {
            assert!(matches!(refused(&delta(1, length, &[])), DeltaError::Length { .. }));
        }
        for ranges in [
            // Empty, behind the end, beyond it, and before the end of the one before it.
            &[(2, &b""[..])][..],
            &[(10, b"X")],
            &[(9, b"XY")],
            &[(u32::MAX, b"X")],
            &[(2, b"XY"), (3, b"Z")],
            &[(5, b"X"), (4, b"Z")],
        ] {
            assert!(
                matches!(refused(&delta(1, 10, ranges)), DeltaError::Range { .. }),
                "{ranges:?}"
            );
        }
        // A length that is not there: nothing is allocated for it.
        let mut long = delta(1, 10, &[]);
        long.extend([0, 0, 0, 0, 255, 255, 255, 255]);
        assert!(matches!(refused(&long), DeltaError::Range { length: 0xffff_ffff, .. }));
        // A delta may end behind each range, and nowhere else.
        for cut in (8..good.len()).filter(|&cut| cut != 16) {
            assert!(
                matches!(refused(&good[..cut]), DeltaError::Cut { what: "the delta" }),
                "{cut}"
            );
        }
        let short = applied(&good, &BEFORE[..9]).unwrap_err();
        assert!(matches!(short, DeltaError::Cut { what: "the earlier file" }));
    }

    proptest! {
        /// Whatever the bytes are: an error, or a file of the expected length.
        #[test]
        fn any_bytes_are_safe(
            mut bytes in prop::collection::vec(any::<u8>(), 0..64),
            starts in prop::collection::vec((0_u32..12, 0_u32..4), 0..4),
            whole in any::<bool>(),
        ) {
            if whole {
                let mut delta = delta(1, 10, &[]);
                for (start, length) in starts {
                    delta.extend(start.to_le_bytes());
                    delta.extend(length.to_le_bytes());
                    delta.extend(bytes.iter().take(length as usize));
                }
                bytes = delta;
            }
            if let Ok(out) = applied(&bytes, BEFORE) {
                prop_assert_eq!(out.len(), BEFORE.len());
            }
        }
    }
}
