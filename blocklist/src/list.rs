//! Reading block lists of any format as a stream of entries.
//!
//! One reader per format turns lines into [`Event`]s. Every line is counted, and everything that might
//! be meant as an entry is an event. Input may be compressed or in an archive ([`Container`]), in UTF-8 or
//! UTF-16. The format is detected from the first 64 KiB unless the caller names it. Memory is bounded by the
//! longest permitted line and the window of the decompressor, whatever the input; the names of unbound
//! configuration are kept as well, because lines anywhere in it decide what they mean.
//!
//! ```
//! use blocklist::list::{self, Action, Event, Format, ReadOptions};
//!
//! let mut entries = Vec::new();
//! let summary = list::read(&b"! a list\n||ads.example^\n@@||good.example^\n"[..], &ReadOptions::default(), |event| {
//!     if let Event::Entry { line, entry } = event {
//!         entries.push((line, entry.action, entry.text.to_owned()));
//!     }
//! })?;
//! assert_eq!(summary.format, Format::Adblock);
//! assert_eq!(entries[0], (2, Action::Block, "ads.example".to_owned()));
//! assert_eq!(entries[1], (3, Action::Allow, "good.example".to_owned()));
//! # Ok::<(), list::ListError>(())
//! ```

pub(crate) mod adblock;
mod bind;
mod bounded;
mod braces;
mod container;
mod csv;
mod defang;
mod detect;
mod dnscrypt;
mod dnsmasq;
mod domain_hash;
mod entry;
mod error;
mod format;
mod hosts;
mod json;
mod lines;
mod options;
mod pdnsd;
mod quotes;
mod rows;
mod rpz;
mod section;
mod sinks;
mod table;
mod tabular;
mod tally;
#[cfg(test)]
mod tests;
mod text;
mod tpl;
mod txtpb;
mod unbound;
mod urls;

pub(crate) use adblock::RuleText;
pub use container::Container;
pub use detect::Certainty;
pub use entry::{Action, Entry, RuleOptions, Scope};
pub use error::ListError;
pub use format::{Column, Format, NoColumn, UnknownFormat};
pub use options::{ListOption, ReadOptions};
pub use rows::{InvalidRowFilter, RowFilter, RowsLeftOut};
pub(crate) use rpz::MAX_GENERATED_IN_BUILD;

use crate::key::Refusal;
use lines::{Line, Lines};
use std::io::{self, BufRead, BufReader, Cursor, Read};

/// The longest line, CSV field or keyword that can be an entry, in bytes. Longer lines and fields are
/// refused ([`Refusal::TooLong`]) without being stored; a longer keyword is an error.
pub const MAX_LINE: usize = 65_536;

/// Bytes at the beginning from which the format is detected.
const SAMPLE: usize = 65_536;

/// What may stand at the beginning of a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a reader found on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'l> {
    /// An entry, to make a key of.
    Entry {
        /// The line on which it begins, counted from 1.
        line: u64,
        /// What the line says is to be blocked or left alone.
        entry: Entry<'l>,
    },
    /// Something that cannot become a key, as its format alone shows.
    Refused {
        /// The line on which it begins, counted from 1.
        line: u64,
        /// Why it cannot become a key.
        refusal: Refusal,
        /// Its text; empty if it is not UTF-8 or too long.
        text: &'l str,
    },
}

/// Numbers of lines by what they hold. Each line counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LineCounts {
    /// Empty lines and lines of white space.
    pub blank: u64,
    /// Lines with nothing but a comment.
    pub comment: u64,
    /// Headers, directives of the format itself, and the further lines of a record of several lines.
    pub structure: u64,
    /// Lines with one or more entries, refused ones included.
    pub entry: u64,
    /// Lines with rows that the options leave out, and nothing else.
    pub filtered: u64,
}

impl LineCounts {
    /// The number of lines.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.blank + self.comment + self.structure + self.entry + self.filtered
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

/// What is known of a list once it has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The format in which it was read: the given one or the detected one.
    pub format: Format,
    /// How sure it is that this is the format.
    pub certainty: Certainty,
    /// Its lines by what they hold.
    pub lines: LineCounts,
    /// The filter of rows that left out all of them, if one did.
    pub left_out: Option<RowsLeftOut>,
    /// Whether the only row of a JSON document is one object outside of all arrays, whose field has one value. Servers send
    /// such objects as messages.
    pub is_one_object: bool,
    /// Whether it was taken out of an archive.
    pub is_in_archive: bool,
    /// The first line that begins a section, with its number, if the format has none: what the lines below mean is not known.
    pub section: Option<(u64, String)>,
    /// The names that directives of a response policy zone stood for (`$GENERATE`).
    pub generated: u64,
}

impl Summary {
    /// Of a page that is not read.
    pub(crate) fn of_page(options: &ReadOptions) -> Self {
        Self {
            format: options.format.clone().unwrap_or(Format::Urls),
            certainty: Certainty::Page,
            lines: LineCounts::default(),
            left_out: None,
            is_one_object: false,
            is_in_archive: false,
            section: None,
            generated: 0,
        }
    }
}

/// What one line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineKind {
    Blank,
    Comment,
    Structure,
    Entry,
}

/// Takes the entries of a line, and the reasons and texts of what cannot be one.
type Emit<'e> = dyn FnMut(Outcome<'_>) + 'e;

/// The same, each with the number of lines by which it began before the line that is read.
type EmitFrom<'e> = dyn FnMut(u64, Outcome<'_>) + 'e;

/// An entry, or the reason and the text of what cannot be one.
type Outcome<'l> = Result<Entry<'l>, (Refusal, &'l str)>;

/// A format that is read line by line.
trait LineFormat {
    /// Reads one line, given without its end.
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind;

    /// Takes note of a line that is too long to be read.
    fn skipped(&mut self) {}

    /// Whether each line is an entry by itself, so that it has no sections.
    fn is_of_names(&self) -> bool {
        false
    }

    /// Whether lines of Adblock syntax among its own mean what they mean there.
    fn takes_rules(&self) -> bool {
        self.is_of_names()
    }

    /// Says what the last lines still owe. It counts for the last line.
    fn end(&mut self, _emit: &mut Emit<'_>) {}

    /// Reads one line as [`line`](Self::line) does. Formats whose entries take several lines say where they began.
    fn line_from(&mut self, line: &str, emit: &mut EmitFrom<'_>) -> LineKind {
        self.line(line, &mut |outcome| emit(0, outcome))
    }

    /// Says what the last lines still owe as [`end`](Self::end) does, and where it began.
    fn end_from(&mut self, emit: &mut EmitFrom<'_>) {
        self.end(&mut |outcome| emit(0, outcome));
    }
}

/// Reads a whole list and calls `visit` for everything on its lines that is an entry or might be meant as
/// one, in order. Without a format in `options`, the format is detected.
///
/// # Errors
/// [`ListError::Io`] if the input fails, [`ListError::Binary`] if it is not text, [`ListError::WebPage`] and
/// [`ListError::Json`] if it is no list, and the other variants for containers that are not read, and for rows
/// that are malformed or not as the options say. Lines that cannot become keys are events, not errors. What
/// was visited before an error is not the whole list.
pub fn read(
    input: impl Read,
    options: &ReadOptions,
    mut visit: impl FnMut(Event<'_>),
) -> Result<Summary, ListError> {
    container::unpack(input, options, &mut |start, input| {
        read_text(start, input, options, &mut visit)
    })
}

/// The first bytes of the input, and the input with these bytes still in front.
fn peek(mut input: impl Read) -> io::Result<(Vec<u8>, impl Read)> {
    let mut start = Vec::new();
    input.by_ref().take(SAMPLE as u64).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(input)))
}

/// Reads a list that was taken out of its containers. `start` is its beginning.
fn read_text(
    start: Vec<u8>,
    input: Box<dyn Read + '_>,
    options: &ReadOptions,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<Summary, ListError> {
    let (mut start, mut input) = match text::utf16(&start) {
        Some(order) => boxed(peek(text::Utf16::new(input, order))?),
        None => (start, input),
    };
    if start.starts_with(BYTE_ORDER_MARK) {
        input.read_exact(&mut [0; BYTE_ORDER_MARK.len()])?;
        start.drain(..BYTE_ORDER_MARK.len());
    }
    if text::ends_lines_with_returns(&start, start.len() < SAMPLE - BYTE_ORDER_MARK.len()) {
        (start, input) = boxed(peek(text::Returns::new(input))?);
    }
    text::refuse_page(&start, options.format.as_ref())?;
    if detect::is_binary(&start) {
        return Err(ListError::Binary);
    }
    if json::looks_like(&start) && !matches!(options.format, Some(Format::Json { .. })) {
        return Err(ListError::Json { fields: json::fields(&start) });
    }
    let (format, certainty) = match &options.format {
        None | Some(Format::Adblock) if tpl::has_header(&start) => (Format::Tpl, Certainty::Header),
        Some(format) => (format.clone(), Certainty::Given),
        None if options.is_defanged => {
            let text = String::from_utf8_lossy(&start);
            let lines: Vec<_> = text.lines().map(defang::refang).collect();
            detect::format(lines.join("\n").as_bytes())?
        }
        None => detect::format(&start)?,
    };
    if format == Format::Tpl && !options.is_widening_rules {
        return Err(ListError::TrackingProtectionList);
    }
    let has_rows = matches!(format, Format::Csv { .. } | Format::Tsv { .. } | Format::Json { .. });
    if let Some(filter) = options.rows.first().filter(|_| !has_rows) {
        return Err(ListError::NoRows { format, filter: filter.clone() });
    }
    let input = BufReader::with_capacity(1 << 17, input);
    let mut is_one_object = false;
    let mut left_out = None;
    let mut of_rows = |(lines, rows): (LineCounts, Option<RowsLeftOut>)| {
        left_out = rows;
        lines
    };
    let mut section = None;
    let mut generated = 0;
    let mut each_line = |input, format: &mut dyn LineFormat, visit: &mut dyn FnMut(Event<'_>)| {
        each_line(input, format, options, &mut section, visit)
    };
    let lines = match &format {
        Format::Urls => each_line(input, &mut urls::Urls::new(options), visit)?,
        Format::Hosts => each_line(input, &mut hosts::Hosts::new(options), visit)?,
        Format::Adblock => each_line(input, &mut adblock::Adblock::new(options), visit)?,
        Format::Dnsmasq => each_line(input, &mut dnsmasq::Dnsmasq::new(options), visit)?,
        Format::Unbound => each_line(input, &mut unbound::Unbound::new(options), visit)?,
        Format::Bind => each_line(input, &mut bind::Bind::new(options), visit)?,
        Format::Pdnsd => each_line(input, &mut pdnsd::Pdnsd::new(options), visit)?,
        Format::Dnscrypt => each_line(input, &mut dnscrypt::Dnscrypt, visit)?,
        Format::Tpl => each_line(input, &mut tpl::Tpl, visit)?,
        Format::Rpz => {
            let mut zone = rpz::Rpz::new(options);
            let lines = each_line(input, &mut zone, visit)?;
            generated = zone.generated()?;
            lines
        }
        Format::Csv { column } => of_rows(csv::read(input, column, None, options, visit)?),
        Format::Tsv { column } => of_rows(csv::read(input, column, Some(b'\t'), options, visit)?),
        Format::Json { field } => {
            let document = json::read(input, &start, field.as_deref(), options, visit)?;
            is_one_object = document.is_one_object;
            of_rows((document.lines, document.left_out))
        }
        Format::Txtpb => txtpb::read(input, visit)?,
    };
    let is_in_archive = false;
    Ok(Summary {
        format,
        certainty,
        lines,
        left_out,
        is_one_object,
        is_in_archive,
        section,
        generated,
    })
}

fn boxed<'i>((start, input): (Vec<u8>, impl Read + 'i)) -> (Vec<u8>, Box<dyn Read + 'i>) {
    (start, Box::new(input))
}

fn each_line(
    input: impl BufRead,
    format: &mut dyn LineFormat,
    options: &ReadOptions,
    section: &mut Option<(u64, String)>,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<LineCounts, ListError> {
    let mut rules = adblock::Adblock::new(options);
    let mut counts = LineCounts::default();
    let mut lines = Lines::new(input);
    let mut last = 0;
    while let Some((number, line)) = lines.next_line()? {
        last = number;
        let mut emit = |before: u64, outcome: Outcome<'_>| visit(event(number - before, outcome));
        let kind = match line {
            Line::TooLong => {
                format.skipped();
                emit(0, Err((Refusal::TooLong, "")));
                LineKind::Entry
            }
            Line::Bytes(bytes) => match std::str::from_utf8(bytes) {
                // Lists with other ends of lines were joined to this one. What stands behind one is no part of the line.
                Ok(line) if memchr::memchr(b'\r', bytes).is_some() => {
                    format.skipped();
                    emit(0, Err((Refusal::ControlCharacter, line)));
                    LineKind::Entry
                }
                // Most lines of lists of names, whose first character is none of those that are looked for below.
                Ok(line) if line.starts_with(|first: char| first.is_ascii_alphanumeric()) => {
                    format.line_from(line, &mut emit)
                }
                Ok(line) => {
                    if format.is_of_names()
                        && let Some(header) = section::header(line)
                    {
                        emit(0, Err((Refusal::Directive, header)));
                        section.get_or_insert_with(|| (number, header.chars().take(100).collect()));
                        LineKind::Entry
                    } else if format.takes_rules() && is_adblock_rule(line) {
                        rules.line_from(line, &mut emit)
                    } else {
                        format.line_from(line, &mut emit)
                    }
                }
                // Comments in another encoding are no entries, and take nothing from those before them.
                Err(_) => {
                    format.line_from(&String::from_utf8_lossy(bytes), &mut |before, outcome| {
                        let (Ok(Entry { text, .. }) | Err((_, text))) = outcome;
                        emit(
                            before,
                            match text.contains(char::REPLACEMENT_CHARACTER) {
                                true => Err((Refusal::NotUtf8, "")),
                                false => outcome,
                            },
                        );
                    })
                }
            },
        };
        counts.add(kind);
    }
    format.end_from(&mut |before, outcome| visit(event(last - before, outcome)));
    Ok(counts)
}

/// Whether a line begins as a rule of Adblock syntax does and no name can.
fn is_adblock_rule(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("||") || line.starts_with("@@")
}

fn event(line: u64, outcome: Outcome<'_>) -> Event<'_> {
    match outcome {
        Ok(entry) => Event::Entry { line, entry },
        Err((refusal, text)) => Event::Refused { line, refusal, text },
    }
}
