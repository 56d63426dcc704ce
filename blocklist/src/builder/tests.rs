use super::*;
use filter_core::sub_url::{Profile, SubUrlRule};

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
        ("a.example\nb.example\nc\nd\n", false),
        ("a.example\nc\n", false),
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
    }
    assert!(PreviousBuild::from_report(b"{}").is_err());
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
