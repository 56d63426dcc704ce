use super::*;
use crate::Writer;
use proptest::prelude::*;
use std::io;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// An input that gives a few bytes at a time.
struct Drip<'b>(&'b [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(self.0.len()).min(out.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn all<R: Read>(reader: &mut Reader<R>) -> Result<Rows, ReadError> {
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row()? {
        rows.push((row.keyword.to_vec(), row.value.to_vec()));
    }
    Ok(rows)
}

fn text(text: &str) -> Result<Rows, ReadError> {
    all(&mut Reader::text(text.as_bytes()))
}

fn malformed(result: Result<Rows, ReadError>) -> (Position, Mistake) {
    match result {
        Err(ReadError::Malformed { position, mistake }) => (position, mistake),
        other => panic!("expected a mistake, found {other:?}"),
    }
}

const EVERY_FORM: &str = "# a database\nrows: {keyword: \"a\" value: \"1\"}\nrows { keyword: 'b', value: '' };\n\
    rows: [{keyword: \"c\" \"\\x2e\" 'd' value: \"2\"}, <value: \"3\" keyword: \"e\">]\n\nrows: [] # none\n\
    rows {\n  keyword: \"\\303\\251\\u00e9\"\n  # within\n\n  value: \"\\n\\\"\"\n}\nrows { keyword: \"f\" }";

#[test]
fn every_form_of_the_text_format_is_read() {
    let expected: Rows =
        [("a", "1"), ("b", ""), ("c.d", "2"), ("e", "3"), ("éé", "\n\""), ("f", "")]
            .map(|(keyword, value)| (keyword.into(), value.into()))
            .into();
    assert_eq!(text(EVERY_FORM).unwrap(), expected);
    assert_eq!(all(&mut Reader::text(Drip(EVERY_FORM.as_bytes(), 1))).unwrap(), expected);
    assert_eq!(text("").unwrap(), []);
    assert_eq!(text("\n# nothing").unwrap(), []);
}

#[test]
fn rows_have_positions_and_lines_are_counted() {
    let mut reader = Reader::text(EVERY_FORM.as_bytes());
    let mut lines = Vec::new();
    while let Some(row) = reader.next_row().unwrap() {
        lines.push(row.position);
    }
    assert_eq!(lines, [2, 3, 4, 4, 7, 13].map(Position::Line));
    let expected = LineCounts { blank: 2, comment: 2, row: 5, structure: 4 };
    assert_eq!(reader.line_counts(), expected);
    assert_eq!(reader.line_counts().total(), EVERY_FORM.lines().count() as u64);

    for (text, expected) in [
        ("", LineCounts::default()),
        ("\n", LineCounts { blank: 1, ..LineCounts::default() }),
        (" ", LineCounts { blank: 1, ..LineCounts::default() }),
        (" # x\r\n#", LineCounts { comment: 2, ..LineCounts::default() }),
        (
            "rows: [\n{keyword: 'a'} # x\n]",
            LineCounts { row: 1, structure: 2, ..LineCounts::default() },
        ),
        ("rows: {keyword: 'a'}\n", LineCounts { row: 1, ..LineCounts::default() }),
    ] {
        let mut reader = Reader::text(text.as_bytes());
        all(&mut reader).unwrap();
        assert_eq!(reader.line_counts(), expected, "{text:?}");
    }

    let mut binary = Vec::new();
    let mut writer = Writer::binary(&mut binary);
    writer.write(b"ab", b"1").unwrap();
    writer.write(b"c", b"").unwrap();
    let mut reader = Reader::binary(&binary[..]);
    assert_eq!(reader.next_row().unwrap().unwrap().position, Position::Byte(0));
    assert_eq!(reader.next_row().unwrap().unwrap().position, Position::Byte(9));
    assert_eq!(reader.next_row().unwrap(), None);
    assert_eq!(reader.line_counts(), LineCounts::default());
}

#[test]
fn mistakes_in_text_name_their_line() {
    for (input, line, mistake) in [
        ("rows: {keyword: \"a\"\n", 2, Mistake::EndsInsideRow),
        ("\nrow: {}", 2, Mistake::NoRowsField),
        ("garbage", 1, Mistake::NoRowsField),
        ("\n}", 2, Mistake::NoRowsField),
        ("rows", 1, Mistake::EndsInsideRow),
        ("rows: 7", 1, Mistake::NoRow),
        ("rows {}", 1, Mistake::NoKeyword),
        ("rows {value: \"1\"}", 1, Mistake::NoKeyword),
        ("rows {keyword: \"a\" keyword: \"b\"}", 1, Mistake::RepeatedField),
        ("rows {keyword: \"a\nb\"}", 1, Mistake::UnterminatedString),
        ("rows {keyword: \"\\q\"}", 1, Mistake::UnknownEscape),
        ("rows {keyword: \"\\777\"}", 1, Mistake::UnknownEscape),
        ("rows {keyword: \"\\ud800\"}", 1, Mistake::UnknownEscape),
        ("rows {keyword: \"\\xg\"}", 1, Mistake::IncompleteEscape),
        ("rows {keyword: \"\\u12\"}", 1, Mistake::IncompleteEscape),
        ("\n\nrows {key: \"a\"}", 3, Mistake::NoKeywordOrValueField),
        ("rows {keyword: 7}", 1, Mistake::NoString),
        ("rows {keyword \"a\"}", 1, Mistake::NoColon),
        ("rows {keyword: \"a\">", 1, Mistake::NoKeywordOrValueField),
        ("rows [{keyword: \"a\"}\n", 2, Mistake::EndsInsideList),
        ("rows [{keyword: \"a\"} {keyword: \"b\"}]", 1, Mistake::NoCommaOrListEnd),
        ("rows [{keyword: \"a\"},]", 1, Mistake::NoRow),
        ("rows [,]", 1, Mistake::NoRow),
    ] {
        assert_eq!(malformed(text(input)), (Position::Line(line), mistake), "{input}");
        let dripping = all(&mut Reader::text(Drip(input.as_bytes(), 1)));
        assert_eq!(malformed(dripping), (Position::Line(line), mistake), "{input}");
    }
    let index = Reader::text(&b"rows {keyword: 'a'}"[..]).with_kind(RowKind::Index);
    assert_eq!(malformed(all(&mut { index })), (Position::Line(1), Mistake::NoValueField));
}

#[test]
fn mistakes_in_messages_name_their_byte() {
    for (bytes, offset, mistake) in [
        (&b"\x0a"[..], 1, Mistake::EndsInsideRow),
        (b"\x0a\x05\x0a", 3, Mistake::EndsInsideRow),
        (b"\x0a\x02\x0a\x05", 2, Mistake::FieldLongerThanRow),
        (b"\x0a\x03\x0a\x01a\x0b", 5, Mistake::UnknownWireType),
        (b"\x0a\x00", 2, Mistake::NoKeyword),
        (b"\x0a\x02\x12\x00", 2, Mistake::NoKeyword),
        (&[0xff; 20], 0, Mistake::NumberTooLong),
    ] {
        let result = all(&mut Reader::binary(bytes));
        assert_eq!(malformed(result), (Position::Byte(offset), mistake), "{bytes:?}");
    }
    // Unknown fields are skipped.
    let known = b"\x0a\x05\x0a\x01a\x18\x07\x18\x07\x21abcdefgh\x12\x01x";
    assert_eq!(all(&mut Reader::binary(&known[..])).unwrap(), [(b"a".to_vec(), Vec::new())]);
}

#[test]
fn an_error_is_reported_again() {
    let mut reader =
        Reader::text(&b"rows {keyword: 'a'}\n\nrows {keyword: 7}\nrows {keyword: 'b'}"[..]);
    assert!(reader.next_row().unwrap().is_some());
    let first = malformed(all(&mut reader));
    assert_eq!(first, (Position::Line(3), Mistake::NoString));
    assert_eq!(malformed(all(&mut reader)), first);

    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let mut reader = Reader::binary((&b"\x0a\x03\x0a\x01a\x0a"[..]).chain(Broken));
    for _ in 0..2 {
        let error = all(&mut reader).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(error.to_string(), "cannot read the database");
        assert_eq!(source.to_string(), "the disk is gone");
    }
}

/// A database of one row, in both forms.
fn one_row(keyword: usize, value: usize) -> [(Encoding, Vec<u8>); 2] {
    [Encoding::Text, Encoding::Binary].map(|encoding| {
        let mut writer = Writer::new(encoding, Vec::new());
        writer.write(&vec![b'k'; keyword], &vec![b'v'; value]).unwrap();
        (encoding, writer.finish().unwrap())
    })
}

#[test]
fn limits_of_keyword_and_value_are_exact() {
    let limits = Limits::default().with_max_keyword(65_536).with_max_value(65_535);
    for (keyword, value, mistake) in [
        (65_535, 65_534, None),
        (65_536, 65_535, None),
        (65_537, 65_535, Some(Mistake::KeywordTooLong { max: 65_536 })),
        (65_536, 65_536, Some(Mistake::ValueTooLong { max: 65_535 })),
    ] {
        for (encoding, bytes) in one_row(keyword, value) {
            let result = all(&mut Reader::new(encoding, &bytes[..]).with_limits(limits));
            match mistake {
                None => assert_eq!(result.unwrap().len(), 1),
                Some(mistake) => assert_eq!(malformed(result).1, mistake),
            }
        }
    }
    // Joined literals and escapes count by what they mean.
    let limits = Limits::default().with_max_keyword(3);
    let read = |text: &str| all(&mut Reader::text(text.as_bytes()).with_limits(limits));
    assert!(read("rows {keyword: 'a' '\\x62' \"c\"}").is_ok());
    let mistake = Mistake::KeywordTooLong { max: 3 };
    assert_eq!(malformed(read("rows {keyword: 'a' '\\x62' \"cd\"}")).1, mistake);
}

#[test]
fn the_limit_of_a_row_is_exact() {
    // Brackets, names and quotes of the text, tags and lengths of the message.
    for (index, around) in [(0, "rows: {keyword: \"\" value: \"\"}".len()), (1, 6)] {
        for length in [MAX_ROW - 1, MAX_ROW, MAX_ROW + 1] {
            let (encoding, ref bytes) = one_row(length - around, 0)[index];
            for drip in [1 << 12, usize::MAX] {
                let result = all(&mut Reader::new(encoding, Drip(bytes, drip)));
                if length <= MAX_ROW {
                    assert_eq!(result.unwrap().len(), 1, "{encoding:?} {length}");
                } else {
                    let (position, mistake) = malformed(result);
                    assert_eq!(mistake, Mistake::RowTooLong { max: MAX_ROW });
                    assert!(matches!(position, Position::Line(1) | Position::Byte(0)));
                }
            }
        }
    }
    // A row that never ends is refused in bounded memory.
    let endless = io::repeat(b'a');
    let result = all(&mut Reader::text(b"rows {keyword: '".chain(endless)));
    assert_eq!(malformed(result).1, Mistake::RowTooLong { max: MAX_ROW });
}

#[test]
fn space_and_comments_between_rows_have_no_limit() {
    let spaces = " ".repeat(2 * MAX_ROW);
    let comment = "c".repeat(2 * MAX_ROW);
    let input = format!("rows {{keyword: 'a'}}{spaces}#{comment}\nrows {{keyword: 'b'}}#{comment}");
    for drip in [1 << 12, usize::MAX] {
        let mut reader = Reader::text(Drip(input.as_bytes(), drip));
        assert_eq!(all(&mut reader).unwrap().len(), 2);
        assert_eq!(reader.line_counts().row, 2);
    }
}

#[test]
fn rows_of_an_index_database_have_no_keyword() {
    for encoding in [Encoding::Text, Encoding::Binary] {
        let mut writer = Writer::new(encoding, Vec::new()).with_kind(RowKind::Index);
        writer.write(b"", b"one").unwrap();
        writer.write(b"", b"").unwrap();
        let error = writer.write(b"k", b"v").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let bytes = writer.finish().unwrap();
        let mut reader = Reader::new(encoding, &bytes[..]).with_kind(RowKind::Index);
        let expected = [(vec![], b"one".to_vec()), (vec![], vec![])];
        assert_eq!(all(&mut reader).unwrap(), expected);
    }
}

#[test]
fn text_is_written_on_one_line_per_row() {
    let mut writer = Writer::text(Vec::new());
    writer.write(b"example.com", b"1").unwrap();
    writer.write("\"\\\n\0é".as_bytes(), b"").unwrap();
    let expected = "rows: {keyword: \"example.com\" value: \"1\"}\n\
        rows: {keyword: \"\\\"\\\\\\012\\000\\303\\251\" value: \"\"}\n";
    assert_eq!(writer.finish().unwrap(), expected.as_bytes());
    let mut writer = Writer::text(Vec::new()).with_kind(RowKind::Index);
    writer.write(b"", b"v").unwrap();
    assert_eq!(writer.finish().unwrap(), b"rows: {value: \"v\"}\n");
}

proptest! {
    #[test]
    fn any_bytes_are_rows_or_a_mistake(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        text in "(rows|keyword|value|[ :,;<>{}\\[\\]\"'#\\\\\n0-9a-z]){0,20}",
        drip in 1_usize..9,
    ) {
        for encoding in [Encoding::Text, Encoding::Binary] {
            for input in [&bytes[..], text.as_bytes()] {
                let at_once = all(&mut Reader::new(encoding, input));
                let dripping = all(&mut Reader::new(encoding, Drip(input, drip)));
                match (at_once, dripping) {
                    (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
                    (one, other) => prop_assert_eq!(malformed(one), malformed(other)),
                }
            }
        }
    }
}
