//! What decompression may produce.

use super::ListError;
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// The most bytes that a list has after decompression unless the options say otherwise: a hundred million URLs.
pub(super) const MAX_UNPACKED: u64 = 8 << 30;

/// The most bytes that a compressed byte gives, above [`FREE`] bytes. Text compresses to a tenth; files that
/// are made to fill a disk reach the thousandfold of each layer.
const MAX_RATIO: u64 = 1_000;

/// The number of decompressed bytes below which the ratio does not count.
const FREE: u64 = 64 << 20;

/// Counts what is read of a file before and after decompression.
#[derive(Debug)]
pub(super) struct Budget {
    max: u64,
    packed: Cell<u64>,
    exceeded: Cell<Option<Excess>>,
}

#[derive(Clone, Copy, Debug)]
enum Excess {
    Size,
    Ratio,
}

impl Budget {
    pub(super) fn new(max: u64) -> Rc<Self> {
        Rc::new(Self { max, packed: Cell::new(0), exceeded: Cell::new(None) })
    }

    /// The limit of decompressed bytes.
    #[cfg(feature = "containers")]
    pub(super) fn max(&self) -> u64 {
        self.max
    }

    /// Counts the bytes of the file itself.
    pub(super) fn packed<R: Read>(self: &Rc<Self>, input: R) -> Packed<R> {
        Packed { input, budget: Rc::clone(self) }
    }

    /// Counts and limits the bytes that a decompressor gives.
    pub(super) fn unpacked<R: Read>(self: &Rc<Self>, input: R) -> Unpacked<R> {
        Unpacked { input, produced: 0, budget: Rc::clone(self) }
    }

    /// The error that stands for `error`: decompressors wrap the errors of their input.
    pub(super) fn explain(&self, error: ListError) -> ListError {
        match self.exceeded.get() {
            Some(Excess::Size) => ListError::UnpackedTooLong { max: self.max },
            Some(Excess::Ratio) => ListError::CompressedTooWell { max: MAX_RATIO },
            None => error,
        }
    }

    fn exceed(&self, excess: Excess) -> io::Error {
        self.exceeded.set(Some(excess));
        io::Error::from(io::ErrorKind::FileTooLarge)
    }
}

pub(super) struct Packed<R> {
    input: R,
    budget: Rc<Budget>,
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.budget.packed.set(self.budget.packed.get() + count as u64);
        Ok(count)
    }
}

pub(super) struct Unpacked<R> {
    input: R,
    produced: u64,
    budget: Rc<Budget>,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.produced += count as u64;
        if self.produced > self.budget.max {
            return Err(self.budget.exceed(Excess::Size));
        }
        let packed = self.budget.packed.get();
        if self.produced > FREE && self.produced > packed.saturating_mul(MAX_RATIO) {
            return Err(self.budget.exceed(Excess::Ratio));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_decompressed_bytes_is_exact() {
        for (length, fits) in [(9, true), (10, true), (11, false)] {
            let budget = Budget::new(10);
            let mut out = Vec::new();
            let outcome = budget.unpacked(&vec![0; length][..]).read_to_end(&mut out);
            assert_eq!(outcome.is_ok(), fits, "{length}");
            let error = budget.explain(ListError::Binary);
            assert_eq!(matches!(error, ListError::UnpackedTooLong { max: 10 }), !fits);
        }
    }

    #[test]
    fn the_ratio_counts_above_64_mib() {
        for (length, packed, fits) in [
            (FREE, 1, true),
            (FREE + 1, 1, false),
            (FREE + 1, FREE / MAX_RATIO + 1, true),
            (80_000_000, 80_000, true),
            (80_000_001, 80_000, false),
        ] {
            let budget = Budget::new(MAX_UNPACKED);
            budget.packed.set(packed);
            let outcome =
                io::copy(&mut budget.unpacked(io::repeat(b'a').take(length)), &mut io::sink());
            assert_eq!(outcome.is_ok(), fits, "{length} of {packed}");
            let error = budget.explain(ListError::Binary);
            assert_eq!(matches!(error, ListError::CompressedTooWell { .. }), !fits);
        }
    }
}
