use super::{MAX_BEFORE, MAX_NAMES, MAX_VALUE};
use crate::list::{Event, Format, ListError, ReadOptions, Summary, read};
use proptest::prelude::*;
use serde_json::{Value, json};

fn options(format: &str, filters: &[&str]) -> ReadOptions {
    let filters = filters.iter().map(|text| text.parse().unwrap()).collect();
    ReadOptions::from(format.parse::<Format>().unwrap()).with_rows(filters)
}

fn summary(text: &str, format: &str, filters: &[&str]) -> (Vec<String>, Summary) {
    let mut rows = Vec::new();
    let summary = read(text.as_bytes(), &options(format, filters), |event| {
        rows.push(match event {
            Event::Entry { line, entry } => format!("{line} {}", entry.text),
            Event::Refused { line, refusal, .. } => format!("{line} -{refusal}"),
        });
    })
    .unwrap();
    assert_eq!(summary.lines.total(), text.lines().count() as u64);
    (rows, summary)
}

fn rows(text: &str, format: &str, filters: &[&str]) -> Vec<String> {
    summary(text, format, filters).0
}

fn mistake(text: &str, format: &str, filters: &[&str]) -> ListError {
    read(text.as_bytes(), &options(format, filters), |_| {}).unwrap_err()
}

/// An array of objects with nested ones.
const ARRAY: &str = r#"[
  {
    "phish_id": "1",
    "url": "https://a.example/login?x=1&y",
    "details": [{"ip_address": "192.0.2.1", "page": "https://not.example/"}],
    "verified": "yes"
  },
  {"details": [], "url": "https:\/\/b.example\/\u0070", "verified": "no"},

  {"phish_id": 3, "verified": "yes"},
  {"url": null}, {"url": ""}
]
"#;

/// An object of arrays of objects.
const BY_NUMBER: &str = r#"{
    "100": [
        {"dateadded": "2026-01-01", "url": "http://192.0.2.10/a.sh", "url_status": "online", "tags": ["elf", "x"]}
    ],
    "101": [
        {
            "url": "https://b.example/",
            "url_status": "offline",
            "tags": null
        }
    ]
}"#;

#[test]
fn an_array_of_objects_is_read() {
    let expected = [
        "4 https://a.example/login?x=1&y",
        "8 https://b.example/p",
        "10 -missing-column",
        "11 -missing-column",
        "11 -missing-column",
    ];
    assert_eq!(rows(ARRAY, "json=url", &[]), expected);
    assert_eq!(rows(ARRAY, "json=URL", &["verified=yes"]), [expected[0], expected[2]]);
    assert_eq!(rows(ARRAY, "json=url", &["phish_id=3"]), [expected[2]]);
    let (_, summary) = summary(ARRAY, "json=url", &["verified=no"]);
    let lines = summary.lines;
    assert_eq!((lines.entry, lines.filtered, lines.blank, lines.structure), (1, 3, 1, 7));
}

#[test]
fn an_object_of_arrays_is_read() {
    assert_eq!(
        rows(BY_NUMBER, "json=url", &[]),
        ["3 http://192.0.2.10/a.sh", "7 https://b.example/"]
    );
    assert_eq!(rows(BY_NUMBER, "json=url", &["url_status=offline"]), ["7 https://b.example/"]);
    assert_eq!(rows(BY_NUMBER, "json=url", &["tags=x"]), ["3 http://192.0.2.10/a.sh"]);
    assert_eq!(rows(BY_NUMBER, "json=url", &["tags!=x"]), ["7 https://b.example/"]);
    assert_eq!(rows(BY_NUMBER, "json=url", &["tags="]), ["7 https://b.example/"]);
    assert_eq!(rows(BY_NUMBER, "json=url", &["dateadded="]), ["7 https://b.example/"]);
}

#[test]
fn rows_of_several_kinds_are_told_apart() {
    let text = r#"{"1":[{"ioc_value":"http://a.example/x","ioc_type":"url"}],
"2":[{"ioc_value":"b.example","ioc_type":"domain"}],
"3":[{"ioc_value":"192.0.2.1:443","ioc_type":"ip:port"}]}"#;
    assert_eq!(rows(text, "json=ioc_value", &["ioc_type=domain"]), ["2 b.example"]);
    let both = rows(text, "json=ioc_value", &["ioc_type!=ip:port"]);
    assert_eq!(both, ["1 http://a.example/x", "2 b.example"]);
}

#[test]
fn one_object_a_line_is_read() {
    let text = "{\"url\":\"a.example\"}\n\n{\"url\":\"b.example\"}\n{\"link\":\"c.example\"}";
    assert_eq!(rows(text, "json=url", &[]), ["1 a.example", "3 b.example", "4 -missing-column"]);
    assert_eq!(rows("\"a.example\"\n\"b.example\"\n", "json", &[]), ["1 a.example", "2 b.example"]);
}

#[test]
fn arrays_of_strings_are_read() {
    let text = "[\"a.example\",\n \"b.example\", \" \",\n 1, [\"c.example\"]\n]";
    let expected = [
        "1 a.example",
        "2 b.example",
        "2 -missing-column",
        "3 -missing-column",
        "3 -missing-column",
    ];
    assert_eq!(rows(text, "json", &[]), expected);
    // Only the array that is named.
    let text = "{\"version\": 2,\n\"allowed\": [\"a.example\"],\n\"blocked\": [\"b.example\",\n\"c.example\"]}";
    assert_eq!(rows(text, "json=blocked", &[]), ["3 b.example", "4 c.example"]);
    assert_eq!(rows(text, "json=blocked", &["version=2"]), ["3 b.example", "4 c.example"]);
}

#[test]
fn a_document_on_one_line_has_numbers_of_rows() {
    let text = r#"[{"url":"a.example","s":1},{"s":1},{"s":2,"url":"b.example"},{"url":"c.example","s":1}]"#;
    assert_eq!(
        rows(text, "json=url", &[]),
        ["1 a.example", "2 -missing-column", "3 b.example", "4 c.example"]
    );
    assert_eq!(
        rows(text, "json=url", &["s=1"]),
        ["1 a.example", "2 -missing-column", "4 c.example"]
    );
    assert_eq!(rows(r#"["a.example","b.example"]"#, "json", &[]), ["1 a.example", "2 b.example"]);
    let text = r#"[{"s":1},{"url":"b.example"}]"#;
    assert_eq!(rows(text, "json=url", &[]), ["1 -missing-column", "2 b.example"]);
}

#[test]
fn what_is_no_text_among_texts_is_refused() {
    let text = r#"[{"url": ["a.example", ["b.example"], {"x": "c.example"}, 5, null, ""]}]"#;
    let missing = "1 -missing-column";
    assert_eq!(rows(text, "json=url", &[]), ["1 a.example", missing, missing, missing]);
    assert_eq!(rows(r#"[{"url": [5, 6]}]"#, "json=url", &[]), [missing]);
}

#[test]
fn nothing_that_is_meant_is_left_out_in_silence() {
    let message = |text, format, filters: &[&str]| mistake(text, format, filters).to_string();
    // An answer of a server.
    let error = r#"{"error": "rate limit", "code": 429}"#;
    assert!(message(error, "json=url", &[]).contains("field `url`; rows have: error, code"));
    assert!(
        matches!(mistake(error, "json", &[]), ListError::Json { fields } if fields == "error, code")
    );
    assert!(message("[\"a.example\"]", "json=url", &[]).contains("field `url`"));
    assert!(
        message(ARRAY, "json=url", &["online=yes"])
            .contains("field `online`; rows have: phish_id, url")
    );
    // The same name at two depths, in any order.
    for text in [
        r#"[{"report":{"url":"https://x.example/"},"url":"https://a.example/"}]"#,
        r#"[{"url":"https://a.example/","report":{"url":"https://x.example/"}}]"#,
        r#"[{"url":"https://a.example/","reports":[[{"by":{"URL":"https://x.example/"}}]]}]"#,
        r#"[{"url":{"url":"https://a.example/"}}]"#,
        r#"[{"url":["https://a.example/",{"url":"https://x.example/"}]}]"#,
        r#"{"a":[{"url":"a.example"}],"b":{"c":[{"url":"b.example"}]}}"#,
        r#"{"url":"https://feed.example/","data":[{"url":"https://b.example/x"},{"url":"c.example"}]}"#,
        r#"{"data":[{"url":"https://b.example/x"},{"url":"c.example"}],"url":"https://feed.example/"}"#,
        r#"{"meta":{"url":"https://feed.example/"},"data":[{"url":"https://b.example/x"}]}"#,
    ] {
        let error = mistake(text, "json=url", &[]);
        assert!(matches!(error, ListError::JsonFieldAmbiguous { .. }), "{text} {error:?}");
    }
    // Empty feeds have no rows.
    for text in ["[]", "{}", "", "{\"1\": []}\n"] {
        let outcome = read(text.as_bytes(), &options("json=url", &["a=b"]), |_| {});
        assert_eq!(outcome.is_ok(), !text.contains('1'), "{text}");
    }
}

#[test]
fn one_object_outside_of_arrays_is_said_to_be_one() {
    for (text, is_one_object) in [
        (r#"{"url":"https://docs.example/","message":"Not Found","status":"404"}"#, true),
        ("{\n \"url\": \"https://docs.example/\"\n}\n", true),
        (r#"{"error":{"url":"https://docs.example/","code":404}}"#, true),
        (r#"{"url":"https://feed.example/","data":[]}"#, true),
        (r#"{"url":null,"data":[]}"#, true),
        (r#"[{"url":"a.example"}]"#, false),
        (r#"{"data":[{"url":"a.example"}]}"#, false),
        (r#"{"url":["a.example"],"version":2}"#, false),
        ("{\"url\":\"a.example\"}\n{\"url\":\"b.example\"}\n", false),
        (r#"{"1":{"url":"a.example"},"2":{"url":"b.example"}}"#, false),
        ("[]", false),
        ("", false),
    ] {
        assert_eq!(summary(text, "json=url", &[]).1.is_one_object, is_one_object, "{text}");
    }
    assert!(!summary("\"a.example\"\n", "json", &[]).1.is_one_object);
}

#[test]
fn malformed_json_names_its_line() {
    for (text, line) in [
        ("[\n{\"url\": \"a.example\"},\n{\"url\" \"b\"}]", 3),
        ("[\n{\"url\": \"a.example\"},\n", 3),
        ("{\"url\": \"a.example\"}\n}", 2),
        ("[\"\n\"]", 2),
    ] {
        let format = if text.contains("url") { "json=url" } else { "json" };
        match mistake(text, format, &[]) {
            ListError::JsonMalformed { line: found, mistake } => {
                assert_eq!(found, line, "{text} {mistake}");
                assert!(!mistake.contains(" line "), "{mistake}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let deep = "[".repeat(1_000);
    assert!(matches!(mistake(&deep, "json=url", &[]), ListError::JsonMalformed { .. }));
}

#[test]
fn values_are_bounded() {
    let long = |length: usize| format!("[{{\"url\":\"{}\"}}\n]", "a".repeat(length));
    let limit = crate::list::MAX_LINE;
    for (length, refused) in [(limit, false), (limit + 1, true), (900_000, true)] {
        let rows = rows(&long(length), "json=url", &[]);
        assert_eq!(rows[0] == "1 -too-long", refused, "{length}");
    }
    assert!(matches!(
        mistake(&long(2 << 20), "json=url", &[]),
        ListError::JsonTooLong { line: 1, .. }
    ));
    let many = format!("{{\"url\":[{}\"z\"],\"s\":1}}", "\"a.example\",".repeat(200_000));
    assert_eq!(rows(&many, "json=url", &[]).len(), 200_001);
    assert!(matches!(mistake(&many, "json=url", &["s=1"]), ListError::JsonTooLong { .. }));
    let skipped =
        format!("[{{\"url\":\"a.example\",\"x\":[{}1]}}]", "{\"k\":[\"v\"]},".repeat(200_000));
    assert_eq!(rows(&skipped, "json=url", &[]), ["1 a.example"]);
}

#[test]
fn json_is_recognised_in_place_of_another_list() {
    for (text, expected) in [
        (ARRAY, "phish_id, url, ip_address, page, verified"),
        (BY_NUMBER, "dateadded, url, url_status, tags"),
        ("{\"message\": \"no such list\"}", "message"),
        (r#"{"domains": ["a.example"], "count": 1, "of": {}}"#, "domains, count"),
        (r#"[{"names": []}, {"names": ["a.example"]}]"#, "names"),
        ("[\"a.example\"]", ""),
        ("{}", ""),
    ] {
        for format in [None, Some(Format::Urls), Some(Format::Adblock)] {
            let options = ReadOptions::default().with_format(format);
            match read(text.as_bytes(), &options, |_| {}) {
                Err(ListError::Json { fields }) => assert_eq!(fields, expected),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
    for list in ["[Adblock Plus 2.0]\n||a.example^\n", "[::1] localhost\na.example\n"] {
        assert!(read(list.as_bytes(), &ReadOptions::default(), |_| {}).is_ok());
    }
}

/// Values without a field `url`.
fn others() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-t]{1,4}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn rows_are_found_between_any_other_values(
        parts in prop::collection::vec(("[a-z]{1,8}[.]example/.{0,8}", others(), others()), 1..8),
        is_pretty in any::<bool>(),
        is_nested in any::<bool>(),
    ) {
        let row = |(url, before, after): &(String, Value, Value)| json!({"a": before, "url": url, "z": after});
        let rows_of: Vec<Value> = parts.iter().map(row).collect();
        let document = if is_nested { json!({"1": rows_of}) } else { Value::from(rows_of) };
        let text = if is_pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        };
        let mut urls = Vec::new();
        let options = options("json=url", &[]);
        let summary = read(text.as_bytes(), &options, |event| match event {
            Event::Entry { entry, .. } => urls.push(entry.text.to_owned()),
            Event::Refused { .. } => urls.push(String::new()),
        })
        .unwrap();
        let expected: Vec<&str> = parts.iter().map(|(url, ..)| url.trim()).collect();
        prop_assert_eq!(urls, expected);
        // Strings of JSON hold no line feeds.
        let lines = text.bytes().filter(|&byte| byte == b'\n').count() as u64 + 1;
        prop_assert_eq!(summary.lines.total(), lines);
    }
}

#[test]
fn the_length_of_a_value_is_exact() {
    // With the colon before it and its quotation marks.
    for (length, is_read) in [(MAX_VALUE - 4, true), (MAX_VALUE - 3, true), (MAX_VALUE - 2, false)]
    {
        let text = format!("[{{\"x\":\"{}\",\"url\":\"a.example\"}}]", "a".repeat(length));
        let outcome = read(text.as_bytes(), &options("json=url", &[]), |_| {});
        assert_eq!(outcome.is_ok(), is_read, "{length}");
        assert!(is_read || matches!(outcome, Err(ListError::JsonTooLong { max: MAX_VALUE, .. })));
    }
}

#[test]
fn the_number_of_objects_before_the_first_row_is_limited() {
    for count in [MAX_BEFORE - 1, MAX_BEFORE, MAX_BEFORE + 1] {
        let text = format!("[{}{{\"url\":\"a.example\"}}]", "{\"x\":1},".repeat(count));
        let outcome = read(text.as_bytes(), &options("json=url", &[]), |_| {});
        assert_eq!(outcome.is_ok(), count <= MAX_BEFORE, "{count}");
    }
}

#[test]
fn errors_list_the_first_fields() {
    for count in [MAX_NAMES - 1, MAX_NAMES, MAX_NAMES + 1] {
        let fields: Vec<String> = (0..count).map(|number| format!("\"f{number}\":1")).collect();
        let error = mistake(&format!("[{{{}}}]", fields.join(",")), "json=url", &[]);
        let ListError::JsonFieldMissing { fields, .. } = error else { panic!("{error:?}") };
        assert_eq!(fields.split(", ").count(), count.min(MAX_NAMES), "{fields}");
    }
}

#[test]
fn a_condition_on_an_object_around_the_rows_is_named_as_such() {
    let list =
        r#"[{"d":{"host":"a.example"},"status":"on"},{"status":"on","d":{"host":"b.example"}}]"#;
    let error = mistake(list, "json=host", &["status=on"]);
    assert!(!error.is_page());
    assert_eq!(
        error.to_string(),
        "`status` is a field of an object around the rows, not of the rows, which have: host; \
         extract the rows with the field in them"
    );
    // Many names of objects around leave room for those of the rows.
    let around: String = (0..30).map(|number| format!(r#""f{number}":1,"#)).collect();
    let long = format!(r#"{{{around}"rows":[{{"host":"a.example","state":"on"}}]}}"#);
    let error = mistake(&long, "json=host", &["status=on"]);
    assert_eq!(error.to_string(), "no row has a field `status`; rows have: host, state");
    // Names of objects around are not among those that rows have.
    let error = mistake(list, "json=host", &["state=on"]);
    assert_eq!(error.to_string(), "no row has a field `state`; rows have: host");
}
