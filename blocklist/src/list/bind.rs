//! BIND configuration: zones whose records are in a file that all blocked names share.

use super::braces::{Braces, Statements, clauses};
use super::sinks::Sinks;
use super::{Emit, EmitFrom, Entry, LineFormat, LineKind, Outcome, ReadOptions, Scope};
use crate::key::{EntryKind, Refusal};

pub(super) struct Bind {
    braces: Braces,
    zones: Zones,
}

struct Zones {
    sinks: Sinks,
    /// Whether the view in which the statement stands is for some clients.
    is_for_some: bool,
}

impl Bind {
    pub(super) fn new(options: &ReadOptions) -> Self {
        let zones = Zones { sinks: Sinks::new(&options.sinks), is_for_some: false };
        Self { braces: Braces::default(), zones }
    }
}

impl LineFormat for Bind {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        self.line_from(line, &mut |_, outcome| emit(outcome))
    }

    fn line_from(&mut self, line: &str, emit: &mut EmitFrom<'_>) -> LineKind {
        self.braces.line(line, &mut self.zones, emit)
    }

    fn end_from(&mut self, emit: &mut EmitFrom<'_>) {
        self.braces.end(emit);
    }
}

/// Parts of the names of files that hold no records of the zone itself.
const SHARED: [&str; 7] = ["blackhole", "block", "dummy", "empty", "null", "nxdomain", "sink"];

impl Statements for Zones {
    const KEYWORDS: &'static [&'static str] = &["zone"];
    const CONTAINERS: &'static [&'static str] = &["view"];

    fn container(&mut self) {
        self.is_for_some = false;
    }

    fn statement<'w>(&mut self, words: &[&'w str]) -> Outcome<'w> {
        let text = words.get(1).or(words.first()).copied().unwrap_or_default();
        self.is_for_some |= restricts_view(words);
        let [keyword, name, rest @ ..] = words else { return Err((Refusal::Directive, text)) };
        let class = rest.first().filter(|word| **word != "{");
        if !keyword.eq_ignore_ascii_case("zone")
            || class.is_some_and(|class| !class.eq_ignore_ascii_case("IN"))
        {
            return Err((Refusal::Directive, text));
        }
        let (mut kind, mut file) = ("", "");
        for clause in clauses(words) {
            match clause[..] {
                [name, value] if name.eq_ignore_ascii_case("type") => kind = value,
                [name, value] if name.eq_ignore_ascii_case("file") => file = value,
                _ => {}
            }
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        if is_local(name) {
            return Err((Refusal::LocalName, name));
        }
        let has_records =
            ["master", "primary"].iter().any(|known| known.eq_ignore_ascii_case(kind));
        if !has_records || !self.is_shared(file, name) {
            return Err((Refusal::NotABlock, name));
        }
        if self.is_for_some {
            return Err((Refusal::RuleOption, name));
        }
        Ok(Entry::new(name, EntryKind::Host).with_scope(Scope::Site))
    }
}

/// Whether a statement of a view says that it is for some clients or queries.
fn restricts_view(words: &[&str]) -> bool {
    let Some((keyword, rest)) = words.split_first() else { return false };
    let is = |known: &str| keyword.eq_ignore_ascii_case(known);
    let is_any = || {
        let mut named = rest.iter().filter(|word| !matches!(**word, "{" | "}" | ";"));
        named.next().is_some_and(|word| word.eq_ignore_ascii_case("any")) && named.next().is_none()
    };
    (is("match-clients") || is("match-destinations")) && !is_any()
        || is("match-recursive-only") && !rest.iter().any(|word| word.eq_ignore_ascii_case("no"))
}

impl Zones {
    /// Whether a file has the records of blocked zones: it is a sink, or it is called so and not after the zone.
    fn is_shared(&self, path: &str, zone: &str) -> bool {
        let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
        if self.sinks.has_name(file) || self.sinks.has_name(path) {
            return true;
        }
        let file = file.to_ascii_lowercase();
        !file.contains(&zone.to_ascii_lowercase()) && SHARED.iter().any(|part| file.contains(part))
    }
}

/// Zones that every server has for itself.
fn is_local(zone: &str) -> bool {
    let zone = zone.to_ascii_lowercase();
    zone == "localhost" || zone.ends_with(".in-addr.arpa") || zone.ends_with(".ip6.arpa")
}

#[cfg(test)]
mod tests {
    use super::super::tests::details;
    use super::super::{Format, ReadOptions};

    #[test]
    fn zones_with_a_shared_file_are_entries() {
        let text = "// list\nzone \"a.example\" { type master; notify no; file \"null.zone.file\"; };\n\
                    zone \"b.example.\" IN {type primary;file \"/etc/bind/blockeddomains.db\";};\n\n\
                    /* more\n zone \"x.example\" { type master; file \"null\"; };\n*/ zone c.example {\n\ttype master;\n\
                    \tallow-query { any; };\n\tfile \"db.empty\"; # why\n};\nview \"v\" {\n match-clients { any; };\n\
                    zone \"d.example\" { type MASTER; file \"C:\\\\dns\\\\Sinkhole.db\"; }; };\n";
        assert_eq!(
            details(text, &Format::Bind.into()),
            [
                "2 block site a.example",
                "3 block site b.example",
                "7 block site c.example",
                "13 -directive",
                "14 block site d.example",
            ]
        );
    }

    #[test]
    fn zones_that_lead_somewhere_are_refused() {
        let text = "options { directory \"/x\"; };\nzone \"a.example\" { type master; file \"a.example.zone\"; };\n\
                    zone \"null.example\" { type master; file \"db.null.example\"; };\n\
                    zone \"b.example\" { type slave; masters { 192.0.2.1; }; file \"null\"; };\n\
                    zone \"c.example\" { type forward; forwarders { 192.0.2.1; }; };\n\
                    zone \"10.in-addr.arpa\" { type master; file \"db.empty\"; };\n\
                    zone \"d.example\" CH { type master; file \"null\"; };\nzone \"e.example\" { file \"null\"; };\n\
                    include \"x.conf\";\n";
        assert_eq!(
            details(text, &Format::Bind.into()),
            [
                "1 -directive",
                "2 -not-a-block",
                "3 -not-a-block",
                "4 -not-a-block",
                "5 -not-a-block",
                "6 -local-name",
                "7 -directive",
                "8 -not-a-block",
                "9 -directive",
            ]
        );
        let options = ReadOptions::from(Format::Bind).with_sinks(vec!["a.example.zone".to_owned()]);
        assert_eq!(details(text, &options)[1], "2 block site a.example");
    }

    #[test]
    fn zones_of_a_view_for_some_clients_are_refused() {
        let text = "view \"guests\" {\n match-clients { 192.0.2.0/24; };\n\
                    zone \"a.example\" { type master; file \"null\"; };\n zone \"b.example\" { type forward; };\n};\n\
                    view \"all\" { match-clients { any; };\nzone \"c.example\" { type master; file \"null\"; };\n};\n\
                    view \"x\" { match-destinations { !192.0.2.1; any; };\nzone \"d.example\" { type master; file \"null\"; };\n};\n\
                    view \"y\" { match-recursive-only yes;\nzone \"e.example\" { type master; file \"null\"; };\n};\n\
                    zone \"f.example\" { type master; file \"null\"; };\n";
        assert_eq!(
            details(text, &Format::Bind.into()),
            [
                "2 -directive",
                "3 -rule-option",
                "4 -not-a-block",
                "6 -directive",
                "7 block site c.example",
                "9 -directive",
                "10 -rule-option",
                "12 -directive",
                "13 -rule-option",
                "15 block site f.example",
            ]
        );
    }

    #[test]
    fn a_missing_brace_costs_one_zone() {
        let text = "zone \"a.example\" { type master; file \"null\";\n\
                    zone \"b.example\" { type master; file \"null\"; };\nzone \"c.example\" { type master;\n";
        assert_eq!(
            details(text, &Format::Bind.into()),
            ["1 -open-parenthesis", "2 block site b.example", "3 -open-parenthesis"]
        );
        let text = "options { response-policy { zone \"rpz\"; };\nzone \"a.example\" IN { type master; file \"null\"; };\n";
        assert_eq!(
            details(text, &Format::Bind.into()),
            ["1 -open-parenthesis", "2 block site a.example"]
        );
        let text = "options { response-policy { zone \"rpz\"; }; };\n";
        assert_eq!(details(text, &Format::Bind.into()), ["1 -directive"]);
        let long = format!(
            "options {{ {} }};\nzone \"a.example\" {{ type master; file \"null\"; }};\n",
            "x; ".repeat(9_999)
        );
        assert_eq!(
            details(&long, &Format::Bind.into()),
            ["1 -directive", "2 block site a.example"]
        );
    }

    #[test]
    fn what_a_long_statement_says_behind_its_first_words_does_not_count() {
        // zone NAME { type master ; file "null": the last word is the eighth behind the words between.
        for (pairs, words, expected) in [
            (26, 55, "1 block site a.example"),
            (28, 56, "1 block site a.example"),
            (27, 57, "1 -not-a-block"),
        ] {
            let odd = if words % 2 == 1 { "x y;" } else { "" };
            assert_eq!(2 * pairs + 3 * usize::from(!odd.is_empty()), words);
            let between = format!("{}{odd}", "x;".repeat(pairs));
            let text = format!("zone \"a.example\" {{type master;{between}file \"null\";}};\n");
            assert_eq!(details(&text, &Format::Bind.into()), [expected], "{words}");
        }
    }
}
