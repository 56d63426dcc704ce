//! Lines of bounded length.

use super::{BYTE_ORDER_MARK, MAX_LINE};
use std::io::{self, BufRead};

/// One line, without its end.
pub(super) enum Line<'l> {
    Bytes(&'l [u8]),
    /// A line of more than [`MAX_LINE`] bytes; its bytes were skipped.
    TooLong,
}

/// Reads lines that end in `\n` or `\r\n`, counted from 1.
pub(super) struct Lines<R> {
    input: R,
    number: u64,
    /// Bytes of the input's buffer that the last line took; it still lends them.
    taken: usize,
    /// A line that does not lie in the input's buffer as a whole.
    joined: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, number: 0, taken: 0, joined: Vec::new() }
    }

    pub(super) fn next_line(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.input.consume(std::mem::take(&mut self.taken));
        let ready = self.input.fill_buf()?;
        if ready.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        match memchr::memchr(b'\n', ready) {
            // Lent from the buffer: copying each line made reading measurably slower.
            Some(end) => {
                self.taken = end + 1;
                let line = &self.input.fill_buf()?[..end];
                Ok(Some((self.number, if end > MAX_LINE { Line::TooLong } else { bytes(line) })))
            }
            None => {
                let length = self.join()?;
                let line = if length > MAX_LINE { Line::TooLong } else { bytes(&self.joined) };
                Ok(Some((self.number, line)))
            }
        }
    }

    /// Collects a line from several buffers and returns its length. A line above the limit is not kept.
    fn join(&mut self) -> io::Result<usize> {
        self.joined.clear();
        let mut length = 0;
        loop {
            let ready = self.input.fill_buf()?;
            let end = memchr::memchr(b'\n', ready);
            let piece = &ready[..end.unwrap_or(ready.len())];
            length += piece.len();
            if length <= MAX_LINE {
                self.joined.extend_from_slice(piece);
            }
            let used = piece.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() || used == 0 {
                return Ok(length);
            }
        }
    }
}

/// A line without the byte-order mark that it has if files were put together, and without the rest of its end.
fn bytes(line: &[u8]) -> Line<'_> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let length = line.iter().rposition(|&byte| byte != b'\r').map_or(0, |last| last + 1);
    Line::Bytes(&line[..length])
}

/// A line without the white space around it. Most have none, as their first and last bytes show.
pub(super) fn trim(line: &str) -> &str {
    match line.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => line,
        _ => line.trim(),
    }
}
