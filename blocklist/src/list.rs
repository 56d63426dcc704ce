//! Reading block lists, whatever their format, as a stream of entries.
//!
//! One reader per format turns lines into [`Event`]s; nothing is dropped without one. Input may be
//! gzip-compressed, and its format is told from the content unless the caller names it. Memory is
//! bounded by the longest permitted line, whatever the input.
//!
//! ```
//! use blocklist::list::{self, Event, Format};
//!
//! let mut entries = Vec::new();
//! let summary = list::read(&b"! a list\n||ads.example^\n@@||good.example^\n"[..], None, |event| {
//!     if let Event::Entry { line, entry } = event {
//!         entries.push((line, entry.text.to_owned()));
//!     }
//! })?;
//! assert_eq!(summary.format, Format::Adblock);
//! assert_eq!(entries, [(2, "ads.example".to_owned())]);
//! # Ok::<(), list::ListError>(())
//! ```

mod adblock;
mod csv;
mod detect;
mod dnsmasq;
mod hosts;
mod lines;
mod rpz;
pub mod txtpb;
mod urls;

use crate::key::{EntryKind, Refusal, Remarks};
use flate2::bufread::MultiGzDecoder;
use lines::{Line, Lines};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::str::FromStr;

/// The longest line that can be an entry, in bytes. Longer ones are refused, not stored.
pub const MAX_LINE: usize = 65_536;

/// Bytes of the beginning that decide on the format.
const SAMPLE: usize = 65_536;

/// The format of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One URL or host a line.
    Urls,
    /// A hosts file: an address, then names that resolve to it.
    Hosts,
    /// Adblock syntax, of which only network rules on a host can become keys.
    Adblock,
    /// dnsmasq configuration: `address=/host/`, `server=/host/`, `local=/host/`.
    Dnsmasq,
    /// A response policy zone.
    Rpz,
    /// Comma-separated values with a header row; the named column holds URLs or hosts.
    Csv {
        /// Name of the column, as in the header.
        column: String,
    },
    /// The text form of a keyword database: `rows: [{keyword: "…" value: "…"}]`.
    Txtpb,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Urls => "urls",
            Self::Hosts => "hosts",
            Self::Adblock => "adblock",
            Self::Dnsmasq => "dnsmasq",
            Self::Rpz => "rpz",
            Self::Csv { column } => return write!(f, "csv={column}"),
            Self::Txtpb => "txtpb",
        })
    }
}

/// A format name that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no list format is called `{0}`; there are urls, hosts, adblock, dnsmasq, rpz, csv=COLUMN and txtpb"
)]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Ok(match name {
            "urls" => Self::Urls,
            "hosts" => Self::Hosts,
            "adblock" => Self::Adblock,
            "dnsmasq" => Self::Dnsmasq,
            "rpz" => Self::Rpz,
            "txtpb" => Self::Txtpb,
            _ => match name.strip_prefix("csv=") {
                Some(column) if !column.is_empty() => Self::Csv { column: column.to_owned() },
                _ => return Err(UnknownFormat(name.to_owned())),
            },
        })
    }
}

/// Why a list cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// Reading or decompressing failed.
    #[error("cannot read this list")]
    Io(#[from] io::Error),
    /// The beginning is no text.
    #[error("this is not a text file; lists are UTF-8 text, plain or gzip-compressed")]
    Binary,
    /// The beginning looks like CSV, and no column is named.
    #[error(
        "this looks like CSV; name the column that holds the URLs with --format csv=COLUMN (columns: {columns})"
    )]
    CsvColumnNeeded {
        /// The columns of the header, comma-separated.
        columns: String,
    },
    /// The named column is not in the header.
    #[error("no column is called `{column}`; the header has: {columns}")]
    CsvColumnMissing {
        /// The name asked for.
        column: String,
        /// The columns of the header, comma-separated.
        columns: String,
    },
    /// A CSV record is malformed or too large.
    #[error("line {line}: {what}")]
    Csv {
        /// Line of the record.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The text-format database is malformed.
    #[error("line {line}: {what}")]
    Txtpb {
        /// Line of the mistake.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// An entry as a list gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'l> {
    /// Its text, without what belongs to the format.
    pub text: &'l str,
    /// What it may be.
    pub kind: EntryKind,
    /// What the format already says of it.
    pub remarks: Remarks,
}

impl<'l> Entry<'l> {
    fn new(text: &'l str, kind: EntryKind) -> Self {
        Self { text, kind, remarks: Remarks::default() }
    }
}

/// What a reader reports, line numbers starting at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'l> {
    /// Something to make a key of.
    Entry {
        /// Its line.
        line: u64,
        /// The entry.
        entry: Entry<'l>,
    },
    /// Something that the format alone says cannot become a key.
    Refused {
        /// Its line.
        line: u64,
        /// Why.
        refusal: Refusal,
        /// Its text, as far as it is UTF-8; empty if it is not.
        text: &'l str,
    },
}

/// What the lines of a list were. Their sum is the number of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LineCounts {
    /// Empty lines.
    pub blank: u64,
    /// Comments.
    pub comment: u64,
    /// Headers, directives of the format itself and lines inside a longer record.
    pub structure: u64,
    /// Lines with one or more entries, refused ones included.
    pub entry: u64,
}

impl LineCounts {
    /// All lines.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.blank + self.comment + self.structure + self.entry
    }

    fn add(&mut self, kind: LineKind) {
        *match kind {
            LineKind::Blank => &mut self.blank,
            LineKind::Comment => &mut self.comment,
            LineKind::Structure => &mut self.structure,
            LineKind::Entry => &mut self.entry,
        } += 1;
    }
}

/// What a list was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The format it was read in.
    pub format: Format,
    /// Its lines.
    pub lines: LineCounts,
}

/// What one line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineKind {
    Blank,
    Comment,
    Structure,
    Entry,
}

/// What a line holds: entries, or reasons why there is none.
type Emit<'e> = dyn FnMut(Result<Entry<'_>, (Refusal, &str)>) + 'e;

/// A format in which each line stands for itself.
trait LineFormat {
    /// Takes one line, without its end.
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind;
}

/// Reads a whole list, in the given format or the one that its beginning suggests.
///
/// # Errors
/// [`ListError`]. Lines that cannot become keys are events, not errors.
pub fn read(
    input: impl Read,
    format: Option<&Format>,
    mut visit: impl FnMut(Event<'_>),
) -> Result<Summary, ListError> {
    let (start, input) = peek(input)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        let inflated = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, input));
        let (start, input) = peek(inflated)?;
        return read_plain(&start, BufReader::with_capacity(1 << 17, input), format, &mut visit);
    }
    read_plain(&start, BufReader::with_capacity(1 << 17, input), format, &mut visit)
}

/// The first bytes of the input, and the input with these bytes still in front.
fn peek(mut input: impl Read) -> io::Result<(Vec<u8>, impl Read)> {
    let mut start = Vec::new();
    input.by_ref().take(SAMPLE as u64).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(input)))
}

fn read_plain(
    start: &[u8],
    mut input: impl BufRead,
    format: Option<&Format>,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<Summary, ListError> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let start = match start.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => {
            input.consume_exact(BYTE_ORDER_MARK.len())?;
            rest
        }
        None => start,
    };
    if detect::is_binary(start) {
        return Err(ListError::Binary);
    }
    let format = match format {
        Some(format) => format.clone(),
        None => detect::format(start)?,
    };
    let lines = match &format {
        Format::Urls => each_line(input, &mut urls::Urls, visit)?,
        Format::Hosts => each_line(input, &mut hosts::Hosts, visit)?,
        Format::Adblock => each_line(input, &mut adblock::Adblock, visit)?,
        Format::Dnsmasq => each_line(input, &mut dnsmasq::Dnsmasq, visit)?,
        Format::Rpz => each_line(input, &mut rpz::Rpz::default(), visit)?,
        Format::Csv { column } => csv::read(input, column, visit)?,
        Format::Txtpb => txtpb::read(input, visit)?,
    };
    Ok(Summary { format, lines })
}

/// Skipping over bytes that were already looked at.
trait ConsumeExact: BufRead {
    fn consume_exact(&mut self, mut count: usize) -> io::Result<()> {
        while count > 0 {
            let ready = self.fill_buf()?.len().min(count);
            if ready == 0 {
                break;
            }
            self.consume(ready);
            count -= ready;
        }
        Ok(())
    }
}

impl<R: BufRead> ConsumeExact for R {}

fn each_line(
    input: impl BufRead,
    format: &mut dyn LineFormat,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<LineCounts, ListError> {
    let mut counts = LineCounts::default();
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.next_line()? {
        let mut emit = |outcome: Result<Entry<'_>, (Refusal, &str)>| {
            visit(match outcome {
                Ok(entry) => Event::Entry { line: number, entry },
                Err((refusal, text)) => Event::Refused { line: number, refusal, text },
            });
        };
        let kind = match line {
            Line::TooLong => {
                emit(Err((Refusal::TooLong, "")));
                LineKind::Entry
            }
            Line::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(line) => format.line(line, &mut emit),
                // Comments in an old encoding do no harm.
                Err(_) => match format.line(&String::from_utf8_lossy(bytes), &mut |_| {}) {
                    LineKind::Comment => LineKind::Comment,
                    _ => {
                        emit(Err((Refusal::NotUtf8, "")));
                        LineKind::Entry
                    }
                },
            },
        };
        counts.add(kind);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    pub(super) fn collect(text: &[u8], format: Option<&Format>) -> (Vec<String>, Summary) {
        let mut events = Vec::new();
        let summary = read(text, format, |event| {
            events.push(match event {
                Event::Entry { line, entry } => {
                    let remarks: String = entry.remarks.iter().map(|r| format!(" {r}")).collect();
                    format!("{line} {}{remarks}", entry.text)
                }
                Event::Refused { line, refusal, .. } => format!("{line} -{refusal}"),
            });
        })
        .unwrap();
        (events, summary)
    }

    pub(super) fn events(text: &str, format: Format) -> Vec<String> {
        let (events, summary) = collect(text.as_bytes(), Some(&format));
        assert_eq!(summary.lines.total(), text.lines().count() as u64);
        events
    }

    #[test]
    fn gzip_and_byte_order_mark_are_seen_through() {
        let text = b"\xef\xbb\xbfexample.com\n\nexample.org/a\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        let gzip = gzip.finish().unwrap();
        for input in [&text[..], &gzip] {
            let (events, summary) = collect(input, None);
            assert_eq!(events, ["1 example.com", "3 example.org/a"]);
            assert_eq!(summary.lines, LineCounts { blank: 1, entry: 2, ..LineCounts::default() });
        }
        assert!(matches!(read(&gzip[..gzip.len() - 5], None, |_| {}), Err(ListError::Io(_))));
    }

    #[test]
    fn a_line_that_is_too_long_or_not_utf8_is_an_event() {
        let text = [
            b"a.example\n".to_vec(),
            vec![b'a'; 1 << 20],
            b"\nb\xff.example\n# \xe9\nc.example".to_vec(),
        ]
        .concat();
        let (events, summary) = collect(&text, None);
        assert_eq!(events, ["1 a.example", "2 -too-long", "3 -not-utf8", "5 c.example"]);
        assert_eq!((summary.lines.total(), summary.lines.comment), (5, 1));
    }

    #[test]
    fn binary_input_is_refused() {
        for input in [
            &b"\x7fELF\x02\x01\x01\0\0\0"[..],
            b"\xff\xfee\0x\0",
            b"\x89PNG\r\n\x1a\n\x01\x02\x03\x04\x05\x06",
        ] {
            assert!(matches!(read(input, None, |_| {}), Err(ListError::Binary)), "{input:?}");
            assert!(matches!(read(input, Some(&Format::Urls), |_| {}), Err(ListError::Binary)));
        }
    }

    fn formats() -> impl Strategy<Value = Option<Format>> {
        let all = ["urls", "hosts", "adblock", "dnsmasq", "rpz", "csv=url", "txtpb"];
        let all: Vec<_> =
            all.iter().map(|name| Some(name.parse().unwrap())).chain([None]).collect();
        prop::sample::select(all)
    }

    proptest! {
        #[test]
        fn no_input_makes_a_reader_panic(
            input in prop::collection::vec(any::<u8>(), 0..200),
            text in "(url\n)?([ -~]{0,20}\n){0,6}",
            format in formats(),
        ) {
            let _ = read(&input[..], format.as_ref(), |_| {});
            if let Ok(summary) = read(text.as_bytes(), format.as_ref(), |_| {}) {
                prop_assert_eq!(summary.lines.total(), text.lines().count() as u64, "{:?}", summary.format);
            }
        }
    }

    #[test]
    fn format_names_are_read_back() {
        for name in ["urls", "hosts", "adblock", "dnsmasq", "rpz", "txtpb", "csv=my column"] {
            assert_eq!(name.parse::<Format>().unwrap().to_string(), name);
        }
        assert!("csv".parse::<Format>().is_err() && "csv=".parse::<Format>().is_err());
    }
}
