//! Values inside of rows, of any length. They hold no rows, so that none of their objects may have the field.

use super::{MAX_VALUE, Walk};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value that is passed over unless an object in it has the field.
pub(super) struct Skipped<'s, 'w> {
    pub(super) walk: &'s mut Walk<'w>,
}

pub(super) fn skip_items<'de, A: SeqAccess<'de>>(
    walk: &mut Walk<'_>,
    mut items: A,
) -> Result<bool, A::Error> {
    loop {
        walk.lines.begin_record(MAX_VALUE);
        if items.next_element_seed(Skipped { walk: &mut *walk })?.is_none() {
            return Ok(false);
        }
    }
}

pub(super) fn skip_fields<'de, A: MapAccess<'de>>(
    walk: &mut Walk<'_>,
    mut fields: A,
) -> Result<bool, A::Error> {
    loop {
        walk.lines.begin_record(MAX_VALUE);
        match fields.next_key_seed(IsField(walk.field))? {
            None => return Ok(false),
            Some(true) => return Err(walk.fail_at_several_depths()),
            Some(false) => {}
        }
        walk.lines.begin_record(MAX_VALUE);
        fields.next_value_seed(Skipped { walk: &mut *walk })?;
    }
}

/// Whether a name is that of the field.
struct IsField<'f>(Option<&'f str>);

impl<'de> DeserializeSeed<'de> for IsField<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsField<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(self.0.is_some_and(|field| field.eq_ignore_ascii_case(name)))
    }
}

impl<'de> DeserializeSeed<'de> for Skipped<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skipped<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<bool, A::Error> {
        skip_items(self.walk, items)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<bool, A::Error> {
        skip_fields(self.walk, fields)
    }
}
