//! Lists of callers, as tables and in JSON.

use crate::bounded::{Allowance, Bounded};
use crate::identity::{Category, Identity, IdentityError, MAX_IDENTITY};
use crate::number::{Number, NumberError};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Where an entry stands in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A line of a table, from 1.
    Line(u64),
    /// An entry of a JSON list, from 1.
    Entry(u64),
    /// In no list: the number that Apple looks up.
    Onboarding,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Entry(entry) => write!(f, "entry {entry}"),
            Self::Onboarding => f.write_str("the entry for onboarding"),
        }
    }
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The number is none.
    #[error("number {text:?}")]
    Number {
        /// What stands there.
        text: String,
        /// What is wrong with it.
        source: NumberError,
    },
    /// The number was there before.
    #[error("{number} is in {before} already; a number has one entry")]
    Twice {
        /// The number that both entries have.
        number: Number,
        /// Where the first of both entries stands.
        before: Place,
    },
    /// The entry neither blocks nor names the caller.
    #[error("{0} is neither blocked nor named; give a name, or block it")]
    Nothing(Number),
    /// An icon, a category or a time for a caller without a name.
    #[error("{0} has an icon, a category or a cache time, and no name")]
    NoName(Number),
    /// What stands in `block` is not a truth value.
    #[error("block is {0:?}; expected true or false")]
    Block(String),
    /// What stands in `category` is none.
    #[error("category is {0:?}; expected person, business, or nothing")]
    Category(String),
    /// What stands in `cacheMinutes` is no number of minutes.
    #[error("cacheMinutes is {0:?}; expected a whole number of minutes, from 0 to 4294967295")]
    Minutes(String),
    /// The icon cannot be read.
    #[error("the icon of {number}")]
    Icon {
        /// The number of the caller whose icon it is.
        number: Number,
        /// The file, and why it cannot be read or is too long.
        source: durable_file::FileError,
    },
    /// The identity cannot be used.
    #[error("the identity of {number}")]
    Identity {
        /// The number of the caller.
        number: Number,
        /// What devices could not show.
        source: IdentityError,
    },
}

/// A list cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// An entry is wrong.
    #[error("{place}")]
    Row {
        /// Where it stands.
        place: Place,
        /// What is wrong with it.
        source: RowError,
    },
    /// The first line of the table names a column that is unknown, or one twice.
    #[error(
        "column {0:?}; expected number, and any of name, block, category, icon and cacheMinutes, once each"
    )]
    Column(String),
    /// The first line of the table has no column `number`.
    #[error(
        "no column `number`; the first line of a table names the columns, such as number,name,block"
    )]
    NoNumberColumn,
    /// The table is broken.
    #[error("not a table of comma-separated values")]
    Csv(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The text is not a JSON list of callers.
    #[error(
        "not a JSON list of entries such as {{\"number\": \"+14085551212\", \"name\": \"Johnny Appleseed\"}}"
    )]
    Json(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The rows cannot be written.
    #[error("the rows cannot be written")]
    Write(#[from] io::Error),
}

/// Where icons are read from.
#[derive(Clone, Debug, Default)]
pub struct Icons {
    /// The folder that names in the column `icon` are relative to.
    base: Option<PathBuf>,
    /// A folder with a file `<number>.heic` for each number that has an icon.
    by_number: Option<PathBuf>,
}

impl Icons {
    /// No icons, and names of icons are relative to the current folder.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Names in the column `icon` are relative to this folder.
    #[must_use]
    pub fn relative_to(mut self, folder: impl Into<PathBuf>) -> Self {
        self.base = Some(folder.into());
        self
    }

    /// Callers without an icon in the list have `<number>.heic` of this folder, if it is there, such as
    /// `+14085551212.heic`.
    #[must_use]
    pub fn by_number(mut self, folder: impl Into<PathBuf>) -> Self {
        self.by_number = Some(folder.into());
        self
    }

    /// The content of the icon of a caller.
    fn read(
        &self,
        number: Number,
        named: &str,
    ) -> Result<Option<Vec<u8>>, durable_file::FileError> {
        let largest = MAX_IDENTITY as u64;
        if !named.is_empty() {
            let path = self.base.as_deref().unwrap_or(Path::new("")).join(named);
            return durable_file::read(&path, largest).map(Some);
        }
        let Some(folder) = &self.by_number else { return Ok(None) };
        match durable_file::read(&folder.join(format!("{number}.heic")), largest) {
            Err(error) if error.is_not_found() => Ok(None),
            read => read.map(Some),
        }
    }
}

/// One caller of a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Caller {
    pub(crate) number: Number,
    pub(crate) is_blocked: bool,
    pub(crate) identity: Option<Identity>,
}

impl Caller {
    fn new(
        number: Number,
        is_blocked: bool,
        shown: &Shown<'_>,
        icons: &Icons,
    ) -> Result<Self, RowError> {
        let icon = icons.read(number, shown.icon);
        let icon = icon.map_err(|source| RowError::Icon { number, source })?;
        if shown.name.is_empty() {
            if icon.is_some() || shown.category.is_some() || shown.cache_minutes.is_some() {
                return Err(RowError::NoName(number));
            }
            return match is_blocked {
                true => Ok(Self { number, is_blocked, identity: None }),
                false => Err(RowError::Nothing(number)),
            };
        }
        let identity = || {
            let mut identity = Identity::new(shown.name)?;
            if let Some(category) = shown.category {
                identity = identity.with_category(category)?;
            }
            if let Some(minutes) = shown.cache_minutes {
                identity = identity.with_cache_minutes(minutes)?;
            }
            if let Some(icon) = icon {
                identity = identity.with_icon(icon)?;
            }
            Ok(identity)
        };
        let identity = identity().map_err(|source| RowError::Identity { number, source })?;
        Ok(Self { number, is_blocked, identity: Some(identity) })
    }
}

/// What a list says of what is shown.
struct Shown<'r> {
    name: &'r str,
    icon: &'r str,
    category: Option<Category>,
    cache_minutes: Option<u32>,
}

fn number(text: &str) -> Result<Number, RowError> {
    Number::parse(text).map_err(|source| RowError::Number { text: text.to_owned(), source })
}

fn category(text: &str) -> Result<Option<Category>, RowError> {
    match text {
        "" => Ok(None),
        "person" => Ok(Some(Category::Person)),
        "business" => Ok(Some(Category::Business)),
        other => Err(RowError::Category(other.to_owned())),
    }
}

/// Columns of a table.
const COLUMNS: [&str; 6] = ["number", "name", "block", "category", "icon", "cacheMinutes"];

/// Reads a table whose first line names the columns, and passes each caller on.
pub(crate) fn read_csv(
    input: impl Read,
    icons: &Icons,
    mut visit: impl FnMut(Place, Caller) -> Result<(), ListError>,
) -> Result<(), ListError> {
    let allowance = Allowance::new();
    let input = Bounded { input, allowance: allowance.clone() };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        // The number of a line is counted when it ends.
        .from_reader(input.chain(&b"\n"[..]));
    let mut record = csv::StringRecord::new();
    let broken = |error: csv::Error| ListError::Csv(error.into());
    if !reader.read_record(&mut record).map_err(broken)? {
        return Err(ListError::NoNumberColumn);
    }
    let mut places = [None; COLUMNS.len()];
    for (index, name) in record.iter().enumerate() {
        let name = if index == 0 { name.trim_start_matches('\u{feff}') } else { name };
        let column = COLUMNS.iter().position(|known| *known == name);
        match column.map(|column| &mut places[column]) {
            Some(place @ None) => *place = Some(index),
            _ => return Err(ListError::Column(name.to_owned())),
        }
    }
    if places[0].is_none() {
        return Err(ListError::NoNumberColumn);
    }
    while reader.read_record(&mut record).map_err(broken)? {
        // The record's own position may lie before blank lines and comments; its end does not.
        let inside: usize = record.iter().map(|field| field.matches('\n').count()).sum();
        let place = Place::Line(reader.position().line().saturating_sub(1 + inside as u64));
        let caller = row(&record, &places, icons);
        allowance.renew();
        visit(place, caller.map_err(|source| ListError::Row { place, source })?)?;
    }
    Ok(())
}

fn row(
    record: &csv::StringRecord,
    places: &[Option<usize>; COLUMNS.len()],
    icons: &Icons,
) -> Result<Caller, RowError> {
    let field = |column: usize| places[column].and_then(|place| record.get(place));
    // A column that is not there says as much as an empty field.
    let text = |column: usize| field(column).unwrap_or("");
    let is_blocked = match field(2) {
        None => false,
        // Spreadsheets write them in upper case.
        Some(text) if text.eq_ignore_ascii_case("false") => false,
        Some(text) if text.eq_ignore_ascii_case("true") => true,
        Some(other) => return Err(RowError::Block(other.to_owned())),
    };
    let minutes = text(5);
    let cache_minutes = match minutes {
        "" => None,
        text => Some(text.parse().map_err(|_| RowError::Minutes(text.to_owned()))?),
    };
    let category = category(text(3))?;
    let shown = Shown { name: text(1), icon: text(4), category, cache_minutes };
    Caller::new(number(text(0))?, is_blocked, &shown, icons)
}

/// An entry of a JSON list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawCaller {
    number: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    block: bool,
    #[serde(default)]
    category: String,
    #[serde(default)]
    icon: String,
    #[serde(default)]
    cache_minutes: Option<u32>,
}

/// Passes each entry on while the text is read, so that a list need not fit into memory.
struct Entries<'v> {
    icons: &'v Icons,
    allowance: Allowance,
    visit: &'v mut dyn FnMut(Place, Caller) -> Result<(), ListError>,
    /// What ended the reading, other than the text itself.
    failure: &'v mut Option<ListError>,
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(raw) = entries.next_element::<RawCaller>()? {
            count += 1;
            self.allowance.renew();
            let place = Place::Entry(count);
            let caller = || {
                let category = category(&raw.category)?;
                let (name, icon) = (raw.name.trim(), raw.icon.as_str());
                let shown = Shown { name, icon, category, cache_minutes: raw.cache_minutes };
                Caller::new(number(&raw.number)?, raw.block, &shown, self.icons)
            };
            let passed = caller().map_err(|source| ListError::Row { place, source });
            if let Err(error) = passed.and_then(|caller| (self.visit)(place, caller)) {
                *self.failure = Some(error);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

/// Reads a JSON list of objects, and passes each caller on.
pub(crate) fn read_json(
    input: impl Read,
    icons: &Icons,
    mut visit: impl FnMut(Place, Caller) -> Result<(), ListError>,
) -> Result<(), ListError> {
    let mut failure = None;
    let allowance = Allowance::new();
    let input = Bounded { input, allowance: allowance.clone() };
    let mut deserializer = serde_json::Deserializer::from_reader(io::BufReader::new(input));
    let entries = Entries { icons, allowance, visit: &mut visit, failure: &mut failure };
    let read = entries.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (failure, read) {
        (Some(failure), _) => Err(failure),
        (None, read) => read.map_err(|error| ListError::Json(error.into())),
    }
}
