//! What exceptions, allow lists and `$badfilter` take back, and which keys are named where they do not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "exceptions/overlaps.rs"]
mod overlaps;

use blocklist::builder::{Builder, Built, Guards, Options};
use blocklist::key::Refusal;
use blocklist::list::{Format, ReadOptions};

/// Builds an Adblock list and, unless it is empty, an allow list.
fn build(list: &str, allow: &str, read: &ReadOptions) -> Built {
    let options = Options::default().with_guards(Guards::off());
    // A build needs a key.
    let builder = Builder::new(options)
        .add_list("other", &b"other.example\n"[..], None)
        .unwrap()
        .add_source("list", list.as_bytes(), read)
        .unwrap();
    let builder = match allow {
        "" => builder,
        allow => {
            builder.add_allow_list("allow", allow.as_bytes(), &ReadOptions::default()).unwrap()
        }
    };
    builder.finish().unwrap()
}

/// The keys that a list leaves, and the exceptions that are still covered as `entry by key`.
fn outcome(built: &Built) -> (Vec<&str>, Vec<String>) {
    let keys = built.keys.iter().skip(1).map(|key| std::str::from_utf8(key).unwrap()).collect();
    let covered = built.report.still_covered.iter();
    (keys, covered.map(|of| format!("{} by {}", of.entry, of.key)).collect())
}

#[track_caller]
fn gives(list: &str, keys: &[&str], covered: &[&str]) {
    let built = build(list, "", &Format::Adblock.into());
    let (left, told) = outcome(&built);
    assert_eq!(
        (left.as_slice(), told),
        (keys, covered.iter().map(|&text| text.to_owned()).collect()),
        "{list}"
    );
}

#[test]
fn exceptions_for_some_requests_are_named_with_the_keys_that_they_weaken() {
    for exception in [
        "@@||a.example^$script",
        "@@||a.example/*/x",
        "@@||sub.a.example^$third-party",
        "@@||a.example/x?",
        "@@||a.example/x$domain=b.example",
        "@@|https://a.example^$image",
        "@@a.example/x$script",
        "@@||a.example^*x",
    ] {
        let told = format!("{exception} by a.example");
        gives(&format!("||a.example^\n{exception}\n"), &["a.example"], &[&told]);
        gives(&format!("{exception}\n||a.example^\n"), &["a.example"], &[&told]);
    }
    // Keys below are named as well, the first five of them.
    gives(
        "||a.example/x\n||b.a.example^\n||a.example^\n||xa.example^\n@@||a.example^$script\n",
        &["a.example/x", "b.a.example", "a.example", "xa.example"],
        &[
            "@@||a.example^$script by a.example",
            "@@||a.example^$script by a.example/x",
            "@@||a.example^$script by b.a.example",
        ],
    );
    let many: String = (0..7).map(|number| format!("||{number}.a.example^\n")).collect();
    let built = build(&format!("{many}@@||a.example^$script\n"), "", &Format::Adblock.into());
    assert_eq!(built.report.still_covered.len(), 5);
    // What names no host, allows no request, or another path, weakens none.
    gives(
        "||a.example/x^\n@@||a.example^$generichide\n@@/ads/*$script\n@@||a.example/y$script\n@@||b.example^$script\n\
         @@||a.example/x$script,badfilter\n@@||a.example/x$script\n",
        &["a.example/x"],
        &[],
    );
}

#[test]
fn exceptions_for_the_requests_of_widened_rules_take_these_back() {
    let read = ReadOptions::from(Format::Adblock).with_widened_rules(true);
    for (list, keys, covered) in [
        ("||a.example^$third-party\n@@||a.example^$third-party\n", &[][..], &[][..]),
        ("||a.example^$3p,script\n@@||a.example^$script,third-party\n", &[], &[]),
        ("||x.a.example/y^$3p\n@@||a.example^$3p\n", &[], &[]),
        ("||a.example^$3p\n@@||a.example^\n", &[], &[]),
        ("||a.example^$3p\n||a.example^$3p,badfilter\n", &[], &[]),
        ("||a.example^$3p\n@@||a.example^$script\n", &["a.example"], &["a.example by a.example"]),
        (
            "||a.example^\n||a.example^$3p\n@@||a.example^$3p\n",
            &["a.example"],
            &["a.example by a.example"],
        ),
        (
            "||a.example^$3p\n||a.example^$popup\n@@||a.example^$3p\n",
            &["a.example"],
            &["a.example by a.example"],
        ),
        (
            "||a.example^$3p,important\n@@||a.example^$3p\n",
            &["a.example"],
            &["a.example by a.example"],
        ),
    ] {
        let built = build(list, "", &read);
        let (left, told) = outcome(&built);
        assert_eq!(
            (left.as_slice(), told),
            (keys, covered.iter().map(|&text| text.to_owned()).collect()),
            "{list}"
        );
    }
    let read = ReadOptions::from(Format::Tpl).with_widened_rules(true);
    let built = build(
        "msFilterList\n-d a.example\n+d a.example\n-d b.example\n+d b.example /x\n-d c.example\n",
        "",
        &read,
    );
    let (left, told) = outcome(&built);
    assert_eq!(left, ["b.example", "c.example"]);
    assert_eq!(told, ["+d b.example /x by b.example"]);
}

#[test]
fn exceptions_without_an_end_take_back_every_longer_path() {
    gives(
        "||a.example/xy\n||a.example/x.js\n||b.a.example/xz/y\n||a.example/x?q\n||a.example/y\n@@||a.example/x\n",
        &["a.example/y"],
        &[],
    );
    gives("||a.example/Xy\n@@||a.example/x*\n", &[], &[]);
    for exception in ["@@||a.example/x^", "@@||a.example/x/", "@@||a.example/x|"] {
        gives(&format!("||a.example/xy\n{exception}\n"), &["a.example/xy"], &[]);
    }
    gives(
        "||a.example/xy\n@@|https://a.example/x\n",
        &["a.example/xy"],
        &["https://a.example/x by a.example/xy"],
    );
}

#[test]
fn exceptions_take_back_all_spellings_of_a_key() {
    for list in [
        "||a.example/Path\n@@||a.example/path\n",
        "||a.example/path\n@@||a.example/PATH\n",
        "||a.example/PATH\n@@||a.example/Path\n",
        "||a.example/A/B/c\n@@||a.example/a/b\n",
        "||a.example/A/B\n@@||a.example^\n",
        "||a.example//X\n@@||a.example//x\n",
        "||a.example/?Q\n@@||a.example/?q\n",
        "||A.example/Path\n||a.example/pAth$badfilter\n||a.example/path\n||a.example/PATH$badfilter\n",
    ] {
        let built = build(list, "", &Format::Adblock.into());
        let (left, told) = outcome(&built);
        assert!(left.is_empty() && told.is_empty(), "{list}: {left:?} {told:?}");
        assert!(built.report.revoked_keys() > 0, "{list}");
    }
    let built = build("||a.example/Path\n", "a.example/path\n", &Format::Adblock.into());
    assert_eq!(outcome(&built), (vec![], vec![]));
}

#[test]
fn an_exception_for_less_than_an_entry_leaves_its_key() {
    for (exception, entry) in [
        ("@@|https://a.example/|", "https://a.example/"),
        ("@@||a.example/|", "a.example/"),
        ("@@|http://a.example/|", "http://a.example/"),
        ("@@|http://a.example^", "http://a.example"),
        ("@@|https://a.example/", "https://a.example/"),
        ("@@||*.a.example^", "*.a.example"),
    ] {
        let told = format!("{entry} by a.example");
        gives(&format!("||a.example^\n{exception}\n"), &["a.example"], &[&told]);
    }
    for (exception, entry) in [
        ("@@||a.example/x|", "a.example/x"),
        ("@@|https://a.example/x|", "https://a.example/x"),
        ("@@||a.example/x/", "a.example/x/"),
        ("@@|https://a.example/x", "https://a.example/x"),
    ] {
        let told = format!("{entry} by a.example/x");
        gives(&format!("||a.example/x\n{exception}\n"), &["a.example/x"], &[&told]);
    }
    // For the same, or more, it does not.
    for rule in [
        "|https://a.example/|",
        "||a.example/|",
        "|http://a.example^",
        "||*.a.example^",
        "||a.example/x/",
        "||a.example/x|",
    ] {
        gives(&format!("{rule}\n@@{rule}\n"), &[], &[]);
        gives(&format!("{rule}\n@@||a.example^\n"), &[], &[]);
    }
    gives("|https://a.example/x|\n@@|https://a.example/x\n", &[], &[]);
    gives("|https://a.example/x/y\n@@|https://a.example/\n", &[], &[]);
    gives(
        "|http://a.example/x\n@@|https://a.example/x\n",
        &["a.example/x"],
        &["https://a.example/x by a.example/x"],
    );
    gives("||a.example/x/y\n@@||a.example/x/\n", &[], &[]);
    gives("||a.example/x?y\n@@||a.example/x/\n", &["a.example/x?y"], &[]);
    // A URL of an allow list takes back its own key, whoever asked for it.
    let built =
        build("||a.example^\n||a.example/x\n", "https://a.example/\n", &Format::Adblock.into());
    assert_eq!(outcome(&built).0, ["a.example/x"]);
}

#[test]
fn badfilter_is_for_the_same_text_but_for_case_order_and_stars() {
    for (rule, other) in [
        ("||a.example/x", "||a.example/x^"),
        ("||a.example^", "||a.example/"),
        ("||a.example^", "||a.example^|"),
        ("||a.example^", "|https://a.example^"),
        ("||a.example/x/", "||a.example/x"),
        ("||a.example/x|", "||a.example/x"),
        ("||a.example/x?", "||a.example/x"),
        ("||a.example", "||a.example^"),
    ] {
        for (rule, other) in [(rule, other), (other, rule)] {
            let built = build(&format!("{rule}\n{other}$badfilter\n"), "", &Format::Adblock.into());
            assert_eq!((built.keys.len(), built.report.revoked_keys()), (2, 0), "{rule} {other}");
            let built = build(&format!("{rule}\n{rule}$badfilter\n"), "", &Format::Adblock.into());
            assert_eq!((built.keys.len(), built.report.revoked_keys()), (1, 1), "{rule}");
        }
    }
    for list in [
        "||c.example^\n||C.example^$badfilter\n",
        "||c.example/x\n||c.example/X*$badfilter\n",
        "||c.example^$all,important\n||c.example^$important,badfilter,all\n",
        "||c.example^$doc\n||c.example^$document,badfilter\n",
        "c.example\n||c.example^$badfilter\n",
        "||c.example^\nC.example$badfilter\n",
        "||c.example^\n||c.example/\n||c.example/$badfilter\n||c.example^$badfilter\n",
        "||c.example^\n|https://c.example/|\n||c.example^$badfilter\n@@|https://c.example/|\n",
    ] {
        gives(list, &[], &[]);
    }
    for list in [
        "||c.example^$all\n||c.example^$badfilter\n",
        "||c.example^\n||c.example/\n||c.example/$badfilter\n",
        "||c.example^\n||c.example^$important,badfilter\n",
    ] {
        gives(list, &["c.example"], &[]);
    }
}

#[test]
fn rules_for_some_requests_in_an_allow_list_are_named_with_the_keys() {
    let allow = "[Adblock]\n||a.example^$script\n@@||b.example/*/x\n||c.example^\n";
    let built =
        build("||a.example^\n||x.b.example^\n||c.example^\n", allow, &Format::Adblock.into());
    let (left, told) = outcome(&built);
    assert_eq!(left, ["a.example", "x.b.example"]);
    assert_eq!(told, ["||a.example^$script by a.example", "@@||b.example/*/x by x.b.example"]);
}

#[test]
fn a_key_that_blocks_what_an_exception_names_is_inexact() {
    let built = build("||a.example^\n@@||x.a.example^\n", "", &Format::Adblock.into());
    assert!(built.report.inexact(|_| false).eq(["still-covered"]));
    assert_eq!(built.report.inexact(|name| name == "still-covered").count(), 0);
    let built = build("||a.example^\n@@||a.example^\n", "", &Format::Adblock.into());
    assert_eq!(built.report.inexact(|_| false).count(), 0);
}

#[test]
fn exceptions_for_both_schemes_take_back_and_those_without_a_key_are_exceptions() {
    gives("||z.example^\n@@|http*://z.example^\n||w.example^\n@@|*://w.example^\n", &[], &[]);
    let list = "||z.example^\n@@|h*p://z.example^\n@@||no-domain^\n";
    gives(list, &["z.example"], &["h*p://z.example by z.example"]);
    let built = build(list, "", &Format::Adblock.into());
    let refused: Vec<_> = built.report.refused.keys().map(|refusal| refusal.name()).collect();
    assert_eq!(refused, ["exception"]);
}

#[test]
fn an_exception_for_a_top_level_domain_takes_back_all_below() {
    gives("||x.gov^\n||a.b.gov/p^\n||b.com^\n@@||gov^\n", &["b.com"], &[]);
    gives("||x.gov^\n||b.com^\n@@||*.gov^\n", &["b.com"], &[]);
    gives("||x.gov^$important\n||b.com^\n@@||gov^\n", &["x.gov", "b.com"], &["gov by x.gov"]);
    let list = "||x.gov^\n||good.com^\n||b.com^\n";
    // A word of a list of names may be prose.
    let words = "gov\ngood.com\nfine.com\nok.com\nfour.com\n";
    assert_eq!(outcome(&build(list, words, &Format::Adblock.into())).0, ["x.gov", "b.com"]);
    let built = build(
        list,
        "*.gov\n*.edu\ngood.com\nfine.com\nok.com\nfour.com\n",
        &Format::Adblock.into(),
    );
    assert_eq!(outcome(&built).0, ["b.com"]);
    // A file, or a host of a hosts list, is no domain with all below it.
    gives("||x.gov^\n@@||js^\n", &["x.gov"], &[]);
}

/// Each is another way of writing the same, so that one is enough: all of them took time with the square of their number.
#[test]
fn exceptions_and_rules_that_differ_in_case_alone_count_once() {
    let way = |number: u32| {
        let letter = |(place, c): (usize, char)| match number >> place & 1 {
            1 => c.to_ascii_uppercase(),
            _ => c,
        };
        "abcdefghijklmn".chars().enumerate().map(letter).collect::<String>()
    };
    let rules = (0..10_000).map(|number| format!("@@||{0}.com/x\n||{0}.com/X\n", way(number)));
    gives(&rules.collect::<String>(), &[], &[]);
}

#[test]
fn of_exceptions_for_some_requests_the_first_of_each_host_are_named() {
    for (count, named) in [(99, 99), (100, 100), (101, 100)] {
        let rules = (0..count).map(|number| format!("@@||a.example^$domain=d{number}.example\n"));
        let list = format!("||a.example^\n{}", rules.collect::<String>());
        let built = build(&list, "", &Format::Adblock.into());
        assert_eq!(built.report.still_covered.len(), named);
        assert_eq!(built.report.entries.refused, count);
    }
    // Those that take back are never too many.
    let rules = (0..300).map(|number| format!("@@||a.example^$domain=d{number}.example\n"));
    let list = format!("||a.example^\n{}@@||a.example^\n", rules.collect::<String>());
    gives(&list, &[], &[]);
}

#[test]
fn a_build_whose_keys_are_all_taken_back_says_so() {
    let list = &b"||a.example^\n||b.example^\n@@||a.example^\n@@||b.example^\n"[..];
    let builder = Builder::new(Options::default()).add_list("list", list, None).unwrap();
    assert_eq!(
        builder.finish().unwrap_err().to_string(),
        "exceptions take back all 2 keys of the input: 4 lines read, 0 entries refused"
    );
}

#[test]
fn a_url_with_a_dot_behind_its_host_allows_nothing_of_the_host_without_it() {
    let list = "https://a.example/\nb.example\n0.0.0.0 c.example\n";
    for (allow, keys, refused) in [
        ("https://a.example./\nd.example\n", &["a.example", "b.example", "c.example"][..], 1),
        // Names of the DNS.
        ("b.example.\nd.example\n", &["a.example", "c.example"], 0),
        ("0.0.0.0 c.example.\n0.0.0.0 d.example\n", &["a.example", "b.example"], 0),
    ] {
        let built = build(list, allow, &Format::Adblock.into());
        assert_eq!(outcome(&built).0, keys, "{allow}");
        let count = built.report.refused.get(&Refusal::AbsoluteHost).map_or(0, |seen| seen.count());
        assert_eq!(count, refused, "{allow}");
    }
    let list =
        "||a.example./x\n|https://b.example./|\n||c.example.^\n@@||d.example.^\n||d.example^\n";
    gives(list, &["d.example"], &[]);
}

#[test]
fn badfilter_in_an_allow_list_is_refused_and_changes_nothing() {
    let list = "||a.example^\n||b.example^\n@@||c.example^\n||c.example^\n@@||d.example^$script\n||d.example^\n";
    let plain = build(list, "", &Format::Adblock.into());
    for (allow, text) in [
        ("||a.example^$badfilter", "a.example"),
        ("@@||c.example^$badfilter", "c.example"),
        ("||a.example^$script,badfilter", "||a.example^$script,badfilter"),
        ("@@||d.example^$script,badfilter", "@@||d.example^$script,badfilter"),
        ("||d.example^$script,badfilter", "||d.example^$script,badfilter"),
        ("||*a*.example^$badfilter", "||*a*.example^$badfilter"),
    ] {
        let built = build(list, &format!("||x.example^\n{allow}\n"), &Format::Adblock.into());
        assert_eq!(outcome(&built), outcome(&plain), "{allow}");
        let refused = &built.report.refused[&Refusal::Retraction];
        assert_eq!((refused.count(), refused.examples()[0].entry.as_str()), (1, text), "{allow}");
        assert!(Refusal::Retraction.explanation().contains("move the line to the block list"));
    }
}

#[test]
fn closer_names_of_a_zone_and_of_dnsmasq_prevail_over_a_wildcard_of_the_same_list() {
    let zone = ReadOptions::from(Format::Rpz).with_origin(Some("rpz.example".to_owned()));
    let passthru = "*.a.test CNAME rpz-passthru.\n";
    for (list, keys) in [
        ("bad.a.test CNAME .\n", &["bad.a.test"][..]),
        ("*.x.a.test CNAME .\n", &["x.a.test"]),
        ("*.a.test CNAME .\n", &[]),
    ] {
        for list in [format!("{list}{passthru}"), format!("{passthru}{list}")] {
            assert_eq!(outcome(&build(&list, "", &zone)), (keys.to_vec(), vec![]), "{list}");
        }
        // Another list of the build is another resolver's, and an allow list is for all.
        let built = build(list, "*.a.test\n", &zone);
        assert_eq!(outcome(&built).0, [""; 0], "{list}");
    }
    let other = build("bad.a.test CNAME .\n", "", &zone);
    assert_eq!(outcome(&other).0, ["bad.a.test"]);
    let built = Builder::new(Options::default().with_guards(Guards::off()))
        .add_source("zone", format!("{passthru}bad.a.test CNAME .\n").as_bytes(), &zone)
        .unwrap()
        .add_list("list", &b"bad.a.test\nworse.a.test\n"[..], None)
        .unwrap()
        .finish()
        .unwrap();
    assert!(built.keys.iter().eq([b"bad.a.test"]));
    let dnsmasq = "address=/a.test/#\naddress=/bad.a.test/#\nserver=/*.a.test/#\n";
    let built = build(dnsmasq, "", &Format::Dnsmasq.into());
    let told = vec!["*.a.test by a.test".to_owned()];
    assert_eq!(outcome(&built), (vec!["a.test", "bad.a.test"], told));
}

#[test]
fn a_refused_exception_is_named_whatever_stands_before_its_host() {
    for start in ["//", ".", "*", "||*", "**.", "||."] {
        let exception = format!("@@{start}bad.example^");
        let told = format!("{exception} by bad.example");
        gives(&format!("||bad.example^\n{exception}\n"), &["bad.example"], &[&told]);
    }
}

#[test]
fn sinks_of_dnsmasq_prevail_over_its_servers_for_the_same_domain() {
    for (list, keys, covered) in [
        // Addresses prevail (domain-match.c).
        ("address=/a.test/#\nserver=/a.test/#\n", &["a.test"][..], &["a.test by a.test"][..]),
        ("server=/a.test/#\naddress=/A.test/0.0.0.0\n", &["a.test"], &["a.test by a.test"]),
        ("address=/a.test/0.0.0.0\nserver=/b.a.test/#\n", &["a.test"], &["b.a.test by a.test"]),
        // Domains without an address do not.
        ("local=/a.test/\nserver=/a.test/#\n", &[], &[]),
        // Another server resolves the domain, whatever it says.
        ("local=/a.test/\nserver=/a.test/192.0.2.1\n", &["a.test"], &["a.test by a.test"]),
        ("address=/a.test/\nserver=/b.a.test/192.0.2.1\n", &["a.test"], &["b.a.test by a.test"]),
        ("address=/a.test/\nserver=/b.test/192.0.2.1\n", &["a.test"], &[]),
    ] {
        let built = build(list, "", &Format::Dnsmasq.into());
        let covered: Vec<_> = covered.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(outcome(&built), (keys.to_vec(), covered), "{list}");
    }
}
