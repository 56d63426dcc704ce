use super::super::tests::{details, events};
use super::super::{Event, Format, ReadOptions, read};

fn with_origin(origin: &str) -> ReadOptions {
    ReadOptions::from(Format::Rpz).with_origin(Some(origin.to_owned()))
}

#[test]
fn zone() {
    let text = "$TTL 60\n@ IN SOA ns.example. root.example. (\n  1 60 60\n  60 60 )\n  IN NS ns.example.\n; x\n\
                $ORIGIN rpz.example.\na.example CNAME .\n*.a.example 300 IN CNAME .\nb.example.rpz.example. CNAME *.\n\
                c.example A 0.0.0.0\n\tAAAA ::\nd.example CNAME rpz-passthru.\ne.example CNAME garden.example.\n\
                32.1.2.0.192.rpz-ip CNAME .\nf.example TXT x\ng.example CNAME rpz-drop.\n";
    assert_eq!(
        events(text, Format::Rpz),
        [
            "8 a.example",
            "9 *.a.example",
            "10 b.example",
            "11 c.example",
            "12 c.example",
            "13 d.example",
            "14 -not-a-block",
            "15 -directive",
            "16 -directive",
            "17 g.example",
        ]
    );
}

#[test]
fn a_record_of_several_lines_is_on_its_first() {
    let text = "$ORIGIN r.example.\n@ SOA a. b. (\n1 2 3 4 5 )\nbad.example (\n\n CNAME ; why\n . )\n\
                b.example CNAME .\nc.example CNAME (\n192.0.2.1 )\n";
    assert_eq!(events(text, Format::Rpz), ["4 bad.example", "8 b.example", "9 -not-a-block"]);
}

#[test]
fn the_zone_is_compared_without_case_and_by_labels() {
    let text = "$ORIGIN RPZ.Feed.example.\n@ SOA a. b. 1 1 1 1 1\nbad.example.rpz.feed.example. CNAME .\n\
                myrpz.feed.example. CNAME .\nrpz.feed.example. CNAME .\n@ CNAME .\n";
    assert_eq!(
        events(text, Format::Rpz),
        ["3 bad.example", "4 -outside-zone", "5 -directive", "6 -directive"]
    );
}

#[test]
fn names_are_relative_to_the_origin_and_keys_to_the_zone() {
    let soa = "@ SOA a. b. 1 1 1 1 1\n";
    let text = format!(
        "$ORIGIN rpz.example.\n{soa}a.example CNAME .\n$ORIGIN sub.rpz.example.\nx.example CNAME .\n\
         $ORIGIN deep\ny.example CNAME .\n$ORIGIN other.example.\nz.example CNAME .\n$ORIGIN .\nb.example.rpz.example CNAME .\n"
    );
    let expected = [
        "3 a.example",
        "5 x.example.sub",
        "7 y.example.deep.sub",
        "9 -outside-zone",
        "11 b.example",
    ];
    assert_eq!(events(&text, Format::Rpz), expected);
    // As BIND writes zones.
    let text = "$ORIGIN .\nrpz.example 60 IN SOA a. b. (\n 1 1\n 1 1 1 )\n  NS a.\n$ORIGIN rpz.example.\na.example CNAME .\n";
    assert_eq!(events(text, Format::Rpz), ["7 a.example"]);
    // As a transfer of the zone writes it.
    let text = "rpz.example. 60 IN SOA a. b. 1 1 1 1 1\nrpz.example. 60 IN NS a.\na.example.rpz.example. 60 IN CNAME .\n";
    assert_eq!(events(text, Format::Rpz), ["3 a.example"]);
}

#[test]
fn absolute_owners_need_the_name_of_the_zone() {
    let text =
        "@ SOA a. b. 1 2 3 4 5\nbad.example.rpz.feed.example. CNAME .\ngood.example CNAME .\n";
    assert_eq!(events(text, Format::Rpz), ["2 -zone-unknown", "3 good.example"]);
    for origin in ["rpz.feed.example", "RPZ.feed.example."] {
        assert_eq!(
            details(text, &with_origin(origin)),
            ["2 block host bad.example", "3 block host good.example"]
        );
    }
    let text = "bad.example. CNAME .\n$ORIGIN sub.rpz.example.\nx CNAME .\n";
    assert_eq!(events(text, Format::Rpz), ["1 -zone-unknown", "3 -zone-unknown"]);
    assert_eq!(
        details(text, &with_origin(".")),
        ["1 block host bad.example", "3 block host x.sub.rpz.example"]
    );
    assert_eq!(details(text, &with_origin("rpz.example"))[0], "1 -outside-zone");
}

#[test]
fn ranges_of_records_are_generated() {
    let text = "$ORIGIN r.example.\n@ SOA a. b. 1 1 1 1 1\n$GENERATE 1-3 host$.bad.example CNAME .\n\
                $INCLUDE extra.zone\nok.example CNAME .\n$generate 8-10/2 h${0,3}.example 60 IN A 0.0.0.0\n\
                $GENERATE 65536-0 h$.example CNAME .\n$GENERATE 1-2 h${x}.example CNAME .\n$GENERATE 1-2 x\n\
                $WHAT x\n$GENERATE 1-1 n$.example A 192.0.2.$\n $GENERATE 1-1 w$.example CNAME .\n";
    assert_eq!(
        events(text, Format::Rpz),
        [
            "3 host1.bad.example",
            "3 host2.bad.example",
            "3 host3.bad.example",
            "4 -directive",
            "5 ok.example",
            "6 h008.example",
            "6 h010.example",
            "7 -directive",
            "8 -directive",
            "9 -directive",
            "10 -directive",
            "11 -not-a-block",
            "12 w1.example",
        ]
    );
}

/// How many entries a zone has, or the error.
fn generated(text: &str, options: &ReadOptions) -> Result<u64, String> {
    let mut entries = 0;
    let summary = read(text.as_bytes(), options, |event| {
        entries += u64::from(matches!(event, Event::Entry { .. }));
    });
    let summary = summary.map_err(|error| error.to_string())?;
    assert_eq!(summary.generated, entries);
    Ok(entries)
}

#[test]
fn records_of_one_directive_are_bounded() {
    let options = ReadOptions::from(Format::Rpz);
    for (range, expected) in [
        ("0-65534", Ok(65_535)),
        ("0-65535", Ok(65_536)),
        ("0-65536", Err("65537 names")),
        ("0-4294967295", Err("4294967296 names")),
        ("0-4294967295/65536", Ok(65_536)),
    ] {
        let text = format!("; a zone\n(\n)\n$GENERATE {range} h$.example (\nCNAME .\n)\n");
        match (generated(&text, &options), expected) {
            (Err(error), Err(names)) => {
                for part in ["line 4:", names, "may stand for 65536 here", "*.bad.example"] {
                    assert!(error.contains(part), "{error}");
                }
            }
            (found, expected) => assert_eq!(found.ok(), expected.ok(), "{range}"),
        }
    }
}

#[test]
fn generated_records_are_bounded_in_a_file() {
    let options = ReadOptions::from(Format::Rpz);
    let whole = "$GENERATE 0-65535 h$.example CNAME .\n";
    assert_eq!(generated(&whole.repeat(4), &options), Ok(262_144));
    // One below, at, and one above.
    let below = format!("{}$GENERATE 1-65535 h$.example CNAME .\n", whole.repeat(3));
    let one = "$GENERATE 1-1 h$.example CNAME .\n";
    assert_eq!(generated(&below, &options), Ok(262_143));
    assert_eq!(generated(&format!("{below}{one}"), &options), Ok(262_144));
    let error = generated(&format!("{below}{one}{one}{one}"), &options).unwrap_err();
    assert!(error.starts_with("line 6:") && error.contains("may stand for 0 here"), "{error}");
    // An option cannot raise it.
    let more = options.clone().with_max_generated(u64::MAX);
    assert!(generated(&whole.repeat(5), &more).unwrap_err().starts_with("line 5:"));
    let less = options.with_max_generated(1);
    assert_eq!(generated(one, &less), Ok(1));
    assert!(generated(&one.repeat(2), &less).unwrap_err().starts_with("line 2:"));
}

#[test]
fn actions_and_scopes() {
    let options = with_origin("rpz.example")
        .with_sinks(vec!["sink.feed.example".to_owned(), "192.0.2.1".to_owned()]);
    let text = "a.example CNAME rpz-passthru.\n*.a.example CNAME RPZ-PASSTHRU.\nb.example CNAME B.example.\n\
                *.c.example CNAME .\nd.example CNAME rpz-tcp-only.\ne.example CNAME *.garden.example.\n\
                f.example CNAME Sink.Feed.example.\ng.example A 192.0.2.1\nh.example CNAME sink\n\
                i.example CNAME sink.feed.example\n* CNAME .\n";
    assert_eq!(
        details(text, &options),
        [
            "1 allow host a.example",
            "2 allow subdomains *.a.example",
            "3 allow host b.example",
            "4 block subdomains *.c.example",
            "5 -not-a-block",
            "6 -not-a-block",
            "7 block host f.example",
            "8 block host g.example",
            "9 -not-a-block",
            "10 block host i.example",
            "11 block host *",
        ]
    );
}

#[test]
fn quotes_escapes_and_parentheses() {
    let text = "\"a.example\" CNAME .\n\\098.example CNAME . ; (\nc\\.d.example CNAME .\ne.example ( 60\n IN\n CNAME . ) ; x\n\
                f.example TXT \"; not a comment (\"\ng.example CNAME .\n ; only (\n\\* CNAME .\n(\n)\n";
    assert_eq!(
        events(text, Format::Rpz),
        [
            "1 a.example",
            "2 b.example",
            "3 -not-a-host",
            "4 e.example",
            "7 -directive",
            "8 g.example",
            "10 -not-a-host",
        ]
    );
}

#[test]
fn a_parenthesis_that_is_not_closed_is_reported() {
    let text = "@ SOA a. b. ( 1 1 1 1 1\na.example CNAME .\n";
    assert_eq!(events(text, Format::Rpz), ["2 -open-parenthesis"]);
    for lines in [99, 100, 101] {
        let text = format!("@ SOA a. b. (\n{}", "a.example CNAME .\n".repeat(lines - 1));
        let found = events(&text, Format::Rpz);
        assert_eq!(found.len(), 1 + lines.saturating_sub(100), "{lines}");
    }
}
