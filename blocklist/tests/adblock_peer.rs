//! What is kept of an Adblock list is blocked by the engine of Brave (`adblock`) as well.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use adblock::Engine;
use adblock::request::Request;
use adblock::url_parser::{ResolvesDomain, set_domain_resolver};
use blocklist::key::{EntryKind, KeyRules, canonicalise};
use blocklist::list::{self, Action, Entry, Event, Format, RuleOptions, Scope};
use std::fs;
use std::path::Path;

/// A rule that both should understand alike.
struct Rule {
    text: String,
    action: Action,
    /// URLs that the rule names, and the key covers.
    urls: Vec<String>,
    types: &'static [&'static str],
}

/// Types of requests to which a rule without options applies.
const RESOURCES: [&str; 3] = ["script", "image", "xmlhttprequest"];

/// The rule of a line, with URLs of the key that are named by the rule as well. Keys cover more in three ways, of which the
/// report tells: they have no `www.`, no slash before a query, and end before the slash or the empty query at the end.
fn rule(line: &str, entry: &Entry<'_>) -> Option<Rule> {
    let key = canonicalise(entry.text, entry.kind, &KeyRules::default()).ok()?;
    let mut covered = key.text.into_owned();
    if entry.text.contains("/?") && !covered.contains("/?") {
        covered = covered.replacen('?', "/?", 1);
    }
    covered.push_str(match entry.text {
        _ if entry.kind == EntryKind::Host || !covered.contains('/') => "/",
        text if text.ends_with('/') && entry.scope == Scope::Page => "/",
        text if text.ends_with('/') => "/x",
        text if text.ends_with("/?") => "/?x",
        text if text.ends_with('?') => "?x",
        _ => "",
    });
    let place = entry.text.split_once("://").map_or(entry.text, |(_, place)| place);
    let is_address = covered.starts_with(|c: char| c.is_ascii_digit() || c == '[');
    let has_www = place.starts_with("www.");
    let mut urls = Vec::new();
    if entry.scope != Scope::Subdomains {
        let scheme = if entry.text.starts_with("http:") { "http" } else { "https" };
        urls.push(format!("{scheme}://{}{covered}", if has_www { "www." } else { "" }));
    }
    if matches!(entry.scope, Scope::Site | Scope::Subdomains) && !is_address && !has_www {
        urls.push(format!("https://sub.{covered}"));
    }
    let is_for_documents =
        entry.options.contains(RuleOptions::DOCUMENT) && !entry.options.contains(RuleOptions::ALL);
    let types: &[&str] = if is_for_documents { &["document"] } else { &RESOURCES };
    Some(Rule { text: line.to_owned(), action: entry.action, urls, types })
}

/// The rules of a list that are kept, without those of hosts files.
fn rules(text: &str) -> Vec<Rule> {
    let lines: Vec<&str> = text.lines().collect();
    let mut rules = Vec::new();
    list::read(text.as_bytes(), &Format::Adblock.into(), |event| {
        if let Event::Entry { line, entry } = event
            && !matches!(entry.action, Action::Retract | Action::RetractException)
        {
            rules.extend(rule(lines[line as usize - 1].trim(), &entry));
        }
    })
    .unwrap();
    rules
}

fn is_blocked(engine: &Engine, url: &str, kind: &str) -> bool {
    let source = if kind == "document" { url } else { "https://page.example/" };
    let request = Request::new(url, source, kind, "GET").unwrap();
    engine.check_network_request(&request).should_block()
}

/// Names under which names are registered, by the list that `blocklist` has.
struct Suffixes;

impl ResolvesDomain for Suffixes {
    fn get_host_domain(&self, host: &str) -> (usize, usize) {
        let length = psl::domain_str(host).map_or(host.len(), str::len);
        (host.len() - length, host.len())
    }
}

/// The kept rules of which the engine does not block, or allow, a URL that the key covers.
fn differences(text: &str) -> (usize, Vec<String>) {
    // Another test may have set it.
    let _ = set_domain_resolver(Box::new(Suffixes));
    let rules = rules(text);
    let mut different = Vec::new();
    for rule in &rules {
        let engine = match rule.action {
            // Something has to be there that the exception takes back.
            Action::Allow => Engine::new_with_list_text(format!("*$all\n{}", rule.text)),
            _ => Engine::new_with_list_text(rule.text.clone()),
        };
        let asked = rule.urls.iter().flat_map(|url| rule.types.iter().map(move |kind| (url, kind)));
        let mut wrong = asked
            .filter(|(url, kind)| is_blocked(&engine, url, kind) != (rule.action == Action::Block));
        if let Some((url, kind)) = wrong.next() {
            different.push(format!("{} at {url} ({kind})", rule.text));
        }
    }
    (rules.len(), different)
}

/// Whether a rule has a port behind the host, which the engine does not find. Adblock Plus, AdGuard and uBlock Origin match
/// the whole URL.
fn has_port(rule: &str) -> bool {
    let host = rule.trim_start_matches(['@', '|']).split(['/', '^']).next().unwrap_or_default();
    host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

#[test]
fn rules_of_every_form_mean_the_same() {
    let text = "||a.example^\n||b.example\n||c.example/path\n||d.example/path^\n||e.example/path/\n||f.example/*\n\
                ||g.example^*\n||h.example^$important\n||i.example^$document\n||j.example^$all\n\
                |https://k.example/x\n|http://l.example/\n|https://m.example/x|\n||*.n.example^\n*.o.example\n\
                p.example\n||r.example/a?b=c\n||s.example/a,b;c^\n||[2001:db8::1]^\n||192.0.2.7^\n\
                ||t.example/x|\n@@||u.example^\n@@||v.example/x\n@@|https://w.example/\n\
                ||x.example/Path/File.JS\n||y.example/%20a^\n||www.z.example^\n||a.example/?b=\n||b.example/c?\n||c.example/d/?\n||d.example/e/|\n";
    let (count, different) = differences(text);
    assert_eq!(count, text.lines().count());
    assert!(different.is_empty(), "{different:#?}");
    let (count, different) = differences("||a.example:8080^\n||b.example:8080/x\n");
    assert_eq!((count, different.len()), (2, 2), "{different:#?}");
    assert!(different.iter().all(|rule| has_port(rule)));
}

#[test]
fn a_rule_whose_host_ends_with_a_dot_says_nothing_of_the_host_without_it() {
    // Another test may have set it.
    let _ = set_domain_resolver(Box::new(Suffixes));
    for rule in
        ["||a.example.^", "||a.example./x", "|https://a.example./x", "||a.example.^$important"]
    {
        let engine = Engine::new_with_list_text(rule.to_owned());
        assert!(!is_blocked(&engine, "https://a.example/x", "script"), "{rule}");
        let mut entries = 0;
        list::read(rule.as_bytes(), &Format::Adblock.into(), |event| {
            entries += usize::from(matches!(event, Event::Entry { .. }));
        })
        .unwrap();
        assert_eq!(entries, 0, "{rule}");
    }
}

#[test]
#[ignore = "needs the lists of ../shared/data"]
fn lists_mean_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    for name in ["easylist.txt", "easyprivacy.txt", "phishing-domains.adblock"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let (count, mut different) = differences(&text);
        different.retain(|rule| !has_port(rule));
        assert!(count > 10_000, "{name}: {count} rules are kept");
        assert!(
            different.is_empty(),
            "{name}: {} of {count} differ: {different:#?}",
            different.len()
        );
    }
}
