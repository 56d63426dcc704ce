//! Reading rows.

mod binary;
#[cfg(test)]
mod tests;
mod text;
mod window;

use crate::{Encoding, LineCounts, Mistake, Position, ReadError, RowKind};
use std::fmt;
use std::io::Read;
use text::TextState;
use window::Window;

/// The default of [`Limits::max_row`]: 1 MiB.
pub const MAX_ROW: usize = 1 << 20;

/// The largest row that is read, in bytes. Longer ones are [`Mistake`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest keyword. Default: [`MAX_ROW`], that is no limit but the row's.
    pub max_keyword: usize,
    /// The largest value. Default: [`MAX_ROW`], that is no limit but the row's.
    pub max_value: usize,
    /// The largest row as it stands in the input: in text from its first byte (its `rows`, or its bracket
    /// inside a list) to its closing bracket, in binary its content without tag and length. Bounds the
    /// memory of a [`Reader`] to about twice as much. Default: [`MAX_ROW`].
    pub max_row: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_keyword: MAX_ROW, max_value: MAX_ROW, max_row: MAX_ROW }
    }
}

impl Limits {
    /// The same limits with another [`max_keyword`](Self::max_keyword).
    #[must_use]
    pub fn with_max_keyword(mut self, bytes: usize) -> Self {
        self.max_keyword = bytes;
        self
    }

    /// The same limits with another [`max_value`](Self::max_value).
    #[must_use]
    pub fn with_max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// The same limits with another [`max_row`](Self::max_row).
    #[must_use]
    pub fn with_max_row(mut self, bytes: usize) -> Self {
        self.max_row = bytes;
        self
    }

    fn check_keyword(&self, bytes: usize) -> Result<(), Mistake> {
        let max = self.max_keyword;
        if bytes > max { Err(Mistake::KeywordTooLong { max }) } else { Ok(()) }
    }

    fn check_value(&self, bytes: usize) -> Result<(), Mistake> {
        let max = self.max_value;
        if bytes > max { Err(Mistake::ValueTooLong { max }) } else { Ok(()) }
    }
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row<'r> {
    /// The keyword; empty in an index database.
    pub keyword: &'r [u8],
    /// The value; empty if the row has none.
    pub value: &'r [u8],
    /// Where the row begins.
    pub position: Position,
}

/// Reads the rows of a database, in order.
///
/// It reads large blocks, so the input needs no buffer of its own. After an error every further call
/// reports the same mistake, or tries to read again if the input failed.
pub struct Reader<R> {
    window: Window<R>,
    encoding: Encoding,
    kind: RowKind,
    limits: Limits,
    row: RowParts,
    /// Bytes of the window that the last row took; it still lends them.
    taken: usize,
    text: TextState,
}

impl<R: Read> Reader<R> {
    /// Reads a keyword database in the text format.
    pub fn text(input: R) -> Self {
        Self::new(Encoding::Text, input)
    }

    /// Reads a serialised keyword database.
    pub fn binary(input: R) -> Self {
        Self::new(Encoding::Binary, input)
    }

    /// Reads a keyword database in the given form.
    pub fn new(encoding: Encoding, input: R) -> Self {
        Self {
            window: Window::new(input),
            encoding,
            kind: RowKind::Keyword,
            limits: Limits::default(),
            row: RowParts::default(),
            taken: 0,
            text: TextState::new(),
        }
    }

    /// The same reader for a database of another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: RowKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same reader with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The next row; `None` at the end of the database.
    ///
    /// # Errors
    /// [`ReadError::Io`] if the input fails, [`ReadError::Malformed`] for everything that is not a row
    /// within the [`Limits`].
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>, ReadError> {
        self.window.consume(std::mem::take(&mut self.taken));
        let position = loop {
            let step = match self.encoding {
                Encoding::Text => self.scan_text(),
                Encoding::Binary => self.scan_binary(),
            };
            match step? {
                Step::Row(position) => break position,
                Step::End => return Ok(None),
                Step::Skipped => {}
                Step::Incomplete => self.window.extend()?,
            }
        };
        let bytes = self.window.bytes();
        let (keyword, value) = (self.row.keyword.bytes(bytes), self.row.value.bytes(bytes));
        Ok(Some(Row { keyword, value, position }))
    }

    /// What the lines of a text up to the last row are; all of them once [`next_row`](Self::next_row)
    /// has returned `None`. Zero for the binary form, which has no lines.
    #[must_use]
    pub fn line_counts(&self) -> LineCounts {
        let mut lines = self.text.lines;
        let is_inside_line = self.window.byte_before(self.taken).is_some_and(|byte| byte != b'\n');
        if self.encoding == Encoding::Text && is_inside_line {
            lines.end_line();
        }
        lines.counts()
    }

    fn scan_text(&mut self) -> Result<Step, ReadError> {
        let bytes = self.window.bytes();
        let is_last = self.window.is_last();
        let mut scanner = text::Scanner::new(bytes, is_last, &mut self.text);
        let outcome = scanner.row(self.kind, &self.limits, &mut self.row);
        let line = scanner.line();
        self.taken = scanner.settled_at;
        let max = self.limits.max_row;
        let mistake = match outcome {
            Ok(Some(line)) => return Ok(Step::Row(Position::Line(line))),
            Ok(None) => return Ok(Step::End),
            Err(Stop::Incomplete) if bytes.len() - self.taken > max => Mistake::RowTooLong { max },
            Err(Stop::Incomplete) if is_last => Mistake::EndsInsideRow,
            Err(Stop::Incomplete) => {
                self.window.consume(std::mem::take(&mut self.taken));
                return Ok(Step::Incomplete);
            }
            Err(Stop::Mistake(_, mistake)) => mistake,
        };
        // A row that is too long is named by its first line.
        let is_too_long = matches!(mistake, Mistake::RowTooLong { .. });
        let line = if is_too_long { self.text.lines.line } else { line };
        Err(ReadError::Malformed { position: Position::Line(line), mistake })
    }

    fn scan_binary(&mut self) -> Result<Step, ReadError> {
        let bytes = self.window.bytes();
        let is_last = self.window.is_last();
        let position = |at: usize| Position::Byte(self.window.offset() + at as u64);
        if bytes.is_empty() {
            return Ok(if is_last { Step::End } else { Step::Incomplete });
        }
        let (at, mistake) = match binary::row(bytes, self.kind, &self.limits, &mut self.row) {
            Ok((used, true)) => {
                let position = position(0);
                self.taken = used;
                return Ok(Step::Row(position));
            }
            Ok((used, false)) => {
                self.window.consume(used);
                return Ok(Step::Skipped);
            }
            Err(Stop::Incomplete) if is_last => (bytes.len(), Mistake::EndsInsideRow),
            Err(Stop::Incomplete) => return Ok(Step::Incomplete),
            Err(Stop::Mistake(at, mistake)) => (at, mistake),
        };
        Err(ReadError::Malformed { position: position(at), mistake })
    }
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Reader");
        all.field("encoding", &self.encoding).field("kind", &self.kind);
        all.field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What a look at the window gives.
enum Step {
    /// A row, in `Reader::row`.
    Row(Position),
    /// The end of the database.
    End,
    /// A field that is no row; the window begins behind it.
    Skipped,
    /// The next row does not end in the window.
    Incomplete,
}

/// Why a row cannot be read from the window.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// It does not end there.
    Incomplete,
    /// A mistake, at an offset in the window.
    Mistake(usize, Mistake),
}

/// The strings of a row.
#[derive(Default)]
struct RowParts {
    keyword: Part,
    value: Part,
}

impl RowParts {
    fn clear(&mut self) {
        self.keyword.clear();
        self.value.clear();
    }
}

/// A string of a row: a range of the window, or what was joined from literals and escapes.
#[derive(Default)]
struct Part {
    /// Where it stands in the window, unless `joined` holds it.
    range: Option<(usize, usize)>,
    joined: Vec<u8>,
}

impl Part {
    fn clear(&mut self) {
        self.range = None;
        self.joined.clear();
    }

    fn len(&self) -> usize {
        self.range.map_or(self.joined.len(), |(start, end)| end - start)
    }

    fn bytes<'b>(&'b self, window: &'b [u8]) -> &'b [u8] {
        match self.range {
            Some((start, end)) => &window[start..end],
            None => &self.joined,
        }
    }
}
