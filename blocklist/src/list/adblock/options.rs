//! The options of network rules, behind a `$`.

use super::super::RuleOptions;
use super::rule_text::RuleText;
use crate::key::{Refusal, Remark, Remarks};

/// What the options of a rule mean for its key.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// The options that do not restrict the rule.
    pub(super) set: RuleOptions,
    pub(super) remarks: Remarks,
    /// Whether the rule takes back the one of the same text and other options.
    pub(super) is_bad_filter: bool,
    /// The options but `badfilter`, each with whether it restricts the rule and was dropped.
    named: Vec<(String, bool)>,
}

impl Options {
    /// The rule of a pattern with these options.
    pub(super) fn rule(&self, pattern: RuleText) -> RuleText {
        let named = self.named.iter();
        named.fold(pattern, |rule, (option, is_dropped)| rule.with_option(option, *is_dropped))
    }
}

/// Types of requests, and relations between the page and the request. Rules with them can be widened.
const WIDENABLE: [&str; 33] = [
    "1p",
    "3p",
    "background",
    "beacon",
    "css",
    "dtd",
    "first-party",
    "font",
    "frame",
    "image",
    "media",
    "object",
    "object-subrequest",
    "object_subrequest",
    "other",
    "ping",
    "popunder",
    "popup",
    "script",
    "speculative",
    "strict-first-party",
    "strict-third-party",
    "strict1p",
    "strict3p",
    "stylesheet",
    "subdocument",
    "third-party",
    "webrtc",
    "websocket",
    "webtransport",
    "xbl",
    "xhr",
    "xmlhttprequest",
];

/// Options that name no requests: they are about the content of pages, or about what other rules change. An exception with
/// one of them allows no request.
const WITHOUT_REQUESTS: [&str; 34] = [
    "addheader",
    "content",
    "cookie",
    "csp",
    "ehide",
    "elemhide",
    "extension",
    "genericblock",
    "generichide",
    "ghide",
    "hls",
    "inline-font",
    "inline-script",
    "jsinject",
    "jsonprune",
    "permissions",
    "queryprune",
    "redirect",
    "redirect-rule",
    "referrerpolicy",
    "removeheader",
    "removeparam",
    "replace",
    "requestheaders",
    "responseheader",
    "rewrite",
    "shide",
    "specifichide",
    "stealth",
    "uritransform",
    "urlblock",
    "urlskip",
    "urltransform",
    "xmlprune",
];

/// All other options of Adblock Plus, AdGuard and uBlock Origin.
const OTHERS: [&str; 27] = [
    "_",
    "all",
    "app",
    "badfilter",
    "client",
    "cname",
    "collapse",
    "ctag",
    "denyallow",
    "dnsrewrite",
    "dnstype",
    "doc",
    "document",
    "domain",
    "empty",
    "from",
    "header",
    "important",
    "ipaddress",
    "match-case",
    "method",
    "mp4",
    "network",
    "path",
    "reason",
    "sitekey",
    "to",
];

/// Longer than the name of any option with white space behind it, in bytes.
const MAX_NAME: usize = 64;

/// Splits a rule into its pattern and its options. Values of options may have every character, so the first `$` before the
/// name of an option begins them; else the last one, if words follow that are no option anywhere.
pub(super) fn split(rule: &str) -> Option<(&str, &str)> {
    for at in memchr::memchr_iter(b'$', rule.as_bytes()) {
        let (pattern, options) = (&rule[..at], &rule[at + 1..]);
        if !pattern.ends_with('\\') && begins_with_known(options) {
            return Some((pattern, options));
        }
    }
    rule.rsplit_once('$').filter(|(_, options)| options.split(',').all(is_word))
}

/// Reads the options of a rule, if it has any.
pub(super) fn read_all(options: Option<&str>, is_widening: bool) -> Result<Options, Refusal> {
    options.map_or_else(|| Ok(Options::default()), |options| read(options, is_widening))
}

/// Reads options. With `is_widening`, those that say which requests the rule is for are dropped with a remark.
fn read(options: &str, is_widening: bool) -> Result<Options, Refusal> {
    let mut read = Options::default();
    for option in options.split(',') {
        let option = option.trim().to_ascii_lowercase();
        let (set, remark) = match option.as_str() {
            "badfilter" => {
                read.is_bad_filter = true;
                continue;
            }
            "all" => (RuleOptions::ALL, Remark::OptionDropped),
            "important" => (RuleOptions::IMPORTANT, Remark::OptionDropped),
            "document" | "doc" => (RuleOptions::DOCUMENT, Remark::DocumentOption),
            // Underscores separate options for readers.
            name if !name.is_empty() && name.bytes().all(|b| b == b'_') => continue,
            name if is_widening && is_widenable(name) => {
                (RuleOptions::DROPPED, Remark::RuleOptionDropped)
            }
            _ => return Err(Refusal::RuleOption),
        };
        read.set = read.set.with(set);
        read.remarks.add(remark);
        let is_dropped = remark == Remark::RuleOptionDropped;
        if !read.named.iter().any(|(named, _)| *named == option) {
            read.named.push((option, is_dropped));
        }
    }
    Ok(read)
}

/// Whether a text ends like a rule with options, all of which are known: `$third-party`, `$~script,domain=a.example`.
pub(crate) fn end(text: &str) -> bool {
    text.rsplit_once('$')
        .is_some_and(|(_, options)| options.split(',').all(|option| is_known(name_of(option))))
}

fn is_widenable(option: &str) -> bool {
    let name = option.strip_prefix('~').unwrap_or(option);
    let is_negated_document = name != option && matches!(name, "document" | "doc");
    is_negated_document || WIDENABLE.contains(&name)
}

/// Whether an option, in lower case, is about no requests.
pub(super) fn names_no_requests(option: &str) -> bool {
    WITHOUT_REQUESTS.contains(&name_of(option))
}

/// The name of the first of some options.
fn name_of(options: &str) -> &str {
    let options = options.trim_start();
    let options = options.strip_prefix('~').unwrap_or(options);
    options[..options.find([',', '=']).unwrap_or(options.len())].trim_end()
}

/// Whether the first of some options is known. Looks at no more than its name: a rule may have thousands of `$`.
fn begins_with_known(options: &str) -> bool {
    let options = options.trim_start();
    let options = options.strip_prefix('~').unwrap_or(options);
    let start = &options[..options.floor_char_boundary(MAX_NAME)];
    match start.find([',', '=']) {
        None if start.len() < options.len() => false,
        end => is_known(start[..end.unwrap_or(start.len())].trim_end()),
    }
}

fn is_known(name: &str) -> bool {
    let is_name = |known: &&'static str| known.eq_ignore_ascii_case(name);
    [&WIDENABLE[..], &WITHOUT_REQUESTS, &OTHERS].into_iter().flatten().any(is_name)
}

/// Whether an option reads as a name, with or without a value.
fn is_word(option: &str) -> bool {
    let name = name_of(option);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_begin_at_the_first_name_of_one() {
        for (rule, expected) in [
            ("||a^$script", Some(("||a^", "script"))),
            ("||a/x$csp=script-src a, b", Some(("||a/x", "csp=script-src a, b"))),
            ("||a/x$removeparam=/[A-Z]$/", Some(("||a/x", "removeparam=/[A-Z]$/"))),
            ("||a^$replace=/a\\$b$script/c/", Some(("||a^", "replace=/a\\$b$script/c/"))),
            ("||a^$Third-Party", Some(("||a^", "Third-Party"))),
            ("||a^$~script,domain=a|b", Some(("||a^", "~script,domain=a|b"))),
            ("||a^$ script , ~image", Some(("||a^", " script , ~image"))),
            ("||a^$newoption,other=X y", Some(("||a^", "newoption,other=X y"))),
            ("||a/?b=$C", Some(("||a/?b=", "C"))),
            ("||a/$script/x", None),
            ("||a/$x.js", None),
            ("||a/\\$script", Some(("||a/\\", "script"))),
            ("||a/$", None),
            ("||a/", None),
        ] {
            assert_eq!(split(rule), expected, "{rule}");
        }
    }
}
