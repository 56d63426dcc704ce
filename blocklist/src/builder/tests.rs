use super::*;
use crate::key::NameRules;
use filter_core::sub_url::{Profile, SubUrlRule};
use std::num::NonZeroUsize;

fn built(list: &str, options: Options) -> Result<Built, BuildError> {
    Builder::new(options).add_list("list", list.as_bytes(), None)?.finish()
}

fn keys(built: &Built) -> Vec<&str> {
    built.keys.iter().map(|key| std::str::from_utf8(key).unwrap()).collect()
}

#[test]
fn duplicates_count_once_and_all_files_hold_the_same_keys() {
    let list = "# x\nexample.com\n\nHTTP://EXAMPLE.com/\nwww.example.com\ncom\nEXAMPLE.org/a\n";
    let built = built(list, Options::default()).unwrap();
    assert_eq!(keys(&built), ["example.com", "example.org/a"]);
    let report = &built.report;
    assert_eq!((report.lines.total(), report.lines.entry, report.keys), (7, 5, 2));
    let entries = report.entries;
    assert_eq!((entries.read, entries.kept, entries.duplicate, entries.refused), (5, 2, 2, 1));

    let folder = tempfile::tempdir().unwrap();
    built.write(folder.path()).unwrap();
    for path in [folder.path().to_owned(), folder.path().join(PLIST_FILE)] {
        let prefilter = Prefilter::open(&path).unwrap();
        assert_eq!(prefilter.filter().bytes(), built.prefilter.filter().bytes());
    }
    let data_set = std::fs::File::open(folder.path().join(DATA_SET_FILE)).unwrap();
    let again = Builder::new(Options::default()).add_list("data set", data_set, None).unwrap();
    assert!(again.is_exact());
    assert_eq!(again.finish().unwrap().prefilter.tag(), built.prefilter.tag());
}

#[test]
fn the_onboarding_entry_is_verbatim() {
    let options = Options { onboarding_entry: true, ..Options::default() };
    let list = format!("{ONBOARDING_ENTRY}\nexample.com\n");
    assert_eq!(keys(&built(&list, options.clone()).unwrap()), [ONBOARDING_ENTRY, "example.com"]);
    assert_eq!(
        keys(&built(&list, Options::default()).unwrap()),
        ["apple.com/url-filter-test", "example.com"]
    );
    let options = options.with_guards(Guards::off());
    assert!(matches!(built("co.uk\n", options), Err(BuildError::NoKeys { refused: 1, .. })));
}

#[test]
fn an_entry_may_need_two_keys() {
    let options = Options { rule: SubUrlRule::Profile(Profile::Ios26_0), ..Options::default() };
    let built = built("www.example.com\nexample.com\n", options).unwrap();
    assert_eq!(keys(&built), ["example.com", "www.example.com"]);
    assert_eq!((built.report.entries.kept, built.report.entries.duplicate), (1, 1));
}

#[test]
fn nothing_usable_and_bad_options_are_errors() {
    for list in ["", "\n\n", "# only\n", "co.uk\n"] {
        let error = built(list, Options::default()).unwrap_err();
        assert!(matches!(error, BuildError::Source { .. }), "{error}");
        let options = Options::default().with_guards(Guards::off());
        let error = built(list, options).unwrap_err();
        assert!(error.to_string().contains("no entry"), "{error}");
    }
    let options = Options { tolerance: 1.0, ..Options::default() };
    assert!(matches!(
        built("example.com\n", options),
        Err(BuildError::Bloom(BloomError::Tolerance(_)))
    ));
}

/// An input that fails after some of its lines.
fn broken_list() -> impl Read {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let lines: String = (0..60_000).map(|i| format!("host{i}.example\n")).collect();
    io::Cursor::new(lines).chain(Broken)
}

#[test]
fn a_failed_list_ends_the_build_and_is_named() {
    let build = Builder::new(Options::default()).add_list("good.txt", &b"a.example\n"[..], None);
    // There is no builder left that could be finished without the rest of the list.
    let error = build.unwrap().add_list("feeds/bad.txt", broken_list(), None).err().unwrap();
    let mut chain = vec![error.to_string()];
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    assert_eq!(
        chain,
        [
            "cannot use the list feeds/bad.txt",
            "reading or decompressing failed",
            "the disk is gone"
        ]
    );
}

#[test]
fn a_copy_taken_before_a_failed_list_can_be_finished() {
    let before =
        Builder::new(Options::default()).add_list("good", &b"a.example"[..], None).unwrap();
    assert!(before.clone().add_list("bad", broken_list(), None).is_err());
    let built = before.finish().unwrap();
    assert_eq!(keys(&built), ["a.example"]);
    assert_eq!(built.report.sources.len(), 1);
}

fn of(lists: &[(&str, Format)], options: Options) -> Result<Built, BuildError> {
    let build =
        lists.iter().enumerate().try_fold(Builder::new(options), |build, (i, (list, format))| {
            build.add_list(&format!("list{i}"), list.as_bytes(), Some(format))
        });
    build?.finish()
}

#[test]
fn an_allow_list_takes_back_the_keys_of_all_lists() {
    let allow = "https://Bank.example/\ngood.example\nwww.other.example\nwww.only.example\n";
    let block = "bank.example\nbank.example/x\nsub.bank.example\na.good.example\nbad.example\n\
                 other.example\nwww.Only.example\nthird.example\n";
    let build = Builder::new(Options::default())
        .add_allow_list("allow", allow.as_bytes(), &Format::Urls.into())
        .unwrap()
        .add_allow_list("rules", &b"@@||third.example^\n"[..], &Format::Adblock.into())
        .unwrap()
        .add_allow_list("empty", &b"# nothing\n"[..], &Format::Urls.into())
        .unwrap()
        .add_list("block", block.as_bytes(), None)
        .unwrap();
    let built = build.finish().unwrap();
    // A URL allows its page alone, a name everything below it, and a name with www. not the whole host.
    assert_eq!(
        keys(&built),
        ["bank.example/x", "sub.bank.example", "bad.example", "other.example"]
    );
    assert_eq!(built.report.entries.exceptions, 5);
    let counts: Vec<u64> = built.report.revoked.values().map(|revoked| revoked.count).collect();
    assert_eq!(counts, [1, 1, 1, 1]);
    let covered: Vec<_> = built.report.still_covered.iter().map(|covered| &*covered.key).collect();
    assert_eq!(covered, ["other.example"]);
}

#[test]
fn an_exception_below_a_key_is_reported_with_the_key() {
    let options = Options::default();
    let built = Builder::new(options)
        .add_list("block", &b"x.example\nbank.example\n"[..], None)
        .unwrap()
        .add_allow_list("allow", &b"\nlogin.bank.example/a\n"[..], &Format::Urls.into())
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(keys(&built), ["x.example", "bank.example"]);
    let json = serde_json::to_value(&built.report).unwrap();
    assert_eq!(
        json["stillCovered"],
        serde_json::json!([{
            "source": "allow", "line": 2, "entry": "login.bank.example/a",
            "key": "bank.example", "keySource": "block", "keyLine": 2,
        }])
    );
}

#[test]
fn the_key_that_defeats_an_exception_is_one_that_remains() {
    let options = Options::default().with_compression(true);
    let built = Builder::new(options)
        .add_list("block", &b"b.example\na.b.example\n"[..], None)
        .unwrap()
        .add_allow_list("allow", &b"x.a.b.example\n"[..], &Format::Urls.into())
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(keys(&built), ["b.example"]);
    let covered: Vec<_> = built.report.still_covered.iter().map(|covered| &*covered.key).collect();
    assert_eq!(covered, ["b.example"]);
}

#[test]
fn compression_leaves_out_what_other_keys_cover() {
    let list = "a.b.example\nb.example\nb.example/x\nc.example/x/y\nc.example/x\nc.example:81/x/z\nd.c.example/x\nwww.apple.com/url-filter-test\n";
    let options = Options::default().with_compression(true).with_onboarding_entry(true);
    let built = of(&[(list, Format::Urls)], options).unwrap();
    assert_eq!(keys(&built), [ONBOARDING_ENTRY, "b.example", "c.example/x", "d.c.example/x"]);
    assert_eq!((built.report.compressed, built.report.keys), (4, 4));
    let rule = SubUrlRule::from_json("{}").unwrap();
    let options = Options::default().with_compression(true).with_rule(rule);
    assert!(matches!(of(&[(list, Format::Urls)], options), Err(BuildError::CannotCompress)));
}

#[test]
fn a_list_that_is_mostly_refused_or_empty_ends_the_build() {
    let ask = |list: &str, guards: Guards| {
        of(
            &[("good.example", Format::Urls), (list, Format::Urls)],
            Options::default().with_guards(guards),
        )
    };
    for (list, is_bad) in [
        ("a.example\nb\nc\n", true),
        // One below half, half, and one above.
        ("a.example\nb.example\nc.example\nd\ne\n", false),
        ("a.example\nb.example\nc\nd\n", true),
        ("a.example\nb.example\nc\nd\ne\n", true),
        ("a.example\nc\n", true),
        ("", true),
        ("# x\n", true),
    ] {
        let outcome = ask(list, Guards::default());
        assert_eq!(
            matches!(outcome, Err(BuildError::Source { ref name, .. }) if name == "list1"),
            is_bad,
            "{list}"
        );
        assert!(ask(list, Guards::default().with_accepted("list1")).is_ok());
        assert!(ask(list, Guards::off()).is_ok());
    }
    for (share, is_bad) in [(0.0, true), (0.24, true), (0.25, true), (0.26, false), (1.0, false)] {
        let guards = Guards::default().with_max_refused(share);
        assert_eq!(
            ask("a.example\nb.example\nc.example\nd\n", guards.clone()).is_err(),
            is_bad,
            "{share}"
        );
        let good = ask("a.example\nb.example\n", guards.with_max_refused(share));
        assert!(good.is_ok(), "{share}");
    }
    let error = ask("a.example\nb\nc\n", Guards::default()).unwrap_err().to_string();
    assert!(
        error.contains("2 of 3 entries make no sense") && error.contains("single-label"),
        "{error}"
    );
}

#[test]
fn too_few_keys_and_lists_that_shrink_end_the_build() {
    let list = |count: usize| (0..count).map(|i| format!("host{i}.example\n")).collect::<String>();
    let with = |guards| Options::default().with_guards(guards);
    for (keys, is_enough) in [(9, false), (10, true), (11, true)] {
        let outcome = built(&list(keys), with(Guards::default().with_min_keys(10)));
        assert_eq!(outcome.is_ok(), is_enough, "{keys}");
    }
    let first = built(&list(100), Options::default()).unwrap();
    let before = PreviousBuild::from_report(&serde_json::to_vec(&first.report).unwrap()).unwrap();
    let shrink = |share| Some(MaxShrink::new(share, before.clone()));
    for (keys, is_enough) in [(69, false), (70, true), (71, true), (200, true)] {
        let outcome = built(&list(keys), with(Guards::default().with_max_shrink(shrink(0.3))));
        assert_eq!(outcome.is_ok(), is_enough, "{keys}");
        assert!(matches!(outcome, Ok(_) | Err(BuildError::Source { .. })));
        // Under another name the list has no number before, and the whole build counts.
        let options = with(Guards::default().with_max_shrink(shrink(0.3)));
        let outcome = of(&[(&list(keys), Format::Urls)], options);
        assert_eq!(outcome.is_ok(), is_enough, "{keys}");
        assert!(matches!(outcome, Ok(_) | Err(BuildError::Shrunk { .. })));
        let guards = Guards::default().with_max_shrink(shrink(0.3)).with_accepted_shrink();
        assert!(of(&[(&list(keys), Format::Urls)], with(guards)).is_ok(), "{keys}");
    }
    assert!(PreviousBuild::from_report(b"{}").is_err());
}

#[test]
fn exceptions_may_become_as_few_as_keys_may() {
    let list = |count: usize| (0..count).map(|i| format!("host{i}.example\n")).collect::<String>();
    let rules = |keys: usize, exceptions: usize| -> String {
        let exceptions = (0..exceptions).map(|i| format!("@@||x{i}.example^\n"));
        (0..keys).map(|i| format!("||host{i}.example^\n")).chain(exceptions).collect()
    };
    let build = |block: &str, allow: &str, guards| {
        let builder = Builder::new(Options::default().with_guards(guards));
        let builder = builder.add_list("block", block.as_bytes(), None)?;
        let read = ReadOptions::default();
        builder.add_allow_list("allow", allow.as_bytes(), &read)?.finish()
    };
    let before = |built: Built| {
        PreviousBuild::from_report(&serde_json::to_vec(&built.report).unwrap()).unwrap()
    };
    // Of an allow list each entry counts; what is empty from the beginning may stay so.
    let first = before(build(&list(20), &list(10), Guards::default()).unwrap());
    let sizes = &first.sources;
    assert_eq!((sizes["block"].taken, sizes["allow"].exceptions), (20, 10));
    for (count, is_enough) in [(0, false), (1, false), (4, false), (5, true), (6, true), (11, true)]
    {
        let guards = Guards::default().with_max_shrink(Some(MaxShrink::new(0.5, first.clone())));
        let outcome = build(&list(20), &list(count), guards.clone());
        assert_eq!(outcome.is_ok(), is_enough, "{count}");
        if let Err(error) = outcome {
            let said = format!("{count} entries say what must not be blocked, and there were 10");
            assert!(error.to_string().contains(&said), "{error}");
        }
        assert!(build(&list(20), &list(count), guards.with_accepted("allow")).is_ok());
    }
    let empty = before(build(&list(20), "", Guards::default()).unwrap());
    let guards = Guards::default().with_max_shrink(Some(MaxShrink::new(0.0, empty)));
    assert!(build(&list(20), "", guards).is_ok());

    // Among rules they count if there were ten.
    for (had, is_guarded) in [(9, false), (10, true), (11, true)] {
        let first = before(build(&rules(20, had), "", Guards::default()).unwrap());
        let guards = Guards::default().with_max_shrink(Some(MaxShrink::new(0.5, first)));
        assert_eq!(build(&rules(20, 0), "", guards).is_err(), is_guarded, "{had}");
    }
}

#[test]
fn a_report_names_the_exceptions_without_effect_of_each_list() {
    let builder = Builder::new(Options::default());
    let builder = builder.add_list("block", &b"bank.example\n"[..], None).unwrap();
    let allow: String = (0..7).map(|i| format!("login{i}.bank.example\n")).collect();
    let read = ReadOptions::default();
    let built = builder.add_allow_list("allow", allow.as_bytes(), &read).unwrap().finish().unwrap();
    let read = PreviousBuild::from_report(&serde_json::to_vec(&built.report).unwrap()).unwrap();
    let source = &read.sources["allow"];
    assert_eq!((source.exceptions, source.still_covered), (7, 7));
    assert_eq!(source.first_still_covered.len(), 5);
    let first = &source.first_still_covered[0];
    assert_eq!(
        (first.line, &*first.entry, &*first.key),
        (1, "login0.bank.example", "bank.example")
    );
    assert_eq!(read.sources["block"].still_covered, 0);
}

#[test]
fn it_is_said_which_filter_leaves_out_all_rows() {
    let csv = "url,status,kind\na.example,offline,x\nb.example,,x\nc.example,offline,y\n";
    let json = r#"[{"url":"a.example","status":"offline","kind":"x"},{"url":"b.example","kind":"x"},{"url":"c.example","status":["offline"],"kind":"y"}]"#;
    let ask = |list: &str, format: &str, filters: &[&str], guards: Guards, is_allow_list: bool| {
        let filters = filters.iter().map(|filter| filter.parse().unwrap()).collect();
        let read = ReadOptions::from(format.parse::<Format>().unwrap()).with_rows(filters);
        let builder = Builder::new(Options::default().with_guards(guards));
        let builder = builder.add_list("good", &b"good.example\n"[..], None)?;
        match is_allow_list {
            true => builder.add_allow_list("feed", list.as_bytes(), &read),
            false => builder.add_source("feed", list.as_bytes(), &read),
        }
    };
    for (list, format) in [(csv, "csv=url"), (json, "json=url")] {
        for (filters, expected) in [
            (
                &["status=online"][..],
                "no row meets `status=online`; the values of status are \"offline\", \"\"",
            ),
            (
                &["kind!=z", "status=online"],
                "the values of status, in rows that meet the conditions before it, are \"offline\", \"\"",
            ),
            (
                &["kind=y", "status=x"],
                "no row meets `status=x`; the values of status, in rows that meet the conditions before it, are \"offline\"",
            ),
            (
                &["kind=z", "status=offline"],
                "no row meets `kind=z`; the values of kind are \"x\", \"y\"",
            ),
        ] {
            for is_allow_list in [false, true] {
                let outcome = ask(list, format, filters, Guards::default(), is_allow_list);
                let error = outcome.unwrap_err().to_string();
                assert!(error.contains("feed") && error.contains(expected), "{format} {error}");
                let accepted = Guards::default().with_accepted("feed");
                assert!(ask(list, format, filters, accepted, is_allow_list).is_ok());
            }
        }
        assert!(ask(list, format, &["kind=y"], Guards::default(), false).is_ok());
    }
    for count in [4, 5, 6] {
        let rows: String = (0..count).map(|row| format!("a.example,{row}\n")).collect();
        let list = format!("url,n\n{rows}");
        let error =
            ask(&list, "csv=url", &["n=x"], Guards::default(), false).unwrap_err().to_string();
        assert_eq!(error.contains("and others"), count > 5, "{error}");
        assert_eq!(error.contains("\"4\""), count > 4, "{error}");
    }
    let long = format!("url,n\na.example,{}\n", "v".repeat(100));
    let error = ask(&long, "csv=url", &["n=x"], Guards::default(), false).unwrap_err().to_string();
    assert!(error.ends_with(&format!("{:?}", "v".repeat(40))), "{error}");
}

#[test]
fn the_report_has_the_names_that_options_allow_and_protect() {
    let names = NameRules::default()
        .with_allowed_suffix("lan")
        .unwrap()
        .with_allowed_suffix("*")
        .unwrap()
        .with_protected("www.bank.example")
        .unwrap()
        .with_protected("b.example")
        .unwrap()
        .without_protected("Apple.com")
        .unwrap()
        .without_protected("b.example")
        .unwrap();
    let built = built("a.example\n", Options::default().with_names(names)).unwrap();
    let report = serde_json::to_value(&built.report).unwrap();
    let options = &report["options"];
    assert_eq!(options["allowedSuffixes"], serde_json::json!(["*", "lan"]));
    assert_eq!(options["protected"], serde_json::json!(["bank.example"]));
    assert_eq!(options["protectedCount"], 1);
    assert_eq!(options["unprotected"], serde_json::json!(["apple.com", "b.example"]));
    for count in [999, 1_000, 1_001] {
        let names = (0..count).fold(NameRules::default(), |names, host| {
            names.with_protected(&format!("h{host}.example")).unwrap()
        });
        let report = Builder::new(Options::default().with_names(names));
        let options = &report.report().options;
        assert_eq!((options.protected_count, options.protected.len()), (count, count.min(1_000)));
    }
}

#[test]
fn a_rule_with_a_path_names_hosts_below_that_26_does_not_ask_for() {
    use crate::key::Remark;
    let list = "||a.example/x^\n||a.example/y|\n||a.example^\n||b.example/\n|https://a.example/z\n\
                ||a.example:8080/x\n||192.0.2.1/x^\n||*.c.example/x\n";
    for (systems, on_26, unconfigured) in
        [("26,27", 3, 0), ("27", 0, 0), ("26", 3, 0), ("26,27,27-unconfigured", 3, 5)]
    {
        let options = Options::default().with_systems(systems.parse().unwrap());
        let built = of(&[(list, Format::Adblock)], options).unwrap();
        let count = |remark| built.report.remarks.get(&remark).map_or(0, |seen| seen.count());
        assert_eq!(count(Remark::HostOnlyOn26), on_26, "{systems}");
        assert_eq!(count(Remark::HostOnlyUnconfigured), unconfigured, "{systems}");
    }
}

#[test]
fn what_a_key_covers_is_remarked() {
    let built = of(
        &[
            ("0.0.0.0 a.example\n", Format::Hosts),
            ("||b.example^\n", Format::Adblock),
            ("https://c.example/\nhttps://d.example/x\ne.example\n", Format::Urls),
        ],
        Options::default(),
    )
    .unwrap();
    let count = |remark| built.report.remarks.get(&remark).map_or(0, |seen| seen.count());
    use crate::key::Remark;
    assert_eq!(count(Remark::CoversSubdomains), 3);
    assert_eq!(count(Remark::CoversWholeHost), 1);
    assert_eq!(count(Remark::CoversPaths), 1);
    assert_eq!(count(Remark::CoversAnotherHost), 0);
}

#[test]
fn the_number_of_lists_is_limited() {
    let mut builder = Builder::new(Options::default());
    for _ in 0..Origin::MAX_SOURCES - 1 {
        builder.report.start_source("a");
    }
    // The last one, and one more.
    let builder = builder.add_list("b", &b"b.example\n"[..], None).unwrap();
    assert_eq!(builder.report().sources.len(), Origin::MAX_SOURCES);
    let refused = builder.add_list("c", &b"c.example\n"[..], None);
    assert!(matches!(refused, Err(BuildError::TooManySources)), "{refused:?}");
}

#[test]
fn generated_names_are_bounded_in_a_build() {
    let one = "$GENERATE 1-1 h$.example CNAME .\n";
    let add = |left: u64, text: &str| {
        let mut builder = Builder::new(Options::default());
        builder.generated = MAX_GENERATED_IN_BUILD - left;
        let builder = builder.add_list("a", &b"a.example\n"[..], None).unwrap();
        let builder = builder.add_list("b", text.as_bytes(), Some(&Format::Rpz))?;
        builder.add_list("c", one.as_bytes(), Some(&Format::Rpz))
    };
    assert!(add(3, one).is_ok());
    assert!(add(2, one).is_ok());
    let error = add(1, one).unwrap_err();
    assert_eq!(error.to_string(), "cannot use the list c");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.contains("line 1: this `$GENERATE` stands for 1 names, and may stand for 0 here"),
        "{source}"
    );
}

/// Several batches of a list with all that becomes of entries, and what the build writes.
#[test]
fn a_build_does_not_depend_on_the_number_of_threads() {
    let mut list = String::from("[Adblock Plus 2.0]\n! a list\n");
    for number in 0..6_000 {
        let line = match number % 8 {
            0 => format!("||host{number}.example^"),
            1 => format!("|https://www.Host{number}.example/Path|"),
            2 => format!("@@||host{}.example^", number - 2),
            3 => format!("||host{number}.example/a^$third-party"),
            4 => format!("||host{}.example^", number / 3),
            5 => "||co.uk^".to_owned(),
            6 => format!("||bücher{number}.example/ü"),
            _ => format!("||host{}.example^$badfilter", number - 3),
        };
        list.push_str(&line);
        list.push('\n');
    }
    let written = |threads| {
        let options = Options::default()
            .with_onboarding_entry(true)
            .with_guards(Guards::off())
            .with_max_threads(NonZeroUsize::new(threads));
        let allow = "host4.example\n".repeat(3_000);
        let built = Builder::new(options)
            .add_allow_list("allow", allow.as_bytes(), &ReadOptions::default())
            .and_then(|builder| builder.add_list("list", list.as_bytes(), None))
            .and_then(Builder::finish)
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        built.write(folder.path()).unwrap();
        [DATA_SET_FILE, PLIST_FILE, BITS_FILE, METADATA_FILE, ORIGINS_FILE, REPORT_FILE]
            .map(|file| std::fs::read(folder.path().join(file)).unwrap())
    };
    let alone = written(1);
    assert!(alone[0].len() > 10_000);
    for threads in [2, 3, 4, 16] {
        assert!(written(threads) == alone, "{threads} threads");
    }
}

#[test]
fn a_filter_is_the_same_whatever_the_number_of_threads() {
    let mut list = String::new();
    for number in 0..200_000 {
        list.push_str(&format!("host{number}.example\n"));
    }
    let bits = |threads| {
        let options = Options::default().with_max_threads(NonZeroUsize::new(threads));
        built(&list, options).unwrap().prefilter.filter().bytes().to_vec()
    };
    let alone = bits(1);
    assert!([2, 3, 9].into_iter().all(|threads| bits(threads) == alone));
}

#[test]
fn a_list_that_breaks_off_behind_full_batches_is_an_error() {
    struct Broken(u32);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| io::Error::other("connection lost"))?;
            let line = b"aaaa.example\n";
            io::Cursor::new(line).read(buffer)
        }
    }
    for (lines, threads) in [(5_000, 1), (5_000, 3), (10, 3)] {
        let options = Options::default().with_max_threads(NonZeroUsize::new(threads));
        let error = Builder::new(options).add_list("list", Broken(lines), None).unwrap_err();
        assert!(matches!(error, BuildError::List { .. }), "{error}");
    }
}

/// 26 alone asks for no port 80, and blocks what an exception with it names.
#[test]
fn exceptions_that_a_system_never_asks_for_are_told() {
    let list = "0.0.0.0 a.example\n@@||a.example:80/x^\n||k.example^\n";
    for systems in ["26", "26,27"] {
        let options = Options::default().with_systems(systems.parse().unwrap());
        let built = of(&[(list, Format::Adblock)], options).unwrap();
        let covered: Vec<&str> =
            built.report.still_covered.iter().map(|covered| &*covered.key).collect();
        assert_eq!(covered, ["a.example"], "{systems}");
    }
}

/// Each of them has millions of texts that would cover it. A build that made them all would take minutes.
#[test]
fn long_keys_are_compared_with_few_texts() {
    let base = format!("https://{}example:8443{}", "a.".repeat(120), "/a".repeat(32_000));
    let urls: String = (0..3).map(|number| format!("{base}{number}\n")).collect();
    for compress in [false, true] {
        let options = Options::default().with_compression(compress);
        let builder = Builder::new(options)
            .add_source("a", (urls.clone() + "k.example\n").as_bytes(), &Format::Urls.into())
            .unwrap();
        let builder =
            builder.add_allow_list("b", &b"zz.example\n"[..], &Format::Urls.into()).unwrap();
        assert_eq!(builder.finish().unwrap().keys.len(), 4, "{compress}");
    }
}
