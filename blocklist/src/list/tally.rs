//! Counting lines behind the back of a parser, and stopping it before it fills the memory.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Counts the lines that pass by, and which of them are blank or start with `#`.
#[derive(Default)]
pub(super) struct LineTally {
    ended: Cell<u64>,
    blank: Cell<u64>,
    comments: Cell<u64>,
    /// The first byte of the line that has begun, if it has.
    first: Cell<Option<u8>>,
    /// Bytes that are not white space, if they are counted.
    visible: Cell<u64>,
    counts_visible: bool,
    /// Bytes that may still be read for the current record.
    budget: Cell<usize>,
}

impl LineTally {
    /// A tally that also counts the bytes that are not white space.
    pub(super) fn with_visible() -> Self {
        Self { counts_visible: true, ..Self::default() }
    }

    fn pass(&self, mut bytes: &[u8]) {
        if self.counts_visible {
            let visible = bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).count();
            self.visible.set(self.visible.get() + visible as u64);
        }
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.ended.set(self.ended.get() + 1);
            match self.first.take().or_else(|| bytes[..end].first().copied()) {
                None | Some(b'\r') => self.blank.set(self.blank.get() + 1),
                Some(b'#') => self.comments.set(self.comments.get() + 1),
                Some(_) => {}
            }
            bytes = &bytes[end + 1..];
        }
        if self.first.get().is_none() {
            self.first.set(bytes.first().copied());
        }
    }

    /// Allows the next record to take `max` bytes.
    pub(super) fn begin_record(&self, max: usize) {
        self.budget.set(max);
    }

    /// The number of the line that is being read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.ended.get() + 1
    }

    /// The number of bytes so far that are not white space.
    pub(super) fn visible(&self) -> u64 {
        self.visible.get()
    }

    pub(super) fn blank(&self) -> u64 {
        self.blank.get()
    }

    pub(super) fn comments(&self) -> u64 {
        self.comments.get()
    }

    /// The number of lines, at the end.
    pub(super) fn total(&self) -> u64 {
        if self.first.get() == Some(b'#') {
            self.comments.set(self.comments.get() + 1);
        }
        self.ended.get() + u64::from(self.first.take().is_some())
    }
}

/// Fails with [`io::ErrorKind::FileTooLarge`] when a record takes more than its budget.
pub(super) struct Metered<R> {
    pub(super) input: R,
    pub(super) lines: Rc<LineTally>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.lines.budget.get();
        if left == 0 {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let count = self.input.read(buffer)?;
        self.lines.budget.set(left.saturating_sub(count));
        self.lines.pass(&buffer[..count]);
        Ok(count)
    }
}
