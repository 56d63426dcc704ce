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
        /// The rule takes back a rule of a list that blocks, and stands in a list of what must not be blocked.
        Retraction = "retraction", "badfilter takes back a rule of a block list, and this list has none; move the line to the block list, or leave out badfilter to allow what it names";
        /// The rule has an option that restricts it.
        RuleOption = "rule-option", "the option restricts the rule, the key could not";
        /// The rule is not bound to a host.
        Pattern = "pattern", "the rule matches text anywhere in the URL";
        /// The rule is written as no browser writes URLs.
        NeverMatches = "never-matches", "the rule matches no URL: browsers resolve dot segments, replace backslashes, leave out default ports and escape quotation marks and brackets";
        /// The host of a rule ends with a dot, which makes it another host for browsers.
        AbsoluteHost = "absolute-host", "the rule names the host with a dot at its end, which browsers keep apart from the host without it; the key would block both, so leave out the dot if both are meant";
        /// The line is a directive for the program that the list is made for.
        Directive = "directive", "the directive is for another program";
        /// The entry resolves or forwards a name instead of blocking it.
        NotABlock = "not-a-block", "the entry resolves or forwards the name, it does not block it";
        /// The row has no value in the named column.
        MissingColumn = "missing-column", "the row has no value in the named column";
        /// The row has more fields than the header.
        FieldCount = "field-count", "the row has more fields than the list has columns; a separator inside a value needs quotation marks";
        /// A value of the row has text behind its closing quotation mark.
        TextBehindQuote = "text-behind-quote", "text stands behind the quotation mark that closes a value; a mark inside a value is written twice";
        /// The regular expression of the sub-URL rule does not match the entry.
        NoMatch = "no-match", "the parsing expression gives no key for this URL";
        /// The sub-URL rule is one that this version cannot make keys for.
        UnknownRule = "unknown-rule", "this version cannot make keys for the sub-URL rule";
        /// The row of a data set is no sub-URL of any URL.
        NeverAsked = "never-asked", "no device on the chosen systems asks for this key";
        /// The entry has white space inside. Browsers repair such links, a list does not mean them.
        WhiteSpace = "white-space", "the entry has white space inside; is the list in another format?";
        /// The entry has a control character inside, such as a tab or a lone carriage return.
        ControlCharacter = "control-character", "the entry has a control character inside; is the list in another format?";
        /// The last label of the host is no top-level domain, as in the name of a file.
        UnknownSuffix = "unknown-suffix", "the last label of the host is no known top-level domain";
        /// The host is a registry suffix, such as `co.uk`, with nothing behind it.
        PublicSuffix = "public-suffix", "the key would block every site under this registry suffix";
        /// Under the parsing configuration, the key is that of every URL.
        EveryUrl = "every-url", "the parsing configuration leaves nothing of this entry, so that its key would block every URL";
        /// The host is an address that lists use as the target of blocked names.
        SinkAddress = "sink-address", "the address stands for the machine itself or for no machine";
        /// The address of a sink and the name behind it are one word.
        GluedSink = "glued-sink", "the address of a sink and a name are one word, so that white space is missing between them";
        /// The entry is a range of addresses.
        AddressRange = "address-range", "the data set knows no ranges of addresses";
        /// The key would block a name that must stay reachable.
        Protected = "protected", "the key would block a name that must not be blocked";
        /// The owner of a record is absolute, and neither the file nor the options name the zone.
        ZoneUnknown = "zone-unknown", "the owner is absolute and the file does not name its zone; give the name with --origin, or --origin . if owners are whole names";
        /// The owner of a record lies outside of the zone.
        OutsideZone = "outside-zone", "servers ignore records outside of the zone; --origin names another zone";
        /// A parenthesis or brace before this line is not closed.
        OpenParenthesis = "open-parenthesis", "a parenthesis or brace before this line is not closed, so that the line belongs to another record";
    }
}

impl Refusal {
    /// Whether the reason shows that the line was understood: it is written as its format wants it, and a data set
    /// cannot express it. The others may mean that the list is damaged, or in another format.
    #[must_use]
    pub const fn is_understood(self) -> bool {
        matches!(
            self,
            Self::LocalName
                | Self::Wildcard
                | Self::RegularExpression
                | Self::ElementHiding
                | Self::Exception
                | Self::RuleOption
                | Self::Pattern
                | Self::AbsoluteHost
                | Self::Directive
                | Self::NotABlock
                | Self::AddressRange
                | Self::PublicSuffix
                | Self::EveryUrl
                | Self::Protected
        )
    }

    /// Whether the line asked to block something, which is left out now. The others block nothing where their format is
    /// used: comments on page content, entries of the machine itself, exceptions.
    #[must_use]
    pub const fn asked_to_block(self) -> bool {
        !matches!(
            self,
            Self::LocalName
                | Self::ElementHiding
                | Self::Exception
                | Self::Retraction
                | Self::Directive
                | Self::NotABlock
                | Self::SinkAddress
        )
    }
}
