//! Objects that may be rows, and the fields of them that matter.

use super::skip::{skip_fields, skip_items};
use super::{Counted, MAX_BEFORE, MAX_VALUE, Walk};
use crate::list::ListError;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// An object, which is a row if it has the field.
pub(super) struct Row<'r, 'w> {
    pub(super) walk: &'r mut Walk<'w>,
    pub(super) has_field: bool,
    /// Values of the field so far.
    found: usize,
    /// What stands beside them and is no text.
    odd: usize,
    /// Values that are not visited before the filters are known to hold.
    values: Vec<(String, u64)>,
    /// The values for each filter.
    compared: Vec<Vec<String>>,
    held: usize,
    /// What the value that comes next is for.
    for_field: bool,
    for_filters: Vec<usize>,
}

impl<'r, 'w> Row<'r, 'w> {
    pub(super) fn new(walk: &'r mut Walk<'w>) -> Self {
        let compared = vec![Vec::new(); walk.filters.len()];
        Self {
            walk,
            has_field: false,
            found: 0,
            odd: 0,
            values: Vec::new(),
            compared,
            held: 0,
            for_field: false,
            for_filters: Vec::new(),
        }
    }

    pub(super) fn choose<E: Error>(&mut self, name: &str, depth: usize) -> Result<(), E> {
        let walk = &mut *self.walk;
        self.for_field = walk.field.is_some_and(|field| field.eq_ignore_ascii_case(name));
        self.for_filters.clear();
        let matches = walk.filters.iter().enumerate();
        self.for_filters.extend(
            matches.filter(|(_, filter)| filter.name.eq_ignore_ascii_case(name)).map(|(n, _)| n),
        );
        if self.for_field {
            self.has_field = true;
            walk.found(depth)?;
            walk.rows.has_array |= walk.arrays > 0;
        }
        Ok(())
    }

    pub(super) fn is_chosen(&self) -> bool {
        self.for_field || !self.for_filters.is_empty()
    }

    /// Takes note of a value of the field that can be no entry.
    fn note_odd(&mut self) {
        self.odd += usize::from(self.for_field);
    }

    /// Takes a scalar of a chosen field.
    fn take<E: Error>(&mut self, text: &str, is_string: bool) -> Result<(), E> {
        for &number in &self.for_filters {
            self.held += text.len();
            self.compared[number].push(text.to_owned());
        }
        if self.for_field && is_string && !text.trim().is_empty() {
            let place = self.walk.place();
            self.found += 1;
            if self.walk.filters.is_empty() {
                self.walk.take(text, place);
            } else {
                self.held += text.len();
                self.values.push((text.to_owned(), place));
            }
        }
        if !is_string && !text.is_empty() {
            self.note_odd();
        }
        if self.held > MAX_VALUE {
            let line = self.walk.lines.line();
            return Err(self.walk.fail(ListError::JsonTooLong { line, max: MAX_VALUE }));
        }
        Ok(())
    }

    pub(super) fn end<E: Error>(self, depth: usize, started: u64) -> Result<(), E> {
        let Self { walk, has_field, found, odd, values, compared, .. } = self;
        if !has_field && walk.row_depth != Some(depth) {
            if walk.row_depth.is_none()
                && let Some(field) = walk.field
            {
                if walk.before.len() == MAX_BEFORE {
                    let field = field.to_owned();
                    let fields = walk.names_of(|_| true);
                    return Err(walk.fail(ListError::JsonFieldMissing { field, fields }));
                }
                walk.before.push((depth, started));
            }
            return Ok(());
        }
        walk.rows.count += 1;
        for (number, values) in compared.iter().enumerate() {
            walk.filters[number].found |= !values.is_empty();
        }
        if !walk.choice.takes(|filter| compared[filter].iter().map(String::as_bytes)) {
            walk.count(Counted::Filtered);
        } else if found == 0 {
            walk.miss(if walk.records.is_some() { walk.place() } else { started });
        } else {
            for (text, place) in values {
                walk.take(&text, place);
            }
            for _ in 0..odd {
                walk.miss(if walk.records.is_some() { walk.place() } else { started });
            }
        }
        walk.end_row();
        Ok(())
    }
}

/// The value of a chosen field: a scalar, or an array of them.
pub(super) struct Chosen<'c, 'r, 'w> {
    pub(super) row: &'c mut Row<'r, 'w>,
    pub(super) inside_array: bool,
}

impl<'de> DeserializeSeed<'de> for Chosen<'_, '_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Chosen<'_, '_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        self.row.take(text, true).map(|()| true)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        self.row.take(if value { "true" } else { "false" }, false).map(|()| true)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.row.take(&value.to_string(), false).map(|()| true)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.row.take(&value.to_string(), false).map(|()| true)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        self.row.take(&value.to_string(), false).map(|()| true)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        self.row.take("", false).map(|()| true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let Self { row, inside_array } = self;
        row.walk.rows.has_array |= row.for_field;
        if inside_array {
            row.note_odd();
            return skip_items(row.walk, items);
        }
        loop {
            row.walk.lines.begin_record(MAX_VALUE);
            if items.next_element_seed(Chosen { row: &mut *row, inside_array: true })?.is_none() {
                return Ok(false);
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<bool, A::Error> {
        self.row.note_odd();
        skip_fields(self.row.walk, fields)
    }
}
