use crate::list::{Format, ReadOptions, tests};

/// What is read of a list, by lines: what zones and data say is told at its end.
fn details(text: &str, options: &ReadOptions) -> Vec<String> {
    let mut details = tests::details(text, options);
    details.sort_by_key(|told| told.split_once(' ').and_then(|(line, _)| line.parse::<u64>().ok()));
    details
}

#[test]
fn zones_that_give_no_answer_are_entries() {
    let text = "server:\n  local-zone: \"a.example\" always_nxdomain\nlocal-zone: \"b.example.\" always_null # why\n\
                local-zone: c.example refuse\nlocal-zone: 'd.example' static\nlocal-zone: \"e.example\" \"deny\"\n\
                server: local-zone: \"f.example\" always_refuse\nlocal-zone:\"g.example\" inform_deny\n# x\n\n\
                local-zone: \"h.example\" transparent\nlocal-zone: \"i.example\" inform\nlocal-zone: \"j.example\"\n\
                local-zone: l.example block_a\ndo-ip6: no\nforward-zone:\n  name: \"k.example\"\ninclude: x.conf\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "2 block site a.example",
            "3 block site b.example",
            "4 block site c.example",
            "5 block site d.example",
            "6 block site e.example",
            "7 block site f.example",
            "8 block site g.example",
            "11 allow host h.example",
            "12 allow host i.example",
            "13 -directive",
            "14 -not-a-block",
            "15 -directive",
            "17 -directive",
            "18 -directive",
        ]
    );
}

#[test]
fn redirected_zones_are_blocked_unless_their_data_lead_somewhere() {
    let text = "local-zone: \"a.example\" redirect\nlocal-data: \"a.example A 0.0.0.0\"\n\
                local-data: \"a.example. 60 IN AAAA ::\"\nlocal-zone: \"b.example\" redirect\n\
                local-data: \"b.example A 192.0.2.1\"\nlocal-zone: \"c.example\" redirect\n\
                local-zone: \"d.example\" redirect\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "3 block site a.example",
            "5 -not-a-block",
            "6 block site c.example",
            "7 block site d.example",
        ]
    );
    let options = ReadOptions::from(Format::Unbound).with_sinks(vec!["192.0.2.1".to_owned()]);
    assert_eq!(details(text, &options)[1], "5 block site b.example");
}

#[test]
fn a_zone_that_leads_to_another_name_is_not_blocked() {
    let text = "local-zone: \"www.a.example\" redirect\nlocal-data: \"www.a.example CNAME safe.a.example\"\n\
                local-zone: \"b.example\" static\nlocal-data: \"b.example. 60 IN CNAME page.test.\"\n\
                local-zone: \"c.example\" inform_redirect\nlocal-data: \"C.example. CNAME page.test.\"\n\
                local-zone: \"d.example\" redirect\nlocal-data: \"d.example DNAME e.example\"\n\
                local-data: \"f.example CNAME page.test.\"\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "2 -not-a-block",
            "3 block site b.example",
            "4 allow host b.example",
            "6 -not-a-block",
            "8 -not-a-block",
            "9 -not-a-block",
        ]
    );
    let options = ReadOptions::from(Format::Unbound).with_sinks(vec!["page.test".to_owned()]);
    assert_eq!(
        details(text, &options),
        [
            "2 -not-a-block",
            "3 block site b.example",
            "4 block host b.example",
            "6 block site c.example",
            "8 -not-a-block",
            "9 block host f.example",
        ]
    );
}

#[test]
fn data_decide_about_their_zone_wherever_they_stand() {
    let text = "local-data: \"e.example A 192.0.2.1\"\n\
                local-zone: \"a.example\" redirect\nlocal-zone: \"b.example\" redirect\nlocal-zone: \"c.example\" redirect\n\
                local-zone: \"d.example\" static\nlocal-zone: \"e.example\" redirect\n\
                local-data: \"a.example A 192.0.2.1\"\nlocal-data: \"b.example A 0.0.0.0\"\n\
                local-data: \"b.example AAAA 2001:db8::1\"\nlocal-data: \"www.d.example A 192.0.2.1\"\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "1 -not-a-block",
            "4 block site c.example",
            "5 block site d.example",
            "7 -not-a-block",
            "9 -not-a-block",
            "10 allow host www.d.example",
        ]
    );
}

#[test]
fn lines_that_are_too_long_count_for_the_numbers_of_what_is_said_at_the_end() {
    let text = format!(
        "local-zone: \"a.example\" redirect\n# {}\n\nlocal-zone: \"b.example\" redirect\n",
        "x".repeat(crate::list::MAX_LINE)
    );
    assert_eq!(
        details(&text, &Format::Unbound.into()),
        ["1 block site a.example", "2 -too-long", "4 block site b.example"]
    );
}

#[test]
fn zones_of_a_view_are_for_some_clients_only() {
    let text = "server:\nlocal-zone: \"a.example\" always_nxdomain\nview:\nname: \"adults\"\n\
                local-zone: \"a.example\" always_transparent\nlocal-zone: \"b.example\" always_nxdomain\n\
                local-data: \"c.example A 0.0.0.0\"\nforward-zone:\nlocal-zone: \"d.example\" static\n\
                server: local-zone: \"e.example\" always_null\nview: local-zone: \"f.example\" redirect\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "2 block site a.example",
            "4 -directive",
            "5 allow host a.example",
            "6 -rule-option",
            "7 -rule-option",
            "9 -directive",
            "10 block site e.example",
            "11 -rule-option",
        ]
    );
    let built = crate::builder::Builder::new(crate::builder::Options::default());
    let built = built.add_list("list", text.as_bytes(), Some(&Format::Unbound)).unwrap();
    let built = built.finish().unwrap();
    assert!(built.keys.iter().eq([b"a.example".as_slice(), b"e.example"]));
    assert_eq!(built.report.still_covered[0].key, "a.example");
}

#[test]
fn transparent_zones_are_exceptions() {
    let text = "local-zone: \"a.example\" always_transparent\nlocal-zone: b.example. typetransparent\n\
                local-zone: 'c.example' \"TRANSPARENT\"\nserver: local-zone: d.example inform # x\n\
                local-zone: e.example nodefault\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "1 allow host a.example",
            "2 allow host b.example",
            "3 allow host c.example",
            "4 allow host d.example",
            "5 -not-a-block",
        ]
    );
}

#[test]
fn data_of_a_name_prevail_over_its_zone() {
    let text = "local-zone: a.example transparent\nlocal-data: \"a.example A 0.0.0.0\"\n\
                local-zone: b.example always_transparent\nlocal-data: \"b.example A 0.0.0.0\"\n\
                local-zone: c.example static\nlocal-data: \"c.example TXT x\"\nlocal-data: \"c.example. A 192.0.2.1\"\n\
                local-zone: d.example always_nxdomain\nlocal-data: \"d.example A 192.0.2.1\"\n\
                local-zone: e.example redirect\nlocal-data: \"e.example TXT x\"\n\
                local-data: \"f.example A 0.0.0.0\"\nlocal-zone: f.example transparent\n\
                local-data: \"g.example A 0.0.0.0\"\nlocal-zone: g.example always_transparent\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "1 allow host a.example",
            "2 block host a.example +important",
            "3 allow host b.example",
            "4 block host b.example",
            "5 block site c.example",
            "6 -directive",
            "7 allow host c.example",
            "8 block site d.example",
            "9 -not-a-block",
            "10 block site e.example",
            "11 -directive",
            "12 block host f.example",
            "13 -not-a-block",
            "14 block host g.example",
            "15 allow host g.example",
        ]
    );
}

#[test]
fn local_data_of_sinks_are_hosts() {
    let text = "local-data: \"a.example A 127.0.0.1\"\nlocal-data: 'b.example TXT x'\n\
                local-data: \"c.example 3600 IN A 192.0.2.1\"\nlocal-data-ptr: \"192.0.2.1 d.example\"\n\
                local-data: \"e.example A\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "1 block host a.example",
            "2 -directive",
            "3 -not-a-block",
            "4 -not-a-block",
            "5 -directive",
        ]
    );
}

#[test]
fn zones_with_tags_are_for_some_clients_only() {
    let text = "server:\ndefine-tag: \"kids work\"\nlocal-zone: \"a.example\" always_nxdomain\nlocal-zone: b.example transparent\n\
                local-zone: \"c.example\" redirect\nlocal-zone-tag: \"A.example.\" \"kids\"\nlocal-zone-tag: b.example \"kids work\"\n\
                local-zone-tag: \"c.example\" \"kids\"\nlocal-data: \"x.a.example A 0.0.0.0\"\nlocal-zone: y.a.example static\n\
                local-data: \"z.y.a.example A 0.0.0.0\"\nlocal-data: \"d.example A 0.0.0.0\"\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "2 -directive",
            "3 -rule-option",
            "4 allow host b.example",
            "5 -rule-option",
            "6 -directive",
            "7 -directive",
            "8 -directive",
            "9 -rule-option",
            "10 block site y.a.example",
            "11 block host z.y.a.example",
            "12 block host d.example",
        ]
    );
    // The exception for some clients takes nothing back.
    let list = format!("{text}local-zone: b.example refuse\n");
    let built = crate::builder::Builder::new(crate::builder::Options::default());
    let built = built.add_list("other", &b"b.example\n"[..], None).unwrap();
    let built = built.add_list("list", list.as_bytes(), Some(&Format::Unbound)).unwrap();
    let built = built.finish().unwrap();
    assert!(built.keys.iter().any(|key| key == b"b.example"));
    assert!(!built.keys.iter().any(|key| key == b"a.example" || key == b"c.example"));
    assert_eq!(built.report.still_covered[0].key, "b.example");
}

#[test]
fn overrides_are_for_some_clients_and_pointers_block_nothing() {
    let text = "local-zone: \"a.example\" static\nlocal-zone-override: \"a.example\" 192.0.2.0/24 transparent\n\
                local-zone-override: \"b.example\" 192.0.2.0/24 \"always_nxdomain\"\n\
                local-zone-override: c.example 192.0.2.0/24 redirect\nlocal-zone-override: d.example 192.0.2.0/24 nodefault\n\
                local-data-ptr: \"0.0.0.0 e.example\"\naccess-control-tag-data: 192.0.2.0/24 kids \"A 0.0.0.0\"\n\
                newclause:\nlocal-zone: f.example static\nserver:\nlocal-zone: g.example static\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        [
            "1 block site a.example",
            "2 allow host a.example",
            "3 -rule-option",
            "4 -rule-option",
            "5 -not-a-block",
            "6 -not-a-block",
            "7 -directive",
            "9 -directive",
            "11 block site g.example",
        ]
    );
    let built = crate::builder::Builder::new(crate::builder::Options::default());
    let built = built.add_list("list", text.as_bytes(), Some(&Format::Unbound)).unwrap();
    assert!(built.finish().unwrap().keys.iter().eq([b"a.example".as_slice(), b"g.example"]));
}

/// unbound keeps the first zone of a name and warns of the others (localzone.c).
#[test]
fn of_zones_of_one_name_the_first_prevails() {
    let kinds = ["static", "redirect", "transparent", "typetransparent", "block_a"];
    let alone = ["block site", "block site", "allow host", "allow host", "-not-a-block"];
    for (kind, first) in kinds.iter().zip(alone) {
        let zone = format!("local-zone: \"a.example\" {kind}\n");
        for other in kinds.iter().filter(|other| *other != kind) {
            let text = format!("{zone}local-zone: \"A.example.\" {other}\n");
            let told = details(&text, &Format::Unbound.into());
            let is_same = kind.ends_with("transparent") && other.ends_with("transparent");
            let second = if is_same { "2 allow host A.example" } else { "2 -not-a-block" };
            assert!(told[0].starts_with(&format!("1 {first}")), "{text}: {told:?}");
            assert_eq!(told[1..], [second], "{text}");
        }
    }
    let text = "local-zone: \"a.example\" transparent\nlocal-zone: \"a.example\" static\n\
                local-data: \"b.a.example A 192.0.2.1\"\n";
    assert_eq!(
        details(text, &Format::Unbound.into()),
        ["1 allow host a.example", "2 -not-a-block", "3 -not-a-block"]
    );
}

/// Whether its local data prevail over a zone is said by the first zone of the name as well.
#[test]
fn data_prevail_as_the_type_of_the_first_zone_says() {
    let data = "local-data: \"a.example A 192.0.2.1\"\n";
    let zone = |kind| format!("local-zone: a.example {kind}\n");
    let said = |text: &str| -> Vec<String> {
        let all = details(text, &Format::Unbound.into());
        all.iter().map(|told| told.split_once(' ').unwrap().1.to_owned()).collect()
    };
    for (first, second) in [
        ("always_nxdomain", "static"),
        ("static", "always_nxdomain"),
        ("always_transparent", "transparent"),
        ("transparent", "always_transparent"),
    ] {
        let alone = said(&(zone(first) + data));
        let both = said(&(zone(first) + &zone(second) + data));
        assert_eq!((alone.len(), both.len()), (2, 3), "{first} {second}");
        assert_eq!((&both[0], &both[2]), (&alone[0], &alone[1]), "{first} {second}");
    }
}
