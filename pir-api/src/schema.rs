//! The schema of all messages, for what does not know the Rust type of a message at hand.

/// What one field of a message is.
pub(crate) struct Field {
    pub(crate) number: u32,
    /// Its name in the `.proto` file.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The field has any number of elements.
    pub(crate) repeated: bool,
    /// Of the fields with the same number here, a message has at most one. `None` if the field is in no `oneof`.
    pub(crate) one_of: Option<u32>,
}

/// What the value of a field is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A message, by its index in [`MESSAGES`].
    Message(usize),
    /// An enumeration, by its index in [`ENUMERATIONS`].
    Enumeration(usize),
    Bytes,
    Text,
    Bool,
    Uint32,
    Uint64,
}

/// The fields of a message, in ascending order of their numbers.
pub(crate) type Fields = &'static [Field];

mod generated {
    use super::{Field, Fields, Kind};

    include!("generated/schema.rs");
}

/// All messages by their full names in ascending order, and the enumerations: numbers with their names.
pub(crate) use generated::{ENUMERATIONS, MESSAGES};

/// The fields of the message with this full name.
pub(crate) fn fields_of(name: &str) -> Option<Fields> {
    let index = MESSAGES.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some(MESSAGES[index].1)
}

/// The field with this number.
pub(crate) fn field(fields: Fields, number: u32) -> Option<&'static Field> {
    fields.iter().find(|field| field.number == number)
}
