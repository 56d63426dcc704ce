//! Why a list cannot be read at all.

use super::rpz::generate::MAX_RECORDS;
use super::rpz::{MAX_GENERATED, MAX_GENERATED_IN_BUILD};
use super::{Container, Format, RowFilter};
use std::io;

/// A list that cannot be read. Lines that cannot become keys are no errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The input failed or what it is compressed with is damaged; `source()` says how.
    #[error("reading or decompressing failed")]
    Io(#[from] io::Error),
    /// The list begins with something else than text.
    #[error(
        "this is not a text file; lists are text in UTF-8 or UTF-16, plain or in a gzip, bzip2, xz, Zstandard, tar or zip file"
    )]
    Binary,
    /// The list is a tracking protection list of Internet Explorer, and rules are not to be widened.
    #[error(
        "this is a tracking protection list of Internet Explorer, whose rules are for third-party requests only; a key covers every request, which has to be asked for by --widen-rules"
    )]
    TrackingProtectionList,
    /// The list begins with markup: a server has sent a page, such as an error message.
    #[error(
        "this is a web page, not a list; the address may be wrong or its server may have failed: get the list again"
    )]
    WebPage,
    /// The list begins with JSON, and its format is another one or none.
    #[error(
        "this is JSON{}; a feed is read with --format json=FIELD, or `json` if it is an array of strings; if it is a message of a server, get the list again",
        listed(.fields, "with the fields")
    )]
    #[non_exhaustive]
    Json {
        /// The names of the fields at its beginning, separated by commas; empty if there are none.
        fields: String,
    },
    /// There is more text than the options allow.
    #[error(
        "more than {max} bytes after decompression; a list that is meant to be so long needs a higher limit"
    )]
    #[non_exhaustive]
    UnpackedTooLong {
        /// The limit in bytes.
        max: u64,
    },
    /// The text is so much longer than what it was compressed to that it can hardly be a list.
    #[error(
        "each compressed byte gives more than {max} bytes, as in files that are made to fill a disk; give the list without compression"
    )]
    #[non_exhaustive]
    CompressedTooWell {
        /// The limit of bytes for each compressed one.
        max: u64,
    },
    /// Containers inside each other.
    #[error("more than {max} containers inside each other; take the list out of some")]
    #[non_exhaustive]
    TooManyContainers {
        /// The most containers that are opened, the outermost included.
        max: u8,
    },
    /// This build cannot read the container.
    #[error(
        "this is a {container} file, which needs the feature `containers`; decompress it, or use a build with the feature"
    )]
    #[non_exhaustive]
    ContainerNotBuilt {
        /// What the list is in.
        container: Container,
    },
    /// An archive has several files.
    #[error("the {container} archive has several files; name the one that is the list: {members}")]
    #[non_exhaustive]
    MemberNeeded {
        /// What the list is in.
        container: Container,
        /// The names of the files, separated by commas.
        members: String,
    },
    /// An archive has no file of the name.
    #[error("the {container} archive has no file `{member}`; it has: {members}")]
    #[non_exhaustive]
    MemberMissing {
        /// What the list is in.
        container: Container,
        /// The file that was asked for.
        member: String,
        /// The names of the files, separated by commas.
        members: String,
    },
    /// An archive has no file at all.
    #[error("the {container} archive has no file in it")]
    #[non_exhaustive]
    ArchiveEmpty {
        /// What the list is in.
        container: Container,
    },
    /// The file in an archive is stored in a way that is not read.
    #[error(
        "the {container} archive stores its file with holes, twice or with a size outside its header; take the list out of it"
    )]
    #[non_exhaustive]
    MemberUnreadable {
        /// What the list is in.
        container: Container,
    },
    /// No format is given and the list looks like CSV, which needs the name of a column.
    #[error(
        "this looks like a table; name the column that holds the URLs with --format csv=COLUMN or tsv=COLUMN{} (columns: {columns})",
        here(.options)
    )]
    #[non_exhaustive]
    CsvColumnNeeded {
        /// The columns of the header, separated by commas.
        columns: String,
        /// The options that read the columns which hold URLs or hosts; empty if none is known to.
        options: String,
    },
    /// The list looks like none of the formats, or like several.
    #[error(
        "the format is not clear: {seen}; name it with --format (urls, hosts, adblock, dnsmasq, unbound, bind, pdnsd, dnscrypt, rpz, tpl, csv=COLUMN, tsv=COLUMN, json=FIELD, json or txtpb)"
    )]
    #[non_exhaustive]
    Ambiguous {
        /// How many lines look like which format, and which options may help.
        seen: String,
    },
    /// The named column is not in the header.
    #[error(
        "there is no column `{column}`{}; a list without a header needs the number of the column, such as csv=2",
        listed(.columns, "among")
    )]
    #[non_exhaustive]
    CsvColumnMissing {
        /// The column that was asked for.
        column: String,
        /// The columns of the header, or the fields of the first row, separated by commas; empty if the list is.
        columns: String,
    },
    /// The header has the named column more than once.
    #[error(
        "the column `{column}` is there more than once (columns: {columns}); give its number, such as csv=2"
    )]
    #[non_exhaustive]
    CsvColumnTwice {
        /// The column that was asked for.
        column: String,
        /// The columns of the header, separated by commas.
        columns: String,
    },
    /// Rows are filtered by a field that no row of a JSON feed has.
    #[error("no row has a field `{field}`{}", listed(.fields, "; rows have"))]
    #[non_exhaustive]
    JsonFieldMissing {
        /// The field that was asked for.
        field: String,
        /// The fields of the first row, separated by commas.
        fields: String,
    },
    /// Rows are filtered by a field of an object that they lie in.
    #[error(
        "`{field}` is a field of an object around the rows, not of the rows, which have: {fields}; extract the rows with the field in them"
    )]
    #[non_exhaustive]
    JsonFieldOutside {
        /// The field that was asked for.
        field: String,
        /// The fields of rows, separated by commas.
        fields: String,
    },
    /// The named field is in objects at several depths, and only one can be meant.
    #[error(
        "line {line}: `{field}` is a field of objects at several depths; extract those that are meant"
    )]
    #[non_exhaustive]
    JsonFieldAmbiguous {
        /// The line, counted from 1.
        line: u64,
        /// The field that was asked for.
        field: String,
    },
    /// The JSON is malformed or ends too early.
    #[error("line {line}: malformed JSON: {mistake}")]
    #[non_exhaustive]
    JsonMalformed {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        mistake: String,
    },
    /// A string, a number or the fields of a row are too long.
    #[error("line {line}: a value or a row of more than {max} bytes")]
    #[non_exhaustive]
    JsonTooLong {
        /// The line, counted from 1.
        line: u64,
        /// The limit in bytes.
        max: usize,
    },
    /// Rows are to be filtered, and the format has none.
    #[error("the format {format} has no columns, so `{filter}` cannot choose rows")]
    #[non_exhaustive]
    NoRows {
        /// The format of the list, which has no columns.
        format: Format,
        /// The first filter.
        filter: RowFilter,
    },
    /// A `$GENERATE` stands for more names than it may.
    #[error(
        "line {line}: this `$GENERATE` stands for {names} names, and may stand for {max} here ({MAX_RECORDS} each, {MAX_GENERATED} in a file, {MAX_GENERATED_IN_BUILD} in a build); write the records that are needed, or one for all names below another, such as `*.bad.example`"
    )]
    #[non_exhaustive]
    TooManyGenerated {
        /// The line of the directive, counted from 1.
        line: u64,
        /// The names that it stands for.
        names: u64,
        /// The names that it may stand for.
        max: u64,
    },
    /// A CSV record is malformed.
    #[error("line {line}: malformed record")]
    #[non_exhaustive]
    CsvRecord {
        /// The line on which the record begins, counted from 1.
        line: u64,
    },
    /// A quotation mark opens a value of CSV, and none closes it before other rows begin or the list ends.
    #[error(
        "line {line}: a quotation mark opens a value and none closes it before other rows begin or the list ends; remove it, or write it twice inside of quotation marks"
    )]
    #[non_exhaustive]
    CsvQuoteOpen {
        /// The line on which the value begins, counted from 1.
        line: u64,
    },
    /// A CSV record is too long, usually because a quotation mark is missing.
    #[error("line {line}: a record of more than {max} bytes; is a quotation mark missing?")]
    #[non_exhaustive]
    CsvRecordTooLong {
        /// The line on which the record begins, counted from 1.
        line: u64,
        /// The limit in bytes.
        max: usize,
    },
    /// The text of a keyword database is malformed, or a row is too long.
    #[error(transparent)]
    Rows(keyword_database::ReadError),
}

impl ListError {
    /// Whether the input is a page or a message in place of a list: markup, or JSON without the field that is asked for.
    #[must_use]
    pub fn is_page(&self) -> bool {
        matches!(self, Self::WebPage | Self::Json { .. } | Self::JsonFieldMissing { .. })
    }
}

fn here(options: &str) -> String {
    if options.is_empty() { String::new() } else { format!(", here {options}") }
}

fn listed(names: &str, before: &str) -> String {
    match names {
        "" => String::new(),
        names if before.starts_with(';') => format!("{before}: {names}"),
        names => format!(" {before}: {names}"),
    }
}

impl From<keyword_database::ReadError> for ListError {
    fn from(error: keyword_database::ReadError) -> Self {
        match error {
            keyword_database::ReadError::Io(error) => Self::Io(error),
            error => Self::Rows(error),
        }
    }
}
