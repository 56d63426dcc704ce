//! Why an entry has no key.

use super::reason::reasons;

reasons! {
    /// Why an entry has no key and is left out.
    #[derive(thiserror::Error)]
    Refusal {
        /// The line or row is not UTF-8.
        NotUtf8 = "not-utf8", "the line is not UTF-8";
        /// The line, field or URL is longer than 65,536 bytes.
        TooLong = "too-long", "the entry is longer than 65536 bytes";
        /// The entry is neither a URL nor a host.
        NotAUrl = "not-a-url", "browsers could not parse this as a URL";
        /// A host is required, and the entry is none.
        NotAHost = "not-a-host", "this is no host name or address";
        /// The entry is a URL without a host, such as `mailto:`.
        NoHost = "no-host", "the URL names no host";
        /// The scheme is one that devices do not filter.
        Scheme = "unsupported-scheme", "only http, https, ftp, ws and wss URLs can become keys";
        /// The host has one label: a top-level domain or a local name.
        SingleLabel = "single-label", "devices walk up to two labels, so a top-level domain or local name cannot be blocked";
        /// The name is one that hosts files define for the machine itself.
        LocalName = "local-name", "this entry sets up the machine itself and blocks nothing";
        /// The entry has a `*` where a key cannot have one.
        Wildcard = "wildcard", "the data set knows no wildcards";
        /// The entry is a regular expression.
        RegularExpression = "regular-expression", "the data set knows no regular expressions";
        /// The entry is an element-hiding, scriptlet or HTML rule.
        ElementHiding = "element-hiding", "the rule hides or changes page content, it blocks no request";
        /// The entry is an exception from other rules.
        Exception = "exception", "the data set cannot express exceptions";
        /// The rule has an option that restricts it.
        RuleOption = "rule-option", "the option restricts the rule, the key could not";
        /// The rule is not bound to a host.
        Pattern = "pattern", "the rule matches text anywhere in the URL";
        /// The line is a directive for the program that the list is made for.
        Directive = "directive", "the directive is for another program";
        /// The entry resolves or forwards a name instead of blocking it.
        NotABlock = "not-a-block", "the entry resolves or forwards the name, it does not block it";
        /// The row has no value in the named column.
        MissingColumn = "missing-column", "the row has no value in the named column";
        /// The regular expression of the sub-URL rule does not match the entry.
        NoMatch = "no-match", "the parsing expression gives no key for this URL";
        /// The sub-URL rule is one that this version cannot make keys for.
        UnknownRule = "unknown-rule", "this version cannot make keys for the sub-URL rule";
        /// The row of a data set is no sub-URL of any URL.
        NeverAsked = "never-asked", "no device on the chosen systems asks for this key";
    }
}
