//! What `build` makes of several lists, limits and names, and where `why` finds their keys.

use super::{Folder, code, json_lines, run, stderr, stdout};
use std::fs;

#[test]
fn each_file_has_the_format_before_it() {
    let folder = Folder::new();
    let feed = folder.file("feed.csv", "id,url,state\n1,https://a.example/x,on\n2,b.example,off\n");
    let hosts = folder.file("pihole.hosts", "127.0.0.1 localhost\n0.0.0.0 c.example\n");
    let rules = folder.file("adguard.txt", "! Title: x\n||d.example^\n");
    let out = folder.path("dist");
    let arguments =
        ["build", "--format", "csv=url", &feed, "--format", "auto", &hosts, &rules, "--out", &out];
    let keys = || -> Vec<String> {
        let rows = fs::read_to_string(format!("{out}/input.txtpb")).unwrap();
        rows.lines().map(|row| row.split('"').nth(1).unwrap().to_owned()).collect()
    };
    let output = run(&arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(keys(), ["a.example/x", "b.example", "c.example", "d.example"]);
    assert!(stderr(&output).contains("2 lines, read as adblock (by its header)"));
    let output = run(&[&arguments[..], &["--where", "state!=off"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(keys(), ["a.example/x", "c.example", "d.example"]);
    let output = run(&["build", &hosts, "--where", "state=on", "--out", &out]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--format csv=COLUMN"), "{}", stderr(&output));
}

#[test]
fn limits_end_the_build_unless_the_list_is_accepted() {
    let folder = Folder::new();
    let good: String = (0..10).map(|i| format!("host{i}.example\n")).collect();
    let (good, empty) = (folder.file("good", good), folder.file("empty", "# gone\n"));
    let out = folder.path("dist");
    let output = run(&["build", &good, &empty, "--out", &out]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains(&format!("--accept {empty}")), "{}", stderr(&output));
    assert_eq!(code(&run(&["build", &good, &empty, "--accept", &empty, "--out", &out])), 0);
    assert_eq!(code(&run(&["build", &good, "-", "--accept", "-", "--out", &out])), 0);
    let unknown = run(&["build", &good, "--accept", "nowhere", "--out", &out]);
    assert!(code(&unknown) == 2 && stderr(&unknown).contains("nowhere"));
    assert_eq!(code(&run(&["build", &good, "--min-keys", "11", "--out", &out])), 2);
    let limits = ["build", &good, "--min-keys", "10", "--max-shrink", "0.2", "--out", &out];
    assert_eq!(code(&run(&limits)), 0);
    folder.file("good", "host1.example\nhost2.example\n");
    let output = run(&["build", &good, "--max-shrink", "0.2", "--out", &out]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("2 entries have a key, and there were 10 before"));
    let accept = ["build", &good, "--max-shrink", "0.2", "--accept", &good, "--out", &out];
    let output = run(&accept);
    assert!(code(&output) == 2 && stderr(&output).contains(&format!("--accept {out} builds")));
    assert_eq!(code(&run(&[&accept[..], &["--accept", &out]].concat())), 0);
}

#[test]
fn strict_builds_tolerate_what_is_named() {
    let folder = Folder::new();
    let hosts = folder.file("hosts", "127.0.0.1 localhost\n0.0.0.0 a.example\n");
    let out = folder.path("dist");
    let output = run(&["build", &hosts, "--strict", "--out", &out]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("(covers-subdomains)"), "{}", stderr(&output));
    let tolerant = ["build", &hosts, "--strict", "--tolerate", "covers-subdomains", "--out", &out];
    assert_eq!(code(&run(&tolerant)), 0);
    assert_eq!(
        code(&run(&["build", &hosts, "--strict", "--tolerate", "nonsense", "--out", &out])),
        2
    );
    let rules = folder.file("rules", "! Title: x\n||a.example^\nb.example##.ad\n");
    assert_eq!(code(&run(&["build", &rules, "--strict", "--out", &out])), 0);
}

#[test]
fn names_are_protected_and_allowed() {
    let folder = Folder::new();
    let list = folder.file("list", "bank.example\napple.com\nco.uk\nprinter.lan\nx.example\n");
    let protect = folder.file("protect", "# ours\nwww.login.bank.example\n");
    let out = folder.path("dist");
    let rows = || fs::read_to_string(format!("{out}/input.txtpb")).unwrap().lines().count();
    let build = |more: &[&str]| {
        let output = run(&[&["build", &list, "--out", &out, "--max-refused", "1"], more].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        rows()
    };
    assert_eq!(build(&[]), 2);
    assert_eq!(build(&["--protect", &protect]), 1);
    assert_eq!(build(&["--unprotect", "apple.com"]), 3);
    assert_eq!(build(&["--allow-suffix", "lan", "--allow-suffix", "co.uk"]), 4);
}

#[test]
fn why_names_the_lists_and_lines_of_keys() {
    let folder = Folder::new();
    let (one, two) = (
        folder.file("one", "x.example\nphish.example/login\n"),
        folder.file("two", "0.0.0.0 x.example\n"),
    );
    let out = folder.path("dist");
    let fpr = ["--fpr", "1e-9"];
    assert_eq!(
        code(&run(
            &[&["build", &one, &two, "--onboarding-entry", "--out", &out], &fpr[..]].concat()
        )),
        0
    );
    let output = run(&[
        "why",
        &out,
        "--json",
        "https://www.x.example/a",
        "https://phish.example/login?a",
        "https://y.example/",
    ]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let answers = json_lines(&output);
    assert_eq!(
        answers[0]["keys"],
        serde_json::json!([{"key": "x.example", "systems": ["26", "27"], "lines": [{"list": one, "line": 1}, {"list": two, "line": 1}]}])
    );
    assert_eq!(answers[1]["keys"][0]["lines"][0]["line"], 2);
    assert_eq!(answers[2]["isBlocked"], false);
    // Systems that spell a URL in another way are named.
    let output = run(&["why", &out, "https://phish.example//login", "https://x.example/"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(
        stdout(&output).contains("            by phish.example/login (on 26, 27)\n"),
        "{}",
        stdout(&output)
    );
    assert!(stdout(&output).contains("            by x.example\n"), "{}", stdout(&output));
    let of = |arguments: &[&str]| {
        code(&run(&[&["why", &out, "https://phish.example//login"], arguments].concat()))
    };
    assert_eq!((of(&["--system", "26"]), of(&["--profile", "current"])), (1, 0));
    // The origins of another build are not used.
    assert_eq!(
        code(&run(&[&["build", &one, "--out", &folder.path("other")], &fpr[..]].concat())),
        0
    );
    fs::copy(folder.0.path().join("other/origins.bin"), folder.0.path().join("dist/origins.bin"))
        .unwrap();
    let output = run(&["why", &out, "https://x.example/"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("another prefilter"), "{}", stderr(&output));
}
