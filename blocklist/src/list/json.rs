//! JSON feeds, as a stream.

mod row;
mod skip;
#[cfg(test)]
mod tests;

use super::rows::{RowChoice, RowsLeftOut, missing, visit_value};
use super::tally::{LineTally, Metered};
use super::{Event, LineCounts, ListError, MAX_LINE, ReadOptions};
use row::{Chosen, Row};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use skip::Skipped;
use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;

/// The most bytes of a key or a scalar with the white space before it, and of the values of a row whose filters
/// are not known yet.
const MAX_VALUE: usize = 16 * MAX_LINE;

/// The most objects before the first one that has the field.
const MAX_BEFORE: usize = 100_000;

/// Names of fields that are kept for errors, of the objects of one depth.
const MAX_NAMES: usize = 20;

/// Whether a text begins as a JSON array or object does, and no line of another list.
pub(super) fn looks_like(start: &[u8]) -> bool {
    match start.trim_ascii_start() {
        [b'{', rest @ ..] => matches!(rest.trim_ascii_start().first(), None | Some(b'"' | b'}')),
        [b'[', rest @ ..] => {
            matches!(rest.trim_ascii_start().first(), None | Some(b'{' | b'[' | b'"' | b']'))
        }
        _ => false,
    }
}

/// The names of the fields at the beginning of a document, separated by commas.
pub(super) fn fields(start: &[u8]) -> String {
    let lines = Rc::new(LineTally::with_visible());
    let visit: &mut dyn FnMut(Event<'_>) = &mut |_| {};
    let options = ReadOptions::default();
    let mut walk = Walk::new(None, &options, Rc::clone(&lines), false, visit);
    let mut parser = serde_json::Deserializer::from_reader(Metered { input: start, lines });
    // The beginning breaks off somewhere.
    let _ = walk.value(0).deserialize(&mut parser);
    walk.names_of(|_| true)
}

/// What is known of a document once it has been read.
pub(super) struct Document {
    pub(super) lines: LineCounts,
    pub(super) left_out: Option<RowsLeftOut>,
    /// Whether the only row is an object outside of all arrays, whose field has one value.
    pub(super) is_one_object: bool,
}

pub(super) fn read(
    input: impl Read,
    start: &[u8],
    field: Option<&str>,
    options: &ReadOptions,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<Document, ListError> {
    let lines = Rc::new(LineTally::with_visible());
    // The number of the line says nothing then.
    let one_line = memchr::memchr(b'\n', start.trim_ascii_end()).is_none();
    let mut walk = Walk::new(field, options, Rc::clone(&lines), one_line, visit);
    let source = Metered { input, lines: Rc::clone(&lines) };
    let mut parser = serde_json::Deserializer::from_reader(source);
    loop {
        lines.begin_record(MAX_VALUE);
        let before = lines.visible();
        match walk.value(0).deserialize(&mut parser) {
            Ok(_) => {}
            Err(error) if error.is_eof() && lines.visible() == before => break,
            Err(error) => return Err(walk.failure.take().unwrap_or_else(|| broken(error, &lines))),
        }
    }
    walk.finish()
}

fn broken(error: serde_json::Error, lines: &LineTally) -> ListError {
    let line = lines.line();
    if !error.is_io() {
        let message = error.to_string();
        let mistake = message.split_once(" at line ").map_or(&*message, |(mistake, _)| mistake);
        let mistake = mistake.to_owned();
        return ListError::JsonMalformed { line, mistake };
    }
    match io::Error::from(error) {
        error if error.kind() == io::ErrorKind::FileTooLarge => {
            ListError::JsonTooLong { line, max: MAX_VALUE }
        }
        error => ListError::Io(error),
    }
}

/// The state of reading a document.
struct Walk<'w> {
    field: Option<&'w str>,
    options: &'w ReadOptions,
    filters: Vec<Filter>,
    choice: RowChoice<'w>,
    visit: &'w mut dyn FnMut(Event<'_>),
    lines: Rc<LineTally>,
    counts: LineCounts,
    /// The line that was counted last.
    counted: (u64, Counted),
    /// Rows so far, if their numbers stand for lines.
    records: Option<u64>,
    /// The number of containers around the objects that have the field, once one has it.
    row_depth: Option<usize>,
    /// Objects before that: their depths and lines.
    before: Vec<(usize, u64)>,
    /// Whether anything but empty containers has been found.
    has_content: bool,
    /// Whether an object has been found.
    has_object: bool,
    /// The number of arrays around what is read.
    arrays: usize,
    /// What is known of the rows of a document with a field.
    rows: Rows,
    /// The first names of fields, each with the depth of its objects.
    names: Vec<(usize, String)>,
    failure: Option<ListError>,
}

/// The number of rows, and whether one of them shows that rows are meant.
#[derive(Debug, Default)]
struct Rows {
    count: u64,
    /// A row is in an array, or its field has one.
    has_array: bool,
}

struct Filter {
    name: String,
    found: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Entry,
    Filtered,
}

impl<'w> Walk<'w> {
    fn new(
        field: Option<&'w str>,
        options: &'w ReadOptions,
        lines: Rc<LineTally>,
        one_line: bool,
        visit: &'w mut dyn FnMut(Event<'_>),
    ) -> Self {
        lines.begin_record(MAX_VALUE);
        let filter =
            |filter: &super::RowFilter| Filter { name: filter.column.to_string(), found: false };
        Self {
            field,
            options,
            filters: options.rows.iter().map(filter).collect(),
            choice: RowChoice::new(options),
            visit,
            lines,
            counts: LineCounts::default(),
            counted: (0, Counted::Filtered),
            records: one_line.then_some(0),
            row_depth: None,
            before: Vec::new(),
            has_content: false,
            has_object: false,
            arrays: 0,
            rows: Rows::default(),
            names: Vec::new(),
            failure: None,
        }
    }

    fn value<'n>(&'n mut self, depth: usize) -> Node<'n, 'w> {
        self.lines.begin_record(MAX_VALUE);
        Node { walk: self, depth }
    }

    /// The place of the row that is being read.
    fn place(&self) -> u64 {
        self.records.map_or_else(|| self.lines.line(), |records| records + 1)
    }

    fn count(&mut self, kind: Counted) {
        let line = self.lines.line();
        let (last, before) = self.counted;
        if line != last {
            self.counted = (line, kind);
            match kind {
                Counted::Entry => self.counts.entry += 1,
                Counted::Filtered => self.counts.filtered += 1,
            }
        } else if kind == Counted::Entry && before == Counted::Filtered {
            self.counted = (line, kind);
            self.counts.filtered -= 1;
            self.counts.entry += 1;
        }
    }

    fn take(&mut self, text: &str, place: u64) {
        self.count(Counted::Entry);
        visit_value(text, place, self.options, self.visit);
    }

    fn miss(&mut self, place: u64) {
        self.count(Counted::Entry);
        (self.visit)(missing(place));
    }

    fn end_row(&mut self) {
        self.records = self.records.map(|records| records + 1);
    }

    fn name(&mut self, depth: usize, name: &str) {
        let mut known = self.names.iter().filter(|(of, _)| *of == depth);
        // Objects around the rows do not take the room of theirs.
        if !known.clone().any(|(_, known)| known == name) && known.nth(MAX_NAMES - 1).is_none() {
            self.names.push((depth, name.to_owned()));
        }
    }

    /// The distinct names of fields of objects at chosen depths, separated by commas.
    fn names_of(&self, is_chosen: impl Fn(usize) -> bool) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (_, name) in self.names.iter().filter(|(depth, _)| is_chosen(*depth)) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names.join(", ")
    }

    /// Ends the reading with an error.
    fn fail<E: Error>(&mut self, failure: ListError) -> E {
        self.failure = Some(failure);
        E::custom("the list cannot be read")
    }

    /// Takes note that objects at this depth have the field.
    fn found<E: Error>(&mut self, depth: usize) -> Result<(), E> {
        match self.row_depth {
            None => {
                self.row_depth = Some(depth);
                for (of, place) in std::mem::take(&mut self.before) {
                    if of == depth {
                        let place = self.records.map_or(place, |records| records + 1);
                        self.miss(place);
                        self.end_row();
                    }
                }
                Ok(())
            }
            Some(rows) if rows == depth => Ok(()),
            Some(_) => Err(self.fail_at_several_depths()),
        }
    }

    /// Ends the reading because objects at several depths have the field.
    fn fail_at_several_depths<E: Error>(&mut self) -> E {
        let line = self.lines.line();
        let field = self.field.expect("depths are compared where there is a field").to_owned();
        self.fail(ListError::JsonFieldAmbiguous { line, field })
    }

    fn finish(mut self) -> Result<Document, ListError> {
        let fields = self.names_of(|depth| self.row_depth.is_none_or(|rows| rows == depth));
        match self.field {
            Some(field) if self.row_depth.is_none() && self.has_content => {
                return Err(ListError::JsonFieldMissing { field: field.to_owned(), fields });
            }
            None if self.has_object => return Err(ListError::Json { fields }),
            _ => {}
        }
        if let Some(filter) = self.filters.into_iter().find(|filter| !filter.found)
            && (self.row_depth.is_some() || self.has_content)
        {
            let field = filter.name;
            let is_around = |(depth, name): &(usize, String)| {
                *name == field && self.row_depth.is_some_and(|rows| *depth < rows)
            };
            return Err(match self.names.iter().any(is_around) {
                true => ListError::JsonFieldOutside { field, fields },
                false => ListError::JsonFieldMissing { field, fields },
            });
        }
        let is_one_object = self.rows.count == 1 && !self.rows.has_array;
        let total = self.lines.total();
        let counts = &mut self.counts;
        counts.entry = counts.entry.min(total);
        counts.filtered = counts.filtered.min(total - counts.entry);
        counts.blank = self.lines.blank().min(total - counts.total());
        counts.structure = total - counts.total();
        let left_out = self.choice.left_out(&self.counts);
        Ok(Document { lines: self.counts, left_out, is_one_object })
    }
}

/// A value that is no row, or may be one. Gives whether a field that has it can be chosen: a scalar, or an array of them.
struct Node<'n, 'w> {
    walk: &'n mut Walk<'w>,
    /// The number of containers around it.
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Node<'_, '_> {
    /// A scalar that is no string.
    fn other(self) -> bool {
        self.walk.has_content = true;
        if self.walk.field.is_none() && self.depth <= 1 {
            let place = self.walk.place();
            self.walk.miss(place);
            self.walk.end_row();
        }
        true
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        self.walk.has_content = true;
        if self.walk.field.is_none() && self.depth <= 1 {
            let place = self.walk.place();
            self.walk.take(text, place);
            self.walk.end_row();
        }
        Ok(true)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(self.other())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(self.other())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(self.other())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(self.other())
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(self.other())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let Self { walk, depth } = self;
        if walk.field.is_none() && depth > 0 {
            walk.has_content = true;
            let place = walk.place();
            walk.miss(place);
            walk.end_row();
        }
        walk.arrays += 1;
        let mut has_scalars = false;
        while let Some(is_scalar) = items.next_element_seed(walk.value(depth + 1))? {
            has_scalars |= is_scalar;
        }
        walk.arrays -= 1;
        Ok(has_scalars)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        let Self { walk, depth } = self;
        walk.has_object = true;
        let started = walk.place();
        let mut row = Row::new(walk);
        loop {
            row.walk.lines.begin_record(MAX_VALUE);
            let Some(name) = fields.next_key::<String>()? else { break };
            row.walk.has_content = true;
            row.choose(&name, depth)?;
            row.walk.lines.begin_record(MAX_VALUE);
            let can_be_chosen = if row.is_chosen() {
                fields.next_value_seed(Chosen { row: &mut row, inside_array: false })?
            } else {
                let inside_row = row.walk.row_depth.is_some_and(|rows| depth >= rows);
                if inside_row {
                    fields.next_value_seed(Skipped { walk: &mut *row.walk })?
                } else {
                    fields.next_value_seed(row.walk.value(depth + 1))?
                }
            };
            // The names of the first rows.
            if can_be_chosen || row.has_field {
                row.walk.name(depth, &name);
            }
        }
        row.end(depth, started)?;
        Ok(false)
    }
}
