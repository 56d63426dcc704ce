//! Quotation marks around the values of rows.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

/// Text behind the quotation mark that closes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line on which the text stands, counted from 1.
    pub(super) line: u64,
    /// The line on which the value begins.
    pub(super) opened: u64,
}

/// What is known of the quotation marks that were read so far.
#[derive(Debug, Default)]
pub(super) struct Marks {
    faults: RefCell<VecDeque<Fault>>,
    open: RefCell<Option<u64>>,
}

impl Marks {
    /// The next fault up to a line.
    pub(super) fn fault_up_to(&self, line: u64) -> Option<Fault> {
        let mut faults = self.faults.borrow_mut();
        faults.front().is_some_and(|fault| fault.line <= line).then(|| faults.pop_front())?
    }

    /// The line on which a value begins that was not closed, at the end.
    pub(super) fn open(&self) -> Option<u64> {
        *self.open.borrow()
    }
}

/// Follows the quotation marks as the reader of rows will, and leaves out the spaces between a separator and a quotation
/// mark, if there are any.
pub(super) struct Quotes<R> {
    input: R,
    separator: u8,
    /// Whether spaces stand before quotation marks.
    spaced: bool,
    place: Place,
    line: u64,
    opened: u64,
    marks: Rc<Marks>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    RecordStart,
    Comment,
    FieldStart,
    Plain,
    Quoted,
    /// Behind a mark that closes the value unless another follows.
    Closed,
    /// Behind white space that follows such a mark.
    Behind,
}

impl<R: Read> Quotes<R> {
    pub(super) fn new(input: R, separator: u8, spaced: bool) -> Self {
        let marks = Rc::default();
        Self { input, separator, spaced, place: Place::RecordStart, line: 1, opened: 0, marks }
    }

    /// What will be known of the quotation marks.
    pub(super) fn marks(&self) -> Rc<Marks> {
        Rc::clone(&self.marks)
    }

    /// Goes on by one byte, and returns whether the reader of rows gets it.
    fn step(&mut self, byte: u8) -> bool {
        let is_start = matches!(self.place, Place::RecordStart | Place::FieldStart);
        if is_start && byte == b' ' && self.spaced {
            return false;
        }
        let is_line_end = byte == b'\n';
        self.line += u64::from(is_line_end);
        self.place = match (self.place, byte) {
            (Place::Quoted, b'"') => Place::Closed,
            (Place::Quoted, _) | (Place::Closed, b'"') => Place::Quoted,
            (_, b'\n') => Place::RecordStart,
            (Place::Comment, _) | (Place::RecordStart, b'#') => Place::Comment,
            (_, byte) if byte == self.separator => Place::FieldStart,
            (Place::RecordStart | Place::FieldStart, b'"') => {
                self.opened = self.line;
                Place::Quoted
            }
            (Place::Closed | Place::Behind, byte) if byte.is_ascii_whitespace() => Place::Behind,
            (Place::Closed | Place::Behind, _) => {
                let fault = Fault { line: self.line, opened: self.opened };
                self.marks.faults.borrow_mut().push_back(fault);
                Place::Plain
            }
            (Place::RecordStart | Place::FieldStart | Place::Plain, _) => Place::Plain,
        };
        true
    }

    /// Goes on by a block without quotation marks, from outside of them.
    fn pass(&mut self, block: &[u8]) {
        let last_line = memchr::memrchr(b'\n', block).map_or(0, |end| {
            self.line += memchr::memchr_iter(b'\n', &block[..=end]).count() as u64;
            self.place = Place::RecordStart;
            end + 1
        });
        for &byte in &block[last_line..] {
            self.step(byte);
        }
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.input.read(buffer)?;
            if count == 0 {
                let is_open = self.place == Place::Quoted;
                *self.marks.open.borrow_mut() = is_open.then_some(self.opened);
                return Ok(0);
            }
            let is_outside = !matches!(self.place, Place::Quoted | Place::Closed | Place::Behind);
            if is_outside && !self.spaced && memchr::memchr(b'"', &buffer[..count]).is_none() {
                self.pass(&buffer[..count]);
                return Ok(count);
            }
            let mut kept = 0;
            for at in 0..count {
                let byte = buffer[at];
                buffer[kept] = byte;
                kept += usize::from(self.step(byte));
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn faults(text: &str, separator: u8, block: usize) -> (Vec<(u64, u64)>, Option<u64>) {
        struct Blocks<'t>(&'t [u8], usize);
        impl Read for Blocks<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = buffer.len().min(self.1);
                self.0.read(&mut buffer[..length])
            }
        }
        let mut quotes = Quotes::new(Blocks(text.as_bytes(), block), separator, false);
        let mut out = String::new();
        quotes.read_to_string(&mut out).unwrap();
        assert_eq!(out, text);
        let marks = quotes.marks();
        let faults = std::iter::from_fn(|| marks.fault_up_to(u64::MAX));
        (faults.map(|fault| (fault.line, fault.opened)).collect(), marks.open())
    }

    #[test]
    fn text_behind_a_closing_mark_and_open_marks_are_found() {
        for (text, expected, open) in [
            ("a,\"b\"c\n", vec![(1, 1)], None),
            ("a,\"b\" c\n\"d\"\t,e\r\n\"f\"\r\n", vec![(1, 1)], None),
            ("a,\"b\"\"c\",d\"e\"f\n", vec![], None),
            ("# \"a\"b, \"c\n1,\"b\nc\"d\n", vec![(3, 2)], None),
            ("1\n2,\"b\n3\n", vec![], Some(2)),
            ("\"a\";\"b\"\n", vec![(1, 1)], None),
            ("", vec![], None),
        ] {
            for block in [1, 2, 100] {
                assert_eq!(faults(text, b',', block), (expected.clone(), open), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn blocks_do_not_matter(text in "[a\"#, \n]{0,30}", block in 1_usize..8) {
            prop_assert_eq!(faults(&text, b',', block), faults(&text, b',', 100));
        }
    }
}
