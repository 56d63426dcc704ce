//! What the lines of a text are.

/// Numbers of lines by what they hold. Each line counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineCounts {
    /// Empty lines and lines of white space.
    pub blank: u64,
    /// Lines with nothing but a comment.
    pub comment: u64,
    /// Lines on which at least one row begins.
    pub row: u64,
    /// All others: brackets of a list, and the further lines of a row.
    pub structure: u64,
}

impl LineCounts {
    /// The number of lines.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.blank + self.comment + self.row + self.structure
    }
}

/// What the current line holds so far; what outranks the rest comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LineKind {
    Blank,
    Comment,
    Structure,
    Row,
}

/// Counts lines while a text is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineTally {
    /// The current line, counted from 1.
    pub(crate) line: u64,
    kind: LineKind,
    counts: LineCounts,
}

impl LineTally {
    pub(crate) fn new() -> Self {
        Self { line: 1, kind: LineKind::Blank, counts: LineCounts::default() }
    }

    /// Notes what the current line holds.
    pub(crate) fn see(&mut self, kind: LineKind) {
        self.kind = self.kind.max(kind);
    }

    /// Ends the current line.
    pub(crate) fn end_line(&mut self) {
        *match self.kind {
            LineKind::Blank => &mut self.counts.blank,
            LineKind::Comment => &mut self.counts.comment,
            LineKind::Structure => &mut self.counts.structure,
            LineKind::Row => &mut self.counts.row,
        } += 1;
        self.line += 1;
        self.kind = LineKind::Blank;
    }

    /// The lines that have ended.
    pub(crate) fn counts(&self) -> LineCounts {
        self.counts
    }
}
