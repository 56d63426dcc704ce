//! Lines that say of the lines below them what they are for: headers of sections.

use std::net::Ipv6Addr;

/// What the first line of Adblock lists begins with, in lower case.
pub(super) const ADBLOCK_HEADERS: [&str; 4] = ["[adblock", "[adguard", "[ublock", "[abp"];

/// Whether a line is the header of an Adblock list.
pub(super) fn is_adblock_header(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    ADBLOCK_HEADERS.iter().any(|name| lower.starts_with(name))
}

/// The header, if a line begins a section: `[name]`, as in configuration files, or `{actions}`, as in those of Privoxy. An
/// address in brackets is a host.
pub(super) fn header(line: &str) -> Option<&str> {
    if !line.trim_start().starts_with(['[', '{']) {
        return None;
    }
    let line = without_comment(line.trim());
    if line.starts_with('{') {
        // A backslash continues the line.
        return line.ends_with(['}', '\\']).then_some(line);
    }
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    let is_name = !name.starts_with('$')
        && !name.contains(['[', ']'])
        && name.parse::<Ipv6Addr>().is_err()
        && !is_adblock_header(line);
    is_name.then_some(line)
}

fn without_comment(line: &str) -> &str {
    let marks = [" #", "\t#", " ;", "\t;", " !", "\t!"];
    let end = marks.iter().filter_map(|mark| line.find(mark)).min();
    line[..end.unwrap_or(line.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{BuildError, Builder, Guards, Options, SourceProblem};
    use crate::list::ReadOptions;

    #[test]
    fn names_in_brackets_and_actions_in_braces_begin_sections() {
        for (line, is_header) in [
            ("[blocklist]", true),
            (" [Allow List] # why", true),
            ("[a.example]", true),
            ("{+block{ads}}", true),
            ("{ +block{ads} \\", true),
            ("[Adblock Plus 2.0]", false),
            ("[AdGuard]", false),
            ("[uBlock Origin]", false),
            ("[2001:db8::1]", false),
            ("[::1]", false),
            ("[2001:db8::1]:8080", false),
            ("[$path=/x]", false),
            ("a[.]example[.]", false),
            ("[.]a[.]", false),
            ("{a}.example", false),
            ("a.example", false),
            ("", false),
        ] {
            assert_eq!(header(line).is_some(), is_header, "{line}");
        }
    }

    #[test]
    fn a_list_with_sections_is_refused_and_its_section_named() {
        for (list, line) in [
            ("[blocklist]\na.example\nb.example\n[allowlist]\ngood.example\n", 1),
            ("0.0.0.0 a.example\n0.0.0.0 b.example\n[allow] # why\n0.0.0.0 good.example\n", 3),
            ("||a.example^\n||b.example^\n[Whitelist]\n||good.example^\n", 3),
            ("{+block{ads}}\n.a.example\n.b.example\nc.example/x\n{-block}\n.good.example\n", 1),
            ("=a.example\n=b.example\n*.c.example\n[allow]\n=good.example\n", 4),
        ] {
            let build = |options: Options| {
                Builder::new(options).add_source("list", list.as_bytes(), &ReadOptions::default())
            };
            match build(Options::default()) {
                Err(BuildError::Source {
                    problem: SourceProblem::Sections { line: at, .. },
                    ..
                }) => {
                    assert_eq!(at, line, "{list}");
                }
                other => panic!("{list}: {other:?}"),
            }
            let accepted = Guards::default().with_accepted("list");
            assert!(build(Options::default().with_guards(accepted)).is_ok(), "{list}");
        }
        let list = "[Adblock Plus 2.0]\n||a.example^\n[AdGuard]\n||b.example^\n";
        assert!(Builder::new(Options::default()).add_list("list", list.as_bytes(), None).is_ok());
    }
}
