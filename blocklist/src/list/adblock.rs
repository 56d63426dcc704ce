//! Adblock syntax. Only network rules that begin at a host can become keys.

mod conditions;
mod excepted;
mod hints;
mod normalised;
pub(crate) mod options;
pub(super) mod rule_text;

pub(crate) use excepted::{excepted, is_retraction};
pub(crate) use rule_text::RuleText;

use super::sinks::{Sinks, address};
use super::{Action, Emit, Entry, LineFormat, LineKind, ReadOptions, Scope, hosts};
use crate::key::names::has_known_suffix;
use crate::key::{EntryKind, Refusal, Remark};
use conditions::Conditions;
use normalised::{Parts, check_characters};
use std::net::IpAddr;

pub(super) struct Adblock {
    sinks: Sinks,
    is_widening: bool,
    conditions: Conditions,
    /// Whether hints say that the next rule is for other platforms.
    is_for_others: bool,
}

/// Marks between the domains and the body of a cosmetic or scriptlet rule.
pub(crate) const COSMETIC: [&str; 10] =
    ["##", "#@#", "#?#", "#@?#", "#$#", "#@$#", "#$?#", "#@$?#", "#%#", "#@%#"];

/// Marks between the domains and the body of an HTML rule.
const HTML: [&str; 2] = ["$$", "$@$"];

impl Adblock {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self {
            sinks: Sinks::new(&options.sinks),
            is_widening: options.is_widening_rules,
            conditions: Conditions::default(),
            is_for_others: false,
        }
    }
}

impl LineFormat for Adblock {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let line = line.trim();
        if line.is_empty() {
            return LineKind::Blank;
        }
        if let Some(directive) = line.strip_prefix("!#") {
            self.conditions.directive(directive);
            self.is_for_others = false;
            emit(Err((Refusal::Directive, line)));
            return LineKind::Entry;
        }
        if let Some(hints) = line.strip_prefix("!+") {
            self.is_for_others |= hints::are_for_others(hints);
            return LineKind::Comment;
        }
        if line.starts_with('!') || is_number_sign_comment(line) {
            return LineKind::Comment;
        }
        if line.starts_with('[') && line.ends_with(']') && !line.starts_with("[$") {
            return LineKind::Structure;
        }
        let is_for_others = std::mem::take(&mut self.is_for_others);
        if self.conditions.is_skipping() {
            emit(Err((Refusal::Directive, line)));
            return LineKind::Entry;
        }
        if is_for_others {
            // An exception for other platforms takes nothing back, and is reported.
            let is_exception = line.starts_with("@@");
            let refusal = if is_exception { Refusal::Exception } else { Refusal::Directive };
            emit(Err((refusal, line)));
            return LineKind::Entry;
        }
        if let Some((first, _)) = line.split_once(char::is_whitespace)
            && address(first).is_some()
        {
            let content = line.split_once('#').map_or(line, |(content, _)| content);
            hosts::names(content.trim(), &self.sinks, emit);
            return LineKind::Entry;
        }
        emit(self.rule(line).map_err(|refusal| (refusal, line)));
        LineKind::Entry
    }

    fn is_of_names(&self) -> bool {
        true
    }

    fn takes_rules(&self) -> bool {
        // All of its own lines are such rules, and conditions concern them.
        false
    }
}

/// Whether a line is a comment of the kind that hosts files have, and not a cosmetic rule for all pages.
fn is_number_sign_comment(line: &str) -> bool {
    let text = line.trim_start_matches('#');
    line.starts_with('#')
        && (text.is_empty()
            || text.starts_with(char::is_whitespace)
            || !COSMETIC.iter().any(|mark| line.starts_with(mark)))
}

impl Adblock {
    fn rule<'l>(&self, line: &'l str) -> Result<Entry<'l>, Refusal> {
        let is_cosmetic = COSMETIC.iter().chain(&HTML).any(|mark| line.contains(mark));
        if is_cosmetic && !line.starts_with(['|', '@']) {
            return Err(Refusal::ElementHiding);
        }
        let rule = without_comment(line);
        let (is_exception, rule) = match rule.strip_prefix("@@") {
            Some(rule) => (true, rule),
            None => (false, rule),
        };
        let split = options::split(rule);
        if is_cosmetic && split.is_none() {
            return Err(Refusal::ElementHiding);
        }
        let (pattern, options) = match split {
            Some((pattern, options)) => (pattern, Some(options)),
            None => (rule, None),
        };
        if is_exception {
            return self.exception(pattern, options).ok_or(Refusal::Exception);
        }
        if pattern.len() > 1 && pattern.starts_with('/') && pattern.ends_with('/') {
            return Err(Refusal::RegularExpression);
        }
        let options = options::read_all(options, self.is_widening)?;
        let mut entry = network_rule(pattern)?;
        entry.remarks.extend(options.remarks);
        entry.options = options.set;
        entry.rule = Some(options.rule(text_of(pattern, &entry)));
        Ok(if options.is_bad_filter { entry.with_action(Action::Retract) } else { entry })
    }

    /// An exception of which every option is understood. Where rules are widened, one for some requests takes back the rules
    /// for the same requests, and no other ones: it would allow more.
    fn exception<'l>(&self, pattern: &'l str, options: Option<&str>) -> Option<Entry<'l>> {
        let options = options::read_all(options, self.is_widening).ok()?;
        let mut entry = network_rule(pattern).ok()?;
        entry.options = options.set;
        entry.rule = Some(options.rule(text_of(pattern, &entry)));
        let is_widened = entry.remarks.contains(Remark::CoversWholeHost)
            || entry.remarks.contains(Remark::CoversPaths);
        let action = match options.is_bad_filter {
            true => Action::RetractException,
            false => Action::Allow,
        };
        (!is_widened).then(|| entry.with_action(action))
    }
}

/// The text of the rule of a pattern. A host alone is the rule `||host^`.
fn text_of(pattern: &str, entry: &Entry<'_>) -> RuleText {
    match entry.kind {
        EntryKind::Host => RuleText::of_host(pattern),
        _ => RuleText::of(pattern),
    }
}

/// The rule without the comment behind it. No rule has white space before its options.
fn without_comment(line: &str) -> &str {
    let comment = memchr::memchr2_iter(b'!', b'#', line.as_bytes()).find(|&at| {
        let (before, after) = (&line[..at], &line[at + 1..]);
        before.ends_with([' ', '\t']) && (after.is_empty() || after.starts_with([' ', '\t']))
    });
    line[..comment.unwrap_or(line.len())].trim_end()
}

/// Where a pattern begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Anchor {
    /// `||`: at the beginning of a label of the host, with any scheme.
    Label,
    /// `|https://`: at the beginning of the URL.
    Start,
}

fn network_rule(pattern: &str) -> Result<Entry<'_>, Refusal> {
    check_characters(pattern)?;
    // A star at the end has no meaning: rules match any continuation anyway.
    let open = pattern.trim_end_matches('*');
    let (body, anchor) = match (open.strip_prefix("||"), open.strip_prefix('|')) {
        (Some(body), _) => (body, Anchor::Label),
        (None, Some(body)) if body.contains("://") => (body, Anchor::Start),
        // Without an anchor it could stand inside of a query, which hardly happens.
        _ if open.starts_with("http://") || open.starts_with("https://") => (open, Anchor::Start),
        _ => return bare_host(pattern).ok_or(Refusal::Pattern),
    };
    let without_bar = body.strip_suffix('|').filter(|_| open.len() == pattern.len());
    let is_page = without_bar.is_some();
    let body = without_bar.unwrap_or(body);
    let without_caret = body.strip_suffix('^');
    let is_ended = is_page || without_caret.is_some();
    let text = without_caret.unwrap_or(body);

    let (scheme, place) = match anchor {
        Anchor::Label => (None, text),
        Anchor::Start => match text.split_once("://") {
            // `|http*://` is written for both schemes.
            Some(("*" | "http*", place)) => (None, place),
            Some((scheme, place)) => (Some(scheme), place),
            None => (None, text),
        },
    };
    let text = if scheme.is_none() { place } else { text };
    let (host_and_path, is_wildcard) = match place.strip_prefix("*.") {
        Some(rest) => (rest, true),
        None => (place, false),
    };
    if host_and_path.contains('*') {
        return Err(Refusal::Wildcard);
    }
    let (host, path) =
        host_and_path.split_at(host_and_path.find(['/', '?', '#']).unwrap_or(host_and_path.len()));
    // URLs have a slash behind the host, no fragment when they are matched, and labels that are not empty.
    let never_matches = path.starts_with(['?', '#'])
        || path.contains('#')
        || host.is_empty()
        || host.starts_with('.')
        || host.contains('@')
        || (anchor == Anchor::Label && path.starts_with("//") && host.ends_with(':'));
    if never_matches || host_and_path.contains(['^', '|']) {
        return Err(Refusal::Pattern);
    }
    Parts { anchor, scheme, host, path, is_ended }.check()?;
    // Without an end, `||exam` matches example.com as well.
    let is_whole_host = is_host(host) || (anchor == Anchor::Start && host.ends_with(']'));
    if path.is_empty() && !is_ended && !is_whole_host {
        return Err(Refusal::Pattern);
    }
    let mut entry = Entry::new(text, EntryKind::Url).with_scope(match anchor {
        _ if is_wildcard => Scope::Subdomains,
        Anchor::Label if is_page && !path.is_empty() => Scope::Page,
        Anchor::Label => Scope::Site,
        Anchor::Start if is_page => Scope::Page,
        Anchor::Start => Scope::Host,
    });
    // Of hosts below, 26 asks for no path. The builder drops the remark where it does not hold.
    if anchor == Anchor::Label && path.len() > 1 {
        entry.remarks.add(Remark::HostOnlyOn26);
    }
    // The question mark, and what stands behind the slash of the root, are parts of the rule that no key has.
    let is_root = matches!(path, "/" | "/?");
    if path.ends_with('?') || (path == "/" && without_caret.is_some()) {
        entry.remarks.add(if is_root { Remark::CoversWholeHost } else { Remark::CoversPaths });
    } else if path.len() > 1 && !is_ended && !path.ends_with('/') {
        entry.remarks.add(Remark::PathPrefix);
    }
    Ok(entry)
}

/// A host alone, which uBlock Origin and AdGuard take as a rule for that host. Adblock Plus looks for it anywhere in the
/// URL, as everyone does for what is no host, such as the name of a file.
fn bare_host(pattern: &str) -> Option<Entry<'_>> {
    let (host, scope) = match pattern.strip_prefix("*.") {
        Some(host) => (host, Scope::Subdomains),
        None => (pattern, Scope::Site),
    };
    let is_entry =
        is_host(host) && (host.parse::<IpAddr>().is_ok() || has_known_suffix(&host.to_lowercase()));
    is_entry.then(|| Entry::new(pattern, EntryKind::Host).with_scope(scope))
}

/// A host of at least two labels.
fn is_host(text: &str) -> bool {
    text.contains('.')
        && !text.starts_with(['.', '-'])
        && !text.ends_with(['.', '-'])
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{details, events};
    use super::super::{Format, ReadOptions};

    #[test]
    fn rules() {
        for (rule, event) in [
            ("||example.com^", "1 example.com"),
            ("||example.com", "1 example.com"),
            ("||example.com/path", "1 example.com/path path-prefix host-only-on-26"),
            ("||example.com/path^", "1 example.com/path host-only-on-26"),
            ("||example.com/path/", "1 example.com/path/ host-only-on-26"),
            ("https://example.com/path", "1 https://example.com/path path-prefix"),
            ("||example.com/?", "1 example.com/? covers-whole-host host-only-on-26"),
            ("||example.com/a?", "1 example.com/a? covers-paths host-only-on-26"),
            ("||example.com/^", "1 example.com/ covers-whole-host"),
            ("@@||example.com/a?", "1 -exception"),
            ("||example.com/path*", "1 example.com/path path-prefix host-only-on-26"),
            ("||example.com/*", "1 example.com/"),
            ("||example.com^*", "1 example.com"),
            ("||example.com^$all", "1 example.com option-dropped"),
            ("||example.com^$document,important", "1 example.com option-dropped document-option"),
            ("||example.com^$_,DOC,__", "1 example.com document-option"),
            ("||example.com^$third-party", "1 -rule-option"),
            ("||example.com/a?b=$c", "1 -rule-option"),
            ("||example.com/a?b=$C", "1 -rule-option"),
            ("||example.com/$a/b", "1 example.com/$a/b path-prefix host-only-on-26"),
            (
                "||example.com/a?u=http://b.example",
                "1 example.com/a?u=http://b.example path-prefix host-only-on-26",
            ),
            ("|https://example.com/a|", "1 https://example.com/a"),
            ("|http*://example.com/a|", "1 example.com/a"),
            ("|*://*.example.com^", "1 *.example.com"),
            ("|https://[2001:db8::1]", "1 https://[2001:db8::1]"),
            ("||[2001:db8::1]", "1 -pattern"),
            ("||[2001:db8::1]^", "1 [2001:db8::1]"),
            ("example.com", "1 example.com"),
            ("198.51.100.7", "1 198.51.100.7"),
            ("0.0.0.0 example.com", "1 example.com"),
            ("127.1 example.com # why", "1 example.com"),
            ("192.0.2.1 example.com", "1 -not-a-block"),
            ("example.com##.ad", "1 -element-hiding"),
            ("##.ad", "1 -element-hiding"),
            ("#%#//scriptlet('x')", "1 -element-hiding"),
            ("[$path=/x]##a[b]", "1 -element-hiding"),
            ("||example.com^$$script[x]", "1 -element-hiding"),
            ("/banner[0-9]+/", "1 -regular-expression"),
            ("/banner[0-9]+/$script", "1 -regular-expression"),
            ("/ads/banner", "1 -pattern"),
            ("||ads", "1 -pattern"),
            ("||/ads^", "1 -pattern"),
            ("||.example.com^", "1 -pattern"),
            ("||https://example.com^", "1 -pattern"),
            ("||example.com?a=1", "1 -pattern"),
            ("||example.com/a#b", "1 -pattern"),
            ("|example.com^", "1 -pattern"),
            ("||ads*.example.com^", "1 -wildcard"),
            ("||example.com/*/a", "1 -wildcard"),
            ("||example.com^path", "1 -pattern"),
            ("!#include other.txt", "1 -directive"),
        ] {
            assert_eq!(events(rule, Format::Adblock), [event], "{rule}");
        }
        let comments =
            "[Adblock Plus 2.0]\n! Title: x\n\n# note\n#note\n##### note #####\n#\n#####\n";
        assert!(events(comments, Format::Adblock).is_empty());
    }

    #[test]
    fn options_with_any_value_restrict_the_rule() {
        for rule in [
            "||p.example/x$csp=script-src a, b",
            "||p.example/x$removeparam=/[A-Z]$/",
            "||p.example/x$replace=/a\\$b/c/",
            "||p.example/x$replace=/a##b/c/",
            "||p.example^$domain=a.example|b.example",
            "||p.example^$header=X-Y:/Z, $/",
            "||p.example^$permissions=camera=()\\, x=()",
            "||p.example^$document,header=a",
            "||p.example^$DOMAIN=a.example",
            "||p.example/x$unheard-of=A b",
            "||p.example/x$unheard-of",
            "||p.example^$~document",
            "||p.example^$match-case",
            "||p.example^$",
            "||p.example^$document,",
        ] {
            let expected = if rule.ends_with("^$") { "1 -pattern" } else { "1 -rule-option" };
            assert_eq!(events(rule, Format::Adblock), [expected], "{rule}");
        }
    }

    #[test]
    fn comments_behind_rules_are_left_out() {
        for (rule, event) in [
            ("||example.com^ ! why", "1 example.com"),
            ("||example.com^\t# why", "1 example.com"),
            ("||example.com^$important # why $script", "1 example.com option-dropped"),
            ("example.com # why", "1 example.com"),
            ("||example.com^ !", "1 example.com"),
            ("||example.com^$third-party ! why", "1 -rule-option"),
        ] {
            assert_eq!(events(rule, Format::Adblock), [event], "{rule}");
        }
    }

    #[test]
    fn names_of_files_are_no_hosts() {
        for (rule, event) in [
            ("_468.gif", "1 -pattern"),
            ("-ad.js", "1 -pattern"),
            ("beacon.min.js", "1 -pattern"),
            ("_chartbeat.js", "1 -pattern"),
            ("1.2.3", "1 -pattern"),
        ] {
            assert_eq!(events(rule, Format::Adblock), [event], "{rule}");
        }
    }

    #[test]
    fn anchors_and_ends_say_which_requests_a_rule_names() {
        for (rule, expected) in [
            ("||a.example^", "1 block site a.example"),
            ("||a.example^|", "1 block site a.example"),
            ("||a.example|", "1 block site a.example"),
            ("||a.example/x|", "1 block page a.example/x host-only-on-26"),
            ("||a.example/x^", "1 block site a.example/x host-only-on-26"),
            ("||*.a.example^", "1 block subdomains *.a.example"),
            ("||*.a.example/x^", "1 block subdomains *.a.example/x host-only-on-26"),
            ("*.a.example", "1 block subdomains *.a.example"),
            ("a.example", "1 block site a.example"),
            ("|http://a.example/", "1 block host http://a.example/"),
            ("|http://a.example^", "1 block host http://a.example"),
            ("|http://a.example/x", "1 block host http://a.example/x path-prefix"),
            ("|https://a.example/x|", "1 block page https://a.example/x"),
            ("|https://a.example/|", "1 block page https://a.example/"),
            ("|https://*.a.example/", "1 block subdomains https://*.a.example/"),
            ("0.0.0.0 a.example", "1 block host a.example"),
        ] {
            assert_eq!(details(rule, &Format::Adblock.into()), [expected], "{rule}");
        }
    }

    #[test]
    fn exceptions_allow_if_all_of_their_options_are_understood() {
        for (rule, expected) in [
            ("@@||a.example^", "1 allow site a.example"),
            ("@@||a.example/x", "1 allow site a.example/x path-prefix host-only-on-26"),
            ("@@||a.example^$document", "1 allow site a.example +document"),
            ("@@||a.example^$important", "1 allow site a.example +important"),
            ("@@||*.a.example^", "1 allow subdomains *.a.example"),
            ("@@|https://a.example/|", "1 allow page https://a.example/"),
            ("@@a.example ! why", "1 allow site a.example"),
            ("@@||a.example^$script", "1 -exception"),
            ("@@||a.example^$domain=b.example", "1 -exception"),
            ("@@||a.example^$badfilter", "1 retractexception site a.example"),
            ("@@||a.example^$script,badfilter", "1 -exception"),
            ("@@||a.example^$csp=a ## b", "1 -exception"),
            ("@@|http*://a.example^", "1 allow host a.example"),
            ("@@|*://a.example/x|", "1 allow page a.example/x"),
            ("@@|h*p://a.example^", "1 allow host h*p://a.example"),
            ("@@/ads/*", "1 -exception"),
            ("@@||a*.example^", "1 -exception"),
            ("@@", "1 -exception"),
        ] {
            let widened = ReadOptions::from(Format::Adblock).with_widened_rules(true);
            assert_eq!(details(rule, &Format::Adblock.into()), [expected], "{rule}");
            // What is for some requests allows these alone.
            let expected = match rule {
                "@@||a.example^$script" => "1 allow site a.example +dropped",
                "@@||a.example^$script,badfilter" => "1 retractexception site a.example +dropped",
                _ => expected,
            };
            assert_eq!(details(rule, &widened), [expected], "{rule}");
        }
    }

    #[test]
    fn bad_filters_retract_the_rule_of_the_same_options() {
        for (rule, expected) in [
            ("||a.example^$badfilter", "1 retract site a.example"),
            (
                "||a.example^$badfilter,important",
                "1 retract site a.example option-dropped +important",
            ),
            ("||a.example^$script,badfilter", "1 -rule-option"),
            ("||a.example/x$badfilter", "1 retract site a.example/x path-prefix host-only-on-26"),
        ] {
            assert_eq!(details(rule, &Format::Adblock.into()), [expected], "{rule}");
        }
    }

    #[test]
    fn rules_for_some_requests_are_widened_on_request_only() {
        let widened = ReadOptions::from(Format::Adblock).with_widened_rules(true);
        for (rule, is_widened) in [
            ("||a.example^$third-party", true),
            ("||a.example^$3p,popup", true),
            ("||a.example^$~script,IMAGE", true),
            ("||a.example^$~document", true),
            ("||a.example^$script,domain=b.example", false),
            ("||a.example^$script,~important", false),
            ("||a.example^$popup,redirect=noop", false),
            ("||a.example^$ghide", false),
        ] {
            assert_eq!(details(rule, &Format::Adblock.into()), ["1 -rule-option"], "{rule}");
            let expected = if is_widened {
                "1 block site a.example rule-option-dropped +dropped"
            } else {
                "1 -rule-option"
            };
            assert_eq!(details(rule, &widened), [expected], "{rule}");
        }
        assert_eq!(
            details("||a.example^$3p,badfilter", &widened),
            ["1 retract site a.example rule-option-dropped +dropped"]
        );
    }

    #[test]
    fn rules_behind_hints_for_other_platforms_are_refused() {
        let text = "!+ PLATFORM(windows)\n||a.example^\n||b.example^\n!+ NOT_PLATFORM(ios)\n! why\n@@||c.example^\n\
                    !+ NOT_OPTIMIZED\n||d.example^\n!+ PLATFORM(windows)\n!+ NOT_OPTIMIZED\n||e.example^\n";
        assert_eq!(
            events(text, Format::Adblock),
            ["2 -directive", "3 b.example", "6 -exception", "8 d.example", "11 -directive"]
        );
    }

    #[test]
    fn lines_of_conditions_that_do_not_hold_are_refused() {
        let text = "!#if adguard\n||a.example^\n! note\n!#else\n||b.example^\n!#endif\n||c.example^\n\
                    !#if !env_mobile\n||d.example^\n!#endif\n";
        assert_eq!(
            events(text, Format::Adblock),
            [
                "1 -directive",
                "2 -directive",
                "4 -directive",
                "5 b.example",
                "6 -directive",
                "7 c.example",
                "8 -directive",
                "9 d.example",
                "10 -directive",
            ]
        );
    }
}
