//! Text in other encodings and with other line ends, as UTF-8 with `\n`.

use super::{Format, ListError};
use std::io::{self, Read};

/// Pairs of bytes that must look like UTF-16 if no byte-order mark says so.
const MIN_PAIRS: usize = 4;

/// The order of the two bytes of a unit of UTF-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// Whether a text is UTF-16, as its byte-order mark says, or the zero bytes of its ASCII characters do.
pub(super) fn utf16(start: &[u8]) -> Option<ByteOrder> {
    if start.starts_with(b"\xff\xfe") {
        return Some(ByteOrder::Little);
    }
    if start.starts_with(b"\xfe\xff") {
        return Some(ByteOrder::Big);
    }
    let (pairs, _) = start.as_chunks::<2>();
    let zeros = |index: usize| pairs.iter().filter(|pair| pair[index] == 0).count();
    // Nine of ten characters are below U+0100, and none is U+0000.
    let most = |count: usize| pairs.len() >= MIN_PAIRS && count * 10 >= pairs.len() * 9;
    match (zeros(0), zeros(1)) {
        (0, high) if most(high) => Some(ByteOrder::Little),
        (high, 0) if most(high) => Some(ByteOrder::Big),
        _ => None,
    }
}

/// Reads UTF-16 as UTF-8. What is no UTF-16 becomes what is no UTF-8, so that its line is refused.
pub(super) struct Utf16<R> {
    input: R,
    order: ByteOrder,
    /// Bytes of the input that are not decoded yet: fewer than four.
    rest: Vec<u8>,
    /// UTF-8 that is not read yet, from `given` on.
    ready: Vec<u8>,
    given: usize,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(input: R, order: ByteOrder) -> Self {
        Self { input, order, rest: Vec::new(), ready: Vec::new(), given: 0 }
    }

    fn unit(&self, at: usize) -> Option<u16> {
        let pair = [*self.rest.get(at)?, *self.rest.get(at + 1)?];
        Some(match self.order {
            ByteOrder::Little => u16::from_le_bytes(pair),
            ByteOrder::Big => u16::from_be_bytes(pair),
        })
    }

    /// Decodes `rest` but for a character that is not complete, unless it is the end.
    fn decode(&mut self, at_end: bool) {
        let mut at = 0;
        while let Some(unit) = self.unit(at) {
            let low = match unit {
                0xd800..0xdc00 => match self.unit(at + 2) {
                    None if !at_end => break,
                    low => low.filter(|low| (0xdc00..0xe000).contains(low)),
                },
                _ => None,
            };
            let units = [unit, low.unwrap_or_default()];
            let length = 1 + usize::from(low.is_some());
            for character in char::decode_utf16(units[..length].iter().copied()) {
                match character {
                    Ok(character) => {
                        let mut bytes = [0; 4];
                        self.ready.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
                    }
                    Err(_) => self.ready.push(0xff),
                }
            }
            at += 2 * length;
        }
        self.rest.drain(..at);
        if at_end && !self.rest.is_empty() {
            self.rest.clear();
            self.ready.push(0xff);
        }
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const BLOCK: u64 = 1 << 15;
        while self.given == self.ready.len() && !buffer.is_empty() {
            self.ready.clear();
            self.given = 0;
            let count = self.input.by_ref().take(BLOCK).read_to_end(&mut self.rest)?;
            self.decode((count as u64) < BLOCK);
            if count == 0 && self.ready.is_empty() {
                return Ok(0);
            }
        }
        let count = (&self.ready[self.given..]).read(buffer)?;
        self.given += count;
        Ok(count)
    }
}

/// Whether lines end in carriage returns alone. `complete` says that nothing follows the start.
pub(super) fn ends_lines_with_returns(start: &[u8], complete: bool) -> bool {
    // The last byte may be the first half of `\r\n`.
    let known = if complete { start } else { start.get(..start.len() - 1).unwrap_or_default() };
    memchr::memchr(b'\n', start).is_none() && memchr::memchr(b'\r', known).is_some()
}

/// Ends lines with `\n` that end in `\r`.
pub(super) struct Returns<R> {
    input: R,
    after_return: bool,
}

impl<R: Read> Returns<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, after_return: false }
    }
}

impl<R: Read> Read for Returns<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.input.read(buffer)?;
            let mut kept = 0;
            for at in 0..count {
                let byte = buffer[at];
                // The line has ended with the return.
                let second = byte == b'\n' && self.after_return;
                self.after_return = byte == b'\r';
                if !second {
                    buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
            }
            if kept > 0 || count == 0 {
                return Ok(kept);
            }
        }
    }
}

/// Fails for a page in place of a list: markup, whose first character is `<`, which begins no line of a list. A page may stand
/// behind headers and comments of a list, and in a list of lines anywhere.
pub(super) fn refuse_page(start: &[u8], format: Option<&Format>) -> Result<(), ListError> {
    // Values of these may have several lines.
    let has_values = matches!(
        format,
        Some(Format::Csv { .. } | Format::Tsv { .. } | Format::Json { .. } | Format::Txtpb)
    );
    let mut lines = start.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let mut is_first = true;
    let is_page = lines.any(|line| {
        if line.is_empty() {
            return false;
        }
        let is_page = if is_first { is_markup(line) } else { !has_values && begins_page(line) };
        is_first &= matches!(line[0], b'[' | b'!' | b'#' | b';');
        is_page
    });
    if is_page { Err(ListError::WebPage) } else { Ok(()) }
}

fn is_markup(line: &[u8]) -> bool {
    match line {
        [b'<', b'!' | b'?', ..] => true,
        [b'<', first, ..] => first.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Whether a line is the beginning of a page.
fn begins_page(line: &[u8]) -> bool {
    const BEGINNINGS: [&str; 5] = ["<!doctype", "<html", "<head", "<body", "<?xml"];
    line.starts_with(b"<")
        && BEGINNINGS.iter().any(|beginning| {
            line.get(..beginning.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{Format, ReadOptions, read, tests::collect};
    use proptest::prelude::*;

    fn encode(text: &str, order: ByteOrder) -> Vec<u8> {
        let bytes = |unit: u16| match order {
            ByteOrder::Little => unit.to_le_bytes(),
            ByteOrder::Big => unit.to_be_bytes(),
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn utf16_is_read_with_and_without_a_mark() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for mark in ["", "\u{feff}"] {
                let text =
                    encode(&format!("{mark}a.example\r\n\r\n# x\r\nbücher.example/𝄞\r\n"), order);
                let (events, summary) = collect(&text, None);
                assert_eq!(events, ["1 a.example", "4 bücher.example/𝄞"], "{order:?} {mark:?}");
                assert_eq!((summary.lines.total(), summary.lines.blank), (4, 1));
            }
        }
    }

    #[test]
    fn what_is_no_utf16_is_refused_by_line() {
        let mut text = encode("\u{feff}a.example\nb", ByteOrder::Little);
        text.extend(0xd800_u16.to_le_bytes());
        text.extend(encode(".example\nc.example\nd", ByteOrder::Little));
        text.push(b'.');
        let (events, _) = collect(&text, Some(&Format::Urls));
        assert_eq!(events, ["1 a.example", "2 -not-utf8", "3 c.example", "4 -not-utf8"]);
    }

    #[test]
    fn carriage_returns_alone_end_lines() {
        for (text, expected) in [
            (
                "a.example\rb.example\rc.example\r",
                vec!["1 a.example", "2 b.example", "3 c.example"],
            ),
            ("a.example\r\rb.example", vec!["1 a.example", "3 b.example"]),
            ("a.example\r", vec!["1 a.example"]),
        ] {
            assert_eq!(collect(text.as_bytes(), Some(&Format::Urls)).0, expected);
            assert_eq!(collect(text.as_bytes(), None).0, expected);
        }
        let csv = "id,url\r1,a.example\r2,b.example\r";
        let format = "csv=url".parse().unwrap();
        assert_eq!(collect(csv.as_bytes(), Some(&format)).0, ["2 a.example", "3 b.example"]);
    }

    #[test]
    fn a_return_before_the_first_line_feed_is_not_mistaken() {
        // The sample ends between the two bytes of the first line end.
        let text = format!("{}\r\nb.example\r\n", "a".repeat(crate::list::SAMPLE - 1));
        let (events, summary) = collect(text.as_bytes(), Some(&Format::Urls));
        assert_eq!(events[1..], ["2 b.example"]);
        assert_eq!(summary.lines.total(), 2);
        // Lines that end in returns, and one that ends in both.
        let mut out = String::new();
        Returns::new(&b"a\rb\r\nc\n"[..]).read_to_string(&mut out).unwrap();
        assert_eq!(out, "a\nb\nc\n");
    }

    #[test]
    fn a_page_is_no_list_in_any_format() {
        let error = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
        for page in [
            "<!DOCTYPE html>\n<html><body>\nhttp://cdn.example/x.css\n</body></html>\n",
            "\u{feff}  \r\n<!-- x -->\n<HTML>\n",
            "<center>503</center>\n",
            error,
        ] {
            for format in [None, Some("urls"), Some("hosts"), Some("csv=url"), Some("json=url")] {
                let format = format.map(|name| name.parse().unwrap());
                let options = ReadOptions::default().with_format(format);
                let outcome = read(page.as_bytes(), &options, |_| {});
                assert!(matches!(outcome, Err(ListError::WebPage)), "{page} {outcome:?}");
            }
        }
        for page in [
            "[Adblock Plus 2.0]\n<!DOCTYPE html>\n<html><head><title>503</title></head>\n<body>\nads.example\n</body></html>\n",
            "! Title: x\n! Expires: 1 day\n\n <center>503</center>\n",
            "# Title: x\r\n<html>\r\n",
            "; zone\n<?xml version=\"1.0\"?>\n",
            "a.example\nb.example\n<!doctype HTML>\n<title>504</title>\n",
        ] {
            for format in [None, Some("urls"), Some("hosts"), Some("adblock"), Some("rpz")] {
                let format = format.map(|name| name.parse().unwrap());
                let options = ReadOptions::default().with_format(format);
                let outcome = read(page.as_bytes(), &options, |_| {});
                assert!(matches!(outcome, Err(ListError::WebPage)), "{page} {outcome:?}");
            }
        }
        // Values of tables may have lines of markup.
        let table = "url,body\na.example,\"x\n<html>\n\"\n";
        let format: Format = "csv=url".parse().unwrap();
        assert_eq!(collect(table.as_bytes(), Some(&format)).0, ["2 a.example"]);
        let headed = "# url,body\n<html>\n";
        assert!(matches!(read(headed.as_bytes(), &format.into(), |_| {}), Err(ListError::WebPage)));
        assert_eq!(collect(b"a.example/<html>\n", Some(&Format::Urls)).0, ["1 a.example/<html>"]);
    }

    proptest! {
        #[test]
        fn utf16_is_decoded_as_the_standard_library_does(
            text in ".{0,200}",
            units in prop::collection::vec(any::<u16>(), 0..40),
            big in any::<bool>(),
        ) {
            let order = if big { ByteOrder::Big } else { ByteOrder::Little };
            let mut out = Vec::new();
            Utf16::new(&encode(&text, order)[..], order).read_to_end(&mut out).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), text);
            let bytes: Vec<u8> = units.iter().flat_map(|unit| match order {
                ByteOrder::Little => unit.to_le_bytes(),
                ByteOrder::Big => unit.to_be_bytes(),
            }).collect();
            let mut out = Vec::new();
            Utf16::new(&bytes[..], order).read_to_end(&mut out).unwrap();
            prop_assert_eq!(String::from_utf8(out).ok(), String::from_utf16(&units).ok());
        }
    }

    #[test]
    fn a_text_without_a_mark_needs_some_pairs_to_be_utf16() {
        for pairs in [MIN_PAIRS - 1, MIN_PAIRS, MIN_PAIRS + 1] {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let text = encode(&"a".repeat(pairs), order);
                assert_eq!(utf16(&text), (pairs >= MIN_PAIRS).then_some(order), "{pairs}");
            }
        }
    }
}
