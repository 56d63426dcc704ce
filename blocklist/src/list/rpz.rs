//! Response policy zones (draft-vixie-dnsop-dns-rpz), in zone-file syntax.

use super::{Emit, Entry, LineFormat, LineKind, Scope, hosts};
use crate::key::{EntryKind, Refusal};

/// What the lines of a zone file pass on to the next.
pub(super) struct Rpz {
    /// The name of the zone, without its last dot; empty until it is known.
    origin: String,
    /// The owner of the last record, which lines that start with white space share.
    owner: String,
    /// Whether a parenthesis is open, so that the next line continues a record.
    open: bool,
}

impl Rpz {
    /// `origin` is the name of the zone, if it is known already.
    pub(super) fn new(origin: Option<&str>) -> Self {
        let origin = origin.unwrap_or_default().trim_end_matches('.').to_owned();
        Self { origin, owner: String::new(), open: false }
    }
}

impl LineFormat for Rpz {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let content = line.split_once(';').map_or(line, |(content, _)| content).trim_end();
        if content.trim().is_empty() {
            return if line.trim().is_empty() { LineKind::Blank } else { LineKind::Comment };
        }
        let was_open = self.open;
        match (content.rfind('('), content.rfind(')')) {
            (Some(open), close) => self.open = close < Some(open),
            (None, Some(_)) => self.open = false,
            (None, None) => {}
        }
        if was_open {
            return LineKind::Structure;
        }
        let mut words = content.split_whitespace();
        if !content.starts_with([' ', '\t']) {
            let owner = words.next().unwrap_or_default();
            if owner.starts_with('$') {
                if owner.eq_ignore_ascii_case("$ORIGIN") {
                    self.origin = words.next().unwrap_or_default().trim_end_matches('.').to_owned();
                }
                return LineKind::Structure;
            }
            self.owner.clear();
            self.owner.push_str(owner);
        }
        let mut words = words.skip_while(|word| is_class_or_ttl(word));
        let (kind, data) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if ["SOA", "NS"].iter().any(|name| kind.eq_ignore_ascii_case(name)) {
            if self.origin.is_empty() && self.owner.ends_with('.') {
                self.origin = self.owner.trim_end_matches('.').to_owned();
            }
            return LineKind::Structure;
        }
        emit(self.record(kind, data));
        LineKind::Entry
    }
}

impl Rpz {
    fn record(&self, kind: &str, data: &str) -> Result<Entry<'_>, (Refusal, &str)> {
        let refuse = |refusal| Err((refusal, self.owner.as_str()));
        let name = self.name();
        let trigger = name.rsplit_once('.').map_or(name, |(_, last)| last);
        if trigger.starts_with("rpz-") {
            return refuse(Refusal::Directive);
        }
        let blocks = match kind.to_ascii_uppercase().as_str() {
            "CNAME" => match data.to_ascii_lowercase().as_str() {
                "." | "*." | "rpz-drop." => true,
                "rpz-passthru." => return refuse(Refusal::Exception),
                target if target.trim_end_matches('.') == name => {
                    return refuse(Refusal::Exception);
                }
                _ => false,
            },
            "A" | "AAAA" => data.parse().is_ok_and(hosts::is_sink),
            _ => return refuse(Refusal::Directive),
        };
        if !blocks {
            return refuse(Refusal::NotABlock);
        }
        Ok(Entry::new(name, EntryKind::Host).with_scope(Scope::Host))
    }

    /// The owner, relative to the zone if it lies within.
    fn name(&self) -> &str {
        let Some(absolute) = self.owner.strip_suffix('.') else { return &self.owner };
        match absolute.strip_suffix(&self.origin) {
            Some(relative) if !self.origin.is_empty() => relative.trim_end_matches('.'),
            _ => absolute,
        }
    }
}

fn is_class_or_ttl(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        || ["IN", "CH", "HS"].iter().any(|class| word.eq_ignore_ascii_case(class))
}

#[cfg(test)]
mod tests {
    use super::super::{Format, tests::events};

    #[test]
    fn zone() {
        let text = "$TTL 60\n@ IN SOA ns.example. root.example. (\n  1 60 60\n  60 60 )\n  IN NS ns.example.\n; x\n\
                    $ORIGIN rpz.example.\na.example CNAME .\n*.a.example 300 IN CNAME .\nb.example.rpz.example. CNAME *.\n\
                    c.example A 0.0.0.0\n\tAAAA ::\nd.example CNAME rpz-passthru.\ne.example CNAME garden.example.\n\
                    32.1.2.0.192.rpz-ip CNAME .\nf.example TXT x\ng.example CNAME rpz-drop.\n";
        assert_eq!(
            events(text, Format::Rpz),
            [
                "8 a.example",
                "9 *.a.example",
                "10 b.example",
                "11 c.example",
                "12 c.example",
                "13 -exception",
                "14 -not-a-block",
                "15 -directive",
                "16 -directive",
                "17 g.example",
            ]
        );
    }
}
