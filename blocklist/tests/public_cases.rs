//! Lists as they are found in the wild, in small, each with the keys that its authors mean.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use blocklist::builder::{BuildError, Builder, Built, Guards, Options};
use blocklist::key::Remark;
use blocklist::list::{Format, ListError, ReadOptions};

fn build_with(list: &str, read: &ReadOptions, options: Options) -> Result<Built, BuildError> {
    Builder::new(options).add_source("list", list.as_bytes(), read)?.finish()
}

fn build(list: &str) -> Result<Built, BuildError> {
    build_with(list, &ReadOptions::default(), Options::default())
}

fn keys(built: &Built) -> Vec<&str> {
    built.keys.iter().map(|key| std::str::from_utf8(key).unwrap()).collect()
}

fn refused(built: &Built) -> Vec<&'static str> {
    built.report.refused.keys().map(|refusal| refusal.name()).collect()
}

fn has(built: &Built, remark: Remark) -> bool {
    built.report.remarks.contains_key(&remark)
}

fn list_error(outcome: Result<Built, BuildError>) -> ListError {
    match outcome {
        Err(BuildError::List { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_header_makes_an_adblock_list_of_generic_rules() {
    let list = "[Adblock Plus 2.0]\n! Title: Some list\n&ad_box=$third-party\n-ad-banner.$image\n\
                -ads-manager/$domain=~a.example\n_banner.gif\n/adserver/\n.ads.js$script\n||tracker.example^\n||malware.example^\n";
    let built = build(list).unwrap();
    assert_eq!(keys(&built), ["tracker.example", "malware.example"]);
    // Without the header, what only Adblock syntax has decides.
    let built = build(&list[list.find('&').unwrap()..]).unwrap();
    assert_eq!(keys(&built), ["tracker.example", "malware.example"]);
}

#[test]
fn tables_are_read_as_tables_or_not_at_all() {
    let list =
        "Number\tDomainAddress\tDate\n1\tbad.example\t2026-01-01\n2\tworse.example\t2026-01-02\n";
    assert!(matches!(list_error(build(list)), ListError::CsvColumnNeeded { .. }));
    let without_header = &list[list.find('1').unwrap()..];
    assert!(matches!(list_error(build(without_header)), ListError::Ambiguous { .. }));
    let read: ReadOptions = "csv=DomainAddress".parse::<Format>().unwrap().into();
    let built = build_with(list, &read, Options::default()).unwrap();
    assert_eq!(keys(&built), ["bad.example", "worse.example"]);
    let outcome = build_with(list, &Format::Urls.into(), Options::default());
    assert!(matches!(outcome, Err(BuildError::Source { .. })));
}

#[test]
fn a_header_in_a_comment_names_the_columns() {
    let list = "################\r\n# Database dump #\r\n#\r\n# id,dateadded,url,url_status,threat\r\n\
                \"1\",\"2026-01-01\",\"http://192.0.2.10/bin.sh\",\"online\",\"malware_download\"\r\n\
                \"2\",\"2026-01-01\",\"https://bad.example/b.exe\",\"offline\",\"malware_download\"\r\n";
    let read: ReadOptions = "csv=url".parse::<Format>().unwrap().into();
    let built = build_with(list, &read, Options::default()).unwrap();
    assert_eq!(keys(&built), ["192.0.2.10/bin.sh", "bad.example/b.exe"]);
    let read = read.with_rows(vec!["url_status=online".parse().unwrap()]);
    let built = build_with(list, &read, Options::default()).unwrap();
    assert_eq!(keys(&built), ["192.0.2.10/bin.sh"]);
}

#[test]
fn lines_may_end_in_carriage_returns() {
    let built = build("a.example\rb.example\rc.example\r").unwrap();
    assert_eq!(keys(&built), ["a.example", "b.example", "c.example"]);
}

#[test]
fn zones_are_relative_to_their_names() {
    let zone = "@ SOA localhost. root.localhost. 1 2 3 4 5\nbad.example.rpz.feed.example. CNAME .\nlocal.example CNAME .\nother.example CNAME .\n";
    let built = build(zone).unwrap();
    assert_eq!(keys(&built), ["local.example", "other.example"]);
    assert_eq!(refused(&built), ["zone-unknown"]);
    let read = ReadOptions::default().with_origin(Some("rpz.feed.example".to_owned()));
    let built = build_with(zone, &read, Options::default()).unwrap();
    assert_eq!(keys(&built), ["bad.example", "local.example", "other.example"]);

    let built = build(
        "$ORIGIN RPZ.Feed.example.\n@ SOA a. b. 1 1 1 1 1\nbad.example.rpz.feed.example. CNAME .\n",
    );
    assert_eq!(keys(&built.unwrap()), ["bad.example"]);

    let built = build(
        "$ORIGIN r.example.\n@ SOA a. b. 1 1 1 1 1\n$GENERATE 1-3 host$.bad.example CNAME .\n\
         $INCLUDE extra.zone\nok.example CNAME .\n",
    )
    .unwrap();
    assert_eq!(
        keys(&built),
        ["host1.bad.example", "host2.bad.example", "host3.bad.example", "ok.example"]
    );
    assert_eq!(refused(&built), ["directive"]);
}

#[test]
fn rules_that_the_list_takes_back_give_no_key() {
    let built = build(
        "||ads.example^\n||ads.example^$badfilter\n||tracker.example^\n@@||tracker.example^\n||keep.example^\n",
    )
    .unwrap();
    assert_eq!(keys(&built), ["keep.example"]);
    // Exceptions do not reach important rules, and badfilter means the same options.
    let built = build(
        "||a.example^$important\n@@||a.example^\n||b.example^$all\n||b.example^\n||b.example^$all,badfilter\n\
         ||c.example^$important\n@@||c.example^$important\n||d.example^\n@@||sub.d.example^\n",
    )
    .unwrap();
    assert_eq!(keys(&built), ["a.example", "b.example", "d.example"]);
    assert_eq!(built.report.still_covered.len(), 2);
}

#[test]
fn badfilter_takes_back_the_rule_of_the_same_text_alone() {
    let built = build(
        "||a.example^\n||www.a.example^$badfilter\n||b.example^\n|https://b.example^$badfilter\n\
         ||c.example^\n||*.c.example^$badfilter\n||d.example/x\n||d.example/X/$badfilter\n\
         ||www.e.example^\n||www.e.example^$badfilter\n||f.example/X\n||f.example/x/$badfilter\n\
         |http://g.example^\n|https://g.example^$badfilter\n||h.example/Y/\n||h.example/Y/$badfilter\n\
         |https://i.example/z|$badfilter\n|https://i.example/z|\n0.0.0.0 J.example\n||j.EXAMPLE^$badfilter\n",
    )
    .unwrap();
    assert_eq!(
        keys(&built),
        [
            "a.example",
            "b.example",
            "c.example",
            "d.example/x",
            "f.example/x",
            "f.example/X",
            "g.example",
            "j.example"
        ]
    );
}

#[test]
fn exceptions_can_be_revoked_themselves() {
    let list = "||a.example^\n@@||a.example^\n@@||a.example^$badfilter\n||b.example^\n@@||b.example^$important\n\
                @@||b.example^$badfilter\n@@||c.example^$badfilter\n||c.example^\n||d.example/x\n@@||d.example/x\n\
                @@||D.example/x$badfilter\n";
    let built = build(list).unwrap();
    // The case of letters does not matter.
    assert_eq!(keys(&built), ["a.example", "c.example", "d.example/x"]);
    let report = serde_json::to_value(&built.report).unwrap();
    assert_eq!(
        report["revokedExceptions"],
        serde_json::json!([
            {"source": "list", "line": 3, "entry": "a.example", "exceptionSource": "list", "exceptionLine": 2},
            {"source": "list", "line": 11, "entry": "D.example/x", "exceptionSource": "list", "exceptionLine": 10}
        ])
    );
    assert_eq!((built.report.entries.exceptions, built.report.revoked_keys()), (7, 1));
    // The line may stand in another list, before the exception.
    let read = ReadOptions::from(Format::Adblock);
    let lists = ["@@||a.example^$badfilter\n", "@@||a.example^\n||a.example^\n"];
    let mut builder = Builder::new(Options::default());
    for list in lists {
        builder = builder.add_source("list", list.as_bytes(), &read).unwrap();
    }
    assert_eq!(keys(&builder.clone().finish().unwrap()), ["a.example"]);
    // What the user allows, no list revokes.
    let lists = "@@||a.example^$important,badfilter\n||a.example^\n||b.example^\n";
    let builder = builder.add_source("other", lists.as_bytes(), &read).unwrap();
    let builder = builder.add_allow_list("ours", &b"a.example\n"[..], &ReadOptions::default());
    assert_eq!(keys(&builder.unwrap().finish().unwrap()), ["b.example"]);
}

#[test]
fn exceptions_of_resolvers_leave_names_below_alone() {
    for list in [
        "address=/a.example/#\naddress=/x.b.example/#\naddress=/c.example/#\nlocal=/b.example/\n\
         server=/b.example/#\nserver=/ok.c.example/#\n",
        "local-zone: a.example always_nxdomain\nlocal-zone: x.b.example static\nlocal-zone: c.example deny\n\
         local-zone: b.example transparent\nlocal-zone: ok.c.example typetransparent\n",
    ] {
        let built = build(list).unwrap();
        assert_eq!(keys(&built), ["a.example", "x.b.example", "c.example"], "{list}");
        let covered = &built.report.still_covered;
        assert_eq!((covered.len(), covered[0].entry.as_str()), (1, "ok.c.example"));
        assert_eq!(covered[0].key, "c.example");
    }
    // What a name is answered with prevails over its zone.
    let built = build(
        "local-zone: a.example transparent\nlocal-data: \"a.example A 0.0.0.0\"\nlocal-zone: b.example static\n\
         local-data: \"b.example A 192.0.2.1\"\n",
    );
    assert_eq!(keys(&built.unwrap()), ["a.example"]);
}

#[test]
fn numbers_and_addresses_of_mail_are_no_hosts() {
    let table = "rank,domain\n1,a.example\n2,b.example\n";
    let read: ReadOptions = "csv=rank".parse::<Format>().unwrap().into();
    let outcome = build_with(table, &read, Options::default());
    assert!(matches!(outcome, Err(BuildError::Source { .. })));
    let built = build("a.example\nabuse@gmail.com\nb.example\n").unwrap();
    assert_eq!(
        (keys(&built), refused(&built)),
        (vec!["a.example", "b.example"], vec!["not-a-host"])
    );
}

#[test]
fn urls_among_rules_are_rules() {
    let built = build("https://a.example/x\n||ads.example^\nhttps://b.example/y\n").unwrap();
    assert_eq!(keys(&built), ["a.example/x", "ads.example", "b.example/y"]);
}

#[test]
fn a_default_port_makes_no_name_harmless() {
    let list = "https://www.apple.com:443/\nhttps://co.uk:443/\nhttps://ok.example:443/\nhttps://b.example/\n";
    let built = build(list).unwrap();
    assert_eq!(keys(&built)[0], "ok.example:443");
    assert_eq!(refused(&built), ["public-suffix", "protected"]);
}

#[test]
fn short_addresses_are_sinks_and_no_names() {
    let built = build("0.0.0.0 x.example\n0 a.example\n127.1 b.example\n0.0.0.0 y.example\n");
    assert_eq!(keys(&built.unwrap()), ["x.example", "a.example", "b.example", "y.example"]);
}

#[test]
fn what_only_looks_like_a_url_is_refused() {
    let off = || Options::default().with_guards(Guards::off());
    let read = ReadOptions::default();
    let built = build("||192.0.2.0/24^\n||198.51.100.7^\n").unwrap();
    assert_eq!((keys(&built), refused(&built)), (vec!["198.51.100.7"], vec!["address-range"]));
    let built =
        build("0.0.0.0 keep1.example\n0.0.0.0keep2.example\n0.0.0.0 keep3.example\n").unwrap();
    assert_eq!(
        (keys(&built), refused(&built)),
        (vec!["keep1.example", "keep3.example"], vec!["glued-sink"])
    );
    let list =
        "||p.example/x$csp=script-src a, b\n||q.example/x$removeparam=/[A-Z]$/\n||r.example^\n";
    let built = build(list).unwrap();
    assert_eq!((keys(&built), refused(&built)), (vec!["r.example"], vec!["rule-option"]));
    let built = build("||*.example.org^\n||m.example^|\n||keep.example^\n").unwrap();
    assert_eq!(keys(&built), ["example.org", "m.example", "keep.example"]);
    let page = "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\nhttp://cdn.example/x.css\n</html>\n";
    assert!(matches!(list_error(build_with(page, &read, off())), ListError::WebPage));
    let error = build_with("co.uk\ngithub.io\n", &read, off()).unwrap_err();
    assert!(error.to_string().contains("public-suffix"), "{error}");
}

#[test]
fn options_that_concern_no_list_are_known() {
    use blocklist::list::ListOption::{self, Defanged, Member, Origin, Sinks, WidenedRules};
    let all = |format: &str| {
        ReadOptions::from(format.parse::<Format>().unwrap())
            .with_member(Some("x".to_owned()))
            .with_origin(Some("rpz.example".to_owned()))
            .with_sinks(vec!["sink.example".to_owned()])
            .with_defanged(true)
            .with_widened_rules(true)
    };
    let without_effect = |list: &str, read: &ReadOptions| -> Vec<ListOption> {
        build_with(list, read, Options::default()).unwrap().report.sources[0].without_effect.clone()
    };
    for (list, format, expected) in [
        ("a.example\n", "urls", vec![Member, Origin, Sinks, WidenedRules]),
        ("x,a.example\n", "csv=2", vec![Member, Origin, Sinks, WidenedRules]),
        ("0.0.0.0 a.example\n", "hosts", vec![Member, Origin, Defanged, WidenedRules]),
        ("||a.example^\n", "adblock", vec![Member, Origin, Defanged]),
        ("a.example CNAME .\n", "rpz", vec![Member, Defanged, WidenedRules]),
    ] {
        assert_eq!(without_effect(list, &all(format)), expected, "{format}");
    }
    assert_eq!(without_effect("a.example\n", &ReadOptions::default()), []);
}

#[test]
fn a_message_of_a_server_is_no_list_of_one() {
    let message = r#"{"documentation_url":"https://docs.code.example/rest","message":"Not Found","status":"404"}"#;
    let read: ReadOptions = "json=documentation_url".parse::<Format>().unwrap().into();
    let error = build_with(message, &read, Options::default()).unwrap_err().to_string();
    assert!(error.contains("one object") && error.contains("message of a server"), "{error}");
    let accepted = || Options::default().with_guards(Guards::default().with_accepted("list"));
    let built = build_with(message, &read, accepted()).unwrap();
    assert_eq!(keys(&built), ["docs.code.example/rest"]);
    let list = format!("[{message}]");
    assert_eq!(keys(&build_with(&list, &read, Options::default()).unwrap()).len(), 1);
}

#[test]
fn a_page_that_is_accepted_by_name_gives_no_entry() {
    let accepted = Guards::default().with_accepted("page");
    let json: ReadOptions = "json=url".parse::<Format>().unwrap().into();
    for (page, read) in [
        ("<html>\nhttps://cdn.example/x.css\n</html>\n", ReadOptions::default()),
        ("# title\n<html>\nads.example\n", Format::Hosts.into()),
        ("{\"message\": \"no such list\"}", ReadOptions::default()),
        ("{\"message\": \"no such list\"}", json),
    ] {
        let builder = |guards| {
            let builder = Builder::new(Options::default().with_guards(guards));
            builder.add_list("list", &b"a.example\n"[..], None).unwrap()
        };
        let error = builder(Guards::default()).add_source("page", page.as_bytes(), &read);
        assert!(matches!(error, Err(BuildError::List { source, .. }) if source.is_page()));
        for is_allow_list in [false, true] {
            let builder = builder(accepted.clone());
            let builder = if is_allow_list {
                builder.add_allow_list("page", page.as_bytes(), &read)
            } else {
                builder.add_source("page", page.as_bytes(), &read)
            };
            let built = builder.unwrap().finish().unwrap();
            assert_eq!(keys(&built), ["a.example"]);
            let source = serde_json::to_value(&built.report.sources[1]).unwrap();
            assert_eq!(
                (&source["certainty"], &source["entries"]["read"]),
                (&"page".into(), &0.into())
            );
        }
    }
    // What is no list for another reason does not pass.
    let builder = Builder::new(Options::default().with_guards(accepted));
    assert!(builder.add_list("page", &b"\x7fELF\0"[..], None).is_err());
}

#[test]
fn comments_behind_dnsmasq_lines_may_follow_a_tab() {
    let built = build("address=/a.example/0.0.0.0\t# why\naddress=/b.example/0.0.0.0 # why\n");
    assert_eq!(keys(&built.unwrap()), ["a.example", "b.example"]);
}

#[test]
fn it_is_said_what_keys_cover() {
    let built = build("0.0.0.0 apex.example\n").unwrap();
    assert!(has(&built, Remark::CoversSubdomains));
    let built = build("https://docs.shared.example/\n").unwrap();
    assert!(has(&built, Remark::CoversWholeHost) && has(&built, Remark::CoversSubdomains));
    let built = build("||site.example^\n").unwrap();
    assert!(built.report.inexact(|_| false).next().is_none());
}

#[test]
fn urls_are_read_as_browsers_read_them() {
    let built = build(
        "https:\\\\www.phish.example\\login\nhttps:/www.fish.example/login\nhttps://e.example/a^b\n",
    );
    let built = built.unwrap();
    assert!(keys(&built).contains(&"phish.example/login"));
    assert!(keys(&built).contains(&"fish.example/login"));
    assert!(keys(&built).contains(&"e.example/a%5eb"));
}
