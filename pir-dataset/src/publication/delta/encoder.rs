//! Making a delta, piece by piece.

use super::encoding::{MAGIC, VERSION};

/// Bytes that are compared at once. A range begins and ends at multiples of it, so that few changed bytes that lie close to
/// each other are one range. Tiles of a database are multiples of it, too.
pub(crate) const GRAIN: usize = 32;
/// Changed bytes that are gathered at most; longer ranges are divided.
const MAX_PENDING: usize = 1 << 16;

/// Makes the delta of two files that are read side by side, as long as it is not too long.
pub(crate) struct Encoder {
    /// What was not taken yet.
    out: Vec<u8>,
    /// Bytes of the delta so far, and the most that it may have.
    length: u64,
    max: u64,
    /// Bytes of the files that were compared.
    position: u64,
    /// The end of what was compared, where it differs.
    pending: Vec<u8>,
}

impl Encoder {
    /// A delta of at most `max` bytes for files of `file_bytes` bytes.
    pub(crate) fn new(file_bytes: u32, max: u64) -> Self {
        let mut encoder =
            Self { out: Vec::new(), length: 0, max, position: 0, pending: Vec::new() };
        encoder.put(MAGIC);
        encoder.put(&VERSION.to_le_bytes());
        encoder.put(&file_bytes.to_le_bytes());
        encoder
    }

    fn put(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if !self.is_too_long() {
            self.out.extend(bytes);
        }
    }

    /// Whether the delta is longer than it may be. What is taken then is incomplete.
    pub(crate) fn is_too_long(&self) -> bool {
        self.length > self.max
    }

    /// Compares the next bytes of both files, of which there are equally many: multiples of [`GRAIN`] but for the last ones.
    pub(crate) fn compare(&mut self, before: &[u8], after: &[u8]) {
        debug_assert_eq!(before.len(), after.len(), "the files are read side by side");
        for (before, after) in before.chunks(GRAIN).zip(after.chunks(GRAIN)) {
            if before == after {
                self.end_range();
            } else {
                self.pending.extend(after);
            }
            self.position += after.len() as u64;
            if self.pending.len() >= MAX_PENDING {
                self.end_range();
            }
        }
    }

    /// Ends a range where the comparison is.
    fn end_range(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        let start = self.position - pending.len() as u64;
        // Files are shorter than 4 GiB, and so are ranges.
        self.put(&(start as u32).to_le_bytes());
        self.put(&(pending.len() as u32).to_le_bytes());
        self.put(&pending);
        pending.clear();
        self.pending = pending;
    }

    /// The bytes of the delta that were not taken yet.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Ends the delta, and returns its last bytes; `None` if it is too long.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        self.end_range();
        (!self.is_too_long()).then(|| self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::super::apply_delta;
    use super::*;
    use proptest::prelude::*;

    fn encoded(before: &[u8], after: &[u8], max: u64, piece: usize) -> Option<Vec<u8>> {
        let (mut encoder, mut delta) = (Encoder::new(before.len() as u32, max), Vec::new());
        for (before, after) in before.chunks(piece).zip(after.chunks(piece)) {
            encoder.compare(before, after);
            delta.extend(encoder.take());
        }
        delta.extend(encoder.finish()?);
        Some(delta)
    }

    #[test]
    fn a_delta_has_the_changed_grains() {
        let before = vec![0; 200_000];
        let mut after = before.clone();
        assert_eq!(encoded(&before, &after, 16, 1024).unwrap().len(), 16);
        // One range, one of two grains, and the last bytes.
        after[100] = 1;
        after[1000] = 1;
        after[1055] = 1;
        after[199_999] = 1;
        let delta = encoded(&before, &after, 1 << 20, 1024).unwrap();
        assert_eq!(delta.len(), 16 + (8 + 32) + (8 + 64) + (8 + 32));
        assert_eq!(&delta[16..24], [96, 0, 0, 0, 32, 0, 0, 0]);
        // Its length has a limit.
        let length = delta.len() as u64;
        let is_made = [length - 1, length, length + 1]
            .map(|max| encoded(&before, &after, max, 1024).is_some());
        assert_eq!(is_made, [false, true, true]);
    }

    proptest! {
        #[test]
        fn a_delta_makes_the_later_file_of_the_earlier(
            length in 0_usize..200_000,
            changes in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..70_000, 1_u8..), 0..6),
            pieces in 1_usize..300,
        ) {
            let before: Vec<u8> = (0..length).map(|i| ((i * i) >> 3) as u8).collect();
            let mut after = before.clone();
            for (start, count, mask) in changes {
                if length > 0 {
                    let start = start.index(length);
                    let end = length.min(start + count);
                    after[start..end].iter_mut().for_each(|byte| *byte ^= mask);
                }
            }
            let delta = encoded(&before, &after, u64::MAX, 32 * pieces).unwrap();
            // The same whatever the pieces are.
            prop_assert_eq!(&delta, &encoded(&before, &after, u64::MAX, 1 << 20).unwrap());
            let mut out = Vec::new();
            apply_delta(&mut &delta[..], &mut &before[..], length as u64, &mut out).unwrap();
            prop_assert!(out == after);
        }
    }
}
