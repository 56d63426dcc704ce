//! pdnsd configuration: sections that say of a name that it does not exist, or that its address leads nowhere.

use super::braces::{Braces, Statements, clauses};
use super::sinks::Sinks;
use super::{Emit, EmitFrom, Entry, LineFormat, LineKind, Outcome, ReadOptions, Scope};
use crate::key::{EntryKind, Refusal};

pub(super) struct Pdnsd {
    braces: Braces,
    sections: Sections,
}

struct Sections {
    sinks: Sinks,
}

impl Pdnsd {
    pub(super) fn new(options: &ReadOptions) -> Self {
        let sections = Sections { sinks: Sinks::new(&options.sinks) };
        Self { braces: Braces::default(), sections }
    }
}

impl LineFormat for Pdnsd {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        self.line_from(line, &mut |_, outcome| emit(outcome))
    }

    fn line_from(&mut self, line: &str, emit: &mut EmitFrom<'_>) -> LineKind {
        self.braces.line(line, &mut self.sections, emit)
    }

    fn end_from(&mut self, emit: &mut EmitFrom<'_>) {
        self.braces.end(emit);
    }
}

impl Statements for Sections {
    const KEYWORDS: &'static [&'static str] = &["neg", "rr"];
    const CONTAINERS: &'static [&'static str] = &[];

    fn statement<'w>(&mut self, words: &[&'w str]) -> Outcome<'w> {
        let section = words.first().copied().unwrap_or_default();
        let is_negation = section.eq_ignore_ascii_case("neg");
        if !is_negation && !section.eq_ignore_ascii_case("rr") {
            return Err((Refusal::Directive, section));
        }
        let mut name = "";
        let (mut types, mut addresses) = (Vec::new(), Vec::new());
        for clause in clauses(words) {
            let (key, values) = assignment(&clause);
            match key.to_ascii_lowercase().as_str() {
                // An empty name is refused as an entry.
                "name" => name = values.first().copied().unwrap_or_default(),
                "types" => types.extend(values),
                "a" | "aaaa" => addresses.extend(values),
                _ => {}
            }
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let has_type =
            |known: &str| types.iter().any(|kind: &&str| kind.eq_ignore_ascii_case(known));
        let scope = if name.starts_with("*.") { Scope::Subdomains } else { Scope::Host };
        let scope = match is_negation {
            true if has_type("domain") => Some(Scope::Site),
            true => (has_type("A") && has_type("AAAA")).then_some(scope),
            false => {
                let leads_nowhere = |address: &&str| self.sinks.has_address(address);
                (!addresses.is_empty() && addresses.iter().all(leads_nowhere)).then_some(scope)
            }
        };
        match scope {
            Some(scope) => Ok(Entry::new(name, EntryKind::Host).with_scope(scope)),
            None => Err((Refusal::NotABlock, name)),
        }
    }
}

/// The key and the values of `key = value, value`, however its words are divided.
fn assignment<'w>(clause: &[&'w str]) -> (&'w str, Vec<&'w str>) {
    let mut parts = clause.iter().flat_map(|word| word.split(['=', ','])).map(str::trim);
    let key = parts.next().unwrap_or_default();
    (key, parts.filter(|part| !part.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::details;

    #[test]
    fn negations_and_records_of_sinks_are_entries() {
        let text = "# list\nneg { name=a.example; types=domain; }\nneg {name = \"b.example.\"; types = A , AAAA;}\n\
                    rr { name=c.example; a=127.0.0.1; owner=localhost; soa=localhost,root.localhost,42,86400,900,86400,86400; }\n\
                    rr {\n\tname = *.d.example;\n\ta = 0.0.0.0;\n}\n// end\n";
        assert_eq!(
            details(text, &Format::Pdnsd.into()),
            [
                "2 block site a.example",
                "3 block host b.example",
                "4 block host c.example",
                "5 block subdomains *.d.example",
            ]
        );
    }

    #[test]
    fn other_sections_are_refused() {
        let text = "global { perm_cache=2048; }\nneg { name=a.example; types=MX; }\nneg { name=b.example; types=A; }\n\
                    rr { name=c.example; a=192.0.2.1; }\nrr { name=d.example; a=0.0.0.0; a=192.0.2.1; }\n\
                    rr { name=e.example; mx=f.example,10; }\nsource { owner=localhost; file=\"/etc/hosts\"; }\nneg { name=g.example;\n";
        assert_eq!(
            details(text, &Format::Pdnsd.into()),
            [
                "1 -directive",
                "2 -not-a-block",
                "3 -not-a-block",
                "4 -not-a-block",
                "5 -not-a-block",
                "6 -not-a-block",
                "7 -directive",
                "8 -open-parenthesis",
            ]
        );
    }
}
