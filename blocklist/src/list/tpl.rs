//! Tracking protection lists of Internet Explorer. Their rules are for third-party requests.

use super::adblock::RuleText;
use super::{Action, Emit, Entry, LineFormat, LineKind, RuleOptions, Scope};
use crate::key::{EntryKind, Refusal, Remark};

pub(super) struct Tpl;

/// The first line of every such list.
const HEADER: &str = "msFilterList";

/// Whether a list names itself a tracking protection list.
pub(super) fn has_header(start: &[u8]) -> bool {
    let first = start.trim_ascii_start().split(u8::is_ascii_whitespace).next();
    first.is_some_and(|word| word.eq_ignore_ascii_case(HEADER.as_bytes()))
}

impl LineFormat for Tpl {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let line = line.trim();
        if line.is_empty() {
            return LineKind::Blank;
        }
        if line.starts_with('#') {
            return LineKind::Comment;
        }
        if line.starts_with(':') || line.eq_ignore_ascii_case(HEADER) {
            return LineKind::Structure;
        }
        let mut words = line.split_whitespace();
        let rule = [words.next(), words.next(), words.next()];
        emit(match rule {
            [Some("-d"), Some(domain), None] => {
                let mut entry = for_third_parties(domain);
                entry.remarks.add(Remark::RuleOptionDropped);
                Ok(entry)
            }
            // Allowing more than third-party requests would allow what another list blocks.
            [Some("+d"), Some(domain), None] => {
                Ok(for_third_parties(domain).with_action(Action::Allow))
            }
            [Some("+d" | "+"), ..] => Err((Refusal::Exception, line)),
            [Some("-d" | "-"), Some(_), _] => Err((Refusal::Pattern, line)),
            _ => Err((Refusal::Directive, line)),
        });
        LineKind::Entry
    }
}

/// A rule for third-party requests to a domain, as `||domain^$third-party` of Adblock syntax.
fn for_third_parties(domain: &str) -> Entry<'_> {
    let mut entry = Entry::new(domain, EntryKind::Host).with_scope(Scope::Site);
    entry.options = RuleOptions::DROPPED;
    entry.rule = Some(RuleText::of_host(domain).with_option("third-party", true));
    entry
}

#[cfg(test)]
mod tests {
    use super::super::tests::details;
    use super::super::{Format, ListError, ReadOptions, read};

    const TEXT: &str = "msFilterList\n: Expires=3\n# Title\n-d a.example\n-d b.example /x\n- /ads/\n\
                        +d c.example\n+ text\n\n-d\n";

    #[test]
    fn such_lists_are_refused_as_such() {
        for format in [None, Some(Format::Adblock), Some(Format::Tpl)] {
            let options = ReadOptions::default().with_format(format);
            let error = read(TEXT.as_bytes(), &options, |_| {}).unwrap_err();
            assert!(matches!(error, ListError::TrackingProtectionList));
        }
        let later = "a.example\nmsFilterList\n";
        assert!(read(later.as_bytes(), &ReadOptions::default(), |_| {}).is_ok());
    }

    #[test]
    fn domains_become_keys_where_rules_are_widened() {
        for format in [None, Some(Format::Adblock), Some(Format::Tpl)] {
            let options = ReadOptions::default().with_format(format).with_widened_rules(true);
            assert_eq!(
                details(TEXT, &options),
                [
                    "4 block site a.example rule-option-dropped +dropped",
                    "5 -pattern",
                    "6 -pattern",
                    "7 allow site c.example +dropped",
                    "8 -exception",
                    "10 -directive",
                ]
            );
        }
    }
}
