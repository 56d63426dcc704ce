use super::*;

const SMALL: &str = "out = \"state\"\n[[source]]\nname = \"a\"\npath = \"a.txt\"\n";

fn parse(text: &str) -> Result<Configuration, String> {
    Configuration::parse(text, Path::new("/lists")).map_err(|error| error.to_string())
}

#[test]
fn a_small_configuration_has_the_defaults() {
    let configuration = parse(SMALL).unwrap();
    assert_eq!(configuration.folders.out(), Path::new("/lists/state"));
    assert_eq!(configuration.build.tolerance, 0.0001);
    assert_eq!(configuration.process.rows_per_shard, 50_000);
    assert_eq!(configuration.delivery, Delivery::None);
    let list = configuration.list("a").unwrap();
    assert_eq!(list.location, Location::Path("/lists/a.txt".into()));
    assert_eq!((list.min_keys, list.max_shrink, list.max_bytes), (1, 0.5, 256 << 20));
}

#[test]
fn unknown_keys_are_refused_by_name_with_their_path() {
    for (text, key, line) in [
        (format!("nme = 1\n{SMALL}"), "nme: there is no such key", 1),
        (format!("{SMALL}min_kys = 1\n"), "source[0].min_kys: there is no such key", 5),
        (format!("{SMALL}[build]\nfrp = 1\n"), "build.frp: there is no such key", 6),
        (format!("{SMALL}[[allow]]\nfile = 1\n"), "allow[0].file: there is no such key", 6),
        (format!("{SMALL}[service]\nusecase = 1\n"), "service.usecase: there is no such key", 6),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.starts_with(key), "{error}");
        assert!(error.contains("known here: "), "{error}");
        assert!(error.ends_with(&format!("(line {line})")), "{error}");
    }
}

#[test]
fn values_of_another_kind_are_refused_with_their_path() {
    for (text, start) in [
        (
            format!("{SMALL}min_keys = \"1\"\n"),
            "source[0].min_keys: a number is expected, not text",
        ),
        (format!("{SMALL}where = 1\n"), "source[0].where: a text or a list of texts is expected"),
        ("out = 1\n".to_owned(), "out: text is expected, not a number"),
        ("[[source]]\n".to_owned(), "out: it is missing"),
        ("out = \"\n".to_owned(), "not valid TOML"),
        ("out = \"\"\n".to_owned(), "out: a folder is expected"),
        ("out = \"a\"\n".to_owned(), "source: at least one [[source]]"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.starts_with(start), "{text}: {error}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (text, start) in [
        (format!("{SMALL}url = \"http://x.example/\"\n"), "source[0].path: either path or url"),
        (SMALL.replace("path = \"a.txt\"", ""), "source[0].path: either path or url"),
        (SMALL.replace("path = \"a.txt\"", "url = \"ftp://x\""), "source[0].url: an address that"),
        (SMALL.replace("name = \"a\"", ""), "source[0].name: it is missing"),
        (SMALL.replace("name = \"a\"", "name = \"\""), "source[0].name: 1 to 100 characters"),
        (
            format!("{SMALL}[[source]]\nname = \"a\"\npath = \"b\"\n"),
            "source[1].name: another list",
        ),
        (format!("{SMALL}max_shrink = 1.5\n"), "source[0].max_shrink: a number from 0 to 1"),
        (format!("{SMALL}max_bytes = 0\n"), "source[0].max_bytes: at least 1"),
        (
            format!("{SMALL}timeout_seconds = 0\n"),
            "source[0].timeout_seconds: a number from 1 to 31536000",
        ),
        (format!("{SMALL}format = \"cvs\"\n"), "source[0].format: "),
        (format!("{SMALL}where = \"a=b\"\n"), "source[0].where: rows are chosen of a table"),
        (format!("{SMALL}[build]\nfpr = 1.0\n"), "build.fpr: a number above 0 and below 1"),
        (format!("{SMALL}[build]\nsystems = [\"25\"]\n"), "build.systems: "),
        (
            format!("{SMALL}[build]\nprotect = [\"a.com\", \"https://a.com\"]\n"),
            "build.protect[1]: ",
        ),
        (format!("{SMALL}[build]\nallow_suffixes = [\"x!\"]\n"), "build.allow_suffixes[0]: \"x!\""),
        (format!("{SMALL}[build]\nunprotect = [\"\"]\n"), "build.unprotect[0]: "),
        (format!("{SMALL}[process]\nrows_per_shard = 0\n"), "process.rows_per_shard: at least 1"),
        (
            format!("{SMALL}[process]\nrlwe_parameters = \"n_1\"\n"),
            "process.rlwe_parameters: there is no set `n_1`; known are n_",
        ),
        (
            format!("{SMALL}[process]\nrlwe_parameters = \"insecure_n_8_logq_5x18_logt_5\"\n"),
            "process.rlwe_parameters: queries under insecure_n_8",
        ),
        (format!("{SMALL}[service]\nkeep = 1\n"), "service.keep: it has no effect without publish"),
        (
            format!("{SMALL}[service]\nevery_minutes = 0\n"),
            "service.every_minutes: a number from 1 to 525600",
        ),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.starts_with(start), "{text}: {error}");
    }
}

#[cfg(all(feature = "http", feature = "publish"))]
#[test]
fn a_result_is_published_or_a_service_told() {
    let reload =
        parse(&format!("{SMALL}[service]\nreload = \"http://127.0.0.1:9090/\"\n")).unwrap();
    assert_eq!(reload.delivery, Delivery::Reload { address: "http://127.0.0.1:9090".to_owned() });
    let text = format!("{SMALL}[service]\nuse_case = \"u\"\npublish = \"p\"\nsign = \"k\"\n");
    let Delivery::Publish { address, key, filter_delay, keep, .. } = parse(&text).unwrap().delivery
    else {
        panic!()
    };
    assert_eq!((address.as_str(), key), ("/lists/p", Some("/lists/k".into())));
    assert_eq!((filter_delay, keep), (Duration::from_secs(120), 5));
    let error = parse(&text.replace("use_case = \"u\"\n", "")).unwrap_err();
    assert!(error.starts_with("service.use_case: it is missing"), "{error}");
    let error = parse(&format!("{text}reload = \"http://r\"\n")).unwrap_err();
    assert!(error.starts_with("service.reload: either publish or reload"), "{error}");
}

#[test]
fn limits_hold_at_their_edges() {
    let named = |length: usize| SMALL.replace("\"a\"", &format!("\"{}\"", "n".repeat(length)));
    for length in [MAX_NAME - 1, MAX_NAME, MAX_NAME + 1] {
        assert_eq!(parse(&named(length)).is_ok(), length <= MAX_NAME, "{length}");
    }
    for minutes in [525_599, 525_600, 525_601, u64::MAX / 2] {
        let outcome = parse(&format!("{SMALL}[service]\nevery_minutes = {minutes}\n"));
        assert_eq!(outcome.is_ok(), minutes <= MAX_TIME.as_secs() / 60, "{minutes}");
    }
    for count in [MAX_LISTS - 1, MAX_LISTS, MAX_LISTS + 1] {
        let more: String = (1..count - 1)
            .map(|number| format!("[[source]]\nname = \"{number}\"\npath = \"b\"\n"))
            .collect();
        let text = format!("{SMALL}{more}[[allow]]\npath = \"c\"\n");
        let outcome = parse(&text);
        assert_eq!(outcome.is_ok(), count <= MAX_LISTS, "{count}: {:?}", outcome.err());
    }
    let levels = |levels: &[String], fpr: f64| {
        parse(&format!("{SMALL}levels = {levels:?}\n[build]\nfpr = {fpr}\n"))
    };
    for length in [level::MAX_NAME - 1, level::MAX_NAME, level::MAX_NAME + 1] {
        let outcome = levels(&["l".repeat(length)], 0.001);
        assert_eq!(outcome.is_ok(), length <= level::MAX_NAME, "{length}");
    }
    for count in [MAX_LEVELS - 1, MAX_LEVELS, MAX_LEVELS + 1] {
        let names: Vec<String> = (0..count).map(|number| format!("l{number}")).collect();
        assert_eq!(levels(&names, 0.001).is_ok(), count <= MAX_LEVELS, "{count}");
    }
    for (fpr, is_read) in [
        (level::MAX_TOLERANCE.next_down(), true),
        (level::MAX_TOLERANCE, true),
        (level::MAX_TOLERANCE.next_up(), false),
    ] {
        assert_eq!(levels(&["l".to_owned()], fpr).is_ok(), is_read, "{fpr}");
    }
}

#[test]
fn a_configuration_is_read_up_to_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lists.toml");
    for length in [MAX_CONFIGURATION - 1, MAX_CONFIGURATION, MAX_CONFIGURATION + 1] {
        let mut text = SMALL.as_bytes().to_vec();
        text.resize(usize::try_from(length).unwrap(), b'\n');
        std::fs::write(&path, text).unwrap();
        assert_eq!(Configuration::read(&path).is_ok(), length <= MAX_CONFIGURATION, "{length}");
    }
}
