//! A limit for the length of an entry, which its reader would otherwise hold in memory whatever it is.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Longest entry of a list with what is before it, such as comments, in bytes. A list is read in blocks, so an entry behind
/// others may be longer by a block.
pub(crate) const MAX_ENTRY: u64 = 16 << 20;

/// What may be read before the next entry must be complete.
#[derive(Clone)]
pub(crate) struct Allowance(Rc<Cell<u64>>);

impl Allowance {
    pub(crate) fn new() -> Self {
        Self(Rc::new(Cell::new(MAX_ENTRY)))
    }

    /// An entry is complete.
    pub(crate) fn renew(&self) {
        self.0.set(MAX_ENTRY);
    }
}

/// An input that fails where an entry is longer than [`MAX_ENTRY`].
pub(crate) struct Bounded<R> {
    pub(crate) input: R,
    pub(crate) allowance: Allowance,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.0.get();
        // One byte more shows whether there is one.
        let most = usize::try_from(left + 1).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.input.read(&mut buffer[..most])? as u64;
        let left = left.checked_sub(read).ok_or_else(|| {
            io::Error::other(format!("an entry is longer than {MAX_ENTRY} bytes"))
        })?;
        self.allowance.0.set(left);
        Ok(read as usize)
    }
}
