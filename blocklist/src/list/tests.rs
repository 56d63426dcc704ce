use super::*;
use proptest::prelude::*;
use std::io::Write;

pub(in crate::list) fn collect(text: &[u8], format: Option<&Format>) -> (Vec<String>, Summary) {
    let mut events = Vec::new();
    let options = ReadOptions::default().with_format(format.cloned());
    let summary = read(text, &options, |event| {
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

pub(in crate::list) fn events(text: &str, format: Format) -> Vec<String> {
    let (events, summary) = collect(text.as_bytes(), Some(&format));
    assert_eq!(summary.lines.total(), text.lines().count() as u64);
    events
}

#[test]
fn gzip_and_byte_order_mark_are_transparent() {
    let text = b"\xef\xbb\xbfexample.com\n\nexample.org/a\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    let gzip = gzip.finish().unwrap();
    for input in [&text[..], &gzip] {
        let (events, summary) = collect(input, None);
        assert_eq!(events, ["1 example.com", "3 example.org/a"]);
        assert_eq!(summary.lines, LineCounts { blank: 1, entry: 2, ..LineCounts::default() });
    }
    assert!(matches!(
        read(&gzip[..gzip.len() - 5], &ReadOptions::default(), |_| {}),
        Err(ListError::Io(_))
    ));
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
fn comments_in_another_encoding_take_nothing_from_entries() {
    let text = b"0.0.0.0 a.example # caf\xe9\n# caf\xe9\n0.0.0.0 b\xe9.example c.example\n";
    let (events, summary) = collect(text, Some(&Format::Hosts));
    assert_eq!(events, ["1 a.example", "3 -not-utf8", "3 c.example"]);
    assert_eq!((summary.lines.comment, summary.lines.entry), (1, 2));
    let text = b"||a.example^ ! caf\xe9\n||b.example^$domain=caf\xe9.example\n||c.example/\xe9^\n||d.example^$\xe9\n";
    let (events, _) = collect(text, Some(&Format::Adblock));
    assert_eq!(events, ["1 a.example", "2 -not-utf8", "3 -not-utf8", "4 -not-utf8"]);
}

#[test]
fn files_that_were_put_together_have_marks_inside() {
    let text = "\u{feff}0.0.0.0 a.example\n\u{feff}0.0.0.0 b.example\n\u{feff}# x\nc.example\n";
    let (events, summary) = collect(text.as_bytes(), None);
    assert_eq!(events, ["1 a.example", "2 b.example", "4 c.example"]);
    assert_eq!(summary.format, Format::Hosts);
    let text = "||a.example^\n\u{feff}[Adblock Plus 2.0]\n\u{feff}||b.example^\n";
    let (events, _) = collect(text.as_bytes(), Some(&Format::Adblock));
    assert_eq!(events, ["1 a.example", "3 b.example"]);
}

#[test]
fn binary_input_is_refused() {
    for input in [
        &b"\x7fELF\x02\x01\x01\0\0\0"[..],
        b"\xff\xfee\0x\0\0\0",
        b"\x89PNG\r\n\x1a\n\x01\x02\x03\x04\x05\x06",
    ] {
        assert!(
            matches!(read(input, &ReadOptions::default(), |_| {}), Err(ListError::Binary)),
            "{input:?}"
        );
        assert!(matches!(read(input, &Format::Urls.into(), |_| {}), Err(ListError::Binary)));
    }
}

fn formats() -> impl Strategy<Value = Option<Format>> {
    let all = [
        "urls", "hosts", "adblock", "dnsmasq", "unbound", "tpl", "rpz", "csv=url", "csv=2",
        "tsv=1", "json=url", "json", "txtpb",
    ];
    let all: Vec<_> = all.iter().map(|name| Some(name.parse().unwrap())).chain([None]).collect();
    prop::sample::select(all)
}

proptest! {
    #[test]
    fn no_input_panics(
        input in prop::collection::vec(any::<u8>(), 0..200),
        text in "(url\n)?([ -~]{0,20}\n){0,6}",
        json in r#"(\{"url": ?|\[|\]|\}|,|\n|"a"|"url":|"b": ?|\{|1|null| ){0,12}"#,
        format in formats(),
        is_asked in any::<bool>(),
    ) {
        let options = ReadOptions::default()
            .with_format(format)
            .with_widened_rules(is_asked)
            .with_defanged(is_asked);
        let _ = read(&input[..], &options, |_| {});
        for text in [text, json] {
            if let Ok(summary) = read(text.as_bytes(), &options, |_| {}) {
                let lines = text.lines().count() as u64;
                prop_assert_eq!(summary.lines.total(), lines, "{:?}", summary.format);
            }
        }
    }
}

#[test]
fn the_limit_of_a_line_is_exact() {
    // One line that lies in the read buffer as a whole, and one that is joined from two buffers.
    for before in ["", &"x.example\n".repeat(12_800)] {
        for (length, is_entry) in [(MAX_LINE - 1, true), (MAX_LINE, true), (MAX_LINE + 1, false)] {
            let text = format!("{before}{}\nlast.example\n", "a".repeat(length));
            let mut outcomes = Vec::new();
            let summary = read(text.as_bytes(), &Format::Urls.into(), |event| match event {
                Event::Entry { entry, .. } => outcomes.push(Ok(entry.text.len())),
                Event::Refused { refusal, .. } => outcomes.push(Err(refusal)),
            })
            .unwrap();
            let expected = if is_entry { Ok(length) } else { Err(Refusal::TooLong) };
            let lines = before.lines().count();
            assert_eq!(outcomes[lines..], [expected, Ok("last.example".len())], "{length}");
            assert_eq!(summary.lines.entry, lines as u64 + 2);
        }
    }
}

#[test]
fn an_input_that_fails_is_an_error_with_its_cause() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    for (start, format) in [("a.example\n", Format::Urls), ("rows {keyword: 'a'}", Format::Txtpb)] {
        let start = start.repeat(20_000);
        let error = read(start.as_bytes().chain(Broken), &format.into(), |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "reading or decompressing failed");
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "the disk is gone");
    }
}

/// Each event with the action, scope, remarks and options of its entry.
pub(in crate::list) fn details(text: &str, options: &ReadOptions) -> Vec<String> {
    let mut events = Vec::new();
    read(text.as_bytes(), options, |event| {
        events.push(match event {
            Event::Entry { line, entry } => {
                let names = format!("{:?} {:?}", entry.action, entry.scope).to_lowercase();
                let remarks: String = entry.remarks.iter().map(|r| format!(" {r}")).collect();
                let sets = [
                    (RuleOptions::IMPORTANT, " +important"),
                    (RuleOptions::ALL, " +all"),
                    (RuleOptions::DOCUMENT, " +document"),
                    (RuleOptions::DROPPED, " +dropped"),
                ];
                let sets: String = sets
                    .iter()
                    .filter(|(set, _)| entry.options.contains(*set))
                    .map(|(_, name)| *name)
                    .collect();
                format!("{line} {names} {}{remarks}{sets}", entry.text)
            }
            Event::Refused { line, refusal, .. } => format!("{line} -{refusal}"),
        });
    })
    .unwrap();
    events
}

#[test]
fn exceptions_among_names_hold_wherever_they_stand() {
    for (format, start) in [(Format::Urls, ""), (Format::Hosts, "0.0.0.0 ")] {
        let names: String =
            (0..1_100).map(|number| format!("{start}d{number}.example\n")).collect();
        let text = format!("{names}@@||d5.example^\n||x.example^$badfilter\n||y.example^\n");
        let all = details(&text, &ReadOptions::default());
        assert_eq!(
            all[1_100..],
            [
                "1101 allow site d5.example",
                "1102 retract site x.example",
                "1103 block site y.example"
            ],
            "{format}"
        );
        let built = crate::builder::Builder::new(crate::builder::Options::default());
        let built = built.add_list("list", text.as_bytes(), None).unwrap().finish().unwrap();
        assert_eq!(built.report.sources[0].format, format.to_string());
        let has = |key: &str| built.keys.iter().any(|of| of == key.as_bytes());
        assert!(!has("d5.example") && has("d6.example") && has("y.example"));
    }
}

/// Lists with other ends of lines were joined: what stands behind the first end would vanish with its comment, or be read as a
/// name of the line before.
#[test]
fn returns_inside_of_a_line_are_refused() {
    let refused = "-control-character";
    let hosts = "# A\n0.0.0.0 a.example\r\r\n# B\r0.0.0.0 b.example\r\n0.0.0.0 c.example\r192.0.2.5 nas.example\n";
    assert_eq!(
        events(hosts, Format::Hosts),
        ["2 a.example".to_owned(), format!("3 {refused}"), format!("4 {refused}")]
    );
    let rules = "! A\n||a.example^\n! B\r||b.example^\n";
    assert_eq!(events(rules, Format::Adblock), ["2 a.example".to_owned(), format!("3 {refused}")]);
}

/// Each took time that grew with the square of its length, minutes for a line of 60 KB. A test that is linear ends at once.
#[test]
fn long_lines_of_one_character_are_read_in_linear_time() {
    let dollars = format!("||a.example/{}\n||k.example^\n", "$".repeat(60_000));
    assert_eq!(events(&dollars, Format::Adblock).last().unwrap(), "2 k.example");
    let slashes = format!("address={}0.0.0.0\n", "/".repeat(60_000));
    assert!(events(&slashes, Format::Dnsmasq).iter().all(|event| event == "1 -wildcard"));
    let origin = "a.".repeat(30_000);
    let zone = format!(
        "$ORIGIN r.\n@ SOA a. b.\n$ORIGIN {origin}r.\n$GENERATE 0-65535 $ CNAME .\n$ORIGIN r.\nk.example CNAME .\n"
    );
    assert!(events(&zone, Format::Rpz).last().unwrap().ends_with(" k.example"));
    let data = format!("local-data: \"{origin}example A 192.0.2.1\"\n").repeat(10);
    let unbound = format!("local-zone: \"example\" static\n{data}");
    assert!(events(&unbound, Format::Unbound).iter().any(|event| event.ends_with(" example")));
}
