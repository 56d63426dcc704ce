//! The rows of both data sets.

use crate::list::{self, Caller, Icons, ListError, Place, RowError};
use crate::number::Number;
use crate::{Identity, ONBOARDING_NAME, ONBOARDING_NUMBER, block_value};
use keyword_database::Writer;
use serde::Serialize;
use std::collections::HashMap;
use std::io::{Read, Write};

/// How many rows there are, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Counts {
    /// Numbers, which is the number of rows for blocking.
    pub numbers: u64,
    /// Numbers that are blocked.
    pub blocked: u64,
    /// Numbers with a name, which is the number of rows for identities.
    pub identities: u64,
    /// Numbers with an icon.
    pub icons: u64,
    /// Length of the longest identity, in bytes: that of every reply.
    pub longest_identity: usize,
}

/// Both data sets, written.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished<W> {
    /// The rows of the use case `<bundle id>.block`, in the binary form of a keyword database.
    pub block: W,
    /// The rows of the use case `<bundle id>.identity`.
    pub identity: W,
    /// How many there are.
    pub counts: Counts,
}

/// Writes the rows of both data sets. Every number has a row for blocking; those with a name have one with the identity.
///
/// A number has one entry in all lists together. Nothing that was written is of use after an error.
#[derive(Debug)]
pub struct CallerRows<W> {
    block: Writer<W>,
    identity: Writer<W>,
    seen: HashMap<Number, Place>,
    /// Whether a list had the entry that Apple looks up, as Apple expects it.
    has_onboarding_entry: bool,
    counts: Counts,
}

impl<W: Write> CallerRows<W> {
    /// Writes to two outputs.
    pub fn new(block: W, identity: W) -> Self {
        Self {
            block: Writer::binary(block),
            identity: Writer::binary(identity),
            seen: HashMap::new(),
            has_onboarding_entry: false,
            counts: Counts::default(),
        }
    }

    /// Adds the callers of a table of comma-separated values. Its first line names the columns: `number`, and any of
    /// `name`, `block` (`true` or `false`), `category` (`person` or `business`), `icon` (the name of a HEIC file) and
    /// `cacheMinutes`. Without a column `block`, nobody is blocked. Lines that begin with `#` are comments.
    ///
    /// # Errors
    /// [`ListError`] for the first entry that is wrong, with its line.
    pub fn add_csv(&mut self, input: impl Read, icons: &Icons) -> Result<(), ListError> {
        list::read_csv(input, icons, |place, caller| self.add(place, &caller))
    }

    /// Adds the callers of a JSON list of objects, with the fields that [`add_csv`](Self::add_csv) has as columns;
    /// `block` is a truth value and `cacheMinutes` a number.
    ///
    /// # Errors
    /// [`ListError`] for the first entry that is wrong, with its number.
    pub fn add_json(&mut self, input: impl Read, icons: &Icons) -> Result<(), ListError> {
        list::read_json(input, icons, |place, caller| self.add(place, &caller))
    }

    /// Adds the number that Apple looks up before it approves a distribution, unless a list had it with the name that Apple
    /// expects.
    ///
    /// # Errors
    /// [`ListError::Row`] if a list has the number with another name, or blocks it; [`ListError::Write`] if the rows cannot be
    /// written.
    #[expect(clippy::missing_panics_doc, reason = "the number and the name are valid")]
    pub fn add_onboarding_entry(&mut self) -> Result<(), ListError> {
        let number = Number::parse(ONBOARDING_NUMBER).expect("the number is valid");
        if self.has_onboarding_entry {
            return Ok(());
        }
        let identity = Identity::new(ONBOARDING_NAME).expect("the name is valid");
        let caller = Caller { number, is_blocked: false, identity: Some(identity) };
        self.add(Place::Onboarding, &caller)
    }

    fn add(&mut self, place: Place, caller: &Caller) -> Result<(), ListError> {
        let number = caller.number;
        if let Some(before) = self.seen.insert(number, place) {
            let source = RowError::Twice { number, before };
            return Err(ListError::Row { place, source });
        }
        let key = number.to_string();
        let has_name = |identity: &Identity| identity.name() == ONBOARDING_NAME;
        self.has_onboarding_entry |= key == ONBOARDING_NUMBER
            && !caller.is_blocked
            && caller.identity.as_ref().is_some_and(has_name);
        self.block.write(key.as_bytes(), &block_value(caller.is_blocked))?;
        self.counts.numbers += 1;
        self.counts.blocked += u64::from(caller.is_blocked);
        if let Some(identity) = &caller.identity {
            let value = identity.to_bytes();
            self.identity.write(key.as_bytes(), &value)?;
            self.counts.identities += 1;
            self.counts.icons += u64::from(identity.icon().is_some());
            self.counts.longest_identity = self.counts.longest_identity.max(value.len());
        }
        Ok(())
    }

    /// Flushes both outputs and gives them back.
    ///
    /// # Errors
    /// [`ListError::Write`] if they cannot be written.
    pub fn finish(self) -> Result<Finished<W>, ListError> {
        let (block, identity) = (self.block.finish()?, self.identity.finish()?);
        Ok(Finished { block, identity, counts: self.counts })
    }
}
