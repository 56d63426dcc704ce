use super::*;
use filter_core::sub_url::Profile;

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
    assert!(matches!(built("com\n", options), Err(BuildError::NoKeys { refused: 1, .. })));
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
    for list in ["", "\n\n", "# only\n", "com\nnot a host\n"] {
        let error = built(list, Options::default()).unwrap_err();
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
