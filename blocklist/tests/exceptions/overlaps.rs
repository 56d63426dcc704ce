//! Exceptions for a part of what a key blocks, or for more than it blocks.

use super::{build, outcome};
use blocklist::list::Format;

/// Checks what a list of URLs and Adblock rules and an allow list leave, and which exceptions are reported.
#[track_caller]
fn leaves(list: &str, allow: &str, keys: &[&str], covered: &[&str]) {
    let built = build(list, allow, &Format::Urls.into());
    let covered: Vec<_> = covered.iter().map(|&text| text.to_owned()).collect();
    assert_eq!(outcome(&built), (keys.to_vec(), covered), "{list} {allow}");
}

#[test]
fn an_exception_for_a_host_is_named_with_the_pages_of_its_parents() {
    for allow in [
        "z.bad.example",
        "*.bad.example",
        "0.0.0.0 z.bad.example",
        "[Adblock]\n||z.bad.example^",
        "[Adblock]\n@@|https://z.bad.example^",
        "[Adblock]\n@@||z.bad.example^$script",
        "a.z.bad.example",
    ] {
        let built = build("||bad.example/p^\n", &format!("{allow}\n"), &Format::Adblock.into());
        let (keys, told) = outcome(&built);
        assert_eq!(keys, ["bad.example/p"], "{allow}");
        assert_eq!(told.len(), 1, "{allow}: {told:?}");
        assert!(told[0].ends_with(" by bad.example/p"), "{allow}: {told:?}");
    }
    for (rule, exception, key) in [
        ("||bad.example/p^", "@@||z.bad.example^", "bad.example/p"),
        ("||bad.example/p^", "@@||z.bad.example^$important", "bad.example/p"),
        ("||bad.example/p/q^", "@@||z.bad.example/p^", "bad.example/p/q"),
        ("||bad.example/p?q^", "@@||z.bad.example/p^", "bad.example/p?q"),
        ("||bad.example/pq^", "@@||z.bad.example/p", "bad.example/pq"),
        ("||bad.example:8443^", "@@||z.bad.example^", "bad.example:8443"),
        ("||bad.example:8443/p^", "@@||z.bad.example:8443^", "bad.example:8443/p"),
        ("||bad.example/p^", "@@||bad.example:8443^", "bad.example/p"),
        ("||z.bad.example^", "@@||bad.example/p^", "z.bad.example"),
        ("||z.bad.example^", "@@||bad.example:8443^", "z.bad.example"),
        ("||z.bad.example/p^", "@@||bad.example:8443^", "z.bad.example/p"),
        ("||z.bad.example:8443^", "@@||bad.example:8443/p^", "z.bad.example:8443"),
    ] {
        let entry = exception.strip_prefix("@@||").unwrap();
        let entry = entry.split(['^', '$']).next().unwrap();
        let built = build(&format!("{rule}\n{exception}\n"), "", &Format::Adblock.into());
        assert_eq!(outcome(&built).1, [format!("{entry} by {key}")], "{rule} {exception}");
        assert_eq!(outcome(&built).0[0], key, "{rule} {exception}");
    }
}

#[test]
fn an_exception_is_not_named_with_keys_that_block_nothing_of_it() {
    for (rule, exception) in [
        ("||bad.example/p^", "@@||bad.test^"),
        ("||bad.example/p/q^", "@@||z.bad.example/pp^"),
        ("||bad.example/pq^", "@@||z.bad.example/p^"),
        ("||bad.example/p?q^", "@@||z.bad.example/p/"),
        ("||y.bad.example/p^", "@@||z.bad.example^"),
        ("||bad.example:8443^", "@@||z.bad.example:8444^"),
        ("||bad.example:8443/p^", "@@||bad.example:8444^"),
        ("||z.bad.example/q^", "@@||bad.example/p^"),
        ("||z.bad.example:8443^", "@@||bad.example:8444^"),
        ("||192.0.2.1/p^", "@@||0.2.1^"),
        // One page.
        ("||bad.example/p^", "@@|https://z.bad.example/|"),
    ] {
        let built = build(&format!("{rule}\n{exception}\n"), "", &Format::Adblock.into());
        assert_eq!(outcome(&built).1, [""; 0], "{rule} {exception}");
    }
}

#[test]
fn ports_of_pages_and_of_exceptions_meet() {
    for (list, allow, keys, covered) in [
        (
            "||a.example/p^\n",
            "a.example:443\n",
            &["a.example/p"][..],
            &["a.example:443 by a.example/p"][..],
        ),
        (
            "||a.example/p^\n",
            "a.example:8443\n",
            &["a.example/p"],
            &["a.example:8443 by a.example/p"],
        ),
        (
            "https://a.example:8443/p\n",
            "z.a.example:8443\n",
            &["a.example:8443/p"],
            &["z.a.example:8443 by a.example:8443/p"],
        ),
        // A page without a port is at the default port of its scheme (URL Standard).
        ("https://a.example:443/p\n", "https://a.example/p\n", &[], &[]),
        ("https://a.example:443/\n", "https://a.example/\n", &[], &[]),
        ("http://a.example:80/p\n", "a.example/p\n", &[], &[]),
        ("http://a.example:80/p\n", "https://a.example/p\n", &["a.example:80/p"], &[]),
        (
            "https://a.example:8443/\n",
            "https://a.example/\n",
            &["a.example:8443", "a.example:8443/"],
            &[],
        ),
        (
            "||a.example:443^\n",
            "https://a.example/p\n",
            &["a.example:443"],
            &["https://a.example/p by a.example:443"],
        ),
        (
            "||a.example:443^\n",
            "https://a.example/\n",
            &["a.example:443"],
            &["https://a.example/ by a.example:443"],
        ),
        ("||a.example:443^\n", "http://a.example/\n", &["a.example:443"], &[]),
        (
            "https://a.example:80/\n",
            "http://a.example/x\n",
            &["a.example:80", "a.example:80/"],
            &["http://a.example/x by a.example:80"],
        ),
        (
            "||a.example:443/p^\n",
            "https://z.a.example/p/q\nb.example/x\n",
            &["a.example:443/p"],
            &["https://z.a.example/p/q by a.example:443/p"],
        ),
        // One that is for another port as well is another exception of the same key.
        ("http://a.example:80/p\n", "https://a.example/p\nhttp://a.example/p\n", &[], &[]),
        (
            "||a.example:443^\n@@||a.example/p^\n",
            "",
            &["a.example:443"],
            &["a.example/p by a.example:443"],
        ),
        ("||a.example:443^\n@@||a.example^\n", "", &[], &[]),
        (
            "||a.example:8443^\n@@||*.a.example^\n",
            "",
            &["a.example:8443", "a.example:8443/"],
            &["*.a.example by a.example:8443"],
        ),
    ] {
        leaves(list, allow, keys, covered);
    }
}

/// Each key and each exception is looked at a few times, whichever of them overlap.
#[test]
fn many_exceptions_below_a_host_with_many_pages_are_named_in_a_short_time() {
    for (path, named) in [
        ("^", 100_000),
        // They name none of the pages, however many there are.
        ("/p^", 0),
        ("/p/", 0),
    ] {
        let keys = (0..20_000).map(|number| format!("||bad.example/p{number}^\n"));
        let exceptions = (0..20_000).map(|number| format!("@@||z{number}.bad.example{path}\n"));
        let list: String = keys.chain(exceptions).collect();
        let built = build(&list, "", &Format::Adblock.into());
        assert_eq!((built.keys.len(), built.report.still_covered.len()), (20_001, named), "{path}");
    }
}
