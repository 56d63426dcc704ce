//! Lists of callers, from their text to their rows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use caller_id::{CallerRows, Category, Icons, Identity, ListError, ONBOARDING_NUMBER};
use keyword_database::Reader;
use std::error::Error;
use std::fs;

type Row = (String, Vec<u8>);

fn rows(bytes: &[u8]) -> Vec<Row> {
    let mut reader = Reader::binary(bytes);
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().unwrap() {
        rows.push((String::from_utf8(row.keyword.to_vec()).unwrap(), row.value.to_vec()));
    }
    rows
}

fn made(
    add: impl FnOnce(&mut CallerRows<Vec<u8>>) -> Result<(), ListError>,
) -> Result<(Vec<Row>, Vec<Row>), ListError> {
    let mut all = CallerRows::new(Vec::new(), Vec::new());
    add(&mut all)?;
    let made = all.finish()?;
    Ok((rows(&made.block), rows(&made.identity)))
}

fn csv(text: &str) -> Result<(Vec<Row>, Vec<Row>), ListError> {
    made(|all| all.add_csv(text.as_bytes(), &Icons::none()))
}

fn json(text: &str) -> Result<(Vec<Row>, Vec<Row>), ListError> {
    made(|all| all.add_json(text.as_bytes(), &Icons::none()))
}

/// The whole chain of an error.
fn text_of(error: &ListError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn a_table_and_a_json_list_give_the_same_rows() {
    let table = "\u{feff}number,name,block,category,cacheMinutes\n\
        # a comment\n\
        +1 408-555-1212,Johnny Appleseed,False,person,60\n\
        \n\
        +442079460000,,true,,\n\
        +49301234567,\"Example, Inc.\",TRUE,business,\n";
    let list = r#"[
        { "number": "+14085551212", "name": "Johnny Appleseed", "category": "person", "cacheMinutes": 60 },
        { "number": "+44 20 7946 0000", "block": true },
        { "number": "+49301234567", "name": "Example, Inc.", "category": "business", "block": true }
    ]"#;
    let (block, identity) = csv(table).unwrap();
    let key = |row: &Row| row.0.clone();
    assert_eq!(
        block.iter().map(key).collect::<Vec<_>>(),
        ["+14085551212", "+442079460000", "+49301234567"]
    );
    assert_eq!(block.iter().map(|row| row.1.clone()).collect::<Vec<_>>(), [[0], [1], [1]]);
    assert_eq!(identity.iter().map(key).collect::<Vec<_>>(), ["+14085551212", "+49301234567"]);
    let read = Identity::from_bytes(&identity[0].1).unwrap();
    assert_eq!(
        (read.name(), read.category(), read.cache_minutes()),
        ("Johnny Appleseed", Category::Person, 60)
    );
    assert_eq!(Identity::from_bytes(&identity[1].1).unwrap().name(), "Example, Inc.");
    assert_eq!(json(list).unwrap(), (block, identity));
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (table, expected) in [
        (
            "number,name\n+14085551212,A\n5551212,B\n",
            "line 3: number \"5551212\": a number begins with +",
        ),
        (
            "number,name\n+14085551212,A\n\n+1 4085551212,B\n",
            "line 4: +14085551212 is in line 2 already",
        ),
        ("number,name\n+14085551212,\n", "line 2: +14085551212 is neither blocked nor named"),
        ("number,block\n+14085551212,yes\n", "line 2: block is \"yes\""),
        ("number,block\n+14085551212,\n", "line 2: block is \"\""),
        ("number,name,category\n+14085551212,A,people\n", "line 2: category is \"people\""),
        ("number,name,cacheMinutes\n+14085551212,A,-1\n", "line 2: cacheMinutes is \"-1\""),
        (
            "number,name,cacheMinutes\n+14085551212,A,4294967296\n",
            "line 2: cacheMinutes is \"4294967296\"; expected a whole number of minutes, from 0 to",
        ),
        (
            "number,block,category\n+14085551212,true,person\n",
            "line 2: +14085551212 has an icon, a category",
        ),
        ("number,name,icon\n+14085551212,A,nowhere.heic\n", "line 2: the icon of +14085551212: "),
        ("number,name\n# one\n\n+14085551212,A\nx,B", "line 5: number \"x\""),
        (
            "number,name\n+14085551212,\"A\nB\"\n",
            "line 2: the identity of +14085551212: the name has a control",
        ),
        ("number,name\n+14085551212\n", "not a table"),
        ("number,number\n", "column \"number\""),
        ("number,Name\n", "column \"Name\""),
        ("name\nA\n", "no column `number`"),
        ("", "no column `number`"),
    ] {
        let error = text_of(&csv(table).unwrap_err());
        assert!(error.starts_with(expected), "{error}");
    }
    for (list, expected) in [
        (
            r#"[{"number": "+14085551212", "name": "A"}, {"number": "x", "name": "B"}]"#,
            "entry 2: number \"x\"",
        ),
        (r#"[{"number": "+14085551212", "title": "A"}]"#, "not a JSON list"),
        (r#"[{"number": "+14085551212", "name": "A"}"#, "not a JSON list"),
        (r#"[] []"#, "not a JSON list"),
        (r#"{"number": "+14085551212"}"#, "not a JSON list"),
        (r#"[{"number": "+14085551212", "name": "A", "cacheMinutes": -1}]"#, "not a JSON list"),
    ] {
        let error = text_of(&json(list).unwrap_err());
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn icons_are_named_in_the_list_or_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let heic = |last: u8| [&b"\0\0\0\x14ftypheic\0\0\0\0mif1"[..], &[last]].concat();
    fs::write(folder.path().join("logo.heic"), heic(1)).unwrap();
    fs::write(folder.path().join("+442079460000.heic"), heic(2)).unwrap();
    fs::write(folder.path().join("+14085551212.heic"), heic(3)).unwrap();
    let table = "number,name,icon\n+14085551212,A,logo.heic\n+442079460000,B,\n+49301234567,C,\n";
    let icons = Icons::none().relative_to(folder.path()).by_number(folder.path());
    let (_, identity) = made(|all| all.add_csv(table.as_bytes(), &icons)).unwrap();
    let icon = |row: &Row| Identity::from_bytes(&row.1).unwrap().icon().map(<[u8]>::to_vec);
    let found: Vec<_> = identity.iter().map(icon).collect();
    assert_eq!(found, [Some(heic(1)), Some(heic(2)), None]);
    // One that is too large, or no HEIC image, is named.
    let mut large = heic(0);
    large.resize(65_536, 0);
    fs::write(folder.path().join("logo.heic"), large).unwrap();
    let error = made(|all| all.add_csv(table.as_bytes(), &icons)).unwrap_err();
    assert!(text_of(&error).contains("logo.heic"), "{}", text_of(&error));
    fs::write(folder.path().join("logo.heic"), b"\x89PNG\r\n\x1a\n").unwrap();
    let error = made(|all| all.add_csv(table.as_bytes(), &icons)).unwrap_err();
    assert!(text_of(&error).contains("begins like PNG"), "{}", text_of(&error));
}

#[test]
fn the_onboarding_entry_is_added_once() {
    let (block, identity) = made(CallerRows::add_onboarding_entry).unwrap();
    assert_eq!(block, [(ONBOARDING_NUMBER.to_owned(), vec![0])]);
    assert_eq!(Identity::from_bytes(&identity[0].1).unwrap().name(), "Johnny Appleseed");
    let own = "number,name\n+14085551212,Johnny Appleseed\n";
    let (block, _) = made(|all| {
        all.add_csv(own.as_bytes(), &Icons::none())?;
        all.add_onboarding_entry()
    })
    .unwrap();
    assert_eq!(block.len(), 1);
    // Apple's check would fail.
    for other in [
        "number,name\n+14085551212,Mine\n",
        "number,name,block\n+14085551212,Johnny Appleseed,true\n",
    ] {
        let error = made(|all| {
            all.add_csv(other.as_bytes(), &Icons::none())?;
            all.add_onboarding_entry()
        })
        .unwrap_err();
        assert!(text_of(&error).contains("the entry for onboarding"), "{}", text_of(&error));
        assert!(text_of(&error).contains("+14085551212 is in"), "{}", text_of(&error));
    }
}

#[test]
fn an_entry_has_a_longest_length() {
    // What is padded is white space, which is no part of any value.
    const MAX: usize = 16 << 20;
    let padded = |start: &str, end: &str, length: usize| {
        format!("{start}{}{end}", " ".repeat(length - start.len() - end.len()))
    };
    for (length, is_read) in [(MAX - 1, true), (MAX, true), (MAX + 1, false)] {
        let list = padded("[{\"number\": \"+14085551212\",", "\"block\": true}", length);
        assert_eq!(json(&(list + "]")).is_ok(), is_read, "{length}");
        // The end of the line is added by the reader.
        let table = padded("number,name\n+14085551212,", "A", length);
        assert_eq!(csv(&table).is_ok(), is_read, "{length}");
    }
    let error = text_of(&csv(&padded("number,name\n\"", "", MAX + 1)).unwrap_err());
    assert!(error.contains("an entry is longer than 16777216 bytes"), "{error}");
    // Entries that are longer together are read.
    let row = |number: u64| padded(&format!("\n+1408555{number:04},"), "A", 1 << 20);
    let table: String = "number,name".to_owned() + &(0..18).map(row).collect::<String>();
    assert_eq!(csv(&table).unwrap().0.len(), 18);
}
