//! Rows of fields: comma-separated values and the like.

use super::quotes::Quotes;
use super::rows::{RowChoice, RowsLeftOut, missing, visit_value};
use super::table::{Table, beginning};
use super::tally::{LineTally, Metered};
use super::{Column, Event, LineCounts, ListError, MAX_LINE, ReadOptions};
use crate::key::Refusal;
use ::csv::{ByteRecord, ReaderBuilder, Terminator};
use std::io::{self, Read};
use std::rc::Rc;

/// The longest record in bytes, which leaves room for long columns next to the URL. It is checked per block
/// that is read, so a record may be longer by up to one block.
const MAX_RECORD: usize = 16 * MAX_LINE;

pub(super) fn read(
    mut input: impl Read,
    column: &Column,
    separator: Option<u8>,
    options: &ReadOptions,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<(LineCounts, Option<RowsLeftOut>), ListError> {
    let mut start = beginning(&mut input)?;
    let separator = separator.or(named_separator(&mut start));
    let table = Table::of(&start, column, separator, &options.rows)?;
    let lines = Rc::new(LineTally::default());
    let source = Metered { input: start.chain(input), lines: Rc::clone(&lines) };
    let source = Quotes::new(LastLine::new(source), table.separator, table.spaced);
    let marks = source.marks();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        // By default a carriage return alone ends a record as well, which no line counter knows.
        .terminator(Terminator::Any(b'\n'))
        .delimiter(table.separator)
        .comment(Some(b'#'))
        .buffer_capacity(1 << 16)
        .from_reader(source);
    let mut record = ByteRecord::new();
    let mut header_comes = table.header_row;
    let mut counts = LineCounts::default();
    let mut choice = RowChoice::new(options);
    loop {
        lines.begin_record(MAX_RECORD);
        let line = reader.position().line();
        let more = reader.read_byte_record(&mut record).map_err(|error| broken(error, line))?;
        // Set at the end of the list.
        if let Some(line) = marks.open() {
            return Err(ListError::CsvQuoteOpen { line });
        }
        if !more {
            break;
        }
        // A line with nothing but a carriage return.
        if record.len() == 1 && record[0].trim_ascii().is_empty() {
            continue;
        }
        // The record's own position may lie before blank lines and comments; its end does not.
        let inside = memchr::memchr_iter(b'\n', record.as_slice()).count() as u64;
        let line = reader.position().line().saturating_sub(1 + inside);
        let mut has_text_behind = false;
        while let Some(fault) = marks.fault_up_to(line + inside) {
            // A mark that was not closed takes lines in up to the next one.
            if fault.opened < fault.line {
                return Err(ListError::CsvQuoteOpen { line: fault.opened });
            }
            has_text_behind = true;
        }
        if inside > 0 && table.has_rows_inside(&record) {
            return Err(ListError::CsvQuoteOpen { line });
        }
        if std::mem::take(&mut header_comes) {
            counts.structure += 1;
            continue;
        }
        // What is wrong with one value makes the others doubtful.
        let refusal = if has_text_behind {
            Some(Refusal::TextBehindQuote)
        } else if record.iter().skip(table.width).any(|field| !field.trim_ascii().is_empty()) {
            Some(Refusal::FieldCount)
        } else if record.iter().any(|field| field.trim_ascii().len() > MAX_LINE) {
            Some(Refusal::TooLong)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            counts.entry += 1;
            visit(Event::Refused { line, refusal, text: "" });
            continue;
        }
        if !choice.takes(|filter| record.get(table.filters[filter])) {
            counts.filtered += 1;
            continue;
        }
        counts.entry += 1;
        match record.get(table.column).map(std::str::from_utf8) {
            Some(Ok(text)) => visit_value(text, line, options, visit),
            Some(Err(_)) => visit(Event::Refused { line, refusal: Refusal::NotUtf8, text: "" }),
            None => visit(missing(line)),
        }
    }
    // The reader passes over blank lines and comments, and a record may take several lines.
    let total = lines.total();
    counts.comment = lines.comments().min(total.saturating_sub(counts.total()));
    counts.blank = lines.blank().min(total.saturating_sub(counts.total()));
    counts.structure += total.saturating_sub(counts.total());
    let left_out = choice.left_out(&counts);
    Ok((counts, left_out))
}

/// The separator that spreadsheets name in a line before the table, `sep=;`. The line becomes a comment.
fn named_separator(start: &mut [u8]) -> Option<u8> {
    let end = memchr::memchr(b'\n', start)?;
    let line = start[..end].strip_suffix(b"\r").unwrap_or(&start[..end]);
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (name, separator) = line.split_at_checked(4)?;
    let [separator @ (b',' | b';' | b'\t' | b'|')] = *separator else { return None };
    if !name.eq_ignore_ascii_case(b"sep=") {
        return None;
    }
    start[0] = b'#';
    Some(separator)
}

fn broken(error: ::csv::Error, line: u64) -> ListError {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            ListError::CsvRecordTooLong { line, max: MAX_RECORD }
        }
        ::csv::ErrorKind::Io(error) => ListError::Io(error),
        _ => ListError::CsvRecord { line },
    }
}

/// Ends the last line.
struct LastLine<R> {
    input: R,
    at_line_start: bool,
}

impl<R: Read> LastLine<R> {
    fn new(input: R) -> Self {
        Self { input, at_line_start: true }
    }
}

impl<R: Read> Read for LastLine<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        if let Some(&last) = buffer[..count].last() {
            self.at_line_start = last == b'\n';
        } else if let Some(first) = buffer.first_mut().filter(|_| !self.at_line_start) {
            *first = b'\n';
            self.at_line_start = true;
            return Ok(1);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, ListError, ReadOptions, read, tests::collect};
    use super::MAX_RECORD;
    use crate::key::Refusal;
    use crate::list::Event;
    use proptest::prelude::*;

    fn url_column() -> Format {
        "csv=url".parse().unwrap()
    }

    fn rows(text: &str, format: &str, filters: &[&str]) -> Vec<String> {
        let filters = filters.iter().map(|text| text.parse().unwrap()).collect();
        let options = ReadOptions::from(format.parse::<Format>().unwrap()).with_rows(filters);
        let mut rows = Vec::new();
        let summary = read(text.as_bytes(), &options, |event| {
            rows.push(match event {
                Event::Entry { line, entry } => format!("{line} {}", entry.text),
                Event::Refused { line, refusal, .. } => format!("{line} -{refusal}"),
            });
        })
        .unwrap();
        assert_eq!(summary.lines.total(), text.lines().count() as u64);
        rows
    }

    fn mistake(text: &str, format: &str, filters: &[&str]) -> String {
        let filters = filters.iter().map(|text| text.parse().unwrap()).collect();
        let options = ReadOptions::from(format.parse::<Format>().unwrap()).with_rows(filters);
        read(text.as_bytes(), &options, |_| {}).unwrap_err().to_string()
    }

    #[test]
    fn the_named_column_is_read() {
        let text = "# made today\nid, URL ,note\n1,https://example.com/a,\"two\nlines, one note\"\n\n2,\"b.example\",x\n3";
        let (events, summary) = collect(text.as_bytes(), Some(&url_column()));
        assert_eq!(events, ["3 https://example.com/a", "6 b.example", "7 -missing-column"]);
        let lines = summary.lines;
        assert_eq!(
            (lines.total(), lines.entry, lines.comment, lines.blank, lines.structure),
            (7, 3, 1, 1, 2)
        );
    }

    #[test]
    fn carriage_returns_end_no_line() {
        let text = "id,url\r\n1,\"a.example\"\r\n\r\n2,b\r.example\r\n";
        let (events, summary) = collect(text.as_bytes(), Some(&url_column()));
        assert_eq!(events, ["2 a.example", "4 b\r.example"]);
        assert_eq!((summary.lines.total(), summary.lines.entry, summary.lines.blank), (4, 2, 1));
    }

    #[test]
    fn mistakes_are_explained() {
        let message =
            |text: &[u8]| read(text, &url_column().into(), |_| {}).unwrap_err().to_string();
        assert!(message(b"id,link\n1,x\n").contains("column `url` among: id, link"));
        assert!(message(b"").contains("url"));
        let endless = [b"url\n\"".to_vec(), vec![b'a'; 4 << 20]].concat();
        assert!(message(&endless).contains("quotation mark"));
        assert!(matches!(
            read(&b"id,url\n1,http://a.example\n"[..], &ReadOptions::default(), |_| {}),
            Err(ListError::CsvColumnNeeded { .. })
        ));
        let long = format!("url\n{}\n", "a".repeat(70_000));
        let mut refused = Vec::new();
        read(long.as_bytes(), &url_column().into(), |event| {
            if let Event::Refused { refusal, .. } = event {
                refused.push(refusal);
            }
        })
        .unwrap();
        assert_eq!(refused, [Refusal::TooLong]);
    }

    #[test]
    fn the_header_may_be_a_comment() {
        let text = "################\r\n# Dump of 2026-01-01, all #\r\n#\r\n# id,dateadded,url,url_status\r\n\
                    \"1\",\"2026-01-01\",\"http://192.0.2.10/b,in.sh\",\"online\"\r\n\
                    \"2\",\"2026-01-01\",\"https://bad.example/b.exe\",\"offline\"\r\n# end\r\n";
        assert_eq!(
            rows(text, "csv=url", &[]),
            ["5 http://192.0.2.10/b,in.sh", "6 https://bad.example/b.exe"]
        );
        assert_eq!(rows(text, "csv=3", &["URL_Status=offline"]), ["6 https://bad.example/b.exe"]);
        assert_eq!(rows(text, "csv=url", &["4=online"]), ["5 http://192.0.2.10/b,in.sh"]);
        assert!(
            mistake(text, "csv=link", &[])
                .contains("`link` among: id, dateadded, url, url_status;")
        );
        // A value that is called like the column is no header.
        let text = "# \"seen\", \"url\", \"kind\"\n\"x\", \"http://a.example/1\", \"url\"\n";
        assert_eq!(rows(text, "csv=url", &[]), ["2 http://a.example/1"]);
    }

    #[test]
    fn a_column_that_is_there_twice_needs_its_number() {
        let text = "id,url,URL\n1,a.example,b.example\n";
        let message = mistake(text, "csv=url", &[]);
        assert!(
            message.contains("`url` is there more than once (columns: id, url, URL)"),
            "{message}"
        );
        assert_eq!(rows(text, "csv=3", &[]), ["2 b.example"]);
        let message = mistake("url,n,n\na.example,1,2\n", "csv=url", &["n=1"]);
        assert!(message.contains("`n` is there more than once"), "{message}");
    }

    #[test]
    fn columns_have_numbers() {
        assert_eq!(
            rows("1,a.example\n2,b.example\n", "csv=2", &[]),
            ["1 a.example", "2 b.example"]
        );
        assert_eq!(rows("rank,domain\n1,a.example\n", "csv=2", &[]), ["2 a.example"]);
        assert_eq!(rows("domain\na.example\n", "csv=1", &[]), ["2 a.example"]);
        let message = mistake("1,a.example\n", "csv=3", &[]);
        assert!(message.contains("no column `3` among: 1, a.example;"), "{message}");
        let message = mistake("1,a.example\n", "csv=url", &[]);
        assert!(
            message.contains("`url` among: 1, a.example;") && message.contains("csv=2"),
            "{message}"
        );
    }

    #[test]
    fn separators_are_found_or_named() {
        for (separator, format) in
            [(",", "csv"), (";", "csv"), ("\t", "csv"), ("|", "csv"), ("\t", "tsv")]
        {
            let list =
                ["id,url,note", "1,http://a.example/x,\"n\"", "2,b.example,", "3,c.example,a b"];
            let text = list.join("\r\n").replace(',', separator);
            for column in ["url", "2"] {
                assert_eq!(
                    rows(&text, &format!("{format}={column}"), &["id!=2"]),
                    ["2 http://a.example/x", "4 c.example"],
                    "{separator:?} {format} {column}"
                );
            }
        }
        let text = "\u{feff}\"Number\"\t\"DomainAddress\"\n1\tbad.example\n2\t\n";
        assert_eq!(rows(text, "csv=domainaddress", &[]), ["2 bad.example", "3 -missing-column"]);
        // Tabs are asked for, and the list has none.
        assert!(mistake("id,url\n1,a.example\n", "tsv=url", &[]).contains("among: id,url;"));
    }

    #[test]
    fn the_first_column_of_a_table_is_read_although_some_rows_have_other_numbers_of_fields() {
        let text = "https://a.example/x,2026-01-01,online\nhttps://b.example/y,2026-01-02,online\n\
                    https://c.example/z,2026-01-02\nhttps://d.example/x,y,2026-01-03,online\n\
                    https://e.example/y,2026-01-04,online\n";
        assert_eq!(
            rows(text, "csv=1", &[]),
            [
                "1 https://a.example/x",
                "2 https://b.example/y",
                "3 https://c.example/z",
                "4 -field-count",
                "5 https://e.example/y"
            ]
        );
    }

    #[test]
    fn spreadsheets_name_their_separator() {
        for start in ["sep=;\r\n", "\"SEP=;\"\n"] {
            let text = format!("{start}url;note\na.example/x,y;1\n");
            assert_eq!(rows(&text, "csv=url", &[]), ["3 a.example/x,y"], "{start}");
        }
        assert_eq!(rows("sep=\t\nurl\tn\na.example\t1\n", "csv=1", &[]), ["3 a.example"]);
    }

    #[test]
    fn a_list_of_one_column_has_no_separators() {
        let text = "url\nhttp://a.example/x,y;z|1\n\"http://b.example/,\"\n";
        let expected = ["2 http://a.example/x,y;z|1", "3 http://b.example/,"];
        assert_eq!(rows(text, "csv=url", &[]), expected);
        assert_eq!(rows(text, "csv=1", &[]), expected);
        let text = "# url\nhttp://a.example/x,y\nhttp://b.example\n";
        assert_eq!(rows(text, "csv=url", &[]), ["2 http://a.example/x,y", "3 http://b.example"]);
    }

    #[test]
    fn spaces_may_stand_before_quotation_marks() {
        let text = "# \"id\", \"url\", \"tags\"\n\"1\", \"http://a.example/x\", \"m, \"\"n\"\", \"\n\
                    \"2\",   \"http://b.example\", \"None\"\n";
        assert_eq!(rows(text, "csv=url", &[]), ["2 http://a.example/x", "3 http://b.example"]);
        assert_eq!(rows(text, "csv=2", &["3=m, \"n\","]), ["2 http://a.example/x"]);
    }

    #[test]
    fn a_quotation_mark_that_is_not_closed_ends_the_build_and_its_line_is_named() {
        let header = "id,url,note\n";
        for (rows, line) in [
            ("1,https://a.example/x,t\n2,https://b.example/x,\"oops\n3,https://c.example/x,t\n", 3),
            ("1,\"https://a.example/x,t\n2,https://b.example/x,t\n", 2),
            ("\"1,https://a.example/x,t", 2),
            // Another mark closes it: in front of text, and at the end of a line.
            ("1,a.example,\"oops\n2,b.example,t\n3,\"c.example\",t\n", 2),
            ("1,a.example,\"oops\n2,b.example,t\n3,c.example,\"t\"\n", 2),
            ("1,a.example,\"oops\n2,b.example,t\n3,c.example,\"\n4,d.example,t\n", 2),
            ("1,a.example,\"oops\n2,b.example,\"\n", 2),
            ("1,\"a.example\n\",t\n2,b.example,\"oops\n", 4),
        ] {
            for format in ["csv=url", "csv=2"] {
                let text = format!("{header}{rows}");
                let outcome =
                    read(text.as_bytes(), &format.parse::<Format>().unwrap().into(), |_| {});
                match outcome {
                    Err(ListError::CsvQuoteOpen { line: found }) => {
                        assert_eq!(found, line, "{rows}")
                    }
                    other => panic!("{rows}: {other:?}"),
                }
            }
        }
        // Values of several lines are values.
        let text = "id,url,note\n1,a.example,\"see b.example,\nand c.example, too\n\"\n2,d.example,\"x\ny\"\n";
        assert_eq!(rows(text, "csv=url", &[]), ["2 a.example", "5 d.example"]);
        // Marks in comments and inside of values open nothing.
        let text = "# \"x\nid,url,note\n1,a.example/\"x,t\n# it's \"\n2,b.example,5\" pipe\n";
        assert_eq!(rows(text, "csv=url", &[]), ["3 a.example/\"x", "5 b.example"]);
    }

    #[test]
    fn a_row_with_text_behind_a_quotation_mark_is_refused() {
        let text = "id,url,note\n1,\"https://a.example/x\"junk,t\n2,\"b.example\" ,t\n3,c.example,\"t\" u\n\
                    4,\"https://d.example/\"\"x\",t\n\"5\"6,e.example,t\n";
        assert_eq!(
            rows(text, "csv=url", &[]),
            [
                "2 -text-behind-quote",
                "3 b.example",
                "4 -text-behind-quote",
                "5 https://d.example/\"x",
                "6 -text-behind-quote"
            ]
        );
        assert_eq!(
            rows("1, \"a.example\"x\n2, \"b.example\"\n", "csv=2", &[]),
            ["1 -text-behind-quote", "2 b.example"]
        );
    }

    #[test]
    fn a_row_with_a_field_that_is_too_long_is_refused_whichever_it_is() {
        for length in [crate::list::MAX_LINE - 1, crate::list::MAX_LINE, crate::list::MAX_LINE + 1]
        {
            let text = format!("url,note\na.example,{}\nb.example,x\n", "n".repeat(length));
            let is_refused = length > crate::list::MAX_LINE;
            let expected = if is_refused { "2 -too-long" } else { "2 a.example" };
            assert_eq!(rows(&text, "csv=url", &[]), [expected, "3 b.example"], "{length}");
        }
    }

    #[test]
    fn a_row_of_more_fields_than_the_header_is_refused() {
        let text = "id,url,note\n1,http://a.example/x,y,z\n2,b.example,,\n3,c.example\n";
        assert_eq!(rows(text, "csv=url", &[]), ["2 -field-count", "3 b.example", "4 c.example"]);
    }

    #[test]
    fn all_filters_must_hold_and_what_they_leave_out_is_counted() {
        let text = "url,online,verified\na.example,yes,yes\nb.example,yes,no\nc.example,no,yes\nd.example\n";
        assert_eq!(rows(text, "csv=url", &["online=yes", "verified=yes"]), ["2 a.example"]);
        assert_eq!(
            rows(text, "csv=url", &["online!=no", "verified!=yes"]),
            ["3 b.example", "5 d.example"]
        );
        let options =
            ReadOptions::from(url_column()).with_rows(vec!["online=yes".parse().unwrap()]);
        let lines = read(text.as_bytes(), &options, |_| {}).unwrap().lines;
        assert_eq!((lines.total(), lines.entry, lines.filtered, lines.structure), (5, 2, 2, 1));
        let message = mistake(text, "csv=url", &["status=online"]);
        assert!(message.contains("no column `status` among: url, online, verified;"), "{message}");
        let options = ReadOptions::from(Format::Urls).with_rows(vec!["a=b".parse().unwrap()]);
        let error = read(&b"a.example\n"[..], &options, |_| {}).unwrap_err().to_string();
        assert!(error.contains("urls has no columns") && error.contains("`a=b`"), "{error}");
    }

    #[test]
    fn values_may_be_defanged_on_request() {
        let text = "id,url\n1,hxxps[:]//a[.]example/x\n";
        for (is_defanged, expected) in
            [(true, "https://a.example/x"), (false, "hxxps[:]//a[.]example/x")]
        {
            let options = ReadOptions::from(url_column()).with_defanged(is_defanged);
            let mut entries = Vec::new();
            read(text.as_bytes(), &options, |event| {
                if let Event::Entry { entry, .. } = event {
                    entries.push(entry.text.to_owned());
                }
            })
            .unwrap();
            assert_eq!(entries, [expected]);
        }
    }

    proptest! {
        #[test]
        fn what_a_writer_quotes_is_read_back(
            values in prop::collection::vec(("[ -~]{0,12}", "[a-z]{1,8}[.]example/[ -~]{0,12}", "[ -~]{0,12}"), 1..20),
            separator in prop::sample::select(b",;\t|".to_vec()),
        ) {
            let mut writer = ::csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
            writer.write_record(["id", "url", "note"]).unwrap();
            for (id, url, note) in &values {
                // A row that begins with `#` is a comment.
                writer.write_record([&format!("x{id}"), url, note]).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read = rows(&text, "csv=url", &[]);
            let expected = values.iter().enumerate().map(|(n, (_, url, _))| format!("{} {}", n + 2, url.trim()));
            prop_assert_eq!(read, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_length_of_a_record_is_limited_within_a_block() {
        const BLOCK: usize = 1 << 16;
        for (length, is_read) in
            [(MAX_RECORD - 1, true), (MAX_RECORD, true), (MAX_RECORD + 2 * BLOCK, false)]
        {
            let note = "n".repeat(length - "a.example,\n".len());
            let text = format!("url,note\na.example,{note}\n");
            let outcome = read(text.as_bytes(), &url_column().into(), |_| {});
            assert_eq!(outcome.is_ok(), is_read, "{length}");
            assert!(is_read || matches!(outcome, Err(ListError::CsvRecordTooLong { line: 2, .. })));
        }
    }
}
