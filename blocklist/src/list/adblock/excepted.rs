//! What an exception names that cannot take a key back: one for some requests, or for a pattern.

use super::rule_text::RuleText;
use super::{is_host, options, without_comment};
use crate::key::names::has_known_suffix;
use crate::key::{EntryKind, Remark};
use crate::list::{Action, Entry, Scope};

/// The host, and the beginning of the path, of the requests that a refused exception names some of; `None` if it names no
/// host, or allows no request. `is_exception` says that the line counts as one without `@@`, as in an allow list. A rule that
/// takes such an exception back has the action [`Action::RetractException`].
pub(crate) fn excepted(line: &str, is_exception: bool) -> Option<Entry<'_>> {
    if let Some(rule) = line.strip_prefix("+d ") {
        let host = rule.split_whitespace().next()?;
        return Some(
            Entry::new(host, EntryKind::Host).with_scope(Scope::Site).with_action(Action::Allow),
        );
    }
    let rule = without_comment(line.trim());
    let rule = match rule.strip_prefix("@@") {
        Some(rule) => rule,
        None if is_exception => rule,
        None => return None,
    };
    let (pattern, options) = options::split(rule).unwrap_or((rule, ""));
    let mut text = RuleText::of(pattern);
    let mut action = Action::Allow;
    for option in options.split(',').map(str::trim).filter(|option| !option.is_empty()) {
        let name = option.to_ascii_lowercase();
        if options::names_no_requests(&name) {
            return None;
        }
        match name.as_str() {
            "badfilter" => action = Action::RetractException,
            name => text = text.with_option(name, true),
        }
    }
    let mut entry = place(pattern)?.with_action(action);
    entry.rule = Some(text);
    Some(entry)
}

/// Whether the text of a rule has the option `badfilter`, with or without `@@`.
pub(crate) fn is_retraction(line: &str) -> bool {
    let options = options::split(without_comment(line.trim())).map_or("", |(_, options)| options);
    options.split(',').any(|option| option.trim().eq_ignore_ascii_case("badfilter"))
}

/// The host and the path of a pattern up to its first wildcard.
fn place(pattern: &str) -> Option<Entry<'_>> {
    let (body, is_label) = match (pattern.strip_prefix("||"), pattern.split_once("://")) {
        (Some(body), _) => (body, true),
        (None, Some((scheme, body)))
            if scheme
                .trim_start_matches('|')
                .bytes()
                .all(|b| b.is_ascii_alphabetic() || b == b'*') =>
        {
            (body, false)
        }
        _ => match pattern.strip_prefix("//") {
            Some(body) => (body, false),
            None => (pattern, true),
        },
    };
    let is_anchored = body.len() < pattern.len();
    // A star in front of a host without a dot between them names the host as well.
    let body = body.trim_start_matches('*');
    let (body, is_below) = match body.strip_prefix('.') {
        Some(body) => (body, true),
        None => (body, false),
    };
    let end = body.find(['*', '^', '|']).unwrap_or(body.len());
    let (text, rest) = body.split_at(end);
    let path_start = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (host, path) = text.split_at(path_start);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let is_known = host.starts_with('[')
        || is_host(host) && (is_anchored || has_known_suffix(&host.to_lowercase()));
    if !is_known {
        return None;
    }
    let is_page = rest == "|" && !path.is_empty();
    let mut entry = Entry::new(text, EntryKind::Url).with_scope(match is_label {
        _ if is_below => Scope::Subdomains,
        _ if is_page => Scope::Page,
        true => Scope::Site,
        false => Scope::Host,
    });
    if path.len() > 1 && (rest.is_empty() || rest.starts_with('*')) && !path.ends_with('/') {
        entry.remarks.add(Remark::PathPrefix);
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retractions_are_known_by_their_option() {
        for line in
            ["||a.example^$badfilter", "@@||a.example^$script, BadFilter ! why", "/ads/$badfilter"]
        {
            assert!(is_retraction(line), "{line}");
        }
        for line in
            ["||a.example^$script", "||a.example/badfilter", "||a.example/?x=$badfilters", ""]
        {
            assert!(!is_retraction(line), "{line}");
        }
    }

    #[test]
    fn exceptions_for_some_requests_name_a_host_and_the_beginning_of_a_path() {
        for (line, expected) in [
            ("@@||a.example^$script", Some("Site a.example")),
            ("@@||a.example^$third-party,domain=b.example ! why", Some("Site a.example")),
            ("@@||a.example/*/x", Some("Site a.example/")),
            ("@@||a.example/x*y^", Some("Site a.example/x open")),
            ("@@||a.example/x^*y", Some("Site a.example/x")),
            ("@@||a.example:8080/x$image", Some("Site a.example:8080/x open")),
            ("@@||*.a.example^$script", Some("Subdomains a.example")),
            ("@@|https://a.example/x|$script", Some("Page a.example/x")),
            ("@@|https://a.example/$script", Some("Host a.example/")),
            ("@@://a.example^$script", Some("Host a.example")),
            ("@@a.example/x$script", Some("Site a.example/x open")),
            ("@@||a.example^$script,badfilter", Some("Site a.example")),
            ("+d a.example /x", Some("Site a.example")),
            ("@@||a.example^$generichide", None),
            ("@@||a.example/x$csp=script-src 'none'", None),
            ("@@//a.example^", Some("Host a.example")),
            ("@@.a.example^", Some("Subdomains a.example")),
            ("@@||.a.example^", Some("Subdomains a.example")),
            ("@@*a.example^", Some("Site a.example")),
            ("@@||*a.example^", Some("Site a.example")),
            ("@@**.a.example/x$script", Some("Subdomains a.example/x open")),
            ("@@//ads/x$script", None),
            ("@@.gif$image", None),
            ("@@*banner.gif$image", None),
            ("@@*/x^", None),
            ("@@||ads.*^$script", None),
            ("@@||ads^$script", None),
            ("@@/ads/$script", None),
            ("@@banner.gif$image", None),
            ("@@/x[0-9]/", None),
            ("@@*$script,domain=a.example", None),
            ("||a.example^$script", None),
        ] {
            let told = excepted(line, false).map(|entry| {
                let open = if entry.remarks.contains(Remark::PathPrefix) { " open" } else { "" };
                format!("{:?} {}{open}", entry.scope, entry.text)
            });
            assert_eq!(told.as_deref(), expected, "{line}");
        }
        assert!(excepted("||a.example^$script", true).is_some());
    }
}
