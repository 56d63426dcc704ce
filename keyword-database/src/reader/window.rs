//! The part of the input that is in memory.

use std::io::{self, Read};

/// Bytes that are read at once.
const CAPACITY: usize = 1 << 18;

/// Bytes of the input from the first unconsumed one on.
pub(super) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    is_last: bool,
    offset: u64,
    last_consumed: Option<u8>,
}

impl<R: Read> Window<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; CAPACITY],
            start: 0,
            end: 0,
            is_last: false,
            offset: 0,
            last_consumed: None,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether the input ends with the window.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// Where the window begins in the input.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.last_consumed = self.byte_before(count);
        self.offset += count as u64;
        self.start += count;
    }

    /// The byte before the byte at `at` of the window; `None` at the start of the input.
    pub(super) fn byte_before(&self, at: usize) -> Option<u8> {
        let before = at.checked_sub(1).map(|before| self.buffer[self.start + before]);
        before.or(self.last_consumed)
    }

    /// Reads more of the input behind the bytes of the window, which becomes larger if it is full.
    pub(super) fn extend(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        while self.end < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.is_last = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
