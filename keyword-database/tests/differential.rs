//! Rows against an independent implementation of both forms, `prost-reflect`.
#![expect(clippy::unwrap_used, reason = "a test")]

use keyword_database::{Encoding, ReadError, Reader, RowKind, Writer};
use proptest::prelude::*;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// `message Database { repeated Row rows = 1; } message Row { bytes keyword = 1; bytes value = 2; }`
fn schema() -> MessageDescriptor {
    let field = |name: &str, number, label: Label, kind: Type| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(kind.into()),
        type_name: (kind == Type::Message).then(|| ".Row".to_owned()),
        ..FieldDescriptorProto::default()
    };
    let message = |name: &str, field| DescriptorProto {
        name: Some(name.to_owned()),
        field,
        ..DescriptorProto::default()
    };
    let bytes = |name, number| field(name, number, Label::Optional, Type::Bytes);
    let file = FileDescriptorProto {
        name: Some("database.proto".to_owned()),
        message_type: vec![
            message("Database", vec![field("rows", 1, Label::Repeated, Type::Message)]),
            message("Row", vec![bytes("keyword", 1), bytes("value", 2)]),
        ],
        syntax: Some("proto2".to_owned()),
        ..FileDescriptorProto::default()
    };
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(file).unwrap();
    pool.get_message_by_name("Database").unwrap()
}

/// The rows of a message; `None` if one has no keyword, which only keyword databases refuse.
fn rows_of(message: &DynamicMessage) -> Option<Rows> {
    let rows = message.get_field_by_name("rows").unwrap();
    let bytes = |row: &DynamicMessage, name| {
        let value = row.get_field_by_name(name).unwrap();
        value.as_bytes().unwrap().to_vec()
    };
    let row = |row: &Value| {
        let row = row.as_message().unwrap();
        let has_keyword = row.has_field_by_name("keyword");
        has_keyword.then(|| (bytes(row, "keyword"), bytes(row, "value")))
    };
    rows.as_list().unwrap().iter().map(row).collect()
}

fn read(encoding: Encoding, bytes: &[u8]) -> Result<Rows, ReadError> {
    let mut reader = Reader::new(encoding, bytes);
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row()? {
        rows.push((row.keyword.to_vec(), row.value.to_vec()));
    }
    Ok(rows)
}

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..20)
}

/// White space and comments.
fn space(is_required: bool) -> BoxedStrategy<String> {
    let some = "[ \t\r\n]{1,3}|[ ]?#[a-z\"{]{0,4}\n";
    if is_required { regex(some) } else { regex(&format!("({some})?")) }
}

fn regex(pattern: &str) -> BoxedStrategy<String> {
    prop::string::string_regex(pattern).unwrap().boxed()
}

/// String literals, with escapes that may be wrong.
fn literals() -> impl Strategy<Value = String> {
    let escape = r#"\\(n|r|t|a|b|f|v|\?|'|"|[0-7]{1,3}|x[0-9a-f]{1,2}|u[0-9a-f]{4}|U000[0-9a-f]{5}|[a-z0-9])"#;
    let single = format!("'([ -&(-\\[\\]-~é]|{escape}){{0,5}}'");
    let double = format!("\"([ !#-\\[\\]-~é]|{escape}){{0,5}}\"");
    let literal = prop_oneof![regex(&single), regex(&double)];
    prop::collection::vec((literal, space(false)), 1..3)
        .prop_map(|all| all.into_iter().map(|(literal, space)| literal + &space).collect())
}

fn row() -> impl Strategy<Value = String> {
    let field = |name: &'static str| {
        (space(false), space(false), literals(), "[,;]?")
            .prop_map(move |(a, b, text, end)| format!("{name}{a}:{b}{text}{end}"))
    };
    let fields = (field("keyword"), prop::option::of(field("value")), any::<bool>());
    (fields, space(false), any::<bool>()).prop_map(|((keyword, value, swap), space, angled)| {
        let value = value.unwrap_or_default();
        let fields = if swap { format!("{value} {keyword}") } else { format!("{keyword} {value}") };
        if angled { format!("<{space}{fields}>") } else { format!("{{{space}{fields}}}") }
    })
}

fn database() -> impl Strategy<Value = String> {
    let single = row();
    let list = prop::collection::vec((row(), space(false)), 0..3).prop_map(|rows| {
        let rows: Vec<String> = rows.into_iter().map(|(row, space)| row + &space).collect();
        format!("[{}]", rows.join(","))
    });
    let field = (space(false), ":?", space(false), prop_oneof![single, list], "[,;]?", space(true));
    let field = field.prop_map(|(a, colon, b, rows, end, c)| {
        // The other implementation wants a colon before a list; the format does not.
        let colon = if rows.starts_with('[') { ":" } else { &colon };
        format!("rows{a}{colon}{b}{rows}{end}{c}")
    });
    (space(false), prop::collection::vec(field, 0..4))
        .prop_map(|(space, fields)| space + &fields.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn texts_mean_the_same(text in database()) {
        let oracle = DynamicMessage::parse_text_format(schema(), &text);
        let ours = read(Encoding::Text, text.as_bytes());
        match oracle {
            Ok(message) => prop_assert_eq!(ours.ok(), rows_of(&message)),
            Err(_) => prop_assert!(ours.is_err(), "{:?}", ours),
        }
    }

    #[test]
    fn what_another_reader_takes_is_read(
        text in database(),
        at in any::<prop::sample::Index>(),
        with in "[ -~\n]?",
    ) {
        let mut text = text;
        if !text.is_empty() {
            let at = at.index(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                text.replace_range(at..at + 1, &with);
            }
        }
        if let Ok(message) = DynamicMessage::parse_text_format(schema(), &text) {
            prop_assert_eq!(read(Encoding::Text, text.as_bytes()).ok(), rows_of(&message));
        }
    }

    #[test]
    fn messages_mean_the_same(bytes in prop_oneof![
        some_bytes(),
        prop::collection::vec(prop::sample::select(vec![0_u8, 1, 2, 3, 5, 8, 10, 18, 26]), 0..20),
    ]) {
        let ours = read(Encoding::Binary, &bytes);
        if let (Ok(ours), Ok(message)) = (ours, DynamicMessage::decode(schema(), &bytes[..])) {
            prop_assert_eq!(Some(ours), rows_of(&message));
        }
    }

    #[test]
    fn rows_are_read_back(rows in prop::collection::vec((some_bytes(), some_bytes()), 0..20)) {
        for encoding in [Encoding::Text, Encoding::Binary] {
            let mut writer = Writer::new(encoding, Vec::new());
            for (keyword, value) in &rows {
                writer.write(keyword, value).unwrap();
            }
            let bytes = writer.finish().unwrap();
            prop_assert_eq!(&read(encoding, &bytes).unwrap(), &rows);
            let oracle = match encoding {
                Encoding::Text => {
                    let text = std::str::from_utf8(&bytes).unwrap();
                    DynamicMessage::parse_text_format(schema(), text).unwrap()
                }
                Encoding::Binary => DynamicMessage::decode(schema(), &bytes[..]).unwrap(),
            };
            prop_assert_eq!(&rows_of(&oracle).unwrap(), &rows);
        }
    }

    #[test]
    fn values_alone_are_read_back(values in prop::collection::vec(some_bytes(), 0..20)) {
        for encoding in [Encoding::Text, Encoding::Binary] {
            let mut writer = Writer::new(encoding, Vec::new()).with_kind(RowKind::Index);
            for value in &values {
                writer.write(b"", value).unwrap();
            }
            let bytes = writer.finish().unwrap();
            let mut reader = Reader::new(encoding, &bytes[..]).with_kind(RowKind::Index);
            for value in &values {
                prop_assert_eq!(reader.next_row().unwrap().unwrap().value, &value[..]);
            }
            prop_assert!(reader.next_row().unwrap().is_none());
        }
    }
}
