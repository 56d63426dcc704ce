//! How a list is read.

use super::Format;

/// How a list is read. [`ReadOptions::default`] detects the format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The format; detected if it is `None`.
    pub format: Option<Format>,
    /// The name of a response policy zone that does not name itself by `$ORIGIN` or its SOA record.
    pub origin: Option<String>,
    /// Names and addresses to which a list of hosts, of dnsmasq or of a response policy zone sends what it blocks, besides
    /// unspecified and loopback addresses.
    pub sinks: Vec<String>,
    /// Whether Adblock rules for third-party requests, pop-ups or some types of resources become keys, which cover every
    /// request. They are refused otherwise.
    pub is_widening_rules: bool,
    /// Whether URLs and hosts may be written so that they are no links, as `hxxp://` and `[.]`.
    pub is_defanged: bool,
}

impl ReadOptions {
    /// The same options with a [`format`](Self::format).
    #[must_use]
    pub fn with_format(mut self, format: Option<Format>) -> Self {
        self.format = format;
        self
    }

    /// The same options with an [`origin`](Self::origin).
    #[must_use]
    pub fn with_origin(mut self, origin: Option<String>) -> Self {
        self.origin = origin;
        self
    }

    /// The same options with other [`sinks`](Self::sinks).
    #[must_use]
    pub fn with_sinks(mut self, sinks: Vec<String>) -> Self {
        self.sinks = sinks;
        self
    }

    /// The same options with or without [`is_widening_rules`](Self::is_widening_rules).
    #[must_use]
    pub fn with_widened_rules(mut self, is_widening: bool) -> Self {
        self.is_widening_rules = is_widening;
        self
    }

    /// The same options with or without [`is_defanged`](Self::is_defanged).
    #[must_use]
    pub fn with_defanged(mut self, is_defanged: bool) -> Self {
        self.is_defanged = is_defanged;
        self
    }
}

impl From<Format> for ReadOptions {
    fn from(format: Format) -> Self {
        Self::default().with_format(Some(format))
    }
}
