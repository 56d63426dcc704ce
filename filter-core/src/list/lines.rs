//! Lines of bounded length out of any input.

use super::MAX_LINE;
use std::io::{self, BufRead};

/// One line, without its end.
pub(super) enum Line<'l> {
    Bytes(&'l [u8]),
    /// Longer than [`MAX_LINE`]; its bytes were skipped.
    TooLong,
}

/// Reads lines ending in `\n` or `\r\n`, counting from 1.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    pub(super) fn next_line(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.line.clear();
        let mut length = 0;
        loop {
            let ready = self.input.fill_buf()?;
            if ready.is_empty() {
                if length == 0 {
                    return Ok(None);
                }
                break;
            }
            let end = memchr::memchr(b'\n', ready);
            let piece = &ready[..end.unwrap_or(ready.len())];
            length += piece.len();
            if length <= MAX_LINE {
                self.line.extend_from_slice(piece);
            }
            let used = piece.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.number += 1;
        if length > MAX_LINE {
            return Ok(Some((self.number, Line::TooLong)));
        }
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        Ok(Some((self.number, Line::Bytes(line))))
    }
}
